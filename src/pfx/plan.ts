/**
 * Opens one PFX in rounds, so that many files can share each call into WASM: {@link PfxPlan.jobs} says what to derive,
 * check and decrypt next, {@link PfxPlan.take} is given the answers. The first round has the MAC and everything
 * encrypted that can be seen; another one the keys that were inside an encrypted safe. It also decides what a failure
 * means: a wrong password, a changed file, or a broken one. Called by read.ts and bulk.ts.
 */
import { copy, equal, wipe } from '../bytes.js';
import { MailsealError } from '../errors.js';
import { decryptCost, distinctCost, macCost, type PbeJobs } from '../pbe/jobs.js';
import { decryptJob, macJob, type PasswordOctets, type PbeKdf } from '../pbe.js';
import type { PbeResults } from '../wasm.js';
import { Certificate } from '../x509/certificate.js';
import { PrivateKey } from '../x509/keys.js';
import { BLOCK_LENGTH, restoreFirstBlock, type Structure } from './firstblock.js';
import { Part } from './part.js';
import { readingsOf } from './password.js';
import {
  type Bag,
  type BagAttributes,
  type Encrypted,
  type PfxFile,
  readAuthenticatedSafe,
  readPfxFile,
  readSafeContents,
  type Safe,
} from './structure.js';

/**
 * Most hash blocks that one reading of one file may cost: a file names its own iteration count. Windows writes 2,000
 * iterations, OpenSSL 2,048, Java 10,000, Firefox 600,000; ten million for two safes and a MAC still fit. A hundred
 * million blocks take 4 to 18 seconds, by how many of the four lanes they fill.
 */
export const MAX_PFX_COST = 100_000_000;

/** The most that {@link PfxOptions.maxCost} may be. */
export const COST_LIMIT = 2 ** 31 - 1;

/** Most keys and certificates of a file: each key is compared with each certificate, and with each other key. */
export const MAX_PFX_BAGS = 10_000;
export const MAX_PFX_KEYS = 1_000;

export interface PfxOptions {
  /** Read a PFX that has no MAC, and so may have been made or changed by anyone. */
  allowNoMac?: boolean;
  /**
   * Most hash blocks (iterations times the blocks of each) that key derivations may cost, over all bags and the MAC;
   * those that are left to node:crypto, scrypt too, count as the blocks that WASM would hash in their time;
   * 1 to 2^31 - 1, by default {@link MAX_PFX_COST}.
   */
  maxCost?: number;
}

/** What a bag came to. */
export interface OpenBag {
  readonly name: string;
  readonly attributes: BagAttributes;
  readonly privateKey?: PrivateKey;
  readonly certificate?: Certificate;
  /** UNSUPPORTED_*: a key that is well-formed, but of a type that can't be read; a safe that no password opens. */
  readonly unsupported?: MailsealError;
}

/** Something that waits for the password, and what to do with its plaintext: gives what waits inside it. */
interface Locked {
  readonly name: string;
  readonly structure: Structure;
  readonly encrypted: Encrypted;
  readonly open: (plaintext: Uint8Array) => Locked[];
}

type Kdf = PbeKdf['kdf'];

export class PfxPlan {
  readonly #file: PfxFile;
  readonly #maxCost: number;
  readonly #readings: PasswordOctets[];
  readonly #secrets: Uint8Array[] = [];
  /** By safe; of an encrypted one once it is open. */
  readonly #bags: OpenBag[][] = [];
  /** What the file itself shows to be encrypted. */
  readonly #outer: Locked[] = [];
  #pending: Locked[];
  readonly #plaintexts = new Map<Locked, Uint8Array | undefined>();
  /** Of #pending, what is asked for once more, now with its IV. */
  #unclear: Locked[] = [];
  #macMatches: boolean | undefined;
  #reading = 0;
  #firstRound = true;
  #cost = 0;
  /** The rounds that #cost is for. */
  #charged: PbeJobs[] = [];
  #bagsLeft = MAX_PFX_BAGS;
  #keysLeft = MAX_PFX_KEYS;
  #failure: MailsealError | undefined;

