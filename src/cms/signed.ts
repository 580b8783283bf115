/**
 * SignedData (RFC 5652 section 5): reading and verifying, BER and PKCS#7 1.5 included. Signatures are RSASSA-PKCS1-v1_5
 * (RFC 3370 3.2, RFC 5754), RSASSA-PSS (RFC 4056), ECDSA (RFC 5753 2.1, RFC 5754), Ed25519 and Ed448 (RFC 8419).
 * Certificates in a message are candidates for its signers, never trust anchors: whether a signer's certificate may be
 * trusted is the S/MIME layer's question. Every signer is reported, a message without any is NOT_SIGNED.
 * Refused: digests older than MD5; MD5 and SHA-1 verify, and are reported as weak. Making signatures is in signing.ts.
 */

import { type AlgorithmIdentifier, readAlgorithmIdentifier } from '../asn1/algorithm.js';
import { describeOid, OID } from '../asn1/oids.js';
import { contextConstructed, Tag } from '../asn1/tags.js';
import type { DerNode } from '../asn1/tape.js';
import { readOctets, readSmallInteger } from '../asn1/values.js';
import { assertBytes, equal } from '../bytes.js';
import { MailsealError } from '../errors.js';
import type { Certificate } from '../x509/certificate.js';
import { computeDigest, type DigestName, isWeakDigest, readSignerDigest } from '../x509/digests.js';
import { knownCertificate } from '../x509/known.js';
import { readSignatureAlgorithm, type SignatureScheme, verifyWithScheme } from '../x509/signature.js';
import {
  type Attribute,
  asReceived,
  looksLikeAttributes,
  readAttributes,
  readSignedAttributes,
  type SignedAttributes,
  signedAttributesDer,
} from './attributes.js';
import { readEncapsulated } from './content.js';
import { type CertificateIdentifier, describeIdentifier, identifies, readIdentifier } from './identifiers.js';

export {
  type MessageDigest,
  type SignDataOptions,
  type Signer,
  type SigningDigest,
  type SigningScheme,
  signData,
  signedPieces,
} from './signing.js';

/** More signers, or certificates that one signer may mean, are refused: each costs a public-key operation. */
export const MAX_SIGNERS = 64;
export const MAX_SIGNER_CERTIFICATES = 8;

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
}

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

export interface SignerResult {
  readonly signerInfo: SignerInfo;
  readonly identifier: CertificateIdentifier;
  /** The certificate whose key verifies the signature; if none does, the one that the signer names. */
  readonly certificate?: Certificate;
  /** Undefined if the algorithm is not supported. */
  readonly digest?: DigestName;
  readonly scheme?: SignatureScheme;
  /** Absent if there are none, or they can't be read. Only those of a valid signer are worth anything. */
  readonly signedAttributes?: SignedAttributes;
  /** Made with MD5 or SHA-1, for which collisions can be computed, or with an RSA key below 1024 bits. */
  readonly weak: boolean;
  readonly valid: boolean;
  /** Why it is not valid. */
  readonly error?: MailsealError;
}

export interface VerifyOptions {
  /** What a detached signature is over. With attached content it has to be the same octets. */
  readonly content?: Uint8Array;
  /** Further certificates that signers may name. */
  readonly certificates?: readonly Certificate[];
}

/** The content's digests, each computed once, however many signers use it. */
type Digests = (name: DigestName) => Uint8Array;

/**
 * Checks every signer's signature over the content.
 * @returns one result for each signer, in the order of the message; no path is checked
 * @throws MailsealError NOT_SIGNED without signers; CONTENT_MISSING; CONTENT_CHANGED if attached and given content differ
 */
