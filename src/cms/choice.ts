/**
 * What a message is encrypted with: by what its recipients say that they read (SMIMECapabilities, RFC 8551 2.5.2 and 2.7; in a
 * signed message, or in the certificate, RFC 4262), by their keys, and by the sender's policy. Of what somebody reads the
 * strongest is taken, not what they put first: their lists are often in the order of their program.
 * Never chosen: 3DES and RC2, even for those who name nothing else (AES is mandatory since RFC 5751, of 2010); AES-GCM for
 * those who say nothing, unless the policy has a date for it: RFC 8551 2.7.1.2 would, but most mail programs can't read it.
 * Pure: whether what they say is theirs is for whoever verified the message. Used by enveloping.ts.
 */
import { OID, oidName } from '../asn1/oids.js';
import { assertOneOf } from '../bytes.js';
import { MailsealError, readable } from '../errors.js';
import type { Certificate } from '../x509/certificate.js';
import type { MlKemAlgorithm } from '../x509/mlkem.js';
import type { EncryptionCipher } from './ciphers.js';
import { KEK_LENGTHS, kemOf } from './kem.js';
import { agreementFor, canAgree, type KdfHash, type KeyAgreementName } from './keyagreement.js';
import { KEY_TRANSPORTS, type KeyTransportName, type OaepHash, oaepHashFor } from './keytransport.js';
import { readCapabilities, type SmimeCapability } from './smimeattributes.js';

/** Somebody to encrypt to, and what they said that they read. */
export interface Recipient {
  readonly certificate: Certificate;
  /** Of a key store, or of a signer whom `verify` found valid. */
  readonly capabilities?: KnownCapabilities | undefined;
}

/** What a signed message said that its signer reads. */
export interface KnownCapabilities {
  readonly capabilities: readonly SmimeCapability[];
  /** When they said it. */
  readonly signingTime: Date;
}

/** Ciphers that are chosen, the weakest first. */
const LEVELS = ['aes128-cbc', 'aes256-cbc', 'aes256-gcm'] as const;

export type ChosenCipher = (typeof LEVELS)[number];

const LEVEL_OIDS: Readonly<Record<ChosenCipher, string>> = {
  'aes128-cbc': OID.aes128Cbc,
  'aes256-cbc': OID.aes256Cbc,
  'aes256-gcm': OID.aes256Gcm,
};

/** The sender's own rules. Dates are compared with `now` of the message. */
export interface EncryptionPolicy {
  /** From when on those who say nothing are taken to read AES-256-GCM, as RFC 8551 2.7.1.2 has it. Default: never. */
  readonly gcmFrom?: Date;
  /** From when on those who say nothing are taken to read RSAES-OAEP with SHA-256. Default: never. */
  readonly oaepFrom?: Date;
  /**
   * Nothing weaker is sent: those who say nothing get it all the same, and for those who say that they can't read it, it is an
   * error. Default `aes128-cbc`.
   */
  readonly minimum?: ChosenCipher;
  /** From when on the minimum holds. Default: always. */
  readonly minimumFrom?: Date;
}

/** How the content key is encrypted for one recipient. */
export type KeyEncryption =
  | { readonly type: 'transport'; readonly name: KeyTransportName; readonly hash?: OaepHash }
  | { readonly type: 'agreement'; readonly name: KeyAgreementName; readonly hash: KdfHash }
  | { readonly type: 'encapsulation'; readonly name: MlKemAlgorithm };

export interface RecipientChoice {
  readonly certificate: Certificate;
  /** Where it is known from what they read: from a signed message, from their certificate, or not at all. */
  readonly source: 'message' | 'certificate' | 'unknown';
  /** When they said so: the signing time, or the first day of the certificate. */
  readonly since?: Date;
  /** The best of the ciphers that are chosen from that they are taken to read. */
  readonly reads: ChosenCipher;
  /** `hash`: of RSAES-OAEP, or of the key derivation. */
  readonly keyEncryption: KeyEncryption;
  /** Why, in words: first the content, then the key. */
  readonly reason: string;
}

export interface EncryptionChoice {
  /** Of the content. */
  readonly cipher: EncryptionCipher;
  /** Why, in words. */
  readonly reason: string;
  /** In the order in which they were given, each certificate once. */
  readonly recipients: readonly RecipientChoice[];
}

export interface ChoiceOptions {
  readonly cipher?: EncryptionCipher;
  readonly keyTransport?: KeyTransportName;
  readonly policy?: EncryptionPolicy;
  /** Shared keys and passwords by which the message may be read as well: nobody knows what their holders read. */
  readonly secrets: number;
  readonly now: Date;
}

