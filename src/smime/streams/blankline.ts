/** Where a header ends in text that comes in pieces. Called by incoming.ts, prepare.ts and chunks.ts. */
import { buffer } from '../../bytes.js';

const CR = 0x0d;
const LF = 0x0a;

/** Finds the line without octets that ends a header. */
export class BlankLine {
  /** Octets of the line so far: none, a CR, or others. */
  private line: 'empty' | 'CR' | 'text' = 'empty';

  /** The offset behind the blank line, if it ends in this piece. */
  find(octets: Uint8Array): number | undefined {
    const piece = buffer(octets);
    for (let at = 0; at < piece.length; ) {
      const octet = piece[at];
      if (this.line !== 'text' && octet === LF) return at + 1;
      if (this.line === 'empty' && octet === CR) {
        this.line = 'CR';
        at++;
        continue;
      }
      const lineEnd = piece.indexOf(LF, at);
      this.line = lineEnd < 0 ? 'text' : 'empty';
      at = lineEnd < 0 ? piece.length : lineEnd + 1;
    }
    return undefined;
  }
}
