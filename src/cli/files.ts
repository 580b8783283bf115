/** Files of the command line: reading FILE or `-`, writing whole or not at all, passwords, dates. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { concat, wipe } from '../bytes.js';
import { MailsealError } from '../errors.js';
import { whenInterrupted } from './terminal.js';

/** Most octets that are read whole: keys, certificates, lists, and what `lookup` and `inspect` look at. Other messages come in chunks. */
const MAX_FILE = 1 << 29;

/** `ENOENT: no such file or directory`, without the call and path that Node.js puts behind it. */
export function ioError(what: string, cause: unknown): MailsealError {
  const { message } = cause as Error;
  return new MailsealError('IO', `${what}: ${message.replace(/, \w+(?: '.*')?$/s, '')}`, { cause });
}

let standardInputTaken = false;

/** The octets of a file, or of standard input for `-`. @throws MailsealError IO, LIMIT_LENGTH, USAGE */
export function readInput(path: string): Uint8Array {
  try {
    return path === '-' ? readAll(takeStandardInput(), path) : readFileLimited(path);
  } catch (error) {
    throw error instanceof MailsealError ? error : ioError(`cannot read ${path}`, error);
  }
}

/** A second reader would find it empty: an empty password, say. */
function takeStandardInput(): number {
  if (standardInputTaken)
    throw new MailsealError('USAGE', 'standard input (-) can be read for one thing only');
  standardInputTaken = true;
  return STANDARD_INPUT;
}

const STANDARD_INPUT = 0;

/** Octets that are read at a time. */
const CHUNK = 1 << 17;

/**
 * A message as a stream: of a file, or of standard input for `-`. It is opened at once, so that one that is not there is
 * told before anything else is asked.
 * @throws MailsealError IO, USAGE; in the stream IO
 */
export function openInput(path: string): AsyncGenerator<Uint8Array> {
  try {
    return chunksOf(path === '-' ? takeStandardInput() : openSync(path, 'r'), path);
  } catch (error) {
    throw error instanceof MailsealError ? error : ioError(`cannot read ${path}`, error);
  }
}

async function* chunksOf(descriptor: number, path: string): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      const part = Buffer.allocUnsafe(CHUNK);
      const read = readSome(descriptor, part, path);
      if (read === 0) return;
      yield part.subarray(0, read);
    }
  } finally {
    if (descriptor !== STANDARD_INPUT) closeSync(descriptor);
  }
}

/** Runs `read` on what the file at `path` holds; says of its errors that they are about this file. */
export function inFile<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof MailsealError)) throw error;
    const { code, message, offset, oid } = error;
    throw new MailsealError(code, `${path}: ${message}`, { offset, oid, cause: error });
  }
}

/** The text of a file that holds secrets; its octets are wiped. @throws MailsealError USAGE if it is not UTF-8 */
export function readSecretText(path: string): string {
  const bytes = readInput(path);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes); // without a byte order mark
  } catch (cause) {
    throw new MailsealError('USAGE', `${path} is not UTF-8`, { cause });
  } finally {
    wipe(bytes);
  }
}

/** Whether a file starts as a PFX does, in BER (SEQUENCE { version INTEGER 3 … }) or PEM. @throws what node:fs throws */
export function isPfxFile(path: string): boolean {
  const head = Buffer.alloc(PEM_PFX.length);
  const descriptor = openSync(path, 'r');
  try {
    const length = readSync(descriptor, head);
    if (head.toString('latin1') === PEM_PFX) return true;
    return /^30(?:[0-7].|80|81..|82.{4}|83.{6}|84.{8})020103/.test(head.toString('hex', 0, length));
  } finally {
    closeSync(descriptor);
  }
}

const PEM_PFX = '-----BEGIN PKCS12';

