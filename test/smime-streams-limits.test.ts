/**
 * What streamed operations read at most: no more than they need to say what is wrong, no more than they are allowed to, and
 * no slower for how it is cut.
 */
import { describe, expect, it } from 'vitest';
import { concat, latin1, toBase64, utf8 } from '../src/bytes.js';
import { signData } from '../src/cms/signed.js';
import { decrypt, encrypt, type KeyFinder, keyRing, sign, verify } from '../src/index.js';
import { failure } from './helpers/failures.js';
import { issueCertificate, person } from './helpers/pki.js';

const ca = issueCertificate({ subject: 'CA', ca: true });
const alice = person({ subject: 'Alice', emails: ['alice@example.org'], key: 'rsa', issuer: ca });
const bob = person({ subject: 'Bob', emails: ['bob@example.org'], key: 'rsa', issuer: ca });
const keys = keyRing({ entries: [alice] });
const signers = [alice];
/** Nothing fits into memory. */
const streamed = { spool: { memory: 0 } };

const LENGTH = 2_000_000;
const MAIL = utf8(
  `From: alice@example.org\r\nContent-Type: text/plain\r\n\r\n${`${'y'.repeat(70)}\r\n`.repeat(LENGTH / 72)}`,
);

/** A message in chunks of 16 KiB, which counts what is read of it. */
function counted(message: Uint8Array) {
  const seen = { read: 0, ended: false };
  async function* stream() {
    try {
      for (let at = 0; at < message.length; at += 1 << 14) {
        const chunk = message.subarray(at, at + (1 << 14));
        seen.read += chunk.length;
        yield chunk;
      }
    } finally {
      seen.ended = true;
    }
  }
  return { seen, stream: stream() };
}

describe('what stands before encrypted content is judged before that is read', () => {
  const CBC = encrypt(MAIL, { recipients: [bob.certificate] });
  const GCM = encrypt(MAIL, { recipients: [bob.certificate], cipher: 'aes256-gcm' });
  const replaced = (octets: Uint8Array, from: string, to: string) => {
    const text = Buffer.from(octets).toString('hex');
    if (!text.includes(from)) throw new Error('nothing to replace');
    return new Uint8Array(Buffer.from(text.replace(from, to), 'hex'));
  };
  const cmsOf = async (mail: Promise<Uint8Array>) =>
    new Uint8Array(Buffer.from(latin1(await mail).split('\r\n\r\n')[1] as string, 'base64'));

  const rows: [string, string, () => Promise<Uint8Array>][] = [
    ['EnvelopedData for somebody else', 'RECIPIENT_UNKNOWN', () => CBC],
    ['AuthEnvelopedData for somebody else', 'RECIPIENT_UNKNOWN', () => GCM],
    ['the same, signed', 'RECIPIENT_UNKNOWN', async () => sign(await CBC, { signers })],
    [
      'the same, signed opaquely',
      'RECIPIENT_UNKNOWN',
      async () => sign(await GCM, { signers, detached: false }),
    ],
    // AES-256-CBC becomes id-aes 43, which is nothing.
    [
      'an unknown cipher',
      'UNSUPPORTED_ALGORITHM',
      async () => replaced(await cmsOf(CBC), '60864801650304012a', '60864801650304012b'),
    ],
    // AES-256-GCM with a nonce of 12 octets, said to be one of 11.
    [
      'parameters that are none',
      'ASN1_UNEXPECTED',
      async () => replaced(await cmsOf(GCM), '60864801650304012e30', '60864801650304012e31'),
    ],
    // RSAES-PKCS1-v1_5 becomes pkcs-1 15, which no key is for.
    [
      'an unknown key transport',
      'UNSUPPORTED_ALGORITHM',
      async () =>
        replaced(
          await cmsOf(encrypt(MAIL, { recipients: [alice.certificate] })),
          '2a864886f70d0101010500',
          '2a864886f70d01010f0500',
        ),
    ],
    ['signed, not encrypted', 'NOT_ENCRYPTED', () => sign(MAIL, { signers })],
  ];
  it.each(rows)('%s: %s', async (_, code, make) => {
    const message = await make();
    const { seen, stream } = counted(message);
    const told = await failure(() => decrypt(stream, { keys, ...streamed }));
    const inMemory = await failure(() => decrypt(message, { keys }));
    expect(told).toMatchObject({ code, message: inMemory.message });
    expect(told.offset).toBe(inMemory.offset);
    expect(inMemory.code).toBe(code);
    expect(seen.read).toBeLessThan(1 << 18);
    expect(message.length).toBeGreaterThan(LENGTH);
    expect(seen.ended).toBe(true);
  });

  it('keys are looked up once, and released when the message is read, or fails', async () => {
    const mail = await encrypt(MAIL, { recipients: [alice.certificate], cipher: 'aes256-gcm' });
    const calls: string[] = [];
    const finder: KeyFinder = {
      async find(recipients) {
        calls.push('find');
        const found = await keys.find(recipients);
        return found.map((candidate) => ({ ...candidate, release: () => void calls.push('release') }));
      },
    };
    const opened = await decrypt(counted(mail).stream, { keys: finder, ...streamed });
    await opened.close();
    expect(calls).toEqual(['find', 'release']);
    const changed = new Uint8Array(mail);
    const place = changed.findIndex((octet, i) => i > LENGTH && octet === 0x41);
    changed[place] = 0x42;
    for (const [broken, code] of [
      [mail.subarray(0, -5001), 'MIME_MALFORMED'],
      [changed, 'DECRYPTION_FAILED'],
    ] as const) {
      calls.length = 0;
      const told = await failure(() => decrypt(counted(broken).stream, { keys: finder, ...streamed }));
      expect(told.code).toBe(code);
      expect(calls).toEqual(['find', 'release']);
    }
  });

  it('what a look-up fails with is told at once', async () => {
    const finder: KeyFinder = { find: () => Promise.reject(new Error('no connection')) };
    const { seen, stream } = counted(await CBC);
    await expect(decrypt(stream, { keys: finder, ...streamed })).rejects.toThrow('no connection');
    expect(seen.read).toBeLessThan(1 << 18);
    expect(seen.ended).toBe(true);
  });
});

