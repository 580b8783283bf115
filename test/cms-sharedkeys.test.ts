/**
 * Recipients with a key-encryption key (RFC 5652 6.2.3) or a password (6.2.4, RFC 3211): what we encrypt we open, what is
 * wrong gives one error, and no message makes us derive keys for longer than the limit.
 */
import { createCipheriv, pbkdf2Sync, randomBytes } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { parseDer } from '../src/asn1/tape.js';
import { type DerWriter, writeDer } from '../src/asn1/write.js';
import { concat, fromHex, readPem, toHex, utf8 } from '../src/bytes.js';
import { type DecryptedContent, decryptEnvelopedData, encryptData } from '../src/cms/enveloped.js';
import { keyRing } from '../src/cms/recipients.js';
import type { SharedSecrets } from '../src/cms/sharedkeys.js';
import { MailsealError } from '../src/errors.js';
import { decrypt as decryptMail, encrypt as encryptMail } from '../src/smime/message.js';
import { Certificate } from '../src/x509/certificate.js';
import { PrivateKey } from '../src/x509/keys.js';
import { toBer } from './helpers/ber.js';
import { envelopedData, gcmEnvelope, parseEnveloped } from './helpers/enveloped.js';
import { failure } from './helpers/failures.js';
import { hasOpenssl, opensslOut } from './helpers/peers.js';
import { issueCertificate } from './helpers/pki.js';
import { readVector } from './helpers/vectors.js';

const CONTENT = utf8('Content-Type: text/plain\r\n\r\nSecret\r\n');
const keyIdentifier = fromHex('deadbeef');
const key = randomBytes(32);
const PASSWORD = 'pässword 🙂';

const decrypt = async (message: Uint8Array, secrets: SharedSecrets): Promise<DecryptedContent> =>
  decryptEnvelopedData(parseEnveloped(message), undefined, secrets);

async function sameError(message: Uint8Array, secrets: SharedSecrets): Promise<void> {
  const error = await failure(() => decrypt(message, secrets));
  expect({ ...error, message: error.message, cause: error.cause }).toEqual({
    name: 'MailsealError',
    code: 'DECRYPTION_FAILED',
    message: 'the message does not decrypt',
    cause: undefined,
  });
}

describe('encrypt and decrypt', () => {
  for (const cipher of ['aes128-cbc', 'aes192-cbc', 'aes256-cbc', 'aes128-gcm', 'aes256-gcm'] as const) {
    it(`a shared key of each length, ${cipher}`, async () => {
      for (const length of [16, 24, 32]) {
        const sharedKeys = [{ keyIdentifier, key: key.subarray(0, length) }];
        const message = encryptData(CONTENT, { sharedKeys, cipher });
        parseDer(message, { strict: true });
        for (const encoded of [message, toBer(message, 50)]) {
          const opened = await decrypt(encoded, { sharedKeys });
          expect(toHex(opened.content)).toBe(toHex(CONTENT));
          expect(opened).toMatchObject({
            keyEncryption: 'shared-key',
            reason: 'shared key deadbeef',
            cipher,
          });
          expect(opened.recipient).toBeUndefined();
          expect(parseEnveloped(encoded).version).toBe(cipher.endsWith('gcm') ? 0 : 2);
        }
      }
    });

    it(`a password, ${cipher}`, async () => {
      const message = encryptData(CONTENT, { passwords: [PASSWORD], cipher });
      parseDer(message, { strict: true });
      for (const encoded of [message, toBer(message, 50)]) {
        const opened = await decrypt(encoded, { passwords: [PASSWORD] });
        expect(toHex(opened.content)).toBe(toHex(CONTENT));
        expect(opened).toMatchObject({ keyEncryption: 'password', reason: 'a password', cipher });
        expect(parseEnveloped(encoded).version).toBe(cipher.endsWith('gcm') ? 0 : 3);
      }
    });
  }

  it('a mail to a certificate, a shared key and two passwords, by each of them', async () => {
    const issued = issueCertificate({ subject: 'Alice' });
    const certificate = Certificate.parse(issued.certificate);
    const privateKey = PrivateKey.parse(issued.privateKey);
    const mail = utf8('From: a@example.org\r\nSubject: s\r\n\r\nHello\r\n');
    const sharedKeys = [{ keyIdentifier, key }];
    const passwords = ['one', 'two'];
    const sealed = await encryptMail(mail, { recipients: [certificate], sharedKeys, passwords });
    for (const [options, keyEncryption] of [
      [{ keys: keyRing({ entries: [{ privateKey, certificate }] }) }, 'ecdh'],
      [{ sharedKeys }, 'shared-key'],
      [{ passwords: ['two'] }, 'password'],
      [{ passwords: ['wrong', 'one'] }, 'password'],
      [
        { keys: keyRing({ entries: [] }), sharedKeys: [{ keyIdentifier, key: randomBytes(32) }], passwords },
        'password',
      ],
    ] as const) {
      const opened = await decryptMail(sealed, options);
      expect(opened.keyEncryption).toBe(keyEncryption);
      expect(Buffer.from(opened.message as Uint8Array).toString()).toContain('Hello');
    }
    const error = await failure(() => decryptMail(sealed, {}));
    expect(error.code).toBe('RECIPIENT_UNKNOWN');
    expect(error.message).toMatch(/serial .* of CN=Alice; shared key deadbeef; a password; a password$/);
  });

  it('arguments that are none', async () => {
    const short = [{ keyIdentifier, key: new Uint8Array(15) }];
    expect(() => encryptData(CONTENT, { sharedKeys: short })).toThrow(RangeError);
    expect(() => encryptData(CONTENT, {})).toThrow(RangeError);
    const wrong = [1 as unknown as string];
    expect(() => encryptData(CONTENT, { passwords: wrong })).toThrow(TypeError);
    const message = encryptData(CONTENT, { sharedKeys: [{ keyIdentifier, key }] });
    await expect(decrypt(message, { passwords: wrong })).rejects.toThrow(TypeError);
    await expect(decrypt(message, { maxPasswordCost: 0 })).rejects.toThrow(TypeError);
    const text = [{ keyIdentifier, key: 'text' as unknown as Uint8Array }];
    await expect(decrypt(message, { sharedKeys: text })).rejects.toThrow(TypeError);
  });
});

