/** Signatures by their AlgorithmIdentifier: valid ones, forged ones (Project Wycheproof's too), refused parameters and keys. */
import { constants, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { Tag } from '../src/asn1/tags.js';
import { type DerNode, parseDer } from '../src/asn1/tape.js';
import { type DerWriter, writeDer } from '../src/asn1/write.js';
import { readPem } from '../src/bytes.js';
import { MailsealError } from '../src/errors.js';
import { Certificate } from '../src/x509/certificate.js';
import type { HashName } from '../src/x509/digests.js';
import { PublicKey } from '../src/x509/keys.js';
import {
  MAX_RSA_VERIFY_BITS,
  readSignatureAlgorithm,
  type SignatureScheme,
  verifySignature,
} from '../src/x509/signature.js';
import { readIndex, readVector } from './helpers/vectors.js';

const data = Buffer.from('what was signed');

/** By the AlgorithmIdentifier. */
const verify = (node: DerNode, key: PublicKey, octets: Uint8Array, signature: Uint8Array) =>
  verifySignature(readSignatureAlgorithm(node), key, octets, signature);

const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 });
const shortRsa = generateKeyPairSync('rsa', { modulusLength: 512 });
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const p521 = generateKeyPairSync('ec', { namedCurve: 'P-521' });
const ed25519 = generateKeyPairSync('ed25519');
const ed448 = generateKeyPairSync('ed448');
const dsa = generateKeyPairSync('dsa', { modulusLength: 1024, divisorLength: 160 });

const publicKey = (key: KeyObject) => PublicKey.parse(key.export({ format: 'der', type: 'spki' }));
const nothing = () => {};
const nullParameters = (w: DerWriter) => w.null();

function algorithm(oid: string, parameters: (w: DerWriter) => void = nothing): DerNode {
  return parseDer(
    writeDer((w) =>
      w.sequence((w) => {
        w.oid(oid);
        parameters(w);
      }),
    ),
  );
}

interface Pss {
  hash?: string;
  mask?: string;
  maskHash?: string;
  salt?: number;
  trailer?: number;
}

/** RSASSA-PSS-params; what is left out takes its default (RFC 4055 3.1). */
const pss = (p: Pss) => (w: DerWriter) =>
  w.sequence((w) => {
    const { hash, maskHash, salt, trailer } = p;
    if (hash) w.explicit(0, (w) => w.raw(algorithm(hash).bytes));
    if (maskHash) {
      w.explicit(1, (w) =>
        w.raw(algorithm(p.mask ?? OID.mgf1, (w) => w.raw(algorithm(maskHash).bytes)).bytes),
      );
    }
    if (salt !== undefined) w.explicit(2, (w) => w.integer(salt));
    if (trailer !== undefined) w.explicit(3, (w) => w.integer(trailer));
  });

const pssSign = (hash: string, saltLength: number) =>
  sign(hash, data, { key: rsa.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength });
const sha256Pss = (salt: number) => pss({ hash: OID.sha256, maskHash: OID.sha256, salt });

/** Signs with MGF1 of another hash, which takes a key that is restricted to it. */
const mixedPss = (hashAlgorithm: string, mgf1HashAlgorithm: string, saltLength: number) => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa-pss', {
    modulusLength: 1024,
    hashAlgorithm,
    mgf1HashAlgorithm,
    ...({ saltLength } as object), // which @types/node has as a string
  });
  const key = { key: privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
  return { publicKey, signature: sign(hashAlgorithm, data, key) };
};
const sha256WithSha1 = mixedPss('sha256', 'sha1', 20);
const sha1WithSha512 = mixedPss('sha1', 'sha512', 5);
const brainpool = generateKeyPairSync('ec', { namedCurve: 'brainpoolP384t1' });

