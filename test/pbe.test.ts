/** AlgorithmIdentifiers of password-based encryption: what each means, what it costs, and what is refused. */

import { describe, expect, it } from 'vitest';
import { readAlgorithmIdentifier } from '../src/asn1/algorithm.js';
import { OID } from '../src/asn1/oids.js';
import { parseDer } from '../src/asn1/tape.js';
import { type DerWriter, writeDer } from '../src/asn1/write.js';
import { decryptCost, macCost } from '../src/pbe/jobs.js';
import { decryptJob, macJob, type PbeAlgorithm, readPbeAlgorithm, readPbeMac } from '../src/pbe.js';

type Build = (w: DerWriter) => void;

const SALT = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const IV8 = new Uint8Array(8).fill(7);
const IV16 = new Uint8Array(16).fill(7);

const algorithm = (oid: string, parameters?: Build) =>
  writeDer((w) =>
    w.sequence((w) => {
      w.oid(oid);
      parameters?.(w);
    }),
  );

const pkcs12 =
  (salt: Uint8Array = SALT, iterations: number | bigint = 2048): Build =>
  (w) =>
    w.sequence((w) => {
      w.octets(salt);
      w.integer(iterations);
    });

interface Pbes2 {
  kdf?: string;
  salt?: Build;
  iterations?: number | bigint;
  keyLength?: number;
  prf?: string;
  cipher?: string;
  parameters?: Build | null;
}

/** PBKDF2 with its parameters. */
const kdfOf = (input: Pbes2) =>
  algorithm(input.kdf ?? OID.PBKDF2, (w) =>
    w.sequence((w) => {
      if (input.salt === undefined) w.octets(SALT);
      else input.salt(w);
      w.integer(input.iterations ?? 1000);
      if (input.keyLength !== undefined) w.integer(input.keyLength);
      const { prf } = input;
      if (prf !== undefined) {
        w.sequence((w) => {
          w.oid(prf);
          w.null();
        });
      }
    }),
  );

const pbes2 = (input: Pbes2 = {}) =>
  algorithm(OID.PBES2, (w) =>
    w.sequence((w) => {
      w.raw(kdfOf(input));
      w.sequence((w) => {
        w.oid(input.cipher ?? OID.aes256Cbc);
        if (input.parameters !== null) (input.parameters ?? ((w) => w.octets(IV16)))(w);
      });
    }),
  );

const IV12 = new Uint8Array(12).fill(7);
const gcm =
  (tagLength?: number): Build =>
  (w) =>
    w.sequence((w) => {
      w.octets(IV12);
      if (tagLength !== undefined) w.integer(tagLength);
    });

const octets =
  (value: Uint8Array): Build =>
  (w) =>
    w.octets(value);
const rc2 =
  (version: number): Build =>
  (w) =>
    w.sequence((w) => {
      w.integer(version);
      w.octets(IV8);
    });

const read = (der: Uint8Array) => readPbeAlgorithm(parseDer(der));
const PASSWORD = { pkcs12: Uint8Array.of(0, 65, 0, 0), pbkdf2: Uint8Array.of(65) };
const costOf = (algorithm: PbeAlgorithm) => decryptCost(decryptJob(algorithm, PASSWORD, IV8));

