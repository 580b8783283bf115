/** Writes SignedData (RFC 5652 section 5) as it should not be. */
import { createHash, createPrivateKey, sign } from 'node:crypto';
import { OID } from '../../src/asn1/oids.js';
import { type DerWriter, writeDer } from '../../src/asn1/write.js';
import { utf8 } from '../../src/bytes.js';
import type { Signer } from '../../src/cms/signed.js';
import type { Person } from './pki.js';

export const CONTENT = utf8('Content-Type: text/plain\r\n\r\nExample\r\n');

/** A SignedData with one signer, written as a row wants it. */
export interface Forgery {
  content?: Uint8Array;
  /** Written instead of an OCTET STRING with `content`, which stays what is digested. */
  eContent?: Uint8Array;
  contentType?: string;
  /** Encoded attributes, in the order of the message; null: none. */
  attributes?: readonly Uint8Array[] | null;
  unsigned?: readonly Uint8Array[];
  /** Names the signer instead of issuer and serial number. */
  keyIdentifier?: Uint8Array;
  /** Whose certificates are in the message too. */
  others?: readonly Signer[];
  /** What is signed instead of the DER of the attributes, or of the content. */
  signedOctets?: Uint8Array;
  /** Null: the algorithm of the key has its own. */
  hash?: string | null;
  /** What the content is digested with; `hash`, if that is null SHA-512. */
  digestHash?: string;
  digestOid?: string;
  /** Encoded digestAlgorithm, in place of the OID alone. */
  digestAlgorithm?: (w: DerWriter) => void;
  signatureAlgorithm?: (w: DerWriter) => void;
}

export function attribute(oid: string, ...values: ((w: DerWriter) => void)[]): Uint8Array {
  return writeDer((w) =>
    w.sequence((w) => {
      w.oid(oid);
      w.set((w) => {
        for (const value of values) value(w);
      });
    }),
  );
}

export const typeAttribute = (oid: string = OID.data) => attribute(OID.contentType, (w) => w.oid(oid));
export const digestAttribute = (content: Uint8Array = CONTENT, hash = 'sha256') =>
  attribute(OID.messageDigest, (w) => w.octets(createHash(hash).update(content).digest()));

export const ECDSA = (w: DerWriter) => w.sequence((w) => w.oid(OID.ecdsaWithSHA256));

export function forge(signer: Person, forgery: Forgery = {}): Uint8Array {
  const { content = CONTENT, contentType = OID.data, hash = 'sha256', digestOid = OID.sha256 } = forgery;
  const {
    attributes = [
      typeAttribute(contentType),
      digestAttribute(content, forgery.digestHash ?? hash ?? 'sha512'),
    ],
  } = forgery;
  const signedOctets =
    forgery.signedOctets ?? (attributes === null ? content : writeDer((w) => w.setOf(attributes)));
  const key = createPrivateKey({ key: Buffer.from(signer.issued.privateKey), format: 'der', type: 'pkcs8' });
  const { serialNumber, issuer } = signer.certificate;
  const digestAlgorithm = forgery.digestAlgorithm ?? ((w: DerWriter) => w.sequence((w) => w.oid(digestOid)));
  return writeDer((w) =>
    w.sequence((w) => {
      w.oid(OID.signedData);
      w.explicit(0, (w) =>
        w.sequence((w) => {
          w.integer(1);
          w.set(digestAlgorithm);
          w.sequence((w) => {
            w.oid(contentType);
            w.explicit(0, (w) =>
              forgery.eContent === undefined ? w.octets(content) : w.raw(forgery.eContent),
            );
          });
          w.implicitSetOf(
            0,
            [signer, ...(forgery.others ?? [])].map(({ certificate }) => certificate.der),
          );
          w.set((w) =>
            w.sequence((w) => {
              w.integer(1);
              if (forgery.keyIdentifier === undefined) {
                w.sequence((w) => {
                  w.raw(issuer.der);
                  w.integer(serialNumber);
                });
              } else w.implicit(0, forgery.keyIdentifier);
              digestAlgorithm(w);
              if (attributes !== null) {
                w.implicitConstructed(0, (w) => {
                  for (const one of attributes) w.raw(one);
                });
              }
              (forgery.signatureAlgorithm ?? ECDSA)(w);
              w.octets(sign(hash, signedOctets, key));
              if (forgery.unsigned !== undefined) w.implicitSetOf(1, forgery.unsigned);
            }),
          );
        }),
      );
    }),
  );
}

export const RSA = (w: DerWriter) =>
  w.sequence((w) => {
    w.oid(OID.rsaEncryption);
    w.null();
  });
