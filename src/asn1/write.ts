/**
 * DER encoding (X.690 sections 8, 10 and 11), children as closures: a constructed value's length is patched in when
 * its closure returns. Used by everything that makes certificates' relatives, PFX and CMS.
 */
import { assertBytes, concat, inPieces, type Pieces, utf8 } from '../bytes.js';
import type { Tag } from './tags.js';

/** Encodes what `build` writes: usually one value. */
export function writeDer(build: (writer: DerWriter) => void): Uint8Array {
  const writer = new DerWriter();
  build(writer);
  return writer.finish();
}

/** Encodes what `build` writes, with {@link DerWriter.big} content as pieces of their own. */
export function writePieces(build: (writer: DerWriter) => void): Pieces {
  const writer = new DerWriter();
  build(writer);
  return writer.finishPieces();
}

/** A value in BER around content that comes in chunks: what stands before these, and what behind them. */
export interface Around {
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

/**
 * Encodes what `build` writes around one {@link DerWriter.chunks}. What holds the chunks is of indefinite length (X.690
 * 8.1.3.6), all else DER.
 */
export function writeAround(build: (writer: DerWriter) => void): Around {
  const writer = new DerWriter();
  build(writer);
  return writer.finishAround();
}

type Build = (writer: DerWriter) => void;

/** One value, encoded already or written when its turn comes. */
export type DerValue = Uint8Array | Build;

interface Big {
  /** Offset in the writer's own octets. */
  at: number;
  readonly content: Pieces;
}

function* interleave(written: Uint8Array, big: readonly Big[]): Generator<Uint8Array> {
  let from = 0;
  for (const { at, content } of big) {
    yield written.subarray(from, at);
    for (const piece of content) yield piece;
    from = at;
  }
  yield written.subarray(from);
}

const CONSTRUCTED = 0x20;
const INDEFINITE = 0x80;
const END_OF_CONTENTS = new Uint8Array(2);

/** Octets kept free in front of a constructed value's content; moved up if its length needs more. */
const SHORT_LENGTH = 1;

/** Wiped memory of writers that have finished. A message takes a dozen writers, and making it costs more than they do. */
const spare: Uint8Array<ArrayBuffer>[] = [];
const SPARE_OCTETS = 4096;
const MAX_SPARE = 8;

export class DerWriter {
  #out = spare.pop() ?? new Uint8Array(SPARE_OCTETS);
  #length = 0;
  /** Content that is not in `out`, in the order of its places there. */
  readonly #big: Big[] = [];
  #bigLength = 0;
  /** Where chunks come in; -1 if none do. */
  #chunksAt = -1;

  /** The encoded octets, once; the writer's own copy, which may hold secrets, is wiped. */
  finish(): Uint8Array {
    return this.#big.length === 0 ? this.#take() : concat([...this.finishPieces()]);
  }

  /** As {@link finish}. */
  finishPieces(): Pieces {
    const byteLength = this.#length + this.#bigLength;
    const written = this.#take();
    const big = this.#big;
    if (big.length === 0) return inPieces([written]);
    return { byteLength, [Symbol.iterator]: () => interleave(written, big) };
  }

  finishAround(): Around {
    const at = this.#chunksAt;
    const written = this.#take();
    return { before: written.subarray(0, at), after: written.subarray(at) };
  }

  #take(): Uint8Array {
    const result = this.#out.slice(0, this.#length);
    this.#out.fill(0, 0, this.#length);
    if (this.#out.length === SPARE_OCTETS && spare.length < MAX_SPARE) spare.push(this.#out);
    this.#out = new Uint8Array(0);
    this.#length = 0;
    return result;
  }

  sequence(build: Build): void {
    this.#constructed(0x30, build);
  }
  set(build: Build): void {
    this.#constructed(0x31, build);
  }
  /** SET OF, sorted as DER wants it (11.6). */
  setOf(items: readonly DerValue[]): void {
    this.set((w) => w.rawSorted(items));
  }
  /** [n] IMPLICIT SET OF, sorted. */
  implicitSetOf(n: number, items: readonly DerValue[]): void {
    this.#constructed(0xa0 | n, (w) => w.rawSorted(items));
  }
  /** [n] EXPLICIT. */
  explicit(n: number, build: Build): void {
    this.#constructed(0xa0 | n, build);
  }
  /** [n] IMPLICIT of a SEQUENCE or SET, whose components `build` writes. */
  implicitConstructed(n: number, build: Build): void {
    this.#constructed(0xa0 | n, build);
  }
  /** [n] IMPLICIT of a primitive type with these content octets. */
  implicit(n: number, content: Uint8Array): void {
    this.#primitive(0x80 | n, content);
  }

