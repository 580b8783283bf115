/**
 * With wasm/, the only code that knows WebAssembly: copies in, calls a kernel, copies out, wipes, and turns a kernel's
 * status into a MailsealError. Everything is synchronous; nothing of a call stays in WASM memory.
 */
import { type ErrorCode, MailsealError } from './errors.js';
import { core, octets, reserve, words } from './wasm/instance.js';

export {
  type DecryptJob,
  type Derivation,
  type KdfHash,
  type MacJob,
  type PbeCipherName,
  type PbeResults,
  rsaUnwrapPkcs1,
  runPbeJobs,
} from './wasm/pbe.js';

const TOO_MANY_RECORDS = 7;
const TAPE_ERRORS: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  1: ['ASN1_TRUNCATED', 'the input ends inside a value'],
  2: ['ASN1_BAD_TAG', 'identifier octets that X.690 does not allow'],
  3: ['ASN1_BAD_LENGTH', 'length octets that X.690 does not allow, or that lead out of the enclosing value'],
  4: ['ASN1_NOT_DER', 'BER where DER is required'],
  5: ['ASN1_TRAILING_DATA', 'octets after the end of the value'],
  6: ['LIMIT_DEPTH', 'values are nested too deep'],
  [TOO_MANY_RECORDS]: ['LIMIT_RECORDS', 'too many values'],
  8: ['ASN1_BAD_VALUE', 'content octets that X.690 does not allow for this type'],
};

const RECORD_OCTETS = 16;

export interface TapeMode {
  strict: boolean;
  trailing: boolean;
  maxDepth: number;
  maxRecords: number;
}

/** Records of a tape, four u32 each; its root is record `first`. Other tapes may lie beside it. */
export interface Tape {
  readonly records: Uint32Array;
  readonly first: number;
}

/**
 * Small tapes share an array, one behind the other, and none is ever overwritten: making an array for each takes longer
 * than parsing a certificate. A slab lives as long as a node of it does.
 */
const SLAB_RECORDS = 4096;
let slab = new Uint32Array(0);
let slabUsed = 0;

/**
 * Parses BER or DER to a tape (its layout stands in assembly/tape.ts).
 * @throws MailsealError with the byte offset
 */
export function parseTape(bytes: Uint8Array, mode: TapeMode): Tape {
  // Most inputs have a record for every 16 octets or fewer. One that has more is parsed again with room for all.
  const likely = Math.min(mode.maxRecords, (bytes.length >>> 4) + 64);
  return tryTape(bytes, mode, likely) ?? (tryTape(bytes, mode, mode.maxRecords) as Tape);
}

/** Undefined if `room` is too small and `mode.maxRecords` is more. */
function tryTape(bytes: Uint8Array, mode: TapeMode, room: number): Tape | undefined {
  const base = reserve(0);
  try {
    const records = Math.min(room, (bytes.length >>> 1) + 1); // a record takes two octets at least
    if (records > slab.length / 4 - slabUsed) {
      slab = new Uint32Array(Math.max(records, SLAB_RECORDS) * 4);
      slabUsed = 0;
    }
    const result = reserve(8);
    const stack = reserve(mode.maxDepth * 16);
    const input = reserve(bytes.length);
    const tape = reserve(records * RECORD_OCTETS);
    octets.set(bytes, input);
    const bits = (mode.strict ? 1 : 0) | (mode.trailing ? 2 : 0);
    const first = slabUsed;
    const status = core.parseTape(
      input,
      bytes.length,
      tape,
      records,
      stack,
      mode.maxDepth,
      bits,
      first,
      result,
    );
    const count = words[result >>> 2] as number;
    if (status === 0) {
      slab.set(words.subarray(tape >>> 2, (tape >>> 2) + count * 4), first * 4);
      slabUsed += count;
      return { records: slab, first };
    }
    if (status === TOO_MANY_RECORDS && records < mode.maxRecords && records === room) return undefined;
    const [code, message] = TAPE_ERRORS[status] ?? ['ASN1_BAD_VALUE', `status ${status}`];
    throw new MailsealError(code, message, { offset: words[(result >>> 2) + 1] });
  } finally {
    core.wipe(base);
  }
}

