/**
 * The command line on bad input: each kind has its own code, one line on standard error, nothing on standard output,
 * and leaves no file behind. Its success paths: cli.test.ts.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { writePem } from '../src/bytes.js';
import { everPrinted, expectFailure, mailseal, succeed } from './helpers/cli.js';
import {
  ANNA_PASSWORD,
  anna,
  annaOld,
  BERT_PASSWORD,
  bert,
  ca,
  pfxOf,
  secrets,
  writeFiles,
} from './helpers/cli-files.js';
import { temporaryFolder } from './helpers/peers.js';
import { certBag, pfx, safe, shroudedKeyBag } from './helpers/pfx.js';
import { issueCertificate } from './helpers/pki.js';

const folder = temporaryFolder();
const path = (name: string) => join(folder, name);
const env = { MAILSEAL_STORE: 'sqlite:keys.db', MAILSEAL_SEAL_KEY: 'seal.key' };
const here = { cwd: folder, env };
const STORE = ['--store', 'sqlite:other.db', '--seal-key', 'seal.key'];
const PASSWORD = ['--password-file', 'anna.pw'];

const good = pfxOf(anna, ANNA_PASSWORD);
/** The MAC's digest stands before its salt at the end: 32 + 2 + 8 octets. */
const badMac = Uint8Array.from(good, (octet, i) => (i === good.length - 20 ? octet ^ 1 : octet));

beforeAll(async () => {
  await writeFiles(folder);
  await succeed(['import', 'anna-old.p12', 'anna.p12', ...PASSWORD], here);
  await succeed(['import', 'bert.p12', '--password-file', 'bert.pw'], here);
  const write = (name: string, content: string | Uint8Array) => writeFileSync(path(name), content);
  write('empty', '');
  write(
    'garbage',
    Uint8Array.from({ length: 3000 }, (_, i) => (i * i * 131 + 0x95) & 0xff),
  );
  write('text.txt', 'just words\n');
  write('huge-length', Buffer.from('3084ffffffff020103', 'hex'));
  write('truncated.p12', good.subarray(0, good.length - 100));
  write('bad-mac.p12', badMac);
  write('no-key.p12', pfx({ safes: [safe([certBag(ca.certificate)])], password: ANNA_PASSWORD }));
  write('no-mac.p12', pfx({ safes: [safe([shroudedKeyBag(anna.privateKey, ANNA_PASSWORD)])] }));
  write('md2.p12', pfx({ safes: [], password: ANNA_PASSWORD, digestAlgorithm: OID.md2 }));
  write('short.key', 'too short');
  write('anna.key', writePem('PRIVATE KEY', anna.privateKey));
  write('latin1.pw', Buffer.from('corréct', 'latin1'));
  const signer = issueCertificate({ subject: 'Signer', key: 'ed25519', keyUsage: null });
  write('ed25519.pem', writePem('CERTIFICATE', signer.certificate));
  write('ragged.csv', 'anna.p12,x\nbert.p12\n');
  write('quotes.csv', `anna.p12,"battery staple"x\n`);
  write('none-fits.csv', 'other.p12,battery staple\n');
  write('latin1.csv', Buffer.from('anna.p12,corréct', 'latin1'));
  write('truncated.pem', readFileSync(path('ca.pem'), 'latin1').slice(0, 200));
  write('not-a-store.db', 'SQLite format 3\0 and then nothing of the kind'.padEnd(5000, '\0'));
  write('changed-store.db', 'plain text');
  mkdirSync(path('only-text'));
  write('only-text/a.txt', 'a');
});

interface Row {
  name: string;
  args: string[];
  code: string;
  /** What the line says besides. */
  says?: RegExp;
  input?: string;
  env?: Record<string, string>;
}

const decryptOld = (...more: string[]) => ['decrypt', 'to-anna-old.eml', ...more];
const verifySigned = (...more: string[]) => ['verify', 'signed.eml', ...more];

