/**
 * SHA-1 (FIPS 180-4 section 6.1.2) on four lanes; x4.ts draws the lanes. For PKCS#12 and PBKDF2 only: SHA-1 is
 * broken as a signature hash, and legacy PFX files are what this reads. Called by hashx4.ts and lanes.ts.
 *
 * A round is about 17 vector operations, a block about 1,400; the three vector ports of the processor are what bounds
 * it, so the iteration loop below leaves out all that a constant makes needless.
 */
import { add, DIGEST, EVEN, LENGTH, loadBlocks, ODD, READY, rotl, ROW, splat, TOTAL, xor } from './x4';

const CONSTANTS: u32 = <u32>memory.data<u32>([
  0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6, // K, one for 20 rounds
  0x80000000, // the bit behind the message
  0xda827999, // both of these
]);

// @ts-ignore: decorator
@inline
function choose(b: v128, c: v128, d: v128): v128 {
  return xor(d, v128.and(b, xor(c, d)));
}

// @ts-ignore: decorator
@inline
function parity(b: v128, c: v128, d: v128): v128 {
  return xor(xor(b, c), d);
}

// @ts-ignore: decorator
@inline
function majority(b: v128, c: v128, d: v128): v128 {
  return v128.or(v128.and(b, c), v128.and(d, v128.or(b, c)));
}

/** The new `a`, which takes the place of `e`; `wk` is the word of the schedule plus the constant. `a` comes in last
 * because it is the youngest value. */
// @ts-ignore: decorator
@inline
function round<T>(a: v128, f: v128, e: v128, wk: v128): v128 {
  return add(add(add(e, wk), f), rotl<T>(a, 5));
}

/** The word of the schedule 16 rows on. */
// @ts-ignore: decorator
@inline
function extend(wPtr: u32): void {
  const mixed = xor(xor(v128.load(wPtr, 13 * ROW), v128.load(wPtr, 8 * ROW)), xor(v128.load(wPtr, 2 * ROW), v128.load(wPtr)));
  v128.store(wPtr, rotl<u32>(mixed, 1), 16 * ROW);
}

/**
 * One block of each lane. The schedule is extended between the rounds: on its own it would be one long wait, each word
 * for the third one before.
 * @param statePtr 5 rows, read and written
 * @param blocksPtr four pointers (u32) to blocks of 64 octets, any alignment
 * @param schedulePtr room of SCHEDULE_SIZE
 */
