/**
 * What the tests of bulk imports share: PFX files whose derivations are counted, and key stores as rows to compare.
 *
 * The key bag of a counted file is encrypted under scrypt with a salt of its own, which node:crypto derives. A module
 * that is loaded before all others ({@link writeCounting}) writes each salt down before it is derived, in every thread. So
 * it is known what was derived even of a process that was killed. The same module gives a derivation a time that is the
 * same on every machine, and can hold a process where it is to be stopped: no machine is too fast or too busy for that.
 */
import { createCipheriv, createHash, scryptSync } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { OID } from '../../src/asn1/oids.js';
import { writeDer } from '../../src/asn1/write.js';
import { concat, fromHex, toHex } from '../../src/bytes.js';
import { contextOf, fileKey } from '../../src/import/identity.js';
import { Sealer } from '../../src/keystore/seal.js';
import { bag, certBag, pfx, safe, scryptAlgorithm } from './pfx.js';
import type { IssuedCertificate } from './pki.js';

export const saltOf = (name: string): Uint8Array =>
  createHash('sha256').update(name).digest().subarray(0, 16);

/** @param name what the salt is made of @param cost N of scrypt, a power of two; r is 8 */
export function countedPfx(
  name: string,
  { privateKey, certificate }: IssuedCertificate,
  password: string,
  cost = 2,
  authorities: readonly IssuedCertificate[] = [],
): Uint8Array {
  const salt = saltOf(name);
  const iv = new Uint8Array(16).fill(9);
  const key = scryptSync(password, salt, 32, { cost, blockSize: 8, parallelization: 1, maxmem: 1 << 28 });
  const cipher = createCipheriv('aes-256-cbc', key, iv);
  const data = concat([cipher.update(privateKey), cipher.final()]);
  const shrouded = writeDer((w) =>
    w.sequence((w) => {
      w.raw(scryptAlgorithm(cost, salt, iv));
      w.octets(data);
    }),
  );
  const certificates = [certificate, ...authorities.map((one) => one.certificate)];
  const bags = [bag(OID.pkcs8ShroudedKeyBag, shrouded), ...certificates.map((der) => certBag(der))];
  return pfx({ safes: [safe(bags)], password });
}

/**
 * Writes the module that counts, for `node --import`; it appends to `log`.
 * @param ms for which a thread sleeps before each derivation
 * @param last the derivation that is begun as the last: whoever comes to it waits for the end of the process
 */
export function writeCounting(
  folder: string,
  ms: number,
  last = Number.POSITIVE_INFINITY,
): { module: string; log: string } {
  const [module, log] = [join(folder, 'counting.mjs'), join(folder, 'derived.log')];
  writeFileSync(
    module,
    `import crypto from 'node:crypto';
     import { appendFileSync, statSync } from 'node:fs';
     import { syncBuiltinESMExports } from 'node:module';
     const { scryptSync } = crypto;
     const log = ${JSON.stringify(log)};
     const never = new Int32Array(new SharedArrayBuffer(4));
     crypto.scryptSync = (password, salt, ...more) => {
       const line = Buffer.from(salt).toString('hex') + '\\n';
       appendFileSync(log, line);
       const hold = statSync(log).size >= ${last} * line.length;
       Atomics.wait(never, 0, 0, hold ? Infinity : ${ms});
       return scryptSync(password, salt, ...more);
     };
     syncBuiltinESMExports();`,
  );
  writeFileSync(log, '');
  return { module, log };
}

/** The salts that were derived, in order; the line that a kill cut off is left out. */
export function derived(log: string): string[] {
  return readFileSync(log, 'latin1').split('\n').slice(0, -1);
}

/** A file of an import, as the log of the store names it. */
export interface LoggedFile {
  name: string;
  content: Uint8Array;
  user?: string;
}

/**
 * All that a SQLite key store holds, in the order of the rows: private keys in the clear, since each is sealed with a nonce
 * of its own, and names in place of the log's keys, which hang on the store's salt.
 */
export function dumpStore(
  path: string,
  sealKey: Uint8Array,
  files: readonly LoggedFile[] = [],
): Record<string, Record<string, unknown>[]> {
  const database = new Database(path, { readonly: true });
  try {
    const setting = (name: string) =>
      database.prepare('select value from settings where name = ?').pluck().get(name) as string;
    const settings = { salt: fromHex(setting('salt')), check: fromHex(setting('check')) };
    const sealer = Sealer.open(sealKey, settings);
    const names = new Map(
      files.map(({ name, content, user }) => [
        toHex(fileKey(sealer.state.log, content, contextOf(user, undefined, {}))),
        name,
      ]),
    );
    const rows = (table: string, columns: string, order: string) =>
      database.prepare(`select ${columns} from ${table} order by ${order}`).all() as Record<
        string,
        unknown
      >[];
    return {
      version: [{ version: setting('version') }],
      users: rows('users', '*', 'rowid'),
      certificates: plain(rows('certificates', 'rowid, *', 'rowid')),
      private_keys: rows('private_keys', '*', 'rowid').map(({ spki_hash, sealed }) => ({
        spki_hash: toHex(spki_hash as Uint8Array),
        pkcs8: toHex(sealer.open(sealed as Uint8Array, spki_hash as Uint8Array)),
      })),
      user_certificates: plain(rows('user_certificates', '*', 'user, fingerprint')),
      identifiers: plain(rows('identifiers', '*', 'value, kind, fingerprint')),
      imports: rows('imports', '*', 'file')
        .map(({ file, password, ...row }) => ({
          file: names.get(toHex(file as Uint8Array)) ?? 'another',
          failed: password !== null,
          ...row,
        }))
        .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
    };
  } finally {
    database.close();
  }
}

const plain = (rows: Record<string, unknown>[]) =>
  rows.map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([name, value]) => [name, value instanceof Uint8Array ? toHex(value) : value]),
    ),
  );

/** The names of files that the log of a store has; empty if there is no store yet, or no log in it. */
export function loggedNames(path: string, sealKey: Uint8Array, files: readonly LoggedFile[]): string[] {
  if (!existsSync(path)) return [];
  try {
    return (dumpStore(path, sealKey, files).imports as { file: string }[]).map(({ file }) => file);
  } catch (error) {
    if (/no such table|unable to open/.test((error as Error).message)) return []; // killed before it was made
    throw error;
  }
}
