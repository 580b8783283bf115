/**
 * EncryptedData (RFC 5652 section 8), for reading: content under a key that both sides have from elsewhere. Refused:
 * encryption by password (PKCS#12 has it, pfx/). Exported for callers that meet one.
 */
import { contextConstructed, Tag } from '../asn1/tags.js';
import type { DerNode } from '../asn1/tape.js';
import { readSmallInteger } from '../asn1/values.js';
import { assertBytes } from '../bytes.js';
import { MailsealError } from '../errors.js';
import { type ContentCipherName, readContentCipher } from './ciphers.js';
import { readEncryptedContentInfo } from './content.js';
import { decryptContent } from './contentcrypto.js';

export interface DecryptedData {
  readonly content: Uint8Array;
  /** Dotted OID. */
  readonly contentType: string;
  readonly cipher: ContentCipherName;
  /** Nothing protects CBC content from being changed. */
  readonly integrity: 'none';
}

/**
 * @param node the content of a ContentInfo of type encryptedData
 * @param key the content key, of the length that the cipher takes
 * @throws MailsealError DECRYPTION_FAILED; KEY_UNSUITABLE for a key of another length; UNSUPPORTED_ALGORITHM with the
 *   OID, UNSUPPORTED_FEATURE; CMS_MALFORMED, ASN1_*
 */
export function decryptEncryptedData(node: DerNode, key: Uint8Array): DecryptedData {
  assertBytes(key, 'key');
  const reader = node.reader(Tag.SEQUENCE, 'EncryptedData');
  readSmallInteger(reader.next(Tag.INTEGER, 'version'), 'version');
  const info = readEncryptedContentInfo(reader.next(Tag.SEQUENCE, 'encryptedContentInfo'));
  reader.optional(contextConstructed(1)); // unprotectedAttrs: anyone can write them
  reader.end();
  const { contentType, encryptedContent, contentEncryptionAlgorithm } = info;
  const cipher = readContentCipher(contentEncryptionAlgorithm, 'EncryptedData');
  if (encryptedContent === undefined) {
    throw node.fail('UNSUPPORTED_FEATURE', 'EncryptedData whose encrypted content is elsewhere');
  }
  if (key.length !== cipher.keyLength) {
    const message = `a key of ${key.length} octets, where ${cipher.name} takes ${cipher.keyLength}`;
    throw new MailsealError('KEY_UNSUITABLE', message);
  }
  const content = decryptContent(cipher, key, encryptedContent, undefined);
  if (content === undefined) throw new MailsealError('DECRYPTION_FAILED', 'the content does not decrypt');
  return { content, contentType, cipher: cipher.name, integrity: 'none' };
}
