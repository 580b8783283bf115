/**
 * Verifying one signer of SignedData (RFC 5652 5.4 and 5.6) and its counter-signatures (11.4), over content that is
 * given as its digests and, where no attributes are signed, as its octets. A signer is valid if the signature is that of a
 * certificate which the signer names, over this content, with the algorithms that the signed attributes speak of.
 * Refused: everything in DEFENCES that makes one signature mean two things (attributes taken for content, two algorithms,
 * two certificates, two values). Nothing here says that a certificate is trusted. Used by signed.ts.
 */
import { OID } from '../asn1/oids.js';
import type { DerNode } from '../asn1/tape.js';
import { equal } from '../bytes.js';
import { MailsealError } from '../errors.js';
import type { Certificate } from '../x509/certificate.js';
import { type DigestName, digester, isWeakDigest, readSignerDigest } from '../x509/digests.js';
import { ML_DSA } from '../x509/mldsa.js';
import { readSignatureAlgorithm, type SignatureScheme, verifySignature } from '../x509/signature.js';
import { asReceived, looksLikeAttributes, SignedAttributes, signedAttributesDer } from './attributes.js';
import { type CertificateIdentifier, describeIdentifier, identifies } from './identifiers.js';
import { SignerInfo } from './signerinfo.js';
import { isSigningCertificate, protects } from './smimeattributes.js';

/** More certificates that one signer may mean are refused: each costs a public-key operation. */
const MAX_SIGNER_CERTIFICATES = 8;

/** Public-key operations for one message. Signers come first, counter-signers have what they leave. */
export const MAX_SIGNATURE_CHECKS = 128;

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
  /**
   * Signatures over this one's signature, looked at if it is valid. Nobody has signed that they are there, so that one of
   * them is not valid says nothing about this signer.
   */
  readonly counterSignatures: readonly SignerResult[];
  /**
   * The first thing that is wrong with a valid signer's unsigned attributes: they can't be read, or there are more
   * counter-signatures than are verified (LIMIT_COST). Anyone can add them, so it decides nothing.
   */
  readonly unsignedError?: MailsealError;
}

/** What is signed. */
export interface SignedOctets {
  /** Asked for where no attributes are signed. */
  readonly octets: Uint8Array;
  /** Dotted OID of the type of the content; undefined for a signature that is counter-signed, which has none. */
  readonly contentType: string | undefined;
  /** Each digest is computed once, however many signers use it. */
  digest(name: DigestName): Uint8Array;
}

export function signedOctets(octets: Uint8Array, contentType: string | undefined): SignedOctets {
  return { octets, contentType, digest: digester(octets) };
}

type Mutable<T> = { -readonly [key in keyof T]: T[key] };

type Verified = Mutable<SignerResult>;

/** All signers of one message. */
export class Verifier {
  readonly #certificates: readonly Certificate[];
  readonly #budget = { checks: MAX_SIGNATURE_CHECKS };
  #countersLeft: number;

  /**
   * @param certificates that the signers may mean
   * @param maxCounters counter-signatures that are verified, at any depth
   */
  constructor(certificates: readonly Certificate[], maxCounters: number) {
    this.#certificates = certificates;
    this.#countersLeft = maxCounters;
  }

  /** Whatever is wrong is in the results, which are in the order of the signers. */
  verify(infos: readonly SignerInfo[], signed: SignedOctets): SignerResult[] {
    const results = infos.map((info) => this.#verifyOne(info, signed));
    for (const result of results) this.#addCounterSignatures(result);
    return results;
  }

  #verifyOne(info: SignerInfo, signed: SignedOctets): Verified {
    const verification = new Verification(info, signed, this.#candidates(info), this.#budget);
    const { result } = verification;
    try {
      verification.run();
      result.valid = true;
    } catch (error) {
      if (!(error instanceof MailsealError)) throw error;
      result.error = error;
    }
    return result;
  }

  /** The certificates that a signer may mean, each once; one more than are allowed if there are too many. */
  #candidates({ identifier }: SignerInfo): Certificate[] {
    const found: Certificate[] = [];
    for (const certificate of this.#certificates) {
      if (!identifies(identifier, certificate)) continue;
      if (found.some(({ der }) => equal(der, certificate.der))) continue;
      found.push(certificate);
      if (found.length > MAX_SIGNER_CERTIFICATES) break;
    }
    return found;
  }

  #addCounterSignatures(result: Verified): void {
    const { valid, signerInfo } = result;
    if (!valid || !signerInfo.hasUnsigned) return;
    const noted = <T>(run: () => T): T | undefined => {
      try {
        return run();
      } catch (error) {
        if (!(error instanceof MailsealError)) throw error;
        result.unsignedError ??= error;
        return undefined;
      }
    };
    const signature = signedOctets(signerInfo.signature, undefined);
    const results: Verified[] = [];
    result.counterSignatures = results;
    for (const node of noted(() => signerInfo.counterSignatureNodes) ?? []) {
      if (this.#countersLeft-- <= 0) {
        result.unsignedError ??= node.fail('LIMIT_COST', 'too many counter-signatures');
        return;
      }
      const counter = noted(() => new SignerInfo(node));
      if (counter === undefined) continue;
      const verified = this.#verifyOne(counter, signature);
      results.push(verified);
      this.#addCounterSignatures(verified);
    }
  }
}

/** One signer. What is found out on the way is in the result also when a later step fails. */
class Verification {
  readonly result: Verified;
  readonly #info: SignerInfo;
  readonly #signed: SignedOctets;
  readonly #candidates: readonly Certificate[];
  readonly #budget: { checks: number };

