/**
 * BER and DER (X.690) to a tape: one flat array of fixed records in document order, as simdjson's tape does for JSON.
 * Called through src/wasm.ts by src/asn1/tape.ts, which reads it lazily. Values are not decoded here.
 *
 * A record is four u32:
 *
 *   [0]  31..16 tag number | 13 not DER | 12 indefinite | 11..8 header length | 7..0 identifier octet
 *   [1]  offset of the identifier octet
 *   [2]  offset of the end of the content (before the end-of-contents octets, if the length is indefinite)
 *   [3]  index of the first record after this subtree, counted from `first`, the index of the root
 *
 * First child = i + 1 if i + 1 < [3]; next sibling = [3], while that lies in the parent. «Not DER» says that a
 * header in this subtree uses a form that only BER has. 30 05 02 01 07 05 00 becomes:
 *
 *   0: SEQUENCE  start 0 end 7 next 3  ·  1: INTEGER start 2 end 5 next 2  ·  2: NULL start 5 end 7 next 3
 *
 * Refused: tag numbers over 65,535, the reserved length octet 0xFF, more than 8 length octets, a value that ends
 * outside its parent, end-of-contents octets where no indefinite length is open. The parser is iterative, and needs no
 * stack: the record of a value that is still open links to the one around it (see `parent` below). Nesting is capped at
 * `maxDepth`, records at `maxRecords`.
 *
 * Many short inputs are parsed in one call (parseTapes). Of a long input only a window lies in memory, since what is not
 * looked at are contents: the parser answers NEED_INPUT when it gets to octets outside, and goes on where it stood when
 * it is called again. So all places are offsets in the input, and `base` is what makes an address of one: the window's
 * address less its offset, in arithmetic modulo 2^32.
 */
import {
  BAD_LENGTH, BAD_TAG, BAD_VALUE, giveBack, NEED_INPUT, NOT_DER, OK, TOO_DEEP, TOO_MANY_RECORDS, TRAILING_DATA, TRUNCATED,
  wipe,
} from './memory';

const RECORD: u32 = 16;
const FLAG_INDEFINITE: u32 = 1 << 12;
const FLAG_NOT_DER: u32 = 1 << 13;

/** Mode bits: refuse all that only BER has; allow octets after the first value. */
const MODE_STRICT: u32 = 1;
const MODE_TRAILING: u32 = 2;

/** Universal types that DER wants primitive but BER allows to be cut into segments: X.690 8.6.4, 8.7.3, 8.23, 8.25, 8.26. */
const SEGMENTABLE: u32 =
  (1 << 3) | (1 << 4) | (1 << 7) | (1 << 12) | (1 << 18) | (1 << 19) | (1 << 20) | (1 << 21) | (1 << 22) |
  (1 << 23) | (1 << 24) | (1 << 25) | (1 << 26) | (1 << 27) | (1 << 28) | (1 << 30);

/** The content rules of DER that need no schema: BOOLEAN 11.1, INTEGER and ENUMERATED 8.3.2, NULL 8.8.2, BIT STRING 11.2. */
// @ts-ignore: decorator
@inline
function checkContent(tag: u32, start: u32, length: u32): i32 {
  switch (tag) {
    case 1:
      if (length != 1) return BAD_VALUE;
      return load<u8>(start) == 0 || load<u8>(start) == 0xff ? OK : NOT_DER;
    case 2:
    case 10:
      if (length == 0) return BAD_VALUE;
      if (length == 1) return OK;
      const lead = load<u8>(start);
      const sign = load<u8>(start + 1) >> 7;
      return (lead == 0 && sign == 0) || (lead == 0xff && sign == 1) ? BAD_VALUE : OK;
    case 3:
      if (length == 0) return BAD_VALUE;
      const unused: u32 = load<u8>(start);
      if (unused > 7 || (length == 1 && unused != 0)) return BAD_VALUE;
      return length > 1 && (<u32>load<u8>(start + length - 1) & ((1 << unused) - 1)) != 0 ? NOT_DER : OK;
    case 5:
      return length == 0 ? OK : BAD_VALUE;
    default:
      return OK;
  }
}

