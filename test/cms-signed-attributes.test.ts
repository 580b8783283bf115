/** Signed attributes of S/MIME and ESS, CMSAlgorithmProtection and counter-signatures: read, written, held to their rules. */
import { createHash, createPrivateKey, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { parseDer } from '../src/asn1/tape.js';
import { readString } from '../src/asn1/values.js';
import { type DerWriter, writeDer } from '../src/asn1/write.js';
import { concat, fromHex, toHex } from '../src/bytes.js';
import { contentOfType, readContentInfo } from '../src/cms/content.js';
import { type CertificateIdentifier, describeIdentifier, identifies } from '../src/cms/identifiers.js';
import {
  MAX_SIGNERS,
  SignedData,
  type Signer,
  type SignerResult,
  signData,
  type VerifyOptions,
  verifySignedData,
} from '../src/cms/signed.js';
import { writeAlgorithmProtection } from '../src/cms/smimeattributes.js';
import { MAX_SIGNATURE_CHECKS } from '../src/cms/verification.js';
import { MailsealError } from '../src/errors.js';
import { verify as verifyMessage } from '../src/smime/verify.js';
import { Certificate } from '../src/x509/certificate.js';
import { attribute, CONTENT, digestAttribute, forge, typeAttribute } from './helpers/forge.js';
import { issueCertificate, type Person, person } from './helpers/pki.js';
import { readVector } from './helpers/vectors.js';

const ca = issueCertificate({ subject: 'Test CA', ca: true });
const alice = person({ subject: 'Alice', key: 'P-256', emails: ['alice@example.org'], issuer: ca });
const bob = person({ subject: 'Bob', key: 'P-256', issuer: ca });
const other = person({ subject: 'Alice', key: 'P-384', emails: ['alice@example.org'], issuer: ca });
/** Alice's key in another certificate, which has the same key identifier. */
const renewed: Person = person({ subject: 'Alice', key: alice.issued.privateKey, issuer: ca });
const BASIC = [typeAttribute(), digestAttribute()];
const sha = (name: string, bytes: Uint8Array) => createHash(name).update(bytes).digest();

function results(message: Uint8Array, options?: VerifyOptions): SignerResult[] {
  return verifySignedData(SignedData.parse(contentOfType(readContentInfo(message), OID.signedData)), options);
}
function only(message: Uint8Array, options?: VerifyOptions): SignerResult {
  const all = results(message, options);
  expect(all).toHaveLength(1);
  return all[0] as SignerResult;
}
const outcome = ({ valid, error }: SignerResult) => (valid ? 'valid' : error?.code);
const vector = (name: string) => readVector('made-with-bouncycastle', name);
const names = ({ signedAttributes }: SignerResult) => signedAttributes?.capabilities?.map(({ name }) => name);

/** Each with two key wraps. */
const AGREEMENT = ['512', '384', '256'].flatMap((bits) => Array(2).fill(`dhSinglePassStdDhSha${bits}Kdf`));

describe('what we write', () => {
  const message = signData(CONTENT, { signers: [{ ...alice, encryptionCertificate: other.certificate }] });
  const { signedAttributes, ...result } = only(message);

  it('has every attribute once, in DER order', () => {
    expect(result.valid).toBe(true);
    const oids = signedAttributes?.all.map(({ oid }) => oid);
    expect([...(oids as string[])].sort()).toEqual(
      [
        OID.contentType,
        OID.signingTime,
        OID.messageDigest,
        OID.smimeCapabilities,
        OID.signingCertificateV2,
        OID.cmsAlgorithmProtection,
        OID.encrypKeyPref,
      ].sort(),
    );
    const encoded = signedAttributes?.all.map(({ node }) => toHex(node.bytes)) as string[];
    expect(encoded).toEqual([...encoded].sort());
  });

  it('says what we decrypt, authenticated ciphers first', () => {
    const capabilities = signedAttributes?.capabilities ?? [];
    expect(capabilities.map(({ name }) => name)).toEqual([
      'aes256Gcm',
      'aes128Gcm',
      'aeadChaCha20Poly1305',
      'aes256Cbc',
      'aes192Cbc',
      'aes128Cbc',
      'cekHkdfSha256',
      ...AGREEMENT,
      'rsaesOaep',
    ]);
    const { parameters } = capabilities.at(-1) ?? {};
    // RSAES-OAEP-params (RFC 4055 4.1): SHA-256, MGF1 with SHA-256, no label.
    expect(toHex(parameters as Uint8Array)).toBe(
      '302fa00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500',
    );
  });

  it('says how it agrees on keys where the certificate to answer to is for that', () => {
    const [, parameters] = (signedAttributes?.capabilities ?? []).filter(({ name }) => name === AGREEMENT[0]);
    // KeyWrapAlgorithm (RFC 5753): AES-128 key wrap without parameters.
    expect(toHex(parameters?.parameters as Uint8Array)).toBe('300b0609608648016503040105');
    const agreed = (signer: Signer) =>
      names(only(signData(CONTENT, { signers: [signer] })))?.filter((name) => name?.startsWith('dhSingle'));
    const rsa = person({ subject: 'R', issuer: ca, key: 'rsa' });
    const onlySigns = person({ subject: 'S', issuer: ca, keyUsage: ['digitalSignature'] });
    const x25519 = person({ subject: 'X', issuer: ca, key: 'x25519' });
    expect(agreed(alice)).toEqual(AGREEMENT);
    expect(agreed(rsa)).toEqual([]);
    expect(agreed(onlySigns)).toEqual([]);
    expect(agreed({ ...onlySigns, encryptionCertificate: alice.certificate })).toEqual(AGREEMENT);
    expect(agreed({ ...alice, encryptionCertificate: rsa.certificate })).toEqual([]);
    expect(agreed({ ...rsa, encryptionCertificate: x25519.certificate })).toEqual(
      ['512', '384', '256'].flatMap((bits) => Array(2).fill(`dhSinglePassStdDhHkdfSha${bits}`)),
    );
  });

  it.each(['issuerAndSerialNumber', 'subjectKeyIdentifier'] as const)(
    'names the encryption certificate by %s',
    (by) => {
      const signers: Signer[] = [{ ...alice, encryptionCertificate: other.certificate }];
      const sent = signData(CONTENT, { signers, signerIdentifier: by });
      parseDer(sent, { strict: true });
      expect(only(sent).signedAttributes?.encryptionKeyPreference?.type).toBe(by);
    },
  );

  it('brings the encryption certificate, which the verdict finds', async () => {
    const verdict = await verifyMessage(message, { trust: [Certificate.parse(ca.certificate)] });
    expect(verdict.problems).toEqual([]);
    const [signer] = verdict.signers;
    expect(signer?.encryptionCertificate?.equals(other.certificate)).toBe(true);
    expect(signer?.certificate?.equals(alice.certificate)).toBe(true);
    expect(signer?.capabilities?.[0]?.oid).toBe(OID.aes256Gcm);
  });

  it.each([
    ['for signing only', { keyUsage: ['digitalSignature'] as const }],
    ['expired', { notAfter: new Date('2021-01-01') }],
  ])('refuses an encryption certificate that is %s', (_, input) => {
    const { certificate } = person({ subject: 'E', issuer: ca, ...input });
    expect(() => signData(CONTENT, { signers: [{ ...alice, encryptionCertificate: certificate }] })).toThrow(
      expect.objectContaining({ code: 'KEY_UNSUITABLE' }),
    );
  });
});

describe('SMIMECapabilities and SMIMEEncryptionKeyPreference of others', () => {
  it.each(['issuer', 'recipient', 'subject', 'microsoft'])('Bouncy Castle, %s', async (form) => {
    const message = vector(`preference-${form}.p7m`);
    const result = only(message);
    expect(outcome(result)).toBe('valid');
    expect(names(result)).toEqual(['aes256Cbc', 'desEde3Cbc', 'rc2CBC']);
    expect(toHex(result.signedAttributes?.capabilities?.[2]?.parameters as Uint8Array)).toBe('02020080');
    const verdict = await verifyMessage(message, { trust: [] });
    const preference = result.signedAttributes?.encryptionKeyPreference as CertificateIdentifier;
    expect(identifies(preference, Certificate.parse(vector('p256.crt')))).toBe(true);
    // It is in the message, but not trusted, and has no address of the signer.
    expect(verdict.signers[0]).not.toHaveProperty('encryptionCertificate');
    const byKey = form === 'recipient' || form === 'subject';
    expect(verdict.signers[0]?.encryptionKeyPreference?.type).toBe(
      byKey ? 'subjectKeyIdentifier' : 'issuerAndSerialNumber',
    );
  });

  it('a RecipientKeyIdentifier with a date and more', () => {
    const value = (w: DerWriter) =>
      w.implicitConstructed(1, (w) => {
        w.octets(fromHex('0102'));
        w.tagged(0x18, Buffer.from('20260102030405Z'));
        w.sequence((w) => w.oid('1.2.3'));
      });
    const result = only(forge(alice, { attributes: [...BASIC, attribute(OID.encrypKeyPref, value)] }));
    expect(outcome(result)).toBe('valid');
    const preference = result.signedAttributes?.encryptionKeyPreference;
    expect(preference && describeIdentifier(preference)).toBe('key identifier 0102');
  });

  it('advice that can not be read is left out, and says nothing about the signature', async () => {
    const attributes = [
      ...BASIC,
      attribute(OID.smimeCapabilities, (w) => w.sequence((w) => w.integer(1))),
      attribute(OID.encrypKeyPref, (w) => w.null()),
    ];
    const result = only(forge(alice, { attributes }));
    expect(outcome(result)).toBe('valid');
    expect(result.signedAttributes?.capabilities).toBeUndefined();
    expect(result.signedAttributes?.encryptionKeyPreference).toBeUndefined();
    expect(result.signedAttributes?.all).toHaveLength(4);
  });

  it('attributes that nothing reads are kept', async () => {
    const attributes = [...BASIC, attribute('1.2.3.4', (w) => w.utf8('kept'))];
    const { signers } = await verifyMessage(forge(alice, { attributes }), { trust: [] });
    const kept = signers[0]?.signedAttributes?.find(({ oid }) => oid === '1.2.3.4');
    expect(kept?.values.map(readString)).toEqual(['kept']);
    expect(signers[0]?.signedAttributes).toHaveLength(3);
  });

  it('of a signer that is not valid nothing is passed on', async () => {
    const message = signData(CONTENT, { signers: [{ ...alice, encryptionCertificate: other.certificate }] });
    const at = Buffer.from(message).indexOf(sha('sha256', CONTENT));
    message[at] = (message[at] as number) ^ 1;
    const { signers } = await verifyMessage(message, { trust: [] });
    expect(signers[0]?.signatureValid).toBe(false);
    const keys = ['capabilities', 'encryptionKeyPreference', 'encryptionCertificate', 'signingTime'];
    for (const key of [...keys, 'signedAttributes']) {
      expect(signers[0]).not.toHaveProperty(key);
    }
  });
});

type Value = (w: DerWriter) => void;
const certId =
  (certificate: Certificate, hash = 'sha256', algorithm?: string, issuerSerial?: Value): Value =>
  (w) =>
    w.sequence((w) => {
      if (algorithm !== undefined) w.sequence((w) => w.oid(algorithm));
      w.octets(sha(hash, certificate.der));
      if (issuerSerial !== undefined) issuerSerial(w);
    });
const signingCertificate = (version: 1 | 2, ...ids: Value[]) =>
  attribute(version === 1 ? OID.signingCertificate : OID.signingCertificateV2, (w) =>
    w.sequence((w) => w.sequence((w) => ids.map((id) => id(w)))),
  );
const issuerSerial =
  ({ issuer, serialNumber }: Certificate): Value =>
  (w) =>
    w.sequence((w) => {
      w.sequence((w) => w.explicit(4, (w) => w.raw(issuer.der)));
      w.tagged(0x02, serialNumber);
    });

describe('signing certificates (RFC 5035)', () => {
  const mine = alice.certificate;
  const theirs = bob.certificate;
  const v2 = (...ids: Value[]) => signingCertificate(2, ...ids);
  const rows: [name: string, attributes: Uint8Array[], outcome: string][] = [
    ['version 2 names the certificate', [v2(certId(mine))], 'valid'],
    ['version 2, SHA-256 named', [v2(certId(mine, 'sha256', OID.sha256))], 'valid'],
    ['version 2, SHA-512', [v2(certId(mine, 'sha512', OID.sha512))], 'valid'],
    ['version 2, SHA3-256', [v2(certId(mine, 'sha3-256', OID.sha3_256))], 'valid'],
    ['version 1', [signingCertificate(1, certId(mine, 'sha1'))], 'valid'],
    ['both versions', [signingCertificate(1, certId(mine, 'sha1')), v2(certId(mine))], 'valid'],
    ['with issuer and serial number', [v2(certId(mine, 'sha256', undefined, issuerSerial(mine)))], 'valid'],
    ['another certificate follows', [v2(certId(mine), certId(theirs))], 'valid'],
    ['another certificate', [v2(certId(theirs))], 'SIGNATURE_INVALID'],
    ['another certificate comes first', [v2(certId(theirs), certId(mine))], 'SIGNATURE_INVALID'],
    [
      'version 1 names another certificate than version 2',
      [signingCertificate(1, certId(theirs, 'sha1')), v2(certId(mine))],
      'SIGNATURE_INVALID',
    ],
    [
      'another serial number beside the right hash',
      [v2(certId(mine, 'sha256', undefined, issuerSerial(theirs)))],
      'SIGNATURE_INVALID',
    ],
    ['the hash of another algorithm', [v2(certId(mine, 'sha512'))], 'SIGNATURE_INVALID'],
    ['MD5', [v2(certId(mine, 'md5', OID.md5))], 'UNSUPPORTED_ALGORITHM'],
    ['no certificate at all', [v2()], 'ASN1_UNEXPECTED'],
    ['twice', [v2(certId(mine)), v2(certId(mine))], 'CMS_MALFORMED'],
  ];
  it.each(rows)('%s', (_, attributes, expected) => {
    expect(outcome(only(forge(alice, { attributes: [...BASIC, ...attributes] })))).toBe(expected);
  });

  it.each([
    ['signing-certificate', 'valid'],
    ['signing-certificate-v2', 'valid'],
    ['signing-certificate-v2-sha512', 'valid'],
    ['signing-certificate-of-another', 'SIGNATURE_INVALID'],
  ])('Bouncy Castle: %s', (name, expected) => {
    const result = only(vector(`${name}.p7m`));
    expect(outcome(result)).toBe(expected);
    if (expected !== 'valid') expect(result.error?.message).toContain('another certificate');
  });

  it('substituted certificate (RFC 5035 section 1): one key, two certificates; the signed one is reported', () => {
    const { keyIdentifier } = mine.publicKey;
    for (const named of [mine, renewed.certificate]) {
      const attributes = [...BASIC, v2(certId(named))];
      const result = only(forge(alice, { attributes, keyIdentifier, others: [renewed] }));
      expect(outcome(result)).toBe('valid');
      expect(result.certificate?.equals(named)).toBe(true);
    }
    const message = signData(CONTENT, {
      signers: [alice],
      signerIdentifier: 'subjectKeyIdentifier',
      includeCertificates: false,
    });
    expect(outcome(only(message, { certificates: [renewed.certificate, mine] }))).toBe('valid');
    expect(outcome(only(message, { certificates: [renewed.certificate] }))).toBe('SIGNATURE_INVALID');
  });
});

describe('CMSAlgorithmProtection (RFC 6211)', () => {
  const algorithm = (oid: string, parameters: Value = () => {}) =>
    writeDer((w) =>
      w.sequence((w) => {
        w.oid(oid);
        parameters(w);
      }),
    );
  const protection = (digest: Uint8Array, signature: Uint8Array) =>
    attribute(OID.cmsAlgorithmProtection, (w) => writeAlgorithmProtection(w, digest, signature));
  const ecdsa = algorithm(OID.ecdsaWithSHA256);
  it.each<[string, Uint8Array, string]>([
    ['the same', protection(algorithm(OID.sha256), ecdsa), 'valid'],
    [
      'the same, with NULL',
      protection(
        algorithm(OID.sha256, (w) => w.null()),
        ecdsa,
      ),
      'valid',
    ],
    ['another digest', protection(algorithm(OID.sha384), ecdsa), 'SIGNATURE_INVALID'],
    [
      'another signature',
      protection(algorithm(OID.sha256), algorithm(OID.ecdsaWithSHA384)),
      'SIGNATURE_INVALID',
    ],
    [
      'other parameters',
      protection(
        algorithm(OID.sha256),
        algorithm(OID.ecdsaWithSHA256, (w) => w.integer(1)),
      ),
      'SIGNATURE_INVALID',
    ],
    [
      'a MAC in place of the signature',
      attribute(OID.cmsAlgorithmProtection, (w) =>
        w.sequence((w) => {
          w.raw(algorithm(OID.sha256));
          w.implicitConstructed(2, (w) => w.oid(OID.hmacWithSHA256));
        }),
      ),
      'ASN1_UNEXPECTED',
    ],
  ])('%s', (_, one, expected) => {
    expect(outcome(only(forge(alice, { attributes: [...BASIC, one] })))).toBe(expected);
  });
});

describe('attributes in the wrong place or number', () => {
  const anything: Value = (w) => w.sequence(() => {});
  const once: [string, string][] = [
    ['signingTime', OID.signingTime],
    ['SMIMECapabilities', OID.smimeCapabilities],
    ['SMIMEEncryptionKeyPreference', OID.encrypKeyPref],
    ['signingCertificate', OID.signingCertificate],
    ['signingCertificateV2', OID.signingCertificateV2],
    ['CMSAlgorithmProtection', OID.cmsAlgorithmProtection],
  ];
  it.each(once)('%s twice, without or with two values', (_, oid) => {
    for (const attributes of [
      [attribute(oid, anything), attribute(oid, anything)],
      [attribute(oid)],
      [attribute(oid, anything, anything)],
    ]) {
      expect(outcome(only(forge(alice, { attributes: [...BASIC, ...attributes] })))).toBe('CMS_MALFORMED');
    }
  });

  it.each(once)('%s unsigned, which must be signed', (_, oid) => {
    const result = only(forge(alice, { unsigned: [attribute(oid, anything)] }));
    expect(outcome(result)).toBe('CMS_MALFORMED');
  });

  it('a counter-signature that is signed (RFC 5652 11.4)', () => {
    const attributes = [...BASIC, attribute(OID.counterSignature, anything)];
    expect(outcome(only(forge(alice, { attributes })))).toBe('CMS_MALFORMED');
  });
});

/** A SignerInfo over `signature`, in an attribute. */
interface Counter {
  /** Encoded attributes; null: none. Default: the digest of what is signed. */
  attributes?: Uint8Array[] | null;
}

function counterSign(signer: Person, signature: Uint8Array, counter: Counter = {}): Uint8Array {
  const { attributes = [digestAttribute(signature)] } = counter;
  const signed = attributes === null ? signature : writeDer((w) => w.setOf(attributes));
  const key = createPrivateKey({ key: Buffer.from(signer.issued.privateKey), format: 'der', type: 'pkcs8' });
  const { issuer, serialNumber } = signer.certificate;
  return writeDer((w) =>
    w.sequence((w) => {
      w.integer(1);
      w.sequence((w) => {
        w.raw(issuer.der);
        w.integer(serialNumber);
      });
      w.sequence((w) => w.oid(OID.sha256));
      if (attributes !== null) w.implicitSetOf(0, attributes);
      w.sequence((w) => w.oid(OID.ecdsaWithSHA256));
      w.octets(sign('sha256', signed, key));
    }),
  );
}

const counters = (...infos: Uint8Array[]) =>
  attribute(
    OID.counterSignature,
    ...infos.map(
      (info): Value =>
        (w) =>
          w.raw(info),
    ),
  );
const signatureOf = (signerInfo: Uint8Array) => {
  const octets = parseDer(signerInfo).children.filter((child) => child.identifier === 0x04);
  return octets[0]?.content as Uint8Array;
};

/** The SignerInfo with unsigned attributes behind its signature. */
const withUnsigned = (signerInfo: Uint8Array, ...unsigned: Uint8Array[]) =>
  writeDer((w) =>
    w.sequence((w) => {
      w.raw(parseDer(signerInfo).content);
      w.implicitSetOf(1, unsigned);
    }),
  );

/** A message of Alice whose signature others have signed. */
function counterSigned(make: (signature: Uint8Array) => Uint8Array[]): SignerResult {
  // The signature is not known before the message is made, so the attribute is put into a message without any.
  const bare = forge(alice, { others: [bob, other], unsigned: [] });
  const info = SignedData.parse(contentOfType(readContentInfo(bare), OID.signedData)).signerInfos[0];
  const unsigned = make(info?.signature as Uint8Array);
  return only(replaceUnsigned(bare, unsigned));
}

/** The message with other unsigned attributes, every length written anew. */
function replaceUnsigned(message: Uint8Array, unsigned: Uint8Array[]): Uint8Array {
  const rewrite = (at: ReturnType<typeof parseDer>): Uint8Array => {
    if (at.identifier === 0xa1 && at.content.length === 0)
      return writeDer((w) => w.implicitSetOf(1, unsigned));
    if (!at.constructed) return at.bytes;
    const inner = concat(at.children.map(rewrite));
    return writeDer((w) => w.tagged(at.identifier, inner));
  };
  return rewrite(parseDer(message));
}

describe('counter-signatures (RFC 5652 11.4)', () => {
  it('one of Bouncy Castle, in Ed25519 over RSA, and two beside each other', async () => {
    const one = only(vector('counter-signed.p7m'));
    expect([one, ...one.counterSignatures].map((result) => [outcome(result), result.scheme?.kind])).toEqual([
      ['valid', 'rsa-pkcs1'],
      ['valid', 'ed25519'],
    ]);
    const two = only(vector('counter-signed-twice.p7m'));
    expect(two.counterSignatures.map((result) => [outcome(result), result.digest])).toEqual([
      ['valid', 'sha384'],
      ['valid', 'sha512'],
    ]);
    const trust = ['rsa.crt', 'ed25519.crt'].map((name) => Certificate.parse(vector(name)));
    const verdict = await verifyMessage(vector('counter-signed-twice.p7m'), { trust });
    expect(verdict.signers[0]?.counterSignatures.map(({ signatureValid }) => signatureValid)).toEqual([
      true,
      true,
    ]);
    expect(
      verdict.signers[0]?.counterSignatures.map(({ problems }) => problems.map(({ code }) => code)),
    ).toEqual([['NOT_TRUSTED'], []]);
    expect(verdict.problems).toEqual([]);
  });

  it('with signed attributes, without, in several attributes, and over each other', () => {
    const result = counterSigned((signature) => {
      const plain = counterSign(bob, signature, { attributes: null });
      const nested = withUnsigned(plain, counters(counterSign(other, signatureOf(plain))));
      return [counters(counterSign(bob, signature), nested), counters(counterSign(alice, signature))];
    });
    expect(outcome(result)).toBe('valid');
    expect(result.counterSignatures.map(outcome)).toEqual(['valid', 'valid', 'valid']);
    const nested = result.counterSignatures.flatMap(({ counterSignatures }) => counterSignatures);
    expect(nested.map(outcome)).toEqual(['valid']);
    expect(nested[0]?.certificate?.equals(other.certificate)).toBe(true);
  });

  const wrong: [name: string, (signature: Uint8Array) => Uint8Array, outcome: string][] = [
    ['over another signature', () => counterSign(bob, CONTENT), 'CONTENT_CHANGED'],
    ['over the content', () => counterSign(bob, CONTENT, { attributes: null }), 'SIGNATURE_INVALID'],
    [
      'with a contentType, which it must not have',
      (signature) =>
        counterSign(bob, signature, { attributes: [typeAttribute(), digestAttribute(signature)] }),
      'CMS_MALFORMED',
    ],
    [
      'without a messageDigest',
      (signature) => counterSign(bob, signature, { attributes: [attribute('1.2.3', (w) => w.null())] }),
      'CMS_MALFORMED',
    ],
    [
      'of someone whose certificate is not there',
      (signature) => counterSign(person({ subject: 'Carol' }), signature),
      'SIGNER_UNKNOWN',
    ],
    [
      'that names the certificate of another',
      (signature) => {
        const named = signingCertificate(2, certId(alice.certificate));
        return counterSign(bob, signature, { attributes: [digestAttribute(signature), named] });
      },
      'SIGNATURE_INVALID',
    ],
  ];
  it.each(wrong)('one %s is reported, and the signer stays valid', async (_, make, expected) => {
    const result = counterSigned((signature) => [counters(make(signature))]);
    expect(outcome(result)).toBe('valid');
    expect(result.counterSignatures.map(outcome)).toEqual([expected]);
  });

  it('a SignerInfo is no counter-signature of itself: taken from the message, its digest is of the content', () => {
    const result = counterSigned((signature) => {
      const bare = forge(alice, { others: [bob, other], unsigned: [] });
      const info = SignedData.parse(contentOfType(readContentInfo(bare), OID.signedData)).signerInfos[0];
      expect(signature).not.toEqual(info?.signature);
      return [counters(info?.node.bytes as Uint8Array)];
    });
    expect(result.counterSignatures.map(outcome)).toEqual(['CMS_MALFORMED']);
  });

  it('what is no SignerInfo, or no attribute, is reported and does not decide', () => {
    const noSignerInfo = attribute(OID.counterSignature, (w) => w.null());
    const result = counterSigned((signature) => [noSignerInfo, counters(counterSign(bob, signature))]);
    expect(outcome(result)).toBe('valid');
    expect(result.unsignedError?.code).toBe('ASN1_UNEXPECTED');
    expect(result.counterSignatures.map(outcome)).toEqual(['valid']);
    const noAttribute = counterSigned(() => [fromHex('0500')]);
    expect(outcome(noAttribute)).toBe('valid');
    expect(noAttribute.unsignedError?.code).toBe('CMS_MALFORMED');
    expect(noAttribute.counterSignatures).toEqual([]);
  });

  it.each(['counter-signed.p7m', 'counter-signed-twice.p7m'])(
    '%s, changed or cut: codes, and no other signer',
    (name) => {
      const message = vector(name);
      const signers = ['rsa.crt', 'ed25519.crt', 'p256.crt'].map(
        (one) => Certificate.parse(vector(one)).publicKey,
      );
      const attempt = (bytes: Uint8Array) => {
        try {
          for (const { valid, certificate, counterSignatures } of results(bytes)) {
            for (const one of [{ valid, certificate }, ...counterSignatures]) {
              const known = signers.some((key) => one.certificate?.publicKey.equals(key));
              expect(known || !one.valid).toBe(true);
            }
          }
        } catch (error) {
          expect(error).toBeInstanceOf(MailsealError);
        }
      };
      for (let at = 0; at < message.length; at++) {
        attempt(message.slice(0, at));
        const changed = message.slice();
        changed[at] = (changed[at] as number) ^ (at % 255 || 1);
        attempt(changed);
      }
    },
  );

  it('are not looked at beside a signature that does not match', () => {
    const result = only(
      forge(alice, { signedOctets: CONTENT, unsigned: [counters(counterSign(bob, CONTENT))] }),
    );
    expect(outcome(result)).toBe('SIGNATURE_INVALID');
    expect(result.counterSignatures).toEqual([]);
    expect(result.signerInfo.counterSignatureNodes).toHaveLength(1);
  });

  it(`no more than ${MAX_SIGNERS} signatures of one message are verified: each costs a public-key operation`, () => {
    const many = (count: number) =>
      counterSigned((signature) => [counters(...Array(count).fill(counterSign(bob, signature)))]);
    expect(many(MAX_SIGNERS - 1).unsignedError).toBeUndefined();
    for (const result of [many(MAX_SIGNERS), many(2000)]) {
      expect(outcome(result)).toBe('valid');
      expect(result.counterSignatures.map(outcome)).toEqual(new Array(MAX_SIGNERS - 1).fill('valid'));
      expect(result.unsignedError?.code).toBe('LIMIT_COST');
    }
  });
});

describe('certificates that a signer may mean', () => {
  const { issuer, serialNumber } = bob.certificate;
  const fakes = Array.from({ length: 7 }, () =>
    person({
      subject: 'Bob',
      key: 'P-256',
      issuerName: issuer.der,
      serialNumber: BigInt(`0x${toHex(serialNumber)}`),
    }),
  );

  /** The message with its signer many times. */
  function repeated(message: Uint8Array, count: number): Uint8Array {
    const [type, content] = parseDer(message).children;
    const children = content?.children[0]?.children ?? [];
    const [signerInfo] = children.at(-1)?.children ?? [];
    return writeDer((w) =>
      w.sequence((w) => {
        w.raw(type?.bytes as Uint8Array);
        w.explicit(0, (w) =>
          w.sequence((w) => {
            for (const child of children.slice(0, -1)) w.raw(child.bytes);
            w.set((w) => {
              for (let i = 0; i < count; i++) w.raw(signerInfo?.bytes as Uint8Array);
            });
          }),
        );
      }),
    );
  }

  it('copies of one certificate are one', () => {
    const result = only(forge(alice, { others: new Array(20).fill(alice) }));
    expect(outcome(result)).toBe('valid');
    const [eighth, ...seven] = fakes as [Person, ...Person[]];
    expect(outcome(only(forge(bob, { others: fakes })))).toBe('valid');
    const ninth = person({
      subject: 'Bob',
      issuerName: issuer.der,
      serialNumber: BigInt(`0x${toHex(serialNumber)}`),
    });
    expect(outcome(only(forge(bob, { others: [eighth, ninth, ...seven] })))).toBe('LIMIT_COST');
  });

  it('public-key operations are counted over the whole message', () => {
    const wrong = repeated(forge(bob, { signedOctets: CONTENT, others: fakes }), MAX_SIGNERS);
    const outcomes = results(wrong).map(outcome);
    const tried = outcomes.indexOf('LIMIT_COST');
    expect(tried).toBeGreaterThan(0);
    expect(tried).toBeLessThanOrEqual(MAX_SIGNATURE_CHECKS / 8);
    const limited = new Array(MAX_SIGNERS - tried).fill('LIMIT_COST');
    expect(outcomes).toEqual([...new Array(tried).fill('SIGNATURE_INVALID'), ...limited]);
    expect(results(repeated(forge(bob), MAX_SIGNERS)).map(outcome)).toEqual(
      new Array(MAX_SIGNERS).fill('valid'),
    );
  });
});
