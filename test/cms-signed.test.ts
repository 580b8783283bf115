/** SignedData (RFC 5652 section 5): what we sign we verify; what must not verify; changed and cut messages. */
import { createHash, generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { Tag } from '../src/asn1/tags.js';
import { parseDer } from '../src/asn1/tape.js';
import { type DerWriter, writeDer } from '../src/asn1/write.js';
import { concat, equal, fromHex, utf8 } from '../src/bytes.js';
import { contentOfType, readContentInfo } from '../src/cms/content.js';
import {
  MAX_SIGNERS,
  type SignDataOptions,
  SignedData,
  type Signer,
  type SignerResult,
  signData,
  type VerifyOptions,
  verifySignedData,
} from '../src/cms/signed.js';
import { MailsealError } from '../src/errors.js';
import { Certificate } from '../src/x509/certificate.js';
import { toBer } from './helpers/ber.js';
import {
  attribute,
  CONTENT,
  digestAttribute,
  type Forgery,
  forge,
  RSA,
  typeAttribute,
} from './helpers/forge.js';
import { issueCertificate, type Person, person } from './helpers/pki.js';

const TIME = new Date('2026-01-02T03:04:05Z');

const ca = issueCertificate({ subject: 'Test CA', ca: true });
const rsa = person({ subject: 'Alice', key: 'rsa', issuer: ca });
const p256 = person({ subject: 'Bob', key: 'P-256', issuer: ca });
const p384 = person({ subject: 'Carol', key: 'P-384', issuer: ca });
const p521 = person({ subject: 'Dave', key: 'P-521', issuer: ca });
const ed25519 = person({ subject: 'Frank', key: 'ed25519', issuer: ca });
const ed448 = person({ subject: 'Grace', key: 'ed448', issuer: ca });
const brainpool = (['256r', '384r', '512r', '256t', '384t', '512t'] as const).map((form) =>
  person({ subject: form, key: `brainpoolP${form}1`, issuer: ca }),
);

/** The message in BER, its certificates left as they are. */
function inBer(message: Uint8Array): Uint8Array {
  return toBer(
    message,
    7,
    parse(message).certificates.map(({ der }) => der),
  );
}

function parse(message: Uint8Array): SignedData {
  return SignedData.parse(contentOfType(readContentInfo(message), OID.signedData));
}

function verify(message: Uint8Array, options?: VerifyOptions): SignerResult[] {
  return verifySignedData(parse(message), options);
}

function only(results: readonly SignerResult[]): SignerResult {
  expect(results).toHaveLength(1);
  return results[0] as SignerResult;
}

/** `valid`, or the code of the error. */
function outcome(result: SignerResult): string {
  expect(result.valid).toBe(result.error === undefined);
  return result.error?.code ?? 'valid';
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof MailsealError) return error.code;
    return (error as Error).name;
  }
  return 'no error';
}

