/**
 * Base64 of RFC 2045 section 6.8 on 16 characters at a time: encoding in 76-column CRLF lines, strict decoding over
 * line breaks. What goes through here is public (CMS objects, attachments), so tables may be indexed by it. Called by
 * src/wasm.ts, which feeds windows of a few dozen KB, so a big mail stays in the cache and out of WASM memory.
 *
 * The in-register lookups are the published ones of Muła and Lemire ("Faster Base64 Encoding and Decoding Using AVX2
 * Instructions", 2018), with shifts in place of those multiplications that WASM lacks.
 *
 *   12 octets        aaaaaaaa bbbbbbbb cccccccc ...            three octets to a 32-bit lane
 *   lane             bbbbbbbb cccccccc aaaaaaaa bbbbbbbb       as two numbers of 16 bits, the low one to the right
 *   16 characters    00cccccc 00bbbbcc 00aabbbb 00aaaaaa       sextets, the first one in the low octet
 */
import { BAD_VALUE, OK } from './memory';

/** Octets and characters of one output line without its CRLF. */
const LINE_OCTETS: u32 = 57;
const LINE_CHARS: u32 = 76;
const CRLF: u16 = 0x0a0d;

// @ts-ignore: decorator
@inline
function encode16(octets: v128): v128 {
  const lanes = i8x16.swizzle(octets, i8x16(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10));
  const sextets = v128.or(
    v128.or(
      v128.and(i16x8.shr_u(lanes, 10), i32x4.splat(0x0000003f)),
      v128.and(i16x8.shr_u(lanes, 6), i32x4.splat(0x003f0000)),
    ),
    i16x8.mul(v128.and(lanes, i32x4.splat(0x003f03f0)), i32x4.splat(0x01000010)),
  );
  // Which of the five ranges: 13 for A-Z, 0 for a-z, 1-10 for 0-9, 11 for +, 12 for /.
  const range = v128.or(
    i8x16.sub_sat_u(sextets, i8x16.splat(51)),
    v128.and(i8x16.lt_s(sextets, i8x16.splat(26)), i8x16.splat(13)),
  );
  const shift = i8x16.swizzle(i8x16(71, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -19, -16, 65, 0, 0), range);
  return i8x16.add(sextets, shift);
}

/**
 * Encodes `len` octets in lines of 76 characters, each closed by CRLF; only the last may be shorter.
 * `src` must be readable for 16 octets, and `dst` writable for 32, beyond what is used. Returns the octets written.
 */
export function encodeBase64Lines(src: u32, len: u32, dst: u32): u32 {
  let at = src;
  let out = dst;
  for (const last = src + len; at + LINE_OCTETS <= last; at += LINE_OCTETS) {
    v128.store(out, encode16(v128.load(at)));
    v128.store(out, encode16(v128.load(at, 12)), 16);
    v128.store(out, encode16(v128.load(at, 24)), 32);
    v128.store(out, encode16(v128.load(at, 36)), 48);
    v128.store(out, encode16(v128.load(at, 48)), 64); // 12 of the 16 count; CRLF and the next line cover the rest
    store<u16>(out, CRLF, LINE_CHARS);
    out += LINE_CHARS + 2;
  }
  const rest = src + len - at;
  if (rest == 0) return out - dst;
  memory.fill(src + len, 0, 3); // the bits beyond the end are zero (RFC 4648 section 3.5)
  for (let i: u32 = 0, o = out; i < rest; i += 12, o += 16) v128.store(o, encode16(v128.load(at + i)));
  out += ((rest + 2) / 3) * 4;
  if (rest % 3 != 0) {
    store<u8>(out - 1, 0x3d);
    if (rest % 3 == 1) store<u8>(out - 2, 0x3d);
  }
  store<u16>(out, CRLF);
  return out + 2 - dst;
}

/** Non-zero in the lanes of characters outside the alphabet: only those have a bit set in both tables. */
// @ts-ignore: decorator
@inline
function foreign16(chars: v128): v128 {
  return v128.and(
    i8x16.swizzle(
      i8x16(0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10),
      i8x16.shr_u(chars, 4),
    ),
    i8x16.swizzle(
      i8x16(0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x13, 0x1a, 0x1b, 0x1b, 0x1b, 0x1a),
      v128.and(chars, i8x16.splat(0x0f)),
    ),
  );
}

// @ts-ignore: decorator
@inline
function decode16(chars: v128): v128 {
  const range = i8x16.add(i8x16.shr_u(chars, 4), i8x16.eq(chars, i8x16.splat(0x2f)));
  const sextets = i8x16.add(
    chars,
    i8x16.swizzle(i8x16(0, 16, 19, 4, -65, -65, -71, -71, 0, 0, 0, 0, 0, 0, 0, 0), range),
  );
  // Pairs of sextets to 12 bits, the first one high; pairs of those to 24 bits.
  const pairs = v128.or(
    i16x8.shl(v128.and(sextets, i16x8.splat(0x00ff)), 6),
    i16x8.shr_u(sextets, 8),
  );
  const lanes = i32x4.dot_i16x8_s(pairs, i32x4.splat(0x00011000));
  return i8x16.swizzle(lanes, i8x16(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1));
}

