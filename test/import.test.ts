/** importPfx: files of vectors/, and plain PFX files made here for what no vector has. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { type DerWriter, writeDer } from '../src/asn1/write.js';
import { type ImportInput, type ImportRow, importPfx, MAX_PFX_LENGTH } from '../src/import.js';
import { generateSealKey, type KeyStore, openKeyStore } from '../src/keystore/store.js';
import { Certificate } from '../src/x509/certificate.js';
import { PrivateKey } from '../src/x509/keys.js';
import { generateKey, type IssuedCertificate, issueCertificate } from './helpers/pki.js';
import { pfxRows, readVector, vectorPath } from './helpers/vectors.js';

const folder = mkdtempSync(join(tmpdir(), 'mailseal-import-'));
afterAll(() => rmSync(folder, { recursive: true }));

let store: KeyStore;
beforeEach(async () => {
  store = await openKeyStore('sqlite::memory:', { sealKey: generateSealKey() });
});
afterEach(() => store.close());

const vector = (source: string, path: string, password: string | string[]): ImportInput => ({
  name: path,
  path: vectorPath(source, path),
  password,
});
const ALICE = vector('rfc9216-pem', '4.5-PKCS-12-Object-for-Alice.p12', 'alice');
const BOB = vector('rfc9216-pem', '5.5-PKCS-12-Object-for-Bob.p12', 'bob');

const parse = (issued: IssuedCertificate) => Certificate.parse(issued.certificate);
const byIssuer = (issued: IssuedCertificate) => {
  const { issuer, serialNumber } = parse(issued);
  return [{ type: 'issuerAndSerialNumber' as const, issuer, serialNumber }];
};
const subjects = async (user: string | null) =>
  (await store.history(user)).map(({ certificate }) => certificate.subject.toString());

/** A PFX (RFC 7292 section 4) with nothing encrypted and no MAC: read with allowNoMac. */
function plainPfx(keys: readonly Uint8Array[], certificates: readonly Uint8Array[]): Uint8Array {
  const contentInfo = (w: DerWriter, content: Uint8Array) =>
    w.sequence((w) => {
      w.oid(OID.data);
      w.explicit(0, (w) => w.octets(content));
    });
  const safe = writeDer((w) =>
    w.sequence((w) => {
      for (const key of keys) {
        w.sequence((w) => {
          w.oid(OID.keyBag);
          w.explicit(0, (w) => w.raw(key));
        });
      }
      for (const certificate of certificates) {
        w.sequence((w) => {
          w.oid(OID.certBag);
          w.explicit(0, (w) =>
            w.sequence((w) => {
              w.oid(OID.x509Certificate);
              w.explicit(0, (w) => w.octets(certificate));
            }),
          );
        });
      }
    }),
  );
  return writeDer((w) =>
    w.sequence((w) => {
      w.integer(3);
      contentInfo(
        w,
        writeDer((w) => w.sequence((w) => contentInfo(w, safe))),
      );
    }),
  );
}

const plain = (
  name: string,
  keys: readonly Uint8Array[],
  certificates: readonly Uint8Array[],
): ImportInput => ({
  name,
  bytes: plainPfx(keys, certificates),
});
const importPlain = (...inputs: ImportInput[]) => importPfx(store, inputs, { pfx: { allowNoMac: true } });

