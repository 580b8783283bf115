/** EnvelopedData (RFC 5652 section 6): what we encrypt we open; what must not open; that failures can't be told apart. */
import { constants, createCipheriv, generateKeyPairSync, publicEncrypt, randomBytes } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { parseDer } from '../src/asn1/tape.js';
import { type DerWriter, writeDer } from '../src/asn1/write.js';
import { concat, equal, fromHex, toHex, utf8 } from '../src/bytes.js';
import { contentOfType, readContentInfo } from '../src/cms/content.js';
import {
  type DecryptedContent,
  decryptEnvelopedData,
  type EncryptOptions,
  EnvelopedData,
  encryptData,
  MAX_KEY_TRIALS,
} from '../src/cms/enveloped.js';
import { type KeyCandidate, type KeyFinder, keyRing } from '../src/cms/recipients.js';
import { MailsealError } from '../src/errors.js';
import { Certificate } from '../src/x509/certificate.js';
import { PrivateKey } from '../src/x509/keys.js';
import { toBer } from './helpers/ber.js';
import { envelopedData } from './helpers/enveloped.js';
import { failure } from './helpers/failures.js';
import { encodeName, generateKey, issueCertificate, person } from './helpers/pki.js';

const CONTENT = utf8('Content-Type: text/plain\r\n\r\nSecret\r\n');

function rsaKey(modulusLength: number): Uint8Array {
  return generateKeyPairSync('rsa', { modulusLength }).privateKey.export({ format: 'der', type: 'pkcs8' });
}

const aliceKey = generateKey('rsa');
const alice = person({ subject: 'Alice', key: aliceKey });
const bob = person({ subject: 'Bob', key: 'rsa' });
const carol = person({ subject: 'Carol', key: 'P-256' });

const ring = (...entries: { privateKey: PrivateKey; certificate?: Certificate }[]) => keyRing({ entries });

function parse(message: Uint8Array): EnvelopedData {
  return EnvelopedData.parse(contentOfType(readContentInfo(message), OID.envelopedData));
}

function decrypt(message: Uint8Array, keys: KeyFinder): Promise<DecryptedContent> {
  return decryptEnvelopedData(parse(message), keys);
}

describe('encrypt and decrypt', () => {
  for (const cipher of ['aes128-cbc', 'aes192-cbc', 'aes256-cbc'] as const) {
    for (const keyTransport of ['rsaes-pkcs1', 'rsaes-oaep'] as const) {
      for (const recipientIdentifier of ['issuerAndSerialNumber', 'subjectKeyIdentifier'] as const) {
        it(`${cipher}, ${keyTransport}, ${recipientIdentifier}`, async () => {
          const recipients = [alice.certificate, bob.certificate];
          const message = encryptData(CONTENT, { recipients, cipher, keyTransport, recipientIdentifier });
          parseDer(message, { strict: true });
          for (const encoded of [message, toBer(message, 100)]) {
            expect(parse(encoded).version).toBe(recipientIdentifier === 'subjectKeyIdentifier' ? 2 : 0);
            for (const one of [alice, bob]) {
              const opened = await decrypt(encoded, ring(carol, one));
              expect(equal(opened.content, CONTENT)).toBe(true);
              expect(opened).toMatchObject({
                cipher,
                keyEncryption: keyTransport,
                integrity: 'none',
                contentType: OID.data,
              });
              expect(opened.recipient?.type).toBe(recipientIdentifier);
              expect(opened.certificate?.equals(one.certificate)).toBe(true);
            }
          }
        });
      }
    }
  }

  it('every length around a block, and none', async () => {
    for (const length of [0, 1, 15, 16, 17, 31, 32, 33]) {
      const content = randomBytes(length);
      const opened = await decrypt(encryptData(content, { recipients: [alice.certificate] }), ring(alice));
      expect(toHex(opened.content)).toBe(toHex(content));
    }
  });

  it('AES-256-CBC and RSAES-PKCS1-v1_5 are the defaults, and the type of the content is kept', async () => {
    const message = encryptData(CONTENT, { recipients: [alice.certificate], contentType: OID.signedData });
    expect(await decrypt(message, ring(alice))).toMatchObject({
      cipher: 'aes256-cbc',
      keyEncryption: 'rsaes-pkcs1',
      contentType: OID.signedData,
    });
  });

  it('key and IV come from `random`', () => {
    let counter = 0;
    const random = (size: number) => new Uint8Array(size).fill(++counter);
    const { encryptedContent } = parse(encryptData(CONTENT, { recipients: [alice.certificate], random }));
    const engine = createCipheriv('aes-256-cbc', Buffer.alloc(32, 1), Buffer.alloc(16, 2));
    expect(toHex(encryptedContent as Uint8Array)).toBe(
      toHex(concat([engine.update(CONTENT), engine.final()])),
    );
  });

  it('the content key is wiped', () => {
    const given: Uint8Array[] = [];
    const random = (size: number) => {
      given.push(randomBytes(size));
      return given.at(-1) as Uint8Array;
    };
    encryptData(CONTENT, { recipients: [alice.certificate], random });
    expect(given.map(({ length }) => length)).toEqual([32, 16]);
    expect(given[0]?.every((octet) => octet === 0)).toBe(true);
  });
});