export function compress4(statePtr: u32, blocksPtr: u32, schedulePtr: u32): void {
  loadBlocks(blocksPtr, schedulePtr);
  let a = v128.load(statePtr);
  let b = v128.load(statePtr, 16);
  let c = v128.load(statePtr, 32);
  let d = v128.load(statePtr, 48);
  let e = v128.load(statePtr, 64);
  let w = schedulePtr;
  let k = splat(CONSTANTS, 0);
  for (const next = w + 20 * ROW; w < next; w += 5 * ROW) {
    extend(w); e = round<u32>(a, choose(b, c, d), e, add(v128.load(w), k)); b = rotl<u32>(b, 30);
    extend(w + 16); d = round<u32>(e, choose(a, b, c), d, add(v128.load(w, 16), k)); a = rotl<u32>(a, 30);
    extend(w + 32); c = round<u32>(d, choose(e, a, b), c, add(v128.load(w, 32), k)); e = rotl<u32>(e, 30);
    extend(w + 48); b = round<u32>(c, choose(d, e, a), b, add(v128.load(w, 48), k)); d = rotl<u32>(d, 30);
    extend(w + 64); a = round<u32>(b, choose(c, d, e), a, add(v128.load(w, 64), k)); c = rotl<u32>(c, 30);
  }
  k = splat(CONSTANTS, 4);
  for (const next = w + 20 * ROW; w < next; w += 5 * ROW) {
    extend(w); e = round<u32>(a, parity(b, c, d), e, add(v128.load(w), k)); b = rotl<u32>(b, 30);
    extend(w + 16); d = round<u32>(e, parity(a, b, c), d, add(v128.load(w, 16), k)); a = rotl<u32>(a, 30);
    extend(w + 32); c = round<u32>(d, parity(e, a, b), c, add(v128.load(w, 32), k)); e = rotl<u32>(e, 30);
    extend(w + 48); b = round<u32>(c, parity(d, e, a), b, add(v128.load(w, 48), k)); d = rotl<u32>(d, 30);
    extend(w + 64); a = round<u32>(b, parity(c, d, e), a, add(v128.load(w, 64), k)); c = rotl<u32>(c, 30);
  }
  k = splat(CONSTANTS, 8);
  for (const next = w + 20 * ROW; w < next; w += 5 * ROW) {
    extend(w); e = round<u32>(a, majority(b, c, d), e, add(v128.load(w), k)); b = rotl<u32>(b, 30);
    extend(w + 16); d = round<u32>(e, majority(a, b, c), d, add(v128.load(w, 16), k)); a = rotl<u32>(a, 30);
    extend(w + 32); c = round<u32>(d, majority(e, a, b), c, add(v128.load(w, 32), k)); e = rotl<u32>(e, 30);
    extend(w + 48); b = round<u32>(c, majority(d, e, a), b, add(v128.load(w, 48), k)); d = rotl<u32>(d, 30);
    extend(w + 64); a = round<u32>(b, majority(c, d, e), a, add(v128.load(w, 64), k)); c = rotl<u32>(c, 30);
  }
  for (let last: u32 = 0; last < 4 * ROW; last += ROW) extend(w + last);
  k = splat(CONSTANTS, 12);
  for (const next = w + 20 * ROW; w < next; w += 5 * ROW) {
    e = round<u32>(a, parity(b, c, d), e, add(v128.load(w), k)); b = rotl<u32>(b, 30);
    d = round<u32>(e, parity(a, b, c), d, add(v128.load(w, 16), k)); a = rotl<u32>(a, 30);
    c = round<u32>(d, parity(e, a, b), c, add(v128.load(w, 32), k)); e = rotl<u32>(e, 30);
    b = round<u32>(c, parity(d, e, a), b, add(v128.load(w, 48), k)); d = rotl<u32>(d, 30);
    a = round<u32>(b, parity(c, d, e), a, add(v128.load(w, 64), k)); c = rotl<u32>(c, 30);
  }
  v128.store(statePtr, add(a, v128.load(statePtr)));
  v128.store(statePtr, add(b, v128.load(statePtr, 16)), 16);
  v128.store(statePtr, add(c, v128.load(statePtr, 32)), 32);
  v128.store(statePtr, add(d, v128.load(statePtr, 48)), 48);
  v128.store(statePtr, add(e, v128.load(statePtr, 64)), 64);
}

/** What a start state alone decides: rounds 0 and 1 but for the message, and two turned words. */
function prepare<T>(startPtr: u32): void {
  const k0 = splat(CONSTANTS, 0);
  const a = v128.load(startPtr);
  const b = v128.load(startPtr, 16);
  const c = v128.load(startPtr, 32);
  const d = v128.load(startPtr, 48);
  const e = v128.load(startPtr, 64);
  const turnedB = rotl<T>(b, 30);
  v128.store(startPtr, round<T>(a, choose(b, c, d), e, k0), READY);
  v128.store(startPtr, add(add(d, k0), choose(a, turnedB, c)), READY + 16);
  v128.store(startPtr, rotl<T>(a, 30), READY + 32);
  v128.store(startPtr, turnedB, READY + 48);
}

/**
 * `steps` times: hashes each lane's digest, padded to a block, from the state EVEN or ODD in turn, and adds the
 * digest of every odd step to TOTAL. A PKCS#12 lane has the initial state of SHA-1 in both and runs H(H(…)); a PBKDF2
 * lane has the states behind the inner and the outer pad and runs HMAC: both cost the same and mix freely.
 *
 * The message is the digest w0…w4, then w5 = 80000000, w6…w14 = 0, w15 = length: what is constant in the first 31
 * words of the schedule is left out. The digest never leaves its lanes.
 * @param areaPtr ITERATION_SIZE octets, layout in x4.ts
 */
