/**
 * Signing, encrypting and decrypting S/MIME messages (RFC 8551 sections 3.1 to 3.6). A message is a mail, or a MIME
 * entity without the fields of one; its header fields that are not about the content stay outside, as they are. To
 * sign and encrypt, sign first and encrypt the result; the other order works as well. Verifying is in verify.ts.
 * Public API; used by the command line.
 */
import { describeOid, OID } from '../asn1/oids.js';
import { assertBytes, join } from '../bytes.js';
import {
  AuthEnvelopedData,
  type EncryptOptions as CmsEncryptOptions,
  type DecryptedContent,
  decryptEnvelopedData,
  EnvelopedData,
  envelopedPieces,
} from '../cms/enveloped.js';
import type { KeyFinder } from '../cms/recipients.js';
import type { SharedSecrets } from '../cms/sharedkeys.js';
import { type MessageDigest, type SignDataOptions, SignedData, signedPieces } from '../cms/signed.js';
import { MailsealError, readable } from '../errors.js';
import type { AnyPrivateKey } from '../x509/keys.js';
import {
  buildMultipartSigned,
  buildPkcs7Mime,
  joinMessage,
  type SmimeType,
  type SplitMessage,
  splitMessage,
} from './build.js';
import type { HeaderPolicy, HeaderPolicyName } from './headerpolicy.js';
import type { Headers } from './headers.js';
import { readInput, type SmimeInput } from './input.js';
import { classify, parseEntity, tolerant } from './mime.js';
import { protectHeaders } from './protect.js';
import {
  applyProtected,
  type FoundHeaders,
  mayBeLayer,
  mayProtectInside,
  type ProtectedHeaders,
  protectedHeadersIn,
} from './protectedheaders.js';
import { prepareEntity } from './sevenbit.js';

export interface SignOptions
  extends Omit<SignDataOptions<AnyPrivateKey>, 'contentType' | 'includeCertificates'> {
  /**
   * Protect the header fields (RFC 9788). `clear`: of a mail that is only signed; the outer header stays as it is. A policy:
   * of a mail that is then encrypted; the outer header becomes what the policy leaves of it, and `encrypt` keeps that. The
   * baseline policy makes Subject `[...]`. Default: no field is signed.
   */
  readonly protectHeaders?: 'clear' | HeaderPolicyName | HeaderPolicy;
  /** With a policy: fields that readers show and the policy hides are written into the text, too. Default false. */
  readonly legacyDisplay?: boolean;
  /** multipart/signed, which every mail program shows, or one opaque part. Default true. */
  readonly detached?: boolean;
}

/**
 * Signs a message. What is signed is made fit for transport first: CRLF, 7-bit transfer encoding (RFC 8551 3.1).
 * @returns a mail with the message's own header fields
 * @throws MailsealError MIME_MALFORMED, LIMIT_*, KEY_MISMATCH, KEY_UNSUITABLE, UNSUPPORTED_ALGORITHM with the OID;
 *   KEY_UNAVAILABLE for a key outside of the process
 * @throws RangeError without signers, or for an option's value that is none
 */
export async function sign(message: Uint8Array, options: SignOptions): Promise<Uint8Array> {
  return join(await signInPieces(message, options));
}

/** {@link sign}, without a copy of what is clear-signed. */
export async function signInPieces(message: Uint8Array, options: SignOptions): Promise<Uint8Array[]> {
  assertBytes(message, 'message');
  const { detached = true, ...rest } = options;
  const { outer, entity } = parted(message, rest);
  const content = prepareEntity(entity);
  const { pieces, digests } = await signedPieces(content, { detached, ...rest });
  if (!detached) return [buildPkcs7Mime({ outer, smimeType: 'signed-data', content: pieces })];
  const { before, after } = buildMultipartSigned({ outer, micalg: micalgOf(digests) });
  return [before, content, after(join(pieces))];
}

/** RFC 8551 3.5.3.2. */
export const micalgOf = (digests: readonly MessageDigest[]): string =>
  digests.map((digest) => digest.replace(/^sha(?=\d)/, 'sha-')).join(',');

