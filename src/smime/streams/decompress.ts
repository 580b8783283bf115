/**
 * Decompressing messages that come in chunks, with the limits that hold in memory (cms/compressed.ts). What comes out is kept
 * until all of it is known to be right. Called through smime/operations.ts.
 */
import { pipeline, Readable } from 'node:stream';
import { createInflate } from 'node:zlib';
import { OID } from '../../asn1/oids.js';
import {
  checkedMaxLength,
  type DecompressOptions,
  grownLimit,
  readCompressed,
} from '../../cms/compressed.js';
import { type ContentInfo, contentOfType, otherType } from '../../cms/content.js';
import { MailsealError } from '../../errors.js';
import type { SpoolOptions } from '../../spool.js';
import { splitMessage } from '../build.js';
import { type Decompressed, decompress } from '../compress.js';
import { Incoming, type MessageStream, receive, type StreamOptions } from './incoming.js';
import { readHead, readSkeleton, readStreamedInput } from './input.js';
import { octetsOf } from './outgoing.js';
import { beginningOf, inMemory, joined, type StreamedContent, store, withStreams } from './stored.js';

export interface DecompressedStream extends Omit<Decompressed, 'content' | 'message'>, StreamedContent {
  /** As that of {@link Decompressed}. To be read in place of `content`, not beside it: the first that closes closes both. */
  readonly message: Readable | undefined;
}

/** Highest maxLength. */
const MOST = 2 ** 40;
const MOST_IN_MEMORY = 2 ** 30;

/**
 * The streamed {@link decompress}. What grows too fast is refused as it comes, though what follows might make up for it.
 * @throws MailsealError LIMIT_LENGTH also for what is too long to be kept; IO
 * @throws RangeError for a maxLength over 2^40
 */
export function decompressStream(
  message: MessageStream,
  options: DecompressOptions & StreamOptions = {},
): Promise<DecompressedStream> {
  const maxLength = checkedMaxLength(options, MOST);
  const whole = async (octets: Uint8Array, settings: SpoolOptions): Promise<DecompressedStream> => {
    const fits = Math.min(maxLength, Math.max(settings.memory, 1), MOST_IN_MEMORY);
    try {
      const opened = await decompress(octets, { maxLength: fits });
      return withStreams(opened, inMemory(opened));
    } catch (error) {
      if (fits === maxLength || !(error instanceof MailsealError) || error.code !== 'LIMIT_LENGTH')
        throw error;
      // The message fits into memory, what it grows to does not.
      return decompressLong(new Incoming(octetsOf(octets)), settings, maxLength);
    }
  };
  return receive(message, options, whole, (incoming, settings) =>
    decompressLong(incoming, settings, maxLength),
  );
}

async function decompressLong(
  incoming: Incoming,
  settings: SpoolOptions,
  maxLength: number,
): Promise<DecompressedStream> {
  const input = await readStreamedInput(incoming);
  if (input.kind === 'multipart-signed') {
    throw new MailsealError('UNSUPPORTED_FEATURE', otherType(OID.signedData, OID.compressedData), {
      oid: OID.signedData,
    });
  }
  const { object, mail } = input;
  const compressed = (info: ContentInfo) => contentOfType(info, OID.compressedData);
  const read = (info: ContentInfo) => readCompressed(compressed(info));
  if (object.content === undefined) {
    throw await readSkeleton(object, (info) => {
      read(info); // may say why
      const message = 'a compressed message that has to fit into memory (option spool.memory)';
      return compressed(info).fail('LIMIT_LENGTH', message);
    });
  }
  readHead(object, read);
  return store(inflated(object.content, maxLength), settings, async (spool) => {
    const { contentType } = await readSkeleton(object, read);
    const content = () => spool.read();
    const close = () => spool.close();
    const isEntity = mail !== undefined && contentType === OID.data;
    const beginning = isEntity ? await beginningOf(content()) : undefined;
    const outer = mail && splitMessage(mail.source).outer;
    const message = outer && beginning && joined(outer, beginning, beginning.length, content);
    return withStreams({ contentType }, { content, message, close });
  });
}

async function* inflated(content: AsyncIterable<Uint8Array>, maxLength: number): AsyncGenerator<Uint8Array> {
  let compressed = 0;
  async function* counted(octets: AsyncIterable<Uint8Array>) {
    for await (const chunk of octets) {
      compressed += chunk.length;
      yield chunk;
    }
  }
  const inflate = createInflate();
  let failed: Error | undefined;
  const done = (error?: NodeJS.ErrnoException | null) => {
    failed = error ?? undefined;
  };
  pipeline(Readable.from(counted(content), { objectMode: false }), inflate, done);
  let length = 0;
  try {
    for await (const chunk of inflate) {
      length += chunk.length;
      const limit = grownLimit(compressed, maxLength);
      if (length > limit) {
        const message = `${compressed} compressed octets grow beyond the limit of ${limit} (option maxLength)`;
        throw new MailsealError('LIMIT_LENGTH', message);
      }
      yield chunk;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code?.startsWith('Z_') !== true) throw failed ?? error;
    const message = 'the compressed content is no zlib data, or is cut off';
    throw new MailsealError('CMS_MALFORMED', message, { cause: error });
  }
  if (inflate.bytesWritten === compressed) return;
  throw new MailsealError('CMS_MALFORMED', 'octets behind the compressed content');
}
