import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { context, contextConstructed, contextString, Tag } from '../src/asn1/tags.js';
import { type DerNode, parseDer } from '../src/asn1/tape.js';
import { readOctets } from '../src/asn1/values.js';
import { concat, fromHex, toHex } from '../src/bytes.js';
import { MailsealError } from '../src/errors.js';
import { fuzzCorpus, readVector } from './helpers/vectors.js';
import { type Walked, walkBer } from './helpers/walk.js';

const certificate = readVector('nist-pkits', 'certs/GoodCACert.crt');

/** What a node says of itself, in the reference walker's form. */
function described(node: DerNode): Walked {
  const { identifier, tagNumber, start, contentStart, contentEnd, end } = node;
  return {
    identifier,
    tagNumber,
    start,
    contentStart,
    contentEnd,
    end,
    children: node.children.map(described),
  };
}

function outcome(bytes: Uint8Array, options?: Parameters<typeof parseDer>[1]): DerNode | MailsealError {
  try {
    return parseDer(bytes, options);
  } catch (error) {
    if (error instanceof MailsealError) return error;
    throw error;
  }
}

/** Holds the parser to the reference walk: both give the same tree, or both refuse. */
function agree(bytes: Uint8Array): void {
  const result = outcome(bytes, { trailing: true });
  let expected: Walked | undefined;
  try {
    expected = walkBer(bytes);
  } catch {
    // refused, or too deep for a recursive walk
  }
  if (result instanceof MailsealError) {
    expect(result.code).toMatch(/^(ASN1|LIMIT)_/);
    expect(result.offset).toBeGreaterThanOrEqual(0);
    expect(result.offset).toBeLessThanOrEqual(bytes.length);
    if (!result.code.startsWith('LIMIT')) expect(expected, result.message).toBeUndefined();
  } else {
    expect(described(result)).toEqual(expected);
  }
}

