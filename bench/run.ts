/**
 * The benchmark: `npm run bench [-- SUBJECT... --json FILE]`, and `npm run bench -- --check`. Every implementation does
 * the same jobs on the same files in one run, each in a process of its own, one at a time. README.md says what is
 * measured and how; nothing is judged here but the printed targets, and by a check the floors.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeBatches } from './batches.js';
import { formatCheck, isNeeded, missedFloors, overMemory } from './check.js';
import { IMPORT_JOBS, importName, importPeer, makeImportFolder } from './import.js';
import { makeInputs } from './inputs.js';
import { type Group, jobGroups, SUBJECTS, type Subject } from './jobs.js';
import type { Row } from './measure.js';
import { compileNative } from './native.js';
import { type Peer, startChild } from './peer.js';
import { formatJson, formatReport, ratioOf, withLimits } from './report.js';
import { installRivals } from './rivals.js';
import { LONG, streamed } from './stream.js';

/** A busy machine gets so many more chances to show what it can do. */
const CHECK_AGAIN = 3;

/** What is measured, and by whom. */
type Wanted = (job: string, impl: string) => boolean;

/** The best round of every peer and job. */
class Best {
  readonly #rows = new Map<string, Row>();

  get rows(): Row[] {
    return [...this.#rows.values()];
  }

  add(row: Row): void {
    const key = `${row.job} ${row.impl}`;
    const before = this.#rows.get(key);
    const best = before !== undefined && before.usPerOp < row.usPerOp ? before : row;
    const peakMB = Math.max(before?.peakMB ?? 0, row.peakMB ?? 0); // of memory, the worst
    this.#rows.set(key, peakMB > 0 ? { ...best, peakMB } : best);
  }
}

/** All take turns in every round: a drift of the machine meets all alike. */
async function measureGroup(
  { jobs, rounds }: Group,
  peers: readonly Peer[],
  wanted: Wanted,
  best: Best,
): Promise<void> {
  const turns = jobs.flatMap((job) =>
    peers.filter(({ impl }) => wanted(job.name, impl)).map((peer) => ({ job, peer })),
  );
  if (turns.length === 0) return;
  console.error(`measuring ${[...new Set(turns.map(({ job }) => job.name))].join(', ')} …`);
  for (let round = 0; round < rounds; round++) {
    for (const { job, peer } of turns) {
      const row = await peer.measure(job);
      if (row !== null) best.add(row);
    }
  }
}

async function startPeers(
  folder: string,
  inputsFile: string,
  wanted: (impl: string) => boolean,
): Promise<Peer[]> {
  const peers = [await startChild('mailseal', inputsFile), ...compileNative(folder)];
  const rivals = ['bare', ...installRivals()].filter(wanted);
  for (const impl of rivals) peers.push(await startChild(impl, inputsFile));
  return peers;
}

interface Options {
  subjects: readonly Subject[];
  check: boolean;
  json: string | undefined;
}

function readOptions(): Options {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { json: { type: 'string' }, check: { type: 'boolean', default: false } },
  });
  const isSubject = (name: string): name is Subject => SUBJECTS.some((subject) => subject === name);
  if (!positionals.every(isSubject) || (values.check && positionals.length > 0)) {
    throw new Error(
      `usage: npm run bench -- [${SUBJECTS.join('|')}]... [--json FILE] | --check [--json FILE]`,
    );
  }
  const subjects = positionals.length === 0 ? SUBJECTS : positionals;
  return { subjects, check: values.check, json: values.json };
}

const { subjects, check, json } = readOptions();
const folder = mkdtempSync(join(tmpdir(), 'mailseal-bench-'));
const peers: Peer[] = [];
try {
  const wanted: Wanted = check ? isNeeded : () => true;
  const batches = subjects.includes('pfx') ? await makeBatches((job) => wanted(job, 'mailseal')) : [];
  const withLongMail = subjects.includes('mail') && wanted(streamed('sign', LONG), 'mailseal');
  const inputs = makeInputs(folder, batches, withLongMail);
  const inputsFile = join(folder, 'inputs.json');
  writeFileSync(inputsFile, JSON.stringify(inputs));
  const groups = jobGroups(inputs).filter(({ subject }) => subjects.includes(subject));
  const takesPart = (impl: string): boolean =>
    groups.some(({ jobs }) => jobs.some(({ name }) => wanted(name, impl)));
  peers.push(...(await startPeers(folder, inputsFile, takesPart)));
  const imports = IMPORT_JOBS.filter((job) => wanted(importName(job), 'mailseal'));
  if (subjects.includes('import') && imports.length > 0) {
    const files = await makeImportFolder(folder, Math.max(...imports.map(({ files }) => files)));
    if (files !== undefined) peers.push(importPeer(folder, files));
  }

  const best = new Best();
  for (const group of groups) await measureGroup(group, peers, wanted, best);
  const machine = `${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} threads\n`;
  if (check) {
    for (let again = 0; again < CHECK_AGAIN; again++) {
      const missed = missedFloors(best.rows).filter((floor) => ratioOf(best.rows, floor) !== undefined);
      if (missed.length === 0) break;
      console.error('once more what fell short …');
      for (const group of groups) {
        await measureGroup(group, peers, (job, impl) => isNeeded(job, impl, missed), best);
      }
    }
    console.log(`${machine}\n${formatCheck(best.rows)}`);
    if (missedFloors(best.rows).length + overMemory(best.rows).length > 0) process.exitCode = 1;
  } else {
    console.log(`${machine}\n${formatReport(withLimits(best.rows))}`);
  }
  if (json !== undefined) writeFileSync(json, formatJson(check ? best.rows : withLimits(best.rows)));
} finally {
  for (const peer of peers) peer.close();
  rmSync(folder, { recursive: true, force: true });
}
