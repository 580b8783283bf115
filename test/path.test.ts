import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { parseDer } from '../src/asn1/tape.js';
import { type DerWriter, writeDer } from '../src/asn1/write.js';
import { readPem } from '../src/bytes.js';
import { Certificate } from '../src/x509/certificate.js';
import { type PathOptions, type PathResult, validatePath } from '../src/x509/path.js';
import {
  type CertificateInput,
  type ExtensionInput,
  generateKey,
  type IssuedCertificate,
  issueCertificate,
} from './helpers/pki.js';
import { readIndex, readVector } from './helpers/vectors.js';

const NOW = new Date('2025-01-01T00:00:00Z');
const der = (issued: IssuedCertificate) => Certificate.parse(issued.certificate);

const root = issueCertificate({ subject: 'Root', ca: true });
const ca = issueCertificate({ subject: 'CA', ca: true, issuer: root });
const alice = issueCertificate({ subject: 'Alice', emails: ['alice@example.org'], issuer: ca });

function validate(
  endEntity: IssuedCertificate,
  intermediates: readonly IssuedCertificate[],
  options: Partial<PathOptions> & { anchors?: readonly IssuedCertificate[] } = {},
): PathResult {
  const { anchors = [root], ...rest } = options;
  return validatePath(der(endEntity), {
    trust: anchors.map(der),
    intermediates: intermediates.map(der),
    now: NOW,
    purpose: 'emailProtection',
    ...rest,
  });
}

const outcome = (result: PathResult) => result.reason?.code ?? 'trusted';
const names = (result: PathResult) => result.path.map((certificate) => certificate.subject.toString());
const caOf = (input: Partial<CertificateInput> = {}) =>
  issueCertificate({ subject: 'A CA', ca: true, issuer: root, ...input });
const leafOf = (issuer: IssuedCertificate, input: Partial<CertificateInput> = {}) =>
  issueCertificate({ subject: 'Leaf', issuer, ...input });
const extension = (
  oid: string,
  critical: boolean,
  build: (w: DerWriter) => void = (w) => w.null(),
): ExtensionInput => ({
  oid,
  critical,
  value: writeDer(build),
});

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

describe('validity', () => {
  const at = (notBefore: string, notAfter: string) =>
    leafOf(root, { notBefore: new Date(notBefore), notAfter: new Date(notAfter) });
  const leaf = at('2022-01-01T00:00:00Z', '2023-12-31T23:59:59Z');

  test.each([
    ['2021-12-31T23:59:59.999Z', 'NOT_YET_VALID'],
    ['2022-01-01T00:00:00.000Z', 'trusted'],
    ['2023-12-31T23:59:59.000Z', 'trusted'],
    ['2023-12-31T23:59:59.999Z', 'trusted'],
    ['2024-01-01T00:00:00.000Z', 'EXPIRED'],
  ])('the end entity at %s: %s', (now, expected) => {
    expect(outcome(validate(leaf, [], { now: new Date(now) }))).toBe(expected);
  });

  test('of every certificate, the anchor included', () => {
    const now = new Date('2041-01-01');
    const late = { notAfter: new Date('2045-01-01') };
    const expired = caOf();
    expect(outcome(validate(leafOf(expired, late), [expired], { now }))).toBe('EXPIRED');
    const longer = caOf(late);
    const result = validate(leafOf(longer, late), [longer], { now });
    expect(outcome(result)).toBe('EXPIRED');
    expect(result.reason?.message).toMatch(/^CN=Root: expired/);
    const pinned = leafOf(root);
    expect(outcome(validate(pinned, [], { anchors: [pinned], now }))).toBe('EXPIRED');
  });

  test('a date that is none is a TypeError', () => {
    expect(() => validate(alice, [ca], { now: new Date('never') })).toThrow(TypeError);
  });
});

