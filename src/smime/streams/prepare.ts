/**
 * prepareEntity of sevenbit.ts for an entity that is too big for memory: what is to be changed is found out while the
 * entity goes into a spool, and then it is read from there with the changes made. The octets, and the errors with their
 * offsets, are those of prepareEntity.
 *
 * Kept of the entity are records of its parts, as many as mime.ts allows, and one header at a time.
 *
 * Refused with LIMIT_LENGTH beyond what prepareEntity refuses: see delimiters.ts and codecs.ts. Called by the streamed
 * operations.
 */
import { Gathered } from '../../bytes.js';
import { MailsealError } from '../../errors.js';
import { LineScanner, scanLines } from '../../wasm.js';
import { MAX_HEADER_LENGTH } from '../headers.js';
import { IDENTITY, MAX_DEPTH, MAX_PARTS, MimeEntity, NO_DELIMITER, shifted } from '../mime.js';
import { entityKind, labelPlace } from '../sevenbit.js';
import { BlankLine } from './blankline.js';
import { convert, toCanonical } from './codecs.js';
import { type Delimiter, DelimiterScanner, type DelimiterSink } from './delimiters.js';
import { type Change, type Part, type PreparedSource, planChanges, type Stretch } from './plan.js';

/** Octets of a header that are looked at: a name may go over the limit. */
const MAX_LOOK = MAX_HEADER_LENGTH + 1024;

export class Preparer implements DelimiterSink {
  private readonly delimiters = new DelimiterScanner(this, 0, false);
  private readonly lines = new LineScanner();
  private readonly top = newPart(0, 0, undefined);
  /** Multiparts that are open, the outermost first. */
  private readonly open: Part[] = [];
  /** Where the octets that come now belong: to a header, or to a stretch; to neither once an error is certain. */
  private header: { part: Part; octets: Gathered; blank: BlankLine } | undefined;
  private stretch: Stretch | undefined;
  private length = 0;
  private parts = 0;
  /** Whether a line end is not CRLF. */
  private lone = false;
  /** No more than the children of open multiparts is recorded: they decide whether there are too many. */
  private failed = false;
  private refused: MailsealError | undefined;
  private changes: Change[] | undefined;

  constructor() {
    this.startHeader(this.top);
  }

  /** Every octet of the entity, in order. */
  write(bytes: Uint8Array): void {
    this.length += bytes.length;
    this.scan(() => this.delimiters.write(bytes));
  }

  /**
   * After the last one.
   * @throws MailsealError as prepareEntity, and LIMIT_LENGTH
   */
  end(): void {
    this.scan(() => this.delimiters.end());
    if (this.refused !== undefined) throw this.refused;
    this.endStretch(this.length);
    this.closeMultiparts(0);
    this.changes = planChanges(this.top, this.length);
  }

  /**
   * The prepared entity.
   * @param source every octet that was written
   * @throws MailsealError LIMIT_LENGTH
   */
  async *prepared(source: PreparedSource): AsyncGenerator<Uint8Array> {
    if (this.changes === undefined) throw new Error('prepared() before end()');
    let at = 0;
    for (const { start, end, make } of this.changes) {
      if (at < start) yield* this.kept(source, at, start);
      const made = await make(source);
      if (made instanceof Uint8Array) yield made;
      else yield* made;
      at = end;
    }
    if (at < this.length) yield* this.kept(source, at, this.length);
  }

  private kept(source: PreparedSource, start: number, end: number): AsyncIterable<Uint8Array> {
    const octets = source.read(start, end);
    return this.lone ? convert(octets, toCanonical()) : octets;
  }

  /** What cannot be scanned is refused in the end. */
  private scan(run: () => void): void {
    if (this.refused !== undefined) return;
    try {
      run();
    } catch (error) {
      if (!(error instanceof MailsealError)) throw error;
      this.refused = error;
    }
  }

  content(octets: Buffer): number {
    if (this.failed) return octets.length;
    if (this.header !== undefined) return this.addToHeader(octets);
    this.addToStretch(octets);
    return octets.length;
  }

  private addToStretch(octets: Uint8Array): void {
    if (this.stretch === undefined || octets.length === 0) return;
    this.lines.write(octets);
    const last = octets[octets.length - 1];
    this.stretch.endsBlank = last === 0x20 || last === 0x09;
  }

  delimiter({ depth, closing, start, end, octets }: Delimiter): void {
    this.endStretch(start);
    this.closeMultiparts(depth + 1);
    const multipart = this.open[depth] as Part;
    multipart.delimited = true;
    if (!this.failed && !this.lone) this.lone = scanLines(octets).lone > 0;
    if (closing) {
      this.open.length = depth;
      this.delimiters.close(depth);
      this.startStretch(multipart.epilogue, end);
    } else {
      this.startPart(multipart, end, multipart.isDigest ? 'message/rfc822' : undefined);
    }
  }

