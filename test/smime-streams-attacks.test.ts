/**
 * Attacks on messages that come in chunks: what costs far more than its length, and what a stream would accept that is
 * refused in memory. Costs are held to a heap that the attack would fill; the built library runs in it.
 */
import { createReadStream, existsSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { describe, expect, it, vi } from 'vitest';
import { concat, equal, latin1, toBase64, utf8 } from '../src/bytes.js';
import { compressedPieces } from '../src/cms/compressed.js';
import { encryptData } from '../src/cms/enveloped.js';
import { signData } from '../src/cms/signed.js';
import {
  compress,
  decompress,
  decrypt,
  encrypt,
  type KeyHandle,
  keyRing,
  type MessageStream,
  sign,
  verify,
} from '../src/index.js';
import { failure } from './helpers/failures.js';
import { temporaryFolder } from './helpers/peers.js';
import { issueCertificate, person } from './helpers/pki.js';

/** Old objects of V8 may take so much: a worker that needs more is ended. */
const HEAP_MB = 64;

/**
 * Runs a function of the built library on a stream, with a small heap.
 * @param octets JavaScript of a generator's body, which yields the octets
 * @returns `ok`, or the code of the error
 */
function withSmallHeap(operation: string, octets: string): Promise<string> {
  const source = `
    const { parentPort } = require('node:worker_threads');
    const octets = async function* () { ${octets} };
    import(${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)})
      .then((mailseal) => mailseal.${operation}(octets(), { trust: [], spool: { memory: 1 << 21 } }))
      .then(async (result) => { for await (const chunk of result); return 'ok'; })
      .then((result) => parentPort.postMessage(result), (error) => parentPort.postMessage(error.code ?? String(error)));`;
  return new Promise((resolve, reject) => {
    const worker = new Worker(source, { eval: true, resourceLimits: { maxOldGenerationSizeMb: HEAP_MB } });
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

describe('what costs more than its length', () => {
  it('a header that comes octet by octet is not copied for each of them', async () => {
    const message = `
      const header = 'X-Long: ' + ('y'.repeat(70) + '\\r\\n ').repeat(14_000) + '\\r\\n\\r\\n';
      for (const octet of Buffer.from(header)) yield Uint8Array.of(octet);
      for (let i = 0; i < 20; i++) yield new Uint8Array(1 << 17).fill(0x41);`;
    expect(await withSmallHeap('compress', message)).toBe('ok');
  });

  it('a message in millions of tiny chunks takes no more memory than another', async () => {
    const message = `
      yield Buffer.from('Content-Type: text/plain\\r\\n\\r\\n');
      for (let i = 0; i < 2_000_000; i++) yield Uint8Array.of(0x41);`;
    expect(await withSmallHeap('compress', message)).toBe('ok');
  });

  it('millions of values beside the content take the memory of their octets', async () => {
    const nulls = `
      yield Buffer.from('308006092a864886f70d010702a08030800201013180', 'hex'); // SignedData, up to digestAlgorithms
      for (let i = 0; i < 100; i++) yield Buffer.alloc(80_000, Buffer.from('0500', 'hex'));`;
    expect(await withSmallHeap('verify', nulls)).toBe('LIMIT_RECORDS');
  });
});

const ca = issueCertificate({ subject: 'CA', ca: true });
const trust = [person({ subject: 'CA', ca: true, key: ca.privateKey }).certificate];
const alice = person({ subject: 'Alice', emails: ['alice@example.org'], key: 'rsa', issuer: ca });
const keys = keyRing({ entries: [alice] });
const signers = [alice];
const recipients = [alice.certificate];
/** Nothing fits into memory. */
const streamed = { spool: { memory: 0 } };

async function* chunked(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function octetsOf(stream: Readable | undefined): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream as Readable) chunks.push(new Uint8Array(chunk));
  return concat(chunks);
}

const FROM = 'From: alice@example.org\r\nMIME-Version: 1.0\r\n';
const BASE64 = 'Content-Transfer-Encoding: base64\r\n\r\n';
const object = (type: string, cms: Uint8Array) =>
  utf8(`${FROM}Content-Type: application/${type}\r\n${BASE64}${toBase64(cms)}\r\n`);
/** multipart/signed of an entity and any object in place of its signature. */
const beside = (entity: string, cms: Uint8Array) =>
  utf8(
    `${FROM}Content-Type: multipart/signed; boundary=b; protocol="application/pkcs7-signature"\r\n\r\n--b\r\n` +
      `${entity}\r\n--b\r\nContent-Type: application/pkcs7-signature\r\n${BASE64}${toBase64(cms)}\r\n--b--\r\n`,
  );
const HELLO = 'Content-Type: text/plain\r\n\r\nHello';

describe('what one way accepts and the other one does not', () => {
  it('an encrypted or compressed object where multipart/signed has its signature is opened by neither', async () => {
    const enveloped = beside(HELLO, encryptData(utf8('Secret'), { recipients }));
    expect((await failure(() => decrypt(enveloped, { keys }))).code).toBe('UNSUPPORTED_FEATURE');
    expect((await failure(() => decrypt(chunked(enveloped, 100), { keys, ...streamed }))).code).toBe(
      'NOT_ENCRYPTED',
    );
    const compressed = beside(HELLO, concat([...compressedPieces(utf8('Secret'))]));
    for (const options of [{}, streamed]) {
      const run = () => decompress(chunked(compressed, 100), options);
      expect((await failure(run)).code).toBe('UNSUPPORTED_FEATURE');
    }
  });

  it('the signature around an encrypted message has to be one that can be read', async () => {
    const inner = latin1(object('pkcs7-mime', encryptData(utf8(HELLO), { recipients })));
    const mail = beside(inner, new Uint8Array(3));
    const inMemory = await failure(() => decrypt(mail, { keys }));
    const inChunks = await failure(() => decrypt(chunked(mail, 100), { keys, ...streamed }));
    expect([inMemory.code, inChunks.code]).toEqual(['ASN1_BAD_TAG', 'ASN1_BAD_TAG']);
  });

  it('of a signed part whose header can be read in two ways there is a verdict', async () => {
    const entity = `Content-Type: text/html\r\n${HELLO}`;
    const mail = beside(entity, signData(utf8(entity), { signers, detached: true }));
    const verdict = await verify(chunked(mail, 100), { trust, ...streamed });
    const { covered, valid, uncovered } = await verify(mail, { trust });
    expect(verdict).toMatchObject({ covered, valid, uncovered });
    expect(latin1(await octetsOf(verdict.content))).toBe(entity);
  });

  it('content that has no header to be joined with is given out alone', async () => {
    const endless = utf8(`X: ${'y'.repeat(1_500_000)}`);
    const mail = object('pkcs7-mime', encryptData(endless, { recipients }));
    const inMemory = await decrypt(mail, { keys });
    expect(() => inMemory.message).toThrow(/a header over/);
    const opened = await decrypt(chunked(mail, 10_000), { keys, ...streamed });
    expect(() => opened.message).toThrow(/a header over/);
    expect(equal(await octetsOf(opened.content), endless)).toBe(true);
  });
});

describe('content beside the signature, as a stream', () => {
  const content = utf8(HELLO.padEnd(200_000, '.'));
  const detached = object('pkcs7-signature', signData(content, { signers, detached: true }));
  const around = signData(content, { signers });

  it('of a mail that has no content', async () => {
    const spool = { memory: 100_000 };
    const verdict = await verify(detached, { trust, content: chunked(content, 1000), spool });
    const { covered, valid, from } = await verify(detached, { trust, content });
    expect(verdict).toMatchObject({ covered, valid, from, senderVerified: true });
    await verdict.close();
  });

  it.each([
    ['a mail', object('pkcs7-mime', around)],
    ['a CMS object', around],
  ])('of %s that has the same', async (_, message) => {
    const changed = utf8(latin1(content).replace('Hello', 'HellO'));
    for (const input of [message, () => chunked(message, 1000)]) {
      const run = (octets: Uint8Array) =>
        verify(typeof input === 'function' ? input() : input, {
          trust,
          content: chunked(octets, 999),
          ...streamed,
        });
      const verdict = await run(content);
      expect(verdict.valid).toBe(true);
      await verdict.close();
      for (const other of [
        changed,
        content.subarray(1),
        content.subarray(0, -1),
        concat([content, content]),
      ]) {
        expect((await failure(() => run(other))).code).toBe('CONTENT_CHANGED');
      }
    }
  });

  it('is not read on when it is known to differ', async () => {
    let given = 0;
    async function* endless() {
      for (;;) {
        given++;
        yield new Uint8Array(1 << 16);
      }
    }
    const run = () => verify(chunked(around, 1000), { trust, content: endless(), ...streamed });
    expect((await failure(run)).code).toBe('CONTENT_CHANGED');
    expect(given).toBeLessThan(3);
  });
});

describe('what is refused without being read to its end', () => {
  async function* endless(head: Uint8Array) {
    yield head;
    for (;;) yield new Uint8Array(1 << 16).fill(0x41);
  }
  const mail = () => endless(utf8('Content-Type: text/plain\r\n\r\n'));

  it('options that make no sense', async () => {
    const ccm = { recipients, cipher: 'aes256-ccm', ...streamed } as const;
    expect((await failure(() => encrypt(mail(), ccm))).code).toBe('UNSUPPORTED_FEATURE');
    await expect(encrypt(mail(), { recipients: [], ...streamed })).rejects.toThrow(RangeError);
    await expect(sign(mail(), { signers: [], ...streamed })).rejects.toThrow(RangeError);
  });

  it('what is encrypted, to be verified; what is signed, to be decompressed', async () => {
    const head = (sealed: Uint8Array) => {
      const parts = latin1(sealed).split('\r\n\r\n') as [string, string];
      return utf8(`${parts[0]}\r\n\r\n${parts[1].slice(0, 1500)}`);
    };
    const encrypted = await octetsOf(
      await encrypt(chunked(utf8(FROM + HELLO.padEnd(2000)), 100), { recipients, ...streamed }),
    );
    const signed = await octetsOf(
      await sign(chunked(utf8(FROM + HELLO.padEnd(2000)), 100), { signers, detached: false, ...streamed }),
    );
    expect((await failure(() => verify(endless(head(encrypted)), { trust, ...streamed }))).code).toBe(
      'NOT_SIGNED',
    );
    expect((await failure(() => decompress(endless(head(signed)), streamed))).code).toBe(
      'UNSUPPORTED_FEATURE',
    );
  });
});

describe('streams that are not read', () => {
  const folder = temporaryFolder();
  const file = join(folder, 'content');
  writeFileSync(file, new Uint8Array(1 << 20));
  const isOpen = () =>
    readdirSync('/proc/self/fd').some((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`) === file;
      } catch {
        return false;
      }
    });
  const mail = sign(utf8(FROM + HELLO), { signers });

  it.skipIf(!existsSync('/proc/self/fd')).each([
    ['of settings that are none', () => sign(createReadStream(file), { signers, spool: { memory: -1 } })],
    [
      'of content, when the message is no good',
      () => verify(utf8('A: b\r\n\r\n'), { trust, content: createReadStream(file) }),
    ],
    [
      'of content that the mail brings',
      async () => verify(chunked(await mail, 100), { trust, content: createReadStream(file), ...streamed }),
    ],
  ])('are ended: %s', async (_, run) => {
    await expect(run()).rejects.toThrow();
    await expect.poll(isOpen).toBe(false);
  });

  it('content that can not be read ends no process before it is its turn', async () => {
    const slow = async function* () {
      await sleep(50); // by then the file was not found
      yield* chunked(signData(utf8(HELLO), { signers, detached: true }), 100);
    };
    const content = createReadStream(join(folder, 'missing'));
    await expect(verify(slow(), { trust, content })).rejects.toThrow(/ENOENT/);
  });

  it('a stream that was read already is no empty message', async () => {
    const stream = Readable.from([utf8(FROM + HELLO)]);
    await octetsOf(await sign(stream, { signers }));
    await expect(encrypt(stream, { recipients })).rejects.toThrow(TypeError);
  });

  it('an error of the source is told, whatever ending it says', async () => {
    const source = {
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: false, value: new Uint8Array(1 << 20) }),
        return: () => Promise.reject(new Error('does not end')),
      }),
    };
    expect((await failure(() => decrypt(source, { keys, ...streamed }))).code).toBe('NOT_SMIME');
  });

  /** What has been done with a source that gives this again and again to each who opens it, and never answers when it is ended. */
  function mute(chunk: Uint8Array) {
    const seen = { opened: 0, ended: 0 };
    const source = {
      [Symbol.asyncIterator]: () => {
        seen.opened++;
        return {
          next: async () => ({ done: false, value: chunk }),
          return: () => {
            seen.ended++;
            return new Promise<IteratorResult<Uint8Array>>(() => {});
          },
        };
      },
    };
    return { seen, source };
  }
  const text = new Uint8Array(1 << 20).fill(0x41);
  const limited = { spool: { memory: 0, maxLength: 1 << 22 } };
  const detached = () => signData(utf8(HELLO), { signers, detached: true });

  it.each([
    ['it is no message', (source: MessageStream) => decrypt(source, { keys, ...streamed })],
    ['it is too long', (source: MessageStream) => compress(source, limited)],
    [
      'what is made of it is',
      (source: MessageStream) => sign(source, { signers, spool: { memory: 1 << 16, maxLength: 1 << 17 } }),
    ],
    ['options are none', (source: MessageStream) => sign(source, { signers: [] })],
    [
      'it is other content than is signed',
      (source: MessageStream) =>
        verify(chunked(signData(utf8(HELLO), { signers }), 10), { trust: [], content: source, ...streamed }),
    ],
    [
      'it is longer content than may be',
      (source: MessageStream) => verify(detached(), { trust: [], content: source, ...limited }),
    ],
    [
      'it is the content of what is no message',
      (source: MessageStream) => verify(utf8('A: b\r\n\r\n'), { trust: [], content: source }),
    ],
  ])('are opened once and ended once, and no answer is awaited: %s', async (_, run) => {
    const { seen, source } = mute(text);
    await expect(run(source)).rejects.toThrow();
    expect(seen).toEqual({ opened: 1, ended: 1 });
  });

  it('that are waiting for more are not waited for', async () => {
    async function* silent(): AsyncGenerator<Uint8Array> {
      yield await new Promise<Uint8Array>(() => {});
    }
    const asked = silent();
    void asked.next();
    await expect(sign(asked, { signers: [] })).rejects.toThrow(RangeError);
    const stuck = new PassThrough();
    void stuck[Symbol.asyncIterator]()
      .next()
      .catch(() => undefined);
    await expect(verify(utf8('A: b\r\n\r\n'), { trust: [], content: stuck })).rejects.toThrow();
    expect(stuck.destroyed).toBe(true);
  });

  it('an error of opening them is told', async () => {
    const web = new ReadableStream<Uint8Array>();
    web.getReader(); // so nobody else may read it
    await expect(compress(web as unknown as MessageStream)).rejects.toThrow(TypeError);
  });

  it('is closed when it is destroyed while a key outside of the process does not answer', async () => {
    let asked = () => {};
    const isAsked = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const privateKey: KeyHandle = {
      publicKey: alice.certificate.publicKey,
      sign: () => {
        asked();
        return new Promise(() => {});
      },
    };
    const { certificate } = alice;
    const signed = await sign(chunked(utf8(FROM + HELLO), 10), {
      signers: [{ privateKey, certificate }],
      ...streamed,
    });
    signed.resume();
    await isAsked;
    const closed = new Promise((resolve) => signed.once('close', resolve));
    signed.destroy();
    await closed;
  });
});

describe('temporary files', () => {
  /** A spool as it is on another system: on Linux a file need not have a name. */
  async function spoolOn(platform: string): Promise<typeof import('../src/spool.js')> {
    const there = Object.getOwnPropertyDescriptor(process, 'platform') as PropertyDescriptor;
    Object.defineProperty(process, 'platform', { ...there, value: platform });
    try {
      vi.resetModules();
      return await import('../src/spool.js');
    } finally {
      Object.defineProperty(process, 'platform', there);
    }
  }

  it.skipIf(process.platform === 'win32').each([process.platform, 'freebsd'])(
    'have no name while they are there, and give back what was written: %s',
    async (platform) => {
      const directory = temporaryFolder();
      const { Spool } = await spoolOn(platform);
      const spool = new Spool({ memory: 0, directory });
      const octets = new Uint8Array(1 << 20).map((_, i) => i % 251);
      await spool.write(octets);
      expect(readdirSync(directory)).toEqual([]);
      expect(equal(await octetsOf(Readable.from(spool.read())), octets)).toBe(true);
      await spool.close();
    },
  );
});

describe('base64 that has lost its label', () => {
  const lost = (mail: Uint8Array) =>
    utf8(latin1(mail).replace('Content-Transfer-Encoding: base64', 'Content-Transfer-Encoding: 7bit'));
  /** A character that is none, 100 behind the place where the base64 begins. */
  function broken(mail: Uint8Array) {
    const place = latin1(mail).lastIndexOf('\r\n\r\nM') + 104;
    const octets = new Uint8Array(lost(mail));
    octets[place - 2] = 0x21; // the new label is two characters shorter
    return { octets, place: place - 2 };
  }

  it.each([true, false])(
    'is decoded, and an error has its place in the mail; detached: %s',
    async (detached) => {
      const mail = await sign(utf8(`${FROM}${HELLO}`), { signers, detached });
      expect((await verify(lost(mail), { trust })).valid).toBe(true);
      const { octets, place } = broken(mail);
      const inMemory = await failure(() => verify(octets, { trust }));
      const inChunks = await failure(() => verify(chunked(octets, 50), { trust, ...streamed }));
      expect([inMemory.code, inMemory.offset]).toEqual(['MIME_MALFORMED', place]);
      expect([inChunks.code, inChunks.offset]).toEqual(['MIME_MALFORMED', place]);
    },
  );
});

describe('multipart/signed that names no protocol is what its second part is', () => {
  const mail = (type: string, second: string, end = '--b--\r\n', parameters = 'boundary=b') =>
    utf8(
      `${FROM}Content-Type: multipart/signed; ${parameters}\r\n\r\n--b\r\n${HELLO}\r\n--b\r\nContent-Type: ${type}\r\n${second}\r\n${end}`,
    );
  const signature = `${BASE64}${toBase64(signData(utf8(HELLO), { signers, detached: true }))}`;
  const pkcs7 = 'application/pkcs7-signature';

  it.each<[string, Uint8Array, string | undefined]>([
    ['a signature', mail(pkcs7, signature), undefined],
    ['a signature of OpenPGP', mail('application/pgp-signature', `\r\n${signature}`), 'NOT_SMIME'],
    ['a text', mail('text/plain', '\r\nHello'), 'NOT_SMIME'],
    ['a header that can be read in two ways', mail(pkcs7, `Content-Type: a/b\r\n${signature}`), 'NOT_SMIME'],
    ['a signature, with a third part', mail(pkcs7, signature, '--b\r\n\r\nx\r\n--b--\r\n'), 'MIME_MALFORMED'],
    ['a signature that is not closed', mail(pkcs7, signature, ''), 'MIME_MALFORMED'],
    ['a signature in base64 that is none', mail(pkcs7, `${BASE64}MII*`), 'MIME_MALFORMED'],
    [
      'a signature in an unknown encoding',
      mail(pkcs7, 'Content-Transfer-Encoding: x\r\n\r\n'),
      'UNSUPPORTED_FEATURE',
    ],
    ['nothing: there are no parts', mail(pkcs7, signature, '', 'boundary=c'), 'NOT_SMIME'],
    ['nothing: there is no boundary', mail(pkcs7, signature, '', 'x=y'), 'NOT_SMIME'],
    ['nothing: there are two boundaries', mail(pkcs7, signature, '', 'boundary=b; boundary=c'), 'NOT_SMIME'],
  ])('%s', async (_, octets, code) => {
    const inMemory = await verify(octets, { trust }).catch((error) => error);
    const inChunks = await verify(chunked(octets, 50), { trust, ...streamed }).catch((error) => error);
    expect([inMemory.code, inMemory.offset]).toEqual([code, inChunks.offset]);
    expect(inChunks.code).toBe(code);
    expect(inChunks.valid).toBe(inMemory.valid);
    if (code === undefined) await inChunks.close();
  });
});
