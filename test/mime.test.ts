/** MIME on octets: src/smime/{headers,addresses,mime,sevenbit,build}.ts. Rows, most of them bad input. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat, inPieces } from '../src/bytes.js';
import { MAX_MAILBOXES, parseMailboxes, readSenders } from '../src/smime/addresses.js';
import { buildMultipartSigned, buildPkcs7Mime, joinMessage, splitMessage } from '../src/smime/build.js';
import { MAX_HEADER_LENGTH, parseHeaders, parseParameterized } from '../src/smime/headers.js';
import {
  classify,
  decodeBody,
  MAX_DEPTH,
  MAX_PARTS,
  type MimeEntity,
  nestedSmime,
  parseEntity,
} from '../src/smime/mime.js';
import { prepareEntity } from '../src/smime/sevenbit.js';
import { canonicalize } from '../src/smime/transfer.js';
import { failureAt } from './helpers/failures.js';
import { readIndex, readVector, vectorSources } from './helpers/vectors.js';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const text = (octets: Uint8Array): string => Buffer.from(octets).toString('latin1');
const crlf = (...lines: string[]): Uint8Array => bytes(lines.join('\r\n'));

/** Everything there is to ask of a mail. */
function readAll(octets: Uint8Array): void {
  const attempt = (run: () => unknown) => failureAt(run);
  attempt(() => {
    const entity = parseEntity(octets);
    readSenders(entity.headers);
    for (const field of entity.headers.fields) [field.name, field.value, field.bytes];
    attempt(() => classify(entity));
    attempt(() => nestedSmime(entity));
    attempt(() => decodeBody(entity));
    decodeBody(entity, { strict: false });
  });
  attempt(() => prepareEntity(octets));
  attempt(() => joinMessage(splitMessage(octets).outer, splitMessage(octets).entity));
}

const mails = vectorSources().flatMap((source) =>
  readIndex(source)
    .filter((row) => /\.eml$|thunderbird-signed\.txt$/.test(row.path))
    .map((row) => ({ name: `${source}/${row.path}`, octets: readVector(source, row.path) })),
);

describe('header fields', () => {
  test.each([
    ['CRLF', 'A: 1\r\nB:2\r\n\r\nbody', ['A=1', 'B=2'], 'body'],
    ['LF', 'A: 1\nB:2\n\nbody', ['A=1', 'B=2'], 'body'],
    ['mixed line ends', 'A: 1\nB:2\r\n\nbody', ['A=1', 'B=2'], 'body'],
    ['folding with space and tab', 'A: 1\r\n 2\r\n\t3\r\n\r\n', ['A=1 2\t3'], ''],
    ['a continuation of white space only', 'A: 1\r\n \r\nB: 2\r\n\r\n', ['A=1', 'B=2'], ''],
    ['white space before the colon', 'A : 1\r\n\r\n', ['A=1'], ''],
    ['an empty value', 'A:\r\n\r\n', ['A='], ''],
    ['no body', 'A: 1\r\n', ['A=1'], ''],
    ['no body, no line end', 'A: 1', ['A=1'], ''],
    ['no header, blank line', '\r\nbody', [], 'body'],
    ['no header at all', 'Hello there.\r\n\r\nBye', [], 'Hello there.\r\n\r\nBye'],
    ['a first line that is indented', ' A: 1\r\n\r\n', [], ' A: 1\r\n\r\n'],
    ['nothing', '', [], ''],
    ['NUL in a value', 'A: 1\x002\r\n\r\n', ['A=1\x002'], ''],
    ['UTF-8', 'A: \xc3\xa4\r\n\r\n', ['A=ä'], ''],
    ['ISO 8859-1', 'A: \xe4\r\n\r\n', ['A=ä'], ''],
    ['the envelope line of a mailbox file', 'From a@b Mon Jan 1\r\nA: 1\r\n\r\nx', ['A=1'], 'x'],
  ])('%s', (_, input, fields, body) => {
    const headers = parseHeaders(bytes(input));
    expect(headers.fields.map((field) => `${field.name}=${field.value}`)).toEqual(fields);
    expect(input.slice(headers.bodyStart)).toBe(body);
    expect(Buffer.concat(headers.fields.map((field) => field.bytes)).toString('latin1')).toBe(
      input.slice(headers.start, headers.fields.at(-1)?.end ?? headers.start),
    );
  });

  test.each([
    ['a line that is no field', 'A: 1\r\nnonsense\r\n\r\n', 'MIME_MALFORMED@6'],
    ['a space in a name', 'A: 1\r\nB C: 2\r\n\r\n', 'MIME_MALFORMED@6'],
    ['an empty name', 'A: 1\r\n: 2\r\n\r\n', 'MIME_MALFORMED@6'],
    ['8-bit octets in a name', 'A: 1\r\nB\xe4: 2\r\n\r\n', 'MIME_MALFORMED@6'],
    ['CR without LF, which some take for a line end', 'A: 1\rBcc: 2\r\n\r\n', 'MIME_MALFORMED@4'],
    ['CR CR LF', 'A: 1\r\r\nB: 2\r\n\r\n', 'MIME_MALFORMED@4'],
    ['CR at the end of the input', 'A: 1\r', 'MIME_MALFORMED@4'],
    ['an envelope line in the middle', 'A: 1\r\nFrom a@b\r\n\r\n', 'MIME_MALFORMED@6'],
    ['a continuation of an envelope line', 'From a@b\r\n c\r\nA: 1\r\n\r\n', 'MIME_MALFORMED@10'],
    ['a header without end', `A: ${'x'.repeat(MAX_HEADER_LENGTH)}`, 'LIMIT_LENGTH@0'],
    ['fields without end', 'A: 1\r\n'.repeat(MAX_HEADER_LENGTH / 6 + 1), 'LIMIT_LENGTH@0'],
  ])('refused: %s', (_, input, expected) => {
    expect(failureAt(() => parseHeaders(bytes(input)))).toBe(expected);
  });

  test('a header just below the limit is read, and a long body without line ends is no header', () => {
    expect(parseHeaders(bytes(`A: ${'x'.repeat(MAX_HEADER_LENGTH - 7)}\r\n\r\n`)).fields).toHaveLength(1);
    expect(parseHeaders(bytes('x'.repeat(3 * MAX_HEADER_LENGTH))).bodyStart).toBe(0);
  });

  test('lookup ignores case; one() refuses a second field and says where it is', () => {
    const headers = parseHeaders(bytes('a: 1\r\nB: 2\r\nA: 3\r\n\r\n'));
    expect(headers.all('A').map((field) => field.value)).toEqual(['1', '3']);
    expect(headers.one('b')?.value).toBe('2');
    expect(headers.one('c')).toBeUndefined();
    expect(failureAt(() => headers.one('a'))).toBe('MIME_MALFORMED@12');
  });

  test.each([63, 64, 65, 200])('lookup among %i fields is the same, with an index or without', (count) => {
    const others = 'X: 0\r\n'.repeat(count - 3);
    const headers = parseHeaders(bytes(`a: 1\r\nB: 2\r\n${others}A: 3\r\n\r\n`));
    expect(headers.fields).toHaveLength(count);
    expect(headers.all('A').map((field) => field.value)).toEqual(['1', '3']);
    expect(headers.all('x')).toHaveLength(count - 3);
    expect(headers.one('b')?.value).toBe('2');
    expect(headers.one('c')).toBeUndefined();
    expect(failureAt(() => headers.one('a'))).toBe(`MIME_MALFORMED@${12 + others.length}`);
  });
});

