/**
 * EnvelopedData (RFC 5652 section 6) with RSA key transport (RFC 3370 4.2.1, RFC 8017 7.1 and 7.2): reading and
 * opening. Opening is built so that nobody learns from it what a key decrypts (Bleichenbacher 1998, Manger 2001,
 * RFC 3218): after a key is chosen there is one path and one error. A content key that does not unpad is replaced by
 * another of the same length and decryption goes on; whether it worked is judged by the content's padding alone.
 * CBC content is never authenticated: the result says `integrity: 'none'` (EFAIL).
 * Refused: key agreement, AEAD ciphers. Making EnvelopedData is in enveloping.ts. Used by the S/MIME layer.
 */
import { constants, createDecipheriv, createHash, hash, privateDecrypt } from 'node:crypto';
import { type AlgorithmIdentifier, readAlgorithmIdentifier } from '../asn1/algorithm.js';
import { describeOid } from '../asn1/oids.js';
import { contextConstructed, contextString, Tag } from '../asn1/tags.js';
import type { DerNode } from '../asn1/tape.js';
import { readOctets, readOid, readSmallInteger } from '../asn1/values.js';
import { copy, utf8, wipe } from '../bytes.js';
import { MailsealError } from '../errors.js';
import { decryptCbc, rsaUnwrapPkcs1 } from '../wasm.js';
import type { Certificate } from '../x509/certificate.js';
import type { PrivateKey } from '../x509/keys.js';
import {
  type ContentCipher,
  type ContentCipherName,
  type KeyTransport,
  type KeyTransportName,
  NODE_CIPHERS,
  readContentCipher,
  readKeyTransport,
} from './algorithms.js';
import {
  describeRecipientInfo,
  type KeyCandidate,
  type KeyFinder,
  type RecipientIdentifier,
  type RecipientInfo,
  readRecipientInfos,
} from './recipients.js';

export { type EncryptOptions, encryptData, envelopedPieces } from './enveloping.js';

export class EnvelopedData {
  readonly version: number;
  readonly recipientInfos: readonly RecipientInfo[];
  /** Dotted OID of the type of what is encrypted. */
  readonly contentType: string;
  readonly contentEncryptionAlgorithm: AlgorithmIdentifier;
  /** Undefined if it is kept elsewhere. */
  readonly encryptedContent: Uint8Array | undefined;
  readonly node: DerNode;

  private constructor(node: DerNode) {
    this.node = node;
    const reader = node.reader(Tag.SEQUENCE, 'EnvelopedData');
    this.version = readSmallInteger(reader.next(Tag.INTEGER, 'version'), 'version');
    reader.optional(contextConstructed(0)); // originatorInfo: certificates for key agreement
    this.recipientInfos = readRecipientInfos(reader.next(Tag.SET, 'recipientInfos'));
    const encrypted = reader.next(Tag.SEQUENCE, 'encryptedContentInfo');
    reader.optional(contextConstructed(1)); // unprotectedAttrs: anyone can write them
    reader.end();
    const fields = encrypted.reader(Tag.SEQUENCE, 'EncryptedContentInfo');
    this.contentType = readOid(fields.next(Tag.OID, 'contentType'));
    this.contentEncryptionAlgorithm = readAlgorithmIdentifier(
      fields.next(Tag.SEQUENCE, 'contentEncryptionAlgorithm'),
      'contentEncryptionAlgorithm',
    );
    const content = fields.optional(contextString(0));
    fields.end();
    this.encryptedContent = content && readOctets(content);
  }

  /** @param node the content of a ContentInfo of type envelopedData. @throws MailsealError ASN1_*, CMS_MALFORMED */
  static parse(node: DerNode): EnvelopedData {
    return new EnvelopedData(node);
  }
}

