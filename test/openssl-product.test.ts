/**
 * Both directions with `openssl cms` for every combination that it has: signature × digest × form × options, and recipient ×
 * content cipher × form, through `sign`, `verify`, `encrypt` and `decrypt`. What it does not have is named at the end, and
 * must be on a list here, so that nothing is left out by mistake. Curves and salts beyond these: cms-signed-peers,
 * cms-recipients-peers, cms-oaep; gpgsm: smime.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { parseDer } from '../src/asn1/tape.js';
import { writeDer } from '../src/asn1/write.js';
import { fromHex, toHex, utf8, writePem } from '../src/bytes.js';
import { encryptData } from '../src/cms/enveloped.js';
import { type OaepHash, writeKeyTransport } from '../src/cms/keytransport.js';
import { keyRing } from '../src/cms/recipients.js';
import { signData } from '../src/cms/signed.js';
import { type DecryptOptions, decrypt, type EncryptOptions, encrypt, sign } from '../src/smime/message.js';
import { verify } from '../src/smime/verify.js';
import { hasOpenssl, opensslMany, opensslOut, temporaryFolder } from './helpers/peers.js';
import { type KeyKind, type Person, person } from './helpers/pki.js';

const ENTITY = 'Content-Type: text/plain\r\n\r\nBoth ways.\r\n';
const MAIL = utf8(`From: a@b.example\r\n${ENTITY}`);
const folder = hasOpenssl ? temporaryFolder() : '';
const file = (name: string) => join(folder, name);

const ca = person({ subject: 'CA', ca: true });
const trust = [ca.certificate];
const people = new Map<string, Person>();
const one = (name: string) => people.get(name) as Person;
const keysOf = (name: string) => ['-inkey', file(`${name}.key`)];

function add(name: string, key: KeyKind | Uint8Array): void {
  const made = person({ subject: name, emails: ['a@b.example'], key, issuer: ca.issued });
  writeFileSync(file(`${name}.key`), writePem('PRIVATE KEY', made.issued.privateKey));
  writeFileSync(file(`${name}.crt`), writePem('CERTIFICATE', made.issued.certificate));
  people.set(name, made);
}

beforeAll(() => {
  if (!hasOpenssl) return;
  writeFileSync(file('ca.crt'), writePem('CERTIFICATE', ca.issued.certificate));
  writeFileSync(file('crlf'), ENTITY);
  writeFileSync(file('lf'), ENTITY.replaceAll('\r\n', '\n'));
  for (const kind of ['rsa', 'P-256', 'P-384', 'P-521', 'ed25519', 'ed448', 'x25519', 'x448'] as const) {
    add(kind, kind);
  }
  add('pss', opensslOut(['genpkey', '-algorithm', 'RSA-PSS', '-outform', 'DER']));
});

/** What was counted, and what OpenSSL does not have: whole combinations, or the part of their name that says why. */
const counts: string[] = [];
const missing = new Map<string, number>();
afterAll(() => {
  if (!hasOpenssl) return;
  const version = opensslOut(['version']).toString().trim();
  const lines = [...missing].map(
    ([what, count]) => `  ${what}${count > 1 ? ` (${count} combinations)` : ''}`,
  );
  console.log([`With ${version}:`, ...counts, 'It has no', ...lines].join('\n'));
});

/** Why openssl may refuse a combination: what is named so. */
type Gap = readonly [name: RegExp, why: string];

interface Theirs {
  name: string;
  args: string[];
  input?: Uint8Array;
  read: (message: Uint8Array) => Promise<void>;
}

/** Runs openssl on each, and reads what it made; what it refuses has to be a known gap. */
async function readTheirs(what: string, rows: readonly Theirs[], gaps: readonly Gap[]): Promise<void> {
  const results = await opensslMany(rows);
  let count = 0;
  for (const [i, { status, stdout, stderr }] of results.entries()) {
    const { name, read } = rows[i] as Theirs;
    if (status !== 0 || stdout.length === 0) {
      const gap = gaps.find(([pattern]) => pattern.test(name))?.[1];
      if (gap === undefined) throw new Error(`${name}: ${stderr}`);
      missing.set(gap, (missing.get(gap) ?? 0) + 1);
      continue;
    }
    try {
      await read(stdout);
    } catch (error) {
      throw new Error(`${name}: ${error}`, { cause: error });
    }
    count++;
  }
  counts.push(`${what}: ${count} combinations`);
}

interface Ours {
  name: string;
  args: string[];
  input: Uint8Array;
}

