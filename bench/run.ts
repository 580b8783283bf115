/**
 * The benchmark: `npm run bench [-- --json FILE]`. Every implementation does the same jobs on the same files in one
 * run, one thread each. README.md says what is measured and how; nothing is judged here but the printed targets.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeInputs } from './inputs.js';
import { lookupGroups } from './lookup.js';
import { MAILSEAL } from './mailseal.js';
import { measureGroup, type Row } from './measure.js';
import { compileNative } from './native.js';
import { pfxGroups } from './pfx.js';
import { formatJson, formatReport, withLimits } from './report.js';
import { loadRivals } from './rivals.js';
import { smimeGroups } from './smime.js';
import type { Subject } from './subject.js';
import { tapeGroups } from './tape.js';

const SUBJECTS: Subject[] = [tapeGroups, pfxGroups, smimeGroups, lookupGroups];

const { values } = parseArgs({ options: { json: { type: 'string' } } });
const folder = mkdtempSync(join(tmpdir(), 'mailseal-bench-'));
try {
  const inputs = makeInputs(folder);
  const rivals = await loadRivals({
    certificate: inputs.certificate.bytes,
    key: inputs.key.bytes,
    ca: inputs.ca.bytes,
  });
  const peers = { inputs, rivals, native: compileNative(folder) };
  const measured: Row[] = [];
  for (const subject of SUBJECTS) {
    for (const group of await subject(peers)) {
      const jobs = group.filter(({ impl }) => impl === MAILSEAL.impl).map(({ job }) => job);
      console.error(`measuring ${jobs.join(', ')} …`);
      measured.push(...(await measureGroup(group)));
    }
  }
  const rows = withLimits(measured);
  console.log(`${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} threads\n`);
  console.log(formatReport(rows));
  if (values.json !== undefined) writeFileSync(values.json, formatJson(rows));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
