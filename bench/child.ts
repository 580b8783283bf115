/**
 * The process of one implementation: `child.ts IMPL INPUTS.json`. Says `ready`. Reads the name of a job a line; measures it for one
 * round and answers with its row, or null if the implementation can't do the job. The first time that it is asked for a
 * job it prepares, checks and warms it up. peer.ts starts it.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { ImplementationModule, Jobs } from './implementation.js';
import type { Inputs } from './inputs.js';
import { type Batch, measureRound, type Row, warmUp } from './measure.js';

const [impl = '', inputsFile = ''] = process.argv.slice(2);
const inputs = JSON.parse(readFileSync(inputsFile, 'utf8')) as Inputs;

/** Imports nothing of the other implementations. */
async function load(): Promise<{ jobs: Jobs; version: string }> {
  if (impl === 'bare') {
    const { bareJobs, version } = await import('./bare.js');
    return { jobs: bareJobs(inputs), version };
  }
  const [module, { derJobs }, { pfxJobs }, { mailJobs }] = await Promise.all([
    import(impl === 'mailseal' ? './mailseal.js' : `./rivals/${impl}.js`) as Promise<ImplementationModule>,
    import('./der.js'),
    import('./pfx.js'),
    import('./mail.js'),
  ]);
  const implementation = await module.create(inputs);
  const jobs: Jobs = {
    ...derJobs(implementation, inputs),
    ...pfxJobs(implementation, inputs),
    ...mailJobs(implementation, inputs),
    lookup: async () => implementation.lookup?.(),
  };
  return { jobs, version: implementation.version };
}

const { jobs, version } = await load();
const batches = new Map<string, Batch | undefined>();

async function prepare(job: string): Promise<Batch | undefined> {
  try {
    const operation = await jobs[job]?.();
    return operation && (await warmUp(operation));
  } catch (cause) {
    throw new Error(`${impl} fails to do the job "${job}"`, { cause });
  }
}

console.log('ready');
for await (const job of createInterface({ input: process.stdin })) {
  if (!batches.has(job)) batches.set(job, await prepare(job));
  const batch = batches.get(job);
  const row: Row | null = batch ? { job, impl, usPerOp: await measureRound(batch), version } : null;
  console.log(JSON.stringify(row));
}
