/**
 * DES and triple DES (FIPS 46-3, SP 800-67) in CBC mode, decryption only: legacy PFX files. Called by pfx.ts.
 *
 * The S-boxes are tables indexed with secret data: a process that shares the cache could learn about the key from
 * timing. The input is a local file under a password, decrypted once.
 */

/** SP[box][input], 8 × 64: the S-box's output after the permutation P; input bits in the order of E(R). */
const SP: u32 = <u32>memory.data<u32>([
  0x00808200, 0x00000000, 0x00008000, 0x00808202, 0x00808002, 0x00008202, 0x00000002, 0x00008000,
  0x00000200, 0x00808200, 0x00808202, 0x00000200, 0x00800202, 0x00808002, 0x00800000, 0x00000002,
  0x00000202, 0x00800200, 0x00800200, 0x00008200, 0x00008200, 0x00808000, 0x00808000, 0x00800202,
  0x00008002, 0x00800002, 0x00800002, 0x00008002, 0x00000000, 0x00000202, 0x00008202, 0x00800000,
  0x00008000, 0x00808202, 0x00000002, 0x00808000, 0x00808200, 0x00800000, 0x00800000, 0x00000200,
  0x00808002, 0x00008000, 0x00008200, 0x00800002, 0x00000200, 0x00000002, 0x00800202, 0x00008202,
  0x00808202, 0x00008002, 0x00808000, 0x00800202, 0x00800002, 0x00000202, 0x00008202, 0x00808200,
  0x00000202, 0x00800200, 0x00800200, 0x00000000, 0x00008002, 0x00008200, 0x00000000, 0x00808002,
  0x40084010, 0x40004000, 0x00004000, 0x00084010, 0x00080000, 0x00000010, 0x40080010, 0x40004010,
  0x40000010, 0x40084010, 0x40084000, 0x40000000, 0x40004000, 0x00080000, 0x00000010, 0x40080010,
  0x00084000, 0x00080010, 0x40004010, 0x00000000, 0x40000000, 0x00004000, 0x00084010, 0x40080000,
  0x00080010, 0x40000010, 0x00000000, 0x00084000, 0x00004010, 0x40084000, 0x40080000, 0x00004010,
  0x00000000, 0x00084010, 0x40080010, 0x00080000, 0x40004010, 0x40080000, 0x40084000, 0x00004000,
  0x40080000, 0x40004000, 0x00000010, 0x40084010, 0x00084010, 0x00000010, 0x00004000, 0x40000000,
  0x00004010, 0x40084000, 0x00080000, 0x40000010, 0x00080010, 0x40004010, 0x40000010, 0x00080010,
  0x00084000, 0x00000000, 0x40004000, 0x00004010, 0x40000000, 0x40080010, 0x40084010, 0x00084000,
  0x00000104, 0x04010100, 0x00000000, 0x04010004, 0x04000100, 0x00000000, 0x00010104, 0x04000100,
  0x00010004, 0x04000004, 0x04000004, 0x00010000, 0x04010104, 0x00010004, 0x04010000, 0x00000104,
  0x04000000, 0x00000004, 0x04010100, 0x00000100, 0x00010100, 0x04010000, 0x04010004, 0x00010104,
  0x04000104, 0x00010100, 0x00010000, 0x04000104, 0x00000004, 0x04010104, 0x00000100, 0x04000000,
  0x04010100, 0x04000000, 0x00010004, 0x00000104, 0x00010000, 0x04010100, 0x04000100, 0x00000000,
  0x00000100, 0x00010004, 0x04010104, 0x04000100, 0x04000004, 0x00000100, 0x00000000, 0x04010004,
  0x04000104, 0x00010000, 0x04000000, 0x04010104, 0x00000004, 0x00010104, 0x00010100, 0x04000004,
  0x04010000, 0x04000104, 0x00000104, 0x04010000, 0x00010104, 0x00000004, 0x04010004, 0x00010100,
  0x80401000, 0x80001040, 0x80001040, 0x00000040, 0x00401040, 0x80400040, 0x80400000, 0x80001000,
  0x00000000, 0x00401000, 0x00401000, 0x80401040, 0x80000040, 0x00000000, 0x00400040, 0x80400000,
  0x80000000, 0x00001000, 0x00400000, 0x80401000, 0x00000040, 0x00400000, 0x80001000, 0x00001040,
  0x80400040, 0x80000000, 0x00001040, 0x00400040, 0x00001000, 0x00401040, 0x80401040, 0x80000040,
  0x00400040, 0x80400000, 0x00401000, 0x80401040, 0x80000040, 0x00000000, 0x00000000, 0x00401000,
  0x00001040, 0x00400040, 0x80400040, 0x80000000, 0x80401000, 0x80001040, 0x80001040, 0x00000040,
  0x80401040, 0x80000040, 0x80000000, 0x00001000, 0x80400000, 0x80001000, 0x00401040, 0x80400040,
  0x80001000, 0x00001040, 0x00400000, 0x80401000, 0x00000040, 0x00400000, 0x00001000, 0x00401040,
  0x00000080, 0x01040080, 0x01040000, 0x21000080, 0x00040000, 0x00000080, 0x20000000, 0x01040000,
  0x20040080, 0x00040000, 0x01000080, 0x20040080, 0x21000080, 0x21040000, 0x00040080, 0x20000000,
  0x01000000, 0x20040000, 0x20040000, 0x00000000, 0x20000080, 0x21040080, 0x21040080, 0x01000080,
  0x21040000, 0x20000080, 0x00000000, 0x21000000, 0x01040080, 0x01000000, 0x21000000, 0x00040080,
  0x00040000, 0x21000080, 0x00000080, 0x01000000, 0x20000000, 0x01040000, 0x21000080, 0x20040080,
  0x01000080, 0x20000000, 0x21040000, 0x01040080, 0x20040080, 0x00000080, 0x01000000, 0x21040000,
  0x21040080, 0x00040080, 0x21000000, 0x21040080, 0x01040000, 0x00000000, 0x20040000, 0x21000000,
  0x00040080, 0x01000080, 0x20000080, 0x00040000, 0x00000000, 0x20040000, 0x01040080, 0x20000080,
  0x10000008, 0x10200000, 0x00002000, 0x10202008, 0x10200000, 0x00000008, 0x10202008, 0x00200000,
  0x10002000, 0x00202008, 0x00200000, 0x10000008, 0x00200008, 0x10002000, 0x10000000, 0x00002008,
  0x00000000, 0x00200008, 0x10002008, 0x00002000, 0x00202000, 0x10002008, 0x00000008, 0x10200008,
  0x10200008, 0x00000000, 0x00202008, 0x10202000, 0x00002008, 0x00202000, 0x10202000, 0x10000000,
  0x10002000, 0x00000008, 0x10200008, 0x00202000, 0x10202008, 0x00200000, 0x00002008, 0x10000008,
  0x00200000, 0x10002000, 0x10000000, 0x00002008, 0x10000008, 0x10202008, 0x00202000, 0x10200000,
  0x00202008, 0x10202000, 0x00000000, 0x10200008, 0x00000008, 0x00002000, 0x10200000, 0x00202008,
  0x00002000, 0x00200008, 0x10002008, 0x00000000, 0x10202000, 0x10000000, 0x00200008, 0x10002008,
  0x00100000, 0x02100001, 0x02000401, 0x00000000, 0x00000400, 0x02000401, 0x00100401, 0x02100400,
  0x02100401, 0x00100000, 0x00000000, 0x02000001, 0x00000001, 0x02000000, 0x02100001, 0x00000401,
  0x02000400, 0x00100401, 0x00100001, 0x02000400, 0x02000001, 0x02100000, 0x02100400, 0x00100001,
  0x02100000, 0x00000400, 0x00000401, 0x02100401, 0x00100400, 0x00000001, 0x02000000, 0x00100400,
  0x02000000, 0x00100400, 0x00100000, 0x02000401, 0x02000401, 0x02100001, 0x02100001, 0x00000001,
  0x00100001, 0x02000000, 0x02000400, 0x00100000, 0x02100400, 0x00000401, 0x00100401, 0x02100400,
  0x00000401, 0x02000001, 0x02100401, 0x02100000, 0x00100400, 0x00000000, 0x00000001, 0x02100401,
  0x00000000, 0x00100401, 0x02100000, 0x00000400, 0x02000001, 0x02000400, 0x00000400, 0x00100001,
  0x08000820, 0x00000800, 0x00020000, 0x08020820, 0x08000000, 0x08000820, 0x00000020, 0x08000000,
  0x00020020, 0x08020000, 0x08020820, 0x00020800, 0x08020800, 0x00020820, 0x00000800, 0x00000020,
  0x08020000, 0x08000020, 0x08000800, 0x00000820, 0x00020800, 0x00020020, 0x08020020, 0x08020800,
  0x00000820, 0x00000000, 0x00000000, 0x08020020, 0x08000020, 0x08000800, 0x00020820, 0x00020000,
  0x00020820, 0x00020000, 0x08020800, 0x00000800, 0x00000020, 0x08020020, 0x00000800, 0x00020820,
  0x08000800, 0x00000020, 0x08000020, 0x08020000, 0x08020020, 0x08000000, 0x00020000, 0x08000820,
  0x00000000, 0x08020820, 0x00020020, 0x08000020, 0x08020000, 0x08000800, 0x08000820, 0x00000000,
  0x08020820, 0x00020800, 0x00020800, 0x00000820, 0x00000820, 0x00020020, 0x08000000, 0x08020800,
]);

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

