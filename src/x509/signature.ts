/**
 * Verifying signatures by their AlgorithmIdentifier: RSASSA-PKCS1-v1_5 and RSASSA-PSS (RFC 4055, RFC 9688), ECDSA
 * (RFC 5758, RFC 9688), EdDSA (RFC 8410) and ML-DSA (RFC 9881), all done by node:crypto, which compares the whole DigestInfo. Refused: MD2,
 * MD5 but where CMS names it in digestAlgorithm too, parameters that the algorithm does not have, a key of another type,
 * or restricted to other parameters, than the algorithm, secp256k1, and RSA keys that take long to verify with.
 * Used by path validation for certificates and by CMS for signers.
 */
import { constants, createPublicKey, type KeyObject, type VerifyKeyObjectInput, verify } from 'node:crypto';
import { expectNullOrAbsent, readAlgorithmIdentifier } from '../asn1/algorithm.js';
import { describeOid, OID } from '../asn1/oids.js';
import type { DerNode } from '../asn1/tape.js';
import { buffer } from '../bytes.js';
import { MailsealError } from '../errors.js';
import type { DigestName } from './digests.js';
import type { MlDsaAlgorithm } from './mldsa.js';
import { type PssParameters, readPssParameters, writePssParameters } from './pss.js';
import type { KeyAlgorithm, PublicKey } from './publickey.js';
import { writeSpki } from './spki.js';

export interface SignatureScheme {
  readonly kind: 'rsa-pkcs1' | 'rsa-pss' | 'ecdsa' | 'ed25519' | 'ed448' | MlDsaAlgorithm;
  /** Dotted OID it was named by. */
  readonly oid: string;
  /** Undefined for EdDSA and ML-DSA, which hash by themselves. */
  readonly hash?: DigestName;
  /** RSASSA-PSS: the hash of MGF1. Absent: the same. */
  readonly maskHash?: DigestName;
  /** RSASSA-PSS: octets, exact. */
  readonly saltLength?: number;
}

const SCHEMES: Readonly<Record<string, readonly [kind: SignatureScheme['kind'], hash?: DigestName]>> = {
  [OID.sha1WithRSAEncryption]: ['rsa-pkcs1', 'sha1'],
  [OID.sha1WithRSASignature]: ['rsa-pkcs1', 'sha1'],
  [OID.sha224WithRSAEncryption]: ['rsa-pkcs1', 'sha224'],
  [OID.sha256WithRSAEncryption]: ['rsa-pkcs1', 'sha256'],
  [OID.sha384WithRSAEncryption]: ['rsa-pkcs1', 'sha384'],
  [OID.sha512WithRSAEncryption]: ['rsa-pkcs1', 'sha512'],
  [OID.sha512_224WithRSAEncryption]: ['rsa-pkcs1', 'sha512-224'],
  [OID.sha512_256WithRSAEncryption]: ['rsa-pkcs1', 'sha512-256'],
  [OID.rsaWithSHA3_224]: ['rsa-pkcs1', 'sha3-224'],
  [OID.rsaWithSHA3_256]: ['rsa-pkcs1', 'sha3-256'],
  [OID.rsaWithSHA3_384]: ['rsa-pkcs1', 'sha3-384'],
  [OID.rsaWithSHA3_512]: ['rsa-pkcs1', 'sha3-512'],
  [OID.rsassaPss]: ['rsa-pss'],
  [OID.ecdsaWithSHA1]: ['ecdsa', 'sha1'],
  [OID.ecdsaWithSHA224]: ['ecdsa', 'sha224'],
  [OID.ecdsaWithSHA256]: ['ecdsa', 'sha256'],
  [OID.ecdsaWithSHA384]: ['ecdsa', 'sha384'],
  [OID.ecdsaWithSHA512]: ['ecdsa', 'sha512'],
  [OID.ecdsaWithSHA3_224]: ['ecdsa', 'sha3-224'],
  [OID.ecdsaWithSHA3_256]: ['ecdsa', 'sha3-256'],
  [OID.ecdsaWithSHA3_384]: ['ecdsa', 'sha3-384'],
  [OID.ecdsaWithSHA3_512]: ['ecdsa', 'sha3-512'],
  [OID.Ed25519]: ['ed25519'],
  [OID.Ed448]: ['ed448'],
  [OID.mlDsa44]: ['ml-dsa-44'],
  [OID.mlDsa65]: ['ml-dsa-65'],
  [OID.mlDsa87]: ['ml-dsa-87'],
};

type Named = readonly [kind?: SignatureScheme['kind'], hash?: DigestName];

/** Names that say the algorithm only together with the digestAlgorithm of CMS (RFC 3370 3.2). */
function namedByDigest(oid: string, digest: DigestName | undefined): Named {
  if (digest !== undefined && digest !== 'shake256' && oid === OID.rsaEncryption)
    return ['rsa-pkcs1', digest];
  // Of a certificate, MD5 gives a false CA (2008): so it is no algorithm of certificates here.
  if (digest === 'md5' && oid === OID.md5WithRSAEncryption) return ['rsa-pkcs1', digest];
  return [];
}

/**
 * Reads a signature's AlgorithmIdentifier.
 * @param digest CMS only: what digestAlgorithm says
 * @throws MailsealError ASN1_*, X509_MALFORMED, UNSUPPORTED_ALGORITHM with the OID
 */