const CEK = fromHex('000102030405060708090a0b0c0d0e0f');

const envelope = (...infos: Uint8Array[]) => gcmEnvelope(CEK, CONTENT, infos);

interface Pwri {
  iterations?: number;
  /** Absent: none is written. */
  keyLength?: number;
  derivation?: ((w: DerWriter) => void) | null;
  algorithm?: (w: DerWriter) => void;
  /** What the two passes are over; default: the right thing for CEK. */
  plain?: Uint8Array;
  encryptedKey?: (right: Uint8Array) => Uint8Array;
}

const salt = utf8('saltsalt');
const iv = fromHex('101112131415161718191a1b1c1d1e1f');

/** A PasswordRecipientInfo with PBKDF2 and HMAC-SHA-1, AES-256. */
function pwri(input: Pwri = {}): Uint8Array {
  const { iterations = 1000, keyLength } = input;
  const kek = pbkdf2Sync(PASSWORD, salt, Math.min(iterations || 1, 1000), 32, 'sha1');
  const check = [0xff, 0xfe, 0xfd];
  const plain = input.plain ?? concat([Uint8Array.of(16, ...check), CEK, new Uint8Array(12)]);
  const pass = (from: Uint8Array, data: Uint8Array) =>
    createCipheriv('aes-256-cbc', kek, from).setAutoPadding(false).update(data);
  const inner = pass(iv, plain);
  const right = inner.length < 16 ? inner : pass(inner.subarray(-16), inner);
  const pbkdf2 = (w: DerWriter) => {
    w.oid(OID.PBKDF2);
    w.sequence((w) => {
      w.octets(salt);
      w.integer(iterations);
      if (keyLength !== undefined) w.integer(keyLength);
    });
  };
  const pwriKek = (w: DerWriter) => {
    w.oid(OID.pwriKek);
    w.sequence((w) => {
      w.oid(OID.aes256Cbc);
      w.octets(iv);
    });
  };
  return writeDer((w) =>
    w.implicitConstructed(3, (w) => {
      w.integer(0);
      if (input.derivation !== null) w.implicitConstructed(0, input.derivation ?? pbkdf2);
      w.sequence(input.algorithm ?? pwriKek);
      w.octets((input.encryptedKey ?? ((octets) => octets))(right));
    }),
  );
}

const passwords = [PASSWORD];

