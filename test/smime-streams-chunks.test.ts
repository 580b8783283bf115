/** Encrypted mails that are there in chunks are opened from them; what is anything else is read in one piece. */
import { expect, it } from 'vitest';
import { concat, equal, utf8 } from '../src/bytes.js';
import { Certificate, decrypt, encrypt, keyRing, PrivateKey, sign } from '../src/index.js';
import { readInput } from '../src/smime/input.js';
import { readChunks } from '../src/smime/streams/chunks.js';
import { failure } from './helpers/failures.js';
import { issueCertificate } from './helpers/pki.js';

const alice = issueCertificate({ subject: 'Alice', emails: ['alice@example.org'], key: 'rsa' });
const certificate = Certificate.parse(alice.certificate);
const privateKey = PrivateKey.parse(alice.privateKey);
const keys = keyRing({ entries: [{ certificate, privateKey }] });
const mail = utf8(`Subject: Hello\r\nContent-Type: text/plain\r\n\r\n${'A line of text.\r\n'.repeat(3000)}`);

function inChunks(octets: Uint8Array, size: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(octets.length / size) }, (_, i) =>
    octets.subarray(i * size, (i + 1) * size),
  );
}

async function* streamOf(octets: Uint8Array): AsyncGenerator<Uint8Array> {
  yield* inChunks(octets, 20_000);
}

it('reads the same object and header as of one piece', async () => {
  for (const cipher of ['aes256-cbc', 'aes256-gcm'] as const) {
    const encrypted = await encrypt(mail, { recipients: [certificate], cipher });
    const whole = readInput(encrypted);
    for (const size of [999, 1000, 1001, 20_000, encrypted.length - 1]) {
      const read = readChunks(inChunks(encrypted, size));
      expect(read?.contentInfo.contentType).toBe(whole.contentInfo.contentType);
      expect(equal(read?.contentInfo.content.bytes as Uint8Array, whole.contentInfo.content.bytes)).toBe(
        true,
      );
      expect(read?.mail.headers.one('Subject')?.value).toBe('Hello');
    }
    const streamed = await decrypt(streamOf(encrypted), { keys });
    const parts: Uint8Array[] = [];
    if (streamed.message !== undefined) for await (const part of streamed.message) parts.push(part);
    expect(equal(concat(parts), (await decrypt(encrypted, { keys })).message as Uint8Array)).toBe(true);
  }
});

it('leaves everything else to whoever reads it in one piece', async () => {
  const recipients = [certificate];
  const encrypted = await encrypt(mail, { recipients });
  const signed = await sign(encrypted, { signers: [{ certificate, privateKey }], detached: false });
  const broken = new Uint8Array(encrypted);
  broken[20_000] = 0x21;
  const cut = encrypted.subarray(0, -5000);
  expect(readChunks(inChunks(signed, 1000))).toBeUndefined();
  for (const other of [mail, broken, cut, readInput(encrypted).contentInfo.content.bytes]) {
    expect(readChunks(inChunks(other, 1000))).toBeUndefined();
    const said = await failure(async () => decrypt(streamOf(other), { keys }));
    expect(said).toEqual(await failure(() => decrypt(other, { keys })));
  }
  expect(readChunks([])).toBeUndefined();
  expect(readChunks([encrypted])).toBeUndefined();
  expect(readChunks(inChunks(encrypted, 50))).toBeUndefined(); // a header in many
});
