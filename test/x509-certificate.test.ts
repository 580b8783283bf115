import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { parseDer } from '../src/asn1/tape.js';
import { type DerWriter, writeDer } from '../src/asn1/write.js';
import { fromHex, readPem, toHex, utf8 } from '../src/bytes.js';
import { MailsealError } from '../src/errors.js';
import { Certificate } from '../src/x509/certificate.js';
import { type ExtensionInput, encodeName, issueCertificate } from './helpers/pki.js';
import { readIndex, readVector, vectorSources } from './helpers/vectors.js';

const extension = (oid: string, build: (w: DerWriter) => void, critical = false): ExtensionInput => ({
  oid,
  critical,
  value: writeDer(build),
});

function issue(input: Partial<Parameters<typeof issueCertificate>[0]> = {}): Certificate {
  return Certificate.parse(issueCertificate({ subject: 'Subject', ...input }).certificate);
}

/** Every getter, so that whatever one of them refuses comes out; but signatures of all kinds, which are for x509-signature. */
function readAll(certificate: Certificate): void {
  for (const key of Object.keys(Object.getOwnPropertyDescriptors(Certificate.prototype))) {
    if (key !== 'signatureScheme') void (certificate as unknown as Record<string, unknown>)[key];
  }
  void [certificate.subject.toString(), certificate.issuer.canonical];
}

describe('fields', () => {
  const ca = issueCertificate({ subject: 'Test CA', ca: true, pathLenConstraint: 3 });
  const input = issueCertificate({
    subject: [
      ['countryName', 'DE'],
      ['commonName', 'Alice'],
      ['emailAddress', 'alice@old.example'],
    ],
    emails: ['Alice@EXAMPLE.org'],
    issuer: ca,
    serialNumber: 0x80n,
    notBefore: new Date('2021-02-03T04:05:06Z'),
    notAfter: new Date('2051-02-03T04:05:06Z'),
    keyUsage: ['digitalSignature', 'decipherOnly'],
    extendedKeyUsage: [OID.emailProtection, '1.2.3.4'],
  });
  const certificate = Certificate.parse(input.certificate);
  const peer = new X509Certificate(input.certificate);

  test('are those that were written', () => {
    expect(certificate.version).toBe(3);
    expect(toHex(certificate.serialNumber)).toBe('0080');
    expect(certificate.subject.toString()).toBe('emailAddress=alice@old.example,CN=Alice,C=DE');
    expect(certificate.issuer.toString()).toBe('CN=Test CA');
    expect(certificate.notBefore).toEqual(new Date('2021-02-03T04:05:06Z'));
    expect(certificate.notAfter).toEqual(new Date('2051-02-03T04:05:06Z'));
    expect(certificate.emails).toEqual(['Alice@example.org', 'alice@old.example']);
    expect(Object.entries(certificate.keyUsage ?? {}).flatMap(([bit, set]) => (set ? [bit] : []))).toEqual([
      'digitalSignature',
      'decipherOnly',
    ]);
    expect(certificate.extendedKeyUsage).toEqual([OID.emailProtection, '1.2.3.4']);
    expect(certificate.basicConstraints).toBeUndefined();
    expect(toHex(certificate.authorityKeyIdentifier?.keyIdentifier ?? new Uint8Array())).toBe(
      toHex(ca.subjectKeyIdentifier ?? new Uint8Array()),
    );
    expect(toHex(certificate.subjectKeyIdentifier ?? new Uint8Array())).toBe(
      toHex(certificate.publicKey.keyIdentifier),
    );
    expect(certificate.isSelfIssued).toBe(false);
    expect(Certificate.parse(ca.certificate).basicConstraints).toEqual({ ca: true, pathLenConstraint: 3 });
    expect(Certificate.parse(ca.certificate).isSelfIssued).toBe(true);
  });

  test('are those that OpenSSL reads', () => {
    expect(toHex(certificate.fingerprint)).toBe(peer.fingerprint256.replaceAll(':', '').toLowerCase());
    expect(certificate.publicKey.keyObject.equals(peer.publicKey)).toBe(true);
    expect(toHex(certificate.der)).toBe(toHex(input.certificate));
  });

  test('a date that is given out can be changed without harm', () => {
    certificate.notAfter.setFullYear(1999);
    expect(certificate.notAfter.getUTCFullYear()).toBe(2051);
  });
});

