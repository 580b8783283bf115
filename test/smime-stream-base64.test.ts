/** Bodies and CMS objects in chunks: the octets and the errors of what is all there, however the chunks are cut. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, equal, inPieces, utf8 } from '../src/bytes.js';
import { MailsealError } from '../src/errors.js';
import { readInput } from '../src/smime/input.js';
import { decodeBody as decodeWhole, parseEntity } from '../src/smime/mime.js';
import { decodeBody, encodeBase64Stream, objectOctets } from '../src/smime/streams/base64.js';
import { encodeBase64Lines } from '../src/smime/transfer.js';

async function* chunks(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] as number;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

async function all(octets: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of octets) parts.push(new Uint8Array(part));
  return concat(parts);
}

/** What there is, or code, message and offset of the error. */
async function outcome(run: () => Uint8Array | Promise<Uint8Array>): Promise<Uint8Array | string> {
  try {
    return new Uint8Array(await run());
  } catch (error) {
    if (!(error instanceof MailsealError)) throw error;
    return `${error.code} ${error.message} at ${error.offset}`;
  }
}

const SIZES: readonly (readonly number[])[] = [[1], [2, 0, 3], [7], [76, 78], [1000], [1 << 16], [1 << 20]];

function entityOf(transferEncoding: string, body: Uint8Array, header = '') {
  return parseEntity(concat([utf8(`${header}Content-Transfer-Encoding: ${transferEncoding}\r\n\r\n`), body]));
}

async function expectSame(transferEncoding: string, body: Uint8Array, sizes = SIZES): Promise<void> {
  const entity = entityOf(transferEncoding, body);
  const expected = await outcome(() => decodeWhole(entity));
  for (const size of sizes) {
    if (size[0] === 1 && body.length > 5000) continue;
    const source = chunks(body, size);
    const found = await outcome(() => all(decodeBody(source, transferEncoding, entity.bodyStart)));
    if (typeof expected === 'string' || typeof found === 'string') expect(found).toBe(expected);
    else expect(equal(found, expected), `chunks of ${size}`).toBe(true);
  }
}

const random = (length: number) => Uint8Array.from({ length }, (_, i) => Math.imul(i + 1, 0x9e3779b1) >>> 24);
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');

