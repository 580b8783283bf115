/**
 * Headers of BER values (X.690 8.1.2, 8.1.3) in octets that come in chunks. What is refused, with which code and at which
 * offset, is what the parser of assembly/tape.ts does, which has all of the input. Called by split.ts; its {@link Octets} and
 * {@link Gatherer} also by the streams of smime/.
 */
import { assertBytes, concat, plain } from '../bytes.js';
import { type ErrorCode, MailsealError } from '../errors.js';
import { TapeStatus, tapeError } from '../wasm.js';

/** Octets of a length in its long form. */
export const MAX_LENGTH_OCTETS = 8;
/** The longest header: 4 octets of identifier, the length and how many octets that has. */
const MAX_HEADER = 4 + 1 + MAX_LENGTH_OCTETS;
const EMPTY = new Uint8Array(0);

export interface Header {
  /** The first identifier octet. */
  readonly identifier: number;
  readonly tagNumber: number;
  readonly constructed: boolean;
  readonly indefinite: boolean;
  /** Offset in the input. */
  readonly start: number;
  /** Of the content; if the length is indefinite, that of the value around it. */
  readonly end: number;
  /** As they stand in the input. A view. */
  readonly octets: Uint8Array;
}

/** A value that is being read. */
export type Level = Pick<Header, 'start' | 'end' | 'indefinite' | 'constructed'>;

/** An error at an offset of the input; what is to be said instead may depend on how long the input is. */
export class HeaderError extends MailsealError {
  /** Of a length: an input of so many octets has room for the value, which then leads out of the one around it. */
  readonly least: number | undefined;

  constructor(code: ErrorCode, message: string, offset: number, least?: number) {
    super(code, message, { offset });
    this.least = least;
  }

  /** What the parser says. */
  static of(status: number, offset: number, least?: number): HeaderError {
    const { code, message } = tapeError(status, offset);
    return new HeaderError(code, message, offset, least);
  }
}

/** Makes chunks of octets that come in small parts. */
export class Gatherer {
  readonly #size: number;
  #octets: Buffer | undefined;
  #filled = 0;

  /** @param size octets of a chunk; a part of a quarter is one itself */
  constructor(size: number) {
    this.#size = size;
  }

  /** Octets that the next part may have. */
  get room(): number {
    return this.#size - this.#filled;
  }

  /** @returns a chunk, if there is one now */
  add(part: Uint8Array): Uint8Array | undefined {
    if (this.#filled === 0 && part.length >= this.#size / 4) return part;
    if (part.length > 0) {
      this.#octets ??= Buffer.allocUnsafeSlow(this.#size);
      this.#octets.set(part, this.#filled);
      this.#filled += part.length;
    }
    return this.room === 0 ? this.end() : undefined;
  }

  /** The chunk that is being filled, for who writes a part where it will be; {@link filled} octets are there. */
  get target(): Uint8Array {
    this.#octets ??= Buffer.allocUnsafeSlow(this.#size);
    return this.#octets;
  }

  get filled(): number {
    return this.#filled;
  }

  /** To be set by who has written to {@link target}. The chunk, if it is full, is what {@link add} gives next. */
  set filled(octets: number) {
    this.#filled = octets;
  }

  /** The octets that have been given to no chunk, if there are any. */
  end(): Uint8Array | undefined {
    const chunk = this.#octets?.subarray(0, this.#filled);
    this.#octets = undefined;
    this.#filled = 0;
    return chunk && plain(chunk);
  }
}

/** A source of octets, read from the front. */
export class Octets {
  readonly #iterator: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = EMPTY;
  #at = 0;
  /** What comes after `#chunk`, if it is here. */
  #after: Uint8Array = EMPTY;
  #offset = 0;
  #ended = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#iterator = source[Symbol.asyncIterator]();
  }

  /** Of the next octet. */
  get offset(): number {
    return this.#offset;
  }
  /** Whether all has been taken. */
  get ended(): boolean {
    return this.#ended && this.available === 0;
  }
  get available(): number {
    return this.#chunk.length - this.#at;
  }

  /** Waits for at least one more octet, or the end. */
  async more(): Promise<void> {
    const next = this.#after.length > 0 ? this.#after : await this.#pull();
    this.#after = EMPTY;
    if (next === undefined) return;
    if (this.available === 0) {
      this.#chunk = next;
    } else {
      // A header lies across two chunks: what is joined is no more than that.
      const taken = next.subarray(0, MAX_HEADER);
      this.#chunk = concat([this.#chunk.subarray(this.#at), taken]);
      this.#after = next.subarray(taken.length);
    }
    this.#at = 0;
  }