export function readSignatureAlgorithm(node: DerNode, digest?: DigestName): SignatureScheme {
  const { oid, parameters } = readAlgorithmIdentifier(node);
  const [kind, hash] = SCHEMES[oid] ?? namedByDigest(oid, digest);
  switch (kind) {
    case undefined:
      throw node.fail('UNSUPPORTED_ALGORITHM', `signatures with ${describeOid(oid)}`, { oid });
    case 'rsa-pss':
      // Absent only in a key: RFC 4055 section 3.1.
      if (parameters === undefined) throw node.fail('X509_MALFORMED', 'RSASSA-PSS without its parameters');
      return { kind, oid, ...readPssParameters(parameters) };
    case 'rsa-pkcs1':
      expectNullOrAbsent(parameters, 'parameters of an RSA signature');
      break;
    default:
      if (parameters !== undefined) {
        throw parameters.fail('X509_MALFORMED', `${describeOid(oid)} takes no parameters`);
      }
  }
  return { kind, oid, ...(hash && { hash }) };
}

const KEYS: Readonly<Record<SignatureScheme['kind'], readonly KeyAlgorithm[]>> = {
  'rsa-pkcs1': ['rsa'],
  'rsa-pss': ['rsa', 'rsa-pss'],
  ecdsa: ['ec'],
  ed25519: ['ed25519'],
  ed448: ['ed448'],
  'ml-dsa-44': ['ml-dsa-44'],
  'ml-dsa-65': ['ml-dsa-65'],
  'ml-dsa-87': ['ml-dsa-87'],
};

/** Longer keys can be read, not used: time grows with the square of the length, and a message may bring any key. */
export const MAX_RSA_VERIFY_BITS = 8192;

/**
 * What node:crypto's verify and Verify.verify take as the key of this scheme.
 * @throws MailsealError KEY_UNSUITABLE if the key may not verify it; UNSUPPORTED_ALGORITHM, KEY_MALFORMED for the key
 */
function verificationKey(scheme: SignatureScheme, publicKey: PublicKey): VerifyKeyObjectInput {
  if (!KEYS[scheme.kind].includes(publicKey.algorithm)) {
    throw new MailsealError('KEY_UNSUITABLE', `a ${publicKey.algorithm} key can't verify ${scheme.kind}`);
  }
  const { modulusLength = 0, algorithmOid: oid, curve } = publicKey;
  if (curve === 'secp256k1') throw unsupportedCurve();
  if (modulusLength > MAX_RSA_VERIFY_BITS) {
    const message = `verifying with an RSA key of ${modulusLength} bits, the limit is ${MAX_RSA_VERIFY_BITS}`;
    throw new MailsealError('UNSUPPORTED_ALGORITHM', message, { oid });
  }
  const { pss } = publicKey;
  if (scheme.kind !== 'rsa-pss') return { key: publicKey.keyObject };
  const { hash = 'sha1', maskHash = hash, saltLength = 0 } = scheme;
  if (pss !== undefined && !allows(pss, { hash, maskHash, saltLength })) {
    throw new MailsealError('KEY_UNSUITABLE', 'the key is restricted to other parameters of RSASSA-PSS');
  }
  const key =
    maskHash === hash ? publicKey.keyObject : withMaskHash(publicKey, { hash, maskHash, saltLength });
  return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
}

/** RFC 4055 3.3: the same hashes, and no shorter salt than the key's parameters say. */
const allows = (key: PssParameters, signature: PssParameters): boolean =>
  key.hash === signature.hash &&
  key.maskHash === signature.maskHash &&
  key.saltLength <= signature.saltLength;

/** Node has no option for MGF1's hash, but OpenSSL takes it from the parameters of an RSASSA-PSS key. */
function withMaskHash({ bits }: PublicKey, parameters: PssParameters): KeyObject {
  const der = writeSpki(bits, (w) =>
    w.sequence((w) => {
      w.oid(OID.rsassaPss);
      writePssParameters(w, parameters);
    }),
  );
  try {
    return createPublicKey({ key: buffer(der), format: 'der', type: 'spki' });
  } catch (cause) {
    const { hash, maskHash } = parameters;
    const message = `RSASSA-PSS with ${hash}, and MGF1 with ${maskHash}`;
    throw new MailsealError('UNSUPPORTED_ALGORITHM', message, { oid: OID.mgf1, cause });
  }
}

/** Bitcoin's curve, which no RFC on certificates or S/MIME has. */
export function unsupportedCurve(): MailsealError {
  return new MailsealError('UNSUPPORTED_ALGORITHM', 'signatures by EC keys on secp256k1', {
    oid: OID.secp256k1,
  });
}

/** Whether `signature` is the key's over `data`. Throws as {@link verificationKey}. */
export function verifySignature(
  scheme: SignatureScheme,
  publicKey: PublicKey,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  const key = verificationKey(scheme, publicKey);
  // RFC 8017 8.1.2 and 8.2.2, step 1. OpenSSL leaves it out for RSASSA-PSS: there a leading zero may be missing.
  const { modulusLength } = publicKey;
  if (modulusLength !== undefined && signature.length !== Math.ceil(modulusLength / 8)) return false;
  try {
    return verify(scheme.hash, data, scheme.kind === 'rsa-pss' ? key : key.key, signature);
  } catch {
    // OpenSSL raises an error, where it could answer false, for a key too short for the digest.
    return false;
  }
}
