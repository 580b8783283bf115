/**
 * A CMS object in chunks: the skeleton and the content are those that the parsers see in memory, however the object is cut;
 * and what is refused is refused with the same code at the same place.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { MAX_SKELETON_LENGTH, type SplitObject, splitContentInfo } from '../src/asn1/split.js';
import { contextConstructed, contextString, Tag } from '../src/asn1/tags.js';
import { type DerNode, MAX_DEPTH, parseDer } from '../src/asn1/tape.js';
import { readOctets, readOid } from '../src/asn1/values.js';
import { derHeader, writeDer } from '../src/asn1/write.js';
import { concat, equal, fromHex, toHex, utf8 } from '../src/bytes.js';
import { readContentInfo } from '../src/cms/content.js';
import { AuthEnvelopedData, EnvelopedData } from '../src/cms/enveloped.js';
import { SignedData } from '../src/cms/signed.js';
import { MailsealError } from '../src/errors.js';
import { readInput } from '../src/smime/input.js';
import { authenticated } from './helpers/authenticated.js';
import { toBer } from './helpers/ber.js';
import { failure } from './helpers/failures.js';
import { cmsRows, corpora, corpusSigned, readCorpus, readVector } from './helpers/vectors.js';

/** In chunks of so many octets; `returned` says whether the reader went away early. */
async function* cut(
  bytes: Uint8Array,
  size: number,
  watch: { returned?: boolean; taken?: number } = {},
): AsyncGenerator<Uint8Array> {
  watch.returned = true;
  for (let at = 0; at < bytes.length; at += size) {
    watch.taken = Math.min(at + size, bytes.length);
    yield bytes.subarray(at, at + size);
  }
  watch.returned = false;
}

