/**
 * Verifying messages that come in chunks. What is signed is digested as it comes, with the digests that the message names
 * beforehand, and kept until the verdict: once more it is gone through only for a digest that was not named, or for line ends
 * that a store has changed. Called through smime/operations.ts.
 *
 * Not verified: a signature over the content itself, without signed attributes, where the content does not fit into memory.
 */
import { readAlgorithmIdentifier } from '../../asn1/algorithm.js';
import { Tag } from '../../asn1/tags.js';
import type { DerNode } from '../../asn1/tape.js';
import { equal } from '../../bytes.js';
import { SignedData, type SignerResult, verifySigners } from '../../cms/signed.js';
import { MailsealError, readable } from '../../errors.js';
import type { Spool, SpoolOptions } from '../../spool.js';
import { type DigestName, RunningDigests, readSignerDigest } from '../../x509/digests.js';
import { type Coverage, coverage } from '../coverage.js';
import { readInput } from '../input.js';
import { type MimeEntity, parseEntity, tolerant } from '../mime.js';
import { hasLoneCr as hasLoneCrIn } from '../transfer.js';
import { judgeMessage, signedDataIn, type Verdict, type VerifyOptions, verify } from '../verify.js';
import { convert, toCanonical } from './codecs.js';
import { endedIfFails, Incoming, type MessageStream, receive, type StreamOptions } from './incoming.js';
import { readHead, readSkeleton, readStreamedInput, type StreamedInput, signatureIn } from './input.js';
import { octetsOf } from './outgoing.js';
import { beginningOf, inMemory, type StreamedContent, store, withStreams } from './stored.js';

export interface StreamedVerifyOptions extends Omit<VerifyOptions, 'content'>, StreamOptions {
  /** What a detached CMS signature is over. */
  readonly content?: Uint8Array | MessageStream;
}

/** A verdict, and the content to be read as a stream. */
export type VerdictStream = Omit<Verdict, 'content'> & StreamedContent;

/**
 * The streamed {@link verify}: of a message, of the content that a signature is over, or of both.
 * @throws MailsealError LIMIT_LENGTH also for what is too long to be kept; IO
 */
export async function verifyStream(
  message: Uint8Array | MessageStream,
  options: StreamedVerifyOptions,
): Promise<VerdictStream> {
  const { content } = options;
  if (content === undefined || content instanceof Uint8Array) return verifyWith(message, options);
  const beside = new Incoming(content);
  return endedIfFails([beside], () => verifyWith(message, { ...options, content: beside }));
}

async function verifyWith(
  message: Uint8Array | MessageStream,
  options: StreamedVerifyOptions,
): Promise<VerdictStream> {
  const whole = async (octets: Uint8Array) => {
    const { content } = options;
    return content === undefined || content instanceof Uint8Array
      ? ofMemory(await verify(octets, { ...options, content } as VerifyOptions))
      : verifyBeside(octets, content, options);
  };
  if (message instanceof Uint8Array) return whole(message);
  return receive(message, options, whole, (incoming, settings) => verifyLong(incoming, settings, options));
}

const ofMemory = (verdict: Verdict): VerdictStream => withStreams(verdict, inMemory(verdict));

/** A signature that fits into memory over content that is a stream. */
async function verifyBeside(
  message: Uint8Array,
  content: MessageStream,
  options: StreamedVerifyOptions,
): Promise<VerdictStream> {
  const input = readInput(message, { signedPart: true });
  if (input.signedEntity !== undefined) throw contentGiven();
  const signed = SignedData.parse(signedDataIn(input.contentInfo));
  const whole = async (content: Uint8Array) => ofMemory(await verify(message, { ...options, content }));
  return receive(
    content,
    options,
    whole,
    (incoming, settings) => {
      const digests = new RunningDigests(signerDigests(signed));
      return keep(incoming, digests, settings, async (spool) => {
        const { mail, path } = input;
        if (signed.content !== undefined && !(await sameOctets(spool.read(), octetsOf(signed.content)))) {
          throw changed(signed);
        }
        return judgeStored(
          { signed, spool, digests, mail, isRoot: path === '', isBeside: false, ...coverage(input) },
          options,
        );
      });
    },
    'content',
  );
}

const contentGiven = () =>
  new MailsealError('USAGE', 'the mail brings the content that is signed; no other can be given');

