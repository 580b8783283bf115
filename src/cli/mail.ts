/** The commands that work on one message: decrypt, verify, sign, encrypt. */
import { toHex } from '../bytes.js';
import type { EncryptionCipher } from '../cms/algorithms.js';
import { keyRing } from '../cms/recipients.js';
import type { Signer } from '../cms/signed.js';
import { MailsealError } from '../errors.js';
import { decrypt, encrypt, sign } from '../smime/message.js';
import { type SignerVerdict, type Verdict, verify } from '../smime/verify.js';
import type { Certificate } from '../x509/certificate.js';
import { parseDate, readInput, writeOutput } from './files.js';
import { openPfx, type PfxFileOptions, readCertificates, type StoreOptions, withStore } from './keys.js';
import { note, printable, printJson, printLine } from './terminal.js';

type DecryptOptions = StoreOptions & PfxFileOptions & { out?: string };

export async function decryptCommand(file: string, options: DecryptOptions): Promise<void> {
  const message = readInput(file);
  const opened =
    options.pfx === undefined
      ? await withStore(options, false, (keys) => decrypt(message, { keys }))
      : await decrypt(message, { keys: keyRing(await openPfx(options.pfx, options.passwordFile)) });
  writeOutput(options.out, opened.message ?? opened.content);
  const whose =
    opened.certificate === undefined
      ? 'a key without a certificate'
      : `the key of ${describeCertificate(opened.certificate)}`;
  note(
    `opened with ${whose}: ${opened.reason}; ${opened.cipher}, whose content nothing protects from changes`,
  );
}

interface VerifyOptions {
  content?: string;
  trust: string[];
  now?: string;
  allowSha1?: true;
  json?: true;
}

export async function verifyCommand(file: string, options: VerifyOptions): Promise<void> {
  const message = readInput(file);
  const verdict = await verify(message, {
    trust: options.trust.flatMap(readCertificates),
    ...(options.now !== undefined && { now: parseDate(options.now) }),
    ...(options.content !== undefined && { content: readInput(options.content) }),
    ...(options.allowSha1 && { allowSha1: true }),
  });
  if (options.json) printJson(verdictJson(verdict));
  else printVerdict(verdict);
  if (!verdict.valid) process.exitCode = 1;
}

function verdictJson(verdict: Verdict) {
  const { valid, problems, detached, from, senderVerified, uncovered, content, signers } = verdict;
  return {
    valid,
    problems,
    signers: signers.map(({ certificate, path, ...rest }) => ({
      ...rest,
      certificate: certificate && certificateJson(certificate),
      path: path.map((one) => one.subject.toString()),
    })),
    from,
    senderVerified,
    detached,
    contentLength: content.length,
    uncovered,
  };
}

function printVerdict(verdict: Verdict): void {
  const { valid, signers, problems, from, senderVerified, uncovered } = verdict;
  printLine(valid ? 'valid' : 'NOT VALID');
  for (const [i, signer] of signers.entries()) printSigner(i + 1, signer);
  if (from.length > 0) {
    printLine(
      `from      ${printable(from.join(', '))}${senderVerified ? ', a signer' : ', not proven by a signature'}`,
    );
  }
  if (uncovered.preamble + uncovered.epilogue > 0) {
    printLine(
      `covered   not the ${uncovered.preamble} octets before and ${uncovered.epilogue} after the signed part`,
    );
  }
  for (const { code, message, signer } of problems) {
    const about = signer === undefined || signers.length === 1 ? '' : `signer ${signer + 1}: `;
    note(`${code}: ${about}${message}`);
  }
}

function printSigner(number: number, signer: SignerVerdict): void {
  const { certificate, path, signingTime, digest, signatureValid, trusted, weak } = signer;
  printLine(
    `signer ${number}  ${certificate === undefined ? 'unknown' : printable(describeCertificate(certificate))}`,
  );
  const made = signingTime === undefined ? '' : `, says it signed at ${signingTime.toISOString()}`;
  printLine(
    `          signature ${signatureValid ? 'matches' : 'does not match'}${digest ? ` (${digest}${weak ? ', weak' : ''})` : ''}${made}`,
  );
  const anchor = path.at(-1);
  printLine(
    `          ${trusted && anchor ? `trusted through ${printable(anchor.subject.toString())}` : 'not trusted'}`,
  );
}

