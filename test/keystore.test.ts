/** The key store: one suite for every database behind it, then what only SQLite has. */
import { execFile } from 'node:child_process';
import { createHash, createPrivateKey } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import SqliteDatabase from 'better-sqlite3';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { type DerNode, parseDer } from '../src/asn1/tape.js';
import { writeDer } from '../src/asn1/write.js';
import { toHex, utf8 } from '../src/bytes.js';
import { readContentInfo } from '../src/cms/content.js';
import { decryptEnvelopedData, EnvelopedData, encryptData } from '../src/cms/enveloped.js';
import type { RecipientIdentifier } from '../src/cms/recipients.js';
import { queryOf } from '../src/keystore/record.js';
import { generateSealKey, type KeyStore, openKeyStore, type StoreEntry } from '../src/keystore/store.js';
import { Certificate } from '../src/x509/certificate.js';
import { PrivateKey } from '../src/x509/keys.js';
import { Name } from '../src/x509/name.js';
import { succeedJson } from './helpers/cli.js';
import { encodeName, generateKey, type IssuedCertificate, issueCertificate } from './helpers/pki.js';

const SEAL_KEY = generateSealKey();
const NOW = new Date('2025-06-01T12:00:00Z');
const folder = mkdtempSync(join(tmpdir(), 'mailseal-keystore-'));
afterAll(() => rmSync(folder, { recursive: true }));

afterEach(() => {
  vi.restoreAllMocks();
});

let files = 0;
const newPath = () => join(folder, `${++files}.db`);

const code = (expected: string, ...parts: string[]) =>
  expect.objectContaining({
    code: expected,
    ...(parts.length > 0 && { message: expect.stringMatching(new RegExp(parts.join('[^]*'))) }),
  });

const parse = (issued: IssuedCertificate) => Certificate.parse(issued.certificate);
const entry = (issued: IssuedCertificate, more: Partial<StoreEntry> = {}): StoreEntry => ({
  certificate: parse(issued),
  privateKey: PrivateKey.parse(issued.privateKey),
  ...more,
});
const byIssuer = (issued: IssuedCertificate): RecipientIdentifier => {
  const { issuer, serialNumber } = parse(issued);
  return { type: 'issuerAndSerialNumber', issuer, serialNumber };
};
const byKeyIdentifier = (keyIdentifier: Uint8Array): RecipientIdentifier => ({
  type: 'subjectKeyIdentifier',
  keyIdentifier,
});
const year = (number: number) => new Date(Date.UTC(number, 0, 1));

const root = issueCertificate({ subject: 'Root', ca: true });
const ca = issueCertificate({
  subject: [
    ['countryName', 'DE'],
    ['organizationName', 'Example Trust'],
    ['commonName', 'Mail CA'],
  ],
  ca: true,
  issuer: root,
});
const alice = issueCertificate({ subject: 'Alice', emails: ['alice@example.org'], key: 'rsa', issuer: ca });
const bob = issueCertificate({ subject: 'Bob', emails: ['bob@example.org'], issuer: ca });
const carol = issueCertificate({ subject: 'Carol', emails: ['carol@example.org'], issuer: ca });

/** Every database runs the same suite: `url` is a new, empty store each time. */
const databases: { name: string; url: () => string }[] = [
  { name: 'SQLite in memory', url: () => 'sqlite::memory:' },
  { name: 'SQLite in a file', url: () => `sqlite:${newPath()}` },
];