describe('sign and verify', () => {
  const schemes: [name: string, signer: Signer, kind: string, digest: string][] = [
    ['RSA, all defaults', rsa, 'rsa-pkcs1', 'sha256'],
    ['RSA, SHA-384', { ...rsa, digest: 'sha384' }, 'rsa-pkcs1', 'sha384'],
    ['RSA, SHA-512', { ...rsa, digest: 'sha512' }, 'rsa-pkcs1', 'sha512'],
    ['RSASSA-PSS', { ...rsa, scheme: 'rsassa-pss' }, 'rsa-pss', 'sha256'],
    ['RSASSA-PSS, SHA-384', { ...rsa, scheme: 'rsassa-pss', digest: 'sha384' }, 'rsa-pss', 'sha384'],
    ['RSASSA-PSS, SHA-512', { ...rsa, scheme: 'rsassa-pss', digest: 'sha512' }, 'rsa-pss', 'sha512'],
    ['P-256', p256, 'ecdsa', 'sha256'],
    ['P-384', p384, 'ecdsa', 'sha384'],
    ['P-521', p521, 'ecdsa', 'sha512'],
    ['P-256, SHA-512', { ...p256, digest: 'sha512' }, 'ecdsa', 'sha512'],
    ['Ed25519', ed25519, 'ed25519', 'sha512'],
    ['Ed25519, SHA-512', { ...ed25519, digest: 'sha512' }, 'ed25519', 'sha512'],
    ['Ed448', ed448, 'ed448', 'shake256'],
    ...brainpool.map((one): [string, Signer, string, string] => [
      one.certificate.publicKey.curve as string,
      one,
      'ecdsa',
      `sha${one.certificate.publicKey.curve?.slice(10, 13)}`,
    ]),
  ];
  for (const [name, signer, kind, digest] of schemes) {
    for (const signerIdentifier of ['issuerAndSerialNumber', 'subjectKeyIdentifier'] as const) {
      for (const detached of [false, true]) {
        it(`${name}, ${signerIdentifier}, ${detached ? 'detached' : 'attached'}`, () => {
          const options: SignDataOptions = {
            signers: [signer],
            signerIdentifier,
            detached,
            signingTime: TIME,
          };
          const message = signData(CONTENT, options);
          parseDer(message, { strict: true });
          for (const encoded of [message, inBer(message)]) {
            const signed = parse(encoded);
            expect(signed.version).toBe(signerIdentifier === 'subjectKeyIdentifier' ? 3 : 1);
            expect(signed.content === undefined).toBe(detached);
            if (!detached) expect(equal(signed.content as Uint8Array, CONTENT)).toBe(true);
            const result = only(verifySignedData(signed, detached ? { content: CONTENT } : {}));
            expect(outcome(result)).toBe('valid');
            expect(result.weak).toBe(false);
            expect(result.identifier.type).toBe(signerIdentifier);
            expect(result.certificate?.publicKey.equals(signer.certificate.publicKey)).toBe(true);
            expect(result.scheme?.kind).toBe(kind);
            expect(result.digest).toBe(digest);
            expect(result.signedAttributes?.signingTime).toEqual(TIME);
          }
        });
      }
    }
  }

  it('a certificate that has expired since, at a time it was valid: that time is the one claimed', () => {
    const now = new Date('2020-06-01T00:00:00Z');
    const old = person({ subject: 'Old', notAfter: new Date('2021-01-01') });
    const result = only(verify(signData(CONTENT, { signers: [old], now })));
    expect(outcome(result)).toBe('valid');
    expect(result.signedAttributes?.signingTime).toEqual(now);
  });

  it('a message is reproducible where the signature is', () => {
    const options = { signers: [rsa], signingTime: TIME };
    expect(equal(signData(CONTENT, options), signData(CONTENT, options))).toBe(true);
  });

  it('several signers over one chain: every signer is reported, every certificate is there once', () => {
    const chain = [Certificate.parse(ca.certificate)];
    const pss: Signer = { ...rsa, scheme: 'rsassa-pss' };
    const signers = [rsa, p384, p256, pss, ed25519, ed448].map((signer) => ({ ...signer, chain }));
    const message = signData(CONTENT, { signers });
    parseDer(message, { strict: true });
    const signed = parse(message);
    expect(signed.certificates.map((certificate) => certificate.subject.toString()).sort()).toEqual(
      ['CN=Alice', 'CN=Bob', 'CN=Carol', 'CN=Frank', 'CN=Grace', 'CN=Test CA'].sort(),
    );
    expect(signed.digestAlgorithms.map(({ oid }) => oid).sort()).toEqual(
      [OID.sha256, OID.sha384, OID.sha512, OID.shake256Len].sort(),
    );
    const results = verifySignedData(signed);
    expect(results.map(outcome)).toEqual(signers.map(() => 'valid'));
    expect(new Set(results.map(({ scheme }) => scheme?.kind))).toEqual(
      new Set(['rsa-pkcs1', 'rsa-pss', 'ecdsa', 'ed25519', 'ed448']),
    );
  });

  it('one signer of two is not valid: the other one still is', () => {
    const message = signData(CONTENT, { signers: [rsa, p256] });
    const isEcdsa = ({ signature }: { signature: Uint8Array }) => signature.length < 100;
    const signature = parse(message).signerInfos.find(isEcdsa)?.signature as Uint8Array;
    const at = Buffer.from(message).indexOf(signature);
    const broken = message.slice();
    broken[at + 20] = (broken[at + 20] as number) ^ 1;
    expect(verify(broken).map(outcome).sort()).toEqual(['SIGNATURE_INVALID', 'valid']);
  });

  it('content of another type needs version 3', () => {
    const message = signData(CONTENT, { signers: [p256], contentType: OID.tstInfo });
    expect(parse(message).version).toBe(3);
    expect(outcome(only(verify(message)))).toBe('valid');
  });

  it('without certificates, the caller may have them', () => {
    const message = signData(CONTENT, { signers: [p256], includeCertificates: false });
    expect(outcome(only(verify(message)))).toBe('SIGNER_UNKNOWN');
    expect(outcome(only(verify(message, { certificates: [rsa.certificate, p256.certificate] })))).toBe(
      'valid',
    );
  });

  it('a certificate without the extension is found by the SHA-1 of its key', () => {
    const bare = person({ subject: 'Bare', subjectKeyIdentifier: null, issuer: ca });
    const { keyIdentifier } = bare.certificate.publicKey;
    expect(outcome(only(verify(forge(bare, { keyIdentifier }))))).toBe('valid');
  });

  it('two certificates with the name the signer gives: the one whose key matches is reported', () => {
    const same = { subject: 'Eve', issuer: ca, serialNumber: 77 };
    const [one, two] = [person(same), person(same)];
    const message = signData(CONTENT, { signers: [{ ...two, chain: [one.certificate] }] });
    const result = only(verify(message));
    expect(outcome(result)).toBe('valid');
    expect(result.certificate?.equals(two.certificate)).toBe(true);
  });
});

