/**
 * Messages that come in chunks: everything gives what it gives in memory, whatever the chunks; what is written is read by
 * openssl, and what openssl streams is read. `memory: 0` sends small messages the way of those that do not fit.
 */
import { existsSync, mkdirSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { writeDer } from '../src/asn1/write.js';
import { concat, latin1, utf8, writePem } from '../src/bytes.js';
import { ENCRYPTION_CIPHERS, type EncryptionCipher } from '../src/cms/ciphers.js';
import { describeIdentifier } from '../src/cms/identifiers.js';
import { signData } from '../src/cms/signed.js';
import { MailsealError } from '../src/errors.js';
import { compress, decompress, decrypt, encrypt, keyRing, sign, verify } from '../src/index.js';
import type { Verdict } from '../src/smime/verify.js';
import { failure } from './helpers/failures.js';
import { hasOpenssl, openssl, opensslOut, temporaryFolder } from './helpers/peers.js';
import { issueCertificate, person } from './helpers/pki.js';
import { type CmsRow, cmsRows, corpora, corpusCms, readCorpus, readVector } from './helpers/vectors.js';

const ca = issueCertificate({ subject: 'CA', ca: true });
const trust = [person({ subject: 'CA', ca: true, key: ca.privateKey }).certificate];
const alice = person({ subject: 'Alice', emails: ['alice@example.org'], key: 'rsa', issuer: ca });
const bob = person({ subject: 'Bob', emails: ['bob@example.org'], key: 'P-256', issuer: ca });
const keys = keyRing({ entries: [alice, bob] });

const text = (lines: number) =>
  Array.from({ length: lines }, (_, i) => `Line ${i} of the text.\r\n`).join('');
const HEADER = 'From: alice@example.org\r\nSubject: Streams\r\nContent-Type: text/plain\r\n\r\n';
const MAIL = utf8(HEADER + text(5000));

/** Octets of chunks, in turn. */
async function* chunked(bytes: Uint8Array, ...sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] as number;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

/** The octets of a stream, looked at when it is closed: what has been given out is the reader's. */
async function octetsOf(stream: Readable | undefined): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const closed = new Promise((resolve) => stream?.once('close', resolve));
  for await (const chunk of stream as Readable) chunks.push(chunk);
  await closed;
  return concat(chunks);
}

const folder = temporaryFolder();
let folders = 0;
/** Settings under which nothing fits into memory; the folder is looked at when the test has ended. */
function onDisk(): { spool: { memory: number; directory: string } } {
  const directory = join(folder, `spool-${folders++}`);
  mkdirSync(directory);
  return { spool: { memory: 0, directory } };
}

/** What is left of a test's temporary files: by name, and open without one. */
function leftIn(directory: string): string[] {
  if (!existsSync('/proc/self/fd')) return readdirSync(directory);
  const open = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return []; // it was of the reading itself
    }
  });
  return [...readdirSync(directory), ...open.filter((path) => path.startsWith(directory))];
}

const now = new Date();
const signers = [alice];
const CHUNKS: readonly (readonly number[])[] = [[1 << 17], [1000], [3, 1, 700, 64], [65_536, 1]];

/** Mails of every kind, made in memory. */
const mails: Record<string, Uint8Array> = {};
const signed = await sign(MAIL, { signers, now });
mails['clear-signed'] = signed;
mails['signed by two'] = await sign(MAIL, { signers: [alice, bob], now });
mails.opaque = await sign(MAIL, { signers, now, detached: false });
mails['signed with a protected header'] = await sign(MAIL, { signers, now, protectHeaders: 'clear' });
for (const cipher of ENCRYPTION_CIPHERS) {
  const recipients = [alice.certificate, bob.certificate];
  mails[cipher] = await encrypt(MAIL, { recipients, cipher });
}
const recipients = [alice.certificate];
mails['encrypted with a hidden header'] = await encrypt(MAIL, { recipients, protectHeaders: 'baseline' });
mails['signed, then encrypted'] = await encrypt(signed, { recipients });
mails['opaque, then encrypted'] = await encrypt(
  await sign(MAIL, { signers, detached: false, protectHeaders: 'baseline' }),
  { recipients },
);
mails['encrypted, then signed'] = await sign(await encrypt(MAIL, { recipients }), { signers });
mails['encrypted, then opaque'] = await sign(await encrypt(MAIL, { recipients }), {
  signers,
  detached: false,
});
mails.compressed = await compress(MAIL);
mails['LF line ends'] = utf8(latin1(signed).replaceAll('\r\n', '\n'));
mails['changed content'] = utf8(latin1(signed).replace('Line 4000', 'Line 4001'));
mails['a footer'] = concat([signed, utf8('\r\nA footer behind the closing delimiter\r\n')]);
mails['cut off'] = signed.subarray(0, signed.length / 2);
mails['encrypted, cut off'] = (mails['aes256-gcm'] as Uint8Array).subarray(0, -5000);
mails['encrypted, changed'] = utf8(
  latin1(mails['aes256-gcm'] as Uint8Array).replace(/(.{30}\r\n)(.)/, '$1A'),
);
mails['not S/MIME'] = MAIL;
mails.empty = new Uint8Array();

