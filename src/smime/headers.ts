/**
 * Header fields on exact octets (RFC 5322 sections 2.2 and 3.6.8) and parameters of structured fields (RFC 2045
 * section 5.1, RFC 2183, RFC 2231). Offsets count in the source, so that what was signed, or is kept, stays exact.
 *
 * Refused: a line that is neither a field nor a continuation, and CR without LF, since one reader would end the
 * header there and another would not; a header over 1 MiB. Called by mime.ts, build.ts and message.ts.
 */
import { isUtf8 } from 'node:buffer';
import { buffer } from '../bytes.js';
import { MailsealError } from '../errors.js';
import { append } from '../maps.js';

/** Octets of one header. Exim takes 1 MB, Postfix 100 KB; without a limit a body could pose as one endless header. */
export const MAX_HEADER_LENGTH = 1 << 20;
/** Octets of a field name: a name stands on one line, and lines end at 998 (RFC 5322 section 2.1.1). */
const MAX_NAME_LENGTH = 998;

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;
const COLON = 0x3a;

/** Text of header octets: UTF-8 (RFC 6532), or ISO 8859-1, which loses nothing, where it is not valid UTF-8. */
function headerText(source: Buffer, from: number, to: number): string {
  const text = source.toString('latin1', from, to);
  return /[\x80-\xff]/.test(text) && isUtf8(source.subarray(from, to))
    ? source.toString('utf8', from, to)
    : text;
}

export class HeaderField {
  readonly source: Buffer;
  /** Offset of the name. */
  readonly start: number;
  /** Offset behind the name. */
  private readonly nameEnd: number;
  /** Offset behind the colon. */
  readonly valueStart: number;
  /** Offset behind the field's last line end. */
  readonly end: number;
  private keyRead: string | undefined;

  constructor(source: Buffer, start: number, nameEnd: number, valueStart: number, end: number) {
    this.source = source;
    this.start = start;
    this.nameEnd = nameEnd;
    this.valueStart = valueStart;
    this.end = end;
  }

  /** The name as it was written. */
  get name(): string {
    return this.source.toString('latin1', this.start, this.nameEnd);
  }

  /** The name in lower case. */
  get key(): string {
    this.keyRead ??= this.name.toLowerCase();
    return this.keyRead;
  }

  /** Of most fields the length tells that they are not. */
  isNamed(name: string): boolean {
    return this.nameEnd - this.start === name.length && this.key === name.toLowerCase();
  }

  /** The exact octets, line ends included. A view. */
  get bytes(): Uint8Array {
    return this.source.subarray(this.start, this.end);
  }

  /** The value without folding (RFC 5322 section 2.2.3) and outer white space. Encoded words stay encoded. */
  get value(): string {
    let from = this.valueStart;
    let to = this.end;
    while (from < to && isBlank(this.source[from])) from++;
    while (to > from && isBlank(this.source[to - 1])) to--;
    const text = headerText(this.source, from, to);
    return text.includes('\n') ? text.replace(/\r?\n/g, '') : text;
  }
}

function isBlank(c: number | undefined): boolean {
  return c === SPACE || c === TAB || c === CR || c === LF;
}

/** Up to here looking at every field takes less time than an index of them. */
const FEW_FIELDS = 64;

export class Headers {
  readonly fields: readonly HeaderField[];
  /** Offset of the first field, behind the envelope line of a mailbox file. */
  readonly start: number;
  /** Offset behind the blank line; where there is no header, `start`; where there is no body, the end. */
  readonly bodyStart: number;
  private index: Map<string, HeaderField[]> | undefined;

  constructor(fields: readonly HeaderField[], start: number, bodyStart: number) {
    this.fields = fields;
    this.start = start;
    this.bodyStart = bodyStart;
  }

