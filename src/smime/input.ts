/**
 * What a caller hands in as a message, told apart by content: a mail, a PEM block, or a CMS object in BER or DER. A
 * mail is opened at its top entity only (EFAIL). Called by verify.ts and message.ts.
 */
import { assertBytes, buffer, readPem } from '../bytes.js';
import { type ContentInfo, readContentInfo } from '../cms/content.js';
import { MailsealError } from '../errors.js';
import { classify, decodeBody, type MimeEntity, nestedSmime, parseEntity } from './mime.js';

export interface SmimeInput {
  readonly contentInfo: ContentInfo;
  /** The mail around the CMS object, if it is one. */
  readonly mail?: MimeEntity;
  /** multipart/signed: the entity that the detached signature is over, in its exact octets. */
  readonly signedEntity?: MimeEntity;
}

/** The labels that hold a CMS object: those of RFC 7468 sections 8 and 9, of OpenSSL, and of gpgsm. */
const CMS_LABELS = new Set(['CMS', 'PKCS7', 'PKCS #7 SIGNED DATA', 'SIGNED MESSAGE', 'ENCRYPTED MESSAGE']);

/** SEQUENCE. As text it is `0`, which begins no header field that anybody writes. */
const BER_SEQUENCE = 0x30;

/**
 * @throws MailsealError NOT_SMIME, MIME_MALFORMED, PEM_MALFORMED, ASN1_*, LIMIT_*, CMS_MALFORMED. Offsets count in the
 *   mail, or, of ASN.1 errors in a mail or PEM, in the CMS object that it holds.
 */
export function readInput(bytes: Uint8Array): SmimeInput {
  assertBytes(bytes, 'message');
  if (bytes[0] === BER_SEQUENCE) return { contentInfo: readContentInfo(bytes) };
  const mail = parseEntity(bytes);
  const isText = mail.headers.fields.length === 0; // PEM may have text in front of it (RFC 7468 section 2)
  return isText && buffer(bytes).includes('-----BEGIN ') ? readPemInput(bytes) : readMail(mail);
}

function readPemInput(bytes: Uint8Array): SmimeInput {
  const blocks = readPem(bytes).filter((block) => CMS_LABELS.has(block.label));
  const [block] = blocks;
  if (block === undefined) throw new MailsealError('NOT_SMIME', 'PEM without a CMS or PKCS7 block');
  if (blocks.length > 1) throw new MailsealError('NOT_SMIME', 'PEM with more than one CMS object');
  return { contentInfo: readContentInfo(block.bytes) };
}

function readMail(mail: MimeEntity): SmimeInput {
  const smime = classify(mail);
  switch (smime.kind) {
    case 'pkcs7-mime':
      return { contentInfo: readContentInfo(decodeBody(mail)), mail };
    case 'multipart-signed':
      return { contentInfo: readContentInfo(decodeBody(smime.signature)), mail, signedEntity: smime.content };
    case 'pkcs7-signature':
      throw new MailsealError('NOT_SMIME', 'a detached signature without the content it signs');
    case 'none':
      throw new MailsealError('NOT_SMIME', notSmime(mail));
  }
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
