/** `mailseal import`: which files it takes, the CSV in its forms, dry runs, progress. cli.test.ts has the plain uses. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { writePem } from '../src/bytes.js';
import { progress } from '../src/cli/progress.js';
import type { ImportReport } from '../src/import.js';
import { everPrinted, expectFailure, MAIN, mailseal, succeed, succeedJson } from './helpers/cli.js';
import { countedPfx, writeCounting } from './helpers/import-files.js';
import { temporaryFolder } from './helpers/peers.js';
import { certBag, pfx, safe, shroudedKeyBag } from './helpers/pfx.js';
import { issueCertificate } from './helpers/pki.js';

const folder = temporaryFolder();
const path = (name: string) => join(folder, name);
const PASSWORD = 'battery staple';
const COMMA = 'secret, horse';
const anywhere = { cwd: folder, env: { MAILSEAL_PASSWORD: PASSWORD } };
const into = (name: string) => ['--store', `sqlite:${name}.db`, '--seal-key', 'seal.key'];
type Report = ImportReport & { passedOver: string[]; dryRun: boolean };

const pfxOf = (name: string, password = PASSWORD, keyUsage?: 'signing' | 'encryption') => {
  const { privateKey, certificate } = issueCertificate({
    subject: name,
    emails: [`${name}@x.org`],
    ...(keyUsage && { keyUsage: [keyUsage === 'signing' ? 'digitalSignature' : 'keyAgreement'] }),
  });
  return pfx({ safes: [safe([shroudedKeyBag(privateKey, password), certBag(certificate)])], password });
};

beforeAll(() => {
  writeFileSync(path('seal.key'), '07'.repeat(32));
  mkdirSync(path('export/2023/old'), { recursive: true });
  mkdirSync(path('export/2024'));
  mkdirSync(path('csv'));
  writeFileSync(path('export/anna.p12'), pfxOf('anna'));
  writeFileSync(path('export/bert (old).p12'), pfxOf('bert'));
  writeFileSync(path('export/[c].p12'), pfxOf('carl'));
  writeFileSync(path('export/2023/dora.pfx'), pfxOf('dora'));
  writeFileSync(path('export/2023/old/emil.P12'), pfxOf('emil'));
  writeFileSync(path('export/2024/frida.p12'), pfxOf('frida'));
  writeFileSync(path('export/2024/notes.txt'), 'remember the milk');
  writeFileSync(path('comma.p12'), pfxOf('comma', COMMA));
  writeFileSync(path('signer.p12'), pfxOf('signer', PASSWORD, 'signing'));
});

const names = ({ rows }: Report) => rows.map(({ name }) => name);
let count = 0;
const importing = (args: readonly string[], input?: string) =>
  succeedJson<Report>(['import', ...args, ...into(`store${++count}`)], {
    ...anywhere,
    ...(input !== undefined && { input }),
  });

describe.concurrent('what a file may cost, and whether it needs a MAC', () => {
  const importOf = async (file: string, args: string[]) => {
    const { status, stdout } = await mailseal(
      ['import', file, '--json', ...args, ...into(`limits${++count}`)],
      anywhere,
    );
    return { status, row: (JSON.parse(stdout.toString()) as Report).rows[0]! };
  };

  it('names the flag that raises a limit, and takes it', async () => {
    const { status, row } = await importOf('export/anna.p12', ['--max-cost', '1']);
    expect(status).toBe(1);
    expect(row.error).toMatchObject({ code: 'LIMIT_COST', message: expect.stringContaining('--max-cost') });
    expect(await importOf('export/anna.p12', ['--max-cost', '1000000'])).toMatchObject({ status: 0 });
  });

  it('a file without a MAC', async () => {
    const { privateKey, certificate } = issueCertificate({ subject: 'Nora', emails: ['nora@x.org'] });
    const bags = [shroudedKeyBag(privateKey, PASSWORD), certBag(certificate)];
    writeFileSync(path('nora.p12'), pfx({ safes: [safe(bags)] }));
    const { status, row } = await importOf('nora.p12', []);
    expect(status).toBe(1);
    expect(row.error).toMatchObject({
      code: 'PFX_NO_MAC',
      message: expect.stringContaining('--allow-no-mac'),
    });
    expect((await importOf('nora.p12', ['--allow-no-mac'])).row).toMatchObject({
      outcome: 'imported',
      keys: 1,
    });
  });

  it.each(['0', '-1', 'much', '2147483648'])('--max-cost %s', async (cost) => {
    expectFailure(
      await mailseal(['import', 'export', '--max-cost', cost, ...into('none')], anywhere),
      'USAGE',
    );
  });
});

describe.concurrent('files', () => {
  const patterns: [string, string[]][] = [
    ['export/*.p12', ['export/[c].p12', 'export/anna.p12', 'export/bert (old).p12']],
    [
      'export/**/*.p12',
      ['export/2024/frida.p12', 'export/[c].p12', 'export/anna.p12', 'export/bert (old).p12'],
    ],
    [
      'export/**/*.{p12,pfx,P12}',
      [
        'export/2023/dora.pfx',
        'export/2023/old/emil.P12',
        'export/2024/frida.p12',
        'export/[c].p12',
        'export/anna.p12',
        'export/bert (old).p12',
      ],
    ],
    ['export/20??/*.p*', ['export/2023/dora.pfx', 'export/2024/frida.p12']],
    ['export/202[0-3]', ['export/2023/dora.pfx', 'export/2023/old/emil.P12']],
    ['./export/a*', ['export/anna.p12']],
  ];
  it.each(patterns)('that match %s, in order', async (pattern, expected) => {
    expect(names(await importing([pattern]))).toEqual(expected);
  });

  it('that match an absolute pattern', async () => {
    expect(names(await importing([`${folder}/export/b*`]))).toEqual([path('export/bert (old).p12')]);
  });

  it('go by their name before what it would match', async () => {
    const report = await importing(['export/bert (old).p12', 'export/[c].p12']);
    expect(names(report)).toEqual(['export/bert (old).p12', 'export/[c].p12']);
  });

  it('are taken once, whatever names them', async () => {
    const report = await importing([
      'export/anna.p12',
      './export/2024/../anna.p12',
      'export/a*.p12',
      'export',
    ]);
    expect(names(report).filter((name) => name.includes('anna'))).toHaveLength(1);
    expect(report.totals).toMatchObject({ files: 6, imported: 6 });
    expect(report.passedOver).toEqual(['export/2024/notes.txt']);
  });

  it('in a folder are those in PEM, and a link that leads nowhere is told of', async () => {
    mkdirSync(path('mixed'));
    writeFileSync(path('mixed/pem.txt'), writePem('PKCS12', readFileSync(path('export/anna.p12'))));
    symlinkSync('gone.p12', path('mixed/link.p12'));
    symlinkSync('gone.txt', path('mixed/link.txt'));
    const run = await mailseal(['import', 'mixed', ...into('mixed')], anywhere);
    expect(run.stderr).toContain("IO: mixed/link.p12: can't be read: ENOENT");
    expect(run.stderr).toContain('passed over, not PFX: mixed/link.txt\n');
    expect(run.stdout.toString()).toMatch(/^1 imported, 0 there already, 1 failed/);
  });

  it('of a list, one a line or ended by NUL, also from standard input', async () => {
    const list = ['export/anna.p12', 'export/2024', 'export/[c].p12'];
    const expected = ['export/anna.p12', 'export/2024/frida.p12', 'export/[c].p12'];
    writeFileSync(path('list.txt'), `\ufeff${list.join('\r\n')}\r\n\r\n`);
    expect(names(await importing(['--files', 'list.txt']))).toEqual(expected);
    expect(names(await importing(['--files', '-'], list.join('\n')))).toEqual(expected);
    expect(names(await importing(['--files', '-'], `${list.join('\0')}\0`))).toEqual(expected);
    expect(names(await importing(['comma.p12', '--files', 'list.txt', '--passwords', 'all.csv']))).toEqual([
      'comma.p12',
      ...expected,
    ]);
  });
  beforeAll(() => {
    writeFileSync(
      path('all.csv'),
      `file,password\n${['anna.p12', 'frida.p12', '[c].p12'].map((name) => `${name},${PASSWORD}\n`).join('')}comma.p12,"${COMMA}"\n`,
    );
  });

  it('that nothing matches are failures, and the others are imported', async () => {
    const run = await mailseal(
      ['import', 'nobody*.p12', 'gone.p12', 'export/anna.p12', ...into('gone')],
      anywhere,
    );
    expect(run.stderr.trimEnd().split('\n')).toEqual([
      'mailseal: IO: nobody*.p12: no such file, and none that it matches as a pattern',
      "mailseal: IO: gone.p12: can't be read: ENOENT: no such file or directory",
    ]);
    expect(run.stdout.toString()).toMatch(/^1 imported, 0 there already, 2 failed/);
    expect(run.status).toBe(1);
  });

  const misuse: [string, string[], RegExp][] = [
    ['none at all', [], /which PFX files\?/],
    ['standard input for one', ['-'], /--files - reads names there/],
    ['an empty list', ['--files', '/dev/null'], /no PFX file in \/dev\/null/],
    ['an empty CSV', ['--passwords', '/dev/null'], /no file in \/dev\/null/],
    ['half a thread', ['export', '--workers', '0.5'], /number from 0 to 256/],
    ['threads without end', ['export', '--workers', '257'], /number from 0 to 256/],
  ];
  it.each(misuse)('can’t be %s', async (_, args, says) => {
    const line = expectFailure(await mailseal(['import', ...args, ...into('misuse')], anywhere), 'USAGE');
    expect(line).toMatch(says);
    expect(existsSync(path('misuse.db'))).toBe(false);
  });
});

