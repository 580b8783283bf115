/**
 * Key agreement with a key that the sender makes for one message (KeyAgreeRecipientInfo, RFC 5652 6.2.2): ECDH with the
 * KDF of X9.63 (RFC 5753), X25519 and X448 with HKDF (RFC 8418), each KDF with either kind of key when reading. The
 * cofactor of every curve here is 1 or part of its function, so that both kinds of ECDH are one.
 * What is agreed with a point that is not on the curve, or of small order, is OpenSSL's to refuse; here it is one more way
 * of not opening. Refused: senders with a certificate (static-static), Diffie-Hellman of RFC 2631, MQV.
 * Used by opening.ts, enveloping.ts and choice.ts.
 */
import { createECDH, createHash, diffieHellman, generateKeyPairSync, hkdfSync } from 'node:crypto';
import { type AlgorithmIdentifier, readAlgorithmIdentifier } from '../asn1/algorithm.js';
import { OID } from '../asn1/oids.js';
import { Tag } from '../asn1/tags.js';
import { readOid } from '../asn1/values.js';
import { type DerWriter, writeDer } from '../asn1/write.js';
import { wipe } from '../bytes.js';
import { MailsealError } from '../errors.js';
import type { Certificate } from '../x509/certificate.js';
import { type Curve, curveOf } from '../x509/curves.js';
import type { HashName } from '../x509/digests.js';
import { type AnyPrivateKey, type PrivateKey, PublicKey } from '../x509/keys.js';
import { writeSpki } from '../x509/spki.js';
import { DIGEST_LENGTH, unsupported } from './algorithms.js';
import { type CertificateIdentifier, writeIdentifier } from './identifiers.js';
import { aesKeyWrap, type KeyWrap, readKeyWrap, unwrapKey, wrapKey, writeKeyWrap } from './keywrap.js';
import type { RecipientInfo } from './recipientinfo.js';

export type KeyAgreementName = 'ecdh' | 'x25519' | 'x448';

type KeyAgreeRecipientInfo = RecipientInfo & { readonly type: 'keyAgreement' };

interface Kdf {
  readonly kdf: 'x963' | 'hkdf';
  readonly hash: HashName;
}

const SCHEMES: Readonly<Record<string, Kdf>> = {
  [OID.dhSinglePassStdDhSha1Kdf]: { kdf: 'x963', hash: 'sha1' },
  [OID.dhSinglePassStdDhSha224Kdf]: { kdf: 'x963', hash: 'sha224' },
  [OID.dhSinglePassStdDhSha256Kdf]: { kdf: 'x963', hash: 'sha256' },
  [OID.dhSinglePassStdDhSha384Kdf]: { kdf: 'x963', hash: 'sha384' },
  [OID.dhSinglePassStdDhSha512Kdf]: { kdf: 'x963', hash: 'sha512' },
  [OID.dhSinglePassCofactorDhSha1Kdf]: { kdf: 'x963', hash: 'sha1' },
  [OID.dhSinglePassCofactorDhSha224Kdf]: { kdf: 'x963', hash: 'sha224' },
  [OID.dhSinglePassCofactorDhSha256Kdf]: { kdf: 'x963', hash: 'sha256' },
  [OID.dhSinglePassCofactorDhSha384Kdf]: { kdf: 'x963', hash: 'sha384' },
  [OID.dhSinglePassCofactorDhSha512Kdf]: { kdf: 'x963', hash: 'sha512' },
  [OID.dhSinglePassStdDhHkdfSha256]: { kdf: 'hkdf', hash: 'sha256' },
  [OID.dhSinglePassStdDhHkdfSha384]: { kdf: 'hkdf', hash: 'sha384' },
  [OID.dhSinglePassStdDhHkdfSha512]: { kdf: 'hkdf', hash: 'sha512' },
};

/** OIDs of an originator's public key, which has the kind of the recipient's. */
const KEY_KINDS: Readonly<Record<string, { algorithm: PublicKey['algorithm']; name: KeyAgreementName }>> = {
  [OID.ecPublicKey]: { algorithm: 'ec', name: 'ecdh' },
  [OID.X25519]: { algorithm: 'x25519', name: 'x25519' },
  [OID.X448]: { algorithm: 'x448', name: 'x448' },
};

