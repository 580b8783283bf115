/**
 * RecipientInfo (RFC 5652 6.2) and the lookup of keys for it. KeyTransRecipientInfo is read in full; of key agreement,
 * key-encryption keys, passwords and other kinds what names the recipient, so that an error can say whom a message is
 * for. {@link KeyFinder} is what decryption takes: the key store is one, {@link keyRing} makes one from opened PFXs.
 */
import { type AlgorithmIdentifier, readAlgorithmIdentifier } from '../asn1/algorithm.js';
import { describeOid } from '../asn1/oids.js';
import { contextConstructed, Tag } from '../asn1/tags.js';
import type { DerNode } from '../asn1/tape.js';
import { readOctets, readOid, readSmallInteger } from '../asn1/values.js';
import { toHex } from '../bytes.js';
import type { Certificate } from '../x509/certificate.js';
import type { PrivateKey } from '../x509/keys.js';

import {
  type CertificateIdentifier,
  describeIdentifier,
  identifies,
  readable,
  readIdentifier,
  shortHex,
} from './identifiers.js';

export type RecipientIdentifier = CertificateIdentifier;

export type RecipientInfo =
  | {
      readonly type: 'keyTransport';
      /** One. */
      readonly identifiers: readonly [RecipientIdentifier];
      readonly algorithm: AlgorithmIdentifier;
      readonly encryptedKey: Uint8Array;
      readonly node: DerNode;
    }
  | {
      readonly type: 'keyAgreement';
      /** One for each encrypted key. */
      readonly identifiers: readonly RecipientIdentifier[];
      readonly algorithm: AlgorithmIdentifier;
      readonly node: DerNode;
    }
  | { readonly type: 'keyEncryptionKey'; readonly keyIdentifier: Uint8Array; readonly node: DerNode }
  | { readonly type: 'password'; readonly node: DerNode }
  | { readonly type: 'other'; readonly oid: string; readonly node: DerNode };

/** RecipientInfos ::= SET SIZE (1..MAX) OF RecipientInfo. @throws MailsealError ASN1_*, CMS_MALFORMED */
export function readRecipientInfos(node: DerNode): RecipientInfo[] {
  const infos = node.expect(Tag.SET, 'recipientInfos').children.map(readRecipientInfo);
  if (infos.length === 0) throw node.fail('CMS_MALFORMED', 'no recipient at all');
  return infos;
}

function readRecipientInfo(node: DerNode): RecipientInfo {
  if (node.is(Tag.SEQUENCE)) return readKeyTransport(node);
  if (node.is(contextConstructed(1))) return readKeyAgreement(node);
  if (node.is(contextConstructed(2))) return readKeyEncryptionKey(node);
  if (node.is(contextConstructed(3))) return { type: 'password', node };
  const other = node.reader(contextConstructed(4), 'RecipientInfo');
  return { type: 'other', oid: readOid(other.next(Tag.OID, 'oriType')), node };
}

/** KeyTransRecipientInfo (6.2.1). The version only repeats the form of the identifier, and peers get it wrong. */
function readKeyTransport(node: DerNode): RecipientInfo {
  const reader = node.reader(Tag.SEQUENCE, 'KeyTransRecipientInfo');
  readSmallInteger(reader.next(Tag.INTEGER, 'version'), 'version');
  const identifier = readIdentifier(reader.any('rid'), 'RecipientIdentifier');
  const algorithm = readAlgorithmIdentifier(
    reader.next(Tag.SEQUENCE, 'keyEncryptionAlgorithm'),
    'keyEncryptionAlgorithm',
  );
  const encryptedKey = readOctets(reader.next(Tag.OCTET_STRING, 'encryptedKey'));
  reader.end();
  return { type: 'keyTransport', identifiers: [identifier], algorithm, encryptedKey, node };
}

