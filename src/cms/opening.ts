/**
 * Opening EnvelopedData (RFC 5652 section 6) and AuthEnvelopedData (RFC 5083). Built so that nobody learns from it what a
 * key decrypts (Bleichenbacher 1998, Manger 2001, RFC 3218): after a key is chosen there is one error. A content key that RSA
 * does not unpad is replaced by another of the same length and decryption goes on: whether it worked is judged by the content
 * alone. Key wraps that check themselves have no such oracle, and what does not unwrap is not tried. CBC content is never
 * authenticated: the result says `integrity: 'none'` (EFAIL).
 * Exported by enveloped.ts.
 */
import { copy, wipe } from '../bytes.js';
import type { ErrorCode } from '../errors.js';
import type { Opener } from './attempts.js';
import {
  type Authentication,
  type ContentCipher,
  type ContentCipherName,
  isStrong,
  readContentCipher,
} from './ciphers.js';
import {
  decryptContent,
  decryptionFailed,
  decryptStored,
  opensStored,
  type StoredOctets,
} from './contentcrypto.js';
import type { AuthEnvelopedData, Enveloped, EnvelopedData, EnvelopedHead } from './enveloped.js';
import { type FoundAttempts, findAttempts, openWith } from './finding.js';
import type { KeyFinder } from './recipients.js';
import type { SharedSecrets } from './sharedkeys.js';

/** Something about a message that its writer did wrong, and that was read all the same. */
export interface Remark {
  readonly code: ErrorCode;
  readonly message: string;
}

export interface DecryptedContent extends Opener {
  readonly content: Uint8Array;
  /** Dotted OID. */
  readonly contentType: string;
  readonly cipher: ContentCipherName;
  /** Nothing protects CBC content from being changed; of an AEAD cipher the tag was right. */
  readonly integrity: 'none' | 'tag';
  readonly remarks: readonly Remark[];
}

/**
 * Opens a message with the private keys that `keys` finds for its recipients, with keys that are shared, with passwords.
 * @throws MailsealError RECIPIENT_UNKNOWN, naming whom it is for; UNSUPPORTED_ALGORITHM with the OID; LIMIT_COST;
 *   DECRYPTION_FAILED, with one message, for every cause after a key was found; KEY_UNAVAILABLE for a key outside the
 *   process that could not be asked, and what its handle throws
 */
export async function decryptEnvelopedData(
  enveloped: EnvelopedData | AuthEnvelopedData,
  keys: KeyFinder | undefined,
  secrets: SharedSecrets = {},
): Promise<DecryptedContent> {
  const locked = inspect(enveloped);
  const { cipher, authentication, encryptedContent } = locked;
  const open = (key: Uint8Array) => decryptContent(cipher, key, encryptedContent, authentication);
  const { opener, opened } = orFail(await openWith(enveloped, keys, secrets, [cipher.keyLength], open));
  return { content: opened, ...describe(locked, opener) };
}

export interface DecryptedStored extends Omit<DecryptedContent, 'content'> {
  /** The content, as often as it is asked for. @throws MailsealError as reading what is stored */
  content(): AsyncGenerator<Uint8Array>;
  /** Wipes the content key. */
  close(): void;
}

/** What is to be tried on a message of which no more than the head is there. */
export interface Opening extends FoundAttempts {
  /** Whether its cipher hides the content from whoever has time. */
  readonly isStrong: boolean;
}

/**
 * All that can be said of a message before its content has come, and the keys for it.
 * @param head with an empty string for its encrypted content
 * @throws MailsealError as {@link decryptEnvelopedData}, but for what comes of using a key, and of the tag
 */
export async function findOpening(
  head: EnvelopedHead,
  keys: KeyFinder | undefined,
  secrets: SharedSecrets,
): Promise<Opening> {
  const { cipher } = inspectHead(head, head.place);
  return { ...(await findAttempts(head, keys, secrets)), isStrong: isStrong(cipher) };
}

/**
 * Opens a message whose content is stored: nothing of it is given out before all of it is known to open.
 * @param enveloped with an empty string for its encrypted content
 * @param data the encrypted content
 * @param opening of the same message; the caller releases it
 * @throws MailsealError as {@link decryptEnvelopedData}; LIMIT_LENGTH too, for AES-CCM content that is too long
 */
export async function decryptStoredData(
  enveloped: EnvelopedData | AuthEnvelopedData,
  data: StoredOctets,
  opening: Opening,
): Promise<DecryptedStored> {
  const locked = inspect(enveloped);
  const { cipher, authentication } = locked;
  const open = async (contentKey: Uint8Array) =>
    (await opensStored(cipher, contentKey, data, authentication)) ? copy(contentKey) : undefined;
  const { opener, opened: key } = orFail(await opening.attempts.open([cipher.keyLength], open));
  return {
    ...describe(locked, opener),
    content: () => decryptStored(cipher, key, data, authentication),
    close: () => wipe(key),
  };
}

/** What is known of a message before any key is looked for. */
interface Locked {
  readonly enveloped: EnvelopedData | AuthEnvelopedData;
  readonly cipher: ContentCipher;
  readonly encryptedContent: Uint8Array;
  readonly authentication: Authentication | undefined;
}

function inspect(enveloped: EnvelopedData | AuthEnvelopedData): Locked {
  const place = 'mac' in enveloped ? 'AuthEnvelopedData' : 'EnvelopedData';
  const { cipher, encryptedContent } = inspectHead(enveloped, place);
  const authentication =
    'mac' in enveloped
      ? { tag: checkedTag(enveloped, cipher), associated: enveloped.authenticated }
      : undefined;
  return { enveloped, cipher, encryptedContent, authentication };
}

function inspectHead(
  enveloped: Enveloped,
  place: EnvelopedHead['place'],
): Pick<Locked, 'cipher' | 'encryptedContent'> {
  const cipher = readContentCipher(enveloped.contentEncryptionAlgorithm, place);
  const { encryptedContent } = enveloped;
  if (encryptedContent !== undefined) return { cipher, encryptedContent };
  throw enveloped.node.fail('UNSUPPORTED_FEATURE', `${place} whose encrypted content is elsewhere`);
}

/** @throws MailsealError DECRYPTION_FAILED */
function orFail<T>(found: T | undefined): T {
  if (found === undefined) throw decryptionFailed();
  return found;
}

function describe({ enveloped, cipher }: Locked, opener: Opener): Omit<DecryptedContent, 'content'> {
  const { contentType } = enveloped;
  const integrity = cipher.mode === 'cbc' ? 'none' : 'tag';
  return { contentType, cipher: cipher.name, integrity, remarks: remarksOn(cipher), ...opener };
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
