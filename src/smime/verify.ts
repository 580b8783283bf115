/**
 * Verifying signed messages (RFC 8551 3.5, RFC 8550 2.3, 3 and 4): clear-signed and opaque, on the exact octets. A
 * verdict is valid only if nothing at all is wrong: every signer's signature, every signer's path to the caller's
 * trust anchors, and the sender («Johnny, you are fooled», USENIX Security 2019). What is wrong is listed; nothing is
 * thrown but for input that is no signed message. Public API; used by the command line.
 */

import { describeOid, OID } from '../asn1/oids.js';
import type { DerNode } from '../asn1/tape.js';
import type { Attribute, SignedAttributes } from '../cms/attributes.js';
import { type ContentInfo, contentOfType } from '../cms/content.js';
import { type CertificateIdentifier, identifies } from '../cms/identifiers.js';
import { SignedData, type SignerResult, verifySignedData } from '../cms/signed.js';
import type { SmimeCapability } from '../cms/smimeattributes.js';
import { type ErrorCode, MailsealError, readable } from '../errors.js';
import type { Certificate } from '../x509/certificate.js';
import {
  PathBudget,
  type PathPurpose,
  type PathReason,
  type PathResult,
  validatePath,
} from '../x509/path.js';
import { addressOf, type Mailbox, readSenders, type Senders } from './addresses.js';
import { type Coverage, coverage } from './coverage.js';
import type { Headers } from './headers.js';
import { readInput, type SmimeInput } from './input.js';
import type { MimeEntity } from './mime.js';
import { type FoundHeaders, type ProtectedHeaders, protectedHeadersIn } from './protectedheaders.js';
import { canonicalize, hasLoneCr } from './transfer.js';

export interface VerifyOptions {
  /** The only certificates that are believed; those in the message never are. */
  trust: readonly Certificate[];
  /** More certificates that signers may have or paths lead through, for messages that do not bring them. Not believed. */
  certificates?: readonly Certificate[];
  /** The moment at which certificates have to be valid. Default: now. */
  now?: Date;
  /** Revocation lists. Checking them is not built: with any given, no path is trusted. */
  crls?: readonly Uint8Array[];
  /** What a detached CMS signature is over; a mail brings its own. */
  content?: Uint8Array;
  /** The message came out of an encrypted one: protected fields that were not left outside count as confidential. */
  decrypted?: boolean;
  /** Accept SHA-1 in the signatures of certificates and of the message, as old mail has it; never MD5. Default false. */
  allowSha1?: boolean;
}

export interface Problem {
  code: ErrorCode;
  message: string;
  /** Index of the signer that it is about; without one it is about the message. */
  signer?: number;
}

export interface SignerVerdict {
  /** No problem with this signer. */
  valid: boolean;
  /** The signature is this certificate's over the content. */
  signatureValid: boolean;
  /** There is a valid path from the certificate to a trust anchor; not looked for unless the signature is valid. */
  trusted: boolean;
  certificate?: Certificate;
  /** From the signer's certificate to the trust anchor; if it is not trusted, as far as that was looked for. */
  path: readonly Certificate[];
  /** Why no path was found: the rule that failed. */
  untrusted?: PathReason;
  /** Mail addresses of a valid signer's certificate. */
  emails: readonly string[];
  /** What the signer says; only a time stamp would prove it. */
  signingTime?: Date;
  /** `sha256`, `sha1` … */
  digest?: string;
  /** MD5, SHA-1, or an RSA key that can be broken. */
  weak: boolean;
  /** What the signer's mail program says it can read, the preferred first: for choosing how to answer. */
  capabilities?: readonly SmimeCapability[];
  /** How a valid signer names the certificate to encrypt answers to. */
  encryptionKeyPreference?: CertificateIdentifier;
  /**
   * That certificate, where the message or the caller brings it: the signer's own, or one that is trusted and has an
   * address of the signer. None where several such certificates have that name, since anyone can add one to a message.
   */
  encryptionCertificate?: Certificate;
  /** All signed attributes of a valid signer, in the order of the message: those that nothing here reads are kept too. */
  signedAttributes?: readonly Attribute[];
  /** Signatures over a valid signer's signature. Anyone can add one or take it away, so none is part of the verdict. */
  counterSignatures: readonly CounterSignature[];
}

