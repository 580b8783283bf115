/**
 * The lane scheduler: runs all derivations of a job table with one hash over four lanes. Called by pfx.ts.
 *
 * What a derivation costs are chains of single-block hashes: PKCS#12 has one chain, whose links are its output blocks
 * one after the other, since each changes the input of the next (RFC 7292 B.2); PBKDF2 has one chain for each output
 * block, in any order. A lane runs one chain; when it ends, the lane is loaded with the next, in the order of the
 * table: a caller who lists the longest first gets the shortest time. A lane idles only when no chain is left.
 *
 *   steps →      0        2048       4096       e.g. 3DES: two 24-octet keys, two IVs, a MAC key; 2048 iterations
 *   lane 0       | key 1, A1 | key 1, A2 |
 *   lane 1       | key 2, A1 | key 2, A2 |
 *   lane 2       | IV 1      | MAC key   |
 *   lane 3       | IV 2      |
 *
 * When no more than two chains are left, they move to lanes 0 and 2, where the kernels take less time for two; a last
 * one of SHA-1 runs in scalar code.
 *
 * A lane record, of 32 octets:
 *
 *   0 derivation (0: idle) | 4 steps left | 8 output | 12 octets of output left | 16 block number, from 1
 *  20 buffer, of bufferLen() octets: D || I of PKCS#12, or salt || INT(i) of PBKDF2
 */
import { DERIVATION_SIZE, hashOf, kdfOf, outputLenOf, outputOf, PBKDF2, PKCS12, statusOf } from './derivation';
import { digestLength, SHA1, writeDigest } from './hashx4';
import { HMAC_SIZE } from './hmac';
import { OK } from './memory';
import { beginPbkdf2, pbkdf2BufferLen } from './pbkdf2';
import { advancePkcs12, beginPkcs12, fillPkcs12, pkcs12BufferLen } from './pkcs12kdf';
import { iterate1 as iterate1Sha1, iterate2 as iterate2Sha1, iterate4 as iterate4Sha1 } from './sha1x4';
import { iterate2 as iterate2Sha256, iterate4 as iterate4Sha256 } from './sha256x4';
import { DIGEST, ITERATION_SIZE, ROW, TOTAL } from './x4';

// The work area: that of hmac.ts, then:
export const ITERATION: u32 = HMAC_SIZE;
export const LANES: u32 = ITERATION + ITERATION_SIZE;
const FROZEN: u32 = LANES + 4 * 32;
const BUFFERS: u32 = FROZEN + 8 * ROW;

export const LANE_SIZE: u32 = 32;

/**
 * Steps of one call of the kernel. V8 begins with quick code and swaps in optimized code only between calls: without
 * the cut the first derivation of a process would run to its end on the slow code.
 */
const STRETCH: u32 = 128;

/** Octets of buffer that any lane needs for the derivations of the table. */
export function bufferLen(derivationsPtr: u32, count: u32): u32 {
  let longest: u32 = 0;
  const end = derivationsPtr + count * DERIVATION_SIZE;
  for (let at = derivationsPtr; at < end; at += DERIVATION_SIZE) {
    if (statusOf(at) != OK) continue;
    longest = max(longest, kdfOf(at) == PKCS12 ? pkcs12BufferLen(at) : pbkdf2BufferLen(at));
  }
  return (longest + 15) & ~15;
}

/** Size of the work area with buffers of `buffer` octets. */
export function lanesSize(buffer: u32): u64 {
  return <u64>BUFFERS + 4 * <u64>buffer;
}

