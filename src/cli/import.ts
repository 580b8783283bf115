/** `mailseal import`: PFX files into a key store. inputs.ts finds them, csv.ts has their passwords. */
import { basename } from 'node:path';
import { MailsealError } from '../errors.js';
import { type ImportError, type ImportReport, type ImportRow, sum } from '../import/report.js';
import { type ImportInput, importPfx } from '../import.js';
import { PasswordList, type Use } from './csv.js';
import { failure, findFiles } from './inputs.js';
import { passwordFor, requireStore, type StoreOptions, withStore } from './keys.js';
import { progress } from './progress.js';
import { note, noteError, printJson, printLine } from './terminal.js';

interface ImportOptions extends StoreOptions {
  files?: string;
  passwords?: string;
  passwordFile?: string;
  user?: string;
  workers?: number;
  maxCost?: number;
  allowNoMac?: true;
  dryRun?: true;
  json?: true;
}

export async function importCommand(paths: string[], options: ImportOptions): Promise<void> {
  requireStore(options);
  const { user, workers, maxCost, allowNoMac = false, dryRun = false } = options;
  const { inputs, failed, passedOver } = await listInputs(paths, options);
  const imported = await withStore(options, dryRun ? 'scratch' : true, async (store) => {
    const shown = progress(inputs.length, 'files');
    try {
      return await importPfx(store, inputs, {
        ...(user !== undefined && { user }),
        ...(workers !== undefined && { workers }),
        pfx: { allowNoMac, ...(maxCost !== undefined && { maxCost }) },
        onProgress: (row, done) => shown.step(done, basename(row.name)),
      });
    } finally {
      shown.stop();
    }
  });
  const rows = [...imported.rows.map(withFlags), ...failed];
  const report = { rows, totals: sum(rows) };
  if (options.json) printJson({ ...report, passedOver, dryRun });
  else printImport(report, passedOver, dryRun);
  if (report.totals.failed > 0) process.exitCode = 1;
}

/** Errors of the library name its options; here they have flags. */
function withFlags({ error, skipped, ...row }: ImportRow): ImportRow {
  return { ...row, skipped: skipped.map(flagged), ...(error && { error: flagged(error) }) };
}

const flagged = (error: ImportError): ImportError => ({
  ...error,
  message: error.message.replace(
    /\boption (maxCost|allowNoMac|user)\b/,
    (_, name: string) => FLAGS[name] as string,
  ),
});

const FLAGS: Readonly<Record<string, string>> = {
  maxCost: '--max-cost',
  allowNoMac: '--allow-no-mac',
  user: '--user',
};

/** What to import, from paths or, without any, from the CSV. */
async function listInputs(paths: string[], options: ImportOptions) {
  const { files: list, passwords: csv, passwordFile } = options;
  if (paths.length === 0 && list === undefined && csv === undefined) {
    throw new MailsealError(
      'USAGE',
      'which PFX files? give them, or --files, or --passwords with a CSV of them',
    );
  }
  const inputs: ImportInput[] = [];
  const add = (path: string, { password, ...owner }: Use) =>
    inputs.push({ name: path, path, password, ...owner });
  if (paths.length === 0 && list === undefined) {
    for (const { path, uses } of new PasswordList(csv as string).files()) {
      for (const use of uses) add(path, use);
    }
    if (inputs.length === 0) throw new MailsealError('USAGE', `no file in ${csv}`);
    return { inputs, failed: [], passedOver: [] };
  }
  const found = findFiles(paths, list);
  const failed = [...found.failed];
  if (found.files.size + failed.length === 0) {
    const places = list === undefined ? paths : [...paths, list];
    throw new MailsealError('USAGE', `no PFX file in ${places.join(', ')}`);
  }
  const usesOf = found.files.size === 0 ? () => [] : await passwordsFor(csv, passwordFile);
  for (const path of found.files) {
    const uses = usesOf(path);
    for (const use of uses) add(path, use);
    if (uses.length === 0)
      failed.push(failure(path, new MailsealError('USAGE', `no password for it in ${csv}`)));
  }
  return { inputs, failed, passedOver: found.passedOver };
}

async function passwordsFor(
  csv: string | undefined,
  passwordFile: string | undefined,
): Promise<(path: string) => readonly Use[]> {
  if (csv !== undefined) {
    const list = new PasswordList(csv);
    return (path) => list.usesOf(path);
  }
  const password = [await passwordFor('the PFX files', passwordFile)];
  return () => [{ password }];
}

/** Names in the note on files that were passed over; --json has all. */
const NAMED = 5;

function printImport({ rows, totals }: ImportReport, passedOver: readonly string[], dryRun: boolean): void {
  for (const { name, error, skipped } of rows) {
    if (error !== undefined) noteError(error, name);
    for (const left of skipped) noteError(left, `${name}: left out`);
  }
  if (passedOver.length > 0) {
    const more = passedOver.length > NAMED ? `, and ${passedOver.length - NAMED} more` : '';
    note(`passed over, not PFX: ${passedOver.slice(0, NAMED).join(', ')}${more}`);
  }
  const { imported, present, failed, keys, certificates } = totals;
  const nothing = dryRun ? ' (a dry run: nothing was written)' : '';
  printLine(
    `${imported} imported, ${present} there already, ${failed} failed; ${keys} keys, ${certificates} certificates${nothing}`,
  );
}
