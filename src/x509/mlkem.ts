/**
 * ML-KEM (FIPS 203) in certificates (RFC 9935), as node:crypto has it from Node.js 24.7 on. Where it has not, public keys
 * are read and compared, and using one, or reading a private one, is UNSUPPORTED_ALGORITHM.
 * Used by publickey.ts, privatekey.ts and CMS.
 */
import * as crypto from 'node:crypto';
import { describeOid, OID } from '../asn1/oids.js';
import { buffer } from '../bytes.js';
import { MailsealError } from '../errors.js';
import { writeSpki } from './spki.js';

export type MlKemAlgorithm = 'ml-kem-512' | 'ml-kem-768' | 'ml-kem-1024';

interface MlKem {
  readonly oid: string;
  /** Octets of a public key (FIPS 203 section 8, table 3). */
  readonly size: number;
  /** Octets of a ciphertext. */
  readonly ciphertextSize: number;
}

export const ML_KEM: Readonly<Record<MlKemAlgorithm, MlKem>> = {
  'ml-kem-512': { oid: OID.mlKem512, size: 800, ciphertextSize: 768 },
  'ml-kem-768': { oid: OID.mlKem768, size: 1184, ciphertextSize: 1088 },
  'ml-kem-1024': { oid: OID.mlKem1024, size: 1568, ciphertextSize: 1568 },
};

export const isMlKem = (algorithm: string): algorithm is MlKemAlgorithm => Object.hasOwn(ML_KEM, algorithm);

/** What the types of Node.js 20, which we compile with, do not have. */
interface Encapsulation {
  readonly encapsulate: (key: crypto.KeyObject) => { sharedKey: Uint8Array; ciphertext: Uint8Array };
  readonly decapsulate: (key: crypto.KeyObject, ciphertext: Uint8Array) => Uint8Array;
}

const native = crypto as typeof crypto & Partial<Encapsulation>;

let supported: boolean | undefined;

/** Whether this Node.js has ML-KEM. */
export function hasMlKem(): boolean {
  supported ??= native.decapsulate !== undefined && importsKey();
  return supported;
}

/** Zeros are a public key: FIPS 203 7.2 only wants each coefficient below the modulus. */
function importsKey(): boolean {
  const { oid, size } = ML_KEM['ml-kem-512'];
  const der = writeSpki(new Uint8Array(size), (w) => w.sequence((w) => w.oid(oid)));
  try {
    crypto.createPublicKey({ key: buffer(der), format: 'der', type: 'spki' });
    return true;
  } catch {
    return false;
  }
}

/** @throws MailsealError UNSUPPORTED_ALGORITHM with the OID, where Node.js has no ML-KEM */
export function requireMlKem(algorithm: MlKemAlgorithm): void {
  if (!hasMlKem()) throw missingMlKem(algorithm);
}

export function missingMlKem(algorithm: MlKemAlgorithm): MailsealError {
  const { oid } = ML_KEM[algorithm];
  return new MailsealError('UNSUPPORTED_ALGORITHM', `${describeOid(oid)} needs Node.js 24`, { oid });
}

/** Of a key that was imported. @returns the shared secret, which the caller wipes, and its ciphertext */
export function encapsulate(key: crypto.KeyObject): { sharedKey: Uint8Array; ciphertext: Uint8Array } {
  return (native as typeof crypto & Encapsulation).encapsulate(key);
}

/**
 * Never fails for a ciphertext of the right size: of one that was not made for this key comes a secret that nobody knows
 * (implicit rejection, FIPS 203 algorithm 18).
 * @returns the shared secret, which the caller wipes
 */
export function decapsulate(key: crypto.KeyObject, ciphertext: Uint8Array): Uint8Array {
  return (native as typeof crypto & Encapsulation).decapsulate(key, ciphertext);
}
