/**
 * The PKCS#12 key derivation (RFC 7292 appendix B.2; the numbers are its steps) over node:crypto, for digests that are
 * too rare for lanes of their own. Called by native.ts.
 */
import { hash as digestOf } from 'node:crypto';
import { concat, wipe } from '../bytes.js';
import { DIGESTS, type PbeHash } from './digests.js';

/** The digest of the digest of … of `input`, which is wiped. */
export function iterateHash(hash: PbeHash, input: Uint8Array, iterations: number): Uint8Array {
  let digest = digestOf(hash, input, 'buffer');
  wipe(input);
  for (let i = 1; i < iterations; i++) {
    const before = digest;
    digest = digestOf(hash, before, 'buffer');
    wipe(before);
  }
  return digest;
}

/**
 * @param id the purpose (B.3): 1 for a key, 2 for an IV, 3 for a MAC key
 * @param password a BMPString with two zero octets behind it (B.1); no octets at all for the null password
 * @param length octets to derive; the caller wipes them
 */
export function pkcs12Kdf(
  hash: PbeHash,
  id: 1 | 2 | 3,
  password: Uint8Array,
  salt: Uint8Array,
  iterations: number,
  length: number,
): Uint8Array {
  const { octets, block } = DIGESTS[hash];
  const diversifier = new Uint8Array(block).fill(id); // 1
  const passwords = repeated(password, block);
  const input = concat([repeated(salt, block), passwords]); // 2 to 4
  wipe(passwords);
  const output = new Uint8Array(Math.ceil(length / octets) * octets);
  for (let at = 0; at < length; at += octets) {
    const digest = iterateHash(hash, concat([diversifier, input]), iterations); // 6A
    output.set(digest, at);
    for (let start = 0; start < input.length; start += block) addBlock(input, start, block, digest); // 6B, 6C
    wipe(digest);
  }
  wipe(input, output.subarray(length));
  return output.subarray(0, length); // 7, 8
}

/** As many whole blocks as the octets fill, repeated to fill the last. */
function repeated(octets: Uint8Array, block: number): Uint8Array {
  const result = new Uint8Array(Math.ceil(octets.length / block) * block);
  for (let at = 0; at < result.length; at += octets.length) {
    result.set(octets.subarray(0, result.length - at), at);
  }
  return result;
}

/** Adds the digest, repeated to a block, and 1 to a big-endian block, and drops the carry. */
function addBlock(input: Uint8Array, start: number, block: number, digest: Uint8Array): void {
  let carry = 1;
  for (let i = block - 1; i >= 0; i--) {
    carry += (input[start + i] as number) + (digest[i % digest.length] as number);
    input[start + i] = carry;
    carry >>>= 8;
  }
}
