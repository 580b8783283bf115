/**
 * The lane scheduler: runs all derivations of a job table with one hash over its lanes. Called by pfx.ts.
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
 * SHA-256 has a fifth lane, SCALAR, which runs at half the pace beside the four, or beside two, for little more than
 * they take alone (sha256woven.ts). It has an area of its own and there the place of lane 0.
 *
 *   steps →      0        2048       4096       e.g. PBES2: two 32-octet keys, a MAC key; 2048 iterations
 *   lane 0       | key 1               |
 *   lane 2       | key 2               |
 *   SCALAR       | MAC key             |
 *
 * When no more than two chains are left, they move to lanes 0 and 2, where the kernels take less time for two; of three
 * of SHA-256 the shortest moves to SCALAR; a last one of SHA-1 runs in scalar code.
 *
 * A lane record, of 32 octets:
 *
 *   0 derivation (0: idle) | 4 steps left | 8 output | 12 octets of output left | 16 block number, from 1
 *  20 buffer, of bufferLen() octets: D || I of PKCS#12, or salt || INT(i) of PBKDF2
 */
import { DERIVATION_SIZE, hashOf, kdfOf, outputLenOf, outputOf, PBKDF2, PKCS12, statusOf } from './derivation';
import { digestLength, SHA1, SHA256, writeDigest } from './hashx4';
import { HMAC_SIZE } from './hmac';
import { OK } from './memory';
import { beginPbkdf2, pbkdf2BufferLen } from './pbkdf2';
import { advancePkcs12, beginPkcs12, fillPkcs12, pkcs12BufferLen } from './pkcs12kdf';
import { iterate1 as iterate1Sha1, iterate2 as iterate2Sha1, iterate4 as iterate4Sha1 } from './sha1x4';
import { iterate2Scalar, iterate4Scalar, WOVEN_SIZE } from './sha256woven';
import { iterate2 as iterate2Sha256, iterate4 as iterate4Sha256 } from './sha256x4';
import { DIGEST, ITERATION_SIZE, ROW, TOTAL } from './x4';

/** The lane beside the four. */
const SCALAR: u32 = 4;

export const LANE_SIZE: u32 = 32;

// The work area: that of hmac.ts, then the areas of the four lanes and of SCALAR, and:
const ITERATION: u32 = HMAC_SIZE;
const LANES: u32 = ITERATION + 2 * ITERATION_SIZE;
const FROZEN: u32 = LANES + 5 * LANE_SIZE;
const WOVEN: u32 = FROZEN + 8 * ROW;
const BUFFERS: u32 = WOVEN + WOVEN_SIZE;

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
  return <u64>BUFFERS + 5 * <u64>buffer;
}

/** The area in which a lane runs; within it, it is lane `lane & 3`. */
// @ts-ignore: decorator
@inline
function areaOf(areaPtr: u32, lane: u32): u32 {
  return lane == SCALAR ? areaPtr + ITERATION_SIZE : areaPtr;
}

/** Runs every derivation of the table that uses `hash` and has the status OK. */
export function derive4(hash: u32, workPtr: u32, buffer: u32, derivationsPtr: u32, count: u32): void {
  const area = workPtr + ITERATION;
  const lanes = workPtr + LANES;
  const scalar = lanes + SCALAR * LANE_SIZE;
  const laneCount: u32 = hash == SHA256 ? 5 : 4;
  const end = derivationsPtr + count * DERIVATION_SIZE;
  const size = digestLength(hash);
  let next = derivationsPtr; // what is loaded next: a derivation and, for PBKDF2, its output block
  let block: u32 = 1;
  for (let lane: u32 = 0; lane < 5; ++lane) {
    store<u32>(lanes + lane * LANE_SIZE, 0);
    store<u32>(lanes + lane * LANE_SIZE, workPtr + BUFFERS + lane * buffer, 20);
  }

  for (;;) {
    // Load the idle lanes, and begin those that have something to begin with.
    let beginsPkcs12: u32 = 0;
    let beginsPbkdf2: u32 = 0;
    for (let lane: u32 = 0; lane < laneCount; ++lane) {
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
        advancePkcs12(hash, at, areaOf(area, lane), lane & 3);
        beginsPkcs12 |= 1 << lane;
      }
    }
    if (beginsPkcs12 & 15) beginPkcs12(hash, workPtr, area, lanes, beginsPkcs12 & 15);
    if (beginsPkcs12 >> SCALAR) beginPkcs12(hash, workPtr, areaOf(area, SCALAR), scalar, 1);
    if (beginsPbkdf2 & 15) beginPbkdf2(hash, workPtr, area, lanes, beginsPbkdf2 & 15);
    if (beginsPbkdf2 >> SCALAR) beginPbkdf2(hash, workPtr, areaOf(area, SCALAR), scalar, 1);

    // Run all lanes for as long as the shortest lasts.
    const chains = gather(hash, lanes, area);
    if (chains == 0) return;
    let steps: u32 = 0xffffffff;
    let pbkdf2: u32 = 0;
    for (let lane: u32 = 0; lane < 4; ++lane) {
      const at = lanes + lane * LANE_SIZE;
      if (load<u32>(at) == 0) continue;
      if (kdfOf(load<u32>(at)) == PBKDF2) pbkdf2 |= 1 << lane;
      steps = min(steps, load<u32>(at, 4));
    }
    // PBKDF2 takes steps in pairs. SCALAR stands still for the last of the other lanes' steps.
    let scalarSteps: u32 = 0;
    if (load<u32>(scalar)) {
      scalarSteps = min(steps / 2, load<u32>(scalar, 4));
      if (kdfOf(load<u32>(scalar)) == PBKDF2) scalarSteps &= ~1;
      if (scalarSteps) steps = 2 * scalarSteps;
    }
    let frozen: u32 = 0;
    if (pbkdf2 && (steps & 1)) {
      // A PKCS#12 lane with one step left takes it while the others stand still.
      if (steps == 1) frozen = pbkdf2;
      else --steps;
    }
    if (frozen) memory.copy(workPtr + FROZEN, area + DIGEST, 8 * ROW);
    for (let left = steps; left; ) {
      const stretch = min(left, STRETCH);
      if (scalarSteps) iterateWoven(workPtr, stretch, chains);
      else iterate(hash, area, stretch, chains);
      left -= stretch;
    }
    for (let lane: u32 = 0; lane < 4; ++lane) {
      if (!(frozen & (1 << lane))) continue;
      for (let at = lane * 4; at < 8 * ROW; at += ROW) store<u32>(area + DIGEST + at, load<u32>(workPtr + FROZEN + at));
    }

    // Write what is finished.
    for (let lane: u32 = 0; lane < laneCount; ++lane) {
      const at = lanes + lane * LANE_SIZE;
      if (load<u32>(at) == 0 || frozen & (1 << lane)) continue;
      const stepsLeft = load<u32>(at, 4) - (lane == SCALAR ? scalarSteps : steps);
      store<u32>(at, stepsLeft, 4);
      if (stepsLeft) continue;
      const chained = kdfOf(load<u32>(at)) == PKCS12;
      const left = load<u32>(at, 12);
      const octets = min(left, size);
      writeDigest(areaOf(area, lane) + (chained ? DIGEST : TOTAL), lane & 3, load<u32>(at, 8), octets);
      store<u32>(at, load<u32>(at, 8) + octets, 8);
      store<u32>(at, left - octets, 12);
      if (!chained || left == octets) store<u32>(at, 0);
    }
  }
}

