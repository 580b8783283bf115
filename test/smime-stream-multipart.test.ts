/** multipart/signed in a stream: src/smime/streams/{multipart,delimiters}.ts gives what mime.ts gives of the whole. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MailsealError } from '../src/errors.js';
import { classify, MAX_PARTS, type MimeEntity, parseEntity, type Range } from '../src/smime/mime.js';
import { splitSigned } from '../src/smime/streams/multipart.js';
import { readIndex, readVector, vectorSources } from './helpers/vectors.js';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

interface Outcome {
  error?: string;
  content?: string;
  signature?: string;
  ranges?: Range[];
}

function failure(error: unknown): Outcome {
  if (!(error instanceof MailsealError)) throw error;
  return { error: `${error.code}@${error.offset}: ${error.message}` };
}

const hex = (octets: Uint8Array) => Buffer.from(octets).toString('latin1');

/** What classify says of the whole mail. */
function wanted(entity: MimeEntity): Outcome {
  try {
    const smime = classify(entity);
    if (smime.kind !== 'multipart-signed') throw new Error(`not multipart/signed: ${smime.kind}`);
    const { content, signature } = smime;
    const { preamble, epilogue } = entity.multipart();
    return {
      content: hex(content.bytes),
      signature: hex(signature.bytes),
      ranges: [content, signature, preamble, epilogue].map(({ start, end }) => ({ start, end })),
    };
  } catch (error) {
    return failure(error);
  }
}

async function* inChunks(body: Uint8Array, cuts: Iterable<number>): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (const cut of cuts) {
    const chunk = Buffer.from(body.subarray(at, cut));
    yield chunk;
    chunk.fill(0x2d); // what was given is its owner's again
    at = cut;
  }
  yield body.subarray(at);
}

async function streamed(entity: MimeEntity, boundary: string, cuts: Iterable<number>): Promise<Outcome> {
  const parts = splitSigned(inChunks(entity.body, cuts), boundary, entity.bodyStart);
  const pieces: Uint8Array[] = [];
  try {
    for await (const piece of parts.content) pieces.push(Buffer.from(piece));
    const { bytes: second, start, preamble, content, epilogue } = await parts.signature();
    const range = { start, end: start + second.length };
    return {
      content: hex(Buffer.concat(pieces)),
      signature: hex(second),
      ranges: [content, range, preamble, epilogue],
    };
  } catch (error) {
    return failure(error);
  }
}

function* every(length: number, size: number): Generator<number> {
  for (let at = size; at < length; at += size) yield at;
}

const HEADER = 'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary=';
const SIGNATURE = 'Content-Type: application/pkcs7-signature\r\n\r\nabc';
const mail = (boundary: string, body: string) => parseEntity(bytes(`${HEADER}"${boundary}"\r\n\r\n${body}`));

async function compare(
  entity: MimeEntity,
  boundary: string,
  chunkings: Iterable<number>[],
): Promise<Outcome> {
  const expected = wanted(entity);
  for (const cuts of chunkings) expect(await streamed(entity, boundary, cuts)).toEqual(expected);
  return expected;
}

