/** The commands that work on one message: decrypt, verify, sign, encrypt. */
import { describeOid, oidName } from '../asn1/oids.js';
import { toHex } from '../bytes.js';
import type { EncryptionChoice, Recipient } from '../cms/choice.js';
import type { EncryptionCipher } from '../cms/ciphers.js';
import { describeIdentifier } from '../cms/identifiers.js';
import { keyRing } from '../cms/recipients.js';
import type { Signer } from '../cms/signed.js';
import { MailsealError } from '../errors.js';
import { maySign } from '../keystore/record.js';
import type { PfxContents } from '../pfx/read.js';
import type { HeaderPolicyName } from '../smime/headerpolicy.js';
import { decrypt, encrypt, sign, verify } from '../smime/operations.js';
import type { HeaderDifference, ProtectedHeaders } from '../smime/protectedheaders.js';
import type { VerdictStream } from '../smime/streams/verify.js';
import type { SignerVerdict } from '../smime/verify.js';
import type { Certificate } from '../x509/certificate.js';
import { openInput, parseDate, writeOutput } from './files.js';
import {
  type PfxFileOptions,
  readCertificates,
  requireStore,
  type StoreOptions,
  withPfx,
  withStore,
} from './keys.js';
import { note, noteError, printJson, printLine } from './terminal.js';

type DecryptOptions = StoreOptions & PfxFileOptions & { out?: string };

export async function decryptCommand(file: string, options: DecryptOptions): Promise<void> {
  const { pfx, passwordFile, out } = options;
  if (pfx === undefined) requireStore(options);
  const input = openInput(file);
  const opened =
    pfx === undefined
      ? await withStore(options, false, (keys) => decrypt(input, { keys }))
      : await withPfx(pfx, passwordFile, (found) => decrypt(input, { keys: keyRing(found) }));
  const { certificate, reason, cipher, integrity, remarks, message, headers, contentType } = opened;
  await writeOutput(out, message ?? opened.content);
  const whose =
    certificate === undefined
      ? 'a key without a certificate'
      : `the key of ${describeCertificate(certificate)}`;
  const intact = integrity === 'none' ? 'whose content nothing protects from changes' : 'whose tag is right';
  note(`opened with ${whose}: ${reason}; ${cipher}, ${intact}`);
  if (headers !== undefined) noteHeaders(headers);
  for (const remark of remarks) noteError(remark);
  if (message === undefined) note(`written is the content alone: ${describeOid(contentType)}`);
}

/** What of the header was protected, and what was otherwise outside. */
function noteHeaders({ fields, differences, fromMismatch }: ProtectedHeaders): void {
  note(`protected header: ${fieldNames(fields)}; a signature inside is verified by \`mailseal verify\``);
  for (const difference of differences) note(describeDifference(difference));
  if (fromMismatch) note('From is of another address inside; that one is proven only by a signature');
}

const fieldNames = (fields: ProtectedHeaders['fields']) =>
  fields.map(({ name }) => name).join(', ') || 'nothing';

function describeDifference({ name, protected: inside, outside, intended }: HeaderDifference): string {
  const list = (values: readonly string[]) =>
    values.map((value) => JSON.stringify(value)).join(', ') || 'not there';
  return `${name}: ${list(inside)}; outside ${list(outside)}${intended ? ', as its author left it' : ''}`;
}

interface VerifyOptions extends StoreOptions {
  decrypted?: true;
  remember?: true;
  content?: string;
  trust: string[];
  now?: string;
  allowSha1?: true;
  json?: true;
}

