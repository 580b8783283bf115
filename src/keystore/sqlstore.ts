/**
 * The key store over a SQL database: joins the queries (sql.ts), the seal (seal.ts) and what counts as a match
 * (record.ts). Drivers make one with {@link SqlKeyStore.open}; everybody else sees a KeyStore.
 */
import { equal, fromHex, toHex, wipe } from '../bytes.js';
import type { KeyCandidate, RecipientIdentifier } from '../cms/recipients.js';
import { MailsealError } from '../errors.js';
import { Certificate } from '../x509/certificate.js';
import { PrivateKey } from '../x509/keys.js';
import { hashName, queryOf, REASONS, recordOf, seconds, userOf } from './record.js';
import { Sealer, type SealSettings } from './seal.js';
import {
  authoritiesNamed,
  type CertificateRow,
  certificatesOf,
  createSchema,
  type Database,
  type EntryRows,
  type Flavour,
  insertEntries,
  MatchQuery,
  type MatchRow,
  ownersOf,
  removeCertificates,
  SCHEMA_VERSION,
  summarizeUsers,
} from './sql.js';
import type {
  AddOutcome,
  AddResult,
  KeyEntry,
  KeyStore,
  Match,
  Removed,
  SigningEntry,
  StoredCertificate,
  StoreEntry,
  UserSummary,
} from './store.js';

/** Entries of one transaction: enough to spread its cost, few enough to let others write between. */
const CHUNK = 250;
/** Keys that are unsealed for one mail. The first should open it; a mail can name any number, and one of ours often. */
const MAX_CANDIDATES = 16;
/** Authorities of one chain; a real one has one or two. */
const MAX_CHAIN = 10;

export class SqlKeyStore implements KeyStore {
  readonly #db: Database;
  readonly #sealer: Sealer;
  readonly #matches: MatchQuery;

  private constructor(db: Database, sealer: Sealer) {
    this.#db = db;
    this.#sealer = sealer;
    this.#matches = new MatchQuery(db);
  }

  /**
   * @param fresh the database is empty: the schema is made, unless somebody else has just done it
   * @throws MailsealError STORE_INVALID, SEAL_KEY_INVALID, SEAL_KEY_WRONG
   */
  static async open(db: Database, sealKey: Uint8Array, fresh: boolean, flavour: Flavour): Promise<KeyStore> {
    if (fresh) {
      const sealer = Sealer.create(sealKey);
      const created = await db.transaction().execute(async (trx) => {
        await trx.schema
          .createTable('settings')
          .ifNotExists()
          .addColumn('name', 'text', (c) => c.notNull().primaryKey())
          .addColumn('value', 'text', (c) => c.notNull())
          .execute();
        if ((await trx.selectFrom('settings').select('name').execute()).length > 0) return false;
        await createSchema(trx, flavour);
        await trx
          .insertInto('settings')
          .values([
            { name: 'version', value: SCHEMA_VERSION },
            { name: 'salt', value: toHex(sealer.settings.salt) },
            { name: 'check', value: toHex(sealer.settings.check) },
          ])
          .execute();
        return true;
      });
      if (created) return new SqlKeyStore(db, sealer);
    }
    const rows = await db.selectFrom('settings').select(['name', 'value']).execute();
    const settings = new Map(rows.map(({ name, value }) => [name, value]));
    const version = settings.get('version');
    if (version === undefined) throw new MailsealError('STORE_INVALID', 'the database is no key store');
    if (version !== SCHEMA_VERSION) {
      const message = `the key store has schema version ${version}; this mailseal reads ${SCHEMA_VERSION}`;
      throw new MailsealError('STORE_INVALID', message);
    }
    return new SqlKeyStore(db, Sealer.open(sealKey, readSealSettings(settings)));
  }

  async add(entry: StoreEntry): Promise<AddOutcome> {
    const [result] = (await this.addMany([entry])) as [AddResult];
    if (result.outcome === 'failed') throw result.error;
    return result.outcome;
  }

