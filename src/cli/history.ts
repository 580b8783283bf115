/** The commands on a key store: import, lookup, users. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { parse as parseCsv } from 'csv-parse/sync';
import { describeRecipient, describeRecipientInfo } from '../cms/recipients.js';
import { MailsealError } from '../errors.js';
import { type ImportInput, type ImportReport, type ImportRow, importPfx } from '../import.js';
import type { Match, StoredCertificate } from '../keystore/store.js';
import { readEnveloped } from '../smime/message.js';
import { isPfxFile, readInput } from './files.js';
import { passwordFor, type StoreOptions, withStore } from './keys.js';
import { certificateJson, describeCertificate, isoDay } from './mail.js';
import { note, printable, printJson, printLine, progressBar, table } from './terminal.js';

interface ImportOptions extends StoreOptions {
  passwords?: string;
  passwordFile?: string;
  user?: string;
  json?: true;
}

export async function importCommand(paths: string[], options: ImportOptions): Promise<void> {
  const { files, passedOver } = findFiles(paths);
  if (files.length === 0) throw new MailsealError('USAGE', `no PFX file in ${paths.join(', ')}`);
  const passwords = await passwordsFor(options);
  const inputs: ImportInput[] = [];
  const unreadable: ImportRow[] = [];
  for (const path of files) {
    const password = passwords(path);
    if (password !== undefined) inputs.push({ name: path, path, password });
    else unreadable.push(withoutPassword(path, options.passwords));
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
  report.rows.push(...unreadable);
  report.totals.failed += unreadable.length;
  report.totals.files += unreadable.length;
  if (options.json) printJson({ ...report, passedOver });
  else printImport(report, passedOver);
  if (report.totals.failed > 0) process.exitCode = 1;
}

/** Named files as they are; of folders all files below that start as a PFX does, in a fixed order. */
function findFiles(paths: readonly string[]): { files: string[]; passedOver: string[] } {
  const files: string[] = [];
  const passedOver: string[] = [];
  for (const path of paths) {
    if (!existsSync(path)) throw new MailsealError('IO', `cannot read ${path}: no such file or folder`);
    if (!statSync(path).isDirectory()) {
      files.push(path);
      continue;
    }
    const entries = readdirSync(path, { recursive: true, withFileTypes: true });
    const below = entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    for (const file of below.sort()) (isPfxFile(file) ? files : passedOver).push(file);
  }
  return { files: [...new Set(files)], passedOver };
}

const withoutPassword = (path: string, csv = ''): ImportRow => ({
  name: path,
  outcome: 'failed',
  keys: 0,
  certificates: 0,
  skipped: [],
  error: { code: 'USAGE', message: `${csv} has no password for it` },
});

/** The password of each file; undefined if the CSV has none. */
async function passwordsFor(options: ImportOptions): Promise<(path: string) => string | undefined> {
  const { passwords: csv, passwordFile } = options;
  if (csv !== undefined) return passwordsOf(csv);
  const password = await passwordFor('the PFX files', passwordFile);
  return () => password;
}

/** A CSV with the columns file,password: a file is named relative to the CSV, or, if no row does that, by its name alone. */
function passwordsOf(csv: string): (path: string) => string | undefined {
  let rows: string[][];
  try {
    rows = parseCsv(Buffer.from(readInput(csv)), {
      bom: true,
      relax_column_count: true,
      skip_empty_lines: true,
    });
  } catch (cause) {
    if (cause instanceof MailsealError) throw cause;
    throw new MailsealError('USAGE', `${csv} is not CSV: ${(cause as Error).message}`, { cause });
  }
  const byPath = new Map<string, string>();
  const byName = new Map<string, string>();
  for (const [file, password, ...more] of rows) {
    if (file === undefined || password === undefined || more.length > 0) {
      throw new MailsealError('USAGE', `${csv} must have the columns file,password in every row`);
    }
    byPath.set(resolve(dirname(csv), file), password);
    byName.set(basename(file), password);
  }
  return (path) => byPath.get(resolve(path)) ?? byName.get(basename(path));
}

function printImport({ rows, totals }: ImportReport, passedOver: readonly string[]): void {
  for (const row of rows) {
    if (row.error !== undefined) noteRow(row, row.error);
    for (const left of row.skipped) noteRow(row, left);
  }
  if (passedOver.length > 0)
    note(`${passedOver.length} files passed over, since they are no PFX, such as ${passedOver[0]}`);
  const { imported, present, failed, keys, certificates } = totals;
  printLine(
    `${imported} imported, ${present} there already, ${failed} failed; ${keys} keys, ${certificates} certificates`,
  );
}

function noteRow(
  { name }: ImportRow,
  { code, message, offset }: { code: string; message: string; offset?: number },
): void {
  note(`${code}: ${name}: ${message}${offset === undefined ? '' : ` (at octet ${offset})`}`);
}

interface ListOptions extends StoreOptions {
  json?: true;
}

export async function lookupCommand(file: string, options: ListOptions): Promise<void> {
  const enveloped = readEnveloped(readInput(file));
  const recipients = enveloped.recipientInfos.flatMap((info) =>
    info.type === 'keyTransport' || info.type === 'keyAgreement' ? info.identifiers : [],
  );
  const matches = await withStore(options, false, (store) => store.lookup(recipients));
  if (options.json) {
    printJson({
      recipients: enveloped.recipientInfos.flatMap(describeRecipientInfo),
      matches: matches.map((match) => ({
        recipient: describeRecipient(recipients[match.recipient] as (typeof recipients)[number]),
        reason: match.reason,
        ...storedJson(match),
      })),
    });
  } else {
    process.stdout.write(table(matches.map(matchRow)));
  }
  if (!matches.some((match) => match.hasKey)) {
    const list = enveloped.recipientInfos.flatMap(describeRecipientInfo).join('; ');
    throw new MailsealError(
      'RECIPIENT_UNKNOWN',
      `the store has no key for the message, which is encrypted to: ${list}`,
    );
  }
}

const matchRow = (match: Match): string[] => [
  match.hasKey ? 'key' : 'no key',
  match.users.join(', ') || 'nobody',
  describeCertificate(match.certificate),
  match.reason,
];

export async function usersCommand(address: string | undefined, options: ListOptions): Promise<void> {
  await withStore(options, false, async (store) => {
    if (address !== undefined) printHistory(await store.history(address), options);
    else {
      const users = await store.users();
      if (options.json) printJson(users);
      else {
        const rows = users.map((user) => [
          user.address ?? '(nobody)',
          `${user.certificates}`,
          `${user.keys}`,
        ]);
        process.stdout.write(table([['user', 'certificates', 'keys'], ...rows]));
      }
    }
  });
}

function printHistory(history: readonly StoredCertificate[], { json }: ListOptions): void {
  if (json) {
    printJson(history.map(storedJson));
    return;
  }
  const rows = history.map(({ certificate, hasKey, maySign, mayEncrypt }) => [
    isoDay(certificate.notBefore),
    isoDay(certificate.notAfter),
    hasKey ? 'key' : 'no key',
    [...(maySign ? ['sign'] : []), ...(mayEncrypt ? ['encrypt'] : [])].join(', '),
    printable(certificate.subject.toString()),
  ]);
  process.stdout.write(table([['from', 'to', 'key', 'for', 'subject'], ...rows]));
}

function storedJson({ certificate, hasKey, maySign, mayEncrypt, users, friendlyName }: StoredCertificate) {
  return { ...certificateJson(certificate), users, friendlyName, hasKey, maySign, mayEncrypt };
}
