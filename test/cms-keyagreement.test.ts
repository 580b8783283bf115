/**
 * Key agreement: ECDH (RFC 5753), X25519 and X448 (RFC 8418). What we encrypt we open; each form that a sender may write
 * opens; a point that is none of the curve's, or of small order, and everything else that is wrong gives one error.
 */
import { createCipheriv, createECDH, diffieHellman, generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { parseDer } from '../src/asn1/tape.js';
import { readBitOctets } from '../src/asn1/values.js';
import { type DerWriter, writeDer } from '../src/asn1/write.js';
import { concat, equal, fromHex, toHex, utf8 } from '../src/bytes.js';
import {
  type DecryptedContent,
  decryptEnvelopedData,
  type EncryptOptions,
  encryptData,
} from '../src/cms/enveloped.js';
import { type KeyFinder, keyRing } from '../src/cms/recipients.js';
import { MailsealError } from '../src/errors.js';
import { Certificate } from '../src/x509/certificate.js';
import { curveOf } from '../src/x509/curves.js';
import { PrivateKey, PublicKey } from '../src/x509/keys.js';
import { toBer } from './helpers/ber.js';
import { envelopedData, gcmEnvelope, parseEnveloped } from './helpers/enveloped.js';
import { failure } from './helpers/failures.js';
import { type KariInput, kari, originatorKey } from './helpers/kari.js';
import {
  type CertificateInput,
  issueCertificate,
  person as issuePerson,
  type Person,
} from './helpers/pki.js';
import { readVector } from './helpers/vectors.js';

const CONTENT = utf8('Content-Type: text/plain\r\n\r\nSecret\r\n');
const ca = issueCertificate({ subject: 'CA', ca: true });

const person = (input: Partial<CertificateInput> = {}) =>
  issuePerson({ subject: 'Alice', issuer: ca, ...input });

function brainpoolKey(namedCurve: string): Uint8Array {
  return generateKeyPairSync('ec', { namedCurve }).privateKey.export({ format: 'der', type: 'pkcs8' });
}

const ring = (...people: Person[]) => keyRing({ entries: people });

const decrypt = async (message: Uint8Array, keys: KeyFinder): Promise<DecryptedContent> =>
  decryptEnvelopedData(parseEnveloped(message), keys);

const KINDS = ['P-256', 'P-384', 'P-521', 'x25519', 'x448'] as const;
const BRAINPOOL = ['brainpoolP256r1', 'brainpoolP384r1', 'brainpoolP512r1'] as const;
const people = new Map<string, Person>([
  ...KINDS.map((key) => [key, person({ key })] as const),
  ...BRAINPOOL.map((curve) => [curve, person({ key: brainpoolKey(curve) })] as const),
]);
const rsa = person({ key: 'rsa' });
const alice = people.get('P-256') as Person;

describe('encrypt and decrypt', () => {
  for (const [name, one] of people) {
    for (const cipher of ['aes128-cbc', 'aes192-cbc', 'aes256-cbc', 'aes256-gcm'] as const) {
      it(`${name}, ${cipher}`, async () => {
        for (const recipientIdentifier of ['issuerAndSerialNumber', 'subjectKeyIdentifier'] as const) {
          const message = encryptData(CONTENT, {
            recipients: [one.certificate],
            cipher,
            recipientIdentifier,
          });
          parseDer(message, { strict: true });
          for (const encoded of [message, toBer(message, 100)]) {
            const opened = await decrypt(encoded, ring(rsa, one));
            expect(toHex(opened.content)).toBe(toHex(CONTENT));
            expect(opened).toMatchObject({ cipher, keyEncryption: name.startsWith('x') ? name : 'ecdh' });
            expect(opened.recipient?.type).toBe(recipientIdentifier);
            expect(opened.certificate?.equals(one.certificate)).toBe(true);
          }
          expect(parseEnveloped(message).version).toBe(cipher === 'aes256-gcm' ? 0 : 2);
        }
      });
    }
  }

  it('the digest and the key wrap go by the curve and the cipher', () => {
    const rows = [...people].map(([name, { certificate }]) => {
      const [info] = parseEnveloped(
        encryptData(CONTENT, { recipients: [certificate], cipher: 'aes192-cbc' }),
      ).recipientInfos;
      if (info?.type !== 'keyAgreement') throw new Error('no key agreement');
      expect(info.algorithm.parameters?.firstChild?.content).toEqual(
        parseDer(writeDer((w) => w.oid(OID.aes192Wrap))).content,
      );
      return [name, info.algorithm.oid];
    });
    expect(Object.fromEntries(rows)).toEqual({
      'P-256': OID.dhSinglePassStdDhSha256Kdf,
      'P-384': OID.dhSinglePassStdDhSha384Kdf,
      'P-521': OID.dhSinglePassStdDhSha512Kdf,
      x25519: OID.dhSinglePassStdDhHkdfSha256,
      x448: OID.dhSinglePassStdDhHkdfSha512,
      brainpoolP256r1: OID.dhSinglePassStdDhSha256Kdf,
      brainpoolP384r1: OID.dhSinglePassStdDhSha384Kdf,
      brainpoolP512r1: OID.dhSinglePassStdDhSha512Kdf,
    });
  });

  it('everyone of many opens it, with RSA keys among them, and each has a key pair of his own', async () => {
    const all = [...people.values(), rsa];
    const message = encryptData(CONTENT, { recipients: all.map(({ certificate }) => certificate) });
    for (const one of all) expect(equal((await decrypt(message, ring(one))).content, CONTENT)).toBe(true);
    const again = person({ key: 'P-256' });
    const two = parseEnveloped(encryptData(CONTENT, { recipients: [alice.certificate, again.certificate] }));
    const points = two.recipientInfos.map((info) =>
      info.type === 'keyAgreement' && info.originator.type === 'publicKey' ? toHex(info.originator.bits) : '',
    );
    expect(new Set(points).size).toBe(2);
  });

  it('to a certificate with a compressed point', async () => {
    const point = createECDH('prime256v1');
    const full = alice.certificate.publicKey.bits;
    expect(full[0]).toBe(4);
    const compressed = concat([Uint8Array.of(2 + ((full.at(-1) as number) & 1)), full.subarray(1, 33)]);
    point.generateKeys();
    const spki = alice.certificate.publicKey.der;
    const at = Buffer.from(alice.certificate.der).indexOf(spki);
    const body = concat([spki.subarray(2, spki.length - 68), Uint8Array.of(3, 34, 0), compressed]);
    const certificate = rebuilt(
      alice.certificate,
      at,
      spki.length,
      writeDer((w) => w.tagged(0x30, body)),
    );
    const message = encryptData(CONTENT, { recipients: [certificate] });
    expect(equal((await decrypt(message, ring({ ...alice, certificate }))).content, CONTENT)).toBe(true);
  });

  const refused: [name: string, options: () => EncryptOptions, code: string][] = [
    [
      'an EC certificate that is for signing only',
      () => ({ recipients: [person({ keyUsage: ['digitalSignature'] }).certificate] }),
      'KEY_UNSUITABLE',
    ],
    [
      'an EC certificate that is for keyEncipherment only',
      () => ({ recipients: [person({ keyUsage: ['keyEncipherment'] }).certificate] }),
      'KEY_UNSUITABLE',
    ],
    [
      'secp256k1',
      () => ({ recipients: [person({ key: brainpoolKey('secp256k1') }).certificate] }),
      'UNSUPPORTED_ALGORITHM',
    ],
    [
      'Ed25519',
      () => ({ recipients: [person({ key: 'ed25519', keyUsage: null }).certificate] }),
      'UNSUPPORTED_ALGORITHM',
    ],
    [
      'an expired one',
      () => ({ recipients: [person({ notAfter: new Date('2021-01-01') }).certificate] }),
      'KEY_UNSUITABLE',
    ],
  ];
  it.each(refused)('not to %s', async (_, options, code) => {
    expect((await failure(() => encryptData(CONTENT, options()))).code).toBe(code);
  });
});

/** A certificate with other octets in one place, and lengths that fit. */
function rebuilt({ der }: Certificate, at: number, length: number, replacement: Uint8Array): Certificate {
  const [tbs, ...rest] = parseDer(der).children;
  if (tbs === undefined) throw new Error('no certificate');
  const body = concat([
    der.subarray(tbs.contentStart, at),
    replacement,
    der.subarray(at + length, tbs.contentEnd),
  ]);
  return Certificate.parse(
    writeDer((w) =>
      w.sequence((w) => {
        w.tagged(0x30, body);
        for (const one of rest) w.raw(one.bytes);
      }),
    ),
  );
}

const KEY = fromHex('000102030405060708090a0b0c0d0e0f');

const envelope = (...infos: Uint8Array[]) => gcmEnvelope(KEY, CONTENT, infos);

const ecPublicKey =
  (parameters?: (w: DerWriter) => void) =>
  (w: DerWriter): void => {
    w.oid(OID.ecPublicKey);
    parameters?.(w);
  };

/** The sender's half, and what he agrees on with the recipient. */
function sender({ certificate }: Person) {
  const { publicKey } = certificate;
  const { algorithm, curveOid } = publicKey;
  const pair =
    algorithm === 'ec'
      ? generateKeyPairSync('ec', { namedCurve: curveOf(curveOid as string)?.openssl as string })
      : algorithm === 'x448'
        ? generateKeyPairSync('x448')
        : generateKeyPairSync('x25519');
  const { bits } = PublicKey.parse(pair.publicKey.export({ format: 'der', type: 'spki' }));
  return { bits, secret: diffieHellman({ privateKey: pair.privateKey, publicKey: publicKey.keyObject }) };
}

function message(one: Person, input: Partial<KariInput> = {}): Uint8Array {
  const { bits, secret } = sender(one);
  const { algorithm, algorithmOid } = one.certificate.publicKey;
  const originator =
    algorithm === 'ec' ? originatorKey(ecPublicKey(), bits) : originatorKey((w) => w.oid(algorithmOid), bits);
  return envelope(kari({ recipients: [one.certificate], secret, contentKey: KEY, originator, ...input }));
}

async function opens(sealed: Uint8Array, one: Person): Promise<void> {
  expect(toHex((await decrypt(sealed, ring(one))).content)).toBe(toHex(CONTENT));
}

describe('every form that a sender may write opens', () => {
  const schemes = [
    [OID.dhSinglePassStdDhSha1Kdf, 'x963', 'sha1'],
    [OID.dhSinglePassStdDhSha224Kdf, 'x963', 'sha224'],
    [OID.dhSinglePassStdDhSha256Kdf, 'x963', 'sha256'],
    [OID.dhSinglePassStdDhSha384Kdf, 'x963', 'sha384'],
    [OID.dhSinglePassStdDhSha512Kdf, 'x963', 'sha512'],
    [OID.dhSinglePassCofactorDhSha1Kdf, 'x963', 'sha1'],
    [OID.dhSinglePassCofactorDhSha224Kdf, 'x963', 'sha224'],
    [OID.dhSinglePassCofactorDhSha256Kdf, 'x963', 'sha256'],
    [OID.dhSinglePassCofactorDhSha384Kdf, 'x963', 'sha384'],
    [OID.dhSinglePassCofactorDhSha512Kdf, 'x963', 'sha512'],
    [OID.dhSinglePassStdDhHkdfSha256, 'hkdf', 'sha256'],
    [OID.dhSinglePassStdDhHkdfSha384, 'hkdf', 'sha384'],
    [OID.dhSinglePassStdDhHkdfSha512, 'hkdf', 'sha512'],
  ] as const;
  const wraps = [OID.aes128Wrap, OID.aes192Wrap, OID.aes256Wrap];
  for (const [name, one] of people) {
    it(`${name}: every KDF and AES key wrap, its parameters absent or NULL, with and without ukm`, async () => {
      for (const [scheme, kdf, hash] of schemes) {
        for (const wrap of wraps) {
          for (const more of [{}, { withNull: true }, { ukm: utf8('a salt') }]) {
            await opens(message(one, { scheme, kdf, hash, wrap, ...more }), one);
          }
        }
      }
    });
  }

  it('key-wrap parameters of one form in the message, of the other in what is hashed, as Bouncy Castle had it', async () => {
    await opens(message(alice, { withNull: false, hashedWithNull: true }), alice);
    await opens(message(alice, { withNull: true, hashedWithNull: false }), alice);
  });

  it('3DES key wrap, for a content key of 3DES', async () => {
    const contentKey = fromHex('0123456789abcdef23456789abcdef01456789abcdef0123');
    const { bits, secret } = sender(alice);
    const info = kari({
      recipients: [alice.certificate],
      secret,
      contentKey,
      wrap: OID.cms3DesWrap,
      withNull: true,
      originator: originatorKey(ecPublicKey(), bits),
    });
    const iv = new Uint8Array(8);
    const engine = createCipheriv('des-ede3-cbc', contentKey, iv);
    const sealed = envelopedData({
      version: 2,
      recipients: [info],
      cipher: (w) => {
        w.oid(OID.desEde3Cbc);
        w.octets(iv);
      },
      encryptedContent: concat([engine.update(CONTENT), engine.final()]),
    });
    await opens(sealed, alice);
  });

  it('the originator with the curve named, with NULL, with nothing; its point compressed', async () => {
    const { bits, secret } = sender(alice);
    const compressed = concat([Uint8Array.of(2 + ((bits.at(-1) as number) & 1)), bits.subarray(1, 33)]);
    for (const parameters of [
      (w: DerWriter) => w.oid(OID.secp256r1),
      (w: DerWriter) => w.null(),
      undefined,
    ]) {
      for (const point of [bits, compressed]) {
        const originator = originatorKey(ecPublicKey(parameters), point);
        await opens(message(alice, { secret, originator }), alice);
      }
    }
  });

  it('several recipients behind one sender key, by serial number and by rKeyId with a date', async () => {
    const bob = person({ key: 'P-256' });
    const twin = person({ key: alice.issued.privateKey, subject: 'Twin' });
    const { bits, secret } = sender(alice);
    const originator = originatorKey(ecPublicKey(), bits);
    const { keyIdentifier } = alice.certificate.publicKey;
    const sealed = message(alice, {
      secret,
      originator,
      recipients: [bob.certificate, twin.certificate, { keyIdentifier }],
    });
    await opens(sealed, twin);
    await opens(sealed, alice);
    expect((await decrypt(sealed, ring(alice))).recipient?.type).toBe('subjectKeyIdentifier');
    expect((await failure(() => decrypt(sealed, ring(bob)))).code).toBe('DECRYPTION_FAILED');
  });
});

describe('invalid curve attack, small subgroups, and everything else that is wrong: one error', () => {
  const x = people.get('x25519') as Person;
  const offCurve = new Uint8Array(65).fill(1);
  offCurve[0] = 4;
  const infinity = Uint8Array.of(0);
  const zero = new Uint8Array(65);
  zero[0] = 4;
  const noRoot = new Uint8Array(33).fill(0xff);
  noRoot[0] = 2;
  const hybrid = sender(alice).bits.slice();
  hybrid[0] = 6 + ((hybrid.at(-1) as number) & 1);
  const p384 = sender(people.get('P-384') as Person).bits;
  const lowOrder = [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ];
  const points: [name: string, one: Person, bits: Uint8Array][] = [
    ['a point off the curve', alice, offCurve],
    ['infinity', alice, infinity],
    ['the point 0, 0', alice, zero],
    ['a compressed point without a root', alice, noRoot],
    ['a hybrid point', alice, hybrid],
    ['a point of P-384', alice, p384],
    ['half a point', alice, hybrid.subarray(0, 32)],
    ['no octets', alice, new Uint8Array()],
    ...lowOrder.map((hex) => [`X25519 ${hex.slice(0, 8)}…`, x, fromHex(hex)] as [string, Person, Uint8Array]),
    ['X25519 with 31 octets', x, new Uint8Array(31).fill(9)],
    ['X448 of order 1', people.get('x448') as Person, new Uint8Array(56)],
    ['a point off brainpoolP256r1', people.get('brainpoolP256r1') as Person, offCurve],
  ];
  for (const [name, one, bits] of points) {
    it(name, async () => {
      const { algorithm, algorithmOid } = one.certificate.publicKey;
      const type = algorithm === 'ec' ? ecPublicKey() : (w: DerWriter) => w.oid(algorithmOid);
      // What an attacker hopes the recipient agrees on: with small orders he knows it.
      const secret = new Uint8Array(algorithm === 'x448' ? 56 : 32);
      const sealed = message(one, { secret, originator: originatorKey(type, bits) });
      await sameError(sealed, one);
    });
  }

  async function sameError(sealed: Uint8Array, one: Person): Promise<void> {
    const error = await failure(() => decrypt(sealed, ring(one)));
    expect({ ...error, message: error.message, cause: error.cause }).toEqual({
      name: 'MailsealError',
      code: 'DECRYPTION_FAILED',
      message: 'the message does not decrypt',
      cause: undefined,
    });
  }

  const flipped = (octets: Uint8Array, at: number) => {
    const changed = octets.slice();
    changed[at] = (changed[at] as number) ^ 1;
    return changed;
  };
  const rows: [name: string, sealed: () => Uint8Array][] = [
    ['another agreed secret', () => message(alice, { secret: new Uint8Array(32).fill(1) })],
    ['another KDF', () => message(alice, { hash: 'sha384' })],
    ['a content key of 24 octets', () => message(alice, { contentKey: new Uint8Array(24).fill(1) })],
    ['a content key of 32 octets', () => message(alice, { contentKey: new Uint8Array(32).fill(1) })],
    ['another content key', () => message(alice, { contentKey: new Uint8Array(16).fill(1) })],
    [
      'the curve of somebody else',
      () => {
        const { bits } = sender(alice);
        return message(alice, {
          originator: originatorKey(
            ecPublicKey((w) => w.oid(OID.secp384r1)),
            bits,
          ),
        });
      },
    ],
    [
      'a key of X25519 for a recipient on P-256',
      () =>
        message(alice, { originator: originatorKey((w) => w.oid(OID.X25519), new Uint8Array(32).fill(9)) }),
    ],
  ];
  it.each(rows)('%s', async (_, sealed) => sameError(sealed(), alice));

  it('an encrypted key that was changed, cut, or is empty', async () => {
    const sealed = message(alice);
    const info = parseEnveloped(sealed).recipientInfos[0];
    if (info?.type !== 'keyAgreement') throw new Error('no key agreement');
    const encryptedKey = info.encryptedKeys[0] as Uint8Array;
    for (let i = 0; i < encryptedKey.length; i++) {
      const at = encryptedKey.byteOffset - sealed.byteOffset + i;
      await sameError(flipped(sealed, at), alice);
    }
  });

  it('a wiped private key is told as such', async () => {
    const privateKey = PrivateKey.parse(alice.issued.privateKey);
    privateKey.wipe();
    const error = await failure(() => decrypt(message(alice), ring({ ...alice, privateKey })));
    expect(error.code).toBe('KEY_UNSUITABLE');
  });
});

describe('what is not built is refused by name', () => {
  const { bits } = sender(alice);
  const rows: [name: string, input: Partial<KariInput>, code: string, oid?: string][] = [
    ['another scheme', { scheme: OID.esdh }, 'UNSUPPORTED_ALGORITHM', OID.esdh],
    [
      'a sender with a certificate',
      { originator: (w) => w.implicit(0, fromHex('c0ffee')) },
      'UNSUPPORTED_FEATURE',
    ],
    [
      'a sender with explicit curve parameters (CVE-2020-0601)',
      {
        originator: originatorKey(
          ecPublicKey((w) => w.sequence((w) => w.integer(1))),
          bits,
        ),
      },
      'UNSUPPORTED_ALGORITHM',
      OID.ecPublicKey,
    ],
    [
      'a sender with a Diffie-Hellman key',
      { originator: originatorKey((w) => w.oid(OID.dhPublicNumber), bits) },
      'UNSUPPORTED_ALGORITHM',
      OID.dhPublicNumber,
    ],
  ];
  it.each(rows)('%s', async (_, input, code, oid) => {
    const error = await failure(() => decrypt(message(alice, input), ring(alice)));
    expect(error.code).toBe(code);
    expect(error.oid).toBe(oid);
  });
});

interface Wycheproof {
  testGroups: {
    curve: string;
    tests: {
      tcId: number;
      public: string;
      private: string;
      shared: string;
      result: string;
      flags: string[];
    }[];
  }[];
}

describe('Project Wycheproof, as originators of a message', () => {
  // Broken is the ASN.1 of public keys, which are in no AlgorithmIdentifier and BIT STRING of a message then.
  const files = [
    ['ecdh_secp256r1_test', OID.secp256r1, { opened: 346, refused: 126, broken: 140 }],
    ['ecdh_brainpoolP256r1_test', OID.brainpoolP256r1, { opened: 533, refused: 131, broken: 140 }],
    ['x25519_test', undefined, { opened: 487, refused: 31, broken: 0 }],
  ] as const;
  it.each(files)('%s', async (file, curveOid, expected) => {
    const { testGroups } = JSON.parse(
      Buffer.from(readVector('wycheproof', `${file}.json`)).toString(),
    ) as Wycheproof;
    const counts = { opened: 0, refused: 0, broken: 0 };
    for (const test of testGroups.flatMap((group) => group.tests)) {
      const secret = Buffer.from(test.shared, 'hex');
      const privateKey = wycheproofKey(curveOid, test.private);
      const outcome = await outcomeOf(privateKey, test.public, curveOid, secret);
      counts[outcome]++;
      const isZero = test.flags.includes('ZeroSharedSecret');
      if (test.result === 'valid') expect(outcome, `${test.tcId}`).toBe('opened');
      if (test.result === 'invalid' || isZero) expect(outcome, `${test.tcId}`).not.toBe('opened');
    }
    expect(counts).toEqual(expected);
  });

  function wycheproofKey(curveOid: string | undefined, scalar: string): PrivateKey {
    const octets = Buffer.from(scalar, 'hex');
    return PrivateKey.parse(
      writeDer((w) =>
        w.sequence((w) => {
          w.integer(0);
          w.sequence((w) => {
            w.oid(curveOid === undefined ? OID.X25519 : OID.ecPublicKey);
            if (curveOid !== undefined) w.oid(curveOid);
          });
          w.octets(
            writeDer((w) => {
              if (curveOid === undefined) w.octets(octets);
              else {
                w.sequence((w) => {
                  w.integer(1);
                  w.octets(octets);
                });
              }
            }),
          );
        }),
      ),
    );
  }

  async function outcomeOf(
    privateKey: PrivateKey,
    publicHex: string,
    curveOid: string | undefined,
    secret: Uint8Array,
  ) {
    let originator: (w: DerWriter) => void;
    if (curveOid === undefined) {
      originator = originatorKey((w) => w.oid(OID.X25519), fromHex(publicHex));
    } else {
      try {
        const [algorithm, bits] = parseDer(fromHex(publicHex), { strict: true }).children;
        const content = algorithm?.content as Uint8Array;
        const point = readBitOctets(bits as NonNullable<typeof bits>, 'point');
        originator = originatorKey((w) => w.raw(content), point);
      } catch {
        return 'broken';
      }
    }
    const { keyIdentifier } = privateKey.publicKey;
    const info = kari({ recipients: [{ keyIdentifier }], secret, contentKey: KEY, originator });
    try {
      const { content } = await decrypt(envelope(info), keyRing({ entries: [{ privateKey }] }));
      expect(equal(content, CONTENT)).toBe(true);
      return 'opened';
    } catch (error) {
      if (error instanceof MailsealError) return 'refused';
      throw error;
    }
  }
});
