/**
 * How a signer signs: which algorithms its key and certificate want, the signature itself, and the AlgorithmIdentifiers
 * that say so. RSASSA-PKCS1-v1_5 (RFC 5754), RSASSA-PSS (RFC 4056), ECDSA on P-256, P-384, P-521 and the Brainpool curves
 * (RFC 5753 2.1, RFC 5639), Ed25519 and Ed448 (RFC 8419), ML-DSA (RFC 9882) where Node.js has it. Refused: SHA-1, a key that is not its certificate's or is too
 * short, a certificate that is not for signing or not for mail, or that is not valid. Used by signing.ts.
 */
import { constants, createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { describeOid, OID } from '../asn1/oids.js';
import type { DerWriter } from '../asn1/write.js';
import { assertOneOf, buffer, wipe } from '../bytes.js';
import { MailsealError } from '../errors.js';
import type { Certificate } from '../x509/certificate.js';
import { curveOf } from '../x509/curves.js';
import { digestOid } from '../x509/digests.js';
import { type AnyPrivateKey, assertKeyHandle, PrivateKey, type PublicKey } from '../x509/keys.js';
import { ML_DSA, type MlDsaAlgorithm } from '../x509/mldsa.js';
import { type PssParameters, writePssParameters } from '../x509/pss.js';
import { unsupportedCurve } from '../x509/signature.js';
import { DIGEST_LENGTH } from './algorithms.js';
import { checkUsable } from './sending.js';

export type SigningDigest = 'sha256' | 'sha384' | 'sha512';
export type SigningScheme = 'rsassa-pkcs1-v1_5' | 'rsassa-pss';

export interface Signer<Key extends AnyPrivateKey = PrivateKey> {
  readonly privateKey: Key;
  readonly certificate: Certificate;
  /** Certificates between the signer's and a trust anchor, to go with the message. */
  readonly chain?: readonly Certificate[];
  /**
   * Default SHA-256; with EC keys the digest that fits the curve; with a restricted RSASSA-PSS key its own. An Ed25519 key
   * takes SHA-512 only, an Ed448 key none of these: its own is SHAKE256. ML-DSA has SHA-512, or what is as strong as the key.
   */
  readonly digest?: SigningDigest;
  /** RSA keys only. Default RSASSA-PKCS1-v1_5; RSASSA-PSS for keys that are for nothing else. */
  readonly scheme?: SigningScheme;
  /** The signer's other certificate, to which answers are to be encrypted: named in the signature and sent with it. */
  readonly encryptionCertificate?: Certificate;
}

const DIGESTS: readonly SigningDigest[] = ['sha256', 'sha384', 'sha512'];

const SCHEMES: readonly SigningScheme[] = ['rsassa-pkcs1-v1_5', 'rsassa-pss'];

/** What a message is digested with: SHAKE256 by Ed448 alone (RFC 8419 2.3). */
export type MessageDigest = SigningDigest | 'shake256';

/** How one signer signs. */
export type Plan =
  | { readonly kind: 'rsa-pkcs1' | 'ecdsa'; readonly digest: SigningDigest }
  | { readonly kind: 'rsa-pss'; readonly digest: SigningDigest; readonly pss: PssParameters }
  | { readonly kind: 'ed25519' | 'ed448' | MlDsaAlgorithm; readonly digest: MessageDigest };

export function planFor(signer: Signer<AnyPrivateKey>, now: Date): Plan {
  const { privateKey, certificate, digest, scheme, encryptionCertificate } = signer;
  const { subject, keyUsage, publicKey } = certificate;
  if (!(privateKey instanceof PrivateKey)) assertKeyHandle(privateKey);
  if (!privateKey.publicKey.equals(publicKey)) {
    throw new MailsealError('KEY_MISMATCH', `the private key is not the one of ${subject}`);
  }
  if (keyUsage !== undefined && !keyUsage.digitalSignature && !keyUsage.nonRepudiation) {
    throw new MailsealError('KEY_UNSUITABLE', `the certificate of ${subject} is not for signing`);
  }
  checkUsable(certificate, now);
  if (encryptionCertificate !== undefined) checkEncryptionCertificate(encryptionCertificate, now);
  checkAlgorithms(signer);
  return planForKey(publicKey, digest, scheme);
}

/** @throws RangeError for a digest or a scheme that is not there */
export function checkAlgorithms({ digest, scheme }: Pick<Signer, 'digest' | 'scheme'>): void {
  if (scheme !== undefined) assertOneOf(scheme, SCHEMES, 'scheme');
  if (digest !== undefined) assertOneOf(digest, DIGESTS, 'digest');
}

/** Whoever answers would be told to use one that can't be used. */
function checkEncryptionCertificate(certificate: Certificate, now: Date): void {
  const { keyUsage, subject } = certificate;
  if (keyUsage !== undefined && !keyUsage.keyEncipherment && !keyUsage.keyAgreement) {
    throw new MailsealError('KEY_UNSUITABLE', `the certificate of ${subject} is not for encryption`);
  }
  checkUsable(certificate, now);
}

function planForKey(publicKey: PublicKey, digest?: SigningDigest, scheme?: SigningScheme): Plan {
  const { algorithm, algorithmOid: oid, curve, curveOid, pss } = publicKey;
  switch (algorithm) {
    case 'rsa':
      if (scheme !== 'rsassa-pss') return { kind: 'rsa-pkcs1', digest: digest ?? 'sha256' };
      return planPss(undefined, digest);
    case 'rsa-pss':
      if (scheme === 'rsassa-pkcs1-v1_5') {
        throw new MailsealError('KEY_UNSUITABLE', 'the key is for RSASSA-PSS only');
      }
      return planPss(pss, digest);
    case 'ec': {
      if (curve === 'secp256k1') throw unsupportedCurve();
      const fitting = curveOf(curveOid)?.digest;
      if (fitting === undefined) {
        const message = `signing with EC keys on ${curve ?? 'this curve'}`;
        throw new MailsealError('UNSUPPORTED_ALGORITHM', message, { oid });
      }
      return { kind: 'ecdsa', digest: digest ?? fitting };
    }
    case 'ed25519':
    case 'ed448': {
      const own = algorithm === 'ed25519' ? 'sha512' : 'shake256';
      if (digest !== undefined && digest !== own) {
        throw new MailsealError(
          'KEY_UNSUITABLE',
          `an ${algorithm} key signs with ${own} only, not with ${digest}`,
        );
      }
      return { kind: algorithm, digest: own };
    }
    case 'ml-dsa-44':
    case 'ml-dsa-65':
    case 'ml-dsa-87': {
      const chosen = digest ?? 'sha512';
      if (!ML_DSA[algorithm].digests.includes(chosen)) {
        throw new MailsealError('KEY_UNSUITABLE', `${chosen} is weaker than an ${algorithm} key`);
      }
      return { kind: algorithm, digest: chosen };
    }
    default:
      throw new MailsealError('UNSUPPORTED_ALGORITHM', `signing with keys of ${describeOid(oid)}`, { oid });
  }
}

/** RFC 4056: MGF1 with the same hash and a salt of its length, if the key's own parameters do not say otherwise. */
function planPss(restriction: PssParameters | undefined, wanted: SigningDigest | undefined): Plan {
  const digest = wanted ?? DIGESTS.find((one) => one === restriction?.hash) ?? 'sha256';
  if (restriction !== undefined && restriction.hash !== digest) {
    throw new MailsealError('KEY_UNSUITABLE', `the key is restricted to RSASSA-PSS with ${restriction.hash}`);
  }
  const saltLength = Math.max(DIGEST_LENGTH[digest], restriction?.saltLength ?? 0);
  return { kind: 'rsa-pss', digest, pss: { hash: digest, maskHash: digest, ...restriction, saltLength } };
}

export function signAttributes(
  { privateKey, certificate }: Signer,
  plan: Plan,
  data: Uint8Array,
): Uint8Array {
  const { keyObject } = privateKey;
  try {
    switch (plan.kind) {
      case 'rsa-pss': {
        const { hash, maskHash, saltLength } = plan.pss;
        const key = hash === maskHash ? keyObject : restrictedKey(privateKey);
        return sign(hash, data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength });
      }
      case 'rsa-pkcs1':
      case 'ecdsa':
        return sign(plan.digest, data, keyObject);
      default:
        return sign(null, data, keyObject);
    }
  } catch (cause) {
    const { subject } = certificate;
    throw new MailsealError('KEY_UNSUITABLE', `the key of ${subject} can't sign with ${plan.digest}`, {
      cause,
    });
  }
}

