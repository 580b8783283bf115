/** The octets that a password may stand for in a PFX (RFC 7292 appendix B.1, RFC 8018 section 3). Used by plan.ts. */
import { buffer, utf8 } from '../bytes.js';
import type { PasswordOctets } from '../pbe.js';

/**
 * Every reading of a password that files are made with, the usual one first:
 * - a BMPString with its terminator for PKCS#12; characters beyond the BMP as surrogate pairs; UTF-8 for the others.
 * - The empty password is the terminator alone, or (Windows, NSS, pyca) no octets at all.
 * - For PBES2 some Bouncy Castle files take one octet a character: another reading of Latin-1 beyond ASCII.
 * - NSS up to 3.21 (Firefox and Thunderbird of 2016) takes the BMPString for PBES1 and PBES2 as well.
 * - OpenSSL before 1.1.0 took each octet of its UTF-8 for a character when it made the BMPString.
 * The caller wipes them.
 */
export function readingsOf(password: string): PasswordOctets[] {
  const usual = { pkcs12: bmpString(password), pbkdf2: utf8(password) };
  if (password === '') return [usual, { pkcs12: new Uint8Array(0), pbkdf2: new Uint8Array(0) }];
  const nss = { pkcs12: usual.pkcs12, pbkdf2: usual.pkcs12, asNss: true } as const;
  if (usual.pbkdf2.length === password.length) return [usual, nss];
  const oldOpenssl = { pkcs12: bmpString(buffer(usual.pbkdf2).toString('latin1')), pbkdf2: usual.pbkdf2 };
  if (/[^\0-\xff]/.test(password)) return [usual, nss, oldOpenssl];
  return [usual, { pkcs12: usual.pkcs12, pbkdf2: latin1(password) }, nss, oldOpenssl];
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
