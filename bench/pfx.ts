/** Opening PFX files, one or many: decode, check the MAC, decrypt, decode the key and the certificate. */
import { readFileSync } from 'node:fs';
import type { BatchInput } from './batches.js';
import { readPack } from './files/pack.js';
import { assertResult, type Implementation, type Jobs, type PfxCounts } from './implementation.js';
import type { Inputs } from './inputs.js';
import { rotate } from './lookup.js';
import type { BulkOperation, Operation } from './measure.js';

/** Files that are opened in turn by those who open one at a time. */
const IN_TURN = 16;

function assertOpened(counts: PfxCounts | undefined): void {
  assertResult(counts?.[0] === 1 && counts[1] === 1);
}

export function pfxJobs(implementation: Implementation, inputs: Inputs): Jobs {
  const jobs: Jobs = {};
  for (const { name, file } of inputs.pfx) {
    jobs[`pfx ${name}`] = async () => {
      const open = implementation.pfx?.(name, readFileSync(file));
      if (open !== undefined) assertOpened(await open());
      return open;
    };
  }
  for (const batch of inputs.batches) jobs[batch.job] = () => openMany(implementation, batch);
  return jobs;
}

async function openMany(
  { pfx, pfxBatch }: Implementation,
  { shape, pack, count, oneByOne }: BatchInput,
): Promise<Operation | BulkOperation | undefined> {
  const files = readPack(pack);
  if (pfxBatch !== undefined) {
    const run = pfxBatch(files);
    const opened = run();
    assertResult(opened.length === count);
    opened.forEach(assertOpened);
    return { run, files: count };
  }
  if (!oneByOne) return undefined;
  const operations: (() => Promise<PfxCounts> | PfxCounts)[] = [];
  for (const file of files.slice(0, IN_TURN)) {
    const open = pfx?.(shape, file);
    if (open === undefined) return undefined;
    assertOpened(await open());
    operations.push(open);
  }
  const next = rotate(operations);
  return () => next()();
}