describe('signData refuses', () => {
  const shortKey = generateKeyPairSync('rsa', { modulusLength: 768 }).privateKey.export({
    format: 'der',
    type: 'pkcs8',
  });
  const rows: [name: string, options: () => SignDataOptions, code: string][] = [
    [
      'a key of another certificate',
      () => ({ signers: [{ ...rsa, certificate: p256.certificate }] }),
      'KEY_MISMATCH',
    ],
    [
      'a certificate that is for encryption',
      () => ({ signers: [person({ subject: 'E', keyUsage: ['keyAgreement'] })] }),
      'KEY_UNSUITABLE',
    ],
    [
      'an RSA key of 768 bits, which was factored in 2009',
      () => ({ signers: [person({ subject: 'E', key: shortKey })] }),
      'KEY_UNSUITABLE',
    ],
    [
      'a certificate that is for servers only',
      () => ({ signers: [person({ subject: 'E', extendedKeyUsage: [OID.serverAuth] })] }),
      'KEY_UNSUITABLE',
    ],
    [
      'an expired certificate',
      () => ({ signers: [p256, person({ subject: 'E', notAfter: new Date('2021-01-01') })] }),
      'KEY_UNSUITABLE',
    ],
    [
      'a certificate that is not valid yet',
      () => ({ signers: [p256], now: new Date('2019-12-31T23:59:59Z') }),
      'KEY_UNSUITABLE',
    ],
    [
      'an X25519 key',
      () => ({ signers: [person({ subject: 'E', key: 'x25519', issuer: ca, keyUsage: null })] }),
      'UNSUPPORTED_ALGORITHM',
    ],
    ['secp256k1', () => ({ signers: [person({ subject: 'E', key: 'secp256k1' })] }), 'UNSUPPORTED_ALGORITHM'],
    [
      'an Ed25519 key with SHA-256 (RFC 8419 2.3)',
      () => ({ signers: [{ ...ed25519, digest: 'sha256' }] }),
      'KEY_UNSUITABLE',
    ],
    [
      'an Ed448 key with SHA-512 (RFC 8419 2.3)',
      () => ({ signers: [{ ...ed448, digest: 'sha512' }] }),
      'KEY_UNSUITABLE',
    ],
    [
      'a name by key identifier where the certificate has none',
      () => ({
        signers: [person({ subject: 'E', subjectKeyIdentifier: null })],
        signerIdentifier: 'subjectKeyIdentifier',
      }),
      'KEY_UNSUITABLE',
    ],
    ['nobody', () => ({ signers: [] }), 'RangeError'],
    ['SHA-1', () => ({ signers: [{ ...rsa, digest: 'sha1' as 'sha256' }] }), 'RangeError'],
    ['a scheme that is none', () => ({ signers: [{ ...rsa, scheme: 'pss' as 'rsassa-pss' }] }), 'RangeError'],
    [
      'an identifier that is none',
      () => ({ signers: [rsa], signerIdentifier: 'ski' as 'subjectKeyIdentifier' }),
      'RangeError',
    ],
  ];
  for (const [name, options, code] of rows) {
    it(name, () => expect(codeOf(() => signData(CONTENT, options()))).toBe(code));
  }
  it('content that is no Uint8Array', () => {
    expect(codeOf(() => signData('text' as unknown as Uint8Array, { signers: [rsa] }))).toBe('TypeError');
  });
});

