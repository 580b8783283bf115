/** What came of a PFX, as plain data that two ways of reading can be compared by. */
import { toHex } from '../../src/bytes.js';
import { MailsealError } from '../../src/errors.js';
import type { PfxResult } from '../../src/pfx/bulk.js';
import { type PfxContents, type PfxOptions, readPfx } from '../../src/pfx/read.js';

/** `readPfx`, its error caught. */
export function readSingly(bytes: Uint8Array, password: string, options?: PfxOptions): PfxResult {
  try {
    return { ok: true, contents: readPfx(bytes, password, options) };
  } catch (error) {
    if (error instanceof MailsealError) return { ok: false, error };
    throw error;
  }
}

const plainError = ({ code, message, offset, oid }: MailsealError) => ({ code, message, offset, oid });

/** The keys and certificates of a PFX. */
export const plainContents = ({ entries, certificates }: PfxContents) => ({
  entries: entries.map(({ privateKey, certificate, friendlyName, localKeyId }) => ({
    key: toHex(privateKey.toPkcs8()),
    certificate: certificate && toHex(certificate.der),
    friendlyName,
    localKeyId: localKeyId && toHex(localKeyId),
  })),
  certificates: certificates.map(({ der }) => toHex(der)),
});

/** All that a caller can see. */
export function outcomeOf(result: PfxResult) {
  if (!result.ok) return plainError(result.error);
  const { contents } = result;
  const skipped = contents.skipped.map(({ bag, error }) => ({ bag, ...plainError(error) }));
  return { ...plainContents(contents), skipped };
}
