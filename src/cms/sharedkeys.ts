/**
 * Recipients without a certificate: those that have a key-encryption key from before (KEKRecipientInfo, RFC 5652 6.2.3, with
 * AES key wrap, RFC 3565) and those that know a password (PasswordRecipientInfo, RFC 5652 6.2.4, with PBKDF2 or scrypt and
 * PWRI-KEK, RFC 3211; for reading AES key wrap as well, as pkijs writes it). Refused: passwords that are to be the key itself.
 * What a key derivation may cost is bounded, as the message says how many iterations it takes.
 * Used by attempts.ts and enveloping.ts.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { readAlgorithmIdentifier } from '../asn1/algorithm.js';
import { OID } from '../asn1/oids.js';
import { writeDer } from '../asn1/write.js';
import { assertBytes, concat, copy, utf8, wipe } from '../bytes.js';
import { MailsealError } from '../errors.js';
import { deriveCost, deriveKey, type KeyDerivation } from '../pbe/jobs.js';
import { readKeyDerivation } from '../pbe.js';
import { unsupported } from './algorithms.js';
import { nodeCbc, readContentCipher } from './ciphers.js';
import { aesKeyWrap, readKeyWrap, unwrapKey, wrapKey, writeKeyWrap } from './keywrap.js';
import type { RecipientInfo } from './recipientinfo.js';

/** A key-encryption key that sender and recipient share. */
export interface SharedKey {
  /** Names the key in the message. */
  readonly keyIdentifier: Uint8Array;
  /** 16, 24 or 32 octets for AES. */
  readonly key: Uint8Array;
}

/** What opens a message beside private keys. */
export interface SharedSecrets {
  readonly sharedKeys?: readonly SharedKey[];
  /** Tried one after the other on each recipient with a password; taken as UTF-8. */
  readonly passwords?: readonly string[];
  /**
   * Most hash blocks that key derivations from passwords may cost, over all of a message's recipients; what is one is
   * told by {@link MAX_PASSWORD_COST}, the default.
   */
  readonly maxPasswordCost?: number;
}

/**
 * In the unit of pbe/jobs.ts, where an iteration of PBKDF2 counts 8: two and a half million iterations for a 256-bit key
 * with SHA-256, about a second. 600,000 are recommended today.
 */
export const MAX_PASSWORD_COST = 20_000_000;

/** @throws TypeError for a shared key, a password or a limit that is none */
export function checkSecrets({ sharedKeys = [], passwords = [], maxPasswordCost }: SharedSecrets): void {
  for (const { keyIdentifier, key } of sharedKeys) {
    assertBytes(keyIdentifier, 'keyIdentifier');
    assertBytes(key, 'key');
  }
  for (const password of passwords) {
    if (typeof password !== 'string') throw new TypeError('a password must be a string');
  }
  if (maxPasswordCost !== undefined && !(Number.isInteger(maxPasswordCost) && maxPasswordCost > 0)) {
    throw new TypeError('maxPasswordCost must be a positive integer');
  }
}

/** Counts what passwords have cost so far. */
export class PasswordBudget {
  readonly #limit: number;
  #spent = 0;

  constructor(limit = MAX_PASSWORD_COST) {
    this.#limit = limit;
  }

  /** @throws MailsealError LIMIT_COST */
  charge(cost: number): void {
    this.#spent += cost;
    if (this.#spent > this.#limit) {
      throw new MailsealError(
        'LIMIT_COST',
        `key derivation would take ${this.#spent} hash blocks or more, the limit is ${this.#limit} (option maxPasswordCost)`,
      );
    }
  }
}

/** KEKRecipientInfo. @throws RangeError for a key of a length that AES does not have */
export function writeKekRecipient({ keyIdentifier, key }: SharedKey, contentKey: Uint8Array): Uint8Array {
  const wrap = aesKeyWrap(key.length);
  const encryptedKey = wrapKey(wrap, key, contentKey);
  return writeDer((w) =>
    w.implicitConstructed(2, (w) => {
      w.integer(4);
      w.sequence((w) => w.octets(keyIdentifier));
      writeKeyWrap(w, wrap);
      w.octets(encryptedKey);
    }),
  );
}

type PasswordInfo = RecipientInfo & { readonly type: 'password' };

/** How the content key of a recipient with a password is encrypted. */
export interface PasswordWrap {
  /** The key-encryption key from a password. */
  readonly derivation: (password: Uint8Array) => KeyDerivation;
  /** The content key, which the caller wipes; undefined if its check says that this is not the key. */
  readonly unwrap: (kek: Uint8Array) => Uint8Array | undefined;
}

/** @throws MailsealError UNSUPPORTED_ALGORITHM, UNSUPPORTED_FEATURE with the OID; CMS_MALFORMED, ASN1_* */
export function readPasswordWrap({
  keyDerivation,
  algorithm,
  encryptedKey,
  node,
}: PasswordInfo): PasswordWrap {
  if (keyDerivation === undefined) {
    throw node.fail('UNSUPPORTED_FEATURE', 'a password recipient without a key derivation');
  }
  const { keyLength, unwrap } = algorithm.oid === OID.pwriKek ? readPwriKek() : readAesWrap();
  readKeyDerivation(keyDerivation, new Uint8Array(), keyLength); // throws now, not when it is tried
  return { derivation: (password) => readKeyDerivation(keyDerivation, password, keyLength), unwrap };

  function readPwriKek() {
    if (algorithm.parameters === undefined) throw node.fail('CMS_MALFORMED', 'PWRI-KEK without its cipher');
    const inner = readAlgorithmIdentifier(algorithm.parameters, 'KeyEncryptionAlgorithm of PWRI-KEK');
    const { name, iv, keyLength } = readContentCipher(inner, 'EncryptedData');
    if (name === 'rc2-cbc' || name === 'des-cbc') throw unsupported(inner, 'PWRI-KEK with');
    return {
      keyLength,
      unwrap: (kek: Uint8Array) => unwrapPwri(nodeCbc(name), kek, iv, encryptedKey),
    };
  }

  function readAesWrap() {
    const wrap = readKeyWrap(algorithm);
    return {
      keyLength: wrap.keyLength,
      unwrap: (kek: Uint8Array) => unwrapKey(wrap, kek, encryptedKey),
    };
  }
}

