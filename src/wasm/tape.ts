/** The BER and DER parser of assembly/tape.ts: one input, or many in one call. Called by asn1/tape.ts. */
import { type ErrorCode, MailsealError } from '../errors.js';
import { core, octets, reserve, words } from './instance.js';

/** What the parser answers; also for asn1/split.ts, which reads headers as they come and says the same of them. */
export const TapeStatus = {
  TRUNCATED: 1,
  BAD_TAG: 2,
  BAD_LENGTH: 3,
  TRAILING_DATA: 5,
  TOO_DEEP: 6,
} as const;
const TOO_MANY_RECORDS = 7;
const NEED_INPUT = 9;
const TAPE_ERRORS: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  [TapeStatus.TRUNCATED]: ['ASN1_TRUNCATED', 'the input ends inside a value'],
  [TapeStatus.BAD_TAG]: ['ASN1_BAD_TAG', 'identifier octets that X.690 does not allow'],
  [TapeStatus.BAD_LENGTH]: [
    'ASN1_BAD_LENGTH',
    'length octets that X.690 does not allow, or that lead out of the enclosing value',
  ],
  4: ['ASN1_NOT_DER', 'BER where DER is required'],
  [TapeStatus.TRAILING_DATA]: ['ASN1_TRAILING_DATA', 'octets after the end of the value'],
  [TapeStatus.TOO_DEEP]: ['LIMIT_DEPTH', 'values are nested too deep'],
  [TOO_MANY_RECORDS]: ['LIMIT_RECORDS', 'too many values'],
  8: ['ASN1_BAD_VALUE', 'content octets that X.690 does not allow for this type'],
};

const RECORD_OCTETS = 16;
const STATE_OCTETS = 36;
const JOB_OCTETS = 12;
/** What the parser may load behind an input. */
const SLACK_OCTETS = 4;
/** A record lies in one line of the cache. */
const aligned = (octets: number): number => (octets + 15) & ~15;

export interface TapeMode {
  strict: boolean;
  trailing: boolean;
  maxDepth: number;
  maxRecords: number;
  maxLength: number;
  /** Whether the tape gets an array of its own, however small it is: for what is kept long. */
  own: boolean;
}

/** A parsed input. */
export interface Tape {
  readonly bytes: Uint8Array;
  /** Where `bytes` lies: views are made twice as fast from these as from it. */
  readonly buffer: ArrayBufferLike;
  readonly byteOffset: number;
  /** Four u32 a record. Other tapes may lie beside this one. */
  readonly records: Uint32Array;
  /** Index of the root's record. */
  readonly first: number;
}

function tapeOf(bytes: Uint8Array, records: Uint32Array, first: number): Tape {
  return { bytes, buffer: bytes.buffer, byteOffset: bytes.byteOffset, records, first };
}

/**
 * Small tapes share an array, one behind the other, and none is ever overwritten: making an array for each takes longer
 * than parsing a certificate. A slab lives as long as a node of it does.
 */
const SLAB_RECORDS = 4096;
const SMALL_OCTETS = 1 << 13;
let slab = new Uint32Array(SLAB_RECORDS * 4);
let slabUsed = 0;

/** Octets of the input that lie in WASM memory at a time: headers are looked at, contents are skipped. */
const WINDOW = 1 << 16;
/** Most inputs have a record for every 8 octets or fewer. One that has more is parsed again with room for all. */
const usualRecords = (octets: number): number => (octets >>> 3) + 16;

/**
 * Parses BER or DER to a tape (its layout stands in assembly/tape.ts).
 * @throws MailsealError with the byte offset
 */
export function parseTape(bytes: Uint8Array, mode: TapeMode): Tape {
  const { length } = bytes;
  if (length > mode.maxLength) throw tooLong(length, mode);
  const most = Math.min((length >>> 1) + 1, mode.maxRecords); // a record takes two octets at least
  const usual = Math.min(most, usualRecords(length));
  if (length <= SMALL_OCTETS && !mode.own) {
    if (SLAB_RECORDS - slabUsed < usual) newSlab();
    const tape = tryTape(bytes, mode, Math.min(most, SLAB_RECORDS - slabUsed), most, true);
    if (tape !== undefined) return tape;
  }
  return tryTape(bytes, mode, usual, most, false) ?? (tryTape(bytes, mode, most, most, false) as Tape);
}

/** Undefined if the input has more records than there is room for, and may have them. */
function tryTape(
  bytes: Uint8Array,
  mode: TapeMode,
  room: number,
  most: number,
  small: boolean,
): Tape | undefined {
  const { length } = bytes;
  const first = small ? slabUsed : 0;
  const window = mode.strict ? length : Math.min(length, WINDOW);
  const inputAt = aligned(STATE_OCTETS) + room * RECORD_OCTETS;
  const state = reserve(inputAt + window + SLACK_OCTETS); // once for all: each is a call into WASM
  try {
    const tape = state + aligned(STATE_OCTETS);
    const input = state + inputAt;
    core.startTape(state, length, tape, first, mode.maxDepth);
    let status = NEED_INPUT;
    for (let at = 0; status === NEED_INPUT; at = words[state >>> 2] as number) {
      const known = Math.min(at + window, length);
      octets.set(window === length ? bytes : bytes.subarray(at, known), input);
      status = core.parseTape(state, input - at, known, length, input, modeBits(mode));
    }
    if (status === 0) {
      const count = (words[(state >>> 2) + 2] as number) - first;
      return tapeOf(bytes, keep(tape, count, small), first);
    }
    if (status === TOO_MANY_RECORDS && room < most) return undefined;
    throw tapeError(status, words[(state >>> 2) + 6] as number);
  } finally {
    core.wipe(state);
  }
}