describe('encryptData refuses', () => {
  const forSigning = person({ subject: 'S', key: aliceKey, keyUsage: ['digitalSignature'] });
  const short = person({ subject: 'W', key: rsaKey(512) });
  const server = person({ subject: 'W', key: aliceKey, extendedKeyUsage: [OID.serverAuth] });
  const expired = person({ subject: 'X', key: aliceKey, notAfter: new Date('2021-01-01T00:00:00Z') });
  const nameless = person({ subject: 'N', key: aliceKey, subjectKeyIdentifier: null });
  const rows: [name: string, options: EncryptOptions, code: string][] = [
    [
      'an RSA key of 512 bits, which is factored in hours',
      { recipients: [short.certificate] },
      'KEY_UNSUITABLE',
    ],
    ['a certificate that is for servers only', { recipients: [server.certificate] }, 'KEY_UNSUITABLE'],
    ['an expired certificate', { recipients: [alice.certificate, expired.certificate] }, 'KEY_UNSUITABLE'],
    [
      'a certificate that is not valid yet',
      { recipients: [expired.certificate], now: new Date('2019-12-31T23:59:59Z') },
      'KEY_UNSUITABLE',
    ],
    ['a certificate that is for signing only', { recipients: [forSigning.certificate] }, 'KEY_UNSUITABLE'],
    [
      'a name by key identifier where the certificate has none',
      { recipients: [nameless.certificate], recipientIdentifier: 'subjectKeyIdentifier' },
      'KEY_UNSUITABLE',
    ],
  ];
  for (const [name, options, code] of rows) {
    it(name, async () => expect((await failure(() => encryptData(CONTENT, options))).code).toBe(code));
  }
  it('an expired certificate, saying when; to its last second it was valid', async () => {
    const recipients = [expired.certificate];
    const error = await failure(() => encryptData(CONTENT, { recipients }));
    expect(error.message).toBe('the certificate of CN=X expired at 2021-01-01T00:00:00.000Z');
    const now = new Date('2021-01-01T00:00:00.999Z');
    const opened = await decrypt(encryptData(CONTENT, { recipients, now }), ring(expired));
    expect(equal(opened.content, CONTENT)).toBe(true);
    expect(() => encryptData(CONTENT, { recipients, now: new Date(+now + 1) })).toThrow(MailsealError);
    expect(() => encryptData(CONTENT, { recipients, now: new Date(Number.NaN) })).toThrow(TypeError);
  });
  it('nothing for a key of 1024 bits, or a certificate for any purpose or for none in particular', async () => {
    for (const extendedKeyUsage of [null, [OID.anyExtendedKeyUsage], [OID.serverAuth, OID.emailProtection]]) {
      const old = person({ subject: 'O', key: rsaKey(1024), extendedKeyUsage });
      const opened = await decrypt(encryptData(CONTENT, { recipients: [old.certificate] }), ring(old));
      expect(equal(opened.content, CONTENT)).toBe(true);
    }
  });
  it.each([
    ['keyTransport', 'oaep'],
    ['recipientIdentifier', 'ski'],
    ['cipher', 'rc4'],
  ])('an option that is none: %s %s', (option, value) => {
    const options = { recipients: [alice.certificate], [option]: value } as unknown as EncryptOptions;
    expect(() => encryptData(CONTENT, options)).toThrow(RangeError);
  });
  it('somebody twice is one recipient', () => {
    const { recipientInfos } = parse(
      encryptData(CONTENT, { recipients: [alice.certificate, alice.certificate] }),
    );
    expect(recipientInfos).toHaveLength(1);
  });
  it('nobody', () => expect(() => encryptData(CONTENT, { recipients: [] })).toThrow(RangeError));
  it('3DES', () => {
    const options = { recipients: [alice.certificate], cipher: 'des-ede3-cbc' as 'aes128-cbc' };
    expect(() => encryptData(CONTENT, options)).toThrow(RangeError);
  });
  it('content that is no Uint8Array', () => {
    const options = { recipients: [alice.certificate] };
    expect(() => encryptData('text' as unknown as Uint8Array, options)).toThrow(TypeError);
  });
});

