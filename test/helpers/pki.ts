/**
 * Issues certificates for tests and the demo: RFC 5280 certificates from our own DER writer, signed by node:crypto.
 * It writes what it is told, wrong extensions and wrong validity included, so that tests can ask for bad ones.
 *
 *   const ca = issueCertificate({ subject: 'Test CA', ca: true });
 *   const alice = issueCertificate({ subject: 'Alice', emails: ['alice@example.org'], issuer: ca });
 *   Certificate.parse(alice.certificate), PrivateKey.parse(alice.privateKey), or person(…) for both
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { OID } from '../../src/asn1/oids.js';
import { type DerWriter, writeDer } from '../../src/asn1/write.js';
import { utf8 } from '../../src/bytes.js';
import { Certificate } from '../../src/x509/certificate.js';
import type { KeyUsageBit } from '../../src/x509/extensions.js';
import { PrivateKey, PublicKey } from '../../src/x509/keys.js';
import { isMlKem, type MlKemAlgorithm } from '../../src/x509/mlkem.js';

export type KeyKind =
  | 'rsa'
  | 'P-256'
  | 'P-384'
  | 'P-521'
  | `brainpoolP${256 | 384 | 512}${'r' | 't'}1`
  | 'secp256k1'
  | 'ed25519'
  | 'ed448'
  | 'x25519'
  | 'x448'
  | 'ml-dsa-44'
  | 'ml-dsa-65'
  | 'ml-dsa-87'
  | MlKemAlgorithm;

/** Attribute types by their name in the OID table, and values. */
export type Attributes = readonly (readonly [keyof typeof OID, string])[];

export interface ExtensionInput {
  oid: string;
  critical?: boolean;
  /** Encoded content of extnValue. */
  value: Uint8Array;
}

export interface CertificateInput {
  /** A common name, or all attributes; an empty list is an empty name. */
  subject: string | Attributes;
  /** rfc822Names. */
  emails?: readonly string[];
  /** A kind to make a new key of, or the PKCS#8 of one that exists (a renewal). Default P-256. */
  key?: KeyKind | Uint8Array;
  /** Default: itself. */
  issuer?: IssuedCertificate;
  /** Encoded issuer name to write in place of the issuer's subject. */
  issuerName?: Uint8Array;
  /** Default: the next number of a counter. */
  serialNumber?: number | bigint;
  /** Default 2020-01-01. */
  notBefore?: Date;
  /** Default 2040-01-01. */
  notAfter?: Date;
  /** basicConstraints with cA, and keyCertSign and cRLSign as the default of keyUsage. */
  ca?: boolean;
  pathLenConstraint?: number;
  /** Default digitalSignature, and keyEncipherment or keyAgreement by the key; null: no such extension. */
  keyUsage?: readonly KeyUsageBit[] | null;
  /** Dotted OIDs. Default emailProtection, none for a CA; null: no such extension. */
  extendedKeyUsage?: readonly string[] | null;
  /** Default: method (1) of RFC 5280 4.2.1.2; null: no such extension. */
  subjectKeyIdentifier?: Uint8Array | null;
  /** Default: the issuer's subjectKeyIdentifier; null: no such extension. */
  authorityKeyIdentifier?: Uint8Array | null;
  /** Further extensions, written behind the others. */
  extensions?: readonly ExtensionInput[];
  hash?: 'sha1' | 'sha256' | 'sha384' | 'sha512';
}

export interface IssuedCertificate {
  /** DER. */
  certificate: Uint8Array;
  /** PKCS#8 DER. */
  privateKey: Uint8Array;
  /** The encoded subject. */
  subjectName: Uint8Array;
  subjectKeyIdentifier?: Uint8Array;
}

/** A new key, PKCS#8. RSA ones have 2048 bits and take up to a second. */
export function generateKey(kind: KeyKind): Uint8Array {
  return generate(kind).export({ format: 'der', type: 'pkcs8' });
}

function generate(kind: KeyKind): KeyObject {
  switch (kind) {
    case 'rsa':
      return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    case 'ed25519':
      return generateKeyPairSync('ed25519').privateKey;
    case 'ed448':
      return generateKeyPairSync('ed448').privateKey;
    case 'x25519':
      return generateKeyPairSync('x25519').privateKey;
    case 'x448':
      return generateKeyPairSync('x448').privateKey;
    case 'ml-dsa-44':
    case 'ml-dsa-65':
    case 'ml-dsa-87':
    case 'ml-kem-512':
    case 'ml-kem-768':
    case 'ml-kem-1024': // Node.js 24, whose types are not those that we compile with
      return (generateKeyPairSync as (kind: string) => { privateKey: KeyObject })(kind).privateKey;
    default:
      return generateKeyPairSync('ec', { namedCurve: kind }).privateKey;
  }
}

