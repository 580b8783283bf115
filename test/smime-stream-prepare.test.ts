/** Preparing an entity that goes through a spool: src/smime/streams/prepare.ts gives what prepareEntity gives. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MailsealError } from '../src/errors.js';
import { MAX_HEADER_LENGTH } from '../src/smime/headers.js';
import { MAX_DEPTH, MAX_PARTS } from '../src/smime/mime.js';
import { prepareEntity } from '../src/smime/sevenbit.js';
import { Preparer } from '../src/smime/streams/prepare.js';
import { Spool } from '../src/spool.js';
import { LineScanner, scanLines } from '../src/wasm.js';
import { readIndex, readVector, vectorSources } from './helpers/vectors.js';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

function failure(error: unknown): string {
  if (!(error instanceof MailsealError)) throw error;
  return `${error.code}@${error.offset}: ${error.message}`;
}

function wanted(octets: Uint8Array): string {
  try {
    return Buffer.from(prepareEntity(octets)).toString('latin1');
  } catch (error) {
    return failure(error);
  }
}

function* chunks(octets: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  for (let at = 0, i = 0; at < octets.length; i++) {
    const size = sizes[i % sizes.length] as number;
    yield octets.subarray(at, at + size);
    at += size;
  }
}

/** A spool in memory, read in chunks of these sizes. */
const spool = (octets: Uint8Array, sizes: readonly number[]) => ({
  async *read(start = 0, end = octets.length) {
    for (const chunk of chunks(octets.subarray(start, end), sizes)) {
      const own = Buffer.from(chunk);
      yield own;
      own.fill(0x3d); // what was given is its owner's again
    }
  },
});

/** @param sizes octets of chunks: written, and then read */
async function streamed(octets: Uint8Array, sizes: readonly number[], readSizes = sizes): Promise<string> {
  const preparer = new Preparer();
  try {
    for (const chunk of chunks(octets, sizes)) {
      const own = Buffer.from(chunk);
      preparer.write(own);
      own.fill(0x2d);
    }
    preparer.end();
    const out: Buffer[] = [];
    for await (const piece of preparer.prepared(spool(octets, readSizes))) out.push(Buffer.from(piece));
    return Buffer.concat(out).toString('latin1');
  } catch (error) {
    return failure(error);
  }
}

async function compare(octets: Uint8Array, chunkings: readonly (readonly number[])[]): Promise<string> {
  const expected = wanted(octets);
  for (const sizes of chunkings) {
    const got = await streamed(octets, sizes);
    if (got !== expected) expect(got).toBe(expected); // much faster than letting it compare what is equal
  }
  return expected;
}

const ALL = [[1], [2], [3, 1, 7], [13], [64], [1 << 16]];
const TRANSFER_ENCODINGS = [
  '7bit',
  '8bit',
  'binary',
  'base64',
  'quoted-printable',
  'x-unknown',
  'Base64 (x)',
];

/** What leaves are made of. */
const octetsOfLeaf = fc
  .array(
    fc.constantFrom(
      ...['\r\n', '\n', '\r', ' ', '\t', 'abc', '=', '=41', '=C', '= \t\r\n', '=\n', '\xe4', '\0', '.'],
      ...['From ', '\r\nFrom x', 'QUJD', 'QQ==', '-_', 'x'.repeat(997), 'y'.repeat(80), ' '.repeat(90)],
      ...[
        '--',
        '--a',
        '--b--',
        '\r\n--c',
        '\n\n',
        '\r\r\n',
        '\xe4'.repeat(60),
        'words of a line\r\n'.repeat(30),
      ],
    ),
    { maxLength: 14 },
  )
  .map((pieces) => pieces.join(''));

const lineEnd = fc.constantFrom('\r\n', '\r\n', '\n');
const field = fc.constantFrom(
  ...['Subject: x', 'X: \xe4 ', 'Long: a\r\n b', 'Content-Type: text/html', 'not a field', ' y', 'A: \r', ''],
);

interface Shape {
  header: string;
  body: string;
}

