/** importPfx with worker threads: the same as without, and what happens when something goes wrong in the middle. */
import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { toHex } from '../src/bytes.js';
import {
  type ImportInput,
  type ImportOptions,
  type ImportReport,
  type ImportRow,
  importPfx,
} from '../src/import.js';
import { type KeyStore, openKeyStore } from '../src/keystore/store.js';
import { readPfx } from '../src/pfx/read.js';
import type { Certificate } from '../src/x509/certificate.js';
import { MAIN } from './helpers/cli.js';
import { countedPfx, dumpStore, saltOf } from './helpers/import-files.js';
import { temporaryFolder } from './helpers/peers.js';
import { issueCertificate } from './helpers/pki.js';
import { pfxRows, readVector, vectorPath } from './helpers/vectors.js';

const SEAL_KEY = new Uint8Array(32).fill(3);
const folder = temporaryFolder();
let stores = 0;
const newPath = () => join(folder, `${++stores}.db`);

/** Imports into a store of its own, gives the report and all that the store holds then. */
async function imported(inputs: Iterable<ImportInput>, options: ImportOptions) {
  const path = newPath();
  const store = await openKeyStore(`sqlite:${path}`, { sealKey: SEAL_KEY });
  const report = await importPfx(store, inputs, options);
  await store.close();
  return { report, dump: dumpStore(path, SEAL_KEY) };
}

const ca = issueCertificate({ subject: 'CA', ca: true });
const otherCa = issueCertificate({ subject: 'Other CA', ca: true });

/** A file of a user, in memory. */
function file(
  i: number,
  more: { emails?: string[]; issuer?: typeof ca; password?: string; authorities?: (typeof ca)[] } = {},
): ImportInput & { bytes: Uint8Array } {
  const { emails = [`user${i}@example.org`], issuer = ca, password = 'x', authorities } = more;
  const issued = issueCertificate({ subject: `User ${i}`, emails, issuer });
  return { name: `file ${i}`, bytes: countedPfx(`${i}`, issued, 'x', 2, authorities), password };
}

const many = (count: number) => Array.from({ length: count }, (_, i) => file(i));