describe('PKCS#12 schemes (RFC 7292 appendix C)', () => {
  it.each([
    ['pbeWithSHAAnd3-KeyTripleDES-CBC', 'des-ede3-cbc', 24, undefined, 8, 3],
    ['pbeWithSHAAnd2-KeyTripleDES-CBC', 'des-ede3-cbc', 16, undefined, 8, 2],
    ['pbeWithSHAAnd128BitRC2-CBC', 'rc2-cbc', 16, 128, 8, 2],
    ['pbeWithSHAAnd40BitRC2-CBC', 'rc2-cbc', 5, 40, 8, 2],
    ['pbeWithSHAAnd128BitRC4', 'rc4', 16, undefined, undefined, 1],
    ['pbeWithSHAAnd40BitRC4', 'rc4', 5, undefined, undefined, 1],
  ] as const)('%s', (name, cipher, keyLength, effectiveKeyBits, iv, blocks) => {
    const result = read(algorithm(OID[name], pkcs12()));
    expect(result).toMatchObject({
      cipher,
      keyLength,
      kdf: { kdf: 'pkcs12', hash: 'sha1', iterations: 2048 },
    });
    expect(result.kdf.salt).toEqual(SALT);
    expect(result.effectiveKeyBits).toBe(effectiveKeyBits);
    expect(result.iv).toBe(iv);
    expect(costOf(result)).toBe(2048 * blocks);
  });

  it('derives key and IV under their own purpose, from the BMPString', () => {
    const job = decryptJob(read(algorithm(OID['pbeWithSHAAnd40BitRC2-CBC'], pkcs12())), PASSWORD, IV8);
    const common = {
      kdf: 'pkcs12',
      hash: 'sha1',
      password: PASSWORD.pkcs12,
      salt: SALT,
      iterations: 2048,
    };
    expect(job).toEqual({
      cipher: 'rc2-cbc',
      effectiveKeyBits: 40,
      key: { ...common, id: 1, length: 5 },
      iv: { ...common, id: 2, length: 8 },
      data: IV8,
    });
    const kdf = { kdf: 'pkcs12', hash: 'sha256', salt: SALT, iterations: 7 } as const;
    const mac = macJob({ kdf, hash: 'sha256', keyLength: 32 }, PASSWORD, IV8, IV16);
    expect(mac.key).toEqual({ ...kdf, password: PASSWORD.pkcs12, id: 3, length: 32 });
    expect(macCost(mac)).toBe(7);
  });
});

describe('PBES1 (RFC 8018)', () => {
  it.each([
    ['pbeWithMD5AndDES', 'md5', 'des-cbc', undefined],
    ['pbeWithMD5AndRC2', 'md5', 'rc2-cbc', 64],
    ['pbeWithSHA1AndDES', 'sha1', 'des-cbc', undefined],
    ['pbeWithSHA1AndRC2', 'sha1', 'rc2-cbc', 64],
  ] as const)('%s', (name, hash, cipher, effectiveKeyBits) => {
    const { kdf, ...result } = read(algorithm(OID[name], pkcs12()));
    expect(kdf).toEqual({ kdf: 'pbkdf1', hash, salt: SALT, iterations: 2048 });
    expect(result).toEqual({ cipher, keyLength: 8, iv: 8, ...(effectiveKeyBits && { effectiveKeyBits }) });
    // Key and IV derived each for itself, by calls of node:crypto that cost 8 blocks of WASM.
    expect(costOf({ kdf, ...result })).toBe(2 * 2048 * 8);
  });
});

