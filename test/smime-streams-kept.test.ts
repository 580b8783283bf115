/** What of a message is kept on disk, and for how long: nothing that can be read, and nothing behind an error. */
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { latin1, utf8, writePem } from '../src/bytes.js';
import { compress, decrypt, encrypt, type KeyFinder, keyRing } from '../src/index.js';
import type { SpoolSettings } from '../src/smime/streams/incoming.js';
import { hasOpenssl, opensslOut, temporaryFolder } from './helpers/peers.js';
import { person } from './helpers/pki.js';

const directory = temporaryFolder();
const streamed = { spool: { memory: 0, directory } };

const alice = person({ subject: 'Alice', emails: ['alice@example.org'], key: 'rsa' });
const keys = keyRing({ entries: [alice] });
const LINE = 'A secret that would be found on the disk.\r\n';
const MAIL = utf8(`From: alice@example.org\r\nContent-Type: text/plain\r\n\r\n${LINE.repeat(20_000)}`);

async function* chunked(octets: Uint8Array) {
  for (let at = 0; at < octets.length; at += 50_000) yield octets.subarray(at, at + 50_000);
}

/** What the open files in the folder hold. */
function onDisk(): Buffer[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const path = `/proc/self/fd/${fd}`;
      return readlinkSync(path).startsWith(directory) ? [readFileSync(path)] : [];
    } catch {
      return []; // the one that listed them
    }
  });
}

describe.runIf(process.platform === 'linux')('the temporary file', () => {
  it('is encrypted, whatever else is said of it', async () => {
    const spool = { ...streamed.spool, isCiphertext: true } as SpoolSettings;
    const made = await compress(chunked(MAIL), { spool });
    const [file, second] = onDisk();
    expect(second).toBeUndefined();
    expect(file?.length).toBeGreaterThan(100_000);
    expect(file?.includes('secret')).toBe(false);
    made.destroy();
    await new Promise((resolve) => made.once('close', resolve));
    expect(onDisk()).toEqual([]);
  });

  /** Octets of the CMS object that stand in the file as well. */
  async function keptOf(mail: Uint8Array): Promise<boolean> {
    const opened = await decrypt(chunked(mail), { keys, ...streamed });
    const [file] = onDisk();
    await opened.close();
    const object = Buffer.from(latin1(mail).split(/\r?\n\r?\n/)[1] as string, 'base64');
    expect(file?.length).toBeGreaterThan(100_000);
    expect(file?.includes('secret')).toBe(false);
    return object.includes((file as Buffer).subarray(1000, 2000));
  }

  it.each(['aes128-cbc', 'aes256-gcm'] as const)('has %s content as it came', async (cipher) => {
    expect(await keptOf(await encrypt(MAIL, { recipients: [alice.certificate], cipher }))).toBe(true);
  });

  it.runIf(hasOpenssl)('encrypts content once more that 3DES does not hide for long', async () => {
    const input = join(directory, 'mail.eml');
    const certificate = join(directory, 'alice.pem');
    writeFileSync(input, MAIL);
    writeFileSync(certificate, writePem('CERTIFICATE', alice.certificate.der));
    const mail = opensslOut(['cms', '-encrypt', '-des3', '-in', input, certificate]);
    expect(await keptOf(mail)).toBe(false);
  });

  it('is gone where giving a key back fails, which is told', async () => {
    const released: number[] = [];
    const finder: KeyFinder = {
      async find(recipients) {
        const [found] = await keys.find(recipients);
        return [1, 2].map((number) => ({
          ...(found as NonNullable<typeof found>),
          release: () => {
            released.push(number);
            throw new Error(`key ${number} can't be given back`);
          },
        }));
      },
    };
    const mail = await encrypt(MAIL, { recipients: [alice.certificate] });
    const told = decrypt(chunked(mail), { keys: finder, ...streamed });
    await expect(told).rejects.toThrow("key 1 can't be given back");
    expect(released).toEqual([1, 2]);
    expect(onDisk()).toEqual([]);
  });
});
