/**
 * DER and BER to a tree or tape, and decoding a certificate. The bound of the first is the C program's walk over the
 * same headers with ASN1_get_object, which keeps nothing.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readPack } from './files/pack.js';
import { assertResult, type Implementation, type Jobs } from './implementation.js';
import type { Inputs } from './inputs.js';

export function derJobs({ tape, tapeBatch, certificate }: Implementation, inputs: Inputs): Jobs {
  const jobs: Jobs = {
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
    'tape batch': async () => {
      const files = readPack(inputs.der.certificates);
      if (tapeBatch !== undefined) return { run: tapeBatch(files), files: files.length };
      if (tape === undefined) return undefined;
      const operations = files.map((file) => tape(file));
      const run = () => {
        for (const operation of operations) operation();
      };
      run();
      return { run, files: files.length };
    },
  };
  for (const { name, file } of inputs.der.values) {
    jobs[`tape ${name}`] = async () => {
      const operation = tape?.(readFileSync(file));
      operation?.(); // throws if it is malformed or anything is left
      return operation;
    };
  }
  return jobs;
}