describe('any number of threads', () => {
  it('gives the same report and the same store', async () => {
    const inputs: ImportInput[] = [];
    for (let i = 0; i < 600; i++) {
      const kind = i % 12;
      if (kind === 3) inputs.push(file(i, { password: 'wrong' }));
      else if (kind === 5)
        inputs.push({ name: `broken ${i}`, bytes: file(i).bytes.subarray(0, 300), password: 'x' });
      else if (kind === 7) {
        // An address that many claim, of two issuers, whose certificates come along now and then.
        const issuer = i % 24 < 12 ? ca : otherCa;
        const authorities = i % 60 === 19 ? [ca, otherCa] : [];
        inputs.push(file(i, { emails: ['boss@example.org', `own${i}@example.org`], issuer, authorities }));
      } else if (kind === 9) inputs.push({ ...(inputs.at(-3) as ImportInput), name: `again ${i}` });
      else if (kind === 10)
        inputs.push({ ...(inputs[Math.floor(i / 3)] as ImportInput), name: `long after ${i}` });
      else if (kind === 11) inputs.push({ name: `nowhere ${i}`, path: join(folder, 'nowhere') });
      else inputs.push(file(i));
    }
    const [alone, ...others] = await Promise.all(
      [0, 1, 2, 3].map((workers) => imported(inputs, { workers })),
    );
    for (const other of others) {
      expect(other.report).toEqual(alone?.report);
      expect(other.dump).toEqual(alone?.dump);
    }
    expect(alone?.report.rows.map(({ name }) => name)).toEqual(inputs.map(({ name }) => name));
    const skipped = alone?.report.rows.flatMap((row) => row.skipped.map(({ code }) => code));
    expect(skipped?.filter((code) => code === 'NOT_TRUSTED').length).toBeGreaterThan(20);
    expect(alone?.report.totals).toMatchObject({ files: 600, imported: 350, present: expect.any(Number) });
  }, 120_000);

  it('reads every PFX of vectors/ as readPfx does, and keeps what that gives', async () => {
    const rows = pfxRows();
    const pfx = { allowNoMac: true };
    const inputs = rows.map(({ source, path, password }) => ({
      name: `${source}/${path}`,
      path: vectorPath(source, path),
      password: password ?? 'nobody knows',
      user: `${toHex(Buffer.from(`${source}/${path}`)).slice(-60)}@vectors.example`,
    }));
    const single = rows.map(({ source, path, password }) => {
      try {
        return readPfx(readVector(source, path), password ?? 'nobody knows', pfx);
      } catch (error) {
        return error as { code: string; message: string };
      }
    });
    for (const workers of [0, 2]) {
      const path = newPath();
      const store = await openKeyStore(`sqlite:${path}`, { sealKey: SEAL_KEY });
      const { rows: reported } = await importPfx(store, inputs, { workers, pfx });
      expect(reported).toHaveLength(rows.length);
      let compared = 0;
      /** Of a key that is written in two ways the first stays. */
      const first = new Map<string, string>();
      for (const [i, row] of reported.entries()) {
        const read = single[i] as (typeof single)[number];
        if ('code' in read) {
          expect(row, row.name).toMatchObject({
            outcome: 'failed',
            error: { code: read.code, message: read.message },
          });
          continue;
        }
        const pairs = read.entries.filter(({ certificate }) => certificate !== undefined);
        expect(row.keys + row.skipped.length >= pairs.length, row.name).toBe(true);
        if (row.outcome === 'failed') continue;
        const kept = new Map(
          (await store.entries(inputs[i]?.user as string)).map(({ certificate, privateKey }) => [
            toHex(certificate.fingerprint),
            toHex(privateKey.toPkcs8()),
          ]),
        );
        for (const { certificate, privateKey } of pairs) {
          const id = toHex((certificate as Certificate).fingerprint);
          const pkcs8 = toHex(privateKey.toPkcs8());
          const key = toHex(privateKey.publicKey.der);
          if (!first.has(key)) first.set(key, pkcs8);
          expect(kept.get(id), row.name).toBe(first.get(key));
          compared++;
        }
      }
      expect(compared).toBeGreaterThan(500);
      await store.close();
    }
  }, 120_000);
});

describe('what is taken from the input', () => {
  it('is little ahead of what is written', async () => {
    const store = await openKeyStore('sqlite::memory:', { sealKey: SEAL_KEY });
    const inputs = many(60);
    let taken = 0;
    let done = 0;
    let ahead = 0;
    function* endless(): Generator<ImportInput> {
      for (; taken < 6000; taken++) {
        ahead = Math.max(ahead, taken - done);
        yield { ...(inputs[taken % 60] as ImportInput), name: `${taken}` };
      }
    }
    for (const workers of [0, 2]) {
      taken = done = ahead = 0;
      await importPfx(store, endless(), { workers, onProgress: (_, count) => (done = count) });
      expect(done).toBe(6000);
      expect(ahead).toBeLessThan(1024 + 7 * 128 + 1);
    }
    await store.close();
  }, 60_000);

  it('is closed when it fails itself, and its error comes out; what was reported is written', async () => {
    for (const workers of [0, 2]) {
      const store = await openKeyStore('sqlite::memory:', { sealKey: SEAL_KEY });
      let closed = false;
      async function* failing(): AsyncGenerator<ImportInput> {
        try {
          yield* many(40);
          throw new Error('the disk is gone');
        } finally {
          closed = true;
        }
      }
      const rows: ImportRow[] = [];
      const importing = importPfx(store, failing(), { workers, onProgress: (row) => rows.push(row) });
      await expect(importing).rejects.toThrow('the disk is gone');
      expect(closed).toBe(true);
      expect((await store.users()).length).toBeGreaterThanOrEqual(rows.length);
      await store.close();
    }
  });

  it.each([
    ['a path that is none', { name: 'x', bytes: 'text' }, TypeError],
    ['a purpose that is none', { name: 'x', path: 'x', purpose: 'both' }, RangeError],
  ])('may not be %s', async (_, input, type) => {
    const store = await openKeyStore('sqlite::memory:', { sealKey: SEAL_KEY });
    await expect(importPfx(store, [input as unknown as ImportInput])).rejects.toThrow(type);
    await store.close();
  });

  it.each([-1, 1.5, 257, '2'])('takes no %s threads', async (workers) => {
    const store = await openKeyStore('sqlite::memory:', { sealKey: SEAL_KEY });
    const options = { workers: workers as number };
    await expect(importPfx(store, [], options)).rejects.toThrow(RangeError);
    await expect(importPfx(store, [], { pfx: { maxCost: 0 } })).rejects.toThrow(RangeError);
    await store.close();
  });
});

