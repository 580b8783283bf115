/**
 * The input files that every implementation works on: made by the `openssl` command, not by any of those measured
 * but one, in a folder that the run removes. Text and structures come from a fixed seed; keys are new each time.
 * Thousands of PFX files are what the command would take too long for: files/ makes and keeps them.
 */
import { execFileSync } from 'node:child_process';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BatchInput } from './batches.js';
import { type DerInputs, makeDerInputs } from './derinputs.js';
import { seededKeys } from './files/keys.js';
import { writePack } from './files/pack.js';
import type { ShapeName } from './files/pfx.js';
import { seededRandom } from './random.js';
import { LONG } from './stream.js';

export const PASSWORD = 'mailseal';

const KB = 1024;
const SIZES = [
  { label: '10 KB', bytes: 10 * KB },
  { label: '1 MB', bytes: KB * KB },
  { label: '10 MB', bytes: 10 * KB * KB },
] as const;
/** Of the mail of {@link LONG}. */
const LONG_BYTES = 100 * KB * KB;

/** Recipients of a mail to many. */
export const RECIPIENTS = 50;

/** Paths of files. */
export interface MailInputs {
  /** '10 KB', '1 MB', '10 MB' or {@link LONG}: the size of the plain mail. */
  size: string;
  /** A plain mail with CRLF line ends. */
  plain: string;
  /** That mail clear-signed (multipart/signed), and enveloped with AES-256-CBC for one RSA recipient. */
  signed: string;
  encrypted: string;
  /** Enveloped with AES-256-GCM. */
  encryptedGcm: string;
  /** The same as bare CMS in DER, for rivals without MIME; the signature is detached. */
  signedDer: string;
  encryptedDer: string;
  /** As encryptedDer, but the key transport is RSAES-OAEP. */
  encryptedOaepDer: string;
}

export interface PfxInput {
  name: ShapeName;
  /** One RSA-2048 key and its certificate. */
  file: string;
  hash: string;
  /** Compressions of the hash that the derivations of the keys and the MAC key can't do without. */
  blocks: number;
}

/** Paths of files: PEM for the C program, DER for everybody else. Every process gets this as JSON. */
export interface Inputs {
  folder: string;
  ca: string;
  caPem: string;
  certificate: string;
  certificatePem: string;
  /** Hexadecimal, lower case. */
  certificateSerial: string;
  /** PKCS#8 */
  key: string;
  keyPem: string;
  /** A pack of certificates: {@link RECIPIENTS}, each with a key of its own, the user's the last. */
  recipients: string;
  der: DerInputs;
  pfx: PfxInput[];
  /** Empty for a run without them. */
  batches: BatchInput[];
  /** Of all PFX files. */
  password: string;
  mails: MailInputs[];
  /** Of {@link LONG}; empty for a run without it. */
  longMails: MailInputs[];
}

/** An X.509 user certificate of about 900 bytes, as a company's CA issues them for S/MIME. */
const EXTENSIONS = `basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = emailProtection
subjectAltName = email:alice@example.com
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
`;
const CA_EXTENSIONS = `basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
`;

/**
 * `openssl pkcs12 -export` options (OpenSSL 3 needs -legacy for RC2), and the compressions: two blocks an HMAC. None for
 * the IVs of the PKCS#12 ciphers: what the first block of DER holds can be known without.
 */
export const PFX_ITERATIONS = 2048;
const PFX_PROFILES = [
  {
    name: 'rc2-40', // certificate RC2-40, key 3DES: 1 + 2 chains, and the MAC
    hash: 'sha1',
    blocks: 4 * PFX_ITERATIONS,
    options: '-legacy -certpbe PBE-SHA1-RC2-40 -keypbe PBE-SHA1-3DES -macalg sha1',
  },
  {
    name: '3des', // 2 + 2 chains, and the MAC
    hash: 'sha1',
    blocks: 5 * PFX_ITERATIONS,
    options: '-certpbe PBE-SHA1-3DES -keypbe PBE-SHA1-3DES -macalg sha1',
  },
  {
    name: 'pbes2', // AES-256, PBKDF2 with HMAC-SHA-256: 2 + 2 blocks an iteration, and the MAC
    hash: 'sha256',
    blocks: 5 * PFX_ITERATIONS,
    options: '-certpbe AES-256-CBC -keypbe AES-256-CBC -macalg sha256',
  },
] as const;

/** A text mail of exactly `size` octets: 7 bit, CRLF, lines of up to 72 characters. */
function plainMail(size: number): Buffer {
  const random = seededRandom(size);
  const head =
    'From: Alice <alice@example.com>\r\nTo: Bob <bob@example.com>\r\nSubject: Benchmark\r\n' +
    'Date: Thu, 01 Jan 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\n' +
    'Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n';
  const mail = Buffer.alloc(size, head, 'latin1');
  for (let at = head.length; at < size; ) {
    const rest = size - at;
    // 60 when 72 would leave too little for a last line.
    const lineEnd = at + (rest <= 74 ? rest - 2 : rest < 78 ? 60 : 72);
    while (at < lineEnd) mail[at++] = random() < 0.15 ? 0x20 : 0x61 + Math.floor(random() * 26);
    mail[at - 1] = 0x2e; // a space there would need quoted-printable
    at += mail.write('\r\n', at, 'latin1');
  }
  return mail;
}

/**
 * node-forge tries to read every BIT STRING as DER. With three of four RSA signatures that ends in an exception, which
 * takes longer than all the rest of a certificate. Not to leave that to chance, serial numbers are tried until the
 * signature is one of those: of a second octet that is no length that it takes. Returns the serial number.
 */
