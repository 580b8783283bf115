/**
 * A mail of 1 GB in resident memory of under 200 MB, in a process of its own for each operation that writes, whose output
 * goes straight into the one that reads. Runs the built package.
 */
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { toBase64 } from '../src/bytes.js';
import { command } from './helpers/cli.js';
import { issueCertificate } from './helpers/pki.js';

const STREAMER = fileURLToPath(new URL('helpers/streamer.js', import.meta.url));
const GB = 1e9;
const MAX_PEAK_MB = 200;
/** Milliseconds; a quiet machine takes a tenth for all of them. */
const TIMEOUT = 500_000;

const alice = issueCertificate({
  subject: 'Alice',
  emails: ['alice@example.org'],
  key: 'rsa',
});
const input = JSON.stringify({
  certificate: toBase64(alice.certificate),
  privateKey: toBase64(alice.privateKey),
});

it.concurrent.each([
  ['sign', 'verify'],
  ['sign opaque', 'verify'],
  ['encrypt cbc', 'decrypt'],
  ['encrypt gcm', 'decrypt'],
  ['compress', 'decompress'],
])(
  '%s and %s a mail of 1 GB',
  async (...operations) => {
    const { status, stdout, stderr } = await command(process.execPath, [STREAMER, `${GB}`, ...operations], {
      input,
    });
    expect(status, stderr).toBe(0);
    const { length, isSame, peakMB } = JSON.parse(stdout.toString());
    console.log(`${operations.join(', ')}: ${Math.round(peakMB)} MB`);
    expect(length).toBeGreaterThan(GB);
    expect(isSame).toBe(true);
    expect(peakMB).toBeLessThan(MAX_PEAK_MB);
  },
  TIMEOUT,
);
