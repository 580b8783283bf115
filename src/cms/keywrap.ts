/**
 * Content keys encrypted under a symmetric key: AES key wrap (RFC 3394, RFC 3565 2.3.2), and 3DES key wrap (RFC 3217) for
 * reading. node:crypto does both. Refused: RC2 key wrap. Used by keyagreement.ts, kem.ts and
 * sharedkeys.ts.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { type AlgorithmIdentifier, expectNullOrAbsent } from '../asn1/algorithm.js';
import { OID } from '../asn1/oids.js';
import type { DerWriter } from '../asn1/write.js';
import { concat } from '../bytes.js';
import { finished } from '../pbe/native.js';
import { unsupported } from './algorithms.js';

interface WrapKind {
  /** In node:crypto. */
  readonly cipher: string;
  /** Octets of the key-encryption key. */
  readonly keyLength: number;
}

export interface KeyWrap extends WrapKind {
  readonly oid: string;
}

const WRAPS: Readonly<Record<string, WrapKind>> = {
  [OID.aes128Wrap]: { cipher: 'id-aes128-wrap', keyLength: 16 },
  [OID.aes192Wrap]: { cipher: 'id-aes192-wrap', keyLength: 24 },
  [OID.aes256Wrap]: { cipher: 'id-aes256-wrap', keyLength: 32 },
  [OID.cms3DesWrap]: { cipher: 'id-smime-alg-CMS3DESwrap', keyLength: 24 },
};

/**
 * KeyWrapAlgorithm. Its parameters are absent for AES and NULL for 3DES, and peers write the other one.
 * @throws MailsealError UNSUPPORTED_ALGORITHM with the OID
 */
export function readKeyWrap(algorithm: AlgorithmIdentifier): KeyWrap {
  const { oid, parameters } = algorithm;
  const kind = WRAPS[oid];
  if (kind === undefined) throw unsupported(algorithm, 'key wrap with');
  expectNullOrAbsent(parameters, 'parameters of a key wrap');
  return { ...kind, oid };
}

/** KeyWrapAlgorithm. @param withNull with NULL for parameters, as some peers write it */
export function writeKeyWrap(w: DerWriter, { oid }: KeyWrap, withNull = false): void {
  w.sequence((w) => {
    w.oid(oid);
    if (withNull) w.null();
  });
}

const WRAP_OIDS: Readonly<Record<number, string>> = {
  16: OID.aes128Wrap,
  24: OID.aes192Wrap,
  32: OID.aes256Wrap,
};

/** AES key wrap with a key of this length. @throws RangeError for a length that AES does not have */
export function aesKeyWrap(keyLength: number): KeyWrap {
  const oid = WRAP_OIDS[keyLength];
  if (oid === undefined) throw new RangeError(`AES has no keys of ${keyLength} octets`);
  return { ...(WRAPS[oid] as WrapKind), oid };
}

/** RFC 3394 2.2.3.1; 3DES wrap makes its own. */
const AES_WRAP_IV = new Uint8Array(8).fill(0xa6);

const ivOf = ({ oid }: KeyWrap) => (oid === OID.cms3DesWrap ? null : AES_WRAP_IV);

/** @param key of the length that the algorithm has */
export function wrapKey(wrap: KeyWrap, key: Uint8Array, contentKey: Uint8Array): Uint8Array {
  const engine = createCipheriv(wrap.cipher, key, ivOf(wrap));
  return concat([engine.update(contentKey), engine.final()]);
}

/**
 * @param key of the length that the algorithm has
 * @returns the content key, which the caller wipes; undefined if what is wrapped is not whole
 */
export function unwrapKey(wrap: KeyWrap, key: Uint8Array, encryptedKey: Uint8Array): Uint8Array | undefined {
  return finished(createDecipheriv(wrap.cipher, key, ivOf(wrap)), encryptedKey);
}
