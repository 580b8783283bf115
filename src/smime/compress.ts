/**
 * Compressing and decompressing S/MIME messages (RFC 8551 3.6, RFC 3274). Signed or encrypted content that is compressed is
 * opened layer by layer: what decompress gives is for verify or decrypt, and the other way round. Public API.
 */
import { OID } from '../asn1/oids.js';
import { assertBytes } from '../bytes.js';
import {
  compressedPieces,
  type DecompressedContent,
  type DecompressOptions,
  decompressData,
} from '../cms/compressed.js';
import { contentOfType } from '../cms/content.js';
import { buildPkcs7Mime, splitMessage } from './build.js';
import { readInput } from './input.js';
import { tryJoin } from './message.js';
import { prepareEntity } from './sevenbit.js';

/**
 * Compresses a message. Encrypted content does not get any shorter: compress before encrypting.
 * @returns a mail with the message's own header fields
 * @throws MailsealError MIME_MALFORMED, LIMIT_*
 */
export async function compress(message: Uint8Array): Promise<Uint8Array> {
  assertBytes(message, 'message');
  const { outer, entity } = splitMessage(message);
  const content = compressedPieces(prepareEntity(entity));
  return buildPkcs7Mime({ outer, smimeType: 'compressed-data', content });
}

export interface Decompressed extends DecompressedContent {
  /** As `message` of what decrypt gives. */
  readonly message: Uint8Array | undefined;
}

/**
 * Decompresses a message: a mail, or a CMS object in PEM, BER or DER.
 * @throws MailsealError LIMIT_LENGTH for what grows too much; NOT_SMIME, UNSUPPORTED_ALGORITHM and UNSUPPORTED_FEATURE with
 *   the OID, CMS_MALFORMED, MIME_MALFORMED, PEM_MALFORMED, ASN1_*, LIMIT_*
 */
export async function decompress(
  message: Uint8Array,
  options: DecompressOptions = {},
): Promise<Decompressed> {
  const input = readInput(message);
  const opened = decompressData(contentOfType(input.contentInfo, OID.compressedData), options);
  const isEntity = input.mail !== undefined && opened.contentType === OID.data;
  return {
    ...opened,
    message: isEntity ? tryJoin(splitMessage(message).outer, opened.content) : undefined,
  };
}
