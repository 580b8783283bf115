/** Re-encodes DER as the BER that streaming writers make: indefinite lengths, OCTET STRINGs cut into segments. */
import { type DerNode, parseDer } from '../../src/asn1/tape.js';
import { derHeader } from '../../src/asn1/write.js';
import { concat, equal } from '../../src/bytes.js';

/**
 * @param segment octets of a segment of an OCTET STRING
 * @param keep values that stay in DER, as writers leave certificates
 */
export function toBer(der: Uint8Array, segment = 7, keep: readonly Uint8Array[] = []): Uint8Array {
  return encode(parseDer(der), segment, keep);
}

const END_OF_CONTENTS = new Uint8Array(2);

function encode(node: DerNode, segment: number, keep: readonly Uint8Array[]): Uint8Array {
  if (keep.some((one) => equal(one, node.bytes))) return node.bytes;
  if (node.constructed) {
    const children = node.children.map((child) => encode(child, segment, keep));
    return concat([Uint8Array.of(node.identifier, 0x80), ...children, END_OF_CONTENTS]);
  }
  if (node.identifier !== 0x04 && node.identifier !== 0x80) return node.bytes;
  const segments: Uint8Array[] = [];
  for (let at = 0; at < node.content.length; at += segment) {
    const part = node.content.subarray(at, at + segment);
    segments.push(concat([derHeader(0x04, part.length), part]));
  }
  return concat([Uint8Array.of(node.identifier | 0x20, 0x80), ...segments, END_OF_CONTENTS]);
}
