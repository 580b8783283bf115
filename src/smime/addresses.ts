/**
 * The mailboxes of From and Sender (RFC 5322 section 3.4, with the obsolete forms of section 4.4), for comparing them
 * with the addresses in a certificate. "Johnny, you are fooled" (USENIX Security 2019, signature spoofing): attackers
 * put several mailboxes, several From fields, or an address into the display name. So everything found is reported,
 * in order, and whatever does not follow the grammar sets `malformed`: no match may be trusted then.
 *
 * Called by verify.ts, protectedheaders.ts and headerpolicy.ts, for encoded words by mime.ts and legacydisplay.ts.
 */
import { normalizeEmail } from '../x509/name.js';
import { decodeCharset, type HeaderField, type Headers } from './headers.js';

export interface Mailbox {
  /** local-part@domain: domain in lower case, quotes only where the local part needs them. */
  address: string;
  /** With encoded words (RFC 2047) decoded. Empty if there is none. */
  displayName: string;
  /** An address in the display name that is another than `address`. */
  nameAddress?: string;
}

/** In the form that the addresses of certificates have, where it has one: domains as A-labels. */
export const addressOf = ({ address }: Mailbox): string => normalizeEmail(address) ?? address;

export interface MailboxList {
  mailboxes: Mailbox[];
  /** Something does not follow the grammar: readers may see other mailboxes. */
  malformed: boolean;
}

export interface Senders {
  from: Mailbox[];
  sender: Mailbox[];
  /** Number of From fields; more than one is an attack or a mistake (RFC 5322 section 3.6). */
  fromFields: number;
  senderFields: number;
  malformed: boolean;
}

/** Mailboxes, and fields of one name, that are read. The rest is an attack on time: it is `malformed`. */
export const MAX_MAILBOXES = 1000;

/** Every mailbox of every From and Sender field. */
export function readSenders(headers: Headers): Senders {
  const fromFields = headers.all('from');
  const senderFields = headers.all('sender');
  let malformed = fromFields.length > MAX_MAILBOXES || senderFields.length > MAX_MAILBOXES;
  const read = (fields: readonly HeaderField[]): Mailbox[] => {
    const boxes: Mailbox[] = [];
    for (const field of fields.slice(0, MAX_MAILBOXES)) {
      const list = parseMailboxes(field.value);
      boxes.push(...list.mailboxes);
      malformed ||= list.malformed || boxes.length > MAX_MAILBOXES;
      if (boxes.length > MAX_MAILBOXES) break;
    }
    return boxes.slice(0, MAX_MAILBOXES);
  };
  const from = read(fromFields);
  const sender = read(senderFields);
  return { from, sender, fromFields: fromFields.length, senderFields: senderFields.length, malformed };
}

/** `word` is an atom (dots included), `quoted` a quoted string, `literal` a domain literal, `special` one character. */
interface Token {
  kind: 'word' | 'quoted' | 'literal' | 'special';
  text: string;
}

