/**
 * The rare part of password-based encryption, by node:crypto: PBKDF1 (RFC 8018 5.1), scrypt (RFC 7914), PBKDF2 and the
 * PKCS#12 key derivation (RFC 7292 appendix B.2) with digests that WASM does not have; ciphers likewise. One job after
 * the other, each derivation done anew: such files are few. Called by jobs.ts; `finished` by key wraps too.
 */
import { createDecipheriv, createHmac, type Decipher, pbkdf2Sync, scryptSync } from 'node:crypto';
import { concat, constantTimeEqual, copy, wipe } from '../bytes.js';
import { decryptCbc, type PbeResults } from '../wasm.js';
import type { DecryptJob, KeyDerivation, MacJob } from './jobs.js';
import { iterateHash, pkcs12Kdf } from './pkcs12kdf.js';

/** Of every derivation in one PFX, while it runs; RFC 7914's example for files takes 1 GiB, OpenSSL's limit is 32 MiB. */
export const MAX_SCRYPT_MEMORY = 256 * 1024 * 1024;

/** Octets that a scrypt derivation takes: V, B and two blocks to mix in. */
export const scryptMemory = (cost: number, blockSize: number, parallelization: number): number =>
  128 * blockSize * (cost + parallelization + 2);

const GCM_TAG_OCTETS = 16;

export function derive(derivation: KeyDerivation): Uint8Array {
  const { password, salt, length } = derivation;
  switch (derivation.kdf) {
    case 'pkcs12':
      return pkcs12Kdf(derivation.hash, derivation.id ?? 1, password, salt, derivation.iterations, length);
    case 'pbkdf2':
      return pbkdf2Sync(password, salt, derivation.iterations, length, derivation.hash);
    case 'pbkdf1': {
      const { hash, iterations, offset } = derivation;
      const digest = iterateHash(hash, concat([password, salt]), iterations);
      try {
        return copy(digest.subarray(offset, offset + length));
      } finally {
        wipe(digest);
      }
    }
    case 'scrypt': {
      const { cost, blockSize, parallelization } = derivation;
      return scryptSync(password, salt, length, {
        cost,
        blockSize,
        parallelization,
        maxmem: MAX_SCRYPT_MEMORY,
      });
    }
  }
}

export function checkMac({ hash, key: derivation, data, expected }: MacJob): boolean {
  const key = derive(derivation);
  try {
    return constantTimeEqual(createHmac(hash, key).update(data).digest(), expected);
  } finally {
    wipe(key);
  }
}

export function decrypt(job: DecryptJob): PbeResults['decrypted'][number] {
  const key = derive(job.key);
  const { iv: given } = job;
  let derived: Uint8Array | undefined;
  try {
    if (given !== undefined && !(given instanceof Uint8Array)) derived = derive(given);
    const data = decryptWith(job, key, derived ?? (given as Uint8Array | undefined) ?? new Uint8Array(0));
    return data === undefined ? { ok: false } : { ok: true, data };
  } finally {
    wipe(key, derived);
  }
}

/** Undefined if the padding or the tag is wrong, or the data are not whole blocks. */
function decryptWith(job: DecryptJob, key: Uint8Array, iv: Uint8Array): Uint8Array | undefined {
  const { cipher, data, effectiveKeyBits } = job;
  switch (cipher) {
    case 'rc2-cbc':
    case 'des-cbc':
      // OpenSSL has these in its legacy provider only.
      return data.length % 8 === 0
        ? unpadded(decryptCbc(cipher, key, iv, data, effectiveKeyBits))
        : undefined;
    case 'aes-gcm':
      return decryptGcm(key, iv, data);
    case 'aes-cbc':
      return finished(createDecipheriv(`aes-${key.length * 8}-cbc`, key, iv), data);
    default:
      return finished(createDecipheriv(cipher, key, iv), data);
  }
}

/** All that a decipher gives; undefined if the padding or the tag is wrong, or what is wrapped is not whole. */
export function finished(decipher: Decipher, data: Uint8Array): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  try {
    parts.push(decipher.update(data));
    parts.push(decipher.final());
    return concat(parts);
  } catch {
    return undefined;
  } finally {
    wipe(...parts); // what a wrong key or tag gives too
  }
}

/** The tag stands behind the ciphertext (RFC 5116 section 5.1). */
function decryptGcm(key: Uint8Array, nonce: Uint8Array, data: Uint8Array): Uint8Array | undefined {
  const end = data.length - GCM_TAG_OCTETS;
  if (end < 0) return undefined;
  const decipher = createDecipheriv(`aes-${(key.length * 8) as 128 | 192 | 256}-gcm`, key, nonce, {
    authTagLength: GCM_TAG_OCTETS,
  });
  decipher.setAuthTag(data.subarray(end));
  return finished(decipher, data.subarray(0, end));
}

/** RFC 8018 6.1.1 step 4. */
function unpadded(data: Uint8Array): Uint8Array | undefined {
  const count = data.at(-1) ?? 0;
  const right = count >= 1 && count <= 8 && data.subarray(-count).every((octet) => octet === count);
  return right ? data.subarray(0, data.length - count) : undefined;
}
