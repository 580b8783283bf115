/** Project Wycheproof's files on PBKDF2, PBES2 and RSAES-PKCS1-v1_5 against the WASM kernels. */
import { constants, createHmac, createPrivateKey, privateDecrypt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DecryptJob, type KdfHash, rsaUnwrapPkcs1, runPbeJobs } from '../src/wasm.js';
import { expectZeroArena, octetsOf } from './helpers/derivation.js';

interface File<Test> {
  numberOfTests: number;
  testGroups: {
    privateKeyPkcs8: string;
    tests: (Test & { tcId: number; comment: string; flags: string[]; result: string })[];
  }[];
}

function wycheproof<Test>(name: string): File<Test> {
  const path = new URL(`../vectors/wycheproof/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(path, 'utf8')) as File<Test>;
}

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

describe.each<KdfHash>(['sha1', 'sha256'])('%s', (hash) => {
  it('PBKDF2', () => {
    const { testGroups } = wycheproof<{
      password: string;
      salt: string;
      iterationCount: number;
      dkLen: number;
      dk: string;
    }>(`pbkdf2_hmac${hash}_test`);
    // One of RFC 6070's has 16,777,216 iterations; it would take most of the suite's time.
    const tests = testGroups.flatMap((group) => group.tests).filter((test) => test.iterationCount <= 100_000);
    expect(tests.length).toBeGreaterThanOrEqual(60);
    const data = new Uint8Array(1);
    const { macs } = runPbeJobs(
      [],
      tests.map(({ password, salt, iterationCount, dkLen, dk }) => ({
        hash,
        key: {
          kdf: 'pbkdf2',
          hash,
          password: hex(password),
          salt: hex(salt),
          iterations: iterationCount,
          length: dkLen,
        },
        data,
        expected: createHmac(hash, hex(dk)).update(data).digest(),
      })),
    );
    expect(tests.filter((_, i) => !macs[i])).toEqual([]);
  });

  it.each([128, 256])('PBES2, AES-%i', (bits) => {
    const { testGroups } = wycheproof<{
      password: string;
      salt: string;
      iterationCount: number;
      iv: string;
      msg: string;
      ct: string;
    }>(`pbes2_hmac${hash}_aes_${bits}_test`);
    const tests = testGroups.flatMap((group) => group.tests).filter((test) => test.iterationCount <= 100_000);
    expect(tests.length).toBeGreaterThanOrEqual(60);
    const jobs = tests.map(
      ({ password, salt, iterationCount, iv, ct }): DecryptJob => ({
        cipher: 'aes-cbc',
        key: {
          kdf: 'pbkdf2',
          hash,
          password: hex(password),
          salt: hex(salt),
          iterations: iterationCount,
          length: bits / 8,
        },
        iv: hex(iv),
        data: hex(ct),
      }),
    );
    const { decrypted } = runPbeJobs(jobs, []);
    for (const [i, test] of tests.entries()) {
      const result = decrypted[i];
      const got = result?.ok ? Buffer.from(result.data).toString('hex') : 'refused';
      expect(got, `${test.tcId}: ${test.comment}`).toBe(test.result === 'invalid' ? 'refused' : test.msg);
    }
  });
});

describe('RSAES-PKCS1-v1_5 unpadding', () => {
  it('Bleichenbacher, Marvin: Wycheproof, bad padding gives the random key and no error', () => {
    const { testGroups } = wycheproof<{ msg: string; ct: string }>('rsa_pkcs1_2048_test');
    let opened = 0;
    let replaced = 0;
    for (const { privateKeyPkcs8, tests } of testGroups) {
      const key = createPrivateKey({ key: hex(privateKeyPkcs8), format: 'der', type: 'pkcs8' });
      for (const { tcId, comment, msg, ct, flags, result } of tests) {
        // Not as long as the modulus, or not below it: no EM comes out of the RSA operation.
        if (flags.includes('InvalidCiphertextFormat')) continue;
        const em = privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, hex(ct));
        const fallback = octetsOf(msg.length / 2, tcId);
        const got = rsaUnwrapPkcs1(em, msg.length / 2, fallback);
        expect(Buffer.from(got), `${tcId}: ${comment}`).toEqual(result === 'valid' ? hex(msg) : fallback);
        if (result === 'valid') opened++;
        else replaced++;
        // Whatever the padding: another length than the content cipher's is not a key.
        const longer = octetsOf(msg.length / 2 + 1, tcId);
        expect(Buffer.from(rsaUnwrapPkcs1(em, longer.length, longer)), `${tcId}: ${comment}`).toEqual(longer);
        expectZeroArena();
      }
    }
    expect([opened, replaced]).toEqual([42, 19]);
  });

  const padded = (size: number, message: Uint8Array): Buffer =>
    Buffer.concat([Buffer.of(0, 2), Buffer.alloc(size - 3 - message.length, 0xa5), Buffer.of(0), message]);

  it('every single octet of EM matters as RFC 8017 7.2.2 says', () => {
    const message = octetsOf(16, 1);
    const fallback = octetsOf(16, 2);
    const good = padded(64, message);
    const zero = 64 - 16 - 1;
    for (let at = 0; at < zero + 1; at++) {
      for (const value of [0, 1, 2, 3, 0x7f, 0x80, 0xff]) {
        const em = Buffer.from(good);
        em[at] = value;
        const right = at === 0 ? value === 0 : at === 1 ? value === 2 : at < zero ? value !== 0 : value === 0;
        const got = Buffer.from(rsaUnwrapPkcs1(em, 16, fallback));
        expect(got, `octet ${at} = ${value}`).toEqual(right ? message : fallback);
      }
    }
  });

  it('a padding string of 8 octets is enough, of 7 is not', () => {
    for (const keyLength of [0, 1, 16, 32]) {
      const message = octetsOf(keyLength, 1);
      const fallback = octetsOf(keyLength, 2);
      expect(Buffer.from(rsaUnwrapPkcs1(padded(keyLength + 11, message), keyLength, fallback))).toEqual(
        message,
      );
      expect(Buffer.from(rsaUnwrapPkcs1(padded(keyLength + 10, message), keyLength, fallback))).toEqual(
        fallback,
      );
    }
  });

  it('any EM gives exactly keyLength octets', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat({ max: 90 }), (em, keyLength) => {
        const fallback = octetsOf(keyLength, 3);
        const got = Buffer.from(rsaUnwrapPkcs1(em, keyLength, fallback));
        const zero = em.length - keyLength - 1;
        const right = zero >= 10 && em[0] === 0 && em[1] === 2 && em.subarray(2).indexOf(0) === zero - 2;
        expect(got).toEqual(right ? Buffer.from(em.subarray(zero + 1)) : fallback);
      }),
    );
  });

  it('refuses a fallback of another length', () => {
    expect(() => rsaUnwrapPkcs1(new Uint8Array(64), 16, new Uint8Array(15))).toThrow(RangeError);
  });
});
