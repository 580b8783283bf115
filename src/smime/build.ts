/**
 * Building S/MIME messages around CMS objects (RFC 8551 sections 3.2 to 3.5, RFC 1847 section 2.1), and parting a
 * message (RFC 5322) into the fields that stay outside and the entity that is signed or encrypted. Kept fields keep
 * order, folding and octets; only line ends become CRLF.
 *
 * Called by message.ts.
 */
import { randomUUID } from 'node:crypto';
import { assertBytes, concat, inPieces, join, type Pieces } from '../bytes.js';
import { type HeaderField, parseHeaders } from './headers.js';
import type { Range } from './mime.js';
import { canonicalize, encodeBase64Lines } from './transfer.js';

const LF = 0x0a;
const CRLF = '\r\n';
const MIME_VERSION = 'MIME-Version: 1.0\r\n';

export interface SplitMessage {
  /** From, To, Subject, Received and all others that are not about the content, in order. */
  outer: Uint8Array;
  /** MIME-Version and Content-* fields, the blank line, the body. */
  entity: Uint8Array;
}

/** Fields that describe the content, so that the signature must cover them (RFC 8551 section 3.1). */
export function isContentField(field: HeaderField): boolean {
  const first = (field.source[field.start] as number) | 0x20;
  if (first !== 0x63 && first !== 0x6d) return false; // c, m: most fields need no string
  const key = field.key;
  return key === 'mime-version' || key.startsWith('content-');
}

/**
 * Parts a message for signing or encrypting. A text without any header is a body.
 * @returns views of the message, where the fields that go together stand together: those of the content mostly come last,
 *   and the body may be big
 * @throws MailsealError MIME_MALFORMED with the offset, LIMIT_LENGTH
 */
export function splitMessage(message: Uint8Array): SplitMessage {
  assertBytes(message, 'message');
  const { fields, start, bodyStart } = parseHeaders(message);
  const headerEnd = fields[fields.length - 1]?.end ?? start;
  if (headerEnd > start && message[headerEnd - 1] !== LF) return splitMessage(concat([message, CRLF]));
  const outer: Range[] = [];
  const inner: Range[] = [];
  for (const field of fields) append(isContentField(field) ? inner : outer, field);
  const rest = { start: headerEnd, end: message.length };
  if (headerEnd < bodyStart) append(inner, rest);
  const view = ({ start, end }: Range) => message.subarray(start, end);
  return {
    outer: join(outer.map(view)),
    // If there is no blank line yet, it needs one.
    entity: headerEnd < bodyStart ? join(inner.map(view)) : concat([...inner.map(view), CRLF, view(rest)]),
  };
}

/** Ranges side by side are one. */
function append(ranges: Range[], { start, end }: Range): void {
  const last = ranges[ranges.length - 1];
  if (last?.end === start) last.end = end;
  else ranges.push({ start, end });
}

/**
 * A message of outer fields and an entity, as after decryption. Of the entity's fields only those about its content go
 * in: a From or Reply-To in there is the mail's only if a signature says so, and CBC content can be changed by anyone.
 * The entity's exact octets are the caller's to keep.
 * @throws MailsealError MIME_MALFORMED, LIMIT_LENGTH
 */
export function joinMessage(outer: Uint8Array, entity: Uint8Array): Uint8Array {
  const outside = parseHeaders(outer);
  const split = parseHeaders(entity);
  const pieces: (Uint8Array | string)[] = [outerFields(outer)];
  if (outside.all('mime-version').length === 0 && split.all('mime-version').length === 0)
    pieces.push(MIME_VERSION);
  for (const field of split.fields) {
    if (isContentField(field) && outside.all(field.key).length === 0) pieces.push(field.bytes);
  }
  const last = split.fields[split.fields.length - 1];
  if (last !== undefined && entity[last.end - 1] !== LF) pieces.push(CRLF);
  if ((last?.end ?? split.start) === split.bodyStart) pieces.push(CRLF);
  pieces.push(entity.subarray(last?.end ?? split.start));
  return concat(pieces);
}

