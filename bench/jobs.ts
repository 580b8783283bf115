/** The jobs, by the groups that are measured together, with what the C program needs to do them. */
import type { Inputs } from './inputs.js';

export interface Job {
  name: string;
  /** The C program's operation and its files. */
  native?: readonly [operation: string, ...files: string[]];
}

/** A job and the bare operations that are its limit stand in one group: they meet the same machine. */
export function jobGroups({ ca, certificate, structure, pfx, mails, ...pem }: Inputs): Job[][] {
  const { caPem, certificatePem, keyPem } = pem;
  return [
    [{ name: 'tape certificate', native: ['walk', certificate] }],
    [{ name: 'tape 100 KB', native: ['walk', structure] }],
    [{ name: 'certificate', native: ['certificate', certificate] }],
    ...pfx.map(({ name, file }): Job[] => [{ name: `pfx ${name}`, native: ['pfx', file] }]),
    ...mails.map(({ size, plain, signed, encrypted }, index): Job[] => [
      { name: `sign ${size}`, native: ['sign', plain, certificatePem, keyPem, caPem] },
      // Next to the job that must come close to the private operation.
      ...(index === 0 ? [{ name: 'rsa-2048 private' }, { name: 'rsa-2048 public' }] : []),
      { name: `verify ${size}`, native: ['verify', signed, caPem, plain] },
      ...(index === 0
        ? [{ name: `verify-new ${size}`, native: ['verify', signed, caPem, plain] } as const]
        : []),
      { name: `encrypt ${size}`, native: ['encrypt', plain, certificatePem, keyPem] },
      { name: `decrypt ${size}`, native: ['decrypt', encrypted, certificatePem, keyPem, plain] },
      { name: `sha-256 ${size}` },
      { name: `aes-256-cbc encrypt ${size}` },
      { name: `aes-256-cbc decrypt ${size}` },
      { name: `base64 encode ${size}` },
      { name: `base64 decode ${size}` },
    ]),
    [{ name: 'lookup' }],
  ];
}