  /**
   * Reads all that can be read without a password; nothing is derived yet.
   * @throws TypeError, RangeError for arguments; MailsealError PFX_*, ASN1_*, UNSUPPORTED_*
   */
  constructor(bytes: Uint8Array, password: string, options: PfxOptions = {}) {
    this.#maxCost = checkedCost(options.maxCost);
    this.#file = readPfxFile(bytes);
    if (this.#file.mac === undefined && options.allowNoMac !== true) {
      throw new MailsealError(
        'PFX_NO_MAC',
        'the PFX has no MAC, so anyone may have made or changed it (option allowNoMac reads it)',
      );
    }
    try {
      for (const safe of readAuthenticatedSafe(this.#file.authSafe)) {
        for (const locked of this.#openSafe(safe)) this.#outer.push(locked);
      }
    } catch (error) {
      this.wipeKeys(); // those that are not encrypted
      throw error;
    }
    this.#pending = this.#outer;
    this.#readings = readingsOf(password);
  }

  /** The bags of all safes in the order of the file, once {@link jobs} gave undefined. */
  get bags(): OpenBag[] {
    return this.#bags.flat();
  }

  /** What to run next, by {@link runJobs}; undefined when all is open. @throws MailsealError LIMIT_COST */
  jobs(): PbeJobs | undefined {
    const { mac, authSafe } = this.#file;
    const password = this.#readings[this.#reading] as PasswordOctets;
    const asksMac = this.#firstRound && mac !== undefined && this.#unclear.length === 0;
    const macs = asksMac ? [macJob(mac.mac, password, authSafe.bytes, mac.digest)] : [];
    const decrypts = this.#asked.map((locked) => {
      const { algorithm, data } = locked.encrypted;
      return decryptJob(algorithm, password, data, this.#leavesIvOut(locked) ? NO_IV : algorithm.iv);
    });
    if (macs.length === 0 && decrypts.length === 0) return undefined;
    const jobs = { decrypts, macs };
    this.#charge(jobs);
    return jobs;
  }

  #charge(jobs: PbeJobs): void {
    this.#charged.push(jobs);
    for (const job of jobs.macs) this.#cost += macCost(job);
    for (const job of jobs.decrypts) this.#cost += decryptCost(job);
    // A history whose bags share one salt costs one derivation. Finding that out takes time, and is seldom needed.
    if (this.#cost > this.#maxCost) {
      this.#cost = this.#charged.reduce((cost, round) => cost + distinctCost(round), 0);
    }
    if (this.#cost > this.#maxCost) {
      throw new MailsealError(
        'LIMIT_COST',
        `key derivation would take ${this.#cost} hash blocks or more, the limit is ${this.#maxCost} (option maxCost)`,
      );
    }
  }

  /** The results of {@link jobs}, in its order. @throws MailsealError when no reading of the password is left */
  take({ decrypted, macs }: PbeResults): void {
    if (macs.length > 0) this.#macMatches = macs[0];
    const unclear: Locked[] = [];
    for (const [i, locked] of this.#asked.entries()) {
      const result = decrypted[i];
      this.#plaintexts.set(locked, undefined);
      if (!result?.ok) continue;
      this.#secrets.push(result.data);
      if (this.#leavesIvOut(locked) && !restoreFirstBlock(result.data, locked.structure))
        unclear.push(locked);
      else if (isWholeSequence(result.data)) this.#plaintexts.set(locked, result.data);
    }
    this.#unclear = unclear;
    if (unclear.length === 0) this.#settle();
  }

  get #asked(): readonly Locked[] {
    return this.#unclear.length > 0 ? this.#unclear : this.#pending;
  }

