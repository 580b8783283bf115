/** Several keys for one message: the right one opens it, whatever a wrong one looks like, and paddings are told by nothing. */
import { constants, generateKeyPairSync, publicEncrypt, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { readAlgorithmIdentifier } from '../src/asn1/algorithm.js';
import { OID } from '../src/asn1/oids.js';
import { parseDer } from '../src/asn1/tape.js';
import { writeDer } from '../src/asn1/write.js';
import { concat, fromHex, toHex, utf8 } from '../src/bytes.js';
import { Attempts, addPrivateKeys, addSharedSecrets, namedRecipients } from '../src/cms/attempts.js';
import { readContentInfo } from '../src/cms/content.js';
import { decryptEnvelopedData, EnvelopedData, encryptData } from '../src/cms/enveloped.js';
import type { RecipientInfo } from '../src/cms/recipientinfo.js';
import { keyRing } from '../src/cms/recipients.js';
import { Certificate } from '../src/x509/certificate.js';
import { PrivateKey } from '../src/x509/keys.js';
import { envelopedData } from './helpers/enveloped.js';
import { issueCertificate } from './helpers/pki.js';

const CONTENT = utf8('Secret');
const parse = (message: Uint8Array) => EnvelopedData.parse(readContentInfo(message).content);

/** Short ones: many are used. */
function rsaKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' });
  return { pkcs8, privateKey: PrivateKey.parse(pkcs8) };
}

const { pkcs8, privateKey } = rsaKey();
const issued = issueCertificate({ subject: 'Alice', key: pkcs8 });
const certificate = Certificate.parse(issued.certificate);

/** CBC content looks right under a wrong key once in 256: these are enough for it to happen, but once in 2000 runs. */
const MESSAGES = 2000;

describe('CBC content under wrong keys', () => {
  const keyIdentifier = fromHex('01');
  const shared = () => ({ keyIdentifier, key: randomBytes(32) });

  it('two shared keys of one identifier', async () => {
    const right = shared();
    const sharedKeys = [shared(), right];
    for (let i = 0; i < MESSAGES; i++) {
      const message = parse(encryptData(CONTENT, { sharedKeys: [right] }));
      const opened = await decryptEnvelopedData(message, undefined, { sharedKeys });
      expect(toHex(opened.content)).toBe(toHex(CONTENT));
    }
  });

  it('a shared key that is known to be wrong opens nothing', async () => {
    const right = shared();
    const sharedKeys = [shared()];
    for (let i = 0; i < MESSAGES; i++) {
      const message = parse(encryptData(CONTENT, { sharedKeys: [right] }));
      const opening = decryptEnvelopedData(message, undefined, { sharedKeys });
      await expect(opening).rejects.toMatchObject({
        code: 'DECRYPTION_FAILED',
        message: 'the message does not decrypt',
      });
    }
  });

  it.each(['rsaes-pkcs1', 'rsaes-oaep'] as const)(
    'a ring of keys without certificates, %s',
    async (keyTransport) => {
      const others = Array.from({ length: 15 }, rsaKey);
      const keys = keyRing({ entries: [...others, { privateKey }] });
      for (let i = 0; i < MESSAGES / 15; i++) {
        const message = parse(encryptData(CONTENT, { recipients: [certificate], keyTransport }));
        const opened = await decryptEnvelopedData(message, keys);
        expect(toHex(opened.content)).toBe(toHex(CONTENT));
      }
    },
  );

  it('an RSA key on trial beside a shared key', async () => {
    const right = shared();
    const keys = keyRing({ entries: [rsaKey()] });
    for (let i = 0; i < MESSAGES; i++) {
      const message = parse(encryptData(CONTENT, { recipients: [certificate], sharedKeys: [right] }));
      const opened = await decryptEnvelopedData(message, keys, { sharedKeys: [right] });
      expect(opened.keyEncryption).toBe('shared-key');
    }
  });
});

describe('paddings of several RSA keys', () => {
  const key = new Uint8Array(16).fill(7);
  const padded = (second: number) =>
    concat([Uint8Array.of(0, second), new Uint8Array(109).fill(9), Uint8Array.of(0), key]);
  const sealed = (second: number) =>
    publicEncrypt({ key: privateKey.publicKey.keyObject, padding: constants.RSA_NO_PADDING }, padded(second));
  const info = (second: number) =>
    writeDer((w) =>
      w.sequence((w) => {
        w.integer(0);
        w.sequence((w) => {
          w.raw(certificate.issuer.der);
          w.integer(certificate.serialNumber);
        });
        w.sequence((w) => {
          w.oid(OID.rsaEncryption);
          w.null();
        });
        w.octets(sealed(second));
      }),
    );
  const message = (...seconds: number[]) =>
    parse(
      envelopedData({
        recipients: seconds.map(info),
        cipher: (w) => {
          w.oid(OID.aes128Cbc);
          w.octets(new Uint8Array(16));
        },
        encryptedContent: new Uint8Array(32),
      }),
    );

  it.each([
    [[2], [true]],
    [[3], [false]],
    [
      [2, 3, 2],
      [true, true, false],
    ],
    [
      [3, 3, 2],
      [true, false, false],
    ],
    [
      [3, 3, 3],
      [false, false, false],
    ],
  ])('of %j: all are tried on the content, the right ones first', async (seconds, expected) => {
    const attempts = new Attempts();
    const recipients = namedRecipients(message(...seconds).recipientInfos);
    addPrivateKeys(
      attempts,
      recipients,
      recipients.map((_, recipient) => ({ recipient, privateKey, reason: `${recipient}` })),
    );
    const tried: boolean[] = [];
    const none = await attempts.open([16], (one) => {
      tried.push(toHex(one) === toHex(key));
      return undefined;
    });
    expect(none).toBeUndefined();
    expect(tried).toEqual(expected);
  });
});

it('thousands of recipients with an unknown key wrap: read once for all shared keys, and few are', async () => {
  const node = parseDer(writeDer((w) => w.sequence((w) => w.oid('1.2.3'))));
  const keyIdentifier = fromHex('01');
  let reads = 0;
  const info: RecipientInfo = {
    type: 'keyEncryptionKey',
    node,
    keyIdentifier,
    encryptedKey: new Uint8Array(24),
    get algorithm() {
      reads++;
      return readAlgorithmIdentifier(node, 'algorithm');
    },
  };
  const attempts = new Attempts();
  const sharedKeys = Array.from({ length: 50 }, () => ({ keyIdentifier, key: new Uint8Array(32) }));
  addSharedSecrets(attempts, new Array(10_000).fill(info), { sharedKeys });
  expect(reads).toBeLessThanOrEqual(64);
  await expect(attempts.open([16], () => true)).rejects.toMatchObject({
    code: 'UNSUPPORTED_ALGORITHM',
    oid: '1.2.3',
  });
});
