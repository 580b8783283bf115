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
 * One bad file never stops an import; a store that can't be written does. Running it again is harmless.
 * Called by the command line and by users of the library.
 */
import { constants, open } from 'node:fs/promises';
import { assertBytes, wipe } from './bytes.js';
import { type ErrorCode, MailsealError } from './errors.js';
import type { AddResult, KeyStore, StoreEntry } from './keystore/store.js';
import { type PfxContents, type PfxOptions, readPfx } from './pfx/read.js';
import { normalizeEmail } from './x509/name.js';

/** Octets of a file; real ones have a few thousand. */
export const MAX_PFX_LENGTH = 1 << 24;

/** Files whose entries are written together: a transaction costs as much as some ten entries. */
const BATCH = 50;

export type ImportInput = {
  /** What the report calls it. */
  name: string;
  /** One password, or several to try in turn. Default: the empty one. */
  password?: string | readonly string[];
  /** Whose the keys are; goes before the option of the same name. */
  user?: string;
} & (
  | { /** Not wiped: they stay the caller's. */ bytes: Uint8Array }
  | { /** Read when its turn comes. */ path: string }
);

export interface ImportOptions {
  /** Whose the keys are. Default: the mail addresses in each certificate. */
  user?: string;
  /** Called when a file's row is final and, if it was imported, written. */
  onProgress?: (row: ImportRow, done: number) => void;
  pfx?: PfxOptions;
}

/** A MailsealError as plain data. */
export interface ImportError {
  code: ErrorCode;
  message: string;
  offset?: number;
  oid?: string;
}

export interface ImportRow {
  name: string;
  /** `present`: the store had all of it. */
  outcome: 'imported' | 'present' | 'failed';
  /** Keys of this file that are in the store now. */
  keys: number;
  /** Its certificates that are, authorities included. */
  certificates: number;
  /** Why it failed. */
  error?: ImportError;
  /** What was left out of a file that did not fail; addresses that were withheld are NOT_TRUSTED. */
  skipped: ImportError[];
}

export interface ImportReport {
  /** In the order of the inputs. */
  rows: ImportRow[];
  totals: Record<ImportRow['outcome'] | 'files' | 'keys' | 'certificates', number>;
}

/**
 * @throws MailsealError of the store (IO, STORE_INVALID), and USAGE for a user that is no mail address; what is wrong
 *   with a file stands in its row
 */
export async function importPfx(
  store: KeyStore,
  inputs: Iterable<ImportInput> | AsyncIterable<ImportInput>,
  options: ImportOptions = {},
): Promise<ImportReport> {
  const { user, onProgress, pfx = {} } = options;
  if (user !== undefined && normalizeEmail(user) === undefined) {
    throw new MailsealError('USAGE', `${JSON.stringify(user)} is no mail address, and users go by theirs`);
  }
  const rows: ImportRow[] = [];
  let batch: Pending[] = [];
  const flush = async () => {
    const written = batch;
    batch = [];
    try {
      const results = await store.addMany(written.flatMap(({ entries }) => entries));
      let at = 0;
      for (const { row, entries } of written) {
        settle(row, entries, results.slice(at, at + entries.length));
        at += entries.length;
        rows.push(row);
        onProgress?.(row, rows.length);
      }
    } finally {
      for (const pending of written) wipeKeys(pending);
    }
  };
  try {
    for await (const input of inputs) {
      batch.push(await readInput({ ...(user !== undefined && { user }), ...input }, pfx));
      if (batch.length === BATCH) await flush();
    }
    await flush();
  } finally {
    for (const pending of batch) wipeKeys(pending);
  }
  return { rows, totals: sum(rows) };
}

/** A file that has been read, and is not in the store yet. */
interface Pending {
  readonly row: ImportRow;
  readonly entries: readonly StoreEntry[];
}

function wipeKeys({ entries }: Pending): void {
  for (const { privateKey } of entries) privateKey?.wipe();
}

async function readInput(input: ImportInput, options: PfxOptions): Promise<Pending> {
  const row: ImportRow = { name: input.name, outcome: 'failed', keys: 0, certificates: 0, skipped: [] };
  if (!('path' in input)) assertBytes(input.bytes, 'bytes');
  let own: Uint8Array | undefined;
  try {
    if ('path' in input) own = await readFile(input.path);
    const bytes = own ?? (input as { bytes: Uint8Array }).bytes;
    if (bytes.length > MAX_PFX_LENGTH) throw tooLong(bytes.length);
    const contents = tryPasswords(bytes, input.password ?? '', options);
    return { row, entries: entriesOf(contents, input.user, row) };
  } catch (error) {
    row.error = plain(error);
    return { row, entries: [] };
  } finally {
    wipe(own);
  }
}

