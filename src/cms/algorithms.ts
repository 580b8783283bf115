/**
 * What the readers of AlgorithmIdentifiers in CMS share: digests (RFC 3370 section 2, RFC 5754), and the error for what
 * is not in their tables, UNSUPPORTED_ALGORITHM with its OID: MD5 as a digest, for one. Content ciphers are in
 * ciphers.ts, key transport in keytransport.ts, key agreement in keyagreement.ts.
 */
import type { AlgorithmIdentifier } from '../asn1/algorithm.js';
import { describeOid } from '../asn1/oids.js';
import { Tag } from '../asn1/tags.js';
import { readNull } from '../asn1/values.js';
import type { MailsealError } from '../errors.js';
import { type DigestName, digestOf, type HashName } from '../x509/digests.js';

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

/** DigestAlgorithmIdentifier; its parameters are absent or NULL. @throws MailsealError UNSUPPORTED_ALGORITHM */
export function readDigestAlgorithm(algorithm: AlgorithmIdentifier): DigestName {
  const hash = digestOf(algorithm.oid);
  if (hash === undefined) throw unsupported(algorithm, 'the digest');
  const { parameters } = algorithm;
  if (parameters !== undefined) readNull(parameters.expect(Tag.NULL, 'parameters of a digest'));
  return hash;
}