/** The longest line that {@link lineWidth} knows, with its CRLF, and two octets that are read beyond. */
const MAX_LINE: u32 = 80;

/** Characters of the line at `at`, if it is 64 (PEM, OpenSSL), 72 (Mozilla) or 76 (most others) and CRLF; else 0. */
// @ts-ignore: decorator
@inline
function lineWidth(at: u32): u32 {
  if (load<u16>(at, 76) == CRLF) return 76;
  if (load<u16>(at, 64) == CRLF) return 64;
  return load<u16>(at, 72) == CRLF ? 72 : 0;
}

/** The sextet of a character, 64 for `=`, 65 for white space, 66 for anything else. */
function sextetOf(c: u32): u32 {
  if (c - 0x41 < 26) return c - 0x41;
  if (c - 0x61 < 26) return c - 0x61 + 26;
  if (c - 0x30 < 10) return c - 0x30 + 52;
  if (c == 0x2b) return 62;
  if (c == 0x2f) return 63;
  if (c == 0x3d) return 64;
  return c == 0x0a || c == 0x0d || c == 0x20 || c == 0x09 ? 65 : 66;
}

/**
 * Decodes a window; white space may stand anywhere, padding is required, and anything else is BAD_VALUE. `state` is
 * three u32, zero before the first window: bits gathered; characters gathered (0-3, then 4 when the padding is
 * complete, 5 when one `=` is still due); octets written by this call (on BAD_VALUE: where the bad character stands).
 * `dst` must be writable for 16 octets beyond what is used. The text is complete if the second word is 0 or 4.
 */
export function decodeBase64(src: u32, len: u32, dst: u32, state: u32): i32 {
  let bits = load<u32>(state);
  let have = load<u32>(state, 4);
  let at = src;
  const last = src + len;
  let out = dst;
  while (at < last) {
    // Lines as nearly every mail has them: one branch for what is in them.
    while (have == 0 && at + MAX_LINE <= last) {
      const width = lineWidth(at);
      if (width == 0) break;
      const a = v128.load(at);
      const b = v128.load(at, 16);
      const c = v128.load(at, 32);
      const d = v128.load(at, 48);
      const e = v128.load(at + width - 16); // overlaps d, so that it ends with the line
      const foreign = v128.or(
        v128.or(foreign16(a), foreign16(b)),
        v128.or(v128.or(foreign16(c), foreign16(d)), foreign16(e)),
      );
      if (v128.any_true(foreign)) break;
      const octets = (width >>> 2) * 3;
      v128.store(out, decode16(a));
      v128.store(out, decode16(b), 12);
      v128.store(out, decode16(c), 24);
      v128.store(out, decode16(d), 36);
      v128.store(out + octets - 12, decode16(e));
      at += width + 2;
      out += octets;
    }
    // Other lines, and what stands before a fault.
    if (have == 0 && at + 16 <= last) {
      const chars = v128.load(at);
      const foreign = foreign16(chars);
      v128.store(out, decode16(chars));
      if (!v128.any_true(foreign)) {
        at += 16;
        out += 12;
        continue;
      }
      const good = ctz(<u32>i8x16.bitmask(i8x16.ne(foreign, i8x16.splat(0))));
      at += good & ~3; // whole quanta only
      out += (good >>> 2) * 3;
      if ((good & 3) == 0 && at + 2 <= last && load<u16>(at) == CRLF) {
        at += 2;
        continue;
      }
    }
    if (at == last) break;
    const sextet = sextetOf(load<u8>(at));
    if (sextet == 65) {
      at++;
      continue;
    }
    if (sextet < 64 && have < 4) {
      bits = (bits << 6) | sextet;
      if (++have == 4) {
        store<u8>(out, bits >>> 16);
        store<u8>(out, bits >>> 8, 1);
        store<u8>(out, bits, 2);
        out += 3;
        bits = 0;
        have = 0;
      }
    } else if (sextet == 64 && have == 2) {
      store<u8>(out++, bits >>> 4);
      have = 5;
    } else if (sextet == 64 && have == 3) {
      store<u8>(out, bits >>> 10);
      store<u8>(out, bits >>> 2, 1);
      out += 2;
      have = 4;
    } else if (sextet == 64 && have == 5) {
      have = 4;
    } else {
      store<u32>(state, at - src, 8);
      return BAD_VALUE;
    }
    at++;
  }
  store<u32>(state, bits);
  store<u32>(state, have, 4);
  store<u32>(state, out - dst, 8);
  return OK;
}
