/** What the modules of mailseal (mailseal.ts) and of its rivals (rivals/) have in common, and how their jobs are made. */
import type { ShapeName } from './files/pfx.js';
import type { Inputs, MailInputs } from './inputs.js';
import type { BulkOperation, Operation } from './measure.js';
import type { Chunks, Streamed } from './stream.js';

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

/** Numbers of keys and certificates in a PFX. */
export type PfxCounts = readonly [keys: number, certificates: number];

/**
 * One library. Each method reads the files of a job outside the timing and gives the operation to be timed, a promise
 * of its result where the library is asynchronous. It is missing, or gives undefined, where the library can't do it.
 */
export interface Implementation {
  version: string;
  /** What `sign` and `encrypt` write, in the words of `openssl cms -inform`: a mail, or bare CMS. */
  form: 'SMIME' | 'DER';
  tape?(der: Uint8Array): Operation;
  /** All of them in one call. */
  tapeBatch?(ders: readonly Uint8Array[]): Operation;
  certificate?(derFile: string): () => CertificateFacts;
  /** Opens with the MAC checked. */
  pfx?(shape: ShapeName, bytes: Uint8Array): (() => Promise<PfxCounts> | PfxCounts) | undefined;
  /** Opens many in one call; undefined counts are those of one that does not open. */
  pfxBatch?(files: readonly Uint8Array[]): () => (PfxCounts | undefined)[];
  /** SHA-256, with the contentType, signingTime and messageDigest attributes; the signature is detached. */
  sign?(mail: MailInputs): () => Promise<Uint8Array> | Uint8Array;
  /** With the path to the CA. */
  verify?(mail: MailInputs): () => Promise<boolean>;
  /** The same, of a sender whose certificate was not met before: for those who remember certificates. */
  verifyNew?(mail: MailInputs): Promise<() => Promise<boolean>>;
  /** AES-256-CBC, one RSA recipient. */
  encrypt?(mail: MailInputs): () => Promise<Uint8Array> | Uint8Array;
  /** The same for all recipients of {@link Inputs}. */
  encryptMany?(mail: MailInputs): () => Promise<Uint8Array> | Uint8Array;
  decrypt?(mail: MailInputs): () => Promise<Uint8Array> | Uint8Array;
  /** Both with AES-256-GCM. */
  encryptGcm?(mail: MailInputs): () => Promise<Uint8Array>;
  decryptGcm?(mail: MailInputs): () => Promise<Uint8Array>;
  /** The same with a mail that comes in chunks. Verifying gives the content, and throws unless the signature is valid. */
  streams?: Record<Streamed, (mail: MailInputs) => () => Promise<Chunks>>;
  lookup?(): Promise<Operation>;
}

/** What an implementation's module exports. */
export interface ImplementationModule {
  create(inputs: Inputs): Promise<Implementation>;
}

/** By name: reads the input of a job, checks the result once, and gives the operation, if there is one. */
export type Jobs = Record<string, () => Promise<Operation | BulkOperation | undefined>>;

/** A wrong result must not be measured. */
export function assertResult(right: boolean): void {
  if (!right) throw new Error('the result is wrong');
}
