/**
 * What correspondents say that they read (SMIMECapabilities), each with the time at which they said it (RFC 8551 2.7). Who
 * sends an old signed message once more changes nothing, since only one that was signed later counts; nor does a signer
 * who is not valid, or whose signature is weak enough to be another's, or who says to be writing in the future, which
 * would shut out all that they say until then. Kept for users of the store alone: it encrypts to nobody else.
 * Used by the SQL store.
 */
import { parseDer } from '../asn1/tape.js';
import type { KnownCapabilities } from '../cms/choice.js';
import { encodeCapabilities, readCapabilities } from '../cms/smimeattributes.js';
import { MailsealError } from '../errors.js';
import { seconds, userOf } from './record.js';
import type { Database } from './schema.js';
import type { SignerStatement } from './store.js';

/** By how much the clock of a signer may be ahead. */
const MAX_CLOCK_SKEW_MS = 24 * 60 * 60 * 1000;
/** Octets of a list; real ones have a few hundred. */
const MAX_ENCODED = 4096;
/** Addresses of a certificate that are looked up. */
const MAX_ADDRESSES = 100;

/** @returns the addresses of the users of whom it is remembered now and was not before */
export async function rememberCapabilities(
  db: Database,
  { valid, weak, emails, signingTime, capabilities }: SignerStatement,
  now: Date,
): Promise<string[]> {
  if (!valid || weak || signingTime === undefined || capabilities === undefined) return [];
  if (!(signingTime.getTime() <= now.getTime() + MAX_CLOCK_SKEW_MS)) return [];
  const encoded = encodeCapabilities(capabilities);
  if (encoded.length > MAX_ENCODED) return [];
  const lookups = emails.slice(0, MAX_ADDRESSES).map((email) => userOf(email).lookup);
  if (lookups.length === 0) return [];
  return db.transaction().execute(async (trx) => {
    const users = await trx
      .selectFrom('users')
      .select(['lookup', 'address'])
      .where('lookup', 'in', lookups)
      .orderBy('lookup')
      .execute();
    if (users.length === 0) return [];
    const signing_time = seconds(signingTime);
    const changed = await trx
      .insertInto('capabilities')
      .values(users.map(({ lookup }) => ({ user: lookup, signing_time, encoded })))
      .onConflict((conflict) =>
        conflict
          .column('user')
          .doUpdateSet(({ ref }) => ({
            signing_time: ref('excluded.signing_time'),
            encoded: ref('excluded.encoded'),
          }))
          .where(({ eb, ref }) => eb(ref('excluded.signing_time'), '>', ref('capabilities.signing_time'))),
      )
      .returning('user')
      .execute();
    const lookedUp = new Set(changed.map(({ user }) => user));
    return users.filter(({ lookup }) => lookedUp.has(lookup)).map(({ address }) => address);
  });
}

/** @throws MailsealError USAGE if it is no mail address; STORE_INVALID if the list can't be read */
export async function capabilitiesOf(db: Database, address: string): Promise<KnownCapabilities | undefined> {
  const row = await db
    .selectFrom('capabilities')
    .select(['signing_time', 'encoded'])
    .where('user', '=', userOf(address).lookup)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  try {
    const capabilities = readCapabilities(parseDer(row.encoded));
    return { capabilities, signingTime: new Date(Number(row.signing_time) * 1000) };
  } catch (cause) {
    if (!(cause instanceof MailsealError)) throw cause;
    const message = `the capabilities of ${address} in the key store are damaged: ${cause.message}`;
    throw new MailsealError('STORE_INVALID', message, { cause });
  }
}
