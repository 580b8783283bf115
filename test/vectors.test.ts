import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  cmsRows,
  corpora,
  corporaMissing,
  corpusCms,
  corpusPfx,
  fuzzCorpus,
  type OtherRow,
  pfxRows,
  readCorpus,
  readIndex,
  readReference,
  readVector,
  vectorPath,
  vectorSources,
} from './helpers/vectors.js';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

function filesOf(source: string): string[] {
  const folder = vectorPath(source, '');
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => statSync(join(folder, path)).isFile())
    .filter((path) => path !== 'README.md' && path !== 'index.json');
}

describe.each(vectorSources())('vectors/%s', (source) => {
  const rows = readIndex(source);
  const readme = readFileSync(vectorPath(source, 'README.md'), 'utf8');

  it('has a README with origin and licence, and the licence text', () => {
    expect(readme).toMatch(/^- Origin: \S/m);
    const named = /^- Licence: .*\(.*?((?:LICENSE|copyright)[\w.-]*)/m.exec(readme)?.[1];
    expect(named).toBeDefined();
    expect(readVector(source, named!).length).toBeGreaterThan(100);
  });

  it('names each file once, in the index or in the README', () => {
    const indexed = rows.map((row) => row.path);
    expect(new Set(indexed).size).toBe(indexed.length);
    expect(filesOf(source).filter((path) => !indexed.includes(path) && !readme.includes(path))).toEqual([]);
  });

  it('has every file that the index names', () => {
    expect(rows.filter((row) => !existsSync(vectorPath(source, row.path))).map((row) => row.path)).toEqual(
      [],
    );
  });

  it('holds the octets that the index states', () => {
    const stated = rows.map((row) => ({ path: row.path, sha256: (row as { sha256?: string }).sha256 }));
    const changed = stated.filter((row) => row.sha256 && sha256(readVector(source, row.path)) !== row.sha256);
    expect(changed.map((row) => row.path)).toEqual([]);
  });
});

describe('rows', () => {
  it('refer to files that are there', () => {
    for (const row of cmsRows()) {
      const references = [
        row.content,
        row.plaintext,
        ...(row.signerCertificates ?? []),
        ...(row.verifiedBy?.anchors ?? []),
        ...(row.openedBy ?? []).flatMap((opener) => [opener.key, opener.certificate]),
      ];
      for (const reference of references) {
        if (reference) expect(readReference(row.source, reference).length, row.path).toBeGreaterThan(0);
      }
    }
  });

  it('that open or verify say what with, and what came out', () => {
    for (const row of cmsRows()) {
      if (row.expect === 'opens' && row.contentType === 'envelopedData') {
        expect(row.openedBy?.length, row.path).toBeGreaterThan(0);
      }
      if (row.expect === 'verifies' || row.expect === 'opens') {
        expect(row.contentSha256, row.path).toMatch(/^[0-9a-f]{64}$/);
      }
      if (row.plaintext) expect(sha256(readReference(row.source, row.plaintext))).toBe(row.contentSha256);
    }
  });

  it('of PFX files count as many bags as OpenSSL wrote out', () => {
    for (const row of pfxRows()) {
      if (row.expect.error !== undefined) continue;
      const bags = row.bags ?? [];
      const where = `${row.source}/${row.path}`;
      expect(bags.filter((bag) => bag.bag === 'cert').length, where).toBe(row.expect.certs);
      expect(bags.filter((bag) => /key/i.test(bag.bag)).length, where).toBe(row.expect.keys);
      expect(row.expect.keyAlgorithms?.length ?? 0, where).toBe(row.expect.keys);
    }
  });
});

describe('fuzzCorpus', () => {
  it('gives every file of the archive, under the SHA-1 of its octets where its name is one', () => {
    const counts: Record<string, number> = {};
    const misnamed: string[] = [];
    for (const { name, bytes } of fuzzCorpus()) {
      const [folder = '', file = ''] = name.split('/');
      counts[folder] = (counts[folder] ?? 0) + 1;
      if (createHash('sha1').update(bytes).digest('hex') !== file && /^[0-9a-f]{40}$/.test(file))
        misnamed.push(name);
    }
    const [archive] = readIndex('openssl-fuzz-corpora') as OtherRow[];
    expect(counts).toEqual(archive?.files);
    // This one is empty in the source too.
    expect(misnamed).toEqual(['cms/ee803aa4c821cd42e151a077fcbba525127c9b10']);
  });
});

describe(`corpora outside the repository${corpora() ? '' : ` (skipped: ${corporaMissing()})`}`, () => {
  it.skipIf(!corpora())('hold the PFX files of their manifest, unchanged', () => {
    const rows = corpusPfx();
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.filter((row) => sha256(readCorpus(row.path)) !== row.sha256)).toEqual([]);
  });

  it.skipIf(!corpora())('hold the CMS objects of their manifest', () => {
    const rows = corpusCms();
    expect(rows.length).toBeGreaterThan(0);
    for (const row of rows) expect(readCorpus(row.path).length).toBeGreaterThan(0);
  });
});
