/** The TypeScript of README.md compiles as it stands, against the types that the package has. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'mailseal-readme-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** What the examples take as given, by a word that is in one of them alone. */
const GIVEN: Readonly<Record<string, string>> = {
  'readPfx(': 'declare const mail: Uint8Array, caDer: Uint8Array, answer: Uint8Array;',
  'createReadStream(': `import { decrypt, encrypt, sign, verify } from 'mailseal';
    import type { Certificate, KeyFinder, Recipient, Signer } from 'mailseal';
    declare const signers: Signer[], recipients: Recipient[], keys: KeyFinder, trust: Certificate[];`,
  'webCryptoKey(': `import type { webcrypto } from 'node:crypto';
    import type { Certificate } from 'mailseal';
    declare const cryptoKey: webcrypto.CryptoKey, certificate: Certificate, mail: Uint8Array, keyId: string;
    declare const kms: Record<string, (keyId: string, ...rest: unknown[]) => Promise<Uint8Array>>;`,
};

it('every example compiles', () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const examples = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code as string);
  const words = Object.keys(GIVEN);
  expect(examples.map((code) => words.filter((word) => code.includes(word)))).toEqual(
    words.map((word) => [word]),
  );
  const files = examples.map((code, i) => {
    const file = join(folder, `example${i}.ts`);
    writeFileSync(file, `${GIVEN[words[i] as string]}\n${code}`);
    return file;
  });
  const compilerOptions = {
    strict: true,
    noEmit: true,
    target: 'es2022',
    module: 'esnext',
    moduleResolution: 'bundler',
    lib: ['es2023'],
    types: ['node'],
    typeRoots: [join(ROOT, 'node_modules/@types')],
    paths: { mailseal: [join(ROOT, 'dist/index.d.ts')] },
  };
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const { stdout, status } = spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' });
  expect(stdout).toBe('');
  expect(status).toBe(0);
}, 60_000);
