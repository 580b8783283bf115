/**
 * The operations on S/MIME messages, each on a message that is all there and on one that comes in chunks: what they are given
 * decides. They are built in message.ts, verify.ts and compress.ts, and for streams in streams/. Public API; used by the
 * command line.
 *
 * A stream gives a stream. What fits into memory (`spool.memory`) goes the way of messages that are all there, and what is
 * longer gives the same, but that it is BER where it would have to know a length beforehand. What has to be kept until it may
 * be given out goes into a temporary file, encrypted under a key that nobody else has, or as the ciphertext that it is; its
 * name is gone as soon as it is open. A stream that comes out has to be read to its end, or destroyed: then files, memory and keys are gone. What a stream
 * that goes in fails with is passed on as it is.
 *
 * A TypeError or RangeError that names the option, for one that is none, comes before anything is read (options.ts). Whatever a
 * call fails with, streams that it was given are told to end, which it does not wait for.
 */
import type { Readable } from 'node:stream';
import type { DecompressOptions } from '../cms/compressed.js';
import * as compressing from './compress.js';
import * as messages from './message.js';
import {
  assertCompressOptions,
  assertDecryptOptions,
  assertEncryptOptions,
  assertSignOptions,
  assertVerifyOptions,
} from './options.js';
import { type DecompressedStream, decompressStream } from './streams/decompress.js';
import { type DecryptedStream, decryptStream } from './streams/decrypt.js';
import { assertMessage, endedIfFails, type MessageStream, type StreamOptions } from './streams/incoming.js';
import { compressStream, encryptStream, signStream } from './streams/seal.js';
import { type StreamedVerifyOptions, type VerdictStream, verifyStream } from './streams/verify.js';
import * as verifying from './verify.js';

/**
 * Signs a message. What is signed is made fit for transport first: CRLF, 7-bit transfer encoding (RFC 8551 3.1).
 * @returns a mail with the message's own header fields
 * @throws MailsealError MIME_MALFORMED, LIMIT_*, KEY_MISMATCH, KEY_UNSUITABLE, UNSUPPORTED_ALGORITHM with the OID;
 *   KEY_UNAVAILABLE for a key outside of the process; IO for the temporary file. Of a stream also UNSUPPORTED_FEATURE for
 *   `legacyDisplay`, if it does not fit into memory; a key's errors may come out of the Readable
 * @throws RangeError without signers, or for an option's value that is none; TypeError
 */
export function sign(message: Uint8Array, options: messages.SignOptions): Promise<Uint8Array>;
export function sign(
  message: MessageStream,
  options: messages.SignOptions & StreamOptions,
): Promise<Readable>;
export async function sign(
  message: Uint8Array | MessageStream,
  options: messages.SignOptions & StreamOptions,
): Promise<Uint8Array | Readable> {
  return endedIfFails([message], async () => {
    assertMessage(message);
    assertSignOptions(options);
    return message instanceof Uint8Array ? messages.sign(message, options) : signStream(message, options);
  });
}

/**
 * Verifies a mail, or a CMS object in PEM, BER or DER. The content may be given out before anybody has looked at the verdict;
 * it is worth what the verdict says.
 * @throws MailsealError USAGE (content given with a mail that brings its own), NOT_SMIME, NOT_SIGNED, CONTENT_MISSING,
 *   CONTENT_CHANGED (a signature that is both around and beside its content, and they differ), MIME_MALFORMED,
 *   PEM_MALFORMED, CMS_MALFORMED, ASN1_*, LIMIT_*, UNSUPPORTED_FEATURE: the input is not a signed message that can be read;
 *   IO for the temporary file. A stream that does not fit into memory is verified as a whole only: NOT_SMIME where one part of
 *   it is signed, LIMIT_LENGTH for PEM
 */
export function verify(message: Uint8Array, options: verifying.VerifyOptions): Promise<verifying.Verdict>;
export function verify(
  message: Uint8Array | MessageStream,
  options: StreamedVerifyOptions,
): Promise<VerdictStream>;
export async function verify(
  message: Uint8Array | MessageStream,
  options: verifying.VerifyOptions | StreamedVerifyOptions,
): Promise<verifying.Verdict | VerdictStream> {
  return endedIfFails([message, options?.content], async () => {
    assertMessage(message);
    assertVerifyOptions(options);
    if (options.content !== undefined) assertMessage(options.content, 'content');
    if (message instanceof Uint8Array && isInMemory(options)) return verifying.verify(message, options);
    return verifyStream(message, options);
  });
}

function isInMemory(
  options: verifying.VerifyOptions | StreamedVerifyOptions,
): options is verifying.VerifyOptions {
  return options.content === undefined || options.content instanceof Uint8Array;
}

