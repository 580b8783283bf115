/**
 * Reads the test data in vectors/ (one folder per source, each with an index.json) and, where MAILSEAL_CORPORA
 * names a folder, the two corpora whose licence does not let them be copied. vectors/README.md says what the
 * fields of a row mean and how each fact was found. Called by the tests and the demo only.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

const root = fileURLToPath(new URL('../../vectors/', import.meta.url));

/** How a bag, or the safe around it, is encrypted. */
export interface PfxEncryption {
  /** As OpenSSL prints it: "PBES2", "pbeWithSHA1And40BitRC2-CBC" … */
  scheme: string;
  kdf?: string;
  cipher?: string;
  iterations?: number;
}

export interface PfxMac {
  scheme: 'PKCS12' | 'PBMAC1';
  hash: string;
  prf?: string;
  iterations?: number;
  /** PBMAC1 only; octets. Absent when the file has none, or one beyond 2^53. */
  keyLength?: number;
  /** Octets; null when the file has no salt of the right type. */
  saltLength: number | null;
}

export type PfxExpectation =
  | { keys: number; certs: number; keyAlgorithms?: string[]; error?: undefined }
  | { error: string; keys?: undefined; certs?: undefined; keyAlgorithms?: undefined };

export interface PfxRow {
  path: string;
  kind: 'pfx';
  bytes: number;
  /** Lower-case hex. */
  sha256: string;
  /** null: nobody knows it. */
  password: string | null;
  encoding: 'DER' | 'BER' | 'broken';
  trailingOctets?: number;
  /** null: the file has no MacData. */
  mac: PfxMac | null;
  /** Which octets the empty password stood for when the MAC was made: a BMPString terminator, or nothing. */
  emptyPasswordAs?: '00 00' | 'no octets';
  expect: PfxExpectation;
  /** The tool, and how it was called, that the expectation was seen with. */
  seenBy?: string;
  /** In file order, as OpenSSL lists them; absent when the file could not be opened. */
  bags?: { bag: string; safe?: PfxEncryption; encryption?: PfxEncryption }[];
  algorithms: string[];
  /** Those of `algorithms` that are not in the core list of vectors/README.md. */
  beyondCore?: string[];
  note?: string;
}

export interface CmsRow {
  path: string;
  kind: 'cms';
  form: 'DER' | 'BER' | 'PEM' | 'SMIME';
  /** Of the object inside PEM or mail. */
  encoding?: 'BER';
  /** MIME type of a mail. */
  shape?: string;
  /** Of the signed part as the file has it. */
  lineEndings?: 'LF' | 'CRLF' | 'mixed';
  /** "signedData", "envelopedData" …, a dotted OID, or null when it could not be read. */
  contentType: string | null;
  eContentType?: string;
  detached?: boolean;
  /** Detached content: a reference. */
  content?: string;
  signers?: {
    sid: 'issuerAndSerialNumber' | 'subjectKeyIdentifier';
    digest: string;
    signedAttrs: boolean;
    signature: string;
    unsignedAttrs?: boolean;
  }[];
  certificates?: number;
  crls?: number;
  recipients?: {
    type: 'ktri' | 'kari' | 'kekri' | 'pwri' | 'ori';
    rid?: 'issuerAndSerialNumber' | 'subjectKeyIdentifier';
    algorithm: string;
    wrap?: string;
  }[];
  cipher?: string;
  digest?: string;
  algorithms: string[];
  beyondCore?: string[];
  expect: 'verifies' | 'opens' | 'parses' | 'signature does not verify' | 'refused' | 'not checked';
  openedBy?: {
    key?: string;
    certificate?: string;
    password?: string;
    secretKey?: string;
    keyIdentifier?: string;
  }[];
  verifiedBy?: {
    anchors?: string[];
    /** sha256 (hex) of self-signed certificates that the message carries. */
    anchorsInMessage?: string[];
    purpose: 'smimesign' | 'any';
    at?: string;
  };
  signerCertificates?: string[];
  pathError?: string;
  plaintext?: string;
  contentBytes?: number;
  contentSha256?: string;
  seenBy: string;
  openssl?: string;
  note?: string;
  trailingOctets?: number;
}

/** Every other file: keys, certificates, CRLs, plaintexts, ASN.1 oddities, JSON test vectors. */
export interface OtherRow {
  path: string;
  kind:
    | 'certificate'
    | 'crl'
    | 'key'
    | 'publicKey'
    | 'request'
    | 'asn1'
    | 'content'
    | 'json'
    | 'archive'
    | 'text';
  form?: 'DER' | 'BER' | 'PEM';
  [fact: string]: unknown;
}

export type VectorRow = PfxRow | CmsRow | OtherRow;

