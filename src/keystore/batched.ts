/**
 * Statements over many rows or values, compiled once for each power of two of them: building one with kysely takes longer
 * than running it. Used by the key store's look-ups and inserts.
 */
import type { Compilable, CompiledQuery } from 'kysely';
import type { Database } from './schema.js';

/** Values of one look-up: a mail with more recipients takes several. */
const MAX_VALUES = 512;

/** A query for rows by any of some values. */
export class ByValues<Row, Value = Uint8Array> {
  readonly #db: Database;
  readonly #build: (values: Value[]) => Compilable<Row>;
  readonly #compiled = new Map<number, CompiledQuery<Row>>();

  /** @param build of a list that stands for that many values */
  constructor(db: Database, build: (values: Value[]) => Compilable<Row>) {
    this.#db = db;
    this.#build = build;
  }

  /** @param db the transaction to read in, if there is one */
  async run(values: readonly Value[], db: Database = this.#db): Promise<Row[]> {
    const rows: Row[] = [];
    for (let at = 0; at < values.length; at += MAX_VALUES) {
      const some = values.slice(at, at + MAX_VALUES);
      const room = 1 << Math.ceil(Math.log2(some.length)); // filled up with a repeated one
      const parameters = Array.from({ length: room }, (_, i) => some[Math.min(i, some.length - 1)] as Value);
      let compiled = this.#compiled.get(room);
      if (compiled === undefined) {
        compiled = this.#build(parameters).compile();
        this.#compiled.set(room, compiled);
      }
      const result = await db.executeQuery<Row>(Object.assign({}, compiled, { parameters }));
      for (const row of result.rows) rows.push(row);
    }
    return rows;
  }
}

/** Rows of one INSERT. SQLite takes 32,766 parameters in a statement, and more rows gain nothing. */
const MAX_ROWS = 64;

/** An INSERT of any number of rows. */
export class RowInsert<Row extends object, Returned = unknown> {
  readonly #columns: readonly (keyof Row & string)[];
  readonly #build: (rows: Row[]) => Compilable<Returned>;
  readonly #compiled = new Map<number, CompiledQuery<Returned>>();

  /** @param build of a list that stands for that many rows, each with these columns in this order */
  constructor(columns: readonly (keyof Row & string)[], build: (rows: Row[]) => Compilable<Returned>) {
    this.#columns = columns;
    this.#build = build;
  }

  /** What the statements return, together. */
  async run(db: Database, rows: readonly Row[]): Promise<Returned[]> {
    const returned: Returned[] = [];
    for (let at = 0; at < rows.length; ) {
      const count = Math.min(MAX_ROWS, 1 << (31 - Math.clz32(rows.length - at)));
      const parameters: unknown[] = [];
      for (let i = at; i < at + count; i++) {
        for (const column of this.#columns) parameters.push((rows[i] as Row)[column]);
      }
      const compiled = this.#compile(count, rows[at] as Row);
      const result = await db.executeQuery<Returned>(Object.assign({}, compiled, { parameters }));
      for (const row of result.rows) returned.push(row);
      at += count;
    }
    return returned;
  }

  #compile(count: number, row: Row): CompiledQuery<Returned> {
    let compiled = this.#compiled.get(count);
    if (compiled === undefined) {
      const values = Object.fromEntries(this.#columns.map((column) => [column, row[column]])) as Row;
      compiled = this.#build(new Array<Row>(count).fill(values)).compile();
      this.#compiled.set(count, compiled);
    }
    return compiled;
  }
}
