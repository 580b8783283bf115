/**
 * Which keys to try on which encrypted keys of a message: private keys by the identifiers of its recipients, key-encryption
 * keys by theirs, and passwords last, as they cost most. Wraps that check themselves (AES and 3DES key wrap, PWRI-KEK) come
 * first: a wrong key gives nothing, and the next one is tried. RSA gives a content key in any case, the true one or one that
 * stands in for it, so that nobody learns whether it unpadded; there all keys are used before any is tried on the content.
 * Used by finding.ts.
 */
import { equal, wipe } from '../bytes.js';
import { MailsealError } from '../errors.js';
import type { Certificate } from '../x509/certificate.js';
import { type AnyPrivateKey, assertKeyHandle, PrivateKey } from '../x509/keys.js';
import type { MlKemAlgorithm } from '../x509/mlkem.js';
import { fallbackKeys } from './fallback.js';
import {
  unwrapAgreedWithHandle,
  unwrapEncapsulatedWithHandle,
  unwrapTransportedWithHandle,
} from './handles.js';
import { shortHex } from './identifiers.js';
import { fitsEncapsulation, readKeyEncapsulation, unwrapEncapsulated } from './kem.js';
import { fitsKeyAgreement, type KeyAgreementName, readKeyAgreement, unwrapAgreed } from './keyagreement.js';
import {
  fitsKeyTransport,
  type KeyTransportName,
  readKeyTransport,
  unwrapTransported,
} from './keytransport.js';
import { type KeyWrap, readKeyWrap, unwrapKey } from './keywrap.js';
import {
  type NamingRecipientInfo,
  namesKeys,
  type RecipientIdentifier,
  type RecipientInfo,
} from './recipientinfo.js';
import type { KeyCandidate } from './recipients.js';
import {
  deriveKek,
  PasswordBudget,
  type PasswordWrap,
  readPasswordWrap,
  type SharedKey,
  type SharedSecrets,
} from './sharedkeys.js';

export type KeyEncryptionName =
  | KeyTransportName
  | KeyAgreementName
  | MlKemAlgorithm
  | 'shared-key'
  | 'password';

/** How a message was opened. */
export interface Opener {
  /** How the content key was encrypted. */
  readonly keyEncryption: KeyEncryptionName;
  /** The identifier of the recipient whose private key opened it. */
  readonly recipient?: RecipientIdentifier;
  /** Of the private key that opened it. */
  readonly certificate?: Certificate;
  /** Why that key was tried: the KeyFinder's words. */
  readonly reason: string;
}

/** A content key that an attempt gives. */
interface Unwrapped {
  readonly key: Uint8Array;
  /** 1, or 0 of a key that stands in. A secret: nothing may branch on it. */
  readonly right: number;
}

interface Attempt {
  /** What it is, if it opens the message. */
  readonly opener: Opener;
  /** Whether the encrypted key tells by itself, and may tell everybody, that another key is needed. */
  readonly checksItself: boolean;
  /**
   * One operation with the key, whatever the number of lengths.
   * @returns content keys that the caller wipes: one of each length, or where the wrap checks itself one at most
   * @throws MailsealError LIMIT_COST for a password; KEY_UNSUITABLE for a private key that was wiped; KEY_UNAVAILABLE and
   *   what a key handle throws
   */
  readonly unwrap: (lengths: readonly number[]) => Promise<readonly Unwrapped[]>;
}

/**
 * Most operations with private and shared keys and passwords for one message. A message can name the same recipient
 * thousands of times, and a ring may offer every key without a certificate for each.
 */
export const MAX_KEY_TRIALS = 16;

/** Encrypted keys of no known algorithm that are looked at, of those for us: a message can bring any number. */
const MAX_REFUSALS = 64;

/** What a content key opens, if it is the one. The key is wiped afterwards. */
export type Open<T> = (contentKey: Uint8Array) => T | undefined | Promise<T | undefined>;

/** One encrypted key that is named by a certificate. */
export interface NamedRecipient {
  readonly info: NamingRecipientInfo;
  readonly identifier: RecipientIdentifier;
  readonly encryptedKey: Uint8Array;
}

/** Those that a KeyFinder can look up. */
export function namedRecipients(infos: readonly RecipientInfo[]): NamedRecipient[] {
  return infos.flatMap((info) =>
    namesKeys(info)
      ? info.identifiers.map((identifier, i) => ({
          info,
          identifier,
          encryptedKey: info.encryptedKeys[i] as Uint8Array,
        }))
      : [],
  );
}

/** Collects the attempts of one message. */
export class Attempts {
  readonly #list: Attempt[] = [];
  /** Whether anything was found for any recipient, fit or not. */
  found = false;
  #refused: MailsealError | undefined;
  #refusals = 0;

