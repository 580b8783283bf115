/**
 * The job table of PFX decoding: derives keys, checks MACs, decrypts, in one call for any number of files. Called
 * through src/wasm.ts by src/pfx; which jobs there are, their limits and what their results mean is decided there.
 *
 * Three arrays of records, each field a u32; what their pointers lead to lies in the arena behind all three.
 * Derivations come with the longest first, as lanes.ts wants them; a job names them by their index.
 *
 *   derivation (44 octets)  derivation.ts
 *   MAC (28)         0 hash | 4 derivation of the key | 8 data | 12 its length | 16 expected | 20 its length | 24 status
 *   decryption (40)  0 cipher | 4 derivation of the key | 8 derivation of the IV, or NONE | 12 IV, if NONE
 *                   16 effective key bits (RC2) | 20 data | 24 its length | 28 output | 32 its length (written)
 *                   36 status
 *
 * Status: OK; MAC_MISMATCH; BAD_PADDING, which is also what data that are not whole blocks have; BAD_JOB, for a record
 * that names what does not exist or leads into the table or out of the arena. The jobs are independent: that a MAC fails stops nothing,
 * since the caller wants to tell a wrong password from a changed file. Output may be the data itself.
 */
import { AES_SIZE, decryptAes } from './aes';
import { behind, checkDerivation, DERIVATION_SIZE, outputLenOf, outputOf, statusOf } from './derivation';
import { decryptDes, DES_SIZE } from './des';
import { digestLength, RESULT, SHA1, SHA256, writeDigest } from './hashx4';
import { hmac4, HMAC_SIZE, setRequest } from './hmac';
import { bufferLen, derive4, lanesSize } from './lanes';
import { BAD_JOB, BAD_PADDING, contains, MAC_MISMATCH, OK, OUT_OF_MEMORY, reserve } from './memory';
import { decryptRc2, RC2_SIZE } from './rc2';
import { decryptRc4, RC4_SIZE } from './rc4';

const MAC_SIZE: u32 = 28;
const DECRYPTION_SIZE: u32 = 40;
const NONE: u32 = 0xffffffff;

const TRIPLE_DES: u32 = 1;
const DES: u32 = 2;
const RC2: u32 = 3;
const RC4: u32 = 4;
const AES: u32 = 5;

const CIPHER_SIZE: u32 = max(max(AES_SIZE, DES_SIZE), max(RC2_SIZE, RC4_SIZE));

/**
 * Runs a job table.
 * @returns OK, with a status in each record; BAD_JOB if an array itself leads out of the arena; OUT_OF_MEMORY
 */
export function runJobs(
  derivationsPtr: u32, derivations: u32, macsPtr: u32, macs: u32, decryptionsPtr: u32, decryptions: u32,
): i32 {
  if (
    !containsArray(derivationsPtr, derivations, DERIVATION_SIZE) ||
    !containsArray(macsPtr, macs, MAC_SIZE) ||
    !containsArray(decryptionsPtr, decryptions, DECRYPTION_SIZE)
  ) return BAD_JOB;

  // All pointers are checked before the work area is reserved, so that no job may lead into it.
  const tableEnd = max(
    max(derivationsPtr + derivations * DERIVATION_SIZE, macsPtr + macs * MAC_SIZE),
    decryptionsPtr + decryptions * DECRYPTION_SIZE,
  );
  for (let i: u32 = 0; i < derivations; ++i) checkDerivation(derivationsPtr + i * DERIVATION_SIZE, tableEnd);
  for (let i: u32 = 0; i < macs; ++i) checkMac(macsPtr + i * MAC_SIZE, tableEnd, derivationsPtr, derivations);
  for (let i: u32 = 0; i < decryptions; ++i) {
    checkDecryption(decryptionsPtr + i * DECRYPTION_SIZE, tableEnd, derivationsPtr, derivations);
  }
  const buffer = bufferLen(derivationsPtr, derivations);
  const size = max<u64>(lanesSize(buffer), CIPHER_SIZE);
  const work = size < NONE ? reserve(<u32>size) : 0;
  if (work == 0) return OUT_OF_MEMORY;

  derive4(SHA1, work, buffer, derivationsPtr, derivations);
  derive4(SHA256, work, buffer, derivationsPtr, derivations);
  runMacs(SHA1, work, derivationsPtr, macsPtr, macs);
  runMacs(SHA256, work, derivationsPtr, macsPtr, macs);
  for (let i: u32 = 0; i < decryptions; ++i) {
    const job = decryptionsPtr + i * DECRYPTION_SIZE;
    if (load<i32>(job, 36) == OK) store<i32>(job, decrypt(job, work, derivationsPtr), 36);
  }
  return OK;
}

function containsArray(ptr: u32, count: u32, size: u32): bool {
  return count == 0 || (<u64>count * size < NONE && contains(ptr, count * size));
}

/** The record of a derivation that can be run, or 0. */
function derivationAt(derivationsPtr: u32, derivations: u32, index: u32): u32 {
  if (index >= derivations) return 0;
  const at = derivationsPtr + index * DERIVATION_SIZE;
  return statusOf(at) == OK ? at : 0;
}

/** Sets the record's status to OK or BAD_JOB. */
function checkMac(job: u32, tableEnd: u32, derivationsPtr: u32, derivations: u32): void {
  const good =
    (load<u32>(job) == SHA1 || load<u32>(job) == SHA256) &&
    derivationAt(derivationsPtr, derivations, load<u32>(job, 4)) != 0 &&
    behind(tableEnd, load<u32>(job, 8), load<u32>(job, 12)) &&
    behind(tableEnd, load<u32>(job, 16), load<u32>(job, 20));
  store<i32>(job, good ? OK : BAD_JOB, 24);
}

