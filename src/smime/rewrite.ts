/**
 * Changing fields and leaves of an entity where they stand, for header protection (RFC 9788) and transport. What is not
 * changed keeps its octets. Called by protect.ts, protectedheaders.ts, legacydisplay.ts and sevenbit.ts.
 */
import { buffer, concat, inPieces, utf8 } from '../bytes.js';
import type { MimeEntity, Range } from './mime.js';
import { encodeBase64Lines } from './transfer.js';

export interface Edit extends Range {
  bytes: Uint8Array;
}

/**
 * The octets with edits made, which are in order and do not overlap.
 * @param keep what becomes of each piece between them
 */
export function applyEdits(
  source: Uint8Array,
  edits: readonly Edit[],
  keep = (piece: Uint8Array): Uint8Array => piece,
): Uint8Array {
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const { start, end, bytes } of edits) {
    pieces.push(keep(source.subarray(at, start)), bytes);
    at = end;
  }
  return concat([...pieces, keep(source.subarray(at))]);
}

/** An edit that sets a parameter of Content-Type, or takes it away. Without the field it is added as the first one. */
export function editType(entity: MimeEntity, parameters: Record<string, string | undefined>): Edit {
  const field = entity.headers.one('content-type');
  const at = entity.headers.start;
  const written =
    field === undefined
      ? `Content-Type: ${entity.contentType.type}\r\n`
      : buffer(field.bytes).toString('latin1');
  const bytes = Buffer.from(setParameters(written, parameters), 'latin1');
  if (field !== undefined) return { start: field.start, end: field.end, bytes };
  // An entity that starts with its body has no blank line yet, and needs one now.
  const needsBlank = entity.headers.fields.length === 0 && entity.bodyStart === at;
  return { start: at, end: at, bytes: needsBlank ? concat([bytes, utf8('\r\n')]) : bytes };
}

/** A field with parameters set; every other way in which one was written (RFC 2231) goes. Undefined takes it away. */
export function setParameters(field: string, parameters: Record<string, string | undefined>): string {
  const names = Object.keys(parameters);
  const kept = splitParameters(field.replace(/\r?\n$/, '')).filter((text, i) => {
    const equals = Math.max(0, text.indexOf('='));
    const name = /^\s*([^\s*]+)/.exec(text.slice(0, equals))?.[1]?.toLowerCase();
    return i === 0 || (text.trim() !== '' && !(name !== undefined && names.includes(name)));
  });
  const added = names.flatMap((name) =>
    parameters[name] === undefined ? [] : `\r\n ${name}="${parameters[name]}"`,
  );
  return `${[...kept, ...added].join(';')}\r\n`;
}

/** Text between the semicolons that are neither quoted nor in a comment. */
function splitParameters(text: string): string[] {
  const parts: string[] = [];
  let from = 0;
  let quoted = false;
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charAt(i);
    if (c === '\\') i++;
    else if (c === '"' && depth === 0) quoted = !quoted;
    else if (!quoted && c === '(') depth++;
    else if (!quoted && c === ')' && depth > 0) depth--;
    else if (c === ';' && !quoted && depth === 0) {
      parts.push(text.slice(from, i));
      from = i + 1;
    }
  }
  return [...parts, text.slice(from)];
}

/** Base64 lines for a leaf; inside a multipart the delimiter brings the last line end. */
export function base64Body(entity: MimeEntity, content: Uint8Array): Uint8Array {
  const lines = encodeBase64Lines(inPieces([content]));
  return entity.end === entity.source.length ? lines : lines.subarray(0, -'\r\n'.length);
}