export function verifySignedData(signed: SignedData, options: VerifyOptions = {}): SignerResult[] {
  if (signed.signerInfos.length === 0) {
    throw signed.node.fail('NOT_SIGNED', 'SignedData without any signer');
  }
  const content = signedContent(signed, options.content);
  const computed = new Map<DigestName, Uint8Array>();
  const digests: Digests = (name) => {
    const digest = computed.get(name) ?? computeDigest(name, content);
    computed.set(name, digest);
    return digest;
  };
  const certificates = [...signed.certificates, ...(options.certificates ?? [])];
  return signed.signerInfos.map((signerInfo) =>
    new Verification(signed, signerInfo, certificates).run(content, digests),
  );
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

type Mutable<T> = { -readonly [key in keyof T]: T[key] };

/** One signer. What is found out on the way is in the result also when a later step fails. */
class Verification {
  readonly #signed: SignedData;
  readonly #info: SignerInfo;
  readonly #candidates: readonly Certificate[];
  readonly #result: Mutable<SignerResult>;

  constructor(signed: SignedData, info: SignerInfo, certificates: readonly Certificate[]) {
    this.#signed = signed;
    this.#info = info;
    const { identifier } = info;
    this.#candidates = certificates.filter((certificate) => identifies(identifier, certificate));
    this.#result = { signerInfo: info, identifier, weak: false, valid: false };
  }

  run(content: Uint8Array, digests: Digests): SignerResult {
    try {
      this.#verify(content, digests);
      return { ...this.#result, valid: true };
    } catch (error) {
      if (!(error instanceof MailsealError)) throw error;
      return { ...this.#result, error };
    }
  }

  #verify(content: Uint8Array, digests: Digests): void {
    const info = this.#info;
    const result = this.#result;
    const [named] = this.#candidates;
    if (named !== undefined) result.certificate = named;
    const digest = readSignerDigest(info.digestAlgorithm);
    result.digest = digest;
    const scheme = readSignatureAlgorithm(info.signatureAlgorithm.node, digest);
    result.scheme = scheme;
    result.weak = isWeakDigest(digest);
    checkHash(scheme, digest, info);
    if (named === undefined) {
      throw info.node.fail('SIGNER_UNKNOWN', `no certificate with ${describeIdentifier(info.identifier)}`);
    }
    checkUnsigned(info);
    if (info.signedAttrs === undefined) {
      this.#verifyContent(content, scheme);
      return;
    }
    const attributes = readSignedAttributes(info.signedAttrs);
    result.signedAttributes = attributes;
    this.#verifyAttributes(info.signedAttrs, scheme);
    // The signature first: of a changed attribute it should not be said that the content was.
    if (attributes.contentType !== this.#signed.contentType) {
      throw info.node.fail('CONTENT_CHANGED', 'the content is of another type than the signed one');
    }
    if (!equal(attributes.messageDigest, digests(digest))) {
      throw info.node.fail('CONTENT_CHANGED', "the content's digest is not the signed one");
    }
  }

  /** The signature is over the content itself (5.4). */
  #verifyContent(content: Uint8Array, scheme: SignatureScheme): void {
    const { node } = this.#info;
    if (this.#signed.contentType !== OID.data) {
      throw node.fail('CMS_MALFORMED', 'signed attributes are missing, and the content is not of type data');
    }
    // Strip a signer's attributes, put their DER in the place of the content, and the signature still verifies.
    if (looksLikeAttributes(content)) {
      throw node.fail('SIGNATURE_INVALID', 'the content is a set of attributes: another message was signed');
    }
    if (!this.#matches(content, scheme)) throw this.#invalid();
  }

  #verifyAttributes(signedAttrs: DerNode, scheme: SignatureScheme): void {
    const der = signedAttributesDer(signedAttrs);
    if (this.#matches(der, scheme)) return;
    if (signedAttrs.isDer) {
      const received = asReceived(signedAttrs);
      if (!equal(received, der) && this.#matches(received, scheme)) return;
    }
    throw this.#invalid();
  }

  #matches(data: Uint8Array, scheme: SignatureScheme): boolean {
    const { signature, node } = this.#info;
    if (this.#candidates.length > MAX_SIGNER_CERTIFICATES) {
      throw node.fail('LIMIT_COST', `${this.#candidates.length} certificates for one signer`);
    }
    let unusable: MailsealError | undefined;
    for (const certificate of this.#candidates) {
      try {
        const { publicKey } = certificate;
        if (!verifyWithScheme(scheme, publicKey, data, signature)) continue;
        this.#result.certificate = certificate;
        if ((publicKey.modulusLength ?? MIN_STRONG_BITS) < MIN_STRONG_BITS) this.#result.weak = true;
        return true;
      } catch (error) {
        if (!(error instanceof MailsealError)) throw error;
        unusable ??= error;
      }
    }
    if (unusable !== undefined) throw unusable;
    return false;
  }

  #invalid(): MailsealError {
    return this.#info.node.fail('SIGNATURE_INVALID', 'the signature does not match');
  }
}

/** RSA keys below it have been factored. */
const MIN_STRONG_BITS = 1024;

/** What EdDSA hashes with itself is what the content is digested with: RFC 8419 2.3. */
const OWN_DIGESTS: Partial<Record<SignatureScheme['kind'], DigestName>> = {
  ed25519: 'sha512',
  ed448: 'shake256',
};

/** RFC 4056 section 3, RFC 5754 section 3, RFC 8419 3.1: the signature's hash is the one of digestAlgorithm. */
function checkHash(scheme: SignatureScheme, digest: DigestName, info: SignerInfo): void {
  const wanted = scheme.hash ?? OWN_DIGESTS[scheme.kind];
  if (wanted !== digest) {
    throw info.node.fail('CMS_MALFORMED', `digestAlgorithm is ${digest}, but the signature's is ${wanted}`);
  }
}

/** 11.1 to 11.3: what only counts if it is signed must not be among what is not. */
function checkUnsigned(info: SignerInfo): void {
  for (const { oid, node } of info.unsignedAttributes) {
    if (oid === OID.contentType || oid === OID.messageDigest || oid === OID.signingTime) {
      throw node.fail('CMS_MALFORMED', `${describeOid(oid)} among the unsigned attributes`);
    }
  }
}