describe('transfer encodings', () => {
  it.each(['7bit', '8bit', 'binary'])('%s changes nothing', async (encoding) => {
    await expectSame(encoding, random(200_000));
    await expectSame(encoding, new Uint8Array());
  });

  it('one that nobody knows', async () => {
    const [entity, source] = [entityOf('x-uuencode', utf8('text')), chunks(utf8('text'), [1])];
    const found = await outcome(() => all(decodeBody(source, 'x-uuencode', entity.bodyStart)));
    expect(found).toBe(await outcome(() => decodeWhole(entity)));
    expect(found).toContain('UNSUPPORTED_FEATURE');
  });

  for (const width of [76, 64, 72, 60, 5, 1 << 30]) {
    it(`base64 in lines of ${width}`, async () => {
      for (const length of [0, 1, 2, 3, 4, 56, 57, 58, 1000, 48_000, 200_000]) {
        const lines = text(random(length)).match(new RegExp(`.{1,${Math.min(width, 60_000)}}`, 'g')) ?? [];
        for (const lineEnd of width === 76 ? ['\r\n', '\n'] : ['\r\n']) {
          await expectSame('base64', utf8(lines.join(lineEnd)));
          await expectSame('base64', utf8(`${lines.join(lineEnd)}${lineEnd}`));
        }
      }
    });
  }

  it('base64 with a fault at every place', async () => {
    const body = utf8(`${text(random(100)).replace(/.{60}/g, '$&\r\n')}\r\n`);
    for (let at = 0; at < body.length; at++) {
      for (const octet of [0x21, 0x3d, 0x0a, 0xff]) {
        await expectSame(
          'base64',
          body.map((old, i) => (i === at ? octet : old)),
          [[1], [5, 3], [1 << 16]],
        );
      }
      await expectSame('base64', body.subarray(0, at), [[1], [9]]);
    }
  });

  it('a fault of base64 far into a body', async () => {
    const body = Buffer.from(text(random(300_000)).replace(/.{76}/g, '$&\r\n'));
    for (const at of [57 * 1024 - 1, 57 * 1024, 65_535, 65_536, 130_000, 300_000]) {
      const damaged = Buffer.from(body);
      damaged[at] = 0x2a;
      await expectSame('base64', damaged, [[1000], [1 << 16], [100_000]]);
      await expectSame('base64', body.subarray(0, at), [[1000], [1 << 16]]);
    }
  });

  it('any base64 in any chunks', async () => {
    const piece = fc.constantFrom(
      'AAAA',
      'QUJD',
      'Zg==',
      'Zm8=',
      '=',
      ' ',
      '\r\n',
      '\n',
      '\t',
      '!',
      'A',
      'b9+/',
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(piece, { maxLength: 60 }),
        fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 6 }),
        async (pieces, sizes) => {
          await expectSame('base64', utf8(pieces.join('')), [[...sizes, 1]]);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('any quoted-printable in any chunks', async () => {
    const piece = fc.constantFrom(
      '=',
      '=4',
      '=41',
      '=3D',
      ' ',
      '\t',
      '\r',
      '\n',
      '\r\n',
      '=\r\n',
      '= \n',
      'text',
      'X',
      '=G',
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(piece, { maxLength: 40 }),
        fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 6 }),
        async (pieces, sizes) => {
          await expectSame('quoted-printable', utf8(pieces.join('')), [[...sizes, 1]]);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('quoted-printable over many chunks', async () => {
    const part =
      'A text=3D with escapes,   \r\nlines that go on=\r\n and white space at their end \t \r\n'.repeat(50);
    const body = utf8(part.repeat(40));
    await expectSame('quoted-printable', body);
    for (const at of [10, 65_534, 65_535, 65_536, 65_537, 140_000]) {
      const damaged = concat([body.subarray(0, at), utf8('=X'), body.subarray(at)]);
      await expectSame('quoted-printable', damaged, [[77], [1 << 16]]);
    }
  });

  it('errors of the source pass, with their offset', async () => {
    const broken = async function* () {
      yield utf8('QUJD');
      throw new MailsealError('IO', 'broken', { offset: 5 });
    };
    for (const encoding of ['7bit', 'base64', 'quoted-printable']) {
      expect(await outcome(() => all(decodeBody(broken(), encoding, 100)))).toBe('IO broken at 5');
      expect(await outcome(() => all(objectOctets(broken(), encoding, 100)))).toBe('IO broken at 5');
    }
  });

  it('a reader that goes away ends the source', async () => {
    for (const encoding of ['7bit', 'base64', 'quoted-printable']) {
      let ended = false;
      const source = async function* () {
        try {
          for (;;) yield utf8('QUJD\r\n'.repeat(20_000));
        } finally {
          ended = true;
        }
      };
      for await (const part of decodeBody(source(), encoding)) {
        expect(part.length).toBeGreaterThan(0);
        break;
      }
      expect(ended).toBe(true);
      ended = false;
      for await (const _ of objectOctets(source(), encoding)) break;
      expect(ended).toBe(true);
    }
  });
});

describe('base64 lines', () => {
  it('of any length, in any chunks, behind a head', async () => {
    for (const length of [0, 1, 2, 3, 56, 57, 58, 113, 114, 115, 1000, 57 * 1024, 65_536, 200_001]) {
      const bytes = random(length);
      for (const size of SIZES) {
        if (size[0] === 1 && length > 5000) continue;
        for (const head of [undefined, utf8('Content-Type: x/y\r\n\r\n')]) {
          const expected = encodeBase64Lines(inPieces([bytes]), head);
          const found = await all(encodeBase64Stream(chunks(bytes, size), head));
          expect(equal(found, expected), `${length} in chunks of ${size}`).toBe(true);
        }
      }
    }
  });

  it('of any octets', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 8 }), async (parts) => {
        const source = async function* () {
          yield* parts;
        };
        const expected = encodeBase64Lines(inPieces(parts));
        expect(equal(await all(encodeBase64Stream(source())), expected)).toBe(true);
      }),
    );
  });
});

