/**
 * Signed attributes of S/MIME and ESS: SMIMECapabilities and SMIMEEncryptionKeyPreference (RFC 8551 2.5.2, 2.5.3; and
 * the form of the latter that Outlook writes), signingCertificate and signingCertificateV2 (RFC 5035),
 * CMSAlgorithmProtection (RFC 6211). What they say of certificates is what the signer says, and makes none trusted.
 * Policies and further certificates of a signing certificate are kept in the attribute and not looked at.
 * Used by attributes.ts, verification.ts, signing.ts and choice.ts; by the key store for capabilities.
 */
import { type AlgorithmIdentifier, readAlgorithmIdentifier } from '../asn1/algorithm.js';
import { describeOid, OID, oidName } from '../asn1/oids.js';
import { context, contextConstructed, contextString, Tag } from '../asn1/tags.js';
import type { DerNode, DerReader } from '../asn1/tape.js';
import { readOctets, readOid } from '../asn1/values.js';
import { type DerWriter, writeDer } from '../asn1/write.js';
import { copy, equal } from '../bytes.js';
import type { Certificate } from '../x509/certificate.js';
import { type DigestName, digester, digestOf } from '../x509/digests.js';
import { Name } from '../x509/name.js';
import { type CertificateIdentifier, readIssuerAndSerialNumber, writeIdentifier } from './identifiers.js';
import { writeKeyTransport } from './keytransport.js';

/** What a mail program says it can read. */
export interface SmimeCapability {
  /** Dotted OID. */
  readonly oid: string;
  /** Its name, where the OID table has it. */
  readonly name?: string;
  /** The encoded parameters, where there are any: of RC2 the length of the key. */
  readonly parameters?: Uint8Array;
}

/** SMIMECapabilities ::= SEQUENCE OF SMIMECapability, the preferred ones first. @throws MailsealError ASN1_* */
export function readCapabilities(node: DerNode): SmimeCapability[] {
  const items = node.expect(Tag.SEQUENCE, 'SMIMECapabilities').children;
  return items.map((item) => {
    const reader = item.reader(Tag.SEQUENCE, 'SMIMECapability');
    const oid = readOid(reader.next(Tag.OID, 'capabilityID'));
    const capability: { oid: string; name?: string; parameters?: Uint8Array } = { oid };
    const name = oidName(oid);
    if (name !== undefined) capability.name = name;
    if (reader.more) capability.parameters = copy(reader.any('parameters').bytes);
    reader.end();
    return capability;
  });
}

/** Ciphers that we decrypt, the best first, and with a content key that is bound to them (RFC 9709). */
const OUR_CAPABILITIES = [
  OID.aes256Gcm,
  OID.aes128Gcm,
  OID.aeadChaCha20Poly1305,
  OID.aes256Cbc,
  OID.aes192Cbc,
  OID.aes128Cbc,
  OID.cekHkdfSha256,
];

/**
 * With RSAES-OAEP, which nobody may use for us who does not know that we read it (RFC 3560).
 * @param schemes of key agreement, dotted OIDs; each is written with the key wraps that go with it (RFC 5753, RFC 8418)
 * @param kem dotted OID, written without parameters (RFC 9936 2.4)
 */
export function writeCapabilities(w: DerWriter, schemes: readonly string[], kem?: string): void {
  w.sequence((w) => {
    for (const oid of OUR_CAPABILITIES) w.sequence((w) => w.oid(oid));
    for (const scheme of schemes) {
      for (const wrap of [OID.aes256Wrap, OID.aes128Wrap]) {
        w.sequence((w) => {
          w.oid(scheme);
          w.sequence((w) => w.oid(wrap));
        });
      }
    }
    if (kem !== undefined) w.sequence((w) => w.oid(kem));
    writeKeyTransport(w, 'rsaes-oaep');
  });
}

