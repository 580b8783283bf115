import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { parseDer } from '../src/asn1/tape.js';
import { readUnsigned } from '../src/asn1/values.js';
import { type DerWriter, writeDer } from '../src/asn1/write.js';
import { toHex } from '../src/bytes.js';
import { MailsealError } from '../src/errors.js';
import { PrivateKey, PublicKey } from '../src/x509/keys.js';

describe('RSA numbers', () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const FIELDS = ['version', 'n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'] as const;
  type Field = (typeof FIELDS)[number];
  const numbers = {} as Record<Field, bigint>;
  parseDer(privateKey.export({ format: 'der', type: 'pkcs1' })).children.forEach((node, i) => {
    numbers[FIELDS[i] as Field] = BigInt(`0x${toHex(readUnsigned(node, 'number'))}`);
  });
  // A multiple of lcm(p - 1, q - 1); adding it always could make d longer than n, which is refused.
  const HALF_PHI = ((numbers.p - 1n) * (numbers.q - 1n)) / 2n;
  const write = (changes: Partial<Record<Field, bigint>>): Uint8Array =>
    writeDer((w) => w.sequence((w) => FIELDS.map((field) => w.integer(changes[field] ?? numbers[field]))));
  const parse = (changes: Partial<Record<Field, bigint>>) => PrivateKey.parsePkcs1(write(changes));

  test('a consistent key', () => {
    expect(parse({}).keyObject.equals(privateKey)).toBe(true);
  });

  test.each<[string, Partial<Record<Field, bigint>>]>([
    ['no CRT values', { dp: 0n, dq: 0n, qi: 0n }],
    ['no coefficient', { qi: 0n }],
    [
      'd that is another one modulo p - 1 and q - 1',
      { d: numbers.d < HALF_PHI ? numbers.d + HALF_PHI : numbers.d - HALF_PHI },
    ],
    ['p and q swapped', { p: numbers.q, q: numbers.p, dp: numbers.dq, dq: numbers.dp, qi: 0n }],
  ])('%s: read, and signs right', (_, changes) => {
    const key = parse(changes);
    const signature = sign('sha256', Buffer.from('x'), key.keyObject);
    expect(verify('sha256', Buffer.from('x'), createPublicKey(privateKey), signature)).toBe(true);
  });

  test.each<[string, Partial<Record<Field, bigint>>, string]>([
    ['another n', { n: numbers.n + 2n }, 'KEY_MALFORMED'],
    ['even n', { n: numbers.n - 1n }, 'KEY_MALFORMED'],
    ['n of 511 bits', { n: (1n << 511n) - 1n }, 'KEY_MALFORMED'],
    ['n of 16385 bits', { n: (1n << 16384n) + 1n }, 'KEY_MALFORMED'],
    ['n zero', { n: 0n }, 'KEY_MALFORMED'],
    ['n negative', { n: -numbers.n }, 'ASN1_BAD_VALUE'],
    ['another e', { e: 17n }, 'KEY_MALFORMED'],
    ['even e', { e: 65536n }, 'KEY_MALFORMED'],
    ['e zero', { e: 0n }, 'KEY_MALFORMED'],
    ['e one, which encrypts nothing', { e: 1n }, 'KEY_MALFORMED'],
    ['e over 64 bits', { e: (1n << 64n) + 1n }, 'KEY_MALFORMED'],
    ['d zero', { d: 0n }, 'KEY_MALFORMED'],
    ['another d', { d: numbers.d + 2n }, 'KEY_MALFORMED'],
    ['d that fits q only', { d: numbers.d + numbers.q - 1n, dp: 0n }, 'KEY_MALFORMED'],
    ['d that fits p only', { d: numbers.d + numbers.p - 1n, dq: 0n }, 'KEY_MALFORMED'],
    ['d longer than n', { d: numbers.d << 1024n }, 'KEY_MALFORMED'],
    ['another p', { p: numbers.p + 2n }, 'KEY_MALFORMED'],
    ['p one and q all of n', { p: 1n, q: numbers.n }, 'KEY_MALFORMED'],
    ['p missing', { p: 0n }, 'KEY_MALFORMED'],
    ['no primes', { p: 0n, q: 0n, dp: 0n, dq: 0n, qi: 0n }, 'UNSUPPORTED_FEATURE'],
    ['a wrong dp, which gives the factors away', { dp: numbers.dp + 2n }, 'KEY_MALFORMED'],
    ['a wrong dq', { dq: numbers.dq + 2n }, 'KEY_MALFORMED'],
    ['a wrong coefficient', { qi: numbers.qi + 1n }, 'KEY_MALFORMED'],
    ['three primes', { version: 1n }, 'UNSUPPORTED_FEATURE'],
    ['an unknown version', { version: 2n }, 'KEY_MALFORMED'],
  ])('%s is refused', (_, changes, code) => {
    expect(() => parse(changes)).toThrow(expect.objectContaining({ code }));
  });

  test('octets after the last number are refused', () => {
    const extended = writeDer((w) =>
      w.sequence((w) => {
        for (const field of FIELDS) w.integer(numbers[field]);
        w.null();
      }),
    );
    expect(() => PrivateKey.parsePkcs1(extended)).toThrow(
      expect.objectContaining({ code: 'ASN1_UNEXPECTED' }),
    );
  });

  test.each<[string, bigint, bigint]>([
    ['even modulus', numbers.n - 1n, numbers.e],
    ['modulus of 511 bits', (1n << 511n) - 1n, numbers.e],
    ['modulus of 16385 bits', (1n << 16384n) + 1n, numbers.e],
    ['exponent one', numbers.n, 1n],
    ['even exponent', numbers.n, 4n],
  ])('a public key with %s is refused', (_, n, e) => {
    const der = rsaSpki((w) => w.null(), OID.rsaEncryption, n, e);
    expect(() => PublicKey.parse(der)).toThrow(expect.objectContaining({ code: 'KEY_MALFORMED' }));
  });

  test('parameters of a public key: NULL or absent', () => {
    expect(PublicKey.parse(rsaSpki(() => {}, OID.rsaEncryption)).modulusLength).toBe(1024);
    expect(() => PublicKey.parse(rsaSpki((w) => w.integer(0), OID.rsaEncryption))).toThrow(MailsealError);
  });

  test('RSASSA-PSS keys keep their restriction and are the same key', () => {
    const restricted = PublicKey.parse(
      rsaSpki(
        (w) =>
          w.sequence((w) => {
            const hash = (w: DerWriter) => w.sequence((w) => w.oid(OID.sha256));
            w.explicit(0, hash);
            w.explicit(1, (w) =>
              w.sequence((w) => {
                w.oid(OID.mgf1);
                hash(w);
              }),
            );
            w.explicit(2, (w) => w.integer(32));
          }),
        OID.rsassaPss,
      ),
    );
    expect(restricted.algorithm).toBe('rsa-pss');
    expect(restricted.pss).toEqual({ hash: 'sha256', maskHash: 'sha256', saltLength: 32 });
    expect(restricted.equals(PublicKey.parse(rsaSpki((w) => w.null(), OID.rsaEncryption)))).toBe(true);
    expect(PublicKey.parse(rsaSpki(() => {}, OID.rsassaPss)).pss).toBeUndefined();
    expect(PublicKey.parse(rsaSpki((w) => w.sequence(() => {}), OID.rsassaPss)).pss).toEqual({
      hash: 'sha1',
      maskHash: 'sha1',
      saltLength: 20,
    });
  });

  function rsaSpki(
    parameters: (w: DerWriter) => void,
    oid: string,
    n = numbers.n,
    e = numbers.e,
  ): Uint8Array {
    const bits = writeDer((w) =>
      w.sequence((w) => {
        w.integer(n);
        w.integer(e);
      }),
    );
    return writeSpki((w) => {
      w.oid(oid);
      parameters(w);
    }, bits);
  }
});

function writeSpki(algorithm: (w: DerWriter) => void, bits: Uint8Array): Uint8Array {
  return writeDer((w) =>
    w.sequence((w) => {
      w.sequence(algorithm);
      w.bitString(bits);
    }),
  );
}
