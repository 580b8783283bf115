/**
 * The key store in a SQLite file, through better-sqlite3. A new file is readable by its owner only (0600); a file that
 * holds something else is refused before anything is written to it. Several processes may have it open: readers
 * never wait (write-ahead log), writers wait for each other.
 */
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import type BetterSqlite3 from 'better-sqlite3';
import {
  CompiledQuery,
  type DatabaseConnection,
  Kysely,
  type SqliteDatabase,
  SqliteDialect,
  SqliteDriver,
  type SqliteStatement,
} from 'kysely';
import { MailsealError } from '../errors.js';
import type { Schema } from './schema.js';
import { SqlKeyStore } from './sqlstore.js';
import type { KeyStore, OpenOptions } from './store.js';

/** How long a writer waits for another process. */
const BUSY_TIMEOUT_MS = 10_000;
const MEMORY = ':memory:';
/** A database of this connection alone, in a file that SQLite unlinks as soon as it has it open. */
const TEMPORARY = '';
/**
 * KiB of pages that a connection may keep, and pages of the log before they are moved into the database. Every table is
 * keyed by hashes, so that an import changes most pages of it again and again.
 */
const CACHE_KIB = 16_384;
const CHECKPOINT_PAGES = 8_192;

/** @throws MailsealError as openKeyStore does */
export async function openSqlite(path: string, options: OpenOptions): Promise<KeyStore> {
  const { sealKey, create = true, scratch = false } = options;
  const driver = await loadDriver();
  if (path !== MEMORY) {
    if (create && !scratch) createFile(path);
    const there = existsSync(path);
    if (!there && !create) throw new MailsealError('IO', `there is no key store at ${path}`);
    if (there) checkFile(path);
  }
  const handle = translating(path, () => {
    const file = scratch ? TEMPORARY : path;
    return new driver(file, { timeout: BUSY_TIMEOUT_MS, fileMustExist: !scratch && path !== MEMORY });
  });
  try {
    if (scratch && path !== MEMORY && existsSync(path)) translating(path, () => copyInto(handle, path));
    const fresh = translating(path, () => prepare(handle, create));
    const db = new Kysely<Schema>({
      dialect: new ImmediateDialect(new Statements(handle, path)),
    });
    return await SqlKeyStore.open(db, sealKey, fresh, {
      octets: 'blob',
      arrival: 'rowid',
      withoutRowid: true,
    });
  } catch (error) {
    handle.close();
    throw error;
  }
}

async function loadDriver(): Promise<typeof BetterSqlite3> {
  try {
    return (await import('better-sqlite3')).default;
  } catch (cause) {
    const message = 'key stores in SQLite need the package better-sqlite3, and it does not load';
    throw new MailsealError('UNSUPPORTED_FEATURE', message, { cause });
  }
}

/** SQLite would make the file with the process's umask, and its write-ahead log takes the mode from it. */
function createFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    throw new MailsealError('IO', `the key store ${path} can't be made: ${code}`, { cause });
  }
}

const MAGIC = 'SQLite format 3\0';

