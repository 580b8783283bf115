/**
 * SHA-1 (FIPS 180-4 section 6.1.2) on four lanes; x4.ts draws the lanes. For PKCS#12 and PBKDF2 only: SHA-1 is
 * broken as a signature hash, and legacy PFX files are what this reads. Called by hashx4.ts and lanes.ts.
 *
 * A round is about 17 vector operations, a block about 1,400; the three vector ports of the processor are what bounds
 * it, so the iteration loop below leaves out all that a constant makes needless.
 */
import {
  add, and, constant, DIGEST, EVEN, LENGTH, loadBlocks, ODD, or, read, READY, rotl, ROW, TOTAL, write, xor,
} from './x4';

const CONSTANTS: u32 = <u32>memory.data<u32>([
  0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6, // K, one for 20 rounds
  0x80000000, // the bit behind the message
  0xda827999, // both of these
]);

// @ts-ignore: decorator
@inline
function choose<V>(b: V, c: V, d: V): V {
  return xor(d, and(b, xor(c, d)));
}

// @ts-ignore: decorator
@inline
function parity<V>(b: V, c: V, d: V): V {
  return xor(xor(b, c), d);
}

// @ts-ignore: decorator
@inline
function majority<V>(b: V, c: V, d: V): V {
  return or(and(b, c), and(d, or(b, c)));
}

/** The new `a`, which takes the place of `e`; `wk` is the word of the schedule plus the constant. `a` comes in last
 * because it is the youngest value. */
// @ts-ignore: decorator
@inline
function round<V, T>(a: V, f: V, e: V, wk: V): V {
  return add(add(add(e, wk), f), rotl<V, T>(a, 5));
}

/** The word of the schedule 16 rows on. */
// @ts-ignore: decorator
@inline
function extend(wPtr: u32): void {
  const mixed = xor(xor(v128.load(wPtr, 13 * ROW), v128.load(wPtr, 8 * ROW)), xor(v128.load(wPtr, 2 * ROW), v128.load(wPtr)));
  v128.store(wPtr, rotl<v128, u32>(mixed, 1), 16 * ROW);
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
  let k = constant<v128>(CONSTANTS, 0);
  for (const next = w + 20 * ROW; w < next; w += 5 * ROW) {
    extend(w); e = round<v128, u32>(a, choose(b, c, d), e, add(v128.load(w), k)); b = rotl<v128, u32>(b, 30);
    extend(w + 16); d = round<v128, u32>(e, choose(a, b, c), d, add(v128.load(w, 16), k)); a = rotl<v128, u32>(a, 30);
    extend(w + 32); c = round<v128, u32>(d, choose(e, a, b), c, add(v128.load(w, 32), k)); e = rotl<v128, u32>(e, 30);
    extend(w + 48); b = round<v128, u32>(c, choose(d, e, a), b, add(v128.load(w, 48), k)); d = rotl<v128, u32>(d, 30);
    extend(w + 64); a = round<v128, u32>(b, choose(c, d, e), a, add(v128.load(w, 64), k)); c = rotl<v128, u32>(c, 30);
  }
  k = constant<v128>(CONSTANTS, 4);
  for (const next = w + 20 * ROW; w < next; w += 5 * ROW) {
    extend(w); e = round<v128, u32>(a, parity(b, c, d), e, add(v128.load(w), k)); b = rotl<v128, u32>(b, 30);
    extend(w + 16); d = round<v128, u32>(e, parity(a, b, c), d, add(v128.load(w, 16), k)); a = rotl<v128, u32>(a, 30);
    extend(w + 32); c = round<v128, u32>(d, parity(e, a, b), c, add(v128.load(w, 32), k)); e = rotl<v128, u32>(e, 30);
    extend(w + 48); b = round<v128, u32>(c, parity(d, e, a), b, add(v128.load(w, 48), k)); d = rotl<v128, u32>(d, 30);
    extend(w + 64); a = round<v128, u32>(b, parity(c, d, e), a, add(v128.load(w, 64), k)); c = rotl<v128, u32>(c, 30);
  }
  k = constant<v128>(CONSTANTS, 8);
  for (const next = w + 20 * ROW; w < next; w += 5 * ROW) {
    extend(w); e = round<v128, u32>(a, majority(b, c, d), e, add(v128.load(w), k)); b = rotl<v128, u32>(b, 30);
    extend(w + 16); d = round<v128, u32>(e, majority(a, b, c), d, add(v128.load(w, 16), k)); a = rotl<v128, u32>(a, 30);
    extend(w + 32); c = round<v128, u32>(d, majority(e, a, b), c, add(v128.load(w, 32), k)); e = rotl<v128, u32>(e, 30);
    extend(w + 48); b = round<v128, u32>(c, majority(d, e, a), b, add(v128.load(w, 48), k)); d = rotl<v128, u32>(d, 30);
    extend(w + 64); a = round<v128, u32>(b, majority(c, d, e), a, add(v128.load(w, 64), k)); c = rotl<v128, u32>(c, 30);
  }
  for (let last: u32 = 0; last < 4 * ROW; last += ROW) extend(w + last);
  k = constant<v128>(CONSTANTS, 12);
  for (const next = w + 20 * ROW; w < next; w += 5 * ROW) {
    e = round<v128, u32>(a, parity(b, c, d), e, add(v128.load(w), k)); b = rotl<v128, u32>(b, 30);
    d = round<v128, u32>(e, parity(a, b, c), d, add(v128.load(w, 16), k)); a = rotl<v128, u32>(a, 30);
    c = round<v128, u32>(d, parity(e, a, b), c, add(v128.load(w, 32), k)); e = rotl<v128, u32>(e, 30);
    b = round<v128, u32>(c, parity(d, e, a), b, add(v128.load(w, 48), k)); d = rotl<v128, u32>(d, 30);
    a = round<v128, u32>(b, parity(c, d, e), a, add(v128.load(w, 64), k)); c = rotl<v128, u32>(c, 30);
  }
  v128.store(statePtr, add(a, v128.load(statePtr)));
  v128.store(statePtr, add(b, v128.load(statePtr, 16)), 16);
  v128.store(statePtr, add(c, v128.load(statePtr, 32)), 32);
  v128.store(statePtr, add(d, v128.load(statePtr, 48)), 48);
  v128.store(statePtr, add(e, v128.load(statePtr, 64)), 64);
}

