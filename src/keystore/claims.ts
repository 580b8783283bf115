/**
 * Whether a certificate may take an address that it merely claims. Anybody can make a PFX with a certificate for
 * boss@example.org; the newest certificate of an address is what mail to it is encrypted to. So an address that has
 * certificates is given to another one only if one of them
 *   - is on the same key (who has the private key has it all already), or
 *   - has an issuer of the same name, and, where the store or the same import has an authority that signed either of
 *     them, one that signed both: names are copied easily.
 * An address that nobody has is given to the first who claims it. That is no substitute for trust anchors: it keeps an
 * import from changing, unseen, whom mail is encrypted to.
 * Used by the SQL store for entries that are `unconfirmed`, inside the transaction that writes them.
 */
import { toHex } from '../bytes.js';
import { Certificate } from '../x509/certificate.js';
import { checkSignature, guarded } from '../x509/pathrules.js';
import { hashName, type User } from './record.js';
import { authoritiesNamed, certificatesByOwner, type Database } from './sql.js';

/**
 * Signatures that are checked for the entries of one transaction; a file can bring any number of authorities of one
 * name. Whoever still claims something when they are used up does not get it.
 */
const MAX_SIGNATURES = 2_000;

export class Claims {
  readonly #db: Database;
  readonly #owned: Map<string, Certificate[]>;
  readonly #brought: readonly Certificate[];
  readonly #authorities = new Map<string, readonly Certificate[]>();
  readonly #signers = new Map<string, readonly Certificate[]>();
  readonly #budget = { signatures: MAX_SIGNATURES };

  private constructor(db: Database, owned: Map<string, Certificate[]>, brought: readonly Certificate[]) {
    this.#db = db;
    this.#owned = owned;
    this.#brought = brought;
  }

  /** @param brought all certificates that are written together: authorities are looked for among them, too */
  static async load(db: Database, users: readonly User[], brought: readonly Certificate[]): Promise<Claims> {
    const owned = new Map<string, Certificate[]>();
    const lookups = [...new Set(users.map(({ lookup }) => lookup))];
    for (const { user, der } of await certificatesByOwner(db, lookups)) {
      const certificates = owned.get(user);
      if (certificates === undefined) owned.set(user, [Certificate.parse(der)]);
      else certificates.push(Certificate.parse(der));
    }
    return new Claims(
      db,
      owned,
      brought.filter(({ basicConstraints }) => basicConstraints?.ca === true),
    );
  }

  /** What is given counts for the claims that follow. */
  give(certificate: Certificate, { lookup }: User): void {
    const certificates = this.#owned.get(lookup);
    if (certificates === undefined) this.#owned.set(lookup, [certificate]);
    else certificates.push(certificate);
  }

  /** Whether the address may be given to a certificate that came with its private key. */
  async allows(certificate: Certificate, { lookup }: User): Promise<boolean> {
    const owned = this.#owned.get(lookup);
    if (owned === undefined) return true;
    if (owned.some(({ publicKey }) => publicKey.equals(certificate.publicKey))) return true;
    for (const other of owned) {
      if (!other.issuer.equals(certificate.issuer)) continue;
      const [signers, others] = [await this.#signersOf(certificate), await this.#signersOf(other)];
      if (this.#budget.signatures <= 0) return false;
      if (signers.length + others.length === 0) return true; // the name is all there is to go by
      if (signers.some(({ publicKey }) => others.some((one) => one.publicKey.equals(publicKey)))) return true;
    }
    return false;
  }

  /** The authorities whose signature a certificate has; itself, if it signed itself. */
  async #signersOf(certificate: Certificate): Promise<readonly Certificate[]> {
    const id = toHex(certificate.fingerprint);
    let signers = this.#signers.get(id);
    if (signers === undefined) {
      const authorities = await this.#authoritiesFor(certificate);
      const candidates = certificate.isSelfIssued ? [...authorities, certificate] : authorities;
      signers = candidates.filter((issuer) => this.#isSignedBy(certificate, issuer));
      this.#signers.set(id, signers);
    }
    return signers;
  }

  #isSignedBy(certificate: Certificate, issuer: Certificate): boolean {
    if (this.#budget.signatures <= 0) return false;
    return guarded(certificate, () => checkSignature(certificate, issuer, this.#budget)) === undefined;
  }

  async #authoritiesFor({ issuer }: Certificate): Promise<readonly Certificate[]> {
    const hash = hashName(issuer);
    const id = toHex(hash);
    let authorities = this.#authorities.get(id);
    if (authorities === undefined) {
      const stored = await authoritiesNamed(this.#db, [hash]);
      authorities = [
        ...stored.map((der) => Certificate.parse(der)),
        ...this.#brought.filter(({ subject }) => subject.equals(issuer)),
      ];
      this.#authorities.set(id, authorities);
    }
    return authorities;
  }
}