/** Threads of this process, as long as they are there. */
const threadCount = () => readFileSync('/proc/self/status', 'utf8').match(/^Threads:\s*(\d+)/m)?.[1];

it('threads are started for windows only', async () => {
  const store = await openKeyStore('sqlite::memory:', { sealKey: SEAL_KEY });
  const before = Number(threadCount());
  let most = 0;
  const onProgress = () => {
    most = Math.max(most, Number(threadCount()) - before);
  };
  await importPfx(store, many(12), { workers: 64, onProgress });
  expect(most).toBeLessThan(16);
  await store.close();
});

describe('an import that is given up', () => {
  it('by onProgress leaves no thread, and what was reported; it can be taken up', async () => {
    for (const workers of [0, 2]) {
      const path = newPath();
      const store = await openKeyStore(`sqlite:${path}`, { sealKey: SEAL_KEY });
      const inputs = many(900);
      const before = threadCount();
      const seen: string[] = [];
      const importing = importPfx(store, inputs, {
        workers,
        onProgress: ({ name }) => {
          seen.push(name);
          if (seen.length === 20) throw new Error('enough');
        },
      });
      await expect(importing).rejects.toThrow('enough');
      expect(seen).toHaveLength(20);
      expect(threadCount()).toBe(before);
      const written = (await store.users()).length;
      expect(written).toBeGreaterThanOrEqual(20);
      expect(written).toBeLessThanOrEqual(900); // all, where a machine opens them before the first write is due
      const { totals } = await importPfx(store, inputs, { workers });
      expect(totals).toMatchObject({ imported: 900 - written, present: written, failed: 0 });
      await store.close();
      expect(dumpStore(path, SEAL_KEY)).toEqual((await imported(inputs, { workers: 0 })).dump);
    }
  }, 60_000);

  it('by a store that can’t be written leaves no thread and no key in the clear', async () => {
    const store = await openKeyStore('sqlite::memory:', { sealKey: SEAL_KEY });
    const before = threadCount();
    const failing: KeyStore = Object.create(store, {
      bulk: {
        value: {
          sealerState: store.bulk.sealerState,
          logged: (files: Uint8Array[]) => store.bulk.logged(files),
          writeFiles: () => Promise.reject(new Error('disk full')),
        },
      },
    });
    await expect(importPfx(failing, many(300), { workers: 2 })).rejects.toThrow('disk full');
    expect(threadCount()).toBe(before);
    expect(await store.users()).toEqual([]);
    await store.close();
  });
});

const pfxFolder = join(folder, 'thirty');
mkdirSync(pfxFolder);
for (let i = 0; i < 30; i++)
  writeFileSync(join(pfxFolder, `${String(i).padStart(2, '0')}.p12`), file(i).bytes);

/** Runs the command line with a module that is loaded in every thread. */
function run(
  name: string,
  module: string,
  workers: number,
): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const hook = join(folder, `${name}.mjs`);
  writeFileSync(hook, module);
  const options = ['--store', `sqlite:${join(folder, `${name}.db`)}`, '--workers', `${workers}`, '--json'];
  const child = spawn(
    process.execPath,
    ['--max-old-space-size=100', '--import', hook, MAIN, 'import', pfxFolder, ...options],
    {
      env: { PATH: process.env.PATH, MAILSEAL_SEAL_KEY: join(folder, 'seal.key'), MAILSEAL_PASSWORD: 'x' },
      timeout: 50_000,
    },
  );
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (part) => (stdout += part));
  child.stderr.on('data', (part) => (stderr += part));
  return new Promise((resolve) => child.on('close', (status) => resolve({ status, stdout, stderr })));
}
writeFileSync(join(folder, 'seal.key'), SEAL_KEY);
copyFileSync(join(pfxFolder, '00.p12'), join(folder, 'one.p12'));

