/**
 * The key store: each user's one signing certificate in use and whole history of encryption certificates, so that mail
 * to a certificate that has since been replaced still opens. A mail's keys are found by its recipient identifiers in
 * an index; no key is ever tried. Private keys lie sealed (seal.ts) and are opened one by one, as they are found.
 *
 * Whose a certificate is: the user that it was added for, otherwise each mail address in it. One without either
 * belongs to nobody; mail to it opens all the same. Users are mail addresses, compared without regard to case.
 * The store believes what it is given: a certificate that was added for an address is what mail to the address is encrypted
 * to, and who can write to the database controls both. Two things stand against that, where they are asked for: paths to
 * trust anchors ({@link EncryptionOptions}), and addresses that are withheld from certificates that merely claim them
 * ({@link StoreEntry.unconfirmed}).
 * Used by import, smime (as a KeyFinder) and the command line.
 */
import type { KnownCapabilities } from '../cms/choice.js';
import type { KeyCandidate, KeyFinder, RecipientIdentifier } from '../cms/recipients.js';
import type { SmimeCapability } from '../cms/smimeattributes.js';
import { MailsealError } from '../errors.js';
import type { Certificate } from '../x509/certificate.js';
import type { PrivateKey } from '../x509/keys.js';
import type { LogEntry } from './joblog.js';
import type { StoreRecord } from './recorder.js';
import { checkSealKey, type SealerState } from './seal.js';

export { generateSealKey, readSealKey, SEAL_KEY_LENGTH } from './seal.js';

export interface StoreEntry {
  certificate: Certificate;
  /** Without one it is a correspondent's certificate, or an authority's. Not wiped: it stays the caller's. */
  privateKey?: PrivateKey;
  /** A mail address. Default: the addresses in the certificate. Null: nobody's, whatever it says. */
  user?: string | null;
  /**
   * Nobody has confirmed whose it is. Addresses that have certificates already, none of them by the same issuer or on
   * the same key, are withheld from it: it is kept, and found by recipient identifiers, but is not theirs. The order
   * decides: what is there, or stands earlier in the list, was first. For certificates that come with their key.
   */
  unconfirmed?: boolean;
  /**
   * What its users are to use it for, of what the certificate allows: mail to it opens whatever this says. Default: all.
   * Added again for another purpose, it serves for both; without one, for all.
   */
  purpose?: KeyPurpose;
  friendlyName?: string;
}

/** What a certificate is meant for where a user has one to sign with and another for mail to be encrypted to. */
export const PURPOSES = ['signing', 'encryption'] as const;
export type KeyPurpose = (typeof PURPOSES)[number];

/** `added` if anything of the entry was new: certificate, key or owner. */
export type AddOutcome = 'added' | 'present';
export type AddResult = RecordResult | { outcome: 'failed'; error: MailsealError };

export interface UserSummary {
  /** Null for the keys that are nobody's. */
  address: string | null;
  certificates: number;
  /** Distinct private keys. */
  keys: number;
}

export interface StoredCertificate {
  certificate: Certificate;
  friendlyName?: string;
  hasKey: boolean;
  /** By key type, keyUsage, extKeyUsage and, in a user's history, purpose; validity is another question. */
  maySign: boolean;
  mayEncrypt: boolean;
  /** Addresses of its owners. */
  users: readonly string[];
}

export interface Match extends StoredCertificate {
  /** Index into the list that was asked for. */
  recipient: number;
  /** Why it matches, in words. */
  reason: string;
}

export interface SigningEntry {
  privateKey: PrivateKey;
  certificate: Certificate;
  chain: readonly Certificate[];
}

/** A private key with its certificate. */
export interface KeyEntry {
  privateKey: PrivateKey;
  certificate: Certificate;
  friendlyName?: string;
}

/** What a signer says that they read: of a verdict of `verify`. */
export interface SignerStatement {
  readonly valid: boolean;
  readonly weak: boolean;
  /** Of the certificate: whom it is about. */
  readonly emails: readonly string[];
  readonly signingTime?: Date;
  readonly capabilities?: readonly SmimeCapability[];
}

export interface EncryptionOptions {
  /**
   * Trust anchors: only certificates with a valid path to one of them count, through authorities of the store, without
   * SHA-1. Whose a certificate is remains the store's word.
   */
  trust?: readonly Certificate[];
}

export interface Removed {
  certificates: number;
  keys: number;
}

export interface KeyStore extends KeyFinder {
  /** @throws MailsealError KEY_MISMATCH, USAGE (user is no mail address), errors of the certificate's fields */
  add(entry: StoreEntry): Promise<AddOutcome>;
  /** Many entries, in few transactions. One result for each: a bad entry does not keep the others out. */
  addMany(entries: readonly StoreEntry[]): Promise<AddResult[]>;

  /** By address; the keys that are nobody's last. */
  users(): Promise<UserSummary[]>;
  /**
   * All certificates of a user, newest first; of null, those that have a key and no owner.
   * @throws MailsealError USER_UNKNOWN
   */
  history(user: string | null): Promise<StoredCertificate[]>;
  /**
   * Those of {@link history} that have a key, with it: for an export, since it unseals them all. Certificates on one key
   * share it. The caller wipes the keys.
   * @throws MailsealError USER_UNKNOWN; STORE_INVALID if a key can't be unsealed, which names its certificate
   */
  entries(user: string | null): Promise<KeyEntry[]>;

