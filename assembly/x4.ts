/**
 * What the four-lane hash kernels share: rotation, and bringing four message blocks into lanes.
 *
 * A row is one v128 that holds the same 32-bit word of four messages, one a lane. Lane l of row r is the u32 at
 * 16r + 4l, so that code outside the kernels reads and writes a lane with plain 32-bit loads and stores:
 *
 *            lane 0    lane 1    lane 2    lane 3
 *   row 0  | word 0  | word 0  | word 0  | word 0  |
 *   row 1  | word 1  | word 1  | word 1  | word 1  |
 *   …        message A message B message C message D
 *
 * Words lie as the processor has them, not as SHA writes them: octets are swapped when a block comes in and when a
 * digest goes out, never in between.
 */

export const ROW: u32 = 16;

// What the hashes are written in. V is what a word lies in: v128, one lane a message, or u32, for one message alone.

// @ts-ignore: decorator
@inline
export function add<V>(x: V, y: V): V {
  if (isVector<V>()) return i32x4.add(x, y);
  return x + y;
}

// @ts-ignore: decorator
@inline
export function xor<V>(x: V, y: V): V {
  if (isVector<V>()) return v128.xor(x, y);
  return x ^ y;
}

// @ts-ignore: decorator
@inline
export function and<V>(x: V, y: V): V {
  if (isVector<V>()) return v128.and(x, y);
  return x & y;
}

// @ts-ignore: decorator
@inline
export function or<V>(x: V, y: V): V {
  if (isVector<V>()) return v128.or(x, y);
  return x | y;
}

/** A row, or the word of its lane 0. */
// @ts-ignore: decorator
@inline
export function read<V>(ptr: u32, offset: u32 = 0): V {
  if (isVector<V>()) return v128.load(ptr + offset);
  return load<u32>(ptr + offset);
}

// @ts-ignore: decorator
@inline
export function write<V>(ptr: u32, x: V, offset: u32 = 0): void {
  if (isVector<V>()) v128.store(ptr + offset, x);
  else store<u32>(ptr + offset, x);
}

/**
 * Each word of lanes 0 and 2 twice, in 64 bits: a shift of these is a rotation of the word, in the lower half.
 *
 *   | A | B | C | D |  →  | A A | C C |,  shifted right by n:  | … ROTR(A, n) | … ROTR(C, n) |  (lower halves)
 */
// @ts-ignore: decorator
@inline
export function twin(x: v128): v128 {
  return i32x4.shuffle(x, x, 0, 0, 2, 2);
}

// T says how the lanes are used: u32, four messages; u64, two of them, in lanes 0 and 2, what is in lanes 1 and 3
// being worthless. With two, rotations cost less: that is what is done when no more than two chains are left. A word
// alone (V is u32) has a rotation of its own, and T is u32.

// @ts-ignore: decorator
@inline
export function rotl<V, T>(x: V, n: i32): V {
  if (!isVector<V>()) return i32.rotl(x, n);
  if (sizeof<T>() == 8) return i64x2.shr_u(twin(x), 32 - n);
  return v128.or(i32x4.shl(x, n), i32x4.shr_u(x, 32 - n));
}

/** The same constant in all lanes, from a table of u32: one load, where V8 builds a v128 constant in three steps. */
// @ts-ignore: decorator
@inline
export function constant<V>(tablePtr: u32, offset: u32): V {
  if (isVector<V>()) return v128.load_splat<u32>(tablePtr + offset);
  return load<u32>(tablePtr + offset);
}

// @ts-ignore: decorator
@inline
function loadSwapped(ptr: u32): v128 {
  const octets = v128.load(ptr);
  return i8x16.shuffle(octets, octets, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
}

/**
 * Four 64-octet blocks to 16 rows. Each step takes four words of each block and turns the square over its diagonal:
 *
 *   a0 a1 a2 a3     a0 b0 a1 b1     a0 b0 c0 d0
 *   b0 b1 b2 b3  →  a2 b2 a3 b3  →  a1 b1 c1 d1
 *   c0 c1 c2 c3     c0 d0 c1 d1     a2 b2 c2 d2
 *   d0 d1 d2 d3     c2 d2 c3 d3     a3 b3 c3 d3
 *
 * @param blocksPtr four pointers (u32), one a lane, to blocks at any alignment
 */
// @ts-ignore: decorator
@inline
export function loadBlocks(blocksPtr: u32, rowsPtr: u32): void {
  const p0 = load<u32>(blocksPtr);
  const p1 = load<u32>(blocksPtr, 4);
  const p2 = load<u32>(blocksPtr, 8);
  const p3 = load<u32>(blocksPtr, 12);
  for (let at: u32 = 0; at < 64; at += 16) {
    const a = loadSwapped(p0 + at);
    const b = loadSwapped(p1 + at);
    const c = loadSwapped(p2 + at);
    const d = loadSwapped(p3 + at);
    const abLow = i32x4.shuffle(a, b, 0, 4, 1, 5);
    const abHigh = i32x4.shuffle(a, b, 2, 6, 3, 7);
    const cdLow = i32x4.shuffle(c, d, 0, 4, 1, 5);
    const cdHigh = i32x4.shuffle(c, d, 2, 6, 3, 7);
    const rows = rowsPtr + 4 * at;
    v128.store(rows, i64x2.shuffle(abLow, cdLow, 0, 2));
    v128.store(rows, i64x2.shuffle(abLow, cdLow, 1, 3), 16);
    v128.store(rows, i64x2.shuffle(abHigh, cdHigh, 0, 2), 32);
    v128.store(rows, i64x2.shuffle(abHigh, cdHigh, 1, 3), 48);
  }
}

// What iterate4 and iterate2 of either hash work on: rows of 8 words (SHA-1 uses 5), and one row of lengths.
/** The digests; also the message of the next iteration. */
export const DIGEST: u32 = 0;
/** XOR of the digests of all odd steps: PBKDF2's sum. */
export const TOTAL: u32 = 8 * ROW;
/** State in which an even step starts. */
export const EVEN: u32 = 16 * ROW;
/** State in which an odd step starts. */
export const ODD: u32 = 28 * ROW;
/** Four rows behind each of the two states, in which they keep what the state alone decides. */
export const READY: u32 = 8 * ROW;
/** Bits of the message that ends in the digest: the last word of the padded block. */
export const LENGTH: u32 = 40 * ROW;
export const ITERATION_SIZE: u32 = 41 * ROW;

/** Rows of the message schedule that compress4 needs as room: 80 words of SHA-1. */
export const SCHEDULE_SIZE: u32 = 80 * ROW;
