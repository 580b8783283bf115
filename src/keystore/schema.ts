/**
 * The key store's tables, on any database that kysely speaks to, and how an older store becomes one of today. Everything
 * is filed under its own hash (certificates by fingerprint, keys by public key), so that writing takes no look-up first,
 * the same entry twice is one, and two writers can't disagree about numbers.
 *
 *   users ──< user_certificates >── certificates ──< identifiers      (what mail names a recipient by)
 *                                        │ spki_hash
 *                                   private_keys                      (one key, several certificates: a renewal)
 *     └──< capabilities                                               (what they say that they read: capabilities.ts)
 *   imports                                                           (files that an import is done with: joblog.ts)
 *
 * What columns say of a certificate is an index: who decides by it reads the certificate itself.
 * Drivers differ in the name of the octet string type, and of what numbers rows in the order in which they came; SQLite
 * has tables that are their own primary key index.
 *
 * Versions: 2 added user_certificates.uses and imports; 3 added capabilities, and took the foreign key from identifiers.
 * Used by the key store only.
 */
import { type Kysely, sql } from 'kysely';
import { MailsealError } from '../errors.js';
import { type Kind, Use } from './record.js';

export const SCHEMA_VERSION = '3';

const OLD_VERSIONS = ['1', '2'];

export interface CertificateTable {
  fingerprint: Uint8Array;
  der: Uint8Array;
  subject: string;
  subject_hash: Uint8Array;
  /** Seconds since 1970. */
  not_before: number;
  not_after: number;
  may_sign: number;
  may_encrypt: number;
  is_ca: number;
  spki_hash: Uint8Array;
  friendly_name: string | null;
}

export interface Schema {
  settings: { name: string; value: string };
  users: { lookup: string; address: string };
  certificates: CertificateTable;
  private_keys: { spki_hash: Uint8Array; sealed: Uint8Array };
  /** `uses`: bits of {@link Use}, what the user's mail may use the certificate for. */
  user_certificates: { user: string; fingerprint: Uint8Array; uses: number };
  identifiers: { value: Uint8Array; kind: Kind; fingerprint: Uint8Array };
  /** `signing_time`: seconds since 1970; `encoded`: SMIMECapabilities. */
  capabilities: { user: string; signing_time: number; encoded: Uint8Array };
  /** `password`: what a failure is tied to; `final` rows outlive the import that wrote them. */
  imports: { file: Uint8Array; password: Uint8Array | null; final: number; report: string };
}

export type Database = Kysely<Schema>;

/** What differs between databases. */
export interface Flavour {
  readonly octets: 'blob' | 'bytea';
  /** A column that the database fills: a row has a greater number than those that were there when it came. */
  readonly arrival: 'rowid';
  readonly withoutRowid: boolean;
}

export async function createSchema(db: Database, flavour: Flavour): Promise<void> {
  const { octets } = flavour;
  const table = (name: keyof Schema) => db.schema.createTable(name);
  // A table of keys only needs no second structure beside its primary key.
  const own = flavour.withoutRowid ? sql`without rowid` : sql``;
  await table('users')
    .addColumn('lookup', 'text', (c) => c.notNull().primaryKey())
    .addColumn('address', 'text', (c) => c.notNull())
    .execute();
  await table('certificates')
    .addColumn('fingerprint', octets, (c) => c.notNull().primaryKey())
    .addColumn('der', octets, (c) => c.notNull())
    .addColumn('subject', 'text', (c) => c.notNull())
    .addColumn('subject_hash', octets, (c) => c.notNull())
    .addColumn('not_before', 'bigint', (c) => c.notNull())
    .addColumn('not_after', 'bigint', (c) => c.notNull())
    .addColumn('may_sign', 'integer', (c) => c.notNull())
    .addColumn('may_encrypt', 'integer', (c) => c.notNull())
    .addColumn('is_ca', 'integer', (c) => c.notNull())
    .addColumn('spki_hash', octets, (c) => c.notNull())
    .addColumn('friendly_name', 'text')
    .execute();
  await table('private_keys')
    .addColumn('spki_hash', octets, (c) => c.notNull().primaryKey())
    .addColumn('sealed', octets, (c) => c.notNull())
    .execute();
  await table('user_certificates')
    .addColumn('user', 'text', (c) => c.notNull().references('users.lookup').onDelete('cascade'))
    .addColumn('fingerprint', octets, (c) =>
      c.notNull().references('certificates.fingerprint').onDelete('cascade'),
    )
    .addColumn('uses', 'integer', (c) => c.notNull().defaultTo(Use.ANY))
    .addPrimaryKeyConstraint('user_certificates_key', ['user', 'fingerprint'])
    .modifyEnd(own)
    .execute();
  await createIdentifiers(db, flavour, 'identifiers');
  // For the cascades, for authorities by name, for the certificates of a key.
  for (const [name, column] of [
    ['user_certificates', 'fingerprint'],
    ['certificates', 'subject_hash'],
    ['certificates', 'spki_hash'],
  ] as const) {
    await db.schema.createIndex(`${name}_${column}`).on(name).column(column).execute();
  }
  await createImports(db, flavour);
  await createCapabilities(db, flavour);
}

