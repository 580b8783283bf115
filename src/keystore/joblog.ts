/**
 * The log of imports: what came of a file, under a name that the importer gives it. A row is written in the transaction that
 * writes the file's entries, so that the two can't disagree, wherever an import is stopped. Rows that are not final serve
 * only to take up an import that was stopped, and are deleted when one ends. Removing anything from the store empties the
 * log: what it calls done may not be there any more.
 * Used by the writer (writer.ts).
 */
import type { Selectable } from 'kysely';
import { toHex as hex } from '../bytes.js';
import { ByValues, RowInsert } from './batched.js';
import type { Database, Schema } from './schema.js';

/** A row of the log. */
export type LogEntry = Readonly<Selectable<Schema['imports']>>;

export class JobLog {
  readonly #find: ByValues<LogEntry>;
  readonly #insert: RowInsert<LogEntry>;

  constructor(db: Database) {
    this.#find = new ByValues(db, (values) =>
      db.selectFrom('imports').selectAll().where('file', 'in', values),
    );
    this.#insert = new RowInsert(['file', 'password', 'final', 'report'], (rows) =>
      db
        .insertInto('imports')
        .values(rows)
        .onConflict((conflict) =>
          conflict.column('file').doUpdateSet(({ ref }) => ({
            password: ref('excluded.password'),
            final: ref('excluded.final'),
            report: ref('excluded.report'),
          })),
        ),
    );
  }

  /** In the order of `files`; undefined for those that it does not know. */
  async find(files: readonly Uint8Array[]): Promise<(LogEntry | undefined)[]> {
    const rows = await this.#find.run(files);
    if (rows.length === 0) return new Array(files.length).fill(undefined);
    const byFile = new Map(rows.map((row) => [hex(row.file), row]));
    return files.map((file) => byFile.get(hex(file)));
  }

  /** Of entries with one name the last stands. Call it in a transaction. */
  async write(trx: Database, entries: readonly LogEntry[]): Promise<void> {
    const last = new Map(entries.map((entry) => [hex(entry.file), entry]));
    await this.#insert.run(trx, [...last.values()]);
  }

  /** Deletes what was there to take up an import that was stopped. */
  static async finish(db: Database): Promise<void> {
    await db.deleteFrom('imports').where('final', '=', 0).execute();
  }
}
