/** The log of imports: what is opened again, and what is not. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ImportInput, type ImportReport, importPfx } from '../src/import.js';
import { type KeyStore, openKeyStore } from '../src/keystore/store.js';
import * as bulk from '../src/pfx/bulk.js';
import { Certificate } from '../src/x509/certificate.js';
import { countedPfx } from './helpers/import-files.js';
import { temporaryFolder } from './helpers/peers.js';
import { issueCertificate } from './helpers/pki.js';

const SEAL_KEY = new Uint8Array(32).fill(3);
const folder = temporaryFolder();
let files = 0;
let path: string;
let store: KeyStore;

vi.mock('../src/pfx/bulk.js', { spy: true });
const opened = () => vi.mocked(bulk.readPfxBatch).mock.calls.flatMap(([inputs]) => inputs).length;

const open = async () => {
  store = await openKeyStore(`sqlite:${path}`, { sealKey: SEAL_KEY });
};
beforeEach(async () => {
  path = join(folder, `${++files}.db`);
  await open();
  vi.clearAllMocks();
});
afterEach(() => store.close());

const ca = issueCertificate({ subject: 'CA', ca: true });
const file = (name: string, password = 'x', content = 'x'): ImportInput & { bytes: Uint8Array } => {
  const issued = issueCertificate({ subject: name, emails: [`${name}@x.org`], issuer: ca });
  return { name, bytes: countedPfx(name, issued, content), password };
};
const outcomes = ({ rows }: ImportReport) => rows.map(({ outcome }) => outcome);
/** Runs an import and says how many files it opened. */
const run = async (inputs: ImportInput[], options = {}) => {
  const before = opened();
  const report = await importPfx(store, inputs, { workers: 0, ...options });
  return { outcomes: outcomes(report), opened: opened() - before, report };
};
const rows = () => {
  const database = new Database(path, { readonly: true });
  const all = database.prepare('select * from imports').all() as {
    file: Buffer;
    password: Buffer | null;
    report: string;
  }[];
  database.close();
  return all;
};
/** An import that is stopped when all its files are written, before it comes to its end. */
const interrupted = async (inputs: ImportInput[]) => {
  const onProgress = (_: unknown, done: number) => {
    if (done === inputs.length) throw new Error('stopped');
  };
  await expect(importPfx(store, inputs, { workers: 0, onProgress })).rejects.toThrow('stopped');
};

describe('a file that went in', () => {
  it('is not opened again, and its row says the same', async () => {
    const inputs = [file('a'), file('b')];
    const first = await run(inputs);
    expect(first).toMatchObject({ outcomes: ['imported', 'imported'], opened: 2 });
    await store.close();
    await open();
    const again = await run([...inputs, { ...(inputs[0] as ImportInput), name: 'elsewhere' }]);
    expect(again).toMatchObject({ outcomes: ['present', 'present', 'present'], opened: 0 });
    expect(again.report.rows.slice(0, 2)).toEqual(
      first.report.rows.map((row) => ({ ...row, outcome: 'present' })),
    );
  });

  it('is not opened again whatever the password: it is there', async () => {
    const input = file('a');
    await run([input]);
    expect(await run([{ ...input, password: 'other' }])).toMatchObject({ outcomes: ['present'], opened: 0 });
  });

  it('is opened for another user, another purpose, and under other options', async () => {
    const input = file('a');
    await run([input]);
    expect(await run([{ ...input, user: 'b@x.org' }])).toMatchObject({ outcomes: ['imported'], opened: 1 });
    expect(await run([{ ...input, purpose: 'signing' }])).toMatchObject({ outcomes: ['present'], opened: 1 });
    expect(await run([input], { user: 'c@x.org' })).toMatchObject({ outcomes: ['imported'], opened: 1 });
    expect(await run([input], { pfx: { maxCost: 5 } })).toMatchObject({ outcomes: ['failed'], opened: 1 });
    expect(await run([input])).toMatchObject({ outcomes: ['present'], opened: 0 });
  });

  it('is opened again when something was removed from the store', async () => {
    const inputs = [file('a'), file('b')];
    await run(inputs);
    await store.remove({ user: 'a@x.org' });
    expect(rows()).toEqual([]);
    expect(await run(inputs)).toMatchObject({ outcomes: ['imported', 'present'], opened: 2 });
    const [stored] = await store.history('b@x.org');
    await store.remove({ certificate: stored?.certificate.fingerprint as Uint8Array });
    expect(await run(inputs)).toMatchObject({ outcomes: ['present', 'imported'], opened: 2 });
  });

  it('is opened once if it is there twice, wherever', async () => {
    const inputs = [file('a'), ...Array.from({ length: 200 }, (_, i) => file(`u${i}`))];
    const twice = [...inputs, ...inputs];
    expect((await run(twice)).opened).toBe(inputs.length);
  });
});

