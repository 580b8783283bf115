/**
 * Public keys: SubjectPublicKeyInfo (RFC 5280 4.1.2.7) of RSA (RFC 3279 2.3.1, RFC 4055 1.2), EC (RFC 5480), EdDSA and
 * X25519/X448 (RFC 8410), ML-DSA (RFC 9881), ML-KEM (RFC 9935). The numbers are read from the tape and given to Node as a JWK, since
 * importing DER costs it ten to twenty times as much; the KeyObject is made when it is first used and kept.
 * A key of any other type (DSA) can be read and compared, but using it is UNSUPPORTED_ALGORITHM.
 * Refused: sizes out of bounds, points of a wrong form, explicit EC parameters. Private keys are in privatekey.ts; both
 * are exported by keys.ts.
 */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { expectNullOrAbsent, readAlgorithmIdentifier } from '../asn1/algorithm.js';
import { describeOid, OID } from '../asn1/oids.js';
import { Tag } from '../asn1/tags.js';
import { DerNode, parseDer } from '../asn1/tape.js';
import { readBitOctets, readOid } from '../asn1/values.js';
import { buffer, equal } from '../bytes.js';
import { MailsealError } from '../errors.js';
import { type Curve, type CurveName, checkPointForm, curveOf, uncompressed } from './curves.js';
import { ML_DSA, type MlDsaAlgorithm, requireMlDsa } from './mldsa.js';
import { ML_KEM, type MlKemAlgorithm, requireMlKem } from './mlkem.js';
import { type PssParameters, readPssParameters } from './pss.js';
import { bitLength, type JsonWebKeyFields, type RsaPublic, readRsaPublic, rsaJwk } from './rsa.js';

/** `dsa` and `unknown` keys can be read, not used. */
export type KeyAlgorithm =
  | 'rsa'
  | 'rsa-pss'
  | 'ec'
  | 'ed25519'
  | 'ed448'
  | 'x25519'
  | 'x448'
  | MlDsaAlgorithm
  | MlKemAlgorithm
  | 'dsa'
  | 'unknown';

export type OkpAlgorithm = 'ed25519' | 'ed448' | 'x25519' | 'x448';

/** RFC 8410: octets of a private and of a public key, and the JWK name (RFC 8037). */
export const OKP: Readonly<Record<OkpAlgorithm, { oid: string; size: number; crv: string }>> = {
  ed25519: { oid: OID.Ed25519, size: 32, crv: 'Ed25519' },
  ed448: { oid: OID.Ed448, size: 57, crv: 'Ed448' },
  x25519: { oid: OID.X25519, size: 32, crv: 'X25519' },
  x448: { oid: OID.X448, size: 56, crv: 'X448' },
};

const ALGORITHMS: Readonly<Record<string, KeyAlgorithm>> = {
  [OID.rsaEncryption]: 'rsa',
  [OID.rsassaPss]: 'rsa-pss',
  [OID.ecPublicKey]: 'ec',
  [OID.Ed25519]: 'ed25519',
  [OID.Ed448]: 'ed448',
  [OID.X25519]: 'x25519',
  [OID.X448]: 'x448',
  [OID.mlDsa44]: 'ml-dsa-44',
  [OID.mlDsa65]: 'ml-dsa-65',
  [OID.mlDsa87]: 'ml-dsa-87',
  [OID.mlKem512]: 'ml-kem-512',
  [OID.mlKem768]: 'ml-kem-768',
  [OID.mlKem1024]: 'ml-kem-1024',
  [OID.dsa]: 'dsa',
};

/** AlgorithmIdentifier of a public or private key, as far as it says what key it is. */
export interface KeyType {
  readonly algorithm: KeyAlgorithm;
  readonly oid: string;
  /** EC only; undefined if the curve is not one of curves.ts. */
  readonly curve?: Curve;
  /** Dotted OID of an EC key's named curve, where it is named. */
  readonly curveOid?: string;
  /** rsa-pss only: what the key is restricted to. */
  readonly pss?: PssParameters;
}

