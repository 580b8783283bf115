/** Line ends and transfer encodings: src/smime/transfer.ts over the kernels of assembly/{lines,base64}.ts. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { inPieces } from '../src/bytes.js';
import {
  canonicalize,
  decodeBase64,
  decodeQuotedPrintable,
  encodeBase64Lines,
  encodeQuotedPrintable,
} from '../src/smime/transfer.js';
import { Hazard, scanLines } from '../src/wasm.js';
import { failureAt } from './helpers/failures.js';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const text = (octets: Uint8Array): string => Buffer.from(octets).toString('latin1');

/** The kernels take texts in windows of this many octets. */
const WINDOW = 57 * 1024;

describe('hazards', () => {
  /** What scanLines looks for, by regular expressions. */
  function reference(input: string): { found: number; lone: number } {
    const lone = input.match(/\r(?!\n)|(?<!\r)\n/g)?.length ?? 0;
    const lines = input.split('\n').map((line) => line.replace(/\r$/, ''));
    const hazards: [number, boolean][] = [
      [Hazard.EIGHT_BIT, /[\x80-\xff]/.test(input)],
      [Hazard.NUL, input.includes('\0')],
      [Hazard.LONE_LINE_END, lone > 0],
      [Hazard.LONG_LINE, lines.some((line) => line.length > 998)],
      [Hazard.TRAILING_SPACE, /[ \t][\r\n]/.test(input)],
      [Hazard.FROM_LINE, /(?:^|\n)From /.test(input)],
    ];
    return { found: hazards.reduce((bits, [bit, is]) => bits | (is ? bit : 0), 0), lone };
  }

  const SPECIAL = ['\r\n', '\n', '\r', '\r\r\n', ' \r\n', '\t\n', ' \r', '\0', '\xe4', '\t', '\x1f'];
  const FROM = ['\r\nFrom x', '\nFrom ', '\r\nFrom', '\r\nFroma', '\rFrom ', 'From ', '\r\nfrom '];

  test.each([...SPECIAL, ...FROM])('%j at every offset, between ordinary octets and at the end', (piece) => {
    for (let at = 0; at < 140; at++) {
      for (const input of [`${'a'.repeat(at)}${piece}`, `${'a'.repeat(at)}${piece}${'b'.repeat(80)}\r\n`]) {
        expect(scanLines(bytes(input)), `at ${at} of ${input.length}`).toEqual(reference(input));
      }
    }
  });

  test.each([...SPECIAL, ...FROM])('%j around the edge of a window', (piece) => {
    for (let at = WINDOW - 8; at <= WINDOW + 8; at++) {
      const input = `${`${'a'.repeat(62)}\r\n`.repeat(at / 64)}${'b'.repeat(at % 64)}${piece}ccc\r\n`;
      expect(scanLines(bytes(input)), `at ${at}`).toEqual(reference(input));
    }
  });

  test('a line of 998 octets, and of one more, wherever it begins and however it ends', () => {
    for (const before of [0, 1, 63, 64, WINDOW - 1000, WINDOW - 998, WINDOW - 997, WINDOW - 2]) {
      const start = `${'a\r\n'.repeat(before / 3)}${'\r\n'.repeat((before % 3) / 2)}`;
      for (const length of [997, 998, 999, 1000]) {
        for (const end of ['', '\r\n', '\n', '\r', '\r\nb', '\nb']) {
          const input = `${start}${'x'.repeat(length)}${end}`;
          expect(scanLines(bytes(input)), `${length} ${JSON.stringify(end)}`).toEqual(reference(input));
        }
      }
    }
  });

  test('any mix', () => {
    const piece = fc.constantFrom(...SPECIAL, ...FROM, 'a', 'words of a line', 'x'.repeat(400));
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        const input = pieces.join('');
        expect(scanLines(bytes(input))).toEqual(reference(input));
      }),
      { numRuns: 500 },
    );
  });
});