/** An EnvelopedData as a row wants it. */
interface Forgery {
  /** Encoded RecipientInfos; default: one for Alice with `encryptedKey`. */
  recipients?: Uint8Array[];
  keyAlgorithm?: (w: DerWriter) => void;
  encryptedKey?: Uint8Array;
  cipher?: (w: DerWriter) => void;
  /** null: absent. */
  encryptedContent?: Uint8Array | null;
}

const KEY = fromHex('000102030405060708090a0b0c0d0e0f');
const IV = new Uint8Array(16);

const rsaEncryption = (w: DerWriter) => {
  w.oid(OID.rsaEncryption);
  w.null();
};
const aes128 = (w: DerWriter) => {
  w.oid(OID.aes128Cbc);
  w.octets(IV);
};

function aes(content: Uint8Array): Uint8Array {
  const engine = createCipheriv('aes-128-cbc', KEY, IV);
  return concat([engine.update(content), engine.final()]);
}

/** Without the padding that CBC needs. */
function aesRaw(padded: Uint8Array): Uint8Array {
  return createCipheriv('aes-128-cbc', KEY, IV).setAutoPadding(false).update(padded);
}

function keyTransport(
  encryptedKey: Uint8Array,
  algorithm: (w: DerWriter) => void = rsaEncryption,
): Uint8Array {
  return writeDer((w) =>
    w.sequence((w) => {
      w.integer(0);
      w.sequence((w) => {
        w.raw(alice.certificate.issuer.der);
        w.integer(alice.certificate.serialNumber);
      });
      w.sequence(algorithm);
      w.octets(encryptedKey);
    }),
  );
}

function forge(forgery: Forgery = {}): Uint8Array {
  const { encryptedContent = aes(CONTENT), encryptedKey = wrap(padded(KEY)) } = forgery;
  const { recipients = [keyTransport(encryptedKey, forgery.keyAlgorithm)], cipher = aes128 } = forgery;
  return envelopedData({ recipients, cipher, encryptedContent });
}

/** EM of RFC 8017 7.2.1 for a 2048-bit key. */
function padded(key: Uint8Array, head: readonly number[] = [0, 2]): Uint8Array {
  const filler = new Uint8Array(256 - 3 - key.length).fill(0xa5);
  return concat([Uint8Array.from(head), filler, Uint8Array.of(0), key]);
}

/** Raw RSA with Alice's public key. */
function wrap(em: Uint8Array): Uint8Array {
  return publicEncrypt({ key: alice.certificate.publicKey.keyObject, padding: constants.RSA_NO_PADDING }, em);
}