  /** INTEGER from a number or bigint, or from the magnitude of a non-negative one. */
  integer(value: number | bigint | Uint8Array): void {
    if (value instanceof Uint8Array) this.#primitive(0x02, unsignedContent(value));
    else if (typeof value === 'number' && (value & 0x7f) === value)
      this.#primitive(0x02, Uint8Array.of(value));
    else this.#primitive(0x02, integerContent(BigInt(value)));
  }
  enumerated(value: number): void {
    this.#primitive(0x0a, integerContent(BigInt(value)));
  }
  boolean(value: boolean): void {
    this.#primitive(0x01, Uint8Array.of(value ? 0xff : 0));
  }
  null(): void {
    this.#primitive(0x05, new Uint8Array(0));
  }
  oid(dotted: string): void {
    this.#primitive(0x06, oidContent(dotted));
  }
  octets(content: Uint8Array): void {
    this.#primitive(0x04, content);
  }
  bitString(bytes: Uint8Array, unusedBits = 0): void {
    this.#header(0x03, bytes.length + 1);
    this.raw(Uint8Array.of(unusedBits));
    this.raw(bytes);
  }
  utf8(text: string): void {
    this.#primitive(0x0c, utf8(text));
  }
  /** @throws RangeError on a character that PrintableString does not have (X.680 41.4) */
  printable(text: string): void {
    if (!/^[A-Za-z0-9 '()+,\-./:=?]*$/.test(text)) throw new RangeError('not a PrintableString');
    this.#primitive(0x13, utf8(text));
  }
  /** @throws RangeError on a character outside ASCII */
  ia5(text: string): void {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: IA5 is ASCII, control characters included
    if (!/^[\x00-\x7f]*$/.test(text)) throw new RangeError('not an IA5String');
    this.#primitive(0x16, utf8(text));
  }
  bmp(text: string): void {
    this.#primitive(0x1e, Buffer.from(text, 'utf16le').swap16());
  }
  /** UTCTime from 1950 to 2049, GeneralizedTime otherwise (RFC 5280 4.1.2.5); whole seconds. */
  time(date: Date): void {
    const year = date.getUTCFullYear();
    if (Number.isNaN(year)) throw new RangeError('not a valid Date');
    if (year < 0 || year > 9999) throw new RangeError('a year beyond GeneralizedTime');
    const isUtcTime = year >= 1950 && year < 2050;
    this.#header(isUtcTime ? 0x17 : 0x18, isUtcTime ? 13 : 15);
    if (!isUtcTime) this.#twoDigits(Math.floor(year / 100));
    this.#twoDigits(year % 100);
    this.#twoDigits(date.getUTCMonth() + 1);
    this.#twoDigits(date.getUTCDate());
    this.#twoDigits(date.getUTCHours());
    this.#twoDigits(date.getUTCMinutes());
    this.#twoDigits(date.getUTCSeconds());
    this.#octet(0x5a); // Z
  }

  /** A value under another tag, for those that have no method of their own. */
  tagged(tag: Tag, content: Uint8Array): void {
    this.#primitive(tag & 0xff, content);
  }

  /** A SEQUENCE or SET under another tag, whose components `build` writes. */
  constructed(tag: Tag, build: Build): void {
    this.#constructed(tag & 0xff, build);
  }

  /** A value whose content octets are not copied before all is written. Not in a SET OF, which may be sorted. */
  big(tag: Tag, content: Pieces): void {
    this.#header(tag & 0xff, content.byteLength);
    this.#big.push({ at: this.#length, content });
    this.#bigLength += content.byteLength;
  }

  /** A string whose octets come in chunks, each an OCTET STRING of its own (X.690 8.7.3). For {@link writeAround}. */
  chunks(tag: Tag): void {
    this.raw(Uint8Array.of((tag & 0xff) | CONSTRUCTED, INDEFINITE));
    this.#chunksAt = this.#length;
    this.raw(END_OF_CONTENTS);
  }

  /** Octets that are encoded already. */
  raw(encoded: Uint8Array): void {
    assertBytes(encoded, 'encoded');
    this.#room(encoded.length);
    this.#out.set(encoded, this.#length);
    this.#length += encoded.length;
  }
  rawSorted(items: readonly DerValue[]): void {
    const start = this.#length;
    const ends = items.map((item) => {
      if (typeof item === 'function') item(this);
      else this.raw(item);
      return this.#length;
    });
    // Most callers know the order.
    if (isSorted(this.#out, start, ends)) return;
    const written = this.#out.slice(start, this.#length);
    const values = ends.map((end, i) => written.subarray((ends[i - 1] ?? start) - start, end - start));
    this.#length = start;
    for (const value of values.sort(Buffer.compare)) this.raw(value);
    written.fill(0);
  }

  #octet(octet: number): void {
    this.#room(1);
    this.#out[this.#length++] = octet;
  }

  #twoDigits(value: number): void {
    this.#octet(0x30 + Math.floor(value / 10));
    this.#octet(0x30 + (value % 10));
  }

  #primitive(identifier: number, content: Uint8Array): void {
    this.#header(identifier, content.length);
    this.raw(content);
  }

  #header(identifier: number, length: number): void {
    this.#room(6);
    this.#out[this.#length++] = identifier;
    this.#length += putLength(this.#out, this.#length, length);
  }