  get full(): boolean {
    return this.#list.length >= MAX_KEY_TRIALS || this.#refusals >= MAX_REFUSALS;
  }

  /** @param make none for a key that is not of the kind or size of the encrypted key: what anybody can see */
  add(make: () => readonly Attempt[]): void {
    this.found = true;
    if (this.full) return;
    try {
      this.#list.push(...make().slice(0, MAX_KEY_TRIALS - this.#list.length));
    } catch (error) {
      if (!(error instanceof MailsealError)) throw error;
      this.#refused ??= error;
      this.#refusals++;
    }
  }

  /** @throws MailsealError the first reason why nothing can be tried, where that is so */
  requireAny(): void {
    if (this.#list.length === 0 && this.#refused !== undefined) throw this.#refused;
  }

  /**
   * Tries them until one opens the message. CBC content looks right under a wrong key once in 256, so a key that is known to
   * be wrong is not tried, and one that stands in is tried last. Which ones those are depends on secrets: so everything
   * else was done by then, and where nothing opens, as many keys are tried on the content whatever the paddings were.
   * @param lengths octets that the content key can have, the likeliest first
   * @returns undefined if none opens it
   * @throws MailsealError if nothing opens the message: as {@link requireAny}, or the first reason why a key could not be
   *   used, as {@link Attempt.unwrap}
   */
  async open<T>(
    lengths: readonly number[],
    open: Open<T>,
  ): Promise<{ opener: Opener; opened: T } | undefined> {
    this.requireAny();
    let unusable: unknown;
    const groups = this.#list.filter(({ checksItself }) => checksItself).map((attempt) => [attempt]);
    groups.push(this.#list.filter(({ checksItself }) => !checksItself));
    for (const group of groups) {
      const found: (Unwrapped & { opener: Opener })[] = [];
      try {
        for (const { unwrap, opener } of group) {
          try {
            for (const { key, right } of await unwrap(lengths)) found.push({ key, right, opener });
          } catch (error) {
            unusable ??= error;
          }
        }
        for (const { key, opener } of rightFirst(found)) {
          const opened = await open(key);
          if (opened !== undefined) return { opener, opened };
        }
      } finally {
        for (const { key } of found) wipe(key);
      }
    }
    if (unusable !== undefined) throw unusable;
    return undefined;
  }
}

/** The same, those that are right before those that stand in. Without branches. */
function rightFirst<T extends Unwrapped>(found: readonly T[]): T[] {
  const ordered = [...found];
  let right = 0;
  let other = found.reduce((sum, one) => sum + one.right, 0);
  for (const one of found) {
    ordered[right * one.right + other * (1 - one.right)] = one;
    right += one.right;
    other += 1 - one.right;
  }
  return ordered;
}

export function addPrivateKeys(
  attempts: Attempts,
  recipients: readonly NamedRecipient[],
  candidates: readonly KeyCandidate[],
): void {
  const seen: KeyCandidate[] = [];
  for (const candidate of candidates) {
    const recipient = recipients[candidate.recipient];
    if (recipient === undefined) throw new RangeError('a KeyCandidate for a recipient that does not exist');
    if (attempts.full) return;
    const { privateKey } = candidate;
    if (seen.some((one) => one.recipient === candidate.recipient && one.privateKey === privateKey)) continue;
    attempts.add(() => {
      const attempt = withPrivateKey(recipient, candidate);
      if (attempt === undefined) return [];
      seen.push(candidate);
      return [attempt];
    });
  }
}

function withPrivateKey(recipient: NamedRecipient, candidate: KeyCandidate): Attempt | undefined {
  const { info, identifier, encryptedKey } = recipient;
  const { privateKey, certificate, reason } = candidate;
  if (!(privateKey instanceof PrivateKey)) assertKeyHandle(privateKey);
  switch (info.type) {
    case 'keyTransport':
      return byTransport(info);
    case 'keyAgreement':
      return byAgreement(info);
    case 'keyEncapsulation':
      return byEncapsulation(info);
  }

  function openerBy(keyEncryption: KeyEncryptionName): Opener {
    return { keyEncryption, recipient: identifier, ...(certificate && { certificate }), reason };
  }

  function byTransport({ algorithm }: typeof info): Attempt | undefined {
    const transport = readKeyTransport(algorithm);
    if (!fitsKeyTransport(privateKey, encryptedKey)) return undefined;
    assertDoes(privateKey, 'decrypt');
    return {
      opener: openerBy(transport.name),
      checksItself: false,
      async unwrap(lengths) {
        const fallbacks = fallbackKeys(privateKey, encryptedKey, lengths);
        try {
          const keys =
            privateKey instanceof PrivateKey
              ? unwrapTransported(privateKey, transport, encryptedKey, fallbacks)
              : await unwrapTransportedWithHandle(privateKey, transport, encryptedKey, fallbacks);
          return keys.map((key, i) => ({ key, right: differ(key, fallbacks[i] as Uint8Array) }));
        } finally {
          wipe(...fallbacks);
        }
      },
    };
  }

  function byAgreement(agreeing: RecipientInfo & { readonly type: 'keyAgreement' }): Attempt | undefined {
    const agreement = readKeyAgreement(agreeing);
    if (!fitsKeyAgreement(privateKey, agreement)) return undefined;
    assertDoes(privateKey, 'deriveBits');
    return {
      opener: openerBy(agreement.name),
      checksItself: true,
      async unwrap(lengths) {
        const key =
          privateKey instanceof PrivateKey
            ? unwrapAgreed(privateKey, agreement, encryptedKey)
            : await unwrapAgreedWithHandle(privateKey, agreement, encryptedKey);
        return checked(key, lengths);
      },
    };
  }

  function byEncapsulation(kem: RecipientInfo & { readonly type: 'keyEncapsulation' }): Attempt | undefined {
    const encapsulation = readKeyEncapsulation(kem);
    if (!fitsEncapsulation(privateKey, encapsulation)) return undefined;
    assertDoes(privateKey, 'decapsulate');
    return {
      opener: openerBy(encapsulation.name),
      checksItself: true,
      async unwrap(lengths) {
        const key =
          privateKey instanceof PrivateKey
            ? unwrapEncapsulated(privateKey, encapsulation, encryptedKey)
            : await unwrapEncapsulatedWithHandle(privateKey, encapsulation, encryptedKey);
        return checked(key, lengths);
      },
    };
  }
}

/** @throws MailsealError KEY_UNSUITABLE for a handle without the method */
function assertDoes(privateKey: AnyPrivateKey, method: 'decrypt' | 'deriveBits' | 'decapsulate'): void {
  if (privateKey instanceof PrivateKey || privateKey[method] !== undefined) return;
  throw new MailsealError('KEY_UNSUITABLE', `the key handle has no ${method}, which the message needs`);
}

/** Of a wrap that checks itself. */
function checked(key: Uint8Array | undefined, lengths: readonly number[]): Unwrapped[] {
  if (key === undefined) return [];
  if (lengths.includes(key.length)) return [{ key, right: 1 }];
  wipe(key);
  return [];
}

/** 1 or 0, in time that depends on the length only. */
function differ(a: Uint8Array, b: Uint8Array): number {
  let bits = 0;
  for (let i = 0; i < a.length; i++) bits |= (a[i] as number) ^ (b[i] as number);
  return -bits >>> 31;
}

export function addSharedSecrets(
  attempts: Attempts,
  infos: readonly RecipientInfo[],
  { sharedKeys = [], passwords = [], maxPasswordCost }: SharedSecrets,
): void {
  for (const info of infos) {
    if (info.type !== 'keyEncryptionKey') continue;
    const named = sharedKeys.filter(({ keyIdentifier }) => equal(keyIdentifier, info.keyIdentifier));
    if (named.length === 0) continue;
    attempts.add(() => {
      const wrap = readKeyWrap(info.algorithm);
      return named
        .filter(({ key }) => key.length === wrap.keyLength)
        .map((shared) => withSharedKey(info, wrap, shared));
    });
  }
  const budget = new PasswordBudget(maxPasswordCost);
  for (const info of infos) {
    if (info.type !== 'password' || passwords.length === 0) continue;
    attempts.add(() => {
      const wrap = readPasswordWrap(info);
      return passwords.map((password) => withPassword(wrap, password, budget));
    });
  }
}

function withSharedKey(
  { encryptedKey, keyIdentifier }: RecipientInfo & { readonly type: 'keyEncryptionKey' },
  wrap: KeyWrap,
  { key }: SharedKey,
): Attempt {
  return {
    opener: { keyEncryption: 'shared-key', reason: `shared key ${shortHex(keyIdentifier)}` },
    checksItself: true,
    unwrap: async (lengths) => checked(unwrapKey(wrap, key, encryptedKey), lengths),
  };
}

function withPassword(wrap: PasswordWrap, password: string, budget: PasswordBudget): Attempt {
  return {
    opener: { keyEncryption: 'password', reason: 'a password' },
    checksItself: true,
    async unwrap(lengths) {
      const kek = deriveKek(wrap, password, budget);
      try {
        return checked(wrap.unwrap(kek), lengths);
      } finally {
        wipe(kek);
      }
    },
  };
}
