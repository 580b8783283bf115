import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { parseDer } from '../src/asn1/tape.js';
import { type DerWriter, writeDer } from '../src/asn1/write.js';
import type { PathOptions } from '../src/x509/path.js';
import { alice, ca, caOf, der, extension, leafOf, outcome, root, validate } from './helpers/paths.js';
import { type CertificateInput, generateKey, issueCertificate } from './helpers/pki.js';

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
      'missing basicConstraints (CVE-2026-33896)',
      { ca: false, keyUsage: ['keyCertSign'], extendedKeyUsage: null },
      'NOT_CA',
    ],
    [
      'missing basicConstraints and keyUsage (CVE-2026-33896)',
      { ca: false, keyUsage: null, extendedKeyUsage: null },
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