describe('decryption refuses', () => {
  const kekri = writeDer((w) =>
    w.implicitConstructed(2, (w) => {
      w.integer(4);
      w.sequence((w) => w.octets(utf8('mail')));
      w.sequence((w) => w.oid(OID.aes256Wrap));
      w.octets(new Uint8Array(24));
    }),
  );
  const pwri = writeDer((w) =>
    w.implicitConstructed(3, (w) => {
      w.integer(0);
      w.sequence((w) => w.oid(OID.pwriKek));
      w.octets(new Uint8Array(24));
    }),
  );
  const ori = writeDer((w) =>
    w.implicitConstructed(4, (w) => {
      w.oid(OID.keyTransPsk);
      w.null();
    }),
  );
  const kari = writeDer((w) =>
    w.implicitConstructed(1, (w) => {
      w.integer(3);
      w.explicit(0, (w) => w.implicit(0, Uint8Array.of(1)));
      w.sequence((w) => w.oid(OID.esdh));
      w.sequence((w) => {
        w.sequence((w) => {
          w.sequence((w) => {
            w.raw(carol.certificate.issuer.der);
            w.integer(carol.certificate.serialNumber);
          });
          w.octets(new Uint8Array(24));
        });
        w.sequence((w) => {
          w.implicitConstructed(0, (w) => w.octets(fromHex('c0ffee')));
          w.octets(new Uint8Array(24));
        });
      });
    }),
  );

  it('an unknown recipient, and says whom the message is for', async () => {
    const recipients = [keyTransport(wrap(padded(KEY))), kari, kekri, pwri, ori];
    const error = await failure(() => decrypt(forge({ recipients }), ring(bob)));
    expect(error.code).toBe('RECIPIENT_UNKNOWN');
    for (const part of [
      `serial ${toHex(alice.certificate.serialNumber)} of CN=Alice`,
      `serial ${toHex(carol.certificate.serialNumber)} of CN=Carol`,
      'key identifier c0ffee',
      'shared key 6d61696c',
      'a password',
      'keyTransPsk',
    ]) {
      expect(error.message).toContain(part);
    }
  });

  it('key agreement, with its OID, when it is the only way in', async () => {
    const error = await failure(() => decrypt(forge({ recipients: [kari] }), ring(carol)));
    expect(error).toMatchObject({ code: 'UNSUPPORTED_ALGORITHM', oid: OID.esdh });
    const recipients = [kari, keyTransport(wrap(padded(KEY)))];
    expect(equal((await decrypt(forge({ recipients }), ring(carol, alice))).content, CONTENT)).toBe(true);
  });

  const oaep = (write: (w: DerWriter) => void) => (w: DerWriter) => {
    w.oid(OID.rsaesOaep);
    w.sequence(write);
  };
  const rows: [name: string, forgery: Forgery, code: string, oid?: string][] = [
    [
      'AEAD turned into CBC: AES-GCM in EnvelopedData',
      {
        cipher: (w) => {
          w.oid(OID.aes128Gcm);
          w.sequence((w) => w.octets(IV.subarray(0, 12)));
        },
      },
      'UNSUPPORTED_ALGORITHM',
      OID.aes128Gcm,
    ],
    ['a cipher without an IV', { cipher: (w) => w.oid(OID.aes128Cbc) }, 'CMS_MALFORMED'],
    [
      'an IV of 8 octets',
      {
        cipher: (w) => {
          w.oid(OID.aes128Cbc);
          w.octets(IV.subarray(0, 8));
        },
      },
      'CMS_MALFORMED',
    ],
    [
      'RC2 with a version nobody knows',
      {
        cipher: (w) => {
          w.oid(OID.rc2CBC);
          w.sequence((w) => {
            w.integer(1);
            w.octets(IV.subarray(0, 8));
          });
        },
      },
      'UNSUPPORTED_ALGORITHM',
      OID.rc2CBC,
    ],
    ['another key transport', { keyAlgorithm: (w) => w.oid('1.2.3') }, 'UNSUPPORTED_ALGORITHM', '1.2.3'],
    ['OAEP without parameters', { keyAlgorithm: (w) => w.oid(OID.rsaesOaep) }, 'CMS_MALFORMED'],
    [
      'OAEP with MD5',
      { keyAlgorithm: oaep((w) => w.explicit(0, (w) => w.sequence((w) => w.oid(OID.md5)))) },
      'UNSUPPORTED_ALGORITHM',
      OID.md5,
    ],
    ['no recipients', { recipients: [] }, 'CMS_MALFORMED'],
    ['content kept elsewhere', { encryptedContent: null }, 'UNSUPPORTED_FEATURE'],
  ];
  for (const [name, forgery, code, oid] of rows) {
    it(name, async () => {
      const error = await failure(() => decrypt(forge(forgery), ring(alice)));
      expect(error.code).toBe(code);
      expect(error.oid).toBe(oid);
    });
  }

  it('OAEP with a label, and with the defaults of SHA-1', async () => {
    const key = alice.certificate.publicKey.keyObject;
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    const labelled = publicEncrypt({ key, padding, oaepHash: 'sha1', oaepLabel: utf8('label') }, KEY);
    const keyAlgorithm = oaep((w) =>
      w.explicit(2, (w) =>
        w.sequence((w) => {
          w.oid(OID.pSpecified);
          w.octets(utf8('label'));
        }),
      ),
    );
    const opened = await decrypt(forge({ encryptedKey: labelled, keyAlgorithm }), ring(alice));
    expect(equal(opened.content, CONTENT)).toBe(true);
  });

  it('a private key that has been wiped', async () => {
    const privateKey = PrivateKey.parse(aliceKey);
    const { certificate } = alice;
    await decrypt(forge(), ring({ privateKey, certificate }));
    const { secretDigest } = privateKey;
    expect(secretDigest.some((octet) => octet !== 0)).toBe(true);
    privateKey.wipe();
    expect(secretDigest.every((octet) => octet === 0)).toBe(true);
    expect(() => privateKey.secretDigest).toThrow('wiped');
    expect((await failure(() => decrypt(forge(), ring({ privateKey, certificate })))).code).toBe(
      'KEY_UNSUITABLE',
    );
  });
});

