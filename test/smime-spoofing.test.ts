/** Mail that shows readers another sender, other text or another certificate than was signed («Johnny, you are fooled»). */
import { describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { latin1, utf8 } from '../src/bytes.js';
import { encryptData, envelopedPieces } from '../src/cms/enveloped.js';
import { keyRing } from '../src/cms/recipients.js';
import { signData, signedPieces } from '../src/cms/signed.js';
import { buildPkcs7Mime } from '../src/smime/build.js';
import { decrypt, sign } from '../src/smime/message.js';
import { verify } from '../src/smime/verify.js';
import { Certificate } from '../src/x509/certificate.js';
import { issueCertificate, person } from './helpers/pki.js';

const root = issueCertificate({ subject: 'Root', ca: true });
const trust = [Certificate.parse(root.certificate)];
const emails = ['eve@example.org'];
const eve = person({ subject: 'Eve', emails, issuer: root });
const FROM = 'From: eve@example.org\r\n';
const MAIL = `${FROM}To: bob@example.org\r\nSubject: s\r\nContent-Type: text/plain\r\n\r\nHello\r\n`;
const signed = latin1(await sign(utf8(MAIL), { signers: [eve] }));
const protectedMail = latin1(await sign(utf8(MAIL), { signers: [eve], protectHeaders: 'clear' }));

function replaced(mail: string, from: string, to: string): Uint8Array {
  if (!mail.includes(from)) throw new Error(`nothing to replace: ${from}`);
  return Buffer.from(
    mail.replace(from, () => to),
    'latin1',
  );
}
const codes = ({ problems }: { problems: readonly { code: string }[] }) => problems.map(({ code }) => code);

/** Header fields in place of From. */
const DISGUISES = [
  'From: "boss@example.com": eve@example.org;',
  'From: "Boss boss@example.com":;',
  'From: =?utf-8?q?boss=40example.com?=: eve@example.org;',
  'From: Boss (boss@example.com): eve@example.org;',
  'From:',
  'From: x:;',
  'From: x:;\r\nSender: boss@example.com',
  'From: (boss@example.com) eve@example.org',
  'From: eve@example.org (boss@example.com) ()',
  'From: Boss (boss@example.com) <eve@example.org>',
  'From: <eve@example.org> (=?utf-8?q?boss=40example.com?=)',
  'From: (boss@example.com), eve@example.org',
  'From: <@boss@example.com:eve@example.org>',
  'From: <@"boss@example.com":eve@example.org>',
  'From: "boss@example.com" <eve@example.org>',
];

describe('From', () => {
  it.each(DISGUISES)('%s', async (field) => {
    const verdict = await verify(replaced(signed, FROM, `${field}\r\n`), { trust });
    expect(verdict).toMatchObject({ valid: false, senderVerified: false });
    expect(codes(verdict)).toContain('SENDER_MISMATCH');
  });

  it.each([
    ...DISGUISES,
    `${FROM}From: Boss <eve@example.org>`,
    `${FROM}Sender: boss@example.com <eve@example.org>`,
  ])('outside of a protected header: %s', async (field) => {
    const verdict = await verify(replaced(protectedMail, FROM, `${field.trimEnd()}\r\n`), { trust });
    expect(verdict).toMatchObject({ valid: false, senderVerified: true, from: emails });
    expect(codes(verdict)).toEqual(['FROM_MISMATCH']);
  });

  it('a Sender that was added outside of a protected header is reported', async () => {
    const verdict = await verify(replaced(protectedMail, FROM, `${FROM}Sender: list@example.com\r\n`), {
      trust,
    });
    expect(verdict).toMatchObject({ valid: true, senderVerified: true, sender: ['list@example.com'] });
  });

  it.each([
    'From: Friends: eve@example.org;',
    'From: Eve (eve@example.org) <eve@example.org> (Eve) (at work)',
    'From: <@a.example,@[192.0.2.1]:eve@example.org>',
  ])('is fine: %s', async (field) => {
    const verdict = await verify(replaced(signed, FROM, `${field}\r\n`), { trust });
    expect(verdict).toMatchObject({ valid: true, senderVerified: true, problems: [] });
  });

  it('what is reported of a header of thousands of addresses is short', async () => {
    const fields = `From: ${'"a@b.c" <x@y.z>,'.repeat(900)}\r\n`.repeat(20);
    const verdict = await verify(replaced(signed, FROM, fields), { trust });
    expect(verdict.valid).toBe(false);
    expect(verdict.problems.length).toBeLessThan(20);
    expect(verdict.from.length).toBeLessThanOrEqual(1000);
    const outside = await verify(replaced(protectedMail, FROM, fields), { trust });
    expect(JSON.stringify(outside.problems).length).toBeLessThan(2000);
  });

  it.each([
    'From: "boss@example.com" <eve@example.org>',
    `${FROM}From: "boss@example.com":;`,
    'From: "boss@example.com": eve@example.org;',
  ])(
    'inside of an encrypted mail without a signature, it does not replace the one outside: %s',
    async (field) => {
      const entity = utf8(
        `Content-Type: text/plain; hp="cipher"\r\n${field}\r\nSubject: in\r\n\r\nHello\r\n`,
      );
      const mail = buildPkcs7Mime({
        outer: utf8(`${FROM}Subject: out\r\n`),
        smimeType: 'enveloped-data',
        content: envelopedPieces(entity, { recipients: [eve.certificate] }).pieces,
      });
      const opened = await decrypt(mail, { keys: keyRing({ entries: [eve] }) });
      expect(opened.headers?.fromMismatch).toBe(true);
      const shown = latin1(opened.message as Uint8Array);
      expect(shown).toContain('Subject: in');
      expect(shown).toContain(FROM);
      expect(shown).not.toContain('boss@');
    },
  );
});

describe('what is signed', () => {
  const ENTITY = utf8('Content-Type: text/plain\r\n\r\nHello\r\n');

  it('a mail in which the signature says that the content is a time stamp', async () => {
    const contentType = '1.2.840.113549.1.9.16.1.4';
    const { pieces } = await signedPieces(ENTITY, { signers: [eve], contentType, detached: false });
    const mail = buildPkcs7Mime({ outer: utf8(FROM), smimeType: 'signed-data', content: pieces });
    const verdict = await verify(mail, { trust });
    expect(codes(verdict)).toEqual(['UNSUPPORTED_FEATURE']);
    expect(verdict).toMatchObject({ valid: false, contentType });
    const object = await verify(signData(ENTITY, { signers: [eve], contentType }), { trust });
    expect(object).toMatchObject({ valid: true, contentType });
    expect((await verify(utf8(signed), { trust })).contentType).toBe(OID.data);
  });

  it('lone CRs around a delimiter are not taken for line ends', async () => {
    const body =
      '--b\r\nContent-Type: text/plain\r\n\r\nPay\r\n--b\r\nContent-Type: text/plain\r\n\r\nNOT\r\n--b--\r\n';
    const mail = `${FROM}Content-Type: multipart/mixed; boundary=b\r\n\r\n${body}`;
    const whole = latin1(await sign(utf8(mail), { signers: [eve] }));
    const fused = replaced(
      whole,
      '\r\n--b\r\nContent-Type: text/plain\r\n\r\nNOT',
      '\r--b\rContent-Type: text/plain\r\rNOT',
    );
    expect(codes(await verify(fused, { trust }))).toEqual(['CONTENT_CHANGED']);
    expect((await verify(utf8(whole.replaceAll('\r\n', '\n')), { trust })).problems).toEqual([]);
  });

  it('a part among others proves neither a header nor a sender', async () => {
    const inner = protectedMail.slice(protectedMail.indexOf('Content-Type: multipart/signed'));
    const mail = `${FROM}Content-Type: multipart/mixed; boundary=w\r\n\r\n--w\r\n\r\nPay now.\r\n--w\r\n${inner}\r\n--w--\r\n`;
    const verdict = await verify(utf8(mail), { trust });
    expect(codes(verdict)).toEqual(['PARTLY_SIGNED']);
    expect(verdict.headers).toBeUndefined();
    expect(verdict).toMatchObject({ from: emails, senderVerified: false });
  });

  it('an encrypted message is none that is signed, with authenticated encryption as well', async () => {
    for (const cipher of ['aes256-cbc', 'aes256-gcm'] as const) {
      const message = encryptData(ENTITY, { recipients: [eve.certificate], cipher });
      await expect(verify(message, { trust })).rejects.toMatchObject({ code: 'NOT_SIGNED' });
    }
  });
});

describe('the certificate to answer to', () => {
  const stranger = issueCertificate({ subject: 'Root', ca: true });
  const answered = async (
    encryptionCertificate: Certificate,
    ...chain: Certificate[]
  ): Promise<Certificate | undefined> => {
    const mail = await sign(utf8(MAIL), { signers: [{ ...eve, encryptionCertificate, chain }] });
    const verdict = await verify(mail, { trust });
    expect(verdict.problems).toEqual([]);
    return verdict.signers[0]?.encryptionCertificate;
  };
  const issued = (input: Partial<Parameters<typeof person>[0]>) =>
    person({ subject: 'Eve', emails, issuer: root, ...input }).certificate;

  it('the signer’s own, whatever else has its name', async () => {
    const serialNumber = BigInt(`0x${Buffer.from(eve.certificate.serialNumber).toString('hex')}`);
    for (let i = 0; i < 4; i++) {
      const twin = issued({ issuer: stranger, serialNumber });
      expect((await answered(eve.certificate, twin))?.equals(eve.certificate)).toBe(true);
    }
  });

  it('another that is trusted and has an address of the signer', async () => {
    const other = issued({
      emails: ['EVE@example.org', 'e@example.org'],
      keyUsage: ['keyAgreement'], // for encryption alone
    });
    expect((await answered(other))?.equals(other)).toBe(true);
    const twin = issued({ issuer: stranger, serialNumber: 77 });
    const real = issued({ serialNumber: 77 });
    expect((await answered(twin, real))?.equals(real)).toBe(true);
  });

  it.each([
    ['not trusted', () => issued({ issuer: stranger })],
    ['of another address', () => issued({ emails: ['boss@example.org'] })],
  ])('none that is %s', async (_, make) => {
    expect(await answered(make())).toBeUndefined();
  });

  it('none that is not for mail', async () => {
    const twin = issued({ issuer: stranger, serialNumber: 88 });
    const server = issued({ serialNumber: 88, extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'] });
    expect(await answered(twin, server)).toBeUndefined();
  });

  it('none of two that both fit', async () => {
    expect(await answered(issued({ serialNumber: 99 }), issued({ serialNumber: 99 }))).toBeUndefined();
  });
});
