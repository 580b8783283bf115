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