// @ts-ignore: decorator
@inline
function iterate<T>(areaPtr: u32, steps: u32): void {
  const k0 = splat(CONSTANTS, 0);
  const k1 = splat(CONSTANTS, 4);
  const k2 = splat(CONSTANTS, 8);
  const k3 = splat(CONSTANTS, 12);
  const pad = splat(CONSTANTS, 16);
  const k0pad = splat(CONSTANTS, 20);
  const length = v128.load(areaPtr, LENGTH);
  const k0length = add(k0, length);
  const odd = areaPtr + ODD;
  prepare<T>(areaPtr + EVEN);
  prepare<T>(odd);
  let start = areaPtr + EVEN;
  let w0 = v128.load(areaPtr, DIGEST);
  let w1 = v128.load(areaPtr, DIGEST + 16);
  let w2 = v128.load(areaPtr, DIGEST + 32);
  let w3 = v128.load(areaPtr, DIGEST + 48);
  let w4 = v128.load(areaPtr, DIGEST + 64);
  for (; steps; --steps) {
    let e = add(v128.load(start, READY), w0);
    let d = add(add(v128.load(start, READY + 16), w1), rotl<T>(e, 5));
    let a = v128.load(start, READY + 32);
    let b = v128.load(start, READY + 48);
    let c = v128.load(start, 32);
    let w5: v128, w6: v128, w7: v128, w8: v128, w9: v128, w10: v128;
    let w11: v128, w12: v128, w13: v128, w14: v128, w15: v128;
    c = round<T>(d, choose(e, a, b), c, add(w2, k0)); e = rotl<T>(e, 30);
    b = round<T>(c, choose(d, e, a), b, add(w3, k0)); d = rotl<T>(d, 30);
    a = round<T>(b, choose(c, d, e), a, add(w4, k0)); c = rotl<T>(c, 30);
    e = round<T>(a, choose(b, c, d), e, k0pad); b = rotl<T>(b, 30);
    d = round<T>(e, choose(a, b, c), d, k0); a = rotl<T>(a, 30);
    c = round<T>(d, choose(e, a, b), c, k0); e = rotl<T>(e, 30);
    b = round<T>(c, choose(d, e, a), b, k0); d = rotl<T>(d, 30);
    a = round<T>(b, choose(c, d, e), a, k0); c = rotl<T>(c, 30);
    e = round<T>(a, choose(b, c, d), e, k0); b = rotl<T>(b, 30);
    d = round<T>(e, choose(a, b, c), d, k0); a = rotl<T>(a, 30);
    c = round<T>(d, choose(e, a, b), c, k0); e = rotl<T>(e, 30);
    b = round<T>(c, choose(d, e, a), b, k0); d = rotl<T>(d, 30);
    a = round<T>(b, choose(c, d, e), a, k0); c = rotl<T>(c, 30);
    e = round<T>(a, choose(b, c, d), e, k0length); b = rotl<T>(b, 30);
    w0 = rotl<T>(xor(w2, w0), 1); d = round<T>(e, choose(a, b, c), d, add(w0, k0)); a = rotl<T>(a, 30);
    w1 = rotl<T>(xor(w3, w1), 1); c = round<T>(d, choose(e, a, b), c, add(w1, k0)); e = rotl<T>(e, 30);
    w2 = rotl<T>(xor(xor(length, w4), w2), 1); b = round<T>(c, choose(d, e, a), b, add(w2, k0)); d = rotl<T>(d, 30);
    w3 = rotl<T>(xor(xor(w0, pad), w3), 1); a = round<T>(b, choose(c, d, e), a, add(w3, k0)); c = rotl<T>(c, 30);
    w4 = rotl<T>(xor(w1, w4), 1); e = round<T>(a, parity(b, c, d), e, add(w4, k1)); b = rotl<T>(b, 30);
    w5 = rotl<T>(xor(w2, pad), 1); d = round<T>(e, parity(a, b, c), d, add(w5, k1)); a = rotl<T>(a, 30);
    w6 = rotl<T>(w3, 1); c = round<T>(d, parity(e, a, b), c, add(w6, k1)); e = rotl<T>(e, 30);
    w7 = rotl<T>(xor(w4, length), 1); b = round<T>(c, parity(d, e, a), b, add(w7, k1)); d = rotl<T>(d, 30);
    w8 = rotl<T>(xor(w5, w0), 1); a = round<T>(b, parity(c, d, e), a, add(w8, k1)); c = rotl<T>(c, 30);
    w9 = rotl<T>(xor(w6, w1), 1); e = round<T>(a, parity(b, c, d), e, add(w9, k1)); b = rotl<T>(b, 30);
    w10 = rotl<T>(xor(w7, w2), 1); d = round<T>(e, parity(a, b, c), d, add(w10, k1)); a = rotl<T>(a, 30);
    w11 = rotl<T>(xor(w8, w3), 1); c = round<T>(d, parity(e, a, b), c, add(w11, k1)); e = rotl<T>(e, 30);
    w12 = rotl<T>(xor(w9, w4), 1); b = round<T>(c, parity(d, e, a), b, add(w12, k1)); d = rotl<T>(d, 30);
    w13 = rotl<T>(xor(xor(w10, w5), length), 1); a = round<T>(b, parity(c, d, e), a, add(w13, k1)); c = rotl<T>(c, 30);
    w14 = rotl<T>(xor(xor(w11, w6), w0), 1); e = round<T>(a, parity(b, c, d), e, add(w14, k1)); b = rotl<T>(b, 30);
    w15 = rotl<T>(xor(xor(xor(w12, w7), w1), length), 1); d = round<T>(e, parity(a, b, c), d, add(w15, k1)); a = rotl<T>(a, 30);
    w0 = rotl<T>(xor(xor(xor(w13, w8), w2), w0), 1); c = round<T>(d, parity(e, a, b), c, add(w0, k1)); e = rotl<T>(e, 30);
    w1 = rotl<T>(xor(xor(xor(w14, w9), w3), w1), 1); b = round<T>(c, parity(d, e, a), b, add(w1, k1)); d = rotl<T>(d, 30);
    w2 = rotl<T>(xor(xor(xor(w15, w10), w4), w2), 1); a = round<T>(b, parity(c, d, e), a, add(w2, k1)); c = rotl<T>(c, 30);
    w3 = rotl<T>(xor(xor(xor(w0, w11), w5), w3), 1); e = round<T>(a, parity(b, c, d), e, add(w3, k1)); b = rotl<T>(b, 30);
    w4 = rotl<T>(xor(xor(xor(w1, w12), w6), w4), 1); d = round<T>(e, parity(a, b, c), d, add(w4, k1)); a = rotl<T>(a, 30);
    w5 = rotl<T>(xor(xor(xor(w2, w13), w7), w5), 1); c = round<T>(d, parity(e, a, b), c, add(w5, k1)); e = rotl<T>(e, 30);
    w6 = rotl<T>(xor(xor(xor(w3, w14), w8), w6), 1); b = round<T>(c, parity(d, e, a), b, add(w6, k1)); d = rotl<T>(d, 30);
    w7 = rotl<T>(xor(xor(xor(w4, w15), w9), w7), 1); a = round<T>(b, parity(c, d, e), a, add(w7, k1)); c = rotl<T>(c, 30);
    w8 = rotl<T>(xor(xor(xor(w5, w0), w10), w8), 1); e = round<T>(a, majority(b, c, d), e, add(w8, k2)); b = rotl<T>(b, 30);
    w9 = rotl<T>(xor(xor(xor(w6, w1), w11), w9), 1); d = round<T>(e, majority(a, b, c), d, add(w9, k2)); a = rotl<T>(a, 30);
    w10 = rotl<T>(xor(xor(xor(w7, w2), w12), w10), 1); c = round<T>(d, majority(e, a, b), c, add(w10, k2)); e = rotl<T>(e, 30);
    w11 = rotl<T>(xor(xor(xor(w8, w3), w13), w11), 1); b = round<T>(c, majority(d, e, a), b, add(w11, k2)); d = rotl<T>(d, 30);
    w12 = rotl<T>(xor(xor(xor(w9, w4), w14), w12), 1); a = round<T>(b, majority(c, d, e), a, add(w12, k2)); c = rotl<T>(c, 30);
    w13 = rotl<T>(xor(xor(xor(w10, w5), w15), w13), 1); e = round<T>(a, majority(b, c, d), e, add(w13, k2)); b = rotl<T>(b, 30);
    w14 = rotl<T>(xor(xor(xor(w11, w6), w0), w14), 1); d = round<T>(e, majority(a, b, c), d, add(w14, k2)); a = rotl<T>(a, 30);
    w15 = rotl<T>(xor(xor(xor(w12, w7), w1), w15), 1); c = round<T>(d, majority(e, a, b), c, add(w15, k2)); e = rotl<T>(e, 30);
    w0 = rotl<T>(xor(xor(xor(w13, w8), w2), w0), 1); b = round<T>(c, majority(d, e, a), b, add(w0, k2)); d = rotl<T>(d, 30);
    w1 = rotl<T>(xor(xor(xor(w14, w9), w3), w1), 1); a = round<T>(b, majority(c, d, e), a, add(w1, k2)); c = rotl<T>(c, 30);
    w2 = rotl<T>(xor(xor(xor(w15, w10), w4), w2), 1); e = round<T>(a, majority(b, c, d), e, add(w2, k2)); b = rotl<T>(b, 30);
    w3 = rotl<T>(xor(xor(xor(w0, w11), w5), w3), 1); d = round<T>(e, majority(a, b, c), d, add(w3, k2)); a = rotl<T>(a, 30);
    w4 = rotl<T>(xor(xor(xor(w1, w12), w6), w4), 1); c = round<T>(d, majority(e, a, b), c, add(w4, k2)); e = rotl<T>(e, 30);
    w5 = rotl<T>(xor(xor(xor(w2, w13), w7), w5), 1); b = round<T>(c, majority(d, e, a), b, add(w5, k2)); d = rotl<T>(d, 30);
    w6 = rotl<T>(xor(xor(xor(w3, w14), w8), w6), 1); a = round<T>(b, majority(c, d, e), a, add(w6, k2)); c = rotl<T>(c, 30);
    w7 = rotl<T>(xor(xor(xor(w4, w15), w9), w7), 1); e = round<T>(a, majority(b, c, d), e, add(w7, k2)); b = rotl<T>(b, 30);
    w8 = rotl<T>(xor(xor(xor(w5, w0), w10), w8), 1); d = round<T>(e, majority(a, b, c), d, add(w8, k2)); a = rotl<T>(a, 30);
    w9 = rotl<T>(xor(xor(xor(w6, w1), w11), w9), 1); c = round<T>(d, majority(e, a, b), c, add(w9, k2)); e = rotl<T>(e, 30);
    w10 = rotl<T>(xor(xor(xor(w7, w2), w12), w10), 1); b = round<T>(c, majority(d, e, a), b, add(w10, k2)); d = rotl<T>(d, 30);
    w11 = rotl<T>(xor(xor(xor(w8, w3), w13), w11), 1); a = round<T>(b, majority(c, d, e), a, add(w11, k2)); c = rotl<T>(c, 30);
    w12 = rotl<T>(xor(xor(xor(w9, w4), w14), w12), 1); e = round<T>(a, parity(b, c, d), e, add(w12, k3)); b = rotl<T>(b, 30);
    w13 = rotl<T>(xor(xor(xor(w10, w5), w15), w13), 1); d = round<T>(e, parity(a, b, c), d, add(w13, k3)); a = rotl<T>(a, 30);
    w14 = rotl<T>(xor(xor(xor(w11, w6), w0), w14), 1); c = round<T>(d, parity(e, a, b), c, add(w14, k3)); e = rotl<T>(e, 30);
    w15 = rotl<T>(xor(xor(xor(w12, w7), w1), w15), 1); b = round<T>(c, parity(d, e, a), b, add(w15, k3)); d = rotl<T>(d, 30);
    w0 = rotl<T>(xor(xor(xor(w13, w8), w2), w0), 1); a = round<T>(b, parity(c, d, e), a, add(w0, k3)); c = rotl<T>(c, 30);
    w1 = rotl<T>(xor(xor(xor(w14, w9), w3), w1), 1); e = round<T>(a, parity(b, c, d), e, add(w1, k3)); b = rotl<T>(b, 30);
    w2 = rotl<T>(xor(xor(xor(w15, w10), w4), w2), 1); d = round<T>(e, parity(a, b, c), d, add(w2, k3)); a = rotl<T>(a, 30);
    w3 = rotl<T>(xor(xor(xor(w0, w11), w5), w3), 1); c = round<T>(d, parity(e, a, b), c, add(w3, k3)); e = rotl<T>(e, 30);
    w4 = rotl<T>(xor(xor(xor(w1, w12), w6), w4), 1); b = round<T>(c, parity(d, e, a), b, add(w4, k3)); d = rotl<T>(d, 30);
    w5 = rotl<T>(xor(xor(xor(w2, w13), w7), w5), 1); a = round<T>(b, parity(c, d, e), a, add(w5, k3)); c = rotl<T>(c, 30);
    w6 = rotl<T>(xor(xor(xor(w3, w14), w8), w6), 1); e = round<T>(a, parity(b, c, d), e, add(w6, k3)); b = rotl<T>(b, 30);
    w7 = rotl<T>(xor(xor(xor(w4, w15), w9), w7), 1); d = round<T>(e, parity(a, b, c), d, add(w7, k3)); a = rotl<T>(a, 30);
    w8 = rotl<T>(xor(xor(xor(w5, w0), w10), w8), 1); c = round<T>(d, parity(e, a, b), c, add(w8, k3)); e = rotl<T>(e, 30);
    w9 = rotl<T>(xor(xor(xor(w6, w1), w11), w9), 1); b = round<T>(c, parity(d, e, a), b, add(w9, k3)); d = rotl<T>(d, 30);
    w10 = rotl<T>(xor(xor(xor(w7, w2), w12), w10), 1); a = round<T>(b, parity(c, d, e), a, add(w10, k3)); c = rotl<T>(c, 30);
    w11 = rotl<T>(xor(xor(xor(w8, w3), w13), w11), 1); e = round<T>(a, parity(b, c, d), e, add(w11, k3)); b = rotl<T>(b, 30);
    w12 = rotl<T>(xor(xor(xor(w9, w4), w14), w12), 1); d = round<T>(e, parity(a, b, c), d, add(w12, k3)); a = rotl<T>(a, 30);
    w13 = rotl<T>(xor(xor(xor(w10, w5), w15), w13), 1); c = round<T>(d, parity(e, a, b), c, add(w13, k3)); e = rotl<T>(e, 30);
    w14 = rotl<T>(xor(xor(xor(w11, w6), w0), w14), 1); b = round<T>(c, parity(d, e, a), b, add(w14, k3)); d = rotl<T>(d, 30);
    w15 = rotl<T>(xor(xor(xor(w12, w7), w1), w15), 1); a = round<T>(b, parity(c, d, e), a, add(w15, k3)); c = rotl<T>(c, 30);
    w0 = add(a, v128.load(start));
    w1 = add(b, v128.load(start, 16));
    w2 = add(c, v128.load(start, 32));
    w3 = add(d, v128.load(start, 48));
    w4 = add(e, v128.load(start, 64));
    if (start == odd) {
      v128.store(areaPtr, xor(w0, v128.load(areaPtr, TOTAL)), TOTAL);
      v128.store(areaPtr, xor(w1, v128.load(areaPtr, TOTAL + 16)), TOTAL + 16);
      v128.store(areaPtr, xor(w2, v128.load(areaPtr, TOTAL + 32)), TOTAL + 32);
      v128.store(areaPtr, xor(w3, v128.load(areaPtr, TOTAL + 48)), TOTAL + 48);
      v128.store(areaPtr, xor(w4, v128.load(areaPtr, TOTAL + 64)), TOTAL + 64);
      start -= ODD - EVEN;
    } else {
      start = odd;
    }
  }
  v128.store(areaPtr, w0, DIGEST);
  v128.store(areaPtr, w1, DIGEST + 16);
  v128.store(areaPtr, w2, DIGEST + 32);
  v128.store(areaPtr, w3, DIGEST + 48);
  v128.store(areaPtr, w4, DIGEST + 64);
}

/** Four chains. */
export function iterate4(areaPtr: u32, steps: u32): void {
  iterate<u32>(areaPtr, steps);
}

/** Two chains, in lanes 0 and 2; lanes 1 and 3 are spoilt. */
export function iterate2(areaPtr: u32, steps: u32): void {
  iterate<u64>(areaPtr, steps);
}
