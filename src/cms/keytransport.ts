/**
 * RSA key transport: RSAES-PKCS1-v1_5 (RFC 3370 4.2.1, RFC 8017 7.2) and RSAES-OAEP (RFC 3560, RFC 4055, RFC 8017 7.1),
 * both ways. Nobody learns from unwrapping what a key decrypts (Bleichenbacher 1998, Manger 2001, RFC 3218): it always
 * gives a content key, the true one or the one that stands in for it. Used by opening.ts, enveloping.ts and choice.ts.
 */
import { constants, privateDecrypt, publicEncrypt } from 'node:crypto';
import { type AlgorithmIdentifier, expectNullOrAbsent, readAlgorithmIdentifier } from '../asn1/algorithm.js';
import { OID } from '../asn1/oids.js';
import { contextConstructed, Tag } from '../asn1/tags.js';
import { type DerNode, parseDer } from '../asn1/tape.js';
import { readOctets } from '../asn1/values.js';
import { type DerWriter, writeDer } from '../asn1/write.js';
import { concat, copy, wipe } from '../bytes.js';
import { MailsealError, readable } from '../errors.js';
import { rsaUnwrapOaep, rsaUnwrapPkcs1 } from '../wasm.js';
import type { Certificate } from '../x509/certificate.js';
import { computeDigest, type DigestName, readDigestAlgorithm } from '../x509/digests.js';
import type { AnyPrivateKey, PrivateKey } from '../x509/keys.js';
import { writeHashes } from '../x509/pss.js';
import { DIGEST_LENGTH, unsupported } from './algorithms.js';

export type KeyTransportName = 'rsaes-pkcs1' | 'rsaes-oaep';

export type KeyTransport =
  | { readonly name: 'rsaes-pkcs1' }
  | {
      readonly name: 'rsaes-oaep';
      readonly hash: DigestName;
      /** Of MGF1: the default of RFC 8017 is SHA-1, whatever the hash is. */
      readonly maskHash: DigestName;
      readonly label: Uint8Array;
    };

/** KeyEncryptionAlgorithmIdentifier of key transport. @throws MailsealError UNSUPPORTED_ALGORITHM with the OID */
export function readKeyTransport(algorithm: AlgorithmIdentifier): KeyTransport {
  const { oid, parameters, node } = algorithm;
  switch (oid) {
    case OID.rsaEncryption:
      expectNullOrAbsent(parameters, 'parameters of rsaEncryption');
      return { name: 'rsaes-pkcs1' };
    case OID.rsaesOaep:
      if (parameters === undefined) throw node.fail('CMS_MALFORMED', 'RSAES-OAEP without its parameters');
      return readOaepParameters(parameters);
    default:
      throw unsupported(algorithm, 'key transport with');
  }
}

/** RSAES-OAEP-params (RFC 4055 4.1), each with the default of RFC 8017 A.2.1. */
function readOaepParameters(node: DerNode): Oaep {
  const reader = node.reader(Tag.SEQUENCE, 'RSAES-OAEP-params');
  const hashNode = reader.optional(contextConstructed(0));
  const maskNode = reader.optional(contextConstructed(1));
  const sourceNode = reader.optional(contextConstructed(2));
  reader.end();
  const hash = hashNode === undefined ? 'sha1' : readDigestAlgorithm(explicitAlgorithm(hashNode));
  const mask = maskNode === undefined ? undefined : explicitAlgorithm(maskNode);
  if (mask !== undefined && mask.oid !== OID.mgf1) throw unsupported(mask, 'RSAES-OAEP with');
  const maskHash =
    mask === undefined ? 'sha1' : readDigestAlgorithm(algorithmParameter(mask, 'parameters of MGF1'));
  return {
    name: 'rsaes-oaep',
    hash,
    maskHash,
    label: sourceNode === undefined ? new Uint8Array() : readLabel(sourceNode),
  };
}

function explicitAlgorithm(node: DerNode): AlgorithmIdentifier {
  const reader = node.reader(node.identifier, 'RSAES-OAEP-params');
  const algorithm = readAlgorithmIdentifier(reader.any('algorithm'), 'AlgorithmIdentifier');
  reader.end();
  return algorithm;
}

