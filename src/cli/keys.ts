/** Where the commands get keys and certificates from: a key store, a PFX file, certificate files. */
import { buffer, readPem } from '../bytes.js';
import { MailsealError } from '../errors.js';
import { type KeyStore, openKeyStore, readSealKey } from '../keystore/store.js';
import { type PfxContents, readPfx } from '../pfx/read.js';
import { Certificate } from '../x509/certificate.js';
import { readInput, readPasswordFile } from './files.js';
import { askPassword } from './terminal.js';

export interface StoreOptions {
  store?: string;
  sealKey?: string;
}

/** Runs `use` on the store that the options name, and closes it whatever happens. */
export async function withStore<T>(
  options: StoreOptions,
  create: boolean,
  use: (store: KeyStore) => Promise<T>,
): Promise<T> {
  const { store: url, sealKey: file } = options;
  if (url === undefined) throw new MailsealError('USAGE', 'no key store: give --store or MAILSEAL_STORE');
  if (file === undefined)
    throw new MailsealError('USAGE', 'no seal key: give --seal-key or MAILSEAL_SEAL_KEY');
  const content = readInput(file);
  const sealKey = readSealKey(content);
  buffer(content).fill(0);
  try {
    const store = await openKeyStore(url, { sealKey, create });
    try {
      return await use(store);
    } finally {
      await store.close();
    }
  } finally {
    buffer(sealKey).fill(0);
  }
}

/** The password that goes with `what`: from a file, the environment, or the terminal. */
export async function passwordFor(what: string, file: string | undefined): Promise<string> {
  if (file !== undefined) return readPasswordFile(file);
  return process.env.MAILSEAL_PASSWORD ?? askPassword(`Password of ${what}`);
}

export interface PfxFileOptions {
  pfx?: string;
  passwordFile?: string;
}

/** @throws MailsealError PFX_NO_KEY */
export async function openPfx(path: string, passwordFile: string | undefined): Promise<PfxContents> {
  const bytes = pfxBytes(readInput(path));
  const contents = readPfx(bytes, await passwordFor(path, passwordFile));
  if (contents.entries.length === 0) throw new MailsealError('PFX_NO_KEY', `${path} holds no private key`);
  return contents;
}

/** A PFX may come as PEM (label PKCS12). */
export function pfxBytes(bytes: Uint8Array): Uint8Array {
  if (!isPem(bytes)) return bytes;
  const block = readPem(bytes).find(({ label }) => label === 'PKCS12');
  if (block === undefined) throw new MailsealError('PFX_MALFORMED', 'PEM without a PKCS12 block');
  return block.bytes;
}

export function isPem(bytes: Uint8Array): boolean {
  return buffer(bytes).includes('-----BEGIN ');
}

/** All certificates of a PEM file, or the one of a DER file. @throws MailsealError */
export function readCertificates(path: string): Certificate[] {
  const bytes = readInput(path);
  if (!isPem(bytes)) return [Certificate.parse(bytes)];
  const blocks = readPem(bytes).filter(
    ({ label }) => label === 'CERTIFICATE' || label === 'X509 CERTIFICATE',
  );
  if (blocks.length === 0) throw new MailsealError('X509_MALFORMED', `${path} holds no certificate`);
  return blocks.map((block) => Certificate.parse(block.bytes));
}