  /** Every field of that name, in any case, in order. */
  all(name: string): readonly HeaderField[] {
    if (this.fields.length <= FEW_FIELDS) return this.fields.filter((field) => field.isNamed(name));
    if (this.index === undefined) {
      this.index = new Map();
      for (const field of this.fields) append(this.index, field.key, field);
    }
    return this.index.get(name.toLowerCase()) ?? [];
  }

  /** The field of that name.
   * @throws MailsealError MIME_MALFORMED if there are two: readers differ in which one counts */
  one(name: string): HeaderField | undefined {
    let found: HeaderField | undefined;
    for (const field of this.fields.length <= FEW_FIELDS ? this.fields : this.all(name)) {
      if (!field.isNamed(name)) continue;
      if (found !== undefined) {
        throw new MailsealError('MIME_MALFORMED', `two ${field.name} fields`, { offset: field.start });
      }
      found = field;
    }
    return found;
  }
}

/** Where the field name that starts here ends; nowhere else if there is none. */
function endOfName(source: Uint8Array, at: number, end: number): number {
  const limit = Math.min(end, at + MAX_NAME_LENGTH);
  let i = at;
  while (i < limit) {
    const c = source[i] as number;
    if (c <= SPACE || c > 126 || c === COLON) break;
    i++;
  }
  return i;
}

/** The offset behind the colon of a field, or 0 if no field starts here. */
function behindColon(source: Uint8Array, at: number, nameEnd: number, end: number): number {
  const limit = Math.min(end, at + MAX_NAME_LENGTH);
  let i = nameEnd;
  while (i < limit && (source[i] === SPACE || source[i] === TAB)) i++; // obs-optional, RFC 5322 section 4.5.8
  return nameEnd > at && i < limit && source[i] === COLON ? i + 1 : 0;
}

/** `From ` or `>From ` of a mailbox file (RFC 4155), which is no field. */
function isMailboxLine(source: Uint8Array, at: number): boolean {
  return /^>?From /.test(buffer(source).toString('latin1', at, at + 6));
}

/**
 * Reads the header of the entity at `start`…`end`. Lines may end in CRLF or LF. If the first line is no field, the
 * entity has no header, and all of it is body.
 * @throws MailsealError MIME_MALFORMED with the offset; LIMIT_LENGTH
 */
export function parseHeaders(source: Uint8Array, start = 0, end = source.length): Headers {
  const octets = buffer(source);
  const limit = Math.min(end, start + MAX_HEADER_LENGTH);
  const fields: HeaderField[] = [];
  let at = start;
  /** Offsets of the field that is being read; none as long as `valueStart` is 0. */
  let fieldStart = 0;
  let nameEnd = 0;
  let valueStart = 0;
  const close = () => {
    if (valueStart > 0) fields.push(new HeaderField(octets, fieldStart, nameEnd, valueStart, at));
    valueStart = 0;
  };
  let first = start;
  let bodyStart = end;
  let loneCr = -1;
  while (at < end) {
    const c = octets[at];
    if (c === LF || (c === CR && octets[at + 1] === LF && at + 1 < end)) {
      bodyStart = at + (c === LF ? 1 : 2);
      break;
    }
    if (c === SPACE || c === TAB) {
      if (at === start) return new Headers([], start, start);
      if (valueStart === 0) {
        throw new MailsealError('MIME_MALFORMED', 'a continuation of no field', { offset: at });
      }
    } else {
      close();
      fieldStart = at;
      nameEnd = endOfName(octets, at, end);
      valueStart = behindColon(octets, at, nameEnd, end);
      if (valueStart === 0) {
        if (at !== start) {
          throw new MailsealError('MIME_MALFORMED', 'a line of the header is not a field', { offset: at });
        }
        if (!isMailboxLine(octets, at)) return new Headers([], start, start);
        first = -1;
      }
    }
    for (let octet = octets[at]; at < limit && octet !== LF; octet = octets[++at]) {
      if (octet === CR && loneCr < 0 && (octets[at + 1] !== LF || at + 1 >= end)) loneCr = at;
    }
    if (at < limit) at++;
    else if (limit < end) {
      throw new MailsealError('LIMIT_LENGTH', `a header over ${MAX_HEADER_LENGTH} octets`, { offset: start });
    }
    if (first < 0) first = at;
  }
  close();
  if (loneCr >= 0) {
    throw new MailsealError('MIME_MALFORMED', 'CR without LF in the header', { offset: loneCr });
  }
  return new Headers(fields, first, bodyStart);
}

