/**
 * Schema and queries of the key store, on any database that kysely speaks to. Everything is filed under its own hash
 * (certificates by fingerprint, keys by public key), so that writing takes no look-up first, the same entry twice is
 * one, and two writers can't disagree about numbers.
 *
 *   users ──< user_certificates >── certificates ──< identifiers      (what mail names a recipient by)
 *                                        │ spki_hash
 *                                   private_keys                      (one key, several certificates: a renewal)
 *
 * What columns say of a certificate is an index: who decides by it reads the certificate itself.
 * Drivers differ in the name of the octet string type, and of what numbers rows in the order in which they came; SQLite
 * has tables that are their own primary key index.
 */
import { type CompiledQuery, type ExpressionBuilder, type Kysely, type Selectable, sql } from 'kysely';
import { toHex as hex } from '../bytes.js';
import type { Kind } from './record.js';

export const SCHEMA_VERSION = '1';

interface CertificateTable {
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
  user_certificates: { user: string; fingerprint: Uint8Array };
  identifiers: { value: Uint8Array; kind: Kind; fingerprint: Uint8Array };
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
    .addPrimaryKeyConstraint('user_certificates_key', ['user', 'fingerprint'])
    .modifyEnd(own)
    .execute();
  await table('identifiers')
    .addColumn('value', octets, (c) => c.notNull())
    .addColumn('kind', 'integer', (c) => c.notNull())
    .addColumn('fingerprint', octets, (c) =>
      c.notNull().references('certificates.fingerprint').onDelete('cascade'),
    )
    .addPrimaryKeyConstraint('identifiers_key', ['value', 'kind', 'fingerprint'])
    .modifyEnd(own)
    .execute();
  // For the cascades, for authorities by name, for the certificates of a key.
  for (const [name, column] of [
    ['user_certificates', 'fingerprint'],
    ['identifiers', 'fingerprint'],
    ['certificates', 'subject_hash'],
    ['certificates', 'spki_hash'],
  ] as const) {
    await db.schema.createIndex(`${name}_${column}`).on(name).column(column).execute();
  }
}

/** One entry, ready to be written. */
export interface EntryRows {
  readonly certificate: CertificateTable;
  readonly identifiers: readonly Schema['identifiers'][];
  readonly users: readonly Schema['users'][];
  readonly sealed?: Uint8Array;
}

/** Rows of one INSERT: SQLite takes 32,766 parameters in a statement. A certificate may have any number of addresses. */
const MAX_ROWS = 500;

function* chunks<T>(rows: Iterable<T>): Generator<T[]> {
  const all = [...rows];
  for (let at = 0; at < all.length; at += MAX_ROWS) yield all.slice(at, at + MAX_ROWS);
}

/**
 * Writes entries; those that are there already stay as they are. Call it in a transaction.
 * @returns for each entry whether anything of it was new
 */
export async function insertEntries(db: Database, entries: readonly EntryRows[]): Promise<boolean[]> {
  const newCertificates = await insertCertificates(db, entries);
  const newKeys = await insertKeys(db, entries);
  const newLinks = await insertOwners(db, entries);
  // Each new row counts for the first entry that brought it.
  return entries.map(({ certificate, users, sealed }) => {
    const fingerprint = hex(certificate.fingerprint);
    let added = newCertificates.delete(fingerprint);
    if (sealed !== undefined) added = newKeys.delete(hex(certificate.spki_hash)) || added;
    for (const { lookup } of users) added = newLinks.delete(`${fingerprint} ${lookup}`) || added;
    return added;
  });
}

async function insertCertificates(db: Database, entries: readonly EntryRows[]): Promise<Set<string>> {
  const added = new Set<string>();
  const certificates = new Map(entries.map((entry) => [hex(entry.certificate.fingerprint), entry]));
  for (const some of chunks(certificates.values())) {
    const rows = await db
      .insertInto('certificates')
      .values(some.map(({ certificate }) => certificate))
      .onConflict((conflict) => conflict.doNothing())
      .returning('fingerprint')
      .execute();
    for (const { fingerprint } of rows) added.add(hex(fingerprint));
    const identifiers = some
      .filter(({ certificate }) => added.has(hex(certificate.fingerprint)))
      .flatMap((entry) => entry.identifiers);
    for (const rows of chunks(identifiers)) await db.insertInto('identifiers').values(rows).execute();
  }
  return added;
}

async function insertKeys(db: Database, entries: readonly EntryRows[]): Promise<Set<string>> {
  const added = new Set<string>();
  const keys = new Map<string, Schema['private_keys']>();
  for (const { certificate, sealed } of entries) {
    if (sealed !== undefined) {
      keys.set(hex(certificate.spki_hash), { spki_hash: certificate.spki_hash, sealed });
    }
  }
  for (const some of chunks(keys.values())) {
    const rows = await db
      .insertInto('private_keys')
      .values(some)
      .onConflict((conflict) => conflict.doNothing())
      .returning('spki_hash')
      .execute();
    for (const { spki_hash } of rows) added.add(hex(spki_hash));
  }
  return added;
}

