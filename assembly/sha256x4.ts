/**
 * SHA-256 (FIPS 180-4 section 6.2.2) on four lanes; x4.ts draws the lanes. For PKCS#12 and PBKDF2. Called by
 * hashx4.ts and lanes.ts.
 *
 * A block is about 3,100 vector operations, two in five of them shifts, which only two of the three vector ports
 * take: that bounds it. The iteration loop leaves out all that a constant makes needless.
 */
import { add, constant, DIGEST, EVEN, LENGTH, loadBlocks, ODD, READY, ROW, TOTAL, twin, xor } from './x4';

const K: u32 = <u32>memory.data<u32>([
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
const PAD: u32 = 64 * 4;
const K8_PAD: u32 = 65 * 4;
const SIGMA0_PAD: u32 = 66 * 4;

// @ts-ignore: decorator
@inline
function choose(e: v128, f: v128, g: v128): v128 {
  return xor(g, v128.and(e, xor(f, g)));
}

// A rotation of four words is two shifts; XORing the six shifted values needs one operation less than joining them
// pair by pair. x4.ts says what T is.

// @ts-ignore: decorator
@inline
function bigSigma0<T>(x: v128): v128 {
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
function bigSigma1<T>(x: v128): v128 {
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
function sigma0<T>(x: v128): v128 {
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
function sigma1<T>(x: v128): v128 {
  if (sizeof<T>() == 8) {
    const xx = twin(x);
    return xor(xor(i64x2.shr_u(xx, 17), i64x2.shr_u(xx, 19)), i32x4.shr_u(x, 10));
  }
  return xor(
    xor(xor(i32x4.shr_u(x, 17), i32x4.shl(x, 15)), xor(i32x4.shr_u(x, 19), i32x4.shl(x, 13))),
    i32x4.shr_u(x, 10),
  );
}

/** The word of the schedule 16 rows on. */
// @ts-ignore: decorator
@inline
function extend(wPtr: u32): void {
  const fixed = add(add(v128.load(wPtr), v128.load(wPtr, 9 * ROW)), sigma0<u32>(v128.load(wPtr, ROW)));
  v128.store(wPtr, add(fixed, sigma1<u32>(v128.load(wPtr, 14 * ROW))), 16 * ROW);
}

/**
 * One block of each lane. The schedule is extended between the rounds: on its own it would be one long wait, each word
 * for the second one before.
 * @param statePtr 8 rows, read and written
 * @param blocksPtr four pointers (u32) to blocks of 64 octets, any alignment
 * @param schedulePtr room of SCHEDULE_SIZE
 */
export function compress4(statePtr: u32, blocksPtr: u32, schedulePtr: u32): void {
  loadBlocks(blocksPtr, schedulePtr);
  const end = schedulePtr + 64 * ROW;
  let a = v128.load(statePtr);
  let b = v128.load(statePtr, 16);
  let c = v128.load(statePtr, 32);
  let d = v128.load(statePtr, 48);
  let e = v128.load(statePtr, 64);
  let f = v128.load(statePtr, 80);
  let g = v128.load(statePtr, 96);
  let h = v128.load(statePtr, 112);
  // maj(a, b, c) = b ^ ((a ^ b) & (b ^ c)), and a ^ b is the next round's b ^ c
  let ab: v128;
  let bc = xor(b, c);
  let k = K;
  for (let w = schedulePtr; w < end; w += 8 * ROW, k += 32) {
    if (w < end - 16 * ROW) {
      for (let row: u32 = 0; row < 8 * ROW; row += ROW) extend(w + row);
    }
    h = add(add(h, add(v128.load(w), constant<v128>(k, 0))), add(choose(e, f, g), bigSigma1<u32>(e))); d = add(d, h);
    ab = xor(a, b); h = add(h, add(xor(b, v128.and(ab, bc)), bigSigma0<u32>(a)));
    g = add(add(g, add(v128.load(w, 16), constant<v128>(k, 4))), add(choose(d, e, f), bigSigma1<u32>(d))); c = add(c, g);
    bc = xor(h, a); g = add(g, add(xor(a, v128.and(bc, ab)), bigSigma0<u32>(h)));
    f = add(add(f, add(v128.load(w, 32), constant<v128>(k, 8))), add(choose(c, d, e), bigSigma1<u32>(c))); b = add(b, f);
    ab = xor(g, h); f = add(f, add(xor(h, v128.and(ab, bc)), bigSigma0<u32>(g)));
    e = add(add(e, add(v128.load(w, 48), constant<v128>(k, 12))), add(choose(b, c, d), bigSigma1<u32>(b))); a = add(a, e);
    bc = xor(f, g); e = add(e, add(xor(g, v128.and(bc, ab)), bigSigma0<u32>(f)));
    d = add(add(d, add(v128.load(w, 64), constant<v128>(k, 16))), add(choose(a, b, c), bigSigma1<u32>(a))); h = add(h, d);
    ab = xor(e, f); d = add(d, add(xor(f, v128.and(ab, bc)), bigSigma0<u32>(e)));
    c = add(add(c, add(v128.load(w, 80), constant<v128>(k, 20))), add(choose(h, a, b), bigSigma1<u32>(h))); g = add(g, c);
    bc = xor(d, e); c = add(c, add(xor(e, v128.and(bc, ab)), bigSigma0<u32>(d)));
    b = add(add(b, add(v128.load(w, 96), constant<v128>(k, 24))), add(choose(g, h, a), bigSigma1<u32>(g))); f = add(f, b);
    ab = xor(c, d); b = add(b, add(xor(d, v128.and(ab, bc)), bigSigma0<u32>(c)));
    a = add(add(a, add(v128.load(w, 112), constant<v128>(k, 28))), add(choose(f, g, h), bigSigma1<u32>(f))); e = add(e, a);
    bc = xor(b, c); a = add(a, add(xor(c, v128.and(bc, ab)), bigSigma0<u32>(b)));
  }
  v128.store(statePtr, add(a, v128.load(statePtr)));
  v128.store(statePtr, add(b, v128.load(statePtr, 16)), 16);
  v128.store(statePtr, add(c, v128.load(statePtr, 32)), 32);
  v128.store(statePtr, add(d, v128.load(statePtr, 48)), 48);
  v128.store(statePtr, add(e, v128.load(statePtr, 64)), 64);
  v128.store(statePtr, add(f, v128.load(statePtr, 80)), 80);
  v128.store(statePtr, add(g, v128.load(statePtr, 96)), 96);
  v128.store(statePtr, add(h, v128.load(statePtr, 112)), 112);
}

/** What a start state alone decides: round 0 but for the message, which its new a and e both wait for. */
function prepare<T>(startPtr: u32): void {
  const a = v128.load(startPtr);
  const b = v128.load(startPtr, 16);
  const c = v128.load(startPtr, 32);
  const e = v128.load(startPtr, 64);
  const f = v128.load(startPtr, 80);
  const g = v128.load(startPtr, 96);
  const t1 = add(add(v128.load(startPtr, 112), constant<v128>(K, 0)), add(choose(e, f, g), bigSigma1<T>(e)));
  const majority = xor(b, v128.and(xor(a, b), xor(b, c)));
  v128.store(startPtr, add(t1, add(majority, bigSigma0<T>(a))), READY);
  v128.store(startPtr, add(t1, v128.load(startPtr, 48)), READY + 16);
}

/**
 * `steps` times: hashes each lane's digest, padded to a block, from the state EVEN or ODD in turn, and adds the
 * digest of every odd step to TOTAL; sha1x4.ts says why. The message is the digest w0…w7, then w8 = 80000000,
 * w9…w14 = 0, w15 = length: what is constant in the first 31 words of the schedule is left out.
 * @param areaPtr ITERATION_SIZE octets, layout in x4.ts
 */
// @ts-ignore: decorator
@inline
function iterate<T>(areaPtr: u32, steps: u32): void {
  const pad = constant<v128>(K, PAD);
  const sigma0Pad = constant<v128>(K, SIGMA0_PAD);
  const length = v128.load(areaPtr, LENGTH);
  const k15Length = add(constant<v128>(K, 60), length);
  const sigma0Length = sigma0<T>(length);
  const sigma1Length = sigma1<T>(length);
  const odd = areaPtr + ODD;
  prepare<T>(areaPtr + EVEN);
  prepare<T>(odd);
  let start = areaPtr + EVEN;
  let w0 = v128.load(areaPtr, DIGEST + 0);
  let w1 = v128.load(areaPtr, DIGEST + 16);
  let w2 = v128.load(areaPtr, DIGEST + 32);
  let w3 = v128.load(areaPtr, DIGEST + 48);
  let w4 = v128.load(areaPtr, DIGEST + 64);
  let w5 = v128.load(areaPtr, DIGEST + 80);
  let w6 = v128.load(areaPtr, DIGEST + 96);
  let w7 = v128.load(areaPtr, DIGEST + 112);
  for (; steps; --steps) {
    let h = add(v128.load(start, READY), w0);
    let d = add(v128.load(start, READY + 16), w0);
    let a = v128.load(start);
    let b = v128.load(start, 16);
    let c = v128.load(start, 32);
    let e = v128.load(start, 64);
    let f = v128.load(start, 80);
    let g = v128.load(start, 96);
    let w8: v128, w9: v128, w10: v128, w11: v128, w12: v128, w13: v128, w14: v128, w15: v128;
    let ab = xor(a, b);
    let bc: v128;
    g = add(add(g, add(w1, constant<v128>(K, 4))), add(choose(d, e, f), bigSigma1<T>(d))); c = add(c, g);
    bc = xor(h, a); g = add(g, add(xor(a, v128.and(bc, ab)), bigSigma0<T>(h)));
    f = add(add(f, add(w2, constant<v128>(K, 8))), add(choose(c, d, e), bigSigma1<T>(c))); b = add(b, f);
    ab = xor(g, h); f = add(f, add(xor(h, v128.and(ab, bc)), bigSigma0<T>(g)));
    e = add(add(e, add(w3, constant<v128>(K, 12))), add(choose(b, c, d), bigSigma1<T>(b))); a = add(a, e);
    bc = xor(f, g); e = add(e, add(xor(g, v128.and(bc, ab)), bigSigma0<T>(f)));
    d = add(add(d, add(w4, constant<v128>(K, 16))), add(choose(a, b, c), bigSigma1<T>(a))); h = add(h, d);
    ab = xor(e, f); d = add(d, add(xor(f, v128.and(ab, bc)), bigSigma0<T>(e)));
    c = add(add(c, add(w5, constant<v128>(K, 20))), add(choose(h, a, b), bigSigma1<T>(h))); g = add(g, c);
    bc = xor(d, e); c = add(c, add(xor(e, v128.and(bc, ab)), bigSigma0<T>(d)));
    b = add(add(b, add(w6, constant<v128>(K, 24))), add(choose(g, h, a), bigSigma1<T>(g))); f = add(f, b);
    ab = xor(c, d); b = add(b, add(xor(d, v128.and(ab, bc)), bigSigma0<T>(c)));
    a = add(add(a, add(w7, constant<v128>(K, 28))), add(choose(f, g, h), bigSigma1<T>(f))); e = add(e, a);
    bc = xor(b, c); a = add(a, add(xor(c, v128.and(bc, ab)), bigSigma0<T>(b)));
    h = add(add(h, constant<v128>(K, K8_PAD)), add(choose(e, f, g), bigSigma1<T>(e))); d = add(d, h);
    ab = xor(a, b); h = add(h, add(xor(b, v128.and(ab, bc)), bigSigma0<T>(a)));
    g = add(add(g, constant<v128>(K, 36)), add(choose(d, e, f), bigSigma1<T>(d))); c = add(c, g);
    bc = xor(h, a); g = add(g, add(xor(a, v128.and(bc, ab)), bigSigma0<T>(h)));
    f = add(add(f, constant<v128>(K, 40)), add(choose(c, d, e), bigSigma1<T>(c))); b = add(b, f);
    ab = xor(g, h); f = add(f, add(xor(h, v128.and(ab, bc)), bigSigma0<T>(g)));
    e = add(add(e, constant<v128>(K, 44)), add(choose(b, c, d), bigSigma1<T>(b))); a = add(a, e);
    bc = xor(f, g); e = add(e, add(xor(g, v128.and(bc, ab)), bigSigma0<T>(f)));
    d = add(add(d, constant<v128>(K, 48)), add(choose(a, b, c), bigSigma1<T>(a))); h = add(h, d);
    ab = xor(e, f); d = add(d, add(xor(f, v128.and(ab, bc)), bigSigma0<T>(e)));
    c = add(add(c, constant<v128>(K, 52)), add(choose(h, a, b), bigSigma1<T>(h))); g = add(g, c);
    bc = xor(d, e); c = add(c, add(xor(e, v128.and(bc, ab)), bigSigma0<T>(d)));
    b = add(add(b, constant<v128>(K, 56)), add(choose(g, h, a), bigSigma1<T>(g))); f = add(f, b);
    ab = xor(c, d); b = add(b, add(xor(d, v128.and(ab, bc)), bigSigma0<T>(c)));
    a = add(add(a, k15Length), add(choose(f, g, h), bigSigma1<T>(f))); e = add(e, a);
    bc = xor(b, c); a = add(a, add(xor(c, v128.and(bc, ab)), bigSigma0<T>(b)));
    w0 = add(w0, sigma0<T>(w1));
    h = add(add(h, add(w0, constant<v128>(K, 64))), add(choose(e, f, g), bigSigma1<T>(e))); d = add(d, h);
    ab = xor(a, b); h = add(h, add(xor(b, v128.and(ab, bc)), bigSigma0<T>(a)));
    w1 = add(add(w1, sigma0<T>(w2)), sigma1Length);
    g = add(add(g, add(w1, constant<v128>(K, 68))), add(choose(d, e, f), bigSigma1<T>(d))); c = add(c, g);
    bc = xor(h, a); g = add(g, add(xor(a, v128.and(bc, ab)), bigSigma0<T>(h)));
    w2 = add(add(w2, sigma0<T>(w3)), sigma1<T>(w0));
    f = add(add(f, add(w2, constant<v128>(K, 72))), add(choose(c, d, e), bigSigma1<T>(c))); b = add(b, f);
    ab = xor(g, h); f = add(f, add(xor(h, v128.and(ab, bc)), bigSigma0<T>(g)));
    w3 = add(add(w3, sigma0<T>(w4)), sigma1<T>(w1));
    e = add(add(e, add(w3, constant<v128>(K, 76))), add(choose(b, c, d), bigSigma1<T>(b))); a = add(a, e);
    bc = xor(f, g); e = add(e, add(xor(g, v128.and(bc, ab)), bigSigma0<T>(f)));
    w4 = add(add(w4, sigma0<T>(w5)), sigma1<T>(w2));
    d = add(add(d, add(w4, constant<v128>(K, 80))), add(choose(a, b, c), bigSigma1<T>(a))); h = add(h, d);
    ab = xor(e, f); d = add(d, add(xor(f, v128.and(ab, bc)), bigSigma0<T>(e)));
    w5 = add(add(w5, sigma0<T>(w6)), sigma1<T>(w3));
    c = add(add(c, add(w5, constant<v128>(K, 84))), add(choose(h, a, b), bigSigma1<T>(h))); g = add(g, c);
    bc = xor(d, e); c = add(c, add(xor(e, v128.and(bc, ab)), bigSigma0<T>(d)));
    w6 = add(add(add(w6, sigma0<T>(w7)), length), sigma1<T>(w4));
    b = add(add(b, add(w6, constant<v128>(K, 88))), add(choose(g, h, a), bigSigma1<T>(g))); f = add(f, b);
    ab = xor(c, d); b = add(b, add(xor(d, v128.and(ab, bc)), bigSigma0<T>(c)));
    w7 = add(add(add(w7, sigma0Pad), w0), sigma1<T>(w5));
    a = add(add(a, add(w7, constant<v128>(K, 92))), add(choose(f, g, h), bigSigma1<T>(f))); e = add(e, a);
    bc = xor(b, c); a = add(a, add(xor(c, v128.and(bc, ab)), bigSigma0<T>(b)));
    w8 = add(add(pad, w1), sigma1<T>(w6));
    h = add(add(h, add(w8, constant<v128>(K, 96))), add(choose(e, f, g), bigSigma1<T>(e))); d = add(d, h);
    ab = xor(a, b); h = add(h, add(xor(b, v128.and(ab, bc)), bigSigma0<T>(a)));
    w9 = add(w2, sigma1<T>(w7));
    g = add(add(g, add(w9, constant<v128>(K, 100))), add(choose(d, e, f), bigSigma1<T>(d))); c = add(c, g);
    bc = xor(h, a); g = add(g, add(xor(a, v128.and(bc, ab)), bigSigma0<T>(h)));
    w10 = add(w3, sigma1<T>(w8));
    f = add(add(f, add(w10, constant<v128>(K, 104))), add(choose(c, d, e), bigSigma1<T>(c))); b = add(b, f);
    ab = xor(g, h); f = add(f, add(xor(h, v128.and(ab, bc)), bigSigma0<T>(g)));
    w11 = add(w4, sigma1<T>(w9));
    e = add(add(e, add(w11, constant<v128>(K, 108))), add(choose(b, c, d), bigSigma1<T>(b))); a = add(a, e);
    bc = xor(f, g); e = add(e, add(xor(g, v128.and(bc, ab)), bigSigma0<T>(f)));
    w12 = add(w5, sigma1<T>(w10));
    d = add(add(d, add(w12, constant<v128>(K, 112))), add(choose(a, b, c), bigSigma1<T>(a))); h = add(h, d);
    ab = xor(e, f); d = add(d, add(xor(f, v128.and(ab, bc)), bigSigma0<T>(e)));
    w13 = add(w6, sigma1<T>(w11));
    c = add(add(c, add(w13, constant<v128>(K, 116))), add(choose(h, a, b), bigSigma1<T>(h))); g = add(g, c);
    bc = xor(d, e); c = add(c, add(xor(e, v128.and(bc, ab)), bigSigma0<T>(d)));
    w14 = add(add(sigma0Length, w7), sigma1<T>(w12));
    b = add(add(b, add(w14, constant<v128>(K, 120))), add(choose(g, h, a), bigSigma1<T>(g))); f = add(f, b);
    ab = xor(c, d); b = add(b, add(xor(d, v128.and(ab, bc)), bigSigma0<T>(c)));
    w15 = add(add(add(length, sigma0<T>(w0)), w8), sigma1<T>(w13));
    a = add(add(a, add(w15, constant<v128>(K, 124))), add(choose(f, g, h), bigSigma1<T>(f))); e = add(e, a);
    bc = xor(b, c); a = add(a, add(xor(c, v128.and(bc, ab)), bigSigma0<T>(b)));
    w0 = add(add(add(w0, sigma0<T>(w1)), w9), sigma1<T>(w14));
    h = add(add(h, add(w0, constant<v128>(K, 128))), add(choose(e, f, g), bigSigma1<T>(e))); d = add(d, h);
    ab = xor(a, b); h = add(h, add(xor(b, v128.and(ab, bc)), bigSigma0<T>(a)));
    w1 = add(add(add(w1, sigma0<T>(w2)), w10), sigma1<T>(w15));
    g = add(add(g, add(w1, constant<v128>(K, 132))), add(choose(d, e, f), bigSigma1<T>(d))); c = add(c, g);
    bc = xor(h, a); g = add(g, add(xor(a, v128.and(bc, ab)), bigSigma0<T>(h)));
    w2 = add(add(add(w2, sigma0<T>(w3)), w11), sigma1<T>(w0));
    f = add(add(f, add(w2, constant<v128>(K, 136))), add(choose(c, d, e), bigSigma1<T>(c))); b = add(b, f);
    ab = xor(g, h); f = add(f, add(xor(h, v128.and(ab, bc)), bigSigma0<T>(g)));
    w3 = add(add(add(w3, sigma0<T>(w4)), w12), sigma1<T>(w1));
    e = add(add(e, add(w3, constant<v128>(K, 140))), add(choose(b, c, d), bigSigma1<T>(b))); a = add(a, e);
    bc = xor(f, g); e = add(e, add(xor(g, v128.and(bc, ab)), bigSigma0<T>(f)));
    w4 = add(add(add(w4, sigma0<T>(w5)), w13), sigma1<T>(w2));
    d = add(add(d, add(w4, constant<v128>(K, 144))), add(choose(a, b, c), bigSigma1<T>(a))); h = add(h, d);
    ab = xor(e, f); d = add(d, add(xor(f, v128.and(ab, bc)), bigSigma0<T>(e)));
    w5 = add(add(add(w5, sigma0<T>(w6)), w14), sigma1<T>(w3));
    c = add(add(c, add(w5, constant<v128>(K, 148))), add(choose(h, a, b), bigSigma1<T>(h))); g = add(g, c);
    bc = xor(d, e); c = add(c, add(xor(e, v128.and(bc, ab)), bigSigma0<T>(d)));
    w6 = add(add(add(w6, sigma0<T>(w7)), w15), sigma1<T>(w4));
    b = add(add(b, add(w6, constant<v128>(K, 152))), add(choose(g, h, a), bigSigma1<T>(g))); f = add(f, b);
    ab = xor(c, d); b = add(b, add(xor(d, v128.and(ab, bc)), bigSigma0<T>(c)));
    w7 = add(add(add(w7, sigma0<T>(w8)), w0), sigma1<T>(w5));
    a = add(add(a, add(w7, constant<v128>(K, 156))), add(choose(f, g, h), bigSigma1<T>(f))); e = add(e, a);
    bc = xor(b, c); a = add(a, add(xor(c, v128.and(bc, ab)), bigSigma0<T>(b)));
    w8 = add(add(add(w8, sigma0<T>(w9)), w1), sigma1<T>(w6));
    h = add(add(h, add(w8, constant<v128>(K, 160))), add(choose(e, f, g), bigSigma1<T>(e))); d = add(d, h);
    ab = xor(a, b); h = add(h, add(xor(b, v128.and(ab, bc)), bigSigma0<T>(a)));
    w9 = add(add(add(w9, sigma0<T>(w10)), w2), sigma1<T>(w7));
    g = add(add(g, add(w9, constant<v128>(K, 164))), add(choose(d, e, f), bigSigma1<T>(d))); c = add(c, g);
    bc = xor(h, a); g = add(g, add(xor(a, v128.and(bc, ab)), bigSigma0<T>(h)));
    w10 = add(add(add(w10, sigma0<T>(w11)), w3), sigma1<T>(w8));
    f = add(add(f, add(w10, constant<v128>(K, 168))), add(choose(c, d, e), bigSigma1<T>(c))); b = add(b, f);
    ab = xor(g, h); f = add(f, add(xor(h, v128.and(ab, bc)), bigSigma0<T>(g)));
    w11 = add(add(add(w11, sigma0<T>(w12)), w4), sigma1<T>(w9));
    e = add(add(e, add(w11, constant<v128>(K, 172))), add(choose(b, c, d), bigSigma1<T>(b))); a = add(a, e);
    bc = xor(f, g); e = add(e, add(xor(g, v128.and(bc, ab)), bigSigma0<T>(f)));
    w12 = add(add(add(w12, sigma0<T>(w13)), w5), sigma1<T>(w10));
    d = add(add(d, add(w12, constant<v128>(K, 176))), add(choose(a, b, c), bigSigma1<T>(a))); h = add(h, d);
    ab = xor(e, f); d = add(d, add(xor(f, v128.and(ab, bc)), bigSigma0<T>(e)));
    w13 = add(add(add(w13, sigma0<T>(w14)), w6), sigma1<T>(w11));
    c = add(add(c, add(w13, constant<v128>(K, 180))), add(choose(h, a, b), bigSigma1<T>(h))); g = add(g, c);
    bc = xor(d, e); c = add(c, add(xor(e, v128.and(bc, ab)), bigSigma0<T>(d)));
    w14 = add(add(add(w14, sigma0<T>(w15)), w7), sigma1<T>(w12));
    b = add(add(b, add(w14, constant<v128>(K, 184))), add(choose(g, h, a), bigSigma1<T>(g))); f = add(f, b);
    ab = xor(c, d); b = add(b, add(xor(d, v128.and(ab, bc)), bigSigma0<T>(c)));
    w15 = add(add(add(w15, sigma0<T>(w0)), w8), sigma1<T>(w13));
    a = add(add(a, add(w15, constant<v128>(K, 188))), add(choose(f, g, h), bigSigma1<T>(f))); e = add(e, a);
    bc = xor(b, c); a = add(a, add(xor(c, v128.and(bc, ab)), bigSigma0<T>(b)));
    w0 = add(add(add(w0, sigma0<T>(w1)), w9), sigma1<T>(w14));
    h = add(add(h, add(w0, constant<v128>(K, 192))), add(choose(e, f, g), bigSigma1<T>(e))); d = add(d, h);
    ab = xor(a, b); h = add(h, add(xor(b, v128.and(ab, bc)), bigSigma0<T>(a)));
    w1 = add(add(add(w1, sigma0<T>(w2)), w10), sigma1<T>(w15));
    g = add(add(g, add(w1, constant<v128>(K, 196))), add(choose(d, e, f), bigSigma1<T>(d))); c = add(c, g);
    bc = xor(h, a); g = add(g, add(xor(a, v128.and(bc, ab)), bigSigma0<T>(h)));
    w2 = add(add(add(w2, sigma0<T>(w3)), w11), sigma1<T>(w0));
    f = add(add(f, add(w2, constant<v128>(K, 200))), add(choose(c, d, e), bigSigma1<T>(c))); b = add(b, f);
    ab = xor(g, h); f = add(f, add(xor(h, v128.and(ab, bc)), bigSigma0<T>(g)));
    w3 = add(add(add(w3, sigma0<T>(w4)), w12), sigma1<T>(w1));
    e = add(add(e, add(w3, constant<v128>(K, 204))), add(choose(b, c, d), bigSigma1<T>(b))); a = add(a, e);
    bc = xor(f, g); e = add(e, add(xor(g, v128.and(bc, ab)), bigSigma0<T>(f)));
    w4 = add(add(add(w4, sigma0<T>(w5)), w13), sigma1<T>(w2));
    d = add(add(d, add(w4, constant<v128>(K, 208))), add(choose(a, b, c), bigSigma1<T>(a))); h = add(h, d);
    ab = xor(e, f); d = add(d, add(xor(f, v128.and(ab, bc)), bigSigma0<T>(e)));
    w5 = add(add(add(w5, sigma0<T>(w6)), w14), sigma1<T>(w3));
    c = add(add(c, add(w5, constant<v128>(K, 212))), add(choose(h, a, b), bigSigma1<T>(h))); g = add(g, c);
    bc = xor(d, e); c = add(c, add(xor(e, v128.and(bc, ab)), bigSigma0<T>(d)));
    w6 = add(add(add(w6, sigma0<T>(w7)), w15), sigma1<T>(w4));
    b = add(add(b, add(w6, constant<v128>(K, 216))), add(choose(g, h, a), bigSigma1<T>(g))); f = add(f, b);
    ab = xor(c, d); b = add(b, add(xor(d, v128.and(ab, bc)), bigSigma0<T>(c)));
    w7 = add(add(add(w7, sigma0<T>(w8)), w0), sigma1<T>(w5));
    a = add(add(a, add(w7, constant<v128>(K, 220))), add(choose(f, g, h), bigSigma1<T>(f))); e = add(e, a);
    bc = xor(b, c); a = add(a, add(xor(c, v128.and(bc, ab)), bigSigma0<T>(b)));
    w8 = add(add(add(w8, sigma0<T>(w9)), w1), sigma1<T>(w6));
    h = add(add(h, add(w8, constant<v128>(K, 224))), add(choose(e, f, g), bigSigma1<T>(e))); d = add(d, h);
    ab = xor(a, b); h = add(h, add(xor(b, v128.and(ab, bc)), bigSigma0<T>(a)));
    w9 = add(add(add(w9, sigma0<T>(w10)), w2), sigma1<T>(w7));
    g = add(add(g, add(w9, constant<v128>(K, 228))), add(choose(d, e, f), bigSigma1<T>(d))); c = add(c, g);
    bc = xor(h, a); g = add(g, add(xor(a, v128.and(bc, ab)), bigSigma0<T>(h)));
    w10 = add(add(add(w10, sigma0<T>(w11)), w3), sigma1<T>(w8));
    f = add(add(f, add(w10, constant<v128>(K, 232))), add(choose(c, d, e), bigSigma1<T>(c))); b = add(b, f);
    ab = xor(g, h); f = add(f, add(xor(h, v128.and(ab, bc)), bigSigma0<T>(g)));
    w11 = add(add(add(w11, sigma0<T>(w12)), w4), sigma1<T>(w9));
    e = add(add(e, add(w11, constant<v128>(K, 236))), add(choose(b, c, d), bigSigma1<T>(b))); a = add(a, e);
    bc = xor(f, g); e = add(e, add(xor(g, v128.and(bc, ab)), bigSigma0<T>(f)));
    w12 = add(add(add(w12, sigma0<T>(w13)), w5), sigma1<T>(w10));
    d = add(add(d, add(w12, constant<v128>(K, 240))), add(choose(a, b, c), bigSigma1<T>(a))); h = add(h, d);
    ab = xor(e, f); d = add(d, add(xor(f, v128.and(ab, bc)), bigSigma0<T>(e)));
    w13 = add(add(add(w13, sigma0<T>(w14)), w6), sigma1<T>(w11));
    c = add(add(c, add(w13, constant<v128>(K, 244))), add(choose(h, a, b), bigSigma1<T>(h))); g = add(g, c);
    bc = xor(d, e); c = add(c, add(xor(e, v128.and(bc, ab)), bigSigma0<T>(d)));
    w14 = add(add(add(w14, sigma0<T>(w15)), w7), sigma1<T>(w12));
    b = add(add(b, add(w14, constant<v128>(K, 248))), add(choose(g, h, a), bigSigma1<T>(g))); f = add(f, b);
    ab = xor(c, d); b = add(b, add(xor(d, v128.and(ab, bc)), bigSigma0<T>(c)));
    w15 = add(add(add(w15, sigma0<T>(w0)), w8), sigma1<T>(w13));
    a = add(add(a, add(w15, constant<v128>(K, 252))), add(choose(f, g, h), bigSigma1<T>(f))); e = add(e, a);
    bc = xor(b, c); a = add(a, add(xor(c, v128.and(bc, ab)), bigSigma0<T>(b)));
    w0 = add(a, v128.load(start, 0));
    w1 = add(b, v128.load(start, 16));
    w2 = add(c, v128.load(start, 32));
    w3 = add(d, v128.load(start, 48));
    w4 = add(e, v128.load(start, 64));
    w5 = add(f, v128.load(start, 80));
    w6 = add(g, v128.load(start, 96));
    w7 = add(h, v128.load(start, 112));
    if (start == odd) {
      v128.store(areaPtr, xor(w0, v128.load(areaPtr, TOTAL + 0)), TOTAL + 0);
      v128.store(areaPtr, xor(w1, v128.load(areaPtr, TOTAL + 16)), TOTAL + 16);
      v128.store(areaPtr, xor(w2, v128.load(areaPtr, TOTAL + 32)), TOTAL + 32);
      v128.store(areaPtr, xor(w3, v128.load(areaPtr, TOTAL + 48)), TOTAL + 48);
      v128.store(areaPtr, xor(w4, v128.load(areaPtr, TOTAL + 64)), TOTAL + 64);
      v128.store(areaPtr, xor(w5, v128.load(areaPtr, TOTAL + 80)), TOTAL + 80);
      v128.store(areaPtr, xor(w6, v128.load(areaPtr, TOTAL + 96)), TOTAL + 96);
      v128.store(areaPtr, xor(w7, v128.load(areaPtr, TOTAL + 112)), TOTAL + 112);
      start -= ODD - EVEN;
    } else {
      start = odd;
    }
  }
  v128.store(areaPtr, w0, DIGEST + 0);
  v128.store(areaPtr, w1, DIGEST + 16);
  v128.store(areaPtr, w2, DIGEST + 32);
  v128.store(areaPtr, w3, DIGEST + 48);
  v128.store(areaPtr, w4, DIGEST + 64);
  v128.store(areaPtr, w5, DIGEST + 80);
  v128.store(areaPtr, w6, DIGEST + 96);
  v128.store(areaPtr, w7, DIGEST + 112);
}

/** Four chains. */
export function iterate4(areaPtr: u32, steps: u32): void {
  iterate<u32>(areaPtr, steps);
}

/** Two chains, in lanes 0 and 2; lanes 1 and 3 are spoilt. */
export function iterate2(areaPtr: u32, steps: u32): void {
  iterate<u64>(areaPtr, steps);
}
