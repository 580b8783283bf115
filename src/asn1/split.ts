/**
 * A CMS object (RFC 5652) that comes in chunks and whose content may be of any length: the content is handed on as it
 * comes, and what is around it, the skeleton, is kept and read by the parsers there are. Called by the streams of smime/.
 *
 * The skeleton has an empty string in place of the content. Values around it get an indefinite length, since the old one is
 * wrong now; all others keep their exact octets, as signatures are over some. What is refused is what {@link parseDer}
 * refuses, with its codes, at offsets of the input; but of a length in a value beside the content that leads out of the
 * value around it, the code may be ASN1_BAD_LENGTH where parseDer, who knows where the input ends, says ASN1_TRUNCATED.
 * A segment of the content that is no string is refused when it comes, not after what follows was looked at.
 */
import { concat, copy, Gathered } from '../bytes.js';
import { MailsealError, readable } from '../errors.js';
import { TapeStatus } from '../wasm.js';
import { Gatherer, type Header, HeaderError, type Level, Octets } from './headers.js';
import { OID } from './oids.js';
import { takeSmallSegments } from './segments.js';
import { contextConstructed, contextString, describeIdentifier, Tag, tagMatches } from './tags.js';
import { MAX_DEPTH, parseDer } from './tape.js';
import { readOid } from './values.js';

/** Octets. Certificates, CRLs, recipients and attributes are in it; what is not streamed may be larger. */
export const MAX_SKELETON_LENGTH = 1 << 24;

/** Octets of a chunk of content, where possible. */
const CHUNK = 1 << 16;

interface Split {
  /** OID of ContentInfo, dotted. */
  readonly contentType: string;
  /**
   * The whole object, with an empty string in place of the content. To be asked for after the content was read to its end.
   * @throws MailsealError ASN1_*, LIMIT_DEPTH, LIMIT_LENGTH; ASN1_TRAILING_DATA for what comes after the object
   */
  skeleton(): Promise<Uint8Array>;
  /** Where an octet of the skeleton, or of the head, stands in the source: for the offsets of errors. */
  place(offset: number): number;
}

export type SplitObject = Split &
  (
    | {
        /** The object so far: what stands before the content, and an empty string in its place; all values closed. */
        readonly head: Uint8Array;
        /** The octets of the content, once. Errors are those of {@link Split.skeleton}, and ASN1_UNEXPECTED. */
        readonly content: AsyncGenerator<Uint8Array>;
      }
    /** The object has no content, or none that is an OCTET STRING, or is of an unknown type: all of it is skeleton. */
    | { readonly head: undefined; readonly content: undefined }
  );

/** Where the content of a type is: in which of the SEQUENCEs below its own, and whether that is EncryptedContentInfo. */
interface Route {
  readonly sequence: number;
  readonly encrypted: boolean;
}

const ROUTES: ReadonlyMap<string, Route> = new Map([
  [OID.signedData, { sequence: 1, encrypted: false }],
  [OID.compressedData, { sequence: 2, encrypted: false }],
  [OID.digestedData, { sequence: 2, encrypted: false }],
  [OID.authenticatedData, { sequence: 2, encrypted: false }],
  [OID.envelopedData, { sequence: 1, encrypted: true }],
  [OID.authEnvelopedData, { sequence: 1, encrypted: true }],
  [OID.encryptedData, { sequence: 1, encrypted: true }],
]);

/**
 * Reads a ContentInfo in BER or DER up to its content.
 * @throws MailsealError as {@link parseDer}; ASN1_UNEXPECTED or ASN1_BAD_VALUE if it does not begin as a ContentInfo
 */
export async function splitContentInfo(source: AsyncIterable<Uint8Array>): Promise<SplitObject> {
  const splitter = new Splitter(source);
  return splitter.guard(() => splitter.split());
}

const EMPTY = new Uint8Array(0);
const END_OF_CONTENTS = new Uint8Array(2);

