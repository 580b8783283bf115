/**
 * Making SignedData (RFC 5652 section 5): RSASSA-PKCS1-v1_5 (RFC 5754), RSASSA-PSS (RFC 4056) and ECDSA on P-256, P-384
 * and P-521 (RFC 5753 2.1), always with signed attributes: a signature over bare content could be taken for one over
 * attributes. Refused: SHA-1, a key that is not its certificate's or is too short, a certificate that is not for signing
 * or not for mail, or that is not valid.
 * Exported by signed.ts; used by the S/MIME layer.
 */
import { constants, hash, sign } from 'node:crypto';
import { describeOid, OID } from '../asn1/oids.js';
import { contextConstructed, Tag } from '../asn1/tags.js';
import { type DerWriter, writeDer } from '../asn1/write.js';
import { assertBytes, assertOneOf, concat, equal } from '../bytes.js';
import { MailsealError } from '../errors.js';
import type { Certificate } from '../x509/certificate.js';
import type { CurveName, PrivateKey, PublicKey } from '../x509/keys.js';
import { DIGEST_LENGTH } from './algorithms.js';
import { enclose, type Pieces, writeContentInfo } from './content.js';
import { type CertificateIdentifier, writeIdentifier } from './identifiers.js';
import { checkUsable } from './sending.js';

export type SigningDigest = 'sha256' | 'sha384' | 'sha512';
export type SigningScheme = 'rsassa-pkcs1-v1_5' | 'rsassa-pss';

export interface Signer {
  readonly privateKey: PrivateKey;
  readonly certificate: Certificate;
  /** Certificates between the signer's and a trust anchor, to go with the message. */
  readonly chain?: readonly Certificate[];
  /** Default SHA-256; with EC keys the digest that fits the curve; with a restricted RSASSA-PSS key its own. */
  readonly digest?: SigningDigest;
  /** RSA keys only. Default RSASSA-PKCS1-v1_5; RSASSA-PSS for keys that are for nothing else. */
  readonly scheme?: SigningScheme;
}

