/**
 * Private keys outside of the process: CryptoKeys of this Node.js, and callbacks around node:crypto in place of a key
 * management service. What they sign verifies, what is encrypted to them opens, and what goes wrong tells nobody more than
 * with a key of this process. Keys in a PKCS#11 device are in keyhandle-pkcs11.test.ts.
 */
import {
  constants,
  createHash,
  createPrivateKey,
  diffieHellman,
  type KeyObject,
  privateDecrypt,
  privateEncrypt,
  publicEncrypt,
  randomBytes,
  sign as signBytes,
} from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { concat, fromHex, toHex, utf8 } from '../src/bytes.js';
import { decryptEnvelopedData, encryptData } from '../src/cms/enveloped.js';
import { type KeyCandidate, keyRing } from '../src/cms/recipients.js';
import type { SigningDigest, SigningScheme } from '../src/cms/signed.js';
import { signedPieces } from '../src/cms/signed.js';
import { MailsealError } from '../src/errors.js';
import { decrypt, encrypt, sign } from '../src/smime/message.js';
import { verify } from '../src/smime/verify.js';
import { Certificate } from '../src/x509/certificate.js';
import {
  type HandleDecryption,
  type KeyHandle,
  PrivateKey,
  type PublicKey,
  type WebCryptoKey,
  webCryptoKey,
} from '../src/x509/keys.js';
import { parseEnveloped } from './helpers/enveloped.js';
import { failure } from './helpers/failures.js';
import { hasOpenssl, opensslOut, temporaryFolder } from './helpers/peers.js';
import { issueCertificate, type KeyKind } from './helpers/pki.js';

const MAIL = utf8('From: alice@example.org\r\nContent-Type: text/plain\r\n\r\nSecret\r\n');
const CONTENT = utf8('Content-Type: text/plain\r\n\r\nSecret\r\n');
const ca = issueCertificate({ subject: 'CA', ca: true });
const trust = [Certificate.parse(ca.certificate)];

function person(key: KeyKind, subject = 'Alice') {
  const issued = issueCertificate({ subject, emails: ['alice@example.org'], issuer: ca, key });
  const certificate = Certificate.parse(issued.certificate);
  const keyObject = createPrivateKey({ key: Buffer.from(issued.privateKey), format: 'der', type: 'pkcs8' });
  return { pkcs8: issued.privateKey, keyObject, certificate, publicKey: certificate.publicKey };
}
type Person = ReturnType<typeof person>;

const rsa = person('rsa');
const people: Readonly<Partial<Record<KeyKind, Person>>> = {
  rsa,
  'P-256': person('P-256'),
  'P-384': person('P-384'),
  'P-521': person('P-521'),
  brainpoolP256r1: person('brainpoolP256r1'),
  ed25519: person('ed25519'),
  ed448: person('ed448'),
  x25519: person('x25519'),
  x448: person('x448'),
};
const of = (kind: KeyKind) => people[kind] as Person;

/** A key that Node.js can't export. */
async function cryptoKey(one: Person, algorithm: object, use: string): Promise<WebCryptoKey> {
  const { subtle } = globalThis.crypto;
  return subtle.importKey('pkcs8', one.pkcs8, algorithm as { name: string }, false, [use as 'sign']);
}

const ring = (one: Person, handle: KeyHandle) =>
  keyRing({ entries: [{ privateKey: handle, certificate: one.certificate }] });
const open = (message: Uint8Array, one: Person, handle: KeyHandle) =>
  decryptEnvelopedData(parseEnveloped(message), ring(one, handle));

