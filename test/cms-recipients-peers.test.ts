/**
 * Recipients of every kind both ways with the `openssl cms` command: it reads ours, we read its own. (gpgsm 2.2 encrypts to
 * no EC certificate, and crashes on importing an EC key.) With Bouncy Castle, the content ciphers that OpenSSL 3.0 lacks in CMS.
 */
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { toHex, utf8, writePem } from '../src/bytes.js';
import { ENCRYPTION_CIPHERS, encryptionKind } from '../src/cms/ciphers.js';
import { decryptEnvelopedData, encryptData } from '../src/cms/enveloped.js';
import { keyRing } from '../src/cms/recipients.js';
import { Certificate } from '../src/x509/certificate.js';
import { PrivateKey } from '../src/x509/keys.js';
import { parseEnveloped } from './helpers/enveloped.js';
import { bouncyCastle, hasBouncyCastle, hasOpenssl, opensslOut, temporaryFolder } from './helpers/peers.js';
import { issueCertificate, person as newPerson } from './helpers/pki.js';

const CONTENT = utf8(`Content-Type: text/plain\r\n\r\n${'Both ways. '.repeat(50)}\r\n`);
/** OpenSSL has neither AES-CCM nor ChaCha20-Poly1305 in CMS. */
const CIPHERS = ENCRYPTION_CIPHERS.filter((name) => /-(cbc|gcm)$/.test(name));
const CURVES = [
  'prime256v1',
  'secp384r1',
  'secp521r1',
  'brainpoolP256r1',
  'brainpoolP384r1',
  'brainpoolP512r1',
] as const;

const folder = hasOpenssl ? temporaryFolder() : '';
const file = (name: string) => join(folder, name);
const people = new Map<string, { privateKey: PrivateKey; certificate: Certificate }>();
const person = (name: string) => people.get(name) as NonNullable<ReturnType<typeof people.get>>;
const ca = issueCertificate({ subject: 'Test CA', ca: true });

beforeAll(() => {
  if (folder === '') return;
  for (const curve of CURVES) {
    const key = generateKeyPairSync('ec', { namedCurve: curve });
    const pkcs8 = key.privateKey.export({ format: 'der', type: 'pkcs8' });
    const issued = issueCertificate({ subject: `${curve} user`, key: pkcs8, issuer: ca });
    writeFileSync(file(`${curve}.key`), writePem('PRIVATE KEY', pkcs8));
    writeFileSync(file(`${curve}.crt`), writePem('CERTIFICATE', issued.certificate));
    people.set(curve, {
      privateKey: PrivateKey.parse(pkcs8),
      certificate: Certificate.parse(issued.certificate),
    });
  }
});

const decrypt = (message: Uint8Array, who: string) =>
  decryptEnvelopedData(parseEnveloped(message), keyRing({ entries: [person(who)] }));

describe.skipIf(!hasOpenssl)('openssl cms', () => {
  describe.each(CURVES)('%s', (curve) => {
    it.each(CIPHERS)('opens what we encrypt with %s', (cipher) => {
      for (const recipientIdentifier of ['issuerAndSerialNumber', 'subjectKeyIdentifier'] as const) {
        const recipients = [person(curve).certificate];
        const message = encryptData(CONTENT, { recipients, cipher, recipientIdentifier });
        const keys = ['-recip', file(`${curve}.crt`), '-inkey', file(`${curve}.key`)];
        const opened = opensslOut(['cms', '-decrypt', '-binary', '-inform', 'DER', ...keys], message);
        expect(opened.equals(CONTENT)).toBe(true);
      }
    });

    const options: [name: string, args: string[]][] = [
      ['its defaults', []],
      ['a key identifier', ['-keyid']],
      ['cofactor ECDH', ['-keyopt', 'ecdh_cofactor_mode:1']],
      ...['sha1', 'sha224', 'sha256', 'sha384', 'sha512'].flatMap((hash) =>
        ['-aes128-wrap', '-aes192-wrap', '-aes256-wrap'].map(
          (wrap) => [`${hash} ${wrap}`, ['-keyopt', `ecdh_kdf_md:${hash}`, wrap]] as [string, string[]],
        ),
      ),
      ['3DES', ['-des3-wrap']],
    ];
    it.each(options)('encrypts what we open: %s', async (_, args) => {
      const cipher = args.includes('-des3-wrap')
        ? '-des3'
        : args.includes('-aes128-wrap')
          ? '-aes128'
          : '-aes-256-gcm';
      const wrap = args.filter((arg) => /^-aes\d+-wrap$/.test(arg));
      const rest = args.filter((arg) => !arg.endsWith('-wrap'));
      const keyid = rest.includes('-keyid') ? ['-keyid'] : [];
      const keyopt = rest.filter((arg) => arg !== '-keyid');
      const recipient = ['-recip', file(`${curve}.crt`), ...keyopt];
      const command = ['cms', '-encrypt', '-binary', '-outform', 'DER', cipher, ...wrap, ...keyid];
      const opened = await decrypt(opensslOut([...command, ...recipient], CONTENT), curve);
      expect(toHex(opened.content)).toBe(toHex(CONTENT));
      expect(opened.keyEncryption).toBe('ecdh');
    });
  });

  it('one message to all curves, both ways', async () => {
    const recipients = CURVES.map((curve) => person(curve).certificate);
    const ours = encryptData(CONTENT, { recipients, cipher: 'aes256-gcm' });
    const files = CURVES.map((curve) => file(`${curve}.crt`));
    const theirs = opensslOut(
      ['cms', '-encrypt', '-binary', '-outform', 'DER', '-aes256', ...files],
      CONTENT,
    );
    for (const curve of CURVES) {
      const keys = ['-recip', file(`${curve}.crt`), '-inkey', file(`${curve}.key`)];
      expect(
        opensslOut(['cms', '-decrypt', '-binary', '-inform', 'DER', ...keys], ours).equals(CONTENT),
      ).toBe(true);
      expect(toHex((await decrypt(theirs, curve)).content)).toBe(toHex(CONTENT));
    }
  });
});

