/**
 * The lookup of private keys for the recipients of a message. {@link KeyFinder} is what decryption takes: the key store is
 * one, {@link keyRing} makes one from opened PFXs. What a message says of its recipients is read in recipientinfo.ts.
 */
import { toHex } from '../bytes.js';
import { readable } from '../errors.js';
import { Certificate } from '../x509/certificate.js';
import { type AnyPrivateKey, assertKeyHandle, PrivateKey } from '../x509/keys.js';
import { identifies } from './identifiers.js';
import type { RecipientIdentifier } from './recipientinfo.js';

export type { RecipientIdentifier } from './recipientinfo.js';

/** A private key that may open a message for one of its recipients. */
export interface KeyCandidate<Key extends AnyPrivateKey = AnyPrivateKey> {
  /** Index in the list that {@link KeyFinder.find} was asked for. */
  readonly recipient: number;
  readonly privateKey: Key;
  readonly certificate?: Certificate;
  /** Why this key, in words. */
  readonly reason: string;
  /** Whoever asked for the key calls this when done: a finder that unsealed it for the purpose wipes it. */
  readonly release?: () => void;
}

export interface KeyFinder {
  /** Keys for the recipients of one message, the likeliest first; an empty list if there is none. */
  find(recipients: readonly RecipientIdentifier[]): Promise<readonly KeyCandidate[]>;
}

interface RingEntry {
  readonly privateKey: AnyPrivateKey;
  readonly certificate?: Certificate;
}

/**
 * A KeyFinder over keys in memory, such as the contents of opened PFX files, and over handles of keys elsewhere. Keys are
 * found by identifier. Only a key that came without a certificate, which no issuer and serial number can name, is offered on
 * trial, and only when the identifiers lead to no other.
 * @throws TypeError for contents that are none
 */
export function keyRing(...contents: readonly { readonly entries: readonly RingEntry[] }[]): KeyFinder {
  const entries = contents.flatMap((content) => {
    if (!Array.isArray(content?.entries))
      throw new TypeError('each of contents must have an array of entries');
    return content.entries;
  });
  for (const entry of entries) assertEntry(entry);
  let index: RingIndex | undefined;
  return {
    find(recipients) {
      index ??= indexEntries(entries);
      const found = matchingCandidates(recipients, index);
      return Promise.resolve(found.length > 0 ? found : trialCandidates(recipients, entries));
    },
  };
}

function assertEntry(entry: RingEntry): void {
  if (!(entry?.privateKey instanceof PrivateKey)) assertKeyHandle(entry?.privateKey);
  const { certificate } = entry;
  if (certificate !== undefined && !(certificate instanceof Certificate)) {
    throw new TypeError('the certificate of an entry must be a Certificate');
  }
}

/** Entries by the hexadecimal of their serial number and of their key identifiers: a mail can have many recipients. */
interface RingIndex {
  readonly bySerialNumber: ReadonlyMap<string, readonly RingEntry[]>;
  readonly byKeyIdentifier: ReadonlyMap<string, readonly RingEntry[]>;
}

function indexEntries(entries: readonly RingEntry[]): RingIndex {
  const bySerialNumber = new Map<string, RingEntry[]>();
  const byKeyIdentifier = new Map<string, RingEntry[]>();
  const put = (map: Map<string, RingEntry[]>, key: Uint8Array, entry: RingEntry) => {
    const list = map.get(toHex(key));
    if (list === undefined) map.set(toHex(key), [entry]);
    else if (!list.includes(entry)) list.push(entry);
  };
  for (const entry of entries) {
    const { certificate, privateKey } = entry;
    put(byKeyIdentifier, privateKey.publicKey.keyIdentifier, entry);
    if (certificate === undefined) continue;
    put(bySerialNumber, certificate.serialNumber, entry);
    const extension = readable(() => certificate.subjectKeyIdentifier, undefined);
    if (extension !== undefined) put(byKeyIdentifier, extension, entry);
  }
  return { bySerialNumber, byKeyIdentifier };
}

function matchingCandidates(recipients: readonly RecipientIdentifier[], index: RingIndex): KeyCandidate[] {
  return recipients.flatMap((identifier, recipient) => {
    if (identifier.type === 'subjectKeyIdentifier') {
      const entries = index.byKeyIdentifier.get(toHex(identifier.keyIdentifier)) ?? [];
      return entries.map((entry) => candidate(recipient, entry, 'key identifier'));
    }
    const entries = index.bySerialNumber.get(toHex(identifier.serialNumber)) ?? [];
    return entries
      .filter(({ certificate }) => certificate !== undefined && identifies(identifier, certificate))
      .map((entry) => candidate(recipient, entry, 'issuer and serial number'));
  });
}

/**
 * Most candidates on trial: a message can have a hundred thousand recipients, and a ring many keys. Far more than are
 * tried, since of these the keys of another size than the message's are left out, which only decryption knows.
 */
const MAX_TRIAL_CANDIDATES = 1024;

function trialCandidates(
  recipients: readonly RecipientIdentifier[],
  entries: readonly RingEntry[],
): KeyCandidate[] {
  const keys = entries.filter((entry) => entry.certificate === undefined);
  const found: KeyCandidate[] = [];
  for (const [recipient, { type }] of recipients.entries()) {
    if (type !== 'issuerAndSerialNumber') continue;
    const room = MAX_TRIAL_CANDIDATES - found.length;
    if (room === 0) break;
    for (const entry of keys.slice(0, room)) {
      found.push(candidate(recipient, entry, 'on trial: a key without a certificate'));
    }
  }
  return found;
}

function candidate(recipient: number, entry: RingEntry, reason: string): KeyCandidate {
  const { privateKey, certificate } = entry;
  return { recipient, privateKey, ...(certificate && { certificate }), reason };
}
