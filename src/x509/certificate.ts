/**
 * Certificates (RFC 5280 4.1), BER or DER, versions 1 to 3. The outer structure is read at once, each field when it is
 * asked for, once. Serial numbers that RFC 5280 forbids (zero, negative, over 20 octets) are read, since they only
 * name; whether a certificate may be trusted is path.ts's to say. Used by PFX, CMS, the key store and path validation.
 */
import { createHash } from 'node:crypto';
import { OID } from '../asn1/oids.js';
import { contextConstructed, contextString, Tag } from '../asn1/tags.js';
import { DerNode, parseDer } from '../asn1/tape.js';
import { readBitOctets, readSmallInteger, readTime } from '../asn1/values.js';
import { copy, equal } from '../bytes.js';
import {
  type AuthorityKeyIdentifier,
  type BasicConstraints,
  type Extensions,
  type KeyUsage,
  readAltNameEmails,
  readAuthorityKeyIdentifier,
  readBasicConstraints,
  readExtendedKeyUsage,
  readExtensions,
  readKeyUsage,
  readSubjectKeyIdentifier,
} from './extensions.js';
import { PublicKey } from './keys.js';
import { Name } from './name.js';
import { readSignatureAlgorithm, type SignatureScheme } from './signature.js';

export class Certificate {
  readonly node: DerNode;
  /** AlgorithmIdentifier outside the signed part. RFC 5280 4.1.1.2 wants it equal to {@link tbsSignature}. */
  readonly signatureAlgorithm: DerNode;
  /** AlgorithmIdentifier inside the signed part. */
  readonly tbsSignature: DerNode;
  readonly #tbs: DerNode;
  readonly #version: DerNode | undefined;
  readonly #serialNumber: DerNode;
  readonly #issuer: DerNode;
  readonly #validity: DerNode;
  readonly #subject: DerNode;
  readonly #spki: DerNode;
  readonly #extensionsNode: DerNode | undefined;
  readonly #signature: DerNode;
  readonly #cache: Cache = {};

  private constructor(node: DerNode) {
    this.node = node;
    const outer = node.reader(Tag.SEQUENCE, 'Certificate');
    this.#tbs = outer.next(Tag.SEQUENCE, 'tbsCertificate');
    this.signatureAlgorithm = outer.next(Tag.SEQUENCE, 'signatureAlgorithm');
    this.#signature = outer.next(Tag.BIT_STRING, 'signatureValue');
    outer.end();
    const tbs = this.#tbs.reader(Tag.SEQUENCE, 'tbsCertificate');
    this.#version = tbs.optional(contextConstructed(0));
    this.#serialNumber = tbs.next(Tag.INTEGER, 'serialNumber');
    this.tbsSignature = tbs.next(Tag.SEQUENCE, 'signature');
    this.#issuer = tbs.next(Tag.SEQUENCE, 'issuer');
    this.#validity = tbs.next(Tag.SEQUENCE, 'validity');
    this.#subject = tbs.next(Tag.SEQUENCE, 'subject');
    this.#spki = tbs.next(Tag.SEQUENCE, 'subjectPublicKeyInfo');
    tbs.optional(contextString(1)); // issuerUniqueID and subjectUniqueID: not used by anyone (4.1.2.8)
    tbs.optional(contextString(2));
    this.#extensionsNode = tbs.optional(contextConstructed(3));
    tbs.end();
  }

  /**
   * Reads the outer structure. Nothing is copied: the certificate keeps the whole input of its node alive.
   * @param der the certificate, or its node in a larger structure
   * @throws MailsealError ASN1_*; the getters too, and X509_MALFORMED or KEY_MALFORMED, for the field they read
   */
  static parse(der: Uint8Array | DerNode): Certificate {
    return new Certificate(der instanceof DerNode ? der : parseDer(der));
  }