const rows: Row[] = [
  // Command lines that make no sense.
  { name: 'no command', args: [], code: 'USAGE', says: /mailseal --help/ },
  { name: 'an unknown command', args: ['seal'], code: 'USAGE', says: /unknown command 'seal'/ },
  { name: 'an unknown option', args: ['lookup', 'x', '--passwort'], code: 'USAGE', says: /'--passwort'/ },
  { name: 'no FILE', args: ['lookup'], code: 'USAGE', says: /missing required argument 'file'\n/ },
  {
    name: 'FILE behind --trust',
    args: ['verify', '--trust', 'ca.pem', 'signed.eml'],
    code: 'USAGE',
    says: /goes before --trust/,
  },
  { name: 'too many arguments', args: ['lookup', 'a', 'b'], code: 'USAGE' },
  { name: 'no --trust', args: ['verify', 'signed.eml'], code: 'USAGE', says: /--trust/ },
  { name: 'no store', args: ['users'], code: 'USAGE', env: {}, says: /--store or MAILSEAL_STORE/ },
  {
    name: 'no seal key',
    args: ['users', '--store', 'sqlite:keys.db'],
    code: 'USAGE',
    env: {},
    says: /--seal-key or MAILSEAL_SEAL_KEY/,
  },
  {
    name: 'two sources of passwords',
    args: ['import', '.', ...PASSWORD, '--passwords', 'passwords.csv'],
    code: 'USAGE',
  },
  {
    name: 'standard input for two things',
    args: ['decrypt', '-', '--pfx', 'anna.p12', '--password-file', '-'],
    code: 'USAGE',
    says: /one thing only/,
  },
  {
    name: 'a password but no terminal to ask at',
    args: ['import', 'anna.p12'],
    code: 'USAGE',
    says: /--password-file or MAILSEAL_PASSWORD/,
  },
  {
    name: 'a store of another kind',
    args: ['users', '--store', 'mysql://host/x'],
    code: 'USAGE',
    says: /sqlite:PATH/,
  },
  {
    name: 'a user who is no address',
    args: ['import', 'anna.p12', ...PASSWORD, ...STORE, '--user', 'anna'],
    code: 'USAGE',
  },
  {
    name: 'a cipher for reading only',
    args: ['encrypt', 'mail.eml', '--to', 'anna@example.org', '--cipher', 'rc2-cbc'],
    code: 'USAGE',
    says: /aes256-cbc/,
  },
  {
    name: 'a date in words',
    args: verifySigned('--trust', 'ca.pem', '--now', 'yesterday'),
    code: 'USAGE',
    says: /2026-01-31T12:00:00Z/,
  },
  { name: '30 February', args: verifySigned('--trust', 'ca.pem', '--now', '2026-02-30'), code: 'USAGE' },
  {
    name: 'a time without its zone',
    args: verifySigned('--trust', 'ca.pem', '--now', '2026-01-31T12:00:00'),
    code: 'USAGE',
  },
  { name: 'nobody who signs', args: ['sign', 'mail.eml'], code: 'USAGE', says: /--from/ },
  {
    name: 'two who sign',
    args: ['sign', 'mail.eml', '--from', 'anna@example.org', '--pfx', 'anna.p12'],
    code: 'USAGE',
  },
  { name: 'nobody to encrypt to', args: ['encrypt', 'mail.eml'], code: 'USAGE', says: /--to/ },
  {
    name: 'trust for certificates that were named',
    args: ['encrypt', 'mail.eml', '--to-cert', 'anna.pem', '--trust', 'ca.pem'],
    code: 'USAGE',
    says: /--trust goes with --to/,
  },
  {
    name: 'a CSV with a row too short',
    args: ['import', 'anna.p12', '--passwords', 'ragged.csv', ...STORE],
    code: 'USAGE',
    says: /ragged\.csv, line 2/,
  },
  {
    name: 'a CSV with wrong quotes, whose error would quote a password',
    args: ['import', 'anna.p12', '--passwords', 'quotes.csv', ...STORE],
    code: 'USAGE',
    says: /quotes\.csv is not CSV, line 1/,
  },
  {
    name: 'a CSV in Latin-1',
    args: ['import', 'anna.p12', '--passwords', 'latin1.csv', ...STORE],
    code: 'USAGE',
    says: /not UTF-8/,
  },
  {
    name: 'a password file in Latin-1',
    args: ['import', 'anna.p12', '--password-file', 'latin1.pw', ...STORE],
    code: 'USAGE',
    says: /not UTF-8/,
  },
  {
    name: 'a folder without any PFX',
    args: ['import', 'only-text', ...PASSWORD, ...STORE],
    code: 'USAGE',
    says: /no PFX file in only-text/,
  },

  // Files that can't be read or written.
  {
    name: 'a message that is not there',
    args: ['decrypt', 'nowhere.eml'],
    code: 'IO',
    says: /cannot read nowhere\.eml: ENOENT: no such file or directory\n/,
  },
  { name: 'a folder for a message', args: ['inspect', '.'], code: 'IO', says: /EISDIR/ },
  {
    name: 'no such password file',
    args: ['import', 'anna.p12', '--password-file', 'nowhere', ...STORE],
    code: 'IO',
  },
  {
    name: 'no such trust file',
    args: verifySigned('--trust', 'ca.pem', 'nowhere.pem'),
    code: 'IO',
    says: /nowhere\.pem/,
  },
  {
    name: 'no such seal key: it says how to make one',
    args: ['users', '--seal-key', 'nowhere.key'],
    code: 'IO',
    says: /openssl rand -hex 32 > FILE/,
  },
  {
    name: 'no such store for a reader, which is not made',
    args: ['users', '--store', 'sqlite:nowhere.db'],
    code: 'IO',
    says: /no key store at nowhere\.db/,
  },
  {
    name: 'a store in a folder that is not there',
    args: ['import', 'anna.p12', ...PASSWORD, '--store', 'sqlite:no/such/folder.db'],
    code: 'IO',
  },
  { name: 'a folder for a store', args: ['users', '--store', 'sqlite:.'], code: 'IO' },
  {
    name: 'output into a folder that is not there',
    args: decryptOld('--out', 'no/such/folder'),
    code: 'IO',
    says: /cannot write no\/such\/folder/,
  },
  { name: 'output below a file', args: decryptOld('--out', 'mail.eml/x'), code: 'IO' },
  {
    name: 'output over a folder',
    args: decryptOld('--out', 'only-text'),
    code: 'IO',
    says: /cannot write only-text: EISDIR/,
  },

  // Keys, stores and passwords.
  {
    name: 'a wrong password',
    args: decryptOld('--pfx', 'anna-old.p12', '--password-file', 'bert.pw'),
    code: 'PFX_WRONG_PASSWORD',
    says: /anna-old\.p12/,
  },
  {
    name: 'a corrupted MAC',
    args: decryptOld('--pfx', 'bad-mac.p12', ...PASSWORD),
    code: 'PFX_MAC_MISMATCH',
  },
  { name: 'a PFX without a MAC', args: decryptOld('--pfx', 'no-mac.p12', ...PASSWORD), code: 'PFX_NO_MAC' },
  { name: 'a PFX without a key', args: decryptOld('--pfx', 'no-key.p12', ...PASSWORD), code: 'PFX_NO_KEY' },
  {
    name: 'a truncated PFX',
    args: decryptOld('--pfx', 'truncated.p12', ...PASSWORD),
    code: 'ASN1_TRUNCATED',
    says: /truncated\.p12.*\(at octet \d+\)/,
  },
  {
    name: 'a PFX with an unsupported algorithm',
    args: decryptOld('--pfx', 'md2.p12', ...PASSWORD),
    code: 'UNSUPPORTED_ALGORITHM',
    says: /md2 \(1\.2\.840\.113549\.2\.2\)/,
  },
  {
    name: 'a certificate for a PFX',
    args: decryptOld('--pfx', 'ca.der', ...PASSWORD),
    code: 'PFX_MALFORMED',
    says: /certificate/,
  },
  { name: 'PEM without a PFX', args: decryptOld('--pfx', 'ca.pem', ...PASSWORD), code: 'PFX_MALFORMED' },
  {
    name: 'an empty PFX',
    args: decryptOld('--pfx', 'empty', ...PASSWORD),
    code: 'PFX_MALFORMED',
    says: /empty/,
  },
  {
    name: 'a PFX of other keys',
    args: decryptOld('--pfx', 'bert.p12', '--password-file', 'bert.pw'),
    code: 'RECIPIENT_UNKNOWN',
    says: /encrypted to: serial [0-9a-f]+ of CN=Test CA/,
  },
  {
    name: 'a seal key of the wrong size',
    args: ['users', '--seal-key', 'short.key'],
    code: 'SEAL_KEY_INVALID',
    says: /short\.key: 9 octets.*openssl rand/,
  },
  { name: 'an empty seal key', args: ['users', '--seal-key', 'empty'], code: 'SEAL_KEY_INVALID' },
  {
    name: "another store's seal key",
    args: ['users', '--seal-key', 'other-seal.key'],
    code: 'SEAL_KEY_WRONG',
  },
  {
    name: 'a store that is text',
    args: ['users', '--store', 'sqlite:changed-store.db'],
    code: 'STORE_INVALID',
  },
  {
    name: 'a store that is a broken database',
    args: ['users', '--store', 'sqlite:not-a-store.db'],
    code: 'STORE_INVALID',
  },
  {
    name: 'an unknown user',
    args: ['users', 'carl@example.org'],
    code: 'USER_UNKNOWN',
    says: /carl@example\.org/,
  },
  {
    name: 'a signer who is not in the store',
    args: ['sign', 'mail.eml', '--from', 'carl@example.org'],
    code: 'USER_UNKNOWN',
  },
  {
    name: 'a recipient who is not in the store',
    args: ['encrypt', 'mail.eml', '--to', 'carl@example.org'],
    code: 'USER_UNKNOWN',
  },
  {
    name: 'a recipient whose certificates no trust anchor vouches for',
    args: ['encrypt', 'mail.eml', '--to', 'anna@example.org', '--trust', 'bert.pem'],
    code: 'NOT_TRUSTED',
    says: /anna@example\.org .*CN=Anna/,
  },
  {
    name: 'a PFX whose certificate has expired, for signing',
    args: ['sign', 'mail.eml', '--pfx', 'anna-old.p12', ...PASSWORD],
    code: 'KEY_UNSUITABLE',
  },
  {
    name: 'trust without a certificate',
    args: verifySigned('--trust', 'anna.key'),
    code: 'X509_MALFORMED',
    says: /anna\.key/,
  },
  { name: 'trust that is text', args: verifySigned('--trust', 'text.txt'), code: 'X509_MALFORMED' },
  { name: 'trust that is empty', args: verifySigned('--trust', 'empty'), code: 'X509_MALFORMED' },
  {
    name: 'trust with a length beyond the file',
    args: verifySigned('--trust', 'huge-length'),
    code: 'ASN1_TRUNCATED',
    says: /huge-length/,
  },
  {
    name: 'trust whose PEM is cut off',
    args: verifySigned('--trust', 'truncated.pem'),
    code: 'PEM_MALFORMED',
    says: /not closed/,
  },
  {
    name: "a key for a recipient's certificate",
    args: ['encrypt', 'mail.eml', '--to-cert', 'anna.key'],
    code: 'X509_MALFORMED',
  },

  // Messages.
  {
    name: 'decrypting mail that is not S/MIME',
    args: ['decrypt', 'mail.eml'],
    code: 'NOT_SMIME',
    says: /text\/plain/,
  },
  {
    name: 'verifying mail that is not S/MIME',
    args: ['verify', 'mail.eml', '--trust', 'ca.pem'],
    code: 'NOT_SMIME',
  },
  { name: 'decrypting mail that is only signed', args: ['decrypt', 'signed.eml'], code: 'NOT_ENCRYPTED' },
  {
    name: 'verifying mail that is encrypted',
    args: ['verify', 'to-anna-old.eml', '--trust', 'ca.pem'],
    code: 'NOT_SIGNED',
  },
  {
    name: 'a detached signature alone',
    args: ['verify', 'detached.p7s', '--trust', 'ca.pem'],
    code: 'CONTENT_MISSING',
  },
  { name: 'an empty message', args: ['decrypt', 'empty'], code: 'NOT_SMIME', says: /empty/ },
  {
    name: 'signing an empty message, as of a pipe that failed',
    args: ['sign', '-', '--from', 'anna@example.org'],
    code: 'MIME_MALFORMED',
    input: '',
  },
  {
    name: 'encrypting an empty message',
    args: ['encrypt', 'empty', '--to', 'anna@example.org'],
    code: 'MIME_MALFORMED',
  },
  {
    name: 'binary garbage',
    args: ['lookup', 'garbage'],
    code: 'NOT_SMIME',
    says: /neither a mail nor a CMS object/,
  },
  { name: 'a length beyond the file', args: ['lookup', 'huge-length'], code: 'ASN1_TRUNCATED' },
  { name: 'a certificate for a message', args: ['decrypt', 'ca.der'], code: 'ASN1_UNEXPECTED' },
  {
    name: 'a certificate of Ed25519, which is for signing alone',
    args: ['encrypt', 'mail.eml', '--to-cert', 'ed25519.pem'],
    code: 'UNSUPPORTED_ALGORITHM',
    says: /Ed25519 \(1\.3\.101\.112\)/,
  },
];