/** Outer fields with CRLF line ends, the last one closed, and nothing that would end the header early. */
function outerFields(outer: Uint8Array): Uint8Array {
  assertBytes(outer, 'outer');
  const { fields } = parseHeaders(outer);
  const last = fields[fields.length - 1];
  if (last === undefined) return new Uint8Array(0);
  const octets = canonicalize(outer.subarray((fields[0] as HeaderField).start, last.end));
  return octets[octets.length - 1] === LF ? octets : concat([octets, CRLF]);
}

/** The start of a message around kept fields, or nothing, for an entity that is wrapped again. */
function messageStart(outer: Uint8Array | undefined): (Uint8Array | string)[] {
  return outer === undefined ? [] : [outerFields(outer), MIME_VERSION];
}

/** `micalg` values are lists of tokens (RFC 8551 section 3.5.3.2). */
const MICALG = /^[a-z0-9-]+(?:,[a-z0-9-]+)*$/;

export interface MultipartSignedParts {
  /** Fields of the message; without them the result is a bare entity. */
  outer?: Uint8Array | undefined;
  /** Digest algorithms as in `sha-256`. */
  micalg: string;
  /** Default: one at random, which the content can't have by chance (122 bits). */
  boundary?: string;
}

/** A clear-signed message (RFC 8551 section 3.5.3), but for what is signed. */
export interface MultipartSigned {
  readonly before: Uint8Array;
  /** @param signature the detached CMS signature, DER */
  after(signature: Uint8Array): Uint8Array;
}

/** What is signed, the result of prepareEntity, stands between the two. */
export function buildMultipartSigned({
  outer,
  micalg,
  boundary = `mailseal-${randomUUID()}`,
}: MultipartSignedParts): MultipartSigned {
  if (!MICALG.test(micalg)) throw new RangeError(`not a micalg value: ${micalg}`);
  const before = concat([
    ...messageStart(outer),
    `Content-Type: multipart/signed; protocol="application/pkcs7-signature";\r\n` +
      ` micalg="${micalg}";\r\n boundary="${boundary}"\r\n\r\n--${boundary}\r\n`,
  ]);
  const after = (signature: Uint8Array) =>
    concat([
      `\r\n--${boundary}\r\nContent-Type: application/pkcs7-signature; name="smime.p7s"\r\n` +
        'Content-Transfer-Encoding: base64\r\n' +
        'Content-Disposition: attachment; filename="smime.p7s"\r\n\r\n',
      encodeBase64Lines(inPieces([signature])),
      `--${boundary}--\r\n`,
    ]);
  return { before, after };
}

export type SmimeType =
  | 'signed-data'
  | 'enveloped-data'
  | 'certs-only'
  | 'compressed-data'
  | 'authEnveloped-data';

/** File name extensions of RFC 8551 section 3.2.1. */
const FILE_NAMES: Readonly<Record<SmimeType, string>> = {
  'signed-data': 'smime.p7m',
  'enveloped-data': 'smime.p7m',
  'authEnveloped-data': 'smime.p7m',
  'certs-only': 'smime.p7c',
  'compressed-data': 'smime.p7z',
};

export interface Pkcs7MimeParts {
  /** Fields of the message; without them the result is a bare entity. */
  outer?: Uint8Array | undefined;
  smimeType: SmimeType;
  /** The CMS object, BER or DER. */
  content: Pieces;
}

/** An application/pkcs7-mime message or entity (RFC 8551 section 3.2). */
export function buildPkcs7Mime({ content, ...parts }: Pkcs7MimeParts): Uint8Array {
  return encodeBase64Lines(content, pkcs7MimeHeader(parts));
}

/** What stands before the base64 of the CMS object. */
export function pkcs7MimeHeader({ outer, smimeType }: Omit<Pkcs7MimeParts, 'content'>): Uint8Array {
  const name = FILE_NAMES[smimeType];
  return concat([
    ...messageStart(outer),
    `Content-Type: application/pkcs7-mime; smime-type=${smimeType};\r\n name="${name}"\r\n` +
      'Content-Transfer-Encoding: base64\r\n' +
      `Content-Disposition: attachment; filename="${name}"\r\n\r\n`,
  ]);
}
