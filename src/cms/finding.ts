/**
 * Asking for the keys of a message's recipients, once for all of them, and giving them back. Where the content comes in
 * chunks, they are asked for before it has come, and given back afterwards. Used by opening.ts and authenticated.ts.
 */
import {
  Attempts,
  addPrivateKeys,
  addSharedSecrets,
  namedRecipients,
  type Open,
  type Opener,
} from './attempts.js';
import { needsMlKem } from './kem.js';
import { type Recipients, unknownRecipient } from './recipientinfo.js';
import type { KeyFinder } from './recipients.js';
import { checkSecrets, type SharedSecrets } from './sharedkeys.js';

/**
 * Finds the keys for the recipients of a message and tries them, as {@link Attempts.open} does.
 * @throws MailsealError as {@link findAttempts}
 */
export async function openWith<T>(
  message: Recipients,
  keys: KeyFinder | undefined,
  secrets: SharedSecrets,
  lengths: readonly number[],
  open: Open<T>,
): Promise<{ opener: Opener; opened: T } | undefined> {
  const { attempts, release } = await findAttempts(message, keys, secrets);
  try {
    return await attempts.open(lengths, open);
  } finally {
    release();
  }
}

/** What is to be tried on a message, before any key is used. */
export interface FoundAttempts {
  readonly attempts: Attempts;
  /** To be called when done: what a finder unsealed for this message is wiped. A second call does nothing. */
  release(): void;
}

/**
 * Asks for the keys of a message's recipients, once for all of them.
 * @throws TypeError for secrets that are none
 * @throws MailsealError RECIPIENT_UNKNOWN, naming whom it is for; where nothing of what was found can be tried, the first
 *   reason
 */
export async function findAttempts(
  message: Recipients,
  keys: KeyFinder | undefined,
  secrets: SharedSecrets,
): Promise<FoundAttempts> {
  checkSecrets(secrets);
  const recipients = namedRecipients(message.recipientInfos);
  const candidates = (await keys?.find(recipients.map(({ identifier }) => identifier))) ?? [];
  const held = [...candidates];
  const release = () => {
    let failure: { error: unknown } | undefined;
    for (const candidate of held.splice(0)) {
      try {
        candidate.release?.();
      } catch (error) {
        failure ??= { error };
      }
    }
    if (failure !== undefined) throw failure.error;
  };
  try {
    const attempts = new Attempts();
    addPrivateKeys(attempts, recipients, candidates);
    addSharedSecrets(attempts, message.recipientInfos, secrets);
    if (!attempts.found) throw needsMlKem(message.recipientInfos) ?? unknownRecipient(message);
    attempts.requireAny();
    return { attempts, release };
  } catch (error) {
    release();
    throw error;
  }
}