/** KeyAgreeRecipientInfo (6.2.2). */
function readKeyAgreement(node: DerNode): RecipientInfo {
  const reader = node.reader(contextConstructed(1), 'KeyAgreeRecipientInfo');
  readSmallInteger(reader.next(Tag.INTEGER, 'version'), 'version');
  reader.next(contextConstructed(0), 'originator');
  reader.optional(contextConstructed(1));
  const algorithm = readAlgorithmIdentifier(
    reader.next(Tag.SEQUENCE, 'keyEncryptionAlgorithm'),
    'keyEncryptionAlgorithm',
  );
  const keys = reader.next(Tag.SEQUENCE, 'recipientEncryptedKeys');
  reader.end();
  const identifiers = keys.children.map((key) => {
    const fields = key.reader(Tag.SEQUENCE, 'RecipientEncryptedKey');
    const identifier = readKeyAgreementIdentifier(fields.any('rid'));
    fields.next(Tag.OCTET_STRING, 'encryptedKey');
    fields.end();
    return identifier;
  });
  return { type: 'keyAgreement', identifiers, algorithm, node };
}

/** KeyAgreeRecipientIdentifier: [0] is a RecipientKeyIdentifier, whose date and other attribute find no key. */
function readKeyAgreementIdentifier(node: DerNode): RecipientIdentifier {
  if (!node.is(contextConstructed(0))) return readIdentifier(node, 'KeyAgreeRecipientIdentifier');
  const reader = node.reader(contextConstructed(0), 'RecipientKeyIdentifier');
  const keyIdentifier = readOctets(reader.next(Tag.OCTET_STRING, 'subjectKeyIdentifier'));
  return { type: 'subjectKeyIdentifier', keyIdentifier };
}

/** KEKRecipientInfo (6.2.3). */
function readKeyEncryptionKey(node: DerNode): RecipientInfo {
  const reader = node.reader(contextConstructed(2), 'KEKRecipientInfo');
  readSmallInteger(reader.next(Tag.INTEGER, 'version'), 'version');
  const kekid = reader.next(Tag.SEQUENCE, 'kekid').reader(Tag.SEQUENCE, 'KEKIdentifier');
  const keyIdentifier = readOctets(kekid.next(Tag.OCTET_STRING, 'keyIdentifier'));
  return { type: 'keyEncryptionKey', keyIdentifier, node };
}

/** One line for a recipient, fit for a terminal. */
export function describeRecipient(identifier: RecipientIdentifier): string {
  return describeIdentifier(identifier);
}

/** A line for everyone that a RecipientInfo is for. */
export function describeRecipientInfo(info: RecipientInfo): string[] {
  switch (info.type) {
    case 'keyTransport':
    case 'keyAgreement':
      return info.identifiers.map(describeRecipient);
    case 'keyEncryptionKey':
      return [`shared key ${shortHex(info.keyIdentifier)}`];
    case 'password':
      return ['a password'];
    case 'other':
      return [`a recipient of type ${describeOid(info.oid)}`];
  }
}

/** A private key that may open a message for one of its recipients. */
export interface KeyCandidate {
  /** Index in the list that {@link KeyFinder.find} was asked for. */
  readonly recipient: number;
  readonly privateKey: PrivateKey;
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
  readonly privateKey: PrivateKey;
  readonly certificate?: Certificate;
}

/**
 * A KeyFinder over keys in memory, such as the contents of opened PFX files. Keys are found by identifier. Only a key
 * that came without a certificate, which no issuer and serial number can name, is offered on trial, and only when the
 * identifiers lead to no other.
 */
export function keyRing(...contents: readonly { readonly entries: readonly RingEntry[] }[]): KeyFinder {
  const entries = contents.flatMap((content) => content.entries);
  let index: RingIndex | undefined;
  return {
    find(recipients) {
      index ??= indexEntries(entries);
      const found = matchingCandidates(recipients, index);
      return Promise.resolve(found.length > 0 ? found : trialCandidates(recipients, entries));
    },
  };
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
