/** What the benchmark judges and makes by itself: floors and ratios, packs of files, seeded keys. */
import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { formatCheck, isNeeded, missedFloors, overMemory } from '../bench/check.js';
import { seededKeys } from '../bench/files/keys.js';
import { readPack, writePack } from '../bench/files/pack.js';
import { makePfx, type ShapeName } from '../bench/files/pfx.js';
import { FLOORS } from '../bench/floors.js';
import { readPfx } from '../src/index.js';
import { issueCertificate } from './helpers/pki.js';

const folder = mkdtempSync(join(tmpdir(), 'mailseal-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('check', () => {
  const row = (job: string, impl: string, usPerOp: number) => ({ job, impl, usPerOp, version: '1' });
  const floor = { job: 'open', against: 'peer', atLeast: 3 };
  const beside = { job: 'open', against: 'bare', againstJob: 'hash', atLeast: 0.5 };
  const rows = [row('open', 'mailseal', 10), row('open', 'peer', 30), row('hash', 'bare', 5)];

  it('holds a ratio to its floor', () => {
    expect(missedFloors(rows, [floor, beside])).toEqual([]);
    expect(missedFloors(rows, [{ ...floor, atLeast: 3.01 }])).toHaveLength(1);
    expect(missedFloors(rows, [{ ...beside, atLeast: 0.51 }])).toHaveLength(1);
  });

  it.each([
    ['the peer is missing', rows.filter(({ impl }) => impl !== 'peer')],
    ['mailseal is missing', rows.filter(({ impl }) => impl !== 'mailseal')],
    ['nothing was measured', []],
  ])('fails where %s', (_, some) => {
    expect(missedFloors(some, [floor])).toEqual([floor]);
    expect(formatCheck(some, [floor])).toMatch(/not measured.*FAILED/);
  });

  it('holds the memory of imports to its limit', () => {
    const imported = { ...row('import', 'mailseal', 1), peakMB: 350 };
    expect(overMemory([...rows, imported])).toEqual([]);
    expect(overMemory([{ ...imported, peakMB: 350.1 }])).toHaveLength(1);
    expect(formatCheck([{ ...imported, peakMB: 400 }], [])).toMatch(/memory.*FAILED/);
  });

  it('asks for the jobs of the floors and for no others', () => {
    const floors = [floor, beside];
    expect(isNeeded('open', 'mailseal', floors)).toBe(true);
    expect(isNeeded('open', 'peer', floors)).toBe(true);
    expect(isNeeded('hash', 'bare', floors)).toBe(true);
    expect(isNeeded('open', 'bare', floors)).toBe(false);
    expect(isNeeded('hash', 'mailseal', floors)).toBe(false);
  });

  it('has floors, each once', () => {
    const names = FLOORS.map(({ job, against, againstJob }) => `${job} ${against} ${againstJob}`);
    expect(new Set(names).size).toBe(names.length);
    expect(names.length).toBeGreaterThan(0);
  });
});

describe('files', () => {
  it.each([[[]], [[new Uint8Array(0)]], [[Uint8Array.of(1), new Uint8Array(70_000).fill(2)]]])(
    'come out of a pack as they went in (%#)',
    (files) => {
      const path = join(folder, 'pack');
      writePack(path, files);
      expect(readPack(path).map((file) => Uint8Array.from(file))).toEqual(files);
    },
  );

  it('are refused from a pack that was cut', () => {
    const path = join(folder, 'cut');
    writeFileSync(path, Uint8Array.of(0, 0, 0, 9, 1));
    expect(() => readPack(path)).toThrow(RangeError);
  });

  it('have keys that the seed alone decides, all different', () => {
    const keys = [...seededKeys('test', 3)];
    expect([...seededKeys('test', 3)]).toEqual(keys);
    expect(new Set(keys.map((key) => Buffer.from(key).toString('hex'))).size).toBe(3);
    for (const key of keys) {
      const privateKey = createPrivateKey({ key: Buffer.from(key), format: 'der', type: 'pkcs8' });
      expect(privateKey.asymmetricKeyDetails?.modulusLength).toBe(2048);
      const signature = sign('sha256', Buffer.from('x'), privateKey);
      expect(verify('sha256', Buffer.from('x'), createPublicKey(privateKey), signature)).toBe(true);
    }
  });

  // rc2-40 needs OpenSSL's legacy provider; the benchmark has OpenSSL read files of each shape.
  it.each<ShapeName>(['3des', 'pbes2'])('of the shape %s open', (shape) => {
    const [key] = seededKeys('test', 1) as Iterable<Uint8Array>;
    const { certificate, privateKey } = issueCertificate({ subject: 'Alice', key: key as Uint8Array });
    const parts = { seed: 'test', certificate, privateKey, friendlyName: 'Älice', password: 'pässword' };
    const { entries } = readPfx(makePfx(shape, { ...parts, iterations: 3 }), 'pässword');
    expect(entries.map(({ friendlyName }) => friendlyName)).toEqual(['Älice']);
    expect(Buffer.compare(entries[0]?.certificate?.der as Uint8Array, certificate)).toBe(0);
  });
});
