/**
 * CEK-HKDF (RFC 9709): the content key is bound to the AlgorithmIdentifier of the cipher, so that a message that is passed on
 * under another cipher opens to nothing that tells anything (CVE-2026-34182).
 */
import { createCipheriv } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { readAlgorithmIdentifier } from '../src/asn1/algorithm.js';
import { OID } from '../src/asn1/oids.js';
import { parseDer } from '../src/asn1/tape.js';
import { writeDer } from '../src/asn1/write.js';
import { concat, fromHex, toHex, utf8 } from '../src/bytes.js';
import { ENCRYPTION_CIPHERS, readContentCipher } from '../src/cms/ciphers.js';
import { decryptContent } from '../src/cms/contentcrypto.js';
import { AuthEnvelopedData, decryptEnvelopedData, encryptData } from '../src/cms/enveloped.js';
import { MailsealError } from '../src/errors.js';
import { toBer } from './helpers/ber.js';
import { parseEnveloped } from './helpers/enveloped.js';

const CONTENT = utf8('Content-Type: text/plain\r\n\r\nSecret\r\n');

const bound = (inner: Uint8Array) =>
  readAlgorithmIdentifier(
    parseDer(
      writeDer((w) =>
        w.sequence((w) => {
          w.oid(OID.cekHkdfSha256);
          w.raw(inner);
        }),
      ),
    ),
  );

describe('RFC 9709 appendix B', () => {
  const contentKey = fromHex('c702e7d0a9e064b09ba55245fb733cf3');

  it('AES-128-CBC', () => {
    const inner = fromHex('301d06096086480165030401020410651f722ffd512c52fe072e507d72b377');
    const derived = fromHex('9cd102c52f1e19ece8729b35bfeceb50');
    const engine = createCipheriv('aes-128-cbc', derived, fromHex('651f722ffd512c52fe072e507d72b377'));
    const data = concat([engine.update(CONTENT), engine.final()]);
    const cipher = readContentCipher(bound(inner), 'EnvelopedData');
    expect(toHex(decryptContent(cipher, contentKey, data, undefined) as Uint8Array)).toBe(toHex(CONTENT));
    expect(toHex(contentKey)).toBe('c702e7d0a9e064b09ba55245fb733cf3');
  });

  it('AES-128-GCM, with the short tag that is its default', () => {
    const inner = fromHex('301b0609608648016503040106300e040c5c79058ba2f43447639d29e2');
    const derived = fromHex('2124ffb29fac4e0fbbc7d5d87492bff3');
    const nonce = fromHex('5c79058ba2f43447639d29e2');
    const engine = createCipheriv('aes-128-gcm', derived, nonce, { authTagLength: 12 });
    const data = concat([engine.update(CONTENT), engine.final()]);
    const cipher = readContentCipher(bound(inner), 'AuthEnvelopedData');
    const authentication = { tag: engine.getAuthTag(), associated: new Uint8Array() };
    expect(toHex(decryptContent(cipher, contentKey, data, authentication) as Uint8Array)).toBe(
      toHex(CONTENT),
    );
  });
});

describe('messages', () => {
  const sharedKeys = [{ keyIdentifier: utf8('id'), key: new Uint8Array(32).fill(7) }];

  it.each(ENCRYPTION_CIPHERS)('%s', async (cipher) => {
    const message = encryptData(CONTENT, { sharedKeys, cipher, cekHkdf: true });
    for (const encoded of [message, toBer(message, 1000)]) {
      const enveloped = parseEnveloped(encoded);
      expect(enveloped.contentEncryptionAlgorithm.oid).toBe(OID.cekHkdfSha256);
      const opened = await decryptEnvelopedData(enveloped, undefined, { sharedKeys });
      expect(toHex(opened.content)).toBe(toHex(CONTENT));
      expect(opened.cipher).toBe(cipher);
    }
  });

  it('passed on without the binding, or under another cipher, it does not open', async () => {
    const message = encryptData(CONTENT, { sharedKeys, cipher: 'aes256-gcm', cekHkdf: true });
    const enveloped = parseEnveloped(message) as AuthEnvelopedData;
    const inner = enveloped.contentEncryptionAlgorithm.parameters;
    if (inner === undefined) throw new Error('no parameters');
    const rows = [
      { contentEncryptionAlgorithm: readAlgorithmIdentifier(inner) },
      {
        contentEncryptionAlgorithm: bound(
          Uint8Array.from(inner.bytes, (octet, i) => (i === 20 ? octet ^ 1 : octet)),
        ),
      },
    ];
    for (const changed of rows) {
      const passedOn = Object.assign(Object.create(AuthEnvelopedData.prototype), enveloped, changed);
      const error = await decryptEnvelopedData(passedOn, undefined, { sharedKeys }).catch((reason) => reason);
      expect(error).toBeInstanceOf(MailsealError);
      expect(error.code).toBe('DECRYPTION_FAILED');
    }
  });

  it.each([
    ['without parameters', (): Uint8Array => new Uint8Array(), 'CMS_MALFORMED'],
    [
      'around itself',
      () =>
        writeDer((w) =>
          w.sequence((w) => {
            w.oid(OID.cekHkdfSha256);
            w.sequence((w) => w.oid(OID.aes128Cbc));
          }),
        ),
      'UNSUPPORTED_ALGORITHM',
    ],
    [
      'around CBC in AuthEnvelopedData',
      () =>
        writeDer((w) =>
          w.sequence((w) => {
            w.oid(OID.aes128Cbc);
            w.octets(new Uint8Array(16));
          }),
        ),
      'UNSUPPORTED_ALGORITHM',
    ],
  ] as const)('%s it is refused', (_, inner, code) => {
    try {
      readContentCipher(bound(inner()), 'AuthEnvelopedData');
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code });
    }
  });
});
