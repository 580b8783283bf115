/** The octets that a password may stand for in a PFX (RFC 7292 appendix B.1, RFC 8018 section 3). Used by plan.ts. */
import { buffer, utf8 } from '../bytes.js';
import type { PasswordOctets } from '../pbe.js';

/**
 * Every reading of a password that files are made with, the usual one first:
 * - a BMPString with its terminator for PKCS#12; characters beyond the BMP as surrogate pairs; UTF-8 for PBES2.
 * - The empty password is the terminator alone, or (Windows, NSS, pyca) no octets at all.
 * - For PBES2 some Bouncy Castle files take one octet a character: another reading of Latin-1 beyond ASCII.
 * The caller wipes them.
 */
export function readingsOf(password: string): PasswordOctets[] {
  const usual = { pkcs12: bmpString(password), pbkdf2: utf8(password) };
  if (password === '') return [usual, { pkcs12: new Uint8Array(0), pbkdf2: new Uint8Array(0) }];
  if (usual.pbkdf2.length === password.length || /[^\0-\xff]/.test(password)) return [usual];
  return [usual, { pkcs12: bmpString(password), pbkdf2: latin1(password) }];
}

function bmpString(password: string): Uint8Array {
  const octets = new Uint8Array(password.length * 2 + 2);
  buffer(octets).write(password, 'utf16le');
  buffer(octets).swap16();
  return octets;
}

function latin1(password: string): Uint8Array {
  const octets = new Uint8Array(password.length);
  buffer(octets).write(password, 'latin1');
  return octets;
}
