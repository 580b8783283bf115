/**
 * A private key that is elsewhere: in a device, in a key management service, in WebCrypto. {@link KeyHandle} is what it has
 * to be able to do; webcryptokey.ts makes one of a CryptoKey. What CMS asks of a handle, and how it guards what a handle
 * answers, is in cms/handles.ts. Exported by keys.ts.
 */
import type { DigestName } from './digests.js';
import type { MlDsaAlgorithm } from './mldsa.js';
import type { PrivateKey } from './privatekey.js';
import { PublicKey } from './publickey.js';

/** How a handle is to sign. EdDSA and ML-DSA hash by themselves. */
export type HandleSignature =
  | { readonly scheme: 'rsassa-pkcs1-v1_5'; readonly hash: DigestName }
  | { readonly scheme: 'ecdsa'; readonly hash: DigestName }
  | {
      readonly scheme: 'rsassa-pss';
      readonly hash: DigestName;
      /** Of MGF1. */
      readonly maskHash: DigestName;
      /** Octets. */
      readonly saltLength: number;
    }
  | { readonly scheme: 'ed25519' | 'ed448' | MlDsaAlgorithm };

/** How a handle is to decrypt a content key. */
export type HandleDecryption =
  | { readonly scheme: 'raw' | 'rsaes-pkcs1-v1_5' }
  | {
      readonly scheme: 'rsaes-oaep';
      readonly hash: DigestName;
      /** Of MGF1. */
      readonly maskHash: DigestName;
      readonly label: Uint8Array;
    };

/**
 * A private key outside of this process. It stands wherever `sign` and `decrypt` take a PrivateKey, and needs only the
 * methods for what its key is used for. What a method answers is handed over: secrets are wiped.
 *
 * A MailsealError that a method rejects with is passed on. Any other rejection is KEY_UNAVAILABLE with that cause, but for
 * a `decrypt` that unpads: there it is a ciphertext that does not decrypt, and nobody learns of it.
 */
export interface KeyHandle {
  readonly publicKey: PublicKey;
  /** What {@link sign} takes: what is signed, or its digest. EdDSA and ML-DSA take what is signed. Default `data`. */
  readonly signs?: 'data' | 'digest';
  /**
   * Whether {@link decrypt} does raw RSA (RSADP, RFC 8017 5.1.2; PKCS#11: CKM_RSA_X_509). Then it is asked for nothing
   * else, and mailseal unpads in constant time. Default false: the handle unpads, and whether it does so in constant time is
   * its own affair.
   */
  readonly rawRsa?: boolean;
  /**
   * @returns the signature. Of ECDSA in DER (RFC 3279 2.2.3), or r and s in the size of the curve one after the other.
   *   It is verified before it is sent: a signature with an error in it can give an RSA key away (Boneh, DeMillo, Lipton 1997)
   */
  sign?(input: Uint8Array, algorithm: HandleSignature): Promise<Uint8Array>;
  /** @returns the content key; of raw RSA the number, with or without leading zeros */
  decrypt?(ciphertext: Uint8Array, algorithm: HandleDecryption): Promise<Uint8Array>;
  /**
   * ECDH, X25519, X448; without a KDF (PKCS#11: CKD_NULL).
   * @param peer of the same kind and curve, a valid point
   * @returns the x coordinate in the size of the curve; of X25519 and X448 32 and 56 octets
   */
  deriveBits?(peer: PublicKey): Promise<Uint8Array>;
  /**
   * ML-KEM (PKCS#11: C_DecapsulateKey), whether this Node.js has it or not.
   * @param ciphertext of the size that the key has
   * @returns the shared secret, 32 octets; for a ciphertext of another key any (implicit rejection, FIPS 203)
   */
  decapsulate?(ciphertext: Uint8Array): Promise<Uint8Array>;
}

/** A private key that is here, or elsewhere. */
export type AnyPrivateKey = PrivateKey | KeyHandle;

const METHODS = ['sign', 'decrypt', 'deriveBits', 'decapsulate'] as const;

/** @throws TypeError for what is no KeyHandle */
export function assertKeyHandle(handle: KeyHandle): void {
  if (!(handle?.publicKey instanceof PublicKey)) {
    throw new TypeError('a private key must be a PrivateKey, or a KeyHandle with its PublicKey');
  }
  for (const method of METHODS) {
    if (handle[method] !== undefined && typeof handle[method] !== 'function') {
      throw new TypeError(`${method} of a KeyHandle must be a function`);
    }
  }
}
