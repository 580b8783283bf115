/**
 * KeyAgreeRecipientInfo of any shape, made with node:crypto alone: a second opinion on the key derivation of
 * src/cms/keyagreement.ts, and what no sender writes. The agreed secret is given by whoever calls.
 */
import { createCipheriv, createHash, hkdfSync } from 'node:crypto';
import { OID } from '../../src/asn1/oids.js';
import { type DerWriter, writeDer } from '../../src/asn1/write.js';
import { concat } from '../../src/bytes.js';
import type { Certificate } from '../../src/x509/certificate.js';

export interface KariInput {
  /** Whoever the content key is for; several take the same secret. */
  recipients: readonly (Certificate | { keyIdentifier: Uint8Array })[];
  secret: Uint8Array;
  contentKey: Uint8Array;
  /** Dotted; default std DH, SHA-256. */
  scheme?: string;
  kdf?: 'x963' | 'hkdf';
  hash?: 'sha1' | 'sha224' | 'sha256' | 'sha384' | 'sha512';
  /** Dotted; default AES-128. */
  wrap?: string;
  /** Parameters of the key wrap: in the message, and in what is hashed (default: as in the message). */
  withNull?: boolean;
  hashedWithNull?: boolean;
  ukm?: Uint8Array;
  /** The originator's choice, encoded below [0]. */
  originator: (w: DerWriter) => void;
}

const WRAPS: Readonly<Record<string, [cipher: string, keyLength: number]>> = {
  [OID.aes128Wrap]: ['id-aes128-wrap', 16],
  [OID.aes192Wrap]: ['id-aes192-wrap', 24],
  [OID.aes256Wrap]: ['id-aes256-wrap', 32],
  [OID.cms3DesWrap]: ['id-smime-alg-CMS3DESwrap', 24],
};

/** OriginatorPublicKey. @param algorithm content of its AlgorithmIdentifier */
export const originatorKey = (algorithm: (w: DerWriter) => void, bits: Uint8Array) => (w: DerWriter) =>
  w.implicitConstructed(1, (w) => {
    w.sequence(algorithm);
    w.bitString(bits);
  });

export function kari(input: KariInput): Uint8Array {
  const { wrap = OID.aes128Wrap, withNull = false, ukm } = input;
  const [cipher, keyLength] = WRAPS[wrap] as [string, number];
  const kek = kekOf(input, wrap, keyLength);
  const iv = wrap === OID.cms3DesWrap ? null : new Uint8Array(8).fill(0xa6);
  const engine = createCipheriv(cipher, kek, iv);
  const encryptedKey = concat([engine.update(input.contentKey), engine.final()]);
  return writeDer((w) =>
    w.implicitConstructed(1, (w) => {
      w.integer(3);
      w.explicit(0, input.originator);
      if (ukm !== undefined) w.explicit(1, (w) => w.octets(ukm));
      w.sequence((w) => {
        w.oid(input.scheme ?? OID.dhSinglePassStdDhSha256Kdf);
        wrapAlgorithm(w, wrap, withNull);
      });
      w.sequence((w) => {
        for (const recipient of input.recipients) {
          w.sequence((w) => {
            writeRecipient(w, recipient);
            w.octets(encryptedKey);
          });
        }
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

function writeRecipient(w: DerWriter, recipient: KariInput['recipients'][number]): void {
  if ('keyIdentifier' in recipient) {
    w.implicitConstructed(0, (w) => {
      w.octets(recipient.keyIdentifier);
      w.tagged(0x18, Buffer.from('20260101000000Z')); // a date, which finds no key
    });
    return;
  }
  w.sequence((w) => {
    w.raw(recipient.issuer.der);
    w.integer(recipient.serialNumber);
  });
}

function kekOf(input: KariInput, wrap: string, keyLength: number): Uint8Array {
  const { secret, kdf = 'x963', hash = 'sha256', ukm, withNull = false, hashedWithNull = withNull } = input;
  const bits = new Uint8Array(4);
  new DataView(bits.buffer).setUint32(0, keyLength * 8);
  const info = writeDer((w) =>
    w.sequence((w) => {
      wrapAlgorithm(w, wrap, hashedWithNull);
      if (ukm !== undefined) w.explicit(0, (w) => w.octets(ukm));
      w.explicit(2, (w) => w.octets(bits));
    }),
  );
  if (kdf === 'hkdf') return new Uint8Array(hkdfSync(hash, secret, ukm ?? new Uint8Array(), info, keyLength));
  const blocks = [1, 2].map((i) =>
    createHash(hash)
      .update(concat([secret, Uint8Array.of(0, 0, 0, i), info]))
      .digest(),
  );
  return concat(blocks).slice(0, keyLength);
}