type SigningRow = [
  kind: KeyKind,
  algorithm: object,
  options?: { digest?: SigningDigest; scheme?: SigningScheme },
];
const rsaSigning = (name: string, hash: string) => ({ name, hash });
const SIGNING: SigningRow[] = [
  ['rsa', rsaSigning('RSASSA-PKCS1-v1_5', 'SHA-256')],
  ['rsa', rsaSigning('RSASSA-PKCS1-v1_5', 'SHA-384'), { digest: 'sha384' }],
  ['rsa', rsaSigning('RSASSA-PKCS1-v1_5', 'SHA-512'), { digest: 'sha512' }],
  ['rsa', rsaSigning('RSA-PSS', 'SHA-256'), { scheme: 'rsassa-pss' }],
  ['rsa', rsaSigning('RSA-PSS', 'SHA-512'), { scheme: 'rsassa-pss', digest: 'sha512' }],
  ['P-256', { name: 'ECDSA', namedCurve: 'P-256' }],
  ['P-256', { name: 'ECDSA', namedCurve: 'P-256' }, { digest: 'sha512' }],
  ['P-384', { name: 'ECDSA', namedCurve: 'P-384' }],
  ['P-521', { name: 'ECDSA', namedCurve: 'P-521' }],
  ['ed25519', { name: 'Ed25519' }],
  ['ed448', { name: 'Ed448' }],
];

describe('WebCrypto signs', () => {
  it.each(SIGNING)('%s %j %j', async (kind, algorithm, options = {}) => {
    const one = of(kind);
    const privateKey = webCryptoKey(
      globalThis.crypto,
      await cryptoKey(one, algorithm, 'sign'),
      one.publicKey,
    );
    for (const detached of [true, false]) {
      const signers = [{ privateKey, certificate: one.certificate, ...options }];
      const verdict = await verify(await sign(MAIL, { signers, detached }), { trust });
      expect(verdict.problems).toEqual([]);
      expect(verdict.signers).toHaveLength(1);
    }
  });

  it('r and s of any length become DER', async () => {
    const one = of('P-256');
    const key = await cryptoKey(one, { name: 'ECDSA', namedCurve: 'P-256' }, 'sign');
    const signers = [
      { privateKey: webCryptoKey(globalThis.crypto, key, one.publicKey), certificate: one.certificate },
    ];
    for (let i = 0; i < 300; i++)
      await signedPieces(CONTENT, { signers, now: new Date(2030, 0, 1, 0, 0, i) });
  });

  it('beside a key of this process', async () => {
    const key = await cryptoKey(rsa, rsaSigning('RSASSA-PKCS1-v1_5', 'SHA-256'), 'sign');
    const signers = [
      { privateKey: PrivateKey.parse(of('P-384').pkcs8), certificate: of('P-384').certificate },
      { privateKey: webCryptoKey(globalThis.crypto, key, rsa.publicKey), certificate: rsa.certificate },
    ];
    const verdict = await verify(await sign(MAIL, { signers }), { trust });
    expect(verdict.problems).toEqual([]);
    expect(verdict.signers).toHaveLength(2);
  });

  it.each<[string, KeyKind, object, object, string]>([
    [
      'another hash',
      'rsa',
      rsaSigning('RSASSA-PKCS1-v1_5', 'SHA-256'),
      { digest: 'sha512' },
      'KEY_UNSUITABLE',
    ],
    ['another scheme', 'rsa', rsaSigning('RSA-PSS', 'SHA-256'), {}, 'KEY_UNSUITABLE'],
  ])('a CryptoKey for %s is refused', async (_, kind, algorithm, options, code) => {
    const one = of(kind);
    const privateKey = webCryptoKey(
      globalThis.crypto,
      await cryptoKey(one, algorithm, 'sign'),
      one.publicKey,
    );
    const signing = sign(MAIL, { signers: [{ privateKey, certificate: one.certificate, ...options }] });
    expect((await failure(() => signing)).code).toBe(code);
  });
});

