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
/** N of scrypt: some ten milliseconds a file, so that there is something to be killed in. */
const COST = 1 << 12;
/** Kills before an import is left alone. */
const KILLS = 10;
/** Of these, kills that no machine is fast enough to escape. */
const CERTAIN_KILLS = 3;

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
    if (i % 16 === 3) put(`${number}-wrong`, countedPfx(number, issue(i), 'another', COST));
    else if (i % 16 === 5) put(`${number}-broken`, countedPfx(number, issue(i), PASSWORD).subarray(0, 300));
    else if (i % 16 === 7 || i % 16 === 12) {
      // Everybody claims one address: the first has it, and those of its issuer.
      const claim = issueCertificate({
        subject: `Claim ${i}`,
        emails: ['boss@example.org', `own${i}@example.org`],
        issuer: i % 32 < 16 ? ca : other,
      });
      put(`${number}-claim`, countedPfx(number, claim, PASSWORD, COST, i % 64 === 39 ? [ca, other] : []));
    } else if (i % 16 === 9) put(`${number}-again`, (files.at(-1) as LoggedFile).content);
    else if (i % 16 === 14) put(`${number}-other-password`, (files[4] as LoggedFile).content, 'wrong');
    else if (i % 16 === 15) {
      const issued = issueCertificate({ subject: `U${i}`, emails, issuer });
      put(`${number}-user`, countedPfx(number, issued, PASSWORD, COST), PASSWORD, 'shared@example.org');
    } else put(number, countedPfx(number, issue(i), PASSWORD, COST, i % 8 === 0 ? [ca] : []));
  }
  writeFileSync(join(folder, 'files.csv'), csv);
  writeFileSync(join(folder, 'seal.key'), toHex(SEAL_KEY));

  function issue(i: number) {
    return issueCertificate({ subject: `User ${i}`, emails: [`user${i}@example.org`], issuer: ca });
  }
});

/** From 0 to 1, the same each time (Park and Miller). */
function randomness(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

interface Run {
  killed: boolean;
  /** The report of a run that came to its end. */
  report?: ImportReport;
  /** Salts that it derived. */
  derived: string[];
}

/** @param kill when to: after so many derivations and then so many milliseconds; never, if it is not given */
function run(workers: number, store: string, kill?: { derivations: number; ms: number }): Promise<Run> {
  const { module, log } = writeCounting(dirname(store));
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
      resolve({ killed, derived: derived(log), ...(report && { report }) });
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
  let undisturbed: { report: ImportReport; dump: ReturnType<typeof dumpStore> };
  beforeAll(async () => {
    const store = newStore('undisturbed');
    const { report } = await run(1, store);
    undisturbed = { report: report as ImportReport, dump: dumpStore(store, SEAL_KEY, files) };
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
      const moments: string[] = [];
      for (let attempt = 0; last?.report === undefined; attempt++) {
        const done = loggedNames(store, SEAL_KEY, files);
        // What was done once stays done, and is in the log: no kill takes it back.
        expect(done).toEqual(expect.arrayContaining([...finished]));
        for (const name of done) finished.add(name);
        const saltsDone = new Set(done.map((name) => toHex(saltOf(name.slice(0, 3)))));
        // Early, before anything is derived; in the midst; late.
        const derivations = Math.floor(random() * random() * FILES * 0.8);
        const kill = { derivations, ms: Math.floor(random() * 700) };
        last = await run(workers, store, attempt < KILLS ? kill : undefined);
        const twice = last.derived.filter((salt) => saltsDone.has(salt));
        expect(twice, 'files that were done are derived again').toEqual([]);
        // But for the one that is there with other passwords: they are tried while nobody knows if the first is right.
        const once = last.derived.filter((salt) => salt !== toHex(saltOf('004')));
        expect(new Set(once).size, 'files are derived twice in one run').toBe(once.length);
        moments.push(`${done.length}+${last.derived.length}`);
      }
      console.log(
        `${workers} workers, seed ${seed}: ${moments.length - 1} kills, done before + derived: ${moments.join(' ')}`,
      );
      expect(moments.length).toBeGreaterThan(CERTAIN_KILLS);
      expect(dumpStore(store, SEAL_KEY, files)).toEqual(undisturbed.dump);
      expect(comparable(last.report)).toEqual(comparable(undisturbed.report));
    },
    180_000,
  );
});
