/**
 * Certificates of messages, parsed once. Mail keeps coming from the same people through the same CAs, and most of what a
 * certificate costs is kept with it: decoded fields, the imported key, the issuer key that its signature was found to
 * match. Being known says nothing about trust. A bounded cache, the least recently used first out.
 */
import type { DerNode } from '../asn1/tape.js';
import { copy, latin1 } from '../bytes.js';
import { Certificate } from './certificate.js';

/** With at most 8 KiB each, twice (as key and as certificate), under 17 MB; 2 MB as certificates are. */
const MAX_KNOWN = 1024;
const MAX_KNOWN_LENGTH = 8192;

const known = new Map<string, Certificate>();

/** The certificate at a node, equal in every octet; it does not keep the node's source alive. @throws MailsealError ASN1_* */
export function knownCertificate(node: DerNode): Certificate {
  const { bytes } = node;
  if (bytes.length > MAX_KNOWN_LENGTH) return Certificate.parse(node);
  const key = latin1(bytes);
  let certificate = known.get(key);
  if (certificate === undefined) {
    certificate = Certificate.parse(copy(bytes));
    if (known.size === MAX_KNOWN) known.delete(known.keys().next().value as string);
  } else {
    known.delete(key); // and to the end of the order
  }
  known.set(key, certificate);
  return certificate;
}
