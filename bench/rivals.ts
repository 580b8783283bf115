/** The rivals from npm: installed into rivals/node_modules when missing, each behind one interface. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FOLDER = new URL('rivals/', import.meta.url);
const NAMES = ['node-forge', 'pkijs', 'asn1js'] as const;

/** What a rival may need beside the input of a job; all DER. */
export interface Identity {
  certificate: Uint8Array;
  /** PKCS#8 */
  key: Uint8Array;
  ca: Uint8Array;
}

/** What every decoder of a certificate must report. */
export interface CertificateFacts {
  commonName: string;
  issuer: unknown;
  /** Hexadecimal, lower case. */
  serial: string;
  notAfter: Date;
  /** Bits of the RSA modulus. */
  modulusLength: number;
}

/**
 * One library. Each method prepares a job outside the timing and gives the operation to be timed, a promise of its
 * result where the library is asynchronous. A method is missing where the library can't do the job.
 */
export interface Rival {
  impl: string;
  version: string;
  parse?(der: Uint8Array): () => unknown;
  certificate?(der: Uint8Array): () => CertificateFacts;
  /** Opens with the MAC checked; gives the numbers of keys and certificates. */
  pfx?(pfx: Uint8Array, password: string): () => Promise<[number, number]> | [number, number];
  /** Content to a detached CMS signature in DER, SHA-256, with contentType, signingTime and messageDigest. */
  sign?(content: Uint8Array): () => Promise<Uint8Array> | Uint8Array;
  /** With the path to the CA. */
  verify?(signature: Uint8Array, content: Uint8Array): () => Promise<boolean>;
  /** Content to CMS in DER, AES-256-CBC, one RSA recipient. */
  encrypt?(content: Uint8Array): () => Promise<Uint8Array> | Uint8Array;
  decrypt?(message: Uint8Array): () => Promise<Uint8Array> | Uint8Array;
  /** Opens no PFX with PKCS#12 ciphers. */
  pbes2Only?: boolean;
  /** Decrypts no RSAES-PKCS1-v1_5. */
  oaepOnly?: boolean;
}

interface RivalModule {
  create(identity: Identity): Promise<Rival>;
}

/** None, with the reason printed, when they can't be installed. */
export async function loadRivals(identity: Identity): Promise<Rival[]> {
  if (!existsSync(new URL('node_modules/', FOLDER))) {
    console.error('installing bench/rivals …');
    try {
      const args = ['ci', '--no-audit', '--no-fund', '--prefix', fileURLToPath(FOLDER)];
      execFileSync('npm', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    } catch (error) {
      console.error(`without rivals: npm ci failed: ${(error as Error).message}`);
      return [];
    }
  }
  return Promise.all(
    NAMES.map(async (name) => {
      // Not a literal, so that the project's type check passes without the rivals' packages.
      const module = (await import(new URL(`${name}.js`, FOLDER).href)) as RivalModule;
      return module.create(identity);
    }),
  );
}
