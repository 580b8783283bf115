/**
 * A second opinion on the tape: a plain recursive BER walk, written from X.690 without looking at the parser. Slow,
 * clear, and without error codes: it throws where the encoding is wrong.
 */
export interface Walked {
  identifier: number;
  tagNumber: number;
  start: number;
  contentStart: number;
  contentEnd: number;
  end: number;
  children: Walked[];
}

export function walkBer(bytes: Uint8Array, at = 0, limit = bytes.length): Walked {
  const octet = (i: number): number => {
    if (i >= limit) throw new Error('ends early');
    return bytes[i] as number;
  };
  const start = at;
  const identifier = octet(at++);
  let tagNumber = identifier & 31;
  if (tagNumber === 31) {
    const groups: number[] = [];
    do groups.push(octet(at) & 127);
    while (octet(at++) > 127);
    if (groups[0] === 0 && groups.length > 0 && (bytes[start + 1] as number) === 0x80)
      throw new Error('padded tag');
    tagNumber = groups.reduce((n, group) => n * 128 + group, 0);
    if (tagNumber < 31 || tagNumber > 0xffff) throw new Error('tag number');
  }
  if ((identifier & 0xdf) === 0) throw new Error('end-of-contents out of place');
  const first = octet(at++);
  const node = { identifier, tagNumber, start, children: [] as Walked[] };
  if (first === 0x80) {
    if ((identifier & 0x20) === 0) throw new Error('primitive and indefinite');
    const contentStart = at;
    while (!(octet(at) === 0 && octet(at + 1) === 0)) {
      const child = walkBer(bytes, at, limit);
      node.children.push(child);
      at = child.end;
    }
    return { ...node, contentStart, contentEnd: at, end: at + 2 };
  }
  let length = first;
  if (first > 0x80) {
    if (first - 0x80 > 8) throw new Error('length of length');
    length = 0;
    for (let i = first - 0x80; i > 0; i--) length = length * 256 + octet(at++);
  }
  const contentEnd = at + length;
  if (contentEnd > limit) throw new Error('content ends outside');
  const contentStart = at;
  if ((identifier & 0x20) !== 0) {
    while (at < contentEnd) {
      const child = walkBer(bytes, at, contentEnd);
      node.children.push(child);
      at = child.end;
    }
  }
  return { ...node, contentStart, contentEnd, end: contentEnd };
}
