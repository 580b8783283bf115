/**
 * The input files that every implementation works on: made by the `openssl` command, not by any of those measured
 * but one, in a folder that the run removes. Text and structures come from a fixed seed; keys are new each time.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const PASSWORD = 'mailseal';

const KB = 1024;
const SIZES = [
  { label: '10 KB', bytes: 10 * KB },
  { label: '1 MB', bytes: KB * KB },
  { label: '10 MB', bytes: 10 * KB * KB },
] as const;

/** A file, with its content at hand. */
export interface Input {
  path: string;
  bytes: Uint8Array;
}

export interface MailInputs {
  /** '10 KB', '1 MB' or '10 MB': the size of the plain mail. */
  size: string;
  /** A plain mail with CRLF line ends. */
  plain: Input;
  /** That mail clear-signed (multipart/signed), and enveloped with AES-256-CBC for one RSA recipient. */
  signed: Input;
  encrypted: Input;
  /** The same as bare CMS in DER, for rivals without MIME; the signature is detached. */
  signedDer: Input;
  encryptedDer: Input;
  /** As encryptedDer, but the key transport is RSAES-OAEP. */
  encryptedOaepDer: Input;
}

export interface Inputs {
  folder: string;
  /** PEM files for the C program, DER for everybody else. */
  ca: Input;
  caPem: string;
  certificate: Input;
  certificatePem: string;
  /** PKCS#8 */
  key: Input;
  keyPem: string;
  /** A list of 3,792 revoked certificates as in a CRL: 100 KB, 11,377 values. */
  structure: Input;
  /** One RSA-2048 key and its certificate, 2048 iterations. */
  pfx: { name: string; input: Input; hash: string; blocks: number }[];
  mails: MailInputs[];
}

/** An X.509 user certificate of about 900 bytes, as a company's CA issues them for S/MIME. */
const EXTENSIONS = `basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = emailProtection
subjectAltName = email:alice@example.com
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
`;
const CA_EXTENSIONS = [
  'basicConstraints=critical,CA:TRUE',
  'keyUsage=critical,keyCertSign,cRLSign',
  'subjectKeyIdentifier=hash',
];

/**
 * `openssl pkcs12 -export` options (OpenSSL 3 needs -legacy for RC2), and the compressions of the hash that the
 * derivations can't do without: chains of keys, IVs and the MAC key, two blocks an HMAC.
 */
const PFX_ITERATIONS = 2048;
const PFX_PROFILES = [
  {
    name: 'rc2-40', // certificate RC2-40, key 3DES: 2 + 3 chains, and the MAC
    hash: 'sha1',
    blocks: 6 * PFX_ITERATIONS,
    options: ['-legacy', '-certpbe', 'PBE-SHA1-RC2-40', '-keypbe', 'PBE-SHA1-3DES', '-macalg', 'sha1'],
  },
  {
    name: '3des', // 3 + 3 chains, and the MAC
    hash: 'sha1',
    blocks: 7 * PFX_ITERATIONS,
    options: ['-certpbe', 'PBE-SHA1-3DES', '-keypbe', 'PBE-SHA1-3DES', '-macalg', 'sha1'],
  },
  {
    name: 'pbes2', // AES-256, PBKDF2 with HMAC-SHA-256: 2 + 2 blocks an iteration, and the MAC
    hash: 'sha256',
    blocks: 5 * PFX_ITERATIONS,
    options: ['-certpbe', 'AES-256-CBC', '-keypbe', 'AES-256-CBC', '-macalg', 'sha256'],
  },
];

/** Marsaglia's xorshift32: the same numbers in every run. */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 0x1_0000_0000;
  };
}

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

/** SEQUENCE OF SEQUENCE { serialNumber INTEGER, revocationDate UTCTime } (RFC 5280 section 5.1). */
function revokedCertificates(entries: number): Buffer {
  const random = seededRandom(entries);
  const body = Buffer.alloc(entries * 27);
  for (let entry = 0; entry < entries; entry++) {
    const at = entry * 27;
    body.set([0x30, 25, 0x02, 8], at);
    for (let octet = 0; octet < 8; octet++) body[at + 4 + octet] = 1 + Math.floor(random() * 127);
    body.set([0x17, 13], at + 12);
    body.write('260101120000Z', at + 14, 'latin1');
  }
  return Buffer.concat([Buffer.from([0x30, 0x83, body.length >> 16, body.length >> 8, body.length]), body]);
}