/**
 * Where the parser stands, in memory: next octet · next record · index of that record · record of the innermost open
 * value, 0 if none is · its end, or that of the value around it while its own is not known · how much deeper nesting may
 * get · place of the error · two parameters of walk. The usual values are walked with what they need in registers; each
 * other one is a call.
 *
 * While a value is open, [2] of its record is the END of its state and [3] is the record of the value around it.
 */
const AT: usize = 0;
const RECORD_PTR: usize = 4;
const NEXT: usize = 8;
const PARENT: usize = 12;
const END: usize = 16;
const DEPTH: usize = 20;
const ERROR_AT: usize = 24;
const LAST_AT: usize = 28;
const TAPE_END: usize = 32;

/** The longest header: 4 octets of identifier, 9 of length. */
const MAX_HEADER: u32 = 13;

/** walk loads the four octets at any place up to the end of an input: the last three may lie behind it. */
const HEADER_LOAD: u32 = 4;

/**
 * For each identifier octet the first word of a record but for the header's length; 0 if walk must stop there: tag
 * numbers above 30, end-of-contents, and constructed strings, which DER does not have.
 */
const HEADS: u32 = <u32>memory.data(1024);
for (let identifier: u32 = 0; identifier < 256; ++identifier) {
  const tag = identifier & 31;
  const usual = identifier < 0x40 && (identifier & 0x20) != 0 ? tag == 16 || tag == 17 : (identifier & 0xdf) != 0 && tag != 31;
  store<u32>(HEADS + (identifier << 2), usual ? identifier | (tag << 16) : 0);
}

/** Not a status that leaves this file: the root is closed. */
const DONE: i32 = -1;

/**
 * Values as DER has them: one octet of identifier, a definite length below 64 KiB in the fewest octets. Stops before any
 * other, and before an error, for parseOne to look at. How fast it is depends on how many instructions a value takes, and
 * on V8 keeping what they use in registers: so nothing is called from here, one comparison does for the ends of memory
 * and of the tape, and what is rarely used lies in memory.
 * @param lastAt the last place from which four octets can be loaded
 * @returns true if the root is closed
 */
function walk(state: u32, base: u32, lastAt: u32, tapeEnd: u32): bool {
  store<u32>(state, lastAt, LAST_AT);
  store<u32>(state, tapeEnd, TAPE_END);
  let at = load<u32>(state, AT);
  let record = load<u32>(state, RECORD_PTR);
  let next = load<u32>(state, NEXT);
  let parent = load<u32>(state, PARENT);
  let end = load<u32>(state, END);
  let depth = load<u32>(state, DEPTH);
  let safe: u32 = 0;
  while (true) {
    if (at >= safe) {
      // Values that begin before `safe` have room for their records, of 16 octets: each takes two octets at least.
      safe = at + ((load<u32>(state, TAPE_END) - record) >> 3);
      const behind = load<u32>(state, LAST_AT) + 1;
      if (safe > behind) safe = behind;
      if (at >= safe) break;
    }
    const header = load<u32>(base + at);
    let size = (header >> 8) & 0xff;
    let content = at + 2;
    if (size > 127) {
      if (size == 0x82) {
        size = ((header >> 8) & 0xff00) | (header >> 24);
        if (size < 0x100) break;
        content = at + 4;
      } else if (size == 0x81) {
        size = (header >> 16) & 0xff;
        if (size < 0x80) break;
        content = at + 3;
      } else break;
    }
    const ends = content + size;
    if (ends > end) {
      if (at != end || (load<u32>(parent) & FLAG_INDEFINITE) != 0) break;
      // What was read lies behind the values that end here: it is in one around them.
      do {
        const around = load<u32>(parent, 12);
        store<u32>(parent, next, 12);
        parent = around;
        ++depth;
        if (around == 0) {
          store<u32>(state, at, AT);
          store<u32>(state, record, RECORD_PTR);
          store<u32>(state, next, NEXT);
          return true;
        }
        end = load<u32>(around, 8);
      } while (at == end && (load<u32>(parent) & FLAG_INDEFINITE) == 0);
      if (ends > end) break;
    }
    const kind = load<u32>(HEADS + ((header & 0xff) << 2));
    if (kind == 0) break;
    const head = kind | ((content - at) << 8);
    if ((kind & 0x20) == 0) {
      ++next;
      store<u32>(record, head);
      store<u32>(record, at, 4);
      store<u32>(record, ends, 8);
      store<u32>(record, next, 12);
      at = ends;
    } else {
      if (depth == 0) break;
      --depth;
      ++next;
      store<u32>(record, head);
      store<u32>(record, at, 4);
      store<u32>(record, ends, 8);
      store<u32>(record, parent, 12);
      parent = record;
      end = ends;
      at = content;
    }
    record += RECORD;
  }
  store<u32>(state, at, AT);
  store<u32>(state, record, RECORD_PTR);
  store<u32>(state, next, NEXT);
  store<u32>(state, parent, PARENT);
  store<u32>(state, end, END);
  store<u32>(state, depth, DEPTH);
  return false;
}

