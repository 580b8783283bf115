/** `mailseal export`: a user's keys, with their certificates and chains, as one PFX or one for each certificate. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from '../bytes.js';
import { MailsealError } from '../errors.js';
import type { KeyEntry, KeyStore } from '../keystore/store.js';
import { type PfxProfile, writePfx } from '../pfx/write.js';
import type { Certificate } from '../x509/certificate.js';
import { ioError, writeOutput } from './files.js';
import { newPasswordFor, requireStore, type StoreOptions, withStore } from './keys.js';
import { describeCertificate, isoDay } from './mail.js';
import { note, printTable } from './terminal.js';

interface ExportOptions extends StoreOptions {
  user: string;
  passwordFile?: string;
  profile: PfxProfile;
  out?: string;
  outDir?: string;
}

/** A PFX, and the certificates of its keys. */
interface Written {
  readonly bytes: Uint8Array;
  readonly certificates: readonly Certificate[];
}

export async function exportCommand(options: ExportOptions): Promise<void> {
  requireStore(options);
  const { user, passwordFile, profile, out, outDir } = options;
  const password = await newPasswordFor('the PFX', passwordFile);
  const files = await withStore(options, false, async (store) => {
    const entries = await store.entries(user);
    try {
      if (entries.length === 0) throw new MailsealError('PFX_NO_KEY', `the key store has no key of ${user}`);
      const parts = outDir === undefined ? [entries] : entries.map((entry) => [entry]);
      const written: Written[] = [];
      for (const part of parts) written.push(await write(store, part, password, profile));
      return written;
    } finally {
      for (const { privateKey } of entries) privateKey.wipe();
    }
  });
  if (outDir !== undefined) return writeAll(outDir, files);
  const [{ bytes, certificates }] = files as [Written];
  await writeOutput(out, bytes);
  note(
    `${certificates.length === 1 ? '1 key' : `${certificates.length} keys`} of ${user}, profile ${profile}`,
  );
}

async function write(
  store: KeyStore,
  entries: readonly KeyEntry[],
  password: string,
  profile: PfxProfile,
): Promise<Written> {
  const chain: Certificate[] = [];
  for (const { certificate } of entries) chain.push(...(await store.chain(certificate)));
  const bytes = writePfx(entries, password, { profile, certificates: chain });
  return { bytes, certificates: entries.map(({ certificate }) => certificate) };
}

/** The names say nothing of the user: an address may hold what a path must not. */
async function writeAll(folder: string, files: readonly Written[]): Promise<void> {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw ioError(`cannot make the folder ${folder}`, error);
  }
  const rows: string[][] = [];
  for (const { bytes, certificates } of files) {
    const [certificate] = certificates as [Certificate];
    const name = `${isoDay(certificate.notBefore)}-${toHex(certificate.fingerprint.subarray(0, 8))}.p12`;
    const path = join(folder, name);
    await writeOutput(path, bytes);
    rows.push([path, describeCertificate(certificate)]);
  }
  printTable(rows);
}
