/**
 * Certificate extensions that S/MIME and path validation read (RFC 5280 4.2; RFC 9598 for SmtpUTF8Mailbox). Each
 * function takes the parsed content of extnValue and reads all of it. Refused: an extension that occurs twice, values
 * that break their ASN.1. What is only looked at for its presence (policies, name constraints, CRL distribution
 * points) is in the map of {@link readExtensions}.
 */
import { OID } from '../asn1/oids.js';
import { context, contextConstructed, contextString, Tag } from '../asn1/tags.js';
import { type DerNode, parseDer } from '../asn1/tape.js';
import {
  readBitString,
  readBoolean,
  readOctets,
  readOid,
  readSmallInteger,
  readString,
} from '../asn1/values.js';
import { latin1 } from '../bytes.js';
import { Name, normalizeEmail } from './name.js';

export class Extension {
  readonly oid: string;
  readonly critical: boolean;
  /** Content of extnValue: the encoded extension. */
  readonly value: Uint8Array;

  constructor(oid: string, critical: boolean, value: Uint8Array) {
    this.oid = oid;
    this.critical = critical;
    this.value = value;
  }

  /** The value, parsed when asked for and not kept; offsets count in `value`. @throws MailsealError ASN1_* */
  get node(): DerNode {
    return parseDer(this.value);
  }
}

export type Extensions = ReadonlyMap<string, Extension>;

/** Extensions ::= SEQUENCE SIZE (1..MAX) OF Extension. @throws MailsealError ASN1_*, X509_MALFORMED */
export function readExtensions(node: DerNode): Extensions {
  const extensions = new Map<string, Extension>();
  for (const reader = node.reader(Tag.SEQUENCE, 'Extensions'); reader.more; ) {
    const item = reader.next(Tag.SEQUENCE, 'Extension');
    const fields = item.reader(Tag.SEQUENCE, 'Extension');
    const oid = readOid(fields.next(Tag.OID, 'extnID'));
    const criticalNode = fields.optional(Tag.BOOLEAN);
    const critical = criticalNode !== undefined && readBoolean(criticalNode);
    const value = readOctets(fields.next(Tag.OCTET_STRING, 'extnValue'));
    fields.end();
    // RFC 5280 4.2. Two readers that each take another one of the two would disagree about the certificate.
    if (extensions.has(oid)) throw item.fail('X509_MALFORMED', `the extension ${oid} occurs twice`);
    extensions.set(oid, new Extension(oid, critical, value));
  }
  return extensions;
}

/** RFC 5280 4.2.1.3 */
export interface KeyUsage {
  readonly digitalSignature: boolean;
  readonly nonRepudiation: boolean;
  readonly keyEncipherment: boolean;
  readonly dataEncipherment: boolean;
  readonly keyAgreement: boolean;
  readonly keyCertSign: boolean;
  readonly cRLSign: boolean;
  readonly encipherOnly: boolean;
  readonly decipherOnly: boolean;
}

export type KeyUsageBit = keyof KeyUsage;

export function readKeyUsage(node: DerNode): KeyUsage {
  const { bytes } = readBitString(node.expect(Tag.BIT_STRING, 'KeyUsage'));
  const [first = 0, second = 0] = bytes;
  return {
    digitalSignature: (first & 0x80) !== 0,
    nonRepudiation: (first & 0x40) !== 0,
    keyEncipherment: (first & 0x20) !== 0,
    dataEncipherment: (first & 0x10) !== 0,
    keyAgreement: (first & 0x08) !== 0,
    keyCertSign: (first & 0x04) !== 0,
    cRLSign: (first & 0x02) !== 0,
    encipherOnly: (first & 0x01) !== 0,
    decipherOnly: (second & 0x80) !== 0,
  };
}

/** ExtKeyUsageSyntax (4.2.1.12): dotted OIDs. */
export function readExtendedKeyUsage(node: DerNode): string[] {
  const purposes: string[] = [];
  for (const reader = node.reader(Tag.SEQUENCE, 'ExtKeyUsageSyntax'); reader.more; ) {
    purposes.push(readOid(reader.next(Tag.OID, 'KeyPurposeId')));
  }
  if (purposes.length === 0) throw node.fail('X509_MALFORMED', 'extendedKeyUsage without a purpose');
  return purposes;
}

