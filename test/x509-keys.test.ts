import {
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { contextConstructed } from '../src/asn1/tags.js';
import { parseDer } from '../src/asn1/tape.js';
import { type DerWriter, writeDer } from '../src/asn1/write.js';
import { fromBase64, fromHex, readPem, toHex } from '../src/bytes.js';
import { MailsealError } from '../src/errors.js';
import { PrivateKey, PublicKey } from '../src/x509/keys.js';
import { readIndex, readVector, vectorSources } from './helpers/vectors.js';

// Plain Uint8Arrays: slice() of a Buffer is a view.
const pkcs8 = (key: KeyObject) => Uint8Array.from(key.export({ format: 'der', type: 'pkcs8' }));
const spki = (key: KeyObject) => Uint8Array.from(key.export({ format: 'der', type: 'spki' }));
const ec = (namedCurve: string) => () => generateKeyPairSync('ec', { namedCurve });

const KINDS: [
  name: string,
  algorithm: string,
  generate: () => { privateKey: KeyObject; publicKey: KeyObject },
][] = [
  ['RSA 1024', 'rsa', () => generateKeyPairSync('rsa', { modulusLength: 1024 })],
  ['RSA 2041, an odd length', 'rsa', () => generateKeyPairSync('rsa', { modulusLength: 2041 })],
  [
    'RSA with exponent 3',
    'rsa',
    () => generateKeyPairSync('rsa', { modulusLength: 1024, publicExponent: 3 }),
  ],
  ['P-224', 'ec', ec('secp224r1')],
  ['P-256', 'ec', ec('P-256')],
  ['P-384', 'ec', ec('P-384')],
  ['P-521', 'ec', ec('P-521')],
  ['secp256k1', 'ec', ec('secp256k1')],
  ['brainpoolP256r1', 'ec', ec('brainpoolP256r1')],
  ['brainpoolP384r1', 'ec', ec('brainpoolP384r1')],
  ['brainpoolP512r1', 'ec', ec('brainpoolP512r1')],
  ['Ed25519', 'ed25519', () => generateKeyPairSync('ed25519')],
  ['Ed448', 'ed448', () => generateKeyPairSync('ed448')],
  ['X25519', 'x25519', () => generateKeyPairSync('x25519')],
  ['X448', 'x448', () => generateKeyPairSync('x448')],
];

describe.each(KINDS)('%s', (_, algorithm, generate) => {
  const pair = generate();

  test('the same keys as Node reads', () => {
    const publicKey = PublicKey.parse(spki(pair.publicKey));
    const privateKey = PrivateKey.parse(pkcs8(pair.privateKey));
    expect(publicKey.algorithm).toBe(algorithm);
    expect(privateKey.algorithm).toBe(algorithm);
    expect(publicKey.keyObject.equals(pair.publicKey)).toBe(true);
    expect(privateKey.keyObject.equals(pair.privateKey)).toBe(true);
    expect(privateKey.publicKey.equals(publicKey)).toBe(true);
    expect(toHex(privateKey.publicKey.der)).toBe(toHex(publicKey.der));
    expect(publicKey.keyObject).toBe(publicKey.keyObject);
    expect(privateKey.keyObject).toBe(privateKey.keyObject);
    expect(toHex(privateKey.toPkcs8())).toBe(toHex(pkcs8(pair.privateKey)));
  });

  test('another key is another key', () => {
    const other = PublicKey.parse(spki(generate().publicKey));
    expect(other.equals(PublicKey.parse(spki(pair.publicKey)))).toBe(false);
  });

  test('cut off at every octet, or with one octet changed: a key or a MailsealError', () => {
    const der = pkcs8(pair.privateKey);
    for (let length = 0; length < der.length; length++) expectKeyOrError(der.slice(0, length), false);
    for (let at = 0; at < der.length; at++) {
      const changed = der.slice();
      changed[at] = (changed[at] as number) ^ (at % 2 === 0 ? 0xff : 1 << (at % 8));
      expectKeyOrError(changed, true);
    }
  });
});

function expectKeyOrError(der: Uint8Array, allowKey: boolean): void {
  try {
    const key = PrivateKey.parse(der);
    expect(allowKey).toBe(true);
    // What parses is consistent, so that using it can't fail either.
    expect(createPublicKey(key.keyObject).equals(key.publicKey.keyObject)).toBe(true);
  } catch (error) {
    expect(error).toBeInstanceOf(MailsealError);
  }
}

function writeSpki(algorithm: (w: DerWriter) => void, bits: Uint8Array): Uint8Array {
  return writeDer((w) =>
    w.sequence((w) => {
      w.sequence(algorithm);
      w.bitString(bits);
    }),
  );
}

interface EcInput {
  /** In the AlgorithmIdentifier; null: none. */
  curve?: string | null;
  /** In ECPrivateKey. */
  innerCurve?: string;
  scalar: Uint8Array;
  point?: Uint8Array;
  /** Beside the private key, in OneAsymmetricKey. */
  outerPoint?: Uint8Array;
  version?: number;
}

function ecPkcs8({
  curve = OID.secp256r1,
  innerCurve,
  scalar,
  point,
  outerPoint,
  version = 1,
}: EcInput): Uint8Array {
  return writeDer((w) =>
    w.sequence((w) => {
      w.integer(outerPoint ? 1 : 0);
      w.sequence((w) => {
        w.oid(OID.ecPublicKey);
        if (curve !== null) w.oid(curve);
      });
      w.octets(writeDer((w) => ecPrivate(w, version, scalar, innerCurve, point)));
      if (outerPoint) w.implicit(1, Uint8Array.of(0, ...outerPoint));
    }),
  );
}

function ecPrivate(
  w: DerWriter,
  version: number,
  scalar: Uint8Array,
  curve?: string,
  point?: Uint8Array,
): void {
  w.sequence((w) => {
    w.integer(version);
    w.octets(scalar);
    if (curve) w.explicit(0, (w) => w.oid(curve));
    if (point) w.explicit(1, (w) => w.bitString(point));
  });
}

describe('EC keys', () => {
  // Scalar 1: the public point is the generator, and 31 leading zeros can be dropped.
  const one = new Uint8Array(32);
  one[31] = 1;
  const generator = fromHex(
    '046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5',
  );
  const compressed = Uint8Array.of(3, ...generator.slice(1, 33));
  const order = fromHex('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');
  const other = fromHex(
    '047cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc4766997807775510db8ed040293d9ac69f7430dbba7dade63ce982299e04b79d227873d1',
  ); // scalar 2

  test.each<[string, EcInput]>([
    ['no public part', { scalar: one }],
    ['a public part', { scalar: one, point: generator }],
    ['a compressed public part', { scalar: one, point: compressed }],
    ['the public part beside the key', { scalar: one, outerPoint: generator }],
    ['a compressed public part beside the key', { scalar: one, outerPoint: compressed }],
    ['leading zeros dropped', { scalar: Uint8Array.of(1) }],
    ['leading zeros added', { scalar: Uint8Array.of(0, 0, ...one) }],
    ['the curve in the inner key only', { curve: null, innerCurve: OID.secp256r1, scalar: one }],
    ['the curve in both places', { innerCurve: OID.secp256r1, scalar: one, point: generator }],
  ])('%s', (_, input) => {
    const key = PrivateKey.parse(ecPkcs8(input));
    expect(key.publicKey.curve).toBe('P-256');
    expect(toHex(key.publicKey.bits)).toBe(toHex(generator));
    const signature = sign('sha256', Buffer.from('x'), key.keyObject);
    expect(verify('sha256', Buffer.from('x'), key.publicKey.keyObject, signature)).toBe(true);
  });

  test.each<[string, EcInput, string]>([
    ['the public part of another key', { scalar: one, point: other }, 'KEY_MALFORMED'],
    ['another public part beside the key', { scalar: one, outerPoint: other }, 'KEY_MALFORMED'],
    ['a public part that is no point', { scalar: one, point: generator.slice(0, 64) }, 'KEY_MALFORMED'],
    ['a point at infinity', { scalar: one, point: Uint8Array.of(0) }, 'KEY_MALFORMED'],
    ['a hybrid point', { scalar: one, point: Uint8Array.of(7, ...generator.slice(1)) }, 'KEY_MALFORMED'],
    ['scalar zero', { scalar: new Uint8Array(32) }, 'KEY_MALFORMED'],
    ['an empty scalar', { scalar: new Uint8Array(0) }, 'KEY_MALFORMED'],
    ['the order as scalar', { scalar: order }, 'KEY_MALFORMED'],
    ['a scalar of 33 octets', { scalar: Uint8Array.of(1, ...one) }, 'KEY_MALFORMED'],
    ['two different curves', { innerCurve: OID.secp384r1, scalar: one }, 'KEY_MALFORMED'],
    ['no curve', { curve: null, scalar: one }, 'UNSUPPORTED_ALGORITHM'],
    ['a curve that is not built', { curve: '1.3.132.0.16', scalar: one }, 'UNSUPPORTED_ALGORITHM'],
    ['another version', { scalar: one, version: 2 }, 'KEY_MALFORMED'],
  ])('%s is refused', (_, input, code) => {
    expect(() => PrivateKey.parse(ecPkcs8(input))).toThrow(expect.objectContaining({ code }));
  });

  test('ECPrivateKey as such must name its curve', () => {
    const named = writeDer((w) => ecPrivate(w, 1, one, OID.secp256r1));
    expect(toHex(PrivateKey.parseSec1(named).publicKey.bits)).toBe(toHex(generator));
    const nameless = writeDer((w) => ecPrivate(w, 1, one));
    expect(() => PrivateKey.parseSec1(nameless)).toThrow(expect.objectContaining({ code: 'KEY_MALFORMED' }));
  });

  const ecSpki = (bits: Uint8Array, parameters: (w: DerWriter) => void = (w) => w.oid(OID.secp256r1)) =>
    writeSpki((w) => {
      w.oid(OID.ecPublicKey);
      parameters(w);
    }, bits);

  test('a compressed point is the same key', () => {
    const key = PublicKey.parse(ecSpki(compressed));
    const uncompressed = PublicKey.parse(ecSpki(generator));
    expect(key.equals(uncompressed)).toBe(true);
    expect(key.keyObject.equals(uncompressed.keyObject)).toBe(true);
  });

  test('a point that is not on its curve is KEY_MALFORMED when it is used', () => {
    const off = generator.slice();
    off[64] = (off[64] as number) ^ 1;
    expect(() => PublicKey.parse(ecSpki(off)).keyObject).toThrow(
      expect.objectContaining({ code: 'KEY_MALFORMED' }),
    );
    const noSquare = Uint8Array.of(2, ...new Uint8Array(31), 7);
    const key = PublicKey.parse(ecSpki(noSquare));
    expect(() => key.keyObject).toThrow(expect.objectContaining({ code: 'KEY_MALFORMED' }));
  });

  test('explicit parameters (CVE-2020-0601) can be read, not used', () => {
    const explicit = PublicKey.parse(ecSpki(generator, (w) => w.sequence((w) => w.integer(1))));
    expect(explicit.curve).toBeUndefined();
    expect(() => explicit.keyObject).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_ALGORITHM', oid: OID.ecPublicKey }),
    );
    expect(explicit.equals(PublicKey.parse(ecSpki(generator)))).toBe(false);
  });

  test('a curve that is not built is named', () => {
    const key = PublicKey.parse(ecSpki(generator, (w) => w.oid('1.3.132.0.16')));
    expect(() => key.keyObject).toThrow(expect.objectContaining({ oid: '1.3.132.0.16' }));
  });
});