  constructor(
    info: SignerInfo,
    signed: SignedOctets,
    candidates: readonly Certificate[],
    budget: { checks: number },
  ) {
    this.#info = info;
    this.#signed = signed;
    this.#candidates = candidates;
    this.#budget = budget;
    const { identifier } = info;
    this.result = { signerInfo: info, identifier, weak: false, valid: false, counterSignatures: [] };
  }

  /** @throws MailsealError why the signer is not valid */
  run(): void {
    const info = this.#info;
    const { result } = this;
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
    info.checkUnsigned();
    if (info.signedAttrs === undefined) {
      this.#verifyContent(scheme);
      return;
    }
    const { contentType } = this.#signed;
    const attributes = new SignedAttributes(info.signedAttrs, contentType === undefined);
    result.signedAttributes = attributes;
    this.#verifyAttributes(info.signedAttrs, scheme, attributes);
    checkProtection(attributes, info);
    // The signature first: of a changed attribute it should not be said that the content was.
    if (attributes.contentType !== contentType) {
      throw info.node.fail('CONTENT_CHANGED', 'the content is of another type than the signed one');
    }
    if (!equal(attributes.messageDigest, this.#signed.digest(digest))) {
      throw info.node.fail('CONTENT_CHANGED', "the content's digest is not the signed one");
    }
  }

  /** The signature is over the content itself (5.4). */
  #verifyContent(scheme: SignatureScheme): void {
    const { node } = this.#info;
    const { octets, contentType = OID.data } = this.#signed;
    if (contentType !== OID.data) {
      throw node.fail('CMS_MALFORMED', 'signed attributes are missing, and the content is not of type data');
    }
    // Strip a signer's attributes, put their DER in the place of the content, and the signature still verifies.
    if (looksLikeAttributes(octets)) {
      throw node.fail('SIGNATURE_INVALID', 'the content is a set of attributes: another message was signed');
    }
    if (!this.#matches(octets, scheme, this.#candidates)) throw this.#invalid();
  }

  /** RFC 5035 5.4: of the certificates that fit, the one that the signed attribute names, and no other. */
  #verifyAttributes(node: DerNode, scheme: SignatureScheme, { signingCertificates }: SignedAttributes): void {
    this.#checkNumber();
    const isNamed = (certificate: Certificate) =>
      signingCertificates.every((one) => isSigningCertificate(one, certificate));
    const named = this.#candidates.filter(isNamed);
    const candidates = named.length > 0 ? named : this.#candidates;
    if (!this.#matchesAttributes(node, scheme, candidates)) throw this.#invalid();
    if (named.length === 0) {
      const message = 'the signed attribute signingCertificate names another certificate';
      throw this.#info.node.fail('SIGNATURE_INVALID', message);
    }
  }

  #matchesAttributes(node: DerNode, scheme: SignatureScheme, candidates: readonly Certificate[]): boolean {
    const der = signedAttributesDer(node);
    if (this.#matches(der, scheme, candidates)) return true;
    if (!node.isDer) return false;
    const received = asReceived(node);
    return !equal(received, der) && this.#matches(received, scheme, candidates);
  }

  #checkNumber(): void {
    if (this.#candidates.length > MAX_SIGNER_CERTIFICATES) {
      const message = `more than ${MAX_SIGNER_CERTIFICATES} certificates for one signer`;
      throw this.#info.node.fail('LIMIT_COST', message);
    }
  }

  #matches(data: Uint8Array, scheme: SignatureScheme, candidates: readonly Certificate[]): boolean {
    this.#checkNumber();
    const { signature } = this.#info;
    let unusable: MailsealError | undefined;
    for (const certificate of candidates) {
      if (this.#budget.checks-- <= 0) {
        const message = `more than ${MAX_SIGNATURE_CHECKS} public-key operations for one message`;
        throw this.#info.node.fail('LIMIT_COST', message);
      }
      try {
        const { publicKey } = certificate;
        if (!verifySignature(scheme, publicKey, data, signature)) continue;
        this.result.certificate = certificate;
        if ((publicKey.modulusLength ?? MIN_STRONG_BITS) < MIN_STRONG_BITS) this.result.weak = true;
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

/** RFC 8419 2.3: what EdDSA hashes with itself. RFC 9882 section 4: what is as strong as ML-DSA. */
const OWN_DIGESTS: Partial<Record<SignatureScheme['kind'], readonly DigestName[]>> = {
  ed25519: ['sha512'],
  ed448: ['shake256'],
  'ml-dsa-44': ML_DSA['ml-dsa-44'].digests,
  'ml-dsa-65': ML_DSA['ml-dsa-65'].digests,
  'ml-dsa-87': ML_DSA['ml-dsa-87'].digests,
};

/** RFC 4056 section 3, RFC 5754 section 3, RFC 8419 3.1: the signature's hash is the one of digestAlgorithm. */
function checkHash({ kind, hash }: SignatureScheme, digest: DigestName, info: SignerInfo): void {
  const wanted = hash === undefined ? (OWN_DIGESTS[kind] ?? []) : [hash];
  if (!wanted.includes(digest)) {
    const message = `digestAlgorithm is ${digest}, but the signature's is ${wanted.join(' or ')}`;
    throw info.node.fail('CMS_MALFORMED', message);
  }
}

/** RFC 6211: nobody has put other algorithms into the message, which its signature does not cover. */
function checkProtection({ algorithmProtection: node }: SignedAttributes, info: SignerInfo): void {
  if (node !== undefined && !protects(node, info.digestAlgorithm, info.signatureAlgorithm)) {
    throw info.node.fail('SIGNATURE_INVALID', 'another algorithm than the signed attributes name');
  }
}
