/**
 * Line ends and transport hazards of MIME octets, 16 at a time: one pass that tells whether octets are already in the
 * canonical form of RFC 8551 section 3.1.1 and safe for 7-bit transport (3.1.3), and one that makes every line end
 * CRLF. Called by src/wasm.ts, which feeds windows: the octets before and behind a window must be readable and true,
 * or, at the ends of the text, LF before it and zeros behind it.
 */

/** What {@link scanLines} found, as bits. */
export const EIGHT_BIT: u32 = 1; // an octet over 127
export const NUL: u32 = 2;
export const LONE_LINE_END: u32 = 4; // LF without CR before it, or CR without LF behind it
export const LONG_LINE: u32 = 8; // over 998 octets without the line end (RFC 5322 section 2.1.1)
export const TRAILING_SPACE: u32 = 16; // a space or tab before a line end
export const FROM_LINE: u32 = 32; // a line that starts with "From "

const MAX_LINE: i32 = 998;
const CR: u32 = 0x0d;
const LF: u32 = 0x0a;
const CRLF: u16 = 0x0a0d;
const SPACE: u32 = 0x20;
const TAB: u32 = 0x09;
const FROM: u32 = 0x6d6f7246;

/**
 * Scans `len` octets. `state` is three u32, zero before the first window: bits found so far, lone line ends counted,
 * octets of the line that the next window goes on with (-1 if its first octet is the LF of a CRLF). Reads one octet
 * before and 64 behind the window.
 */
export function scanLines(src: u32, len: u32, state: u32): void {
  let found = load<u32>(state);
  let lone = load<u32>(state, 4);
  const last = src + len;
  let line = src - load<u32>(state, 8); // where the line starts, or would if it had been in memory
  if (load<u8>(src - 1) == LF) found |= fromLine(src);
  for (let at = src; at < last; at += 64) {
    const a = v128.load(at);
    const b = v128.load(at, 16);
    const c = v128.load(at, 32);
    const d = v128.load(at, 48);
    // What is below space. Most octets are in the middle of a line, and neither that nor over 127.
    const space = i8x16.splat(<i8>SPACE);
    let bits = mask64(i8x16.lt_s(a, space), i8x16.lt_s(b, space), i8x16.lt_s(c, space), i8x16.lt_s(d, space));
    if (i8x16.bitmask(v128.or(v128.or(a, b), v128.or(c, d))) != 0) {
      found |= EIGHT_BIT; // if not in this window, then in the next
      bits &= ~mask64(a, b, c, d);
    }
    if (last - at < 64) bits &= (<u64>1 << (last - at)) - 1;
    for (; bits != 0; bits &= bits - 1) {
      const end = at + <u32>ctz(bits);
      const octet = <u32>load<u8>(end);
      if (load<u16>(end) == CRLF) {
        found |= lineEnd(line, end);
        line = end + 2;
        found |= fromLine(line);
        bits &= bits - 1; // the LF; in the next 64 octets it is met again
      } else if (octet == LF) {
        if (load<u8>(end - 1) == CR) continue;
        lone++;
        found |= lineEnd(line, end);
        line = end + 1;
        found |= fromLine(line);
      } else if (octet == CR) {
        lone++;
        found |= trailingSpace(end);
      } else if (octet == 0) {
        found |= NUL;
      }
    }
  }
  // The CR may be one of CRLF, which is not part of the line's length.
  if (<i32>(last - line) > MAX_LINE + (load<u8>(last - 1) == CR ? 1 : 0)) found |= LONG_LINE;
  if (lone != 0) found |= LONE_LINE_END;
  store<u32>(state, found);
  store<u32>(state, lone, 4);
  store<u32>(state, last - line, 8);
}

/** The sign of each of 64 lanes. */
// @ts-ignore: decorator
@inline
function mask64(a: v128, b: v128, c: v128, d: v128): u64 {
  const low = <u32>i8x16.bitmask(a) | (<u32>i8x16.bitmask(b) << 16);
  const high = <u32>i8x16.bitmask(c) | (<u32>i8x16.bitmask(d) << 16);
  return <u64>low | (<u64>high << 32);
}

// @ts-ignore: decorator
@inline
function lineEnd(line: u32, end: u32): u32 {
  return trailingSpace(end) | (<i32>(end - line) > MAX_LINE ? LONG_LINE : 0);
}

// @ts-ignore: decorator
@inline
function trailingSpace(end: u32): u32 {
  const before = <u32>load<u8>(end - 1);
  return before == SPACE || before == TAB ? TRAILING_SPACE : 0;
}

// @ts-ignore: decorator
@inline
function fromLine(line: u32): u32 {
  return load<u32>(line) == FROM && load<u8>(line, 4) == SPACE ? FROM_LINE : 0;
}

/**
 * Copies `len` octets, making each lone LF or CR a CRLF. Reads one octet before and 16 behind the window; `dst` must
 * be writable for 16 octets beyond the twice `len` that may be needed. Returns the octets written.
 */
export function canonicalLines(src: u32, len: u32, dst: u32): u32 {
  const last = src + len;
  let out = dst;
  let at = src;
  while (at < last) {
    const here = v128.load(at);
    const single = v128.or(
      v128.andnot(i8x16.eq(here, i8x16.splat(0x0a)), i8x16.eq(v128.load(at - 1), i8x16.splat(0x0d))),
      v128.andnot(i8x16.eq(here, i8x16.splat(0x0d)), i8x16.eq(v128.load(at + 1), i8x16.splat(0x0a))),
    );
    v128.store(out, here);
    if (!v128.any_true(single) && last - at >= 16) {
      at += 16;
      out += 16;
      continue;
    }
    const whole = min(ctz(<u32>i8x16.bitmask(single) | 0x10000), last - at);
    at += whole;
    out += whole;
    if (at == last) break;
    store<u16>(out, CRLF);
    out += 2;
    at++;
  }
  return out - dst;
}