describe('WebCrypto decrypts', () => {
  it.each<KeyKind>(['P-256', 'P-384', 'P-521', 'x25519', 'x448'])('%s', async (kind) => {
    const one = of(kind);
    const algorithm = kind.startsWith('P')
      ? { name: 'ECDH', namedCurve: kind }
      : { name: kind.toUpperCase() };
    const handle = webCryptoKey(
      globalThis.crypto,
      await cryptoKey(one, algorithm, 'deriveBits'),
      one.publicKey,
    );
    for (const cipher of ['aes128-cbc', 'aes256-gcm'] as const) {
      const mail = await encrypt(MAIL, { recipients: [one.certificate], cipher });
      const { message } = await decrypt(mail, { keys: ring(one, handle) });
      expect(Buffer.from(message as Uint8Array).toString()).toContain('Secret');
    }
  });

  it('RSA-OAEP', async () => {
    const key = await cryptoKey(rsa, { name: 'RSA-OAEP', hash: 'SHA-256' }, 'decrypt');
    const handle = webCryptoKey(globalThis.crypto, key, rsa.publicKey);
    const message = encryptData(CONTENT, { recipients: [rsa.certificate], keyTransport: 'rsaes-oaep' });
    const { content } = await open(message, rsa, handle);
    expect(toHex(content)).toBe(toHex(CONTENT));
  });

  it.skipIf(!hasOpenssl).each(['sha1', 'sha384', 'sha512'])(
    'RSA-OAEP of openssl with %s, with a label',
    async (hash) => {
      const folder = temporaryFolder();
      writeFileSync(join(folder, 'c.der'), rsa.certificate.der);
      writeFileSync(join(folder, 'in'), CONTENT);
      const options = ['rsa_padding_mode:oaep', `rsa_oaep_md:${hash}`, 'rsa_oaep_label:616263'];
      const made = opensslOut(
        [
          'cms',
          '-encrypt',
          '-binary',
          '-aes256',
          '-outform',
          'DER',
          '-in',
          join(folder, 'in'),
          '-recip',
          join(folder, 'c.der'),
        ].concat(options.flatMap((one) => ['-keyopt', one])),
      );
      const key = await cryptoKey(rsa, { name: 'RSA-OAEP', hash: hash.replace('sha', 'SHA-') }, 'decrypt');
      const { content } = await open(made, rsa, webCryptoKey(globalThis.crypto, key, rsa.publicKey));
      expect(toHex(content)).toBe(toHex(CONTENT));
      const other = await cryptoKey(rsa, { name: 'RSA-OAEP', hash: 'SHA-256' }, 'decrypt');
      const error = await failure(() =>
        open(made, rsa, webCryptoKey(globalThis.crypto, other, rsa.publicKey)),
      );
      expect(error.code).toBe('KEY_UNSUITABLE');
    },
  );

  it('RSAES-PKCS1-v1_5 is not in WebCrypto, which the error says', async () => {
    const key = await cryptoKey(rsa, { name: 'RSA-OAEP', hash: 'SHA-256' }, 'decrypt');
    const message = encryptData(CONTENT, { recipients: [rsa.certificate], keyTransport: 'rsaes-pkcs1' });
    const error = await failure(() =>
      open(message, rsa, webCryptoKey(globalThis.crypto, key, rsa.publicKey)),
    );
    expect(error).toMatchObject({ code: 'UNSUPPORTED_ALGORITHM', oid: OID.rsaEncryption });
    expect(error.message).toContain('RSAES-PKCS1-v1_5');
  });

  it('a key without the usage is unavailable', async () => {
    const { subtle } = globalThis.crypto;
    const key = await subtle.importKey('pkcs8', rsa.pkcs8, { name: 'RSA-OAEP', hash: 'SHA-256' }, false, [
      'unwrapKey',
    ]);
    const message = encryptData(CONTENT, { recipients: [rsa.certificate], keyTransport: 'rsaes-oaep' });
    const error = await failure(() =>
      open(message, rsa, webCryptoKey(globalThis.crypto, key, rsa.publicKey)),
    );
    expect(error.code).toBe('KEY_UNAVAILABLE');
    expect((error.cause as Error).name).toBe('InvalidAccessError');
  });

  it('what is no private key, or not the one of the public key', async () => {
    const { subtle } = globalThis.crypto;
    const p256 = await cryptoKey(of('P-256'), { name: 'ECDH', namedCurve: 'P-256' }, 'deriveBits');
    const make = (key: WebCryptoKey, publicKey: PublicKey) => () =>
      webCryptoKey(globalThis.crypto, key, publicKey);
    for (const kind of ['rsa', 'P-384', 'x25519'] as const) {
      expect((await failure(make(p256, of(kind).publicKey))).code).toBe('KEY_MISMATCH');
    }
    const secret = await subtle.generateKey({ name: 'AES-GCM', length: 128 }, false, ['decrypt']);
    expect(make(secret as WebCryptoKey, rsa.publicKey)).toThrow(TypeError);
    const other = { type: 'private', algorithm: { name: 'constructor' } };
    expect((await failure(make(other, rsa.publicKey))).code).toBe('UNSUPPORTED_ALGORITHM');
  });
});