/** SQLite takes any file below 512 octets for an empty database and would overwrite it: a password file, say. */
function checkFile(path: string): void {
  const head = Buffer.alloc(MAGIC.length);
  let length: number;
  try {
    const file = openSync(path, 'r');
    try {
      length = readSync(file, head);
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new MailsealError('IO', `the key store ${path} can't be read: ${code}`, { cause });
  }
  if (length !== 0 && head.toString('latin1') !== MAGIC) {
    throw new MailsealError('STORE_INVALID', `${path} is no key store`);
  }
}

/** Sets the connection up. True if the database is empty, and may be filled. */
function prepare(handle: BetterSqlite3.Database, create: boolean): boolean {
  const tables = handle.prepare('select name from sqlite_schema').pluck().all();
  if (tables.length === 0 ? !create : !tables.includes('settings')) {
    throw new MailsealError('STORE_INVALID', 'the database is no key store');
  }
  if (tables.length === 0) handle.pragma('journal_mode = wal'); // kept in the file
  handle.pragma('synchronous = full'); // a key that was reported as added survives a power failure
  handle.pragma('foreign_keys = on');
  handle.pragma('secure_delete = on'); // what is removed is overwritten
  handle.pragma(`cache_size = -${CACHE_KIB}`);
  handle.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  return tables.length === 0;
}

/** Fills an empty database with all that another one has, as of one moment. The other one is only read. */
function copyInto(handle: BetterSqlite3.Database, path: string): void {
  handle.prepare('attach database ? as origin').run(path);
  try {
    handle.exec('begin');
    const objects = handle
      .prepare('select type, name, sql from origin.sqlite_schema where sql is not null order by type desc')
      .all() as { type: string; name: string; sql: string }[];
    for (const { type, name, sql } of objects) {
      handle.exec(sql);
      // In the order of the rows, which is that of their arrival.
      if (type === 'table') handle.exec(`insert into main."${name}" select * from origin."${name}"`);
    }
    handle.exec('commit');
  } finally {
    if (handle.inTransaction) handle.exec('rollback');
    handle.exec('detach database origin');
  }
}

/** A transaction takes the write lock when it begins: one that read first could not wait for it (SQLITE_BUSY_SNAPSHOT). */
class ImmediateDriver extends SqliteDriver {
  readonly #database: Statements;

  constructor(database: Statements) {
    super({ database });
    this.#database = database;
  }
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'));
  }
  /** SQLite rolls back by itself when the disk is full or fails. The error of a second time would hide why. */
  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (this.#database.inTransaction) await super.rollbackTransaction(connection);
  }
}

class ImmediateDialect extends SqliteDialect {
  readonly #database: Statements;

  constructor(database: Statements) {
    super({ database });
    this.#database = database;
  }
  override createDriver(): SqliteDriver {
    return new ImmediateDriver(this.#database);
  }
}

/** Prepared statements that are kept: some ten queries, and look-ups and inserts of various numbers of rows. */
const MAX_STATEMENTS = 200;

/** What kysely sees of better-sqlite3: keeps prepared statements, and turns its errors into ours. */
class Statements implements SqliteDatabase {
  readonly #handle: BetterSqlite3.Database;
  readonly #path: string;
  readonly #statements = new Map<string, SqliteStatement>();

  constructor(handle: BetterSqlite3.Database, path: string) {
    this.#handle = handle;
    this.#path = path;
  }

  get inTransaction(): boolean {
    return this.#handle.inTransaction;
  }

  prepare(sql: string): SqliteStatement {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const path = this.#path;
    const inner = translating(path, () => this.#handle.prepare(sql));
    const statement: SqliteStatement = {
      reader: inner.reader,
      all: (parameters) => translating(path, () => inner.all(parameters)),
      run: (parameters) => translating(path, () => inner.run(parameters)),
      iterate: (parameters) => inner.iterate(parameters),
    };
    if (this.#statements.size === MAX_STATEMENTS) this.#statements.clear();
    this.#statements.set(sql, statement);
    return statement;
  }

  close(): void {
    this.#statements.clear();
    this.#handle.close();
  }
}

const INVALID = /^SQLITE_(?:NOTADB|CORRUPT|ERROR)/; // ERROR: tables or columns are missing
const ENVIRONMENT = /^SQLITE_(?:BUSY|LOCKED|CANTOPEN|READONLY|IOERR|FULL|PERM|AUTH|PROTOCOL)/;

function translating<T>(path: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    const { code, message } = cause as { code?: unknown; message: string };
    if (typeof code !== 'string') throw cause;
    if (INVALID.test(code)) {
      const text = `${path} is no key store, or a damaged one: ${message}`;
      throw new MailsealError('STORE_INVALID', text, { cause });
    }
    if (ENVIRONMENT.test(code)) throw new MailsealError('IO', `the key store ${path}: ${message}`, { cause });
    throw cause;
  }
}
