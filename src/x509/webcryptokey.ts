/**
 * A CryptoKey of any implementation of the Web Cryptography API as a {@link KeyHandle}: that of Node.js, of
 * `@peculiar/webcrypto`, of `node-webcrypto-p11` over a PKCS#11 device. A CryptoKey is for one algorithm and, with RSA, for
 * one hash, so an RSA key that signs and decrypts makes two handles.
 *
 * The API has no RSAES-PKCS1-v1_5. A key with that name, which is an addition of webcrypto-core for PKCS#11, is taken; of
 * any other, mail that is encrypted so is UNSUPPORTED_ALGORITHM. RSA-OAEP and RSA-PSS have one hash for message and MGF1.
 * Exported by keys.ts.
 */
import { OID } from '../asn1/oids.js';
import { MailsealError } from '../errors.js';
import { curveOf, rawPoint } from './curves.js';
import type { DigestName } from './digests.js';
import type { HandleDecryption, HandleSignature, KeyHandle } from './keyhandle.js';
import { type KeyAlgorithm, PublicKey } from './publickey.js';

/** What is used of a CryptoKey, whoever made it. */
export interface WebCryptoKey {
  readonly type: string;
  /** With RSA `hash`, with EC `namedCurve`. */
  readonly algorithm: { readonly name: string };
}

/** What the types of a browser's Crypto take: memory that no other thread can change. */
type Octets = Uint8Array<ArrayBuffer>;

interface WebCryptoAlgorithm {
  name: string;
  hash?: string;
  saltLength?: number;
  label?: Octets;
  namedCurve?: string;
  public?: WebCryptoKey;
}

/** What is used of a `Crypto`, whoever made it. */
export interface WebCrypto {
  readonly subtle: {
    sign(algorithm: WebCryptoAlgorithm, key: WebCryptoKey, data: Octets): Promise<ArrayBuffer>;
    decrypt(algorithm: WebCryptoAlgorithm, key: WebCryptoKey, data: Octets): Promise<ArrayBuffer>;
    deriveBits(algorithm: WebCryptoAlgorithm, key: WebCryptoKey, length: number): Promise<ArrayBuffer>;
    importKey(
      format: 'raw',
      data: Octets,
      algorithm: WebCryptoAlgorithm,
      extractable: boolean,
      usages: string[],
    ): Promise<WebCryptoKey>;
  };
}

/** Names of the API, each with the keys that fit and what they do. */
const KINDS: Readonly<
  Record<string, { use: 'sign' | 'decrypt' | 'deriveBits'; keys: readonly KeyAlgorithm[] }>
> = {
  'RSASSA-PKCS1-v1_5': { use: 'sign', keys: ['rsa'] },
  'RSA-PSS': { use: 'sign', keys: ['rsa', 'rsa-pss'] },
  ECDSA: { use: 'sign', keys: ['ec'] },
  Ed25519: { use: 'sign', keys: ['ed25519'] },
  Ed448: { use: 'sign', keys: ['ed448'] },
  'RSA-OAEP': { use: 'decrypt', keys: ['rsa'] },
  'RSAES-PKCS1-v1_5': { use: 'decrypt', keys: ['rsa'] },
  ECDH: { use: 'deriveBits', keys: ['ec'] },
  X25519: { use: 'deriveBits', keys: ['x25519'] },
  X448: { use: 'deriveBits', keys: ['x448'] },
};

const HASHES: Partial<Readonly<Record<DigestName, string>>> = {
  sha1: 'SHA-1',
  sha256: 'SHA-256',
  sha384: 'SHA-384',
  sha512: 'SHA-512',
};

const SIGNATURES: Readonly<Record<string, string>> = {
  'rsassa-pkcs1-v1_5': 'RSASSA-PKCS1-v1_5',
  'rsassa-pss': 'RSA-PSS',
  ecdsa: 'ECDSA',
  ed25519: 'Ed25519',
  ed448: 'Ed448',
};

/**
 * @param crypto that the key is of, for example `globalThis.crypto`
 * @param privateKey it does not have to be extractable; its usages have to name `sign`, `decrypt` or `deriveBits`
 * @param publicKey as its certificate has it: `certificate.publicKey`
 * @throws TypeError for what is no private CryptoKey; MailsealError UNSUPPORTED_ALGORITHM for one of another algorithm,
 *   KEY_MISMATCH for a public key of another kind or curve
 */
