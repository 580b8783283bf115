/** Reading PFX files: what fails and how, keys paired with certificates, damage at every octet. Vectors: pfx-vectors. */
import { describe, expect, it, vi } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { parseDer } from '../src/asn1/tape.js';
import { writeDer } from '../src/asn1/write.js';
import { concat, toHex, utf8, wipe, writePem } from '../src/bytes.js';
import { MailsealError } from '../src/errors.js';
import { runJobs } from '../src/pbe/jobs.js';
import { PfxPlan } from '../src/pfx/plan.js';
import { contentsOf, MAX_PFX_COST, type PfxContents, type PfxOptions, readPfx } from '../src/pfx/read.js';
import { writePfx } from '../src/pfx/write.js';
import { PrivateKey } from '../src/x509/keys.js';
import { toBer } from './helpers/ber.js';
import { plainContents } from './helpers/outcomes.js';
import {
  attribute,
  bag,
  certBag,
  contentInfo,
  encryptedSafe,
  keyBag,
  nestedBag,
  pbes2Algorithm,
  pfx,
  safe,
  scryptAlgorithm,
  shroudedKeyBag,
} from './helpers/pfx.js';
import { generateKey, issueCertificate } from './helpers/pki.js';
import { readVector } from './helpers/vectors.js';

const PW = 'pässword 🔑';
const ca = issueCertificate({ subject: 'Test CA', ca: true });
const alice = issueCertificate({ subject: 'Alice', issuer: ca });
const bob = issueCertificate({ subject: 'Bob', issuer: ca });
const renewed = issueCertificate({
  subject: 'Alice renewed',
  issuer: ca,
  key: alice.privateKey,
  notAfter: new Date('2045-01-01T00:00:00Z'),
});
const ID = { a: Uint8Array.of(1), b: Uint8Array.of(2) };

/** One key shrouded in a plain safe, its certificate and the CA's in an encrypted one: what most writers make. */
const usual = pfx({
  safes: [
    encryptedSafe([certBag(alice.certificate, { localKeyId: ID.a }), certBag(ca.certificate)], PW),
    safe([shroudedKeyBag(alice.privateKey, PW, { friendlyName: 'Alice 🔑', localKeyId: ID.a })]),
  ],
  password: PW,
});

function failure(bytes: Uint8Array, password = PW, options?: PfxOptions): MailsealError {
  try {
    readPfx(bytes, password, options);
  } catch (error) {
    if (error instanceof MailsealError) return error;
    throw error;
  }
  throw new Error('it opened');
}

/** All that a caller can see, as text. */
const summary = (contents: PfxContents) => ({
  ...plainContents(contents),
  skipped: contents.skipped.map(({ bag, error }) => `${bag} ${error.code}`),
});

const subjects = ({ certificates }: PfxContents) => certificates.map(({ subject }) => subject.toString());

