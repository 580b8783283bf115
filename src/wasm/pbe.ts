/**
 * Runs key derivations, MAC checks and decryptions of PFX files in one call of the job table (assembly/pfx.ts). Policy —
 * which algorithms, what they may cost — is the caller's: pbe.ts and pfx/.
 */
import { assertBytes, equal, latin1 } from '../bytes.js';
import { MailsealError } from '../errors.js';
import { core, octets, renewViews, reserve, words } from './instance.js';

export type KdfHash = 'sha1' | 'sha256';

/** A key, an IV or a MAC key from a password. */
export interface Derivation {
  /** RFC 7292 appendix B.2, or RFC 8018 section 5.2 with HMAC. */
  kdf: 'pkcs12' | 'pbkdf2';
  hash: KdfHash;
  /** Octets as the KDF takes them: a BMPString with its two zero octets for PKCS#12, UTF-8 for PBKDF2. */
  password: Uint8Array;
  salt: Uint8Array;
  iterations: number;
  /** PKCS#12 only: 1 a key, 2 an IV, 3 a MAC key. */
  id?: 1 | 2 | 3;
  /** Octets to derive. */
  length: number;
}

export type PbeCipherName = 'des-ede3-cbc' | 'des-cbc' | 'rc2-cbc' | 'rc4' | 'aes-cbc';

/** Decrypts `data`. The length of the derived key says which variant: 16 or 24 octets of Triple DES, 16, 24, 32 of AES. */
export interface DecryptJob {
  cipher: PbeCipherName;
  key: Derivation;
  /** For all ciphers but RC4. */
  iv?: Derivation | Uint8Array | undefined;
  /** RC2 only (RFC 2268), 1 to 1024; without it, all bits of the key. */
  effectiveKeyBits?: number | undefined;
  data: Uint8Array;
}

/** Checks HMAC(key, data) === expected. */
export interface MacJob {
  hash: KdfHash;
  key: Derivation;
  data: Uint8Array;
  expected: Uint8Array;
}

export interface PbeResults {
  /** One for each decryption; not ok: its padding is wrong, or its data are not whole blocks. */
  decrypted: ({ ok: true; data: Uint8Array } | { ok: false })[];
  /** One for each MAC. */
  macs: boolean[];
}

// The numbers and layouts of assembly/derivation.ts and assembly/pfx.ts; sizes in u32.
const KDFS = { pkcs12: 1, pbkdf2: 2 } as const;
const HASHES = { sha1: 1, sha256: 2 } as const;
const CIPHERS = { 'des-ede3-cbc': 1, 'des-cbc': 2, 'rc2-cbc': 3, rc4: 4, 'aes-cbc': 5 } as const;
const DIGEST_OCTETS = { sha1: 20, sha256: 32 } as const;
const DERIVATION_WORDS = 11;
const MAC_WORDS = 7;
const DECRYPTION_WORDS = 10;
const NONE = 0xffff_ffff;
const OK = 0;
const BAD_JOB = 18;

/** A derivation of a call, and its place in the table. */
interface Slot {
  readonly derivation: Derivation;
  readonly steps: number;
  index: number;
  /** Another one that differs in the password alone. */
  readonly next: Slot | undefined;
}

/** The derivations of a call: each different one once, however many jobs name it. */
class Derivations {
  readonly slots: Slot[] = [];
  /** Of each decryption. */
  readonly keys: readonly Slot[];
  /** Of each decryption; undefined if its IV is given, or none. */
  readonly ivs: readonly (Slot | undefined)[];
  /** Of each MAC. */
  readonly macKeys: readonly Slot[];
  /** By all that is public; passwords never become (immortal) strings. */
  readonly #byPublicPart = new Map<string, Slot>();

  constructor(decrypts: readonly DecryptJob[], macs: readonly MacJob[]) {
    this.keys = decrypts.map(({ key }) => this.#add(key));
    this.ivs = decrypts.map(({ iv }) =>
      iv === undefined || iv instanceof Uint8Array ? undefined : this.#add(iv),
    );
    this.macKeys = macs.map(({ key }) => this.#add(key));
  }

  #add(derivation: Derivation): Slot {
    const { kdf, hash, password, salt, iterations, id, length } = derivation;
    const publicPart = `${kdf} ${hash} ${iterations} ${id} ${length} ${latin1(salt)}`;
    const first = this.#byPublicPart.get(publicPart);
    for (let slot = first; slot !== undefined; slot = slot.next) {
      if (equal(slot.derivation.password, password)) return slot;
    }
    const slot = { derivation, steps: chainSteps(derivation), index: 0, next: first };
    this.#byPublicPart.set(publicPart, slot);
    this.slots.push(slot);
    return slot;
  }

  /** The longest chains first: assembly/lanes.ts runs them in this order. */
  sort(): void {
    this.slots.sort((a, b) => b.steps - a.steps);
    for (const [index, slot] of this.slots.entries()) slot.index = index;
  }
}

/** Single-block hashes of a derivation that have to be done one after the other. */
export function chainSteps({ kdf, hash, iterations, length }: Derivation): number {
  return iterations * (kdf === 'pbkdf2' ? 2 : Math.ceil(length / DIGEST_OCTETS[hash]));
}

function checkDerivation({ password, salt, iterations, length }: Derivation): void {
  assertBytes(password, 'password');
  assertBytes(salt, 'salt');
  if (!Number.isInteger(iterations) || iterations < 1 || iterations > 0x7fff_ffff) {
    throw new RangeError('iterations must be an integer from 1 to 2^31 - 1');
  }
  if (!Number.isInteger(length) || length < 1) throw new RangeError('length must be a positive integer');
}

/** A block of memory that is handed out piece by piece. */
class Room {
  #next: number;

