/**
 * The two steps that files go through in a worker thread, a window of them at a time: read and name them; then open
 * those that the log does not know, and make records of them. What goes in and comes out is plain data. Private keys are
 * in the clear inside {@link Tasks.open} only.
 * Called through threads.ts, in a worker or in the caller's own thread.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { MailsealError } from '../errors.js';
import { Recorder, type StoreRecord, serves } from '../keystore/recorder.js';
import type { SealerState } from '../keystore/seal.js';
import type { KeyPurpose, StoreEntry } from '../keystore/store.js';
import { readPfxBatch } from '../pfx/bulk.js';
import { type PfxContents, type PfxOptions, wipeKeys } from '../pfx/read.js';
import { fileKey } from './identity.js';
import { type ImportError, plainError } from './report.js';

/** Octets of a file; real ones have a few thousand. */
export const MAX_PFX_LENGTH = 1 << 24;

/** Octets of files that are held at a time, unless one has more. */
const MAX_OCTETS = 1 << 22;

/** What a thread has to know. */
export interface TaskSettings {
  readonly sealerState: SealerState;
  readonly pfx: PfxOptions;
}

export interface FileToRead {
  readonly path?: string;
  readonly bytes?: Uint8Array;
  /** See {@link contextOf}. */
  readonly context: string;
}

export type ReadFile =
  | { readonly key: Uint8Array; readonly bytes: Uint8Array }
  | { readonly error: ImportError };

export interface FileToOpen {
  readonly bytes: Uint8Array;
  /** To try in turn. */
  readonly passwords: readonly string[];
  readonly user?: string;
  readonly purpose?: KeyPurpose;
}

export type OpenedFile =
  | { readonly records: readonly StoreRecord[]; readonly skipped: readonly ImportError[] }
  | { readonly error: ImportError };

export class Tasks {
  readonly #settings: TaskSettings;

  constructor(settings: TaskSettings) {
    this.#settings = settings;
  }

