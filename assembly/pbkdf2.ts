/**
 * PBKDF2 with HMAC-SHA-1 or HMAC-SHA-256 (RFC 8018 section 5.2), as chains for the four lanes of lanes.ts: one for
 * each block T_i of the output. From the second iteration on, an HMAC is two single-block hashes from the states
 * behind its pads.
 */
import { iterationsOf, passwordLenOf, passwordOf, saltLenOf, saltOf } from './derivation';
import { BLOCK, copyLane, digestLength, RESULT } from './hashx4';
import { hmac4, INNER, OUTER, setRequest } from './hmac';
import { ITERATION, LANE_SIZE, LANES } from './lanes';
import { DIGEST, EVEN, LENGTH, ODD, TOTAL } from './x4';

/** Octets of S || INT(i). */
export function pbkdf2BufferLen(derivation: u32): u32 {
  return saltLenOf(derivation) + 4;
}

/** U_1 of the lanes in the mask; the other iterations are the lanes' steps, two each. */
export function beginPbkdf2(hash: u32, workPtr: u32, lanes: u32): void {
  const area = workPtr + ITERATION;
  for (let lane: u32 = 0; lane < 4; ++lane) {
    if (!(lanes & (1 << lane))) continue;
    const at = workPtr + LANES + lane * LANE_SIZE;
    const derivation = load<u32>(at);
    const buffer = load<u32>(at, 20);
    const saltLen = saltLenOf(derivation);
    memory.copy(buffer, saltOf(derivation), saltLen);
    store<u32>(buffer + saltLen, bswap<u32>(load<u32>(at, 16)));
    setRequest(workPtr, lane, passwordOf(derivation), passwordLenOf(derivation), buffer, saltLen + 4);
    store<u32>(at, 2 * (iterationsOf(derivation) - 1), 4);
  }
  hmac4(hash, workPtr, lanes);
  for (let lane: u32 = 0; lane < 4; ++lane) {
    if (!(lanes & (1 << lane))) continue;
    copyLane(workPtr + RESULT, area + DIGEST, lane);
    copyLane(workPtr + RESULT, area + TOTAL, lane);
    copyLane(workPtr + INNER, area + EVEN, lane);
    copyLane(workPtr + OUTER, area + ODD, lane);
    store<u32>(area + LENGTH + lane * 4, (BLOCK + digestLength(hash)) * 8);
  }
}