async function* of(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

interface Whole {
  contentType: string;
  head: Uint8Array | undefined;
  content: Uint8Array | undefined;
  skeleton: Uint8Array;
  place: (offset: number) => number;
}

async function splitAll(source: AsyncIterable<Uint8Array>): Promise<Whole> {
  const { contentType, head, content, skeleton, place } = await splitContentInfo(source);
  const parts: Uint8Array[] = [];
  if (content !== undefined) for await (const part of content) parts.push(part);
  return {
    contentType,
    head,
    content: content === undefined ? undefined : concat(parts),
    skeleton: await skeleton(),
    place,
  };
}

/** Where the type says that the content is, found on the tape. */
function contentNode(bytes: Uint8Array): DerNode | undefined {
  const { contentType, content } = readContentInfo(bytes);
  const encrypted = [OID.envelopedData, OID.authEnvelopedData, OID.encryptedData].includes(
    contentType as never,
  );
  const second = [OID.compressedData, OID.digestedData, OID.authenticatedData].includes(contentType as never);
  if (!encrypted && !second && contentType !== OID.signedData) return undefined;
  const info = content.children.filter((child) => child.is(Tag.SEQUENCE))[second ? 1 : 0];
  if (encrypted) return info?.children.find((child) => child.is(contextString(0)));
  const wrapper = info?.children.find((child) => child.is(contextConstructed(0)));
  return wrapper?.children.find((child) => child.is(Tag.OCTET_STRING));
}

/** The values of two trees are the same, but for the string at `replaced`, which is empty, and how lengths are written. */
function sameTree(skeleton: DerNode, whole: DerNode, replaced: number | undefined): void {
  expect(skeleton.identifier & 0xdf).toBe(whole.identifier & 0xdf);
  expect(skeleton.tagNumber).toBe(whole.tagNumber);
  if (whole.start === replaced) {
    expect(readOctets(skeleton)).toHaveLength(0);
    return;
  }
  if (equal(skeleton.bytes, whole.bytes)) return;
  expect(skeleton.constructed && whole.constructed && skeleton.indefinite).toBe(true);
  const [ours, theirs] = [skeleton.children, whole.children];
  expect(ours).toHaveLength(theirs.length);
  for (const [i, child] of ours.entries()) sameTree(child, theirs[i] as DerNode, replaced);
}

async function expectSplit(bytes: Uint8Array, source: AsyncIterable<Uint8Array>): Promise<void> {
  const whole = parseDer(bytes);
  const split = await splitAll(source);
  const node = contentNode(bytes);
  expect(split.contentType).toBe(readContentInfo(bytes).contentType);
  expect(split.content === undefined).toBe(node === undefined);
  if (node !== undefined) expect(equal(split.content as Uint8Array, readOctets(node))).toBe(true);
  const skeleton = parseDer(split.skeleton);
  sameTree(skeleton, whole, node?.start);
  // Every value is placed where it stands.
  const walk = (ours: DerNode, theirs: DerNode) => {
    expect(split.place(ours.start)).toBe(theirs.start);
    if (theirs.start !== node?.start) {
      expect(split.place(ours.contentEnd)).toBe(theirs.contentEnd);
      for (const [i, child] of ours.children.entries()) walk(child, theirs.children[i] as DerNode);
    }
  };
  walk(skeleton, whole);
  if (split.head === undefined) return;
  // The head is the skeleton up to the content, and closed.
  const head = parseDer(split.head);
  const closers = split.head.length - split.head.findLastIndex((octet) => octet !== 0) - 1;
  expect(closers).toBeGreaterThan(0);
  expect(head.constructed).toBe(true);
  const common = split.head.length - 2 * pathLength(bytes, node as DerNode);
  expect(equal(split.head.subarray(0, common), split.skeleton.subarray(0, common))).toBe(true);
}

/** How many values are around one. */
function pathLength(bytes: Uint8Array, node: DerNode): number {
  let length = 0;
  for (let at: DerNode | undefined = parseDer(bytes); at !== undefined && at.start !== node.start; length++) {
    at = at.children.find((child) => child.start <= node.start && node.end <= child.end);
  }
  return length;
}

const objects = [
  { name: 'AuthenticatedData', read: () => authenticated({ attributes: true }) },
  { name: 'AuthenticatedData without attributes', read: () => authenticated() },
  ...cmsRows().map(({ source, path }) => ({
    name: `${source}/${path}`,
    read: () => readVector(source, path),
  })),
  ...(corpora() ? corpusSigned() : []).map((path) => ({ name: path, read: () => readCorpus(path) })),
].flatMap(({ name, read }) => {
  try {
    return [{ name, bytes: readInput(read(), { signedPart: true }).contentInfo.content.source }];
  } catch {
    return []; // damaged on purpose, or of several parts: what follows has its own damage
  }
});

const typeOf = (bytes: Uint8Array) => readContentInfo(bytes).contentType;

/** The smallest object of each type, with content. */
const small = [...new Set(objects.map(({ bytes }) => typeOf(bytes)))].flatMap((type) => {
  const ofType = objects.filter(({ bytes }) => typeOf(bytes) === type && contentNode(bytes) !== undefined);
  return ofType.sort((a, b) => a.bytes.length - b.bytes.length).slice(0, 1);
});

describe('objects in chunks', () => {
  it('has objects of every type', () => {
    expect(objects.length).toBeGreaterThan(150);
    expect(small.map(({ bytes }) => typeOf(bytes)).sort()).toEqual(
      [
        OID.signedData,
        OID.envelopedData,
        OID.authEnvelopedData,
        OID.encryptedData,
        OID.digestedData,
        OID.authenticatedData,
        OID.compressedData,
      ].sort(),
    );
  });

  it.each(objects)('$name', async ({ bytes }) => {
    await expectSplit(bytes, cut(bytes, 7));
    await expectSplit(bytes, cut(bytes, 1 << 16));
    if (bytes.length < 3000) await expectSplit(bytes, cut(bytes, 1));
    const ber = toBer(bytes);
    await expectSplit(ber, cut(ber, 13));
  });

  it.each(small)('$name, cut in two at every octet', async ({ bytes }) => {
    for (const form of [bytes, toBer(bytes, 40)]) {
      for (let at = 0; at <= form.length; at++) {
        await expectSplit(form, of(form.subarray(0, at), new Uint8Array(), form.subarray(at)));
      }
    }
  });

  it.each(objects.filter(({ bytes }) => contentNode(bytes) !== undefined))(
    '$name: the parsers read the skeleton',
    async ({ bytes }) => {
      const { skeleton, content, contentType } = await splitAll(cut(bytes, 1000));
      const parse = (octets: Uint8Array) => {
        const info = readContentInfo(octets);
        if (contentType === OID.signedData) return SignedData.parse(info.content);
        if (contentType === OID.envelopedData) return EnvelopedData.parse(info.content);
        if (contentType === OID.authEnvelopedData) return AuthEnvelopedData.parse(info.content);
        return undefined;
      };
      const outcome = (octets: Uint8Array) => {
        try {
          return parse(octets);
        } catch (error) {
          return (error as MailsealError).message;
        }
      };
      const [ours, theirs] = [outcome(skeleton), outcome(bytes)];
      if (theirs instanceof SignedData && ours instanceof SignedData) {
        expect(ours.certificates.map(({ der }) => toHex(der))).toEqual(
          theirs.certificates.map(({ der }) => toHex(der)),
        );
        expect(ours.signerInfos.map(({ node }) => toHex(node.bytes))).toEqual(
          theirs.signerInfos.map(({ node }) => toHex(node.bytes)),
        );
        expect(ours.content).toHaveLength(0);
        expect(equal(content as Uint8Array, theirs.content as Uint8Array)).toBe(true);
      } else if (theirs instanceof EnvelopedData || theirs instanceof AuthEnvelopedData) {
        const read = ours as EnvelopedData | AuthEnvelopedData;
        expect(read.recipientInfos).toHaveLength(theirs.recipientInfos.length);
        expect(read.contentEncryptionAlgorithm.oid).toBe(theirs.contentEncryptionAlgorithm.oid);
        expect(equal(content as Uint8Array, theirs.encryptedContent as Uint8Array)).toBe(true);
        if (theirs instanceof AuthEnvelopedData) {
          expect((read as AuthEnvelopedData).authenticated).toEqual(theirs.authenticated);
        }
      } else {
        expect(ours).toEqual(theirs);
      }
    },
  );
});

/** What an object gives: its parts, or the code and place of the error. */
async function streamed(bytes: Uint8Array, size: number): Promise<string> {
  try {
    const { contentType, skeleton } = await splitAll(cut(bytes, size));
    return `${contentType} ${readContentInfoAt(skeleton)}`;
  } catch (error) {
    return told(error);
  }
}

/** Where the skeleton is refused is not where the object is, so that only the code counts here. */
function readContentInfoAt(bytes: Uint8Array): string {
  try {
    readContentInfo(bytes);
    return 'reads';
  } catch (error) {
    return (error as MailsealError).code;
  }
}

const told = (error: unknown): string => {
  if (!(error instanceof MailsealError)) throw error;
  return `${error.code} ${error.offset}`;
};

/** The same of parseDer, and of the type of the object. */
function inMemory(bytes: Uint8Array): string {
  try {
    const reader = parseDer(bytes).reader(Tag.SEQUENCE, 'ContentInfo');
    const type = readOid(reader.next(Tag.OID, 'contentType'));
    const content = readContentInfoAt(bytes) === 'reads' ? contentNode(bytes) : undefined;
    if (content !== undefined) readOctets(content);
    return `${type} ${readContentInfoAt(bytes)}`;
  } catch (error) {
    return told(error);
  }
}

/** Two codes of one fault: see the head of split.ts. */
const either = (outcome: string) => outcome.replace(/^ASN1_TRUNCATED/, 'ASN1_BAD_LENGTH');

/** What comes behind a segment that is no string is not looked at; in memory it may be wrong, which is told there. */
const isSooner = (ours: string, theirs: string) =>
  ours.startsWith('ASN1_UNEXPECTED') && placeOf(ours) < placeOf(theirs);

const placeOf = (outcome: string) => Number(/^ASN1_\w+ (\d+)$/.exec(outcome)?.[1] ?? -1);

describe('damage', () => {
  it.each(small)('$name cut off at every octet', async ({ bytes }) => {
    for (const form of [bytes, toBer(bytes, 40)]) {
      for (let length = 0; length < form.length; length++) {
        const damaged = form.subarray(0, length);
        expect(await streamed(damaged, 100), `${length} octets`).toBe(inMemory(damaged));
      }
    }
  });

  it.each(small)('$name with each octet changed', async ({ bytes }) => {
    let [changes, differing] = [0, 0];
    for (const form of [bytes, toBer(bytes, 40)]) {
      for (let at = 0; at < Math.min(form.length, 700); at++) {
        for (const change of [0x20, 0x81, 0xff]) {
          const damaged = form.map((octet, i) => (i === at ? octet ^ change : octet));
          const [ours, theirs] = [await streamed(damaged, 300), inMemory(damaged)];
          changes++;
          if (ours !== theirs) differing++;
          if (isSooner(ours, theirs)) continue;
          expect(either(ours), `octet ${at} ^ ${change}`).toBe(either(theirs));
        }
      }
    }
    expect(differing).toBeLessThan(changes / 20);
  });
});

const tlv = (identifier: number, ...content: Uint8Array[]) => {
  const octets = concat(content);
  return concat([derHeader(identifier, octets.length), octets]);
};
const indefinite = (identifier: number, ...content: Uint8Array[]) =>
  concat([Uint8Array.of(identifier, 0x80), ...content, new Uint8Array(2)]);
const oidOf = (name: 'signedData' | 'data') => writeDer((w) => w.oid(OID[name]));

/** SignedData with this eContent, in BER; `wrap` writes the values around it. */
function signed(eContent: Uint8Array, wrap = indefinite, beside: Uint8Array = new Uint8Array()): Uint8Array {
  const info = wrap(0x30, oidOf('data'), wrap(0xa0, eContent));
  const fields = [tlv(0x02, Uint8Array.of(1)), tlv(0x31), info, beside, tlv(0x31)];
  return wrap(0x30, oidOf('signedData'), wrap(0xa0, wrap(0x30, ...fields)));
}

async function sizesOf({ content }: SplitObject): Promise<number[]> {
  const sizes: number[] = [];
  if (content !== undefined) for await (const part of content) sizes.push(part.length);
  return sizes;
}

describe('content in segments', () => {
  /** An OCTET STRING, cut and nested in any way, and its octets. */
  const { string } = fc.letrec<{ string: [Uint8Array, Uint8Array] }>((tie) => ({
    string: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc
        .uint8Array({ maxLength: 300 })
        .map((octets): [Uint8Array, Uint8Array] => [tlv(0x04, octets), octets]),
      fc
        .tuple(fc.array(tie('string'), { maxLength: 4 }), fc.boolean())
        .map(([parts, definite]): [Uint8Array, Uint8Array] => [
          (definite ? tlv : indefinite)(0x24, ...parts.map(([encoded]) => encoded)),
          concat(parts.map(([, octets]) => octets)),
        ]),
    ),
  }));

  it('nested in any way, in any chunks', async () => {
    await fc.assert(
      fc.asyncProperty(
        string,
        fc.boolean(),
        fc.integer({ min: 1, max: 400 }),
        async (made, definite, size) => {
          const [encoded, octets] = made;
          const bytes = signed(encoded, definite ? tlv : indefinite);
          const split = await splitAll(cut(bytes, size));
          expect(split.content).toEqual(octets);
          await expectSplit(bytes, cut(bytes, size));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('many small ones come in large chunks, a large one as it comes', async () => {
    const segments = Array.from({ length: 3000 }, (_, i) => tlv(0x04, new Uint8Array(100).fill(i)));
    const object = await splitContentInfo(cut(signed(indefinite(0x24, ...segments)), 1000));
    expect(await sizesOf(object)).toEqual([65_536, 65_536, 65_536, 65_536, 300_000 - 4 * 65_536]);
    const whole = await splitContentInfo(cut(signed(tlv(0x04, new Uint8Array(300_000))), 50_000));
    const [first, ...others] = await sizesOf(whole);
    expect(first).toBeGreaterThan(49_000);
    expect(others.slice(0, -1)).toEqual([50_000, 50_000, 50_000, 50_000, 50_000]);
  });

  it('nested in any way and damaged, it is refused as in memory, however it is cut', async () => {
    let [compared, refused] = [0, 0];
    await fc.assert(
      fc.asyncProperty(
        string,
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async ([encoded], place, change) => {
          const bytes = signed(encoded);
          const at = bytes.length - 8 - (place % (encoded.length + 1));
          const damaged = bytes.map((octet, i) => (i === at ? octet ^ change : octet));
          const whole = await streamed(damaged, damaged.length);
          expect(whole).toBe(await streamed(damaged, 1));
          const theirs = inMemory(damaged);
          if (isSooner(whole, theirs)) return;
          expect(either(whole)).toBe(either(theirs));
          compared++;
          if (whole.startsWith('ASN1_')) refused++;
        },
      ),
      { numRuns: 300 },
    );
    expect(compared).toBeGreaterThan(250);
    expect(refused).toBeGreaterThan(80);
  });

  /** The least that it takes to read each of two objects, in turn: neither is more often interrupted than the other. */
  async function leastTimes(...objects: readonly [Uint8Array, Uint8Array]): Promise<[number, number]> {
    const least: [number, number] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (let run = 0; run < 10; run++) {
      for (const [i, bytes] of objects.entries()) {
        const start = performance.now();
        await splitAll(cut(bytes, 1 << 16));
        least[i] = Math.min(least[i] as number, performance.now() - start);
      }
    }
    return least;
  }

  /** A string of about 2^20 octets that is all of such segments. */
  function allOf(...segments: Uint8Array[]): Uint8Array {
    const unit = concat(segments);
    const length = (1 << 20) - ((1 << 20) % unit.length);
    return signed(indefinite(0x24, new Uint8Array(Buffer.alloc(length, unit))));
  }

  /** One octet each took six hundred times as long as the same octets in one piece. */
  it.each([
    ['of one octet', '040141'],
    ['without octets', '0400'],
    ['each in a string of its own', '2403040141'],
    ['each in a string that does not say how long it is', '24800401410000'],
    ['with a long length', '04850000000001' + '41'],
  ])('millions of them cost what their octets cost: %s', async (_, unit) => {
    // As long as sixteen times as many octets take in large segments.
    const large = signed(
      indefinite(0x24, ...Array.from({ length: 4096 }, () => tlv(0x04, new Uint8Array(4090)))),
    );
    const [small, other] = await leastTimes(allOf(fromHex(unit)), large);
    expect(small).toBeLessThan(4 * other);
  });

  /** It took three times as long: what is gathered at a time had memory of its own, enough for all there is. */
  it('small ones and larger ones in turn cost no more than the larger ones', async () => {
    const larger = tlv(0x04, new Uint8Array(257)); // read on its own
    const [mixed, other] = await leastTimes(allOf(tlv(0x04, Uint8Array.of(1)), larger), allOf(larger));
    expect(mixed).toBeLessThan(2 * other);
  });

  it('a segment that is no string', async () => {
    for (const wrong of [
      tlv(0x02, Uint8Array.of(1)),
      tlv(0x80),
      indefinite(0x30),
      Uint8Array.of(0x1f, 0x24, 0),
    ]) {
      const bytes = signed(indefinite(0x24, tlv(0x04, Uint8Array.of(1)), wrong));
      const { code, message, offset } = await failure(() => splitAll(cut(bytes, 9)));
      const node = contentNode(bytes) as DerNode;
      expect(() => readOctets(node)).toThrow(message);
      expect({ code, offset }).toEqual({ code: 'ASN1_UNEXPECTED', offset: node.children[1]?.start });
    }
  });

  it('as deep as parseDer goes, and no deeper', async () => {
    const nested = (depth: number) => {
      let string = tlv(0x04, Uint8Array.of(7));
      for (let i = 0; i < depth; i++) string = indefinite(0x24, string);
      return signed(string);
    };
    for (const depth of [1, 10, 50, MAX_DEPTH - 5]) {
      expect((await splitAll(cut(nested(depth), 5))).content).toEqual(Uint8Array.of(7));
      expect(inMemory(nested(depth))).toContain(OID.signedData);
    }
    const bytes = nested(MAX_DEPTH - 4);
    expect(await streamed(bytes, 5)).toBe(inMemory(bytes));
    expect(inMemory(bytes)).toContain('LIMIT_DEPTH');
  });
});

describe('what is beside the content', () => {
  it('in indefinite lengths, ten and more deep', async () => {
    for (const depth of [10, 40]) {
      let beside: Uint8Array = tlv(0x04, utf8('in the middle'));
      for (let i = 0; i < depth; i++) beside = indefinite(0xa0, beside, tlv(0x05));
      const bytes = signed(tlv(0x04, utf8('content')), indefinite, beside);
      await expectSplit(bytes, cut(bytes, 3));
      for (let length = 0; length < bytes.length; length++) {
        const damaged = bytes.subarray(0, length);
        expect(await streamed(damaged, 50)).toBe(inMemory(damaged));
      }
    }
  });

  it('is at most 16 MiB', async () => {
    const beside = (length: number) =>
      signed(tlv(0x04, utf8('content')), indefinite, tlv(0x04, new Uint8Array(length)));
    const most =
      MAX_SKELETON_LENGTH - (await splitAll(cut(beside(1 << 20), 1 << 16))).skeleton.length + (1 << 20);
    const split = await splitAll(cut(beside(most - 1), 1 << 16));
    expect(split.skeleton.length).toBeLessThanOrEqual(MAX_SKELETON_LENGTH);
    const watch: { taken?: number } = {};
    const error = await failure(() => splitAll(cut(beside(MAX_SKELETON_LENGTH), 1 << 16, watch)));
    expect(error).toMatchObject({
      code: 'LIMIT_LENGTH',
      message: 'a message has over 16777216 octets beside its content, the most that is read',
    });
    const many = Array.from({ length: 100 }, () => tlv(0x04, new Uint8Array(1 << 18)));
    const inParts = signed(tlv(0x04, utf8('content')), indefinite, indefinite(0xa0, ...many));
    expect(await failure(() => splitAll(cut(inParts, 1 << 16)))).toMatchObject({ code: 'LIMIT_LENGTH' });
  });

  it('octets behind the object', async () => {
    for (const wrap of [tlv, indefinite]) {
      const bytes = concat([signed(tlv(0x04, utf8('content')), wrap), utf8('\n')]);
      expect(await streamed(bytes, 4)).toBe(`ASN1_TRAILING_DATA ${bytes.length - 1}`);
      expect(inMemory(bytes)).toBe(await streamed(bytes, 4));
    }
  });

  it('content of another type than OCTET STRING, or of an unknown type, is in the skeleton', async () => {
    const other = signed(tlv(0x30, tlv(0x02, Uint8Array.of(5))), tlv);
    const split = await splitAll(cut(other, 11));
    expect(split).toMatchObject({ content: undefined, head: undefined });
    sameTree(parseDer(split.skeleton), parseDer(other), undefined);
    const data = tlv(0x30, oidOf('data'), tlv(0xa0, tlv(0x04, utf8('content'))));
    const plainData = await splitAll(cut(data, 3));
    expect(plainData).toMatchObject({ contentType: OID.data, content: undefined, head: undefined });
    expect(readOctets(readContentInfo(plainData.skeleton).content)).toEqual(utf8('content'));
  });

  it('what is no ContentInfo is refused as in memory', async () => {
    const wrong = [
      new Uint8Array(),
      utf8('text'),
      tlv(0x04, utf8('text')),
      tlv(0x30),
      tlv(0x30, tlv(0x02, Uint8Array.of(1))),
      tlv(0x30, tlv(0x06, Uint8Array.of(0x80, 1))),
      tlv(0x30, tlv(0x06)),
      indefinite(0x30, tlv(0x06, new Uint8Array(200).fill(1)), tlv(0x05)),
      concat([tlv(0x30), tlv(0x05)]),
    ];
    for (const bytes of wrong) {
      for (const size of [1, 100]) expect(await streamed(bytes, size)).toBe(inMemory(bytes));
    }
  });
});

describe('the source', () => {
  const bytes = signed(tlv(0x04, new Uint8Array(100_000)));

  it('is ended when the content is not read to its end, or at all', async () => {
    for (const reads of [0, 1, 2]) {
      const watch: { returned?: boolean } = {};
      const object = await splitContentInfo(cut(bytes, 1000, watch));
      const content = object.content as AsyncGenerator<Uint8Array>;
      for (let i = 0; i < reads; i++) await content.next();
      await content.return(undefined);
      expect(watch.returned).toBe(true);
      expect((await content.next()).done).toBe(true);
      await expect(object.skeleton()).rejects.toThrow('the content was not read to its end');
    }
  });

  it('is ended when something is wrong', async () => {
    const watch: { returned?: boolean; taken?: number } = {};
    const wrong = concat([Uint8Array.of(0x30, 0x80, 0xff, 0xff, 0xff), new Uint8Array(1_000_000)]);
    expect(await failure(() => splitContentInfo(cut(wrong, 1000, watch)))).toMatchObject({
      code: 'ASN1_BAD_TAG',
    });
    expect(watch).toMatchObject({ returned: true, taken: 1000 });
    const behind = concat([bytes, new Uint8Array(1_000_000)]);
    expect(await streamedWith(behind, watch)).toBe(`ASN1_TRAILING_DATA ${bytes.length}`);
    expect(watch.returned).toBe(true);
    expect(watch.taken).toBeLessThan(bytes.length + 2000);
  });

  const streamedWith = async (octets: Uint8Array, watch: object) => {
    try {
      return (await splitAll(cut(octets, 1000, watch))).contentType;
    } catch (error) {
      return told(error);
    }
  };

  it('is read as far as the head, and its errors pass as they are', async () => {
    const watch: { taken?: number } = {};
    const object = await splitContentInfo(cut(bytes, 1000, watch));
    expect(watch.taken).toBe(1000);
    await object.content?.return(undefined);
    const broken = async function* () {
      yield bytes.subarray(0, 50_000);
      throw new MailsealError('IO', 'broken', { offset: 3 });
    };
    expect(await failure(() => splitAll(broken()))).toMatchObject({ code: 'IO', offset: 3 });
    const early = async function* () {
      yield bytes.subarray(0, 5);
      throw new MailsealError('IO', 'broken', { offset: 3 });
    };
    expect(await failure(() => splitAll(early()))).toMatchObject({ code: 'IO', offset: 3 });
    await expect(splitAll(of('text' as never))).rejects.toThrow(TypeError);
  });
});
