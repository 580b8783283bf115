/**
 * CompressedData (RFC 3274) with zlib (RFC 1950), read and written. A message says nothing of its size once it is
 * decompressed, so that is bounded: by a length, and by how many times its own size it may grow ("zip bomb").
 * Refused: other algorithms, octets behind the compressed ones. Used by the S/MIME layer.
 */
import { deflateSync, inflateSync } from 'node:zlib';
import { readAlgorithmIdentifier } from '../asn1/algorithm.js';
import { OID } from '../asn1/oids.js';
import { Tag } from '../asn1/tags.js';
import type { DerNode } from '../asn1/tape.js';
import { readSmallInteger } from '../asn1/values.js';
import type { Around, DerWriter } from '../asn1/write.js';
import { assertBytes, inPieces, type Pieces, plain } from '../bytes.js';
import { unsupported } from './algorithms.js';
import { readEncapsulated, writeContent, writeContentInfo, writeContentInfoAround } from './content.js';

/** Octets. */
export const MAX_DECOMPRESSED_LENGTH = 1 << 28;

/** Deflate makes at most 1,032 octets of one; text and documents grow three to twenty times. */
const MAX_GROWTH = 256;
/** What small messages may grow to all the same. */
const ALWAYS_ALLOWED = 1 << 24;

export interface DecompressOptions {
  /** Most octets of content, 1 to 2^30; of a stream, to 2^40. Default {@link MAX_DECOMPRESSED_LENGTH}. */
  readonly maxLength?: number;
}

export interface DecompressedContent {
  readonly content: Uint8Array;
  /** Dotted OID. */
  readonly contentType: string;
}

/**
 * @param node the content of a ContentInfo of type compressedData
 * @throws MailsealError LIMIT_LENGTH; UNSUPPORTED_ALGORITHM with the OID, UNSUPPORTED_FEATURE; CMS_MALFORMED, ASN1_*
 * @throws RangeError for a limit that is none
 */
export function decompressData(node: DerNode, options: DecompressOptions = {}): DecompressedContent {
  const maxLength = checkedMaxLength(options);
  const { contentType, content } = readCompressed(node);
  return { contentType, content: inflate(content, grownLimit(content.length, maxLength), node) };
}

/** @throws RangeError */
export function checkedMaxLength(
  { maxLength = MAX_DECOMPRESSED_LENGTH }: DecompressOptions,
  most = 2 ** 30,
): number {
  if (Number.isInteger(maxLength) && maxLength >= 1 && maxLength <= most) return maxLength;
  throw new RangeError(`maxLength must be an integer from 1 to 2^${Math.log2(most)}`);
}

/** CompressedData, its content still compressed. @throws as {@link decompressData} */
export function readCompressed(node: DerNode): DecompressedContent {
  const reader = node.reader(Tag.SEQUENCE, 'CompressedData');
  readSmallInteger(reader.next(Tag.INTEGER, 'version'), 'version');
  const algorithm = readAlgorithmIdentifier(
    reader.next(Tag.SEQUENCE, 'compressionAlgorithm'),
    'compressionAlgorithm',
  );
  const { contentType, content } = readEncapsulated(reader.next(Tag.SEQUENCE, 'encapContentInfo'));
  reader.end();
  if (algorithm.oid !== OID.zlibCompress) throw unsupported(algorithm, 'compression with');
  if (content === undefined) {
    throw node.fail('UNSUPPORTED_FEATURE', 'CompressedData whose content is elsewhere');
  }
  return { contentType, content };
}

/** What so many compressed octets may grow to. */
export const grownLimit = (compressed: number, maxLength: number): number =>
  Math.min(maxLength, Math.max(compressed * MAX_GROWTH, ALWAYS_ALLOWED));

/** What zlib gives with `info`: @types/node 20 has no name for it. */
interface Inflated {
  readonly buffer: Buffer;
  /** Of its engine: octets of input that were taken. */
  readonly engine: { readonly bytesWritten: number };
}

function inflate(data: Uint8Array, limit: number, node: DerNode): Uint8Array {
  let inflated: Inflated;
  try {
    inflated = inflateSync(data, { maxOutputLength: limit, info: true }) as unknown as Inflated;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw node.fail(
        'LIMIT_LENGTH',
        `${data.length} compressed octets grow beyond the limit of ${limit} (option maxLength)`,
      );
    }
    throw node.fail('CMS_MALFORMED', 'the compressed content is no zlib data, or is cut off', { cause });
  }
  const { buffer, engine } = inflated;
  if (engine.bytesWritten === data.length) return plain(buffer);
  throw node.fail('CMS_MALFORMED', 'octets behind the compressed content');
}

/**
 * A ContentInfo with CompressedData, in DER and in pieces.
 * @param contentType dotted OID
 */
export function compressedPieces(content: Uint8Array, contentType: string = OID.data): Pieces {
  assertBytes(content, 'content');
  const deflated = inPieces([deflateSync(content)]);
  return writeContentInfo(OID.compressedData, (w) => write(w, contentType, deflated));
}

/** The same, of id-data that is compressed elsewhere and comes in chunks. */
export const compressedAround = (): Around =>
  writeContentInfoAround(OID.compressedData, (w) => write(w, OID.data, undefined));

function write(w: DerWriter, contentType: string, deflated: Pieces | undefined): void {
  w.integer(0);
  w.sequence((w) => w.oid(OID.zlibCompress));
  w.sequence((w) => {
    w.oid(contentType);
    w.explicit(0, (w) => writeContent(w, Tag.OCTET_STRING, deflated));
  });
}
