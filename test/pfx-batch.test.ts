/** Reading many PFX files in one call: each comes to what readPfx makes of it, whatever lies beside it. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { concat, utf8 } from '../src/bytes.js';
import { MailsealError } from '../src/errors.js';
import type { PbeJobs } from '../src/pbe/jobs.js';
import { type PfxBatchInput, readPfxBatch } from '../src/pfx/bulk.js';
import { core } from '../src/wasm/instance.js';
import type { PbeResults } from '../src/wasm.js';
import { PrivateKey } from '../src/x509/keys.js';
import { toBer } from './helpers/ber.js';
import { expectZeroArena, octetsOf } from './helpers/derivation.js';
import { outcomeOf, readSingly } from './helpers/outcomes.js';
import { bag, certBag, encryptedSafe, keyBag, pfx, safe, shroudedKeyBag } from './helpers/pfx.js';
import { generateKey, issueCertificate } from './helpers/pki.js';
import { corpusPfx, pfxRows, readCorpus, readVector } from './helpers/vectors.js';

/** What runJobs was called with and gave, and what it does first. */
const calls = vi.hoisted(() => ({
  rounds: [] as { jobs: PbeJobs; results: PbeResults | undefined }[],
  before: undefined as ((jobs: PbeJobs) => void) | undefined,
}));
vi.mock('../src/pbe/jobs.js', async (original) => {
  const jobs = await original<typeof import('../src/pbe/jobs.js')>();
  const runJobs: typeof jobs.runJobs = (decrypts, macs) => {
    const round = { jobs: { decrypts, macs }, results: undefined as PbeResults | undefined };
    calls.rounds.push(round);
    calls.before?.(round.jobs);
    const results = jobs.runJobs(decrypts, macs);
    // Of its own: the caller may take results out of the arrays.
    round.results = { decrypted: [...results.decrypted], macs: [...results.macs] };
    return results;
  };
  return { ...jobs, runJobs };
});
afterEach(() => {
  calls.rounds = [];
  calls.before = undefined;
});

const PW = 'pässword 🔑';
const ca = issueCertificate({ subject: 'Test CA', ca: true });
const alice = issueCertificate({ subject: 'Alice', issuer: ca });
const [certSafe, keySafe] = [
  encryptedSafe([certBag(alice.certificate), certBag(ca.certificate)], PW),
  safe([shroudedKeyBag(alice.privateKey, PW, { friendlyName: 'Alice' })]),
];
const usual = pfx({ safes: [certSafe, keySafe], password: PW });
const slow = (iterations: number) =>
  pfx({
    safes: [safe([shroudedKeyBag(alice.privateKey, PW, {}, { iterations })])],
    password: PW,
    macIterations: iterations,
  });

function expectAsSingly(inputs: readonly PfxBatchInput[], options = {}): void {
  const outcomes = readPfxBatch(inputs, options).map(outcomeOf);
  expect(outcomes).toHaveLength(inputs.length);
  for (const [i, { bytes, password }] of inputs.entries()) {
    expect(outcomes[i], `input ${i}`).toEqual(outcomeOf(readSingly(bytes, password, options)));
  }
}

/** Of rounds: how many MACs, which is how many files that have one and are in their first. */
const filesOf = ({ jobs }: { jobs: PbeJobs }) => jobs.macs.length;

describe('every vector comes to what readPfx makes of it', () => {
  const vectors = [
    ...pfxRows().map(({ source, path, password }) => ({ bytes: readVector(source, path), password })),
    ...corpusPfx().map(({ path, password }) => ({ bytes: readCorpus(path), password })),
  ].map(({ bytes, password }) => ({ bytes, password: password ?? '' }));

  it.each([{}, { allowNoMac: true }, { maxCost: 20_000 }])('with %o', (options) => {
    expectAsSingly(vectors, options);
  });

  it('in any order', () => {
    const some = vectors.filter((_, i) => i % 5 === 0);
    const backwards = readPfxBatch([...some].reverse()).reverse();
    expect(backwards.map(outcomeOf)).toEqual(readPfxBatch(some).map(outcomeOf));
  });
});