async function insertOwners(db: Database, entries: readonly EntryRows[]): Promise<Set<string>> {
  const users = new Map(entries.flatMap((entry) => entry.users.map((user) => [user.lookup, user])));
  for (const some of chunks(users.values())) {
    await db
      .insertInto('users')
      .values(some)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
  const added = new Set<string>();
  const links = entries.flatMap(({ certificate: { fingerprint }, users }) =>
    users.map(({ lookup }) => ({ user: lookup, fingerprint })),
  );
  for (const some of chunks(links)) {
    const rows = await db
      .insertInto('user_certificates')
      .values(some)
      .onConflict((conflict) => conflict.doNothing())
      .returning(['user', 'fingerprint'])
      .execute();
    for (const { user, fingerprint } of rows) added.add(`${hex(fingerprint)} ${user}`);
  }
  return added;
}

/** A certificate as it is read: with the sealed key, if it has one. */
export type CertificateRow = Pick<
  Selectable<CertificateTable>,
  'fingerprint' | 'der' | 'friendly_name' | 'spki_hash'
> & { not_before: number | string; sealed: Uint8Array | null };

const CERTIFICATE_COLUMNS = [
  'c.fingerprint',
  'c.der',
  'c.not_before',
  'c.friendly_name',
  'c.spki_hash',
  'k.sealed',
] as const;

export type MatchRow = CertificateRow & { value: Uint8Array; kind: Kind; arrival: number | string };

/** Values that one look-up takes: a mail with more recipients takes several. */
const MAX_VALUES = 512;

/**
 * Looks values up in the index of identifiers. The query for a power of two of values is compiled once; fewer are
 * filled up with a repeated one. Building it with kysely each time would take longer than running it.
 */
export class MatchQuery {
  readonly #db: Database;
  readonly #flavour: Flavour;
  readonly #compiled = new Map<number, CompiledQuery<MatchRow>>();

  constructor(db: Database, flavour: Flavour) {
    this.#db = db;
    this.#flavour = flavour;
  }

  async run(values: readonly Uint8Array[]): Promise<MatchRow[]> {
    const rows: MatchRow[] = [];
    for (let at = 0; at < values.length; at += MAX_VALUES) {
      const some = values.slice(at, at + MAX_VALUES);
      const room = 1 << Math.ceil(Math.log2(some.length));
      const parameters = Array.from({ length: room }, (_, i) => some[Math.min(i, some.length - 1)]);
      const result = await this.#db.executeQuery<MatchRow>({ ...this.#compile(room), parameters });
      rows.push(...result.rows);
    }
    return rows;
  }

  #compile(room: number): CompiledQuery<MatchRow> {
    let compiled = this.#compiled.get(room);
    if (compiled === undefined) {
      compiled = this.#db
        .selectFrom('identifiers as i')
        .innerJoin('certificates as c', 'c.fingerprint', 'i.fingerprint')
        .leftJoin('private_keys as k', 'k.spki_hash', 'c.spki_hash')
        .select(['i.value', 'i.kind', ...CERTIFICATE_COLUMNS])
        .select(sql.ref<number | string>(`c.${this.#flavour.arrival}`).as('arrival'))
        .where('i.value', 'in', new Array<Uint8Array>(room).fill(new Uint8Array(0)))
        .compile();
      this.#compiled.set(room, compiled);
    }
    return compiled;
  }
}

function isNobodys({ not, exists, selectFrom }: ExpressionBuilder<Schema & { c: CertificateTable }, 'c'>) {
  return not(
    exists(
      selectFrom('user_certificates as l').select('l.user').whereRef('l.fingerprint', '=', 'c.fingerprint'),
    ),
  );
}

/** The certificates of a user, newest first; of null, those with a key and without a user. */
export function certificatesOf(db: Database, lookup: string | null): Promise<CertificateRow[]> {
  const all = db
    .selectFrom('certificates as c')
    .leftJoin('private_keys as k', 'k.spki_hash', 'c.spki_hash')
    .select(CERTIFICATE_COLUMNS)
    .orderBy('c.not_before', 'desc')
    .orderBy('c.fingerprint');
  if (lookup === null) {
    return all.where('k.spki_hash', 'is not', null).where(isNobodys).execute();
  }
  return all
    .innerJoin('user_certificates as u', 'u.fingerprint', 'c.fingerprint')
    .where('u.user', '=', lookup)
    .execute();
}

/** The certificates of users, by lookup; nothing for those who have none. */
export async function certificatesByOwner(
  db: Database,
  lookups: readonly string[],
): Promise<{ user: string; der: Uint8Array }[]> {
  const found: { user: string; der: Uint8Array }[] = [];
  for (let at = 0; at < lookups.length; at += MAX_VALUES) {
    const rows = await db
      .selectFrom('user_certificates as l')
      .innerJoin('certificates as c', 'c.fingerprint', 'l.fingerprint')
      .select(['l.user', 'c.der'])
      .where('l.user', 'in', lookups.slice(at, at + MAX_VALUES))
      .execute();
    found.push(...rows);
  }
  return found;
}

