/**
 * Signing, encrypting and compressing messages that come in chunks. How their entity is transferred is decided when all of
 * it was seen, as in memory (sevenbit.ts), so it is kept until then; what comes out is BER where a length would have to be
 * known beforehand. Called through smime/operations.ts.
 */
import { pipeline, Readable } from 'node:stream';
import { createDeflate } from 'node:zlib';
import { release } from '../../bytes.js';
import { compressedAround } from '../../cms/compressed.js';
import { envelopeStream } from '../../cms/enveloped.js';
import { planSignatures, signedAround, signedDetached, signPlanned } from '../../cms/signed.js';
import { MailsealError } from '../../errors.js';
import type { SpoolOptions } from '../../spool.js';
import { RunningDigests } from '../../x509/digests.js';
import { buildMultipartSigned, pkcs7MimeHeader, type SplitMessage, splitMessage } from '../build.js';
import { compress } from '../compress.js';
import {
  type EncryptOptions,
  encrypt,
  micalgOf,
  parted,
  type SignOptions,
  type sign,
  signInPieces,
  smimeTypeOf,
} from '../message.js';
import { encodeBase64Stream } from './base64.js';
import { type Incoming, type MessageStream, receive, type StreamOptions } from './incoming.js';
import { octetsOf, outgoing, segment } from './outgoing.js';
import { Preparer } from './prepare.js';
import { store } from './stored.js';

/** The streamed {@link sign}. */
export function signStream(message: MessageStream, options: SignOptions & StreamOptions): Promise<Readable> {
  return receive(
    message,
    options,
    async (octets) => outgoing(octetsOf(...(await signInPieces(octets, options)))),
    async (incoming, settings) => {
      const { detached = true } = options;
      const planned = planSignatures({ ...options, detached });
      const { outer, content, lent, close } = await prepare(incoming, settings, (head) => {
        refuseLegacyDisplay(options);
        return parted(head, options);
      });
      const digests = new RunningDigests(planned.digests);
      const infos = () => signPlanned(planned, (name) => digests.digest(name));
      async function* clear(): AsyncGenerator<Uint8Array> {
        const { before, after } = buildMultipartSigned({ outer, micalg: micalgOf(planned.digests) });
        yield before;
        for await (const chunk of content()) {
          digests.update(chunk);
          yield chunk;
        }
        yield after(signedDetached(planned, await infos()));
      }
      async function* opaque(): AsyncGenerator<Uint8Array> {
        yield signedAround(planned, []).before;
        for await (const chunk of lent()) {
          digests.update(chunk);
          yield* segment(chunk);
        }
        yield signedAround(planned, await infos()).after;
      }
      const header = () => pkcs7MimeHeader({ outer, smimeType: 'signed-data' });
      return outgoing(detached ? clear() : encodeBase64Stream(opaque(), header()), close);
    },
  );
}

/** The streamed {@link encrypt}. @throws MailsealError UNSUPPORTED_FEATURE also for AES-CCM, if it does not fit into memory */
export function encryptStream(
  message: MessageStream,
  options: EncryptOptions & StreamOptions,
): Promise<Readable> {
  return receive(
    message,
    options,
    async (octets) => outgoing(octetsOf(await encrypt(octets, options))),
    async (incoming, settings) => {
      // First, so that nothing is read of the message if the options are no good.
      const { contentType, before, encryptor, after } = envelopeStream(options);
      const { outer, lent, close } = await prepare(incoming, settings, (head) => {
        refuseLegacyDisplay(options);
        return parted(head, options);
      }).catch((error) => {
        encryptor.close();
        throw error;
      });
      async function* octets(): AsyncGenerator<Uint8Array> {
        yield before;
        for await (const chunk of lent()) {
          const made = encryptor.update(chunk);
          yield* segment(made);
          release(made);
        }
        yield* segment(encryptor.final());
        yield after();
      }
      const header = pkcs7MimeHeader({ outer, smimeType: smimeTypeOf(contentType) });
      return outgoing(encodeBase64Stream(octets(), header), () => {
        encryptor.close();
        return close();
      });
    },
  );
}

/** The streamed {@link compress}. */
export function compressStream(message: MessageStream, options: StreamOptions = {}): Promise<Readable> {
  const whole = async (octets: Uint8Array) => outgoing(octetsOf(await compress(octets)));
  return receive(message, options, whole, async (incoming, settings) => {
    const { outer, content, close } = await prepare(incoming, settings, splitMessage);
    async function* octets(): AsyncGenerator<Uint8Array> {
      const { before, after } = compressedAround();
      yield before;
      for await (const chunk of deflated(content())) yield* segment(chunk);
      yield after;
    }
    const header = pkcs7MimeHeader({ outer, smimeType: 'compressed-data' });
    return outgoing(encodeBase64Stream(octets(), header), close);
  });
}

/** An error of either of them ends the other. */
const deflated = (content: AsyncGenerator<Uint8Array>): AsyncIterable<Uint8Array> =>
  pipeline(Readable.from(content, { objectMode: false }), createDeflate(), () => undefined);

/** It is written into a text that may stand anywhere in the message. */
function refuseLegacyDisplay({ legacyDisplay }: { legacyDisplay?: boolean }): void {
  if (legacyDisplay !== true) return;
  const message = 'legacyDisplay in a message that does not fit into memory (option spool.memory)';
  throw new MailsealError('UNSUPPORTED_FEATURE', message);
}

interface Prepared {
  /** The fields that stay outside. */
  readonly outer: Uint8Array;
  /** The entity, as prepareEntity gives it. */
  content(): AsyncGenerator<Uint8Array>;
  /** The same; each chunk is good until the next one is asked for. */
  lent(): AsyncGenerator<Uint8Array>;
  close(): Promise<void>;
}

async function prepare(
  incoming: Incoming,
  settings: SpoolOptions,
  split: (head: Uint8Array) => SplitMessage,
): Promise<Prepared> {
  const { outer, entity } = split(await incoming.header());
  incoming.unshift(entity);
  const preparer = new Preparer();
  const write = (chunk: Uint8Array) => preparer.write(chunk);
  return store(
    incoming,
    settings,
    async (spool) => {
      preparer.end();
      const lender = { read: (start?: number, end?: number) => spool.lend(start, end) };
      return {
        outer,
        content: () => preparer.prepared(spool),
        lent: () => preparer.prepared(lender),
        close: () => spool.close(),
      };
    },
    write,
  );
}
