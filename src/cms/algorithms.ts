/**
 * AlgorithmIdentifiers of CMS: digests (RFC 3370 section 2, RFC 5754), content ciphers (RFC 3565 for AES, RFC 3370 5.1
 * and 5.2 for 3DES and RC2), RSA key transport (RFC 3370 4.2.1, RFC 3560). Everything that is not in the tables here is
 * UNSUPPORTED_ALGORITHM with its OID: MD5 as a digest, AEAD ciphers outside AuthEnvelopedData (RFC 9709: taking one for
 * CBC, or CBC for one, gives an oracle), key agreement.
 */
import { type AlgorithmIdentifier, rc2EffectiveKeyBits, readAlgorithmIdentifier } from '../asn1/algorithm.js';
import { describeOid, OID } from '../asn1/oids.js';
import { contextConstructed, Tag } from '../asn1/tags.js';
import type { DerNode } from '../asn1/tape.js';
import { readNull, readOctets, readSmallInteger } from '../asn1/values.js';
import type { DerWriter } from '../asn1/write.js';
import { assertOneOf } from '../bytes.js';
import { type HashName, hashOf } from '../x509/pss.js';

function unsupported(algorithm: AlgorithmIdentifier, what: string) {
  const { oid, node } = algorithm;
  return node.fail('UNSUPPORTED_ALGORITHM', `${what} ${describeOid(oid)}`, { oid });
}

/** Octets of a digest. */
export const DIGEST_LENGTH: Readonly<Record<HashName, number>> = {
  sha1: 20,
  sha224: 28,
  sha256: 32,
  sha384: 48,
  sha512: 64,
};

/** DigestAlgorithmIdentifier; its parameters are absent or NULL. @throws MailsealError UNSUPPORTED_ALGORITHM */
export function readDigestAlgorithm(algorithm: AlgorithmIdentifier): HashName {
  const hash = hashOf(algorithm.oid);
  if (hash === undefined) throw unsupported(algorithm, 'the digest');
  const { parameters } = algorithm;
  if (parameters !== undefined) readNull(parameters.expect(Tag.NULL, 'parameters of a digest'));
  return hash;
}

export type ContentCipherName =
  | 'aes128-cbc'
  | 'aes192-cbc'
  | 'aes256-cbc'
  | 'des-ede3-cbc'
  | 'des-cbc'
  | 'rc2-cbc';

/** Ciphers that new messages are encrypted with. */
export type EncryptionCipher = 'aes128-cbc' | 'aes192-cbc' | 'aes256-cbc';

interface CipherKind {
  readonly name: ContentCipherName;
  /** Octets of the key; of RC2 as its parameters say. */
  readonly keyLength: number;
  readonly blockLength: 8 | 16;
}

const CIPHERS: Readonly<Record<string, CipherKind>> = {
  [OID.aes128Cbc]: { name: 'aes128-cbc', keyLength: 16, blockLength: 16 },
  [OID.aes192Cbc]: { name: 'aes192-cbc', keyLength: 24, blockLength: 16 },
  [OID.aes256Cbc]: { name: 'aes256-cbc', keyLength: 32, blockLength: 16 },
  [OID.desEde3Cbc]: { name: 'des-ede3-cbc', keyLength: 24, blockLength: 8 },
  [OID.desCBC]: { name: 'des-cbc', keyLength: 8, blockLength: 8 },
  [OID.rc2CBC]: { name: 'rc2-cbc', keyLength: 16, blockLength: 8 },
};

export interface ContentCipher extends CipherKind {
  readonly iv: Uint8Array;
  /** RC2 only. */
  readonly effectiveKeyBits?: number;
}

/**
 * ContentEncryptionAlgorithmIdentifier of EnvelopedData.
 * @throws MailsealError UNSUPPORTED_ALGORITHM with the OID; CMS_MALFORMED, ASN1_* for its parameters
 */
