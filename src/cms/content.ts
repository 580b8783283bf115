/**
 * ContentInfo (RFC 5652 section 3) and EncapsulatedContentInfo (5.2), read from BER and written as DER. Content is
 * handed on as the octets that are digested, a view where the encoding allows it. Refused: ContentInfo without content.
 * Used by every CMS type here and by the S/MIME layer, which asks what a message holds.
 */
import { type AlgorithmIdentifier, readAlgorithmIdentifier } from '../asn1/algorithm.js';
import { describeOid, OID } from '../asn1/oids.js';
import { contextConstructed, contextString, Tag } from '../asn1/tags.js';
import { DerNode, parseDer } from '../asn1/tape.js';
import { readOctets, readOid } from '../asn1/values.js';
import { type Around, type DerWriter, writeAround, writePieces } from '../asn1/write.js';
import type { Pieces } from '../bytes.js';

export interface ContentInfo {
  /** Dotted OID. */
  readonly contentType: string;
  /** The value below [0]. */
  readonly content: DerNode;
}

/**
 * @param input a CMS object in BER or DER (nothing after it), or its node
 * @throws MailsealError ASN1_*, LIMIT_*; CMS_MALFORMED if there is no content
 */
export function readContentInfo(input: Uint8Array | DerNode): ContentInfo {
  const node = input instanceof DerNode ? input : parseDer(input);
  const reader = node.reader(Tag.SEQUENCE, 'ContentInfo');
  const contentType = readOid(reader.next(Tag.OID, 'contentType'));
  const wrapper = reader.optional(contextConstructed(0));
  if (wrapper === undefined) {
    throw node.fail('CMS_MALFORMED', `${describeOid(contentType)} without content`);
  }
  reader.end();
  const inner = wrapper.reader(contextConstructed(0), 'content');
  const content = inner.any('content');
  inner.end();
  return { contentType, content };
}

/** The content of a ContentInfo whose type has to be `oid`. @throws MailsealError UNSUPPORTED_FEATURE with its OID */
export function contentOfType(info: ContentInfo, oid: string): DerNode {
  if (info.contentType === oid) return info.content;
  throw info.content.fail('UNSUPPORTED_FEATURE', otherType(info.contentType, oid), { oid: info.contentType });
}

/** What is wrong with a CMS object of one type where one of another is wanted; both are dotted OIDs. */
export const otherType = (found: string, wanted: string): string =>
  `${describeOid(found)}, where ${describeOid(wanted)} is wanted`;

export interface EncapsulatedContentInfo {
  /** Dotted OID. */
  readonly contentType: string;
  /** The octets that are digested; undefined if the content is detached. */
  readonly content: Uint8Array | undefined;
}

/**
 * EncapsulatedContentInfo, or the ContentInfo that PKCS#7 1.5 has in its place. There the content may be of any type,
 * and the digest covers its content octets without tag and length (RFC 5652 5.2.1).
 */
export function readEncapsulated(node: DerNode): EncapsulatedContentInfo {
  const reader = node.reader(Tag.SEQUENCE, 'encapContentInfo');
  const contentType = readOid(reader.next(Tag.OID, 'eContentType'));
  const wrapper = reader.optional(contextConstructed(0));
  reader.end();
  if (wrapper === undefined) return { contentType, content: undefined };
  const inner = wrapper.reader(contextConstructed(0), 'eContent');
  const content = inner.any('eContent');
  inner.end();
  if (content.is(Tag.OCTET_STRING)) return { contentType, content: readOctets(content) };
  // PKCS#7 has an OCTET STRING here too where the type is data.
  if (contentType === OID.data) content.expect(Tag.OCTET_STRING, 'eContent');
  return { contentType, content: content.content };
}

export interface EncryptedContentInfo {
  /** Dotted OID of the type of what is encrypted. */
  readonly contentType: string;
  readonly contentEncryptionAlgorithm: AlgorithmIdentifier;
  /** Undefined if it is kept elsewhere. */
  readonly encryptedContent: Uint8Array | undefined;
}

/** EncryptedContentInfo (RFC 5652 6.1) of EnvelopedData, AuthEnvelopedData and EncryptedData. */
export function readEncryptedContentInfo(node: DerNode): EncryptedContentInfo {
  const reader = node.reader(Tag.SEQUENCE, 'EncryptedContentInfo');
  const contentType = readOid(reader.next(Tag.OID, 'contentType'));
  const contentEncryptionAlgorithm = readAlgorithmIdentifier(
    reader.next(Tag.SEQUENCE, 'contentEncryptionAlgorithm'),
    'contentEncryptionAlgorithm',
  );
  const content = reader.optional(contextString(0));
  reader.end();
  return { contentType, contentEncryptionAlgorithm, encryptedContent: content && readOctets(content) };
}

/** A ContentInfo whose content, a SEQUENCE, has the fields that `build` writes. */
export function writeContentInfo(contentType: string, build: (w: DerWriter) => void): Pieces {
  return writePieces(contentInfo(contentType, build));
}

/** The same around content that comes in chunks. */
export function writeContentInfoAround(contentType: string, build: (w: DerWriter) => void): Around {
  return writeAround(contentInfo(contentType, build));
}

const contentInfo = (contentType: string, build: (w: DerWriter) => void) => (w: DerWriter) =>
  w.sequence((w) => {
    w.oid(contentType);
    w.explicit(0, (w) => w.sequence(build));
  });

/** What is written as the content: all of it, or undefined for what comes in chunks. */
export function writeContent(w: DerWriter, tag: Tag, content: Pieces | undefined): void {
  if (content === undefined) w.chunks(tag);
  else w.big(tag, content);
}