/** Moves the chains to the lanes in which so many take the least time. Returns how many there are. */
function gather(hash: u32, lanesPtr: u32, areaPtr: u32): u32 {
  let active: u32 = 0;
  let shortest: u32 = SCALAR;
  let fewest: u32 = 0xffffffff;
  for (let lane: u32 = 0; lane <= SCALAR; ++lane) {
    const at = lanesPtr + lane * LANE_SIZE;
    if (load<u32>(at) == 0) continue;
    active |= 1 << lane;
    if (load<u32>(at, 4) >= fewest) continue;
    fewest = load<u32>(at, 4);
    shortest = lane;
  }
  const chains = popcnt<u32>(active);
  let wanted: u32 = 0b1111;
  if (chains == 5) {
    wanted = 0b11111;
  } else if (chains == 3 && hash == SHA256) {
    wanted = 0b10101;
    if (shortest != SCALAR) {
      swapLanes(lanesPtr, areaPtr, shortest, SCALAR);
      if (!(active & (1 << SCALAR))) active ^= (1 << SCALAR) | (1 << shortest);
    }
  } else if (chains < 3) {
    wanted = chains == 2 ? 0b101 : 0b1;
  }
  for (let lane: u32 = 0; lane <= SCALAR; ++lane) {
    if (!(active & ~wanted & (1 << lane))) continue;
    const free = ctz<u32>(wanted & ~active);
    active |= 1 << free;
    swapLanes(lanesPtr, areaPtr, lane, free);
  }
  return chains;
}

/** Swaps two lanes with all they have. */
function swapLanes(lanesPtr: u32, areaPtr: u32, one: u32, other: u32): void {
  for (let at: u32 = 0; at < LANE_SIZE; at += 4) {
    swap(lanesPtr + one * LANE_SIZE + at, lanesPtr + other * LANE_SIZE + at);
  }
  const from = areaOf(areaPtr, one) + (one & 3) * 4;
  const to = areaOf(areaPtr, other) + (other & 3) * 4;
  for (let at: u32 = 0; at < ITERATION_SIZE; at += ROW) swap(from + at, to + at);
}

function swap(onePtr: u32, otherPtr: u32): void {
  const word = load<u32>(onePtr);
  store<u32>(onePtr, load<u32>(otherPtr));
  store<u32>(otherPtr, word);
}

/** The four lanes alone. One chain has code of its own in SHA-1 only: what SHA-256 would gain has no use in a PFX. */
function iterate(hash: u32, areaPtr: u32, steps: u32, chains: u32): void {
  if (hash == SHA1) {
    if (chains > 2) iterate4Sha1(areaPtr, steps);
    else if (chains == 2) iterate2Sha1(areaPtr, steps);
    else iterate1Sha1(areaPtr, steps);
  } else {
    if (chains > 3) iterate4Sha256(areaPtr, steps);
    else iterate2Sha256(areaPtr, steps);
  }
}

/** The lanes, and half as many steps of SCALAR. */
function iterateWoven(workPtr: u32, steps: u32, chains: u32): void {
  const area = workPtr + ITERATION;
  const scalarArea = areaOf(area, SCALAR);
  if (chains == 5) iterate4Scalar(area, scalarArea, workPtr + WOVEN, steps);
  else iterate2Scalar(area, scalarArea, workPtr + WOVEN, steps);
}