function issueCertificate(openssl: (command: string) => void, readDer: () => Buffer): string {
  for (let serial = 0x1a2b3c4d5e6f7081n; ; serial++) {
    openssl(`x509 -req -in cert.csr -CA ca.pem -CAkey ca.key -set_serial 0x${serial.toString(16)}\
 -days 20 -extfile cert.ext -out cert.pem`);
    openssl('x509 -in cert.pem -outform DER -out cert.der');
    const signature = readDer().subarray(-256);
    if ((signature[1] ?? 0) > 0x84) return serial.toString(16);
  }
}

/** The user's certificate behind others of its size, with seeded keys. Returns the pack. */
function issueRecipients(
  openssl: (command: string, ...more: string[]) => void,
  save: (name: string, pem: string) => string,
  read: (name: string) => Buffer,
): string {
  const certificates: Buffer[] = [];
  for (const pkcs8 of seededKeys('recipients', RECIPIENTS - 1)) {
    const key = createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' });
    save('recipient.pub', createPublicKey(key).export({ format: 'pem', type: 'spki' }).toString());
    openssl(
      `x509 -req -in cert.csr -force_pubkey recipient.pub -CA ca.pem -CAkey ca.key\
 -set_serial ${1000 + certificates.length} -days 20 -extfile cert.ext -outform DER -out recipient.der`,
    );
    certificates.push(read('recipient.der'));
  }
  const pack = save('recipients.pack', '');
  writePack(pack, [...certificates, read('cert.der')]);
  return pack;
}

export function makeInputs(folder: string, batches: BatchInput[], withLongMail: boolean): Inputs {
  const file = (name: string): string => join(folder, name);
  const save = (name: string, bytes: Uint8Array | string): string => {
    writeFileSync(file(name), bytes);
    return file(name);
  };
  /** Runs in the folder; `command` is split at its spaces. */
  const openssl = (command: string, ...more: string[]): void => {
    const stdio = ['ignore', 'ignore', 'pipe'] as const;
    execFileSync('openssl', [...command.split(' '), ...more], { cwd: folder, stdio: [...stdio] });
  };
  const subject = '/C=DE/O=Example GmbH/CN=';
  const request = (name: string, commonName: string): void => {
    openssl(
      `req -newkey rsa:2048 -nodes -keyout ${name}.key -out ${name}.csr`,
      '-subj',
      subject + commonName,
    );
  };

  save('ca.ext', CA_EXTENSIONS);
  save('cert.ext', EXTENSIONS);
  request('ca', 'Example Mail CA');
  openssl('x509 -req -in ca.csr -signkey ca.key -days 30 -extfile ca.ext -out ca.pem');
  request('cert', 'Alice');
  openssl('x509 -in ca.pem -outform DER -out ca.der');
  const certificateSerial = issueCertificate(openssl, () => readFileSync(file('cert.der')));
  openssl('pkcs8 -topk8 -nocrypt -in cert.key -outform DER -out key.der');

  const pfx = PFX_PROFILES.map(({ options, ...profile }): PfxInput => {
    const name = `${profile.name}.pfx`;
    openssl(`pkcs12 -export -in cert.pem -inkey cert.key -name Alice -passout pass:${PASSWORD}\
 -iter ${PFX_ITERATIONS} ${options} -out ${name}`);
    return { ...profile, file: file(name) };
  });

  const makeMails = (label: string, bytes: number): MailInputs => {
    const prefix = label.replace(' ', '');
    const plain = save(`${prefix}.eml`, plainMail(bytes));
    const make = (name: string, options: string): string => {
      openssl(`cms -in ${prefix}.eml -out ${prefix}.${name} ${options}`);
      return file(`${prefix}.${name}`);
    };
    // The command ends some lines in CRLF, some in LF; a mail server hands over CRLF.
    const makeMail = (name: string, options: string): string => {
      const path = make(name, `${options} -from alice@example.com -to bob@example.com -subject Benchmark`);
      writeFileSync(path, readFileSync(path, 'latin1').replace(/\r?\n/g, '\r\n'), 'latin1');
      return path;
    };
    const signing = '-sign -signer cert.pem -inkey cert.key -md sha256';
    const encrypting = '-encrypt -aes-256-cbc -recip cert.pem';
    const encryptingGcm = encrypting.replace('cbc', 'gcm');
    return {
      size: label,
      plain,
      signed: makeMail('signed.eml', signing),
      encrypted: makeMail('encrypted.eml', encrypting),
      encryptedGcm: makeMail('gcm.eml', encryptingGcm),
      signedDer: make('signed.der', `${signing} -outform DER`),
      encryptedDer: make('encrypted.der', `${encrypting} -outform DER`),
      encryptedOaepDer: make('oaep.der', `${encrypting} -keyopt rsa_padding_mode:oaep -outform DER`),
    };
  };

  return {
    folder,
    ca: file('ca.der'),
    caPem: file('ca.pem'),
    certificate: file('cert.der'),
    certificatePem: file('cert.pem'),
    certificateSerial,
    key: file('key.der'),
    keyPem: file('cert.key'),
    recipients: issueRecipients(openssl, save, (name) => readFileSync(file(name))),
    der: makeDerInputs(folder, openssl, file('cert.der')),
    pfx,
    batches,
    password: PASSWORD,
    mails: SIZES.map(({ label, bytes }) => makeMails(label, bytes)),
    longMails: withLongMail ? [makeMails(LONG, LONG_BYTES)] : [],
  };
}
