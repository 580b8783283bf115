/**
 * The authorities of the store that may stand above a certificate, by name and key identifier: what a signer sends
 * along, and the intermediates of a path search. No signature is checked here, and being found says nothing about trust.
 * Used by the SQL store.
 */
import { equal } from '../bytes.js';
import { Certificate } from '../x509/certificate.js';
import { hashName } from './record.js';
import type { Database } from './schema.js';
import { authoritiesNamed } from './sql.js';

/** Up to `limit`, the nearest first; roots are left out. */
export async function authoritiesAbove(
  db: Database,
  certificate: Certificate,
  limit: number,
): Promise<Certificate[]> {
  const chain: Certificate[] = [];
  let open = [certificate];
  while (open.length > 0) {
    const names = open.filter((child) => !isSelfSigned(child)).map(({ issuer }) => hashName(issuer));
    const issuers = names.length === 0 ? [] : await authoritiesNamed(db, names);
    const next: Certificate[] = [];
    for (const issuer of issuers.map((der) => Certificate.parse(der))) {
      const known = [certificate, ...chain].some((other) => other.equals(issuer)); // cross-certificates make circles
      if (known || isSelfSigned(issuer) || !open.some((child) => mayHaveIssued(issuer, child))) continue;
      if (chain.length === limit) return chain;
      chain.push(issuer);
      next.push(issuer);
    }
    open = next;
  }
  return chain;
}

function isSelfSigned(certificate: Certificate): boolean {
  return certificate.isSelfIssued && mayHaveIssued(certificate, certificate);
}

/** By name, and by key identifier where both have one: authorities change keys and keep their name. */
function mayHaveIssued(issuer: Certificate, certificate: Certificate): boolean {
  if (!issuer.subject.equals(certificate.issuer)) return false;
  const wanted = certificate.authorityKeyIdentifier?.keyIdentifier;
  const found = issuer.subjectKeyIdentifier;
  return wanted === undefined || found === undefined || equal(wanted, found);
}