async function createCapabilities(db: Database, { octets, withoutRowid }: Flavour): Promise<void> {
  await db.schema
    .createTable('capabilities')
    .addColumn('user', 'text', (c) => c.notNull().primaryKey().references('users.lookup').onDelete('cascade'))
    .addColumn('signing_time', 'bigint', (c) => c.notNull())
    .addColumn('encoded', octets, (c) => c.notNull())
    .modifyEnd(withoutRowid ? sql`without rowid` : sql``)
    .execute();
}

/**
 * Without a foreign key, which would take an index on the fingerprint: half of the table again, and a fifth of what an
 * import writes. Entries of a certificate are found by their values, which are made from it.
 */
async function createIdentifiers(
  db: Database,
  { octets, withoutRowid }: Flavour,
  name: string,
): Promise<void> {
  await db.schema
    .createTable(name)
    .addColumn('value', octets, (c) => c.notNull())
    .addColumn('kind', 'integer', (c) => c.notNull())
    .addColumn('fingerprint', octets, (c) => c.notNull())
    .addPrimaryKeyConstraint('identifiers_key', ['value', 'kind', 'fingerprint'])
    .modifyEnd(withoutRowid ? sql`without rowid` : sql``)
    .execute();
}

async function createImports(db: Database, { octets, withoutRowid }: Flavour): Promise<void> {
  await db.schema
    .createTable('imports')
    .addColumn('file', octets, (c) => c.notNull().primaryKey())
    .addColumn('password', octets)
    .addColumn('final', 'integer', (c) => c.notNull())
    .addColumn('report', 'text', (c) => c.notNull())
    .modifyEnd(withoutRowid ? sql`without rowid` : sql``)
    .execute();
  // Few at any time, and all of them are deleted when an import ends.
  await db.schema
    .createIndex('imports_open')
    .on('imports')
    .column('file')
    .where(sql.ref('final'), '=', 0)
    .execute();
}

/**
 * Whether a store of this version has to be migrated.
 * @throws MailsealError STORE_INVALID if it is none, or of a version that is not known
 */
export function isOld(version: string | undefined): boolean {
  if (version === undefined) throw new MailsealError('STORE_INVALID', 'the database is no key store');
  if (!OLD_VERSIONS.includes(version) && version !== SCHEMA_VERSION) {
    const message = `the key store has schema version ${version}; this mailseal reads ${SCHEMA_VERSION} and older`;
    throw new MailsealError('STORE_INVALID', message);
  }
  return version !== SCHEMA_VERSION;
}

/** Brings an older store to today's schema. @throws MailsealError IO where the store can't be written */
export async function migrate(db: Database, flavour: Flavour): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const setting = trx.selectFrom('settings').select('value').where('name', '=', 'version');
    const version = (await setting.executeTakeFirst())?.value;
    if (!isOld(version)) return; // another process was faster
    if (version === '1') {
      await trx.schema
        .alterTable('user_certificates')
        .addColumn('uses', 'integer', (c) => c.notNull().defaultTo(Use.ANY))
        .execute();
      await createImports(trx, flavour);
    }
    await createCapabilities(trx, flavour);
    await createIdentifiers(trx, flavour, 'new_identifiers');
    await sql`insert into new_identifiers select value, kind, fingerprint from identifiers`.execute(trx);
    await trx.schema.dropTable('identifiers').execute();
    await trx.schema.alterTable('new_identifiers').renameTo('identifiers').execute();
    await trx.updateTable('settings').set({ value: SCHEMA_VERSION }).where('name', '=', 'version').execute();
  });
}