const { entity } = fc.letrec<{ entity: Shape; leaf: Shape; multipart: Shape; message: Shape }>((tie) => ({
  entity: fc.oneof({ maxDepth: 4, withCrossShrink: true }, tie('leaf'), tie('multipart'), tie('message')),
  leaf: fc
    .record({
      type: fc.constantFrom('', 'Text/plain; charset=x', 'image/png', 'application/pkcs7-mime', 'a'),
      encoding: fc.option(fc.constantFrom(...TRANSFER_ENCODINGS)),
      end: lineEnd,
      extra: fc.array(field, { maxLength: 1 }),
      body: octetsOfLeaf,
      headless: fc.nat(9),
    })
    .map(({ type, encoding, end, extra, body, headless }) => {
      if (headless === 0) return { header: '', body };
      const lines = [...(type === '' ? [] : [`Content-Type: ${type}`])];
      if (encoding !== null) lines.push(`Content-Transfer-Encoding: ${encoding}`);
      const rare = headless === 1 ? extra : [];
      const blank = headless === 2 ? '' : end;
      return { header: [...lines, ...rare].map((line) => line + end).join('') + blank, body };
    }),
  message: fc
    .record({
      type: fc.constantFrom('message/rfc822', 'message/global'),
      encoding: fc.option(fc.constantFrom(...TRANSFER_ENCODINGS)),
      end: lineEnd,
      inner: tie('entity'),
    })
    .map(({ type, encoding, end, inner }) => ({
      header: `Content-Type: ${type}${end}${encoding === null ? '' : `Content-Transfer-Encoding: ${encoding}${end}`}${end}`,
      body: inner.header + inner.body,
    })),
  multipart: fc
    .record({
      type: fc.constantFrom('mixed', 'mixed', 'digest', 'signed', 'encrypted'),
      boundary: fc.constantFrom('a', 'b', 'aa', 'a--', 'c', 'c b'),
      encoding: fc.option(fc.constantFrom('7bit', '8bit', 'binary', 'base64'), { freq: 5 }),
      parts: fc.array(tie('entity'), { maxLength: 4 }),
      preamble: fc.oneof(fc.constant(''), octetsOfLeaf),
      epilogue: fc.oneof(fc.constant(''), octetsOfLeaf),
      ends: fc.tuple(lineEnd, lineEnd, lineEnd),
      closed: fc.nat(4),
      defect: fc.nat(20),
    })
    .map(
      ({ type, boundary, encoding, parts, preamble, epilogue, ends: [one, two, three], closed, defect }) => {
        const parameter =
          ['', '; boundary=', '; boundary="x "', `; boundary="${boundary}"; x`][defect] ??
          `; boundary="${boundary}"`;
        const label = encoding === null ? '' : `Content-Transfer-Encoding: ${encoding}${one}`;
        const inside = parts.map((part) => `--${boundary}${two}${part.header}${part.body}${three}`).join('');
        const close = closed === 0 ? '' : `--${boundary}--${closed === 1 ? ' \t' : ''}${one}`;
        return {
          header: `Content-Type: multipart/${type}${parameter}${one}${label}${one}`,
          body: `${preamble}${preamble === '' ? '' : one}${inside}${close}${epilogue}`,
        };
      },
    ),
}));