export interface SignDataOptions {
  readonly signers: readonly Signer[];
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

const DIGEST_OIDS: Readonly<Record<SigningDigest, string>> = {
  sha256: OID.sha256,
  sha384: OID.sha384,
  sha512: OID.sha512,
};

const SCHEMES: readonly SigningScheme[] = ['rsassa-pkcs1-v1_5', 'rsassa-pss'];

/** How one signer signs. */
interface Plan {
  readonly digest: SigningDigest;
  readonly kind: 'rsa-pkcs1' | 'rsa-pss' | 'ecdsa';
  /** RSASSA-PSS: octets. */
  readonly saltLength: number;
}

/** {@link signedPieces} in one. */
export function signData(content: Uint8Array, options: SignDataOptions): Uint8Array {
  return concat(signedPieces(content, options).pieces);
}

export interface SignedPieces {
  readonly pieces: Pieces;
  /** The digests of the signers, each once. */
  readonly digests: readonly SigningDigest[];
}

/**
 * Signs: a ContentInfo with SignedData, in DER.
 * @param content what is signed, exactly these octets
 * @throws MailsealError KEY_MISMATCH; KEY_UNSUITABLE for a certificate that is not for signing or not valid, or a key
 *   that is too short; UNSUPPORTED_ALGORITHM with the OID for a key of another type
 * @throws RangeError without signers, or for a digest that is not there
 */
export function signedPieces(content: Uint8Array, options: SignDataOptions): SignedPieces {
  assertBytes(content, 'content');
  const { signers, detached = false, contentType = OID.data, now = new Date() } = options;
  const { signingTime = now } = options;
  if (signers.length === 0) throw new RangeError('a signed message needs at least one signer');
  const plans = signers.map((signer) => ({ signer, plan: planFor(signer, now) }));
  const digests = new Map<SigningDigest, Uint8Array>();
  for (const { plan } of plans) {
    if (!digests.has(plan.digest)) digests.set(plan.digest, hash(plan.digest, content, 'buffer'));
  }
  const signerInfos = plans.map(({ signer, plan }) => {
    const messageDigest = digests.get(plan.digest) as Uint8Array;
    const attributes = signedAttributes(contentType, messageDigest, signingTime);
    return signerInfo(signer, plan, attributes, options.signerIdentifier ?? 'issuerAndSerialNumber');
  });
  const head = writeDer((w) => {
    w.integer(versionOf(options));
    w.setOf([...digests.keys()].map((digest) => writeDer((w) => writeDigestAlgorithm(w, digest))));
  });
  const tail = writeDer((w) => {
    if (options.includeCertificates !== false) w.implicitSetOf(0, certificateSet(signers));
    w.setOf(signerInfos);
  });
  const pieces = writeContentInfo(
    OID.signedData,
    enclose(Tag.SEQUENCE, [head, ...encapsulate(contentType, detached ? undefined : content), tail]),
  );
  return { pieces, digests: [...digests.keys()] };
}

/** CMSVersion of 5.1, for messages without attribute certificates and CRLs. */
function versionOf({ contentType = OID.data, signerIdentifier }: SignDataOptions): number {
  return contentType !== OID.data || signerIdentifier === 'subjectKeyIdentifier' ? 3 : 1;
}

function encapsulate(contentType: string, content: Uint8Array | undefined): Pieces {
  const type = writeDer((w) => w.oid(contentType));
  if (content === undefined) return enclose(Tag.SEQUENCE, [type]);
  const octets = enclose(Tag.OCTET_STRING, [content]);
  return enclose(Tag.SEQUENCE, [type, ...enclose(contextConstructed(0), octets)]);
}

/** Each certificate once, since several signers may share a chain. */
function certificateSet(signers: readonly Signer[]): Uint8Array[] {
  const all = signers.flatMap(({ certificate, chain = [] }) => [certificate, ...chain]).map(({ der }) => der);
  return all.filter((der, i) => all.findIndex((other) => equal(other, der)) === i);
}

/** RFC 5754 section 3.3: the hash that is as strong as the curve. */
const CURVE_DIGESTS: Partial<Readonly<Record<CurveName, SigningDigest>>> = {
  'P-256': 'sha256',
  'P-384': 'sha384',
  'P-521': 'sha512',
};

function planFor(signer: Signer, now: Date): Plan {
  const { privateKey, certificate, digest, scheme } = signer;
  const { subject, keyUsage, publicKey } = certificate;
  if (!privateKey.publicKey.equals(publicKey)) {
    throw new MailsealError('KEY_MISMATCH', `the private key is not the one of ${subject}`);
  }
  if (keyUsage !== undefined && !keyUsage.digitalSignature && !keyUsage.nonRepudiation) {
    throw new MailsealError('KEY_UNSUITABLE', `the certificate of ${subject} is not for signing`);
  }
  checkUsable(certificate, now);
  if (scheme !== undefined) assertOneOf(scheme, SCHEMES, 'scheme');
  if (digest !== undefined && !Object.hasOwn(DIGEST_OIDS, digest)) {
    throw new RangeError(`digest must be one of ${Object.keys(DIGEST_OIDS).join(', ')}`);
  }
  const plan = planForKey(publicKey, digest, scheme);
  if (!Object.hasOwn(DIGEST_OIDS, plan.digest)) {
    throw new MailsealError('KEY_UNSUITABLE', `the key of ${subject} is restricted to ${plan.digest}`);
  }
  return plan as Plan;
}

function planForKey(publicKey: PublicKey, digest?: SigningDigest, scheme?: SigningScheme) {
  const { algorithm, algorithmOid: oid, curve, pss } = publicKey;
  switch (algorithm) {
    case 'rsa':
    case 'rsa-pss': {
      const chosen = digest ?? pss?.hash ?? 'sha256';
      if (algorithm === 'rsa' && scheme !== 'rsassa-pss')
        return { digest: chosen, kind: 'rsa-pkcs1', saltLength: 0 };
      if (scheme === 'rsassa-pkcs1-v1_5' || (pss !== undefined && pss.hash !== chosen)) {
        throw new MailsealError('KEY_UNSUITABLE', 'the RSASSA-PSS key is restricted to other parameters');
      }
      const saltLength = Math.max(DIGEST_LENGTH[chosen], pss?.saltLength ?? 0);
      return { digest: chosen, kind: 'rsa-pss', saltLength };
    }
    case 'ec': {
      const fitting = curve && CURVE_DIGESTS[curve];
      if (fitting === undefined) {
        throw new MailsealError('UNSUPPORTED_ALGORITHM', `signing with EC keys on ${curve ?? 'this curve'}`, {
          oid,
        });
      }
      return { digest: digest ?? fitting, kind: 'ecdsa', saltLength: 0 };
    }
    default:
      throw new MailsealError('UNSUPPORTED_ALGORITHM', `signing with keys of ${describeOid(oid)}`, { oid });
  }
}

function attribute(oid: string, value: (w: DerWriter) => void): Uint8Array {
  return writeDer((w) =>
    w.sequence((w) => {
      w.oid(oid);
      w.set(value);
    }),
  );
}

/** What we can decrypt, the best first (RFC 8551 2.5.2). The same octets for every message. */
const SMIME_CAPABILITIES = attribute(OID.smimeCapabilities, (w) =>
  w.sequence((w) => {
    for (const oid of [OID.aes256Cbc, OID.aes192Cbc, OID.aes128Cbc]) w.sequence((w) => w.oid(oid));
  }),
);

/** SignedAttributes as they are signed: a SET OF (5.4). */
function signedAttributes(contentType: string, messageDigest: Uint8Array, signingTime: Date): Uint8Array {
  return writeDer((w) =>
    w.setOf([
      attribute(OID.contentType, (w) => w.oid(contentType)),
      attribute(OID.signingTime, (w) => w.time(signingTime)),
      attribute(OID.messageDigest, (w) => w.octets(messageDigest)),
      SMIME_CAPABILITIES,
    ]),
  );
}

/** The tag of signedAttrs in the message, [0] IMPLICIT, in place of SET. */
const SIGNED_ATTRS = contextConstructed(0);

function signerInfo(
  signer: Signer,
  plan: Plan,
  attributes: Uint8Array,
  identifier: CertificateIdentifier['type'],
): Uint8Array {
  const signature = signAttributes(signer, plan, attributes);
  attributes[0] = SIGNED_ATTRS;
  return writeDer((w) =>
    w.sequence((w) => {
      w.integer(identifier === 'issuerAndSerialNumber' ? 1 : 3);
      writeIdentifier(w, signer.certificate, identifier);
      writeDigestAlgorithm(w, plan.digest);
      w.raw(attributes);
      writeSignatureAlgorithm(w, plan);
      w.octets(signature);
    }),
  );
}

function signAttributes({ privateKey, certificate }: Signer, plan: Plan, data: Uint8Array): Uint8Array {
  const key = privateKey.keyObject;
  try {
    return plan.kind === 'rsa-pss'
      ? sign(plan.digest, data, {
          key,
          padding: constants.RSA_PKCS1_PSS_PADDING,
          saltLength: plan.saltLength,
        })
      : sign(plan.digest, data, key);
  } catch (cause) {
    const { subject } = certificate;
    throw new MailsealError('KEY_UNSUITABLE', `the key of ${subject} can't sign with ${plan.digest}`, {
      cause,
    });
  }
}

/** Without parameters (RFC 5754 section 2). */
function writeDigestAlgorithm(w: DerWriter, digest: SigningDigest): void {
  w.sequence((w) => w.oid(DIGEST_OIDS[digest]));
}

const ECDSA_OIDS: Readonly<Record<SigningDigest, string>> = {
  sha256: OID.ecdsaWithSHA256,
  sha384: OID.ecdsaWithSHA384,
  sha512: OID.ecdsaWithSHA512,
};

function writeSignatureAlgorithm(w: DerWriter, { kind, digest, saltLength }: Plan): void {
  w.sequence((w) => {
    switch (kind) {
      case 'ecdsa':
        w.oid(ECDSA_OIDS[digest]);
        break;
      case 'rsa-pkcs1': // the hash is in digestAlgorithm (RFC 3370 3.2), where the oldest readers look for it
        w.oid(OID.rsaEncryption);
        w.null();
        break;
      case 'rsa-pss':
        w.oid(OID.rsassaPss);
        writePssParameters(w, digest, saltLength);
    }
  });
}

/** RSASSA-PSS-params (RFC 4055 3.1); the hashes with NULL, as 2.1 has it. */
function writePssParameters(w: DerWriter, digest: SigningDigest, saltLength: number): void {
  const hashAlgorithm = (w: DerWriter) =>
    w.sequence((w) => {
      w.oid(DIGEST_OIDS[digest]);
      w.null();
    });
  w.sequence((w) => {
    w.explicit(0, hashAlgorithm);
    w.explicit(1, (w) =>
      w.sequence((w) => {
        w.oid(OID.mgf1);
        hashAlgorithm(w);
      }),
    );
    w.explicit(2, (w) => w.integer(saltLength));
  });
}