  /** Ends the multiparts inside `depth` others: nothing more of them comes. */
  private closeMultiparts(depth: number): void {
    for (const part of this.open.splice(depth)) {
      if (!part.delimited && !this.failed) {
        this.fail(part, new MailsealError('MIME_MALFORMED', NO_DELIMITER, { offset: part.body.start }));
      }
    }
    this.delimiters.close(depth);
  }

  private fail(part: Part, error: MailsealError): void {
    part.error = error;
    this.failed = true;
    this.header = undefined;
    this.stretch = undefined;
  }

  private startPart(parent: Part, start: number, defaultType: string | undefined): void {
    if (parent.children.length > MAX_PARTS) return; // one too many is enough
    const part = newPart(start, parent.depth + 1, defaultType);
    parent.children.push(part);
    if (this.failed) return;
    // Which of the limits is exceeded first is found out in the end.
    if (parent.depth >= MAX_DEPTH || ++this.parts > MAX_PARTS) this.failed = true;
    else this.startHeader(part);
  }

  private startHeader(part: Part): void {
    this.header = { part, octets: new Gathered(), blank: new BlankLine() };
  }

  private addToHeader(octets: Buffer): number {
    const { octets: gathered, blank } = this.header as { octets: Gathered; blank: BlankLine };
    const room = octets.subarray(0, MAX_LOOK - gathered.length);
    const end = blank.find(room);
    const taken = end ?? room.length;
    gathered.add(room.subarray(0, taken));
    if (end !== undefined || gathered.length === MAX_LOOK) this.endHeader();
    return taken;
  }

  /** Reads a header that is here as far as it goes, and of an entity inside too, if there is one that has begun. */
  private endHeader(): void {
    if (this.header === undefined) return;
    const { part, octets } = this.header;
    this.header = undefined;
    const { bytes } = octets;
    try {
      const bodyStart = shifted(part.start, () => readHeader(part, bytes));
      this.lone ||= scanLines(bytes.subarray(0, bodyStart)).lone > 0;
      this.startBody(part, bytes.subarray(bodyStart));
    } catch (error) {
      if (!(error instanceof MailsealError)) throw error;
      this.fail(part, error);
    }
  }

  /** @param begun what came of the body already, where there is no header */
  private startBody(part: Part, begun: Uint8Array): void {
    if (part.kind === 'message') {
      this.startPart(part, part.body.start, undefined);
      if (begun.length === 0 || this.header === undefined) return;
      this.header.octets.add(begun);
      this.endHeader(); // there is none, again
      return;
    }
    if (part.kind === 'multipart') {
      this.open.push(part);
      this.delimiters.open(part.boundary);
    }
    this.startStretch(part.body, part.body.start);
    this.addToStretch(begun);
  }

  private startStretch(stretch: Stretch, start: number): void {
    if (this.failed) return;
    stretch.start = start;
    this.stretch = stretch;
  }

  /** Ends what octets belonged to. A line end that was taken for that of a delimiter may be that of the next one. */
  private endStretch(end: number): void {
    while (this.header !== undefined) {
      this.header.part.start = Math.min(this.header.part.start, end);
      this.endHeader();
    }
    const { stretch } = this;
    if (stretch === undefined) return;
    this.stretch = undefined;
    stretch.start = Math.min(stretch.start, end);
    stretch.end = end;
    const { found, lone } = this.lines.end();
    stretch.found = found;
    stretch.lone = lone;
    this.lone ||= lone > 0;
  }
}

function newPart(start: number, depth: number, defaultType: string | undefined): Part {
  return {
    start,
    depth,
    defaultType,
    kind: 'leaf',
    declared: '7bit',
    isText: false,
    isDigest: false,
    label: { start, end: start, needsBlank: false },
    boundary: '',
    body: { start, end: start, found: 0, lone: 0, endsBlank: false },
    epilogue: { start, end: start, found: 0, lone: 0, endsBlank: false },
    children: [],
    delimited: false,
    error: undefined,
  };
}

/** What a header says. Returns the offset of the body in `bytes`. @throws MailsealError with an offset in `bytes` */
function readHeader(part: Part, bytes: Uint8Array): number {
  const range = { start: 0, end: bytes.length };
  const entity = new MimeEntity(bytes, range, part.depth, { parts: 0 }, part.defaultType);
  const { type } = entity.contentType;
  const { transferEncoding } = entity;
  part.kind = entityKind(entity);
  part.declared = KNOWN.has(transferEncoding) ? transferEncoding : 'unknown'; // a name may be long
  part.isText = type.startsWith('text/');
  part.isDigest = type === 'multipart/digest';
  const place = labelPlace(entity);
  part.label = { ...place, start: part.start + place.start, end: part.start + place.end };
  part.body.start = part.start + entity.bodyStart;
  if (part.kind === 'multipart') part.boundary = entity.boundary();
  return entity.bodyStart;
}

const KNOWN: ReadonlySet<string> = new Set([...IDENTITY, 'base64', 'quoted-printable']);
