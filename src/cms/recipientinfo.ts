/**
 * RecipientInfo (RFC 5652 6.2), read: key transport, key agreement, key-encryption keys, passwords, key encapsulation
 * (RFC 9629); of other kinds the type only, so that an error can say whom a message is for. What a recipient's algorithms are is left to those who
 * open it, so that one whose algorithm is not built keeps nobody else from a message.
 * Used by opening.ts and by whoever lists the recipients of a message.
 */
import { type AlgorithmIdentifier, readAlgorithmIdentifier } from '../asn1/algorithm.js';
import { describeOid, OID } from '../asn1/oids.js';
import { contextConstructed, Tag } from '../asn1/tags.js';
import type { DerNode, DerReader } from '../asn1/tape.js';
import { readBitOctets, readOctets, readOid, readSmallInteger } from '../asn1/values.js';
import type { MailsealError } from '../errors.js';
import { type CertificateIdentifier, describeIdentifier, readIdentifier, shortHex } from './identifiers.js';

export type RecipientIdentifier = CertificateIdentifier;

/** OriginatorIdentifierOrKey (6.2.2): the sender's half of a key agreement. */
export type Originator =
  | { readonly type: 'publicKey'; readonly algorithm: AlgorithmIdentifier; readonly bits: Uint8Array }
  | { readonly type: 'certificate'; readonly identifier: CertificateIdentifier };

export type RecipientInfo =
  | {
      readonly type: 'keyTransport';
      /** One. */
      readonly identifiers: readonly [RecipientIdentifier];
      readonly algorithm: AlgorithmIdentifier;
      readonly encryptedKeys: readonly [Uint8Array];
      readonly node: DerNode;
    }
  | {
      readonly type: 'keyAgreement';
      readonly originator: Originator;
      readonly ukm: Uint8Array | undefined;
      readonly algorithm: AlgorithmIdentifier;
      /** One for each encrypted key. */
      readonly identifiers: readonly RecipientIdentifier[];
      readonly encryptedKeys: readonly Uint8Array[];
      readonly node: DerNode;
    }
  | {
      readonly type: 'keyEncryptionKey';
      readonly keyIdentifier: Uint8Array;
      readonly algorithm: AlgorithmIdentifier;
      readonly encryptedKey: Uint8Array;
      readonly node: DerNode;
    }
  | {
      readonly type: 'password';
      /** Undefined if the password is to be the key itself. */
      readonly keyDerivation: AlgorithmIdentifier | undefined;
      readonly algorithm: AlgorithmIdentifier;
      readonly encryptedKey: Uint8Array;
      readonly node: DerNode;
    }
  | {
      readonly type: 'keyEncapsulation';
      /** One. */
      readonly identifiers: readonly [RecipientIdentifier];
      /** Of the KEM. */
      readonly algorithm: AlgorithmIdentifier;
      readonly ciphertext: Uint8Array;
      readonly keyDerivation: AlgorithmIdentifier;
      /** Octets of the key that the wrap takes. */
      readonly kekLength: number;
      readonly ukm: Uint8Array | undefined;
      readonly wrapAlgorithm: AlgorithmIdentifier;
      readonly encryptedKeys: readonly [Uint8Array];
      readonly node: DerNode;
    }
  | { readonly type: 'other'; readonly oid: string; readonly node: DerNode };

/** One that names keys by their certificates. */
export type NamingRecipientInfo = RecipientInfo & {
  readonly type: 'keyTransport' | 'keyAgreement' | 'keyEncapsulation';
};

export const namesKeys = (info: RecipientInfo): info is NamingRecipientInfo => 'identifiers' in info;

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
  if (node.is(contextConstructed(3))) return readPassword(node);
  return readOther(node);
}

/** A reader behind the version, which only repeats the form of what follows; peers get it wrong. */
function readerOf(node: DerNode, tag: Tag, what: string): DerReader {
  const reader = node.reader(tag, what);
  readSmallInteger(reader.next(Tag.INTEGER, 'version'), 'version');
  return reader;
}

function nextAlgorithm(reader: DerReader, what: string): AlgorithmIdentifier {
  return readAlgorithmIdentifier(reader.next(Tag.SEQUENCE, what), what);
}

