/**
 * Octets that come out of an operation as a Readable of node:stream, and what has to be closed with it, in any case: when it
 * was read to its end, when it fails, when whoever reads it destroys it, even before the first octet. Used by all streams of
 * this folder.
 */
import { Readable } from 'node:stream';
import { Tag } from '../../asn1/tags.js';
import { derHeader } from '../../asn1/write.js';

/** @param close is called once, before the Readable closes; may be called while a chunk is awaited, which then fails */
export function outgoing(
  octets: AsyncGenerator<Uint8Array>,
  close: () => Promise<void> = async () => undefined,
): Readable {
  let isReading = false;
  return new Readable({
    async read() {
      isReading = true;
      try {
        for (;;) {
          const { done, value } = await octets.next();
          if (done === true) this.push(null);
          else if (value.length === 0)
            continue; // which would be the end of what is read at a time
          else this.push(value);
          return;
        }
      } catch (error) {
        this.destroy(error as Error);
      } finally {
        isReading = false;
      }
    },
    destroy(error, callback) {
      const end = () => octets.return(undefined);
      close()
        // A key outside of the process may never answer: what is awaited ends in its own time.
        .then(() => (isReading ? void end().catch(() => undefined) : end()))
        .then(
          () => callback(error),
          (failed: Error) => callback(error ?? failed),
        );
    },
  });
}

/** Octets that are there. */
export async function* octetsOf(...octets: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* octets;
}

/** A chunk of a constructed OCTET STRING. */
export function* segment(chunk: Uint8Array): Generator<Uint8Array> {
  if (chunk.length === 0) return;
  yield derHeader(Tag.OCTET_STRING, chunk.length);
  yield chunk;
}