/** SMIMECapabilities as they were read: to be kept. */
export function encodeCapabilities(capabilities: readonly SmimeCapability[]): Uint8Array {
  return writeDer((w) =>
    w.sequence((w) => {
      for (const { oid, parameters } of capabilities) {
        w.sequence((w) => {
          w.oid(oid);
          if (parameters !== undefined) w.raw(parameters);
        });
      }
    }),
  );
}

/**
 * SMIMEEncryptionKeyPreference: [0] IssuerAndSerialNumber, [1] RecipientKeyIdentifier, [2] SubjectKeyIdentifier; Outlook's
 * attribute is an IssuerAndSerialNumber. @throws MailsealError ASN1_*
 */
export function readEncryptionKeyPreference(node: DerNode): CertificateIdentifier {
  if (node.is(contextString(2))) return { type: 'subjectKeyIdentifier', keyIdentifier: readOctets(node) };
  if (!node.is(contextConstructed(1))) {
    const tag = node.is(contextConstructed(0)) ? contextConstructed(0) : Tag.SEQUENCE;
    return readIssuerAndSerialNumber(node, tag, 'SMIMEEncryptionKeyPreference');
  }
  const reader = node.reader(contextConstructed(1), 'RecipientKeyIdentifier');
  const keyIdentifier = readOctets(reader.next(Tag.OCTET_STRING, 'subjectKeyIdentifier'));
  reader.optional(Tag.GENERALIZED_TIME);
  reader.optional(Tag.SEQUENCE);
  reader.end();
  return { type: 'subjectKeyIdentifier', keyIdentifier };
}

/** Names the certificate as the signers are named: [0] or [2]. @throws MailsealError KEY_UNSUITABLE */
export function writeEncryptionKeyPreference(
  w: DerWriter,
  certificate: Certificate,
  type: CertificateIdentifier['type'],
): void {
  const tag = type === 'issuerAndSerialNumber' ? contextConstructed(0) : context(2);
  writeIdentifier(w, certificate, type, tag);
}

/** ESSCertID, ESSCertIDv2: the certificate that a signature is to be verified with. */
export interface SigningCertificate {
  readonly hash: DigestName;
  readonly certHash: Uint8Array;
  readonly issuerSerial?: { readonly issuer: Name; readonly serialNumber: Uint8Array };
}

/**
 * SigningCertificate and SigningCertificateV2 (RFC 5035 sections 4 and 3): the first certificate is the signer's (5.4.1).
 * @throws MailsealError ASN1_*; UNSUPPORTED_ALGORITHM with the OID of the hash
 */
export function readSigningCertificate(node: DerNode, version: 1 | 2): SigningCertificate {
  const outer = node.reader(Tag.SEQUENCE, 'SigningCertificate');
  const certs = outer.next(Tag.SEQUENCE, 'certs').reader(Tag.SEQUENCE, 'certs');
  outer.optional(Tag.SEQUENCE); // policies
  outer.end();
  const reader = certs.next(Tag.SEQUENCE, 'ESSCertID').reader(Tag.SEQUENCE, 'ESSCertID');
  const hash = version === 1 ? 'sha1' : readCertificateHash(reader);
  const certHash = readOctets(reader.next(Tag.OCTET_STRING, 'certHash'));
  const issuerSerial = reader.optional(Tag.SEQUENCE);
  reader.end();
  return { hash, certHash, ...(issuerSerial && { issuerSerial: readIssuerSerial(issuerSerial) }) };
}

/** hashAlgorithm AlgorithmIdentifier DEFAULT { algorithm id-sha256 } */
function readCertificateHash(reader: DerReader): DigestName {
  const node = reader.optional(Tag.SEQUENCE);
  if (node === undefined) return 'sha256';
  const { oid } = readAlgorithmIdentifier(node, 'hashAlgorithm');
  const hash = digestOf(oid);
  if (hash !== undefined) return hash;
  throw node.fail('UNSUPPORTED_ALGORITHM', `a signing certificate by ${describeOid(oid)}`, { oid });
}