  /** firstblock.ts says why that can be; without a MAC nothing vouches for the rest. */
  #leavesIvOut(locked: Locked): boolean {
    const { kdf, iv } = locked.encrypted.algorithm;
    const derived = kdf.kdf === 'pkcs12' && iv === BLOCK_LENGTH;
    // What is unclear is asked for alone.
    return derived && this.#file.mac !== undefined && this.#unclear.length === 0;
  }

  /** Decides what the results of a round mean. */
  #settle(): void {
    const plaintexts = this.#pending.map((locked) => this.#plaintexts.get(locked));
    const opensSome = plaintexts.some((plaintext) => plaintext !== undefined);
    const firstRound = this.#firstRound;
    this.#firstRound = false;
    if (firstRound && this.#macMatches === false) this.#retry(macFailure(opensSome), this.#macKdfs());
    else if (firstRound && this.#file.mac === undefined && !opensSome) {
      this.#retry(wrongPassword('decrypts nothing'), this.#pending.map(kdfOf));
    } else this.#open(plaintexts);
  }

  #open(plaintexts: readonly (Uint8Array | undefined)[]): void {
    const closed = this.#pending.find((_, i) => plaintexts[i] === undefined);
    if (closed !== undefined)
      this.#retry(notDecrypted(closed.name, this.#file.mac !== undefined), [kdfOf(closed)]);
    else this.#pending = this.#pending.flatMap(({ open }, i) => open(plaintexts[i] as Uint8Array));
  }

  /** Overwrites the password's encodings and all plaintext. Keys and certificates have their own copies. */
  wipe(): void {
    for (const secret of this.#secrets) wipe(secret);
    for (const { pkcs12, pbkdf2 } of this.#readings) wipe(pkcs12, pbkdf2);
  }

  /** For a file that failed: nobody gets the keys that were read by then. */
  wipeKeys(): void {
    for (const { privateKey } of this.bags) privateKey?.wipe();
  }

  /**
   * Starts again with the next reading of the password that can change what failed, so that a file is not derived again
   * and again for nothing. The first failure that says more is the one to report.
   * @param kdfs of what failed
   */
  #retry(failure: MailsealError, kdfs: readonly Kdf[]): void {
    if (this.#failure === undefined || this.#failure.code === 'PFX_WRONG_PASSWORD') this.#failure = failure;
    const next = this.#readings.findIndex(
      (reading, i) =>
        i > this.#reading && !this.#readings.slice(0, i).some((other) => alike(reading, other, kdfs)),
    );
    if (next < 0) throw this.#failure;
    this.#reading = next;
    this.#pending = this.#outer;
    this.#firstRound = true;
    this.#cost = 0;
    this.#charged = [];
  }

  /** RFC 9579 leaves the password of PBMAC1 one encoding, UTF-8: for its sake no other is tried. */
  #macKdfs(): Kdf[] {
    return this.#file.mac?.mac.kdf.kdf === 'pkcs12' ? ['pkcs12'] : [];
  }

  /** Gives what has to be decrypted. */
  #openSafe(safe: Safe): Locked[] {
    const { name } = safe;
    const index = this.#bags.push([]) - 1;
    switch (safe.kind) {
      case 'plain':
        return this.#openBags(index, readSafeContents(safe.contents, name));
      case 'unsupported':
        this.#bags[index] = [{ name, attributes: {}, unsupported: safe.error }];
        return [];
      case 'encrypted': {
        const open = (plaintext: Uint8Array) => {
          const part = new Part(`the decrypted ${name}`, plaintext, undefined);
          return this.#openBags(index, readSafeContents(part, name));
        };
        return [{ name, structure: 'SafeContents', encrypted: safe.encrypted, open }];
      }
    }
  }

  #openBags(safe: number, bags: Bag[]): Locked[] {
    this.#bagsLeft -= bags.length;
    this.#keysLeft -= bags.filter((bag) => bag.kind !== 'certificate').length;
    if (this.#bagsLeft < 0) throw tooMany(MAX_PFX_BAGS, 'bags');
    if (this.#keysLeft < 0) throw tooMany(MAX_PFX_KEYS, 'keys');
    const open: OpenBag[] = [];
    this.#bags[safe] = open;
    const locked: Locked[] = [];
    for (const [i, bag] of bags.entries()) {
      const { name, attributes } = bag;
      switch (bag.kind) {
        case 'certificate':
          open[i] = { name, attributes, certificate: readCertificate(bag.certificate) };
          break;
        case 'key':
          open[i] = readKey(name, attributes, bag.privateKeyInfo);
          break;
        case 'shroudedKey':
          locked.push({
            name,
            structure: 'PrivateKeyInfo',
            encrypted: bag.encrypted,
            open: (plaintext) => {
              open[i] = readKey(name, attributes, new Part(`the decrypted ${name}`, plaintext, undefined));
              return [];
            },
          });
      }
    }
    return locked;
  }
}