describe('PWRI-KEK', () => {
  it('the vector of RFC 3211 section 3, with 3DES', async () => {
    const cek = '8c637d887223a2f965b566eb014b0fa5d52300a3f7ea40fffc577203c71baf3b';
    const info = writeDer((w) =>
      w.implicitConstructed(3, (w) => {
        w.integer(0);
        w.implicitConstructed(0, (w) => {
          w.oid(OID.PBKDF2);
          w.sequence((w) => {
            w.octets(fromHex('1234567878563412'));
            w.integer(500);
          });
        });
        w.sequence((w) => {
          w.oid(OID.pwriKek);
          w.sequence((w) => {
            w.oid(OID.desEde3Cbc);
            w.octets(fromHex('baf1ca7931213c4e'));
          });
        });
        w.octets(fromHex('c03c514abdb9e2c5aac038572b5e24553876b377aafb82eca5a9d73f8ab143d9ec74e6cad7db260c'));
      }),
    );
    const nonce = new Uint8Array(16);
    const engine = createCipheriv('aes-256-cbc', fromHex(cek), nonce);
    const sealed = envelopedData({
      version: 3,
      recipients: [info],
      cipher: (w) => {
        w.oid(OID.aes256Cbc);
        w.octets(nonce);
      },
      encryptedContent: concat([engine.update(CONTENT), engine.final()]),
    });
    const password = 'All n-entities must communicate with other n-entities via n-1 entiteeheehees';
    expect(toHex((await decrypt(sealed, { passwords: [password] })).content)).toBe(toHex(CONTENT));
  });

  it('with and without a keyLength, with longer padding', async () => {
    for (const input of [
      {},
      { keyLength: 32 },
      { plain: concat([Uint8Array.of(16, 0xff, 0xfe, 0xfd), CEK, new Uint8Array(28)]) },
    ]) {
      expect(toHex((await decrypt(envelope(pwri(input)), { passwords })).content)).toBe(toHex(CONTENT));
    }
  });

  const plain = (...head: number[]) => concat([Uint8Array.from(head), CEK, new Uint8Array(12)]);
  const rows: [name: string, input: Pwri][] = [
    ['a count of 17', { plain: plain(17, 0xff, 0xfe, 0xfd) }],
    ['a count of 0', { plain: plain(0, 0xff, 0xfe, 0xfd) }],
    ['a count of 255', { plain: plain(255, 0xff, 0xfe, 0xfd) }],
    ['a wrong first check octet', { plain: plain(16, 0xfe, 0xfe, 0xfd) }],
    ['a wrong second check octet', { plain: plain(16, 0xff, 0xff, 0xfd) }],
    ['a wrong third check octet', { plain: plain(16, 0xff, 0xfe, 0x7d) }],
    ['one block only', { encryptedKey: (right) => right.subarray(0, 16) }],
    ['no block', { encryptedKey: () => new Uint8Array() }],
    ['no whole blocks', { encryptedKey: (right) => right.subarray(1) }],
    ['a changed octet', { encryptedKey: (right) => right.map((octet, i) => (i === 20 ? octet ^ 1 : octet)) }],
    ['a wrong iteration count', { iterations: 999, plain: plain(16, 0, 0, 0) }],
  ];
  it.each(rows)('one error: %s', async (_, input) => sameError(envelope(pwri(input)), { passwords }));
  it('one error: a wrong password', async () => {
    await sameError(envelope(pwri()), { passwords: ['password', '', 'Pässword 🙂'] });
  });

  const refused: [name: string, input: Pwri, code: string, oid?: string][] = [
    ['no key derivation (CVE-2023-2650 and others)', { derivation: null }, 'UNSUPPORTED_FEATURE'],
    ['another key derivation', { derivation: (w) => w.oid('1.2.3') }, 'UNSUPPORTED_ALGORITHM', '1.2.3'],
    ['PBKDF2 without parameters', { derivation: (w) => w.oid(OID.PBKDF2) }, 'ASN1_UNEXPECTED'],
    ['a keyLength that is not the cipher’s', { keyLength: 16 }, 'ASN1_BAD_VALUE'],
    ['PWRI-KEK without a cipher', { algorithm: (w) => w.oid(OID.pwriKek) }, 'CMS_MALFORMED'],
    [
      'PWRI-KEK with RC2',
      {
        algorithm: (w) => {
          w.oid(OID.pwriKek);
          w.sequence((w) => {
            w.oid(OID.rc2CBC);
            w.sequence((w) => {
              w.integer(58);
              w.octets(new Uint8Array(8));
            });
          });
        },
      },
      'UNSUPPORTED_ALGORITHM',
      OID.rc2CBC,
    ],
    [
      'PWRI-KEK with GCM',
      {
        algorithm: (w) => {
          w.oid(OID.pwriKek);
          w.sequence((w) => {
            w.oid(OID.aes256Gcm);
            w.sequence((w) => w.octets(new Uint8Array(12)));
          });
        },
      },
      'UNSUPPORTED_ALGORITHM',
      OID.aes256Gcm,
    ],
    ['no iterations', { iterations: 0 }, 'ASN1_BAD_VALUE'],
  ];
  it.each(refused)('refused by name: %s', async (_, input, code, oid) => {
    const error = await failure(() => decrypt(envelope(pwri(input)), { passwords }));
    expect(error.code).toBe(code);
    expect(error.oid).toBe(oid);
  });

  it('iterations as denial of service: the limit holds for one recipient, and for many together', async () => {
    const huge = envelope(pwri({ iterations: 1_000_000_000 }));
    expect((await failure(() => decrypt(huge, { passwords }))).code).toBe('LIMIT_COST');
    const cost = 1000 * 8 * 2; // two digests of SHA-1 make 32 octets
    const wrong = { plain: plain(16, 0, 0, 0) };
    const many = envelope(...Array.from({ length: 8 }, () => pwri(wrong)), pwri());
    const open = (maxPasswordCost: number) => decrypt(many, { passwords, maxPasswordCost });
    expect(toHex((await open(cost * 9)).content)).toBe(toHex(CONTENT));
    const error = await failure(() => open(cost * 9 - 1));
    expect(error.code).toBe('LIMIT_COST');
    expect(error.message).toContain(`${cost * 9} hash blocks or more, the limit is ${cost * 9 - 1}`);
  });

  it('every octet changed gives the content or a coded error, cut at every octet an error', async () => {
    const message = envelope(pwri({ keyLength: 32 }));
    const secrets = { passwords, maxPasswordCost: 100_000 }; // a changed iteration count would take its time
    for (let at = 0; at < message.length; at++) {
      await expect(decrypt(message.slice(0, at), secrets)).rejects.toBeInstanceOf(MailsealError);
      for (const flip of [0x01, 0xff]) {
        const changed = message.slice();
        changed[at] = (changed[at] as number) ^ flip;
        try {
          expect(toHex((await decrypt(changed, secrets)).content)).toBe(toHex(CONTENT));
        } catch (error) {
          expect(error, `octet ${at} ^ ${flip}`).toBeInstanceOf(MailsealError);
        }
      }
    }
  });

  it('what needs no password is tried first, and a recipient that is refused keeps nobody else out', async () => {
    const kek = writeDer((w) =>
      w.implicitConstructed(2, (w) => {
        w.integer(4);
        w.sequence((w) => w.octets(keyIdentifier));
        w.sequence((w) => {
          w.oid(OID.aes128Wrap);
          w.null();
        });
        const engine = createCipheriv('id-aes128-wrap', CEK, new Uint8Array(8).fill(0xa6));
        w.octets(concat([engine.update(CEK), engine.final()]));
      }),
    );
    const message = envelope(pwri({ iterations: 1_000_000_000 }), pwri({ derivation: null }), kek);
    const sharedKeys = [{ keyIdentifier, key: CEK }];
    expect((await decrypt(message, { passwords, sharedKeys })).keyEncryption).toBe('shared-key');
  });
});

