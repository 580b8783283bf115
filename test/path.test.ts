import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { parseDer } from '../src/asn1/tape.js';
import { readPem } from '../src/bytes.js';
import { MAX_SIGNERS } from '../src/cms/signed.js';
import { Certificate } from '../src/x509/certificate.js';
import { hasMlDsa } from '../src/x509/mldsa.js';
import { PathBudget, validatePath } from '../src/x509/path.js';
import { alice, ca, caOf, der, leafOf, NOW, names, outcome, root, validate } from './helpers/paths.js';
import { generateKey, type IssuedCertificate, issueCertificate, type KeyKind } from './helpers/pki.js';
import { readIndex, readVector } from './helpers/vectors.js';

describe('building', () => {
  test('a path of three, from the certificate to the anchor', () => {
    const result = validate(alice, [ca]);
    expect(result).toMatchObject({ trusted: true, weaknesses: [] });
    expect(result.reason).toBeUndefined();
    expect(names(result)).toEqual(['CN=Alice', 'CN=CA', 'CN=Root']);
  });

  test('a path of two, needing no intermediate', () => {
    expect(names(validate(leafOf(root), []))).toEqual(['CN=Leaf', 'CN=Root']);
  });

  test('without the intermediate there is none, and the message says whose is missing', () => {
    const result = validate(alice, []);
    expect(outcome(result)).toBe('NO_PATH');
    expect(result.reason?.message).toBe('CN=Alice: no certificate of its issuer, CN=CA');
    expect(names(result)).toEqual(['CN=Alice']);
  });

  test('a certificate of the message is never an anchor, self-signed or not', () => {
    expect(outcome(validate(alice, [ca, root], { anchors: [] }))).toBe('NO_PATH');
    expect(outcome(validate(root, [root], { anchors: [], purpose: 'emailProtection' }))).toBe('KEY_USAGE');
    const self = issueCertificate({ subject: 'Self', emails: ['self@example.org'] });
    const result = validate(self, [self], { anchors: [root] });
    expect(outcome(result)).toBe('NO_PATH');
    expect(result.reason?.message).toBe('CN=Self: self-issued, and no trust anchor');
  });

  const ML_DSA: readonly KeyKind[] = hasMlDsa() ? ['ml-dsa-44', 'ml-dsa-65', 'ml-dsa-87'] : [];
  test.each<KeyKind>([
    'rsa',
    'P-256',
    'P-384',
    'P-521',
    'brainpoolP256r1',
    'brainpoolP384r1',
    'brainpoolP512r1',
    'brainpoolP256t1',
    'ed25519',
    'ed448',
    ...ML_DSA,
  ])('below a CA with a key of %s, and not with its signature changed', (key) => {
    const anchor = issueCertificate({ subject: 'CA', key, ca: true });
    const leaf = leafOf(anchor);
    expect(outcome(validate(leaf, [], { anchors: [anchor] }))).toBe('trusted');
    const changed = { ...leaf, certificate: leaf.certificate.slice() };
    const at = changed.certificate.length - 3;
    changed.certificate[at] = (changed.certificate[at] as number) ^ 1;
    expect(outcome(validate(changed, [], { anchors: [anchor] }))).toBe('SIGNATURE_INVALID');
  });

  test('a CA with a key on secp256k1 signs nothing that is believed', () => {
    const anchor = issueCertificate({ subject: 'CA', key: 'secp256k1', ca: true });
    const result = validate(leafOf(anchor), [], { anchors: [anchor] });
    expect(result.trusted).toBe(false);
    expect(result.reason?.message).toContain('secp256k1');
  });

  test('an anchor that is no root ends the path', () => {
    expect(names(validate(alice, [root], { anchors: [ca] }))).toEqual(['CN=Alice', 'CN=CA']);
  });

  test('a certificate that is an anchor itself needs no issuer', () => {
    const self = issueCertificate({ subject: 'Self' });
    expect(names(validate(self, [], { anchors: [self] }))).toEqual(['CN=Self']);
    expect(validate(alice, [], { anchors: [alice] }).trusted).toBe(true);
  });

  test('an end entity in the list of anchors is no CA', () => {
    const forged = leafOf(alice);
    expect(outcome(validate(forged, [], { anchors: [alice] }))).toBe('NOT_CA');
  });

  test('two CAs of one name: the one whose key fits is found, in either order, identifiers or not', () => {
    for (const subjectKeyIdentifier of [undefined, null]) {
      const input = { subject: 'Same', ...(subjectKeyIdentifier === null && { subjectKeyIdentifier }) };
      const first = caOf(input);
      const second = caOf(input);
      const leaf = leafOf(second);
      expect(validate(leaf, [first, second]).trusted).toBe(true);
      expect(validate(leaf, [second, first]).trusted).toBe(true);
      expect(outcome(validate(leaf, [first]))).toBe('SIGNATURE_INVALID');
    }
  });

  test('an identifier that points at the wrong CA is a hint and no rule', () => {
    const wrong = caOf({ subject: 'Same' });
    const right = caOf({ subject: 'Same' });
    const leaf = leafOf(right, { authorityKeyIdentifier: wrong.subjectKeyIdentifier ?? null });
    expect(validate(leaf, [wrong, right]).trusted).toBe(true);
  });

  test('among more CAs of one name than signatures are tried, the identifier leads to the right one', () => {
    const crowd = Array.from({ length: 120 }, () => caOf({ subject: 'Crowd' }));
    const last = crowd[119] as IssuedCertificate;
    expect(validate(leafOf(last), crowd).trusted).toBe(true);
    expect(outcome(validate(leafOf(last, { authorityKeyIdentifier: null }), crowd))).toBe('LIMIT');
  });

  test('a renewed CA: the expired certificate of the same key does not hide the good one', () => {
    const key = generateKey('P-256');
    const old = caOf({ subject: 'Renewed', key, notAfter: new Date('2021-01-01') });
    const renewed = caOf({ subject: 'Renewed', key });
    const leaf = leafOf(renewed);
    expect(validate(leaf, [old, renewed]).trusted).toBe(true);
    expect(validate(leaf, [renewed, old]).trusted).toBe(true);
    expect(outcome(validate(leaf, [old]))).toBe('EXPIRED');
  });

  test('backtracking: a cross-certificate of an unknown root is left for the path that ends', () => {
    const key = generateKey('P-256');
    const elsewhere = issueCertificate({ subject: 'Elsewhere', ca: true });
    const cross = caOf({ subject: 'Bridge', key, issuer: elsewhere });
    const bridge = caOf({ subject: 'Bridge', key });
    const leaf = leafOf(bridge);
    for (const pool of [
      [cross, bridge, elsewhere],
      [elsewhere, bridge, cross],
    ]) {
      expect(names(validate(leaf, pool))).toEqual(['CN=Leaf', 'CN=Bridge', 'CN=Root']);
    }
  });

  test('cross-certificates in a circle end', () => {
    const [keyA, keyB] = [generateKey('P-256'), generateKey('P-256')];
    const selfA = issueCertificate({ subject: 'A', ca: true, key: keyA });
    const selfB = issueCertificate({ subject: 'B', ca: true, key: keyB });
    const aByB = issueCertificate({ subject: 'A', ca: true, key: keyA, issuer: selfB });
    const bByA = issueCertificate({ subject: 'B', ca: true, key: keyB, issuer: selfA });
    const result = validate(leafOf(selfA), [aByB, bByA]);
    expect(outcome(result)).toBe('NO_PATH');
    expect(result.path.length).toBeLessThanOrEqual(3);
  });

  test('junk among the intermediates does not matter', () => {
    const truncatedKey = Uint8Array.from(ca.certificate);
    const node = parseDer(truncatedKey).firstChild?.children[6]?.children[1];
    truncatedKey[node?.contentStart ?? 0] = 7; // unused bits of the public key
    const junk = Certificate.parse(truncatedKey);
    const result = validatePath(der(alice), {
      trust: [der(root)],
      intermediates: [junk, der(alice), der(root), der(ca), junk],
      now: NOW,
      purpose: 'emailProtection',
    });
    expect(result.trusted).toBe(true);
  });
});

