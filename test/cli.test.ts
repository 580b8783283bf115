/** The command line does what it says: each command on real files, as a child process. Failures: cli-errors.test.ts. */
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { writePem } from '../src/bytes.js';
import { command, everPrinted, MAIN, mailseal, succeed, succeedJson } from './helpers/cli.js';
import { ANNA_PASSWORD, annaOld, MAIL, pfxOf, secrets, writeFiles } from './helpers/cli-files.js';
import { temporaryFolder } from './helpers/peers.js';
import { issueCertificate } from './helpers/pki.js';
import { vectorPath } from './helpers/vectors.js';

const folder = temporaryFolder();
const path = (name: string) => join(folder, name);
const env = { MAILSEAL_STORE: 'sqlite:keys.db', MAILSEAL_SEAL_KEY: 'seal.key' };
const here = { cwd: folder, env };

beforeAll(async () => {
  await writeFiles(folder);
  await succeed(['import', 'anna-old.p12', 'anna.p12', '--password-file', 'anna.pw'], here);
  await succeed(['import', 'bert.p12', '--password-file', 'bert.pw'], here);
});

interface Report {
  rows: { name: string; outcome: string; keys: number; error?: { code: string; message: string } }[];
  totals: Record<string, number>;
  passedOver: string[];
}

describe.concurrent('import', () => {
  const into = (name: string) => ['--store', `sqlite:${name}.db`, '--seal-key', 'seal.key'];
  const anywhere = { cwd: folder };

  it('makes a store that only its owner can read, and says what went in', async () => {
    const args = ['import', 'anna.p12', '--password-file', 'anna.pw', ...into('fresh')];
    const run = await succeed(args, anywhere);
    expect(run.stdout.toString()).toBe('1 imported, 0 there already, 0 failed; 1 keys, 2 certificates\n');
    expect(run.stderr).toBe('');
    expect(statSync(path('fresh.db')).mode & 0o777).toBe(0o600);
    const again = await succeed(args, anywhere);
    expect(again.stdout.toString()).toMatch(/^0 imported, 1 there already, 0 failed;/);
  });

  it('takes the password from the environment', async () => {
    const run = await succeed(['import', 'anna.p12', ...into('from-environment')], {
      cwd: folder,
      env: { MAILSEAL_PASSWORD: ANNA_PASSWORD },
    });
    expect(run.stdout.toString()).toMatch(/^1 imported/);
  });

  it('takes passwords from a CSV with byte order mark, quotes, commas and CRLF, and a password from standard input', async () => {
    const csv = ['import', 'anna.p12', 'bert.p12', '--passwords', 'passwords.csv', ...into('csv')];
    expect((await succeed(csv, anywhere)).stdout.toString()).toMatch(/^2 imported/);
    const stdin = ['import', 'anna.p12', '--password-file', '-', ...into('stdin')];
    const run = await succeed(stdin, { cwd: folder, input: `${ANNA_PASSWORD}\n` });
    expect(run.stdout.toString()).toMatch(/^1 imported/);
  });

  it('reads a CSV relative to itself, by name where no path fits, and tries each password of a name', async () => {
    mkdirSync(path('years/2021'), { recursive: true });
    mkdirSync(path('years/2022'), { recursive: true });
    copyFileSync(path('anna-old.p12'), path('years/2021/mail.p12'));
    copyFileSync(path('bert.p12'), path('years/2022/mail.p12'));
    copyFileSync(path('bert.p12'), path('years/bert.p12'));
    const quoted = `"${ANNA_PASSWORD.replaceAll('"', '""')}"`;
    writeFileSync(
      path('years/list.csv'),
      `2021/mail.p12,${quoted}\n2022/mail.p12,battery staple\nbert.p12,battery staple\n`,
    );
    writeFileSync(
      path('names.csv'),
      `mail.p12,${quoted}\nmail.p12,battery staple\nbert.p12,battery staple\n`,
    );
    for (const list of ['years/list.csv', 'names.csv']) {
      const name = list.replaceAll(/\W/g, '-');
      const report = await succeedJson<Report>(
        ['import', 'years', '--passwords', list, ...into(name)],
        anywhere,
      );
      expect(report.totals).toMatchObject({ files: 3, imported: 2, present: 1, failed: 0, keys: 3 });
    }
  });

  it('passes over what is no PFX in a folder, in one note', async () => {
    mkdirSync(path('mixed/below/deeper'), { recursive: true });
    copyFileSync(path('anna.p12'), path('mixed/below/deeper/no-extension'));
    symlinkSync('../anna-old.p12', path('mixed/link'));
    symlinkSync('..', path('mixed/round'));
    symlinkSync('nowhere', path('mixed/dangling'));
    for (let i = 0; i < 9; i++) writeFileSync(path(`mixed/note${i}.txt`), 'text');
    const args = ['import', 'mixed', '--password-file', 'anna.pw'];
    const run = await succeed([...args, ...into('mixed')], anywhere);
    expect(run.stderr).toBe(
      'mailseal: passed over, not PFX: mixed/dangling, mixed/note0.txt, mixed/note1.txt, mixed/note2.txt, mixed/note3.txt, and 6 more\n',
    );
    expect(run.stdout.toString()).toMatch(/^2 imported, 0 there already, 0 failed/);
    const report = await succeedJson<Report>([...args, ...into('mixed-json')], anywhere);
    expect(report.rows.map(({ name, outcome }) => [name, outcome])).toEqual([
      ['mixed/below/deeper/no-extension', 'imported'],
      ['mixed/link', 'imported'],
    ]);
    expect(report.passedOver).toHaveLength(11);
  });

  it('files keys under another address if told, and under nobody if there is none', async () => {
    const nobody = issueCertificate({ subject: 'Archive' });
    writeFileSync(path('nobody.p12'), pfxOf(nobody, 'x'));
    const options = { cwd: folder, env: { MAILSEAL_PASSWORD: 'x' } };
    await succeed(['import', 'nobody.p12', ...into('users')], options);
    await succeed(
      ['import', 'anna.p12', '--password-file', 'anna.pw', '--user', 'Office@Example.org', ...into('users')],
      anywhere,
    );
    const users = await succeedJson<unknown>(['users', ...into('users')], anywhere);
    expect(users).toEqual([
      { address: 'Office@example.org', certificates: 1, keys: 1 },
      { address: null, certificates: 1, keys: 1 },
    ]);
  });
});