const raw = (key: KeyObject, data: Uint8Array) =>
  privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, data);

/** Unpads as a device does: an error for whatever is wrong. */
function unpadding(key: KeyObject, data: Uint8Array, algorithm: HandleDecryption): Uint8Array {
  if (algorithm.scheme === 'rsaes-oaep') {
    const { hash, maskHash, label } = algorithm;
    expect(maskHash).toBe(hash);
    const oaepLabel = label.length > 0 ? { oaepLabel: label } : {};
    return privateDecrypt(
      { key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: hash, ...oaepLabel },
      data,
    );
  }
  const em = raw(key, data);
  const end = em.indexOf(0, 2);
  if (em[0] !== 0 || em[1] !== 2 || end < 10) throw new Error('CKR_ENCRYPTED_DATA_INVALID');
  return em.subarray(end + 1);
}

describe('callbacks sign', () => {
  const DIGEST_INFO = fromHex('3031300d060960864801650304020105000420');
  const handles: [string, KeyKind, Omit<KeyHandle, 'publicKey'>, object?][] = [
    ['data', 'rsa', { sign: async (data) => signBytes('sha256', data, rsa.keyObject) }],
    [
      'a digest',
      'rsa',
      {
        signs: 'digest',
        sign: async (digest) => privateEncrypt(rsa.keyObject, concat([DIGEST_INFO, digest])),
      },
    ],
    [
      'data, PSS',
      'rsa',
      {
        async sign(data, algorithm) {
          expect(algorithm).toEqual({
            scheme: 'rsassa-pss',
            hash: 'sha384',
            maskHash: 'sha384',
            saltLength: 48,
          });
          const padding = constants.RSA_PKCS1_PSS_PADDING;
          return signBytes('sha384', data, { key: rsa.keyObject, padding, saltLength: 48 });
        },
      },
      { scheme: 'rsassa-pss', digest: 'sha384' },
    ],
    ['data, in DER', 'P-521', { sign: async (data) => signBytes('sha512', data, of('P-521').keyObject) }],
    [
      'data, on a Brainpool curve, r and s side by side',
      'brainpoolP256r1',
      {
        sign: async (data) =>
          signBytes('sha256', data, { key: of('brainpoolP256r1').keyObject, dsaEncoding: 'ieee-p1363' }),
      },
    ],
    [
      'data, whatever it wants, with Ed25519',
      'ed25519',
      { signs: 'digest', sign: async (data) => signBytes(null, data, of('ed25519').keyObject) },
    ],
  ];
  it.each(handles)('%s: %s', async (_, kind, methods, options = {}) => {
    const { certificate, publicKey } = of(kind);
    const signers = [{ privateKey: { publicKey, ...methods }, certificate, ...options }];
    const verdict = await verify(await sign(MAIL, { signers }), { trust });
    expect(verdict.problems).toEqual([]);
  });

  it('what is signed is the signed attributes, or their digest', async () => {
    const seen: Uint8Array[] = [];
    const handle = (signs: 'data' | 'digest'): KeyHandle => ({
      publicKey: rsa.publicKey,
      signs,
      async sign(input) {
        seen.push(new Uint8Array(input));
        throw new Error('no');
      },
    });
    const now = new Date(Date.UTC(2030, 0, 1));
    for (const signs of ['data', 'digest'] as const) {
      const signers = [{ privateKey: handle(signs), certificate: rsa.certificate }];
      await failure(() => signedPieces(CONTENT, { signers, now }));
    }
    expect(seen[0]?.[0]).toBe(0x31);
    expect(toHex(seen[1] as Uint8Array)).toBe(
      createHash('sha256')
        .update(seen[0] as Uint8Array)
        .digest('hex'),
    );
  });

  const signWith = (sign: KeyHandle['sign']) =>
    signedPieces(CONTENT, {
      signers: [
        { privateKey: { publicKey: rsa.publicKey, ...(sign && { sign }) }, certificate: rsa.certificate },
      ],
    });

  it('fault attack: a signature with one bit changed is not sent', async () => {
    const error = await failure(() =>
      signWith(async (data) => {
        const signature = signBytes('sha256', data, rsa.keyObject);
        signature[100] = (signature[100] as number) ^ 1;
        return signature;
      }),
    );
    expect(error.code).toBe('KEY_MISMATCH');
  });

  it('another key signs', async () => {
    const { keyObject } = person('rsa');
    const error = await failure(() => signWith(async (data) => signBytes('sha256', data, keyObject)));
    expect(error.code).toBe('KEY_MISMATCH');
  });

  it('a failing handle is KEY_UNAVAILABLE, with its cause; its own MailsealError is passed on', async () => {
    const cause = new Error('the service is down');
    expect(await failure(() => signWith(() => Promise.reject(cause)))).toMatchObject({
      code: 'KEY_UNAVAILABLE',
      cause,
    });
    const thrown = await failure(() =>
      signWith(() => {
        throw cause;
      }),
    );
    expect(thrown).toMatchObject({ code: 'KEY_UNAVAILABLE', cause });
    const nothing = await failure(() => signWith(async () => 'signature' as unknown as Uint8Array));
    expect(nothing).toMatchObject({ code: 'KEY_UNAVAILABLE', cause: expect.any(TypeError) });
    const own = new MailsealError('UNSUPPORTED_ALGORITHM', 'not here');
    expect(await failure(() => signWith(() => Promise.reject(own)))).toBe(own);
    expect((await failure(() => signWith(undefined))).code).toBe('KEY_UNSUITABLE');
  });

  it('what is no handle is a TypeError', async () => {
    const { certificate } = rsa;
    for (const privateKey of [{}, { publicKey: rsa.publicKey.der }, { publicKey: rsa.publicKey, sign: 1 }]) {
      const signers = [{ privateKey: privateKey as unknown as KeyHandle, certificate }];
      await expect(sign(MAIL, { signers })).rejects.toThrow(TypeError);
    }
  });
});