export async function verifyCommand(file: string, options: VerifyOptions): Promise<void> {
  const { remember = false } = options;
  if (remember) {
    requireStore(options);
    // A key that has expired could be in other hands by now, and would be believed as of another day.
    if (options.now !== undefined)
      throw new MailsealError('USAGE', '--remember is about now: leave out --now');
  }
  const now = options.now === undefined ? new Date() : parseDate(options.now);
  const trust = options.trust.flatMap(readCertificates);
  const verdict = await verify(openInput(file), {
    trust,
    now,
    ...(options.content !== undefined && { content: openInput(options.content) }),
    ...(options.allowSha1 && { allowSha1: true }),
    ...(options.decrypted && { decrypted: true }),
  });
  const remembered = remember ? await rememberSigners(options, verdict) : undefined;
  if (options.json) printJson({ ...(await verdictJson(verdict)), ...(remembered && { remembered }) });
  else {
    printVerdict(verdict);
    for (const address of remembered ?? []) note(`remembered what ${address} can read`);
  }
  await verdict.close();
  if (!verdict.valid) process.exitCode = 1;
}

/** The addresses of whom it is known now what they read, and was not before. */
function rememberSigners(options: StoreOptions, { signers }: VerdictStream): Promise<string[]> {
  return withStore(options, false, async (store) => {
    const addresses: string[] = [];
    for (const signer of signers) addresses.push(...(await store.rememberCapabilities(signer)));
    return addresses;
  });
}

async function verdictJson(verdict: VerdictStream) {
  const { valid, problems, detached, from, sender, senderVerified, content, signers } = verdict;
  let contentLength = 0;
  for await (const chunk of content) contentLength += chunk.length;
  return {
    valid,
    problems,
    signers: signers.map(signerJson),
    from,
    sender,
    senderVerified,
    detached,
    contentLength,
    headers: verdict.headers,
    covered: verdict.covered,
    uncovered: verdict.uncovered,
  };
}

function signerJson(signer: SignerVerdict): object {
  const { certificate, path, signedAttributes, ...others } = signer;
  const { capabilities, encryptionKeyPreference, encryptionCertificate, ...rest } = others;
  return {
    ...rest,
    certificate: certificate && certificateJson(certificate),
    path: path.map((one) => one.subject.toString()),
    capabilities: capabilities?.map(({ oid, name }) => name ?? oid),
    encryptionKeyPreference: encryptionKeyPreference && describeIdentifier(encryptionKeyPreference),
    encryptionCertificate: encryptionCertificate && certificateJson(encryptionCertificate),
    signedAttributes: signedAttributes?.map(({ oid }) => oidName(oid) ?? oid),
    counterSignatures: rest.counterSignatures.map(signerJson),
  };
}

function printVerdict(verdict: VerdictStream): void {
  const { valid, signers, problems, headers, from, sender, senderVerified, covered, uncovered } = verdict;
  printLine(valid ? 'valid' : 'NOT VALID');
  for (const [i, signer] of signers.entries()) printSigner(`signer ${i + 1}`, signer);
  if (from.length > 0) {
    printLine(`from      ${from.join(', ')}${senderVerified ? ', a signer' : ', not proven by a signature'}`);
  }
  if (sender.length > 0) printLine(`sender    ${sender.join(', ')}, not compared with a signature`);
  if (headers !== undefined) {
    printLine(
      `header    ${fieldNames(headers.fields)} ${signers.every((signer) => signer.valid) ? 'signed' : 'not proven by a signature'}`,
    );
    for (const difference of headers.differences) printLine(`          ${describeDifference(difference)}`);
  }
  if (covered !== undefined && uncovered.parts.length > 0) {
    const { path, start, end } = covered;
    printLine(`covered   part ${path} alone, octets ${start} to ${end} of the mail`);
  }
  if (uncovered.preamble + uncovered.epilogue > 0) {
    printLine(
      `covered   not the ${uncovered.preamble} octets before and ${uncovered.epilogue} after the signed part`,
    );
  }
  for (const { signer, ...problem } of problems) {
    noteError(problem, signer === undefined || signers.length === 1 ? undefined : `signer ${signer + 1}`);
  }
}

