/**
 * What of an entity is to be changed for transport, once all of it was seen by prepare.ts: the decisions are those of
 * sevenbit.ts, and errors come in the order in which prepareEntity meets them. The octets are made when they are asked for,
 * from where the entity is kept. Called by prepare.ts.
 */
import type { StoredOctets } from '../../cms/contentcrypto.js';
import { MailsealError } from '../../errors.js';
import { MAX_DEPTH, MAX_PARTS, type Range } from '../mime.js';
import {
  blankLineFirst,
  type EntityKind,
  isDropped,
  isExact,
  isQuoted,
  type LabelPlace,
  type LeafFacts,
  labelEdit,
  leafChange,
} from '../sevenbit.js';
import { countEscapes } from '../transfer.js';
import {
  convert,
  fromLenientBase64,
  fromQuotedPrintable,
  toBase64Lines,
  toCanonical,
  toQuotedPrintable,
} from './codecs.js';

/** What an entity is read from again: a Spool. */
export type PreparedSource = Pick<StoredOctets, 'read'>;

/** What stands between delimiters and is nothing but octets. */
export interface Stretch extends Range {
  found: number;
  lone: number;
  endsBlank: boolean;
}

/** An entity that was seen. */
export interface Part {
  start: number;
  readonly depth: number;
  readonly defaultType: string | undefined;
  kind: EntityKind;
  declared: string;
  isText: boolean;
  isDigest: boolean;
  label: LabelPlace;
  /** Of a multipart. */
  boundary: string;
  /** Body of a leaf, or preamble of a multipart. */
  readonly body: Stretch;
  readonly epilogue: Stretch;
  /** Of a multipart, or the one of a message. */
  readonly children: Part[];
  delimited: boolean;
  /** What is thrown when it is this part's turn. */
  error: MailsealError | undefined;
}

/** A change: octets in place of a range, or what makes them. */
export interface Change extends Range {
  make(source: PreparedSource): Promise<Uint8Array> | AsyncIterable<Uint8Array>;
}

/**
 * The changes of an entity, in order.
 * @param length octets of all of it
 * @throws MailsealError as prepareEntity
 */
export function planChanges(top: Part, length: number): Change[] {
  const planner = new Planner(length);
  planner.plan(top);
  const { changes } = planner;
  const blank = blankLineFirst(length, top.body.start, changes);
  if (blank !== undefined) changes.unshift({ ...blank, make: async () => blank.bytes });
  return changes;
}

class Planner {
  readonly changes: Change[] = [];
  private readonly length: number;
  private parts = 0;

  constructor(length: number) {
    this.length = length;
  }

  plan(part: Part): void {
    const { changes } = this;
    if (part.error !== undefined) throw part.error;
    const { kind, label, declared, children, body, epilogue } = part;
    if (kind === 'leaf') this.planLeaf(part);
    if (kind !== 'multipart' && kind !== 'message') return;
    if (declared !== '7bit') changes.push(relabeled(label, '7bit'));
    for (const { start } of children) this.countPart(part, start);
    if (kind === 'multipart' && isDropped(body.found)) changes.push(dropped(body));
    for (const child of children) this.plan(child);
    if (kind === 'multipart' && isDropped(epilogue.found)) changes.push(dropped(epilogue));
  }

  private countPart({ depth }: Part, offset: number): void {
    if (depth >= MAX_DEPTH) {
      throw new MailsealError('LIMIT_DEPTH', `entities nested over ${MAX_DEPTH} deep`, { offset });
    }
    if (++this.parts > MAX_PARTS) {
      throw new MailsealError('LIMIT_RECORDS', `over ${MAX_PARTS} body parts`, { offset });
    }
  }

  private planLeaf(part: Part): void {
    const { changes } = this;
    const { declared, isText, label } = part;
    const { start, end, lone, found, endsBlank } = part.body;
    const facts: LeafFacts = { declared, isText, found, endsBlank };
    const change = leafChange(facts);
    const inBase64 = () => toBase64Lines(end === this.length); // inside a multipart the delimiter brings the last line end
    if (change === 'relabel') {
      changes.push(relabeled(label, '7bit'));
    } else if (change === 'repair') {
      const quoted = declared === 'quoted-printable';
      const decode = () => (quoted ? fromQuotedPrintable(false) : fromLenientBase64());
      const encode = () => (quoted ? toQuotedPrintable() : inBase64());
      changes.push({
        start,
        end,
        make: (source) => convert(convert(source.read(start, end), decode()), encode()),
      });
    } else if (change === 'encode') {
      const exact = isExact(facts);
      let quoted = false;
      const choose = async (source: PreparedSource) => {
        quoted = isText && (await isQuotedShorter(source.read(start, end), end - start + lone));
        return labelEdit(label, quoted ? 'quoted-printable' : 'base64').bytes;
      };
      const encoded = (source: PreparedSource) => {
        const octets = source.read(start, end);
        const content = exact || lone === 0 ? octets : convert(octets, toCanonical());
        return convert(content, quoted ? toQuotedPrintable() : inBase64());
      };
      changes.push({ ...label, make: choose }, { start, end, make: encoded });
    }
  }
}

function relabeled(label: LabelPlace, encoding: string): Change {
  const { start, end, bytes } = labelEdit(label, encoding);
  return { start, end, make: async () => bytes };
}

function dropped({ start, end }: Range): Change {
  return { start, end, make: async () => new Uint8Array(0) };
}

/** @param length octets of the text with canonical line ends, which are no escapes */
async function isQuotedShorter(text: AsyncIterable<Uint8Array>, length: number): Promise<boolean> {
  let escapes = 0;
  for await (const chunk of text) {
    escapes += countEscapes(chunk);
    if (!isQuoted(escapes, length)) return false;
  }
  return isQuoted(escapes, length);
}
