/** What the key store remembers of what correspondents read (RFC 8551 2.7), and that nobody makes it remember less. */
import { join } from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { fromHex, utf8 } from '../src/bytes.js';
import type { EncryptionChoice } from '../src/cms/choice.js';
import type { SmimeCapability } from '../src/cms/smimeattributes.js';
import { generateSealKey, type KeyStore, openKeyStore, type SignerStatement } from '../src/keystore/store.js';
import { decrypt, encrypt, sign } from '../src/smime/message.js';
import { verify } from '../src/smime/verify.js';
import { Certificate } from '../src/x509/certificate.js';
import { PrivateKey } from '../src/x509/keys.js';
import { temporaryFolder } from './helpers/peers.js';
import { type IssuedCertificate, issueCertificate } from './helpers/pki.js';

const NOW = new Date('2026-06-01T00:00:00Z');
const day = (number: number) => new Date(Date.UTC(2026, 0, number));
const ca = issueCertificate({ subject: 'Test CA', ca: true });
const ben = issueCertificate({ subject: 'Ben', emails: ['Ben@example.org'], key: 'rsa', issuer: ca });
const eve = issueCertificate({ subject: 'Eve', emails: ['eve@example.org'], issuer: ca });
const trust = [Certificate.parse(ca.certificate)];
const MAIL = utf8('From: ben@example.org\r\nSubject: Hi\r\nContent-Type: text/plain\r\n\r\nHi.\r\n');

const GCM: SmimeCapability[] = [{ oid: OID.aes256Gcm, name: 'aes256Gcm' }];
const WEAK: SmimeCapability[] = [
  { oid: OID.rc2CBC, name: 'rc2CBC', parameters: fromHex('02020080') },
  { oid: OID.aes128Cbc, name: 'aes128Cbc' },
];

const statement = (
  capabilities: SmimeCapability[],
  signingTime: Date,
  more: Partial<SignerStatement> = {},
) => ({
  valid: true,
  weak: false,
  emails: ['ben@EXAMPLE.org'],
  capabilities,
  signingTime,
  ...more,
});

async function withStore(use: (store: KeyStore) => Promise<void>, url = 'sqlite::memory:'): Promise<void> {
  const store = await openKeyStore(url, { sealKey: SEAL_KEY });
  try {
    await use(store);
  } finally {
    await store.close();
  }
}
const SEAL_KEY = generateSealKey();
const add = (store: KeyStore, issued: IssuedCertificate, withKey = false) =>
  store.add({
    certificate: Certificate.parse(issued.certificate),
    ...(withKey && { privateKey: PrivateKey.parse(issued.privateKey) }),
  });

