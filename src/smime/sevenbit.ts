/**
 * Preparing an entity for signing or encrypting (RFC 8551 section 3.1): leaves in 7-bit transfer encoding (3.1.3),
 * then canonical CRLF (3.1.1). A gateway that converts 8-bit content to another encoding, or breaks a long line, would
 * invalidate the signature. So would one that drops white space at line ends or writes ">From ": RFC 8551 is silent
 * on these, RFC 2049 section 3 and RFC 3156 sections 3 and 5 name them and encode such content too, so we do.
 *
 * What needs none of this keeps its octets. Never changed: multipart/signed and multipart/encrypted inside, which are
 * opaque (RFC 1847 section 2.1), header fields, and parts in a transfer encoding that is unknown.
 *
 * Called by message.ts and compress.ts. What decides is shared with streams/prepare.ts, which does the same to entities
 * that are too big for memory.
 */
import { assertBytes, concat, utf8 } from '../bytes.js';
import { canonicalLines, Hazard, scanLines } from '../wasm.js';
import { decodeBody, IDENTITY, type MimeEntity, parseEntity, type Range } from './mime.js';
import { applyEdits, base64Body, type Edit } from './rewrite.js';
import { canonicalize, countEscapes, encodeQuotedPrintable } from './transfer.js';

/** What transport may change in a body that is not encoded. Line ends are not among it: they are canonicalized. */
const UNSAFE = Hazard.EIGHT_BIT | Hazard.NUL | Hazard.LONG_LINE | Hazard.TRAILING_SPACE | Hazard.FROM_LINE;
/** What a preamble or epilogue may not have; nothing in there is shown, so it is dropped rather than encoded. */
const UNSENDABLE = Hazard.EIGHT_BIT | Hazard.NUL | Hazard.LONG_LINE;

const CRLF = utf8('\r\n');

/** What an entity is here: `opaque` and what is in it stays as it is; a `message` has an entity inside. */
export type EntityKind = 'opaque' | 'multipart' | 'message' | 'leaf';

/** @throws MailsealError MIME_MALFORMED */
export function entityKind(entity: MimeEntity): EntityKind {
  const { type } = entity.contentType;
  const declared = entity.transferEncoding;
  if (type === 'multipart/signed' || type === 'multipart/encrypted') return 'opaque';
  if (entity.isMultipart) return 'multipart';
  // No other encoding is allowed on a message (RFC 2046 section 5.2.1): its own parts are encoded.
  return (type === 'message/rfc822' || type === 'message/global') && IDENTITY.has(declared)
    ? 'message'
    : 'leaf';
}

/** What decides how a leaf is treated. */
export interface LeafFacts {
  /** Its transfer encoding. */
  declared: string;
  isText: boolean;
  /** Hazards of the body, as bits. */
  found: number;
  /** Whether the body ends with white space: the delimiter's line end will follow. */
  endsBlank: boolean;
}

/**
 * What is done with a leaf: `relabel` as 7bit; `repair`: declared as base64 or quoted-printable, but not obeyed, so that
 * what can be read of it is encoded properly; `encode`, see {@link isQuoted}.
 */
export function leafChange(leaf: LeafFacts): 'none' | 'relabel' | 'repair' | 'encode' {
  const { declared, found, endsBlank } = leaf;
  const hazards = isExact(leaf) ? UNSAFE | Hazard.LONE_LINE_END : UNSAFE;
  if ((found & hazards) === 0 && !endsBlank) {
    return declared === '8bit' || declared === 'binary' ? 'relabel' : 'none';
  }
  if (declared === 'base64' || declared === 'quoted-printable') return 'repair';
  return IDENTITY.has(declared) ? 'encode' : 'none';
}

/** Line ends in binary content that is not text are data; everywhere else they are line ends. */
export function isExact({ declared, isText }: Pick<LeafFacts, 'declared' | 'isText'>): boolean {
  return declared === 'binary' && !isText;
}

/** Whether a text with so many escapes is better in quoted-printable: one costs two octets more, base64 a third of all. */
export function isQuoted(escapes: number, length: number): boolean {
  return escapes * 6 <= length;
}

/** Whether a preamble or epilogue with these hazards is dropped. */
export function isDropped(found: number): boolean {
  return (found & UNSENDABLE) !== 0;
}

function isBlankEnd(bytes: Uint8Array): boolean {
  const last = bytes[bytes.length - 1];
  return last === 0x20 || last === 0x09;
}

/** Where Content-Transfer-Encoding stands, or is added as the last field. */
export interface LabelPlace extends Range {
  /** An entity that starts with its body has no blank line yet, and needs one then. */
  needsBlank: boolean;
}