describe('tape', () => {
  it('reads a certificate as the reference walk does', () => {
    const node = parseDer(certificate, { strict: true });
    expect(described(node)).toEqual(walkBer(certificate));
    expect(node.isDer).toBe(true);
    expect(toHex(node.bytes)).toBe(toHex(certificate));
  });

  it.each([
    ['empty input', '', 'ASN1_TRUNCATED', 0],
    ['identifier only', '30', 'ASN1_TRUNCATED', 1],
    ['content missing', '3003020101'.slice(0, 8), 'ASN1_TRUNCATED', 0],
    ['length octets missing', '308201', 'ASN1_TRUNCATED', 1],
    ['child longer than its parent', '3003020501ffffffff', 'ASN1_BAD_LENGTH', 2],
    ['child header cut by its parent', '30010201ff', 'ASN1_BAD_LENGTH', 3],
    ['length octet 0xFF', '04ff00', 'ASN1_BAD_LENGTH', 1],
    ['nine length octets', '0489000000000000000001ff', 'ASN1_BAD_LENGTH', 1],
    ['length over 32 bits', '04850100000000ff', 'ASN1_TRUNCATED', 0],
    ['primitive of indefinite length', '0480ff0000', 'ASN1_BAD_LENGTH', 1],
    ['end-of-contents at the start', '0000', 'ASN1_BAD_TAG', 0],
    ['end-of-contents in a definite value', '30020000', 'ASN1_BAD_TAG', 2],
    ['end-of-contents with content', '3080000100', 'ASN1_BAD_LENGTH', 2],
    ['constructed end-of-contents', '30802000', 'ASN1_BAD_TAG', 2],
    ['indefinite length without its end', '3080020101', 'ASN1_TRUNCATED', 5],
    ['indefinite length closed outside its parent', '3004308002010000', 'ASN1_BAD_LENGTH', 4],
    ['tag number with a leading zero group', '1f8020', 'ASN1_BAD_TAG', 1],
    ['long form of a short tag number', '1f1e00', 'ASN1_BAD_TAG', 1],
    ['tag number over 65,535', '1f84800000', 'ASN1_BAD_TAG', 3],
    ['tag number cut off', '1f81', 'ASN1_TRUNCATED', 2],
    ['octets behind the value', '0500ff', 'ASN1_TRAILING_DATA', 2],
  ] as const)('refuses %s', (_, hex, code, offset) => {
    const error = outcome(fromHex(hex));
    expect(error).toMatchObject({ code, offset });
  });

  it.each([
    ['a long length of one octet', '048101ff'],
    ['leading zeros in the length', '04820001ff'],
    ['a length of eight octets', '04880000000000000001ff'],
    ['an indefinite length', '30800500' + '0000'],
    ['a string in segments', '2403040141'],
    ['a BOOLEAN of 1', '010101'],
    ['unused bits that are set', '030207ff'],
  ])('reads %s as BER and refuses it as DER', (_, hex) => {
    expect(outcome(fromHex(hex))).not.toBeInstanceOf(MailsealError);
    expect(outcome(fromHex(hex), { strict: true })).toMatchObject({ code: 'ASN1_NOT_DER', offset: 0 });
  });

  it.each([
    ['an empty INTEGER', '0200'],
    ['a padded INTEGER', '02020001'],
    ['a padded negative INTEGER', '0202ff80'],
    ['a NULL with content', '050100'],
    ['a BIT STRING without its first octet', '0300'],
    ['a BIT STRING with 8 unused bits', '03020800'],
    ['an empty BIT STRING with unused bits', '030101'],
    ['an empty BOOLEAN', '0100'],
  ])('refuses %s in strict mode', (_, hex) => {
    expect(outcome(fromHex(hex), { strict: true })).toMatchObject({ code: 'ASN1_BAD_VALUE', offset: 0 });
  });

  it('marks every value around a BER header, and no other, as not DER', () => {
    const node = parseDer(fromHex('300b3003020101' + '3004048101ff'));
    expect(node.isDer).toBe(false);
    expect(node.children.map((child) => child.isDer)).toEqual([true, false]);
  });

  it('reads long-form tag numbers up to 65,535', () => {
    expect(parseDer(fromHex('1f1f00')).tagNumber).toBe(31);
    expect(parseDer(fromHex('bf83ff7f020500'))).toMatchObject({
      tagNumber: 65535,
      tagClass: 2,
      constructed: true,
    });
  });

  it('allows octets behind the value where asked to', () => {
    expect(parseDer(fromHex('0500ffff'), { trailing: true }).end).toBe(2);
  });

  it('keeps its nodes valid when the arena is used again', () => {
    const first = parseDer(certificate);
    const before = described(first);
    parseDer(
      new Uint8Array(certificate.length).fill(5).map((_, i) => (i % 2 === 0 ? 5 : 0)),
      { trailing: true },
    );
    expect(described(first)).toEqual(before);
  });

  it('gives plain views of a Buffer, whose slice() copies: a Buffer’s does not, and changing it changes the input', () => {
    const input = Buffer.from(certificate);
    parseDer(input).bytes.slice().fill(0);
    expect(input).toEqual(Buffer.from(certificate));
  });

  it.each([
    ['maxDepth', 0],
    ['maxDepth', 1.5],
    ['maxRecords', -1],
    ['maxLength', Number.NaN],
  ])('refuses the option %s = %s', (name, value) => {
    expect(() => parseDer(certificate, { [name]: value })).toThrow(RangeError);
  });

  it('refuses what is not octets', () => {
    expect(() => parseDer('3000' as unknown as Uint8Array)).toThrow(TypeError);
  });
});

