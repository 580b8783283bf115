/**
 * Damage: of one object of each type and one mail of each form, every truncation and every octet changed, through the
 * functions that callers have. What comes of each is a coded error or what the message was; where nothing protects the
 * content, as in CBC, it may be other content, which is reported as such. Nothing else: no other exception, no valid
 * signature over what was not signed, no content of an AEAD cipher that was not encrypted so.
 */
import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { afterAll, describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { concat, fromHex, toHex, utf8 } from '../src/bytes.js';
import { verifyAuthenticatedData } from '../src/cms/authenticated.js';
import type { EncryptionCipher } from '../src/cms/ciphers.js';
import { compressedPieces } from '../src/cms/compressed.js';
import { contentOfType, readContentInfo } from '../src/cms/content.js';
import { readDigestedData } from '../src/cms/digested.js';
import { decryptEncryptedData } from '../src/cms/encrypted.js';
import { type EncryptOptions, encryptData } from '../src/cms/enveloped.js';
import { keyRing } from '../src/cms/recipients.js';
import { signData } from '../src/cms/signed.js';
import { MailsealError } from '../src/errors.js';
import { readCertificates, writeCertificates } from '../src/smime/certificates.js';
import type { DecryptOptions } from '../src/smime/message.js';
import { compress, decompress, decrypt, encrypt, sign, verify } from '../src/smime/operations.js';
import { hasMlKem } from '../src/x509/mlkem.js';
import { authenticated, CONTENT, alice as rsa, shared } from './helpers/authenticated.js';
import { toBer } from './helpers/ber.js';
import { issueCertificate, person } from './helpers/pki.js';
import { readVector } from './helpers/vectors.js';

const ca = issueCertificate({ subject: 'CA', ca: true });
const emails = ['a@b.example'];
const [p256, ed25519, x25519] = (['P-256', 'ed25519', 'x25519'] as const).map((key) =>
  person({ subject: 'A', emails, key, issuer: ca }),
) as [Person, Person, Person];
type Person = ReturnType<typeof person>;
const mlKem = hasMlKem() ? person({ subject: 'A', key: 'ml-kem-512', issuer: ca }) : undefined;
const trust = [person({ subject: 'CA', ca: true, key: ca.privateKey }).certificate];
const signingTime = new Date('2026-01-01T00:00:00Z');
const rfc4134Key = fromHex('737c791f25ead0e04629254352f7dc6291e5cb26917ada32');
const MAIL = utf8('From: a@b.example\r\nSubject: s\r\nContent-Type: text/plain\r\n\r\nSome text.\r\n');

/**
 * What was read, in one line; a message that is not valid throws a MailsealError of its first problem.
 * @param streamed in chunks, of which nothing fits into memory
 */
type Read = (message: Uint8Array, streamed: boolean) => Promise<string>;

const onDisk = { spool: { memory: 0 } };

async function* chunked(octets: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < octets.length; at += 97) yield octets.subarray(at, at + 97);
}

async function octetsOf(content: Uint8Array | Readable): Promise<Uint8Array> {
  if (content instanceof Uint8Array) return content;
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return concat(chunks);
}

interface Row {
  name: string;
  message: Uint8Array;
  read: Read;
  /** Whether it can be read in chunks. */
  streams?: boolean;
  /** Why something else may be read than what was written. */
  other?: string;
  /** Changes an octet; 8: each bit. */
  changes?: number;
}

function verifying(content?: Uint8Array): Read {
  return async (message, streamed) => {
    const options = { trust, now: signingTime, ...(content && { content }) };
    // A signature is held in memory beside content that comes in chunks.
    const whole = content === undefined ? {} : { content: chunked(content) };
    const verdict = streamed
      ? await verify(content === undefined ? chunked(message) : message, { ...options, ...onDisk, ...whole })
      : await verify(message, options);
    const octets = await octetsOf(verdict.content);
    const [problem] = verdict.problems;
    if (!verdict.valid) throw new MailsealError(problem?.code as 'INTERNAL', `${problem?.message}`);
    expect(verdict.problems).toEqual([]);
    const signers = verdict.signers.map(
      ({ certificate, signingTime, signedAttributes }) =>
        `${certificate?.fingerprint} ${signingTime?.toISOString()} ${signedAttributes?.length}`,
    );
    // Outside, From may be gone or another field by now; then nobody is said to be the sender.
    if (verdict.senderVerified) expect(verdict.from).toEqual(emails);
    const fields = verdict.headers?.fields.map(({ name, value }) => `${name}: ${value}`);
    return `${verdict.contentType} ${toHex(octets)} ${signers} ${fields}`;
  };
}

function decrypting(options: DecryptOptions): Read {
  return async (message, streamed) => {
    const opened = streamed
      ? await decrypt(chunked(message), { ...options, ...onDisk })
      : await decrypt(message, options);
    // Both are read when they are asked for, of content that may be anything.
    void opened.headers;
    if (!streamed) void opened.message;
    return `${opened.integrity} ${opened.contentType} ${toHex(await octetsOf(opened.content))}`;
  };
}

