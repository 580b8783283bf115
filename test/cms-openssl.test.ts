/** CMS objects both ways with the `openssl cms` command: it reads ours, we read its own. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { toHex, utf8, writePem } from '../src/bytes.js';
import { contentOfType, readContentInfo } from '../src/cms/content.js';
import {
  decryptEnvelopedData,
  type EncryptOptions,
  EnvelopedData,
  encryptData,
} from '../src/cms/enveloped.js';
import { keyRing } from '../src/cms/recipients.js';
import {
  type SignDataOptions,
  SignedData,
  type Signer,
  signData,
  verifySignedData,
} from '../src/cms/signed.js';
import { Certificate } from '../src/x509/certificate.js';
import { PrivateKey } from '../src/x509/keys.js';
import { hasOpenssl, openssl, opensslOut, temporaryFolder } from './helpers/peers.js';
import { issueCertificate, type KeyKind } from './helpers/pki.js';

const CONTENT = utf8(`Content-Type: text/plain\r\n\r\n${'Both ways. '.repeat(500)}\r\n`);
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
    // Keys that are for RSASSA-PSS only, one of them with these parameters only.
    const restricted = ['-pkeyopt', 'rsa_pss_keygen_md:sha384', '-pkeyopt', 'rsa_pss_keygen_mgf1_md:sha384'];
    for (const [name, options] of [
      ['pss', []],
      ['pss-sha384', [...restricted, '-pkeyopt', 'rsa_pss_keygen_saltlen:48']],
    ] as const) {
      const key = opensslOut(['genpkey', '-algorithm', 'RSA-PSS', '-outform', 'DER', ...options]);
      writeFileSync(file(`${name}.key`), writePem('PRIVATE KEY', key));
      const certificate = opensslOut([
        'req',
        '-x509',
        '-key',
        file(`${name}.key`),
        '-subj',
        `/CN=${name}`,
        '-days',
        '3000',
        '-outform',
        'DER',
      ]);
      addPerson(name, key, certificate);
    }
  });

  function parseSigned(message: Uint8Array): SignedData {
    return SignedData.parse(contentOfType(readContentInfo(message), OID.signedData));
  }

  describe('verifies what we sign', () => {
    const rows: [name: string, who: string, options: Omit<Partial<Signer>, 'privateKey'>][] = [
      ['RSA, SHA-256', 'rsa', {}],
      ['RSA, SHA-384', 'rsa', { digest: 'sha384' }],
      ['RSA, SHA-512', 'rsa', { digest: 'sha512' }],
      ['RSASSA-PSS, SHA-256', 'rsa', { scheme: 'rsassa-pss' }],
      ['RSASSA-PSS, SHA-512', 'rsa', { scheme: 'rsassa-pss', digest: 'sha512' }],
      ['an RSASSA-PSS key', 'pss', {}],
      ['an RSASSA-PSS key with restrictions', 'pss-sha384', {}],
      ['P-256', 'P-256', {}],
      ['P-384', 'P-384', {}],
      ['P-521', 'P-521', {}],
    ];
    for (const [name, who, options] of rows) {
      for (const [form, more] of [
        ['attached', {}],
        ['detached', { detached: true }],
        ['by key identifier', { signerIdentifier: 'subjectKeyIdentifier' }],
      ] as [string, Partial<SignDataOptions>][]) {
        it(`${name}, ${form}`, () => {
          const message = signData(CONTENT, { signers: [{ ...person(who), ...options }], ...more });
          const result = verifySignedData(parseSigned(message), more.detached ? { content: CONTENT } : {});
          expect(result.map(({ valid }) => valid)).toEqual([true]);
          const anchor = who.startsWith('pss') ? `${who}.crt` : 'ca.crt';
          const content = more.detached ? ['-content', file('content')] : [];
          const args = ['-verify', '-binary', '-inform', 'DER', '-CAfile', file(anchor), ...content];
          expect(opensslOut(['cms', ...args], message).equals(CONTENT)).toBe(true);
        });
      }
    }

    it('several signers with two digests', () => {
      const signers = ['rsa', 'P-384', 'P-256'].map(person);
      const message = signData(CONTENT, { signers });
      opensslOut(['cms', '-verify', '-binary', '-inform', 'DER', '-CAfile', file('ca.crt')], message);
    });
  });

  describe('signs what we verify', () => {
    const pss = ['-keyopt', 'rsa_padding_mode:pss'];
    const rows: [name: string, who: string, args: string[], kind: string, digest: string][] = [
      ['RSA, SHA-1', 'rsa', ['-md', 'sha1'], 'rsa-pkcs1', 'sha1'],
      ['RSA, SHA-224', 'rsa', ['-md', 'sha224'], 'rsa-pkcs1', 'sha224'],
      ['RSA, SHA-256', 'rsa', ['-md', 'sha256'], 'rsa-pkcs1', 'sha256'],
      ['RSA, SHA-512', 'rsa', ['-md', 'sha512'], 'rsa-pkcs1', 'sha512'],
      ['RSASSA-PSS, SHA-1', 'rsa', ['-md', 'sha1', ...pss], 'rsa-pss', 'sha1'],
      ['RSASSA-PSS, SHA-256', 'rsa', ['-md', 'sha256', ...pss], 'rsa-pss', 'sha256'],
      [
        'RSASSA-PSS, SHA-384, no salt',
        'rsa',
        ['-md', 'sha384', ...pss, '-keyopt', 'rsa_pss_saltlen:0'],
        'rsa-pss',
        'sha384',
      ],
      [
        'RSASSA-PSS, the longest salt',
        'rsa',
        ['-md', 'sha256', ...pss, '-keyopt', 'rsa_pss_saltlen:-3'],
        'rsa-pss',
        'sha256',
      ],
      ['an RSASSA-PSS key', 'pss', ['-md', 'sha256', ...pss], 'rsa-pss', 'sha256'],
      ['an RSASSA-PSS key with restrictions', 'pss-sha384', ['-md', 'sha384', ...pss], 'rsa-pss', 'sha384'],
      ['P-256', 'P-256', ['-md', 'sha256'], 'ecdsa', 'sha256'],
      ['P-384, SHA-1', 'P-384', ['-md', 'sha1'], 'ecdsa', 'sha1'],
      ['P-521', 'P-521', ['-md', 'sha512'], 'ecdsa', 'sha512'],
      ['a key identifier', 'rsa', ['-md', 'sha256', '-keyid'], 'rsa-pkcs1', 'sha256'],
      ['no signed attributes', 'rsa', ['-md', 'sha256', '-noattr'], 'rsa-pkcs1', 'sha256'],
      ['no signed attributes, RSASSA-PSS', 'rsa', ['-md', 'sha256', '-noattr', ...pss], 'rsa-pss', 'sha256'],
      ['ESS signing certificate', 'P-256', ['-md', 'sha256', '-cades'], 'ecdsa', 'sha256'],
    ];
    for (const [name, who, args, kind, digest] of rows) {
      it(name, () => {
        const keys = ['-signer', file(`${who}.crt`), '-inkey', file(`${who}.key`)];
        // OpenSSL 3.0 can't write RSASSA-PSS while it streams.
        const streams = kind === 'rsa-pss' ? [] : [['-nodetach', '-stream']];
        for (const form of [['-nodetach'], [], ...streams]) {
          const detached = form.length === 0;
          const message = opensslOut(
            ['cms', '-sign', '-binary', '-outform', 'DER', ...keys, ...form, ...args],
            CONTENT,
          );
          const signed = parseSigned(message);
          expect(signed.node.isDer).toBe(!form.includes('-stream'));
          const [result] = verifySignedData(signed, detached ? { content: CONTENT } : {});
          expect(result?.error).toBeUndefined();
          expect(result?.valid).toBe(true);
          expect(result?.weak).toBe(digest === 'sha1');
          expect([result?.scheme?.kind, result?.digest]).toEqual([kind, digest]);
          if (!detached) expect(Buffer.from(signed.content as Uint8Array).equals(CONTENT)).toBe(true);
          const [changed] = verifySignedData({ ...signed, content: utf8('x') } as SignedData);
          expect(changed?.valid).toBe(false);
        }
      });
    }
  });

  const ring = () => keyRing({ entries: [person('rsa')] });
  const decrypt = (message: Uint8Array) =>
    decryptEnvelopedData(
      EnvelopedData.parse(contentOfType(readContentInfo(message), OID.envelopedData)),
      ring(),
    );

  describe('opens what we encrypt', () => {
    for (const cipher of ['aes128-cbc', 'aes192-cbc', 'aes256-cbc'] as const) {
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
          expect(opened.cipher).toBe(expected);
        }
      });
    }
  });
});