describe('parameters', () => {
  test.each([
    ['plain', 'Text/Plain; Charset=utf-8', 'text/plain', { charset: 'utf-8' }],
    ['quoted', 'a/b; x="1; y=\\"2\\""', 'a/b', { x: '1; y="2"' }],
    ['an empty value', 'a/b; x=""', 'a/b', { x: '' }],
    ['comments', '(c(d\\)))a(e)/b(;);(g)x(h)=(i)1(j)', 'a/b', { x: '1' }],
    ['a trailing semicolon', 'a/b; x=1;', 'a/b', { x: '1' }],
    ['an empty parameter', 'a/b;; x=1', 'a/b', { x: '1' }],
    [
      'unquoted tspecials',
      'a/b; protocol=application/pkcs7-signature; y==',
      'a/b',
      { protocol: 'application/pkcs7-signature', y: '=' },
    ],
    ['no parameters', 'attachment', 'attachment', {}],
    ['RFC 2231 continuation', 'a/b; x*0="ab"; x*1=cd', 'a/b', { x: 'abcd' }],
    ['continuation out of order', 'a/b; x*1=cd; x*0="ab"', 'a/b', { x: 'abcd' }],
    ['RFC 2231 charset', "a/b; x*=utf-8'en'%c3%a4b", 'a/b', { x: 'äb' }],
    ['charset and continuation', "a/b; x*0*=utf-8''%c3%a4; x*1=b; x*2*=%c3%b6", 'a/b', { x: 'äbö' }],
    ['octets of one letter in two sections', "a/b; x*0*=utf-8''%c3; x*1*=%a4", 'a/b', { x: 'ä' }],
    ['plain and extended name', "a/b; name=old; name*=utf-8''n%c3%a4w", 'a/b', { name: 'näw' }],
  ])('%s', (_, value, type, parameters) => {
    const read = parseParameterized(value);
    expect(read.type).toBe(type);
    expect(Object.fromEntries(read.parameters)).toEqual(parameters);
    expect(read.defect).toBeUndefined();
  });

  test.each([
    ['nothing', '', 'no type'],
    ['no subtype', 'text/', 'no type'],
    ['text between parameters', 'a/b; name=my file.pdf', 'text between parameters'],
    ['an open quoted string', 'a/b; x="1', 'an open quoted string'],
    ['an open comment', 'a/b; x=1 (', 'an open comment'],
    ['no value', 'a/b; x', 'a parameter without a value'],
    ['twice', 'a/b; boundary=1; Boundary=2', 'parameter boundary twice'],
    ['boundary plain and extended', "a/b; boundary=1; boundary*=''2", 'parameter boundary twice'],
    ['boundary plain and continued', 'a/b; boundary=1; boundary*0=2', 'parameter boundary twice'],
    ['a section twice', 'a/b; x*0=1; x*0=2', 'parameter x*0 twice'],
    ['a section missing', 'a/b; x*0=1; x*2=2', 'parameter x in broken sections'],
    ['an encoded section without a charset', 'a/b; x*0=1; x*1*=%41', 'parameter x in broken sections'],
    ['an unknown charset', "a/b; x*=klingon''a", 'parameter x in broken sections'],
  ])('defect: %s', (_, value, defect) => {
    expect(parseParameterized(value).defect).toBe(defect);
  });
});