describe('Bouncy Castle', () => {
  if (!hasBouncyCastle) console.log('skipped: no javac with Bouncy Castle (libbcpkix-java) to open AES-CCM');
  it.skipIf(!hasBouncyCastle)(
    'AES-CCM and AES-GCM both ways, and it opens ChaCha20-Poly1305',
    async () => {
      const ciphers = ENCRYPTION_CIPHERS.filter((name) => !name.endsWith('-cbc'));
      // Bouncy Castle 1.72 puts what it makes of ChaCha20-Poly1305 into EnvelopedData, where RFC 8103 has none.
      const made = ciphers.filter((name) => name !== 'chacha20-poly1305');
      const place = temporaryFolder();
      const { issued, privateKey, certificate } = newPerson({ subject: 'Bob', key: 'rsa' });
      const write = (name: string, bytes: Uint8Array | string) => writeFileSync(join(place, name), bytes);
      write('content', CONTENT);
      write('key', issued.privateKey);
      write('certificate', issued.certificate);
      write('make', made.map((name) => `${name} ${encryptionKind(name).oid}`).join('\n'));
      for (const cipher of ciphers) {
        for (const keyTransport of ['rsaes-pkcs1', 'rsaes-oaep'] as const) {
          const options = { recipients: [certificate], cipher, keyTransport };
          write(`${cipher}-${keyTransport}.p7m`, encryptData(CONTENT, options));
        }
      }
      const lines = bouncyCastle(place, 'BouncyCastleEnvelopes');
      expect(lines).toHaveLength(ciphers.length * 2 + made.length);
      expect(lines.filter((line) => !/p7m opened$|\.made made$/.test(line))).toEqual([]);
      for (const name of made) {
        const keys = keyRing({ entries: [{ privateKey, certificate }] });
        const message = parseEnveloped(readFileSync(join(place, `${name}.made`)));
        const opened = await decryptEnvelopedData(message, keys);
        expect(toHex(opened.content)).toBe(toHex(CONTENT));
        expect(opened).toMatchObject({ cipher: name, integrity: 'tag', remarks: [] });
      }
    },
    60_000,
  );
});

/**
 * The rival of the benchmarks, where it is installed (bench/README.md). It has no AuthEnvelopedData, and of key agreement it
 * opens only what has a ukm: without one it hashes an empty one. What it writes is in vectors/made-with-pkijs.
 */
const rivals = new URL('../bench/rivals/package.json', import.meta.url);
const hasPkijs = existsSync(new URL('node_modules/pkijs/package.json', rivals));

describe.skipIf(!hasPkijs)(`pkijs${hasPkijs ? '' : ' (not installed: npm ci in bench/rivals)'}`, () => {
  const buffer = (bytes: Uint8Array) => new Uint8Array(bytes).buffer;

  async function openWithPkijs(message: Uint8Array, index: number, parameters: object): Promise<Uint8Array> {
    const require = createRequire(rivals);
    const pkijs = require('pkijs');
    const { Crypto } = require('@peculiar/webcrypto');
    const crypto = new Crypto();
    pkijs.setEngine('peculiar', new pkijs.CryptoEngine({ name: 'peculiar', crypto }));
    const { content } = pkijs.ContentInfo.fromBER(buffer(message));
    const enveloped = new pkijs.EnvelopedData({ schema: content });
    return new Uint8Array(await enveloped.decrypt(index, parameters));
  }

  it.each([16, 24, 32])('opens what we encrypt under a shared key of %i octets', async (length) => {
    const shared = { keyIdentifier: utf8('id'), key: new Uint8Array(length).fill(length) };
    const message = encryptData(CONTENT, { sharedKeys: [shared] });
    expect(toHex(await openWithPkijs(message, 0, { preDefinedData: buffer(shared.key) }))).toBe(
      toHex(CONTENT),
    );
  });
});