/** All MACs with one hash, four at a time. */
function runMacs(hash: u32, workPtr: u32, derivationsPtr: u32, macsPtr: u32, macs: u32): void {
  const end = macsPtr + macs * MAC_SIZE;
  const size = digestLength(hash);
  const computed = workPtr + HMAC_SIZE;
  for (let next = macsPtr; next < end; ) {
    // The jobs of this round stand in four words behind the digest.
    const jobs = computed + 32;
    let lanes: u32 = 0;
    for (let lane: u32 = 0; lane < 4 && next < end; next += MAC_SIZE) {
      if (load<u32>(next) != hash || load<i32>(next, 24) != OK) continue;
      const key = derivationsPtr + load<u32>(next, 4) * DERIVATION_SIZE;
      setRequest(workPtr, lane, outputOf(key), outputLenOf(key), load<u32>(next, 8), load<u32>(next, 12));
      store<u32>(jobs + lane * 4, next);
      lanes |= 1 << lane;
      ++lane;
    }
    if (lanes == 0) return;
    hmac4(hash, workPtr, lanes);
    for (let lane: u32 = 0; lane < 4; ++lane) {
      if (!(lanes & (1 << lane))) continue;
      const job = load<u32>(jobs + lane * 4);
      writeDigest(workPtr + RESULT, lane, computed, size);
      store<i32>(job, compare(computed, size, load<u32>(job, 16), load<u32>(job, 20)), 24);
    }
  }
}

/** In time that depends on the lengths only. */
function compare(computedPtr: u32, size: u32, expectedPtr: u32, expectedLen: u32): i32 {
  if (expectedLen != size) return MAC_MISMATCH;
  let difference: u32 = 0;
  for (let i: u32 = 0; i < size; ++i) difference |= load<u8>(computedPtr + i) ^ load<u8>(expectedPtr + i);
  return difference == 0 ? OK : MAC_MISMATCH;
}

/** The block of a block cipher, in octets. */
function blockOf(cipher: u32): u32 {
  return cipher == AES ? 16 : 8;
}

/** Whether a cipher takes a key of this length, and RC2 this number of effective bits. */
function takesKey(cipher: u32, keyLen: u32, bits: u32): bool {
  switch (cipher) {
    case TRIPLE_DES: return keyLen == 16 || keyLen == 24;
    case DES: return keyLen == 8;
    case RC2: return keyLen <= 128 && bits - 1 < 1024;
    case RC4: return keyLen <= 256;
    case AES: return keyLen == 16 || keyLen == 24 || keyLen == 32;
    default: return false;
  }
}

/** Sets the record's status to OK or BAD_JOB, the length of its output to 0, and its IV to where that is. */
function checkDecryption(job: u32, tableEnd: u32, derivationsPtr: u32, derivations: u32): void {
  const cipher = load<u32>(job);
  const length = load<u32>(job, 24);
  const key = derivationAt(derivationsPtr, derivations, load<u32>(job, 4));
  let good =
    key != 0 &&
    takesKey(cipher, outputLenOf(key), load<u32>(job, 16)) &&
    behind(tableEnd, load<u32>(job, 20), length) &&
    behind(tableEnd, load<u32>(job, 28), length);
  if (good && cipher != RC4) {
    const block = blockOf(cipher);
    if (load<u32>(job, 8) != NONE) {
      const iv = derivationAt(derivationsPtr, derivations, load<u32>(job, 8));
      good = iv != 0 && outputLenOf(iv) == block;
      if (good) store<u32>(job, outputOf(iv), 12);
    } else {
      good = behind(tableEnd, load<u32>(job, 12), block);
    }
  }
  store<u32>(job, 0, 32);
  store<i32>(job, good ? OK : BAD_JOB, 36);
}

/** Runs one decryption job. Returns its status. */
function decrypt(job: u32, workPtr: u32, derivationsPtr: u32): i32 {
  const cipher = load<u32>(job);
  const keyRecord = derivationsPtr + load<u32>(job, 4) * DERIVATION_SIZE;
  const key = outputOf(keyRecord);
  const keyLen = outputLenOf(keyRecord);
  const iv = load<u32>(job, 12);
  const data = load<u32>(job, 20);
  const length = load<u32>(job, 24);
  const output = load<u32>(job, 28);

  if (cipher == RC4) {
    decryptRc4(key, keyLen, data, length, output, workPtr);
    store<u32>(job, length, 32);
    return OK;
  }
  const block = blockOf(cipher);
  if (length == 0 || length % block != 0) return BAD_PADDING;
  if (cipher == AES) decryptAes(key, keyLen, iv, data, length, output, workPtr);
  else if (cipher == RC2) decryptRc2(key, keyLen, load<u32>(job, 16), iv, data, length, output, workPtr);
  else decryptDes(key, keyLen, iv, data, length, output, workPtr);

  const padding = paddingLength(output + length, block);
  if (padding == 0) return BAD_PADDING;
  store<u32>(job, length - padding, 32);
  return OK;
}

/** Octets of PKCS#7 padding (RFC 8018 section 6.1.1) before `end`, 0 if it is not right. */
function paddingLength(end: u32, block: u32): u32 {
  const padding: u32 = load<u8>(end - 1);
  if (padding == 0 || padding > block) return 0;
  for (let at = end - padding; at < end; ++at) if (load<u8>(at) != padding) return 0;
  return padding;
}
