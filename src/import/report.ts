/**
 * What an import says of a file: a row of plain data, and its form in the log of the key store. Used by the importer.
 */
import { type ErrorCode, MailsealError } from '../errors.js';
import type { LogEntry } from '../keystore/joblog.js';
import type { StoreRecord } from '../keystore/recorder.js';
import type { RecordResult } from '../keystore/store.js';
import { Certificate } from '../x509/certificate.js';

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
  /**
   * What was left out of a file that did not fail; addresses that were withheld are NOT_TRUSTED, a purpose that a
   * certificate can't serve is KEY_UNSUITABLE.
   */
  skipped: ImportError[];
}

export interface ImportReport {
  /** In the order of the inputs. */
  rows: ImportRow[];
  totals: Record<ImportRow['outcome'] | 'files' | 'keys' | 'certificates', number>;
}

/** A row without a name: files with the same content share it. */
export type FileResult = Omit<ImportRow, 'name'>;

export function failed(error: ImportError): FileResult {
  return { outcome: 'failed', keys: 0, certificates: 0, skipped: [], error };
}

export function plainError(error: unknown): ImportError {
  // A bug of ours: it must not stop the other files either.
  if (!(error instanceof MailsealError)) return { code: 'INTERNAL', message: String(error) };
  const { code, message, offset, oid } = error;
  return { code, message, ...(offset !== undefined && { offset }), ...(oid !== undefined && { oid }) };
}

/** A file that has at least one record, with what the store made of each. */
export function written(
  records: readonly StoreRecord[],
  results: readonly RecordResult[],
  skipped: readonly ImportError[],
): FileResult {
  const withheld: ImportError[] = [];
  let added = false;
  const keys = new Set<string>();
  for (const [i, result] of results.entries()) {
    const record = records[i] as StoreRecord;
    for (const address of result.withheld ?? []) withheld.push(withheldAddress(record, address));
    if (record.sealed !== undefined) keys.add(Buffer.from(record.certificate.spki_hash).toString('latin1'));
    added ||= result.outcome === 'added';
  }
  return {
    outcome: added ? 'imported' : 'present',
    keys: keys.size,
    certificates: results.length,
    skipped: [...skipped, ...withheld],
  };
}

function withheldAddress({ certificate: { der } }: StoreRecord, address: string): ImportError {
  const { subject, issuer } = Certificate.parse(der);
  const message = `${address} has certificates of other issuers, and was not given ${subject} (issuer ${issuer}); to confirm it, import it with option user ${address}`;
  return { code: 'NOT_TRUSTED', message };
}

/** The same content once more: what it brought is there. */
export function repeated(result: FileResult): FileResult {
  return result.outcome === 'failed' ? result : { ...result, outcome: 'present' };
}

/**
 * For the log. Failures are tied to the passwords that were tried; they, and addresses that were withheld, are judged
 * anew by the next import, when the file or the store may be another.
 */
export function logEntry(result: FileResult, password: () => Uint8Array): Omit<LogEntry, 'file'> {
  const { outcome, keys, certificates, skipped, error } = result;
  const final = outcome !== 'failed' && !skipped.some(({ code }) => code === 'NOT_TRUSTED');
  return {
    password: outcome === 'failed' ? password() : null,
    final: Number(final),
    report: JSON.stringify(outcome === 'failed' ? { error } : { keys, certificates, skipped }),
  };
}

/** What {@link logEntry} wrote of an earlier file of the same content. */
export function fromLog({ password, report }: LogEntry): FileResult {
  const said = JSON.parse(report) as Pick<FileResult, 'keys' | 'certificates' | 'skipped'> & {
    error: ImportError;
  };
  return password === null ? { outcome: 'present', ...said } : failed(said.error);
}

export function sum(rows: readonly ImportRow[]): ImportReport['totals'] {
  const totals = { files: rows.length, imported: 0, present: 0, failed: 0, keys: 0, certificates: 0 };
  for (const { outcome, keys, certificates } of rows) {
    totals[outcome]++;
    totals.keys += keys;
    totals.certificates += certificates;
  }
  return totals;
}
