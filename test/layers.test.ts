/** The layer rule: imports point only upwards. ARCHITECTURE.md draws it; this reads the import statements and holds it. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const SRC = resolve(import.meta.dirname, '../src');

/** Each layer and those that it may import; siblings (pfx, smime, keystore) import none of each other. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  bytes: ['errors'],
  maps: [],
  spool: ['errors', 'bytes'],
  wasm: ['errors', 'bytes'],
  asn1: ['errors', 'bytes', 'wasm'],
  pbe: ['errors', 'bytes', 'wasm', 'asn1'],
  x509: ['errors', 'bytes', 'wasm', 'asn1'],
  cms: ['errors', 'bytes', 'wasm', 'asn1', 'pbe', 'x509'],
  pfx: ['errors', 'bytes', 'wasm', 'asn1', 'pbe', 'x509', 'cms'],
  smime: ['errors', 'bytes', 'maps', 'spool', 'wasm', 'asn1', 'x509', 'cms'],
  keystore: ['errors', 'bytes', 'maps', 'wasm', 'asn1', 'x509', 'cms'],
  import: ['errors', 'bytes', 'wasm', 'asn1', 'x509', 'cms', 'pfx', 'keystore'],
  index: ['errors', 'bytes', 'asn1', 'x509', 'cms', 'pfx', 'smime', 'keystore', 'import'],
  cli: ['errors', 'bytes', 'maps', 'asn1', 'x509', 'cms', 'pfx', 'smime', 'keystore', 'import', 'index'],
};

/** `errors.ts` → errors, `asn1/tape.ts` → asn1. */
const layerOf = (file: string): string => (relative(SRC, file).split('/')[0] as string).replace(/\.ts$/, '');

interface Import {
  from: string;
  to: string;
}

function importsOf(file: string): Import[] {
  const source = readFileSync(file, 'utf8');
  const statements = source.matchAll(
    /(?:^|\n)\s*(?:import|export)\b[^;'"]*?['"](\.[^'"]+)['"]|import\(\s*['"](\.[^'"]+)['"]/g,
  );
  return [...statements].map((match) => {
    const target = resolve(dirname(file), (match[1] ?? match[2]) as string).replace(/\.js$/, '.ts');
    return { from: relative(SRC, file), to: relative(SRC, target) };
  });
}

/** Packages that are loaded with a module: not for types, and not by an `import()`, which waits until it is called. */
function packagesOf(entry: string): string[] {
  const packages = new Set<string>();
  const modules = new Set([entry]);
  for (const module of modules) {
    const source = readFileSync(join(SRC, module), 'utf8');
    const statements = source.matchAll(
      /(?:^|\n)(?:import|export)\b(?!\s+type\b)(?:[^;'"]*?\bfrom)?\s*['"]([^'"]+)['"]/g,
    );
    for (const [, name] of statements as Iterable<[string, string]>) {
      if (name.startsWith('.')) modules.add(join(dirname(module), name).replace(/\.js$/, '.ts'));
      else if (!name.startsWith('node:')) packages.add(name);
    }
  }
  return [...packages].sort();
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => join(SRC, name));

describe('layers', () => {
  it('finds the sources and their imports', () => {
    expect(files.length).toBeGreaterThan(10);
    expect(importsOf(join(SRC, 'asn1/tape.ts'))).toContainEqual({ from: 'asn1/tape.ts', to: 'wasm.ts' });
  });

  it.each(files.map((file) => relative(SRC, file)))('%s imports only from above', (name) => {
    const layer = layerOf(join(SRC, name));
    expect(Object.keys(LAYERS), `src/${name} is in no layer`).toContain(layer);
    for (const { to } of importsOf(join(SRC, name))) {
      const target = layerOf(join(SRC, to));
      if (target !== layer) expect(LAYERS[layer], `src/${name} imports src/${to}`).toContain(target);
    }
  });

  it('requests to URLs in certificates: nothing imports http, https, net, dns, tls or the like, or calls fetch', () => {
    const network =
      /['"](?:node:)?(?:https?|http2|net|dns|tls|dgram|inspector|undici)(?:\/[^'"]*)?['"]|\bfetch\s*\(|\b(?:WebSocket|EventSource|XMLHttpRequest)\b/;
    expect(`import { get } from 'node:https';`).toMatch(network);
    expect(`await import("dns/promises")`).toMatch(network);
    expect('await fetch(url)').toMatch(network);
    const asking = files.filter((file) => network.test(readFileSync(file, 'utf8')));
    expect(asking.map((file) => relative(SRC, file))).toEqual([]);
  });

  it.each([
    ['index.ts', []],
    ['import/worker.ts', ['piscina']],
    ['cli/main.ts', ['commander']],
    ['cli/import.ts', ['cli-progress', 'csv-parse/sync', 'tinyglobby']],
    ['keystore/sqlite.ts', ['kysely']],
  ])('%s loads these packages, and the others when they are needed', (entry, packages) => {
    expect(packagesOf(entry)).toEqual(packages);
  });

  it('lets only src/wasm/instance.ts know WebAssembly', () => {
    const knowing = files.filter((file) => /\bWebAssembly\./.test(readFileSync(file, 'utf8')));
    expect(knowing.map((file) => relative(SRC, file))).toEqual(['wasm/instance.ts']);
  });
});
