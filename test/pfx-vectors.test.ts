/**
 * Every PFX of vectors/ and, where MAILSEAL_CORPORA names them, of pkcs12-keyfile-corpus: what OpenSSL opened opens to
 * the same keys and certificates, and some more; all others are refused by a code that says why. Prints what it says.
 */
import { getCiphers } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { MailsealError } from '../src/errors.js';
import { type PfxContents, readPfx } from '../src/pfx/read.js';
import { UNOPENED, type Unopened } from './helpers/unopened.js';
import {
  type CorpusPfx,
  corporaMissing,
  corpusPfx,
  manifestPfx,
  type PfxRow,
  pfxRows,
  readCorpus,
  readVector,
  vectorSources,
} from './helpers/vectors.js';

type Outcome = { contents: PfxContents; error?: undefined } | { error: MailsealError };

function open(bytes: Uint8Array, password: string, allowNoMac: boolean): Outcome {
  try {
    return { contents: readPfx(bytes, password, { allowNoMac }) };
  } catch (error) {
    if (error instanceof MailsealError) return { error };
    throw error;
  }
}

/** How many files each source has, how many opened, and the reasons of the others. */
const table = new Map<string, { files: number; opened: number; refused: Map<string, number> }>();

/** What OpenSSL does not open: what it says, what mailseal says, and why. */
const others: { name: string; openssl: string; mailseal: string; why: string }[] = [];

const unopened = (name: string) => UNOPENED.find(({ path }) => path.test(name));

function checkUnopened(name: string, openssl: string, outcome: Outcome & { contents?: PfxContents }): void {
  const row = unopened(name) as Unopened;
  const { contents, error } = outcome;
  const opened = `opens: ${contents?.entries.length} keys, ${contents?.skipped.length} parts left out`;
  const mailseal = error === undefined ? opened : `${error.code}: ${error.message}`;
  others.push({ name, openssl, mailseal, why: row.why });
  expect(error?.code ?? 'opens', name).toBe(opensWithProvider(name) ? 'opens' : row.says);
}

function record(source: string, { error }: Outcome): void {
  const row = table.get(source) ?? { files: 0, opened: 0, refused: new Map<string, number>() };
  table.set(source, row);
  row.files++;
  if (error === undefined) row.opened++;
  else {
    const reason = `${error.code}: ${error.message}`;
    row.refused.set(reason, (row.refused.get(reason) ?? 0) + 1);
  }
}

afterAll(() => {
  const lines = ['source                  files  opened  refused'];
  for (const [source, { files, opened, refused }] of table) {
    const numbers = [files, opened, files - opened].map((n, i) => String(n).padStart([5, 7, 8][i] as number));
    lines.push(`${source.padEnd(23)} ${numbers.join(' ')}`);
    for (const [reason, count] of refused) lines.push(`${String(count).padStart(30)} × ${reason}`);
  }
  lines.push('', 'What OpenSSL does not open, or opens without reading:');
  for (const { name, openssl, mailseal, why } of others) {
    lines.push(name, `  openssl   ${openssl}`, `  mailseal  ${mailseal}`, `  because   ${why}`);
  }
  console.log(lines.join('\n'));
});

function expectCounts(
  { contents, error }: Outcome & { contents?: PfxContents },
  keys: number,
  certs: number,
): void {
  expect(error).toBeUndefined();
  const { entries, certificates, skipped } = contents as PfxContents;
  expect(entries.length + skipped.length).toBe(keys);
  expect(certificates.length + entries.filter(({ certificate }) => certificate !== undefined).length).toBe(
    certs,
  );
  for (const { privateKey, certificate } of entries) {
    if (certificate !== undefined) expect(certificate.publicKey.equals(privateKey.publicKey)).toBe(true);
  }
}

/** As the index names them: "rsa", "ec P-256". */
const keyName = ({ privateKey }: PfxContents['entries'][number]) =>
  `${privateKey.algorithm} ${privateKey.publicKey.curve ?? ''}`.trim();

/** Explicit curve parameters are refused by design: such a key is reported in `skipped`. */
const UNSUPPORTED_KEYS = ['ec explicit'];

function check(row: PfxRow, outcome: Outcome): void {
  const { expect: expected } = row;
  expectCounts(outcome, expected.keys as number, expected.certs as number);
  const { entries, skipped } = (outcome as { contents: PfxContents }).contents;
  const names = expected.keyAlgorithms ?? [];
  expect(entries.map(keyName)).toEqual(names.filter((name) => !UNSUPPORTED_KEYS.includes(name)));
  expect(skipped).toHaveLength(names.filter((name) => UNSUPPORTED_KEYS.includes(name)).length);
}