  async addMany(entries: readonly StoreEntry[]): Promise<AddResult[]> {
    const results: AddResult[] = [];
    for (let at = 0; at < entries.length; at += CHUNK) {
      const prepared = entries.slice(at, at + CHUNK).map((entry) => this.#tryPrepare(entry));
      const good = prepared.filter((rows): rows is EntryRows => !(rows instanceof MailsealError));
      const added =
        good.length === 0 ? [] : await this.#db.transaction().execute((trx) => insertEntries(trx, good));
      let next = 0;
      for (const rows of prepared) {
        if (rows instanceof MailsealError) results.push({ outcome: 'failed', error: rows });
        else results.push({ outcome: added[next++] ? 'added' : 'present' });
      }
    }
    return results;
  }

  #tryPrepare(entry: StoreEntry): EntryRows | MailsealError {
    try {
      return this.#prepare(entry);
    } catch (error) {
      if (error instanceof MailsealError) return error;
      throw error;
    }
  }

  #prepare({ certificate, privateKey, user, friendlyName }: StoreEntry): EntryRows {
    if (!(certificate instanceof Certificate)) throw new TypeError('certificate must be a Certificate');
    if (privateKey !== undefined && !privateKey.publicKey.equals(certificate.publicKey)) {
      const subject = certificate.subject.toString();
      throw new MailsealError(
        'KEY_MISMATCH',
        `the private key does not belong to the certificate of ${subject}`,
      );
    }
    const record = recordOf(certificate);
    const addresses = user === undefined ? certificate.emails : user === null ? [] : [user];
    const users = new Map(addresses.map(userOf).map((user) => [user.lookup, user]));
    return {
      certificate: {
        fingerprint: record.fingerprint,
        der: record.der,
        subject: record.subject,
        subject_hash: record.subjectHash,
        not_before: record.notBefore,
        not_after: record.notAfter,
        may_sign: Number(record.maySign),
        may_encrypt: Number(record.mayEncrypt),
        is_ca: Number(record.isCa),
        spki_hash: record.spkiHash,
        friendly_name: friendlyName ?? null,
      },
      identifiers: record.index.map((entry) => ({ ...entry, fingerprint: record.fingerprint })),
      users: [...users.values()],
      ...(privateKey && { sealed: this.#seal(privateKey, record.spkiHash) }),
    };
  }

  #seal(privateKey: PrivateKey, spkiHash: Uint8Array): Uint8Array {
    const pkcs8 = privateKey.toPkcs8();
    try {
      return this.#sealer.seal(pkcs8, spkiHash);
    } finally {
      wipe(pkcs8);
    }
  }

