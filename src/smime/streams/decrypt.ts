/**
 * Decrypting messages that come in chunks. Ciphertext is kept until its end, for what authenticates it stands there, and
 * nothing of the content is given out before all of it is known to open. What is on disk meanwhile is ciphertext as it
 * came. What stands before it is judged before any of it is kept: so keys are looked up then, and held until its end.
 * Called through smime/operations.ts.
 */
import type { Readable } from 'node:stream';
import { describeOid, OID } from '../../asn1/oids.js';
import { type SplitObject, splitContentInfo } from '../../asn1/split.js';
import { concat } from '../../bytes.js';
import {
  AuthEnvelopedData,
  decryptStoredData,
  EnvelopedData,
  EnvelopedHead,
  findOpening,
  type Opening,
} from '../../cms/enveloped.js';
import { SignedData } from '../../cms/signed.js';
import { MailsealError } from '../../errors.js';
import type { Spool, SpoolOptions } from '../../spool.js';
import { splitMessage } from '../build.js';
import type { Headers } from '../headers.js';
import {
  type Decrypted,
  type DecryptOptions,
  decrypt,
  decryptInput,
  MAX_SIGNED_LAYERS,
  notEncrypted,
} from '../message.js';
import { classifyHeader, type MimeEntity, parseEntity } from '../mime.js';
import {
  applyProtected,
  type FoundHeaders,
  mayBeLayer,
  mayProtectInside,
  protectedHeadersIn,
} from '../protectedheaders.js';
import { objectOctets } from './base64.js';
import { readChunks } from './chunks.js';
import { Incoming, type MessageStream, receiveChunks, type StreamOptions } from './incoming.js';
import { placed, readHead, readSkeleton, readStreamedInput, signatureIn } from './input.js';
import { octetsOf } from './outgoing.js';
import { beginningOf, inMemory, joined, type StreamedContent, store, withStreams } from './stored.js';

export interface DecryptedStream extends Omit<Decrypted, 'content' | 'message'>, StreamedContent {
  /** As that of {@link Decrypted}. To be read in place of `content`, not beside it: the first that closes closes both. */
  readonly message: Readable | undefined;
}

/** The streamed {@link decrypt}. @throws MailsealError LIMIT_LENGTH also for what is too long to be kept; IO */
export function decryptStream(
  message: MessageStream,
  options: DecryptOptions & StreamOptions,
): Promise<DecryptedStream> {
  const whole = async (chunks: readonly Uint8Array[]): Promise<DecryptedStream> => {
    const read = readChunks(chunks);
    const opened = await (read === undefined
      ? decrypt(concat(chunks), options)
      : decryptInput(read, read.mail.source, options));
    return withStreams(opened, inMemory(opened));
  };
  return receiveChunks(message, options, whole, (incoming, settings) =>
    decryptLong(incoming, settings, options),
  );
}

async function decryptLong(
  incoming: Incoming,
  settings: SpoolOptions,
  options: DecryptOptions,
): Promise<DecryptedStream> {
  const { object, mail, finish } = await findEnveloped(incoming, MAX_SIGNED_LAYERS);
  const opening = await findKeys(object, options);
  try {
    return await store(
      object.content ?? octetsOf(),
      { ...settings, isCiphertext: opening.isStrong },
      async (spool) => {
        const enveloped = await readSkeleton(object, ({ contentType, content }) =>
          contentType === OID.envelopedData ? EnvelopedData.parse(content) : AuthEnvelopedData.parse(content),
        );
        await finish();
        const {
          content,
          close: wipeKey,
          ...opened
        } = await inPlace(object, decryptStoredData(enveloped, spool, opening));
        try {
          opening.release(); // here, so that what it fails with closes all that is open
          return await present(opened, mail, content, () => closeAll(wipeKey, spool));
        } catch (error) {
          wipeKey();
          throw error;
        }
      },
    );
  } finally {
    opening.release();
  }
}

/** Everything that stands before the content is judged before any of that is kept: whom it is for, and by which cipher. */
async function findKeys(object: SplitObject, options: DecryptOptions): Promise<Opening> {
  try {
    const head = readHead(object, EnvelopedHead.parse) ?? (await readSkeleton(object, EnvelopedHead.parse));
    return await inPlace(object, findOpening(head, options.keys, options));
  } catch (error) {
    await object.content?.return(undefined);
    throw error;
  }
}

const inPlace = <T>(object: SplitObject, opened: Promise<T>): Promise<T> =>
  opened.catch((error) => {
    throw placed(object, error);
  });

async function closeAll(wipeKey: () => void, spool: Spool): Promise<void> {
  wipeKey();
  await spool.close();
}

