/**
 * The files that the tests of the command line work on: a user with two keys in turn (Anna), one with an EC key
 * (Bert), their PFX files, certificates and mail, and a key store that has both. Nothing in it expires before 2040.
 */
import { createPrivateKey } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex, writePem } from '../../src/bytes.js';
import { signData } from '../../src/cms/signed.js';
import { encrypt, sign } from '../../src/smime/message.js';
import { Certificate } from '../../src/x509/certificate.js';
import { PrivateKey } from '../../src/x509/keys.js';
import { certBag, encryptedSafe, pfx, safe, shroudedKeyBag } from './pfx.js';
import { generateKey, type IssuedCertificate, issueCertificate } from './pki.js';

/** With everything that a CSV has to quote. */
export const ANNA_PASSWORD = 'corréct, "horse"';
export const BERT_PASSWORD = 'battery staple';

export const MAIL = [
  'From: Anna <anna@example.org>',
  'To: Bert <bert@example.org>',
  'Subject: accounts',
  'Content-Type: text/plain; charset=utf-8',
  '',
  'The books are closed.',
  '',
].join('\r\n');

export const ca = issueCertificate({ subject: 'Test CA', ca: true });
export const annaOld = issueCertificate({
  subject: 'Anna',
  emails: ['anna@example.org'],
  key: 'rsa',
  issuer: ca,
  notAfter: new Date('2023-01-01'),
});
export const anna = issueCertificate({
  subject: 'Anna',
  emails: ['anna@example.org'],
  key: 'rsa',
  issuer: ca,
  notBefore: new Date('2022-12-01'),
});
export const bert = issueCertificate({ subject: 'Bert', emails: ['bert@example.org'], issuer: ca });
export const ed25519Key = generateKey('ed25519');

export const pfxOf = (issued: IssuedCertificate, password: string) =>
  pfx({
    safes: [
      encryptedSafe([certBag(issued.certificate), certBag(ca.certificate)], password),
      safe([shroudedKeyBag(issued.privateKey, password, { friendlyName: 'mail key' })]),
    ],
    password,
  });

const parse = ({ certificate }: IssuedCertificate) => Certificate.parse(certificate);
const signerOf = (issued: IssuedCertificate) => ({
  privateKey: PrivateKey.parse(issued.privateKey),
  certificate: parse(issued),
});

/** Writes them into `folder`, which the tests run in. */
export async function writeFiles(folder: string): Promise<void> {
  const write = (name: string, content: string | Uint8Array) => writeFileSync(join(folder, name), content);
  write('ca.pem', writePem('CERTIFICATE', ca.certificate));
  write('ca.der', ca.certificate);
  write('anna-old.p12', pfxOf(annaOld, ANNA_PASSWORD));
  write('anna.p12', pfxOf(anna, ANNA_PASSWORD));
  write('bert.p12', pfxOf(bert, BERT_PASSWORD));
  write('anna-old.pem', writePem('CERTIFICATE', annaOld.certificate));
  write('anna.pem', writePem('CERTIFICATE', anna.certificate));
  write('bert.pem', writePem('CERTIFICATE', bert.certificate));
  write('anna.pw', `\ufeff${ANNA_PASSWORD}\r\nanother line\r\n`);
  write('bert.pw', BERT_PASSWORD);
  write('seal.key', `${toHex(new Uint8Array(32).fill(7))}\n`);
  write('other-seal.key', new Uint8Array(32).fill(8));
  write(
    'passwords.csv',
    `\ufeff"anna.p12","${ANNA_PASSWORD.replaceAll('"', '""')}"\r\n\r\nbert.p12,${BERT_PASSWORD}\r\n`,
  );
  const message = Buffer.from(MAIL);
  const signed = await sign(message, { signers: [signerOf(anna)] });
  write('mail.eml', message);
  write('signed.eml', signed);
  write('changed.eml', Buffer.from(signed).toString('latin1').replace('are closed', 'are cooked'));
  write('from-bert.eml', await sign(message, { signers: [signerOf(bert)] }));
  write(
    'to-anna-old.eml',
    await encrypt(signed, { recipients: [parse(annaOld)], now: new Date('2022-06-01') }),
  );
  write('detached.p7s', signData(message, { signers: [signerOf(anna)], detached: true }));
}

/** What must never be printed: passwords, and the start of each secret number as octets, hex or base64 show it. */
export function secrets(): string[] {
  const found = [ANNA_PASSWORD, Buffer.from(ANNA_PASSWORD).toString('latin1'), BERT_PASSWORD];
  for (const key of [annaOld.privateKey, anna.privateKey, bert.privateKey, ed25519Key]) {
    const { d, p, q } = createPrivateKey({ key: Buffer.from(key), format: 'der', type: 'pkcs8' }).export({
      format: 'jwk',
    });
    for (const part of [d, p, q]) {
      if (part === undefined) continue;
      const octets = Buffer.from(part, 'base64url');
      found.push(octets.toString('hex', 0, 12), octets.toString('latin1', 0, 12));
      for (const shift of [0, 1, 2]) found.push(octets.toString('base64', shift, shift + 12));
    }
  }
  return found;
}
