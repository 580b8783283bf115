/**
 * MIME entities as byte ranges (RFC 2045, RFC 2046), and which of them are S/MIME (RFC 8551 section 3.9, RFC 1847).
 * The octets of a body part are exactly those that a signature covers: header and body, without the line end before
 * the delimiter (RFC 2046 section 5.1.1).
 *
 * Refused as MIME_MALFORMED: two Content-Type or Content-Transfer-Encoding fields, a multipart without a clear boundary
 * or without a delimiter, a multipart/signed that is not two parts and a closing delimiter. Depth and number of parts
 * are capped. Called by message.ts, sevenbit.ts, build.ts and streams/.
 */
import { assertBytes, buffer } from '../bytes.js';
import { MailsealError } from '../errors.js';
import { decodeWords } from './addresses.js';
import { type ContentType, type Headers, parseHeaders, parseParameterized, STRAY_TEXT } from './headers.js';
import { decodeBase64, decodeQuotedPrintable } from './transfer.js';

/** Nested multiparts and messages. Each level scans its octets once more; Postfix stops at 100. */
export const MAX_DEPTH = 50;
/** Body parts in a message, all levels together. */
export const MAX_PARTS = 10_000;
/** RFC 2046 section 5.1.1 ends at 70 octets; a few mailers go over it. */
const MAX_BOUNDARY_LENGTH = 200;

/** What is refused of a multipart as a whole. */
export const NO_DELIMITER = 'a multipart without a delimiter';
export const NOT_TWO_PARTS = 'multipart/signed is not two parts and a closing delimiter';

const CR = 0x0d;
const LF = 0x0a;

/** Offsets in the source. */
export interface Range {
  start: number;
  end: number;
}

export interface Multipart {
  boundary: string;
  /** Octets before the first delimiter: shown by no reader, signed by nobody. */
  preamble: Range;
  parts: readonly MimeEntity[];
  /** Octets behind the closing delimiter. */
  epilogue: Range;
  /** Whether there is a closing delimiter. */
  closed: boolean;
}

/** What all entities of one message share. */
interface Budget {
  parts: number;
}

export class MimeEntity {
  readonly source: Uint8Array;
  readonly start: number;
  readonly end: number;
  private readonly depth: number;
  private readonly budget: Budget;
  private readonly defaultType: string;
  private headersRead: Headers | undefined;
  private contentTypeRead: ContentType | undefined;
  private multipartRead: Multipart | undefined;
  private innerRead: MimeEntity | undefined;

  /** Use {@link parseEntity}; this makes entities inside another. */
  constructor(
    source: Uint8Array,
    { start, end }: Range,
    depth: number,
    budget: Budget,
    defaultType = 'text/plain',
  ) {
    this.source = source;
    this.start = start;
    this.end = end;
    this.depth = depth;
    this.budget = budget;
    this.defaultType = defaultType;
  }

  /** @throws MailsealError MIME_MALFORMED, LIMIT_LENGTH */
  get headers(): Headers {
    this.headersRead ??= parseHeaders(this.source, this.start, this.end);
    return this.headersRead;
  }

  get bodyStart(): number {
    return this.headers.bodyStart;
  }

  /** Content-Type, or the default of RFC 2045 section 5.2. */
  get contentType(): ContentType {
    if (this.contentTypeRead === undefined) {
      const field = this.headers.one('content-type');
      this.contentTypeRead =
        field === undefined
          ? { type: this.defaultType, parameters: new Map() }
          : parseParameterized(field.value);
    }
    return this.contentTypeRead;
  }

  /** Content-Transfer-Encoding in lower case; `7bit` if there is none (RFC 2045 section 6.1). */
  get transferEncoding(): string {
    const field = this.headers.one('content-transfer-encoding');
    if (field === undefined) return '7bit';
    const value = field.value.toLowerCase();
    if (IDENTITY.has(value) || DECODERS.has(value)) return value;
    return parseParameterized(value).type || '7bit'; // with comments
  }

  /** The file name of Content-Disposition, else the name of Content-Type. */
  get fileName(): string | undefined {
    const disposition = this.headers.all('content-disposition')[0];
    const name =
      (disposition && parseParameterized(disposition.value).parameters.get('filename')) ??
      this.contentType.parameters.get('name');
    return name === undefined ? undefined : decodeWords(name);
  }

  /** Header and body, exact. A view. */
  get bytes(): Uint8Array {
    return this.source.subarray(this.start, this.end);
  }

  /** The body, exact and still in its transfer encoding. A view. */
  get body(): Uint8Array {
    return this.source.subarray(this.bodyStart, this.end);
  }

  get isMultipart(): boolean {
    return this.contentType.type.startsWith('multipart/');
  }

