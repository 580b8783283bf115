/** Octet strings: joining, comparing, hex, base64, PEM (RFC 7468), wiping, giving memory back. Used by every layer. */
import { timingSafeEqual } from 'node:crypto';
import { MessageChannel } from 'node:worker_threads';
import { MailsealError } from './errors.js';

export function assertBytes(value: unknown, what: string): asserts value is Uint8Array {
  if (!(value instanceof Uint8Array)) throw new TypeError(`${what} must be a Uint8Array`);
}

/** For option values, which a caller without types may get wrong. @throws RangeError */
export function assertOneOf(value: string, allowed: readonly string[], what: string): void {
  if (!allowed.includes(value)) throw new RangeError(`${what} must be one of ${allowed.join(', ')}`);
}

/** A Buffer on the same memory, for Node's fast codecs. */
export function buffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A copy. Not `bytes.slice()`: of a Buffer that is a view, and wiping or changing it would reach the original. */
export function copy(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

/** A plain Uint8Array on the same memory, whose methods do what those of Uint8Array do. */
export function plain(bytes: Uint8Array): Uint8Array {
  return Buffer.isBuffer(bytes) ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) : bytes;
}

/** From here on, filling new memory with zeros is a noticeable part of filling it with something else. */
const BIG = 1 << 12;

/** @param parts texts among them are written in ISO 8859-1 */
export function concat(parts: readonly (Uint8Array | string)[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = length < BIG ? new Uint8Array(length) : plain(Buffer.allocUnsafeSlow(length));
  let at = 0;
  for (const part of parts) {
    if (typeof part === 'string') buffer(out).write(part, at, 'latin1');
    else out.set(part, at);
    at += part.length;
  }
  return out;
}

/**
 * Octets in pieces, so that what is big is copied once, when all is known that stands before it. To be gone through once:
 * a piece may be made when it is asked for.
 */
export interface Pieces extends Iterable<Uint8Array> {
  /** Octets of all of them. */
  readonly byteLength: number;
}

export function inPieces(parts: readonly Uint8Array[]): Pieces {
  let byteLength = 0;
  for (const part of parts) byteLength += part.length;
  return { byteLength, [Symbol.iterator]: () => parts[Symbol.iterator]() };
}

/** All in one array. A single piece is not copied. */
export function join(pieces: Iterable<Uint8Array>): Uint8Array {
  const parts = [...pieces];
  return parts.length === 1 ? (parts[0] as Uint8Array) : concat(parts);
}

/** The octets of chunks in one array: all of them, or the chunks that bring at least `enough`. */
export async function gather(
  chunks: AsyncIterable<Uint8Array>,
  enough = Number.POSITIVE_INFINITY,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    length += chunk.length;
    if (length >= enough) break;
  }
  return concat(parts);
}

/** Octets gathered into one array, which grows. Whoever adds them bounds its length. */
export class Gathered {
  private octets = Buffer.alloc(0);
  private used = 0;

  get length(): number {
    return this.used;
  }

  /** All so far. A view, good until more is added. */
  get bytes(): Buffer {
    return this.octets.subarray(0, this.used);
  }

  add(octets: Uint8Array): void {
    const length = this.used + octets.length;
    if (length > this.octets.length) {
      const larger = Buffer.allocUnsafe(length * 2);
      larger.set(this.bytes);
      this.octets = larger;
    }
    this.octets.set(octets, this.used);
    this.used = length;
  }
}

/** Up to here a loop takes less time than making Buffers. */
const SHORT = 64;

/** Compares public octets; for secrets use {@link constantTimeEqual}. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  if (a.length > SHORT) return buffer(a).equals(b);
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/**
 * The order of two strings of octets: negative, zero or positive. For those that differ in their first octets.
 * @param start where the second one begins, and `end` where it ends: to make a view takes longer than to compare
 */
