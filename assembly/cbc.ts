/**
 * RC2 and DES in CBC mode under a given key: contents of old mail, whose ciphers OpenSSL's default provider does not
 * have. Called through src/wasm.ts by CMS, which looks at the padding itself. Keys that are derived from passwords go
 * through the job table of pfx.ts.
 */
import { decryptDes, DES_SIZE } from './des';
import { contains, OK, BAD_JOB, OUT_OF_MEMORY, reserve } from './memory';
import { decryptRc2, RC2_SIZE } from './rc2';

const DES: u32 = 2;
const RC2: u32 = 3;

/**
 * Decrypts in place.
 * @param cipher as in pfx.ts
 * @param bits effective bits of an RC2 key, 1 to 1024
 * @param length whole blocks of 8 octets
 */
export function decryptCbc(
  cipher: u32, keyPtr: u32, keyLen: u32, bits: u32, ivPtr: u32, dataPtr: u32, length: u32,
): i32 {
  if (!contains(keyPtr, keyLen) || !contains(ivPtr, 8) || !contains(dataPtr, length) || length % 8 != 0) {
    return BAD_JOB;
  }
  const work = reserve(max(DES_SIZE, RC2_SIZE));
  if (work == 0) return OUT_OF_MEMORY;
  switch (cipher) {
    case DES:
      if (keyLen != 8) return BAD_JOB;
      decryptDes(keyPtr, keyLen, ivPtr, dataPtr, length, dataPtr, work);
      return OK;
    case RC2:
      if (keyLen - 1 >= 128 || bits - 1 >= 1024) return BAD_JOB;
      decryptRc2(keyPtr, keyLen, bits, ivPtr, dataPtr, length, dataPtr, work);
      return OK;
    default:
      return BAD_JOB;
  }
}
