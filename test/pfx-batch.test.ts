/** Reading many PFX files in one call: the same results as one by one, whatever lies beside them. */
import { describe, expect, it } from 'vitest';
import { readPfxBatch } from '../src/pfx/bulk.js';
import { outcomeOf, readSingly } from './helpers/outcomes.js';
import { pfxRows, readVector } from './helpers/vectors.js';

const vectors = pfxRows().map((row) => ({
  name: `${row.source}/${row.path}`,
  bytes: readVector(row.source, row.path),
  password: row.password ?? '',
}));

describe('readPfxBatch', () => {
  it.each([{}, { allowNoMac: true }])('every vector comes to what readPfx makes of it: %o', (options) => {
    const results = readPfxBatch(vectors, options);
    expect(results).toHaveLength(vectors.length);
    for (const [i, { name, bytes, password }] of vectors.entries()) {
      expect(outcomeOf(results[i]!), name).toEqual(outcomeOf(readSingly(bytes, password, options)));
    }
  });
});
