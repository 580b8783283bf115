/**
 * AuthEnvelopedData (RFC 5083) with AES-GCM, AES-CCM (RFC 5084) and ChaCha20-Poly1305 (RFC 8103): what we encrypt we open,
 * nothing opens whose tag does not hold, and no AEAD cipher is taken for CBC or the other way round.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { parseDer } from '../src/asn1/tape.js';
import { type DerWriter, writeDer } from '../src/asn1/write.js';
import { concat, equal, fromHex, join, type Pieces, toHex, utf8 } from '../src/bytes.js';
import { ENCRYPTION_CIPHERS, type EncryptionCipher, readContentCipher } from '../src/cms/ciphers.js';
import { decryptContent, encryptContent } from '../src/cms/contentcrypto.js';
import {
  type AuthEnvelopedData,
  type DecryptedContent,
  decryptEnvelopedData,
  encryptData,
} from '../src/cms/enveloped.js';
import { wrapTransported, writeKeyTransport } from '../src/cms/keytransport.js';
import { keyRing } from '../src/cms/recipients.js';
import { MailsealError } from '../src/errors.js';
import { toBer } from './helpers/ber.js';
import { parseEnveloped } from './helpers/enveloped.js';
import { person } from './helpers/pki.js';

const CONTENT = utf8('Content-Type: text/plain\r\n\r\nSecret\r\n');
const AEAD = ENCRYPTION_CIPHERS.filter((name) => !name.endsWith('-cbc'));

const alice = person({ subject: 'Alice', key: 'rsa' });
const keys = keyRing({ entries: [alice] });

const decrypt = async (message: Uint8Array): Promise<DecryptedContent> =>
  decryptEnvelopedData(parseEnveloped(message), keys);

async function codeOf(message: Uint8Array): Promise<string> {
  try {
    await decrypt(message);
    return 'opened';
  } catch (error) {
    if (!(error instanceof MailsealError)) throw error;
    return error.code;
  }
}

const encrypt = (content: Uint8Array, cipher: EncryptionCipher, contentType?: string) =>
  encryptData(content, { recipients: [alice.certificate], cipher, ...(contentType && { contentType }) });

describe('encrypt and decrypt', () => {
  it('there are seven AEAD ciphers', () => expect(AEAD).toHaveLength(7));

  for (const cipher of AEAD) {
    it(`${cipher}, in DER and in BER`, async () => {
      const message = encrypt(CONTENT, cipher);
      parseDer(message, { strict: true });
      for (const encoded of [message, toBer(message, 100)]) {
        expect(parseEnveloped(encoded).version).toBe(0);
        const opened = await decrypt(encoded);
        expect(toHex(opened.content)).toBe(toHex(CONTENT));
        expect(opened).toMatchObject({
          cipher,
          keyEncryption: 'rsaes-pkcs1',
          integrity: 'tag',
          contentType: OID.data,
          remarks: [],
        });
      }
    });

    it(`${cipher}, every length around a block, and none`, async () => {
      for (const length of [0, 1, 15, 16, 17, 63, 64, 65, 100_000]) {
        const content = randomBytes(length);
        expect((await decrypt(encrypt(content, cipher))).content.length).toBe(length);
        expect(equal((await decrypt(encrypt(content, cipher))).content, content)).toBe(true);
      }
    });

    it(`${cipher}: every bit of tag, nonce, ciphertext counts`, async () => {
      const message = encrypt(CONTENT, cipher);
      const { mac, encryptedContent, contentEncryptionAlgorithm } = parseEnveloped(
        message,
      ) as AuthEnvelopedData;
      const parameters = contentEncryptionAlgorithm.parameters?.bytes as Uint8Array;
      const nonceAt = parameters[0] === 0x30 ? 4 : 2;
      for (const part of [mac, encryptedContent as Uint8Array, parameters.subarray(nonceAt, nonceAt + 11)]) {
        for (let i = 0; i < part.length; i++) {
          const was = part[i] as number;
          part[i] = was ^ (1 << (i & 7));
          expect(await codeOf(message)).toBe('DECRYPTION_FAILED');
          part[i] = was;
        }
      }
      expect(await codeOf(message)).toBe('opened');
    });
  }

  it.each(AEAD)('%s: a wrong tag of empty content, which has no address in memory', async (cipher) => {
    for (const content of [new Uint8Array(0), Buffer.alloc(0), randomBytes(0)]) {
      const message = encrypt(content, cipher);
      for (const encoded of [message, toBer(message, 3)]) {
        expect((await decrypt(encoded)).content).toHaveLength(0);
        for (const associated of [new Uint8Array(0), Buffer.alloc(0)]) {
          const parts = parseEnveloped(encoded) as AuthEnvelopedData;
          const cipherOf = readContentCipher(parts.contentEncryptionAlgorithm, 'AuthEnvelopedData');
          const key = new Uint8Array(cipherOf.keyLength).fill(3);
          const encrypted = encryptContent(cipherOf, key, content, associated);
          expect(join(encrypted.pieces)).toHaveLength(0);
          const tag = join(encrypted.tag as Pieces);
          const wrong = tag.map((octet, i) => octet ^ (i === 5 ? 1 : 0));
          for (const data of [new Uint8Array(0), Buffer.alloc(0), randomBytes(0)]) {
            const right = { tag, associated };
            expect(decryptContent(cipherOf, key, data, right)).toHaveLength(0);
            expect(decryptContent(cipherOf, key, data, { tag: wrong, associated })).toBeUndefined();
          }
        }
      }
    }
  });

  it('CCM beyond the 16 MB that its nonce of 12 octets has room for', async () => {
    const content = new Uint8Array(2 ** 24).fill(7);
    for (const [length, nonce] of [
      [2 ** 24 - 1, 12],
      [2 ** 24, 11],
    ] as const) {
      const message = encrypt(content.subarray(0, length), 'aes128-ccm');
      const { parameters } = parseEnveloped(message).contentEncryptionAlgorithm;
      expect(parameters?.firstChild?.content).toHaveLength(nonce);
      expect((await decrypt(message)).content.length).toBe(length);
    }
  });

  it('what OpenSSL makes of key, nonce and attributes is what we wrote', () => {
    let counter = 0;
    const random = (size: number) => new Uint8Array(size).fill(++counter);
    const recipients = [alice.certificate];
    const message = encryptData(CONTENT, { recipients, cipher: 'aes256-gcm', random });
    const { mac, encryptedContent } = parseEnveloped(message) as AuthEnvelopedData;
    const engine = createDecipheriv('aes-256-gcm', Buffer.alloc(32, 1), Buffer.alloc(12, 2));
    engine.setAuthTag(mac);
    const content = concat([engine.update(encryptedContent as Uint8Array), engine.final()]);
    expect(equal(content, CONTENT)).toBe(true);
    expect(mac).toHaveLength(16);
  });
});

/** An AuthEnvelopedData as a row wants it. */
interface Forgery {
  cipher?: (w: DerWriter) => void;
  contentType?: string;
  /** Encoded attributes. */
  attributes?: Uint8Array[];
  /** What their tag is made over; default: their SET in DER. */
  associated?: Uint8Array;
  mac?: (tag: Uint8Array) => Uint8Array;
  /** A type in place of authEnvelopedData, and what stands behind the encrypted content. */
  type?: string;
  tagBehind?: boolean;
  tagLength?: number;
  sorted?: boolean;
}

