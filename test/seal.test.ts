/** Sealing of private keys at rest: keystore/seal.ts. */
import { createDecipheriv, hkdfSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { concat, toBase64, toHex, utf8 } from '../src/bytes.js';
import { generateSealKey, readSealKey, Sealer } from '../src/keystore/seal.js';

const KEY = Uint8Array.from({ length: 32 }, (_, i) => 0xe0 + i);
const SPKI_HASH = new Uint8Array(32).fill(7);
const PKCS8 = utf8('a private key');

describe('readSealKey', () => {
  const rows: [string, Uint8Array][] = [
    ['32 raw octets', KEY],
    ['hexadecimal', utf8(toHex(KEY))],
    ['hexadecimal with LF', utf8(`${toHex(KEY)}\n`)],
    ['hexadecimal in upper case with CRLF', utf8(`${toHex(KEY).toUpperCase()}\r\n`)],
    ['base64', utf8(toBase64(KEY))],
    ['base64 with LF', utf8(`${toBase64(KEY)}\n`)],
  ];
  it.each(rows)('reads %s', (_, content) => {
    expect(readSealKey(content)).toEqual(KEY);
  });

  it('gives a copy, so that wiping it leaves the content', () => {
    const content = Uint8Array.from(KEY);
    readSealKey(content).fill(0);
    expect(content).toEqual(KEY);
  });

  const bad: [string, Uint8Array][] = [
    ['nothing', new Uint8Array(0)],
    ['31 octets', KEY.subarray(1)],
    ['33 octets', concat([KEY, Uint8Array.of(10)])],
    ['62 hexadecimal digits', utf8(toHex(KEY.subarray(1)))],
    ['a hexadecimal letter too far', utf8(`${toHex(KEY).slice(0, -1)}g`)],
    ['two line ends', utf8(`${toHex(KEY)}\n\n`)],
    ['base64 without padding', utf8(toBase64(KEY).slice(0, -1))],
    ['a large file that begins with a key', utf8(`${toHex(KEY)}\n${'x'.repeat(1000)}`)],
  ];
  it.each(bad)('refuses %s and says what it expects', (_, content) => {
    expect(() => readSealKey(content)).toThrow(
      expect.objectContaining({ code: 'SEAL_KEY_INVALID', message: expect.stringContaining('hexadecimal') }),
    );
  });

  it('never names the content in the error', () => {
    const content = utf8(`${toHex(KEY)} secret`);
    try {
      readSealKey(content);
      expect.unreachable();
    } catch (error) {
      expect(String(error)).not.toContain(toHex(KEY).slice(0, 8));
    }
  });
});

describe('Sealer', () => {
  it('opens what it sealed, and what another one of the same store sealed', () => {
    const sealer = Sealer.create(KEY);
    const sealed = sealer.seal(PKCS8, SPKI_HASH);
    expect(new Uint8Array(sealer.open(sealed, SPKI_HASH))).toEqual(PKCS8);
    expect(new Uint8Array(Sealer.open(KEY, sealer.settings).open(sealed, SPKI_HASH))).toEqual(PKCS8);
  });

  it('writes the form that its file describes', () => {
    const sealer = Sealer.create(KEY);
    const sealed = sealer.seal(PKCS8, SPKI_HASH);
    const derived = Buffer.from(hkdfSync('sha256', KEY, sealer.settings.salt, 'mailseal key store v1', 64));
    expect(sealer.settings.check).toEqual(new Uint8Array(derived.subarray(32)));
    const decipher = createDecipheriv('aes-256-gcm', derived.subarray(0, 32), sealed.subarray(1, 13));
    decipher.setAAD(concat([Uint8Array.of(1), SPKI_HASH])).setAuthTag(sealed.subarray(-16));
    const opened = concat([decipher.update(sealed.subarray(13, -16)), decipher.final()]);
    expect(opened).toEqual(PKCS8);
  });

  it('never uses a nonce twice, and leaves the plaintext alone', () => {
    const sealer = Sealer.create(KEY);
    const nonces = new Set(
      Array.from({ length: 500 }, () => toHex(sealer.seal(PKCS8, SPKI_HASH).subarray(1, 13))),
    );
    expect(nonces.size).toBe(500);
    expect(PKCS8).toEqual(utf8('a private key'));
  });

  it('gives every store its own key and check value under one sealing key', () => {
    const [one, other] = [Sealer.create(KEY), Sealer.create(KEY)];
    expect(one.settings.salt).not.toEqual(other.settings.salt);
    expect(one.settings.check).not.toEqual(other.settings.check);
    expect(() => other.open(one.seal(PKCS8, SPKI_HASH), SPKI_HASH)).toThrow(
      expect.objectContaining({ code: 'STORE_INVALID' }),
    );
  });

  it('refuses a wrong sealing key before any key is opened', () => {
    const { settings } = Sealer.create(KEY);
    expect(() => Sealer.open(generateSealKey(), settings)).toThrow(
      expect.objectContaining({ code: 'SEAL_KEY_WRONG' }),
    );
  });

  it.each([0, 16, 31, 33, 64])('refuses a sealing key of %i octets', (length) => {
    expect(() => Sealer.create(new Uint8Array(length))).toThrow(
      expect.objectContaining({ code: 'SEAL_KEY_INVALID' }),
    );
  });

  it('refuses every single-bit change and every truncation of a blob', () => {
    const sealer = Sealer.create(KEY);
    const sealed = sealer.seal(PKCS8, SPKI_HASH);
    const invalid = expect.objectContaining({ code: 'STORE_INVALID' });
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = Uint8Array.from(sealed);
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(() => sealer.open(changed, SPKI_HASH), `bit ${bit}`).toThrow(invalid);
    }
    for (let length = 0; length < sealed.length; length++) {
      expect(() => sealer.open(sealed.subarray(0, length), SPKI_HASH), `${length} octets`).toThrow(invalid);
    }
  });

  it('refuses a blob that was swapped with the one of another public key', () => {
    const sealer = Sealer.create(KEY);
    const sealed = sealer.seal(PKCS8, SPKI_HASH);
    expect(() => sealer.open(sealed, new Uint8Array(32).fill(8))).toThrow(
      expect.objectContaining({ code: 'STORE_INVALID' }),
    );
  });
});
