/**
 * ML-DSA (FIPS 204) in certificates (RFC 9881) and CMS (RFC 9882), with an empty context, as node:crypto has it from
 * Node.js 24.6 on. Where it has not, such keys are read and compared, and using one is UNSUPPORTED_ALGORITHM. HashML-DSA
 * is in neither RFC. Used by publickey.ts, privatekey.ts, signature.ts and CMS.
 */
import { createPublicKey } from 'node:crypto';
import { describeOid, OID } from '../asn1/oids.js';
import { buffer } from '../bytes.js';
import { MailsealError } from '../errors.js';
import type { DigestName } from './digests.js';
import { writeSpki } from './spki.js';

export type MlDsaAlgorithm = 'ml-dsa-44' | 'ml-dsa-65' | 'ml-dsa-87';

interface MlDsa {
  readonly oid: string;
  /** Octets of a public key. */
  readonly size: number;
  /** RFC 9882 section 4, table 1: digests of the content that are strong enough, where attributes are signed. */
  readonly digests: readonly DigestName[];
}

const LEVEL_5: readonly DigestName[] = ['sha512', 'sha3-512', 'shake256'];
const LEVEL_3: readonly DigestName[] = [...LEVEL_5, 'sha384', 'sha3-384'];

export const ML_DSA: Readonly<Record<MlDsaAlgorithm, MlDsa>> = {
  'ml-dsa-44': { oid: OID.mlDsa44, size: 1312, digests: [...LEVEL_3, 'sha256', 'sha3-256'] },
  'ml-dsa-65': { oid: OID.mlDsa65, size: 1952, digests: LEVEL_3 },
  'ml-dsa-87': { oid: OID.mlDsa87, size: 2592, digests: LEVEL_5 },
};

let supported: boolean | undefined;

/** Whether this Node.js has ML-DSA: it takes any octets of the right number as a public key. */
export function hasMlDsa(): boolean {
  supported ??= importsKey();
  return supported;
}

function importsKey(): boolean {
  const { oid, size } = ML_DSA['ml-dsa-44'];
  const der = writeSpki(new Uint8Array(size), (w) => w.sequence((w) => w.oid(oid)));
  try {
    createPublicKey({ key: buffer(der), format: 'der', type: 'spki' });
    return true;
  } catch {
    return false;
  }
}

/** @throws MailsealError UNSUPPORTED_ALGORITHM with the OID, where Node.js has no ML-DSA */
export function requireMlDsa(algorithm: MlDsaAlgorithm): void {
  if (hasMlDsa()) return;
  const { oid } = ML_DSA[algorithm];
  throw new MailsealError('UNSUPPORTED_ALGORITHM', `${describeOid(oid)} needs Node.js 24`, { oid });
}
