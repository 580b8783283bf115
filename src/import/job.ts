/**
 * The course of an import. Files are taken from the input a window at a time; a few windows are under way at once:
 *
 *   input ──> read and name (thread) ──> is it in the log? ──> open, make records (thread) ──> write in input order
 *
 * Whatever finishes first, names are looked up and records written in the order of the input, and neither depends on where
 * a window or a transaction ends: any number of threads, and an import that was stopped and taken up, come to the same.
 * A file counts as done when its records and its row of the log are written, in one transaction.
 * Called by import.ts.
 */
import { equal, toHex } from '../bytes.js';
import { MailsealError } from '../errors.js';
import type { LogEntry } from '../keystore/joblog.js';
import type { StoreRecord } from '../keystore/recorder.js';
import type { BulkWriter } from '../keystore/store.js';
import { passwordTag } from './identity.js';
import {
  type FileResult,
  failed,
  fromLog,
  type ImportError,
  type ImportRow,
  logEntry,
  repeated,
  written,
} from './report.js';
import type { Files, FileToOpen, FileToRead, OpenedFile, ReadFile, Results, TaskName } from './tasks.js';
import type { Threads } from './threads.js';

/** Files of a window; a smaller one does not fill the lanes of key derivation. */
export const MIN_WINDOW = 8;
const MAX_WINDOW = 128;
/** What a window is to take, so that progress is seen, and little is lost when it is stopped. */
const WINDOW_MS = 100;
const WINDOW_OCTETS = 1 << 20;

/** What is written at once: a transaction costs as much as many files. */
const WRITE_FILES = 1024;
const WRITE_OCTETS = 1 << 23;
const WRITE_MS = 500;

/** Calls that may fail with their thread, and none that opens files succeed, before the import gives up. */
const MAX_FAILURES = 20;

/** A file of the input. */
export interface JobFile {
  readonly name: string;
  readonly read: FileToRead;
  readonly open: Omit<FileToOpen, 'bytes'>;
}

export interface JobOptions {
  readonly bulk: BulkWriter;
  readonly threads: Threads;
  readonly onProgress?: ((row: ImportRow, done: number) => void) | undefined;
}

/**
 * How far a file has come: its result is known (it can't be read, or the log has it), or it has a name for the log. Then
 * it was opened, unless it is the same as one before it.
 */
type Step = { readonly file: JobFile; readonly result: FileResult } | NamedStep;

interface NamedStep {
  readonly file: JobFile;
  /** Its name in the log. */
  readonly key: Uint8Array;
  /** The same in hexadecimal, alone and with the passwords. */
  readonly id: string;
  readonly attempt: string;
  opened?: OpenedFile;
}

/** A file that is to be opened comes with its octets. */
type ReadStep =
  | { readonly step: Step; readonly bytes?: undefined }
  | { readonly step: NamedStep; readonly bytes: Uint8Array };

/** What comes of a file that is written; known from the start if it failed. */
interface Outcome {
  result?: FileResult;
}

/** A file that is written, with others. */
interface Writing {
  readonly file: JobFile;
  readonly key: Uint8Array;
  readonly records: readonly StoreRecord[];
  readonly skipped: readonly ImportError[];
  readonly outcome: Outcome;
}

export class Job {
  readonly rows: ImportRow[] = [];
  readonly #options: JobOptions;
  readonly #windowsAtOnce: number;
  #windowSize = MIN_WINDOW;
  #failures = 0;
  /** When the names of all windows before the next one have been looked up. */
  #lookedUp: Promise<void> = Promise.resolve();
  /** Attempts on files that are being opened: the same once more waits for what comes of them. */
  readonly #underWay = new Set<string>();
  /** What was written after the names of files that are still under way were looked up. */
  readonly #recent = new Map<string, Outcome>();
  readonly #maxRecent: number;
  #waiting: Step[] = [];
  #waitingOctets = 0;
  #lastWrite = performance.now();

