/**
 * Content ciphers by AlgorithmIdentifier. CBC in EnvelopedData and EncryptedData: AES (RFC 3565); 3DES and RC2 (RFC 3370
 * 5.1, 5.2) and DES for reading. AEAD in AuthEnvelopedData (RFC 5083): AES-GCM and AES-CCM (RFC 5084),
 * ChaCha20-Poly1305 (RFC 8103). Both with a content key that is bound to the cipher (CEK-HKDF, RFC 9709).
 * Refused: CBC where an AEAD cipher belongs and the other way round (taking one for the other gives an oracle,
 * CVE-2026-34182), tags below 12 octets, GCM nonces of other than 12. One thing is read all the same: AES-GCM in
 * EnvelopedData with its tag behind the ciphertext, as pkijs writes it; the tag is checked as ever.
 * Running them is in contentcrypto.ts. Used by opening.ts, enveloping.ts, encrypted.ts and sharedkeys.ts.
 */
import { type AlgorithmIdentifier, rc2EffectiveKeyBits, readAlgorithmIdentifier } from '../asn1/algorithm.js';
import { OID } from '../asn1/oids.js';
import { Tag } from '../asn1/tags.js';
import type { DerNode } from '../asn1/tape.js';
import { readOctets, readSmallInteger } from '../asn1/values.js';
import { writeDer } from '../asn1/write.js';
import { unsupported } from './algorithms.js';

/** Ciphers that new messages are encrypted with; those that are not CBC make AuthEnvelopedData. */
export type EncryptionCipher = `aes${128 | 192 | 256}-${'cbc' | 'gcm' | 'ccm'}` | 'chacha20-poly1305';

export type ContentCipherName = EncryptionCipher | 'des-ede3-cbc' | 'des-cbc' | 'rc2-cbc';

type Mode = 'cbc' | 'gcm' | 'ccm' | 'chacha20-poly1305';

interface CipherKind {
  readonly name: ContentCipherName;
  readonly mode: Mode;
  /** Octets of the key; of RC2 as its parameters say. */
  readonly keyLength: number;
  /** Octets of the IV: of a CBC cipher its block, of an AEAD cipher what its nonce has when we write it. */
  readonly ivLength: 8 | 12 | 16;
}

const aes = (bits: 128 | 192 | 256, mode: 'cbc' | 'gcm' | 'ccm'): CipherKind => ({
  name: `aes${bits}-${mode}`,
  mode,
  keyLength: bits / 8,
  ivLength: mode === 'cbc' ? 16 : 12,
});

const CIPHERS: Readonly<Record<string, CipherKind>> = {
  [OID.aes128Cbc]: aes(128, 'cbc'),
  [OID.aes192Cbc]: aes(192, 'cbc'),
  [OID.aes256Cbc]: aes(256, 'cbc'),
  [OID.aes128Gcm]: aes(128, 'gcm'),
  [OID.aes192Gcm]: aes(192, 'gcm'),
  [OID.aes256Gcm]: aes(256, 'gcm'),
  [OID.aes128Ccm]: aes(128, 'ccm'),
  [OID.aes192Ccm]: aes(192, 'ccm'),
  [OID.aes256Ccm]: aes(256, 'ccm'),
  [OID.aeadChaCha20Poly1305]: {
    name: 'chacha20-poly1305',
    mode: 'chacha20-poly1305',
    keyLength: 32,
    ivLength: 12,
  },
  [OID.desEde3Cbc]: { name: 'des-ede3-cbc', mode: 'cbc', keyLength: 24, ivLength: 8 },
  [OID.desCBC]: { name: 'des-cbc', mode: 'cbc', keyLength: 8, ivLength: 8 },
  [OID.rc2CBC]: { name: 'rc2-cbc', mode: 'cbc', keyLength: 16, ivLength: 8 },
};

/** What holds the encrypted content, which says what kind of cipher belongs there. */
type CipherPlace = 'EnvelopedData' | 'AuthEnvelopedData' | 'EncryptedData';

export interface ContentCipher extends Omit<CipherKind, 'ivLength'> {
  readonly iv: Uint8Array;
  /** RC2 only. */
  readonly effectiveKeyBits?: number;
  /** AEAD only: octets. */
  readonly tagLength?: number;
  /** AEAD only: it stands where CBC belongs, its tag behind the ciphertext. */
  readonly misplaced?: true;
  /** CEK-HKDF: the AlgorithmIdentifier that the content key is bound to. */
  readonly boundTo?: Uint8Array;
}

/** What an AEAD cipher authenticates beside the content, and by which tag. */
export interface Authentication {
  readonly tag: Uint8Array;
  readonly associated: Uint8Array;
  /** Where the ciphertext ends, if the tag stands behind it. */
  readonly end?: number;
}

