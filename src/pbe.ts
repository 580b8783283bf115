/**
 * Password-based encryption by AlgorithmIdentifier: which key derivation, which cipher, which parameters. The PKCS#12
 * schemes (RFC 7292 appendix C) and PBES2 with PBKDF2 (RFC 8018 6.2 and appendix A), for reading only. WASM does the
 * work; this file holds the policy: what is supported, that lengths fit, and what a derivation costs.
 * Refused with the OID: PBES1, scrypt, other PRFs and ciphers; salts from another source. Called by pfx/.
 */
import { describeOid, OID } from './asn1/oids.js';
import { Tag } from './asn1/tags.js';
import type { DerNode } from './asn1/tape.js';
import { readNull, readOctets, readOid, readSmallInteger } from './asn1/values.js';
import type { MailsealError } from './errors.js';
import type { DecryptJob, Derivation, KdfHash, MacJob, PbeCipherName } from './wasm.js';

/** Octets of a digest. */
export const HASH_LENGTH: Readonly<Record<KdfHash, number>> = { sha1: 20, sha256: 32 };

/** Salts are 8 to 64 octets in practice, and some files have none. Every job copies its own. */
const MAX_SALT_OCTETS = 1024;
/** Large enough to keep the true number for the cost limit; the content of INTEGER is bounded by it. */
const MAX_ITERATIONS = 2 ** 48;
const MAX_RC2_KEY_OCTETS = 128;

/** The octets that a password stands for in the two key derivations. */
export interface PasswordOctets {
  /** BMPString with two zero octets behind it (RFC 7292 appendix B.1); no octets at all for the null password. */
  readonly pkcs12: Uint8Array;
  /** RFC 8018 leaves the encoding open and suggests UTF-8. */
  readonly pbkdf2: Uint8Array;
}

/** A salted, iterated derivation that waits for a password. */
export interface PbeKdf {
  readonly kdf: 'pkcs12' | 'pbkdf2';
  readonly hash: KdfHash;
  readonly salt: Uint8Array;
  readonly iterations: number;
}

export interface PbeAlgorithm {
  readonly kdf: PbeKdf;
  readonly cipher: PbeCipherName;
  /** Octets. */
  readonly keyLength: number;
  /** RC2 only (RFC 2268): the effective key length in bits. */
  readonly effectiveKeyBits?: number;
  /** Given octets, the number of octets to derive, or undefined for a stream cipher. */
  readonly iv: Uint8Array | number | undefined;
}

type Pkcs12Cipher = Pick<PbeAlgorithm, 'cipher' | 'keyLength' | 'effectiveKeyBits' | 'iv'>;

/** RFC 7292 appendix C; the first of the two 3DES schemes has 24 octets of key, the second 16 (K1, K2, K1). */
const PKCS12_SCHEMES: Readonly<Record<string, Pkcs12Cipher>> = {
  [OID['pbeWithSHAAnd3-KeyTripleDES-CBC']]: { cipher: 'des-ede3-cbc', keyLength: 24, iv: 8 },
  [OID['pbeWithSHAAnd2-KeyTripleDES-CBC']]: { cipher: 'des-ede3-cbc', keyLength: 16, iv: 8 },
  [OID['pbeWithSHAAnd128BitRC2-CBC']]: { cipher: 'rc2-cbc', keyLength: 16, effectiveKeyBits: 128, iv: 8 },
  [OID['pbeWithSHAAnd40BitRC2-CBC']]: { cipher: 'rc2-cbc', keyLength: 5, effectiveKeyBits: 40, iv: 8 },
  [OID.pbeWithSHAAnd128BitRC4]: { cipher: 'rc4', keyLength: 16, iv: undefined },
  [OID.pbeWithSHAAnd40BitRC4]: { cipher: 'rc4', keyLength: 5, iv: undefined },
};

/** RFC 8018 appendix B.1.2. */
const PRFS: Readonly<Record<string, KdfHash>> = {
  [OID.hmacWithSHA1]: 'sha1',
  [OID.hmacWithSHA256]: 'sha256',
};

const PBES2_CIPHERS: Readonly<
  Record<string, { cipher: PbeCipherName; keyLength: number; ivLength: number }>
> = {
  [OID.aes128Cbc]: { cipher: 'aes-cbc', keyLength: 16, ivLength: 16 },
  [OID.aes192Cbc]: { cipher: 'aes-cbc', keyLength: 24, ivLength: 16 },
  [OID.aes256Cbc]: { cipher: 'aes-cbc', keyLength: 32, ivLength: 16 },
  [OID.desEde3Cbc]: { cipher: 'des-ede3-cbc', keyLength: 24, ivLength: 8 },
  [OID.desCBC]: { cipher: 'des-cbc', keyLength: 8, ivLength: 8 },
};

/** rc2ParameterVersion of RFC 2268 section 6; from 256 on it is the number of bits itself. */
const RC2_VERSIONS: Readonly<Record<number, number>> = { 160: 40, 120: 64, 58: 128 };

