/**
 * Mails of many senders, each with a certificate of its own: mailseal knows the last 1,024 certificates that it has met,
 * and a mail from somebody new costs more than one from a correspondent.
 */
import { createPrivateKey, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PrivateKey } from '../src/index.js';
import type { Inputs } from './inputs.js';

const SENDERS = 1100;

/** The plain mail, signed with one key under as many certificates: the user's, with other serial numbers. */
export async function mailsOfNewSenders(
  mailseal: typeof import('../src/index.js'),
  inputs: Inputs,
  plain: Uint8Array,
  privateKey: PrivateKey,
): Promise<Uint8Array[]> {
  const caKey = createPrivateKey(readFileSync(join(inputs.folder, 'ca.key')));
  const template = readFileSync(inputs.certificate);
  const [tbs] = mailseal.parseDer(template).children;
  const serial = tbs?.children[1];
  if (tbs === undefined || serial === undefined) throw new Error('not a certificate');
  const mails: Uint8Array[] = [];
  for (let number = 0; number < SENDERS; number++) {
    const der = Buffer.from(template);
    der.writeUInt32BE(number, serial.contentEnd - 4);
    const signature = sign('sha256', der.subarray(tbs.start, tbs.end), caKey);
    der.set(signature, der.length - signature.length);
    const certificate = mailseal.Certificate.parse(der);
    mails.push(await mailseal.sign(plain, { signers: [{ privateKey, certificate }] }));
  }
  return mails;
}
