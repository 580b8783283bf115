/**
 * SHA-256 iterations of the lanes with one more chain in scalar code beside them: SCALAR, at half their pace. Called by
 * lanes.ts. Vector code keeps three ports of the processor busy and leaves the others, and much of its front end, idle:
 * the scalar chain takes 8% of the time that it would take alone.
 *
 * V8 is free to order what does not depend on each other, and puts one chain behind the other: neither would then fill
 * the gaps of the other. A store in every round, of what nobody reads (the pins), keeps both in the order below.
 *
 * Two steps of the lanes are one of SCALAR, whose rounds 0 to 31 run beside the first, 32 to 63 beside the second.
 *
 *   lanes   0 … 15 | 16 … 31 | 32 … 47 | 48 … 63 | 0 … 15 | 16 … 31 | 32 … 47 | 48 … 63
 *   SCALAR  0 … 7  | 8 … 15  | 16 … 23 | 24 … 31 | 32 … 39 | 40 … 47 | 48 … 55 | 56 … 63
 *
 * Both read the schedule and the constants at fixed distances from one pointer, which a block of 16 rounds of the lanes
 * and 8 of SCALAR moves on. The room that they lie in:
 *
 *      0  64 rows: the schedule of the lanes
 *   1024  64 rows: the constants
 *   2048  64 × PITCH octets: 0 a word of SCALAR's schedule | 4 the constant | in the first, 16 and 8 the pins
 *   4096  SCALAR's state between the halves
 */
import { bigSigma0, bigSigma1, choose, K, K8_PAD, PAD, prepare, sigma0, sigma1 } from './sha256';
import { add, and, constant, DIGEST, EVEN, ITERATION_SIZE, LENGTH, ODD, READY, ROW, TOTAL, write, xor } from './x4';

const PITCH: u32 = 2 * ROW;
const ROWS_K: u32 = 64 * ROW;
const WORDS: u32 = 128 * ROW;
const CONSTANT: u32 = 4;
const WORDS_PIN: u32 = WORDS + 8;
const ROWS_PIN: u32 = WORDS + 16;
const HALFWAY: u32 = WORDS + 64 * PITCH;
export const WOVEN_SIZE: u32 = HALFWAY + 32;

/** A round of the lanes' blocks of 16, and of the 8 of SCALAR beside them. */
const BLOCK: u32 = 16 * ROW;

/** The sum that a round adds to d. */
// @ts-ignore: decorator
@inline
function first<V, T>(e: V, f: V, g: V, h: V, wk: V): V {
  return add(add(h, wk), add(choose(e, f, g), bigSigma1<V, T>(e)));
}

/** The new a. maj(a, b, c) as in sha256x4.ts. */
// @ts-ignore: decorator
@inline
function second<V, T>(sum: V, a: V, b: V, ab: V, bc: V): V {
  return add(sum, add(xor(b, and(ab, bc)), bigSigma0<V, T>(a)));
}

/** A word of the schedule, from those 16, 15, 7 and 2 before. */
// @ts-ignore: decorator
@inline
function next<V, T>(w0: V, w1: V, w9: V, w14: V): V {
  return add(add(add(w0, w9), sigma0<V, T>(w1)), sigma1<V, T>(w14));
}

/** Digests, padding and constants into the room. */
function fillRoom(areaPtr: u32, scalarPtr: u32, room: u32): void {
  for (let i: u32 = 0; i < 64; ++i) {
    v128.store(room + i * ROW, constant<v128>(K + i * 4, 0), ROWS_K);
    store<u32>(room + i * PITCH, load<u32>(K + i * 4), WORDS + CONSTANT);
  }
  for (let i: u32 = 0; i < 8; ++i) {
    v128.store(room + i * ROW, v128.load(areaPtr + i * ROW, DIGEST));
    v128.store(room + i * ROW, i32x4.splat(0), 8 * ROW);
    store<u32>(room + i * PITCH, load<u32>(scalarPtr + i * ROW, DIGEST), WORDS);
    store<u32>(room + i * PITCH, 0, WORDS + 8 * PITCH);
  }
  v128.store(room, constant<v128>(K, PAD), 8 * ROW);
  v128.store(room, v128.load(areaPtr, LENGTH), 15 * ROW);
  store<u32>(room, load<u32>(K, PAD), WORDS + 8 * PITCH);
  store<u32>(room, load<u32>(scalarPtr, LENGTH), WORDS + 15 * PITCH);
}

