/**
 * Making EnvelopedData (RFC 5652 section 6) and, with an AEAD cipher, AuthEnvelopedData (RFC 5083); the content key is
 * encrypted to certificates with RSA, EC, X25519, X448 and ML-KEM keys, under shared keys and under passwords. Refused: certificates that are not for it or not for mail,
 * or that are not valid; keys of other types or too short; RC2, DES and 3DES. Exported by enveloped.ts; used by the S/MIME layer.
 */
import { randomBytes } from 'node:crypto';
import { describeOid, OID } from '../asn1/oids.js';
import { context, Tag } from '../asn1/tags.js';
import { type DerValue, type DerWriter, writeDer } from '../asn1/write.js';
import { assertBytes, join, latin1, type Pieces, wipe } from '../bytes.js';
import { MailsealError } from '../errors.js';
import type { Certificate } from '../x509/certificate.js';
import { requireMlKem } from '../x509/mlkem.js';
import { attribute } from './attributes.js';
import {
  chooseEncryption,
  type EncryptionChoice,
  type EncryptionPolicy,
  type Recipient,
  type RecipientChoice,
} from './choice.js';
import { type EncryptionCipher, encryptionKind, type WrittenCipher, writeContentCipher } from './ciphers.js';
import { writeContent, writeContentInfo, writeContentInfoAround } from './content.js';
import { type ContentEncryptor, contentEncryptor, encryptContent } from './contentcrypto.js';
import { type CertificateIdentifier, writeIdentifier } from './identifiers.js';
import { kemOf, writeKeyEncapsulation } from './kem.js';
import { canAgree, writeKeyAgreement } from './keyagreement.js';
import { type KeyTransportName, wrapTransported, writeKeyTransport } from './keytransport.js';
import { checkUsable } from './sending.js';
import { checkSecrets, type SharedKey, writeKekRecipient, writePasswordRecipient } from './sharedkeys.js';

export interface EncryptOptions {
  /** Everyone who may read it; with a mail that is to stay readable for its sender, the sender too. Default: nobody. */
  readonly recipients?: readonly (Certificate | Recipient)[];
  /** Keys that are shared beforehand, by which it may be read (KEKRecipientInfo). */
  readonly sharedKeys?: readonly SharedKey[];
  /** Passwords, by each of which it may be read (PasswordRecipientInfo). Guessing one is all it takes to read the mail. */
  readonly passwords?: readonly string[];
  /**
   * Used for this message, whatever recipients say that they read. Default: chosen by what they say and by the policy;
   * of those who say nothing, and of shared keys and passwords, `aes256-cbc` is taken to be what they read.
   */
  readonly cipher?: EncryptionCipher;
  /**
   * Bind the content key to the cipher (CEK-HKDF, RFC 9709), so that nobody can pass the message on under another one.
   * Default false: hardly any peer reads it.
   */
  readonly cekHkdf?: boolean;
  /** Used for all RSA keys. Default: `rsaes-oaep` for those whose owners say that they read it, and `rsaes-pkcs1`. */
  readonly keyTransport?: KeyTransportName;
  /** What is chosen where `cipher` and `keyTransport` leave it open. */
  readonly policy?: EncryptionPolicy;
  /** Told what was chosen and why, before anything is encrypted; if it throws, nothing is. */
  readonly onChoice?: (choice: EncryptionChoice) => void;
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
  return join(envelopedPieces(content, options).pieces);
}

/**
 * Encrypts to certificates: a ContentInfo with EnvelopedData or AuthEnvelopedData, in DER.
 * @throws MailsealError KEY_UNSUITABLE for a certificate that may not be encrypted to; UNSUPPORTED_ALGORITHM for one
 *   with a key of another type
 * @throws RangeError without recipients, or for a shared key of a length that AES does not have
 */