describe.concurrent('users and lookup', () => {
  it('lists users, and a history with the newest first', async () => {
    expect((await succeed(['users'], here)).stdout.toString()).toBe(
      'user              certificates  keys\n' +
        'anna@example.org  2             2\n' +
        'bert@example.org  1             1\n',
    );
    expect((await succeed(['users', 'ANNA@example.org'], here)).stdout.toString()).toBe(
      'from        to          key  for            subject\n' +
        '2022-12-01  2040-01-01  key  sign, encrypt  CN=Anna\n' +
        '2020-01-01  2023-01-01  key  sign, encrypt  CN=Anna\n',
    );
    const history = await succeedJson<Record<string, unknown>[]>(['users', 'anna@example.org'], here);
    expect(history[1]).toMatchObject({
      subject: 'CN=Anna',
      issuer: 'CN=Test CA',
      notAfter: '2023-01-01T00:00:00.000Z',
      emails: ['anna@example.org'],
      friendlyName: 'mail key',
      hasKey: true,
    });
  });

  it('says which key of the history opens a message, and why', async () => {
    const input = readFileSync(path('to-anna-old.eml'));
    const run = await succeed(['lookup', '-'], { ...here, input });
    expect(run.stdout.toString()).toMatch(
      /^key {2}anna@example\.org {2}CN=Anna \(serial [0-9a-f]+, 2020-01-01 to 2023-01-01\) {2}issuer and serial number match\n$/,
    );
    const report = await succeedJson<{ recipients: string[]; matches: object[] }>(
      ['lookup', 'to-anna-old.eml'],
      here,
    );
    expect(report.recipients).toHaveLength(1);
    expect(report.matches).toMatchObject([
      { hasKey: true, users: ['anna@example.org'], reason: 'issuer and serial number match' },
    ]);
  });
});