  /** The parts. @throws MailsealError MIME_MALFORMED, LIMIT_DEPTH, LIMIT_RECORDS */
  multipart(): Multipart {
    this.multipartRead ??= this.split();
    return this.multipartRead;
  }

  /** The message inside a message/rfc822 or message/global. @throws MailsealError LIMIT_DEPTH, LIMIT_RECORDS */
  innerMessage(): MimeEntity {
    this.innerRead ??= this.inside({ start: this.bodyStart, end: this.end });
    return this.innerRead;
  }

  private inside(range: Range, defaultType?: string): MimeEntity {
    if (this.depth >= MAX_DEPTH) {
      throw new MailsealError('LIMIT_DEPTH', `entities nested over ${MAX_DEPTH} deep`, {
        offset: range.start,
      });
    }
    if (++this.budget.parts > MAX_PARTS) {
      throw new MailsealError('LIMIT_RECORDS', `over ${MAX_PARTS} body parts`, { offset: range.start });
    }
    return new MimeEntity(this.source, range, this.depth + 1, this.budget, defaultType);
  }

  private malformed(message: string, offset = this.start): MailsealError {
    return new MailsealError('MIME_MALFORMED', message, { offset });
  }

  /** The boundary of a multipart whose parts every reader sees alike. @throws MailsealError MIME_MALFORMED */
  boundary(): string {
    const { type, parameters, defect } = this.contentType;
    const boundary = parameters.get('boundary');
    if (!this.isMultipart) throw this.malformed(`${type} has no parts`);
    if (defect !== undefined) throw this.malformed(`Content-Type of a multipart: ${defect}`);
    if (boundary === undefined) throw this.malformed('a multipart without a boundary');
    // A space at the end would be lost in transport (RFC 2046 section 5.1.1).
    if (!/^[ -~]*[!-~]$/.test(boundary) || boundary.length > MAX_BOUNDARY_LENGTH) {
      throw this.malformed('a boundary that RFC 2046 does not allow');
    }
    // RFC 2045 section 6.4: otherwise the parts that one reader sees are not those of another.
    if (!IDENTITY.has(this.transferEncoding)) throw this.malformed('a multipart in a transfer encoding');
    return boundary;
  }

  private split(): Multipart {
    const boundary = this.boundary();
    const defaultType = this.contentType.type === 'multipart/digest' ? 'message/rfc822' : undefined;
    const text = buffer(this.source).subarray(0, this.end);
    const needle = Buffer.from(`--${boundary}`, 'latin1');
    const parts: MimeEntity[] = [];
    let preamble: Range | undefined;
    let partStart = this.bodyStart;
    // The line end before the body counts, so that a delimiter may be the body's first line. Searched for is what stands
    // behind a line end, which is far rarer than line ends are.
    for (let from = partStart; ; ) {
      const at = text.indexOf(needle, from);
      if (at < 0) break;
      const delimiter = text[at - 1] === LF ? delimiterEnd(text, at + needle.length) : undefined;
      if (delimiter === undefined) {
        from = text.indexOf(LF, at) + 1; // the next line: of many matches in one only the first is looked at
        if (from === 0) break;
        continue;
      }
      // Two delimiter lines in a row share a line end: nothing is between them.
      const lineEnd = at - (text[at - 2] === CR ? 2 : 1);
      const partEnd = Math.max(partStart, lineEnd);
      const range = { start: partStart, end: partEnd };
      if (preamble === undefined) preamble = range;
      else parts.push(this.inside(range, defaultType));
      if (delimiter.closing) {
        return { boundary, preamble, parts, epilogue: { start: delimiter.end, end: this.end }, closed: true };
      }
      partStart = delimiter.end;
      from = partStart;
    }
    if (preamble === undefined) throw this.malformed(NO_DELIMITER, this.bodyStart);
    parts.push(this.inside({ start: partStart, end: this.end }, defaultType));
    return { boundary, preamble, parts, epilogue: { start: this.end, end: this.end }, closed: false };
  }
}

/** Transfer encodings that change nothing. */
export const IDENTITY: ReadonlySet<string> = new Set(['7bit', '8bit', 'binary']);

/**
 * The rest of a delimiter line behind `--boundary`: `--` or not, transport padding, the line end. Undefined if the
 * line goes on otherwise: then it is content, such as the delimiter of an inner boundary that starts like this one.
 */
export function delimiterEnd(text: Buffer, at: number): { end: number; closing: boolean } | undefined {
  const closing = text[at] === 0x2d && text[at + 1] === 0x2d;
  let i = closing ? at + 2 : at;
  while (text[i] === 0x20 || text[i] === 0x09) i++;
  if (i >= text.length) return { end: text.length, closing };
  if (text[i] === CR && text[i + 1] === LF) return { end: i + 2, closing };
  return text[i] === LF ? { end: i + 1, closing } : undefined;
}