describe('PBES2 (RFC 8018)', () => {
  it.each<[string, Pbes2, object, number]>([
    ['AES-256, PRF by default SHA-1', {}, { cipher: 'aes-cbc', keyLength: 32, hash: 'sha1', iv: IV16 }, 4],
    ['AES-256, SHA-256', { prf: OID.hmacWithSHA256 }, { keyLength: 32, hash: 'sha256' }, 2],
    ['AES-192', { cipher: OID.aes192Cbc, keyLength: 24 }, { cipher: 'aes-cbc', keyLength: 24 }, 4],
    ['AES-128, SHA-1 named', { cipher: OID.aes128Cbc, prf: OID.hmacWithSHA1 }, { keyLength: 16 }, 2],
    [
      '3DES',
      { cipher: OID.desEde3Cbc, parameters: octets(IV8) },
      { cipher: 'des-ede3-cbc', keyLength: 24, iv: IV8 },
      4,
    ],
    ['DES', { cipher: OID.desCBC, parameters: octets(IV8) }, { cipher: 'des-cbc', keyLength: 8 }, 2],
    ['RC2-40', { cipher: OID.rc2CBC, parameters: rc2(160) }, { keyLength: 5, effectiveKeyBits: 40 }, 2],
    ['RC2-64', { cipher: OID.rc2CBC, parameters: rc2(120) }, { keyLength: 8, effectiveKeyBits: 64 }, 2],
    [
      'RC2-128 with a keyLength of its own',
      { cipher: OID.rc2CBC, parameters: rc2(58), keyLength: 21 },
      { cipher: 'rc2-cbc', keyLength: 21, effectiveKeyBits: 128, iv: IV8 },
      4,
    ],
    [
      'Camellia-192, SHA-512',
      { cipher: OID.camellia192Cbc, prf: OID.hmacWithSHA512, keyLength: 24 },
      { cipher: 'camellia-192-cbc', keyLength: 24, hash: 'sha512' },
      8,
    ],
    ['ARIA-128', { cipher: OID.aria128Cbc }, { cipher: 'aria-128-cbc', keyLength: 16, iv: IV16 }, 8],
    ['SM4', { cipher: OID.sm4Cbc }, { cipher: 'sm4-cbc', keyLength: 16, iv: IV16 }, 8],
    [
      'AES-128-GCM',
      { cipher: OID.aes128Gcm, parameters: gcm(16), prf: OID.hmacWithSHA3_256 },
      { cipher: 'aes-gcm', keyLength: 16, iv: IV12, hash: 'sha3-256' },
      8,
    ],
    ['NSS 3.21, AES-256 named AES-192', { cipher: OID.aes192Cbc, keyLength: 32 }, { keyLength: 32 }, 4],
    [
      'NSS 3.21, Camellia-256 named Camellia-192',
      { cipher: OID.camellia192Cbc, keyLength: 32 },
      { cipher: 'camellia-256-cbc', keyLength: 32 },
      16,
    ],
    ['RC2-256', { cipher: OID.rc2CBC, parameters: rc2(256) }, { keyLength: 32, effectiveKeyBits: 256 }, 4],
  ])('%s', (_, input, expected, blocks) => {
    const { kdf, ...cipher } = read(pbes2(input));
    expect({ ...kdf, ...cipher }).toMatchObject({ kdf: 'pbkdf2', iterations: 1000, ...expected });
    expect(costOf({ kdf, ...cipher })).toBe(1000 * blocks);
  });

  it('derives from the UTF-8 octets and takes the IV as given', () => {
    expect(decryptJob(read(pbes2({ prf: OID.hmacWithSHA256 })), PASSWORD, IV8)).toEqual({
      cipher: 'aes-cbc',
      key: {
        kdf: 'pbkdf2',
        hash: 'sha256',
        password: PASSWORD.pbkdf2,
        salt: SALT,
        iterations: 1000,
        length: 32,
      },
      iv: IV16,
      data: IV8,
    });
  });

  it('takes a salt without octets, and an iteration count for the cost limit to judge', () => {
    expect(read(pbes2({ salt: octets(new Uint8Array(0)) })).kdf.salt).toHaveLength(0);
    expect(read(pbes2({ iterations: 2 ** 40 })).kdf).toMatchObject({ iterations: 2 ** 40 });
  });
});

/** scrypt-params. */
const scrypt = (cost: number | bigint, blockSize: number, parallelization: number, keyLength?: number) =>
  algorithm(OID.PBES2, (w) =>
    w.sequence((w) => {
      w.sequence((w) => {
        w.oid(OID.scrypt);
        w.sequence((w) => {
          w.octets(SALT);
          for (const n of [cost, blockSize, parallelization]) w.integer(n);
          if (keyLength !== undefined) w.integer(keyLength);
        });
      });
      w.sequence((w) => {
        w.oid(OID.aes256Cbc);
        w.octets(IV16);
      });
    }),
  );