/**
 * Headers of indefinite length and end-of-contents octets, as many as follow each other: BER writers nest them. In walk
 * they would cost it registers. The first one, which marks what is around it as not DER, the end of the root and errors
 * are left to parseOne. Without a parent, the octets at 0 are taken for its record: they are zero.
 * @returns whether there was any
 */
function walkIndefinite(state: u32, base: u32, lastAt: u32, tapeEnd: u32): bool {
  const start = load<u32>(state, AT);
  let at = start;
  let record = load<u32>(state, RECORD_PTR);
  let next = load<u32>(state, NEXT);
  let parent = load<u32>(state, PARENT);
  let end = load<u32>(state, END);
  let depth = load<u32>(state, DEPTH);
  while (at <= lastAt && at + 2 <= end) {
    const open = load<u32>(parent);
    const header: u32 = load<u16>(base + at);
    if (header == 0) {
      const around = load<u32>(parent, 12);
      if ((open & FLAG_INDEFINITE) == 0 || around == 0) break;
      store<u32>(parent, at, 8);
      store<u32>(parent, next, 12);
      parent = around;
      end = load<u32>(around, 8);
      ++depth;
    } else {
      const kind = load<u32>(HEADS + ((header & 0xff) << 2));
      const usual = header >> 8 == 0x80 && (kind & 0x20) != 0 && (open & FLAG_NOT_DER) != 0;
      if (!usual || depth == 0 || record == tapeEnd) break;
      ++next;
      --depth;
      store<u32>(record, kind | 0x200 | FLAG_INDEFINITE | FLAG_NOT_DER);
      store<u32>(record, at, 4);
      store<u32>(record, end, 8);
      store<u32>(record, parent, 12);
      parent = record;
      record += RECORD;
    }
    at += 2;
  }
  if (at == start) return false;
  store<u32>(state, at, AT);
  store<u32>(state, record, RECORD_PTR);
  store<u32>(state, next, NEXT);
  store<u32>(state, parent, PARENT);
  store<u32>(state, end, END);
  store<u32>(state, depth, DEPTH);
  return true;
}

/** What is not DER in a value is not DER in all values around it. */
function markOpen(parent: u32): void {
  while (parent != 0) {
    const head = load<u32>(parent);
    if ((head & FLAG_NOT_DER) != 0) return; // then those around it are marked too
    store<u32>(parent, head | FLAG_NOT_DER);
    parent = load<u32>(parent, 12);
  }
}

/** Closes the innermost value. @returns DONE if it was the root */
function close(state: u32, length: u32): i32 {
  const record = load<u32>(state, PARENT);
  const around = load<u32>(record, 12);
  store<u32>(record, load<u32>(state, NEXT), 12);
  store<u32>(state, around, PARENT);
  store<u32>(state, load<u32>(state, DEPTH) + 1, DEPTH);
  store<u32>(state, around == 0 ? length : load<u32>(around, 8), END);
  return around == 0 ? DONE : OK;
}

/**
 * One value of any form, or the error in its place; first, the values of definite length that end before it.
 * @returns a status of memory.ts, of NEED_INPUT no value has been read; or DONE
 */
