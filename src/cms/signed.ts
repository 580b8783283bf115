/**
 * SignedData (RFC 5652 section 5): reading and verifying, BER and PKCS#7 1.5 included. Signatures are RSASSA-PKCS1-v1_5
 * (RFC 3370 3.2, RFC 5754), RSASSA-PSS (RFC 4056), ECDSA (RFC 5753 2.1, RFC 5754), Ed25519 and Ed448 (RFC 8419).
 * Certificates in a message are candidates for its signers, never trust anchors: whether a signer's certificate may be
 * trusted is the S/MIME layer's question. Every signer is reported, a message without any is NOT_SIGNED.
 * Refused: digests older than MD5; MD5 and SHA-1 verify, and are reported as weak. One signer is verified in
 * verification.ts; making signatures is in signing.ts.
 */
import { type AlgorithmIdentifier, readAlgorithmIdentifier } from '../asn1/algorithm.js';
import { contextConstructed, Tag } from '../asn1/tags.js';
import type { DerNode } from '../asn1/tape.js';
import { readSmallInteger } from '../asn1/values.js';
import { assertBytes, equal } from '../bytes.js';
import type { Certificate } from '../x509/certificate.js';
import { knownCertificate } from '../x509/known.js';
import { readEncapsulated } from './content.js';
import { SignerInfo } from './signerinfo.js';
import { type SignedOctets, type SignerResult, signedOctets, Verifier } from './verification.js';

export { SignerInfo } from './signerinfo.js';
export {
  type MessageDigest,
  planSignatures,
  type SignDataOptions,
  type Signer,
  type SigningDigest,
  type SigningScheme,
  signData,
  signedAround,
  signedDetached,
  signedPieces,
  signPlanned,
} from './signing.js';
export type { SignedOctets, SignerResult } from './verification.js';

/** More signers are refused, more counter-signers not looked at: each costs a public-key operation. */
export const MAX_SIGNERS = 64;

export class SignedData {
  readonly node: DerNode;
  readonly version: number;
  readonly digestAlgorithms: readonly AlgorithmIdentifier[];
  /** Dotted OID of the type of the content. */
  readonly contentType: string;
  /** The octets that are signed; undefined if the content is detached. */
  readonly content: Uint8Array | undefined;
  /** In the order of the message. */
  readonly certificates: readonly Certificate[];
  /** Attribute certificates, PKCS#6 and other formats: the alternatives [0] to [3] of CertificateChoices. */
  readonly otherCertificates: readonly DerNode[];
  /** RevocationInfoChoice, CRLs and others. */
  readonly crls: readonly DerNode[];
  readonly signerInfos: readonly SignerInfo[];

  private constructor(node: DerNode) {
    this.node = node;
    const reader = node.reader(Tag.SEQUENCE, 'SignedData');
    this.version = readSmallInteger(reader.next(Tag.INTEGER, 'version'), 'version');
    this.digestAlgorithms = reader
      .next(Tag.SET, 'digestAlgorithms')
      .children.map((child) => readAlgorithmIdentifier(child, 'digestAlgorithm'));
    const { contentType, content } = readEncapsulated(reader.next(Tag.SEQUENCE, 'encapContentInfo'));
    this.contentType = contentType;
    this.content = content;
    const certificates = reader.optional(contextConstructed(0))?.children ?? [];
    this.certificates = certificates.filter((child) => child.is(Tag.SEQUENCE)).map(knownCertificate);
    this.otherCertificates = certificates.filter((child) => !child.is(Tag.SEQUENCE));
    for (const other of this.otherCertificates) {
      if (other.tagClass !== 2) throw other.fail('CMS_MALFORMED', `${other.describe()} is no certificate`);
    }
    this.crls = reader.optional(contextConstructed(1))?.children ?? [];
    const signerInfos = reader.next(Tag.SET, 'signerInfos');
    reader.end();
    const signers = signerInfos.children;
    if (signers.length > MAX_SIGNERS) {
      throw signerInfos.fail('LIMIT_COST', `${signers.length} signers, the limit is ${MAX_SIGNERS}`);
    }
    this.signerInfos = signers.map((child) => new SignerInfo(child));
  }

  /** @param node the content of a ContentInfo of type signedData. @throws MailsealError ASN1_*, CMS_MALFORMED, LIMIT_COST */
  static parse(node: DerNode): SignedData {
    return new SignedData(node);
  }
}

export interface VerifyOptions {
  /** What a detached signature is over. With attached content it has to be the same octets. */
  readonly content?: Uint8Array;
  /** Further certificates that signers may name. */
  readonly certificates?: readonly Certificate[];
}

/**
 * Checks every signer's signature over the content.
 * @returns one result for each signer, in the order of the message; no path is checked
 * @throws MailsealError NOT_SIGNED without signers; CONTENT_MISSING; CONTENT_CHANGED if attached and given content differ
 */
export function verifySignedData(signed: SignedData, options: VerifyOptions = {}): SignerResult[] {
  assertSigned(signed);
  const octets = signedOctets(signedContent(signed, options.content), signed.contentType);
  return verifySigners(signed, octets, options.certificates);
}

/**
 * The same over content of which only digests may be known; that it is the one beside and inside the message is the
 * caller's to see to.
 */
export function verifySigners(
  signed: SignedData,
  octets: SignedOctets,
  further: readonly Certificate[] = [],
): SignerResult[] {
  assertSigned(signed);
  const verifier = new Verifier(
    [...signed.certificates, ...further],
    MAX_SIGNERS - signed.signerInfos.length,
  );
  return verifier.verify(signed.signerInfos, octets);
}

function assertSigned({ signerInfos, node }: SignedData): void {
  if (signerInfos.length === 0) throw node.fail('NOT_SIGNED', 'SignedData without any signer');
}

function signedContent(signed: SignedData, given: Uint8Array | undefined): Uint8Array {
  if (given !== undefined) assertBytes(given, 'content');
  const { content, node } = signed;
  if (content === undefined) {
    if (given !== undefined) return given;
    throw node.fail('CONTENT_MISSING', 'the signature is detached, and its content is not given');
  }
  // Otherwise one content would be shown and the other one verified.
  if (given !== undefined && !equal(content, given)) {
    throw node.fail(
      'CONTENT_CHANGED',
      'the signed content inside the message is not the one it stands beside',
    );
  }
  return content;
}
