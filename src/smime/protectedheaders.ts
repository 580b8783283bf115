/**
 * Reading Header Protection: RFC 9788 section 4, the wrapped message of RFC 8551 3.1 as section 4.10 has it, and the
 * scheme before (draft-autocrypt-lamps-protected-headers, appendix F.3). What the last two say of confidentiality is
 * inferred from the outer header, which anyone can change. Called by verify.ts and message.ts.
 */
import { buffer, concat, utf8 } from '../bytes.js';
import { readable } from '../errors.js';
import { append } from '../maps.js';
import { addressOf, parseMailboxes } from './addresses.js';
import { isContentField } from './build.js';
import { isActedOn, isTheAuthors } from './headerpolicy.js';
import { type HeaderField, type Headers, MAX_HEADER_LENGTH, parseHeaders } from './headers.js';
import { removeLegacyDisplay } from './legacydisplay.js';
import { classify, IDENTITY, type MimeEntity, parseEntity } from './mime.js';
import { applyEdits, editType } from './rewrite.js';

/** RFC 9788 section 4.3. */
export type FieldProtection = 'unprotected' | 'signed-only' | 'encrypted-only' | 'signed-and-encrypted';

export interface HeaderValue {
  /** As it is written. */
  name: string;
  /** Unfolded; encoded words stay encoded. */
  value: string;
}

export interface ProtectedField extends HeaderValue {
  protection: FieldProtection;
}

export interface HeaderDifference {
  /** As it is written inside, or where it is not, outside. */
  name: string;
  /** Values of the protected fields of this name; empty if it is only outside. */
  protected: string[];
  /** Values outside; empty if it is only inside. */
  outside: string[];
  /** The author says that it was sent so: a confidential field in the form that the policy left of it. */
  intended: boolean;
}

export interface ProtectedHeaders {
  /** The last two were used before RFC 9788, and say less for sure. */
  scheme: 'RFC 9788' | 'RFC 8551' | 'protected-headers';
  /** Whether the author meant the mail to be encrypted. It says nothing of whether it was. */
  intent: 'clear' | 'cipher';
  /** The author's fields, in order. These are the mail's, where they differ from those outside. */
  fields: readonly ProtectedField[];
  /** What the author left outside of an encrypted mail (HP-Outer). */
  outer: readonly HeaderValue[];
  /** Where the header outside is not the protected one; without fields that transport adds. */
  differences: readonly HeaderDifference[];
  /** From outside has other addresses (RFC 9788 section 4.4): show it, unless a signature proves the protected one. */
  fromMismatch: boolean;
}

export interface HeaderStatus {
  /** The protected fields came out of an encrypted layer. */
  encrypted?: boolean;
  /** A signature over them is valid. */
  signed?: boolean;
}

/** What protects the header, and where. */
export interface FoundHeaders {
  headers: ProtectedHeaders;
  /** The header section that has the protected fields. */
  source: Headers;
}

/** A word that every entity with protected fields has in its header. */
const SIGN = /\bhp\b|rfc822|message\/global|protected-headers/i;

/** Octets of what may be a header where no blank line ends it, as in a content that is no entity. */
const UNENDED = 1 << 16;

/** The header of an entity as text. This and what follows cost next to nothing: most mails have no protected fields. */
function headerOf(bytes: Uint8Array): string {
  const head = buffer(bytes).subarray(0, MAX_HEADER_LENGTH);
  if (head[0] === 0x0d || head[0] === 0x0a) return '';
  const end = head.indexOf('\n\r\n');
  return head.toString('latin1', 0, end < 0 ? UNENDED : end);
}

/** Whether an entity may be signed or encrypted. */
export const mayBeLayer = (bytes: Uint8Array): boolean => /signed|pkcs7|octet-stream/i.test(headerOf(bytes));

/** Octets of an opaque entity in whose text a sign of protected fields is looked for: many times the usual header. */
const LOOK_INSIDE = 1 << 14;

/** Whether what an opaque entity has signed may have protected fields. A header of many kilobytes may hide them. */
export function mayProtectInside(entity: MimeEntity): boolean {
  const start = buffer(entity.body).toString('latin1', 0, LOOK_INSIDE);
  return SIGN.test(
    IDENTITY.has(entity.transferEncoding) ? start : Buffer.from(start, 'base64').toString('latin1'),
  );
}

