/** MAC checks and the job table of PFX decoding (assembly/pfx.ts, hmac.ts) against node:crypto and random records. */
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DecryptJob, type Derivation, type KdfHash, type MacJob, runPbeJobs } from '../src/wasm.js';
import { expectZeroArena, octetsOf, pkcs12, pkcs12Reference } from './helpers/derivation.js';
import { rc4 } from './helpers/legacy-ciphers.js';

const hashes = ['sha1', 'sha256'] as const;

describe('MAC', () => {
  const key = (hash: KdfHash, length: number): Derivation =>
    pkcs12(hash, 3, length, 'password', '0102030405060708', 3);
  const job = (hash: KdfHash, keyLength: number, data: Uint8Array): MacJob => {
    const derivation = key(hash, keyLength);
    return {
      hash,
      key: derivation,
      data,
      expected: createHmac(hash, pkcs12Reference(derivation)).update(data).digest(),
    };
  };

  it('data of every length up to 300 octets, both hashes in one call', () => {
    const jobs = Array.from({ length: 300 }, (_, n) =>
      job(n % 3 === 0 ? 'sha1' : 'sha256', 20, octetsOf(n, n)),
    );
    expect(runPbeJobs([], jobs).macs).toEqual(jobs.map(() => true));
    expectZeroArena();
  });

  it('keys shorter and longer than a block, data of very different lengths in the lanes', () => {
    const sizes = [1_000_000, 0, 70_001, 64, 5, 300_000];
    const jobs = hashes.flatMap((hash) =>
      [1, 20, 63, 64, 65, 200].map((length, i) => job(hash, length, octetsOf(sizes[i] as number, length))),
    );
    expect(runPbeJobs([], jobs).macs).toEqual(jobs.map(() => true));
  });

  it.each(hashes)('%s: every bit of the tag counts, and its length', (hash) => {
    const good = job(hash, 20, octetsOf(100, 1));
    const bad = Array.from({ length: good.expected.length * 8 }, (_, bit): MacJob => {
      const expected = Uint8Array.from(good.expected);
      expected[bit >> 3] = (expected[bit >> 3] as number) ^ (1 << (bit & 7));
      return { ...good, expected };
    });
    bad.push({ ...good, expected: good.expected.subarray(1) }, { ...good, expected: new Uint8Array(0) });
    bad.push({ ...good, expected: new Uint8Array([...good.expected, 0]) });
    expect(runPbeJobs([], [good, ...bad, good]).macs).toEqual([true, ...bad.map(() => false), true]);
    expectZeroArena();
  });

  it('a wrong MAC does not stop the decryption beside it', () => {
    const data = rc4(pkcs12Reference(key('sha1', 16)), octetsOf(50, 1));
    const wrong = { ...job('sha1', 20, data), expected: new Uint8Array(20) };
    const results = runPbeJobs([{ cipher: 'rc4', key: key('sha1', 16), data }], [wrong]);
    expect(results).toEqual({
      decrypted: [{ ok: true, data: new Uint8Array(octetsOf(50, 1)) }],
      macs: [false],
    });
  });
});

