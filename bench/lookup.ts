/**
 * History lookup: in a key store of 1,000 users with 10 certificates each, the key for a mail that names three
 * recipients, of which the store knows one. No rival has such a store.
 */
import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Certificate, KeyStore, RecipientIdentifier } from '../src/index.js';
import { assertResult } from './implementation.js';
import type { Operation } from './measure.js';
import { seededRandom } from './random.js';

export const USERS = 1000;
export const HISTORY = 10;
/** Different mails, asked for in turn, so that no answer is simply remembered. */
export const MAILS = 1000;

type Mailseal = typeof import('../src/index.js');

/** Makes certificates for P-256 keys by filling in a template; their signatures are wrong, which no store checks. */
class CertificateMaker {
  readonly #template: Buffer;
  readonly #pointAt: number;
  readonly #keyIdentifierAt: number;
  readonly #serialAt: number;

  constructor(mailseal: Mailseal, folder: string) {
    const serial = '7f6e5d4c3b2a1908';
    const command = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=User\
 -set_serial 0x${serial} -days 30 -outform DER -keyout template.key -out template.der`;
    execFileSync('openssl', command.split(' '), { cwd: folder, stdio: 'ignore' });
    this.#template = readFileSync(join(folder, 'template.der'));
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
export function rotate<T>(items: readonly T[]): () => T {
  let at = 0;
  return () => {
    const item = items[at] as T;
    at = (at + 1) % items.length;
    return item;
  };
}

/** A mail's recipients, and the public key identifier of the one that is known. */
interface LookupMail {
  recipients: RecipientIdentifier[];
  keyIdentifier: Uint8Array;
}

/** Leaves no entry behind but those that the mails name: a full heap would slow down what is timed. */
async function fill(mailseal: Mailseal, store: KeyStore, maker: CertificateMaker): Promise<LookupMail[]> {
  const random = seededRandom(USERS);
  const entries = Array.from({ length: USERS * HISTORY }, (_, index) => {
    const made = maker.make(index);
    return {
      user: `user${index % USERS}@example.com`,
      certificate: mailseal.Certificate.parse(made.certificate),
      privateKey: mailseal.PrivateKey.parse(made.privateKey),
    };
  });
  const added = await store.addMany(entries);
  assertResult(added.every(({ outcome }) => outcome === 'added'));

  const identify = ({ issuer, serialNumber }: Certificate): RecipientIdentifier => {
    return { type: 'issuerAndSerialNumber', issuer, serialNumber };
  };
  const stranger = (serial: number): RecipientIdentifier => {
    return identify(mailseal.Certificate.parse(maker.make(serial).certificate));
  };
  return Array.from({ length: MAILS }, (_, index) => {
    const known = entries[Math.floor(random() * entries.length)]?.certificate;
    if (known === undefined) throw new Error('no certificate');
    return {
      recipients: [stranger(0x1000_0000 + 2 * index), identify(known), stranger(0x1000_0001 + 2 * index)],
      keyIdentifier: known.publicKey.keyIdentifier,
    };
  });
}

/** The package is a parameter, so that this file loads nothing of it. */
export async function mailsealLookup(mailseal: Mailseal, folder: string): Promise<Operation> {
  const store = await mailseal.openKeyStore(`sqlite:${join(folder, 'keys.db')}`, {
    sealKey: randomBytes(32),
  });
  const mails = await fill(mailseal, store, new CertificateMaker(mailseal, folder));
  for (const { recipients, keyIdentifier } of mails.slice(0, 10)) {
    const found = await store.find(recipients);
    const key = found[0]?.privateKey.publicKey.keyIdentifier;
    assertResult(found.length === 1 && found[0]?.recipient === 1);
    assertResult(key !== undefined && Buffer.compare(key, keyIdentifier) === 0);
  }
  const nextMail = rotate(mails);
  return () => store.find(nextMail().recipients);
}
