/**
 * Opening EnvelopedData (RFC 5652 section 6) and AuthEnvelopedData (RFC 5083). Built so that nobody learns from it what a
 * key decrypts (Bleichenbacher 1998, Manger 2001, RFC 3218): after a key is chosen there is one path and one error. A
 * content key that does not unwrap is replaced by another of the same length and decryption goes on; whether it worked is
 * judged by the content alone. CBC content is never authenticated: the result says `integrity: 'none'` (EFAIL).
 * Exported by enveloped.ts.
 */
import { createHash, hash } from 'node:crypto';
import { utf8, wipe } from '../bytes.js';
import { type ErrorCode, MailsealError } from '../errors.js';
import type { Certificate } from '../x509/certificate.js';
import type { PrivateKey } from '../x509/keys.js';
import { type ContentCipher, type ContentCipherName, decryptContent, readContentCipher } from './ciphers.js';
import type { AuthEnvelopedData, Enveloped, EnvelopedData } from './enveloped.js';
import { fitsKeyAgreement, type KeyAgreementName, readKeyAgreement, unwrapAgreed } from './keyagreement.js';
import {
  fitsKeyTransport,
  type KeyTransportName,
  readKeyTransport,
  unwrapTransported,
} from './keytransport.js';
import { describeRecipientInfo, type RecipientIdentifier, type RecipientInfo } from './recipientinfo.js';
import type { KeyCandidate, KeyFinder } from './recipients.js';

export type KeyEncryptionName = KeyTransportName | KeyAgreementName;

/** Something about a message that its writer did wrong, and that was read all the same. */
export interface Remark {
  readonly code: ErrorCode;
  readonly message: string;
}

export interface DecryptedContent {
  readonly content: Uint8Array;
  /** Dotted OID. */
  readonly contentType: string;
  readonly cipher: ContentCipherName;
  /** How the content key was encrypted. */
  readonly keyEncryption: KeyEncryptionName;
  /** Nothing protects CBC content from being changed; of an AEAD cipher the tag was right. */
  readonly integrity: 'none' | 'tag';
  readonly remarks: readonly Remark[];
  /** The identifier of the recipient whose key opened it. */
  readonly recipient: RecipientIdentifier;
  /** Of the key that opened it. */
  readonly certificate?: Certificate;
  /** Why that key was tried: the KeyFinder's words. */
  readonly reason: string;
}

/**
 * Most private-key operations for one message. A message can name the same recipient thousands of times, and a ring may
 * offer every key without a certificate for each.
 */
export const MAX_KEY_TRIALS = 16;

/**
 * Opens a message with the keys that `keys` finds for its recipients.
 * @throws MailsealError RECIPIENT_UNKNOWN, naming whom it is for; UNSUPPORTED_ALGORITHM with the OID;
 *   DECRYPTION_FAILED, with one message, for every cause after a key was found
 */
export async function decryptEnvelopedData(
  enveloped: EnvelopedData | AuthEnvelopedData,
  keys: KeyFinder,
): Promise<DecryptedContent> {
  const place = 'mac' in enveloped ? 'AuthEnvelopedData' : 'EnvelopedData';
  const cipher = readContentCipher(enveloped.contentEncryptionAlgorithm, place);
  const { encryptedContent, contentType } = enveloped;
  if (encryptedContent === undefined) {
    throw enveloped.node.fail('UNSUPPORTED_FEATURE', `${place} whose encrypted content is elsewhere`);
  }
  const authentication =
    'mac' in enveloped
      ? { tag: checkedTag(enveloped, cipher), associated: enveloped.authenticated }
      : undefined;
  const recipients = namedRecipients(enveloped);
  const candidates = await keys.find(recipients.map(({ identifier }) => identifier));
  try {
    if (candidates.length === 0) throw unknownRecipient(enveloped);
    for (const attempt of attempts(recipients, candidates)) {
      const contentKey = attempt.contentKey(cipher.keyLength);
      let content: Uint8Array | undefined;
      try {
        content = decryptContent(cipher, contentKey, encryptedContent, authentication);
      } finally {
        wipe(contentKey);
      }
      if (content === undefined) continue;
      const { certificate, reason } = attempt.candidate;
      return {
        content,
        contentType,
        cipher: cipher.name,
        keyEncryption: attempt.keyEncryption,
        integrity: cipher.mode === 'cbc' ? 'none' : 'tag',
        remarks: remarksOn(cipher),
        recipient: attempt.recipient,
        ...(certificate && { certificate }),
        reason,
      };
    }
    throw new MailsealError('DECRYPTION_FAILED', 'the message does not decrypt');
  } finally {
    for (const candidate of candidates) candidate.release?.();
  }
}