describe('attacks on the search', () => {
  // CAs of one name, each signed by all the others and none by an anchor.
  const keys = Array.from({ length: 8 }, () => generateKey('P-256'));
  const selves = keys.map((key) => issueCertificate({ subject: 'Many', ca: true, key }));
  const mesh = keys.flatMap((key, i) =>
    selves.flatMap((issuer, j) =>
      i === j ? [] : [issueCertificate({ subject: 'Many', ca: true, key, issuer })],
    ),
  );

  test('CAs that all sign each other: the budget ends it, and says so', () => {
    const started = performance.now();
    const result = validate(leafOf(selves[0] as IssuedCertificate), mesh);
    expect(outcome(result)).toBe('LIMIT');
    expect(performance.now() - started).toBeLessThan(5000);
  });

  test('many searches for one message: their budget is one', () => {
    const crowd = Array.from({ length: 70 }, () => caOf({ subject: 'Crowd' }));
    const leaf = () => leafOf(crowd[69] as IssuedCertificate, { authorityKeyIdentifier: null });
    const budget = new PathBudget();
    expect(outcome(validate(leaf(), crowd, { budget }))).toBe('trusted');
    const signatures = vi.spyOn(Certificate.prototype, 'signatureValue', 'get');
    for (let i = 0; i < 64; i++) expect(outcome(validate(leaf(), crowd, { budget }))).toBe('LIMIT');
    expect(signatures.mock.calls.length).toBeLessThan(30);
    signatures.mockRestore();
    expect(budget.signatures).toBe(0);
    expect(outcome(validate(leaf(), crowd))).toBe('trusted');
  });

  test('as many signers below one CA as a message may have do not exhaust the budget', () => {
    const budget = new PathBudget();
    const issuers = [root, caOf()];
    issuers.push(caOf({ issuer: issuers[1] as IssuedCertificate, subject: 'Issuing CA' }));
    const intermediates = issuers.map(der);
    const trust = [der(root)];
    for (let i = 0; i < MAX_SIGNERS; i++) {
      const leaf = leafOf(issuers[2] as IssuedCertificate);
      expect(outcome(validate(leaf, [], { trust, intermediates, budget }))).toBe('trusted');
    }
  });

  test('a path longer than any real one', () => {
    const chain = [root];
    for (let i = 0; i < 20; i++)
      chain.push(caOf({ subject: `CA ${i}`, issuer: chain.at(-1) as IssuedCertificate }));
    expect(outcome(validate(leafOf(chain[20] as IssuedCertificate), chain.slice(1)))).toBe('LIMIT');
    expect(validate(leafOf(chain[14] as IssuedCertificate), chain.slice(1)).path).toHaveLength(16);
  });

  test('more intermediates than any real message has', () => {
    const intermediates = Array.from({ length: 1001 }, () => der(ca));
    expect(outcome(validate(alice, [], { intermediates }))).toBe('LIMIT');
  });
});

