/**
 * The only file that knows WebAssembly: loads dist/core.wasm, copies in, calls a kernel, copies out, wipes, and turns
 * a kernel's status into a MailsealError. Everything is synchronous; nothing of a call stays in WASM memory.
 */
import { readFileSync } from 'node:fs';
import { type ErrorCode, MailsealError } from './errors.js';

// Neither lib.es2023 nor @types/node 20 declares what we use of it, and lib.dom would declare far more.
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
  }
  class Instance {
    constructor(module: Module);
    readonly exports: object;
  }
}

interface Core {
  readonly memory: { readonly buffer: ArrayBuffer };
  reserve(size: number): number;
  wipe(base: number): void;
  parseTape(
    input: number,
    length: number,
    tape: number,
    maxRecords: number,
    stack: number,
    maxDepth: number,
    mode: number,
    result: number,
  ): number;
  encodeBase64Lines(input: number, length: number, output: number): number;
  decodeBase64(input: number, length: number, output: number, state: number): number;
  scanLines(input: number, length: number, state: number): void;
  canonicalLines(input: number, length: number, output: number): number;
}

// The same path from src/ (tests, benchmarks) and from dist/ (the package).
const module_ = new WebAssembly.Module(readFileSync(new URL('../dist/core.wasm', import.meta.url)));
const core = new WebAssembly.Instance(module_).exports as unknown as Core;

let octets = new Uint8Array(core.memory.buffer);
let words = new Uint32Array(core.memory.buffer);

/** Reserves octets in the arena, and renews the views when memory has grown under them. */
function reserve(size: number): number {
  const pointer = size < 0xffff_0000 ? core.reserve(size) >>> 0 : 0;
  if (pointer === 0) throw new MailsealError('LIMIT_LENGTH', `${size} octets do not fit in memory`);
  if (octets.buffer !== core.memory.buffer) {
    octets = new Uint8Array(core.memory.buffer);
    words = new Uint32Array(core.memory.buffer);
  }
  return pointer;
}

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

/**
 * Parses BER or DER to a tape (its layout stands in assembly/tape.ts), four u32 a record.
 * @throws MailsealError with the byte offset
 */
export function parseTape(bytes: Uint8Array, mode: TapeMode): Uint32Array {
  // Most inputs have a record for every 16 octets or fewer. One that has more is parsed again with room for all.
  const likely = Math.min(mode.maxRecords, (bytes.length >>> 4) + 64);
  return tryTape(bytes, mode, likely) ?? (tryTape(bytes, mode, mode.maxRecords) as Uint32Array);
}

/** Undefined if `room` is too small and `mode.maxRecords` is more. */
function tryTape(bytes: Uint8Array, mode: TapeMode, room: number): Uint32Array | undefined {
  const base = reserve(0);
  try {
    const records = Math.min(room, (bytes.length >>> 1) + 1); // a record takes two octets at least
    const result = reserve(8);
    const stack = reserve(mode.maxDepth * 16);
    const input = reserve(bytes.length);
    const tape = reserve(records * RECORD_OCTETS);
    octets.set(bytes, input);
    const bits = (mode.strict ? 1 : 0) | (mode.trailing ? 2 : 0);
    const status = core.parseTape(input, bytes.length, tape, records, stack, mode.maxDepth, bits, result);
    const count = words[result >>> 2] as number;
    if (status === 0) return words.slice(tape >>> 2, (tape >>> 2) + count * 4);
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