export interface KeyAgreement {
  readonly name: KeyAgreementName;
  readonly kdf: Kdf;
  readonly wrap: KeyWrap;
  /** Of the wrap, whether its parameters are NULL. */
  readonly wrapHasNull: boolean;
  readonly ukm: Uint8Array | undefined;
  /** The algorithm of the key that fits. */
  readonly algorithm: PublicKey['algorithm'];
  /** Dotted OID of the originator's curve, where the message names it. */
  readonly curveOid: string | undefined;
  /** The originator's public key, as subjectPublicKey has it. */
  readonly bits: Uint8Array;
}

/** @throws MailsealError UNSUPPORTED_ALGORITHM, UNSUPPORTED_FEATURE with the OID; CMS_MALFORMED, ASN1_* */
export function readKeyAgreement({ algorithm, originator, ukm, node }: KeyAgreeRecipientInfo): KeyAgreement {
  const kdf = SCHEMES[algorithm.oid];
  if (kdf === undefined) throw unsupported(algorithm, 'key agreement with');
  if (algorithm.parameters === undefined)
    throw node.fail('CMS_MALFORMED', 'key agreement without a key wrap');
  const wrapAlgorithm = readAlgorithmIdentifier(algorithm.parameters, 'KeyWrapAlgorithm');
  const wrap = readKeyWrap(wrapAlgorithm);
  if (originator.type === 'certificate') {
    throw node.fail('UNSUPPORTED_FEATURE', "key agreement with the key of the sender's certificate");
  }
  const kind = KEY_KINDS[originator.algorithm.oid];
  if (kind === undefined) throw unsupported(originator.algorithm, 'key agreement with keys of');
  return {
    kdf,
    wrap,
    wrapHasNull: wrapAlgorithm.parameters !== undefined,
    ukm,
    curveOid: kind.algorithm === 'ec' ? namedCurve(originator.algorithm) : undefined,
    bits: originator.bits,
    ...kind,
  };
}

/** RFC 5753 3.1.1: absent, NULL or ECParameters; the curve is the recipient's in any case. */
function namedCurve(algorithm: AlgorithmIdentifier): string | undefined {
  const { parameters } = algorithm;
  if (parameters === undefined || parameters.is(Tag.NULL)) return undefined;
  if (parameters.is(Tag.OID)) return readOid(parameters);
  throw unsupported(algorithm, 'key agreement with explicit curve parameters of');
}

/** Whether both keys are of one kind: a question about what anybody can see. */
export function fitsKeyAgreement(
  { publicKey }: AnyPrivateKey,
  { algorithm, curveOid }: KeyAgreement,
): boolean {
  return publicKey.algorithm === algorithm && (curveOid === undefined || publicKey.curveOid === curveOid);
}

/** @returns the content key, which the caller wipes; undefined if it does not unwrap */
export function unwrapAgreed(
  privateKey: PrivateKey,
  agreement: KeyAgreement,
  encryptedKey: Uint8Array,
): Uint8Array | undefined {
  try {
    return unwrapWithSecret(sharedSecret(privateKey, agreement), agreement, encryptedKey);
  } catch (error) {
    // A wiped private key is the caller's mistake; all else is about the originator's key.
    if (error instanceof MailsealError && error.code !== 'KEY_MALFORMED') throw error;
    return undefined;
  }
}

/**
 * @param secret Z of RFC 5753; wiped
 * @returns as {@link unwrapAgreed}
 */
export function unwrapWithSecret(
  secret: Uint8Array,
  { kdf, wrap, wrapHasNull, ukm }: KeyAgreement,
  encryptedKey: Uint8Array,
): Uint8Array | undefined {
  try {
    // What Bouncy Castle wrote before it had RFC 5753 is NULL here, whatever the message has.
    for (const withNull of [wrapHasNull, !wrapHasNull]) {
      const kek = deriveKek(kdf, secret, wrap, withNull, ukm);
      const key = unwrapKey(wrap, kek, encryptedKey);
      wipe(kek);
      if (key !== undefined) return key;
    }
    return undefined;
  } finally {
    wipe(secret);
  }
}

