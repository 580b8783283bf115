/**
 * Making SignedData (RFC 5652 section 5), always with signed attributes: a signature over bare content could be taken for
 * one over attributes. Those of S/MIME go with it (RFC 8551 2.5). Which algorithms a key signs with, and which are
 * refused, is in signingplan.ts. Exported by signed.ts; used by the S/MIME layer.
 */
import { OID } from '../asn1/oids.js';
import { contextConstructed, Tag } from '../asn1/tags.js';
import { type Around, type DerValue, type DerWriter, writeDer } from '../asn1/write.js';
import { assertBytes, equal, inPieces, join, type Pieces } from '../bytes.js';
import type { Certificate } from '../x509/certificate.js';
import { digester } from '../x509/digests.js';
import { type AnyPrivateKey, type KeyAlgorithm, PrivateKey } from '../x509/keys.js';
import { attribute } from './attributes.js';
import { writeContent, writeContentInfo, writeContentInfoAround } from './content.js';
import { signWithHandle } from './handles.js';
import { type CertificateIdentifier, writeIdentifier } from './identifiers.js';
import { kemOf } from './kem.js';
import { agreementSchemes, canAgree } from './keyagreement.js';
import {
  type MessageDigest,
  type Plan,
  planFor,
  type Signer,
  signAttributes,
  writeDigestAlgorithm,
  writeSignatureAlgorithm,
} from './signingplan.js';
import {
  writeAlgorithmProtection,
  writeCapabilities,
  writeEncryptionKeyPreference,
  writeSigningCertificate,
} from './smimeattributes.js';

export type { MessageDigest, Signer, SigningDigest, SigningScheme } from './signingplan.js';

export interface SignDataOptions<Key extends AnyPrivateKey = PrivateKey> {
  readonly signers: readonly Signer<Key>[];
  /** Leave the content out of the message. Default false. */
  readonly detached?: boolean;
  /** Dotted OID of the type of the content. Default id-data. */
  readonly contentType?: string;
  /** The moment at which the signers' certificates have to be valid. Default: now. */
  readonly now?: Date;
  /** The time the signers claim. Default: `now`. */
  readonly signingTime?: Date;
  /** Put in the signers' certificates and their chains. Default true. */
  readonly includeCertificates?: boolean;
  /** Default `issuerAndSerialNumber`. */
  readonly signerIdentifier?: CertificateIdentifier['type'];
}

/** {@link signedPieces} in one and at once, with keys of this process. */
export function signData(content: Uint8Array, options: SignDataOptions): Uint8Array {
  assertBytes(content, 'content');
  const planned = planSignatures(options);
  const infos = statementsOf(planned, digester(content)).map((statement) => {
    const { signer, plan, attributes } = statement;
    return signerInfo(statement, signAttributes(signer, plan, attributes), planned.signerIdentifier);
  });
  return join(writeSigned(planned, infos, content));
}

export interface SignedPieces {
  readonly pieces: Pieces;
  /** The digests of the signers, each once. */
  readonly digests: readonly MessageDigest[];
}

/**
 * Signs: a ContentInfo with SignedData, in DER. Keys outside of the process are asked one after the other.
 * @param content what is signed, exactly these octets
 * @throws MailsealError KEY_MISMATCH; KEY_UNSUITABLE for a certificate that is not for signing or not valid, or a key
 *   that is too short; UNSUPPORTED_ALGORITHM with the OID for a key of another type; KEY_UNAVAILABLE for a key outside of
 *   the process, and what its handle throws
 * @throws RangeError without signers, or for a digest that is not there
 */
export async function signedPieces(
  content: Uint8Array,
  options: SignDataOptions<AnyPrivateKey>,
): Promise<SignedPieces> {
  assertBytes(content, 'content');
  const planned = planSignatures(options);
  const infos = await signPlanned(planned, digester(content));
  return { pieces: writeSigned(planned, infos, content), digests: planned.digests };
}

/** Who is to sign, and how: all that is known before the content is. */
export interface PlannedSignatures<Key extends AnyPrivateKey = AnyPrivateKey> {
  readonly options: SignDataOptions<Key>;
  readonly plans: readonly { readonly signer: Signer<Key>; readonly plan: Plan }[];
  /** The digests of the signers, each once. */
  readonly digests: readonly MessageDigest[];
  readonly signerIdentifier: CertificateIdentifier['type'];
  readonly now: Date;
}

