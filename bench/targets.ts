/** The targets that the project has set itself, as the report prints them. floors.ts has what a check insists on. */
import { COUNTS, ITERATIONS } from './batches.js';
import { importName, MANY_FILES, SOME_FILES } from './import.js';
import { ENCRYPT_TO_MANY, toMany, withGcm } from './mail.js';
import { IN_MEMORY, LONG, STREAMED, streamed } from './stream.js';

/** A job of mailseal beside one of somebody else. */
export interface Comparison {
  job: string;
  against: string;
  /** Another job's row is the measure, where it is not the same job. */
  againstJob?: string;
}

export interface Target extends Comparison {
  /** How many times faster than the other it must be, at least. */
  faster?: number;
  /** How many times the other's time it may take, at most. */
  within?: number;
}

const LEGACY = ['rc2-40', '3des'];
const SHAPES = [...LEGACY, 'pbes2'];

export const TARGETS: readonly Target[] = [
  { job: 'tape certificate', against: 'libcrypto', within: 4 },
  { job: 'tape batch', against: 'libcrypto', within: 2.5 },
  { job: 'tape certificate', against: 'asn1js', faster: 150 },
  { job: 'tape certificate', against: 'node-forge', faster: 5 },
  ...LEGACY.map((shape) => ({ job: `pfx ${shape}`, against: 'libcrypto', faster: 4 })),
  { job: 'pfx pbes2', against: 'libcrypto', faster: 2.2 },
  ...LEGACY.map((shape) => ({ job: `pfx batch ${shape}`, against: 'libcrypto', faster: 4.5 })),
  { job: 'pfx batch pbes2', against: 'libcrypto', faster: 2.5 },
  ...['pfx', 'pfx batch'].flatMap((verb) => [
    ...SHAPES.map((shape) => ({ job: `${verb} ${shape}`, against: 'node-forge', faster: 40 })),
    { job: `${verb} pbes2`, against: 'pkijs', faster: 20 },
  ]),
  ...SHAPES.flatMap((shape) => [...linearInFiles(shape), ...linearInIterations(shape)]),
  ...[SOME_FILES, MANY_FILES].map((files) => ({
    job: importName({ files, workers: 2 }),
    against: 'mailseal',
    againstJob: importName({ files, workers: 1 }),
    faster: 1.8,
  })),
  { job: 'verify 10 KB', against: 'libcrypto', faster: 6 },
  ...['sign', 'decrypt'].map((verb) => ({
    job: `${verb} 10 KB`,
    against: 'bare',
    againstJob: 'rsa-2048 private',
    within: 1.1,
  })),
  { job: toMany('10 KB'), against: 'bare', againstJob: ENCRYPT_TO_MANY, within: 1.3 },
  ...['sign', 'encrypt', 'decrypt'].map((verb) => ({
    job: `${verb} 10 MB`,
    against: 'libcrypto',
    faster: 4,
  })),
  ...(['encrypt', 'decrypt'] as const).map((verb) => ({
    job: withGcm(verb, '10 MB'),
    against: 'libcrypto',
    faster: 4,
  })),
  { job: 'verify 10 MB', against: 'libcrypto', faster: 15 },
  ...[IN_MEMORY, LONG].flatMap((size) =>
    STREAMED.map((verb) => ({
      job: streamed(verb, size),
      against: 'mailseal',
      againstJob: `${verb} ${size}`,
      faster: 0.7,
    })),
  ),
];

/** Linear: the time of a file stays the same. A tenth is left to the noise. */
function linearInFiles(shape: string): Target[] {
  const against = { against: 'mailseal', againstJob: `pfx batch ${shape}, ${COUNTS[0]} files` };
  return [
    ...COUNTS.slice(1).map((count) => ({
      ...against,
      job: `pfx batch ${shape}, ${count} files`,
      within: 1.1,
    })),
    { ...against, job: `pfx batch ${shape}`, within: 1.1 },
  ];
}

/** Linear: the time grows as the number of iterations, or less, since the rest of the work stays the same. */
function linearInIterations(shape: string): Target[] {
  const name = (iterations: number) => `pfx batch ${shape}, ${iterations.toLocaleString('en-US')} iterations`;
  const [fewest = 1, ...more] = ITERATIONS;
  return more.map((iterations) => ({
    job: name(iterations),
    against: 'mailseal',
    againstJob: name(fewest),
    within: Math.round(((1.1 * iterations) / fewest) * 10) / 10,
  }));
}
