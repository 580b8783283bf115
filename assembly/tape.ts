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
 * @param input     the octets, `length` of them
 * @param tape      room for `maxRecords` records
 * @param stack     room for `maxDepth` entries of 16 octets: record, end, 1 if indefinite
 * @param first     index that the root will have where the tape is copied to
 * @param result    two u32: number of records, offset of the error
 * @returns a status of memory.ts
 */
export function parseTape(
  input: u32, length: u32, tape: u32, maxRecords: u32, stack: u32, maxDepth: u32, mode: u32, first: u32,
  result: u32,
): i32 {
  const inputEnd = input + length;
  const strict = (mode & MODE_STRICT) != 0;
  let at = input; // next octet
  let status = OK;
  let errorAt = input;
  let count: u32 = 0;
  let depth: u32 = 0;
  let top = stack - 16; // innermost open value
  let end = inputEnd; // its end, or its parent's while its own is not known
  let open = false; // is its length indefinite?

  while (true) {
    // Close what ends here.
    while (depth != 0 && !open && at == end) {
      const record = load<u32>(top);
      store<u32>(record, first + count, 12);
      const notDer = load<u32>(record) & FLAG_NOT_DER;
      top -= 16;
      if (--depth == 0) break;
      end = load<u32>(top, 4);
      open = load<u32>(top, 8) != 0;
      if (notDer != 0) {
        const parent = load<u32>(top);
        store<u32>(parent, load<u32>(parent) | FLAG_NOT_DER);
      }
    }
    if (depth == 0 && count != 0) break;

    // Identifier octets, 8.1.2.
    const start = at;
    errorAt = at;
    if (at >= end) { status = end == inputEnd ? TRUNCATED : BAD_LENGTH; break; }
    const identifier: u32 = load<u8>(at++);
    let tag = identifier & 31;
    if (tag == 31) {
      tag = 0;
      let octet: u32 = 0;
      let octets: u32 = 0;
      do {
        errorAt = at;
        if (at >= end) { status = end == inputEnd ? TRUNCATED : BAD_LENGTH; break; }
        octet = load<u8>(at++);
        tag = (tag << 7) | (octet & 127);
        // 8.1.2.4.2 c): no leading zeros; three octets hold more than the 16 bits that a record has.
        if ((octets == 0 && octet == 0x80) || ++octets > 3 || tag > 0xffff) { status = BAD_TAG; break; }
      } while (octet > 127);
      if (status == OK && tag < 31) status = BAD_TAG;
      if (status != OK) break;
    }

    // Length octets, 8.1.3.
    errorAt = at;
    if (at >= end) { status = end == inputEnd ? TRUNCATED : BAD_LENGTH; break; }
    let size: u32 = load<u8>(at++);
    let flags: u32 = 0;
    if (size > 127) {
      if (size == 0x80) {
        if ((identifier & 0x20) == 0) { status = BAD_LENGTH; break; } // 8.1.3.2 a): primitive is definite
        flags = FLAG_INDEFINITE | FLAG_NOT_DER;
        size = 0;
      } else {
        let octets = size & 127;
        if (octets > 8) { status = BAD_LENGTH; break; } // 0xFF is reserved; more than 8 never carries a length
        if (octets > end - at) { status = end == inputEnd ? TRUNCATED : BAD_LENGTH; break; }
        let wide: u64 = 0;
        const leading = load<u8>(at);
        while (octets-- != 0) wide = (wide << 8) | load<u8>(at++);
        if (leading == 0 || wide < 128) flags = FLAG_NOT_DER; // 10.1: the fewest octets
        if (wide > u32.MAX_VALUE) { errorAt = start; status = TRUNCATED; break; }
        size = <u32>wide;
      }
    }

    // End-of-contents, 8.1.5.
    if (identifier == 0) {
      if (!open) { errorAt = start; status = BAD_TAG; break; }
      if (at - start != 2 || size != 0) { errorAt = start; status = BAD_LENGTH; break; }
      const record = load<u32>(top);
      store<u32>(record, start - input, 8);
      store<u32>(record, first + count, 12);
      top -= 16;
      if (--depth == 0) break;
      end = load<u32>(top, 4);
      open = load<u32>(top, 8) != 0;
      const parent = load<u32>(top);
      store<u32>(parent, load<u32>(parent) | FLAG_NOT_DER);
      continue;
    }
    if (identifier == 0x20) { errorAt = start; status = BAD_TAG; break; }

    errorAt = start;
    if (size > end - at) { status = size > inputEnd - at ? TRUNCATED : BAD_LENGTH; break; }
    if (identifier < 0x40 && (identifier & 0x20) != 0 && tag < 31 && ((SEGMENTABLE >> tag) & 1) != 0) flags |= FLAG_NOT_DER;
    if (strict) {
      if (flags != 0) { status = NOT_DER; break; }
      if (identifier < 31) {
        status = checkContent(identifier, at, at + size);
        if (status != OK) break;
      }
    }

    if (count == maxRecords) { status = TOO_MANY_RECORDS; break; }
    const record = tape + count * RECORD;
    ++count;
    store<u32>(record, identifier | ((at - start) << 8) | flags | (tag << 16));
    store<u32>(record, start - input, 4);
    store<u32>(record, at + size - input, 8);
    if ((identifier & 0x20) != 0) {
      if (depth == maxDepth) { status = TOO_DEEP; break; }
      ++depth;
      top += 16;
      open = (flags & FLAG_INDEFINITE) != 0;
      if (!open) end = at + size;
      store<u32>(top, record);
      store<u32>(top, end, 4);
      store<u32>(top, open ? 1 : 0, 8);
    } else {
      store<u32>(record, first + count, 12);
      at += size;
      if (flags != 0 && depth != 0) {
        const parent = load<u32>(top);
        store<u32>(parent, load<u32>(parent) | FLAG_NOT_DER);
      }
    }
  }

  if (status == OK && at < inputEnd && (mode & MODE_TRAILING) == 0) {
    status = TRAILING_DATA;
    errorAt = at;
  }
  store<u32>(result, count);
  store<u32>(result, errorAt - input, 4);
  return status;
}
