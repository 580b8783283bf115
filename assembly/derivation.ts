/**
 * The record of one key derivation in the job table (pfx.ts draws the table), and its check. Read by lanes.ts,
 * pkcs12kdf.ts and pbkdf2.ts; what it derives is used by the MAC and decryption jobs.
 *
 *    0 kdf | 4 hash | 8 password | 12 its length | 16 salt | 20 its length | 24 iterations
 *   28 id (PKCS#12: 1 key, 2 IV, 3 MAC) | 32 output | 36 its length | 40 status
 */
import { BAD_JOB, contains, OK } from './memory';
import { SHA1, SHA256 } from './hashx4';

export const DERIVATION_SIZE: u32 = 44;
export const PKCS12: u32 = 1;
export const PBKDF2: u32 = 2;

/** So that steps, two an iteration, are counted in 32 bits. */
const MAX_ITERATIONS: u32 = 0x7fffffff;
/** So that no sum of lengths below wraps. */
const MAX_LENGTH: u32 = 1 << 24;

// @ts-ignore: decorator
@inline
export function kdfOf(ptr: u32): u32 { return load<u32>(ptr); }
// @ts-ignore: decorator
@inline
export function hashOf(ptr: u32): u32 { return load<u32>(ptr, 4); }
// @ts-ignore: decorator
@inline
export function passwordOf(ptr: u32): u32 { return load<u32>(ptr, 8); }
// @ts-ignore: decorator
@inline
export function passwordLenOf(ptr: u32): u32 { return load<u32>(ptr, 12); }
// @ts-ignore: decorator
@inline
export function saltOf(ptr: u32): u32 { return load<u32>(ptr, 16); }
// @ts-ignore: decorator
@inline
export function saltLenOf(ptr: u32): u32 { return load<u32>(ptr, 20); }
// @ts-ignore: decorator
@inline
export function iterationsOf(ptr: u32): u32 { return load<u32>(ptr, 24); }
// @ts-ignore: decorator
@inline
export function idOf(ptr: u32): u32 { return load<u32>(ptr, 28); }
// @ts-ignore: decorator
@inline
export function outputOf(ptr: u32): u32 { return load<u32>(ptr, 32); }
// @ts-ignore: decorator
@inline
export function outputLenOf(ptr: u32): u32 { return load<u32>(ptr, 36); }
// @ts-ignore: decorator
@inline
export function statusOf(ptr: u32): i32 { return load<i32>(ptr, 40); }

/** Whether all of `ptr`, `length` lies in the arena, behind the job table: no job may write over a record. */
export function behind(tableEnd: u32, ptr: u32, length: u32): bool {
  return ptr >= tableEnd && contains(ptr, length);
}

/** Sets the record's status: OK, or BAD_JOB if it says what can't be done or points into the table or out of the arena. */
export function checkDerivation(ptr: u32, tableEnd: u32): void {
  const good =
    (kdfOf(ptr) == PKCS12 ? idOf(ptr) - 1 < 3 : kdfOf(ptr) == PBKDF2) &&
    (hashOf(ptr) == SHA1 || hashOf(ptr) == SHA256) &&
    iterationsOf(ptr) - 1 < MAX_ITERATIONS &&
    outputLenOf(ptr) - 1 < MAX_LENGTH &&
    passwordLenOf(ptr) < MAX_LENGTH &&
    saltLenOf(ptr) < MAX_LENGTH &&
    behind(tableEnd, passwordOf(ptr), passwordLenOf(ptr)) &&
    behind(tableEnd, saltOf(ptr), saltLenOf(ptr)) &&
    behind(tableEnd, outputOf(ptr), outputLenOf(ptr));
  store<i32>(ptr, good ? OK : BAD_JOB, 40);
}