const MAX_JOBS = 4096;

/** Parses each input as {@link parseTape} does. One result for each, in order. */
export function parseTapes(inputs: readonly Uint8Array[], mode: TapeMode): (Tape | MailsealError)[] {
  const results: (Tape | MailsealError)[] = [];
  while (results.length < inputs.length) {
    if (mode.own || !parseWindow(inputs, mode, results)) {
      results.push(attempt(inputs[results.length] as Uint8Array, mode));
    }
  }
  return results;
}

function attempt(bytes: Uint8Array, mode: TapeMode): Tape | MailsealError {
  try {
    return parseTape(bytes, mode);
  } catch (error) {
    if (error instanceof MailsealError) return error;
    throw error;
  }
}

/**
 * Parses as many of the next inputs as fit in a window, in one call, and adds what they give to `results`.
 * @returns false if the first of them does not fit, or its records
 */
function parseWindow(
  inputs: readonly Uint8Array[],
  mode: TapeMode,
  results: (Tape | MailsealError)[],
): boolean {
  const from = results.length;
  const most = Math.min(inputs.length, from + MAX_JOBS);
  let size = 0;
  let to = from;
  for (; to < most; to++) {
    const { length } = inputs[to] as Uint8Array;
    if (length > mode.maxLength || size + length > WINDOW) break;
    size += length;
  }
  const small = size <= SMALL_OCTETS;
  if (small && SLAB_RECORDS - slabUsed < usualRecords(size)) newSlab();
  const first = small ? slabUsed : 0;
  const room = small ? SLAB_RECORDS - slabUsed : usualRecords(WINDOW);
  const recordsAt = aligned(STATE_OCTETS + (to - from) * JOB_OCTETS);
  const inputAt = recordsAt + room * RECORD_OCTETS;
  const state = reserve(inputAt + size + SLACK_OCTETS);
  try {
    const jobs = state + STATE_OCTETS;
    let at = state + inputAt;
    for (let i = from, job = jobs >>> 2; i < to; i++, job += 3) {
      const bytes = inputs[i] as Uint8Array;
      octets.set(bytes, at);
      words[job] = at;
      words[job + 1] = bytes.length;
      at += bytes.length;
    }
    const tape = state + recordsAt;
    const { maxDepth, maxRecords } = mode;
    const done = core.parseTapes(
      state,
      jobs,
      to - from,
      tape,
      state + inputAt,
      first,
      maxDepth,
      maxRecords,
      modeBits(mode),
    );
    const records = keep(tape, (words[(state >>> 2) + 2] as number) - first, small);
    for (let i = 0, job = jobs >>> 2; i < done; i++, job += 3) {
      const status = words[job] as number;
      results.push(
        status === 0
          ? tapeOf(inputs[from + i] as Uint8Array, records, words[job + 2] as number)
          : tapeError(status, words[job + 1] as number),
      );
    }
    return done > 0;
  } finally {
    core.wipe(state);
  }
}

/** Copies records out of WASM memory. */
function keep(tape: number, count: number, small: boolean): Uint32Array {
  const fits = small && count <= VIEW_RECORDS && SLAB_RECORDS - slabUsed >= VIEW_RECORDS;
  const parsed = fits ? viewOf(tape) : words.subarray(tape >>> 2, (tape >>> 2) + count * 4);
  if (small) {
    slab.set(parsed, slabUsed * 4);
    slabUsed += count;
    return slab;
  }
  // Not parsed.slice(), which fills the memory with zeros first.
  const records = new Uint32Array(Buffer.allocUnsafeSlow(count * RECORD_OCTETS).buffer);
  records.set(parsed);
  return records;
}

/**
 * Making a view takes longer than copying what a certificate has. Small tapes lie in the same place each time, so the
 * last view is kept; it may show more records than there are, which the next tape in the slab overwrites.
 */
const VIEW_RECORDS = 128;
let view = new Uint32Array(0);
let viewAt = 0;
let viewIn = words;

function viewOf(tape: number): Uint32Array {
  if (tape !== viewAt || words !== viewIn) {
    view = words.subarray(tape >>> 2, (tape >>> 2) + VIEW_RECORDS * 4);
    viewAt = tape;
    viewIn = words;
  }
  return view;
}

function newSlab(): void {
  slab = new Uint32Array(SLAB_RECORDS * 4);
  slabUsed = 0;
}

const modeBits = ({ strict, trailing }: TapeMode): number => (strict ? 1 : 0) | (trailing ? 2 : 0);

function tooLong(length: number, { maxLength }: TapeMode): MailsealError {
  return new MailsealError('LIMIT_LENGTH', `${length} octets, the limit is ${maxLength} (option maxLength)`);
}

export function tapeError(status: number, offset: number): MailsealError {
  const [code, message] = TAPE_ERRORS[status] ?? ['ASN1_BAD_VALUE', `status ${status}`];
  return new MailsealError(code, message, { offset });
}
