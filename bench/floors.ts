/**
 * What `npm run bench -- --check` lets no job fall below: how many times mailseal's time the other must take, at least.
 * About 70% of what was measured, so that a busy machine fails it rarely and a lost optimization always.
 */
import { importName, SOME_FILES } from './import.js';
import { IN_MEMORY, STREAMED, streamed } from './stream.js';
import type { Comparison } from './targets.js';

export interface Floor extends Comparison {
  atLeast: number;
}

export const FLOORS: readonly Floor[] = [
  { job: 'tape certificate', against: 'libcrypto', atLeast: 0.45 },
  { job: 'tape certificate', against: 'node-forge', atLeast: 10 },
  { job: 'tape CRL', against: 'libcrypto', atLeast: 0.2 },
  { job: 'tape BER', against: 'libcrypto', atLeast: 0.1 },
  { job: 'tape batch', against: 'libcrypto', atLeast: 0.5 },
  { job: 'certificate', against: 'libcrypto', atLeast: 8 },
  { job: 'pfx rc2-40', against: 'libcrypto', atLeast: 2.5 },
  { job: 'pfx 3des', against: 'libcrypto', atLeast: 2.5 },
  { job: 'pfx pbes2', against: 'libcrypto', atLeast: 1.05 },
  { job: 'pfx rc2-40', against: 'node-forge', atLeast: 18 },
  { job: 'pfx 3des', against: 'node-forge', atLeast: 15 },
  { job: 'pfx pbes2', against: 'node-forge', atLeast: 15 },
  { job: 'pfx pbes2', against: 'pkijs', atLeast: 4.5 },
  // A batch of 100 takes as long for a file as one of 1,000, and the machine leaves a short sample alone more often.
  { job: 'pfx batch rc2-40, 100 files', against: 'libcrypto', atLeast: 3.5 },
  { job: 'pfx batch 3des, 100 files', against: 'libcrypto', atLeast: 3.1 },
  { job: 'pfx batch pbes2, 100 files', against: 'libcrypto', atLeast: 1.4 },
  // A quiet machine gives 1.2 to 1.5: each thread's code is optimized anew, in 3,000 files for a third of all processor
  // time. On one whose other processor is taken, two workers are slower than one, so that no floor above that would hold.
  // This one tells of threads that stand in each other's way; that they work at the same time is a test (import-threads).
  {
    job: importName({ files: SOME_FILES, workers: 2 }),
    against: 'mailseal',
    againstJob: importName({ files: SOME_FILES, workers: 1 }),
    atLeast: 0.85,
  },
  { job: 'sign 10 KB', against: 'bare', againstJob: 'rsa-2048 private', atLeast: 0.55 },
  { job: 'verify 10 KB', against: 'libcrypto', atLeast: 2.3 },
  { job: 'decrypt 10 KB', against: 'bare', againstJob: 'rsa-2048 private', atLeast: 0.55 },
  { job: 'sign 10 MB', against: 'libcrypto', atLeast: 1.2 },
  { job: 'verify 10 MB', against: 'libcrypto', atLeast: 10 },
  { job: 'encrypt 10 MB', against: 'libcrypto', atLeast: 1.6 },
  { job: 'decrypt 10 MB', against: 'libcrypto', atLeast: 1.6 },
  // Both take ten milliseconds or so: a machine that is busy just then can halve one of them.
  ...STREAMED.map((verb) => ({
    job: streamed(verb, IN_MEMORY),
    against: 'mailseal',
    againstJob: `${verb} ${IN_MEMORY}`,
    atLeast: 0.4,
  })),
];
