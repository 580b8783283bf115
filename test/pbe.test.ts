/** AlgorithmIdentifiers of password-based encryption: what each means, what it costs, and what is refused. */
import { describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { parseDer } from '../src/asn1/tape.js';
import { type DerWriter, writeDer } from '../src/asn1/write.js';
import { decryptCost, decryptJob, macCost, macJob, readPbeAlgorithm } from '../src/pbe.js';

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

const pbes2 = (input: Pbes2 = {}) =>
  algorithm(OID.PBES2, (w) =>
    w.sequence((w) => {
      w.sequence((w) => {
        w.oid(input.kdf ?? OID.PBKDF2);
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
        });
      });
      w.sequence((w) => {
        w.oid(input.cipher ?? OID.aes256Cbc);
        if (input.parameters !== null) (input.parameters ?? ((w) => w.octets(IV16)))(w);
      });
    }),
  );

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
    expect(decryptCost(result)).toBe(2048 * blocks);
  });

  it('derives key and IV under their own purpose, from the BMPString', () => {
    const password = { pkcs12: Uint8Array.of(0, 65, 0, 0), pbkdf2: Uint8Array.of(65) };
    const job = decryptJob(read(algorithm(OID['pbeWithSHAAnd40BitRC2-CBC'], pkcs12())), password, IV8);
    const common = {
      kdf: 'pkcs12',
      hash: 'sha1',
      password: password.pkcs12,
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
    const mac = { kdf: 'pkcs12', hash: 'sha256', salt: SALT, iterations: 7 } as const;
    expect(macJob(mac, password, IV8, IV16).key).toEqual({
      ...mac,
      password: password.pkcs12,
      id: 3,
      length: 32,
    });
    expect(macCost(mac)).toBe(7);
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
    ['RC2-256', { cipher: OID.rc2CBC, parameters: rc2(256) }, { keyLength: 32, effectiveKeyBits: 256 }, 4],
  ])('%s', (_, input, expected, blocks) => {
    const { kdf, ...cipher } = read(pbes2(input));
    expect({ ...kdf, ...cipher }).toMatchObject({ kdf: 'pbkdf2', iterations: 1000, ...expected });
    expect(decryptCost({ kdf, ...cipher })).toBe(1000 * blocks);
  });

  it('derives from the UTF-8 octets and takes the IV as given', () => {
    const password = { pkcs12: Uint8Array.of(0, 65, 0, 0), pbkdf2: Uint8Array.of(65) };
    expect(decryptJob(read(pbes2({ prf: OID.hmacWithSHA256 })), password, IV8)).toEqual({
      cipher: 'aes-cbc',
      key: {
        kdf: 'pbkdf2',
        hash: 'sha256',
        password: password.pbkdf2,
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
    expect(read(pbes2({ iterations: 2 ** 40 })).kdf.iterations).toBe(2 ** 40);
  });
});

describe('refused', () => {
  const otherSource: Build = (w) => w.sequence((w) => w.oid('1.2.3.4'));
  it.each<[string, Uint8Array, string, string?]>([
    ['PBES1', algorithm(OID.pbeWithMD5AndDES, pkcs12()), 'UNSUPPORTED_ALGORITHM', OID.pbeWithMD5AndDES],
    ['scrypt', pbes2({ kdf: OID.scrypt }), 'UNSUPPORTED_ALGORITHM', OID.scrypt],
    ['PRF SHA-512', pbes2({ prf: OID.hmacWithSHA512 }), 'UNSUPPORTED_ALGORITHM', OID.hmacWithSHA512],
    ['AES-256-GCM', pbes2({ cipher: OID.aes256Gcm }), 'UNSUPPORTED_ALGORITHM', OID.aes256Gcm],
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
