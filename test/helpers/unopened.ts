/**
 * The PFX files that OpenSSL 3.0 does not open (vectors/README.md and the manifest of the corpora say how that was
 * seen), and one that it opens without reading what is in it: what mailseal says of each, and why that is right.
 */
import type { ErrorCode } from '../../src/errors.js';

export interface Unopened {
  /** Of `source/path`. */
  readonly path: RegExp;
  readonly says: ErrorCode | 'opens';
  readonly why: string;
}

const PBMAC1 = 'PBMAC1 (RFC 9579), which OpenSSL knows from 3.4 on; its MAC matches';
const KEY_LENGTH =
  'RFC 9579 section 4 asks for 20 octets at least, and no HMAC that it names has a longer key than 64';

export const UNOPENED: readonly Unopened[] = [
  {
    path: /\/bad1\.p12$/,
    says: 'ASN1_UNEXPECTED',
    why: 'authSafe is a ContentInfo without content: there is nothing to read or to check a MAC over',
  },
  {
    path: /\/bad[23]\.p12$/,
    says: 'ASN1_UNEXPECTED',
    why: 'a safe is a ContentInfo without content (RFC 7292 section 4.1 has data or encryptedData in it)',
  },
  {
    path: /pbmac1-short-key-bypass/,
    says: 'ASN1_BAD_VALUE',
    why: `a MAC key of one octet matches under one password in 256. ${KEY_LENGTH}`,
  },
  { path: /rfc9579-a[123]\.p12$|\.good\.p12$|good-shorter|sha1_hmac_and_prf/, says: 'opens', why: PBMAC1 },
  { path: /pbmac1_openssl\.pfx$/, says: 'opens', why: PBMAC1 },
  {
    path: /rfc9579-a4|bad-iter/,
    says: 'PFX_MAC_MISMATCH',
    why: 'RFC 9579 A.4: another iteration count than the MAC was made with; the password still opens the bags',
  },
  {
    path: /rfc9579-a5|bad-salt\.p12/,
    says: 'PFX_MAC_MISMATCH',
    why: 'RFC 9579 A.5: another salt than the MAC was made with; the password still opens the bags',
  },
  {
    path: /rfc9579-a6|\.no-len/,
    says: 'ASN1_UNEXPECTED',
    why: 'RFC 9579 A.6: keyLength is absent, which section 4 forbids',
  },
  { path: /bad-key-len|bad-len|negative-len|zero-len/, says: 'ASN1_BAD_VALUE', why: KEY_LENGTH },
  {
    path: /pbmac1_bcjsse/,
    says: 'ASN1_BAD_VALUE',
    why: `256 octets. ${KEY_LENGTH}: OpenSSL 3.6 refuses it too`,
  },
  { path: /very-big-len/, says: 'ASN1_BAD_VALUE', why: 'keyLength 2^65 - 1' },
  {
    path: /bad-salt-type|no-salt/,
    says: 'ASN1_UNEXPECTED',
    why: 'a salt must be an OCTET STRING (RFC 8018 A.2; CVE-2025-11187)',
  },
  {
    path: /garbage-pkcs12/,
    says: 'ASN1_TRAILING_DATA',
    why: 'not a PFX: a SEQUENCE of a number and an OID, and octets after it',
  },
  {
    path: /test\/(empty|with-key-entry)\.p12$/,
    says: 'opens',
    why: 'its password is no ASCII, and stands in the source alone; PBES2 takes it as Latin-1',
  },
  {
    path: /empty_password_ber_nested/,
    says: 'opens',
    why: 'BER with segments in segments, which OpenSSL does not decode; the empty password',
  },
  {
    path: /nomac_parse/,
    says: 'opens',
    why: 'no password opens its one safe, which is encrypted to a public key: it stands in `skipped`',
  },
  {
    path: /hmac-sha3-256/,
    says: 'opens',
    why: 'PBKDF2 with HMAC-SHA3-256, whose OID OpenSSL 3.0 does not know',
  },
  {
    path: /pbeWithMD2AndDES/,
    says: 'UNSUPPORTED_ALGORITHM',
    why: 'MD2: neither WASM nor node:crypto has it, nor does OpenSSL 3 as distributed',
  },
  {
    path: /-ecb\)/,
    says: 'UNSUPPORTED_ALGORITHM',
    why: 'ECB is no PBES2 scheme (RFC 8018 B.2), and how NSS 3.21 makes these keys is written nowhere',
  },
  {
    path: /aes-192-cbc.*nss-3\.21|camellia-(192|256)-cbc.*nss-3\.21/,
    says: 'opens',
    why: 'NSS 3.21 derives from a BMPString, and writes 256-bit keys under the OIDs of 192: both are tried',
  },
  {
    path: /cert\(pbeWithSHA1AndDES-CBC.*nss-3\.21/,
    says: 'opens',
    why: 'PBES1 as NSS 3.21 makes it: another IV',
  },
  {
    path: /idea-cbc|seed-cbc.*nss-3\.21/,
    says: 'UNSUPPORTED_ALGORITHM',
    why: 'a cipher of the legacy provider, which Node.js loads with --openssl-legacy-provider: then it opens',
  },
];
