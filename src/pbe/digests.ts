/**
 * Digests that key derivations and MACs of PFX files are made with, under their names in node:crypto. SHA-1 and SHA-256
 * run in WASM; the others are rare enough for node:crypto, if this build of OpenSSL has them. Used by pbe.ts and pbe/.
 */
import { getCiphers, getHashes } from 'node:crypto';
import { OID } from '../asn1/oids.js';

/** Octets of the digest, and of a block: RFC 7292 appendix B.2 calls it v; of SHA-3 and BLAKE2 it's HMAC's block. */
export const DIGESTS = {
  sha1: { octets: 20, block: 64 },
  sha256: { octets: 32, block: 64 },
  md5: { octets: 16, block: 64 },
  ripemd160: { octets: 20, block: 64 },
  sha224: { octets: 28, block: 64 },
  sha384: { octets: 48, block: 128 },
  sha512: { octets: 64, block: 128 },
  'sha512-224': { octets: 28, block: 128 },
  'sha512-256': { octets: 32, block: 128 },
  'sha3-224': { octets: 28, block: 144 },
  'sha3-256': { octets: 32, block: 136 },
  'sha3-384': { octets: 48, block: 104 },
  'sha3-512': { octets: 64, block: 72 },
  sm3: { octets: 32, block: 64 },
  blake2b512: { octets: 64, block: 128 },
  blake2s256: { octets: 32, block: 64 },
} as const;

export type PbeHash = keyof typeof DIGESTS;

/** The digestAlgorithm of a MAC with the PKCS#12 key derivation. */
export const MAC_HASHES: Readonly<Record<string, PbeHash>> = {
  [OID.sha1]: 'sha1',
  [OID.sha256]: 'sha256',
  [OID.md5]: 'md5',
  [OID.ripemd160]: 'ripemd160',
  [OID.sha224]: 'sha224',
  [OID.sha384]: 'sha384',
  [OID.sha512]: 'sha512',
  [OID.sha512_224]: 'sha512-224',
  [OID.sha512_256]: 'sha512-256',
  [OID.sha3_224]: 'sha3-224',
  [OID.sha3_256]: 'sha3-256',
  [OID.sha3_384]: 'sha3-384',
  [OID.sha3_512]: 'sha3-512',
  [OID.sm3]: 'sm3',
  [OID.blake2b512]: 'blake2b512',
  [OID.blake2s256]: 'blake2s256',
};

/** HMAC as a pseudorandom function or a MAC (RFC 8018 appendix B.1.2; MD5 and SHA-3 as OpenSSL names them). */
export const HMAC_HASHES: Readonly<Record<string, PbeHash>> = {
  [OID.hmacWithSHA1]: 'sha1',
  [OID.hmacWithSHA256]: 'sha256',
  [OID.hmacWithMD5]: 'md5',
  [OID.hmacWithSHA224]: 'sha224',
  [OID.hmacWithSHA384]: 'sha384',
  [OID.hmacWithSHA512]: 'sha512',
  [OID.hmacWithSHA512_224]: 'sha512-224',
  [OID.hmacWithSHA512_256]: 'sha512-256',
  [OID.hmacWithSHA3_224]: 'sha3-224',
  [OID.hmacWithSHA3_256]: 'sha3-256',
  [OID.hmacWithSHA3_384]: 'sha3-384',
  [OID.hmacWithSHA3_512]: 'sha3-512',
};

let hashes: ReadonlySet<string> | undefined;
let ciphers: ReadonlySet<string> | undefined;

/** Whether mailseal, or else this build of node:crypto, has the digest. */
export function hasHash(name: PbeHash): boolean {
  if (name === 'sha1' || name === 'sha256') return true;
  hashes ??= new Set(getHashes());
  return hashes.has(name);
}

/** @param name as node:crypto names it */
export function hasCipher(name: string): boolean {
  ciphers ??= new Set(getCiphers());
  return ciphers.has(name);
}
