/** Base64 and line ends: the kernels of assembly/base64.ts and assembly/lines.ts. Called by smime. */
import { inPieces, type Pieces } from '../bytes.js';
import { MailsealError } from '../errors.js';
import { core, octets, reserve, words } from './instance.js';

/** Octets that the text kernels take at a time: whole base64 lines, and few enough to stay in the L2 cache. */
const WINDOW = 57 * 1024;
/** Characters that are decoded at a time: a chunk of a stream is one. */
const CHUNK = 1 << 16;
const LF = 0x0a;
const MARGIN = 64; // what the kernels may read or write beyond what they use

/**
 * Base64 in lines of 76 characters, CRLF behind each, the last one too (RFC 2045 section 6.8).
 * @param head what stands before it in the result
 */
export function encodeBase64Lines(pieces: Pieces, head?: Uint8Array): Uint8Array {
  const { byteLength: length } = pieces;
  const rest = length % 57;
  const encoded = Math.floor(length / 57) * 78 + (rest === 0 ? 0 : Math.ceil(rest / 3) * 4 + 2);
  const start = head?.length ?? 0;
  const out = Buffer.allocUnsafe(start + encoded);
  if (head !== undefined) out.set(head);
  const base = reserve(0);
  try {
    const room = Math.min(length, WINDOW);
    const input = reserve(room + MARGIN);
    const output = reserve(Math.ceil(room / 57) * 78 + MARGIN);
    let filled = 0;
    let written = start;
    const flush = () => {
      const size = core.encodeBase64Lines(input, filled, output);
      out.set(octets.subarray(output, output + size), written);
      written += size;
      filled = 0;
    };
    for (const piece of pieces) {
      for (let at = 0; at < piece.length; ) {
        const part = piece.subarray(at, at + WINDOW - filled);
        octets.set(part, input + filled);
        filled += part.length;
        at += part.length;
        if (filled === WINDOW) flush();
      }
    }
    flush();
    return out;
  } finally {
    core.wipe(base);
  }
}

/** Strict base64 over line breaks.
 * @throws MailsealError MIME_MALFORMED with the offset of a foreign character, or if the text ends early */
export function decodeBase64(bytes: Uint8Array): Uint8Array {
  return decodeBase64Pieces(inPieces([bytes]));
}

/** {@link decodeBase64} of a text that is there in pieces. */
export function decodeBase64Pieces(pieces: Pieces): Uint8Array {
  const decoder = new Base64Decoder();
  const out = Buffer.allocUnsafe(Math.floor(pieces.byteLength / 4) * 3 + 3);
  let written = 0;
  for (const piece of pieces) written += decoder.writeTo(piece, out, written);
  decoder.end();
  return out.subarray(0, written);
}

/** {@link decodeBase64} of a text that comes in pieces. */
export class Base64Decoder {
  private bits = 0;
  private gathered = 0;
  private read = 0;

  /** What these octets give, with those before. @throws MailsealError MIME_MALFORMED with the offset in the text */
  write(bytes: Uint8Array): Uint8Array {
    const out = Buffer.allocUnsafe(Math.floor(bytes.length / 4) * 3 + 3);
    return out.subarray(0, this.writeTo(bytes, out, 0));
  }

  /** The same into an array that has room for it, from `start` on. Returns how many octets that are. */
  writeTo(bytes: Uint8Array, out: Uint8Array, start: number): number {
    const base = reserve(0);
    try {
      const state = reserve(12);
      const room = Math.min(bytes.length, CHUNK);
      const input = reserve(room + MARGIN);
      const output = reserve(room + MARGIN);
      words[state >>> 2] = this.bits;
      words[(state >>> 2) + 1] = this.gathered;
      let written = start;
      for (let at = 0; at < bytes.length; at += CHUNK) {
        const window = bytes.subarray(at, at + CHUNK);
        octets.set(window, input);
        const status = core.decodeBase64(input, window.length, output, state);
        const length = words[(state >>> 2) + 2] as number;
        if (status !== 0) {
          const offset = this.read + at + length;
          throw new MailsealError('MIME_MALFORMED', 'a character that is not base64', { offset });
        }
        out.set(octets.subarray(output, output + length), written);
        written += length;
      }
      this.bits = words[state >>> 2] as number;
      this.gathered = words[(state >>> 2) + 1] as number;
      this.read += bytes.length;
      return written - start;
    } finally {
      core.wipe(base);
    }
  }

  /** After the last octets. @throws MailsealError MIME_MALFORMED if the text ends early */
  end(): void {
    if (this.gathered === 0 || this.gathered === 4) return;
    throw new MailsealError('MIME_MALFORMED', 'the base64 ends early', { offset: this.read });
  }
}

