/** `mailseal inspect`: trees against `openssl asn1parse` and a decoder of headers that is written here. */
import { createPrivateKey } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { writeDer } from '../src/asn1/write.js';
import { concat, writePem } from '../src/bytes.js';
import type { TreeNode } from '../src/cli/tree.js';
import { command, everPrinted, expectFailure, mailseal, succeed, succeedJson } from './helpers/cli.js';
import {
  ANNA_PASSWORD,
  anna,
  annaOld,
  bert,
  ca,
  ed25519Key,
  secrets,
  writeFiles,
} from './helpers/cli-files.js';
import { hasOpenssl, temporaryFolder } from './helpers/peers.js';
import { certBag, keyBag, pfx, safe } from './helpers/pfx.js';
import { readVector, vectorPath } from './helpers/vectors.js';

const folder = temporaryFolder();
const path = (name: string) => join(folder, name);
const here = { cwd: folder };

interface Inspected {
  form: string;
  parts?: { path: string; type: string; start: number; end: number }[];
  values: { name: string; tree: TreeNode }[];
  pfx?: { keys: Record<string, unknown>[]; certificates: unknown[]; skipped: string[] };
}

const inspect = (file: string) => succeedJson<Inspected>(['inspect', file], here);
const lines = async (args: string[], options = {}) =>
  (await succeed(['inspect', ...args], { ...here, ...options })).stdout.toString().trimEnd().split('\n');

/** All values in document order; those that strings hold only if asked for. */
function flatten(tree: TreeNode, opened: boolean): TreeNode[] {
  const inside = opened || !/^(?:OCTET|BIT) STRING$/.test(tree.type) ? (tree.children ?? []) : [];
  return [tree, ...inside.flatMap((child) => flatten(child, opened))];
}

/** Length of the header and of the content by the octets at `at` (X.690 8.1.3), definite lengths only. */
function header(octets: Uint8Array, at: number): { headerLength: number; length: number } {
  let i = at + 1;
  if (((octets[at] as number) & 31) === 31) while ((octets[i++] as number) & 128);
  const first = octets[i++] as number;
  if (first < 128) return { headerLength: i - at, length: first };
  let length = 0;
  for (let n = first & 127; n > 0; n--) length = length * 256 + (octets[i++] as number);
  return { headerLength: i - at, length };
}

const tlv = (identifier: number, ...content: Uint8Array[]): Uint8Array => {
  const octets = concat(content);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(octets.length);
  return concat([Uint8Array.of(identifier, 0x84), length, octets]);
};

beforeAll(async () => {
  await writeFiles(folder);
});