/** What a start state alone decides: rounds 0 and 1 but for the message, and two turned words. */
function prepare<V, T>(startPtr: u32): void {
  const k0 = constant<V>(CONSTANTS, 0);
  const a = read<V>(startPtr);
  const b = read<V>(startPtr, 16);
  const c = read<V>(startPtr, 32);
  const d = read<V>(startPtr, 48);
  const e = read<V>(startPtr, 64);
  const turnedB = rotl<V, T>(b, 30);
  write<V>(startPtr, round<V, T>(a, choose(b, c, d), e, k0), READY);
  write<V>(startPtr, add(add(d, k0), choose(a, turnedB, c)), READY + 16);
  write<V>(startPtr, rotl<V, T>(a, 30), READY + 32);
  write<V>(startPtr, turnedB, READY + 48);
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
function iterate<V, T>(areaPtr: u32, steps: u32): void {
  const k0 = constant<V>(CONSTANTS, 0);
  const k1 = constant<V>(CONSTANTS, 4);
  const k2 = constant<V>(CONSTANTS, 8);
  const k3 = constant<V>(CONSTANTS, 12);
  const pad = constant<V>(CONSTANTS, 16);
  const k0pad = constant<V>(CONSTANTS, 20);
  const length = read<V>(areaPtr, LENGTH);
  const k0length = add(k0, length);
  const odd = areaPtr + ODD;
  prepare<V, T>(areaPtr + EVEN);
  prepare<V, T>(odd);
  let start = areaPtr + EVEN;
  let w0 = read<V>(areaPtr, DIGEST);
  let w1 = read<V>(areaPtr, DIGEST + 16);
  let w2 = read<V>(areaPtr, DIGEST + 32);
  let w3 = read<V>(areaPtr, DIGEST + 48);
  let w4 = read<V>(areaPtr, DIGEST + 64);
  for (; steps; --steps) {
    let e = add(read<V>(start, READY), w0);
    let d = add(add(read<V>(start, READY + 16), w1), rotl<V, T>(e, 5));
    let a = read<V>(start, READY + 32);
    let b = read<V>(start, READY + 48);
    let c = read<V>(start, 32);
    let w5: V, w6: V, w7: V, w8: V, w9: V, w10: V;
    let w11: V, w12: V, w13: V, w14: V, w15: V;
    c = round<V, T>(d, choose(e, a, b), c, add(w2, k0)); e = rotl<V, T>(e, 30);
    b = round<V, T>(c, choose(d, e, a), b, add(w3, k0)); d = rotl<V, T>(d, 30);
    a = round<V, T>(b, choose(c, d, e), a, add(w4, k0)); c = rotl<V, T>(c, 30);
    e = round<V, T>(a, choose(b, c, d), e, k0pad); b = rotl<V, T>(b, 30);
    d = round<V, T>(e, choose(a, b, c), d, k0); a = rotl<V, T>(a, 30);
    c = round<V, T>(d, choose(e, a, b), c, k0); e = rotl<V, T>(e, 30);
    b = round<V, T>(c, choose(d, e, a), b, k0); d = rotl<V, T>(d, 30);
    a = round<V, T>(b, choose(c, d, e), a, k0); c = rotl<V, T>(c, 30);
    e = round<V, T>(a, choose(b, c, d), e, k0); b = rotl<V, T>(b, 30);
    d = round<V, T>(e, choose(a, b, c), d, k0); a = rotl<V, T>(a, 30);
    c = round<V, T>(d, choose(e, a, b), c, k0); e = rotl<V, T>(e, 30);
    b = round<V, T>(c, choose(d, e, a), b, k0); d = rotl<V, T>(d, 30);
    a = round<V, T>(b, choose(c, d, e), a, k0); c = rotl<V, T>(c, 30);
    e = round<V, T>(a, choose(b, c, d), e, k0length); b = rotl<V, T>(b, 30);
    w0 = rotl<V, T>(xor(w2, w0), 1); d = round<V, T>(e, choose(a, b, c), d, add(w0, k0)); a = rotl<V, T>(a, 30);
    w1 = rotl<V, T>(xor(w3, w1), 1); c = round<V, T>(d, choose(e, a, b), c, add(w1, k0)); e = rotl<V, T>(e, 30);
    w2 = rotl<V, T>(xor(xor(length, w4), w2), 1); b = round<V, T>(c, choose(d, e, a), b, add(w2, k0)); d = rotl<V, T>(d, 30);
    w3 = rotl<V, T>(xor(xor(w0, pad), w3), 1); a = round<V, T>(b, choose(c, d, e), a, add(w3, k0)); c = rotl<V, T>(c, 30);
    w4 = rotl<V, T>(xor(w1, w4), 1); e = round<V, T>(a, parity(b, c, d), e, add(w4, k1)); b = rotl<V, T>(b, 30);
    w5 = rotl<V, T>(xor(w2, pad), 1); d = round<V, T>(e, parity(a, b, c), d, add(w5, k1)); a = rotl<V, T>(a, 30);
    w6 = rotl<V, T>(w3, 1); c = round<V, T>(d, parity(e, a, b), c, add(w6, k1)); e = rotl<V, T>(e, 30);
    w7 = rotl<V, T>(xor(w4, length), 1); b = round<V, T>(c, parity(d, e, a), b, add(w7, k1)); d = rotl<V, T>(d, 30);
    w8 = rotl<V, T>(xor(w5, w0), 1); a = round<V, T>(b, parity(c, d, e), a, add(w8, k1)); c = rotl<V, T>(c, 30);
    w9 = rotl<V, T>(xor(w6, w1), 1); e = round<V, T>(a, parity(b, c, d), e, add(w9, k1)); b = rotl<V, T>(b, 30);
    w10 = rotl<V, T>(xor(w7, w2), 1); d = round<V, T>(e, parity(a, b, c), d, add(w10, k1)); a = rotl<V, T>(a, 30);
    w11 = rotl<V, T>(xor(w8, w3), 1); c = round<V, T>(d, parity(e, a, b), c, add(w11, k1)); e = rotl<V, T>(e, 30);
    w12 = rotl<V, T>(xor(w9, w4), 1); b = round<V, T>(c, parity(d, e, a), b, add(w12, k1)); d = rotl<V, T>(d, 30);
    w13 = rotl<V, T>(xor(xor(w10, w5), length), 1); a = round<V, T>(b, parity(c, d, e), a, add(w13, k1)); c = rotl<V, T>(c, 30);
    w14 = rotl<V, T>(xor(xor(w11, w6), w0), 1); e = round<V, T>(a, parity(b, c, d), e, add(w14, k1)); b = rotl<V, T>(b, 30);
    w15 = rotl<V, T>(xor(xor(xor(w12, w7), w1), length), 1); d = round<V, T>(e, parity(a, b, c), d, add(w15, k1)); a = rotl<V, T>(a, 30);
    w0 = rotl<V, T>(xor(xor(xor(w13, w8), w2), w0), 1); c = round<V, T>(d, parity(e, a, b), c, add(w0, k1)); e = rotl<V, T>(e, 30);
    w1 = rotl<V, T>(xor(xor(xor(w14, w9), w3), w1), 1); b = round<V, T>(c, parity(d, e, a), b, add(w1, k1)); d = rotl<V, T>(d, 30);
    w2 = rotl<V, T>(xor(xor(xor(w15, w10), w4), w2), 1); a = round<V, T>(b, parity(c, d, e), a, add(w2, k1)); c = rotl<V, T>(c, 30);
    w3 = rotl<V, T>(xor(xor(xor(w0, w11), w5), w3), 1); e = round<V, T>(a, parity(b, c, d), e, add(w3, k1)); b = rotl<V, T>(b, 30);
    w4 = rotl<V, T>(xor(xor(xor(w1, w12), w6), w4), 1); d = round<V, T>(e, parity(a, b, c), d, add(w4, k1)); a = rotl<V, T>(a, 30);
    w5 = rotl<V, T>(xor(xor(xor(w2, w13), w7), w5), 1); c = round<V, T>(d, parity(e, a, b), c, add(w5, k1)); e = rotl<V, T>(e, 30);
    w6 = rotl<V, T>(xor(xor(xor(w3, w14), w8), w6), 1); b = round<V, T>(c, parity(d, e, a), b, add(w6, k1)); d = rotl<V, T>(d, 30);
    w7 = rotl<V, T>(xor(xor(xor(w4, w15), w9), w7), 1); a = round<V, T>(b, parity(c, d, e), a, add(w7, k1)); c = rotl<V, T>(c, 30);
    w8 = rotl<V, T>(xor(xor(xor(w5, w0), w10), w8), 1); e = round<V, T>(a, majority(b, c, d), e, add(w8, k2)); b = rotl<V, T>(b, 30);
    w9 = rotl<V, T>(xor(xor(xor(w6, w1), w11), w9), 1); d = round<V, T>(e, majority(a, b, c), d, add(w9, k2)); a = rotl<V, T>(a, 30);
    w10 = rotl<V, T>(xor(xor(xor(w7, w2), w12), w10), 1); c = round<V, T>(d, majority(e, a, b), c, add(w10, k2)); e = rotl<V, T>(e, 30);
    w11 = rotl<V, T>(xor(xor(xor(w8, w3), w13), w11), 1); b = round<V, T>(c, majority(d, e, a), b, add(w11, k2)); d = rotl<V, T>(d, 30);
    w12 = rotl<V, T>(xor(xor(xor(w9, w4), w14), w12), 1); a = round<V, T>(b, majority(c, d, e), a, add(w12, k2)); c = rotl<V, T>(c, 30);
    w13 = rotl<V, T>(xor(xor(xor(w10, w5), w15), w13), 1); e = round<V, T>(a, majority(b, c, d), e, add(w13, k2)); b = rotl<V, T>(b, 30);
    w14 = rotl<V, T>(xor(xor(xor(w11, w6), w0), w14), 1); d = round<V, T>(e, majority(a, b, c), d, add(w14, k2)); a = rotl<V, T>(a, 30);
    w15 = rotl<V, T>(xor(xor(xor(w12, w7), w1), w15), 1); c = round<V, T>(d, majority(e, a, b), c, add(w15, k2)); e = rotl<V, T>(e, 30);
    w0 = rotl<V, T>(xor(xor(xor(w13, w8), w2), w0), 1); b = round<V, T>(c, majority(d, e, a), b, add(w0, k2)); d = rotl<V, T>(d, 30);
    w1 = rotl<V, T>(xor(xor(xor(w14, w9), w3), w1), 1); a = round<V, T>(b, majority(c, d, e), a, add(w1, k2)); c = rotl<V, T>(c, 30);
    w2 = rotl<V, T>(xor(xor(xor(w15, w10), w4), w2), 1); e = round<V, T>(a, majority(b, c, d), e, add(w2, k2)); b = rotl<V, T>(b, 30);
    w3 = rotl<V, T>(xor(xor(xor(w0, w11), w5), w3), 1); d = round<V, T>(e, majority(a, b, c), d, add(w3, k2)); a = rotl<V, T>(a, 30);
    w4 = rotl<V, T>(xor(xor(xor(w1, w12), w6), w4), 1); c = round<V, T>(d, majority(e, a, b), c, add(w4, k2)); e = rotl<V, T>(e, 30);
    w5 = rotl<V, T>(xor(xor(xor(w2, w13), w7), w5), 1); b = round<V, T>(c, majority(d, e, a), b, add(w5, k2)); d = rotl<V, T>(d, 30);
    w6 = rotl<V, T>(xor(xor(xor(w3, w14), w8), w6), 1); a = round<V, T>(b, majority(c, d, e), a, add(w6, k2)); c = rotl<V, T>(c, 30);
    w7 = rotl<V, T>(xor(xor(xor(w4, w15), w9), w7), 1); e = round<V, T>(a, majority(b, c, d), e, add(w7, k2)); b = rotl<V, T>(b, 30);
    w8 = rotl<V, T>(xor(xor(xor(w5, w0), w10), w8), 1); d = round<V, T>(e, majority(a, b, c), d, add(w8, k2)); a = rotl<V, T>(a, 30);
    w9 = rotl<V, T>(xor(xor(xor(w6, w1), w11), w9), 1); c = round<V, T>(d, majority(e, a, b), c, add(w9, k2)); e = rotl<V, T>(e, 30);
    w10 = rotl<V, T>(xor(xor(xor(w7, w2), w12), w10), 1); b = round<V, T>(c, majority(d, e, a), b, add(w10, k2)); d = rotl<V, T>(d, 30);
    w11 = rotl<V, T>(xor(xor(xor(w8, w3), w13), w11), 1); a = round<V, T>(b, majority(c, d, e), a, add(w11, k2)); c = rotl<V, T>(c, 30);
    w12 = rotl<V, T>(xor(xor(xor(w9, w4), w14), w12), 1); e = round<V, T>(a, parity(b, c, d), e, add(w12, k3)); b = rotl<V, T>(b, 30);
    w13 = rotl<V, T>(xor(xor(xor(w10, w5), w15), w13), 1); d = round<V, T>(e, parity(a, b, c), d, add(w13, k3)); a = rotl<V, T>(a, 30);
    w14 = rotl<V, T>(xor(xor(xor(w11, w6), w0), w14), 1); c = round<V, T>(d, parity(e, a, b), c, add(w14, k3)); e = rotl<V, T>(e, 30);
    w15 = rotl<V, T>(xor(xor(xor(w12, w7), w1), w15), 1); b = round<V, T>(c, parity(d, e, a), b, add(w15, k3)); d = rotl<V, T>(d, 30);
    w0 = rotl<V, T>(xor(xor(xor(w13, w8), w2), w0), 1); a = round<V, T>(b, parity(c, d, e), a, add(w0, k3)); c = rotl<V, T>(c, 30);
    w1 = rotl<V, T>(xor(xor(xor(w14, w9), w3), w1), 1); e = round<V, T>(a, parity(b, c, d), e, add(w1, k3)); b = rotl<V, T>(b, 30);
    w2 = rotl<V, T>(xor(xor(xor(w15, w10), w4), w2), 1); d = round<V, T>(e, parity(a, b, c), d, add(w2, k3)); a = rotl<V, T>(a, 30);
    w3 = rotl<V, T>(xor(xor(xor(w0, w11), w5), w3), 1); c = round<V, T>(d, parity(e, a, b), c, add(w3, k3)); e = rotl<V, T>(e, 30);
    w4 = rotl<V, T>(xor(xor(xor(w1, w12), w6), w4), 1); b = round<V, T>(c, parity(d, e, a), b, add(w4, k3)); d = rotl<V, T>(d, 30);
    w5 = rotl<V, T>(xor(xor(xor(w2, w13), w7), w5), 1); a = round<V, T>(b, parity(c, d, e), a, add(w5, k3)); c = rotl<V, T>(c, 30);
    w6 = rotl<V, T>(xor(xor(xor(w3, w14), w8), w6), 1); e = round<V, T>(a, parity(b, c, d), e, add(w6, k3)); b = rotl<V, T>(b, 30);
    w7 = rotl<V, T>(xor(xor(xor(w4, w15), w9), w7), 1); d = round<V, T>(e, parity(a, b, c), d, add(w7, k3)); a = rotl<V, T>(a, 30);
    w8 = rotl<V, T>(xor(xor(xor(w5, w0), w10), w8), 1); c = round<V, T>(d, parity(e, a, b), c, add(w8, k3)); e = rotl<V, T>(e, 30);
    w9 = rotl<V, T>(xor(xor(xor(w6, w1), w11), w9), 1); b = round<V, T>(c, parity(d, e, a), b, add(w9, k3)); d = rotl<V, T>(d, 30);
    w10 = rotl<V, T>(xor(xor(xor(w7, w2), w12), w10), 1); a = round<V, T>(b, parity(c, d, e), a, add(w10, k3)); c = rotl<V, T>(c, 30);
    w11 = rotl<V, T>(xor(xor(xor(w8, w3), w13), w11), 1); e = round<V, T>(a, parity(b, c, d), e, add(w11, k3)); b = rotl<V, T>(b, 30);
    w12 = rotl<V, T>(xor(xor(xor(w9, w4), w14), w12), 1); d = round<V, T>(e, parity(a, b, c), d, add(w12, k3)); a = rotl<V, T>(a, 30);
    w13 = rotl<V, T>(xor(xor(xor(w10, w5), w15), w13), 1); c = round<V, T>(d, parity(e, a, b), c, add(w13, k3)); e = rotl<V, T>(e, 30);
    w14 = rotl<V, T>(xor(xor(xor(w11, w6), w0), w14), 1); b = round<V, T>(c, parity(d, e, a), b, add(w14, k3)); d = rotl<V, T>(d, 30);
    w15 = rotl<V, T>(xor(xor(xor(w12, w7), w1), w15), 1); a = round<V, T>(b, parity(c, d, e), a, add(w15, k3)); c = rotl<V, T>(c, 30);
    w0 = add(a, read<V>(start));
    w1 = add(b, read<V>(start, 16));
    w2 = add(c, read<V>(start, 32));
    w3 = add(d, read<V>(start, 48));
    w4 = add(e, read<V>(start, 64));
    if (start == odd) {
      write<V>(areaPtr, xor(w0, read<V>(areaPtr, TOTAL)), TOTAL);
      write<V>(areaPtr, xor(w1, read<V>(areaPtr, TOTAL + 16)), TOTAL + 16);
      write<V>(areaPtr, xor(w2, read<V>(areaPtr, TOTAL + 32)), TOTAL + 32);
      write<V>(areaPtr, xor(w3, read<V>(areaPtr, TOTAL + 48)), TOTAL + 48);
      write<V>(areaPtr, xor(w4, read<V>(areaPtr, TOTAL + 64)), TOTAL + 64);
      start -= ODD - EVEN;
    } else {
      start = odd;
    }
  }
  write<V>(areaPtr, w0, DIGEST);
  write<V>(areaPtr, w1, DIGEST + 16);
  write<V>(areaPtr, w2, DIGEST + 32);
  write<V>(areaPtr, w3, DIGEST + 48);
  write<V>(areaPtr, w4, DIGEST + 64);
}

/** Four chains. */
export function iterate4(areaPtr: u32, steps: u32): void {
  iterate<v128, u32>(areaPtr, steps);
}

/** Two chains, in lanes 0 and 2; lanes 1 and 3 are spoilt. */
export function iterate2(areaPtr: u32, steps: u32): void {
  iterate<v128, u64>(areaPtr, steps);
}

/** One chain, in lane 0; the other lanes are left alone. */
export function iterate1(areaPtr: u32, steps: u32): void {
  iterate<u32, u32>(areaPtr, steps);
}
