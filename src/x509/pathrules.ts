/**
 * What RFC 5280 section 6.1 asks of each certificate of a path, as checks that path.ts makes one by one. Rules that are
 * not built (policies, name constraints, unknown critical extensions) are answered by a refusal that names them, so
 * that a path which depends on one is never trusted.
 */
import { describeOid, OID } from '../asn1/oids.js';
import { Tag } from '../asn1/tags.js';
import { readOid } from '../asn1/values.js';
import { equal } from '../bytes.js';
import { MailsealError } from '../errors.js';
import type { Certificate } from './certificate.js';
import type { KeyUsageBit } from './extensions.js';
import type { PublicKey } from './keys.js';
import { verifySignature } from './signature.js';

/** Why a path is not trusted, the least specific first: of several failures the last in this list is reported. */
export const PATH_FAILURES = [
  'NO_PATH', // no trust anchor and no intermediate certificate has the issuer's name
  'SIGNATURE_INVALID', // the signature is not the issuer's
  'MALFORMED', // a certificate breaks RFC 5280, or says one thing twice and differently
  'UNSUPPORTED_ALGORITHM', // a signature or key that can't be checked
  'NOT_CA', // an issuer without basicConstraints cA, or not of version 3
  'KEY_USAGE', // keyUsage does not allow this
  'EXTENDED_KEY_USAGE', // extendedKeyUsage is there and does not allow mail
  'PATH_LENGTH', // more intermediate certificates than pathLenConstraint allows
  'WEAK_KEY', // RSA below 1024 bits
  'WEAK_SIGNATURE', // MD2, MD5, or SHA-1 where it was not allowed
  'NOT_YET_VALID',
  'EXPIRED',
  'CRITICAL_EXTENSION', // a critical extension that is not known
  'POLICIES_NOT_CHECKED', // policies that must be checked, which is not built
  'NAME_CONSTRAINTS_NOT_CHECKED', // name constraints, the check of which is not built
  'REVOCATION_NOT_CHECKED', // revocation was asked for, or has to be checked, which is not built
  'LIMIT', // the search took more than its budget
] as const;

export type PathFailure = (typeof PATH_FAILURES)[number];

export interface PathReason {
  readonly code: PathFailure;
  /** One line, with the subject of the certificate at fault. */
  readonly message: string;
}

/** What the end entity's certificate must be good for: S/MIME signing, or receiving encrypted mail (RFC 8550 4.4). */
export type PathPurpose = 'emailProtection' | 'emailEncryption';

/** RFC 8550 4.4.2: one of them, if keyUsage is there at all. */
const PURPOSE_KEY_USAGE: Readonly<Record<PathPurpose, readonly KeyUsageBit[]>> = {
  emailProtection: ['digitalSignature', 'nonRepudiation'],
  emailEncryption: ['keyEncipherment', 'keyAgreement'],
};

/** RFC 8550 section 4.3 calls shorter ones unsafe; 768 bits were factored in 2009. */
const MIN_RSA_BITS = 1024;

/** Extensions that may be critical, since they are checked here or, like names, read by S/MIME. */
const PROCESSED = new Set<string>([OID.keyUsage, OID.basicConstraints, OID.extKeyUsage, OID.subjectAltName]);

const NOT_BUILT: ReadonlyMap<string, PathFailure> = new Map([
  [OID.policyConstraints, 'POLICIES_NOT_CHECKED'],
  [OID.policyMappings, 'POLICIES_NOT_CHECKED'],
  [OID.inhibitAnyPolicy, 'POLICIES_NOT_CHECKED'],
  [OID.nameConstraints, 'NAME_CONSTRAINTS_NOT_CHECKED'],
]);

const NOT_BUILT_IF_CRITICAL: ReadonlyMap<string, PathFailure> = new Map([
  [OID.certificatePolicies, 'POLICIES_NOT_CHECKED'],
  [OID.cRLDistributionPoints, 'REVOCATION_NOT_CHECKED'],
  [OID.freshestCRL, 'REVOCATION_NOT_CHECKED'],
]);