/** Octets of room for the keys: 48 rounds of two words, and the 56 bits of a key before the rounds, an octet each. */
export const DES_SIZE: u32 = 48 * 8 + 56;
const BITS: u32 = 48 * 8;

/**
 * The 16 round keys of one key. A round key is two words: the inputs of S1, S3, S5, S7, each in the upper six bits of
 * an octet, then those of S2, S4, S6, S8.
 * @param backwards for decryption
 */
function expandKey(keyPtr: u32, workPtr: u32, roundsPtr: u32, backwards: bool): void {
  const bits = workPtr + BITS;
  for (let i: u32 = 0; i < 56; ++i) {
    const at: u32 = load<u8>(PC1 + i);
    store<u8>(bits + i, (<u32>load<u8>(keyPtr + (at >> 3)) >> (7 - (at & 7))) & 1);
  }
  for (let round: u32 = 0; round < 16; ++round) {
    const turn: u32 = load<u8>(TURNS + round);
    const to = roundsPtr + (backwards ? 15 - round : round) * 8;
    for (let half: u32 = 0; half < 2; ++half) {
      let word: u32 = 0;
      for (let box = half; box < 8; box += 2) {
        let input: u32 = 0;
        for (let i = box * 6; i < box * 6 + 6; ++i) {
          let at: u32 = <u32>load<u8>(PC2 + i) + turn;
          if (box < 4) at = at < 28 ? at : at - 28;
          else at = at < 56 ? at : at - 28;
          input = (input << 1) | load<u8>(bits + at);
        }
        word = (word << 8) | (input << 2);
      }
      store<u32>(to + half * 4, word);
    }
  }
}

