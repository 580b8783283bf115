/**
 * Octets that are kept until all of them are there: up to a length in memory, what is more in a temporary file. The file
 * is of no use to anybody else: it is encrypted (AES-256-CTR) with a key that only this process has, unless what is kept is
 * ciphertext already, and has no name where the system lets it go without one. It is not authenticated: who can write to
 * this user's open files can do more than change it. Called by the streams of smime/.
 */
import { type Cipher, createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { constants, type FileHandle, open, rm, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assertBytes, copy, plain, release, wipe } from './bytes.js';
import { MailsealError } from './errors.js';

export interface SpoolOptions {
  /** Octets that are kept in memory. */
  readonly memory: number;
  /** Most octets that are kept at all; more are LIMIT_LENGTH. Default: as many as there is room for. */
  readonly maxLength?: number;
  /** Where the temporary file is made. Default: the folder of the system. */
  readonly directory?: string;
  /**
   * They are ciphertext already, of a message and under a cipher that holds: the file has them as they are. So whoever sent
   * them chooses what is on disk: a scanner that takes the file away for it makes that message an IO error. Default false.
   */
  readonly isCiphertext?: boolean;
}

/** Octets that are written and read at a time: with a quarter of them, calls take as long as AES does. */
const BLOCK = 1 << 18;
/** Octets that fewer ones are gathered to. */
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
  #file: TemporaryFile | undefined;
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
    this.#file ??= new TemporaryFile(this.#options);
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
  read(start = 0, end = this.#length): AsyncGenerator<Uint8Array> {
    return this.#read(start, end, false);
  }

  /** The same; but each chunk is good until the next one is asked for: those of the file leave no garbage. */
  lend(start = 0, end = this.#length): AsyncGenerator<Uint8Array> {
    return this.#read(start, end, true);
  }

  async *#read(start: number, end: number, lent: boolean): AsyncGenerator<Uint8Array> {
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
    if (end > at && this.#file !== undefined) yield* this.#file.read(Math.max(0, start - at), end - at, lent);
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

class TemporaryFile {
  readonly #directory: string;
  /** Undefined for ciphertext, which is written as it is. */
  readonly #key: Uint8Array | undefined;
  readonly #cipher: Cipher | undefined;
  /** Small pieces, which wait for more. */
  readonly #few = Buffer.allocUnsafeSlow(GATHERED);
  #filled = 0;
  /** What is written next, in pieces, and octets of them. */
  #batch: Uint8Array[] = [];
  #batched = 0;
  /** Where it is written. */
  #end = 0;
  readonly #handle: Promise<FileHandle>;
  #isOpen = false;
  /** Where the file still is, on a system that does not let an open one go. */
  #path: string | undefined;
  readonly #writes = new Set<Promise<void>>();
  #failure: MailsealError | undefined;
  #closing: Promise<void> | undefined;

  constructor({ directory = tmpdir(), isCiphertext = false }: SpoolOptions) {
    this.#directory = directory;
    if (!isCiphertext) {
      this.#key = randomBytes(32);
      this.#cipher = createCipheriv(CIPHER, this.#key, counterAt(0));
    }
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
    const waits = !this.#isOpen || this.#writes.size >= MAX_WRITES || bytes.length > BLOCK;
    if (waits || this.#failure !== undefined) return this.#appendParts(bytes);
    this.#add(bytes);
    return undefined;
  }

  async #appendParts(bytes: Uint8Array): Promise<void> {
    await this.#handle;
    this.#isOpen = true;
    for (let at = 0; at < bytes.length; at += BLOCK) {
      if (this.#writes.size >= MAX_WRITES) await Promise.race(this.#writes);
      if (this.#failure !== undefined) throw this.#failure;
      this.#add(bytes.subarray(at, at + BLOCK));
    }
  }

  #add(part: Uint8Array): void {
    if (this.#closing !== undefined) throw isClosed();
    const isFew = part.length < GATHERED / 4;
    if (!isFew || this.#filled + part.length > GATHERED) this.#addFew();
    if (isFew) {
      this.#few.set(part, this.#filled);
      this.#filled += part.length;
      return;
    }
    this.#put(this.#cipher?.update(part) ?? part);
  }

  #addFew(): void {
    if (this.#filled === 0) return;
    const few = this.#few.subarray(0, this.#filled);
    this.#put(this.#cipher?.update(few) ?? copy(few));
    this.#filled = 0;
  }

  #put(octets: Uint8Array): void {
    this.#batch.push(octets);
    this.#batched += octets.length;
    if (this.#batched >= BLOCK) this.#write();
  }

  /** Starts to write what there is. */
  #write(): void {
    const batch = this.#batch;
    const write = this.#writeAt(batch, this.#end).then(
      () => {
        if (this.#cipher !== undefined) for (const octets of batch) release(octets);
      },
      (cause) => {
        this.#failure ??= this.#ioError('written', cause);
      },
    );
    this.#end += this.#batched;
    this.#batch = [];
    this.#batched = 0;
    this.#writes.add(write);
    write.then(() => this.#writes.delete(write));
  }

  async #writeAt(octets: readonly Uint8Array[], position: number): Promise<void> {
    const handle = await this.#handle;
    let left = octets;
    for (let at = position; left.length > 0; ) {
      let { bytesWritten } = await handle.writev(left, at);
      at += bytesWritten;
      left = left.flatMap((part) => {
        const rest = part.subarray(bytesWritten);
        bytesWritten -= part.length - rest.length;
        return rest.length > 0 ? [rest] : [];
      });
    }
  }

  async *read(start: number, end: number, lent: boolean): AsyncGenerator<Uint8Array> {
    if (this.#closing !== undefined) throw isClosed();
    this.#addFew();
    if (this.#batched > 0) this.#write();
    const handle = await this.#handle;
    await Promise.all(this.#writes);
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closing !== undefined) throw isClosed();
    const decipher = this.#key && createDecipheriv(CIPHER, this.#key, counterAt(start));
    decipher?.update(new Uint8Array(start % AES_BLOCK));
    // One block is read while the other one is used.
    const blocks: Buffer[] = [];
    const isGiven = decipher === undefined && !lent;
    const next = async (at: number, turn: number) => {
      const length = Math.min(BLOCK, end - at);
      let block = blocks[turn % 2];
      if (block === undefined || isGiven) block = blocks[turn % 2] = Buffer.allocUnsafeSlow(length);
      const { bytesRead } = await handle.read(block, 0, length, at);
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
        if (decipher === undefined) {
          yield plain(block);
          continue;
        }
        const octets = decipher.update(block);
        yield plain(octets);
        if (!lent) continue;
        wipe(octets);
        release(octets);
      }
    } catch (cause) {
      if (this.#closing !== undefined) throw isClosed();
      throw cause instanceof MailsealError ? cause : this.#ioError('read', cause);
    } finally {
      decipher?.final(); // gives back, and wipes, the key schedule
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    wipe(this.#few, this.#key);
    this.#cipher?.final();
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