describe('OKP keys (RFC 8410 section 10.3)', () => {
  const V1 = 'MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC';
  const V2 =
    'MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhCoB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=';
  const PUBLIC = 'MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=';

  test.each([
    ['version 1', V1],
    ['version 2, with an attribute and the public key', V2],
  ])('%s', (_, text) => {
    expect(PrivateKey.parse(fromBase64(text)).publicKey.equals(PublicKey.parse(fromBase64(PUBLIC)))).toBe(
      true,
    );
  });

  test('the public key of another private key is refused', () => {
    const der = fromBase64(V2);
    der[der.length - 1] = (der[der.length - 1] as number) ^ 1;
    expect(() => PrivateKey.parse(der)).toThrow(expect.objectContaining({ code: 'KEY_MALFORMED' }));
  });

  test('X25519 agrees on a secret', () => {
    const mine = PrivateKey.parse(pkcs8(generateKeyPairSync('x25519').privateKey));
    const theirs = generateKeyPairSync('x25519');
    const ours = diffieHellman({
      privateKey: mine.keyObject,
      publicKey: PublicKey.parse(spki(theirs.publicKey)).keyObject,
    });
    expect(toHex(ours)).toBe(
      toHex(diffieHellman({ privateKey: theirs.privateKey, publicKey: mine.publicKey.keyObject })),
    );
  });

  test.each<[string, (w: DerWriter) => void, Uint8Array]>([
    ['a short key', () => {}, new Uint8Array(31)],
    ['a long key', () => {}, new Uint8Array(33)],
    ['parameters', (w) => w.null(), new Uint8Array(32)],
  ])('%s is refused', (_, parameters, bits) => {
    const der = writeSpki((w) => {
      w.oid(OID.Ed25519);
      parameters(w);
    }, bits);
    expect(() => PublicKey.parse(der)).toThrow(expect.objectContaining({ code: 'KEY_MALFORMED' }));
  });
});

