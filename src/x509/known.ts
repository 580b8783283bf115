/**
 * Certificates of messages, parsed once. Mail keeps coming from the same people through the same CAs, and most of what a
 * certificate costs is kept with it: decoded fields, the imported key, the issuer key that its signature was found to
 * match. Being known says nothing about trust. A bounded cache, the least recently used first out.
 */
import { type DerNode, parseDer } from '../asn1/tape.js';
import { copy, equal, latin1 } from '../bytes.js';
import { Certificate } from './certificate.js';

/**
 * Each is kept with a tape of its own, since one that shares an array of 64 KiB with what was parsed beside it would
 * keep all of that. When full, with every field read, that was measured as 10 to 12 MB of certificates as people have
 * them, and as 50 MB of such as fill both limits with names and addresses.
 */
const MAX_KNOWN = 1024;
const MAX_KNOWN_LENGTH = 4096;
const MAX_KNOWN_RECORDS = 256;

/** By their last octets, the end of a signature: whoever makes a second certificate with the same ones gains nothing. */
const known = new Map<string, Certificate>();
const KEY_LENGTH = 32;

/** The certificate at a node, equal in every octet; it does not keep the node's source alive. @throws MailsealError ASN1_* */
export function knownCertificate(node: DerNode): Certificate {
  const { bytes } = node;
  if (bytes.length > MAX_KNOWN_LENGTH || node.size > MAX_KNOWN_RECORDS) return Certificate.parse(node);
  const key = latin1(bytes.subarray(-KEY_LENGTH));
  let certificate = known.get(key);
  // Its octets are handed out as well; whoever changed them must not change what others get.
  if (certificate === undefined || !equal(certificate.der, bytes)) {
    certificate = Certificate.parse(parseDer(copy(bytes), { own: true }));
    if (known.size === MAX_KNOWN) known.delete(known.keys().next().value as string);
  }
  known.delete(key); // and to the end of the order
  known.set(key, certificate);
  return certificate;
}
