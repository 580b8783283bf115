/**
 * Parameters of RSASSA-PSS (RFC 4055 section 3.1), as a signature carries them and as a key may be restricted to them.
 * MGF1 may have another hash than the message. Refused: MD5 and older, any other mask generation function, a trailer
 * field other than 1. Used for keys and signatures, and by CMS to sign and for RSAES-OAEP.
 */
import { describeOid, OID } from '../asn1/oids.js';
import { contextConstructed, Tag, type Tag as TagType } from '../asn1/tags.js';
import type { DerNode, DerReader } from '../asn1/tape.js';
import { readNull, readOid, readSmallInteger } from '../asn1/values.js';
import type { DerWriter } from '../asn1/write.js';
import type { MailsealError } from '../errors.js';
import { type DigestName, digestOf, digestOid } from './digests.js';

export interface PssParameters {
  /** Of the message. */
  readonly hash: DigestName;
  /** Of MGF1, which RFC 4055 3.1 recommends to be the same. */
  readonly maskHash: DigestName;
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
  return { hash, maskHash, saltLength };
}

function explicit(reader: DerReader, n: number, tag: TagType): DerNode | undefined {
  const inner = reader.optional(contextConstructed(n))?.reader(contextConstructed(n), 'RSASSA-PSS-params');
  const value = inner?.next(tag, 'RSASSA-PSS-params');
  inner?.end();
  return value;
}

/** HashAlgorithm: its parameters are NULL or absent (RFC 4055 2.1). */
function readHash(node: DerNode): DigestName {
  const reader = node.reader(Tag.SEQUENCE, 'HashAlgorithm');
  const oid = readOid(reader.next(Tag.OID, 'algorithm'));
  const parameters = reader.optional(Tag.NULL);
  if (parameters !== undefined) readNull(parameters);
  reader.end();
  const hash = digestOf(oid);
  if (hash === undefined) throw unsupported(node, oid);
  return hash;
}

function readMaskHash(node: DerNode): DigestName {
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

/** What a signature or key with these parameters is written with. */
export function writePssParameters(w: DerWriter, { hash, maskHash, saltLength }: PssParameters): void {
  w.sequence((w) => {
    writeHashes(w, hash, maskHash);
    w.explicit(2, (w) => w.integer(saltLength));
  });
}

/**
 * The hash of RSASSA-PSS and RSAES-OAEP, and MGF1 with its own: both have them in [0] and [1]. With NULL: RFC 4055 2.1
 * writes it so, and old readers compare octets.
 */
export function writeHashes(w: DerWriter, hash: DigestName, maskHash: DigestName): void {
  w.explicit(0, (w) => writeHash(w, hash));
  w.explicit(1, (w) =>
    w.sequence((w) => {
      w.oid(OID.mgf1);
      writeHash(w, maskHash);
    }),
  );
}

function writeHash(w: DerWriter, name: DigestName): void {
  w.sequence((w) => {
    w.oid(digestOid(name));
    w.null();
  });
}