describe('mailboxes', () => {
  test.each([
    ['bare', 'a.b@Example.COM', ['a.b@example.com'], ['']],
    ['name', 'Ann <a@b.c>', ['a@b.c'], ['Ann']],
    ['quoted name', '"Doe, Ann" <a@b.c>', ['a@b.c'], ['Doe, Ann']],
    ['several', 'a@b.c, "X, <y@z>" <d@e.f>', ['a@b.c', 'd@e.f'], ['', 'X, <y@z>']],
    ['a comment for a name', 'a@b.c (Ann)', ['a@b.c'], ['Ann']],
    ['comments inside', 'a(x)@(y)b.c', ['a@b.c'], ['']],
    ['a comment with the address itself', '(<A@b.c>) a@b.c', ['a@b.c'], ['']],
    ['several comments', 'a@b.c (Ann) (at work)', ['a@b.c'], ['Ann at work']],
    ['quoted local part that needs no quotes', '"a.b"@c.d', ['a.b@c.d'], ['']],
    ['quoted local part', '"a b@c"@d.e', ['"a b@c"@d.e'], ['']],
    ['quoted pair in a local part', '"a\\"b"@d.e', ['"a\\"b"@d.e'], ['']],
    ['a group', 'Friends: a@b.c, X <d@e.f>;', ['a@b.c', 'd@e.f'], ['', 'X']],
    ['an empty group', 'undisclosed-recipients:;', [], []],
    ['a group among mailboxes', 'a@b.c, G:d@e.f;, g@h.i', ['a@b.c', 'd@e.f', 'g@h.i'], ['', '', '']],
    ['the obsolete route', '<@x,@y:a@b.c>', ['a@b.c'], ['']],
    ['a route with a domain literal', '<@[192.0.2.1]:a@b.c>', ['a@b.c'], ['']],
    ['obsolete white space', 'a . b @ c . d', ['a.b@c.d'], ['']],
    ['a domain literal', 'a@[192.0.2.1]', ['a@[192.0.2.1]'], ['']],
    ['encoded words', '=?utf-8?Q?=C3=84?= =?utf-8?B?bm4=?= <a@b.c>', ['a@b.c'], ['Änn']],
    ['ISO 8859-1 encoded word', '=?iso-8859-1?Q?J=F6rg_M?= <a@b.c>', ['a@b.c'], ['Jörg M']],
    ['an unknown charset', '=?klingon?Q?x?= <a@b.c>', ['a@b.c'], ['=?klingon?Q?x?=']],
    ['empty elements', ',a@b.c,,d@e.f,', ['a@b.c', 'd@e.f'], ['', '']],
    ['UTF-8', 'ä@b.c', ['ä@b.c'], ['']],
  ])('%s', (_, value, addresses, names) => {
    const { mailboxes, malformed } = parseMailboxes(value);
    expect(mailboxes.map((box) => box.address)).toEqual(addresses);
    expect(mailboxes.map((box) => box.displayName)).toEqual(names);
    expect(malformed).toBe(false);
  });

  test.each([
    ['no address', 'Ann', []],
    ['an empty bracket', '<>', []],
    ['no local part', '@b.c', ['@b.c']],
    ['no domain', 'a@', ['a@']],
    ['two at signs', 'a@b.c@evil.example', ['a@b.c@evil.example']],
    ['two addresses without a comma', 'a@b.c d@e.f', ['a@b.cd@e.f']],
    ['two brackets', '<a@b.c> <d@e.f>', ['a@b.c', 'd@e.f']],
    ['text behind the bracket', '<a@b.c> d', ['a@b.c']],
    ['an open bracket', 'Ann <a@b.c', ['a@b.c']],
    ['an open quote', '"Ann <a@b.c>', []],
    ['an open comment', 'a@b.c (Ann', ['a@b.c']],
    ['an open group', 'G: a@b.c', ['a@b.c']],
    ['a semicolon outside a group', 'a@b.c; d@e.f', ['a@b.c', 'd@e.f']],
    ['a group in a group', 'G: H: a@b.c;;', ['a@b.c']],
    ['an address as a group name', 'a@b.c: d@e.f;', ['d@e.f']],
    ['another address before the bracket', 'a@b.c <d@e.f>', ['d@e.f']],
    ['two dots', 'a..b@c.d', ['a..b@c.d']],
    ['a bad domain', 'a@b..c', ['a@b..c']],
    ['a quoted domain', 'a@"b.c"', ['a@b.c']],
    ['another address in a comment', '(<x@y.z>) a@b.c', ['a@b.c']],
    ['another address in a comment of no mailbox', '(x@y.z), a@b.c', ['a@b.c']],
    ['another address in the first of two comments', 'a@b.c (x@y.z) ()', ['a@b.c']],
    ['a line end in a comment', '(=?utf-8?b?Cg==?=) a@b.c', ['a@b.c']],
    ['an address as a quoted group name', '"x@y.z": a@b.c;', ['a@b.c']],
    ['an address in the encoded name of an empty group', '=?utf-8?q?x=40y.z?=:;', []],
    ['a route with an address', '<@x@y.z:a@b.c>', ['a@b.c']],
    ['a quoted route', '<@"x@y.z":a@b.c>', ['a@b.c']],
    ['a route with an encoded word', '<@=?utf-8?q?x=40y.z?=:a@b.c>', ['a@b.c']],
    ['two routes', '<@x:@y:a@b.c>', ['@ya@b.c']],
    ['NUL', 'a@b.c\0', ['a@b.c\0']],
    ['Mailsploit: an encoded word in the address', '=?utf-8?b?YUBiLmM=?=@d.e', ['=?utf-8?b?YUBiLmM=?=@d.e']],
    ['Mailsploit: a line end in the name', '=?utf-8?b?YUBiLmMKCg==?= <d@e.f>', ['d@e.f']],
  ])('malformed, all reported: %s', (_, value, addresses) => {
    const { mailboxes, malformed } = parseMailboxes(value);
    expect(malformed).toBe(true);
    expect(mailboxes.map((box) => box.address)).toEqual(addresses);
  });

  test.each([
    ['quoted name', '"boss@corp.example" <evil@x.y>', 'boss@corp.example'],
    ['name with brackets', '"Boss <boss@corp.example>" <evil@x.y>', 'boss@corp.example'],
    ['encoded word', '=?utf-8?Q?boss=40corp.example?= <evil@x.y>', 'boss@corp.example'],
    ['comment', 'evil@x.y (boss@corp.example)', 'boss@corp.example'],
    ['full-width letters', '"boss＠corp.example" <evil@x.y>', 'boss@corp.example'],
    ['the second of two', '"evil@x.y boss@corp.example" <evil@x.y>', 'boss@corp.example'],
    ['the same address', '"A@X.Y" <a@x.y>', undefined],
    ['an at sign alone', '"Bob @ Work" <a@x.y>', undefined],
  ])('Johnny, you are fooled: an address in the display name: %s', (_, value, nameAddress) => {
    expect(parseMailboxes(value).mailboxes[0]?.nameAddress).toBe(nameAddress);
  });

  test('more mailboxes, or From fields, than anybody writes', () => {
    const box = 'a@b.c,';
    expect(parseMailboxes(box.repeat(MAX_MAILBOXES - 1)).malformed).toBe(false);
    const list = parseMailboxes(box.repeat(MAX_MAILBOXES + 1));
    expect([list.mailboxes.length, list.malformed]).toEqual([MAX_MAILBOXES, true]);
    const senders = readSenders(parseHeaders(bytes('From: a@b\r\n'.repeat(MAX_MAILBOXES + 1))));
    expect([senders.from.length, senders.fromFields, senders.malformed]).toEqual([
      MAX_MAILBOXES,
      MAX_MAILBOXES + 1,
      true,
    ]);
  });

  test('Johnny, you are fooled: every From and Sender field is reported', () => {
    const senders = readSenders(
      parseHeaders(bytes('From: a@b.c\r\nSender: s@t.u\r\nfrom: X <d@e.f>,\r\n g@h.i\r\n\r\n')),
    );
    expect(senders.from.map((box) => box.address)).toEqual(['a@b.c', 'd@e.f', 'g@h.i']);
    expect(senders.sender.map((box) => box.address)).toEqual(['s@t.u']);
    expect([senders.fromFields, senders.senderFields, senders.malformed]).toEqual([2, 1, false]);
    expect(readSenders(parseHeaders(bytes('From: a@b.c\r\nFrom: d e\r\n\r\n'))).malformed).toBe(true);
  });
});

const multipart = (...lines: string[]): MimeEntity =>
  parseEntity(crlf('Content-Type: multipart/mixed; boundary=b', '', ...lines));

