/** The cache of certificates: what it gives back, and what memory it keeps. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { parseDer } from '../src/asn1/tape.js';
import { writeDer } from '../src/asn1/write.js';
import { concat, copy } from '../src/bytes.js';
import type { Certificate } from '../src/x509/certificate.js';
import { knownCertificate } from '../src/x509/known.js';
import { validatePath } from '../src/x509/path.js';
import { der, NOW, root } from './helpers/paths.js';
import { issueCertificate } from './helpers/pki.js';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

/** Octets of ArrayBuffers that are still reachable. */
async function arrayBuffers(): Promise<number> {
  await new Promise((resolve) => setImmediate(resolve)); // a WeakRef holds until the job ends
  gc();
  gc();
  return process.memoryUsage().arrayBuffers;
}

const MB = 1e6;
const issued = (serialNumber: number, input = {}) =>
  issueCertificate({ subject: 'Met', issuer: root, serialNumber, ...input }).certificate;

describe('known certificates', () => {
  test('equal octets are the same object, from any message', () => {
    const one = issued(1);
    const certificate = knownCertificate(parseDer(one));
    const again = knownCertificate(parseDer(concat([copy(one), new Uint8Array(9)]), { trailing: true }));
    expect(again).toBe(certificate);
    const changed = copy(one);
    changed[changed.length - 1] = (changed.at(-1) as number) ^ 1;
    expect(knownCertificate(parseDer(changed))).not.toBe(certificate);
    expect(certificate.der).toEqual(one);
  });

  test('very long ones, and ones of very many values, are read and not kept', () => {
    const long = issued(2, { extensions: [{ oid: '1.2.3', value: new Uint8Array(4096) }] });
    const many = issued(3, { subject: Array.from({ length: 100 }, () => ['organizationName', 'x']) });
    for (const one of [long, many]) {
      const node = parseDer(one);
      expect(knownCertificate(node)).not.toBe(knownCertificate(node));
      expect(knownCertificate(node).der).toEqual(one);
    }
  });

  test('a known certificate keeps no memory of what was parsed beside it', async () => {
    const template = issued(4);
    const other = parseDer(template).bytes;
    const before = await arrayBuffers();
    for (let i = 0; i < 1024; i++) {
      const one = copy(template);
      one.set([i >>> 8, i & 0xff], one.length - 2); // the end of the signature: they only have to differ
      void knownCertificate(parseDer(one)).emails;
      for (let k = 0; k < 80; k++) parseDer(other); // a slab of records, 64 KiB
    }
    expect((await arrayBuffers()) - before).toBeLessThan(6 * MB); // 67 MB, if they shared slabs
  });

  test('a known certificate does not keep the message that brought its issuer', async () => {
    const ca = issueCertificate({
      subject: 'Large CA',
      ca: true,
      issuer: root,
      extensions: [{ oid: '1.2.3', value: new Uint8Array(5000) }],
    });
    const leaf = issueCertificate({ subject: 'Leaf', issuer: ca }).certificate;
    const trust = [der(root)];
    const before = await arrayBuffers();
    const verifyMessage = () => {
      const message = parseDer(
        writeDer((w) =>
          w.sequence((w) => {
            w.raw(leaf);
            w.raw(ca.certificate);
            w.octets(new Uint8Array(30 * MB));
          }),
        ),
      );
      const [first, ...others] = message.children.slice(0, 2).map(knownCertificate);
      const options = { trust, intermediates: others, now: NOW, purpose: 'emailProtection' } as const;
      expect(validatePath(first as Certificate, options).trusted).toBe(true);
    };
    verifyMessage();
    expect((await arrayBuffers()) - before).toBeLessThan(2 * MB);
  });
});
