/**
 * How a message names a certificate: IssuerAndSerialNumber or SubjectKeyIdentifier, the two alternatives that
 * SignerIdentifier (RFC 5652 5.3) and RecipientIdentifier (6.2.1) share. Used by signers, recipients and the key store.
 */
import { context, contextString, Tag, type Tag as TagType } from '../asn1/tags.js';
import type { DerNode } from '../asn1/tape.js';
import { readOctets } from '../asn1/values.js';
import type { DerWriter } from '../asn1/write.js';
import { assertOneOf, equal, toHex } from '../bytes.js';
import { MailsealError, readable } from '../errors.js';
import type { Certificate } from '../x509/certificate.js';
import { Name } from '../x509/name.js';

export type CertificateIdentifier =
  | {
      readonly type: 'issuerAndSerialNumber';
      readonly issuer: Name;
      /** Content octets of the INTEGER. */
      readonly serialNumber: Uint8Array;
    }
  | { readonly type: 'subjectKeyIdentifier'; readonly keyIdentifier: Uint8Array };

/** @throws MailsealError ASN1_UNEXPECTED, ASN1_BAD_VALUE */
export function readIdentifier(node: DerNode, what: string): CertificateIdentifier {
  if (node.is(contextString(0))) {
    return { type: 'subjectKeyIdentifier', keyIdentifier: readOctets(node) };
  }
  return readIssuerAndSerialNumber(node, Tag.SEQUENCE, what);
}

/** @param tag SEQUENCE, or the IMPLICIT one in its place. @throws MailsealError ASN1_UNEXPECTED, ASN1_BAD_VALUE */
export function readIssuerAndSerialNumber(node: DerNode, tag: TagType, what: string): CertificateIdentifier {
  const reader = node.reader(tag, what);
  const issuer = Name.parse(reader.next(Tag.SEQUENCE, 'issuer'));
  const serial = reader.next(Tag.INTEGER, 'serialNumber');
  reader.end();
  if (serial.content.length === 0) throw serial.fail('ASN1_BAD_VALUE', 'serialNumber is empty');
  return { type: 'issuerAndSerialNumber', issuer, serialNumber: serial.content };
}

export const IDENTIFIER_TYPES: readonly CertificateIdentifier['type'][] = [
  'issuerAndSerialNumber',
  'subjectKeyIdentifier',
];

/**
 * @param tag in place of SEQUENCE, or of the [0] of a subjectKeyIdentifier
 * @throws MailsealError KEY_UNSUITABLE if the certificate has no subjectKeyIdentifier and is to be named by one
 * @throws RangeError for a kind that is none
 */
export function writeIdentifier(
  w: DerWriter,
  certificate: Certificate,
  type: CertificateIdentifier['type'],
  tag: TagType = type === 'issuerAndSerialNumber' ? Tag.SEQUENCE : context(0),
): void {
  assertOneOf(type, IDENTIFIER_TYPES, 'the kind of identifier');
  if (type === 'issuerAndSerialNumber') {
    w.constructed(tag, (w) => {
      w.raw(certificate.issuer.der);
      w.tagged(Tag.INTEGER, certificate.serialNumber);
    });
    return;
  }
  const keyIdentifier = certificate.subjectKeyIdentifier;
  if (keyIdentifier === undefined) {
    throw new MailsealError(
      'KEY_UNSUITABLE',
      `the certificate of ${certificate.subject} has no subjectKeyIdentifier to name it by`,
    );
  }
  w.tagged(tag, keyIdentifier);
}

/**
 * Whether the identifier names this certificate. A key identifier may also be the SHA-1 of the public key: that is how
 * peers name a certificate without the extension. A certificate that can't be read as far as needed is named by none,
 * so that a broken one beside the right one in a message or a store does no harm.
 */
export function identifies(identifier: CertificateIdentifier, certificate: Certificate): boolean {
  return readable(() => {
    if (identifier.type === 'issuerAndSerialNumber') {
      const { issuer, serialNumber } = identifier;
      return equal(serialNumber, certificate.serialNumber) && issuer.equals(certificate.issuer);
    }
    const { keyIdentifier } = identifier;
    const extension = certificate.subjectKeyIdentifier;
    if (extension !== undefined && equal(keyIdentifier, extension)) return true;
    return equal(keyIdentifier, certificate.publicKey.keyIdentifier);
  }, false);
}

/** One short line, fit for a terminal: `serial 46346bc7 of CN=CarlRSA`, or `key identifier a1b2…`. */
export function describeIdentifier(identifier: CertificateIdentifier): string {
  if (identifier.type === 'subjectKeyIdentifier')
    return `key identifier ${shortHex(identifier.keyIdentifier)}`;
  const { issuer, serialNumber } = identifier;
  return `serial ${shortHex(serialNumber)} of ${issuer.describe()}`;
}

/** A message may hold identifiers of any size, and error messages go to logs. Serial numbers have 20 octets at most. */
const MAX_HEX_OCTETS = 32;

/** Hexadecimal of the first octets. */
export function shortHex(bytes: Uint8Array): string {
  return bytes.length > MAX_HEX_OCTETS ? `${toHex(bytes.subarray(0, MAX_HEX_OCTETS))}…` : toHex(bytes);
}