describe('multiparts', () => {
  test.each([
    ['two parts', ['--b', '', 'one', '--b', '', 'two', '--b--', ''], ['\r\none', '\r\ntwo'], '', ''],
    ['preamble and epilogue', ['pre', '', '--b', '', 'x', '--b--', 'epi'], ['\r\nx'], 'pre\r\n', 'epi'],
    ['a part that ends with an empty line', ['--b', '', 'x', '', '--b--'], ['\r\nx\r\n'], '', ''],
    ['a part of a blank line', ['--b', '', '', '--b--'], ['\r\n'], '', ''],
    ['an empty part', ['--b', '--b', '', 'x', '--b--'], ['', '\r\nx'], '', ''],
    ['white space behind the boundary', ['--b \t', '', 'x', '--b--\t '], ['\r\nx'], '', ''],
    [
      'a boundary that another one starts with',
      ['--b', '', '--bb', '--b-', '--b--x', '--b--'],
      ['\r\n--bb\r\n--b-\r\n--b--x'],
      '',
      '',
    ],
    ['a boundary inside a line', ['--b', '', 'x --b', ' --b', '--b--'], ['\r\nx --b\r\n --b'], '', ''],
    [
      'delimiters behind the closing one',
      ['--b', '', 'x', '--b--', '--b', '', 'y'],
      ['\r\nx'],
      '',
      '--b\r\n\r\ny',
    ],
    ['a closing delimiter first', ['--b--', 'x'], [], '', 'x'],
  ])('%s', (_, lines, parts, preamble, epilogue) => {
    const entity = multipart(...lines);
    const read = entity.multipart();
    expect(read.parts.map((part) => text(part.bytes))).toEqual(parts);
    const range = ({ start, end }: { start: number; end: number }) => text(entity.source).slice(start, end);
    expect(range(read.preamble)).toBe(preamble);
    expect(range(read.epilogue)).toBe(epilogue);
    expect(read.closed).toBe(true);
  });

  test('the line end before a delimiter is its own: CRLF or LF', () => {
    const read = parseEntity(
      bytes('Content-Type: multipart/mixed; boundary="b"\n\n--b\n\none\r\n--b\n\ntwo\n\n--b--'),
    );
    expect(read.multipart().parts.map((part) => text(part.bytes))).toEqual(['\none', '\ntwo\n']);
  });

  test('delimiters are whole lines, whatever stands around them', () => {
    const piece = fc.constantFrom(
      '\r\n',
      '\n',
      '\r',
      '--b',
      '--',
      '-',
      'b',
      ' ',
      'x',
      '\r\n--b\r\n',
      '\n--b--\n',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const body = `--b\n${pieces.join('')}`;
        const parts: string[] = [];
        let part: string | undefined;
        let closed = false;
        for (const line of body.match(/[^\n]*\n|[^\n]+$/g) ?? []) {
          const delimiter = /^--b(--)?[ \t]*(?:\r?\n)?$/.exec(line);
          if (delimiter === null) {
            part += line;
            continue;
          }
          if (part !== undefined) parts.push(part.replace(/\r?\n$/, ''));
          part = '';
          closed = delimiter[1] !== undefined;
          if (closed) break;
        }
        if (!closed) parts.push(part as string);
        const read = parseEntity(
          bytes(`Content-Type: multipart/mixed; boundary=b\r\n\r\n${body}`),
        ).multipart();
        expect(read.parts.map((one) => text(one.bytes))).toEqual(parts);
        expect(read.closed).toBe(closed);
      }),
      { numRuns: 1000 },
    );
  });

  test('CR alone does not end a delimiter line', () => {
    expect(failureAt(() => multipart('--b\rx').multipart())).toMatch(/^MIME_MALFORMED@/);
    expect(failureAt(() => multipart('--b\r\r\nx').multipart())).toMatch(/^MIME_MALFORMED@/);
  });

  test('without a closing delimiter the last part ends with the input, and that is reported', () => {
    const read = multipart('--b', '', 'one', '--b', '', 'two').multipart();
    expect(read.parts.map((part) => text(part.bytes))).toEqual(['\r\none', '\r\ntwo']);
    expect(read.closed).toBe(false);
  });

  test('nested multiparts, one boundary starting with the other', () => {
    const inner = ['Content-Type: multipart/mixed; boundary=bb', '', '--bb', '', 'x', '--bb--', ''];
    const read = multipart('--b', ...inner, '--b', '', 'y', '--b--').multipart();
    expect(read.parts).toHaveLength(2);
    expect(read.parts[0]?.multipart().parts.map((part) => text(part.bytes))).toEqual(['\r\nx']);
  });

  test('parts of multipart/digest are messages (RFC 2046 section 5.1.5)', () => {
    const digest = parseEntity(
      crlf('Content-Type: multipart/digest; boundary=b', '', '--b', '', 'A: 1', '--b--'),
    );
    expect(digest.multipart().parts[0]?.contentType.type).toBe('message/rfc822');
  });

  const withType = (value: string, body = '--b\r\n\r\nx\r\n--b--') =>
    bytes(`Content-Type: ${value}\r\n\r\n${body}`);
  test.each([
    ['no boundary parameter', withType('multipart/mixed')],
    ['an empty boundary', withType('multipart/mixed; boundary=""')],
    ['a boundary that ends with a space', withType('multipart/mixed; boundary="b "')],
    ['a boundary with CR LF', withType("multipart/mixed; boundary*=''b%0d%0a")],
    ['a boundary of 201 octets', withType(`multipart/mixed; boundary=${'b'.repeat(201)}`)],
    ['two boundaries', withType('multipart/mixed; boundary=b; boundary=c')],
    ['a defect elsewhere in the field', withType('multipart/mixed; boundary=b; x')],
    ['no delimiter', withType('multipart/mixed; boundary=c')],
    ['two Content-Type fields', bytes('Content-Type: text/plain\r\nContent-type: text/html\r\n\r\n')],
    [
      'two transfer encodings',
      bytes('Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n\r\n'),
    ],
    ['a multipart in base64', withType('multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64')],
    ['not a multipart', withType('text/plain')],
  ])('refused: %s', (_, octets) => {
    expect(failureAt(() => parseEntity(octets).multipart())).toMatch(/^MIME_MALFORMED@/);
  });

  test('more parts, or deeper ones, than the limit', () => {
    const many = multipart(...Array.from({ length: MAX_PARTS + 1 }, () => '--b'), '--b--');
    expect(failureAt(() => many.multipart())).toMatch(/^LIMIT_RECORDS@/);
    let deep = '\r\nx';
    for (let i = 0; i <= MAX_DEPTH; i++) {
      deep = `Content-Type: multipart/mixed; boundary=b${i}\r\n\r\n--b${i}\r\n${deep}\r\n--b${i}--`;
    }
    expect(failureAt(() => nestedSmime(parseEntity(bytes(deep))))).toMatch(/^LIMIT_DEPTH@/);
    expect(failureAt(() => prepareEntity(bytes(deep)))).toMatch(/^LIMIT_DEPTH@/);
    let messages = 'A: 1\r\n\r\nx';
    for (let i = 0; i <= MAX_DEPTH; i++) messages = `Content-Type: message/rfc822\r\n\r\n${messages}`;
    expect(failureAt(() => nestedSmime(parseEntity(bytes(messages))))).toMatch(/^LIMIT_DEPTH@/);
  });
});

test('decodeBody: encodings, and offsets in the source', () => {
  const mail = (encoding: string, body: string) => parseEntity(bytes(`${encoding}\r\n${body}`));
  const cte = (value: string) => `Content-Transfer-Encoding: ${value}\r\n`;
  expect(text(decodeBody(mail('', 'a=41')))).toBe('a=41');
  for (const name of ['7bit', '8BIT', 'Binary'])
    expect(text(decodeBody(mail(cte(name), 'a=41')))).toBe('a=41');
  expect(text(decodeBody(mail(cte('Quoted-Printable (x)'), 'a=41')))).toBe('aA');
  expect(text(decodeBody(mail(cte('base64'), 'QUJD')))).toBe('ABC');
  expect(failureAt(() => decodeBody(mail(cte('base64'), 'QU!D')))).toBe(
    `MIME_MALFORMED@${cte('base64').length + 4}`,
  );
  expect(failureAt(() => decodeBody(mail(cte('x-uuencode'), '')))).toBe('UNSUPPORTED_FEATURE@0');
});

