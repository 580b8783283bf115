/**
 * Key encapsulation: KEMRecipientInfo (RFC 9629) with ML-KEM (RFC 9936), HKDF with SHA-2 (RFC 8619) and the key wraps of
 * keywrap.ts, read and written; KDF3 of ANSI X9.44 is read, as Bouncy Castle takes it where it is told nothing.
 * Refused: other KEMs, other KDFs, a kekLength that is not that of the wrap.
 * ML-KEM rejects implicitly: of a ciphertext that is not for this key comes a secret that nobody knows, in the same time.
 * So it is the key wrap, which checks itself, that tells, and it may tell everybody.
 * Used by attempts.ts, handles.ts, choice.ts and enveloping.ts.
 */
import { createHash, hkdfSync } from 'node:crypto';
import { type AlgorithmIdentifier, expectNullOrAbsent, readAlgorithmIdentifier } from '../asn1/algorithm.js';
import { OID } from '../asn1/oids.js';
import { writeDer } from '../asn1/write.js';
import { wipe } from '../bytes.js';
import { MailsealError } from '../errors.js';
import type { Certificate } from '../x509/certificate.js';
import type { AnyPrivateKey, PrivateKey, PublicKey } from '../x509/keys.js';
import {
  decapsulate,
  encapsulate,
  hasMlKem,
  isMlKem,
  ML_KEM,
  type MlKemAlgorithm,
  missingMlKem,
} from '../x509/mlkem.js';
import { unsupported } from './algorithms.js';
import { type CertificateIdentifier, writeIdentifier } from './identifiers.js';
import { aesKeyWrap, type KeyWrap, readKeyWrap, unwrapKey, wrapKey, writeKeyWrap } from './keywrap.js';
import type { RecipientInfo } from './recipientinfo.js';

type KemRecipientInfo = RecipientInfo & { readonly type: 'keyEncapsulation' };

const KEMS: ReadonlyMap<string, MlKemAlgorithm> = new Map(
  (Object.keys(ML_KEM) as MlKemAlgorithm[]).map((name) => [ML_KEM[name].oid, name]),
);

type Hash = 'sha256' | 'sha384' | 'sha512';

interface Kdf {
  readonly kdf: 'hkdf' | 'kdf3';
  readonly hash: Hash;
}

const HKDFS: Readonly<Record<string, Hash>> = {
  [OID.hkdfWithSha256]: 'sha256',
  [OID.hkdfWithSha384]: 'sha384',
  [OID.hkdfWithSha512]: 'sha512',
};

/** In KDF3. */
const DIGESTS: Readonly<Record<string, Hash>> = {
  [OID.sha256]: 'sha256',
  [OID.sha384]: 'sha384',
  [OID.sha512]: 'sha512',
};

export interface KeyEncapsulation {
  readonly name: MlKemAlgorithm;
  readonly ciphertext: Uint8Array;
  readonly kdf: Kdf;
  readonly wrap: KeyWrap;
  /** Whether the parameters of the wrap are NULL. */
  readonly wrapHasNull: boolean;
  readonly ukm: Uint8Array | undefined;
}

/** @throws MailsealError UNSUPPORTED_ALGORITHM with the OID; CMS_MALFORMED for what anybody can see */
export function readKeyEncapsulation(info: KemRecipientInfo): KeyEncapsulation {
  const { algorithm, ciphertext, keyDerivation, kekLength, ukm, wrapAlgorithm, node } = info;
  const name = KEMS.get(algorithm.oid);
  if (name === undefined) throw unsupported(algorithm, 'key encapsulation with');
  expectNullOrAbsent(algorithm.parameters, 'parameters of ML-KEM');
  const { ciphertextSize } = ML_KEM[name];
  if (ciphertext.length !== ciphertextSize) {
    const what = `an ${name} ciphertext of ${ciphertext.length} octets, where it has ${ciphertextSize}`;
    throw node.fail('CMS_MALFORMED', what);
  }
  const kdf = readKdf(keyDerivation);
  const wrap = readKeyWrap(wrapAlgorithm);
  if (kekLength !== wrap.keyLength) {
    throw node.fail('CMS_MALFORMED', `kekLength ${kekLength} of a key wrap that takes ${wrap.keyLength}`);
  }
  return { name, ciphertext, kdf, wrap, wrapHasNull: wrapAlgorithm.parameters !== undefined, ukm };
}

function readKdf(algorithm: AlgorithmIdentifier): Kdf {
  const { oid, parameters } = algorithm;
  if (oid === OID.kdf3 && parameters !== undefined) {
    const digest = readAlgorithmIdentifier(parameters, 'digest of KDF3');
    const hash = DIGESTS[digest.oid];
    if (hash === undefined) throw unsupported(digest, 'KDF3 with');
    return { kdf: 'kdf3', hash };
  }
  const hash = HKDFS[oid];
  if (hash === undefined) throw unsupported(algorithm, 'key derivation with');
  expectNullOrAbsent(parameters, 'parameters of HKDF');
  return { kdf: 'hkdf', hash };
}

/** Whether the key is of this kind: a question about what anybody can see. */
export const fitsEncapsulation = ({ publicKey }: AnyPrivateKey, { name }: KeyEncapsulation): boolean =>
  publicKey.algorithm === name;