const decompressing: Read = async (message, streamed) => {
  const opened = streamed ? await decompress(chunked(message), onDisk) : await decompress(message);
  if (!streamed) void opened.message;
  return toHex(await octetsOf(opened.content));
};

const entries = (who: Person) => ({ keys: keyRing({ entries: [who] }) });
const CBC = 'nothing protects CBC content';

function enveloped(
  name: string,
  cipher: EncryptionCipher,
  to: Partial<EncryptOptions>,
  by: DecryptOptions,
  more: Partial<Row> = {},
): Row {
  const isCbc = cipher.endsWith('-cbc');
  const message = encryptData(CONTENT, { cipher, ...to });
  const what = `${isCbc ? 'EnvelopedData' : 'AuthEnvelopedData'}, ${name}`;
  return { name: what, message, read: decrypting(by), streams: true, ...(isCbc && { other: CBC }), ...more };
}

const toRsa = { recipients: [rsa.certificate] };
const toP256 = { recipients: [p256.certificate] };
const toX25519 = { recipients: [x25519.certificate] };
const sharedKeys = { sharedKeys: [shared] };
const kari = encryptData(CONTENT, { ...toP256, cipher: 'aes128-gcm' });

const objects: Row[] = [
  {
    name: 'SignedData, attached',
    message: signData(CONTENT, { signers: [p256], signingTime }),
    read: verifying(),
    streams: true,
    changes: 3,
  },
  {
    name: 'SignedData, detached',
    message: signData(CONTENT, { signers: [ed25519], signingTime, detached: true }),
    read: verifying(CONTENT),
    streams: true,
  },
  {
    name: 'SignedData, certs-only',
    message: writeCertificates([p256.certificate], { form: 'der' }),
    read: async (message) =>
      readCertificates(message)
        .map((one) => `${one.subject} ${one.emails} ${one.notAfter.getTime()} ${toHex(one.der)}`)
        .join(),
    other: 'a bag of certificates: nobody signed it',
  },
  enveloped('RSAES-PKCS1-v1_5, CBC', 'aes128-cbc', toRsa, entries(rsa), { changes: 3 }),
  enveloped('RSAES-OAEP, CBC', 'aes128-cbc', { ...toRsa, keyTransport: 'rsaes-oaep' }, entries(rsa), {
    changes: 3,
  }),
  enveloped('ECDH, CBC', 'aes256-cbc', toP256, entries(p256)),
  enveloped('X25519, CBC', 'aes128-cbc', toX25519, entries(x25519)),
  enveloped('a shared key, CBC', 'aes192-cbc', sharedKeys, sharedKeys),
  {
    name: 'EnvelopedData, a password, CBC',
    message: readVector('rustcrypto-formats', 'cms/enveloped_data_pwri.bin'),
    read: decrypting({ passwords: ['password'], maxPasswordCost: 20_000 }),
    streams: true,
    other: CBC,
    changes: 3,
  },
  enveloped('RSAES-PKCS1-v1_5, GCM', 'aes256-gcm', toRsa, entries(rsa), { changes: 3 }),
  enveloped('ECDH, CCM, CEK-HKDF', 'aes128-ccm', { ...toP256, cekHkdf: true }, entries(p256)),
  enveloped('X25519, ChaCha20-Poly1305', 'chacha20-poly1305', toX25519, entries(x25519)),
  enveloped('a shared key, GCM', 'aes128-gcm', sharedKeys, sharedKeys),
  ...(mlKem === undefined
    ? []
    : [
        enveloped('ML-KEM, GCM', 'aes256-gcm', { recipients: [mlKem.certificate] }, entries(mlKem), {
          changes: 1,
        }),
      ]),
  {
    name: 'AuthEnvelopedData in BER, ECDH, GCM',
    message: toBer(kari, 20),
    read: decrypting(entries(p256)),
    streams: true,
  },
  {
    name: 'CompressedData',
    message: concat([...compressedPieces(CONTENT)]),
    read: decompressing,
    streams: true,
  },
  {
    name: 'EncryptedData',
    message: readVector('bc-test-data', 'rfc4134/7.1.bin'),
    read: async (message) => {
      const node = contentOfType(readContentInfo(message), OID.encryptedData);
      const { integrity, contentType, content } = decryptEncryptedData(node, rfc4134Key);
      return `${integrity} ${contentType} ${toHex(content)}`;
    },
    other: CBC,
  },
  {
    name: 'DigestedData',
    message: readVector('bc-test-data', 'rfc4134/6.0.bin'),
    read: async (message) => {
      const node = contentOfType(readContentInfo(message), OID.digestedData);
      return toHex(readDigestedData(node).content);
    },
  },
  ...[false, true].map((attributes) => ({
    name: `AuthenticatedData, with${attributes ? '' : 'out'} attributes`,
    message: authenticated({ attributes }),
    read: async (message: Uint8Array) => {
      const node = contentOfType(readContentInfo(message), OID.authenticatedData);
      const { contentType, content } = await verifyAuthenticatedData(node, undefined, sharedKeys);
      return `${attributes ? contentType : ''} ${toHex(content)}`;
    },
  })),
];