describe('ASN.1 nesting, huge lengths (CVE-2025-66031, CVE-2026-34180)', () => {
  it('stops at the nesting limit with an offset, however deep the input goes', () => {
    const deep = new Uint8Array(200_000).map((_, i) => (i % 2 === 0 ? 0x30 : 0x80));
    expect(outcome(deep)).toMatchObject({ code: 'LIMIT_DEPTH', offset: 128 });
    expect(outcome(deep, { maxDepth: 4096 })).toMatchObject({ code: 'LIMIT_DEPTH', offset: 8192 });
  });

  it('nests exactly as deep as the limit', () => {
    const nested = (depth: number) => fromHex('3080'.repeat(depth) + '0000'.repeat(depth));
    expect(outcome(nested(64))).not.toBeInstanceOf(MailsealError);
    expect(outcome(nested(65))).toMatchObject({ code: 'LIMIT_DEPTH', offset: 128 });
  });

  it('stops at the limit on values and at the limit on length', () => {
    const many = concat([
      fromHex('3084000f4240'),
      new Uint8Array(1_000_000).map((_, i) => (i % 2 === 0 ? 5 : 0)),
    ]);
    expect(parseDer(many).size).toBe(500_001);
    expect(outcome(many, { maxRecords: 500_001 })).not.toBeInstanceOf(MailsealError);
    expect(outcome(many, { maxRecords: 500_000 })).toMatchObject({
      code: 'LIMIT_RECORDS',
      offset: 1_000_004,
    });
    expect(outcome(many, { maxLength: 1_000_005 })).toMatchObject({ code: 'LIMIT_LENGTH' });
  });

  it('takes time that grows linearly with the number of values', () => {
    const time = (count: number): number => {
      const input = new Uint8Array(count * 2 + 6);
      input.set(fromHex('3084'));
      new DataView(input.buffer).setUint32(2, count * 2);
      for (let i = 6; i < input.length; i += 2) input[i] = 5;
      const runs = Array.from({ length: 5 }, () => {
        const from = performance.now();
        parseDer(input);
        return performance.now() - from;
      });
      return Math.min(...runs);
    };
    time(10_000);
    expect(time(1_000_000) / time(10_000)).toBeLessThan(1000); // linear is 100, quadratic 10,000
  });
});

describe('reader', () => {
  it('reads what the schema names and refuses the rest', () => {
    const reader = parseDer(fromHex('30080201010c01618000')).reader(Tag.SEQUENCE, 'Thing');
    expect(reader.next(Tag.INTEGER, 'version').start).toBe(2);
    expect(reader.optional(Tag.OID)).toBeUndefined();
    expect(reader.optional(Tag.UTF8)?.start).toBe(5);
    expect(reader.more).toBe(true);
    expect(() => reader.end()).toThrow('Thing: [0] is not expected here');
    expect(reader.rest().length).toBe(1);
    reader.end();
    expect(() => reader.any('more')).toThrow('Thing ends before more');
  });

  it('says what it expected, what it found and where', () => {
    const reader = parseDer(fromHex('3003020101')).reader(Tag.SEQUENCE, 'Thing');
    expect(() => reader.next(Tag.OID, 'algorithm')).toThrow(
      'algorithm: expected OBJECT IDENTIFIER, found INTEGER',
    );
  });

  it('tells the forms of a tag apart, but for strings', () => {
    expect(parseDer(fromHex('a000')).is(contextConstructed(0))).toBe(true);
    expect(parseDer(fromHex('a000')).is(context(0))).toBe(false);
    expect(parseDer(fromHex('8000')).is(contextString(0))).toBe(true);
    expect(parseDer(fromHex('a000')).is(contextString(0))).toBe(true);
    expect(parseDer(fromHex('2400')).is(Tag.OCTET_STRING)).toBe(true);
    expect(parseDer(fromHex('1000')).is(Tag.SEQUENCE)).toBe(false);
  });
});

