#!/usr/bin/env node
/** The `mailseal` command: its grammar. What each command does is in the files beside this one. */
import { readFileSync } from 'node:fs';
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { ENCRYPTION_CIPHERS } from '../cms/ciphers.js';
import { MailsealError } from '../errors.js';
import { MAX_WORKERS } from '../import.js';
import { COST_LIMIT } from '../pfx/plan.js';
import { PFX_PROFILES } from '../pfx/write.js';
import { HEADER_POLICIES } from '../smime/headerpolicy.js';
import { exportCommand } from './export.js';
import { ioError } from './files.js';
import { lookupCommand, usersCommand } from './history.js';
import { inspectCommand } from './inspect.js';
import { decryptCommand, encryptCommand, signCommand, verifyCommand } from './mail.js';
import { printError } from './terminal.js';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const store = () => new Option('--store <url>', 'key store, as in sqlite:keys.db').env('MAILSEAL_STORE');
const sealKey = () =>
  new Option(
    '--seal-key <file>',
    'file with the 32-octet key that private keys are sealed under; to make one: openssl rand -hex 32',
  ).env('MAILSEAL_SEAL_KEY');
const pfx = () => new Option('--pfx <file>', 'PFX file with the key, in place of a key store');
const passwordFile = (what: string) =>
  new Option('--password-file <file>', `file whose first line is the password of ${what}`);
const out = () => new Option('--out <file>', 'write here, not to standard output');
const json = () => new Option('--json', 'report as JSON');
const legacyDisplay = () =>
  new Option('--legacy-display', 'with a policy: hidden fields into the text as well, for old mail programs');
const message = () => new Argument('<file>', 'mail, PEM, DER or BER; - for standard input');
const mail = () => new Argument('<file>', 'mail or MIME entity; - for standard input');

const wholeNumber = (least: number, most: number) => (text: string) => {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= least && number <= most) return number;
  throw new InvalidArgumentError(`It is a number from ${least} to ${most}.`);
};

const PASSWORD_HELP =
  '\nA password comes from --password-file, from MAILSEAL_PASSWORD, or is asked for without echo.';

const FILE_FIRST = '\nAn option with several values takes all that follows it: put <file> before it.';

const POLICY_HELP =
  'baseline hides Subject, Keywords and\nComments; shy also names beside addresses, and the time zone; no_confidentiality hides nothing.';

const program = new Command('mailseal')
  .description('S/MIME with every past key: import PFX files, open old mail, verify, sign, encrypt.')
  .version(version)
  .exitOverride()
  .addHelpText(
    'after',
    '\nA message beyond 16 MiB is kept in an encrypted file in the temporary folder (TMPDIR) until all of it was read.' +
      '\nExit status: 0 on success, 2 for a command line that makes no sense, 1 for everything else.' +
      '\nEach error is one line on standard error: mailseal: CODE: what and where.',
  )
  .configureOutput({ writeErr: () => undefined });

const command = (name: string, description: string) =>
  program
    .command(name)
    .description(description)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });

command('import', 'Import PFX files into a key store: files, folders with all below them, patterns, lists.')
  .argument(
    '[path...]',
    'PFX files, folders, and patterns in quotes, as in "export/**/*.p12"; other files in a folder are passed over',
  )
  .addOption(store())
  .addOption(sealKey())
  .option('--files <list>', 'file with a name on each line, or each ended by NUL; - for standard input')
  .addOption(
    new Option(
      '--passwords <csv>',
      'CSV with the columns file,password[,user][,purpose], with or without a header row; files relative to the CSV, or by a name without a folder',
    ).conflicts('passwordFile'),
  )
  .addOption(passwordFile('every PFX file'))
  .option('--user <address>', 'whose keys they are; by default, of each mail address in a certificate')
  .addOption(
    new Option('--workers <number>', 'threads; by default one for each core').argParser(
      wholeNumber(0, MAX_WORKERS),
    ),
  )
  .addOption(
    new Option('--max-cost <blocks>', 'most hash blocks that opening a file may cost').argParser(
      wholeNumber(1, COST_LIMIT),
    ),
  )
  .option('--allow-no-mac', 'take files without a MAC too, which anyone may have made or changed')
  .option('--dry-run', 'open the files and report what would come of them, but write nothing')
  .addOption(json())
  .addHelpText(
    'after',
    `${PASSWORD_HELP} Without any file, those that the CSV names are imported.\n` +
      '\nA purpose is smimeSigning, smimeEncryption or unassigned; the store does not use the certificate for the other.' +
      '\nOne bad file never stops an import: the others are imported, and the exit status is 1. Stopped and started again,' +
      '\nit goes on where it was: no file that went in is opened again.',
  )
  // What finds files, reads CSV and draws a bar would cost every other command its start.
  .action(async (paths, options) => (await import('./import.js')).importCommand(paths, options));

command('lookup', 'Say which key of the store opens a message, and why.')
  .addArgument(message())
  .addOption(store())
  .addOption(sealKey())
  .addOption(json())
  .action(lookupCommand);

command('users', 'List the users of a key store, or the history of one.')
  .argument('[address]', 'show the certificates of this user, newest first')
  .addOption(store())
  .addOption(sealKey())
  .addOption(json())
  .action(usersCommand);