describe('what is read', () => {
  it('keys with their certificate, name and id, and the other certificates', () => {
    const contents = readPfx(usual, PW);
    expect(summary(contents)).toEqual({
      entries: [
        {
          key: toHex(alice.privateKey),
          certificate: toHex(alice.certificate),
          friendlyName: 'Alice 🔑',
          localKeyId: '01',
        },
      ],
      certificates: [toHex(ca.certificate)],
      skipped: [],
    });
  });

  it('a file in BER: indefinite lengths and segmented strings on every level', () => {
    const inner = concat([
      toBer(encryptedSafe([certBag(alice.certificate), certBag(ca.certificate)], PW)),
      toBer(safe([shroudedKeyBag(alice.privateKey, PW)]), 3),
    ]);
    const authSafe = concat([Uint8Array.of(0x30, 0x80), inner, new Uint8Array(2)]);
    // The MAC covers the content octets joined, whatever the segments.
    const der = pfx({ safes: [], password: PW, macContent: authSafe });
    for (const bytes of [der, toBer(der, 11), toBer(der, 1)]) {
      const { entries, certificates } = readPfx(bytes, PW);
      expect(entries).toHaveLength(1);
      expect(entries[0]?.certificate?.der).toEqual(alice.certificate);
      expect(certificates).toHaveLength(1);
    }
  });

  it('key bags that are not encrypted, nested safes, keys inside encrypted safes', () => {
    const bytes = pfx({
      safes: [
        safe([nestedBag([certBag(bob.certificate), nestedBag([keyBag(bob.privateKey)])])]),
        encryptedSafe([nestedBag([shroudedKeyBag(alice.privateKey, PW)]), certBag(alice.certificate)], PW),
      ],
      password: PW,
      hash: 'sha1',
    });
    const { entries, certificates } = readPfx(bytes, PW);
    expect(entries.map(({ certificate }) => certificate?.subject.toString())).toEqual(['CN=Bob', 'CN=Alice']);
    expect(certificates).toEqual([]);
  });

  it('CRLs, secrets, SDSI certificates and unknown bags are passed over', () => {
    const anything = writeDer((w) => w.octets(utf8('anything')));
    const bags = [
      bag(OID.crlBag, anything),
      bag(OID.secretBag, anything),
      bag('1.2.3.4.5', anything),
      certBag(utf8('not X.509'), {}, OID.sdsiCertificate),
      certBag(ca.certificate),
    ];
    const { entries, certificates } = readPfx(pfx({ safes: [safe(bags)], password: PW }), PW);
    expect(entries).toEqual([]);
    expect(certificates).toHaveLength(1);
  });

  it('what a safe encrypted to a public key holds is left out, and said to be', () => {
    const enveloped = contentInfo(OID.envelopedData, (w) => w.sequence(() => {}));
    const bytes = pfx({ safes: [enveloped, safe([shroudedKeyBag(alice.privateKey, PW)])], password: PW });
    const { entries, skipped } = readPfx(bytes, PW);
    expect(entries).toHaveLength(1);
    expect(skipped).toHaveLength(1);
    expect(skipped[0]).toMatchObject({
      bag: 'safe 1',
      error: {
        code: 'UNSUPPORTED_FEATURE',
        message: expect.stringContaining('envelopedData'),
        oid: OID.envelopedData,
      },
    });
    expect(parseDer(bytes.subarray(skipped[0]?.error.offset), { trailing: true }).bytes).toEqual(enveloped);
  });

  it('a file of certificates only, and one of nothing', () => {
    const contents = readPfx(pfx({ safes: [safe([certBag(ca.certificate)])], password: PW }), PW);
    expect(contents.entries).toEqual([]);
    expect(subjects(contents)).toEqual(['CN=Test CA']);
    expect(readPfx(pfx({ safes: [], password: PW }), PW)).toEqual({
      entries: [],
      certificates: [],
      skipped: [],
    });
  });

  it('nothing of the result refers to the input', () => {
    const bytes = Buffer.from(usual); // whose slice() would be a view
    const contents = readPfx(bytes, PW);
    const before = summary(contents);
    wipe(bytes);
    expect(summary(contents)).toEqual(before);
    expect(contents.certificates[0]?.subject.toString()).toBe('CN=Test CA');
  });

  it('without a MAC only when asked', () => {
    const bytes = pfx({ safes: [safe([shroudedKeyBag(alice.privateKey, PW)])] });
    expect(failure(bytes)).toMatchObject({
      code: 'PFX_NO_MAC',
      message: expect.stringMatching('allowNoMac'),
    });
    expect(readPfx(bytes, PW, { allowNoMac: true }).entries).toHaveLength(1);
    expect(failure(bytes, 'wrong', { allowNoMac: true }).code).toBe('PFX_WRONG_PASSWORD');
    const plain = pfx({ safes: [safe([keyBag(alice.privateKey)])] });
    expect(readPfx(plain, 'any', { allowNoMac: true }).entries).toHaveLength(1);
  });
});

