/**
 * Queries of the key store, on any database that kysely speaks to: reading and removing (insert.ts writes, schema.ts has
 * the tables). Used by the key store only.
 */
import { type ExpressionBuilder, type Selectable, sql } from 'kysely';
import { readable } from '../errors.js';
import { ByValues } from './batched.js';
import { indexOf, type Kind, Use } from './record.js';
import type { CertificateTable, Database, Flavour, Schema } from './schema.js';
import { certificateIn } from './stored.js';

/** A certificate as it is read: with the sealed key, if it has one. */
export type CertificateRow = Pick<
  Selectable<CertificateTable>,
  'fingerprint' | 'der' | 'friendly_name' | 'spki_hash'
> & { not_before: number | string; sealed: Uint8Array | null };

/** With what the user may use it for: bits of {@link Use}. */
export type OwnedRow = CertificateRow & { uses: number };

const CERTIFICATE_COLUMNS = [
  'c.fingerprint',
  'c.der',
  'c.not_before',
  'c.friendly_name',
  'c.spki_hash',
  'k.sealed',
] as const;

export type MatchRow = CertificateRow & { value: Uint8Array; kind: Kind; arrival: number | string };

/** Looks values up in the index of identifiers. */
export class MatchQuery extends ByValues<MatchRow> {
  constructor(db: Database, flavour: Flavour) {
    super(db, (values) =>
      db
        .selectFrom('identifiers as i')
        .innerJoin('certificates as c', 'c.fingerprint', 'i.fingerprint')
        .leftJoin('private_keys as k', 'k.spki_hash', 'c.spki_hash')
        .select(['i.value', 'i.kind', ...CERTIFICATE_COLUMNS])
        .select(sql.ref<number | string>(`c.${flavour.arrival}`).as('arrival'))
        .where('i.value', 'in', values),
    );
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
export function certificatesOf(db: Database, lookup: string | null): Promise<OwnedRow[]> {
  const all = db
    .selectFrom('certificates as c')
    .leftJoin('private_keys as k', 'k.spki_hash', 'c.spki_hash')
    .select(CERTIFICATE_COLUMNS)
    .orderBy('c.not_before', 'desc')
    .orderBy('c.fingerprint');
  if (lookup === null) {
    return all
      .where('k.spki_hash', 'is not', null)
      .where(isNobodys)
      .select(({ lit }) => lit(Use.ANY).as('uses'))
      .execute();
  }
  return all
    .innerJoin('user_certificates as u', 'u.fingerprint', 'c.fingerprint')
    .where('u.user', '=', lookup)
    .select('u.uses')
    .execute();
}

/** The certificates of users, by lookup; nothing for those who have none. */
export class OwnersQuery extends ByValues<{ user: string; der: Uint8Array }, string> {
  constructor(db: Database) {
    super(db, (lookups) =>
      db
        .selectFrom('user_certificates as l')
        .innerJoin('certificates as c', 'c.fingerprint', 'l.fingerprint')
        .select(['l.user', 'c.der'])
        .where('l.user', 'in', lookups),
    );
  }
}

/** The addresses of certificates' owners, by fingerprint. */
export class AddressesQuery extends ByValues<{ fingerprint: Uint8Array; address: string }> {
  constructor(db: Database) {
    super(db, (fingerprints) =>
      db
        .selectFrom('user_certificates as l')
        .innerJoin('users as u', 'u.lookup', 'l.user')
        .select(['l.fingerprint', 'u.address'])
        .where('l.fingerprint', 'in', fingerprints)
        .orderBy('u.lookup'),
    );
  }
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

/** By the values that the certificate has; of one whose octets were changed, wherever they are. */
async function removeIdentifiers(db: Database, fingerprint: Uint8Array, der: Uint8Array): Promise<void> {
  const all = db.deleteFrom('identifiers').where('fingerprint', '=', fingerprint);
  const entries = readable(() => indexOf(certificateIn({ fingerprint, der })), undefined);
  const values = entries?.map(({ value }) => value);
  await (values === undefined ? all : all.where('value', 'in', values)).execute();
}

/**
 * Removes a user (by its lookup) with the certificates that nobody else has, or one certificate by its fingerprint;
 * then keys without a certificate and users without one, and the log of imports. Call it in a transaction.
 */
export async function removeCertificates(
  db: Database,
  what: string | Uint8Array,
): Promise<{ certificates: number; keys: number }> {
  let doomed = db.selectFrom('certificates as c').select(['c.fingerprint', 'c.spki_hash', 'c.der']);
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
  for (const { fingerprint, spki_hash, der } of certificates) {
    await removeIdentifiers(db, fingerprint, der);
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
  if (certificates.length > 0) await db.deleteFrom('imports').execute(); // files that it calls done may not be any more
  return { certificates: certificates.length, keys };
}