describe('results', () => {
  it('stand where the inputs do, failures among them', () => {
    const noMac = pfx({ safes: [keySafe] });
    const scrypt = readVector('rustcrypto-formats', 'pkcs12/example5.pfx');
    const inputs: PfxBatchInput[] = [
      { bytes: usual, password: PW },
      { bytes: usual, password: 'wrong' },
      { bytes: usual, password: 'wröng' }, // another round, for another reading of it
      { bytes: usual.subarray(0, 100), password: PW },
      { bytes: new Uint8Array(0), password: '' },
      { bytes: noMac, password: PW },
      { bytes: toBer(usual), password: PW },
      { bytes: slow(3000), password: PW },
      { bytes: slow(200_000_000), password: PW },
      { bytes: scrypt, password: 'not this one' },
      {
        bytes: pfx({ safes: [encryptedSafe([shroudedKeyBag(alice.privateKey, PW)], PW)], password: PW }),
        password: PW,
      },
      { bytes: pfx({ safes: [encryptedSafe(octetsOf(50, 1), PW)], password: PW }), password: PW },
      { bytes: pfx({ safes: [], password: 'other', macContent: utf8('0') }), password: 'other' },
      { bytes: Buffer.from(usual), password: PW },
    ];
    const codes = readPfxBatch(inputs).map((result) => (result.ok ? 'ok' : result.error.code));
    expect(codes).toEqual([
      'ok',
      'PFX_WRONG_PASSWORD',
      'PFX_WRONG_PASSWORD',
      'ASN1_TRUNCATED',
      'PFX_MALFORMED',
      'PFX_NO_MAC',
      'ok',
      'ok',
      'LIMIT_COST',
      'PFX_NO_MAC',
      'ok',
      'PFX_MALFORMED',
      'ASN1_TRUNCATED',
      'ok',
    ]);
    expectAsSingly(inputs);
    expectAsSingly(inputs, { allowNoMac: true, maxCost: 5000 });
  });

  it('none for no input', () => {
    expect(readPfxBatch([])).toEqual([]);
  });

  it('do not refer to the input', () => {
    const bytes = Buffer.from(usual);
    const [result] = readPfxBatch([{ bytes, password: PW }]);
    const before = outcomeOf(result!);
    bytes.fill(0);
    expect(outcomeOf(result!)).toEqual(before);
  });

  it('a file that is given twice is read twice: wiping the keys of one leaves the other', () => {
    const [one, two] = readPfxBatch([
      { bytes: usual, password: PW },
      { bytes: usual, password: PW },
    ]);
    if (!one?.ok || !two?.ok) throw new Error('it did not open');
    one.contents.entries[0]?.privateKey.wipe();
    expect(outcomeOf(two)).toEqual(outcomeOf(readSingly(usual, PW)));
  });

  it('arguments of the wrong type are a TypeError before anything is read', () => {
    const good = { bytes: usual, password: PW };
    for (const bad of [
      undefined,
      null,
      'x',
      { bytes: 'x', password: PW },
      { bytes: usual },
      { bytes: usual, password: null },
    ]) {
      expect(() => readPfxBatch([good, bad as unknown as PfxBatchInput])).toThrow(TypeError);
    }
    expect(() => readPfxBatch(good as unknown as PfxBatchInput[])).toThrow(TypeError);
    for (const maxCost of [0, 1.5, 2 ** 31, '1']) {
      expect(() => readPfxBatch([], { maxCost: maxCost as number })).toThrow(RangeError);
    }
    expect(calls.rounds).toEqual([]);
  });
});