describe('passwords', () => {
  it('PBES2 from Latin-1 octets, as some writers make them', () => {
    const password = 'Mötley Crüe';
    const octets = Buffer.from(password, 'latin1');
    const bytes = (password: string) =>
      pfx({ safes: [encryptedSafe([certBag(ca.certificate)], password, { octets })], password });
    expect(readPfx(bytes(password), password).certificates).toHaveLength(1);
    expect(failure(bytes(password), 'Motley Crue').code).toBe('PFX_WRONG_PASSWORD');
    expect(failure(bytes('Łódź'), 'Łódź').code).toBe('PFX_MALFORMED'); // no reading but UTF-8
  });

  it('PBES2 from the BMPString, as NSS 3.21 makes it', () => {
    for (const password of ['secret', PW]) {
      const octets = concat([Buffer.from(password, 'utf16le').swap16(), new Uint8Array(2)]);
      const bytes = pfx({
        safes: [encryptedSafe([certBag(ca.certificate)], password, { octets })],
        password,
      });
      expect(readPfx(bytes, password).certificates).toHaveLength(1);
      expect(failure(bytes, `${password}!`).code).toBe('PFX_WRONG_PASSWORD');
    }
  });

  it('are read again only in another way, so that a bad file costs no more rounds than it must', () => {
    const rounds = (bytes: Uint8Array, password: string) => {
      const plan = new PfxPlan(bytes, password);
      let count = 0;
      try {
        for (let jobs = plan.jobs(); jobs !== undefined; jobs = plan.jobs()) {
          count++;
          plan.take(runJobs(jobs.decrypts, jobs.macs));
        }
        return 'it opened';
      } catch (error) {
        return `${count} ${(error as MailsealError).code}`;
      }
    };
    const broken = (password: string) =>
      pfx({ safes: [encryptedSafe([certBag(ca.certificate)], 'other')], password });
    expect(rounds(usual, 'wrong')).toBe('1 PFX_WRONG_PASSWORD');
    expect(rounds(usual, 'wröng')).toBe('2 PFX_WRONG_PASSWORD'); // as OpenSSL 1.0 would make the MAC
    expect(rounds(broken('secret'), 'secret')).toBe('2 PFX_MALFORMED'); // as NSS would encrypt
    expect(rounds(broken('Łódź'), 'Łódź')).toBe('2 PFX_MALFORMED');
    expect(rounds(broken('Mötley'), 'Mötley')).toBe('3 PFX_MALFORMED'); // as Bouncy Castle, as NSS
    expect(rounds(broken(''), '')).toBe('1 PFX_MALFORMED');
  });

  it('a MAC from UTF-8 taken for Latin-1, as OpenSSL 1.0 makes it', () => {
    const misread = Buffer.from(PW, 'utf8').toString('latin1');
    const bytes = pfx({ safes: [encryptedSafe([certBag(ca.certificate)], PW)], password: misread });
    expect(readPfx(bytes, PW).certificates).toHaveLength(1);
    expect(failure(bytes, 'pässword').code).toBe('PFX_WRONG_PASSWORD');
  });

  it('an empty one that is no password', () => {
    const bytes = pfx({ safes: [safe([keyBag(alice.privateKey)])], password: null });
    expect(readPfx(bytes, '').entries).toHaveLength(1);
    expect(readPfx(pfx({ safes: [], password: '' }), '').entries).toEqual([]);
    expect(failure(usual, '').code).toBe('PFX_WRONG_PASSWORD');
  });

  it('of another type than string is a TypeError', () => {
    expect(() => readPfx(usual, undefined as unknown as string)).toThrow(TypeError);
    expect(() => readPfx('x' as unknown as Uint8Array, PW)).toThrow(TypeError);
    expect(() => readPfx(usual, PW, { maxCost: 0 })).toThrow(RangeError);
  });
});