export function readContentCipher(algorithm: AlgorithmIdentifier): ContentCipher {
  const kind = CIPHERS[algorithm.oid];
  if (kind === undefined) throw unsupported(algorithm, 'content encryption with');
  const { parameters, node } = algorithm;
  if (parameters === undefined) throw node.fail('CMS_MALFORMED', `${kind.name} without its IV`);
  if (kind.name === 'rc2-cbc') return { ...kind, ...readRc2Parameters(parameters) };
  const iv = readOctets(parameters.expect(Tag.OCTET_STRING, 'IV'));
  return { ...kind, iv: checkedIv(iv, kind, parameters) };
}

function checkedIv(iv: Uint8Array, kind: CipherKind, node: DerNode): Uint8Array {
  if (iv.length !== kind.blockLength)
    throw node.fail('CMS_MALFORMED', `${kind.name} with ${iv.length} octets of IV`);
  return iv;
}

/** Ciphers that node:crypto has, by its names. */
export const NODE_CIPHERS = {
  'aes128-cbc': 'aes-128-cbc',
  'aes192-cbc': 'aes-192-cbc',
  'aes256-cbc': 'aes-256-cbc',
  'des-ede3-cbc': 'des-ede3-cbc',
} as const;

/** RC2CBCParameter ::= SEQUENCE { rc2ParameterVersion INTEGER, iv OCTET STRING } (RFC 3370 5.2) */
function readRc2Parameters(node: DerNode) {
  const reader = node.reader(Tag.SEQUENCE, 'RC2CBCParameter');
  const version = readSmallInteger(reader.next(Tag.INTEGER, 'rc2ParameterVersion'), 'rc2ParameterVersion');
  const iv = readOctets(reader.next(Tag.OCTET_STRING, 'iv'));
  reader.end();
  const effectiveKeyBits = rc2EffectiveKeyBits(version);
  if (effectiveKeyBits === undefined) {
    throw node.fail('UNSUPPORTED_ALGORITHM', `rc2-cbc with the parameter version ${version}`, {
      oid: OID.rc2CBC,
    });
  }
  const keyLength = Math.ceil(effectiveKeyBits / 8);
  return { keyLength, effectiveKeyBits, iv: checkedIv(iv, CIPHERS[OID.rc2CBC] as CipherKind, node) };
}

const ENCRYPTION_OIDS: Readonly<Record<EncryptionCipher, string>> = {
  'aes128-cbc': OID.aes128Cbc,
  'aes192-cbc': OID.aes192Cbc,
  'aes256-cbc': OID.aes256Cbc,
};

/** @throws RangeError for a name that is not there, from a caller without types */
export function encryptionCipher(name: EncryptionCipher) {
  const oid = Object.hasOwn(ENCRYPTION_OIDS, name) ? ENCRYPTION_OIDS[name] : undefined;
  const kind = oid === undefined ? undefined : CIPHERS[oid];
  if (oid === undefined || kind === undefined) {
    throw new RangeError(`cipher must be one of ${Object.keys(ENCRYPTION_OIDS).join(', ')}`);
  }
  return { ...kind, name, oid };
}

export type KeyTransportName = 'rsaes-pkcs1' | 'rsaes-oaep';

export type KeyTransport =
  | { readonly name: 'rsaes-pkcs1' }
  | { readonly name: 'rsaes-oaep'; readonly hash: HashName; readonly label: Uint8Array };

/** KeyEncryptionAlgorithmIdentifier of key transport. @throws MailsealError UNSUPPORTED_ALGORITHM with the OID */
export function readKeyTransport(algorithm: AlgorithmIdentifier): KeyTransport {
  const { oid, parameters, node } = algorithm;
  switch (oid) {
    case OID.rsaEncryption:
      if (parameters !== undefined) readNull(parameters.expect(Tag.NULL, 'parameters of rsaEncryption'));
      return { name: 'rsaes-pkcs1' };
    case OID.rsaesOaep:
      if (parameters === undefined) throw node.fail('CMS_MALFORMED', 'RSAES-OAEP without its parameters');
      return readOaepParameters(parameters);
    default:
      throw unsupported(algorithm, 'key transport with');
  }
}