/** A result, or the error that is thrown. */
async function outcome(run: () => Promise<object>): Promise<object> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof MailsealError)) throw error;
    return { code: error.code };
  }
}

/** Where both are errors, they may be two: in a stream it is what comes first that is seen first. */
function expectSame(streamed: object, whole: object, what?: string): void {
  if (!('code' in streamed && 'code' in whole)) expect(streamed, what).toEqual(whole);
}

const verdictOf = ({
  content,
  certificates,
  ...verdict
}: Omit<Verdict, 'content'> & { content: Uint8Array }) => ({
  ...verdict,
  certificates: certificates.map(({ fingerprint }) => latin1(fingerprint)),
  signers: verdict.signers.map(({ certificate, path, ...signer }) => ({
    ...signer,
    signedAttributes: signer.signedAttributes?.map(({ oid }) => oid),
    encryptionKeyPreference:
      signer.encryptionKeyPreference && describeIdentifier(signer.encryptionKeyPreference),
    encryptionCertificate: signer.encryptionCertificate && latin1(signer.encryptionCertificate.fingerprint),
    counterSignatures: signer.counterSignatures.map(({ valid, problems }) => ({ valid, problems })),
    certificate: certificate && latin1(certificate.fingerprint),
    path: path.map(({ fingerprint }) => latin1(fingerprint)),
  })),
  content: latin1(content),
});

const verifiedWhole = (mail: Uint8Array) =>
  outcome(async () => verdictOf(await verify(mail, { trust, now })));

const verifiedStream = (chunks: AsyncIterable<Uint8Array>, spool: object) =>
  outcome(async () => {
    const verdict = await verify(chunks, { trust, now, ...spool });
    const { close: _, message: __, ...rest } = { ...verdict, message: undefined };
    return verdictOf({ ...rest, content: await octetsOf(verdict.content) });
  });

const decryptedWhole = (mail: Uint8Array) =>
  outcome(async () => {
    const { content, message, certificate, recipient, ...opened } = await decrypt(mail, { keys });
    return {
      ...opened,
      recipient: recipient && describeIdentifier(recipient),
      content: latin1(content),
      message: message && latin1(message),
    };
  });

/** Both of them: the content and the message, which are to be read one or the other. */
const decryptedStream = (chunks: () => AsyncIterable<Uint8Array>, spool: () => object) =>
  outcome(async () => {
    const opened = await decrypt(chunks(), { keys, ...spool() });
    const content = latin1(await octetsOf(opened.content));
    const again = await decrypt(chunks(), { keys, ...spool() });
    const message = again.message && latin1(await octetsOf(again.message));
    await again.close();
    const { close: _, content: __, message: ___, certificate, recipient, ...rest } = { ...opened };
    return { ...rest, recipient: recipient && describeIdentifier(recipient), content, message };
  });

const decompressedWhole = (mail: Uint8Array) =>
  outcome(async () => {
    const { content, message, contentType } = await decompress(mail);
    return { contentType, content: latin1(content), message: message && latin1(message) };
  });

const decompressedStream = (chunks: () => AsyncIterable<Uint8Array>, spool: () => object) =>
  outcome(async () => {
    const { content, contentType } = await decompress(chunks(), spool());
    const again = await decompress(chunks(), spool());
    const message = again.message && latin1(await octetsOf(again.message));
    await again.close();
    return { contentType, content: latin1(await octetsOf(content)), message };
  });