describe('keys and certificates are paired by public key', () => {
  const key = shroudedKeyBag(alice.privateKey, PW, { localKeyId: ID.a });
  const read = (...bags: Uint8Array[]) => readPfx(pfx({ safes: [safe(bags)], password: PW }), PW);
  const own = (contents: PfxContents) =>
    contents.entries.map(({ certificate }) => certificate?.subject.toString());

  it('not by a localKeyId that names another certificate', () => {
    const contents = read(certBag(bob.certificate, { localKeyId: ID.a }), key, certBag(alice.certificate));
    expect(own(contents)).toEqual(['CN=Alice']);
    expect(subjects(contents)).toEqual(['CN=Bob']);
  });

  it('of several certificates of a key the localKeyId chooses', () => {
    const contents = read(
      certBag(renewed.certificate, { localKeyId: ID.b }),
      certBag(alice.certificate, { localKeyId: ID.a }),
      key,
    );
    expect(own(contents)).toEqual(['CN=Alice']);
    expect(subjects(contents)).toEqual(['CN=Alice renewed']);
  });

  it('or else the one that is valid longest; the others are kept', () => {
    const contents = read(certBag(alice.certificate), key, certBag(renewed.certificate));
    expect(own(contents)).toEqual(['CN=Alice renewed']);
    expect(subjects(contents)).toEqual(['CN=Alice']);
    expect(own(read(certBag(renewed.certificate), key, certBag(alice.certificate)))).toEqual([
      'CN=Alice renewed',
    ]);
  });

  it('a localKeyId that all bear, and names in any script', () => {
    const named = (friendlyName: string) => ({ friendlyName, localKeyId: ID.a });
    const contents = read(
      certBag(alice.certificate, named('Алиса')),
      keyBag(bob.privateKey, named('بوب')),
      certBag(bob.certificate, named('鮑伯')),
      keyBag(alice.privateKey, named('𝒜lice 🔑')),
    );
    expect(own(contents)).toEqual(['CN=Bob', 'CN=Alice']);
    expect(contents.entries.map(({ friendlyName }) => friendlyName)).toEqual(['بوب', '𝒜lice 🔑']);
  });

  it('a key without one, and a key that occurs twice', () => {
    const contents = read(key, certBag(bob.certificate), keyBag(alice.privateKey), keyBag(bob.privateKey));
    expect(own(contents)).toEqual([undefined, 'CN=Bob']);
    expect(summary(contents).entries[0]?.key).toBe(toHex(alice.privateKey));
  });

  it("takes a certificate's name where the key has none", () => {
    const contents = read(
      keyBag(alice.privateKey),
      certBag(alice.certificate, { friendlyName: 'card', localKeyId: ID.b }),
    );
    expect(contents.entries[0]).toMatchObject({ friendlyName: 'card', localKeyId: ID.b });
  });

  it('a key of a type that is not built is reported, the others are read', () => {
    const strange = writeDer((w) =>
      w.sequence((w) => {
        w.integer(0);
        w.sequence((w) => w.oid('1.2.3.4'));
        w.octets(Uint8Array.of(1));
      }),
    );
    const contents = read(keyBag(strange), key);
    expect(contents.entries).toHaveLength(1);
    expect(contents.skipped).toEqual([
      {
        bag: 'bag 1 of safe 1',
        error: expect.objectContaining({ code: 'UNSUPPORTED_ALGORITHM', oid: '1.2.3.4' }),
      },
    ]);
  });
});