/**
 * @throws MailsealError RECIPIENT_INCAPABLE, naming the first recipient whom the policy's minimum shuts out
 * @throws RangeError, TypeError as {@link checkPolicy}
 */
export function chooseEncryption(recipients: readonly Recipient[], options: ChoiceOptions): EncryptionChoice {
  const rules = rulesOf(options);
  const choices = recipients.map((recipient) => chooseFor(recipient, rules, options.keyTransport));
  if (options.cipher !== undefined) {
    return { cipher: options.cipher, reason: 'the caller names it', recipients: choices };
  }
  for (const { certificate, source, reads } of choices) {
    if (source === 'unknown' || isAtLeast(reads, rules.minimum)) continue;
    const message = `${certificate.subject} says to read nothing better than ${reads}, and the policy wants ${rules.minimum}`;
    throw new MailsealError('RECIPIENT_INCAPABLE', message);
  }
  const secrets = options.secrets > 0 ? rules.assumed : undefined;
  const levels = [secrets, ...choices.map(({ reads }) => reads)];
  const cipher = LEVELS.find((level) => levels.includes(level)) as ChosenCipher;
  return { cipher, reason: reasonOf(cipher, choices, secrets), recipients: choices };
}

/** @param secrets what holders of shared keys and passwords are taken to read, if there are any */
function reasonOf(
  cipher: ChosenCipher,
  choices: readonly RecipientChoice[],
  secrets: ChosenCipher | undefined,
): string {
  const limiting = choices.filter(({ reads }) => reads === cipher);
  if (limiting.length === choices.length && (secrets ?? cipher) === cipher) {
    const allSay = secrets === undefined && choices.every(({ source }) => source !== 'unknown');
    if (allSay) return 'it is the best that each recipient says to read';
    return 'it is the best that each recipient says to read, or is taken to read where nothing is known';
  }
  const names = limiting.slice(0, MAX_NAMED).map(({ certificate }) => `${certificate.subject}`);
  if (limiting.length > MAX_NAMED) names.push(`${limiting.length - MAX_NAMED} more`);
  if (secrets === cipher) names.push('the holders of shared keys and passwords');
  return `others could read more, but not ${names.join('; ')}`;
}

/** Recipients that a reason names. */
const MAX_NAMED = 3;

const isAtLeast = (level: ChosenCipher, minimum: ChosenCipher) =>
  LEVELS.indexOf(level) >= LEVELS.indexOf(minimum);

/** The policy as it is at the time of the message. */
interface Rules {
  readonly minimum: ChosenCipher;
  /** What those are taken to read who say nothing, and why. */
  readonly assumed: ChosenCipher;
  readonly assumedBy: string;
  readonly oaepAssumed: boolean;
}

/** @throws RangeError for a minimum that is none; TypeError for a date that is none */
export function checkPolicy({ minimum, ...dates }: EncryptionPolicy): void {
  if (minimum !== undefined) assertOneOf(minimum, LEVELS, 'minimum');
  for (const what of ['minimumFrom', 'gcmFrom', 'oaepFrom'] as const) {
    const date = dates[what];
    if (date === undefined || (date instanceof Date && !Number.isNaN(date.getTime()))) continue;
    throw new TypeError(`${what} must be a valid Date`);
  }
}

function rulesOf({ policy = {}, now }: ChoiceOptions): Rules {
  checkPolicy(policy);
  const { gcmFrom, oaepFrom, minimum = 'aes128-cbc', minimumFrom } = policy;
  const begun = (from: Date | undefined) => from !== undefined && from <= now;
  const holds = minimumFrom === undefined || begun(minimumFrom) ? minimum : 'aes128-cbc';
  const usual = begun(gcmFrom) ? 'aes256-gcm' : 'aes256-cbc';
  const raised = !isAtLeast(usual, holds);
  return {
    minimum: holds,
    assumed: raised ? holds : usual,
    assumedBy: raised
      ? "by the policy's minimum"
      : usual === 'aes256-gcm'
        ? "by the policy's date"
        : 'as all do',
    oaepAssumed: begun(oaepFrom),
  };
}