describe('scrypt (RFC 7914)', () => {
  it('with its cost', () => {
    for (const keyLength of [undefined, 32]) {
      const { kdf, ...cipher } = read(scrypt(16384, 8, 2, keyLength));
      expect(kdf).toEqual({ kdf: 'scrypt', salt: SALT, cost: 16384, blockSize: 8, parallelization: 2 });
      expect(cipher).toEqual({ cipher: 'aes-cbc', keyLength: 32, iv: IV16 });
      expect(costOf({ kdf, ...cipher })).toBe(16384 * 8 * 2 * 4);
    }
  });

  it.each<[string, Uint8Array, string]>([
    ['N that is no power of two', scrypt(16383, 8, 1), 'ASN1_BAD_VALUE'],
    ['N of one', scrypt(1, 8, 1), 'ASN1_BAD_VALUE'],
    ['N of zero', scrypt(0, 8, 1), 'ASN1_BAD_VALUE'],
    ['N too large for r', scrypt(65536, 1, 1), 'ASN1_BAD_VALUE'],
    ['r of zero', scrypt(16384, 0, 1), 'ASN1_BAD_VALUE'],
    ['p of zero', scrypt(16384, 8, 0), 'ASN1_BAD_VALUE'],
    ['a negative p', scrypt(16384, 8, -1), 'ASN1_BAD_VALUE'],
    ['a gigabyte of memory by N', scrypt(2 ** 20, 8, 1), 'LIMIT_COST'],
    ['a gigabyte of memory by r', scrypt(2, 2 ** 22, 1), 'LIMIT_COST'],
    ['a gigabyte of memory by p', scrypt(2, 8, 2 ** 20), 'LIMIT_COST'],
    ['N beyond all numbers', scrypt(2n ** 60n, 8, 1), 'ASN1_BAD_VALUE'],
    ['a keyLength that the cipher does not have', scrypt(16384, 8, 1, 16), 'ASN1_BAD_VALUE'],
  ])('cost as denial of service: refuses %s', (_, der, code) => {
    expect(() => read(der)).toThrow(expect.objectContaining({ code, offset: expect.any(Number) }));
  });

  it('lets N = 2^17 with r = 8 through, the most that is recommended for logins', () => {
    expect(read(scrypt(2 ** 17, 8, 1)).kdf.kdf).toBe('scrypt');
  });
});

