/**
 * The PKCS#12 key derivation (RFC 7292 appendix B.2), as chains for the four lanes of lanes.ts. Both hashes have
 * v = 64. Legacy: for reading PFX files and their MACs.
 */
import { idOf, iterationsOf, passwordLenOf, passwordOf, saltLenOf, saltOf } from './derivation';
import { BLOCK, digestLength, hash4, initialState, RESULT, setMessage, STATE, copyLane } from './hashx4';
import { ITERATION, LANE_SIZE, LANES } from './lanes';
import { DIGEST, EVEN, LENGTH, ODD } from './x4';

/** Octets of a copy of a string that is repeated to fill whole blocks. */
function repeatedLen(length: u32): u32 {
  return (length + BLOCK - 1) & ~(BLOCK - 1);
}

/** Octets of D || S || P. */
export function pkcs12BufferLen(derivation: u32): u32 {
  return BLOCK + repeatedLen(saltLenOf(derivation)) + repeatedLen(passwordLenOf(derivation));
}

/** Repeats `length` octets until blocks are full. Returns the end. */
function fillRepeated(toPtr: u32, fromPtr: u32, length: u32): u32 {
  const end = toPtr + repeatedLen(length);
  for (let at = toPtr; at < end; at += length) memory.copy(at, fromPtr, min(length, end - at));
  return end;
}

/** Steps 1 to 4: D is v octets of the id; I = S || P, each repeated to whole blocks, nothing if empty. */
export function fillPkcs12(lanePtr: u32): void {
  const derivation = load<u32>(lanePtr);
  const buffer = load<u32>(lanePtr, 20);
  memory.fill(buffer, <u8>idOf(derivation), BLOCK);
  const password = fillRepeated(buffer + BLOCK, saltOf(derivation), saltLenOf(derivation));
  fillRepeated(password, passwordOf(derivation), passwordLenOf(derivation));
}

/** Step 6B and C: B is the last digest, repeated to v octets; every block of I becomes I + B + 1 mod 2^(8v). */
export function advancePkcs12(hash: u32, lanePtr: u32, areaPtr: u32, lane: u32): void {
  const buffer = load<u32>(lanePtr, 20);
  const words = digestLength(hash) / 4;
  const end = buffer + pkcs12BufferLen(load<u32>(lanePtr));
  for (let block = buffer + BLOCK; block < end; block += BLOCK) {
    let carry: u64 = 1;
    for (let i: u32 = 16; i-- > 0; ) {
      const ptr = block + i * 4;
      carry += <u64>bswap<u32>(load<u32>(ptr)) + load<u32>(areaPtr + DIGEST + (i % words) * 16 + lane * 4);
      store<u32>(ptr, bswap<u32>(<u32>carry));
      carry >>= 32;
    }
  }
}

/** Step 6A up to its first hash, H(D || I), for the lanes in the mask; the other iterations are the lanes' steps. */
export function beginPkcs12(hash: u32, workPtr: u32, lanes: u32): void {
  const area = workPtr + ITERATION;
  for (let lane: u32 = 0; lane < 4; ++lane) {
    if (!(lanes & (1 << lane))) continue;
    const at = workPtr + LANES + lane * LANE_SIZE;
    const derivation = load<u32>(at);
    initialState(hash, workPtr + STATE, lane);
    setMessage(workPtr, lane, load<u32>(at, 20), pkcs12BufferLen(derivation), 0);
    store<u32>(at, iterationsOf(derivation) - 1, 4);
  }
  hash4(hash, workPtr, lanes);
  for (let lane: u32 = 0; lane < 4; ++lane) {
    if (!(lanes & (1 << lane))) continue;
    initialState(hash, area + EVEN, lane);
    initialState(hash, area + ODD, lane);
    copyLane(workPtr + RESULT, area + DIGEST, lane);
    store<u32>(area + LENGTH + lane * 4, digestLength(hash) * 8);
  }
}
