/** The rivals from npm: installed into rivals/node_modules when missing; their modules stand in rivals/. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FOLDER = new URL('rivals/', import.meta.url);
const NAMES = ['node-forge', 'pkijs', 'asn1js'] as const;

/** Their names; none, with the reason printed, when they can't be installed. */
export function installRivals(): readonly string[] {
  if (existsSync(new URL('node_modules/', FOLDER))) return NAMES;
  console.error('installing bench/rivals …');
  try {
    const args = ['ci', '--no-audit', '--no-fund', '--prefix', fileURLToPath(FOLDER)];
    execFileSync('npm', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    return NAMES;
  } catch (error) {
    console.error(`without rivals: npm ci failed: ${(error as Error).message}`);
    return [];
  }
}