function readFileLimited(path: string): Uint8Array {
  const descriptor = openSync(path, 'r');
  try {
    const { size } = fstatSync(descriptor);
    if (size > MAX_FILE) throw tooLong(path);
    return size > 0 ? readFileSync(descriptor) : readAll(descriptor, path); // pipes and /dev/stdin have no size
  } finally {
    closeSync(descriptor);
  }
}

function readAll(descriptor: number, path: string): Uint8Array {
  const parts: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const part = Buffer.alloc(1 << 16);
    const read = readSome(descriptor, part, path);
    if (read === 0) return concat(parts);
    parts.push(part.subarray(0, read));
    length += read;
    if (length > MAX_FILE) throw tooLong('the input');
  }
}

/** A non-blocking standard input (a terminal, a pipe opened so) says EAGAIN while it has nothing yet. */
function readSome(descriptor: number, into: Buffer, path: string): number {
  for (;;) {
    try {
      return readSync(descriptor, into);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EOF') return 0;
      if (code !== 'EAGAIN') throw ioError(`cannot read ${path}`, error);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}

const tooLong = (what: string) =>
  new MailsealError('LIMIT_LENGTH', `${what} has over ${MAX_FILE} octets, the most that is read`);

/**
 * Writes a file whole or not at all: beside it first, then renamed over it. Only its owner may read it, since it may
 * be decrypted mail. `-` or nothing is standard output.
 * @throws MailsealError IO; what the stream throws
 */
export async function writeOutput(path: string | undefined, octets: Uint8Array | Readable): Promise<void> {
  const chunks = octets instanceof Uint8Array ? [octets] : octets;
  if (path === undefined || path === '-') {
    for await (const chunk of chunks) {
      // If that fails, the handler of main.ts ends the process.
      await new Promise<void>((resolve) => process.stdout.write(chunk, (error) => error ?? resolve()));
    }
    return;
  }
  const there = toWrite(path, () => statSync(path, { throwIfNoEntry: false }));
  if (there !== undefined && !there.isFile()) {
    await writeTo(path, 'w', chunks); // /dev/null or a named pipe is written to, not replaced; a folder is an error
    return;
  }
  const target = there === undefined ? path : toWrite(path, () => realpathSync(path)); // a symbolic link stays one
  const temporary = join(dirname(target), `.mailseal-${randomBytes(8).toString('hex')}`);
  const remove = () => rmSync(temporary, { force: true });
  const forget = whenInterrupted(remove);
  try {
    await writeTo(path, 'wx', chunks, temporary);
    toWrite(path, () => renameSync(temporary, target));
  } catch (error) {
    remove();
    throw error;
  } finally {
    forget();
  }
}

/** @param path what errors name */
async function writeTo(
  path: string,
  flags: 'w' | 'wx',
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  file = path,
): Promise<void> {
  const descriptor = toWrite(path, () => openSync(file, flags, 0o600));
  try {
    for await (const chunk of chunks) toWrite(path, () => writeFileSync(descriptor, chunk));
  } finally {
    closeSync(descriptor);
  }
}

function toWrite<T>(path: string, write: () => T): T {
  try {
    return write();
  } catch (error) {
    throw ioError(`cannot write ${path}`, error);
  }
}

/** The first line of a password file, without its line end. */
export function readPasswordFile(path: string): string {
  return readSecretText(path).split(/\r?\n/, 1)[0] as string;
}

/** A day, at its first moment in UTC, or a moment with its time zone. */
const DATE = /^(\d{4}-\d\d-\d\d)(?:T\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:\d\d))?$/;

/** A date as ISO 8601 has it, such as 2026-01-31 or 2026-01-31T12:00:00Z. */
export function parseDate(text: string): Date {
  const day = DATE.exec(text)?.[1];
  const date = new Date(text);
  // JavaScript makes 2 March of 30 February.
  if (day === undefined || Number.isNaN(date.getTime()) || new Date(day).toISOString().slice(0, 10) !== day) {
    throw new MailsealError('USAGE', `not a date such as 2026-01-31 or 2026-01-31T12:00:00Z: ${text}`);
  }
  return date;
}
