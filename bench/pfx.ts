/**
 * Opening one PFX file: decode, check the MAC, decrypt, decode the key and the certificate. The bare limit is one
 * SHA-1 or SHA-256 over as many blocks as the key derivations compress.
 */
import { createHash } from 'node:crypto';
import { PASSWORD } from './inputs.js';
import { BARE, MAILSEAL, mailseal } from './mailseal.js';
import type { Group } from './measure.js';
import { assertResult, type Peers } from './subject.js';

const BLOCK = 64; // octets, of SHA-1 and SHA-256

export async function pfxGroups({ inputs, native, rivals }: Peers): Promise<Group[]> {
  const groups: Group[] = [];
  for (const { name, input, hash, blocks } of inputs.pfx) {
    const job = `pfx ${name}`;
    const { bytes, path } = input;
    const message = new Uint8Array(blocks * BLOCK);
    const { entries } = mailseal.readPfx(bytes, PASSWORD);
    assertResult(entries.length === 1 && entries[0]?.certificate !== undefined, job, MAILSEAL.impl);
    const group: Group = [
      { job, ...MAILSEAL, run: () => mailseal.readPfx(bytes, PASSWORD) },
      ...native('pfx', job, path),
      { job, ...BARE, run: () => createHash(hash).update(message).digest() },
    ];
    for (const { impl, version, pfx, pbes2Only } of rivals) {
      if (pfx === undefined || (pbes2Only && name !== 'pbes2')) continue;
      const run = pfx(bytes, PASSWORD);
      const [keys, certificates] = await run();
      assertResult(keys === 1 && certificates === 1, job, impl);
      group.push({ job, impl, version, run });
    }
    groups.push(group);
  }
  return groups;
}
