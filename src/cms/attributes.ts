/**
 * Attributes of a signer (RFC 5652 5.3, section 11): reading signedAttrs, and the DER form in which they are signed (5.4).
 * contentType, messageDigest, signingTime and those of smimeattributes.ts are decoded; all others are kept as nodes.
 * Refused: contentType or messageDigest absent (11.1, 11.2), an attribute with one value twice or with another number of
 * values, a counter-signature among what is signed (11.4). Attributes of other kinds of messages are read and written by
 * the same helpers.
 * Used by signerinfo.ts, verification.ts and signing.ts, and for the attributes of AuthEnvelopedData and AuthenticatedData.
 */
import { describeOid, OID } from '../asn1/oids.js';
import { contextConstructed, Tag } from '../asn1/tags.js';
import { type DerNode, parseDer } from '../asn1/tape.js';
import { readBitString, readBoolean, readOctets, readOid, readTime } from '../asn1/values.js';
import { type DerWriter, derHeader, writeDer } from '../asn1/write.js';
import { buffer, compare, concat, copy, equal } from '../bytes.js';
import { type ErrorCode, MailsealError, readable } from '../errors.js';
import type { CertificateIdentifier } from './identifiers.js';
import {
  readCapabilities,
  readEncryptionKeyPreference,
  readSigningCertificate,
  type SigningCertificate,
  type SmimeCapability,
} from './smimeattributes.js';

export interface Attribute {
  /** Dotted type. */
  readonly oid: string;
  readonly values: readonly DerNode[];
  readonly node: DerNode;
}

/** Whether a node is tagged as Attribute ::= SEQUENCE { attrType, attrValues SET OF } is. */
function isAttribute(node: DerNode): boolean {
  if (!node.is(Tag.SEQUENCE)) return false;
  const [type, values, more] = node.children;
  return type?.is(Tag.OID) === true && values?.is(Tag.SET) === true && more === undefined;
}

/** The attributes of a SET, whatever its tag. @throws MailsealError CMS_MALFORMED */
export function readAttributes(set: DerNode): Attribute[] {
  return set.children.map((node) => {
    if (!isAttribute(node)) throw node.fail('CMS_MALFORMED', 'this is no Attribute');
    const [type, values] = node.children as [DerNode, DerNode];
    return { oid: readOid(type), values: values.children, node };
  });
}

/** All values of the attributes of a type. */
export function valuesOf(attributes: readonly Attribute[], oid: string): DerNode[] {
  return attributes.filter((one) => one.oid === oid).flatMap(({ values }) => values);
}

/** Writes an attribute with one value. */
export function attribute(oid: string, value: (w: DerWriter) => void): (w: DerWriter) => void {
  return (w) =>
    w.sequence((w) => {
      w.oid(oid);
      w.set(value);
    });
}

/**
 * Whether content could be taken for signed attributes: it is one SET of what is tagged as attributes are. Another
 * reader may not look into types and values, or may look deeper than we do, so what is in them does not count, and a
 * SET that we can't parse counts as one of attributes.
 */
export function looksLikeAttributes(content: Uint8Array): boolean {
  if (content[0] !== Tag.SET) return false;
  try {
    const { children } = parseDer(content);
    return children.length > 0 && children.every(isAttribute);
  } catch (error) {
    if (!(error instanceof MailsealError)) throw error;
    return isOneSet(content) || !NO_VALUE.has(error.code);
  }
}

/** What other octets that begin like a SET are: text, for example. */
const NO_VALUE: ReadonlySet<ErrorCode> = new Set(['ASN1_TRUNCATED', 'ASN1_BAD_LENGTH', 'ASN1_TRAILING_DATA']);

/** Whether its header, in DER as it would have been signed, says that a SET fills the content. */
function isOneSet(content: Uint8Array): boolean {
  return [2, 3, 4, 5, 6].some(
    (size) =>
      content.length >= size && equal(derHeader(Tag.SET, content.length - size), content.subarray(0, size)),
  );
}

/** These occur once, with one value, and are signed: RFC 5652 11.1 to 11.3, RFC 8551 2.5, RFC 5035 section 5, RFC 6211. */
const SINGLE: ReadonlySet<string> = new Set([
  OID.contentType,
  OID.messageDigest,
  OID.signingTime,
  OID.smimeCapabilities,
  OID.encrypKeyPref,
  OID.signingCertificate,
  OID.signingCertificateV2,
  OID.cmsAlgorithmProtection,
]);

/** Whether it would say something false where nobody signs it. */
export function mustBeSigned(oid: string): boolean {
  return SINGLE.has(oid);
}

export class SignedAttributes {
  /** All of them, in the order of the message. */
  readonly all: readonly Attribute[];
  /** Dotted OID. Undefined in a counter-signature, which has no content. */
  readonly contentType: string | undefined;
  readonly messageDigest: Uint8Array;
  /** The certificate that the signature is to be verified with: of each version of the attribute. */
  readonly signingCertificates: readonly SigningCertificate[];
  /** CMSAlgorithmProtection. */
  readonly algorithmProtection: DerNode | undefined;
  /** Milliseconds. */
  readonly #signingTime: number | undefined;
  readonly #values: Map<string, DerNode>;

