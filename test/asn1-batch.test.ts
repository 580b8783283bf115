/** parseDerBatch: many inputs in one call give what each gives alone. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DerNode, type ParseOptions, parseDer, parseDerBatch } from '../src/asn1/tape.js';
import { concat, fromHex } from '../src/bytes.js';
import { MailsealError } from '../src/errors.js';
import { core, octets, reserve } from '../src/wasm/instance.js';
import { fuzzCorpus, readIndex, readVector, vectorSources } from './helpers/vectors.js';

const certificate = readVector('nist-pkits', 'certs/GoodCACert.crt');

/** Every file of vectors/, whatever it is, and the fuzz corpora. */
const files: readonly Uint8Array[] = [
  ...vectorSources().flatMap((source) => readIndex(source).map(({ path }) => readVector(source, path))),
  ...[...fuzzCorpus()].map(({ bytes }) => bytes),
];

/** All that a result says: the tree with every offset and flag, or the error. */
function described(result: DerNode | MailsealError): string {
  if (result instanceof MailsealError) return `${result.code} at ${result.offset}: ${result.message}`;
  const lines: string[] = [];
  const open = [result];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    const { identifier, tagNumber, start, contentStart, contentEnd, end, size, isDer, indefinite } = node;
    lines.push(
      [identifier, tagNumber, start, contentStart, contentEnd, end, size, isDer, indefinite].join(' '),
    );
    for (const child of node.children) open.push(child);
  }
  return lines.join('\n');
}

function alone(bytes: Uint8Array, options?: ParseOptions): DerNode | MailsealError {
  try {
    return parseDer(bytes, options);
  } catch (error) {
    if (error instanceof MailsealError) return error;
    throw error;
  }
}

/** Each result is what the input gives alone, and none has an effect on another. */
function agree(inputs: readonly Uint8Array[], options?: ParseOptions): (DerNode | MailsealError)[] {
  const results = parseDerBatch(inputs, options);
  expect(results.length).toBe(inputs.length);
  results.forEach((result, i) => {
    // Not toBe of both: it would print megabytes.
    expect(described(result) === described(alone(inputs[i] as Uint8Array, options)), `input ${i}`).toBe(true);
  });
  return results;
}

/** A SEQUENCE of `count` NULLs: a value for every two octets. */
function nulls(count: number): Uint8Array {
  const bytes = new Uint8Array(count * 2 + 6).map((_, i) => (i % 2 === 0 ? 5 : 0));
  bytes.set([0x30, 0x84]);
  new DataView(bytes.buffer).setUint32(2, count * 2);
  return bytes;
}