async function readFile(path: string): Promise<Uint8Array> {
  try {
    // Not to hang on a named pipe in a folder of files. Windows has no such flag.
    const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const status = await file.stat();
      if (!status.isFile()) throw new MailsealError('IO', 'not a file');
      if (status.size > MAX_PFX_LENGTH) throw tooLong(status.size);
      const bytes = Buffer.alloc(status.size);
      let length = 0;
      for (let read = -1; read !== 0 && length < bytes.length; length += read) {
        read = (await file.read(bytes, length)).bytesRead;
      }
      return bytes.subarray(0, length);
    } finally {
      await file.close();
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

function tryPasswords(
  bytes: Uint8Array,
  passwords: string | readonly string[],
  options: PfxOptions,
): PfxContents {
  const list = typeof passwords === 'string' ? [passwords] : passwords;
  let failure: MailsealError | undefined;
  for (const password of list) {
    try {
      return readPfx(bytes, password, options);
    } catch (error) {
      if (!(error instanceof MailsealError) || error.code !== 'PFX_WRONG_PASSWORD') throw error;
      failure = error;
    }
  }
  if (list.length === 1 && failure !== undefined) throw failure;
  throw new MailsealError('PFX_WRONG_PASSWORD', `none of ${list.length} passwords opens the file`);
}

/**
 * What goes into the store; what does not is noted in the row.
 * @throws MailsealError if no key does: PFX_NO_KEY, KEY_MISMATCH, UNSUPPORTED_ALGORITHM
 */
function entriesOf(contents: PfxContents, user: string | undefined, row: ImportRow): StoreEntry[] {
  const owner = user === undefined ? { unconfirmed: true } : { user };
  const entries: StoreEntry[] = [];
  const failures: MailsealError[] = contents.skipped.map(({ error }) => error);
  for (const { privateKey, certificate, friendlyName } of contents.entries) {
    if (certificate === undefined) {
      const name = friendlyName === undefined ? '' : ` ${JSON.stringify(friendlyName)}`;
      const message = `no certificate in the file belongs to the private key${name}`;
      failures.push(new MailsealError('KEY_MISMATCH', message));
      privateKey.wipe();
    } else {
      entries.push({
        ...owner,
        privateKey,
        certificate,
        ...(friendlyName !== undefined && { friendlyName }),
      });
    }
  }
  if (entries.length === 0) {
    throw failures[0] ?? new MailsealError('PFX_NO_KEY', 'the file holds no private key');
  }
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
  for (const failure of failures) row.skipped.push(plain(failure));
  return entries;
}

/** Completes a row with what the store made of its entries. */
function settle(row: ImportRow, entries: readonly StoreEntry[], results: readonly AddResult[]): void {
  const failures: ImportError[] = [];
  const withheld: ImportError[] = [];
  const keys = new Set<unknown>();
  let added = false;
  for (const [i, result] of results.entries()) {
    if (result.outcome === 'failed') {
      failures.push(plain(result.error));
      continue;
    }
    row.certificates++;
    for (const address of result.withheld ?? []) withheld.push(withheldAddress(entries[i], address));
    if (entries[i]?.privateKey !== undefined) keys.add(entries[i].privateKey);
    added ||= result.outcome === 'added';
  }
  row.keys = keys.size;
  if (row.keys === 0) {
    const [error] = failures;
    if (error !== undefined) row.error = error;
    return;
  }
  row.outcome = added ? 'imported' : 'present';
  for (const failure of [...failures, ...withheld]) row.skipped.push(failure);
}

function withheldAddress(entry: StoreEntry | undefined, address: string): ImportError {
  const what = `${entry?.certificate.subject} (issuer ${entry?.certificate.issuer})`;
  const message = `${address} has certificates of other issuers, and was not given ${what}; to confirm it, import it with --user ${address}`;
  return { code: 'NOT_TRUSTED', message };
}

function plain(error: unknown): ImportError {
  // A bug of ours: it must not stop the other files either.
  if (!(error instanceof MailsealError)) return { code: 'INTERNAL', message: String(error) };
  const { code, message, offset, oid } = error;
  return { code, message, ...(offset !== undefined && { offset }), ...(oid !== undefined && { oid }) };
}

function sum(rows: readonly ImportRow[]): ImportReport['totals'] {
  const totals = { files: rows.length, imported: 0, present: 0, failed: 0, keys: 0, certificates: 0 };
  for (const { outcome, keys, certificates } of rows) {
    totals[outcome]++;
    totals.keys += keys;
    totals.certificates += certificates;
  }
  return totals;
}
