/**
 * A small hierarchy (Root, CA, Alice) and the calls that the tests of path validation share: issue a CA or a leaf that
 * is wrong in one thing, validate it, name the outcome. Called by path.test.ts and path-rules.test.ts.
 */
import { type DerWriter, writeDer } from '../../src/asn1/write.js';
import { Certificate } from '../../src/x509/certificate.js';
import { type PathOptions, type PathResult, validatePath } from '../../src/x509/path.js';
import {
  type CertificateInput,
  type ExtensionInput,
  type IssuedCertificate,
  issueCertificate,
} from './pki.js';

export const NOW = new Date('2025-01-01T00:00:00Z');
export const der = (issued: IssuedCertificate) => Certificate.parse(issued.certificate);

export const root = issueCertificate({ subject: 'Root', ca: true });
export const ca = issueCertificate({ subject: 'CA', ca: true, issuer: root });
export const alice = issueCertificate({ subject: 'Alice', emails: ['alice@example.org'], issuer: ca });

export function validate(
  endEntity: IssuedCertificate,
  intermediates: readonly IssuedCertificate[],
  options: Partial<PathOptions> & { anchors?: readonly IssuedCertificate[] } = {},
): PathResult {
  const { anchors = [root], ...rest } = options;
  return validatePath(der(endEntity), {
    trust: anchors.map(der),
    intermediates: intermediates.map(der),
    now: NOW,
    purpose: 'emailProtection',
    ...rest,
  });
}

export const outcome = (result: PathResult) => result.reason?.code ?? 'trusted';
export const names = (result: PathResult) => result.path.map((certificate) => certificate.subject.toString());
export const caOf = (input: Partial<CertificateInput> = {}) =>
  issueCertificate({ subject: 'A CA', ca: true, issuer: root, ...input });
export const leafOf = (issuer: IssuedCertificate, input: Partial<CertificateInput> = {}) =>
  issueCertificate({ subject: 'Leaf', issuer, ...input });
export const extension = (
  oid: string,
  critical: boolean,
  build: (w: DerWriter) => void = (w) => w.null(),
): ExtensionInput => ({
  oid,
  critical,
  value: writeDer(build),
});
