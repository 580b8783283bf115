/**
 * The packs of PFX files, made once and kept in bench/.cache: thousands of derivations and keys take their time, and
 * what is made is the same each time. What this folder's sources say is part of a pack's name, so that no old one is used.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { ShapeName } from './pfx.js';

/** Which files of a shape: `count` from number `first` on. */
export interface PackRequest {
  shape: ShapeName;
  iterations: number;
  first: number;
  count: number;
}

const CACHE = new URL('../.cache/', import.meta.url);
const MAKER = fileURLToPath(new URL('make.ts', import.meta.url));
/** What decides what is in a pack; the tests' encoders that they use may grow without it. */
const SOURCES = ['keys.ts', 'make.ts', 'pack.ts', 'pfx.ts'];

/** The folder of the packs that these sources make. Those of older ones are removed. */
function openFolder(): URL {
  const digest = createHash('sha256');
  for (const source of SOURCES) digest.update(readFileSync(new URL(source, import.meta.url)));
  const version = digest.digest('hex').slice(0, 16);
  mkdirSync(new URL(version, CACHE), { recursive: true });
  for (const name of readdirSync(CACHE)) {
    if (name !== version) rmSync(new URL(name, CACHE), { recursive: true });
  }
  return new URL(`${version}/`, CACHE);
}

/**
 * Paths of the packs, in the order of the requests; undefined for one that can't be made, with the reason printed.
 */
export async function makePacks(
  requests: readonly PackRequest[],
  password: string,
): Promise<(string | undefined)[]> {
  const folder = openFolder();
  const pathOf = ({ shape, iterations, first, count }: PackRequest): string =>
    fileURLToPath(new URL(`${shape}-${iterations}-${first}-${count}.pack`, folder));
  const byPath = new Map(requests.map((request) => [pathOf(request), request]));
  const missing = [...byPath.values()].filter((request) => !existsSync(pathOf(request)));
  if (missing.length > 0) {
    const files = missing.reduce((sum, { count }) => sum + count, 0);
    console.error(`making ${files.toLocaleString('en-US')} PFX files (kept in bench/.cache) …`);
  }
  const makers = Array.from({ length: availableParallelism() }, async () => {
    for (let next = missing.shift(); next !== undefined; next = missing.shift()) {
      await makePack(next, password, pathOf(next));
    }
  });
  await Promise.all(makers);
  return requests.map((request) => (existsSync(pathOf(request)) ? pathOf(request) : undefined));
}

async function makePack(request: PackRequest, password: string, path: string): Promise<void> {
  const { shape, iterations, first, count } = request;
  const options = ['--import', import.meta.resolve('tsx/esm')];
  if (shape === 'rc2-40') options.unshift('--openssl-legacy-provider');
  const args = [...options, MAKER, shape, iterations, first, count, password, path];
  try {
    await promisify(execFile)(process.execPath, args.map(String));
  } catch (error) {
    console.error(`without ${shape} files: ${(error as { stderr?: string }).stderr || error}`);
  }
}