describe('canonical line ends', () => {
  const reference = (input: string) => input.replace(/\r\n|\r|\n/g, '\r\n');
  test.each([
    '',
    '\n',
    '\r',
    '\r\n',
    '\n\r',
    '\r\r\n',
    '\n\n',
    'a\nb',
    'a\rb',
    'a\r\nb\n',
    '\r\n\r',
    '\r\n\n',
  ])('%j', (input) => expect(text(canonicalize(bytes(input)))).toBe(reference(input)));

  test('canonical octets come back as the same array', () => {
    for (const input of ['', 'abc', 'a\r\nb\r\n', `${'x'.repeat(76)}\r\n`.repeat(5000)]) {
      const octets = bytes(input);
      expect(canonicalize(octets)).toBe(octets);
    }
  });

  test('any mix of line ends and octets, and again', () => {
    const piece = fc.constantFrom('\r', '\n', '\r\n', 'a', '\0', '\xff', 'sixteen octets..', 'x'.repeat(300));
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        const once = canonicalize(bytes(pieces.join('')));
        expect(text(once)).toBe(reference(pieces.join('')));
        expect(canonicalize(once)).toBe(once);
      }),
    );
  });

  test('a line end split at every offset around the edge of a window', () => {
    for (const end of ['\r\n', '\n', '\r', '\r\r', '\n\r']) {
      for (let at = WINDOW - 3; at <= WINDOW + 3; at++) {
        const input = `${'a'.repeat(at)}${end}${'b'.repeat(40)}`;
        expect(text(canonicalize(bytes(input))) === reference(input), `${JSON.stringify(end)} at ${at}`).toBe(
          true,
        );
      }
    }
  });
});

describe('base64', () => {
  const lines = (octets: Uint8Array) =>
    (
      Buffer.from(octets)
        .toString('base64')
        .match(/.{1,76}/g) ?? []
    )
      .map((line) => `${line}\r\n`)
      .join('');
  const pattern = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 151 + (i >> 7)) & 255);

  test('every length to three lines, and around the edge of a window, there and back', () => {
    const lengths = [...Array(180).keys(), WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW, 2 * WINDOW + 56];
    for (const length of lengths) {
      const octets = pattern(length);
      const encoded = encodeBase64Lines(inPieces([octets]));
      const cut = Math.floor(octets.length / 3);
      const pieces = [octets.subarray(0, cut), new Uint8Array(0), octets.subarray(cut)];
      expect(
        Buffer.from(encodeBase64Lines(inPieces(pieces), bytes('head'))).equals(
          Buffer.concat([bytes('head'), encoded]),
        ),
      ).toBe(true);
      expect(text(encoded) === lines(octets), `encode ${length}`).toBe(true);
      expect(Buffer.from(decodeBase64(encoded)).equals(octets), `decode ${length}`).toBe(true);
    }
  });

  test('white space split in at every offset', () => {
    const octets = pattern(100);
    const encoded = Buffer.from(octets).toString('base64');
    for (const gap of ['\n', '\r\n', ' \t']) {
      for (let at = 0; at <= encoded.length; at++) {
        const input = bytes(`${encoded.slice(0, at)}${gap}${encoded.slice(at)}`);
        expect(Buffer.from(decodeBase64(input)).equals(octets), `${JSON.stringify(gap)} at ${at}`).toBe(true);
      }
    }
    for (let width = 1; width < 80; width++) {
      const input = bytes(encoded.replace(new RegExp(`.{${width}}`, 'g'), '$&\r\n'));
      expect(Buffer.from(decodeBase64(input)).equals(octets), `width ${width}`).toBe(true);
    }
  });

  test.each([
    ['a foreign character', 'QUJ*', 'MIME_MALFORMED@3'],
    [
      'a foreign character in a long line',
      `${'A'.repeat(76)}\r\n${'A'.repeat(50)}-${'A'.repeat(25)}\r\n`,
      'MIME_MALFORMED@128',
    ],
    ['an 8-bit octet', 'QUJD\xe4UJD', 'MIME_MALFORMED@4'],
    ['NUL', 'QUJD\0', 'MIME_MALFORMED@4'],
    ['truncated', 'QUJDR', 'MIME_MALFORMED@5'],
    ['no padding', 'QUI', 'MIME_MALFORMED@3'],
    ['half a padding', 'QQ=', 'MIME_MALFORMED@3'],
    ['too much padding', 'QUI==', 'MIME_MALFORMED@4'],
    ['padding alone', '====', 'MIME_MALFORMED@0'],
    ['padding after one character', 'Q===', 'MIME_MALFORMED@1'],
    ['text behind the padding', 'QQ==QQ==', 'MIME_MALFORMED@4'],
    ['a foreign character behind the first window', `${'QUJD'.repeat(15_000)}!`, 'MIME_MALFORMED@60000'],
  ])('strict refuses %s', (_, input, expected) => {
    expect(failureAt(() => decodeBase64(bytes(input)))).toBe(expected);
  });

  test.each([60, 64, 72, 76, 80])('every octet in every place of a line of %i characters', (width) => {
    const content = 'ABCD'.repeat(width / 4);
    for (let place = width + 2; place < 2 * width + 2; place++) {
      const lines = Buffer.from(`${content}\r\n${content}\r\nABCD`, 'latin1');
      const results = Array.from({ length: 256 }, (_, c) => {
        lines[place] = c;
        return failureAt(() => decodeBase64(lines));
      });
      const expected = results.map((result, c) => {
        const character = String.fromCharCode(c);
        if (/[A-Za-z0-9+/]/.test(character)) return 'no error';
        if (/[ \t\r\n]/.test(character)) return `MIME_MALFORMED@${lines.length}`; // a character too few
        if (character !== '=') return `MIME_MALFORMED@${place}`;
        return result.startsWith('MIME_MALFORMED@') ? result : 'refused';
      });
      expect(results, `at ${place}`).toEqual(expected);
    }
  });

  test.each([1, 4, 16, 60, 63, 64, 65, 72, 76, 77, 80, 1000])(
    'lines of %i characters, whatever stands before them, over the edges of windows',
    (width) => {
      const octets = pattern(2 * WINDOW);
      const encoded = Buffer.from(octets).toString('base64');
      for (const end of ['\r\n', '\n']) {
        const lines = encoded.replace(new RegExp(`.{${width}}`, 'g'), `$&${end}`);
        for (const first of ['', ' ', '\r\n', 'QUJD\r\n', 'Q\r\nUJD']) {
          const wanted = Buffer.from(`${first}${lines}`, 'base64');
          expect(wanted.equals(decodeBase64(bytes(`${first}${lines}`))), JSON.stringify(first)).toBe(true);
        }
      }
    },
  );

  test('lenient reads over the same', () => {
    expect(text(decodeBase64(bytes('QU*JD\r\n-'), false))).toBe('ABC');
  });
});