async function readOurs(what: string, rows: readonly Ours[], gaps: readonly Gap[] = []): Promise<void> {
  const results = await opensslMany(rows);
  let count = 0;
  for (const [i, { status, stdout, stderr }] of results.entries()) {
    const { name } = rows[i] as Ours;
    const gap = gaps.find(([pattern]) => pattern.test(name))?.[1];
    if (status !== 0 && gap !== undefined) missing.set(gap, (missing.get(gap) ?? 0) + 1);
    else {
      expect(status, `${name}: ${stderr}`).toBe(0);
      expect(stdout.toString().replaceAll('\r\n', '\n'), name).toBe(ENTITY.replaceAll('\r\n', '\n'));
      count++;
    }
  }
  counts.push(`${what}: ${count} combinations`);
}

/** Signers: whose key, what more openssl is told of it, and how we sign with it. */
const SIGNERS: readonly [name: string, who: string, keyopt: string[], scheme?: 'rsassa-pss'][] = [
  ['RSASSA-PKCS1-v1_5', 'rsa', []],
  ['RSASSA-PSS', 'rsa', ['-keyopt', 'rsa_padding_mode:pss'], 'rsassa-pss'],
  ['an RSASSA-PSS key', 'pss', ['-keyopt', 'rsa_padding_mode:pss']],
  ['P-256', 'P-256', []],
  ['P-384', 'P-384', []],
  ['P-521', 'P-521', []],
];
const DIGESTS = ['sha1', 'sha224', 'sha256', 'sha384', 'sha512'];
const SIGN_FORMS: readonly [name: string, args: string[]][] = [
  ['clear', []],
  ['clear, from LF', ['-in', file('lf')]],
  ['clear, with -crlfeol', ['-crlfeol', '-binary']],
  ['opaque', ['-nodetach']],
  ['detached DER', ['-outform', 'DER', '-binary']],
  ['attached DER', ['-outform', 'DER', '-nodetach', '-binary']],
  ['detached PEM', ['-outform', 'PEM', '-binary']],
  ['attached PEM', ['-outform', 'PEM', '-nodetach']],
];
const SIGN_OPTIONS = [[], ['-nosmimecap'], ['-keyid'], ['-noattr'], ['-stream'], ['-cades', '-nocerts']];

describe.skipIf(!hasOpenssl)('signatures', () => {
  it('we verify what openssl signs', async () => {
    const rows = SIGNERS.flatMap(([name, who, keyopt]) =>
      DIGESTS.flatMap((digest) =>
        SIGN_FORMS.flatMap(([form, formArgs]) =>
          SIGN_OPTIONS.map((options): Theirs => {
            const key = ['-signer', file(`${who}.crt`), ...keysOf(who), ...keyopt];
            const input = formArgs.includes('-in') ? [] : ['-in', file('crlf')];
            const verifying = {
              trust,
              allowSha1: true,
              ...(form.startsWith('detached') && { content: utf8(ENTITY) }),
              ...(options.includes('-nocerts') && { certificates: [one(who).certificate] }),
            };
            return {
              name: `${name}, ${digest}, ${form} ${options.join(' ')}`,
              args: ['cms', '-sign', '-md', digest, ...input, ...formArgs, ...options, ...key],
              read: async (message) => {
                const verdict = await verify(message, verifying);
                expect(verdict.problems).toEqual([]);
                expect(verdict.valid).toBe(true);
                expect(Buffer.from(verdict.content).toString()).toBe(ENTITY);
                // With -stream, DER and PEM have the content in them whatever is asked for.
                const attached =
                  /attached|opaque/.test(form) || (options.includes('-stream') && !form.startsWith('clear'));
                expect(verdict.detached).toBe(!attached);
                const [signer] = verdict.signers;
                expect(signer).toMatchObject({ digest, weak: digest === 'sha1' });
                expect((signer?.signedAttributes ?? []).length === 0).toBe(options.includes('-noattr'));
              },
            };
          }),
        ),
      ),
    );
    await readTheirs('signed by openssl', rows, [[/PSS.*-stream/, 'RSASSA-PSS with -stream']]);
  }, 300_000);

  it('openssl verifies what we sign', async () => {
    const rows: Ours[] = [];
    for (const [name, who, , scheme] of SIGNERS) {
      for (const digest of ['sha256', 'sha384', 'sha512'] as const) {
        for (const signerIdentifier of ['issuerAndSerialNumber', 'subjectKeyIdentifier'] as const) {
          const signers = [{ ...one(who), digest, ...(scheme && { scheme }) }];
          const common = { signers, signerIdentifier };
          const row = (form: string, input: Uint8Array | string, ...args: string[]) =>
            rows.push({
              name: `${name}, ${digest}, ${signerIdentifier}, ${form}`,
              args: ['cms', '-verify', '-cades', '-CAfile', file('ca.crt'), ...args],
              input: typeof input === 'string' ? utf8(input) : input,
            });
          row('clear', await sign(MAIL, common));
          row('opaque', await sign(MAIL, { ...common, detached: false }));
          const attached = signData(utf8(ENTITY), common);
          const detached = signData(utf8(ENTITY), { ...common, detached: true });
          const content = ['-binary', '-content', file('crlf')];
          row('DER', attached, '-inform', 'DER');
          row('detached DER', detached, '-inform', 'DER', ...content);
          row('PEM', writePem('CMS', attached), '-inform', 'PEM');
          row('detached PEM', writePem('CMS', detached), '-inform', 'PEM', ...content);
        }
      }
    }
    await readOurs('signed by us', rows);
  }, 300_000);

  it('Ed25519 and Ed448', async () => {
    const who = ['ed25519', 'ed448'];
    const theirs = who.map((name): Theirs => {
      const key = ['-signer', file(`${name}.crt`), ...keysOf(name)];
      return {
        name,
        args: ['cms', '-sign', '-in', file('crlf'), ...key],
        read: async (message) => expect((await verify(message, { trust })).problems).toEqual([]),
      };
    });
    const ours = await Promise.all(
      who.map(async (name) => ({
        name,
        args: ['cms', '-verify', '-CAfile', file('ca.crt')],
        input: await sign(MAIL, { signers: [one(name)] }),
      })),
    );
    const gaps: Gap[] = [[/^ed/, 'Ed25519 and Ed448 (Bouncy Castle has them: cms-signed-peers)']];
    await readTheirs('Ed25519, Ed448 by openssl', theirs, gaps);
    await readOurs('Ed25519, Ed448 by us', ours, gaps);
  });
});