/** The ways in which a handle can decrypt with RSA. */
const RSA_HANDLES: [string, Omit<KeyHandle, 'publicKey'>][] = [
  ['raw RSA', { rawRsa: true, decrypt: async (data) => raw(rsa.keyObject, data) }],
  [
    'raw RSA without leading zeros',
    {
      rawRsa: true,
      async decrypt(data, { scheme }) {
        expect(scheme).toBe('raw');
        const em = raw(rsa.keyObject, data);
        return em.subarray(em.findIndex((octet) => octet !== 0));
      },
    },
  ],
  ['unpadding', { decrypt: async (data, algorithm) => unpadding(rsa.keyObject, data, algorithm) }],
];

const fitting = (handle: Omit<KeyHandle, 'publicKey'>): KeyHandle => ({
  publicKey: rsa.publicKey,
  ...handle,
});

/** A message with another encrypted key, of the same length. */
function replaced(message: Uint8Array, encryptedKey: Uint8Array): Uint8Array {
  const [info] = parseEnveloped(message).recipientInfos;
  if (info?.type !== 'keyTransport') throw new Error('no key transport');
  const [old] = info.encryptedKeys;
  const at = Buffer.from(message).indexOf(old as Uint8Array);
  const changed = Buffer.from(message);
  changed.set(encryptedKey, at);
  return changed;
}

const rawEncrypt = (em: Uint8Array) =>
  publicEncrypt({ key: rsa.publicKey.keyObject, padding: constants.RSA_NO_PADDING }, em);
/** EME-PKCS1-v1_5 of a key that is not the message's. */
const padded = (start: readonly number[], keyLength = 32) =>
  concat([
    Uint8Array.from(start),
    new Uint8Array(256 - start.length - 1 - keyLength).fill(7),
    Uint8Array.of(0),
    new Uint8Array(keyLength).fill(9),
  ]);