describe('the same octets, or the same error', () => {
  test('any tree of entities, in any chunks', async () => {
    let prepared = 0;
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(
        entity,
        fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1 }),
        async (top, sizes) => {
          const octets = bytes(top.header + top.body);
          const outcome = await compare(octets, [[1], sizes, [1 << 16]]);
          if (/^(?:MIME|LIMIT)_[A-Z]+@/.test(outcome)) refused++;
          else if (outcome !== octets.toString('latin1')) prepared++;
        },
      ),
      { numRuns: 500 },
    );
    expect(prepared).toBeGreaterThan(100);
    expect(refused).toBeGreaterThan(15);
  });

  test('anything at all', async () => {
    const piece = fc.constantFrom(
      ...['\r\n', '\n', '\r', '--a', '--b', '--', ' ', 'x', 'A: 1\n', '\xe4', '\n\n', '\r\n\r\n', 'From x\n'],
      ...[
        'Content-Type: multipart/mixed; boundary=a\n\n',
        'Content-Type: multipart/mixed; boundary=b\r\n\r\n',
      ],
      ...['Content-Type: message/rfc822\r\n\r\n', 'Content-Type: multipart/digest; boundary=b\n\n'],
      ...[
        'Content-Transfer-Encoding: 8bit\n',
        'Content-Transfer-Encoding: base64\n',
        '\n--a\n',
        '\r\n--b\r\n',
      ],
      ...['\n--a--\n', '\r\n--b--'],
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 25 }), async (pieces) => {
        await compare(bytes(pieces.join('')), ALL);
      }),
      { numRuns: 1000 },
    );
  });

  const declared = (encoding: string, type = 'text/plain') =>
    `Content-Type: ${type}\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n`;
  const long = 'x'.repeat(999);
  const deep = (start: (i: number) => string, end: (i: number) => string) =>
    Array.from({ length: MAX_DEPTH + 1 }, (_, i) => start(i)).join('') +
    Array.from({ length: MAX_DEPTH + 1 }, (_, i) => end(MAX_DEPTH - i)).join('');
  const mixed = (i: number | string) => `Content-Type: multipart/mixed; boundary=b${i}\r\n\r\n--b${i}\r\n`;

  test.each([
    ['nothing', ''],
    ['a text without a header', 'Hello'],
    ['the same, to be encoded', 'Hell\xf6'],
    ['an envelope line alone', 'From x\n'],
    ['a field without a line end', 'Content-Transfer-Encoding: 8bit'],
    ['no text, and no body', 'Content-Type: a/b\r\nContent-Transfer-Encoding: binary\r\n'],
    ...[56, 57, 58, 114].map((n) => [`base64 of ${n}`, `${declared('binary', 'a/b')}${'\xe4'.repeat(n)}`]),
    ['quoted-printable, soft line breaks', `${declared('quoted-printable')}\xe4=\r\n= \t\n=\t\r\nx =41 =`],
    [
      'quoted-printable, white space',
      `${declared('quoted-printable')}\xe4  \r\n \t \r \t=20 \n= x\t\r\r\n \t`,
    ],
    ['quoted-printable, broken escapes', `${declared('quoted-printable')}\xe4=4=GG=\r=  b==41=`],
    ['base64 with white space at line ends', `${declared('base64')}QUJD \r\nQU*JD\xe4\r\nQQ`],
    ['base64 with padding inside', `${declared('base64')}QQ== \r\nQUJD\r\n`],
    ['escapes: as many as pay', `${declared('8bit')}\xe4abcde`],
    ['escapes: one too many', `${declared('8bit')}\xe4abcd`],
    ['escapes: line ends that become longer count', `${declared('8bit')}\xe4abc\nx`],
    ['From at a soft line break', `${declared('7bit')}${'x'.repeat(75)}From ${long}\r\nFrom x\r\nFrom`],
    ['a header as long as may be', `A: ${'x'.repeat(MAX_HEADER_LENGTH - 5)}\r\n\r\n\xe4`],
    ['a header at the limit', `A: ${'x'.repeat(MAX_HEADER_LENGTH - 4)}\n\n\xe4`],
    ['a header over the limit', `A: ${'x'.repeat(MAX_HEADER_LENGTH - 3)}\n\n\xe4`],
    ['a header without an end', `A: ${'x'.repeat(MAX_HEADER_LENGTH + 5000)}`],
    ['a field over the limit', `${'A: 1\r\n'.repeat(MAX_HEADER_LENGTH / 6 + 500)}\r\n`],
    ['a long text without a header', `x ${`${'y'.repeat(70)}\n`.repeat(30_000)}\n\nz \n`],
    ['multiparts nested too deep', deep(mixed, (i) => `\r\n--b${i}--`)],
    ['messages nested too deep', `${'Content-Type: message/rfc822\r\n\r\n'.repeat(MAX_DEPTH + 1)}x`],
    ['messages nested as deep as may be', `${'Content-Type: message/rfc822\r\n\r\n'.repeat(MAX_DEPTH)}\xe4`],
    [
      'a digest without headers',
      `Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\nx\xe4\r\n--b\r\n--b--`,
    ],
    [
      'a digest, whose parts are messages',
      'Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: x\r\n\r\nHell\xf6, world\r\n--b--',
    ],
    ['too many parts', `${mixed('')}${'--b\r\n'.repeat(MAX_PARTS)}--b--`],
    ['as many parts as may be', `${mixed('')}${'--b\r\n'.repeat(MAX_PARTS - 1)}--b--`],
    [
      'too many parts outside, and a broken one before them',
      `${mixed(1)}${mixed(2)}A\r\nB: 1\r\nx\r\n${'--b2\r\n'.repeat(9)}\r\n--b1\r\n${'--b1\r\n'.repeat(MAX_PARTS)}--b1--`,
    ],
    [
      'too many parts inside, and more outside',
      `${mixed(1)}${mixed(2)}${'--b2\r\n'.repeat(MAX_PARTS)}\r\n--b2--\r\n--b1\r\n${'--b1\r\n'.repeat(500)}--b1--`,
    ],
    [
      'too deep, and too many outside',
      `${deep(mixed, (i) => `\r\n--b${i}--`)}\r\n`.replace(
        '\r\n--b0--',
        `\r\n--b0${'\r\n--b0'.repeat(MAX_PARTS)}--`,
      ),
    ],
    [
      'a part without a delimiter in it, then a broken one',
      `${mixed(1)}${mixed(2).slice(0, -6)}\r\n--b1\r\nA: 1\r\nx`,
    ],
  ])('%s', async (_, text) => {
    await compare(bytes(text), text.length > 100_000 ? [[777], [1 << 16]] : ALL);
  });
});