describe('reading gives what it gives in memory', () => {
  it.each(Object.entries(mails))('%s', async (_, mail) => {
    const wholes = [await verifiedWhole(mail), await decryptedWhole(mail), await decompressedWhole(mail)];
    for (const sizes of CHUNKS) {
      const settings = onDisk();
      const chunks = () => chunked(mail, ...sizes);
      expectSame(await verifiedStream(chunks(), settings), wholes[0] as object);
      expectSame(await decryptedStream(chunks, () => settings), wholes[1] as object);
      expectSame(await decompressedStream(chunks, () => settings), wholes[2] as object);
      expect(leftIn(settings.spool.directory)).toEqual([]);
    }
    const spool = () => ({});
    const chunks = () => chunked(mail, 1000);
    expectSame(await verifiedStream(chunks(), {}), wholes[0] as object);
    expectSame(await decryptedStream(chunks, spool), wholes[1] as object);
    expectSame(await decompressedStream(chunks, spool), wholes[2] as object);
  });
});

describe('the vectors, read as streams, give what they give in memory', () => {
  const rows = cmsRows().filter(({ form }) => form !== 'PEM');
  const read = (row: CmsRow & { source: string }) => readVector(row.source, row.path);
  it.each([...new Set(rows.map(({ source }) => source))])(
    '%s',
    async (source) => {
      for (const row of rows.filter((row) => row.source === source)) await compare(read(row), row.path);
    },
    60_000,
  );

  it.skipIf(corpora() === undefined)('examples-cms-rfc9216', async () => {
    for (const { path } of corpusCms()) await compare(readCorpus(path), path);
  });

  async function compare(message: Uint8Array, path: string): Promise<void> {
    const settings = onDisk();
    const chunks = () => chunked(message, 700, 3);
    const streamed = await verifiedStream(chunks(), settings);
    const inMemory = await verifiedWhole(message);
    // Without signed attributes the content itself is signed; and where one part of a mail is signed, all of it is read.
    const isOther = JSON.stringify(streamed).includes('LIMIT_LENGTH') || 'path' in streamed;
    if (!isOther) expectSame(streamed, inMemory, path);
    expectSame(await decryptedStream(chunks, () => settings), await decryptedWhole(message), path);
    expectSame(await decompressedStream(chunks, () => settings), await decompressedWhole(message), path);
    expect(leftIn(settings.spool.directory)).toEqual([]);
  }
});