/** Runs every derivation of the table that uses `hash` and has the status OK. */
export function derive4(hash: u32, workPtr: u32, buffer: u32, derivationsPtr: u32, count: u32): void {
  const area = workPtr + ITERATION;
  const lanes = workPtr + LANES;
  const end = derivationsPtr + count * DERIVATION_SIZE;
  const size = digestLength(hash);
  let next = derivationsPtr; // what is loaded next: a derivation and, for PBKDF2, its output block
  let block: u32 = 1;
  for (let lane: u32 = 0; lane < 4; ++lane) {
    store<u32>(lanes + lane * LANE_SIZE, 0);
    store<u32>(lanes + lane * LANE_SIZE, workPtr + BUFFERS + lane * buffer, 20);
  }

  for (;;) {
    // Load the idle lanes, and begin those that have something to begin with.
    let beginsPkcs12: u32 = 0;
    let beginsPbkdf2: u32 = 0;
    for (let lane: u32 = 0; lane < 4; ++lane) {
      const at = lanes + lane * LANE_SIZE;
      if (load<u32>(at) == 0) {
        while (next < end && (statusOf(next) != OK || hashOf(next) != hash)) next += DERIVATION_SIZE;
        if (next == end) continue;
        const done = (block - 1) * size;
        const left = outputLenOf(next) - done;
        store<u32>(at, next);
        store<u32>(at, outputOf(next) + done, 8);
        store<u32>(at, left, 12);
        store<u32>(at, block, 16);
        store<u32>(at, 0, 4);
        if (kdfOf(next) == PKCS12) {
          fillPkcs12(at);
          beginsPkcs12 |= 1 << lane;
          next += DERIVATION_SIZE;
        } else {
          beginsPbkdf2 |= 1 << lane;
          ++block;
          if (left <= size) {
            next += DERIVATION_SIZE;
            block = 1;
          }
        }
      } else if (load<u32>(at, 4) == 0) {
        // Only PKCS#12 comes back to the same derivation.
        advancePkcs12(hash, at, area, lane);
        beginsPkcs12 |= 1 << lane;
      }
    }
    if (beginsPkcs12) beginPkcs12(hash, workPtr, beginsPkcs12);
    if (beginsPbkdf2) beginPbkdf2(hash, workPtr, beginsPbkdf2);

    // Run all lanes for as long as the shortest lasts.
    const width = gather(hash, lanes, area);
    let steps: u32 = 0xffffffff;
    let active: u32 = 0;
    let pbkdf2: u32 = 0;
    for (let lane: u32 = 0; lane < 4; ++lane) {
      const at = lanes + lane * LANE_SIZE;
      if (load<u32>(at) == 0) continue;
      active |= 1 << lane;
      if (kdfOf(load<u32>(at)) == PBKDF2) pbkdf2 |= 1 << lane;
      steps = min(steps, load<u32>(at, 4));
    }
    if (active == 0) return;
    let frozen: u32 = 0;
    if (pbkdf2 && (steps & 1)) {
      // PBKDF2 takes steps in pairs. A PKCS#12 lane with one step left takes it while the others stand still.
      if (steps == 1) frozen = pbkdf2;
      else --steps;
    }
    if (frozen) {
      memory.copy(workPtr + FROZEN, area + DIGEST, 8 * ROW);
      iterate(hash, area, 1, width);
      for (let lane: u32 = 0; lane < 4; ++lane) {
        if (!(frozen & (1 << lane))) continue;
        for (let at = lane * 4; at < 8 * ROW; at += ROW) store<u32>(area + DIGEST + at, load<u32>(workPtr + FROZEN + at));
      }
    } else {
      for (let left = steps; left; ) {
        const stretch = min(left, STRETCH);
        iterate(hash, area, stretch, width);
        left -= stretch;
      }
    }

    // Write what is finished.
    for (let lane: u32 = 0; lane < 4; ++lane) {
      const at = lanes + lane * LANE_SIZE;
      if (!((active & ~frozen) & (1 << lane))) continue;
      const stepsLeft = load<u32>(at, 4) - steps;
      store<u32>(at, stepsLeft, 4);
      if (stepsLeft) continue;
      const chained = kdfOf(load<u32>(at)) == PKCS12;
      const left = load<u32>(at, 12);
      const octets = min(left, size);
      writeDigest(area + (chained ? DIGEST : TOTAL), lane, load<u32>(at, 8), octets);
      store<u32>(at, load<u32>(at, 8) + octets, 8);
      store<u32>(at, left - octets, 12);
      if (!chained || left == octets) store<u32>(at, 0);
    }
  }
}

/**
 * Moves two chains to lanes 0 and 2, one to lane 0. Returns what the kernel has to take: 4, 2 or 1 (SHA-1 only: what
 * SHA-256 would gain has no use in a PFX).
 */
function gather(hash: u32, lanesPtr: u32, areaPtr: u32): u32 {
  let active: u32 = 0;
  for (let lane: u32 = 0; lane < 4; ++lane) active |= <u32>(load<u32>(lanesPtr + lane * LANE_SIZE) != 0) << lane;
  const count = popcnt<u32>(active);
  if (count > 2) return 4;
  const wanted: u32 = count == 2 ? 0b101 : 0b1;
  for (let lane: u32 = 1; lane < 4; ++lane) {
    if (!(active & ~wanted & (1 << lane))) continue;
    const free = ctz<u32>(wanted & ~active);
    active |= 1 << free;
    const from = lanesPtr + lane * LANE_SIZE;
    const to = lanesPtr + free * LANE_SIZE;
    const buffer = load<u32>(to, 20);
    memory.copy(to, from, LANE_SIZE);
    store<u32>(from, 0);
    store<u32>(from, buffer, 20);
    for (let row = areaPtr; row < areaPtr + ITERATION_SIZE; row += ROW) {
      store<u32>(row + free * 4, load<u32>(row + lane * 4));
    }
  }
  return count == 1 && hash == SHA1 ? 1 : 2;
}

function iterate(hash: u32, areaPtr: u32, steps: u32, width: u32): void {
  if (hash == SHA1) {
    if (width == 4) iterate4Sha1(areaPtr, steps);
    else if (width == 2) iterate2Sha1(areaPtr, steps);
    else iterate1Sha1(areaPtr, steps);
  } else {
    if (width == 4) iterate4Sha256(areaPtr, steps);
    else iterate2Sha256(areaPtr, steps);
  }
}