describe('what RFC 5280 forbids, but certificates have', () => {
  test.each<[string, bigint, string]>([
    ['zero', 0n, '00'],
    ['negative', -129n, 'ff7f'],
    ['of 24 octets', (1n << 184n) + 5n, `01${'00'.repeat(22)}05`],
  ])('a serial number that is %s', (_, serialNumber, hex) => {
    expect(toHex(issue({ serialNumber }).serialNumber)).toBe(hex);
  });

  test('BER: an indefinite length around the whole certificate', () => {
    const { certificate } = issueCertificate({ subject: 'BER' });
    const [tbs, algorithm, signature] = parseDer(certificate).children.map((node) => node.bytes);
    const ber = Uint8Array.of(0x30, 0x80, ...(tbs ?? []), ...(algorithm ?? []), ...(signature ?? []), 0, 0);
    const parsed = Certificate.parse(ber);
    readAll(parsed);
    expect(toHex(parsed.der)).toBe(toHex(ber));
    expect(toHex(parsed.tbs)).toBe(toHex(tbs ?? new Uint8Array()));
  });

  test('version 1', () => {
    const v1 = issue({ keyUsage: null, extendedKeyUsage: null, subjectKeyIdentifier: null });
    readAll(v1);
    expect(v1.version).toBe(1);
    expect(v1.extensions.size).toBe(0);
    expect(v1.emails).toEqual([]);
  });

  test('an empty subject', () => {
    expect(issue({ subject: [] }).subject.isEmpty).toBe(true);
  });
});

describe('mail addresses', () => {
  const names = (build: (w: DerWriter) => void) =>
    issue({ extensions: [extension(OID.subjectAltName, (w) => w.sequence(build))] }).emails;
  const otherName = (oid: string, value: (w: DerWriter) => void) => (w: DerWriter) =>
    w.implicitConstructed(0, (w) => {
      w.oid(oid);
      value(w);
    });

  test('rfc822Name, each once', () => {
    expect(issue({ emails: ['a@X.example', 'b@x.example', 'a@x.example'] }).emails).toEqual([
      'a@x.example',
      'b@x.example',
    ]);
  });
  test('SmtpUTF8Mailbox (RFC 9598)', () => {
    const mailbox = otherName(OID.smtpUTF8Mailbox, (w) => w.explicit(0, (w) => w.utf8('дарья@example.org')));
    expect(names(mailbox)).toEqual(['дарья@example.org']);
  });
  test('other names are passed over, whatever they hold', () => {
    expect(
      names((w) => {
        w.implicit(2, utf8('mail@host.example'));
        otherName('1.2.3', (w) => w.utf8('eve@example.org'))(w);
        w.explicit(4, (w) => w.raw(encodeName('eve@example.org')));
        w.implicit(6, utf8('mailto:eve@example.org'));
        w.implicit(7, Uint8Array.of(192, 0, 2, 1));
        w.implicit(8, Uint8Array.of(0x2a, 3));
        w.implicit(1, utf8('alice@example.org'));
      }),
    ).toEqual(['alice@example.org']);
  });
  test.each([
    'alice@good.example\0@evil.example',
    'alice@good.example\0',
    '*@example.org,alice@example.org',
    '',
  ])('an rfc822Name that is no plain address is left out: %j', (address) => {
    expect(issue({ emails: [address, 'b@x.example'] }).emails).toEqual(['b@x.example']);
  });
  test.each<[string, (w: DerWriter) => void]>([
    ['no GeneralName', (w) => w.utf8('a@x.example')],
    ['a tag that GeneralName does not have', (w) => w.implicit(9, utf8('a@x.example'))],
    [
      'a SmtpUTF8Mailbox that is no UTF8String',
      otherName(OID.smtpUTF8Mailbox, (w) => w.explicit(0, (w) => w.ia5('a@x.example'))),
    ],
    ['a SmtpUTF8Mailbox without a tag', otherName(OID.smtpUTF8Mailbox, (w) => w.utf8('a@x.example'))],
  ])('%s is refused', (_, build) => {
    expect(() => names(build)).toThrow(expect.objectContaining({ code: 'ASN1_UNEXPECTED' }));
  });
});