/** A message in two, its header fields protected if that is asked for. */
export function parted(
  message: Uint8Array,
  options: Pick<SignOptions, 'protectHeaders' | 'legacyDisplay'>,
): SplitMessage {
  const split = splitMessage(message);
  const { protectHeaders: how, legacyDisplay } = options;
  if (how !== undefined) return protectHeaders(split, { protectHeaders: how, legacyDisplay });
  if (legacyDisplay === true) throw new RangeError('legacyDisplay goes with protectHeaders');
  return split;
}

export interface EncryptOptions extends Omit<CmsEncryptOptions, 'contentType'> {
  /**
   * Protect the header fields (RFC 9788) of a mail that is not signed: all go into what is encrypted, and outside stays what
   * the policy leaves. Of a mail that `sign` protected, nothing more is to do. Default: no field is encrypted.
   */
  readonly protectHeaders?: HeaderPolicyName | HeaderPolicy;
  /** As that of `sign`. */
  readonly legacyDisplay?: boolean;
}

/**
 * Encrypts a message, which may be signed already.
 * @returns a mail with the message's own header fields; those are not encrypted, unless they are protected
 * @throws MailsealError MIME_MALFORMED, LIMIT_*, KEY_UNSUITABLE, UNSUPPORTED_ALGORITHM with the OID
 * @throws RangeError without recipients, or for an option's value that is none
 */
export async function encrypt(message: Uint8Array, options: EncryptOptions): Promise<Uint8Array> {
  assertBytes(message, 'message');
  const { outer, entity } = parted(message, options);
  const { contentType, pieces } = envelopedPieces(prepareEntity(entity), options);
  return buildPkcs7Mime({ outer, smimeType: smimeTypeOf(contentType), content: pieces });
}

/** @param contentType OID of EnvelopedData or AuthEnvelopedData */
export const smimeTypeOf = (contentType: string): SmimeType =>
  contentType === OID.envelopedData ? 'enveloped-data' : 'authEnveloped-data';

export interface DecryptOptions extends SharedSecrets {
  /** A key store, or keyRing(pfxContents…). Default: no private keys. */
  readonly keys?: KeyFinder;
}

export interface Decrypted extends DecryptedContent {
  /**
   * The mail with its content opened: outer header fields and the decrypted entity, joined when first asked for. Protected
   * fields (RFC 9788) stand in place of those outside, but for a From of another address, which only a signature proves.
   * Undefined if the input was no mail, or if what it holds is no MIME entity that can be read in one way only.
   */
  readonly message: Uint8Array | undefined;
  /**
   * Protected header fields, read when first asked for, whether they are in the decrypted entity itself or in a signed one
   * inside; no signature is verified. Undefined if there are none.
   */
  readonly headers: ProtectedHeaders | undefined;
}

/**
 * Opens an encrypted message: a mail, or a CMS object in PEM, BER or DER. Signatures around it are looked through and
 * not verified; those inside are for `verify`, which takes the result's `message` or `content`.
 * @throws MailsealError RECIPIENT_UNKNOWN, naming whom it is for; DECRYPTION_FAILED for every cause after a key was
 *   found; KEY_UNSUITABLE for a key that was wiped; KEY_UNAVAILABLE for one outside of the process, and what its handle
 *   throws; NOT_ENCRYPTED, NOT_SMIME, UNSUPPORTED_ALGORITHM and UNSUPPORTED_FEATURE with the OID, CMS_MALFORMED,
 *   MIME_MALFORMED, PEM_MALFORMED, ASN1_*, LIMIT_*
 */
export async function decrypt(message: Uint8Array, options: DecryptOptions): Promise<Decrypted> {
  return decryptInput(readInput(message), message, options);
}

/** {@link decrypt} of what was read. @param message may be the header alone */
export async function decryptInput(
  input: SmimeInput,
  message: Uint8Array,
  options: DecryptOptions,
): Promise<Decrypted> {
  const opened = await decryptEnvelopedData(findEnveloped(input, MAX_SIGNED_LAYERS), options.keys, options);
  if (opened.contentType !== OID.data) return { ...opened, message: undefined, headers: undefined };
  const { content } = opened;
  const outside = input.mail?.headers;
  const found = once(() => findHeaders(content, outside, false));
  const joined = once(
    () => outside && tryJoin(...applyProtected(splitMessage(message).outer, content, found())),
  );
  // What is found at first glance, a thorough look finds too.
  const headers = once(() => (found() ?? findHeaders(content, outside, true))?.headers);
  return Object.assign(new Shown(joined, headers), opened);
}

