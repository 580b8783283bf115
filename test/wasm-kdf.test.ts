/** PKCS#12 KDF and PBKDF2 on four lanes (assembly/lanes.ts) against node:crypto and published vectors. */
import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Derivation, type KdfHash, type MacJob, runPbeJobs } from '../src/wasm.js';
import { bmp, expectZeroArena, octetsOf, pkcs12, pkcs12Reference, reference } from './helpers/derivation.js';

/** Whether WASM derives the same. What shows a derived key of any length is HMAC: a wrong octet changes the tag. */
function derives(derivations: Derivation[]): boolean[] {
  const data = Buffer.from('derived');
  const macs = derivations.map((key): MacJob => {
    const expected = createHmac('sha256', reference(key)).update(data).digest();
    return { hash: 'sha256', key, data, expected };
  });
  return runPbeJobs([], macs).macs;
}

const hashes = ['sha1', 'sha256'] as const;
const arbitraryDerivation = fc.record({
  kdf: fc.constantFrom('pkcs12' as const, 'pbkdf2' as const),
  hash: fc.constantFrom(...hashes),
  password: fc.uint8Array({ maxLength: 150 }),
  salt: fc.uint8Array({ maxLength: 150 }),
  iterations: fc.integer({ min: 1, max: 300 }),
  id: fc.constantFrom(1 as const, 2 as const, 3 as const),
  length: fc.integer({ min: 1, max: 100 }),
});