describe('any change', () => {
  const chain = [alice, ca, root];

  test('of a single octet of a certificate below the anchor: never trusted, never an error thrown', () => {
    for (const [i, target] of [alice, ca].entries()) {
      for (let at = 0; at < target.certificate.length; at++) {
        for (const mask of [0x01, 0x80, 0xff]) {
          const changed = Uint8Array.from(target.certificate);
          changed[at] = (changed[at] as number) ^ mask;
          const result = tryValidate(chain.map((c, j) => (i === j ? changed : c.certificate)));
          expect(result, `certificate ${i}, octet ${at}, mask ${mask}`).toBe(false);
        }
      }
    }
  });

  test('an invalid path stays invalid whatever one octet of it, or of its anchor, becomes', () => {
    const noCa = issueCertificate({ subject: 'No CA', issuer: root });
    const invalid = [leafOf(noCa), noCa, root].map((c) => c.certificate);
    fc.assert(
      fc.property(fc.nat(2), fc.nat(1000), fc.integer({ min: 1, max: 255 }), (i, at, mask) => {
        const target = invalid[i] as Uint8Array;
        const changed = Uint8Array.from(target);
        changed[at % target.length] = (changed[at % target.length] as number) ^ mask;
        expect(tryValidate(invalid.map((c, j) => (i === j ? changed : c)))).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });

  /** False also where the certificate can't be parsed, which is a MailsealError. */
  function tryValidate([leaf, intermediate, anchor]: readonly Uint8Array[]): boolean {
    const parse = (bytes: Uint8Array | undefined): Certificate | undefined => {
      try {
        return bytes && Certificate.parse(bytes);
      } catch (error) {
        expect(error).toMatchObject({ name: 'MailsealError' });
        return undefined;
      }
    };
    const [endEntity, issuer, trusted] = [parse(leaf), parse(intermediate), parse(anchor)];
    if (!endEntity || !issuer || !trusted) return false;
    return validatePath(endEntity, {
      trust: [trusted],
      intermediates: [issuer],
      now: NOW,
      purpose: 'emailProtection',
    }).trusted;
  }
});

describe('RFC 9216: two roots that certify each other', () => {
  const paths = readIndex('rfc9216-pem').map(({ path }) => path);
  const load = (number: string) => {
    const path = paths.find((path) => path.startsWith(`${number}-`)) ?? '';
    const [block] = readPem(readVector('rfc9216-pem', path));
    return Certificate.parse((block as { bytes: Uint8Array }).bytes);
  };
  const roots = { RSA: load('3.1'), Ed25519: load('6.1') };
  const crosses = [load('3.3'), load('6.3')];

  // Alice and Bob are certified under the RSA root, Carlos and Dana under the Ed25519 one.
  test.each([
    ['4.1', 'emailProtection', 'RSA'],
    ['4.3', 'emailEncryption', 'RSA'],
    ['5.1', 'emailProtection', 'RSA'],
    ['5.3', 'emailEncryption', 'RSA'],
    ['7.1', 'emailProtection', 'Ed25519'],
    ['7.3', 'emailEncryption', 'Ed25519'],
    ['8.1', 'emailProtection', 'Ed25519'],
    ['8.3', 'emailEncryption', 'Ed25519'],
  ] as const)('%s is good for %s, under either root', (number, purpose, own) => {
    for (const [name, root] of Object.entries(roots)) {
      const options = { trust: [root], intermediates: crosses, now: NOW };
      const result = validatePath(load(number), { ...options, purpose });
      expect(outcome(result)).toBe('trusted');
      expect(result.path).toHaveLength(name === own ? 2 : 3);
      const other = purpose === 'emailProtection' ? 'emailEncryption' : 'emailProtection';
      expect(outcome(validatePath(load(number), { ...options, purpose: other }))).toBe('KEY_USAGE');
    }
  });
});

describe('RFC 4134: certificates of 1999, signed with SHA-1', () => {
  const load = (name: string) => Certificate.parse(readVector('bc-test-data', `rfc4134/${name}.cer`));

  test.each([
    ['AliceRSASignByCarl', 'CarlRSASelf', 'trusted'],
    ['DianeRSASignByCarl', 'CarlRSASelf', 'trusted'],
    ['BobRSASignByCarl', 'CarlRSASelf', 'KEY_USAGE'], // for encryption only
    ['AliceDSSSignByCarlNoInherit', 'CarlDSSSelf', 'UNSUPPORTED_ALGORITHM'],
    ['DianeDSSSignByCarlInherit', 'CarlDSSSelf', 'UNSUPPORTED_ALGORITHM'],
  ] as const)('%s under %s, SHA-1 allowed: %s', (name, anchor, expected) => {
    const now = new Date('2005-01-01T00:00:00Z');
    const options = { trust: [load(anchor)], now, purpose: 'emailProtection' } as const;
    expect(outcome(validatePath(load(name), { ...options, allowSha1: true }))).toBe(expected);
    expect(validatePath(load(name), options).trusted).toBe(false);
  });
});

describe('BoringSSL: a chain with one extension broken', () => {
  const SOURCE = 'boringssl-pkcs';
  const files = new Set(readIndex(SOURCE).map(({ path }) => path));
  const load = (name: string) => {
    const [block] = readPem(readVector(SOURCE, `x509/test/${name}.pem`));
    return Certificate.parse((block as { bytes: Uint8Array }).bytes);
  };
  const parts = [
    'authority_key_identifier',
    'basic_constraints',
    'ext_key_usage',
    'key_usage',
    'name_constraints',
    'subject_alt_name',
    'subject_key_identifier',
  ];
  const whole = {
    root: load('invalid_extension_root'),
    intermediate: load('invalid_extension_intermediate'),
    leaf: load('invalid_extension_leaf'),
  };
  const rows = (['root', 'intermediate', 'leaf'] as const).flatMap((place) =>
    parts.flatMap((part) =>
      files.has(`x509/test/invalid_extension_${place}_${part}.pem`) ? [[place, part] as const] : [],
    ),
  );

  test.each(rows)('%s, %s', (place, part) => {
    const chain = { ...whole, [place]: load(`invalid_extension_${place}_${part}`) };
    const result = validatePath(chain.leaf, {
      trust: [chain.root],
      intermediates: [chain.intermediate],
      now: new Date('2020-01-01T00:00:00Z'),
      purpose: 'emailProtection',
    });
    expect(result.trusted).toBe(false);
  });
});