async function present(
  opened: Omit<Decrypted, 'content' | 'message' | 'headers'>,
  mail: MimeEntity | undefined,
  content: () => AsyncGenerator<Uint8Array>,
  close: () => Promise<void>,
): Promise<DecryptedStream> {
  if (opened.contentType !== OID.data)
    return withStreams({ ...opened, headers: undefined }, { content, close });
  const beginning = await beginningOf(content());
  const found = await findHeaders(beginning, mail?.headers, false);
  const { headers } = found ?? (await findHeaders(beginning, mail?.headers, true)) ?? {};
  const sources = {
    content,
    // As in memory: where it can't be made, the content can still be read.
    get message() {
      return mail && joinedMail(mail, beginning, found, content);
    },
    close,
  };
  return withStreams({ ...opened, headers }, sources);
}

function joinedMail(
  mail: MimeEntity,
  beginning: Uint8Array,
  found: FoundHeaders | undefined,
  content: () => AsyncGenerator<Uint8Array>,
): (() => AsyncGenerator<Uint8Array>) | undefined {
  const { outer } = splitMessage(mail.source);
  return joined(...applyProtected(outer, beginning, found), beginning.length, content);
}

interface Found {
  readonly object: SplitObject;
  /** The header of the mail, whatever is around the object in there. */
  readonly mail: MimeEntity | undefined;
  /** Reads what is left of the layers around the object. */
  finish(): Promise<void>;
}

/** Looks through signatures, as in memory. */
async function findEnveloped(incoming: Incoming, layersLeft: number): Promise<Found> {
  const input = await readStreamedInput(incoming);
  const { mail } = input;
  if (input.kind === 'multipart-signed') {
    const { parts } = input;
    const found = await findSigned(parts.content, layersLeft);
    return around(found, mail, async () => signatureIn(await parts.signature()));
  }
  const { object } = input;
  switch (object.contentType) {
    case OID.envelopedData:
    case OID.authEnvelopedData:
      return { object, mail, finish: async () => undefined };
    case OID.signedData: {
      const found = await findSigned(object.content, layersLeft);
      return around(found, mail, () => readSkeleton(object, ({ content }) => SignedData.parse(content)));
    }
    default: {
      const oid = object.contentType;
      throw new MailsealError('UNSUPPORTED_FEATURE', `decrypting ${describeOid(oid)}`, { oid });
    }
  }
}

async function findSigned(
  content: AsyncIterable<Uint8Array> | undefined,
  layersLeft: number,
): Promise<Found> {
  if (content === undefined || layersLeft === 0) throw notEncrypted();
  try {
    return await findEnveloped(new Incoming(content), layersLeft - 1);
  } catch (error) {
    throw error instanceof MailsealError && error.code === 'NOT_SMIME' ? notEncrypted() : error;
  }
}

function around(found: Found, mail: MimeEntity | undefined, rest: () => Promise<unknown>): Found {
  const finish = async () => {
    await found.finish();
    await rest();
  };
  return { object: found.object, mail, finish };
}

/** Protected header fields of content of which only the beginning is at hand, as in memory. */
async function findHeaders(
  beginning: Uint8Array,
  outside: Headers | undefined,
  thorough: boolean,
): Promise<FoundHeaders | undefined> {
  try {
    let payload = beginning;
    for (let i = 0; i < MAX_SIGNED_LAYERS && mayBeLayer(payload); i++) {
      const entity = parseEntity(payload);
      const { kind } = classifyHeader(entity);
      const isOpaque = kind === 'pkcs7-mime' || kind === 'pkcs7-signature';
      if (isOpaque && !(thorough || mayProtectInside(entity))) break;
      const signed = isOpaque ? await beginningInside(entity) : firstPart(kind, entity);
      if (signed === undefined) break;
      payload = signed;
    }
    return protectedHeadersIn(payload, outside);
  } catch (error) {
    if (error instanceof MailsealError) return undefined;
    throw error;
  }
}

const firstPart = (kind: string, entity: MimeEntity): Uint8Array | undefined =>
  kind === 'multipart-signed' ? entity.multipart().parts[0]?.bytes : undefined;

/** What is signed opaquely, as far as it goes. */
async function beginningInside(entity: MimeEntity): Promise<Uint8Array | undefined> {
  const octets = objectOctets(octetsOf(entity.body), entity.transferEncoding, entity.bodyStart);
  const { contentType, content } = await splitContentInfo(octets);
  if (contentType !== OID.signedData || content === undefined) return undefined;
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of content) chunks.push(chunk);
  } catch (error) {
    if (!(error instanceof MailsealError)) throw error; // it was cut off
  }
  return concat(chunks);
}