// @ts-ignore: decorator
@inline
function f(half: u32, roundPtr: u32): u32 {
  const odd = rotr(half, 1) ^ load<u32>(roundPtr);
  const even = rotl(half, 3) ^ load<u32>(roundPtr, 4);
  return load<u32>(SP + ((odd >> 24) & 0xfc)) ^
    load<u32>(SP + ((even >> 24) & 0xfc), 1 * 256) ^
    load<u32>(SP + ((odd >> 16) & 0xfc), 2 * 256) ^
    load<u32>(SP + ((even >> 16) & 0xfc), 3 * 256) ^
    load<u32>(SP + ((odd >> 8) & 0xfc), 4 * 256) ^
    load<u32>(SP + ((even >> 8) & 0xfc), 5 * 256) ^
    load<u32>(SP + (odd & 0xfc), 6 * 256) ^
    load<u32>(SP + (even & 0xfc), 7 * 256);
}

// The initial permutation as five exchanges of bits between two 32-bit halves; the final one is the same backwards.
// Both halves travel in one u64, the left one on top.
// @ts-ignore: decorator
@inline
function exchange(block: u64, distance: u64, mask: u64, leftUp: bool): u64 {
  const left = block >> 32;
  const right = block & 0xffffffff;
  const bits = leftUp ? ((left >> distance) ^ right) & mask : ((right >> distance) ^ left) & mask;
  return leftUp ? block ^ bits ^ (bits << (32 + distance)) : block ^ (bits << 32) ^ (bits << distance);
}