/** @throws MailsealError LIMIT_COST */
export function deriveKek(
  { derivation }: PasswordWrap,
  password: string,
  budget: PasswordBudget,
): Uint8Array {
  const octets = utf8(password);
  try {
    const job = derivation(octets);
    budget.charge(deriveCost(job));
    return deriveKey(job);
  } finally {
    wipe(octets);
  }
}

type CbcName = ReturnType<typeof nodeCbc>;

/** One pass of CBC over whole blocks. */
function encryptBlocks(cipher: CbcName, key: Uint8Array, iv: Uint8Array, data: Uint8Array): Uint8Array {
  return createCipheriv(cipher, key, iv).setAutoPadding(false).update(data);
}
function decryptBlocks(cipher: CbcName, key: Uint8Array, iv: Uint8Array, data: Uint8Array): Uint8Array {
  return createDecipheriv(cipher, key, iv).setAutoPadding(false).update(data);
}

/**
 * RFC 3211 2.3.2. Two passes of CBC, the second with the last block of the first for its IV:
 *   count | complement of the first three octets | content key | padding
 * A wrong password passes the check once in 2^24. Whoever changes a message knows before whether the check still holds, as
 * it compares octets that change together: it is no oracle.
 */
function unwrapPwri(
  cipher: CbcName,
  kek: Uint8Array,
  iv: Uint8Array,
  encryptedKey: Uint8Array,
): Uint8Array | undefined {
  const block = iv.length;
  const { length } = encryptedKey;
  if (length % block !== 0 || length < 2 * block) return undefined;
  const last = encryptedKey.subarray(length - block);
  const lastIv = decryptBlocks(cipher, kek, encryptedKey.subarray(length - 2 * block, length - block), last);
  const inner = decryptBlocks(cipher, kek, lastIv, encryptedKey);
  const plain = decryptBlocks(cipher, kek, iv, inner);
  try {
    const end = 4 + (plain[0] as number);
    let bad = 0;
    for (let i = 1; i <= 3; i++) bad |= (plain[i] as number) ^ 0xff ^ (plain[i + 3] as number);
    return bad === 0 && end <= length ? copy(plain.subarray(4, end)) : undefined;
  } finally {
    wipe(lastIv, inner, plain);
  }
}

/** What is recommended for PBKDF2 with SHA-256 (OWASP, 2023). */
const ITERATIONS = 600_000;
const SALT_LENGTH = 16;
const KEK_LENGTH = 32;
const BLOCK_LENGTH = 16;

/** PasswordRecipientInfo: PBKDF2 with HMAC-SHA-256, PWRI-KEK with AES-256-CBC. */
export function writePasswordRecipient(
  password: string,
  contentKey: Uint8Array,
  random: (size: number) => Uint8Array,
): Uint8Array {
  const salt = random(SALT_LENGTH);
  const iv = random(BLOCK_LENGTH);
  const octets = utf8(password);
  let kek: Uint8Array | undefined;
  try {
    kek = deriveKey({
      kdf: 'pbkdf2',
      hash: 'sha256',
      password: octets,
      salt,
      iterations: ITERATIONS,
      length: KEK_LENGTH,
    });
    const encryptedKey = wrapPwri(kek, iv, contentKey, random);
    return writeDer((w) =>
      w.implicitConstructed(3, (w) => {
        w.integer(0);
        w.implicitConstructed(0, (w) => {
          w.oid(OID.PBKDF2);
          w.sequence((w) => {
            w.octets(salt);
            w.integer(ITERATIONS);
            w.sequence((w) => {
              w.oid(OID.hmacWithSHA256);
              w.null();
            });
          });
        });
        w.sequence((w) => {
          w.oid(OID.pwriKek);
          w.sequence((w) => {
            w.oid(OID.aes256Cbc);
            w.octets(iv);
          });
        });
        w.octets(encryptedKey);
      }),
    );
  } finally {
    wipe(octets, kek);
  }
}

/** RFC 3211 2.3.1: two blocks at least, since a pass over one would leave the second without effect. */
function wrapPwri(
  kek: Uint8Array,
  iv: Uint8Array,
  contentKey: Uint8Array,
  random: (size: number) => Uint8Array,
): Uint8Array {
  const used = 4 + contentKey.length;
  const length = Math.max(2, Math.ceil(used / BLOCK_LENGTH)) * BLOCK_LENGTH;
  const check = contentKey.subarray(0, 3).map((octet) => octet ^ 0xff);
  const plain = concat([Uint8Array.of(contentKey.length), check, contentKey, random(length - used)]);
  try {
    const inner = encryptBlocks('aes-256-cbc', kek, iv, plain);
    return encryptBlocks('aes-256-cbc', kek, inner.subarray(length - BLOCK_LENGTH), inner);
  } finally {
    wipe(plain, check);
  }
}