/** @throws MailsealError MIME_MALFORMED */
export function labelPlace(entity: MimeEntity): LabelPlace {
  const field = entity.headers.one('content-transfer-encoding');
  if (field !== undefined) return { start: field.start, end: field.end, needsBlank: false };
  const { fields, start, bodyStart } = entity.headers;
  const at = fields[fields.length - 1]?.end ?? start;
  return { start: at, end: at, needsBlank: bodyStart === start };
}

export function labelEdit({ start, end, needsBlank }: LabelPlace, encoding: string): Edit {
  const bytes = utf8(`Content-Transfer-Encoding: ${encoding}\r\n`);
  return { start, end, bytes: needsBlank ? concat([bytes, CRLF]) : bytes };
}

/**
 * A text without a header needs the blank line, or its first line would be read as a header (RFC 2046 section 5.1).
 * @param edits all that are made otherwise
 */
export function blankLineFirst(length: number, bodyStart: number, edits: readonly Range[]): Edit | undefined {
  if (length === 0 || bodyStart !== 0 || edits[0]?.end === 0) return undefined;
  return { start: 0, end: 0, bytes: CRLF };
}

/**
 * The entity as it is signed or encrypted. Returns the same array if nothing changes.
 * @throws MailsealError MIME_MALFORMED, LIMIT_DEPTH, LIMIT_RECORDS, LIMIT_LENGTH
 */
export function prepareEntity(bytes: Uint8Array): Uint8Array {
  assertBytes(bytes, 'bytes');
  const entity = parseEntity(bytes);
  const { found, lone } = scanLines(bytes);
  const edits: Edit[] = [];
  prepare(entity, (found & ~Hazard.LONE_LINE_END) === 0 && !isBlankEnd(bytes), edits);
  const blank = blankLineFirst(bytes.length, entity.bodyStart, edits);
  if (blank !== undefined) edits.unshift(blank);
  if (edits.length === 0) return lone === 0 ? bytes : canonicalLines(bytes, lone);
  return applyEdits(bytes, edits, canonicalize);
}

/** Adds the edits of one entity, in order. `clean`: the whole message is known to have no hazard. */
function prepare(entity: MimeEntity, clean: boolean, edits: Edit[]): void {
  const kind = entityKind(entity);
  if (kind === 'leaf') prepareLeaf(entity, clean, edits);
  if (kind !== 'multipart' && kind !== 'message') return;
  if (entity.transferEncoding !== '7bit') relabel(entity, '7bit', edits);
  if (kind === 'message') {
    prepare(entity.innerMessage(), clean, edits);
    return;
  }
  const { preamble, parts, epilogue } = entity.multipart();
  if (!clean) dropUnsendable(entity.source, preamble, edits);
  for (const part of parts) prepare(part, clean, edits);
  if (!clean) dropUnsendable(entity.source, epilogue, edits);
}

function dropUnsendable(source: Uint8Array, range: Range, edits: Edit[]): void {
  const { found } = scanLines(source.subarray(range.start, range.end));
  if (isDropped(found)) edits.push({ ...range, bytes: new Uint8Array(0) });
}

function prepareLeaf(entity: MimeEntity, clean: boolean, edits: Edit[]): void {
  const { body, transferEncoding: declared } = entity;
  const isText = entity.contentType.type.startsWith('text/');
  const exact = isExact({ declared, isText });
  const found = clean && !exact ? 0 : scanLines(body).found;
  const change = leafChange({ declared, isText, found, endsBlank: isBlankEnd(body) });
  if (change === 'relabel') relabel(entity, '7bit', edits);
  else if (change === 'repair') {
    const content = decodeBody(entity, { strict: false });
    const quoted = declared === 'quoted-printable';
    replaceBody(entity, quoted ? encodeQuotedPrintable(content) : base64Body(entity, content), edits);
  } else if (change === 'encode') {
    const content = exact ? body : canonicalize(body);
    const quoted = isText && isQuoted(countEscapes(content), content.length);
    relabel(entity, quoted ? 'quoted-printable' : 'base64', edits);
    replaceBody(entity, quoted ? encodeQuotedPrintable(content) : base64Body(entity, content), edits);
  }
}

/** Rewrites Content-Transfer-Encoding. */
function relabel(entity: MimeEntity, encoding: string, edits: Edit[]): void {
  edits.push(labelEdit(labelPlace(entity), encoding));
}

function replaceBody(entity: MimeEntity, bytes: Uint8Array, edits: Edit[]): void {
  edits.push({ start: entity.bodyStart, end: entity.end, bytes });
}