const KEY = fromHex('000102030405060708090a0b0c0d0e0f');
const NONCE = fromHex('0102030405060708090a0b0c');
const wrapped = wrapTransported(alice.certificate, KEY, 'rsaes-pkcs1');

const gcm =
  (tagLength?: number, nonce = NONCE) =>
  (w: DerWriter) => {
    w.oid(OID.aes128Gcm);
    w.sequence((w) => {
      w.octets(nonce);
      if (tagLength !== undefined) w.integer(tagLength);
    });
  };

const contentTypeAttribute = (...types: string[]) =>
  writeDer((w) =>
    w.sequence((w) => {
      w.oid(OID.contentType);
      w.set((w) => types.map((type) => w.oid(type)));
    }),
  );

const unknownAttribute = writeDer((w) =>
  w.sequence((w) => {
    w.oid('1.2.3.4');
    w.set((w) => w.octets(utf8('kept')));
  }),
);

function forge(forgery: Forgery = {}): Uint8Array {
  const { attributes = [], tagLength = 16, contentType = OID.data, sorted = true } = forgery;
  const engine = createCipheriv('aes-128-gcm', KEY, NONCE, { authTagLength: tagLength });
  const associated = attributes.length === 0 ? new Uint8Array() : writeDer((w) => w.setOf(attributes));
  engine.setAAD(forgery.associated ?? associated);
  const encrypted = concat([engine.update(CONTENT), engine.final()]);
  const tag = engine.getAuthTag();
  return writeDer((w) =>
    w.sequence((w) => {
      w.oid(forgery.type ?? OID.authEnvelopedData);
      w.explicit(0, (w) =>
        w.sequence((w) => {
          w.integer(0);
          w.set((w) =>
            w.sequence((w) => {
              w.integer(0);
              w.sequence((w) => {
                w.raw(alice.certificate.issuer.der);
                w.integer(alice.certificate.serialNumber);
              });
              writeKeyTransport(w, 'rsaes-pkcs1');
              w.octets(wrapped);
            }),
          );
          w.sequence((w) => {
            w.oid(contentType);
            w.sequence(forgery.cipher ?? gcm(16));
            w.implicit(0, forgery.tagBehind ? concat([encrypted, tag]) : encrypted);
          });
          if (attributes.length > 0) {
            if (sorted) w.implicitSetOf(1, attributes);
            else w.implicitConstructed(1, (w) => attributes.map((one) => w.raw(one)));
          }
          if (!forgery.tagBehind) w.octets((forgery.mac ?? ((octets) => octets))(tag));
        }),
      );
    }),
  );
}