/**
 * The protected fields of a Cryptographic Payload, the entity inside all layers. Undefined if it has none, or can't be
 * read in one way only.
 */
export function protectedHeadersIn(
  bytes: Uint8Array,
  outside: Headers | undefined,
  { encrypted = true, signed = false }: HeaderStatus = {},
): FoundHeaders | undefined {
  if (!SIGN.test(headerOf(bytes))) return undefined;
  return readable(() => {
    const found = findScheme(parseEntity(bytes), encrypted);
    return found && { source: found.source, headers: interpret(found, outside, { encrypted, signed }) };
  }, undefined);
}

type Found = Pick<ProtectedHeaders, 'scheme' | 'intent'> & { source: Headers };

function findScheme(payload: MimeEntity, encrypted: boolean): Found | undefined {
  const { type, parameters } = payload.contentType;
  if (classify(payload).kind !== 'none') return undefined; // hp counts at the root of the payload alone
  const hp = parameters.get('hp')?.toLowerCase();
  if (hp === 'clear' || hp === 'cipher') return { scheme: 'RFC 9788', intent: hp, source: payload.headers };
  if (hp !== undefined) return undefined;
  const intent = encrypted ? 'cipher' : 'clear';
  if (parameters.get('protected-headers')?.toLowerCase() === 'v1') {
    return { scheme: 'protected-headers', intent, source: payload.headers };
  }
  const wraps = type === 'message/rfc822' || type === 'message/global';
  if (!wraps || !IDENTITY.has(payload.transferEncoding)) return undefined;
  if (parameters.get('forwarded')?.toLowerCase() === 'yes') return undefined; // draft-melnikov-iana-reg-forwarded
  const inner = payload.innerMessage();
  if (classify(inner).kind !== 'none' || inner.contentType.parameters.has('hp')) return undefined;
  return { scheme: 'RFC 8551', intent, source: inner.headers };
}

function interpret(
  { scheme, intent, source }: Found,
  outside: Headers | undefined,
  { encrypted, signed }: HeaderStatus,
): ProtectedHeaders {
  const fields = source.fields.filter(isProtected);
  // RFC 9788 2.2: HP-Outer says something in encrypted mail only; 4.10.2: the older schemes have the header outside.
  let outer: HeaderValue[] = [];
  if (intent === 'cipher') {
    outer =
      scheme === 'RFC 9788' ? readRecords(source) : (outside?.fields.filter(isProtected) ?? []).map(toValue);
  }
  const shown = new Set(outer.map(keyOf));
  const status = (field: HeaderValue): FieldProtection => {
    const hidden = encrypted === true && intent === 'cipher' && !shown.has(keyOf(field));
    if (hidden) return signed ? 'signed-and-encrypted' : 'encrypted-only';
    return signed ? 'signed-only' : 'unprotected';
  };
  const values = fields.map(toValue);
  return {
    scheme,
    intent,
    fields: values.map((field) => ({ ...field, protection: status(field) })),
    outer,
    differences: outside === undefined ? [] : compare(values, outside, intent === 'cipher' ? outer : values),
    fromMismatch: outside !== undefined && fromDiffers(source, outside),
  };
}

const toValue = ({ name, value }: HeaderField): HeaderValue => ({ name, value });

/** Not structural (RFC 9787 section 1.1.1), and not of transport. */
function isProtected(field: HeaderField): boolean {
  return !isContentField(field) && isTheAuthors(field.key);
}

/** Folding and the white space around it may change on the way. */
const normal = (value: string) => value.replace(/[ \t]+/g, ' ').trim();
const keyOf = ({ name, value }: HeaderValue) => `${name.toLowerCase()}:${normal(value)}`;

/** HP-Outer fields, RFC 9788 section 4.2.1 step 4. */
function readRecords(source: Headers): HeaderValue[] {
  return source.all('hp-outer').flatMap(({ value }) => {
    const colon = value.indexOf(':');
    return colon <= 0 ? [] : [{ name: value.slice(0, colon).trim(), value: value.slice(colon + 1).trim() }];
  });
}