describe('quoted-printable', () => {
  test.each([
    ['escapes', '=41=c3=A4', 'A\xc3\xa4'],
    ['soft line breaks', 'a=\r\nb=\nc', 'abc'],
    ['white space behind a soft line break', 'a= \t\r\nb', 'ab'],
    ['white space before a soft line break is content', 'a  =\r\nb', 'a  b'],
    ['white space at a line end goes', 'a \t\r\nb ', 'a\r\nb'],
    ['escaped white space stays', 'a=20\r\nb=09', 'a \r\nb\t'],
    ['a soft line break at the end', 'a=', 'a'],
  ])('%s', (_, input, expected) => {
    expect(text(decodeQuotedPrintable(bytes(input)))).toBe(expected);
  });

  test.each(['=4', 'a=GG', '=\rb', '=  b'])(
    'a broken escape is refused, or stands for itself: %j',
    (input) => {
      expect(failureAt(() => decodeQuotedPrintable(bytes(input)))).toBe(
        `MIME_MALFORMED@${input.indexOf('=')}`,
      );
      expect(text(decodeQuotedPrintable(bytes(input), false)).startsWith(input.slice(0, 2))).toBe(true);
    },
  );

  test('canonical octets there and back, 7 bit, lines of 76, nothing that transport would change', () => {
    const piece = fc.constantFrom(
      '\r\n',
      'a',
      ' ',
      '\t',
      'From ',
      '=',
      '\xff',
      '\0',
      '.',
      '\r',
      'x'.repeat(80),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        const octets = bytes(pieces.join(''));
        const encoded = text(encodeQuotedPrintable(octets));
        expect(encoded).toMatch(/^(?:[ -~\t]{0,76}(?:\r\n|$))*$/);
        expect(encoded).not.toMatch(/[ \t](\r|$)|(^|\n)From /);
        expect(text(decodeQuotedPrintable(bytes(encoded)))).toBe(text(octets));
      }),
    );
  });
});