export function envelopedPieces(
  content: Uint8Array,
  options: EncryptOptions,
): { contentType: string; pieces: Pieces } {
  assertBytes(content, 'content');
  return withEnvelope(options, content.length, ({ type, cipher, associated, write }, key) => {
    const { pieces, tag } = encryptContent(cipher, key, content, associated);
    const writeTag = tag && ((w: DerWriter) => w.big(Tag.OCTET_STRING, tag));
    return { contentType: type, pieces: writeContentInfo(type, (w) => write(w, pieces, writeTag)) };
  });
}

/** A message around content that comes in chunks: BER, since nobody knows how long it will be. */
export interface EnvelopeStream {
  /** Dotted OID: id-envelopedData or id-authEnvelopedData. */
  readonly contentType: string;
  /** What stands before the encrypted content. */
  readonly before: Uint8Array;
  readonly encryptor: ContentEncryptor;
  /** What stands behind it, once all of it is encrypted. */
  after(): Uint8Array;
}

/** @throws as {@link envelopedPieces}; MailsealError UNSUPPORTED_FEATURE for AES-CCM */
export function envelopeStream(options: EncryptOptions): EnvelopeStream {
  return withEnvelope(options, Number.MAX_SAFE_INTEGER, ({ type, cipher, associated, write }, key) => {
    const encryptor = contentEncryptor(cipher, key, associated);
    const around = (tag?: Uint8Array) =>
      writeContentInfoAround(type, (w) => write(w, undefined, tag && ((w) => w.octets(tag))));
    return {
      contentType: type,
      before: around().before,
      encryptor,
      after: () => around(encryptor.tag()).after,
    };
  });
}

/** All of a message but its content. */
interface Envelope {
  /** Dotted OID. */
  readonly type: string;
  readonly cipher: WrittenCipher;
  /** What is authenticated beside the content. */
  readonly associated: Uint8Array;
  /** @param content undefined if it comes in chunks */
  write(w: DerWriter, content: Pieces | undefined, writeTag: ((w: DerWriter) => void) | undefined): void;
}

/**
 * @param length octets of the content, or more
 * @param use is given the content key, which is wiped afterwards
 */
function withEnvelope<T>(
  options: EncryptOptions,
  length: number,
  use: (envelope: Envelope, key: Uint8Array) => T,
): T {
  const { contentType = OID.data, now = new Date(), random = randomBytes } = options;
  const given = distinct(options.recipients ?? []);
  const recipients = given.map(({ certificate }) => certificate);
  const { sharedKeys = [], passwords = [] } = options;
  checkSecrets({ sharedKeys, passwords });
  if (recipients.length + sharedKeys.length + passwords.length === 0) {
    throw new RangeError('a message needs at least one recipient');
  }
  for (const certificate of recipients) checkRecipient(certificate, now);
  const secrets = sharedKeys.length + passwords.length;
  const choice = chooseEncryption(given, { secrets, ...options, now });
  const { kind } = encryptionKind(choice.cipher);
  options.onChoice?.(choice);
  const key = random(kind.keyLength);
  try {
    const infos = [
      ...choice.recipients.map((recipient) => writeRecipient(recipient, key, options)),
      ...sharedKeys.map((shared) => writeKekRecipient(shared, key)),
      ...passwords.map((password) => writePasswordRecipient(password, key, random)),
    ];
    const cipher = writeContentCipher(kind.name, length, random, options.cekHkdf);
    const isAead = cipher.mode !== 'cbc';
    const attributes = isAead ? writeAuthAttrs(contentType) : [];
    const associated = attributes.length === 0 ? new Uint8Array() : writeDer((w) => w.setOf(attributes));
    const write: Envelope['write'] = (w, content, writeTag) => {
      w.integer(isAead ? 0 : envelopedVersion(recipients, options));
      w.setOf(infos);
      w.sequence((w) => {
        w.oid(contentType);
        w.raw(cipher.algorithm);
        writeContent(w, context(0), content);
      });
      if (attributes.length > 0) w.implicitSetOf(1, attributes);
      writeTag?.(w);
    };
    const type = isAead ? OID.authEnvelopedData : OID.envelopedData;
    return use({ type, cipher, associated, write }, key);
  } finally {
    wipe(key);
  }
}

