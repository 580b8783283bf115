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
 * outside its parent, end-of-contents octets where no indefinite length is open. The parser is iterative: nesting
 * costs a 16-octet entry of a caller's stack, capped at `maxDepth`; records are capped at `maxRecords`.
 *
 * Of a long input only a window lies in memory, since what is not looked at are contents: the parser answers NEED_INPUT
 * when it gets to octets outside, and goes on where it stood when it is called again. So all places are offsets in the
 * input, and `base` is what makes an address of one: the window's address less its offset, in arithmetic modulo 2^32.
 */
import { BAD_LENGTH, BAD_TAG, BAD_VALUE, NEED_INPUT, NOT_DER, OK, TOO_DEEP, TOO_MANY_RECORDS, TRAILING_DATA, TRUNCATED } from './memory';

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
 * Where the parser stands, seven u32 in memory: next octet · next record · index of that record · behind the innermost
 * open value on the stack · its end, or its parent's while its own is not known · that end, or NEVER if the length is
 * indefinite · place of the error. The usual values are walked with all of it in registers; each other one is a call.
 */
const AT: usize = 0;
const RECORD_PTR: usize = 4;
const NEXT: usize = 8;
const TOP: usize = 12;
const END: usize = 16;
const CLOSE_AT: usize = 20;
const ERROR_AT: usize = 24;

const NEVER: u32 = u32.MAX_VALUE;

/** An entry of the stack: the open value's record, its END and its CLOSE_AT. */
const OPEN: u32 = 16;

/** The longest header: 4 octets of identifier, 9 of length. */
const MAX_HEADER: u32 = 13;

/**
 * Values as DER has them: one octet of identifier, a definite length below 64 KiB in the fewest octets. Stops before any
 * other, and before an error, for parseOne to look at. Nothing is called from here, so that V8 keeps its registers.
 * @param known where what is in memory ends
 * @returns true if all is parsed
 */
function walk(state: u32, base: u32, known: u32, tapeEnd: u32, stack: u32, stackEnd: u32): bool {
  let at = load<u32>(state, AT);
  let record = load<u32>(state, RECORD_PTR);
  let next = load<u32>(state, NEXT);
  let top = load<u32>(state, TOP);
  let end = load<u32>(state, END);
  let closeAt = load<u32>(state, CLOSE_AT);
  while (true) {
    while (at == closeAt) {
      top -= OPEN;
      store<u32>(load<u32>(top), next, 12);
      if (top == stack) {
        store<u32>(state, at, AT);
        store<u32>(state, next, NEXT);
        return true;
      }
      end = load<u32>(top - OPEN, 4);
      closeAt = load<u32>(top - OPEN, 8);
    }
    if (at + 2 > end || at + 4 > known || record == tapeEnd) break;
    const pair: u32 = load<u16>(base + at);
    const identifier = pair & 0xff;
    let size = pair >> 8;
    let content = at + 2;
    if (size > 127) {
      if (size == 0x82) {
        if (at + 4 > end) break;
        const wide: u32 = load<u16>(base + at, 2);
        size = ((wide & 0xff) << 8) | (wide >> 8);
        if (size < 0x100) break;
        content = at + 4;
      } else if (size == 0x81) {
        if (at + 3 > end) break;
        size = load<u8>(base + at, 2);
        if (size < 0x80) break;
        content = at + 3;
      } else break;
    }
    if (size > end - content || (identifier & 31) == 31 || (identifier & 0xdf) == 0) break;
    const head = identifier | ((content - at) << 8) | ((identifier & 31) << 16);
    if ((identifier & 0x20) == 0) {
      ++next;
      store<u64>(record, head | (<u64>at << 32));
      at = content + size;
      store<u64>(record, at | (<u64>next << 32), 8);
    } else {
      // A constructed string is none that DER has.
      if (top == stackEnd || (identifier < 0x40 && (identifier & 0xfe) != 0x30)) break;
      ++next;
      store<u64>(record, head | (<u64>at << 32));
      at = content;
      end = content + size;
      closeAt = end;
      store<u32>(record, end, 8);
      store<u32>(top, record);
      store<u32>(top, end, 4);
      store<u32>(top, end, 8);
      top += OPEN;
    }
    record += RECORD;
  }
  store<u32>(state, at, AT);
  store<u32>(state, record, RECORD_PTR);
  store<u32>(state, next, NEXT);
  store<u32>(state, top, TOP);
  store<u32>(state, end, END);
  store<u32>(state, closeAt, CLOSE_AT);
  return false;
}

