/**
 * The benchmark: `npm run bench [-- --json FILE]`. Every implementation does the same jobs on the same files in one
 * run, each in a process of its own, one at a time. README.md says what is measured and how; nothing is judged here but
 * the printed targets.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeInputs } from './inputs.js';
import { type Job, jobGroups } from './jobs.js';
import type { Row } from './measure.js';
import { compileNative } from './native.js';
import { type Peer, startChild } from './peer.js';
import { formatJson, formatReport, withLimits } from './report.js';
import { installRivals } from './rivals.js';

const ROUNDS = 5;

/** The best round of every peer and job. All take turns in every round: a drift of the machine meets all alike. */
async function measureGroup(group: readonly Job[], peers: readonly Peer[]): Promise<Row[]> {
  const best = new Map<string, Row>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const job of group) {
      for (const peer of peers) {
        const row = await peer.measure(job);
        if (row === null) continue;
        const key = `${row.job} ${row.impl}`;
        const before = best.get(key);
        if (before === undefined || row.usPerOp < before.usPerOp) best.set(key, row);
      }
    }
  }
  return [...best.values()];
}

const { values } = parseArgs({ options: { json: { type: 'string' } } });
const folder = mkdtempSync(join(tmpdir(), 'mailseal-bench-'));
const peers: Peer[] = [];
try {
  const inputs = makeInputs(folder);
  const inputsFile = join(folder, 'inputs.json');
  writeFileSync(inputsFile, JSON.stringify(inputs));
  peers.push(await startChild('mailseal', inputsFile), ...compileNative(folder));
  for (const impl of ['bare', ...installRivals()]) peers.push(await startChild(impl, inputsFile));
  const measured: Row[] = [];
  for (const group of jobGroups(inputs)) {
    console.error(`measuring ${group.map(({ name }) => name).join(', ')} …`);
    measured.push(...(await measureGroup(group, peers)));
  }
  const rows = withLimits(measured);
  console.log(`${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} threads\n`);
  console.log(formatReport(rows));
  if (values.json !== undefined) writeFileSync(values.json, formatJson(rows));
} finally {
  for (const peer of peers) peer.close();
  rmSync(folder, { recursive: true, force: true });
}
