/**
 * A mail that is all there, in chunks: that of encrypted mail is base64 mostly, which is decoded from them. Gathering it
 * for that alone would take as long as decrypting, in new memory. What is anything else, or has a fault, is for readInput,
 * which takes it in one piece and says what is wrong with it. Called by decrypt.ts.
 */
import { OID } from '../../asn1/oids.js';
import { inPieces } from '../../bytes.js';
import { readContentInfo } from '../../cms/content.js';
import { readable } from '../../errors.js';
import { decodeBase64Pieces } from '../../wasm.js';
import { BER_SEQUENCE, type SmimeInput } from '../input.js';
import { classifyHeader, type MimeEntity, parseEntity } from '../mime.js';
import { BlankLine } from './blankline.js';

/** `mail` is its header alone. @returns undefined for what is no faultless encrypted mail in base64 */
export function readChunks(
  chunks: readonly Uint8Array[],
): (SmimeInput & { readonly mail: MimeEntity }) | undefined {
  const [first] = chunks;
  if (first === undefined || chunks.length === 1 || first[0] === BER_SEQUENCE) return undefined;
  // A header that goes on behind the first chunk is as rare as it is long.
  const end = new BlankLine().find(first);
  if (end === undefined) return undefined;
  return readable(() => {
    const mail = parseEntity(first.subarray(0, end));
    if (mail.transferEncoding !== 'base64' || classifyHeader(mail).kind !== 'pkcs7-mime') return undefined;
    const body = inPieces([first.subarray(end), ...chunks.slice(1)]);
    const contentInfo = readContentInfo(decodeBase64Pieces(body));
    return isEncrypted(contentInfo.contentType) ? { contentInfo, mail } : undefined;
  }, undefined);
}

const isEncrypted = (type: string): boolean => type === OID.envelopedData || type === OID.authEnvelopedData;
