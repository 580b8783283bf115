/**
 * What the readers of AlgorithmIdentifiers in CMS share: the lengths of digests, and the error for what is not in their
 * tables, UNSUPPORTED_ALGORITHM with its OID. Content ciphers are in ciphers.ts, key transport in keytransport.ts, key
 * agreement in keyagreement.ts; digests are in x509/digests.ts.
 */
import type { AlgorithmIdentifier } from '../asn1/algorithm.js';
import { describeOid } from '../asn1/oids.js';
import type { MailsealError } from '../errors.js';
import type { HashName } from '../x509/digests.js';

export function unsupported({ oid, node }: AlgorithmIdentifier, what: string): MailsealError {
  return node.fail('UNSUPPORTED_ALGORITHM', `${what} ${describeOid(oid)}`, { oid });
}

/** Octets of a digest. */
export const DIGEST_LENGTH: Readonly<Record<HashName, number>> = {
  sha1: 20,
  sha224: 28,
  sha256: 32,
  sha384: 48,
  sha512: 64,
};