  #constructed(identifier: number, build: Build): void {
    this.#room(1 + SHORT_LENGTH);
    this.#out[this.#length] = identifier;
    const lengthAt = this.#length + 1;
    const start = lengthAt + SHORT_LENGTH;
    this.#length = start;
    const { length: bigBefore } = this.#big;
    const bigLengthBefore = this.#bigLength;
    build(this);
    if (this.#chunksAt >= start) {
      this.#out[lengthAt] = INDEFINITE;
      this.raw(END_OF_CONTENTS);
      return;
    }
    const size = this.#length - start + this.#bigLength - bigLengthBefore;
    const lengthSize = lengthOctets(size);
    if (lengthSize > SHORT_LENGTH) {
      this.#room(lengthSize - SHORT_LENGTH);
      this.#out.copyWithin(lengthAt + lengthSize, start, this.#length);
      this.#length += lengthSize - SHORT_LENGTH;
      for (let i = bigBefore; i < this.#big.length; i++) {
        (this.#big[i] as Big).at += lengthSize - SHORT_LENGTH;
      }
    }
    putLength(this.#out, lengthAt, size);
  }

  #room(more: number): void {
    const wanted = this.#length + more;
    if (wanted <= this.#out.length) return;
    const grown = new Uint8Array(Math.max(wanted, this.#out.length * 2));
    grown.set(this.#out.subarray(0, this.#length));
    this.#out.fill(0);
    this.#out = grown;
  }
}

/** Whether values that lie side by side, and end at `ends`, are in ascending order. */
function isSorted(out: Uint8Array, start: number, ends: readonly number[]): boolean {
  let from = start;
  for (let i = 0; i + 1 < ends.length; i++) {
    const end = ends[i] as number;
    // No value is the beginning of another one.
    let same = 0;
    while (from + same < end && out[from + same] === out[end + same]) same++;
    if (from + same < end && (out[from + same] as number) > (out[end + same] as number)) return false;
    from = end;
  }
  return true;
}

/** Identifier and length octets of a value of `length` content octets. */
export function derHeader(tag: Tag, length: number): Uint8Array {
  const header = new Uint8Array(1 + lengthOctets(length));
  header[0] = tag & 0xff;
  putLength(header, 1, length);
  return header;
}

function lengthOctets(length: number): number {
  return length < 0x80 ? 1 : length < 0x100 ? 2 : length < 0x1_0000 ? 3 : length < 0x100_0000 ? 4 : 5;
}

/** Writes the length in the fewest octets (10.1) and returns how many. */
function putLength(out: Uint8Array, at: number, length: number): number {
  const octets = lengthOctets(length);
  if (octets === 1) {
    out[at] = length;
    return 1;
  }
  out[at] = 0x80 | (octets - 1);
  for (let i = octets - 1, rest = length; i > 0; i--, rest = Math.floor(rest / 256))
    out[at + i] = rest & 0xff;
  return octets;
}

function integerContent(value: bigint): Uint8Array {
  let octets = 1;
  while (BigInt.asIntN(octets * 8, value) !== value) octets++;
  const hex = BigInt.asUintN(octets * 8, value)
    .toString(16)
    .padStart(octets * 2, '0');
  return Buffer.from(hex, 'hex');
}

function unsignedContent(magnitude: Uint8Array): Uint8Array {
  let start = 0;
  while (start < magnitude.length && magnitude[start] === 0) start++;
  const lead = magnitude[start];
  if (lead === undefined) return Uint8Array.of(0);
  const content = new Uint8Array(magnitude.length - start + (lead > 127 ? 1 : 0));
  content.set(magnitude.subarray(start), content.length - (magnitude.length - start));
  return content;
}

const oidContents = new Map<string, Uint8Array>();

/** Content octets of an OID; those of the table are asked for again and again, so they are kept. */
function oidContent(dotted: string): Uint8Array {
  const known = oidContents.get(dotted);
  if (known !== undefined) return known;
  if (!/^(?:[01]\.[1-3]?\d|2\.(?:0|[1-9]\d*))(?:\.(?:0|[1-9]\d*))*$/.test(dotted))
    throw new RangeError('not an OID');
  const [first, second, ...rest] = dotted.split('.').map(BigInt) as [bigint, bigint, ...bigint[]];
  const octets: number[] = [];
  for (const arc of [first * 40n + second, ...rest]) {
    const groups = [Number(arc & 127n)];
    for (let left = arc >> 7n; left > 0n; left >>= 7n) groups.unshift(Number(left & 127n) | 0x80);
    octets.push(...groups);
  }
  const content = Uint8Array.from(octets);
  if (oidContents.size < 1000) oidContents.set(dotted, content);
  return content;
}