describe('what fails', () => {
  it('wrong password', () => {
    expect(failure(usual, 'wrong')).toMatchObject({ code: 'PFX_WRONG_PASSWORD' });
    const plain = pfx({ safes: [safe([certBag(ca.certificate)])], password: PW });
    expect(failure(plain, 'wrong').code).toBe('PFX_WRONG_PASSWORD');
  });

  it('a corrupted MAC, and content that was changed', () => {
    const mac = usual.slice();
    mac[mac.length - 20] = (mac[mac.length - 20] as number) ^ 1; // in the digest: the salt takes the last 10 octets
    expect(failure(mac).code).toBe('PFX_MAC_MISMATCH');
    const name = Buffer.from(usual);
    const at = name.indexOf(Buffer.from('\0A\0l\0i\0c\0e', 'latin1'));
    name[at + 1] = 'B'.charCodeAt(0);
    expect(failure(name).code).toBe('PFX_MAC_MISMATCH');
  });

  it('a key that another password encrypts', () => {
    const bytes = pfx({ safes: [safe([shroudedKeyBag(alice.privateKey, 'other')])], password: PW });
    expect(failure(bytes)).toMatchObject({
      code: 'PFX_MALFORMED',
      message: 'the MAC matches, but the password does not decrypt bag 1 of safe 1',
    });
  });

  it.each<[string, Uint8Array, string, RegExp]>([
    [
      'a key that is none',
      safe([keyBag(writeDer((w) => w.sequence(() => {})))]),
      'PFX_MALFORMED',
      /bag 1 of/,
    ],
    [
      'a shrouded key that is none',
      safe([
        shroudedKeyBag(
          writeDer((w) => w.sequence((w) => w.integer(0))),
          PW,
        ),
      ]),
      'PFX_MALFORMED',
      /in the decrypted bag 1 of safe 1/,
    ],
    [
      'a certificate that is none',
      safe([certBag(ca.certificate), nestedBag([certBag(utf8('x'))])]),
      'PFX_MALFORMED',
      /bag 2\.1 of safe 1/,
    ],
    [
      'a certificate cut short in an encrypted safe',
      encryptedSafe([certBag(ca.certificate.subarray(0, 100))], PW),
      'PFX_MALFORMED',
      /bag 1 of safe 1/,
    ],
    [
      'no SafeContents in an encrypted safe',
      encryptedSafe(
        writeDer((w) => w.sequence((w) => w.integer(1))),
        PW,
      ),
      'ASN1_UNEXPECTED',
      /in the decrypted safe 1, octet 2 of it/,
    ],
    [
      'a friendlyName cut inside a character (CVE-2025-69419)',
      safe([certBag(ca.certificate, { raw: oddName() })]),
      'ASN1_BAD_VALUE',
      /odd number/,
    ],
    [
      'a safe of another type',
      contentInfo(OID.digestedData, (w) => w.sequence(() => {})),
      'PFX_MALFORMED',
      /digestedData/,
    ],
    [
      'EncryptedData of version 1',
      contentInfo(OID.encryptedData, (w) => w.sequence((w) => w.integer(1))),
      'PFX_MALFORMED',
      /version 1/,
    ],
  ])('%s', (_, content, code, message) => {
    expect(failure(pfx({ safes: [content], password: PW }))).toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });

  it('offsets are those of the file, where a part lies in it as it is', () => {
    const bytes = pfx({ safes: [safe([nestedBag([certBag(utf8('Zebra'))])])], password: PW });
    const { offset } = failure(bytes);
    expect(Buffer.from(bytes).indexOf('Zebra')).toBe(offset);
    const { offset: none, message } = failure(toBer(bytes));
    expect(none).toBeUndefined();
    expect(message).toMatch(/octet \d+ of it/);
  });

  it('signed, of another version, or of another content type', () => {
    const signed = contentInfo(OID.signedData, (w) => w.sequence(() => {}));
    expect(failure(pfx({ safes: [], authSafe: signed }))).toMatchObject({
      code: 'UNSUPPORTED_FEATURE',
      oid: OID.signedData,
    });
    expect(failure(pfx({ safes: [], password: PW, version: 2 })).code).toBe('PFX_MALFORMED');
    const other = contentInfo(OID.encryptedData, (w) => w.sequence(() => {}));
    expect(failure(pfx({ safes: [], authSafe: other })).code).toBe('PFX_MALFORMED');
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['nothing', new Uint8Array(0), /an empty file/],
    ['PEM', utf8(writePem('CERTIFICATE', ca.certificate)), /PEM \(CERTIFICATE\)/],
    ['a certificate', ca.certificate, /a certificate/],
    ['a private key', alice.privateKey, /a private key/],
    ['JKS', Uint8Array.of(0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2), /JKS/],
    ['text', utf8('file,password\n'), /text/],
    ['CMS', contentInfo(OID.signedData, (w) => w.sequence(() => {})), /CMS object of type signedData/],
    ['another file', Uint8Array.of(0x89, 0x50, 0x4e, 0x47), /neither DER nor BER/],
    ['an encrypted key', encryptedKey(), /an encrypted private key/],
  ])('not a PFX but %s', (_, bytes, message) => {
    expect(failure(bytes)).toMatchObject({ code: 'PFX_MALFORMED', message: expect.stringMatching(message) });
  });
});