describe('keys that are not built', () => {
  test('DSA can be read and compared, not used', () => {
    const pair = generateKeyPairSync('dsa', { modulusLength: 1024, divisorLength: 160 });
    const publicKey = PublicKey.parse(spki(pair.publicKey));
    const privateKey = PrivateKey.parse(pkcs8(pair.privateKey));
    expect(publicKey.algorithm).toBe('dsa');
    expect(privateKey.publicKey.equals(publicKey)).toBe(true);
    const refused = expect.objectContaining({ code: 'UNSUPPORTED_ALGORITHM', oid: OID.dsa });
    expect(() => publicKey.keyObject).toThrow(refused);
    expect(() => privateKey.keyObject).toThrow(refused);
  });

  test('an unknown public key can be read, an unknown private key is refused by name', () => {
    const slhDsa = '2.16.840.1.101.3.4.3.20';
    const der = writeSpki((w) => w.oid(slhDsa), new Uint8Array(32));
    const publicKey = PublicKey.parse(der);
    expect(publicKey.algorithm).toBe('unknown');
    expect(publicKey.keyIdentifier).toHaveLength(20);
    const refused = expect.objectContaining({ code: 'UNSUPPORTED_ALGORITHM', oid: slhDsa });
    expect(() => publicKey.keyObject).toThrow(refused);
    const privateKey = writeDer((w) =>
      w.sequence((w) => {
        w.integer(0);
        w.sequence((w) => w.oid(slhDsa));
        w.octets(new Uint8Array(32));
      }),
    );
    expect(() => PrivateKey.parse(privateKey)).toThrow(refused);
  });
});