describe('a file that failed', () => {
  it('is tried again by the next import', async () => {
    const input = file('a', 'wrong');
    expect(await run([input])).toMatchObject({ outcomes: ['failed'], opened: 1 });
    expect(rows()).toEqual([]);
    expect(await run([input])).toMatchObject({ outcomes: ['failed'], opened: 1 });
  });

  it('is not tried again when an import is taken up, unless its password was changed', async () => {
    const good = file('a');
    const bad = { ...file('b'), password: ['wrong', 'worse'] };
    await interrupted([good, bad]);
    expect(rows()).toHaveLength(2);
    await interrupted([good, bad]);
    expect(opened()).toBe(1 + 2); // with each of its passwords, once
    const changed = await run([good, { ...bad, password: 'x' }]);
    expect(changed).toMatchObject({ outcomes: ['present', 'imported'], opened: 1 });
    expect(rows().map(({ password }) => password)).toEqual([null, null]);
  });

  it('gives the same row when an import is taken up', async () => {
    const inputs = [file('a', 'wrong'), { name: 'b', bytes: Uint8Array.of(0x30, 0x03, 0x02, 0x01, 0x09) }];
    const { report } = await run(inputs);
    await interrupted(inputs);
    expect((await run(inputs)).report).toEqual(report);
  });

  it('leaves nothing of its password, in the clear or as a hash that can be made without the sealing key', async () => {
    const bad = file('a', 'wrong');
    await interrupted([bad]);
    const [first] = rows();
    await store.close();
    path = join(folder, `${++files}.db`);
    await open();
    await interrupted([bad]);
    const [second] = rows();
    // Another store, another salt: neither depends on content and password alone.
    expect(first?.password).toHaveLength(16);
    expect(second?.password).not.toEqual(first?.password);
    expect(second?.file).not.toEqual(first?.file);
    expect(first?.report).toBe(
      '{"error":{"code":"PFX_WRONG_PASSWORD","message":"wrong password: it does not match the MAC"}}',
    );
    await run([]);
    expect(rows()).toEqual([]);
  });

  it('for its file system is never in the log', async () => {
    const late = join(folder, 'late.p12');
    const input = { name: 'late', path: late, password: 'x' };
    await interrupted([input]);
    expect(rows()).toEqual([]);
    writeFileSync(late, file('a').bytes);
    expect(await run([input])).toMatchObject({ outcomes: ['imported'] });
  });
});

describe('an address that was withheld', () => {
  const claim = (subject: string, key?: Uint8Array) =>
    issueCertificate({ subject, emails: ['boss@x.org'], ...(key && { key }) });
  const inputOf = (name: string, issued: ReturnType<typeof claim>) => ({
    name,
    bytes: countedPfx(name, issued, 'x'),
    password: 'x',
  });

  it('is judged anew by the next import, and not when one is taken up', async () => {
    const [first, second] = [claim('first'), claim('second')];
    const inputs = [inputOf('1', first), inputOf('2', second)];
    await interrupted(inputs);
    expect(opened()).toBe(2);
    const { report, opened: again } = await run(inputs);
    expect(again).toBe(0);
    expect(report.rows[1]?.skipped).toMatchObject([{ code: 'NOT_TRUSTED' }]);
    // Somebody vouches for it: the next import finds that out.
    await store.add({ certificate: Certificate.parse(second.certificate), user: 'boss@x.org' });
    const next = await run(inputs);
    expect(next).toMatchObject({ outcomes: ['present', 'present'], opened: 1 });
    expect(next.report.rows[1]?.skipped).toEqual([]);
  });
});
