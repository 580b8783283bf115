/**
 * Digests of signatures, by their AlgorithmIdentifier: SHA-2 (RFC 5754), SHA-3 (RFC 9688), SHAKE256 with 64 octets
 * (RFC 8419, RFC 8702), and the broken SHA-1 and MD5 (RFC 3370), which are for reading old messages alone. Refused by name:
 * MD2, MD4, SHAKE256 of another length, and everything else. Used by signature.ts, pss.ts and CMS.
 */
import { createHash, type Hash, hash as nodeHash } from 'node:crypto';
import { type AlgorithmIdentifier, expectNullOrAbsent } from '../asn1/algorithm.js';
import { describeOid, OID } from '../asn1/oids.js';
import { Tag } from '../asn1/tags.js';
import { readSmallInteger } from '../asn1/values.js';
import { MailsealError, readable } from '../errors.js';

/** Hashes that RSA and ECDSA are made with today, and SHA-1, by the names that node:crypto takes. */
export type HashName = 'sha1' | 'sha224' | 'sha256' | 'sha384' | 'sha512';

/** Every digest that a signature is verified with. */
export type DigestName =
  | HashName
  | 'md5'
  | 'sha512-224'
  | 'sha512-256'
  | 'sha3-224'
  | 'sha3-256'
  | 'sha3-384'
  | 'sha3-512'
  | 'shake256';

/** Without MD5 and SHAKE256, which no signature but CMS's and EdDSA's takes. */
const DIGESTS: Readonly<Record<string, DigestName>> = {
  [OID.sha1]: 'sha1',
  [OID.sha224]: 'sha224',
  [OID.sha256]: 'sha256',
  [OID.sha384]: 'sha384',
  [OID.sha512]: 'sha512',
  [OID.sha512_224]: 'sha512-224',
  [OID.sha512_256]: 'sha512-256',
  [OID.sha3_224]: 'sha3-224',
  [OID.sha3_256]: 'sha3-256',
  [OID.sha3_384]: 'sha3-384',
  [OID.sha3_512]: 'sha3-512',
};

/** The digest of an OID; undefined for one that is unknown, or broken (MD2, MD5). SHA-3 and truncated SHA-512 are for reading. */
export function digestOf(oid: string): DigestName | undefined {
  return DIGESTS[oid];
}

const OIDS: ReadonlyMap<DigestName, string> = new Map(
  Object.entries(DIGESTS).map(([oid, name]) => [name, oid]),
);

/** The OID of a digest; of SHAKE256 the one that takes its length. */
export function digestOid(name: DigestName): string {
  return OIDS.get(name) ?? (name === 'md5' ? OID.md5 : OID.shake256Len);
}

/**
 * DigestAlgorithmIdentifier; its parameters are absent or NULL (RFC 5754 section 2).
 * @param digest that the OID names
 * @throws MailsealError UNSUPPORTED_ALGORITHM with the OID; ASN1_*
 */
export function readDigestAlgorithm(
  { oid, parameters, node }: AlgorithmIdentifier,
  digest = digestOf(oid),
): DigestName {
  if (digest === undefined) {
    throw node.fail('UNSUPPORTED_ALGORITHM', `the digest ${describeOid(oid)}`, { oid });
  }
  expectNullOrAbsent(parameters, 'parameters of a digest');
  return digest;
}

/** RFC 8419 2.3 and RFC 8702 3.1: SHAKE256 in CMS gives 512 bits. */
const SHAKE256_BITS = 512;

/**
 * digestAlgorithm of a CMS signer, which may be MD5, and SHAKE256 too, whose parameters are absent or say how long the
 * digest is.
 * @throws MailsealError UNSUPPORTED_ALGORITHM with the OID, CMS_MALFORMED, ASN1_*
 */
export function readSignerDigest(algorithm: AlgorithmIdentifier): DigestName {
  const { oid, parameters, node } = algorithm;
  if (oid === OID.shake256Len) {
    if (parameters === undefined)
      throw node.fail('CMS_MALFORMED', 'SHAKE256 without the length of its digest');
    const bits = readSmallInteger(parameters.expect(Tag.INTEGER, 'ShakeOutputLen'), 'ShakeOutputLen');
    if (bits === SHAKE256_BITS) return 'shake256';
    throw node.fail('UNSUPPORTED_ALGORITHM', `SHAKE256 with ${bits} bits of digest`, { oid });
  }
  const digest = oid === OID.md5 ? 'md5' : oid === OID.shake256 ? 'shake256' : digestOf(oid);
  return readDigestAlgorithm(algorithm, digest);
}

/** @throws MailsealError UNSUPPORTED_ALGORITHM where this build of OpenSSL lacks the digest */
export function computeDigest(name: DigestName, data: Uint8Array): Uint8Array {
  if (name === 'shake256') return createDigest(name).update(data).digest();
  return ifThere(name, () => nodeHash(name, data, 'buffer'));
}

function createDigest(name: DigestName): Hash {
  return ifThere(name, () =>
    name === 'shake256' ? createHash(name, { outputLength: SHAKE256_BITS / 8 }) : createHash(name),
  );
}

function ifThere<T>(name: DigestName, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    throw new MailsealError('UNSUPPORTED_ALGORITHM', `this Node.js has no ${name}`, { cause });
  }
}

/** Digests of the same octets, each computed once, however often it is asked for. Throws as {@link computeDigest}. */
export function digester(octets: Uint8Array): (name: DigestName) => Uint8Array {
  const computed = new Map<DigestName, Uint8Array>();
  return (name) => {
    const digest = computed.get(name) ?? computeDigest(name, octets);
    computed.set(name, digest);
    return digest;
  };
}

/** Digests of octets that come in chunks. */
export class RunningDigests {
  readonly #hashes: ReadonlyMap<DigestName, Hash>;
  readonly #computed = new Map<DigestName, Uint8Array>();

  /** What this build of OpenSSL lacks is left out. */
  constructor(names: Iterable<DigestName>) {
    const hashes = [...names].map((name) => [name, readable(() => createDigest(name), undefined)] as const);
    this.#hashes = new Map(hashes.filter((one): one is [DigestName, Hash] => one[1] !== undefined));
  }

  get size(): number {
    return this.#hashes.size;
  }

  update(chunk: Uint8Array): void {
    for (const hash of this.#hashes.values()) hash.update(chunk);
  }

  has(name: DigestName): boolean {
    return this.#hashes.has(name);
  }

  /** Of all chunks: none may follow. @throws as {@link computeDigest}; RangeError for a digest that was not asked for */
  digest(name: DigestName): Uint8Array {
    const hash = this.#hashes.get(name);
    if (hash === undefined) {
      createDigest(name);
      throw new RangeError(`no ${name} was computed`);
    }
    const digest = this.#computed.get(name) ?? hash.digest();
    this.#computed.set(name, digest);
    return digest;
  }
}

/** Collisions can be computed: whoever made what was signed may have made a second content for it. */
export function isWeakDigest(name: DigestName): boolean {
  return name === 'sha1' || name === 'md5';
}