  /** Reads the first files, as many as are to be held at a time, at least one. */
  read(files: readonly FileToRead[]): ReadFile[] {
    const results: ReadFile[] = [];
    let octets = 0;
    for (const { path, bytes: given, context } of files) {
      try {
        const bytes = given ?? readFile(path as string);
        if (bytes.length > MAX_PFX_LENGTH) throw tooLong(bytes.length);
        octets += bytes.length;
        results.push({ key: fileKey(this.#settings.sealerState.log, bytes, context), bytes });
      } catch (error) {
        results.push({ error: plainError(error) });
      }
      if (octets >= MAX_OCTETS) break;
    }
    return results;
  }

  open(files: readonly FileToOpen[]): OpenedFile[] {
    const opened = this.#tryPasswords(files);
    try {
      return opened.map((contents, i) => {
        if (contents instanceof MailsealError) return { error: plainError(contents) };
        try {
          return this.#recordsOf(contents, files[i] as FileToOpen);
        } catch (error) {
          return { error: plainError(error) };
        }
      });
    } finally {
      for (const contents of opened) {
        if (!(contents instanceof MailsealError)) wipeKeys(contents);
      }
    }
  }

  /** All files in one batch, then those that another password may open, until none is left. */
  #tryPasswords(files: readonly FileToOpen[]): (PfxContents | MailsealError)[] {
    const results = new Array<PfxContents | MailsealError>(files.length);
    let left = files.map(({ bytes, passwords }, index) => ({ index, bytes, passwords }));
    for (let turn = 0; left.length > 0; turn++) {
      for (const { passwords, index } of left) {
        if (turn < passwords.length) continue;
        const message = `none of ${passwords.length} passwords opens the file`;
        if (passwords.length !== 1) results[index] = new MailsealError('PFX_WRONG_PASSWORD', message);
      }
      left = left.filter(({ passwords }) => turn < passwords.length);
      const batch = left.map(({ bytes, passwords }) => ({ bytes, password: passwords[turn] as string }));
      const opened = readPfxBatch(batch, this.#settings.pfx);
      left = left.filter(({ index }, i) => {
        const result = opened[i] as (typeof opened)[number];
        results[index] = result.ok ? result.contents : result.error;
        return !result.ok && result.error.code === 'PFX_WRONG_PASSWORD';
      });
    }
    return results;
  }

  /**
   * What goes into the store, and what does not and why.
   * @throws MailsealError if no key goes in: PFX_NO_KEY, KEY_MISMATCH, UNSUPPORTED_ALGORITHM, errors of certificates
   */
  #recordsOf(contents: PfxContents, file: FileToOpen): OpenedFile {
    const failures: unknown[] = contents.skipped.map(({ error }) => error);
    const entries = entriesOf(contents, file, failures);
    if (entries.length === 0) {
      throw failures[0] ?? new MailsealError('PFX_NO_KEY', 'the file holds no private key');
    }
    const recorder = new Recorder(this.#settings.sealerState);
    const records: StoreRecord[] = [];
    const refused: unknown[] = [];
    for (const entry of entries) {
      try {
        records.push(recorder.record(entry));
        if (!suits(entry)) failures.push(unsuitable(entry));
      } catch (error) {
        refused.push(error);
      }
    }
    if (!records.some(({ sealed }) => sealed !== undefined)) throw refused[0];
    return { records, skipped: [...failures, ...refused].map(plainError) };
  }
}

export type TaskName = 'read' | 'open';
export type Files<T extends TaskName> = Parameters<Tasks[T]>[0];
export type Results<T extends TaskName> = ReturnType<Tasks[T]>;

export interface Ran<T extends TaskName> {
  results: Results<T>;
  /** What it took in its thread. */
  milliseconds: number;
}

/** Runs a task. */
export function runTask<T extends TaskName>(tasks: Tasks, task: T, files: Files<T>): Ran<T> {
  const from = performance.now();
  const results = task === 'read' ? tasks.read(files as Files<'read'>) : tasks.open(files as Files<'open'>);
  return { results: results as Results<T>, milliseconds: performance.now() - from };
}

/**
 * Every key with its certificate, other certificates of the same key (renewals), and those of authorities. Keys without a
 * certificate are noted among the failures.
 */
function entriesOf(contents: PfxContents, { user, purpose }: FileToOpen, failures: unknown[]): StoreEntry[] {
  const restricted = purpose !== undefined && { purpose };
  const owner = user === undefined ? { unconfirmed: true, ...restricted } : { user, ...restricted };
  const entries: StoreEntry[] = [];
  for (const { privateKey, certificate, friendlyName } of contents.entries) {
    if (certificate === undefined) {
      const name = friendlyName === undefined ? '' : ` ${JSON.stringify(friendlyName)}`;
      const message = `no certificate in the file belongs to the private key${name}`;
      failures.push(new MailsealError('KEY_MISMATCH', message));
    } else {
      entries.push({
        privateKey,
        certificate,
        ...owner,
        ...(friendlyName !== undefined && { friendlyName }),
      });
    }
  }
  if (entries.length === 0) return entries;
  for (const certificate of contents.certificates) {
    try {
      const same = entries.find(({ privateKey }) => privateKey?.publicKey.equals(certificate.publicKey));
      if (same !== undefined) entries.push({ ...same, certificate });
      else if (certificate.basicConstraints?.ca) entries.push({ certificate, user: null });
    } catch (error) {
      if (!(error instanceof MailsealError)) throw error;
      failures.push(error);
    }
  }
  return entries;
}

const suits = ({ certificate, purpose }: StoreEntry): boolean =>
  purpose === undefined || serves(certificate, purpose);

function unsuitable({ certificate, purpose }: StoreEntry): MailsealError {
  const message = `${certificate.subject} is to be used for ${purpose} only, and its certificate is not for that`;
  return new MailsealError('KEY_UNSUITABLE', message);
}

/** Synchronous: a thread has nothing else to do, and the asynchronous way costs several times as much. */
function readFile(path: string): Uint8Array {
  try {
    // Not to hang on a named pipe in a folder of files. Windows has no such flag.
    const file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const status = fstatSync(file);
      if (!status.isFile()) throw new MailsealError('IO', 'not a file');
      if (status.size > MAX_PFX_LENGTH) throw tooLong(status.size);
      const bytes = new Uint8Array(status.size);
      let length = 0;
      for (let read = -1; read !== 0 && length < bytes.length; length += read) {
        read = readSync(file, bytes, length, bytes.length - length, null);
      }
      return bytes.subarray(0, length);
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    if (cause instanceof MailsealError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    throw new MailsealError('IO', `can't be read: ${code}`, { cause });
  }
}

function tooLong(length: number): MailsealError {
  return new MailsealError('LIMIT_LENGTH', `${length} octets, the limit for a PFX is ${MAX_PFX_LENGTH}`);
}