  constructor(options: JobOptions) {
    this.#options = options;
    const { count } = options.threads;
    this.#windowsAtOnce = count === 0 ? 1 : 2 * count + 2;
    this.#maxRecent = WRITE_FILES + (this.#windowsAtOnce + 1) * MAX_WINDOW;
  }

  /** @throws what the store, the input or `onProgress` throws; MailsealError INTERNAL if threads fail again and again */
  async run(files: AsyncIterator<JobFile>): Promise<void> {
    const windows: Promise<Step[]>[] = [];
    for (let ended = false; ; ) {
      while (!ended && windows.length < this.#windowsAtOnce) {
        const window = await take(files, this.#windowSize);
        if (window.length > 0) windows.push(this.#start(window));
        else ended = true;
      }
      const next = windows.shift();
      if (next === undefined) break;
      for (const step of await next) {
        this.#waiting.push(step);
        this.#waitingOctets += octetsOf(step);
      }
      if (this.#isWriteDue()) await this.#write();
    }
    await this.#write();
    await this.#options.bulk.finish();
  }

  #start(window: readonly JobFile[]): Promise<Step[]> {
    const before = this.#lookedUp;
    let lookedUp = () => {};
    this.#lookedUp = new Promise((resolve) => {
      lookedUp = resolve;
    });
    const steps = this.#process(window, before, lookedUp).finally(lookedUp);
    steps.catch(() => undefined); // it may fail before its turn comes
    return steps;
  }