/** @throws MailsealError ASN1_*, KEY_MALFORMED, UNSUPPORTED_ALGORITHM (PSS parameters) */
export function readKeyType(node: DerNode): KeyType {
  const { oid, parameters } = readAlgorithmIdentifier(node);
  const algorithm = ALGORITHMS[oid] ?? 'unknown';
  switch (algorithm) {
    case 'rsa':
      // RFC 3279 2.3.1 wants NULL; absent ones exist and mean the same.
      expectNullOrAbsent(parameters, 'parameters of rsaEncryption');
      return { algorithm, oid };
    case 'rsa-pss':
      return parameters === undefined
        ? { algorithm, oid }
        : { algorithm, oid, pss: readPssParameters(parameters) };
    case 'ec': {
      if (!parameters?.is(Tag.OID)) return { algorithm, oid };
      const curveOid = readOid(parameters);
      const curve = curveOf(curveOid);
      return { algorithm, oid, curveOid, ...(curve && { curve }) };
    }
    case 'dsa':
    case 'unknown':
      return { algorithm, oid };
    default:
      if (parameters !== undefined)
        throw parameters.fail('KEY_MALFORMED', `${algorithm} takes no parameters`);
      return { algorithm, oid };
  }
}

/** The key's numbers, read and bounded, in the form in which two keys are compared. */
type Material =
  | { readonly kind: 'rsa'; readonly rsa: RsaPublic }
  | { readonly kind: 'point'; readonly curve: Curve; readonly point: Uint8Array }
  | { readonly kind: 'okp'; readonly algorithm: OkpAlgorithm; readonly x: Uint8Array }
  | { readonly kind: 'ml-dsa'; readonly algorithm: MlDsaAlgorithm }
  | { readonly kind: 'ml-kem'; readonly algorithm: MlKemAlgorithm }
  | { readonly kind: 'opaque' };

function readMaterial(type: KeyType, bits: Uint8Array, node: DerNode): Material {
  switch (type.algorithm) {
    case 'rsa':
    case 'rsa-pss':
      return { kind: 'rsa', rsa: readRsaPublic(parseDer(bits)) };
    case 'ec':
      if (type.curve === undefined) return { kind: 'opaque' };
      checkPointForm(type.curve, bits);
      return { kind: 'point', curve: type.curve, point: bits };
    case 'dsa':
    case 'unknown':
      return { kind: 'opaque' };
    case 'ml-dsa-44':
    case 'ml-dsa-65':
    case 'ml-dsa-87':
      if (bits.length !== ML_DSA[type.algorithm].size) {
        throw node.fail('KEY_MALFORMED', `${type.algorithm} public key of ${bits.length} octets`);
      }
      return { kind: 'ml-dsa', algorithm: type.algorithm };
    case 'ml-kem-512':
    case 'ml-kem-768':
    case 'ml-kem-1024':
      if (bits.length !== ML_KEM[type.algorithm].size) {
        throw node.fail('KEY_MALFORMED', `${type.algorithm} public key of ${bits.length} octets`);
      }
      return { kind: 'ml-kem', algorithm: type.algorithm };
    default:
      if (bits.length !== OKP[type.algorithm].size) {
        throw node.fail('KEY_MALFORMED', `${type.algorithm} public key of ${bits.length} octets`);
      }
      return { kind: 'okp', algorithm: type.algorithm, x: bits };
  }
}

export class PublicKey {
  readonly algorithm: KeyAlgorithm;
  /** Dotted OID of the key's algorithm. */
  readonly algorithmOid: string;
  /** EC only, where the curve is a known one. */
  readonly curve?: CurveName;
  /** EC only: dotted OID of the curve, where it is named. */
  readonly curveOid?: string;
  /** RSA only: bits. */
  readonly modulusLength?: number;
  /** rsa-pss only: what the key's signatures are restricted to (RFC 4055 1.2). */
  readonly pss?: PssParameters;
  /** SubjectPublicKeyInfo, the exact octets. */
  readonly der: Uint8Array;
  /** Content of subjectPublicKey. */
  readonly bits: Uint8Array;
  readonly #type: KeyType;
  readonly #material: Material;
  #keyIdentifier: Uint8Array | undefined;
  #keyObject: KeyObject | undefined;

