/**
 * The ASN.1 of a PFX (RFC 7292 section 4), BER or DER: PFX, MacData, AuthenticatedSafe, SafeContents, bags. Only
 * structure: nothing is derived, decrypted or checked against a MAC here; plan.ts does that, and read.ts picks keys
 * and certificates. Refused: versions but 3, a signature in place of the MAC. A safe that is encrypted to a public key
 * is said to be. CRLs, secrets, SDSI certificates and bag types of others are passed over.
 */

import { readAlgorithmIdentifier } from '../asn1/algorithm.js';
import { describeOid, OID } from '../asn1/oids.js';
import { contextConstructed, contextString, Tag } from '../asn1/tags.js';
import { type DerNode, parseDer } from '../asn1/tape.js';
import { readOctets, readOid, readSmallInteger, readString } from '../asn1/values.js';
import { buffer, copy, latin1, readPem } from '../bytes.js';
import { MailsealError } from '../errors.js';
import { DIGESTS } from '../pbe/digests.js';
import {
  type PbeAlgorithm,
  type PbeMac,
  readIterations,
  readPbeAlgorithm,
  readPbeMac,
  readSalt,
} from '../pbe.js';
import { Part } from './part.js';

/** Writers cut strings into segments within segments; no peer nests anything else deeper than 20 levels. */
const MAX_PFX_DEPTH = 256;

export interface MacData {
  readonly mac: PbeMac;
  readonly digest: Uint8Array;
}

export interface PfxFile {
  /** The content octets of the AuthenticatedSafe, joined: what the MAC covers. */
  readonly authSafe: Part;
  readonly mac: MacData | undefined;
}

/** Octets that wait for a password. */
export interface Encrypted {
  readonly algorithm: PbeAlgorithm;
  readonly data: Uint8Array;
}

export type Safe = { readonly name: string } & (
  | { readonly kind: 'plain'; readonly contents: Part }
  | { readonly kind: 'encrypted'; readonly encrypted: Encrypted }
  /** No password opens it. */
  | { readonly kind: 'unsupported'; readonly error: MailsealError }
);

export interface BagAttributes {
  readonly friendlyName?: string;
  readonly localKeyId?: Uint8Array;
}

export type Bag = { readonly name: string; readonly attributes: BagAttributes } & (
  | { readonly kind: 'key'; readonly privateKeyInfo: Part }
  | { readonly kind: 'shroudedKey'; readonly encrypted: Encrypted }
  | { readonly kind: 'certificate'; readonly certificate: Part }
);

/**
 * PFX, or PEM that holds one, as gpgsm writes with --armor: then offsets count in what it holds.
 * @throws MailsealError PFX_MALFORMED, PEM_MALFORMED, ASN1_*, UNSUPPORTED_FEATURE, UNSUPPORTED_ALGORITHM
 */
export function readPfxFile(input: Uint8Array): PfxFile {
  const bytes = input[0] === Tag.SEQUENCE ? input : pfxInPem(input);
  if (bytes === undefined) throw notPfx(foreignForm(input));
  const node = parseDer(bytes, { maxDepth: MAX_PFX_DEPTH });
  const foreign = foreignType(node);
  if (foreign !== undefined) throw notPfx(foreign);
  const reader = node.reader(Tag.SEQUENCE, 'PFX');
  const version = readSmallInteger(reader.next(Tag.INTEGER, 'version'), 'version');
  if (version !== 3) throw node.fail('PFX_MALFORMED', `PFX version ${version}, only 3 is defined`);
  const { contentType, content } = readContentInfo(reader.next(Tag.SEQUENCE, 'authSafe'));
  const macNode = reader.optional(Tag.SEQUENCE);
  reader.end();
  if (contentType === OID.signedData) {
    throw node.fail('UNSUPPORTED_FEATURE', 'the PFX is signed instead of MACed', { oid: contentType });
  }
  if (contentType !== OID.data) {
    throw node.fail('PFX_MALFORMED', `authSafe of type ${describeOid(contentType)}`);
  }
  const file = new Part('the PFX', bytes, 0);
  const authSafe = file.octets(content.expect(Tag.OCTET_STRING, 'authSafe'), 'the authenticated safe');
  return { authSafe, mac: macNode && readMacData(macNode) };
}

function pfxInPem(input: Uint8Array): Uint8Array | undefined {
  if (!buffer(input).includes('-----BEGIN PKCS12-----')) return undefined;
  return readPem(input).find(({ label }) => label === 'PKCS12')?.bytes;
}

function notPfx(found: string): MailsealError {
  return new MailsealError('PFX_MALFORMED', `not a PFX file: this is ${found}`, { offset: 0 });
}

