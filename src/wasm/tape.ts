/** The BER and DER parser of assembly/tape.ts: one input, or many in one call. Called by asn1/tape.ts. */
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
const STATE_OCTETS = 36;
const JOB_OCTETS = 12;
/** What the parser may load behind an input. */
const SLACK_OCTETS = 4;

export interface TapeMode {
  strict: boolean;
  trailing: boolean;
  maxDepth: number;
  maxRecords: number;
  maxLength: number;
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
let slab = new Uint32Array(SLAB_RECORDS * 4);
let slabUsed = 0;

/** Octets of input that lie in WASM memory at a time: of one long input, or of many short ones. */
const WINDOW = 1 << 16;
/** Most inputs have a record for every 8 octets or fewer. One that has more is parsed again with room for all. */
const WINDOW_RECORDS = WINDOW >>> 3;
/** Inputs of one octet must not need a job table that is far bigger than they. */
const MAX_JOBS = 4096;
/** Up to here inputs go to the slab: a quarter of it, as certificates are. */
const SMALL = 1 << 14;

/**
 * Parses BER or DER to a tape (its layout stands in assembly/tape.ts).
 * @throws MailsealError with the byte offset
 */
export function parseTape(bytes: Uint8Array, mode: TapeMode): Tape {
  const [tape] = parseTapes([bytes], mode);
  if (tape instanceof MailsealError) throw tape;
  return tape as Tape;
}

/** Parses each input as {@link parseTape} does, in windows of many. One result for each, in order. */
export function parseTapes(inputs: readonly Uint8Array[], mode: TapeMode): (Tape | MailsealError)[] {
  const results: (Tape | MailsealError)[] = [];
  while (results.length < inputs.length) {
    const from = results.length;
    const { length } = inputs[from] as Uint8Array;
    if (length > mode.maxLength) results.push(tooLong(length, mode));
    else if (length > WINDOW || !parseWindow(inputs, from, mode, results)) {
      results.push(parseLong(inputs[from] as Uint8Array, mode));
    }
  }
  return results;
}

function tooLong(length: number, { maxLength }: TapeMode): MailsealError {
  return new MailsealError('LIMIT_LENGTH', `${length} octets, the limit is ${maxLength} (option maxLength)`);
}

const modeBits = ({ strict, trailing }: TapeMode): number => (strict ? 1 : 0) | (trailing ? 2 : 0);

/**
 * As many inputs from `from` on as fit in a window; what they give is added to `results`.
 * @returns false if not even the first one's records have room
 */
function parseWindow(
  inputs: readonly Uint8Array[],
  from: number,
  mode: TapeMode,
  results: (Tape | MailsealError)[],
): boolean {
  let size = 0;
  let to = from;
  const most = Math.min(inputs.length, from + (mode.own ? 1 : MAX_JOBS));
  while (to < most) {
    const { length } = inputs[to] as Uint8Array;
    if (length > mode.maxLength || size + length > WINDOW) break;
    size += length;
    to++;
  }
  const small = size <= SMALL && !mode.own;
  if (small && SLAB_RECORDS - slabUsed < (size >>> 3) + 1) newSlab();
  const first = small ? slabUsed : 0;
  const room = small ? SLAB_RECORDS - slabUsed : WINDOW_RECORDS;

  const jobs = STATE_OCTETS;
  const input = jobs + (to - from) * JOB_OCTETS;
  const tape = (input + size + SLACK_OCTETS + 15) & ~15;
  const state = reserve(tape + room * RECORD_OCTETS);
  try {
    let at = state + input;
    for (let i = from, job = (state + jobs) >>> 2; i < to; i++, job += 3) {
      const bytes = inputs[i] as Uint8Array;
      octets.set(bytes, at);
      words[job] = at;
      words[job + 1] = bytes.length;
      at += bytes.length;
    }
    const records = state + tape;
    const done = core.parseTapes(
      state,
      state + jobs,
      to - from,
      records,
      records + room * RECORD_OCTETS,
      first,
      mode.maxDepth,
      mode.maxRecords,
      modeBits(mode),
    );
    if (done === 0) {
      if (!small || first === 0) return false;
      newSlab();
      return parseWindow(inputs, from, mode, results);
    }
    const count = (words[(state >>> 2) + 2] as number) - first;
    const parsed = words.subarray(records >>> 2, (records >>> 2) + count * 4);
    let array = slab;
    if (small) {
      slab.set(parsed, first * 4);
      slabUsed += count;
    } else array = parsed.slice();
    for (let i = 0, job = (state + jobs) >>> 2; i < done; i++, job += 3) {
      const status = words[job] as number;
      results.push(
        status === 0
          ? { records: array, first: words[job + 2] as number }
          : failure(status, words[job + 1] as number),
      );
    }
    return true;
  } finally {
    core.wipe(state);
  }
}

function newSlab(): void {
  slab = new Uint32Array(SLAB_RECORDS * 4);
  slabUsed = 0;
}

function failure(status: number, offset: number): MailsealError {
  const [code, message] = TAPE_ERRORS[status] ?? ['ASN1_BAD_VALUE', `status ${status}`];
  return new MailsealError(code, message, { offset });
}

const NEED_INPUT = 9;

/** One input that is longer than a window, or has more records than one. */
function parseLong(bytes: Uint8Array, mode: TapeMode): Tape | MailsealError {
  const likely = Math.min(mode.maxRecords, (bytes.length >>> 3) + 64);
  return tryLong(bytes, mode, likely) ?? (tryLong(bytes, mode, mode.maxRecords) as Tape | MailsealError);
}

/** Undefined if `room` is too small and `mode.maxRecords` is more. */
function tryLong(bytes: Uint8Array, mode: TapeMode, room: number): Tape | MailsealError | undefined {
  const { length } = bytes;
  const records = Math.min(room, (length >>> 1) + 1); // a record takes two octets at least
  const window = mode.strict ? length : Math.min(length, WINDOW);
  const input = STATE_OCTETS;
  const tape = (input + window + SLACK_OCTETS + 15) & ~15;
  // One reservation for all: each is a call into WASM.
  const state = reserve(tape + records * RECORD_OCTETS);
  try {
    core.startTape(state, length, state + tape, 0, mode.maxDepth);
    let status = NEED_INPUT;
    for (let at = 0; status === NEED_INPUT; at = words[state >>> 2] as number) {
      const known = Math.min(at + window, length);
      octets.set(window === length ? bytes : bytes.subarray(at, known), state + input);
      status = core.parseTape(
        state,
        state + input - at,
        known,
        length,
        state + tape + records * RECORD_OCTETS,
        modeBits(mode),
      );
    }
    if (status === 0) {
      const count = words[(state >>> 2) + 2] as number;
      const start = (state + tape) >>> 2;
      return { records: words.slice(start, start + count * 4), first: 0 };
    }
    if (status === TOO_MANY_RECORDS && records < mode.maxRecords && records === room) return undefined;
    return failure(status, words[(state >>> 2) + 6] as number);
  } finally {
    core.wipe(state);
  }
}
