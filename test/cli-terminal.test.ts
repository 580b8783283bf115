/**
 * The command line and its surroundings: text that would control a terminal, readers that stop or are slow, full
 * disks, the password prompt. What it does: cli.test.ts; bad input: cli-errors.test.ts.
 */
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { concat, writePem } from '../src/bytes.js';
import { command, everPrinted, expectFailure, MAIN, mailseal, succeed } from './helpers/cli.js';
import { ANNA_PASSWORD, ca, MAIL, secrets, writeFiles } from './helpers/cli-files.js';
import { temporaryFolder } from './helpers/peers.js';
import { certBag, pfx, safe, shroudedKeyBag } from './helpers/pfx.js';
import { issueCertificate } from './helpers/pki.js';

const folder = temporaryFolder();
const path = (name: string) => join(folder, name);
const env = { MAILSEAL_STORE: 'sqlite:keys.db', MAILSEAL_SEAL_KEY: 'seal.key' };
const here = { cwd: folder, env };

beforeAll(async () => {
  await writeFiles(folder);
  await succeed(['import', 'anna-old.p12', 'anna.p12', '--password-file', 'anna.pw'], here);
});

describe.concurrent('text that would control the terminal', () => {
  const EVIL = 'Eve\u001b]0;owned\u0007\u009b31m\u202egro.live\u2066\u200b\u{e0041}\r\nmailseal: valid';
  /** But for the line ends of our own. */
  const raw = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

  it('control and bidi characters of certificates, friendly names, files and headers are escaped everywhere', async () => {
    const eve = issueCertificate({ subject: EVIL, emails: ['eve@example.org'], key: 'rsa', issuer: ca });
    const name = `\u001b[2J\u202e.p12`;
    writeFileSync(
      path(name),
      pfx({
        safes: [
          safe([
            shroudedKeyBag(eve.privateKey, 'x', { friendlyName: EVIL.replace('\u{e0041}', '') }),
            certBag(eve.certificate),
          ]),
        ],
        password: 'x',
      }),
    );
    writeFileSync(path('eve.pem'), writePem('CERTIFICATE', eve.certificate));
    writeFileSync(path('odd\u001b[31m.txt'), 'x');
    writeFileSync(
      path('odd.eml'),
      'From: a@example.org\r\nContent-Type: text/\u001b[31mplain; charset="\u009b"\r\nContent-Transfer-Encoding: \u001b]0;x\u0007\r\n\r\nx',
    );
    const env = { MAILSEAL_STORE: 'sqlite:eve.db', MAILSEAL_SEAL_KEY: 'seal.key', MAILSEAL_PASSWORD: 'x' };
    const eves = { cwd: folder, env };
    await succeed(['import', name], eves);
    await succeed(['sign', 'mail.eml', '--from', 'eve@example.org', '--out', 'eve.eml'], eves);
    await succeed(['encrypt', 'mail.eml', '--to', 'eve@example.org', '--out', 'to-eve.eml'], eves);
    const outputs = await Promise.all(
      [
        ['users', 'eve@example.org'],
        ['users', 'eve@example.org', '--json'],
        ['lookup', 'to-eve.eml'],
        ['lookup', 'to-eve.eml', '--json'],
        ['verify', 'eve.eml', '--trust', 'eve.pem'],
        ['verify', 'eve.eml', '--trust', 'eve.pem', '--json'],
        ['inspect', name],
        ['inspect', name, '--json'],
        ['inspect', 'eve.pem'],
        ['inspect', 'odd.eml'],
        ['decrypt', 'odd.eml'],
        ['decrypt', 'to-eve.eml', '--out', 'opened-eve.eml'],
        ['lookup', '\u001b[31mnowhere\u202e'],
        ['lookup', 'x', '--\u001b[31m'],
        ['import', '.', '--store', 'sqlite:\u001b[31m/x'],
        ['verify', 'eve.eml', '--trust', '\u001b[31m\u202enowhere'],
        ['import', '.', '--user', 'x@\u001b[31m'],
      ].map(async (args) => ({ args, ...(await mailseal(args, eves)) })),
    );
    for (const { args, stdout, stderr } of outputs) {
      const text = stdout.toString() + stderr;
      expect(raw.exec(text)?.index, `${args.join(' ')}\n${JSON.stringify(text)}`).toBeUndefined();
      expect(text).not.toMatch(/^mailseal: valid/m);
      if (args.includes('--json')) JSON.parse(stdout.toString());
    }
  }, 30_000);
});

