/**
 * A message that comes in chunks. What fits into memory is taken whole and goes the way of messages that are all there;
 * of what is longer the header is taken, and the rest goes on as it comes. Used by all streams of this folder.
 */
import { Readable } from 'node:stream';
import { Gatherer } from '../../asn1/headers.js';
import { concat, Gathered, plain } from '../../bytes.js';
import { MailsealError } from '../../errors.js';
import type { SpoolOptions } from '../../spool.js';
import { MAX_HEADER_LENGTH } from '../headers.js';
import { BlankLine } from './blankline.js';

/**
 * A message as a stream: a Readable of node:stream, or anything else that gives octets. What it has given must not change
 * afterwards: it is kept, not copied.
 */
export type MessageStream = AsyncIterable<Uint8Array>;

export interface StreamOptions {
  readonly spool?: SpoolSettings;
}

/** How much of a message is kept, and where, until it may be given out or can be gone through once more. */
export interface SpoolSettings {
  /** Octets that are kept in memory; a message of no more is handled as one that is all there. Default 2^24. */
  readonly memory?: number;
  /**
   * Most octets that are read of a stream, whether they are kept or not (a multipart may have any number around its parts),
   * and most that are kept of what comes out of it, in memory and on disk: more are refused (LIMIT_LENGTH). Default 2^33.
   */
  readonly maxLength?: number;
  /** Folder of the temporary file. Default: that of the system. */
  readonly directory?: string;
}

const EMPTY = new Uint8Array(0);

const DEFAULT_MEMORY = 2 ** 24;
const DEFAULT_MAX_LENGTH = 2 ** 33;

function withDefaults(settings: SpoolSettings = {}): SpoolOptions & { readonly maxLength: number } {
  const { memory = DEFAULT_MEMORY, maxLength = DEFAULT_MAX_LENGTH, directory } = settings;
  return { memory, maxLength, ...(directory !== undefined && { directory }) };
}

/** @throws TypeError for what gives no octets, or was read already: it would be an empty message */
export function assertMessage(
  message: unknown,
  what = 'message',
): asserts message is Uint8Array | MessageStream {
  if (message instanceof Uint8Array) return;
  if (message instanceof Readable && message.readableEnded) {
    throw new TypeError(`${what} is a stream that was read already`);
  }
  if (typeof message === 'object' && message !== null && Symbol.asyncIterator in message) return;
  throw new TypeError(`${what} must be a Uint8Array or a stream of them`);
}

/**
 * Runs `whole` on a message that fits into memory, `long` on one that does not. The stream is ended when it fails; else
 * `long` has read it to its end, or hands it on.
 * @param what it is, for errors
 * @throws MailsealError LIMIT_LENGTH, also while `long` reads
 */
export function receive<T>(
  message: MessageStream,
  options: StreamOptions,
  whole: (message: Uint8Array, settings: SpoolOptions) => Promise<T>,
  long: (incoming: Incoming, settings: SpoolOptions) => Promise<T>,
  what?: 'message' | 'content',
): Promise<T> {
  return receiveChunks(message, options, (chunks, settings) => whole(concat(chunks), settings), long, what);
}

/** {@link receive} for who needs a message in one piece only now and then. */
export async function receiveChunks<T>(
  message: MessageStream,
  { spool }: StreamOptions,
  whole: (chunks: readonly Uint8Array[], settings: SpoolOptions) => Promise<T>,
  long: (incoming: Incoming, settings: SpoolOptions) => Promise<T>,
  what: 'message' | 'content' = 'message',
): Promise<T> {
  const settings = withDefaults(spool);
  const incoming = new Incoming(message, settings.maxLength, what);
  return endedIfFails([incoming], async () => {
    const chunks = await incoming.whole(settings.memory);
    return chunks === undefined ? long(incoming, settings) : whole(chunks, settings);
  });
}

/** Streams that an Incoming reads, and ends: they may give another iterator to whoever asks once more. */
const owned = new WeakSet<object>();

/**
 * What `run` gives; if it fails, those of what was given that are streams are told to end, if nobody else does so: nobody reads
 * them any more. They do it in their own time, which may be never.
 */
export async function endedIfFails<T>(given: readonly unknown[], run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    for (const one of given) void end(one).catch(() => undefined); // what went wrong first is told
    throw error;
  }
}

async function end(given: unknown): Promise<void> {
  if (typeof given !== 'object' || given === null || owned.has(given)) return;
  if (Symbol.asyncIterator in given) await new Incoming(given as MessageStream).return();
}