/** A SEQUENCE in a SEQUENCE, `depth` times. */
function nested(depth: number): Uint8Array {
  let value: Uint8Array = new Uint8Array();
  for (let i = 0; i < depth; i++) {
    const inner = value;
    value = writeDer((w) => w.sequence((w) => w.raw(inner)));
  }
  return value;
}

/** Length and content, in 2 octets of length, of a SET with one attribute that is nested deep. */
function deep(depth: number): Uint8Array {
  const one = attribute('1.2.3', (w) => w.raw(nested(depth)));
  return concat([Uint8Array.of(one.length >>> 8, one.length & 0xff), one]);
}

/** An attribute whose type has these octets. */
function typed(oid: Uint8Array): Uint8Array {
  return writeDer((w) =>
    w.sequence((w) => {
      w.tagged(Tag.OID, oid);
      w.set((w) => w.null());
    }),
  );
}

describe('what verifies, and what does not', () => {
  const sorted = [typeAttribute(), digestAttribute()];
  const unsorted = [...sorted].reverse();
  const attributeSet = writeDer((w) => w.setOf(sorted));
  const asSent = writeDer((w) =>
    w.set((w) => {
      for (const one of unsorted) w.raw(one);
    }),
  );
  const sequence = writeDer((w) => w.sequence((w) => w.utf8('PKCS#7 content')));
  const inner = sequence.subarray(2);
  const ed = (oid: string): Forgery => ({
    hash: null,
    signatureAlgorithm: (w) => w.sequence((w) => w.oid(oid)),
  });
  const shakeDigest = createHash('shake256', { outputLength: 64 }).update(CONTENT).digest();
  const ed448Shake: Forgery = {
    ...ed(OID.Ed448),
    digestOid: OID.shake256,
    attributes: [typeAttribute(), attribute(OID.messageDigest, (w) => w.octets(shakeDigest))],
  };
  const shake = (bits: number) => (w: DerWriter) =>
    w.sequence((w) => {
      w.oid(OID.shake256Len);
      w.integer(bits);
    });
  const rows: [name: string, signer: Person, forgery: Forgery, outcome: string][] = [
    ['contentType and messageDigest are enough', p256, {}, 'valid'],
    ['no signed attributes: the signature is over the content', p256, { attributes: null }, 'valid'],
    ['an unsorted set, signed sorted as RFC 5652 wants it', p256, { attributes: unsorted }, 'valid'],
    ['an unsorted set, signed as it was sent', p256, { attributes: unsorted, signedOctets: asSent }, 'valid'],
    ['an unknown attribute', p256, { attributes: [...sorted, attribute('1.2.3', (w) => w.null())] }, 'valid'],
    [
      'PKCS#7 content that is no OCTET STRING: the digest is over its content octets',
      p256,
      { contentType: '1.3.6.1.4.1.311.2.1.4', content: inner, eContent: sequence },
      'valid',
    ],
    [
      'the same with a digest over tag and length as well',
      p256,
      { contentType: '1.3.6.1.4.1.311.2.1.4', content: sequence, eContent: sequence },
      'CONTENT_CHANGED',
    ],
    [
      'the octets [0] A0 signed instead of the SET 31',
      p256,
      { signedOctets: Uint8Array.of(0xa0, ...attributeSet.subarray(1)) },
      'SIGNATURE_INVALID',
    ],
    ['no contentType', p256, { attributes: [digestAttribute()] }, 'CMS_MALFORMED'],
    ['no messageDigest', p256, { attributes: [typeAttribute()] }, 'CMS_MALFORMED'],
    ['an empty set of attributes', p256, { attributes: [] }, 'CMS_MALFORMED'],
    ['contentType twice', p256, { attributes: [typeAttribute(), ...sorted] }, 'CMS_MALFORMED'],
    [
      'messageDigest twice, the second one true',
      p256,
      { attributes: [typeAttribute(), digestAttribute(utf8('x')), digestAttribute()] },
      'CMS_MALFORMED',
    ],
    [
      'contentType with two values',
      p256,
      {
        attributes: [
          attribute(
            OID.contentType,
            (w) => w.oid(OID.data),
            (w) => w.oid(OID.data),
          ),
          digestAttribute(),
        ],
      },
      'CMS_MALFORMED',
    ],
    [
      'messageDigest without a value',
      p256,
      { attributes: [typeAttribute(), attribute(OID.messageDigest)] },
      'CMS_MALFORMED',
    ],
    [
      'messageDigest that is no OCTET STRING',
      p256,
      { attributes: [typeAttribute(), attribute(OID.messageDigest, (w) => w.null())] },
      'ASN1_UNEXPECTED',
    ],
    [
      'contentType of another type than the content',
      p256,
      { attributes: [typeAttribute(OID.tstInfo), digestAttribute()] },
      'CONTENT_CHANGED',
    ],
    [
      'the digest of other content',
      p256,
      { attributes: [typeAttribute(), digestAttribute(utf8('other'))] },
      'CONTENT_CHANGED',
    ],
    [
      'the digest of other content under a signature that is none',
      p256,
      { attributes: [typeAttribute(), digestAttribute(utf8('other'))], signedOctets: utf8('x') },
      'SIGNATURE_INVALID',
    ],
    [
      'no signed attributes, and content of another type than data',
      p256,
      { attributes: null, contentType: OID.tstInfo },
      'CMS_MALFORMED',
    ],
    [
      'signedAttrs confused with content: the signed attributes of a message sent as content',
      p256,
      { attributes: null, content: attributeSet },
      'SIGNATURE_INVALID',
    ],
    [
      'signedAttrs confused with content, in BER',
      p256,
      { attributes: null, content: toBer(attributeSet) },
      'SIGNATURE_INVALID',
    ],
    ...(
      [
        ['nested deeper than we parse', [...sorted, attribute('1.2.3', (w) => w.raw(nested(200)))]],
        ['of a type that is no valid OID', [...sorted, typed(fromHex('80'))]],
        ['of a type without octets', [...sorted, typed(new Uint8Array())]],
        ['without values', [...sorted, attribute('1.2.3')]],
        ['with a value of bad length', [...sorted, attribute('1.2.3', (w) => w.raw(fromHex('30020405')))]],
        ['with a bad tag in a value', [...sorted, attribute('1.2.3', (w) => w.raw(fromHex('30030001ff')))]],
        ['with a value of no octets', [...sorted, attribute('1.2.3', (w) => w.raw(fromHex('0200')))]],
      ] as const
    ).map(([what, attributes]): [string, Person, Forgery, string] => [
      `signedAttrs confused with content, one of them ${what}`,
      p256,
      { attributes: null, content: writeDer((w) => w.setOf(attributes)) },
      'SIGNATURE_INVALID',
    ]),
    [
      'signedAttrs confused with content, nested deep and with the length in BER',
      p256,
      { attributes: null, content: concat([fromHex('3184'), fromHex('0000'), deep(300)]) },
      'SIGNATURE_INVALID',
    ],
    [
      'content that begins like a SET and is text',
      p256,
      { attributes: null, content: utf8('1 apple') },
      'valid',
    ],
    [
      'content that begins like a SET and is a longer text',
      p256,
      { attributes: null, content: utf8('1\r\n12 apples and pears\r\n') },
      'valid',
    ],
    ['a SET of something else', p256, { attributes: null, content: fromHex('3103020101') }, 'valid'],
    [
      'a signing time that is not signed',
      p256,
      { unsigned: [attribute(OID.signingTime, (w) => w.time(TIME))] },
      'CMS_MALFORMED',
    ],
    ['an unsigned attribute', p256, { unsigned: [attribute(OID.timeStampToken, (w) => w.null())] }, 'valid'],
    ['another digest than the signature has', p256, { digestOid: OID.sha384 }, 'CMS_MALFORMED'],
    [
      'the digest MD4',
      rsa,
      { hash: 'md5', digestOid: OID.md4, signatureAlgorithm: RSA },
      'UNSUPPORTED_ALGORITHM',
    ],
    [
      'MD5 in the signature, and another digest',
      rsa,
      { hash: 'md5', signatureAlgorithm: (w) => w.sequence((w) => w.oid(OID.md5WithRSAEncryption)) },
      'UNSUPPORTED_ALGORITHM',
    ],
    ['Ed25519 over signed attributes', ed25519, { ...ed(OID.Ed25519), digestOid: OID.sha512 }, 'valid'],
    [
      'Ed25519 over bare content',
      ed25519,
      { ...ed(OID.Ed25519), digestOid: OID.sha512, attributes: null },
      'valid',
    ],
    [
      'Ed25519, signedAttrs confused with content',
      ed25519,
      { ...ed(OID.Ed25519), digestOid: OID.sha512, attributes: null, content: attributeSet },
      'SIGNATURE_INVALID',
    ],
    ['Ed25519 with a SHA-256 digest (RFC 8419 2.3)', ed25519, ed(OID.Ed25519), 'CMS_MALFORMED'],
    ['Ed448 with SHAKE256, its length said', ed448, { ...ed448Shake, digestAlgorithm: shake(512) }, 'valid'],
    ['Ed448 with SHAKE256, its length not said (RFC 8702)', ed448, ed448Shake, 'valid'],
    ['Ed448 over bare content', ed448, { ...ed448Shake, attributes: null }, 'valid'],
    [
      'Ed448 with SHAKE256 of 32 octets',
      ed448,
      { ...ed448Shake, digestAlgorithm: shake(256) },
      'UNSUPPORTED_ALGORITHM',
    ],
    [
      'Ed448 with id-shake256-len that says no length',
      ed448,
      { ...ed448Shake, digestOid: OID.shake256Len },
      'CMS_MALFORMED',
    ],
    ['Ed448 with a SHA-512 digest', ed448, { ...ed(OID.Ed448), digestOid: OID.sha512 }, 'CMS_MALFORMED'],
    ['an Ed448 signature by an Ed25519 key', ed25519, ed448Shake, 'KEY_UNSUITABLE'],
    [
      'rsaEncryption with SHAKE256, which PKCS#1 does not have',
      rsa,
      { digestOid: OID.shake256, signatureAlgorithm: RSA },
      'UNSUPPORTED_ALGORITHM',
    ],
    [
      'RSA with SHA3-256 (RFC 9688)',
      rsa,
      {
        hash: 'sha3-256',
        digestOid: OID.sha3_256,
        signatureAlgorithm: (w) => w.sequence((w) => w.oid(OID.rsaWithSHA3_256)),
      },
      'valid',
    ],
    ['a digest nobody knows', p256, { digestOid: '1.2.3.4' }, 'UNSUPPORTED_ALGORITHM'],
    [
      'DSA',
      p256,
      { signatureAlgorithm: (w) => w.sequence((w) => w.oid(OID.dsaWithSha256)) },
      'UNSUPPORTED_ALGORITHM',
    ],
    [
      'ECDSA named by the key type, as old implementations did',
      p256,
      { signatureAlgorithm: (w) => w.sequence((w) => w.oid(OID.ecPublicKey)) },
      'UNSUPPORTED_ALGORITHM',
    ],
    ['an RSA signature by an EC key', p256, { signatureAlgorithm: RSA }, 'KEY_UNSUITABLE'],
    ['an ECDSA signature by an RSA key', rsa, {}, 'KEY_UNSUITABLE'],
    ['rsaEncryption, the hash by digestAlgorithm', rsa, { signatureAlgorithm: RSA }, 'valid'],
    [
      'sha384WithRSAEncryption with a SHA-256 digest',
      rsa,
      { signatureAlgorithm: (w) => w.sequence((w) => w.oid(OID.sha384WithRSAEncryption)) },
      'CMS_MALFORMED',
    ],
  ];
  for (const [name, signer, forgery, expected] of rows) {
    it(`${name}: ${expected}`, () => {
      const message = forge(signer, forgery);
      expect(outcome(only(verify(message)))).toBe(expected);
      if (forgery.attributes === undefined) expect(outcome(only(verify(inBer(message))))).toBe(expected);
    });
  }

  for (const [hash, digestOid] of [
    ['sha1', OID.sha1],
    ['md5', OID.md5],
  ] as const) {
    it(`${hash} verifies and is reported as weak`, () => {
      const result = only(verify(forge(rsa, { hash, digestOid, signatureAlgorithm: RSA })));
      expect(outcome(result)).toBe('valid');
      expect(result.weak).toBe(true);
    });
  }

  it('an unsupported algorithm is named', () => {
    const { error } = only(verify(forge(rsa, { hash: 'md5', digestOid: OID.md4, signatureAlgorithm: RSA })));
    expect(error?.oid).toBe(OID.md4);
    expect(error?.message).toContain('md4');
  });

  it('values in BER inside the attributes are signed as DER', () => {
    const value = fromHex('30800101050000'); // SEQUENCE of indefinite length with TRUE as 05
    const der = [...sorted, attribute('1.2.3', (w) => w.raw(fromHex('30030101ff')))];
    const sent = [...sorted, attribute('1.2.3', (w) => w.raw(value))];
    const message = forge(p256, { attributes: sent, signedOctets: writeDer((w) => w.setOf(der)) });
    expect(outcome(only(verify(message)))).toBe('valid');
  });
});

