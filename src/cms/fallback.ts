/**
 * Content keys that stand in for those that RSA does not unpad, so that decryption goes on and nobody learns it (Bleichenbacher
 * 1998; implicit rejection). Used by attempts.ts.
 */
import { hash, randomBytes } from 'node:crypto';
import { concat, utf8, wipe } from '../bytes.js';
import { type AnyPrivateKey, type KeyHandle, PrivateKey } from '../x509/keys.js';
import { mgf1 } from './keytransport.js';

/** Those that stand in, one of each length; the caller wipes them. @throws MailsealError for a private key that was wiped */
export function fallbackKeys(
  privateKey: AnyPrivateKey,
  encryptedKey: Uint8Array,
  lengths: readonly number[],
): Uint8Array[] {
  // Whoever has this can tell a key that stands in from the true one.
  const secret = privateKey instanceof PrivateKey ? privateKey.secretDigest : secretFor(privateKey);
  const seed = concat([FALLBACK_LABEL, secret, encryptedKey]);
  try {
    return lengths.map((length) => fallbackKey(seed, length));
  } finally {
    wipe(seed);
  }
}

/** In place of a secret that the process does not have: the same for a key as long as the process runs. */
const secretFor = ({ publicKey }: KeyHandle): Uint8Array =>
  hash('sha256', concat([PROCESS_SECRET, publicKey.der]), 'buffer');

const PROCESS_SECRET = randomBytes(32);

/**
 * The content key that stands in for one that does not unwrap. It depends on a secret of the recipient and on the
 * ciphertext: with a fresh random one, sending the same message again and again would tell bad padding, which decrypts to
 * something else each time, from good padding, which always gives the same.
 */
const fallbackKey = (seed: Uint8Array, length: number): Uint8Array => mgf1('sha512', seed, length);

const FALLBACK_LABEL = utf8('mailseal: key for a message whose key does not unpad');
