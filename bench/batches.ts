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

/** Files of a pack. */
const PACK = 1000;
/** Time must grow as these do: the number of files, and the iterations (of that many files). */
export const COUNTS = [100, 300];
export const ITERATIONS = [PFX_ITERATIONS, 10_000, 100_000];
const ITERATED = 8;

type Planned = Omit<BatchInput, 'pack'> & { iterations: number; first: number; made: number };

function plan(): Planned[] {
  const shapes: readonly ShapeName[] = ['rc2-40', '3des', 'pbes2'];
  const usual = { iterations: PFX_ITERATIONS, first: 0, made: PACK };
  return shapes.flatMap((shape): Planned[] => {
    const batch = { ...usual, job: `pfx batch ${shape}`, shape, count: PACK, oneByOne: true };
    if (shape === 'rc2-40') return [batch]; // as 3des to everyone
    return [
      batch,
      ...COUNTS.map((count) => ({
        ...batch,
        job: `pfx batch ${shape}, ${count} files`,
        count,
        oneByOne: false,
      })),
      ...ITERATIONS.map((iterations) => ({
        job: `pfx batch ${shape}, ${iterations.toLocaleString('en-US')} iterations`,
        shape,
        iterations,
        first: 0,
        made: ITERATED,
        count: ITERATED,
        oneByOne: false,
      })),
    ];
  });
}

/** @param wanted which jobs */
export async function makeBatches(wanted: (job: string) => boolean): Promise<BatchInput[]> {
  const planned = plan().filter(({ job }) => wanted(job));
  const packs = await makePacks(
    planned.map(({ shape, iterations, first, made }) => ({ shape, iterations, first, count: made })),
    PASSWORD,
  );
  return planned.flatMap(({ job, shape, count, oneByOne }, index) => {
    const pack = packs[index];
    return pack === undefined ? [] : [{ job, shape, pack, count, oneByOne }];
  });
}
