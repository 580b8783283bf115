/**
 * Password-based jobs: those that WASM does and those that node:crypto does, mixed, against each other and against
 * Project Wycheproof. Whole files that openssl wrote: pfx-openssl. AlgorithmIdentifiers: pbe.
 */
import { createCipheriv, createHash, createHmac, pbkdf2Sync, scryptSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { type DerNode, parseDer } from '../src/asn1/tape.js';
import { readOctets } from '../src/asn1/values.js';
import { type DerWriter, writeDer } from '../src/asn1/write.js';
import { concat, fromHex, utf8 } from '../src/bytes.js';
import { MailsealError } from '../src/errors.js';
import { DIGESTS, type PbeHash } from '../src/pbe/digests.js';
import {
  type DecryptJob,
  decryptCost,
  distinctCost,
  type KeyDerivation,
  type MacJob,
  runJobs,
} from '../src/pbe/jobs.js';
import { decrypt, derive } from '../src/pbe/native.js';
import { pkcs12Kdf } from '../src/pbe/pkcs12kdf.js';
import { decryptJob, type PbeKdf, readPbeAlgorithm } from '../src/pbe.js';
import { PrivateKey } from '../src/x509/keys.js';
import { octetsOf } from './helpers/derivation.js';
import { type OtherRow, readIndex, readVector, vectorSources } from './helpers/vectors.js';

const SALT = fromHex('0102030405060708');
const IV8 = new Uint8Array(8).fill(7);
const IV16 = new Uint8Array(16).fill(7);
const PLAINTEXT = utf8('a message of more than one block, and not a whole number of them');
const PASSWORD = { pkcs12: fromHex('00700077 0000'.replaceAll(' ', '')), pbkdf2: utf8('pw') };

const mac = (hash: PbeHash, key: KeyDerivation, secret: Uint8Array): MacJob => ({
  hash,
  key,
  data: PLAINTEXT,
  expected: createHmac(hash, secret).update(PLAINTEXT).digest(),
});

const encrypted = (name: string, key: Uint8Array, iv: Uint8Array) => {
  const cipher = createCipheriv(name, key, iv);
  return concat([cipher.update(PLAINTEXT), cipher.final()]);
};

/** The outcome of one job, as a string. */
function outcome(job: DecryptJob): string {
  const [result] = runJobs([job], []).decrypted;
  return result?.ok === true ? Buffer.from(result.data).toString() : 'refused';
}

describe('the PKCS#12 key derivation over node:crypto', () => {
  it.each(['sha1', 'sha256'] as const)('gives with %s what WASM gives', (hash) => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 150 }),
        fc.uint8Array({ maxLength: 150 }),
        fc.integer({ min: 1, max: 20 }),
        fc.constantFrom(1 as const, 2 as const, 3 as const),
        fc.integer({ min: 1, max: 100 }),
        (password, salt, iterations, id, length) => {
          const key = { kdf: 'pkcs12', hash, password, salt, iterations, id, length } as const;
          const derived = pkcs12Kdf(hash, id, password, salt, iterations, length);
          expect(derived).toHaveLength(length);
          expect(runJobs([], [mac(hash, key, derived)]).macs).toEqual([true]);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('has the digest and block length of every hash right', () => {
    for (const [hash, { octets, block }] of Object.entries(DIGESTS)) {
      expect(createHash(hash).digest(), hash).toHaveLength(octets);
      // HMAC hashes a key that is longer than a block, and no other.
      const ofKey = (key: Uint8Array) => createHmac(hash, key).update('x').digest('hex');
      const hashed = (key: Uint8Array) => ofKey(createHash(hash).update(key).digest());
      const whole = new Uint8Array(block).fill(1);
      const longer = new Uint8Array(block + 1).fill(1);
      expect([ofKey(whole) === hashed(whole), ofKey(longer) === hashed(longer)], hash).toEqual([false, true]);
    }
  });
});

describe('derivations over node:crypto', () => {
  it('PBKDF1 gives key and IV from one digest', () => {
    const digest = createHash('sha1').update(createHash('sha1').update('pw').update(SALT).digest()).digest();
    const kdf: PbeKdf = { kdf: 'pbkdf1', hash: 'sha1', salt: SALT, iterations: 2 };
    const algorithm = { kdf, cipher: 'des-cbc', keyLength: 8, iv: 8 } as const;
    const parts = (asNss: boolean) => {
      const { key, iv } = decryptJob(algorithm, { ...PASSWORD, ...(asNss && { asNss }) }, IV8);
      return [key, iv as KeyDerivation].map((derivation) => Buffer.from(derive(derivation)));
    };
    expect(parts(false)).toEqual([digest.subarray(0, 8), digest.subarray(8, 16)]);
    expect(parts(true)).toEqual([digest.subarray(0, 8), digest.subarray(12)]);
  });

  it('scrypt: RFC 7914 section 12', () => {
    const vectors: [string, string, number, number, number, string][] = [
      ['', '', 16, 1, 1, '77d6576238657b203b19ca42c18a0497'],
      ['password', 'NaCl', 1024, 8, 16, 'fdbabe1c9d3472007856e7190d01e9fe'],
      ['pleaseletmein', 'SodiumChloride', 16384, 8, 1, '7023bdcb3afd7348461c06cd81fd38eb'],
    ];
    for (const [password, salt, cost, blockSize, parallelization, expected] of vectors) {
      const key = derive({
        kdf: 'scrypt',
        password: utf8(password),
        salt: utf8(salt),
        cost,
        blockSize,
        parallelization,
        length: 16,
      });
      expect(Buffer.from(key).toString('hex')).toBe(expected);
    }
  });
});

describe('jobs', () => {
  const pbkdf2 = (hash: PbeHash, length: number): KeyDerivation => ({
    kdf: 'pbkdf2',
    hash,
    password: PASSWORD.pbkdf2,
    salt: SALT,
    iterations: 3,
    length,
  });
  const key = (hash: PbeHash, length: number) => pbkdf2Sync('pw', SALT, 3, length, hash);
  const aes = (hash: PbeHash): DecryptJob => ({
    cipher: 'aes-cbc',
    key: pbkdf2(hash, 32),
    iv: IV16,
    data: encrypted('aes-256-cbc', key(hash, 32), IV16),
  });
  const camellia: DecryptJob = {
    cipher: 'camellia-192-cbc',
    key: pbkdf2('sha256', 24),
    iv: IV16,
    data: encrypted('camellia-192-cbc', key('sha256', 24), IV16),
  };

  it('of both kinds, mixed, come back in their order', () => {
    const wrong: DecryptJob = { ...aes('sha512'), key: pbkdf2('sha384', 32) };
    const decrypts = [aes('sha512'), aes('sha256'), wrong, camellia, aes('sha1'), aes('md5')];
    const macs = [
      mac('sha512', pbkdf2('sha256', 64), key('sha256', 64)),
      mac('sha256', pbkdf2('sha256', 32), key('sha256', 32)),
      mac('sha256', pbkdf2('sha256', 32), key('sha256', 31)),
      mac('sha256', pbkdf2('sha512', 20), key('sha512', 20)),
      mac('sha384', pbkdf2('sha384', 48), key('sha384', 47)),
      mac('sha1', pbkdf2('sha256', 40), key('sha256', 40)),
    ];
    const results = runJobs(decrypts, macs);
    expect(results.decrypted.map(({ ok }) => ok)).toEqual([true, true, false, true, true, true]);
    for (const result of results.decrypted) {
      if (result.ok) expect(Buffer.from(result.data)).toEqual(Buffer.from(PLAINTEXT));
    }
    expect(results.macs).toEqual([true, true, false, true, false, true]);
    for (const [i, job] of decrypts.entries())
      expect(runJobs([job], []).decrypted).toEqual([results.decrypted[i]]);
  });

  it('cost what is run: equal derivations once in WASM, each time in node:crypto', () => {
    const { key: shared } = aes('sha256');
    const other = { ...shared, salt: concat([SALT, SALT]) } as KeyDerivation;
    const expected = mac('sha256', shared, new Uint8Array(32));
    const sum = (jobs: DecryptJob[]) => jobs.reduce((cost, job) => cost + decryptCost(job), 0);
    const wasm = [aes('sha256'), aes('sha256')];
    expect(distinctCost({ decrypts: wasm, macs: [expected] })).toBe(sum(wasm) / 2);
    const two = [aes('sha256'), { ...aes('sha256'), key: other }, aes('sha256')];
    expect(distinctCost({ decrypts: two, macs: [] })).toBe((sum(two) / 3) * 2);
    const native = [aes('sha512'), aes('sha512'), camellia, camellia];
    expect(distinctCost({ decrypts: native, macs: [] })).toBe(sum(native));
    expect(distinctCost({ decrypts: [...native, ...wasm], macs: [] })).toBe(sum(native) + sum(wasm) / 2);
    expect(distinctCost({ decrypts: [], macs: [] })).toBe(0);
  });

  it.each([
    ['aria-128-cbc', 16],
    ['aria-192-cbc', 24],
    ['aria-256-cbc', 32],
    ['camellia-128-cbc', 16],
    ['camellia-256-cbc', 32],
    ['sm4-cbc', 16],
  ] as const)('%s: whole blocks, right padding', (cipher, length) => {
    const data = encrypted(cipher, key('sha1', length), IV16);
    const job: DecryptJob = { cipher, key: pbkdf2('sha1', length), iv: IV16, data };
    expect(outcome(job)).toBe(Buffer.from(PLAINTEXT).toString());
    expect(outcome({ ...job, data: data.subarray(0, -1) })).toBe('refused');
    expect(outcome({ ...job, data: data.subarray(0, -16) })).toBe('refused');
    expect(outcome({ ...job, data: new Uint8Array(0) })).toBe('refused');
  });

  it('3DES under a rare digest', () => {
    const data = encrypted('des-ede3-cbc', key('sha512', 24), IV8);
    const job: DecryptJob = { cipher: 'des-ede3-cbc', key: pbkdf2('sha512', 24), iv: IV8, data };
    expect(outcome(job)).toBe(Buffer.from(PLAINTEXT).toString());
  });

  it.each(['des-cbc', 'rc2-cbc', 'aes-cbc', 'des-ede3-cbc'] as const)(
    '%s is refused where WASM refuses it',
    (cipher) => {
      const length = { 'des-cbc': 8, 'rc2-cbc': 9, 'aes-cbc': 16, 'des-ede3-cbc': 24 }[cipher];
      const iv = cipher === 'aes-cbc' ? IV16 : IV8;
      const opened = { wasm: 0, native: 0 };
      for (let seed = 0; seed < 2000; seed++) {
        const data = octetsOf(seed % 10 === 0 ? seed % 33 : (seed % 3) * 16, seed); // mostly whole blocks
        const job: DecryptJob = { cipher, key: pbkdf2('sha256', length), iv, data };
        const [wasm] = runJobs([job], []).decrypted;
        const native = decrypt(job);
        if (wasm?.ok === true) opened.wasm++;
        if (native.ok) opened.native++;
        expect(native.ok && Buffer.from(native.data), `seed ${seed}`).toEqual(
          wasm?.ok === true && Buffer.from(wasm.data),
        );
      }
      expect(opened.native).toBe(opened.wasm);
      expect(opened.native).toBeGreaterThan(0);
    },
  );

  describe('AES-GCM (RFC 5084): plaintext only if the tag holds', () => {
    const nonce = new Uint8Array(12).fill(3);
    const cipher = createCipheriv('aes-256-gcm', key('sha256', 32), nonce);
    const data = concat([cipher.update(PLAINTEXT), cipher.final(), cipher.getAuthTag()]);
    const job: DecryptJob = { cipher: 'aes-gcm', key: pbkdf2('sha256', 32), iv: nonce, data };

    it('opens', () => expect(outcome(job)).toBe(Buffer.from(PLAINTEXT).toString()));

    it('with any octet changed, or cut off, is refused', () => {
      for (let at = 0; at < data.length; at++) {
        const changed = Uint8Array.from(data, (octet, i) => (i === at ? octet ^ 1 : octet));
        expect(outcome({ ...job, data: changed })).toBe('refused');
        expect(outcome({ ...job, data: data.subarray(0, at) })).toBe('refused');
      }
    });
  });

  it('scrypt with AES', () => {
    const secret = scryptSync('pw', SALT, 32, { cost: 64, blockSize: 4, parallelization: 2 });
    const job: DecryptJob = {
      cipher: 'aes-cbc',
      key: {
        kdf: 'scrypt',
        password: PASSWORD.pbkdf2,
        salt: SALT,
        cost: 64,
        blockSize: 4,
        parallelization: 2,
        length: 32,
      },
      iv: IV16,
      data: encrypted('aes-256-cbc', secret, IV16),
    };
    expect(outcome(job)).toBe(Buffer.from(PLAINTEXT).toString());
  });
});

describe('Wycheproof, PBES2 by AlgorithmIdentifier', () => {
  interface Test {
    tcId: number;
    comment: string;
    result: string;
    password: string;
    salt: string;
    iterationCount: number;
    iv: string;
    msg: string;
    ct: string;
  }

  it.each([
    ['sha1', 128],
    ['sha1', 256],
    ['sha256', 128],
    ['sha256', 256],
  ] as const)('HMAC-%s, AES-%i', (hash, bits) => {
    const path = new URL(`../vectors/wycheproof/pbes2_hmac${hash}_aes_${bits}_test.json`, import.meta.url);
    const { testGroups } = JSON.parse(readFileSync(path, 'utf8')) as { testGroups: { tests: Test[] }[] };
    const tests = testGroups.flatMap((group) => group.tests).filter((test) => test.iterationCount <= 10_000);
    expect(tests.length).toBeGreaterThanOrEqual(50);
    const jobs = tests.map(({ password, salt, iterationCount, iv, ct }) => {
      const algorithm = writeDer((w) =>
        w.sequence((w) => {
          w.oid(OID.PBES2);
          w.sequence((w) => {
            w.sequence((w) => {
              w.oid(OID.PBKDF2);
              w.sequence((w) => {
                w.octets(fromHex(salt));
                w.integer(iterationCount);
                w.sequence((w) => w.oid(hash === 'sha1' ? OID.hmacWithSHA1 : OID.hmacWithSHA256));
              });
            });
            w.sequence((w) => {
              w.oid(bits === 128 ? OID.aes128Cbc : OID.aes256Cbc);
              w.octets(fromHex(iv));
            });
          });
        }),
      );
      const octets = fromHex(password);
      return decryptJob(
        readPbeAlgorithm(parseDer(algorithm)),
        { pkcs12: octets, pbkdf2: octets },
        fromHex(ct),
      );
    });
    const { decrypted } = runJobs(jobs, []);
    for (const [i, { tcId, comment, result, msg }] of tests.entries()) {
      const got = decrypted[i];
      const shown = got?.ok === true ? Buffer.from(got.data).toString('hex') : 'refused';
      expect(shown, `${tcId}: ${comment}`).toBe(result === 'invalid' ? 'refused' : msg);
    }
  });
});

describe('encrypted private keys of vectors/', () => {
  const rows = vectorSources().flatMap((source) =>
    (readIndex(source) as OtherRow[])
      .filter(({ kind, form, encryption }) => kind === 'key' && form === 'DER' && encryption !== undefined)
      .filter(({ format }) => format === 'PKCS#8 encrypted')
      .map(({ path, password }) => ({ source, path, password: password as string })),
  );

  it.each(rows)('$source/$path', ({ source, path, password }) => {
    const [algorithm, data] = parseDer(readVector(source, path)).children;
    const octets = utf8(password);
    const job = decryptJob(
      readPbeAlgorithm(algorithm as DerNode),
      { pkcs12: octets, pbkdf2: octets },
      readOctets(data as DerNode),
    );
    const [result] = runJobs([job], []).decrypted;
    expect(result?.ok).toBe(true);
    if (result?.ok === true) expect(PrivateKey.parse(result.data).publicKey).toBeDefined();
  });

  it('has some', () => expect(rows.length).toBeGreaterThan(5));
});

describe('damage', () => {
  type Build = (w: DerWriter) => void;
  const sequence = (oid: string, parameters: Build) => (w: DerWriter) =>
    w.sequence((w) => {
      w.oid(oid);
      parameters(w);
    });
  const params = (w: DerWriter, ...numbers: number[]) =>
    w.sequence((w) => {
      w.octets(SALT);
      for (const number of numbers) w.integer(number);
    });
  const pbes2 = (kdf: Build, cipher: Build) =>
    writeDer(
      sequence(OID.PBES2, (w) =>
        w.sequence((w) => {
          kdf(w);
          cipher(w);
        }),
      ),
    );
  const scrypt = sequence(OID.scrypt, (w) => params(w, 16, 2, 1));
  const pbkdf2 = sequence(OID.PBKDF2, (w) =>
    w.sequence((w) => {
      w.octets(SALT);
      w.integer(2);
      sequence(OID.hmacWithSHA512, (w) => w.null())(w);
    }),
  );
  const gcm = sequence(OID.aes128Gcm, (w) =>
    w.sequence((w) => {
      w.octets(new Uint8Array(12));
      w.integer(16);
    }),
  );
  const algorithms = {
    'scrypt and AES': pbes2(
      scrypt,
      sequence(OID.aes256Cbc, (w) => w.octets(IV16)),
    ),
    'scrypt and GCM': pbes2(scrypt, gcm),
    'PBKDF2 and Camellia': pbes2(
      pbkdf2,
      sequence(OID.camellia192Cbc, (w) => w.octets(IV16)),
    ),
    'PBKDF2 and DES': pbes2(
      pbkdf2,
      sequence(OID.desCBC, (w) => w.octets(IV8)),
    ),
    'PBKDF2 and RC2': pbes2(
      pbkdf2,
      sequence(OID.rc2CBC, (w) =>
        w.sequence((w) => {
          w.integer(160);
          w.octets(IV8);
        }),
      ),
    ),
    PBES1: writeDer(sequence(OID.pbeWithMD5AndDES, (w) => params(w, 2))),
  };

  it.each(Object.entries(algorithms))(
    '%s: any octet set to anything is a coded error or a result',
    (_, der) => {
      const seen = new Set<string>();
      for (let at = 0; at < der.length; at++) {
        for (let value = 0; value < 256; value += at % 2 === 0 ? 1 : 3) {
          try {
            const algorithm = readPbeAlgorithm(
              parseDer(Uint8Array.from(der, (octet, i) => (i === at ? value : octet))),
            );
            const job = decryptJob(algorithm, PASSWORD, octetsOf(32, value));
            if (decryptCost(job) > 2000) continue;
            runJobs([job], []);
            seen.add('result');
          } catch (error) {
            if (!(error instanceof MailsealError))
              throw new Error(`octet ${at} = ${value}`, { cause: error });
            seen.add(error.code);
          }
        }
      }
      expect([...seen]).toEqual(
        expect.arrayContaining(['result', 'UNSUPPORTED_ALGORITHM', 'ASN1_UNEXPECTED']),
      );
    },
  );
});