describe('writing', () => {
  const awkward = utf8(
    'From: a@b\nContent-Type: multipart/mixed; boundary=x\n\n--x\nContent-Transfer-Encoding: 8bit\n\n' +
      `gr\u00fc\u00dfe \n--x\nContent-Transfer-Encoding: base64\n\n${'QUJD\n'.repeat(3000)}--x--\n`,
  );
  it.each([
    ['a plain mail', MAIL],
    ['one that has to be encoded', awkward],
    ['an empty one', utf8('From: a@b\r\n\r\n')],
    ['a text without a header', utf8('Hello')],
  ])('sign, encrypt and compress: %s', async (_, mail) => {
    for (const sizes of CHUNKS) {
      const settings = onDisk();
      const chunks = () => chunked(mail, ...sizes);
      const content = (await verify(await sign(mail, { signers }), { trust })).content;
      for (const detached of [true, false]) {
        const streamed = await octetsOf(await sign(chunks(), { signers, detached, ...settings }));
        const verdict = await verify(streamed, { trust });
        expect(verdict.signers[0]?.valid).toBe(true);
        expect(latin1(verdict.content)).toBe(latin1(content));
      }
      const encrypted = await octetsOf(await encrypt(chunks(), { recipients, ...settings }));
      expect(latin1((await decrypt(encrypted, { keys })).content)).toBe(latin1(content));
      const compressed = await octetsOf(await compress(chunks(), settings));
      expect(latin1((await decompress(compressed)).content)).toBe(latin1(content));
      expect(leftIn(settings.spool.directory)).toEqual([]);
    }
  });

  it('partly in memory, partly on disk', async () => {
    const mail = utf8(HEADER + text(20_000));
    const content = latin1((await verify(await sign(mail, { signers }), { trust })).content);
    for (const memory of [5000, 100_000, 300_000]) {
      for (const sizes of CHUNKS) {
        const { spool } = onDisk();
        const settings = { spool: { ...spool, memory } };
        const through = (octets: Uint8Array) => chunked(octets, ...sizes);
        const clear = await octetsOf(await sign(through(mail), { signers, ...settings }));
        const verdict = await verify(through(clear), { trust, ...settings });
        expect(latin1(await octetsOf(verdict.content))).toBe(content);
        const opaque = await octetsOf(await sign(through(mail), { signers, detached: false, ...settings }));
        const encrypted = await octetsOf(
          await encrypt(through(opaque), { recipients, cipher: 'aes256-gcm', ...settings }),
        );
        const opened = await decrypt(through(encrypted), { keys, ...settings });
        const message = await octetsOf(opened.message);
        const inside = await verify(through(message), { trust, ...settings });
        expect([verdict.valid, inside.valid]).toEqual([true, true]);
        expect(latin1(await octetsOf(inside.content))).toBe(content);
        const compressed = await octetsOf(await compress(through(mail), settings));
        expect(latin1(await octetsOf((await decompress(through(compressed), settings)).content))).toBe(
          content,
        );
        expect(leftIn(spool.directory)).toEqual([]);
      }
    }
  });

  it('what fits into memory comes out in DER, as it does there', async () => {
    const options = { recipients, signers: [alice], now, cipher: 'aes256-cbc' as const };
    const opaque = { ...options, detached: false };
    expect(await octetsOf(await sign(chunked(MAIL, 5000), opaque))).toEqual(
      new Uint8Array(await sign(MAIL, opaque)),
    );
    expect(await octetsOf(await compress(chunked(MAIL, 5000)))).toEqual(new Uint8Array(await compress(MAIL)));
  });

  it.each(ENCRYPTION_CIPHERS)('%s', async (cipher: EncryptionCipher) => {
    const settings = onDisk();
    const encrypting = encrypt(chunked(MAIL, 5000), { recipients, cipher, ...settings });
    if (cipher.endsWith('ccm')) {
      expect((await failure(() => encrypting)).code).toBe('UNSUPPORTED_FEATURE');
    } else {
      const { content } = await decrypt(await octetsOf(await encrypting), { keys });
      expect(latin1(content)).toContain('Line 4999');
    }
    expect(leftIn(settings.spool.directory)).toEqual([]);
  });

  it('the header is protected as in memory', async () => {
    for (const protectHeaders of ['clear', 'baseline'] as const) {
      const settings = onDisk();
      const streamed = await octetsOf(
        await sign(chunked(MAIL, 999), { signers, protectHeaders, ...settings }),
      );
      const [one, other] = [streamed, await sign(MAIL, { signers, protectHeaders })].map((mail) =>
        verify(mail, { trust }),
      );
      expect((await one)?.headers).toEqual((await other)?.headers);
      expect((await one)?.valid).toBe((await other)?.valid);
    }
    const options = { signers, protectHeaders: 'baseline', legacyDisplay: true, ...onDisk() } as const;
    expect((await failure(() => sign(chunked(MAIL, 999), options))).code).toBe('UNSUPPORTED_FEATURE');
  });

  it('any mail in any chunks', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 5 });
    const body = fc.string({ unit: 'binary', maxLength: 300 });
    await fc.assert(
      fc.asyncProperty(sizes, body, fc.integer({ min: 1, max: 300 }), async (sizes, body, times) => {
        const mail = utf8(HEADER.replace('alice', 'bob') + body.repeat(times));
        const settings = { spool: { memory: 0 } };
        const made = await encrypt(await sign(chunked(mail, ...sizes), { signers: [bob], ...settings }), {
          recipients: [bob.certificate],
          ...settings,
        });
        const opened = await decrypt(made, { keys, ...settings });
        const verdict = await verify(opened.message as Readable, { trust, ...settings });
        expect(verdict.problems).toEqual([]);
        const inMemory = await verify(await sign(mail, { signers: [bob] }), { trust });
        expect(latin1(await octetsOf(verdict.content))).toBe(latin1(inMemory.content));
      }),
      { numRuns: 20 },
    );
  });
});