describe.concurrent('trees', () => {
  const files = [
    { file: 'ca.der', read: () => ca.certificate },
    { file: 'anna.p12', read: () => readFileSync(path('anna.p12')) },
    {
      file: vectorPath('rfc9216-pem', '4.5-PKCS-12-Object-for-Alice.p12'),
      read: () => readVector('rfc9216-pem', '4.5-PKCS-12-Object-for-Alice.p12'),
    },
  ];

  it.skipIf(!hasOpenssl).each(files)(
    'of $file has the offsets and lengths that openssl asn1parse finds',
    async ({ file }) => {
      const run = await command('openssl', ['asn1parse', '-inform', 'DER', '-in', file], here);
      const expected = [...run.stdout.toString().matchAll(/^ *(\d+):d=\d+ +hl=(\d+) +l= *(\d+)/gm)].map(
        (row) => row.slice(1).map(Number),
      );
      expect(expected.length).toBeGreaterThan(10);
      const { form, values } = await inspect(file);
      expect(form).toBe('DER');
      const ours = flatten((values[0] as { tree: TreeNode }).tree, false);
      expect(ours.map(({ offset, headerLength, length }) => [offset, headerLength, length])).toEqual(
        expected,
      );
    },
  );

  it.each(files)('of $file counts offsets in the file within opened strings too', async ({ file, read }) => {
    const octets = read();
    const { values } = await inspect(file);
    const tree = (values[0] as { tree: TreeNode }).tree;
    const all = flatten(tree, true);
    expect(all.length).toBeGreaterThan(flatten(tree, false).length);
    for (const { offset, headerLength, length } of all) {
      expect({ headerLength, length }).toEqual(header(octets, offset));
    }
  });

  it('of BER shows indefinite lengths and segmented strings', async () => {
    writeFileSync(
      path('indefinite.ber'),
      Buffer.from('3080248004020102040103000002010500000a', 'hex').subarray(0, 18),
    );
    expect(await lines(['indefinite.ber'])).toEqual([
      '      0  2+14 indefinite SEQUENCE',
      '      2  2+7 indefinite   OCTET STRING',
      '      4  2+2           OCTET STRING 0102',
      '      8  2+1           OCTET STRING 03',
      '     13  2+1         INTEGER 5',
    ]);
    expect((await inspect('indefinite.ber')).form).toBe('BER');
  });

  it('decode every type, shorten what is long, and say what is wrong with a value', async () => {
    const value = writeDer((w) =>
      w.sequence((w) => {
        w.boolean(true);
        w.integer(-129);
        w.raw(Buffer.from('020900ffffffffffffffff', 'hex'));
        w.raw(Buffer.from('0a0102', 'hex'));
        w.null();
        w.oid(OID.sha256);
        w.raw(Buffer.from('06032a0304', 'hex'));
        w.bitString(Uint8Array.of(0b10100000), 5);
        w.octets(new Uint8Array(40));
        w.utf8('é "quoted" \u0007');
        w.bmp('ü');
        w.printable('x'.repeat(200));
        w.time(new Date('2026-01-31T12:00:00Z'));
        w.raw(Buffer.from('17023030', 'hex'));
        w.raw(Buffer.from('010200ff', 'hex'));
        w.raw(Buffer.from('1f8148020102', 'hex'));
        w.implicit(3, Uint8Array.of(1));
      }),
    );
    writeFileSync(path('types.der'), value);
    const shown = (await lines(['types.der'])).map((line) => line.slice(19).trim());
    expect(shown).toEqual([
      'SEQUENCE',
      'BOOLEAN TRUE',
      'INTEGER -129',
      'INTEGER 00ffffffffffffffff',
      'ENUMERATED 2',
      'NULL',
      'OBJECT IDENTIFIER sha256 (2.16.840.1.101.3.4.2.1)',
      'OBJECT IDENTIFIER 1.2.3.4',
      'BIT STRING a0 (5 unused bits)',
      `OCTET STRING ${'00'.repeat(32)}… (40 octets)`,
      String.raw`UTF8String "é \"quoted\" \u0007"`,
      'BMPString "ü"',
      `PrintableString "${'x'.repeat(120)}"… (200 characters)`,
      'UTCTime 2026-01-31T12:00:00.000Z',
      expect.stringMatching(/^UTCTime 3030 \(ASN1_BAD_VALUE: .*\)$/),
      expect.stringMatching(/^BOOLEAN 00ff \(ASN1_BAD_VALUE: .*\)$/),
      expect.stringMatching(/200.* 0102$/),
      expect.stringMatching(/3.* 01$/),
    ]);
  });
});