const SPECIALS = '<>,:;@';
const WORD = /[^\s()<>@,;:\\"[\]]+/y;

/** Tokens without comments; comments apart, because `a@b (Name)` was once the way to give a name. */
function tokenize(value: string): { tokens: Token[]; comments: Map<number, string>; malformed: boolean } {
  const tokens: Token[] = [];
  const comments = new Map<number, string>();
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  let malformed = /[\x00-\x08\x0a-\x1f\x7f]/.test(value);
  let at = 0;
  /** Reads up to `close`, honouring backslashes and, for comments, nesting. */
  const delimited = (open: string, close: string): string => {
    let out = '';
    let depth = 1;
    let from = ++at;
    for (; at < value.length; at++) {
      const c = value.charAt(at);
      if (c === close && --depth === 0) return out + value.slice(from, at++);
      if (c === open) depth++;
      if (c === '\\') {
        out += value.slice(from, at++);
        from = at;
      }
    }
    malformed = true;
    return out + value.slice(from);
  };
  while (at < value.length) {
    const c = value.charAt(at);
    if (c === ' ' || c === '\t') at++;
    else if (c === '(') {
      const before = comments.get(tokens.length);
      const comment = delimited('(', ')');
      comments.set(tokens.length, before === undefined ? comment : `${before} ${comment}`);
    } else if (c === '"') tokens.push({ kind: 'quoted', text: delimited('"', '"') });
    else if (c === '[') tokens.push({ kind: 'literal', text: `[${delimited('[', ']')}]` });
    else if (SPECIALS.includes(c)) {
      tokens.push({ kind: 'special', text: c });
      at++;
    } else {
      WORD.lastIndex = at;
      const word = WORD.exec(value)?.[0];
      if (word === undefined) {
        malformed = true;
        at++;
      } else {
        tokens.push({ kind: 'word', text: word });
        at += word.length;
      }
    }
  }
  return { tokens, comments, malformed };
}

/** Reads an address list: mailboxes and groups, in any mix. */
export function parseMailboxes(value: string): MailboxList {
  const { tokens, comments, malformed } = tokenize(value);
  const list: MailboxList = { mailboxes: [], malformed };
  let inGroup = false;
  let first = 0;
  let inAngle = false;
  for (let i = 0; i <= tokens.length; i++) {
    if (list.mailboxes.length === MAX_MAILBOXES && i < tokens.length) {
      list.malformed = true;
      break;
    }
    const token = tokens[i];
    const special = token?.kind === 'special' ? token.text : '';
    if (special === '<') inAngle = true;
    if (special === '>') inAngle = false;
    if (inAngle && token !== undefined) continue; // a route may hold commas and a colon: <@a,@b:c@d>
    if (special === ':') {
      // The tokens so far are a group's name (RFC 5322 section 3.4), which may hold no address: readers show it.
      const name = tokens.slice(first, i);
      if (inGroup || name.length === 0 || name.some(({ kind }) => kind === 'special')) list.malformed = true;
      if (misleads(decodeWords(phraseText(name)), new Set())) list.malformed = true;
      inGroup = true;
      first = i + 1;
    } else if (token === undefined || special === ',' || special === ';') {
      if (i > first) readMailbox(tokens, first, i, comments, list);
      if (special === ';') {
        if (!inGroup) list.malformed = true;
        inGroup = false;
      }
      first = i + 1;
    }
  }
  if (inGroup) list.malformed = true;
  // Some readers show comments, wherever they stand.
  const known = new Set(list.mailboxes.map(({ address }) => address.toLowerCase()));
  for (const comment of comments.values()) if (misleads(decodeWords(comment), known)) list.malformed = true;
  return list;
}

/** Whether text that is shown holds an address that is not known, or control characters. */
function misleads(shown: string, known: ReadonlySet<string>): boolean {
  return CONTROL.test(shown) || addressInName(shown, known) !== undefined;
}

/** One mailbox in tokens `from`…`to`: `phrase <route addr-spec>`, or a bare addr-spec. */
function readMailbox(
  tokens: readonly Token[],
  from: number,
  to: number,
  comments: ReadonlyMap<number, string>,
  list: MailboxList,
): void {
  const isSpecial = (i: number, text: string) => tokens[i]?.kind === 'special' && tokens[i]?.text === text;
  let open = from;
  while (open < to && !isSpecial(open, '<')) open++;
  if (open === to) {
    push(list, addrSpec(tokens, from, to, list), decodeWords(comments.get(to) ?? ''));
    return;
  }
  const phrase = tokens.slice(from, open);
  // Of several in brackets only the first has the name: a name for each would take quadratic time.
  let displayName = decodeWords(phraseText(phrase));
  const odd = phrase.some((token) => token.kind === 'special');
  while (open < to) {
    let close = open + 1;
    while (close < to && !isSpecial(close, '>')) close++;
    const start = isSpecial(open + 1, '@') ? skipRoute(tokens, open + 1, close, list) : open + 1;
    const box = push(list, addrSpec(tokens, start, close, list), displayName);
    if (odd && box?.nameAddress !== undefined) {
      list.malformed = true; // an address stands unquoted before the one in brackets, and it is not the same
    }
    if (close >= to || close + 1 < to) list.malformed = true; // no closing bracket, or text behind it
    displayName = '';
    open = close + 1;
    while (open < to && !isSpecial(open, '<')) open++;
  }
}

/**
 * Where the addr-spec begins behind the obsolete route `@a,@b:` (RFC 5322 section 4.4), which says nothing about the
 * mailbox. Anything else before a colon may look like an address.
 */
function skipRoute(tokens: readonly Token[], from: number, to: number, list: MailboxList): number {
  const text = (i: number, kind: Token['kind']) => (tokens[i]?.kind === kind ? (tokens[i]?.text ?? '') : '');
  let at = from;
  while (at + 2 < to && text(at, 'special') === '@') {
    const domain = text(at + 1, 'word');
    if (hasEncodedWord(domain) || (!DOT_ATOM.test(domain) && text(at + 1, 'literal') === '')) break;
    const next = text(at + 2, 'special');
    at += 3;
    if (next === ':') return at;
    if (next !== ',') break;
  }
  list.malformed = true;
  let start = from;
  for (let i = from; i < to; i++) if (text(i, 'special') === ':') start = i + 1;
  return start;
}

/** Words with a space between them; nothing around a stray `@`, so that `a@b <c@d>` shows the address a@b. */
function phraseText(phrase: readonly Token[]): string {
  let text = '';
  let previous: Token | undefined;
  for (const token of phrase) {
    const tight = previous === undefined || previous.kind === 'special' || token.kind === 'special';
    text += tight ? token.text : ` ${token.text}`;
    previous = token;
  }
  return text;
}

const ATEXT = String.raw`[^\s()<>@,;:\\"[\].\x00-\x1f\x7f]+`;
const DOT_ATOM = new RegExp(`^${ATEXT}(?:\\.${ATEXT})*$`);

/** The normal form of an addr-spec; undefined if there is nothing like one. */
function addrSpec(tokens: readonly Token[], from: number, to: number, list: MailboxList): string | undefined {
  const sides: string[] = [''];
  let literal = false;
  let hasQuotes = false;
  let previous: Token | undefined;
  for (let i = from; i < to; i++) {
    const token = tokens[i] as Token;
    if (token.kind === 'special') {
      if (token.text === '@') sides.push('');
      else list.malformed = true;
    } else {
      // Words side by side need a dot between them, or this is a phrase and not an address.
      if (previous !== undefined && previous.kind !== 'special') {
        if (!previous.text.endsWith('.') && !token.text.startsWith('.')) list.malformed = true;
      }
      if (token.kind === 'literal') literal = true;
      if (token.kind === 'quoted') {
        hasQuotes = true;
        if (sides.length > 1) list.malformed = true;
      }
      sides[sides.length - 1] += token.text;
    }
    previous = token;
  }
  const domain = sides.pop() as string;
  const local = sides.join('@');
  if (sides.length !== 1 || local === '' || (!hasQuotes && !DOT_ATOM.test(local))) list.malformed = true;
  if (sides.length === 0) return undefined;
  if (!literal && !DOT_ATOM.test(domain)) list.malformed = true;
  // RFC 2047 section 5 allows no encoded word here; readers that decode one see another address ("Mailsploit").
  if (hasEncodedWord(local) || hasEncodedWord(domain)) list.malformed = true;
  const needsQuotes = hasQuotes && !DOT_ATOM.test(local);
  return `${needsQuotes ? `"${local.replace(/[\\"]/g, '\\$&')}"` : local}@${lowerAscii(domain)}`;
}