describe.skipIf(!hasOpenssl)('openssl', () => {
  const path = (name: string, content: Uint8Array | string) => {
    const file = join(folder, name);
    writeFileSync(file, content);
    return file;
  };
  const caFile = path('ca.pem', writePem('CERTIFICATE', ca.certificate));
  const certificate = path('alice.pem', writePem('CERTIFICATE', alice.issued.certificate));
  const key = path('alice.key', writePem('PRIVATE KEY', alice.issued.privateKey));
  const mail = path('mail.eml', MAIL);

  it.each(['clear', 'opaque'])('verifies what is signed as a stream: %s', async (form) => {
    const options = { signers, detached: form === 'clear', ...onDisk() };
    const file = path(`${form}.eml`, await octetsOf(await sign(chunked(MAIL, 4000), options)));
    const { status, stdout } = openssl(['cms', '-verify', '-in', file, '-CAfile', caFile]);
    expect(status).toBe(0);
    expect(stdout.toString()).toContain('Line 4999');
  });

  it.each(['aes128-cbc', 'aes256-cbc', 'aes256-gcm'] as const)('decrypts %s', async (cipher) => {
    const options = { recipients, cipher, ...onDisk() };
    const file = path(`${cipher}.eml`, await octetsOf(await encrypt(chunked(MAIL, 4000), options)));
    const plain = opensslOut(['cms', '-decrypt', '-in', file, '-inkey', key, '-recip', certificate]);
    expect(plain.toString()).toContain('Line 4999');
  });

  it.each([
    ['-sign', '-stream', '-signer', certificate, '-inkey', key],
    ['-sign', '-nodetach', '-stream', '-signer', certificate, '-inkey', key],
    ['-sign', '-nodetach', '-stream', '-outform', 'DER', '-signer', certificate, '-inkey', key],
  ])('signs %s %s %s %s', async (...args) => {
    const made = opensslOut(['cms', ...args, '-in', mail]);
    const settings = onDisk();
    const verdict = await verify(chunked(made, 3000), { trust, ...settings });
    expect(verdict.signers[0]?.valid).toBe(true);
    expect(latin1(await octetsOf(verdict.content))).toContain('Line 4999');
    expect(leftIn(settings.spool.directory)).toEqual([]);
  });

  it('signs beside content that is a stream', async () => {
    const args = [
      'cms',
      '-sign',
      '-binary',
      '-outform',
      'DER',
      '-signer',
      certificate,
      '-inkey',
      key,
      '-in',
      mail,
    ];
    const signature = opensslOut(args);
    for (const message of [signature, () => chunked(signature, 100)]) {
      const settings = onDisk();
      const content = chunked(MAIL, 3000);
      const verdict = await verify(typeof message === 'function' ? message() : message, {
        trust,
        content,
        spool: { ...settings.spool, memory: 5000 },
      });
      expect(verdict.problems).toEqual([]);
      expect(await octetsOf(verdict.content)).toEqual(MAIL);
      expect(leftIn(settings.spool.directory)).toEqual([]);
    }
    const other = await verify(signature, { trust, content: chunked(signed, 3000), ...onDisk() });
    expect(other.problems.map(({ code }) => code)).toEqual(['CONTENT_CHANGED']);
    await other.close();
  });

  it('without signed attributes it needs the content in memory', async () => {
    const made = opensslOut([
      'cms',
      '-sign',
      '-noattr',
      '-nodetach',
      '-signer',
      certificate,
      '-inkey',
      key,
      '-in',
      mail,
    ]);
    const streamed = await verify(chunked(made, 3000), { trust, ...onDisk() });
    expect(streamed.problems.map(({ code }) => code)).toEqual(['LIMIT_LENGTH']);
    await streamed.close();
    expect((await verify(chunked(made, 3000), { trust })).problems).toEqual([]);
  });

  it('encrypts', async () => {
    for (const cipher of ['-aes256', '-des3', '-aes-256-gcm']) {
      const made = opensslOut(['cms', '-encrypt', '-stream', cipher, '-in', mail, certificate]);
      const settings = onDisk();
      const { content } = await decrypt(chunked(made, 3000), { keys, ...settings });
      expect(latin1(await octetsOf(content))).toContain('Line 4999');
      expect(leftIn(settings.spool.directory)).toEqual([]);
    }
  });
});

