/**
 * Parameters of RSASSA-PSS (RFC 4055 section 3.1), as a signature carries them and as a key may be restricted to them.
 * Refused: MGF1 with another hash than the message's, which RFC 4055 advises against and Node cannot verify; any other
 * mask generation function; a trailer field other than 1.
 */
import { describeOid, OID } from '../asn1/oids.js';
import { contextConstructed, Tag, type Tag as TagType } from '../asn1/tags.js';
import type { DerNode, DerReader } from '../asn1/tape.js';
import { readNull, readOid, readSmallInteger } from '../asn1/values.js';
import type { MailsealError } from '../errors.js';

/** Hashes of signatures, by the names that node:crypto takes. */
export type HashName = 'sha1' | 'sha224' | 'sha256' | 'sha384' | 'sha512';

const HASHES: Readonly<Record<string, HashName>> = {
  [OID.sha1]: 'sha1',
  [OID.sha224]: 'sha224',
  [OID.sha256]: 'sha256',
  [OID.sha384]: 'sha384',
  [OID.sha512]: 'sha512',
};

/** The hash of a digest algorithm's OID; undefined for one that is unknown or broken (MD2, MD5). */
export function hashOf(oid: string): HashName | undefined {
  return HASHES[oid];
}

export interface PssParameters {
  /** Of the message and of MGF1. */
  readonly hash: HashName;
  /** Octets: exact in a signature, the least allowed in a key. */
  readonly saltLength: number;
}

/** RSASSA-PSS-params. @throws MailsealError ASN1_*, X509_MALFORMED, UNSUPPORTED_ALGORITHM with the OID */
export function readPssParameters(node: DerNode): PssParameters {
  const reader = node.reader(Tag.SEQUENCE, 'RSASSA-PSS-params');
  const hashNode = explicit(reader, 0, Tag.SEQUENCE);
  const maskNode = explicit(reader, 1, Tag.SEQUENCE);
  const saltNode = explicit(reader, 2, Tag.INTEGER);
  const trailerNode = explicit(reader, 3, Tag.INTEGER);
  reader.end();
  const hash = hashNode === undefined ? 'sha1' : readHash(hashNode);
  const maskHash = maskNode === undefined ? 'sha1' : readMaskHash(maskNode);
  const saltLength = saltNode === undefined ? 20 : readSmallInteger(saltNode, 'saltLength');
  const trailer = trailerNode === undefined ? 1 : readSmallInteger(trailerNode, 'trailerField');
  if (trailer !== 1) throw node.fail('X509_MALFORMED', `RSASSA-PSS with the trailer field ${trailer}`);
  if (maskHash !== hash) {
    const message = `RSASSA-PSS with ${hash}, but MGF1 with ${maskHash}`;
    throw node.fail('UNSUPPORTED_ALGORITHM', message, { oid: OID.mgf1 });
  }
  return { hash, saltLength };
}

function explicit(reader: DerReader, n: number, tag: TagType): DerNode | undefined {
  const inner = reader.optional(contextConstructed(n))?.reader(contextConstructed(n), 'RSASSA-PSS-params');
  const value = inner?.next(tag, 'RSASSA-PSS-params');
  inner?.end();
  return value;
}

/** HashAlgorithm: its parameters are NULL or absent (RFC 4055 2.1). */
function readHash(node: DerNode): HashName {
  const reader = node.reader(Tag.SEQUENCE, 'HashAlgorithm');
  const oid = readOid(reader.next(Tag.OID, 'algorithm'));
  const parameters = reader.optional(Tag.NULL);
  if (parameters !== undefined) readNull(parameters);
  reader.end();
  const hash = hashOf(oid);
  if (hash === undefined) throw unsupported(node, oid);
  return hash;
}

function readMaskHash(node: DerNode): HashName {
  const reader = node.reader(Tag.SEQUENCE, 'MaskGenAlgorithm');
  const oid = readOid(reader.next(Tag.OID, 'algorithm'));
  if (oid !== OID.mgf1) throw unsupported(node, oid);
  const hash = readHash(reader.next(Tag.SEQUENCE, 'parameters of MGF1'));
  reader.end();
  return hash;
}

function unsupported(node: DerNode, oid: string): MailsealError {
  return node.fail('UNSUPPORTED_ALGORITHM', `RSASSA-PSS with ${describeOid(oid)}`, { oid });
}