describe.concurrent('the CSV', () => {
  const write = (name: string, text: string) => writeFileSync(path(name), text);
  const quoted = `"${COMMA}"`;

  it.each([
    ['without a header', `export/anna.p12,${PASSWORD}\ncomma.p12,${quoted}\n`],
    ['with one', `file,password\nexport/anna.p12,${PASSWORD}\ncomma.p12,${quoted}\n`],
    [
      'with one in another order and case',
      `Purpose,User,PASSWORD,File\n,,${PASSWORD},export/anna.p12\n,,${quoted},comma.p12\n`,
    ],
    ['with empty columns', `export/anna.p12,${PASSWORD},,\ncomma.p12,${quoted},\n`],
  ])('%s is the list of files itself', async (name, text) => {
    const csv = `list ${name.replaceAll(/\W/g, '-')}.csv`;
    write(csv, text);
    const report = await importing(['--passwords', csv]);
    expect(names(report)).toEqual(['export/anna.p12', 'comma.p12']);
    expect(report.totals).toMatchObject({ imported: 2 });
  });

  it('in a folder names files relative to itself', async () => {
    write('csv/list.csv', `../export/anna.p12,${PASSWORD}\n${path('comma.p12')},${quoted}\nnowhere.p12,x\n`);
    const run = await mailseal(
      ['import', '--passwords', 'csv/list.csv', '--json', ...into('relative')],
      anywhere,
    );
    const report = JSON.parse(run.stdout.toString()) as Report;
    expect(report.rows.map(({ name, outcome }) => [name, outcome])).toEqual([
      ['export/anna.p12', 'imported'],
      [path('comma.p12'), 'imported'],
      ['csv/nowhere.p12', 'failed'],
    ]);
  });

  it('with a folder is about the file there, and not one of the same name elsewhere', async () => {
    write('elsewhere.csv', `2019/anna.p12,${PASSWORD},eve@x.org\nfrida.p12,${PASSWORD}\n`);
    const args = ['import', 'export/anna.p12', 'export/2024', '--passwords', 'elsewhere.csv'];
    const run = await mailseal([...args, ...into('elsewhere')], anywhere);
    expect(run.stderr).toContain('USAGE: export/anna.p12: no password for it in elsewhere.csv');
    expect(run.stdout.toString()).toMatch(/^1 imported, 0 there already, 1 failed/);
  });

  it('says whose the keys are and what for, before --user', async () => {
    write(
      'owners.csv',
      `export/anna.p12,${PASSWORD},one@x.org,smimeSigning
       export/2024/frida.p12,${PASSWORD},Two@X.org,SMIMEENCRYPTION
       export/2023/dora.pfx,${PASSWORD},,unassigned`.replaceAll(/^ +/gm, ''),
    );
    await succeed(
      ['import', '--passwords', 'owners.csv', '--user', 'all@x.org', ...into('owners')],
      anywhere,
    );
    const uses = async (user: string) =>
      (
        await succeedJson<{ maySign: boolean; mayEncrypt: boolean }[]>(
          ['users', user, ...into('owners')],
          anywhere,
        )
      ).map(({ maySign, mayEncrypt }) => [maySign, mayEncrypt]);
    expect(await uses('one@x.org')).toEqual([[true, false]]);
    expect(await uses('two@x.org')).toEqual([[false, true]]);
    expect(await uses('all@x.org')).toEqual([[true, true]]);
    const users = await succeedJson<{ address: string }[]>(['users', ...into('owners')], anywhere);
    expect(users.map(({ address }) => address)).toEqual(['all@x.org', 'one@x.org', 'Two@x.org']);
  });

  it('notes a purpose that a certificate can’t serve', async () => {
    write('unfit.csv', `signer.p12,${PASSWORD},,smimeEncryption\n`);
    const run = await succeed(['import', '--passwords', 'unfit.csv', ...into('unfit')], anywhere);
    expect(run.stderr).toBe(
      'mailseal: KEY_UNSUITABLE: signer.p12: left out: CN=signer is to be used for encryption only, and its certificate is not for that\n',
    );
  });

  it('may have a file for several users, and several passwords for one', async () => {
    write(
      'several.csv',
      `comma.p12,wrong\ncomma.p12,${quoted},a@x.org\ncomma.p12,${quoted}\ncomma.p12,${quoted},b@x.org\n`,
    );
    for (const paths of [[], ['comma.p12']]) {
      const report = await importing([...paths, '--passwords', 'several.csv']);
      expect(names(report)).toEqual(['comma.p12', 'comma.p12', 'comma.p12']);
      expect(report.totals).toMatchObject({ imported: 3 });
    }
  });

  const wrong: [string, string, RegExp][] = [
    ['one column', 'anna.p12\n', /line 1: expected the columns file,password\[,user\]\[,purpose\]/],
    ['five columns', `a,b,c@x.org,unassigned,e\n`, /line 1: expected/],
    [
      'a password with a comma that is not quoted',
      `x.p12,y\ncomma.p12,${COMMA}\n`,
      /line 2: the user is no mail address/,
    ],
    ['a purpose that is none', 'x.p12,hunter2,,both\n', /line 1: the purpose is none of smimeSigning/],
    ['a name of an object’s property for a purpose', 'x.p12,hunter2,,constructor\n', /line 1: the purpose/],
    [
      'a row after an empty line and a password of two lines',
      'file,password,purpose\n\nx.p12,"hun\nter2",\ny.p12,z,both\n',
      /line 5: the purpose/,
    ],
    ['no name of a file', ',hunter2\n', /line 1: no file/],
    ['a row shorter than the header', 'file,password,user\nx.p12,hunter2\n', /line 2: not as many columns/],
    ['an unknown column', 'file,password,colour\nx.p12,hunter2,red\n', /line 1: expected the columns/],
    ['a column twice', 'file,password,file\nx.p12,hunter2,y\n', /line 1: expected the columns/],
  ];
  it.each(wrong)('with %s is refused, and no field of it is quoted', async (name, text, says) => {
    const csv = `wrong ${name.replaceAll(/\W/g, '-')}.csv`;
    write(csv, text);
    const args = ['import', 'export/anna.p12', '--passwords', csv, ...into('wrong')];
    const line = expectFailure(await mailseal(args, anywhere), 'USAGE');
    expect(line).toMatch(says);
    expect(line).not.toMatch(/hunter2|secret|both|constructor|colour/);
    expect(existsSync(path('wrong.db'))).toBe(false);
  });
});

