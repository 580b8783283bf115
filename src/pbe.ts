/**
 * Password-based encryption and MACs by AlgorithmIdentifier: which key derivation, which cipher, which parameters. The
 * PKCS#12 schemes (RFC 7292 appendix C), PBES1 and PBES2 (RFC 8018 section 6), PBMAC1 (RFC 9579), for reading only.
 * This file holds the policy: what is supported, and that lengths fit; pbe/jobs.ts runs it and says what it costs.
 * Refused with the OID: MD2, digests and ciphers that neither WASM nor node:crypto has, salts from another source, ECB.
 * Called by pfx/.
 */
import {
  type AlgorithmIdentifier,
  expectNullOrAbsent,
  rc2EffectiveKeyBits,
  readAlgorithmIdentifier,
} from './asn1/algorithm.js';
import { describeOid, OID } from './asn1/oids.js';
import { Tag } from './asn1/tags.js';
import type { DerNode } from './asn1/tape.js';
import { readOctets, readSmallInteger } from './asn1/values.js';
import type { MailsealError } from './errors.js';
import { DIGESTS, HMAC_HASHES, hasHash, MAC_HASHES, type PbeHash } from './pbe/digests.js';
import type { CipherName, DecryptJob, KeyDerivation, MacJob } from './pbe/jobs.js';
import { MAX_SCRYPT_MEMORY, scryptMemory } from './pbe/native.js';
import {
  isBuilt,
  legacyHint,
  PBES1_SCHEMES,
  PBES2_CIPHERS,
  type Pbes2Cipher,
  PKCS12_SCHEMES,
} from './pbe/schemes.js';

/** Salts are 8 to 64 octets in practice, and some files have none. Every job copies its own. */
const MAX_SALT_OCTETS = 1024;
/** Large enough to keep the true number for the cost limit; the content of INTEGER is bounded by it. */
const MAX_ITERATIONS = 2 ** 48;
const MAX_RC2_KEY_OCTETS = 128;
/** RFC 9579 refuses keys below 20 octets: short ones match under many passwords. HMAC's own longest is 64. */
const PBMAC1_KEY_OCTETS = { least: 20, most: 64 };
/** RFC 9579 asks for SHA-256, -384 and -512. What it came to replace, such as MD5, has no place here. */
const PBMAC1_HASHES: readonly PbeHash[] = ['sha1', 'sha224', 'sha256', 'sha384', 'sha512'];

/** The octets that a password stands for in key derivations. */
export interface PasswordOctets {
  /** BMPString with two zero octets behind it (RFC 7292 appendix B.1); no octets at all for the null password. */
  readonly pkcs12: Uint8Array;
  /** For PBES1, PBES2 and PBMAC1. RFC 8018 leaves the encoding open and suggests UTF-8. */
  readonly pbkdf2: Uint8Array;
  /** What NSS up to 3.21 made of the password; it erred about the IV of PBES1 as well. */
  readonly asNss?: true;
}

/** A salted derivation that waits for a password. */
export type PbeKdf =
  | {
      readonly kdf: 'pkcs12' | 'pbkdf2';
      readonly hash: PbeHash;
      readonly salt: Uint8Array;
      readonly iterations: number;
    }
  | {
      readonly kdf: 'pbkdf1';
      readonly hash: 'md5' | 'sha1';
      readonly salt: Uint8Array;
      readonly iterations: number;
    }
  | {
      readonly kdf: 'scrypt';
      readonly salt: Uint8Array;
      /** N, r and p of RFC 7914. */
      readonly cost: number;
      readonly blockSize: number;
      readonly parallelization: number;
    };

export interface PbeAlgorithm {
  readonly kdf: PbeKdf;
  readonly cipher: CipherName;
  /** Octets. */
  readonly keyLength: number;
  /** RC2 only (RFC 2268): the effective key length in bits. */
  readonly effectiveKeyBits?: number;
  /** Given octets, the number of octets to derive, or undefined for a stream cipher. */
  readonly iv: Uint8Array | number | undefined;
}

