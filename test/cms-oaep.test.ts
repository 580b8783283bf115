/**
 * RSAES-OAEP (RFC 8017 7.1, RFC 4055 4.1) with every hash, another hash in MGF1, and a label: Project Wycheproof, OpenSSL,
 * and every place where a padding can be wrong. Manger's attack: what is wrong makes no difference but in the content key.
 */
import { constants, generateKeyPairSync, publicEncrypt, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readAlgorithmIdentifier } from '../src/asn1/algorithm.js';
import { OID } from '../src/asn1/oids.js';
import { parseDer } from '../src/asn1/tape.js';
import { type DerWriter, writeDer } from '../src/asn1/write.js';
import { concat, fromHex, toHex, utf8, writePem } from '../src/bytes.js';
import { contentOfType, readContentInfo } from '../src/cms/content.js';
import { decryptEnvelopedData, EnvelopedData } from '../src/cms/enveloped.js';
import {
  type KeyTransport,
  readKeyTransport,
  unwrapTransported as unwrapAll,
} from '../src/cms/keytransport.js';
import { keyRing } from '../src/cms/recipients.js';
import { MailsealError } from '../src/errors.js';
import { rsaUnwrapOaep } from '../src/wasm.js';
import { computeDigest, type DigestName } from '../src/x509/digests.js';
import { PrivateKey } from '../src/x509/keys.js';
import { expectZeroArena } from './helpers/derivation.js';
import { hasOpenssl, opensslOut, temporaryFolder } from './helpers/peers.js';
import { person } from './helpers/pki.js';
import { readVector } from './helpers/vectors.js';

interface Wycheproof {
  testGroups: {
    sha: string;
    mgfSha: string;
    privateKeyPkcs8: string;
    tests: { tcId: number; msg: string; ct: string; label: string; result: string }[];
  }[];
}

const unwrapTransported = (
  privateKey: PrivateKey,
  transport: KeyTransport,
  encryptedKey: Uint8Array,
  fallback: Uint8Array,
): Uint8Array => unwrapAll(privateKey, transport, encryptedKey, [fallback])[0] as Uint8Array;

const nameOf = (wycheproof: string) => wycheproof.toLowerCase().replace('-', '') as DigestName;

describe('Project Wycheproof', () => {
  it.each([
    'rsa_oaep_2048_sha1_mgf1sha1_test',
    'rsa_oaep_2048_sha256_mgf1sha256_test',
    'rsa_oaep_2048_sha256_mgf1sha1_test',
    'rsa_oaep_2048_sha512_mgf1sha512_test',
  ])('%s', (file) => {
    const json = Buffer.from(readVector('wycheproof', `${file}.json`)).toString();
    let tests = 0;
    for (const group of (JSON.parse(json) as Wycheproof).testGroups) {
      const privateKey = PrivateKey.parse(fromHex(group.privateKeyPkcs8));
      for (const { tcId, msg, ct, label, result } of group.tests) {
        tests++;
        const transport: KeyTransport = {
          name: 'rsaes-oaep',
          hash: nameOf(group.sha),
          maskHash: nameOf(group.mgfSha),
          label: fromHex(label),
        };
        const fallback = randomBytes(msg.length / 2);
        const got = unwrapTransported(privateKey, transport, fromHex(ct), fallback);
        expect(toHex(got), `${tcId}`).toBe(result === 'valid' ? msg : toHex(fallback));
        // Of another length than the content key has to have.
        const longer = randomBytes(msg.length / 2 + 1);
        expect(toHex(unwrapTransported(privateKey, transport, fromHex(ct), longer))).toBe(toHex(longer));
      }
    }
    expect(tests).toBeGreaterThan(30);
    expectZeroArena();
  });
});

const alice = person({ subject: 'Alice', key: 'rsa' });
const publicKey = alice.certificate.publicKey.keyObject;

function mgf1(hash: DigestName, seed: Uint8Array, length: number): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (let i = 0; blocks.length * 20 < length; i++) {
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(i);
    blocks.push(computeDigest(hash, concat([seed, counter])));
  }
  return concat(blocks).slice(0, length);
}

const xor = (a: Uint8Array, b: Uint8Array) => a.map((octet, i) => octet ^ (b[i] as number));

