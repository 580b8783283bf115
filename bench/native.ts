/** The C program on libcrypto (native/libcrypto.c): compiled into the run's folder, started once a job and round. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROUND_MS, type Row } from './measure.js';
import type { Peer } from './peer.js';

const SOURCE = fileURLToPath(new URL('native/libcrypto.c', import.meta.url));

/** Without a C compiler or OpenSSL's headers the run goes on without this peer, and says why. */
export function compileNative(folder: string): Peer[] {
  const binary = join(folder, 'libcrypto');
  const compiler = process.env.CC ?? 'cc';
  try {
    const flags = ['-O2', '-std=c99', '-D_POSIX_C_SOURCE=199309L'];
    execFileSync(compiler, [...flags, SOURCE, '-o', binary, '-lcrypto'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  } catch (error) {
    const { stderr, message } = error as { stderr?: Buffer; message: string };
    const reason =
      stderr
        ?.toString()
        .split('\n')
        .find((line) => line.includes('error')) ?? message;
    console.error(`without libcrypto: ${compiler} can't compile bench/native/libcrypto.c: ${reason}`);
    return [];
  }
  return [
    {
      impl: 'libcrypto',
      async measure({ name, native }) {
        if (native === undefined) return null;
        const [operation, ...inputs] = native;
        const args = [operation, name, String(ROUND_MS), ...inputs];
        return JSON.parse(execFileSync(binary, args, { encoding: 'utf8' })) as Row;
      },
      close() {},
    },
  ];
}