describe('extensions', () => {
  const twice = extension('1.2.3.4', (w) => w.null());
  test('one that occurs twice is refused', () => {
    expect(() => issue({ extensions: [twice, twice] }).extensions).toThrow(
      expect.objectContaining({ code: 'X509_MALFORMED' }),
    );
  });
  test('an unknown one is at hand', () => {
    const found = issue({ extensions: [{ ...twice, critical: true }] }).extensions.get('1.2.3.4');
    expect(found).toMatchObject({ critical: true, oid: '1.2.3.4' });
    expect(toHex(found?.value ?? new Uint8Array())).toBe('0500');
    expect(found?.node.is(0x05)).toBe(true);
  });
  test('authorityKeyIdentifier with issuer and serial number', () => {
    const issuer = encodeName('The CA of the CA');
    const certificate = issue({
      authorityKeyIdentifier: null,
      extensions: [
        extension(OID.authorityKeyIdentifier, (w) =>
          w.sequence((w) => {
            w.implicitConstructed(1, (w) => w.explicit(4, (w) => w.raw(issuer)));
            w.implicit(2, Uint8Array.of(0, 0x90));
          }),
        ),
      ],
    });
    const identifier = certificate.authorityKeyIdentifier;
    expect(identifier?.authorityCertIssuer?.map(String)).toEqual(['CN=The CA of the CA']);
    expect(toHex(identifier?.authorityCertSerialNumber ?? new Uint8Array())).toBe('0090');
  });

  type Getter =
    | 'keyUsage'
    | 'extendedKeyUsage'
    | 'basicConstraints'
    | 'subjectKeyIdentifier'
    | 'authorityKeyIdentifier';
  test.each<[Getter, string, what: string, hex: string, code: string]>([
    ['keyUsage', OID.keyUsage, 'an OCTET STRING', '040100', 'ASN1_UNEXPECTED'],
    ['keyUsage', OID.keyUsage, 'no octets', '0300', 'ASN1_BAD_VALUE'],
    ['keyUsage', OID.keyUsage, 'octets behind it', '030205a000', 'ASN1_TRAILING_DATA'],
    ['extendedKeyUsage', OID.extKeyUsage, 'no purpose', '3000', 'X509_MALFORMED'],
    ['extendedKeyUsage', OID.extKeyUsage, 'an INTEGER', '3003020101', 'ASN1_UNEXPECTED'],
    ['basicConstraints', OID.basicConstraints, 'octets behind it', '30030101ff00', 'ASN1_TRAILING_DATA'],
    [
      'basicConstraints',
      OID.basicConstraints,
      'a third field',
      '30090101ff0201000201 00'.replace(' ', ''),
      'ASN1_UNEXPECTED',
    ],
    ['basicConstraints', OID.basicConstraints, 'a negative length', '30060101ff0201ff', 'ASN1_BAD_VALUE'],
    [
      'basicConstraints',
      OID.basicConstraints,
      'the fields in another order',
      '30060201000101ff',
      'ASN1_UNEXPECTED',
    ],
    ['basicConstraints', OID.basicConstraints, 'cA of two octets', '30040102ffff', 'ASN1_BAD_VALUE'],
    ['subjectKeyIdentifier', OID.subjectKeyIdentifier, 'bare octets', '0102030405', 'ASN1_TRAILING_DATA'],
    [
      'authorityKeyIdentifier',
      OID.authorityKeyIdentifier,
      'an issuer without a serial number',
      '3002a100',
      'X509_MALFORMED',
    ],
    [
      'authorityKeyIdentifier',
      OID.authorityKeyIdentifier,
      'an unknown field',
      '30038301 00'.replace(' ', ''),
      'ASN1_UNEXPECTED',
    ],
  ])('%s (%s) with %s is refused', (getter, oid, _, hex, code) => {
    const certificate = issue({
      keyUsage: null,
      extendedKeyUsage: null,
      subjectKeyIdentifier: null,
      authorityKeyIdentifier: null,
      extensions: [{ oid, value: fromHex(hex) }],
    });
    expect(() => certificate[getter]).toThrow(expect.objectContaining({ code }));
  });
});