describe('Bleichenbacher, Marvin, CBC padding oracle: every cause gives the same error', () => {
  const key15 = KEY.subarray(1);
  const key17 = concat([KEY, Uint8Array.of(1)]);
  const zeroInFiller = padded(KEY);
  zeroInFiller[9] = 0; // the eighth octet of PS
  const noSeparator = new Uint8Array(256).fill(0x5a);
  noSeparator.set([0, 2]);
  const flipped = wrap(padded(KEY));
  flipped[100] = (flipped[100] as number) ^ 1;
  const oaepAlgorithm = (w: DerWriter) => {
    w.oid(OID.rsaesOaep);
    w.sequence(() => {});
  };
  const block = new Uint8Array(16);
  const rows: [name: string, forgery: () => Forgery][] = [
    ['first octet is not 00', () => ({ encryptedKey: wrap(padded(KEY, [1, 2])) })],
    ['block type 01', () => ({ encryptedKey: wrap(padded(KEY, [0, 1])) })],
    ['block type 00', () => ({ encryptedKey: wrap(padded(KEY, [0, 0])) })],
    ['a zero within the eight octets of filler', () => ({ encryptedKey: wrap(zeroInFiller) })],
    ['no separator', () => ({ encryptedKey: wrap(noSeparator) })],
    ['no key behind the separator', () => ({ encryptedKey: wrap(padded(new Uint8Array())) })],
    ['a key of 15 octets', () => ({ encryptedKey: wrap(padded(key15)) })],
    ['a key of 17 octets', () => ({ encryptedKey: wrap(padded(key17)) })],
    [
      'another key of the right length',
      () => ({ encryptedKey: wrap(padded(KEY.map((octet) => octet ^ 1))) }),
    ],
    ['a changed encrypted key', () => ({ encryptedKey: flipped })],
    ['the number 0', () => ({ encryptedKey: new Uint8Array(256) })],
    ['a number beyond the modulus', () => ({ encryptedKey: new Uint8Array(256).fill(0xff) })],
    ['an encrypted key that is too short', () => ({ encryptedKey: flipped.subarray(1) })],
    ['an encrypted key that is too long', () => ({ encryptedKey: concat([flipped, Uint8Array.of(0)]) })],
    ['no encrypted key at all', () => ({ encryptedKey: new Uint8Array() })],
    ['OAEP that does not decode', () => ({ encryptedKey: flipped, keyAlgorithm: oaepAlgorithm })],
    ['PKCS#1 v1.5 under the name of OAEP', () => ({ keyAlgorithm: oaepAlgorithm })],
    ['content padding 00', () => ({ encryptedContent: aesRaw(block) })],
    ['content padding 17', () => ({ encryptedContent: aesRaw(block.map(() => 17)) })],
    ['content padding 255', () => ({ encryptedContent: aesRaw(block.map(() => 255)) })],
    [
      'content padding of unequal octets',
      () => ({ encryptedContent: aesRaw(block.map((_, i) => (i === 14 ? 9 : 2))) }),
    ],
    ['content of no whole blocks', () => ({ encryptedContent: aes(CONTENT).subarray(1) })],
    ['no content', () => ({ encryptedContent: new Uint8Array() })],
  ];
  for (const [name, forgery] of rows) {
    it(name, async () => {
      const plain = await decrypt(forge(), ring(alice));
      expect(equal(plain.content, CONTENT)).toBe(true);
      const error = await failureOfMany(forgery);
      expect(error.code).toBe('DECRYPTION_FAILED');
      expect({ ...error, message: error.message }).toEqual({
        name: 'MailsealError',
        code: 'DECRYPTION_FAILED',
        message: 'the message does not decrypt',
      });
      expect(error.cause).toBeUndefined();
    });
  }

  /** A key that stands in for one that did not unpad makes one of 256 contents look right; then the next is asked. */
  async function failureOfMany(forgery: () => Forgery): Promise<MailsealError> {
    for (let attempt = 0; attempt < 8; attempt++) {
      const { encryptedContent = aes(concat([CONTENT, Uint8Array.of(attempt)])), ...rest } = forgery();
      try {
        const { content } = await decrypt(forge({ ...rest, encryptedContent }), ring(alice));
        expect(equal(content.subarray(0, CONTENT.length), CONTENT)).toBe(false);
      } catch (error) {
        return error as MailsealError;
      }
    }
    throw new Error('it opens');
  }

  it('the key that stands in is the same every time: sending a message again tells nothing', async () => {
    const encryptedKey = wrap(padded(KEY, [0, 3]));
    let garbage: Uint8Array | undefined;
    let message: Uint8Array | undefined;
    for (let attempt = 0; garbage === undefined && attempt < 5000; attempt++) {
      message = forge({ encryptedKey, encryptedContent: randomBytes(32) });
      garbage = await decrypt(message, ring(alice)).then(
        ({ content }) => content,
        () => undefined,
      );
    }
    expect(garbage).toBeDefined();
    const again = PrivateKey.parse(aliceKey); // another process would have it again like this
    for (let i = 0; i < 20; i++) {
      const { content } = await decrypt(message as Uint8Array, ring({ ...alice, privateKey: again }));
      expect(toHex(content)).toBe(toHex(garbage as Uint8Array));
    }
  });
});

