/**
 * The two parts of multipart/signed (RFC 1847 section 2.1) in a stream of its body: what was signed octet for octet as it
 * comes, then the signature. Errors and offsets are those of classify in mime.ts.
 *
 * Refused: what mime.ts refuses, and a second part over 16 MiB. Called by input.ts.
 */
import { Gathered } from '../../bytes.js';
import { MailsealError } from '../../errors.js';
import {
  holdsSignature,
  MAX_PARTS,
  MimeEntity,
  NO_DELIMITER,
  NOT_TWO_PARTS,
  type Range,
  requireSignature,
  shifted,
  tolerant,
} from '../mime.js';
import { type Delimiter, DelimiterScanner, type DelimiterSink } from './delimiters.js';

/** Octets of the part with the signature. */
const MAX_SIGNATURE = 1 << 24;

export interface SignaturePart {
  /** Header and body of the second part, exact. */
  readonly bytes: Uint8Array;
  /** Offsets in the mail: of the second part, and of all else. */
  readonly start: number;
  readonly preamble: Range;
  readonly content: Range;
  readonly epilogue: Range;
}

export interface SignedParts {
  /** Exact octets of the first part, header and body, without the line end before the delimiter. To be read first. */
  readonly content: AsyncGenerator<Uint8Array>;
  /**
   * Reads the rest, to the end of the mail; of the content as well what was not read.
   * @throws MailsealError MIME_MALFORMED, LIMIT_RECORDS as classify does; LIMIT_LENGTH
   */
  signature(): Promise<SignaturePart>;
}

/**
 * @param body what stands behind the header; ended early where `content` is
 * @param boundary see MimeEntity.boundary
 * @param bodyStart offset of the body in the mail
 * @param otherwise what is thrown where the second part is no signature, if the header does not say that it is one
 */
export function splitSigned(
  body: AsyncIterable<Uint8Array>,
  boundary: string,
  bodyStart: number,
  otherwise?: MailsealError,
): SignedParts {
  const source = body[Symbol.asyncIterator]();
  const splitter = new Splitter(boundary, bodyStart);
  /** Goes on by a chunk; false at the end. */
  const advance = async (): Promise<boolean> => {
    if (splitter.ended) return false;
    const { done, value } = await source.next();
    if (done === true) splitter.end();
    else splitter.write(value);
    return true;
  };
  async function* content(): AsyncGenerator<Uint8Array> {
    let complete = false;
    try {
      while (splitter.inContent && (await advance())) {
        for (const piece of splitter.takeContent()) yield piece;
      }
      complete = true;
    } finally {
      if (!complete) await source.return?.();
    }
  }
  const signature = async (): Promise<SignaturePart> => {
    let complete = false;
    try {
      while (await advance()) splitter.takeContent();
      complete = true;
    } finally {
      if (!complete) await source.return?.();
    }
    return splitter.result(otherwise);
  };
  return { content: content(), signature };
}

class Splitter implements DelimiterSink {
  ended = false;
  private readonly scanner: DelimiterScanner;
  private readonly bodyStart: number;
  private offset: number;
  /** Where what stands between delimiters begins and ends: the preamble, then the parts. Of more parts only the number. */
  private readonly ranges: Range[] = [];
  private rangeStart: number;
  private parts = 0;
  private epilogueStart: number | undefined;
  private pieces: Uint8Array[] = [];
  private readonly signature = new Gathered();

  constructor(boundary: string, bodyStart: number) {
    this.scanner = new DelimiterScanner(this, bodyStart, true); // a header with a field has a line end before the body
    this.scanner.open(boundary);
    this.bodyStart = bodyStart;
    this.offset = bodyStart;
    this.rangeStart = bodyStart;
  }

  /** Whether more of the content may come. */
  get inContent(): boolean {
    return !this.ended && this.epilogueStart === undefined && this.ranges.length < 2;
  }

  write(chunk: Uint8Array): void {
    this.offset += chunk.length;
    this.scanner.write(chunk);
  }

  end(): void {
    this.ended = true;
    this.scanner.end();
    if (this.epilogueStart === undefined && this.ranges.length > 0) this.endRange(this.offset, this.offset);
  }

  /** What came of the content since the last call. */
  takeContent(): Uint8Array[] {
    const { pieces } = this;
    this.pieces = [];
    return pieces;
  }

  content(octets: Uint8Array): number {
    if (this.epilogueStart !== undefined) return octets.length;
    if (this.ranges.length === 1) this.pieces.push(octets);
    if (this.ranges.length === 2) this.keep(octets);
    return octets.length;
  }

  private keep(octets: Uint8Array): void {
    if (this.signature.length + octets.length > MAX_SIGNATURE) {
      throw new MailsealError('LIMIT_LENGTH', `a signature over ${MAX_SIGNATURE} octets`, {
        offset: this.rangeStart,
      });
    }
    this.signature.add(octets);
  }

  delimiter({ closing, start, end }: Delimiter): void {
    this.endRange(start, end);
    if (!closing) return;
    this.epilogueStart = end;
    this.scanner.close(0); // what stands behind the closing delimiter is no part
  }

  private endRange(end: number, next: number): void {
    if (this.ranges.length > 0 && ++this.parts > MAX_PARTS) {
      throw new MailsealError('LIMIT_RECORDS', `over ${MAX_PARTS} body parts`, { offset: this.rangeStart });
    }
    if (this.ranges.length < 3) this.ranges.push({ start: this.rangeStart, end });
    this.rangeStart = next;
  }

  result(otherwise: MailsealError | undefined): SignaturePart {
    const malformed = (message: string, offset: number) =>
      new MailsealError('MIME_MALFORMED', message, { offset });
    const [preamble, content, second] = this.ranges;
    const { bytes } = this.signature;
    const whole = { start: 0, end: bytes.length };
    const signature = () => new MimeEntity(bytes, whole, 1, { parts: 0 });
    if (otherwise !== undefined) {
      const isSignature = second !== undefined && tolerant(() => holdsSignature(signature()), false);
      if (!isSignature) throw otherwise;
    }
    if (preamble === undefined) throw malformed(NO_DELIMITER, this.bodyStart);
    const { epilogueStart: start } = this;
    if (content === undefined || second === undefined || this.parts !== 2 || start === undefined) {
      throw malformed(NOT_TWO_PARTS, this.bodyStart);
    }
    shifted(second.start, () => requireSignature(signature()));
    return { bytes, start: second.start, preamble, content, epilogue: { start, end: this.offset } };
  }
}