/** @throws as {@link signedPieces}, but for what keys outside of the process throw */
export function planSignatures<Key extends AnyPrivateKey>(
  options: SignDataOptions<Key>,
): PlannedSignatures<Key> {
  const { signers, now = new Date(), signerIdentifier = 'issuerAndSerialNumber' } = options;
  if (signers.length === 0) throw new RangeError('a signed message needs at least one signer');
  const plans = signers.map((signer) => ({ signer, plan: planFor(signer, now) }));
  const digests = [...new Set(plans.map(({ plan }) => plan.digest))];
  return { options, plans, digests, signerIdentifier, now };
}

/**
 * @param digest of the content
 * @returns SignerInfos
 */
export async function signPlanned(
  planned: PlannedSignatures,
  digest: (name: MessageDigest) => Uint8Array,
): Promise<readonly DerValue[]> {
  const infos: DerValue[] = [];
  for (const statement of statementsOf(planned, digest)) {
    const { signer, plan, attributes } = statement;
    const { privateKey, certificate } = signer;
    const signature =
      privateKey instanceof PrivateKey
        ? signAttributes({ privateKey, certificate }, plan, attributes)
        : await signWithHandle(privateKey, certificate, plan, attributes);
    infos.push(signerInfo(statement, signature, planned.signerIdentifier));
  }
  return infos;
}

/** What one signer signs, and how. */
interface Statement<Key extends AnyPrivateKey> {
  readonly signer: Signer<Key>;
  readonly plan: Plan;
  readonly algorithms: Algorithms;
  /** SignedAttributes, encoded. */
  readonly attributes: Uint8Array;
}

function statementsOf<Key extends AnyPrivateKey>(
  { options, plans, signerIdentifier, now }: PlannedSignatures<Key>,
  digest: (name: MessageDigest) => Uint8Array,
): Statement<Key>[] {
  const { contentType = OID.data, signingTime = now } = options;
  return plans.map(({ signer, plan }) => {
    const claims = { contentType, messageDigest: digest(plan.digest), signingTime, signerIdentifier };
    const algorithms = algorithmsOf(plan);
    return { signer, plan, algorithms, attributes: signedAttributes(signer, claims, algorithms.protection) };
  });
}

const writeSigned = (planned: PlannedSignatures, infos: readonly DerValue[], content: Uint8Array): Pieces =>
  writeContentInfo(OID.signedData, signedDataOf(planned, infos, inPieces([content])));

/** A ContentInfo around content that comes in chunks, unless it is detached. Without SignerInfos only `before` is right. */
export const signedAround = (planned: PlannedSignatures, infos: readonly DerValue[]): Around =>
  writeContentInfoAround(OID.signedData, signedDataOf(planned, infos, undefined));

/** A ContentInfo with a detached signature, in DER. */
export const signedDetached = (planned: PlannedSignatures, infos: readonly DerValue[]): Uint8Array =>
  join(writeContentInfo(OID.signedData, signedDataOf(planned, infos, undefined)));

/** @param infos SignerInfos @param content undefined if it comes in chunks */
function signedDataOf(
  { options, digests }: PlannedSignatures,
  infos: readonly DerValue[],
  content: Pieces | undefined,
): (w: DerWriter) => void {
  const { signers, detached = false, contentType = OID.data } = options;
  return (w) => {
    w.integer(versionOf(options));
    w.setOf(digests.map((digest) => (w) => writeDigestAlgorithm(w, digest)));
    w.sequence((w) => {
      w.oid(contentType);
      if (!detached) w.explicit(0, (w) => writeContent(w, Tag.OCTET_STRING, content));
    });
    if (options.includeCertificates !== false) w.implicitSetOf(0, certificateSet(signers));
    w.setOf(infos);
  };
}

/** CMSVersion of 5.1, for messages without attribute certificates and CRLs. */
function versionOf({ contentType = OID.data, signerIdentifier }: SignDataOptions<AnyPrivateKey>): number {
  return contentType !== OID.data || signerIdentifier === 'subjectKeyIdentifier' ? 3 : 1;
}

/** Each certificate once, since several signers may share a chain. */
function certificateSet(signers: readonly Signer<AnyPrivateKey>[]): Uint8Array[] {
  const certificates = signers.flatMap(({ certificate, encryptionCertificate, chain = [] }) =>
    encryptionCertificate === undefined
      ? [certificate, ...chain]
      : [certificate, encryptionCertificate, ...chain],
  );
  const all = certificates.map(({ der }) => der);
  return all.filter((der, i) => all.findIndex((other) => equal(other, der)) === i);
}

