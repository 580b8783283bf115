/** The encryption schemes and ciphers of pbe.ts by OID: sizes, and who has them. */
import { OID } from '../asn1/oids.js';
import type { PbeCipherName } from '../wasm.js';
import { hasCipher } from './digests.js';
import type { CipherName, NativeCipherName } from './jobs.js';

interface Pkcs12Cipher {
  readonly cipher: PbeCipherName;
  /** Octets. */
  readonly keyLength: number;
  readonly effectiveKeyBits?: number;
  /** Octets to derive; undefined for a stream cipher. */
  readonly iv: number | undefined;
}

/** RFC 7292 appendix C; the first of the two 3DES schemes has 24 octets of key, the second 16 (K1, K2, K1). */
export const PKCS12_SCHEMES: Readonly<Record<string, Pkcs12Cipher>> = {
  [OID['pbeWithSHAAnd3-KeyTripleDES-CBC']]: { cipher: 'des-ede3-cbc', keyLength: 24, iv: 8 },
  [OID['pbeWithSHAAnd2-KeyTripleDES-CBC']]: { cipher: 'des-ede3-cbc', keyLength: 16, iv: 8 },
  [OID['pbeWithSHAAnd128BitRC2-CBC']]: { cipher: 'rc2-cbc', keyLength: 16, effectiveKeyBits: 128, iv: 8 },
  [OID['pbeWithSHAAnd40BitRC2-CBC']]: { cipher: 'rc2-cbc', keyLength: 5, effectiveKeyBits: 40, iv: 8 },
  [OID.pbeWithSHAAnd128BitRC4]: { cipher: 'rc4', keyLength: 16, iv: undefined },
  [OID.pbeWithSHAAnd40BitRC4]: { cipher: 'rc4', keyLength: 5, iv: undefined },
};

/** PBES1 (RFC 8018 appendix A.3): 8 octets of key and 8 of IV from one digest; RC2 with 64 effective bits. */
export const PBES1_SCHEMES: Readonly<
  Record<string, { hash: 'md5' | 'sha1'; cipher: 'des-cbc' | 'rc2-cbc' }>
> = {
  [OID.pbeWithMD5AndDES]: { hash: 'md5', cipher: 'des-cbc' },
  [OID.pbeWithMD5AndRC2]: { hash: 'md5', cipher: 'rc2-cbc' },
  [OID.pbeWithSHA1AndDES]: { hash: 'sha1', cipher: 'des-cbc' },
  [OID.pbeWithSHA1AndRC2]: { hash: 'sha1', cipher: 'rc2-cbc' },
};

export interface Pbes2Cipher {
  readonly cipher: CipherName;
  readonly keyLength: number;
  readonly ivLength: number;
  /** What NSS up to 3.21 writes for the 192-bit key sizes is this one, with its keyLength. */
  readonly mistakenFor?: Pbes2Cipher;
}

const aes256: Pbes2Cipher = { cipher: 'aes-cbc', keyLength: 32, ivLength: 16 };
const native = (cipher: NativeCipherName, keyLength = 16, ivLength = 16): Pbes2Cipher => ({
  cipher,
  keyLength,
  ivLength,
});
const camellia256 = native('camellia-256-cbc', 32);

export const PBES2_CIPHERS: Readonly<Record<string, Pbes2Cipher>> = {
  [OID.aes128Cbc]: { cipher: 'aes-cbc', keyLength: 16, ivLength: 16 },
  [OID.aes192Cbc]: { cipher: 'aes-cbc', keyLength: 24, ivLength: 16, mistakenFor: aes256 },
  [OID.aes256Cbc]: aes256,
  [OID.desEde3Cbc]: { cipher: 'des-ede3-cbc', keyLength: 24, ivLength: 8 },
  [OID.desCBC]: { cipher: 'des-cbc', keyLength: 8, ivLength: 8 },
  [OID.aes128Gcm]: { cipher: 'aes-gcm', keyLength: 16, ivLength: 12 },
  [OID.aes192Gcm]: { cipher: 'aes-gcm', keyLength: 24, ivLength: 12 },
  [OID.aes256Gcm]: { cipher: 'aes-gcm', keyLength: 32, ivLength: 12 },
  [OID.camellia128Cbc]: native('camellia-128-cbc'),
  [OID.camellia192Cbc]: { ...native('camellia-192-cbc', 24), mistakenFor: camellia256 },
  [OID.camellia256Cbc]: camellia256,
  [OID.aria128Cbc]: native('aria-128-cbc'),
  [OID.aria192Cbc]: native('aria-192-cbc', 24),
  [OID.aria256Cbc]: native('aria-256-cbc', 32),
  [OID.sm4Cbc]: native('sm4-cbc'),
  [OID.seedCbc]: native('seed-cbc'),
  [OID.cast5Cbc]: native('cast5-cbc', 16, 8),
  [OID.ideaCbc]: native('idea-cbc', 16, 8),
};

/** What would help where a cipher is not built. */
export const legacyHint = (cipher: CipherName): string =>
  /^(seed|cast5|idea)-/.test(cipher) ? ', but is with node --openssl-legacy-provider' : '';

/** Whether WASM, or else this build of node:crypto, has the cipher. */
export function isBuilt(cipher: CipherName): boolean {
  return !/^(aria|camellia|sm4|seed|cast5|idea)-/.test(cipher) || hasCipher(cipher);
}
