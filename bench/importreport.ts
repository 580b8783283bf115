/** What is printed of imports beside their time: memory, and the key store's part. Called by report.ts and check.ts. */
import { FIRST_FILES, importName, MANY_FILES } from './import.js';
import type { Row } from './measure.js';

/** Megabytes of resident memory that an import may take, however many files it has. */
export const MAX_PEAK_MB = 350;
/** How much more than the first thousand files: Node.js collects garbage when it likes. */
const FLAT = 1.2;
const MAX_STORE_SHARE = 0.25;

const number = (value: number): string => Math.round(value).toLocaleString('en-US');
const percent = (value: number): string => `${(100 * value).toFixed(1)}%`;
const verdict = (reached: boolean): string => (reached ? 'reached' : 'MISSED');

/** The lines of a table. */
export function formatImports(rows: readonly Row[]): string[][] {
  const lines = rows.map(({ job, usPerOp, peakMB = 0, storeShare = 0 }) => [
    job,
    number(1e6 / usPerOp),
    number(usPerOp),
    number(peakMB),
    percent(storeShare),
  ]);
  return [['import', 'files a second', 'µs a file', 'peak MB', 'in the key store'], ...lines];
}

/** The lines of the targets' table, of the imports with most files. */
export function importTargets(rows: readonly Row[]): string[][] {
  const most = rows.filter(({ job }) => job.startsWith(`import ${number(MANY_FILES)} files`));
  const first = rows.find(({ job }) => job === importName({ files: FIRST_FILES, workers: 2 }));
  return most.flatMap(({ job, peakMB = 0, storeShare = 0 }) => {
    const lines = [
      [job, `within ${MAX_PEAK_MB} MB`, `${number(peakMB)} MB`, verdict(peakMB <= MAX_PEAK_MB)],
      [
        job,
        `at most ${percent(MAX_STORE_SHARE)} in the key store`,
        percent(storeShare),
        verdict(storeShare <= MAX_STORE_SHARE),
      ],
    ];
    if (first?.peakMB === undefined || !job.endsWith('2 workers')) return lines;
    const growth = peakMB / first.peakMB;
    const aim = `memory within ${FLAT}× of ${first.job}`;
    return [...lines, [job, aim, `${growth.toFixed(2)}×`, verdict(growth <= FLAT)]];
  });
}