describe('what is read and not kept counts as well', () => {
  const maxLength = 300_000;
  const settings = { spool: { memory: 0, maxLength } };
  const endless = async function* (start: Uint8Array, more: Uint8Array) {
    yield start;
    for (;;) yield more;
  };
  const filler = utf8(`${'y'.repeat(70)}\r\n`.repeat(500));
  const text = utf8('Content-Type: text/plain\r\n\r\nHello');
  const detached = utf8(
    'From: alice@example.org\r\nContent-Type: multipart/signed; boundary=b; protocol="application/pkcs7-signature"\r\n\r\n',
  );
  const opaque = (body: Uint8Array, encoding: string) =>
    concat([
      utf8(`Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n`),
      body,
    ]);
  const signedData = signData(text, { signers });
  const SEGMENTS = new Uint8Array(Buffer.from('308006092a864886f70d010702a0803080020101310030', 'hex'));
  const CONTENT = new Uint8Array(Buffer.from('8006092a864886f70d010701a0802480', 'hex'));

  it.each<[string, () => Promise<Uint8Array>, Uint8Array]>([
    ['a preamble', async () => detached, filler],
    ['an epilogue', () => sign(text, { signers }), filler],
    [
      'empty segments of a string',
      async () => opaque(concat([SEGMENTS, CONTENT]), 'binary'),
      new Uint8Array(40_000).map((_, i) => (i % 2 === 0 ? 4 : 0)),
    ],
    [
      'line ends in base64',
      async () => opaque(utf8(toBase64(signedData)), 'base64'),
      utf8('\r\n'.repeat(10_000)),
    ],
    [
      'white space in quoted-printable',
      async () => opaque(utf8('=30=80=06'), 'quoted-printable'),
      utf8('=\r\n'.repeat(10_000)),
    ],
  ])('%s', async (_, start, more) => {
    const told = await failure(async () => verify(endless(await start(), more), { trust: [], ...settings }));
    expect(told).toMatchObject({ code: 'LIMIT_LENGTH', offset: maxLength });
    expect(told.message).toMatch(
      /^a message stream of over 300000 octets, the limit \(option spool\.maxLength\)$/,
    );
  });

  it('of the content beside a signature', async () => {
    const signature = signData(text, { signers, detached: true });
    const content = endless(text, filler);
    const told = await failure(() => verify(signature, { trust: [], content, ...settings }));
    expect(told.message).toMatch(/^a content stream of over 300000 octets/);
  });

  it('a message of just so many octets is read', async () => {
    const message = await sign(text, { signers });
    const spool = { memory: 0, maxLength: message.length };
    const { content } = await verify(counted(message).stream, { trust: [], spool });
    content.destroy();
    const less = { memory: 1 << 20, maxLength: message.length - 1 };
    const told = await failure(() => verify(counted(message).stream, { trust: [], spool: less }));
    expect(told.code).toBe('LIMIT_LENGTH');
  });
});
