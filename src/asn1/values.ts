/**
 * Decoding of ASN.1 values (X.690 section 8): each function takes a node whose tag the caller has checked through the
 * schema (an IMPLICIT tag hides the type) and decodes its content octets. Content that does not fit the type is
 * ASN1_BAD_VALUE with its offset.
 */
import { concat, copy, latin1 } from '../bytes.js';
import { OID, oidName } from './oids.js';
import type { DerNode } from './tape.js';

/** OID content over this many octets is refused: real ones are below 30 (CVE-2025-66030: cost of huge arcs). */
const MAX_OID_OCTETS = 128;

/** INTEGER as a bigint. */
export function readInteger(node: DerNode): bigint {
  const content = integerContent(node, 'INTEGER');
  const hex = Buffer.from(content).toString('hex');
  return BigInt.asIntN(content.length * 8, BigInt(`0x${hex}`));
}

/** A non-negative INTEGER or ENUMERATED that must not exceed `max`, at most 2^48. */
export function readSmallInteger(node: DerNode, what: string, max = 0x7fff_ffff): number {
  const content = integerContent(node, what);
  if (((content[0] as number) & 0x80) !== 0) throw node.fail('ASN1_BAD_VALUE', `${what} is negative`);
  let value = 0;
  if (content.length <= 7) for (const octet of content) value = value * 256 + octet;
  if (content.length > 7 || value > max) throw node.fail('ASN1_BAD_VALUE', `${what} is over ${max}`);
  return value;
}

/** The magnitude of a non-negative INTEGER, without leading zero octets (zero is one octet). */
export function readUnsigned(node: DerNode, what: string): Uint8Array {
  const content = integerContent(node, what);
  if (((content[0] as number) & 0x80) !== 0) throw node.fail('ASN1_BAD_VALUE', `${what} is negative`);
  let start = 0;
  while (start < content.length - 1 && content[start] === 0) start++;
  return content.subarray(start);
}

function integerContent(node: DerNode, what: string): Uint8Array {
  const content = node.content;
  if (content.length === 0) throw node.fail('ASN1_BAD_VALUE', `${what} has no content octets`);
  return content;
}

/** BOOLEAN; BER takes any non-zero octet for true (8.2.2). */
export function readBoolean(node: DerNode): boolean {
  const content = node.content;
  if (content.length !== 1) throw node.fail('ASN1_BAD_VALUE', 'BOOLEAN must have one content octet');
  return content[0] !== 0;
}

export function readNull(node: DerNode): null {
  if (node.content.length !== 0) throw node.fail('ASN1_BAD_VALUE', 'NULL must be empty');
  return null;
}

/**
 * What readOid has found to be an OID of the table, by a hash of its content: as many as the table has at most. Their
 * dotted forms are the table's own strings, which V8 finds in maps and records three times as fast as equal ones.
 */
const known = new Map<number, { readonly content: Uint8Array; readonly dotted: string }>();

/** OBJECT IDENTIFIER in dotted form (8.19). To compare with a known one, compare that string. */
export function readOid(node: DerNode): string {
  const content = node.content;
  if (content.length === 0 || content.length > MAX_OID_OCTETS) {
    throw node.fail('ASN1_BAD_VALUE', `OBJECT IDENTIFIER of ${content.length} octets`);
  }
  let hash = 0;
  for (let i = 0; i < content.length; i++) hash = (Math.imul(hash, 31) + (content[i] as number)) | 0;
  const found = known.get(hash);
  if (found !== undefined && sameOctets(found.content, content)) return found.dotted;
  const dotted = decodeOid(node, content);
  const name = oidName(dotted);
  if (name !== undefined) known.set(hash, { content: copy(content), dotted: OID[name] });
  return dotted;
}