/** @param expected what the author left outside */
function compare(
  inside: readonly HeaderValue[],
  { fields }: Headers,
  expected: readonly HeaderValue[],
): HeaderDifference[] {
  const outside = fields.filter(isProtected).map(toValue);
  const names = new Map<string, string>();
  for (const { name } of [...outside, ...inside]) names.set(name.toLowerCase(), name);
  const group = (values: readonly HeaderValue[]) => {
    const groups = new Map<string, string[]>();
    for (const { name, value } of values) append(groups, name.toLowerCase(), value);
    return (key: string) => groups.get(key) ?? [];
  };
  const [protectedOf, outsideOf, expectedOf] = [group(inside), group(outside), group(expected)];
  return [...names].flatMap(([key, name]) => {
    const difference = { name, protected: protectedOf(key), outside: outsideOf(key) };
    if (same(difference.protected, difference.outside)) return [];
    return [{ ...difference, intended: same(difference.outside, expectedOf(key)) }];
  });
}

function same(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((value, i) => normal(value) === normal(other[i] as string));
}

/** RFC 9788 sections 4.4.1.1 and 4.4.5. A payload without From says nothing of it. */
function fromDiffers(source: Headers, outside: Headers): boolean {
  return source.all('from').length > 0 && authors(source) !== authors(outside);
}

function authors(headers: Headers): string {
  const fields = headers.all('from').map(({ value }) => {
    const { mailboxes, malformed } = parseMailboxes(value);
    const isPlain =
      !malformed && mailboxes.length > 0 && mailboxes.every((box) => box.nameAddress === undefined);
    // What readers may take for another sender equals only itself.
    if (!isPlain) return normal(value);
    const addresses = mailboxes.map((mailbox) => addressOf(mailbox).toLowerCase());
    return [...new Set(addresses)].sort().join(',');
  });
  return fields.join('\n');
}

/**
 * The outer header and the entity of a decrypted mail as they are to be shown (RFC 9788 section 4): protected fields in
 * place of those outside, fields that only the outside has dropped where readers act on them. From stays if its address
 * is another (4.4.3); of the older schemes so does everything, while there is a signature to verify. An entity that has the protected fields itself loses hp and its Legacy Display Elements.
 */
export function applyProtected(
  outer: Uint8Array,
  entity: Uint8Array,
  found: FoundHeaders | undefined,
): [outer: Uint8Array, entity: Uint8Array] {
  if (found === undefined) return [outer, entity];
  const { source, headers } = found;
  // What they say of confidentiality is read off the outer header, which verify still needs.
  if (headers.scheme !== 'RFC 9788' && mayBeLayer(entity)) return [outer, entity];
  const inside = source.fields.filter(isProtected);
  const outside = parseHeaders(outer);
  const keepsFrom = headers.fromMismatch && outside.all('from').length > 0;
  const taken = new Set(inside.flatMap(({ key }) => (keepsFrom && key === 'from' ? [] : [key])));
  const written = new Set<string>();
  const pieces: Uint8Array[] = [];
  const write = (key: string) => {
    if (written.has(key)) return;
    written.add(key);
    for (const field of source.all(key)) pieces.push(...closed(field));
  };
  for (const field of outside.fields) {
    if (taken.has(field.key)) write(field.key);
    else if (field.key === 'from' || !isActedOn(field.key)) pieces.push(...closed(field));
  }
  for (const key of taken) write(key);
  return [concat(pieces), shownEntity(entity, headers.scheme)];
}

/** The octets of a field with the line end that the last one may lack. */
function closed({ bytes }: HeaderField): Uint8Array[] {
  return bytes[bytes.length - 1] === 0x0a ? [bytes] : [bytes, utf8('\r\n')];
}

/** A signed entity stays as it is, since its signature is still to be verified; so does one that is broken. */
function shownEntity(bytes: Uint8Array, scheme: ProtectedHeaders['scheme']): Uint8Array {
  return readable(() => {
    const entity = parseEntity(bytes);
    if (classify(entity).kind !== 'none') return bytes;
    if (scheme === 'RFC 8551') return entity.body; // the message in it is what is shown
    const shown = removeLegacyDisplay(bytes);
    return applyEdits(shown, [editType(parseEntity(shown), { hp: undefined })]);
  }, bytes);
}