/**
 * Reads the header of a message or body part; parts are read when asked for.
 * @throws MailsealError MIME_MALFORMED with the offset, LIMIT_LENGTH
 */
export function parseEntity(bytes: Uint8Array): MimeEntity {
  assertBytes(bytes, 'bytes');
  const entity = new MimeEntity(bytes, { start: 0, end: bytes.length }, 0, { parts: 0 });
  entity.headers.one('content-type');
  entity.headers.one('content-transfer-encoding');
  return entity;
}

/**
 * The body without its transfer encoding (RFC 2045 section 6): a view where that changes nothing.
 * @param strict refuse what the encoding does not allow; otherwise read over it
 * @throws MailsealError MIME_MALFORMED with the offset in the source; UNSUPPORTED_FEATURE for an unknown encoding
 */
export function decodeBody(entity: MimeEntity, { strict = true }: { strict?: boolean } = {}): Uint8Array {
  const { transferEncoding, body } = entity;
  if (IDENTITY.has(transferEncoding)) return body;
  const decode = DECODERS.get(transferEncoding);
  if (decode === undefined) {
    throw new MailsealError('UNSUPPORTED_FEATURE', `transfer encoding ${transferEncoding}`, {
      offset: entity.start,
    });
  }
  return shifted(entity.bodyStart, () => decode(body, strict));
}

/** What `read` returns of a piece; the offset of an error becomes one in the whole, where the piece starts at `start`. */
export function shifted<T>(start: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof MailsealError)) throw error;
    throw new MailsealError(error.code, error.message, { offset: start + (error.offset ?? 0) });
  }
}

const DECODERS: ReadonlyMap<string, (bytes: Uint8Array, strict: boolean) => Uint8Array> = new Map([
  ['base64', decodeBase64],
  ['quoted-printable', decodeQuotedPrintable],
]);

export type Smime =
  | MultipartSigned
  /** The body is a CMS object. `smimeType`, in lower case, is what the header says; the object's own type decides. */
  | { kind: 'pkcs7-mime'; smimeType?: string }
  /** A detached signature alone. */
  | { kind: 'pkcs7-signature' }
  | { kind: 'none' };

interface MultipartSigned {
  kind: 'multipart-signed';
  /** Its octets are what was signed. */
  content: MimeEntity;
  /** Holds the CMS object. */
  signature: MimeEntity;
  /** In lower case. */
  micalg: string[];
}

const PKCS7_MIME = /^application\/(?:x-)?pkcs7-mime$/;
const PKCS7_SIGNATURE = /^application\/(?:x-)?pkcs7-signature$/;
const PROTOCOL = /^application\/(?:x-)?pkcs7-(?:signature|mime)$/;

/** What the header alone says; of a multipart/signed that names no protocol, its second part says it. */
function declaredKind(entity: MimeEntity): Smime['kind'] {
  const { type, parameters } = entity.contentType;
  if (type === 'multipart/signed') {
    const protocol = parameters.get('protocol')?.toLowerCase();
    const isSmime = protocol === undefined ? secondIsSignature(entity) : PROTOCOL.test(protocol);
    return isSmime ? 'multipart-signed' : 'none';
  }
  if (PKCS7_MIME.test(type)) return 'pkcs7-mime';
  if (PKCS7_SIGNATURE.test(type)) return 'pkcs7-signature';
  if (type !== 'application/octet-stream') return 'none';
  // Mailers that do not know S/MIME forward its parts so; the file name extension is what is left (RFC 8551 3.9).
  const extension = /\.p7([mcsz])$/i.exec(entity.fileName ?? '')?.[1]?.toLowerCase();
  if (extension === undefined) return 'none';
  return extension === 's' ? 'pkcs7-signature' : 'pkcs7-mime';
}

function secondIsSignature(entity: MimeEntity): boolean {
  return tolerant(() => {
    const second = entity.multipart().parts[1];
    return second !== undefined && holdsSignature(second);
  }, false);
}

/** A gateway may have made application/octet-stream of it, and some mailers name the wrong one of the two types. */
export function holdsSignature(part: MimeEntity): boolean {
  const kind = part.contentType.type === 'multipart/signed' ? 'none' : declaredKind(part);
  return kind === 'pkcs7-signature' || kind === 'pkcs7-mime';
}

/** @throws MailsealError MIME_MALFORMED if that is no second part of a multipart/signed */
export function requireSignature(part: MimeEntity): void {
  if (holdsSignature(part)) return;
  throw new MailsealError('MIME_MALFORMED', 'the second part of multipart/signed is not what protocol says', {
    offset: part.start,
  });
}

/**
 * Whether a whole message is S/MIME, and which kind. Only the top entity counts: a part among others that is opened
 * and shown beside them is how EFAIL's direct exfiltration works.
 * @throws MailsealError MIME_MALFORMED if it says that it is S/MIME but readers could differ about its parts
 */