/** EM of RFC 8017 7.1.1, for 2048 bits, with changes to its first octet and to DB. */
function padded(
  key: Uint8Array,
  { hash, maskHash, label }: KeyTransport & { name: 'rsaes-oaep' },
  { first = 0, db: change = (db: Uint8Array): Uint8Array => db } = {},
): Uint8Array {
  const labelHash = computeDigest(hash, label);
  const filler = new Uint8Array(256 - key.length - 2 * labelHash.length - 2);
  const db = change(concat([labelHash, filler, Uint8Array.of(1), key]));
  const seed = randomBytes(labelHash.length);
  const maskedDb = xor(db, mgf1(maskHash, seed, db.length));
  const maskedSeed = xor(seed, mgf1(maskHash, maskedDb, seed.length));
  return concat([Uint8Array.of(first), maskedSeed, maskedDb]);
}

const raw = (em: Uint8Array) =>
  publicEncrypt({ key: publicKey, padding: constants.RSA_NO_PADDING }, em) as Uint8Array;

const HASHES: readonly DigestName[] = [
  'sha1',
  'sha224',
  'sha256',
  'sha384',
  'sha512',
  'sha512-224',
  'sha512-256',
  'sha3-224',
  'sha3-256',
  'sha3-384',
  'sha3-512',
];

describe('every pair of hashes', () => {
  for (const hash of HASHES) {
    it(hash, () => {
      for (const maskHash of HASHES) {
        for (const label of [new Uint8Array(), utf8('a label')]) {
          const transport = { name: 'rsaes-oaep', hash, maskHash, label } as const;
          const key = randomBytes(32);
          const unwrap = (em: Uint8Array) =>
            toHex(unwrapTransported(alice.privateKey, transport, raw(em), new Uint8Array(32)));
          expect(unwrap(padded(key, transport))).toBe(toHex(key));
          expect(unwrap(padded(key, { ...transport, label: utf8('another') }))).toBe('00'.repeat(32));
        }
      }
    });
  }
});

describe("Manger's attack: every wrong octet of EM gives the key that stands in", () => {
  const transport = {
    name: 'rsaes-oaep',
    hash: 'sha256',
    maskHash: 'sha1',
    label: utf8('label'),
  } as const;
  const key = randomBytes(16);
  const fallback = randomBytes(16);
  const unwrap = (em: Uint8Array) => toHex(unwrapTransported(alice.privateKey, transport, raw(em), fallback));
  const wrong = (change: Parameters<typeof padded>[2]) =>
    expect(unwrap(padded(key, transport, change))).toBe(toHex(fallback));

  it('the first octet', () => {
    expect(unwrap(padded(key, transport))).toBe(toHex(key));
    wrong({ first: 1 });
  });

  it('every octet of lHash, of the filler, and the 01', () => {
    for (let at = 0; at < 256 - 33 - 16; at++) {
      wrong({ db: (db) => db.map((octet, i) => (i === at ? octet ^ 0x80 : octet)) });
    }
  });

  it('01 in another place, or none', () => {
    const label = 32;
    const one = 256 - 33 - 16 - 1;
    wrong({ db: (db) => db.map((octet, i) => (i === one ? 0 : octet)) });
    wrong({ db: (db) => db.map((octet, i) => (i === one ? 0 : i === one - 1 ? 1 : octet)) });
    wrong({ db: (db) => db.map((octet, i) => (i === label ? 1 : octet)) });
    wrong({ db: (db) => db.map((octet, i) => (i < label ? octet : 0)) });
  });

  it('a number beyond the modulus, the numbers 0 and 1', () => {
    for (const sealed of [
      new Uint8Array(256).fill(0xff),
      new Uint8Array(256),
      new Uint8Array(256).fill(1, 255),
    ]) {
      expect(toHex(unwrapTransported(alice.privateKey, transport, sealed, fallback))).toBe(toHex(fallback));
    }
  });

  it('keys of every length that fits, and of one more', () => {
    const most = 256 - 2 * 32 - 2;
    for (const length of [0, 1, 16, most - 1, most]) {
      const long = randomBytes(length);
      const got = unwrapTransported(
        alice.privateKey,
        transport,
        raw(padded(long, transport)),
        randomBytes(length),
      );
      expect(toHex(got)).toBe(toHex(long));
    }
    const tooLong = randomBytes(most + 1);
    const got = unwrapTransported(alice.privateKey, transport, raw(padded(key, transport)), tooLong);
    expect(toHex(got)).toBe(toHex(tooLong));
    expectZeroArena();
  });

  it('a modulus that is too short for the hash', () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 512 });
    const short = PrivateKey.parse(privateKey.export({ format: 'der', type: 'pkcs8' }));
    const long = { ...transport, hash: 'sha512' } as const;
    expect(toHex(unwrapTransported(short, long, new Uint8Array(64).fill(1), fallback))).toBe(toHex(fallback));
  });

  it('the kernel gives the key or the fallback, and nothing in between', () => {
    const arbitrary = fc.record({
      hashLength: fc.constantFrom(20, 28, 32, 48, 64),
      keyLength: fc.integer({ min: 0, max: 64 }),
      rest: fc.integer({ min: -3, max: 80 }),
      flip: fc.integer({ min: -1, max: 400 }),
    });
    fc.assert(
      fc.property(arbitrary, ({ hashLength, keyLength, rest, flip }) => {
        const length = 2 * hashLength + 2 + keyLength + rest;
        const labelHash = randomBytes(hashLength);
        const message = randomBytes(keyLength);
        const stand = randomBytes(keyLength);
        const em = new Uint8Array(length);
        const mask = randomBytes(length - hashLength - 1);
        if (rest < 0) {
          expect(toHex(rsaUnwrapOaep(em, labelHash, mask, stand))).toBe(toHex(stand));
          return;
        }
        const db = concat([labelHash, new Uint8Array(rest), Uint8Array.of(1), message]);
        em.set(randomBytes(hashLength), 1);
        em.set(xor(db, mask), 1 + hashLength);
        // Within the seed nothing is looked at here, and a changed message is another message.
        const counts = flip === 0 || (flip > hashLength && flip < length - keyLength);
        if (counts) em[flip] = (em[flip] as number) ^ 0x10;
        expect(toHex(rsaUnwrapOaep(em, labelHash, mask, stand))).toBe(toHex(counts ? stand : message));
      }),
      { numRuns: 300 },
    );
    expect(() => rsaUnwrapOaep(new Uint8Array(100), new Uint8Array(20), new Uint8Array(78), key)).toThrow(
      RangeError,
    );
    expectZeroArena();
  });
});