  /** The exact octets. */
  get der(): Uint8Array {
    return this.node.bytes;
  }
  /** The exact octets that are signed. */
  get tbs(): Uint8Array {
    return this.#tbs.bytes;
  }
  get signatureValue(): Uint8Array {
    return readBitOctets(this.#signature, 'signatureValue');
  }
  /** What {@link signatureAlgorithm} says. @throws MailsealError also UNSUPPORTED_ALGORITHM with the OID */
  get signatureScheme(): SignatureScheme {
    this.#cache.signatureScheme ??= Object.freeze(readSignatureAlgorithm(this.signatureAlgorithm));
    return this.#cache.signatureScheme;
  }

  /** 1, 2 or 3. */
  get version(): number {
    this.#cache.version ??= this.#version === undefined ? 1 : readVersion(this.#version);
    return this.#cache.version;
  }

  /** Content octets of the INTEGER, sign octet included. */
  get serialNumber(): Uint8Array {
    const { content } = this.#serialNumber;
    if (content.length === 0) throw this.#serialNumber.fail('ASN1_BAD_VALUE', 'serialNumber is empty');
    return content;
  }

  get issuer(): Name {
    this.#cache.issuer ??= Name.parse(this.#issuer);
    return this.#cache.issuer;
  }
  get subject(): Name {
    this.#cache.subject ??= Name.parse(this.#subject);
    return this.#cache.subject;
  }
  /** Whether subject and issuer are the same name; says nothing about the signature. */
  get isSelfIssued(): boolean {
    return this.subject.equals(this.issuer);
  }

  get notBefore(): Date {
    this.#cache.notBefore ??= readTime(this.#readValidity()[0]).getTime();
    return new Date(this.#cache.notBefore); // a new one each time: a Date can be changed by whoever gets it
  }
  /** The last second in which the certificate is valid. */
  get notAfter(): Date {
    this.#cache.notAfter ??= readTime(this.#readValidity()[1]).getTime();
    return new Date(this.#cache.notAfter);
  }

  get publicKey(): PublicKey {
    this.#cache.publicKey ??= PublicKey.parse(this.#spki);
    return this.#cache.publicKey;
  }

  /** By dotted OID, in the order of the certificate. */
  get extensions(): Extensions {
    this.#cache.extensions ??= this.#readExtensions();
    return this.#cache.extensions;
  }
  get subjectKeyIdentifier(): Uint8Array | undefined {
    return this.#read(OID.subjectKeyIdentifier, readSubjectKeyIdentifier);
  }
  get authorityKeyIdentifier(): AuthorityKeyIdentifier | undefined {
    return this.#read(OID.authorityKeyIdentifier, readAuthorityKeyIdentifier);
  }
  get keyUsage(): KeyUsage | undefined {
    return this.#read(OID.keyUsage, readKeyUsage);
  }
  /** Dotted OIDs of the purposes. */
  get extendedKeyUsage(): readonly string[] | undefined {
    return this.#read(OID.extKeyUsage, readExtendedKeyUsage);
  }
  get basicConstraints(): BasicConstraints | undefined {
    return this.#read(OID.basicConstraints, readBasicConstraints);
  }

  /**
   * The mail addresses the certificate is for: rfc822Name and SmtpUTF8Mailbox of subjectAltName, then emailAddress of
   * the subject (RFC 8550 3). Domains in lower case and A-labels; each once. What is no plain address is left out.
   */
  get emails(): readonly string[] {
    this.#cache.emails ??= Object.freeze([
      ...new Set([...(this.#read(OID.subjectAltName, readAltNameEmails) ?? []), ...this.subject.emails]),
    ]);
    return this.#cache.emails;
  }

  /** SHA-256 of the whole certificate. */
  get fingerprint(): Uint8Array {
    this.#cache.fingerprint ??= createHash('sha256').update(this.der).digest();
    return copy(this.#cache.fingerprint);
  }

  equals(other: Certificate): boolean {
    return equal(this.der, other.der);
  }

  #readValidity(): [notBefore: DerNode, notAfter: DerNode] {
    const reader = this.#validity.reader(Tag.SEQUENCE, 'validity');
    const times: [DerNode, DerNode] = [reader.any('notBefore'), reader.any('notAfter')];
    reader.end();
    return times;
  }

  #readExtensions(): Extensions {
    if (this.#extensionsNode === undefined) return new Map();
    const reader = this.#extensionsNode.reader(contextConstructed(3), 'extensions');
    const list = reader.next(Tag.SEQUENCE, 'Extensions');
    reader.end();
    return readExtensions(list);
  }

  /** The value of one extension, decoded once. */
  #read<T>(oid: string, read: (node: DerNode) => T): T | undefined {
    const extension = this.extensions.get(oid);
    if (extension === undefined) return undefined;
    this.#cache.decoded ??= new Map();
    const { decoded } = this.#cache;
    if (!decoded.has(oid)) decoded.set(oid, frozen(read(extension.node)));
    return decoded.get(oid) as T;
  }
}

/** @param explicit the [0] */
function readVersion(explicit: DerNode): number {
  const reader = explicit.reader(contextConstructed(0), 'version');
  const version = readSmallInteger(reader.next(Tag.INTEGER, 'version'), 'version') + 1;
  reader.end();
  if (version > 3) throw explicit.fail('X509_MALFORMED', `certificate version ${version}`);
  return version;
}

/** What is handed out and kept: a certificate may be shared by all mail that brings it. Octets can't be frozen. */
function frozen<T>(value: T): T {
  return value instanceof Uint8Array ? value : Object.freeze(value);
}

interface Cache {
  version?: number;
  signatureScheme?: SignatureScheme;
  issuer?: Name;
  subject?: Name;
  /** Milliseconds. */
  notBefore?: number;
  notAfter?: number;
  publicKey?: PublicKey;
  extensions?: Extensions;
  decoded?: Map<string, unknown>;
  emails?: readonly string[];
  fingerprint?: Uint8Array;
}
