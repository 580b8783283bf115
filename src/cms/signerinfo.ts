/**
 * SignerInfo (RFC 5652 5.3), of a message and of a counter-signature (11.4), which is one in an unsigned attribute.
 * Used by signed.ts and verification.ts.
 */
import { type AlgorithmIdentifier, readAlgorithmIdentifier } from '../asn1/algorithm.js';
import { describeOid, OID } from '../asn1/oids.js';
import { contextConstructed, Tag } from '../asn1/tags.js';
import type { DerNode } from '../asn1/tape.js';
import { readOctets, readSmallInteger } from '../asn1/values.js';
import { readable } from '../errors.js';
import { type Attribute, mustBeSigned, readAttributes, valuesOf } from './attributes.js';
import { type CertificateIdentifier, readIdentifier } from './identifiers.js';

export class SignerInfo {
  readonly node: DerNode;
  readonly identifier: CertificateIdentifier;
  readonly digestAlgorithm: AlgorithmIdentifier;
  readonly signatureAlgorithm: AlgorithmIdentifier;
  readonly signature: Uint8Array;
  /** signedAttrs, the [0], where there are any. */
  readonly signedAttrs: DerNode | undefined;
  readonly #unsignedAttrs: DerNode | undefined;

  /** The version only repeats the form of the identifier, and peers get it wrong. */
  constructor(node: DerNode) {
    this.node = node;
    const reader = node.reader(Tag.SEQUENCE, 'SignerInfo');
    readSmallInteger(reader.next(Tag.INTEGER, 'version'), 'version');
    this.identifier = readIdentifier(reader.any('sid'), 'SignerIdentifier');
    this.digestAlgorithm = readAlgorithmIdentifier(
      reader.next(Tag.SEQUENCE, 'digestAlgorithm'),
      'digestAlgorithm',
    );
    this.signedAttrs = reader.optional(contextConstructed(0));
    this.signatureAlgorithm = readAlgorithmIdentifier(
      reader.next(Tag.SEQUENCE, 'signatureAlgorithm'),
      'signatureAlgorithm',
    );
    this.signature = readOctets(reader.next(Tag.OCTET_STRING, 'signature'));
    this.#unsignedAttrs = reader.optional(contextConstructed(1));
    reader.end();
  }

  /** Nobody has signed these. @throws MailsealError CMS_MALFORMED, ASN1_* */
  get unsignedAttributes(): Attribute[] {
    return this.#unsignedAttrs === undefined ? [] : readAttributes(this.#unsignedAttrs);
  }

  get hasUnsigned(): boolean {
    return this.#unsignedAttrs !== undefined;
  }

  /**
   * SignerInfos over this one's signature: there may be several such attributes, each with several (11.4). Throws as
   * unsignedAttributes.
   */
  get counterSignatureNodes(): DerNode[] {
    return valuesOf(this.unsignedAttributes, OID.counterSignature);
  }

  /**
   * What only counts if it is signed must not be among what is not (RFC 5652 11.3). What can't be read says nothing.
   * @throws MailsealError CMS_MALFORMED
   */
  checkUnsigned(): void {
    for (const { oid, node } of readable(() => this.unsignedAttributes, [])) {
      if (mustBeSigned(oid)) {
        throw node.fail('CMS_MALFORMED', `${describeOid(oid)} among the unsigned attributes`);
      }
    }
  }
}