function because(certificate: Certificate, code: PathFailure, what: string): PathReason {
  return { code, message: `${describe(certificate)}: ${what}` };
}

/** A name for messages that can't itself fail. */
export function describe(certificate: Certificate): string {
  try {
    const { subject } = certificate;
    return subject.isEmpty ? 'the certificate without a subject' : subject.describe();
  } catch {
    return 'a certificate with an unreadable subject';
  }
}

/** Runs a check; what the certificate's own getters throw is a failure too. */
export function guarded(
  certificate: Certificate,
  check: () => PathReason | undefined,
): PathReason | undefined {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof MailsealError)) throw error;
    const unsupported = error.code === 'UNSUPPORTED_ALGORITHM' || error.code === 'UNSUPPORTED_FEATURE';
    return because(certificate, unsupported ? 'UNSUPPORTED_ALGORITHM' : 'MALFORMED', error.message);
  }
}

/** 6.1.3 (a)(2) and 6.1.4 (n), (o): of any certificate, the trust anchor included. */
export function checkCertificate(certificate: Certificate, now: Date): PathReason | undefined {
  for (const { oid, critical } of certificate.extensions.values()) {
    const failure = NOT_BUILT.get(oid) ?? (critical ? NOT_BUILT_IF_CRITICAL.get(oid) : undefined);
    if (failure !== undefined) {
      return because(certificate, failure, `${describeOid(oid)} would have to be checked`);
    }
    if (critical && !PROCESSED.has(oid)) {
      return because(certificate, 'CRITICAL_EXTENSION', `unknown critical extension ${describeOid(oid)}`);
    }
  }
  if (certificate.extensions.size > 0 && certificate.version !== 3) {
    return because(certificate, 'MALFORMED', `extensions in a certificate of version ${certificate.version}`);
  }
  // Read for what they would throw: a certificate that breaks its ASN.1 is not relied on.
  void certificate.subject.rdns;
  void certificate.issuer.rdns;
  void certificate.subjectKeyIdentifier;
  void certificate.authorityKeyIdentifier;
  const { notBefore, notAfter } = certificate;
  const seconds = Math.floor(now.getTime() / 1000); // validity ends with its last second, not before it
  if (seconds < notBefore.getTime() / 1000) {
    return because(certificate, 'NOT_YET_VALID', `not valid before ${notBefore.toISOString()}`);
  }
  if (seconds > notAfter.getTime() / 1000) {
    return because(certificate, 'EXPIRED', `expired at ${notAfter.toISOString()}`);
  }
  const bits = certificate.publicKey.modulusLength;
  if (bits !== undefined && bits < MIN_RSA_BITS) {
    return because(certificate, 'WEAK_KEY', `an RSA key of ${bits} bits`);
  }
  if (certificate.issuer.isEmpty) return because(certificate, 'MALFORMED', 'no issuer name'); // 4.1.2.4
  return undefined;
}

/** Of the certificate whose path is asked for. */
export function checkEndEntity(certificate: Certificate, purpose: PathPurpose): PathReason | undefined {
  void certificate.emails; // as above
  const { keyUsage } = certificate;
  const wanted = PURPOSE_KEY_USAGE[purpose];
  if (keyUsage !== undefined && !wanted.some((bit) => keyUsage[bit])) {
    return because(certificate, 'KEY_USAGE', `keyUsage has neither ${wanted.join(' nor ')}`);
  }
  return checkExtendedKeyUsage(certificate);
}

/** 4.2.1.12. In a CA it limits what that CA may issue for, as every browser and OpenSSL take it. */
function checkExtendedKeyUsage(certificate: Certificate): PathReason | undefined {
  const purposes = certificate.extendedKeyUsage;
  if (purposes === undefined) return undefined;
  if (purposes.includes(OID.emailProtection) || purposes.includes(OID.anyExtendedKeyUsage)) return undefined;
  return because(certificate, 'EXTENDED_KEY_USAGE', 'extendedKeyUsage does not include emailProtection');
}

/**
 * 6.1.4 (k) to (n): of a certificate that issues another one.
 * @param below how many intermediate certificates that are not self-issued stand below it
 */
