/**
 * SignedData both ways with `openssl cms` (every signature that it has, by digest and form), with Bouncy Castle, which has
 * what OpenSSL 3.0 lacks, and with gpgsm: they verify ours, we verify theirs.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { utf8, writePem } from '../src/bytes.js';
import { contentOfType, readContentInfo } from '../src/cms/content.js';
import {
  type SignDataOptions,
  SignedData,
  type Signer,
  type SigningDigest,
  signData,
  verifySignedData,
} from '../src/cms/signed.js';
import { readPfx } from '../src/pfx/read.js';
import { writePfx } from '../src/pfx/write.js';
import { Certificate } from '../src/x509/certificate.js';
import { PrivateKey } from '../src/x509/keys.js';
import { verifySignature } from '../src/x509/signature.js';
import {
  bouncyCastle,
  Gpgsm,
  hasBouncyCastle,
  hasGpgsm,
  hasOpenssl,
  opensslOut,
  temporaryFolder,
} from './helpers/peers.js';
import { issueCertificate, type KeyKind } from './helpers/pki.js';
import { readVector } from './helpers/vectors.js';

const CONTENT = utf8(`Content-Type: text/plain\r\n\r\n${'Both ways. '.repeat(500)}\r\n`);
const DIGESTS: readonly SigningDigest[] = ['sha256', 'sha384', 'sha512'];
const BRAINPOOL = [256, 384, 512].flatMap((bits) => [`brainpoolP${bits}r1`, `brainpoolP${bits}t1`]);
const CURVES = ['P-256', 'P-384', 'P-521', ...BRAINPOOL] as KeyKind[];

const folder = temporaryFolder();
const file = (name: string) => join(folder, name);
const people = new Map<string, Signer>();
const person = (name: string) => people.get(name) as Signer;
const ca = issueCertificate({ subject: 'Test CA', ca: true, emails: ['ca@example.org'] });

function addPerson(name: string, pkcs8: Uint8Array, certificate: Uint8Array): void {
  writeFileSync(file(`${name}.key`), writePem('PRIVATE KEY', pkcs8));
  writeFileSync(file(`${name}.crt`), writePem('CERTIFICATE', certificate));
  people.set(name, { privateKey: PrivateKey.parse(pkcs8), certificate: Certificate.parse(certificate) });
}

/** Keys that are for RSASSA-PSS only, with parameters that name hash, mask and the shortest salt. */
const PSS_KEYS: Readonly<Record<string, readonly string[]>> = {
  pss: [],
  'pss-sha384': ['md:sha384', 'mgf1_md:sha384', 'saltlen:48'],
  'pss-sha256-mgf1-sha1': ['md:sha256', 'mgf1_md:sha1', 'saltlen:20'],
};

beforeAll(() => {
  writeFileSync(file('ca.crt'), writePem('CERTIFICATE', ca.certificate));
  writeFileSync(file('content'), CONTENT);
  for (const key of ['rsa', 'ed25519', 'ed448', ...CURVES] as KeyKind[]) {
    const emails = [`${key.toLowerCase()}@example.org`];
    const issued = issueCertificate({ subject: `${key} user`, emails, key, issuer: ca });
    addPerson(key, issued.privateKey, issued.certificate);
  }
  if (!hasOpenssl) return;
  for (const [name, restrictions] of Object.entries(PSS_KEYS)) {
    const options = restrictions.flatMap((one) => ['-pkeyopt', `rsa_pss_keygen_${one}`]);
    const key = opensslOut(['genpkey', '-algorithm', 'RSA-PSS', '-outform', 'DER', ...options]);
    writeFileSync(file(`${name}.key`), writePem('PRIVATE KEY', key));
    const request = ['req', '-x509', '-key', file(`${name}.key`), '-subj', `/CN=${name}`, '-days', '3000'];
    addPerson(name, key, opensslOut([...request, '-outform', 'DER']));
  }
});

function verifyAll(message: Uint8Array, content?: Uint8Array) {
  const signed = SignedData.parse(contentOfType(readContentInfo(message), OID.signedData));
  return { signed, results: verifySignedData(signed, content === undefined ? {} : { content }) };
}

const FORMS: [name: string, options: Partial<SignDataOptions>][] = [
  ['attached', {}],
  ['detached', { detached: true }],
  ['by key identifier', { signerIdentifier: 'subjectKeyIdentifier' }],
];

/** A signer, how it signs, and a name for the row. */
type Way = [name: string, who: string, options: Partial<Signer>];

