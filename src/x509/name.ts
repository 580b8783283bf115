/**
 * Distinguished names (X.501; RFC 5280 4.1.2.4 and 7.1) and their text form (RFC 4514). A name is decoded when it is
 * read; its exact octets stay at hand. Refused: an RDN without attributes, anything beside AttributeTypeAndValue.
 * Used by certificates, by CMS for issuerAndSerialNumber, by path validation and by the key store's index.
 */
import { domainToASCII } from 'node:url';
import { OID } from '../asn1/oids.js';
import { Tag } from '../asn1/tags.js';
import type { DerNode } from '../asn1/tape.js';
import { readOid, readString } from '../asn1/values.js';
import { buffer, equal, toHex, utf8 } from '../bytes.js';
import { MailsealError } from '../errors.js';

export interface NameAttribute {
  /** Dotted type. */
  readonly oid: string;
  /** Short name as RFC 4514 prints it (`CN`), or the dotted type. */
  readonly name: string;
  /** Decoded text; undefined if the value is no string, or one that cannot be decoded. */
  readonly text: string | undefined;
  /** The text, or else `#` and the hexadecimal of the encoding. */
  readonly value: string;
  /** The encoded value. */
  readonly node: DerNode;
}

/** RFC 4514 section 3, and further descriptors of the LDAP registry (RFC 4519, RFC 2985) that names really carry. */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  [OID.commonName]: 'CN',
  [OID.surname]: 'sn',
  [OID.serialNumber]: 'serialNumber',
  [OID.countryName]: 'C',
  [OID.localityName]: 'L',
  [OID.stateOrProvinceName]: 'ST',
  [OID.streetAddress]: 'STREET',
  [OID.organizationName]: 'O',
  [OID.organizationalUnitName]: 'OU',
  [OID.title]: 'title',
  [OID.givenName]: 'givenName',
  [OID.initials]: 'initials',
  [OID.generationQualifier]: 'generationQualifier',
  [OID.dnQualifier]: 'dnQualifier',
  [OID.pseudonym]: 'pseudonym',
  [OID.organizationIdentifier]: 'organizationIdentifier',
  [OID.userId]: 'UID',
  [OID.domainComponent]: 'DC',
  [OID.emailAddress]: 'emailAddress',
};

/** 1.2.840.113549.1.9.1, encoded. */
const EMAIL_ADDRESS = Buffer.from('06092a864886f70d010901', 'hex');

export class Name {
  /** The RDNSequence. */
  readonly node: DerNode;
  #rdns: NameAttribute[][] | undefined;
  #comparableText: string | undefined;
  #canonical: Uint8Array | undefined;

  private constructor(node: DerNode) {
    this.node = node;
  }

  /** @throws MailsealError ASN1_UNEXPECTED if it is no SEQUENCE; its inside is checked when it is read */
  static parse(node: DerNode): Name {
    return new Name(node.expect(Tag.SEQUENCE, 'Name'));
  }

  /** The exact octets. */
  get der(): Uint8Array {
    return this.node.bytes;
  }

  get isEmpty(): boolean {
    return this.node.firstChild === undefined;
  }

  /** The RDNs in the order of the encoding. @throws MailsealError ASN1_*, X509_MALFORMED */
  get rdns(): readonly (readonly NameAttribute[])[] {
    this.#rdns ??= readRdns(this.node);
    return this.#rdns;
  }

  /** Addresses in emailAddress attributes (RFC 5280 4.1.2.6), each as {@link normalizeEmail} gives it. */
  get emails(): string[] {
    const emails: string[] = [];
    // Most names have none: looking for the type's octets is a twentieth of the cost of decoding the name.
    if (!buffer(this.der).includes(EMAIL_ADDRESS)) return emails;
    for (const rdn of this.rdns) {
      for (const attribute of rdn) {
        if (attribute.oid !== OID.emailAddress) continue;
        const email = normalizeEmail(attribute.value);
        if (email !== undefined && !emails.includes(email)) emails.push(email);
      }
    }
    return emails;
  }

  /**
   * The comparison form of RFC 5280 7.1: two names are equal when these octets are. Case and white space are folded
   * (RFC 4518), the string type does not count, an RDN is a set. Control characters are kept, where RFC 4518 drops
   * them: a NUL must never make two names equal. Values that are no strings compare by their octets.
   */
  get canonical(): Uint8Array {
    this.#canonical ??= utf8(this.#comparable);
    return this.#canonical;
  }

  equals(other: Name): boolean {
    return equal(this.der, other.der) || this.#comparable === other.#comparable;
  }

  get #comparable(): string {
    this.#comparableText ??= this.rdns.map(comparableRdn).join('');
    return this.#comparableText;
  }

  /**
   * RFC 4514: the last RDN first. Every control, format and unpaired surrogate character is escaped too, so that a
   * name can go to a terminal or a log as it is.
   */
  toString(): string {
    return [...this.rdns]
      .reverse()
      .map((rdn) => rdn.map(printAttribute).join('+'))
      .join(',');
  }

  /**
   * For error messages, which go to logs: a message may hold names of megabytes. Cut after 200 characters; a name that
   * is far longer is not even decoded, one that can't be read is shown in hexadecimal.
   */
  describe(): string {
    const { der } = this;
    if (der.length > MAX_DESCRIBED_OCTETS) return `a name of ${der.length} octets`;
    const text = this.#readableText();
    return text.length > MAX_DESCRIBED ? `${text.slice(0, MAX_DESCRIBED).replace(HALF_PAIR, '')}…` : text;
  }

  #readableText(): string {
    try {
      return this.isEmpty ? 'an empty name' : this.toString();
    } catch (error) {
      if (!(error instanceof MailsealError)) throw error;
      return `#${toHex(this.der)}`;
    }
  }
}

