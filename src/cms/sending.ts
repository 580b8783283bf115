/**
 * What signing and encrypting ask of a certificate (RFC 8550 4.4, RFC 8551 section 4), each before it uses the key:
 * mail must be among its purposes, it must be valid, and an RSA key must not be one that has been factored. Whether the
 * certificate may be trusted is not asked here. Used by signing.ts and enveloping.ts.
 */
import { OID } from '../asn1/oids.js';
import { MailsealError } from '../errors.js';
import type { Certificate } from '../x509/certificate.js';

/** RFC 8551 section 4 discourages anything below 2048, and has 1024 for old messages; 829 bits have been factored. */
const MIN_RSA_BITS = 1024;

/** @throws MailsealError KEY_UNSUITABLE, saying since or until when if it is about time; X509_MALFORMED, KEY_MALFORMED */
export function checkUsable(certificate: Certificate, now: Date): void {
  const { extendedKeyUsage, notBefore, notAfter, publicKey } = certificate;
  const refuse = (what: string): never => {
    throw new MailsealError('KEY_UNSUITABLE', `the certificate of ${certificate.subject} ${what}`);
  };
  const { modulusLength = MIN_RSA_BITS } = publicKey;
  if (modulusLength < MIN_RSA_BITS) refuse(`has an RSA key of ${modulusLength} bits`);
  const forMail =
    extendedKeyUsage === undefined ||
    extendedKeyUsage.includes(OID.emailProtection) ||
    extendedKeyUsage.includes(OID.anyExtendedKeyUsage);
  if (!forMail) refuse('is not for mail: extendedKeyUsage does not include emailProtection');
  const time = now.getTime();
  if (Number.isNaN(time)) throw new TypeError('now must be a valid Date');
  if (time < notBefore.getTime()) refuse(`is not valid before ${notBefore.toISOString()}`);
  // It is valid to the end of its last second.
  if (time >= notAfter.getTime() + 1000) refuse(`expired at ${notAfter.toISOString()}`);
}