/** A Name of one attribute an RDN; countryName and serialNumber are PrintableString as X.520 has them. */
export function encodeName(
  attributes: string | Attributes,
  form: 'utf8' | 'printable' | 'bmp' = 'utf8',
): Uint8Array {
  const list: Attributes = typeof attributes === 'string' ? [['commonName', attributes]] : attributes;
  return writeDer((w) =>
    w.sequence((w) => {
      for (const [type, value] of list) {
        w.set((w) =>
          w.sequence((w) => {
            w.oid(OID[type]);
            if (type === 'emailAddress' || type === 'domainComponent') w.ia5(value);
            else if (type === 'countryName' || type === 'serialNumber') w.printable(value);
            else w[form](value);
          }),
        );
      }
    }),
  );
}

let lastSerialNumber = 0x4d53_0000n;

export function issueCertificate(input: CertificateInput): IssuedCertificate {
  const privateKey =
    input.key instanceof Uint8Array ? Uint8Array.from(input.key) : generateKey(input.key ?? 'P-256');
  const spki = createPublicKey(importKey(privateKey)).export({ format: 'der', type: 'spki' });
  const publicKey = PublicKey.parse(spki);
  const subjectName = encodeName(input.subject);
  const subjectKeyIdentifier =
    input.subjectKeyIdentifier === undefined ? publicKey.keyIdentifier : input.subjectKeyIdentifier;
  const issuer = input.issuer ?? {
    privateKey,
    subjectName,
    ...(subjectKeyIdentifier && { subjectKeyIdentifier }),
  };
  const signer = signerOf(importKey(issuer.privateKey), input.hash);
  const serialNumber = input.serialNumber ?? ++lastSerialNumber;
  const extensions = listExtensions(
    input,
    publicKey.algorithm,
    subjectKeyIdentifier,
    issuer.subjectKeyIdentifier,
  );
  const tbs = writeDer((w) =>
    w.sequence((w) => {
      if (extensions.length > 0) w.explicit(0, (w) => w.integer(2));
      w.integer(serialNumber);
      signer.algorithm(w);
      w.raw(input.issuerName ?? issuer.subjectName);
      w.sequence((w) => {
        w.time(input.notBefore ?? new Date('2020-01-01T00:00:00Z'));
        w.time(input.notAfter ?? new Date('2040-01-01T00:00:00Z'));
      });
      w.raw(subjectName);
      w.raw(spki);
      if (extensions.length > 0) {
        w.explicit(3, (w) => w.sequence((w) => extensions.map((extension) => writeExtension(w, extension))));
      }
    }),
  );
  const certificate = writeDer((w) =>
    w.sequence((w) => {
      w.raw(tbs);
      signer.algorithm(w);
      w.bitString(signer.sign(tbs));
    }),
  );
  return { certificate, privateKey, subjectName, ...(subjectKeyIdentifier && { subjectKeyIdentifier }) };
}

/** A certificate and its key, as the package takes them. */
export interface Person {
  issued: IssuedCertificate;
  privateKey: PrivateKey;
  certificate: Certificate;
}

export function person(input: CertificateInput): Person {
  const issued = issueCertificate(input);
  return {
    issued,
    privateKey: PrivateKey.parse(issued.privateKey),
    certificate: Certificate.parse(issued.certificate),
  };
}

function importKey(pkcs8: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' });
}

interface Signer {
  algorithm(writer: DerWriter): void;
  sign(data: Uint8Array): Uint8Array;
}

const RSA_OIDS = {
  sha1: OID.sha1WithRSAEncryption,
  sha256: OID.sha256WithRSAEncryption,
  sha384: OID.sha384WithRSAEncryption,
  sha512: OID.sha512WithRSAEncryption,
};
const ECDSA_OIDS = {
  sha1: OID.ecdsaWithSHA1,
  sha256: OID.ecdsaWithSHA256,
  sha384: OID.ecdsaWithSHA384,
  sha512: OID.ecdsaWithSHA512,
};

