/** `npm run bench -- --check`: the measured ratios beside the floors. Called by run.ts. */
import { FLOORS, type Floor } from './floors.js';
import { MAX_PEAK_MB } from './importreport.js';
import type { Row } from './measure.js';
import { describe, formatNumber, formatTable, ratioOf } from './report.js';

/** Whether a floor needs this job of this implementation. */
export function isNeeded(job: string, impl: string, floors = FLOORS): boolean {
  return floors.some(
    (floor) =>
      (impl === 'mailseal' && job === floor.job) ||
      (impl === floor.against && job === (floor.againstJob ?? floor.job)),
  );
}

/** Those that were not reached. One that could not be measured is among them: a check that leaves out is none. */
export function missedFloors(rows: readonly Row[], floors = FLOORS): Floor[] {
  return floors.filter((floor) => !((ratioOf(rows, floor) ?? 0) >= floor.atLeast));
}

/** Imports that took more memory than any may, on any machine. */
export function overMemory(rows: readonly Row[]): Row[] {
  return rows.filter(({ peakMB = 0 }) => peakMB > MAX_PEAK_MB);
}

export function formatCheck(rows: readonly Row[], floors = FLOORS): string {
  const verdict = (missed: readonly unknown[]): string => (missed.length === 0 ? 'ok' : 'FAILED');
  const ratios = floors.map((floor) => {
    const ratio = ratioOf(rows, floor);
    const shown = ratio === undefined ? 'not measured' : `${formatNumber(ratio)}×`;
    const missed = missedFloors(rows, [floor]);
    return [floor.job, describe(floor), shown, `at least ${floor.atLeast}×`, verdict(missed)];
  });
  const memory = rows.flatMap((row) => {
    if (row.peakMB === undefined) return [];
    const shown = `${formatNumber(row.peakMB)} MB`;
    return [[row.job, 'memory', shown, `at most ${MAX_PEAK_MB} MB`, verdict(overMemory([row]))]];
  });
  return formatTable([['job', 'against', 'measured', 'floor', ''], ...ratios, ...memory]);
}
