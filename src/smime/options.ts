/**
 * What callers without types may get wrong in the options of sign, verify, encrypt, decrypt and compress, found out before
 * anything is read: a TypeError for what is of another type, a RangeError for a value that is none, both with the name of the
 * option. What depends on more than one option, on a key or on a certificate is checked where it is used.
 * Called by operations.ts and certificates.ts.
 */
import { assertBytes, assertOneOf } from '../bytes.js';
import { checkPolicy } from '../cms/choice.js';
import { encryptionKind } from '../cms/ciphers.js';
import { IDENTIFIER_TYPES } from '../cms/identifiers.js';
import { KEY_TRANSPORTS } from '../cms/keytransport.js';
import { checkSecrets, type SharedSecrets } from '../cms/sharedkeys.js';
import { checkAlgorithms } from '../cms/signingplan.js';
import { Certificate } from '../x509/certificate.js';
import { HEADER_POLICIES } from './headerpolicy.js';
import type { DecryptOptions, EncryptOptions, SignOptions } from './message.js';
import type { StreamOptions } from './streams/incoming.js';
import type { VerifyOptions } from './verify.js';

const POLICIES = Object.keys(HEADER_POLICIES);

export function assertSignOptions(options: SignOptions & StreamOptions): void {
  assertObject(options, 'options');
  const { signers, signerIdentifier, protectHeaders } = options;
  assertArray(signers, 'signers');
  for (const [i, signer] of signers.entries()) {
    const what = `signers[${i}]`;
    assertObject(signer, what);
    assertObject(signer.privateKey, `${what}.privateKey`);
    assertCertificate(signer.certificate, `${what}.certificate`);
    checkAlgorithms(signer);
    if (signer.chain !== undefined) assertCertificates(signer.chain, `${what}.chain`);
    if (signer.encryptionCertificate !== undefined) {
      assertCertificate(signer.encryptionCertificate, `${what}.encryptionCertificate`);
    }
  }
  if (signers.length === 0) throw new RangeError('a signed message needs at least one signer');
  assertOptional(options.detached, 'boolean', 'detached');
  assertOptional(options.legacyDisplay, 'boolean', 'legacyDisplay');
  assertDate(options.now, 'now');
  assertDate(options.signingTime, 'signingTime');
  if (signerIdentifier !== undefined) assertOneOf(signerIdentifier, IDENTIFIER_TYPES, 'signerIdentifier');
  assertPolicy(protectHeaders, ['clear', ...POLICIES]);
  assertSpool(options);
}

export function assertVerifyOptions(options: Omit<VerifyOptions, 'content'> & StreamOptions): void {
  assertObject(options, 'options');
  assertCertificates(options.trust, 'trust');
  if (options.certificates !== undefined) assertCertificates(options.certificates, 'certificates');
  if (options.crls !== undefined) {
    assertArray(options.crls, 'crls');
    for (const [i, crl] of options.crls.entries()) assertBytes(crl, `crls[${i}]`);
  }
  assertDate(options.now, 'now');
  assertOptional(options.decrypted, 'boolean', 'decrypted');
  assertOptional(options.allowSha1, 'boolean', 'allowSha1');
  assertSpool(options);
}

