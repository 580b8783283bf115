/**
 * The one error class. A caller branches on `code`, never on the message; the union below is the list of codes.
 * Families: malformed input, unsupported, wrong key or password, limit exceeded, not trusted, use and environment.
 */

export type ErrorCode =
  // Malformed: the input is not what the standard says.
  | 'ASN1_TRUNCATED' // the input ends inside a value
  | 'ASN1_BAD_TAG' // identifier octets that X.690 8.1.2 does not allow, or a tag number over 65,535
  | 'ASN1_BAD_LENGTH' // length octets that X.690 8.1.3 does not allow, or a length outside the enclosing value
  | 'ASN1_NOT_DER' // BER where DER was asked for
  | 'ASN1_TRAILING_DATA' // octets after the value
  | 'ASN1_UNEXPECTED' // another type than the schema has here
  | 'ASN1_BAD_VALUE' // content octets that do not fit the type
  | 'PEM_MALFORMED' // no PEM block, or one with a bad boundary or bad base64
  | 'X509_MALFORMED' // a certificate or key breaks RFC 5280 or its own RFC
  | 'KEY_MALFORMED' // a private or public key is inconsistent
  | 'PFX_MALFORMED' // the PFX breaks RFC 7292
  | 'CMS_MALFORMED' // the message breaks RFC 5652
  | 'MIME_MALFORMED' // the mail breaks RFC 2045, 2046 or 5322 where we need it
  | 'NOT_SMIME' // a mail, but neither signed nor encrypted in S/MIME
  // Unsupported: well-formed, but not built. Carries the OID where there is one.
  | 'UNSUPPORTED_ALGORITHM'
  | 'UNSUPPORTED_FEATURE'
  // Wrong key or password.
  | 'PFX_WRONG_PASSWORD' // the MAC does not match and the password opens nothing
  | 'PFX_MAC_MISMATCH' // the password opens the content, but its MAC does not match: the file was changed
  | 'PFX_NO_MAC' // the PFX has no integrity protection
  | 'PFX_NO_KEY' // the PFX holds no private key where one is needed
  | 'RECIPIENT_UNKNOWN' // no key for any recipient identifier of the message
  | 'DECRYPTION_FAILED' // one error for every cause after a key was chosen
  | 'KEY_MISMATCH' // a private key that does not belong to its certificate
  | 'SEAL_KEY_INVALID' // a sealing key of the wrong size or form
  | 'SEAL_KEY_WRONG' // the key store was sealed with another key
  // Limit exceeded.
  | 'LIMIT_DEPTH' // nesting
  | 'LIMIT_RECORDS' // number of values
  | 'LIMIT_LENGTH' // size of an input
  | 'LIMIT_COST' // iterations of key derivation, signatures to verify
  // Not trusted, not intact.
  | 'NOT_TRUSTED' // no valid path to a trust anchor
  | 'SIGNATURE_INVALID' // the signature does not match
  | 'CONTENT_CHANGED' // the content's digest is not the signed one
  | 'NOT_SIGNED' // no signer at all
  | 'NOT_ENCRYPTED' // signed, but nothing in it to decrypt
  | 'SIGNER_UNKNOWN' // the signer's certificate is not at hand
  | 'SIGNATURE_WEAK' // made with SHA-1 or a key that can be broken
  | 'SENDER_MISMATCH' // a mail whose From is not the signer's address
  | 'FROM_MISMATCH' // a mail whose From is not the one in its signed header
  | 'PARTLY_SIGNED' // a mail with parts that the signature does not cover
  | 'CONTENT_MISSING' // a detached signature, and not what it is over
  // Use and environment.
  | 'KEY_UNSUITABLE' // a certificate or key may not be used for this
  | 'KEY_UNAVAILABLE' // a key outside the process did not do what it was asked for; the cause says why
  | 'RECIPIENT_INCAPABLE' // a recipient says that they can't read what the policy asks for
  | 'STORE_INVALID' // not a key store, or of another schema version
  | 'USER_UNKNOWN' // the key store has no such user
  | 'USAGE' // the command line does not make sense
  | 'INTERNAL' // a bug of mailseal that one file of many brought to light
  | 'IO'; // a file can't be read or written

/** Where an error was found, beside its message. */
export interface ErrorDetails {
  /** Byte offset in the input that was given. */
  offset?: number | undefined;
  /** Dotted OID of what is not supported. */
  oid?: string | undefined;
  cause?: unknown;
}

export class MailsealError extends Error {
  override readonly name = 'MailsealError';
  readonly code: ErrorCode;
  /** Byte offset in the input, where the error has a place. */
  readonly offset?: number;
  /** Dotted OID of the unsupported algorithm or type. */
  readonly oid?: string;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    if (details.offset !== undefined) this.offset = details.offset;
    if (details.oid !== undefined) this.oid = details.oid;
  }
}

/** What `read` returns, or something else where what it reads is malformed, or otherwise refused. */
export function readable<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof MailsealError) return otherwise;
    throw error;
  }
}
