/**
 * What a caller hands in as a message, told apart by content: a mail, a PEM block, or a CMS object in BER or DER. A
 * mail is opened at its top entity only (EFAIL); a signature may be over one part of it where the caller says so, as a
 * mailing list leaves it. Called by verify.ts, message.ts, certificates.ts and compress.ts; mailseal inspect takes
 * the octets alone.
 */

import { OID } from '../asn1/oids.js';
import { assertBytes, buffer, readPem } from '../bytes.js';
import { type ContentInfo, contentOfType, readContentInfo } from '../cms/content.js';
import { MailsealError } from '../errors.js';
import {
  classify,
  decodeBody,
  IDENTITY,
  type MimeEntity,
  nestedSmime,
  parseEntity,
  type Smime,
  shifted,
} from './mime.js';
import { decodeBase64 } from './transfer.js';

export interface SmimeInput {
  readonly contentInfo: ContentInfo;
  /** The mail around the CMS object, if it is one. */
  readonly mail?: MimeEntity;
  /** The entity of the mail that is S/MIME: the mail itself, or where it is only a part of that, the part. */
  readonly smimeEntity?: MimeEntity;
  /** Place of that entity as in IMAP (RFC 3501 6.4.5); empty if it is the mail. */
  readonly path?: string;
  /** multipart/signed: the entity that the detached signature is over, in its exact octets. */
  readonly signedEntity?: MimeEntity;
}

/** The labels that hold a CMS object: those of RFC 7468 sections 8 and 9, of OpenSSL, and of gpgsm. */
const CMS_LABELS = new Set(['CMS', 'PKCS7', 'PKCS #7 SIGNED DATA', 'SIGNED MESSAGE', 'ENCRYPTED MESSAGE']);

/** SEQUENCE. As text it is `0`, which begins no header field that anybody writes. */
export const BER_SEQUENCE = 0x30;

/**
 * @param signedPart take a mail of which one part is signed, too. Never for decrypting
 * @throws MailsealError NOT_SMIME, MIME_MALFORMED, PEM_MALFORMED, ASN1_*, LIMIT_*, CMS_MALFORMED. Offsets count in the
 *   mail, or, of ASN.1 errors in a mail or PEM, in the CMS object that it holds.
 */
export function readInput(bytes: Uint8Array, { signedPart = false } = {}): SmimeInput {
  assertBytes(bytes, 'message');
  if (bytes[0] === BER_SEQUENCE) return { contentInfo: readContentInfo(bytes) };
  const mail = parseEntity(bytes);
  const isText = mail.headers.fields.length === 0; // PEM may have text in front of it (RFC 7468 section 2)
  return isText && buffer(bytes).includes('-----BEGIN ') ? readPemInput(bytes) : readMail(mail, signedPart);
}

function readPemInput(bytes: Uint8Array): SmimeInput {
  const blocks = readPem(bytes).filter((block) => CMS_LABELS.has(block.label));
  const [block] = blocks;
  if (block === undefined) throw new MailsealError('NOT_SMIME', 'PEM without a CMS or PKCS7 block');
  if (blocks.length > 1) throw new MailsealError('NOT_SMIME', 'PEM with more than one CMS object');
  return { contentInfo: readContentInfo(block.bytes) };
}

function readMail(mail: MimeEntity, signedPart: boolean): SmimeInput {
  const found = readEntity(classify(mail), mail) ?? (signedPart ? readSignedPart(mail) : undefined);
  if (found === undefined) throw new MailsealError('NOT_SMIME', notSmime(mail));
  return { smimeEntity: mail, path: '', ...found, mail };
}

/** What the CMS object of an entity is, its own type says; smime-type is often wrong or missing. */
function readEntity(
  smime: Smime,
  entity: MimeEntity,
): Pick<SmimeInput, 'contentInfo' | 'signedEntity'> | undefined {
  if (smime.kind === 'none') return undefined;
  if (smime.kind !== 'multipart-signed') return { contentInfo: readContentInfo(objectIn(entity)) };
  return { contentInfo: readSignature(objectIn(smime.signature)), signedEntity: smime.content };
}

/**
 * The CMS object that is the second part of multipart/signed. What else could stand there would be opened beside a part that
 * is no part of it (EFAIL).
 * @throws MailsealError UNSUPPORTED_FEATURE with the OID, if it is no SignedData
 */
export function readSignature(octets: Uint8Array): ContentInfo {
  const contentInfo = readContentInfo(octets);
  contentOfType(contentInfo, OID.signedData);
  return contentInfo;
}

/**
 * The one signed part of a mail, as a mailing list leaves it that adds a footer. Of two, none is taken: what the verdict
 * says would be true of only one of them.
 */
function readSignedPart(
  mail: MimeEntity,
): (Partial<SmimeInput> & Pick<SmimeInput, 'contentInfo'>) | undefined {
  const [part, second] = nestedSmime(mail).filter(({ inMessage }) => !inMessage);
  if (part === undefined || second !== undefined || part.kind === 'pkcs7-signature') return undefined;
  const { entity, path } = part;
  const found = readEntity(classify(entity), entity);
  if (found?.contentInfo.contentType !== OID.signedData) return undefined;
  return { ...found, smimeEntity: entity, path };
}

/** The CMS object of a body. In binary, transport may have put line ends around it; base64 may have lost its label. */
export function objectIn(entity: MimeEntity): Uint8Array {
  const octets = decodeBody(entity);
  if (!IDENTITY.has(entity.transferEncoding)) return octets;
  let start = 0;
  while (isLineEnd(octets[start])) start++;
  if (octets[start] !== BER_SEQUENCE) return shifted(entity.bodyStart, () => decodeBase64(octets));
  let end = octets.length;
  const least = start + leastLength(octets, start);
  while (end > least && isLineEnd(octets[end - 1])) end--;
  return octets.subarray(start, end);
}

export const isLineEnd = (octet: number | undefined) => octet === 0x0d || octet === 0x0a;

/** Octets of the value at `at` as its header says; of an indefinite length that header, since its end is no line end. */
export function leastLength(octets: Uint8Array, at: number): number {
  const first = octets[at + 1] ?? 0;
  if (first < 0x80) return 2 + first;
  let length = 0;
  for (let i = 0; i < (first & 0x7f); i++) length = length * 256 + (octets[at + 2 + i] ?? 0);
  return 2 + (first & 0x7f) + length;
}

/** Says what a mail is instead, and where an S/MIME part was seen that is not opened. */
function notSmime(entity: MimeEntity): string {
  if (entity.headers.fields.length === 0) {
    return entity.bytes.length === 0 ? 'the input is empty' : 'the input is neither a mail nor a CMS object';
  }
  const nested = nestedSmime(entity).map((part) => part.path);
  const what = `the message is ${entity.contentType.type || 'of no type'}, neither signed nor encrypted in S/MIME`;
  return nested.length === 0
    ? what
    : `${what}; part ${nested.join(' and part ')} of it is S/MIME, but only a whole message is opened`;
}