export interface AlgorithmIdentifier {
  readonly oid: string;
  readonly parameters: DerNode | undefined;
  readonly node: DerNode;
}

/** AlgorithmIdentifier (RFC 5280 4.1.1.2). @throws MailsealError ASN1_* */
export function readAlgorithmIdentifier(node: DerNode, what: string): AlgorithmIdentifier {
  const reader = node.reader(Tag.SEQUENCE, what);
  const oid = readOid(reader.next(Tag.OID, `${what} algorithm`));
  const parameters = reader.more ? reader.any('parameters') : undefined;
  reader.end();
  return { oid, parameters, node };
}

/** UNSUPPORTED_ALGORITHM at the place of the AlgorithmIdentifier. */
export function unsupported({ node, oid }: AlgorithmIdentifier, what: string): MailsealError {
  return node.fail('UNSUPPORTED_ALGORITHM', `${what} ${describeOid(oid)} is not supported`, { oid });
}

/**
 * Reads the AlgorithmIdentifier of an encrypted bag or content. Salt and IV are views into its source.
 * @throws MailsealError UNSUPPORTED_ALGORITHM with the OID; ASN1_* for parameters that do not fit
 */
export function readPbeAlgorithm(node: DerNode): PbeAlgorithm {
  const algorithm = readAlgorithmIdentifier(node, 'encryption algorithm');
  if (algorithm.oid === OID.PBES2) return readPbes2(algorithm);
  const scheme = PKCS12_SCHEMES[algorithm.oid];
  if (scheme === undefined) throw unsupported(algorithm, 'password-based encryption');
  const reader = required(algorithm).reader(Tag.SEQUENCE, 'pkcs-12PbeParams');
  const salt = readSalt(reader.next(Tag.OCTET_STRING, 'salt'));
  const iterations = readIterations(reader.next(Tag.INTEGER, 'iterations'));
  reader.end();
  return { kdf: { kdf: 'pkcs12', hash: 'sha1', salt, iterations }, ...scheme };
}

/** For algorithms that take NULL or nothing. @throws MailsealError ASN1_* */
export function withoutParameters(algorithm: AlgorithmIdentifier): void {
  if (algorithm.parameters !== undefined) {
    readNull(algorithm.parameters.expect(Tag.NULL, `parameters of ${describeOid(algorithm.oid)}`));
  }
}

function required({ node, parameters, oid }: AlgorithmIdentifier): DerNode {
  if (parameters === undefined) {
    throw node.fail('ASN1_UNEXPECTED', `${describeOid(oid)} without parameters`);
  }
  return parameters;
}

/** A salt of any length down to none: such files exist. @throws MailsealError LIMIT_LENGTH */
export function readSalt(node: DerNode): Uint8Array {
  const salt = readOctets(node);
  if (salt.length > MAX_SALT_OCTETS) {
    throw node.fail('LIMIT_LENGTH', `salt of ${salt.length} octets, the limit is ${MAX_SALT_OCTETS}`);
  }
  return salt;
}

/** At least 1; how many are too many is for the cost limit to say. */
export function readIterations(node: DerNode): number {
  const iterations = readSmallInteger(node, 'iteration count', MAX_ITERATIONS);
  if (iterations === 0) throw node.fail('ASN1_BAD_VALUE', 'iteration count is zero');
  return iterations;
}

/** PBES2-params (RFC 8018 appendix A.4). */
function readPbes2(pbes2: AlgorithmIdentifier): PbeAlgorithm {
  const reader = required(pbes2).reader(Tag.SEQUENCE, 'PBES2-params');
  const kdfNode = reader.next(Tag.SEQUENCE, 'keyDerivationFunc');
  const schemeNode = reader.next(Tag.SEQUENCE, 'encryptionScheme');
  reader.end();
  const { kdf, keyLength } = readPbkdf2(readAlgorithmIdentifier(kdfNode, 'keyDerivationFunc'));
  const scheme = readAlgorithmIdentifier(schemeNode, 'encryptionScheme');
  if (scheme.oid === OID.rc2CBC) return { kdf, ...readRc2(scheme, keyLength) };
  const cipher = PBES2_CIPHERS[scheme.oid];
  if (cipher === undefined) throw unsupported(scheme, 'PBES2 cipher');
  if (keyLength !== undefined && keyLength !== cipher.keyLength) {
    throw kdfNode.fail(
      'ASN1_BAD_VALUE',
      `keyLength ${keyLength} does not fit ${describeOid(scheme.oid)}, which takes ${cipher.keyLength}`,
    );
  }
  const iv = readIv(required(scheme).expect(Tag.OCTET_STRING, 'IV'), cipher.ivLength);
  return { kdf, cipher: cipher.cipher, keyLength: cipher.keyLength, iv };
}

function readIv(node: DerNode, length: number): Uint8Array {
  const iv = readOctets(node);
  if (iv.length !== length) {
    throw node.fail('ASN1_BAD_VALUE', `IV of ${iv.length} octets, it takes ${length}`);
  }
  return iv;
}

