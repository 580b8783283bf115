/** The jobs on many PFX files of one shape, and their packs. Called by run.ts. */
import { makePacks } from './files/cache.js';
import type { ShapeName } from './files/pfx.js';
import { PASSWORD, PFX_ITERATIONS } from './inputs.js';

/** Each file has an RSA-2048 key and a certificate of its own. */
export interface BatchInput {
  job: string;
  /** The name of a PfxInput, whose shape the files have. */
  shape: ShapeName;
  /** files/pack.ts reads it. */
  pack: string;
  count: number;
  /** Whether those take part that open one file at a time: the time of a file is the same to them in every batch. */
  oneByOne: boolean;
}

/** Time must grow as these do: the number of files, and the iterations (of that many files). */
const FILES = 1000;
export const COUNTS = [100, 300];
export const ITERATIONS = [PFX_ITERATIONS, 10_000, 100_000];
const ITERATED = 8;

type Planned = Omit<BatchInput, 'pack'> & { iterations: number };

function plan(shape: ShapeName): Planned[] {
  const job = `pfx batch ${shape}`;
  const many = { shape, iterations: PFX_ITERATIONS, oneByOne: false };
  return [
    { ...many, job, count: FILES, oneByOne: true },
    ...COUNTS.map((count) => ({ ...many, job: `${job}, ${count} files`, count })),
    ...ITERATIONS.map((iterations) => ({
      ...many,
      job: `${job}, ${iterations.toLocaleString('en-US')} iterations`,
      iterations,
      count: ITERATED,
    })),
  ];
}

/** @param wanted which jobs */
export async function makeBatches(wanted: (job: string) => boolean): Promise<BatchInput[]> {
  const shapes: readonly ShapeName[] = ['rc2-40', '3des', 'pbes2'];
  const planned = shapes.flatMap(plan).filter(({ job }) => wanted(job));
  const packs = await makePacks(
    planned.map((batch) => ({ ...batch, first: 0 })),
    PASSWORD,
  );
  return planned.flatMap((batch, index) => {
    const pack = packs[index];
    return pack === undefined ? [] : [{ ...batch, pack }];
  });
}
