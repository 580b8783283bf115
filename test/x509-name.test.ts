import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { parseDer } from '../src/asn1/tape.js';
import { type DerWriter, writeDer } from '../src/asn1/write.js';
import { concat, fromHex, utf8 } from '../src/bytes.js';
import { Name, normalizeEmail } from '../src/x509/name.js';

type Value = string | ((w: DerWriter) => void);
type Pair = readonly [oid: string, value: Value];

/** RDNs of attributes; a plain string becomes a UTF8String. */
function name(...rdns: readonly (readonly Pair[])[]): Name {
  const der = writeDer((w) =>
    w.sequence((w) => {
      for (const rdn of rdns) {
        const attributes = rdn.map(([oid, value]) =>
          writeDer((w) =>
            w.sequence((w) => {
              w.oid(oid);
              if (typeof value === 'string') w.utf8(value);
              else value(w);
            }),
          ),
        );
        w.set((w) => w.raw(concat(attributes)));
      }
    }),
  );
  return Name.parse(parseDer(der));
}

const cn = (value: Value): Name => name([[OID.commonName, value]]);

describe('text form (RFC 4514)', () => {
  test.each<[what: string, Name, string]>([
    ['an empty name', name(), ''],
    ['the last RDN first', name([[OID.countryName, 'DE']], [[OID.commonName, 'a']]), 'CN=a,C=DE'],
    [
      'RFC 4514 section 4, example 2: a multi-valued RDN',
      name(
        [[OID.domainComponent, 'net']],
        [
          [OID.organizationalUnitName, 'Sales'],
          [OID.commonName, 'J.  Smith'],
        ],
      ),
      'OU=Sales+CN=J.  Smith,DC=net',
    ],
    ['example 3: a comma and quotes', cn('James "Jim" Smith, III'), 'CN=James \\"Jim\\" Smith\\, III'],
    ['example 4: a carriage return', cn('Before\rAfter'), 'CN=Before\\0dAfter'],
    [
      'example 5: an unknown type',
      name([['1.3.6.1.4.1.1466.0', (w) => w.octets(fromHex('4869'))]]),
      '1.3.6.1.4.1.1466.0=#04024869',
    ],
    ['example 6: text beyond ASCII as it is', cn('Lučić'), 'CN=Lučić'],
    ['a leading space and hash', name([[OID.commonName, ' a']], [[OID.commonName, '#a']]), 'CN=\\#a,CN=\\ a'],
    ['a trailing space', cn('a '), 'CN=a\\ '],
    ['a single space', cn(' '), 'CN=\\ '],
    ['two spaces', cn('  '), 'CN=\\ \\ '],
    ['a backslash before a trailing space', cn('a\\ '), 'CN=a\\\\\\ '],
    ['specials', cn('+,;<>\\='), 'CN=\\+\\,\\;\\<\\>\\\\='],
    ['NUL', cn('a\0b'), 'CN=a\\00b'],
    ['terminal escapes', cn('a\u001b[31m\u009b'), 'CN=a\\1b[31m\\c2\\9b'],
    ['bidirectional override', cn('a\u202eb'), 'CN=a\\e2\\80\\aeb'],
    ['a line separator', cn('a\u2028b'), 'CN=a\\e2\\80\\a8b'],
    ['a known type whose value is no string', cn((w) => w.integer(5)), 'CN=#020105'],
    ['UTF8String that is not UTF-8', cn((w) => w.raw(fromHex('0c02fffe'))), 'CN=#0c02fffe'],
    ['emailAddress', name([[OID.emailAddress, (w) => w.ia5('a@b.example')]]), 'emailAddress=a@b.example'],
  ])('%s', (_, subject, expected) => {
    expect(subject.toString()).toBe(expected);
  });

  test('nothing that steers a terminal comes out, whatever goes in', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(cn(text).toString()).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      }),
    );
  });
});

