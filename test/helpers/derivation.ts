/** A reference for the key derivations, and what the tests of the WASM kernels share. */
import { createHash, pbkdf2Sync } from 'node:crypto';
import { expect } from 'vitest';
import { core, octets } from '../../src/wasm/instance.js';
import type { Derivation, KdfHash } from '../../src/wasm.js';

/** Octets that look random and are the same in every run. */
export function octetsOf(length: number, seed: number): Buffer {
  const out: Buffer[] = [];
  for (let i = 0; i * 32 < length; i++) out.push(createHash('sha256').update(`${seed} ${i}`).digest());
  return Buffer.concat(out).subarray(0, length);
}

/** No secret stays behind: all of the arena is zero. */
export function expectZeroArena(): void {
  const base = core.reserve(0);
  expect(octets.subarray(base).findIndex((octet) => octet !== 0)).toBe(-1);
}

/** RFC 7292 appendix B.2, word for word, on node:crypto's hashes and bigints. */
export function pkcs12Reference({ hash, password, salt, iterations, id, length }: Derivation): Buffer {
  const v = 64;
  const fill = (bytes: Uint8Array): Buffer =>
    Buffer.alloc(Math.ceil(bytes.length / v) * v, bytes.length === 0 ? 0 : bytes);
  const d = Buffer.alloc(v, id);
  let i = Buffer.concat([fill(salt), fill(password)]);
  const out: Buffer[] = [];
  for (let got = 0; got < length; ) {
    let a = createHash(hash).update(d).update(i).digest();
    for (let n = 1; n < iterations; n++) a = createHash(hash).update(a).digest();
    out.push(a);
    got += a.length;
    const b = BigInt(`0x${Buffer.alloc(v, a).toString('hex')}`) + 1n;
    const blocks: Buffer[] = [];
    for (let at = 0; at < i.length; at += v) {
      const sum = BigInt(`0x${i.subarray(at, at + v).toString('hex')}`) + b;
      blocks.push(
        Buffer.from(
          BigInt.asUintN(v * 8, sum)
            .toString(16)
            .padStart(v * 2, '0'),
          'hex',
        ),
      );
    }
    i = Buffer.concat(blocks);
  }
  return Buffer.concat(out).subarray(0, length);
}

export function reference(derivation: Derivation): Buffer {
  const { kdf, password, salt, iterations, length, hash } = derivation;
  return kdf === 'pkcs12'
    ? pkcs12Reference(derivation)
    : pbkdf2Sync(password, salt, iterations, length, hash);
}

/** BMPString with two zero octets behind it. */
export function bmp(text: string): Uint8Array {
  return Buffer.from(`${text}\0`, 'utf16le').swap16();
}

export function pkcs12(
  hash: KdfHash,
  id: 1 | 2 | 3,
  length: number,
  password: string,
  salt: string,
  iterations: number,
) {
  return {
    kdf: 'pkcs12',
    hash,
    id,
    length,
    iterations,
    password: bmp(password),
    salt: Buffer.from(salt, 'hex'),
  } satisfies Derivation;
}