export interface CounterSignature extends SignerVerdict {
  /** What is wrong with it. */
  problems: readonly Problem[];
}

export interface Verdict extends Coverage {
  /**
   * Nothing is wrong: every signer is valid and trusted, each address in From, if there is one, is a signer's, and no part
   * of the mail is without the signature (its header always is).
   */
  valid: boolean;
  signers: SignerVerdict[];
  /** Everything that is wrong, in order of detection; empty if the verdict is valid. */
  problems: Problem[];
  /** What was signed: of a mail, the MIME entity, in the octets that the signature is over. May be a view of the input. */
  content: Uint8Array;
  /** OID of the type that the signature says the content has: id-data, of a CMS object also others. */
  contentType: string;
  /** All certificates that the message brings, whoever signed: to be kept for answering, never to be trusted. */
  certificates: readonly Certificate[];
  /** Whether the signature is beside the content (multipart/signed, detached CMS) or around it. */
  detached: boolean;
  /**
   * The signed header fields (RFC 9788, or an older scheme), where there are any, and what differs outside. They are to be
   * shown in place of those of the mail.
   */
  headers?: ProtectedHeaders;
  /** Addresses in From, of the signed fields where those have one; empty if the input is not a mail or has none. */
  from: string[];
  /** Addresses in Sender, which a mailing list may have written. No signature is compared with them. */
  sender: string[];
  /**
   * There is a From, each address in it is a valid signer's, and all parts are signed. False of a MIME entity or CMS
   * object, which has none.
   */
  senderVerified: boolean;
}

/**
 * Verifies a mail, or a CMS object in PEM, BER or DER.
 * @throws MailsealError USAGE (content given with a mail that brings its own), NOT_SMIME, NOT_SIGNED, CONTENT_MISSING,
 *   CONTENT_CHANGED (a signature that is both around and
 *   beside its content, and they differ), MIME_MALFORMED, PEM_MALFORMED, CMS_MALFORMED, ASN1_*,
 *   LIMIT_*, UNSUPPORTED_FEATURE: the input is not a signed message that can be read
 */
export async function verify(message: Uint8Array, options: VerifyOptions): Promise<Verdict> {
  const input = readInput(message, { signedPart: true });
  const { mail, path, contentInfo } = input;
  const signed = SignedData.parse(signedDataIn(contentInfo));
  const { results, content } = verifySignatures(signed, input, options);
  const verified = { signed, results, beginning: content, mail, isRoot: path === '', ...coverage(input) };
  return { content, ...judgeMessage(verified, options) };
}

/** @throws MailsealError NOT_SIGNED, UNSUPPORTED_FEATURE */
export function signedDataIn(contentInfo: ContentInfo): DerNode {
  const { contentType } = contentInfo;
  if (contentType === OID.envelopedData || contentType === OID.authEnvelopedData) {
    throw new MailsealError('NOT_SIGNED', 'the message is encrypted; decrypt it, then verify what it holds');
  }
  return contentOfType(contentInfo, OID.signedData);
}

/** A message whose signatures were looked at. */
export interface VerifiedMessage extends Coverage {
  readonly signed: SignedData;
  readonly results: readonly SignerResult[];
  /** What was signed, or as much of its beginning as a header can have. */
  readonly beginning: Uint8Array;
  readonly mail: MimeEntity | undefined;
  /** All of the mail is signed, not one part of it. */
  readonly isRoot: boolean;
}

