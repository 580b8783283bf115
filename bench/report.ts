/** The printed tables: microseconds and ratios for every job, then the targets with what was reached. */
import type { Row } from './measure.js';

/** Columns, in the order they are printed. */
const IMPLS = ['mailseal', 'libcrypto', 'bare', 'node-forge', 'pkijs', 'asn1js'];

/** What the operations of a job can't do without, by the job's first word; `N` is its size. */
const LIMITS: Record<string, readonly string[]> = {
  sign: ['rsa-2048 private', 'sha-256 N'],
  verify: ['rsa-2048 public', 'sha-256 N'],
  'verify-new': ['rsa-2048 public', 'rsa-2048 public', 'sha-256 N'],
  encrypt: ['rsa-2048 public', 'aes-256-cbc encrypt N', 'base64 encode N'],
  decrypt: ['rsa-2048 private', 'aes-256-cbc decrypt N', 'base64 decode N'],
};

interface Target {
  job: string;
  against: string;
  /** Another job's row is the measure, where it is not the same job. */
  againstJob?: string;
  /** How many times faster than the other it must be, at least. */
  faster?: number;
  /** How many times the other's time it may take, at most. */
  within?: number;
}

const SIZED = ['sign', 'verify', 'encrypt', 'decrypt'];
const TARGETS: Target[] = [
  { job: 'tape certificate', against: 'asn1js', faster: 150 },
  { job: 'tape certificate', against: 'node-forge', faster: 5 },
  { job: 'pfx rc2-40', against: 'libcrypto', faster: 3 },
  { job: 'pfx 3des', against: 'libcrypto', faster: 3 },
  { job: 'pfx pbes2', against: 'libcrypto', faster: 1.6 },
  { job: 'pfx rc2-40', against: 'node-forge', faster: 30 },
  { job: 'pfx 3des', against: 'node-forge', faster: 30 },
  { job: 'pfx pbes2', against: 'node-forge', faster: 30 },
  { job: 'verify 10 KB', against: 'libcrypto', faster: 4 },
  { job: 'sign 10 KB', against: 'bare', againstJob: 'rsa-2048 private', within: 1.2 },
  { job: 'decrypt 10 KB', against: 'bare', againstJob: 'rsa-2048 private', within: 1.2 },
  ...SIZED.map((verb) => ({ job: `${verb} 10 MB`, against: 'libcrypto', faster: 2 })),
];

function find(rows: readonly Row[], job: string, impl: string): Row | undefined {
  return rows.find((row) => row.job === job && row.impl === impl);
}

/** The rows, and a bare one for each mail job: the sum of the bare operations that it can't do without. */
export function withLimits(rows: readonly Row[]): Row[] {
  const limits: Row[] = [];
  for (const { job, impl } of rows) {
    const [verb, ...size] = job.split(' ');
    const parts = LIMITS[verb ?? ''];
    if (impl !== 'mailseal' || parts === undefined) continue;
    let usPerOp = 0;
    let version = '';
    for (const part of parts) {
      const row = find(rows, part.replace('N', size.join(' ')), 'bare');
      if (row === undefined) throw new Error(`the limit of "${job}" needs "${part}", which was not measured`);
      usPerOp += row.usPerOp;
      version = row.version;
    }
    limits.push({ job, impl: 'bare', usPerOp, version });
  }
  return [...rows, ...limits];
}

/** Three significant digits, with thousands separators. */
function formatNumber(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString('en-US', { maximumSignificantDigits: 3 });
}

/** Columns wide enough for their cells, the first to the left and the others to the right. */
function formatTable(lines: readonly (readonly string[])[]): string {
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

function formatTarget(rows: readonly Row[], target: Target): string[] {
  const { job, against, againstJob = job, faster, within } = target;
  const other = againstJob === job ? against : `${against} ${againstJob}`;
  const aim = faster === undefined ? `within ${within}× of ${other}` : `${faster}× faster than ${other}`;
  const own = find(rows, job, 'mailseal');
  const peer = find(rows, againstJob, against);
  if (own === undefined || peer === undefined) return [job, aim, '', 'not measured'];
  const ratio = faster === undefined ? own.usPerOp / peer.usPerOp : peer.usPerOp / own.usPerOp;
  const reached = faster === undefined ? ratio <= (within ?? 0) : ratio >= faster;
  return [job, aim, `${formatNumber(ratio)}×`, reached ? 'reached' : 'MISSED'];
}

export function formatReport(rows: readonly Row[]): string {
  const versions = new Set(rows.map(({ impl, version }) => `${impl} ${version}`));
  const header = [...versions].join(' · ');
  const jobs = [...new Set(rows.map(({ job }) => job))];
  const isOwn = (job: string): boolean => find(rows, job, 'mailseal') !== undefined;
  const targets = TARGETS.map((target) => formatTarget(rows, target));
  return [
    `${header}\n`,
    'In brackets: times the time that mailseal takes. "bare" is the physical limit of a job.\n',
    formatJobs(rows, 'µs an operation', jobs.filter(isOwn)),
    formatJobs(
      rows,
      'bare operations, µs',
      jobs.filter((job) => !isOwn(job)),
    ),
    `Targets\n${formatTable(targets)}`,
  ].join('\n');
}

/** One row a line, so that the file is JSON and also reads well line by line. */
export function formatJson(rows: readonly Row[]): string {
  return `[\n${rows.map((row) => JSON.stringify(row)).join(',\n')}\n]\n`;
}
