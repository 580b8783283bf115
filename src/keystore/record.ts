/**
 * What the key store writes down about a certificate: its index entries, what it may be used for, whose it is.
 *
 * Index entries (the identifiers that a mail can name a recipient by, RFC 5652 6.2.1):
 *   issuer and serial number    SHA-256(length of the name | name in comparison form | serial number's content octets):
 *                               an issuer name that a mail program has encoded anew (PrintableString for UTF8String,
 *                               other case) still matches, by RFC 5280 7.1
 *   subjectKeyIdentifier        the extension's value
 *   SHA-1 of the public key     for mail to a certificate without that extension, or with another value in it
 * Used by the SQL store, for writing and for looking up.
 */
import { createHash } from 'node:crypto';
import { OID } from '../asn1/oids.js';
import { equal } from '../bytes.js';
import type { RecipientIdentifier } from '../cms/recipients.js';
import { MailsealError, readable } from '../errors.js';
import type { Certificate } from '../x509/certificate.js';
import type { PublicKey } from '../x509/keys.js';
import { type Name, normalizeEmail } from '../x509/name.js';

/** Kinds of index entries, in the order in which they are believed. The numbers are in the database. */
export const Kind = { ISSUER_AND_SERIAL_NUMBER: 1, SUBJECT_KEY_IDENTIFIER: 2, PUBLIC_KEY_SHA1: 3 } as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

export const REASONS: Readonly<Record<Kind, string>> = {
  [Kind.ISSUER_AND_SERIAL_NUMBER]: 'issuer and serial number match',
  [Kind.SUBJECT_KEY_IDENTIFIER]: 'subjectKeyIdentifier matches',
  [Kind.PUBLIC_KEY_SHA1]: 'SHA-1 of the public key matches',
};

/** What the mail of a user may use a certificate for, as bits; the numbers are in the database. */
export const Use = { SIGNING: 1, ENCRYPTION: 2, ANY: 3 } as const;

/** A subjectKeyIdentifier may have any length; an index should not. */
const MAX_INDEXED = 64;

export interface IndexEntry {
  readonly kind: Kind;
  readonly value: Uint8Array;
}

export interface CertificateRecord {
  /** SHA-256 of the certificate. */
  readonly fingerprint: Uint8Array;
  readonly der: Uint8Array;
  /** RFC 4514. */
  readonly subject: string;
  readonly subjectHash: Uint8Array;
  /** Seconds since 1970; both ends are inside. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly maySign: boolean;
  readonly mayEncrypt: boolean;
  readonly isCa: boolean;
  /** SHA-256 of the SubjectPublicKeyInfo: what a private key is filed under. */
  readonly spkiHash: Uint8Array;
  readonly index: readonly IndexEntry[];
}

/** @throws MailsealError of the certificate's own fields */
export function recordOf(certificate: Certificate): CertificateRecord {
  const { notBefore, notAfter, publicKey } = certificate;
  return {
    fingerprint: certificate.fingerprint,
    der: certificate.der,
    subject: certificate.subject.toString(),
    subjectHash: hashName(certificate.subject),
    notBefore: seconds(notBefore),
    notAfter: seconds(notAfter),
    maySign: maySign(certificate),
    mayEncrypt: mayEncrypt(certificate),
    isCa: certificate.basicConstraints?.ca === true,
    spkiHash: sha256(publicKey.der),
    index: indexOf(certificate),
  };
}

export function seconds(date: Date): number {
  return Math.floor(date.getTime() / 1000);
}

export function hashName(name: Name): Uint8Array {
  return sha256(name.canonical);
}