describe('batch', () => {
  it('gives an empty list for an empty list', () => {
    expect(parseDerBatch([])).toEqual([]);
  });

  it('keeps the order, and an error to its own input', () => {
    const inputs = ['0500', '', '30030201', '020105', '0000', '048101ff', '0500ff', '3000'].map(fromHex);
    const results = agree(inputs);
    expect(results.map((r) => (r instanceof MailsealError ? `${r.code} ${r.offset}` : r.identifier))).toEqual(
      [5, 'ASN1_TRUNCATED 0', 'ASN1_TRUNCATED 0', 2, 'ASN1_BAD_TAG 0', 4, 'ASN1_TRAILING_DATA 2', 0x30],
    );
  });

  it.each([
    ['no', undefined],
    ['strict', { strict: true }],
    ['trailing', { trailing: true }],
    ['own', { own: true }],
    ['maxDepth', { maxDepth: 5 }],
    ['maxRecords', { maxRecords: 20 }],
    ['maxLength', { maxLength: 1000 }],
  ] as const)('every vector, with the option %s', (_, options) => {
    expect(files.length).toBeGreaterThan(4000);
    const results = agree(files, options);
    for (const kind of [true, false]) {
      expect(results.filter((r) => r instanceof MailsealError === kind).length).toBeGreaterThan(10);
    }
  });

  it('truncation at every octet, beside whole ones and in one window with all other truncations', () => {
    const inputs: Uint8Array[] = [];
    for (let length = 0; length < certificate.length; length++) {
      inputs.push(certificate.subarray(0, length));
      if (length % 7 === 0) inputs.push(certificate);
    }
    const results = agree(inputs);
    const whole = described(parseDer(certificate));
    results.forEach((result, i) => {
      if (inputs[i] === certificate) expect(described(result)).toEqual(whole);
      else expect(result).toBeInstanceOf(MailsealError);
    });
  });

  it('an input never reads what lies behind it in memory: what is cut off is not taken from the next one', () => {
    const [first, ...rest] = parseDerBatch(
      ['0403aa', '0102', '3080', '0500', '30820004', '02020304', '24'].map(fromHex),
    );
    expect(first).toMatchObject({ code: 'ASN1_TRUNCATED', offset: 0 });
    expect(rest.map((r) => (r instanceof MailsealError ? r.code : 'read'))).toEqual([
      'ASN1_TRUNCATED',
      'ASN1_TRUNCATED',
      'read',
      'ASN1_TRUNCATED',
      'read',
      'ASN1_TRUNCATED',
    ]);
  });

  it('huge inputs beside small ones, and inputs of many values beside those of few', () => {
    const long = concat([fromHex('0483030d40'), new Uint8Array(200_000)]);
    const inputs = [
      certificate,
      long,
      fromHex('0500'),
      nulls(4000),
      nulls(9000),
      certificate,
      nulls(32_000),
      nulls(100_000),
      new Uint8Array(0),
      nulls(8191),
      nulls(8192),
      nulls(4095),
      nulls(4096),
      ...Array.from({ length: 200 }, () => certificate),
    ];
    const refused = agree(inputs).filter((result) => result instanceof MailsealError);
    expect(refused).toMatchObject([{ code: 'ASN1_TRUNCATED' }]); // the empty one
  });

  it('more inputs than a window takes: of two octets, of none, and of all sizes around its edge', () => {
    agree(Array.from({ length: 20_000 }, (_, i) => fromHex(i % 3 === 0 ? '0500' : i % 3 === 1 ? '' : '05')));
    const sized = (length: number) => {
      const bytes = new Uint8Array(length);
      bytes.set([0x04, 0x83, (length - 5) >> 16, (length - 5) >> 8, length - 5]);
      return bytes;
    };
    for (let edge = 65_536 - 20; edge < 65_536 + 20; edge++) {
      agree([sized(edge), fromHex('0500'), sized(edge - 100), certificate.subarray(0, 98), certificate]);
    }
  });

  it('caps hold for each input: depth, values, length', () => {
    const nested = (depth: number) => fromHex('3080'.repeat(depth) + '0000'.repeat(depth));
    const depths = agree([nested(64), nested(65), nested(64), nested(2000)]);
    expect(depths.map((r) => (r instanceof MailsealError ? r.code : 'read'))).toEqual([
      'read',
      'LIMIT_DEPTH',
      'read',
      'LIMIT_DEPTH',
    ]);
    const values = agree([nulls(9), nulls(10), nulls(9), nulls(100_000), nulls(9)], { maxRecords: 10 });
    expect(values.map((r) => (r instanceof MailsealError ? `${r.code} ${r.offset}` : 'read'))).toEqual([
      'read',
      'LIMIT_RECORDS 24',
      'read',
      'LIMIT_RECORDS 24',
      'read',
    ]);
    const lengths = agree([nulls(9), nulls(10), nulls(50_000), nulls(9)], { maxLength: 24 });
    expect(lengths.map((r) => (r instanceof MailsealError ? r.code : 'read'))).toEqual([
      'read',
      'LIMIT_LENGTH',
      'LIMIT_LENGTH',
      'read',
    ]);
  });

  it('keeps its nodes valid when the arena is used again', () => {
    const inputs = Array.from({ length: 500 }, (_, i) => (i % 2 === 0 ? certificate : nulls(i)));
    const results = parseDerBatch(inputs);
    const before = results.map(described);
    parseDerBatch(Array.from({ length: 500 }, () => nulls(100)));
    for (let i = 0; i < 200; i++) parseDer(nulls(i));
    expect(results.map(described)).toEqual(before);
  });

  /** Whether all of the arena is zero: nothing of an input, and nothing of a tape, stays in it. */
  function arenaIsZero(): boolean {
    const base = reserve(0);
    core.wipe(base);
    return octets.subarray(base).every((octet) => octet === 0);
  }

  it.each([
    ['one by one', (bytes: Uint8Array, options?: ParseOptions) => void alone(bytes, options)],
    [
      'in a batch',
      (bytes: Uint8Array, options?: ParseOptions) => void agree([bytes, certificate, bytes], options),
    ],
  ])('leaves nothing in WASM memory, whatever becomes of an input: %s', (_, parse) => {
    const deep = fromHex('3080'.repeat(70));
    const inputs = [
      certificate,
      certificate.subarray(0, 700),
      concat([certificate, certificate]),
      deep,
      nulls(4000),
    ];
    for (const input of [...inputs, nulls(9000), nulls(40_000), new Uint8Array(100_000).fill(0x30), deep]) {
      for (const options of [undefined, { strict: true }, { maxRecords: 30 }, { own: true }]) {
        parse(input, options);
        expect(arenaIsZero()).toBe(true);
      }
    }
  });

  it('takes no more WASM memory for many inputs than for a window of them', () => {
    const inputs = Array.from({ length: 50_000 }, () => certificate);
    parseDerBatch(inputs.slice(0, 500));
    const before = core.memory.buffer.byteLength;
    expect(parseDerBatch(inputs).length).toBe(50_000);
    expect(core.memory.buffer.byteLength).toBe(before);
  });

  it('gives plain views of Buffers', () => {
    const input = Buffer.from(certificate);
    for (const result of parseDerBatch([input, input])) {
      expect(result).not.toBeInstanceOf(MailsealError);
      (result as DerNode).bytes.slice().fill(0);
    }
    expect(input).toEqual(Buffer.from(certificate));
  });

  it('random octets in random numbers of inputs', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 30 }), (inputs) => {
        agree(inputs);
      }),
      { numRuns: 2000 },
    );
  });

  it('refuses what is no list of octets, and options that are none', () => {
    expect(() => parseDerBatch(certificate as unknown as Uint8Array[])).toThrow(TypeError);
    expect(() => parseDerBatch([certificate, '3000' as unknown as Uint8Array])).toThrow(TypeError);
    expect(() => parseDerBatch([certificate], { maxDepth: 0 })).toThrow(RangeError);
    expect(() => parseDerBatch([], { maxLength: -1 })).toThrow(RangeError);
  });
});