function algorithmParameter(algorithm: AlgorithmIdentifier, what: string): AlgorithmIdentifier {
  const { parameters, node } = algorithm;
  if (parameters === undefined) throw node.fail('CMS_MALFORMED', `${what} are absent`);
  return readAlgorithmIdentifier(parameters, what);
}

/** pSourceFunc: pSpecified with the label as an OCTET STRING. */
function readLabel(node: DerNode): Uint8Array {
  const source = explicitAlgorithm(node);
  if (source.oid !== OID.pSpecified) throw unsupported(source, 'RSAES-OAEP with');
  if (source.parameters === undefined) throw source.node.fail('CMS_MALFORMED', 'pSpecified without a label');
  return readOctets(source.parameters.expect(Tag.OCTET_STRING, 'label'));
}

/** Of RSAES-OAEP and its MGF1 in new messages, the preferred first. SHA-1 is no weakness there (RFC 8017 B.1). */
const OAEP_HASHES = ['sha256', 'sha384', 'sha512', 'sha1'] as const;

export type OaepHash = (typeof OAEP_HASHES)[number];

/** Whether a key of this length has room for a content key of up to 32 octets (RFC 8017 7.1.1, step 1b). */
const fitsOaep = (modulusLength: number, hash: OaepHash): boolean =>
  Math.ceil(modulusLength / 8) >= 32 + 2 * DIGEST_LENGTH[hash] + 2;

/**
 * The hash to use for whoever says that they read RSAES-OAEP with each of these parameters (RFC 3560 section 3). Undefined
 * if none is for us.
 */
export function oaepHashFor(
  modulusLength: number,
  declared: readonly (Uint8Array | undefined)[],
): OaepHash | undefined {
  // A capability that can't be read is none.
  const read = declared.map((parameters) => parameters && readable(() => plainHash(parameters), undefined));
  return OAEP_HASHES.find((hash) => read.includes(hash) && fitsOaep(modulusLength, hash));
}

/** The hash of parameters as they are written here: with one hash, and without a label. */
function plainHash(parameters: Uint8Array): DigestName | undefined {
  const { hash, maskHash, label } = readOaepParameters(parseDer(parameters));
  return hash === maskHash && label.length === 0 ? hash : undefined;
}

export const KEY_TRANSPORTS: readonly KeyTransportName[] = ['rsaes-pkcs1', 'rsaes-oaep'];

/** Written once for each recipient. */
const RSAES_PKCS1 = writeDer((w) =>
  w.sequence((w) => {
    w.oid(OID.rsaEncryption);
    w.null();
  }),
);

/** @param hash of RSAES-OAEP and its MGF1 */
export function writeKeyTransport(w: DerWriter, name: KeyTransportName, hash: OaepHash = 'sha256'): void {
  if (name === 'rsaes-pkcs1') {
    w.raw(RSAES_PKCS1);
    return;
  }
  w.sequence((w) => {
    w.oid(OID.rsaesOaep);
    w.sequence((w) => {
      if (hash !== 'sha1') writeHashes(w, hash, hash); // SHA-1 is the default of both
    });
  });
}

/** RFC 8017 7.1.2 and 7.2.2, step 1: a question about public sizes only. */
export function fitsKeyTransport({ publicKey }: AnyPrivateKey, encryptedKey: Uint8Array): boolean {
  return (
    publicKey.algorithm === 'rsa' && Math.ceil((publicKey.modulusLength ?? 0) / 8) === encryptedKey.length
  );
}

/**
 * One operation with the private key.
 * @param fallbacks what a key that does not unpad, or is of another length, is replaced by
 * @returns a key for each of them, of its length; the caller wipes them
 */
export function unwrapTransported(
  privateKey: PrivateKey,
  transport: KeyTransport,
  encryptedKey: Uint8Array,
  fallbacks: readonly Uint8Array[],
): Uint8Array[] {
  // node:crypto has one hash for label and MGF1.
  if (transport.name === 'rsaes-oaep' && transport.hash === transport.maskHash) {
    return unwrapOaep(privateKey, encryptedKey, transport, fallbacks);
  }
  // Raw RSA in OpenSSL, which blinds it; unpadding in constant time in WASM.
  return unpadTransported(rawDecrypt(privateKey, encryptedKey), transport, fallbacks);
}

/**
 * Unpads what raw RSA gave, in constant time: RFC 8017 7.1.2 and 7.2.2.
 * @param em as long as the modulus; wiped
 */