describe('comparison (RFC 5280 7.1)', () => {
  test.each<[what: string, Name, Name, boolean]>([
    ['case', cn('Good CA'), cn('gOOD ca'), true],
    ['case beyond ASCII', cn('ÄÖÜ'), cn('äöü'), true],
    ['inner and outer white space', cn('  Good   CA '), cn('Good CA'), true],
    ['string types', cn((w) => w.printable('Good CA')), cn((w) => w.bmp('good ca')), true],
    ['composed and decomposed', cn('Gödel'), cn('Go\u0308del'), true],
    ['white space that is missing', cn('GoodCA'), cn('Good CA'), false],
    ['other text', cn('a'), cn('b'), false],
    ['another type', cn('a'), name([[OID.surname, 'a']]), false],
    ['a NUL that other readers stop at', cn('good.example'), cn('good.example\0.bad.example'), false],
    ['a NUL that RFC 4518 would drop', cn('ab'), cn('a\0b'), false],
    [
      'the order inside an RDN',
      name([
        [OID.commonName, 'a'],
        [OID.surname, 'b'],
      ]),
      name([
        [OID.surname, 'B'],
        [OID.commonName, 'A'],
      ]),
      true,
    ],
    [
      'the order of RDNs',
      name([[OID.commonName, 'a']], [[OID.surname, 'b']]),
      name([[OID.surname, 'b']], [[OID.commonName, 'a']]),
      false,
    ],
    [
      'one RDN of two and two RDNs',
      name([
        [OID.commonName, 'a'],
        [OID.surname, 'b'],
      ]),
      name([[OID.commonName, 'a']], [[OID.surname, 'b']]),
      false,
    ],
    [
      'a value that looks like two',
      cn('a1:2.5.4.4=1:b'),
      name([[OID.commonName, 'a']], [[OID.surname, 'b']]),
      false,
    ],
    ['hexadecimal text and the octets it shows', cn('#020105'), cn((w) => w.integer(5)), false],
    ['values that are no strings', cn((w) => w.integer(5)), cn((w) => w.integer(5)), true],
    [
      'unpaired surrogates',
      cn((w) => w.raw(fromHex('1e02d800'))),
      cn((w) => w.raw(fromHex('1e02d801'))),
      false,
    ],
    ['empty names', name(), name(), true],
    ['an empty name and an empty value', name(), cn(''), false],
  ])('%s', (_, a, b, expected) => {
    expect(a.equals(b)).toBe(expected);
    expect(b.equals(a)).toBe(expected);
    expect(Buffer.from(a.canonical).equals(b.canonical)).toBe(expected);
  });

  test('names are equal exactly when their folded attributes are', () => {
    const attribute = fc.tuple(
      fc.constantFrom(OID.commonName, OID.surname, OID.emailAddress),
      fc.string({ unit: fc.constantFrom('a', 'b', ':', '1', '=', '2.5.4.3'), maxLength: 6 }),
    );
    const names = fc.array(fc.array(attribute, { minLength: 1, maxLength: 3 }), { maxLength: 3 });
    const folded = (rdns: [string, string][][]) =>
      JSON.stringify(rdns.map((rdn) => rdn.map((pair) => JSON.stringify(pair)).sort()));
    fc.assert(
      fc.property(names, names, (a, b) => {
        expect(name(...a).equals(name(...b))).toBe(folded(a) === folded(b));
      }),
      { numRuns: 500 },
    );
  });
});

describe('structure', () => {
  test.each<[what: string, hex: string, code: string]>([
    ['not a SEQUENCE', '3100', 'ASN1_UNEXPECTED'],
    ['an RDN that is no SET', '30023000', 'ASN1_UNEXPECTED'],
    ['an empty RDN', '30023100', 'X509_MALFORMED'],
    ['an attribute without a value', '300931073005060355 0403'.replace(' ', ''), 'ASN1_UNEXPECTED'],
    ['an attribute with two values', '300d310b30090603550403 0c000c00'.replace(' ', ''), 'ASN1_UNEXPECTED'],
    ['an attribute without a type', '30063104300 20c00'.replace(' ', ''), 'ASN1_UNEXPECTED'],
  ])('%s is refused', (_, hex, code) => {
    expect(() => Name.parse(parseDer(fromHex(hex))).rdns).toThrow(expect.objectContaining({ code }));
  });
});

describe('addresses', () => {
  test.each<[string, string | undefined]>([
    ['alice@example.org', 'alice@example.org'],
    ['Alice@EXAMPLE.Org', 'Alice@example.org'],
    ['a.b+c@sub.example.org', 'a.b+c@sub.example.org'],
    ['"a b"@example.org', '"a b"@example.org'],
    ['"a\\"b"@example.org', '"a\\"b"@example.org'],
    ['a@[192.0.2.1]', 'a@[192.0.2.1]'],
    ['дарья@example.org', 'дарья@example.org'],
    ['a@Bücher.example', 'a@xn--bcher-kva.example'],
    ['a@xn--bcher-kva.example', 'a@xn--bcher-kva.example'],
    ['alice@good.example\0@bad.example', undefined],
    ['alice@good.example\0.bad.example', undefined],
    ['alice@good.example@bad.example', undefined],
    ['Alice <alice@example.org>', undefined],
    ['alice@example.org, eve@example.org', undefined],
    ['alice@example.org ', undefined],
    [' alice@example.org', undefined],
    ['alice@example.org\n', undefined],
    ['ali\u200bce@example.org', undefined],
    ['ali\u00a0ce@example.org', undefined],
    ['alice@exa mple.org', undefined],
    ['alice@example.org/x', undefined],
    ['alice@-example.org', undefined],
    ['alice@', undefined],
    ['@example.org', undefined],
    ['alice', undefined],
    ['', undefined],
  ])('%j becomes %j', (address, expected) => {
    expect(normalizeEmail(address)).toBe(expected);
  });

  test('of a subject, each once, in order', () => {
    const subject = name(
      [[OID.emailAddress, (w) => w.ia5('b@X.example')]],
      [[OID.emailAddress, 'a@x.example']],
      [[OID.emailAddress, (w) => w.ia5('b@x.example')]],
      [[OID.emailAddress, 'no address']],
      [[OID.emailAddress, (w) => w.octets(utf8('c@x.example'))]],
      [[OID.commonName, 'd@x.example']],
    );
    expect(subject.emails).toEqual(['b@x.example', 'a@x.example']);
  });
});