function oddName(): Uint8Array {
  return writeDer((w) => attribute(w, OID.friendlyName, (w) => w.raw(Uint8Array.of(0x1e, 3, 0, 0x41, 0))));
}

function encryptedKey(): Uint8Array {
  return writeDer((w) =>
    w.sequence((w) => {
      w.raw(pbes2Algorithm(1));
      w.octets(new Uint8Array(16));
    }),
  );
}

it('a PFX in PEM, with text in front', () => {
  const file = pfx({ safes: [safe([keyBag(alice.privateKey), certBag(alice.certificate)])], password: PW });
  const pem = utf8(`friendlyName: alice\n${writePem('PKCS12', file)}`);
  expect(readPfx(pem, PW).entries).toHaveLength(1);
  expect(failure(utf8(writePem('CERTIFICATE', alice.certificate))).message).toContain(
    'this is PEM (CERTIFICATE)',
  );
});

describe('very many bags as denial of service (each key is compared with each certificate)', () => {
  const file = (bags: Uint8Array[]) => pfx({ safes: [safe(bags)], password: PW });
  it.each<[string, Uint8Array]>([
    ['keys', file(Array.from({ length: 1001 }, () => keyBag(alice.privateKey)))],
    [
      'locked keys',
      file(Array.from({ length: 200_000 }, () => bag(OID.pkcs8ShroudedKeyBag, keyOfIterations(1)))),
    ],
    ['certificates', file(Array.from({ length: 10_001 }, () => certBag(alice.certificate)))],
  ])('%s', (_, bytes) => {
    expect(failure(bytes).code).toBe('LIMIT_RECORDS');
  });
});

describe('iteration count as denial of service', () => {
  const HUGE = 2 ** 31;
  it.each<[string, Uint8Array]>([
    ['of the MAC', pfx({ safes: [], password: PW, macIterations: HUGE })],
    [
      'of a bag',
      pfx({
        safes: [safe([shroudedKeyBag(alice.privateKey, PW, {}, { iterations: HUGE })])],
        password: PW,
      }),
    ],
    [
      'of a key inside an encrypted safe',
      pfx({
        safes: [encryptedSafe([shroudedKeyBag(alice.privateKey, PW, {}, { iterations: HUGE })], PW)],
        password: PW,
      }),
    ],
    [
      'of scrypt, spread over many bags',
      pfx({
        safes: [safe(Array.from({ length: 25 }, () => bag(OID.pkcs8ShroudedKeyBag, keyOfScrypt(2 ** 17))))],
        password: PW,
      }),
    ],
    [
      'spread over many bags',
      pfx({
        safes: [
          safe(
            Array.from({ length: 60 }, (_, i) =>
              bag(OID.pkcs8ShroudedKeyBag, keyOfIterations(1_000_000 + i)),
            ),
          ),
        ],
        password: PW,
      }),
    ],
  ])('%s is refused before anything is derived', (_, bytes) => {
    const start = performance.now();
    const error = failure(bytes);
    expect(performance.now() - start).toBeLessThan(5000); // deriving would take minutes
    expect(error.code).toBe('LIMIT_COST');
    expect(error.message).toMatch(/maxCost/);
    expect(error.message).toMatch(String(MAX_PFX_COST));
  });

  it('maxCost counts iterations times blocks, over all bags and the MAC', () => {
    const iterations = 1000;
    const bytes = pfx({
      safes: [safe([shroudedKeyBag(alice.privateKey, PW, {}, { iterations })])],
      password: PW,
      macIterations: 500,
    });
    const cost = 1000 * 2 + 500; // one block of SHA-256 gives the 32 octets; HMAC hashes two a time
    expect(readPfx(bytes, PW, { maxCost: cost }).entries).toHaveLength(1);
    expect(failure(bytes, PW, { maxCost: cost - 1 })).toMatchObject({
      code: 'LIMIT_COST',
      message: expect.stringContaining(`${cost} hash blocks`),
    });
  });

  it('derivations that are equal count once, as they are run once: a history whose bags share a salt', () => {
    const options = { iterations: 1000 };
    const keys = Array.from({ length: 100 }, () => shroudedKeyBag(generateKey('P-256'), PW, {}, options));
    const cases: [Uint8Array[], number][] = [
      [[safe(keys)], 2000 + 500],
      [[safe(keys.slice(50)), encryptedSafe([certBag(ca.certificate)], PW, options)], 2000 + 500],
      // What is inside an encrypted safe is another round, which derives anew.
      [[encryptedSafe(keys, PW, options)], 2000 + 500 + 2000],
      [[encryptedSafe(keys, PW, { iterations: 700 })], 1400 + 500 + 2000],
    ];
    for (const [safes, cost] of cases) {
      const bytes = pfx({ safes, password: PW, macIterations: 500 });
      expect(readPfx(bytes, PW, { maxCost: cost }).entries.length).toBeGreaterThanOrEqual(50);
      expect(failure(bytes, PW, { maxCost: cost - 1 })).toMatchObject({
        code: 'LIMIT_COST',
        message: expect.stringContaining(`${cost} hash blocks`),
      });
    }
  });

  it('the strong profile with a hundred keys is within the default', () => {
    const entries = Array.from({ length: 100 }, () => ({
      privateKey: PrivateKey.parse(generateKey('P-256')),
    }));
    expect(readPfx(writePfx(entries, PW, { profile: 'strong' }), PW).entries).toHaveLength(100);
  });

  it('the default lets three times ten million iterations through', () => {
    // Two safes with PBES2 and SHA-256, and a PKCS#12 MAC.
    expect(10_000_000 * (2 + 2 + 1)).toBeLessThan(MAX_PFX_COST);
  });
});

