/**
 * What the SHA-256 kernels share (FIPS 180-4 section 4.1.2 and 4.2.2): constants and functions, on a row or on one word
 * alone. x4.ts draws the rows, and says what V and T are. Used by sha256x4.ts and sha256woven.ts.
 */
import { add, and, constant, read, READY, twin, write, xor } from './x4';

export const K: u32 = <u32>memory.data<u32>([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
  0x80000000, // the bit behind the message
  0x5807aa98, // K[8] with it
  0x11002000, // sigma0 of it
]);
export const PAD: u32 = 64 * 4;
export const K8_PAD: u32 = 65 * 4;
export const SIGMA0_PAD: u32 = 66 * 4;

// @ts-ignore: decorator
@inline
export function choose<V>(e: V, f: V, g: V): V {
  return xor(g, and(e, xor(f, g)));
}

// A rotation of four words is two shifts; XORing the six shifted values needs one operation less than joining them
// pair by pair. Of one word, rotations are turned in one another: each rotation by itself would begin with a copy.

// @ts-ignore: decorator
@inline
export function bigSigma0<V, T>(x: V): V {
  if (!isVector<V>()) return rotr(rotr(rotr(x, 9) ^ x, 11) ^ x, 2);
  if (sizeof<T>() == 8) {
    const xx = twin(x);
    return xor(xor(i64x2.shr_u(xx, 2), i64x2.shr_u(xx, 13)), i64x2.shr_u(xx, 22));
  }
  return xor(
    xor(xor(i32x4.shr_u(x, 2), i32x4.shl(x, 30)), xor(i32x4.shr_u(x, 13), i32x4.shl(x, 19))),
    xor(i32x4.shr_u(x, 22), i32x4.shl(x, 10)),
  );
}

// @ts-ignore: decorator
@inline
export function bigSigma1<V, T>(x: V): V {
  if (!isVector<V>()) return rotr(rotr(rotr(x, 14) ^ x, 5) ^ x, 6);
  if (sizeof<T>() == 8) {
    const xx = twin(x);
    return xor(xor(i64x2.shr_u(xx, 6), i64x2.shr_u(xx, 11)), i64x2.shr_u(xx, 25));
  }
  return xor(
    xor(xor(i32x4.shr_u(x, 6), i32x4.shl(x, 26)), xor(i32x4.shr_u(x, 11), i32x4.shl(x, 21))),
    xor(i32x4.shr_u(x, 25), i32x4.shl(x, 7)),
  );
}

// @ts-ignore: decorator
@inline
export function sigma0<V, T>(x: V): V {
  if (!isVector<V>()) return rotr(rotr(x, 11) ^ x, 7) ^ (x >> 3);
  if (sizeof<T>() == 8) {
    const xx = twin(x);
    return xor(xor(i64x2.shr_u(xx, 7), i64x2.shr_u(xx, 18)), i32x4.shr_u(x, 3));
  }
  return xor(
    xor(xor(i32x4.shr_u(x, 7), i32x4.shl(x, 25)), xor(i32x4.shr_u(x, 18), i32x4.shl(x, 14))),
    i32x4.shr_u(x, 3),
  );
}

// @ts-ignore: decorator
@inline
export function sigma1<V, T>(x: V): V {
  if (!isVector<V>()) return rotr(rotr(x, 2) ^ x, 17) ^ (x >> 10);
  if (sizeof<T>() == 8) {
    const xx = twin(x);
    return xor(xor(i64x2.shr_u(xx, 17), i64x2.shr_u(xx, 19)), i32x4.shr_u(x, 10));
  }
  return xor(
    xor(xor(i32x4.shr_u(x, 17), i32x4.shl(x, 15)), xor(i32x4.shr_u(x, 19), i32x4.shl(x, 13))),
    i32x4.shr_u(x, 10),
  );
}

/** What a start state alone decides: round 0 but for the message, which its new a and e both wait for. */
export function prepare<V, T>(startPtr: u32): void {
  const a = read<V>(startPtr);
  const b = read<V>(startPtr, 16);
  const c = read<V>(startPtr, 32);
  const e = read<V>(startPtr, 64);
  const f = read<V>(startPtr, 80);
  const g = read<V>(startPtr, 96);
  const t1 = add(add(read<V>(startPtr, 112), constant<V>(K, 0)), add(choose(e, f, g), bigSigma1<V, T>(e)));
  const majority = xor(b, and(xor(a, b), xor(b, c)));
  write<V>(startPtr, add(t1, add(majority, bigSigma0<V, T>(a))), READY);
  write<V>(startPtr, add(t1, read<V>(startPtr, 48)), READY + 16);
}