describe('authenticated attributes', () => {
  it('are authenticated as a SET in DER, whatever their order and encoding in the message', async () => {
    const attributes = [unknownAttribute, contentTypeAttribute(OID.data)];
    for (const sorted of [true, false]) {
      const message = forge({ attributes, sorted });
      for (const encoded of [message, toBer(message, 3)]) {
        expect(await codeOf(encoded)).toBe('opened');
        const { authAttrs } = parseEnveloped(encoded) as AuthEnvelopedData;
        expect(authAttrs.map(({ oid }) => oid).sort()).toEqual(['1.2.3.4', OID.contentType].sort());
      }
    }
  });

  it('that were changed, added or taken away do not open', async () => {
    const attributes = [unknownAttribute];
    const associated = new Uint8Array();
    expect(await codeOf(forge({ attributes, associated }))).toBe('DECRYPTION_FAILED');
    const changed = forge({ attributes });
    changed[Buffer.from(changed).indexOf('kept')] = 0x4b;
    expect(await codeOf(changed)).toBe('DECRYPTION_FAILED');
    expect(await codeOf(forge({ associated: writeDer((w) => w.setOf(attributes)) }))).toBe(
      'DECRYPTION_FAILED',
    );
  });

  it('name the type of content that is not data, and are written for it', async () => {
    const message = encrypt(CONTENT, 'aes256-gcm', OID.signedData);
    expect((parseEnveloped(message) as AuthEnvelopedData).authAttrs.map(({ oid }) => oid)).toEqual([
      OID.contentType,
    ]);
    expect((await decrypt(message)).contentType).toBe(OID.signedData);
    expect((parseEnveloped(encrypt(CONTENT, 'aes256-gcm')) as AuthEnvelopedData).authAttrs).toEqual([]);
  });

  const { signedData, data } = OID;
  const rows: [name: string, forgery: Forgery, code: string][] = [
    ['the right type', { contentType: signedData, attributes: [contentTypeAttribute(signedData)] }, 'opened'],
    ['no type, of content that is not data', { contentType: signedData }, 'CMS_MALFORMED'],
    ['another type', { contentType: signedData, attributes: [contentTypeAttribute(data)] }, 'CMS_MALFORMED'],
    ['another type than data', { attributes: [contentTypeAttribute(signedData)] }, 'CMS_MALFORMED'],
    ['two types', { attributes: [contentTypeAttribute(data, signedData)] }, 'CMS_MALFORMED'],
    [
      'the type twice',
      { attributes: [contentTypeAttribute(data), contentTypeAttribute(data)] },
      'CMS_MALFORMED',
    ],
  ];
  it.each(rows)('with %s', async (_, forgery, code) => expect(await codeOf(forge(forgery))).toBe(code));
});