function sha256(...parts: Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

function issuerAndSerialValue(issuer: Name, serialNumber: Uint8Array): Uint8Array {
  const { canonical } = issuer;
  const length = new Uint8Array(4); // so that a serial number can't look like one more RDN
  new DataView(length.buffer).setUint32(0, canonical.length);
  return sha256(length, canonical, serialNumber);
}

function keyIdentifierValue(identifier: Uint8Array): Uint8Array {
  return identifier.length > MAX_INDEXED ? sha256(identifier) : identifier;
}

/** What a certificate is found by. @throws MailsealError of its fields */
export function indexOf(certificate: Certificate): IndexEntry[] {
  const { issuer, serialNumber, subjectKeyIdentifier, publicKey } = certificate;
  const { keyIdentifier } = publicKey;
  const index: IndexEntry[] = [
    { kind: Kind.ISSUER_AND_SERIAL_NUMBER, value: issuerAndSerialValue(issuer, serialNumber) },
  ];
  if (subjectKeyIdentifier !== undefined) {
    index.push({ kind: Kind.SUBJECT_KEY_IDENTIFIER, value: keyIdentifierValue(subjectKeyIdentifier) });
  }
  // Most extensions hold just this hash; then the one entry answers for both.
  if (subjectKeyIdentifier === undefined || !equal(subjectKeyIdentifier, keyIdentifier)) {
    index.push({ kind: Kind.PUBLIC_KEY_SHA1, value: keyIdentifier });
  }
  return index;
}

/** What to look for in the index, and which kinds of entries with that value count. */
export interface IndexQuery {
  readonly value: Uint8Array;
  readonly kinds: readonly Kind[];
}

const RFC_7093_HASHES = ['sha256', 'sha384', 'sha512'];

/**
 * Whether a key identifier is made from this public key: SHA-1 (RFC 5280 4.2.1.2 (1)), or the first 160 bits of a SHA-2
 * (RFC 7093 2, methods 1 to 3). Anybody can copy an identifier into a certificate, but not have a key that it fits.
 */
export function isMadeFromKey(identifier: Uint8Array, { keyIdentifier, bits }: PublicKey): boolean {
  if (equal(identifier, keyIdentifier)) return true;
  return RFC_7093_HASHES.some((name) =>
    equal(identifier, createHash(name).update(bits).digest().subarray(0, 20)),
  );
}

/** Undefined if the identifier can't be read: one broken recipient must not keep the others from their mail. */
export function queryOf(recipient: RecipientIdentifier): IndexQuery | undefined {
  if (recipient.type === 'subjectKeyIdentifier') {
    return {
      value: keyIdentifierValue(recipient.keyIdentifier),
      kinds: [Kind.SUBJECT_KEY_IDENTIFIER, Kind.PUBLIC_KEY_SHA1],
    };
  }
  return readable(() => {
    const value = issuerAndSerialValue(recipient.issuer, recipient.serialNumber);
    return { value, kinds: [Kind.ISSUER_AND_SERIAL_NUMBER] };
  }, undefined);
}

/** RFC 8550 4.4.4: with an extKeyUsage, mail must be in it. */
function isForMail({ extendedKeyUsage }: Certificate): boolean {
  return (
    extendedKeyUsage === undefined ||
    extendedKeyUsage.includes(OID.emailProtection) ||
    extendedKeyUsage.includes(OID.anyExtendedKeyUsage)
  );
}

/** RFC 8550 4.4.2 */
export function maySign(certificate: Certificate): boolean {
  const { keyUsage, publicKey } = certificate;
  if (!isForMail(certificate)) return false;
  if (!/^(?:rsa|rsa-pss|ec|ed\d+|ml-dsa-\d+)$/.test(publicKey.algorithm)) return false;
  return keyUsage === undefined || keyUsage.digitalSignature || keyUsage.nonRepudiation;
}

/**
 * Key transport and key encapsulation take keyEncipherment (RFC 5280 4.2.1.3, RFC 9935), key agreement keyAgreement
 * (RFC 5753 7, RFC 8418).
 */
export function mayEncrypt(certificate: Certificate): boolean {
  const { keyUsage, publicKey } = certificate;
  if (!isForMail(certificate)) return false;
  switch (publicKey.algorithm) {
    case 'rsa':
    case 'ml-kem-512':
    case 'ml-kem-768':
    case 'ml-kem-1024':
      return keyUsage?.keyEncipherment ?? true;
    case 'ec':
    case 'x25519':
    case 'x448':
      return keyUsage?.keyAgreement ?? true;
    default:
      return false;
  }
}

export interface User {
  /** As it was given, the domain in lower case and A-labels. */
  readonly address: string;
  /**
   * What the user is found by: all in lower case. RFC 5321 2.4 leaves the case of the local part to the receiving
   * host, but no gateway gives `Alice@` and `alice@` to two people, and certificates write either.
   */
  readonly lookup: string;
}

/** @throws MailsealError USAGE if it is no mail address */
export function userOf(address: string): User {
  if (typeof address !== 'string') throw new TypeError('a user must be a string');
  const normalized = normalizeEmail(address);
  if (normalized === undefined) {
    throw new MailsealError('USAGE', `${JSON.stringify(address)} is no mail address, and users go by theirs`);
  }
  return { address: normalized, lookup: normalized.toLowerCase() };
}
