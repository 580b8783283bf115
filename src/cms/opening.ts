/**
 * Opening EnvelopedData (RFC 5652 section 6) and AuthEnvelopedData (RFC 5083). Built so that nobody learns from it what a
 * key decrypts (Bleichenbacher 1998, Manger 2001, RFC 3218): after a key is chosen there is one error. A content key that RSA
 * does not unpad is replaced by another of the same length and decryption goes on: whether it worked is judged by the content
 * alone. Key wraps that check themselves have no such oracle, and what does not unwrap is not tried. CBC content is never
 * authenticated: the result says `integrity: 'none'` (EFAIL).
 * Exported by enveloped.ts.
 */
import { type ErrorCode, MailsealError } from '../errors.js';
import { type Opener, openWith } from './attempts.js';
import { type ContentCipher, type ContentCipherName, decryptContent, readContentCipher } from './ciphers.js';
import type { AuthEnvelopedData, EnvelopedData } from './enveloped.js';
import type { KeyFinder } from './recipients.js';
import { checkSecrets, type SharedSecrets } from './sharedkeys.js';

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
  checkSecrets(secrets);
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
  const found = await openWith(enveloped, keys, secrets, [cipher.keyLength], (key) =>
    decryptContent(cipher, key, encryptedContent, authentication),
  );
  if (found === undefined) throw new MailsealError('DECRYPTION_FAILED', 'the message does not decrypt');
  const { opener, opened: content } = found;
  const integrity = cipher.mode === 'cbc' ? 'none' : 'tag';
  return { ...opener, content, contentType, cipher: cipher.name, integrity, remarks: remarksOn(cipher) };
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