describe('short GCM tag, odd nonce; AEAD turned into CBC', () => {
  const cbc = (w: DerWriter) => {
    w.oid(OID.aes128Cbc);
    w.octets(new Uint8Array(16));
  };
  const ccm = (nonce: number, tagLength: number) => (w: DerWriter) => {
    w.oid(OID.aes128Ccm);
    w.sequence((w) => {
      w.octets(new Uint8Array(nonce));
      w.integer(tagLength);
    });
  };
  const bare = (nonce: Uint8Array) => (w: DerWriter) => {
    w.oid(OID.aes128Gcm);
    w.octets(nonce);
  };
  const { envelopedData } = OID;
  const rows: [name: string, forgery: Forgery, code: string][] = [
    ['as it should be', {}, 'opened'],
    ['a tag of 12 octets, the default', { cipher: gcm(), tagLength: 12 }, 'opened'],
    ['a tag of 13 octets', { cipher: gcm(13), tagLength: 13 }, 'opened'],
    ['a tag of 8 octets', { cipher: gcm(8), tagLength: 8 }, 'CMS_MALFORMED'],
    ['a tag of 4 octets', { cipher: gcm(4), tagLength: 4 }, 'CMS_MALFORMED'],
    ['a tag of no octets', { cipher: gcm(0), mac: () => new Uint8Array() }, 'CMS_MALFORMED'],
    ['a tag of 17 octets', { cipher: gcm(17) }, 'CMS_MALFORMED'],
    ['a tag that is shorter than said', { mac: (tag) => tag.subarray(0, 12) }, 'CMS_MALFORMED'],
    ['a tag that is longer than said', { cipher: gcm(12) }, 'CMS_MALFORMED'],
    ['an empty tag', { mac: () => new Uint8Array() }, 'CMS_MALFORMED'],
    ['a nonce of 11 octets', { cipher: gcm(16, NONCE.subarray(1)) }, 'CMS_MALFORMED'],
    ['a nonce of 2,000 octets (CVE-2025-15467)', { cipher: gcm(16, new Uint8Array(2000)) }, 'CMS_MALFORMED'],
    ['an empty nonce', { cipher: gcm(16, new Uint8Array()) }, 'CMS_MALFORMED'],
    ['CCM with a tag of 4 octets', { cipher: ccm(12, 4) }, 'CMS_MALFORMED'],
    ['CCM with a tag of 13 octets', { cipher: ccm(12, 13) }, 'CMS_MALFORMED'],
    ['CCM with a nonce of 6 octets', { cipher: ccm(6, 16) }, 'CMS_MALFORMED'],
    ['CCM with a nonce of 14 octets', { cipher: ccm(14, 16) }, 'CMS_MALFORMED'],
    ['GCM without parameters', { cipher: (w) => w.oid(OID.aes128Gcm) }, 'CMS_MALFORMED'],
    ['GCM with a bare nonce', { cipher: bare(NONCE) }, 'ASN1_UNEXPECTED'],
    ['CBC in AuthEnvelopedData', { cipher: cbc }, 'UNSUPPORTED_ALGORITHM'],
    ['GCM in EnvelopedData', { type: envelopedData, tagBehind: true }, 'UNSUPPORTED_ALGORITHM'],
    [
      'CCM in EnvelopedData',
      { type: envelopedData, tagBehind: true, cipher: ccm(12, 16) },
      'UNSUPPORTED_ALGORITHM',
    ],
    [
      'GCM in EnvelopedData as pkijs writes it',
      { type: envelopedData, tagBehind: true, cipher: bare(NONCE) },
      'opened',
    ],
    [
      'the same with a nonce of 13 octets',
      { type: envelopedData, tagBehind: true, cipher: bare(new Uint8Array(13)) },
      'CMS_MALFORMED',
    ],
  ];
  it.each(rows)('%s', async (_, forgery, code) => expect(await codeOf(forge(forgery))).toBe(code));

  it('an AuthEnvelopedData cut down to EnvelopedData, its cipher to CBC: no content but by chance of padding', async () => {
    const parts = parseEnveloped(forge()) as AuthEnvelopedData;
    const blocks = (parts.encryptedContent as Uint8Array).subarray(0, 32);
    expect(blocks).toHaveLength(32);
    const message = forge({ type: envelopedData, tagBehind: true, cipher: cbc });
    expect(await codeOf(message)).toBe('DECRYPTION_FAILED'); // GCM content and tag are no whole blocks here
    const encrypted = await decrypt(forge({ type: envelopedData, tagBehind: true, cipher: bare(NONCE) }));
    expect(encrypted).toMatchObject({ integrity: 'tag', cipher: 'aes128-gcm' });
    expect(encrypted.remarks.map(({ code }) => code)).toEqual(['CMS_MALFORMED']);
  });

  it('GCM in EnvelopedData with a changed, a cut or no tag does not open', async () => {
    const message = forge({ type: envelopedData, tagBehind: true, cipher: bare(NONCE) });
    const { encryptedContent } = parseEnveloped(message);
    const last = (encryptedContent as Uint8Array).length - 1;
    (encryptedContent as Uint8Array)[last] = ((encryptedContent as Uint8Array)[last] as number) ^ 1;
    expect(await codeOf(message)).toBe('DECRYPTION_FAILED');
  });
});

describe('changed messages', () => {
  const message = encrypt(CONTENT, 'aes128-gcm', OID.signedData);

  it('every octet changed gives the same content or a coded error', async () => {
    let failed = 0;
    for (let at = 0; at < message.length; at++) {
      for (const flip of [0x01, 0xff]) {
        const changed = message.slice();
        changed[at] = (changed[at] as number) ^ flip;
        try {
          expect(equal((await decrypt(changed)).content, CONTENT)).toBe(true);
        } catch (error) {
          if (!(error instanceof MailsealError)) throw new Error(`octet ${at}`, { cause: error });
          failed++;
        }
      }
    }
    expect(failed / (message.length * 2)).toBeGreaterThan(0.9);
  });

  it('cut at every octet it never opens', async () => {
    for (let length = 0; length < message.length; length++) {
      expect(await codeOf(message.slice(0, length))).not.toBe('opened');
    }
  });
});