describe('valid signatures', () => {
  test.each<[string, DerNode, KeyObject, Buffer]>([
    [
      'RSA SHA-1',
      algorithm(OID.sha1WithRSAEncryption, nullParameters),
      rsa.publicKey,
      sign('sha1', data, rsa.privateKey),
    ],
    [
      'RSA SHA-224',
      algorithm(OID.sha224WithRSAEncryption, nullParameters),
      rsa.publicKey,
      sign('sha224', data, rsa.privateKey),
    ],
    [
      'RSA SHA-256',
      algorithm(OID.sha256WithRSAEncryption, nullParameters),
      rsa.publicKey,
      sign('sha256', data, rsa.privateKey),
    ],
    [
      'RSA SHA-384',
      algorithm(OID.sha384WithRSAEncryption, nullParameters),
      rsa.publicKey,
      sign('sha384', data, rsa.privateKey),
    ],
    [
      'RSA SHA-512',
      algorithm(OID.sha512WithRSAEncryption, nullParameters),
      rsa.publicKey,
      sign('sha512', data, rsa.privateKey),
    ],
    [
      'RSA without parameters',
      algorithm(OID.sha256WithRSAEncryption),
      rsa.publicKey,
      sign('sha256', data, rsa.privateKey),
    ],
    ['PSS defaults', algorithm(OID.rsassaPss, pss({})), rsa.publicKey, pssSign('sha1', 20)],
    ['PSS SHA-256, salt 32', algorithm(OID.rsassaPss, sha256Pss(32)), rsa.publicKey, pssSign('sha256', 32)],
    ['PSS SHA-256, no salt', algorithm(OID.rsassaPss, sha256Pss(0)), rsa.publicKey, pssSign('sha256', 0)],
    [
      'PSS SHA-3',
      algorithm(OID.rsassaPss, pss({ hash: OID.sha3_256, maskHash: OID.sha3_256, salt: 32 })),
      rsa.publicKey,
      pssSign('sha3-256', 32),
    ],
    [
      'PSS SHA-512/256',
      algorithm(OID.rsassaPss, pss({ hash: OID.sha512_256, maskHash: OID.sha512_256, salt: 1 })),
      rsa.publicKey,
      pssSign('sha512-256', 1),
    ],
    [
      'PSS whose MGF1 hash is left at SHA-1',
      algorithm(OID.rsassaPss, pss({ hash: OID.sha256 })),
      sha256WithSha1.publicKey,
      sha256WithSha1.signature,
    ],
    [
      'PSS with another MGF1 hash',
      algorithm(OID.rsassaPss, pss({ maskHash: OID.sha512, salt: 5, trailer: 1 })),
      sha1WithSha512.publicKey,
      sha1WithSha512.signature,
    ],
    [
      'RSA SHA-512/224',
      algorithm(OID.sha512_224WithRSAEncryption, nullParameters),
      rsa.publicKey,
      sign('sha512-224', data, rsa.privateKey),
    ],
    [
      'RSA SHA3-384',
      algorithm(OID.rsaWithSHA3_384, nullParameters),
      rsa.publicKey,
      sign('sha3-384', data, rsa.privateKey),
    ],
    [
      'ECDSA brainpoolP384t1 SHA3-512',
      algorithm(OID.ecdsaWithSHA3_512),
      brainpool.publicKey,
      sign('sha3-512', data, brainpool.privateKey),
    ],
    ['ECDSA P-256 SHA-1', algorithm(OID.ecdsaWithSHA1), p256.publicKey, sign('sha1', data, p256.privateKey)],
    [
      'ECDSA P-256 SHA-256',
      algorithm(OID.ecdsaWithSHA256),
      p256.publicKey,
      sign('sha256', data, p256.privateKey),
    ],
    [
      'ECDSA P-521 SHA-512',
      algorithm(OID.ecdsaWithSHA512),
      p521.publicKey,
      sign('sha512', data, p521.privateKey),
    ],
    ['Ed25519', algorithm(OID.Ed25519), ed25519.publicKey, sign(null, data, ed25519.privateKey)],
    ['Ed448', algorithm(OID.Ed448), ed448.publicKey, sign(null, data, ed448.privateKey)],
  ])('%s: holds, and no longer when anything is changed', (_, node, key, signature) => {
    const parsed = publicKey(key);
    expect(verify(node, parsed, data, signature)).toBe(true);
    expect(verify(node, parsed, Buffer.concat([data, data]), signature)).toBe(false);
    expect(verify(node, parsed, data, signature.subarray(1))).toBe(false);
    expect(verify(node, parsed, data, Buffer.concat([signature, Buffer.alloc(1)]))).toBe(false);
    expect(verify(node, parsed, data, new Uint8Array(0))).toBe(false);
    for (let at = 0; at < signature.length; at += 7) {
      const changed = Uint8Array.from(signature);
      changed[at] = (changed[at] as number) ^ 1;
      expect(verify(node, parsed, data, changed)).toBe(false);
    }
  });
});

test('another salt length than the parameters say is no valid signature', () => {
  const node = algorithm(OID.rsassaPss, sha256Pss(32));
  expect(verify(node, publicKey(rsa.publicKey), data, pssSign('sha256', 20))).toBe(false);
});

test('a salt that no key has room for', () => {
  const node = algorithm(OID.rsassaPss, sha256Pss(0x7fff_ffff));
  expect(verify(node, publicKey(rsa.publicKey), data, pssSign('sha256', 32))).toBe(false);
});

