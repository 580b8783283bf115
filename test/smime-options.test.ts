/**
 * What callers get wrong in the options of sign, verify, encrypt, decrypt, compress and decompress: an error that names the
 * option, before anything is read, in memory and of a stream, which is ended then.
 */
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { utf8 } from '../src/bytes.js';
import {
  compress,
  decompress,
  decrypt,
  encrypt,
  keyRing,
  sign,
  verify,
  writeCertificates,
} from '../src/index.js';
import { person } from './helpers/pki.js';

const alice = person({ subject: 'Alice', emails: ['alice@example.org'], key: 'P-256' });
const { certificate } = alice;
const MAIL = utf8('From: alice@example.org\r\nContent-Type: text/plain\r\n\r\nHello');
const NO_DATE = new Date(Number.NaN);

type Operation = (message: unknown, options: unknown) => Promise<unknown>;
const operations = { sign, verify, encrypt, decrypt, compress, decompress } as unknown as Record<
  string,
  Operation
>;
/** Options that are right. */
const RIGHT: Record<string, object> = {
  sign: { signers: [alice] },
  verify: { trust: [certificate] },
  encrypt: { recipients: [certificate] },
  decrypt: { keys: keyRing({ entries: [alice] }) },
  compress: {},
  decompress: {},
};