describe.concurrent('decrypt', () => {
  it('opens old mail with a history key, on standard output and into a file that only its owner can read', async () => {
    const run = await succeed(['decrypt', 'to-anna-old.eml'], here);
    expect(run.stdout.toString()).toContain('The books are closed.');
    expect(run.stdout.toString()).toMatch(/^From: Anna <anna@example.org>\r\n/);
    expect(run.stderr).toMatch(
      /^mailseal: opened with the key of CN=Anna .*: issuer and serial number match; aes256-cbc, .*\n$/,
    );
    writeFileSync(path('opened.eml'), 'what was there before', { mode: 0o644 });
    const toFile = await succeed(['decrypt', '-', '--out', 'opened.eml'], {
      ...here,
      input: readFileSync(path('to-anna-old.eml')),
    });
    expect(toFile.stdout.toString()).toBe('');
    expect(readFileSync(path('opened.eml'))).toEqual(run.stdout);
    expect(statSync(path('opened.eml')).mode & 0o777).toBe(0o600);
    const verified = await succeed(['verify', '-', '--trust', 'ca.pem', '--json'], {
      ...here,
      input: run.stdout,
    });
    expect(JSON.parse(verified.stdout.toString())).toMatchObject({ signers: [{ signatureValid: true }] });
  }, 30_000);

  it('opens it with a PFX, and a PFX in PEM', async () => {
    writeFileSync(path('anna-old-p12.pem'), writePem('PKCS12', pfxOf(annaOld, ANNA_PASSWORD)));
    for (const pfx of ['anna-old.p12', 'anna-old-p12.pem']) {
      const run = await succeed(['decrypt', 'to-anna-old.eml', '--pfx', pfx, '--password-file', 'anna.pw'], {
        cwd: folder,
      });
      expect(run.stdout.toString()).toContain('The books are closed.');
    }
  });

  it('writes the content of a bare CMS object, and says so', async () => {
    const base64 = readFileSync(path('to-anna-old.eml'), 'latin1').split('\r\n\r\n')[1] as string;
    writeFileSync(path('to-anna-old.p7m'), Buffer.from(base64, 'base64'));
    writeFileSync(path('to-anna-old.p7m.pem'), writePem('CMS', Buffer.from(base64, 'base64')));
    for (const file of ['to-anna-old.p7m', 'to-anna-old.p7m.pem']) {
      const run = await succeed(['decrypt', file], here);
      expect(run.stdout.toString()).toMatch(/^(?:MIME-Version|Content-Type)/);
      expect(run.stderr).toContain('written is the content alone: data (1.2.840.113549.1.7.1)');
    }
  });

  it('writes to a device and through a link without replacing it', async () => {
    const script = `mkfifo fifo; cat fifo & node "${MAIN}" decrypt to-anna-old.eml --out fifo; wait`;
    const fifo = await command('sh', ['-c', script], here);
    expect(fifo.stdout.toString()).toContain('The books are closed.');
    expect(statSync(path('fifo')).isFIFO()).toBe(true);
    writeFileSync(path('link-target.eml'), '');
    symlinkSync('link-target.eml', path('link.eml'));
    await succeed(['decrypt', 'to-anna-old.eml', '--out', 'link.eml'], here);
    expect(readFileSync(path('link-target.eml'), 'latin1')).toContain('The books are closed.');
    const pipe = await command(
      'sh',
      ['-c', `node "${MAIN}" decrypt to-anna-old.eml --out /dev/stdout | cat`],
      here,
    );
    expect(pipe.stdout.toString()).toContain('The books are closed.');
  });
});