describe.each(databases)('key store on $name', ({ url }) => {
  let store: KeyStore;
  const open = async () => {
    store = await openKeyStore(url(), { sealKey: SEAL_KEY });
  };
  afterEach(() => store.close());

  const certificatesFound = async (...recipients: RecipientIdentifier[]) =>
    (await store.find(recipients)).map(({ recipient, certificate, reason }) => [
      recipient,
      certificate?.subject.toString(),
      reason,
    ]);

  it('gives back the key and certificate that were added', async () => {
    await open();
    expect(await store.add(entry(alice, { friendlyName: "Alice's card" }))).toBe('added');
    const [candidate, ...others] = await store.find([byIssuer(alice)]);
    expect(others).toEqual([]);
    expect(candidate?.privateKey.toPkcs8()).toEqual(new Uint8Array(alice.privateKey));
    expect(new Uint8Array(candidate?.certificate?.der ?? [])).toEqual(alice.certificate);
    const [stored] = await store.history('alice@example.org');
    expect(stored).toMatchObject({
      friendlyName: "Alice's card",
      hasKey: true,
      maySign: true,
      mayEncrypt: true,
      users: ['alice@example.org'],
    });
  });

  it.each(['rsa', 'P-256', 'P-384', 'P-521', 'ed25519', 'ed448', 'x25519', 'x448'] as const)(
    'keeps %s keys',
    async (key) => {
      await open();
      const issued = issueCertificate({ subject: 'A', emails: ['a@example.org'], key, issuer: ca });
      await store.add(entry(issued));
      const [candidate] = await store.find([byIssuer(issued)]);
      expect(candidate?.privateKey.toPkcs8()).toEqual(new Uint8Array(issued.privateKey));
      const signs = !key.startsWith('x');
      const encrypts = !key.startsWith('ed');
      expect(await store.history('a@example.org')).toMatchObject([{ maySign: signs, mayEncrypt: encrypts }]);
    },
  );

  it('names the reason for each form of identifier, and answers all recipients of a mail at once', async () => {
    await open();
    const other = Uint8Array.from({ length: 20 }, (_, i) => i);
    const odd = issueCertificate({ subject: 'Odd', emails: ['odd@x.org'], subjectKeyIdentifier: other });
    const bare = issueCertificate({ subject: 'Bare', emails: ['bare@x.org'], subjectKeyIdentifier: null });
    await store.addMany([entry(alice), entry(odd), entry(bare)]);
    expect(
      await certificatesFound(
        byIssuer(alice),
        byKeyIdentifier(parse(alice).publicKey.keyIdentifier),
        byKeyIdentifier(other),
        byKeyIdentifier(parse(odd).publicKey.keyIdentifier),
        byKeyIdentifier(parse(bare).publicKey.keyIdentifier),
        byIssuer(bob),
      ),
    ).toEqual([
      [0, 'CN=Alice', 'issuer and serial number match'],
      [2, 'CN=Odd', 'subjectKeyIdentifier matches'],
      [4, 'CN=Bare', 'SHA-1 of the public key matches'],
      [1, 'CN=Alice', 'subjectKeyIdentifier matches'], // every key was tried once
      [3, 'CN=Odd', 'SHA-1 of the public key matches'],
    ]);
  });

  it('finds nothing for recipients that it does not have', async () => {
    await open();
    await store.add(entry(alice));
    expect(await store.find([])).toEqual([]);
    expect(await store.find([byIssuer(bob)])).toEqual([]);
    expect(await store.lookup([byIssuer(bob), byKeyIdentifier(new Uint8Array(20))])).toEqual([]);
    expect(await store.find([byKeyIdentifier(new Uint8Array(0))])).toEqual([]);
  });

  const issuerForms: [string, Uint8Array][] = [
    [
      'PrintableString',
      encodeName(
        [
          ['countryName', 'DE'],
          ['organizationName', 'Example Trust'],
          ['commonName', 'Mail CA'],
        ],
        'printable',
      ),
    ],
    [
      'BMPString',
      encodeName(
        [
          ['countryName', 'DE'],
          ['organizationName', 'Example Trust'],
          ['commonName', 'Mail CA'],
        ],
        'bmp',
      ),
    ],
    [
      'other case and white space',
      encodeName([
        ['countryName', 'de'],
        ['organizationName', 'EXAMPLE   trust'],
        ['commonName', ' mail ca '],
      ]),
    ],
  ];
  it.each(issuerForms)('matches an issuer name that was encoded anew: %s', async (_, der) => {
    await open();
    await store.add(entry(alice));
    const issuer = Name.parse(parseDer(der));
    const { serialNumber } = parse(alice);
    expect(await certificatesFound({ type: 'issuerAndSerialNumber', issuer, serialNumber })).toEqual([
      [0, 'CN=Alice', 'issuer and serial number match'],
    ]);
  });

  it('does not match another issuer with the same serial number, or another serial number', async () => {
    await open();
    await store.add(entry(alice));
    const { issuer, serialNumber } = parse(alice);
    const parts = [
      ['organizationName', 'Example Trust'],
      ['commonName', 'Mail CA'],
    ] as const;
    const shorter = Name.parse(parseDer(encodeName(parts)));
    expect(await store.find([{ type: 'issuerAndSerialNumber', issuer: shorter, serialNumber }])).toEqual([]);
    const longer = Uint8Array.of(0, ...serialNumber);
    expect(await store.find([{ type: 'issuerAndSerialNumber', issuer, serialNumber: longer }])).toEqual([]);
  });

  it('does not take a subjectKeyIdentifier that was made to look like an issuer and serial number', async () => {
    await open();
    await store.add(entry(alice));
    const forged = issueCertificate({
      subject: 'Mallory',
      emails: ['m@x.org'],
      subjectKeyIdentifier: queryOf(byIssuer(alice))?.value as Uint8Array,
    });
    await store.add(entry(forged));
    expect(await certificatesFound(byIssuer(alice))).toEqual([
      [0, 'CN=Alice', 'issuer and serial number match'],
    ]);
  });

  it('reads on when one recipient is broken', async () => {
    await open();
    await store.add(entry(alice));
    const emptyRdn = writeDer((w) => w.sequence((w) => w.set(() => {})));
    const broken = { issuer: Name.parse(parseDer(emptyRdn)), serialNumber: Uint8Array.of(1) };
    expect(await certificatesFound({ type: 'issuerAndSerialNumber', ...broken }, byIssuer(alice))).toEqual([
      [1, 'CN=Alice', 'issuer and serial number match'],
    ]);
  });

  it('takes subjectKeyIdentifiers of any length', async () => {
    await open();
    const long = new Uint8Array(5000).fill(3);
    const entries = [1, 64, 65, 5000].map((length) =>
      issueCertificate({
        subject: `${length}`,
        emails: ['a@x.org'],
        subjectKeyIdentifier: long.subarray(0, length),
      }),
    );
    await store.addMany(entries.map((issued) => entry(issued)));
    for (const length of [1, 64, 65, 5000]) {
      expect(await certificatesFound(byKeyIdentifier(long.subarray(0, length)))).toEqual([
        [0, `CN=${length}`, 'subjectKeyIdentifier matches'],
      ]);
    }
    expect(await store.find([byKeyIdentifier(long.subarray(0, 63))])).toEqual([]);
  });

  it('answers a mail with more recipients than one look-up takes', async () => {
    await open();
    await store.add(entry(alice));
    const strangers = Array.from({ length: 1300 }, (_, i) => byKeyIdentifier(Uint8Array.of(i >> 8, i, 1)));
    expect(await certificatesFound(...strangers, byIssuer(alice))).toEqual([
      [1300, 'CN=Alice', 'issuer and serial number match'],
    ]);
  });

  it('unseals one key once for a mail that names it a thousand times', async () => {
    await open();
    await store.add(entry(alice));
    const parsed = vi.spyOn(PrivateKey, 'parse');
    const candidates = await store.find(new Array<RecipientIdentifier>(1000).fill(byIssuer(alice)));
    expect(parsed).toHaveBeenCalledTimes(1);
    expect(candidates.map(({ recipient }) => recipient)).toEqual(Array.from({ length: 256 }, (_, i) => i));
    expect(new Set(candidates.map(({ privateKey }) => privateKey)).size).toBe(1);
    for (const { release } of candidates) release?.();
    expect(() => candidates[0]?.privateKey.toPkcs8()).toThrow('wiped');
  });

  it('unseals few keys for a mail that names forty of ours', async () => {
    await open();
    const many = Array.from({ length: 40 }, (_, i) => issueCertificate({ subject: `${i}`, issuer: ca }));
    await store.addMany(many.map((issued) => entry(issued)));
    const parsed = vi.spyOn(PrivateKey, 'parse');
    expect((await certificatesFound(...many.map(byIssuer))).map(([recipient]) => recipient)).toEqual(
      Array.from({ length: 16 }, (_, i) => i),
    );
    expect(parsed).toHaveBeenCalledTimes(16);
  });

  describe('is not crowded out', () => {
    const junk = (count: number, more: Partial<Parameters<typeof issueCertificate>[0]>) =>
      Array.from({ length: count }, (_, i) =>
        issueCertificate({ subject: `Junk ${i}`, emails: ['junk@x.org'], notBefore: year(2024), ...more }),
      );
    const firstFound = async (...recipients: RecipientIdentifier[]) =>
      (await certificatesFound(...recipients))[0]?.[1];

    it('by certificates that came first and copy its subjectKeyIdentifier', async () => {
      await open();
      const { keyIdentifier } = parse(alice).publicKey;
      await store.addMany(junk(20, { subjectKeyIdentifier: keyIdentifier }).map((one) => entry(one)));
      await store.add(entry(alice));
      const recipient = byKeyIdentifier(keyIdentifier);
      expect(await firstFound(recipient)).toBe('CN=Alice');
      expect(await store.find([recipient])).toHaveLength(4);
      const [best, ...others] = await store.lookup([recipient]);
      expect(best?.certificate.subject.toString()).toBe('CN=Alice');
      expect(others).toHaveLength(20);
    });

    it('by certificates that copy the SHA-1 of its public key, which its own does not hold', async () => {
      await open();
      const bare = issueCertificate({ subject: 'Bare', subjectKeyIdentifier: null });
      const { keyIdentifier } = parse(bare).publicKey;
      await store.addMany(junk(20, { subjectKeyIdentifier: keyIdentifier }).map((one) => entry(one)));
      await store.add(entry(bare));
      expect(await firstFound(byKeyIdentifier(keyIdentifier))).toBe('CN=Bare');
    });

    it.each(['sha256', 'sha384', 'sha512'])('where its identifier is one of RFC 7093: %s', async (name) => {
      await open();
      const key = generateKey('P-256');
      const { bits } = PrivateKey.parse(key).publicKey;
      const identifier = createHash(name).update(bits).digest().subarray(0, 20);
      await store.addMany(junk(20, { subjectKeyIdentifier: identifier }).map((one) => entry(one)));
      await store.add(entry(issueCertificate({ subject: 'Modern', key, subjectKeyIdentifier: identifier })));
      expect(await firstFound(byKeyIdentifier(identifier))).toBe('CN=Modern');
    });

    it('by certificates that came later and copy its random subjectKeyIdentifier', async () => {
      await open();
      const identifier = Uint8Array.from({ length: 20 }, (_, i) => i);
      await store.add(entry(issueCertificate({ subject: 'Odd', subjectKeyIdentifier: identifier })));
      await store.addMany(junk(20, { subjectKeyIdentifier: identifier }).map((one) => entry(one)));
      expect(await firstFound(byKeyIdentifier(identifier))).toBe('CN=Odd');
    });

    it('by certificates that came later and copy its issuer and serial number', async () => {
      await open();
      await store.add(entry(alice));
      const serialNumber = BigInt(`0x${toHex(parse(alice).serialNumber)}`);
      const copies = junk(20, { issuerName: ca.subjectName, serialNumber });
      expect(byIssuer(copies[0] as IssuedCertificate)).toMatchObject({
        serialNumber: parse(alice).serialNumber,
      });
      await store.addMany(copies.map((one) => entry(one)));
      expect(await firstFound(byIssuer(alice))).toBe('CN=Alice');
    });

    it('by sixteen recipients in the mail that name another of our keys', async () => {
      await open();
      await store.addMany([entry(alice), entry(bob)]);
      const recipients = [...new Array<RecipientIdentifier>(16).fill(byIssuer(bob)), byIssuer(alice)];
      expect((await certificatesFound(...recipients)).slice(0, 2)).toEqual([
        [0, 'CN=Bob', 'issuer and serial number match'],
        [16, 'CN=Alice', 'issuer and serial number match'],
      ]);
    });

    it('by recipients before it that are broken, and name the same key', async () => {
      await open();
      await store.add(entry(alice));
      const { content, certificate } = await decryptEnvelopedData(behindBroken(), store);
      expect(new TextDecoder().decode(content)).toBe('old mail');
      expect(certificate?.equals(parse(alice))).toBe(true);
    });

    /** EnvelopedData for Alice, with her RecipientInfo last, behind twenty whose encrypted key is empty. */
    function behindBroken(): EnvelopedData {
      const good = encryptData(utf8('old mail'), { recipients: [parse(alice)] });
      const envelope = readContentInfo(good).content;
      const [version, infos, ...rest] = envelope.children as [DerNode, DerNode, ...DerNode[]];
      const [info] = infos.children as [DerNode];
      const parts = info.children;
      const broken = writeDer((w) =>
        w.sequence((w) => {
          for (const part of parts.slice(0, -1)) w.raw(part.bytes);
          w.octets(new Uint8Array(0));
        }),
      );
      const changed = writeDer((w) =>
        w.sequence((w) => {
          w.raw(version.bytes);
          w.set((w) => {
            for (let i = 0; i < 20; i++) w.raw(broken);
            w.raw(info.bytes);
          });
          for (const other of rest) w.raw(other.bytes);
        }),
      );
      return EnvelopedData.parse(parseDer(changed));
    }
  });

  describe('with trust anchors', () => {
    const forged = issueCertificate({ subject: 'Bob', emails: ['bob@example.org'], notBefore: year(2024) });
    const anchors = (...issued: IssuedCertificate[]) => ({ trust: issued.map(parse) });
    const encryptingTo = (trust?: { trust: Certificate[] }) =>
      store.encryptionCertificates('bob@example.org', NOW, trust);

    it('does not encrypt to a newer self-signed certificate that claims the address', async () => {
      await open();
      await store.addMany([entry(bob), entry(forged), { certificate: parse(ca), user: null }]);
      expect((await encryptingTo())[0]?.equals(parse(forged))).toBe(true); // believes what it was given
      const trusted = await encryptingTo(anchors(root));
      expect(trusted).toHaveLength(1);
      expect(trusted[0]?.equals(parse(bob))).toBe(true);
    });

    it('has none where no path leads to an anchor, and says why', async () => {
      await open();
      await store.addMany([entry(bob), entry(forged)]);
      await expect(encryptingTo(anchors(carol))).rejects.toThrow(
        code('NOT_TRUSTED', 'bob@example.org', '2025-06-01', 'CN=Bob: self-issued, and no trust anchor'),
      );
      await expect(encryptingTo({ trust: [] })).rejects.toThrow(code('NOT_TRUSTED'));
      await expect(encryptingTo(anchors(root))).rejects.toThrow(code('NOT_TRUSTED')); // the CA is missing
      expect(await encryptingTo(anchors(ca))).toHaveLength(1);
    });

    it('does not take a path that is signed with SHA-1', async () => {
      await open();
      const old = issueCertificate({ subject: 'O', emails: ['o@x.org'], issuer: root, hash: 'sha1' });
      await store.add(entry(old));
      expect(await store.encryptionCertificates('o@x.org', NOW)).toHaveLength(1);
      await expect(store.encryptionCertificates('o@x.org', NOW, anchors(root))).rejects.toThrow(
        code('NOT_TRUSTED', 'SHA-1'),
      );
    });
  });

  describe('with a history of five certificates, two of them on one key', () => {
    const renewedKey = generateKey('rsa');
    const keys = [generateKey('P-256'), renewedKey, renewedKey, generateKey('P-384'), generateKey('rsa')];
    const history = keys.map((key, i) =>
      issueCertificate({
        subject: `Dora ${2018 + i}`,
        emails: ['Dora@Example.ORG'],
        key,
        issuer: ca,
        notBefore: year(2018 + i),
        notAfter: year(2019 + i),
      }),
    );
    const [, first, renewed, , newest] = history as [
      IssuedCertificate,
      IssuedCertificate,
      IssuedCertificate,
      IssuedCertificate,
      IssuedCertificate,
    ];

    it('opens a mail to each of them', async () => {
      await open();
      await store.addMany(history.map((issued) => entry(issued)));
      for (const [i, issued] of history.entries()) {
        const [candidate] = await store.find([byIssuer(issued)]);
        expect(candidate?.certificate?.subject.toString()).toBe(`CN=Dora ${2018 + i}`);
        expect(candidate?.privateKey.toPkcs8()).toEqual(new Uint8Array(issued.privateKey));
      }
    });

    it('gives all keys with their certificates, newest first, one key for those that share it', async () => {
      await open();
      await store.addMany([2, 4, 0, 3, 1].map((i) => entry(history[i] as IssuedCertificate)));
      const team = issueCertificate({ subject: 'Team', notBefore: year(2017) });
      await store.add(entry(team, { user: 'dora@example.org', friendlyName: "Dora's team" }));
      await store.add({ certificate: parse(bob), user: 'dora@example.org' }); // no key: not in it
      const entries = await store.entries('DORA@example.org');
      expect(
        entries.map(({ privateKey, certificate, friendlyName }) => [
          certificate.subject.toString(),
          friendlyName,
          toHex(privateKey.toPkcs8()),
        ]),
      ).toEqual([
        ...[4, 3, 2, 1, 0].map((i) => [`CN=Dora ${2018 + i}`, undefined, toHex(keys[i] as Uint8Array)]),
        ['CN=Team', "Dora's team", toHex(team.privateKey)],
      ]);
      expect(entries[2]?.privateKey).toBe(entries[3]?.privateKey);
      await expect(store.entries('erna@example.org')).rejects.toThrow(code('USER_UNKNOWN', 'erna'));
      expect(await store.entries(null)).toEqual([]);
      await store.add(entry(carol, { user: null }));
      const [nobodys] = await store.entries(null);
      expect(nobodys?.certificate.subject.toString()).toBe('CN=Carol');
    });

    it('lists them newest first, whatever the order of adding', async () => {
      await open();
      await store.addMany([2, 4, 0, 3, 1].map((i) => entry(history[i] as IssuedCertificate)));
      const listed = await store.history('dora@example.org');
      expect(listed.map(({ certificate }) => certificate.subject.toString())).toEqual(
        [2022, 2021, 2020, 2019, 2018].map((number) => `CN=Dora ${number}`),
      );
      expect(await store.users()).toEqual([{ address: 'Dora@example.org', certificates: 5, keys: 4 }]);
    });

    it('offers a renewed key once for its key identifier, with the newest certificate', async () => {
      await open();
      await store.addMany(history.map((issued) => entry(issued)));
      const { keyIdentifier } = parse(renewed).publicKey;
      expect(await certificatesFound(byKeyIdentifier(keyIdentifier))).toEqual([
        [0, 'CN=Dora 2020', 'subjectKeyIdentifier matches'],
      ]);
      const matches = await store.lookup([byKeyIdentifier(keyIdentifier)]);
      expect(matches.map(({ certificate }) => certificate.subject.toString())).toEqual([
        'CN=Dora 2020',
        'CN=Dora 2019',
      ]);
    });

    it('gives a certificate its key when only the renewal came with it', async () => {
      await open();
      await store.add({ certificate: parse(first) });
      expect(await store.find([byIssuer(first)])).toEqual([]);
      expect(await store.lookup([byIssuer(first)])).toMatchObject([{ hasKey: false, recipient: 0 }]);
      await store.add(entry(renewed));
      const [candidate] = await store.find([byIssuer(first)]);
      expect(candidate?.privateKey.toPkcs8()).toEqual(new Uint8Array(first.privateKey));
    });

    it('signs with and encrypts to the one that is valid at the time', async () => {
      await open();
      await store.addMany(history.map((issued) => entry(issued)));
      for (const [i, issued] of history.entries()) {
        const now = new Date(Date.UTC(2018 + i, 6, 1));
        const { certificate, privateKey } = await store.signingEntry('dora@example.org', now);
        expect(certificate.equals(parse(issued))).toBe(true);
        expect(privateKey.toPkcs8()).toEqual(new Uint8Array(issued.privateKey));
        const [encrypting, ...others] = await store.encryptionCertificates('dora@example.org', now);
        expect(encrypting?.equals(parse(issued))).toBe(true);
        expect(others).toEqual([]);
      }
      const both = await store.encryptionCertificates('dora@example.org', year(2022)); // the last second of one
      expect(both.map(({ subject }) => subject.toString())).toEqual(['CN=Dora 2022', 'CN=Dora 2021']);
      expect(both[0]?.equals(parse(newest))).toBe(true);
    });

    it.each(['2017-12-31T23:59:59Z', '2023-01-01T00:00:01Z'])(
      'has none at %s, and says why',
      async (time) => {
        await open();
        await store.addMany(history.map((issued) => entry(issued)));
        const reason = code(
          'KEY_UNSUITABLE',
          time.slice(0, 10),
          'the newest is valid from 2022-01-01 to 2023-01-01',
        );
        await expect(store.signingEntry('dora@example.org', new Date(time))).rejects.toThrow(reason);
        await expect(store.encryptionCertificates('dora@example.org', new Date(time))).rejects.toThrow(
          reason,
        );
      },
    );
  });

  describe('purposes', () => {
    const rsaKey = generateKey('rsa');
    const rows: [string, Parameters<typeof issueCertificate>[0], boolean, boolean][] = [
      ['no keyUsage', { subject: 'A', key: rsaKey, keyUsage: null }, true, true],
      ['digitalSignature only', { subject: 'A', key: rsaKey, keyUsage: ['digitalSignature'] }, true, false],
      ['nonRepudiation only', { subject: 'A', key: rsaKey, keyUsage: ['nonRepudiation'] }, true, false],
      ['keyEncipherment only', { subject: 'A', key: rsaKey, keyUsage: ['keyEncipherment'] }, false, true],
      ['keyEncipherment on EC', { subject: 'A', key: 'P-256', keyUsage: ['keyEncipherment'] }, false, false],
      ['keyAgreement on EC', { subject: 'A', key: 'P-256', keyUsage: ['keyAgreement'] }, false, true],
      ['TLS only', { subject: 'A', key: rsaKey, extendedKeyUsage: [OID.serverAuth] }, false, false],
      ['any purpose', { subject: 'A', key: rsaKey, extendedKeyUsage: [OID.anyExtendedKeyUsage] }, true, true],
      ['no extKeyUsage', { subject: 'A', key: rsaKey, extendedKeyUsage: null }, true, true],
    ];
    it.each(rows)('%s', async (_, input, signs, encrypts) => {
      await open();
      await store.add(entry(issueCertificate(input), { user: 'a@x.org' }));
      expect(await store.history('a@x.org')).toMatchObject([{ maySign: signs, mayEncrypt: encrypts }]);
      const signing = store.signingEntry('a@x.org', NOW);
      if (signs) await signing;
      else await expect(signing).rejects.toThrow(code('KEY_UNSUITABLE', 'none of 1 serves for that'));
      const encrypting = store.encryptionCertificates('a@x.org', NOW);
      if (encrypts) await encrypting;
      else await expect(encrypting).rejects.toThrow(code('KEY_UNSUITABLE', 'none of 1 serves for that'));
    });
  });

  it('encrypts to, but does not sign with, a certificate that has no key here', async () => {
    await open();
    await store.add({ certificate: parse(bob) });
    const [certificate] = await store.encryptionCertificates('bob@example.org', NOW);
    expect(certificate?.equals(parse(bob))).toBe(true);
    await expect(store.signingEntry('bob@example.org', NOW)).rejects.toThrow(code('KEY_UNSUITABLE'));
  });

  describe('users', () => {
    it('are the addresses of the certificate, and found in any case', async () => {
      await open();
      const issued = issueCertificate({ subject: 'A', emails: ['Ann.Lee@Example.ORG', 'al@example.org'] });
      await store.add(entry(issued));
      expect(await store.users()).toEqual([
        { address: 'al@example.org', certificates: 1, keys: 1 },
        { address: 'Ann.Lee@example.org', certificates: 1, keys: 1 },
      ]);
      for (const user of ['ann.lee@example.org', 'ANN.LEE@EXAMPLE.ORG', 'Ann.Lee@example.org']) {
        expect(await store.history(user)).toHaveLength(1);
      }
      const [{ users } = { users: [] }] = await store.lookup([byIssuer(issued)]);
      expect(users).toEqual(['al@example.org', 'Ann.Lee@example.org']);
    });

    it('are the one that is given instead', async () => {
      await open();
      await store.add(entry(alice, { user: 'Team@Example.org' }));
      expect(await store.users()).toEqual([{ address: 'Team@example.org', certificates: 1, keys: 1 }]);
      await expect(store.history('alice@example.org')).rejects.toThrow(
        code('USER_UNKNOWN', 'alice@example.org'),
      );
    });

    it('share a certificate that is added for each of them', async () => {
      await open();
      expect(await store.add(entry(alice, { user: 'a@x.org' }))).toBe('added');
      expect(await store.add(entry(alice, { user: 'b@x.org' }))).toBe('added');
      expect(await store.add(entry(alice, { user: 'B@X.ORG' }))).toBe('present');
      expect((await store.lookup([byIssuer(alice)]))[0]?.users).toEqual(['a@x.org', 'b@x.org']);
    });

    it('may be missing: mail to a certificate without an address opens all the same', async () => {
      await open();
      const nameless = issueCertificate({ subject: 'Gateway', issuer: ca });
      expect(await store.add(entry(nameless))).toBe('added');
      await store.add(entry(alice, { user: null }));
      await store.add(entry(bob));
      expect(await store.users()).toEqual([
        { address: 'bob@example.org', certificates: 1, keys: 1 },
        { address: null, certificates: 2, keys: 2 },
      ]);
      expect(
        (await store.history(null)).map(({ certificate }) => certificate.subject.toString()).sort(),
      ).toEqual(['CN=Alice', 'CN=Gateway']);
      expect(await certificatesFound(byIssuer(nameless))).toEqual([
        [0, 'CN=Gateway', 'issuer and serial number match'],
      ]);
    });

    it('of authorities are nobody, and they are not listed', async () => {
      await open();
      await store.add({ certificate: parse(ca), user: null });
      expect(await store.users()).toEqual([]);
      expect(await store.history(null)).toEqual([]);
    });

    it.each(['', 'alice', 'alice@', 'a@b@c', 'a b@x.org', 'a@x.org\n'])(
      'must be mail addresses: %j',
      async (user) => {
        await open();
        await expect(store.add(entry(alice, { user }))).rejects.toThrow(code('USAGE', 'no mail address'));
        await expect(store.history(user)).rejects.toThrow(code('USAGE'));
        expect(await store.users()).toEqual([]);
      },
    );
  });

  describe('a purpose', () => {
    const uses = async (user = 'alice@example.org') =>
      (await store.history(user)).map(({ maySign, mayEncrypt }) => [maySign, mayEncrypt]);

    it('keeps a certificate from serving for the other, but not its key from opening mail', async () => {
      await open();
      await store.addMany([entry(alice, { purpose: 'signing' }), entry(bob, { purpose: 'encryption' })]);
      expect(await uses()).toEqual([[true, false]]);
      expect(await uses('bob@example.org')).toEqual([[false, true]]);
      await store.signingEntry('alice@example.org', NOW);
      await store.encryptionCertificates('bob@example.org', NOW);
      await expect(store.encryptionCertificates('alice@example.org', NOW)).rejects.toThrow(
        code('KEY_UNSUITABLE', 'none of 1 serves'),
      );
      await expect(store.signingEntry('bob@example.org', NOW)).rejects.toThrow(code('KEY_UNSUITABLE'));
      expect(await store.find([byIssuer(alice), byIssuer(bob)])).toHaveLength(2);
      // What a certificate is for apart from its users.
      expect(await store.lookup([byIssuer(alice)])).toMatchObject([{ maySign: true, mayEncrypt: true }]);
    });

    it('gives nothing that the certificate does not', async () => {
      await open();
      const signsOnly = issueCertificate({
        subject: 'S',
        emails: ['s@x.org'],
        keyUsage: ['digitalSignature'],
      });
      await store.add(entry(signsOnly, { purpose: 'encryption' }));
      expect(await uses('s@x.org')).toEqual([[false, false]]);
    });

    it('is each user’s own', async () => {
      await open();
      await store.add(entry(alice, { purpose: 'signing' }));
      await store.add(entry(alice, { user: 'office@example.org' }));
      expect([await uses(), await uses('office@example.org')]).toEqual([[[true, false]], [[true, true]]]);
    });

    it.each(['one by one', 'together'])('is added to another, and never takes one away: %s', async (how) => {
      await open();
      const steps = [
        [entry(alice, { purpose: 'signing' }), 'added', [true, false]],
        [entry(alice, { purpose: 'signing' }), 'present', [true, false]],
        [entry(alice, { purpose: 'encryption' }), 'added', [true, true]],
        [entry(alice, { purpose: 'signing' }), 'present', [true, true]],
        [entry(alice), 'present', [true, true]],
      ] as const;
      if (how === 'together') {
        const results = await store.addMany(steps.map(([one]) => one));
        expect(results).toEqual(steps.map(([, outcome]) => ({ outcome })));
      } else {
        for (const [one, outcome, expected] of steps) {
          expect(await store.add(one)).toBe(outcome);
          expect(await uses()).toEqual([expected]);
        }
      }
      expect(await uses()).toEqual([[true, true]]);
    });

    it('must be one', async () => {
      await open();
      await expect(store.add(entry(alice, { purpose: 'both' as 'signing' }))).rejects.toThrow(RangeError);
    });
  });

  it('takes of entries that bring the same the first, together or one by one', async () => {
    const entries = [
      entry(alice, { user: 'Alice@example.org' }),
      entry(alice, { friendlyName: 'second', user: 'alice@example.org' }),
    ];
    for (const together of [true, false]) {
      await store?.close();
      await open();
      if (together) await store.addMany(entries);
      else for (const one of entries) await store.add(one);
      const [stored] = await store.history('alice@example.org');
      expect(stored?.friendlyName).toBeUndefined();
      expect(stored?.users).toEqual(['Alice@example.org']);
    }
  });

  describe('adding', () => {
    it('the same twice is one', async () => {
      await open();
      expect(await store.add(entry(alice))).toBe('added');
      expect(await store.add(entry(alice))).toBe('present');
      expect(await store.addMany([entry(bob), entry(bob), entry(alice)])).toEqual([
        { outcome: 'added' },
        { outcome: 'present' },
        { outcome: 'present' },
      ]);
      expect(await store.users()).toMatchObject([{ certificates: 1 }, { certificates: 1 }]);
    });

    it('a key to a certificate that is there counts as added', async () => {
      await open();
      expect(await store.add({ certificate: parse(alice) })).toBe('added');
      expect(await store.add({ certificate: parse(alice) })).toBe('present');
      expect(await store.add(entry(alice))).toBe('added');
    });

    it('refuses a key of another certificate, and writes nothing', async () => {
      await open();
      const mixed = { certificate: parse(alice), privateKey: PrivateKey.parse(bob.privateKey) };
      await expect(store.add(mixed)).rejects.toThrow(code('KEY_MISMATCH', 'CN=Alice'));
      expect(await store.users()).toEqual([]);
    });

    it('goes on behind a bad entry', async () => {
      await open();
      const mixed = { certificate: parse(alice), privateKey: PrivateKey.parse(bob.privateKey) };
      expect(await store.addMany([entry(carol), mixed, entry(bob)])).toEqual([
        { outcome: 'added' },
        { outcome: 'failed', error: code('KEY_MISMATCH') },
        { outcome: 'added' },
      ]);
      expect((await store.users()).map(({ address }) => address)).toEqual([
        'bob@example.org',
        'carol@example.org',
      ]);
    });

    it('takes more entries than one transaction, and none', async () => {
      await open();
      expect(await store.addMany([])).toEqual([]);
      const key = generateKey('P-256');
      const many = Array.from({ length: 600 }, (_, i) =>
        entry(issueCertificate({ subject: `User ${i}`, emails: [`u${i}@x.org`], key, issuer: ca })),
      );
      const results = await store.addMany(many);
      expect(results.filter(({ outcome }) => outcome === 'added')).toHaveLength(600);
      expect(await store.users()).toHaveLength(600);
    });

    it('takes a certificate with thousands of addresses', async () => {
      await open();
      const emails = Array.from({ length: 3000 }, (_, i) => `u${i}@x.org`);
      await store.add(entry(issueCertificate({ subject: 'All', emails })));
      expect(await store.users()).toHaveLength(3000);
    });

    it('does not wipe the caller’s key', async () => {
      await open();
      const own = entry(alice);
      await store.add(own);
      expect(own.privateKey?.toPkcs8()).toEqual(new Uint8Array(alice.privateKey));
    });
  });

  describe('chain', () => {
    const other = issueCertificate({
      subject: [
        ['countryName', 'DE'],
        ['organizationName', 'Example Trust'],
        ['commonName', 'Mail CA'],
      ],
      ca: true,
      issuer: root,
    });
    const lower = issueCertificate({ subject: 'Lower', ca: true, issuer: ca });
    const leaf = issueCertificate({ subject: 'Leaf', emails: ['leaf@x.org'], issuer: lower });
    const subjects = (chain: readonly Certificate[]) => chain.map(({ subject }) => subject.toString());

    it('leads from a certificate to below its root', async () => {
      await open();
      for (const issued of [root, ca, lower, leaf])
        await store.add({ certificate: parse(issued), user: null });
      expect(subjects(await store.chain(parse(leaf)))).toEqual([
        'CN=Lower',
        'CN=Mail CA,O=Example Trust,C=DE',
      ]);
      expect(subjects(await store.chain(parse(root)))).toEqual([]);
      await store.add(entry(leaf));
      const { chain } = await store.signingEntry('leaf@x.org', NOW);
      expect(subjects(chain)).toEqual(['CN=Lower', 'CN=Mail CA,O=Example Trust,C=DE']);
    });

    it('tells authorities of one name by their key', async () => {
      await open();
      await store.addMany([ca, other].map((issued) => ({ certificate: parse(issued), user: null })));
      const chain = await store.chain(parse(alice));
      expect(chain).toHaveLength(1);
      expect(chain[0]?.equals(parse(ca))).toBe(true);
    });

    it('takes authorities only, and stops where one is missing', async () => {
      await open();
      const fake = issueCertificate({ subject: 'Lower', emails: ['fake@x.org'], subjectKeyIdentifier: null });
      await store.add({ certificate: parse(fake) });
      expect(await store.chain(parse(leaf))).toEqual([]);
      await store.add({ certificate: parse(lower), user: null });
      expect(subjects(await store.chain(parse(leaf)))).toEqual(['CN=Lower']);
    });

    it('ends where authorities certify each other in a circle', async () => {
      await open();
      const [keyA, keyB] = [generateKey('P-256'), generateKey('P-256')];
      const a = issueCertificate({ subject: 'A', ca: true, key: keyA });
      const b = issueCertificate({ subject: 'B', ca: true, key: keyB, issuer: a });
      const aByB = issueCertificate({ subject: 'A', ca: true, key: keyA, issuer: b });
      const user = issueCertificate({ subject: 'U', emails: ['u@x.org'], issuer: a });
      for (const issued of [aByB, b]) await store.add({ certificate: parse(issued), user: null });
      expect(subjects(await store.chain(parse(user)))).toEqual(['CN=A', 'CN=B']);
    });

    it('has an end, however many authorities have one name', async () => {
      await open();
      const many = Array.from({ length: 30 }, () =>
        issueCertificate({
          subject: 'Lower',
          ca: true,
          issuer: ca,
          authorityKeyIdentifier: null,
          subjectKeyIdentifier: null,
        }),
      );
      await store.addMany(many.map((issued) => ({ certificate: parse(issued), user: null })));
      expect(await store.chain(parse(leaf))).toHaveLength(10);
    });
  });

  describe('remove', () => {
    it('a user, with the certificates and keys that are nobody else’s', async () => {
      await open();
      const shared = issueCertificate({ subject: 'Team', emails: ['team@x.org', 'alice@example.org'] });
      await store.addMany([entry(alice), entry(shared), entry(bob)]);
      expect(await store.remove({ user: 'ALICE@example.org' })).toEqual({ certificates: 1, keys: 1 });
      expect((await store.users()).map(({ address }) => address)).toEqual(['bob@example.org', 'team@x.org']);
      expect(await store.find([byIssuer(alice)])).toEqual([]);
      expect(await store.lookup([byIssuer(alice)])).toEqual([]);
      expect(await certificatesFound(byIssuer(shared))).toHaveLength(1);
      await expect(store.remove({ user: 'alice@example.org' })).rejects.toThrow(code('USER_UNKNOWN'));
    });

    it('one certificate, but not the key that a renewal has too', async () => {
      await open();
      const key = generateKey('P-256');
      const issued = [0, 1].map(() =>
        issueCertificate({ subject: 'R', emails: ['r@x.org'], key, issuer: ca }),
      );
      const [one, other] = issued as [IssuedCertificate, IssuedCertificate];
      await store.addMany([entry(one), entry(other)]);
      expect(await store.remove({ certificate: parse(one).fingerprint })).toEqual({
        certificates: 1,
        keys: 0,
      });
      expect(await store.find([byIssuer(one)])).toEqual([]);
      expect(await certificatesFound(byIssuer(other))).toHaveLength(1);
      expect(await store.remove({ certificate: parse(other).fingerprint })).toEqual({
        certificates: 1,
        keys: 1,
      });
      expect(await store.users()).toEqual([]);
      expect(await store.remove({ certificate: parse(other).fingerprint })).toEqual({
        certificates: 0,
        keys: 0,
      });
    });

    it('leaves nothing to be found by, also of a certificate whose octets were changed', async () => {
      const path = newPath();
      store = await openKeyStore(`sqlite:${path}`, { sealKey: SEAL_KEY });
      await store.addMany([entry(alice), entry(bob)]);
      const database = new SqliteDatabase(path);
      const left = database.prepare('select count(*) from identifiers').pluck();
      expect(left.get()).toBe(4);
      await store.remove({ certificate: parse(alice).fingerprint });
      expect(left.get()).toBe(2);
      database.exec(`update certificates set der = x'3000'`);
      await store.remove({ certificate: parse(bob).fingerprint });
      expect(left.get()).toBe(0);
      database.close();
    });

    it('and adding again', async () => {
      await open();
      await store.add(entry(alice));
      await store.remove({ user: 'alice@example.org' });
      expect(await store.add(entry(alice))).toBe('added');
      expect(await certificatesFound(byIssuer(alice))).toHaveLength(1);
    });
  });

  it('answers look-ups while others add', async () => {
    await open();
    await store.add(entry(alice));
    const key = generateKey('P-256');
    const issued = Array.from({ length: 20 }, (_, i) =>
      issueCertificate({ subject: `U${i}`, emails: [`u${i}@x.org`], key, issuer: ca }),
    );
    const adding = issued.map((one) => store.add(entry(one)));
    const finding = issued.map(() => store.find([byIssuer(alice)]));
    expect((await Promise.all(finding)).every((candidates) => candidates.length === 1)).toBe(true);
    expect(await Promise.all(adding)).toEqual(issued.map(() => 'added'));
  });
});

