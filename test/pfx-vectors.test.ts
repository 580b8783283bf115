/**
 * Every PFX of vectors/ and, where MAILSEAL_CORPORA names them, of pkcs12-keyfile-corpus: those of the algorithms that
 * are built open to the keys and certificates that OpenSSL found, all others are refused by a code that says why.
 */
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
/** Explicit curve parameters are refused by design: such a key is reported in `skipped`. */
const UNSUPPORTED_KEYS = ['ec explicit'];

function check(row: PfxRow, outcome: Outcome): void {
  const { expect: expected, beyondCore, path } = row;
  if (beyondCore !== undefined) {
    expect(outcome.error).toMatchObject({
      code: 'UNSUPPORTED_ALGORITHM',
      oid: expect.stringMatching(/^\d[\d.]+$/),
    });
  } else if (path === PUBLIC_KEY_ENCRYPTED) {
    expect(outcome.error?.code).toBe('UNSUPPORTED_FEATURE');
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
    if (row.expect.error !== undefined || row.beyondCore !== undefined) continue;
    if (row.mac !== null && (row.mac.iterations ?? 0) > 5000) continue; // slow, and no different
    const { error } = open(readVector(row.source, row.path), 'not this one', false);
    expect(error?.code, row.path).toBe(row.mac === null ? 'PFX_NO_MAC' : 'PFX_WRONG_PASSWORD');
  }
});

/** Names say the algorithms; these are of a later issue. */
const BEYOND =
  /hmacWith(MD5|SHA224|SHA384|SHA512)|hmac-sha3|mac\((md5|sha384|sha512|sha3)|camellia|seed|cast5|idea|-ecb|pbeWithMD|pbeWithSHA1AndDES/;
/** All files of the corpus have this password where the manifest does not know one. */
const CORPUS_PASSWORD = 'Red Hat Enterprise Linux 7.4';

describe.skipIf(corporaMissing() !== undefined)('pkcs12-keyfile-corpus', () => {
  it.each(corpusPfx())('$path', (row: CorpusPfx) => {
    const outcome = open(readCorpus(row.path), row.password ?? CORPUS_PASSWORD, !row.path.includes('mac('));
    record('pkcs12-keyfile-corpus', outcome);
    if (row.expect.error === undefined && !BEYOND.test(row.path)) {
      expectCounts(outcome, row.expect.keys, row.expect.certs);
    } else if (row.path.includes('keyLen(32)') && row.path.includes('aes-192-cbc')) {
      expect(outcome.error?.code).toBe('ASN1_BAD_VALUE'); // NSS 3.21 derived a key of another length
    } else {
      expect(outcome.error?.code).toBe('UNSUPPORTED_ALGORITHM');
      expect(outcome.error?.message).toContain(` (${outcome.error?.oid}) `); // its name stands before
    }
  });
});
