/**
 * The key store over a SQL database: joins the queries (sql.ts), the seal (seal.ts), what a row is believed to say
 * (stored.ts), which keys a mail names (matching.ts) and how entries are written (writer.ts). Drivers make one with
 * {@link SqlKeyStore.open}; everybody else sees a KeyStore.
 */
import { fromHex, toHex } from '../bytes.js';
import type { KnownCapabilities } from '../cms/choice.js';
import type { KeyCandidate, RecipientIdentifier } from '../cms/recipients.js';
import { MailsealError } from '../errors.js';
import { append } from '../maps.js';
import type { Certificate } from '../x509/certificate.js';
import type { PrivateKey } from '../x509/keys.js';
import { hasMlKem, isMlKem } from '../x509/mlkem.js';
import { validatePath } from '../x509/path.js';
import { authoritiesAbove } from './authorities.js';
import { capabilitiesOf, rememberCapabilities } from './capabilities.js';
import { inTurns, matchRecipients } from './matching.js';
import { mayEncrypt, maySign, REASONS, seconds, Use, userOf } from './record.js';
import { Recorder, type StoreRecord } from './recorder.js';
import { createSchema, type Database, type Flavour, isOld, migrate, SCHEMA_VERSION } from './schema.js';
import { Sealer, type SealSettings } from './seal.js';
import {
  AddressesQuery,
  type CertificateRow,
  certificatesOf,
  MatchQuery,
  type OwnedRow,
  removeCertificates,
  summarizeUsers,
} from './sql.js';
import type {
  AddOutcome,
  AddResult,
  EncryptionOptions,
  KeyEntry,
  KeyStore,
  Match,
  Removed,
  SignerStatement,
  SigningEntry,
  StoredCertificate,
  StoreEntry,
  UserSummary,
} from './store.js';
import { certificateIn, Unsealed } from './stored.js';
import { Writer } from './writer.js';

/** Entries of one transaction: enough to spread its cost, few enough to let others write between. */
const CHUNK = 250;
/** Keys that are unsealed for one mail: the first should open it. */
const MAX_KEYS = 16;
/** Keys times recipients that they are tried for: unsealing is what costs, and each key is unsealed once. */
const MAX_CANDIDATES = 256;
/** Authorities of one chain; a real one has one or two. */
const MAX_CHAIN = 10;
/** Those among which a path is searched: it takes no more signatures. */
const MAX_INTERMEDIATES = 100;

/** A certificate with the row that it was read from. */
interface Stored {
  readonly row: CertificateRow;
  readonly certificate: Certificate;
}

/** A certificate of a user. */
interface Owned extends Stored {
  readonly row: OwnedRow;
}

export class SqlKeyStore implements KeyStore {
  readonly #db: Database;
  readonly #sealer: Sealer;
  readonly #matches: MatchQuery;
  readonly #addresses: AddressesQuery;
  readonly #writer: Writer;
  #closed = false;

  private constructor(db: Database, sealer: Sealer, flavour: Flavour) {
    this.#db = db;
    this.#sealer = sealer;
    this.#matches = new MatchQuery(db, flavour);
    this.#addresses = new AddressesQuery(db);
    this.#writer = new Writer(db, sealer);
  }

  /** @throws MailsealError IO if the store was closed */
  get bulk(): Writer {
    if (this.#closed) throw new MailsealError('IO', 'the key store is closed');
    return this.#writer;
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
      if (created) return new SqlKeyStore(db, sealer, flavour);
    }
    const rows = await db.selectFrom('settings').select(['name', 'value']).execute();
    const settings = new Map(rows.map(({ name, value }) => [name, value]));
    const old = isOld(settings.get('version'));
    const sealer = Sealer.open(sealKey, readSealSettings(settings));
    if (old) await migrate(db, flavour);
    return new SqlKeyStore(db, sealer, flavour);
  }

  async add(entry: StoreEntry): Promise<AddOutcome> {
    const [result] = (await this.addMany([entry])) as [AddResult];
    if (result.outcome === 'failed') throw result.error;
    return result.outcome;
  }

