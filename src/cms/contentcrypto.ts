/**
 * Running the content ciphers of ciphers.ts: CBC with its padding (RFC 5652 6.3) and AEAD with its tag (RFC 5083), on content
 * that is all there, and on content that comes in chunks. What is decrypted is given out only once padding or tag are known to
 * hold; why they don't is not told. The key is the message's content key, or one that is bound to the cipher (RFC 9709).
 * Used by opening.ts, enveloping.ts and encrypted.ts.
 */
import { type Cipher, createCipheriv, createDecipheriv, type DecipherGCM, hkdfSync } from 'node:crypto';
import { concat, copy, gather, type Pieces, plain, release, utf8, wipe } from '../bytes.js';
import { MailsealError } from '../errors.js';
import { decryptCbc } from '../wasm.js';
import { type Authentication, type ContentCipher, nodeCbc, TAG_LENGTH } from './ciphers.js';

/** The salt of RFC 9709 section 2. */
const CEK_HKDF_SALT = utf8('The Cryptographic Message Syntax');

/** The key that the cipher runs with, made from the message's content key; the caller wipes both. */
function cipherKey({ boundTo, keyLength }: ContentCipher, contentKey: Uint8Array): Uint8Array {
  if (boundTo === undefined) return contentKey;
  return new Uint8Array(hkdfSync('sha256', contentKey, CEK_HKDF_SALT, boundTo, keyLength));
}

/** node:crypto has CCM and the others under types of their own, with the same methods. */
function nodeAead({ mode, keyLength }: ContentCipher): 'aes-256-gcm' {
  return (mode === 'chacha20-poly1305' ? mode : `aes-${keyLength * 8}-${mode}`) as 'aes-256-gcm';
}

const NOTHING = new Uint8Array(1).subarray(1);

/**
 * Octets that have an address in memory, even if there are none. Empty ones without (`new Uint8Array(0)`) are for OpenSSL's
 * CCM no content at all: encrypting fails, and decrypting accepts any tag.
 */
const withPlace = (octets: Uint8Array): Uint8Array => (octets.length === 0 ? NOTHING : octets);

/**
 * Encrypts content that is all there. The pieces are encrypted when they are asked for, which is once, so the content must
 * not change before; the key may be wiped.
 * @returns the ciphertext, and the tag of an AEAD cipher, which is there when the ciphertext was gone through
 */
export function encryptContent(
  cipher: ContentCipher,
  contentKey: Uint8Array,
  content: Uint8Array,
  associated: Uint8Array,
): { pieces: Pieces; tag: Pieces | undefined } {
  const { iv, mode, tagLength } = cipher;
  const { length } = content;
  const encryptor = encryptorOf(cipher, contentKey, associated, length);
  const pieces = {
    byteLength: mode === 'cbc' ? length + iv.length - (length % iv.length) : length,
    [Symbol.iterator]: () => encrypted(encryptor, content, mode === 'ccm' ? length : WINDOW),
  };
  if (tagLength === undefined) return { pieces, tag: undefined };
  return { pieces, tag: { byteLength: tagLength, [Symbol.iterator]: () => tagOf(encryptor) } };
}

/** Encrypts content that comes in chunks. */
export interface ContentEncryptor {
  /** Ciphertext of a chunk, as far as it is there. */
  update(chunk: Uint8Array): Uint8Array;
  /** What is left of it. */
  final(): Uint8Array;
  /** After that: of an AEAD cipher. */
  tag(): Uint8Array | undefined;
  /** Ends it where it was not read to its end. */
  close(): void;
}

/** OpenSSL wipes what it has of the key, and gives it back: now, and not when the engine is collected. */
function discard(engine: { final(): unknown }): void {
  try {
    engine.final();
  } catch {
    // It was called before, or there is no whole content.
  }
}

/**
 * @throws MailsealError UNSUPPORTED_FEATURE for CCM, which takes the length of the content before anything else. The key may
 *   be wiped at once
 */
export function contentEncryptor(
  cipher: ContentCipher,
  contentKey: Uint8Array,
  associated: Uint8Array,
): ContentEncryptor {
  const { name, mode } = cipher;
  if (mode === 'ccm') {
    const message = `encrypting with ${name} what does not fit into memory: it has to know the length beforehand`;
    throw new MailsealError('UNSUPPORTED_FEATURE', message);
  }
  return encryptorOf(cipher, contentKey, associated);
}

/** @param length octets of the content, for CCM */
function encryptorOf(
  cipher: ContentCipher,
  contentKey: Uint8Array,
  associated: Uint8Array,
  length?: number,
): ContentEncryptor {
  const { name, iv, tagLength } = cipher;
  const key = cipherKey(cipher, contentKey);
  try {
    if (tagLength === undefined) {
      return encryptorWith(createCipheriv(nodeCbc(name), key, iv), () => undefined);
    }
    const engine = createCipheriv(nodeAead(cipher), key, iv, { authTagLength: tagLength });
    engine.setAAD(associated, length === undefined ? undefined : { plaintextLength: length });
    return encryptorWith(engine, () => engine.getAuthTag());
  } finally {
    if (key !== contentKey) wipe(key);
  }
}

