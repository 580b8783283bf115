/**
 * Unpadding of what raw RSA decrypts, in constant time and with implicit rejection: RSAES-PKCS1-v1_5
 * (assembly/rsaunwrap.ts) and RSAES-OAEP (assembly/oaep.ts). Exported by wasm.ts; used by the key transport of CMS.
 */
import { assertBytes } from '../bytes.js';
import { core, octets, place, reserve } from './instance.js';

/**
 * RSAES-PKCS1-v1_5 unpadding (RFC 8017 7.2.2) with implicit rejection (RFC 3218), in constant time.
 * @param em the result of the raw RSA operation, as long as the modulus, in octets
 * @param keyLength octets that the message must have
 * @param fallback `keyLength` random octets
 * @returns the message if the padding is right and its length is `keyLength`, else a copy of `fallback`
 * @throws RangeError if `fallback` is not `keyLength` octets
 */
export function rsaUnwrapPkcs1(em: Uint8Array, keyLength: number, fallback: Uint8Array): Uint8Array {
  assertBytes(em, 'em');
  assertBytes(fallback, 'fallback');
  if (fallback.length !== keyLength) throw new RangeError('fallback must be keyLength octets');
  const base = reserve(0);
  try {
    const emPtr = place(em);
    const output = place(fallback);
    core.unwrapPkcs1(emPtr, em.length, output, keyLength);
    return octets.slice(output, output + keyLength);
  } finally {
    core.wipe(base);
  }
}

/**
 * RSAES-OAEP unpadding (RFC 8017 7.1.2) with implicit rejection, in constant time.
 * @param em the result of the raw RSA operation, as long as the modulus, in octets
 * @param labelHash the digest of the label
 * @param mask of DB, from MGF1: what `em` has behind its first octet and the seed, which is as long as `labelHash`
 * @param fallback random octets, as many as the message must have
 * @returns the message if the padding is right and its length is that of `fallback`, else a copy of `fallback`
 * @throws RangeError if `mask` is not as long as DB
 */
export function rsaUnwrapOaep(
  em: Uint8Array,
  labelHash: Uint8Array,
  mask: Uint8Array,
  fallback: Uint8Array,
): Uint8Array {
  assertBytes(em, 'em');
  assertBytes(labelHash, 'labelHash');
  assertBytes(mask, 'mask');
  assertBytes(fallback, 'fallback');
  if (mask.length !== Math.max(em.length - labelHash.length - 1, 0)) {
    throw new RangeError('mask must be as long as DB');
  }
  const base = reserve(0);
  try {
    const emPtr = place(em);
    const hashPtr = place(labelHash);
    const maskPtr = place(mask);
    const output = place(fallback);
    core.unwrapOaep(emPtr, em.length, hashPtr, labelHash.length, maskPtr, output, fallback.length);
    return octets.slice(output, output + fallback.length);
  } finally {
    core.wipe(base);
  }
}
