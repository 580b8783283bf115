/**
 * Damaged PFX files, by the batch: each is a coded error or has the contents of the intact one, and comes to the same
 * as when it is read alone.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat } from '../src/bytes.js';
import { readPfxBatch } from '../src/pfx/bulk.js';
import type { PfxOptions } from '../src/pfx/read.js';
import { toBer } from './helpers/ber.js';
import { expectZeroArena } from './helpers/derivation.js';
import { outcomeOf, readSingly } from './helpers/outcomes.js';
import { certBag, encryptedSafe, nestedBag, pfx, safe, shroudedKeyBag } from './helpers/pfx.js';
import { issueCertificate } from './helpers/pki.js';
import { readVector } from './helpers/vectors.js';

const PW = 'secret';
const alice = issueCertificate({ subject: 'Alice' });
const localKeyId = Uint8Array.of(1);
const der = pfx({
  safes: [
    encryptedSafe([certBag(alice.certificate, { localKeyId })], PW),
    safe([nestedBag([shroudedKeyBag(alice.privateKey, PW, { friendlyName: 'Älice', localKeyId })])]),
  ],
  password: PW,
});
const inside = pfx({
  safes: [encryptedSafe([shroudedKeyBag(alice.privateKey, PW), certBag(alice.certificate)], PW)],
  password: PW,
  hash: 'sha1',
});
/** Low, so that a changed iteration count is refused and not run. */
const OPTIONS: PfxOptions = { maxCost: 100_000 };

/** `step`: of the octets to change, every how many; reading takes its time. */
const files: [name: string, bytes: Uint8Array, password: string, step: number][] = [
  ['DER', der, PW, 1],
  ['BER', toBer(der, 100), PW, 1],
  ['a key inside an encrypted safe', inside, PW, 1],
  ['3DES with SHA-1', readVector('made-with-openssl', '3des.p12'), 'password', 1],
  ['RC2', readVector('made-with-openssl', 'rc2-40.p12'), 'password', 3],
  ['RC4', readVector('made-with-openssl', 'rc4-128.p12'), 'password', 3],
  ['PBMAC1', readVector('go-pkcs12', 'rfc9579-a1.p12'), '1234', 3],
];

/** @returns how often each outcome came up */
function readDamaged(damaged: readonly Uint8Array[], password: string, options: PfxOptions, intact?: object) {
  const results = readPfxBatch(
    damaged.map((bytes) => ({ bytes, password })),
    options,
  );
  expectZeroArena();
  const counts: Record<string, number> = {};
  for (const [i, bytes] of damaged.entries()) {
    const result = results[i]!;
    const outcome = outcomeOf(result);
    expect(outcome, `${i}`).toEqual(outcomeOf(readSingly(bytes, password, options)));
    const code = result.ok ? 'opens' : result.error.code;
    expect(code).not.toBe('INTERNAL');
    if (result.ok && intact !== undefined) expect(outcome, `${i}`).toEqual(intact);
    counts[code] = (counts[code] ?? 0) + 1;
  }
  return counts;
}

describe.each(files)('%s', (_, bytes, password, step) => {
  const intact = outcomeOf(readSingly(bytes, password));

  it('opens', () => {
    expect(intact).toMatchObject({ entries: [{ certificate: expect.any(String) }] });
  });

  it('with any octet changed', () => {
    const damaged: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; at += step) {
      const bits = [0x01, 0x80, 0xff][at % 3] as number;
      damaged.push(Uint8Array.from(bytes, (octet, i) => (i === at ? octet ^ bits : octet)));
    }
    const counts = readDamaged(damaged, password, OPTIONS, intact);
    // The salt and iterations that PBMAC1 leaves unused.
    expect(counts.opens ?? 0).toBeLessThan(10);
    // Whatever the MAC covers and can still be parsed must be noticed by the MAC.
    const noticed = (counts.PFX_MAC_MISMATCH ?? 0) + (counts.PFX_WRONG_PASSWORD ?? 0);
    expect(noticed).toBeGreaterThan(damaged.length / 2);
  });

  it('cut at any octet, or with octets taken out', () => {
    const damaged: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; at += 3) {
      damaged.push(bytes.subarray(0, at));
      damaged.push(concat([bytes.subarray(0, at), bytes.subarray(at + 1 + (at % 16))]));
    }
    expect(readDamaged(damaged, password, OPTIONS).opens).toBeUndefined();
  });
});

it('random octets, random changes of several octets, and files spliced together', () => {
  const at = fc.nat({ max: 3000 });
  const changed = fc
    .tuple(
      fc.constantFrom(...files),
      fc.array(fc.tuple(at, fc.nat({ max: 255 })), { minLength: 1, maxLength: 8 }),
    )
    .map(([[, bytes], changes]) => {
      const copy = Uint8Array.from(bytes);
      for (const [i, value] of changes) copy[i % copy.length] = value;
      return copy;
    });
  const spliced = fc
    .tuple(fc.constantFrom(...files), fc.constantFrom(...files), at, at)
    .map(([[, a], [, b], i, j]) => concat([a.subarray(0, i % a.length), b.subarray(j % b.length)]));
  const random = fc
    .tuple(
      fc.constantFrom([], [0x30, 0x80], [0x30, 0x82, 0x01, 0x00, 2, 1, 3]),
      fc.uint8Array({ maxLength: 300 }),
    )
    .map(([head, tail]) => Uint8Array.from([...head, ...tail]));
  const batch = fc.array(fc.oneof(changed, spliced, random), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(
      batch,
      fc.constantFrom(PW, 'password', '1234', ''),
      fc.boolean(),
      (damaged, password, allowNoMac) => {
        readDamaged(damaged, password, { ...OPTIONS, allowNoMac });
      },
    ),
    { numRuns: 150 },
  );
});