describe('issuers', () => {
  test.each<[string, Partial<CertificateInput>, string]>([
    [
      'without basicConstraints (CVE-2026-33896)',
      { ca: false, keyUsage: ['keyCertSign'], extendedKeyUsage: null },
      'NOT_CA',
    ],
    [
      'of version 1',
      {
        ca: false,
        keyUsage: null,
        extendedKeyUsage: null,
        subjectKeyIdentifier: null,
        authorityKeyIdentifier: null,
      },
      'NOT_CA',
    ],
    [
      'with pathLenConstraint, but not cA',
      { ca: false, pathLenConstraint: 1, keyUsage: ['keyCertSign'], extendedKeyUsage: null },
      'NOT_CA',
    ],
    ['without keyCertSign', { keyUsage: ['cRLSign', 'digitalSignature'] }, 'KEY_USAGE'],
    ['without keyUsage', { keyUsage: null }, 'trusted'],
    ['for servers only', { extendedKeyUsage: [OID.serverAuth] }, 'EXTENDED_KEY_USAGE'],
    ['for mail', { extendedKeyUsage: [OID.serverAuth, OID.emailProtection] }, 'trusted'],
    ['for anything', { extendedKeyUsage: [OID.anyExtendedKeyUsage] }, 'trusted'],
    ['pathLenConstraint 0', { pathLenConstraint: 0 }, 'trusted'],
    ['an unknown critical extension', { extensions: [extension('1.2.3.4', true)] }, 'CRITICAL_EXTENSION'],
    ['an unknown extension that is not critical', { extensions: [extension('1.2.3.4', false)] }, 'trusted'],
    [
      'malformed basicConstraints',
      {
        ca: false,
        keyUsage: null,
        extendedKeyUsage: null,
        extensions: [extension(OID.basicConstraints, true)],
      },
      'MALFORMED',
    ],
    [
      'a malformed authorityKeyIdentifier',
      { authorityKeyIdentifier: null, extensions: [extension(OID.authorityKeyIdentifier, false)] },
      'MALFORMED',
    ],
  ])('%s: %s', (_, input, expected) => {
    const issuer = caOf(input);
    expect(outcome(validate(leafOf(issuer), [issuer]))).toBe(expected);
    // An anchor answers for the same, but that it may be an old root that can't say it is a CA.
    const anchor = issueCertificate({ subject: 'Anchor', ca: true, ...input });
    const leaf = leafOf(anchor);
    if (der(anchor).version === 3) expect(outcome(validate(leaf, [], { anchors: [anchor] }))).toBe(expected);
  });

  test('a root of version 1 may be an anchor; a certificate of version 1 that is no root may not issue', () => {
    const v1 = {
      ca: false,
      keyUsage: null,
      extendedKeyUsage: null,
      subjectKeyIdentifier: null,
      authorityKeyIdentifier: null,
    };
    const oldRoot = issueCertificate({ subject: 'Old root', ...v1 });
    expect(validate(leafOf(oldRoot), [], { anchors: [oldRoot] }).trusted).toBe(true);
    const noRoot = issueCertificate({ subject: 'No root', ...v1, issuer: root });
    expect(outcome(validate(leafOf(noRoot), [], { anchors: [noRoot] }))).toBe('NOT_CA');
  });

  test('pathLenConstraint counts CAs below that are not self-issued', () => {
    const key = generateKey('P-256');
    const limited = caOf({ subject: 'Limited', pathLenConstraint: 0 });
    const selfIssued = issueCertificate({ subject: 'Limited', ca: true, key, issuer: limited });
    const below = issueCertificate({ subject: 'Below', ca: true, issuer: limited });
    expect(validate(leafOf(selfIssued), [limited, selfIssued]).trusted).toBe(true);
    expect(outcome(validate(leafOf(below), [limited, below]))).toBe('PATH_LENGTH');
    // The anchor's own limit counts too, and a CA as the end entity does not.
    expect(outcome(validate(leafOf(below), [below], { anchors: [limited] }))).toBe('PATH_LENGTH');
    const caAsLeaf = issueCertificate({
      subject: 'Leaf CA',
      ca: true,
      keyUsage: ['digitalSignature'],
      issuer: limited,
    });
    expect(validate(caAsLeaf, [limited]).trusted).toBe(true);
  });
});

