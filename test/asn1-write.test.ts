/** The DER writer's own machinery: sets whose values are written in place, content that is not copied, small values. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Tag } from '../src/asn1/tags.js';
import { parseDer } from '../src/asn1/tape.js';
import { type DerWriter, writeDer, writePieces } from '../src/asn1/write.js';
import { concat, fromHex, inPieces, toHex } from '../src/bytes.js';

describe('SET OF', () => {
  const value = fc.oneof(
    fc.integer({ min: -(2 ** 31), max: 2 ** 31 }).map((n) => (w: DerWriter) => w.integer(n)),
    fc.uint8Array({ maxLength: 200 }).map((octets) => (w: DerWriter) => w.octets(octets)),
    fc.uint8Array({ maxLength: 3, max: 1 }).map((octets) => (w: DerWriter) => w.octets(octets)),
    fc.constant((w: DerWriter) => w.sequence((w) => w.null())),
  );

  test('is in ascending order, whatever the order and the form of what is given', () => {
    fc.assert(
      fc.property(
        fc.array(value, { maxLength: 12 }),
        fc.infiniteStream(fc.boolean()),
        (values, isEncoded) => {
          const encoded = values.map((build) => writeDer(build));
          const items = values.map((build, i) =>
            isEncoded.next().value ? (encoded[i] as Uint8Array) : build,
          );
          const set = parseDer(writeDer((w) => w.setOf(items)));
          const sorted = [...encoded].sort(Buffer.compare).map(toHex);
          expect(set.children.map((child) => toHex(child.bytes))).toEqual(sorted);
        },
      ),
    );
  });

  test('within others, and with lengths that move it', () => {
    const items = [300, 200, 100].map(
      (size) => (w: DerWriter) => w.octets(new Uint8Array(size).fill(size & 255)),
    );
    const der = writeDer((w) => {
      w.sequence((w) => {
        w.integer(1);
        w.setOf(items);
        w.implicitSetOf(1, [fromHex('0500'), (w) => w.setOf(items)]);
      });
    });
    const [, first, second] = parseDer(der, { strict: true }).children;
    expect(first?.children.map(({ content }) => content.length)).toEqual([100, 200, 300]);
    expect(second?.children.map((child) => toHex(child.bytes))).toEqual([
      '0500',
      toHex(first?.bytes as Uint8Array),
    ]);
  });
});

describe('big content', () => {
  const sizes = [0, 1, 127, 128, 255, 256, 5000, 65_535, 65_536];
  const fill = (size: number) => new Uint8Array(size).fill(size & 255 || 1);

  test.each(sizes)(
    'of %i octets is encoded as if it had been copied, at any depth, beside others',
    (size) => {
      const message = (write: (w: DerWriter, content: Uint8Array) => void) => (w: DerWriter) => {
        w.sequence((w) => {
          w.oid('1.2.3');
          write(w, fill(size));
          w.explicit(0, (w) =>
            w.sequence((w) => {
              write(w, fill(300));
              w.integer(5);
              write(w, fill(size));
            }),
          );
          w.setOf([fromHex('0500')]);
        });
        w.null();
      };
      const copied = writeDer(message((w, content) => w.octets(content)));
      const big = message((w, content) =>
        w.big(Tag.OCTET_STRING, inPieces([content.subarray(0, 9), content.subarray(9)])),
      );
      const pieces = writePieces(big);
      expect(pieces.byteLength).toBe(copied.length);
      expect(toHex(concat([...pieces]))).toBe(toHex(copied));
      expect(toHex(writeDer(big))).toBe(toHex(copied));
    },
  );

  test('is given out as it is, and made when its turn comes', () => {
    const content = fill(5000);
    const made: string[] = [];
    const lazy = {
      byteLength: 2,
      *[Symbol.iterator]() {
        made.push('lazy');
        yield fromHex('0102');
      },
    };
    const pieces = writePieces((w) => {
      w.big(Tag.OCTET_STRING, inPieces([content]));
      w.big(Tag.OCTET_STRING, lazy);
    });
    expect(made).toEqual([]);
    const all = [...pieces];
    expect(all.some((piece) => piece === content)).toBe(true);
    expect(made).toEqual(['lazy']);
    expect(toHex(concat(all)).endsWith('04020102')).toBe(true);
  });
});

describe('small values', () => {
  test.each([
    [0, '020100'],
    [127, '02017f'],
    [128, '02020080'],
    [255, '020200ff'],
    [-1, '0201ff'],
    [-128, '020180'],
    [-129, '0202ff7f'],
    [2 ** 31, '02050080000000'],
    [0n, '020100'],
    [2n ** 64n, '0209010000000000000000'],
  ])('INTEGER %s', (value, expected) => {
    expect(toHex(writeDer((w) => w.integer(value)))).toBe(expected);
  });

  test.each([0.5, Number.NaN, Number.POSITIVE_INFINITY])('INTEGER %s is none', (value) => {
    expect(() => writeDer((w) => w.integer(value))).toThrow(RangeError);
  });

  test.each([
    ['0000-01-01T00:00:00Z', '18', '00000101000000Z'],
    ['0987-06-05T04:03:02Z', '18', '09870605040302Z'],
    ['1949-12-31T23:59:59Z', '18', '19491231235959Z'],
    ['1950-01-01T00:00:00Z', '17', '500101000000Z'],
    ['1999-10-11T12:13:14.999Z', '17', '991011121314Z'],
    ['2000-02-29T00:00:00Z', '17', '000229000000Z'],
    ['2049-12-31T23:59:59Z', '17', '491231235959Z'],
    ['2050-01-01T00:00:00Z', '18', '20500101000000Z'],
    ['9999-12-31T23:59:59Z', '18', '99991231235959Z'],
  ])('Time %s', (date, tag, digits) => {
    const der = writeDer((w) => w.time(new Date(date)));
    expect(toHex(der)).toBe(tag + (digits.length === 13 ? '0d' : '0f') + Buffer.from(digits).toString('hex'));
  });

  test.each([new Date(Number.NaN), new Date(Date.UTC(-1, 0)), new Date(8.64e15)])(
    'Time %s is none',
    (date) => {
      expect(() => writeDer((w) => w.time(date))).toThrow(RangeError);
    },
  );
});
