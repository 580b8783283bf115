/**
 * Many PFX files into a key store. Of each file go in: every key with its certificate, other certificates of the same
 * key (renewals), and the certificates of authorities, so that signers have a chain. Left out: keys without a
 * certificate, since no mail could name them, and certificates of other people's keys. A file that brings no key fails.
 *
 * Whose the keys are: the user that the caller names, who vouches for it; otherwise whoever the certificates name, which
 * anybody can write into one. So an address that has certificates in the store is withheld from a certificate of another
 * issuer (keystore/claims.ts): it goes in and opens mail, but is not what mail to the address is encrypted to, and the
 * row says so. A file that is imported earlier, or stands earlier in the list, was first.
 *
 * Worker threads open the files and seal their keys, this one writes; the order of the input decides whatever they do
 * (import/job.ts). One bad file never stops an import; a store that can't be written does. The store keeps a log: an import
 * that was stopped, however, goes on where it was when it is started again, and a file that went in is not opened again.
 * Called by the command line and by users of the library.
 */
import { availableParallelism } from 'node:os';
import { assertBytes, assertOneOf } from './bytes.js';
import { MailsealError } from './errors.js';
import { contextOf } from './import/identity.js';
import { Job, type JobFile, MIN_WINDOW, take } from './import/job.js';
import { type ImportReport, type ImportRow, sum } from './import/report.js';
import type { TaskSettings } from './import/tasks.js';
import { ownThread, Pool } from './import/threads.js';
import { type KeyPurpose, type KeyStore, PURPOSES } from './keystore/store.js';
import { checkedCost, type PfxOptions } from './pfx/plan.js';
import { normalizeEmail } from './x509/name.js';

export type { ImportError, ImportReport, ImportRow } from './import/report.js';
export { MAX_PFX_LENGTH } from './import/tasks.js';

/** More than any machine has cores for. */
export const MAX_WORKERS = 256;

export type ImportInput = {
  /** What the report calls it. */
  name: string;
  /** One password, or several to try in turn. Default: the empty one. */
  password?: string | readonly string[];
  /** Whose the keys are; goes before the option of the same name. */
  user?: string;
  /** What the users are to use the keys for. Default: what their certificates allow. */
  purpose?: KeyPurpose;
} & ({ /** Left as they are. */ bytes: Uint8Array } | { /** Read when its turn comes. */ path: string });

export interface ImportOptions {
  /** Whose the keys are. Default: the mail addresses in each certificate. */
  user?: string;
  /**
   * Worker threads, 0 to {@link MAX_WORKERS}; 0 does everything in this one. Default: as many as the machine runs at the
   * same time. A few files take none.
   */
  workers?: number;
  /** Called when a file's row is final and, if it was imported, written; in the order of the inputs. */
  onProgress?: (row: ImportRow, done: number) => void;
  pfx?: PfxOptions;
}

/**
 * @param inputs taken as they are needed, a few hundred ahead at most
 * @throws TypeError, RangeError for arguments; MailsealError of the store (IO, STORE_INVALID), USAGE for a user that is
 *   no mail address, INTERNAL if worker threads can't run; what is wrong with a file stands in its row. What `inputs` or
 *   `onProgress` throw. Rows that were reported by then are written
 */
export async function importPfx(
  store: KeyStore,
  inputs: Iterable<ImportInput> | AsyncIterable<ImportInput>,
  options: ImportOptions = {},
): Promise<ImportReport> {
  const { user, onProgress, pfx = {}, workers = availableParallelism() } = options;
  checkUser(user);
  if (!Number.isInteger(workers) || workers < 0 || workers > MAX_WORKERS) {
    throw new RangeError(`workers must be an integer from 0 to ${MAX_WORKERS}`);
  }
  checkedCost(pfx.maxCost);
  const { bulk } = store;
  const settings: TaskSettings = { sealerState: bulk.sealerState, pfx };
  const files = jobFiles(inputs, user, pfx);
  try {
    // What is no more than one window takes no more than one thread.
    const first = await take(files, MIN_WINDOW + 1);
    const alone = workers === 0 || first.length <= MIN_WINDOW;
    const threads = alone ? ownThread(settings) : await Pool.start(workers, settings);
    try {
      const job = new Job({ bulk, threads, onProgress });
      await job.run(prepended(first, files));
      return { rows: job.rows, totals: sum(job.rows) };
    } finally {
      await threads.close();
    }
  } finally {
    await files.return(undefined);
  }
}

async function* prepended<T>(first: readonly T[], rest: AsyncIterable<T>): AsyncGenerator<T, undefined> {
  yield* first;
  yield* rest;
  return undefined;
}

async function* jobFiles(
  inputs: Iterable<ImportInput> | AsyncIterable<ImportInput>,
  everyUser: string | undefined,
  pfx: PfxOptions,
): AsyncGenerator<JobFile, undefined> {
  for await (const input of inputs) {
    checkInput(input);
    const { name, password = '', user = everyUser, purpose } = input;
    const passwords = typeof password === 'string' ? [password] : [...password];
    const context = contextOf(user, purpose, pfx);
    yield {
      name,
      read: 'path' in input ? { path: input.path, context } : { bytes: input.bytes, context },
      open: { passwords, ...(user !== undefined && { user }), ...(purpose !== undefined && { purpose }) },
    };
  }
  return undefined;
}

/** @throws TypeError, RangeError, MailsealError USAGE */
function checkInput(input: ImportInput): void {
  if (typeof input !== 'object' || input === null) throw new TypeError('each input must be an object');
  const { name, password, user, purpose } = input;
  assertString(name, 'name');
  if ('path' in input) assertString(input.path, 'path');
  else assertBytes(input.bytes, 'bytes');
  checkPassword(password);
  checkUser(user);
  if (purpose !== undefined) assertOneOf(purpose, PURPOSES, 'purpose');
}

function checkPassword(password: ImportInput['password']): void {
  if (password === undefined || typeof password === 'string') return;
  if (!Array.isArray(password) || !password.every((one) => typeof one === 'string')) {
    throw new TypeError('password must be a string or an array of strings');
  }
  if (password.length === 0) throw new RangeError('password must have one to try');
}

function checkUser(user: string | undefined): void {
  if (user === undefined) return;
  assertString(user, 'user');
  if (normalizeEmail(user) === undefined) {
    throw new MailsealError('USAGE', `${JSON.stringify(user)} is no mail address, and users go by theirs`);
  }
}

function assertString(value: unknown, what: string): void {
  if (typeof value !== 'string') throw new TypeError(`${what} must be a string`);
}