/** An HMAC under a derived key. */
export interface PbeMac {
  readonly kdf: PbeKdf;
  readonly hash: PbeHash;
  /** Octets. */
  readonly keyLength: number;
}

/** UNSUPPORTED_ALGORITHM at the place of the AlgorithmIdentifier. @param hint what would help */
function unsupported({ node, oid }: AlgorithmIdentifier, what: string, hint = ''): MailsealError {
  return node.fail('UNSUPPORTED_ALGORITHM', `${what} ${describeOid(oid)} is not supported${hint}`, { oid });
}

/**
 * Reads the AlgorithmIdentifier of an encrypted bag or content. Salt and IV are views into its source.
 * @throws MailsealError UNSUPPORTED_ALGORITHM with the OID; ASN1_* for parameters that do not fit
 */
export function readPbeAlgorithm(node: DerNode): PbeAlgorithm {
  const algorithm = readAlgorithmIdentifier(node, 'encryption algorithm');
  if (algorithm.oid === OID.PBES2) return readPbes2(algorithm);
  const scheme = PKCS12_SCHEMES[algorithm.oid];
  if (scheme !== undefined)
    return { kdf: { kdf: 'pkcs12', hash: 'sha1', ...readPbeParams(algorithm) }, ...scheme };
  const pbes1 = PBES1_SCHEMES[algorithm.oid];
  if (pbes1 === undefined || !hasHash(pbes1.hash)) throw unsupported(algorithm, 'password-based encryption');
  const { hash, cipher } = pbes1;
  const kdf: PbeKdf = { kdf: 'pbkdf1', hash, ...readPbeParams(algorithm) };
  return { kdf, cipher, keyLength: 8, iv: 8, ...(cipher === 'rc2-cbc' && { effectiveKeyBits: 64 }) };
}

/** pkcs-12PbeParams (RFC 7292 appendix C) and PBEParameter (RFC 8018 appendix A.3), whose salt need not be 8 octets. */
function readPbeParams(algorithm: AlgorithmIdentifier): { salt: Uint8Array; iterations: number } {
  const reader = required(algorithm).reader(Tag.SEQUENCE, 'PBE parameters');
  const salt = readSalt(reader.next(Tag.OCTET_STRING, 'salt'));
  const iterations = readIterations(reader.next(Tag.INTEGER, 'iterations'));
  reader.end();
  return { salt, iterations };
}

/** @throws MailsealError ASN1_* */
function withoutParameters({ oid, parameters }: AlgorithmIdentifier): void {
  expectNullOrAbsent(parameters, `parameters of ${describeOid(oid)}`);
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
  const { kdf, keyLength } = readKdf(readAlgorithmIdentifier(kdfNode, 'keyDerivationFunc'));
  const scheme = readAlgorithmIdentifier(schemeNode, 'encryptionScheme');
  if (scheme.oid === OID.rc2CBC) return { kdf, ...readRc2(scheme, keyLength) };
  let cipher = PBES2_CIPHERS[scheme.oid];
  if (cipher === undefined) throw unsupported(scheme, 'PBES2 cipher');
  if (!isBuilt(cipher.cipher)) throw unsupported(scheme, 'PBES2 cipher', legacyHint(cipher.cipher));
  if (keyLength !== undefined && keyLength === cipher.mistakenFor?.keyLength) cipher = cipher.mistakenFor;
  if (keyLength !== undefined && keyLength !== cipher.keyLength) {
    throw kdfNode.fail(
      'ASN1_BAD_VALUE',
      `keyLength ${keyLength} does not fit ${describeOid(scheme.oid)}, which takes ${cipher.keyLength}`,
    );
  }
  const iv = readCipherParameters(scheme, cipher);
  return { kdf, cipher: cipher.cipher, keyLength: cipher.keyLength, iv };
}