  async #pull(): Promise<Uint8Array | undefined> {
    while (!this.#ended) {
      const { done, value } = await this.#iterator.next();
      if (done === true) {
        this.#ended = true;
      } else {
        assertBytes(value, 'each chunk');
        if (value.length > 0) return plain(value);
      }
    }
    return undefined;
  }

  /** What is available. A view. */
  get here(): Uint8Array {
    return this.#chunk.subarray(this.#at);
  }

  /** At most so many of the octets that are available. A view. */
  take(most: number): Uint8Array {
    const taken = this.#chunk.subarray(this.#at, this.#at + Math.min(most, this.available));
    this.#at += taken.length;
    this.#offset += taken.length;
    return taken;
  }

  /** Reads over octets until so many have been read, or the source ends. @returns whether there were so many */
  async skipTo(offset: number): Promise<boolean> {
    while (this.#offset < offset && !this.ended) {
      if (this.available === 0) await this.more();
      this.take(offset - this.#offset);
    }
    return this.#offset >= offset;
  }

  /** Waits for so many octets, or the end. @returns what is there of them; they are not taken */
  async ahead(count: number): Promise<Uint8Array> {
    while (this.available < count && !this.#ended) await this.more();
    return this.#chunk.subarray(this.#at, this.#at + count);
  }

  /** All that has not been taken. */
  async *rest(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        if (this.available === 0) await this.more();
        if (this.ended) return;
        yield this.take(this.available);
      }
    } finally {
      await this.close();
    }
  }

  /** Tells the source that no more is wanted. */
  async close(): Promise<void> {
    if (!this.#ended) await this.#iterator.return?.();
    this.#ended = true;
  }

  /**
   * The header that comes next.
   * @param end of the value around it, Infinity if it is not known
   * @returns undefined if it is not here yet: then {@link more} has to be awaited
   * @throws HeaderError
   */
  header(end: number): Header | undefined {
    const chunk = this.#chunk;
    const start = this.#offset;
    const shift = start - this.#at;
    let at = this.#at;
    const stop = Math.min(end - shift, chunk.length);
    const short = (octets = 1) => {
      if (at + shift + octets <= end && !this.#ended) return undefined;
      throw HeaderError.of(TapeStatus.TRUNCATED, at + shift, end + 1);
    };

    if (at >= stop) return short();
    const identifier = chunk[at++] as number;
    let tagNumber = identifier & 31;
    if (tagNumber === 31) {
      tagNumber = 0;
      for (let octet = 0x80, octets = 0; octet > 127; at++) {
        if (at >= stop) return short();
        octet = chunk[at] as number;
        tagNumber = (tagNumber << 7) | (octet & 127);
        // 8.1.2.4.2 c): no leading zeros.
        if ((octets === 0 && octet === 0x80) || ++octets > 3 || tagNumber > 0xffff) {
          throw HeaderError.of(TapeStatus.BAD_TAG, at + shift);
        }
      }
      if (tagNumber < 31) throw HeaderError.of(TapeStatus.BAD_TAG, at - 1 + shift);
    }

    if (at >= stop) return short();
    const first = chunk[at] as number;
    const constructed = (identifier & 0x20) !== 0;
    const indefinite = first === 0x80;
    let length = first;
    if (indefinite) {
      if (!constructed) throw HeaderError.of(TapeStatus.BAD_LENGTH, at + shift); // 8.1.3.2 a)
      length = 0;
    } else if (first > 0x80) {
      const octets = first & 127;
      if (octets > MAX_LENGTH_OCTETS) throw HeaderError.of(TapeStatus.BAD_LENGTH, at + shift);
      if (at + 1 + octets > stop) return short(1 + octets);
      length = 0;
      for (let i = 0; i < octets; i++) length = length * 256 + (chunk[++at] as number);
    }
    at++;

    const contentStart = at + shift;
    if ((identifier & 0xdf) === 0) {
      // 8.1.5: whether one may stand here knows who asked.
      if (identifier !== 0) throw HeaderError.of(TapeStatus.BAD_TAG, start);
    } else if (length > end - contentStart) {
      throw HeaderError.of(TapeStatus.BAD_LENGTH, start, contentStart + length);
    }
    return {
      identifier,
      tagNumber,
      constructed,
      indefinite,
      start,
      end: indefinite ? end : contentStart + length,
      octets: this.take(contentStart - start),
    };
  }
}