/**
 * One step of the lanes, and half a step of SCALAR: the first if H is u32, the second if it is u64.
 * @param startPtr the lanes' state, prepared
 * @param scalarStartPtr that of SCALAR
 */
// @ts-ignore: decorator
@inline
function step<T, H>(startPtr: u32, scalarStartPtr: u32, room: u32): void {
  // Where SCALAR's first round of the half is, and the first word that its schedule is extended from.
  const EARLY: u32 = WORDS + (sizeof<H>() == 4 ? 0 : 32) * PITCH;
  const NEXT: u32 = WORDS + (sizeof<H>() == 4 ? 0 : 24) * PITCH;
  let w = v128.load(room);
  let h = add(v128.load(startPtr, READY), w);
  let d = add(v128.load(startPtr, READY + 16), w);
  let a = v128.load(startPtr);
  let b = v128.load(startPtr, 16);
  let c = v128.load(startPtr, 32);
  let e = v128.load(startPtr, 64);
  let f = v128.load(startPtr, 80);
  let g = v128.load(startPtr, 96);
  let ab = xor(a, b);
  let bc: v128;
  let sa: u32, sb: u32, sc: u32, sd: u32, se: u32, sf: u32, sg: u32, sh: u32, sab: u32, sbc: u32;
  if (sizeof<H>() == 4) {
    const word = load<u32>(room, WORDS);
    sh = load<u32>(scalarStartPtr, READY) + word;
    sd = load<u32>(scalarStartPtr, READY + 16) + word;
    sa = load<u32>(scalarStartPtr);
    sb = load<u32>(scalarStartPtr, 16);
    sc = load<u32>(scalarStartPtr, 32);
    se = load<u32>(scalarStartPtr, 64);
    sf = load<u32>(scalarStartPtr, 80);
    sg = load<u32>(scalarStartPtr, 96);
    sab = sa ^ sb;
  } else {
    sa = load<u32>(room, HALFWAY);
    sb = load<u32>(room, HALFWAY + 4);
    sc = load<u32>(room, HALFWAY + 8);
    sd = load<u32>(room, HALFWAY + 12);
    se = load<u32>(room, HALFWAY + 16);
    sf = load<u32>(room, HALFWAY + 20);
    sg = load<u32>(room, HALFWAY + 24);
    sh = load<u32>(room, HALFWAY + 28);
    sbc = sb ^ sc;
    sh = first<u32, u32>(se, sf, sg, sh, load<u32>(room, EARLY) + load<u32>(room, EARLY + CONSTANT)); sd += sh;
    sab = sa ^ sb; sh = second<u32, u32>(sh, sa, sb, sab, sbc);
  }
  g = first<v128, T>(d, e, f, g, add(v128.load(room, ROW), constant<v128>(K, 4))); c = add(c, g);
  bc = xor(h, a); g = second<v128, T>(g, h, a, bc, ab); v128.store(room, g, ROWS_PIN);
  f = first<v128, T>(c, d, e, f, add(v128.load(room, 2 * ROW), constant<v128>(K, 8))); b = add(b, f);
  ab = xor(g, h); f = second<v128, T>(f, g, h, ab, bc); v128.store(room, f, ROWS_PIN);
  e = first<v128, T>(b, c, d, e, add(v128.load(room, 3 * ROW), constant<v128>(K, 12))); a = add(a, e);
  bc = xor(f, g); e = second<v128, T>(e, f, g, bc, ab); v128.store(room, e, ROWS_PIN);
  sg = first<u32, u32>(sd, se, sf, sg, load<u32>(room, EARLY + PITCH) + load<u32>(room, EARLY + CONSTANT + PITCH)); sc += sg;
  sbc = sh ^ sa; sg = second<u32, u32>(sg, sh, sa, sbc, sab); store<u32>(room, sg, WORDS_PIN);
  d = first<v128, T>(a, b, c, d, add(v128.load(room, 4 * ROW), constant<v128>(K, 16))); h = add(h, d);
  ab = xor(e, f); d = second<v128, T>(d, e, f, ab, bc); v128.store(room, d, ROWS_PIN);
  c = first<v128, T>(h, a, b, c, add(v128.load(room, 5 * ROW), constant<v128>(K, 20))); g = add(g, c);
  bc = xor(d, e); c = second<v128, T>(c, d, e, bc, ab); v128.store(room, c, ROWS_PIN);
  sf = first<u32, u32>(sc, sd, se, sf, load<u32>(room, EARLY + 2 * PITCH) + load<u32>(room, EARLY + CONSTANT + 2 * PITCH)); sb += sf;
  sab = sg ^ sh; sf = second<u32, u32>(sf, sg, sh, sab, sbc); store<u32>(room, sf, WORDS_PIN);
  b = first<v128, T>(g, h, a, b, add(v128.load(room, 6 * ROW), constant<v128>(K, 24))); f = add(f, b);
  ab = xor(c, d); b = second<v128, T>(b, c, d, ab, bc); v128.store(room, b, ROWS_PIN);
  a = first<v128, T>(f, g, h, a, add(v128.load(room, 7 * ROW), constant<v128>(K, 28))); e = add(e, a);
  bc = xor(b, c); a = second<v128, T>(a, b, c, bc, ab); v128.store(room, a, ROWS_PIN);
  se = first<u32, u32>(sb, sc, sd, se, load<u32>(room, EARLY + 3 * PITCH) + load<u32>(room, EARLY + CONSTANT + 3 * PITCH)); sa += se;
  sbc = sf ^ sg; se = second<u32, u32>(se, sf, sg, sbc, sab); store<u32>(room, se, WORDS_PIN);
  h = first<v128, T>(e, f, g, h, constant<v128>(K, K8_PAD)); d = add(d, h);
  ab = xor(a, b); h = second<v128, T>(h, a, b, ab, bc); v128.store(room, h, ROWS_PIN);
  g = first<v128, T>(d, e, f, g, constant<v128>(K, 36)); c = add(c, g);
  bc = xor(h, a); g = second<v128, T>(g, h, a, bc, ab); v128.store(room, g, ROWS_PIN);
  sd = first<u32, u32>(sa, sb, sc, sd, load<u32>(room, EARLY + 4 * PITCH) + load<u32>(room, EARLY + CONSTANT + 4 * PITCH)); sh += sd;
  sab = se ^ sf; sd = second<u32, u32>(sd, se, sf, sab, sbc); store<u32>(room, sd, WORDS_PIN);
  f = first<v128, T>(c, d, e, f, constant<v128>(K, 40)); b = add(b, f);
  ab = xor(g, h); f = second<v128, T>(f, g, h, ab, bc); v128.store(room, f, ROWS_PIN);
  e = first<v128, T>(b, c, d, e, constant<v128>(K, 44)); a = add(a, e);
  bc = xor(f, g); e = second<v128, T>(e, f, g, bc, ab); v128.store(room, e, ROWS_PIN);
  sc = first<u32, u32>(sh, sa, sb, sc, load<u32>(room, EARLY + 5 * PITCH) + load<u32>(room, EARLY + CONSTANT + 5 * PITCH)); sg += sc;
  sbc = sd ^ se; sc = second<u32, u32>(sc, sd, se, sbc, sab); store<u32>(room, sc, WORDS_PIN);
  d = first<v128, T>(a, b, c, d, constant<v128>(K, 48)); h = add(h, d);
  ab = xor(e, f); d = second<v128, T>(d, e, f, ab, bc); v128.store(room, d, ROWS_PIN);
  c = first<v128, T>(h, a, b, c, constant<v128>(K, 52)); g = add(g, c);
  bc = xor(d, e); c = second<v128, T>(c, d, e, bc, ab); v128.store(room, c, ROWS_PIN);
  sb = first<u32, u32>(sg, sh, sa, sb, load<u32>(room, EARLY + 6 * PITCH) + load<u32>(room, EARLY + CONSTANT + 6 * PITCH)); sf += sb;
  sab = sc ^ sd; sb = second<u32, u32>(sb, sc, sd, sab, sbc); store<u32>(room, sb, WORDS_PIN);
  b = first<v128, T>(g, h, a, b, constant<v128>(K, 56)); f = add(f, b);
  ab = xor(c, d); b = second<v128, T>(b, c, d, ab, bc); v128.store(room, b, ROWS_PIN);
  a = first<v128, T>(f, g, h, a, add(v128.load(room, 15 * ROW), constant<v128>(K, 60))); e = add(e, a);
  bc = xor(b, c); a = second<v128, T>(a, b, c, bc, ab); v128.store(room, a, ROWS_PIN);
  sa = first<u32, u32>(sf, sg, sh, sa, load<u32>(room, EARLY + 7 * PITCH) + load<u32>(room, EARLY + CONSTANT + 7 * PITCH)); se += sa;
  sbc = sb ^ sc; sa = second<u32, u32>(sa, sb, sc, sbc, sab); store<u32>(room, sa, WORDS_PIN);
  let p = room;
  do {
    w = next<v128, T>(v128.load(p, 0), v128.load(p, ROW), v128.load(p, 9 * ROW), v128.load(p, 14 * ROW)); v128.store(p, w, 16 * ROW);
    h = first<v128, T>(e, f, g, h, add(w, v128.load(p, ROWS_K + 16 * ROW))); d = add(d, h);
    ab = xor(a, b); h = second<v128, T>(h, a, b, ab, bc); v128.store(p, h, ROWS_PIN);
    w = next<v128, T>(v128.load(p, ROW), v128.load(p, 2 * ROW), v128.load(p, 10 * ROW), v128.load(p, 15 * ROW)); v128.store(p, w, 17 * ROW);
    g = first<v128, T>(d, e, f, g, add(w, v128.load(p, ROWS_K + 17 * ROW))); c = add(c, g);
    bc = xor(h, a); g = second<v128, T>(g, h, a, bc, ab); v128.store(p, g, ROWS_PIN);
    store<u32>(p, next<u32, u32>(load<u32>(p, NEXT), load<u32>(p, NEXT + PITCH), load<u32>(p, NEXT + 9 * PITCH), load<u32>(p, NEXT + 14 * PITCH)), NEXT + 16 * PITCH);
    sh = first<u32, u32>(se, sf, sg, sh, load<u32>(p, EARLY + 8 * PITCH) + load<u32>(p, EARLY + CONSTANT + 8 * PITCH)); sd += sh;
    sab = sa ^ sb; sh = second<u32, u32>(sh, sa, sb, sab, sbc); store<u32>(p, sh, WORDS_PIN);
    w = next<v128, T>(v128.load(p, 2 * ROW), v128.load(p, 3 * ROW), v128.load(p, 11 * ROW), v128.load(p, 16 * ROW)); v128.store(p, w, 18 * ROW);
    f = first<v128, T>(c, d, e, f, add(w, v128.load(p, ROWS_K + 18 * ROW))); b = add(b, f);
    ab = xor(g, h); f = second<v128, T>(f, g, h, ab, bc); v128.store(p, f, ROWS_PIN);
    w = next<v128, T>(v128.load(p, 3 * ROW), v128.load(p, 4 * ROW), v128.load(p, 12 * ROW), v128.load(p, 17 * ROW)); v128.store(p, w, 19 * ROW);
    e = first<v128, T>(b, c, d, e, add(w, v128.load(p, ROWS_K + 19 * ROW))); a = add(a, e);
    bc = xor(f, g); e = second<v128, T>(e, f, g, bc, ab); v128.store(p, e, ROWS_PIN);
    store<u32>(p, next<u32, u32>(load<u32>(p, NEXT + PITCH), load<u32>(p, NEXT + 2 * PITCH), load<u32>(p, NEXT + 10 * PITCH), load<u32>(p, NEXT + 15 * PITCH)), NEXT + 17 * PITCH);
    sg = first<u32, u32>(sd, se, sf, sg, load<u32>(p, EARLY + 9 * PITCH) + load<u32>(p, EARLY + CONSTANT + 9 * PITCH)); sc += sg;
    sbc = sh ^ sa; sg = second<u32, u32>(sg, sh, sa, sbc, sab); store<u32>(p, sg, WORDS_PIN);
    w = next<v128, T>(v128.load(p, 4 * ROW), v128.load(p, 5 * ROW), v128.load(p, 13 * ROW), v128.load(p, 18 * ROW)); v128.store(p, w, 20 * ROW);
    d = first<v128, T>(a, b, c, d, add(w, v128.load(p, ROWS_K + 20 * ROW))); h = add(h, d);
    ab = xor(e, f); d = second<v128, T>(d, e, f, ab, bc); v128.store(p, d, ROWS_PIN);
    w = next<v128, T>(v128.load(p, 5 * ROW), v128.load(p, 6 * ROW), v128.load(p, 14 * ROW), v128.load(p, 19 * ROW)); v128.store(p, w, 21 * ROW);
    c = first<v128, T>(h, a, b, c, add(w, v128.load(p, ROWS_K + 21 * ROW))); g = add(g, c);
    bc = xor(d, e); c = second<v128, T>(c, d, e, bc, ab); v128.store(p, c, ROWS_PIN);
    store<u32>(p, next<u32, u32>(load<u32>(p, NEXT + 2 * PITCH), load<u32>(p, NEXT + 3 * PITCH), load<u32>(p, NEXT + 11 * PITCH), load<u32>(p, NEXT + 16 * PITCH)), NEXT + 18 * PITCH);
    sf = first<u32, u32>(sc, sd, se, sf, load<u32>(p, EARLY + 10 * PITCH) + load<u32>(p, EARLY + CONSTANT + 10 * PITCH)); sb += sf;
    sab = sg ^ sh; sf = second<u32, u32>(sf, sg, sh, sab, sbc); store<u32>(p, sf, WORDS_PIN);
    w = next<v128, T>(v128.load(p, 6 * ROW), v128.load(p, 7 * ROW), v128.load(p, 15 * ROW), v128.load(p, 20 * ROW)); v128.store(p, w, 22 * ROW);
    b = first<v128, T>(g, h, a, b, add(w, v128.load(p, ROWS_K + 22 * ROW))); f = add(f, b);
    ab = xor(c, d); b = second<v128, T>(b, c, d, ab, bc); v128.store(p, b, ROWS_PIN);
    w = next<v128, T>(v128.load(p, 7 * ROW), v128.load(p, 8 * ROW), v128.load(p, 16 * ROW), v128.load(p, 21 * ROW)); v128.store(p, w, 23 * ROW);
    a = first<v128, T>(f, g, h, a, add(w, v128.load(p, ROWS_K + 23 * ROW))); e = add(e, a);
    bc = xor(b, c); a = second<v128, T>(a, b, c, bc, ab); v128.store(p, a, ROWS_PIN);
    store<u32>(p, next<u32, u32>(load<u32>(p, NEXT + 3 * PITCH), load<u32>(p, NEXT + 4 * PITCH), load<u32>(p, NEXT + 12 * PITCH), load<u32>(p, NEXT + 17 * PITCH)), NEXT + 19 * PITCH);
    se = first<u32, u32>(sb, sc, sd, se, load<u32>(p, EARLY + 11 * PITCH) + load<u32>(p, EARLY + CONSTANT + 11 * PITCH)); sa += se;
    sbc = sf ^ sg; se = second<u32, u32>(se, sf, sg, sbc, sab); store<u32>(p, se, WORDS_PIN);
    w = next<v128, T>(v128.load(p, 8 * ROW), v128.load(p, 9 * ROW), v128.load(p, 17 * ROW), v128.load(p, 22 * ROW)); v128.store(p, w, 24 * ROW);
    h = first<v128, T>(e, f, g, h, add(w, v128.load(p, ROWS_K + 24 * ROW))); d = add(d, h);
    ab = xor(a, b); h = second<v128, T>(h, a, b, ab, bc); v128.store(p, h, ROWS_PIN);
    w = next<v128, T>(v128.load(p, 9 * ROW), v128.load(p, 10 * ROW), v128.load(p, 18 * ROW), v128.load(p, 23 * ROW)); v128.store(p, w, 25 * ROW);
    g = first<v128, T>(d, e, f, g, add(w, v128.load(p, ROWS_K + 25 * ROW))); c = add(c, g);
    bc = xor(h, a); g = second<v128, T>(g, h, a, bc, ab); v128.store(p, g, ROWS_PIN);
    store<u32>(p, next<u32, u32>(load<u32>(p, NEXT + 4 * PITCH), load<u32>(p, NEXT + 5 * PITCH), load<u32>(p, NEXT + 13 * PITCH), load<u32>(p, NEXT + 18 * PITCH)), NEXT + 20 * PITCH);
    sd = first<u32, u32>(sa, sb, sc, sd, load<u32>(p, EARLY + 12 * PITCH) + load<u32>(p, EARLY + CONSTANT + 12 * PITCH)); sh += sd;
    sab = se ^ sf; sd = second<u32, u32>(sd, se, sf, sab, sbc); store<u32>(p, sd, WORDS_PIN);
    w = next<v128, T>(v128.load(p, 10 * ROW), v128.load(p, 11 * ROW), v128.load(p, 19 * ROW), v128.load(p, 24 * ROW)); v128.store(p, w, 26 * ROW);
    f = first<v128, T>(c, d, e, f, add(w, v128.load(p, ROWS_K + 26 * ROW))); b = add(b, f);
    ab = xor(g, h); f = second<v128, T>(f, g, h, ab, bc); v128.store(p, f, ROWS_PIN);
    w = next<v128, T>(v128.load(p, 11 * ROW), v128.load(p, 12 * ROW), v128.load(p, 20 * ROW), v128.load(p, 25 * ROW)); v128.store(p, w, 27 * ROW);
    e = first<v128, T>(b, c, d, e, add(w, v128.load(p, ROWS_K + 27 * ROW))); a = add(a, e);
    bc = xor(f, g); e = second<v128, T>(e, f, g, bc, ab); v128.store(p, e, ROWS_PIN);
    store<u32>(p, next<u32, u32>(load<u32>(p, NEXT + 5 * PITCH), load<u32>(p, NEXT + 6 * PITCH), load<u32>(p, NEXT + 14 * PITCH), load<u32>(p, NEXT + 19 * PITCH)), NEXT + 21 * PITCH);
    sc = first<u32, u32>(sh, sa, sb, sc, load<u32>(p, EARLY + 13 * PITCH) + load<u32>(p, EARLY + CONSTANT + 13 * PITCH)); sg += sc;
    sbc = sd ^ se; sc = second<u32, u32>(sc, sd, se, sbc, sab); store<u32>(p, sc, WORDS_PIN);
    w = next<v128, T>(v128.load(p, 12 * ROW), v128.load(p, 13 * ROW), v128.load(p, 21 * ROW), v128.load(p, 26 * ROW)); v128.store(p, w, 28 * ROW);
    d = first<v128, T>(a, b, c, d, add(w, v128.load(p, ROWS_K + 28 * ROW))); h = add(h, d);
    ab = xor(e, f); d = second<v128, T>(d, e, f, ab, bc); v128.store(p, d, ROWS_PIN);
    w = next<v128, T>(v128.load(p, 13 * ROW), v128.load(p, 14 * ROW), v128.load(p, 22 * ROW), v128.load(p, 27 * ROW)); v128.store(p, w, 29 * ROW);
    c = first<v128, T>(h, a, b, c, add(w, v128.load(p, ROWS_K + 29 * ROW))); g = add(g, c);
    bc = xor(d, e); c = second<v128, T>(c, d, e, bc, ab); v128.store(p, c, ROWS_PIN);
    store<u32>(p, next<u32, u32>(load<u32>(p, NEXT + 6 * PITCH), load<u32>(p, NEXT + 7 * PITCH), load<u32>(p, NEXT + 15 * PITCH), load<u32>(p, NEXT + 20 * PITCH)), NEXT + 22 * PITCH);
    sb = first<u32, u32>(sg, sh, sa, sb, load<u32>(p, EARLY + 14 * PITCH) + load<u32>(p, EARLY + CONSTANT + 14 * PITCH)); sf += sb;
    sab = sc ^ sd; sb = second<u32, u32>(sb, sc, sd, sab, sbc); store<u32>(p, sb, WORDS_PIN);
    w = next<v128, T>(v128.load(p, 14 * ROW), v128.load(p, 15 * ROW), v128.load(p, 23 * ROW), v128.load(p, 28 * ROW)); v128.store(p, w, 30 * ROW);
    b = first<v128, T>(g, h, a, b, add(w, v128.load(p, ROWS_K + 30 * ROW))); f = add(f, b);
    ab = xor(c, d); b = second<v128, T>(b, c, d, ab, bc); v128.store(p, b, ROWS_PIN);
    w = next<v128, T>(v128.load(p, 15 * ROW), v128.load(p, 16 * ROW), v128.load(p, 24 * ROW), v128.load(p, 29 * ROW)); v128.store(p, w, 31 * ROW);
    a = first<v128, T>(f, g, h, a, add(w, v128.load(p, ROWS_K + 31 * ROW))); e = add(e, a);
    bc = xor(b, c); a = second<v128, T>(a, b, c, bc, ab); v128.store(p, a, ROWS_PIN);
    store<u32>(p, next<u32, u32>(load<u32>(p, NEXT + 7 * PITCH), load<u32>(p, NEXT + 8 * PITCH), load<u32>(p, NEXT + 16 * PITCH), load<u32>(p, NEXT + 21 * PITCH)), NEXT + 23 * PITCH);
    sa = first<u32, u32>(sf, sg, sh, sa, load<u32>(p, EARLY + 15 * PITCH) + load<u32>(p, EARLY + CONSTANT + 15 * PITCH)); se += sa;
    sbc = sb ^ sc; sa = second<u32, u32>(sa, sb, sc, sbc, sab); store<u32>(p, sa, WORDS_PIN);
    p += BLOCK;
  } while (p != room + 3 * BLOCK);
  v128.store(room, add(a, v128.load(startPtr)));
  v128.store(room, add(b, v128.load(startPtr, 16)), 16);
  v128.store(room, add(c, v128.load(startPtr, 32)), 32);
  v128.store(room, add(d, v128.load(startPtr, 48)), 48);
  v128.store(room, add(e, v128.load(startPtr, 64)), 64);
  v128.store(room, add(f, v128.load(startPtr, 80)), 80);
  v128.store(room, add(g, v128.load(startPtr, 96)), 96);
  v128.store(room, add(h, v128.load(startPtr, 112)), 112);
  if (sizeof<H>() == 4) {
    store<u32>(room, sa, HALFWAY);
    store<u32>(room, sb, HALFWAY + 4);
    store<u32>(room, sc, HALFWAY + 8);
    store<u32>(room, sd, HALFWAY + 12);
    store<u32>(room, se, HALFWAY + 16);
    store<u32>(room, sf, HALFWAY + 20);
    store<u32>(room, sg, HALFWAY + 24);
    store<u32>(room, sh, HALFWAY + 28);
  } else {
    store<u32>(room, sa + load<u32>(scalarStartPtr), WORDS);
    store<u32>(room, sb + load<u32>(scalarStartPtr, 16), WORDS + PITCH);
    store<u32>(room, sc + load<u32>(scalarStartPtr, 32), WORDS + 2 * PITCH);
    store<u32>(room, sd + load<u32>(scalarStartPtr, 48), WORDS + 3 * PITCH);
    store<u32>(room, se + load<u32>(scalarStartPtr, 64), WORDS + 4 * PITCH);
    store<u32>(room, sf + load<u32>(scalarStartPtr, 80), WORDS + 5 * PITCH);
    store<u32>(room, sg + load<u32>(scalarStartPtr, 96), WORDS + 6 * PITCH);
    store<u32>(room, sh + load<u32>(scalarStartPtr, 112), WORDS + 7 * PITCH);
  }
}