/** A value with parameters: that of Content-Type or Content-Disposition. */
export interface ContentType {
  /** In lower case: `multipart/signed`, or `attachment` of a Content-Disposition. Empty if there is none. */
  type: string;
  /** Names in lower case, values decoded. */
  parameters: ReadonlyMap<string, string>;
  /** Why readers could disagree about this value; whoever relies on it for security refuses it then. */
  defect?: string;
}

/** Parameters that decide what is verified: given twice, even as `x` and `x*`, they are a defect. */
const DECISIVE = new Set(['boundary', 'protocol', 'micalg', 'smime-type']);

/** The mildest defect, given only where there is no other: mailers that write `name=my file` are many. */
export const STRAY_TEXT = 'text between parameters';

/** Reads a Content-Type or Content-Disposition value. Never throws: a leaf may be sloppy, `defect` tells. */
export function parseParameterized(value: string): ContentType {
  const scanner = new Scanner(value);
  scanner.skipComments();
  let type = scanner.take(TOKEN);
  scanner.skipComments();
  if (scanner.eat('/')) {
    scanner.skipComments();
    type += `/${scanner.take(TOKEN)}`;
    scanner.skipComments();
  }
  if (type === '' || type.startsWith('/') || type.endsWith('/')) scanner.defect ??= 'no type';
  if (!scanner.atEnd && scanner.peek !== ';') scanner.defect ??= 'text behind the type';
  let stray: string | undefined;
  const plain = new Map<string, string>();
  // Hardly any value has an extended parameter.
  const segments = value.includes('*') ? new Map<string, Map<number, Segment>>() : undefined;
  while (!scanner.atEnd) {
    if (!scanner.eat(';')) {
      stray = STRAY_TEXT;
      scanner.take(TO_SEMICOLON);
      continue;
    }
    scanner.skipComments();
    if (scanner.atEnd || scanner.peek === ';') continue; // an empty parameter harms nobody
    const name = scanner.take(TOKEN).toLowerCase();
    scanner.skipComments();
    if (name === '' || !scanner.eat('=')) {
      scanner.defect ??= 'a parameter without a value';
      scanner.take(TO_SEMICOLON);
      continue;
    }
    scanner.skipComments();
    const text = scanner.peek === '"' ? scanner.quotedString() : scanner.take(LOOSE_TOKEN);
    scanner.skipComments();
    if (addParameter(plain, segments, name, text)) scanner.defect ??= `parameter ${name} twice`;
  }
  for (const [name, list] of segments ?? []) {
    const joined = joinSegments(list);
    if (joined === undefined) scanner.defect ??= `parameter ${name} in broken sections`;
    else if (plain.has(name) && DECISIVE.has(name)) scanner.defect ??= `parameter ${name} twice`;
    else plain.set(name, joined); // the extended form is the better one (RFC 6266 section 4.3 says why)
  }
  const defect = scanner.defect ?? stray;
  return { type: type.toLowerCase(), parameters: plain, ...(defect !== undefined && { defect }) };
}

/** A section of a continued parameter, RFC 2231 section 3; `extended` ones are percent-encoded, section 4. */
interface Segment {
  text: string;
  extended: boolean;
}

