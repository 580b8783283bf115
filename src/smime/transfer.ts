/**
 * Canonical line ends (RFC 8551 section 3.1.1) and the transfer encodings of RFC 2045 section 6, on octets. Base64 and
 * line ends run in WASM (assembly/base64.ts, assembly/lines.ts).
 *
 * Called by mime.ts, sevenbit.ts, build.ts, message.ts and streams/.
 */
import { assertBytes, buffer } from '../bytes.js';
import { MailsealError } from '../errors.js';
import * as wasm from '../wasm.js';

export { encodeBase64Lines } from '../wasm.js';

/** Makes every line end CRLF: LF without CR, and CR without LF. Returns the same array if nothing changes. */
export function canonicalize(bytes: Uint8Array): Uint8Array {
  assertBytes(bytes, 'bytes');
  const { lone } = wasm.scanLines(bytes);
  return lone === 0 ? bytes : wasm.canonicalLines(bytes, lone);
}

/** Whether a CR stands without LF. */
export function hasLoneCr(bytes: Uint8Array): boolean {
  const octets = buffer(bytes);
  for (let at = octets.indexOf(CR); at >= 0; at = octets.indexOf(CR, at + 1)) {
    if (octets[at + 1] !== LF) return true;
  }
  return false;
}

/**
 * Base64 over white space.
 * @param strict refuse foreign characters, text behind the padding, and an incomplete end; otherwise skip them
 * @throws MailsealError MIME_MALFORMED with the offset
 */
export function decodeBase64(bytes: Uint8Array, strict = true): Uint8Array {
  assertBytes(bytes, 'bytes');
  if (strict) return wasm.decodeBase64(bytes);
  return Buffer.from(buffer(bytes).toString('latin1'), 'base64'); // ends at the first `=`
}

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;
const EQUALS = 0x3d;

/** The value of a hexadecimal digit, or -1. */
function hexDigit(c: number | undefined): number {
  if (c === undefined) return -1;
  if (c >= 0x30 && c <= 0x39) return c - 0x30;
  const upper = c & 0xdf;
  return upper >= 0x41 && upper <= 0x46 ? upper - 0x37 : -1;
}

/**
 * Quoted-printable of RFC 2045 section 6.7. White space at the end of a line was added in transport and goes (rule 3).
 * @param strict refuse `=` that starts neither an escape nor a soft line break; otherwise it stands for itself
 * @throws MailsealError MIME_MALFORMED with the offset
 */
export function decodeQuotedPrintable(bytes: Uint8Array, strict = true): Uint8Array {
  assertBytes(bytes, 'bytes');
  return decodeQuotedPart(bytes, true, strict).made;
}

/** What a piece of a text gives, and how many of its octets that took: the rest depends on what comes behind. */
export interface Converted {
  made: Uint8Array;
  used: number;
}

/** {@link decodeQuotedPrintable} of a text that goes on behind `bytes`, or, if they are its last ones, ends there. */
export function decodeQuotedPart(bytes: Uint8Array, last: boolean, strict: boolean): Converted {
  const out = Buffer.allocUnsafe(bytes.length);
  let length = 0;
  let kept = 0; // `length` without the white space at the end so far
  let i = 0;
  for (; i < bytes.length; i++) {
    const c = bytes[i] as number;
    if (c === EQUALS) {
      const high = hexDigit(bytes[i + 1]);
      const low = hexDigit(bytes[i + 2]);
      if (high >= 0 && low >= 0) {
        out[length++] = (high << 4) | low;
        kept = length;
        i += 2;
        continue;
      }
      let end = i + 1;
      while (bytes[end] === SPACE || bytes[end] === TAB) end++;
      if (bytes[end] === CR && bytes[end + 1] === LF) end++;
      if (!last && (end + 1 >= bytes.length || i + 2 >= bytes.length)) {
        kept = length; // white space before `=` is content, whatever follows
        break;
      }
      if (bytes[end] === LF || end >= bytes.length) {
        kept = length; // white space before a soft line break is content
        i = end;
        continue;
      }
      if (strict) throw new MailsealError('MIME_MALFORMED', 'a broken escape', { offset: i });
    } else if (c === LF || (c === CR && bytes[i + 1] === LF)) {
      length = kept;
    } else if (c === CR && i + 1 === bytes.length && !last) {
      break;
    }
    out[length++] = c;
    if (c === SPACE || c === TAB) continue;
    for (let next = bytes[i + 1] as number; next > SPACE && next !== EQUALS; next = bytes[i + 1] as number) {
      out[length++] = next; // most octets are such ones
      i++;
    }
    kept = length;
  }
  // White space that may be at the end of a line stands in `out` as in `bytes`.
  const used = last ? bytes.length : i - (length - kept);
  return { made: out.subarray(0, kept), used };
}

