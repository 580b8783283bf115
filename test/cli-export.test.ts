/** `mailseal export`: what it writes is read back, imported again, and read by OpenSSL; how it fails. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readPem, toHex } from '../src/bytes.js';
import { type PfxContents, readPfx } from '../src/pfx/read.js';
import { everPrinted, expectFailure, MAIN, mailseal, succeed, succeedJson } from './helpers/cli.js';
import { ANNA_PASSWORD, anna, annaOld, bert, ca, pfxOf, secrets, writeFiles } from './helpers/cli-files.js';
import { hasOpenssl, opensslOut, temporaryFolder } from './helpers/peers.js';
import { certBag, encryptedSafe, pfx, safe, shroudedKeyBag } from './helpers/pfx.js';
import { issueCertificate } from './helpers/pki.js';

const NEW_PASSWORD = 'neu – 🔑';

const folder = temporaryFolder();
const path = (name: string) => join(folder, name);
const env = { MAILSEAL_STORE: 'sqlite:keys.db', MAILSEAL_SEAL_KEY: 'seal.key' };
const here = { cwd: folder, env };
const PASSWORD = ['--password-file', 'new.pw'];
const ANNA = ['export', '--user', 'anna@example.org', ...PASSWORD];

const intermediate = issueCertificate({ subject: 'Mail CA', ca: true, issuer: ca });
const chained = issueCertificate({ subject: 'Cora', emails: ['cora@example.org'], issuer: intermediate });

beforeAll(async () => {
  await writeFiles(folder);
  const certificates = [chained, intermediate].map(({ certificate }) => certBag(certificate));
  writeFileSync(
    path('cora.p12'),
    pfx({
      safes: [encryptedSafe(certificates, 'x'), safe([shroudedKeyBag(chained.privateKey, 'x')])],
      password: 'x',
    }),
  );
  const renewed = issueCertificate({
    subject: 'Dora renewed',
    emails: ['dora@example.org'],
    key: bert.privateKey,
    notBefore: new Date('2024-02-29'),
  });
  const dora = issueCertificate({ subject: 'Dora', emails: ['dora@example.org'], key: bert.privateKey });
  writeFileSync(path('dora-renewed.p12'), pfxOf(renewed, 'x'));
  writeFileSync(path('dora.p12'), pfxOf(dora, 'x'));
  writeFileSync(path('new.pw'), `${NEW_PASSWORD}\n`);
  writeFileSync(path('empty.pw'), '');
  await succeed(['import', 'anna-old.p12', 'anna.p12', '--password-file', 'anna.pw'], here);
  const others = { cwd: folder, env: { ...env, MAILSEAL_PASSWORD: 'x' } };
  await succeed(['import', 'cora.p12', 'dora.p12', 'dora-renewed.p12'], others);
});

const plain = ({ entries, certificates }: PfxContents) => ({
  entries: entries.map(({ privateKey, certificate, friendlyName }) => [
    toHex(privateKey.toPkcs8()),
    toHex(certificate?.der ?? new Uint8Array(0)),
    friendlyName,
  ]),
  certificates: certificates.map(({ der }) => toHex(der)),
});
const entryOf = ({ privateKey, certificate }: typeof anna, friendlyName?: string) => [
  toHex(privateKey),
  toHex(certificate),
  friendlyName,
];
const readFile = (name: string) => plain(readPfx(readFileSync(path(name)), NEW_PASSWORD));

describe('export', () => {
  it('writes the whole history as one PFX that only its owner can read, and says how many keys it has', async () => {
    const run = await succeed([...ANNA, '--out', 'history.p12'], here);
    expect(run.stdout.toString()).toBe('');
    expect(run.stderr).toBe('mailseal: 2 keys of anna@example.org, profile modern\n');
    expect(statSync(path('history.p12')).mode & 0o777).toBe(0o600);
    expect(readFile('history.p12')).toEqual({
      entries: [entryOf(anna, 'mail key'), entryOf(annaOld, 'mail key')],
      certificates: [],
    });
  });

  it('goes to standard output without --out', async () => {
    const { stdout, stderr } = await succeed(['export', '--user', 'CORA@example.org', ...PASSWORD], here);
    expect(stderr).toBe('mailseal: 1 key of CORA@example.org, profile modern\n');
    const { entries, certificates } = plain(readPfx(stdout, NEW_PASSWORD));
    expect(entries).toEqual([entryOf(chained)]);
    expect(certificates).toEqual([toHex(intermediate.certificate)]); // the chain, without its root
  });

  it('what it writes can be imported into another store, which has the same then', async () => {
    await succeed([...ANNA, '--profile', 'compatible', '--out', 'moved.p12'], here);
    const other = ['--store', 'sqlite:moved.db', '--seal-key', 'other-seal.key'];
    const imported = await succeed(['import', 'moved.p12', ...PASSWORD, ...other], { cwd: folder });
    expect(imported.stdout.toString()).toMatch(/^1 imported, 0 there already, 0 failed; 2 keys/);
    const users = ['users', 'anna@example.org'];
    const history = await succeedJson([...users, ...other], { cwd: folder });
    expect(history).toEqual(await succeedJson(users, here));
  });

  it('--out-dir: one PFX for each certificate, with the chain, in a folder of its owner’s', async () => {
    const { stdout } = await succeed([...ANNA, '--out-dir', 'each/anna'], here);
    const names = readdirSync(path('each/anna')).sort();
    expect(names).toHaveLength(2);
    expect(names[0]).toMatch(/^2020-01-01-[0-9a-f]{16}\.p12$/);
    expect(names[1]).toMatch(/^2022-12-01-[0-9a-f]{16}\.p12$/);
    expect(statSync(path('each/anna')).mode & 0o777).toBe(0o700);
    expect(stdout.toString().split('\n')).toEqual([
      expect.stringMatching(`^each/anna/${names[1]} .*CN=Anna`),
      expect.stringMatching(`^each/anna/${names[0]} .*CN=Anna`),
      '',
    ]);
    for (const [i, issued] of [annaOld, anna].entries()) {
      expect(statSync(path(`each/anna/${names[i]}`)).mode & 0o777).toBe(0o600);
      expect(readFile(`each/anna/${names[i]}`).entries).toEqual([entryOf(issued, 'mail key')]);
    }
    await succeed([...ANNA, '--out-dir', 'each/anna'], here);
    expect(readdirSync(path('each/anna')).sort()).toEqual(names);
  });

  it('a key that was renewed is in the PFX of each of its certificates', async () => {
    await succeed(['export', '--user', 'dora@example.org', ...PASSWORD, '--out-dir', 'dora'], here);
    const files = readdirSync(path('dora')).sort();
    expect(files.map((name) => name.slice(0, 10))).toEqual(['2020-01-01', '2024-02-29']);
    for (const file of files) expect(readFile(`dora/${file}`).entries[0]?.[0]).toBe(toHex(bert.privateKey));
  });

  it('takes the new password from the environment', async () => {
    const options = { cwd: folder, env: { ...env, MAILSEAL_PASSWORD: 'from there' } };
    const { stdout } = await succeed(['export', '--user', 'cora@example.org'], options);
    expect(plain(readPfx(stdout, 'from there')).entries).toHaveLength(1);
  });

  it.skipIf(!hasOpenssl).each([
    ['compatible', /Keybag: pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 2048/, ['-legacy']],
    ['modern', /Keybag: PBES2, PBKDF2, AES-256-CBC, Iteration 100000, PRF hmacWithSHA256/, []],
    ['strong', /Keybag: PBES2, PBKDF2, AES-256-CBC, Iteration 600000, PRF hmacWithSHA256/, ['-nomacver']],
  ])('openssl reads the profile %s', async (profile, algorithm, options) => {
    await succeed([...ANNA, '--profile', profile, '--out', `${profile}.p12`], here);
    const read = (...more: string[]) => {
      const args = ['pkcs12', '-in', path(`${profile}.p12`), '-passin', `file:${path('new.pw')}`, ...options];
      return opensslOut([...args, ...more]);
    };
    const labels = readPem(read('-noenc')).map(({ label }) => label);
    expect(labels).toEqual(['CERTIFICATE', 'CERTIFICATE', 'PRIVATE KEY', 'PRIVATE KEY']);
    const info = spawnSync(
      'openssl',
      [
        'pkcs12',
        '-in',
        path(`${profile}.p12`),
        '-passin',
        `file:${path('new.pw')}`,
        ...options,
        '-info',
        '-noout',
      ],
      { encoding: 'utf8' },
    );
    expect(info.stderr).toMatch(algorithm);
  });
});

describe('export that fails', () => {
  const rows: { name: string; args: string[]; code: string; says: RegExp; env?: Record<string, string> }[] = [
    { name: 'no user', args: ['export', ...PASSWORD], code: 'USAGE', says: /--user/ },
    { name: 'no store', args: ANNA, code: 'USAGE', says: /--store or MAILSEAL_STORE/, env: {} },
    {
      name: 'an unknown profile',
      args: [...ANNA, '--profile', 'weak'],
      code: 'USAGE',
      says: /compatible, modern, strong/,
    },
    {
      name: 'two places to write to',
      args: [...ANNA, '--out', 'x.p12', '--out-dir', 'x'],
      code: 'USAGE',
      says: /--out-dir.*--out|--out.*--out-dir/,
    },
    {
      name: 'an empty password',
      args: ['export', '--user', 'anna@example.org', '--password-file', 'empty.pw', '--out', 'x.p12'],
      code: 'USAGE',
      says: /an empty password would not protect the PFX/,
    },
    {
      name: 'no password and no terminal to ask at',
      args: ['export', '--user', 'anna@example.org', '--out', 'x.p12'],
      code: 'USAGE',
      says: /no terminal to ask at/,
    },
    {
      name: 'a user who is not there',
      args: ['export', '--user', 'erna@example.org', ...PASSWORD, '--out', 'x.p12'],
      code: 'USER_UNKNOWN',
      says: /erna@example.org/,
    },
    {
      name: 'a user who is no address',
      args: ['export', '--user', 'anna', ...PASSWORD, '--out', 'x.p12'],
      code: 'USAGE',
      says: /anna/,
    },
    {
      name: 'a store that is not there',
      args: [...ANNA, '--store', 'sqlite:nowhere.db', '--out', 'x.p12'],
      code: 'IO',
      says: /nowhere\.db/,
    },
    {
      name: 'another seal key',
      args: [...ANNA, '--seal-key', 'other-seal.key', '--out', 'x.p12'],
      code: 'SEAL_KEY_WRONG',
      says: /another key/,
    },
    {
      name: 'a folder that is not there',
      args: [...ANNA, '--out', 'nowhere/x.p12'],
      code: 'IO',
      says: /cannot write nowhere\/x\.p12: ENOENT/,
    },
    {
      name: 'a folder below a file',
      args: [...ANNA, '--out-dir', 'anna.pem/x'],
      code: 'IO',
      says: /cannot make the folder anna\.pem\/x: ENOTDIR/,
    },
  ];
  it.each(rows)('$name: one line, and no file', async ({ args, code, says, env: other = env }) => {
    const before = readdirSync(folder).sort();
    expect(expectFailure(await mailseal(args, { cwd: folder, env: other }), code)).toMatch(says);
    expect(readdirSync(folder).sort()).toEqual(before);
  });

  it('a user of whom there are certificates only', async () => {
    const from = ['--store', 'sqlite:bare.db', '--seal-key', 'seal.key'];
    await succeed(['import', 'cora.p12', ...from], { cwd: folder, env: { MAILSEAL_PASSWORD: 'x' } });
    const { openKeyStore } = await import('../src/keystore/store.js');
    const { Certificate } = await import('../src/x509/certificate.js');
    const sealKey = new Uint8Array(32).fill(7);
    const store = await openKeyStore(`sqlite:${path('bare.db')}`, { sealKey });
    await store.add({ certificate: Certificate.parse(anna.certificate) });
    await store.close();
    const run = await mailseal([...ANNA, ...from, '--out', 'x.p12'], { cwd: folder });
    expect(expectFailure(run, 'PFX_NO_KEY')).toContain('no key of anna@example.org');
    expect(existsSync(path('x.p12'))).toBe(false);
  });

  it('leaves a file that is there as it is', async () => {
    mkdirSync(path('kept'));
    writeFileSync(path('kept/x.p12'), 'precious');
    const run = await mailseal([...ANNA, '--seal-key', 'other-seal.key', '--out', 'kept/x.p12'], here);
    expectFailure(run, 'SEAL_KEY_WRONG');
    expect(readFileSync(path('kept/x.p12'), 'utf8')).toBe('precious');
    expect(readdirSync(path('kept'))).toEqual(['x.p12']);
  });
});

/** util-linux's `script` runs a command on a terminal of its own, whose output it passes on. */
const hasScript = spawnSync('script', ['--version']).stdout?.includes('util-linux') ?? false;

