/** PFX files that the `openssl pkcs12` command writes, opened by us; and that it opens what the test writer makes. */
import { execFileSync } from 'node:child_process';
import { createPublicKey, sign, verify } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { toHex, utf8, writePem } from '../src/bytes.js';
import { readPfx } from '../src/pfx/read.js';
import { hasOpenssl, openssl, opensslOut, temporaryFolder } from './helpers/peers.js';
import { bag, certBag, encryptedSafe, pfx, safe, shroudedKeyBag } from './helpers/pfx.js';
import { type IssuedCertificate, issueCertificate, type KeyKind } from './helpers/pki.js';

const hasLegacy = hasOpenssl && openssl(['list', '-providers', '-provider', 'legacy']).status === 0;
const DATA = utf8('signed to show that it is the same key');

/** Name, key, password, options. */
type Row = [string, KeyKind, string, string[]];

describe.skipIf(!hasOpenssl)('openssl pkcs12', () => {
  const folder = hasOpenssl ? temporaryFolder() : '';
  const file = (name: string) => join(folder, name);
  const ca = issueCertificate({ subject: 'Test CA', ca: true });
  const people = new Map<KeyKind, IssuedCertificate>();

  function person(key: KeyKind): IssuedCertificate {
    const known = people.get(key);
    if (known !== undefined) return known;
    const issued = issueCertificate({ subject: `${key} user`, key, issuer: ca });
    writeFileSync(file(`${key}.key`), writePem('PRIVATE KEY', issued.privateKey));
    writeFileSync(file(`${key}.crt`), writePem('CERTIFICATE', issued.certificate));
    writeFileSync(file('ca.crt'), writePem('CERTIFICATE', ca.certificate));
    people.set(key, issued);
    return issued;
  }

  function exported(key: KeyKind, password: string, options: readonly string[]): Uint8Array {
    person(key);
    writeFileSync(file('password'), `${password}\n`);
    opensslOut([
      'pkcs12',
      '-export',
      ...['-inkey', file(`${key}.key`), '-in', file(`${key}.crt`), '-certfile', file('ca.crt')],
      ...['-name', 'Schlüssel', '-passout', `file:${file('password')}`, '-out', file('out.p12')],
      ...options,
    ]);
    return readFileSync(file('out.p12'));
  }

  const pbes2 = (cipher: string) => ['-keypbe', cipher, '-certpbe', cipher];
  const legacy = (pbe: string) => ['-legacy', '-keypbe', pbe, '-certpbe', pbe];
  const mac = (digest: string): Row => [`${digest} MAC`, 'P-256', 'secret', ['-macalg', digest]];
  const pbes2Row = (cipher: string): Row => [cipher, 'P-256', 'secret', pbes2(cipher)];
  const rows: Row[] = [
    ['as it does by default', 'rsa', 'secret', []],
    ['AES-128-CBC, SHA-1 MAC', 'P-256', 'secret', [...pbes2('AES-128-CBC'), '-macalg', 'sha1']],
    ['AES-192-CBC', 'P-384', 'secret', pbes2('AES-192-CBC')],
    ['AES-256-CBC, SHA-256 MAC', 'P-521', 'secret', [...pbes2('AES-256-CBC'), '-macalg', 'sha256']],
    ['-descert', 'P-256', 'secret', ['-descert']],
    ['3DES in PBES2', 'P-256', 'secret', pbes2('DES-EDE3-CBC')],
    ['-noenc: a key bag', 'P-256', 'secret', ['-keypbe', 'NONE', '-certpbe', 'NONE']],
    ['-nomac', 'P-256', 'secret', ['-nomac']],
    ['one iteration', 'P-256', 'secret', ['-iter', '1', '-nomaciter']],
    ['100,000 iterations', 'P-256', 'secret', ['-iter', '100000']],
    ['an empty password', 'P-256', '', []],
    ['a password in UTF-8', 'P-256', 'Pässwörter – Łódź 世界 🔑', []],
    ['Ed25519', 'ed25519', 'secret', []],
    ['X25519', 'x25519', 'secret', []],
    ...[
      'md5',
      'sha224',
      'sha384',
      'sha512',
      'sha512-224',
      'sha512-256',
      'sha3-224',
      'sha3-256',
      'sha3-384',
    ].map(mac),
    ...['sha3-512', 'blake2b512', 'blake2s256', 'ripemd160', 'sm3'].map(mac),
    ...['ARIA', 'CAMELLIA'].flatMap((cipher) =>
      [128, 192, 256].map((bits) => pbes2Row(`${cipher}-${bits}-CBC`)),
    ),
    pbes2Row('SM4-CBC'),
    ['an empty password, SHA-512 MAC', 'P-256', '', ['-macalg', 'sha512']],
    ['a password in UTF-8, SHA-384 MAC', 'P-256', 'Łódź 世界 🔑', ['-macalg', 'sha384']],
  ];
  const legacyRows: typeof rows = [
    ['-legacy: RC2-40 and 3DES', 'rsa', 'secret', ['-legacy']],
    ['-legacy with an empty password', 'P-256', '', ['-legacy']],
    ['-legacy with a password in UTF-8', 'P-256', 'Łódź 世界 🔑', ['-legacy', '-macalg', 'sha256']],
    ['RC2-128', 'P-256', 'secret', legacy('PBE-SHA1-RC2-128')],
    ['RC2-40', 'P-256', 'secret', legacy('PBE-SHA1-RC2-40')],
    ['RC4-128', 'P-256', 'secret', legacy('PBE-SHA1-RC4-128')],
    ['RC4-40', 'P-256', 'secret', legacy('PBE-SHA1-RC4-40')],
    ['3DES with 3 keys', 'P-256', 'secret', legacy('PBE-SHA1-3DES')],
    ['3DES with 2 keys', 'P-256', 'secret', legacy('PBE-SHA1-2DES')],
    ['RC2 in PBES2', 'P-256', 'secret', legacy('RC2-CBC')],
    ['RC2-40 in PBES2', 'P-256', 'secret', legacy('RC2-40-CBC')],
    ['DES in PBES2', 'P-256', 'secret', legacy('DES-CBC')],
    ['PBES1: MD5 and DES', 'P-256', 'secret', legacy('PBE-MD5-DES')],
    ['PBES1: SHA-1 and DES', 'P-256', 'pässword', legacy('PBE-SHA1-DES')],
    ['PBES1: MD5 and RC2', 'P-256', 'secret', legacy('PBE-MD5-RC2-64')],
    ['PBES1: SHA-1 and RC2', 'P-256', 'secret', legacy('PBE-SHA1-RC2-64')],
  ];

  it.each([...rows, ...(hasLegacy ? legacyRows : [])])('%s', (_, key, password, options) => {
    const issued = person(key);
    const bytes = exported(key, password, options);
    const allowNoMac = options.includes('-nomac');
    const { entries, certificates, skipped } = readPfx(bytes, password, { allowNoMac });
    expect(skipped).toEqual([]);
    expect(entries).toHaveLength(1);
    expect(certificates.map(({ der }) => toHex(der))).toEqual([toHex(ca.certificate)]);
    const [entry] = entries;
    expect(toHex(entry?.certificate?.der as Uint8Array)).toBe(toHex(issued.certificate));
    expect(entry?.friendlyName).toBe('Schlüssel');
    expect(entry?.localKeyId).toHaveLength(20);
    const { privateKey } = entry as NonNullable<typeof entry>;
    if (key === 'x25519') {
      expect(toHex(privateKey.toPkcs8())).toBe(toHex(issued.privateKey));
      return;
    }
    const digest = key === 'ed25519' ? null : 'sha256';
    const theirs = createPublicKey(readFileSync(file(`${key}.crt`)));
    expect(verify(digest, DATA, theirs, sign(digest, DATA, privateKey.keyObject))).toBe(true);
  });

  const prf = (hash: string) => ['-v2', 'aes-256-cbc', '-v2prf', `hmacWith${hash}`];
  const v2 = (cipher: string) => ['-v2', cipher, '-v2prf', 'hmacWithSHA512'];
  const keyRows: [string, string[]][] = [
    ...['MD5', 'SHA1', 'SHA224', 'SHA256', 'SHA384', 'SHA512', 'SHA512-224', 'SHA512-256'].map(
      (hash): [string, string[]] => [`HMAC-${hash}`, prf(hash)],
    ),
    ['3DES, HMAC-SHA512', v2('des-ede3-cbc')],
    ['Camellia, HMAC-SHA512', v2('camellia-192-cbc')],
    ['scrypt', ['-scrypt']],
    [
      'scrypt with other parameters',
      ['-v2', 'aria-128-cbc', '-scrypt', '-scrypt_N', '1024', '-scrypt_r', '3', '-scrypt_p', '5'],
    ],
  ];
  const legacyKeyRows: typeof keyRows = [
    [
      'DES, HMAC-SHA384',
      ['-provider', 'legacy', '-provider', 'default', '-v2', 'des-cbc', '-v2prf', 'hmacWithSHA384'],
    ],
    [
      'RC2, HMAC-SHA384',
      ['-provider', 'legacy', '-provider', 'default', '-v2', 'rc2-cbc', '-v2prf', 'hmacWithSHA384'],
    ],
    [
      'RC2-40, HMAC-MD5',
      ['-provider', 'legacy', '-provider', 'default', '-v2', 'rc2-40-cbc', '-v2prf', 'hmacWithMD5'],
    ],
  ];
  it.each([...keyRows, ...(hasLegacy ? legacyKeyRows : [])])(
    'a key that openssl pkcs8 encrypts: %s',
    (_, options) => {
      const password = 'pässword';
      const { privateKey, certificate } = person('P-256');
      const encrypted = opensslOut([
        'pkcs8',
        '-topk8',
        '-outform',
        'DER',
        '-passout',
        `pass:${password}`,
        '-in',
        file('P-256.key'),
        ...options,
      ]);
      const bags = [certBag(certificate), bag(OID.pkcs8ShroudedKeyBag, encrypted)];
      const { entries } = readPfx(pfx({ safes: [safe(bags)], password }), password);
      expect(entries.map((entry) => toHex(entry.privateKey.toPkcs8()))).toEqual([toHex(privateKey)]);
    },
  );

  it.skipIf(!hasLegacy).each(['SEED-CBC', 'CAST5-CBC'])(
    '%s, if Node.js has the legacy provider',
    (cipher) => {
      const bytes = exported('P-256', 'secret', legacy(cipher));
      expect(() => readPfx(bytes, 'secret')).toThrow(
        expect.objectContaining({
          code: 'UNSUPPORTED_ALGORITHM',
          message: expect.stringContaining('node --openssl-legacy-provider'),
        }),
      );
      const program = `import { readFileSync } from 'node:fs';
      import { readPfx } from './src/pfx/read.ts';
      const [entry] = readPfx(readFileSync(process.env.PFX), 'secret').entries;
      console.log(Buffer.from(entry.privateKey.toPkcs8()).toString('hex'));`;
      const options = ['--openssl-legacy-provider', '--import', 'tsx', '--input-type=module', '-e', program];
      const opened = execFileSync(process.execPath, options, {
        cwd: fileURLToPath(new URL('..', import.meta.url)),
        env: { ...process.env, NODE_OPTIONS: '', PFX: file('out.p12') },
        encoding: 'utf8',
      });
      expect(opened.trim()).toBe(toHex(person('P-256').privateKey));
    },
  );

  it('opens what the test writer makes', () => {
    const password = 'Łódź 🔑';
    const { privateKey, certificate } = person('P-256');
    const safes = [
      encryptedSafe([certBag(certificate)], password),
      safe([shroudedKeyBag(privateKey, password)]),
    ];
    const shown = opensslOut(
      ['pkcs12', '-noenc', '-passin', `pass:${password}`],
      pfx({ safes, password, macIterations: 3 }),
    );
    expect(shown.toString()).toContain('BEGIN PRIVATE KEY');
    expect(shown.toString()).toContain('BEGIN CERTIFICATE');
  });
});
