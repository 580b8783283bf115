/**
 * Private keys: PKCS#8 PrivateKeyInfo and OneAsymmetricKey (RFC 5208, RFC 5958) with RSA (RFC 8017 A.1.2), EC (RFC 5915),
 * an OKP (RFC 8410), ML-DSA (RFC 9881) or ML-KEM (RFC 9935; both: seed, expanded key or the two) inside; PKCS#1 and SEC 1 keys as such for PEM files
 * that hold them. Everything is checked when a key is parsed: RSA's equations, an EC scalar's range, a public part
 * against the private one. Node checks none of that in a JWK. DSA keys are read so that a PFX with one opens; using one
 * is UNSUPPORTED_ALGORITHM.
 * The held copies can be wiped; what Node keeps in its KeyObject and in the JWK's strings is beyond reach.
 * Used by PFX, the key store and CMS; exported by keys.ts.
 */
import { createPrivateKey, createPublicKey, hash, type KeyObject } from 'node:crypto';
import { OID } from '../asn1/oids.js';
import { contextConstructed, contextString, Tag } from '../asn1/tags.js';
import { DerNode, parseDer } from '../asn1/tape.js';
import { readBitOctets, readOctets, readOid, readSmallInteger } from '../asn1/values.js';
import { type DerWriter, writeDer } from '../asn1/write.js';
import { buffer, copy, equal, wipe } from '../bytes.js';
import { MailsealError } from '../errors.js';
import { type Curve, curveOf, fixedScalar, publicPoint, uncompressed } from './curves.js';
import { type MlDsaAlgorithm, requireMlDsa } from './mldsa.js';
import { type MlKemAlgorithm, requireMlKem } from './mlkem.js';
import {
  base64url,
  type KeyAlgorithm,
  type KeyType,
  OKP,
  type OkpAlgorithm,
  PublicKey,
  pointJwk,
  readKeyType,
  unsupportedKey,
} from './publickey.js';
import { type RsaPrivate, readRsaPrivate, rsaJwk } from './rsa.js';
import { writeSpki } from './spki.js';

type Material =
  | { readonly kind: 'rsa'; readonly rsa: RsaPrivate }
  | { readonly kind: 'ec'; readonly curve: Curve; readonly d: Uint8Array; readonly point: Uint8Array }
  | { readonly kind: 'okp'; readonly algorithm: OkpAlgorithm; readonly d: Uint8Array }
  | {
      readonly kind: 'ml-dsa' | 'ml-kem';
      readonly algorithm: MlDsaAlgorithm | MlKemAlgorithm;
      readonly pkcs8: Uint8Array;
    }
  | { readonly kind: 'opaque'; readonly type: KeyType };

export class PrivateKey {
  readonly publicKey: PublicKey;
  readonly #pkcs8: Uint8Array;
  readonly #material: Material;
  /** Everything of ours that holds secrets. */
  readonly #secrets: Uint8Array[];
  #keyObject: KeyObject | undefined;
  #secretDigest: Uint8Array | undefined;
  #wiped = false;