describe('keys are found by identifier', () => {
  const foldedName = encodeName([['commonName', ' aLICE  ']], 'printable');
  const message = encryptData(CONTENT, { recipients: [alice.certificate] });

  it('the issuer name in another string type, case and spacing', async () => {
    const { issuer } = alice.certificate;
    const recipient = parse(message).recipientInfos[0];
    expect(recipient?.type).toBe('keyTransport');
    const renamed = Certificate.parse(
      issueCertificate({
        subject: 'Alice',
        key: aliceKey,
        issuerName: foldedName,
        serialNumber: BigInt(`0x${toHex(alice.certificate.serialNumber)}`),
      }).certificate,
    );
    expect(equal(renamed.issuer.der, issuer.der)).toBe(false);
    const opened = await decrypt(message, ring({ ...alice, certificate: renamed }));
    expect(equal(opened.content, CONTENT)).toBe(true);
  });

  it('a key without a certificate is on trial, and only if nothing else is found', async () => {
    const bare = { privateKey: PrivateKey.parse(aliceKey) };
    const opened = await decrypt(message, ring({ privateKey: bob.privateKey }, bare));
    expect(equal(opened.content, CONTENT)).toBe(true);
    expect(opened.reason).toContain('on trial');
    expect(opened.certificate).toBeUndefined();
    const named = await ring(bare, alice).find(
      parse(message).recipientInfos.flatMap((info) => ('identifiers' in info ? info.identifiers : [])),
    );
    expect(named.map(({ privateKey }) => privateKey)).toEqual([alice.privateKey]);
  });

  it('a key without a certificate is found by its own identifier', async () => {
    const bySki = encryptData(CONTENT, {
      recipients: [alice.certificate],
      recipientIdentifier: 'subjectKeyIdentifier',
    });
    const opened = await decrypt(
      bySki,
      ring({ privateKey: bob.privateKey }, { privateKey: alice.privateKey }),
    );
    expect(opened.reason).toBe('key identifier');
  });

  it('thousands of recipients cost little: the ring has an index', async () => {
    const recipients = Array.from({ length: 20_000 }, () => keyTransport(new Uint8Array(1)));
    const many = forge({ recipients: [...recipients, keyTransport(wrap(padded(KEY)))] });
    const others = Array.from({ length: 400 }, () => ({
      privateKey: bob.privateKey,
      certificate: bob.certificate,
    }));
    const started = performance.now();
    const { message } = await failure(() => decrypt(many, ring(...others)));
    expect(message).toMatch(/; and 19981 more$/);
    const opened = await decrypt(many, ring(...others, alice));
    expect(equal(opened.content, CONTENT)).toBe(true);
    expect(performance.now() - started).toBeLessThan(10_000); // about 300 ms
  });

  it('identifiers and names of megabytes are cut in the error that lists the recipients', async () => {
    const huge = 2_000_000;
    const infos = [
      (w: DerWriter) => w.implicit(0, new Uint8Array(huge)),
      ...[new Uint8Array(huge).fill(0x41), new Uint8Array(2000).fill(0x41)].map(
        (name) => (w: DerWriter) =>
          w.sequence((w) => {
            w.raw(encodeName(Buffer.from(name).toString()));
            w.tagged(2, new Uint8Array(huge).fill(1));
          }),
      ),
    ].map((identifier) =>
      writeDer((w) =>
        w.sequence((w) => {
          w.integer(2);
          identifier(w);
          w.sequence(rsaEncryption);
          w.octets(new Uint8Array(256));
        }),
      ),
    );
    const { code, message } = await failure(() => decrypt(forge({ recipients: infos }), ring(bob)));
    expect(code).toBe('RECIPIENT_UNKNOWN');
    expect(message.length).toBeLessThan(1000);
    expect(message).toContain(`key identifier ${'00'.repeat(32)}…; serial ${'01'.repeat(32)}… of a name of `);
    expect(message).toMatch(/of CN=A{197}…$/);
  });

  it('a ring of keys without certificates offers few to a message with a hundred thousand recipients', async () => {
    const keys = Array.from({ length: 2000 }, () => ({ privateKey: bob.privateKey }));
    const { issuer, serialNumber } = alice.certificate;
    const recipients = new Array(100_000).fill({ type: 'issuerAndSerialNumber', issuer, serialNumber });
    expect((await keyRing({ entries: keys }).find(recipients)).length).toBeLessThanOrEqual(1024);
    const candidates = await keyRing({ entries: keys.slice(0, 3) }).find(recipients.slice(0, 2));
    expect(candidates.map(({ recipient }) => recipient)).toEqual([0, 0, 0, 1, 1, 1]);
  });

  it('Bleichenbacher through key-history trial: at most a few keys are tried on a message', async () => {
    const keys = Array.from({ length: MAX_KEY_TRIALS + 4 }, () => PrivateKey.parse(aliceKey));
    const used = keys.map((key) => vi.spyOn(key, 'keyObject', 'get'));
    const candidates: KeyCandidate[] = keys.map((privateKey) => ({
      recipient: 0,
      privateKey,
      reason: 'row',
    }));
    const broken = forge({ encryptedContent: aesRaw(new Uint8Array(16)) });
    const error = await failure(() => decrypt(broken, { find: () => Promise.resolve(candidates) }));
    expect(error.code).toBe('DECRYPTION_FAILED');
    expect(used.filter((spy) => spy.mock.calls.length > 0)).toHaveLength(MAX_KEY_TRIALS);
  });

  it('a key that is not RSA, for an RSA recipient', async () => {
    const candidates = [{ recipient: 0, privateKey: carol.privateKey, reason: 'wrong' }];
    const error = await failure(() => decrypt(message, { find: () => Promise.resolve(candidates) }));
    expect(error.code).toBe('DECRYPTION_FAILED');
  });
});
