/**
 * Which of our keys a mail's recipients name, and in which order they are to be tried. Anybody whose certificate gets into
 * the store, and anybody who writes a mail, may try to crowd out the key that opens it:
 *   certificates that copy a subjectKeyIdentifier     a key that the identifier is made from goes before all others
 *   certificates that copy issuer and serial number   the key that was here first goes first
 *   recipients that name one key again and again      every key has its first turn before any has its second
 * Used by the SQL store.
 */
import { toHex } from '../bytes.js';
import type { RecipientIdentifier } from '../cms/recipients.js';
import { isMadeFromKey, Kind, queryOf } from './record.js';
import type { MatchQuery, MatchRow } from './sql.js';
import { certificateIn } from './stored.js';

/** Keys of one recipient that are tried. More than one takes certificates that share what should be unique. */
const MAX_KEYS_OF_RECIPIENT = 4;

/** One key that a recipient names. */
export interface KeyMatch {
  /** Index into the list of recipients. */
  readonly recipient: number;
  /** Which key it is: hexadecimal of its spki_hash. */
  readonly key: string;
  /** The certificates by which it is named: by kind of index entry, then newest first. */
  readonly rows: readonly [MatchRow, ...MatchRow[]];
}

/** All matches, by recipient, the likeliest key first. One query for the lot. */
export async function matchRecipients(
  matches: MatchQuery,
  recipients: readonly RecipientIdentifier[],
): Promise<KeyMatch[]> {
  const queries = recipients.map((recipient) => {
    const query = queryOf(recipient);
    return query && { ...query, key: toHex(query.value) };
  });
  const values = new Map(queries.flatMap((query) => (query ? [[query.key, query.value]] : [])));
  const found = grouped(await matches.run([...values.values()]), ({ value }) => toHex(value));
  const ranked = new Map<string, readonly KeyRows[]>(); // a mail can name one recipient any number of times
  return queries.flatMap((query, recipient) => {
    if (query === undefined) return [];
    const id = `${query.kinds} ${query.key}`;
    let keys = ranked.get(id);
    if (keys === undefined) {
      keys = rankKeys((found.get(query.key) ?? []).filter(({ kind }) => query.kinds.includes(kind)));
      ranked.set(id, keys);
    }
    return keys.map(([key, rows]) => ({ recipient, key, rows }));
  });
}

type KeyRows = readonly [key: string, rows: readonly [MatchRow, ...MatchRow[]]];

/** The rows that one identifier found, by key, the likeliest first. */
function rankKeys(found: readonly MatchRow[]): readonly KeyRows[] {
  const keys = [...grouped(found, ({ spki_hash }) => toHex(spki_hash))];
  for (const [, rows] of keys) {
    rows.sort((a, b) => a.kind - b.kind || Number(b.not_before) - Number(a.not_before));
  }
  if (keys.length < 2) return keys; // as nearly always
  const ranked = keys.map((entry) => {
    const [, rows] = entry;
    const arrival = rows.reduce((first, row) => Math.min(first, Number(row.arrival)), Infinity);
    return { entry, fits: rows.some(fitsKey), arrival };
  });
  ranked.sort((a, b) => Number(b.fits) - Number(a.fits) || a.arrival - b.arrival);
  return ranked.map(({ entry }) => entry);
}

/** Asks the certificate, not the kind in the index. */
function fitsKey(row: MatchRow): boolean {
  if (row.kind === Kind.ISSUER_AND_SERIAL_NUMBER) return false;
  return isMadeFromKey(row.value, certificateIn(row).publicKey);
}

/** The keys that we have, in the order in which they are to be tried. */
export function inTurns(matches: readonly KeyMatch[]): KeyMatch[] {
  const places = new Map<number, number>();
  const turns = new Map<string, number>();
  const ordered: { match: KeyMatch; turn: number; place: number }[] = [];
  for (const match of matches) {
    if (match.rows[0].sealed === null) continue;
    const place = places.get(match.recipient) ?? 0;
    if (place === MAX_KEYS_OF_RECIPIENT) continue;
    places.set(match.recipient, place + 1);
    const turn = turns.get(match.key) ?? 0;
    turns.set(match.key, turn + 1);
    ordered.push({ match, turn, place });
  }
  ordered.sort((a, b) => a.turn - b.turn || a.place - b.place); // stable: by recipient within
  return ordered.map(({ match }) => match);
}

function grouped<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, [T, ...T[]]> {
  const groups = new Map<string, [T, ...T[]]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
