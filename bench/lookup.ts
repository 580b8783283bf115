/**
 * History lookup: in a key store of 1,000 users with 10 certificates each, the key for a mail that names three
 * recipients, of which the store knows one. No rival has such a store; the bare limit is one query by primary key on
 * a table of as many rows in SQLite.
 */
import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { RecipientIdentifier } from '../src/index.js';
import { seededRandom } from './inputs.js';
import { BARE, MAILSEAL, mailseal } from './mailseal.js';
import type { Case, Group } from './measure.js';
import { assertResult, type Peers } from './subject.js';

const USERS = 1000;
const HISTORY = 10;
/** Different mails, asked for in turn, so that no answer is simply remembered. */
const MAILS = 1000;
const JOB = 'lookup';

/** Makes certificates for P-256 keys by filling in a template; their signatures are wrong, which no store checks. */
class CertificateMaker {
  readonly #template: Buffer;
  readonly #pointAt: number;
  readonly #keyIdentifierAt: number;
  readonly #serialAt: number;

  constructor(folder: string) {
    const file = (name: string): string => join(folder, name);
    const serial = '7f6e5d4c3b2a1908';
    const key = [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      file('template.key'),
    ];
    const options = ['-subj', '/CN=User', '-set_serial', `0x${serial}`, '-outform', 'DER', '-days', '30'];
    execFileSync('openssl', ['req', '-x509', ...key, ...options, '-out', file('template.der')], {
      stdio: 'ignore',
    });
    this.#template = readFileSync(file('template.der'));
    const { publicKey } = mailseal.Certificate.parse(this.#template);
    this.#pointAt = this.#template.indexOf(publicKey.bits);
    this.#keyIdentifierAt = this.#template.indexOf(publicKey.keyIdentifier);
    this.#serialAt = this.#template.indexOf(Buffer.from(serial, 'hex'));
  }

  make(serial: number): { privateKey: Uint8Array; certificate: Uint8Array } {
    const { privateKey, publicKey } = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      privateKeyEncoding: { format: 'der', type: 'pkcs8' },
      publicKeyEncoding: { format: 'der', type: 'spki' },
    });
    const point = publicKey.subarray(-65);
    const certificate = Buffer.from(this.#template);
    certificate.set(point, this.#pointAt);
    certificate.set(createHash('sha1').update(point).digest(), this.#keyIdentifierAt);
    certificate.writeUInt32BE(serial, this.#serialAt + 4);
    return { privateKey, certificate };
  }
}

/** Runs over a list again and again. */
function rotate<T>(items: readonly T[]): () => T {
  let at = 0;
  return () => {
    const item = items[at] as T;
    at = (at + 1) % items.length;
    return item;
  };
}

export async function lookupGroups({ inputs: { folder } }: Peers): Promise<Group[]> {
  const maker = new CertificateMaker(folder);
  const random = seededRandom(USERS);
  const store = await mailseal.openKeyStore(`sqlite:${join(folder, 'keys.db')}`, {
    sealKey: randomBytes(32),
  });
  const entries = Array.from({ length: USERS * HISTORY }, (_, index) => {
    const made = maker.make(index);
    return {
      user: `user${index % USERS}@example.com`,
      certificate: mailseal.Certificate.parse(made.certificate),
      privateKey: mailseal.PrivateKey.parse(made.privateKey),
    };
  });
  const added = await store.addMany(entries);
  assertResult(
    added.every(({ outcome }) => outcome === 'added'),
    JOB,
    MAILSEAL.impl,
  );

  const identify = (serial: number): RecipientIdentifier => {
    const { issuer, serialNumber } = mailseal.Certificate.parse(maker.make(serial).certificate);
    return { type: 'issuerAndSerialNumber', issuer, serialNumber };
  };
  const mails = Array.from({ length: MAILS }, (_, index) => {
    const known = entries[Math.floor(random() * entries.length)]?.certificate;
    if (known === undefined) throw new Error('no certificate');
    const { issuer, serialNumber } = known;
    const recipients: RecipientIdentifier[] = [
      identify(0x1000_0000 + 2 * index),
      { type: 'issuerAndSerialNumber', issuer, serialNumber },
      identify(0x1000_0001 + 2 * index),
    ];
    return { recipients, keyIdentifier: known.publicKey.keyIdentifier };
  });
  for (const { recipients, keyIdentifier } of mails.slice(0, 10)) {
    const found = await store.find(recipients);
    const right = found.length === 1 && found[0]?.recipient === 1;
    const key = found[0]?.privateKey.publicKey.keyIdentifier;
    assertResult(right && key !== undefined && Buffer.compare(key, keyIdentifier) === 0, JOB, MAILSEAL.impl);
  }
  const nextMail = rotate(mails);
  return [[{ job: JOB, ...MAILSEAL, run: () => store.find(nextMail().recipients) }, bareCase(folder)]];
}

/** One row by a 20-octet primary key, with as many octets beside it as a sealed P-256 key has. */
function bareCase(folder: string): Case {
  const database = new Database(join(folder, 'bare.db'));
  database.exec('CREATE TABLE keys (id BLOB PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID');
  const insert = database.prepare('INSERT INTO keys VALUES (?, ?)');
  const ids = Array.from({ length: USERS * HISTORY }, () => randomBytes(20));
  database.transaction(() => {
    for (const id of ids) insert.run(id, randomBytes(170));
  })();
  const select = database.prepare('SELECT sealed FROM keys WHERE id = ?');
  const nextId = rotate(ids.slice(0, MAILS));
  const version = `sqlite ${database.prepare('SELECT sqlite_version()').pluck().get()}`;
  return { job: JOB, impl: BARE.impl, version, run: () => select.get(nextId()) };
}