async function mails(): Promise<Row[]> {
  const signers = [p256];
  const gcm = await encrypt(MAIL, { ...toP256, cipher: 'aes128-gcm' });
  return [
    {
      name: 'clear-signed',
      message: await sign(MAIL, { signers, signingTime }),
      read: verifying(),
      streams: true,
    },
    {
      name: 'clear-signed with a protected header',
      message: await sign(MAIL, { signers, signingTime, protectHeaders: 'clear' }),
      read: verifying(),
      streams: true,
    },
    {
      name: 'opaque-signed',
      message: await sign(MAIL, { signers, signingTime, detached: false }),
      read: verifying(),
      streams: true,
    },
    {
      name: 'encrypted, CBC, with a protected header',
      message: await encrypt(MAIL, { ...toP256, cipher: 'aes128-cbc', protectHeaders: 'baseline' }),
      read: decrypting(entries(p256)),
      streams: true,
      other: CBC,
    },
    { name: 'encrypted, GCM', message: gcm, read: decrypting(entries(p256)), streams: true },
    { name: 'compressed', message: await compress(MAIL), read: decompressing, streams: true },
    {
      name: 'certs-only',
      message: writeCertificates([p256.certificate], { form: 'mime' }),
      read: async (message) =>
        readCertificates(message)
          .map(({ subject }) => `${subject}`)
          .join(),
      other: 'a bag of certificates: nobody signed it',
    },
  ];
}

/** The union of codes as it is written. INTERNAL is a bug. */
const CODES = new Set(
  [...readFileSync(new URL('../src/errors.ts', import.meta.url), 'utf8').matchAll(/^ {2}\| '([A-Z0-9_]+)'/gm)]
    .map(([, code]) => code)
    .filter((code) => code !== 'INTERNAL'),
);

async function outcomeOf(read: Read, message: Uint8Array, right: string, streamed = false): Promise<string> {
  try {
    return (await read(message, streamed)) === right ? 'same' : 'other';
  } catch (error) {
    if (!(error instanceof MailsealError) || !CODES.has(error.code)) throw error;
    return error.code;
  }
}

/** One in so many is read once more as a stream; it has no divisor in common with the changes of an octet. */
const STREAMED = 29;

const table: string[] = [];
afterAll(() => console.log(`What comes of damage\n${table.join('\n')}`));

/**
 * Masks to change an octet with: each of its bits; or some that go by the place, so that a run can be repeated. One alone
 * is half of the time the lowest bit, which makes of a letter of base64 mostly another one.
 */
function masks(at: number, changes: number): number[] {
  if (changes === 8) return Array.from({ length: 8 }, (_, bit) => 1 << bit);
  if (changes === 1 && at % 2 === 0) return [1];
  return Array.from(
    { length: changes },
    (_, i) => 1 + ((Math.imul(at * changes + i + 1, 0x9e3779b1) >>> 8) % 255),
  );
}

async function damage(
  { name, read, other, streams, changes = 8, ...row }: Row,
  isMail: boolean,
): Promise<void> {
  const message = Uint8Array.from(row.message);
  const right = await read(message, false);
  const seen = new Map<string, number>();
  let tried = 0;
  let streamed = 0;
  const attempt = async (bytes: Uint8Array, what: string, allowed: readonly string[]) => {
    let outcome: string;
    try {
      outcome = await outcomeOf(read, bytes, right);
    } catch (error) {
      throw new Error(`${name}, ${what}: ${error}`, { cause: error });
    }
    if (!CODES.has(outcome)) expect(allowed, `${name}, ${what}`).toContain(outcome);
    if (streams && ++tried % STREAMED === 0) {
      streamed++;
      // Where both are errors, they may be two: of a stream it is what comes first that is seen first.
      const again = await outcomeOf(read, bytes, right, true);
      expect(CODES.has(again) ? 'error' : again, `${name}, ${what}, streamed: ${again}`).toBe(
        CODES.has(outcome) ? 'error' : outcome,
      );
    }
    seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
  };
  const results = other === undefined ? ['same'] : ['same', 'other'];
  for (let at = 0; at < message.length; at++) {
    await attempt(message.slice(0, at), `cut at ${at}`, isMail ? results : []);
    for (const mask of masks(at, changes)) {
      const changed = message.slice();
      changed[at] = (changed[at] as number) ^ mask;
      await attempt(changed, `octet ${at} ^ ${mask}`, results);
    }
  }
  const { same = 0, other: others = 0, ...errors } = Object.fromEntries(seen);
  const codes = Object.entries(errors).map(([code, count]) => `${code} ${count}`);
  table.push(
    `${name}: ${message.length} octets, ${same} the same, ${others} other${other === undefined ? '' : ` (${other})`}; ${codes.join(', ')}; ${streamed} streamed as well`,
  );
  // Most octets of a message matter.
  expect(same).toBeLessThan(message.length * (changes + 1) * 0.6);
}

describe('every truncation and every octet changed', () => {
  it.each(objects.map((row) => [row.name, row] as const))('%s', (_, row) => damage(row, false));

  it('mails of each form', async () => {
    for (const row of await mails()) await damage({ ...row, changes: 1 }, true);
  });
});