it.each([2, 3])(
  '%d threads work at the same time',
  async (workers) => {
    const log = join(folder, `begun-${workers}.log`);
    writeFileSync(log, '');
    // Each waits with its first file until the others have begun one.
    const module = `
    import crypto from 'node:crypto';
    import { appendFileSync, statSync } from 'node:fs';
    import { syncBuiltinESMExports } from 'node:module';
    const { scryptSync } = crypto;
    const never = new Int32Array(new SharedArrayBuffer(4));
    let begun = false;
    crypto.scryptSync = (...all) => {
      if (!begun) appendFileSync(${JSON.stringify(log)}, '.');
      begun = true;
      while (statSync(${JSON.stringify(log)}).size < ${workers}) Atomics.wait(never, 0, 0, 5);
      return scryptSync(...all);
    };
    syncBuiltinESMExports();`;
    const { status, stdout } = await run(`begun-${workers}`, module, workers);
    expect(status).toBe(0);
    expect((JSON.parse(stdout) as ImportReport).totals).toMatchObject({ imported: 30 });
  },
  60_000,
);

describe('a thread that dies', () => {
  /** Does something in worker threads when a file is opened whose derivation has this salt. */
  const atSalt = (what: string, number: string) => `
    import crypto from 'node:crypto';
    import { createHash } from 'node:crypto';
    import { syncBuiltinESMExports } from 'node:module';
    import { isMainThread } from 'node:worker_threads';
    const fatal = createHash('sha256').update('${number}').digest().subarray(0, 16).toString('hex');
    const { scryptSync } = crypto;
    crypto.scryptSync = (password, salt, ...more) => {
      if (!isMainThread && Buffer.from(salt).toString('hex') === fatal) { ${what} }
      return scryptSync(password, salt, ...more);
    };
    syncBuiltinESMExports();`;

  it.each([
    ['exit', 'process.exit(3);', /exited with code: 3/],
    ['memory', 'const all = []; for (;;) all.push(new Array(1e5).fill(0.5));', /memory/],
  ])(
    'by its %s fails the file that did it, and no other',
    async (name, what, message) => {
      const { status, stdout } = await run(name, atSalt(what, '13'), 2);
      const report = JSON.parse(stdout) as { rows: ImportRow[]; totals: object };
      expect(report.totals).toMatchObject({ files: 30, imported: 29, failed: 1 });
      expect(report.rows[13]?.error).toMatchObject({
        code: 'INTERNAL',
        message: expect.stringMatching(message),
      });
      expect(status).toBe(1);
    },
    60_000,
  );

  it('for many files fails those, and no other', async () => {
    const module = atSalt('process.exit(3);', '').replace('=== fatal', '< "a"');
    const { stdout } = await run('many', module, 2);
    const { rows } = JSON.parse(stdout) as { rows: ImportRow[] };
    const expected = Array.from({ length: 30 }, (_, i) =>
      toHex(saltOf(`${i}`)) < 'a' ? 'failed' : 'imported',
    );
    expect(rows.map(({ outcome }) => outcome)).toEqual(expected);
    expect(expected.filter((outcome) => outcome === 'failed').length).toBeGreaterThan(10);
  }, 60_000);

  it('whatever file it is given ends the import with one line', async () => {
    const { status, stdout, stderr } = await run(
      'always',
      atSalt('', '').replace('=== fatal', '!== fatal').replace('{  }', '{ process.exit(3); }'),
      2,
    );
    expect(stderr).toMatch(
      /^mailseal: INTERNAL: \d+ calls in a row failed with their thread, the last one so: [^\n]*\n$/,
    );
    expect(stdout).toBe('');
    expect(status).toBe(1);
  }, 60_000);

  it('before it can start ends the import with one line, and does not hang', async () => {
    const { status, stderr } = await run(
      'start',
      `import { isMainThread } from 'node:worker_threads';
      if (!isMainThread) process.exit(4);`,
      2,
    );
    expect(stderr).toMatch(/^mailseal: INTERNAL: [^\n]*\n$/);
    expect(status).toBe(1);
  }, 60_000);
});
