/**
 * Composing with Header Protection (RFC 9788 section 5.2): the author's header fields are copied into the entity that is
 * signed or encrypted, and of an encrypted mail a policy says what of them stays outside. Called by message.ts.
 *
 * Refused: an entity that is signed or encrypted already, whose fields nobody would look for (section 5: only at the
 * root of the Cryptographic Payload). Bcc and the fields of transport stay outside as they are, and are not copied.
 */
import { buffer, concat } from '../bytes.js';
import { MailsealError } from '../errors.js';
import type { SplitMessage } from './build.js';
import {
  HEADER_POLICIES,
  type HeaderPolicy,
  type HeaderPolicyName,
  isTheAuthors,
  isUserFacing,
} from './headerpolicy.js';
import { type HeaderField, parseHeaders } from './headers.js';
import { addLegacyDisplay } from './legacydisplay.js';
import { classifyHeader, parseEntity } from './mime.js';
import { applyEdits, editType } from './rewrite.js';

export interface ProtectOptions {
  /** `clear` (hp="clear"): nothing is hidden. A policy (hp="cipher"): what stays outside of a mail that is encrypted. */
  readonly protectHeaders: 'clear' | HeaderPolicyName | HeaderPolicy;
  /** Write hidden fields into the text too, for mail programs that don't know RFC 9788. */
  readonly legacyDisplay?: boolean | undefined;
}

/**
 * @throws MailsealError USAGE if the entity is signed or encrypted already; MIME_MALFORMED, LIMIT_*
 * @throws RangeError for a policy that is none, or that returns what RFC 9788 3.1 does not allow
 */
export function protectHeaders({ outer, entity }: SplitMessage, options: ProtectOptions): SplitMessage {
  const { legacyDisplay = false } = options;
  const policy = options.protectHeaders === 'clear' ? undefined : policyOf(options.protectHeaders);
  if (policy === undefined && legacyDisplay) {
    throw new RangeError('legacyDisplay goes with a policy: nothing is hidden of a mail that is only signed');
  }
  if (classifyHeader(parseEntity(entity)).kind !== 'none') {
    throw new MailsealError(
      'USAGE',
      'the message is signed or encrypted already: its header is protected when that is done first',
    );
  }
  const inside: Uint8Array[] = [];
  const records: string[] = [];
  const outside: (Uint8Array | string)[] = [];
  const hidden: HeaderField[] = [];
  for (const field of parseHeaders(outer).fields) {
    if (!isTheAuthors(field.key)) {
      outside.push(field.bytes);
      continue;
    }
    inside.push(field.bytes);
    const { name, value } = field;
    const shown = policy === undefined ? value : apply(policy, field);
    if (shown !== value && isUserFacing(field.key)) hidden.push(field);
    if (shown === null) continue;
    const written = shown === value ? rawValue(field) : `${shown}\r\n`;
    if (policy !== undefined) records.push(record(name, written));
    outside.push(shown === value ? field.bytes : `${name}: ${written}`);
  }
  const shown = legacyDisplay && hidden.length > 0 ? addLegacyDisplay(entity, hidden) : entity;
  const parsed = parseEntity(shown);
  const marked = applyEdits(shown, [editType(parsed, { hp: policy === undefined ? 'clear' : 'cipher' })]);
  return { outer: concat(outside), entity: concat([...inside, ...records, marked]) };
}

function policyOf(policy: HeaderPolicyName | HeaderPolicy): HeaderPolicy {
  if (typeof policy === 'function') return policy;
  if (!Object.hasOwn(HEADER_POLICIES, policy)) throw new RangeError(`not a header policy: ${String(policy)}`);
  return HEADER_POLICIES[policy];
}

/** RFC 9788 section 3.1: the same value, none, or printable ASCII. */
function apply(policy: HeaderPolicy, { name, value }: HeaderField): string | null {
  const shown = policy(name, value);
  if (shown === null || shown === value) return shown;
  if (typeof shown === 'string' && /^[\t -~]*$/.test(shown)) return shown;
  throw new RangeError(`the header policy gives a value for ${name} that is not printable ASCII`);
}

/** Characters of a line (RFC 5322 section 2.1.1). */
const MAX_LINE = 998;

/** RFC 9788 section 2.2.1. A line that the longer name would make too long is folded. */
function record(name: string, value: string): string {
  const lineLength = `HP-Outer: ${name}: `.length + value.indexOf('\n');
  return `HP-Outer:${lineLength > MAX_LINE ? '\r\n' : ''} ${name}: ${value}`;
}

/** The value as it stands, folded, without white space in front. */
function rawValue({ source, valueStart, end }: HeaderField): string {
  return buffer(source).toString('latin1', valueStart, end).trimStart();
}