command('export', "Write a user's keys, with their certificates and chains, as PFX.")
  .requiredOption('--user <address>', 'whose keys')
  .addOption(store())
  .addOption(sealKey())
  .addOption(passwordFile('what is written'))
  .addOption(
    new Option('--profile <name>', 'algorithms').choices(Object.keys(PFX_PROFILES)).default('modern'),
  )
  .addOption(out())
  .addOption(
    new Option('--out-dir <folder>', 'write a PFX for each certificate into this folder').conflicts('out'),
  )
  .addHelpText(
    'after',
    `${PASSWORD_HELP} A typed one is asked for twice.\n` +
      '\nProfiles: compatible is for old devices, and weak (3DES, SHA-1); modern is AES-256 with PBKDF2, and SHA-256;' +
      '\nstrong has six times the iterations and a PBMAC1, which few programs read: OpenSSL from 3.4 on, for one.' +
      '\nWithout --out-dir the whole history is one PFX. In a folder each file goes by the first day of its certificate and' +
      '\nthe start of its SHA-256 fingerprint, so that writing it again replaces it.',
  )
  .action(exportCommand);

command('decrypt', 'Open an encrypted message with a key of the store, or of a PFX file.')
  .addArgument(message())
  .addOption(store())
  .addOption(sealKey())
  .addOption(pfx())
  .addOption(passwordFile('the PFX file'))
  .addOption(out())
  .addHelpText(
    'after',
    `${PASSWORD_HELP}\nOf a mail, the opened mail is written; of a bare CMS object, its content.`,
  )
  .action(decryptCommand);

command('verify', 'Check the signatures of a message, and who made them. Exit status 0 only if all is well.')
  .addArgument(message())
  .option('--content <file>', 'what a detached CMS signature is over')
  .requiredOption('--trust <file...>', 'certificates to trust, PEM or DER')
  .option('--now <date>', 'check as of this date, as in 2026-01-31 or 2026-01-31T12:00:00Z')
  .option('--allow-sha1', 'accept signatures made with SHA-1, as old mail has them')
  .option('--decrypted', 'the message came out of an encrypted one, so header fields may be confidential')
  .option(
    '--remember',
    'of a valid signer who is a user of the store, note there what they can read, for `encrypt --to`',
  )
  .addOption(store())
  .addOption(sealKey())
  .addOption(json())
  .addHelpText('after', FILE_FIRST)
  .action(verifyCommand);

command('sign', 'Sign a mail.')
  .addArgument(mail())
  .addOption(store())
  .addOption(sealKey())
  .option('--from <address>', 'the user of the store who signs')
  .addOption(pfx())
  .addOption(passwordFile('the PFX file'))
  .option('--opaque', 'one signed-data part, not multipart/signed')
  .addOption(
    new Option('--protect-headers <how>', 'sign the header fields, too (RFC 9788)').choices([
      'clear',
      ...Object.keys(HEADER_POLICIES),
    ]),
  )
  .addOption(legacyDisplay())
  .addOption(out())
  .addHelpText(
    'after',
    `${PASSWORD_HELP}\n\nProtected header fields: clear is for a mail that is only signed. The others are for one that is encrypted next:` +
      `\npolicies for what stays readable outside. ${POLICY_HELP}`,
  )
  .action(signCommand);

command('encrypt', 'Encrypt a mail.')
  .addArgument(mail())
  .addOption(store())
  .addOption(sealKey())
  .option('--to <address...>', 'users of the store who can open it')
  .option('--to-cert <file...>', 'certificates whose owners can open it, PEM or DER')
  .option(
    '--trust <file...>',
    'of --to, take only certificates with a valid path to one of these, PEM or DER',
  )
  .addOption(
    new Option(
      '--cipher <name>',
      'content cipher; by default the best that all of them are known to read, or aes256-cbc',
    ).choices([...ENCRYPTION_CIPHERS]),
  )
  .addOption(
    new Option(
      '--protect-headers <policy>',
      'encrypt the header fields of an unsigned mail, too (RFC 9788)',
    ).choices(Object.keys(HEADER_POLICIES)),
  )
  .addOption(legacyDisplay())
  .addOption(out())
  .option('--json', 'with --out: report what was chosen, and why, as JSON on standard output')
  .addHelpText('after', `${FILE_FIRST}\n\nPolicies for what stays readable outside: ${POLICY_HELP}`)
  .action(encryptCommand);

command(
  'inspect',
  'Show what is in a file: its ASN.1 tree with offsets; the parts of a mail; the keys of a PFX.',
)
  .addArgument(message())
  .addOption(passwordFile('the PFX file'))
  .addOption(json())
  .addHelpText(
    'after',
    '\nA password comes from --password-file or from MAILSEAL_PASSWORD; without one, a PFX is shown as far as it is not' +
      '\nencrypted. No private key is ever shown.',
  )
  .action(inspectCommand);

/** A reader that has enough, such as `head`, closes its end: no error to tell, but not all of the answer was given. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 1 : printError(ioError('cannot write to standard output', error)));
});

try {
  await program.parseAsync();
} catch (error) {
  // Help and version are answers; all else that commander throws is a command line that makes no sense.
  if (!(error instanceof CommanderError)) process.exitCode = printError(error);
  else if (error.exitCode !== 0) process.exitCode = printError(usageError(error));
}

function usageError({ code, message }: CommanderError): MailsealError {
  if (code === 'commander.help') {
    return new MailsealError('USAGE', 'which command? mailseal --help lists them');
  }
  const text = message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ');
  const greedy = process.argv.find((word) => ['--trust', '--to', '--to-cert'].includes(word));
  if (code !== 'commander.missingArgument' || greedy === undefined) return new MailsealError('USAGE', text);
  return new MailsealError('USAGE', `${text}; it goes before ${greedy}, which takes all that follows`);
}