describe('rounds', () => {
  const inputs = (count: number, bytes = usual) =>
    Array.from({ length: count }, () => ({ bytes, password: PW }));

  it('take 64 files, and as one is done the next is opened', () => {
    const twoRounds = pfx({
      safes: [encryptedSafe([shroudedKeyBag(alice.privateKey, PW)], PW)],
      password: PW,
    });
    readPfxBatch([...inputs(10, twoRounds), ...inputs(150)]);
    expect(calls.rounds.map(filesOf)).toEqual([64, 54, 42]);
    expect(calls.rounds[1]?.jobs.decrypts).toHaveLength(10 + 54 * 2);
  });

  it('take more while a long chain would leave lanes idle, and no more than 1,024', () => {
    readPfxBatch([{ bytes: slow(500), password: PW }, ...inputs(600)]);
    // The long one has 1,500 steps, 1,000 of them in one chain; each other file has 5: it takes 500 for the other lanes.
    expect(calls.rounds.map(filesOf)).toEqual([501, 64, 36]);
    calls.rounds = [];
    readPfxBatch([{ bytes: slow(50_000), password: PW }, ...inputs(1100)]);
    expect(calls.rounds.map(filesOf)).toEqual([1024, 64, 13]);
  });

  it('take no more than 8 MiB of files, unless one alone is larger', () => {
    const filler = (size: number) =>
      bag(
        '1.2.3.4.5',
        concat([
          Uint8Array.of(4, 0x83, size >> 16, size >> 8, size),
          octetsOf(32, 1),
          new Uint8Array(size - 32),
        ]),
      );
    const large = (size: number) => ({
      bytes: pfx({ safes: [certSafe, safe([filler(size)])], password: PW }),
      password: PW,
    });
    const three = large(3 << 20);
    const results = readPfxBatch([three, three, three, ...inputs(3), large(9 << 20), three, ...inputs(1)]);
    expect(results.every(({ ok }) => ok)).toBe(true);
    expect(calls.rounds.map(filesOf)).toEqual([2, 4, 1, 2]);
  });

  it('memory of WASM does not grow with the number of files', () => {
    readPfxBatch(inputs(200));
    const before = core.memory.buffer.byteLength;
    readPfxBatch(inputs(2000));
    expect(core.memory.buffer.byteLength).toBe(before);
  });

  it('that can not be run together are run file by file: one that is too large fails alone', () => {
    calls.before = ({ macs }) => {
      const octets = macs.reduce((sum, { data }) => sum + data.length, 0);
      if (octets > 2000) throw new MailsealError('LIMIT_LENGTH', `${octets} octets do not fit in memory`);
    };
    const large = pfx({ safes: [certSafe, certSafe, certSafe], password: PW });
    const results = readPfxBatch([...inputs(3), { bytes: large, password: PW }, ...inputs(3)]);
    expect(results.map(({ ok }) => ok)).toEqual([true, true, true, false, true, true, true]);
    expect(outcomeOf(results[3]!)).toEqual(outcomeOf(readSingly(large, PW)));
    expect(results[3]).toMatchObject({ error: { code: 'LIMIT_LENGTH' } });
  });

  it('a bug that one file brings to light is INTERNAL, and its alone', () => {
    calls.before = ({ macs }) => {
      if (macs.some(({ data }) => data.length > 2000)) throw new RangeError('no such key length');
    };
    const large = pfx({ safes: [certSafe, certSafe, certSafe], password: PW });
    const results = readPfxBatch([...inputs(2), { bytes: large, password: PW }, ...inputs(2)]);
    expect(results.map(({ ok }) => ok)).toEqual([true, true, false, true, true]);
    expect(results[2]).toMatchObject({
      error: { code: 'INTERNAL', message: 'RangeError: no such key length' },
    });
  });
});

