/**
 * DER and BER of several sizes, for the parsers: certificates and a CRL by the `openssl` command, BER that nests as deep
 * as mailseal allows, and a pack of many certificates. Called by inputs.ts.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writePack } from './files/pack.js';
import { seededRandom } from './random.js';

export interface DerInput {
  /** '900 octets' and the like: what `tape` reads. */
  name: string;
  file: string;
}

export interface DerInputs {
  values: DerInput[];
  /** A pack of certificates of the size of the user's, all different. */
  certificates: string;
}

const CERTIFICATES = 1000;
const REVOKED = 2500;
/** mailseal and asn1js refuse more than 64. */
const DEPTH = 64;
const TREES = 80;

const LARGE_EXTENSIONS = `basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = emailProtection, clientAuth
certificatePolicies = 1.3.6.1.4.1.99999.1, 1.3.6.1.4.1.99999.2
crlDistributionPoints = URI:http://crl.example.com/users.crl
authorityInfoAccess = OCSP;URI:http://ocsp.example.com, caIssuers;URI:http://ca.example.com/ca.cer
subjectAltName = ${Array.from({ length: 50 }, (_, i) => `email:alias${i}@example.com`).join(',')}
`;

/** Database and configuration of `openssl ca`. */
const CA_CONFIG = `[ca]
default_ca = revoking
[revoking]
database = revoked.txt
default_md = sha256
default_crl_days = 30
`;

/**
 * @param openssl runs the command in the folder
 * @param certificate of the user, made there
 */
export function makeDerInputs(
  folder: string,
  openssl: (command: string, ...more: string[]) => void,
  certificate: string,
): DerInputs {
  const file = (name: string): string => join(folder, name);
  const save = (name: string, bytes: Uint8Array | string): string => {
    writeFileSync(file(name), bytes);
    return file(name);
  };

  openssl('ecparam -name prime256v1 -genkey -noout -out small.key');
  openssl('req -x509 -key small.key -days 20 -outform DER -out small.der', '-subj', '/CN=Alice');
  save('large.ext', LARGE_EXTENSIONS);
  openssl(
    'x509 -req -in cert.csr -CA ca.pem -CAkey ca.key -set_serial 1 -days 20 -extfile large.ext -out large.pem',
  );
  openssl('x509 -in large.pem -outform DER -out large.der');

  save('revoked.txt', revokedCertificates());
  save('revoked.txt.attr', '');
  save('ca.conf', CA_CONFIG);
  openssl('ca -config ca.conf -gencrl -cert ca.pem -keyfile ca.key -out crl.pem');
  openssl('crl -in crl.pem -outform DER -out crl.der');

  return {
    values: [
      { name: 'certificate', file: certificate },
      { name: 'small certificate', file: file('small.der') },
      { name: 'large certificate', file: file('large.der') },
      { name: 'CRL', file: file('crl.der') },
      { name: 'BER', file: save('deep.ber', deepBer()) },
    ],
    certificates: makeCertificates(readFileSync(certificate), file('certificates.pack')),
  };
}

/** The database of `openssl ca`: status, end of validity, revocation time and reason, serial number, file, subject. */
function revokedCertificates(): string {
  const random = seededRandom(REVOKED);
  const lines = Array.from({ length: REVOKED }, () => {
    const serial = Array.from({ length: 8 }, () => 1 + Math.floor(random() * 126));
    const hex = Buffer.from(serial).toString('hex').toUpperCase();
    return `R\t300101120000Z\t260101120000Z,keyCompromise\t${hex}\tunknown\t/CN=${hex}\n`;
  });
  return lines.join('');
}

/** SEQUENCEs of indefinite length (X.690 8.1.3.6), each with an INTEGER and the next one; many such trees side by side. */
function deepBer(): Buffer {
  const open = Buffer.from([0x30, 0x80]);
  const close = Buffer.alloc(2);
  const level = Buffer.concat([open, Buffer.from([0x02, 0x01, 0x07])]);
  const tree = [...Array<Buffer>(DEPTH - 2).fill(level), ...Array<Buffer>(DEPTH - 2).fill(close)];
  return Buffer.concat([open, ...Array<Buffer[]>(TREES).fill(tree).flat(), close]);
}

/** The user's with other serial numbers, moduli and signatures: nobody verifies them. */
function makeCertificates(template: Buffer, path: string): string {
  const random = seededRandom(CERTIFICATES);
  const serial = template.indexOf(Buffer.from([0x02, 0x08])) + 2;
  const modulus = template.indexOf(Buffer.from([0x02, 0x82, 0x01, 0x01, 0x00])) + 5;
  const signature = template.length - 256;
  const certificates = Array.from({ length: CERTIFICATES }, () => {
    const certificate = Buffer.from(template);
    for (const [start, length] of [
      [serial, 8],
      [modulus, 256],
      [signature, 256],
    ] as const) {
      // 1 to 126: of a serial number, positive.
      for (let at = start; at < start + length; at++) certificate[at] = 1 + Math.floor(random() * 126);
    }
    certificate[modulus] = 0x80 | (certificate[modulus] as number);
    certificate[signature + 1] = 0xff; // see inputs.ts: no length that node-forge takes
    return certificate;
  });
  writePack(path, certificates);
  return path;
}
