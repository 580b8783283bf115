/**
 * A process that makes one pack of PFX files: `make.ts SHAPE ITERATIONS FIRST COUNT PASSWORD FILE`. File `n` of a shape
 * is the same whoever makes it: a key and a certificate of its own, and its own salts and IVs. cache.ts starts it.
 */
import { execFileSync } from 'node:child_process';
import { type IssuedCertificate, issueCertificate } from '../../test/helpers/pki.js';
import { seededKeys } from './keys.js';
import { writePack } from './pack.js';
import { makePfx, type ShapeName } from './pfx.js';

const [shape, iterations = '', first = '', count = '', password = '', path = ''] = process.argv.slice(2);

const [caKey] = seededKeys('ca', 1);
const organization = [
  ['countryName', 'DE'],
  ['organizationName', 'Example GmbH'],
] as const;
const ca = issueCertificate({
  subject: [...organization, ['commonName', 'Example Mail CA']],
  key: caKey as Uint8Array,
  ca: true,
  serialNumber: 1n,
});

function issue(name: string, number: number, key: Uint8Array): IssuedCertificate {
  return issueCertificate({
    subject: [...organization, ['commonName', name]],
    emails: [`${name}@example.com`],
    key,
    issuer: ca,
    serialNumber: 0x1a2b_3c4d_0000_0000n + BigInt(number),
  });
}

const files: Uint8Array[] = [];
for (const key of seededKeys(`${shape} ${first}`, Number(count))) {
  const number = Number(first) + files.length;
  const name = `${shape}-${number}`;
  const { certificate, privateKey } = issue(name, number, key);
  const parts = { certificate, privateKey, password, iterations: Number(iterations) };
  files.push(makePfx(shape as ShapeName, { ...parts, seed: `${name} ${iterations}`, friendlyName: name }));
}
const provider = shape === 'rc2-40' ? ['-legacy'] : []; // OpenSSL 3 needs it for RC2
for (const file of [files[0], files.at(-1)]) {
  const args = ['pkcs12', '-passin', `pass:${password}`, '-noout', ...provider];
  execFileSync('openssl', args, { input: file as Uint8Array, stdio: ['pipe', 'ignore', 'pipe'] });
}
writePack(path, files);
