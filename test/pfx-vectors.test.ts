/**
 * Every PFX of vectors/ and, where MAILSEAL_CORPORA names them, of pkcs12-keyfile-corpus: what OpenSSL opened opens to
 * the same keys and certificates, and some more; all others are refused by a code that says why. Prints what it says.
 */
import { getCiphers } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { MailsealError } from '../src/errors.js';
import { type PfxContents, readPfx } from '../src/pfx/read.js';
import {
  type CorpusPfx,
  corporaMissing,
  corpusPfx,
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

/** What OpenSSL does not open: what it says, and what mailseal says. */
const others: { name: string; openssl: string; mailseal: string }[] = [];

function recordOther(
  name: string,
  openssl: string,
  { contents, error }: Outcome & { contents?: PfxContents },
): void {
  const opened = `opens: ${contents?.entries.length} keys`;
  others.push({ name, openssl, mailseal: error === undefined ? opened : `${error.code}: ${error.message}` });
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
  lines.push('', 'What OpenSSL does not open:');
  for (const { name, openssl, mailseal } of others) {
    lines.push(name, `  openssl   ${openssl}`, `  mailseal  ${mailseal}`);
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

/** What no password opens. */
const PUBLIC_KEY_ENCRYPTED = 'recipes/80-test_pkcs12_data/nomac_parse.p12';
/** A PBMAC1 key of 256 octets, where OpenSSL takes 64 at most: refused as CVE-2025-11187 taught. */
const LONG_MAC_KEY = 'asn1/test_key_pbmac1_bcjsse.pfx';
/** Explicit curve parameters are refused by design: such a key is reported in `skipped`. */
const UNSUPPORTED_KEYS = ['ec explicit'];

function check(row: PfxRow, outcome: Outcome): void {
  const { expect: expected, path } = row;
  if (path === PUBLIC_KEY_ENCRYPTED) {
    expect(outcome.error?.code).toBe('UNSUPPORTED_FEATURE');
  } else if (path === LONG_MAC_KEY) {
    expect(outcome.error?.message).toBe('PBMAC1 keyLength 256, it must be 20 to 64');
  } else if (expected.error !== undefined) {
    expect(outcome.error?.code).toMatch(/^(ASN1|PFX)_/);
  } else {
    expectCounts(outcome, expected.keys, expected.certs);
    const { entries, skipped } = (outcome as { contents: PfxContents }).contents;
    const names = expected.keyAlgorithms ?? [];
    expect(entries.map(keyName)).toEqual(names.filter((name) => !UNSUPPORTED_KEYS.includes(name)));
    expect(skipped).toHaveLength(names.filter((name) => UNSUPPORTED_KEYS.includes(name)).length);
  }
}

describe.each(vectorSources())('%s', (source) => {
  const rows = pfxRows().filter((row) => row.source === source);
  it.skipIf(rows.length === 0)(`${rows.length} PFX files`, () => {
    for (const row of rows) {
      const outcome = open(readVector(source, row.path), row.password ?? '', row.mac === null);
      record(source, outcome);
      if (row.expect.error !== undefined) recordOther(`${source}/${row.path}`, row.expect.error, outcome);
      try {
        check(row, outcome);
      } catch (cause) {
        throw new Error(row.path, { cause: outcome.error ?? cause });
      }
    }
  });
});

it('a file without MAC is refused unless asked for, and a wrong password is told from a broken file', () => {
  for (const row of pfxRows()) {
    if (row.expect.error !== undefined || row.path === LONG_MAC_KEY) continue;
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
/** Names say the algorithms. No ECB, whose keys NSS 3.21 made in a way that nobody wrote down. */
const REFUSED = /pbeWithMD2|-ecb/;
/** Those that OpenSSL has in its legacy provider alone, which Node.js loads when it is told to. */
const LEGACY_CIPHER = /(seed|cast5|idea)-cbc/;

describe.skipIf(corporaMissing() !== undefined)('pkcs12-keyfile-corpus', () => {
  it.each(corpusPfx())('$path', (row: CorpusPfx) => {
    const { path } = row;
    const outcome = open(readCorpus(path), row.password ?? CORPUS_PASSWORD, !path.includes('mac('));
    record('pkcs12-keyfile-corpus', outcome);
    if (row.expect.error !== undefined) recordOther(path, row.expect.error, outcome);
    const legacy = LEGACY_CIPHER.exec(path)?.[0];
    if (REFUSED.test(path) || (legacy !== undefined && !getCiphers().includes(legacy))) {
      expect(outcome.error?.code).toBe('UNSUPPORTED_ALGORITHM');
      expect(outcome.error?.message).toContain(` (${outcome.error?.oid}) `); // its name stands before
    } else if (row.expect.error === undefined) {
      expectCounts(outcome, row.expect.keys, row.expect.certs);
    } else {
      expectCounts(outcome, 1, 1); // OpenSSL 3.0 does not, for the key derivation or the oddities of NSS 3.21
    }
  });
});