  /**
   * The keys that may open a mail for these recipients, with certificate and reason, in the order in which to try them:
   * each key once before any is tried for another recipient; of a recipient the likeliest first, four at most. 16 keys
   * and 256 candidates at most; empty if there is none. One query answers for all recipients. Candidates of one key
   * share it: wipe it when done with all.
   * @throws MailsealError STORE_INVALID if there are matches, and none has a key that can be unsealed and is its own
   */
  find(recipients: readonly RecipientIdentifier[]): Promise<readonly KeyCandidate<PrivateKey>[]>;
  /** What {@link find} goes by, without unsealing: every certificate that matches, those without a key too. */
  lookup(recipients: readonly RecipientIdentifier[]): Promise<Match[]>;

  /**
   * The key and certificate that a user signs with: valid now, may sign, the newest.
   * @throws MailsealError USER_UNKNOWN, KEY_UNSUITABLE
   */
  signingEntry(user: string, now: Date): Promise<SigningEntry>;
  /**
   * The certificates that mail to an address can be encrypted to: valid now, newest first; at least one. Without
   * `trust` the store believes what it was given.
   * @throws MailsealError USER_UNKNOWN, KEY_UNSUITABLE, NOT_TRUSTED
   */
  encryptionCertificates(address: string, now: Date, options?: EncryptionOptions): Promise<Certificate[]>;
  /**
   * Remembers what a signer says that they read (RFC 8551 2.7), for the users whose addresses are in their certificate. Only
   * of a signer who is valid, whose signature is not weak, and who signed later than what is remembered, but not more than a
   * day after `now`: sending an old message again changes nothing. Verify with `now` as it is, not as of another day.
   * @param now default: now
   * @returns the addresses of whom something new is remembered
   */
  rememberCapabilities(signer: SignerStatement, now?: Date): Promise<string[]>;
  /**
   * What a user last said that they read, for `encrypt`; undefined if that is not known.
   * @throws MailsealError USAGE if it is no mail address
   */
  capabilities(address: string): Promise<KnownCapabilities | undefined>;
  /**
   * The authorities between a certificate and its root, as far as they are here, found by name and key identifier;
   * roots are left out, since a receiver trusts its own only.
   */
  chain(certificate: Certificate): Promise<Certificate[]>;

  /**
   * Removes a user, with the certificates that are nobody else's, or one certificate (by SHA-256 fingerprint); and the
   * keys that no certificate is left for. Zeros if there is no such certificate.
   * @throws MailsealError USER_UNKNOWN
   */
  remove(target: { user: string } | { certificate: Uint8Array }): Promise<Removed>;
  close(): Promise<void>;

  /** What `importPfx` works with. */
  readonly bulk: BulkWriter;
}

/** What came of one record. */
export interface RecordResult {
  outcome: AddOutcome;
  /** Addresses that it claims and was not given; not there if there are none. */
  withheld?: readonly string[];
}

/** One file of an import. */
export interface BulkFile {
  /** What the log knows it by: see import/identity.ts. */
  readonly key: Uint8Array;
  readonly records: readonly StoreRecord[];
}

/** The store as `importPfx` uses it: records are made in other threads, and what was done is logged. */
export interface BulkWriter {
  /** For a Recorder in any thread. Keep it as you keep the sealing key. */
  readonly sealerState: SealerState;
  /** What the log says of files, in their order; undefined for those that it does not know. */
  logged(files: readonly Uint8Array[]): Promise<(LogEntry | undefined)[]>;
  /**
   * Writes files in their order, in one transaction: the records of each, and what `log` makes of their results. The same
   * comes out however files are spread over calls.
   */
  writeFiles<F extends BulkFile>(
    files: readonly F[],
    log: (file: F, results: readonly RecordResult[]) => Omit<LogEntry, 'file'>,
  ): Promise<void>;
  /** An import has come to its end: what the log keeps only to take it up again goes. */
  finish(): Promise<void>;
}

export interface OpenOptions {
  /** 32 octets: readSealKey reads a file's content. */
  sealKey: Uint8Array;
  /** Make the store if it is not there. Default true; readers pass false, so that a mistyped path is an error. */
  create?: boolean;
  /**
   * Work on a copy, which is gone when it is closed: to see what would come of something. The store itself is only read;
   * where there is none, the copy is empty if `create` allows it.
   */
  scratch?: boolean;
}

/**
 * @param url `sqlite:PATH`, or `sqlite::memory:`
 * @throws MailsealError USAGE (the URL), SEAL_KEY_INVALID, SEAL_KEY_WRONG, STORE_INVALID, IO
 */
export async function openKeyStore(url: string, options: OpenOptions): Promise<KeyStore> {
  if (typeof url !== 'string') throw new TypeError('url must be a string');
  checkSealKey(options.sealKey); // before a file is made
  const path = /^sqlite:(?!\/\/(?!\/))(.+)$/s.exec(url)?.[1];
  if (path === undefined) {
    // The rest of an URL may hold a password.
    const scheme = /^[a-z][a-z0-9+.-]*:(?:\/\/)?/i.exec(url)?.[0] ?? 'no scheme';
    throw new MailsealError('USAGE', `a key store is named sqlite:PATH; found ${scheme}`);
  }
  // Loaded when asked for: the driver is a native addon, and most of the package works without it.
  const { openSqlite } = await import('./sqlite.js');
  return openSqlite(path, options);
}