const WAYS: readonly Way[] = [
  ...DIGESTS.flatMap((digest): Way[] => [
    [`RSA, ${digest}`, 'rsa', { digest }],
    [`RSASSA-PSS, ${digest}`, 'rsa', { digest, scheme: 'rsassa-pss' }],
    [`an RSASSA-PSS key, ${digest}`, 'pss', { digest }],
    ...CURVES.map((curve): Way => [`${curve}, ${digest}`, curve, { digest }]),
  ]),
  ['an RSASSA-PSS key with restrictions', 'pss-sha384', {}],
  ['an RSASSA-PSS key with another hash for MGF1', 'pss-sha256-mgf1-sha1', {}],
];

describe.skipIf(!hasOpenssl)('openssl cms verifies what we sign', () => {
  it.each(WAYS)('%s', (_, who, options) => {
    for (const [form, more] of FORMS) {
      const message = signData(CONTENT, { signers: [{ ...person(who), ...options }], ...more });
      const { results } = verifyAll(message, more.detached ? CONTENT : undefined);
      expect(results.map(({ valid }) => valid)).toEqual([true]);
      const anchor = who.startsWith('pss') ? `${who}.crt` : 'ca.crt';
      const content = more.detached ? ['-content', file('content')] : [];
      // CAdES: the signed attribute has to name the certificate.
      const args = ['-verify', '-cades', '-binary', '-inform', 'DER', '-CAfile', file(anchor), ...content];
      expect(opensslOut(['cms', ...args], message).equals(CONTENT), form).toBe(true);
    }
  });

  it('several signers with three digests', () => {
    const signers = ['rsa', 'P-384', 'brainpoolP512t1', 'P-256'].map(person);
    const message = signData(CONTENT, { signers });
    opensslOut(['cms', '-verify', '-binary', '-inform', 'DER', '-CAfile', file('ca.crt')], message);
  });
});

describe.skipIf(!hasOpenssl)('we verify what openssl cms signs', () => {
  const READ = ['md5', 'sha1', 'sha224', ...DIGESTS, 'sha512-224', 'sha512-256'];
  /** OpenSSL 3.0 has these in CMS with RSASSA-PKCS1-v1_5 alone. */
  const SHA3 = ['sha3-224', 'sha3-256', 'sha3-384', 'sha3-512'];
  const padding = ['-keyopt', 'rsa_padding_mode:pss'];
  const salt = (length: number) => [...padding, '-keyopt', `rsa_pss_saltlen:${length}`];
  const mask = (hash: string) => [...padding, '-keyopt', `rsa_mgf1_md:${hash}`];
  type Row = [name: string, who: string, digest: string, kind: string, options: string[]];
  const rows: Row[] = [
    ...[...READ, ...SHA3].map((digest): Row => [`RSA, ${digest}`, 'rsa', digest, 'rsa-pkcs1', []]),
    ...READ.slice(1).flatMap((digest): Row[] => [
      [`RSASSA-PSS, ${digest}`, 'rsa', digest, 'rsa-pss', padding],
      [`an RSASSA-PSS key, ${digest}`, 'pss', digest, 'rsa-pss', padding],
    ]),
    ['RSASSA-PSS, no salt', 'rsa', 'sha384', 'rsa-pss', salt(0)],
    ['RSASSA-PSS, one octet of salt', 'rsa', 'sha256', 'rsa-pss', salt(1)],
    ['RSASSA-PSS, the longest salt', 'rsa', 'sha256', 'rsa-pss', salt(-3)],
    ['RSASSA-PSS, MGF1 with SHA-1', 'rsa', 'sha256', 'rsa-pss', mask('sha1')],
    ['RSASSA-PSS, MGF1 with SHA-512', 'rsa', 'sha224', 'rsa-pss', mask('sha512')],
    ['an RSASSA-PSS key with restrictions', 'pss-sha384', 'sha384', 'rsa-pss', padding],
    ['an RSASSA-PSS key with another MGF1', 'pss-sha256-mgf1-sha1', 'sha256', 'rsa-pss', padding],
    ...CURVES.flatMap((curve) =>
      READ.slice(1, 6).map((md): Row => [`${curve}, ${md}`, curve, md, 'ecdsa', []]),
    ),
    ['a key identifier', 'rsa', 'sha256', 'rsa-pkcs1', ['-keyid']],
    ['no signed attributes', 'rsa', 'sha256', 'rsa-pkcs1', ['-noattr']],
    ['no signed attributes, ECDSA', 'brainpoolP384r1', 'sha384', 'ecdsa', ['-noattr']],
    ['no signed attributes, RSASSA-PSS', 'rsa', 'sha256', 'rsa-pss', ['-noattr', ...padding]],
    ['ESS signing certificate', 'P-256', 'sha256', 'ecdsa', ['-cades']],
  ];

  it.each(rows)('%s', (_, who, digest, kind, options) => {
    const args = ['-md', digest, '-signer', file(`${who}.crt`), '-inkey', file(`${who}.key`), ...options];
    // OpenSSL 3.0 can't write RSASSA-PSS while it streams.
    for (const form of [['-nodetach'], [], ...(kind === 'rsa-pss' ? [] : [['-nodetach', '-stream']])]) {
      const message = opensslOut(['cms', '-sign', '-binary', '-outform', 'DER', ...form, ...args], CONTENT);
      const detached = form.length === 0;
      const { signed, results } = verifyAll(message, detached ? CONTENT : undefined);
      expect(signed.node.isDer).toBe(!form.includes('-stream'));
      const [result] = results;
      expect(result?.error).toBeUndefined();
      expect(result?.valid).toBe(true);
      expect(result?.weak).toBe(digest === 'sha1' || digest === 'md5');
      expect([result?.scheme?.kind, result?.digest]).toEqual([kind, digest]);
      if (!detached) expect(Buffer.from(signed.content as Uint8Array).equals(CONTENT)).toBe(true);
      const [changed] = verifySignedData({ ...signed, content: utf8('x') } as SignedData);
      expect(changed?.valid).toBe(false);
    }
  });

  it('several signers', () => {
    const signers = ['rsa', 'P-521', 'brainpoolP256r1'].flatMap((who) => [
      '-signer',
      file(`${who}.crt`),
      '-inkey',
      file(`${who}.key`),
    ]);
    const message = opensslOut(
      ['cms', '-sign', '-binary', '-nodetach', '-outform', 'DER', ...signers],
      CONTENT,
    );
    expect(verifyAll(message).results.map(({ valid }) => valid)).toEqual([true, true, true]);
  });
});