describe.concurrent('surroundings', () => {
  it('a reader that stops early is no error to tell of', async () => {
    writeFileSync(
      path('many.der'),
      concat([Buffer.from('308400100000', 'hex'), Buffer.from('3000'.repeat(1 << 19), 'hex')]),
    );
    const child = spawn(process.execPath, [MAIN, 'inspect', path('many.der')], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (part: Buffer) => {
      stderr += part.toString();
    });
    child.stdout.once('data', () => child.stdout.destroy());
    const status = await new Promise((resolve) => child.on('close', resolve));
    expect(stderr).toBe('');
    expect(status).toBe(1);
  });

  it.skipIf(!existsSync('/dev/full'))('a full disk under standard output is told in one line', async () => {
    const full = openSync('/dev/full', 'w');
    const { status, stderr } = spawnSync(process.execPath, [MAIN, 'decrypt', 'to-anna-old.eml'], {
      cwd: folder,
      env: { ...process.env, ...env },
      stdio: ['ignore', full, 'pipe'],
      encoding: 'utf8',
    });
    closeSync(full);
    expect(stderr).toMatch(/^mailseal: IO: cannot write to standard output: ENOSPC: [^\n]+\n$/);
    expect(status).toBe(1);
  });

  it('a slow reader gets everything', async () => {
    const large = `${MAIL}${'The same line, again and again.\r\n'.repeat(200_000)}`;
    writeFileSync(path('large.eml'), large);
    await succeed(['encrypt', 'large.eml', '--to', 'anna@example.org', '--out', 'large-encrypted.eml'], here);
    const run = await command(
      'sh',
      ['-c', `node "${MAIN}" decrypt large-encrypted.eml | (sleep 1; wc -l)`],
      here,
    );
    expect(Number(run.stdout.toString())).toBeGreaterThan(200_000);
  }, 30_000);

  it('a closed standard input is an empty one', async () => {
    const run = await command('sh', ['-c', `node "${MAIN}" lookup - <&-`], here);
    expectFailure(run, 'NOT_SMIME');
  });
});

/** util-linux's `script` runs a command on a terminal of its own, whose output it passes on. */
const hasScript = spawnSync('script', ['--version']).stdout?.includes('util-linux') ?? false;

describe.skipIf(!hasScript)('at a terminal (needs util-linux script)', () => {
  /** Types `keys` when the prompt is there. */
  async function typed(keys: string, more = ''): Promise<{ status: number | null; output: string }> {
    const line = `"${process.execPath}" "${MAIN}" import anna.p12 --store sqlite:typed.db ${more}`;
    const child = spawn('script', ['-qec', line, '/dev/null'], {
      cwd: folder,
      env: { ...process.env, ...env },
    });
    let output = '';
    child.stdout.on('data', (part: Buffer) => {
      const asked = output.includes('masked');
      output += part.toString();
      if (!asked && output.includes('masked')) child.stdin.write(keys);
    });
    const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
    return { status, output };
  }

  it.each(['', '--password-file -'])(
    'the password is asked for, and not echoed: %s',
    async (more) => {
      const { status, output } = await typed(`${ANNA_PASSWORD}\r`, more);
      expect(output).toContain('Password of the PFX files:');
      expect(output).toMatch(/1 (?:imported|there already)/);
      for (const part of ['corr', 'horse', ANNA_PASSWORD.slice(0, 3)]) expect(output).not.toContain(part);
      expect(output).not.toContain('*');
      expect(status).toBe(0);
    },
    20_000,
  );

  it('Ctrl-C at the prompt ends it with one line', async () => {
    const { status, output } = await typed('\u0003');
    expect(output).toMatch(/mailseal: USAGE: Password of the PFX files: none was given\r\n/);
    expect(output).not.toContain('at file:');
    expect(status).toBe(2);
  }, 20_000);
});

describe('afterwards', () => {
  it('no secret was ever printed', () => {
    expect(everPrinted(secrets())).toEqual([]);
  });
});
