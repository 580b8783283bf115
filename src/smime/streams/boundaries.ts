/**
 * The boundaries of multiparts that are open, and the delimiter lines of any of them in a text (RFC 2046 section 5.1.1), by the
 * rules of mime.ts. Looked for is what all of them begin with, once, and only where a line begins so which of them it is: a
 * text costs the same whatever the number of boundaries. Called by delimiters.ts.
 */
import { compare } from '../../bytes.js';
import { delimiterEnd } from '../mime.js';

const LF = 0x0a;
const CR = 0x0d;
const DASH = 0x2d;
const SPACE = 0x20;
const TAB = 0x09;
/** Octets in which a line end is looked for before calling what finds one that is farther away faster. */
const NEAR = 80;

export interface Boundary {
  /** `--` and the boundary. */
  readonly octets: Buffer;
  /** 0 for that of the outermost multipart. */
  readonly depth: number;
}

/** A delimiter line in a text. */
interface Found {
  readonly depth: number;
  readonly closing: boolean;
  /** Offsets in the text. */
  readonly line: number;
  readonly end: number;
}

export class Boundaries {
  /** In the order of their octets, each once: of two that are the same the outer one decides. */
  readonly list: readonly Boundary[];
  /** What all of them begin with. */
  private readonly prefix: Buffer;
  private readonly shortest: number;
  private readonly longest: number;

  constructor(list: readonly Boundary[]) {
    this.list = list;
    const lengths = list.map(({ octets }) => octets.length);
    this.shortest = Math.min(...lengths);
    this.longest = Math.max(...lengths);
    const [first = NOTHING] = list;
    const { octets: last } = list.at(-1) ?? NOTHING;
    let common = 0;
    while (common < first.octets.length && first.octets[common] === last[common]) common++;
    this.prefix = first.octets.subarray(0, common);
  }

  /** These, and one inside them. */
  with(boundary: Boundary): Boundaries {
    const { octets } = boundary;
    const place = this.placeOf(octets, 0, octets.length);
    if (place < this.list.length && this.list[place]?.octets.equals(octets)) return this;
    return new Boundaries([...this.list.slice(0, place), boundary, ...this.list.slice(place)]);
  }

  /** Those from one depth to before another. */
  between(from: number, to: number): Boundaries {
    return new Boundaries(this.list.filter(({ depth }) => depth >= from && depth < to));
  }

  /**
   * The first delimiter line.
   * @param text whole lines, or the last ones there are
   * @param from where to begin; there may be octets of the same line before it
   * @param lineStarts whether a line starts where the text does
   */
  find(text: Buffer, from: number, lineStarts: boolean): Found | undefined {
    if (this.list.length === 0) return undefined;
    for (let at = from; at < text.length; ) {
      if (text[at] !== DASH || text[at + 1] !== DASH) at = text.indexOf(this.prefix, at);
      if (at < 0) return undefined;
      const starts = at === 0 ? lineStarts : text[at - 1] === LF;
      const lineEnd = endOf(text, at);
      const found = starts ? this.judge(text, at, lineEnd) : undefined;
      if (found !== undefined) return found;
      at = lineEnd + 1; // of many matches in a line only the first is looked at
    }
    return undefined;
  }

  /** The delimiter that a line is, if it is one. */
  private judge(text: Buffer, line: number, lineEnd: number): Found | undefined {
    let end = lineEnd;
    if (text[end - 1] === CR) end--;
    while (end > line && (text[end - 1] === SPACE || text[end - 1] === TAB)) end--;
    if (end - line < this.shortest || end - line > this.longest + 2) return undefined;
    const plain = this.at(text, line, end);
    const closes = text[end - 1] === DASH && text[end - 2] === DASH;
    const closed = closes ? this.at(text, line, end - 2) : undefined;
    const boundary = closed === undefined || (plain && plain.depth < closed.depth) ? plain : closed;
    if (boundary === undefined) return undefined;
    const delimiter = delimiterEnd(text, line + boundary.octets.length);
    return delimiter && { depth: boundary.depth, line, ...delimiter };
  }

  /** The boundary with just these octets. */
  private at(text: Buffer, start: number, end: number): Boundary | undefined {
    const boundary = this.list[this.placeOf(text, start, end)];
    return boundary && compare(boundary.octets, text, start, end) === 0 ? boundary : undefined;
  }

  /** The index of the first that is not before these octets. */
  private placeOf(text: Buffer, start: number, end: number): number {
    let low = 0;
    for (let high = this.list.length; low < high; ) {
      const middle = (low + high) >>> 1;
      if (compare((this.list[middle] as Boundary).octets, text, start, end) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

const NOTHING: Boundary = { octets: Buffer.alloc(0), depth: 0 };

/** Where the line end of a line is; the end of the text if there is none. */
function endOf(text: Buffer, line: number): number {
  const near = Math.min(line + NEAR, text.length);
  for (let at = line; at < near; at++) if (text[at] === LF) return at;
  const at = text.indexOf(LF, near);
  return at < 0 ? text.length : at;
}
