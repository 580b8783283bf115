/**
 * ASN.1 values in BER or DER (X.690), read lazily from the WASM parser's tape. A node is an index into it; it
 * returns its exact source octets, so that what was signed is what is hashed. The layers above read every structure
 * through {@link DerReader}, which refuses whatever the schema does not name.
 */
import { assertBytes, plain } from '../bytes.js';
import { type ErrorCode, type ErrorDetails, MailsealError } from '../errors.js';
import { parseTape, parseTapes, type Tape, type TapeMode } from '../wasm.js';
import { describeIdentifier, describeTag, type Tag, tagMatches } from './tags.js';

/** Caps, each against a resource attack (CVE-2025-66031: unbounded nesting; CVE-2026-34180: huge counts). */
export const MAX_DEPTH = 64;
export const MAX_RECORDS = 4_000_000;
export const MAX_LENGTH = 1 << 29;

export interface ParseOptions {
  /** Refuse everything that only BER has (ASN1_NOT_DER). SET OF order and default values need a schema and are not checked. */
  strict?: boolean;
  /** Allow octets after the first value; its end is the node's `end`. */
  trailing?: boolean;
  /** Deepest nesting, 1 to 4096. */
  maxDepth?: number;
  /** Most values, at least 1. */
  maxRecords?: number;
  /** Most octets of input. */
  maxLength?: number;
  /** For nodes that are kept for long: else a small tape shares an array of 64 KiB with others, and keeps it alive. */
  own?: boolean;
}

function limit(value: number | undefined, fallback: number, max: number, what: string): number {
  if (value === undefined) return fallback;
  if (!Number.isSafeInteger(value) || value < 1 || value > max) {
    throw new RangeError(`${what} must be an integer from 1 to ${max}`);
  }
  return value;
}

/**
 * Parses one BER or DER value (X.690). Nothing is copied: the nodes look into `bytes`, which must not be changed
 * while they are used.
 * @throws MailsealError ASN1_TRUNCATED, ASN1_BAD_TAG, ASN1_BAD_LENGTH, ASN1_NOT_DER, ASN1_TRAILING_DATA,
 *   ASN1_BAD_VALUE, LIMIT_DEPTH, LIMIT_RECORDS, LIMIT_LENGTH; each but the last with a byte offset
 */
export function parseDer(bytes: Uint8Array, options?: ParseOptions): DerNode {
  assertBytes(bytes, 'bytes');
  const tape = parseTape(bytes, options === undefined ? DEFAULT_MODE : modeOf(options));
  return new DerNode(tape, tape.first);
}

/**
 * Parses many values, each as {@link parseDer} does, in few calls into WebAssembly: for thousands of certificates. What
 * is wrong with one input changes nothing for the others. The limits hold for each input.
 * @returns for each input, in order, its node or what parseDer would throw
 */
export function parseDerBatch(
  inputs: readonly Uint8Array[],
  options?: ParseOptions,
): (DerNode | MailsealError)[] {
  if (!Array.isArray(inputs)) throw new TypeError('inputs must be an array');
  for (const bytes of inputs) assertBytes(bytes, 'each input');
  const tapes = parseTapes(inputs, options === undefined ? DEFAULT_MODE : modeOf(options));
  return tapes.map((tape) => (tape instanceof MailsealError ? tape : new DerNode(tape, tape.first)));
}

const DEFAULT_MODE: TapeMode = {
  strict: false,
  trailing: false,
  own: false,
  maxDepth: MAX_DEPTH,
  maxRecords: MAX_RECORDS,
  maxLength: MAX_LENGTH,
};

function modeOf({
  strict = false,
  trailing = false,
  own = false,
  maxDepth,
  maxRecords,
  maxLength,
}: ParseOptions): TapeMode {
  return {
    strict,
    trailing,
    own,
    maxDepth: limit(maxDepth, MAX_DEPTH, 4096, 'maxDepth'),
    maxRecords: limit(maxRecords, MAX_RECORDS, 1 << 26, 'maxRecords'),
    maxLength: limit(maxLength, MAX_LENGTH, MAX_LENGTH, 'maxLength'),
  };
}

const FLAG_INDEFINITE = 1 << 12;
const FLAG_NOT_DER = 1 << 13;

export class DerNode {
  /** Of its record on the tape; counts the values in document order. */
  readonly index: number;
  readonly #tape: Tape;
  readonly #head: number;

  /** Made by {@link parseDer} and by a node's own navigation only. */
  constructor(tape: Tape, index: number) {
    this.index = index;
    this.#tape = tape;
    this.#head = tape.records[index * 4] as number;
  }

