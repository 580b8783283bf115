/**
 * Keys in a PKCS#11 device, SoftHSM 2 (Debian: softhsm2), through its WebCrypto (node-webcrypto-p11, which is no dependency:
 * NODE_PATH can name the folder that has it) and through a mechanism that WebCrypto does not have. The keys are generated
 * in the device and can't be taken out. Skipped, and said so, where one of the two is missing.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { utf8, writePem } from '../src/bytes.js';
import { keyRing } from '../src/cms/recipients.js';
import { MailsealError } from '../src/errors.js';
import { decrypt, encrypt, sign } from '../src/smime/message.js';
import { verify } from '../src/smime/verify.js';
import { Certificate } from '../src/x509/certificate.js';
import { type KeyHandle, type WebCrypto, type WebCryptoKey, webCryptoKey } from '../src/x509/keys.js';
import { hasOpenssl, opensslOut, temporaryFolder } from './helpers/peers.js';
import { issueCertificate } from './helpers/pki.js';

interface DeviceKey extends WebCryptoKey {
  /** The object in the device. */
  readonly key: object;
}

interface Device extends WebCrypto {
  readonly subtle: WebCrypto['subtle'] & {
    generateKey(
      algorithm: object,
      extractable: boolean,
      usages: string[],
    ): Promise<{ privateKey: DeviceKey; publicKey: DeviceKey }>;
    exportKey(format: string, key: DeviceKey): Promise<ArrayBuffer>;
  };
  readonly session: {
    createDecipher(mechanism: string, key: object): { once(data: Buffer, room: Buffer): Buffer };
  };
  close(): void;
}

const LIBRARY = ['/usr/lib/softhsm/libsofthsm2.so', '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so'].find(
  existsSync,
);

function devicePackage(): { Crypto: new (options: object) => Device } | undefined {
  try {
    return createRequire(import.meta.url)('node-webcrypto-p11');
  } catch {
    return undefined;
  }
}

const p11 = devicePackage();
const missing = [
  LIBRARY === undefined && 'softhsm2',
  p11 === undefined && 'node-webcrypto-p11',
  !hasOpenssl && 'openssl',
].filter((one) => one !== false);
if (missing.length > 0)
  process.stdout.write(`keys in a PKCS#11 device: not tested, without ${missing.join(', ')}\n`);

const MAIL = utf8('From: alice@example.org\r\nContent-Type: text/plain\r\n\r\nSecret\r\n');
const RSA = { modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) };