describe('runPbeJobs', () => {
  it('has nothing to do', () => {
    expect(runPbeJobs([], [])).toEqual({ decrypted: [], macs: [] });
  });

  it('jobs of many files in one call', () => {
    const macs: MacJob[] = [];
    const decrypts: DecryptJob[] = [];
    for (let file = 0; file < 500; file++) {
      const salt = octetsOf(8, file).toString('hex');
      const hash = hashes[file % 2] as KdfHash;
      const key = pkcs12(hash, 1, 16, `password ${file % 5}`, salt, 2 + (file % 7));
      decrypts.push({ cipher: 'rc4', key, data: rc4(pkcs12Reference(key), Buffer.from(`file ${file}`)) });
      const data = octetsOf(file, file);
      const macKey = { ...key, id: 3, length: 20 } as const;
      macs.push({
        hash,
        key: macKey,
        data,
        expected: createHmac(hash, pkcs12Reference(macKey)).update(data).digest(),
      });
    }
    const results = runPbeJobs(decrypts, macs);
    expect(results.macs.every(Boolean)).toBe(true);
    expect(results.decrypted.map((result) => result.ok && Buffer.from(result.data).toString())).toEqual(
      decrypts.map((_, file) => `file ${file}`),
    );
    expectZeroArena();
  });

  it('a password that is not octets', () => {
    const key = { ...pkcs12('sha1', 1, 5, 'x', '00', 1), password: 'x' as unknown as Uint8Array };
    expect(() => runPbeJobs([{ cipher: 'rc4', key, data: new Uint8Array(1) }], [])).toThrow(TypeError);
  });

  it('more than memory holds: LIMIT_LENGTH, and the arena is zero', () => {
    const data = new Uint8Array(2 ** 30);
    const key = pkcs12('sha1', 1, 5, 'x', '00', 1);
    const job: DecryptJob = { cipher: 'rc4', key, data };
    expect(() => runPbeJobs([job, job, job, job], [])).toThrow(
      expect.objectContaining({ code: 'LIMIT_LENGTH' }),
    );
    expectZeroArena();
  });
});