function chooseFor(
  { certificate, capabilities: said }: Recipient,
  rules: Rules,
  keyTransport: KeyTransportName | undefined,
): RecipientChoice {
  const known = newest(certificate, said);
  const kem = kemOf(certificate.publicKey);
  const key =
    kem !== undefined
      ? encapsulationFor(kem)
      : canAgree(certificate.publicKey)
        ? agreementWith(certificate, known)
        : transportTo(certificate, known, rules, keyTransport);
  const { keyEncryption } = key;
  if (known === undefined) {
    const reason = `what they read is not known: taken to read ${rules.assumed}, ${rules.assumedBy}; ${key.reason}`;
    return { certificate, source: 'unknown', reads: rules.assumed, keyEncryption, reason };
  }
  const { source, since, capabilities } = known;
  const named = LEVELS.filter((level) => capabilities.some(({ oid }) => oid === LEVEL_OIDS[level])).at(-1);
  const where = `${source === 'message' ? 'a signed message' : 'the certificate'} of ${since.toISOString().slice(0, 10)}`;
  const what =
    named ?? `none of ${LEVELS.join(', ')}, but ${listed(capabilities)}: taken to read aes256-cbc, as all do`;
  const reason = `${where} names ${what}; ${key.reason}`;
  return { certificate, source, since, reads: named ?? 'aes256-cbc', keyEncryption, reason };
}

const listed = (capabilities: readonly SmimeCapability[]) =>
  capabilities
    .slice(0, MAX_NAMED)
    .map(({ oid }) => oidName(oid) ?? oid)
    .join(', ') || 'nothing';

interface Known {
  readonly source: 'message' | 'certificate';
  readonly since: Date;
  readonly capabilities: readonly SmimeCapability[];
}

/**
 * Of what a message and the certificate say, the newer: a program is exchanged, or a certificate is made anew. So an old message that is sent again does not count for less than the certificate says.
 */
function newest(certificate: Certificate, said: KnownCapabilities | undefined): Known | undefined {
  const certified = certifiedCapabilities(certificate);
  if (said !== undefined && (certified === undefined || said.signingTime >= certificate.notBefore)) {
    return { source: 'message', since: said.signingTime, capabilities: said.capabilities };
  }
  if (certified === undefined) return undefined;
  return { source: 'certificate', since: certificate.notBefore, capabilities: certified };
}

/** The extension smimeCapabilities (RFC 4262). One that can't be read says nothing. */
function certifiedCapabilities({ extensions }: Certificate): SmimeCapability[] | undefined {
  const extension = extensions.get(OID.smimeCapabilities);
  return extension && readable(() => readCapabilities(extension.node), undefined);
}

type KeyChoice = Pick<RecipientChoice, 'keyEncryption' | 'reason'>;

function encapsulationFor(name: MlKemAlgorithm): KeyChoice {
  const reason = `${name} with HKDF-SHA-256 and AES-${8 * KEK_LENGTHS[name]} key wrap, which all read who have such a key`;
  return { keyEncryption: { type: 'encapsulation', name }, reason };
}

function agreementWith({ publicKey }: Certificate, known: Known | undefined): KeyChoice {
  const { name, hash, asDeclared } = agreementFor(publicKey, known?.capabilities.map(({ oid }) => oid) ?? []);
  const why = asDeclared ? 'which they name' : 'as the key is for it';
  return { keyEncryption: { type: 'agreement', name, hash }, reason: `${name} with ${hash}, ${why}` };
}

function transportTo(
  { publicKey }: Certificate,
  known: Known | undefined,
  { oaepAssumed }: Rules,
  keyTransport: KeyTransportName | undefined,
): KeyChoice {
  const pkcs1 = (why: string): KeyChoice => {
    return { keyEncryption: { type: 'transport', name: 'rsaes-pkcs1' }, reason: `rsaes-pkcs1, ${why}` };
  };
  const withOaep = (hash: OaepHash, why: string): KeyChoice => {
    const keyEncryption = { type: 'transport', name: 'rsaes-oaep', hash } as const;
    return { keyEncryption, reason: `rsaes-oaep with ${hash}, ${why}` };
  };
  const oaep = known?.capabilities.filter(({ oid }) => oid === OID.rsaesOaep) ?? [];
  const declared = oaepHashFor(
    publicKey.modulusLength as number,
    oaep.map(({ parameters }) => parameters),
  );
  if (keyTransport !== undefined) {
    assertOneOf(keyTransport, KEY_TRANSPORTS, 'keyTransport');
    const why = 'which the caller names';
    return keyTransport === 'rsaes-pkcs1' ? pkcs1(why) : withOaep(declared ?? 'sha256', why);
  }
  if (declared !== undefined) return withOaep(declared, 'which they name');
  if (oaep.length > 0) return pkcs1('as they name no RSAES-OAEP that is written here');
  if (known === undefined && oaepAssumed) return withOaep('sha256', "by the policy's date");
  return pkcs1(known === undefined ? 'which all read' : 'as they do not name RSAES-OAEP');
}
