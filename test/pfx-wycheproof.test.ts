/**
 * Project Wycheproof's PBES2 and PBKDF2 files, the way a PFX takes: from a password and an AlgorithmIdentifier to a job,
 * in lanes or in node:crypto. The WASM kernels alone: wasm-wycheproof.test.ts.
 */
import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { readAlgorithmIdentifier } from '../src/asn1/algorithm.js';
import { OID } from '../src/asn1/oids.js';
import { parseDer } from '../src/asn1/tape.js';
import { type DerWriter, writeDer } from '../src/asn1/write.js';
import { equal } from '../src/bytes.js';
import { runJobs } from '../src/pbe/jobs.js';
import { decryptJob, macJob, type PasswordOctets, readPbeAlgorithm, readPbeMac } from '../src/pbe.js';
import { readingsOf } from '../src/pfx/password.js';
import { expectZeroArena } from './helpers/derivation.js';
import { readVector } from './helpers/vectors.js';

interface Test {
  tcId: number;
  password: string;
  salt: string;
  iterationCount: number;
  flags: string[];
}
type PbeTest = Test & { iv: string; msg: string; ct: string };
type PbkdfTest = Test & { dkLen: number; dk: string };

const hex = (text: string) => Buffer.from(text, 'hex');

/** Without one of RFC 6070, of 16,777,216 iterations: it would take most of the suite's time. */
function testsOf<T extends Test>(name: string): T[] {
  const file = JSON.parse(Buffer.from(readVector('wycheproof', `${name}_test.json`)).toString()) as {
    testGroups: { tests: T[] }[];
  };
  const tests = file.testGroups.flatMap((group) => group.tests);
  return tests.filter(({ iterationCount }) => iterationCount <= 100_000);
}

/** As the password of a file, where it is the UTF-8 of a text; else as octets, as RFC 8018 has it. */
function octetsOf({ password }: Test): PasswordOctets {
  const octets = hex(password);
  const text = octets.toString();
  if (!equal(octets, Buffer.from(text))) return { pkcs12: new Uint8Array(0), pbkdf2: octets };
  const usual = readingsOf(text)[0] as PasswordOctets;
  expect(equal(usual.pbkdf2, octets)).toBe(true);
  return usual;
}

const PRFS = {
  sha1: OID.hmacWithSHA1,
  sha256: OID.hmacWithSHA256,
  sha384: OID.hmacWithSHA384,
  sha512: OID.hmacWithSHA512,
};
type Hash = keyof typeof PRFS;

function algorithm(w: DerWriter, oid: string, parameters: (w: DerWriter) => void): void {
  w.sequence((w) => {
    w.oid(oid);
    parameters(w);
  });
}

/** PBKDF2-params; SHA-1 is the DEFAULT, which DER leaves out. */
function pbkdf2(w: DerWriter, { salt, iterationCount }: Test, hash: Hash, keyLength?: number): void {
  algorithm(w, OID.PBKDF2, (w) =>
    w.sequence((w) => {
      w.octets(hex(salt));
      w.integer(iterationCount);
      if (keyLength !== undefined) w.integer(keyLength);
      if (hash !== 'sha1') algorithm(w, PRFS[hash], (w) => w.null());
    }),
  );
}

describe.each<Hash>(['sha1', 'sha256', 'sha512'])('PBES2 with %s', (hash) => {
  it.each([128, 256] as const)('and AES-%i', (bits) => {
    const tests = testsOf<PbeTest>(`pbes2_hmac${hash}_aes_${bits}`);
    expect(tests.length).toBeGreaterThan(80);
    const jobs = tests.map((test) => {
      const der = writeDer((w) =>
        algorithm(w, OID.PBES2, (w) =>
          w.sequence((w) => {
            pbkdf2(w, test, hash);
            algorithm(w, OID[`aes${bits}Cbc`], (w) => w.octets(hex(test.iv)));
          }),
        ),
      );
      return decryptJob(readPbeAlgorithm(parseDer(der)), octetsOf(test), hex(test.ct));
    });
    const { decrypted } = runJobs(jobs, []);
    expectZeroArena();
    for (const [i, { tcId, msg }] of tests.entries()) {
      const result = decrypted[i];
      expect(result?.ok && Buffer.from(result.data).toString('hex'), `${tcId}`).toBe(msg);
    }
  });
});

describe.each<Hash>(['sha1', 'sha256', 'sha384', 'sha512'])('PBKDF2 with %s', (hash) => {
  const data = Uint8Array.of(1);
  const tests = testsOf<PbkdfTest>(`pbkdf2_hmac${hash}`);
  const expected = ({ dk }: PbkdfTest) => createHmac('sha256', hex(dk)).update(data).digest();

  it('derives the key of a job', () => {
    expect(tests.length).toBeGreaterThan(50);
    const jobs = tests.map((test) => {
      const { password, salt, iterationCount: iterations, dkLen: length } = test;
      const key = {
        kdf: 'pbkdf2',
        hash,
        password: hex(password),
        salt: hex(salt),
        iterations,
        length,
      } as const;
      return { hash: 'sha256', key, data, expected: expected(test) } as const;
    });
    const { macs } = runJobs([], jobs);
    expectZeroArena();
    expect(tests.filter((_, i) => !macs[i])).toEqual([]);
  });

  it('derives the key of PBMAC1, where its length may be one', () => {
    const fitting = tests.filter(({ dkLen }) => dkLen >= 20 && dkLen <= 64);
    expect(fitting.length).toBeGreaterThan(10);
    const jobs = fitting.map((test) => {
      const der = writeDer((w) =>
        algorithm(w, OID.PBMAC1, (w) =>
          w.sequence((w) => {
            pbkdf2(w, test, hash, test.dkLen);
            algorithm(w, OID.hmacWithSHA256, (w) => w.null());
          }),
        ),
      );
      const mac = readPbeMac(readAlgorithmIdentifier(parseDer(der)), () => {
        throw new Error('PBMAC1 has a salt and iterations of its own');
      });
      return macJob(mac, octetsOf(test), data, expected(test));
    });
    const { macs } = runJobs([], jobs);
    expect(fitting.filter((_, i) => !macs[i])).toEqual([]);
  });
});