/**
 * ContentEncryptionAlgorithmIdentifier.
 * @throws MailsealError UNSUPPORTED_ALGORITHM with the OID, also for a cipher that does not belong in this place;
 *   CMS_MALFORMED, ASN1_* for its parameters
 */
export function readContentCipher(algorithm: AlgorithmIdentifier, place: CipherPlace): ContentCipher {
  if (algorithm.oid === OID.cekHkdfSha256) {
    const inner = readAlgorithmIdentifier(required(algorithm, 'CEK-HKDF'), 'parameters of CEK-HKDF');
    const cipher = readCipher(inner, place);
    // What is hashed is DER (RFC 9709 section 2), whatever the message is in.
    return { ...cipher, boundTo: inner.node.isDer ? inner.node.bytes : algorithmDer(inner.oid, cipher) };
  }
  return readCipher(algorithm, place);
}

function readCipher(algorithm: AlgorithmIdentifier, place: CipherPlace): ContentCipher {
  const kind = CIPHERS[algorithm.oid];
  if (kind === undefined) throw unsupported(algorithm, 'content encryption with');
  const isAead = kind.mode !== 'cbc';
  if (isAead !== (place === 'AuthEnvelopedData')) {
    if (kind.mode !== 'gcm' || place !== 'EnvelopedData') throw unsupported(algorithm, `${place} with`);
    return readMisplacedGcm(algorithm, kind);
  }
  const parameters = required(algorithm, kind.name);
  switch (kind.mode) {
    case 'cbc':
      if (kind.name === 'rc2-cbc') return { ...kind, ...readRc2Parameters(parameters, kind) };
      return { iv: checkedIv(parameters, kind), ...kind };
    case 'chacha20-poly1305':
      return { iv: checkedIv(parameters, kind), tagLength: TAG_LENGTH, ...kind };
    default:
      return Object.assign(readAeadParameters(parameters, kind), kind);
  }
}

function required({ parameters, node }: AlgorithmIdentifier, what: string): DerNode {
  if (parameters === undefined) throw node.fail('CMS_MALFORMED', `${what} without its parameters`);
  return parameters;
}

/** An IV or a nonce as an OCTET STRING of its own. */
function checkedIv(node: DerNode, kind: CipherKind): Uint8Array {
  const iv = readOctets(node.expect(Tag.OCTET_STRING, 'IV'));
  if (iv.length !== kind.ivLength) {
    throw node.fail('CMS_MALFORMED', `${kind.name} with ${iv.length} octets of IV`);
  }
  return iv;
}

/** RC2CBCParameter ::= SEQUENCE { rc2ParameterVersion INTEGER, iv OCTET STRING } (RFC 3370 5.2) */
function readRc2Parameters(node: DerNode, kind: CipherKind) {
  const reader = node.reader(Tag.SEQUENCE, 'RC2CBCParameter');
  const version = readSmallInteger(reader.next(Tag.INTEGER, 'rc2ParameterVersion'), 'rc2ParameterVersion');
  const iv = checkedIv(reader.next(Tag.OCTET_STRING, 'iv'), kind);
  reader.end();
  const effectiveKeyBits = rc2EffectiveKeyBits(version);
  if (effectiveKeyBits === undefined) {
    throw node.fail('UNSUPPORTED_ALGORITHM', `rc2-cbc with the parameter version ${version}`, {
      oid: OID.rc2CBC,
    });
  }
  return { keyLength: Math.ceil(effectiveKeyBits / 8), effectiveKeyBits, iv };
}

/** What is written, and the only length that ChaCha20-Poly1305 has. */
export const TAG_LENGTH = 16;
/** RFC 5084: aes-ICVlen DEFAULT 12. CCM has shorter ones too, down to 4 octets: a forgery in 2^32 attempts. */
const DEFAULT_TAG_LENGTH = 12;

/** GCMParameters and CCMParameters ::= SEQUENCE { aes-nonce OCTET STRING, aes-ICVlen INTEGER DEFAULT 12 } (RFC 5084) */
function readAeadParameters(node: DerNode, kind: CipherKind) {
  const reader = node.reader(Tag.SEQUENCE, kind.mode === 'gcm' ? 'GCMParameters' : 'CCMParameters');
  const iv = readOctets(reader.next(Tag.OCTET_STRING, 'aes-nonce'));
  const lengthNode = reader.optional(Tag.INTEGER);
  reader.end();
  const tagLength = lengthNode ? readSmallInteger(lengthNode, 'aes-ICVlen') : DEFAULT_TAG_LENGTH;
  const isGcm = kind.mode === 'gcm';
  if (isGcm ? iv.length !== 12 : iv.length < 7 || iv.length > 13) {
    throw node.fail('CMS_MALFORMED', `${kind.name} with a nonce of ${iv.length} octets`);
  }
  if (tagLength < DEFAULT_TAG_LENGTH || tagLength > TAG_LENGTH || (!isGcm && tagLength % 2 !== 0)) {
    throw node.fail('CMS_MALFORMED', `${kind.name} with a tag of ${tagLength} octets`);
  }
  return { iv, tagLength };
}

