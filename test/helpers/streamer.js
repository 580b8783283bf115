/**
 * A process that does one operation on a long mail, with certificate and key in base64 as JSON in STREAMER_KEY:
 * `streamer.js OPERATION OCTETS` on a mail of so many octets, the result to standard output; `streamer.js OPERATION` on
 * standard input. Prints on standard error what went in or came out, length and digest, and its peak of resident memory. In
 * JavaScript, since a loader would take memory of its own. smime-streams-memory.test.ts starts it.
 */
import { createHash, randomFillSync } from 'node:crypto';
import { pipeline } from 'node:stream/promises';
import * as mailseal from '../../dist/index.js';

const [operation, octets] = process.argv.slice(2);
const given = JSON.parse(process.env.STREAMER_KEY);
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

const digest = createHash('sha256');
let length = 0;
function count(chunk) {
  digest.update(chunk);
  length += chunk.length;
}

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
    for (let block = 0; length < octets; block++) {
      if (block % 8 === 0) randomFillSync(data);
      else data.fill(block.toString(16).padStart(8, '0'));
      yield Buffer.from(data.toString('base64').replace(/.{76}/g, '$&\r\n'));
    }
    yield Buffer.from('--parts--\r\n');
  };
  for (const chunk of content()) {
    count(chunk);
    yield chunk;
  }
}

const run = OPERATIONS[operation];
if (octets === undefined) for await (const chunk of await run(process.stdin)) count(chunk);
else await pipeline(await run(mail()), process.stdout);
const peakMB = process.resourceUsage().maxRSS / 1024;
console.error(JSON.stringify({ length, digest: digest.digest('hex'), peakMB }));