const MAX_DESCRIBED = 200;
const MAX_DESCRIBED_OCTETS = 8192;
const HALF_PAIR = /[\ud800-\udbff]$/;

function readRdns(node: DerNode): NameAttribute[][] {
  return node.children.map((set) => {
    const rdn: NameAttribute[] = [];
    for (const reader = set.reader(Tag.SET, 'RelativeDistinguishedName'); reader.more; ) {
      const pair = reader
        .next(Tag.SEQUENCE, 'AttributeTypeAndValue')
        .reader(Tag.SEQUENCE, 'AttributeTypeAndValue');
      const oid = readOid(pair.next(Tag.OID, 'type'));
      const value = pair.any('value');
      pair.end();
      const text = readText(value);
      rdn.push({ oid, name: SHORT_NAMES[oid] ?? oid, text, value: text ?? hexValue(value), node: value });
    }
    if (rdn.length === 0) throw set.fail('X509_MALFORMED', 'a RelativeDistinguishedName without attributes');
    return rdn;
  });
}

/** Undefined if it is no string type, or one whose octets are no text: such values exist and are compared as octets. */
function readText(node: DerNode): string | undefined {
  try {
    return readString(node);
  } catch (error) {
    if (error instanceof MailsealError) return undefined;
    throw error;
  }
}

function hexValue(node: DerNode): string {
  return `#${toHex(node.bytes)}`;
}

/** Length-prefixed all through, so that no attribute's content can look like a boundary. */
function comparableRdn(rdn: readonly NameAttribute[]): string {
  if (rdn.length === 1) return `1:${comparableAttribute(rdn[0] as NameAttribute)}`;
  return `${rdn.length}:${rdn.map(comparableAttribute).sort().join('')}`;
}

function comparableAttribute({ oid, text, node }: NameAttribute): string {
  // An unpaired surrogate has no UTF-8: such a value compares by its octets.
  if (text === undefined || UNPAIRED_SURROGATE.test(text)) {
    const hex = toHex(node.bytes);
    return `${oid}#${hex.length}:${hex}`;
  }
  const folded = fold(text);
  return `${oid}=${folded.length}:${folded}`;
}

const UNPAIRED_SURROGATE = /\p{Cs}/u;
const PLAIN = /^[!-~]+(?: [!-~]+)*$/;
const WHITE_SPACE = /[\s\u0085]+/g;

/** RFC 4518 section 2: NFKC and case folding, then insignificant spaces away. */
function fold(text: string): string {
  if (PLAIN.test(text)) return text.toLowerCase();
  return text.normalize('NFKC').toLowerCase().normalize('NFKC').replace(WHITE_SPACE, ' ').trim();
}

/** A type without a short name takes the hexadecimal form (RFC 4514 2.4). */
function printAttribute({ oid, name, text, node }: NameAttribute): string {
  const readable = text !== undefined && oid !== name;
  return `${name}=${readable ? escapeValue(text) : hexValue(node)}`;
}

/** What must be escaped wherever it stands (RFC 4514 2.4), and what could steer a terminal or hide text. */
const ESCAPED = /["+,;<>\\]|[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

function escapeValue(text: string): string {
  let escaped = text.replace(ESCAPED, (character) =>
    /["+,;<>\\]/.test(character) ? `\\${character}` : toHex(utf8(character)).replace(/../g, '\\$&'),
  );
  if (/^[ #]/.test(text)) escaped = `\\${escaped}`;
  if (text.length > 1 && text.endsWith(' ')) escaped = `${escaped.slice(0, -1)}\\ `;
  return escaped;
}

/** What nearly every address looks like, and is left as it is. */
const PLAIN_ADDRESS = /^[!#-'*+\-./0-9=?A-Z^_`a-z{|}~]+@[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/;
const ATOM_ADDRESS = /^(?<local>[!#-'*+\-./0-9=?A-Z^_`a-z{|}~\u0080-\u{10ffff}]+)@(?<domain>[^@]+)$/u;
const QUOTED_ADDRESS = /^(?<local>"(?:[ !#-[\]-~\u0080-\u{10ffff}]|\\[ -~])*")@(?<domain>[^@]+)$/u;
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Z}]/u;

/**
 * An address as addresses are compared: the domain in A-labels and lower case, the local part as it is. Undefined for
 * what is no addr-spec, so that `a@good.example\0@bad.example`, a list or a display name can never match a sender.
 */
export function normalizeEmail(address: string): string | undefined {
  if (PLAIN_ADDRESS.test(address)) return address;
  const { local, domain } = (ATOM_ADDRESS.exec(address) ?? QUOTED_ADDRESS.exec(address))?.groups ?? {};
  if (local === undefined || domain === undefined || UNPRINTABLE.test(local.replaceAll(' ', ''))) {
    return undefined;
  }
  if (/^\[[!-Z^-~]+\]$/.test(domain)) return `${local}@${domain.toLowerCase()}`;
  if (/^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(domain)) return `${local}@${domain.toLowerCase()}`;
  if (!/[^!-~]/.test(domain) || !/^[-.\p{L}\p{M}\p{N}]+$/u.test(domain)) return undefined;
  const ascii = domainToASCII(domain);
  return ascii === '' ? undefined : `${local}@${ascii}`;
}