describe('importPfx', () => {
  it('stores every key of a file with its certificate, and the authorities', async () => {
    const report = await importPfx(store, [ALICE]);
    expect(report).toEqual({
      rows: [{ name: ALICE.name, outcome: 'imported', keys: 2, certificates: 3, skipped: [] }],
      totals: { files: 1, imported: 1, present: 0, failed: 0, keys: 2, certificates: 3 },
    });
    expect(await store.users()).toEqual([{ address: 'alice@smime.example', certificates: 2, keys: 2 }]);
    const now = new Date('2025-01-01');
    const { certificate, privateKey, chain } = await store.signingEntry('alice@smime.example', now);
    expect(certificate.publicKey.equals(privateKey.publicKey)).toBe(true);
    // Certified by its own root and by another one: RFC 9216 has both certificates.
    expect(chain.map(({ issuer }) => issuer.toString())).toEqual([
      'CN=Sample LAMPS Ed25519 Certification Authority,OU=LAMPS WG,O=IETF',
    ]);
    expect(await store.encryptionCertificates('alice@smime.example', now)).toHaveLength(1);
  });

  it('finds all there when it runs again', async () => {
    await importPfx(store, [ALICE, BOB]);
    const { rows, totals } = await importPfx(store, [BOB, ALICE]);
    expect(rows.map(({ outcome, keys }) => [outcome, keys])).toEqual([
      ['present', 2],
      ['present', 2],
    ]);
    expect(totals).toEqual({ files: 2, imported: 0, present: 2, failed: 0, keys: 4, certificates: 6 });
  });

  it('takes an asynchronous list, and the same file twice in it', async () => {
    async function* inputs(): AsyncGenerator<ImportInput> {
      yield ALICE;
      yield ALICE;
    }
    const { rows } = await importPfx(store, inputs());
    expect(rows.map(({ outcome }) => outcome)).toEqual(['imported', 'present']);
  });

  it('takes an empty list', async () => {
    expect((await importPfx(store, [])).totals).toMatchObject({ files: 0, imported: 0, failed: 0 });
  });

  it('gives the keys to the user that is named, and to an input’s own before that', async () => {
    const { rows } = await importPfx(store, [ALICE, { ...BOB, user: 'bob@x.org' }], { user: 'all@x.org' });
    expect(rows.every(({ outcome }) => outcome === 'imported')).toBe(true);
    expect((await store.users()).map(({ address }) => address)).toEqual(['all@x.org', 'bob@x.org']);
  });

  it('refuses a user that is no mail address before it reads anything', async () => {
    const unread = {
      [Symbol.iterator](): Iterator<ImportInput> {
        throw new Error('was read');
      },
    };
    await expect(importPfx(store, unread, { user: 'Alice' })).rejects.toThrow(
      expect.objectContaining({ code: 'USAGE' }),
    );
  });

  it('reports each file when it is done, in order', async () => {
    const seen: [string, number][] = [];
    const onProgress = (row: ImportRow, done: number) => seen.push([row.name, done]);
    const { rows } = await importPfx(store, [ALICE, { ...BOB, password: 'x' }, BOB], { onProgress });
    expect(seen).toEqual(rows.map(({ name }, i) => [name, i + 1]));
  });

  describe('one bad file never stops it', () => {
    const text = join(folder, 'notes.txt');
    writeFileSync(text, 'remember the milk\n');
    const truncated = join(folder, 'truncated.p12');
    writeFileSync(truncated, readVector('rfc9216-pem', ALICE.name).subarray(0, 1000));
    const changed = join(folder, 'changed.p12');
    const octets = Uint8Array.from(readVector('rfc9216-pem', ALICE.name));
    octets[octets.length - 60] = (octets[octets.length - 60] as number) ^ 1; // in the MAC
    writeFileSync(changed, octets);
    const directory = join(folder, 'directory.p12');
    mkdirSync(directory);
    const empty = join(folder, 'empty.p12');
    writeFileSync(empty, '');
    const huge = join(folder, 'huge.p12');
    writeFileSync(huge, '');
    truncateSync(huge, MAX_PFX_LENGTH + 1);
    const file = (path: string): ImportInput => ({ name: path, path, password: 'alice' });

    const rows: [string, ImportInput, Partial<Record<'code' | 'oid' | 'message', unknown>>][] = [
      ['a wrong password', { ...ALICE, password: 'bob' }, { code: 'PFX_WRONG_PASSWORD' }],
      [
        'no password',
        { name: 'x', path: vectorPath('rfc9216-pem', ALICE.name) },
        { code: 'PFX_WRONG_PASSWORD' },
      ],
      [
        'three wrong passwords',
        { ...ALICE, password: ['bob', 'carol', ''] },
        { code: 'PFX_WRONG_PASSWORD', message: 'none of 3 passwords opens the file' },
      ],
      ['a changed MAC', file(changed), { code: 'PFX_MAC_MISMATCH' }],
      ['a truncated file', file(truncated), { code: 'ASN1_TRUNCATED', offset: expect.any(Number) } as object],
      ['a text', file(text), { code: expect.stringMatching(/^(PFX_MALFORMED|ASN1_)/) }],
      ['an empty file', file(empty), { code: expect.stringMatching(/^(PFX_MALFORMED|ASN1_TRUNCATED)$/) }],
      ['a file that is too long', file(huge), { code: 'LIMIT_LENGTH' }],
      [
        'octets that are too many',
        { name: 'x', bytes: new Uint8Array(MAX_PFX_LENGTH + 1) },
        { code: 'LIMIT_LENGTH' },
      ],
      ['a folder', file(directory), { code: 'IO', message: 'not a file' }],
      [
        'a file that is not there',
        file(join(folder, 'gone.p12')),
        { code: 'IO', message: "can't be read: ENOENT" },
      ],
      [
        'no key',
        vector('pyca-vectors', 'pkcs12/cert-aes256cbc-no-key.p12', 'cryptography'),
        { code: 'PFX_NO_KEY' },
      ],
      [
        'no certificate',
        vector('pyca-vectors', 'pkcs12/no-cert-key-aes256cbc.p12', 'cryptography'),
        { code: 'KEY_MISMATCH' },
      ],
    ];
    it.each(rows)('%s', async (_, input, error) => {
      const report = await importPfx(store, [input, BOB]);
      expect(report.rows).toEqual([
        {
          name: input.name,
          outcome: 'failed',
          keys: 0,
          certificates: 0,
          skipped: [],
          error: expect.objectContaining(error),
        },
        expect.objectContaining({ name: BOB.name, outcome: 'imported' }),
      ]);
      expect(JSON.parse(JSON.stringify(report.rows[0])).error.message).toEqual(expect.any(String));
      expect(report.totals).toMatchObject({ files: 2, imported: 1, failed: 1 });
      expect(await store.users()).toHaveLength(1);
    });

    it('a named pipe is not waited for', async () => {
      const pipe = join(folder, 'pipe.p12');
      execFileSync('mkfifo', [pipe]);
      const { rows } = await importPfx(store, [file(pipe), BOB]);
      expect(rows[0]).toMatchObject({ outcome: 'failed', error: { code: 'IO', message: 'not a file' } });
    });
  });

  it('tries the passwords in turn', async () => {
    const { rows } = await importPfx(store, [{ ...ALICE, password: ['bob', '', 'alice', 'carol'] }]);
    expect(rows[0]).toMatchObject({ outcome: 'imported', keys: 2 });
  });

  it('refuses a store that was closed', async () => {
    const closed = await openKeyStore('sqlite::memory:', { sealKey: generateSealKey() });
    await closed.close();
    await expect(importPfx(closed, [ALICE])).rejects.toMatchObject({
      code: 'IO',
      message: 'the key store is closed',
    });
  });

  describe('refuses an input', () => {
    const rows: [string, unknown, ErrorConstructor, string][] = [
      ['that is null', null, TypeError, 'each input must be an object'],
      ['that is a path', 'a.p12', TypeError, 'each input must be an object'],
      ['without a name', { path: 'x' }, TypeError, 'name must be a string'],
      ['with a path that is none', { ...ALICE, path: 5 }, TypeError, 'path must be a string'],
      ['with a password that is none', { ...ALICE, password: 5 }, TypeError, 'password must be a string or'],
      ['with one that is null', { ...ALICE, password: null }, TypeError, 'password must be a string or'],
      ['with one among several', { ...ALICE, password: [5] }, TypeError, 'password must be a string or'],
      ['with no password to try', { ...ALICE, password: [] }, RangeError, 'password must have one'],
      ['with a user that is none', { ...ALICE, user: 5 }, TypeError, 'user must be a string'],
    ];
    it.each(rows)('%s', async (_, input, type, message) => {
      const importing = importPfx(store, [input as ImportInput]).catch((error: unknown) => error);
      const error = await importing;
      expect(error).toBeInstanceOf(type);
      expect((error as Error).message).toContain(message);
    });

    it('whose user is no mail address', async () => {
      await expect(importPfx(store, [{ ...ALICE, user: 'Anna' }])).rejects.toMatchObject({ code: 'USAGE' });
    });
  });

  it('leaves the caller’s octets as they are', async () => {
    const bytes = readVector('rfc9216-pem', ALICE.name);
    const before = Uint8Array.from(bytes);
    await importPfx(store, [{ name: 'a', bytes, password: 'alice' }]);
    expect(new Uint8Array(bytes)).toEqual(before);
  });
});

