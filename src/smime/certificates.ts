/**
 * Certificate management messages (RFC 8551 3.8): SignedData without any signer, as a mail (smime-type certs-only), in PEM
 * (`.p7b`) or DER (`.p7c`). Nothing in one is signed or trusted: it is a bag that certificates come in. Signed messages
 * bring certificates too, and those are read as well. CRLs and attribute certificates in one are left.
 * Public API.
 */
import { OID } from '../asn1/oids.js';
import { assertOneOf, equal, join } from '../bytes.js';
import { contentOfType, writeContentInfo } from '../cms/content.js';
import { SignedData } from '../cms/signed.js';
import type { Certificate } from '../x509/certificate.js';
import { buildPkcs7Mime } from './build.js';
import { readInput } from './input.js';
import { assertCertificates } from './options.js';

/**
 * The certificates that a message brings, in its order, whoever signed it, if anyone did.
 * @param message a mail, or a CMS object in PEM, BER or DER
 * @throws MailsealError NOT_SMIME, UNSUPPORTED_FEATURE with the OID for another type than SignedData, CMS_MALFORMED,
 *   MIME_MALFORMED, PEM_MALFORMED, ASN1_*, LIMIT_*
 */
export function readCertificates(message: Uint8Array): readonly Certificate[] {
  return SignedData.parse(contentOfType(readInput(message).contentInfo, OID.signedData)).certificates;
}

export interface WriteCertificatesOptions {
  /** A CMS object in DER, or a MIME entity of type application/pkcs7-mime. Default `der`. */
  readonly form?: 'der' | 'mime';
}

/**
 * A message that brings certificates, each once.
 * @throws RangeError without certificates, or for a form that is none; TypeError
 */
export function writeCertificates(
  certificates: readonly Certificate[],
  options: WriteCertificatesOptions = {},
): Uint8Array {
  const { form = 'der' } = options;
  assertOneOf(form, ['der', 'mime'], 'form');
  assertCertificates(certificates, 'certificates');
  if (certificates.length === 0) throw new RangeError('at least one certificate is needed');
  const all = certificates.map(({ der }) => der);
  const content = writeContentInfo(OID.signedData, (w) => {
    w.integer(1);
    w.set(() => {}); // digestAlgorithms
    w.sequence((w) => w.oid(OID.data));
    w.implicitSetOf(
      0,
      all.filter((der, i) => all.findIndex((other) => equal(other, der)) === i),
    );
    w.set(() => {}); // signerInfos
  });
  return form === 'der'
    ? join(content)
    : buildPkcs7Mime({ outer: new Uint8Array(), smimeType: 'certs-only', content });
}
