/**
 * Writes a PFX (PKCS#12, RFC 7292; its MAC by RFC 9579 where the profile says so) in DER: all certificates in one
 * encrypted safe, then each private key as a shrouded bag in a plain safe, which is the layout that OpenSSL writes and
 * every peer reads. Several keys make a history; a key and its certificate are tied by their localKeyId. What goes into
 * the algorithms is fixed by named profiles: there is no way to ask for a weak mixture.
 * Called by `mailseal export` and users of the library.
 */
import { createCipheriv, createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { OID } from '../asn1/oids.js';
import { type DerWriter, writeDer } from '../asn1/write.js';
import { assertBytes, concat, equal, wipe } from '../bytes.js';
import { MailsealError } from '../errors.js';
import { DIGESTS } from '../pbe/digests.js';
import { pkcs12Kdf } from '../pbe/pkcs12kdf.js';
import type { PasswordOctets } from '../pbe.js';
import { Certificate } from '../x509/certificate.js';
import { PrivateKey } from '../x509/keys.js';
import { readingsOf } from './password.js';
import type { PfxEntry } from './read.js';

interface Profile {
  readonly encryption: 'PKCS#12 3DES' | 'PBES2 AES-256';
  readonly mac: 'PKCS#12 KDF' | 'PBMAC1';
  /** Of the MAC and its key derivation; of PBES2 too. */
  readonly hash: 'sha1' | 'sha256';
  readonly iterations: number;
  /** Octets. */
  readonly saltLength: number;
}

/** The profiles of {@link writePfx}, by name. */
export const PFX_PROFILES = {
  /**
   * What Windows XP, old phones and appliances read. 3DES with SHA-1 is as weak as a short password makes it: the file
   * has to be kept as safe as a bare key. More iterations than OpenSSL's 2,048 would help little, and some devices
   * take seconds for those.
   */
  compatible: {
    encryption: 'PKCS#12 3DES',
    mac: 'PKCS#12 KDF',
    hash: 'sha1',
    iterations: 2048,
    saltLength: 8,
  },
  /**
   * The algorithms that OpenSSL 3 and Windows (from 10, version 1709, on) write. 100,000 iterations are fifty times
   * theirs. Each derivation takes some 30 ms, and peers that do not notice that all bags share one salt run one for
   * each key: with a history of ten, more iterations would be felt on a phone.
   */
  modern: {
    encryption: 'PBES2 AES-256',
    mac: 'PKCS#12 KDF',
    hash: 'sha256',
    iterations: 100_000,
    saltLength: 16,
  },
  /**
   * A MAC key by PBKDF2 (RFC 9579), so that no part of the file is cheaper to guess at than another. 600,000 iterations
   * of PBKDF2-HMAC-SHA-256 are what OWASP asks for in 2023. OpenSSL reads it from 3.4 on.
   */
  strong: { encryption: 'PBES2 AES-256', mac: 'PBMAC1', hash: 'sha256', iterations: 600_000, saltLength: 16 },
} as const satisfies Readonly<Record<string, Profile>>;

export type PfxProfile = keyof typeof PFX_PROFILES;

export interface WritePfxOptions {
  readonly profile: PfxProfile;
  /** Certificates that belong to no entry, such as the chain. One that is there already is not written again. */
  readonly certificates?: readonly Certificate[];
  /** Source of salts and IVs; called with the number of octets. Default: node:crypto's randomBytes. */
  readonly random?: (size: number) => Uint8Array;
}

/** macSalt of a PBMAC1, which readers ignore: RFC 9579 section 4 recommends these octets. */
const UNUSED_SALT = Buffer.from('NOT USED');

/**
 * @param entries each with its key, which stays the caller's to wipe. `localKeyId` is by default the SHA-1 of the
 *   certificate. The format leaves `localKeyId` and `friendlyName` of a key unencrypted.
 * @param password may be empty, which protects nothing
 * @returns DER
 * @throws TypeError, RangeError (unknown profile, nothing to write); MailsealError KEY_MISMATCH if a certificate is not
 *   its key's, KEY_UNSUITABLE for a key that was wiped, errors of a certificate's public key
 */
export function writePfx(
  entries: readonly PfxEntry[],
  password: string,
  options: WritePfxOptions,
): Uint8Array {
  const profile = checkedProfile(options);
  const { certificates = [] } = options;
  const random = checkedRandom(options.random ?? randomBytes);
  checkArguments(entries, password, certificates);
  const readings = readingsOf(password);
  const secrets = readings.flatMap(({ pkcs12, pbkdf2 }) => [pkcs12, pbkdf2]);
  try {
    const usual = readings[0] as PasswordOctets;
    const encrypt = encryptor(profile, usual, random, secrets);
    const safes: Uint8Array[] = [];
    const certificateBags = writeCertificateBags(entries, certificates);
    if (certificateBags.length > 0) safes.push(encryptedSafe(encrypt(writeSequence(certificateBags))));
    if (entries.length > 0) {
      const keyBags = writeSequence(entries.map((entry) => shroudedKeyBag(entry, encrypt)));
      safes.push(contentInfo(OID.data, (w) => w.octets(keyBags)));
    }
    const authSafe = writeSequence(safes);
    return writeDer((w) =>
      w.sequence((w) => {
        w.integer(3);
        w.raw(contentInfo(OID.data, (w) => w.octets(authSafe)));
        writeMacData(w, profile, authSafe, usual, random);
      }),
    );
  } finally {
    wipe(...secrets);
  }
}

function checkedProfile(options: WritePfxOptions): Profile {
  if (typeof options !== 'object' || options === null) throw new TypeError('options must be an object');
  const name: unknown = options.profile;
  if (typeof name !== 'string') throw new TypeError('profile must be a string');
  if (Object.hasOwn(PFX_PROFILES, name)) return PFX_PROFILES[name as PfxProfile];
  throw new RangeError(`profile must be one of ${Object.keys(PFX_PROFILES).join(', ')}`);
}

function checkArguments(
  entries: readonly PfxEntry[],
  password: string,
  certificates: readonly Certificate[],
): void {
  if (typeof password !== 'string') throw new TypeError('password must be a string');
  if (!Array.isArray(entries)) throw new TypeError('entries must be an array');
  if (!Array.isArray(certificates)) throw new TypeError('certificates must be an array');
  for (const entry of entries as readonly PfxEntry[]) {
    if (typeof entry !== 'object' || entry === null) throw new TypeError('each entry must be an object');
    const { privateKey, certificate, friendlyName, localKeyId } = entry;
    if (!(privateKey instanceof PrivateKey)) throw new TypeError('privateKey must be a PrivateKey');
    if (certificate !== undefined) assertCertificate(certificate);
    if (friendlyName !== undefined && typeof friendlyName !== 'string') {
      throw new TypeError('friendlyName must be a string');
    }
    if (localKeyId !== undefined) assertBytes(localKeyId, 'localKeyId');
    if (certificate !== undefined && !privateKey.publicKey.equals(certificate.publicKey)) {
      const message = `the private key does not belong to the certificate of ${certificate.subject}`;
      throw new MailsealError('KEY_MISMATCH', message);
    }
  }
  for (const certificate of certificates) assertCertificate(certificate);
  if (entries.length + certificates.length === 0) {
    throw new RangeError('a PFX without a key and without a certificate');
  }
}

function assertCertificate(value: unknown): void {
  if (!(value instanceof Certificate)) throw new TypeError('certificate must be a Certificate');
}

/** A salt that is shorter than the profile says would be weaker. */
function checkedRandom(random: (size: number) => Uint8Array): (size: number) => Uint8Array {
  if (typeof random !== 'function') throw new TypeError('random must be a function');
  return (size) => {
    const octets = random(size);
    assertBytes(octets, 'what random returns');
    if (octets.length !== size) throw new RangeError(`random returned ${octets.length} octets, not ${size}`);
    return octets;
  };
}

/** AlgorithmIdentifier and ciphertext. */
interface Encrypted {
  readonly algorithm: Uint8Array;
  readonly data: Uint8Array;
}
type Encrypt = (plaintext: Uint8Array) => Encrypted;

/** @param secrets what the caller has to wipe, after the last call, is added */
function encryptor(
  profile: Profile,
  password: PasswordOctets,
  random: (size: number) => Uint8Array,
  secrets: Uint8Array[],
): Encrypt {
  const { encryption, hash, iterations, saltLength } = profile;
  if (encryption === 'PKCS#12 3DES') {
    // The IV comes from the salt as the key does: with one salt for all, equal beginnings would be seen.
    return (plaintext) => {
      const salt = random(saltLength);
      const key = pkcs12Kdf('sha1', 1, password.pkcs12, salt, iterations, 24);
      const iv = pkcs12Kdf('sha1', 2, password.pkcs12, salt, iterations, 8);
      secrets.push(key, iv);
      const algorithm = identified(OID['pbeWithSHAAnd3-KeyTripleDES-CBC'], (w) =>
        w.sequence((w) => {
          w.octets(salt);
          w.integer(iterations);
        }),
      );
      return { algorithm, data: encipher('des-ede3-cbc', key, iv, plaintext) };
    };
  }
  // One key for all bags, each with its own IV: with a salt for each bag whoever knows the password would pay for every
  // key of a history, and whoever guesses it still for one bag only.
  const salt = random(saltLength);
  const key = pbkdf2Sync(password.pbkdf2, salt, iterations, 32, hash);
  secrets.push(key);
  return (plaintext) => {
    const iv = random(16);
    const algorithm = identified(OID.PBES2, (w) =>
      w.sequence((w) => {
        writePbkdf2(w, salt, iterations);
        w.raw(identified(OID.aes256Cbc, (w) => w.octets(iv)));
      }),
    );
    return { algorithm, data: encipher('aes-256-cbc', key, iv, plaintext) };
  };
}

function encipher(cipher: string, key: Uint8Array, iv: Uint8Array, plaintext: Uint8Array): Uint8Array {
  const engine = createCipheriv(cipher, key, iv);
  return concat([engine.update(plaintext), engine.final()]);
}

/**
 * PBKDF2 with HMAC-SHA-256 (RFC 8018 appendix A.2).
 * @param keyLength octets; left out where the cipher says it, as OpenSSL does. PBMAC1 must have it (RFC 9579).
 */
function writePbkdf2(w: DerWriter, salt: Uint8Array, iterations: number, keyLength?: number): void {
  w.raw(
    identified(OID.PBKDF2, (w) =>
      w.sequence((w) => {
        w.octets(salt);
        w.integer(iterations);
        if (keyLength !== undefined) w.integer(keyLength);
        w.raw(identified(OID.hmacWithSHA256, (w) => w.null()));
      }),
    ),
  );
}

/** MacData (RFC 7292 section 4, RFC 9579 section 4): an HMAC over the content octets of the AuthenticatedSafe. */
function writeMacData(
  w: DerWriter,
  { mac, hash, iterations, saltLength }: Profile,
  authSafe: Uint8Array,
  password: PasswordOctets,
  random: (size: number) => Uint8Array,
): void {
  const length = DIGESTS[hash].octets;
  const salt = random(saltLength);
  const pbmac1 = mac === 'PBMAC1';
  const key = pbmac1
    ? pbkdf2Sync(password.pbkdf2, salt, iterations, length, hash)
    : pkcs12Kdf(hash, 3, password.pkcs12, salt, iterations, length);
  try {
    const digest = createHmac(hash, key).update(authSafe).digest();
    w.sequence((w) => {
      w.sequence((w) => {
        w.raw(
          pbmac1
            ? identified(OID.PBMAC1, (w) => w.sequence((w) => writePbmac1(w, salt, iterations, length)))
            : identified(OID[hash], (w) => w.null()),
        );
        w.octets(digest);
      });
      w.octets(pbmac1 ? UNUSED_SALT : salt);
      if (!pbmac1) w.integer(iterations); // there it is 1, which is the default
    });
  } finally {
    wipe(key);
  }
}

/** PBMAC1-params (RFC 8018 appendix A.5). */
function writePbmac1(w: DerWriter, salt: Uint8Array, iterations: number, keyLength: number): void {
  writePbkdf2(w, salt, iterations, keyLength);
  w.raw(identified(OID.hmacWithSHA256, (w) => w.null()));
}

/** A SEQUENCE of an OID and what goes with it: AlgorithmIdentifier, ContentInfo, PKCS12Attribute. */
function identified(oid: string, content: (w: DerWriter) => void): Uint8Array {
  return writeDer((w) =>
    w.sequence((w) => {
      w.oid(oid);
      content(w);
    }),
  );
}

/** Of the entries in their order, then the others; each once. */
function writeCertificateBags(
  entries: readonly PfxEntry[],
  certificates: readonly Certificate[],
): Uint8Array[] {
  const written: Uint8Array[] = [];
  const bags: Uint8Array[] = [];
  const add = (certificate: Certificate, attributes: readonly Uint8Array[]) => {
    if (written.some((der) => equal(der, certificate.der))) return;
    written.push(certificate.der);
    bags.push(certificateBag(certificate, attributes));
  };
  for (const entry of entries) if (entry.certificate) add(entry.certificate, attributesOf(entry));
  for (const certificate of certificates) add(certificate, []);
  return bags;
}

/** CertBag (RFC 7292 4.2.3). */
function certificateBag(certificate: Certificate, attributes: readonly Uint8Array[]): Uint8Array {
  return safeBag(OID.certBag, attributes, (w) =>
    w.sequence((w) => {
      w.oid(OID.x509Certificate);
      w.explicit(0, (w) => w.octets(certificate.der));
    }),
  );
}

/** PKCS8ShroudedKeyBag (RFC 7292 4.2.2): an EncryptedPrivateKeyInfo. */
function shroudedKeyBag(entry: PfxEntry, encrypt: Encrypt): Uint8Array {
  const pkcs8 = entry.privateKey.toPkcs8();
  try {
    const { algorithm, data } = encrypt(pkcs8);
    return safeBag(OID.pkcs8ShroudedKeyBag, attributesOf(entry), (w) =>
      w.sequence((w) => {
        w.raw(algorithm);
        w.octets(data);
      }),
    );
  } finally {
    wipe(pkcs8);
  }
}

/** SafeBag (RFC 7292 4.2). */
function safeBag(type: string, attributes: readonly Uint8Array[], value: (w: DerWriter) => void): Uint8Array {
  return writeDer((w) =>
    w.sequence((w) => {
      w.oid(type);
      w.explicit(0, value);
      if (attributes.length > 0) w.setOf(attributes);
    }),
  );
}

/** PKCS12Attributes (RFC 2985 5.5). */
function attributesOf({ certificate, friendlyName, localKeyId }: PfxEntry): Uint8Array[] {
  const keyId = localKeyId ?? (certificate && createHash('sha1').update(certificate.der).digest());
  const attribute = (type: string, value: (w: DerWriter) => void) => identified(type, (w) => w.set(value));
  return [
    ...(friendlyName === undefined ? [] : [attribute(OID.friendlyName, (w) => w.bmp(friendlyName))]),
    ...(keyId === undefined ? [] : [attribute(OID.localKeyId, (w) => w.octets(keyId))]),
  ];
}

function encryptedSafe({ algorithm, data }: Encrypted): Uint8Array {
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

function contentInfo(type: string, content: (w: DerWriter) => void): Uint8Array {
  return identified(type, (w) => w.explicit(0, content));
}

function writeSequence(items: readonly Uint8Array[]): Uint8Array {
  return writeDer((w) =>
    w.sequence((w) => {
      for (const item of items) w.raw(item);
    }),
  );
}
