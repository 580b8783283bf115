/**
 * Legacy Display Elements (RFC 9788 sections 2.1.2, 4.5.3 and 5.2.2 to 5.2.5): confidential fields at the start of the
 * text, for mail programs that can decrypt, but show only the outer header. Written only into main body parts (RFC 9787
 * section 7.1), never into attachments. Called by protect.ts and message.ts; taking them out is public API.
 */
import { assertBytes, buffer, concat, utf8 } from '../bytes.js';
import { decodeWords } from './addresses.js';
import { decodeCharset, type HeaderField, parseParameterized } from './headers.js';
import { decodeBody, IDENTITY, type MimeEntity, parseEntity } from './mime.js';
import { applyEdits, base64Body, type Edit, editType } from './rewrite.js';

const CLASS = 'header-protection-legacy-display';
const MARK = 'hp-legacy-display';

/** Writes the fields into the main body parts. The same array if there is none. */
export function addLegacyDisplay(bytes: Uint8Array, fields: readonly HeaderField[]): Uint8Array {
  const lines = fields.map(({ name, value }) => `${name}: ${decodeWords(value)}`);
  const edits: Edit[] = [];
  for (const part of mainBodyParts(parseEntity(bytes))) {
    if (part.contentType.parameters.has(MARK)) continue;
    const isHtml = part.contentType.type === 'text/html';
    const text = textOf(part, lines.join(''));
    if (text === undefined) continue;
    const { content, charset } = text;
    edits.push(
      ...editLeaf(part, isHtml ? intoHtml(content, lines) : intoText(content, lines), {
        [MARK]: '1',
        ...(charset !== undefined && { charset }),
      }),
    );
  }
  return edits.length === 0 ? bytes : applyEdits(bytes, edits);
}

/**
 * An entity without its Legacy Display Elements, as it has to be shown and answered (RFC 9788 section 4.5.3); the same
 * array if it has none, or if it is not the payload of an encrypted mail, hp="cipher": a mark means nothing elsewhere.
 * @throws MailsealError MIME_MALFORMED, LIMIT_*
 */
export function removeLegacyDisplay(entity: Uint8Array): Uint8Array {
  assertBytes(entity, 'entity');
  const payload = parseEntity(entity);
  if (payload.contentType.parameters.get('hp')?.toLowerCase() !== 'cipher') return entity;
  const edits: Edit[] = [];
  for (const part of mainBodyParts(payload)) {
    if (part.contentType.parameters.get(MARK) !== '1') continue;
    const content = decodeBody(part, { strict: false });
    const text = buffer(content).toString('latin1');
    const rest = part.contentType.type === 'text/html' ? fromHtml(text) : fromText(text);
    edits.push(...editLeaf(part, Buffer.from(rest, 'latin1'), { [MARK]: undefined }));
  }
  return edits.length === 0 ? entity : applyEdits(entity, edits);
}

const isText = ({ contentType: { type } }: MimeEntity) => type === 'text/plain' || type === 'text/html';

/** The first child of each multipart, and every child of multipart/alternative. Signed and encrypted ones are opaque. */
function mainBodyParts(entity: MimeEntity): MimeEntity[] {
  const { type } = entity.contentType;
  if (type === 'multipart/signed' || type === 'multipart/encrypted') return [];
  if (entity.isMultipart) {
    const { parts } = entity.multipart();
    return (type === 'multipart/alternative' ? parts : parts.slice(0, 1)).flatMap(mainBodyParts);
  }
  const disposition = entity.headers.all('content-disposition')[0];
  const isAttachment = disposition && parseParameterized(disposition.value).type === 'attachment';
  return isText(entity) && !isAttachment ? [entity] : [];
}

/** Charsets in which ASCII is ASCII. */
const ASCII_COMPATIBLE = /^(?:us-ascii|utf-8|iso-8859-\d+|windows-125\d)$/;

/** The content of a leaf; in UTF-8, with that as its new charset, where its own can't hold the text to come. Undefined if its charset is unknown. */
function textOf(part: MimeEntity, text: string): { content: Uint8Array; charset?: string } | undefined {
  const content = decodeBody(part, { strict: false });
  const charset = part.contentType.parameters.get('charset')?.toLowerCase() ?? 'us-ascii';
  const fits = /^[\0-\x7f]*$/.test(text) && ASCII_COMPATIBLE.test(charset);
  if (fits || charset === 'utf-8') return { content };
  const decoded = decodeCharset(content, charset);
  return decoded === undefined ? undefined : { content: utf8(decoded), charset: 'utf-8' };
}

function intoText(content: Uint8Array, lines: readonly string[]): Uint8Array {
  return concat([utf8(`${lines.join('\r\n')}\r\n\r\n`), content]);
}

function fromText(text: string): string {
  const blank = /(?:^|\n)\r?\n/.exec(text);
  return blank === null ? text : text.slice(blank.index + blank[0].length);
}

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

/** Behind the start tag of body, or where the text of a document without one begins. */
function intoHtml(content: Uint8Array, lines: readonly string[]): Uint8Array {
  const text = lines.join('\r\n').replace(/[&<>]/g, (c) => ESCAPES[c] as string);
  const html = buffer(content).toString('latin1');
  const tag = /<body\b[^<>]*>/i.exec(html) ?? /<\/head\s*>/i.exec(html) ?? /<html\b[^<>]*>/i.exec(html);
  const at = tag === null ? 0 : tag.index + tag[0].length;
  const element = `<div class="${CLASS}">\r\n<pre>${text}</pre></div>`;
  return concat([content.subarray(0, at), utf8(element), content.subarray(at)]);
}

const CLASS_OF = /\bclass\s*=\s*(?:"([^"]*)"|'([^']*)'|(\S+))/i;

function isLegacyDisplay(attributes: string): boolean {
  const found = CLASS_OF.exec(attributes);
  return (found?.[1] ?? found?.[2] ?? found?.[3] ?? '').split(/\s+/).includes(CLASS);
}

function fromHtml(html: string): string {
  const tags = /<(\/?)div\b([^<>]*)>/gi;
  let rest = '';
  let from = 0;
  let depth = 0; // of divs inside one that is left out
  for (let tag = tags.exec(html); tag !== null; tag = tags.exec(html)) {
    const [text, slash, attributes = ''] = tag;
    if (depth > 0) {
      depth += slash === '/' ? -1 : 1;
      if (depth === 0) from = tag.index + text.length;
    } else if (slash === '' && isLegacyDisplay(attributes)) {
      rest += html.slice(from, tag.index);
      depth = 1;
    }
  }
  return depth > 0 ? rest : rest + html.slice(from);
}

/** Edits of a leaf's type, encoding and body, in the order in which they stand. What is sent is made 7 bit later. */
function editLeaf(
  part: MimeEntity,
  content: Uint8Array,
  parameters: Record<string, string | undefined>,
): Edit[] {
  const type = editType(part, parameters);
  const { bodyStart: start, end } = part;
  const label = part.headers.one('content-transfer-encoding');
  if (label === undefined || IDENTITY.has(part.transferEncoding))
    return [type, { start, end, bytes: content }];
  // What was encoded may hold a delimiter, so it is encoded again, and in base64, which never does.
  const edits = [
    type,
    { start: label.start, end: label.end, bytes: utf8('Content-Transfer-Encoding: base64\r\n') },
  ];
  return [...edits.sort((a, b) => a.start - b.start), { start, end, bytes: base64Body(part, content) }];
}