describe('remembering', () => {
  it('gives back what was said last, by address in any case', async () => {
    await withStore(async (store) => {
      await add(store, ben);
      expect(await store.capabilities('ben@example.org')).toBeUndefined();
      expect(await store.rememberCapabilities(statement(WEAK, day(1)), NOW)).toEqual(['Ben@example.org']);
      expect(await store.capabilities('BEN@example.org')).toEqual({
        capabilities: WEAK,
        signingTime: day(1),
      });
      expect(await store.rememberCapabilities(statement(GCM, day(2)), NOW)).toEqual(['Ben@example.org']);
      expect(await store.capabilities('ben@example.org')).toEqual({ capabilities: GCM, signingTime: day(2) });
    });
  });

  const rows: [string, Partial<SignerStatement> | Date][] = [
    ['an old message, sent again', day(2)],
    ['one of the same second', new Date(+day(3) + 999)],
    ['one of the far future', new Date(+NOW + 24 * 3600 * 1000 + 1)],
    ['a time that is none', new Date('never')],
    ['a signer who is not valid', { valid: false }],
    ['a weak signature', { weak: true }],
    ['somebody else', { emails: ['eve@example.org'] }],
    ['nobody', { emails: [] }],
    ['a list without end', { capabilities: Array.from({ length: 1000 }, () => WEAK[1] as SmimeCapability) }],
  ];
  it.each(rows)('%s changes nothing', async (_, change) => {
    await withStore(async (store) => {
      await add(store, ben);
      await add(store, eve);
      await store.rememberCapabilities(statement(GCM, day(3)), NOW);
      const time = change instanceof Date ? change : day(4);
      const said = statement(WEAK, time, change instanceof Date ? {} : change);
      expect(await store.rememberCapabilities(said, NOW)).toEqual(
        (said.emails as string[]).includes('eve@example.org') ? ['eve@example.org'] : [],
      );
      expect(await store.capabilities('ben@example.org')).toEqual({ capabilities: GCM, signingTime: day(3) });
    });
  });

  it('a signer without signing time or without capabilities changes nothing', async () => {
    await withStore(async (store) => {
      await add(store, ben);
      const { signingTime, ...untimed } = statement(WEAK, day(1));
      const { capabilities, ...silent } = statement(WEAK, day(1));
      expect(await store.rememberCapabilities(untimed, NOW)).toEqual([]);
      expect(await store.rememberCapabilities(silent, NOW)).toEqual([]);
      expect([signingTime, capabilities]).toEqual([day(1), WEAK]);
      expect(await store.capabilities('ben@example.org')).toBeUndefined();
    });
  });

  it('a clock that is somewhat ahead is no reason to forget', async () => {
    await withStore(async (store) => {
      await add(store, ben);
      const ahead = new Date(+NOW + 24 * 3600 * 1000);
      expect(await store.rememberCapabilities(statement(GCM, ahead), NOW)).toHaveLength(1);
    });
  });

  it('is for users of the store, and ends with them', async () => {
    await withStore(async (store) => {
      expect(await store.rememberCapabilities(statement(GCM, day(1)), NOW)).toEqual([]);
      await add(store, ben);
      expect(await store.capabilities('ben@example.org')).toBeUndefined();
      await store.rememberCapabilities(statement(GCM, day(1)), NOW);
      await store.remove({ user: 'ben@example.org' });
      await add(store, ben);
      expect(await store.capabilities('ben@example.org')).toBeUndefined();
      await store.rememberCapabilities(statement(GCM, day(1)), NOW);
      await store.remove({ certificate: Certificate.parse(ben.certificate).fingerprint });
      await add(store, ben);
      expect(await store.capabilities('ben@example.org')).toBeUndefined();
    });
  });

  it('lasts, in a store of schema version 2 that is brought to the newest', async () => {
    const path = join(temporaryFolder(), 'keys.db');
    await withStore((store) => add(store, ben).then(() => undefined), `sqlite:${path}`);
    const run = (statement: string) => {
      const database = new SqliteDatabase(path);
      database.exec(statement);
      database.close();
    };
    run(`drop table capabilities; update settings set value = '2' where name = 'version'`);
    await withStore(async (store) => {
      expect(await store.rememberCapabilities(statement(GCM, day(1)), NOW)).toHaveLength(1);
    }, `sqlite:${path}`);
    await withStore(async (store) => {
      expect(await store.capabilities('ben@example.org')).toEqual({ capabilities: GCM, signingTime: day(1) });
    }, `sqlite:${path}`);
    run(`update capabilities set encoded = x'3003'`);
    await withStore(async (store) => {
      await expect(store.capabilities('ben@example.org')).rejects.toThrow(
        expect.objectContaining({
          code: 'STORE_INVALID',
          message: expect.stringContaining('ben@example.org'),
        }),
      );
    }, `sqlite:${path}`);
  });
});

describe('a mail that is answered', () => {
  const signer = {
    privateKey: PrivateKey.parse(ben.privateKey),
    certificate: Certificate.parse(ben.certificate),
  };
  const answer = async (store: KeyStore) => {
    const [certificate] = await store.encryptionCertificates('ben@example.org', NOW);
    const capabilities = await store.capabilities('ben@example.org');
    let choice: EncryptionChoice | undefined;
    const mail = await encrypt(MAIL, {
      recipients: [{ certificate: certificate as Certificate, capabilities }],
      now: NOW,
      onChoice: (made) => {
        choice = made;
      },
    });
    const opened = await decrypt(mail, { keys: store });
    expect(opened.cipher).toBe(choice?.cipher);
    return { ...opened, choice };
  };

  it('is in AES-256-GCM with RSAES-OAEP from then on, as its signer says', async () => {
    await withStore(async (store) => {
      await add(store, ben, true);
      expect(await answer(store)).toMatchObject({ cipher: 'aes256-cbc', keyEncryption: 'rsaes-pkcs1' });
      const signed = await sign(MAIL, { signers: [signer], now: NOW });
      const verdict = await verify(signed, { trust, now: NOW });
      expect(verdict.valid).toBe(true);
      const said = verdict.signers[0] as SignerStatement;
      expect(await store.rememberCapabilities(said, NOW)).toEqual(['Ben@example.org']);
      const { choice, ...opened } = await answer(store);
      expect(opened).toMatchObject({ cipher: 'aes256-gcm', keyEncryption: 'rsaes-oaep', integrity: 'tag' });
      expect(choice?.recipients[0]).toMatchObject({ source: 'message', since: NOW });
    });
  });

  it('that is signed by somebody who is not trusted, or was changed, changes nothing', async () => {
    await withStore(async (store) => {
      await add(store, ben, true);
      const other = issueCertificate({ subject: 'Other CA', ca: true });
      const signed = Buffer.from(await sign(MAIL, { signers: [signer], now: NOW }));
      const changed = Buffer.from(signed.toString('latin1').replace('Hi.', 'Ho.'), 'latin1');
      expect(changed.equals(signed)).toBe(false);
      for (const verdict of [
        await verify(signed, { trust: [Certificate.parse(other.certificate)], now: NOW }),
        await verify(changed, { trust, now: NOW }),
      ]) {
        expect(verdict.valid).toBe(false);
        expect(await store.rememberCapabilities(verdict.signers[0] as SignerStatement, NOW)).toEqual([]);
      }
      expect(await answer(store)).toMatchObject({ cipher: 'aes256-cbc' });
    });
  });
});
