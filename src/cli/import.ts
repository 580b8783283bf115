/** `mailseal import`: PFX files, and folders of them, into a key store. */
import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { CsvError, parse as parseCsv } from 'csv-parse/sync';
import { MailsealError } from '../errors.js';
import { type ImportInput, type ImportReport, type ImportRow, importPfx } from '../import.js';
import { ioError, isPfxFile, readSecretText } from './files.js';
import { passwordFor, requireStore, type StoreOptions, withStore } from './keys.js';
import { note, noteError, printJson, printLine, progressBar } from './terminal.js';

interface ImportOptions extends StoreOptions {
  passwords?: string;
  passwordFile?: string;
  user?: string;
  json?: true;
}

export async function importCommand(paths: string[], options: ImportOptions): Promise<void> {
  requireStore(options);
  const found: Found = { files: new Set(), passedOver: [], failed: [] };
  for (const path of paths) find(path, true, found);
  const { files, passedOver, failed } = found;
  if (files.size + failed.length === 0) {
    throw new MailsealError('USAGE', `no PFX file in ${paths.join(', ')}`);
  }
  const inputs: ImportInput[] = [];
  const passwords = files.size === 0 ? () => undefined : await passwordsFor(options);
  for (const path of files) {
    const password = passwords(path);
    if (password !== undefined) inputs.push({ name: path, path, password });
    else failed.push(failure(path, new MailsealError('USAGE', `no password for it in ${options.passwords}`)));
  }
  const report = await withStore(options, true, async (store) => {
    const bar = progressBar(inputs.length, 'files');
    try {
      return await importPfx(store, inputs, {
        ...(options.user !== undefined && { user: options.user }),
        onProgress: (row, done) => bar.step(done, basename(row.name)),
      });
    } finally {
      bar.stop();
    }
  });
  for (const row of failed) report.rows.push(row);
  report.totals.failed += failed.length;
  report.totals.files += failed.length;
  if (options.json) printJson({ ...report, passedOver });
  else printImport(report, passedOver);
  if (report.totals.failed > 0) process.exitCode = 1;
}

interface Found {
  files: Set<string>;
  passedOver: string[];
  /** What can't be read. */
  failed: ImportRow[];
}

/**
 * Files as they are named; of folders all files below, in a fixed order, that are a PFX by their first octets or by
 * their name: a damaged `.p12` is a failure to tell of. Symbolic links to folders are not followed: they may go round.
 */
function find(path: string, named: boolean, found: Found): void {
  try {
    if (statSync(path).isDirectory()) {
      const entries = readdirSync(path, { withFileTypes: true });
      for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
        const below = join(path, entry.name);
        if (entry.isSymbolicLink() && statSync(below, { throwIfNoEntry: false })?.isFile() !== true) {
          found.passedOver.push(below);
        } else find(below, false, found);
      }
    } else if (named || /\.(?:p12|pfx)$/i.test(path) || (statSync(path).isFile() && isPfxFile(path))) {
      found.files.add(path);
    } else found.passedOver.push(path);
  } catch (error) {
    found.failed.push(failure(path, ioError("can't be read", error)));
  }
}

const failure = (name: string, { code, message }: MailsealError): ImportRow => ({
  name,
  outcome: 'failed',
  keys: 0,
  certificates: 0,
  skipped: [],
  error: { code, message },
});

type PasswordsOf = (path: string) => string | readonly string[] | undefined;

/** The password of each file, or several to try; undefined if the CSV has none. */
async function passwordsFor({ passwords: csv, passwordFile }: ImportOptions): Promise<PasswordsOf> {
  if (csv !== undefined) return passwordsIn(csv);
  const password = await passwordFor('the PFX files', passwordFile);
  return () => password;
}

/** A CSV with the columns file,password: a file is named relative to the CSV, or, if no row does that, by its name alone. */
function passwordsIn(csv: string): PasswordsOf {
  const byPath = new Map<string, string[]>();
  const byName = new Map<string, string[]>();
  for (const [i, [file, password, ...more]] of parseRows(csv).entries()) {
    if (file === undefined || password === undefined || more.length > 0) {
      throw new MailsealError('USAGE', `${csv}, row ${i + 1}: expected the columns file,password`);
    }
    append(byPath, resolve(dirname(csv), file), password);
    append(byName, basename(file), password);
  }
  return (path) => byPath.get(resolve(path)) ?? byName.get(basename(path));
}

function append(map: Map<string, string[]>, key: string, value: string): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else values.push(value);
}

function parseRows(csv: string): string[][] {
  const text = readSecretText(csv);
  try {
    return parseCsv(text, { relax_column_count: true, skip_empty_lines: true });
  } catch (error) {
    // Neither its message nor a cause, which quote the field: that may be a password.
    const place = error instanceof CsvError ? `, line ${error.lines}: ${error.code}` : '';
    throw new MailsealError('USAGE', `${csv} is not CSV${place}`);
  }
}

/** Names in the note on files that were passed over; --json has all. */
const NAMED = 5;

function printImport({ rows, totals }: ImportReport, passedOver: readonly string[]): void {
  for (const { name, error, skipped } of rows) {
    if (error !== undefined) noteError(error, name);
    for (const left of skipped) noteError(left, `${name}: left out`);
  }
  if (passedOver.length > 0) {
    const more = passedOver.length > NAMED ? `, and ${passedOver.length - NAMED} more` : '';
    note(`passed over, not PFX: ${passedOver.slice(0, NAMED).join(', ')}${more}`);
  }
  const { imported, present, failed, keys, certificates } = totals;
  printLine(
    `${imported} imported, ${present} there already, ${failed} failed; ${keys} keys, ${certificates} certificates`,
  );
}