/** For a few octets; of more, equal() is faster. */
function sameOctets(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function decodeOid(node: DerNode, content: Uint8Array): string {
  if ((content[content.length - 1] as number) > 127) {
    throw node.fail('ASN1_BAD_VALUE', 'OBJECT IDENTIFIER ends inside an arc');
  }
  let text = '';
  let arc = 0;
  let start = 0;
  for (let i = 0; i < content.length; i++) {
    const octet = content[i] as number;
    if (i === start && octet === 0x80) {
      throw node.fail('ASN1_BAD_VALUE', 'OBJECT IDENTIFIER with a padded arc');
    }
    arc = arc * 128 + (octet & 127);
    if (octet > 127) continue;
    const value = i - start < 7 ? arc : wideArc(content, start, i);
    text += text === '' ? firstArcs(value) : `.${value}`;
    arc = 0;
    start = i + 1;
  }
  return text;
}

/** The first two arcs share one subidentifier: 40 x + y (8.19.4). */
function firstArcs(value: number | bigint): string {
  if (value < 40) return `0.${value}`;
  if (value < 80) return `1.${Number(value) - 40}`;
  return `2.${typeof value === 'bigint' ? value - 80n : value - 80}`;
}

/** An arc over 2^49, such as the UUIDs below 2.25. */
function wideArc(content: Uint8Array, start: number, last: number): bigint {
  let arc = 0n;
  for (let i = start; i <= last; i++) arc = (arc << 7n) | BigInt((content[i] as number) & 127);
  return arc;
}

/** OCTET STRING; the segments of a constructed one are joined (8.7.3). A view if it is primitive. */
export function readOctets(node: DerNode): Uint8Array {
  return node.constructed ? concat(segments(node, 0x04)) : node.content;
}

/**
 * The primitive segments of a constructed string, in order, at any depth. They are OCTET STRINGs, also those of a
 * character string or time (8.23.6), and BIT STRINGs only in a BIT STRING (8.6.4).
 */
function segments(node: DerNode, identifier: number): Uint8Array[] {
  const parts: Uint8Array[] = [];
  const open = [...node.children].reverse();
  for (let segment = open.pop(); segment !== undefined; segment = open.pop()) {
    if ((segment.identifier & 0xdf) !== identifier) {
      throw segment.fail('ASN1_UNEXPECTED', `a segment of a string is ${segment.describe()}`);
    }
    if (!segment.constructed) parts.push(segment.content);
    else for (const child of segment.children.reverse()) open.push(child); // not spread: there may be millions
  }
  return parts;
}

export interface BitString {
  bytes: Uint8Array;
  /** Bits of the last octet that do not count, 0 to 7. */
  unusedBits: number;
}

/** BIT STRING; of a constructed one only the last segment may have unused bits (8.6.4). */
export function readBitString(node: DerNode): BitString {
  const parts = node.constructed ? segments(node, 0x03) : [node.content];
  let unusedBits = 0;
  const bytes = parts.map((part, i) => {
    const unused = part[0];
    if (unused === undefined || unused > 7 || (unused > 0 && part.length === 1)) {
      throw node.fail('ASN1_BAD_VALUE', 'BIT STRING with a bad count of unused bits');
    }
    if (unused > 0 && i < parts.length - 1) {
      throw node.fail('ASN1_BAD_VALUE', 'BIT STRING with unused bits before its last segment');
    }
    unusedBits = unused;
    return part.subarray(1);
  });
  return { bytes: bytes.length === 1 ? (bytes[0] as Uint8Array) : concat(bytes), unusedBits };
}

/** The octets of a BIT STRING that holds whole octets: a key or a signature. */
export function readBitOctets(node: DerNode, what: string): Uint8Array {
  const { bytes, unusedBits } = readBitString(node);
  if (unusedBits !== 0) throw node.fail('ASN1_BAD_VALUE', `${what}: BIT STRING is not whole octets`);
  return bytes;
}

const UTF8_DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A character string of any universal type. TeletexString is read as Latin-1, as every peer does. */
export function readString(node: DerNode): string {
  const tag = node.tagNumber;
  const content = node.constructed ? concat(segments(node, 0x04)) : node.content;
  if (node.tagClass !== 0) throw node.fail('ASN1_UNEXPECTED', `${node.describe()} is not a string type`);
  switch (tag) {
    case 12:
      return readUtf8(content, node);
    case 18: // NumericString
    case 19: // PrintableString
    case 22: // IA5String
    case 26: // VisibleString
    case 27: // GeneralString
    case 25: // GraphicString
    case 20: // TeletexString
    case 21: // VideotexString
      // Latin-1 for all of them: certificates with Latin-1 octets in PrintableString or IA5String exist.
      return latin1(content);
    case 28:
      return readUniversalString(content, node);
    case 30:
      return readBmpString(content, node);
    default:
      throw node.fail('ASN1_UNEXPECTED', `${node.describe()} is not a string type`);
  }
}

/** UTF-8 content octets, for a type that an IMPLICIT tag hides. */
export function readUtf8(content: Uint8Array, node: DerNode): string {
  try {
    return UTF8_DECODER.decode(content);
  } catch (cause) {
    throw node.fail('ASN1_BAD_VALUE', 'UTF8String with octets that are not UTF-8', { cause });
  }
}

/** BMPString is UCS-2; surrogate pairs, which Windows writes, are kept and so read as UTF-16. */
function readBmpString(content: Uint8Array, node: DerNode): string {
  if (content.length % 2 !== 0) throw node.fail('ASN1_BAD_VALUE', 'BMPString with an odd number of octets');
  return Buffer.from(content).swap16().toString('utf16le');
}

function readUniversalString(content: Uint8Array, node: DerNode): string {
  if (content.length % 4 !== 0) {
    throw node.fail('ASN1_BAD_VALUE', 'UniversalString whose length is not a multiple of 4');
  }
  const view = new DataView(content.buffer, content.byteOffset, content.length);
  const characters: string[] = [];
  for (let at = 0; at < content.length; at += 4) {
    const code = view.getUint32(at);
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
      throw node.fail('ASN1_BAD_VALUE', `UniversalString with code point ${code}`);
    }
    characters.push(String.fromCodePoint(code));
  }
  return characters.join('');
}

