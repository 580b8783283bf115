/**
 * What CMS has done by a key outside of the process (x509/keyhandle.ts): signatures, and the unwrapping of content keys by
 * RSA, by key agreement and by key encapsulation. The counterpart of what signingplan.ts, keytransport.ts, keyagreement.ts and kem.ts do with a
 * PrivateKey, and with the same promise: RSA gives a content key, the true one or the one that stands in for it (RFC 3218). A handle that does raw RSA is unpadded here, in constant time. One that unpads itself answers a key or an
 * error, in times of its own; its error is not passed on, unless it says that it is not about the ciphertext.
 * Used by signing.ts and attempts.ts.
 */
import { diffieHellman, generateKeyPairSync } from 'node:crypto';
import { OID } from '../asn1/oids.js';
import { parseDer } from '../asn1/tape.js';
import { writeDer } from '../asn1/write.js';
import { assertBytes, copy, wipe } from '../bytes.js';
import { MailsealError } from '../errors.js';
import type { Certificate } from '../x509/certificate.js';
import { curveOf, rawPoint } from '../x509/curves.js';
import { computeDigest } from '../x509/digests.js';
import type { HandleDecryption, HandleSignature, KeyHandle, PublicKey } from '../x509/keys.js';
import { readRsaPublic } from '../x509/rsa.js';
import { type SignatureScheme, verifySignature } from '../x509/signature.js';
import { type KeyEncapsulation, unwrapWithShared } from './kem.js';
import { type KeyAgreement, publicKeyLike, unwrapWithSecret } from './keyagreement.js';
import { type KeyTransport, ofLengths, unpadTransported } from './keytransport.js';
import type { Plan } from './signingplan.js';

/**
 * @param certificate for the errors
 * @throws MailsealError KEY_UNSUITABLE, KEY_UNAVAILABLE; KEY_MISMATCH for a signature that is not the key's; the handle's own
 */
export async function signWithHandle(
  handle: KeyHandle,
  certificate: Certificate,
  plan: Plan,
  data: Uint8Array,
): Promise<Uint8Array> {
  if (handle.sign === undefined) {
    throw new MailsealError('KEY_UNSUITABLE', `the key handle of ${certificate.subject} does not sign`);
  }
  const algorithm = signatureAlgorithm(plan);
  const hash = 'hash' in algorithm ? algorithm.hash : undefined;
  const input = handle.signs === 'digest' && hash !== undefined ? computeDigest(hash, data) : copy(data);
  let signature: Uint8Array;
  try {
    signature = await handle.sign(input, algorithm);
    assertBytes(signature, 'what sign of a KeyHandle answers');
  } catch (cause) {
    throw unavailable(`the key handle of ${certificate.subject} did not sign`, cause);
  }
  if (plan.kind === 'ecdsa') signature = ecdsaDer(signature, handle.publicKey);
  if (!verifySignature(schemeOf(plan), handle.publicKey, data, signature)) {
    const message = `the key handle of ${certificate.subject} made a signature that does not match its public key`;
    throw new MailsealError('KEY_MISMATCH', message);
  }
  return signature;
}

function signatureAlgorithm(plan: Plan): HandleSignature {
  switch (plan.kind) {
    case 'rsa-pkcs1':
      return { scheme: 'rsassa-pkcs1-v1_5', hash: plan.digest };
    case 'rsa-pss':
      return { scheme: 'rsassa-pss', ...plan.pss };
    case 'ecdsa':
      return { scheme: 'ecdsa', hash: plan.digest };
    default:
      return { scheme: plan.kind };
  }
}

function schemeOf(plan: Plan): SignatureScheme {
  const { kind } = plan;
  switch (kind) {
    case 'rsa-pss':
      return { kind, oid: OID.rsassaPss, ...plan.pss };
    case 'rsa-pkcs1':
    case 'ecdsa':
      return { kind, oid: '', hash: plan.digest };
    default:
      return { kind, oid: '' };
  }
}

/**
 * Ecdsa-Sig-Value (RFC 3279 2.2.3) of r and s side by side, which WebCrypto and PKCS#11 give. In DER both are shorter than
 * in this form by chance once in 2^48 signatures; then this one does not verify.
 */
function ecdsaDer(signature: Uint8Array, { curveOid }: PublicKey): Uint8Array {
  const size = curveOf(curveOid)?.size ?? 0;
  if (signature.length !== 2 * size) return signature;
  return writeDer((w) =>
    w.sequence((w) => {
      w.integer(signature.subarray(0, size));
      w.integer(signature.subarray(size));
    }),
  );
}