export function makeInputs(folder: string): Inputs {
  const file = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  };
  const load = (name: string): Input => ({ path: file(name), bytes: readFileSync(file(name)) });
  const save = (name: string, bytes: Uint8Array): Input => {
    writeFileSync(file(name), bytes);
    return load(name);
  };

  const subject = '/C=DE/O=Example GmbH/CN=';
  const newRsa = ['-newkey', 'rsa:2048', '-nodes'];
  writeFileSync(file('extensions'), EXTENSIONS);
  openssl('req', '-x509', ...newRsa, '-keyout', file('ca.key'), '-out', file('ca.pem'), '-days', '30',
    '-subj', `${subject}Example Mail CA`, ...CA_EXTENSIONS.flatMap((line) => ['-addext', line])); // biome-ignore format: a command line
  openssl(
    'req',
    ...newRsa,
    '-keyout',
    file('key.pem'),
    '-out',
    file('request.pem'),
    '-subj',
    `${subject}Alice`,
  );
  openssl(
    'x509',
    '-req',
    '-in',
    file('request.pem'),
    '-CA',
    file('ca.pem'),
    '-CAkey',
    file('ca.key'),
    '-set_serial',
    '0x1a2b3c4d5e6f7081',
    '-days',
    '20',
    '-extfile',
    file('extensions'),
    '-out',
    file('cert.pem'),
  );
  for (const name of ['ca', 'cert']) {
    openssl('x509', '-in', file(`${name}.pem`), '-outform', 'DER', '-out', file(`${name}.der`));
  }
  openssl('pkcs8', '-topk8', '-nocrypt', '-in', file('key.pem'), '-outform', 'DER', '-out', file('key.der'));

  const pfx = PFX_PROFILES.map(({ options, ...profile }, index) => {
    openssl(
      'pkcs12',
      '-export',
      '-in',
      file('cert.pem'),
      '-inkey',
      file('key.pem'),
      '-name',
      'Alice',
      '-passout',
      `pass:${PASSWORD}`,
      '-iter',
      String(PFX_ITERATIONS),
      ...options,
      '-out',
      file(`${index}.pfx`),
    );
    return { ...profile, input: load(`${index}.pfx`) };
  });

  const mails = SIZES.map(({ label, bytes }, index): MailInputs => {
    const plain = save(`${index}.eml`, plainMail(bytes));
    const make = (name: string, ...args: string[]): Input => {
      openssl('cms', '-in', plain.path, '-out', file(name), ...args);
      return load(name);
    };
    const signing = ['-sign', '-signer', file('cert.pem'), '-inkey', file('key.pem'), '-md', 'sha256'];
    const encrypting = ['-encrypt', '-aes-256-cbc', '-recip', file('cert.pem')];
    const headers = ['-from', 'alice@example.com', '-to', 'bob@example.com', '-subject', 'Benchmark'];
    // The command ends some lines in CRLF, some in LF; a mail server hands over CRLF.
    const makeMail = (name: string, ...args: string[]): Input => {
      const text = Buffer.from(make(name, ...args, ...headers).bytes).toString('latin1');
      return save(name, Buffer.from(text.replace(/\r?\n/g, '\r\n'), 'latin1'));
    };
    return {
      size: label,
      plain,
      signed: makeMail(`${index}.signed.eml`, ...signing),
      encrypted: makeMail(`${index}.encrypted.eml`, ...encrypting),
      signedDer: make(`${index}.signed.der`, ...signing, '-outform', 'DER'),
      encryptedDer: make(`${index}.encrypted.der`, ...encrypting, '-outform', 'DER'),
      encryptedOaepDer: make(
        `${index}.oaep.der`,
        ...encrypting,
        '-keyopt',
        'rsa_padding_mode:oaep',
        '-outform',
        'DER',
      ),
    };
  });

  return {
    folder,
    ca: load('ca.der'),
    caPem: file('ca.pem'),
    certificate: load('cert.der'),
    certificatePem: file('cert.pem'),
    key: load('key.der'),
    keyPem: file('key.pem'),
    structure: save('revoked.der', revokedCertificates(3792)),
    pfx,
    mails,
  };
}
