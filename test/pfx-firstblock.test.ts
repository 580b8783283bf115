/**
 * The first CBC block without its IV: what stands there is written anew, and is what the derived IV would have given.
 * A PFX without MAC is read with derived IVs, so each vector is compared with itself, its MAC taken away.
 */
import { describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { parseDer } from '../src/asn1/tape.js';
import { writeDer } from '../src/asn1/write.js';
import { restoreFirstBlock, type Structure } from '../src/pfx/firstblock.js';
import { PrivateKey } from '../src/x509/keys.js';
import { outcomeOf, readSingly } from './helpers/outcomes.js';
import { bag, certBag, contents, keyBag } from './helpers/pfx.js';
import { generateKey, issueCertificate } from './helpers/pki.js';
import { corpusPfx, pfxRows, readCorpus, readVector } from './helpers/vectors.js';

const legacy = /PKCS12|SHA1And/i;

const files = [
  ...pfxRows()
    .filter(
      ({ algorithms, mac, expect }) =>
        mac !== null && !expect.error && algorithms.some((name) => legacy.test(name)),
    )
    .map(({ source, path, password }) => ({
      name: `${source}/${path}`,
      password,
      bytes: readVector(source, path),
    })),
  ...corpusPfx()
    .filter(({ expect }) => !expect.error)
    .map(({ path, password }) => ({ name: path, password, bytes: readCorpus(path) })),
];

/** PFX (RFC 7292 section 4) without its MacData. */
function withoutMac(bytes: Uint8Array): Uint8Array {
  const [version, authSafe] = parseDer(bytes, { maxDepth: 256 }).children;
  return writeDer((w) =>
    w.sequence((w) => {
      w.raw(version!.bytes);
      w.raw(authSafe!.bytes);
    }),
  );
}

describe('the first block', () => {
  it('of every vector is what the derived IV gives', () => {
    expect(files.length).toBeGreaterThan(400);
    for (const { name, bytes, password } of files) {
      const [withMac, without] = [bytes, withoutMac(bytes)].map((file) =>
        outcomeOf(readSingly(file, password ?? '', { allowNoMac: true })),
      );
      expect(withMac, name).toEqual(without);
    }
  });

  const rsa = generateKey('rsa');
  const ec = generateKey('P-256');
  const { certificate } = issueCertificate({ subject: 'Ann', key: ec });
  const withPublicKey = writeDer((w) => {
    const key = parseDer(rsa);
    w.sequence((w) => {
      w.integer(1);
      for (const { bytes } of key.children.slice(1)) w.raw(bytes);
      w.implicit(1, new Uint8Array(3));
    });
  });
  const withAttributes = writeDer((w) =>
    w.sequence((w) => {
      for (const { bytes } of parseDer(rsa).children) w.raw(bytes);
      w.implicitConstructed(0, (w) => w.sequence((w) => w.oid(OID.keyUsage)));
    }),
  );
  const unknownBag = bag('1.2.3.4', new Uint8Array([4, 0]));

  const rows: [string, Structure, Uint8Array, boolean][] = [
    ['RSA key', 'PrivateKeyInfo', rsa, true],
    ['RSA key with attributes', 'PrivateKeyInfo', withAttributes, true],
    ['key of version 1, with its public key', 'PrivateKeyInfo', withPublicKey, false],
    ['EC key, shorter than 256 octets', 'PrivateKeyInfo', ec, false],
    ['RSA key, octets behind it', 'PrivateKeyInfo', Buffer.concat([rsa, Buffer.alloc(4)]), false],
    ['certificate', 'SafeContents', contents([certBag(certificate)]), true],
    [
      'certificate with a name',
      'SafeContents',
      contents([certBag(certificate, { friendlyName: 'x' })]),
      true,
    ],
    ['two certificates', 'SafeContents', contents([certBag(certificate), certBag(certificate)]), true],
    ['key and certificate', 'SafeContents', contents([keyBag(rsa), certBag(certificate)]), true],
    [
      'first bag shorter than 256 octets',
      'SafeContents',
      contents([keyBag(ec), certBag(certificate)]),
      false,
    ],
    ['bag of an unknown type', 'SafeContents', contents([unknownBag, certBag(certificate)]), false],
    ['no bags', 'SafeContents', contents([]), false],
    ['nothing', 'SafeContents', new Uint8Array(0), false],
    ['nothing', 'PrivateKeyInfo', new Uint8Array(8), false],
  ];

  it.each(rows)('%s', (_, structure, plaintext, restored) => {
    const spoilt = Uint8Array.from(plaintext).fill(0xa5, 0, 8);
    const before = Uint8Array.from(spoilt);
    expect(restoreFirstBlock(spoilt, structure)).toBe(restored);
    expect(Buffer.from(spoilt)).toEqual(Buffer.from(restored ? plaintext : before));
  });

  it.each(rows.filter(([, , , restored]) => restored))(
    '%s, cut short at any octet',
    (_, structure, plaintext) => {
      for (let length = 0; length < plaintext.length; length++) {
        // Some cuts leave a whole structure: without the attributes, or without the second bag.
        const cut = Uint8Array.from(plaintext.subarray(0, length));
        if (!restoreFirstBlock(cut, structure)) continue;
        expect(cut[2]! * 256 + cut[3]!).toBe(length - 4);
        if (structure === 'PrivateKeyInfo') PrivateKey.parse(cut);
        else expect(8 + cut[6]! * 256 + cut[7]!).toBeLessThanOrEqual(length);
      }
    },
  );

  it('is the key that was encrypted', () => {
    const spoilt = Uint8Array.from(rsa).fill(0, 0, 8);
    expect(restoreFirstBlock(spoilt, 'PrivateKeyInfo')).toBe(true);
    expect(PrivateKey.parse(spoilt).publicKey.equals(PrivateKey.parse(rsa).publicKey)).toBe(true);
  });
});