  #unseal(row: CertificateRow): PrivateKey {
    try {
      const pkcs8 = this.#sealer.open(row.sealed as Uint8Array, row.spki_hash);
      try {
        return PrivateKey.parse(pkcs8);
      } finally {
        wipe(pkcs8);
      }
    } catch (error) {
      if (!(error instanceof MailsealError)) throw error;
      const { subject } = Certificate.parse(row.der);
      const name = `${subject} (SHA-256 ${toHex(row.fingerprint)})`;
      throw new MailsealError('STORE_INVALID', `the private key of ${name}: ${error.message}`, {
        cause: error,
      });
    }
  }

  users(): Promise<UserSummary[]> {
    return summarizeUsers(this.#db);
  }

  async history(user: string | null): Promise<StoredCertificate[]> {
    return this.#describe(await this.#rowsOf(user));
  }

  async entries(user: string | null): Promise<KeyEntry[]> {
    const rows = await this.#rowsOf(user);
    const keys = new Map<string, PrivateKey>();
    try {
      return rows
        .filter(({ sealed }) => sealed !== null)
        .map((row) => {
          const id = toHex(row.spki_hash);
          const privateKey = keys.get(id) ?? this.#unseal(row);
          keys.set(id, privateKey);
          const named = row.friendly_name !== null && { friendlyName: row.friendly_name };
          return { privateKey, certificate: Certificate.parse(row.der), ...named };
        });
    } catch (error) {
      for (const key of keys.values()) key.wipe();
      throw error;
    }
  }

  async find(recipients: readonly RecipientIdentifier[]): Promise<readonly KeyCandidate[]> {
    const candidates: KeyCandidate[] = [];
    const seen = new Set<string>();
    let failure: unknown;
    for (const { recipient, row } of await this.#match(recipients)) {
      if (row.sealed === null) continue;
      const key = `${recipient} ${toHex(row.spki_hash)}`; // a renewal with the same key opens the same mail
      if (seen.has(key)) continue;
      if (seen.size === MAX_CANDIDATES) break;
      seen.add(key);
      try {
        const privateKey = this.#unseal(row);
        const certificate = Certificate.parse(row.der);
        const release = () => privateKey.wipe();
        candidates.push({ recipient, privateKey, certificate, reason: REASONS[row.kind], release });
      } catch (error) {
        failure ??= error; // one damaged key must not keep another recipient's from opening the mail
      }
    }
    if (candidates.length === 0 && failure !== undefined) throw failure;
    return candidates;
  }

  async lookup(recipients: readonly RecipientIdentifier[]): Promise<Match[]> {
    const matches = await this.#match(recipients);
    const described = await this.#describe(matches.map(({ row }) => row));
    return matches.map(({ recipient, row }, i) => ({
      ...(described[i] as StoredCertificate),
      recipient,
      reason: REASONS[row.kind],
    }));
  }

  /** By recipient, then kind, then newest. */
  async #match(recipients: readonly RecipientIdentifier[]): Promise<{ recipient: number; row: MatchRow }[]> {
    const queries = recipients.map((recipient) => {
      const query = queryOf(recipient);
      return query && { ...query, key: toHex(query.value) };
    });
    const values = new Map(queries.flatMap((query) => (query ? [[query.key, query.value]] : [])));
    const found = new Map<string, MatchRow[]>();
    for (const row of await this.#matches.run([...values.values()])) {
      const key = toHex(row.value);
      const rows = found.get(key);
      if (rows === undefined) found.set(key, [row]);
      else rows.push(row);
    }
    for (const rows of found.values()) {
      rows.sort((a, b) => a.kind - b.kind || Number(b.not_before) - Number(a.not_before));
    }
    return queries.flatMap((query, recipient) => {
      const rows = (query && found.get(query.key)) ?? [];
      return rows.filter(({ kind }) => query?.kinds.includes(kind)).map((row) => ({ recipient, row }));
    });
  }

  async #describe(rows: readonly CertificateRow[]): Promise<StoredCertificate[]> {
    const owners = await ownersOf(
      this.#db,
      rows.map(({ fingerprint }) => fingerprint),
    );
    return rows.map((row) => ({
      certificate: Certificate.parse(row.der),
      ...(row.friendly_name !== null && { friendlyName: row.friendly_name }),
      hasKey: row.sealed !== null,
      maySign: row.may_sign !== 0,
      mayEncrypt: row.may_encrypt !== 0,
      users: owners.get(toHex(row.fingerprint)) ?? [],
    }));
  }

  /** Newest first. @throws MailsealError USER_UNKNOWN */
  async #rowsOf(user: string | null): Promise<CertificateRow[]> {
    if (user === null) return certificatesOf(this.#db, null);
    const { lookup, address } = userOf(user);
    const rows = await certificatesOf(this.#db, lookup);
    if (rows.length === 0) {
      throw new MailsealError('USER_UNKNOWN', `the key store has no user ${address}`);
    }
    return rows;
  }

  async signingEntry(user: string, now: Date): Promise<SigningEntry> {
    const serves = (row: CertificateRow) => row.may_sign !== 0 && row.sealed !== null;
    const [row] = await this.#usable(user, now, serves, 'to sign with');
    const certificate = Certificate.parse(row.der);
    return { privateKey: this.#unseal(row), certificate, chain: await this.chain(certificate) };
  }

  async encryptionCertificates(address: string, now: Date): Promise<Certificate[]> {
    const rows = await this.#usable(address, now, (row) => row.may_encrypt !== 0, 'to encrypt to');
    return rows.map(({ der }) => Certificate.parse(der));
  }

  /** A user's certificates that serve and are valid now, newest first. @throws MailsealError USER_UNKNOWN, KEY_UNSUITABLE */
  async #usable(
    user: string,
    now: Date,
    serves: (row: CertificateRow) => boolean,
    use: string,
  ): Promise<[CertificateRow, ...CertificateRow[]]> {
    const rows = await this.#rowsOf(user);
    const serving = rows.filter(serves);
    const [first, ...others] = serving.filter((row) => isValid(row, now));
    if (first !== undefined) return [first, ...others];
    const newest = serving[0];
    const reason =
      newest === undefined
        ? `none of ${rows.length} serves for that`
        : `the newest is valid from ${day(newest.not_before)} to ${day(newest.not_after)}`;
    const message = `no certificate of ${user} ${use} on ${day(seconds(now))}: ${reason}`;
    throw new MailsealError('KEY_UNSUITABLE', message);
  }

  async chain(certificate: Certificate): Promise<Certificate[]> {
    const chain: Certificate[] = [];
    let open = [certificate];
    while (open.length > 0) {
      const names = open.filter((child) => !isSelfSigned(child)).map(({ issuer }) => hashName(issuer));
      const issuers = names.length === 0 ? [] : await authoritiesNamed(this.#db, names);
      const next: Certificate[] = [];
      for (const issuer of issuers.map((der) => Certificate.parse(der))) {
        const known = [certificate, ...chain].some((other) => other.equals(issuer)); // cross-certificates make circles
        if (known || isSelfSigned(issuer) || !open.some((child) => mayHaveIssued(issuer, child))) continue;
        if (chain.length === MAX_CHAIN) return chain;
        chain.push(issuer);
        next.push(issuer);
      }
      open = next;
    }
    return chain;
  }

  async remove(target: { user: string } | { certificate: Uint8Array }): Promise<Removed> {
    const user = 'user' in target ? userOf(target.user) : undefined;
    if (user !== undefined) await this.#rowsOf(user.address);
    const what = user === undefined ? (target as { certificate: Uint8Array }).certificate : user.lookup;
    return this.#db.transaction().execute((trx) => removeCertificates(trx, what));
  }

  async close(): Promise<void> {
    await this.#db.destroy();
  }
}

function readSealSettings(settings: ReadonlyMap<string, string>): SealSettings {
  const [salt, check] = ['salt', 'check'].map((name) => settings.get(name) ?? '') as [string, string];
  if (!/^[0-9a-f]{64} [0-9a-f]{64}$/.test(`${salt} ${check}`)) {
    throw new MailsealError('STORE_INVALID', 'the settings of the key store are damaged');
  }
  return { salt: fromHex(salt), check: fromHex(check) };
}

/** Both ends of a validity are inside it (RFC 5280 4.1.2.5). */
function isValid(row: CertificateRow, now: Date): boolean {
  const second = seconds(now);
  return Number(row.not_before) <= second && second <= Number(row.not_after);
}

function day(time: number | string): string {
  return new Date(Number(time) * 1000).toISOString().slice(0, 10);
}

function isSelfSigned(certificate: Certificate): boolean {
  return certificate.isSelfIssued && mayHaveIssued(certificate, certificate);
}

/** By name, and by key identifier where both have one: authorities change keys and keep their name. */
function mayHaveIssued(issuer: Certificate, certificate: Certificate): boolean {
  if (!issuer.subject.equals(certificate.issuer)) return false;
  const wanted = certificate.authorityKeyIdentifier?.keyIdentifier;
  const found = issuer.subjectKeyIdentifier;
  return wanted === undefined || found === undefined || equal(wanted, found);
}
