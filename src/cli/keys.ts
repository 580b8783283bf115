/** Where the commands get keys and certificates from: a key store, a PFX file, certificate files. */
import { latin1, readPem, wipe } from '../bytes.js';
import { MailsealError } from '../errors.js';
import { type KeyStore, openKeyStore, readSealKey } from '../keystore/store.js';
import { type PfxContents, readPfx, wipeKeys } from '../pfx/read.js';
import { Certificate } from '../x509/certificate.js';
import { inFile, readInput, readPasswordFile } from './files.js';
import { askPassword } from './terminal.js';

export interface StoreOptions {
  store?: string;
  sealKey?: string;
}

/**
 * Runs `use` on the store that the options name, and closes it whatever happens.
 * @param create make the store if it is not there; or work on a copy, which is thrown away
 */
export async function withStore<T>(
  options: StoreOptions,
  create: boolean | 'scratch',
  use: (store: KeyStore) => Promise<T>,
): Promise<T> {
  const { store: url, sealKey: file } = requireStore(options);
  const sealKey = sealKeyIn(file);
  try {
    const how = create === 'scratch' ? { scratch: true } : { create };
    const store = await openKeyStore(url, { sealKey, ...how });
    try {
      return await use(store);
    } finally {
      await store.close();
    }
  } finally {
    wipe(sealKey);
  }
}

/** Commands call it first, before anybody types a password or waits for standard input. @throws MailsealError USAGE */
export function requireStore({ store, sealKey }: StoreOptions): Required<StoreOptions> {
  if (store === undefined) throw new MailsealError('USAGE', 'no key store: give --store or MAILSEAL_STORE');
  if (sealKey === undefined) {
    throw new MailsealError('USAGE', 'no seal key: give --seal-key or MAILSEAL_SEAL_KEY');
  }
  return { store, sealKey };
}

function sealKeyIn(file: string): Uint8Array {
  let content: Uint8Array | undefined;
  try {
    content = readInput(file);
    return readSealKey(content);
  } catch (cause) {
    if (!(cause instanceof MailsealError)) throw cause;
    const hint = 'to make one for a new store: openssl rand -hex 32 > FILE';
    const about = cause.code === 'SEAL_KEY_INVALID' ? `${file}: ` : '';
    throw new MailsealError(cause.code, `${about}${cause.message}; ${hint}`, { cause });
  } finally {
    wipe(content);
  }
}

/** The password that goes with `what`: from a file, the environment, or the terminal. */
export async function passwordFor(what: string, file: string | undefined): Promise<string> {
  return givenPassword(file) ?? askPassword(`Password of ${what}`);
}

/**
 * A password to protect `what` with: a typed one is asked for twice.
 * @throws MailsealError USAGE if it is empty, which would protect nothing, or not typed alike
 */
export async function newPasswordFor(what: string, file: string | undefined): Promise<string> {
  const given = givenPassword(file);
  const password = given ?? (await askPassword(`New password of ${what}`));
  if (password === '') throw new MailsealError('USAGE', `an empty password would not protect ${what}`);
  if (given === undefined && (await askPassword('The same again')) !== password) {
    throw new MailsealError('USAGE', `New password of ${what}: the two are not alike`);
  }
  return password;
}

function givenPassword(file: string | undefined): string | undefined {
  const typed = file === '-' && process.stdin.isTTY; // read as a file, it would be echoed
  if (file !== undefined && !typed) return readPasswordFile(file);
  return typed ? undefined : process.env.MAILSEAL_PASSWORD;
}

export interface PfxFileOptions {
  pfx?: string;
  passwordFile?: string;
}

/**
 * Runs `use` on an opened PFX that has a private key, and wipes its keys whatever happens.
 * @throws MailsealError PFX_NO_KEY, those of readPfx
 */
export async function withPfx<T>(
  path: string,
  passwordFile: string | undefined,
  use: (contents: PfxContents) => Promise<T>,
): Promise<T> {
  const bytes = readInput(path);
  const password = await passwordFor(path, passwordFile);
  const contents = inFile(path, () => readPfx(bytes, password));
  try {
    if (contents.entries.length > 0) return await use(contents);
    throw contents.skipped[0]?.error ?? new MailsealError('PFX_NO_KEY', `${path} holds no private key`);
  } finally {
    wipeKeys(contents);
  }
}

/** Whether it is text with a PEM block in it; a mail may be that too. DER of all that matters begins with a SEQUENCE. */
export function isPem(bytes: Uint8Array): boolean {
  return bytes[0] !== SEQUENCE && /^-----BEGIN [ -~]+-----/m.test(latin1(bytes));
}
const SEQUENCE = 0x30;

/** All certificates of a PEM file, or the one of a DER file. @throws MailsealError that names the file */
export function readCertificates(path: string): Certificate[] {
  const bytes = readInput(path);
  return inFile(path, () => {
    if (bytes[0] === SEQUENCE) return [Certificate.parse(bytes)];
    const blocks = isPem(bytes) ? readPem(bytes) : [];
    const certificates = blocks.filter(({ label }) => CERTIFICATE_LABELS.includes(label));
    if (certificates.length === 0) throw new MailsealError('X509_MALFORMED', 'no certificate in PEM or DER');
    return certificates.map((block) => Certificate.parse(block.bytes));
  });
}
const CERTIFICATE_LABELS = ['CERTIFICATE', 'X509 CERTIFICATE'];
