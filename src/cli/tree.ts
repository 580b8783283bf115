/**
 * The ASN.1 tree of `mailseal inspect`: for every value its offset, header and content length, type, and decoded
 * value; octet strings that hold DER are opened. Offsets count in the input that was parsed, also in opened strings.
 * What looks like a private key is not shown.
 */
import { describeOid } from '../asn1/oids.js';
import { Tag } from '../asn1/tags.js';
import { type DerNode, parseDer } from '../asn1/tape.js';
import { readBitString, readBoolean, readInteger, readOid, readString, readTime } from '../asn1/values.js';
import { toHex } from '../bytes.js';
import { MailsealError } from '../errors.js';

/** Octets of a value that are shown; `length` tells how many there are. */
const SHOWN_OCTETS = 32;
const SHOWN_CHARACTERS = 120;
/** Strings opened within strings: each is parsed anew, so without a cap the cost would be quadratic. */
const MAX_OPENED = 8;

export interface TreeNode {
  offset: number;
  headerLength: number;
  /** Octets of content. */
  length: number;
  type: string;
  indefinite?: true;
  value?: string;
  /** The children; of a primitive string, what it holds. */
  children?: TreeNode[];
}

/** `base` is where the node's source lies in the input that the offsets count in. */
export function asn1Tree(node: DerNode, base = 0, opened = 0): TreeNode {
  const tree = asn1Head(node, base);
  if (node.indefinite) tree.indefinite = true;
  if (node.constructed) {
    const { children } = node;
    const secret = secretsAmong(node, children);
    tree.children = children.map((child, i) =>
      secret(i) ? { ...asn1Head(child, base), value: SECRET } : asn1Tree(child, base, opened),
    );
    return tree;
  }
  const inner = opened < MAX_OPENED ? heldIn(node) : undefined;
  if (inner !== undefined) {
    tree.children = [asn1Tree(inner.node, base + inner.at, opened + 1)];
    return tree;
  }
  tree.value = describeValue(node);
  return tree;
}

function asn1Head(node: DerNode, base: number): TreeNode {
  return {
    offset: base + node.start,
    headerLength: node.contentStart - node.start,
    length: node.contentEnd - node.contentStart,
    type: node.describe(),
  };
}

const SECRET = '(private key, not shown)';

/**
 * Which children are secret, told by shape, wherever it stands:
 *   PrivateKeyInfo (RFC 5208)   SEQUENCE { INTEGER, SEQUENCE { OID … }, OCTET STRING … }: the third
 *   ECPrivateKey (RFC 5915)     SEQUENCE { INTEGER 1, OCTET STRING … }: the second
 *   RSAPrivateKey (RFC 8017), DSA and the like   SEQUENCE of six INTEGERs or more: all behind the version
 */
function secretsAmong(node: DerNode, children: readonly DerNode[]): (index: number) => boolean {
  const [first, second, third] = children;
  if (!node.is(Tag.SEQUENCE) || first?.is(Tag.INTEGER) !== true || second === undefined) return () => false;
  if (second.is(Tag.OCTET_STRING) && first.content.length === 1 && first.content[0] === 1)
    return (i) => i === 1;
  if (second.is(Tag.SEQUENCE) && second.firstChild?.is(Tag.OID) && third?.is(Tag.OCTET_STRING)) {
    return (i) => i === 2;
  }
  if (children.slice(0, 6).filter((child) => child.is(Tag.INTEGER)).length === 6) return (i) => i > 0;
  return () => false;
}

/** The value that an OCTET STRING, BIT STRING or implicit tag holds, if its octets are exactly one constructed value. */
function heldIn(node: DerNode): { node: DerNode; at: number } | undefined {
  const isBitString = node.is(Tag.BIT_STRING);
  if (!isBitString && !node.is(Tag.OCTET_STRING) && node.tagClass === 0) return undefined;
  if (isBitString && node.content[0] !== 0) return undefined; // unused bits
  const skip = isBitString ? 1 : 0;
  const octets = node.content.subarray(skip);
  if (octets.length < 2 || (octets[0] as number) >> 6 !== 0 || ((octets[0] as number) & 0x20) === 0)
    return undefined;
  try {
    return { node: parseDer(octets), at: node.contentStart + skip };
  } catch {
    return undefined; // it holds something else
  }
}

function describeValue(node: DerNode): string {
  try {
    return decoded(node);
  } catch (error) {
    if (!(error instanceof MailsealError)) throw error;
    return `${hex(node.content)} (${error.code}: ${error.message})`;
  }
}

function decoded(node: DerNode): string {
  if (node.tagClass !== 0) return hex(node.content);
  switch (node.tagNumber) {
    case 1:
      return readBoolean(node) ? 'TRUE' : 'FALSE';
    case 2:
    case 10:
      return node.content.length <= 8 ? readInteger(node).toString() : hex(node.content);
    case 3: {
      const { bytes, unusedBits } = readBitString(node);
      return `${hex(bytes)}${unusedBits > 0 ? ` (${unusedBits} unused bits)` : ''}`;
    }
    case 5:
      return '';
    case 6:
      return describeOid(readOid(node));
    case 12:
    case 18:
    case 19:
    case 20:
    case 22:
    case 25:
    case 26:
    case 27:
    case 28:
    case 30:
      return quoted(readString(node));
    case 23:
    case 24:
      return readTime(node).toISOString();
    default:
      return hex(node.content);
  }
}

function hex(octets: Uint8Array): string {
  const shown = toHex(octets.subarray(0, SHOWN_OCTETS));
  return octets.length > SHOWN_OCTETS ? `${shown}… (${octets.length} octets)` : shown;
}

/** As JSON writes it: with quotes and backslashes escaped, it is clear where the string ends. */
function quoted(text: string): string {
  const shown = JSON.stringify(text.slice(0, SHOWN_CHARACTERS));
  return text.length > SHOWN_CHARACTERS ? `${shown}… (${text.length} characters)` : shown;
}

/** The tree as text, one line a value: `   12  4+256  SEQUENCE`. */
export function* formatTree(tree: TreeNode): Generator<string> {
  const rows: { node: TreeNode; depth: number }[] = [{ node: tree, depth: 0 }];
  for (let row = rows.pop(); row !== undefined; row = rows.pop()) {
    const { node, depth } = row;
    const length = `${node.headerLength}+${node.indefinite ? `${node.length} indefinite` : node.length}`;
    const value = node.value ? ` ${node.value}` : '';
    yield `${String(node.offset).padStart(7)}  ${length.padEnd(9)} ${'  '.repeat(depth)}${node.type}${value}`;
    for (const child of node.children?.toReversed() ?? []) rows.push({ node: child, depth: depth + 1 });
  }
}
