/**
 * Elliptic curves by name (RFC 5480, RFC 5639) and their points. Explicit curve parameters are never used: a key that
 * brings its own generator can be made to match anyone's public key (CVE-2020-0601). Used by keys.ts.
 */
import { createECDH, ECDH } from 'node:crypto';
import { OID } from '../asn1/oids.js';
import { MailsealError } from '../errors.js';

export type CurveName =
  | 'P-256'
  | 'P-384'
  | 'P-521'
  | 'P-224'
  | 'secp256k1'
  | 'brainpoolP256r1'
  | 'brainpoolP384r1'
  | 'brainpoolP512r1'
  | 'brainpoolP256t1'
  | 'brainpoolP384t1'
  | 'brainpoolP512t1';

export interface Curve {
  readonly name: CurveName;
  readonly oid: string;
  /** The name OpenSSL has for it. */
  readonly openssl: string;
  /** Octets of a coordinate and of a private scalar. */
  readonly size: number;
  /** Whether Node imports it as a JWK; all others go through DER, which costs 160 to 500 µs more. */
  readonly jwk: boolean;
  /**
   * As strong as the curve (RFC 5754 section 3.3, RFC 5753 section 8). Absent: CMS neither signs nor encrypts with it, as it
   * is too short, or not among those of S/MIME.
   */
  readonly digest?: 'sha256' | 'sha384' | 'sha512';
}

/** RFC 5639; OpenSSL has the same names. */
const brainpool = (
  name: CurveName & `brainpool${string}`,
  size: number,
  digest: NonNullable<Curve['digest']>,
): Curve => ({ name, oid: OID[name], openssl: name, size, jwk: false, digest });

const CURVES: readonly Curve[] = [
  { name: 'P-256', oid: OID.secp256r1, openssl: 'prime256v1', size: 32, jwk: true, digest: 'sha256' },
  { name: 'P-384', oid: OID.secp384r1, openssl: 'secp384r1', size: 48, jwk: true, digest: 'sha384' },
  { name: 'P-521', oid: OID.secp521r1, openssl: 'secp521r1', size: 66, jwk: true, digest: 'sha512' },
  { name: 'P-224', oid: OID.secp224r1, openssl: 'secp224r1', size: 28, jwk: false },
  { name: 'secp256k1', oid: OID.secp256k1, openssl: 'secp256k1', size: 32, jwk: false },
  brainpool('brainpoolP256r1', 32, 'sha256'),
  brainpool('brainpoolP384r1', 48, 'sha384'),
  brainpool('brainpoolP512r1', 64, 'sha512'),
  brainpool('brainpoolP256t1', 32, 'sha256'),
  brainpool('brainpoolP384t1', 48, 'sha384'),
  brainpool('brainpoolP512t1', 64, 'sha512'),
];

const byOid = new Map(CURVES.map((curve) => [curve.oid, curve]));

/** @param oid undefined of a key that names no curve */
export function curveOf(oid: string | undefined): Curve | undefined {
  return oid === undefined ? undefined : byOid.get(oid);
}

/** Octets of ECPoint, by their first one: 04 uncompressed, 02 and 03 compressed (RFC 5480 2.2; no hybrid form). */
export function checkPointForm(curve: Curve, point: Uint8Array): void {
  const form = point[0];
  const length = form === 4 ? 1 + 2 * curve.size : form === 2 || form === 3 ? 1 + curve.size : -1;
  if (point.length !== length) {
    throw new MailsealError('KEY_MALFORMED', `not a point on ${curve.name}: ${point.length} octets`);
  }
}

/** The uncompressed form; a point that is uncompressed already is returned as it is, unchecked. */
export function uncompressed(curve: Curve, point: Uint8Array): Uint8Array {
  checkPointForm(curve, point);
  if (point[0] === 4) return point;
  try {
    return ECDH.convertKey(point, curve.openssl, undefined, undefined, 'uncompressed') as Buffer;
  } catch (cause) {
    throw new MailsealError('KEY_MALFORMED', `not a point on ${curve.name}`, { cause });
  }
}

/** Octets of a public key as others take them: a point of one of these curves uncompressed, all else as it is. */
export function rawPoint(curveOid: string | undefined, bits: Uint8Array): Uint8Array {
  const curve = curveOf(curveOid);
  return curve === undefined ? bits : uncompressed(curve, bits);
}

/** The scalar in the length RFC 5915 section 3 wants. Writers that dropped or added leading zeros exist. */
export function fixedScalar(curve: Curve, scalar: Uint8Array): Uint8Array {
  let start = 0;
  while (start < scalar.length && scalar[start] === 0) start++;
  const length = scalar.length - start;
  if (length === 0 || length > curve.size) {
    throw new MailsealError('KEY_MALFORMED', `not a private key on ${curve.name}: ${scalar.length} octets`);
  }
  const fixed = new Uint8Array(curve.size);
  fixed.set(scalar.subarray(start), curve.size - length);
  return fixed;
}

/** The uncompressed public point of a private scalar. @throws MailsealError KEY_MALFORMED if it is out of range */
export function publicPoint(curve: Curve, scalar: Uint8Array): Uint8Array {
  const ecdh = createECDH(curve.openssl);
  try {
    ecdh.setPrivateKey(scalar);
    return ecdh.getPublicKey();
  } catch (cause) {
    throw new MailsealError('KEY_MALFORMED', `the private key is out of range for ${curve.name}`, { cause });
  }
}