describe('the CMS object of a body', () => {
  const object = concat([
    Uint8Array.of(0x30, 0x82, 0x01, 0x00, 0x06, 0x03, 0x2a, 0x03, 0x04, 0xa0, 0x81, 0xf8, 0x04, 0x81, 0xf5),
    random(245),
  ]);
  const endless = concat([
    Uint8Array.of(0x30, 0x80, 0x06, 0x03, 0x2a, 0x03, 0x04, 0xa0, 0x80, 0x04, 0x03),
    utf8('a\n\n'),
    new Uint8Array(4),
  ]);
  /** Its last octets are line ends that belong to it. */
  const linesInside = concat([
    Uint8Array.of(0x30, 13, 0x06, 0x03, 0x2a, 0x03, 0x04, 0xa0, 6, 0x04, 4),
    utf8('\r\n\r\n'),
  ]);
  const objects = { definite: object, indefinite: endless, 'line ends inside': linesInside };

  /** readInput of a mail with this body sees these octets. */
  const mailWith = (transferEncoding: string, body: Uint8Array) =>
    entityOf(transferEncoding, body, 'Content-Type: application/pkcs7-mime\r\n');
  const seen = async (transferEncoding: string, body: Uint8Array) => {
    const entity = mailWith(transferEncoding, body);
    return outcome(() => readInput(entity.source).contentInfo.content.source);
  };

  for (const [name, bytes] of Object.entries(objects)) {
    for (const before of ['', '\r\n', '\n\n\r\n']) {
      for (const behind of ['', '\n', '\r\n\r\n\n', '\r\n'.repeat(100)]) {
        it(`${name}, with ${JSON.stringify(before)} before and ${behind.length} octets behind it`, async () => {
          const body = concat([utf8(before), bytes, utf8(behind)]);
          for (const encoding of ['binary', '7bit', '8bit']) {
            const expected = await seen(encoding, body);
            expect(expected).toEqual(new Uint8Array(bytes));
            for (const size of SIZES) {
              expect(await outcome(() => all(objectOctets(chunks(body, size), encoding)))).toEqual(expected);
            }
          }
          const unlabelled = utf8(`${before}${text(bytes).replace(/.{60}/g, '$&\r\n')}${behind}`);
          for (const size of SIZES) {
            expect(await outcome(() => all(objectOctets(chunks(unlabelled, size), '7bit')))).toEqual(
              new Uint8Array(bytes),
            );
            expect(await outcome(() => all(objectOctets(chunks(unlabelled, size), 'base64')))).toEqual(
              new Uint8Array(bytes),
            );
          }
        });
      }
    }
  }

  it('nothing, and what is neither', async () => {
    for (const body of ['', '\r\n\r\n', 'text that is none!', '\r\n\r\nQUJD!', 'QUJ']) {
      const expected = await seen('7bit', utf8(body));
      const { bodyStart } = mailWith('7bit', utf8(body));
      for (const size of SIZES) {
        const found = await outcome(() => all(objectOctets(chunks(utf8(body), size), '7bit', bodyStart)));
        if (typeof found === 'string') expect(found).toBe(expected);
        else expect(found).toHaveLength(0);
      }
    }
  });

  it('an object that is cut off in its header', async () => {
    for (let length = 1; length < 16; length++) {
      const cut = object.subarray(0, length);
      for (const size of [[1], [3], [100]]) {
        expect(await outcome(() => all(objectOctets(chunks(cut, size), 'binary')))).toEqual(cut);
      }
    }
  });

  it('keeps line ends that something follows, and does not keep more than 1 MiB of them waiting', async () => {
    const inside = concat([
      endless.subarray(0, 9),
      utf8('\r\n'.repeat(700_000)),
      Uint8Array.of(1),
      utf8('\n\n'),
    ]);
    const found = await all(objectOctets(chunks(inside, [1 << 16]), 'binary'));
    expect(equal(found, inside.subarray(0, -2))).toBe(true);
    let waiting = 0;
    let most = 0;
    const source = async function* () {
      yield endless.subarray(0, 9);
      for (let i = 0; i < 64; i++) {
        waiting += 1 << 16;
        most = Math.max(most, waiting);
        yield new Uint8Array(1 << 16).fill(0x0a);
      }
    };
    for await (const part of objectOctets(source(), 'binary')) waiting -= part.length;
    expect(most).toBeLessThan((1 << 20) + (1 << 18));
  });
});