describe('preparing for signing', () => {
  const prepared = (octets: Uint8Array) => text(prepareEntity(octets));
  const long = 'x'.repeat(999);

  test.each([
    ['plain text', crlf('Content-Type: text/plain', '', 'Hello.', '')],
    ['no Content-Type', crlf('', 'Hello.')],
    ['a line of 998', crlf('', 'x'.repeat(998), '')],
    ['base64', crlf('Content-Type: image/png', 'Content-Transfer-Encoding: base64', '', 'QUJD', '')],
    ['quoted-printable', crlf('Content-Transfer-Encoding: quoted-printable', '', '=41', '')],
    ['a multipart', crlf('Content-Type: multipart/mixed; boundary=b', '', '--b', '', 'x', '--b--', '')],
    ['nothing', bytes('')],
  ])('the same array: %s', (_, octets) => {
    expect(prepareEntity(octets)).toBe(octets);
  });

  test('opaque: a multipart/signed inside is not touched, whatever it holds (RFC 1847 section 2.1)', () => {
    const octets = crlf(
      'Content-Type: multipart/signed; boundary=b',
      '',
      '--b',
      '',
      '\xe4 ',
      long,
      '--b--',
      '',
    );
    expect(prepareEntity(octets)).toBe(octets);
  });

  const qp = 'Content-Transfer-Encoding: quoted-printable\r\n';
  const b64 = 'Content-Transfer-Encoding: base64\r\n';
  test.each([
    ['LF line ends', 'A: 1\n\nx\n', 'A: 1\r\n\r\nx\r\n'],
    ['a text without any header gets a blank line', 'Hello.', '\r\nHello.'],
    ['the same, to be encoded', 'Hell\xf6.', `${qp}\r\nHell=F6.`],
    ['8-bit text, few', 'A: 1\r\n\r\nHell\xf6, world', `A: 1\r\n${qp}\r\nHell=F6, world`],
    ['8-bit text, many', 'A: 1\r\n\r\n\xf6\xf6\xf6', `A: 1\r\n${b64}\r\n9vb2\r\n`],
    ['8-bit text with LF', 'A: 1\n\nHell\xf6, world\n', `A: 1\r\n${qp}\r\nHell=F6, world\r\n`],
    [
      '8bit declared and meant',
      `${'Content-Transfer-Encoding: 8bit'}\r\n\r\nHell\xf6, world`,
      `${qp}\r\nHell=F6, world`,
    ],
    [
      '8bit declared only',
      'content-transfer-encoding: 8bit\r\nB: 2\r\n\r\nx',
      'Content-Transfer-Encoding: 7bit\r\nB: 2\r\n\r\nx',
    ],
    [
      '8-bit, not text',
      'Content-Type: a/b\r\n\r\nHell\xf6, world',
      `Content-Type: a/b\r\n${b64}\r\nSGVsbPYsIHdvcmxk\r\n`,
    ],
    ['NUL', 'A: 1\r\n\r\nHello, \0world', `A: 1\r\n${qp}\r\nHello, =00world`],
    ['white space at a line end', 'A: 1\r\n\r\n-- \r\nAnn', `A: 1\r\n${qp}\r\n--=20\r\nAnn`],
    ['white space at the end', 'A: 1\r\n\r\nAnn ', `A: 1\r\n${qp}\r\nAnn=20`],
    ['a line that starts with From', 'A: 1\r\n\r\nFrom here\r\n', `A: 1\r\n${qp}\r\n=46rom here\r\n`],
    [
      'binary, not text: line ends are data',
      'Content-Type: a/b\r\nContent-Transfer-Encoding: binary\r\n\r\na\nb',
      `Content-Type: a/b\r\n${b64}\r\nYQpi\r\n`,
    ],
    [
      'binary text: line ends are line ends',
      'Content-Transfer-Encoding: binary\r\n\r\na\nb',
      'Content-Transfer-Encoding: 7bit\r\n\r\na\r\nb',
    ],
    ['a field without a line end', 'Content-Transfer-Encoding: 8bit', 'Content-Transfer-Encoding: 7bit\r\n'],
    [
      'base64 in an endless line',
      `${b64}\r\n${'QUJD'.repeat(250)}`,
      `${b64}\r\n${`${'QUJD'.repeat(19)}\r\n`.repeat(13)}${'QUJD'.repeat(3)}\r\n`,
    ],
    ['quoted-printable with 8-bit octets', `${qp}\r\n=41\xe4`, `${qp}\r\nA=E4`],
    [
      'an unknown encoding',
      'Content-Transfer-Encoding: x-u\r\n\r\n\xe4',
      'Content-Transfer-Encoding: x-u\r\n\r\n\xe4',
    ],
  ])('%s', (_, input, expected) => {
    expect(prepared(bytes(input))).toBe(expected);
    expect(prepared(prepareEntity(bytes(input)))).toBe(expected);
  });

  test('a long line', () => {
    const result = prepared(crlf('A: 1', '', long, ''));
    expect(result).toBe(
      `A: 1\r\n${qp}\r\n${'x'.repeat(75)}=\r\n`.concat(
        `${'x'.repeat(75)}=\r\n`.repeat(12),
        `${'x'.repeat(24)}\r\n`,
      ),
    );
  });

  test('of a multipart only the leaves that need it change; labels of multiparts become 7bit', () => {
    const mail = (label: string, leaf: string, image: string) =>
      bytes(
        `Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: ${label}\r\n\r\n` +
          `--b\r\nContent-Type:  text/plain\r\n${leaf}\r\n--b\r\nContent-Type:\ttext/html\r\n\r\nplain\r\n` +
          `--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: ${image}\r\n--b--\r\n`,
      );
    expect(prepared(mail('8bit', '\r\nviele Gr\xfc\xdfe\r\n', 'binary\r\n\r\n\x89PNG\n\x1a'))).toBe(
      text(mail('7bit', `${qp}\r\nviele Gr=FC=DFe\r\n`, 'base64\r\n\r\niVBORwoa')),
    );
  });

  test('the message inside a message/rfc822 is encoded, never the message itself (RFC 2046 section 5.2.1)', () => {
    const inner = 'Subject: x\r\n\r\nHell\xf6, world';
    const octets = bytes(`Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n${inner}`);
    expect(prepared(octets)).toBe(
      `Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: x\r\n${qp}\r\nHell=F6, world`,
    );
  });

  test('a preamble or epilogue that cannot be sent is dropped', () => {
    const octets = crlf(
      'Content-Type: multipart/mixed; boundary=b',
      '',
      'pr\xe4',
      '--b',
      '',
      'x',
      '--b--',
      'epi\xe4',
    );
    expect(prepared(octets)).toBe(
      text(crlf('Content-Type: multipart/mixed; boundary=b', '', '', '--b', '', 'x', '--b--', '')),
    );
  });

  test('whatever the leaf, the result is 7-bit, canonical, stable, and means the same', () => {
    const piece = fc.constantFrom('\r\n', '\n', 'abc ', '\t', 'From ', '=', '\xe4', '\0', long, '.');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), fc.boolean(), (pieces, isText) => {
        const type = isText ? 'text/plain' : 'application/x';
        const leaf = `Content-Type: ${type}\r\n\r\n${pieces.join('')}`;
        const mail = bytes(`Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n${leaf}\r\n--b--\r\n`);
        const result = prepareEntity(mail);
        expect(text(result)).not.toMatch(/[\x80-\xff\0]|[ \t]\r\n|\nFrom |[^\r\n]{999}|\r(?!\n)|(?<!\r)\n/);
        expect(prepareEntity(result)).toBe(result);
        const part = parseEntity(result).multipart().parts[0] as MimeEntity;
        const original = parseEntity(mail).multipart().parts[0] as MimeEntity;
        expect(text(decodeBody(part))).toBe(text(canonicalize(original.body)));
      }),
    );
  });
});