describe('every truncation and every change of one octet gives a tree or a coded error', () => {
  const files: [string, Uint8Array][] = [
    ['certificate', certificate],
    ['BER PFX', readVector('boringssl-pkcs', 'pkcs8/test/empty_password_ber.p12')],
    ['nested BER PFX', readVector('boringssl-pkcs', 'pkcs8/test/empty_password_ber_nested.p12')],
    ['indefinite SEQUENCEs', readVector('bc-test-data', 'asn1/nested_seq_indef.ber')],
  ];

  it.each(files)('%s', (_, bytes) => {
    for (let length = 0; length < bytes.length; length++) agree(bytes.subarray(0, length));
    for (let i = 0; i < bytes.length; i++) {
      for (const change of [
        0x00,
        0x01,
        0x20,
        0x7f,
        0x80,
        0x84,
        0xff,
        (bytes[i] as number) ^ 0x80,
        (bytes[i] as number) + 1,
      ]) {
        const mutant = bytes.slice();
        mutant[i] = change;
        agree(mutant);
      }
    }
  });

  it('long inputs, of which a window at a time is in memory: values of every size around its edges', () => {
    const value = (length: number) => {
      const bytes = new Uint8Array(length);
      bytes.set([0x04, 0x83, (length - 5) >> 16, (length - 5) >> 8, length - 5]);
      return bytes;
    };
    const short = Array.from({ length: 9 }, () => fromHex('0403aabbcc'));
    for (let edge = 65_536 - 80; edge < 65_536 + 20; edge++) {
      for (const wrap of ['3080', '308300ffff']) {
        const content = concat([
          value(edge),
          ...short,
          value(70_000),
          ...short,
          value(200_000),
          fromHex('0500'),
        ]);
        const head = fromHex(wrap === '3080' ? wrap : `3083${content.length.toString(16).padStart(6, '0')}`);
        const bytes = concat([head, content, fromHex(wrap === '3080' ? '0000' : '')]);
        expect(described(parseDer(bytes))).toEqual(walkBer(bytes));
        agree(bytes.subarray(0, bytes.length - 1));
        agree(bytes.subarray(0, edge + 7));
      }
    }
  });

  it('random octets', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => agree(bytes)),
      { numRuns: 20_000 },
    );
  });

  it('random trees of BER: what is written is what is read', () => {
    const tree = fc.letrec<{ node: Uint8Array }>((tie) => ({
      node: fc.oneof(
        { maxDepth: 5 },
        fc.uint8Array({ maxLength: 300 }).map((content) => header(0x04, content)),
        fc.tuple(fc.boolean(), fc.array(tie('node'), { maxLength: 4 })).map(([indefinite, children]) => {
          const content = concat(children);
          return indefinite ? concat([fromHex('3080'), content, fromHex('0000')]) : header(0x30, content);
        }),
      ),
    })).node;
    const header = (identifier: number, content: Uint8Array): Uint8Array =>
      concat([
        Uint8Array.of(identifier, 0x83, content.length >> 16, content.length >> 8, content.length),
        content,
      ]);
    fc.assert(
      fc.property(tree, (bytes) => {
        expect(described(parseDer(bytes))).toEqual(walkBer(bytes));
      }),
      { numRuns: 500 },
    );
  });
});

describe('fuzz corpora of OpenSSL', () => {
  it('every file gives a tree or a coded error, and agrees with the reference walk', () => {
    let trees = 0;
    let refused = 0;
    for (const { bytes } of fuzzCorpus()) {
      agree(bytes);
      const result = outcome(bytes, { trailing: true });
      if (result instanceof MailsealError) refused++;
      else {
        trees++;
        visit(result);
      }
    }
    console.log(`openssl-fuzz-corpora: ${trees} read, ${refused} refused with a code`);
    expect(trees + refused).toBeGreaterThanOrEqual(2570);
    expect(trees).toBeGreaterThan(500);
  });

  /** Reads every octet that the nodes point to. */
  function visit(node: DerNode): void {
    expect(toHex(node.bytes).length).toBe((node.end - node.start) * 2);
    if (node.is(Tag.OCTET_STRING)) {
      try {
        readOctets(node);
      } catch (error) {
        expect(error).toBeInstanceOf(MailsealError);
      }
    }
    for (const child of node.children) visit(child);
  }
});