test('Ed25519 S >= L (CVE-2026-33895) is no valid signature', () => {
  const signature = sign(null, data, ed25519.privateKey);
  const order = Buffer.from('edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010', 'hex');
  let carry = 0;
  for (let i = 0; i < 32; i++) {
    carry += (signature[32 + i] as number) + (order[i] as number);
    signature[32 + i] = carry & 0xff;
    carry >>= 8;
  }
  expect(verify(algorithm(OID.Ed25519), publicKey(ed25519.publicKey), data, signature)).toBe(false);
});

describe('RSA signature forgery: a signature of the wrong length (RFC 8017 8.1.2 and 8.2.2, step 1)', () => {
  const key = publicKey(rsa.publicKey);
  const schemes: [string, SignatureScheme, (data: Buffer) => Buffer][] = [
    [
      'RSASSA-PSS',
      { kind: 'rsa-pss', oid: OID.rsassaPss, hash: 'sha256', saltLength: 32 },
      (data) =>
        sign('sha256', data, {
          key: rsa.privateKey,
          padding: constants.RSA_PKCS1_PSS_PADDING,
          saltLength: 32,
        }),
    ],
    [
      'RSASSA-PKCS1-v1_5',
      { kind: 'rsa-pkcs1', oid: OID.sha256WithRSAEncryption, hash: 'sha256' },
      (data) => sign('sha256', data, rsa.privateKey),
    ],
  ];
  test.each(schemes)('%s: a leading zero octet left out, or one put before it', (_, scheme, signData) => {
    let message = data;
    let signature = signData(message);
    for (let i = 0; signature[0] !== 0; i++) {
      message = Buffer.from(`${i}`);
      signature = signData(message);
    }
    expect(verifySignature(scheme, key, message, signature)).toBe(true);
    expect(verifySignature(scheme, key, message, signature.subarray(1))).toBe(false);
    expect(verifySignature(scheme, key, message, Buffer.concat([Buffer.alloc(1), signature]))).toBe(false);
  });
});

describe('RSA signature forgery (CVE-2026-33894), ECDSA and Ed25519 forgery (CVE-2026-33895): Project Wycheproof', () => {
  interface Group {
    publicKeyDer: string;
    /** Not of EdDSA. */
    sha?: string;
    sLen?: number;
    tests: { tcId: number; comment: string; msg: string; sig: string; result: string }[];
  }
  const hex = (text: string) => Buffer.from(text, 'hex');

  test.each<[string, SignatureScheme['kind'], number]>([
    ['rsa_signature_2048_sha256', 'rsa-pkcs1', 259],
    ['rsa_signature_2048_sha512', 'rsa-pkcs1', 259],
    ['rsa_pss_2048_sha1_mgf1_20', 'rsa-pss', 88],
    ['rsa_pss_2048_sha256_mgf1_32', 'rsa-pss', 108],
    ['rsa_pss_3072_sha256_mgf1_32_params', 'rsa-pss', 108],
    ['rsa_pss_4096_sha512_mgf1_64', 'rsa-pss', 179],
    ['ecdsa_brainpoolP256r1_sha256', 'ecdsa', 485],
    ['ed25519', 'ed25519', 151],
    ['ecdsa_secp256r1_sha256', 'ecdsa', 484],
    ['ecdsa_secp384r1_sha384', 'ecdsa', 504],
  ])('%s', (name, kind, count) => {
    const path = new URL(`../vectors/wycheproof/${name}_test.json`, import.meta.url);
    const { testGroups } = JSON.parse(readFileSync(path, 'utf8')) as { testGroups: Group[] };
    let seen = 0;
    for (const { publicKeyDer, sha, sLen, tests } of testGroups) {
      const key = PublicKey.parse(hex(publicKeyDer));
      const hash = sha?.replace('-', '').toLowerCase() as HashName | undefined;
      const scheme = {
        kind,
        oid: '',
        ...(hash && { hash }),
        ...(sLen !== undefined && { saltLength: sLen }),
      };
      for (const { tcId, comment, msg, sig, result } of tests) {
        // `acceptable` is a DigestInfo without its NULL: not the exact one, and refused.
        const valid = verifySignature(scheme, key, hex(msg), hex(sig));
        expect(valid, `${tcId}: ${comment}`).toBe(result === 'valid');
        seen++;
      }
    }
    expect(seen).toBe(count);
  });
});

