/**
 * Content that is kept until it may be given out, and how it is given out. Used by verify.ts, decrypt.ts and decompress.ts.
 */
import type { Readable } from 'node:stream';
import { gather } from '../../bytes.js';
import { Spool, type SpoolOptions } from '../../spool.js';
import { MAX_HEADER_LENGTH } from '../headers.js';
import { tryJoin } from '../message.js';
import { octetsOf, outgoing } from './outgoing.js';

/** Result of an operation that reads a stream. */
export interface StreamedContent {
  /** To be read, or destroyed; when it closes, everything is. */
  readonly content: Readable;
  /** Ends it all where `content` is not read: memory and keys are wiped, the temporary file is gone. */
  close(): Promise<void>;
}

/**
 * Keeps octets.
 * @param use what is made of them; if it throws, they are gone
 */
export async function store<T>(
  octets: AsyncIterable<Uint8Array>,
  settings: SpoolOptions,
  use: (spool: Spool) => Promise<T>,
  onChunk?: (chunk: Uint8Array) => void,
): Promise<T> {
  const spool = new Spool(settings);
  try {
    for await (const chunk of octets) {
      onChunk?.(chunk);
      const written = spool.write(chunk);
      if (written !== undefined) await written;
    }
    return await use(spool);
  } catch (error) {
    await spool.close();
    throw error;
  }
}

/** Octets in which a header ends, if there is one. */
const BEGINNING = MAX_HEADER_LENGTH + (1 << 16);

/** The first octets of content, as many as a header can have and some more. */
export const beginningOf = (octets: AsyncGenerator<Uint8Array>): Promise<Uint8Array> =>
  gather(octets, BEGINNING);

type Octets = () => AsyncGenerator<Uint8Array>;

/** What a result's Readables are made of. */
interface Sources {
  readonly content: Octets;
  readonly message?: Octets | undefined;
  close(): Promise<void>;
}

/** What an operation in memory gives; `message` is made when it is asked for. */
export function inMemory(result: { content: Uint8Array; message?: Uint8Array | undefined }): Sources {
  const close = async () => undefined;
  return {
    content: () => octetsOf(result.content),
    get message() {
      const { message } = result;
      return message && (() => octetsOf(message));
    },
    close,
  };
}

/** A result whose content is streamed. Its Readables are made when they are asked for; each stays the same then. */
export function withStreams<T extends object>(
  result: T,
  sources: Sources,
): Omit<T, 'content' | 'message'> & StreamedContent & { readonly message: Readable | undefined } {
  let content: Readable | undefined;
  let message: Readable | undefined;
  const streams = {
    get content() {
      content ??= outgoing(sources.content(), sources.close);
      return content;
    },
    get message() {
      message ??= sources.message && outgoing(sources.message(), sources.close);
      return message;
    },
    close: () => sources.close(),
  };
  for (const field of Object.keys(result) as (keyof T)[]) {
    if (field in streams) continue;
    // Some are made when they are asked for.
    Object.defineProperty(streams, field, { get: () => result[field], enumerable: true });
  }
  return streams as typeof streams & T;
}

/**
 * A mail of outer fields and an entity, as joinMessage makes it.
 * @param beginning of the entity, as it is to be shown
 * @param skip octets of `octets` that `beginning` stands for
 * @returns undefined if it can't be read in one way only
 */
export function joined(
  outer: Uint8Array,
  beginning: Uint8Array,
  skip: number,
  octets: () => AsyncGenerator<Uint8Array>,
): (() => AsyncGenerator<Uint8Array>) | undefined {
  const start = tryJoin(outer, beginning);
  if (start === undefined) return undefined;
  return async function* () {
    yield start;
    let left = skip;
    for await (const chunk of octets()) {
      yield chunk.subarray(Math.min(left, chunk.length));
      left = Math.max(0, left - chunk.length);
    }
  };
}
