/**
 * A CMS object in chunks: the skeleton and the content are those that the parsers see in memory, however the object is cut;
 * and what is refused is refused with the same code at the same place.
 */
import { describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { splitContentInfo } from '../src/asn1/split.js';
import { contextConstructed, contextString, Tag } from '../src/asn1/tags.js';
import { type DerNode, parseDer } from '../src/asn1/tape.js';
import { readOctets, readOid } from '../src/asn1/values.js';
import { concat, equal, toHex } from '../src/bytes.js';
import { readContentInfo } from '../src/cms/content.js';
import { AuthEnvelopedData, EnvelopedData } from '../src/cms/enveloped.js';
import { SignedData } from '../src/cms/signed.js';
import { MailsealError } from '../src/errors.js';
import { readInput } from '../src/smime/input.js';
import { authenticated } from './helpers/authenticated.js';
import { toBer } from './helpers/ber.js';
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

describe('damage', () => {
  it.each(small)('$name cut off at every octet', async ({ bytes }) => {
    for (const form of [bytes, toBer(bytes, 40)]) {
      for (let length = 0; length < form.length; length++) {
        const damaged = form.subarray(0, length);
        expect(await streamed(damaged, 100), `${length} octets`).toBe(inMemory(damaged));
      }
    }
  });

  /** Two codes of one fault: see the head of split.ts. */
  const either = (outcome: string) => outcome.replace(/^ASN1_TRUNCATED/, 'ASN1_BAD_LENGTH');

  const placeOf = (outcome: string) => Number(/^ASN1_\w+ (\d+)$/.exec(outcome)?.[1] ?? -1);

  it.each(small)('$name with each octet changed', async ({ bytes }) => {
    let [changes, differing] = [0, 0];
    for (const form of [bytes, toBer(bytes, 40)]) {
      for (let at = 0; at < Math.min(form.length, 700); at++) {
        for (const change of [0x20, 0x81, 0xff]) {
          const damaged = form.map((octet, i) => (i === at ? octet ^ change : octet));
          const [ours, theirs] = [await streamed(damaged, 300), inMemory(damaged)];
          changes++;
          if (ours !== theirs) differing++;
          // What comes behind a segment that is no string is not looked at.
          if (ours.startsWith('ASN1_UNEXPECTED') && placeOf(ours) < placeOf(theirs)) continue;
          expect(either(ours), `octet ${at} ^ ${change}`).toBe(either(theirs));
        }
      }
    }
    expect(differing).toBeLessThan(changes / 20);
  });
});
