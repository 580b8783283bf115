import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeOid, OID, oidName } from '../src/asn1/oids.js';
import { parseDer } from '../src/asn1/tape.js';
import {
  readBitOctets,
  readBitString,
  readBoolean,
  readInteger,
  readNull,
  readOctets,
  readOid,
  readSmallInteger,
  readString,
  readTime,
  readUnsigned,
} from '../src/asn1/values.js';
import { type DerWriter, writeDer } from '../src/asn1/write.js';
import { fromHex, toHex } from '../src/bytes.js';

const node = (hex: string) => parseDer(fromHex(hex));
const encode = (build: (w: DerWriter) => void) => writeDer(build);

describe('INTEGER', () => {
  it.each([
    ['020100', 0n],
    ['02017f', 127n],
    ['02020080', 128n],
    ['020180', -128n],
    ['0202ff7f', -129n],
    ['0209008000000000000000', 1n << 63n],
  ])('%s is %s both ways', (hex, value) => {
    expect(readInteger(node(hex))).toBe(value);
    expect(toHex(encode((w) => w.integer(value)))).toBe(hex);
  });
  it('comes back whatever it is', () => {
    fc.assert(
      fc.property(
        fc.bigInt(),
        (value) =>
          readInteger(
            parseDer(
              encode((w) => w.integer(value)),
              { strict: true },
            ),
          ) === value,
      ),
    );
  });
  it('is written from a magnitude with any leading zeros', () => {
    expect(toHex(encode((w) => w.integer(fromHex('000080'))))).toBe('02020080');
    expect(toHex(encode((w) => w.integer(fromHex('0000'))))).toBe('020100');
    expect(toHex(encode((w) => w.integer(new Uint8Array(0))))).toBe('020100');
    expect(toHex(readUnsigned(node('02020080'), 'n'))).toBe('80');
    expect(toHex(readUnsigned(node('020100'), 'n'))).toBe('00');
  });
  it('is refused where it does not fit', () => {
    expect(() => readSmallInteger(node('0201ff'), 'version')).toThrow('version is negative');
    expect(() => readSmallInteger(node('02050100000000'), 'version')).toThrow('version is over 2147483647');
    expect(() => readSmallInteger(node(`020904${'00'.repeat(8)}`), 'version')).toThrow('version is over');
    expect(() => readSmallInteger(node('020104'), 'version', 3)).toThrow('version is over 3');
    expect(() => readUnsigned(node('0201ff'), 'n')).toThrow('n is negative');
    expect(() => readInteger(node('0200'))).toThrow('no content octets');
  });
});

describe('OBJECT IDENTIFIER', () => {
  it.each([
    ['06092a864886f70d010101', '1.2.840.113549.1.1.1'],
    ['060100', '0.0'],
    ['060127', '0.39'],
    ['060128', '1.0'],
    ['060150', '2.0'],
    ['0603883703', '2.999.3'],
    ['060169', '2.25'],
  ])('%s is %s', (hex, dotted) => {
    expect(readOid(node(hex))).toBe(dotted);
    expect(toHex(encode((w) => w.oid(dotted)))).toBe(hex);
  });
  it('reads a UUID arc of 128 bits', () => {
    const dotted = '2.25.329800735698586629295641978511506172918';
    expect(readOid(parseDer(encode((w) => w.oid(dotted))))).toBe(dotted);
  });
  it.each([
    ['empty', '0600'],
    ['ends inside an arc', '06022a86'],
    ['padded arc', '06032a8001'],
    ['129 octets (CVE-2025-66030: huge arcs)', `068181${'81'.repeat(128)}01`],
  ])('refuses: %s', (_, hex) => {
    expect(() => readOid(node(hex))).toThrow(expect.objectContaining({ code: 'ASN1_BAD_VALUE', offset: 0 }));
  });
  it('remembers those of the table by a hash, and takes none for another: 2.5.30.0 has the hash of 2.5.29.31', () => {
    const bytes = fromHex('0603551d1f');
    for (let time = 0; time < 3; time++) {
      expect(readOid(parseDer(bytes))).toBe('2.5.29.31');
      expect(readOid(node('0603551e00'))).toBe('2.5.30.0');
      expect(readOid(node('0604551d1f00'))).toBe('2.5.29.31.0');
    }
    bytes[4] = 0x0f; // what is remembered is a copy
    expect(readOid(parseDer(bytes))).toBe('2.5.29.15');
    expect(readOid(node('0603551d1f'))).toBe('2.5.29.31');
  });
  it('is not written from what is none', () => {
    for (const bad of ['', '1', '3.1', '1.40', '1.2.', '1.02', '1.2.x'])
      expect(() => encode((w) => w.oid(bad))).toThrow(RangeError);
  });
  it('has each dotted form once in the table, and every one can be encoded', () => {
    const dotted = Object.values(OID);
    expect(new Set(dotted).size).toBe(dotted.length);
    for (const oid of [...dotted, ...dotted]) {
      expect(readOid(parseDer(encode((w) => w.oid(oid))))).toBe(oid);
    }
    expect(oidName('1.2.840.113549.1.1.1')).toBe('rsaEncryption');
    expect(describeOid('1.2.3')).toBe('1.2.3');
    expect(describeOid(OID.sha256)).toBe('sha256 (2.16.840.1.101.3.4.2.1)');
  });
});