describe('building', () => {
  test('splitMessage keeps order, folding and octets of both sides', () => {
    const { outer, entity } = splitMessage(
      bytes(
        'Received: a;\r\n\tb\r\nMIME-version: 1.0\r\nFrom:  A <a@b>\nContent-Type: text/plain;\r\n charset=x\r\nX: \xe4\r\ncontent-id: <1>\r\n\r\nbody\n',
      ),
    );
    expect(text(outer)).toBe('Received: a;\r\n\tb\r\nFrom:  A <a@b>\nX: \xe4\r\n');
    expect(text(entity)).toBe(
      'MIME-version: 1.0\r\nContent-Type: text/plain;\r\n charset=x\r\ncontent-id: <1>\r\n\r\nbody\n',
    );
  });

  test.each([
    ['no header', 'Hello', '', '\r\nHello'],
    ['a blank line first', '\r\nHello', '', '\r\nHello'],
    ['no body', 'From: a@b\r\n', 'From: a@b\r\n', '\r\n'],
    ['no line end', 'From: a@b', 'From: a@b\r\n', '\r\n'],
    ['an envelope line', 'From a@b Mon\r\nFrom: a@b\r\n\r\nx', 'From: a@b\r\n', '\r\nx'],
    ['nothing', '', '', '\r\n'],
  ])('splitMessage: %s', (_, input, outer, entity) => {
    const split = splitMessage(bytes(input));
    expect([text(split.outer), text(split.entity)]).toEqual([outer, entity]);
  });

  test.each([
    [
      'fields and entity',
      'From: a@b\n',
      'Content-Type: text/plain\r\n\r\nx',
      'From: a@b\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nx',
    ],
    [
      'MIME-Version inside',
      'From: a@b',
      'MIME-Version: 1.0\r\n\r\nx',
      'From: a@b\r\nMIME-Version: 1.0\r\n\r\nx',
    ],
    ['an entity without a header', 'From: a@b\r\n', 'Hello', 'From: a@b\r\nMIME-Version: 1.0\r\n\r\nHello'],
    [
      'EFAIL: a From, a Reply-To and others inside, which anyone may have written into CBC content',
      'From: a@b\r\n',
      'From: evil@x\r\nReply-To: evil@x\r\nContent-Type: text/plain\r\n\r\nx',
      'From: a@b\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nx',
    ],
    [
      'a body behind the outer fields',
      'From: a@b\r\n\r\nevil',
      '\r\nx',
      'From: a@b\r\nMIME-Version: 1.0\r\n\r\nx',
    ],
    [
      'an entity without a body',
      'From: a@b\r\n',
      'Content-A: 1',
      'From: a@b\r\nMIME-Version: 1.0\r\nContent-A: 1\r\n\r\n',
    ],
  ])('joinMessage: %s', (_, outer, entity, expected) => {
    expect(text(joinMessage(bytes(outer), bytes(entity)))).toBe(expected);
  });

  test('multipart/signed: found again by classify, octet for octet, and reproducible', () => {
    const content = crlf('Content-Type: text/plain', '', 'Hello', '');
    const signature = Uint8Array.from({ length: 300 }, (_, i) => i & 255);
    const parts = { outer: bytes('From: a@b\nSubject: x\n'), micalg: 'sha-256' };
    const build = (options: Parameters<typeof buildMultipartSigned>[0]) => {
      const { before, after } = buildMultipartSigned(options);
      return concat([before, content, after(signature)]);
    };
    const boundary = 'b';
    const message = build({ ...parts, boundary });
    expect(
      text(message).startsWith(
        'From: a@b\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed;',
      ),
    ).toBe(true);
    expect(build({ ...parts, boundary })).toEqual(message);
    expect(build(parts)).not.toEqual(build(parts));
    expect(canonicalize(message)).toBe(message);
    const smime = classify(parseEntity(message));
    if (smime.kind !== 'multipart-signed') throw new Error(smime.kind);
    expect(text(smime.content.bytes)).toBe(text(content));
    expect(Buffer.from(decodeBody(smime.signature)).equals(signature)).toBe(true);
    expect(smime.micalg).toEqual(['sha-256']);
    expect(smime.signature.fileName).toBe('smime.p7s');
    expect(prepareEntity(message)).toBe(message);
    expect(text(build({ micalg: 'sha-256' })).startsWith('Content-Type: multipart/signed;')).toBe(true);
  });

  test('what a caller gets wrong', () => {
    expect(() => buildMultipartSigned({ micalg: 'x"\r\nBcc: a' })).toThrow(RangeError);
    expect(() => parseEntity('x' as unknown as Uint8Array)).toThrow(TypeError);
    expect(() => prepareEntity(null as unknown as Uint8Array)).toThrow(TypeError);
  });

  test.each([
    ['enveloped-data', 'smime.p7m', 'enveloped-data'],
    ['authEnveloped-data', 'smime.p7m', 'authenveloped-data'],
    ['certs-only', 'smime.p7c', 'certs-only'],
    ['compressed-data', 'smime.p7z', 'compressed-data'],
  ] as const)('application/pkcs7-mime: %s', (smimeType, name, seen) => {
    const content = Uint8Array.from({ length: 1000 }, (_, i) => (i * 7) & 255);
    const message = buildPkcs7Mime({
      outer: bytes('To: c@d\r\n'),
      smimeType,
      content: inPieces([content.subarray(0, 99), content.subarray(99)]),
    });
    const entity = parseEntity(message);
    expect(entity.headers.one('to')?.value).toBe('c@d');
    expect(entity.fileName).toBe(name);
    expect(classify(entity)).toEqual({ kind: 'pkcs7-mime', smimeType: seen });
    expect(Buffer.from(decodeBody(entity)).equals(content)).toBe(true);
    expect(
      text(buildPkcs7Mime({ smimeType, content: inPieces([content]) })).startsWith(
        'Content-Type: application/pkcs7-mime;',
      ),
    ).toBe(true);
  });
});