describe.concurrent('a dry run', () => {
  it('reports what would come of each file, and makes no store', async () => {
    const args = ['import', 'export/anna.p12', 'comma.p12', 'export/anna.p12', '--dry-run', ...into('dry')];
    const run = await mailseal(args, anywhere);
    expect(run.stdout.toString()).toBe(
      '1 imported, 0 there already, 1 failed; 1 keys, 1 certificates (a dry run: nothing was written)\n',
    );
    expect(run.stderr).toMatch(/^mailseal: PFX_WRONG_PASSWORD: comma\.p12: /);
    expect(run.status).toBe(1);
    expect(readdirSync(folder).filter((name) => name.startsWith('dry.db'))).toEqual([]);
  });

  it('knows what is there, and leaves the store octet for octet', async () => {
    await succeed(['import', 'export/anna.p12', ...into('there')], anywhere);
    const before = readFileSync(path('there.db'));
    for (const workers of ['0', '2']) {
      const args = ['export', '--dry-run', '--workers', workers, '--json', ...into('there')];
      const report = JSON.parse((await mailseal(['import', ...args], anywhere)).stdout.toString()) as Report;
      expect(report.dryRun).toBe(true);
      expect(report.rows.find(({ name }) => name === 'export/anna.p12')?.outcome).toBe('present');
      expect(report.totals.imported).toBe(5);
      expect(readFileSync(path('there.db')).equals(before)).toBe(true);
    }
    const real = await mailseal(['import', 'export', '--json', ...into('there')], anywhere);
    expect((JSON.parse(real.stdout.toString()) as Report).totals.imported).toBe(5);
  });

  it('needs the sealing key of the store', async () => {
    await succeed(['import', 'export/anna.p12', ...into('sealed')], anywhere);
    writeFileSync(path('other.key'), '08'.repeat(32));
    const args = ['import', 'export', '--dry-run', '--store', 'sqlite:sealed.db', '--seal-key', 'other.key'];
    expectFailure(await mailseal(args, anywhere), 'SEAL_KEY_WRONG');
  });
});