function signerOf(key: KeyObject, hash: NonNullable<CertificateInput['hash']> = 'sha256'): Signer {
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return {
        algorithm: (w) =>
          w.sequence((w) => {
            w.oid(RSA_OIDS[hash]);
            w.null();
          }),
        sign: (data) => sign(hash, data, key),
      };
    case 'ec':
      return {
        algorithm: (w) => w.sequence((w) => w.oid(ECDSA_OIDS[hash])),
        sign: (data) => sign(hash, data, key),
      };
    case 'ed25519':
    case 'ed448': {
      const oid = key.asymmetricKeyType === 'ed25519' ? OID.Ed25519 : OID.Ed448;
      return {
        algorithm: (w) => w.sequence((w) => w.oid(oid)),
        sign: (data) => sign(null, data, key),
      };
    }
    default: {
      const oid = (OID as Record<string, string>)[`${key.asymmetricKeyType}`.replace(/^ml-dsa-/, 'mlDsa')];
      if (oid === undefined) {
        throw new RangeError(`a ${key.asymmetricKeyType} key can't sign a certificate: give an issuer`);
      }
      return {
        algorithm: (w) => w.sequence((w) => w.oid(oid)),
        sign: (data) => sign(null, data, key),
      };
    }
  }
}

const KEY_USAGE_BITS: readonly KeyUsageBit[] = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
];

function defaultKeyUsage(algorithm: PublicKey['algorithm']): readonly KeyUsageBit[] {
  if (algorithm === 'rsa') return ['digitalSignature', 'keyEncipherment'];
  if (algorithm === 'ec') return ['digitalSignature', 'keyAgreement'];
  if (isMlKem(algorithm)) return ['keyEncipherment'];
  return algorithm.startsWith('x') ? ['keyAgreement'] : ['digitalSignature'];
}

function listExtensions(
  input: CertificateInput,
  algorithm: PublicKey['algorithm'],
  subjectKeyIdentifier: Uint8Array | null,
  issuerKeyIdentifier: Uint8Array | undefined,
): ExtensionInput[] {
  const list: ExtensionInput[] = [];
  const add = (oid: string, critical: boolean, build: (w: DerWriter) => void) =>
    list.push({ oid, critical, value: writeDer(build) });
  if (input.ca || input.pathLenConstraint !== undefined) {
    add(OID.basicConstraints, true, (w) =>
      w.sequence((w) => {
        if (input.ca) w.boolean(true);
        if (input.pathLenConstraint !== undefined) w.integer(input.pathLenConstraint);
      }),
    );
  }
  const keyUsage =
    input.keyUsage === undefined
      ? input.ca
        ? (['keyCertSign', 'cRLSign'] as const)
        : defaultKeyUsage(algorithm)
      : input.keyUsage;
  if (keyUsage !== null) add(OID.keyUsage, true, (w) => writeKeyUsage(w, keyUsage));
  const purposes =
    input.extendedKeyUsage === undefined ? (input.ca ? null : [OID.emailProtection]) : input.extendedKeyUsage;
  if (purposes !== null) {
    add(OID.extKeyUsage, false, (w) => w.sequence((w) => purposes.map((purpose) => w.oid(purpose))));
  }
  if (input.emails !== undefined && input.emails.length > 0) {
    const { emails } = input;
    add(OID.subjectAltName, false, (w) =>
      w.sequence((w) => emails.map((email) => w.implicit(1, utf8(email)))),
    );
  }
  if (subjectKeyIdentifier !== null) {
    add(OID.subjectKeyIdentifier, false, (w) => w.octets(subjectKeyIdentifier));
  }
  const authority =
    input.authorityKeyIdentifier === undefined ? issuerKeyIdentifier : input.authorityKeyIdentifier;
  if (authority) {
    add(OID.authorityKeyIdentifier, false, (w) => w.sequence((w) => w.implicit(0, authority)));
  }
  return [...list, ...(input.extensions ?? [])];
}

/** A named bit list: no trailing zero bits in DER (X.690 11.2.2). */
function writeKeyUsage(w: DerWriter, usage: readonly KeyUsageBit[]): void {
  const bits = KEY_USAGE_BITS.map((name) => (usage.includes(name) ? 1 : 0));
  const length = bits.lastIndexOf(1) + 1;
  const octets = new Uint8Array(Math.ceil(length / 8));
  bits.forEach((bit, i) => {
    if (bit === 1) octets[i >> 3] = (octets[i >> 3] as number) | (0x80 >> (i & 7));
  });
  w.bitString(octets, octets.length * 8 - length);
}

function writeExtension(w: DerWriter, { oid, critical = false, value }: ExtensionInput): void {
  w.sequence((w) => {
    w.oid(oid);
    if (critical) w.boolean(true);
    w.octets(value);
  });
}