/** What is to be said of it. */
export function judgeMessage(
  { signed, results, beginning, mail, isRoot, covered, uncovered }: VerifiedMessage,
  options: VerifyOptions,
): Omit<Verdict, 'content'> {
  const { now = new Date() } = options;
  const problems: Problem[] = [];
  const court: Court = { signed, options, now, budget: new PathBudget() };
  const signers = results.map((result, signer) => {
    const judgement = judge(result, court);
    for (const { code, message } of judgement.problems) problems.push({ code, message, signer });
    return judgement.verdict;
  });
  // After all signers, so that other certificates and counter-signatures, which anyone can add, leave them the budget.
  signers.forEach((verdict) => void addEncryptionCertificate(verdict, court));
  signers.forEach((verdict, i) => {
    verdict.counterSignatures = judgeCounters(results[i] as SignerResult, court);
  });
  // RFC 8551 3.4.3.2 and RFC 5652 5.1: what a mail signs is id-data. Octets of another type are no MIME entity.
  if (mail !== undefined && signed.contentType !== OID.data) {
    const message = `what is signed is ${describeOid(signed.contentType)}, not a MIME entity`;
    problems.push({ code: 'UNSUPPORTED_FEATURE', message });
  }
  // RFC 9788 section 2.1: header fields are protected at the root alone, not in a part among others.
  const found = isRoot
    ? protectedHeadersIn(beginning, mail?.headers, {
        encrypted: options.decrypted === true,
        signed: signers.length > 0 && signers.every((signer) => signer.valid),
      })
    : undefined;
  const sender = checkHeaders(mail?.headers, found, signers, problems);
  if (covered !== undefined && uncovered.parts.length > 0) {
    sender.senderVerified = false;
    const parts = uncovered.parts
      .map(({ path, type }) => `part ${path} (${type || 'unreadable'})`)
      .join(', ');
    problems.push({ code: 'PARTLY_SIGNED', message: `part ${covered.path} is signed, but not ${parts}` });
  }
  return {
    valid: problems.length === 0,
    signers,
    problems,
    contentType: signed.contentType,
    certificates: signed.certificates,
    detached: signed.content === undefined,
    ...(found && { headers: found.headers }),
    ...sender,
    ...(covered && { covered }),
    uncovered,
  };
}

/**
 * Over the exact octets first. A mail that was stored with LF line ends is then verified with CRLF, in which it was
 * signed; in that order, since a signer may have had a lone CR or LF in the content.
 */
function verifySignatures(signed: SignedData, { signedEntity }: SmimeInput, options: VerifyOptions) {
  if (signedEntity !== undefined && options.content !== undefined) {
    throw new MailsealError('USAGE', 'the mail brings the content that is signed; no other can be given');
  }
  const exact = signedEntity?.bytes ?? options.content;
  let outcome: ReturnType<typeof verifyOver> | undefined;
  let changed: unknown;
  try {
    outcome = verifyOver(exact, signed, options);
    if (signedEntity === undefined || outcome.results.every((result) => result.valid)) return outcome;
  } catch (error) {
    // The signature is around the content too, and that is not what stands beside it.
    if (!(error instanceof MailsealError) || error.code !== 'CONTENT_CHANGED') throw error;
    changed = error;
  }
  // No store leaves a lone CR: readers that take it for a line end would see other parts than were signed.
  const canonical = exact && (hasLoneCr(exact) ? exact : canonicalize(exact));
  if (canonical !== exact) return verifyOver(canonical, signed, options);
  if (outcome === undefined) throw changed;
  return outcome;
}

function verifyOver(content: Uint8Array | undefined, signed: SignedData, options: VerifyOptions) {
  const certificates = [...(options.certificates ?? []), ...options.trust];
  return {
    results: verifySignedData(signed, { certificates, ...(content !== undefined && { content }) }),
    content: signed.content ?? (content as Uint8Array),
  };
}

/** What one signer after the other is judged with. */
interface Court {
  readonly signed: SignedData;
  readonly options: VerifyOptions;
  readonly now: Date;
  readonly budget: PathBudget;
}