describe('secrets', () => {
  const broken = pfx({
    safes: [safe([keyBag(alice.privateKey), shroudedKeyBag(alice.privateKey, PW), certBag(utf8('none'))])],
    password: PW,
  });
  const lateFailure = pfx({
    safes: [keySafe, encryptedSafe([certBag(utf8('none'))], PW)],
    password: PW,
  });
  const inputs = [usual, broken, lateFailure, toBer(usual)].flatMap((bytes) => [
    { bytes, password: PW },
    { bytes, password: 'wröng' },
  ]);

  it('of passwords and plaintext are overwritten when the batch is done, whatever came of a file', () => {
    readPfxBatch(inputs);
    const jobs = calls.rounds.flatMap(({ jobs }) => [...jobs.decrypts, ...jobs.macs]);
    const passwords = jobs.map(({ key }) => key.password);
    const plaintexts = calls.rounds.flatMap(({ results }) =>
      (results?.decrypted ?? []).flatMap((result) => (result.ok ? [result.data] : [])),
    );
    expect(passwords.length).toBeGreaterThan(20);
    expect(plaintexts.length).toBeGreaterThanOrEqual(4);
    for (const secret of [...passwords, ...plaintexts])
      expect(secret.every((octet) => octet === 0)).toBe(true);
  });

  it('keys of a file that fails are wiped, those of the others are not', () => {
    const wiped = vi.spyOn(PrivateKey.prototype, 'wipe');
    try {
      const results = readPfxBatch([
        { bytes: usual, password: PW },
        { bytes: lateFailure, password: PW },
      ]);
      expect(results.map(({ ok }) => ok)).toEqual([true, false]);
      expect(wiped).toHaveBeenCalledTimes(1);
      expect(outcomeOf(results[0]!)).toEqual(outcomeOf(readSingly(usual, PW)));
    } finally {
      wiped.mockRestore();
    }
  });

  const rsa = generateKey('rsa');
  const encodings = [utf8(PW), Buffer.from(PW, 'utf16le').swap16(), utf8('wröng')];
  /** Parts of a key, as its file holds them. */
  const keyOctets = [alice.privateKey.subarray(-60), rsa.subarray(300, 332), rsa.subarray(-32)];

  /** Which of the secrets stand anywhere in the memory of WASM. */
  function found(): number[] {
    const memory = Buffer.from(core.memory.buffer); // a view
    return [...encodings, ...keyOctets].flatMap((secret, i) =>
      memory.includes(Buffer.from(secret)) ? [i] : [],
    );
  }

  it('none is left in the memory of WASM, after batches that open, fail and are refused', () => {
    const withRsa = pfx({ safes: [safe([shroudedKeyBag(rsa, PW), keyBag(rsa)])], password: PW });
    for (const batch of [inputs, [{ bytes: withRsa, password: PW }, ...inputs], inputs.slice(1, 2)]) {
      readPfxBatch(batch);
      expect(found()).toEqual([]);
      expectZeroArena();
    }
    calls.before = () => {
      expect(found()).toEqual([]);
      throw new MailsealError('LIMIT_LENGTH', 'does not fit in memory');
    };
    expect(readPfxBatch(inputs).some(({ ok }) => ok)).toBe(false);
    expectZeroArena();
  });

  it('would be found there if they were', () => {
    const base = core.reserve(0);
    try {
      for (const secret of [...encodings, ...keyOctets]) {
        const at = core.reserve(secret.length);
        new Uint8Array(core.memory.buffer).set(secret, at);
      }
      expect(found()).toEqual([0, 1, 2, 3, 4, 5]);
    } finally {
      core.wipe(base);
    }
    expect(found()).toEqual([]);
  });
});

it('rare algorithms, which node:crypto runs, mix with those of the lanes', () => {
  const rare = pfxRows().filter(({ beyondCore, expect }) => !expect.error && beyondCore !== undefined);
  expect(rare.length).toBeGreaterThan(10);
  expectAsSingly(
    rare.flatMap(({ source, path, password }) => [
      { bytes: readVector(source, path), password: password ?? '' },
      { bytes: usual, password: PW },
    ]),
  );
});
