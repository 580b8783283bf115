/**
 * Writes records into the key store: in transactions, with the addresses withheld that a certificate may not take
 * (claims.ts), and with the log of an import (joblog.ts).
 * Used by the SQL store.
 */
import { Claims } from './claims.js';
import { Inserter } from './insert.js';
import { JobLog, type LogEntry } from './joblog.js';
import type { User } from './record.js';
import type { StoreRecord } from './recorder.js';
import type { Database } from './schema.js';
import type { Sealer, SealerState } from './seal.js';
import { OwnersQuery } from './sql.js';
import type { BulkFile, BulkWriter, RecordResult } from './store.js';

export class Writer implements BulkWriter {
  readonly sealerState: SealerState;
  readonly #db: Database;
  readonly #inserter: Inserter;
  readonly #owners: OwnersQuery;
  readonly #log: JobLog;

  constructor(db: Database, sealer: Sealer) {
    this.#db = db;
    this.sealerState = sealer.state;
    this.#inserter = new Inserter(db);
    this.#owners = new OwnersQuery(db);
    this.#log = new JobLog(db);
  }

  /** One group of records, in one transaction. */
  async writeRecords(records: readonly StoreRecord[]): Promise<RecordResult[]> {
    return this.#db.transaction().execute(async (trx) => {
      const [results] = await this.#insert(trx, [records]);
      return results as RecordResult[];
    });
  }

  logged(files: readonly Uint8Array[]): Promise<(LogEntry | undefined)[]> {
    return this.#log.find(files);
  }

  async writeFiles<F extends BulkFile>(
    files: readonly F[],
    log: (file: F, results: readonly RecordResult[]) => Omit<LogEntry, 'file'>,
  ): Promise<void> {
    await this.#db.transaction().execute(async (trx) => {
      const results = await this.#insert(
        trx,
        files.map(({ records }) => records),
      );
      const entries = files.map((file, i) => ({
        file: file.key,
        ...log(file, results[i] as RecordResult[]),
      }));
      await this.#log.write(trx, entries);
    });
  }

  async finish(): Promise<void> {
    await JobLog.finish(this.#db);
  }

  async #insert(trx: Database, groups: readonly (readonly StoreRecord[])[]): Promise<RecordResult[][]> {
    const withheld = await this.#withheld(trx, groups);
    const records = groups.flatMap((group, g) =>
      group.map((record, i) => {
        const refused = withheld?.[g]?.[i] ?? [];
        if (refused.length === 0) return record;
        return { ...record, users: record.users.filter((user) => !refused.includes(user)) };
      }),
    );
    const added = await this.#inserter.insert(trx, records);
    let at = 0;
    return groups.map((group, g) =>
      group.map((_, i) => {
        const outcome = added[at++] ? 'added' : 'present';
        const refused = withheld?.[g]?.[i] ?? [];
        return refused.length === 0
          ? { outcome }
          : { outcome, withheld: refused.map(({ address }) => address) };
      }),
    );
  }

  /** For each record the addresses that it claims and does not get; undefined where nobody claims any. */
  async #withheld(
    trx: Database,
    groups: readonly (readonly StoreRecord[])[],
  ): Promise<User[][][] | undefined> {
    const claimed = groups.flatMap((group) =>
      group.flatMap(({ unconfirmed, users }) => (unconfirmed ? users : [])),
    );
    if (claimed.length === 0) return undefined;
    const claims = await Claims.load(trx, this.#owners, claimed);
    const withheld: User[][][] = [];
    for (const group of groups) withheld.push(await claims.judge(group));
    return withheld;
  }
}
