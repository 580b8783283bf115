/**
 * The body of an entity without its transfer encoding (RFC 2045 section 6), and the CMS object in it, as they come: what
 * decodeBody of mime.ts and input.ts give of what is all there, strictly, with the same errors. And base64 lines the other
 * way. Line ends behind a CMS object in binary wait for what follows them up to 1 MiB; more are taken for a part of it.
 * Called by input.ts, decrypt.ts and seal.ts.
 */
import { Gatherer, Octets } from '../../asn1/headers.js';
import { inPieces } from '../../bytes.js';
import { MailsealError } from '../../errors.js';
import { Base64Decoder } from '../../wasm.js';
import { BER_SEQUENCE, isLineEnd, leastLength } from '../input.js';
import { IDENTITY, shifted } from '../mime.js';
import { encodeBase64Lines } from '../transfer.js';
import { convert, fromQuotedPrintable, type Step } from './codecs.js';

/** Octets of a chunk that is handed to a codec: what is larger is cut, what is below a quarter is gathered. */
const CHUNK = 1 << 16;
/** Octets that are encoded at a time: of whole lines. */
const LINES = 57 << 10;
/** Octets of line ends that wait. */
const MAX_WAITING = 1 << 20;
/** Octets of a BER header, the longest there can be. */
const MAX_HEADER = 2 + 0x7f;

/**
 * @param transferEncoding in lower case
 * @param bodyStart where the first octet stands in the message: for the offsets of errors
 * @param entityStart where the header of the body begins
 * @throws MailsealError MIME_MALFORMED with the offset; UNSUPPORTED_FEATURE for an unknown encoding
 */
export async function* decodeBody(
  source: AsyncIterable<Uint8Array>,
  transferEncoding: string,
  bodyStart = 0,
  entityStart = 0,
): AsyncGenerator<Uint8Array> {
  if (IDENTITY.has(transferEncoding)) {
    yield* source;
    return;
  }
  const decode = DECODERS.get(transferEncoding);
  if (decode === undefined) {
    throw new MailsealError('UNSUPPORTED_FEATURE', `transfer encoding ${transferEncoding}`, {
      offset: entityStart,
    });
  }
  yield* convert(evenly(source), decode(bodyStart));
}

const DECODERS: ReadonlyMap<string, (start: number) => Step> = new Map([
  ['base64', fromBase64],
  ['quoted-printable', fromQuoted],
]);

function fromBase64(start: number): Step {
  const decoder = new Base64Decoder();
  return (octets, last) =>
    shifted(start, () => {
      const made = decoder.write(octets);
      if (last) decoder.end();
      return { made, used: octets.length };
    });
}

function fromQuoted(start: number): Step {
  const step = fromQuotedPrintable(true);
  let at = start;
  return (octets, last) => {
    const converted = shifted(at, () => step(octets, last));
    at += converted.used;
    return converted;
  };
}

/** The same octets in chunks that are worth a call, and not too large. */
async function* evenly(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const gatherer = new Gatherer(CHUNK);
  for await (const octets of source) {
    for (let at = 0; at < octets.length; ) {
      const part = octets.subarray(at, at + gatherer.room);
      at += part.length;
      const chunk = gatherer.add(part);
      if (chunk !== undefined) yield chunk;
    }
  }
  const rest = gatherer.end();
  if (rest !== undefined) yield rest;
}

/**
 * Octets in base64 lines, behind `head`: those of encodeBase64Lines.
 * @param source of chunks that are good until the next one is asked for
 */
export async function* encodeBase64Stream(
  source: AsyncIterable<Uint8Array>,
  head?: Uint8Array,
): AsyncGenerator<Uint8Array> {
  if (head !== undefined) yield head;
  const rest = Buffer.allocUnsafeSlow(LINES);
  let kept = 0;
  for await (const octets of source) {
    let at = 0;
    while (kept + octets.length - at >= LINES) {
      const part = octets.subarray(at, at + LINES - kept);
      yield encodeBase64Lines(inPieces([rest.subarray(0, kept), part]));
      at += part.length;
      kept = 0;
    }
    rest.set(octets.subarray(at), kept);
    kept += octets.length - at;
  }
  if (kept > 0) yield encodeBase64Lines(inPieces([rest.subarray(0, kept)]));
}

/**
 * The CMS object of a body. In binary, transport may have put line ends around it; base64 may have lost its label.
 * The parameters and errors are those of {@link decodeBody}.
 */
export async function* objectOctets(
  source: AsyncIterable<Uint8Array>,
  transferEncoding: string,
  bodyStart = 0,
  entityStart = 0,
): AsyncGenerator<Uint8Array> {
  if (!IDENTITY.has(transferEncoding)) {
    yield* decodeBody(source, transferEncoding, bodyStart, entityStart);
    return;
  }
  const octets = new Octets(source);
  try {
    const first = await skipLineEnds(octets);
    if (first !== BER_SEQUENCE) yield* decodeBody(octets.rest(), 'base64', bodyStart + octets.offset);
    else yield* withoutLineEnds(octets);
  } finally {
    await octets.close();
  }
}

/** @returns the first octet that is no line end; undefined if there is none */
async function skipLineEnds(octets: Octets): Promise<number | undefined> {
  for (;;) {
    const [next] = await octets.ahead(1);
    if (!isLineEnd(next)) return next;
    octets.take(1);
  }
}

/** A value in BER, without the line ends that come behind it. */
async function* withoutLineEnds(octets: Octets): AsyncGenerator<Uint8Array> {
  const header = await octets.ahead(MAX_HEADER);
  const least = octets.offset + leastLength(header, 0);
  let waiting: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of octets.rest()) {
    const start = octets.offset - chunk.length;
    let end = chunk.length;
    while (end > 0 && start + end > least && isLineEnd(chunk[end - 1])) end--;
    length = end === 0 ? length + chunk.length : chunk.length - end;
    if (end > 0 || length > MAX_WAITING) {
      yield* waiting;
      waiting = [];
    }
    if (end > 0) yield chunk.subarray(0, end);
    if (end < chunk.length) waiting.push(chunk.subarray(end));
  }
}