describe('nothing is left behind', () => {
  const operations: Record<string, (spool: object, source?: AsyncIterable<Uint8Array>) => Promise<Readable>> =
    {
      sign: (spool, source = chunked(MAIL, 4096)) => sign(source, { signers, ...spool }),
      encrypt: (spool, source = chunked(MAIL, 4096)) => encrypt(source, { recipients, ...spool }),
      compress: (spool, source = chunked(MAIL, 4096)) => compress(source, spool),
      decrypt: async (spool, source = chunked(mails['aes256-gcm'] as Uint8Array, 4096)) =>
        (await decrypt(source, { keys, ...spool })).content,
      'decrypt to a mail': async (spool, source = chunked(mails['aes256-cbc'] as Uint8Array, 4096)) =>
        (await decrypt(source, { keys, ...spool })).message as Readable,
      verify: async (spool, source = chunked(signed, 4096)) =>
        (await verify(source, { trust, ...spool })).content,
      decompress: async (spool, source = chunked(mails.compressed as Uint8Array, 4096)) =>
        (await decompress(source, spool)).content,
    };

  describe.each(Object.entries(operations))('%s', (_, run) => {
    it('when the stream is read', async () => {
      const settings = onDisk();
      const stream = await run(settings);
      expect(leftIn(settings.spool.directory)).not.toEqual([]);
      expect((await octetsOf(stream)).length).toBeGreaterThan(1000);
      expect(leftIn(settings.spool.directory)).toEqual([]);
    });

    it('when it is destroyed, before anything is read or in the midst', async () => {
      for (const chunks of [0, 1]) {
        const settings = onDisk();
        const stream = await run(settings);
        if (chunks > 0) await stream[Symbol.asyncIterator]().next();
        const closed = new Promise((resolve) => stream.once('close', resolve));
        stream.destroy();
        await closed;
        expect(leftIn(settings.spool.directory)).toEqual([]);
      }
    });

    it('when whoever reads it fails', async () => {
      const settings = onDisk();
      const failing = new Writable({ write: (_chunk, _encoding, done) => done(new Error('disk full')) });
      const stream = await run(settings);
      const closed = new Promise((resolve) => stream.once('close', resolve));
      await expect(pipeline(stream, failing)).rejects.toThrow('disk full');
      await closed;
      expect(leftIn(settings.spool.directory)).toEqual([]);
    });

    it('when the input fails, or is destroyed', async () => {
      const settings = onDisk();
      async function* failing() {
        yield* chunked(MAIL.subarray(0, 50_000), 4096);
        throw new Error('connection lost');
      }
      const outcome = run(settings, failing());
      await expect(outcome).rejects.toThrow(/connection lost|neither signed nor/);
      expect(leftIn(settings.spool.directory)).toEqual([]);
      const input = new PassThrough();
      input.write((mails['aes256-gcm'] as Uint8Array).subarray(0, 30_000));
      const waiting = run(settings, input).then(
        () => 'opened',
        (error: NodeJS.ErrnoException) => error.code,
      );
      setTimeout(() => input.destroy(), 50);
      expect(['ERR_STREAM_PREMATURE_CLOSE', 'NOT_SIGNED', 'UNSUPPORTED_FEATURE']).toContain(await waiting);
      expect(input.destroyed).toBe(true);
      expect(leftIn(settings.spool.directory)).toEqual([]);
    });
  });

  it('when the result is closed unread, twice', async () => {
    const settings = onDisk();
    const verdict = await verify(chunked(signed, 4096), { trust, ...settings });
    expect(leftIn(settings.spool.directory)).not.toEqual([]);
    await verdict.close();
    await verdict.close();
    expect(leftIn(settings.spool.directory)).toEqual([]);
  });

  it('the input is ended when it is refused', async () => {
    const input = Readable.from([MAIL, MAIL], { objectMode: false });
    expect((await failure(() => decrypt(input, { keys, ...onDisk() }))).code).toBe('NOT_SMIME');
    expect(input.destroyed).toBe(true);
  });
});