function readCipherParameters(scheme: AlgorithmIdentifier, { cipher, ivLength }: Pbes2Cipher): Uint8Array {
  const parameters = required(scheme);
  if (cipher === 'aes-gcm') return readGcmParameters(parameters);
  return readIv(parameters.expect(Tag.OCTET_STRING, 'IV'), ivLength);
}

/**
 * GCMParameters (RFC 5084 3.2); RustCrypto writes the nonce alone. Only the full tag: a shorter one, even the DEFAULT
 * of 12 octets, is weaker than it need be.
 */
function readGcmParameters(node: DerNode): Uint8Array {
  if (node.is(Tag.OCTET_STRING)) return readIv(node, 12);
  const reader = node.reader(Tag.SEQUENCE, 'GCMParameters');
  const nonce = readIv(reader.next(Tag.OCTET_STRING, 'aes-nonce'), 12);
  const lengthNode = reader.optional(Tag.INTEGER);
  reader.end();
  const length = lengthNode === undefined ? 12 : readSmallInteger(lengthNode, 'aes-ICVlen');
  if (length !== 16) throw node.fail('ASN1_BAD_VALUE', `GCM tag of ${length} octets, only 16 are accepted`);
  return nonce;
}

function readIv(node: DerNode, length: number): Uint8Array {
  const iv = readOctets(node);
  if (iv.length !== length) {
    throw node.fail('ASN1_BAD_VALUE', `IV of ${iv.length} octets, it takes ${length}`);
  }
  return iv;
}

interface Kdf {
  readonly kdf: PbeKdf;
  readonly keyLength: number | undefined;
}

function readKdf(algorithm: AlgorithmIdentifier): Kdf {
  switch (algorithm.oid) {
    case OID.PBKDF2:
      return readPbkdf2(algorithm);
    case OID.scrypt:
      return readScrypt(algorithm);
    default:
      throw unsupported(algorithm, 'key derivation');
  }
}

/**
 * A key derivation that stands alone: keyDerivationAlgorithm of a CMS recipient with a password (RFC 5652 6.2.4).
 * @param password octets, UTF-8 as a rule
 * @param length octets of the key; a keyLength in the parameters has to be the same
 * @throws MailsealError UNSUPPORTED_ALGORITHM with the OID; ASN1_*, LIMIT_COST for its parameters
 */
export function readKeyDerivation(
  algorithm: AlgorithmIdentifier,
  password: Uint8Array,
  length: number,
): KeyDerivation {
  const { kdf, keyLength = length } = readKdf(algorithm);
  if (keyLength !== length) {
    throw algorithm.node.fail('ASN1_BAD_VALUE', `keyLength ${keyLength}, where the key is to have ${length}`);
  }
  return derivation(kdf, { pkcs12: password, pbkdf2: password }, 1, length);
}

/** PBKDF2-params (RFC 8018 appendix A.2). */
function readPbkdf2(algorithm: AlgorithmIdentifier, hashes?: readonly PbeHash[]): Kdf {
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
  const hash = prfNode === undefined ? 'sha1' : readHmac(prfNode, 'PBKDF2 pseudorandom function', hashes);
  return { kdf: { kdf: 'pbkdf2', hash, salt, iterations }, keyLength };
}

/** An AlgorithmIdentifier of an HMAC. @param use for the message @param allowed by default all */
function readHmac(node: DerNode, use: string, allowed?: readonly PbeHash[]): PbeHash {
  const algorithm = readAlgorithmIdentifier(node, use);
  const hash = HMAC_HASHES[algorithm.oid];
  if (hash === undefined || !hasHash(hash) || allowed?.includes(hash) === false)
    throw unsupported(algorithm, use);
  withoutParameters(algorithm);
  return hash;
}