describe('content', () => {
  const attached = signData(CONTENT, { signers: [p256] });
  const detached = signData(CONTENT, { signers: [p256], detached: true });
  it('detached, and not given', () => expect(codeOf(() => verify(detached))).toBe('CONTENT_MISSING'));
  it('detached, and changed', () => {
    expect(outcome(only(verify(detached, { content: utf8('changed') })))).toBe('CONTENT_CHANGED');
  });
  it('attached, and another one given beside it', () => {
    expect(codeOf(() => verify(attached, { content: utf8('other') }))).toBe('CONTENT_CHANGED');
  });
  it('attached, and the same one given', () => {
    expect(outcome(only(verify(attached, { content: CONTENT })))).toBe('valid');
  });
  it("a caller's Buffer is not changed by verifying it", () => {
    const given = Buffer.from(attached);
    expect(outcome(only(verify(given)))).toBe('valid');
    expect(given.equals(attached)).toBe(true);
  });
  it('empty content', () => {
    expect(outcome(only(verify(signData(new Uint8Array(), { signers: [p256] }))))).toBe('valid');
  });
  it('no signer: NOT_SIGNED, and the certificates can be read', () => {
    const certsOnly = writeDer((w) =>
      w.sequence((w) => {
        w.oid(OID.signedData);
        w.explicit(0, (w) =>
          w.sequence((w) => {
            w.integer(1);
            w.setOf([]);
            w.sequence((w) => w.oid(OID.data));
            w.implicitSetOf(0, [rsa.certificate.der, fromHex('a003020101')]);
            w.setOf([]);
          }),
        );
      }),
    );
    const signed = parse(certsOnly);
    expect(signed.certificates.map(({ der }) => equal(der, rsa.certificate.der))).toEqual([true]);
    expect(signed.otherCertificates).toHaveLength(1);
    expect(codeOf(() => verifySignedData(signed, { content: CONTENT }))).toBe('NOT_SIGNED');
  });
  it(`more than ${MAX_SIGNERS} signers are not even looked at`, () => {
    const signers = Array.from({ length: MAX_SIGNERS + 1 }, () => p256);
    expect(codeOf(() => verify(signData(CONTENT, { signers })))).toBe('LIMIT_COST');
  });
  it('another content type where SignedData is wanted', () => {
    const data = writeDer((w) =>
      w.sequence((w) => {
        w.oid(OID.data);
        w.explicit(0, (w) => w.octets(CONTENT));
      }),
    );
    expect(codeOf(() => parse(data))).toBe('UNSUPPORTED_FEATURE');
  });
});

