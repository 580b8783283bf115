/** CompressedData (RFC 3274), on its own and in mail: bounded, whatever it says; and what no zlib data is. */

import { randomBytes } from 'node:crypto';
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { parseDer } from '../src/asn1/tape.js';
import { writeDer } from '../src/asn1/write.js';
import { concat, equal, toHex, utf8 } from '../src/bytes.js';
import { compressedPieces, type DecompressOptions, decompressData } from '../src/cms/compressed.js';
import { contentOfType, readContentInfo } from '../src/cms/content.js';
import { readDigestedData } from '../src/cms/digested.js';
import { keyRing } from '../src/cms/recipients.js';
import { compress, decompress } from '../src/smime/compress.js';
import { decrypt, encrypt, sign } from '../src/smime/message.js';
import { verify } from '../src/smime/verify.js';
import { Certificate } from '../src/x509/certificate.js';
import { toBer } from './helpers/ber.js';
import { failure } from './helpers/failures.js';
import { issueCertificate, person } from './helpers/pki.js';
import { readVector } from './helpers/vectors.js';

const nodeOf = (message: Uint8Array) => contentOfType(readContentInfo(message), OID.compressedData);
const open = (message: Uint8Array, options?: DecompressOptions) => decompressData(nodeOf(message), options);

/** @param octets null: absent */
function forge(octets: Uint8Array | null, algorithm: string = OID.zlibCompress): Uint8Array {
  return writeDer((w) =>
    w.sequence((w) => {
      w.oid(OID.compressedData);
      w.explicit(0, (w) =>
        w.sequence((w) => {
          w.integer(0);
          w.sequence((w) => w.oid(algorithm));
          w.sequence((w) => {
            w.oid(OID.data);
            if (octets !== null) w.explicit(0, (w) => w.octets(octets));
          });
        }),
      );
    }),
  );
}

describe('compressing and decompressing', () => {
  it.each([0, 1, 1000, 100_000, 1 << 20])('%i octets', (length) => {
    for (const content of [new Uint8Array(length).fill(65), randomBytes(length)]) {
      const message = concat([...compressedPieces(content, OID.signedData)]);
      parseDer(message, { strict: true });
      for (const encoded of [message, toBer(message, 100)]) {
        const opened = open(encoded);
        expect(opened.contentType).toBe(OID.signedData);
        expect(equal(opened.content, content)).toBe(true);
      }
    }
  });

  it('what RustCrypto’s tests have, made by OpenSSL: the same text as its DigestedData', () => {
    const { content } = open(readVector('rustcrypto-formats', 'cms/compressed_data.bin'));
    const digested = contentOfType(
      readContentInfo(readVector('rustcrypto-formats', 'cms/digested_data.bin')),
      OID.digestedData,
    );
    expect(toHex(content)).toBe(toHex(readDigestedData(digested).content));
  });
});

describe('CompressedData bomb', () => {
  const zeros = (megabytes: number) => deflateSync(new Uint8Array(megabytes << 20), { level: 9 });

  it('grows to 256 times its size, or to 16 MB, and no further', async () => {
    expect(open(forge(zeros(16))).content).toHaveLength(16 << 20);
    const bomb = zeros(64); // a thousand times its size
    expect((64 << 20) / bomb.length).toBeGreaterThan(900);
    const error = await failure(() => open(forge(bomb)));
    expect(error.code).toBe('LIMIT_LENGTH');
    expect(error.message).toContain(`the limit of ${Math.max(bomb.length * 256, 1 << 24)} `);
    const half = Buffer.concat([randomBytes(20 << 20), new Uint8Array(8 << 20)]);
    expect(open(forge(deflateSync(half))).content).toHaveLength(28 << 20);
  });

  it('the caller’s limit', async () => {
    const message = forge(deflateSync(new Uint8Array(1000)));
    expect(open(message, { maxLength: 1000 }).content).toHaveLength(1000);
    expect((await failure(() => open(message, { maxLength: 999 }))).code).toBe('LIMIT_LENGTH');
    for (const maxLength of [0, -1, 1.5, 2 ** 31, Number.NaN]) {
      expect(() => open(message, { maxLength })).toThrow(RangeError);
    }
  });
});

describe('refused', () => {
  const good = deflateSync(utf8('text '.repeat(100)));
  const rows: [name: string, message: Uint8Array, code: string][] = [
    ['no octets', forge(new Uint8Array()), 'CMS_MALFORMED'],
    ['octets behind the compressed ones', forge(concat([good, Uint8Array.of(0)])), 'CMS_MALFORMED'],
    ['two streams', forge(concat([good, good])), 'CMS_MALFORMED'],
    ['gzip', forge(gzipSync(utf8('text'))), 'CMS_MALFORMED'],
    ['raw deflate', forge(deflateRawSync(utf8('text'))), 'CMS_MALFORMED'],
    ['a stream that is cut off', forge(good.subarray(0, good.length - 5)), 'CMS_MALFORMED'],
    [
      'a changed checksum',
      forge(good.map((octet, i) => (i === good.length - 1 ? octet ^ 1 : octet))),
      'CMS_MALFORMED',
    ],
    ['another algorithm', forge(good, '1.2.3'), 'UNSUPPORTED_ALGORITHM'],
    ['content kept elsewhere', forge(null), 'UNSUPPORTED_FEATURE'],
  ];
  it.each(rows)('%s', async (_, message, code) => {
    expect((await failure(() => open(message))).code).toBe(code);
  });
});

describe('mail', () => {
  const ca = issueCertificate({ subject: 'CA', ca: true });
  const alice = person({ subject: 'Alice', emails: ['alice@example.org'], issuer: ca });
  const mail = utf8(
    `From: alice@example.org\r\nSubject: s\r\nContent-Type: text/plain\r\n\r\n${'Hello again.\r\n'.repeat(200)}`,
  );

  it('comes out as it went in, with its header', async () => {
    const compressed = await compress(mail);
    const text = Buffer.from(compressed).toString();
    expect(text).toContain('smime-type=compressed-data;\r\n name="smime.p7z"');
    expect(text).toMatch(/^From: alice@example\.org\r\nSubject: s\r\n/);
    expect(compressed.length).toBeLessThan(mail.length / 3);
    const { message, content } = await decompress(compressed);
    expect(Buffer.from(message as Uint8Array).toString()).toContain('Hello again.');
    expect(Buffer.from(content).toString()).toMatch(/^Content-Type: text\/plain\r\n\r\nHello/);
  });

  it('signed, compressed, encrypted, and back, layer by layer', async () => {
    const signed = await sign(mail, { signers: [alice] });
    const sealed = await encrypt(await compress(signed), {
      recipients: [alice.certificate],
      cipher: 'aes256-gcm',
    });
    const opened = await decrypt(sealed, { keys: keyRing({ entries: [alice] }) });
    const { message } = await decompress(opened.message as Uint8Array);
    const verdict = await verify(message as Uint8Array, { trust: [Certificate.parse(ca.certificate)] });
    expect(verdict.problems).toEqual([]);
    expect(verdict.valid).toBe(true);
  });

  it('what is not compressed is refused with its OID', async () => {
    const sealed = await encrypt(mail, { recipients: [alice.certificate] });
    await expect(decompress(sealed)).rejects.toMatchObject({
      code: 'UNSUPPORTED_FEATURE',
      oid: OID.envelopedData,
    });
  });
});