describe('strings', () => {
  it.each([
    ['UTF8String', '0c06c3a4f09f9880', 'ä😀'],
    ['PrintableString', '13024142', 'AB'],
    ['IA5String', '16024140', 'A@'],
    ['TeletexString as Latin-1', '1402e441', 'äA'],
    ['BMPString', '1e0400e40041', 'äA'],
    ['BMPString with a surrogate pair', '1e04d83dde00', '😀'],
    ['UniversalString', '1c080001f60000000041', '😀A'],
    ['UTF8String in segments, cut inside a character', '2c080401' + 'c3' + '0403' + 'a44142', 'äAB'],
    ['empty UTF8String', '0c00', ''],
  ])('%s', (_, hex, text) => {
    expect(readString(node(hex))).toBe(text);
  });
  it.each([
    ['UTF-8 that is none', '0c01ff', 'ASN1_BAD_VALUE'],
    ['odd BMPString', '1e0141', 'ASN1_BAD_VALUE'],
    ['UniversalString of 3 octets', '1c03000041', 'ASN1_BAD_VALUE'],
    ['UniversalString beyond Unicode', '1c0400110000', 'ASN1_BAD_VALUE'],
    ['a segment of another type', '2c030c0141', 'ASN1_UNEXPECTED'],
    ['an INTEGER', '020141', 'ASN1_UNEXPECTED'],
    ['a context tag', '800141', 'ASN1_UNEXPECTED'],
  ])('refuses %s', (_, hex, code) => {
    expect(() => readString(node(hex))).toThrow(expect.objectContaining({ code }));
  });
  it('are written in their alphabets only', () => {
    expect(() => encode((w) => w.printable('a@b'))).toThrow(RangeError);
    expect(() => encode((w) => w.ia5('ä'))).toThrow(RangeError);
    expect(readString(parseDer(encode((w) => w.bmp('Zertifikat 😀'))))).toBe('Zertifikat 😀');
    expect(readString(parseDer(encode((w) => w.utf8('日本'))))).toBe('日本');
  });
  it('OCTET STRING: segments at any depth are joined', () => {
    expect(toHex(readOctets(node('24800402aabb24800401cc00000000')))).toBe('aabbcc');
    expect(toHex(readOctets(node('2400')))).toBe('');
    expect(() => readOctets(node('24030c0141'))).toThrow(expect.objectContaining({ offset: 2 }));
  });
  it('a string in very many segments is read, not an overflow of the stack', () => {
    const inner = '0400'.repeat(300_000);
    const hex = `2483${(inner.length / 2 + 5).toString(16).padStart(6, '0')}2483${(inner.length / 2).toString(16).padStart(6, '0')}${inner}`;
    expect(readOctets(node(hex)).length).toBe(0);
  });
  it('BIT STRING: unused bits in the last segment only', () => {
    expect(readBitString(node('23080302' + '00aa' + '0302' + '04b0'))).toEqual({
      bytes: fromHex('aab0'),
      unusedBits: 4,
    });
    expect(() => readBitString(node('230803' + '0204b0' + '030200aa'))).toThrow('before its last segment');
    expect(() => readBitOctets(node('030204b0'), 'signature')).toThrow('not whole octets');
    expect(() => readBitString(node('0300'))).toThrow('unused bits');
  });
});

