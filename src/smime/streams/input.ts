/**
 * What a message that comes in chunks turns out to be: the streamed reading of input.ts. A mail is opened at its top
 * entity only. Refused, and read in memory alone: CMS objects in PEM, mails of which one part is signed.
 * Used by verify.ts, decrypt.ts and decompress.ts.
 */
import { type SplitObject, splitContentInfo } from '../../asn1/split.js';
import { buffer } from '../../bytes.js';
import { type ContentInfo, readContentInfo } from '../../cms/content.js';
import { MailsealError } from '../../errors.js';
import { BER_SEQUENCE, objectIn, readSignature } from '../input.js';
import { classifyHeader, isUnnamed, type MimeEntity, parseEntity, shifted } from '../mime.js';
import { objectOctets } from './base64.js';
import type { Incoming } from './incoming.js';
import { type SignaturePart, type SignedParts, splitSigned } from './multipart.js';

export type StreamedInput =
  | {
      readonly kind: 'object';
      readonly object: SplitObject;
      /** The mail around it, if it is one: its header alone. */
      readonly mail: MimeEntity | undefined;
    }
  | {
      readonly kind: 'multipart-signed';
      readonly parts: SignedParts;
      /** The digests that the header names, in lower case. */
      readonly micalg: readonly string[];
      /** Its header alone. */
      readonly mail: MimeEntity;
    };

/** @throws MailsealError as readInput; LIMIT_LENGTH for PEM */
export async function readStreamedInput(incoming: Incoming): Promise<StreamedInput> {
  const head = await incoming.header();
  if (head[0] === BER_SEQUENCE) {
    incoming.unshift(head);
    return { kind: 'object', object: await splitContentInfo(incoming), mail: undefined };
  }
  const mail = parseEntity(head);
  if (mail.headers.fields.length === 0) throw notMail(head);
  incoming.unshift(mail.body);
  const declared = classifyHeader(mail);
  switch (declared.kind) {
    case 'none':
      throw notSmime(mail);
    case 'multipart-signed': {
      const otherwise = isUnnamed(mail) ? notSmime(mail) : undefined;
      const parts = splitSigned(incoming, mail.boundary(), mail.bodyStart, otherwise);
      return { kind: 'multipart-signed', parts, micalg: declared.micalg, mail };
    }
    default: {
      const octets = objectOctets(incoming, mail.transferEncoding, mail.bodyStart);
      return { kind: 'object', object: await splitContentInfo(octets), mail };
    }
  }
}

const notSmime = ({ contentType: { type } }: MimeEntity) =>
  new MailsealError(
    'NOT_SMIME',
    `the message is ${type || 'of no type'}, neither signed nor encrypted in S/MIME as a whole`,
  );

/** The CMS object of the second part of multipart/signed. Offsets in errors are those of the mail, as in memory. */
export function signatureIn({ bytes, start }: SignaturePart): ContentInfo {
  return readSignature(shifted(start, () => objectIn(parseEntity(bytes))));
}

function notMail(head: Uint8Array): MailsealError {
  if (buffer(head).includes('-----BEGIN ')) {
    return new MailsealError(
      'LIMIT_LENGTH',
      'a CMS object in PEM has to fit into memory (option spool.memory)',
    );
  }
  return new MailsealError('NOT_SMIME', 'the input is neither a mail nor a CMS object');
}

/**
 * What a parser makes of an object without its content, once that was read to its end. Offsets in errors are those of the
 * object.
 */
export async function readSkeleton<T>(object: SplitObject, read: (info: ContentInfo) => T): Promise<T> {
  return inPlace(object, read, await object.skeleton());
}

/** The same of an object so far: what stands before its content. */
export function readHead<T>(object: SplitObject, read: (info: ContentInfo) => T): T | undefined {
  return object.head && inPlace(object, read, object.head);
}

function inPlace<T>(object: SplitObject, read: (info: ContentInfo) => T, skeleton: Uint8Array): T {
  try {
    return read(readContentInfo(skeleton));
  } catch (error) {
    throw placed(object, error);
  }
}

/** An error of what was read of an object without its content: its offset becomes one in the object. */
export function placed(object: SplitObject, error: unknown): unknown {
  if (!(error instanceof MailsealError) || error.offset === undefined) return error;
  const { code, message, offset, oid, cause } = error;
  return new MailsealError(code, message, { offset: object.place(offset), oid, cause });
}
