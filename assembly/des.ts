/**
 * DES and triple DES (FIPS 46-3, SP 800-67) in CBC mode, decryption only: legacy PFX files. Called by pfx.ts.
 * Bitsliced: no table, no branch and no address depends on key or data.
 *
 * 128 blocks at a time, in 64 planes: bit r of plane i is bit i of block r. All permutations are then a matter of
 * which plane is read, and an S-box is a circuit between planes (dessbox.ts). In CBC decryption no block waits for
 * another, so the blocks of one message fill the planes.
 */
import { box1, box2, box3, box4, box5, box6, box7, box8 } from './dessbox';

const BLOCKS: u32 = 128;
const PLANE: u32 = 16;
const HALF: u32 = 32 * PLANE;
/** A round key: 48 masks of 32 bits, all zeros or all ones. */
const ROUND_KEY: u32 = 48 * 4;

// The work area: planes as they come from the blocks, the two halves, the key, the ciphertext behind its IV.
const ROWS: u32 = 0;
const LEFT: u32 = ROWS + 64 * PLANE;
const RIGHT: u32 = LEFT + HALF;
const KEYS: u32 = RIGHT + HALF;
const KEY_BITS: u32 = KEYS + 48 * ROUND_KEY;
const PREVIOUS: u32 = KEY_BITS + 56 * 4;
export const DES_SIZE: u32 = PREVIOUS + 8 * (BLOCKS + 1);

/** Permuted choice 1: which bit of the key, counted from 0 at the left, comes to C and D. */
const PC1: u32 = <u32>memory.data<u8>([
  56, 48, 40, 32, 24, 16, 8, 0, 57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35,
  62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 60, 52, 44, 36, 28, 20, 12, 4, 27, 19, 11, 3,
]);
/** Permuted choice 2: which bit of C and D comes to the round key. */
const PC2: u32 = <u32>memory.data<u8>([
  13, 16, 10, 23, 0, 4, 2, 27, 14, 5, 20, 9, 22, 18, 11, 3, 25, 7, 15, 6, 26, 19, 12, 1,
  40, 51, 30, 36, 46, 54, 29, 39, 50, 44, 32, 47, 43, 48, 38, 55, 33, 52, 45, 41, 49, 35, 28, 31,
]);
/** C and D have been turned left by this much in round i. */
const TURNS: u32 = <u32>memory.data<u8>([1, 2, 4, 6, 8, 10, 12, 14, 15, 17, 19, 21, 23, 25, 27, 28]);

/** The 16 round keys of one key, `backwards` for decryption. */
function expandKey(keyPtr: u32, workPtr: u32, roundsPtr: u32, backwards: bool): void {
  const bits = workPtr + KEY_BITS;
  for (let i: u32 = 0; i < 56; ++i) {
    const at: u32 = load<u8>(PC1 + i);
    store<u32>(bits + i * 4, 0 - ((<u32>load<u8>(keyPtr + (at >> 3)) >> (7 - (at & 7))) & 1));
  }
  for (let round: u32 = 0; round < 16; ++round) {
    const turn: u32 = load<u8>(TURNS + round);
    const to = roundsPtr + (backwards ? 15 - round : round) * ROUND_KEY;
    for (let i: u32 = 0; i < 48; ++i) {
      const at = <u32>load<u8>(PC2 + i) + turn;
      const end: u32 = i < 24 ? 28 : 56;
      store<u32>(to + i * 4, load<u32>(bits + (at < end ? at : at - 28) * 4));
    }
  }
}

/** One round without the exchange of the halves: adds f(half, key) to the other half. */
function round(halfPtr: u32, keyPtr: u32, toPtr: u32): void {
  box1(halfPtr, keyPtr, toPtr);
  box2(halfPtr, keyPtr, toPtr);
  box3(halfPtr, keyPtr, toPtr);
  box4(halfPtr, keyPtr, toPtr);
  box5(halfPtr, keyPtr, toPtr);
  box6(halfPtr, keyPtr, toPtr);
  box7(halfPtr, keyPtr, toPtr);
  box8(halfPtr, keyPtr, toPtr);
}

/** Exchanges the bits of `b` under `mask` with the bits of `a` that lie `distance` higher. */
// @ts-ignore: decorator
@inline
function exchange(aPtr: u32, bPtr: u32, distance: i32, mask: v128): void {
  const a = v128.load(aPtr);
  const b = v128.load(bPtr);
  const bits = v128.and(v128.xor(i64x2.shr_u(a, distance), b), mask);
  v128.store(bPtr, v128.xor(b, bits));
  v128.store(aPtr, v128.xor(a, i64x2.shl(bits, distance)));
}