describe('progress without a terminal', () => {
  const lines: string[] = [];
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['performance'] });
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => lines.push(String(text)) > 0);
    lines.length = 0;
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  it('is a line now and then, with the rate of the last seconds and what is left by it', () => {
    const shown = progress(20_000, 'files');
    for (let second = 1; second <= 40; second++) {
      vi.advanceTimersByTime(1000);
      // Fast at first: what an earlier run did.
      shown.step(second <= 10 ? second * 1000 : 10_000 + (second - 10) * 100, 'a.p12');
    }
    shown.stop();
    expect(lines).toEqual([
      'mailseal: 10000 of 20000 files, 1000/s, 0:10 left\n',
      'mailseal: 11000 of 20000 files, 100/s, 1:30 left\n',
      'mailseal: 12000 of 20000 files, 100/s, 1:20 left\n',
      'mailseal: 13000 of 20000 files, 100/s, 1:10 left\n',
    ]);
  });

  it('is nothing for what takes a moment', () => {
    const shown = progress(10, 'files');
    vi.advanceTimersByTime(900);
    shown.step(10, 'a.p12');
    shown.stop();
    expect(lines).toEqual([]);
  });
});

/** util-linux's `script` runs a command on a terminal of its own, whose output it passes on. */
const hasScript = spawnSync('script', ['--version']).stdout?.includes('util-linux') ?? false;