function printSigner(what: string, signer: SignerVerdict): void {
  const { certificate, path, signingTime, digest, signatureValid, trusted, weak } = signer;
  printLine(`${what}  ${certificate === undefined ? 'unknown' : describeCertificate(certificate)}`);
  const made = signingTime === undefined ? '' : `, says it signed at ${signingTime.toISOString()}`;
  printLine(
    `          signature ${signatureValid ? 'matches' : 'does not match'}${digest ? ` (${digest}${weak ? ', weak' : ''})` : ''}${made}`,
  );
  const anchor = path.at(-1);
  printLine(
    `          ${trusted && anchor ? `trusted through ${anchor.subject.toString()}` : 'not trusted'}`,
  );
  if (signer.encryptionCertificate !== undefined) {
    printLine(`          asks for answers to ${describeCertificate(signer.encryptionCertificate)}`);
  }
  for (const counter of signer.counterSignatures) printSigner('counter-signed by', counter);
}

type SignOptions = StoreOptions &
  PfxFileOptions & {
    from?: string;
    opaque?: true;
    protectHeaders?: 'clear' | HeaderPolicyName;
    legacyDisplay?: true;
    out?: string;
  };

/** The options on the header. --legacy-display hides nothing by itself. */
function headerOptions<T extends string>(options: { protectHeaders?: T; legacyDisplay?: true }) {
  const { protectHeaders, legacyDisplay } = options;
  if (legacyDisplay && (protectHeaders === undefined || protectHeaders === 'clear')) {
    throw new MailsealError('USAGE', '--legacy-display goes with --protect-headers and a policy');
  }
  return { ...(protectHeaders && { protectHeaders }), ...(legacyDisplay && { legacyDisplay }) };
}

export async function signCommand(file: string, options: SignOptions): Promise<void> {
  const { pfx, passwordFile, from, opaque, out } = options;
  if (pfx !== undefined && from !== undefined) {
    throw new MailsealError('USAGE', '--pfx and --from do not go together');
  }
  if (pfx === undefined) requireStore(options);
  const header = headerOptions(options);
  const message = openMessage(file);
  // What comes out is signed when it has been read to its end: until then the key is needed.
  const signWith = async (signer: Signer) =>
    writeOutput(out, await sign(message, { signers: [signer], detached: !opaque, ...header }));
  if (pfx === undefined) await withSigner(options, signWith);
  else await withPfx(pfx, passwordFile, (found) => signWith(signerIn(found, pfx)));
}

async function withSigner<T>(options: SignOptions, use: (signer: Signer) => Promise<T>): Promise<T> {
  const { from } = options;
  if (from === undefined) throw new MailsealError('USAGE', 'who signs? give --from ADDRESS, or --pfx FILE');
  const signer = await withStore(options, false, (store) => store.signingEntry(from, new Date()));
  try {
    return await use(signer);
  } finally {
    signer.privateKey.wipe();
  }
}

/** The key of the newest certificate that is for signing, as a key store chooses. */
function signerIn({ entries, certificates }: PfxContents, path: string): Signer {
  const now = new Date();
  const usable = entries.flatMap(({ privateKey, certificate }) =>
    certificate && isValid(certificate, now) && maySign(certificate) ? [{ privateKey, certificate }] : [],
  );
  const [newest] = usable.sort((a, b) => +b.certificate.notBefore - +a.certificate.notBefore);
  if (newest === undefined) {
    const message = `${path} has no key whose certificate is valid now and for signing`;
    throw new MailsealError('KEY_UNSUITABLE', message);
  }
  const chain = certificates.filter((one) => one.basicConstraints?.ca === true && !one.isSelfIssued);
  return { ...newest, chain };
}

const isValid = ({ notBefore, notAfter }: Certificate, now: Date) => notBefore <= now && now <= notAfter;

/** What is to be signed or encrypted: an empty input rather is a command before it in a pipe that failed. */
function openMessage(file: string): AsyncGenerator<Uint8Array> {
  return notEmpty(openInput(file));
}