function keyOfScrypt(cost: number): Uint8Array {
  return writeDer((w) =>
    w.sequence((w) => {
      w.raw(scryptAlgorithm(cost));
      w.octets(new Uint8Array(16));
    }),
  );
}

function keyOfIterations(iterations: number): Uint8Array {
  return writeDer((w) =>
    w.sequence((w) => {
      w.raw(pbes2Algorithm(iterations));
      w.octets(new Uint8Array(16));
    }),
  );
}

describe('rounds', () => {
  it('a file that fails before its password is tried: keys that are not encrypted are wiped', () => {
    const broken = pfx({
      safes: [safe([keyBag(alice.privateKey)]), safe([Uint8Array.of(0x30, 0)])],
      password: PW,
    });
    const wiped = vi.spyOn(PrivateKey.prototype, 'wipe');
    try {
      expect(() => new PfxPlan(broken, PW)).toThrow(MailsealError);
      expect(wiped).toHaveBeenCalledTimes(1);
    } finally {
      wiped.mockRestore();
    }
  });

  const inner = pfx({
    safes: [encryptedSafe([shroudedKeyBag(bob.privateKey, 'bob'), certBag(bob.certificate)], 'bob')],
    password: 'bob',
  });

  it('of several files share their calls, each file with its own password and number of rounds', () => {
    const plans = [new PfxPlan(usual, PW), new PfxPlan(inner, 'bob'), new PfxPlan(usual, PW)];
    const calls: number[] = [];
    for (;;) {
      const round = plans.map((plan) => plan.jobs());
      const decrypts = round.flatMap((jobs) => jobs?.decrypts ?? []);
      const macs = round.flatMap((jobs) => jobs?.macs ?? []);
      if (decrypts.length + macs.length === 0) break;
      calls.push(decrypts.length + macs.length);
      const results = runJobs(decrypts, macs);
      for (const [i, jobs] of round.entries()) {
        if (jobs === undefined) continue;
        plans[i]?.take({
          decrypted: results.decrypted.splice(0, jobs.decrypts.length),
          macs: results.macs.splice(0, jobs.macs.length),
        });
      }
    }
    expect(calls).toEqual([3 + 2 + 3, 1]);
    expect(plans.map(({ bags }) => summary(contentsOf(bags)))).toEqual([
      summary(readPfx(usual, PW)),
      summary(readPfx(inner, 'bob')),
      summary(readPfx(usual, PW)),
    ]);
  });

  it('leave no password and no plaintext behind', () => {
    const plan = new PfxPlan(usual, PW);
    const jobs = plan.jobs();
    const results = runJobs(jobs?.decrypts ?? [], jobs?.macs ?? []);
    plan.take(results);
    expect(plan.jobs()).toBeUndefined();
    plan.wipe();
    const secrets = [...(jobs?.decrypts ?? []), ...(jobs?.macs ?? [])].map(({ key }) => key.password);
    for (const result of results.decrypted) if (result.ok) secrets.push(result.data);
    expect(secrets).toHaveLength(3 + 2);
    for (const secret of secrets) expect(secret.every((octet) => octet === 0)).toBe(true);
    // The keys have copies of their own.
    expect(toHex(plan.bags.find((bag) => bag.privateKey)?.privateKey?.toPkcs8() as Uint8Array)).toBe(
      toHex(alice.privateKey),
    );
  });
});