const encryptorWith = (engine: Cipher, tag: ContentEncryptor['tag']): ContentEncryptor => ({
  update: (chunk) => engine.update(chunk),
  final: () => engine.final(),
  tag,
  close: () => discard(engine),
});

/** Octets that are encrypted at a time: they are still in the cache when they are encoded. */
const WINDOW = 1 << 16;

/** @param window octets; for CCM all, which it takes at once, even if there are none */
function* encrypted(
  engine: ContentEncryptor,
  content: Uint8Array,
  window: number,
): Generator<Uint8Array, void> {
  let at = 0;
  do {
    yield engine.update(withPlace(content.subarray(at, at + window)));
    at += window;
  } while (at < content.length);
  yield engine.final();
}

function* tagOf(engine: ContentEncryptor): Generator<Uint8Array, void> {
  yield engine.tag() as Uint8Array;
}

/**
 * Decrypts content. CBC and its padding (RFC 5652 6.3), or AEAD and its tag: nothing is given out before it holds.
 * @returns undefined if the length, the padding or the tag is wrong
 */
export function decryptContent(
  cipher: ContentCipher,
  contentKey: Uint8Array,
  data: Uint8Array,
  authentication: Authentication | undefined,
): Uint8Array | undefined {
  const key = cipherKey(cipher, contentKey);
  try {
    if (cipher.mode === 'cbc') return decryptPadded(cipher, key, data);
    if (authentication !== undefined) return decryptAead(cipher, key, data, authentication);
    const end = data.length - TAG_LENGTH; // misplaced
    if (end < 0) return undefined;
    const associated = new Uint8Array();
    return decryptAead(cipher, key, data.subarray(0, end), { tag: data.subarray(end), associated });
  } finally {
    if (key !== contentKey) wipe(key);
  }
}

/** Ciphertext that is kept somewhere, to be read as often as is wanted. */
export interface StoredOctets {
  readonly length: number;
  /** Octets from `start` to before `end`; by default all. */
  read(start?: number, end?: number): AsyncIterable<Uint8Array>;
  /** The same in chunks that are good until the next one is asked for. */
  lend(start?: number, end?: number): AsyncIterable<Uint8Array>;
}

/** CCM checks its tag over content that is in one piece. */
const MAX_CCM = 1 << 26;

/**
 * Whether {@link decryptContent} would open it: of CBC a look at the last block, of an AEAD cipher one pass over everything.
 * @throws MailsealError LIMIT_LENGTH for CCM content that is too long; what reading it throws
 */
export async function opensStored(
  cipher: ContentCipher,
  contentKey: Uint8Array,
  data: StoredOctets,
  authentication: Authentication | undefined,
): Promise<boolean> {
  if (cipher.mode !== 'cbc') {
    try {
      for await (const chunk of decryptStored(cipher, contentKey, data, authentication)) {
        wipe(chunk);
        release(chunk);
      }
      return true;
    } catch (error) {
      if (isFailure(error)) return false;
      throw error;
    }
  }
  const blockLength = cipher.iv.length;
  if (data.length === 0 || data.length % blockLength !== 0) return false;
  const start = data.length - 2 * blockLength;
  const end = await gather(data.read(Math.max(0, start)));
  const iv = start < 0 ? cipher.iv : end.subarray(0, blockLength);
  const key = cipherKey(cipher, contentKey);
  try {
    const block = decryptBlocks({ ...cipher, iv }, key, end.subarray(-blockLength));
    const opens = unpaddedLength(block, blockLength) >= 0;
    wipe(block);
    return opens;
  } finally {
    if (key !== contentKey) wipe(key);
  }
}

/**
 * Decrypts what is known to open; should it not, because what is stored has changed, the last chunk is not given out.
 * @param contentKey may be wiped when the generator has ended
 * @throws MailsealError DECRYPTION_FAILED
 */
export async function* decryptStored(
  cipher: ContentCipher,
  contentKey: Uint8Array,
  data: StoredOctets,
  authentication: Authentication | undefined,
): AsyncGenerator<Uint8Array> {
  const key = cipherKey(cipher, contentKey);
  try {
    if (cipher.mode === 'cbc') yield* decryptStoredCbc(cipher, key, data);
    else yield* decryptStoredAead(cipher, key, data, authentication ?? (await misplacedTag(data)));
  } finally {
    if (key !== contentKey) wipe(key);
  }
}

/** The one error of a message that a key was found for. */
export const decryptionFailed = () => new MailsealError('DECRYPTION_FAILED', 'the message does not decrypt');

const isFailure = (error: unknown) => error instanceof MailsealError && error.code === 'DECRYPTION_FAILED';

async function* decryptStoredCbc(cipher: ContentCipher, key: Uint8Array, data: StoredOctets) {
  const blockLength = cipher.iv.length;
  const decryptor = blockDecryptor(cipher, key);
  let held: Uint8Array | undefined;
  try {
    for await (const blocks of inBlocks(data.lend(), blockLength)) {
      if (held !== undefined) yield held;
      held = decryptor.update(blocks);
    }
  } finally {
    decryptor.close();
  }
  const length = held === undefined ? -1 : unpaddedLength(held, blockLength);
  if (held === undefined || length < 0) throw decryptionFailed();
  yield held.subarray(0, length);
}