describe('key derivation', () => {
  // In the tests of OpenSSL (evpkdf_pkcs12.txt), Bouncy Castle and go-pkcs12.
  const published: [string, Derivation, string][] = [
    [
      'smeg, key',
      pkcs12('sha1', 1, 24, 'smeg', '0A58CF64530D823F', 1),
      '8AAAE6297B6CB04642AB5B077851284EB7128F1A2A7FBCA3',
    ],
    ['smeg, IV', pkcs12('sha1', 2, 8, 'smeg', '0A58CF64530D823F', 1), '79993DFE048D3B76'],
    [
      'smeg, key, other salt',
      pkcs12('sha1', 1, 24, 'smeg', '642B99AB44FB4B1F', 1),
      'F3A95FEC48D7711E985CFE67908C5AB79FA3D7C5CAA5D966',
    ],
    ['smeg, IV, other salt', pkcs12('sha1', 2, 8, 'smeg', '642B99AB44FB4B1F', 1), 'C0A38D64A79BEA1D'],
    [
      'smeg, MAC',
      pkcs12('sha1', 3, 20, 'smeg', '3D83C0E4546AC140', 1),
      '8D967D88F6CAA9D714800AB3D48051D63F73A312',
    ],
    [
      'queeg, key',
      pkcs12('sha1', 1, 24, 'queeg', '05DEC959ACFF72F7', 1000),
      'ED2034E36328830FF09DF1E1A07DD357185DAC0D4F9EB3D4',
    ],
    ['queeg, IV', pkcs12('sha1', 2, 8, 'queeg', '05DEC959ACFF72F7', 1000), '11DEDAD7758D4860'],
    [
      'queeg, key, other salt',
      pkcs12('sha1', 1, 24, 'queeg', '1682C0FC5B3F7EC5', 1000),
      '483DD6E919D7DE2E8E648BA8F862F3FBFBDC2BCB2C02957F',
    ],
    ['queeg, IV, other salt', pkcs12('sha1', 2, 8, 'queeg', '1682C0FC5B3F7EC5', 1000), '9D461D1B00355C50'],
    [
      'queeg, MAC',
      pkcs12('sha1', 3, 20, 'queeg', '263216FCC2FAB31C', 1000),
      '5EC4C7A80DF652294C3925B6489A7AB857C83476',
    ],
  ];

  it.each(published)('published PKCS#12: %s', (_, derivation, expected) => {
    expect(pkcs12Reference(derivation).toString('hex').toUpperCase()).toBe(expected);
    expect(derives([derivation])).toEqual([true]);
  });

  it('any derivations, in one call', () => {
    fc.assert(
      fc.property(fc.array(arbitraryDerivation, { minLength: 1, maxLength: 9 }), (derivations) => {
        expect(derives(derivations)).toEqual(derivations.map(() => true));
      }),
      { numRuns: 300 },
    );
  });

  const derivation = (
    kdf: 'pkcs12' | 'pbkdf2',
    hash: KdfHash,
    iterations: number,
    length = 32,
  ): Derivation => ({
    kdf,
    hash,
    iterations,
    length,
    id: 1,
    password: bmp('password'),
    salt: octetsOf(8, iterations + length),
  });

  describe.each(hashes)('%s', (hash) => {
    it.each([1, 2, 3, 4, 5, 6, 7, 8, 9])('%i chains of one kind on four lanes', (chains) => {
      for (const kdf of ['pkcs12', 'pbkdf2'] as const) {
        const jobs = Array.from({ length: chains }, (_, i) => derivation(kdf, hash, 40 + 7 * i, 10 + i));
        expect(derives(jobs)).toEqual(jobs.map(() => true));
      }
    });

    it.each([1, 2, 3, 127, 128, 129, 130, 257])(
      '%i iterations, both kinds in the same lanes',
      (iterations) => {
        const jobs = [iterations, iterations + 1, 64, 1].flatMap((n) => [
          derivation('pbkdf2', hash, n, 50),
          derivation('pkcs12', hash, n, 90),
        ]);
        expect(derives(jobs)).toEqual(jobs.map(() => true));
      },
    );

    it.each([0, 1, 19, 20, 32, 55, 56, 63, 64, 65, 127, 128, 129, 1000])(
      'password and salt of %i octets',
      (size) => {
        const jobs = (['pkcs12', 'pbkdf2'] as const).flatMap((kdf) => [
          { ...derivation(kdf, hash, 3), password: octetsOf(size, 1) },
          { ...derivation(kdf, hash, 3), salt: octetsOf(size, 2) },
          { ...derivation(kdf, hash, 3), password: octetsOf(size, 3), salt: octetsOf(size, 4) },
        ]);
        expect(derives(jobs)).toEqual(jobs.map(() => true));
      },
    );

    // Listed as the lanes take them. At the end of each row the chains that are left have to change lanes.
    it.each([
      ['lane 0', [100]],
      ['lanes 0 and 1', [100, 100, 60, 60]],
      ['lanes 0 and 3', [100, 55, 55, 50, 50]],
      ['lane 3', [60, 60, 60, 50, 50]],
      ['lanes 2 and 3', [40, 40, 39, 39, 38, 38]],
    ])('the last chains are in %s', (_, iterations) => {
      for (const [kdf, other] of [
        ['pkcs12', 'pkcs12'],
        ['pbkdf2', 'pbkdf2'],
        ['pkcs12', 'pbkdf2'],
      ] as const) {
        const jobs = iterations.map((n, i) =>
          i % 2 === 0 || other === kdf
            ? derivation(kdf, hash, (kdf === 'pkcs12' ? 2 : 1) * n, 20 - i)
            : derivation(other, hash, n, 20 - i),
        );
        expect(derives(jobs)).toEqual(jobs.map(() => true));
      }
    });

    // Most end in other steps than those they began with: kernels, lanes and single steps alternate.
    it.each([3, 5])('%i chains of either kind, however few their steps', (chains) => {
      for (let kinds = 0; kinds < 2 ** chains; kinds++) {
        for (const iterations of [1, 2, 3, 4, 5, 66, 131]) {
          const jobs = Array.from({ length: chains }, (_, i) => {
            const kdf = kinds & (1 << i) ? 'pkcs12' : 'pbkdf2';
            return derivation(kdf, hash, 1 + ((iterations * (i + 1)) % 132), 16 + i);
          });
          expect(derives(jobs)).toEqual(jobs.map(() => true));
        }
      }
    });

    it('carries through the whole block when I is added to (I = FF…FF)', () => {
      const password = new Uint8Array(64).fill(0xff);
      const job: Derivation = { ...derivation('pkcs12', hash, 2, 200), password, salt: password };
      expect(derives([job, { ...job, id: 2 }, { ...job, id: 3 }])).toEqual([true, true, true]);
    });

    it('a file of 2048 iterations', () => {
      const jobs = [
        derivation('pkcs12', hash, 2048),
        derivation('pbkdf2', hash, 2048),
        derivation('pbkdf2', hash, 2048, 64),
      ];
      expect(derives(jobs)).toEqual([true, true, true]);
    });
  });

  it('tells derivations apart that differ in one input only', () => {
    const first = derivation('pkcs12', 'sha1', 5, 20);
    const second: Derivation[] = [
      { ...first, kdf: 'pbkdf2' },
      { ...first, hash: 'sha256' },
      { ...first, password: bmp('passwore') },
      { ...first, salt: octetsOf(8, 99) },
      { ...first, iterations: 6 },
      { ...first, id: 2 },
      { ...first, length: 21 },
    ];
    const all = second.flatMap((other) => [first, other, { ...first }, { ...other }]);
    expect(derives(all)).toEqual(all.map(() => true));
  });

  it.each([
    ['iterations', { iterations: 0 }],
    ['iterations', { iterations: 2 ** 31 }],
    ['iterations', { iterations: 1.5 }],
    ['length', { length: 0 }],
  ])('refuses %s out of range', (_, change) => {
    const key = { ...derivation('pkcs12', 'sha1', 1), ...change };
    expect(() => runPbeJobs([{ cipher: 'rc4', key, data: new Uint8Array(1) }], [])).toThrow(RangeError);
    expectZeroArena();
  });
});