describe.concurrent('one line, its own code, and nothing else', () => {
  it.each(rows)('$code: $name', async ({ args, code, says, input = '', env: own = env }) => {
    const line = expectFailure(await mailseal(args, { cwd: folder, env: own, input }), code);
    if (says !== undefined) expect(line).toMatch(says);
  });
});

describe.concurrent('an import with bad files', () => {
  it('imports the others, lists the failures, and says so in its status; again, they are there already', async () => {
    mkdirSync(path('inbox/locked'), { recursive: true });
    writeFileSync(path('inbox/a-good.p12'), good);
    writeFileSync(path('inbox/bad-mac.p12'), badMac);
    writeFileSync(path('inbox/broken.pfx'), 'broken');
    writeFileSync(path('inbox/no-key.p12'), readFileSync(path('no-key.p12')));
    writeFileSync(path('inbox/other-password.p12'), pfxOf(bert, BERT_PASSWORD));
    writeFileSync(path('inbox/truncated'), good.subarray(0, 400));
    writeFileSync(path('inbox/z-good.p12'), pfxOf(annaOld, ANNA_PASSWORD));
    const args = ['import', 'nowhere.p12', 'inbox', 'md2.p12', ...PASSWORD, '--store', 'sqlite:inbox.db'];
    const run = await mailseal(args, here);
    expect(run.status).toBe(1);
    expect(run.stdout.toString()).toBe('2 imported, 0 there already, 7 failed; 2 keys, 4 certificates\n');
    const lines = run.stderr.trimEnd().split('\n');
    expect(
      lines.map((line) => line.replace(/^mailseal: (\w+): (?:.*\/)?([^/:]+): .*$/, '$1 $2')).sort(),
    ).toEqual([
      'ASN1_TRUNCATED truncated',
      'IO nowhere.p12',
      'PFX_MAC_MISMATCH bad-mac.p12',
      'PFX_MALFORMED broken.pfx',
      'PFX_NO_KEY no-key.p12',
      'PFX_WRONG_PASSWORD other-password.p12',
      'UNSUPPORTED_ALGORITHM md2.p12',
    ]);
    const again = await mailseal([...args, '--json'], here);
    expect(again.status).toBe(1);
    expect(again.stderr).toBe('');
    const report = JSON.parse(again.stdout.toString()) as {
      totals: object;
      rows: { error?: { oid?: string } }[];
    };
    expect(report.totals).toEqual({ files: 9, imported: 0, present: 2, failed: 7, keys: 2, certificates: 4 });
    expect(report.rows.some(({ error }) => error?.oid !== undefined)).toBe(true);
  }, 30_000);

  it('fails a file that the CSV has no password for, and imports the rest', async () => {
    const run = await mailseal(
      ['import', 'anna.p12', 'bert.p12', '--passwords', 'none-fits.csv', ...STORE],
      here,
    );
    expect(run.status).toBe(1);
    expect(run.stderr.split('\n')[0]).toBe('mailseal: USAGE: anna.p12: no password for it in none-fits.csv');
    expect(run.stdout.toString()).toMatch(/^0 imported, 0 there already, 2 failed;/);
  });

  it('notes what was left out of a file that went in, and succeeds', async () => {
    const stranger = issueCertificate({ subject: 'Stranger' });
    const bags = [anna, stranger].map(({ privateKey }) => shroudedKeyBag(privateKey, 'x'));
    writeFileSync(
      path('partly.p12'),
      pfx({ safes: [safe([...bags, certBag(anna.certificate)])], password: 'x' }),
    );
    const run = await succeed(
      ['import', 'partly.p12', '--store', 'sqlite:partly.db', '--seal-key', 'seal.key'],
      {
        cwd: folder,
        env: { MAILSEAL_PASSWORD: 'x' },
      },
    );
    expect(run.stderr).toMatch(/^mailseal: KEY_MISMATCH: partly\.p12: left out: [^\n]+\n$/);
    expect(run.stdout.toString()).toMatch(/^1 imported/);
  });
});