describe('RSAES-OAEP-params', () => {
  const hashed = (oid: string) => (w: DerWriter) => w.sequence((w) => w.oid(oid));
  const read = (write: (w: DerWriter) => void) =>
    readKeyTransport(
      readAlgorithmIdentifier(
        parseDer(
          writeDer((w) =>
            w.sequence((w) => {
              w.oid(OID.rsaesOaep);
              w.sequence(write);
            }),
          ),
        ),
      ),
    );

  it('the defaults are SHA-1 each, and no label', () => {
    expect(read(() => {})).toEqual({
      name: 'rsaes-oaep',
      hash: 'sha1',
      maskHash: 'sha1',
      label: new Uint8Array(),
    });
    expect(read((w) => w.explicit(0, hashed(OID.sha256)))).toMatchObject({
      hash: 'sha256',
      maskHash: 'sha1',
    });
  });

  it.each([
    ['a hash that is none of ours', (w: DerWriter) => w.explicit(0, hashed(OID.md5)), OID.md5],
    ['another mask generation function', (w: DerWriter) => w.explicit(1, hashed('1.2.3')), '1.2.3'],
    ['another source of the label', (w: DerWriter) => w.explicit(2, hashed('1.2.3')), '1.2.3'],
  ])('%s is refused with its OID', (_, write, oid) => {
    try {
      read(write);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(MailsealError);
      expect(error).toMatchObject({ code: 'UNSUPPORTED_ALGORITHM', oid });
    }
  });
});

describe.skipIf(!hasOpenssl)('openssl cms encrypts what we open', () => {
  const folder = hasOpenssl ? temporaryFolder() : '';
  const hashes = ['sha1', 'sha224', 'sha256', 'sha384', 'sha512', 'sha512-256', 'sha3-256'];
  it.each(hashes)('%s with each hash in MGF1, with and without a label', async (hash) => {
    const certificate = join(folder, 'alice.crt');
    writeFileSync(certificate, writePem('CERTIFICATE', alice.issued.certificate));
    const content = utf8('Content-Type: text/plain\r\n\r\nSecret\r\n');
    for (const maskHash of hashes) {
      for (const label of [[], ['-keyopt', 'rsa_oaep_label:6c6162656c']]) {
        const options = ['rsa_padding_mode:oaep', `rsa_oaep_md:${hash}`, `rsa_mgf1_md:${maskHash}`];
        const sealed = opensslOut(
          [
            ...['cms', '-encrypt', '-binary', '-outform', 'DER', '-aes256', '-recip', certificate],
            ...options.flatMap((option) => ['-keyopt', option]),
            ...label,
          ],
          content,
        );
        const enveloped = EnvelopedData.parse(contentOfType(readContentInfo(sealed), OID.envelopedData));
        const opened = await decryptEnvelopedData(enveloped, keyRing({ entries: [alice] }));
        expect(toHex(opened.content)).toBe(toHex(content));
        expect(opened.keyEncryption).toBe('rsaes-oaep');
      }
    }
  });
});
