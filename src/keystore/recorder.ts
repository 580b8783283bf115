/**
 * Makes of an entry what the store writes: plain data, the private key sealed. It needs no database, so that an import
 * does it in worker threads, from which no key comes in the clear.
 * Used by the store for what is added, and by the threads of an import.
 */
import { assertOneOf, wipe } from '../bytes.js';
import { MailsealError } from '../errors.js';
import { Certificate } from '../x509/certificate.js';
import type { PrivateKey } from '../x509/keys.js';
import { type IndexEntry, mayEncrypt, maySign, recordOf, Use, type User, userOf } from './record.js';
import type { CertificateTable } from './schema.js';
import { Sealer, type SealerState } from './seal.js';
import { type KeyPurpose, PURPOSES, type StoreEntry } from './store.js';

/** One entry, ready to be written. Structured clone takes it to another thread. */
export interface StoreRecord {
  readonly certificate: CertificateTable;
  readonly identifiers: readonly IndexEntry[];
  readonly users: readonly User[];
  /** Bits of {@link Use}. */
  readonly uses: number;
  /** The users have to be confirmed: see claims.ts. */
  readonly unconfirmed: boolean;
  readonly sealed?: Uint8Array;
}

const USES: Readonly<Record<KeyPurpose, number>> = { signing: Use.SIGNING, encryption: Use.ENCRYPTION };

export class Recorder {
  readonly #sealer: Sealer;
  /** A key that has several certificates is sealed once. */
  readonly #sealed = new WeakMap<PrivateKey, Uint8Array>();

  constructor(state: SealerState) {
    this.#sealer = new Sealer(state);
  }

  /** @throws TypeError; MailsealError KEY_MISMATCH, USAGE (user is no mail address), errors of the certificate's fields */
  record({ certificate, privateKey, user, purpose, unconfirmed, friendlyName }: StoreEntry): StoreRecord {
    if (!(certificate instanceof Certificate)) throw new TypeError('certificate must be a Certificate');
    if (privateKey !== undefined && !privateKey.publicKey.equals(certificate.publicKey)) {
      const subject = certificate.subject.toString();
      const message = `the private key does not belong to the certificate of ${subject}`;
      throw new MailsealError('KEY_MISMATCH', message);
    }
    if (purpose !== undefined) assertOneOf(purpose, PURPOSES, 'purpose');
    const uses = purpose === undefined ? Use.ANY : USES[purpose];
    const record = recordOf(certificate);
    const addresses = user === undefined ? certificate.emails : user === null ? [] : [user];
    const users = new Map<string, User>();
    for (const one of addresses.map(userOf)) if (!users.has(one.lookup)) users.set(one.lookup, one);
    return {
      users: [...users.values()],
      uses,
      unconfirmed: unconfirmed === true,
      certificate: {
        fingerprint: record.fingerprint,
        der: record.der,
        subject: record.subject,
        subject_hash: record.subjectHash,
        not_before: record.notBefore,
        not_after: record.notAfter,
        may_sign: Number(record.maySign),
        may_encrypt: Number(record.mayEncrypt),
        is_ca: Number(record.isCa),
        spki_hash: record.spkiHash,
        friendly_name: friendlyName ?? null,
      },
      identifiers: record.index,
      ...(privateKey && { sealed: this.#seal(privateKey, record.spkiHash) }),
    };
  }

  #seal(privateKey: PrivateKey, spkiHash: Uint8Array): Uint8Array {
    let sealed = this.#sealed.get(privateKey);
    if (sealed === undefined) {
      const pkcs8 = privateKey.toPkcs8();
      try {
        sealed = this.#sealer.seal(pkcs8, spkiHash);
      } finally {
        wipe(pkcs8);
      }
      this.#sealed.set(privateKey, sealed);
    }
    return sealed;
  }
}

/** Whether a certificate can serve a purpose at all. */
export function serves(certificate: Certificate, purpose: KeyPurpose): boolean {
  return purpose === 'signing' ? maySign(certificate) : mayEncrypt(certificate);
}