/** PBKDF2-params (RFC 8018 appendix A.2). */
function readPbkdf2(algorithm: AlgorithmIdentifier): { kdf: PbeKdf; keyLength: number | undefined } {
  if (algorithm.oid !== OID.PBKDF2) throw unsupported(algorithm, 'PBES2 key derivation');
  const reader = required(algorithm).reader(Tag.SEQUENCE, 'PBKDF2-params');
  const saltNode = reader.any('salt');
  if (saltNode.is(Tag.SEQUENCE)) {
    throw unsupported(readAlgorithmIdentifier(saltNode, 'otherSource'), 'PBKDF2 salt source');
  }
  const salt = readSalt(saltNode.expect(Tag.OCTET_STRING, 'salt'));
  const iterations = readIterations(reader.next(Tag.INTEGER, 'iterationCount'));
  const lengthNode = reader.optional(Tag.INTEGER);
  const keyLength = lengthNode && readSmallInteger(lengthNode, 'keyLength');
  const prfNode = reader.optional(Tag.SEQUENCE);
  reader.end();
  const prf = prfNode && readAlgorithmIdentifier(prfNode, 'prf');
  const hash = prf === undefined ? 'sha1' : PRFS[prf.oid];
  if (prf !== undefined && hash === undefined) throw unsupported(prf, 'PBKDF2 pseudorandom function');
  if (prf !== undefined) withoutParameters(prf);
  return { kdf: { kdf: 'pbkdf2', hash: hash as KdfHash, salt, iterations }, keyLength };
}

/** RC2-CBC-Parameter (RFC 8018 appendix B.2.3). Without a keyLength the key is as long as its effective bits. */
function readRc2(scheme: AlgorithmIdentifier, given: number | undefined): Omit<PbeAlgorithm, 'kdf'> {
  const reader = required(scheme).reader(Tag.SEQUENCE, 'RC2-CBC-Parameter');
  const versionNode = reader.next(Tag.INTEGER, 'rc2ParameterVersion');
  const iv = readIv(reader.next(Tag.OCTET_STRING, 'IV'), 8);
  reader.end();
  const version = readSmallInteger(versionNode, 'rc2ParameterVersion');
  const effectiveKeyBits = version >= 256 ? version : RC2_VERSIONS[version];
  if (effectiveKeyBits === undefined || effectiveKeyBits > MAX_RC2_KEY_OCTETS * 8) {
    throw versionNode.fail('UNSUPPORTED_ALGORITHM', `rc2ParameterVersion ${version}`, { oid: scheme.oid });
  }
  const keyLength = given ?? Math.ceil(effectiveKeyBits / 8);
  if (keyLength < 1 || keyLength > MAX_RC2_KEY_OCTETS) {
    throw scheme.node.fail('ASN1_BAD_VALUE', `RC2 key of ${keyLength} octets`);
  }
  return { cipher: 'rc2-cbc', keyLength, effectiveKeyBits, iv };
}

/** What to run in WASM to decrypt `data`. */
export function decryptJob(algorithm: PbeAlgorithm, password: PasswordOctets, data: Uint8Array): DecryptJob {
  const { kdf, cipher, keyLength, effectiveKeyBits, iv } = algorithm;
  return {
    cipher,
    key: derivation(kdf, password, 1, keyLength),
    ...(iv !== undefined && { iv: typeof iv === 'number' ? derivation(kdf, password, 2, iv) : iv }),
    ...(effectiveKeyBits !== undefined && { effectiveKeyBits }),
    data,
  };
}

/** What to run in WASM to check an HMAC whose key has the length of its hash (RFC 7292 appendix A). */
export function macJob(
  kdf: PbeKdf,
  password: PasswordOctets,
  data: Uint8Array,
  expected: Uint8Array,
): MacJob {
  return { hash: kdf.hash, key: derivation(kdf, password, 3, HASH_LENGTH[kdf.hash]), data, expected };
}

/** @param id the purpose by RFC 7292 appendix B.3: 1 key, 2 IV, 3 MAC key */
function derivation(kdf: PbeKdf, password: PasswordOctets, id: 1 | 2 | 3, length: number): Derivation {
  const { hash, salt, iterations } = kdf;
  return kdf.kdf === 'pkcs12'
    ? { kdf: 'pkcs12', hash, password: password.pkcs12, salt, iterations, id, length }
    : { kdf: 'pbkdf2', hash, password: password.pbkdf2, salt, iterations, length };
}

/** Hash blocks that a decryption's key and IV take. PBKDF2 computes two for each iteration, PKCS#12 one. */
export function decryptCost({ kdf, keyLength, iv }: PbeAlgorithm): number {
  const blocks = Math.ceil(keyLength / HASH_LENGTH[kdf.hash]);
  if (kdf.kdf === 'pbkdf2') return kdf.iterations * blocks * 2;
  return kdf.iterations * (blocks + (typeof iv === 'number' ? 1 : 0));
}

/** Hash blocks that a MAC key takes. */
export function macCost(kdf: PbeKdf): number {
  return kdf.iterations * (kdf.kdf === 'pbkdf2' ? 2 : 1);
}
