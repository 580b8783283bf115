/**
 * RSA keys (RFC 8017 appendix A.1): structure, bounds, and the arithmetic that ties a private key together. Node
 * imports a JWK without looking at it, and a wrong CRT exponent in a signature gives the factors away (Boneh, DeMillo,
 * Lipton), so a key is checked once, here. Refused: moduli outside 512 to 16384 bits, more than two primes. The
 * bigint arithmetic is not constant-time: it runs once, at import, on keys that their owner gives us. Used by keys.ts.
 */
import { Tag } from '../asn1/tags.js';
import type { DerNode } from '../asn1/tape.js';
import { readSmallInteger, readUnsigned } from '../asn1/values.js';
import { buffer, fromHex, toHex } from '../bytes.js';

export const MIN_RSA_BITS = 512;
/** Above it a single verification takes tens of milliseconds; OpenSSL has the same limit. */
export const MAX_RSA_BITS = 16384;
/** OpenSSL refuses longer exponents for moduli over 3072 bits, since they make every verification slow. */
const MAX_EXPONENT_OCTETS = 8;

/** Magnitudes without leading zeros. */
export interface RsaPublic {
  readonly n: Uint8Array;
  readonly e: Uint8Array;
}

export interface RsaPrivate extends RsaPublic {
  readonly d: Uint8Array;
  readonly p: Uint8Array;
  readonly q: Uint8Array;
  readonly dp: Uint8Array;
  readonly dq: Uint8Array;
  readonly qi: Uint8Array;
}

export function bitLength(magnitude: Uint8Array): number {
  return magnitude.length * 8 - (Math.clz32(magnitude[0] ?? 0) - 24);
}

function isOdd(magnitude: Uint8Array): boolean {
  return ((magnitude[magnitude.length - 1] ?? 0) & 1) === 1;
}

function checkPublic({ n, e }: RsaPublic, node: DerNode): void {
  const bits = bitLength(n);
  if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS) {
    throw node.fail(
      'KEY_MALFORMED',
      `RSA modulus of ${bits} bits, allowed are ${MIN_RSA_BITS} to ${MAX_RSA_BITS}`,
    );
  }
  if (!isOdd(n)) throw node.fail('KEY_MALFORMED', 'the RSA modulus is even');
  const exponentIsOne = e.length === 1 && e[0] === 1;
  if (!isOdd(e) || exponentIsOne || e.length > MAX_EXPONENT_OCTETS) {
    throw node.fail('KEY_MALFORMED', 'the RSA public exponent is even, one, or over 64 bits');
  }
}

/** RSAPublicKey. @throws MailsealError ASN1_*, KEY_MALFORMED */
export function readRsaPublic(node: DerNode): RsaPublic {
  const reader = node.reader(Tag.SEQUENCE, 'RSAPublicKey');
  const n = readUnsigned(reader.next(Tag.INTEGER, 'modulus'), 'modulus');
  const e = readUnsigned(reader.next(Tag.INTEGER, 'publicExponent'), 'publicExponent');
  reader.end();
  checkPublic({ n, e }, node);
  return { n, e };
}

const PRIVATE_FIELDS = ['d', 'p', 'q', 'dp', 'dq', 'qi'] as const;

/**
 * RSAPrivateKey, checked; CRT values that are zero, as some writers leave them, are computed.
 * @throws MailsealError ASN1_*, KEY_MALFORMED; UNSUPPORTED_FEATURE for more than two primes, or none
 */
