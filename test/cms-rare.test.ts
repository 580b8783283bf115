/** Content types that are for reading only: EncryptedData, DigestedData, AuthenticatedData (RFC 5652 sections 7 to 9). */
import { constants, createHash, privateDecrypt } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { fromHex, toHex, utf8 } from '../src/bytes.js';
import { verifyAuthenticatedData } from '../src/cms/authenticated.js';
import { contentOfType, readContentInfo } from '../src/cms/content.js';
import { readDigestedData } from '../src/cms/digested.js';
import { decryptEncryptedData } from '../src/cms/encrypted.js';
import { keyRing } from '../src/cms/recipients.js';
import { alice, authenticated, CONTENT, contentInfo, type Forgery, shared } from './helpers/authenticated.js';
import { toBer } from './helpers/ber.js';
import { failure } from './helpers/failures.js';
import { hasOpenssl, opensslOut } from './helpers/peers.js';
import { readVector } from './helpers/vectors.js';

describe('EncryptedData', () => {
  const open = (message: Uint8Array, key: Uint8Array) =>
    decryptEncryptedData(contentOfType(readContentInfo(message), OID.encryptedData), key);
  const rfc4134Key = fromHex('737c791f25ead0e04629254352f7dc6291e5cb26917ada32');

  it.each(['7.1', '7.2'])('RFC 4134 %s', (name) => {
    const opened = open(readVector('bc-test-data', `rfc4134/${name}.bin`), rfc4134Key);
    expect(opened).toMatchObject({ cipher: 'des-ede3-cbc', integrity: 'none', contentType: OID.data });
    expect(toHex(opened.content)).toBe(toHex(readVector('bc-test-data', 'rfc4134/ExContent.bin')));
  });

  it.skipIf(!hasOpenssl).each([
    ['-aes128', 16, 'aes128-cbc'],
    ['-aes192', 24, 'aes192-cbc'],
    ['-aes256', 32, 'aes256-cbc'],
    ['-des3', 24, 'des-ede3-cbc'],
  ] as const)('what openssl makes with %s', (option, length, cipher) => {
    const key = createHash('sha256').update(option).digest().subarray(0, length);
    const args = ['-binary', '-outform', 'DER', option, '-secretkey', toHex(key)];
    const message = opensslOut(['cms', '-EncryptedData_encrypt', ...args], CONTENT);
    for (const encoded of [message, toBer(message, 50)]) {
      const opened = open(encoded, key);
      expect(toHex(opened.content)).toBe(toHex(CONTENT));
      expect(opened.cipher).toBe(cipher);
    }
  });

  it('wrong keys, and what is not built', async () => {
    const message = readVector('bc-test-data', 'rfc4134/7.1.bin');
    expect((await failure(() => open(message, rfc4134Key.subarray(1)))).code).toBe('KEY_UNSUITABLE');
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        failure(() =>
          open(
            message,
            rfc4134Key.map((octet) => octet ^ (2 * i + 2)),
          ),
        ).then(
          ({ code }) => code,
          () => 'opened by chance',
        ),
      ),
    );
    expect(outcomes.filter((code) => code === 'DECRYPTION_FAILED').length).toBeGreaterThan(15);
    const password = readVector('rustcrypto-formats', 'cms/keyEncryptedData.bin');
    const error = await failure(() => open(password, rfc4134Key));
    expect(error).toMatchObject({
      code: 'UNSUPPORTED_ALGORITHM',
      oid: OID['pbeWithSHAAnd40BitRC2-CBC'],
    });
    expect(() => open(message, 'key' as unknown as Uint8Array)).toThrow(TypeError);
    const gcm = contentInfo(OID.encryptedData, (w) =>
      w.sequence((w) => {
        w.integer(0);
        w.sequence((w) => {
          w.oid(OID.data);
          w.sequence((w) => {
            w.oid(OID.aes128Gcm);
            w.octets(new Uint8Array(12));
          });
          w.implicit(0, new Uint8Array(32));
        });
      }),
    );
    expect((await failure(() => open(gcm, new Uint8Array(16)))).code).toBe('UNSUPPORTED_ALGORITHM');
  });
});

describe('DigestedData', () => {
  const read = (message: Uint8Array, detached?: Uint8Array) =>
    readDigestedData(contentOfType(readContentInfo(message), OID.digestedData), detached);

  it('RFC 4134 6.0, RustCrypto', () => {
    const opened = read(readVector('bc-test-data', 'rfc4134/6.0.bin'));
    expect(opened).toMatchObject({ digest: 'sha1', weak: true, contentType: OID.data });
    expect(toHex(opened.content)).toBe(toHex(readVector('bc-test-data', 'rfc4134/ExContent.bin')));
    expect(read(readVector('rustcrypto-formats', 'cms/digested_data.bin')).digest).toBe('sha1');
  });

  it.skipIf(!hasOpenssl).each(['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512', 'sha3-256'] as const)(
    'what openssl makes with %s',
    async (digest) => {
      const message = opensslOut(
        ['cms', '-digest_create', '-binary', '-outform', 'DER', '-md', digest],
        CONTENT,
      );
      for (const encoded of [message, toBer(message, 50)]) {
        const opened = read(encoded);
        expect(opened).toMatchObject({ digest, weak: digest === 'md5' || digest === 'sha1' });
        expect(toHex(opened.content)).toBe(toHex(CONTENT));
      }
      const changed = Uint8Array.from(message);
      changed[Buffer.from(message).indexOf('open')] = 0x4f;
      expect((await failure(() => read(changed))).code).toBe('CONTENT_CHANGED');
    },
  );

  it('detached', async () => {
    const message = contentInfo(OID.digestedData, (w) =>
      w.sequence((w) => {
        w.integer(0);
        w.sequence((w) => w.oid(OID.sha256));
        w.sequence((w) => w.oid(OID.data));
        w.octets(createHash('sha256').update(CONTENT).digest());
      }),
    );
    expect(read(message, CONTENT).content).toBe(CONTENT);
    expect((await failure(() => read(message))).code).toBe('CONTENT_MISSING');
    expect((await failure(() => read(message, utf8('other')))).code).toBe('CONTENT_CHANGED');
  });
});