describe('BOOLEAN and NULL', () => {
  it('reads them', () => {
    expect(readBoolean(node('0101ff'))).toBe(true);
    expect(readBoolean(node('010101'))).toBe(true);
    expect(readBoolean(node('010100'))).toBe(false);
    expect(readNull(node('0500'))).toBe(null);
    expect(() => readBoolean(node('0100'))).toThrow('one content octet');
    expect(() => readNull(node('050100'))).toThrow('NULL');
  });
});

describe('times', () => {
  const time = (type: string, text: string) =>
    node(`${type}${text.length.toString(16).padStart(2, '0')}${toHex(Buffer.from(text))}`);
  it.each([
    ['17', '490101000000Z', '2049-01-01T00:00:00.000Z'],
    ['17', '500101000000Z', '1950-01-01T00:00:00.000Z'],
    ['17', '9912312359Z', '1999-12-31T23:59:00.000Z'],
    ['17', '200229120000+0130', '2020-02-29T10:30:00.000Z'],
    ['18', '20500101000000Z', '2050-01-01T00:00:00.000Z'],
    ['18', '20240229235959.75Z', '2024-02-29T23:59:59.750Z'],
    ['18', '2024022923-0100', '2024-03-01T00:00:00.000Z'],
    ['18', '00500101000000Z', '0050-01-01T00:00:00.000Z'],
  ])('%s %s is %s', (type, text, iso) => {
    expect(readTime(time(type, text)).toISOString()).toBe(iso);
  });
  it.each([
    ['17', '230229120000Z'],
    ['17', '231301120000Z'],
    ['17', '230101240000Z'],
    ['17', '230101120000'],
    ['17', '23010112000Z'],
    ['18', '20240101120000'],
    ['18', '20240101120000+2500'],
    ['18', '20240101126000Z'],
    ['18', ''],
  ])('refuses %s %s', (type, text) => {
    expect(() => readTime(time(type, text))).toThrow(expect.objectContaining({ code: 'ASN1_BAD_VALUE' }));
  });
  it('are written as RFC 5280 4.1.2.5 says', () => {
    expect(toHex(encode((w) => w.time(new Date('2049-12-31T23:59:59.9Z'))))).toBe(
      `170d${toHex(Buffer.from('491231235959Z'))}`,
    );
    expect(toHex(encode((w) => w.time(new Date('2050-01-01T00:00:00Z'))))).toBe(
      `180f${toHex(Buffer.from('20500101000000Z'))}`,
    );
    expect(toHex(encode((w) => w.time(new Date('1949-12-31T23:59:59Z')))).slice(0, 2)).toBe('18');
    expect(() => encode((w) => w.time(new Date(Number.NaN)))).toThrow(RangeError);
  });
});

describe('writer', () => {
  it.each([0, 1, 127, 128, 255, 256, 65_535, 65_536, 1_000_000])(
    'patches the length of %i octets in, nested',
    (size) => {
      const bytes = encode((w) =>
        w.sequence((s) => s.explicit(0, (e) => e.octets(new Uint8Array(size).fill(7)))),
      );
      const parsed = parseDer(bytes, { strict: true });
      expect(parsed.firstChild?.firstChild?.content.length).toBe(size);
    },
  );
  it('sorts SET OF as DER does', () => {
    const bytes = encode((w) => w.setOf(['0c0162', '0c0161', '0500', '04020000'].map(fromHex)));
    expect(toHex(bytes)).toBe('310c' + '04020000' + '0500' + '0c0161' + '0c0162');
  });
  it('writes context tags', () => {
    expect(toHex(encode((w) => w.implicit(2, fromHex('aa'))))).toBe('8201aa');
    expect(toHex(encode((w) => w.implicitConstructed(1, (s) => s.null())))).toBe('a1020500');
    expect(toHex(encode((w) => w.implicitSetOf(1, ['0201ff', '020101'].map(fromHex))))).toBe(
      'a106' + '020101' + '0201ff',
    );
    expect(toHex(encode((w) => w.bitString(fromHex('b0'), 4)))).toBe('030204b0');
    expect(toHex(encode((w) => w.boolean(true)))).toBe('0101ff');
    expect(toHex(encode((w) => w.enumerated(3)))).toBe('0a0103');
  });
});
