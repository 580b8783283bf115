/**
 * A mail of 1 GB in resident memory of under 200 MB, in a process of its own for each operation: what one writes is piped
 * to the one that reads. Runs the built package.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { toBase64 } from '../src/bytes.js';
import { issueCertificate } from './helpers/pki.js';

const STREAMER = fileURLToPath(new URL('helpers/streamer.js', import.meta.url));
const GB = 1e9;
/** Node.js 24 itself takes 45 MB more than Node.js 20. */
const MAX_PEAK_MB = Number(process.versions.node.split('.')[0]) < 24 ? 200 : 245;
/** Milliseconds; a quiet machine takes a tenth for all of them. */
const TIMEOUT = 500_000;

const alice = issueCertificate({
  subject: 'Alice',
  emails: ['alice@example.org'],
  key: 'rsa',
});
const env = {
  ...process.env,
  STREAMER_KEY: JSON.stringify({
    certificate: toBase64(alice.certificate),
    privateKey: toBase64(alice.privateKey),
  }),
};

interface Done {
  length: number;
  digest: string;
  peakMB: number;
}

/** What a process says of its operation. */
function done(child: ChildProcess): Promise<Done> {
  let text = '';
  child.stderr?.on('data', (part: Buffer) => {
    text += part.toString();
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) =>
      status === 0 ? resolve(JSON.parse(text) as Done) : reject(new Error(text)),
    );
  });
}

it.each([
  ['sign', 'verify'],
  ['sign opaque', 'verify'],
  ['encrypt cbc', 'decrypt'],
  ['encrypt gcm', 'decrypt'],
  ['compress', 'decompress'],
])(
  '%s and %s a mail of 1 GB',
  async (write, read) => {
    const writer = spawn(process.execPath, [STREAMER, write, `${GB}`], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const reader = spawn(process.execPath, [STREAMER, read], {
      env,
      stdio: [writer.stdout, 'ignore', 'pipe'],
    });
    writer.stdout.destroy(); // it is the reader's
    const [written, seen] = await Promise.all([done(writer), done(reader)]);
    console.log(`${write}: ${Math.round(written.peakMB)} MB, ${read}: ${Math.round(seen.peakMB)} MB`);
    expect(written.length).toBeGreaterThan(GB);
    expect([seen.length, seen.digest]).toEqual([written.length, written.digest]);
    expect(written.peakMB).toBeLessThan(MAX_PEAK_MB);
    expect(seen.peakMB).toBeLessThan(MAX_PEAK_MB);
  },
  TIMEOUT,
);