const keys = keyRing({ entries: [alice] });

describe('AuthenticatedData', () => {
  const nodeOf = (message: Uint8Array) => contentOfType(readContentInfo(message), OID.authenticatedData);
  const check = (message: Uint8Array) => verifyAuthenticatedData(nodeOf(message), keys);

  for (const hmac of ['sha1', 'sha256', 'sha512'] as const) {
    it(`HMAC with ${hmac}, keys of every usual length, with and without attributes`, async () => {
      for (const keyLength of [16, 20, 24, 28, 32, 48, 64, 128]) {
        for (const attributes of [false, true]) {
          const message = authenticated({ hmac, keyLength, attributes });
          for (const encoded of [message, toBer(message, 50)]) {
            const result = await check(encoded);
            expect(result).toMatchObject({ hmac, keyEncryption: 'rsaes-pkcs1', contentType: OID.data });
            expect(toHex(result.content)).toBe(toHex(CONTENT));
            expect(result.authAttrs).toHaveLength(attributes ? 2 : 0);
          }
        }
      }
    });
  }

  it('by a shared key; detached', async () => {
    const node = nodeOf(authenticated());
    const result = await verifyAuthenticatedData(node, undefined, { sharedKeys: [shared] });
    expect(result.keyEncryption).toBe('shared-key');
    const bare = nodeOf(authenticated({ detached: true }));
    expect(toHex((await verifyAuthenticatedData(bare, keys, {}, CONTENT)).content)).toBe(toHex(CONTENT));
    expect((await failure(() => verifyAuthenticatedData(bare, keys))).code).toBe('CONTENT_MISSING');
    const other = () => verifyAuthenticatedData(bare, keys, {}, utf8('other'));
    expect((await failure(other)).code).toBe('DECRYPTION_FAILED');
  });

  it('by a key outside of the process, which is asked once, whatever the length of the key', async () => {
    const key = alice.privateKey.keyObject;
    let asked = 0;
    const handle = {
      publicKey: alice.privateKey.publicKey,
      rawRsa: true,
      async decrypt(data: Uint8Array) {
        asked++;
        return privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, data);
      },
    };
    const elsewhere = keyRing({ entries: [{ ...alice, privateKey: handle }] });
    for (const keyLength of [16, 32, 128]) {
      const result = await verifyAuthenticatedData(nodeOf(authenticated({ keyLength })), elsewhere);
      expect(toHex(result.content)).toBe(toHex(CONTENT));
    }
    expect(asked).toBe(3);
    const changed = nodeOf(authenticated({ mac: (mac) => mac.map((octet) => octet ^ 1) }));
    expect((await failure(() => verifyAuthenticatedData(changed, elsewhere))).code).toBe('DECRYPTION_FAILED');
    expect(asked).toBe(4);
  });

  it('by a password, derived from once for each password, whatever the length of the key', async () => {
    const cost = 600_000 * 8; // of what is written: PBKDF2 with SHA-256 for 32 octets
    for (const keyLength of [32, 128]) {
      const node = nodeOf(authenticated({ keyLength, password: 'pw' }));
      const check = (...passwords: string[]) =>
        verifyAuthenticatedData(node, undefined, { passwords, maxPasswordCost: passwords.length * cost });
      expect((await check('pw')).keyEncryption).toBe('password');
      expect((await failure(() => check('bad'))).code).toBe('DECRYPTION_FAILED');
      expect((await check('bad', 'pw')).keyEncryption).toBe('password');
    }
  });

  const rows: [name: string, forgery: Forgery, code: string][] = [
    [
      'a changed MAC',
      { mac: (mac) => mac.map((octet, i) => (i === 3 ? octet ^ 1 : octet)) },
      'DECRYPTION_FAILED',
    ],
    ['a cut MAC', { mac: (mac) => mac.subarray(0, 12) }, 'DECRYPTION_FAILED'],
    ['no MAC', { mac: () => new Uint8Array() }, 'DECRYPTION_FAILED'],
    ['a key of a length that nobody uses', { keyLength: 40 }, 'DECRYPTION_FAILED'],
    ['another digest of the content', { attributes: true, digested: utf8('x') }, 'CONTENT_CHANGED'],
    ['another content type', { attributes: true, contentType: OID.signedData }, 'CMS_MALFORMED'],
    ['another MAC algorithm', { algorithm: '1.2.3' }, 'UNSUPPORTED_ALGORITHM'],
  ];
  it.each(rows)('%s', async (_, forgery, code) => {
    expect((await failure(() => check(authenticated(forgery)))).code).toBe(code);
  });

  it('nobody’s', async () => {
    const error = await failure(() => verifyAuthenticatedData(nodeOf(authenticated()), undefined));
    expect(error.code).toBe('RECIPIENT_UNKNOWN');
    expect(error.message).toContain('shared key 6964');
  });
});