/** Octets that small chunks are gathered to: whoever sends chooses how many come, and each costs time and memory. */
const GATHERED = 1 << 16;

/** Octets of a stream, to be read once. */
export class Incoming implements AsyncIterableIterator<Uint8Array> {
  readonly #stream: AsyncIterable<Uint8Array>;
  readonly #source: AsyncIterator<Uint8Array>;
  /** Taken from the source, and still to come out. */
  #ahead: Uint8Array[] = [];
  /** Of the source, what does not go into the chunk before any more. */
  #over: Uint8Array = EMPTY;
  readonly #gatherer = new Gatherer(GATHERED);
  readonly #most: number;
  readonly #what: string;
  #ended = false;
  #pulled = 0;

  /** @param most octets that are read @param what they are, for errors */
  constructor(source: AsyncIterable<Uint8Array>, most = Number.POSITIVE_INFINITY, what = '') {
    this.#most = most;
    this.#what = what;
    this.#stream = source;
    owned.add(source);
    // An error that it has while nobody waits for it is told when it is its turn; once it is ended, never.
    if (source instanceof Readable) source.on('error', () => undefined);
    this.#source = source[Symbol.asyncIterator]();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** @throws TypeError for a chunk that is none */
  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const value = this.#ahead.shift() ?? (await this.#pull());
    return value === undefined ? { done: true, value } : { done: false, value };
  }

  /** Tells the source to end, and does not wait for it: it may be waiting itself. */
  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#ahead = [];
    if (!this.#ended) {
      this.#ended = true;
      void this.#end().catch(() => undefined); // nobody wants anything of it any more
    }
    return { done: true, value: undefined };
  }

  async #end(): Promise<void> {
    // Its iterator does so only if it was asked for something, and not while that is to come.
    if (this.#stream instanceof Readable) this.#stream.destroy();
    else await this.#source.return?.();
  }

  /** Octets of the source that have come so far. */
  get offset(): number {
    return this.#pulled;
  }

  /** All octets, if there are no more than `most`; otherwise they are still to come. */
  async whole(most: number): Promise<Uint8Array[] | undefined> {
    let length = this.#ahead.reduce((sum, chunk) => sum + chunk.length, 0);
    while (length <= most) {
      const chunk = await this.#pull();
      if (chunk === undefined) return this.#ahead.splice(0);
      this.#ahead.push(chunk);
      length += chunk.length;
    }
    return undefined;
  }

  /**
   * The first octets, which no longer come then: the header of a mail with the blank line behind it, or where there is none
   * in as many octets as a header may have, so many and a few more; fewer if there are no more.
   */
  async header(): Promise<Uint8Array> {
    const head = new Gathered();
    const blank = new BlankLine();
    while (head.length <= MAX_HEADER_LENGTH) {
      const chunk = this.#ahead.shift() ?? (await this.#pull());
      if (chunk === undefined) break;
      const end = blank.find(chunk);
      head.add(chunk.subarray(0, end));
      if (end === undefined) continue;
      this.unshift(chunk.subarray(end));
      break;
    }
    return plain(head.bytes);
  }

  /** Octets that come next, before all others. */
  unshift(octets: Uint8Array): void {
    if (octets.length > 0) this.#ahead.unshift(octets);
  }

  async #pull(): Promise<Uint8Array | undefined> {
    for (;;) {
      const octets = this.#over.length > 0 ? this.#over : await this.#receive();
      if (octets === undefined) return this.#gatherer.end();
      const isLarge = octets.length >= GATHERED / 4;
      this.#over = octets;
      const before = isLarge ? this.#gatherer.end() : undefined;
      if (before !== undefined) return before;
      const part = isLarge ? octets : octets.subarray(0, this.#gatherer.room);
      this.#over = octets.subarray(part.length);
      const chunk = this.#gatherer.add(part);
      if (chunk !== undefined) return chunk;
    }
  }

  async #receive(): Promise<Uint8Array | undefined> {
    if (this.#ended) return undefined;
    const { done, value } = await this.#source.next();
    if (done === true) {
      this.#ended = true;
      return undefined;
    }
    if (!(value instanceof Uint8Array)) throw new TypeError('a message stream must give Uint8Arrays');
    this.#pulled += value.length;
    if (this.#pulled > this.#most) {
      const message = `a ${this.#what} stream of over ${this.#most} octets, the limit (option spool.maxLength)`;
      throw new MailsealError('LIMIT_LENGTH', message, { offset: this.#most });
    }
    return plain(value);
  }
}
