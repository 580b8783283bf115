/**
 * The `openssl` and `gpgsm` commands and Bouncy Castle as second opinions. A test that needs one that is missing says so
 * and is skipped.
 */
import { execFile, type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';

const works = (command: string) => spawnSync(command, ['--version']).error === undefined;
export const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
export const hasGpgsm = works('gpgsm') && works('gpg-agent');

/** Debian's libbcpkix-java puts them there; MAILSEAL_BOUNCYCASTLE names another folder. */
const jars = ['bcprov', 'bcutil', 'bcpkix'].map((name) =>
  join(process.env.MAILSEAL_BOUNCYCASTLE ?? '/usr/share/java', `${name}.jar`),
);
export const hasBouncyCastle =
  jars.every((jar) => existsSync(jar)) && spawnSync('javac', ['--version']).status === 0;

/** Debian's Bouncy Castle has no KEMRecipientInfo, one of 2026 has. */
export function hasBouncyCastleKem(): boolean {
  if (!hasBouncyCastle) return false;
  const name = 'org.bouncycastle.cms.jcajce.JceKEMEnvelopedRecipient';
  return spawnSync('javap', ['-cp', jars.join(delimiter), name]).status === 0;
}

/**
 * What Bouncy Castle says of every message in a folder, by one of the programs beside this file: a line for each.
 * @param more what that program takes beside the folder
 */
export function bouncyCastle(
  folder: string,
  program: 'BouncyCastle' | 'BouncyCastleEnvelopes' | 'BouncyCastleKem' = 'BouncyCastle',
  ...more: readonly string[]
): string[] {
  const source = fileURLToPath(new URL(`${program}.java`, import.meta.url));
  const args = ['-cp', jars.join(delimiter), source, folder, ...more];
  const { status, stdout, stderr } = ran(spawnSync('java', args));
  if (status !== 0) throw new Error(`java ${program}.java: ${stderr}`);
  return stdout.toString().trim().split('\n');
}

const folders: string[] = [];
const gpgHomes: string[] = [];
afterAll(() => {
  for (const home of gpgHomes) spawnSync('gpgconf', ['--homedir', home, '--kill', 'all']);
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A folder that is removed after all tests of the file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mailseal-test-'));
  folders.push(folder);
  return folder;
}

export interface Ran {
  status: number | null;
  stdout: Buffer;
  stderr: string;
}

const ran = ({ status, stdout, stderr }: SpawnSyncReturns<Buffer>): Ran => ({
  status,
  stdout,
  stderr: stderr.toString(),
});

export function openssl(args: readonly string[], input?: Uint8Array): Ran {
  return ran(spawnSync('openssl', args, { input, maxBuffer: 1 << 28 }));
}

/** As {@link openssl}; its output, or an error with what it said. */
export function opensslOut(args: readonly string[], input?: Uint8Array): Buffer {
  const { status, stdout, stderr } = openssl(args, input);
  if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** Many runs of openssl, a few at a time; what comes of each, in their order. */
export async function opensslMany(
  runs: readonly { args: readonly string[]; input?: Uint8Array }[],
): Promise<Ran[]> {
  const results: Ran[] = new Array(runs.length);
  let next = 0;
  const work = async () => {
    for (let i = next++; i < runs.length; i = next++) {
      const { args, input } = runs[i] as (typeof runs)[number];
      results[i] = await new Promise((resolve) => {
        const child = execFile('openssl', args, { encoding: 'buffer' }, (error, stdout, stderr) =>
          resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr: stderr.toString() }),
        );
        child.stdin?.on('error', () => {}); // a run that fails at once leaves its input unread
        child.stdin?.end(input);
      });
    }
  };
  await Promise.all(Array.from({ length: 3 }, work));
  return results;
}

/** A gpgsm with a key ring of its own, that trusts the roots it is given and asks nobody. */
export class Gpgsm {
  readonly #home: string;

  constructor() {
    this.#home = join(temporaryFolder(), 'gnupg');
    mkdirSync(this.#home, { mode: 0o700 });
    writeFileSync(join(this.#home, 'gpgsm.conf'), 'disable-crl-checks\ndisable-dirmngr\nno-secmem-warning\n');
    writeFileSync(join(this.#home, 'gpg-agent.conf'), 'allow-loopback-pinentry\n');
    gpgHomes.push(this.#home);
  }

  /** @param passwordFile for the private keys, which gpgsm reads from a descriptor */
  run(args: readonly string[], input?: Uint8Array, passwordFile?: string): Ran {
    const all = ['--homedir', this.#home, '--batch', '--yes', '--status-fd', '2'];
    if (passwordFile !== undefined) all.push('--pinentry-mode', 'loopback', '--passphrase-fd', '3');
    const password = passwordFile === undefined ? undefined : openSync(passwordFile, 'r');
    try {
      const stdio = ['pipe', 'pipe', 'pipe', ...(password === undefined ? [] : [password])] as const;
      return ran(spawnSync('gpgsm', [...all, ...args], { input, maxBuffer: 1 << 28, stdio: [...stdio] }));
    } finally {
      if (password !== undefined) closeSync(password);
    }
  }

  /** @param sha1 of the certificate, 40 hexadecimal digits in upper case */
  trust(sha1: string): void {
    writeFileSync(join(this.#home, 'trustlist.txt'), `${sha1} S relax\n`);
  }

  importCertificate(der: Uint8Array): void {
    const { status, stderr } = this.run(['--import'], der);
    if (status !== 0) throw new Error(`gpgsm --import: ${stderr}`);
  }

  importPfx(path: string, passwordFile: string): void {
    const { status, stderr } = this.run(['--import', path], undefined, passwordFile);
    if (status !== 0) throw new Error(`gpgsm --import ${path}: ${stderr}`);
  }
}
