/** The command line says what it encrypts with and why, and learns from verified mail what its users read. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectFailure, mailseal, succeed, succeedJson } from './helpers/cli.js';
import { writeFiles } from './helpers/cli-files.js';
import { temporaryFolder } from './helpers/peers.js';

const folder = temporaryFolder();
const env = { MAILSEAL_STORE: 'sqlite:keys.db', MAILSEAL_SEAL_KEY: 'seal.key' };
const here = { cwd: folder, env };
const ENCRYPT = ['encrypt', 'mail.eml', '--to', 'anna@example.org'];

interface Choice {
  cipher: string;
  reason: string;
  recipients: { source: string; since?: string; reads: string; keyEncryption: object; certificate: object }[];
}

beforeAll(async () => {
  await writeFiles(folder);
  await succeed(['import', 'anna.p12', '--password-file', 'anna.pw'], here);
  await succeed(['import', 'bert.p12', '--password-file', 'bert.pw'], here);
});

describe('encrypt and verify --remember', () => {
  it('nobody is known to read AES-256-GCM at first: the note says so', async () => {
    const run = await succeed(ENCRYPT, here);
    expect(run.stdout.toString()).toContain('smime-type=enveloped-data;');
    const [content, anna, ...more] = run.stderr.trimEnd().split('\n');
    expect(content).toMatch(/^mailseal: encrypted with aes256-cbc: .*where nothing is known$/);
    expect(anna).toMatch(/^mailseal: to CN=Anna \(.*\): what they read is not known.*rsaes-pkcs1/);
    expect(more).toEqual([]);
    const bert = await succeed(['encrypt', 'mail.eml', '--to-cert', 'bert.pem'], here);
    expect(bert.stderr).toMatch(/to CN=Bert .*; ecdh with sha256/);
  });

  it('verifying alone remembers nothing, nor does a mail that is not trusted', async () => {
    await succeed(['verify', 'signed.eml', '--trust', 'ca.pem'], here);
    const run = await mailseal(['verify', 'signed.eml', '--remember', '--json', '--trust', 'bert.pem'], here);
    expect(run.status).toBe(1);
    expect(JSON.parse(run.stdout.toString())).toMatchObject({ valid: false, remembered: [] });
    expect((await succeed(ENCRYPT, here)).stderr).toContain('encrypted with aes256-cbc');
  });

  it('a verified mail is remembered once, and the next one is encrypted as it says', async () => {
    const args = ['verify', 'signed.eml', '--remember', '--trust', 'ca.pem'];
    const first = await succeed(args, here);
    expect(first.stdout.toString()).toMatch(/^valid\n/);
    expect(first.stderr).toBe('mailseal: remembered what anna@example.org can read\n');
    expect(await succeedJson(args, here)).toMatchObject({ valid: true, remembered: [] });

    const run = await succeed([...ENCRYPT, '--out', 'chosen.eml', '--json'], here);
    expect(run.stderr).toBe('');
    const choice = JSON.parse(run.stdout.toString()) as Choice;
    expect(choice).toMatchObject({
      cipher: 'aes256-gcm',
      reason: 'it is the best that each recipient says to read',
      recipients: [
        {
          source: 'message',
          reads: 'aes256-gcm',
          keyEncryption: { type: 'transport', name: 'rsaes-oaep', hash: 'sha256' },
          certificate: { subject: 'CN=Anna' },
        },
      ],
    });
    expect(Date.parse(choice.recipients[0]?.since as string)).toBeLessThanOrEqual(Date.now());
    expect(readFileSync(join(folder, 'chosen.eml'), 'latin1')).toContain('smime-type=authEnveloped-data;');
    const opened = await succeed(['decrypt', 'chosen.eml'], here);
    expect(opened.stderr).toContain('aes256-gcm, whose tag is right');
    expect(opened.stdout.toString()).toContain('The books are closed.');
  });

  it('one of whom nothing is known decides for all; --cipher decides in any case', async () => {
    const both = await succeed([...ENCRYPT, 'bert@example.org'], here);
    expect(both.stderr).toMatch(/encrypted with aes256-cbc: others could read more, but not CN=Bert\n/);
    const named = await succeed([...ENCRYPT, '--cipher', 'aes128-cbc'], here);
    expect(named.stderr).toContain('encrypted with aes128-cbc: the caller names it');
  });

  it.each([
    ['--remember without a store', ['verify', 'signed.eml', '--remember', '--trust', 'ca.pem'], {}],
    [
      '--remember as of another day',
      ['verify', 'signed.eml', '--remember', '--now', '2030-01-01', '--trust', 'ca.pem'],
      env,
    ],
    ['a report where the mail goes', [...ENCRYPT, '--json'], env],
  ])('refuses %s', async (_, args, environment) => {
    expectFailure(await mailseal(args, { cwd: folder, env: environment }), 'USAGE');
  });
});