describe('recognising S/MIME', () => {
  const p7s = ['Content-Type: application/pkcs7-signature', 'Content-Transfer-Encoding: base64', '', 'MAA='];
  const signed = (type: string, ...lines: string[]) =>
    parseEntity(crlf(`Content-Type: multipart/signed; boundary=b${type}`, '', ...lines));
  const protocol = '; protocol="application/pkcs7-signature"; micalg="SHA-256, sha-512"';
  const two = ['--b', '', 'x', '--b', ...p7s, '--b--', ''];

  test.each([
    [
      'application/pkcs7-mime; smime-type=Enveloped-Data',
      { kind: 'pkcs7-mime', smimeType: 'enveloped-data' },
    ],
    ['application/x-pkcs7-mime', { kind: 'pkcs7-mime' }],
    ['application/pkcs7-mime; name=a.p7c', { kind: 'pkcs7-mime', smimeType: 'certs-only' }],
    ['application/pkcs7-mime; name=my file', { kind: 'pkcs7-mime' }],
    ['application/octet-stream; name=smime.P7M', { kind: 'pkcs7-mime' }],
    ['application/octet-stream\r\nContent-Disposition: attachment; filename="x.p7m"', { kind: 'pkcs7-mime' }],
    ['application/octet-stream; name="=?utf-8?Q?=C3=A4.p7m?="', { kind: 'pkcs7-mime' }],
    ['application/octet-stream; name=x.p7z', { kind: 'pkcs7-mime', smimeType: 'compressed-data' }],
    ['application/octet-stream; name=x.p7s', { kind: 'pkcs7-signature' }],
    ['application/x-pkcs7-signature', { kind: 'pkcs7-signature' }],
    ['application/octet-stream; name=x.p7m.exe', { kind: 'none' }],
    ['application/octet-stream', { kind: 'none' }],
    ['text/plain; name=x.p7m', { kind: 'none' }],
    ['application/pkcs7-mimex', { kind: 'none' }],
    ['multipart/signed; protocol="application/pgp-signature"; boundary=b', { kind: 'none' }],
    ['multipart/signed; boundary=b', { kind: 'none' }],
  ])('%s', (type, expected) => {
    expect(classify(parseEntity(bytes(`Content-Type: ${type}\r\n\r\n`)))).toEqual(expected);
  });

  test.each([
    'application/pkcs7-mime text/html',
    'application/pkcs7-mime (',
    'application/pkcs7-mime; smime-type=signed-data; smime-type=enveloped-data',
    'application/pkcs7-mime; name=my file; name="b',
    'application/octet-stream; name="a.p7m"; name="b.html"',
    'application/pkcs7-signature text/html',
  ])('refused, since readers could differ: %s', (type) => {
    expect(failureAt(() => classify(parseEntity(bytes(`Content-Type: ${type}\r\n\r\n`))))).toBe(
      'MIME_MALFORMED@0',
    );
  });

  test('no Content-Type', () =>
    expect(classify(parseEntity(bytes('A: 1\r\n\r\nx')))).toEqual({ kind: 'none' }));

  test('multipart/signed', () => {
    const smime = classify(signed(protocol, ...two));
    expect(smime.kind).toBe('multipart-signed');
    expect(smime.kind === 'multipart-signed' && smime.micalg).toEqual(['sha-256', 'sha-512']);
    expect(classify(signed('; protocol=application/x-pkcs7-signature', ...two)).kind).toBe(
      'multipart-signed',
    );
  });

  test.each([
    ['one part', ['--b', '', 'x', '--b--']],
    ['three parts: unsigned text beside the signed', ['--b', '', 'evil', ...two]],
    ['a part behind the signature', [...two.slice(0, -2), '--b', '', 'evil', '--b--']],
    ['no closing delimiter', two.slice(0, -2)],
    ['a signature of another type', ['--b', '', 'x', '--b', 'Content-Type: text/plain', '', 'x', '--b--']],
    ['the parts swapped', ['--b', ...p7s, '--b', '', 'x', '--b--']],
    ['two types in the signature', ['--b', '', 'x', '--b', 'Content-Type: text/plain', ...p7s, '--b--']],
    ['no parts', ['x']],
  ])('multipart/signed refused: %s', (_, lines) => {
    expect(failureAt(() => classify(signed(protocol, ...lines)))).toMatch(/^MIME_MALFORMED@/);
  });

  test.each([
    ['protocol twice', `${protocol}; protocol="application/pgp-signature"`],
    ['boundary twice', `${protocol}; boundary=c`],
    ['boundary as an extended parameter too', `${protocol}; boundary*=''c`],
  ])('multipart/signed refused: %s', (_, type) => {
    expect(failureAt(() => classify(signed(type, ...two)))).toMatch(/^MIME_MALFORMED@/);
  });

  test('EFAIL: an encrypted part among others is reported with its place, not taken for the message', () => {
    const p7m = ['Content-Type: application/pkcs7-mime; smime-type=enveloped-data', '', 'MAA='];
    const mail = multipart(
      '--b',
      'Content-Type: text/html',
      '',
      '<img src="http://evil.example/',
      '--b',
      ...p7m,
      '--b',
      'Content-Type: message/rfc822',
      '',
      'From: a@b',
      ...p7m,
      '--b',
      'Content-Type: multipart/mixed',
      '',
      'broken',
      '--b',
      'Content-Type: multipart/mixed; boundary=c',
      '',
      '--c',
      ...p7m,
      '--c--',
      '--b--',
    );
    expect(classify(mail)).toEqual({ kind: 'none' });
    const found = nestedSmime(mail);
    expect(found.map(({ path, kind }) => `${path} ${kind}`)).toEqual([
      '2 pkcs7-mime',
      '3.1 pkcs7-mime',
      '5.1 pkcs7-mime',
    ]);
    for (const { start, end } of found) expect(text(mail.source).slice(start, end)).toContain(p7m[0]);
  });

  test('of a signed message, what it signs is searched; its own signature is not a nested one', () => {
    expect(nestedSmime(signed(protocol, ...two))).toEqual([]);
    const inner = ['--b', 'Content-Type: application/pkcs7-mime', '', 'MAA=', '--b', ...p7s, '--b--'];
    expect(nestedSmime(signed(protocol, ...inner)).map(({ path }) => path)).toEqual(['1']);
  });
});