/** scrypt-params (RFC 7914 section 7.1). */
function readScrypt(algorithm: AlgorithmIdentifier): Kdf {
  const parameters = required(algorithm);
  const reader = parameters.reader(Tag.SEQUENCE, 'scrypt-params');
  const salt = readSalt(reader.next(Tag.OCTET_STRING, 'salt'));
  const cost = readSmallInteger(reader.next(Tag.INTEGER, 'costParameter'), 'costParameter', MAX_ITERATIONS);
  const blockSize = readSmallInteger(reader.next(Tag.INTEGER, 'blockSize'), 'blockSize');
  const pNode = reader.next(Tag.INTEGER, 'parallelizationParameter');
  const parallelization = readSmallInteger(pNode, 'parallelizationParameter');
  const lengthNode = reader.optional(Tag.INTEGER);
  const keyLength = lengthNode && readSmallInteger(lengthNode, 'keyLength');
  reader.end();
  // Section 2: N is a power of two above 1 and below 2^(128 · r / 8).
  const power = cost > 1 && Number.isInteger(Math.log2(cost)) && Math.log2(cost) < 16 * blockSize;
  if (!power || parallelization === 0) {
    throw parameters.fail(
      'ASN1_BAD_VALUE',
      `scrypt with N = ${cost}, r = ${blockSize}, p = ${parallelization}`,
    );
  }
  const memory = scryptMemory(cost, blockSize, parallelization);
  if (memory > MAX_SCRYPT_MEMORY) {
    throw parameters.fail(
      'LIMIT_COST',
      `scrypt would take ${memory} octets of memory, the limit is ${MAX_SCRYPT_MEMORY}`,
    );
  }
  return { kdf: { kdf: 'scrypt', salt, cost, blockSize, parallelization }, keyLength };
}

/**
 * The MAC of a PFX by its digestAlgorithm: the digest itself, for HMAC under a key of its length (RFC 7292 appendix A),
 * or PBMAC1, which brings its own salt and iterations, so that those of MacData are not even read.
 * @throws MailsealError UNSUPPORTED_ALGORITHM with the OID; ASN1_* for parameters that do not fit
 */
export function readPbeMac(
  algorithm: AlgorithmIdentifier,
  readMacParams: () => { salt: Uint8Array; iterations: number },
): PbeMac {
  if (algorithm.oid === OID.PBMAC1) return readPbmac1(algorithm);
  const hash = MAC_HASHES[algorithm.oid];
  if (hash === undefined || !hasHash(hash)) throw unsupported(algorithm, 'MAC algorithm');
  withoutParameters(algorithm);
  return { kdf: { kdf: 'pkcs12', hash, ...readMacParams() }, hash, keyLength: DIGESTS[hash].octets };
}

/**
 * PBMAC1-params (RFC 8018 appendix A.5) as RFC 9579 section 4 narrows them: PBKDF2, and a keyLength that is there. What
 * CVE-2025-11187 was about is checked here: that the salt is octets, and the bounds of keyLength. RFC 9579 sets no upper
 * bound, but a key should be as long as the HMAC's output, and OpenSSL takes no more than 64 octets either.
 */
function readPbmac1(pbmac1: AlgorithmIdentifier): PbeMac {
  const reader = required(pbmac1).reader(Tag.SEQUENCE, 'PBMAC1-params');
  const kdfNode = reader.next(Tag.SEQUENCE, 'keyDerivationFunc');
  const schemeNode = reader.next(Tag.SEQUENCE, 'messageAuthScheme');
  reader.end();
  const algorithm = readAlgorithmIdentifier(kdfNode, 'keyDerivationFunc');
  if (algorithm.oid !== OID.PBKDF2) throw unsupported(algorithm, 'PBMAC1 key derivation');
  const { kdf, keyLength } = readPbkdf2(algorithm, PBMAC1_HASHES);
  if (keyLength === undefined) throw kdfNode.fail('ASN1_UNEXPECTED', 'PBMAC1 without keyLength');
  const { least, most } = PBMAC1_KEY_OCTETS;
  if (keyLength < least || keyLength > most) {
    throw kdfNode.fail('ASN1_BAD_VALUE', `PBMAC1 keyLength ${keyLength}, it must be ${least} to ${most}`);
  }
  return {
    kdf,
    hash: readHmac(schemeNode, 'PBMAC1 message authentication scheme', PBMAC1_HASHES),
    keyLength,
  };
}