  constructor(size: number) {
    this.#next = reserve(size);
  }

  take(size: number): number {
    const at = this.#next;
    this.#next = align(at + size);
    return at;
  }

  copy(bytes: Uint8Array): number {
    const at = this.take(bytes.length);
    octets.set(bytes, at);
    return at;
  }
}

const align = (size: number): number => size + (-size & 15);

/**
 * Runs all jobs in one call; jobs of many files may be mixed. Derivations that several jobs name, or that are equal,
 * are run once. Copies everything in and out; the arena is wiped afterwards, also on failure.
 * @throws MailsealError LIMIT_LENGTH if the jobs do not fit in memory
 * @throws RangeError if a job is one that no kernel can do, such as a key length that the cipher does not have
 */
export function runPbeJobs(decrypts: readonly DecryptJob[], macs: readonly MacJob[]): PbeResults {
  const derivations = new Derivations(decrypts, macs);
  const { slots, keys, ivs, macKeys } = derivations;
  for (const { derivation } of slots) checkDerivation(derivation);
  derivations.sort();

  const passwords = new Map<Uint8Array, number>();
  let size = 4 * align(Math.max(DERIVATION_WORDS, MAC_WORDS, DECRYPTION_WORDS) * 4);
  size += 4 * (DERIVATION_WORDS * slots.length + MAC_WORDS * macs.length);
  size += 4 * DECRYPTION_WORDS * decrypts.length;
  for (const { derivation } of slots) {
    const { password, salt, length } = derivation;
    if (!passwords.has(password)) {
      size += align(password.length);
      passwords.set(password, 0);
    }
    size += align(salt.length) + align(length);
  }
  for (const { data, expected } of macs) size += align(data.length) + align(expected.length);
  for (const { data } of decrypts) size += align(data.length) + 16;

  const base = reserve(0);
  try {
    // The table first: no job may lead into it.
    const room = new Room(size);
    const derivationsPtr = room.take(slots.length * DERIVATION_WORDS * 4);
    const macsPtr = room.take(macs.length * MAC_WORDS * 4);
    const decryptionsPtr = room.take(decrypts.length * DECRYPTION_WORDS * 4);
    for (const password of passwords.keys()) passwords.set(password, room.copy(password));

    let at = derivationsPtr / 4;
    for (const { derivation } of slots) {
      const { kdf, hash, password, salt, iterations, id = 0, length } = derivation;
      words[at] = KDFS[kdf];
      words[at + 1] = HASHES[hash];
      words[at + 2] = passwords.get(password) as number;
      words[at + 3] = password.length;
      words[at + 4] = room.copy(salt);
      words[at + 5] = salt.length;
      words[at + 6] = iterations;
      words[at + 7] = id;
      words[at + 8] = room.take(length);
      words[at + 9] = length;
      at += DERIVATION_WORDS;
    }

    at = macsPtr / 4;
    for (const [index, { hash, data, expected }] of macs.entries()) {
      words[at] = HASHES[hash];
      words[at + 1] = (macKeys[index] as Slot).index;
      words[at + 2] = room.copy(data);
      words[at + 3] = data.length;
      words[at + 4] = room.copy(expected);
      words[at + 5] = expected.length;
      at += MAC_WORDS;
    }

    at = decryptionsPtr / 4;
    for (const [index, { cipher, key, iv, effectiveKeyBits, data }] of decrypts.entries()) {
      words[at] = CIPHERS[cipher];
      words[at + 1] = (keys[index] as Slot).index;
      words[at + 2] = ivs[index]?.index ?? NONE;
      words[at + 3] = iv instanceof Uint8Array ? checkedIv(cipher, iv, room) : 0;
      words[at + 4] = effectiveKeyBits ?? key.length * 8;
      const dataPtr = room.copy(data); // decrypted in place
      words[at + 5] = dataPtr;
      words[at + 6] = data.length;
      words[at + 7] = dataPtr;
      at += DECRYPTION_WORDS;
    }

    const status = core.runJobs(
      derivationsPtr,
      slots.length,
      macsPtr,
      macs.length,
      decryptionsPtr,
      decrypts.length,
    );
    renewViews();
    if (status !== OK) throw new MailsealError('LIMIT_LENGTH', 'the work area does not fit in memory');
    return {
      decrypted: decrypts.map((_, index) => {
        const at = decryptionsPtr / 4 + index * DECRYPTION_WORDS;
        const dataPtr = words[at + 7] as number;
        const length = words[at + 8] as number;
        const jobStatus = words[at + 9];
        if (jobStatus === BAD_JOB)
          throw new RangeError(`decryption ${index}: no such cipher, key or IV length`);
        return jobStatus === OK ? { ok: true, data: octets.slice(dataPtr, dataPtr + length) } : { ok: false };
      }),
      macs: macs.map((_, index) => {
        const macStatus = words[macsPtr / 4 + index * MAC_WORDS + 6];
        if (macStatus === BAD_JOB) throw new RangeError(`MAC ${index}: its key cannot be derived`);
        return macStatus === OK;
      }),
    };
  } finally {
    core.wipe(base);
  }
}

/** The derivations that {@link runPbeJobs} would run: each different one once. */
export function distinctDerivations(decrypts: readonly DecryptJob[], macs: readonly MacJob[]): Derivation[] {
  return new Derivations(decrypts, macs).slots.map(({ derivation }) => derivation);
}

/** The kernel reads a whole block, whatever the length of what was copied. */
function checkedIv(cipher: PbeCipherName, iv: Uint8Array, room: Room): number {
  if (iv.length !== (cipher === 'aes-cbc' ? 16 : 8))
    throw new RangeError('iv must be one block of the cipher');
  return room.copy(iv);
}