class Splitter {
  readonly #octets: Octets;
  /** Innermost last. */
  readonly #open: Level[] = [];
  /** The skeleton so far. In one array: it may be of millions of values. */
  readonly #made = new Gathered();
  /** How many values are open in it. */
  #unclosed = 0;
  /** From which octet of the skeleton on its octets stand elsewhere in the source. */
  readonly #places: { readonly at: number; readonly source: number }[] = [{ at: 0, source: 0 }];
  #contentRead = false;
  #skeleton: Promise<Uint8Array> | undefined;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#octets = new Octets(source);
  }

  async split(): Promise<SplitObject> {
    const contentType = await this.#contentType();
    const route = ROUTES.get(contentType);
    const found = route && (await this.#findContent(route));
    const rest = {
      contentType,
      place: (offset: number) => this.#place(offset),
      skeleton: async () => {
        if (found !== undefined && !this.#contentRead) throw new Error('the content was not read to its end');
        this.#skeleton ??= this.guard(() => this.#finish());
        return this.#skeleton;
      },
    };
    if (found === undefined) return { ...rest, head: undefined, content: undefined };
    this.#add(Uint8Array.of(found.identifier & 0xdf, 0), found.start);
    const head = this.#closed();
    this.#check(head);
    const content = this.#content(found);
    await content.next(); // to its first yield: a generator that has not started does not end its source
    return { ...rest, head, content };
  }

  /** Runs a step. What goes wrong ends the source. */
  async guard<T>(step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (error) {
      const told = error instanceof HeaderError ? await this.#refusal(error) : error;
      await this.#octets.close();
      throw told;
    }
  }

  /** Enters the ContentInfo and reads its type. */
  async #contentType(): Promise<string> {
    const root = await this.#child();
    if (root?.identifier === Tag.SEQUENCE) {
      this.#enter(root);
      const type = await this.#child();
      const from = this.#made.length;
      if (type !== undefined) await this.#copy(type);
      if (type?.identifier === Tag.OID) {
        const value = copy(this.#made.bytes.subarray(from));
        const oid = readable(() => readOid(parseDer(value)), undefined);
        if (oid !== undefined) return oid;
      }
    } else if (root !== undefined) {
      await this.#copy(root);
    }
    // parseDer would look at all of it before anybody sees that it is no ContentInfo.
    const whole = parseDer(await this.#finish());
    try {
      return readOid(whole.reader(Tag.SEQUENCE, 'ContentInfo').next(Tag.OID, 'contentType'));
    } catch (error) {
      throw this.#placed(error);
    }
  }

  /** Goes down to the content, and copies what is before it. Undefined if there is none. */
  async #findContent({ sequence, encrypted }: Route): Promise<Header | undefined> {
    if (!(await this.#enterNext(contextConstructed(0)))) return undefined;
    if (!(await this.#enterNext(Tag.SEQUENCE))) return undefined;
    for (let before = 1; before < sequence; before++) {
      const other = await this.#seek(Tag.SEQUENCE);
      if (other !== undefined) await this.#copy(other);
    }
    if (!(await this.#enterNext(Tag.SEQUENCE))) return undefined;
    if (encrypted) return this.#seek(contextString(0));
    if (!(await this.#enterNext(contextConstructed(0)))) return undefined;
    return this.#seek(Tag.OCTET_STRING);
  }

  /** Enters the next value of this type in the innermost one, if there is any. */
  async #enterNext(tag: Tag): Promise<boolean> {
    const found = await this.#seek(tag);
    if (found !== undefined) this.#enter(found);
    return found !== undefined;
  }

  /** The next value of this type in the innermost one, if there is any; what is before it is copied. */
  async #seek(tag: Tag): Promise<Header | undefined> {
    const depth = this.#open.length;
    while (this.#open.length === depth) {
      const child = await this.#child();
      if (child !== undefined && tagMatches(tag, child.identifier, child.tagNumber)) return child;
      if (child !== undefined) await this.#copy(child);
    }
    return undefined;
  }

  /** The octets of the content, after an empty chunk. */
  async *#content(content: Header): AsyncGenerator<Uint8Array> {
    const depth = this.#open.length;
    let complete = false;
    const gatherer = new Gatherer(CHUNK);
    try {
      yield EMPTY;
      this.#open.push(content);
      while (this.#open.length > depth) {
        const part = this.#part(gatherer, depth);
        const chunk = part && gatherer.add(part);
        if (chunk !== undefined) yield chunk;
        else if (part === undefined) await this.#more();
      }
      const rest = gatherer.end();
      if (rest !== undefined) yield rest;
      complete = true;
      this.#contentRead = true;
    } catch (error) {
      throw error instanceof HeaderError ? await this.#refusal(error) : error;
    } finally {
      if (!complete) await this.#octets.close();
    }
  }

  /**
   * What is here of the content, which is open from `depth` on, as far as the gatherer has room; none where a string begins or
   * ends, or where the gatherer has it already. Undefined if more is needed.
   */
  #part(gatherer: Gatherer, depth: number): Uint8Array | undefined {
    const { constructed, end } = this.#open.at(-1) as Level;
    if (!constructed) {
      if (this.#octets.offset === end) this.#open.pop();
      else if (this.#octets.available === 0) return undefined;
      return this.#octets.take(Math.min(end - this.#octets.offset, gatherer.room));
    }
    if (takeSmallSegments(this.#octets, this.#open, depth, gatherer)) return EMPTY;
    const segment = this.#childHere();
    if (segment === undefined) return undefined;
    if (segment !== null) {
      this.#open.push(segment);
      // X.690 8.7.3: the segments of a string are strings, in either form.
      if (!tagMatches(Tag.OCTET_STRING, segment.identifier, segment.tagNumber)) {
        const type = describeIdentifier(segment.identifier, segment.tagNumber);
        throw new HeaderError('ASN1_UNEXPECTED', `a segment of a string is ${type}`, segment.start);
      }
    }
    return EMPTY;
  }

  /** The rest of the object. */
  async #finish(): Promise<Uint8Array> {
    await this.#copyUntil(0);
    if (this.#octets.available === 0) await this.#octets.more();
    if (!this.#octets.ended) throw HeaderError.of(TapeStatus.TRAILING_DATA, this.#octets.offset);
    const skeleton = copy(this.#made.bytes);
    this.#check(skeleton);
    return skeleton;
  }

  /** The header that comes next in the innermost value; undefined if that ends, which is then closed. */
  async #child(): Promise<Header | undefined> {
    const level = this.#open.at(-1);
    for (;;) {
      const child = this.#childHere();
      if (child === null) {
        this.#add(END_OF_CONTENTS, this.#octets.offset - (level?.indefinite ? 2 : 0));
        this.#unclosed--;
        return undefined;
      }
      if (child !== undefined) return child;
      await this.#more();
    }
  }

  /** The same of what is here: undefined if more is needed, null if the value ends. */
  #childHere(): Header | undefined | null {
    const level = this.#open.at(-1);
    const end = level?.end ?? Number.POSITIVE_INFINITY;
    if (level?.indefinite === false && this.#octets.offset === end) {
      this.#open.pop();
      return null;
    }
    const header = this.#octets.header(end);
    if (header === undefined) return undefined;
    const { start } = header;
    if (header.identifier === 0) {
      // End-of-contents (X.690 8.1.5).
      if (level?.indefinite !== true) throw HeaderError.of(TapeStatus.BAD_TAG, start);
      if (header.octets.length !== 2 || header.end !== start + 2) {
        throw HeaderError.of(TapeStatus.BAD_LENGTH, start);
      }
      this.#open.pop();
      return null;
    }
    if (header.constructed && this.#open.length === MAX_DEPTH) {
      this.#open.push(header); // whether the input ends inside it comes first
      throw HeaderError.of(TapeStatus.TOO_DEEP, start);
    }
    return header;
  }

  /** Goes into a value whose length will be another. */
  #enter(header: Header): void {
    this.#open.push(header);
    this.#unclosed++;
    this.#add(Uint8Array.of(header.identifier, 0x80), header.start);
  }

  /** Copies a value as it is. */
  async #copy(header: Header): Promise<void> {
    const depth = this.#open.length;
    this.#open.push(header);
    if (header.indefinite) {
      this.#unclosed++;
      this.#add(header.octets, header.start);
      return this.#copyUntil(depth);
    }
    // Whole or not at all, so that the skeleton can be parsed if something is wrong.
    const parts = [header.octets];
    this.#checkLength(header.end - header.start);
    while (this.#octets.offset < header.end) {
      if (this.#octets.available === 0) await this.#more();
      parts.push(this.#octets.take(header.end - this.#octets.offset));
    }
    this.#open.pop();
    this.#add(concat(parts), header.start);
  }

  /** Copies what is left of the values that are open, but for so many. */
  async #copyUntil(depth: number): Promise<void> {
    while (this.#open.length > depth) {
      const child = await this.#child();
      if (child !== undefined) await this.#copy(child);
    }
  }

  async #more(): Promise<void> {
    await this.#octets.more();
    if (this.#octets.ended) {
      throw HeaderError.of(TapeStatus.TRUNCATED, this.#octets.offset, Number.POSITIVE_INFINITY);
    }
  }

  #add(octets: Uint8Array, source: number): void {
    this.#checkLength(octets.length);
    const last = this.#places.at(-1);
    if (last === undefined || source - last.source !== this.#made.length - last.at) {
      this.#places.push({ at: this.#made.length, source });
    }
    this.#made.add(octets);
  }

  #checkLength(more: number): void {
    if (this.#made.length + more <= MAX_SKELETON_LENGTH) return;
    throw new HeaderError(
      'LIMIT_LENGTH',
      `a message has over ${MAX_SKELETON_LENGTH} octets beside its content, the most that is read`,
      this.#octets.offset,
    );
  }

  #place(offset: number): number {
    const { at, source } = this.#places.findLast((place) => place.at <= offset) as {
      at: number;
      source: number;
    };
    return source + offset - at;
  }

  /** The skeleton so far, its open values closed. */
  #closed(): Uint8Array {
    return concat([this.#made.bytes, new Uint8Array(2 * this.#unclosed)]);
  }

  /** @throws HeaderError if it is not BER */
  #check(skeleton: Uint8Array): void {
    try {
      parseDer(skeleton);
    } catch (error) {
      throw this.#placed(error);
    }
  }

  /** An error of the skeleton, at its place in the source. */
  #placed(error: unknown): unknown {
    if (!(error instanceof MailsealError) || error.offset === undefined) return error;
    return new HeaderError(error.code, error.message, this.#place(error.offset));
  }

  /**
   * What parseDer says of this input, who looks at it in the order of its headers and knows where it ends: the first
   * of what can be wrong with the values that are open, with those before, and with the one that was read last.
   */
  async #refusal(error: HeaderError): Promise<MailsealError> {
    let first = error;
    const { least } = error;
    if (least !== undefined) {
      const room = Number.isFinite(least) && (await this.#octets.skipTo(least));
      first = HeaderError.of(room ? TapeStatus.BAD_LENGTH : TapeStatus.TRUNCATED, placeOf(error));
    }
    for (const level of this.#open) {
      if (level.indefinite || (await this.#octets.skipTo(level.end))) continue;
      const cut = HeaderError.of(TapeStatus.TRUNCATED, level.start);
      if (placeOf(cut) <= placeOf(first)) first = cut;
    }
    try {
      if (this.#made.length > 0) this.#check(this.#closed());
    } catch (before) {
      if (before instanceof HeaderError && placeOf(before) < placeOf(first)) first = before;
    }
    const { code, message, offset } = first;
    return new MailsealError(code, message, { offset });
  }
}

const placeOf = ({ offset }: MailsealError): number => offset ?? 0;