describe.skipIf(missing.length > 0)(
  `SoftHSM 2${missing.length > 0 ? ` (without ${missing.join(', ')})` : ''}`,
  () => {
    const ca = issueCertificate({ subject: 'CA', ca: true });
    const trust = [Certificate.parse(ca.certificate)];
    let folder: string;
    let device: Device;

    beforeAll(() => {
      folder = temporaryFolder();
      mkdirSync(join(folder, 'tokens'));
      process.env.SOFTHSM2_CONF = join(folder, 'softhsm2.conf');
      writeFileSync(process.env.SOFTHSM2_CONF, `directories.tokendir = ${join(folder, 'tokens')}\n`);
      const init = ['--init-token', '--free', '--label', 'test', '--pin', '1234', '--so-pin', '1234'];
      expect(spawnSync('softhsm2-util', init).status).toBe(0);
      writeFileSync(join(folder, 'ca.pem'), writePem('CERTIFICATE', ca.certificate));
      writeFileSync(join(folder, 'ca.key'), writePem('PRIVATE KEY', ca.privateKey));
      writeFileSync(
        join(folder, 'ext'),
        'subjectAltName=email:alice@example.org\nextendedKeyUsage=emailProtection\n',
      );
      device = new (p11 as NonNullable<typeof p11>).Crypto({
        library: LIBRARY,
        name: 'SoftHSM',
        slot: 0,
        readWrite: true,
        pin: '1234',
      });
    });

    /** A key that the device generates, and a certificate for it. */
    async function generate(algorithm: object, usages: string[]) {
      const pair = await device.subtle.generateKey(algorithm, false, usages);
      const spki = new Uint8Array(await device.subtle.exportKey('spki', pair.publicKey));
      writeFileSync(join(folder, 'public.pem'), writePem('PUBLIC KEY', spki));
      const at = (name: string) => join(folder, name);
      const certificate = Certificate.parse(
        opensslOut(
          [
            'x509',
            '-new',
            '-subj',
            '/CN=Alice',
            '-force_pubkey',
            at('public.pem'),
            '-days',
            '30',
            '-outform',
            'DER',
          ].concat(['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-extfile', at('ext')]),
        ),
      );
      const { publicKey } = certificate;
      return { pair, certificate, handle: webCryptoKey(device, pair.privateKey, publicKey) };
    }

    const text = (opened: { content: Uint8Array }) => Buffer.from(opened.content).toString();

    it.each([
      [{ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', ...RSA }, {}],
      [{ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-512', ...RSA }, { digest: 'sha512' as const }],
      [{ name: 'RSA-PSS', hash: 'SHA-256', ...RSA }, { scheme: 'rsassa-pss' as const }],
      [{ name: 'ECDSA', namedCurve: 'P-256' }, {}],
      [{ name: 'ECDSA', namedCurve: 'P-384' }, {}],
      [{ name: 'ECDSA', namedCurve: 'P-521' }, {}],
    ])('signs: %j', async (algorithm, options) => {
      const { certificate, handle } = await generate(algorithm, ['sign', 'verify']);
      const mail = await sign(MAIL, { signers: [{ privateKey: handle, certificate, ...options }] });
      expect((await verify(mail, { trust })).problems).toEqual([]);
      writeFileSync(join(folder, 'signed.eml'), mail);
      const said = opensslOut([
        'cms',
        '-verify',
        '-in',
        join(folder, 'signed.eml'),
        '-CAfile',
        join(folder, 'ca.pem'),
      ]);
      expect(said.toString()).toContain('Secret');
    });

    it('decrypts RSA-OAEP', async () => {
      const { certificate, handle } = await generate({ name: 'RSA-OAEP', hash: 'SHA-256', ...RSA }, [
        'encrypt',
        'decrypt',
      ]);
      const mail = await encrypt(MAIL, { recipients: [certificate], keyTransport: 'rsaes-oaep' });
      const keys = keyRing({ entries: [{ privateKey: handle, certificate }] });
      expect(text(await decrypt(mail, { keys }))).toContain('Secret');
    });

    it('decrypts RSAES-PKCS1-v1_5 by CKM_RSA_PKCS; a changed key is one more message that does not decrypt', async () => {
      const { certificate, handle } = await generate({ name: 'RSAES-PKCS1-v1_5', ...RSA }, [
        'encrypt',
        'decrypt',
      ]);
      const keys = keyRing({ entries: [{ privateKey: handle, certificate }] });
      const mail = await encrypt(MAIL, {
        recipients: [certificate],
        keyTransport: 'rsaes-pkcs1',
        cipher: 'aes256-gcm',
      });
      expect(text(await decrypt(mail, { keys }))).toContain('Secret');
      // Whatever the device makes of it: an error, or with implicit rejection (OpenSSL 3.2) some key.
      for (let at = 0; at < 256; at += 16) {
        let asked = 0;
        const bad: KeyHandle = {
          publicKey: handle.publicKey,
          decrypt(ciphertext, algorithm) {
            asked++;
            ciphertext[255 - at] = (ciphertext[255 - at] as number) ^ 1;
            return (handle.decrypt as NonNullable<KeyHandle['decrypt']>)(ciphertext, algorithm);
          },
        };
        const opening = decrypt(mail, { keys: keyRing({ entries: [{ privateKey: bad, certificate }] }) });
        await expect(opening).rejects.toThrow(
          new MailsealError('DECRYPTION_FAILED', 'the message does not decrypt'),
        );
        expect(asked).toBe(1);
      }
    });

    it('decrypts both by CKM_RSA_X_509, unpadded here', async () => {
      const { pair, certificate } = await generate({ name: 'RSA-OAEP', hash: 'SHA-256', ...RSA }, [
        'encrypt',
        'decrypt',
      ]);
      const handle: KeyHandle = {
        publicKey: certificate.publicKey,
        rawRsa: true,
        decrypt: async (ciphertext) =>
          device.session
            .createDecipher('RSA_X_509', pair.privateKey.key)
            .once(Buffer.from(ciphertext), Buffer.alloc(256)),
      };
      const keys = keyRing({ entries: [{ privateKey: handle, certificate }] });
      for (const keyTransport of ['rsaes-pkcs1', 'rsaes-oaep'] as const) {
        const mail = await encrypt(MAIL, { recipients: [certificate], keyTransport });
        expect(text(await decrypt(mail, { keys }))).toContain('Secret');
      }
    });

    it.each(['P-256', 'P-384', 'P-521'])('agrees on keys: %s', async (namedCurve) => {
      const { certificate, handle } = await generate({ name: 'ECDH', namedCurve }, ['deriveBits']);
      const keys = keyRing({ entries: [{ privateKey: handle, certificate }] });
      for (let i = 0; i < 20; i++) {
        const mail = await encrypt(MAIL, { recipients: [certificate] });
        expect(text(await decrypt(mail, { keys }))).toContain('Secret');
      }
    });

    it('a device that is gone is KEY_UNAVAILABLE, with what it said', async () => {
      const { certificate, handle } = await generate({ name: 'ECDSA', namedCurve: 'P-256' }, [
        'sign',
        'verify',
      ]);
      device.close(); // this test is the last one
      const signing = sign(MAIL, { signers: [{ privateKey: handle, certificate }] });
      await expect(signing).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE', cause: expect.any(Error) });
    });
  },
);