/** As unwrapTransported. @param fallbacks what a key that does not unpad, or is of another length, is replaced by */
export async function unwrapTransportedWithHandle(
  handle: KeyHandle,
  transport: KeyTransport,
  encryptedKey: Uint8Array,
  fallbacks: readonly Uint8Array[],
): Promise<Uint8Array[]> {
  if (handle.rawRsa === true) {
    return unpadTransported(await rawDecrypt(handle, encryptedKey), transport, fallbacks);
  }
  let key: Uint8Array | undefined;
  try {
    key = await handle.decrypt?.(copy(encryptedKey), decryptionAlgorithm(transport));
  } catch (error) {
    if (error instanceof MailsealError) throw error;
  }
  return ofLengths(key, fallbacks);
}

function decryptionAlgorithm(transport: KeyTransport): HandleDecryption {
  if (transport.name === 'rsaes-pkcs1') return { scheme: 'rsaes-pkcs1-v1_5' };
  const { name: scheme, hash, maskHash, label } = transport;
  return { scheme, hash, maskHash, label };
}

/**
 * EM, as long as the modulus. A number beyond the modulus, which anybody can see, is not worth a question: it gives zeros,
 * which are no padding of either scheme. An error of the handle can't be about the padding, so that it is told.
 */
async function rawDecrypt(handle: KeyHandle, encryptedKey: Uint8Array): Promise<Uint8Array> {
  const em = new Uint8Array(encryptedKey.length);
  const { n } = readRsaPublic(parseDer(handle.publicKey.bits));
  if (Buffer.compare(encryptedKey, n) >= 0) return em;
  let number: Uint8Array | undefined;
  try {
    number = await handle.decrypt?.(copy(encryptedKey), { scheme: 'raw' });
    assertBytes(number, 'what decrypt of a KeyHandle answers');
    // Whether leading zeros are there depends on the plaintext (Manger): it must not be told.
    em.set(number.subarray(-em.length), em.length - Math.min(em.length, number.length));
    return em;
  } catch (cause) {
    wipe(em);
    throw unavailable('the key handle did not decrypt', cause);
  } finally {
    wipe(number);
  }
}

/** @returns the content key, which the caller wipes; undefined if it does not unwrap */
export async function unwrapAgreedWithHandle(
  handle: KeyHandle,
  agreement: KeyAgreement,
  encryptedKey: Uint8Array,
): Promise<Uint8Array | undefined> {
  const peer = checkedPeer(handle.publicKey, agreement);
  if (peer === undefined) return undefined;
  let secret: Uint8Array | undefined;
  try {
    secret = await handle.deriveBits?.(peer);
    assertBytes(secret, 'what deriveBits of a KeyHandle answers');
  } catch (cause) {
    throw unavailable('the key handle did not agree on a key', cause);
  }
  return unwrapWithSecret(secret, agreement, encryptedKey);
}

/**
 * The originator's key. Devices exist that don't check points (invalid-curve attacks), so it is done here. A point of small
 * order shows with any key: X25519 and X448 give zeros, which OpenSSL refuses. Undefined for a key that is none.
 */
function checkedPeer(own: PublicKey, { bits }: KeyAgreement): PublicKey | undefined {
  const { algorithm, curveOid } = own;
  try {
    const peer = publicKeyLike(own, rawPoint(curveOid, bits));
    const publicKey = peer.keyObject;
    if (algorithm === 'x25519') diffieHellman({ ...generateKeyPairSync('x25519'), publicKey });
    if (algorithm === 'x448') diffieHellman({ ...generateKeyPairSync('x448'), publicKey });
    return peer;
  } catch {
    return undefined;
  }
}

/** As {@link unwrapAgreedWithHandle}. ML-KEM rejects implicitly: an error of the handle can't be about the secret. */
export async function unwrapEncapsulatedWithHandle(
  handle: KeyHandle,
  encapsulation: KeyEncapsulation,
  encryptedKey: Uint8Array,
): Promise<Uint8Array | undefined> {
  let secret: Uint8Array | undefined;
  try {
    secret = await handle.decapsulate?.(copy(encapsulation.ciphertext));
    assertBytes(secret, 'what decapsulate of a KeyHandle answers');
  } catch (cause) {
    throw unavailable('the key handle did not decapsulate', cause);
  }
  return unwrapWithShared(secret, encapsulation, encryptedKey);
}

function unavailable(message: string, cause: unknown): MailsealError {
  return cause instanceof MailsealError ? cause : new MailsealError('KEY_UNAVAILABLE', message, { cause });
}
