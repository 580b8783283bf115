/**
 * `mailseal inspect`: what is in a file, told apart by content. Of a mail its parts and the CMS object in it, of PEM
 * each block, of everything else the ASN.1 tree. With a password, the keys and certificates of a PFX: listed, not shown.
 */
import { Tag } from '../asn1/tags.js';
import { type DerNode, parseDer } from '../asn1/tape.js';
import { latin1, readPem, toHex } from '../bytes.js';
import { MailsealError } from '../errors.js';
import { type PfxContents, readPfx, wipeKeys } from '../pfx/read.js';
import { objectIn } from '../smime/input.js';
import { classify, type MimeEntity, parseEntity, subPath } from '../smime/mime.js';
import { inFile, readInput, readPasswordFile } from './files.js';
import { isPem } from './keys.js';
import { certificateJson, describeCertificate } from './mail.js';
import { printJson, printLine } from './terminal.js';
import { asn1Tree, formatTree, type TreeNode } from './tree.js';

interface InspectOptions {
  passwordFile?: string;
  json?: true;
}

interface Part {
  /** As in IMAP: `2.1`; the message itself is empty. */
  path: string;
  type: string;
  transferEncoding: string;
  /** Octets of header and body in the file. */
  start: number;
  end: number;
}

interface Inspected {
  form: 'mail' | 'PEM' | 'BER' | 'DER';
  parts?: Part[];
  /** Each ASN.1 value: of a mail the CMS object, whose offsets count in it. */
  values: { name: string; tree: TreeNode }[];
  pfx?: { keys: object[]; certificates: object[]; skipped: string[] };
}

export function inspectCommand(file: string, options: InspectOptions): void {
  const bytes = readInput(file);
  const inspected = inspect(bytes, passwordOf(options));
  if (options.json) printJson(inspected.report);
  else print(inspected.report, inspected.pfx);
}

/** Not asked for: most files have none. */
function passwordOf({ passwordFile }: InspectOptions): string | undefined {
  return passwordFile === undefined ? process.env.MAILSEAL_PASSWORD : readPasswordFile(passwordFile);
}

function inspect(bytes: Uint8Array, password: string | undefined): { report: Inspected; pfx?: PfxContents } {
  if (bytes.length === 0) throw new MailsealError('ASN1_TRUNCATED', 'the input is empty', { offset: 0 });
  if (isMail(bytes)) return { report: inspectMail(bytes) };
  if (isPem(bytes)) {
    const blocks = readPem(bytes);
    const values = blocks.map(({ label, bytes }) => ({
      name: label,
      tree: inFile(label, () => asn1Tree(parseDer(bytes))),
    }));
    const pfx = blocks.find(({ label }) => label === 'PKCS12')?.bytes;
    return withPfx({ form: 'PEM', values }, pfx, password);
  }
  const node = parseDer(bytes);
  const report: Inspected = {
    form: node.isDer ? 'DER' : 'BER',
    values: [{ name: 'value', tree: asn1Tree(node) }],
  };
  return withPfx(report, looksLikePfx(node) ? bytes : undefined, password);
}

/**
 * A mail starts with a header field, or with the `From ` line of a mailbox. So does what `openssl x509 -text` writes,
 * `Certificate:`, before its PEM: with PEM in it, a field that only mail has decides. No field name begins with `0`,
 * which as an octet is SEQUENCE.
 */
function isMail(bytes: Uint8Array): boolean {
  const head = latin1(bytes.subarray(0, 1 << 16));
  if (!/^(?:From |[A-Za-z][!-9;-~]*[ \t]*:)/.test(head)) return false;
  return !isPem(bytes) || MAIL_FIELD.test(head.slice(0, head.search(/\r?\n\r?\n|$/)));
}
const MAIL_FIELD =
  /^(?:From|To|Subject|Date|Received|Return-Path|Message-ID|MIME-Version|Content-Type)[ \t]*:/im;

function looksLikePfx(node: DerNode): boolean {
  const [version, authSafe] = node.children;
  const type = authSafe?.firstChild;
  return (
    version?.is(Tag.INTEGER) === true && type?.is(Tag.OID) === true && PFX_CONTENTS.has(toHex(type.bytes))
  );
}
/** id-data and id-signedData, encoded. */
const PFX_CONTENTS = new Set(['06092a864886f70d010701', '06092a864886f70d010702']);

function withPfx(report: Inspected, bytes: Uint8Array | undefined, password: string | undefined) {
  if (bytes === undefined || password === undefined) return { report };
  const pfx = readPfx(bytes, password, { allowNoMac: true });
  wipeKeys(pfx);
  report.pfx = {
    keys: pfx.entries.map(({ privateKey, certificate, friendlyName }) => ({
      algorithm: privateKey.algorithm,
      friendlyName,
      certificate: certificate && certificateJson(certificate),
    })),
    certificates: pfx.certificates.map(certificateJson),
    skipped: pfx.skipped.map(({ bag, error }) => `${bag}: ${error.message}`),
  };
  return { report, pfx };
}

function inspectMail(bytes: Uint8Array): Inspected {
  const entity = parseEntity(bytes);
  const smime = classify(entity);
  const holder =
    smime.kind === 'multipart-signed' ? smime.signature : smime.kind === 'none' ? undefined : entity;
  const values =
    holder === undefined ? [] : [{ name: smime.kind, tree: asn1Tree(parseDer(objectIn(holder))) }];
  return { form: 'mail', parts: partsOf(entity), values };
}

function partsOf(entity: MimeEntity, path = ''): Part[] {
  const { contentType, transferEncoding, start, end } = entity;
  const below = entity.isMultipart
    ? entity.multipart().parts.flatMap((part, i) => partsOf(part, subPath(path, i + 1)))
    : [];
  return [{ path, type: contentType.type, transferEncoding, start, end }, ...below];
}

function print({ form, parts, values }: Inspected, pfx: PfxContents | undefined): void {
  for (const { path, type, transferEncoding, start, end } of parts ?? []) {
    const place = `octets ${start} to ${end}`;
    printLine(`${path === '' ? 'message' : `part ${path}`}  ${type}, ${transferEncoding}, ${place}`);
  }
  for (const { name, tree } of values) {
    if (form !== 'DER' && form !== 'BER') printLine(`${name}:`);
    for (const line of formatTree(tree)) printLine(line);
  }
  if (pfx !== undefined) printPfx(pfx);
}

function printPfx({ entries, certificates, skipped }: PfxContents): void {
  for (const { privateKey, certificate, friendlyName } of entries) {
    const name = friendlyName === undefined ? '' : ` ${JSON.stringify(friendlyName)}`;
    const whose =
      certificate === undefined ? 'without a certificate' : `of ${describeCertificate(certificate)}`;
    printLine(`key${name}: ${privateKey.algorithm}, ${whose}`);
  }
  for (const certificate of certificates) printLine(`certificate: ${describeCertificate(certificate)}`);
  for (const { bag, error } of skipped) printLine(`not read: ${bag}: ${error.message}`);
}