const changed = ({ node }: SignedData) =>
  node.fail('CONTENT_CHANGED', 'the signed content inside the message is not the one it stands beside');

const NOTHING_UNCOVERED: Coverage = { uncovered: { preamble: 0, epilogue: 0, parts: [] } };

/** Keeps what is signed, and digests it. */
const keep = <T>(
  content: AsyncIterable<Uint8Array>,
  digests: RunningDigests,
  settings: SpoolOptions,
  use: (spool: Spool) => Promise<T>,
): Promise<T> => store(content, settings, use, (chunk) => digests.update(chunk));

async function verifyLong(
  incoming: Incoming,
  settings: SpoolOptions,
  options: StreamedVerifyOptions,
): Promise<VerdictStream> {
  const input = await readStreamedInput(incoming);
  if (input.kind === 'object') return verifyOpaque(input, incoming, settings, options);
  if (options.content !== undefined) throw contentGiven();
  return verifyClear(input, settings, options);
}

async function verifyOpaque(
  { object, mail }: StreamedInput & { kind: 'object' },
  incoming: Incoming,
  settings: SpoolOptions,
  options: StreamedVerifyOptions,
): Promise<VerdictStream> {
  // What is not signed is not kept.
  const digests = new RunningDigests(readHead(object, (info) => announcedDigests(signedDataIn(info))) ?? []);
  const read = () => readSkeleton(object, (info) => SignedData.parse(signedDataIn(info)));
  const { content } = object;
  if (content === undefined) {
    // Its skeleton fits into memory: what is long is a content of another type than is streamed, or white space.
    const { node } = await read();
    throw node.fail('LIMIT_LENGTH', 'a signed message that has to fit into memory (option spool.memory)');
  }
  return keep(content, digests, settings, async (spool) => {
    const signed = await read();
    if (options.content !== undefined) {
      const given = options.content instanceof Uint8Array ? octetsOf(options.content) : options.content;
      if (!(await sameOctets(spool.read(), given))) throw changed(signed);
    }
    const covered = mail && {
      path: '1',
      type: mail.contentType.type,
      start: mail.bodyStart,
      end: incoming.offset,
    };
    return judgeStored(
      {
        signed,
        spool,
        digests,
        mail,
        isRoot: mail !== undefined,
        isBeside: false,
        ...NOTHING_UNCOVERED,
        ...(covered && { covered }),
      },
      options,
    );
  });
}

async function verifyClear(
  { parts, micalg, mail }: StreamedInput & { kind: 'multipart-signed' },
  settings: SpoolOptions,
  options: StreamedVerifyOptions,
): Promise<VerdictStream> {
  const digests = new RunningDigests(new Set(micalg.flatMap(digestNamed)));
  return keep(parts.content, digests, settings, async (spool) => {
    const signature = await parts.signature();
    const { preamble, content, epilogue } = signature;
    const signed = SignedData.parse(signedDataIn(signatureIn(signature)));
    const beginning = await beginningOf(spool.read());
    const type = tolerant(() => parseEntity(beginning).contentType.type, '');
    const uncovered = {
      preamble: preamble.end - preamble.start,
      epilogue: epilogue.end - epilogue.start,
      parts: [],
    };
    return judgeStored(
      {
        signed,
        spool,
        digests,
        mail,
        isRoot: true,
        isBeside: true,
        covered: { path: '1', type, ...content },
        uncovered,
      },
      options,
    );
  });
}

/** micalg is spelled in many ways; a digest that it does not name is computed when the signature does. */
function digestNamed(micalg: string): DigestName[] {
  const name = /^sha-?(1|224|256|384|512)$/.exec(micalg)?.[1];
  return name === undefined ? [] : [`sha${name}` as DigestName];
}

/** digestAlgorithms, which stand before the content. */
function announcedDigests(signedData: DerNode): DigestName[] {
  const reader = signedData.reader(Tag.SEQUENCE, 'SignedData');
  reader.next(Tag.INTEGER, 'version');
  const algorithms = reader.next(Tag.SET, 'digestAlgorithms').children.slice(0, MAX_ANNOUNCED);
  return algorithms.flatMap((node) =>
    readable(() => [readSignerDigest(readAlgorithmIdentifier(node, 'digestAlgorithm'))], []),
  );
}

