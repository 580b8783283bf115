/**
 * S/MIME as mail programs, gateways and mailing lists leave it (RFC 8551 sections 3.1 to 3.9): types that are old, wrong
 * or missing, encodings, boundaries, line ends, and footers beside what was signed. Every mail of ours in another dress.
 */
import { describe, expect, test } from 'vitest';
import { concat, latin1, utf8 } from '../src/bytes.js';
import { keyRing } from '../src/cms/recipients.js';
import { signData } from '../src/cms/signed.js';
import { MailsealError } from '../src/errors.js';
import { buildMultipartSigned } from '../src/smime/build.js';
import { decrypt, encrypt, sign } from '../src/smime/message.js';
import { parseEntity } from '../src/smime/mime.js';
import { type Verdict, verify } from '../src/smime/verify.js';
import { Certificate } from '../src/x509/certificate.js';
import { hasOpenssl, openssl, temporaryFolder } from './helpers/peers.js';
import { issueCertificate, person } from './helpers/pki.js';
import { cmsRows, readVector } from './helpers/vectors.js';

const root = issueCertificate({ subject: 'Root', ca: true });
const alice = person({ subject: 'Alice', emails: ['alice@example.org'], key: 'rsa', issuer: root });
const trust = [Certificate.parse(root.certificate)];
const keys = keyRing({ entries: [alice] });

const HEADER = 'From: Alice <alice@example.org>\r\nSubject: x\r\n';
const ENTITY = 'Content-Type: text/plain\r\n\r\nHello,\r\n\r\nyours, Alice\r\n';
const MAIL = utf8(HEADER + ENTITY);
const clear = latin1(await sign(MAIL, { signers: [alice] }));
const opaque = latin1(await sign(MAIL, { signers: [alice], detached: false }));
const sealed = latin1(await encrypt(MAIL, { recipients: [alice.certificate] }));

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
/** The text with `from` replaced; it has to be there. */
function edit(text: string, ...edits: [RegExp | string, string][]): string {
  return edits.reduce((text, [from, to]) => {
    const edited = text.replace(from, () => to);
    if (edited === text) throw new Error(`nothing to replace: ${from}`);
    return edited;
  }, text);
}
const codes = (verdict: Verdict) => verdict.problems.map(({ code }) => code);

async function failure(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof MailsealError) return error.code;
    throw error;
  }
  return 'no error';
}

const TYPE = /Content-Type: application\/pkcs7-mime; smime-type=[\w-]+;\r\n name="smime.p7m"\r\n/;
const DISPOSITION = /Content-Disposition: attachment; filename="smime.p7m"\r\n/;
const BASE64 = 'Content-Transfer-Encoding: base64\r\n';
const type = (value: string): [RegExp, string] => [TYPE, `Content-Type: ${value}\r\n`];
const object = (mail: string) =>
  Buffer.from(mail.slice(mail.indexOf('\r\n\r\n') + 4), 'base64').toString('latin1');
const binary = (mail: string, before = '', after = '', encoding = 'binary') =>
  edit(mail.slice(0, mail.indexOf('\r\n\r\n') + 4), [BASE64, `Content-Transfer-Encoding: ${encoding}\r\n`]) +
  before +
  object(mail) +
  after;