  async #process(window: readonly JobFile[], before: Promise<void>, lookedUp: () => void): Promise<Step[]> {
    const steps: Step[] = [];
    for (let left = window; left.length > 0; ) {
      const contents = await this.#call(
        'read',
        left.map(({ read }) => read),
      );
      await before;
      const part = await this.#lookUp(left, contents);
      left = left.slice(part.length);
      if (left.length === 0) lookedUp();
      await this.#open(part);
      for (const { step } of part) steps.push(step);
    }
    return steps;
  }

  /** Finds out which files are done, or being opened. */
  async #lookUp(files: readonly JobFile[], contents: readonly ReadFile[]): Promise<ReadStep[]> {
    const keys = contents.flatMap((content) => ('key' in content ? [content.key] : []));
    const logged = keys.length === 0 ? [] : await this.#options.bulk.logged(keys);
    let next = 0;
    return contents.map((content, i): ReadStep => {
      const file = files[i] as JobFile;
      if ('error' in content) return { step: { file, result: failed(content.error) } };
      const { key, bytes } = content;
      const entry = logged[next++];
      if (entry !== undefined && this.#answers(entry, file))
        return { step: { file, result: fromLog(entry) } };
      const id = toHex(key);
      const attempt = `${id} ${JSON.stringify(file.open.passwords)}`;
      const step = { file, key, id, attempt };
      if (this.#underWay.has(attempt) || this.#recent.has(attempt) || this.#recent.has(id)) return { step };
      this.#underWay.add(attempt);
      return { step, bytes };
    });
  }

  /** What was done is done; what failed did so with certain passwords. */
  #answers({ file: key, password }: LogEntry, file: JobFile): boolean {
    return password === null || equal(password, this.#tag(key, file));
  }

  #tag(key: Uint8Array, { open }: JobFile): Uint8Array {
    return passwordTag(this.#options.bulk.sealerState.log, key, open.passwords);
  }

  async #open(part: readonly ReadStep[]): Promise<void> {
    const steps: NamedStep[] = [];
    const files: FileToOpen[] = [];
    for (const { step, bytes } of part) {
      if (bytes === undefined) continue;
      steps.push(step);
      files.push({ bytes, ...step.file.open });
    }
    if (files.length === 0) return;
    const opened = await this.#call('open', files);
    for (const [i, step] of steps.entries()) step.opened = opened[i] as OpenedFile;
  }

  /** Of a call that takes its thread down, each file on its own, so that the others come through. */
  async #call<T extends TaskName>(task: T, files: Files<T>): Promise<Results<T>> {
    try {
      const { results, milliseconds } = await this.#options.threads.run(task, files);
      if (task === 'open') {
        this.#failures = 0;
        this.#adaptWindow(files as Files<'open'>, milliseconds);
      }
      return results;
    } catch (cause) {
      if (cause instanceof MailsealError) throw cause;
      const { message } = cause as Error;
      if (++this.#failures > MAX_FAILURES) {
        const often = `${this.#failures} calls in a row failed with their thread`;
        throw new MailsealError('INTERNAL', `${often}, the last one so: ${message}`, { cause });
      }
      if (files.length === 1) {
        const text = `the thread that was at it failed: ${message}`;
        return [{ error: { code: 'INTERNAL', message: text } }] as Results<T>;
      }
    }
    const results = [];
    for (const file of files) results.push(...(await this.#call(task, [file] as Files<T>)));
    return results as Results<T>;
  }

  #adaptWindow(files: Files<'open'>, milliseconds: number): void {
    const octets = files.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const inTime = Math.max(MIN_WINDOW, (files.length * WINDOW_MS) / (milliseconds + 1));
    const inMemory = Math.max(1, (files.length * WINDOW_OCTETS) / (octets + 1));
    this.#windowSize = Math.floor(Math.min(MAX_WINDOW, inTime, inMemory));
  }

  #isWriteDue(): boolean {
    return (
      this.#waiting.length >= WRITE_FILES ||
      this.#waitingOctets >= WRITE_OCTETS ||
      performance.now() - this.#lastWrite >= WRITE_MS
    );
  }

  async #write(): Promise<void> {
    const steps = this.#waiting;
    this.#waiting = [];
    this.#waitingOctets = 0;
    const writings: Writing[] = [];
    const results = steps.map((step) => this.#settle(step, writings));
    if (writings.length > 0) {
      await this.#options.bulk.writeFiles(writings, (writing, results) => {
        const { file, key, records, skipped, outcome } = writing;
        outcome.result ??= written(records, results, skipped);
        return logEntry(outcome.result, () => this.#tag(key, file));
      });
    }
    for (const step of steps) {
      if ('attempt' in step) this.#underWay.delete(step.attempt);
    }
    for (const id of this.#recent.keys()) {
      if (this.#recent.size <= this.#maxRecent) break;
      this.#recent.delete(id);
    }
    this.#lastWrite = performance.now();
    for (const [i, { file }] of steps.entries()) {
      const row = { name: file.name, ...(results[i] as () => FileResult)() };
      this.rows.push(row);
      this.#options.onProgress?.(row, this.rows.length);
    }
  }

  /** What will be known of a file when `writings` are written, to which it is added if nobody has its content. */
  #settle(step: Step, writings: Writing[]): () => FileResult {
    if ('result' in step) return () => step.result;
    const { file, key, id, attempt, opened } = step;
    const earlier = this.#recent.get(id) ?? this.#recent.get(attempt);
    if (earlier !== undefined) return () => repeated(earlier.result as FileResult);
    const writing = writingOf(file, key, opened as OpenedFile);
    const { outcome } = writing;
    writings.push(writing);
    // What went in did so whatever its passwords; what did not may with others.
    this.#recent.set(outcome.result === undefined ? id : attempt, outcome);
    return () => outcome.result as FileResult;
  }
}

function writingOf(file: JobFile, key: Uint8Array, opened: OpenedFile): Writing {
  if ('error' in opened) {
    return { file, key, records: [], skipped: [], outcome: { result: failed(opened.error) } };
  }
  return { file, key, ...opened, outcome: {} };
}

/** The next files, fewer if there are no more. */
export async function take(files: AsyncIterator<JobFile>, count: number): Promise<JobFile[]> {
  const taken: JobFile[] = [];
  while (taken.length < count) {
    const next = await files.next();
    if (next.done === true) break;
    taken.push(next.value);
  }
  return taken;
}

function octetsOf(step: Step): number {
  if (!('opened' in step) || step.opened === undefined || 'error' in step.opened) return 0;
  return step.opened.records.reduce(
    (sum, { certificate, sealed }) => sum + certificate.der.length + (sealed?.length ?? 0),
    0,
  );
}