describe('rows, cut at every offset', () => {
  test.each([
    ['two parts', `--b\r\n\r\none\r\n--b\r\n${SIGNATURE}\r\n--b--\r\n`, ''],
    ['LF', `--b\n\none\n--b\n${SIGNATURE}\n--b--\n`, ''],
    ['preamble and epilogue', `pre\r\n--b\r\n\r\none\r\n--b\r\n${SIGNATURE}\r\n--b--\r\nepi\r\n--b\r\n`, ''],
    ['transport padding', `--b \t\r\n\r\none\r\n--b  \n${SIGNATURE}\r\n--b-- \t`, ''],
    ['a content that ends with line ends', `--b\r\n\r\n\r\n\r\n\r\n--b\r\n${SIGNATURE}\r\n--b--`, ''],
    ['an empty content', `--b\r\n--b\r\n${SIGNATURE}\r\n--b--`, ''],
    ['lone CR', `--b\r\n\r\none\r\r\n--b\r\n${SIGNATURE}\r--b--\r\n--b--`, ''],
    ['a delimiter line that ends in CR', `--b\r\n\r\none\r\n--b\rx\r\n--b\r\n${SIGNATURE}\r\n--b--`, ''],
    [
      'what only starts like one',
      `--b\r\n\r\n--bb\r\n--b-\r\n--b--x\r\n -\r\n--\r\n--b\r\n${SIGNATURE}\r\n--b--`,
      '',
    ],
    ['a third part', `--b\r\n\r\none\r\n--b\r\n${SIGNATURE}\r\n--b\r\n\r\n--b--`, 'not two parts'],
    ['one part', '--b\r\n\r\none\r\n--b--', 'not two parts'],
    ['none', '--b--', 'not two parts'],
    ['no closing delimiter', `--b\r\n\r\none\r\n--b\r\n${SIGNATURE}\r\n--b-`, 'not two parts'],
    [
      'a closing delimiter that ends in CR',
      `--b\r\n\r\none\r\n--b\r\n${SIGNATURE}\r\n--b--\r`,
      'not two parts',
    ],
    ['no delimiter', 'x\r\n--c\r\n', 'without a delimiter'],
    ['nothing', '', 'without a delimiter'],
    ['no signature', '--b\r\n\r\none\r\n--b\r\n\r\nabc\r\n--b--', 'not what protocol says'],
    [
      'a second part with a bad header',
      '--b\r\n\r\none\r\n--b\r\nA: 1\r\nx\r\n\r\nabc\r\n--b--',
      'not a field',
    ],
    [
      'a second part with two types',
      `--b\r\n\r\none\r\n--b\r\nContent-Type: a/b\r\n${SIGNATURE}\r\n--b--`,
      'two Content-Type fields',
    ],
  ])('%s', async (_, body, error) => {
    const entity = mail('b', body);
    const cuts = Array.from({ length: body.length }, (_, at) => [at]);
    const outcome = await compare(entity, 'b', [...cuts, [], every(body.length, 1), every(body.length, 2)]);
    expect(outcome.error ?? '').toContain(error);
    expect(outcome.error === undefined).toBe(error === '');
  });

  test('more parts than the limit', async () => {
    const body = `${'--b\r\n'.repeat(MAX_PARTS + 1)}--b--`;
    const outcome = await compare(mail('b', body), 'b', [[], every(body.length, 777)]);
    expect(outcome.error).toMatch(/^LIMIT_RECORDS@/);
  });
});

test('any mix of delimiters, line ends and what looks like them, in any chunks', async () => {
  const boundaries = fc.constantFrom('b', 'b-', 'b--', 'bb', '-b', 'b b', '--');
  const piece = fc.constantFrom(
    ...['\r\n', '\n', '\r', '--', '-', 'b', '--b', '--b--', '--bb', '--b-', ' ', '\t', 'x', '\r\n\r\n'],
    ...['\r\n--b\r\n', '\n--b--\n', '\r\n--bb--\r\n', `\r\n--b\r\n${SIGNATURE}`, `\n--bb\n${SIGNATURE}`],
    ...[`--b\r\n\r\none\r\n--b\r\n${SIGNATURE}\r\n--b--\r\n`],
  );
  const junk = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''));
  let parted = 0;
  await fc.assert(
    fc.asyncProperty(
      boundaries,
      fc.tuple(fc.boolean(), junk, junk, junk, junk),
      fc.array(fc.nat(200), { maxLength: 30 }),
      async (boundary, [signed, first, second, third, fourth], cuts) => {
        const body = signed
          ? `${first}\n--${boundary}\n${second}\r\n--${boundary}\n${SIGNATURE}${third}\n--${boundary}--\n${fourth}`
          : first + second + third + fourth;
        const entity = mail(boundary, body);
        const { length } = body;
        const sorted = cuts.filter((cut) => cut <= length).sort((a, b) => a - b);
        const outcome = await compare(entity, boundary, [sorted, every(length, 1), every(length, 3), []]);
        if (outcome.error === undefined) parted++;
      },
    ),
    { numRuns: 3000 },
  );
  expect(parted).toBeGreaterThan(100);
});