describe('MACs', () => {
  const readMac = (der: Uint8Array) =>
    readPbeMac(readAlgorithmIdentifier(parseDer(der), 'digestAlgorithm'), () => ({
      salt: SALT,
      iterations: 5,
    }));
  const hmac =
    (oid: string): Build =>
    (w) =>
      w.sequence((w) => w.oid(oid));
  const pbmac1 = (input: Pbes2, scheme: string) =>
    algorithm(OID.PBMAC1, (w) =>
      w.sequence((w) => {
        w.raw(kdfOf(input));
        hmac(scheme)(w);
      }),
    );

  it.each([
    ['sha1', 'sha1', 20, 1],
    ['sha256', 'sha256', 32, 1],
    ['md5', 'md5', 16, 8],
    ['sha512_256', 'sha512-256', 32, 8],
    ['sha3_384', 'sha3-384', 48, 8],
  ] as const)('PKCS#12 KDF with %s', (name, hash, keyLength, blocks) => {
    const mac = readMac(algorithm(OID[name], (w) => w.null()));
    expect(mac).toEqual({ hash, keyLength, kdf: { kdf: 'pkcs12', hash, salt: SALT, iterations: 5 } });
    expect(macCost(macJob(mac, PASSWORD, IV8, IV8))).toBe(5 * blocks);
  });

  it.each<[string, number, string, string, number]>([
    ['SHA-256', 32, OID.hmacWithSHA256, OID.hmacWithSHA256, 2],
    ['SHA-1, two blocks of key', 40, OID.hmacWithSHA1, OID.hmacWithSHA1, 4],
    ['PRF SHA-512', 64, OID.hmacWithSHA512, OID.hmacWithSHA256, 8],
    ['HMAC SHA-384', 48, OID.hmacWithSHA256, OID.hmacWithSHA384, 16],
  ])('PBMAC1 (RFC 9579) with %s', (_, keyLength, prf, scheme, blocks) => {
    const mac = readMac(pbmac1({ keyLength, prf }, scheme));
    expect(mac).toMatchObject({ keyLength, kdf: { kdf: 'pbkdf2', iterations: 1000 } });
    const job = macJob(mac, PASSWORD, IV8, IV8);
    expect(job.key).toMatchObject({ password: PASSWORD.pbkdf2, length: keyLength });
    expect(macCost(job)).toBe(1000 * blocks);
  });

  const SHA256 = OID.hmacWithSHA256;
  it.each<[string, Uint8Array, string, string?]>([
    ['without keyLength', pbmac1({ prf: SHA256 }, SHA256), 'ASN1_UNEXPECTED'],
    ['with a key of 19 octets', pbmac1({ keyLength: 19 }, SHA256), 'ASN1_BAD_VALUE'],
    ['with a key of 65 octets', pbmac1({ keyLength: 65 }, SHA256), 'ASN1_BAD_VALUE'],
    ['with a negative keyLength', pbmac1({ keyLength: -32 }, SHA256), 'ASN1_BAD_VALUE'],
    [
      'with an INTEGER for salt',
      pbmac1({ keyLength: 32, salt: (w) => w.integer(8) }, SHA256),
      'ASN1_UNEXPECTED',
    ],
    ['with scrypt', pbmac1({ keyLength: 32, kdf: OID.scrypt }, SHA256), 'UNSUPPORTED_ALGORITHM', OID.scrypt],
    ['with a digest for HMAC', pbmac1({ keyLength: 32 }, OID.sha256), 'UNSUPPORTED_ALGORITHM', OID.sha256],
    [
      'with a digest for PRF',
      pbmac1({ keyLength: 32, prf: OID.sha256 }, SHA256),
      'UNSUPPORTED_ALGORITHM',
      OID.sha256,
    ],
    [
      'with a MAC by MD5',
      pbmac1({ keyLength: 32 }, OID.hmacWithMD5),
      'UNSUPPORTED_ALGORITHM',
      OID.hmacWithMD5,
    ],
    ['without parameters', algorithm(OID.PBMAC1), 'ASN1_UNEXPECTED'],
    ['MD2', algorithm(OID.md2), 'UNSUPPORTED_ALGORITHM', OID.md2],
    ['SHAKE, which has no length', algorithm(OID.shake256), 'UNSUPPORTED_ALGORITHM', OID.shake256],
  ])('PBMAC1 parameters (CVE-2025-11187): refuses one %s', (_, der, code, oid) => {
    expect(() => readMac(der)).toThrow(expect.objectContaining({ code, oid, offset: expect.any(Number) }));
  });
});

