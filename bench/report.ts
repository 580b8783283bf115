/** The printed tables: microseconds and ratios for every job, then the targets with what was reached. */
import { formatImports, importTargets } from './importreport.js';
import { RECIPIENTS } from './inputs.js';
import { ENCRYPT_TO_MANY, GCM } from './mail.js';
import type { Row } from './measure.js';
import { STREAM } from './stream.js';
import { type Comparison, TARGETS, type Target } from './targets.js';

/** Columns, in the order they are printed. */
const IMPLS = ['mailseal', 'libcrypto', 'bare', 'node-forge', 'pkijs', 'asn1js'];

/** What the operations of a job can't do without, by the job's name without its size, which is `N`. */
const LIMITS: Record<string, readonly string[]> = {
  sign: ['rsa-2048 private', 'sha-256 N'],
  verify: ['rsa-2048 public', 'sha-256 N'],
  'verify-new': ['rsa-2048 public', 'rsa-2048 public', 'sha-256 N'],
  encrypt: ['rsa-2048 public', 'aes-256-cbc encrypt N', 'base64 encode N'],
  [`encrypt, ${RECIPIENTS} recipients`]: [ENCRYPT_TO_MANY, 'aes-256-cbc encrypt N', 'base64 encode N'],
  [`encrypt${GCM}`]: ['rsa-2048 public', 'aes-256-gcm encrypt N', 'base64 encode N'],
  decrypt: ['rsa-2048 private', 'aes-256-cbc decrypt N', 'base64 decode N'],
  [`decrypt${GCM}`]: ['rsa-2048 private', 'aes-256-gcm decrypt N', 'base64 decode N'],
};

export function find(rows: readonly Row[], job: string, impl: string): Row | undefined {
  return rows.find((row) => row.job === job && row.impl === impl);
}

/** The rows, and a bare one for each mail job: the sum of the bare operations that it can't do without. */
export function withLimits(rows: readonly Row[]): Row[] {
  const limits: Row[] = [];
  for (const { job, impl } of rows) {
    const [, verb = '', size = '', manner = ''] = /^(\S+) ?([^,]*)(.*)$/.exec(job) ?? [];
    const parts = LIMITS[verb + (manner === STREAM ? '' : manner)];
    if (impl !== 'mailseal' || parts === undefined) continue;
    let usPerOp = 0;
    let version = '';
    for (const part of parts) {
      const row = find(rows, part.replace('N', size), 'bare');
      if (row === undefined) throw new Error(`the limit of "${job}" needs "${part}", which was not measured`);
      usPerOp += row.usPerOp;
      version = row.version;
    }
    limits.push({ job, impl: 'bare', usPerOp, version });
  }
  return [...rows, ...limits];
}

/** Three significant digits, with thousands separators. */
export function formatNumber(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString('en-US', { maximumSignificantDigits: 3 });
}

/** Columns wide enough for their cells, the first to the left and the others to the right. */
export function formatTable(lines: readonly (readonly string[])[]): string {
  const widths =
    lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  return lines
    .map((line) => {
      const cells = line.map((cell, column) => {
        const width = widths[column] ?? 0;
        return column === 0 ? cell.padEnd(width) : cell.padStart(width);
      });
      return `  ${cells.join('  ').trimEnd()}\n`;
    })
    .join('');
}

function formatJobs(rows: readonly Row[], title: string, jobs: readonly string[]): string {
  const impls = IMPLS.filter((impl) => rows.some((row) => row.impl === impl && jobs.includes(row.job)));
  const lines = [[title, ...impls]];
  for (const job of jobs) {
    const own = find(rows, job, 'mailseal');
    const cells = impls.map((impl) => {
      const row = find(rows, job, impl);
      if (row === undefined) return '';
      const time = formatNumber(row.usPerOp);
      if (own === undefined || row === own) return time;
      return `${time} (${formatNumber(row.usPerOp / own.usPerOp)}×)`;
    });
    lines.push([job, ...cells]);
  }
  return formatTable(lines);
}

/** Times the time that mailseal takes; undefined if one of the two was not measured. */
export function ratioOf(
  rows: readonly Row[],
  { job, against, againstJob = job }: Comparison,
): number | undefined {
  const own = find(rows, job, 'mailseal');
  const peer = find(rows, againstJob, against);
  return own && peer && peer.usPerOp / own.usPerOp;
}

/** Whom a comparison is with. */
export function describe({ job, against, againstJob = job }: Comparison): string {
  return againstJob === job ? against : `${against} ${againstJob}`;
}

function formatTarget(rows: readonly Row[], target: Target): string[] {
  const { job, faster, within = 0 } = target;
  const aim = `${faster === undefined ? `within ${within}× of` : `${faster}× faster than`} ${describe(target)}`;
  const ratio = ratioOf(rows, target);
  if (ratio === undefined) return [job, aim, '', 'not measured'];
  const shown = faster === undefined ? 1 / ratio : ratio;
  const reached = faster === undefined ? shown <= within : shown >= faster;
  return [job, aim, `${formatNumber(shown)}×`, reached ? 'reached' : 'MISSED'];
}

export function formatReport(rows: readonly Row[]): string {
  const versions = new Set(rows.map(({ impl, version }) => `${impl} ${version}`));
  const header = [...versions].join(' · ');
  const jobs = [...new Set(rows.map(({ job }) => job))];
  const isOwn = (job: string): boolean => find(rows, job, 'mailseal') !== undefined;
  const isBatch = (job: string): boolean => /^\w+ batch/.test(job);
  const imports = rows.filter(({ peakMB }) => peakMB !== undefined);
  const isImport = (job: string): boolean => imports.some((row) => row.job === job);
  const table = (title: string, belongs: (job: string) => boolean): string =>
    jobs.some(belongs) ? formatJobs(rows, title, jobs.filter(belongs)) : '';
  const targets = TARGETS.filter(({ job }) => isOwn(job)).map((target) => formatTarget(rows, target));
  return [
    `${header}\n`,
    'In brackets: times the time that mailseal takes. "bare" is the physical limit of a job.\n',
    table('µs an operation', (job) => isOwn(job) && !isBatch(job) && !isImport(job)),
    table('µs a file, of many', (job) => isOwn(job) && isBatch(job)),
    imports.length > 0 ? formatTable(formatImports(imports)) : '',
    table('bare operations, µs', (job) => !isOwn(job)),
    `Targets\n${formatTable([...targets, ...importTargets(imports)])}`,
  ]
    .filter((part) => part !== '')
    .join('\n');
}

/** One row a line, so that the file is JSON and also reads well line by line. */
export function formatJson(rows: readonly Row[]): string {
  return `[\n${rows.map((row) => JSON.stringify(row)).join(',\n')}\n]\n`;
}
