/**
 * Writes records. What is there already stays as it is, but that a user may come to use a certificate for more. Of
 * records that bring the same thing the first counts, whether they are written together or one after the other.
 * Used by the writer (writer.ts), inside its transactions.
 */
import { toHex as hex } from '../bytes.js';
import { RowInsert } from './batched.js';
import type { StoreRecord } from './recorder.js';
import type { CertificateTable, Database, Schema } from './schema.js';

type Link = Schema['user_certificates'];

export class Inserter {
  readonly #certificates: RowInsert<CertificateTable, { fingerprint: Uint8Array }>;
  readonly #identifiers: RowInsert<Schema['identifiers']>;
  readonly #keys: RowInsert<Schema['private_keys'], { spki_hash: Uint8Array }>;
  readonly #users: RowInsert<Schema['users']>;
  readonly #links: RowInsert<Link, { user: string; fingerprint: Uint8Array }>;

  constructor(db: Database) {
    this.#certificates = new RowInsert(
      [
        'fingerprint',
        'der',
        'subject',
        'subject_hash',
        'not_before',
        'not_after',
        'may_sign',
        'may_encrypt',
        'is_ca',
        'spki_hash',
        'friendly_name',
      ],
      (rows) =>
        db
          .insertInto('certificates')
          .values(rows)
          .onConflict((conflict) => conflict.doNothing())
          .returning('fingerprint'),
    );
    this.#identifiers = new RowInsert(['value', 'kind', 'fingerprint'], (rows) =>
      db
        .insertInto('identifiers')
        .values(rows)
        .onConflict((conflict) => conflict.doNothing()),
    );
    this.#keys = new RowInsert(['spki_hash', 'sealed'], (rows) =>
      db
        .insertInto('private_keys')
        .values(rows)
        .onConflict((conflict) => conflict.doNothing())
        .returning('spki_hash'),
    );
    this.#users = new RowInsert(['lookup', 'address'], (rows) =>
      db
        .insertInto('users')
        .values(rows)
        .onConflict((conflict) => conflict.doNothing()),
    );
    this.#links = new RowInsert(['user', 'fingerprint', 'uses'], (rows) =>
      db
        .insertInto('user_certificates')
        .values(rows)
        .onConflict((conflict) =>
          conflict
            .columns(['user', 'fingerprint'])
            .doUpdateSet(({ eb, ref }) => ({
              uses: eb(ref('user_certificates.uses'), '|', ref('excluded.uses')),
            }))
            .where(({ eb, ref }) =>
              eb(
                eb(ref('user_certificates.uses'), '|', ref('excluded.uses')),
                '!=',
                ref('user_certificates.uses'),
              ),
            ),
        )
        .returning(['user', 'fingerprint']),
    );
  }

  /** Call it in a transaction. @returns for each record whether anything of it was new */
  async insert(trx: Database, records: readonly StoreRecord[]): Promise<boolean[]> {
    const added = new Array<boolean>(records.length).fill(false);
    const certificates = firsts(records, ({ certificate }) => certificate.fingerprint);
    for (const { fingerprint } of await this.#certificates.run(
      trx,
      [...certificates.values()].map(({ record }) => record.certificate),
    )) {
      (certificates.get(hex(fingerprint)) as First).isNew = true;
    }
    const identifiers: Schema['identifiers'][] = [];
    for (const { record, index, isNew } of certificates.values()) {
      if (!isNew) continue;
      added[index] = true;
      const { fingerprint } = record.certificate;
      for (const { value, kind } of record.identifiers) identifiers.push({ value, kind, fingerprint });
    }
    await this.#identifiers.run(trx, identifiers);
    await this.#insertKeys(trx, records, added);
    await this.#insertOwners(trx, records, added);
    return added;
  }

  async #insertKeys(trx: Database, records: readonly StoreRecord[], added: boolean[]): Promise<void> {
    const keys = firsts(records, ({ sealed, certificate }) => sealed && certificate.spki_hash);
    const rows = [...keys.values()].map(({ record }) => ({
      spki_hash: record.certificate.spki_hash,
      sealed: record.sealed as Uint8Array,
    }));
    for (const { spki_hash } of await this.#keys.run(trx, rows)) {
      added[(keys.get(hex(spki_hash)) as First).index] = true;
    }
  }

  async #insertOwners(trx: Database, records: readonly StoreRecord[], added: boolean[]): Promise<void> {
    const users = new Map<string, Schema['users']>();
    /** One statement gives each certificate to a user once: what was new is the first record's that brought it. */
    const rounds: Map<string, { row: Link; index: number }>[] = [];
    for (const [index, { certificate, users: owners, uses }] of records.entries()) {
      if (owners.length === 0) continue;
      const id = hex(certificate.fingerprint);
      for (const { lookup, address } of owners) {
        if (!users.has(lookup)) users.set(lookup, { lookup, address });
        const key = `${id} ${lookup}`;
        const earlier = rounds.findIndex((round) => round.get(key)?.row.uses === uses);
        if (earlier >= 0) continue;
        let round = rounds.find((links) => !links.has(key));
        if (round === undefined) {
          round = new Map();
          rounds.push(round);
        }
        round.set(key, { row: { user: lookup, fingerprint: certificate.fingerprint, uses }, index });
      }
    }
    await this.#users.run(trx, [...users.values()]);
    for (const round of rounds) {
      const rows = [...round.values()].map(({ row }) => row);
      for (const { user, fingerprint } of await this.#links.run(trx, rows)) {
        added[(round.get(`${hex(fingerprint)} ${user}`) as { index: number }).index] = true;
      }
    }
  }
}

interface First {
  readonly record: StoreRecord;
  readonly index: number;
  isNew: boolean;
}

/** The first record of each value, by its hexadecimal. */
function firsts(
  records: readonly StoreRecord[],
  identify: (record: StoreRecord) => Uint8Array | undefined,
): Map<string, First> {
  const found = new Map<string, First>();
  for (const [index, record] of records.entries()) {
    const value = identify(record);
    if (value === undefined) continue;
    const id = hex(value);
    if (!found.has(id)) found.set(id, { record, index, isNew: false });
  }
  return found;
}