test('RSA keys of 16384 bits, which make a message slow to verify, can be read and not verified with', () => {
  const scheme = readSignatureAlgorithm(algorithm(OID.sha256WithRSAEncryption, nullParameters));
  for (const bits of [MAX_RSA_VERIFY_BITS, MAX_RSA_VERIFY_BITS + 8, 16384]) {
    const modulus = Buffer.alloc(bits / 8 + 1, 0xff).fill(0, 0, 1); // no sign bit, and odd
    const rsaPublicKey = writeDer((w) =>
      w.sequence((w) => {
        w.tagged(Tag.INTEGER, modulus);
        w.integer(65537);
      }),
    );
    const key = PublicKey.parse(
      writeDer((w) =>
        w.sequence((w) => {
          w.raw(algorithm(OID.rsaEncryption, nullParameters).bytes);
          w.bitString(rsaPublicKey);
        }),
      ),
    );
    expect(key.modulusLength).toBe(bits);
    const check = () => verifySignature(scheme, key, data, Buffer.alloc(bits / 8, 1));
    if (bits > MAX_RSA_VERIFY_BITS) {
      expect(check).toThrow(
        expect.objectContaining({ code: 'UNSUPPORTED_ALGORITHM', oid: OID.rsaEncryption }),
      );
    } else expect(check()).toBe(false);
  }
});

test('an RSA key too short for the digest verifies nothing', () => {
  const node = algorithm(OID.sha512WithRSAEncryption, nullParameters);
  expect(verify(node, publicKey(shortRsa.publicKey), data, Buffer.alloc(64, 1))).toBe(false);
});

test('rsaEncryption takes the digest that CMS names beside it, and nothing without one', () => {
  const node = algorithm(OID.rsaEncryption, nullParameters);
  const scheme = readSignatureAlgorithm(node, 'sha256');
  expect(verifySignature(scheme, publicKey(rsa.publicKey), data, sign('sha256', data, rsa.privateKey))).toBe(
    true,
  );
  expect(() => readSignatureAlgorithm(node)).toThrow(
    expect.objectContaining({ code: 'UNSUPPORTED_ALGORITHM' }),
  );
});

describe('refused algorithms', () => {
  test.each<[string, DerNode, string]>([
    ['MD5', algorithm(OID.md5WithRSAEncryption, nullParameters), 'UNSUPPORTED_ALGORITHM'],
    ['MD2', algorithm(OID.md2WithRSAEncryption, nullParameters), 'UNSUPPORTED_ALGORITHM'],
    ['PSS with SHAKE256', algorithm(OID.rsassaPssShake256), 'UNSUPPORTED_ALGORITHM'],
    ['ECDSA with SHAKE128', algorithm(OID.ecdsaWithShake128), 'UNSUPPORTED_ALGORITHM'],
    ['DSA', algorithm(OID.dsaWithSha1), 'UNSUPPORTED_ALGORITHM'],
    ['an unknown one', algorithm('1.2.3.4'), 'UNSUPPORTED_ALGORITHM'],
    [
      'RSA with other parameters',
      algorithm(OID.sha256WithRSAEncryption, (w) => w.integer(0)),
      'ASN1_UNEXPECTED',
    ],
    ['ECDSA with NULL', algorithm(OID.ecdsaWithSHA256, nullParameters), 'X509_MALFORMED'],
    ['Ed25519 with NULL', algorithm(OID.Ed25519, nullParameters), 'X509_MALFORMED'],
    ['PSS without parameters', algorithm(OID.rsassaPss), 'X509_MALFORMED'],
    ['PSS with NULL', algorithm(OID.rsassaPss, nullParameters), 'ASN1_UNEXPECTED'],
    [
      'PSS with another mask',
      algorithm(OID.rsassaPss, pss({ hash: OID.sha256, mask: '1.2.3', maskHash: OID.sha256 })),
      'UNSUPPORTED_ALGORITHM',
    ],
    [
      'PSS with MD5',
      algorithm(OID.rsassaPss, pss({ hash: OID.md5, maskHash: OID.md5 })),
      'UNSUPPORTED_ALGORITHM',
    ],
    ['PSS with trailer 2', algorithm(OID.rsassaPss, pss({ trailer: 2 })), 'X509_MALFORMED'],
    ['PSS with a negative salt', algorithm(OID.rsassaPss, pss({ salt: -1 })), 'ASN1_BAD_VALUE'],
    [
      'something after the parameters',
      algorithm(OID.sha256WithRSAEncryption, (w) => {
        w.null();
        w.null();
      }),
      'ASN1_UNEXPECTED',
    ],
  ])('%s', (_, node, code) => {
    expect(() => readSignatureAlgorithm(node)).toThrow(expect.objectContaining({ code }));
  });
});

