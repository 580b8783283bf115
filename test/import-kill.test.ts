/**
 * The command line killed at random moments and started again, until it comes to its end: the key store is that of an
 * import that was left alone, and no file that was done is opened twice.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { toHex } from '../src/bytes.js';
import type { ImportReport } from '../src/import.js';
import { MAIN } from './helpers/cli.js';
import {
  countedPfx,
  derived,
  dumpStore,
  type LoggedFile,
  loggedNames,
  saltOf,
  writeCounting,
} from './helpers/import-files.js';
import { temporaryFolder } from './helpers/peers.js';
import { issueCertificate } from './helpers/pki.js';

const SEAL_KEY = new Uint8Array(32).fill(5);
const PASSWORD = 'correct horse';
const FILES = 160;
/** What a derivation takes on any machine: an import writes every half second, and is to be killed between writes. */
const DERIVATION_MS = 20;
/** Kills before an import is left alone. */
const KILLS = 10;

const folder = temporaryFolder();
const files: LoggedFile[] = [];
let csv = '';

beforeAll(() => {
  mkdirSync(join(folder, 'pfx'));
  const ca = issueCertificate({ subject: 'CA', ca: true });
  const other = issueCertificate({ subject: 'Other CA', ca: true });
  const put = (name: string, content: Uint8Array, password = PASSWORD, user?: string) => {
    writeFileSync(join(folder, 'pfx', name), content);
    files.push({ name, content, ...(user !== undefined && { user }) });
    csv += `pfx/${name},${password},${user ?? ''}\n`;
  };
  for (let i = 0; i < FILES; i++) {
    const number = String(i).padStart(3, '0');
    const [emails, issuer] = [[`user${i}@example.org`], ca];
    if (i % 16 === 3) put(`${number}-wrong`, countedPfx(number, issue(i), 'another'));
    else if (i % 16 === 5) put(`${number}-broken`, countedPfx(number, issue(i), PASSWORD).subarray(0, 300));
    else if (i % 16 === 7 || i % 16 === 12) {
      // Everybody claims one address: the first has it, and those of its issuer.
      const claim = issueCertificate({
        subject: `Claim ${i}`,
        emails: ['boss@example.org', `own${i}@example.org`],
        issuer: i % 32 < 16 ? ca : other,
      });
      put(`${number}-claim`, countedPfx(number, claim, PASSWORD, 2, i % 64 === 39 ? [ca, other] : []));
    } else if (i % 16 === 9) put(`${number}-again`, (files.at(-1) as LoggedFile).content);
    else if (i % 16 === 14) put(`${number}-other-password`, (files[4] as LoggedFile).content, 'wrong');
    else if (i % 16 === 15) {
      const issued = issueCertificate({ subject: `U${i}`, emails, issuer });
      put(`${number}-user`, countedPfx(number, issued, PASSWORD), PASSWORD, 'shared@example.org');
    } else put(number, countedPfx(number, issue(i), PASSWORD, 2, i % 8 === 0 ? [ca] : []));
  }
  writeFileSync(join(folder, 'files.csv'), csv);
  writeFileSync(join(folder, 'seal.key'), toHex(SEAL_KEY));

  function issue(i: number) {
    return issueCertificate({ subject: `User ${i}`, emails: [`user${i}@example.org`], issuer: ca });
  }
});

/** The salt is of the first file that has the same content. */
function saltOfFile(name: string): string {
  const content = files.find((file) => file.name === name)?.content;
  const first = files.find((file) => file.content === content) as LoggedFile;
  return toHex(saltOf(first.name.slice(0, 3)));
}

