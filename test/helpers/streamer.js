/**
 * A process that takes a mail of so many octets through one operation after another, each reading what the one before
 * gives: `streamer.js OCTETS OPERATION...`, with certificate and key in base64 as JSON on standard input. Prints its peak of
 * resident memory, and whether what came out is what went in. In JavaScript, since a loader would take memory of its own.
 * smime-streams-memory.test.ts starts it.
 */
import { createHash, randomFillSync } from 'node:crypto';
import { text } from 'node:stream/consumers';
import * as mailseal from '../../dist/index.js';

const [octets, ...operations] = process.argv.slice(2);
const given = JSON.parse(await text(process.stdin));
const certificate = mailseal.Certificate.parse(Buffer.from(given.certificate, 'base64'));
const privateKey = mailseal.PrivateKey.parse(Buffer.from(given.privateKey, 'base64'));
const signers = [{ certificate, privateKey }];
const recipients = [certificate];
const keys = mailseal.keyRing({ entries: signers });

const OPERATIONS = {
  sign: (mail) => mailseal.sign(mail, { signers }),
  'sign opaque': (mail) => mailseal.sign(mail, { signers, detached: false }),
  'encrypt cbc': (mail) => mailseal.encrypt(mail, { recipients, cipher: 'aes256-cbc' }),
  'encrypt gcm': (mail) => mailseal.encrypt(mail, { recipients, cipher: 'aes256-gcm' }),
  decrypt: async (mail) => (await mailseal.decrypt(mail, { keys })).content,
  compress: (mail) => mailseal.compress(mail),
  decompress: async (mail) => (await mailseal.decompress(mail, { maxLength: 2 ** 31 })).content,
  verify: async (mail) => {
    const { valid, content } = await mailseal.verify(mail, { trust: [certificate] });
    if (!valid) throw new Error('the signature is not valid');
    return content;
  },
};

const before = createHash('sha256');
let length = 0;
/** A text and an attachment in base64. No two blocks of it are the same; one of eight can't be compressed. */
async function* mail() {
  yield Buffer.from('From: alice@example.org\r\nSubject: Long\r\n');
  const head =
    'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="parts"\r\n\r\n--parts\r\n' +
    'Content-Type: text/plain\r\n\r\nLook at the attachment.\r\n--parts\r\nContent-Type: application/octet-stream\r\n' +
    'Content-Transfer-Encoding: base64\r\n\r\n';
  const content = function* () {
    yield Buffer.from(head);
    const data = Buffer.alloc(840 * 57);
    for (let count = 0; length < octets; count++) {
      if (count % 8 === 0) randomFillSync(data);
      else data.fill(count.toString(16).padStart(8, '0'));
      yield Buffer.from(data.toString('base64').replace(/.{76}/g, '$&\r\n'));
    }
    yield Buffer.from('--parts--\r\n');
  };
  for (const chunk of content()) {
    before.update(chunk);
    length += chunk.length;
    yield chunk;
  }
}

let message = mail();
for (const operation of operations) message = await OPERATIONS[operation](message);
const after = createHash('sha256');
let left = 0;
for await (const chunk of message) {
  after.update(chunk);
  left += chunk.length;
}
const isSame = left === length && after.digest().equals(before.digest());
console.log(JSON.stringify({ length, isSame, peakMB: process.resourceUsage().maxRSS / 1024 }));