export function classify(entity: MimeEntity): Smime {
  const declared = refined(declaredKind(entity), entity);
  if (declared.kind !== 'multipart-signed') return declared;
  const { parts, closed } = entity.multipart();
  const [content, signature] = parts;
  if (content === undefined || signature === undefined || parts.length !== 2 || !closed) {
    throw new MailsealError('MIME_MALFORMED', NOT_TWO_PARTS, { offset: entity.bodyStart });
  }
  requireSignature(signature);
  return { content, signature, ...declared };
}

/**
 * The same from the header alone. A multipart/signed that names no protocol counts as S/MIME if it has parts at all: whether it
 * is, its second part says.
 * @throws MailsealError MIME_MALFORMED
 */
export function classifyHeader(entity: MimeEntity): Declared {
  if (!isUnnamed(entity)) return refined(declaredKind(entity), entity);
  const kind = tolerant<Smime['kind']>(() => {
    entity.boundary();
    return 'multipart-signed';
  }, 'none');
  return refined(kind, entity);
}

/** multipart/signed without the parameter that RFC 1847 wants of it. */
export const isUnnamed = ({ contentType: { type, parameters } }: MimeEntity): boolean =>
  type === 'multipart/signed' && !parameters.has('protocol');

type Declared = Exclude<Smime, { kind: 'multipart-signed' }> | Pick<MultipartSigned, 'kind' | 'micalg'>;

function refined(kind: Smime['kind'], entity: MimeEntity): Declared {
  if (kind === 'none') return { kind };
  const { parameters, defect } = entity.contentType;
  if (defect !== undefined && defect !== STRAY_TEXT) {
    throw new MailsealError('MIME_MALFORMED', `Content-Type: ${defect}`, { offset: entity.start });
  }
  if (kind === 'pkcs7-signature') return { kind };
  if (kind === 'multipart-signed') {
    const micalg = (parameters.get('micalg') ?? '').toLowerCase().split(',');
    return { kind, micalg: micalg.map((name) => name.trim()).filter((name) => name !== '') };
  }
  const smimeType =
    parameters.get('smime-type')?.toLowerCase() ??
    SMIME_TYPES.get(entity.fileName?.slice(-4).toLowerCase() ?? '');
  return smimeType === undefined ? { kind } : { kind, smimeType };
}

const SMIME_TYPES: ReadonlyMap<string, string> = new Map([
  ['.p7c', 'certs-only'],
  ['.p7z', 'compressed-data'],
]);

export interface NestedSmime extends Range {
  /** Place in the tree as in IMAP (RFC 3501 section 6.4.5): `2.1` is the first part of the second. */
  path: string;
  kind: Exclude<Smime['kind'], 'none'>;
  entity: MimeEntity;
  /** It belongs to a message that this one carries (message/rfc822), not to this one. */
  inMessage: boolean;
}

/**
 * S/MIME parts below the top entity, to be reported and never opened. What is inside them is not looked at, except
 * what a top multipart/signed has signed.
 * @throws MailsealError LIMIT_DEPTH, LIMIT_RECORDS
 */
export function nestedSmime(entity: MimeEntity): NestedSmime[] {
  const found: NestedSmime[] = [];
  const visit = (part: MimeEntity, path: string, inMessage: boolean): void => {
    const kind = declaredKind(part);
    if (kind === 'none') within(part, path, inMessage);
    else found.push({ path, kind, start: part.start, end: part.end, entity: part, inMessage });
  };
  const within = (part: MimeEntity, path: string, inMessage: boolean): void => {
    const { type } = part.contentType;
    if (part.isMultipart) {
      const parts = part.multipart().parts;
      // The signature of the top entity is part of it, not something nested.
      const shown = part === entity && declaredKind(part) === 'multipart-signed' ? parts.slice(0, 1) : parts;
      shown.forEach((child, i) => {
        tolerant(() => visit(child, subPath(path, i + 1), inMessage), undefined);
      });
    } else if (
      (type === 'message/rfc822' || type === 'message/global') &&
      IDENTITY.has(part.transferEncoding)
    ) {
      visit(part.innerMessage(), subPath(path, 1), true);
    }
  };
  tolerant(() => within(entity, '', false), undefined);
  return found;
}

/** Place of the nth part of what is at `path`, counted from 1; the top entity's path is empty. */
export function subPath(path: string, n: number): string {
  return path === '' ? `${n}` : `${path}.${n}`;
}

/**
 * What `read` returns, or something else of a malformed part: it holds no S/MIME part that a reader would open, and must
 * not hide its siblings either. Limits are thrown.
 */
export function tolerant<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof MailsealError && error.code === 'MIME_MALFORMED') return otherwise;
    throw error;
  }
}
