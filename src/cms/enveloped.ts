/**
 * EnvelopedData (RFC 5652 section 6) and AuthEnvelopedData (RFC 5083), read. Opening them is in opening.ts, making them in
 * enveloping.ts; both are exported from here. Used by the S/MIME layer.
 */
import type { AlgorithmIdentifier } from '../asn1/algorithm.js';
import { OID } from '../asn1/oids.js';
import { contextConstructed, Tag } from '../asn1/tags.js';
import type { DerNode, DerReader } from '../asn1/tape.js';
import { readOctets, readOid, readSmallInteger } from '../asn1/values.js';
import { type Attribute, readAttributes, signedAttributesDer, valuesOf } from './attributes.js';
import { type ContentInfo, type EncryptedContentInfo, readEncryptedContentInfo } from './content.js';
import { type RecipientInfo, type Recipients, readRecipientInfos } from './recipientinfo.js';

export { type KeyEncryptionName, MAX_KEY_TRIALS, type Opener } from './attempts.js';
export { type EncryptOptions, encryptData, envelopedPieces, envelopeStream } from './enveloping.js';
export {
  type DecryptedContent,
  type DecryptedStored,
  decryptEnvelopedData,
  decryptStoredData,
  findOpening,
  type Opening,
  type Remark,
} from './opening.js';
export { unknownRecipient } from './recipientinfo.js';

/** What both kinds have, up to the encrypted content. */
export abstract class Enveloped implements EncryptedContentInfo, Recipients {
  readonly version: number;
  readonly recipientInfos: readonly RecipientInfo[];
  readonly contentType: string;
  readonly contentEncryptionAlgorithm: AlgorithmIdentifier;
  readonly encryptedContent: Uint8Array | undefined;
  readonly node: DerNode;

  /** @param reader of the children of `node`; what follows is left to the caller @param what names the encrypted content */
  protected constructor(node: DerNode, reader: DerReader, what: string) {
    this.node = node;
    this.version = readSmallInteger(reader.next(Tag.INTEGER, 'version'), 'version');
    reader.optional(contextConstructed(0)); // originatorInfo: certificates for key agreement
    this.recipientInfos = readRecipientInfos(reader.next(Tag.SET, 'recipientInfos'));
    const info = readEncryptedContentInfo(reader.next(Tag.SEQUENCE, what));
    this.contentType = info.contentType;
    this.contentEncryptionAlgorithm = info.contentEncryptionAlgorithm;
    this.encryptedContent = info.encryptedContent;
  }
}

export class EnvelopedData extends Enveloped {
  private constructor(node: DerNode) {
    const reader = node.reader(Tag.SEQUENCE, 'EnvelopedData');
    super(node, reader, 'encryptedContentInfo');
    reader.optional(contextConstructed(1)); // unprotectedAttrs: anyone can write them
    reader.end();
  }

  /** @param node the content of a ContentInfo of type envelopedData. @throws MailsealError ASN1_*, CMS_MALFORMED */
  static parse(node: DerNode): EnvelopedData {
    return new EnvelopedData(node);
  }
}

export class AuthEnvelopedData extends Enveloped {
  /** In the order of the message; to be believed once the content is open. */
  readonly authAttrs: readonly Attribute[];
  /** What is authenticated beside the content: the attributes in DER, as a SET (RFC 5083 2.2), or nothing. */
  readonly authenticated: Uint8Array;
  readonly mac: Uint8Array;

  private constructor(node: DerNode) {
    const reader = node.reader(Tag.SEQUENCE, 'AuthEnvelopedData');
    super(node, reader, 'authEncryptedContentInfo');
    const attributes = reader.optional(contextConstructed(1));
    this.mac = readOctets(reader.next(Tag.OCTET_STRING, 'mac'));
    reader.optional(contextConstructed(2)); // unauthAttrs: anyone can write them
    reader.end();
    this.authAttrs = attributes ? readAttributes(attributes) : [];
    this.authenticated = attributes ? signedAttributesDer(attributes) : new Uint8Array();
    checkContentType(this);
  }

  /** @param node the content of a ContentInfo of type authEnvelopedData. @throws MailsealError ASN1_*, CMS_MALFORMED */
  static parse(node: DerNode): AuthEnvelopedData {
    return new AuthEnvelopedData(node);
  }
}

/** Either kind up to its encrypted content, of a message that has not come any further. */
export class EnvelopedHead extends Enveloped {
  readonly place: 'EnvelopedData' | 'AuthEnvelopedData';

  private constructor(node: DerNode, place: EnvelopedHead['place']) {
    super(node, node.reader(Tag.SEQUENCE, place), 'encryptedContentInfo');
    this.place = place;
  }

  /** @param info of one of the two types. @throws MailsealError ASN1_*, CMS_MALFORMED */
  static parse({ contentType, content }: ContentInfo): EnvelopedHead {
    const isPlain = contentType === OID.envelopedData;
    return new EnvelopedHead(content, isPlain ? 'EnvelopedData' : 'AuthEnvelopedData');
  }
}

/**
 * The attribute content-type says once more what the content is; it must be there if that is not id-data, since else the
 * type could be exchanged (RFC 5083 2.1).
 */
function checkContentType({ authAttrs, contentType, node }: AuthEnvelopedData): void {
  const values = valuesOf(authAttrs, OID.contentType);
  const authentic = values.map((value) => readOid(value.expect(Tag.OID, 'contentType')));
  const wanted = contentType === OID.data ? authentic.length > 0 : true;
  if (wanted && (authentic.length !== 1 || authentic[0] !== contentType)) {
    throw node.fail('CMS_MALFORMED', 'the content type is not the one among the authenticated attributes');
  }
}