describe.skipIf(!hasOpenssl)('keys out of a PFX of openssl sign', () => {
  it.each([
    ['ed25519', 'ed25519'],
    ['ed448', 'ed448'],
    ['brainpoolP256r1', 'ec'],
    ['brainpoolP512t1', 'ec'],
    ['pss', 'rsa-pss'],
    ['pss-sha256-mgf1-sha1', 'rsa-pss'],
  ])('%s', (who, algorithm) => {
    const files = ['-inkey', file(`${who}.key`), '-in', file(`${who}.crt`)];
    const pfx = readPfx(opensslOut(['pkcs12', '-export', ...files, '-passout', 'pass:pfx']), 'pfx');
    const [entry] = pfx.entries;
    expect(entry?.privateKey.algorithm).toBe(algorithm);
    const { privateKey, certificate } = entry as Signer;
    const { results } = verifyAll(signData(CONTENT, { signers: [{ privateKey, certificate }] }));
    expect(results.map(({ valid }) => valid)).toEqual([true]);
  });
});

describe.skipIf(!hasOpenssl)('openssl makes certificates whose signatures we verify', () => {
  it.each(['ed25519', 'ed448', 'pss-sha256-mgf1-sha1', ...BRAINPOOL])('by %s', (who) => {
    const request = ['req', '-x509', '-key', file(`${who}.key`), '-subj', '/CN=CA', '-days', '30'];
    const made = Certificate.parse(opensslOut([...request, '-outform', 'DER']));
    const { signatureScheme, publicKey, tbs, signatureValue } = made;
    expect(verifySignature(signatureScheme, publicKey, tbs, signatureValue)).toBe(true);
    expect(verifySignature(signatureScheme, publicKey, made.der, signatureValue)).toBe(false);
  });
});