  private constructor(node: DerNode) {
    const reader = node.reader(Tag.SEQUENCE, 'SubjectPublicKeyInfo');
    this.#type = readKeyType(reader.next(Tag.SEQUENCE, 'algorithm'));
    this.bits = readBitOctets(reader.next(Tag.BIT_STRING, 'subjectPublicKey'), 'subjectPublicKey');
    reader.end();
    this.der = node.bytes;
    this.algorithm = this.#type.algorithm;
    this.algorithmOid = this.#type.oid;
    this.#material = readMaterial(this.#type, this.bits, node);
    if (this.#type.curve !== undefined) this.curve = this.#type.curve.name;
    if (this.#type.curveOid !== undefined) this.curveOid = this.#type.curveOid;
    if (this.#type.pss !== undefined) this.pss = this.#type.pss;
    if (this.#material.kind === 'rsa') this.modulusLength = bitLength(this.#material.rsa.n);
  }

  /**
   * @param spki SubjectPublicKeyInfo, or its node in a larger structure; not copied
   * @throws MailsealError ASN1_*, KEY_MALFORMED, UNSUPPORTED_ALGORITHM (PSS parameters)
   */
  static parse(spki: Uint8Array | DerNode): PublicKey {
    return new PublicKey(spki instanceof DerNode ? spki : parseDer(spki));
  }

  /** SHA-1 of {@link bits}: method (1) of RFC 5280 4.2.1.2. */
  get keyIdentifier(): Uint8Array {
    this.#keyIdentifier ??= createHash('sha1').update(this.bits).digest();
    return this.#keyIdentifier;
  }

  /**
   * Made on first use. An rsa-pss key is a plain RSA one here: `pss` is for the caller to keep to.
   * @throws MailsealError UNSUPPORTED_ALGORITHM with the OID; KEY_MALFORMED for a point that is not on its curve
   */
  get keyObject(): KeyObject {
    this.#keyObject ??= this.#import();
    return this.#keyObject;
  }

  /** Whether both are the same key, whatever their parameters and the form of an EC point. */
  equals(other: PublicKey): boolean {
    const a = this.#material;
    const b = other.#material;
    if (a.kind === 'rsa' && b.kind === 'rsa') return equal(a.rsa.n, b.rsa.n) && equal(a.rsa.e, b.rsa.e);
    if (a.kind === 'okp' && b.kind === 'okp') return a.algorithm === b.algorithm && equal(a.x, b.x);
    if (a.kind === 'point' && b.kind === 'point') {
      if (a.curve !== b.curve) return false;
      return equal(a.point, b.point) || equal(uncompressed(a.curve, a.point), uncompressed(b.curve, b.point));
    }
    return a.kind === b.kind && equal(this.der, other.der);
  }

  #import(): KeyObject {
    const material = this.#material;
    switch (material.kind) {
      case 'rsa':
        return importJwk(rsaJwk(material.rsa));
      case 'okp':
        return importJwk({ kty: 'OKP', crv: OKP[material.algorithm].crv, x: base64url(material.x) });
      case 'point': {
        const { curve } = material;
        if (!curve.jwk) return importSpki(this.der, curve.name);
        return importJwk(pointJwk(curve, uncompressed(curve, material.point)));
      }
      case 'ml-dsa':
        requireMlDsa(material.algorithm);
        return importSpki(this.der, material.algorithm);
      case 'ml-kem': // OpenSSL checks the coefficients (FIPS 203 7.2)
        requireMlKem(material.algorithm);
        return importSpki(this.der, material.algorithm);
      case 'opaque':
        throw unsupportedKey(this.#type);
    }
  }
}

export function unsupportedKey(type: KeyType): MailsealError {
  if (type.algorithm === 'ec') {
    const what = type.curveOid === undefined ? 'with explicit or no parameters' : `on ${type.curveOid}`;
    return new MailsealError('UNSUPPORTED_ALGORITHM', `EC key ${what}`, { oid: type.curveOid ?? type.oid });
  }
  return new MailsealError('UNSUPPORTED_ALGORITHM', `keys of ${describeOid(type.oid)}`, { oid: type.oid });
}

export function base64url(bytes: Uint8Array): string {
  return buffer(bytes).toString('base64url');
}

/** @param point uncompressed */
export function pointJwk(curve: Curve, point: Uint8Array): JsonWebKeyFields {
  const x = base64url(point.subarray(1, 1 + curve.size));
  return { kty: 'EC', crv: curve.name, x, y: base64url(point.subarray(1 + curve.size)) };
}

function importJwk(key: JsonWebKeyFields): KeyObject {
  try {
    return createPublicKey({ key, format: 'jwk' });
  } catch (cause) {
    throw new MailsealError('KEY_MALFORMED', `not a valid ${key.crv ?? key.kty} public key`, { cause });
  }
}

function importSpki(der: Uint8Array, what: string): KeyObject {
  try {
    return createPublicKey({ key: buffer(der), format: 'der', type: 'spki' });
  } catch (cause) {
    throw new MailsealError('KEY_MALFORMED', `not a valid ${what} public key`, { cause });
  }
}