const nextEncryptedKey = (reader: DerReader): Uint8Array =>
  readOctets(reader.next(Tag.OCTET_STRING, 'encryptedKey'));

/** KeyTransRecipientInfo (6.2.1). */
function readKeyTransport(node: DerNode): RecipientInfo {
  const reader = readerOf(node, Tag.SEQUENCE, 'KeyTransRecipientInfo');
  const identifier = readIdentifier(reader.any('rid'), 'RecipientIdentifier');
  const algorithm = nextAlgorithm(reader, 'keyEncryptionAlgorithm');
  const encryptedKey = nextEncryptedKey(reader);
  reader.end();
  return { type: 'keyTransport', identifiers: [identifier], algorithm, encryptedKeys: [encryptedKey], node };
}

/** KeyAgreeRecipientInfo (6.2.2). */
function readKeyAgreement(node: DerNode): RecipientInfo {
  const reader = readerOf(node, contextConstructed(1), 'KeyAgreeRecipientInfo');
  const originator = readOriginator(reader.next(contextConstructed(0), 'originator'));
  const ukm = optionalUkm(reader, contextConstructed(1));
  const algorithm = nextAlgorithm(reader, 'keyEncryptionAlgorithm');
  const keys = reader.next(Tag.SEQUENCE, 'recipientEncryptedKeys');
  reader.end();
  const identifiers: RecipientIdentifier[] = [];
  const encryptedKeys: Uint8Array[] = [];
  for (const key of keys.children) {
    const fields = key.reader(Tag.SEQUENCE, 'RecipientEncryptedKey');
    identifiers.push(readKeyAgreementIdentifier(fields.any('rid')));
    encryptedKeys.push(nextEncryptedKey(fields));
    fields.end();
  }
  return { type: 'keyAgreement', originator, ukm, algorithm, identifiers, encryptedKeys, node };
}

function readOriginator(node: DerNode): Originator {
  const wrapper = node.reader(contextConstructed(0), 'originator');
  const choice = wrapper.any('OriginatorIdentifierOrKey');
  wrapper.end();
  if (!choice.is(contextConstructed(1))) {
    return { type: 'certificate', identifier: readIdentifier(choice, 'OriginatorIdentifierOrKey') };
  }
  const reader = choice.reader(contextConstructed(1), 'OriginatorPublicKey');
  const algorithm = nextAlgorithm(reader, 'algorithm');
  const bits = readBitOctets(reader.next(Tag.BIT_STRING, 'publicKey'), 'publicKey');
  reader.end();
  return { type: 'publicKey', algorithm, bits };
}

/** KeyAgreeRecipientIdentifier: [0] is a RecipientKeyIdentifier, whose date and other attribute find no key. */
function readKeyAgreementIdentifier(node: DerNode): RecipientIdentifier {
  if (!node.is(contextConstructed(0))) return readIdentifier(node, 'KeyAgreeRecipientIdentifier');
  const reader = node.reader(contextConstructed(0), 'RecipientKeyIdentifier');
  const keyIdentifier = readOctets(reader.next(Tag.OCTET_STRING, 'subjectKeyIdentifier'));
  return { type: 'subjectKeyIdentifier', keyIdentifier };
}

/** KEKRecipientInfo (6.2.3); date and other attribute of a KEKIdentifier find no key. */
function readKeyEncryptionKey(node: DerNode): RecipientInfo {
  const reader = readerOf(node, contextConstructed(2), 'KEKRecipientInfo');
  const kekid = reader.next(Tag.SEQUENCE, 'kekid').reader(Tag.SEQUENCE, 'KEKIdentifier');
  const keyIdentifier = readOctets(kekid.next(Tag.OCTET_STRING, 'keyIdentifier'));
  const algorithm = nextAlgorithm(reader, 'keyEncryptionAlgorithm');
  const encryptedKey = nextEncryptedKey(reader);
  reader.end();
  return { type: 'keyEncryptionKey', keyIdentifier, algorithm, encryptedKey, node };
}

