/**
 * The CSV of `mailseal import --passwords`: columns file, password and, if wanted, user and purpose; in that order, or in
 * that of a header row with those names. It gives files their passwords, or is the list of files itself. Its errors never
 * quote a field: a comma in a password that was not quoted makes a part of it look like something else.
 */
import { basename, dirname, join, resolve } from 'node:path';
import { CsvError, parse as parseCsv } from 'csv-parse/sync';
import { MailsealError } from '../errors.js';
import type { ImportInput } from '../import.js';
import type { KeyPurpose } from '../keystore/store.js';
import { append } from '../maps.js';
import { normalizeEmail } from '../x509/name.js';
import { readSecretText } from './files.js';

const COLUMNS = ['file', 'password', 'user', 'purpose'] as const;
type Column = (typeof COLUMNS)[number];
const EXPECTED = 'the columns file,password[,user][,purpose]';

/** The names that Microsoft Intune has for them, and ours. Unassigned: for all that the certificate allows. */
const PURPOSES: Readonly<Record<string, KeyPurpose | undefined>> = {
  smimesigning: 'signing',
  signing: 'signing',
  smimeencryption: 'encryption',
  encryption: 'encryption',
  unassigned: undefined,
  '': undefined,
};

interface CsvRow {
  /** Relative to the CSV. */
  readonly file: string;
  readonly password: string;
  readonly user?: string;
  readonly purpose?: KeyPurpose;
}

/** How one file is to be imported: once for each user and purpose that rows have for it, with all passwords of those. */
export type Use = Pick<ImportInput, 'user' | 'purpose'> & { readonly password: readonly string[] };

export class PasswordList {
  readonly #csv: string;
  readonly #byPath = new Map<string, CsvRow[]>();
  readonly #byName = new Map<string, CsvRow[]>();

  /** @param csv a path, or `-` @throws MailsealError USAGE, IO */
  constructor(csv: string) {
    this.#csv = csv;
    for (const row of readRows(csv)) {
      append(this.#byPath, resolve(this.#pathOf(row)), row);
      if (basename(row.file) === row.file) append(this.#byName, row.file, row);
    }
  }

  /**
   * By its path, or, if no row has that, by its name alone, if a row has no more than that: one with a folder is about
   * that file, and says whose it is. Empty if no row fits.
   */
  usesOf(path: string): Use[] {
    return uses(this.#byPath.get(resolve(path)) ?? this.#byName.get(basename(path)) ?? []);
  }

  /** The files that it names, in the order of its rows. */
  *files(): Generator<{ path: string; uses: Use[] }> {
    for (const rows of this.#byPath.values())
      yield { path: this.#pathOf(rows[0] as CsvRow), uses: uses(rows) };
  }

  #pathOf({ file }: CsvRow): string {
    const absolute = resolve(dirname(this.#csv), file);
    return absolute === file ? file : join(dirname(this.#csv), file);
  }
}

function uses(rows: readonly CsvRow[]): Use[] {
  const found = new Map<string, CsvRow[]>();
  for (const row of rows) append(found, JSON.stringify([row.user, row.purpose]), row);
  return [...found.values()].map((alike) => {
    const { user, purpose } = alike[0] as CsvRow;
    return {
      password: [...new Set(alike.map(({ password }) => password))],
      ...(user !== undefined && { user }),
      ...(purpose !== undefined && { purpose }),
    };
  });
}

function readRows(csv: string): CsvRow[] {
  const records = readRecords(csv);
  const header = records[0] && headerOf(records[0], csv);
  return records.slice(header === undefined ? 0 : 1).map(({ cells, line }) => {
    const refuse = (what: string) => new MailsealError('USAGE', `${csv}, line ${line}: ${what}`);
    const columns: readonly Column[] = header ?? COLUMNS;
    const complete = header === undefined ? cells.length >= 2 : cells.length === header.length;
    if (!complete || cells.length > columns.length) {
      throw refuse(header === undefined ? `expected ${EXPECTED}` : 'not as many columns as the header has');
    }
    const cell = (column: Column) => cells[columns.indexOf(column)] ?? '';
    const [file, user, purpose] = [cell('file'), cell('user').trim(), cell('purpose').trim().toLowerCase()];
    if (file === '') throw refuse('no file');
    if (user !== '' && normalizeEmail(user) === undefined) throw refuse('the user is no mail address');
    if (!Object.hasOwn(PURPOSES, purpose)) {
      throw refuse('the purpose is none of smimeSigning, smimeEncryption, unassigned');
    }
    const meant = PURPOSES[purpose];
    return {
      file,
      password: cell('password'),
      ...(user !== '' && { user }),
      ...(meant !== undefined && { purpose: meant }),
    };
  });
}

/** The columns that the first row names, if it names both file and password. */
function headerOf({ cells, line }: CsvRecord, csv: string): Column[] | undefined {
  const names = cells.map((cell) => cell.trim().toLowerCase());
  if (!names.includes('file') || !names.includes('password')) return undefined;
  const known = names.every((name): name is Column => (COLUMNS as readonly string[]).includes(name));
  if (!known || new Set(names).size < names.length) {
    throw new MailsealError('USAGE', `${csv}, line ${line}: expected ${EXPECTED}, each once, in any order`);
  }
  return names as Column[];
}

interface CsvRecord {
  readonly cells: readonly string[];
  /** The last one of the file that it takes, from 1. */
  readonly line: number;
}

function readRecords(csv: string): CsvRecord[] {
  const text = readSecretText(csv);
  try {
    const options = { relax_column_count: true, skip_empty_lines: true, info: true } as const;
    const records = parseCsv(text, options) as unknown as { record: string[]; info: { lines: number } }[];
    return records.map(({ record, info }) => ({ cells: record, line: info.lines }));
  } catch (error) {
    // Neither its message nor a cause, which quote the field: that may be a password.
    const place = error instanceof CsvError ? `, line ${error.lines}: ${error.code}` : '';
    throw new MailsealError('USAGE', `${csv} is not CSV${place}`);
  }
}
