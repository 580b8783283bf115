/** The built package, since that is what users run; its types come from the sources, so no build is needed to check. */
import { readFileSync } from 'node:fs';

export const mailseal = (await import(
  new URL('../dist/index.js', import.meta.url).href
)) as typeof import('../src/index.js');

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** The fields that every case of mailseal has. */
export const MAILSEAL = { impl: 'mailseal', version } as const;

/** The fields of a physical limit: the bare operation through node:crypto, or another named library. */
export const BARE = {
  impl: 'bare',
  version: `node ${process.versions.node}, openssl ${process.versions.openssl}`,
};