function hasEncodedWord(text: string): boolean {
  const open = text.indexOf('=?');
  return open >= 0 && text.indexOf('?=', open + 2) >= 0;
}

function lowerAscii(text: string): string {
  return /[A-Z]/.test(text) ? text.replace(/[A-Z]+/g, (upper) => upper.toLowerCase()) : text;
}

function push(list: MailboxList, address: string | undefined, displayName: string): Mailbox | undefined {
  if (address === undefined || list.mailboxes.length === MAX_MAILBOXES) {
    list.malformed = true;
    return undefined;
  }
  if (CONTROL.test(displayName)) list.malformed = true;
  const box: Mailbox = { address, displayName };
  const nameAddress = addressInName(displayName, new Set([address.toLowerCase()]));
  if (nameAddress !== undefined) box.nameAddress = nameAddress;
  list.mailboxes.push(box);
  return box;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: decoded words smuggle them into what is displayed
const CONTROL = /[\x00-\x1f\x7f]/;

/** Octets of an address on each side of its `@` (RFC 5321 section 4.5.3.1). */
const MAX_SIDE = 255;

/** The first thing like an address in text that is shown, but for the known ones. Full-width letters count as plain ones. */
function addressInName(name: string, known: ReadonlySet<string>): string | undefined {
  if (name === '') return undefined;
  const text = name.normalize('NFKC');
  const part = (c: string) => c !== '' && !/[\s()<>@,;:\\"'[\]]/.test(c);
  for (let at = text.indexOf('@'); at >= 0; at = text.indexOf('@', at + 1)) {
    let from = at;
    let to = at + 1;
    while (at - from < MAX_SIDE && from > 0 && part(text.charAt(from - 1))) from--;
    while (to - at <= MAX_SIDE && part(text.charAt(to))) to++;
    const found = text.slice(from, to);
    if (from < at && to > at + 1 && !known.has(found.toLowerCase())) return found;
  }
  return undefined;
}

const ENCODED_WORD = /=\?([^?\s*]+)(?:\*[^?\s]*)?\?([bBqQ])\?([^?\s]*)\?=/g;

/** Encoded words of RFC 2047; one that cannot be decoded stays as it is. */
export function decodeWords(text: string): string {
  if (!text.includes('=?')) return text;
  // White space between two encoded words is not part of the text (section 6.2).
  return text
    .replace(/\?=[ \t]+(?==\?)/g, '?=')
    .replace(ENCODED_WORD, (word, charset: string, encoding: string, data: string) => {
      const octets =
        encoding === 'b' || encoding === 'B'
          ? Buffer.from(data, 'base64')
          : Buffer.from(
              data
                .replaceAll('_', ' ')
                .replace(/=([0-9a-fA-F]{2})/g, (_, hex: string) =>
                  String.fromCharCode(Number.parseInt(hex, 16)),
                ),
              'latin1',
            );
      return decodeCharset(octets, charset) ?? word;
    });
}