export interface DecryptedContent {
  readonly content: Uint8Array;
  /** Dotted OID. */
  readonly contentType: string;
  readonly cipher: ContentCipherName;
  readonly keyTransport: KeyTransportName;
  /** Nothing protects CBC content from being changed. */
  readonly integrity: 'none';
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
 * Opens EnvelopedData with the keys that `keys` finds for its recipients.
 * @throws MailsealError RECIPIENT_UNKNOWN, naming whom it is for; UNSUPPORTED_ALGORITHM with the OID;
 *   DECRYPTION_FAILED, with one message, for every cause after a key was found
 */
export async function decryptEnvelopedData(
  enveloped: EnvelopedData,
  keys: KeyFinder,
): Promise<DecryptedContent> {
  const cipher = readContentCipher(enveloped.contentEncryptionAlgorithm);
  const { encryptedContent, contentType } = enveloped;
  if (encryptedContent === undefined) {
    throw enveloped.node.fail('UNSUPPORTED_FEATURE', 'EnvelopedData whose encrypted content is elsewhere');
  }
  const recipients = namedRecipients(enveloped);
  const candidates = await keys.find(recipients.map(({ identifier }) => identifier));
  try {
    if (candidates.length === 0) throw unknownRecipient(enveloped);
    for (const { candidate, recipient, transport, encryptedKey } of attempts(recipients, candidates)) {
      const content = tryKey(candidate.privateKey, transport, encryptedKey, cipher, encryptedContent);
      if (content === undefined) continue;
      const { certificate, reason } = candidate;
      return {
        content,
        contentType,
        cipher: cipher.name,
        keyTransport: transport.name,
        integrity: 'none',
        recipient,
        ...(certificate && { certificate }),
        reason,
      };
    }
    throw new MailsealError('DECRYPTION_FAILED', 'the message does not decrypt');
  } finally {
    for (const candidate of candidates) candidate.release?.();
  }
}

interface Attempt {
  readonly candidate: KeyCandidate;
  readonly recipient: RecipientIdentifier;
  readonly transport: KeyTransport;
  readonly encryptedKey: Uint8Array;
}

type NamedRecipient = ReturnType<typeof namedRecipients>[number];

/** Those that are named by a certificate, as a KeyFinder can look up. */
function namedRecipients({ recipientInfos }: EnvelopedData) {
  return recipientInfos.flatMap((info) =>
    info.type === 'keyTransport' || info.type === 'keyAgreement'
      ? info.identifiers.map((identifier) => ({ info, identifier }))
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
    const { info, identifier } = recipient;
    if (
      found.some((one) => one.recipient === identifier && one.candidate.privateKey === candidate.privateKey)
    ) {
      continue;
    }
    try {
      if (info.type !== 'keyTransport') throw unsupportedKeyAgreement(info.algorithm);
      const transport = readKeyTransport(info.algorithm);
      if (fits(candidate.privateKey, info.encryptedKey)) {
        found.push({ candidate, recipient: identifier, transport, encryptedKey: info.encryptedKey });
      }
    } catch (error) {
      if (!(error instanceof MailsealError)) throw error;
      refused ??= error;
    }
  }
  if (found.length === 0 && refused !== undefined) throw refused;
  return found;
}

/** RFC 8017 7.1.2 and 7.2.2, step 1: a question about public sizes only. */
function fits(privateKey: PrivateKey, encryptedKey: Uint8Array): boolean {
  const { algorithm, publicKey } = privateKey;
  return algorithm === 'rsa' && Math.ceil((publicKey.modulusLength ?? 0) / 8) === encryptedKey.length;
}

function unsupportedKeyAgreement({ oid, node }: AlgorithmIdentifier): MailsealError {
  return node.fail('UNSUPPORTED_ALGORITHM', `key agreement with ${describeOid(oid)}`, { oid });
}

/** More recipients than these are only counted in an error's message. */
const MAX_NAMED_RECIPIENTS = 20;

/** The error that lists whom a message is for. */
export function unknownRecipient({ recipientInfos, node }: EnvelopedData): MailsealError {
  let named: string[] = [];
  let more = -MAX_NAMED_RECIPIENTS;
  for (const info of recipientInfos) {
    if (named.length < MAX_NAMED_RECIPIENTS) named = named.concat(describeRecipientInfo(info));
    more += 'identifiers' in info ? info.identifiers.length : 1;
  }
  named.length = Math.min(named.length, MAX_NAMED_RECIPIENTS);
  return node.fail(
    'RECIPIENT_UNKNOWN',
    `no key for any recipient of the message, which is encrypted to: ${named.join('; ')}${more > 0 ? `; and ${more} more` : ''}`,
  );
}

/** Undefined if the content does not decrypt, whatever the cause. */
function tryKey(
  privateKey: PrivateKey,
  transport: KeyTransport,
  encryptedKey: Uint8Array,
  cipher: ContentCipher,
  encryptedContent: Uint8Array,
): Uint8Array | undefined {
  const fallback = fallbackKey(privateKey, encryptedKey, cipher.keyLength);
  let key: Uint8Array | undefined;
  try {
    key =
      transport.name === 'rsaes-pkcs1'
        ? unwrapPkcs1(privateKey, encryptedKey, fallback)
        : unwrapOaep(privateKey, encryptedKey, transport, fallback);
    return decryptContent(cipher, key, encryptedContent);
  } finally {
    wipe(key, fallback);
  }
}

/**
 * The content key that stands in for one that does not unpad. It depends on the private key and on the ciphertext: with
 * a fresh random one, sending the same message again and again would tell bad padding, which decrypts to something
 * else each time, from good padding, which always gives the same.
 */
function fallbackKey(privateKey: PrivateKey, encryptedKey: Uint8Array, length: number): Uint8Array {
  const secret = privateKey.toPkcs8();
  const digest = hash('sha256', secret, 'buffer');
  try {
    return createHash('shake256', { outputLength: length })
      .update(FALLBACK_LABEL)
      .update(digest)
      .update(encryptedKey)
      .digest();
  } finally {
    wipe(secret, digest); // whoever has the digest can tell a key that stands in from the true one
  }
}

const FALLBACK_LABEL = utf8('mailseal: key for a message whose key does not unpad');

/** RSAES-PKCS1-v1_5 (RFC 8017 7.2.2). Raw RSA in OpenSSL, which blinds it; unpadding in constant time in WASM. */
function unwrapPkcs1(privateKey: PrivateKey, encryptedKey: Uint8Array, fallback: Uint8Array): Uint8Array {
  let em: Uint8Array;
  try {
    em = privateDecrypt({ key: privateKey.keyObject, padding: constants.RSA_NO_PADDING }, encryptedKey);
  } catch (error) {
    rethrowOwn(error);
    em = new Uint8Array(encryptedKey.length); // a number beyond the modulus: unpads to the fallback
  }
  try {
    return rsaUnwrapPkcs1(em, fallback.length, fallback);
  } finally {
    wipe(em);
  }
}

/** RSAES-OAEP (RFC 8017 7.1.2), unpadded in constant time by OpenSSL. */
function unwrapOaep(
  privateKey: PrivateKey,
  encryptedKey: Uint8Array,
  { hash: oaepHash, label }: KeyTransport & { name: 'rsaes-oaep' },
  fallback: Uint8Array,
): Uint8Array {
  try {
    const key = privateDecrypt(
      {
        key: privateKey.keyObject,
        padding: constants.RSA_PKCS1_OAEP_PADDING,
        oaepHash,
        ...(label.length > 0 && { oaepLabel: label }),
      },
      encryptedKey,
    );
    if (key.length === fallback.length) return key;
    wipe(key);
  } catch (error) {
    rethrowOwn(error);
  }
  return copy(fallback);
}

/** A wiped private key is the caller's mistake; what OpenSSL reports is about the message. */
function rethrowOwn(error: unknown): void {
  if (error instanceof MailsealError) throw error;
}

/** CBC and its padding (RFC 5652 6.3). Undefined if the length or the padding is wrong. */
function decryptContent(cipher: ContentCipher, key: Uint8Array, data: Uint8Array): Uint8Array | undefined {
  if (data.length === 0 || data.length % cipher.blockLength !== 0) return undefined;
  const padded = decryptBlocks(cipher, key, data);
  const length = unpaddedLength(padded, cipher.blockLength);
  if (length >= 0) return padded.subarray(0, length);
  wipe(padded);
  return undefined;
}

function decryptBlocks(cipher: ContentCipher, key: Uint8Array, data: Uint8Array): Uint8Array {
  const { name, iv, effectiveKeyBits } = cipher;
  if (name === 'rc2-cbc' || name === 'des-cbc') return decryptCbc(name, key, iv, data, effectiveKeyBits);
  return createDecipheriv(NODE_CIPHERS[name], key, iv).setAutoPadding(false).update(data);
}

/** Looks at every octet of the last block, whatever the padding is. -1 if it is wrong. */
function unpaddedLength(padded: Uint8Array, blockLength: number): number {
  const padding = padded[padded.length - 1] as number;
  let bad = ((padding - 1) | (blockLength - padding)) >> 31;
  for (let i = 1; i <= blockLength; i++) {
    const counts = (i - padding - 1) >> 31; // all ones within the padding
    bad |= counts & ((padded[padded.length - i] as number) ^ padding);
  }
  return bad === 0 ? padded.length - padding : -1;
}