describe('shared keys', () => {
  const sharedKeys = [{ keyIdentifier, key }];
  const message = encryptData(CONTENT, { sharedKeys, cipher: 'aes256-gcm' });

  it('another identifier is nobody’s, another key of that identifier does not open', async () => {
    const other = [{ keyIdentifier: fromHex('deadbeee'), key }];
    expect((await failure(() => decrypt(message, { sharedKeys: other }))).code).toBe('RECIPIENT_UNKNOWN');
    await sameError(message, { sharedKeys: [{ keyIdentifier, key: randomBytes(32) }] });
    await sameError(message, { sharedKeys: [{ keyIdentifier, key: key.subarray(0, 16) }] });
    const both = [{ keyIdentifier, key: randomBytes(32) }, ...sharedKeys];
    expect(toHex((await decrypt(message, { sharedKeys: both })).content)).toBe(toHex(CONTENT));
  });

  it('the caller’s key is left as it was', async () => {
    const copy = toHex(key);
    await decrypt(message, { sharedKeys });
    expect(toHex(key)).toBe(copy);
  });

  it('RC2 key wrap is refused by name', async () => {
    const info = writeDer((w) =>
      w.implicitConstructed(2, (w) => {
        w.integer(4);
        w.sequence((w) => w.octets(keyIdentifier));
        w.sequence((w) => w.oid(OID.cmsRc2Wrap));
        w.octets(new Uint8Array(40));
      }),
    );
    const error = await failure(() => decrypt(envelope(info), { sharedKeys }));
    expect(error).toMatchObject({ code: 'UNSUPPORTED_ALGORITHM', oid: OID.cmsRc2Wrap });
  });

  it('every octet of the encrypted key counts', async () => {
    const [info] = parseEnveloped(message).recipientInfos;
    if (info?.type !== 'keyEncryptionKey') throw new Error('no shared key');
    for (let i = 0; i < info.encryptedKey.length; i++) {
      info.encryptedKey[i] = (info.encryptedKey[i] as number) ^ 0x40;
      await sameError(message, { sharedKeys });
      info.encryptedKey[i] = (info.encryptedKey[i] as number) ^ 0x40;
    }
  });
});