describe('Bouncy Castle', () => {
  if (!hasBouncyCastle)
    console.log('skipped: no javac with Bouncy Castle (libbcpkix-java) to verify what we sign');
  const ways: readonly Way[] = [...WAYS, ['Ed25519', 'ed25519', {}], ['Ed448', 'ed448', {}]];
  it.skipIf(!hasBouncyCastle)(
    'verifies what we sign, every signer of it',
    () => {
      const made = join(folder, 'bouncy-castle');
      mkdirSync(made);
      writeFileSync(join(made, 'content'), CONTENT);
      let count = 0;
      for (const [name, who, options] of ways) {
        // Bouncy Castle 1.72 has no other hash for MGF1 here.
        if (!people.has(who) || who === 'pss-sha256-mgf1-sha1') continue;
        for (const [form, more] of FORMS) {
          const message = signData(CONTENT, { signers: [{ ...person(who), ...options }], ...more });
          writeFileSync(join(made, `${name}, ${form}.p7${more.detached ? 's' : 'm'}`), message);
          count++;
        }
      }
      const all = ['rsa', 'P-384', 'ed25519', 'ed448', 'brainpoolP512r1'].map(person);
      writeFileSync(join(made, 'several.p7m'), signData(CONTENT, { signers: all }));
      const lines = bouncyCastle(made);
      expect(lines).toHaveLength(count + 1);
      expect(lines.filter((line) => !/\.p7[ms]( valid)+$/.test(line))).toEqual([]);
      expect(lines).toContain('several.p7m valid valid valid valid valid');
    },
    60_000,
  );
});

describe('keys of Bouncy Castle', () => {
  it.each(['ed25519', 'ed448', 'brainpoolP256t1', 'brainpoolP384r1'])('%s signs', (name) => {
    const read = (path: string) => readVector('made-with-bouncycastle', path);
    const privateKey = PrivateKey.parse(read(`${name}.p8`));
    const certificate = Certificate.parse(read(`${name}.crt`));
    const message = signData(CONTENT, { signers: [{ privateKey, certificate }] });
    expect(verifyAll(message).results.map(({ valid }) => valid)).toEqual([true]);
  });
});

describe.skipIf(!hasGpgsm || !hasOpenssl)('gpgsm', () => {
  const gpgsm = hasGpgsm ? new Gpgsm() : (undefined as unknown as Gpgsm);
  /** Without P-521: gpgsm 2.2 wants a hash of 521 bits. */
  const WHO = ['rsa', 'P-256', 'P-384', 'brainpoolP256r1', 'brainpoolP384r1', 'brainpoolP512r1'];
  /** Nor does it verify with a hash shorter than the curve. */
  const digestsFor = (who: string) =>
    DIGESTS.slice(DIGESTS.findIndex((one) => one.slice(3) >= (/[235]\d\d/.exec(who)?.[0] ?? '')));

  beforeAll(() => {
    gpgsm.trust(createHash('sha1').update(ca.certificate).digest('hex').toUpperCase());
    gpgsm.importCertificate(ca.certificate);
  });

  it.each(WHO)('verifies what we sign: %s', (who) => {
    for (const digest of digestsFor(who)) {
      const message = signData(CONTENT, { signers: [{ ...person(who), digest }] });
      const { status, stderr } = gpgsm.run(['--verify'], message);
      expect(stderr, digest).toContain('GOODSIG');
      expect(status).toBe(0);
    }
  });

  it('verifies RSASSA-PSS', () => {
    const message = signData(CONTENT, { signers: [{ ...person('rsa'), scheme: 'rsassa-pss' }] });
    expect(gpgsm.run(['--verify'], message).stderr).toContain('GOODSIG');
  });

  // RSA alone: gpgsm 2.2 crashes when it imports an EC key.
  it.each(['sha1', 'sha256', 'sha512'])('signs what we verify: RSA, %s', (digest) => {
    const { privateKey, certificate } = person('rsa');
    writeFileSync(file('password'), 'gpgsm');
    // gpgsm 2.2 refuses about one PFX in 70, which others read: once more, with another salt.
    for (let tries = 3; ; tries--) {
      const pfx = writePfx([{ privateKey, certificate }], 'gpgsm', { profile: 'compatible' });
      writeFileSync(file('rsa.p12'), pfx);
      try {
        gpgsm.importPfx(file('rsa.p12'), file('password'));
        break;
      } catch (error) {
        if (tries === 1) throw error;
      }
    }
    const user = ['--local-user', 'rsa@example.org', '--digest-algo', digest, '--disable-policy-checks'];
    const { status, stdout, stderr } = gpgsm.run([...user, '--sign'], CONTENT, file('password'));
    expect(status, stderr).toBe(0);
    const [result] = verifyAll(stdout).results;
    expect([result?.valid, result?.weak, result?.digest]).toEqual([true, digest === 'sha1', digest]);
  });
});
