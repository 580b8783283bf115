/**
 * Jobs of password-based encryption: what each costs, and one call that runs many. Those that WASM can do go there
 * together, the rare ones to node:crypto (native.ts). Made by pbe.ts, called by pfx/.
 */
import {
  chainSteps,
  type Derivation,
  distinctDerivations,
  type PbeCipherName,
  type PbeResults,
  runPbeJobs,
  type DecryptJob as WasmDecryptJob,
  type MacJob as WasmMacJob,
} from '../wasm.js';
import { DIGESTS, type PbeHash } from './digests.js';
import { checkMac, decrypt, derive } from './native.js';

/** A key, an IV or a MAC key from a password. */
export type KeyDerivation =
  | (Omit<Derivation, 'hash'> & { hash: PbeHash })
  /** `offset` is where in the digest the key or the IV begins. */
  | (Omit<Derivation, 'kdf' | 'hash' | 'id'> & { kdf: 'pbkdf1'; hash: 'md5' | 'sha1'; offset: number })
  | {
      kdf: 'scrypt';
      password: Uint8Array;
      salt: Uint8Array;
      /** N, r and p of RFC 7914. */
      cost: number;
      blockSize: number;
      parallelization: number;
      length: number;
    };

/** Beyond those of WASM: `aes-gcm`, and CBC ciphers by their name in node:crypto. */
export type CipherName = PbeCipherName | 'aes-gcm' | NativeCipherName;

/** The last three only with OpenSSL's legacy provider (`node --openssl-legacy-provider`). */
export type NativeCipherName =
  | `${'aria' | 'camellia'}-${128 | 192 | 256}-cbc`
  | 'sm4-cbc'
  | 'seed-cbc'
  | 'cast5-cbc'
  | 'idea-cbc';

export interface DecryptJob extends Omit<WasmDecryptJob, 'cipher' | 'key' | 'iv'> {
  cipher: CipherName;
  key: KeyDerivation;
  iv?: KeyDerivation | Uint8Array | undefined;
}

export interface MacJob extends Omit<WasmMacJob, 'hash' | 'key'> {
  hash: PbeHash;
  key: KeyDerivation;
}

export interface PbeJobs {
  readonly decrypts: readonly DecryptJob[];
  readonly macs: readonly MacJob[];
}

/** One key alone, for which the lanes are no gain; the caller wipes it. */
export const deriveKey = derive;

const WASM_CIPHERS: readonly CipherName[] = ['des-ede3-cbc', 'des-cbc', 'rc2-cbc', 'rc4', 'aes-cbc'];

/** Whether a derivation fits the lanes. */
function inLanes(derivation: KeyDerivation): derivation is Derivation {
  const { kdf } = derivation;
  if (kdf !== 'pkcs12' && kdf !== 'pbkdf2') return false;
  return derivation.hash === 'sha1' || derivation.hash === 'sha256';
}

// Both of a job's derivations have the same KDF and hash.
const decryptsInWasm = (job: DecryptJob): job is WasmDecryptJob =>
  inLanes(job.key) && WASM_CIPHERS.includes(job.cipher);

const macsInWasm = (job: MacJob): job is WasmMacJob =>
  inLanes(job.key) && (job.hash === 'sha1' || job.hash === 'sha256');

/**
 * Runs all jobs; those of many files may be mixed. The results are in the order of the jobs.
 * @throws MailsealError LIMIT_LENGTH if the jobs do not fit in memory
 */
export function runJobs(decrypts: readonly DecryptJob[], macs: readonly MacJob[]): PbeResults {
  if (decrypts.every(decryptsInWasm) && macs.every(macsInWasm)) return runPbeJobs(decrypts, macs);
  const wasm = runPbeJobs(decrypts.filter(decryptsInWasm), macs.filter(macsInWasm));
  const decrypted = wasm.decrypted.values();
  const checked = wasm.macs.values();
  return {
    decrypted: decrypts.map((job) => (decryptsInWasm(job) ? taken(decrypted) : decrypt(job))),
    macs: macs.map((job) => (macsInWasm(job) ? taken(checked) : checkMac(job))),
  };
}

function taken<T>(results: Iterator<T>): T {
  return results.next().value as T;
}

/**
 * The unit of cost is a block that WASM hashes, 0.04 to 0.18 µs by how many lanes are filled. A call of node:crypto's
 * hash, an iteration of its PBKDF2, and N·r·p of scrypt were measured on the same machine.
 */
const HASH_CALL_COST = 8;
const PBKDF2_ITERATION_COST = 8;
const SCRYPT_COST = 4;

function derivationCost(derivation: KeyDerivation, lanes: boolean): number {
  if (derivation.kdf === 'scrypt') {
    const { cost, blockSize, parallelization } = derivation;
    return cost * blockSize * parallelization * SCRYPT_COST;
  }
  const { kdf, hash, iterations, length } = derivation;
  const rounds = iterations * Math.ceil(length / DIGESTS[hash].octets);
  if (kdf === 'pbkdf2') return rounds * (lanes ? 2 : PBKDF2_ITERATION_COST);
  return rounds * (lanes ? 1 : HASH_CALL_COST);
}

/** What {@link deriveKey} costs, in hash blocks of WASM. */
export const deriveCost = (key: KeyDerivation): number => derivationCost(key, false);

/** What deriving the key and the IV costs, in hash blocks of WASM. */
export function decryptCost(job: DecryptJob): number {
  const { key, iv } = job;
  const lanes = decryptsInWasm(job);
  const ivCost = iv === undefined || iv instanceof Uint8Array ? 0 : derivationCost(iv, lanes);
  return derivationCost(key, lanes) + ivCost;
}

/** What deriving the MAC key costs, in the same unit. */
export function macCost(job: MacJob): number {
  return derivationCost(job.key, macsInWasm(job));
}

const LANES = 4;

/**
 * Whether jobs fill the lanes: those of one hash share them, and a chain of iterations stays in its lane, so that one
 * that is longer than its share leaves the other lanes idle in the end.
 */
export class LaneLoad {
  readonly #loads = { sha1: { steps: 0, longest: 0 }, sha256: { steps: 0, longest: 0 } };

  add({ decrypts, macs }: PbeJobs): void {
    for (const { key, iv } of decrypts) {
      this.#add(key);
      if (iv !== undefined && !(iv instanceof Uint8Array)) this.#add(iv);
    }
    for (const { key } of macs) this.#add(key);
  }

  #add(derivation: KeyDerivation): void {
    if (!inLanes(derivation)) return;
    const load = this.#loads[derivation.hash];
    load.steps += derivationCost(derivation, true);
    load.longest = Math.max(load.longest, chainSteps(derivation));
  }

  get isEven(): boolean {
    const { sha1, sha256 } = this.#loads;
    return [sha1, sha256].every(({ steps, longest }) => steps >= LANES * longest);
  }
}

/** What a round costs, in the same unit: derivations that are equal count once where WASM runs them once. */
export function distinctCost({ decrypts, macs }: PbeJobs): number {
  let cost = 0;
  for (const derivation of distinctDerivations(decrypts.filter(decryptsInWasm), macs.filter(macsInWasm))) {
    cost += derivationCost(derivation, true);
  }
  for (const job of decrypts) if (!decryptsInWasm(job)) cost += decryptCost(job);
  for (const job of macs) if (!macsInWasm(job)) cost += macCost(job);
  return cost;
}