describe('the end entity', () => {
  test.each<[string, Partial<CertificateInput>, PathOptions['purpose'], string]>([
    ['digitalSignature', { keyUsage: ['digitalSignature'] }, 'emailProtection', 'trusted'],
    ['nonRepudiation', { keyUsage: ['nonRepudiation'] }, 'emailProtection', 'trusted'],
    ['no keyUsage', { keyUsage: null }, 'emailProtection', 'trusted'],
    ['keyEncipherment', { keyUsage: ['keyEncipherment'] }, 'emailProtection', 'KEY_USAGE'],
    ['keyEncipherment', { keyUsage: ['keyEncipherment'] }, 'emailEncryption', 'trusted'],
    ['keyAgreement', { keyUsage: ['keyAgreement'] }, 'emailEncryption', 'trusted'],
    ['digitalSignature', { keyUsage: ['digitalSignature'] }, 'emailEncryption', 'KEY_USAGE'],
    ['no extendedKeyUsage', { extendedKeyUsage: null }, 'emailProtection', 'trusted'],
    ['anyExtendedKeyUsage', { extendedKeyUsage: [OID.anyExtendedKeyUsage] }, 'emailProtection', 'trusted'],
    ['clientAuth', { extendedKeyUsage: [OID.clientAuth] }, 'emailProtection', 'EXTENDED_KEY_USAGE'],
    ['clientAuth', { extendedKeyUsage: [OID.clientAuth] }, 'emailEncryption', 'EXTENDED_KEY_USAGE'],
    [
      'an unknown critical extension',
      { extensions: [extension('1.2.3.4', true)] },
      'emailProtection',
      'CRITICAL_EXTENSION',
    ],
    [
      'an extension twice',
      { extensions: [extension('1.2.3.4', false), extension('1.2.3.4', false)] },
      'emailProtection',
      'MALFORMED',
    ],
    [
      'a malformed subjectAltName',
      { extensions: [extension(OID.subjectAltName, false)] },
      'emailProtection',
      'MALFORMED',
    ],
    ['no issuer name', { issuerName: Uint8Array.of(0x30, 0) }, 'emailProtection', 'MALFORMED'],
  ])('%s for %s, %s: %s', (_, input, purpose, expected) => {
    expect(outcome(validate(leafOf(root, input), [], { purpose }))).toBe(expected);
    const pinned = leafOf(root, input);
    expect(outcome(validate(pinned, [], { purpose, anchors: [pinned] }))).toBe(expected);
  });
});

describe('rules that are not built refuse the path by name', () => {
  const empty = (w: DerWriter) => w.sequence(() => {});
  test.each<[string, string, boolean, string]>([
    ['policyConstraints', OID.policyConstraints, true, 'POLICIES_NOT_CHECKED'],
    ['policyConstraints, not critical', OID.policyConstraints, false, 'POLICIES_NOT_CHECKED'],
    ['policyMappings', OID.policyMappings, false, 'POLICIES_NOT_CHECKED'],
    ['inhibitAnyPolicy', OID.inhibitAnyPolicy, true, 'POLICIES_NOT_CHECKED'],
    ['critical certificatePolicies', OID.certificatePolicies, true, 'POLICIES_NOT_CHECKED'],
    ['certificatePolicies', OID.certificatePolicies, false, 'trusted'],
    ['nameConstraints', OID.nameConstraints, true, 'NAME_CONSTRAINTS_NOT_CHECKED'],
    ['nameConstraints, not critical', OID.nameConstraints, false, 'NAME_CONSTRAINTS_NOT_CHECKED'],
    ['critical cRLDistributionPoints', OID.cRLDistributionPoints, true, 'REVOCATION_NOT_CHECKED'],
    ['cRLDistributionPoints', OID.cRLDistributionPoints, false, 'trusted'],
  ])('%s', (_, oid, critical, expected) => {
    const extensions = [extension(oid, critical, empty)];
    const issuer = caOf({ extensions });
    expect(outcome(validate(leafOf(issuer), [issuer]))).toBe(expected);
    const anchor = issueCertificate({ subject: 'Anchor', ca: true, extensions });
    expect(outcome(validate(leafOf(anchor), [], { anchors: [anchor] }))).toBe(expected);
    expect(outcome(validate(leafOf(ca, { extensions }), [ca]))).toBe(expected);
  });

  test('CRLs that were given', () => {
    expect(outcome(validate(alice, [ca], { crls: [Uint8Array.of(0x30, 0)] }))).toBe('REVOCATION_NOT_CHECKED');
    expect(outcome(validate(alice, [], { anchors: [alice], crls: [1] }))).toBe('REVOCATION_NOT_CHECKED');
    expect(validate(alice, [ca], { crls: [] }).trusted).toBe(true);
  });
});