/** Of each operation: what is wrong beside what is right, which error, and what its text says. */
const ROWS: [operation: string, wrong: object | null | string, error: typeof Error, text: RegExp][] = [
  ['sign', { signers: undefined }, TypeError, /^signers must be an array$/],
  ['sign', { signers: alice }, TypeError, /^signers must be an array$/],
  ['sign', { signers: [null] }, TypeError, /^signers\[0\] must be an object$/],
  ['sign', { signers: [alice, { certificate }] }, TypeError, /^signers\[1\]\.privateKey must be an object$/],
  [
    'sign',
    { signers: [{ ...alice, certificate: certificate.fingerprint }] },
    TypeError,
    /^signers\[0\]\.certificate must be a Certificate$/,
  ],
  [
    'sign',
    { signers: [{ ...alice, chain: certificate }] },
    TypeError,
    /^signers\[0\]\.chain must be an array$/,
  ],
  [
    'sign',
    { signers: [{ ...alice, chain: [alice] }] },
    TypeError,
    /^signers\[0\]\.chain\[0\] must be a Certificate$/,
  ],
  [
    'sign',
    { signers: [{ ...alice, encryptionCertificate: 'x' }] },
    TypeError,
    /^signers\[0\]\.encryptionCertificate must be a Cert/,
  ],
  ['sign', { signers: [] }, RangeError, /at least one signer/],
  ['sign', { detached: 'false' }, TypeError, /^detached must be a boolean$/],
  ['sign', { legacyDisplay: 1 }, TypeError, /^legacyDisplay must be a boolean$/],
  ['sign', { now: '2026-01-01' }, TypeError, /^now must be a valid Date$/],
  ['sign', { signingTime: NO_DATE }, TypeError, /^signingTime must be a valid Date$/],
  [
    'sign',
    { signerIdentifier: 'subject' },
    RangeError,
    /^signerIdentifier must be one of issuerAndSerialNumber, /,
  ],
  ['sign', { protectHeaders: 'all' }, RangeError, /^protectHeaders.* must be one of clear, baseline, shy, /],
  ['sign', { protectHeaders: null }, RangeError, /^protectHeaders/],
  ['sign', { signers: [{ ...alice, digest: 'sha1' }] }, RangeError, /^digest must be one of sha256, /],
  [
    'sign',
    { signers: [{ ...alice, scheme: 'rsa' }] },
    RangeError,
    /^scheme must be one of rsassa-pkcs1-v1_5, /,
  ],
  ['encrypt', { protectHeaders: 'clear' }, RangeError, /^protectHeaders.* must be one of baseline, shy, /],
  ['encrypt', { policy: [] }, TypeError, /^policy must be an object$/],
  ['decrypt', { keys: Buffer.from('a') }, TypeError, /^keys must be a KeyFinder/],
  ['compress', { spool: [] }, TypeError, /^spool must be an object$/],
  ['verify', { trust: undefined }, TypeError, /^trust must be an array$/],
  ['verify', { trust: certificate }, TypeError, /^trust must be an array$/],
  [
    'verify',
    { trust: [certificate, certificate.fingerprint] },
    TypeError,
    /^trust\[1\] must be a Certificate$/,
  ],
  ['verify', { certificates: 'x' }, TypeError, /^certificates must be an array$/],
  ['verify', { certificates: [{}] }, TypeError, /^certificates\[0\] must be a Certificate$/],
  ['verify', { crls: [''] }, TypeError, /^crls\[0\] must be a Uint8Array$/],
  ['verify', { now: 0 }, TypeError, /^now must be a valid Date$/],
  ['verify', { allowSha1: 'yes' }, TypeError, /^allowSha1 must be a boolean$/],
  ['verify', { decrypted: 1 }, TypeError, /^decrypted must be a boolean$/],
  ['verify', { content: 'text' }, TypeError, /^content must be a Uint8Array or a stream/],
  ['verify', { content: null }, TypeError, /^content must be a Uint8Array or a stream/],
  ['encrypt', { recipients: certificate }, TypeError, /^recipients must be an array$/],
  ['encrypt', { recipients: [undefined] }, TypeError, /^recipients\[0\] must be an object$/],
  [
    'encrypt',
    { recipients: [alice.privateKey] },
    TypeError,
    /^recipients\[0\]\.certificate must be a Certificate$/,
  ],
  [
    'encrypt',
    { recipients: [{ certificate, capabilities: [] }] },
    TypeError,
    /capabilities must be an object$/,
  ],
  ['encrypt', { recipients: [] }, RangeError, /at least one recipient/],
  ['encrypt', { sharedKeys: {} }, TypeError, /^sharedKeys must be an array$/],
  ['encrypt', { sharedKeys: [null] }, TypeError, /^sharedKeys\[0\] must be an object$/],
  ['encrypt', { passwords: 'secret' }, TypeError, /^passwords must be an array$/],
  ['encrypt', { passwords: [1] }, TypeError, /^a password must be a string$/],
  ['encrypt', { cipher: 'des' }, RangeError, /^cipher must be one of aes128-cbc/],
  ['encrypt', { keyTransport: 'raw' }, RangeError, /^keyTransport must be one of rsaes-pkcs1/],
  ['encrypt', { policy: 'strict' }, TypeError, /^policy must be an object$/],
  ['encrypt', { policy: { minimum: 'rc2' } }, RangeError, /^minimum must be one of aes128-cbc/],
  ['encrypt', { policy: { gcmFrom: 2026 } }, TypeError, /^gcmFrom must be a valid Date$/],
  ['encrypt', { recipientIdentifier: 1 }, RangeError, /^recipientIdentifier must be one of/],
  ['encrypt', { cekHkdf: 'no' }, TypeError, /^cekHkdf must be a boolean$/],
  ['encrypt', { onChoice: {} }, TypeError, /^onChoice must be a function$/],
  ['encrypt', { random: 4 }, TypeError, /^random must be a function$/],
  ['encrypt', { protectHeaders: 'none' }, RangeError, /^protectHeaders.* must be one of baseline, shy, /],
  ['encrypt', { now: NO_DATE }, TypeError, /^now must be a valid Date$/],
  ['decrypt', { keys: null }, TypeError, /^keys must be a KeyFinder/],
  ['decrypt', { keys: [alice] }, TypeError, /^keys must be a KeyFinder/],
  [
    'decrypt',
    { sharedKeys: [{ keyIdentifier: 'a', key: 'b' }] },
    TypeError,
    /^keyIdentifier must be a Uint8Array$/,
  ],
  ['decrypt', { passwords: null }, TypeError, /^passwords must be an array$/],
  ['decrypt', { maxPasswordCost: 'x' }, TypeError, /^maxPasswordCost must be a positive integer$/],
  ['decompress', { maxLength: 'x' }, RangeError, /^maxLength must be an integer from 1/],
  ['decompress', { maxLength: null }, RangeError, /^maxLength must be an integer from 1/],
  ...Object.keys(operations).flatMap((name): typeof ROWS => [
    [name, null, TypeError, /^options must be an object$/],
    [name, 'options', TypeError, /^options must be an object$/],
    [name, { spool: null }, TypeError, /^spool must be an object$/],
    [name, { spool: 16 }, TypeError, /^spool must be an object$/],
    [name, { spool: { maxLength: 'x' } }, TypeError, /^spool\.maxLength must be a number$/],
    [name, { spool: { memory: -1 } }, RangeError, /^spool\.memory must be an integer, 0 or more$/],
    [name, { spool: { memory: Number.NaN } }, RangeError, /^spool\.memory must be an integer/],
    [name, { spool: { directory: 1 } }, TypeError, /^spool\.directory must be a string$/],
  ]),
];