/**
 * The fields of {@link Decrypted} that are made when they are asked for. With getters of its own each result would have a
 * hidden class of its own in V8, which keeps all that they see up to the next full garbage collection.
 */
class Shown {
  readonly #message: () => Uint8Array | undefined;
  readonly #headers: () => ProtectedHeaders | undefined;

  constructor(message: () => Uint8Array | undefined, headers: () => ProtectedHeaders | undefined) {
    this.#message = message;
    this.#headers = headers;
    Object.defineProperties(this, OWN_FIELDS);
  }

  get message(): Uint8Array | undefined {
    return this.#message();
  }

  get headers(): ProtectedHeaders | undefined {
    return this.#headers();
  }
}

/** Its getters, for fields of the object itself, as it has of all the others: they are copied and printed. */
const OWN_FIELDS = Object.fromEntries(
  (['message', 'headers'] as const).map((field) => [
    field,
    { ...Object.getOwnPropertyDescriptor(Shown.prototype, field), enumerable: true },
  ]),
);

/** What `make` returns, made when it is first asked for. */
function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** @param thorough look into what is signed opaquely even where nothing in its first octets tells of protected fields */
function findHeaders(
  content: Uint8Array,
  outside: Headers | undefined,
  thorough: boolean,
): FoundHeaders | undefined {
  return readable(() => {
    let payload = content;
    for (let i = 0; i < MAX_SIGNED_LAYERS && mayBeLayer(payload); i++) {
      const entity = parseEntity(payload);
      const smime = classify(entity);
      if (smime.kind === 'multipart-signed') payload = smime.content.bytes;
      else if (smime.kind === 'none' || !(thorough || mayProtectInside(entity))) break;
      else {
        const { contentType, content } = readInput(payload).contentInfo;
        const signed = contentType === OID.signedData ? SignedData.parse(content).content : undefined;
        if (signed === undefined) break;
        payload = signed;
      }
    }
    return protectedHeadersIn(payload, outside);
  }, undefined); // undefined too where what is signed can't be read: verify says why
}

/**
 * The EnvelopedData or AuthEnvelopedData of a message, for whoever wants to know its recipients.
 * @throws MailsealError as {@link decrypt}, but for those of keys
 */
export function readEnveloped(message: Uint8Array): EnvelopedData | AuthEnvelopedData {
  return findEnveloped(readInput(message), MAX_SIGNED_LAYERS);
}

/** Signatures around an encrypted message: RFC 8551 3.7 makes one, a mailing list may add another. */
export const MAX_SIGNED_LAYERS = 4;

function findEnveloped(input: SmimeInput, layersLeft: number): EnvelopedData | AuthEnvelopedData {
  const { contentType, content } = input.contentInfo;
  switch (contentType) {
    case OID.envelopedData:
      return EnvelopedData.parse(content);
    case OID.authEnvelopedData:
      return AuthEnvelopedData.parse(content);
    case OID.signedData: {
      const signed = input.signedEntity?.bytes ?? SignedData.parse(content).content;
      if (signed === undefined || layersLeft === 0) throw notEncrypted();
      return findEnveloped(readSigned(signed), layersLeft - 1);
    }
    default:
      throw content.fail('UNSUPPORTED_FEATURE', `decrypting ${describeOid(contentType)}`, {
        oid: contentType,
      });
  }
}

function readSigned(content: Uint8Array): SmimeInput {
  try {
    return readInput(content);
  } catch (error) {
    throw error instanceof MailsealError && error.code === 'NOT_SMIME' ? notEncrypted() : error;
  }
}

export const notEncrypted = () =>
  new MailsealError('NOT_ENCRYPTED', 'the message is signed, but not encrypted');

/** EFAIL: an entity that readers could read in two ways is not made a mail of. */
export function tryJoin(outer: Uint8Array, entity: Uint8Array): Uint8Array | undefined {
  return tolerant(() => joinMessage(outer, entity), undefined);
}