const X_CURVES = 'X25519 and X448 (nor has Bouncy Castle 1.72; RFC 9216’s object and Wycheproof stand alone)';

const CIPHERS: readonly [name: string, option: string][] = [
  ['aes128-cbc', '-aes128'],
  ['aes192-cbc', '-aes192'],
  ['aes256-cbc', '-aes256'],
  ['des-ede3-cbc', '-des3'],
  ['aes128-gcm', '-aes-128-gcm'],
  ['aes192-gcm', '-aes-192-gcm'],
  ['aes256-gcm', '-aes-256-gcm'],
];
const FORMS: readonly (readonly string[])[] = [[], ['-stream'], ['-outform', 'DER'], ['-outform', 'PEM']];

/** Recipients: what openssl is told before and behind the cipher, and with what we open it. */
interface TheirRecipient {
  name: string;
  args: string[];
  by: () => DecryptOptions;
}

const ring = (who: string) => (): DecryptOptions => ({ keys: keyRing({ entries: [one(who)] }) });
const keyIdentifier = fromHex('deadbeef');
const sharedKey = (length: number) => ({ keyIdentifier, key: new Uint8Array(length).fill(length) });

function theirRecipients(): TheirRecipient[] {
  const keyopt = (options: string[]) => options.flatMap((option) => ['-keyopt', option]);
  const list: TheirRecipient[] = [
    { name: 'RSAES-PKCS1-v1_5', args: ['-recip', file('rsa.crt')], by: ring('rsa') },
    {
      name: 'RSAES-PKCS1-v1_5 by key identifier',
      args: ['-keyid', '-recip', file('rsa.crt')],
      by: ring('rsa'),
    },
    { name: 'a password', args: ['-pwri_password', 'pw'], by: () => ({ passwords: ['pw'] }) },
  ];
  for (const hash of DIGESTS) {
    for (const mask of DIGESTS) {
      const options = ['rsa_padding_mode:oaep', `rsa_oaep_md:${hash}`, `rsa_mgf1_md:${mask}`];
      const args = ['-recip', file('rsa.crt'), ...keyopt(options)];
      list.push({ name: `RSAES-OAEP, ${hash}, MGF1 with ${mask}`, args, by: ring('rsa') });
    }
    for (const curve of ['P-256', 'P-384', 'P-521']) {
      for (const wrap of ['-aes128-wrap', '-aes192-wrap', '-aes256-wrap', '-des3-wrap']) {
        const args = [wrap, '-recip', file(`${curve}.crt`), ...keyopt([`ecdh_kdf_md:${hash}`])];
        list.push({ name: `${curve}, ${hash}, ${wrap}`, args, by: ring(curve) });
      }
    }
  }
  for (const length of [16, 24, 32]) {
    const args = ['-secretkey', toHex(sharedKey(length).key), '-secretkeyid', 'deadbeef'];
    const by = () => ({ sharedKeys: [sharedKey(length)] });
    list.push({ name: `a shared key of ${length} octets`, args, by });
  }
  for (const curve of ['x25519', 'x448']) {
    list.push({ name: curve, args: ['-recip', file(`${curve}.crt`)], by: ring(curve) });
  }
  return list;
}

