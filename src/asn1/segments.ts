/**
 * Small segments of an OCTET STRING in constructed form (X.690 8.7.3), many at a time: whoever writes the string chooses how
 * small they are, and one at a time they would cost far more than their length. Called by split.ts, which reads one at a time
 * whatever is left here: what is large, is not all here, is anything else, or is wrong. Nothing is refused here.
 *
 * So this is a second reader of lengths, of how deep values may be and of end-of-contents, beside headers.ts and split.ts, whose
 * rules decide: it makes no object for a header, and to join them would cost what it is there to save. That both read the same is
 * what "nested in any way and damaged" in test/asn1-split.test.ts finds out: cut octet by octet, the segments are read there.
 */
import { type Gatherer, type Level, MAX_LENGTH_OCTETS, type Octets } from './headers.js';
import { MAX_DEPTH } from './tape.js';

/** A segment with more octets is worth being read on its own. */
const SMALL = 256;
const STRING = 0x04;
const CONSTRUCTED_STRING = 0x24;

/**
 * Takes the segments that come next; strings that begin or end among them are entered and left.
 * @param open the values that are open, the innermost last: a string
 * @param depth how many of them are around the whole string
 * @param gatherer is given the octets of the segments, as many as it has room for
 * @returns whether anything was taken or left
 */
export function takeSmallSegments(octets: Octets, open: Level[], depth: number, gatherer: Gatherer): boolean {
  const { here, offset } = octets;
  const before = open.length;
  const most = gatherer.filled + gatherer.room;
  let target: Uint8Array | undefined;
  let { filled } = gatherer;
  let at = 0;
  while (open.length > depth) {
    const level = open.at(-1) as Level;
    if (!level.indefinite && offset + at === level.end) {
      open.pop();
      continue;
    }
    const identifier = here[at] as number;
    let next = at + 2;
    let length = here[at + 1] as number;
    const indefinite = length === 0x80;
    if (length > 0x80) {
      const count = length & 127;
      if (count > MAX_LENGTH_OCTETS) break;
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + (here[next++] as number);
    }
    if (next > here.length || offset + next > level.end) break;
    if (identifier === STRING) {
      const end = next + length;
      if (indefinite || length > SMALL || filled + length > most) break;
      if (end > here.length || offset + end > level.end) break;
      target ??= gatherer.target;
      while (next < end) target[filled++] = here[next++] as number;
    } else if (identifier === CONSTRUCTED_STRING && open.length < MAX_DEPTH) {
      const end = indefinite ? level.end : offset + next + length;
      if (end > level.end) break;
      open.push({ start: offset + at, end, indefinite, constructed: true });
    } else if (identifier === 0 && length === 0 && next === at + 2 && level.indefinite) {
      open.pop(); // X.690 8.1.5
    } else {
      break;
    }
    at = next;
  }
  octets.take(at);
  gatherer.filled = filled;
  return at > 0 || open.length < before;
}
