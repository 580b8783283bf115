/**
 * Canonical line ends and the transfer encodings of transfer.ts over texts that come in chunks: the same octets as those
 * functions give of the whole. Called by prepare.ts, base64.ts and verify.ts.
 *
 * Refused with LIMIT_LENGTH: over 1 MiB of white space in one run of quoted-printable, which may have to be dropped.
 */
import { buffer, concat, copy, inPieces } from '../../bytes.js';
import { MailsealError } from '../../errors.js';
import { canonicalLines, scanLines } from '../../wasm.js';
import { type Converted, decodeQuotedPart, encodeBase64Lines, encodeQuotedPart } from '../transfer.js';

const LF = 0x0a;
const CR = 0x0d;
const EQUALS = 0x3d;
/** Octets that wait for what comes behind them. */
const MAX_WAITING = 1 << 20;
/** Octets that make a line of base64. */
const BASE64_LINE = 57;

/** Converts a piece; `last` if nothing comes behind it. Of one text only. */
export type Step = (octets: Uint8Array, last: boolean) => Converted;

export async function* convert(source: AsyncIterable<Uint8Array>, step: Step): AsyncGenerator<Uint8Array> {
  let waiting: Uint8Array = new Uint8Array(0);
  for await (const chunk of source) {
    const octets = waiting.length === 0 ? chunk : concat([waiting, chunk]);
    const { made, used } = step(octets, false);
    waiting = copy(octets.subarray(used));
    if (waiting.length > MAX_WAITING) {
      throw new MailsealError('LIMIT_LENGTH', `white space over ${MAX_WAITING} octets in quoted-printable`);
    }
    if (made.length > 0) yield made;
  }
  const { made } = step(waiting, true);
  if (made.length > 0) yield made;
}

/** Makes every line end CRLF. */
export function toCanonical(): Step {
  let before = LF;
  return (octets, last) => {
    // A CR is judged by what stands behind it.
    const used = !last && octets[octets.length - 1] === CR ? octets.length - 1 : octets.length;
    const { lone } = scanLines(octets, used, before);
    const made = lone === 0 ? octets.subarray(0, used) : canonicalLines(octets, lone, used, before);
    before = octets[used - 1] ?? before;
    return { made, used };
  };
}

export function toQuotedPrintable(): Step {
  const state = { column: 0 };
  return (octets, last) => encodeQuotedPart(octets, last, state);
}

export function fromQuotedPrintable(strict: boolean): Step {
  return (octets, last) => decodeQuotedPart(octets, last, strict);
}

/** Base64 lines. @param lastLineEnd whether the last one ends in CRLF */
export function toBase64Lines(lastLineEnd: boolean): Step {
  return (octets, last) => {
    // Whole lines, and only if something comes behind them.
    const used = last
      ? octets.length
      : Math.floor(Math.max(0, octets.length - 1) / BASE64_LINE) * BASE64_LINE;
    const made = encodeBase64Lines(inPieces([octets.subarray(0, used)]));
    return { made: last && !lastLineEnd ? made.subarray(0, -'\r\n'.length) : made, used };
  };
}

const FOREIGN = /[^A-Za-z0-9+/_-]/g;

/** What can be read of base64: foreign characters are skipped, and `=` is the end, as decodeBase64 has it. */
export function fromLenientBase64(): Step {
  let ended = false;
  let left = '';
  return (octets, last) => {
    if (ended) return { made: octets.subarray(0, 0), used: octets.length };
    const padding = octets.indexOf(EQUALS);
    ended = padding >= 0 || last;
    const text = left + buffer(octets).toString('latin1', 0, padding < 0 ? octets.length : padding);
    const characters = text.replace(FOREIGN, '');
    const whole = ended ? characters.length : characters.length - (characters.length % 4);
    left = characters.slice(whole);
    return { made: Buffer.from(characters.slice(0, whole), 'base64'), used: octets.length };
  };
}