describe.skipIf(!hasScript)('progress at a terminal (needs util-linux script)', () => {
  beforeAll(() => {
    mkdirSync(path('slow'));
    for (let i = 0; i < 60; i++) {
      const issued = issueCertificate({ subject: `Slow ${i}`, emails: [`slow${i}@x.org`] });
      writeFileSync(path(`slow/${i}.p12`), countedPfx(`${i}`, issued, PASSWORD));
    }
  });

  /**
   * Types Ctrl-C when the bar shows that files are done, if it is asked to. On any machine files take a second and a
   * half, and an import that is to be interrupted does not come to its end.
   */
  async function run(name: string, interrupt: boolean) {
    mkdirSync(path(name));
    const { module } = writeCounting(path(name), 25, interrupt ? 60 : undefined);
    const line = [
      process.execPath,
      '--import',
      module,
      MAIN,
      'import',
      'slow',
      '--workers',
      '1',
      ...into(name),
    ]
      .map((word) => `"${word}"`)
      .join(' ');
    const child = spawn('script', ['-qec', line, '/dev/null'], {
      cwd: folder,
      env: { ...process.env, ...anywhere.env },
    });
    let output = '';
    let typed = !interrupt;
    child.stdout.on('data', (part: Buffer) => {
      output += part.toString();
      if (typed || !/[1-9]\d*\/60 files/.test(output)) return;
      typed = true;
      child.stdin.write('\u0003');
    });
    const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
    return { status, output };
  }

  it('is a bar with rate and remaining time, which is gone at the end', async () => {
    const { status, output } = await run('bar', false);
    expect(status).toBe(0);
    expect(output).toMatch(/\d+\/60 files {2}\d+\/s {2}\d+:\d\d left {2}\d+\.p12/);
    expect(output.trimEnd()).toMatch(/60 imported, 0 there already, 0 failed; 60 keys, 60 certificates$/);
    expect(output.lastIndexOf(SHOW)).toBeGreaterThan(output.lastIndexOf(HIDE));
  }, 60_000);

  it('gives the cursor back on Ctrl-C, which ends the import; it can be taken up', async () => {
    const { status, output } = await run('interrupted', true);
    expect(status).toBe(128 + 2);
    expect(output).toContain(HIDE);
    expect(output.lastIndexOf(SHOW)).toBeGreaterThan(output.lastIndexOf(HIDE));
    const { totals } = await succeedJson<Report>(['import', 'slow', ...into('interrupted')], anywhere);
    expect(totals.present).toBeGreaterThan(0);
    expect(totals.imported + totals.present).toBe(60);
  }, 60_000);

  const [HIDE, SHOW] = ['\u001b[?25l', '\u001b[?25h'];
});

describe('afterwards', () => {
  it('no password was ever printed', () => {
    expect(everPrinted([PASSWORD, COMMA, 'secret', 'hunter2'])).toEqual([]);
  });
});