const optionsOf = (name: string, wrong: object | null | string): unknown =>
  typeof wrong === 'object' && wrong !== null ? { ...RIGHT[name], ...wrong } : wrong;

describe.each(Object.keys(operations))('%s', (name) => {
  const run = operations[name] as Operation;
  const rows = ROWS.filter(([operation]) => operation === name);

  it.each(rows.map(([, wrong, error, text], i) => [i, text, wrong, error] as const))(
    '%i: %s',
    async (_, text, wrong, error) => {
      const options = optionsOf(name, wrong);
      const octets = name === 'decompress' ? await compress(MAIL) : MAIL;
      const inMemory = await run(octets, options).catch((thrown: Error) => thrown);
      expect(inMemory).toBeInstanceOf(error);
      expect((inMemory as Error).message).toMatch(text);

      const readable = Readable.from([MAIL], { objectMode: false });
      let read = 0;
      const counting = {
        [Symbol.asyncIterator]: () => ({ next: async () => ({ done: ++read > 0, value: undefined }) }),
      };
      for (const stream of [readable, counting]) {
        const thrown = await run(stream, options).catch((thrown: Error) => thrown);
        expect(thrown).toBeInstanceOf(error);
        expect((thrown as Error).message).toMatch(text);
      }
      expect(readable.destroyed).toBe(true);
      expect(readable.readableDidRead).toBe(false);
      expect(read).toBe(0);
    },
  );

  it('of what is no message', async () => {
    for (const message of [undefined, null, 'mail', 5, [MAIL], { length: 3 }]) {
      await expect(run(message, RIGHT[name])).rejects.toThrow(/^message must be a Uint8Array or a stream/);
    }
  });

  it('without any options', async () => {
    if (name === 'compress' || name === 'decompress') return;
    await expect(run(MAIL, undefined)).rejects.toThrow(/^options must be an object$/);
  });

  it('ends the generator that it was given', async () => {
    let ended = false;
    async function* mail() {
      try {
        yield MAIL;
      } finally {
        ended = true;
      }
    }
    const begun = mail();
    await begun.next();
    await expect(run(begun, { ...RIGHT[name], spool: null })).rejects.toThrow(TypeError);
    expect(ended).toBe(true);
  });
});

it('content beside a message is ended with it', async () => {
  const content = Readable.from([MAIL], { objectMode: false });
  await expect(operations.verify?.(MAIL, { content })).rejects.toThrow(/^trust must be an array$/);
  expect(content.destroyed).toBe(true);
  const other = Readable.from([MAIL], { objectMode: false });
  await expect(operations.verify?.('mail', { trust: [], content: other })).rejects.toThrow(
    /^message must be/,
  );
  expect(other.destroyed).toBe(true);
});

it('a ring of what are no keys is none', () => {
  const ring = keyRing as (contents: unknown) => unknown;
  for (const contents of [undefined, null, 5, {}, { entries: alice }, [alice]]) {
    expect(() => ring(contents)).toThrow(/^each of contents must have an array of entries$/);
  }
  for (const entry of [undefined, null, {}, 'x', { certificate }]) {
    expect(() => ring({ entries: [entry] })).toThrow(/^a private key must be a PrivateKey, or a KeyHandle/);
  }
  expect(() => ring({ entries: [{ ...alice, certificate: 'x' }] })).toThrow(/must be a Certificate$/);
});

it('certificates that are none are not written', () => {
  const write = writeCertificates as (certificates: unknown) => unknown;
  for (const certificates of [undefined, null, 'x', certificate]) {
    expect(() => write(certificates)).toThrow(/^certificates must be an array$/);
  }
  expect(() => write([certificate, alice])).toThrow(/^certificates\[1\] must be a Certificate$/);
});