/** Each certificate once, however often it is named; with what its owner reads, where that is known once. */
function distinct(given: readonly (Certificate | Recipient)[]): Recipient[] {
  const recipients = new Map<string, Recipient>();
  for (const one of given) {
    const recipient = 'certificate' in one ? one : { certificate: one };
    const key = latin1(recipient.certificate.fingerprint);
    if (recipients.get(key)?.capabilities === undefined) recipients.set(key, recipient);
  }
  return [...recipients.values()];
}

/** RFC 5652 6.1; that of AuthEnvelopedData is always 0. */
function envelopedVersion(recipients: readonly Certificate[], options: EncryptOptions): number {
  const { recipientIdentifier, sharedKeys = [], passwords = [] } = options;
  if (passwords.length > 0 || recipients.some(({ publicKey }) => kemOf(publicKey) !== undefined)) return 3;
  if (sharedKeys.length > 0 || recipientIdentifier === 'subjectKeyIdentifier') return 2;
  return recipients.every(({ publicKey }) => publicKey.algorithm === 'rsa') ? 0 : 2;
}

/** content-type, for content that is not id-data: its type could be exchanged else (RFC 5083 2.1). */
function writeAuthAttrs(contentType: string): Uint8Array[] {
  return contentType === OID.data ? [] : [writeDer(attribute(OID.contentType, (w) => w.oid(contentType)))];
}

/** KeyTransRecipientInfo (6.2.1), KeyAgreeRecipientInfo (6.2.2) or KEMRecipientInfo (RFC 9629): by the key. */
function writeRecipient(
  { certificate, keyEncryption }: RecipientChoice,
  key: Uint8Array,
  { recipientIdentifier = 'issuerAndSerialNumber' }: EncryptOptions,
): DerValue {
  if (keyEncryption.type === 'agreement') {
    return writeKeyAgreement(certificate, key, recipientIdentifier, keyEncryption.hash);
  }
  if (keyEncryption.type === 'encapsulation') {
    return writeKeyEncapsulation(certificate, keyEncryption.name, key, recipientIdentifier);
  }
  const { name, hash } = keyEncryption;
  const encryptedKey = wrapTransported(certificate, key, name, hash);
  return (w) =>
    w.sequence((w) => {
      w.integer(recipientIdentifier === 'issuerAndSerialNumber' ? 0 : 2);
      writeIdentifier(w, certificate, recipientIdentifier);
      writeKeyTransport(w, name, hash);
      w.octets(encryptedKey);
    });
}

/** RFC 5280 4.2.1.3: key transport takes keyEncipherment, as key encapsulation does (RFC 9935), key agreement keyAgreement. */
function checkRecipient(certificate: Certificate, now: Date): void {
  const { publicKey, keyUsage, subject } = certificate;
  const { algorithm, algorithmOid, curve, curveOid } = publicKey;
  if (algorithm === 'rsa-pss') {
    throw new MailsealError('KEY_UNSUITABLE', `the key of ${subject} is for RSASSA-PSS signatures only`);
  }
  const agrees = canAgree(publicKey);
  const kem = kemOf(publicKey);
  if (kem !== undefined) requireMlKem(kem);
  else if (algorithm !== 'rsa' && !agrees) {
    const oid = algorithm === 'ec' ? (curveOid ?? algorithmOid) : algorithmOid;
    const what = curve ?? describeOid(oid);
    throw new MailsealError('UNSUPPORTED_ALGORITHM', `encrypting to ${subject}, whose key is of ${what}`, {
      oid,
    });
  }
  const usage = agrees ? 'keyAgreement' : 'keyEncipherment';
  if (keyUsage !== undefined && !keyUsage[usage]) {
    throw new MailsealError('KEY_UNSUITABLE', `the certificate of ${subject} is not for ${usage}`);
  }
  checkUsable(certificate, now);
}