  private constructor(pkcs8: Uint8Array) {
    this.#pkcs8 = pkcs8;
    this.#secrets = [pkcs8];
    try {
      const parts = readPkcs8(parseDer(pkcs8));
      this.#secrets.push(parts.privateKey);
      this.#material = readMaterial(parts, this.#secrets);
      this.publicKey = derivePublicKey(parts, this.#material);
      checkPublicPart(this.#material, this.publicKey, parts.publicKey);
    } catch (error) {
      wipe(...this.#secrets);
      throw error;
    }
  }

  /**
   * @param pkcs8 PrivateKeyInfo or OneAsymmetricKey; copied, so that the caller can wipe its own
   * @throws MailsealError ASN1_*, KEY_MALFORMED, UNSUPPORTED_ALGORITHM with the OID, UNSUPPORTED_FEATURE
   */
  static parse(pkcs8: Uint8Array | DerNode): PrivateKey {
    return new PrivateKey(copy(pkcs8 instanceof DerNode ? pkcs8.bytes : pkcs8));
  }

  /** @param der RSAPrivateKey (RFC 8017 A.1.2): `RSA PRIVATE KEY` in PEM. Throws as {@link parse}. */
  static parsePkcs1(der: Uint8Array): PrivateKey {
    return new PrivateKey(
      writePkcs8(der, (w) => {
        w.oid(OID.rsaEncryption);
        w.null();
      }),
    );
  }

  /** @param der ECPrivateKey with its parameters (RFC 5915): `EC PRIVATE KEY` in PEM. Throws as {@link parse}. */
  static parseSec1(der: Uint8Array): PrivateKey {
    const { parameters } = readEcPrivate(parseDer(der));
    if (parameters === undefined) {
      throw new MailsealError('KEY_MALFORMED', 'ECPrivateKey does not name its curve');
    }
    return new PrivateKey(
      writePkcs8(der, (w) => {
        w.oid(OID.ecPublicKey);
        w.raw(parameters.bytes);
      }),
    );
  }

  get algorithm(): KeyAlgorithm {
    return this.publicKey.algorithm;
  }

  /**
   * Made on first use. An rsa-pss key is a plain RSA one here: `publicKey.pss` is for the caller to keep to.
   * @throws MailsealError UNSUPPORTED_ALGORITHM with the OID; KEY_UNSUITABLE after {@link wipe}
   */
  get keyObject(): KeyObject {
    this.#assertUsable();
    this.#keyObject ??= importPrivate(this.#material);
    return this.#keyObject;
  }

  /** A copy of the octets that were parsed. @throws MailsealError KEY_UNSUITABLE after {@link wipe} */
  toPkcs8(): Uint8Array {
    this.#assertUsable();
    return copy(this.#pkcs8);
  }

  /**
   * SHA-256 of the octets that were parsed, for deriving secrets that go with the key. Made on first use, held, and wiped
   * with the key. @throws MailsealError KEY_UNSUITABLE after {@link wipe}
   */
  get secretDigest(): Uint8Array {
    this.#assertUsable();
    if (this.#secretDigest === undefined) {
      this.#secretDigest = hash('sha256', this.#pkcs8, 'buffer');
      this.#secrets.push(this.#secretDigest);
    }
    return this.#secretDigest;
  }

  /** Overwrites the held copies and lets go of the KeyObject; only the public key can be used afterwards. */
  wipe(): void {
    wipe(...this.#secrets);
    this.#keyObject = undefined;
    this.#wiped = true;
  }

  #assertUsable(): void {
    if (this.#wiped) throw new MailsealError('KEY_UNSUITABLE', 'the private key has been wiped');
  }
}

interface Pkcs8 {
  readonly node: DerNode;
  readonly type: KeyType;
  readonly algorithmNode: DerNode;
  readonly privateKey: Uint8Array;
  readonly publicKey?: Uint8Array;
}

/** OneAsymmetricKey (RFC 5958 section 2). The attributes say nothing that we use. */
function readPkcs8(node: DerNode): Pkcs8 {
  const reader = node.reader(Tag.SEQUENCE, 'PrivateKeyInfo');
  const version = readSmallInteger(reader.next(Tag.INTEGER, 'version'), 'version');
  if (version > 1) throw node.fail('KEY_MALFORMED', `PrivateKeyInfo version ${version}`);
  const algorithmNode = reader.next(Tag.SEQUENCE, 'privateKeyAlgorithm');
  const privateKey = readOctets(reader.next(Tag.OCTET_STRING, 'privateKey'));
  reader.optional(contextConstructed(0));
  const publicNode = reader.optional(contextString(1));
  reader.end();
  return {
    node,
    type: readKeyType(algorithmNode),
    algorithmNode,
    privateKey,
    ...(publicNode && { publicKey: readBitOctets(publicNode, 'publicKey') }),
  };
}

function writePkcs8(privateKey: Uint8Array, algorithm: (w: DerWriter) => void): Uint8Array {
  return writeDer((w) =>
    w.sequence((w) => {
      w.integer(0);
      w.sequence(algorithm);
      w.octets(privateKey);
    }),
  );
}

/** Reads the inner key; whatever secret it makes anew is added to `secrets` at once. */
function readMaterial({ node, type, privateKey }: Pkcs8, secrets: Uint8Array[]): Material {
  switch (type.algorithm) {
    case 'rsa':
    case 'rsa-pss': {
      const rsa = readRsaPrivate(parseDer(privateKey));
      secrets.push(rsa.d, rsa.p, rsa.q, rsa.dp, rsa.dq, rsa.qi);
      return { kind: 'rsa', rsa };
    }
    case 'ec':
      return readEcMaterial(type, parseDer(privateKey), secrets);
    case 'dsa':
      return { kind: 'opaque', type };
    case 'unknown':
      throw unsupportedKey(type);
    case 'ml-dsa-44':
    case 'ml-dsa-65':
    case 'ml-dsa-87':
      requireMlDsa(type.algorithm);
      return { kind: 'ml-dsa', algorithm: type.algorithm, pkcs8: node.bytes };
    case 'ml-kem-512':
    case 'ml-kem-768':
    case 'ml-kem-1024':
      requireMlKem(type.algorithm);
      return { kind: 'ml-kem', algorithm: type.algorithm, pkcs8: node.bytes };
    default: {
      // CurvePrivateKey ::= OCTET STRING, inside the OCTET STRING of PKCS#8 (RFC 8410 section 7).
      const d = readOctets(parseDer(privateKey).expect(Tag.OCTET_STRING, 'CurvePrivateKey'));
      secrets.push(d);
      if (d.length !== OKP[type.algorithm].size) {
        throw new MailsealError('KEY_MALFORMED', `${type.algorithm} private key of ${d.length} octets`);
      }
      return { kind: 'okp', algorithm: type.algorithm, d };
    }
  }
}

interface EcPrivate {
  readonly scalar: Uint8Array;
  readonly parameters?: DerNode;
  readonly point?: Uint8Array;
}

/** ECPrivateKey (RFC 5915 section 3). */
function readEcPrivate(node: DerNode): EcPrivate {
  const reader = node.reader(Tag.SEQUENCE, 'ECPrivateKey');
  const version = readSmallInteger(reader.next(Tag.INTEGER, 'version'), 'version');
  if (version !== 1) throw node.fail('KEY_MALFORMED', `ECPrivateKey version ${version}`);
  const scalar = readOctets(reader.next(Tag.OCTET_STRING, 'privateKey'));
  const parametersNode = reader.optional(contextConstructed(0));
  const publicNode = reader.optional(contextConstructed(1));
  reader.end();
  const parametersReader = parametersNode?.reader(contextConstructed(0), 'parameters');
  const parameters = parametersReader?.any('parameters');
  parametersReader?.end();
  const publicReader = publicNode?.reader(contextConstructed(1), 'publicKey');
  const point = publicReader && readBitOctets(publicReader.next(Tag.BIT_STRING, 'publicKey'), 'publicKey');
  publicReader?.end();
  return { scalar, ...(parameters && { parameters }), ...(point && { point }) };
}

/** The curve is named in the AlgorithmIdentifier, in the key, or in both alike. */
function readEcMaterial(type: KeyType, node: DerNode, secrets: Uint8Array[]): Material {
  const { scalar, parameters, point } = readEcPrivate(node);
  secrets.push(scalar);
  const innerOid = parameters?.is(Tag.OID) ? readOid(parameters) : undefined;
  if (type.curveOid !== undefined && innerOid !== undefined && type.curveOid !== innerOid) {
    throw node.fail('KEY_MALFORMED', `an EC key on ${type.curveOid} and on ${innerOid}`);
  }
  const curveOid = type.curveOid ?? innerOid;
  const curve = curveOf(curveOid);
  if (curve === undefined) throw unsupportedKey({ ...type, ...(curveOid && { curveOid }) });
  const d = fixedScalar(curve, scalar);
  secrets.push(d);
  const derived = publicPoint(curve, d);
  if (point !== undefined && !equal(uncompressed(curve, point), derived)) {
    throw node.fail('KEY_MALFORMED', 'the public part of the EC key does not belong to the private one');
  }
  return { kind: 'ec', curve, d, point: derived };
}

function derivePublicKey({ node, type, algorithmNode }: Pkcs8, material: Material): PublicKey {
  const writeAlgorithm = (w: DerWriter) => w.raw(algorithmNode.bytes);
  switch (material.kind) {
    case 'rsa': {
      const { n, e } = material.rsa;
      const bits = writeDer((w) =>
        w.sequence((w) => {
          w.integer(n);
          w.integer(e);
        }),
      );
      return PublicKey.parse(writeSpki(bits, writeAlgorithm));
    }
    case 'ec':
      return PublicKey.parse(
        writeSpki(material.point, (w) =>
          w.sequence((w) => {
            w.oid(type.oid);
            w.oid(material.curve.oid);
          }),
        ),
      );
    case 'okp': {
      const x = createPublicKey(importPrivate(material)).export({ format: 'jwk' }).x as string;
      return PublicKey.parse(writeSpki(Buffer.from(x, 'base64url'), writeAlgorithm));
    }
    case 'ml-dsa':
    case 'ml-kem':
      return exportPublic(node.bytes, material.algorithm);
    case 'opaque':
      return exportPublic(node.bytes, 'DSA');
  }
}

/** Of DSA, ML-DSA and ML-KEM the public key takes arithmetic, which OpenSSL does. */
function exportPublic(pkcs8: Uint8Array, what: string): PublicKey {
  const key = importPkcs8(pkcs8, what);
  try {
    return PublicKey.parse(createPublicKey(key).export({ format: 'der', type: 'spki' }));
  } catch (cause) {
    throw new MailsealError('KEY_MALFORMED', `not a valid ${what} private key`, { cause });
  }
}

/** OneAsymmetricKey's own copy of the public key. */
function checkPublicPart(material: Material, derived: PublicKey, given: Uint8Array | undefined): void {
  if (given === undefined || material.kind === 'opaque') return;
  const bits = material.kind === 'ec' ? uncompressed(material.curve, given) : given;
  if (!equal(derived.bits, bits)) {
    throw new MailsealError('KEY_MALFORMED', 'the public key beside the private one does not belong to it');
  }
}

function importPrivate(material: Material): KeyObject {
  switch (material.kind) {
    case 'rsa':
      return importJwk(rsaJwk(material.rsa));
    case 'okp': // Node derives x from d and does not look at the one given.
      return importJwk({ kty: 'OKP', crv: OKP[material.algorithm].crv, d: base64url(material.d), x: '' });
    case 'ec': {
      const { curve, d, point } = material;
      if (!curve.jwk) return importEcDer(curve, d, point);
      return importJwk({ ...pointJwk(curve, point), d: base64url(d) });
    }
    case 'ml-dsa':
    case 'ml-kem': // OpenSSL compares seed and expanded key
      return importPkcs8(material.pkcs8, material.algorithm);
    case 'opaque':
      throw unsupportedKey(material.type);
  }
}

function importPkcs8(pkcs8: Uint8Array, what: string): KeyObject {
  try {
    return createPrivateKey({ key: buffer(pkcs8), format: 'der', type: 'pkcs8' });
  } catch (cause) {
    throw new MailsealError('KEY_MALFORMED', `not a valid ${what} private key`, { cause });
  }
}

function importJwk(key: Record<string, string>): KeyObject {
  try {
    return createPrivateKey({ key, format: 'jwk' });
  } catch (cause) {
    throw new MailsealError('KEY_MALFORMED', `not a valid ${key.crv ?? key.kty} private key`, { cause });
  }
}

function importEcDer(curve: Curve, d: Uint8Array, point: Uint8Array): KeyObject {
  const der = writeDer((w) =>
    w.sequence((w) => {
      w.integer(1);
      w.octets(d);
      w.explicit(0, (w) => w.oid(curve.oid));
      w.explicit(1, (w) => w.bitString(point));
    }),
  );
  try {
    return createPrivateKey({ key: buffer(der), format: 'der', type: 'sec1' });
  } catch (cause) {
    throw new MailsealError('KEY_MALFORMED', `not a valid ${curve.name} private key`, { cause });
  } finally {
    wipe(der);
  }
}