describe('limits and arguments', () => {
  it('what is longer than may be kept', async () => {
    const { spool } = onDisk();
    const settings = { spool: { ...spool, maxLength: 100_000 } };
    for (const run of [
      () => sign(chunked(MAIL, 4096), { signers, ...settings }),
      () => encrypt(chunked(MAIL, 4096), { recipients, ...settings }),
      () => compress(chunked(MAIL, 4096), settings),
      () => decrypt(chunked(mails['aes256-cbc'] as Uint8Array, 4096), { keys, ...settings }),
      () => verify(chunked(signed, 4096), { trust, ...settings }),
      () => decompress(chunked(mails.compressed as Uint8Array, 4096), settings),
    ]) {
      expect((await failure(run)).code).toBe('LIMIT_LENGTH');
      expect(leftIn(spool.directory)).toEqual([]);
    }
  });

  it('a bomb', async () => {
    const bomb = await compress(concat([utf8(HEADER), new Uint8Array(1 << 26).fill(0x41)]));
    const settings = onDisk();
    expect((await failure(() => decompress(chunked(bomb, 4096), settings))).code).toBe('LIMIT_LENGTH');
    expect(
      (await failure(() => decompress(chunked(bomb, 4096), { maxLength: 1000, ...settings }))).code,
    ).toBe('LIMIT_LENGTH');
    expect(leftIn(settings.spool.directory)).toEqual([]);
  });

  it('what fits into memory as long as it is compressed', async () => {
    const { spool } = onDisk();
    const settings = { spool: { ...spool, memory: 1 << 16 }, maxLength: 2 ** 31 };
    const message = mails.compressed as Uint8Array;
    expect(message.length).toBeLessThan(settings.spool.memory);
    const { content } = await decompress(chunked(message, 4096), settings);
    if (existsSync('/proc/self/fd')) expect(leftIn(spool.directory)).toHaveLength(1);
    expect(await octetsOf(content)).toEqual((await decompress(message)).content);
    expect(leftIn(spool.directory)).toEqual([]);
    const limited = () => decompress(chunked(message, 4096), { ...settings, maxLength: 100_000 });
    expect((await failure(limited)).code).toBe('LIMIT_LENGTH');
    expect(leftIn(spool.directory)).toEqual([]);
  });

  it('compressed content that is no string of octets has to fit into memory', async () => {
    const object = writeDer((w) =>
      w.sequence((w) => {
        w.oid(OID.compressedData);
        w.explicit(0, (w) =>
          w.sequence((w) => {
            w.integer(0);
            w.sequence((w) => w.oid(OID.zlibCompress));
            w.sequence((w) => {
              w.oid(OID.signedData);
              w.explicit(0, (w) => w.sequence((w) => w.integer(1)));
            });
          }),
        );
      }),
    );
    expect((await failure(() => decompress(chunked(object, 100), onDisk()))).code).toBe('LIMIT_LENGTH');
    expect((await failure(() => decompress(chunked(object, 100)))).code).toBe('CMS_MALFORMED');
  });

  it('PEM has to fit into memory', async () => {
    const pem = utf8(writePem('CMS', signData(MAIL, { signers })));
    expect((await verify(chunked(pem, 100), { trust })).problems).toEqual([]);
    expect((await failure(() => verify(chunked(pem, 100), { trust, ...onDisk() }))).code).toBe(
      'LIMIT_LENGTH',
    );
  });

  it('a folder that is not there', async () => {
    const settings = { spool: { memory: 0, directory: join(folder, 'nowhere') } };
    expect((await failure(() => verify(chunked(signed, 4096), { trust, ...settings }))).code).toBe('IO');
  });

  it('what a caller gets wrong', async () => {
    await expect(sign('mail' as unknown as Uint8Array, { signers })).rejects.toThrow(TypeError);
    await expect(sign(Readable.from(['text']), { signers })).rejects.toThrow(TypeError);
    for (const memory of [-1, 1.5, Number.NaN]) {
      await expect(compress(chunked(MAIL, 1), { spool: { memory } })).rejects.toThrow(RangeError);
    }
    await expect(decompress(chunked(MAIL, 1), { maxLength: 0 })).rejects.toThrow(RangeError);
    await expect(sign(chunked(MAIL, 100), { signers: [], ...onDisk() })).rejects.toThrow(RangeError);
  });
});
