/**
 * Runs the built command line as a stranger would: a child process, with real files. `npm run build` makes it.
 * All that any run printed is kept, so that a test can look for secrets in it.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { latin1 } from '../../src/bytes.js';

export const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
if (!existsSync(MAIN)) throw new Error('dist/cli/main.js is missing: npm run build');

export interface Run {
  status: number | null;
  stdout: Buffer;
  stderr: string;
}

export interface RunOptions {
  /** Standard input. Default: at its end. */
  input?: string | Uint8Array;
  env?: Record<string, string>;
  cwd?: string;
}

const printed: string[] = [];

/** Which of these strings a run of this test file printed so far, in one line or broken into several. */
export function everPrinted(strings: readonly string[]): string[] {
  const text = printed.join('\n');
  const joined = text.replaceAll(/\s/g, '');
  return strings.filter((string) => text.includes(string) || joined.includes(string));
}

export function mailseal(args: readonly string[], options: RunOptions = {}): Promise<Run> {
  return command(process.execPath, [MAIN, ...args], options);
}

/** Any command, in an environment without the variables that mailseal reads. */
export function command(file: string, args: readonly string[], options: RunOptions = {}): Promise<Run> {
  const { input, env = {}, cwd } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd, env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env } });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (part) => stdout.push(part));
    child.stderr.on('data', (part) => stderr.push(part));
    child.stdin.on('error', () => undefined); // a command that fails at once does not read it
    child.stdin.end(input);
    child.on('error', reject);
    child.on('close', (status) => {
      const run = { status, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() };
      printed.push(latin1(run.stdout), run.stderr);
      resolve(run);
    });
  });
}

/** What a command printed that must have gone well. */
export async function succeed(args: readonly string[], options: RunOptions = {}): Promise<Run> {
  const run = await mailseal(args, options);
  expect(run.status, `${args.join(' ')}\n${run.stderr}`).toBe(0);
  return run;
}

export async function succeedJson<T>(args: readonly string[], options: RunOptions = {}): Promise<T> {
  return JSON.parse((await succeed([...args, '--json'], options)).stdout.toString()) as T;
}

/** The rules for every failure: one line, `mailseal: CODE: message`, and nothing on standard output. */
export function expectFailure(run: Run, code: string): string {
  expect(run.stderr).toMatch(/^mailseal: [A-Z0-9_]+: [^\n]+\n$/);
  expect(run.stderr.split(': ')[1]).toBe(code);
  expect(run.stdout.toString()).toBe('');
  expect(run.status).toBe(code === 'USAGE' ? 2 : 1);
  return run.stderr;
}