describe.concurrent('a recipient who is not in the store', () => {
  it('lookup lists whom the message is for, and nothing on standard output; --json reports it', async () => {
    const store = ['--store', 'sqlite:bert.db', '--seal-key', 'seal.key'];
    await succeed(['import', 'bert.p12', '--password-file', 'bert.pw', ...store], { cwd: folder });
    for (const name of ['lookup', 'decrypt']) {
      const line = expectFailure(
        await mailseal([name, 'to-anna-old.eml', ...store], { cwd: folder }),
        'RECIPIENT_UNKNOWN',
      );
      expect(line).toMatch(/encrypted to: serial [0-9a-f]+ of CN=Test CA/);
    }
    const json = await mailseal(['lookup', 'to-anna-old.eml', '--json', ...store], { cwd: folder });
    expect(json.status).toBe(1);
    expect(JSON.parse(json.stdout.toString())).toMatchObject({
      recipients: [expect.stringMatching(/^serial/)],
      matches: [],
    });
  });
});

describe('afterwards', () => {
  it('no secret was ever printed', () => {
    expect(everPrinted(secrets())).toEqual([]);
  });

  it('no temporary file is left, and no output of what failed', () => {
    const left = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    expect(left.filter((name) => name.includes('.mailseal-'))).toEqual([]);
    expect(left.filter((name) => ['nowhere.db', 'no', 'folder'].includes(name))).toEqual([]);
  });
});