type SignOptions = StoreOptions & PfxFileOptions & { from?: string; opaque?: true; out?: string };

export async function signCommand(file: string, options: SignOptions): Promise<void> {
  if (options.pfx !== undefined && options.from !== undefined) {
    throw new MailsealError('USAGE', '--pfx and --from do not go together');
  }
  const message = readInput(file);
  const signer = await signerOf(options);
  writeOutput(options.out, await sign(message, { signers: [signer], detached: !options.opaque }));
}

async function signerOf({ pfx, passwordFile, from, ...store }: SignOptions): Promise<Signer> {
  if (pfx !== undefined) return signerInPfx(pfx, passwordFile);
  if (from === undefined) throw new MailsealError('USAGE', 'who signs? give --from ADDRESS, or --pfx FILE');
  return withStore(store, false, (keys) => keys.signingEntry(from, new Date()));
}

async function signerInPfx(path: string, passwordFile: string | undefined): Promise<Signer> {
  const { entries, certificates } = await openPfx(path, passwordFile);
  const now = new Date();
  const usable = entries.flatMap(({ privateKey, certificate }) =>
    certificate !== undefined && maySign(certificate, now) ? [{ privateKey, certificate }] : [],
  );
  const newest = usable.sort(
    (a, b) => b.certificate.notBefore.getTime() - a.certificate.notBefore.getTime(),
  )[0];
  if (newest === undefined) {
    throw new MailsealError(
      'KEY_UNSUITABLE',
      `${path} has no key whose certificate is valid now and for signing`,
    );
  }
  return {
    ...newest,
    chain: certificates.filter((one) => one.basicConstraints?.ca === true && !one.isSelfIssued),
  };
}

function maySign({ notBefore, notAfter, keyUsage }: Certificate, now: Date): boolean {
  return (
    notBefore <= now &&
    now <= notAfter &&
    (keyUsage === undefined || keyUsage.digitalSignature || keyUsage.nonRepudiation)
  );
}

type EncryptOptions = StoreOptions & {
  to?: string[];
  toCert?: string[];
  cipher: EncryptionCipher;
  out?: string;
};

export async function encryptCommand(file: string, options: EncryptOptions): Promise<void> {
  const { to = [], toCert = [], cipher } = options;
  if (to.length + toCert.length === 0) {
    throw new MailsealError('USAGE', 'to whom? give --to ADDRESS, or --to-cert FILE');
  }
  const message = readInput(file);
  const recipients = toCert.flatMap(readCertificates);
  if (to.length > 0) {
    await withStore(options, false, async (store) => {
      for (const address of to)
        recipients.push(newestRsa(await store.encryptionCertificates(address, new Date())));
    });
  }
  writeOutput(options.out, await encrypt(message, { recipients, cipher }));
}

/** The newest that can be encrypted to: those with EC keys can't yet, and encrypting says so of the newest. */
function newestRsa(certificates: readonly Certificate[]): Certificate {
  return certificates.find((one) => one.publicKey.algorithm === 'rsa') ?? (certificates[0] as Certificate);
}

export function describeCertificate(certificate: Certificate): string {
  const subject = certificate.subject.toString() || certificate.emails[0] || 'a certificate without a name';
  return `${subject} (serial ${toHex(certificate.serialNumber)}, ${isoDay(certificate.notBefore)} to ${isoDay(certificate.notAfter)})`;
}

export const isoDay = (date: Date): string => date.toISOString().slice(0, 10);

export function certificateJson(certificate: Certificate) {
  return {
    subject: certificate.subject.toString(),
    issuer: certificate.issuer.toString(),
    serialNumber: toHex(certificate.serialNumber),
    notBefore: certificate.notBefore.toISOString(),
    notAfter: certificate.notAfter.toISOString(),
    emails: certificate.emails,
    sha256: toHex(certificate.fingerprint),
  };
}