/** Octets that the text kernels take at a time: whole base64 lines, and few enough to stay in the L2 cache. */
const WINDOW = 57 * 1024;
const MARGIN = 32; // what the kernels may read or write beyond what they use

/** Base64 in lines of 76 characters, CRLF behind each (RFC 2045 section 6.8). */
export function encodeBase64Lines(bytes: Uint8Array): Uint8Array {
  const rest = bytes.length % 57;
  const out = Buffer.allocUnsafe(
    Math.floor(bytes.length / 57) * 78 + (rest === 0 ? 0 : Math.ceil(rest / 3) * 4 + 2),
  );
  const base = reserve(0);
  try {
    const room = Math.min(bytes.length, WINDOW);
    const input = reserve(room + MARGIN);
    const output = reserve(Math.ceil(room / 57) * 78 + MARGIN);
    for (let at = 0, written = 0; at < bytes.length; at += WINDOW) {
      const window = bytes.subarray(at, at + WINDOW);
      octets.set(window, input);
      const length = core.encodeBase64Lines(input, window.length, output);
      out.set(octets.subarray(output, output + length), written);
      written += length;
    }
    return out;
  } finally {
    core.wipe(base);
  }
}

/** Strict base64 over line breaks.
 * @throws MailsealError MIME_MALFORMED with the offset of a foreign character, or if the text ends early */
export function decodeBase64(bytes: Uint8Array): Uint8Array {
  const out = Buffer.allocUnsafe(Math.floor(bytes.length / 4) * 3 + 3);
  const base = reserve(0);
  try {
    const state = reserve(12);
    const room = Math.min(bytes.length, WINDOW);
    const input = reserve(room + MARGIN);
    const output = reserve(room + MARGIN);
    let written = 0;
    for (let at = 0; at < bytes.length; at += WINDOW) {
      const window = bytes.subarray(at, at + WINDOW);
      octets.set(window, input);
      const status = core.decodeBase64(input, window.length, output, state);
      const length = words[(state >>> 2) + 2] as number;
      if (status !== 0) {
        throw new MailsealError('MIME_MALFORMED', 'a character that is not base64', { offset: at + length });
      }
      out.set(octets.subarray(output, output + length), written);
      written += length;
    }
    const gathered = words[(state >>> 2) + 1];
    if (gathered !== 0 && gathered !== 4) {
      throw new MailsealError('MIME_MALFORMED', 'the base64 ends early', { offset: bytes.length });
    }
    return out.subarray(0, written);
  } finally {
    core.wipe(base);
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

/** The hazards in a text, as bits, and how many line ends are not CRLF. */
export function scanLines(bytes: Uint8Array): { found: number; lone: number } {
  const base = reserve(0);
  try {
    const state = reserve(12);
    overWindows(bytes, (input, length) => core.scanLines(input, length, state));
    return { found: words[state >>> 2] as number, lone: words[(state >>> 2) + 1] as number };
  } finally {
    core.wipe(base);
  }
}

/** Makes the `lone` line ends that {@link scanLines} counted CRLF. */
export function canonicalLines(bytes: Uint8Array, lone: number): Uint8Array {
  const out = Buffer.allocUnsafe(bytes.length + lone);
  const base = reserve(0);
  try {
    const output = reserve(Math.min(bytes.length, WINDOW) * 2 + MARGIN);
    let written = 0;
    overWindows(bytes, (input, length) => {
      const size = core.canonicalLines(input, length, output);
      out.set(octets.subarray(output, output + size), written);
      written += size;
    });
    return out;
  } finally {
    core.wipe(base);
  }
}

/** Lays windows of a text into memory with their neighbours: LF before the text, zeros behind it. */
function overWindows(bytes: Uint8Array, run: (input: number, length: number) => void): void {
  const input = reserve(Math.min(bytes.length, WINDOW) + 2 * MARGIN) + MARGIN;
  for (let at = 0; at < bytes.length; at += WINDOW) {
    const length = Math.min(WINDOW, bytes.length - at);
    octets[input - 1] = at === 0 ? 0x0a : (bytes[at - 1] as number);
    octets.set(bytes.subarray(at, at + length + MARGIN), input);
    const behind = bytes.length - at - length;
    if (behind < MARGIN) octets.fill(0, input + length + behind, input + length + MARGIN);
    run(input, length);
  }
}