/** The same octets in chunks of whole blocks. What does not fill the last one is left out. */
async function* inBlocks(chunks: AsyncIterable<Uint8Array>, blockLength: number) {
  let rest: Uint8Array = new Uint8Array();
  for await (const chunk of chunks) {
    const octets = rest.length === 0 ? chunk : concat([rest, chunk]);
    const whole = octets.length - (octets.length % blockLength);
    rest = copy(octets.subarray(whole));
    if (whole > 0) yield octets.subarray(0, whole);
  }
}

async function misplacedTag(data: StoredOctets): Promise<Authentication> {
  if (data.length < TAG_LENGTH) throw decryptionFailed();
  const tag = await gather(data.read(data.length - TAG_LENGTH));
  return { tag, associated: new Uint8Array(), end: data.length - TAG_LENGTH };
}

async function* decryptStoredAead(
  cipher: ContentCipher,
  key: Uint8Array,
  data: StoredOctets,
  { tag, associated, end = data.length }: Authentication,
): AsyncGenerator<Uint8Array> {
  const { name, mode, tagLength } = cipher;
  if (tag.length !== tagLength) throw decryptionFailed();
  if (mode === 'ccm') {
    if (data.length > MAX_CCM) {
      const message = `${data.length} octets of ${name}, which has to be in memory in one piece; the limit is ${MAX_CCM}`;
      throw new MailsealError('LIMIT_LENGTH', message);
    }
    const content = decryptAead(cipher, key, await gather(data.read(0, end)), { tag, associated });
    if (content === undefined) throw decryptionFailed();
    yield content;
    return;
  }
  const engine = aeadDecipher(cipher, key, { tag, associated });
  let held: Uint8Array | undefined;
  let complete = false;
  try {
    for await (const chunk of data.lend(0, end)) {
      if (held !== undefined) yield held;
      held = engine.update(chunk);
    }
    complete = true;
  } finally {
    if (!complete) discard(engine);
  }
  try {
    engine.final();
  } catch {
    wipe(held);
    throw decryptionFailed();
  }
  if (held !== undefined) yield held;
}

/** @param length octets of the ciphertext, for CCM */
function aeadDecipher(
  cipher: ContentCipher,
  key: Uint8Array,
  { tag, associated }: Authentication,
  length?: number,
): DecipherGCM {
  const engine = createDecipheriv(nodeAead(cipher), key, cipher.iv, { authTagLength: tag.length });
  engine.setAuthTag(tag);
  engine.setAAD(associated, length === undefined ? undefined : { plaintextLength: length });
  return engine;
}

function decryptAead(
  cipher: ContentCipher,
  key: Uint8Array,
  data: Uint8Array,
  { tag, associated }: Authentication,
): Uint8Array | undefined {
  const { iv, mode } = cipher;
  if (tag.length !== cipher.tagLength) return undefined;
  if (mode === 'ccm' && data.length >= 2 ** (8 * (15 - iv.length))) return undefined;
  const engine = aeadDecipher(cipher, key, { tag, associated }, data.length);
  let content: Uint8Array | undefined;
  try {
    content = engine.update(withPlace(data)); // CCM checks its tag here, as it is given all of the content
    engine.final();
    return plain(content);
  } catch {
    wipe(content);
    return undefined;
  }
}

function decryptPadded(cipher: ContentCipher, key: Uint8Array, data: Uint8Array): Uint8Array | undefined {
  const blockLength = cipher.iv.length;
  if (data.length === 0 || data.length % blockLength !== 0) return undefined;
  const padded = decryptBlocks(cipher, key, data);
  const length = unpaddedLength(padded, blockLength);
  if (length >= 0) return padded.subarray(0, length);
  wipe(padded);
  return undefined;
}

function decryptBlocks(cipher: ContentCipher, key: Uint8Array, data: Uint8Array): Uint8Array {
  const decryptor = blockDecryptor(cipher, key);
  const opened = decryptor.update(data);
  decryptor.close();
  return opened;
}

interface BlockDecryptor {
  update(data: Uint8Array): Uint8Array;
  close(): void;
}

/** Decrypts whole blocks, those of one call after those of the call before. */
function blockDecryptor(cipher: ContentCipher, key: Uint8Array): BlockDecryptor {
  const { name, iv, effectiveKeyBits } = cipher;
  if (name === 'rc2-cbc' || name === 'des-cbc') {
    let before = iv;
    const update = (data: Uint8Array) => {
      const opened = decryptCbc(name, key, before, data, effectiveKeyBits);
      before = copy(data.subarray(data.length - iv.length));
      return opened;
    };
    return { update, close: () => undefined };
  }
  const engine = createDecipheriv(nodeCbc(name), key, iv).setAutoPadding(false);
  return { update: (data) => engine.update(data), close: () => discard(engine) };
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
