/**
 * Where the steps of an import run: in a pool of worker threads, or in the caller's own. A thread that dies takes the call
 * down that it was busy with, and is replaced; one that can't start ends the import.
 * Used by the importer.
 */
import { fileURLToPath } from 'node:url';
import type { Piscina } from 'piscina';
import { MailsealError } from '../errors.js';
import { type Packed, pack, unpack } from './pack.js';
import { type Files, type Ran, runTask, type TaskName, type TaskSettings, Tasks } from './tasks.js';

/**
 * MiB of a thread's heap for new objects. What a file takes lives until its window is done: with less, much of that is
 * moved to the old generation, which costs a tenth of the time; with Node's default, each thread keeps tens of MiB of what
 * is dead.
 */
const YOUNG_MIB = 16;

// The same path from src/import/ (tests, benchmarks) and from dist/import/ (the package).
const WORKER = fileURLToPath(new URL('../../dist/import/thread.cjs', import.meta.url));

export interface Threads {
  /** Threads beside the caller's. */
  readonly count: number;
  /** Rejects with something else than a MailsealError if the thread died, or ran into a bug. */
  run<T extends TaskName>(task: T, files: Files<T>): Promise<Ran<T>>;
  /** Ends threads, busy ones too. */
  close(): Promise<void>;
}

/** No threads: a task runs when it is asked for. */
export function ownThread(settings: TaskSettings): Threads {
  const tasks = new Tasks(settings);
  return {
    count: 0,
    run: async (task, files) => runTask(tasks, task, files),
    close: async () => undefined,
  };
}

export class Pool implements Threads {
  readonly count: number;
  readonly #pool: Piscina;
  /** To reject calls that wait for a thread when none is left: they would wait forever. */
  readonly #waiting = new Set<(error: Error) => void>();
  #broken: MailsealError | undefined;

  static async start(count: number, settings: TaskSettings): Promise<Pool> {
    const { Piscina } = await import('piscina'); // which most users of the package never need
    const pool = new Piscina({
      filename: WORKER,
      minThreads: 1, // others are started when windows wait for one
      maxThreads: count,
      idleTimeout: Number.POSITIVE_INFINITY,
      workerData: settings,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB },
      recordTiming: false,
    });
    return new Pool(count, pool);
  }

  private constructor(count: number, pool: Piscina) {
    this.count = count;
    this.#pool = pool;
    let last: Error | undefined;
    this.#pool.on('error', (error: Error) => {
      last = error;
    });
    const check = () => {
      if (this.#pool.threads.length > 0) return;
      const message = `worker threads can't run: ${last?.message ?? 'they end at once'}`;
      this.#broken ??= new MailsealError('INTERNAL', message, { cause: last });
      for (const reject of this.#waiting) reject(this.#broken);
    };
    this.#pool.on('workerDestroy', () => setImmediate(check));
  }

  async run<T extends TaskName>(task: T, files: Files<T>): Promise<Ran<T>> {
    if (this.#broken !== undefined) throw this.#broken;
    const packed = pack(files);
    let waiting = (_: Error) => {};
    try {
      const result = await new Promise<Packed>((resolve, reject) => {
        waiting = reject;
        this.#waiting.add(reject);
        this.#pool.run(packed, { name: task, transferList: [packed.buffer] }).then(resolve, reject);
      });
      return unpack(result);
    } finally {
      this.#waiting.delete(waiting);
    }
  }

  close(): Promise<void> {
    return this.#pool.destroy();
  }
}