/** By the kind of key that agrees or encapsulates: the same octets in every message. */
const capabilities = new Map<KeyAlgorithm | undefined, Uint8Array>();

/** SMIMECapabilities of whoever gets answers to this certificate. */
function capabilitiesFor({ publicKey, keyUsage }: Certificate): Uint8Array {
  const agrees = canAgree(publicKey) && (keyUsage === undefined || keyUsage.keyAgreement);
  const encapsulates = kemOf(publicKey) !== undefined && (keyUsage === undefined || keyUsage.keyEncipherment);
  const kind = agrees || encapsulates ? publicKey.algorithm : undefined;
  const known = capabilities.get(kind);
  if (known !== undefined) return known;
  const schemes = agrees ? agreementSchemes(publicKey) : [];
  const kem = encapsulates ? publicKey.algorithmOid : undefined;
  const made = writeDer(attribute(OID.smimeCapabilities, (w) => writeCapabilities(w, schemes, kem)));
  capabilities.set(kind, made);
  return made;
}

/** What is signed beside the signer's own. */
interface Claims {
  readonly contentType: string;
  readonly messageDigest: Uint8Array;
  readonly signingTime: Date;
  readonly signerIdentifier: CertificateIdentifier['type'];
}

/** SignedAttributes as they are signed: a SET OF (5.4). RFC 8551 2.5 wants those of S/MIME, RFC 8933 the protection. */
function signedAttributes(
  { certificate, encryptionCertificate }: Signer<AnyPrivateKey>,
  { contentType, messageDigest, signingTime, signerIdentifier }: Claims,
  algorithmProtection: Uint8Array,
): Uint8Array {
  const preference =
    encryptionCertificate === undefined
      ? []
      : [
          attribute(OID.encrypKeyPref, (w) =>
            writeEncryptionKeyPreference(w, encryptionCertificate, signerIdentifier),
          ),
        ];
  // In the order into which they are sorted.
  const attributes = [
    attribute(OID.contentType, (w) => w.oid(contentType)),
    attribute(OID.signingTime, (w) => w.time(signingTime)),
    algorithmProtection,
    attribute(OID.messageDigest, (w) => w.octets(messageDigest)),
    attribute(OID.signingCertificateV2, (w) => writeSigningCertificate(w, certificate)),
    ...preference,
    capabilitiesFor(encryptionCertificate ?? certificate),
  ];
  return writeDer((w) => w.setOf(attributes));
}

/** Encoded. */
interface Algorithms {
  readonly digestAlgorithm: Uint8Array;
  readonly signatureAlgorithm: Uint8Array;
  /** The attribute that repeats them. */
  readonly protection: Uint8Array;
}

/** By plan: there are few, but for the salts that keys may want. */
const knownAlgorithms = new Map<string, Algorithms>();
const MAX_ALGORITHMS = 64;

function algorithmsOf(plan: Plan): Algorithms {
  const key = JSON.stringify(plan);
  const known = knownAlgorithms.get(key);
  if (known !== undefined) return known;
  const digestAlgorithm = writeDer((w) => writeDigestAlgorithm(w, plan.digest));
  const signatureAlgorithm = writeDer((w) => writeSignatureAlgorithm(w, plan));
  const protection = writeDer(
    attribute(OID.cmsAlgorithmProtection, (w) =>
      writeAlgorithmProtection(w, digestAlgorithm, signatureAlgorithm),
    ),
  );
  const made = { digestAlgorithm, signatureAlgorithm, protection };
  if (knownAlgorithms.size < MAX_ALGORITHMS) knownAlgorithms.set(key, made);
  return made;
}

/** The tag of signedAttrs in the message, [0] IMPLICIT, in place of SET. */
const SIGNED_ATTRS = contextConstructed(0);

/** Gives what writes the SignerInfo. */
function signerInfo(
  { signer, algorithms, attributes }: Statement<AnyPrivateKey>,
  signature: Uint8Array,
  signerIdentifier: CertificateIdentifier['type'],
): (w: DerWriter) => void {
  const { digestAlgorithm, signatureAlgorithm } = algorithms;
  attributes[0] = SIGNED_ATTRS;
  return (w) =>
    w.sequence((w) => {
      w.integer(signerIdentifier === 'issuerAndSerialNumber' ? 1 : 3);
      writeIdentifier(w, signer.certificate, signerIdentifier);
      w.raw(digestAlgorithm);
      w.raw(attributes);
      w.raw(signatureAlgorithm);
      w.octets(signature);
    });
}
