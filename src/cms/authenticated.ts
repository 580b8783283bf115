/**
 * AuthenticatedData (RFC 5652 section 9), for reading: content in the clear with a MAC, whose key is encrypted to recipients
 * as the content key of EnvelopedData is. A MAC says that somebody who knows the key made the message, and every recipient
 * knows it. HMAC with SHA-1 (RFC 3370 3.1) and SHA-2 (RFC 8018 B.1.2). Exported for callers that meet one.
 */
import { createHmac } from 'node:crypto';
import { type AlgorithmIdentifier, expectNullOrAbsent, readAlgorithmIdentifier } from '../asn1/algorithm.js';
import { OID } from '../asn1/oids.js';
import { contextConstructed, Tag } from '../asn1/tags.js';
import type { DerNode } from '../asn1/tape.js';
import { readOctets, readOid, readSmallInteger } from '../asn1/values.js';
import { constantTimeEqual, equal } from '../bytes.js';
import { MailsealError } from '../errors.js';
import { computeDigest, type DigestName, type HashName, readSignerDigest } from '../x509/digests.js';
import { unsupported } from './algorithms.js';
import type { Opener } from './attempts.js';
import { type Attribute, readAttributes, signedAttributesDer, valuesOf } from './attributes.js';
import { type EncapsulatedContentInfo, readEncapsulated } from './content.js';
import { openWith } from './finding.js';
import { type Recipients, readRecipientInfos } from './recipientinfo.js';
import type { KeyFinder } from './recipients.js';
import type { SharedSecrets } from './sharedkeys.js';

const MACS: Readonly<Record<string, HashName>> = {
  [OID.hmacSha1]: 'sha1',
  [OID.hmacWithSHA1]: 'sha1',
  [OID.hmacWithSHA224]: 'sha224',
  [OID.hmacWithSHA256]: 'sha256',
  [OID.hmacWithSHA384]: 'sha384',
  [OID.hmacWithSHA512]: 'sha512',
};

/**
 * An HMAC takes a key of any length, and the message does not say which; but unwrapping in constant time has to know it.
 * These are the lengths of digests, of AES keys and of HMAC's block.
 */
const KEY_LENGTHS: readonly number[] = [32, 20, 64, 16, 24, 48, 28, 128];

export interface AuthenticatedContent extends Opener {
  readonly content: Uint8Array;
  /** Dotted OID. */
  readonly contentType: string;
  readonly hmac: HashName;
  /** In the order of the message. */
  readonly authAttrs: readonly Attribute[];
}

interface AuthenticatedData extends Recipients {
  readonly hmac: HashName;
  readonly digest: DigestName | undefined;
  readonly encapsulated: EncapsulatedContentInfo;
  readonly attributes: DerNode | undefined;
  readonly mac: Uint8Array;
}

function parse(node: DerNode): AuthenticatedData {
  const reader = node.reader(Tag.SEQUENCE, 'AuthenticatedData');
  readSmallInteger(reader.next(Tag.INTEGER, 'version'), 'version');
  reader.optional(contextConstructed(0)); // originatorInfo: certificates for key agreement
  const recipientInfos = readRecipientInfos(reader.next(Tag.SET, 'recipientInfos'));
  const macAlgorithm = readAlgorithmIdentifier(reader.next(Tag.SEQUENCE, 'macAlgorithm'), 'macAlgorithm');
  const digestNode = reader.optional(contextConstructed(1));
  const encapsulated = readEncapsulated(reader.next(Tag.SEQUENCE, 'encapContentInfo'));
  const attributes = reader.optional(contextConstructed(2));
  const mac = readOctets(reader.next(Tag.OCTET_STRING, 'mac'));
  reader.optional(contextConstructed(3)); // unauthAttrs: anyone can write them
  reader.end();
  const hmac = readMac(macAlgorithm);
  const digest =
    digestNode &&
    readSignerDigest(readAlgorithmIdentifier(digestNode, 'digestAlgorithm', contextConstructed(1)));
  return { recipientInfos, hmac, digest, encapsulated, attributes, mac, node };
}

function readMac(algorithm: AlgorithmIdentifier): HashName {
  const hmac = MACS[algorithm.oid];
  if (hmac === undefined) throw unsupported(algorithm, 'AuthenticatedData with');
  expectNullOrAbsent(algorithm.parameters, 'parameters of an HMAC');
  return hmac;
}

/**
 * Checks the MAC with the keys that are found for the recipients, as decrypt does.
 * @param node the content of a ContentInfo of type authenticatedData
 * @param detached the content, where the message has none
 * @throws MailsealError RECIPIENT_UNKNOWN; CONTENT_CHANGED; CONTENT_MISSING; UNSUPPORTED_ALGORITHM with the OID;
 *   DECRYPTION_FAILED, with one message, for every cause after a key was found; LIMIT_COST, CMS_MALFORMED, ASN1_*
 */
export async function verifyAuthenticatedData(
  node: DerNode,
  keys: KeyFinder | undefined,
  secrets: SharedSecrets = {},
  detached?: Uint8Array,
): Promise<AuthenticatedContent> {
  const data = parse(node);
  const { hmac, encapsulated, attributes } = data;
  const content = encapsulated.content ?? detached;
  if (content === undefined) throw node.fail('CONTENT_MISSING', 'what the MAC is over is not given');
  const authAttrs = attributes === undefined ? [] : readAttributes(attributes);
  const macced = attributes === undefined ? content : signedAttributesDer(attributes);
  if (attributes !== undefined) checkAttributes(data, authAttrs, content);
  const open = (key: Uint8Array) => matches(key, macced, data) || undefined;
  const found = await openWith(data, keys, secrets, KEY_LENGTHS, open);
  if (found === undefined) {
    throw new MailsealError('DECRYPTION_FAILED', 'the MAC of the message does not match');
  }
  return { ...found.opener, content, contentType: encapsulated.contentType, hmac, authAttrs };
}

function matches(key: Uint8Array, macced: Uint8Array, { hmac, mac }: AuthenticatedData): boolean {
  return constantTimeEqual(createHmac(hmac, key).update(macced).digest(), mac);
}

/** RFC 5652 9.2: content-type and message-digest, each once; anybody can check them without a key. */
function checkAttributes(
  { digest, encapsulated, node }: AuthenticatedData,
  authAttrs: readonly Attribute[],
  content: Uint8Array,
): void {
  if (digest === undefined) {
    throw node.fail('CMS_MALFORMED', 'authenticated attributes without a digestAlgorithm');
  }
  const single = (oid: string, name: string): DerNode => {
    const [value, ...more] = valuesOf(authAttrs, oid);
    if (value !== undefined && more.length === 0) return value;
    throw node.fail('CMS_MALFORMED', `not one authenticated attribute ${name}`);
  };
  const type = readOid(single(OID.contentType, 'contentType').expect(Tag.OID, 'contentType'));
  if (type !== encapsulated.contentType) {
    throw node.fail('CMS_MALFORMED', 'the content type is not the one among the authenticated attributes');
  }
  const value = single(OID.messageDigest, 'messageDigest').expect(Tag.OCTET_STRING, 'messageDigest');
  if (!equal(computeDigest(digest, content), readOctets(value))) {
    throw node.fail('CONTENT_CHANGED', 'the digest of the content is not the authenticated one');
  }
}
