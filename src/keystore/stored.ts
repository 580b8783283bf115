/**
 * What is believed of a row: the certificate, if its octets are those that it is filed under, and the private key, if the
 * seal holds and it is the certificate's. All else that columns say of a certificate is only an index: a database in
 * which keys and certificates were exchanged opens no mail as somebody else's.
 * Used by the SQL store.
 */
import { equal, toHex, wipe } from '../bytes.js';
import { MailsealError } from '../errors.js';
import { Certificate } from '../x509/certificate.js';
import { PrivateKey } from '../x509/keys.js';
import type { Sealer } from './seal.js';
import type { CertificateRow } from './sql.js';

/** @throws MailsealError STORE_INVALID */
export function certificateIn({
  der,
  fingerprint,
}: Pick<CertificateRow, 'der' | 'fingerprint'>): Certificate {
  const invalid = (what: string, cause?: unknown) =>
    new MailsealError('STORE_INVALID', `the certificate with SHA-256 ${toHex(fingerprint)}: ${what}`, {
      cause,
    });
  try {
    const certificate = Certificate.parse(der);
    if (!equal(certificate.fingerprint, fingerprint)) throw invalid('its octets were changed');
    return certificate;
  } catch (error) {
    if (!(error instanceof MailsealError) || error.code === 'STORE_INVALID') throw error;
    throw invalid(error.message, error);
  }
}

/** Private keys that are open for one purpose: each is unsealed once, however many certificates it has. */
export class Unsealed {
  readonly #sealer: Sealer;
  readonly #keys = new Map<string, PrivateKey | MailsealError>();

  constructor(sealer: Sealer) {
    this.#sealer = sealer;
  }

  /** Keys that were asked for. */
  get size(): number {
    return this.#keys.size;
  }

  has(row: CertificateRow): boolean {
    return this.#keys.has(toHex(row.spki_hash));
  }

  /**
   * The key of a row that has one.
   * @throws MailsealError STORE_INVALID, which names the certificate, if it can't be unsealed or is another's
   */
  open(row: CertificateRow, certificate: Certificate): PrivateKey {
    const id = toHex(row.spki_hash);
    let key = this.#keys.get(id);
    if (key === undefined) {
      key = unseal(this.#sealer, row);
      this.#keys.set(id, key);
    }
    if (key instanceof MailsealError) throw invalid(row, certificate, key.message, key);
    if (!key.publicKey.equals(certificate.publicKey)) {
      throw invalid(row, certificate, 'the one that it is filed with belongs to another certificate');
    }
    return key;
  }

  /** @param except keys that the caller goes on using */
  wipe(except?: ReadonlySet<PrivateKey>): void {
    for (const key of this.#keys.values()) {
      if (key instanceof PrivateKey && except?.has(key) !== true) key.wipe();
    }
  }
}

function unseal(sealer: Sealer, { sealed, spki_hash }: CertificateRow): PrivateKey | MailsealError {
  let pkcs8: Uint8Array | undefined;
  try {
    pkcs8 = sealer.open(sealed as Uint8Array, spki_hash);
    return PrivateKey.parse(pkcs8);
  } catch (error) {
    if (error instanceof MailsealError) return error;
    throw error;
  } finally {
    wipe(pkcs8);
  }
}

function invalid(
  { fingerprint }: CertificateRow,
  { subject }: Certificate,
  what: string,
  cause?: unknown,
): MailsealError {
  const message = `the private key of ${subject} (SHA-256 ${toHex(fingerprint)}): ${what}`;
  return new MailsealError('STORE_INVALID', message, { cause });
}