describe.concurrent('what a file is, is told by its content', () => {
  it('PEM: every block, with text between them and in front', async () => {
    // As openssl x509 -text writes it: like a mail's header field.
    const text = `Certificate:\n    Data:\n        Version: 3 (0x2)\n${readFileSync(path('ca.pem'), 'latin1')}`;
    writeFileSync(
      path('bundle.pem'),
      `${text}\nBag Attributes\n    friendlyName: x\n${readFileSync(path('anna.pem'), 'latin1')}`,
    );
    const { form, values } = await inspect('bundle.pem');
    expect(form).toBe('PEM');
    expect(values.map(({ name, tree }) => [name, tree.type, tree.offset])).toEqual([
      ['CERTIFICATE', 'SEQUENCE', 0],
      ['CERTIFICATE', 'SEQUENCE', 0],
    ]);
    expect((await lines(['bundle.pem'])).filter((line) => line === 'CERTIFICATE:')).toHaveLength(2);
  });

  it('mail: its parts, and the CMS object; also from standard input, and behind a From line of a mailbox', async () => {
    const signed = await inspect('signed.eml');
    expect(signed.parts?.map(({ path, type }) => [path, type])).toEqual([
      ['', 'multipart/signed'],
      ['1', 'text/plain'],
      ['2', 'application/pkcs7-signature'],
    ]);
    const octets = readFileSync(path('signed.eml'), 'latin1');
    const part = signed.parts?.[1] as { start: number; end: number };
    expect(octets.slice(part.start, part.end)).toMatch(/^Content-Type: text\/plain[\s\S]*closed\.\r\n$/);
    expect(signed.values.map(({ name }) => name)).toEqual(['multipart-signed']);
    const encrypted = await lines(['-'], { input: readFileSync(path('to-anna-old.eml')) });
    expect(encrypted[0]).toMatch(/^message {2}application\/pkcs7-mime, base64, octets 0 to \d+$/);
    expect(encrypted.join('\n')).toContain('envelopedData (1.2.840.113549.1.7.3)');
    const mbox = `From anna@example.org Sat Jan  3 01:05:34 1996\n${readFileSync(path('mail.eml'), 'latin1')}`;
    expect((await lines(['-'], { input: mbox }))[0]).toMatch(/^message {2}text\/plain, 7bit/);
  });

  it('mail as transport leaves it: binary with line ends around the object, base64 without its label', async () => {
    const object = readFileSync(path('to-anna-old.eml'), 'latin1').split('\r\n\r\n')[1] as string;
    const der = Buffer.from(object, 'base64');
    const header = 'From: a@b.example\r\nContent-Type: application/pkcs7-mime; name=smime.p7m\r\n';
    for (const input of [
      concat([
        Buffer.from(`${header}Content-Transfer-Encoding: binary\r\n\r\n\r\n`),
        der,
        Buffer.from('\r\n'),
      ]),
      Buffer.from(`${header}\r\n${object}`),
    ]) {
      const [, name, first] = await lines(['-'], { input });
      expect(name).toBe('pkcs7-mime:');
      expect(first?.split(/ +/)).toEqual(['', '0', `4+${der.length - 4}`, 'SEQUENCE']);
    }
  });

  it('mail with PEM in it is mail', async () => {
    const input = concat([readFileSync(path('mail.eml')), readFileSync(path('ca.pem'))]);
    expect(await lines(['-'], { input })).toEqual([`message  text/plain, 7bit, octets 0 to ${input.length}`]);
  });

  it('DER whose first octets are `0:` is no mail', async () => {
    const input = concat([Buffer.from('303a0c38', 'hex'), Buffer.alloc(56, 'A')]);
    expect((await lines(['-'], { input }))[0]).toBe('      0  2+58      SEQUENCE');
  });

  it('a PFX: without a password as far as it is not encrypted, with one its keys and certificates', async () => {
    expect((await inspect('anna.p12')).pfx).toBeUndefined();
    const env = { MAILSEAL_PASSWORD: ANNA_PASSWORD };
    const withPassword = await lines(['anna.p12', '--password-file', 'anna.pw']);
    expect(await lines(['anna.p12'], { env })).toEqual(withPassword);
    expect(withPassword.slice(-2)).toEqual([
      expect.stringMatching(
        /^key "mail key": rsa, of CN=Anna \(serial [0-9a-f]+, 2022-12-01 to 2040-01-01\)$/,
      ),
      expect.stringMatching(/^certificate: CN=Test CA \(serial /),
    ]);
    writeFileSync(path('anna-p12.pem'), writePem('PKCS12', readFileSync(path('anna.p12'))));
    for (const file of ['anna.p12', 'anna-p12.pem']) {
      const report = await succeedJson<Inspected>(['inspect', file], { ...here, env });
      expect(report.pfx).toMatchObject({
        keys: [{ algorithm: 'rsa', friendlyName: 'mail key', certificate: { subject: 'CN=Anna' } }],
        certificates: [{ subject: 'CN=Test CA' }],
        skipped: [],
      });
    }
    expectFailure(
      await mailseal(['inspect', 'anna.p12', '--password-file', 'bert.pw'], here),
      'PFX_WRONG_PASSWORD',
    );
  });

  it('a PFX with a broken certificate shows the others', async () => {
    const broken = Uint8Array.from(anna.certificate);
    broken.set(Buffer.from('99'), Buffer.from(broken).indexOf('400101') + 2); // notAfter's month
    writeFileSync(
      path('broken.p12'),
      pfx({ safes: [safe([certBag(broken), certBag(ca.certificate)])], password: '' }),
    );
    const shown = await lines(['broken.p12'], { env: { MAILSEAL_PASSWORD: '' } });
    expect(shown.slice(-2)).toEqual([
      expect.stringMatching(/^certificate: a certificate that can't be read: /),
      expect.stringMatching(/^certificate: CN=Test CA/),
    ]);
  });
});

describe.concurrent('private keys are not shown', () => {
  const keyObject = (pkcs8: Uint8Array) =>
    createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' });
  const rows: { name: string; write: () => string | Uint8Array }[] = [
    { name: 'PKCS#8, RSA', write: () => writePem('PRIVATE KEY', anna.privateKey) },
    { name: 'PKCS#8 in DER, EC', write: () => bert.privateKey },
    { name: 'PKCS#8, Ed25519', write: () => writePem('PRIVATE KEY', ed25519Key) },
    { name: 'PKCS#1', write: () => keyObject(annaOld.privateKey).export({ format: 'pem', type: 'pkcs1' }) },
    { name: 'SEC 1', write: () => keyObject(bert.privateKey).export({ format: 'pem', type: 'sec1' }) },
    { name: 'a PFX that is not encrypted', write: () => pfx({ safes: [safe([keyBag(bert.privateKey)])] }) },
    { name: 'a key in an OCTET STRING', write: () => writeDer((w) => w.octets(bert.privateKey)) },
  ];

  it.each(rows)('$name', async ({ name, write }) => {
    const file = name.replaceAll(/\W/g, '-');
    writeFileSync(path(file), write());
    for (const args of [[file], [file, '--json']]) {
      expect((await succeed(['inspect', ...args], here)).stdout.toString()).toContain(
        '(private key, not shown)',
      );
    }
  });
});

describe.concurrent('bad and large input', () => {
  const nested = (identifier: number, depth: number, core: Uint8Array) => {
    let value = core;
    for (let i = 0; i < depth; i++) value = tlv(0x30, tlv(identifier, value));
    return value;
  };
  const bad: { name: string; input: () => Uint8Array | string; code: string }[] = [
    { name: 'nothing', input: () => '', code: 'ASN1_TRUNCATED' },
    {
      name: 'garbage',
      input: () => Uint8Array.of(0x9f, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1),
      code: 'ASN1_BAD_TAG',
    },
    {
      name: 'a length beyond the input',
      input: () => Buffer.from('3084ffffffff0201', 'hex'),
      code: 'ASN1_TRUNCATED',
    },
    {
      name: 'octets behind the value',
      input: () => Buffer.from('050000', 'hex'),
      code: 'ASN1_TRAILING_DATA',
    },
    {
      name: 'a megabyte of nesting',
      input: () => Buffer.from('3080'.repeat(1 << 19), 'hex'),
      code: 'LIMIT_DEPTH',
    },
    {
      name: 'a megabyte of BEGIN lines',
      input: () => '-----BEGIN A-----\n'.repeat(60_000),
      code: 'PEM_MALFORMED',
    },
    {
      name: 'a megabyte of body parts',
      input: () => `Content-Type: multipart/mixed; boundary=x\n\n${'--x\n\n'.repeat(200_000)}`,
      code: 'LIMIT_RECORDS',
    },
    {
      name: 'PEM around an encrypted key',
      input: () =>
        `-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: DES-EDE3-CBC,00\n\n${'/'.repeat(64)}\n-----END RSA PRIVATE KEY-----\n`,
      code: 'ASN1_BAD_TAG',
    },
  ];
  it.each(bad)('$name: $code', async ({ input, code }) => {
    expectFailure(await mailseal(['inspect', '-'], { ...here, input: input() }), code);
  });

  const large: { name: string; input: () => Uint8Array; rows: number }[] = [
    {
      name: 'half a million values',
      input: () => tlv(0x30, Buffer.from('3000'.repeat(1 << 19), 'hex')),
      rows: 524_289,
    },
    { name: 'one long string', input: () => tlv(0x04, new Uint8Array(1 << 20)), rows: 1 },
    {
      name: 'strings in strings, opened to a depth',
      input: () => nested(0x04, 25, tlv(0x30, new Uint8Array(1 << 20))),
      rows: 18,
    },
    {
      name: 'a long OBJECT IDENTIFIER',
      input: () => tlv(0x06, new Uint8Array(1 << 20).fill(0x81).fill(1, (1 << 20) - 1)),
      rows: 1,
    },
    { name: 'nesting to the limit', input: () => nested(0x30, 31, Buffer.from('3000', 'hex')), rows: 63 },
  ];
  it.each(large)(
    '$name in linear time',
    async ({ input, rows }) => {
      const run = await succeed(['inspect', '-'], { ...here, input: input() });
      expect(run.stdout.toString().match(/\n/g)).toHaveLength(rows);
    },
    60_000, // far more than what is linear takes on a busy machine
  );
});

describe('afterwards', () => {
  it('no secret was ever printed', () => {
    expect(everPrinted(secrets())).toEqual([]);
  });
});