/** @returns the content key, which the caller wipes; undefined if it does not unwrap */
export function unwrapEncapsulated(
  privateKey: PrivateKey,
  encapsulation: KeyEncapsulation,
  encryptedKey: Uint8Array,
): Uint8Array | undefined {
  const secret = decapsulate(privateKey.keyObject, encapsulation.ciphertext);
  return unwrapWithShared(secret, encapsulation, encryptedKey);
}

/**
 * @param secret what decapsulation gave; wiped
 * @returns as {@link unwrapEncapsulated}
 */
export function unwrapWithShared(
  secret: Uint8Array,
  { kdf, wrap, wrapHasNull, ukm }: KeyEncapsulation,
  encryptedKey: Uint8Array,
): Uint8Array | undefined {
  let kek: Uint8Array | undefined;
  try {
    kek = deriveKek(kdf, secret, wrap, wrapHasNull, ukm);
    return unwrapKey(wrap, kek, encryptedKey);
  } finally {
    wipe(secret, kek);
  }
}

/** RFC 9936 2.2.1: HKDF has no salt. Info is CMSORIforKEMOtherInfo (RFC 9629 section 5), in DER. */
function deriveKek(
  { kdf, hash }: Kdf,
  secret: Uint8Array,
  wrap: KeyWrap,
  withNull: boolean,
  ukm: Uint8Array | undefined,
): Uint8Array {
  const info = writeDer((w) =>
    w.sequence((w) => {
      writeKeyWrap(w, wrap, withNull);
      w.integer(wrap.keyLength);
      if (ukm !== undefined) w.explicit(0, (w) => w.octets(ukm));
    }),
  );
  if (kdf === 'hkdf') return new Uint8Array(hkdfSync(hash, secret, '', info, wrap.keyLength));
  // KDF3 is digests of a counter from 1, the secret and the info; one is as long as any key that wraps.
  const digest = createHash(hash).update(FIRST).update(secret).update(info).digest();
  const kek = Uint8Array.from(digest.subarray(0, wrap.keyLength));
  wipe(digest);
  return kek;
}

const FIRST = Uint8Array.of(0, 0, 0, 1);

/**
 * The error of a message that no key can open here: it is for ML-KEM keys alone, and this Node.js has none.
 * Undefined for any other message.
 */
export function needsMlKem(infos: readonly RecipientInfo[]): MailsealError | undefined {
  if (hasMlKem()) return undefined;
  const names = infos.map((info) =>
    info.type === 'keyEncapsulation' ? KEMS.get(info.algorithm.oid) : undefined,
  );
  const [name] = names;
  return name === undefined || names.includes(undefined) ? undefined : missingMlKem(name);
}

/** Of which a content key can be encrypted to this key by encapsulation. */
export const kemOf = ({ algorithm }: PublicKey): MlKemAlgorithm | undefined =>
  isMlKem(algorithm) ? algorithm : undefined;

/**
 * Octets of the AES key wrap: what everybody reads who reads ML-KEM of that size (RFC 9936 2.1), and as strong as it is
 * (RFC 9629 section 7).
 */
export const KEK_LENGTHS: Readonly<Record<MlKemAlgorithm, number>> = {
  'ml-kem-512': 16,
  'ml-kem-768': 32,
  'ml-kem-1024': 32,
};

/**
 * KEMRecipientInfo in its OtherRecipientInfo (RFC 5652 6.2.5). HKDF with SHA-256 is as strong as each of the sizes, and
 * the only KDF that RFC 9936 has everybody read.
 * @param name of the certificate's key, which this Node.js has
 * @throws MailsealError KEY_UNSUITABLE if the key is none
 */
export function writeKeyEncapsulation(
  certificate: Certificate,
  name: MlKemAlgorithm,
  contentKey: Uint8Array,
  identifier: CertificateIdentifier['type'],
): Uint8Array {
  const wrap = aesKeyWrap(KEK_LENGTHS[name]);
  const { sharedKey, ciphertext } = encapsulateFor(certificate);
  let kek: Uint8Array | undefined;
  try {
    kek = deriveKek({ kdf: 'hkdf', hash: 'sha256' }, sharedKey, wrap, false, undefined);
    const encryptedKey = wrapKey(wrap, kek, contentKey);
    return writeDer((w) =>
      w.implicitConstructed(4, (w) => {
        w.oid(OID.kemRecipientInfo);
        w.sequence((w) => {
          w.integer(0);
          writeIdentifier(w, certificate, identifier);
          w.sequence((w) => w.oid(ML_KEM[name].oid));
          w.octets(ciphertext);
          w.sequence((w) => w.oid(OID.hkdfWithSha256));
          w.integer(wrap.keyLength);
          writeKeyWrap(w, wrap);
          w.octets(encryptedKey);
        });
      }),
    );
  } finally {
    wipe(sharedKey, kek);
  }
}

function encapsulateFor({ publicKey, subject }: Certificate): ReturnType<typeof encapsulate> {
  try {
    return encapsulate(publicKey.keyObject);
  } catch (cause) {
    throw new MailsealError('KEY_UNSUITABLE', `the key of ${subject} can't encapsulate`, { cause });
  }
}