/** With the parameters of its PKCS#8: Node has no option for MGF1's hash, and OpenSSL takes it from the key. */
function restrictedKey(privateKey: PrivateKey): KeyObject {
  const pkcs8 = privateKey.toPkcs8();
  try {
    return createPrivateKey({ key: buffer(pkcs8), format: 'der', type: 'pkcs8' });
  } finally {
    wipe(pkcs8);
  }
}

/** Without parameters (RFC 5754 section 2), but for the length that RFC 8419 3.1 wants of SHAKE256. */
export function writeDigestAlgorithm(w: DerWriter, digest: MessageDigest): void {
  w.sequence((w) => {
    w.oid(digestOid(digest));
    if (digest === 'shake256') w.integer(512);
  });
}

const ECDSA_OIDS: Readonly<Record<SigningDigest, string>> = {
  sha256: OID.ecdsaWithSHA256,
  sha384: OID.ecdsaWithSHA384,
  sha512: OID.ecdsaWithSHA512,
};

export function writeSignatureAlgorithm(w: DerWriter, plan: Plan): void {
  w.sequence((w) => {
    switch (plan.kind) {
      case 'ecdsa':
        w.oid(ECDSA_OIDS[plan.digest]);
        break;
      case 'rsa-pkcs1': // the hash is in digestAlgorithm (RFC 3370 3.2), where the oldest readers look for it
        w.oid(OID.rsaEncryption);
        w.null();
        break;
      case 'rsa-pss':
        w.oid(OID.rsassaPss);
        writePssParameters(w, plan.pss);
        break;
      case 'ed25519':
        w.oid(OID.Ed25519);
        break;
      case 'ed448':
        w.oid(OID.Ed448);
        break;
      default:
        w.oid(ML_DSA[plan.kind].oid);
    }
  });
}
