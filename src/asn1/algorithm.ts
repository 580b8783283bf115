/** AlgorithmIdentifier (RFC 5280 4.1.1.2), which certificates, keys, PFX and CMS all name their algorithms by. */
import { Tag } from './tags.js';
import type { DerNode } from './tape.js';
import { readNull, readOid } from './values.js';

export interface AlgorithmIdentifier {
  /** Dotted OID. */
  readonly oid: string;
  readonly parameters: DerNode | undefined;
  readonly node: DerNode;
}

/** @param tag of one that is tagged IMPLICIT. @throws MailsealError ASN1_* */
export function readAlgorithmIdentifier(
  node: DerNode,
  what = 'AlgorithmIdentifier',
  tag: Tag = Tag.SEQUENCE,
): AlgorithmIdentifier {
  const reader = node.reader(tag, what);
  const oid = readOid(reader.next(Tag.OID, 'algorithm'));
  const parameters = reader.more ? reader.any('parameters') : undefined;
  reader.end();
  return { oid, parameters, node };
}

/** Of algorithms that take no parameters: peers write NULL or nothing. @throws MailsealError ASN1_* */
export function expectNullOrAbsent(parameters: DerNode | undefined, what: string): void {
  if (parameters !== undefined) readNull(parameters.expect(Tag.NULL, what));
}

const RC2_VERSIONS: Readonly<Record<number, number>> = { 160: 40, 120: 64, 58: 128 };
const MAX_RC2_BITS = 1024;

/**
 * Effective key bits of an rc2ParameterVersion (RFC 2268 section 6): versions below 256 stand for some, from there on
 * they are them. Undefined for one that stands for none, or for more than RC2 has.
 */
export function rc2EffectiveKeyBits(version: number): number | undefined {
  const bits = version >= 256 ? version : RC2_VERSIONS[version];
  return bits === undefined || bits > MAX_RC2_BITS ? undefined : bits;
}