export interface BasicConstraints {
  readonly ca: boolean;
  /** Intermediate certificates that may follow, self-issued ones not counted. */
  readonly pathLenConstraint?: number;
}

/** 4.2.1.9 */
export function readBasicConstraints(node: DerNode): BasicConstraints {
  const reader = node.reader(Tag.SEQUENCE, 'BasicConstraints');
  const caNode = reader.optional(Tag.BOOLEAN);
  const lengthNode = reader.optional(Tag.INTEGER);
  reader.end();
  const ca = caNode !== undefined && readBoolean(caNode);
  if (lengthNode === undefined) return { ca };
  return { ca, pathLenConstraint: readSmallInteger(lengthNode, 'pathLenConstraint') };
}

export function readSubjectKeyIdentifier(node: DerNode): Uint8Array {
  return readOctets(node.expect(Tag.OCTET_STRING, 'SubjectKeyIdentifier'));
}

export interface AuthorityKeyIdentifier {
  readonly keyIdentifier?: Uint8Array;
  /** Directory names of authorityCertIssuer; issuer and serial number come both or not at all. */
  readonly authorityCertIssuer?: readonly Name[];
  /** Content octets of the INTEGER. */
  readonly authorityCertSerialNumber?: Uint8Array;
}

/** 4.2.1.1 */
export function readAuthorityKeyIdentifier(node: DerNode): AuthorityKeyIdentifier {
  const reader = node.reader(Tag.SEQUENCE, 'AuthorityKeyIdentifier');
  const identifier = reader.optional(contextString(0));
  const issuer = reader.optional(contextConstructed(1));
  const serial = reader.optional(context(2));
  reader.end();
  if ((issuer === undefined) !== (serial === undefined)) {
    throw node.fail('X509_MALFORMED', 'authorityCertIssuer and authorityCertSerialNumber must come together');
  }
  return {
    ...(identifier && { keyIdentifier: readOctets(identifier) }),
    ...(issuer && {
      authorityCertIssuer: issuer.children.map(readDirectoryName).filter((name) => name !== undefined),
    }),
    ...(serial && { authorityCertSerialNumber: serial.content }),
  };
}

/** GeneralName [4] is EXPLICIT, since Name is a CHOICE. Undefined for every other form. */
function readDirectoryName(general: DerNode): Name | undefined {
  if (!general.is(contextConstructed(4))) return undefined;
  const reader = general.reader(contextConstructed(4), 'directoryName');
  const { bytes } = reader.any('Name');
  reader.end();
  return Name.parse(parseDer(bytes, { own: true })); // it is kept as long as the certificate
}

/** The last alternative of GeneralName: registeredID [8]. */
const LAST_GENERAL_NAME = 8;

/**
 * The mail addresses of a SubjectAltName (4.2.1.6): rfc822Name, and SmtpUTF8Mailbox of RFC 9598, each as
 * normalizeEmail gives it. Names that are no plain address are left out: they match no sender.
 */
export function readAltNameEmails(node: DerNode): string[] {
  const emails: string[] = [];
  for (const reader = node.reader(Tag.SEQUENCE, 'GeneralNames'); reader.more; ) {
    const general = reader.any('GeneralName');
    if (general.tagClass !== 2 || general.tagNumber > LAST_GENERAL_NAME) {
      throw general.fail('ASN1_UNEXPECTED', `GeneralNames: ${general.describe()} is no GeneralName`);
    }
    const address = general.is(contextString(1)) ? latin1(readOctets(general)) : readSmtpUtf8Mailbox(general);
    const email = address === undefined ? undefined : normalizeEmail(address);
    if (email !== undefined && !emails.includes(email)) emails.push(email);
  }
  return emails;
}

/** otherName [0] { type-id SmtpUTF8Mailbox, value [0] EXPLICIT UTF8String }; undefined if it is something else. */
function readSmtpUtf8Mailbox(general: DerNode): string | undefined {
  if (!general.is(contextConstructed(0))) return undefined;
  const other = general.reader(contextConstructed(0), 'otherName');
  // Names of other types may hold anything, and do.
  if (readOid(other.next(Tag.OID, 'type-id')) !== OID.smtpUTF8Mailbox) return undefined;
  const value = other.next(contextConstructed(0), 'value').reader(contextConstructed(0), 'value');
  other.end();
  const mailbox = value.next(Tag.UTF8, 'SmtpUTF8Mailbox');
  value.end();
  return readString(mailbox);
}
