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
 */
import { BAD_LENGTH, BAD_TAG, BAD_VALUE, NOT_DER, OK, TOO_DEEP, TOO_MANY_RECORDS, TRAILING_DATA, TRUNCATED } from './memory';

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
function checkContent(tag: u32, start: u32, end: u32): i32 {
  const length = end - start;
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
      return length > 1 && (<u32>load<u8>(end - 1) & ((1 << unused) - 1)) != 0 ? NOT_DER : OK;
    case 5:
      return length == 0 ? OK : BAD_VALUE;
    default:
      return OK;
  }
}

/**
 * Where the parser stands, six u32 in memory: next octet · next record · index of that record · behind the innermost
 * open value on the stack · its end, or its parent's while its own is not known · that end, or 0 if the length is
 * indefinite. The usual values are walked with all of it in registers; each other one is a call.
 */
const AT: usize = 0;
const RECORD_PTR: usize = 4;
const NEXT: usize = 8;
const TOP: usize = 12;
const END: usize = 16;
const CLOSE_AT: usize = 20;

/** An entry of the stack: the open value's record, its END and its CLOSE_AT. */
const OPEN: u32 = 16;

/** walk's other answer: all is parsed. */
const ONE_MORE: bool = false;
const DONE: bool = true;

/**
 * Values as DER has them: one octet of identifier, a definite length below 64 KiB in the fewest octets. Stops before any
 * other, and before an error, for parseOne to look at. Nothing is called from here, so that V8 keeps its registers.
 */
function walk(state: u32, input: u32, tapeEnd: u32, stack: u32, stackEnd: u32): bool {
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
        return DONE;
      }
      end = load<u32>(top - OPEN, 4);
      closeAt = load<u32>(top - OPEN, 8);
    }
    if (at + 2 > end || record == tapeEnd) break;
    const pair: u32 = load<u16>(at);
    const identifier = pair & 0xff;
    let size = pair >> 8;
    let content = at + 2;
    if (size > 127) {
      if (size == 0x82) {
        if (at + 4 > end) break;
        const wide: u32 = load<u16>(at, 2);
        size = ((wide & 0xff) << 8) | (wide >> 8);
        if (size < 0x100) break;
        content = at + 4;
      } else if (size == 0x81) {
        if (at + 3 > end) break;
        size = load<u8>(at, 2);
        if (size < 0x80) break;
        content = at + 3;
      } else break;
    }
    if (size > end - content || (identifier & 31) == 31 || (identifier & 0xdf) == 0) break;
    const head = identifier | ((content - at) << 8) | ((identifier & 31) << 16);
    if ((identifier & 0x20) == 0) {
      ++next;
      store<u64>(record, head | (<u64>(at - input) << 32));
      at = content + size;
      store<u64>(record, (at - input) | (<u64>next << 32), 8);
    } else {
      // A constructed string is none that DER has.
      if (top == stackEnd || (identifier < 0x40 && (identifier & 0xfe) != 0x30)) break;
      ++next;
      store<u64>(record, head | (<u64>(at - input) << 32));
      at = content;
      end = content + size;
      closeAt = end;
      store<u32>(record, end - input, 8);
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
  return ONE_MORE;
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
 * One value of any form, or the error in its place, whose offset goes to `errorAt`.
 * @returns a status of memory.ts
 */
function parseOne(
  state: u32, input: u32, inputEnd: u32, tapeEnd: u32, stack: u32, stackEnd: u32, mode: u32, errorAt: u32,
): i32 {
  const start = load<u32>(state, AT);
  const end = load<u32>(state, END);
  const ends = end == inputEnd ? TRUNCATED : BAD_LENGTH;
  let at = start;

  // Identifier octets, 8.1.2.
  store<u32>(errorAt, at - input);
  if (at >= end) return ends;
  const identifier: u32 = load<u8>(at++);
  let tag = identifier & 31;
  if (tag == 31) {
    tag = 0;
    let octet: u32 = 0;
    let octets: u32 = 0;
    do {
      store<u32>(errorAt, at - input);
      if (at >= end) return ends;
      octet = load<u8>(at++);
      tag = (tag << 7) | (octet & 127);
      // 8.1.2.4.2 c): no leading zeros; three octets hold more than the 16 bits that a record has.
      if ((octets == 0 && octet == 0x80) || ++octets > 3 || tag > 0xffff) return BAD_TAG;
    } while (octet > 127);
    if (tag < 31) return BAD_TAG;
  }

  // Length octets, 8.1.3.
  store<u32>(errorAt, at - input);
  if (at >= end) return ends;
  let size: u32 = load<u8>(at++);
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
    const leading = load<u8>(at);
    while (octets-- != 0) wide = (wide << 8) | load<u8>(at++);
    if (leading == 0 || wide < 128) flags = FLAG_NOT_DER; // 10.1: the fewest octets
    store<u32>(errorAt, start - input);
    if (wide > u32.MAX_VALUE) return TRUNCATED;
    size = <u32>wide;
  }

  store<u32>(errorAt, start - input);
  const top = load<u32>(state, TOP);
  if ((identifier & 0xdf) == 0) {
    // End-of-contents, 8.1.5.
    if (identifier != 0 || top == stack || load<u32>(state, CLOSE_AT) != 0) return BAD_TAG;
    if (at - start != 2 || size != 0) return BAD_LENGTH;
    store<u32>(load<u32>(top - OPEN), start - input, 8);
    store<u32>(state, at, AT);
    store<u32>(state, at, CLOSE_AT); // walk closes it, as it does others
    return OK;
  }
  if (size > end - at) return size > inputEnd - at ? TRUNCATED : BAD_LENGTH;
  if (identifier < 0x40 && (identifier & 0x20) != 0 && tag < 31 && ((SEGMENTABLE >> tag) & 1) != 0) {
    flags |= FLAG_NOT_DER;
  }
  if ((mode & MODE_STRICT) != 0) {
    if (flags != 0) return NOT_DER;
    if (identifier < 31) {
      const status = checkContent(identifier, at, at + size);
      if (status != OK) return status;
    }
  }

  const record = load<u32>(state, RECORD_PTR);
  const next = load<u32>(state, NEXT) + 1;
  if (record == tapeEnd) return TOO_MANY_RECORDS;
  store<u32>(record, identifier | ((at - start) << 8) | flags | (tag << 16));
  store<u32>(record, start - input, 4);
  store<u32>(record, at + size - input, 8);
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
  const closeAt = indefinite ? 0 : ownEnd;
  store<u32>(top, record);
  store<u32>(top, ownEnd, 4);
  store<u32>(top, closeAt, 8);
  store<u32>(state, at, AT);
  store<u32>(state, top + OPEN, TOP);
  store<u32>(state, ownEnd, END);
  store<u32>(state, closeAt, CLOSE_AT);
  return OK;
}