describe('callbacks decrypt with RSA', () => {
  describe.each(RSA_HANDLES)('%s', (_, methods) => {
    const handle = fitting(methods);

    it.each(['rsaes-pkcs1', 'rsaes-oaep'] as const)('%s', async (keyTransport) => {
      for (const cipher of ['aes128-cbc', 'aes256-cbc', 'aes256-gcm'] as const) {
        const mail = await encrypt(MAIL, { recipients: [rsa.certificate], keyTransport, cipher });
        const opened = await decrypt(mail, { keys: ring(rsa, handle) });
        expect(Buffer.from(opened.content).toString()).toContain('Secret');
        expect(opened.keyEncryption).toBe(keyTransport);
      }
    });

    it('Bleichenbacher, Manger: one error for every cause, and nothing in it of the handle', async () => {
      const errors = new Set<string>();
      for (const keyTransport of ['rsaes-pkcs1', 'rsaes-oaep'] as const) {
        const message = encryptData(CONTENT, {
          recipients: [rsa.certificate],
          keyTransport,
          cipher: 'aes256-gcm',
        });
        const keys: Uint8Array[] = [
          rawEncrypt(padded([0, 3])),
          rawEncrypt(padded([1, 2])),
          rawEncrypt(padded([0, 2, 5, 0])),
          rawEncrypt(padded([0, 2])),
          rawEncrypt(padded([0, 2], 16)),
          rawEncrypt(new Uint8Array(256)),
          publicEncrypt({ key: rsa.publicKey.keyObject, oaepHash: 'sha256' }, new Uint8Array(32)),
          publicEncrypt({ key: rsa.publicKey.keyObject, oaepHash: 'sha256' }, new Uint8Array(20)),
          new Uint8Array(256).fill(0xff), // beyond the modulus
        ];
        for (const key of keys) {
          const error = await failure(() => decrypt(replaced(message, key), { keys: ring(rsa, handle) }));
          expect(error.cause).toBeUndefined();
          errors.add(`${error.code} ${error.message}`);
        }
      }
      expect([...errors]).toEqual(['DECRYPTION_FAILED the message does not decrypt']);
    });
  });

  it('a number beyond the modulus is not asked about', async () => {
    let asked = 0;
    const handle = fitting({
      rawRsa: true,
      decrypt: async () => {
        asked++;
        return new Uint8Array(256);
      },
    });
    const message = encryptData(CONTENT, { recipients: [rsa.certificate] });
    await failure(() => open(replaced(message, new Uint8Array(256).fill(0xff)), rsa, handle));
    expect(asked).toBe(0);
    await failure(() => open(message, rsa, handle));
    expect(asked).toBe(1);
  });

  it('an unpadding handle is told of the hashes and of the label', async () => {
    const oaep = { scheme: 'rsaes-oaep' };
    const seen: HandleDecryption[] = [];
    const handle = fitting({
      async decrypt(_, algorithm) {
        seen.push(algorithm);
        throw new Error('no');
      },
    });
    const message = encryptData(CONTENT, { recipients: [rsa.certificate], keyTransport: 'rsaes-oaep' });
    await failure(() => open(message, rsa, handle));
    expect(seen).toEqual([{ ...oaep, hash: 'sha256', maskHash: 'sha256', label: new Uint8Array() }]);
  });

  it('a handle that fails tells no more than bad padding, unless it says that it is not about the message', async () => {
    const message = encryptData(CONTENT, { recipients: [rsa.certificate] });
    const cause = new Error('the device is gone');
    const silent = await failure(() => open(message, rsa, fitting({ decrypt: () => Promise.reject(cause) })));
    expect(silent).toMatchObject({ code: 'DECRYPTION_FAILED' });
    expect(silent.cause).toBeUndefined();
    const said = new MailsealError('KEY_UNAVAILABLE', 'the device is gone', { cause });
    expect(await failure(() => open(message, rsa, fitting({ decrypt: () => Promise.reject(said) })))).toBe(
      said,
    );
    // Of raw RSA an error can't be about the padding.
    const plain = fitting({ rawRsa: true, decrypt: () => Promise.reject(cause) });
    expect(await failure(() => open(message, rsa, plain))).toMatchObject({ code: 'KEY_UNAVAILABLE', cause });
    expect((await failure(() => open(message, rsa, fitting({})))).code).toBe('KEY_UNSUITABLE');
  });

  it('the key that stands in is the same every time, with whatever handle of the key', async () => {
    const rejecting = () => fitting({ decrypt: () => Promise.reject(new Error('padding')) });
    let garbage: Uint8Array | undefined;
    let message: Uint8Array | undefined;
    const made = encryptData(CONTENT, { recipients: [rsa.certificate] });
    for (let attempt = 0; garbage === undefined && attempt < 5000; attempt++) {
      message = replaced(made, concat([new Uint8Array(1), randomBytes(255)]));
      garbage = await open(message, rsa, rejecting()).then(
        ({ content }) => content,
        () => undefined,
      );
    }
    expect(garbage).toBeDefined();
    for (let i = 0; i < 20; i++) {
      const { content } = await open(message as Uint8Array, rsa, rejecting());
      expect(toHex(content)).toBe(toHex(garbage as Uint8Array));
    }
  });

  it('a key that can be asked opens what is encrypted to two', async () => {
    const other = of('P-256');
    const message = encryptData(CONTENT, { recipients: [rsa.certificate, other.certificate] });
    const gone = fitting({ rawRsa: true, decrypt: () => Promise.reject(new Error('gone')) });
    const entries = [
      { privateKey: gone, certificate: rsa.certificate },
      { privateKey: PrivateKey.parse(other.pkcs8), certificate: other.certificate },
    ];
    const { content, certificate } = await decryptEnvelopedData(
      parseEnveloped(message),
      keyRing({ entries }),
    );
    expect(toHex(content)).toBe(toHex(CONTENT));
    expect(certificate).toBe(other.certificate);
  });

  it('a KeyFinder of the caller, which is told when the handle is no longer needed', async () => {
    let released = 0;
    const candidate: KeyCandidate = {
      recipient: 0,
      privateKey: fitting(RSA_HANDLES[0]?.[1] as object),
      reason: 'slot 1',
      release: () => released++,
    };
    const message = encryptData(CONTENT, { recipients: [rsa.certificate] });
    const opened = await decryptEnvelopedData(parseEnveloped(message), { find: async () => [candidate] });
    expect(opened.reason).toBe('slot 1');
    expect(released).toBe(1);
    const bad = { ...candidate, privateKey: {} as KeyHandle };
    await expect(decryptEnvelopedData(parseEnveloped(message), { find: async () => [bad] })).rejects.toThrow(
      TypeError,
    );
  });
});