/** What an input is that does not begin as a PFX does. */
function foreignForm(bytes: Uint8Array): string {
  if (bytes.length === 0) return 'an empty file';
  const head = latin1(bytes.subarray(0, 4096));
  const label = /-----BEGIN ([ -~]{1,40}?)-----/.exec(head)?.[1];
  if (label !== undefined) return `PEM (${label})`;
  if (head.startsWith('\xfe\xed\xfe\xed')) return 'a Java key store (JKS)';
  if (head.startsWith('\xce\xce\xce\xce')) return 'a Java key store (JCEKS)';
  if (/^[\t\r\n -~]+$/.test(head)) return 'text';
  return 'neither DER nor BER of a SEQUENCE';
}

/** What a SEQUENCE is that is not `INTEGER, ContentInfo …`; undefined for a PFX of whatever version. */
function foreignType(node: DerNode): string | undefined {
  const [first, second, third] = node.children;
  if (first?.is(Tag.OID)) return `a CMS object of type ${describeOid(readOid(first))}`;
  if (first?.is(Tag.SEQUENCE)) {
    if (third?.is(Tag.BIT_STRING)) return 'a certificate or another signed object';
    if (second?.is(Tag.BIT_STRING)) return 'a public key';
    if (second?.is(Tag.OCTET_STRING)) return 'an encrypted private key (PKCS#8)';
  }
  if (!first?.is(Tag.INTEGER)) return 'another ASN.1 structure';
  if (second?.is(Tag.SEQUENCE)) return third?.is(Tag.OCTET_STRING) ? 'a private key (PKCS#8)' : undefined;
  return 'a private key (PKCS#1 or SEC 1) or another ASN.1 structure';
}

/** ContentInfo (RFC 5652 section 3), whose content must be there. */
function readContentInfo(node: DerNode): { contentType: string; content: DerNode } {
  const reader = node.reader(Tag.SEQUENCE, 'ContentInfo');
  const contentType = readOid(reader.next(Tag.OID, 'contentType'));
  const content = readExplicit(reader.next(contextConstructed(0), 'content'), 'content');
  reader.end();
  return { contentType, content };
}

/** The one value inside [0] EXPLICIT. */
function readExplicit(node: DerNode, what: string): DerNode {
  const reader = node.reader(contextConstructed(0), what);
  const value = reader.any(what);
  reader.end();
  return value;
}

/** MacData (RFC 7292 section 4); iterations DEFAULT 1. PBMAC1 ignores salt and iterations (RFC 9579 section 4). */
function readMacData(node: DerNode): MacData {
  const reader = node.reader(Tag.SEQUENCE, 'MacData');
  const info = reader.next(Tag.SEQUENCE, 'mac').reader(Tag.SEQUENCE, 'DigestInfo');
  const saltNode = reader.next(Tag.OCTET_STRING, 'macSalt');
  const iterationsNode = reader.optional(Tag.INTEGER);
  reader.end();
  const algorithm = readAlgorithmIdentifier(info.next(Tag.SEQUENCE, 'digestAlgorithm'), 'digestAlgorithm');
  const digestNode = info.next(Tag.OCTET_STRING, 'digest');
  info.end();
  const mac = readPbeMac(algorithm, () => ({
    salt: readSalt(saltNode),
    iterations: iterationsNode === undefined ? 1 : readIterations(iterationsNode),
  }));
  const digest = readOctets(digestNode);
  // A short digest would be a short MAC.
  if (digest.length !== DIGESTS[mac.hash].octets) {
    throw digestNode.fail('PFX_MALFORMED', `MAC of ${digest.length} octets with ${mac.hash}`);
  }
  return { mac, digest };
}

/** AuthenticatedSafe: the safes in order, named by their number. */
export function readAuthenticatedSafe(authSafe: Part): Safe[] {
  return authSafe.read((part) => {
    const reader = parseDer(part.bytes, { maxDepth: MAX_PFX_DEPTH }).reader(
      Tag.SEQUENCE,
      'AuthenticatedSafe',
    );
    return reader.rest().map((node, i) => readSafe(part, node, `safe ${i + 1}`));
  });
}

function readSafe(part: Part, node: DerNode, name: string): Safe {
  const { contentType, content } = readContentInfo(node);
  switch (contentType) {
    case OID.data:
      return { kind: 'plain', name, contents: part.octets(content.expect(Tag.OCTET_STRING, name), name) };
    case OID.encryptedData:
      return { kind: 'encrypted', name, encrypted: readEncryptedData(content, name) };
    case OID.envelopedData: {
      const message = `${name} is encrypted to a public key (envelopedData)`;
      const error = part.locate(node.fail('UNSUPPORTED_FEATURE', message, { oid: contentType }));
      return { kind: 'unsupported', name, error };
    }
    default:
      throw node.fail('PFX_MALFORMED', `${name} of type ${describeOid(contentType)}`);
  }
}