describe('openKeyStore', () => {
  const urls: [string, string][] = [
    ['keys.db', 'no scheme'],
    ['', 'no scheme'],
    ['sqlite:', 'sqlite:'],
    ['sqlite://keys.db', 'sqlite://'],
    ['postgres://gateway:hunter2@db/keys', 'postgres://'],
    ['mysql:keys', 'mysql:'],
  ];
  it.each(urls)('refuses the URL %j and names what there is, never a password', async (url, found) => {
    const opening = openKeyStore(url, { sealKey: SEAL_KEY });
    await expect(opening).rejects.toThrow(code('USAGE', 'sqlite:PATH', `found ${found}$`));
    await expect(opening).rejects.toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('hunter2') }),
    );
  });

  it('takes an absolute path', async () => {
    const path = newPath();
    await (await openKeyStore(`sqlite:${path}`, { sealKey: SEAL_KEY })).close();
    expect(existsSync(path)).toBe(true);
  });

  it('refuses a sealing key of another size, and makes no file', async () => {
    const path = newPath();
    await expect(openKeyStore(`sqlite:${path}`, { sealKey: new Uint8Array(16) })).rejects.toThrow(
      code('SEAL_KEY_INVALID', '16 octets', '32 octets'),
    );
    expect(existsSync(path)).toBe(false);
  });
});

