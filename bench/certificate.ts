/**
 * DER to a tree or tape, and decoding a certificate. The bound of the first is the C program's walk over the same
 * headers with ASN1_get_object, which keeps nothing.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { assertResult, type Implementation, type Jobs } from './implementation.js';
import type { Inputs } from './inputs.js';
import type { Operation } from './measure.js';

export function certificateJobs({ tape, certificate }: Implementation, inputs: Inputs): Jobs {
  const parse = async (file: string): Promise<Operation | undefined> => {
    const operation = tape?.(file);
    operation?.(); // throws if it is malformed or anything is left
    return operation;
  };
  return {
    'tape certificate': () => parse(inputs.certificate),
    'tape 100 KB': () => parse(inputs.structure),
    certificate: async () => {
      const decode = certificate?.(inputs.certificate);
      if (decode !== undefined) {
        const { commonName, serial, notAfter, modulusLength } = decode();
        assertResult(commonName === 'Alice' && serial === inputs.certificateSerial && modulusLength === 2048);
        const { validTo } = new X509Certificate(readFileSync(inputs.certificate));
        assertResult(notAfter.getTime() === Date.parse(validTo));
      }
      return decode;
    },
  };
}