/** EncryptedData (RFC 5652 section 8): version 0, or 2 with unprotected attributes, which nobody reads. */
function readEncryptedData(node: DerNode, name: string): Encrypted {
  const reader = node.reader(Tag.SEQUENCE, 'EncryptedData');
  const version = readSmallInteger(reader.next(Tag.INTEGER, 'version'), 'version');
  if (version !== 0 && version !== 2) throw node.fail('PFX_MALFORMED', `EncryptedData version ${version}`);
  const info = reader.next(Tag.SEQUENCE, 'encryptedContentInfo').reader(Tag.SEQUENCE, 'EncryptedContentInfo');
  reader.optional(contextConstructed(1));
  reader.end();
  const contentType = readOid(info.next(Tag.OID, 'contentType'));
  if (contentType !== OID.data) {
    throw node.fail('PFX_MALFORMED', `${name} holds ${describeOid(contentType)}`);
  }
  const algorithm = readPbeAlgorithm(info.next(Tag.SEQUENCE, 'contentEncryptionAlgorithm'));
  const data = readOctets(info.next(contextString(0), 'encryptedContent'));
  info.end();
  return { algorithm, data };
}

/** SafeContents, with the bags of nested SafeContents in their place. Names follow the nesting: `bag 2.1 of safe 1`. */
export function readSafeContents(contents: Part, safeName: string): Bag[] {
  return contents.read((part) => {
    const bags: Bag[] = [];
    readBags(part, parseDer(part.bytes, { maxDepth: MAX_PFX_DEPTH }), '', safeName, bags);
    return bags;
  });
}

/** Recursion is as deep as the tape lets a file nest. */
function readBags(part: Part, node: DerNode, prefix: string, safeName: string, bags: Bag[]): void {
  node
    .reader(Tag.SEQUENCE, 'SafeContents')
    .rest()
    .forEach((bagNode, i) => {
      const number = `${prefix}${i + 1}`;
      const name = `bag ${number} of ${safeName}`;
      const reader = bagNode.reader(Tag.SEQUENCE, name);
      const bagId = readOid(reader.next(Tag.OID, 'bagId'));
      const value = readExplicit(reader.next(contextConstructed(0), 'bagValue'), 'bagValue');
      const attributesNode = reader.optional(Tag.SET);
      reader.end();
      switch (bagId) {
        case OID.keyBag: {
          const attributes = readAttributes(attributesNode);
          bags.push({ kind: 'key', name, attributes, privateKeyInfo: part.value(value, name) });
          break;
        }
        case OID.pkcs8ShroudedKeyBag: {
          const attributes = readAttributes(attributesNode);
          bags.push({ kind: 'shroudedKey', name, attributes, encrypted: readEncryptedPrivateKeyInfo(value) });
          break;
        }
        case OID.certBag: {
          const certificate = readCertBag(part, value, name);
          if (certificate === undefined) break;
          bags.push({ kind: 'certificate', name, attributes: readAttributes(attributesNode), certificate });
          break;
        }
        case OID.safeContentsBag:
          readBags(part, value, `${number}.`, safeName, bags);
      }
    });
}

/** EncryptedPrivateKeyInfo (RFC 5208 section 6). */
function readEncryptedPrivateKeyInfo(node: DerNode): Encrypted {
  const reader = node.reader(Tag.SEQUENCE, 'EncryptedPrivateKeyInfo');
  const algorithm = readPbeAlgorithm(reader.next(Tag.SEQUENCE, 'encryptionAlgorithm'));
  const data = readOctets(reader.next(Tag.OCTET_STRING, 'encryptedData'));
  reader.end();
  return { algorithm, data };
}

/** CertBag (RFC 7292 4.2.3); undefined for what is no X.509 certificate. */
function readCertBag(part: Part, node: DerNode, name: string): Part | undefined {
  const reader = node.reader(Tag.SEQUENCE, 'CertBag');
  const certId = readOid(reader.next(Tag.OID, 'certId'));
  const value = readExplicit(reader.next(contextConstructed(0), 'certValue'), 'certValue');
  reader.end();
  if (certId !== OID.x509Certificate) return undefined;
  return part.octets(value.expect(Tag.OCTET_STRING, 'certValue'), name);
}

/** PKCS12Attribute (RFC 7292 4.2): the two that RFC 2985 5.5 defines; of one given twice the first counts. */
function readAttributes(set: DerNode | undefined): BagAttributes {
  const attributes: { friendlyName?: string; localKeyId?: Uint8Array } = {};
  for (const node of set?.children ?? []) {
    const reader = node.reader(Tag.SEQUENCE, 'PKCS12Attribute');
    const type = readOid(reader.next(Tag.OID, 'attrId'));
    const value = reader.next(Tag.SET, 'attrValues').firstChild;
    reader.end();
    if (value === undefined) continue;
    if (type === OID.friendlyName) attributes.friendlyName ??= readString(value);
    // A copy: the octets around it may be wiped.
    if (type === OID.localKeyId) {
      attributes.localKeyId ??= copy(readOctets(value.expect(Tag.OCTET_STRING, 'localKeyId')));
    }
  }
  return attributes;
}
