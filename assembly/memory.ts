/**
 * The memory map, and the one piece of module state: the arena pointer. Called by JavaScript (src/wasm.ts) around
 * every job; the kernels take pointers and never allocate.
 *
 *   0        1,024              __heap_base                       memory.size()
 *   | unused | constant tables   | arena: reserve() ->  | free     |
 *
 * A call is: base = reserve(0) · p = reserve(n)… · kernel(p…) · wipe(base), the last on failure too, so that no
 * secret stays behind. Between calls the whole arena reads as zero.
 */

/** Alignment of every reservation: one v128. */
const ALIGN: u32 = 16;
const PAGE: u32 = 65536;

let arenaEnd: u32 = <u32>__heap_base;

/** Reserves `size` octets, 16-aligned. 0 if memory is exhausted. Grows memory, which detaches JavaScript's views. */
export function reserve(size: u32): u32 {
  const start = (arenaEnd + ALIGN - 1) & ~(ALIGN - 1);
  const end = <u64>start + size;
  const pages = <u64>memory.size();
  const wanted = (end + PAGE - 1) / PAGE;
  if (wanted > pages) {
    if (wanted > 65535 || memory.grow(<i32>(wanted - pages)) < 0) return 0;
  }
  arenaEnd = <u32>end;
  return start;
}

/** Gives back what is reserved from `end` on, which nothing was written to: generous room must not cost wiping it. */
export function giveBack(end: u32): void {
  arenaEnd = end;
}

/** Zeroes everything reserved since `base` and gives it back. */
export function wipe(base: u32): void {
  if (base < arenaEnd) memory.fill(base, 0, arenaEnd - base);
  arenaEnd = base;
}

/** Whether all of `ptr`, `length` lies in what is reserved: the check of every pointer that a job table brings. */
export function contains(ptr: u32, length: u32): bool {
  return ptr >= <u32>__heap_base && <u64>ptr + length <= <u64>arenaEnd;
}

// Status codes: what every kernel returns. 0 is success. src/wasm.ts turns the others into coded errors.
export const OK: i32 = 0;
// tape.ts; the offset of an error stands in its state
export const TRUNCATED: i32 = 1;
export const BAD_TAG: i32 = 2;
export const BAD_LENGTH: i32 = 3;
export const NOT_DER: i32 = 4;
export const TRAILING_DATA: i32 = 5;
export const TOO_DEEP: i32 = 6;
export const TOO_MANY_RECORDS: i32 = 7;
export const BAD_VALUE: i32 = 8;
export const NEED_INPUT: i32 = 9; // not an error: call again with the next window
// pfx.ts, one per job
export const MAC_MISMATCH: i32 = 16;
export const BAD_PADDING: i32 = 17;
export const BAD_JOB: i32 = 18;
/** The kernel's own work area does not fit in memory; nothing was done. */
export const OUT_OF_MEMORY: i32 = 19;
