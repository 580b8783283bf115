/**
 * HMAC (RFC 2104) with SHA-1 or SHA-256, up to four at a time: PBKDF2's first iteration (pbkdf2.ts) and the MAC of a
 * PFX (pfx.ts). The states behind the two pads stay for the caller.
 *
 * The work area: that of hashx4.ts, then
 *
 *      0  inner      8 rows: the states behind the inner pads
 *    128  outer      8 rows: the states behind the outer pads
 *    256  requests   4 × 16 octets: key pointer, key length, data pointer, data length
 *    320  pads       4 × 64 octets
 *    576  digests    4 × 32 octets: of the inner hash, or of a long key
 */
import {
  BLOCK, BLOCKS, compressBlocks, digestLength, HASH_SIZE, hash4, initialState, RESULT, setMessage, STATE, writeDigest,
} from './hashx4';

export const INNER: u32 = HASH_SIZE;
export const OUTER: u32 = HASH_SIZE + 128;
const REQUESTS: u32 = HASH_SIZE + 256;
const PADS: u32 = HASH_SIZE + 320;
const DIGESTS: u32 = HASH_SIZE + 576;
export const HMAC_SIZE: u32 = DIGESTS + 128;

const ROWS: u32 = 128;

/** Gives a lane its key and data. */
export function setRequest(workPtr: u32, lane: u32, keyPtr: u32, keyLen: u32, dataPtr: u32, dataLen: u32): void {
  const request = workPtr + REQUESTS + lane * 16;
  store<u32>(request, keyPtr);
  store<u32>(request, keyLen, 4);
  store<u32>(request, dataPtr, 8);
  store<u32>(request, dataLen, 12);
}

/** The states behind the pads of `lanes`, whose keys are XORed with the octet `pad`, to the rows at `toPtr`. */
function absorbPads(hash: u32, workPtr: u32, pad: u8, toPtr: u32): void {
  const mask = i8x16.splat(pad);
  for (let lane: u32 = 0; lane < 4; ++lane) {
    const block = workPtr + PADS + lane * BLOCK;
    for (let at = block; at < block + BLOCK; at += 16) v128.store(at, v128.xor(v128.load(at), mask));
    store<u32>(workPtr + BLOCKS + lane * 4, block);
    initialState(hash, workPtr + STATE, lane);
  }
  compressBlocks(hash, workPtr);
  memory.copy(toPtr, workPtr + STATE, ROWS);
}

/** The HMACs of the lanes in the mask `lanes`, to the rows in RESULT; the pads' states to INNER and OUTER. */
export function hmac4(hash: u32, workPtr: u32, lanes: u32): void {
  // RFC 2104 section 2: a key longer than a block is hashed first.
  let long: u32 = 0;
  for (let lane: u32 = 0; lane < 4; ++lane) {
    const request = workPtr + REQUESTS + lane * 16;
    memory.fill(workPtr + PADS + lane * BLOCK, 0, BLOCK);
    if (!(lanes & (1 << lane))) continue;
    const length = load<u32>(request, 4);
    if (length > BLOCK) {
      long |= 1 << lane;
      initialState(hash, workPtr + STATE, lane);
      setMessage(workPtr, lane, load<u32>(request), length, 0);
    } else {
      memory.copy(workPtr + PADS + lane * BLOCK, load<u32>(request), length);
    }
  }
  const size = digestLength(hash);
  if (long) {
    hash4(hash, workPtr, long);
    for (let lane: u32 = 0; lane < 4; ++lane) {
      if (long & (1 << lane)) writeDigest(workPtr + RESULT, lane, workPtr + PADS + lane * BLOCK, size);
    }
  }

  absorbPads(hash, workPtr, 0x36, workPtr + INNER);
  absorbPads(hash, workPtr, 0x36 ^ 0x5c, workPtr + OUTER);

  memory.copy(workPtr + STATE, workPtr + INNER, ROWS);
  for (let lane: u32 = 0; lane < 4; ++lane) {
    const request = workPtr + REQUESTS + lane * 16;
    setMessage(workPtr, lane, load<u32>(request, 8), load<u32>(request, 12), BLOCK);
  }
  hash4(hash, workPtr, lanes);
  memory.copy(workPtr + STATE, workPtr + OUTER, ROWS);
  for (let lane: u32 = 0; lane < 4; ++lane) {
    const digest = workPtr + DIGESTS + lane * 32;
    writeDigest(workPtr + RESULT, lane, digest, size);
    setMessage(workPtr, lane, digest, size, BLOCK);
  }
  hash4(hash, workPtr, lanes);
}
