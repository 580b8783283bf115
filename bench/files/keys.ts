/**
 * RSA-2048 keys by the thousand, the same in every run. Finding a prime takes some 20 ms, so the keys are the pairs of
 * a small pool of primes: each has a modulus of its own, as every user's has, and all of them are fit for files that
 * nobody keeps a secret in, and for nothing else. Called by make.ts.
 */
import { checkPrimeSync, createHash } from 'node:crypto';
import { OID } from '../../src/asn1/oids.js';
import { writeDer } from '../../src/asn1/write.js';

const PRIME_OCTETS = 128;
const E = 65537n;

/** Those below 5,000: they sort out nine of ten candidates. */
const SMALL_PRIMES: readonly number[] = (() => {
  const primes: number[] = [];
  for (let n = 3; n < 5000; n += 2) if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  return primes;
})();

/** The first prime from a random place on; what is random comes from the seed alone. */
function seededPrime(seed: string): bigint {
  const octets = createHash('shake256', { outputLength: PRIME_OCTETS }).update(seed).digest();
  octets[0] = (octets[0] as number) | 0xc0; // the product of two has 2,048 bits
  octets[PRIME_OCTETS - 1] = (octets[PRIME_OCTETS - 1] as number) | 1;
  const start = BigInt(`0x${octets.toString('hex')}`);
  const rests = SMALL_PRIMES.map((prime) => Number(start % BigInt(prime)));
  for (let offset = 0; ; offset += 2) {
    if (SMALL_PRIMES.some((prime, i) => ((rests[i] as number) + offset) % prime === 0)) continue;
    const candidate = start + BigInt(offset);
    if (checkPrimeSync(candidate, { checks: 8 }) && candidate % E !== 1n) return candidate;
  }
}

/** The inverse of a modulo m, by the extended Euclidean algorithm. */
function inverse(a: bigint, m: bigint): bigint {
  let [r, next, x, nextX] = [m, a % m, 0n, 1n];
  while (next !== 0n) {
    const quotient = r / next;
    [r, next] = [next, r - quotient * next];
    [x, nextX] = [nextX, x - quotient * nextX];
  }
  return x < 0n ? x + m : x;
}

/** PKCS#8 (RFC 5958) of an RSAPrivateKey (RFC 8017 appendix A.1.2). */
function encodeKey(p: bigint, q: bigint): Uint8Array {
  const phi = (p - 1n) * (q - 1n);
  const d = inverse(E, phi);
  const numbers = [0n, p * q, E, d, p, q, d % (p - 1n), d % (q - 1n), inverse(q, p)];
  const rsaKey = writeDer((w) =>
    w.sequence((w) => {
      for (const number of numbers) w.integer(number);
    }),
  );
  return writeDer((w) =>
    w.sequence((w) => {
      w.integer(0);
      w.sequence((w) => {
        w.oid(OID.rsaEncryption);
        w.null();
      });
      w.octets(rsaKey);
    }),
  );
}

/** As many different keys as asked for, PKCS#8; other seeds give others. */
export function* seededKeys(seed: string, count: number): Generator<Uint8Array> {
  const primes = [seededPrime(`${seed} 0`)];
  for (let made = 0; made < count; ) {
    const q = seededPrime(`${seed} ${primes.length}`);
    for (const p of primes) if (made++ < count) yield encodeKey(p, q);
    primes.push(q);
  }
}