export function unpadTransported(
  em: Uint8Array,
  transport: KeyTransport,
  fallbacks: readonly Uint8Array[],
): Uint8Array[] {
  try {
    return fallbacks.map((fallback) =>
      transport.name === 'rsaes-oaep'
        ? unpadOaep(em, transport, fallback)
        : rsaUnwrapPkcs1(em, fallback.length, fallback),
    );
  } finally {
    wipe(em);
  }
}

/**
 * For whoever unpads itself.
 * @param key undefined if it did not unpad; wiped
 */
export function ofLengths(key: Uint8Array | undefined, fallbacks: readonly Uint8Array[]): Uint8Array[] {
  const keys = fallbacks.map((fallback) => copy(key?.length === fallback.length ? key : fallback));
  wipe(key);
  return keys;
}

/** EM. A number beyond the modulus gives zeros, which are no padding of either scheme. */
function rawDecrypt(privateKey: PrivateKey, encryptedKey: Uint8Array): Uint8Array {
  try {
    return privateDecrypt({ key: privateKey.keyObject, padding: constants.RSA_NO_PADDING }, encryptedKey);
  } catch (error) {
    rethrowOwn(error);
    return new Uint8Array(encryptedKey.length);
  }
}

type Oaep = KeyTransport & { readonly name: 'rsaes-oaep' };

/** RSAES-OAEP (RFC 8017 7.1.2), unpadded in constant time by OpenSSL. */
function unwrapOaep(
  privateKey: PrivateKey,
  encryptedKey: Uint8Array,
  { hash, label }: Oaep,
  fallbacks: readonly Uint8Array[],
): Uint8Array[] {
  let key: Uint8Array | undefined;
  try {
    key = privateDecrypt(
      {
        key: privateKey.keyObject,
        padding: constants.RSA_PKCS1_OAEP_PADDING,
        oaepHash: hash,
        ...(label.length > 0 && { oaepLabel: label }),
      },
      encryptedKey,
    );
  } catch (error) {
    rethrowOwn(error);
  }
  return ofLengths(key, fallbacks);
}

/** The digests here take the time of their lengths, which are public. */
function unpadOaep(em: Uint8Array, { hash, maskHash, label }: Oaep, fallback: Uint8Array): Uint8Array {
  const labelHash = computeDigest(hash, label);
  if (em.length < 2 * labelHash.length + 2) return copy(fallback); // step 1: public
  const seed = copy(em.subarray(1, 1 + labelHash.length));
  const seedMask = mgf1(maskHash, em.subarray(1 + labelHash.length), seed.length);
  let mask: Uint8Array | undefined;
  try {
    for (let i = 0; i < seed.length; i++) seed[i] = (seed[i] as number) ^ (seedMask[i] as number);
    mask = mgf1(maskHash, seed, em.length - labelHash.length - 1);
    return rsaUnwrapOaep(em, labelHash, mask, fallback);
  } finally {
    wipe(seed, seedMask, mask);
  }
}

/** MGF1 (RFC 8017 B.2.1). The seed may be a secret; what comes of it is the caller's to wipe. */
export function mgf1(hash: DigestName, seed: Uint8Array, length: number): Uint8Array {
  const mask = new Uint8Array(length);
  const input = concat([seed, new Uint8Array(4)]);
  for (let at = 0, i = 0; at < length; i++) {
    input[input.length - 1] = i; // 256 digests are more than RSA has octets for
    const digest = computeDigest(hash, input);
    mask.set(digest.subarray(0, length - at), at);
    at += digest.length;
    wipe(digest);
  }
  wipe(input);
  return mask;
}

/** A wiped private key is the caller's mistake; what OpenSSL reports is about the message. */
function rethrowOwn(error: unknown): void {
  if (error instanceof MailsealError) throw error;
}

export function wrapTransported(
  certificate: Certificate,
  contentKey: Uint8Array,
  transport: KeyTransportName,
  oaepHash: OaepHash = 'sha256',
): Uint8Array {
  const key = certificate.publicKey.keyObject;
  try {
    return transport === 'rsaes-pkcs1'
      ? publicEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, contentKey)
      : publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, contentKey);
  } catch (cause) {
    const { subject } = certificate;
    throw new MailsealError('KEY_UNSUITABLE', `the key of ${subject} can't wrap a content key`, { cause });
  }
}