  /**
   * @param node signedAttrs, the [0]
   * @param counter whether they are of a counter-signature, which must not have a contentType (11.4)
   * @throws MailsealError CMS_MALFORMED, ASN1_*, UNSUPPORTED_ALGORITHM
   */
  constructor(node: DerNode, counter = false) {
    this.all = readAttributes(node.expect(contextConstructed(0), 'signedAttrs'));
    const values = singleValues(this.all);
    this.#values = values;
    const forbidden = counter ? OID.contentType : OID.counterSignature;
    if (this.all.some(({ oid }) => oid === forbidden)) {
      throw node.fail('CMS_MALFORMED', `${describeOid(forbidden)} among the signed attributes`);
    }
    const contentType = counter ? undefined : required(node, values, OID.contentType);
    this.contentType = contentType && readOid(contentType.expect(Tag.OID, 'contentType'));
    const messageDigest = required(node, values, OID.messageDigest);
    this.messageDigest = readOctets(messageDigest.expect(Tag.OCTET_STRING, 'messageDigest'));
    const signingTime = values.get(OID.signingTime);
    this.#signingTime = signingTime && readTime(signingTime).getTime();
    const signingCertificates: SigningCertificate[] = [];
    const first = values.get(OID.signingCertificate);
    if (first !== undefined) signingCertificates.push(readSigningCertificate(first, 1));
    const second = values.get(OID.signingCertificateV2);
    if (second !== undefined) signingCertificates.push(readSigningCertificate(second, 2));
    this.signingCertificates = signingCertificates;
    this.algorithmProtection = values.get(OID.cmsAlgorithmProtection);
  }

  get signingTime(): Date | undefined {
    return this.#signingTime === undefined ? undefined : new Date(this.#signingTime);
  }

  /** What the signer can read, the preferred first; undefined also where it can't be read: it is good advice at most. */
  get capabilities(): readonly SmimeCapability[] | undefined {
    const value = this.#values.get(OID.smimeCapabilities);
    return value && readable(() => readCapabilities(value), undefined);
  }

  /** The certificate to encrypt to when answering; undefined as {@link capabilities}. Outlook may write its own form alone. */
  get encryptionKeyPreference(): CertificateIdentifier | undefined {
    const value =
      this.#values.get(OID.encrypKeyPref) ??
      this.all.find(({ oid }) => oid === OID.microsoftEncrypKeyPref)?.values[0];
    return value && readable(() => readEncryptionKeyPreference(value), undefined);
  }
}

function required(node: DerNode, values: Map<string, DerNode>, oid: string): DerNode {
  const value = values.get(oid);
  if (value === undefined) throw node.fail('CMS_MALFORMED', `no signed attribute ${describeOid(oid)}`);
  return value;
}

/** The value of each attribute that has exactly one. */
function singleValues(all: readonly Attribute[]): Map<string, DerNode> {
  const values = new Map<string, DerNode>();
  for (const { oid, values: found, node } of all) {
    if (!SINGLE.has(oid)) continue;
    if (values.has(oid)) {
      throw node.fail('CMS_MALFORMED', `the signed attribute ${describeOid(oid)} occurs twice`);
    }
    const [value] = found;
    if (value === undefined || found.length > 1) {
      throw node.fail('CMS_MALFORMED', `${describeOid(oid)} has ${found.length} values`);
    }
    values.set(oid, value);
  }
  return values;
}

/**
 * What the signature of a signer with signed attributes covers: their DER encoding with the tag of SET in place of [0]
 * (RFC 5652 5.4). Of DER that is the message's own octets but the first one; BER and an unsorted set are encoded anew.
 */
export function signedAttributesDer(node: DerNode): Uint8Array {
  if (!node.isDer || !isSorted(node.children)) {
    const items = node.children.map(toDer);
    return writeDer((w) => w.setOf(items));
  }
  return asReceived(node);
}

/** The octets as they are, as a SET. Some signers sign what they send, without sorting it; RFC 5652 wants it sorted. */
export function asReceived(node: DerNode): Uint8Array {
  const bytes = copy(node.bytes);
  bytes[0] = Tag.SET;
  return bytes;
}

function isSorted(nodes: readonly DerNode[]): boolean {
  return nodes.every((node, i) => {
    const next = nodes[i + 1];
    return next === undefined || compare(node.bytes, next.bytes) <= 0;
  });
}

/** The universal string types, times among them: those that BER may cut into segments. */
const STRING_TAGS = new Set([3, 4, 12, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 30]);

/**
 * DER of a value whose type is known by its tag alone: definite lengths, strings in one piece, sets sorted, TRUE as
 * FF. Below an IMPLICIT tag the type is hidden, and a string in pieces stays one.
 */
function toDer(node: DerNode): Uint8Array {
  if (!node.constructed) {
    const isTrue = node.is(Tag.BOOLEAN) && readBoolean(node);
    return encode(node, isTrue ? Uint8Array.of(0xff) : node.content);
  }
  if (node.tagClass === 0 && STRING_TAGS.has(node.tagNumber)) return stringToDer(node);
  const children = node.children.map(toDer);
  if (node.is(Tag.SET)) children.sort((a, b) => buffer(a).compare(b));
  return encode(node, concat(children));
}

function stringToDer(node: DerNode): Uint8Array {
  return writeDer((w) => {
    if (!node.is(Tag.BIT_STRING)) w.tagged(node.tagNumber, readSegments(node));
    else {
      const { bytes, unusedBits } = readBitString(node);
      w.bitString(bytes, unusedBits);
    }
  });
}

/** The octets of any constructed string: its segments are OCTET STRINGs whatever its type (X.690 8.23). */
function readSegments(node: DerNode): Uint8Array {
  return node.constructed ? concat(node.children.map(readSegments)) : node.content;
}

/** The value with the identifier octets of `node`, however long its tag number is. */
function encode(node: DerNode, content: Uint8Array): Uint8Array {
  let identifierLength = 1;
  if ((node.identifier & 31) === 31) while (((node.bytes[identifierLength++] ?? 0) & 0x80) !== 0);
  const length = derHeader(0, content.length).subarray(1);
  return concat([node.bytes.subarray(0, identifierLength), length, content]);
}