export function assertEncryptOptions(options: EncryptOptions & StreamOptions): void {
  assertObject(options, 'options');
  const { recipients = [], cipher, keyTransport, policy, recipientIdentifier } = options;
  assertArray(recipients, 'recipients');
  for (const [i, recipient] of recipients.entries()) {
    if (recipient instanceof Certificate) continue;
    assertObject(recipient, `recipients[${i}]`);
    assertCertificate(recipient.certificate, `recipients[${i}].certificate`);
    const { capabilities: known } = recipient;
    if (known === undefined) continue;
    assertObject(known, `recipients[${i}].capabilities`);
    assertArray(known.capabilities, `recipients[${i}].capabilities.capabilities`);
    assertDate(known.signingTime, `recipients[${i}].capabilities.signingTime`);
  }
  assertSecrets(options);
  const { sharedKeys = [], passwords = [] } = options;
  if (recipients.length + sharedKeys.length + passwords.length === 0) {
    throw new RangeError('a message needs at least one recipient');
  }
  if (cipher !== undefined) encryptionKind(cipher);
  if (keyTransport !== undefined) assertOneOf(keyTransport, KEY_TRANSPORTS, 'keyTransport');
  if (recipientIdentifier !== undefined) {
    assertOneOf(recipientIdentifier, IDENTIFIER_TYPES, 'recipientIdentifier');
  }
  assertDate(options.now, 'now');
  if (policy !== undefined) {
    assertObject(policy, 'policy');
    checkPolicy(policy);
  }
  assertOptional(options.cekHkdf, 'boolean', 'cekHkdf');
  assertOptional(options.legacyDisplay, 'boolean', 'legacyDisplay');
  assertOptional(options.onChoice, 'function', 'onChoice');
  assertOptional(options.random, 'function', 'random');
  assertPolicy(options.protectHeaders, POLICIES);
  assertSpool(options);
}

export function assertDecryptOptions(options: DecryptOptions & StreamOptions): void {
  assertObject(options, 'options');
  const { keys } = options;
  // Arrays have a method of this name, too.
  const isArray = Array.isArray(keys) || ArrayBuffer.isView(keys);
  if (keys !== undefined && (typeof keys?.find !== 'function' || isArray)) {
    throw new TypeError('keys must be a KeyFinder: a key store, or what keyRing gives');
  }
  assertSecrets(options);
  assertSpool(options);
}

/** Of compress, and of decompress, whose maxLength has another highest value for a stream. */
export function assertCompressOptions(options: StreamOptions): void {
  assertObject(options, 'options');
  assertSpool(options);
}

function assertSecrets(secrets: SharedSecrets): void {
  const { sharedKeys, passwords } = secrets;
  if (sharedKeys !== undefined) {
    assertArray(sharedKeys, 'sharedKeys');
    for (const [i, shared] of sharedKeys.entries()) assertObject(shared, `sharedKeys[${i}]`);
  }
  if (passwords !== undefined) assertArray(passwords, 'passwords');
  checkSecrets(secrets);
}

function assertSpool({ spool }: StreamOptions): void {
  if (spool === undefined) return;
  assertObject(spool, 'spool');
  for (const name of ['memory', 'maxLength'] as const) {
    const octets = spool[name];
    assertOptional(octets, 'number', `spool.${name}`);
    if (octets === undefined || (Number.isSafeInteger(octets) && octets >= 0)) continue;
    throw new RangeError(`spool.${name} must be an integer, 0 or more`);
  }
  assertOptional(spool.directory, 'string', 'spool.directory');
}

function assertPolicy(policy: unknown, names: readonly string[]): void {
  if (policy === undefined || typeof policy === 'function') return;
  assertOneOf(policy as string, names, 'protectHeaders, if it is no function,');
}

function assertObject(value: unknown, what: string): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TypeError(`${what} must be an object`);
}

function assertArray(value: unknown, what: string): void {
  if (!Array.isArray(value)) throw new TypeError(`${what} must be an array`);
}

export function assertCertificates(value: readonly Certificate[], what: string): void {
  assertArray(value, what);
  // Of hundreds of anchors, names for the errors would cost more than all else here.
  const wrong = value.findIndex((one) => !(one instanceof Certificate));
  if (wrong >= 0) assertCertificate(value[wrong], `${what}[${wrong}]`);
}

function assertCertificate(value: unknown, what: string): void {
  if (!(value instanceof Certificate)) throw new TypeError(`${what} must be a Certificate`);
}

function assertDate(value: unknown, what: string): void {
  if (value === undefined || (value instanceof Date && !Number.isNaN(value.getTime()))) return;
  throw new TypeError(`${what} must be a valid Date`);
}

function assertOptional(
  value: unknown,
  type: 'boolean' | 'function' | 'number' | 'string',
  what: string,
): void {
  if (value !== undefined && typeof value !== type) throw new TypeError(`${what} must be a ${type}`);
}