/** The addresses of each certificate's owners. */
export async function ownersOf(
  db: Database,
  fingerprints: readonly Uint8Array[],
): Promise<Map<string, string[]>> {
  const owners = new Map<string, string[]>();
  for (let at = 0; at < fingerprints.length; at += MAX_VALUES) {
    const rows = await db
      .selectFrom('user_certificates as l')
      .innerJoin('users as u', 'u.lookup', 'l.user')
      .select(['l.fingerprint', 'u.address'])
      .where('l.fingerprint', 'in', fingerprints.slice(at, at + MAX_VALUES))
      .orderBy('u.lookup')
      .execute();
    for (const { fingerprint, address } of rows) {
      const key = hex(fingerprint);
      const addresses = owners.get(key);
      if (addresses === undefined) owners.set(key, [address]);
      else addresses.push(address);
    }
  }
  return owners;
}

export async function authoritiesNamed(
  db: Database,
  subjectHashes: readonly Uint8Array[],
): Promise<Uint8Array[]> {
  const rows = await db
    .selectFrom('certificates')
    .select('der')
    .where('subject_hash', 'in', subjectHashes)
    .where('is_ca', '=', 1)
    .orderBy('not_before', 'desc')
    .orderBy('fingerprint')
    .execute();
  return rows.map(({ der }) => der);
}

/** Users by address, and how many certificates and distinct keys each has; last, if there are any, the keys without one. */
export async function summarizeUsers(
  db: Database,
): Promise<{ address: string | null; certificates: number; keys: number }[]> {
  const users = await db
    .selectFrom('users as u')
    .innerJoin('user_certificates as l', 'l.user', 'u.lookup')
    .innerJoin('certificates as c', 'c.fingerprint', 'l.fingerprint')
    .leftJoin('private_keys as k', 'k.spki_hash', 'c.spki_hash')
    .select(({ fn }) => [
      'u.address',
      fn.countAll().as('certificates'),
      fn.count('k.spki_hash').distinct().as('keys'),
    ])
    .groupBy(['u.lookup', 'u.address'])
    .orderBy('u.lookup')
    .execute();
  const nobodys = await db
    .selectFrom('certificates as c')
    .innerJoin('private_keys as k', 'k.spki_hash', 'c.spki_hash')
    .select(({ fn }) => [fn.countAll().as('certificates'), fn.count('k.spki_hash').distinct().as('keys')])
    .where(isNobodys)
    .executeTakeFirstOrThrow();
  return [...users, { address: null, ...nobodys }]
    .map(({ address, certificates, keys }) => ({
      address,
      certificates: Number(certificates),
      keys: Number(keys),
    }))
    .filter(({ certificates }) => certificates > 0);
}

/**
 * Removes a user (by its lookup) with the certificates that nobody else has, or one certificate by its fingerprint;
 * then keys without a certificate and users without one. Call it in a transaction.
 */
export async function removeCertificates(
  db: Database,
  what: string | Uint8Array,
): Promise<{ certificates: number; keys: number }> {
  let doomed = db.selectFrom('certificates as c').select(['c.fingerprint', 'c.spki_hash']);
  if (typeof what === 'string') {
    doomed = doomed
      .innerJoin('user_certificates as l', 'l.fingerprint', 'c.fingerprint')
      .where('l.user', '=', what)
      .where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom('user_certificates as o')
              .select('o.user')
              .whereRef('o.fingerprint', '=', 'c.fingerprint')
              .where('o.user', '!=', what),
          ),
        ),
      );
  } else {
    doomed = doomed.where('c.fingerprint', '=', what);
  }
  const certificates = await doomed.execute();
  if (typeof what === 'string') await db.deleteFrom('users').where('lookup', '=', what).execute();
  let keys = 0;
  for (const { fingerprint, spki_hash } of certificates) {
    const owners = await db
      .selectFrom('user_certificates')
      .select('user')
      .where('fingerprint', '=', fingerprint)
      .execute();
    await db.deleteFrom('certificates').where('fingerprint', '=', fingerprint).execute();
    const result = await db
      .deleteFrom('private_keys')
      .where('spki_hash', '=', spki_hash)
      .where(({ not, exists, selectFrom }) =>
        not(exists(selectFrom('certificates').select('fingerprint').where('spki_hash', '=', spki_hash))),
      )
      .executeTakeFirst();
    keys += Number(result.numDeletedRows);
    for (const { user } of owners) {
      await db
        .deleteFrom('users')
        .where('lookup', '=', user)
        .where(({ not, exists, selectFrom }) =>
          not(exists(selectFrom('user_certificates').select('user').where('user', '=', user))),
        )
        .execute();
    }
  }
  return { certificates: certificates.length, keys };
}