export function checkIssuer(
  certificate: Certificate,
  isAnchor: boolean,
  below: number,
): PathReason | undefined {
  const { basicConstraints, keyUsage } = certificate;
  if (basicConstraints === undefined) {
    // Old roots of version 1 can't say that they are CAs; whoever trusts one does. An intermediate must say so.
    const oldRoot = isAnchor && certificate.version < 3 && certificate.isSelfIssued;
    if (!oldRoot) return because(certificate, 'NOT_CA', 'issues certificates without basicConstraints');
  } else if (!basicConstraints.ca) {
    return because(certificate, 'NOT_CA', 'issues certificates, but is not a CA');
  }
  if (keyUsage !== undefined && !keyUsage.keyCertSign) {
    return because(certificate, 'KEY_USAGE', 'issues certificates, but keyUsage has no keyCertSign');
  }
  const limit = basicConstraints?.pathLenConstraint;
  if (limit !== undefined && below > limit) {
    return because(certificate, 'PATH_LENGTH', `pathLenConstraint ${limit}, ${below} CAs below`);
  }
  return checkExtendedKeyUsage(certificate);
}

/** Broken digests, which signature.ts does not verify at all: named here, since that is the better reason. */
const BROKEN = new Set<string>([OID.md2WithRSAEncryption, OID.md5WithRSAEncryption]);

/**
 * What the certificate says about its own signature (4.1.1.2), before the signature is verified.
 * @param allowSha1 whether to accept SHA-1, for which chosen-prefix collisions exist
 */
export function checkSignatureAlgorithm(
  certificate: Certificate,
  allowSha1: boolean,
): PathReason | undefined {
  const { signatureAlgorithm, tbsSignature } = certificate;
  if (!equal(signatureAlgorithm.bytes, tbsSignature.bytes)) {
    return because(certificate, 'MALFORMED', 'two different signature algorithms');
  }
  const oid = readOid(
    signatureAlgorithm.reader(Tag.SEQUENCE, 'AlgorithmIdentifier').next(Tag.OID, 'algorithm'),
  );
  if (BROKEN.has(oid)) return because(certificate, 'WEAK_SIGNATURE', `signed with ${describeOid(oid)}`);
  return allowSha1 ? undefined : sha1Weakness(certificate);
}

/** The reason not to accept a certificate that was signed with SHA-1; undefined if it was not. */
export function sha1Weakness(certificate: Certificate): PathReason | undefined {
  if (certificate.signatureScheme.hash !== 'sha1') return undefined;
  return because(certificate, 'WEAK_SIGNATURE', 'signed with SHA-1');
}

/**
 * The issuer key that a certificate's signature was last found to match: it need not be verified for every mail. Held
 * weakly, since the key may lie in a whole message that the certificate is to outlive.
 */
const verifiedWith = new WeakMap<Certificate, WeakRef<PublicKey>>();

/**
 * 6.1.3 (a)(1)
 * @param budget drawn on if there is anything to verify; importing the key is a part of what that costs
 */
export function checkSignature(
  certificate: Certificate,
  issuer: Certificate,
  budget: { signatures: number },
): PathReason | undefined {
  const unusable = guarded(issuer, () => {
    if (verifiedWith.get(certificate)?.deref() === issuer.publicKey) return undefined;
    budget.signatures--;
    void issuer.publicKey.keyObject;
    return undefined;
  });
  if (unusable !== undefined) return unusable;
  if (verifiedWith.get(certificate)?.deref() === issuer.publicKey) return undefined;
  const { signatureScheme, tbs, signatureValue } = certificate;
  try {
    if (verifySignature(signatureScheme, issuer.publicKey, tbs, signatureValue)) {
      verifiedWith.set(certificate, new WeakRef(issuer.publicKey));
      return undefined;
    }
  } catch (error) {
    // A key of another type, as a CA's namesake may have.
    if (!(error instanceof MailsealError) || error.code !== 'KEY_UNSUITABLE') throw error;
  }
  return because(certificate, 'SIGNATURE_INVALID', `its signature is not that of ${describe(issuer)}`);
}
