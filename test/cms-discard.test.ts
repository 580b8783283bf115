/** What OpenSSL has of a content key is wiped and given back when content is not read to its end: `final` does that. */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { concat, join } from '../src/bytes.js';
import type { ContentCipher } from '../src/cms/ciphers.js';
import { contentEncryptor, decryptStored, encryptContent, opensStored } from '../src/cms/contentcrypto.js';
import { encrypt } from '../src/index.js';
import { issueCertificate, person } from './helpers/pki.js';

const key = new Uint8Array(32).fill(1);
const associated = new Uint8Array();
const CIPHERS: readonly ContentCipher[] = [
  { name: 'aes256-cbc', mode: 'cbc', keyLength: 32, iv: new Uint8Array(16) },
  { name: 'aes256-gcm', mode: 'gcm', keyLength: 32, iv: new Uint8Array(12), tagLength: 16 },
  {
    name: 'chacha20-poly1305',
    mode: 'chacha20-poly1305',
    keyLength: 32,
    iv: new Uint8Array(12),
    tagLength: 16,
  },
];

/** Of all that node:crypto makes, whose class its types do not name. */
const prototypeOf = (make: typeof createCipheriv | typeof createDecipheriv) =>
  Object.getPrototypeOf(make('aes-256-cbc', key, new Uint8Array(16))) as { final(): Buffer };
const encryptors = vi.spyOn(prototypeOf(createCipheriv), 'final');
const decryptors = vi.spyOn(prototypeOf(createDecipheriv), 'final');
beforeEach(() => vi.clearAllMocks());

/** Ciphertext that is kept, in chunks; the source fails behind `most` of them. */
function stored(octets: Uint8Array, most = Number.POSITIVE_INFINITY) {
  async function* lend(start = 0, end = octets.length) {
    for (let at = start, i = 0; at < end; at += 100, i++) {
      if (i === most) throw new Error('the disk is gone');
      yield octets.subarray(at, Math.min(at + 100, end));
    }
  }
  return { length: octets.length, read: lend, lend };
}

describe.each(CIPHERS)('$name', (cipher) => {
  const { pieces, tag } = encryptContent(cipher, key, new Uint8Array(1000).fill(7), associated);
  const data = concat([...pieces].map((piece) => new Uint8Array(piece)));
  const authentication = tag && { tag: join(tag), associated };

  it('an encryptor that is closed in the midst, and once more', () => {
    const encryptor = contentEncryptor(cipher, key, associated);
    encryptor.update(new Uint8Array(100));
    expect(encryptors).not.toHaveBeenCalled();
    encryptor.close();
    expect(encryptors).toHaveBeenCalledTimes(1);
    expect(() => encryptor.update(new Uint8Array(1))).toThrow();
    encryptor.close();
  });

  it('a decryptor, when whoever reads goes away', async () => {
    const content = decryptStored(cipher, key, stored(data), authentication);
    expect((await content.next()).value?.length).toBeGreaterThan(0);
    expect(decryptors).not.toHaveBeenCalled();
    await content.return(undefined);
    expect(decryptors).toHaveBeenCalledTimes(1);
  });

  it('a decryptor, when what is kept can not be read', async () => {
    const read = async () => {
      for await (const _ of decryptStored(cipher, key, stored(data, 3), authentication));
    };
    await expect(read()).rejects.toThrow('the disk is gone');
    expect(decryptors).toHaveBeenCalledTimes(1);
  });

  it('a decryptor that is read to its end', async () => {
    expect(await opensStored(cipher, key, stored(data), authentication)).toBe(true);
    expect(decryptors).toHaveBeenCalledTimes(1);
  });
});

it('a message that is encrypted, and whose ciphertext nobody reads any more', async () => {
  const ca = issueCertificate({ subject: 'CA', ca: true });
  const alice = person({ subject: 'Alice', emails: ['alice@example.org'], key: 'rsa', issuer: ca });
  async function* mail() {
    yield new TextEncoder().encode(`Content-Type: text/plain\r\n\r\n${'text\r\n'.repeat(50_000)}`);
  }
  const recipients = [alice.certificate];
  const message = await encrypt(mail(), { recipients, spool: { memory: 1 << 10 } });
  await message[Symbol.asyncIterator]().next();
  const before = encryptors.mock.calls.length;
  const closed = new Promise((resolve) => message.once('close', resolve));
  message.destroy();
  await closed;
  // That of the content, and that of the temporary file.
  expect(encryptors.mock.calls.length - before).toBe(2);
});
