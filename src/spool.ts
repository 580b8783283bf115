/**
 * Octets that are kept until all of them are there: up to a length in memory, what is more in a temporary file. The file
 * is of no use to anybody else: it is encrypted (AES-256-CTR) with a key that only this process has, and has no name where
 * the system lets it go without one. It is not authenticated: who can write to this user's open files can do more than
 * change it. Called by the streams of smime/.
 */
import { type Cipher, createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { constants, type FileHandle, open, rm, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assertBytes, copy, plain, wipe } from './bytes.js';
import { MailsealError } from './errors.js';

export interface SpoolOptions {
  /** Octets that are kept in memory. */
  readonly memory: number;
  /** Most octets that are kept at all; more are LIMIT_LENGTH. Default: as many as there is room for. */
  readonly maxLength?: number;
  /** Where the temporary file is made. Default: the folder of the system. */
  readonly directory?: string;
}

/** Octets that are encrypted, written and read at a time: with a quarter of them, calls take as long as AES does. */
const BLOCK = 1 << 18;
/** Octets that fewer ones are gathered to in memory. */
const GATHERED = 1 << 16;
/** From here on octets are kept in memory as they came; of fewer, a view could keep far more alive than it shows. */
const LARGE = GATHERED / 2;
/** Writes that are under way at once: one more, so that there is something to write while the next block is encrypted. */
const MAX_WRITES = 2;
/** Linux makes a file that never has a name: a process that is killed leaves none. node:fs has no constant for it. */
const O_TMPFILE = process.platform === 'linux' ? 0o20000000 | constants.O_DIRECTORY : undefined;
const CIPHER = 'aes-256-ctr';
const AES_BLOCK = 16;

/** Octets in memory: the first `used` of an array. Of what was copied the array is the spool's own, and has room. */
interface Kept {
  readonly octets: Uint8Array;
  readonly own: boolean;
  used: number;
}

export class Spool {
  readonly #options: SpoolOptions;
  #kept: Kept[] = [];
  #inMemory = 0;
  #file: EncryptedFile | undefined;
  #length = 0;
  #closed = false;

  constructor(options: SpoolOptions) {
    this.#options = options;
  }

  /** Octets so far. */
  get length(): number {
    return this.#length;
  }

  /**
   * Adds octets, which must not change afterwards.
   * @returns to be awaited before more are added; undefined if there is nothing to wait for
   * @throws MailsealError LIMIT_LENGTH, IO: all of them by the promise
   */
  write(bytes: Uint8Array): Promise<void> | undefined {
    assertBytes(bytes, 'bytes');
    const { memory, maxLength = Number.MAX_SAFE_INTEGER } = this.#options;
    if (this.#closed) return Promise.reject(isClosed());
    if (this.#length + bytes.length > maxLength) {
      const message = `over ${maxLength} octets to be kept, the limit (option maxLength)`;
      return Promise.reject(new MailsealError('LIMIT_LENGTH', message));
    }
    this.#length += bytes.length;
    const room = memory - this.#inMemory;
    this.#keep(bytes.subarray(0, room));
    if (bytes.length <= room) return undefined;
    this.#file ??= new EncryptedFile(this.#options.directory ?? tmpdir());
    return this.#file.append(bytes.subarray(room));
  }

  #keep(bytes: Uint8Array): void {
    this.#inMemory += bytes.length;
    for (let at = 0; at < bytes.length; ) {
      let last = this.#kept.at(-1);
      if (last === undefined || last.used === last.octets.length) {
        const rest = bytes.subarray(at);
        const own = rest.length < LARGE;
        last = { octets: own ? Buffer.allocUnsafeSlow(GATHERED) : rest, own, used: own ? 0 : rest.length };
        this.#kept.push(last);
        if (!own) return;
      }
      const part = bytes.subarray(at, at + last.octets.length - last.used);
      last.octets.set(part, last.used);
      last.used += part.length;
      at += part.length;
    }
  }

  /**
   * The octets from `start` to `end`, after the last write; as often as wanted. Not to be changed: they may be those that
   * were written.
   * @throws MailsealError IO; also if the spool is closed meanwhile
   */
  async *read(start = 0, end = this.#length): AsyncGenerator<Uint8Array> {
    let at = 0;
    for (const { octets, own, used } of this.#kept) {
      for (let from = Math.max(0, start - at); from < Math.min(used, end - at); from += BLOCK) {
        if (this.#closed) throw isClosed();
        const part = octets.subarray(from, Math.min(from + BLOCK, used, end - at));
        yield own ? copy(part) : plain(part); // what is the spool's own is wiped when it is closed
      }
      at += used;
    }
    if (this.#closed) throw isClosed();
    if (end > at && this.#file !== undefined) yield* this.#file.read(Math.max(0, start - at), end - at);
  }

  /** Wipes the key and what was copied to memory, and gives the file back. @throws MailsealError IO if a file is left */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { octets, own } of this.#kept) if (own) wipe(octets);
    this.#kept = [];
    await this.#file?.close();
  }
}

const isClosed = () => new MailsealError('IO', 'what was kept of the message is gone: it was closed');

class EncryptedFile {
  readonly #directory: string;
  readonly #key = randomBytes(32);
  readonly #cipher: Cipher = createCipheriv(CIPHER, this.#key, counterAt(0));
  /** What waits for more of its block. */
  readonly #block = Buffer.allocUnsafeSlow(BLOCK);
  #filled = 0;
  /** Octets encrypted, so where the next ones are written. */
  #end = 0;
  readonly #handle: Promise<FileHandle>;
  /** Where the file still is, on a system that does not let an open one go. */
  #path: string | undefined;
  readonly #writes = new Set<Promise<void>>();
  #failure: MailsealError | undefined;
  #closing: Promise<void> | undefined;

  constructor(directory: string) {
    this.#directory = directory;
    this.#handle = this.#open();
    this.#handle.catch(() => undefined); // whoever needs it is told
  }

  async #open(): Promise<FileHandle> {
    if (O_TMPFILE !== undefined) {
      const flags = O_TMPFILE | constants.O_RDWR | constants.O_EXCL;
      const nameless = await open(this.#directory, flags, 0o600).catch(() => undefined);
      if (nameless !== undefined) return nameless;
    }
    const path = join(this.#directory, `mailseal-${randomBytes(16).toString('hex')}`);
    let handle: FileHandle;
    try {
      handle = await open(path, 'wx+', 0o600);
    } catch (cause) {
      throw this.#ioError('made', cause);
    }
    await unlink(path).catch(() => {
      this.#path = path;
    });
    return handle;
  }

  append(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#end > 0 && this.#filled + bytes.length < BLOCK && this.#failure === undefined) {
      this.#block.set(bytes, this.#filled);
      this.#filled += bytes.length;
      return undefined;
    }
    return this.#appendBlocks(bytes);
  }

  async #appendBlocks(bytes: Uint8Array): Promise<void> {
    const handle = await this.#handle;
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + BLOCK - this.#filled);
      at += part.length;
      if (part.length === BLOCK) {
        this.#write(handle, part);
      } else {
        this.#block.set(part, this.#filled);
        this.#filled += part.length;
        if (this.#filled === BLOCK) this.#flush(handle);
      }
      if (this.#writes.size >= MAX_WRITES) await Promise.race(this.#writes);
      if (this.#failure !== undefined) throw this.#failure;
    }
  }

  #flush(handle: FileHandle): void {
    this.#write(handle, this.#block.subarray(0, this.#filled));
    this.#filled = 0;
  }

  /** Starts to write; `bytes` may change when this returns. */
  #write(handle: FileHandle, bytes: Uint8Array): void {
    if (this.#closing !== undefined) throw isClosed();
    const encrypted = this.#cipher.update(bytes);
    const write = writeAll(handle, encrypted, this.#end).catch((cause) => {
      this.#failure ??= this.#ioError('written', cause);
    });
    this.#end += bytes.length;
    this.#writes.add(write);
    write.then(() => this.#writes.delete(write));
  }

  async *read(start: number, end: number): AsyncGenerator<Uint8Array> {
    const handle = await this.#handle;
    this.#flush(handle);
    await Promise.all(this.#writes);
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closing !== undefined) throw isClosed();
    const decipher = createDecipheriv(CIPHER, this.#key, counterAt(start));
    decipher.update(new Uint8Array(start % AES_BLOCK));
    // One block is read while the other one is used.
    const blocks: Buffer[] = [];
    const next = async (at: number, turn: number) => {
      blocks[turn % 2] ??= Buffer.allocUnsafeSlow(Math.min(BLOCK, end - at));
      const block = blocks[turn % 2] as Buffer;
      const { bytesRead } = await handle.read(block, 0, Math.min(block.length, end - at), at);
      if (bytesRead === 0) throw new Error('the temporary file ends early');
      return block.subarray(0, bytesRead);
    };
    let reading: Promise<Buffer> | undefined;
    try {
      let at = start;
      for (let turn = 0; at < end; turn++) {
        const block = await (reading ?? next(at, turn));
        if (this.#closing !== undefined) throw isClosed();
        at += block.length;
        reading = at < end ? next(at, turn + 1) : undefined;
        reading?.catch(() => undefined); // nobody waits for it if the reader goes away
        yield plain(decipher.update(block));
      }
    } catch (cause) {
      if (this.#closing !== undefined) throw isClosed();
      throw cause instanceof MailsealError ? cause : this.#ioError('read', cause);
    } finally {
      decipher.final(); // gives back, and wipes, the key schedule
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    wipe(this.#block, this.#key);
    this.#cipher.final();
    try {
      const handle = await this.#handle.catch(() => undefined); // not made: who wrote was told
      await Promise.all(this.#writes);
      await handle?.close();
      if (this.#path !== undefined) await rm(this.#path, { force: true });
    } catch (cause) {
      throw this.#ioError('removed', cause);
    }
  }

  #ioError(done: string, cause: unknown): MailsealError {
    const { code, message } = cause as NodeJS.ErrnoException;
    const text = `a temporary file in ${this.#directory} can't be ${done}: ${code ?? message}`;
    return new MailsealError('IO', text, { cause });
  }
}

/** The counter of the block that an octet is in. The key is used once, so it starts at 0. */
function counterAt(offset: number): Uint8Array {
  const counter = Buffer.alloc(AES_BLOCK);
  counter.writeBigUInt64BE(BigInt(Math.floor(offset / AES_BLOCK)), 8);
  return counter;
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
}