/** From 0 to 1, the same each time (Park and Miller). */
function randomness(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

interface Run {
  /** Of a run that came to its end: it was not killed. */
  report?: ImportReport;
  /** Salts that it derived. */
  derived: string[];
}

interface Kill {
  /** After so many derivations were begun, and then so many milliseconds. */
  derivations: number;
  ms: number;
  /** The run waits to be killed when it has begun so many, so that it can't end before. */
  last: number;
}

/** @param kill never, if it is not given */
function run(workers: number, store: string, kill?: Kill): Promise<Run> {
  const { module, log } = writeCounting(dirname(store), DERIVATION_MS, kill?.last);
  const arguments_ = ['--import', module, MAIN, 'import', '--passwords', 'files.csv', '--json'];
  const child = spawn(
    process.execPath,
    [...arguments_, '--store', `sqlite:${store}`, '--workers', `${workers}`],
    {
      cwd: folder,
      env: { PATH: process.env.PATH, MAILSEAL_SEAL_KEY: 'seal.key' },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let output = '';
  child.stdout.on('data', (part: Buffer) => {
    output += part.toString();
  });
  const watch = setInterval(() => {
    if (kill === undefined || derived(log).length < kill.derivations) return;
    clearInterval(watch);
    setTimeout(() => child.kill('SIGKILL'), kill.ms);
  }, 2);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => {
      clearInterval(watch);
      const killed = signal === 'SIGKILL';
      if (!killed && status !== 1) reject(new Error(`exit status ${status}: ${output}`)); // some files fail
      const report = killed ? undefined : (JSON.parse(output) as ImportReport);
      resolve({ derived: derived(log), ...(report && { report }) });
    });
  });
}

const newStore = (name: string): string => {
  mkdirSync(join(folder, name));
  return join(folder, name, 'keys.db');
};

/** What of a report does not hang on whether a file was done by this run or one before it. */
const comparable = ({ rows }: ImportReport) =>
  rows.map((row) => ({ ...row, outcome: row.outcome === 'imported' ? 'present' : row.outcome }));

describe('an import that is killed and started again', () => {
  let undisturbed: { report: ImportReport; salts: Set<string>; dump: ReturnType<typeof dumpStore> };
  beforeAll(async () => {
    const store = newStore('undisturbed');
    const { report, derived } = await run(1, store);
    const dump = dumpStore(store, SEAL_KEY, files);
    undisturbed = { report: report as ImportReport, salts: new Set(derived), dump };
  }, 120_000);

  it('is compared with one that has every kind of outcome', () => {
    const { totals, rows } = undisturbed.report;
    expect(totals).toMatchObject({ files: FILES, imported: FILES - 40, present: 20, failed: 20 });
    const skipped = rows.flatMap((row) => row.skipped.map(({ code }) => code));
    expect(skipped.filter((code) => code === 'NOT_TRUSTED').length).toBeGreaterThan(5);
    expect(undisturbed.dump.imports?.length).toBeGreaterThan(80);
  });

  it.each([
    [1, 20_241],
    [2, 20_242],
    [0, 20_244],
  ])(
    'comes to the same store with %d workers, seed %d',
    async (workers, seed) => {
      const random = randomness(seed);
      const store = newStore(`killed-${seed}`);
      const finished = new Set<string>();
      let last: Run | undefined;
      const runs: { done: number; derived: number }[] = [];
      while (last?.report === undefined) {
        const done = loggedNames(store, SEAL_KEY, files);
        // What was done once stays done, and is in the log: no kill takes it back.
        expect(done).toEqual(expect.arrayContaining([...finished]));
        for (const name of done) finished.add(name);
        const saltsDone = new Set(done.map(saltOfFile));
        const left = [...undisturbed.salts].filter((salt) => !saltsDone.has(salt)).length;
        // Before anything is derived, anywhere, and once at the last derivation, when something is written for certain.
        const share = { 0: 0, [KILLS - 3]: 1 }[runs.length] ?? 0.7 * random();
        const kill = { derivations: Math.floor(share * left), ms: Math.floor(random() * 300), last: left };
        last = await run(workers, store, runs.length < KILLS ? kill : undefined);
        const twice = last.derived.filter((salt) => saltsDone.has(salt));
        expect(twice, 'files that were done are derived again').toEqual([]);
        // But for the one that is there with other passwords: they are tried while nobody knows if the first is right.
        const once = last.derived.filter((salt) => salt !== toHex(saltOf('004')));
        expect(new Set(once).size, 'files are derived twice in one run').toBe(once.length);
        runs.push({ done: done.length, derived: last.derived.length });
      }
      const moments = runs.map(({ done, derived }) => `${done}+${derived}`).join(' ');
      console.log(`${workers} workers, seed ${seed}: done before + derived: ${moments}`);
      expect(runs, moments).toHaveLength(KILLS + 1);
      expect(runs.at(-1)?.done).toBeGreaterThan(0);
      expect(dumpStore(store, SEAL_KEY, files)).toEqual(undisturbed.dump);
      expect(comparable(last.report)).toEqual(comparable(undisturbed.report));
    },
    180_000,
  );
});