describe.concurrent('verify', () => {
  interface Verdict {
    valid: boolean;
    senderVerified: boolean;
    problems: { code: string }[];
    signers: { path: string[]; emails: string[] }[];
  }

  it('tells of counter-signatures, and offers no certificate to answer to that nobody vouches for', async () => {
    const path = (name: string) => vectorPath('made-with-bouncycastle', name);
    const verifyArgs = (name: string) => ['verify', path(name), '--trust', path('rsa.crt')];
    const counter = (await succeed(verifyArgs('counter-signed.p7m'), here)).stdout.toString();
    expect(counter).toMatch(
      /^valid\nsigner 1 {2}CN=rsa [\s\S]*\ncounter-signed by {2}CN=ed25519 .*\n +signature matches/,
    );
    const asks = (await succeed(verifyArgs('preference-subject.p7m'), here)).stdout.toString();
    expect(asks).not.toContain('asks for answers');
    const json = await succeed([...verifyArgs('preference-issuer.p7m'), '--json'], here);
    const [signer] = JSON.parse(json.stdout.toString()).signers;
    expect(signer).not.toHaveProperty('encryptionCertificate');
    expect(signer).toMatchObject({
      capabilities: ['aes256Cbc', 'desEde3Cbc', 'rc2CBC'],
      encryptionKeyPreference: expect.stringContaining('CN=p256'),
      signedAttributes: expect.arrayContaining(['contentType', 'encrypKeyPref']),
      counterSignatures: [],
    });
  });

  it('accepts a good mail, in PEM and DER trust, and names who signed', async () => {
    for (const trust of ['ca.pem', 'ca.der']) {
      const run = await succeed(['verify', 'signed.eml', '--trust', trust], here);
      expect(run.stdout.toString()).toMatch(
        /^valid\nsigner 1 {2}CN=Anna [\s\S]*trusted through CN=Test CA\nfrom {6}anna@example\.org, a signer\n$/,
      );
      expect(run.stderr).toBe('');
    }
    const verdict = await succeedJson<Verdict>(
      ['verify', 'signed.eml', '--trust', 'bert.pem', 'ca.pem'],
      here,
    );
    expect(verdict).toMatchObject({ valid: true, senderVerified: true, problems: [] });
    expect(verdict.signers).toMatchObject([
      { path: ['CN=Anna', 'CN=Test CA'], emails: ['anna@example.org'] },
    ]);
  });

  it('takes the content of a detached signature from another file or standard input', async () => {
    await succeed(['verify', 'detached.p7s', '--content', 'mail.eml', '--trust', 'ca.pem'], here);
    await succeed(['verify', 'detached.p7s', '--content', '-', '--trust', 'ca.pem'], {
      ...here,
      input: MAIL,
    });
  });

  const rows: { name: string; args: string[]; codes: string[] }[] = [
    { name: 'changed content', args: ['changed.eml', '--trust', 'ca.pem'], codes: ['CONTENT_CHANGED'] },
    { name: 'another authority', args: ['signed.eml', '--trust', 'bert.pem'], codes: ['NOT_TRUSTED'] },
    {
      name: 'a date before the certificate',
      args: ['signed.eml', '--trust', 'ca.pem', '--now', '2022-11-30'],
      codes: ['NOT_TRUSTED'],
    },
    {
      name: 'a sender who did not sign',
      args: ['from-bert.eml', '--trust', 'ca.pem'],
      codes: ['SENDER_MISMATCH'],
    },
    {
      name: 'other detached content',
      args: ['detached.p7s', '--content', 'ca.pem', '--trust', 'ca.pem'],
      codes: ['CONTENT_CHANGED'],
    },
  ];
  it.each(rows)('refuses $name: status 1, a report, and a line for each problem', async ({ args, codes }) => {
    const run = await mailseal(['verify', ...args], here);
    expect(run.status).toBe(1);
    expect(run.stdout.toString()).toMatch(/^NOT VALID\n/);
    expect(
      run.stderr
        .trimEnd()
        .split('\n')
        .map((line) => line.split(': ')[1]),
    ).toEqual(codes);
    const json = await mailseal(['verify', ...args, '--json'], here);
    expect(json.status).toBe(1);
    expect(json.stderr).toBe('');
    const verdict = JSON.parse(json.stdout.toString()) as Verdict;
    expect(verdict.valid).toBe(false);
    expect(verdict.problems.map(({ code }) => code)).toEqual(codes);
  });

  it('takes a moment with a time zone', async () => {
    await succeed(['verify', 'signed.eml', '--trust', 'ca.pem', '--now', '2030-02-28T23:30:00-05:00'], here);
  });
});