function parseOne(state: u32, base: u32, known: u32, length: u32, tapeEnd: u32, mode: u32): i32 {
  const start = load<u32>(state, AT);
  let parent = load<u32>(state, PARENT);
  while (parent != 0 && start == load<u32>(state, END) && (load<u32>(parent) & FLAG_INDEFINITE) == 0) {
    if (close(state, length) == DONE) return DONE;
    parent = load<u32>(state, PARENT);
  }
  const end = load<u32>(state, END);
  const ends = end == length ? TRUNCATED : BAD_LENGTH;
  if (known < length && start + MAX_HEADER > known) return NEED_INPUT;
  let at = start;

  // Identifier octets, 8.1.2.
  store<u32>(state, at, ERROR_AT);
  if (at >= end) return ends;
  const identifier: u32 = load<u8>(base + at++);
  let tag = identifier & 31;
  if (tag == 31) {
    tag = 0;
    let octet: u32 = 0;
    let octets: u32 = 0;
    do {
      store<u32>(state, at, ERROR_AT);
      if (at >= end) return ends;
      octet = load<u8>(base + at++);
      tag = (tag << 7) | (octet & 127);
      // 8.1.2.4.2 c): no leading zeros; three octets hold more than the 16 bits that a record has.
      if ((octets == 0 && octet == 0x80) || ++octets > 3 || tag > 0xffff) return BAD_TAG;
    } while (octet > 127);
    if (tag < 31) return BAD_TAG;
  }

  // Length octets, 8.1.3.
  store<u32>(state, at, ERROR_AT);
  if (at >= end) return ends;
  let size: u32 = load<u8>(base + at++);
  let flags: u32 = 0;
  if (size == 0x80) {
    if ((identifier & 0x20) == 0) return BAD_LENGTH; // 8.1.3.2 a): primitive is definite
    flags = FLAG_INDEFINITE | FLAG_NOT_DER;
    size = 0;
  } else if (size > 0x80) {
    let octets = size & 127;
    if (octets > 8) return BAD_LENGTH; // 0xFF is reserved; more than 8 never carries a length
    if (octets > end - at) return ends;
    let wide: u64 = 0;
    const leading = load<u8>(base + at);
    while (octets-- != 0) wide = (wide << 8) | load<u8>(base + at++);
    if (leading == 0 || wide < 128) flags = FLAG_NOT_DER; // 10.1: the fewest octets
    store<u32>(state, start, ERROR_AT);
    if (wide > u32.MAX_VALUE) return TRUNCATED;
    size = <u32>wide;
  }

  store<u32>(state, start, ERROR_AT);
  if ((identifier & 0xdf) == 0) {
    // End-of-contents, 8.1.5.
    if (identifier != 0 || parent == 0 || (load<u32>(parent) & FLAG_INDEFINITE) == 0) return BAD_TAG;
    if (at - start != 2 || size != 0) return BAD_LENGTH;
    store<u32>(parent, start, 8);
    store<u32>(state, at, AT);
    return close(state, length);
  }
  if (size > end - at) return size > length - at ? TRUNCATED : BAD_LENGTH;
  if (identifier < 0x40 && (identifier & 0x20) != 0 && tag < 31 && ((SEGMENTABLE >> tag) & 1) != 0) {
    flags |= FLAG_NOT_DER;
  }
  if ((mode & MODE_STRICT) != 0) {
    if (flags != 0) return NOT_DER;
    if (identifier < 31) {
      const status = checkContent(identifier, base + at, size);
      if (status != OK) return status;
    }
  }

  const record = load<u32>(state, RECORD_PTR);
  const next = load<u32>(state, NEXT) + 1;
  if (record == tapeEnd) return TOO_MANY_RECORDS;
  store<u32>(record, identifier | ((at - start) << 8) | flags | (tag << 16));
  store<u32>(record, start, 4);
  store<u32>(state, record + RECORD, RECORD_PTR);
  store<u32>(state, next, NEXT);
  if (flags != 0) markOpen(parent);
  if ((identifier & 0x20) == 0) {
    store<u32>(record, at + size, 8);
    store<u32>(record, next, 12);
    store<u32>(state, at + size, AT);
    return parent == 0 ? DONE : OK;
  }
  const depth = load<u32>(state, DEPTH);
  if (depth == 0) return TOO_DEEP;
  const ownEnd = (flags & FLAG_INDEFINITE) != 0 ? end : at + size;
  store<u32>(record, ownEnd, 8);
  store<u32>(record, parent, 12);
  store<u32>(state, at, AT);
  store<u32>(state, record, PARENT);
  store<u32>(state, ownEnd, END);
  store<u32>(state, depth - 1, DEPTH);
  return OK;
}