export function readRsaPrivate(node: DerNode): RsaPrivate {
  const reader = node.reader(Tag.SEQUENCE, 'RSAPrivateKey');
  const version = readSmallInteger(reader.next(Tag.INTEGER, 'version'), 'version');
  if (version === 1) throw node.fail('UNSUPPORTED_FEATURE', 'RSA private key with more than two primes');
  if (version !== 0) throw node.fail('KEY_MALFORMED', `RSAPrivateKey version ${version}`);
  const n = readUnsigned(reader.next(Tag.INTEGER, 'modulus'), 'modulus');
  const e = readUnsigned(reader.next(Tag.INTEGER, 'publicExponent'), 'publicExponent');
  checkPublic({ n, e }, node);
  const [d, p, q, dp, dq, qi] = PRIVATE_FIELDS.map((field) => {
    const magnitude = readUnsigned(reader.next(Tag.INTEGER, field), field);
    // Before any arithmetic: its cost grows with the square of the length.
    if (magnitude.length > n.length) throw node.fail('KEY_MALFORMED', `${field} is longer than the modulus`);
    return { magnitude, value: toBigInt(magnitude) };
  }) as [Field, Field, Field, Field, Field, Field];
  reader.end();
  if (p.value === 0n && q.value === 0n) {
    throw node.fail('UNSUPPORTED_FEATURE', 'RSA private key without its primes');
  }
  const given = { dp: dp.value, dq: dq.value, qi: qi.value };
  const crt = completeCrt(toBigInt(n), toBigInt(e), d.value, p.value, q.value, given);
  if (crt === undefined)
    throw node.fail('KEY_MALFORMED', 'the numbers of the RSA private key contradict each other');
  const complete = ({ magnitude, value }: Field, computed: bigint) =>
    value === 0n ? fromBigInt(computed) : magnitude;
  return {
    n,
    e,
    d: d.magnitude,
    p: p.magnitude,
    q: q.magnitude,
    dp: complete(dp, crt.dp),
    dq: complete(dq, crt.dq),
    qi: complete(qi, crt.qi),
  };
}

interface Field {
  readonly magnitude: Uint8Array;
  readonly value: bigint;
}

interface Crt {
  dp: bigint;
  dq: bigint;
  qi: bigint;
}

/** RFC 8017 3.2, every equation; undefined if one does not hold. Whether p and q are prime is not tested. */
function completeCrt(n: bigint, e: bigint, d: bigint, p: bigint, q: bigint, given: Crt): Crt | undefined {
  if (p <= 1n || q <= 1n || n !== p * q) return undefined;
  const dp = d % (p - 1n);
  const dq = d % (q - 1n);
  if ((e * dp) % (p - 1n) !== 1n || (e * dq) % (q - 1n) !== 1n) return undefined;
  const qi = given.qi === 0n ? inverse(q, p) : given.qi;
  if (qi === undefined || qi >= p || (q * qi) % p !== 1n) return undefined;
  if (given.dp !== 0n && given.dp !== dp) return undefined;
  if (given.dq !== 0n && given.dq !== dq) return undefined;
  return { dp, dq, qi };
}

/** Modular inverse by the extended Euclidean algorithm. */
function inverse(value: bigint, modulus: bigint): bigint | undefined {
  let [r0, r1] = [modulus, value % modulus];
  let [t0, t1] = [0n, 1n];
  while (r1 !== 0n) {
    const quotient = r0 / r1;
    [r0, r1] = [r1, r0 - quotient * r1];
    [t0, t1] = [t1, t0 - quotient * t1];
  }
  return r0 === 1n ? ((t0 % modulus) + modulus) % modulus : undefined;
}

function toBigInt(magnitude: Uint8Array): bigint {
  return BigInt(`0x${toHex(magnitude)}`);
}

function fromBigInt(value: bigint): Uint8Array {
  const hex = value.toString(16);
  return fromHex(hex.length % 2 === 0 ? hex : `0${hex}`);
}

/** A JWK; Node has no way in that avoids strings. */
export function rsaJwk(key: RsaPublic | RsaPrivate): JsonWebKeyFields {
  const jwk: JsonWebKeyFields = { kty: 'RSA' };
  for (const [field, magnitude] of Object.entries(key)) jwk[field] = buffer(magnitude).toString('base64url');
  return jwk;
}

export type JsonWebKeyFields = Record<string, string>;