async function* notEmpty(octets: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  let length = 0;
  for await (const chunk of octets) {
    length += chunk.length;
    yield chunk;
  }
  if (length === 0) throw new MailsealError('MIME_MALFORMED', 'the input is empty');
}

type EncryptOptions = StoreOptions & {
  to?: string[];
  toCert?: string[];
  trust?: string[];
  cipher?: EncryptionCipher;
  protectHeaders?: HeaderPolicyName;
  legacyDisplay?: true;
  out?: string;
  json?: true;
};

export async function encryptCommand(file: string, options: EncryptOptions): Promise<void> {
  const { to = [], toCert = [], trust, cipher, out, json } = options;
  if (to.length + toCert.length === 0) {
    throw new MailsealError('USAGE', 'to whom? give --to ADDRESS, or --to-cert FILE');
  }
  if (to.length > 0) requireStore(options);
  else if (trust !== undefined) {
    throw new MailsealError('USAGE', '--trust goes with --to: what --to-cert names is trusted');
  }
  if (json && out === undefined)
    throw new MailsealError('USAGE', '--json goes with --out: the mail is there');
  const header = headerOptions(options);
  const message = openMessage(file);
  const anchors = trust && { trust: trust.flatMap(readCertificates) };
  const recipients: Recipient[] = toCert.flatMap(readCertificates).map((certificate) => ({ certificate }));
  if (to.length > 0) {
    await withStore(options, false, async (store) => {
      for (const address of to) {
        const [newest] = await store.encryptionCertificates(address, new Date(), anchors);
        const capabilities = await store.capabilities(address);
        recipients.push({ certificate: newest as Certificate, capabilities });
      }
    });
  }
  const choices: EncryptionChoice[] = [];
  const onChoice = (choice: EncryptionChoice) => choices.push(choice);
  const encrypted = await encrypt(message, { recipients, onChoice, ...(cipher && { cipher }), ...header });
  await writeOutput(out, encrypted);
  const [choice] = choices as [EncryptionChoice];
  if (json) printJson(choiceJson(choice));
  else noteChoice(choice);
}

function choiceJson({ recipients, ...choice }: EncryptionChoice): object {
  return {
    ...choice,
    recipients: recipients.map(({ certificate, ...recipient }) => ({
      ...recipient,
      certificate: certificateJson(certificate),
    })),
  };
}

function noteChoice({ cipher, reason, recipients }: EncryptionChoice): void {
  note(`encrypted with ${cipher}: ${reason}`);
  for (const { certificate, reason } of recipients) note(`to ${describeCertificate(certificate)}: ${reason}`);
}

/** A line for a certificate; its fields are read late, and one that is broken is no reason to say nothing. */
export function describeCertificate(certificate: Certificate): string {
  try {
    const { subject, emails, serialNumber, notBefore, notAfter } = certificate;
    const name = subject.toString() || emails[0] || 'a certificate without a name';
    return `${name} (serial ${toHex(serialNumber)}, ${isoDay(notBefore)} to ${isoDay(notAfter)})`;
  } catch (error) {
    if (!(error instanceof MailsealError)) throw error;
    return `a certificate that can't be read: ${error.message}`;
  }
}

export const isoDay = (date: Date): string => date.toISOString().slice(0, 10);

/** With `error` in place of the fields where one is broken. */
export function certificateJson(certificate: Certificate) {
  const sha256 = toHex(certificate.fingerprint);
  try {
    return {
      subject: certificate.subject.toString(),
      issuer: certificate.issuer.toString(),
      serialNumber: toHex(certificate.serialNumber),
      notBefore: certificate.notBefore.toISOString(),
      notAfter: certificate.notAfter.toISOString(),
      emails: certificate.emails,
      sha256,
    };
  } catch (error) {
    if (!(error instanceof MailsealError)) throw error;
    return { error: { code: error.code, message: error.message }, sha256 };
  }
}