/**
 * @param input     the octets, `length` of them
 * @param tape      room for `maxRecords` records
 * @param stack     room for `maxDepth` entries of 16 octets
 * @param first     index that the root will have where the tape is copied to
 * @param state     32 octets of work area; at the end the first two u32 are the number of records and the offset of
 *                  the error
 * @returns a status of memory.ts
 */
export function parseTape(
  input: u32, length: u32, tape: u32, maxRecords: u32, stack: u32, maxDepth: u32, mode: u32, first: u32,
  state: u32,
): i32 {
  const inputEnd = input + length;
  const tapeEnd = tape + maxRecords * RECORD;
  const stackEnd = stack + maxDepth * OPEN;
  const errorAt = state + 24;
  store<u32>(state, input, AT);
  store<u32>(state, tape, RECORD_PTR);
  store<u32>(state, first, NEXT);
  store<u32>(state, stack, TOP);
  store<u32>(state, inputEnd, END);
  store<u32>(state, 0, CLOSE_AT);

  let status = OK;
  let done = false;
  // In strict mode each value's content is looked at, which walk does not do: without room for records it only closes.
  const strict = (mode & MODE_STRICT) != 0;
  do {
    status = parseOne(state, input, inputEnd, tapeEnd, stack, stackEnd, mode, errorAt);
    if (status != OK) break;
    if (load<u32>(state, TOP) == stack) done = true; // the root is primitive
    else done = walk(state, input, strict ? load<u32>(state, RECORD_PTR) : tapeEnd, stack, stackEnd);
  } while (!done);

  const end = load<u32>(state, AT);
  if (status == OK && end < inputEnd && (mode & MODE_TRAILING) == 0) {
    status = TRAILING_DATA;
    store<u32>(errorAt, end - input);
  }
  store<u32>(state, load<u32>(state, NEXT) - first);
  store<u32>(state, load<u32>(errorAt), 4);
  return status;
}