describe('signatures', () => {
  test.each(['rsa', 'P-256', 'P-384', 'P-521', 'ed25519', 'ed448'] as const)('by %s', (key) => {
    const issuer = caOf({ key });
    expect(validate(leafOf(issuer), [issuer]).trusted).toBe(true);
  });

  test('SHA-1 is refused, unless it is allowed: then the path says so', () => {
    const weakCa = caOf({ hash: 'sha1' });
    const leaf = leafOf(weakCa, { hash: 'sha1' });
    expect(outcome(validate(leaf, [weakCa]))).toBe('WEAK_SIGNATURE');
    expect(outcome(validate(leafOf(weakCa), [weakCa]))).toBe('WEAK_SIGNATURE');
    const allowed = validate(leaf, [weakCa], { allowSha1: true });
    expect(allowed.trusted).toBe(true);
    expect(allowed.weaknesses.map(({ message }) => message)).toEqual([
      'CN=Leaf: signed with SHA-1',
      'CN=A CA: signed with SHA-1',
    ]);
  });

  test("an anchor's own signature is not looked at", () => {
    const weakRoot = issueCertificate({ subject: 'Weak root', ca: true, hash: 'sha1' });
    expect(validate(leafOf(weakRoot), [], { anchors: [weakRoot] })).toMatchObject({
      trusted: true,
      weaknesses: [],
    });
  });

  test('MD5 is refused even where SHA-1 is allowed', () => {
    const { certificate } = leafOf(root);
    const [tbs] = parseDer(certificate).children;
    const md5 = (w: DerWriter) =>
      w.sequence((w) => {
        w.oid(OID.md5WithRSAEncryption);
        w.null();
      });
    const changed = writeDer((w) =>
      w.sequence((w) => {
        w.sequence((w) => tbs?.children.map((node, i) => (i === 2 ? md5(w) : w.raw(node.bytes))));
        md5(w);
        w.bitString(new Uint8Array(256));
      }),
    );
    expect(outcome(validate({ ...alice, certificate: changed }, [], { allowSha1: true }))).toBe(
      'WEAK_SIGNATURE',
    );
  });

  test('the two AlgorithmIdentifiers must be the same octets (4.1.1.2)', () => {
    const { certificate } = leafOf(root);
    const [tbs, , signature] = parseDer(certificate).children;
    const changed = writeDer((w) =>
      w.sequence((w) => {
        w.raw(tbs?.bytes ?? new Uint8Array());
        w.sequence((w) => w.oid(OID.ecdsaWithSHA384));
        w.raw(signature?.bytes ?? new Uint8Array());
      }),
    );
    expect(outcome(validate({ ...alice, certificate: changed }, []))).toBe('MALFORMED');
  });

  test('a good signature by another key of the same name', () => {
    const impostor = issueCertificate({ subject: 'Root', ca: true });
    expect(outcome(validate(leafOf(impostor), []))).toBe('SIGNATURE_INVALID');
    const rsaImpostor = issueCertificate({ subject: 'Root', ca: true, key: 'rsa' });
    expect(outcome(validate(leafOf(rsaImpostor), []))).toBe('SIGNATURE_INVALID');
  });

  test('an RSA key below 1024 bits, wherever it stands', () => {
    const key = Uint8Array.from(
      generateKeyPairSync('rsa', { modulusLength: 768 }).privateKey.export({ format: 'der', type: 'pkcs8' }),
    );
    const weak = caOf({ key });
    expect(outcome(validate(leafOf(weak), [weak]))).toBe('WEAK_KEY');
    expect(outcome(validate(leafOf(root, { key }), []))).toBe('WEAK_KEY');
  });

  test('a DSA issuer is refused by name', () => {
    const dsa = generateKeyPairSync('dsa', { modulusLength: 1024, divisorLength: 160 });
    const key = createPrivateKey({ key: Buffer.from(root.privateKey), format: 'der', type: 'pkcs8' });
    const algorithm = (w: DerWriter) => w.sequence((w) => w.oid(OID.ecdsaWithSHA256));
    const tbs = writeDer((w) =>
      w.sequence((w) => {
        w.explicit(0, (w) => w.integer(2));
        w.integer(1);
        algorithm(w);
        w.raw(root.subjectName);
        w.sequence((w) => {
          w.time(new Date('2020-01-01'));
          w.time(new Date('2040-01-01'));
        });
        w.raw(ca.subjectName);
        w.raw(dsa.publicKey.export({ format: 'der', type: 'spki' }));
        w.explicit(3, (w) =>
          w.sequence((w) =>
            w.sequence((w) => {
              w.oid(OID.basicConstraints);
              w.octets(writeDer((w) => w.sequence((w) => w.boolean(true))));
            }),
          ),
        );
      }),
    );
    const certificate = writeDer((w) =>
      w.sequence((w) => {
        w.raw(tbs);
        algorithm(w);
        w.bitString(sign('sha256', tbs, key));
      }),
    );
    expect(outcome(validate(alice, [{ ...ca, certificate }]))).toBe('UNSUPPORTED_ALGORITHM');
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