describe('round trips', () => {
  const people = [
    rsa,
    { ...rsa, scheme: 'rsassa-pss' as const },
    p256,
    p384,
    p521,
    ed25519,
    ed448,
    ...brainpool,
  ];
  const digests = [undefined, 'sha256', 'sha384', 'sha512'] as const;
  /** The digests' blocks have 64, 72, 128 and 136 octets. */
  const lengths = [0, 1, 63, 64, 65, 71, 72, 73, 127, 128, 129, 135, 136, 137, 1 << 20];
  const signer = fc.record({ who: fc.constantFrom(...people), digest: fc.constantFrom(...digests) });
  const message = fc.record({
    signers: fc.array(signer, { minLength: 1, maxLength: 4 }),
    length: fc.oneof(fc.constantFrom(...lengths), fc.nat(10_000)),
    detached: fc.boolean(),
    contentType: fc.constantFrom(OID.data, OID.tstInfo),
    signerIdentifier: fc.constantFrom('issuerAndSerialNumber' as const, 'subjectKeyIdentifier' as const),
  });

  it('whatever signs whatever, it verifies, and no longer over other content', () => {
    fc.assert(
      fc.property(message, ({ signers, length, detached, ...options }) => {
        const content = Buffer.alloc(length, 'content ');
        const fitting = signers.map(({ who, digest }) => {
          const isEdwards = who.certificate.publicKey.algorithm.startsWith('ed');
          return isEdwards || digest === undefined ? who : { ...who, digest };
        });
        const made = signData(content, { ...options, signers: fitting, detached });
        parseDer(made, { strict: true });
        const results = verify(made, detached ? { content } : {});
        expect(results.map(outcome)).toEqual(fitting.map(() => 'valid'));
        const other = Buffer.concat([content, Buffer.alloc(1)]);
        if (detached) {
          const changed = verify(made, { content: other });
          expect(changed.map(outcome)).toEqual(fitting.map(() => 'CONTENT_CHANGED'));
        } else expect(codeOf(() => verify(made, { content: other }))).toBe('CONTENT_CHANGED');
      }),
      { numRuns: 60 },
    );
  });
});