describe('malformed objects of OpenSSL’s tests', () => {
  it.each([
    ['cms-msg/missing-kdf.der', 'UNSUPPORTED_FEATURE'],
    ['recipes/80-test_cmsapi_data/cms_pwri_kek_oob.der', 'UNSUPPORTED_ALGORITHM'],
  ])('%s: %s', async (path, code) => {
    const error = await failure(() =>
      decrypt(readVector('openssl-3.6.3', path), { passwords: ['password'] }),
    );
    expect(error.code).toBe(code);
  });

  it('an IV that is too long (CVE-2025-15467) is refused before any key is looked for', async () => {
    const pem = readVector('openssl-3.6.3', 'recipes/80-test_cmsapi_data/encDataWithTooLongIV.pem');
    const message = readPem(pem)[0]?.bytes as Uint8Array;
    const find = vi.fn();
    const error = await failure(() => decryptEnvelopedData(parseEnveloped(message), { find }));
    expect(error.code).toBe('CMS_MALFORMED');
    expect(find).not.toHaveBeenCalled();
  });
});

describe.skipIf(!hasOpenssl)('both ways with openssl cms', () => {
  const ciphers = [
    ['aes128-cbc', '-aes128'],
    ['aes192-cbc', '-aes192'],
    ['aes256-cbc', '-aes256'],
    ['aes128-gcm', '-aes-128-gcm'],
    ['aes192-gcm', '-aes-192-gcm'],
    ['aes256-gcm', '-aes-256-gcm'],
  ] as const;
  const der = ['-binary', '-inform', 'DER'];

  it.each(ciphers)('%s', async (cipher, option) => {
    for (const length of [16, 24, 32]) {
      const shared = { keyIdentifier, key: key.subarray(0, length) };
      const args = ['-secretkey', toHex(shared.key), '-secretkeyid', 'deadbeef'];
      const ours = encryptData(CONTENT, { sharedKeys: [shared], cipher });
      expect(opensslOut(['cms', '-decrypt', ...der, ...args], ours).equals(CONTENT)).toBe(true);
      const theirs = opensslOut(['cms', '-encrypt', '-binary', '-outform', 'DER', option, ...args], CONTENT);
      expect(toHex((await decrypt(theirs, { sharedKeys: [shared] })).content)).toBe(toHex(CONTENT));
    }
    const ours = encryptData(CONTENT, { passwords: ['password'], cipher });
    const args = ['-pwri_password', 'password'];
    expect(opensslOut(['cms', '-decrypt', ...der, ...args], ours).equals(CONTENT)).toBe(true);
    // OpenSSL 3.0 takes the content cipher for PWRI-KEK too, which GCM is none for.
    if (cipher.endsWith('gcm')) return;
    const theirs = opensslOut(['cms', '-encrypt', '-binary', '-outform', 'DER', option, ...args], CONTENT);
    expect(toHex((await decrypt(theirs, { passwords: ['password'] })).content)).toBe(toHex(CONTENT));
  });

  it('3DES, whose password recipients have 3DES in PWRI-KEK', async () => {
    const args = ['-encrypt', '-binary', '-outform', 'DER', '-des3', '-pwri_password', 'password'];
    const theirs = opensslOut(['cms', ...args], CONTENT);
    const opened = await decrypt(theirs, { passwords: ['password'] });
    expect(toHex(opened.content)).toBe(toHex(CONTENT));
  });
});
