/** EnvelopedData and AuthEnvelopedData (RFC 5652 section 6, RFC 5083) around any RecipientInfos, and either of them parsed. */
import { createCipheriv } from 'node:crypto';
import { OID } from '../../src/asn1/oids.js';
import { type DerWriter, writeDer } from '../../src/asn1/write.js';
import { concat } from '../../src/bytes.js';
import { contentOfType, readContentInfo } from '../../src/cms/content.js';
import { AuthEnvelopedData, EnvelopedData } from '../../src/cms/enveloped.js';

/** The one of the two that the message is. */
export function parseEnveloped(message: Uint8Array): EnvelopedData | AuthEnvelopedData {
  const info = readContentInfo(message);
  return info.contentType === OID.authEnvelopedData
    ? AuthEnvelopedData.parse(info.content)
    : EnvelopedData.parse(contentOfType(info, OID.envelopedData));
}

export interface EnvelopedInput {
  /** Default 0. */
  version?: number;
  /** RecipientInfos, encoded. */
  recipients: readonly Uint8Array[];
  /** Content of the contentEncryptionAlgorithm. */
  cipher: (w: DerWriter) => void;
  /** Null: absent. */
  encryptedContent: Uint8Array | null;
}

/** EnvelopedData in its ContentInfo. */
export function envelopedData({
  version = 0,
  recipients,
  cipher,
  encryptedContent,
}: EnvelopedInput): Uint8Array {
  return writeDer((w) =>
    w.sequence((w) => {
      w.oid(OID.envelopedData);
      w.explicit(0, (w) =>
        w.sequence((w) => {
          w.integer(version);
          w.set((w) => recipients.map((one) => w.raw(one)));
          w.sequence((w) => {
            w.oid(OID.data);
            w.sequence(cipher);
            if (encryptedContent !== null) w.implicit(0, encryptedContent);
          });
        }),
      );
    }),
  );
}

/**
 * AuthEnvelopedData with AES-128-GCM: a key that stands in for one that does not unwrap never opens it by chance, as it
 * does one in 256 with CBC.
 */
export function gcmEnvelope(
  contentKey: Uint8Array,
  content: Uint8Array,
  recipients: readonly Uint8Array[],
): Uint8Array {
  const nonce = contentKey.subarray(4);
  const engine = createCipheriv('aes-128-gcm', contentKey, nonce);
  const encrypted = concat([engine.update(content), engine.final()]);
  return writeDer((w) =>
    w.sequence((w) => {
      w.oid(OID.authEnvelopedData);
      w.explicit(0, (w) =>
        w.sequence((w) => {
          w.integer(0);
          w.set((w) => recipients.map((info) => w.raw(info)));
          w.sequence((w) => {
            w.oid(OID.data);
            w.sequence((w) => {
              w.oid(OID.aes128Gcm);
              w.sequence((w) => {
                w.octets(nonce);
                w.integer(16);
              });
            });
            w.implicit(0, encrypted);
          });
          w.octets(engine.getAuthTag());
        }),
      );
    }),
  );
}