function judgeCounters({ counterSignatures }: SignerResult, court: Court): CounterSignature[] {
  return counterSignatures.map((result) => {
    const { verdict, problems } = judge(result, court);
    addEncryptionCertificate(verdict, court);
    return { ...verdict, problems, counterSignatures: judgeCounters(result, court) };
  });
}

/** All but its counter-signatures, and what is wrong. */
function judge(
  result: SignerResult,
  court: Court,
): { verdict: SignerVerdict; problems: { code: ErrorCode; message: string }[] } {
  const { certificate, digest, signedAttributes, weak, valid, error } = result;
  const problems: { code: ErrorCode; message: string }[] = [];
  if (error !== undefined) problems.push({ code: error.code, message: error.message });
  if (weak && (court.options.allowSha1 !== true || digest === 'md5')) {
    const how = digest === 'md5' ? 'MD5' : digest === 'sha1' ? 'SHA-1' : 'a short RSA key';
    problems.push({ code: 'SIGNATURE_WEAK', message: `the signature is made with ${how}` });
  }
  let outcome: PathResult | undefined;
  // Anyone can name a certificate and write a signature that is none: no search is made for that.
  if (certificate !== undefined && valid) {
    outcome = findPath(certificate, 'emailProtection', court);
    if (outcome.reason !== undefined) problems.push({ code: 'NOT_TRUSTED', message: outcome.reason.message });
  }
  const attributes = valid ? signedAttributes : undefined;
  const { signingTime, capabilities, encryptionKeyPreference } = attributes ?? NO_ATTRIBUTES;
  const verdict: SignerVerdict = {
    valid: problems.length === 0,
    signatureValid: valid,
    trusted: outcome?.trusted ?? false,
    path: outcome?.path ?? [],
    emails: valid ? (certificate?.emails ?? []) : [],
    weak,
    counterSignatures: [],
  };
  if (outcome?.reason) verdict.untrusted = outcome.reason;
  if (certificate) verdict.certificate = certificate;
  if (digest) verdict.digest = digest;
  if (signingTime) verdict.signingTime = signingTime;
  if (capabilities) verdict.capabilities = capabilities;
  if (encryptionKeyPreference) verdict.encryptionKeyPreference = encryptionKeyPreference;
  if (attributes) verdict.signedAttributes = attributes.all;
  return { verdict, problems };
}

const NO_ATTRIBUTES: Partial<SignedAttributes> = {};

function findPath(
  certificate: Certificate,
  purpose: PathPurpose,
  { signed, options, now, budget }: Court,
): PathResult {
  return validatePath(certificate, {
    trust: options.trust,
    intermediates: [...signed.certificates, ...(options.certificates ?? [])],
    now,
    purpose,
    budget,
    ...(options.crls && { crls: options.crls }),
    ...(options.allowSha1 !== undefined && { allowSha1: options.allowSha1 }),
  });
}

/** The signature is over its name, which a certificate of anyone's making can have, but not over the certificate. */
function addEncryptionCertificate(verdict: SignerVerdict, court: Court): void {
  const { encryptionKeyPreference: preference, certificate: own, emails } = verdict;
  if (preference === undefined) return;
  if (own !== undefined && identifies(preference, own)) {
    verdict.encryptionCertificate = own;
    return;
  }
  const { signed, options } = court;
  const wanted = new Set(emails.map((email) => email.toLowerCase()));
  const fitting: Certificate[] = [];
  for (const one of [...signed.certificates, ...(options.certificates ?? [])]) {
    if (!identifies(preference, one) || fitting.some((other) => other.equals(one))) continue;
    const isTheirs = readable(() => one.emails, []).some((email) => wanted.has(email.toLowerCase()));
    if (isTheirs && findPath(one, 'emailEncryption', court).trusted) fitting.push(one);
  }
  const [certificate, second] = fitting;
  if (certificate !== undefined && second === undefined) verdict.encryptionCertificate = certificate;
}

