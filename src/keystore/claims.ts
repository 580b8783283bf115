/**
 * Whether a certificate may take an address that it merely claims. Anybody can make a PFX with a certificate for
 * boss@example.org; the newest certificate of an address is what mail to it is encrypted to. So an address that has
 * certificates is given to another one only if one of them
 *   - is on the same key (who has the private key has it all already), or
 *   - has an issuer of the same name, and, where an authority is known that signed either of them, one that signed both:
 *     names are copied easily. Known are those in the store, and those that came before or came along.
 * An address that nobody has is given to the first who claims it. That is no substitute for trust anchors: it keeps an
 * import from changing, unseen, whom mail is encrypted to.
 *
 * Records are judged in groups (the entries of one file), in order, and a group's outcome depends on what came before it
 * only, not on which groups are written together: an import that was stopped and taken up decides as one that was not.
 * Used by the writer (writer.ts) for records that are `unconfirmed`, inside the transaction that writes them.
 */
import { toHex } from '../bytes.js';
import { append } from '../maps.js';
import { Certificate } from '../x509/certificate.js';
import { checkSignature, guarded } from '../x509/pathrules.js';
import { hashName, type User } from './record.js';
import type { StoreRecord } from './recorder.js';
import type { Database } from './schema.js';
import { authoritiesNamed, type OwnersQuery } from './sql.js';

/**
 * Signatures that are checked for one group; a file can bring any number of authorities of one name. Whoever still
 * claims something when they are used up does not get it.
 */
const MAX_SIGNATURES = 2_000;

export class Claims {
  readonly #db: Database;
  readonly #owned: Map<string, (Certificate | StoreRecord)[]>;
  /** Those that records brought so far, and those that were asked for; by the hash of their name. */
  readonly #brought = new Map<string, Certificate[]>();
  readonly #authorities = new Map<string, readonly Certificate[]>();
  readonly #checked = new Map<string, boolean>();
  readonly #parsed = new WeakMap<StoreRecord, Certificate>();
  #signaturesLeft = 0;

  private constructor(db: Database, owned: Map<string, (Certificate | StoreRecord)[]>) {
    this.#db = db;
    this.#owned = owned;
  }

  /** @param users all that will be asked for */
  static async load(db: Database, owners: OwnersQuery, users: Iterable<User>): Promise<Claims> {
    const owned = new Map<string, Certificate[]>();
    const lookups = new Set<string>();
    for (const { lookup } of users) lookups.add(lookup);
    for (const { user, der } of await owners.run([...lookups], db)) {
      append(owned, user, Certificate.parse(der));
    }
    return new Claims(db, owned);
  }

  /** For each record of a group the addresses that it claims and does not get; what it gets counts from here on. */
  async judge(group: readonly StoreRecord[]): Promise<User[][]> {
    this.#signaturesLeft = MAX_SIGNATURES;
    for (const record of group) if (record.certificate.is_ca === 1) this.#bring(record);
    const withheld: User[][] = [];
    for (const record of group) {
      const refused: User[] = [];
      for (const user of record.users) {
        if (record.unconfirmed && !(await this.#allows(record, user))) refused.push(user);
        else append(this.#owned, user.lookup, record);
      }
      withheld.push(refused);
    }
    return withheld;
  }

  #bring({ certificate: { der, subject_hash } }: StoreRecord): void {
    const name = toHex(subject_hash);
    this.#authorities.delete(name);
    append(this.#brought, name, Certificate.parse(der));
  }

  /** Whether the address may be given to a certificate that came with its private key. */
  async #allows(record: StoreRecord, { lookup }: User): Promise<boolean> {
    const owned = this.#owned.get(lookup)?.map((one) => this.#certificateOf(one));
    if (owned === undefined) return true;
    const certificate = this.#certificateOf(record);
    if (owned.some(({ publicKey }) => publicKey.equals(certificate.publicKey))) return true;
    for (const other of owned) {
      if (!other.issuer.equals(certificate.issuer)) continue;
      const [signers, others] = [await this.#signersOf(certificate), await this.#signersOf(other)];
      if (this.#signaturesLeft <= 0) return false;
      if (signers.length + others.length === 0) return true; // the name is all there is to go by
      if (signers.some(({ publicKey }) => others.some((one) => one.publicKey.equals(publicKey)))) return true;
    }
    return false;
  }

  /** The authorities whose signature a certificate has; itself, if it signed itself. */
  async #signersOf(certificate: Certificate): Promise<readonly Certificate[]> {
    const authorities = await this.#authoritiesFor(certificate);
    const candidates = certificate.isSelfIssued ? [...authorities, certificate] : authorities;
    return candidates.filter((issuer) => this.#isSignedBy(certificate, issuer));
  }

  /** One that is known costs as much as one that is not: what is left must not depend on what is known. */
  #isSignedBy(certificate: Certificate, issuer: Certificate): boolean {
    if (this.#signaturesLeft-- <= 0) return false;
    const id = `${toHex(certificate.fingerprint)} ${toHex(issuer.fingerprint)}`;
    let signed = this.#checked.get(id);
    if (signed === undefined) {
      const reason = guarded(certificate, () => checkSignature(certificate, issuer, { signatures: 1 }));
      signed = reason === undefined;
      this.#checked.set(id, signed);
    }
    return signed;
  }

  /** The newest first: which are looked at before the signatures are used up must not depend on where they are. */
  async #authoritiesFor({ issuer }: Certificate): Promise<readonly Certificate[]> {
    const hash = hashName(issuer);
    const id = toHex(hash);
    let authorities = this.#authorities.get(id);
    if (authorities === undefined) {
      const stored = (await authoritiesNamed(this.#db, [hash])).map((der) => Certificate.parse(der));
      const all = [...stored, ...(this.#brought.get(id) ?? [])];
      const distinct = new Map(all.map((one) => [toHex(one.fingerprint), one]));
      authorities = [...distinct.values()].sort(
        (a, b) =>
          b.notBefore.getTime() - a.notBefore.getTime() || Buffer.compare(a.fingerprint, b.fingerprint),
      );
      this.#authorities.set(id, authorities);
    }
    return authorities;
  }

  /** Only those of an address that is in question are read. */
  #certificateOf(one: Certificate | StoreRecord): Certificate {
    if (one instanceof Certificate) return one;
    let certificate = this.#parsed.get(one);
    if (certificate === undefined) {
      certificate = Certificate.parse(one.certificate.der);
      this.#parsed.set(one, certificate);
    }
    return certificate;
  }
}
