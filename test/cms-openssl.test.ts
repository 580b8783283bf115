/** Encrypted CMS objects both ways with the `openssl cms` command: it reads ours, we read its own. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { toHex, utf8, writePem } from '../src/bytes.js';
import { ENCRYPTION_CIPHERS } from '../src/cms/ciphers.js';
import { decryptEnvelopedData, type EncryptOptions, encryptData } from '../src/cms/enveloped.js';
import { type KeyFinder, keyRing } from '../src/cms/recipients.js';
import type { Signer } from '../src/cms/signed.js';
import { Certificate } from '../src/x509/certificate.js';
import { PrivateKey } from '../src/x509/keys.js';
import { parseEnveloped } from './helpers/enveloped.js';
import { hasOpenssl, openssl, opensslOut, temporaryFolder } from './helpers/peers.js';
import { issueCertificate, type KeyKind } from './helpers/pki.js';

const CONTENT = utf8(`Content-Type: text/plain\r\n\r\n${'Both ways. '.repeat(500)}\r\n`);
/** OpenSSL has neither AES-CCM nor ChaCha20-Poly1305 in CMS. */
const OPENSSL_CIPHERS = ENCRYPTION_CIPHERS.filter((name) => /-(cbc|gcm)$/.test(name));
const hasLegacy = hasOpenssl && openssl(['list', '-providers', '-provider', 'legacy']).status === 0;

describe.skipIf(!hasOpenssl)('openssl cms', () => {
  const folder = hasOpenssl ? temporaryFolder() : '';
  const file = (name: string) => join(folder, name);
  const people = new Map<string, Signer>();
  const person = (name: string) => people.get(name) as Signer;

  function addPerson(name: string, pkcs8: Uint8Array, certificate: Uint8Array): void {
    writeFileSync(file(`${name}.key`), writePem('PRIVATE KEY', pkcs8));
    writeFileSync(file(`${name}.crt`), writePem('CERTIFICATE', certificate));
    people.set(name, { privateKey: PrivateKey.parse(pkcs8), certificate: Certificate.parse(certificate) });
  }

  beforeAll(() => {
    const ca = issueCertificate({ subject: 'Test CA', ca: true });
    writeFileSync(file('ca.crt'), writePem('CERTIFICATE', ca.certificate));
    writeFileSync(file('content'), CONTENT);
    for (const key of ['rsa', 'P-256', 'P-384', 'P-521'] as KeyKind[]) {
      const issued = issueCertificate({ subject: `${key} user`, key, issuer: ca });
      addPerson(key, issued.privateKey, issued.certificate);
    }
  });

  const ring = () => keyRing({ entries: [person('rsa')] });
  const decrypt = (message: Uint8Array, keys: KeyFinder = ring()) =>
    decryptEnvelopedData(parseEnveloped(message), keys);

  describe('opens what we encrypt', () => {
    for (const cipher of OPENSSL_CIPHERS) {
      for (const [name, options] of [
        ['rsaes-pkcs1', {}],
        ['rsaes-oaep', { keyTransport: 'rsaes-oaep' }],
        ['key identifier', { recipientIdentifier: 'subjectKeyIdentifier' }],
      ] as [string, Partial<EncryptOptions>][]) {
        it(`${cipher}, ${name}`, () => {
          const message = encryptData(CONTENT, {
            recipients: [person('rsa').certificate],
            cipher,
            ...options,
          });
          const keys = ['-recip', file('rsa.crt'), '-inkey', file('rsa.key')];
          const opened = opensslOut(['cms', '-decrypt', '-binary', '-inform', 'DER', ...keys], message);
          expect(opened.equals(CONTENT)).toBe(true);
        });
      }
    }
  });

  describe('encrypts what we open', () => {
    const oaep = ['-keyopt', 'rsa_padding_mode:oaep'];
    const md = (hash: string) => [...oaep, '-keyopt', `rsa_oaep_md:${hash}`];
    const rows: [name: string, cipher: string, args: string[], expected: string, legacy?: true][] = [
      ['AES-128', '-aes128', [], 'aes128-cbc'],
      ['AES-192', '-aes192', [], 'aes192-cbc'],
      ['AES-256', '-aes256', [], 'aes256-cbc'],
      ['3DES', '-des3', [], 'des-ede3-cbc'],
      ['DES', '-des', [], 'des-cbc', true],
      ['RC2, 40 bits', '-rc2-40-cbc', [], 'rc2-cbc', true],
      ['RC2, 64 bits', '-rc2-64-cbc', [], 'rc2-cbc', true],
      ['AES-128-GCM', '-aes-128-gcm', [], 'aes128-gcm'],
      ['AES-192-GCM', '-aes-192-gcm', [], 'aes192-gcm'],
      ['AES-256-GCM', '-aes-256-gcm', ['-keyid'], 'aes256-gcm'],
      ['AES-256-GCM, OAEP', '-aes-256-gcm', md('sha256'), 'aes256-gcm'],
      ['RC2, 128 bits', '-rc2-cbc', [], 'rc2-cbc', true],
      ['a key identifier', '-aes128', ['-keyid'], 'aes128-cbc'],
      ['OAEP, SHA-1', '-aes128', oaep, 'aes128-cbc'],
      ['OAEP, SHA-224', '-aes128', md('sha224'), 'aes128-cbc'],
      ['OAEP, SHA-256', '-aes256', md('sha256'), 'aes256-cbc'],
      ['OAEP, SHA-384', '-aes256', md('sha384'), 'aes256-cbc'],
      ['OAEP, SHA-512', '-des3', md('sha512'), 'des-ede3-cbc'],
    ];
    for (const [name, cipher, args, expected, legacy] of rows) {
      it.skipIf(legacy && !hasLegacy)(name, async () => {
        for (const form of [[], ['-stream']]) {
          const provider = legacy ? ['-provider', 'legacy', '-provider', 'default'] : [];
          const message = opensslOut(
            [
              'cms',
              '-encrypt',
              '-binary',
              '-outform',
              'DER',
              cipher,
              ...form,
              ...provider,
              '-recip',
              file('rsa.crt'),
              ...args,
            ],
            CONTENT,
          );
          const opened = await decrypt(message);
          expect(toHex(opened.content)).toBe(toHex(readFileSync(file('content'))));
          expect(opened).toMatchObject({
            cipher: expected,
            integrity: expected.endsWith('-gcm') ? 'tag' : 'none',
            remarks: [],
          });
        }
      });
    }
  });
});