/**
 * Encrypts a message, which may be signed already.
 * @returns a mail with the message's own header fields; those are not encrypted, unless they are protected
 * @throws MailsealError MIME_MALFORMED, LIMIT_*, KEY_UNSUITABLE, UNSUPPORTED_ALGORITHM with the OID; IO for the temporary
 *   file. Of a stream also UNSUPPORTED_FEATURE for AES-CCM and for `legacyDisplay`, if it does not fit into memory
 * @throws RangeError without recipients, or for an option's value that is none; TypeError
 */
export function encrypt(message: Uint8Array, options: messages.EncryptOptions): Promise<Uint8Array>;
export function encrypt(
  message: MessageStream,
  options: messages.EncryptOptions & StreamOptions,
): Promise<Readable>;
export async function encrypt(
  message: Uint8Array | MessageStream,
  options: messages.EncryptOptions & StreamOptions,
): Promise<Uint8Array | Readable> {
  return endedIfFails([message], async () => {
    assertMessage(message);
    assertEncryptOptions(options);
    return message instanceof Uint8Array
      ? messages.encrypt(message, options)
      : encryptStream(message, options);
  });
}

/**
 * Opens an encrypted message: a mail, or a CMS object in PEM, BER or DER. Signatures around it are looked through and
 * not verified; those inside are for `verify`, which takes the result's `message` or `content`. Nothing is given out before
 * all of it is known to open.
 * @throws MailsealError RECIPIENT_UNKNOWN, naming whom it is for; DECRYPTION_FAILED for every cause after a key was
 *   found; KEY_UNSUITABLE for a key that was wiped; KEY_UNAVAILABLE for one outside of the process, and what its handle
 *   throws; NOT_ENCRYPTED, NOT_SMIME, UNSUPPORTED_ALGORITHM and UNSUPPORTED_FEATURE with the OID, CMS_MALFORMED,
 *   MIME_MALFORMED, PEM_MALFORMED, ASN1_*, LIMIT_*; IO for the temporary file. A stream that does not fit into memory:
 *   LIMIT_LENGTH for PEM
 */
export function decrypt(message: Uint8Array, options: messages.DecryptOptions): Promise<messages.Decrypted>;
export function decrypt(
  message: MessageStream,
  options: messages.DecryptOptions & StreamOptions,
): Promise<DecryptedStream>;
export async function decrypt(
  message: Uint8Array | MessageStream,
  options: messages.DecryptOptions & StreamOptions,
): Promise<messages.Decrypted | DecryptedStream> {
  return endedIfFails([message], async () => {
    assertMessage(message);
    assertDecryptOptions(options);
    return message instanceof Uint8Array
      ? messages.decrypt(message, options)
      : decryptStream(message, options);
  });
}

/**
 * Compresses a message. Encrypted content does not get any shorter: compress before encrypting.
 * @returns a mail with the message's own header fields
 * @throws MailsealError MIME_MALFORMED, LIMIT_*; IO for the temporary file; TypeError
 */
export function compress(message: Uint8Array): Promise<Uint8Array>;
export function compress(message: MessageStream, options?: StreamOptions): Promise<Readable>;
export async function compress(
  message: Uint8Array | MessageStream,
  options: StreamOptions = {},
): Promise<Uint8Array | Readable> {
  return endedIfFails([message], async () => {
    assertMessage(message);
    assertCompressOptions(options);
    return message instanceof Uint8Array ? compressing.compress(message) : compressStream(message, options);
  });
}

/**
 * Decompresses a message: a mail, or a CMS object in PEM, BER or DER. Nothing is given out before all of it is known to be
 * right.
 * @throws MailsealError LIMIT_LENGTH for what grows too much; NOT_SMIME, UNSUPPORTED_ALGORITHM and UNSUPPORTED_FEATURE with
 *   the OID, CMS_MALFORMED, MIME_MALFORMED, PEM_MALFORMED, ASN1_*, LIMIT_*; IO for the temporary file; TypeError
 */
export function decompress(
  message: Uint8Array,
  options?: DecompressOptions,
): Promise<compressing.Decompressed>;
export function decompress(
  message: MessageStream,
  options?: DecompressOptions & StreamOptions,
): Promise<DecompressedStream>;
export async function decompress(
  message: Uint8Array | MessageStream,
  options: DecompressOptions & StreamOptions = {},
): Promise<compressing.Decompressed | DecompressedStream> {
  return endedIfFails([message], async () => {
    assertMessage(message);
    assertCompressOptions(options);
    return message instanceof Uint8Array
      ? compressing.decompress(message, options)
      : decompressStream(message, options);
  });
}