/** A tag of another length than its algorithm says is refused before any key is looked for. */
function checkedTag({ mac, node }: AuthEnvelopedData, { name, tagLength }: ContentCipher): Uint8Array {
  if (mac.length === tagLength) return mac;
  throw node.fail('CMS_MALFORMED', `a tag of ${mac.length} octets, where ${name} is to have ${tagLength}`);
}

function remarksOn({ name, misplaced }: ContentCipher): Remark[] {
  if (!misplaced) return [];
  const message = `${name} in EnvelopedData, where only AuthEnvelopedData has a place for its tag`;
  return [{ code: 'CMS_MALFORMED', message }];
}

/** One key on one encrypted key. */
interface Attempt {
  readonly candidate: KeyCandidate;
  readonly recipient: RecipientIdentifier;
  readonly keyEncryption: KeyEncryptionName;
  /** The content key, or one that stands in for it; the caller wipes it. */
  readonly contentKey: (length: number) => Uint8Array;
}

type NamedRecipient = ReturnType<typeof namedRecipients>[number];

/** Those that are named by a certificate, as a KeyFinder can look up. */
function namedRecipients({ recipientInfos }: Enveloped) {
  return recipientInfos.flatMap((info) =>
    info.type === 'keyTransport' || info.type === 'keyAgreement'
      ? info.identifiers.map((identifier, i) => ({
          info,
          identifier,
          encryptedKey: info.encryptedKeys[i] as Uint8Array,
        }))
      : [],
  );
}

/** Which keys to try on which encrypted key. */
function attempts(recipients: readonly NamedRecipient[], candidates: readonly KeyCandidate[]): Attempt[] {
  const found: Attempt[] = [];
  let refused: unknown;
  for (const candidate of candidates) {
    if (found.length === MAX_KEY_TRIALS) break;
    const recipient = recipients[candidate.recipient];
    if (recipient === undefined) throw new RangeError('a KeyCandidate for a recipient that does not exist');
    if (
      found.some(
        (one) => one.recipient === recipient.identifier && one.candidate.privateKey === candidate.privateKey,
      )
    ) {
      continue;
    }
    try {
      const attempt = attemptWith(recipient, candidate);
      if (attempt !== undefined) found.push(attempt);
    } catch (error) {
      if (!(error instanceof MailsealError)) throw error;
      refused ??= error;
    }
  }
  if (found.length === 0 && refused !== undefined) throw refused;
  return found;
}

/** Undefined if the key is of another kind or size than the encrypted key: what anybody can see. */
function attemptWith(
  { info, identifier, encryptedKey }: NamedRecipient,
  candidate: KeyCandidate,
): Attempt | undefined {
  const { privateKey } = candidate;
  if (info.type === 'keyTransport') {
    const transport = readKeyTransport(info.algorithm);
    if (!fitsKeyTransport(privateKey, encryptedKey)) return undefined;
    return attempt(transport.name, (fallback) =>
      unwrapTransported(privateKey, transport, encryptedKey, fallback),
    );
  }
  const agreement = readKeyAgreement(info);
  if (!fitsKeyAgreement(privateKey, agreement)) return undefined;
  return attempt(agreement.name, (fallback) => unwrapAgreed(privateKey, agreement, encryptedKey, fallback));

  function attempt(keyEncryption: KeyEncryptionName, unwrap: (fallback: Uint8Array) => Uint8Array): Attempt {
    return {
      candidate,
      recipient: identifier,
      keyEncryption,
      contentKey: (length) => withFallback(privateKey, encryptedKey, length, unwrap),
    };
  }
}

function withFallback(
  privateKey: PrivateKey,
  encryptedKey: Uint8Array,
  length: number,
  unwrap: (fallback: Uint8Array) => Uint8Array,
): Uint8Array {
  const secret = privateKey.toPkcs8();
  let fallback: Uint8Array | undefined;
  try {
    fallback = fallbackKey(secret, encryptedKey, length);
    return unwrap(fallback);
  } finally {
    wipe(secret, fallback);
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

/** More recipients than these are only counted in an error's message. */
const MAX_NAMED_RECIPIENTS = 20;

/** The error that lists whom a message is for. */
export function unknownRecipient({ recipientInfos, node }: Enveloped): MailsealError {
  let named: string[] = [];
  let more = -MAX_NAMED_RECIPIENTS;
  for (const info of recipientInfos) {
    if (named.length < MAX_NAMED_RECIPIENTS) named = named.concat(describeRecipientInfo(info));
    more += recipientCount(info);
  }
  named.length = Math.min(named.length, MAX_NAMED_RECIPIENTS);
  return node.fail(
    'RECIPIENT_UNKNOWN',
    `no key for any recipient of the message, which is encrypted to: ${named.join('; ')}${more > 0 ? `; and ${more} more` : ''}`,
  );
}

const recipientCount = (info: RecipientInfo): number => ('identifiers' in info ? info.identifiers.length : 1);