/** What {@link scanLines} looks for; the bits of assembly/lines.ts. */
export const Hazard = {
  EIGHT_BIT: 1,
  NUL: 2,
  LONE_LINE_END: 4,
  LONG_LINE: 8,
  TRAILING_SPACE: 16,
  FROM_LINE: 32,
};

/**
 * The hazards in a text, as bits, and how many line ends are not CRLF.
 * @param size of a text that goes on behind `bytes`: octets to look at, without the last one at least
 * @param before the octet before them
 */
export function scanLines(
  bytes: Uint8Array,
  size = bytes.length,
  before = LF,
): { found: number; lone: number } {
  const base = reserve(0);
  try {
    const state = reserve(12);
    overWindows(bytes, size, before, (input, length) => core.scanLines(input, length, state));
    return { found: words[state >>> 2] as number, lone: words[(state >>> 2) + 1] as number };
  } finally {
    core.wipe(base);
  }
}

/** What the kernel looks at behind a window: LF, and the start of a line. */
const AHEAD = 6;
/** Octets of a window where each piece pays for wiping one: half a piece of the usual 64 KiB. */
const PIECE_WINDOW = 32 * 1024 + AHEAD;

/** {@link scanLines} of a text that comes in pieces. */
export class LineScanner {
  private found = 0;
  private lone = 0;
  private line = 0; // octets of the line that goes on
  private before = LF;
  private held = new Uint8Array(0);

  write(bytes: Uint8Array): void {
    const base = reserve(0);
    try {
      const state = reserve(12);
      const room = Math.min(bytes.length + AHEAD, PIECE_WINDOW);
      const input = reserve(room + 2 * MARGIN) + MARGIN;
      words.set([this.found, this.lone, this.line], state >>> 2);
      for (let at = 0; at < bytes.length; ) {
        const window = bytes.subarray(at, at + room - this.held.length);
        octets.set(this.held, input);
        octets.set(window, input + this.held.length);
        at += window.length;
        this.run(input, this.held.length + window.length, AHEAD, state);
      }
    } finally {
      core.wipe(base);
    }
  }

  /** After the last piece; what comes then is another text. */
  end(): { found: number; lone: number } {
    const base = reserve(0);
    try {
      const state = reserve(12);
      const input = reserve(AHEAD + 2 * MARGIN) + MARGIN;
      words.set([this.found, this.lone, this.line], state >>> 2);
      octets.set(this.held, input);
      this.run(input, this.held.length, 0, state);
      const { found, lone } = this;
      this.found = this.lone = this.line = 0;
      this.before = LF;
      return { found, lone };
    } finally {
      core.wipe(base);
    }
  }

  /** Scans a window of which `ahead` octets are kept for the next one. */
  private run(input: number, filled: number, ahead: number, state: number): void {
    const length = Math.max(0, filled - ahead);
    if (length > 0) {
      octets[input - 1] = this.before;
      octets.fill(0, input + filled, input + filled + MARGIN);
      core.scanLines(input, length, state);
      this.found = words[state >>> 2] as number;
      this.lone = words[(state >>> 2) + 1] as number;
      this.line = words[(state >>> 2) + 2] as number;
      this.before = octets[input + length - 1] as number;
    }
    this.held = octets.slice(input + length, input + filled);
  }
}

/** Makes the `lone` line ends that {@link scanLines} counted CRLF. */
export function canonicalLines(
  bytes: Uint8Array,
  lone: number,
  size = bytes.length,
  before = LF,
): Uint8Array {
  const out = Buffer.allocUnsafe(size + lone);
  const base = reserve(0);
  try {
    const output = reserve(Math.min(size, WINDOW) * 2 + MARGIN);
    let written = 0;
    overWindows(bytes, size, before, (input, length) => {
      const made = core.canonicalLines(input, length, output);
      out.set(octets.subarray(output, output + made), written);
      written += made;
    });
    return out;
  } finally {
    core.wipe(base);
  }
}

/** Lays windows of a text into memory with their neighbours: zeros behind it. */
function overWindows(
  bytes: Uint8Array,
  size: number,
  before: number,
  run: (input: number, length: number) => void,
): void {
  const input = reserve(Math.min(size, WINDOW) + 2 * MARGIN) + MARGIN;
  for (let at = 0; at < size; at += WINDOW) {
    const length = Math.min(WINDOW, size - at);
    octets[input - 1] = at === 0 ? before : (bytes[at - 1] as number);
    octets.set(bytes.subarray(at, at + length + MARGIN), input);
    const behind = bytes.length - at - length;
    if (behind < MARGIN) octets.fill(0, input + length + behind, input + length + MARGIN);
    run(input, length);
  }
}