describe('a key of another kind is refused', () => {
  const kinds: [string, DerNode][] = [
    ['rsa', algorithm(OID.sha256WithRSAEncryption, nullParameters)],
    ['rsa', algorithm(OID.rsassaPss, sha256Pss(32))],
    ['ec', algorithm(OID.ecdsaWithSHA256)],
    ['ed25519', algorithm(OID.Ed25519)],
    ['ed448', algorithm(OID.Ed448)],
  ];
  const keys = [rsa, p256, ed25519, ed448, dsa, generateKeyPairSync('x25519')].map((pair) =>
    publicKey(pair.publicKey),
  );
  test.each(kinds)('%s', (fitting, node) => {
    for (const key of keys) {
      if (key.algorithm === fitting) continue;
      expect(() => verify(node, key, data, Buffer.alloc(64))).toThrow(
        expect.objectContaining({ code: 'KEY_UNSUITABLE' }),
      );
    }
  });
});

describe('MD5', () => {
  const node = algorithm(OID.md5WithRSAEncryption, nullParameters);
  test('verifies where CMS names it in digestAlgorithm too, and never with another digest', () => {
    const scheme = readSignatureAlgorithm(node, 'md5');
    expect(scheme).toEqual({ kind: 'rsa-pkcs1', oid: OID.md5WithRSAEncryption, hash: 'md5' });
    const signature = sign('md5', data, rsa.privateKey);
    expect(verifySignature(scheme, publicKey(rsa.publicKey), data, signature)).toBe(true);
    expect(() => readSignatureAlgorithm(node, 'sha256')).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_ALGORITHM', oid: OID.md5WithRSAEncryption }),
    );
  });
});

test('secp256k1 verifies nothing, and is named', () => {
  const { publicKey: key, privateKey } = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
  const check = () =>
    verify(algorithm(OID.ecdsaWithSHA256), publicKey(key), data, sign('sha256', data, privateKey));
  expect(check).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_ALGORITHM', oid: OID.secp256k1 }));
  expect(check).toThrow('secp256k1');
});

describe('an RSASSA-PSS key (RFC 4055 section 1.2)', () => {
  const bits = publicKey(rsa.publicKey).bits;
  const restricted = (parameters: (w: DerWriter) => void) =>
    PublicKey.parse(
      writeDer((w) =>
        w.sequence((w) => {
          w.raw(algorithm(OID.rsassaPss, parameters).bytes);
          w.bitString(bits);
        }),
      ),
    );
  const sha256 = algorithm(OID.rsassaPss, sha256Pss(32));
  const unsuitable = expect.objectContaining({ code: 'KEY_UNSUITABLE' });

  test('may not verify RSASSA-PKCS1-v1_5', () => {
    const node = algorithm(OID.sha256WithRSAEncryption, nullParameters);
    const signature = sign('sha256', data, rsa.privateKey);
    expect(() => verify(node, restricted(nothing), data, signature)).toThrow(unsuitable);
  });
  test('without parameters verifies any PSS', () => {
    expect(verify(sha256, restricted(nothing), data, pssSign('sha256', 32))).toBe(true);
  });
  test('verifies what its parameters allow: the same hash, no shorter salt', () => {
    expect(verify(sha256, restricted(sha256Pss(20)), data, pssSign('sha256', 32))).toBe(true);
    expect(() => verify(sha256, restricted(sha256Pss(33)), data, pssSign('sha256', 32))).toThrow(unsuitable);
    const otherMask = restricted(pss({ hash: OID.sha256, salt: 32 }));
    expect(() => verify(sha256, otherMask, data, pssSign('sha256', 32))).toThrow(unsuitable);
    const sha1 = algorithm(OID.rsassaPss, pss({}));
    expect(() => verify(sha1, restricted(sha256Pss(20)), data, pssSign('sha1', 20))).toThrow(unsuitable);
  });
});

describe('BoringSSL: self-signed PSS certificates', () => {
  const paths = readIndex('boringssl-pkcs').flatMap(({ path }) =>
    /\/pss_.*\.pem$/.test(path) ? [path] : [],
  );
  // BoringSSL also refuses MGF1 with another hash; OpenSSL and we read it.
  const bad = /syntax_error|salt_overflow|unknown_mgf|wrong_trailer/;

  test.each(paths)('%s', (path) => {
    const [block] = readPem(readVector('boringssl-pkcs', path));
    const certificate = Certificate.parse((block as { bytes: Uint8Array }).bytes);
    const check = () =>
      verifySignature(
        certificate.signatureScheme,
        certificate.publicKey,
        certificate.tbs,
        certificate.signatureValue,
      );
    if (bad.test(path)) expect(check).toThrow(MailsealError);
    else expect(check()).toBe(true);
  });
});
