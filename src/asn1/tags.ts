/**
 * Tags of X.680 8.4 as numbers that a schema compares with: class and form of the identifier octet in the low eight
 * bits (31 for a long-form number is never used by the structures we read), plus one bit for «either form», since BER
 * may cut any string into segments.
 */
const EITHER_FORM = 0x100;

export type Tag = number;

export const Tag = {
  BOOLEAN: 0x01,
  INTEGER: 0x02,
  BIT_STRING: 0x03 | EITHER_FORM,
  OCTET_STRING: 0x04 | EITHER_FORM,
  NULL: 0x05,
  OID: 0x06,
  ENUMERATED: 0x0a,
  UTF8: 0x0c | EITHER_FORM,
  SEQUENCE: 0x30,
  SET: 0x31,
  NUMERIC: 0x12 | EITHER_FORM,
  PRINTABLE: 0x13 | EITHER_FORM,
  T61: 0x14 | EITHER_FORM,
  IA5: 0x16 | EITHER_FORM,
  UTC_TIME: 0x17 | EITHER_FORM,
  GENERALIZED_TIME: 0x18 | EITHER_FORM,
  VISIBLE: 0x1a | EITHER_FORM,
  GENERAL: 0x1b | EITHER_FORM,
  UNIVERSAL: 0x1c | EITHER_FORM,
  BMP: 0x1e | EITHER_FORM,
} as const;

/** [n], primitive: an IMPLICIT simple type. n is 0 to 30. */
export const context = (n: number): Tag => 0x80 | n;
/** [n], constructed: EXPLICIT, or an IMPLICIT SEQUENCE or SET. */
export const contextConstructed = (n: number): Tag => 0xa0 | n;
/** [n] IMPLICIT of a string type, in either form. */
export const contextString = (n: number): Tag => 0x80 | n | EITHER_FORM;

export function tagMatches(tag: Tag, identifier: number, tagNumber: number): boolean {
  if (tagNumber > 30) return false;
  return (tag & EITHER_FORM) !== 0 ? (identifier & 0xdf) === (tag & 0xdf) : identifier === tag;
}

const UNIVERSAL_NAMES: Readonly<Record<number, string>> = {
  1: 'BOOLEAN',
  2: 'INTEGER',
  3: 'BIT STRING',
  4: 'OCTET STRING',
  5: 'NULL',
  6: 'OBJECT IDENTIFIER',
  7: 'ObjectDescriptor',
  8: 'EXTERNAL',
  9: 'REAL',
  10: 'ENUMERATED',
  11: 'EMBEDDED PDV',
  12: 'UTF8String',
  13: 'RELATIVE-OID',
  14: 'TIME',
  16: 'SEQUENCE',
  17: 'SET',
  18: 'NumericString',
  19: 'PrintableString',
  20: 'TeletexString',
  21: 'VideotexString',
  22: 'IA5String',
  23: 'UTCTime',
  24: 'GeneralizedTime',
  25: 'GraphicString',
  26: 'VisibleString',
  27: 'GeneralString',
  28: 'UniversalString',
  29: 'CHARACTER STRING',
  30: 'BMPString',
};

/** A type's name: `SEQUENCE`, `[0]`, `[APPLICATION 3]`. */
export function describeIdentifier(identifier: number, tagNumber: number): string {
  const tagClass = identifier >>> 6;
  if (tagClass === 0) return UNIVERSAL_NAMES[tagNumber] ?? `[UNIVERSAL ${tagNumber}]`;
  return `[${['', 'APPLICATION ', '', 'PRIVATE '][tagClass]}${tagNumber}]`;
}

export function describeTag(tag: Tag): string {
  return describeIdentifier(tag & 0xff, tag & 31);
}
