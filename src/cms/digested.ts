/**
 * DigestedData (RFC 5652 section 7), for reading. Anybody can make a digest: it says that the content is whole, not who made
 * it. Exported for callers that meet one.
 */
import { readAlgorithmIdentifier } from '../asn1/algorithm.js';
import { Tag } from '../asn1/tags.js';
import type { DerNode } from '../asn1/tape.js';
import { readOctets, readSmallInteger } from '../asn1/values.js';
import { equal } from '../bytes.js';
import { computeDigest, type DigestName, isWeakDigest, readSignerDigest } from '../x509/digests.js';
import { readEncapsulated } from './content.js';

export interface DigestedContent {
  readonly content: Uint8Array;
  /** Dotted OID. */
  readonly contentType: string;
  readonly digest: DigestName;
  /** MD5 or SHA-1: another content with the same digest can be made. */
  readonly weak: boolean;
}

/**
 * @param node the content of a ContentInfo of type digestedData
 * @param detached the content, where the message has none
 * @throws MailsealError CONTENT_CHANGED if the digest is another; CONTENT_MISSING; UNSUPPORTED_ALGORITHM with the OID;
 *   CMS_MALFORMED, ASN1_*
 */
export function readDigestedData(node: DerNode, detached?: Uint8Array): DigestedContent {
  const reader = node.reader(Tag.SEQUENCE, 'DigestedData');
  readSmallInteger(reader.next(Tag.INTEGER, 'version'), 'version');
  const algorithm = readAlgorithmIdentifier(reader.next(Tag.SEQUENCE, 'digestAlgorithm'), 'digestAlgorithm');
  const encapsulated = readEncapsulated(reader.next(Tag.SEQUENCE, 'encapContentInfo'));
  const expected = readOctets(reader.next(Tag.OCTET_STRING, 'digest'));
  reader.end();
  const digest = readSignerDigest(algorithm);
  const content = encapsulated.content ?? detached;
  if (content === undefined) throw node.fail('CONTENT_MISSING', 'what was digested is not given');
  if (!equal(computeDigest(digest, content), expected)) {
    throw node.fail('CONTENT_CHANGED', 'the digest of the content is another');
  }
  return { content, contentType: encapsulated.contentType, digest, weak: isWeakDigest(digest) };
}
