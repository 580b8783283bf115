/** Writes AuthenticatedData (RFC 5652 section 9), which nothing in the package writes, right and wrong. */
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { OID } from '../../src/asn1/oids.js';
import { type DerWriter, writeDer } from '../../src/asn1/write.js';
import { utf8 } from '../../src/bytes.js';
import { wrapTransported, writeKeyTransport } from '../../src/cms/keytransport.js';
import { writeKekRecipient, writePasswordRecipient } from '../../src/cms/sharedkeys.js';
import { person } from './pki.js';

export const CONTENT = utf8('Content-Type: text/plain\r\n\r\nIn the open\r\n');

export const contentInfo = (type: string, write: (w: DerWriter) => void) =>
  writeDer((w) =>
    w.sequence((w) => {
      w.oid(type);
      w.explicit(0, write);
    }),
  );

export const alice = person({ subject: 'Alice', key: 'rsa' });
export const shared = { keyIdentifier: utf8('id'), key: new Uint8Array(32).fill(9) };

export interface Forgery {
  hmac?: 'sha1' | 'sha256' | 'sha512';
  algorithm?: string;
  keyLength?: number;
  /** With authenticated attributes; of these, what is written in place of the right values. */
  attributes?: boolean;
  contentType?: string;
  digested?: Uint8Array;
  detached?: boolean;
  /** Of one more recipient. */
  password?: string;
  mac?: (right: Uint8Array) => Uint8Array;
}

/** An AuthenticatedData for Alice and for whoever has the shared key. */
export function authenticated(forgery: Forgery = {}): Uint8Array {
  const { hmac = 'sha256', keyLength = 32, digested = CONTENT, contentType = OID.data } = forgery;
  const oids = { sha1: OID.hmacSha1, sha256: OID.hmacWithSHA256, sha512: OID.hmacWithSHA512 };
  const macKey = createHash('shake256', { outputLength: keyLength }).update('key').digest();
  const attribute = (oid: string, write: (w: DerWriter) => void) =>
    writeDer((w) =>
      w.sequence((w) => {
        w.oid(oid);
        w.set(write);
      }),
    );
  const list = forgery.attributes
    ? [
        attribute(OID.contentType, (w) => w.oid(contentType)),
        attribute(OID.messageDigest, (w) => w.octets(createHash('sha256').update(digested).digest())),
      ]
    : [];
  const macced = forgery.attributes ? writeDer((w) => w.setOf(list)) : CONTENT;
  const mac = createHmac(hmac, macKey).update(macced).digest();
  const transported = wrapTransported(alice.certificate, macKey, 'rsaes-pkcs1');
  return contentInfo(OID.authenticatedData, (w) =>
    w.sequence((w) => {
      w.integer(0);
      w.set((w) => {
        w.sequence((w) => {
          w.integer(0);
          w.sequence((w) => {
            w.raw(alice.certificate.issuer.der);
            w.integer(alice.certificate.serialNumber);
          });
          writeKeyTransport(w, 'rsaes-pkcs1');
          w.octets(transported);
        });
        if (keyLength % 8 === 0) w.raw(writeKekRecipient(shared, macKey));
        if (forgery.password !== undefined) {
          w.raw(writePasswordRecipient(forgery.password, macKey, randomBytes));
        }
      });
      w.sequence((w) => {
        w.oid(forgery.algorithm ?? oids[hmac]);
        w.null();
      });
      if (forgery.attributes) w.implicitConstructed(1, (w) => w.oid(OID.sha256));
      w.sequence((w) => {
        w.oid(OID.data);
        if (!forgery.detached) w.explicit(0, (w) => w.octets(CONTENT));
      });
      if (forgery.attributes) w.implicitSetOf(2, list);
      w.octets((forgery.mac ?? ((octets) => octets))(mac));
    }),
  );
}