/** Z of RFC 5753. OpenSSL checks the point: on the curve, not at infinity; for X25519 and X448 that Z is not zero. */
function sharedSecret(privateKey: PrivateKey, { bits }: KeyAgreement): Uint8Array {
  const { keyObject } = privateKey;
  const publicKey = publicKeyLike(privateKey.publicKey, bits).keyObject;
  return diffieHellman({ privateKey: keyObject, publicKey });
}

/** A public key of the same algorithm and curve as another. @throws MailsealError KEY_MALFORMED */
export function publicKeyLike({ algorithmOid, curveOid }: PublicKey, bits: Uint8Array): PublicKey {
  return PublicKey.parse(writeSpki(bits, (w) => writeKeyAlgorithm(w, algorithmOid, curveOid)));
}

function writeKeyAlgorithm(w: DerWriter, oid: string, curveOid: string | undefined): void {
  w.sequence((w) => {
    w.oid(oid);
    if (curveOid !== undefined) w.oid(curveOid);
  });
}

/** ECC-CMS-SharedInfo (RFC 5753 7.2), which both KDFs are given (RFC 8418 2.1, 2.2). */
function sharedInfo(wrap: KeyWrap, withNull: boolean, ukm: Uint8Array | undefined): Uint8Array {
  const bits = new Uint8Array(4);
  new DataView(bits.buffer).setUint32(0, wrap.keyLength * 8);
  return writeDer((w) =>
    w.sequence((w) => {
      writeKeyWrap(w, wrap, withNull);
      if (ukm !== undefined) w.explicit(0, (w) => w.octets(ukm));
      w.explicit(2, (w) => w.octets(bits));
    }),
  );
}

function deriveKek(
  { kdf, hash }: Kdf,
  secret: Uint8Array,
  wrap: KeyWrap,
  withNull: boolean,
  ukm: Uint8Array | undefined,
): Uint8Array {
  const info = sharedInfo(wrap, withNull, ukm);
  // RFC 8418 2.2: the ukm is HKDF's salt as well.
  if (kdf === 'hkdf') return new Uint8Array(hkdfSync(hash, secret, ukm ?? '', info, wrap.keyLength));
  return x963Kdf(hash, secret, info, wrap.keyLength);
}

/** ANSI X9.63 (SEC 1 3.6.1): digests of Z, a counter and the SharedInfo. */
function x963Kdf(hash: HashName, secret: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  const key = new Uint8Array(length);
  const counter = new Uint8Array(4);
  for (let at = 0, i = 1; at < length; at += DIGEST_LENGTH[hash], i++) {
    counter[3] = i;
    const digest = createHash(hash).update(secret).update(counter).update(info).digest();
    key.set(digest.subarray(0, length - at), at);
    wipe(digest);
  }
  return key;
}

/** Schemes that are written, the strongest first. */
const WRITTEN = {
  x963: {
    sha512: OID.dhSinglePassStdDhSha512Kdf,
    sha384: OID.dhSinglePassStdDhSha384Kdf,
    sha256: OID.dhSinglePassStdDhSha256Kdf,
  },
  hkdf: {
    sha512: OID.dhSinglePassStdDhHkdfSha512,
    sha384: OID.dhSinglePassStdDhHkdfSha384,
    sha256: OID.dhSinglePassStdDhHkdfSha256,
  },
} as const;

/** Of the KDF in new messages. */
export type KdfHash = keyof (typeof WRITTEN)['x963'];

/** RFC 5753 has the KDF of X9.63 for EC keys, RFC 8418 HKDF for X25519 and X448. */
const kdfFor = ({ algorithm }: PublicKey): 'x963' | 'hkdf' => (algorithm === 'ec' ? 'x963' : 'hkdf');

/** Dotted OIDs of the schemes that fit a key, the strongest first. */
export const agreementSchemes = (publicKey: PublicKey): string[] => Object.values(WRITTEN[kdfFor(publicKey)]);

/**
 * How to agree on a key with the owner of this one, who may have said which schemes they read. The digest has the strength
 * of the curve (RFC 5753 8), or is the strongest of theirs.
 * @param publicKey one that {@link canAgree}
 * @param declared dotted OIDs, among others
 * @returns `asDeclared`: it is one of theirs
 */