describe('real mail', () => {
  const kinds = new Map([
    ['attachonly.eml', 'none'],
    ['simplemultipart.eml', 'none'],
    ['dotnet_encrypted_mail.eml', 'pkcs7-mime'],
    ['outlook_2010_beta_sime_msg.eml', 'pkcs7-mime'],
    ['4.9.eml', 'pkcs7-mime'],
    ['5.3.eml', 'pkcs7-mime'],
  ]);
  /** Its signature is over the octets themselves: it has no signed attributes, and so no digest. */
  const withoutDigest = '4.8.eml';

  test('there are as many as we know of', () => expect(mails.length).toBeGreaterThanOrEqual(20));

  test.each(mails)('$name', ({ name, octets }) => {
    const base = name.slice(name.lastIndexOf('/') + 1);
    const entity = parseEntity(octets);
    const smime = classify(entity);
    expect(smime.kind).toBe(kinds.get(base) ?? 'multipart-signed');
    if (smime.kind === 'pkcs7-mime') expect(decodeBody(entity)[0]).toBe(0x30);
    if (smime.kind === 'multipart-signed') {
      // The signature carries the digest of exactly these octets.
      const signature = Buffer.from(decodeBody(smime.signature));
      const algorithm = smime.micalg[0]?.replace('-', '') as string;
      const digest = createHash(algorithm).update(canonicalize(smime.content.bytes)).digest();
      expect(signature.includes(digest)).toBe(base !== withoutDigest);
    }
    expect(canonicalize(prepareEntity(octets))).toBeDefined();
    const { outer, entity: inner } = splitMessage(octets);
    expect(text(inner).endsWith(text(entity.body))).toBe(true);
    expect(outer.length + inner.length).toBe(octets.length);
  });
});

describe('broken mail: a result or a coded error, for every', () => {
  const sample = crlf(
    'From: "A, B" <a@b.c>, =?utf-8?Q?x?= <d@e.f>',
    'MIME-Version: 1.0',
    'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256;',
    '\tboundary*0="b"; boundary*1*=\'\'c',
    '',
    'preamble',
    '--bc',
    'Content-Type: multipart/mixed; boundary=b',
    '',
    '--b',
    'Content-Transfer-Encoding: 8bit',
    '',
    'gr\xfc\xdfe ',
    '--b--',
    '--bc',
    'Content-Type: application/pkcs7-signature; name=smime.p7s',
    'Content-Transfer-Encoding: base64',
    '',
    'MAA=',
    '--bc--',
    '',
  );

  test('truncation', () => {
    for (let length = 0; length <= sample.length; length++) readAll(sample.subarray(0, length));
  });

  test('octet changed to CR, LF, NUL, quote, colon, 0xFF', () => {
    for (const c of [0x0d, 0x0a, 0, 0x22, 0x3a, 0xff]) {
      for (let at = 0; at < sample.length; at++) {
        const octets = Uint8Array.from(sample);
        octets[at] = c;
        readAll(octets);
      }
    }
  });

  test('start', () => {
    for (let start = 0; start < sample.length; start++) readAll(sample.subarray(start));
  });

  test('truncation of a real signed mail', () => {
    const mail = mails.find(({ name }) => name.endsWith('4.8.eml'));
    if (mail === undefined) throw new Error('no 4.8.eml');
    for (let length = 0; length < mail.octets.length; length++) readAll(mail.octets.subarray(0, length));
  });

  test('octets at random', () => {
    const piece = fc.constantFrom(
      '\r\n',
      '\n',
      '\r',
      ':',
      ';',
      '"',
      '(',
      ')',
      '<',
      '>',
      '@',
      ',',
      '=?',
      '?=',
      '*0*=',
      '--b',
      'Content-Type:',
      'multipart/mixed',
      'boundary=b',
      'From:',
      ' ',
      'x',
      '\0',
      '\xff',
      '\\',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 80 }), (pieces) => readAll(bytes(pieces.join('')))),
      {
        numRuns: 1000,
      },
    );
  });
});

describe('time grows with the size, not with its square', () => {
  const type = 'Content-Type: multipart/mixed; boundary=b\r\n\r\n';
  const read = (mail: string) => () => readAll(bytes(mail));
  const value = (field: string, unit: string) => (n: number) =>
    read(
      `${field}: ${unit.repeat(Math.floor(Math.min(n * 10, MAX_HEADER_LENGTH - 100) / unit.length))}\r\n\r\nx`,
    );
  test.each([
    ['header fields', (n: number) => read('A: b\r\n'.repeat(n))],
    ['continuations', (n: number) => read(`A: b\r\n${' c\r\n'.repeat(n)}`)],
    ['From fields', (n: number) => read('From:a@b\r\n'.repeat(n))],
    ['mailboxes', value('From', 'a@b,')],
    ['open brackets', value('From', '<')],
    [
      'a long name and many brackets',
      (n: number) => read(`From: ${'a '.repeat(n)}${'<a@b>'.repeat(n)}\r\n\r\nx`),
    ],
    ['open comments', value('From', '(')],
    ['comments', value('From', '(a@b)')],
    ['groups', value('From', 'a@b:;')],
    ['a route', (n: number) => read(`From: <${'@a,'.repeat(n)}:b@c>\r\n\r\n`)],
    ['at signs', value('From', '@')],
    ['at signs in a name', (n: number) => read(`From: "${'@x'.repeat(n)}" <a@b>\r\n\r\n`)],
    ['starts of encoded words', value('From', '=?')],
    ['encoded words', value('From', '=?a?q?b?= ')],
    ['quotes', value('Content-Type', 'a/b;x="')],
    ['parameters', value('Content-Type', 'a/b;x=1;')],
    ['comments in Content-Type', value('Content-Type', '(')],
    ['white space', value('Content-Type', ' ')],
    ['lines like a boundary', (n: number) => read(`${type}${'--bx\r\n'.repeat(n)}`)],
    ['boundaries with endless padding', (n: number) => read(`${type}${'--b        '.repeat(n)}`)],
    ['parts', (n: number) => read(`${type}${'--b\r\n'.repeat(n)}`)],
    [
      'almost the boundary',
      (n: number) => read(`${type.replace('=b', `=${'a'.repeat(60)}`)}${'a'.repeat(10 * n)}`),
    ],
    [
      'the boundary many times in a line',
      (n: number) => read(`${type.replace('=b', `=${'-'.repeat(60)}`)}${'-'.repeat(10 * n)}`),
    ],
    ['line ends', (n: number) => read(`A: b\r\n\r\n${'\n\r'.repeat(n)}`)],
    [
      'soft line breaks',
      (n: number) => read(`Content-Transfer-Encoding: quoted-printable\r\n\r\n${'=   '.repeat(n)}`),
    ],
    ['spaces in base64', (n: number) => read(`Content-Transfer-Encoding: base64\r\n\r\n${'A   '.repeat(n)}`)],
  ])('%s', (_, make) => {
    const time = (n: number) => {
      const run = make(n);
      let best = Number.POSITIVE_INFINITY;
      for (let i = 0; i < 3; i++) {
        const start = performance.now();
        run();
        best = Math.min(best, performance.now() - start);
      }
      return best;
    };
    time(1000);
    // 8 times the size: linear is 8 times the time, quadratic 64. A busy machine may spoil a measurement, not all three.
    const ratio = () => time(100_000) / time(12_500);
    expect([ratio, ratio, ratio].some((measure) => measure() < 45)).toBe(true);
  });
});