const mails = vectorSources().flatMap((source) =>
  readIndex(source)
    .filter((row) => /\.(?:eml|txt|message|msg)$/.test(row.path))
    .map((row) => ({ name: `${source}/${row.path}`, octets: readVector(source, row.path) })),
);

describe('mails of others', () => {
  test('there are many', () => expect(mails.length).toBeGreaterThan(20));

  test.each(mails)('$name', async ({ octets }) => {
    await compare(octets, octets.length > 300_000 ? [[1 << 16]] : [[1], [13], [1 << 16]]);
    const broken = Buffer.from(octets.map((octet, i) => (i % 997 === 996 ? octet | 0x80 : octet)));
    await compare(broken, [[octets.length > 300_000 ? 7777 : 13]]);
  });
});

test('line scanning in pieces finds what it finds in the whole', () => {
  const piece = fc.constantFrom(
    ...['\r\n', '\n', '\r', ' \r\n', '\t\n', '\0', '\xe4', '\r\nFrom x', '\nFrom', ' ', 'From ', 'a'],
    ...['words of a line', 'x'.repeat(499), 'x'.repeat(998)],
  );
  const size = fc.integer({ min: 1, max: 70 });
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), fc.array(size, { minLength: 1 }), (pieces, sizes) => {
      const octets = bytes(pieces.join(''));
      const scanner = new LineScanner();
      for (let twice = 0; twice < 2; twice++) {
        for (const chunk of chunks(octets, sizes)) scanner.write(chunk);
        expect(scanner.end()).toEqual(scanLines(octets));
      }
    }),
    { numRuns: 1000 },
  );
  const whole = bytes(`${'x'.repeat(76)}\r\n`.repeat(3000));
  for (const edge of [32 * 1024, 64 * 1024]) {
    for (let at = edge - 12; at < edge + 12; at++) {
      const octets = Buffer.concat([whole.subarray(0, at), bytes('\r\nFrom \r\n \n'), whole]);
      const scanner = new LineScanner();
      scanner.write(octets);
      expect(scanner.end()).toEqual(scanLines(octets));
    }
  }
});

describe('memory', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  /** Octets that are in use. */
  function inUse(): number {
    collect();
    collect(); // which waits for what the first one has found
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  }

  const MB = 1 << 20;
  const leaf = (type: string, encoding: string, line: string, size: number): [string, string, number] => [
    `--b\r\nContent-Type: ${type}\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n`,
    line,
    Math.ceil(size / line.length),
  ];
  const base64Line = `${'A'.repeat(76)}\r\n`;

  test.each([
    ['base64', leaf('a/b', 'base64', base64Line, 64 * MB)],
    ['text with LF', leaf('text/plain', '7bit', 'the words of a line\n', 64 * MB)],
    ['binary', leaf('a/b', 'binary', '\xe4\0\r', 64 * MB)],
    ['base64 that is not obeyed', leaf('a/b', 'base64', `${'A'.repeat(76)} \r\n`, 64 * MB)],
    ['8-bit text', leaf('text/plain', '8bit', 'the words of \xe4 line\r\n', 16 * MB)],
    [
      'quoted-printable that is not obeyed',
      leaf('text/plain', 'quoted-printable', 'the\xe4 \t\r\n', 16 * MB),
    ],
    ['one long line', leaf('text/plain', '7bit', 'words '.repeat(100), 16 * MB)],
  ])('%s: flat', async (_, [header, line, lines]) => {
    const block = bytes(line.repeat(Math.ceil(65536 / line.length)));
    const start = bytes(`Content-Type: multipart/mixed; boundary=b\r\n\r\n${header}`);
    const end = bytes('\r\n--b--\r\n');
    const length = start.length + lines * line.length + end.length;
    /** The octets from `from` to `to`, made when they are asked for. */
    async function* read(from = 0, to = length): AsyncGenerator<Uint8Array> {
      for (let at = from; at < to; ) {
        const inBody = at - start.length;
        const left = lines * line.length - inBody;
        let chunk: Buffer;
        if (inBody < 0) chunk = start.subarray(at);
        else if (left <= 0) chunk = end.subarray(-left);
        else chunk = block.subarray(inBody % line.length).subarray(0, left);
        yield Buffer.from(chunk.subarray(0, to - at));
        at += Math.min(chunk.length, to - at);
      }
    }
    const before = inUse();
    let most = 0;
    const preparer = new Preparer();
    let written = 0;
    for await (const chunk of read()) {
      preparer.write(chunk);
      written += chunk.length;
      if (written % (8 * MB) < chunk.length) most = Math.max(most, inUse());
    }
    expect(written).toBe(length);
    preparer.end();
    let made = 0;
    for await (const chunk of preparer.prepared({ read })) {
      made += chunk.length;
      if (made % (8 * MB) < chunk.length) most = Math.max(most, inUse());
    }
    expect(made).toBeGreaterThan(length * 0.6);
    expect(most - before).toBeLessThan(8 * MB);
  });
});

