/** The public API: re-exports only. */

export { Tag } from './asn1/tags.js';
export { DerNode, DerReader, type ParseOptions, parseDer, parseDerBatch } from './asn1/tape.js';
export { type PemBlock, readPem, writePem } from './bytes.js';
export type { Attribute } from './cms/attributes.js';
export { type AuthenticatedContent, verifyAuthenticatedData } from './cms/authenticated.js';
export type {
  ChosenCipher,
  EncryptionChoice,
  EncryptionPolicy,
  KeyEncryption,
  KnownCapabilities,
  Recipient,
  RecipientChoice,
} from './cms/choice.js';
export type { ContentCipherName, EncryptionCipher } from './cms/ciphers.js';
export type { DecompressOptions } from './cms/compressed.js';
export { type ContentInfo, contentOfType, readContentInfo } from './cms/content.js';
export { type DigestedContent, readDigestedData } from './cms/digested.js';
export { type DecryptedData, decryptEncryptedData } from './cms/encrypted.js';
export type { DecryptedContent, KeyEncryptionName, Remark } from './cms/enveloped.js';
export type { CertificateIdentifier } from './cms/identifiers.js';
export type { KeyTransportName } from './cms/keytransport.js';
export { type KeyCandidate, type KeyFinder, keyRing, type RecipientIdentifier } from './cms/recipients.js';
export { MAX_PASSWORD_COST, type SharedKey, type SharedSecrets } from './cms/sharedkeys.js';
export type { Signer, SigningDigest, SigningScheme } from './cms/signed.js';
export type { SmimeCapability } from './cms/smimeattributes.js';
export { type ErrorCode, type ErrorDetails, MailsealError } from './errors.js';
export {
  type ImportError,
  type ImportInput,
  type ImportOptions,
  type ImportReport,
  type ImportRow,
  importPfx,
} from './import.js';
export {
  type AddOutcome,
  type AddResult,
  type EncryptionOptions,
  generateSealKey,
  type KeyPurpose,
  type KeyStore,
  type Match,
  type OpenOptions,
  openKeyStore,
  type Removed,
  readSealKey,
  type SignerStatement,
  type SigningEntry,
  type StoredCertificate,
  type StoreEntry,
  type UserSummary,
} from './keystore/store.js';
export { type PfxBatchInput, type PfxResult, readPfxBatch } from './pfx/bulk.js';
export { type PfxContents, type PfxEntry, type PfxOptions, readPfx } from './pfx/read.js';
export { type PfxProfile, type WritePfxOptions, writePfx } from './pfx/write.js';
export { readCertificates, type WriteCertificatesOptions, writeCertificates } from './smime/certificates.js';
export type { Decompressed } from './smime/compress.js';
export type { Coverage, PartRange } from './smime/coverage.js';
export type { HeaderPolicy, HeaderPolicyName } from './smime/headerpolicy.js';
export { removeLegacyDisplay } from './smime/legacydisplay.js';
export type { Decrypted, DecryptOptions, EncryptOptions, SignOptions } from './smime/message.js';
export { compress, decompress, decrypt, encrypt, sign, verify } from './smime/operations.js';
export type {
  FieldProtection,
  HeaderDifference,
  HeaderValue,
  ProtectedField,
  ProtectedHeaders,
} from './smime/protectedheaders.js';
export type { DecompressedStream } from './smime/streams/decompress.js';
export type { DecryptedStream } from './smime/streams/decrypt.js';
export type { MessageStream, SpoolSettings, StreamOptions } from './smime/streams/incoming.js';
export type { StreamedContent } from './smime/streams/stored.js';
export type { StreamedVerifyOptions, VerdictStream } from './smime/streams/verify.js';
export type {
  CounterSignature,
  Problem,
  SignerVerdict,
  Verdict,
  VerifyOptions,
} from './smime/verify.js';
export { Certificate } from './x509/certificate.js';
export type { DigestName } from './x509/digests.js';
export {
  type AnyPrivateKey,
  type HandleDecryption,
  type HandleSignature,
  type KeyAlgorithm,
  type KeyHandle,
  PrivateKey,
  PublicKey,
  type WebCrypto,
  type WebCryptoKey,
  webCryptoKey,
} from './x509/keys.js';
export { Name } from './x509/name.js';
export type { PathReason } from './x509/path.js';