const quoted = (text: string) =>
  text
    .replace(/[^\w]/g, (c) => `=${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
    .replace(/(?:=..|\w){1,20}/g, '$&=\r\n');

/** [what it is, how the mail is changed]. */
const dresses: [string, (mail: string) => string][] = [
  ['as we write it', (mail) => mail],
  ['application/x-pkcs7-mime', (mail) => edit(mail, type('application/x-pkcs7-mime; name=smime.p7m'))],
  ['no smime-type, no name', (mail) => edit(mail, type('application/pkcs7-mime'), [DISPOSITION, ''])],
  ['smime-type that nobody knows', (mail) => edit(mail, type('application/pkcs7-mime; smime-type=generic'))],
  ['smime-type signed-data', (mail) => edit(mail, type('application/pkcs7-mime; smime-type=signed-data'))],
  [
    'smime-type enveloped-data',
    (mail) => edit(mail, type('application/pkcs7-mime; smime-type=enveloped-data')),
  ],
  ['smime-type certs-only', (mail) => edit(mail, type('application/pkcs7-mime; smime-type=certs-only'))],
  [
    'smime-type twice over: name says .p7c',
    (mail) => edit(mail, type('application/pkcs7-mime; name=smime.p7c')),
  ],
  [
    'application/octet-stream, the name of Content-Type',
    (mail) => edit(mail, type('application/octet-stream; name=smime.p7m'), [DISPOSITION, '']),
  ],
  [
    'application/octet-stream, the name of Content-Disposition',
    (mail) => edit(mail, type('APPLICATION/Octet-Stream')),
  ],
  [
    'application/octet-stream with the name SMIME.P7M',
    (mail) => edit(mail, type('application/octet-stream; name="SMIME.P7M"'), [DISPOSITION, '']),
  ],
  [
    'application/octet-stream with a name in RFC 2231',
    (mail) =>
      edit(mail, type("application/octet-stream; name*0*=utf-8''sm%69; name*1=me.p7m"), [DISPOSITION, '']),
  ],
  [
    'labelled as a detached signature',
    (mail) => edit(mail, type('application/pkcs7-signature; name=smime.p7s')),
  ],
  [
    'a folded header with tabs and comments',
    (mail) =>
      edit(mail, [
        TYPE,
        'Content-Type:\r\n\tapplication/pkcs7-mime\r\n (S/MIME)\r\n\t;\r\n\tname\r\n =smime.p7m\r\n',
      ]),
  ],
  ['LF line ends', (mail) => mail.replaceAll('\r\n', '\n')],
  [
    'CRLF in the header, LF in the body',
    (mail) => mail.replace(/\r\n\r\n[\s\S]*/, (body) => `\r\n\r\n${body.slice(4).replaceAll('\r\n', '\n')}`),
  ],
  [
    'base64 in one endless line',
    (mail) => mail.replace(/\r\n\r\n[\s\S]*/, (body) => `\r\n\r\n${body.replaceAll('\r\n', '')}`),
  ],
  [
    'base64 with blank lines around it',
    (mail) => mail.replace(/\r\n\r\n[\s\S]*/, (body) => `\r\n\r\n\r\n${body.slice(4)}\r\n\r\n`),
  ],
  ['base64 whose label was lost', (mail) => edit(mail, [BASE64, ''])],
  [
    'base64 with spaces at line ends',
    (mail) =>
      mail.replace(/\r\n\r\n[\s\S]*/, (body) => `\r\n\r\n${body.slice(4).replaceAll('\r\n', ' \r\n')}`),
  ],
  [
    'BASE64 in capitals, with a comment',
    (mail) => edit(mail, [BASE64, 'Content-transfer-encoding: BASE64 (of the object)\r\n']),
  ],
  ['binary', (mail) => binary(mail)],
  ['binary, a line end added by transport', (mail) => binary(mail, '', '\r\n')],
  ['binary, line ends before and after', (mail) => binary(mail, '\r\n', '\n\n')],
  ['8bit, in fact binary', (mail) => binary(mail, '', '', '8bit')],
  [
    'quoted-printable',
    (mail) =>
      edit(mail.slice(0, mail.indexOf('\r\n\r\n') + 4), [
        BASE64,
        'Content-Transfer-Encoding: quoted-printable\r\n',
      ]) + quoted(object(mail)),
  ],
  [
    'an envelope line of a mailbox file',
    (mail) => `From alice@example.org Mon Jan  1 00:00:00 2024\r\n${mail}`,
  ],
  [
    'fields of transport in front',
    (mail) => `Received: from a by b;\r\n\tMon, 1 Jan 2024 00:00:00 +0000\r\n${mail}`,
  ],
];

describe('one part with a CMS object', () => {
  test.each(dresses)('signed: %s', async (_, dress) => {
    const verdict = await verify(bytes(dress(opaque)), { trust });
    expect(verdict.problems).toEqual([]);
    expect(latin1(verdict.content)).toBe(ENTITY);
    expect(verdict.covered?.path).toBe('1');
    expect(verdict.uncovered).toEqual({ preamble: 0, epilogue: 0, parts: [] });
  });

  test.each(dresses)('encrypted: %s', async (_, dress) => {
    expect(latin1((await decrypt(bytes(dress(sealed)), { keys })).content)).toBe(ENTITY);
  });

  test.each([
    ['octets behind a binary object', binary(opaque, '', '\r\nx'), 'ASN1_TRAILING_DATA'],
    ['a binary object cut off', binary(opaque).slice(0, -1), 'ASN1_TRUNCATED'],
    [
      'text',
      edit(opaque, [BASE64, ''], [/\r\n\r\n[\s\S]*/, '\r\n\r\nSee attachment!\r\n']),
      'MIME_MALFORMED',
    ],
    ['nothing', edit(opaque, [/\r\n\r\n[\s\S]*/, '\r\n\r\n']), 'ASN1_TRUNCATED'],
    [
      'another name',
      edit(opaque, type('application/octet-stream; name=smime.p7m.exe'), [DISPOSITION, '']),
      'NOT_SMIME',
    ],
  ])('refused: %s', async (_, mail, code) => {
    expect(await failure(verify(bytes(mail), { trust }))).toBe(code);
  });

  test('a detached signature alone: what it is over is missing, or given beside it', async () => {
    const part = clear.slice(clear.lastIndexOf('Content-Type: application/pkcs7-signature'));
    const mail = bytes(HEADER + part.replace(/--mailseal.*/, ''));
    expect(await failure(verify(mail, { trust }))).toBe('CONTENT_MISSING');
    expect(codes(await verify(mail, { trust, content: bytes(ENTITY) }))).toEqual([]);
    expect(codes(await verify(mail, { trust, content: bytes(`${ENTITY}!`) }))).toEqual(['CONTENT_CHANGED']);
  });
});

const BOUNDARY = /boundary="([^"]+)"/.exec(clear)?.[1] as string;
const MICALG = ' micalg="sha-256";\r\n';
const PROTOCOL = 'protocol="application/pkcs7-signature"';
const SIGNATURE = 'Content-Type: application/pkcs7-signature; name="smime.p7s"';
const reboundary = (mail: string, boundary: string, written = `"${boundary}"`) =>
  edit(mail, [`boundary="${BOUNDARY}"`, `boundary=${written}`]).replaceAll(
    `--${BOUNDARY}`,
    () => `--${boundary}`,
  );

describe('multipart/signed', () => {
  test.each([
    ...[
      'sha-256',
      'sha256',
      'SHA-256',
      'SHA256',
      'rsa-sha256',
      'sha1',
      'sha-1',
      'rsa-sha1',
      'SHA-512',
      'sha-384',
    ],
    ...[
      'md5',
      'rsa-md5',
      'unknown',
      '2.16.840.1.101.3.4.2.1',
      '"sha-256,sha-512"',
      '"sha1, md5"',
      '""',
      '"sha-256 "',
    ],
  ])('micalg=%s says nothing about what was signed', async (micalg) => {
    const mail = edit(clear, [MICALG, ` micalg=${micalg};\r\n`]);
    expect((await verify(bytes(mail), { trust })).problems).toEqual([]);
  });

  test.each<[string, string]>([
    ['no micalg', edit(clear, [MICALG, ''])],
    ['micAlg, in other cases', edit(clear, ['micalg', 'micAlg'], ['multipart/signed', 'Multipart/SIGNED'])],
    ['protocol without quotes', edit(clear, [PROTOCOL, 'protocol=application/pkcs7-signature'])],
    [
      'protocol application/x-pkcs7-signature',
      edit(clear, [PROTOCOL, 'protocol="application/x-pkcs7-signature"']),
    ],
    ['protocol in capitals', edit(clear, [PROTOCOL, 'protocol="APPLICATION/PKCS7-SIGNATURE"'])],
    ['protocol application/pkcs7-mime', edit(clear, [PROTOCOL, 'protocol="application/pkcs7-mime"'])],
    ['no protocol', edit(clear, [` ${PROTOCOL};`, ''])],
    [
      'a signature of type application/x-pkcs7-signature',
      edit(clear, [SIGNATURE, 'Content-Type: application/x-pkcs7-signature']),
    ],
    [
      'a signature of type application/octet-stream',
      edit(clear, [SIGNATURE, 'Content-Type: application/octet-stream']),
    ],
    [
      'a signature of type application/pkcs7-mime',
      edit(clear, [SIGNATURE, 'Content-Type: application/pkcs7-mime; smime-type=signed-data']),
    ],
    [
      'parameters folded, with comments',
      edit(clear, ['multipart/signed; ', 'multipart/signed (S/MIME)\r\n\t;\r\n\t']),
    ],
    ['LF line ends', clear.replaceAll('\r\n', '\n')],
    ['white space behind the delimiters', clear.replaceAll(`--${BOUNDARY}\r\n`, `--${BOUNDARY} \t\r\n`)],
    ['no line end behind the closing delimiter', clear.replace(/\r\n$/, '')],
    [
      'a signature in binary',
      edit(clear, [
        /Content-Transfer-Encoding: base64(\r\n.*\r\n\r\n)[\s\S]*?\r\n--/,
        `Content-Transfer-Encoding: binary\r\n\r\n${signature(clear)}\r\n--`,
      ]),
    ],
    ['a signature whose label was lost', edit(clear, [BASE64, ''])],
    ['a boundary of odd characters', reboundary(clear, "'()+_,-./:=?")],
    ['a boundary with a space', reboundary(clear, 'a b c')],
    ['a boundary with quotes', reboundary(clear, 'a"b\\c', '"a\\"b\\\\c"')],
    ['a boundary that looks like a closing delimiter', reboundary(clear, '--b--')],
    ['a boundary of one dash', reboundary(clear, '-')],
    ['a boundary without quotes that needs them', reboundary(clear, '----=_Part/1?x=', '----=_Part/1?x=')],
    [
      'a boundary in RFC 2231',
      reboundary(clear, 'b=1', "us-ascii'en'b%3d1").replace('boundary=us', 'boundary*=us'),
    ],
    ['a boundary over 70 characters', reboundary(clear, 'b'.repeat(120))],
  ])('%s', async (_, mail) => {
    const verdict = await verify(bytes(mail), { trust });
    expect(verdict.problems).toEqual([]);
    expect(latin1(verdict.content)).toBe(ENTITY);
    const { path, start, end } = verdict.covered ?? { path: '', start: 0, end: 0 };
    expect([path, mail.slice(start, end).replace(/\r?\n/g, '\r\n')]).toEqual(['1', ENTITY]);
  });

  test.each([
    ['PGP', edit(clear, [PROTOCOL, 'protocol="application/pgp-signature"']), 'NOT_SMIME'],
    [
      'no protocol, and a second part of another type',
      edit(clear, [` ${PROTOCOL};`, ''], [SIGNATURE, 'Content-Type: text/plain; name=x']).replace(
        /filename="smime.p7s"/,
        'filename=x',
      ),
      'NOT_SMIME',
    ],
    [
      'a list’s footer as a third part',
      clear.replace(`--${BOUNDARY}--`, `--${BOUNDARY}\r\n\r\nfooter\r\n--${BOUNDARY}--`),
      'MIME_MALFORMED',
    ],
  ])('refused: %s', async (_, mail, code) => {
    expect(await failure(verify(bytes(mail), { trust }))).toBe(code);
  });

  test('content in every transfer encoding is verified as it stands', async () => {
    const parts = ['7bit', 'quoted-printable', 'base64'].map(
      (encoding) =>
        `--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\nQUJD\r\n`,
    );
    const mail = `${HEADER}Content-Type: multipart/mixed; boundary=b\r\n\r\n${parts.join('')}--b\r\nContent-Type: message/rfc822\r\n\r\n${latin1(MAIL)}\r\n--b--\r\n`;
    const signed = latin1(await sign(bytes(mail), { signers: [alice] }));
    expect((await verify(bytes(signed), { trust })).problems).toEqual([]);
    const other = signed.replace(
      'QUJD\r\n--b\r\nContent-Type: message',
      'QUJD \r\n--b\r\nContent-Type: message',
    );
    expect(codes(await verify(bytes(other), { trust }))).toEqual(['CONTENT_CHANGED']);
  });

  test('a signed mail inside the signed content (message/rfc822) is content, and verifies when it is taken out', async () => {
    const carrier = bytes(
      `${HEADER}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee below\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n${clear}\r\n--b--\r\n`,
    );
    const verdict = await verify(await sign(carrier, { signers: [alice] }), { trust });
    expect(verdict.problems).toEqual([]);
    const inner = parseEntity(verdict.content).multipart().parts[1]?.innerMessage();
    expect((await verify(inner?.bytes as Uint8Array, { trust })).problems).toEqual([]);
    expect(await failure(verify(carrier, { trust }))).toBe('NOT_SMIME');
  });

  test.each([
    ['clear', clear],
    ['opaque', opaque],
  ])('encrypted content that is a signed mail, %s, verifies', async (_, mail) => {
    const { message } = await decrypt(await encrypt(bytes(mail), { recipients: [alice.certificate] }), {
      keys,
    });
    expect((await verify(message as Uint8Array, { trust })).problems).toEqual([]);
  });
});

/** The octets of the signature of a clear-signed mail. */
function signature(mail: string): string {
  const body = /filename="smime.p7s"\r\n\r\n([\s\S]*?)\r\n--/.exec(mail)?.[1] as string;
  return Buffer.from(body, 'base64').toString('latin1');
}

const footer = 'Content-Type: text/plain\r\n\r\n_____\r\nlist mailing list\r\n';
/** As Mailman does it: the mail's own fields, then its content as the first of several parts. */
function list(mail: string, ...around: string[]): string {
  const [before = '', after = ''] = around;
  const at = mail.indexOf('MIME-Version');
  const part = (text: string) => (text === '' ? '' : `--=list\r\n${text}\r\n`);
  return `${mail.slice(0, at)}MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="=list"\r\n\r\n${part(before)}${part(mail.slice(at))}${part(after)}--=list--\r\n`;
}

describe('mailing lists: what is signed is only a part, and the verdict says which', () => {
  test.each<[string, string, string, string[], number, number]>([
    ['a footer behind a clear-signed mail', list(clear, '', footer), '1.1', ['2'], 0, 0],
    ['a footer behind an opaque one', list(opaque, '', footer), '1', ['2'], 0, 0],
    ['a header in front', list(clear, footer), '2.1', ['1'], 0, 0],
    ['both', list(clear, footer, footer), '2.1', ['1', '3'], 0, 0],
    [
      'two lists',
      list(
        `MIME-Version: 1.0\r\n${list(clear, '', footer).replace('boundary="=list"', 'boundary="=l2"').replaceAll('--=list', '--=l2')}`,
        '',
        footer,
      ).replace(/^/, HEADER),
      '1.1.1',
      ['1.2', '2'],
      0,
      0,
    ],
    ['stored with LF', list(clear, '', footer).replaceAll('\r\n', '\n'), '1.1', ['2'], 0, 0],
    [
      'text around all parts',
      `${list(clear, '', footer).replace('\r\n\r\n--=list', '\r\n\r\nbefore\r\n--=list')}after`,
      '1.1',
      ['2'],
      6,
      5,
    ],
  ])('%s', async (_, mail, path, parts, preamble, epilogue) => {
    const verdict = await verify(bytes(mail), { trust });
    expect(codes(verdict)).toEqual(['PARTLY_SIGNED']);
    expect([verdict.valid, verdict.signers[0]?.valid, verdict.covered?.path]).toEqual([false, true, path]);
    expect(verdict.uncovered.parts.map((part) => part.path)).toEqual(parts);
    expect([verdict.uncovered.preamble, verdict.uncovered.epilogue]).toEqual([preamble, epilogue]);
    const octets = ({ start, end }: { start: number; end: number }) => mail.slice(start, end);
    for (const part of verdict.uncovered.parts) expect(octets(part)).toContain('list mailing list');
    expect(latin1(verdict.content)).toBe(ENTITY);
    if (path !== '1') expect(octets(verdict.covered as never).replace(/\r?\n/g, '\r\n')).toBe(ENTITY);
  });

  test.each([
    ['two Content-Type fields', 'Content-Type: text/plain\r\nContent-Type: text/html\r\n', ''],
    ['a line that is no field', 'Content-Type: text/plain\r\nno field\r\n', ''],
    ['a multipart without a boundary', 'Content-Type: multipart/mixed\r\n', 'multipart/mixed'],
  ])('a footer whose header is broken, %s, is one without a signature', async (_, header, type) => {
    const mail = list(clear, '', `${header}\r\n_____\r\nlist mailing list\r\n`);
    const verdict = await verify(bytes(mail), { trust });
    expect(codes(verdict)).toEqual(['PARTLY_SIGNED']);
    expect([verdict.covered?.path, verdict.signers[0]?.valid]).toEqual(['1.1', true]);
    expect(verdict.uncovered.parts.map((part) => [part.path, part.type])).toEqual([['2', type]]);
    expect(verdict.problems[0]?.message).toContain(`part 2 (${type || 'unreadable'})`);
  });

  test('what is signed may have a header that is broken', async () => {
    const content = 'Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\nHello\r\n';
    const signature = signData(utf8(content), { signers: [alice], detached: true });
    const { before, after } = buildMultipartSigned({ outer: utf8(HEADER), micalg: 'sha-256' });
    const mail = latin1(concat([before, content, after(signature)]));
    const verdict = await verify(bytes(mail), { trust });
    expect([verdict.problems, verdict.covered?.path, verdict.covered?.type]).toEqual([[], '1', '']);
    expect((await verify(bytes(list(mail)), { trust })).covered).toMatchObject({ path: '1.1', type: '' });
  });

  test('a wrapper around the signed part alone leaves nothing without a signature', async () => {
    const verdict = await verify(bytes(list(clear)), { trust });
    expect([verdict.problems, verdict.covered?.path, verdict.uncovered.parts]).toEqual([[], '1.1', []]);
  });

  test('the signed part changed, and the sender exchanged, are found beside a footer too', async () => {
    const changed = list(clear, '', footer).replace('Hello', 'Hallo');
    expect(codes(await verify(bytes(changed), { trust }))).toEqual(['CONTENT_CHANGED', 'PARTLY_SIGNED']);
    const posed = list(clear, '', footer).replace('alice@example.org', 'boss@example.org');
    expect(codes(await verify(bytes(posed), { trust }))).toEqual(['SENDER_MISMATCH', 'PARTLY_SIGNED']);
  });

  test.each([
    ['EFAIL: an encrypted part beside a footer', list(sealed, '', footer)],
    ['two signed parts', list(clear, '', clear.slice(clear.indexOf('Content-Type')))],
    ['a signed part beside an encrypted one', list(clear, '', sealed.slice(sealed.indexOf('Content-Type')))],
    [
      'a forwarded signed mail beside text',
      list(`MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n${clear}`, footer),
    ],
  ])('not opened: %s', async (_, mail) => {
    expect(await failure(verify(bytes(mail), { trust }))).toBe('NOT_SMIME');
    expect(await failure(decrypt(bytes(mail), { keys }))).toBe('NOT_SMIME');
  });

  test('EFAIL: an encrypted message inside a signed part beside others is not decrypted', async () => {
    const wrapped = latin1(await sign(bytes(sealed), { signers: [alice] }));
    expect(latin1((await decrypt(bytes(wrapped), { keys })).content)).toBe(ENTITY);
    expect(await failure(decrypt(bytes(list(wrapped, '', footer)), { keys }))).toBe('NOT_SMIME');
  });
});

describe.skipIf(!hasOpenssl)('canonical form of what is signed (RFC 8551 3.1.1)', () => {
  test.each([
    ['LF', 'a\nb\n'],
    ['CRLF', 'a\r\nb\r\n'],
    ['CR alone', 'a\rb\r'],
    ['mixed', 'a\nb\r\nc\rd'],
    ['8-bit text', 'Gr\xfc\xdfe\n'],
  ])('openssl verifies text with %s line ends as we canonicalize it', async (_, body) => {
    const mail = await sign(
      concat([utf8(`${HEADER}Content-Type: text/plain; charset=iso-8859-1\n\n`), bytes(body)]),
      { signers: [alice] },
    );
    const folder = temporaryFolder();
    const { status, stdout, stderr } = openssl(
      ['cms', '-verify', '-noverify', '-out', `${folder}/content`],
      mail,
    );
    expect([status, stdout.length, stderr]).toEqual([0, 0, expect.stringContaining('successful')]);
    expect(latin1(mail)).not.toMatch(/(?<!\r)\n|\r(?!\n)/);
    expect((await verify(mail, { trust })).problems).toEqual([]);
  });
});

describe('mails of other projects, as whole messages', () => {
  const whole = 'valid, part 1, 0 uncovered';
  const dsa = 'invalid, part 1, 0 uncovered';
  /** What is expected where it is not what the row promises, and why. */
  const OTHERWISE: Readonly<Record<string, string>> = {
    'brokenEnv.message': 'CONTENT_MISSING', // a detached signature, labelled as an opaque one
    'pkcs7-empty-digest-set.eml': whole, // refused by OpenSSL for its empty digestAlgorithms, which verify nothing here
    '4.8.eml': dsa,
    '4.9.eml': dsa,
  };
  const promised = (contentType: string | null) => (contentType === 'envelopedData' ? 'NOT_SIGNED' : whole);
  /** An AS2 message as it was on the wire begins with the request line of HTTP, which is no field. */
  const withoutRequest = (mail: Uint8Array) => bytes(latin1(mail).replace(/^POST .*\r?\n/, ''));
  const mails = cmsRows().filter(({ form }) => form === 'SMIME');

  test.each(mails.map((row) => [`${row.source}/${row.path}`, row] as const))('%s', async (_, row) => {
    const outcome = await verify(withoutRequest(readVector(row.source, row.path)), { trust: [] }).then(
      ({ signers, covered, uncovered }) =>
        `${signers.map(({ signatureValid }) => (signatureValid ? 'valid' : 'invalid')).join(' ')}, part ${covered?.path}, ${uncovered.parts.length} uncovered`,
      (error: unknown) => (error instanceof MailsealError ? error.code : String(error)),
    );
    expect(outcome).toBe(OTHERWISE[row.path.replace(/.*\//, '')] ?? promised(row.contentType));
  });
});
