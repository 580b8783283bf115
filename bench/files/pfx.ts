/**
 * One PFX as `openssl pkcs12 -export` lays it out and salts it, for the jobs that need thousands: the command takes
 * 20 ms a file, and writePfx has neither RC2 nor 2,048 iterations of PBKDF2. Called by make.ts, which lets OpenSSL
 * read what comes out. RC2 needs `node --openssl-legacy-provider`.
 */
import { createCipheriv, createHash, createHmac, hash as digestOf, pbkdf2Sync } from 'node:crypto';
import { OID } from '../../src/asn1/oids.js';
import { type DerWriter, writeDer } from '../../src/asn1/write.js';
import { bag, certBag, contentInfo, contents, pbes2Algorithm, safe } from '../../test/helpers/pfx.js';

type Hash = 'sha1' | 'sha256';
type Scheme = 'rc2-40' | '3des' | 'pbes2';

/** The shapes of inputs.ts, and how they are encrypted. */
const SHAPES = {
  'rc2-40': { certificate: 'rc2-40', key: '3des', mac: 'sha1' },
  '3des': { certificate: '3des', key: '3des', mac: 'sha1' },
  pbes2: { certificate: 'pbes2', key: 'pbes2', mac: 'sha256' },
} as const satisfies Record<string, { certificate: Scheme; key: Scheme; mac: Hash }>;

export type ShapeName = keyof typeof SHAPES;

export interface PfxParts {
  /** Of all salts and IVs. */
  seed: string;
  /** PKCS#8. */
  privateKey: Uint8Array;
  /** DER. */
  certificate: Uint8Array;
  friendlyName: string;
  password: string;
  iterations: number;
}

const BLOCK = 64; // octets, of SHA-1 and SHA-256
const SALT = 8;

export function makePfx(shape: ShapeName, parts: PfxParts): Uint8Array {
  const { certificate, privateKey, friendlyName, seed } = parts;
  const { certificate: certificateScheme, key: keyScheme, mac } = SHAPES[shape];
  const attributes = { friendlyName, localKeyId: createHash('sha1').update(certificate).digest() };
  const shrouded = encrypt(keyScheme, privateKey, { ...parts, seed: `${seed} key` });
  const certificates = encrypt(certificateScheme, contents([certBag(certificate, attributes)]), parts);
  const authSafe = contents([
    contentInfo(OID.encryptedData, (w) =>
      w.sequence((w) => {
        w.integer(0);
        w.sequence((w) => {
          w.oid(OID.data);
          w.raw(certificates.algorithm);
          w.implicit(0, certificates.data);
        });
      }),
    ),
    safe([
      bag(
        OID.pkcs8ShroudedKeyBag,
        writeDer((w) =>
          w.sequence((w) => {
            w.raw(shrouded.algorithm);
            w.octets(shrouded.data);
          }),
        ),
        attributes,
      ),
    ]),
  ]);
  return writeDer((w) =>
    w.sequence((w) => {
      w.integer(3);
      w.raw(contentInfo(OID.data, (w) => w.octets(authSafe)));
      writeMac(w, mac, authSafe, parts);
    }),
  );
}

const seededOctets = (seed: string, length: number): Buffer =>
  createHash('sha256').update(seed).digest().subarray(0, length);

/** AlgorithmIdentifier and ciphertext. */
function encrypt(scheme: Scheme, plaintext: Uint8Array, { seed, password, iterations }: PfxParts) {
  const salt = seededOctets(`${seed} salt`, SALT);
  const sealed = (cipher: string, key: Uint8Array, iv: Uint8Array): Buffer => {
    const engine = createCipheriv(cipher, key, iv);
    return Buffer.concat([engine.update(plaintext), engine.final()]);
  };
  if (scheme === 'pbes2') {
    const iv = seededOctets(`${seed} iv`, 16);
    const key = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
    return { algorithm: pbes2Algorithm(iterations, salt, iv), data: sealed('aes-256-cbc', key, iv) };
  }
  const [oid, cipher, keyLength] =
    scheme === '3des'
      ? (['pbeWithSHAAnd3-KeyTripleDES-CBC', 'des-ede3-cbc', 24] as const)
      : (['pbeWithSHAAnd40BitRC2-CBC', 'rc2-40-cbc', 5] as const);
  const key = pkcs12Kdf('sha1', 1, password, salt, iterations, keyLength);
  const iv = pkcs12Kdf('sha1', 2, password, salt, iterations, 8);
  const algorithm = writeDer((w) =>
    w.sequence((w) => {
      w.oid(OID[oid]);
      w.sequence((w) => {
        w.octets(salt);
        w.integer(iterations);
      });
    }),
  );
  return { algorithm, data: sealed(cipher, key, iv) };
}

/** MacData (RFC 7292 section 4). */
function writeMac(w: DerWriter, hash: Hash, authSafe: Uint8Array, parts: PfxParts): void {
  const { seed, password, iterations } = parts;
  const salt = seededOctets(`${seed} mac`, SALT);
  const key = pkcs12Kdf(hash, 3, password, salt, iterations, hash === 'sha1' ? 20 : 32);
  w.sequence((w) => {
    w.sequence((w) => {
      w.sequence((w) => {
        w.oid(OID[hash]);
        w.null();
      });
      w.octets(createHmac(hash, key).update(authSafe).digest());
    });
    w.octets(salt);
    w.integer(iterations);
  });
}

/**
 * RFC 7292 appendix B.2 for passwords of up to 31 characters. The package's own (src/pbe/pkcs12kdf.ts) takes three
 * times as long, since it keeps digests out of strings, which nobody can wipe; no matter here.
 */
function pkcs12Kdf(
  hash: Hash,
  id: 1 | 2 | 3,
  password: string,
  salt: Uint8Array,
  iterations: number,
  length: number,
): Buffer {
  const bmp = Buffer.from(`${password}\0`, 'utf16le').swap16();
  const input = Buffer.concat([Buffer.alloc(BLOCK, id), Buffer.alloc(BLOCK, salt), Buffer.alloc(BLOCK, bmp)]);
  const output: Buffer[] = [];
  for (let missing = length; missing > 0; ) {
    const digest = digestOf(hash, input, 'buffer');
    for (let i = 1; i < iterations; i++) digest.write(digestOf(hash, digest, 'binary'), 'latin1');
    output.push(digest);
    missing -= digest.length;
    for (let block = BLOCK; block < input.length; block += BLOCK) {
      let carry = 1;
      for (let i = BLOCK - 1; i >= 0; i--) {
        carry += (input[block + i] as number) + (digest[i % digest.length] as number);
        input[block + i] = carry;
        carry >>>= 8;
      }
    }
  }
  return Buffer.concat(output).subarray(0, length);
}