describe('what of a file goes in', () => {
  const root = issueCertificate({ subject: 'Root', ca: true });
  const ca = issueCertificate({ subject: 'CA', ca: true, issuer: root });
  const alice = issueCertificate({ subject: 'Alice', emails: ['alice@x.org'], issuer: ca });
  const bob = issueCertificate({ subject: 'Bob', emails: ['bob@x.org'], issuer: ca });

  it('a chain that the signer gets back', async () => {
    const { rows } = await importPlain(
      plain(
        'a',
        [alice.privateKey],
        [root, ca, alice].map(({ certificate }) => certificate),
      ),
    );
    expect(rows).toEqual([{ name: 'a', outcome: 'imported', keys: 1, certificates: 3, skipped: [] }]);
    const { chain } = await store.signingEntry('alice@x.org', new Date('2025-01-01'));
    expect(chain.map(({ subject }) => subject.toString())).toEqual(['CN=CA']);
  });

  it('every certificate of a key', async () => {
    const key = generateKey('P-256');
    const renewals = [2018, 2020, 2022].map((year) =>
      issueCertificate({
        subject: `Alice ${year}`,
        emails: ['alice@x.org'],
        key,
        issuer: ca,
        notBefore: new Date(Date.UTC(year, 0)),
        notAfter: new Date(Date.UTC(year + 2, 0)),
      }),
    );
    const { rows } = await importPlain(
      plain(
        'a',
        [key],
        renewals.map(({ certificate }) => certificate),
      ),
    );
    expect(rows).toEqual([{ name: 'a', outcome: 'imported', keys: 1, certificates: 3, skipped: [] }]);
    expect(await subjects('alice@x.org')).toEqual(['CN=Alice 2022', 'CN=Alice 2020', 'CN=Alice 2018']);
    for (const issued of renewals) expect(await store.find(byIssuer(issued))).toHaveLength(1);
  });

  it('not the certificate of somebody else, which mail to them would be encrypted to', async () => {
    await importPlain(plain('a', [alice.privateKey], [alice.certificate, bob.certificate]));
    expect((await store.users()).map(({ address }) => address)).toEqual(['alice@x.org']);
    expect(await store.lookup(byIssuer(bob))).toEqual([]);
  });

  it('a key beside one that has no certificate, with a note about the other', async () => {
    const { rows } = await importPlain(plain('a', [bob.privateKey, alice.privateKey], [alice.certificate]));
    expect(rows).toEqual([
      {
        name: 'a',
        outcome: 'imported',
        keys: 1,
        certificates: 1,
        skipped: [expect.objectContaining({ code: 'KEY_MISMATCH' })],
      },
    ]);
  });

  describe('an address that a certificate merely claims', () => {
    const NOW = new Date('2025-06-01');
    const chief = { subject: 'Boss', emails: ['boss@corp.example', 'chief@corp.example'] };
    const boss = issueCertificate({ ...chief, issuer: ca });
    const renewal = issueCertificate({ ...chief, issuer: ca, notBefore: new Date('2023-01-01') });
    const later = { ...chief, notBefore: new Date('2024-01-01') };
    const pfxOf = (issued: IssuedCertificate, ...authorities: IssuedCertificate[]) =>
      plain(
        'file',
        [issued.privateKey],
        [issued, ...authorities].map(({ certificate }) => certificate),
      );
    const encryptedTo = async () =>
      (await store.encryptionCertificates('boss@corp.example', NOW)).map(({ fingerprint }) => fingerprint);
    const fingerprints = (...issued: IssuedCertificate[]) => issued.map((one) => parse(one).fingerprint);
    const withheld = (address: string) =>
      expect.objectContaining({
        code: 'NOT_TRUSTED',
        message: expect.stringMatching(
          `^${address} has .* to confirm it, import it with option user ${address}$`,
        ),
      });
    const BOTH = [withheld('boss@corp.example'), withheld('chief@corp.example')];

    it('is not taken over by a self-signed certificate; its key opens mail all the same', async () => {
      await importPlain(pfxOf(boss));
      const forged = issueCertificate(later);
      const { rows } = await importPlain(pfxOf(forged));
      expect(rows).toEqual([
        {
          name: 'file',
          outcome: 'imported',
          keys: 1,
          certificates: 1,
          skipped: expect.arrayContaining(BOTH),
        },
      ]);
      expect(await encryptedTo()).toEqual(fingerprints(boss));
      const { certificate } = await store.signingEntry('boss@corp.example', NOW);
      expect(certificate.equals(parse(boss))).toBe(true);
      expect(await store.find(byIssuer(forged))).toHaveLength(1);
      const again = await importPlain(pfxOf(forged));
      expect(again.rows).toMatchObject([{ outcome: 'present', skipped: BOTH }]);
      expect(await encryptedTo()).toEqual(fingerprints(boss));
    });

    it('is not taken over by a certificate that stands behind its own in the same import', async () => {
      const { rows } = await importPlain(pfxOf(boss), pfxOf(issueCertificate(later)));
      expect(rows.map(({ skipped }) => skipped.length)).toEqual([0, 2]);
      expect(await encryptedTo()).toEqual(fingerprints(boss));
    });

    it('is not taken over by a copy of the issuer’s name, where the issuer is known', async () => {
      await importPlain(pfxOf(boss, ca));
      const fakeCa = issueCertificate({ subject: 'CA', ca: true });
      const byName = issueCertificate({ ...later, issuerName: ca.subjectName });
      const { rows } = await importPlain(
        pfxOf(byName),
        pfxOf(issueCertificate({ ...later, issuer: fakeCa }), fakeCa),
      );
      expect(rows).toMatchObject([{ skipped: BOTH }, { skipped: BOTH }]);
      expect(await encryptedTo()).toEqual(fingerprints(boss));
    });

    it('is not taken over through an authority of the issuer’s name that comes along', async () => {
      await importPlain(pfxOf(boss));
      const fakeCa = issueCertificate({ subject: 'CA', ca: true });
      const { rows } = await importPlain(pfxOf(issueCertificate({ ...later, issuer: fakeCa }), fakeCa));
      expect(rows).toMatchObject([{ skipped: BOTH }]);
      expect(await encryptedTo()).toEqual(fingerprints(boss));
    });

    it('is not taken over by another self-signed certificate of the same name', async () => {
      const first = issueCertificate(chief);
      const { rows } = await importPlain(pfxOf(first), pfxOf(issueCertificate(later)));
      expect(rows[1]).toMatchObject({ skipped: BOTH });
      expect(await encryptedTo()).toEqual(fingerprints(first));
    });

    it.each([
      ['with its issuer', [ca]],
      ['without', []],
    ])('goes to a renewal by the same issuer, %s', async (_, authorities) => {
      const { rows } = await importPlain(pfxOf(boss), pfxOf(renewal, ...authorities), pfxOf(boss));
      expect(rows.flatMap(({ skipped }) => skipped)).toEqual([]);
      expect(await encryptedTo()).toEqual(fingerprints(renewal, boss));
    });

    it('goes to a certificate of another issuer on the same key', async () => {
      const own = issueCertificate({ ...later, key: boss.privateKey });
      const { rows } = await importPlain(pfxOf(boss), pfxOf(own));
      expect(rows.flatMap(({ skipped }) => skipped)).toEqual([]);
      expect(await encryptedTo()).toEqual(fingerprints(own, boss));
    });

    it('goes to a certificate of another issuer when the user is named, also later', async () => {
      const other = issueCertificate(later);
      await importPlain(pfxOf(boss), pfxOf(other));
      const user = 'boss@corp.example';
      const { rows } = await importPlain({ ...pfxOf(other), user });
      expect(rows).toMatchObject([{ outcome: 'imported', skipped: [] }]);
      expect(await encryptedTo()).toEqual(fingerprints(other, boss));
      expect((await importPlain(pfxOf(other))).rows).toMatchObject([
        { outcome: 'present', skipped: [withheld('chief@corp.example')] },
      ]);
    });

    it('is withheld alone: others of the certificate, which nobody has, are given', async () => {
      await importPlain(pfxOf(boss));
      const emails = ['new@corp.example', 'CHIEF@corp.example'];
      const { rows } = await importPlain(pfxOf(issueCertificate({ subject: 'New', emails })));
      expect(rows).toMatchObject([{ outcome: 'imported', skipped: [withheld('CHIEF@corp.example')] }]);
      expect(await subjects('new@corp.example')).toEqual(['CN=New']);
      expect(await subjects('chief@corp.example')).toEqual(['CN=Boss']);
    });

    it('is not given where a thousand authorities of the issuer’s name make it too much to check', async () => {
      const key = generateKey('P-256');
      const fakes = Array.from({ length: 1001 }, () => issueCertificate({ subject: 'CA', ca: true, key }));
      await store.addMany(fakes.map((fake) => ({ certificate: parse(fake), user: null })));
      await importPlain(pfxOf(boss));
      const { rows } = await importPlain(pfxOf(renewal));
      expect(rows).toMatchObject([{ outcome: 'imported', skipped: BOTH }]);
    });
  });

  it('a key whose certificate names nobody', async () => {
    const gateway = issueCertificate({ subject: 'Gateway', issuer: ca });
    await importPlain(plain('g', [gateway.privateKey], [gateway.certificate]));
    expect(await subjects(null)).toEqual(['CN=Gateway']);
    expect(await store.find(byIssuer(gateway))).toHaveLength(1);
  });

  it('not a key whose certificate is broken; the reason is the certificate’s', async () => {
    const broken = issueCertificate({
      subject: 'Broken',
      extensions: [{ oid: OID.subjectAltName, value: Uint8Array.of(0x30, 0x03, 0x02, 0x01, 0x00) }],
    });
    const { rows } = await importPlain(
      plain('b', [broken.privateKey], [broken.certificate]),
      plain('a', [alice.privateKey], [alice.certificate]),
    );
    expect(rows[0]).toMatchObject({ outcome: 'failed', keys: 0, error: { code: 'ASN1_UNEXPECTED' } });
    expect(rows[1]).toMatchObject({ outcome: 'imported' });
  });

  it('a key of more files than are written at once', async () => {
    const inputs = Array.from({ length: 120 }, (_, i) => {
      const { privateKey, certificate } = issueCertificate({ subject: `U${i}`, emails: [`u${i}@x.org`] });
      return plain(`${i}`, [privateKey], [certificate]);
    });
    const { rows, totals } = await importPlain(...inputs);
    expect(rows.map(({ name }) => name)).toEqual(inputs.map(({ name }) => name));
    expect(totals).toEqual({
      files: 120,
      imported: 120,
      present: 0,
      failed: 0,
      keys: 120,
      certificates: 120,
    });
    expect(await store.users()).toHaveLength(120);
  });
});

