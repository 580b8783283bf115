/** `npm run bench -- --check`: the measured ratios beside the floors. Called by run.ts. */
import { FLOORS, type Floor } from './floors.js';
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

export function formatCheck(rows: readonly Row[], floors = FLOORS): string {
  const lines = floors.map((floor) => {
    const ratio = ratioOf(rows, floor);
    const shown = ratio === undefined ? 'not measured' : `${formatNumber(ratio)}×`;
    const verdict = missedFloors(rows, [floor]).length === 0 ? 'ok' : 'FAILED';
    return [floor.job, describe(floor), shown, `${formatNumber(floor.atLeast)}×`, verdict];
  });
  return formatTable([['job', 'against', 'measured', 'at least', ''], ...lines]);
}
