/** Certificate management messages (RFC 8551 3.8): ours read by openssl, its own and other projects' read by us. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseDer } from '../src/asn1/tape.js';
import { latin1, readPem, utf8, writePem } from '../src/bytes.js';
import { readCertificates, writeCertificates } from '../src/smime/certificates.js';
import { sign } from '../src/smime/message.js';
import { verify } from '../src/smime/verify.js';
import { Certificate } from '../src/x509/certificate.js';
import { hasOpenssl, opensslOut, temporaryFolder } from './helpers/peers.js';
import { issueCertificate, person } from './helpers/pki.js';
import { cmsRows, readVector } from './helpers/vectors.js';

const ca = issueCertificate({ subject: 'Test CA', ca: true });
const alice = person({ subject: 'Alice', issuer: ca });
const certificates = [Certificate.parse(ca.certificate), alice.certificate];
const subjects = (all: readonly Certificate[]) => all.map(({ subject }) => subject.toString()).sort();
const OURS = ['CN=Alice', 'CN=Test CA'];
const codeOf = async (run: () => unknown) => {
  try {
    await run();
  } catch (error) {
    return (error as { code?: string }).code ?? (error as Error).name;
  }
  return 'no error';
};

describe('certificate management messages', () => {
  it('are read as they were written, in DER, PEM and MIME, each certificate once', () => {
    const der = writeCertificates([...certificates, alice.certificate]);
    parseDer(der, { strict: true });
    expect(subjects(readCertificates(der))).toEqual(OURS);
    expect(subjects(readCertificates(utf8(writePem('PKCS7', der))))).toEqual(OURS);
    const mime = writeCertificates(certificates, { form: 'mime' });
    expect(latin1(mime)).toContain('smime-type=certs-only;\r\n name="smime.p7c"');
    expect(subjects(readCertificates(mime))).toEqual(OURS);
  });

  it('have no signer, so nothing in them is verified', async () => {
    const der = writeCertificates(certificates);
    expect(await codeOf(() => verify(der, { trust: certificates, content: utf8('x') }))).toBe('NOT_SIGNED');
  });

  const others = cmsRows().filter(({ signers, expect }) => signers?.length === 0 && expect === 'parses');
  it.each(others)('of others: $source/$path', ({ source, path, certificates: count }) => {
    expect(readCertificates(readVector(source, path))).toHaveLength(count as number);
  });
  it('of five projects at least', () => {
    expect(new Set(others.map(({ source }) => source)).size).toBeGreaterThanOrEqual(5);
  });

  it('signed mail brings certificates as well', async () => {
    const mail = await sign(utf8('From: a@example.org\r\n\r\nHello\r\n'), {
      signers: [{ ...alice, chain: certificates }],
    });
    expect(subjects(readCertificates(mail))).toEqual(OURS);
  });

  it('refuses what is none', async () => {
    expect(await codeOf(() => writeCertificates([]))).toBe('RangeError');
    expect(await codeOf(() => writeCertificates(certificates, { form: 'pem' as 'der' }))).toBe('RangeError');
    expect(await codeOf(() => readCertificates(ca.certificate))).toBe('ASN1_UNEXPECTED');
    expect(await codeOf(() => readCertificates(utf8('Subject: no\r\n\r\ncertificates\r\n')))).toBe(
      'NOT_SMIME',
    );
  });

  it.skipIf(!hasOpenssl)('both ways with openssl pkcs7', () => {
    const printed = opensslOut(['pkcs7', '-inform', 'DER', '-print_certs'], writeCertificates(certificates));
    expect(readPem(printed).filter(({ label }) => label === 'CERTIFICATE')).toHaveLength(2);
    const path = join(temporaryFolder(), 'both.pem');
    writeFileSync(path, certificates.map(({ der }) => writePem('CERTIFICATE', der)).join(''));
    for (const form of ['DER', 'PEM']) {
      const made = opensslOut(['crl2pkcs7', '-nocrl', '-certfile', path, '-outform', form]);
      expect(subjects(readCertificates(made))).toEqual(OURS);
    }
  });
});
