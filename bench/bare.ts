/** The physical limits: the operations of node:crypto, and the query of SQLite, that a job can't do without, alone. */
import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
  X509Certificate,
} from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { readPack } from './files/pack.js';
import type { Jobs } from './implementation.js';
import type { Inputs } from './inputs.js';
import { HISTORY, MAILS, rotate, USERS } from './lookup.js';
import { ENCRYPT_TO_MANY } from './mail.js';
import type { Operation } from './measure.js';

const BLOCK = 64; // octets, of SHA-1 and SHA-256

const sqlite = new Database(':memory:').prepare('SELECT sqlite_version()').pluck().get();
export const version = `node ${process.versions.node}, openssl ${process.versions.openssl}, sqlite ${sqlite}`;

export function bareJobs({ folder, key, recipients, pfx, mails, longMails }: Inputs): Jobs {
  const jobs: Jobs = { ...rsaJobs(key, recipients), lookup: async () => selectKey(join(folder, 'bare.db')) };
  for (const { name, hash, blocks } of pfx) {
    const derive = async (): Promise<Operation> => {
      const message = new Uint8Array(blocks * BLOCK);
      return () => createHash(hash).update(message).digest();
    };
    jobs[`pfx ${name}`] = derive;
    jobs[`pfx batch ${name}`] = derive;
  }
  for (const { size, plain } of [...mails, ...longMails]) Object.assign(jobs, contentJobs(size, plain));
  return jobs;
}

function rsaJobs(file: string, recipients: string): Jobs {
  const privateKey = createPrivateKey({ key: readFileSync(file), format: 'der', type: 'pkcs8' });
  const publicKey = createPublicKey(privateKey);
  const padding = constants.RSA_NO_PADDING;
  const block = Buffer.alloc(256, 0x5a);
  const contentKey = block.subarray(0, 32);
  const encrypted = publicEncrypt({ key: publicKey, padding }, block);
  return {
    'rsa-2048 private': async () => () => privateDecrypt({ key: privateKey, padding }, encrypted),
    'rsa-2048 public': async () => () => publicEncrypt({ key: publicKey, padding }, block),
    [ENCRYPT_TO_MANY]: async () => {
      const keys = readPack(recipients).map((der) => new X509Certificate(der).publicKey);
      return () => {
        for (const key of keys) publicEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, contentKey);
      };
    },
  };
}

/** What is done to every octet of a mail. */
function contentJobs(size: string, file: string): Jobs {
  const key = Buffer.alloc(32, 1);
  const iv = Buffer.alloc(16, 2);
  const encrypt = (content: Buffer): Buffer[] => {
    const cipher = createCipheriv('aes-256-cbc', key, iv);
    return [cipher.update(content), cipher.final()];
  };
  const decrypt = (content: Buffer): Buffer[] => {
    const cipher = createDecipheriv('aes-256-cbc', key, iv);
    return [cipher.update(content), cipher.final()];
  };
  const nonce = iv.subarray(0, 12);
  const encryptGcm = (content: Buffer): { encrypted: Buffer; tag: Buffer } => {
    const cipher = createCipheriv('aes-256-gcm', key, nonce);
    const encrypted = cipher.update(content);
    cipher.final();
    return { encrypted, tag: cipher.getAuthTag() };
  };
  const on = (prepare: (content: Buffer) => Operation) => async (): Promise<Operation> => {
    return prepare(readFileSync(file));
  };
  return {
    [`sha-256 ${size}`]: on((content) => () => createHash('sha256').update(content).digest()),
    [`aes-256-cbc encrypt ${size}`]: on((content) => () => encrypt(content)),
    [`aes-256-cbc decrypt ${size}`]: on((content) => {
      const encrypted = Buffer.concat(encrypt(content));
      return () => decrypt(encrypted);
    }),
    [`aes-256-gcm encrypt ${size}`]: on((content) => () => encryptGcm(content)),
    [`aes-256-gcm decrypt ${size}`]: on((content) => {
      const { encrypted, tag } = encryptGcm(content);
      return () => {
        const cipher = createDecipheriv('aes-256-gcm', key, nonce).setAuthTag(tag);
        return [cipher.update(encrypted), cipher.final()];
      };
    }),
    [`base64 encode ${size}`]: on((content) => () => content.toString('base64')),
    [`base64 decode ${size}`]: on((content) => {
      const base64 = content.toString('base64');
      return () => Buffer.from(base64, 'base64');
    }),
  };
}

/** As many rows as the key store of lookup.ts has keys; one by its 20-octet primary key, with a sealed P-256 key's size. */
function selectKey(file: string): Operation {
  const database = new Database(file);
  database.exec('CREATE TABLE keys (id BLOB PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID');
  const insert = database.prepare('INSERT INTO keys VALUES (?, ?)');
  const ids = Array.from({ length: USERS * HISTORY }, () => randomBytes(20));
  database.transaction(() => {
    for (const id of ids) insert.run(id, randomBytes(170));
  })();
  const select = database.prepare('SELECT sealed FROM keys WHERE id = ?');
  const nextId = rotate(ids.slice(0, MAILS));
  return () => select.get(nextId());
}