/** RSAES-OAEP-params (RFC 4055 4.1), each with the default of RFC 8017 A.2.1. */
function readOaepParameters(node: DerNode): KeyTransport {
  const reader = node.reader(Tag.SEQUENCE, 'RSAES-OAEP-params');
  const hashNode = reader.optional(contextConstructed(0));
  const maskNode = reader.optional(contextConstructed(1));
  const sourceNode = reader.optional(contextConstructed(2));
  reader.end();
  const hash = hashNode === undefined ? 'sha1' : readDigestAlgorithm(explicitAlgorithm(hashNode));
  const mask = maskNode === undefined ? undefined : explicitAlgorithm(maskNode);
  if (mask !== undefined && mask.oid !== OID.mgf1) throw unsupported(mask, 'RSAES-OAEP with');
  const maskHash =
    mask === undefined ? 'sha1' : readDigestAlgorithm(algorithmParameter(mask, 'parameters of MGF1'));
  if (maskHash !== hash) {
    // Node has one hash for both.
    throw node.fail('UNSUPPORTED_ALGORITHM', `RSAES-OAEP with ${hash}, but MGF1 with ${maskHash}`, {
      oid: OID.mgf1,
    });
  }
  return {
    name: 'rsaes-oaep',
    hash,
    label: sourceNode === undefined ? new Uint8Array() : readLabel(sourceNode),
  };
}

function explicitAlgorithm(node: DerNode): AlgorithmIdentifier {
  const reader = node.reader(node.identifier, 'RSAES-OAEP-params');
  const algorithm = readAlgorithmIdentifier(reader.any('algorithm'), 'AlgorithmIdentifier');
  reader.end();
  return algorithm;
}

function algorithmParameter(algorithm: AlgorithmIdentifier, what: string): AlgorithmIdentifier {
  const { parameters, node } = algorithm;
  if (parameters === undefined) throw node.fail('CMS_MALFORMED', `${what} are absent`);
  return readAlgorithmIdentifier(parameters, what);
}

/** pSourceFunc: pSpecified with the label as an OCTET STRING. */
function readLabel(node: DerNode): Uint8Array {
  const source = explicitAlgorithm(node);
  if (source.oid !== OID.pSpecified) throw unsupported(source, 'RSAES-OAEP with');
  if (source.parameters === undefined) throw source.node.fail('CMS_MALFORMED', 'pSpecified without a label');
  return readOctets(source.parameters.expect(Tag.OCTET_STRING, 'label'));
}

/** What new messages use; its hash is MGF1's as well. */
export const OAEP_HASH = 'sha256';

const KEY_TRANSPORTS: readonly KeyTransportName[] = ['rsaes-pkcs1', 'rsaes-oaep'];

/** @throws RangeError for a name that is none */
export function writeKeyTransport(w: DerWriter, name: KeyTransportName): void {
  assertOneOf(name, KEY_TRANSPORTS, 'keyTransport');
  w.sequence((w) => {
    if (name === 'rsaes-pkcs1') {
      w.oid(OID.rsaEncryption);
      w.null();
      return;
    }
    w.oid(OID.rsaesOaep);
    w.sequence((w) => {
      w.explicit(0, writeOaepHash);
      w.explicit(1, (w) =>
        w.sequence((w) => {
          w.oid(OID.mgf1);
          writeOaepHash(w);
        }),
      );
    });
  });
}

/** With NULL: RFC 4055 2.1 writes it so, and old readers compare octets. */
function writeOaepHash(w: DerWriter): void {
  w.sequence((w) => {
    w.oid(OID.sha256);
    w.null();
  });
}