describe('changed messages', () => {
  /** Verifies what somebody changed. A valid result must be about the same content, attributes and key. */
  function attack(changed: Uint8Array, what: string): boolean {
    let results: SignerResult[];
    let content: Uint8Array | undefined;
    try {
      const signed = parse(changed);
      content = signed.content;
      results = verifySignedData(signed);
    } catch (error) {
      if (!(error instanceof MailsealError)) throw new Error(`${what}: ${error}`, { cause: error });
      return false;
    }
    const valid = results.filter((result) => result.valid);
    for (const result of valid) {
      expect(equal(content as Uint8Array, CONTENT), what).toBe(true);
      expect(result.certificate?.publicKey.equals(p256.certificate.publicKey), what).toBe(true);
      expect(result.signedAttributes?.signingTime, what).toEqual(TIME);
      expect(result.signedAttributes?.contentType, what).toBe(OID.data);
    }
    return valid.length > 0;
  }

  const message = signData(CONTENT, { signers: [p256], signingTime: TIME });
  for (const [form, encoded] of [
    ['DER', message],
    ['BER', inBer(message)],
  ] as const) {
    it(`${form}: every octet changed never makes another message valid`, () => {
      let valid = 0;
      for (let at = 0; at < encoded.length; at++) {
        for (const flip of [0x01, 0x20, 0x80, 0xff]) {
          const changed = encoded.slice();
          changed[at] = (changed[at] as number) ^ flip;
          if (attack(changed, `octet ${at} ^ ${flip}`)) valid++;
        }
      }
      // Most of a message is content, attributes, signature and key: a change of little else goes unnoticed.
      expect(valid).toBeGreaterThan(0);
      expect(valid / (encoded.length * 4)).toBeLessThan(0.5);
    });

    it(`${form}: cut at every octet, it is never valid`, () => {
      for (let length = 0; length < encoded.length; length++) {
        expect(attack(encoded.slice(0, length), `cut at ${length}`)).toBe(false);
      }
    });
  }
});