/** Names of the source folders, sorted. */
export function vectorSources(): string[] {
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

export function readIndex(source: string): VectorRow[] {
  return JSON.parse(readFileSync(join(root, source, 'index.json'), 'utf8')) as VectorRow[];
}

/** Rows of one kind over all sources, each with its source. */
export function pfxRows(): (PfxRow & { source: string })[] {
  return vectorSources().flatMap((source) =>
    readIndex(source).flatMap((row) => (row.kind === 'pfx' ? [{ ...(row as PfxRow), source }] : [])),
  );
}

export function cmsRows(): (CmsRow & { source: string })[] {
  return vectorSources().flatMap((source) =>
    readIndex(source).flatMap((row) => (row.kind === 'cms' ? [{ ...(row as CmsRow), source }] : [])),
  );
}

export function vectorPath(source: string, path: string): string {
  return join(root, source, path);
}

export function readVector(source: string, path: string): Uint8Array {
  return readFileSync(vectorPath(source, path));
}

/** Reads what an index row refers to: a path in the row's own source, or "source:path". */
export function readReference(source: string, reference: string): Uint8Array {
  const colon = reference.indexOf(':');
  return colon < 0
    ? readVector(source, reference)
    : readVector(reference.slice(0, colon), reference.slice(colon + 1));
}

/** The folder that MAILSEAL_CORPORA names, or undefined when it is unset or holds no manifest. */
export function corpora(): string | undefined {
  const folder = process.env.MAILSEAL_CORPORA;
  if (!folder) return undefined;
  return statSync(join(folder, 'MANIFEST-p12.tsv'), { throwIfNoEntry: false }) ? folder : undefined;
}

/** Why the tests on the corpora are skipped, for their title; undefined when they run. */
export function corporaMissing(): string | undefined {
  if (corpora()) return undefined;
  return process.env.MAILSEAL_CORPORA
    ? `MAILSEAL_CORPORA=${process.env.MAILSEAL_CORPORA} holds no MANIFEST-p12.tsv`
    : 'MAILSEAL_CORPORA is unset';
}

export interface CorpusPfx {
  /** Path below the corpora folder. */
  path: string;
  sha256: string;
  /** null: unknown. */
  password: string | null;
  expect: PfxExpectation;
}

/** MANIFEST-p12.tsv's rows of pkcs12-keyfile-corpus; empty without corpora. */
export function corpusPfx(): CorpusPfx[] {
  return manifestPfx().filter(({ path }) => path.startsWith('pkcs12-keyfile-corpus/'));
}

/** All of MANIFEST-p12.tsv, its paths those of the sources; empty without corpora. */
export function manifestPfx(): CorpusPfx[] {
  const [, ...rows] = manifest('MANIFEST-p12.tsv', '');
  return rows.map((fields) => {
    const [path = '', sha256 = '', , password = '?', status, keys, certs, note] = fields;
    return {
      path,
      sha256,
      password: password === '?' ? null : password,
      expect: status === '0' ? { keys: Number(keys), certs: Number(certs) } : { error: note ?? '' },
    };
  });
}

export interface CorpusCms {
  path: string;
  form: string;
  contentType: string;
  /** "ok", "fail:…", or empty for an object without signatures. */
  signature: string;
}

/** MANIFEST-cms.tsv's rows of examples-cms-rfc9216; empty without corpora. */
export function corpusCms(): CorpusCms[] {
  return manifest('MANIFEST-cms.tsv', 'examples-cms-rfc9216/').map((fields) => {
    const [path = '', form = '', contentType = '', , signature = ''] = fields;
    return { path, form, contentType, signature };
  });
}

/** Paths of every SignedData in MANIFEST-cms.tsv, of all sources; empty without corpora. */
export function corpusSigned(): string[] {
  return manifest('MANIFEST-cms.tsv', '').flatMap(([path = '', , contentType]) =>
    contentType === 'signed' ? [path] : [],
  );
}

function manifest(name: string, prefix: string): string[][] {
  const folder = corpora();
  if (!folder) return [];
  return readFileSync(join(folder, name), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && line.startsWith(prefix))
    .map((line) => line.split('\t'));
}

export function readCorpus(path: string): Uint8Array {
  const folder = corpora();
  if (!folder) throw new Error(corporaMissing());
  return readFileSync(join(folder, path));
}

/** The files of the OpenSSL fuzzing corpora, in the order of the archive; names are "cms/<sha1>" and the like. */
export function* fuzzCorpus(): Generator<{ name: string; bytes: Uint8Array }> {
  yield* tarFiles(gunzipSync(readVector('openssl-fuzz-corpora', 'corpora.tar.gz')));
}

/** Regular files of a ustar archive (POSIX 1003.1, "ustar Interchange Format") whose names fit the name field. */
function* tarFiles(archive: Uint8Array): Generator<{ name: string; bytes: Uint8Array }> {
  const text = (start: number, length: number) =>
    Buffer.from(archive.subarray(start, start + length))
      .toString('latin1')
      .split('\0', 1)[0]!;
  for (let at = 0; archive[at]; ) {
    const size = Number.parseInt(text(at + 124, 12), 8);
    if (text(at + 257, 5) !== 'ustar' || !Number.isSafeInteger(size))
      throw new Error(`not a tar header at ${at}`);
    const start = at + 512;
    if (text(at + 156, 1) === '0')
      yield { name: text(at, 100), bytes: archive.subarray(start, start + size) };
    at = start + Math.ceil(size / 512) * 512;
  }
}
