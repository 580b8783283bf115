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

const MAX_LINE: u32 = 998;
const CR: u32 = 0x0d;
const LF: u32 = 0x0a;

/**
 * Scans `len` octets. `state` is three u32, zero before the first window: bits found so far, lone line ends counted,
 * octets of the line that the next window goes on with. Reads one octet before and 16 behind the window.
 */
export function scanLines(src: u32, len: u32, state: u32): void {
  let found = load<u32>(state);
  let lone = load<u32>(state, 4);
  const last = src + len;
  let line = src - load<u32>(state, 8); // where the line starts, or would if it had been in memory
  for (let at = src; at < last; at += 16) {
    const here = v128.load(at);
    const inside: u32 = last - at >= 16 ? 0xffff : (1 << (last - at)) - 1;
    // Most octets are in the middle of a line: nothing below space, nothing over 127. A line that starts here, behind
    // LF, is looked at for its "From ".
    const special = <u32>i8x16.bitmask(i8x16.lt_s(here, i8x16.splat(0x20))) & inside;
    if (special == 0 && load<u8>(at - 1) != LF) continue;
    const before = v128.load(at - 1);
    const lf = i8x16.eq(here, i8x16.splat(0x0a));
    const cr = i8x16.eq(here, i8x16.splat(0x0d));
    const crBefore = i8x16.eq(before, i8x16.splat(0x0d));
    const lfBehind = i8x16.eq(v128.load(at + 1), i8x16.splat(0x0a));
    const single = v128.or(v128.andnot(lf, crBefore), v128.andnot(cr, lfBehind));
    const blankBefore = v128.or(i8x16.eq(before, i8x16.splat(0x20)), i8x16.eq(before, i8x16.splat(0x09)));
    const trailing = v128.and(v128.or(lf, cr), blankBefore);
    const nul = i8x16.eq(here, i8x16.splat(0));
    const from = v128.and(i8x16.eq(before, i8x16.splat(0x0a)), i8x16.eq(here, i8x16.splat(0x46)));
    const odd = v128.or(v128.or(single, trailing), v128.or(nul, v128.or(here, from)));
    if ((<u32>i8x16.bitmask(odd) & inside) != 0) {
      if ((<u32>i8x16.bitmask(here) & inside) != 0) found |= EIGHT_BIT;
      if ((<u32>i8x16.bitmask(nul) & inside) != 0) found |= NUL;
      if ((<u32>i8x16.bitmask(trailing) & inside) != 0) found |= TRAILING_SPACE;
      const singles = popcnt(<u32>i8x16.bitmask(single) & inside);
      lone += singles;
      if (singles != 0) found |= LONE_LINE_END;
      for (let bits = <u32>i8x16.bitmask(from) & inside; bits != 0; bits &= bits - 1) {
        // "rom " behind the F; the window's neighbours are readable
        if (load<u32>(at + ctz(bits), 1) == 0x206d6f72) found |= FROM_LINE;
      }
    }
    const ends = <u32>i8x16.bitmask(lf) & inside;
    if (ends != 0) {
      const first = at + ctz(ends);
      // The CR of CRLF is not part of the line's length.
      if (first - line > MAX_LINE + (load<u8>(first - 1) == CR ? 1 : 0)) found |= LONG_LINE;
      line = at + 32 - clz(ends);
    }
  }
  if (last - line > MAX_LINE + (load<u8>(last - 1) == CR ? 1 : 0)) found |= LONG_LINE;
  store<u32>(state, found);
  store<u32>(state, lone, 4);
  store<u32>(state, last - line, 8);
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
    const whole = min(ctz(<u32>i8x16.bitmask(single) | 0x10000), last - at);
    v128.store(out, here);
    at += whole;
    out += whole;
    if (whole == 16 || at == last) continue;
    store<u16>(out, 0x0a0d);
    out += 2;
    at++;
  }
  return out - dst;
}