export function webCryptoKey(crypto: WebCrypto, privateKey: WebCryptoKey, publicKey: PublicKey): KeyHandle {
  if (privateKey?.type !== 'private') throw new TypeError('privateKey must be a private CryptoKey');
  if (!(publicKey instanceof PublicKey)) throw new TypeError('publicKey must be a PublicKey');
  const { name } = privateKey.algorithm;
  const kind = Object.hasOwn(KINDS, name) ? KINDS[name] : undefined;
  if (kind === undefined) throw new MailsealError('UNSUPPORTED_ALGORITHM', `a CryptoKey for ${name}`);
  const curve = ofAlgorithm(privateKey, 'namedCurve');
  if (
    !kind.keys.includes(publicKey.algorithm) ||
    (publicKey.algorithm === 'ec' && !isCurve(publicKey, curve))
  ) {
    throw new MailsealError('KEY_MISMATCH', `the CryptoKey for ${name} is not the one of this public key`);
  }
  const { subtle } = crypto;
  switch (kind.use) {
    case 'sign':
      return {
        publicKey,
        sign: async (data, algorithm) =>
          new Uint8Array(
            await subtle.sign(signatureOf(privateKey, algorithm), privateKey, new Uint8Array(data)),
          ),
      };
    case 'decrypt':
      return {
        publicKey,
        async decrypt(ciphertext, algorithm) {
          const wanted = decryptionOf(privateKey, algorithm);
          try {
            return new Uint8Array(await subtle.decrypt(wanted, privateKey, new Uint8Array(ciphertext)));
          } catch (cause) {
            throw refused(cause) ?? cause;
          }
        },
      };
    default:
      return {
        publicKey,
        async deriveBits(peer) {
          const { algorithm, curveOid } = peer;
          const size = curveOid === undefined ? peer.bits.length : curveOf(curveOid)?.size;
          const named = { name, ...(algorithm === 'ec' && curve !== undefined && { namedCurve: curve }) };
          const point = new Uint8Array(rawPoint(curveOid, peer.bits));
          const other = await subtle.importKey('raw', point, named, true, []);
          return new Uint8Array(
            await subtle.deriveBits({ name, public: other }, privateKey, (size ?? 0) * 8),
          );
        },
      };
  }
}

/** Implementations have names of their own for the curves that the API does not have: K-256, brainpoolP256r1. */
const isCurve = ({ curve }: PublicKey, named: string | undefined): boolean =>
  curve !== undefined && (named === curve || !named?.startsWith('P-'));

/** A field of a CryptoKey's algorithm, which depends on its name; `hash` is an object with a name. */
function ofAlgorithm({ algorithm }: WebCryptoKey, field: 'hash' | 'namedCurve'): string | undefined {
  const value = (algorithm as { hash?: unknown; namedCurve?: unknown })[field];
  const text = typeof value === 'object' && value !== null && 'name' in value ? value.name : value;
  return typeof text === 'string' ? text : undefined;
}

function signatureOf(key: WebCryptoKey, wanted: HandleSignature): WebCryptoAlgorithm {
  const { name } = key.algorithm;
  const asked = SIGNATURES[wanted.scheme] ?? wanted.scheme;
  if (asked !== name) {
    throw new MailsealError('KEY_UNSUITABLE', `the CryptoKey is for ${name}, and ${asked} is asked for`);
  }
  if (!('hash' in wanted)) return { name };
  const hash = hashFor(key, wanted.hash);
  if (wanted.scheme === 'ecdsa') return { name, hash };
  if (wanted.scheme === 'rsassa-pkcs1-v1_5') return { name };
  if (wanted.maskHash !== wanted.hash) throw mixed(name);
  return { name, saltLength: wanted.saltLength };
}

function decryptionOf(key: WebCryptoKey, wanted: HandleDecryption): WebCryptoAlgorithm {
  const { name } = key.algorithm;
  if (wanted.scheme === 'rsaes-oaep') {
    if (name !== 'RSA-OAEP') {
      throw new MailsealError('KEY_UNSUITABLE', `the CryptoKey is for ${name}, and the message for RSA-OAEP`);
    }
    hashFor(key, wanted.hash);
    if (wanted.maskHash !== wanted.hash) throw mixed(name);
    return { name, ...(wanted.label.length > 0 && { label: new Uint8Array(wanted.label) }) };
  }
  if (name === 'RSAES-PKCS1-v1_5') return { name };
  throw new MailsealError(
    'UNSUPPORTED_ALGORITHM',
    `WebCrypto has no decryption with RSAES-PKCS1-v1_5, and the CryptoKey is for ${name}`,
    { oid: OID.rsaEncryption },
  );
}

/** The API's name of a hash, if it is the one that the key is for. Keys for EC are for any. */
function hashFor(key: WebCryptoKey, wanted: DigestName): string {
  const hash = HASHES[wanted];
  const own = ofAlgorithm(key, 'hash') ?? hash;
  if (hash !== undefined && hash === own) return hash;
  throw new MailsealError(
    'KEY_UNSUITABLE',
    `the CryptoKey is for ${own ?? 'another hash'}, not for ${wanted}`,
  );
}

const mixed = (name: string): MailsealError =>
  new MailsealError('UNSUPPORTED_ALGORITHM', `${name} of WebCrypto with a hash of its own for MGF1`, {
    oid: OID.mgf1,
  });

/** What the API checks before it looks at the ciphertext (its section 14.3.2) says something of the key alone. */
const BEFOREHAND: readonly string[] = ['InvalidAccessError', 'NotSupportedError'];

function refused(cause: unknown): MailsealError | undefined {
  if (!(cause instanceof Error && BEFOREHAND.includes(cause.name))) return undefined;
  return new MailsealError('KEY_UNAVAILABLE', 'the CryptoKey is not one to decrypt with', { cause });
}