describe.skipIf(!hasScript)('export at a terminal (needs util-linux script)', () => {
  /** Types each of the answers when a prompt for it is there. */
  async function typed(answers: readonly string[], out: string) {
    const line = `"${process.execPath}" "${MAIN}" export --user anna@example.org --profile compatible --out ${out}`;
    const child = spawn('script', ['-qec', line, '/dev/null'], {
      cwd: folder,
      env: { ...process.env, ...env },
    });
    let output = '';
    let asked = 0;
    const prompts = ['New password of the PFX:', 'The same again:'];
    child.stdout.on('data', (part: Buffer) => {
      output += part.toString();
      const from = output.indexOf(prompts[asked] ?? '\0');
      if (from >= 0 && output.includes('masked', from)) child.stdin.write(`${answers[asked++]}\r`);
    });
    const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
    return { status, output };
  }

  it('asks for the new password twice, without echo', async () => {
    const { status, output } = await typed(['battery staple', 'battery staple'], 'typed.p12');
    expect(status, output).toBe(0);
    expect(output).not.toContain('battery');
    expect(plain(readPfx(readFileSync(path('typed.p12')), 'battery staple')).entries).toHaveLength(2);
  }, 20_000);

  it('writes nothing if the second is not the same', async () => {
    const { status, output } = await typed(['battery staple', 'battery stable'], 'mistyped.p12');
    expect(status).toBe(2);
    expect(output).toMatch(/mailseal: USAGE: New password of the PFX: the two are not alike\r\n/);
    expect(existsSync(path('mistyped.p12'))).toBe(false);
  }, 20_000);
});

describe('afterwards', () => {
  it('no secret was ever printed', () => {
    expect(everPrinted([...secrets(), NEW_PASSWORD, ANNA_PASSWORD])).toEqual([]);
  });
});
