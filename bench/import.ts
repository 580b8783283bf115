/**
 * Importing PFX files into a key store with worker threads: time and memory, each time in a new process with a new store.
 * No other implementation has such a thing: it is measured against itself.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { makePacks } from './files/cache.js';
import { readPack } from './files/pack.js';
import { PASSWORD, PFX_ITERATIONS } from './inputs.js';
import type { Peer } from './peer.js';

export interface ImportJob {
  files: number;
  workers: number;
}

/** Of each shape in turn; a pack has so many of one. */
const SHAPES = ['rc2-40', '3des', 'pbes2'] as const;
const PACK = 1000;

const IMPORTER = fileURLToPath(new URL('importer.js', import.meta.url));

export const importName = ({ files, workers }: ImportJob): string =>
  `import ${files.toLocaleString('en-US')} files, ${workers} worker${workers === 1 ? '' : 's'}`;

/** Time over the workers, and memory over the files: it is to stay flat after the first. */
export const FIRST_FILES = 1000;
export const SOME_FILES = 3000;
export const MANY_FILES = 20_000;
export const IMPORT_JOBS: readonly ImportJob[] = [
  { files: FIRST_FILES, workers: 2 },
  ...[SOME_FILES, MANY_FILES].flatMap((files) => [1, 2].map((workers) => ({ files, workers }))),
];

/** Writes them into a folder; gives its path, undefined if some can't be made. */
export async function makeImportFolder(folder: string, files: number): Promise<string | undefined> {
  const perShape = Math.ceil(files / SHAPES.length);
  const requests = SHAPES.flatMap((shape) =>
    Array.from({ length: Math.ceil(perShape / PACK) }, (_, part) => {
      return { shape, iterations: PFX_ITERATIONS, first: part * PACK, count: PACK };
    }),
  );
  const packs = await makePacks(requests, PASSWORD);
  const target = join(folder, 'import');
  mkdirSync(target);
  for (const [index, pack] of packs.entries()) {
    if (pack === undefined) return undefined;
    const { shape, first } = requests[index] as (typeof requests)[number];
    for (const [i, file] of readPack(pack).entries()) {
      const number = (first + i) * SHAPES.length + SHAPES.indexOf(shape);
      if (number < files) writeFileSync(join(target, `${String(number).padStart(6, '0')}.pfx`), file);
    }
  }
  return target;
}

/** What importer.js prints. */
interface Imported {
  imported: number;
  ms: number;
  storeMs: number;
  peakMB: number;
}

export function importPeer(folder: string, files: string): Peer {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return {
    impl: 'mailseal',
    async measure({ name, imports }) {
      if (imports === undefined) return null;
      const store = join(folder, 'import.db');
      const args = [IMPORTER, files, imports.files, imports.workers, PASSWORD, store].map(String);
      try {
        const { stdout } = await promisify(execFile)(process.execPath, args);
        const { imported, ms, storeMs, peakMB } = JSON.parse(stdout) as Imported;
        if (imported !== imports.files) throw new Error(`only ${imported} files were imported`);
        const usPerOp = (ms * 1000) / imported;
        return { job: name, impl: 'mailseal', usPerOp, version, peakMB, storeShare: storeMs / ms };
      } finally {
        for (const suffix of ['', '-wal', '-shm']) rmSync(store + suffix, { force: true });
      }
    },
    close() {},
  };
}
