/**
 * What the log of an import knows files and passwords by: HMAC-SHA-256 under a key that is made from the sealing key
 * (keystore/seal.ts), cut to 16 octets. Whoever has the database alone learns neither which files were imported nor
 * anything of a password. Passwords are named only with files that they do not open, and only until an import ends.
 * Used by the importer.
 */
import { createHash, createHmac, type KeyObject } from 'node:crypto';
import { copy } from '../bytes.js';
import type { KeyPurpose } from '../keystore/store.js';
import type { PfxOptions } from '../pfx/read.js';

const LENGTH = 16;

/** What beside the content decides what comes of a file. */
export function contextOf(
  user: string | undefined,
  purpose: KeyPurpose | undefined,
  { allowNoMac = false, maxCost }: PfxOptions,
): string {
  return JSON.stringify([user ?? null, purpose ?? null, allowNoMac, maxCost ?? null]);
}

export function fileKey(log: KeyObject, content: Uint8Array, context: string): Uint8Array {
  const digest = createHash('sha256').update(content).digest();
  return copy(
    createHmac('sha256', log).update('file').update(digest).update(context).digest().subarray(0, LENGTH),
  );
}

/** Of all passwords that are tried on a file. */
export function passwordTag(log: KeyObject, file: Uint8Array, passwords: readonly string[]): Uint8Array {
  const hmac = createHmac('sha256', log).update('password').update(file).update(JSON.stringify(passwords));
  return copy(hmac.digest().subarray(0, LENGTH));
}