/** PasswordRecipientInfo (6.2.4). */
function readPassword(node: DerNode): RecipientInfo {
  const reader = readerOf(node, contextConstructed(3), 'PasswordRecipientInfo');
  const derivation = reader.optional(contextConstructed(0));
  const keyDerivation =
    derivation && readAlgorithmIdentifier(derivation, 'keyDerivationAlgorithm', contextConstructed(0));
  const algorithm = nextAlgorithm(reader, 'keyEncryptionAlgorithm');
  const encryptedKey = nextEncryptedKey(reader);
  reader.end();
  return { type: 'password', keyDerivation, algorithm, encryptedKey, node };
}

/** OtherRecipientInfo (6.2.5). */
function readOther(node: DerNode): RecipientInfo {
  const reader = node.reader(contextConstructed(4), 'RecipientInfo');
  const oid = readOid(reader.next(Tag.OID, 'oriType'));
  if (oid !== OID.kemRecipientInfo) return { type: 'other', oid, node };
  const value = reader.next(Tag.SEQUENCE, 'oriValue');
  reader.end();
  return readKeyEncapsulation(value, node);
}

/** KEMRecipientInfo (RFC 9629 section 3). */
function readKeyEncapsulation(value: DerNode, node: DerNode): RecipientInfo {
  const reader = readerOf(value, Tag.SEQUENCE, 'KEMRecipientInfo');
  const identifier = readIdentifier(reader.any('rid'), 'RecipientIdentifier');
  const algorithm = nextAlgorithm(reader, 'kem');
  const ciphertext = readOctets(reader.next(Tag.OCTET_STRING, 'kemct'));
  const keyDerivation = nextAlgorithm(reader, 'kdf');
  const kekLength = readSmallInteger(reader.next(Tag.INTEGER, 'kekLength'), 'kekLength');
  const ukm = optionalUkm(reader, contextConstructed(0));
  const wrapAlgorithm = nextAlgorithm(reader, 'wrap');
  const encryptedKey = nextEncryptedKey(reader);
  reader.end();
  return {
    type: 'keyEncapsulation',
    identifiers: [identifier],
    algorithm,
    ciphertext,
    keyDerivation,
    kekLength,
    ukm,
    wrapAlgorithm,
    encryptedKeys: [encryptedKey],
    node,
  };
}

/** UserKeyingMaterial in an EXPLICIT tag. */
function optionalUkm(reader: DerReader, tag: Tag): Uint8Array | undefined {
  const inner = reader.optional(tag)?.reader(tag, 'ukm');
  const ukm = inner && readOctets(inner.next(Tag.OCTET_STRING, 'ukm'));
  inner?.end();
  return ukm;
}

/** One line for a recipient, fit for a terminal. */
export function describeRecipient(identifier: RecipientIdentifier): string {
  return describeIdentifier(identifier);
}

/** A line for everyone that a RecipientInfo is for. */
export function describeRecipientInfo(info: RecipientInfo): string[] {
  if (namesKeys(info)) return info.identifiers.map(describeRecipient);
  switch (info.type) {
    case 'keyEncryptionKey':
      return [`shared key ${shortHex(info.keyIdentifier)}`];
    case 'password':
      return ['a password'];
    case 'other':
      return [`a recipient of type ${describeOid(info.oid)}`];
  }
}

/** More recipients than these are only counted in an error's message. */
const MAX_NAMED_RECIPIENTS = 20;

/** What a message to recipients has, of whatever type it is. */
export interface Recipients {
  readonly recipientInfos: readonly RecipientInfo[];
  readonly node: DerNode;
}

/** The error that lists whom a message is for. */
export function unknownRecipient({ recipientInfos, node }: Recipients): MailsealError {
  let named: string[] = [];
  let more = -MAX_NAMED_RECIPIENTS;
  for (const info of recipientInfos) {
    if (named.length < MAX_NAMED_RECIPIENTS) named = named.concat(describeRecipientInfo(info));
    more += recipientCount(info);
  }
  named.length = Math.min(named.length, MAX_NAMED_RECIPIENTS);
  return node.fail(
    'RECIPIENT_UNKNOWN',
    `no key for any recipient of the message, which is encrypted to: ${named.join('; ')}${more > 0 ? `; and ${more} more` : ''}`,
  );
}

const recipientCount = (info: RecipientInfo): number => (namesKeys(info) ? info.identifiers.length : 1);
