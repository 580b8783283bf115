/**
 * Making EnvelopedData (RFC 5652 section 6): AES-CBC content (RFC 3565), its key encrypted to RSA certificates
 * (RFC 3370 4.2.1, RFC 3560). Refused: certificates that are not for keyEncipherment or not for mail, or that are not
 * valid; keys of other types or too short; RC2, DES and 3DES. Exported by enveloped.ts; used by the S/MIME layer.
 */
import { constants, createCipheriv, publicEncrypt, randomBytes } from 'node:crypto';
import { describeOid, OID } from '../asn1/oids.js';
import { context, Tag } from '../asn1/tags.js';
import { writeDer } from '../asn1/write.js';
import { assertBytes, concat, toHex, wipe } from '../bytes.js';
import { MailsealError } from '../errors.js';
import type { Certificate } from '../x509/certificate.js';
import {
  type EncryptionCipher,
  encryptionCipher,
  type KeyTransportName,
  NODE_CIPHERS,
  OAEP_HASH,
  writeKeyTransport,
} from './algorithms.js';
import { enclose, type Pieces, writeContentInfo } from './content.js';
import { type CertificateIdentifier, writeIdentifier } from './identifiers.js';
import { checkUsable } from './sending.js';

export interface EncryptOptions {
  /** Everyone who may read it; with a mail that is to stay readable for its sender, the sender too. */
  readonly recipients: readonly Certificate[];
  /** Default `aes256-cbc`. */
  readonly cipher?: EncryptionCipher;
  /** Default `rsaes-pkcs1`, which every peer reads. */
  readonly keyTransport?: KeyTransportName;
  /** Default `issuerAndSerialNumber`. */
  readonly recipientIdentifier?: CertificateIdentifier['type'];
  /** Dotted OID of the type of the content. Default id-data. */
  readonly contentType?: string;
  /** The moment at which the recipients' certificates have to be valid. Default: now. */
  readonly now?: Date;
  /** Source of the content key and the IV; the padding of RSA is OpenSSL's. Default node:crypto's randomBytes. */
  readonly random?: (size: number) => Uint8Array;
}

/** {@link envelopedPieces} in one. */
export function encryptData(content: Uint8Array, options: EncryptOptions): Uint8Array {
  return concat(envelopedPieces(content, options));
}

/**
 * Encrypts to certificates with RSA keys: a ContentInfo with EnvelopedData, in DER.
 * @throws MailsealError KEY_UNSUITABLE for a certificate that may not be encrypted to; UNSUPPORTED_ALGORITHM for one
 *   with a key of another type
 * @throws RangeError without recipients
 */
export function envelopedPieces(content: Uint8Array, options: EncryptOptions): Pieces {
  assertBytes(content, 'content');
  const { contentType = OID.data, now = new Date(), random = randomBytes } = options;
  // Each once, however often it is named.
  const recipients = [...new Map(options.recipients.map((one) => [toHex(one.fingerprint), one])).values()];
  if (recipients.length === 0) throw new RangeError('a message needs at least one recipient');
  const cipher = encryptionCipher(options.cipher ?? 'aes256-cbc');
  for (const certificate of recipients) checkRecipient(certificate, now);
  const key = random(cipher.keyLength);
  try {
    const iv = random(cipher.blockLength);
    const bySki = options.recipientIdentifier === 'subjectKeyIdentifier';
    const infos = recipients.map((certificate) => writeRecipient(certificate, key, options));
    const head = writeDer((w) => {
      w.integer(bySki ? 2 : 0); // 6.1: 2 unless every RecipientInfo is of version 0
      w.setOf(infos);
    });
    const encryptedHead = writeDer((w) => {
      w.oid(contentType);
      w.sequence((w) => {
        w.oid(cipher.oid);
        w.octets(iv);
      });
    });
    const engine = createCipheriv(NODE_CIPHERS[cipher.name], key, iv);
    const encrypted = enclose(context(0), [engine.update(content), engine.final()]);
    return writeContentInfo(
      OID.envelopedData,
      enclose(Tag.SEQUENCE, [head, ...enclose(Tag.SEQUENCE, [encryptedHead, ...encrypted])]),
    );
  } finally {
    wipe(key);
  }
}

/** KeyTransRecipientInfo (6.2.1). */
function writeRecipient(certificate: Certificate, key: Uint8Array, options: EncryptOptions): Uint8Array {
  const { keyTransport = 'rsaes-pkcs1', recipientIdentifier = 'issuerAndSerialNumber' } = options;
  const encryptedKey = wrapKey(certificate, key, keyTransport);
  return writeDer((w) =>
    w.sequence((w) => {
      w.integer(recipientIdentifier === 'issuerAndSerialNumber' ? 0 : 2);
      writeIdentifier(w, certificate, recipientIdentifier);
      writeKeyTransport(w, keyTransport);
      w.octets(encryptedKey);
    }),
  );
}

function checkRecipient(certificate: Certificate, now: Date): void {
  const { publicKey, keyUsage, subject } = certificate;
  if (publicKey.algorithm === 'rsa-pss') {
    throw new MailsealError('KEY_UNSUITABLE', `the key of ${subject} is for RSASSA-PSS signatures only`);
  }
  if (publicKey.algorithm !== 'rsa') {
    const oid = publicKey.algorithmOid;
    throw new MailsealError(
      'UNSUPPORTED_ALGORITHM',
      `encrypting to ${subject}: its key is of ${describeOid(oid)}, and only RSA keys can be encrypted to`,
      { oid },
    );
  }
  if (keyUsage !== undefined && !keyUsage.keyEncipherment) {
    throw new MailsealError('KEY_UNSUITABLE', `the certificate of ${subject} is not for keyEncipherment`);
  }
  checkUsable(certificate, now);
}

function wrapKey(certificate: Certificate, contentKey: Uint8Array, transport: KeyTransportName): Uint8Array {
  const key = certificate.publicKey.keyObject;
  try {
    return transport === 'rsaes-pkcs1'
      ? publicEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, contentKey)
      : publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: OAEP_HASH }, contentKey);
  } catch (cause) {
    const { subject } = certificate;
    throw new MailsealError('KEY_UNSUITABLE', `the key of ${subject} can't wrap a content key`, { cause });
  }
}