export function agreementFor(
  publicKey: PublicKey,
  declared: readonly string[],
): { name: KeyAgreementName; hash: KdfHash; asDeclared: boolean } {
  const { algorithm } = publicKey;
  const name = algorithm === 'x25519' || algorithm === 'x448' ? algorithm : 'ecdh';
  const schemes = WRITTEN[kdfFor(publicKey)];
  const usual = usualHash(publicKey);
  const hashes = [usual, ...(Object.keys(schemes) as KdfHash[])];
  const hash = hashes.find((one) => declared.includes(schemes[one]));
  return { name, hash: hash ?? usual, asDeclared: hash !== undefined };
}

function usualHash({ algorithm, curveOid }: PublicKey): KdfHash {
  if (algorithm === 'x25519') return 'sha256';
  if (algorithm === 'x448') return 'sha512';
  return curveOf(curveOid)?.digest as KdfHash;
}

/** Whether a content key can be encrypted to this key by agreement. */
export function canAgree({ algorithm, curveOid }: PublicKey): boolean {
  if (algorithm === 'ec') return curveOf(curveOid)?.digest !== undefined;
  return algorithm === 'x25519' || algorithm === 'x448';
}

/**
 * KeyAgreeRecipientInfo for one recipient, with a key pair of its own: several recipients could share one, but some
 * readers look at the first RecipientEncryptedKey only.
 * @throws MailsealError KEY_UNSUITABLE if the key is none of its curve
 */
export function writeKeyAgreement(
  certificate: Certificate,
  contentKey: Uint8Array,
  identifier: CertificateIdentifier['type'],
  hash: KdfHash,
): Uint8Array {
  const { publicKey } = certificate;
  const { algorithmOid, curveOid } = publicKey;
  const curve = curveOf(curveOid);
  const kdf = kdfFor(publicKey);
  const wrap = aesKeyWrap(contentKey.length);
  const { secret, bits } = agree(certificate, curve);
  let kek: Uint8Array | undefined;
  try {
    kek = deriveKek({ kdf, hash }, secret, wrap, false, undefined);
    const encryptedKey = wrapKey(wrap, kek, contentKey);
    return writeDer((w) =>
      w.implicitConstructed(1, (w) => {
        w.integer(3);
        w.explicit(0, (w) =>
          w.implicitConstructed(1, (w) => {
            writeKeyAlgorithm(w, algorithmOid, curveOid);
            w.bitString(bits);
          }),
        );
        w.sequence((w) => {
          w.oid(WRITTEN[kdf][hash]);
          writeKeyWrap(w, wrap);
        });
        w.sequence((w) =>
          w.sequence((w) => {
            writeRecipient(w, certificate, identifier);
            w.octets(encryptedKey);
          }),
        );
      }),
    );
  } finally {
    wipe(secret, kek);
  }
}

/** KeyAgreeRecipientIdentifier: rKeyId is a RecipientKeyIdentifier, a SEQUENCE. */
function writeRecipient(
  w: DerWriter,
  certificate: Certificate,
  identifier: CertificateIdentifier['type'],
): void {
  if (identifier === 'issuerAndSerialNumber') writeIdentifier(w, certificate, identifier);
  else w.implicitConstructed(0, (w) => writeIdentifier(w, certificate, identifier, Tag.OCTET_STRING));
}

/** A new key pair of the recipient's kind: its public half, and what both agree on. */
function agree(certificate: Certificate, curve: Curve | undefined): { secret: Uint8Array; bits: Uint8Array } {
  const { publicKey, subject } = certificate;
  try {
    if (curve !== undefined) {
      const ecdh = createECDH(curve.openssl);
      const bits = ecdh.generateKeys();
      return { secret: ecdh.computeSecret(publicKey.bits), bits };
    }
    const pair =
      publicKey.algorithm === 'x25519' ? generateKeyPairSync('x25519') : generateKeyPairSync('x448');
    const spki = pair.publicKey.export({ format: 'der', type: 'spki' });
    const secret = diffieHellman({ privateKey: pair.privateKey, publicKey: publicKey.keyObject });
    return { secret, bits: PublicKey.parse(spki).bits };
  } catch (cause) {
    throw new MailsealError('KEY_UNSUITABLE', `the key of ${subject} can't agree on a key`, { cause });
  }
}