describe('wiping', () => {
  let key: PrivateKey;
  let der: Uint8Array;
  beforeAll(() => {
    der = pkcs8(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
    key = PrivateKey.parse(der);
  });

  test('the key holds its own copy', () => {
    const mine = der.slice();
    const other = PrivateKey.parse(mine);
    mine.fill(0);
    expect(toHex(other.toPkcs8())).toBe(toHex(der));
    other.toPkcs8().fill(0);
    expect(toHex(other.toPkcs8())).toBe(toHex(der));
  });

  test('afterwards the private key is gone, the public key is not', () => {
    expect(key.keyObject.type).toBe('private');
    key.wipe();
    const gone = expect.objectContaining({ code: 'KEY_UNSUITABLE' });
    expect(() => key.keyObject).toThrow(gone);
    expect(() => key.toPkcs8()).toThrow(gone);
    expect(key.publicKey.keyObject.type).toBe('public');
    key.wipe();
  });
});

describe('structure of PKCS#8', () => {
  const inner = Uint8Array.of(4, 32, ...new Uint8Array(32).fill(7));
  const build = (write: (w: DerWriter) => void) => writeDer((w) => w.sequence(write));
  const algorithm = (w: DerWriter) => w.sequence((w) => w.oid(OID.X25519));

  test.each<[string, Uint8Array]>([
    [
      'no version',
      build((w) => {
        algorithm(w);
        w.octets(inner);
      }),
    ],
    [
      'version 2',
      build((w) => {
        w.integer(2);
        algorithm(w);
        w.octets(inner);
      }),
    ],
    [
      'no key',
      build((w) => {
        w.integer(0);
        algorithm(w);
      }),
    ],
    [
      'an unknown field',
      build((w) => {
        w.integer(0);
        algorithm(w);
        w.octets(inner);
        w.implicit(2, inner);
      }),
    ],
    [
      'octets after the inner key',
      build((w) => {
        w.integer(0);
        algorithm(w);
        w.octets(Uint8Array.of(...inner, 0));
      }),
    ],
    [
      'an encrypted key',
      build((w) => {
        algorithm(w);
        w.octets(inner);
      }),
    ],
  ])('%s is refused', (_, der) => {
    expect(() => PrivateKey.parse(der)).toThrow(MailsealError);
  });

  test('BER with a constructed key', () => {
    const der = writeDer((w) =>
      w.sequence((w) => {
        w.integer(0);
        algorithm(w);
        w.tagged(
          0x24,
          writeDer((w) => {
            w.octets(inner.slice(0, 10));
            w.octets(inner.slice(10));
          }),
        );
      }),
    );
    expect(PrivateKey.parse(der).algorithm).toBe('x25519');
  });

  test('attributes are allowed', () => {
    const der = build((w) => {
      w.integer(0);
      algorithm(w);
      w.octets(inner);
      w.raw(fromHex('a000'));
    });
    expect(parseDer(der).children[3]?.is(contextConstructed(0))).toBe(true);
    expect(PrivateKey.parse(der).algorithm).toBe('x25519');
  });
});

describe('every key of the vectors', () => {
  const rows = vectorSources().flatMap((source) =>
    readIndex(source).flatMap((row) => (row.kind === 'key' ? [{ source, path: row.path }] : [])),
  );

  test('is read as OpenSSL reads it, or refused by name', () => {
    let same = 0;
    const refused: string[] = [];
    for (const { source, path } of rows) {
      const bytes = readVector(source, path);
      const blocks = bytes[0] === 0x30 ? [{ label: 'PRIVATE KEY', bytes }] : readPem(bytes);
      for (const block of blocks) {
        const { parse, type } = PARSERS[block.label] ?? {};
        if (parse === undefined || type === undefined) continue;
        let key: PrivateKey;
        try {
          key = parse(block.bytes);
          void key.keyObject;
        } catch (error) {
          expect(error).toBeInstanceOf(MailsealError);
          refused.push((error as MailsealError).code);
          continue;
        }
        const theirs = openSslKey(block.bytes, type);
        if (theirs === undefined || key.algorithm === 'rsa-pss') continue;
        expect(key.keyObject.equals(theirs), `${source}/${path}`).toBe(true);
        same++;
      }
    }
    expect(same).toBeGreaterThan(60);
    expect(
      [...new Set(refused)].filter((code) => code.startsWith('KEY_') || code === 'X509_MALFORMED'),
    ).toEqual([]);
  });
});

const PARSERS: Readonly<
  Record<string, { parse: (der: Uint8Array) => PrivateKey; type: 'pkcs8' | 'pkcs1' | 'sec1' }>
> = {
  'PRIVATE KEY': { parse: (der) => PrivateKey.parse(der), type: 'pkcs8' },
  'RSA PRIVATE KEY': { parse: (der) => PrivateKey.parsePkcs1(der), type: 'pkcs1' },
  'EC PRIVATE KEY': { parse: (der) => PrivateKey.parseSec1(der), type: 'sec1' },
};

function openSslKey(der: Uint8Array, type: 'pkcs8' | 'pkcs1' | 'sec1'): KeyObject | undefined {
  try {
    return createPrivateKey({ key: Buffer.from(der), format: 'der', type });
  } catch {
    return undefined;
  }
}