describe('the PFX files of vectors/', () => {
  it('go in where there is a key with its certificate and a MAC, and say why where not', async () => {
    const known = pfxRows().filter(({ password, expect }) => password !== null && expect.error === undefined);
    const inputs = known.map(({ source, path, password }) => vector(source, path, password as string));
    const { rows, totals } = await importPfx(store, inputs);
    const counts: Record<string, number> = {};
    for (const [i, row] of rows.entries()) {
      const { expect: expected, mac, path } = known[i] as (typeof known)[number];
      if (row.outcome === 'failed') {
        const code = row.error?.code as string;
        counts[code] = (counts[code] ?? 0) + 1;
      } else {
        expect(row.keys + row.skipped.length, row.name).toBe(expected.keys);
      }
      const refused = mac === null || path === 'asn1/test_key_pbmac1_bcjsse.pfx'; // PBMAC1 with too long a key
      const wanted = !refused && expected.keys === 1 && expected.certs === 1;
      if (wanted && !expected.keyAlgorithms?.includes('dsa'))
        expect(row.outcome, row.name).not.toBe('failed');
    }
    console.log(`${totals.files} PFX files: ${totals.imported} imported, ${totals.present} present;`, counts);
    expect(totals.imported + totals.present).toBeGreaterThan(500);
    expect(Object.keys(counts).sort()).toEqual([
      'ASN1_BAD_VALUE',
      'KEY_MISMATCH',
      'PFX_NO_KEY',
      'PFX_NO_MAC',
      'UNSUPPORTED_ALGORITHM',
    ]);
    const unassigned = (await store.history(null)).filter(({ hasKey }) => !hasKey);
    expect(unassigned).toEqual([]);
  });
});

it('wipes the keys that it read', async () => {
  const parsed = vi.spyOn(PrivateKey, 'parse');
  try {
    await importPfx(store, [ALICE, { ...BOB, password: 'x' }], { workers: 0 });
    expect(parsed.mock.results).toHaveLength(2);
    for (const { value } of parsed.mock.results)
      expect(() => (value as PrivateKey).toPkcs8()).toThrow('wiped');
  } finally {
    parsed.mockRestore();
  }
});