describe('refused', () => {
  const otherSource: Build = (w) => w.sequence((w) => w.oid('1.2.3.4'));
  it.each<[string, Uint8Array, string, string?]>([
    ['MD2 and DES', algorithm(OID.pbeWithMD2AndDES, pkcs12()), 'UNSUPPORTED_ALGORITHM', OID.pbeWithMD2AndDES],
    ['MD2 and RC2', algorithm(OID.pbeWithMD2AndRC2, pkcs12()), 'UNSUPPORTED_ALGORITHM', OID.pbeWithMD2AndRC2],
    ['another key derivation', pbes2({ kdf: OID.PBES2 }), 'UNSUPPORTED_ALGORITHM', OID.PBES2],
    ['a digest for PRF', pbes2({ prf: OID.sha512 }), 'UNSUPPORTED_ALGORITHM', OID.sha512],
    ['ECB', pbes2({ cipher: OID.aes256Ecb }), 'UNSUPPORTED_ALGORITHM', OID.aes256Ecb],
    ['a short GCM tag', pbes2({ cipher: OID.aes256Gcm, parameters: gcm(12) }), 'ASN1_BAD_VALUE'],
    ['a GCM tag short by default', pbes2({ cipher: OID.aes256Gcm, parameters: gcm() }), 'ASN1_BAD_VALUE'],
    ['a GCM nonce of 16 octets', pbes2({ cipher: OID.aes256Gcm }), 'ASN1_BAD_VALUE'],
    [
      'Camellia-128 with a longer key',
      pbes2({ cipher: OID.camellia128Cbc, keyLength: 32 }),
      'ASN1_BAD_VALUE',
    ],
    ['salt from elsewhere', pbes2({ salt: otherSource }), 'UNSUPPORTED_ALGORITHM', '1.2.3.4'],
    [
      'an RC2 version outside the table',
      pbes2({ cipher: OID.rc2CBC, parameters: rc2(77) }),
      'UNSUPPORTED_ALGORITHM',
      OID.rc2CBC,
    ],
    [
      'RC2 with more than 1024 bits',
      pbes2({ cipher: OID.rc2CBC, parameters: rc2(1025) }),
      'UNSUPPORTED_ALGORITHM',
      OID.rc2CBC,
    ],
    [
      'an RC2 key of 129 octets',
      pbes2({ cipher: OID.rc2CBC, parameters: rc2(58), keyLength: 129 }),
      'ASN1_BAD_VALUE',
    ],
    [
      'an RC2 key of no octets',
      pbes2({ cipher: OID.rc2CBC, parameters: rc2(58), keyLength: 0 }),
      'ASN1_BAD_VALUE',
    ],
    ['a keyLength that the cipher does not have', pbes2({ keyLength: 16 }), 'ASN1_BAD_VALUE'],
    ['an IV too short', pbes2({ parameters: octets(IV8) }), 'ASN1_BAD_VALUE'],
    ['no IV', pbes2({ parameters: null }), 'ASN1_UNEXPECTED'],
    ['an IV of another type', pbes2({ parameters: (w) => w.null() }), 'ASN1_UNEXPECTED'],
    ['zero iterations', algorithm(OID.pbeWithSHAAnd40BitRC4, pkcs12(SALT, 0)), 'ASN1_BAD_VALUE'],
    ['negative iterations', pbes2({ iterations: -1 }), 'ASN1_BAD_VALUE'],
    ['an iteration count of 64 bits', pbes2({ iterations: 2n ** 63n }), 'ASN1_BAD_VALUE'],
    [
      'a salt of 1025 octets',
      algorithm(OID.pbeWithSHAAnd40BitRC4, pkcs12(new Uint8Array(1025))),
      'LIMIT_LENGTH',
    ],
    ['no parameters', algorithm(OID.pbeWithSHAAnd40BitRC4), 'ASN1_UNEXPECTED'],
    ['NULL for parameters', algorithm(OID.PBES2, (w) => w.null()), 'ASN1_UNEXPECTED'],
    [
      'parameters with more than they have',
      algorithm(OID.pbeWithSHAAnd40BitRC4, (w) =>
        w.sequence((w) => {
          w.octets(SALT);
          w.integer(1);
          w.null();
        }),
      ),
      'ASN1_UNEXPECTED',
    ],
  ])('%s', (_, der, code, oid) => {
    let error: unknown;
    try {
      read(der);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ name: 'MailsealError', code, offset: expect.any(Number) });
    expect((error as { oid?: string }).oid).toBe(oid);
    if (oid !== undefined && oid !== '1.2.3.4')
      expect((error as Error).message).toMatch(oid === OID.rc2CBC ? /rc2/ : oid);
  });
});