/** In place of one that is not derived: the first block comes out wrong, and is written anew. */
const NO_IV = new Uint8Array(BLOCK_LENGTH);

const kdfOf = ({ encrypted }: Locked): Kdf => encrypted.algorithm.kdf.kdf;

/** Whether two readings of a password are the same to all of these derivations. */
function alike(a: PasswordOctets, b: PasswordOctets, kdfs: readonly Kdf[]): boolean {
  return kdfs.every((kdf) => (kdf === 'pkcs12' ? equal(a.pkcs12, b.pkcs12) : equal(a.pbkdf2, b.pbkdf2)));
}

/** @throws RangeError */
export function checkedCost(maxCost = MAX_PFX_COST): number {
  if (!Number.isInteger(maxCost) || maxCost < 1 || maxCost > COST_LIMIT) {
    throw new RangeError(`maxCost must be an integer from 1 to ${COST_LIMIT}`);
  }
  return maxCost;
}

/**
 * Whether a plaintext is one SEQUENCE from end to end: all that a PFX encrypts is. Padding alone holds by chance for
 * one wrong key in 256, and RC4 has none.
 */
function isWholeSequence(bytes: Uint8Array): boolean {
  const length = bytes[1];
  if (bytes[0] !== 0x30 || length === undefined) return false;
  if (length < 0x80) return bytes.length === 2 + length;
  if (length === 0x80) return bytes.length >= 4 && bytes.at(-1) === 0 && bytes.at(-2) === 0;
  const octets = length & 0x7f;
  let value = 0;
  for (let i = 0; i < octets; i++) value = value * 256 + (bytes[2 + i] ?? 0);
  return bytes.length === 2 + octets + value;
}

function tooMany(limit: number, what: string): MailsealError {
  return new MailsealError('LIMIT_RECORDS', `a PFX with more than ${limit} ${what}`);
}

function macFailure(opensSome: boolean): MailsealError {
  if (!opensSome) return wrongPassword('does not match the MAC');
  return new MailsealError(
    'PFX_MAC_MISMATCH',
    'the password opens the PFX, but its MAC does not match: the file was changed',
  );
}

function wrongPassword(how: string): MailsealError {
  return new MailsealError('PFX_WRONG_PASSWORD', `wrong password: it ${how}`);
}

function notDecrypted(name: string, maced: boolean): MailsealError {
  const but = maced ? 'the MAC matches' : 'other parts open';
  return new MailsealError('PFX_MALFORMED', `${but}, but the password does not decrypt ${name}`);
}

function readCertificate(part: Part): Certificate {
  try {
    // A copy: what it lies in may be wiped, or be the caller's.
    return Certificate.parse(copy(part.bytes));
  } catch (error) {
    throw error instanceof MailsealError ? part.locate(error, 'PFX_MALFORMED') : error;
  }
}

/** A key of a type that is not built must not keep the others from being read, nor get lost in silence. */
function readKey(name: string, attributes: BagAttributes, part: Part): OpenBag {
  try {
    return { name, attributes, privateKey: PrivateKey.parse(part.bytes) };
  } catch (error) {
    if (!(error instanceof MailsealError)) throw error;
    if (error.code.startsWith('UNSUPPORTED')) return { name, attributes, unsupported: part.locate(error) };
    throw part.locate(error, 'PFX_MALFORMED');
  }
}