test('what does not fit in memory is refused: white space that may have to go, or may be of a delimiter', async () => {
  const blank = ' '.repeat(1.2 * (1 << 20));
  const quoted = bytes(`Content-Transfer-Encoding: quoted-printable\r\n\r\nx${blank}\xe4`);
  expect(await streamed(quoted, [1 << 16])).toMatch(/^LIMIT_LENGTH@undefined: white space over /);
  const padded = bytes(`Content-Type: multipart/mixed; boundary=b\r\n\r\n--b${blank}\r\n--b--`);
  expect(await streamed(padded, [1 << 15])).toMatch(/^LIMIT_LENGTH@45: a delimiter line over /);
});

test('from a spool, as often as wanted', async () => {
  const leaf = `Content-Type: text/plain\r\n\r\n${'some w\xf6rds of a line \n'.repeat(5000)}`;
  const image = `Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n${'\xe4\0'.repeat(60_000)}`;
  const octets = bytes(
    `Content-Type: multipart/mixed; boundary=b\n\n--b\n${leaf}\n--b\n${image}\n--b--\nepilogue \xe4`,
  );
  for (const memory of [0, 100_000, 1 << 20]) {
    const preparer = new Preparer();
    const kept = new Spool({ memory });
    try {
      for (const chunk of chunks(octets, [5000, 1, 70_000])) {
        preparer.write(chunk);
        await kept.write(chunk);
      }
      preparer.end();
      for (let twice = 0; twice < 2; twice++) {
        const out: Uint8Array[] = [];
        for await (const piece of preparer.prepared(kept)) out.push(Buffer.from(piece));
        expect(Buffer.concat(out).equals(prepareEntity(octets))).toBe(true);
      }
    } finally {
      await kept.close();
    }
  }
});

test('what cannot be: the prepared entity before its end', async () => {
  await expect(new Preparer().prepared(spool(bytes(''), [1])).next()).rejects.toThrow('before end()');
});

/**
 * Each line begins as all of the boundaries do and is looked up among them, by a search that halves what is left; with one
 * boundary no line begins as it does. That is four to five times as long. When each boundary was looked for on its own, it was
 * forty times: the bound lies between.
 */
const MOST_FOR_MANY = 15;

test('lines that look like delimiters cost no more in many multiparts than in one', () => {
  const opening = (i: number) => `Content-Type: multipart/mixed; boundary=b${i}\r\n\r\n--b${i}\r\n`;
  const inside = (depth: number) => bytes(Array.from({ length: depth }, (_, i) => opening(i)).join(''));
  const line = '\n--b1x';
  const time = (head: Uint8Array, length: number) => {
    const body = Buffer.alloc(length, line);
    const start = performance.now();
    const preparer = new Preparer();
    for (const chunk of [head, ...chunks(body, [1 << 16])]) preparer.write(chunk);
    preparer.end();
    return performance.now() - start;
  };
  // As many lines more in one take as long as what is allowed: neither is more often interrupted than the other.
  let [many, one] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let run = 0; run < 8; run++) {
    many = Math.min(many, time(inside(MAX_DEPTH - 1), 1 << 19));
    one = Math.min(one, time(inside(1), MOST_FOR_MANY << 19));
  }
  expect(many).toBeLessThan(one);
});
