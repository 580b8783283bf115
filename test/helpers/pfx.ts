/**
 * Writes PFX files for tests, wrong ones included, with node:crypto and a second implementation of the PKCS#12 key
 * derivation (RFC 7292 appendix B.2). Encryption is PBES2 with AES-256 and SHA-256, one iteration unless told.
 *
 *   pfx({ safes: [safe([certBag(der), shroudedKeyBag(pkcs8, 'pw')])], password: 'pw' })
 */
import { createCipheriv, createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { OID } from '../../src/asn1/oids.js';
import { type DerWriter, writeDer } from '../../src/asn1/write.js';
import { buffer, concat } from '../../src/bytes.js';

const SALT = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const IV = new Uint8Array(16).fill(9);

export interface BagAttributesInput {
  friendlyName?: string;
  localKeyId?: Uint8Array;
  /** Further attributes, encoded. */
  raw?: Uint8Array;
}

export function bag(type: string, value: Uint8Array, attributes: BagAttributesInput = {}): Uint8Array {
  const { friendlyName, localKeyId, raw } = attributes;
  return writeDer((w) =>
    w.sequence((w) => {
      w.oid(type);
      w.explicit(0, (w) => w.raw(value));
      if (Object.keys(attributes).length === 0) return;
      w.set((w) => {
        if (friendlyName !== undefined) attribute(w, OID.friendlyName, (w) => w.bmp(friendlyName));
        if (localKeyId !== undefined) attribute(w, OID.localKeyId, (w) => w.octets(localKeyId));
        if (raw !== undefined) w.raw(raw);
      });
    }),
  );
}

export function attribute(w: DerWriter, type: string, value: (w: DerWriter) => void): void {
  w.sequence((w) => {
    w.oid(type);
    w.set(value);
  });
}

export const keyBag = (pkcs8: Uint8Array, attributes?: BagAttributesInput) =>
  bag(OID.keyBag, pkcs8, attributes);

export const certBag = (
  der: Uint8Array,
  attributes?: BagAttributesInput,
  type: string = OID.x509Certificate,
) =>
  bag(
    OID.certBag,
    writeDer((w) =>
      w.sequence((w) => {
        w.oid(type);
        w.explicit(0, (w) => w.octets(der));
      }),
    ),
    attributes,
  );

/** SafeContents. */
export const contents = (bags: readonly Uint8Array[]) =>
  writeDer((w) => w.sequence((w) => bags.map((encoded) => w.raw(encoded))));

export const nestedBag = (bags: readonly Uint8Array[]) => bag(OID.safeContentsBag, contents(bags));

export interface Pbes2Options {
  iterations?: number;
  /** Octets of the password, in place of its UTF-8. */
  octets?: Uint8Array;
}

/** AlgorithmIdentifier and ciphertext. */
function encrypt(plaintext: Uint8Array, password: string, options: Pbes2Options) {
  const { iterations = 1, octets } = options;
  // One too large to run is written with the ciphertext of another: whoever derives it would not come back.
  const key = pbkdf2Sync(octets ?? password, SALT, Math.min(iterations, 1e6), 32, 'sha256');
  const cipher = createCipheriv('aes-256-cbc', key, IV);
  const data = concat([cipher.update(plaintext), cipher.final()]);
  return { algorithm: pbes2Algorithm(iterations), data };
}

/** RFC 8018 appendices A.2 and A.4; no keyLength, as OpenSSL writes it. */
export const pbes2Algorithm = (iterations: number, salt: Uint8Array = SALT, iv: Uint8Array = IV) =>
  pbes2(OID.PBKDF2, iv, (w) => {
    w.octets(salt);
    w.integer(iterations);
    w.sequence((w) => {
      w.oid(OID.hmacWithSHA256);
      w.null();
    });
  });

/** With scrypt (RFC 7914 section 7). @param cost N, a power of two; r is 8 */
export const scryptAlgorithm = (cost: number, salt: Uint8Array = SALT, iv: Uint8Array = IV) =>
  pbes2(OID.scrypt, iv, (w) => {
    w.octets(salt);
    for (const number of [cost, 8, 1]) w.integer(number);
  });

const pbes2 = (kdf: string, iv: Uint8Array, parameters: (w: DerWriter) => void) =>
  writeDer((w) =>
    w.sequence((w) => {
      w.oid(OID.PBES2);
      w.sequence((w) => {
        w.sequence((w) => {
          w.oid(kdf);
          w.sequence(parameters);
        });
        w.sequence((w) => {
          w.oid(OID.aes256Cbc);
          w.octets(iv);
        });
      });
    }),
  );

export function shroudedKeyBag(
  pkcs8: Uint8Array,
  password: string,
  attributes?: BagAttributesInput,
  options: Pbes2Options = {},
): Uint8Array {
  const { algorithm, data } = encrypt(pkcs8, password, options);
  const value = writeDer((w) =>
    w.sequence((w) => {
      w.raw(algorithm);
      w.octets(data);
    }),
  );
  return bag(OID.pkcs8ShroudedKeyBag, value, attributes);
}

export const contentInfo = (type: string, content: (w: DerWriter) => void) =>
  writeDer((w) =>
    w.sequence((w) => {
      w.oid(type);
      w.explicit(0, content);
    }),
  );

/** A safe that is not encrypted. */
export const safe = (bags: readonly Uint8Array[]) => contentInfo(OID.data, (w) => w.octets(contents(bags)));

/** @param plaintext bags, or octets that are none */
export function encryptedSafe(
  plaintext: readonly Uint8Array[] | Uint8Array,
  password: string,
  options: Pbes2Options = {},
): Uint8Array {
  const octets = plaintext instanceof Uint8Array ? plaintext : contents(plaintext);
  const { algorithm, data } = encrypt(octets, password, options);
  return contentInfo(OID.encryptedData, (w) =>
    w.sequence((w) => {
      w.integer(0);
      w.sequence((w) => {
        w.oid(OID.data);
        w.raw(algorithm);
        w.implicit(0, data);
      });
    }),
  );
}

export interface PfxInput {
  /** ContentInfos. */
  safes: readonly Uint8Array[];
  /** For the MAC; without one there is none; null is the password without octets. */
  password?: string | null;
  hash?: 'sha1' | 'sha256';
  /** The OID of the MAC's digest, in place of that of `hash`. */
  digestAlgorithm?: string;
  /** Default 1, which is not written. */
  macIterations?: number;
  version?: number;
  /** ContentInfo, in place of the one made. */
  authSafe?: Uint8Array;
  /** AuthenticatedSafe, in place of the one made of `safes`. */
  macContent?: Uint8Array;
}

export function pfx(input: PfxInput): Uint8Array {
  const { safes, password, hash = 'sha256', macIterations = 1, version = 3 } = input;
  const authSafe = input.macContent ?? contents(safes);
  return writeDer((w) =>
    w.sequence((w) => {
      w.integer(version);
      w.raw(input.authSafe ?? contentInfo(OID.data, (w) => w.octets(authSafe)));
      if (password === undefined) return;
      w.sequence((w) => {
        w.sequence((w) => {
          w.sequence((w) => {
            w.oid(input.digestAlgorithm ?? OID[hash]);
            w.null();
          });
          const key = pkcs12Kdf(hash, bmpPassword(password), SALT, Math.min(macIterations, 1e5), 3);
          w.octets(createHmac(hash, key).update(authSafe).digest());
        });
        w.octets(SALT);
        if (macIterations !== 1) w.integer(macIterations);
      });
    }),
  );
}

function bmpPassword(password: string | null): Uint8Array {
  if (password === null) return new Uint8Array(0);
  return buffer(concat([Buffer.from(password, 'utf16le'), new Uint8Array(2)])).swap16();
}

/** RFC 7292 appendix B.2 for one digest of output. */
function pkcs12Kdf(
  hash: string,
  password: Uint8Array,
  salt: Uint8Array,
  iterations: number,
  id: number,
): Uint8Array {
  const fill = (octets: Uint8Array) =>
    Uint8Array.from({ length: Math.ceil(octets.length / 64) * 64 }, (_, i) => octets[i % octets.length] ?? 0);
  let digest = createHash(hash)
    .update(concat([new Uint8Array(64).fill(id), fill(salt), fill(password)]))
    .digest();
  for (let i = 1; i < iterations; i++) digest = createHash(hash).update(digest).digest();
  return digest;
}