describe.concurrent('sign and encrypt', () => {
  const verified = async (message: Buffer) =>
    succeedJson<{ valid: boolean; detached: boolean; senderVerified: boolean }>(
      ['verify', '-', '--trust', 'ca.pem'],
      {
        ...here,
        input: message,
      },
    );

  it("signs with the user's newest key, clear and opaque, keeping the header", async () => {
    const clear = await succeed(['sign', 'mail.eml', '--from', 'anna@example.org'], here);
    expect(clear.stdout.toString()).toMatch(/^From: Anna <anna@example\.org>\r\n[\s\S]*multipart\/signed/);
    expect(await verified(clear.stdout)).toMatchObject({ valid: true, detached: true, senderVerified: true });
    await succeed(['sign', '-', '--from', 'anna@example.org', '--opaque', '--out', 'opaque.eml'], {
      ...here,
      input: MAIL,
    });
    const opaque = readFileSync(path('opaque.eml'));
    expect(opaque.toString()).toMatch(/application\/pkcs7-mime; [\s\S]*signed-data/);
    expect(await verified(opaque)).toMatchObject({ valid: true, detached: false });
  });

  it('signs with a PFX, with an EC key too', async () => {
    const args = ['sign', 'mail.eml', '--pfx', 'bert.p12'];
    const run = await succeed(args, { cwd: folder, env: { MAILSEAL_PASSWORD: 'battery staple' } });
    const json = await mailseal(['verify', '-', '--trust', 'ca.pem', '--json'], {
      ...here,
      input: run.stdout,
    });
    expect(JSON.parse(json.stdout.toString())).toMatchObject({ problems: [{ code: 'SENDER_MISMATCH' }] });
  });

  it('encrypts to users and to certificates, and each of them can open it', async () => {
    const team = issueCertificate({ subject: 'Team', key: 'rsa' });
    writeFileSync(path('team.pem'), writePem('CERTIFICATE', team.certificate));
    writeFileSync(path('team.p12'), pfxOf(team, ANNA_PASSWORD));
    const args = [
      'encrypt',
      'signed.eml',
      '--to',
      'anna@example.org',
      '--cipher',
      'aes128-cbc',
      '--to-cert',
      'team.pem',
    ];
    const run = await succeed(args, here);
    expect(run.stdout.toString()).toMatch(/^From: Anna/);
    expect(run.stdout.toString()).not.toContain('books');
    for (const pfx of ['anna.p12', 'team.p12']) {
      const opened = await succeed(['decrypt', '-', '--pfx', pfx, '--password-file', 'anna.pw'], {
        cwd: folder,
        input: run.stdout,
      });
      expect(opened.stderr).toContain('aes128-cbc');
      expect(await verified(opened.stdout)).toMatchObject({ valid: true });
    }
  }, 30_000);

  it('encrypts to an EC key, and opens the mail with that key from the history', async () => {
    const { stdout } = await succeed(['encrypt', 'mail.eml', '--to', 'bert@example.org'], here);
    const matches = await succeedJson<{ matches: { reason: string; hasKey: boolean }[] }>(
      ['lookup', '-', '--json'],
      { ...here, input: stdout },
    );
    expect(matches.matches).toMatchObject([{ reason: 'issuer and serial number match', hasKey: true }]);
    const opened = await succeed(['decrypt', '-'], { ...here, input: stdout });
    expect(opened.stderr).toContain('opened with the key of CN=Bert');
    expect(opened.stdout.toString()).toContain('books');
  });

  it('encrypts with an AEAD cipher, and says that the tag is right', async () => {
    const args = ['encrypt', 'mail.eml', '--to', 'anna@example.org', '--cipher', 'aes256-gcm'];
    const { stdout } = await succeed(args, here);
    expect(stdout.toString()).toContain('smime-type=authEnveloped-data;');
    const opened = await succeed(['decrypt', '-'], { ...here, input: stdout });
    expect(opened.stderr).toContain('aes256-gcm, whose tag is right');
    expect(opened.stdout.toString()).toContain('books');
  });

  it('protects the header of a mail that is signed, then encrypted, and tells of it', async () => {
    const sign = [
      'sign',
      'mail.eml',
      '--from',
      'anna@example.org',
      '--protect-headers',
      'shy',
      '--legacy-display',
    ];
    const signed = await succeed(sign, here);
    expect(signed.stdout.toString()).toMatch(/^From: anna@example\.org\r\n[\s\S]*^Subject: \[\.\.\.\]\r\n/m);
    const sealed = await succeed(['encrypt', '-', '--to', 'anna@example.org'], {
      ...here,
      input: signed.stdout,
    });
    const opened = await succeed(['decrypt', '-'], { ...here, input: sealed.stdout });
    expect(opened.stderr).toMatch(/^mailseal: protected header: From, .*Subject/m);
    expect(opened.stderr).toMatch(/^mailseal: Subject: ".+"; outside "\[\.\.\.\]", as its author left it$/m);
    expect(opened.stdout.toString()).toMatch(/^From: Anna <anna@example\.org>\r\n/);
    const verify = ['verify', '-', '--trust', 'ca.pem'];
    const report = await succeed([...verify, '--decrypted'], { ...here, input: opened.stdout });
    expect(report.stdout.toString()).toMatch(/^header {4}From, .*Subject.* signed$/m);
    const json = await succeed([...verify, '--decrypted', '--json'], { ...here, input: opened.stdout });
    const { headers } = JSON.parse(json.stdout.toString()) as {
      headers: { scheme: string; fields: object[] };
    };
    expect(headers.scheme).toBe('RFC 9788');
    expect(headers.fields).toContainEqual(
      expect.objectContaining({ name: 'Subject', protection: 'signed-and-encrypted' }),
    );
  }, 30_000);

  it('protects the header of a mail that is only signed, or only encrypted', async () => {
    const clear = await succeed(
      ['sign', 'mail.eml', '--from', 'anna@example.org', '--protect-headers', 'clear'],
      here,
    );
    const spoofed = clear.stdout.toString('latin1').replace('From: Anna <anna@', 'From: Boss <boss@');
    const run = await mailseal(['verify', '-', '--trust', 'ca.pem'], {
      ...here,
      input: Buffer.from(spoofed, 'latin1'),
    });
    expect([run.status, run.stderr]).toEqual([
      1,
      expect.stringContaining('mailseal: FROM_MISMATCH: the mail is from boss@'),
    ]);
    const sealed = await succeed(
      ['encrypt', 'mail.eml', '--to', 'anna@example.org', '--protect-headers', 'baseline'],
      here,
    );
    const opened = await succeed(['decrypt', '-'], { ...here, input: sealed.stdout });
    expect(sealed.stdout.toString()).toMatch(/^Subject: \[\.\.\.\]\r\n/m);
    expect(opened.stdout.toString()).not.toContain('[...]');
    for (const more of [['--legacy-display'], ['--protect-headers', 'clear', '--legacy-display']]) {
      const refused = await mailseal(['sign', 'mail.eml', '--from', 'anna@example.org', ...more], here);
      expect([refused.status, refused.stderr]).toEqual([
        2,
        expect.stringContaining('mailseal: USAGE: --legacy-display'),
      ]);
    }
  }, 30_000);

  it('encrypts to the certificate that is trusted, not to a newer one that was imported for the address', async () => {
    const forged = issueCertificate({
      subject: 'Anna',
      emails: ['anna@example.org'],
      key: 'rsa',
      notBefore: new Date('2024-01-01'),
    });
    writeFileSync(path('forged.p12'), pfxOf(forged, ANNA_PASSWORD));
    const taken = ['--store', 'sqlite:taken.db', '--seal-key', 'seal.key'];
    const importing = ['--password-file', 'anna.pw', ...taken];
    await succeed(['import', 'anna.p12', ...importing], here);
    const claimed = await succeed(['import', 'forged.p12', ...importing], here);
    expect(claimed.stderr).toMatch(
      /^mailseal: NOT_TRUSTED: forged\.p12: left out: .*--user anna@example\.org\n$/,
    );
    const openedWith = async (...trust: string[]) => {
      const to = ['encrypt', 'signed.eml', '--to', 'anna@example.org', ...taken, ...trust];
      const { stdout } = await succeed(to, here);
      const run = await succeed(['decrypt', '-', ...taken], { cwd: folder, input: stdout });
      return /2022-12-01|2024-01-01/.exec(run.stderr)?.[0];
    };
    expect(await openedWith()).toBe('2022-12-01');
    await succeed(['import', 'forged.p12', '--user', 'anna@example.org', ...importing], here);
    expect(await openedWith()).toBe('2024-01-01');
    expect(await openedWith('--trust', 'ca.pem')).toBe('2022-12-01');
  }, 30_000);
});