type Sender = Pick<Verdict, 'from' | 'sender' | 'senderVerified'>;

const NO_SENDER: Sender = { from: [], sender: [], senderVerified: false };

/**
 * The sender is the one that was signed, where a From was (RFC 9788 section 4). Whoever wrote another address outside poses
 * as that one to readers that show the outer header, however good the signature is: that is a problem of its own, which
 * a reader that shows the signed From may pass over if the sender is verified (section 4.4.2).
 */
function checkHeaders(
  outside: Headers | undefined,
  found: FoundHeaders | undefined,
  signers: readonly SignerVerdict[],
  problems: Problem[],
): Sender {
  const hasFrom = found !== undefined && found.source.all('from').length > 0;
  const headers = hasFrom ? found.source : outside;
  if (headers === undefined) return { ...NO_SENDER };
  const sender = checkSender(headers, signers, problems);
  if (!hasFrom || outside === undefined) return sender;
  const outer = readSenders(outside);
  const [defect] = disguises(outer);
  if (found.headers.fromMismatch || defect !== undefined) {
    const what = `the mail is from ${list(outer.from.map(addressOf))} outside, but signed is ${list(sender.from)}`;
    problems.push({ code: 'FROM_MISMATCH', message: defect === undefined ? what : `${what}: ${defect}` });
  }
  return { ...sender, sender: [...new Set([...sender.sender, ...outer.sender.map(addressOf)])] };
}

/** Mail addresses in a message, and things said of From: a header holds thousands. */
const MAX_LISTED = 10;

function list(addresses: readonly string[]): string {
  if (addresses.length === 0) return 'nobody';
  const more = addresses.length - MAX_LISTED;
  return `${addresses.slice(0, MAX_LISTED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** How From and Sender may show another sender than their addresses say. */
function disguises({ from, sender, fromFields, malformed }: Senders): string[] {
  const found: string[] = [];
  if (fromFields > 1) found.push(`the mail has ${fromFields} From fields`);
  if (fromFields === 0 && sender.length > 0) found.push('the mail has a Sender, but no From');
  if (fromFields > 0 && from.length === 0) found.push('From has no address');
  if (malformed) found.push('From or Sender can be read in more than one way');
  for (const mailbox of from) if (mailbox.nameAddress !== undefined) found.push(impostor(mailbox));
  return found;
}

/**
 * RFC 8550 section 3: the address in From is one of a signer's. Every address in every From is held to that, and Sender
 * does not stand in for it, since readers show From; what Sender says is only reported, since mailing lists write it. A
 * certificate without addresses, which the RFC allows, is a valid signer's, but proves no From: otherwise anyone with such
 * a certificate could pose as everybody.
 */
function checkSender(headers: Headers, signers: readonly SignerVerdict[], problems: Problem[]): Sender {
  const senders = readSenders(headers);
  const from = senders.from.map(addressOf);
  const found = disguises(senders);
  const valid = signers.filter((signer) => signer.valid);
  const emails = new Set<string>();
  for (const signer of valid) for (const email of signer.emails) emails.add(email.toLowerCase());
  const unproven = from.filter((address) => !emails.has(address.toLowerCase()));
  if (valid.length > 0) {
    const signedBy = emails.size > 0 ? `signed by ${list([...emails])}` : 'no signer has a mail address';
    for (const address of unproven) found.push(`the mail is from ${address}, but ${signedBy}`);
  }
  for (const message of found.slice(0, MAX_LISTED)) problems.push({ code: 'SENDER_MISMATCH', message });
  const senderVerified = from.length > 0 && unproven.length === 0 && found.length === 0;
  return { from, sender: senders.sender.map(addressOf), senderVerified };
}

const impostor = ({ nameAddress, address }: Mailbox) =>
  `the name in From looks like the address ${nameAddress}, but the mail is from ${address}`;
