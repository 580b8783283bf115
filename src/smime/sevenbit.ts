/**
 * Preparing an entity for signing or encrypting (RFC 8551 section 3.1): leaves in 7-bit transfer encoding (3.1.3),
 * then canonical CRLF (3.1.1). A gateway that converts 8-bit content to another encoding, or breaks a long line, would
 * invalidate the signature. So would one that drops white space at line ends or writes ">From ": RFC 8551 is silent
 * on these, RFC 2049 section 3 and RFC 3156 sections 3 and 5 name them and encode such content too, so we do.
 *
 * What needs none of this keeps its octets. Never changed: multipart/signed and multipart/encrypted inside, which are
 * opaque (RFC 1847 section 2.1), header fields, and parts in a transfer encoding that is unknown.
 *
 * Called by message.ts.
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
  // A text without a header needs the blank line, or its first line would be read as a header (RFC 2046 section 5.1).
  if (bytes.length > 0 && entity.bodyStart === 0 && edits[0]?.end !== 0) {
    edits.unshift({ start: 0, end: 0, bytes: CRLF });
  }
  if (edits.length === 0) return lone === 0 ? bytes : canonicalLines(bytes, lone);
  return applyEdits(bytes, edits, canonicalize);
}

/** Adds the edits of one entity, in order. `clean`: the whole message is known to have no hazard. */
function prepare(entity: MimeEntity, clean: boolean, edits: Edit[]): void {
  const { type } = entity.contentType;
  const declared = entity.transferEncoding;
  if (type === 'multipart/signed' || type === 'multipart/encrypted') return;
  if (entity.isMultipart) {
    if (declared !== '7bit') relabel(entity, '7bit', edits);
    const { preamble, parts, epilogue } = entity.multipart();
    if (!clean) dropUnsendable(entity.source, preamble, edits);
    for (const part of parts) prepare(part, clean, edits);
    if (!clean) dropUnsendable(entity.source, epilogue, edits);
  } else if ((type === 'message/rfc822' || type === 'message/global') && IDENTITY.has(declared)) {
    // No other encoding is allowed on a message (RFC 2046 section 5.2.1): its own parts are encoded.
    if (declared !== '7bit') relabel(entity, '7bit', edits);
    prepare(entity.innerMessage(), clean, edits);
  } else {
    prepareLeaf(entity, clean, edits);
  }
}

function dropUnsendable(source: Uint8Array, range: Range, edits: Edit[]): void {
  const { found } = scanLines(source.subarray(range.start, range.end));
  if ((found & UNSENDABLE) !== 0) edits.push({ ...range, bytes: new Uint8Array(0) });
}

function prepareLeaf(entity: MimeEntity, clean: boolean, edits: Edit[]): void {
  const { body, transferEncoding: declared } = entity;
  const isText = entity.contentType.type.startsWith('text/');
  // Line ends in binary content that is not text are data; everywhere else they are line ends.
  const exact = declared === 'binary' && !isText;
  let found = clean && !exact ? 0 : scanLines(body).found;
  if (isBlankEnd(body)) found |= Hazard.TRAILING_SPACE; // the delimiter's line end will follow
  const unsafe = (found & (exact ? UNSAFE | Hazard.LONE_LINE_END : UNSAFE)) !== 0;
  if (!unsafe) {
    if (declared === '8bit' || declared === 'binary') relabel(entity, '7bit', edits);
    return;
  }
  if (declared === 'base64' || declared === 'quoted-printable') {
    // Declared, but not obeyed: read what can be read, and encode it properly.
    const content = decodeBody(entity, { strict: false });
    const quoted = declared === 'quoted-printable';
    replaceBody(entity, quoted ? encodeQuotedPrintable(content) : base64Body(entity, content), edits);
  } else if (IDENTITY.has(declared)) {
    const content = exact ? body : canonicalize(body);
    // An escape costs two octets more, base64 a third of everything.
    const quoted = isText && countEscapes(content) * 6 <= content.length;
    relabel(entity, quoted ? 'quoted-printable' : 'base64', edits);
    replaceBody(entity, quoted ? encodeQuotedPrintable(content) : base64Body(entity, content), edits);
  }
}

function isBlankEnd(bytes: Uint8Array): boolean {
  const last = bytes[bytes.length - 1];
  return last === 0x20 || last === 0x09;
}

/** Rewrites Content-Transfer-Encoding where it stands, or adds it as the last field. */
function relabel(entity: MimeEntity, encoding: string, edits: Edit[]): void {
  const field = entity.headers.one('content-transfer-encoding');
  const bytes = utf8(`Content-Transfer-Encoding: ${encoding}\r\n`);
  if (field !== undefined) {
    edits.push({ start: field.start, end: field.end, bytes });
    return;
  }
  const { fields, start, bodyStart } = entity.headers;
  const at = fields[fields.length - 1]?.end ?? start;
  // An entity that starts with its body has no blank line yet, and needs one now.
  edits.push({ start: at, end: at, bytes: bodyStart === start ? concat([bytes, CRLF]) : bytes });
}

function replaceBody(entity: MimeEntity, bytes: Uint8Array, edits: Edit[]): void {
  edits.push({ start: entity.bodyStart, end: entity.end, bytes });
}
