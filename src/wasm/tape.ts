/** The BER and DER parser of assembly/tape.ts. Called by asn1/tape.ts. */
import { type ErrorCode, MailsealError } from '../errors.js';
import { core, octets, reserve, words } from './instance.js';

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
const STACK_OCTETS = 16;
const STATE_OCTETS = 32;

export interface TapeMode {
  strict: boolean;
  trailing: boolean;
  maxDepth: number;
  maxRecords: number;
  /** Whether the tape gets an array of its own, however small it is: for what is kept long. */
  own: boolean;
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

/** Octets of the input that lie in WASM memory at a time: headers are looked at, contents are skipped. */
const WINDOW = 1 << 16;
const NEED_INPUT = 9;

/** Undefined if `room` is too small and `mode.maxRecords` is more. */
function tryTape(bytes: Uint8Array, mode: TapeMode, room: number): Tape | undefined {
  const { length } = bytes;
  const records = Math.min(room, (length >>> 1) + 1); // a record takes two octets at least
  const small = records <= SLAB_RECORDS && !mode.own;
  if (small && records > slab.length / 4 - slabUsed) {
    slab = new Uint32Array(SLAB_RECORDS * 4);
    slabUsed = 0;
  }
  const first = small ? slabUsed : 0;
  const window = mode.strict ? length : Math.min(length, WINDOW);
  // One reservation for all: each is a call into WASM.
  const state = reserve(STATE_OCTETS + mode.maxDepth * STACK_OCTETS + records * RECORD_OCTETS + window);
  try {
    const stack = state + STATE_OCTETS;
    const tape = stack + mode.maxDepth * STACK_OCTETS;
    const input = tape + records * RECORD_OCTETS;
    const bits = (mode.strict ? 1 : 0) | (mode.trailing ? 2 : 0);
    core.startTape(state, length, tape, stack, first);
    let status = NEED_INPUT;
    for (let at = 0; status === NEED_INPUT; at = words[state >>> 2] as number) {
      const known = Math.min(at + window, length);
      octets.set(window === length ? bytes : bytes.subarray(at, known), input);
      status = core.parseTape(state, input - at, known, length, input, stack, tape, bits);
    }
    if (status === 0) {
      const count = (words[(state >>> 2) + 2] as number) - first;
      const parsed = words.subarray(tape >>> 2, (tape >>> 2) + count * 4);
      if (!small) return { records: parsed.slice(), first };
      slab.set(parsed, first * 4);
      slabUsed += count;
      return { records: slab, first };
    }
    if (status === TOO_MANY_RECORDS && records < mode.maxRecords && records === room) return undefined;
    const [code, message] = TAPE_ERRORS[status] ?? ['ASN1_BAD_VALUE', `status ${status}`];
    throw new MailsealError(code, message, { offset: words[(state >>> 2) + 6] });
  } finally {
    core.wipe(state);
  }
}