describe.skipIf(!hasOpenssl)('encryption', () => {
  it('we decrypt what openssl encrypts', async () => {
    let form = 0;
    const rows = theirRecipients().flatMap(({ name, args, by }) =>
      CIPHERS.map(([cipher, option]): Theirs => {
        const formArgs = FORMS[form++ % FORMS.length] as readonly string[];
        const command = ['cms', '-encrypt', '-binary', '-in', file('crlf'), option, ...formArgs];
        return {
          name: `${name}, ${cipher} ${formArgs.join(' ')}`,
          args: [...command, ...args],
          read: async (message) => {
            const opened = await decrypt(message, by());
            expect(Buffer.from(opened.content).toString()).toBe(ENTITY);
            expect(opened.cipher).toBe(cipher);
            expect(opened.integrity).toBe(cipher.endsWith('gcm') ? 'tag' : 'none');
            expect(opened.remarks).toEqual([]);
          },
        };
      }),
    );
    await readTheirs('encrypted by openssl', rows, [
      [/^a password.*-gcm/, 'password recipients of AES-GCM: it takes the content cipher for PWRI-KEK'],
      [/^x(25519|448)/, X_CURVES],
    ]);
  }, 300_000);

  it('openssl decrypts what we encrypt', async () => {
    const parametersOf = (hash: OaepHash) =>
      parseDer(writeDer((w) => writeKeyTransport(w, 'rsaes-oaep', hash))).children[1]?.bytes as Uint8Array;
    const reads = (hash: OaepHash): Partial<EncryptOptions> => {
      const capabilities = [{ oid: OID.rsaesOaep, parameters: parametersOf(hash) }];
      const said = { capabilities, signingTime: new Date('2026-01-01') };
      return { recipients: [{ certificate: one('rsa').certificate, capabilities: said }] };
    };
    const certificate = (who: string) => ['-recip', file(`${who}.crt`), ...keysOf(who)];
    const to = (who: string): Partial<EncryptOptions> => ({ recipients: [one(who).certificate] });
    const byKeyIdentifier = { recipientIdentifier: 'subjectKeyIdentifier' } as const;
    const recipients: [name: string, options: Partial<EncryptOptions>, args: string[]][] = [
      ['RSAES-PKCS1-v1_5', to('rsa'), certificate('rsa')],
      ['RSAES-PKCS1-v1_5 by key identifier', { ...to('rsa'), ...byKeyIdentifier }, certificate('rsa')],
      ...(['sha1', 'sha256', 'sha384', 'sha512'] as const).map((hash): (typeof recipients)[number] => [
        `RSAES-OAEP, ${hash}`,
        reads(hash),
        certificate('rsa'),
      ]),
      ...['P-256', 'P-384', 'P-521'].flatMap((curve): typeof recipients => [
        [curve, to(curve), certificate(curve)],
        [`${curve} by key identifier`, { ...to(curve), ...byKeyIdentifier }, certificate(curve)],
      ]),
      ...[16, 24, 32].map((length): (typeof recipients)[number] => {
        const args = ['-secretkey', toHex(sharedKey(length).key), '-secretkeyid', 'deadbeef'];
        return [`a shared key of ${length} octets`, { sharedKeys: [sharedKey(length)] }, args];
      }),
      ['a password', { passwords: ['pw'] }, ['-pwri_password', 'pw']],
      ...['x25519', 'x448'].map((curve): (typeof recipients)[number] => [
        curve,
        to(curve),
        certificate(curve),
      ]),
    ];
    const ciphers = [...CIPHERS.map(([name]) => name), 'aes256-ccm', 'chacha20-poly1305'].filter(
      (name) => name !== 'des-ede3-cbc', // which is for reading only
    ) as NonNullable<EncryptOptions['cipher']>[];
    const rows: Ours[] = [];
    for (const [name, options, args] of recipients) {
      for (const cipher of ciphers) {
        const row = (form: string, input: Uint8Array, ...more: string[]) =>
          rows.push({
            name: `${name}, ${cipher}, ${form}`,
            args: ['cms', '-decrypt', '-binary', ...args, ...more],
            input,
          });
        row('mail', await encrypt(MAIL, { ...options, cipher }));
        if (options.passwords !== undefined) continue; // each derivation takes its time
        const object = encryptData(utf8(ENTITY), { ...options, cipher });
        row('DER', object, '-inform', 'DER');
        row('PEM', utf8(writePem('CMS', object)), '-inform', 'PEM');
      }
    }
    await readOurs('encrypted by us', rows, [
      [/ccm|chacha20/, 'AES-CCM and ChaCha20-Poly1305 (Bouncy Castle has them: cms-recipients-peers)'],
      [/^x(25519|448)/, X_CURVES],
    ]);
  }, 300_000);
});
