/**
 * The command line on mail that does not fit into memory, and on what goes wrong while it is read or written: each time one
 * line, the exit status, and no file left, neither beside --out nor where temporary files are.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { buffer, toBase64, utf8 } from '../src/bytes.js';
import { signData } from '../src/cms/signed.js';
import { Certificate } from '../src/x509/certificate.js';
import { PrivateKey } from '../src/x509/keys.js';
import { expectFailure, MAIN, mailseal, succeed } from './helpers/cli.js';
import { ANNA_PASSWORD, anna, MAIL, writeFiles } from './helpers/cli-files.js';
import { temporaryFolder } from './helpers/peers.js';

const cwd = temporaryFolder();
const path = (name: string) => join(cwd, name);
const TMPDIR = path('tmp');
const env = { TMPDIR, MAILSEAL_PASSWORD: ANNA_PASSWORD };
const at = { cwd, env };
/** More than is kept in memory. */
const BIG = utf8(MAIL + 'The books are closed, and nobody opens them.\r\n'.repeat(500_000));
const OLD = 'what was there before';

beforeAll(async () => {
  await writeFiles(cwd);
  mkdirSync(TMPDIR);
  writeFileSync(path('big.eml'), BIG);
  await succeed(
    ['encrypt', 'big.eml', '--to-cert', 'anna.pem', '--cipher', 'aes256-gcm', '--out', 'big.enc'],
    at,
  );
  writeFileSync(path('cut.enc'), readFileSync(path('big.enc')).subarray(0, -1_000_000));
});

const left = () => [
  ...readdirSync(TMPDIR),
  ...readdirSync(cwd).filter((name) => name.startsWith('.mailseal-')),
];
afterEach(() => expect(left()).toEqual([]));

describe('mail of any size', () => {
  it.each([
    ['one octet', utf8('x')],
    ['more than fits into memory', BIG],
  ])('comes back as it was, through pipes: %s', async (_, input) => {
    const sign = ['sign', '-', '--pfx', 'anna.p12'];
    const signed = (await succeed(sign, { ...at, input })).stdout;
    const encrypt = ['encrypt', '-', '--to-cert', 'anna.pem'];
    const encrypted = (await succeed(encrypt, { ...at, input: signed })).stdout;
    const decrypt = ['decrypt', '-', '--pfx', 'anna.p12'];
    const decrypted = (await succeed(decrypt, { ...at, input: encrypted })).stdout;
    expect(decrypted.equals(signed)).toBe(true);
    const verify = ['verify', '-', '--trust', 'ca.pem'];
    const { stdout } = await mailseal(verify, { ...at, input: decrypted });
    expect(stdout.toString()).toContain('signature matches');
  });

  it('a file is signed in place', async () => {
    writeFileSync(path('same.eml'), BIG);
    await succeed(['sign', 'same.eml', '--pfx', 'anna.p12', '--out', 'same.eml'], at);
    expect(readFileSync(path('same.eml')).includes(buffer(BIG.subarray(-1_000_000)))).toBe(true);
  });

  it('a signature in a mail of its own is verified over a file', async () => {
    const signer = {
      privateKey: PrivateKey.parse(anna.privateKey),
      certificate: Certificate.parse(anna.certificate),
    };
    const signature = toBase64(signData(BIG, { signers: [signer], detached: true }));
    const header =
      'From: anna@example.org\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64';
    writeFileSync(path('signature.eml'), `${header}\r\n\r\n${signature}\r\n`);
    const { stdout } = await succeed(
      ['verify', 'signature.eml', '--content', 'big.eml', '--trust', 'ca.pem'],
      at,
    );
    expect(stdout.toString()).toMatch(/^valid\n/);
  });
});

describe('what goes wrong', () => {
  const sign = ['sign', 'big.eml', '--pfx', 'anna.p12'];
  const rows: readonly [string, readonly string[], string, RegExp][] = [
    ['an empty file', ['sign', 'empty', '--pfx', 'anna.p12'], 'MIME_MALFORMED', /the input is empty/],
    ['a folder', ['sign', 'tmp', '--pfx', 'anna.p12'], 'IO', /cannot read tmp: EISDIR/],
    ['a folder to write to', [...sign, '--out', 'tmp'], 'IO', /cannot write tmp: EISDIR/],
    [
      'mail that is cut off',
      ['decrypt', 'cut.enc', '--pfx', 'anna.p12', '--out', 'old'],
      'MIME_MALFORMED',
      /ends early/,
    ],
    [
      'a mail that is not encrypted',
      ['decrypt', 'big.eml', '--pfx', 'anna.p12', '--out', 'old'],
      'NOT_SMIME',
      /neither/,
    ],
  ];
  it.each(rows)('is told in one line: %s', async (_, args, code, says) => {
    writeFileSync(path('empty'), '');
    writeFileSync(path('old'), OLD);
    expect(expectFailure(await mailseal(args, at), code)).toMatch(says);
    expect(readFileSync(path('old'), 'latin1')).toBe(OLD);
  });

  it('a folder for temporary files that is not there', async () => {
    const run = await mailseal(sign, { cwd, env: { ...env, TMPDIR: path('nowhere') } });
    expect(expectFailure(run, 'IO')).toMatch(/a temporary file in .*nowhere can't be made: ENOENT/);
  });

  it.skipIf(!existsSync('/dev/full'))('a full disk', async () => {
    const run = await mailseal([...sign, '--out', '/dev/full'], at);
    expect(expectFailure(run, 'IO')).toMatch(/cannot write \/dev\/full: ENOSPC/);
  });

  describe.skipIf(process.platform === 'win32')('an interrupt', () => {
    /** The signal that ended it. */
    async function interrupted(args: readonly string[], hasBegun: (stdin: Writable) => Promise<void>) {
      writeFileSync(path('old'), OLD);
      const child = spawn(process.execPath, [MAIN, ...args], {
        cwd,
        env: { PATH: process.env.PATH, ...env },
      });
      const ended = new Promise((resolve) => child.once('close', (_, signal) => resolve(signal)));
      await hasBegun(child.stdin);
      child.kill('SIGINT');
      return ended;
    }

    it('while it reads', async () => {
      const args = ['encrypt', '-', '--to-cert', 'anna.pem', '--out', 'old'];
      const signal = await interrupted(
        args,
        (stdin) => new Promise((resolve) => stdin.write(BIG, () => resolve())),
      );
      expect(signal).toBe('SIGINT');
      expect(readFileSync(path('old'), 'latin1')).toBe(OLD);
    });

    it('while it writes', async () => {
      const begun = async () => expect.poll(() => left().length > 0, { interval: 1 }).toBe(true);
      for (let attempts = 10; attempts > 0; attempts--) {
        if ((await interrupted([...sign, '--out', 'old'], begun)) !== 'SIGINT') continue; // it was done by then
        expect(readFileSync(path('old'), 'latin1')).toBe(OLD);
        return;
      }
      throw new Error('it was never interrupted');
    });
  });
});
