/**
 * Private keys at rest: AES-256-GCM (NIST SP 800-38D) under a key that never lies beside the store.
 *
 *   sealing key (32 octets, from the caller) ── HKDF-SHA-256 (RFC 5869), the store's random salt ──> 64 octets:
 *     the store's own AES key (32) | check value (32), kept in the store to tell a wrong key from a damaged one
 *   sealed blob:  version (1) | nonce (12, random) | ciphertext of the PKCS#8 octets | tag (16)
 *   associated data:  version (1) | SHA-256 of the SubjectPublicKeyInfo
 *
 * Each store has its own AES key, so that random nonces of two stores under one sealing key can't meet; within one
 * store SP 800-38D 8.3 allows 2^32 seals. The associated data ties a blob to its public key: a blob that was moved to
 * another row does not open. The check value is an output of HKDF beside the AES key, and says nothing about it.
 * A second HKDF gives the key under which an import's log names files and passwords (import/identity.ts).
 * Used by the key store, and by the threads that make records for it.
 */
import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import {
  assertBytes,
  buffer,
  concat,
  constantTimeEqual,
  fromBase64,
  fromHex,
  latin1,
  wipe,
} from '../bytes.js';
import { MailsealError } from '../errors.js';

/** Octets of a sealing key. */
export const SEAL_KEY_LENGTH = 32;
const SALT_LENGTH = 32;

const VERSION = 1;
const NONCE_LENGTH = 12;
const TAG_LENGTH = 16;
const OVERHEAD = 1 + NONCE_LENGTH + TAG_LENGTH;

const EXPECTED = `expected ${SEAL_KEY_LENGTH} octets, raw or as one line of 64 hexadecimal digits or of base64`;

/** A new random sealing key. */
export function generateSealKey(): Uint8Array {
  return Uint8Array.from(randomBytes(SEAL_KEY_LENGTH));
}

/**
 * The sealing key in a file: 32 raw octets, or one line of 64 hexadecimal digits or 44 characters of base64.
 * @param content all of the file; the result is a copy, so that it can be wiped
 * @throws MailsealError SEAL_KEY_INVALID
 */
export function readSealKey(content: Uint8Array): Uint8Array {
  assertBytes(content, 'content');
  if (content.length === SEAL_KEY_LENGTH) return Uint8Array.from(content);
  const text = latin1(content.subarray(0, 80)).replace(/\r?\n$/, '');
  if (content.length < 80 && /^[0-9a-fA-F]{64}$/.test(text)) return fromHex(text);
  if (content.length < 80 && /^[A-Za-z0-9+/]{43}=$/.test(text)) return fromBase64(text);
  throw new MailsealError(
    'SEAL_KEY_INVALID',
    `${content.length} octets that are no sealing key: ${EXPECTED}`,
  );
}

/** What a store keeps so that its sealer can be made again. Nothing in it is secret. */
export interface SealSettings {
  readonly salt: Uint8Array;
  readonly check: Uint8Array;
}

/**
 * What a store's sealer works with. Structured clone takes it to another thread, without the keys' octets lying open in
 * JavaScript. Whoever has it can open every private key of the store.
 */
export interface SealerState {
  readonly settings: SealSettings;
  readonly seal: KeyObject;
  readonly log: KeyObject;
}

/** Seals and opens the private keys of one store. */
export class Sealer {
  readonly state: SealerState;

  constructor(state: SealerState) {
    this.state = state;
  }

  get settings(): SealSettings {
    return this.state.settings;
  }

  /** For a new store. @throws MailsealError SEAL_KEY_INVALID */
  static create(sealKey: Uint8Array): Sealer {
    checkSealKey(sealKey);
    return new Sealer(deriveState(sealKey, Uint8Array.from(randomBytes(SALT_LENGTH))));
  }

  /** For a store that exists. @throws MailsealError SEAL_KEY_INVALID, SEAL_KEY_WRONG */
  static open(sealKey: Uint8Array, { salt, check }: SealSettings): Sealer {
    checkSealKey(sealKey);
    const state = deriveState(sealKey, salt);
    if (!constantTimeEqual(state.settings.check, check)) {
      throw new MailsealError('SEAL_KEY_WRONG', 'the key store was sealed with another key');
    }
    return new Sealer(state);
  }

  /** @param pkcs8 is left as it is: the caller wipes it */
  seal(pkcs8: Uint8Array, spkiHash: Uint8Array): Uint8Array {
    const nonce = randomBytes(NONCE_LENGTH);
    const cipher = createCipheriv('aes-256-gcm', this.state.seal, nonce);
    cipher.setAAD(associatedData(spkiHash));
    const sealed = cipher.update(pkcs8);
    cipher.final();
    return concat([Uint8Array.of(VERSION), nonce, sealed, cipher.getAuthTag()]);
  }

  /**
   * The PKCS#8 octets; the caller wipes them.
   * @throws MailsealError STORE_INVALID if the blob is damaged or belongs to another public key
   */
  open(sealed: Uint8Array, spkiHash: Uint8Array): Uint8Array {
    if (sealed.length <= OVERHEAD || sealed[0] !== VERSION) {
      throw new MailsealError('STORE_INVALID', 'the sealed key has an unknown form');
    }
    const nonce = sealed.subarray(1, 1 + NONCE_LENGTH);
    const decipher = createDecipheriv('aes-256-gcm', this.state.seal, nonce, { authTagLength: TAG_LENGTH });
    decipher.setAAD(associatedData(spkiHash));
    decipher.setAuthTag(buffer(sealed.subarray(sealed.length - TAG_LENGTH)));
    const pkcs8 = decipher.update(sealed.subarray(1 + NONCE_LENGTH, sealed.length - TAG_LENGTH));
    try {
      decipher.final();
      return pkcs8;
    } catch (cause) {
      wipe(pkcs8);
      throw new MailsealError('STORE_INVALID', 'the sealed key was changed, or moved from another key', {
        cause,
      });
    }
  }
}

function deriveState(sealKey: Uint8Array, salt: Uint8Array): SealerState {
  const keys = new Uint8Array(hkdfSync('sha256', sealKey, salt, 'mailseal key store v1', 64));
  const log = new Uint8Array(hkdfSync('sha256', sealKey, salt, 'mailseal import log v1', 32));
  try {
    return {
      settings: { salt, check: keys.slice(32) },
      seal: createSecretKey(keys.subarray(0, 32)),
      log: createSecretKey(log),
    };
  } finally {
    wipe(keys, log);
  }
}

/** @throws MailsealError SEAL_KEY_INVALID */
export function checkSealKey(sealKey: Uint8Array): void {
  assertBytes(sealKey, 'sealKey');
  if (sealKey.length !== SEAL_KEY_LENGTH) {
    throw new MailsealError('SEAL_KEY_INVALID', `a sealing key of ${sealKey.length} octets: ${EXPECTED}`);
  }
}

function associatedData(spkiHash: Uint8Array): Uint8Array {
  return concat([Uint8Array.of(VERSION), spkiHash]);
}