describe('structure', () => {
  const { certificate } = issueCertificate({ subject: 'Structure', emails: ['a@x.example'] });

  test('cut off at every octet', () => {
    for (let length = 0; length < certificate.length; length++) {
      expect(() => readAll(Certificate.parse(certificate.slice(0, length)))).toThrow(MailsealError);
    }
  });

  test('with any single octet changed: read, or a MailsealError', () => {
    for (let at = 0; at < certificate.length; at++) {
      for (const mask of [0x01, 0x20, 0x80, 0xff]) {
        const changed = certificate.slice();
        changed[at] = (changed[at] as number) ^ mask;
        try {
          readAll(Certificate.parse(changed));
        } catch (error) {
          if (!(error instanceof MailsealError))
            throw new Error(`octet ${at}, mask ${mask}`, { cause: error });
        }
      }
    }
  });

  test('octets behind the certificate are refused', () => {
    expect(() => Certificate.parse(Uint8Array.of(...certificate, 0))).toThrow(
      expect.objectContaining({ code: 'ASN1_TRAILING_DATA' }),
    );
  });

  test('a certificate inside a larger structure', () => {
    const outer = writeDer((w) => w.sequence((w) => w.raw(certificate)));
    const node = parseDer(outer).firstChild;
    expect(node && toHex(Certificate.parse(node).der)).toBe(toHex(certificate));
  });
});

describe('every certificate of the vectors', () => {
  const rows = vectorSources().flatMap((source) =>
    readIndex(source).flatMap((row) => (row.kind === 'certificate' ? [{ source, path: row.path }] : [])),
  );
  /** Broken on purpose, in what we read and OpenSSL takes no notice of. */
  const broken =
    /(?:invalid_extension|trailing_data)_\w+_(?:identifier|constraints|usage|alt_name)\.pem|empty-eku|invalid_version|two_basic_constraints|duplicate_value_in|BadSignedCACert|InvalidDSASignature|badrsa/;
  const notRead = /name_constraints/;

  test('is read as OpenSSL reads it', () => {
    let same = 0;
    for (const { source, path } of rows) {
      const bytes = readVector(source, path);
      const blocks =
        bytes[0] === 0x30
          ? [bytes]
          : readPem(bytes).flatMap((b) => (b.label === 'CERTIFICATE' ? [b.bytes] : []));
      for (const der of blocks) {
        let peer: X509Certificate;
        try {
          peer = new X509Certificate(der);
        } catch {
          continue;
        }
        if (broken.test(path) && !notRead.test(path)) {
          expect(() => readAll(Certificate.parse(der)), path).toThrow(MailsealError);
          continue;
        }
        const certificate = Certificate.parse(der);
        try {
          readAll(certificate);
        } catch (error) {
          throw new Error(`${source}/${path}`, { cause: error });
        }
        const where = `${source}/${path}`;
        expect(toHex(certificate.fingerprint).toUpperCase(), where).toBe(
          peer.fingerprint256.replaceAll(':', ''),
        );
        expect(certificate.notAfter.getTime(), where).toBe(Date.parse(peer.validTo));
        // BoringSSL has certificates from the year 0, which Date.parse takes for 2000.
        const yearZero = / 0 GMT$/.test(peer.validFrom);
        if (!yearZero) expect(certificate.notBefore.getTime(), where).toBe(Date.parse(peer.validFrom));
        expect(certificate.isSelfIssued, where).toBe(peer.subject === peer.issuer);
        same++;
      }
    }
    expect(same).toBeGreaterThan(600);
  });
});
