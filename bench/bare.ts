/** The physical limits: the operations of node:crypto that a mail can't do without, alone. */
import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  privateDecrypt,
  publicEncrypt,
} from 'node:crypto';
import type { Inputs, MailInputs } from './inputs.js';
import { BARE } from './mailseal.js';
import type { Case } from './measure.js';

export function rsaCases({ key: { bytes } }: Inputs): Case[] {
  const privateKey = createPrivateKey({ key: Buffer.from(bytes), format: 'der', type: 'pkcs8' });
  const publicKey = createPublicKey(privateKey);
  const padding = constants.RSA_NO_PADDING;
  const block = Buffer.alloc(256, 0x5a);
  const encrypted = publicEncrypt({ key: publicKey, padding }, block);
  return [
    { job: 'rsa-2048 private', ...BARE, run: () => privateDecrypt({ key: privateKey, padding }, encrypted) },
    { job: 'rsa-2048 public', ...BARE, run: () => publicEncrypt({ key: publicKey, padding }, block) },
  ];
}

/** For as many octets as the mail has. */
export function digestAndCipherCases({ size, plain: { bytes } }: MailInputs): Case[] {
  const key = Buffer.alloc(32, 1);
  const iv = Buffer.alloc(16, 2);
  const encrypt = (): Buffer[] => {
    const cipher = createCipheriv('aes-256-cbc', key, iv);
    return [cipher.update(bytes), cipher.final()];
  };
  const encrypted = Buffer.concat(encrypt());
  const decrypt = (): Buffer[] => {
    const cipher = createDecipheriv('aes-256-cbc', key, iv);
    return [cipher.update(encrypted), cipher.final()];
  };
  const content = Buffer.from(bytes);
  const base64 = content.toString('base64');
  return [
    { job: `sha-256 ${size}`, ...BARE, run: () => createHash('sha256').update(bytes).digest() },
    { job: `aes-256-cbc encrypt ${size}`, ...BARE, run: encrypt },
    { job: `aes-256-cbc decrypt ${size}`, ...BARE, run: decrypt },
    { job: `base64 encode ${size}`, ...BARE, run: () => content.toString('base64') },
    { job: `base64 decode ${size}`, ...BARE, run: () => Buffer.from(base64, 'base64') },
  ];
}