  async addMany(entries: readonly StoreEntry[]): Promise<AddResult[]> {
    const results: AddResult[] = [];
    for (let at = 0; at < entries.length; at += CHUNK) {
      const recorder = new Recorder(this.#sealer.state);
      const records = entries.slice(at, at + CHUNK).map((entry) => tryRecord(recorder, entry));
      const good = records.filter((one): one is StoreRecord => !(one instanceof MailsealError));
      const written = good.length === 0 ? [] : await this.bulk.writeRecords(good);
      let next = 0;
      for (const one of records) {
        if (one instanceof MailsealError) results.push({ outcome: 'failed', error: one });
        else results.push(written[next++] as AddResult);
      }
    }
    return results;
  }

  users(): Promise<UserSummary[]> {
    return summarizeUsers(this.#db);
  }

  async history(user: string | null): Promise<StoredCertificate[]> {
    const owned = await this.#certificatesOf(user);
    return (await this.#describe(owned)).map((described, i) => ({
      ...described,
      maySign: signs(owned[i] as Owned),
      mayEncrypt: encrypts(owned[i] as Owned),
    }));
  }

  async entries(user: string | null): Promise<KeyEntry[]> {
    const stored = await this.#certificatesOf(user);
    const unsealed = new Unsealed(this.#sealer);
    try {
      return stored
        .filter(({ row }) => row.sealed !== null)
        .map(({ row, certificate }) => {
          const named = row.friendly_name !== null && { friendlyName: row.friendly_name };
          return { privateKey: unsealed.open(row, certificate), certificate, ...named };
        });
    } catch (error) {
      unsealed.wipe();
      throw error;
    }
  }

  async find(recipients: readonly RecipientIdentifier[]): Promise<readonly KeyCandidate<PrivateKey>[]> {
    const matches = inTurns(await matchRecipients(this.#matches, recipients));
    const unsealed = new Unsealed(this.#sealer);
    const candidates: KeyCandidate<PrivateKey>[] = [];
    let failure: MailsealError | undefined;
    try {
      for (const { recipient, rows } of matches) {
        const [row] = rows;
        if (candidates.length === MAX_CANDIDATES) break;
        if (unsealed.size === MAX_KEYS && !unsealed.has(row)) continue;
        try {
          const certificate = certificateIn(row);
          const privateKey = unsealed.open(row, certificate);
          const release = () => privateKey.wipe();
          candidates.push({ recipient, privateKey, certificate, reason: REASONS[row.kind], release });
        } catch (error) {
          if (!(error instanceof MailsealError)) throw error;
          failure ??= error; // one damaged key must not keep another recipient's from opening the mail
        }
      }
      if (candidates.length === 0 && failure !== undefined) throw failure;
    } catch (error) {
      unsealed.wipe();
      throw error;
    }
    unsealed.wipe(new Set(candidates.map(({ privateKey }) => privateKey)));
    return candidates;
  }

  async lookup(recipients: readonly RecipientIdentifier[]): Promise<Match[]> {
    const found = await matchRecipients(this.#matches, recipients);
    const matches = found.flatMap(({ recipient, rows }) =>
      rows.map((row) => ({ recipient, row, certificate: certificateIn(row) })),
    );
    const described = await this.#describe(matches);
    return matches.map(({ recipient, row }, i) => ({
      ...(described[i] as StoredCertificate),
      recipient,
      reason: REASONS[row.kind],
    }));
  }

  async #describe(stored: readonly Stored[]): Promise<StoredCertificate[]> {
    const owners = await this.#addresses.run(stored.map(({ row }) => row.fingerprint));
    const users = new Map<string, string[]>();
    for (const { fingerprint, address } of owners) append(users, toHex(fingerprint), address);
    return stored.map(({ row, certificate }) => ({
      certificate,
      ...(row.friendly_name !== null && { friendlyName: row.friendly_name }),
      hasKey: row.sealed !== null,
      maySign: maySign(certificate),
      mayEncrypt: mayEncrypt(certificate),
      users: users.get(toHex(row.fingerprint)) ?? [],
    }));
  }

  /** Newest first. @throws MailsealError USER_UNKNOWN, STORE_INVALID */
  async #certificatesOf(user: string | null): Promise<Owned[]> {
    return (await this.#rowsOf(user))
      .map((row) => ({ row, certificate: certificateIn(row) }))
      .sort((a, b) => b.certificate.notBefore.getTime() - a.certificate.notBefore.getTime());
  }

  /** @throws MailsealError USER_UNKNOWN */
  async #rowsOf(user: string | null): Promise<OwnedRow[]> {
    if (user === null) return certificatesOf(this.#db, null);
    const { lookup, address } = userOf(user);
    const rows = await certificatesOf(this.#db, lookup);
    if (rows.length === 0) {
      throw new MailsealError('USER_UNKNOWN', `the key store has no user ${address}`);
    }
    return rows;
  }

  async signingEntry(user: string, now: Date): Promise<SigningEntry> {
    const serves = (owned: Owned) => owned.row.sealed !== null && signs(owned);
    const [{ row, certificate }] = await this.#usable(user, now, serves, 'to sign with');
    const chain = await this.chain(certificate); // before a key is open that would have to be wiped
    const unsealed = new Unsealed(this.#sealer);
    try {
      return { privateKey: unsealed.open(row, certificate), certificate, chain };
    } catch (error) {
      unsealed.wipe();
      throw error;
    }
  }

  async encryptionCertificates(
    address: string,
    now: Date,
    { trust }: EncryptionOptions = {},
  ): Promise<Certificate[]> {
    const usable = await this.#usable(address, now, encryptsHere, 'to encrypt to');
    const certificates = usable.map(({ certificate }) => certificate);
    return trust === undefined ? certificates : this.#trusted(address, certificates, now, trust);
  }

  async #trusted(
    address: string,
    certificates: readonly Certificate[],
    now: Date,
    trust: readonly Certificate[],
  ): Promise<Certificate[]> {
    const trusted: Certificate[] = [];
    let reason: string | undefined;
    for (const certificate of certificates) {
      const intermediates = await authoritiesAbove(this.#db, certificate, MAX_INTERMEDIATES);
      const result = validatePath(certificate, { trust, intermediates, now, purpose: 'emailEncryption' });
      if (result.trusted) trusted.push(certificate);
      reason ??= result.reason?.message;
    }
    if (trusted.length > 0) return trusted;
    const message = `no certificate of ${address} to encrypt to is trusted on ${day(now)}; the newest: ${reason}`;
    throw new MailsealError('NOT_TRUSTED', message);
  }

  /** A user's certificates that serve and are valid now, newest first. @throws MailsealError USER_UNKNOWN, KEY_UNSUITABLE */
  async #usable(
    user: string,
    now: Date,
    serves: (owned: Owned) => boolean,
    use: string,
  ): Promise<[Owned, ...Owned[]]> {
    const all = await this.#certificatesOf(user);
    const serving = all.filter(serves);
    const [first, ...others] = serving.filter(({ certificate }) => isValid(certificate, now));
    if (first !== undefined) return [first, ...others];
    const newest = serving[0]?.certificate;
    const reason =
      newest === undefined
        ? `none of ${all.length} serves for that`
        : `the newest is valid from ${day(newest.notBefore)} to ${day(newest.notAfter)}`;
    const message = `no certificate of ${user} ${use} on ${day(now)}: ${reason}`;
    throw new MailsealError('KEY_UNSUITABLE', message);
  }

  chain(certificate: Certificate): Promise<Certificate[]> {
    return authoritiesAbove(this.#db, certificate, MAX_CHAIN);
  }

  rememberCapabilities(signer: SignerStatement, now = new Date()): Promise<string[]> {
    return rememberCapabilities(this.#db, signer, now);
  }

  capabilities(address: string): Promise<KnownCapabilities | undefined> {
    return capabilitiesOf(this.#db, address);
  }

  async remove(target: { user: string } | { certificate: Uint8Array }): Promise<Removed> {
    const user = 'user' in target ? userOf(target.user) : undefined;
    if (user !== undefined) await this.#rowsOf(user.address);
    const what = user === undefined ? (target as { certificate: Uint8Array }).certificate : user.lookup;
    return this.#db.transaction().execute((trx) => removeCertificates(trx, what));
  }

  async close(): Promise<void> {
    this.#closed = true;
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
function isValid({ notBefore, notAfter }: Certificate, now: Date): boolean {
  return seconds(notBefore) <= seconds(now) && seconds(now) <= seconds(notAfter);
}

const day = (time: Date): string => time.toISOString().slice(0, 10);

function tryRecord(recorder: Recorder, entry: StoreEntry): StoreRecord | MailsealError {
  try {
    return recorder.record(entry);
  } catch (error) {
    if (error instanceof MailsealError) return error;
    throw error;
  }
}

const signs = ({ row, certificate }: Owned) => (row.uses & Use.SIGNING) !== 0 && maySign(certificate);
const encrypts = ({ row, certificate }: Owned) =>
  (row.uses & Use.ENCRYPTION) !== 0 && mayEncrypt(certificate);

/** Without ML-KEM in Node.js, a certificate for it must not keep mail from going to the user's other ones. */
const encryptsHere = (owned: Owned) =>
  encrypts(owned) && (hasMlKem() || !isMlKem(owned.certificate.publicKey.algorithm));
