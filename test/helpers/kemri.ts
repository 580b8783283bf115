/**
 * KEMRecipientInfo (RFC 9629) of any shape, made with node:crypto alone: a second opinion on the key derivation of
 * src/cms/kem.ts, and what no sender writes. The shared secret and its ciphertext are given by whoever calls.
 */
import { createCipheriv, createHash, hkdfSync } from 'node:crypto';
import { OID } from '../../src/asn1/oids.js';
import { type DerWriter, writeDer } from '../../src/asn1/write.js';
import { concat } from '../../src/bytes.js';
import type { Certificate } from '../../src/x509/certificate.js';

export interface KemriInput {
  recipient: Certificate;
  /** Dotted; default that of the recipient's key. */
  kem?: string;
  secret: Uint8Array;
  ciphertext: Uint8Array;
  contentKey: Uint8Array;
  /** Default HKDF. */
  kdf?: 'hkdf' | 'kdf3';
  /** Default SHA-256. */
  hash?: 'sha256' | 'sha384' | 'sha512';
  /** Content of the AlgorithmIdentifier of the KDF, in place of what the two above say. */
  kdfAlgorithm?: (w: DerWriter) => void;
  /** Dotted; default AES-256. */
  wrap?: string;
  /** Whether the parameters of the wrap are NULL. */
  withNull?: boolean;
  /** In the message; default that of the wrap. */
  kekLength?: number;
  ukm?: Uint8Array;
  /** In the message; default the same. Null: absent. */
  writtenUkm?: Uint8Array | null;
  /** Default 0. */
  version?: number;
}

const WRAPS: Readonly<Record<string, [cipher: string, keyLength: number]>> = {
  [OID.aes128Wrap]: ['id-aes128-wrap', 16],
  [OID.aes192Wrap]: ['id-aes192-wrap', 24],
  [OID.aes256Wrap]: ['id-aes256-wrap', 32],
};

const HKDF_OIDS = { sha256: OID.hkdfWithSha256, sha384: OID.hkdfWithSha384, sha512: OID.hkdfWithSha512 };

/** In OtherRecipientInfo [4]. */
export function kemri(input: KemriInput): Uint8Array {
  const { recipient, wrap = OID.aes256Wrap, withNull = false, hash = 'sha256' } = input;
  const [cipher, keyLength] = WRAPS[wrap] ?? (WRAPS[OID.aes256Wrap] as [string, number]);
  const engine = createCipheriv(cipher, kekOf(input, keyLength), new Uint8Array(8).fill(0xa6));
  const encryptedKey = concat([engine.update(input.contentKey), engine.final()]);
  const ukm = input.writtenUkm === undefined ? input.ukm : (input.writtenUkm ?? undefined);
  const kdf3 = (w: DerWriter) => {
    w.oid(OID.kdf3);
    w.sequence((w) => {
      w.oid(OID[hash]);
      w.null();
    });
  };
  return writeDer((w) =>
    w.implicitConstructed(4, (w) => {
      w.oid(OID.kemRecipientInfo);
      w.sequence((w) => {
        w.integer(input.version ?? 0);
        w.sequence((w) => {
          w.raw(recipient.issuer.der);
          w.integer(recipient.serialNumber);
        });
        w.sequence((w) => w.oid(input.kem ?? recipient.publicKey.algorithmOid));
        w.octets(input.ciphertext);
        w.sequence(input.kdfAlgorithm ?? (input.kdf === 'kdf3' ? kdf3 : (w) => w.oid(HKDF_OIDS[hash])));
        w.integer(input.kekLength ?? keyLength);
        if (ukm !== undefined) w.explicit(0, (w) => w.octets(ukm));
        wrapAlgorithm(w, wrap, withNull);
        w.octets(encryptedKey);
      });
    }),
  );
}

function wrapAlgorithm(w: DerWriter, oid: string, withNull: boolean): void {
  w.sequence((w) => {
    w.oid(oid);
    if (withNull) w.null();
  });
}

function kekOf(input: KemriInput, keyLength: number): Uint8Array {
  const { secret, kdf = 'hkdf', hash = 'sha256', wrap = OID.aes256Wrap, withNull = false, ukm } = input;
  const info = writeDer((w) =>
    w.sequence((w) => {
      wrapAlgorithm(w, wrap, withNull);
      w.integer(keyLength);
      if (ukm !== undefined) w.explicit(0, (w) => w.octets(ukm));
    }),
  );
  if (kdf === 'hkdf') return new Uint8Array(hkdfSync(hash, secret, new Uint8Array(), info, keyLength));
  const block = createHash(hash)
    .update(concat([Uint8Array.of(0, 0, 0, 1), secret, info]))
    .digest();
  return Uint8Array.from(block.subarray(0, keyLength));
}