/** Makes the parser stand at the start of an input of `length` octets, below 2^31. `first`: see the record's [3]. */
export function startTape(state: u32, length: u32, tape: u32, first: u32, maxDepth: u32): void {
  store<u32>(state, 0, AT);
  store<u32>(state, tape, RECORD_PTR);
  store<u32>(state, first, NEXT);
  store<u32>(state, 0, PARENT);
  store<u32>(state, length, END);
  store<u32>(state, maxDepth, DEPTH);
}

/** As parseTape, whatever lies behind the room for records. */
function parse(state: u32, base: u32, known: u32, length: u32, tapeEnd: u32, mode: u32): i32 {
  // In strict mode each value's content is looked at, which walk does not do; and it can't have a primitive root.
  const usual = (mode & MODE_STRICT) == 0;
  const lastAt = known < length ? known - HEADER_LOAD : known;
  const constructed = length != 0 && (load<u8>(base + load<u32>(state, AT)) & 0x20) != 0;
  let closed = usual && constructed && walk(state, base, lastAt, tapeEnd);
  while (!closed) {
    if (!usual || !walkIndefinite(state, base, lastAt, tapeEnd)) {
      const status = parseOne(state, base, known, length, tapeEnd, mode);
      if (status == DONE) break;
      if (status != OK) return status;
    }
    closed = usual && walk(state, base, lastAt, tapeEnd);
  }
  const end = load<u32>(state, AT);
  if (end < length && (mode & MODE_TRAILING) == 0) {
    store<u32>(state, end, ERROR_AT);
    return TRAILING_DATA;
  }
  return OK;
}

/**
 * Parses as far as the window goes.
 * @param state   36 octets, made by startTape. Afterwards: [0] the octet to go on with, [2] the index behind the last
 *                record, [6] the offset of an error
 * @param base    address of the window less its offset in the input; HEADER_LOAD octets behind it can be read
 * @param known   offset of the window's end; all of the input in strict mode
 * @param tapeEnd behind the room for records; what is reserved from there on is the input's. At the end that is wiped, and
 *                the room that was not used is given back: it could be generous
 * @returns NEED_INPUT, or another status of memory.ts
 */
export function parseTape(state: u32, base: u32, known: u32, length: u32, tapeEnd: u32, mode: u32): i32 {
  const status = parse(state, base, known, length, tapeEnd, mode);
  if (status != NEED_INPUT) {
    wipe(tapeEnd);
    giveBack(load<u32>(state, RECORD_PTR));
  }
  return status;
}

/** A job of parseTapes: address and length of the input; afterwards status, offset of an error, index of the root. */
const JOB: u32 = 12;

/**
 * Parses inputs that lie in memory as a whole, each on its own, to one tape. What one that is refused had on the tape is
 * overwritten.
 * @param state      36 octets of work area. Afterwards: [2] the index behind the last record
 * @param jobs       `count` of 12 octets each
 * @param tapeEnd    as for parseTape
 * @param maxRecords for each input, at most 2^26
 * @returns how many jobs are done: fewer than `count` if the records of the next one did not fit
 */
export function parseTapes(
  state: u32, jobs: u32, count: u32, tape: u32, tapeEnd: u32, first: u32, maxDepth: u32, maxRecords: u32, mode: u32,
): u32 {
  let record = tape;
  let next = first;
  let written = tape;
  let done: u32 = 0;
  for (let job = jobs; done < count; job += JOB, ++done) {
    const length = load<u32>(job, 4);
    const capped = record + maxRecords * RECORD;
    const roomEnd = capped < tapeEnd ? capped : tapeEnd;
    startTape(state, length, record, next, maxDepth);
    const status = parse(state, load<u32>(job), length, length, roomEnd, mode);
    const recordEnd = load<u32>(state, RECORD_PTR);
    if (recordEnd > written) written = recordEnd;
    if (status == TOO_MANY_RECORDS && roomEnd != capped) break;
    store<u32>(job, status);
    store<u32>(job, load<u32>(state, ERROR_AT), 4);
    store<u32>(job, next, 8);
    if (status == OK) {
      record = recordEnd;
      next = load<u32>(state, NEXT);
    }
  }
  store<u32>(state, next, NEXT);
  wipe(tapeEnd);
  giveBack(written);
  return done;
}