const signedMails = vectorSources().flatMap((source) =>
  readIndex(source).flatMap(({ path }) => {
    if (!/\.(?:eml|txt|p7m|p7s|smime|msg)$/.test(path)) return [];
    const octets = Buffer.from(readVector(source, path));
    if (!/multipart\/signed/i.test(octets.toString('latin1', 0, 1 << 16))) return [];
    return [{ name: `${source}/${path}`, entity: parseEntity(octets) }];
  }),
);

describe('mails of others', () => {
  test('there are some', () => expect(signedMails.length).toBeGreaterThan(5));

  test.each(signedMails)('$name, cut anywhere', async ({ entity }) => {
    const boundary = entity.boundary();
    const { length } = entity.body;
    const step = Math.max(1, Math.floor(length / 1500)); // big ones: some offsets only
    const cuts = Array.from(every(length, step), (at) => [at]);
    const outcome = await compare(entity, boundary, [...cuts, every(length, 1), every(length, 13), []]);
    expect(outcome.error).toBeUndefined();
  });
});

describe('the source', () => {
  const body = `--b\r\n\r\n${'one\r\n'.repeat(100)}\r\n--b\r\n${SIGNATURE}\r\n--b--\r\n`;
  function watched(fail = false) {
    const seen = { chunks: 0, ended: false };
    async function* source() {
      try {
        for (const at of [0, ...every(body.length, 100)]) {
          if (fail && at > 200) throw new RangeError('broken');
          seen.chunks++;
          yield bytes(body.slice(at, at + 100));
        }
      } finally {
        seen.ended = true;
      }
    }
    return { seen, source: source() };
  }

  test('content comes as soon as it can be no delimiter', async () => {
    const { seen, source } = watched();
    const { content } = splitSigned(source, 'b', 0);
    let length = 0;
    for await (const piece of content) {
      length += piece.length;
      expect(length).toBeGreaterThanOrEqual(Math.min(502, 100 * seen.chunks - 5 - 4));
    }
    expect(length).toBe(502);
  });

  test('is ended early where the content is', async () => {
    const { seen, source } = watched();
    for await (const _ of splitSigned(source, 'b', 0).content) break;
    expect(seen).toEqual({ chunks: 1, ended: true });
  });

  test('is read to its end, even if nobody asked for the content', async () => {
    const { seen, source } = watched();
    const { start, epilogue } = await splitSigned(source, 'b', 0).signature();
    expect(body.slice(start, start + 12)).toBe('Content-Type');
    expect([epilogue.end, seen.ended]).toEqual([body.length, true]);
  });

  test('its error comes through', async () => {
    const { content } = splitSigned(watched(true).source, 'b', 0);
    const read = async () => {
      for await (const _ of content);
    };
    await expect(read()).rejects.toThrow(RangeError);
  });
});

test('a signature over the limit, and a delimiter line', async () => {
  async function* long(start: string, filler: string) {
    yield bytes(start);
    for (let i = 0; i < 300; i++) yield Buffer.alloc(1 << 16, filler);
  }
  const signature = splitSigned(long('--b\r\n\r\n\r\n--b\r\n', 'x'), 'b', 100).signature();
  await expect(signature).rejects.toMatchObject({ code: 'LIMIT_LENGTH', offset: 114 });
  const padded = splitSigned(long('--b\r\n\r\n\r\n--b', ' '), 'b', 100).signature();
  await expect(padded).rejects.toMatchObject({ code: 'LIMIT_LENGTH', offset: 109 });
});