/**
 * Turns two squares of 64 × 64 bits over their diagonals, one in the lower halves of the rows, one in the upper: 128
 * blocks, row r with blocks r and r + 64, to 64 planes, and back.
 */
function transpose(rowsPtr: u32): void {
  let mask: u64 = 0x00000000ffffffff;
  for (let distance: u32 = 32; distance; distance >>= 1) {
    const rowMask = i64x2.splat(mask);
    for (let row: u32 = 0; row < 64; row = (row + distance + 1) & ~distance) {
      const at = rowsPtr + row * PLANE;
      exchange(at, at + distance * PLANE, distance, rowMask);
    }
    mask ^= mask << (distance >> 1);
  }
}

/**
 * The plane of the bit that the initial permutation moves to place j, counted from 0: rows of IP go down the columns
 * of the block, even columns first. Bits of an octet count from the left in FIPS 46-3, from the right in a plane.
 */
// @ts-ignore: decorator
@inline
function planeOf(rowsPtr: u32, j: u32): u32 {
  const r = j >> 3;
  return rowsPtr + (8 * (7 - (j & 7)) + (r < 4 ? 6 - 2 * r : 15 - 2 * r)) * PLANE;
}

/**
 * Decrypts whole blocks in CBC mode.
 * @param keyLen 8 octets (DES), 16 (two keys: K3 = K1) or 24; parity bits are ignored
 * @param length a multiple of 8
 * @param outPtr may be `dataPtr`
 * @param workPtr room of DES_SIZE
 */
export function decryptDes(
  keyPtr: u32, keyLen: u32, ivPtr: u32, dataPtr: u32, length: u32, outPtr: u32, workPtr: u32,
): void {
  // SP 800-67: D(K1, E(K2, D(K3, block)))
  const keys = workPtr + KEYS;
  let keysEnd = keys + 16 * ROUND_KEY;
  if (keyLen == 8) {
    expandKey(keyPtr, workPtr, keys, true);
  } else {
    expandKey(keyLen == 24 ? keyPtr + 16 : keyPtr, workPtr, keys, true);
    expandKey(keyPtr + 8, workPtr, keysEnd, false);
    expandKey(keyPtr, workPtr, keysEnd + 16 * ROUND_KEY, true);
    keysEnd = keys + 48 * ROUND_KEY;
  }
  const rows = workPtr + ROWS;
  const previous = workPtr + PREVIOUS;
  store<u64>(previous, load<u64>(ivPtr));
  for (let at: u32 = 0; at < length; at += 8 * BLOCKS) {
    const octets = min<u32>(8 * BLOCKS, length - at);
    memory.copy(previous + 8, dataPtr + at, octets);
    // Behind the end of the data lie old blocks, whose result nobody takes.
    for (let r: u32 = 0; r < 64; ++r) {
      store<u64>(rows + r * PLANE, load<u64>(previous + 8 + r * 8));
      store<u64>(rows + r * PLANE, load<u64>(previous + 8 + (r + 64) * 8), 8);
    }
    transpose(rows);
    let left = workPtr + LEFT;
    let right = workPtr + RIGHT;
    for (let j: u32 = 0; j < 32; ++j) {
      v128.store(left + j * PLANE, v128.load(planeOf(rows, j)));
      v128.store(right + j * PLANE, v128.load(planeOf(rows, j + 32)));
    }
    for (let key = keys; key < keysEnd; ) {
      for (const stop = key + 16 * ROUND_KEY; key < stop; key += 2 * ROUND_KEY) {
        round(right, key, left);
        round(left, key + ROUND_KEY, right);
      }
      // The halves change places behind the last round of each pass.
      const half = left;
      left = right;
      right = half;
    }
    for (let j: u32 = 0; j < 32; ++j) {
      v128.store(planeOf(rows, j), v128.load(left + j * PLANE));
      v128.store(planeOf(rows, j + 32), v128.load(right + j * PLANE));
    }
    transpose(rows);
    for (let i: u32 = 0; i < octets; i += 8) {
      // Block i / 8 lies in row i / 8 mod 64, in its lower or upper half.
      const row = rows + (i & 511) * 2 + (i >> 9) * 8;
      store<u64>(outPtr + at + i, load<u64>(row) ^ load<u64>(previous + i));
    }
    store<u64>(previous, load<u64>(previous + octets));
  }
}