describe('the job table itself', () => {
  interface RawCore {
    memory: { buffer: ArrayBuffer };
    reserve(size: number): number;
    wipe(base: number): void;
    runJobs(...args: number[]): number;
  }
  interface WebAssemblyApi {
    Module: { new (bytes: Uint8Array): object; imports(module: object): unknown[] };
    Instance: new (module: object) => { exports: unknown };
  }
  const api = (globalThis as unknown as { WebAssembly: WebAssemblyApi }).WebAssembly;
  const module_ = new api.Module(readFileSync(new URL('../dist/core.wasm', import.meta.url)));

  it('the module imports nothing', () => {
    expect(api.Module.imports(module_)).toEqual([]);
  });

  it('records of any numbers give a status, never a trap', () => {
    const raw = new api.Instance(module_).exports as RawCore;
    const base = raw.reserve(0);
    const heap = raw.reserve(4096);
    const end = raw.memory.buffer.byteLength;
    // Numbers that mean something, at the edges, and none at all.
    const word = fc.oneof(
      fc.integer({ min: 0, max: 40 }),
      fc.integer({ min: heap - 2, max: heap + 4200 }),
      fc.constantFrom(0xffff_ffff, 0xffff_fff0, 0x8000_0000, 0x7fff_ffff, end, end - 1, 0, 1023),
      fc.nat({ max: 0xffff_ffff }),
    );
    const derivation = fc.tuple(
      word,
      word,
      word,
      word,
      word,
      word,
      fc.integer({ min: 0, max: 50 }),
      word,
      word,
      word,
      word,
    );
    const record = (words: number) => fc.array(word, { minLength: words, maxLength: words });
    const statuses = new Set<number>();
    fc.assert(
      fc.property(
        fc.array(derivation, { maxLength: 3 }),
        fc.array(record(7), { maxLength: 3 }),
        fc.array(record(10), { maxLength: 3 }),
        (derivations, macs, decryptions) => {
          raw.wipe(base);
          raw.reserve(4096);
          const words = new Uint32Array(raw.memory.buffer, heap, 1024);
          words.set(derivations.flat(), 0);
          words.set(macs.flat(), 64);
          words.set(decryptions.flat(), 128);
          expect(
            raw.runJobs(heap, derivations.length, heap + 256, macs.length, heap + 512, decryptions.length),
          ).toBe(0);
          const after = new Uint32Array(raw.memory.buffer);
          for (let i = 0; i < macs.length; i++) statuses.add(after[heap / 4 + 64 + 7 * i + 6] as number);
        },
      ),
      { numRuns: 3000 },
    );
    expect(statuses).toContain(18);
  });

  /** A derivation, a MAC and a decryption; all of the arena is the table and 256 octets of data behind it. */
  const SIZE = 512;
  function runTable(change?: {
    record: 'derivation' | 'mac' | 'decryption';
    word: number;
    value: number;
  }): number[] {
    const raw = new api.Instance(module_).exports as RawCore;
    const heap = raw.reserve(SIZE);
    const data = heap + 256;
    const records = {
      derivation: [1, 1, data, 16, data, 16, 1, 1, data + 32, 16, 0],
      mac: [1, 0, data, 16, data, 20, 99],
      decryption: [5, 0, 0xffff_ffff, data, 0, data, 16, data + 16, 0, 99],
    };
    if (change) records[change.record][change.word] = change.value;
    const words = new Uint32Array(raw.memory.buffer);
    words.set(records.derivation, heap / 4);
    words.set(records.mac, heap / 4 + 11);
    words.set(records.decryption, heap / 4 + 18);
    expect(raw.runJobs(heap, 1, heap + 44, 1, heap + 72, 1)).toBe(0);
    const after = new Uint32Array(raw.memory.buffer, heap);
    return [after[10] as number, after[11 + 6] as number, after[18 + 9] as number];
  }
  const BAD_JOB = 18;

  it('good records give no BAD_JOB', () => {
    expect(runTable()).toEqual([0, 16, 17]); // a wrong MAC, and random padding
  });

  it.each([
    ['derivation', 2, 3, [BAD_JOB, BAD_JOB, BAD_JOB]],
    ['derivation', 4, 5, [BAD_JOB, BAD_JOB, BAD_JOB]],
    ['derivation', 8, 9, [BAD_JOB, BAD_JOB, BAD_JOB]],
    ['mac', 2, 3, [0, BAD_JOB, 17]],
    ['mac', 4, 5, [0, BAD_JOB, 17]],
    ['decryption', 5, 6, [0, 16, BAD_JOB]],
    ['decryption', 7, 6, [0, 16, BAD_JOB]],
  ] as const)(
    '%s: the pointer in word %i and its length in word %i',
    (record, word, lengthWord, expected) => {
      const heap = (new api.Instance(module_).exports as RawCore).reserve(SIZE);
      for (const value of [
        0,
        1008,
        heap - 16,
        heap, // the table itself
        heap + 111,
        heap + SIZE - 15,
        heap + SIZE,
        0x7fff_fff0,
        0xffff_fff0,
        0xffff_ffff,
      ]) {
        expect(runTable({ record, word, value }), `pointer ${value}`).toEqual(expected);
      }
      for (const value of [SIZE + 16, 0x7fff_fff0, 0xffff_fff0]) {
        expect(runTable({ record, word: lengthWord, value }), `length ${value}`).toEqual(expected);
      }
    },
  );

  it.each([
    ['derivation', 0, [0, 3]],
    ['derivation', 1, [0, 3]],
    ['derivation', 6, [0, 0x8000_0000, 0xffff_ffff]],
    ['derivation', 7, [0, 4]],
    ['derivation', 9, [0]],
    ['mac', 0, [0, 3]],
    ['mac', 1, [1, 0xffff_ffff]],
    ['decryption', 0, [0, 6]],
    ['decryption', 1, [1, 0xffff_ffff]],
    ['decryption', 2, [1, 0xffff_fffe]],
    ['decryption', 3, [0, 0xffff_ffff]],
  ] as const)('%s: a number in word %i that means nothing', (record, word, values) => {
    const at = ['derivation', 'mac', 'decryption'].indexOf(record);
    for (const value of values) expect(runTable({ record, word, value })[at], `${value}`).toBe(BAD_JOB);
  });

  it('arrays that lead out of the arena give BAD_JOB', () => {
    const raw = new api.Instance(module_).exports as RawCore;
    const heap = raw.reserve(4096);
    const bad = [
      [0, 1],
      [heap, 1000],
      [heap + 4090, 1],
      [0xffff_fff0, 1],
      [heap, 0xffff_ffff],
      [heap, 0x0600_0000],
    ];
    for (const [pointer, count] of bad as [number, number][]) {
      expect(raw.runJobs(pointer, count, 0, 0, 0, 0)).toBe(18);
      expect(raw.runJobs(0, 0, pointer, count, 0, 0)).toBe(18);
      expect(raw.runJobs(0, 0, 0, 0, pointer, count)).toBe(18);
    }
  });
});