/**
 * The lanes' `steps`, as iterate4 and iterate2 have them, and half as many of SCALAR.
 * @param areaPtr ITERATION_SIZE octets, layout in x4.ts
 * @param scalarPtr the same for SCALAR, which has lane 0 of every row
 * @param room WOVEN_SIZE octets
 * @param steps even
 */
// @ts-ignore: decorator
@inline
function iterate<T>(areaPtr: u32, scalarPtr: u32, room: u32, steps: u32): void {
  prepare<v128, T>(areaPtr + EVEN);
  prepare<v128, T>(areaPtr + ODD);
  prepare<u32, u32>(scalarPtr + EVEN);
  prepare<u32, u32>(scalarPtr + ODD);
  fillRoom(areaPtr, scalarPtr, room);
  const odd = scalarPtr + ODD;
  let start = scalarPtr + EVEN;
  for (; steps; steps -= 2) {
    step<T, u32>(areaPtr + EVEN, start, room);
    step<T, u64>(areaPtr + ODD, start, room);
    for (let at: u32 = 0; at < 8 * ROW; at += ROW) {
      v128.store(areaPtr + at, xor(v128.load(room + at), v128.load(areaPtr + at, TOTAL)), TOTAL);
    }
    if (start == odd) {
      for (let i: u32 = 0; i < 8; ++i) {
        const total = scalarPtr + i * ROW;
        store<u32>(total, load<u32>(room + i * PITCH, WORDS) ^ load<u32>(total, TOTAL), TOTAL);
      }
      start -= ODD - EVEN;
    } else {
      start = odd;
    }
  }
  for (let i: u32 = 0; i < 8; ++i) {
    v128.store(areaPtr + i * ROW, v128.load(room + i * ROW), DIGEST);
    store<u32>(scalarPtr + i * ROW, load<u32>(room + i * PITCH, WORDS), DIGEST);
  }
}

/** Four chains, and SCALAR. */
export function iterate4Scalar(areaPtr: u32, scalarPtr: u32, room: u32, steps: u32): void {
  iterate<u32>(areaPtr, scalarPtr, room, steps);
}

/** Two chains, in lanes 0 and 2, and SCALAR; lanes 1 and 3 are spoilt. */
export function iterate2Scalar(areaPtr: u32, scalarPtr: u32, room: u32, steps: u32): void {
  iterate<u64>(areaPtr, scalarPtr, room, steps);
}
