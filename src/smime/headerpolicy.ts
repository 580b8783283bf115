/**
 * Header Confidentiality Policies (RFC 9788 section 3): what of an encrypted mail's header stays readable outside. Also
 * which fields are never protected, since they are not the author's. Called by protect.ts and protectedheaders.ts.
 */
import { parseMailboxes } from './addresses.js';

/**
 * What a field looks like outside the encryption: its value as it is, another one in printable ASCII, or null for none.
 * `value` is unfolded, its encoded words are not decoded. Names come as they are written.
 */
export type HeaderPolicy = (name: string, value: string) => string | null;

/** The policies of RFC 9788 section 3.2, without the `hcp_` of their names. */
export type HeaderPolicyName = 'baseline' | 'shy' | 'no_confidentiality';

const INFORMATIONAL = new Set(['comments', 'keywords']);

const baseline: HeaderPolicy = (name, value) => {
  const key = name.toLowerCase();
  if (key === 'subject') return '[...]';
  return INFORMATIONAL.has(key) ? null : value;
};

/** Beyond baseline: no display names, and no time zone. What can't be parsed is left, so that mail arrives. */
const shy: HeaderPolicy = (name, value) => {
  const key = name.toLowerCase();
  if (key === 'from' || key === 'to' || key === 'cc') return withoutNames(value);
  return key === 'date' ? inUtc(value) : baseline(name, value);
};

export const HEADER_POLICIES: Readonly<Record<HeaderPolicyName, HeaderPolicy>> = {
  baseline,
  shy,
  no_confidentiality: (_, value) => value,
};

function withoutNames(value: string): string {
  const { mailboxes, malformed } = parseMailboxes(value);
  const addresses = mailboxes.map(({ address }) => address).join(', ');
  const usable = !malformed && /^[ -~]+$/.test(addresses);
  return usable && addresses.toLowerCase() !== value.toLowerCase() ? addresses : value;
}

const DATE = /^(?:[a-z]{3},\s*)?\d{1,2}\s+[a-z]{3}\s+\d{4}\s+\d\d:\d\d(?::\d\d)?\s+[+-]\d{4}(?=\s*(?:\(|$))/i;

function inUtc(value: string): string {
  const date = new Date(DATE.exec(value)?.[0] ?? Number.NaN);
  return Number.isNaN(+date) ? value : date.toUTCString().replace('GMT', '+0000');
}

/** User-Facing fields (RFC 9787 section 1.1.2): those that readers show. */
const USER_FACING = new Set(
  (
    'subject from to cc date reply-to followup-to sender ' +
    'resent-from resent-to resent-cc resent-date resent-sender'
  ).split(' '),
);
export const isUserFacing = (key: string): boolean => USER_FACING.has(key);

/** Further fields that change what a reader does with a mail: threads, answers, lists by keyword (RFC 9788 section 4.6). */
const ACTED_ON = new Set('message-id in-reply-to references mail-followup-to keywords comments'.split(' '));
export const isActedOn = (key: string): boolean => USER_FACING.has(key) || ACTED_ON.has(key);

/**
 * Fields that transport and lists add (RFC 9788 section 7), that no reader may take from the content (HP-Outer), and Bcc,
 * which would tell each recipient about the hidden ones (section 11.4).
 */
const NOT_THE_AUTHORS =
  /^(?:received|received-spf|return-path|delivered-to|x-original-to|authentication-results|(?:dkim|domainkey)-signature|arc-.*|list-.*|archived-at|hp-outer|(?:resent-)?bcc)$/;
export const isTheAuthors = (key: string): boolean => !NOT_THE_AUTHORS.test(key);
