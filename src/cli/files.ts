/** Files of the command line: reading FILE or `-`, writing whole or not at all, passwords, seal keys, dates. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { buffer, concat } from '../bytes.js';
import { MailsealError } from '../errors.js';

/** Most octets that a command reads: a message is held in memory. */
const MAX_FILE = 1 << 29;

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The octets of a file, or of standard input for `-`. */
export function readInput(path: string): Uint8Array {
  try {
    return path === '-' ? readAll(0) : readFileLimited(path);
  } catch (error) {
    if (error instanceof MailsealError) throw error;
    throw new MailsealError('IO', `cannot read ${path}: ${reasonOf(error)}`, { cause: error });
  }
}

/** Whether a file starts as a PFX does, in BER: SEQUENCE { version INTEGER 3 … }. */
export function isPfxFile(path: string): boolean {
  const head = Buffer.alloc(16);
  const descriptor = openSync(path, 'r');
  try {
    const length = readSync(descriptor, head);
    return /^30(?:[0-7].|80|81..|82.{4}|83.{6}|84.{8})020103/.test(head.toString('hex', 0, length));
  } finally {
    closeSync(descriptor);
  }
}

function readFileLimited(path: string): Uint8Array {
  const descriptor = openSync(path, 'r');
  try {
    const { size } = fstatSync(descriptor);
    if (size > MAX_FILE) throw tooLong(path);
    return size > 0 ? readFileSync(descriptor) : readAll(descriptor); // pipes and /dev/stdin have no size
  } finally {
    closeSync(descriptor);
  }
}

function readAll(descriptor: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const part = Buffer.alloc(1 << 16);
    const read = readSome(descriptor, part);
    if (read === 0) return concat(parts);
    parts.push(part.subarray(0, read));
    length += read;
    if (length > MAX_FILE) throw tooLong('the input');
  }
}

/** A non-blocking standard input (a terminal, a pipe opened so) says EAGAIN while it has nothing yet. */
function readSome(descriptor: number, into: Buffer): number {
  for (;;) {
    try {
      return readSync(descriptor, into);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EOF') return 0;
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}

const tooLong = (what: string) =>
  new MailsealError('LIMIT_LENGTH', `${what} has over ${MAX_FILE} octets, the most that is read`);

/**
 * Writes a file whole or not at all: beside it first, then renamed over it. Only its owner may read it, since it may
 * be decrypted mail. `-` or nothing is standard output.
 */
export function writeOutput(path: string | undefined, bytes: Uint8Array): void {
  if (path === undefined || path === '-') {
    writeAll(1, bytes);
    return;
  }
  const temporary = join(dirname(path), `.mailseal-${randomBytes(8).toString('hex')}`);
  try {
    writeFileSync(temporary, bytes, { mode: 0o600, flag: 'wx' });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new MailsealError('IO', `cannot write ${path}: ${reasonOf(error)}`, { cause: error });
  }
}

function writeAll(descriptor: number, bytes: Uint8Array): void {
  try {
    writeFileSync(descriptor, bytes);
  } catch (error) {
    throw new MailsealError('IO', `cannot write to standard output: ${reasonOf(error)}`, { cause: error });
  }
}

/** The first line of a password file as UTF-8, without its line end and without a byte order mark. */
export function readPasswordFile(path: string): string {
  const bytes = readInput(path);
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return text.split(/\r?\n/, 1)[0] as string;
  } catch (cause) {
    throw new MailsealError('USAGE', `the password file ${path} is not UTF-8`, { cause });
  } finally {
    buffer(bytes).fill(0);
  }
}

/** A date as ISO 8601 has it, such as 2026-01-31 or 2026-01-31T12:00:00Z. */
export function parseDate(text: string): Date {
  const date = new Date(text);
  if (!/^\d{4}-\d\d-\d\d/.test(text) || Number.isNaN(date.getTime())) {
    throw new MailsealError('USAGE', `not a date such as 2026-01-31 or 2026-01-31T12:00:00Z: ${text}`);
  }
  return date;
}