/** Digests that are computed because they are announced: each costs a pass. */
const MAX_ANNOUNCED = 4;

const signerDigests = ({ signerInfos }: SignedData): Set<DigestName> =>
  new Set(signerInfos.flatMap((info) => readable(() => [readSignerDigest(info.digestAlgorithm)], [])));

interface Stored extends Coverage {
  readonly signed: SignedData;
  readonly spool: Spool;
  readonly digests: RunningDigests;
  readonly mail: MimeEntity | undefined;
  readonly isRoot: boolean;
  /** multipart/signed: a store may have changed its line ends. */
  readonly isBeside: boolean;
}

async function judgeStored(stored: Stored, options: StreamedVerifyOptions): Promise<VerdictStream> {
  const { spool } = stored;
  const { results, content } = await verifyStored(stored, options);
  const beginning = await beginningOf(content());
  const message = { ...stored, results, beginning };
  const verdict = judgeMessage(message, options as VerifyOptions);
  return withStreams(verdict, { content, close: () => spool.close() });
}

type Verified = { results: readonly SignerResult[]; content: () => AsyncGenerator<Uint8Array> };

/** Over the exact octets first, then with CRLF line ends, as in memory. */
async function verifyStored(stored: Stored, options: StreamedVerifyOptions): Promise<Verified> {
  const { signed, spool, digests, isBeside } = stored;
  const exact = () => spool.read();
  const inside = isBeside ? signed.content : undefined;
  const isSame = inside === undefined || (await sameOctets(exact(), octetsOf(inside)));
  const results = isSame ? await verifyOver(signed, exact, digests, options) : [];
  if (isSame && (!isBeside || results.every(({ valid }) => valid))) return { results, content: exact };
  if (isBeside && !(await hasLoneCr(exact()))) {
    const canonical = () => convert(exact(), toCanonical());
    if (inside === undefined || (await sameOctets(canonical(), octetsOf(inside)))) {
      return {
        results: await verifyOver(signed, canonical, new RunningDigests([]), options),
        content: canonical,
      };
    }
    throw changed(signed);
  }
  if (!isSame) throw changed(signed);
  return { results, content: exact };
}

async function verifyOver(
  signed: SignedData,
  content: () => AsyncGenerator<Uint8Array>,
  known: RunningDigests,
  { certificates = [], trust }: StreamedVerifyOptions,
): Promise<SignerResult[]> {
  const missing = new RunningDigests([...signerDigests(signed)].filter((name) => !known.has(name)));
  if (missing.size > 0) for await (const chunk of content()) missing.update(chunk);
  const octets = {
    contentType: signed.contentType,
    digest: (name: DigestName) => (known.has(name) ? known : missing).digest(name),
    get octets(): Uint8Array {
      const message = 'a signature without signed attributes over content that does not fit into memory';
      throw signed.node.fail('LIMIT_LENGTH', `${message} (option spool.memory)`);
    },
  };
  return verifySigners(signed, octets, [...certificates, ...trust]);
}

/** Reads no more than it needs; ends both. */
async function sameOctets(one: MessageStream, other: MessageStream): Promise<boolean> {
  const theirs = new Incoming(other);
  try {
    let rest: Uint8Array = new Uint8Array();
    for await (const chunk of one) {
      for (let at = 0; at < chunk.length; ) {
        if (rest.length === 0) {
          const { done, value } = await theirs.next();
          if (done === true) return false;
          rest = value;
        }
        const length = Math.min(rest.length, chunk.length - at);
        if (!equal(chunk.subarray(at, at + length), rest.subarray(0, length))) return false;
        at += length;
        rest = rest.subarray(length);
      }
    }
    return rest.length === 0 && (await theirs.next()).done === true;
  } finally {
    await theirs.return();
  }
}

const CR = 0x0d;
const LF = 0x0a;

/** The streamed hasLoneCr. */
async function hasLoneCr(chunks: AsyncIterable<Uint8Array>): Promise<boolean> {
  let endsWithCr = false;
  for await (const chunk of chunks) {
    if (chunk.length === 0) continue;
    if (endsWithCr && chunk[0] !== LF) return true;
    endsWithCr = chunk[chunk.length - 1] === CR;
    if (hasLoneCrIn(endsWithCr ? chunk.subarray(0, -1) : chunk)) return true;
  }
  return endsWithCr;
}