/** What is not DER in a value is not DER in all values around it. */
function markOpen(stack: u32, top: u32): void {
  while (top != stack) {
    top -= OPEN;
    const record = load<u32>(top);
    const head = load<u32>(record);
    if ((head & FLAG_NOT_DER) != 0) return; // then those around it are marked too
    store<u32>(record, head | FLAG_NOT_DER);
  }
}

/**
 * One value of any form, or the error in its place.
 * @returns a status of memory.ts; of NEED_INPUT nothing has been done
 */
function parseOne(
  state: u32, base: u32, known: u32, length: u32, tapeEnd: u32, stack: u32, stackEnd: u32, mode: u32,
): i32 {
  const start = load<u32>(state, AT);
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
  const top = load<u32>(state, TOP);
  if ((identifier & 0xdf) == 0) {
    // End-of-contents, 8.1.5.
    if (identifier != 0 || top == stack || load<u32>(state, CLOSE_AT) != NEVER) return BAD_TAG;
    if (at - start != 2 || size != 0) return BAD_LENGTH;
    store<u32>(load<u32>(top - OPEN), start, 8);
    store<u32>(state, at, AT);
    store<u32>(state, at, CLOSE_AT); // walk closes it, as it does others
    return OK;
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
  store<u32>(record, at + size, 8);
  store<u32>(record, next, 12);
  store<u32>(state, record + RECORD, RECORD_PTR);
  store<u32>(state, next, NEXT);
  if (flags != 0) markOpen(stack, top);
  if ((identifier & 0x20) == 0) {
    store<u32>(state, at + size, AT);
    return OK;
  }
  if (top == stackEnd) return TOO_DEEP;
  const indefinite = (flags & FLAG_INDEFINITE) != 0;
  const ownEnd = indefinite ? end : at + size;
  const closeAt = indefinite ? NEVER : ownEnd;
  store<u32>(top, record);
  store<u32>(top, ownEnd, 4);
  store<u32>(top, closeAt, 8);
  store<u32>(state, at, AT);
  store<u32>(state, top + OPEN, TOP);
  store<u32>(state, ownEnd, END);
  store<u32>(state, closeAt, CLOSE_AT);
  return OK;
}

/** Makes the parser stand at the start of an input of `length` octets, below 2^31. `first`: see the record's [3]. */
export function startTape(state: u32, length: u32, tape: u32, stack: u32, first: u32): void {
  store<u32>(state, 0, AT);
  store<u32>(state, tape, RECORD_PTR);
  store<u32>(state, first, NEXT);
  store<u32>(state, stack, TOP);
  store<u32>(state, length, END);
  store<u32>(state, NEVER, CLOSE_AT);
}

/**
 * Parses as far as the window goes.
 * @param state     32 octets, made by startTape. Afterwards: [0] the octet to go on with, [2] the index behind the last
 *                  record, [6] the offset of an error
 * @param base      address of the window less its offset in the input
 * @param known     offset of the window's end; all of the input in strict mode
 * @param tapeEnd   behind the room for records
 * @param stack     room for entries of 16 octets, up to `stackEnd`
 * @returns NEED_INPUT, or another status of memory.ts
 */
export function parseTape(
  state: u32, base: u32, known: u32, length: u32, tapeEnd: u32, stack: u32, stackEnd: u32, mode: u32,
): i32 {
  // In strict mode each value's content is looked at, which walk does not do: without room for records it only closes.
  const strict = (mode & MODE_STRICT) != 0;
  while (true) {
    const status = parseOne(state, base, known, length, tapeEnd, stack, stackEnd, mode);
    if (status != OK) return status;
    if (load<u32>(state, TOP) == stack) break; // the root is primitive
    if (walk(state, base, known, strict ? load<u32>(state, RECORD_PTR) : tapeEnd, stack, stackEnd)) break;
  }
  const end = load<u32>(state, AT);
  if (end < length && (mode & MODE_TRAILING) == 0) {
    store<u32>(state, end, ERROR_AT);
    return TRAILING_DATA;
  }
  return OK;
}
