/**
 * Whole messages, up to four at a time and of any lengths, on the four-lane kernels: H(m), and H over what follows
 * a known first part (HMAC). Called by hmac.ts, pkcs12kdf.ts and pbkdf2.ts, which set up or finish a derivation.
 *
 * The work area, in the arena:
 *
 *      0  state      8 rows: the caller's initial states; running
 *    128  result     8 rows: each lane's state behind its last block
 *    256  blocks     4 u32: where each lane's next block lies
 *    272  messages   4 × 16 octets: pointer, length, octets before them (a multiple of 64), blocks in all
 *    336  tails      4 × 128 octets: the last block or two of each message, padded
 *    848  schedule   SCHEDULE_SIZE
 */
import { compress4 as compressSha1 } from './sha1x4';
import { compress4 as compressSha256 } from './sha256x4';
import { ROW, SCHEDULE_SIZE } from './x4';

export const SHA1: u32 = 1;
export const SHA256: u32 = 2;

export const BLOCK: u32 = 64;
/** Words of the longest digest. */
export const MAX_WORDS: u32 = 8;

export const STATE: u32 = 0;
export const RESULT: u32 = 128;
export const BLOCKS: u32 = 256;
const MESSAGES: u32 = 272;
const TAILS: u32 = 336;
const SCHEDULE: u32 = 848;
export const HASH_SIZE: u32 = SCHEDULE + SCHEDULE_SIZE;

const SHA1_INITIAL: u32 = <u32>memory.data<u32>([0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0]);
const SHA256_INITIAL: u32 = <u32>memory.data<u32>([
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
]);

export function digestLength(hash: u32): u32 {
  return hash == SHA1 ? 20 : 32;
}

/** Sets one lane of rows to the hash's initial state. */
export function initialState(hash: u32, rowsPtr: u32, lane: u32): void {
  const table = hash == SHA1 ? SHA1_INITIAL : SHA256_INITIAL;
  const words = digestLength(hash) / 4;
  for (let i: u32 = 0; i < words; ++i) store<u32>(rowsPtr + i * ROW + lane * 4, load<u32>(table + i * 4));
}

/** Copies one lane of one set of rows to the same lane of another. */
export function copyLane(fromPtr: u32, toPtr: u32, lane: u32): void {
  for (let at = lane * 4; at < MAX_WORDS * ROW; at += ROW) store<u32>(toPtr + at, load<u32>(fromPtr + at));
}

/** Writes one lane's digest as octets, cut to `length`, which is at most the digest's own. */
export function writeDigest(rowsPtr: u32, lane: u32, toPtr: u32, length: u32): void {
  for (let i: u32 = 0; i < length; ++i) {
    const word = load<u32>(rowsPtr + (i >> 2) * ROW + lane * 4);
    store<u8>(toPtr + i, word >> (24 - 8 * (i & 3)));
  }
}

/** One block of each lane, from the pointers in BLOCKS, on the rows in STATE. */
export function compressBlocks(hash: u32, workPtr: u32): void {
  if (hash == SHA1) compressSha1(workPtr + STATE, workPtr + BLOCKS, workPtr + SCHEDULE);
  else compressSha256(workPtr + STATE, workPtr + BLOCKS, workPtr + SCHEDULE);
}

/** Gives a lane its message. `before` octets were hashed into the lane's initial state. */
export function setMessage(workPtr: u32, lane: u32, ptr: u32, length: u32, before: u32): void {
  const message = workPtr + MESSAGES + lane * 16;
  store<u32>(message, ptr);
  store<u32>(message, length, 4);
  store<u32>(message, before, 8);
}

/**
 * Hashes the messages of the lanes in the mask `lanes`, from the rows in STATE to the rows in RESULT. Lanes that have
 * no message, or whose message has ended, run on blocks whose result nobody takes.
 */
export function hash4(hash: u32, workPtr: u32, lanes: u32): void {
  let longest: u32 = 0;
  for (let lane: u32 = 0; lane < 4; ++lane) {
    const message = workPtr + MESSAGES + lane * 16;
    const tail = workPtr + TAILS + lane * 128;
    memory.fill(tail, 0, 128);
    let blocks: u32 = 0;
    if (lanes & (1 << lane)) {
      const length = load<u32>(message, 4);
      const rest = length & 63;
      const tailLength: u32 = rest < 56 ? 64 : 128;
      memory.copy(tail, load<u32>(message) + (length - rest), rest);
      store<u8>(tail + rest, 0x80);
      const bits = (<u64>load<u32>(message, 8) + length) << 3;
      store<u64>(tail + tailLength - 8, bswap<u64>(bits));
      blocks = length / 64 + tailLength / 64;
    }
    store<u32>(message, blocks, 12);
    longest = max(longest, blocks);
  }
  for (let block: u32 = 0; block < longest; ++block) {
    for (let lane: u32 = 0; lane < 4; ++lane) {
      const message = workPtr + MESSAGES + lane * 16;
      const whole = load<u32>(message, 4) / 64;
      const total = load<u32>(message, 12);
      let at = workPtr + TAILS + lane * 128;
      if (block < total) at = block < whole ? load<u32>(message) + block * 64 : at + (block - whole) * 64;
      store<u32>(workPtr + BLOCKS + lane * 4, at);
    }
    compressBlocks(hash, workPtr);
    for (let lane: u32 = 0; lane < 4; ++lane) {
      if (load<u32>(workPtr + MESSAGES + lane * 16, 12) == block + 1) copyLane(workPtr + STATE, workPtr + RESULT, lane);
    }
  }
}