describe('callbacks agree on keys', () => {
  const agreeing = (one: Person): KeyHandle => ({
    publicKey: one.publicKey,
    deriveBits: async (peer) => diffieHellman({ privateKey: one.keyObject, publicKey: peer.keyObject }),
  });

  it.each<KeyKind>(['P-256', 'P-521', 'brainpoolP256r1', 'x25519', 'x448'])('%s', async (kind) => {
    const one = of(kind);
    const message = encryptData(CONTENT, { recipients: [one.certificate] });
    expect(toHex((await open(message, one, agreeing(one))).content)).toBe(toHex(CONTENT));
    const cause = new Error('gone');
    const gone = { publicKey: one.publicKey, deriveBits: () => Promise.reject(cause) };
    expect(await failure(() => open(message, one, gone))).toMatchObject({ code: 'KEY_UNAVAILABLE', cause });
  });

  it.each<KeyKind>(['P-256', 'x25519'])('invalid curve, small order: %s is not asked', async (kind) => {
    const one = of(kind);
    const message = Buffer.from(encryptData(CONTENT, { recipients: [one.certificate] }));
    const [info] = parseEnveloped(message).recipientInfos;
    if (info?.type !== 'keyAgreement' || info.originator.type === 'certificate')
      throw new Error('no agreement');
    const { bits } = info.originator as { bits: Uint8Array };
    const at = message.indexOf(bits);
    if (kind === 'P-256') message[at + 40] = (message[at + 40] as number) ^ 1;
    else message.fill(0, at, at + 32);
    let asked = 0;
    const handle: KeyHandle = {
      publicKey: one.publicKey,
      deriveBits: async () => {
        asked++;
        return new Uint8Array(32);
      },
    };
    expect((await failure(() => open(message, one, handle))).code).toBe('DECRYPTION_FAILED');
    expect(asked).toBe(0);
  });
});