/** RC2-CBC-Parameter (RFC 8018 appendix B.2.3). Without a keyLength the key is as long as its effective bits. */
function readRc2(scheme: AlgorithmIdentifier, given: number | undefined): Omit<PbeAlgorithm, 'kdf'> {
  const reader = required(scheme).reader(Tag.SEQUENCE, 'RC2-CBC-Parameter');
  const versionNode = reader.next(Tag.INTEGER, 'rc2ParameterVersion');
  const iv = readIv(reader.next(Tag.OCTET_STRING, 'IV'), 8);
  reader.end();
  const version = readSmallInteger(versionNode, 'rc2ParameterVersion');
  const effectiveKeyBits = rc2EffectiveKeyBits(version);
  if (effectiveKeyBits === undefined) {
    throw versionNode.fail('UNSUPPORTED_ALGORITHM', `rc2ParameterVersion ${version}`, { oid: scheme.oid });
  }
  const keyLength = given ?? Math.ceil(effectiveKeyBits / 8);
  if (keyLength < 1 || keyLength > MAX_RC2_KEY_OCTETS) {
    throw scheme.node.fail('ASN1_BAD_VALUE', `RC2 key of ${keyLength} octets`);
  }
  return { cipher: 'rc2-cbc', keyLength, effectiveKeyBits, iv };
}

/** What to run to decrypt `data`. @param iv in place of the algorithm's own */
export function decryptJob(
  algorithm: PbeAlgorithm,
  password: PasswordOctets,
  data: Uint8Array,
  iv = algorithm.iv,
): DecryptJob {
  const { kdf, cipher, keyLength, effectiveKeyBits } = algorithm;
  return {
    cipher,
    key: derivation(kdf, password, 1, keyLength),
    iv: typeof iv === 'number' ? derivation(kdf, password, 2, iv) : iv,
    effectiveKeyBits,
    data,
  };
}

/** What to run to check an HMAC. */
export function macJob(
  { kdf, hash, keyLength }: PbeMac,
  password: PasswordOctets,
  data: Uint8Array,
  expected: Uint8Array,
): MacJob {
  return { hash, key: derivation(kdf, password, 3, keyLength), data, expected };
}

/** @param id the purpose by RFC 7292 appendix B.3: 1 key, 2 IV, 3 MAC key */
function derivation(kdf: PbeKdf, passwords: PasswordOctets, id: 1 | 2 | 3, length: number): KeyDerivation {
  // Field by field, since every job of every file passes here, and spreading takes several times as long.
  switch (kdf.kdf) {
    case 'pkcs12': {
      const { hash, salt, iterations } = kdf;
      return { kdf: 'pkcs12', hash, password: passwords.pkcs12, salt, iterations, id, length };
    }
    case 'pbkdf2': {
      const { hash, salt, iterations } = kdf;
      return { kdf: 'pbkdf2', hash, password: passwords.pbkdf2, salt, iterations, length };
    }
    case 'pbkdf1': {
      const offset = id === 1 ? 0 : pbes1IvOffset(kdf.hash, passwords);
      return { ...kdf, password: passwords.pbkdf2, offset, length };
    }
    case 'scrypt':
      return { ...kdf, password: passwords.pbkdf2, length };
  }
}

/** RFC 8018 6.1.1 step 2: the IV is octets 8 to 15 of the digest, which NSS takes for the last 8, wherever they are. */
function pbes1IvOffset(hash: PbeHash, passwords: PasswordOctets): number {
  return passwords.asNss ? DIGESTS[hash].octets - 8 : 8;
}