  /** The whole input that was parsed; the offsets below count in it. */
  get source(): Uint8Array {
    return plain(this.#tape.bytes);
  }

  /** The first identifier octet: class, form, and tag number or 31. */
  get identifier(): number {
    return this.#head & 0xff;
  }
  /** 0 universal, 1 application, 2 context-specific, 3 private. */
  get tagClass(): 0 | 1 | 2 | 3 {
    return ((this.#head >>> 6) & 3) as 0 | 1 | 2 | 3;
  }
  get tagNumber(): number {
    return this.#head >>> 16;
  }
  get constructed(): boolean {
    return (this.#head & 0x20) !== 0;
  }
  get indefinite(): boolean {
    return (this.#head & FLAG_INDEFINITE) !== 0;
  }
  /** Whether every header in this subtree is one that DER allows. */
  get isDer(): boolean {
    return (this.#head & FLAG_NOT_DER) === 0;
  }

  get start(): number {
    return this.#tape.records[this.index * 4 + 1] as number;
  }
  get contentStart(): number {
    return this.start + ((this.#head >>> 8) & 15);
  }
  get contentEnd(): number {
    return this.#tape.records[this.index * 4 + 2] as number;
  }
  /** Behind the last octet, the end-of-contents octets of an indefinite length included. */
  get end(): number {
    return this.contentEnd + (this.indefinite ? 2 : 0);
  }
  /** The exact octets of the whole value; a view, not a copy. */
  get bytes(): Uint8Array {
    return this.#view(this.start, this.end);
  }
  /** The content octets; a view. Of a constructed string they are its segments: use readOctets. */
  get content(): Uint8Array {
    return this.#view(this.contentStart, this.contentEnd);
  }

  get firstChild(): DerNode | undefined {
    return this.constructed && this.index + 1 < this.#next ? this.#at(this.index + 1) : undefined;
  }
  get children(): DerNode[] {
    const children: DerNode[] = [];
    if (!this.constructed) return children;
    for (
      let index = this.index + 1;
      index < this.#next;
      index = this.#tape.records[index * 4 + 3] as number
    ) {
      children.push(this.#at(index));
    }
    return children;
  }
  /** Number of values in this subtree, this one included. */
  get size(): number {
    return this.#next - this.index;
  }

  get #next(): number {
    return this.#tape.records[this.index * 4 + 3] as number;
  }
  #at(index: number): DerNode {
    return new DerNode(this.#tape, index);
  }
  /** A plain view: of a Buffer, subarray() would give a Buffer, whose slice() copies nothing. */
  #view(start: number, end: number): Uint8Array {
    return new Uint8Array(this.#tape.buffer, this.#tape.byteOffset + start, end - start);
  }

  is(tag: Tag): boolean {
    return tagMatches(tag, this.#head & 0xff, this.#head >>> 16);
  }
  /** @throws MailsealError ASN1_UNEXPECTED */
  expect(tag: Tag, what: string): this {
    if (!this.is(tag)) {
      throw this.fail('ASN1_UNEXPECTED', `${what}: expected ${describeTag(tag)}, found ${this.describe()}`);
    }
    return this;
  }
  /** A cursor over the children of a value that must have this tag. */
  reader(tag: Tag, what: string): DerReader {
    this.expect(tag, what);
    return new DerReader(this, what);
  }
  /** The type, as an error message names it. */
  describe(): string {
    return describeIdentifier(this.#head & 0xff, this.#head >>> 16);
  }
  /** An error at this node's place. */
  fail(code: ErrorCode, message: string, details: Omit<ErrorDetails, 'offset'> = {}): MailsealError {
    return new MailsealError(code, message, { ...details, offset: this.start });
  }

  /** @internal the child after `child`, or the first: for DerReader, which makes a node only when it is taken. */
  childAfter(child: DerNode | undefined): DerNode | undefined {
    if (child === undefined) return this.firstChild;
    const index = child.#next;
    return index < this.#next ? this.#at(index) : undefined;
  }
}

/** Reads the children of a constructed value one by one, as its ASN.1 type lists them. */
export class DerReader {
  readonly #parent: DerNode;
  readonly #what: string;
  #peek: DerNode | undefined;

  constructor(parent: DerNode, what: string) {
    this.#parent = parent;
    this.#what = what;
    this.#peek = parent.firstChild;
  }

  get more(): boolean {
    return this.#peek !== undefined;
  }
  /** The value that is read next. */
  get peek(): DerNode | undefined {
    return this.#peek;
  }

  /** @throws MailsealError ASN1_UNEXPECTED */
  next(tag: Tag, what: string): DerNode {
    return this.any(what, tag).expect(tag, what);
  }

  /** A value of any type. @throws MailsealError ASN1_UNEXPECTED if none is left */
  any(what: string, expected?: Tag): DerNode {
    const node = this.#peek;
    if (node === undefined) {
      const type = expected === undefined ? '' : ` (${describeTag(expected)})`;
      throw new MailsealError('ASN1_UNEXPECTED', `${this.#what} ends before ${what}${type}`, {
        offset: this.#parent.contentEnd,
      });
    }
    this.#peek = this.#parent.childAfter(node);
    return node;
  }

  optional(tag: Tag): DerNode | undefined {
    return this.#peek?.is(tag) ? this.any('') : undefined;
  }

  rest(): DerNode[] {
    const nodes: DerNode[] = [];
    while (this.#peek !== undefined) nodes.push(this.any(''));
    return nodes;
  }

  /** @throws MailsealError ASN1_UNEXPECTED if anything is left */
  end(): void {
    const node = this.#peek;
    if (node !== undefined) {
      throw node.fail('ASN1_UNEXPECTED', `${this.#what}: ${node.describe()} is not expected here`);
    }
  }
}
