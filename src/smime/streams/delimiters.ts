/**
 * Delimiter lines of open multiparts (RFC 2046 section 5.1.1) in octets that come in chunks, by the rules of mime.ts. Of
 * several boundaries the outermost decides first, as there, where the outer parts are cut before the inner ones. What
 * could still be part of a delimiter, or the line end before one, is held back, and nothing else.
 *
 * Refused with LIMIT_LENGTH: what could be a delimiter line with over 64 KiB of white space in it. Called by multipart.ts
 * and prepare.ts.
 */
import { buffer } from '../../bytes.js';
import { MailsealError } from '../../errors.js';
import { Boundaries } from './boundaries.js';

const LF = 0x0a;
const CR = 0x0d;
const DASH = 0x2d;
/** Octets of a line that is held back. */
const MAX_HELD_LINE = 1 << 16;
/** What a delimiter line that is cut off may have behind the boundary. */
const CUT_OFF = /^(?:-|(?:--)?[ \t]*\r?)$/;

/** Offsets are in the whole input. */
export interface Delimiter {
  /** Which of the boundaries, 0 for the outermost. */
  readonly depth: number;
  readonly closing: boolean;
  /** Of the line end before it, which is part of it; of the line itself where that line end is another delimiter's. */
  readonly start: number;
  /** Behind the line. */
  readonly end: number;
  /** What stands there; a view of the chunk. */
  readonly octets: Buffer;
}

export interface DelimiterSink {
  /**
   * Octets that are of no delimiter; a view of the chunk. Returns how many were taken: fewer than all if a boundary was
   * opened, since what follows has to be looked at again.
   */
  content(octets: Buffer): number;
  delimiter(delimiter: Delimiter): void;
}

export class DelimiterScanner {
  private readonly sink: DelimiterSink;
  /** How many boundaries are open. */
  private depth = 0;
  private boundaries = new Boundaries([]);
  /** What was held back. */
  private held: Buffer = Buffer.alloc(0);
  /** Of the first octet that is held back, or else the next one that comes. */
  private offset: number;
  /** Whether a line starts there. */
  private lineStarts: boolean;

  /** @param lineStarts whether there is a line end before the first octet */
  constructor(sink: DelimiterSink, offset: number, lineStarts: boolean) {
    this.sink = sink;
    this.offset = offset;
    this.lineStarts = lineStarts;
  }

  /** The boundary of a multipart inside those that are open. */
  open(boundary: string): void {
    const octets = Buffer.from(`--${boundary}`, 'latin1');
    this.boundaries = this.boundaries.with({ octets, depth: this.depth++ });
  }

  /** Forgets the boundaries from this depth on. */
  close(depth: number): void {
    if (depth >= this.depth) return;
    this.depth = depth;
    this.boundaries = this.boundaries.between(0, depth);
  }

  /** @throws MailsealError LIMIT_LENGTH */
  write(bytes: Uint8Array): void {
    const chunk = buffer(bytes);
    this.scan(this.held.length === 0 ? chunk : Buffer.concat([this.held, chunk]), false);
  }

  end(): void {
    this.scan(this.held, true);
  }

  private scan(data: Buffer, last: boolean): void {
    const whole = last ? data : data.subarray(0, data.lastIndexOf(LF) + 1); // lines that are here to their end
    let at = 0;
    let found = this.boundaries.find(whole, at, this.lineStarts);
    for (;;) {
      const opened = this.depth;
      const to =
        found === undefined
          ? last
            ? data.length
            : this.undecided(data, at)
          : lineEndBefore(data, at, found.line);
      if (at < to) {
        at += this.sink.content(data.subarray(at, to));
        if (this.depth > opened) {
          // What was found is of an outer boundary; before it there may be one of a boundary that is new.
          const before = whole.subarray(0, found?.line);
          found = this.boundaries.between(opened, this.depth).find(before, at, this.lineStarts) ?? found;
        }
        if (at < to) continue;
      }
      if (found !== undefined) {
        const { depth, closing, end } = found;
        const octets = data.subarray(at, end);
        this.sink.delimiter({ depth, closing, start: this.offset + at, end: this.offset + end, octets });
        at = end;
        found = this.boundaries.find(whole, at, this.lineStarts);
      } else if (this.depth === opened) {
        break;
      }
    }
    if (at > 0) this.lineStarts = data[at - 1] === LF;
    this.offset += at;
    this.held = Buffer.from(data.subarray(at)); // a copy: the chunk is its owner's again
  }

  /** Where what can't be judged begins, in data that has no whole delimiter line from `at` on. */
  private undecided(data: Buffer, at: number): number {
    if (this.depth === 0) return data.length;
    const line = Math.max(at, data.lastIndexOf(LF) + 1);
    const starts = line === 0 ? this.lineStarts : data[line - 1] === LF;
    if (starts && this.mayBeDelimiter(data.subarray(line))) {
      if (data.length - line > MAX_HELD_LINE) {
        throw new MailsealError('LIMIT_LENGTH', `a delimiter line over ${MAX_HELD_LINE} octets`, {
          offset: this.offset + line,
        });
      }
      return lineEndBefore(data, at, line);
    }
    return data.length > at && data[data.length - 1] === CR ? data.length - 1 : data.length;
  }

  private mayBeDelimiter(line: Buffer): boolean {
    if (line.length > 0 && line[0] !== DASH) return false;
    return this.boundaries.list.some(({ octets }) => {
      if (line.length <= octets.length) return octets.subarray(0, line.length).equals(line);
      return (
        line.subarray(0, octets.length).equals(octets) && CUT_OFF.test(line.toString('latin1', octets.length))
      );
    });
  }
}

/** The start of the line end before a line, but not before `at`. */
function lineEndBefore(data: Buffer, at: number, line: number): number {
  return Math.max(at, line - (data[line - 2] === CR ? 2 : 1));
}
