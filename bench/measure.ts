/**
 * Timing, inside the process of an implementation. A sample is a batch of operations of at least {@link BATCH_MS};
 * a round's figure is the median of its samples. native/libcrypto.c does the same.
 */
import { Bench } from 'tinybench';

/** Time budget of one job in one round, unless {@link MIN_SAMPLES} take longer. */
export const ROUND_MS = 200;
/** Before the first round of a job: V8 and WebAssembly have optimized by then. */
const WARMUP_MS = 500;
const MIN_SAMPLES = 2;
/** Reading the clock and awaiting the sample cost about a microsecond: a thousandth of this. */
const BATCH_MS = 1;

export interface Row {
  job: string;
  impl: string;
  /** Microseconds an operation takes; of one on many files, for one of them. */
  usPerOp: number;
  version: string;
  /** Imports: peak of resident memory, and the part of the time that calls of the key store's writer took. */
  peakMB?: number;
  storeShare?: number;
}

/** One operation; a promise is awaited, as whoever calls it has to. */
export type Operation = () => unknown;

/** An operation on many files. */
export interface BulkOperation {
  run: Operation;
  files: number;
}

/** A warm operation with the number of times that makes a sample. */
export interface Batch {
  run: Operation;
  count: number;
  files: number;
  asynchronous: boolean;
}

/** A function that does the operations of one sample: synchronous ones in a plain loop. */
function sample({ run, count, asynchronous }: Batch): () => void | Promise<void> {
  if (asynchronous) {
    return async () => {
      for (let i = 0; i < count; i++) await run();
    };
  }
  return () => {
    for (let i = 0; i < count; i++) run();
  };
}

/** Runs the operation until it is warm, and doubles the batch whenever one comes out too short. */
export async function warmUp(operation: Operation | BulkOperation): Promise<Batch> {
  const { run, files } = typeof operation === 'function' ? { run: operation, files: 1 } : operation;
  const end = performance.now() + WARMUP_MS;
  const first = run();
  const batch: Batch = { run, count: 1, files, asynchronous: first instanceof Promise };
  await first;
  while (performance.now() < end) {
    const start = performance.now();
    await sample(batch)();
    if (performance.now() - start < BATCH_MS) batch.count *= 2;
  }
  return batch;
}

/** Microseconds an operation or a file: the median of one round. */
export async function measureRound(batch: Batch): Promise<number> {
  const bench = new Bench({ time: ROUND_MS, iterations: MIN_SAMPLES, warmup: false, throws: true });
  bench.add('', sample(batch), { async: batch.asynchronous });
  const [task] = await bench.run();
  const result = task?.result;
  if (result?.state !== 'completed') throw new Error(`a benchmark ended ${result?.state}`);
  return (result.latency.p50 * 1000) / (batch.count * batch.files);
}