describe('damage', () => {
  const small = pfx({
    safes: [
      encryptedSafe([certBag(alice.certificate)], PW),
      safe([shroudedKeyBag(alice.privateKey, PW, { friendlyName: 'A', localKeyId: ID.a })]),
    ],
    password: PW,
  });
  const ber = toBer(small, 100);

  it.each([
    ['DER', small],
    ['BER', ber],
  ])('%s cut at every octet is a coded error', (_, bytes) => {
    for (let length = 1; length < bytes.length; length++) {
      const error = failure(bytes.subarray(0, length));
      expect(error.code, `${length} octets`).toBe('ASN1_TRUNCATED');
      expect(error.offset, `${length} octets`).toBeLessThanOrEqual(length);
    }
  });

  it.each([
    ['DER', small],
    ['BER', ber],
  ])('%s with any octet changed is a coded error or the same contents', (_, bytes) => {
    const intact = JSON.stringify(summary(readPfx(bytes, PW)));
    const codes = new Map<string, number>();
    for (let at = 0; at < bytes.length; at++) {
      for (const bits of [0x01, 0x80, 0xff]) {
        const changed = bytes.slice();
        changed[at] = (changed[at] as number) ^ bits;
        let outcome: string;
        try {
          const contents = readPfx(changed, PW, { maxCost: 100_000 });
          expect(JSON.stringify(summary(contents)), `octet ${at} ^ ${bits}`).toBe(intact);
          outcome = 'the same contents';
        } catch (error) {
          if (!(error instanceof MailsealError)) throw error;
          outcome = error.code;
        }
        codes.set(outcome, (codes.get(outcome) ?? 0) + 1);
      }
    }
    // Whatever the MAC covers and can still be parsed must be noticed by the MAC.
    expect(codes.get('PFX_MAC_MISMATCH')).toBeGreaterThan(bytes.length);
    expect(codes.get('the same contents') ?? 0).toBe(0);
  });

  it.each([
    ['PBMAC1 with SHA-512', 'go-pkcs12', 'rfc9579-a3.p12'],
    ['a MAC by BLAKE2', 'rustcrypto-formats', 'pkcs12/example11.pfx'],
  ])('%s: an octet changed is a coded error or the same contents', (_, source, path) => {
    const bytes = readVector(source, path);
    const intact = JSON.stringify(summary(readPfx(bytes, '1234')));
    for (let at = 0; at < bytes.length; at += at < bytes.length - 150 ? 23 : 1) {
      const changed = Uint8Array.from(bytes, (octet, i) => (i === at ? octet ^ 0x81 : octet));
      try {
        const contents = readPfx(changed, '1234', { maxCost: 100_000 });
        expect(JSON.stringify(summary(contents)), `octet ${at}`).toBe(intact);
      } catch (error) {
        if (!(error instanceof MailsealError)) throw new Error(`octet ${at}`, { cause: error });
      }
    }
  });
});