/** True if it was there already. */
function addParameter(
  plain: Map<string, string>,
  segments: Map<string, Map<number, Segment>> | undefined,
  name: string,
  text: string,
): boolean {
  const parts = segments && /^([^*]+)(?:\*(0|[1-9]\d{0,3}))?(\*)?$/.exec(name);
  if (!segments || !parts || (parts[2] === undefined && parts[3] === undefined)) {
    if (plain.has(name)) return true;
    plain.set(name, text);
    return false;
  }
  const base = parts[1] as string;
  const list = segments.get(base) ?? new Map<number, Segment>();
  segments.set(base, list);
  const section = Number(parts[2] ?? 0);
  if (list.has(section)) return true;
  list.set(section, { text, extended: parts[3] !== undefined });
  return false;
}

/** Undefined if a section is missing, or encoded without a charset that is known. */
function joinSegments(list: Map<number, Segment>): string | undefined {
  const octets: Buffer[] = [];
  let charset: string | undefined; // only the first section names it, if that is an extended one
  for (let section = 0; section < list.size; section++) {
    const segment = list.get(section);
    if (segment === undefined) return undefined;
    let { text } = segment;
    if (segment.extended && section === 0) {
      const parts = /^([^']*)'[^']*'(.*)$/s.exec(text);
      if (parts === null) return undefined;
      charset = parts[1] || 'us-ascii';
      text = parts[2] as string;
    }
    if (segment.extended && charset === undefined) return undefined;
    octets.push(segment.extended ? percentDecode(text) : Buffer.from(text));
  }
  return decodeCharset(Buffer.concat(octets), charset ?? 'utf-8');
}

function percentDecode(text: string): Buffer {
  return Buffer.from(
    text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );
}

/** Text of octets in a named charset; undefined if the charset is unknown. */
export function decodeCharset(octets: Uint8Array, charset: string): string | undefined {
  try {
    return new TextDecoder(charset).decode(octets);
  } catch {
    return undefined;
  }
}

/** Token of RFC 2045 section 5.1. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: a token has none
const TOKEN = /[^\x00-\x20\x7f()<>@,;:\\"/[\]?=]*/y;
/** Beyond RFC 2045: `/`, `=` and the like unquoted, as in protocol=application/pkcs7-signature. Common, and clear. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: a value has none
const LOOSE_TOKEN = /[^\x00-\x20;("]*/y;
const TO_SEMICOLON = /[^;]*/y;

/** A cursor over a structured value. */
class Scanner {
  private readonly text: string;
  private at = 0;
  defect: string | undefined;

  constructor(text: string) {
    this.text = text;
  }

  get atEnd(): boolean {
    return this.at >= this.text.length;
  }

  get peek(): string {
    return this.text.charAt(this.at);
  }

  eat(c: string): boolean {
    if (this.peek !== c) return false;
    this.at++;
    return true;
  }

  /** What a sticky expression that also matches nothing matches here. */
  take(wanted: RegExp): string {
    const from = this.at;
    wanted.lastIndex = from;
    wanted.test(this.text);
    this.at = wanted.lastIndex;
    return this.text.slice(from, this.at);
  }

  /** White space and comments, which nest (RFC 5322 section 3.2.2). */
  skipComments(): void {
    let depth = 0;
    for (; !this.atEnd; this.at++) {
      const c = this.peek;
      if (c === '(') depth++;
      else if (depth === 0 && c !== ' ' && c !== '\t' && c !== '\r' && c !== '\n') return;
      else if (c === '\\') this.at++;
      else if (c === ')' && depth > 0) depth--;
    }
    if (depth > 0) this.defect ??= 'an open comment';
  }

  quotedString(): string {
    let out = '';
    let from = ++this.at;
    for (; !this.atEnd; this.at++) {
      if (this.peek === '"') return out + this.text.slice(from, this.at++);
      if (this.peek === '\\') {
        out += this.text.slice(from, this.at++);
        from = this.at;
      }
    }
    this.defect ??= 'an open quoted string';
    return out + this.text.slice(from);
  }
}