describe.concurrent('help', () => {
  const flags: Record<string, string[]> = {
    import: ['--store', '--seal-key', '--passwords', '--password-file', '--user', '--json'],
    lookup: ['--store', '--seal-key', '--json'],
    users: ['--store', '--seal-key', '--json'],
    decrypt: ['--store', '--seal-key', '--pfx', '--password-file', '--out'],
    verify: ['--content', '--trust', '--now', '--decrypted', '--json'],
    sign: [
      '--store',
      '--seal-key',
      '--from',
      '--pfx',
      '--password-file',
      '--opaque',
      '--protect-headers',
      '--legacy-display',
      '--out',
    ],
    encrypt: [
      '--store',
      '--seal-key',
      '--to',
      '--to-cert',
      '--trust',
      '--cipher',
      '--protect-headers',
      '--legacy-display',
      '--out',
    ],
    inspect: ['--password-file', '--json'],
  };

  it('lists every command, and every command its flags', async () => {
    const help = (await succeed(['--help'])).stdout.toString();
    const listed = [...help.matchAll(/^ {2}([a-z]+) (?=.*(?:\[options\]|<))/gm)].map((match) => match[1]);
    expect(listed.filter((name) => name !== 'help')).toEqual(expect.arrayContaining(Object.keys(flags)));
    await Promise.all(
      Object.entries(flags).map(async ([name, expected]) => {
        const { stdout, stderr } = await succeed([name, '--help']);
        expect(stderr).toBe('');
        for (const flag of expected)
          expect(stdout.toString(), name).toMatch(new RegExp(`^ +${flag}\\b`, 'm'));
      }),
    );
  });

  it('knows its version', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect((await succeed(['--version'])).stdout.toString()).toBe(`${version}\n`);
  });
});

describe('afterwards', () => {
  it('no secret was ever printed', () => {
    expect(everPrinted(secrets())).toEqual([]);
    expect(everPrinted(['The books are closed.'])).toHaveLength(1); // the search itself works
  });

  it('no temporary file is left', () => {
    const left = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    expect(left.filter((name) => name.includes('.mailseal-') || /-(?:wal|shm|journal)$/.test(name))).toEqual(
      [],
    );
  });

  it('the command is executable as npm links it', async () => {
    expect(readFileSync(MAIN, 'latin1')).toMatch(/^#!\/usr\/bin\/env node\n/);
    const run = await command('sh', ['-c', `ln -s "${MAIN}" mailseal && node ./mailseal --version`], {
      cwd: folder,
    });
    expect(run.status).toBe(0);
  });
});