/** pkijs has the nonce alone for parameters, of 16 octets, and WebCrypto's tag behind the ciphertext. */
function readMisplacedGcm(algorithm: AlgorithmIdentifier, kind: CipherKind): ContentCipher {
  const parameters = required(algorithm, kind.name);
  if (!parameters.is(Tag.OCTET_STRING)) throw unsupported(algorithm, 'EnvelopedData with');
  const iv = readOctets(parameters);
  if (iv.length !== 12 && iv.length !== 16) {
    throw parameters.fail('CMS_MALFORMED', `${kind.name} with a nonce of ${iv.length} octets`);
  }
  return { ...kind, iv, tagLength: TAG_LENGTH, misplaced: true };
}

/** Ciphers of EncryptionCipher by name, with their OIDs. */
const ENCRYPTION: ReadonlyMap<string, { oid: string; kind: EncryptionKind }> = new Map(
  Object.entries(CIPHERS).flatMap(([oid, kind]) => (isWritten(kind) ? [[kind.name, { oid, kind }]] : [])),
);

type EncryptionKind = CipherKind & { readonly name: EncryptionCipher };

/** Whether it still hides what it encrypts: the others are read only. */
export function isStrong({ name }: Pick<CipherKind, 'name'>): boolean {
  return !['des-ede3-cbc', 'des-cbc', 'rc2-cbc'].includes(name);
}

function isWritten(kind: CipherKind): kind is EncryptionKind {
  return isStrong(kind);
}

export const ENCRYPTION_CIPHERS = [...ENCRYPTION.keys()] as readonly EncryptionCipher[];

export interface WrittenCipher extends ContentCipher {
  /** ContentEncryptionAlgorithmIdentifier. */
  readonly algorithm: Uint8Array;
}

/** CCM counts the content's octets in what its nonce leaves of 15: three of them end at 16 MB. */
const MAX_SHORT_CCM = 2 ** 24;

/**
 * A new IV for a cipher.
 * @param length octets of the content
 * @param cekHkdf bind the content key to the cipher (RFC 9709)
 * @throws RangeError for a name that is not there, from a caller without types
 */
export function writeContentCipher(
  name: EncryptionCipher,
  length: number,
  random: (size: number) => Uint8Array,
  cekHkdf = false,
): WrittenCipher {
  const { oid, kind } = encryptionKind(name);
  const { mode, ivLength } = kind;
  const iv = random(mode === 'ccm' && length >= MAX_SHORT_CCM ? ivLength - 1 : ivLength);
  const cipher = { iv, ...kind, ...(mode !== 'cbc' && { tagLength: TAG_LENGTH }) };
  const algorithm = algorithmDer(oid, cipher);
  if (!cekHkdf) return { algorithm, ...cipher };
  const bound = writeDer((w) =>
    w.sequence((w) => {
      w.oid(OID.cekHkdfSha256);
      w.raw(algorithm);
    }),
  );
  return { ...cipher, boundTo: algorithm, algorithm: bound };
}

/** ContentEncryptionAlgorithmIdentifier; not of RC2, whose version is not kept. */
function algorithmDer(oid: string, { mode, iv, tagLength }: ContentCipher): Uint8Array {
  return writeDer((w) =>
    w.sequence((w) => {
      w.oid(oid);
      if (tagLength === undefined || mode === 'chacha20-poly1305') w.octets(iv);
      else {
        w.sequence((w) => {
          w.octets(iv);
          if (tagLength !== DEFAULT_TAG_LENGTH) w.integer(tagLength);
        });
      }
    }),
  );
}

/** @throws RangeError for a name that is not there */
export function encryptionKind(name: EncryptionCipher): { oid: string; kind: EncryptionKind } {
  const found = ENCRYPTION.get(name);
  if (found === undefined) throw new RangeError(`cipher must be one of ${ENCRYPTION_CIPHERS.join(', ')}`);
  return found;
}

/** By their names in node:crypto. */
type NodeCbc = `aes-${128 | 192 | 256}-cbc` | 'des-ede3-cbc';

/** For those that are not RC2 or DES. */
export function nodeCbc(name: ContentCipherName): NodeCbc {
  return (name === 'des-ede3-cbc' ? name : name.replace('aes', 'aes-')) as NodeCbc;
}