export function compare(a: Uint8Array, b: Uint8Array, start = 0, end = b.length): number {
  const others = end - start;
  const length = Math.min(a.length, others);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[start + i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - others;
}

/** Compares in time that depends on the length only. */
export function constantTimeEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

export function toHex(bytes: Uint8Array): string {
  return buffer(bytes).toString('hex');
}

/** @throws RangeError if `hex` is not pairs of hexadecimal digits. */
export function fromHex(hex: string): Uint8Array {
  if (hex.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(hex)) throw new RangeError('not hexadecimal');
  return new Uint8Array(Buffer.from(hex, 'hex'));
}

export function toBase64(bytes: Uint8Array): string {
  return buffer(bytes).toString('base64');
}

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** Base64 of RFC 4648 section 4; white space is skipped, anything else foreign is refused.
 * @throws RangeError */
export function fromBase64(text: string): Uint8Array {
  const packed = text.replace(/[ \t\r\n]+/g, '');
  if (packed.length % 4 !== 0 || !BASE64.test(packed)) throw new RangeError('not base64');
  return new Uint8Array(Buffer.from(packed, 'base64'));
}

/** Overwrites a few secrets with zeros; of many, each on its own: arguments lie on the stack. */
export function wipe(...arrays: (Uint8Array | undefined)[]): void {
  for (const array of arrays) array?.fill(0);
}

/** What is sent to a port that is closed is dropped. */
const { port1: dropped, port2: nobody } = new MessageChannel();
nobody.close();

/**
 * Gives memory back at once, which is then used anew: up to the next garbage collection, a stream would fill 32 MB of new
 * memory, and the kernel clears each page of that. Of an array that nobody else has: it is empty then. One that is part of
 * some other memory is left alone.
 */
export function release(octets: Uint8Array): void {
  const { buffer } = octets;
  if (buffer.byteLength === octets.byteLength && buffer instanceof ArrayBuffer)
    dropped.postMessage(undefined, [buffer]);
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Up to here making a Buffer takes longer than making the string. */
const SHORT_TEXT = 32;

export function latin1(bytes: Uint8Array): string {
  if (bytes.length <= SHORT_TEXT) return String.fromCharCode.apply(null, bytes as unknown as number[]);
  return buffer(bytes).toString('latin1');
}

export interface PemBlock {
  label: string;
  bytes: Uint8Array;
}

/** Lines such as `Proc-Type: 4,ENCRYPTED` that RFC 1421 puts before the base64. */
const PEM_HEADERS = /^\s*(?:[\w-]+:[^\n]*\n(?:[ \t][^\n]*\n)*)+\s*\n/;

/** Every PEM block of a text, whatever stands between them. In linear time: no text is searched twice.
 * @throws MailsealError PEM_MALFORMED if there is none, or one is broken. */
export function readPem(input: string | Uint8Array): PemBlock[] {
  const text = typeof input === 'string' ? input : latin1(input);
  const begin = /-----BEGIN ([ -~]{0,64}?)-----/g;
  const end = /-----END ([ -~]{0,64}?)-----/g;
  const blocks: PemBlock[] = [];
  for (let opened = begin.exec(text); opened !== null; opened = begin.exec(text)) {
    const label = opened[1] as string;
    const refuse = (message: string, cause?: unknown) =>
      new MailsealError('PEM_MALFORMED', message, { offset: opened?.index, cause });
    end.lastIndex = begin.lastIndex;
    const closed = end.exec(text);
    if (closed === null) throw refuse(`BEGIN ${label} is not closed`);
    if (closed[1] !== label) throw refuse(`BEGIN ${label} is closed by END ${closed[1]}`);
    const body = text.slice(begin.lastIndex, closed.index);
    try {
      blocks.push({ label, bytes: fromBase64(body.replace(PEM_HEADERS, '')) });
    } catch (cause) {
      throw refuse(`bad base64 in the ${label} block`, cause);
    }
    begin.lastIndex = end.lastIndex;
  }
  if (blocks.length === 0) throw new MailsealError('PEM_MALFORMED', 'no PEM block');
  return blocks;
}

/** One PEM block, 64 characters a line (RFC 7468 section 2). */
export function writePem(label: string, bytes: Uint8Array): string {
  const lines = toBase64(bytes).match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.map((line) => `${line}\n`).join('')}-----END ${label}-----\n`;
}
