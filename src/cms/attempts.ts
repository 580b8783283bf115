/**
 * Which keys to try on which encrypted keys of a message: private keys by the identifiers of its recipients, key-encryption
 * keys by theirs, and passwords last, as they cost most. Each attempt gives a content key in any case, the true one or one
 * that stands in for it, so that nobody learns whether a key unwrapped. Used by opening.ts.
 */
import { createHash, hash, randomBytes } from 'node:crypto';
import { concat, equal, utf8, wipe } from '../bytes.js';
import { MailsealError } from '../errors.js';
import type { Certificate } from '../x509/certificate.js';
import { type AnyPrivateKey, assertKeyHandle, type KeyHandle, PrivateKey } from '../x509/keys.js';
import { unwrapAgreedWithHandle, unwrapTransportedWithHandle } from './handles.js';
import { shortHex } from './identifiers.js';
import { fitsKeyAgreement, type KeyAgreementName, readKeyAgreement, unwrapAgreed } from './keyagreement.js';
import {
  fitsKeyTransport,
  type KeyTransportName,
  readKeyTransport,
  unwrapTransported,
} from './keytransport.js';
import type { RecipientIdentifier, RecipientInfo } from './recipientinfo.js';
import type { KeyCandidate } from './recipients.js';
import {
  deriveKek,
  PasswordBudget,
  readKekWrap,
  readPasswordWrap,
  type SharedKey,
  type SharedSecrets,
  unwrapShared,
} from './sharedkeys.js';

export type KeyEncryptionName = KeyTransportName | KeyAgreementName | 'shared-key' | 'password';

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

export interface Attempt extends Opener {
  /**
   * The content key, or one that stands in for it; the caller wipes it. A promise of a key outside the process alone.
   * @throws MailsealError LIMIT_COST for a password; KEY_UNSUITABLE for a private key that was wiped; rejects with
   *   KEY_UNAVAILABLE and what a key handle throws
   */
  readonly contentKey: (length: number) => Uint8Array | Promise<Uint8Array>;
}

/**
 * Most operations with private and shared keys and passwords for one message. A message can name the same recipient
 * thousands of times, and a ring may offer every key without a certificate for each.
 */
export const MAX_KEY_TRIALS = 16;

/** One encrypted key that is named by a certificate. */
export interface NamedRecipient {
  readonly info: RecipientInfo & { readonly type: 'keyTransport' | 'keyAgreement' };
  readonly identifier: RecipientIdentifier;
  readonly encryptedKey: Uint8Array;
}

/** Those that a KeyFinder can look up. */
export function namedRecipients(infos: readonly RecipientInfo[]): NamedRecipient[] {
  return infos.flatMap((info) =>
    info.type === 'keyTransport' || info.type === 'keyAgreement'
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
  readonly list: Attempt[] = [];
  /** Whether anything was found for any recipient, fit or not. */
  found = false;
  #refused: MailsealError | undefined;

  get full(): boolean {
    return this.list.length >= MAX_KEY_TRIALS;
  }

  /** @param make undefined for a key that is not of the kind or size of the encrypted key: what anybody can see */
  add(make: () => Attempt | undefined): void {
    this.found = true;
    if (this.full) return;
    try {
      const attempt = make();
      if (attempt !== undefined) this.list.push(attempt);
    } catch (error) {
      if (!(error instanceof MailsealError)) throw error;
      this.#refused ??= error;
    }
  }

  /**
   * Tries one after the other, until one opens the message.
   * @param lengths octets that the content key can have, the likeliest first
   * @param open whether it is this content key, which is wiped afterwards
   * @returns undefined if none opens it
   * @throws MailsealError the first reason why nothing can be tried, or why a key outside the process could not be asked
   *   if no other opens the message; LIMIT_COST, KEY_UNSUITABLE as {@link Attempt.contentKey}
   */
  async open<T>(
    lengths: readonly number[],
    open: (contentKey: Uint8Array) => T | undefined,
  ): Promise<{ opener: Opener; opened: T } | undefined> {
    if (this.list.length === 0 && this.#refused !== undefined) throw this.#refused;
    let unavailable: unknown;
    for (const { contentKey, ...opener } of this.list) {
      for (const length of lengths) {
        const made = contentKey(length);
        let key: Uint8Array;
        if (made instanceof Uint8Array) key = made;
        else {
          try {
            key = await made;
          } catch (error) {
            unavailable ??= error;
            break;
          }
        }
        try {
          const opened = open(key);
          if (opened !== undefined) return { opener, opened };
        } finally {
          wipe(key);
        }
      }
    }
    if (unavailable !== undefined) throw unavailable;
    return undefined;
  }
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
      if (attempt !== undefined) seen.push(candidate);
      return attempt;
    });
  }
}