describe.each(vectorSources())('%s', (source) => {
  const rows = pfxRows().filter((row) => row.source === source);
  it.skipIf(rows.length === 0)(`${rows.length} PFX files`, () => {
    for (const row of rows) {
      const outcome = open(readVector(source, row.path), row.password ?? '', row.mac === null);
      record(source, outcome);
      const name = `${source}/${row.path}`;
      try {
        if (unopened(name) === undefined) check(row, outcome);
        else checkUnopened(name, row.expect.error ?? `3.0 does not; seen by: ${row.seenBy}`, outcome);
      } catch (cause) {
        throw new Error(row.path, { cause: outcome.error ?? cause });
      }
    }
  });
});

it('a file without MAC is refused unless asked for, and a wrong password is told from a broken file', () => {
  for (const row of pfxRows()) {
    const { says = 'opens' } = unopened(`${row.source}/${row.path}`) ?? {};
    if (says !== 'opens' || /nomac_parse/.test(row.path)) continue;
    if (row.mac !== null && (row.mac.iterations ?? 0) > 5000) continue; // slow, and no different
    const { error } = open(readVector(row.source, row.path), 'not this one', false);
    expect(error?.code, row.path).toBe(row.mac === null ? 'PFX_NO_MAC' : 'PFX_WRONG_PASSWORD');
  }
});

it('RFC 9579: the vectors of A.1 to A.3 open, those of A.4 to A.6 do not', () => {
  const codes = ['a1', 'a2', 'a3', 'a4', 'a5', 'a6'].map((name) => {
    const { error } = open(readVector('go-pkcs12', `rfc9579-${name}.p12`), '1234', false);
    return error?.code;
  });
  expect(codes).toEqual([
    undefined,
    undefined,
    undefined,
    'PFX_MAC_MISMATCH', // wrong iteration count
    'PFX_MAC_MISMATCH', // wrong salt
    'ASN1_UNEXPECTED', // no keyLength
  ]);
});

/** All files of the corpus have this password where the manifest does not know one. */
const CORPUS_PASSWORD = 'Red Hat Enterprise Linux 7.4';
/** OpenSSL has them in its legacy provider alone, which Node.js loads when it is told to. */
const LEGACY_CIPHER = /(seed|cast5|idea)-cbc/;

function opensWithProvider(name: string): boolean {
  const cipher = LEGACY_CIPHER.exec(name)?.[0];
  return cipher !== undefined && getCiphers().includes(cipher);
}

describe.skipIf(corporaMissing() !== undefined)('pkcs12-keyfile-corpus', () => {
  it.each(corpusPfx())('$path', (row: CorpusPfx) => {
    const { path } = row;
    const outcome = open(readCorpus(path), row.password ?? CORPUS_PASSWORD, !path.includes('mac('));
    record('pkcs12-keyfile-corpus', outcome);
    if (row.expect.error !== undefined) checkUnopened(path, row.expect.error, outcome);
    else if (!LEGACY_CIPHER.test(path) || opensWithProvider(path)) {
      expectCounts(outcome, row.expect.keys, row.expect.certs);
      return;
    }
    if (outcome.error === undefined) return expectCounts(outcome, 1, 1);
    expect(outcome.error.code).toBe('UNSUPPORTED_ALGORITHM');
    expect(outcome.error.message).toContain(` (${outcome.error.oid}) `); // its name stands before
  });
});

describe.skipIf(corporaMissing() !== undefined)('the manifest', () => {
  const rows = manifestPfx();
  const known = new Map(pfxRows().map((row) => [row.sha256, row]));

  it('every file is here, or of the corpus', () => {
    const missing = rows.filter(
      ({ sha256, path }) => !known.has(sha256) && !path.startsWith('pkcs12-keyfile-corpus/'),
    );
    expect(missing).toEqual([]);
    expect(rows.length).toBeGreaterThan(600);
  });

  it('what OpenSSL 3.0 opens is what opens above, and each of the others has its reason', () => {
    for (const { path, sha256, expect: expected } of rows) {
      const here = known.get(sha256);
      const reason = unopened(here === undefined ? path : `${here.source}/${here.path}`);
      if (expected.error !== undefined) expect(reason, path).toBeDefined();
      else if (reason !== undefined) expect(reason.says, path).toBe('opens');
    }
  });
});
