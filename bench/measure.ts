/**
 * Timing. The cases of a group run one after the other, for several rounds, so that a drift of the machine meets
 * every implementation alike. A sample is a batch of operations of at least {@link BATCH_MS}; a round's figure is
 * the median of its samples, the reported one the best round. native/libcrypto.c does the same.
 */
import { Bench } from 'tinybench';

export const ROUNDS = 3;
/** Time budget of one case in one round, unless {@link MIN_SAMPLES} take longer. */
export const ROUND_MS = 150;
const WARMUP_MS = 150;
const MIN_SAMPLES = 2;
const BATCH_MS = 0.2;

export interface Row {
  job: string;
  impl: string;
  usPerOp: number;
  version: string;
}

/** One implementation doing one job. */
export interface Case {
  job: string;
  impl: string;
  version: string;
  /** One operation; a promise is awaited. */
  run: () => unknown;
}

/** The same in another process, which times itself. */
export interface ProcessCase {
  job: string;
  impl: string;
  measure: () => Row;
}

/** What is measured together. */
export type Group = (Case | ProcessCase)[];

interface Batch {
  operations: () => unknown;
  count: number;
}

/** A function that does `count` operations. */
function batch(run: () => unknown, count: number, asynchronous: boolean): () => unknown {
  if (asynchronous) {
    return async () => {
      for (let i = 0; i < count; i++) await run();
    };
  }
  return () => {
    for (let i = 0; i < count; i++) run();
  };
}

/** How many operations make a batch of {@link BATCH_MS}, found by doubling. */
async function calibrate(run: () => unknown): Promise<Batch> {
  const first = run();
  const asynchronous = first instanceof Promise;
  await first;
  for (let count = 1; ; count *= 2) {
    const operations = batch(run, count, asynchronous);
    const start = performance.now();
    await operations();
    if (performance.now() - start >= BATCH_MS) return { operations, count };
  }
}

/** Microseconds an operation: the median of one round. */
async function measureRound({ operations, count }: Batch, warmup: boolean): Promise<number> {
  const bench = new Bench({
    time: ROUND_MS,
    iterations: MIN_SAMPLES,
    warmup,
    warmupTime: WARMUP_MS,
    warmupIterations: 1,
    throws: true,
  });
  bench.add('', operations);
  const [task] = await bench.run();
  const result = task?.result;
  if (result?.state !== 'completed') throw new Error(`a benchmark ended ${result?.state}`);
  return (result.latency.p50 * 1000) / count;
}

/** Measures a group; one row a case, in its order. */
export async function measureGroup(group: Group): Promise<Row[]> {
  const rows = new Map<Case | ProcessCase, Row>();
  const batches = new Map<Case, Batch>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const item of group) {
      let row: Row;
      if ('measure' in item) {
        row = item.measure();
      } else {
        const { job, impl, version } = item;
        const operations = batches.get(item) ?? (await calibrate(item.run));
        batches.set(item, operations);
        row = { job, impl, usPerOp: await measureRound(operations, round === 0), version };
      }
      const best = rows.get(item);
      if (best === undefined || row.usPerOp < best.usPerOp) rows.set(item, row);
    }
  }
  return [...rows.values()];
}