const UTC_TIME = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(Z|[+-]\d{4})$/;
const GENERALIZED_TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(?:(\d\d)(?:(\d\d)(?:[.,](\d+))?)?)?(Z|[+-]\d{4})$/;

/**
 * UTCTime or GeneralizedTime. Zones, missing seconds and fractions of BER are read; a local time without a zone,
 * which names no moment, is refused. UTCTime years 50 to 99 are 1950 to 1999 (RFC 5280 4.1.2.5.1).
 */
export function readTime(node: DerNode): Date {
  const content = node.constructed ? concat(segments(node, 0x04)) : node.content;
  const utc = node.tagNumber === 23;
  if (node.tagClass !== 0 || (!utc && node.tagNumber !== 24)) {
    throw node.fail('ASN1_UNEXPECTED', `${node.describe()} is not a time`);
  }
  return readDerTime(content, utc) ?? readBerTime(node, latin1(content), utc);
}

/**
 * The form that RFC 5280 wants, YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ: without a regular expression it takes a fifth of the
 * time. Undefined for other forms, and for what is no moment.
 */
function readDerTime(content: Uint8Array, utc: boolean): Date | undefined {
  const month = utc ? 2 : 4;
  if (content.length !== month + 11 || content[month + 10] !== 0x5a) return undefined;
  const two = (at: number) => {
    const [tens, ones] = [(content[at] as number) - 0x30, (content[at + 1] as number) - 0x30];
    return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN;
  };
  const year = utc ? fullYear(two(0)) : two(0) * 100 + two(2);
  return moment(year, two(month), two(month + 2), two(month + 4), two(month + 6), two(month + 8), 0);
}

function readBerTime(node: DerNode, text: string, utc: boolean): Date {
  const match = (utc ? UTC_TIME : GENERALIZED_TIME).exec(text);
  if (match === null) throw node.fail('ASN1_BAD_VALUE', `not a ${node.describe()}`);
  const at = (i: number) => Number(match[i] ?? 0);
  const year = utc ? fullYear(at(1)) : at(1);
  const fraction = utc ? 0 : Math.trunc(Number(`0.${match[7] ?? '0'}`) * 1000);
  const zone = match[utc ? 7 : 8] as string;
  const date = moment(year, at(2), at(3), at(4), at(5), at(6), fraction);
  if (date === undefined) throw node.fail('ASN1_BAD_VALUE', `${node.describe()} is no moment in time`);
  if (zone === 'Z') return date;
  const [zoneHour, zoneMinute] = [Number(zone.slice(1, 3)), Number(zone.slice(3, 5))];
  if (zoneHour > 23 || zoneMinute > 59) throw node.fail('ASN1_BAD_VALUE', 'a time zone beyond a day');
  const shift = (zoneHour * 60 + zoneMinute) * 60_000;
  return new Date(date.getTime() + (zone[0] === '+' ? -shift : shift));
}

function fullYear(year: number): number {
  return year + (year < 50 ? 2000 : 1900);
}

/** In UTC; undefined if a field is out of its range, or NaN. */
function moment(
  year: number,
  month: number,
  day: number,
  hour: number,
  minute: number,
  second: number,
  fraction: number,
): Date | undefined {
  const date = new Date(Date.UTC(year, month - 1, day, hour, minute, second, fraction));
  if (year < 100) date.setUTCFullYear(year, month - 1, day); // Date.UTC takes them for 19xx
  const real = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  return real && hour <= 23 && minute <= 59 && second <= 59 ? date : undefined;
}
