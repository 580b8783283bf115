/**
 * Small segments of an OCTET STRING in constructed form (X.690 8.7.3), many at a time: whoever writes the string chooses how
 * small they are, and one at a time they would cost far more than their length. Called by split.ts, which reads one at a time
 * whatever is left here: what is large, is not all here, is anything else, or is wrong.
 */
import { plain } from '../bytes.js';
import { type Level, MAX_LENGTH_OCTETS, type Octets } from './headers.js';
import { MAX_DEPTH } from './tape.js';

/** A segment with more octets is worth being read on its own. */
const SMALL = 256;
const STRING = 0x04;
const CONSTRUCTED_STRING = 0x24;
const EMPTY = new Uint8Array(0);

/**
 * Takes the segments that come next; strings that begin or end among them are entered and left.
 * @param open the values that are open, the innermost last: a string
 * @param depth how many of them are around the whole string
 * @param most octets that are wanted
 * @returns the octets of the segments; undefined if nothing was taken or left
 */
export function takeSmallSegments(
  octets: Octets,
  open: Level[],
  depth: number,
  most: number,
): Uint8Array | undefined {
  const { here, offset } = octets;
  const before = open.length;
  let gathered: Uint8Array | undefined;
  let filled = 0;
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
      gathered ??= Buffer.allocUnsafeSlow(Math.min(most, here.length));
      while (next < end) gathered[filled++] = here[next++] as number;
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
  if (gathered !== undefined) return plain(gathered.subarray(0, filled));
  return at > 0 || open.length < before ? EMPTY : undefined;
}