const HEX = Buffer.from('0123456789ABCDEF', 'latin1');
/** Characters of a line, without the `=` of a soft line break (RFC 2045 section 6.7 rule 5). */
const MAX_LINE = 75;

/** Octets that stand for themselves: 1 anywhere, 2 except at a line end (rule 3). */
const PLAIN = Uint8Array.from({ length: 256 }, (_, c) => {
  if (c === SPACE || c === TAB) return 2;
  return c > SPACE && c < 0x7f && c !== EQUALS ? 1 : 0;
});

/** How many octets of a text quoted-printable writes as escapes, white space at line ends not counted. */
export function countEscapes(bytes: Uint8Array): number {
  let escapes = 0;
  for (let i = 0; i < bytes.length; i++) {
    const c = bytes[i] as number;
    if (PLAIN[c] === 0 && c !== CR && c !== LF) escapes++;
  }
  return escapes;
}

/**
 * Quoted-printable of a text with CRLF line ends; other control characters become escapes. Also protected: white space
 * at the end of a line, and the F of a line that starts with "From " (RFC 2049 section 3).
 */
export function encodeQuotedPrintable(bytes: Uint8Array): Uint8Array {
  assertBytes(bytes, 'bytes');
  return encodeQuotedPart(bytes, true, { column: 0 }).made;
}

/** What decides how an octet is written: those of "From " at the most. */
const LOOK_AHEAD = 5;

/**
 * {@link encodeQuotedPrintable} of a text that goes on behind `bytes`, or, if they are its last ones, ends there.
 * @param state where in its line the text is; to be given again with what follows
 */
export function encodeQuotedPart(bytes: Uint8Array, last: boolean, state: { column: number }): Converted {
  const end = last ? bytes.length : Math.max(0, bytes.length - LOOK_AHEAD + 1);
  // Three characters an octet, and three more for the soft line break after every 25 escapes at the least.
  const out = Buffer.allocUnsafe(end * 3 + Math.ceil(end / 25) * 3 + 6);
  let length = 0;
  let { column } = state;
  let i = 0;
  for (; i < end; i++) {
    const c = bytes[i] as number;
    if (c === CR && bytes[i + 1] === LF) {
      out[length++] = CR;
      out[length++] = LF;
      column = 0;
      i++;
      continue;
    }
    const kind = PLAIN[c];
    const lineEnds = kind === 2 && (i + 1 === bytes.length || (bytes[i + 1] === CR && bytes[i + 2] === LF));
    const plain = kind !== 0 && !lineEnds;
    if (column + (plain ? 1 : 3) > MAX_LINE) {
      out[length++] = EQUALS;
      out[length++] = CR;
      out[length++] = LF;
      column = 0;
    }
    if (plain && (column > 0 || c !== 0x46 || !isFrom(bytes, i))) {
      out[length++] = c;
      column++;
      // Most octets are such ones, or white space before one.
      for (; column < MAX_LINE && i + 1 < end; column++) {
        const next = bytes[i + 1] as number;
        const kind = PLAIN[next];
        if (kind === 0 || (kind === 2 && PLAIN[bytes[i + 2] as number] !== 1)) break;
        out[length++] = next;
        i++;
      }
    } else {
      out[length++] = EQUALS;
      out[length++] = HEX[c >>> 4] as number;
      out[length++] = HEX[c & 15] as number;
      column += 3;
    }
  }
  state.column = column;
  return { made: out.subarray(0, length), used: i };
}

function isFrom(bytes: Uint8Array, at: number): boolean {
  return buffer(bytes).toString('latin1', at, at + 5) === 'From ';
}