function withPrivateKey(recipient: NamedRecipient, candidate: KeyCandidate): Attempt | undefined {
  const { info, identifier, encryptedKey } = recipient;
  const { privateKey, certificate, reason } = candidate;
  if (!(privateKey instanceof PrivateKey)) assertKeyHandle(privateKey);
  const made = info.type === 'keyTransport' ? byTransport(info) : byAgreement(info);
  return made && { ...made, recipient: identifier, ...(certificate && { certificate }), reason };

  function byTransport({ algorithm }: typeof info) {
    const transport = readKeyTransport(algorithm);
    if (!fitsKeyTransport(privateKey, encryptedKey)) return undefined;
    return {
      keyEncryption: transport.name,
      contentKey: unwrapping(
        privateKey,
        encryptedKey,
        'decrypt',
        (key, fallback) => unwrapTransported(key, transport, encryptedKey, fallback),
        (handle, fallback) => unwrapTransportedWithHandle(handle, transport, encryptedKey, fallback),
      ),
    };
  }

  function byAgreement(agreeing: RecipientInfo & { readonly type: 'keyAgreement' }) {
    const agreement = readKeyAgreement(agreeing);
    if (!fitsKeyAgreement(privateKey, agreement)) return undefined;
    return {
      keyEncryption: agreement.name,
      contentKey: unwrapping(
        privateKey,
        encryptedKey,
        'deriveBits',
        (key, fallback) => unwrapAgreed(key, agreement, encryptedKey, fallback),
        (handle, fallback) => unwrapAgreedWithHandle(handle, agreement, encryptedKey, fallback),
      ),
    };
  }
}

/** @throws MailsealError KEY_UNSUITABLE for a handle without the method */
function unwrapping(
  privateKey: AnyPrivateKey,
  encryptedKey: Uint8Array,
  method: 'decrypt' | 'deriveBits',
  here: (key: PrivateKey, fallback: Uint8Array) => Uint8Array,
  elsewhere: (handle: KeyHandle, fallback: Uint8Array) => Promise<Uint8Array>,
): Attempt['contentKey'] {
  if (privateKey instanceof PrivateKey) {
    return (length) => {
      const secret = privateKey.toPkcs8();
      try {
        return withFallback(secret, encryptedKey, length, (fallback) => here(privateKey, fallback));
      } finally {
        wipe(secret);
      }
    };
  }
  if (privateKey[method] === undefined) {
    throw new MailsealError('KEY_UNSUITABLE', `the key handle has no ${method}, which the message needs`);
  }
  return async (length) => {
    const fallback = fallbackKey(secretFor(privateKey), encryptedKey, length);
    try {
      return await elsewhere(privateKey, fallback);
    } finally {
      wipe(fallback);
    }
  };
}

/** In place of a secret that the process does not have: the same for a key as long as the process runs. */
const secretFor = ({ publicKey }: KeyHandle): Uint8Array => concat([PROCESS_SECRET, publicKey.der]);

const PROCESS_SECRET = randomBytes(32);

export function addSharedSecrets(
  attempts: Attempts,
  infos: readonly RecipientInfo[],
  { sharedKeys = [], passwords = [], maxPasswordCost }: SharedSecrets,
): void {
  for (const info of infos) {
    if (info.type !== 'keyEncryptionKey') continue;
    for (const shared of sharedKeys) {
      if (equal(shared.keyIdentifier, info.keyIdentifier)) attempts.add(() => withSharedKey(info, shared));
    }
  }
  const budget = new PasswordBudget(maxPasswordCost);
  for (const info of infos) {
    if (info.type !== 'password') continue;
    for (const password of passwords) attempts.add(() => withPassword(info, password, budget));
  }
}

function withSharedKey(
  info: RecipientInfo & { readonly type: 'keyEncryptionKey' },
  shared: SharedKey,
): Attempt | undefined {
  const wrap = readKekWrap(info, shared);
  if (wrap === undefined) return undefined;
  const { encryptedKey, keyIdentifier } = info;
  return {
    keyEncryption: 'shared-key',
    reason: `shared key ${shortHex(keyIdentifier)}`,
    contentKey: (length) =>
      withFallback(shared.key, encryptedKey, length, (fallback) =>
        unwrapShared(wrap, shared.key, encryptedKey, fallback),
      ),
  };
}

function withPassword(
  info: RecipientInfo & { readonly type: 'password' },
  password: string,
  budget: PasswordBudget,
): Attempt {
  const wrap = readPasswordWrap(info);
  return {
    keyEncryption: 'password',
    reason: 'a password',
    contentKey(length) {
      const kek = deriveKek(wrap, password, budget);
      try {
        return withFallback(kek, info.encryptedKey, length, (fallback) => wrap.unwrap(kek, fallback));
      } finally {
        wipe(kek);
      }
    },
  };
}

/** @param secret of the recipient */
function withFallback(
  secret: Uint8Array,
  encryptedKey: Uint8Array,
  length: number,
  unwrap: (fallback: Uint8Array) => Uint8Array,
): Uint8Array {
  const fallback = fallbackKey(secret, encryptedKey, length);
  try {
    return unwrap(fallback);
  } finally {
    wipe(fallback);
  }
}

/**
 * The content key that stands in for one that does not unwrap. It depends on a secret of the recipient and on the
 * ciphertext: with a fresh random one, sending the same message again and again would tell bad padding, which decrypts to
 * something else each time, from good padding, which always gives the same.
 */
function fallbackKey(secret: Uint8Array, encryptedKey: Uint8Array, length: number): Uint8Array {
  const digest = hash('sha256', secret, 'buffer');
  try {
    return createHash('shake256', { outputLength: length })
      .update(FALLBACK_LABEL)
      .update(digest)
      .update(encryptedKey)
      .digest();
  } finally {
    wipe(digest); // whoever has the digest can tell a key that stands in from the true one
  }
}

const FALLBACK_LABEL = utf8('mailseal: key for a message whose key does not unpad');