describe('key store in a SQLite file', () => {
  let path: string;
  const open = (sealKey = SEAL_KEY) => openKeyStore(`sqlite:${path}`, { sealKey });
  const fill = async (...issued: IssuedCertificate[]) => {
    path = newPath();
    const store = await open();
    await store.addMany(issued.map((one) => entry(one)));
    await store.close();
  };
  const change = (statement: string) => {
    const database = new SqliteDatabase(path);
    database.exec(statement);
    database.close();
  };

  it('keeps what was added', async () => {
    await fill(alice);
    const store = await open();
    const [candidate] = await store.find([byIssuer(alice)]);
    expect(candidate?.privateKey.toPkcs8()).toEqual(new Uint8Array(alice.privateKey));
    await store.close();
  });

  it('makes a file that only its owner can read', async () => {
    const umask = process.umask(0);
    try {
      await fill(alice);
      const store = await open();
      await store.add(entry(bob));
      for (const name of [path, `${path}-wal`, `${path}-shm`]) {
        expect(statSync(name).mode & 0o777, name).toBe(0o600);
      }
      await store.close();
    } finally {
      process.umask(umask);
    }
  });

  it('holds no private key in the clear', async () => {
    await fill(alice, bob);
    const content = readFileSync(path);
    for (const { privateKey, certificate } of [alice, bob]) {
      const key = createPrivateKey({ key: Buffer.from(privateKey), format: 'der', type: 'pkcs8' });
      const secret = Buffer.from(key.export({ format: 'jwk' }).d as string, 'base64url');
      expect(Buffer.from(privateKey).includes(secret)).toBe(true);
      expect(content.includes(secret)).toBe(false);
      expect(content.includes(Buffer.from(certificate))).toBe(true);
    }
  });

  it('does not make a store where only an old one will do', async () => {
    path = newPath();
    const opening = openKeyStore(`sqlite:${path}`, { sealKey: SEAL_KEY, create: false });
    await expect(opening).rejects.toThrow(code('IO', 'no key store at'));
    expect(existsSync(path)).toBe(false);
    await fill(alice);
    await (await openKeyStore(`sqlite:${path}`, { sealKey: SEAL_KEY, create: false })).close();
  });

  it('refuses another sealing key', async () => {
    await fill(alice);
    await expect(open(generateSealKey())).rejects.toThrow(code('SEAL_KEY_WRONG'));
    await (await open()).close();
  });

  it('refuses sealed keys that were swapped, and names the certificate', async () => {
    await fill(alice, bob);
    change(
      `update private_keys set sealed = (select sealed from private_keys o where o.spki_hash != private_keys.spki_hash)`,
    );
    const store = await open();
    const reason = code(
      'STORE_INVALID',
      'CN=Alice',
      toHex(parse(alice).fingerprint),
      'moved from another key',
    );
    await expect(store.find([byIssuer(alice)])).rejects.toThrow(reason);
    await expect(store.signingEntry('alice@example.org', NOW)).rejects.toThrow(reason);
    await store.close();
  });

  it('opens a mail with a good key beside a damaged one', async () => {
    await fill(alice, bob);
    change(
      `update private_keys set sealed = x'01' where spki_hash = (select spki_hash from certificates where subject = 'CN=Alice')`,
    );
    const store = await open();
    await expect(store.find([byIssuer(alice)])).rejects.toThrow(
      code('STORE_INVALID', 'CN=Alice', 'unknown form'),
    );
    expect(await store.find([byIssuer(alice), byIssuer(bob)])).toMatchObject([{ recipient: 1 }]);
    await expect(store.entries('alice@example.org')).rejects.toThrow(code('STORE_INVALID', 'CN=Alice'));
    expect(await store.lookup([byIssuer(alice)])).toMatchObject([{ hasKey: true }]);
    await store.close();
  });

  const hexOf = (issued: IssuedCertificate) => `x'${toHex(parse(issued).fingerprint)}'`;
  const swapped = (column: string, table = 'certificates') => {
    const read = (issued: IssuedCertificate) =>
      `(select ${column} from ${table} where fingerprint = ${hexOf(issued)})`;
    change(`create temp table o as select ${read(alice)} as a, ${read(bob)} as b;
            update ${table} set ${column} = (select b from o) where fingerprint = ${hexOf(alice)};
            update ${table} set ${column} = (select a from o) where fingerprint = ${hexOf(bob)};`);
  };

  it('opens no mail as another user’s certificate after keys and identifiers were exchanged in the database', async () => {
    await fill(alice, bob);
    swapped('spki_hash');
    change(`update identifiers set fingerprint = case fingerprint when ${hexOf(alice)} then ${hexOf(bob)}
            else ${hexOf(alice)} end`);
    const parsed = vi.spyOn(PrivateKey, 'parse');
    const store = await open();
    const reason = (issued: IssuedCertificate) => {
      const { subject, fingerprint } = parse(issued);
      return code('STORE_INVALID', subject.toString(), toHex(fingerprint), 'belongs to another certificate');
    };
    await expect(store.find([byIssuer(alice)])).rejects.toThrow(reason(bob));
    await expect(store.find([byIssuer(bob)])).rejects.toThrow(reason(alice));
    await expect(store.signingEntry('alice@example.org', NOW)).rejects.toThrow(reason(alice));
    await expect(store.entries('alice@example.org')).rejects.toThrow(reason(alice));
    expect(parsed.mock.results).toHaveLength(4);
    for (const { value } of parsed.mock.results) {
      expect(() => (value as PrivateKey).toPkcs8()).toThrow('wiped');
    }
    await store.close();
  });

  it('unseals no key for a certificate whose octets were exchanged', async () => {
    await fill(alice, bob);
    swapped('der');
    const parsed = vi.spyOn(PrivateKey, 'parse');
    const store = await open();
    const reason = code('STORE_INVALID', toHex(parse(alice).fingerprint), 'its octets were changed');
    await expect(store.find([byIssuer(alice)])).rejects.toThrow(reason);
    await expect(store.signingEntry('alice@example.org', NOW)).rejects.toThrow(reason);
    await expect(store.encryptionCertificates('alice@example.org', NOW)).rejects.toThrow(reason);
    await expect(store.history('alice@example.org')).rejects.toThrow(reason);
    await expect(store.lookup([byIssuer(alice)])).rejects.toThrow(reason);
    change(`update certificates set der = x'3000' where fingerprint = ${hexOf(alice)}`);
    await expect(store.find([byIssuer(alice)])).rejects.toThrow(
      code('STORE_INVALID', toHex(parse(alice).fingerprint)),
    );
    expect(parsed).not.toHaveBeenCalled();
    await store.close();
  });

  it('wipes the keys that it unsealed when a later step fails by a bug', async () => {
    await fill(alice, bob);
    const store = await open();
    const recipients = [byIssuer(alice), byIssuer(bob)];
    const keys = vi.spyOn(PrivateKey, 'parse');
    const original = Certificate.parse.bind(Certificate);
    vi.spyOn(Certificate, 'parse').mockImplementation((octets) => {
      if (keys.mock.calls.length > 0) throw new TypeError('a bug');
      return original(octets);
    });
    await expect(store.find(recipients)).rejects.toThrow('a bug');
    expect(keys.mock.results).toHaveLength(1);
    for (const { value } of keys.mock.results) expect(() => (value as PrivateKey).toPkcs8()).toThrow('wiped');
    await store.close();
  });

  it('reads from the certificate, not from columns, when and for what it may be used', async () => {
    const expired = issueCertificate({
      subject: 'E',
      emails: ['e@x.org'],
      notBefore: year(2018),
      notAfter: year(2019),
    });
    const signsOnly = issueCertificate({ subject: 'S', emails: ['s@x.org'], keyUsage: ['digitalSignature'] });
    const [older, newer] = [2020, 2021].map((from) =>
      issueCertificate({ subject: `N ${from}`, emails: ['n@x.org'], notBefore: year(from) }),
    ) as [IssuedCertificate, IssuedCertificate];
    await fill(expired, signsOnly, older, newer);
    change(`update certificates set may_sign = 1 - may_sign, may_encrypt = 1 - may_encrypt, not_after = 4e9,
            not_before = 3e9 - not_before`);
    const store = await open();
    await expect(store.signingEntry('e@x.org', NOW)).rejects.toThrow(code('KEY_UNSUITABLE', 'to 2019-01-01'));
    await expect(store.encryptionCertificates('s@x.org', NOW)).rejects.toThrow(code('KEY_UNSUITABLE'));
    expect(await store.history('s@x.org')).toMatchObject([{ maySign: true, mayEncrypt: false }]);
    const { certificate } = await store.signingEntry('n@x.org', NOW);
    expect(certificate.equals(parse(newer))).toBe(true);
    const [newest] = await store.encryptionCertificates('n@x.org', NOW);
    expect(newest?.equals(parse(newer))).toBe(true);
    expect((await store.history('n@x.org')).map(({ certificate }) => toHex(certificate.fingerprint))).toEqual(
      [newer, older].map((one) => toHex(parse(one).fingerprint)),
    );
    await store.close();
  });

  it('overwrites what is removed', async () => {
    await fill(alice, bob);
    const database = new SqliteDatabase(path, { readonly: true });
    const read = database.prepare(
      'select sealed from private_keys where spki_hash = (select spki_hash from certificates where subject = ?)',
    );
    const sealed = read.pluck().get('CN=Bob') as Buffer;
    database.close();
    expect(readFileSync(path).includes(sealed)).toBe(true);
    const store = await open();
    await store.remove({ user: 'bob@example.org' });
    await store.close();
    expect(readFileSync(path).includes(sealed)).toBe(false);
  });

  const foreign: [string, (path: string) => void, string][] = [
    ['text', (path) => writeFileSync(path, 'file,password\n'.repeat(100)), 'STORE_INVALID'],
    ['a short text', (path) => writeFileSync(path, 'x'), 'STORE_INVALID'],
    ['a PFX', (path) => writeFileSync(path, alice.certificate), 'STORE_INVALID'],
    ['another program’s database', () => change('create table bookmarks (url text)'), 'STORE_INVALID'],
    [
      'one that has settings too',
      () => change('create table settings (key text, data text)'),
      'STORE_INVALID',
    ],
    [
      'one with empty settings',
      () => change('create table settings (name text, value text)'),
      'STORE_INVALID',
    ],
  ];
  it.each(foreign)('refuses %s, and leaves it as it is', async (_, make, expected) => {
    path = newPath();
    make(path);
    const before = readFileSync(path);
    await expect(open()).rejects.toThrow(code(expected));
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(existsSync(`${path}-wal`)).toBe(false);
  });

  it('refuses a folder, and a path in a folder that is not there', async () => {
    path = folder;
    await expect(open()).rejects.toThrow(code('IO'));
    path = join(folder, 'no', 'keys.db');
    await expect(open()).rejects.toThrow(code('IO', 'ENOENT'));
    await expect(openKeyStore(`sqlite:${path}`, { sealKey: SEAL_KEY, create: false })).rejects.toThrow(
      code('IO'),
    );
  });

  it('says what failed where SQLite rolls back by itself, as it does when the disk is full', async () => {
    await fill(alice);
    change(`create trigger full before insert on certificates begin select raise(rollback, 'no room'); end`);
    const store = await open();
    await expect(store.add(entry(bob))).rejects.toThrow('no room');
    change('drop trigger full');
    expect(await store.add(entry(bob))).toBe('added');
    await store.close();
  });

  it('refuses another schema version and names both', async () => {
    await fill(alice);
    change(`update settings set value = '7' where name = 'version'`);
    await expect(open()).rejects.toThrow(code('STORE_INVALID', 'version 7', 'reads 3'));
  });

  /** What the first version made: without the log of imports and purposes, identifiers with a foreign key. */
  const makeOld = () =>
    change(`drop table capabilities; drop table imports; alter table user_certificates drop column uses;
            alter table identifiers rename to i;
            create table identifiers (value blob not null, kind integer not null, fingerprint blob not null
              references certificates (fingerprint) on delete cascade,
              constraint identifiers_key primary key (value, kind, fingerprint)) without rowid;
            insert into identifiers select * from i; drop table i;
            create index identifiers_fingerprint on identifiers (fingerprint);
            update settings set value = '1' where name = 'version'`);

  describe('of schema version 1', () => {
    it('is brought to the newest when it is opened, and keeps all it has', async () => {
      await fill(alice, bob);
      makeOld();
      const store = await open();
      expect(await store.history('alice@example.org')).toMatchObject([
        { hasKey: true, maySign: true, mayEncrypt: true },
      ]);
      await store.add(entry(bob, { purpose: 'signing' }));
      await store.add(entry(carol, { purpose: 'signing' }));
      expect(await store.history('bob@example.org')).toMatchObject([{ maySign: true, mayEncrypt: true }]);
      expect(await store.history('carol@example.org')).toMatchObject([{ maySign: true, mayEncrypt: false }]);
      expect(await store.bulk.logged([new Uint8Array(16)])).toEqual([undefined]);
      expect(
        await store.find([byIssuer(alice), byKeyIdentifier(parse(bob).publicKey.keyIdentifier)]),
      ).toHaveLength(2);
      await store.remove({ user: 'alice@example.org' });
      await store.close();
      const database = new SqliteDatabase(path, { readonly: true });
      expect(database.prepare(`select value from settings where name = 'version'`).pluck().get()).toBe('3');
      database.close();
    });

    it('has the same tables then as a new one', async () => {
      await fill(alice);
      const schema = () => {
        const database = new SqliteDatabase(path, { readonly: true });
        const columns = database
          .prepare(
            `select t.name as "table", c.name, c.type, c."notnull", c.dflt_value, c.pk from sqlite_schema t, pragma_table_info(t.name) c
             where t.type = 'table' order by 1, c.cid`,
          )
          .all();
        const indexes = database
          .prepare(`select name, tbl_name, sql from sqlite_schema where type = 'index' order by name`)
          .all();
        database.close();
        return { columns, indexes };
      };
      const fresh = schema();
      makeOld();
      await (await open()).close();
      expect(schema()).toEqual(fresh);
    });

    it('is not changed for a wrong sealing key', async () => {
      await fill(alice);
      makeOld();
      const before = readFileSync(path);
      await expect(open(generateSealKey())).rejects.toThrow(code('SEAL_KEY_WRONG'));
      expect(readFileSync(path).equals(before)).toBe(true);
    });

    it('is migrated once by several processes that open it', async () => {
      await fill(alice);
      makeOld();
      const sealKey = join(folder, 'seal.key');
      writeFileSync(sealKey, SEAL_KEY);
      const args = ['users', '--store', `sqlite:${path}`, '--seal-key', sealKey];
      const users = await Promise.all(Array.from({ length: 4 }, () => succeedJson<unknown>(args)));
      for (const listed of users) expect(listed).toMatchObject([{ address: 'alice@example.org' }]);
    });
  });

  describe('as a copy to try things on', () => {
    const scratch = (more = {}) =>
      openKeyStore(`sqlite:${path}`, { sealKey: SEAL_KEY, scratch: true, ...more });

    it('has all that is there, in the same order, and leaves no trace', async () => {
      await fill(alice, bob);
      const before = readFileSync(path);
      const copy = await scratch();
      expect(await copy.find([byIssuer(alice)])).toHaveLength(1);
      expect(await copy.add(entry(bob))).toBe('present');
      expect(await copy.add(entry(carol))).toBe('added');
      await copy.remove({ user: 'alice@example.org' });
      expect((await copy.users()).map(({ address }) => address)).toEqual([
        'bob@example.org',
        'carol@example.org',
      ]);
      await copy.close();
      expect(readFileSync(path).equals(before)).toBe(true);
      expect(existsSync(`${path}-wal`)).toBe(false);
      const store = await open();
      expect((await store.users()).map(({ address }) => address)).toEqual([
        'alice@example.org',
        'bob@example.org',
      ]);
      await store.close();
    });

    it('does not keep others from writing', async () => {
      await fill(alice);
      const copy = await scratch();
      await copy.add(entry(carol));
      const store = await open();
      expect(await store.add(entry(bob))).toBe('added');
      expect((await copy.users()).map(({ address }) => address)).toEqual([
        'alice@example.org',
        'carol@example.org',
      ]);
      await Promise.all([copy.close(), store.close()]);
    });

    it('is empty where there is no store, unless there has to be one', async () => {
      path = newPath();
      const copy = await scratch();
      await copy.add(entry(alice));
      expect(await copy.users()).toHaveLength(1);
      await copy.close();
      expect(existsSync(path)).toBe(false);
      await expect(scratch({ create: false })).rejects.toThrow(code('IO', 'no key store at'));
      const inMemory = await openKeyStore('sqlite::memory:', { sealKey: SEAL_KEY, scratch: true });
      expect(await inMemory.add(entry(alice))).toBe('added');
      await inMemory.close();
    });

    it('of an older schema is brought to the newest, the store itself is not', async () => {
      await fill(alice);
      makeOld();
      const before = readFileSync(path);
      const copy = await scratch();
      expect(await copy.add(entry(bob, { purpose: 'signing' }))).toBe('added');
      await copy.close();
      expect(readFileSync(path).equals(before)).toBe(true);
    });

    it('takes the sealing key of the store, and no other database', async () => {
      await fill(alice);
      await expect(scratch({ sealKey: generateSealKey() })).rejects.toThrow(code('SEAL_KEY_WRONG'));
      path = newPath();
      change('create table bookmarks (url text)');
      await expect(scratch()).rejects.toThrow(code('STORE_INVALID'));
      writeFileSync(path, 'x');
      await expect(scratch()).rejects.toThrow(code('STORE_INVALID'));
    });
  });

  it.each([
    ['no salt', `delete from settings where name = 'salt'`],
    ['a salt that is no hexadecimal', `update settings set value = 'zz' where name = 'salt'`],
    ['no check value', `delete from settings where name = 'check'`],
    ['a table gone', 'drop table identifiers'],
  ])('refuses a store with %s', async (_, statement) => {
    await fill(alice);
    change(statement);
    const using = open().then((store) => store.find([byIssuer(alice)]).finally(() => store.close()));
    await expect(using).rejects.toThrow(code('STORE_INVALID'));
  });

  it('reports a damaged file as such, wherever it was hit', async () => {
    await fill(alice, bob, carol);
    const intact = readFileSync(path);
    const outcomes = new Set<string>();
    for (let page = 0; page < intact.length; page += 4096) {
      const damaged = Uint8Array.from(intact);
      damaged.fill(0xa5, page, page + 4096);
      path = newPath();
      writeFileSync(path, damaged);
      const using = open().then(async (store) => {
        try {
          const found = await store.find([byIssuer(alice), byIssuer(bob), byIssuer(carol)]);
          return found.every(({ privateKey, certificate }) =>
            certificate?.publicKey.equals(privateKey.publicKey),
          );
        } finally {
          await store.close();
        }
      });
      outcomes.add(
        await using.then(String, (error: { code?: string; message: string }) => error.code ?? error.message),
      );
    }
    expect([...outcomes].sort()).toEqual(['STORE_INVALID', 'true']);
  });

  it('can’t be written where the file is read-only', async () => {
    await fill(alice);
    chmodSync(path, 0o400);
    if (process.getuid?.() === 0) return; // root writes everywhere
    const store = await open();
    await expect(store.add(entry(bob))).rejects.toThrow(code('IO'));
    await store.close();
  });

  it('is open in two places at once', async () => {
    await fill();
    const [one, other] = [await open(), await open()];
    await one.add(entry(alice));
    expect(await other.find([byIssuer(alice)])).toHaveLength(1);
    await other.add(entry(bob));
    expect((await one.users()).map(({ address }) => address)).toEqual([
      'alice@example.org',
      'bob@example.org',
    ]);
    await one.close();
    expect(await other.find([byIssuer(bob)])).toHaveLength(1);
    await other.close();
  });

  describe('by several processes', () => {
    const script = join(folder, 'writer.mts');
    beforeAll(() => {
      const from = (name: string) => JSON.stringify(new URL(`../${name}`, import.meta.url).href);
      writeFileSync(
        script,
        `import { openKeyStore } from ${from('src/keystore/store.ts')};
         import { Certificate } from ${from('src/x509/certificate.ts')};
         import { PrivateKey } from ${from('src/x509/keys.ts')};
         import { issueCertificate } from ${from('test/helpers/pki.ts')};
         const [url, key, name] = process.argv.slice(2);
         const store = await openKeyStore(url, { sealKey: Buffer.from(key, 'hex') });
         for (let i = 0; i < 30; i++) {
           const issued = issueCertificate({ subject: name, emails: [\`\${name}\${i}@x.org\`] });
           await store.add({ certificate: Certificate.parse(issued.certificate), privateKey: PrivateKey.parse(issued.privateKey) });
         }
         await store.close();`,
      );
    });

    it('is made once and written by all', async () => {
      path = newPath();
      const run = promisify(execFile);
      const tsx = new URL('../node_modules/tsx/dist/cli.mjs', import.meta.url).pathname;
      await Promise.all(
        ['a', 'b', 'c'].map((name) =>
          run(process.execPath, [tsx, script, `sqlite:${path}`, toHex(SEAL_KEY), name]),
        ),
      );
      const store = await open();
      const users = await store.users();
      expect(users).toHaveLength(90);
      expect(users.every(({ keys }) => keys === 1)).toBe(true);
      await store.close();
    });
  });
});