/** IssuerSerial ::= SEQUENCE { issuer GeneralNames, serialNumber INTEGER }; of a certificate the issuer is one directoryName. */
function readIssuerSerial(node: DerNode) {
  const reader = node.reader(Tag.SEQUENCE, 'IssuerSerial');
  const names = reader.next(Tag.SEQUENCE, 'issuer').reader(Tag.SEQUENCE, 'issuer');
  const serialNumber = reader.next(Tag.INTEGER, 'serialNumber').content;
  reader.end();
  const directoryName = names.next(contextConstructed(4), 'directoryName');
  names.end();
  const inner = directoryName.reader(contextConstructed(4), 'directoryName');
  const issuer = Name.parse(inner.next(Tag.SEQUENCE, 'directoryName'));
  inner.end();
  return { issuer, serialNumber };
}

/** Each computed once: many signers may name one big certificate. */
const digests = new WeakMap<Certificate, (name: DigestName) => Uint8Array>();

function certificateDigest(certificate: Certificate, hash: DigestName): Uint8Array {
  if (hash === 'sha256') return certificate.fingerprint;
  const digest = digests.get(certificate) ?? digester(certificate.der);
  digests.set(certificate, digest);
  return digest(hash);
}

/** Whether it is this certificate that the attribute names. */
export function isSigningCertificate(
  { hash, certHash, issuerSerial }: SigningCertificate,
  certificate: Certificate,
): boolean {
  if (!equal(certHash, certificateDigest(certificate, hash))) return false;
  if (issuerSerial === undefined) return true;
  const { issuer, serialNumber } = issuerSerial;
  return equal(serialNumber, certificate.serialNumber) && issuer.equals(certificate.issuer);
}

/** SigningCertificateV2 with SHA-256, its default. The issuer is left out, as it is in the signer's identifier or not wanted. */
export function writeSigningCertificate(w: DerWriter, certificate: Certificate): void {
  w.sequence((w) => w.sequence((w) => w.sequence((w) => w.octets(certificate.fingerprint))));
}

/**
 * Whether CMSAlgorithmProtection names these algorithms (RFC 6211 section 2).
 * @throws MailsealError ASN1_*, also if it protects a MAC
 */
export function protects(
  node: DerNode,
  digestAlgorithm: AlgorithmIdentifier,
  signatureAlgorithm: AlgorithmIdentifier,
): boolean {
  const reader = node.reader(Tag.SEQUENCE, 'CMSAlgorithmProtection');
  const digest = readAlgorithmIdentifier(reader.next(Tag.SEQUENCE, 'digestAlgorithm'));
  const signature = reader.next(contextConstructed(1), 'signatureAlgorithm');
  reader.end();
  const named = readAlgorithmIdentifier(signature, 'signatureAlgorithm', contextConstructed(1));
  return sameAlgorithm(digest, digestAlgorithm) && sameAlgorithm(named, signatureAlgorithm);
}

/** Absent parameters and NULL are the same (RFC 6211 section 2: by value, not by octets). */
function sameAlgorithm(a: AlgorithmIdentifier, b: AlgorithmIdentifier): boolean {
  return a.oid === b.oid && equal(parametersOf(a), parametersOf(b));
}

const parametersOf = ({ parameters }: AlgorithmIdentifier): Uint8Array =>
  parameters === undefined || parameters.is(Tag.NULL) ? new Uint8Array() : parameters.bytes;

/** @param digestAlgorithm encoded @param signatureAlgorithm encoded */
export function writeAlgorithmProtection(
  w: DerWriter,
  digestAlgorithm: Uint8Array,
  signatureAlgorithm: Uint8Array,
): void {
  const tagged = copy(signatureAlgorithm);
  tagged[0] = contextConstructed(1);
  w.sequence((w) => {
    w.raw(digestAlgorithm);
    w.raw(tagged);
  });
}