// @ts-ignore: decorator
@inline
function initialPermutation(block: u64): u64 {
  block = exchange(block, 4, 0x0f0f0f0f, true);
  block = exchange(block, 16, 0x0000ffff, true);
  block = exchange(block, 2, 0x33333333, false);
  block = exchange(block, 8, 0x00ff00ff, false);
  return exchange(block, 1, 0x55555555, true);
}

// @ts-ignore: decorator
@inline
function finalPermutation(block: u64): u64 {
  block = exchange(block, 1, 0x55555555, true);
  block = exchange(block, 8, 0x00ff00ff, false);
  block = exchange(block, 2, 0x33333333, false);
  block = exchange(block, 16, 0x0000ffff, true);
  return exchange(block, 4, 0x0f0f0f0f, true);
}

/**
 * Decrypts whole blocks in CBC mode.
 * @param keyPtr 8 octets (DES), 16 (two keys: K3 = K1) or 24; parity bits are ignored
 * @param length a multiple of 8
 * @param outPtr may be `dataPtr`
 * @param workPtr room of DES_SIZE
 */
export function decryptDes(
  keyPtr: u32, keyLen: u32, ivPtr: u32, dataPtr: u32, length: u32, outPtr: u32, workPtr: u32,
): void {
  // SP 800-67: D(K1, E(K2, D(K3, block)))
  let rounds: u32 = 16;
  if (keyLen == 8) {
    expandKey(keyPtr, workPtr, workPtr, true);
  } else {
    rounds = 48;
    expandKey(keyLen == 24 ? keyPtr + 16 : keyPtr, workPtr, workPtr, true);
    expandKey(keyPtr + 8, workPtr, workPtr + 128, false);
    expandKey(keyPtr, workPtr, workPtr + 256, true);
  }
  const end = workPtr + rounds * 8;
  let previous = bswap<u64>(load<u64>(ivPtr));
  // Two blocks side by side: a round waits for its table loads, and in CBC decryption no block waits for another.
  for (let at: u32 = 0; at < length; at += 16) {
    const single = length - at == 8;
    const first = bswap<u64>(load<u64>(dataPtr + at));
    const second = single ? 0 : bswap<u64>(load<u64>(dataPtr + at, 8));
    const permuted1 = initialPermutation(first);
    const permuted2 = initialPermutation(second);
    let left1 = <u32>(permuted1 >> 32);
    let right1 = <u32>permuted1;
    let left2 = <u32>(permuted2 >> 32);
    let right2 = <u32>permuted2;
    for (let round = workPtr; round < end; ) {
      for (const stop = round + 128; round < stop; round += 16) {
        left1 ^= f(right1, round);
        left2 ^= f(right2, round);
        right1 ^= f(left1, round + 8);
        right2 ^= f(left2, round + 8);
      }
      // The halves change places behind the last round of each pass.
      let half = left1;
      left1 = right1;
      right1 = half;
      half = left2;
      left2 = right2;
      right2 = half;
    }
    const plain1 = finalPermutation((<u64>left1 << 32) | right1) ^ previous;
    store<u64>(outPtr + at, bswap<u64>(plain1));
    previous = first;
    if (!single) {
      const plain2 = finalPermutation((<u64>left2 << 32) | right2) ^ previous;
      store<u64>(outPtr + at, bswap<u64>(plain2), 8);
      previous = second;
    }
  }
}
