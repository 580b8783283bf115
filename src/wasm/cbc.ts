/** RC2 and DES in CBC mode (assembly/cbc.ts), for the contents of old mail. Exported by wasm.ts; used by CMS. */
import { MailsealError } from '../errors.js';
import { core, octets, place, renewViews, reserve } from './instance.js';

// The numbers of assembly/pfx.ts.
const CIPHERS = { 'des-cbc': 2, 'rc2-cbc': 3 } as const;
const OK = 0;
const OUT_OF_MEMORY = 19;

/**
 * Decrypts whole blocks; the padding stays.
 * @param key 8 octets for DES, 1 to 128 for RC2
 * @param iv 8 octets
 * @param effectiveKeyBits RC2 only (RFC 2268), 1 to 1024
 * @throws MailsealError LIMIT_LENGTH if the data do not fit in memory
 * @throws RangeError for sizes that the cipher does not have
 */
export function decryptCbc(
  cipher: keyof typeof CIPHERS,
  key: Uint8Array,
  iv: Uint8Array,
  data: Uint8Array,
  effectiveKeyBits = key.length * 8,
): Uint8Array {
  if (iv.length !== 8) throw new RangeError('iv must be 8 octets');
  const base = reserve(0);
  try {
    const keyPtr = place(key);
    const ivPtr = place(iv);
    const dataPtr = place(data);
    const status = core.decryptCbc(
      CIPHERS[cipher],
      keyPtr,
      key.length,
      effectiveKeyBits,
      ivPtr,
      dataPtr,
      data.length,
    );
    renewViews();
    if (status === OUT_OF_MEMORY)
      throw new MailsealError('LIMIT_LENGTH', 'the work area does not fit in memory');
    if (status !== OK) throw new RangeError('a key, or data, of a length that the cipher does not have');
    return octets.slice(dataPtr, dataPtr + data.length);
  } finally {
    core.wipe(base);
  }
}
