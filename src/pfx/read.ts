/**
 * Reads one PFX file (PKCS#12, RFC 7292): its keys, each with its certificate, and all other certificates. structure.ts
 * has the ASN.1 and says what is refused, plan.ts the rounds of decryption and what their failures mean.
 * Called by the importer, the command line and users of the library.
 */
import { assertBytes, equal } from '../bytes.js';
import { type MailsealError, readable } from '../errors.js';
import { runJobs } from '../pbe/jobs.js';
import type { Certificate } from '../x509/certificate.js';
import type { PrivateKey, PublicKey } from '../x509/keys.js';
import { type OpenBag, type PfxOptions, PfxPlan } from './plan.js';
import type { BagAttributes } from './structure.js';

export { MAX_PFX_COST, type PfxOptions } from './plan.js';

export interface PfxEntry {
  privateKey: PrivateKey;
  /** The certificate of this key, found by its public key. */
  certificate?: Certificate;
  /** Of the key's bag, or else of the certificate's. */
  friendlyName?: string;
  localKeyId?: Uint8Array;
}

export interface PfxContents {
  /** One for each private key, in the order of the file; empty for a file of certificates only. */
  entries: PfxEntry[];
  /** Those that belong to no entry, in the order of the file: the chain, and other certificates of an entry's key. */
  certificates: Certificate[];
  /** What may be missing from `entries`: private keys of a type that mailseal can't read, safes encrypted to a public key. */
  skipped: { bag: string; error: MailsealError }[];
}

/**
 * @param bytes the whole file, BER or DER; nothing of the result refers to it
 * @param password may be empty, which stands for no password too
 * @throws MailsealError
 *   PFX_WRONG_PASSWORD, PFX_MAC_MISMATCH (right password, changed file), PFX_NO_MAC (unless `options.allowNoMac`),
 *   PFX_MALFORMED (also when the input is another kind of file: the message says which), ASN1_* (truncated, not ASN.1),
 *   UNSUPPORTED_ALGORITHM with the OID, UNSUPPORTED_FEATURE (signed instead of MACed), LIMIT_COST and
 *   other LIMIT_*. A file without a private key is none of these.
 */
export function readPfx(bytes: Uint8Array, password: string, options: PfxOptions = {}): PfxContents {
  assertBytes(bytes, 'bytes');
  if (typeof password !== 'string') throw new TypeError('password must be a string');
  const plan = new PfxPlan(bytes, password, options);
  try {
    for (let jobs = plan.jobs(); jobs !== undefined; jobs = plan.jobs()) {
      plan.take(runJobs(jobs.decrypts, jobs.macs));
    }
    return contentsOf(plan.bags);
  } catch (error) {
    plan.wipeKeys();
    throw error;
  } finally {
    plan.wipe();
  }
}

export function wipeKeys({ entries }: PfxContents): void {
  for (const { privateKey } of entries) privateKey.wipe();
}

interface CertificateBag {
  readonly certificate: Certificate;
  readonly attributes: BagAttributes;
  readonly publicKey: PublicKey | undefined;
}

/** Pairs keys and certificates. A key that occurs twice is one entry. */
export function contentsOf(bags: readonly OpenBag[]): PfxContents {
  const contents: PfxContents = { entries: [], certificates: [], skipped: [] };
  const keys: { privateKey: PrivateKey; attributes: BagAttributes }[] = [];
  for (const { name, privateKey, attributes, unsupported } of bags) {
    if (unsupported !== undefined) contents.skipped.push({ bag: name, error: unsupported });
    if (privateKey === undefined) continue;
    if (keys.some((key) => key.privateKey.publicKey.equals(privateKey.publicKey))) privateKey.wipe();
    else keys.push({ privateKey, attributes });
  }
  const certificates: CertificateBag[] = [];
  for (const { certificate, attributes } of bags) {
    if (certificate === undefined) continue;
    // A public key that can't be read is none of those whose private key was.
    const publicKey = keys.length === 0 ? undefined : readable(() => certificate.publicKey, undefined);
    certificates.push({ certificate, attributes, publicKey });
  }
  const chosen = new Set<CertificateBag>();
  for (const { privateKey, attributes } of keys) {
    const own = certificates.filter(({ publicKey }) => publicKey?.equals(privateKey.publicKey));
    const best = chooseCertificate(own, attributes.localKeyId);
    if (best !== undefined) chosen.add(best);
    const friendlyName = attributes.friendlyName ?? best?.attributes.friendlyName;
    const localKeyId = attributes.localKeyId ?? best?.attributes.localKeyId;
    contents.entries.push({
      privateKey,
      ...(best && { certificate: best.certificate }),
      ...(friendlyName !== undefined && { friendlyName }),
      ...(localKeyId !== undefined && { localKeyId }),
    });
  }
  for (const bag of certificates) if (!chosen.has(bag)) contents.certificates.push(bag.certificate);
  return contents;
}

/** Of a key's certificates (renewed ones keep the key) the one that the localKeyId names, else the latest. */
function chooseCertificate(
  own: readonly CertificateBag[],
  localKeyId: Uint8Array | undefined,
): CertificateBag | undefined {
  if (own.length < 2) return own[0];
  const named = own.filter(
    ({ attributes }) => localKeyId && attributes.localKeyId && equal(attributes.localKeyId, localKeyId),
  );
  const end = ({ certificate }: CertificateBag) => readable(() => certificate.notAfter.getTime(), 0);
  return (named.length > 0 ? named : own).reduce((best, next) => (end(next) > end(best) ? next : best));
}
