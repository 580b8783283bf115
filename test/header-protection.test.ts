/** Header Protection (RFC 9788): composing, reading, what is reported of a header that was changed on the way. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, latin1, utf8 } from '../src/bytes.js';
import { envelopedPieces } from '../src/cms/enveloped.js';
import { keyRing } from '../src/cms/recipients.js';
import { signedPieces } from '../src/cms/signed.js';
import { MailsealError } from '../src/errors.js';
import { buildPkcs7Mime } from '../src/smime/build.js';
import { HEADER_POLICIES, type HeaderPolicy, type HeaderPolicyName } from '../src/smime/headerpolicy.js';
import { removeLegacyDisplay } from '../src/smime/legacydisplay.js';
import { type Decrypted, decrypt, encrypt, type SignOptions, sign } from '../src/smime/message.js';
import { decodeBody, parseEntity } from '../src/smime/mime.js';
import { protectHeaders } from '../src/smime/protect.js';
import { applyProtected, type ProtectedHeaders, protectedHeadersIn } from '../src/smime/protectedheaders.js';
import { setParameters } from '../src/smime/rewrite.js';
import { type Verdict, verify } from '../src/smime/verify.js';
import { Certificate } from '../src/x509/certificate.js';
import { hasOpenssl, openssl, temporaryFolder } from './helpers/peers.js';
import { issueCertificate, person } from './helpers/pki.js';

const root = issueCertificate({ subject: 'Root', ca: true });
const alice = person({ subject: 'Alice', emails: ['alice@example.org'], key: 'rsa', issuer: root });
const trust = [Certificate.parse(root.certificate)];
const keys = keyRing({ entries: [alice] });
const recipients = [alice.certificate];

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const crlf = (...lines: string[]) => lines.join('\r\n');

const HEADER = crlf(
  'Received: from mx.example.org;',
  '\tMon, 1 Jan 2024 00:00:00 +0000',
  'Date: Sat, 20 Feb 2021 10:09:02 -0500',
  'From: Alice Example <alice@example.org>',
  'To: Bob <bob@example.org>,',
  ' Carol <carol@example.org>',
  'Bcc: hidden@example.org',
  'Subject: The Jones contract',
  'Keywords: contract, urgent',
  'Message-ID: <1@example.org>',
  '',
);
const ENTITY = crlf('Content-Type: text/plain; charset=us-ascii', '', 'Hello Bob,', '', 'yours, Alice', '');
const MAIL = HEADER + ENTITY;

function replaced(mail: string | Uint8Array, from: string | RegExp, to: string): Uint8Array {
  const text = typeof mail === 'string' ? mail : latin1(mail);
  const edited = text.replace(from, () => to);
  if (edited === text) throw new Error(`nothing to replace: ${from}`);
  return bytes(edited);
}
const header = (mail: Uint8Array) => latin1(mail).split('\r\n\r\n')[0] as string;
const outside = (mail: Uint8Array, name: string) =>
  parseEntity(mail)
    .headers.all(name)
    .map(({ value }) => value);
const states = ({ fields }: ProtectedHeaders) =>
  Object.fromEntries(fields.map(({ name, protection }) => [name, protection]));
const found = ({ headers }: Verdict | Decrypted): ProtectedHeaders => {
  if (headers === undefined) throw new Error('no protected headers');
  return headers;
};
const codes = (verdict: Verdict) => verdict.problems.map(({ code }) => code);
const signed = (mail: string, options: Partial<SignOptions>) =>
  sign(bytes(mail), { signers: [alice], ...options });

const clear = await signed(MAIL, { protectHeaders: 'clear' });
const sealed = await encrypt(bytes(MAIL), { recipients, protectHeaders: 'baseline' });

async function failure(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof MailsealError) return error.code;
    if (error instanceof RangeError) return 'RangeError';
    throw error;
  }
  return 'no error';
}

describe('signed mail, hp="clear"', () => {
  it.each([true, false])(
    'the author’s fields are signed, the header outside stays (detached: %s)',
    async (detached) => {
      const mail = await signed(MAIL, { protectHeaders: 'clear', detached });
      expect(latin1(mail).startsWith(HEADER)).toBe(true);
      const verdict = await verify(mail, { trust });
      expect(verdict.problems).toEqual([]);
      expect(verdict.senderVerified).toBe(true);
      const headers = found(verdict);
      expect(headers).toMatchObject({
        scheme: 'RFC 9788',
        intent: 'clear',
        outer: [],
        differences: [],
        fromMismatch: false,
      });
      expect(headers.fields.map(({ name, value }) => `${name}: ${value}`)).toEqual([
        'Date: Sat, 20 Feb 2021 10:09:02 -0500',
        'From: Alice Example <alice@example.org>',
        'To: Bob <bob@example.org>, Carol <carol@example.org>',
        'Subject: The Jones contract',
        'Keywords: contract, urgent',
        'Message-ID: <1@example.org>',
      ]);
      expect(new Set(headers.fields.map(({ protection }) => protection))).toEqual(new Set(['signed-only']));
      const content = latin1(verdict.content);
      expect(content).toContain('Content-Type: text/plain; charset=us-ascii;\r\n hp="clear"\r\n\r\nHello');
      expect(content).not.toMatch(/^(?:HP-Outer|Bcc|Received):/m);
    },
  );

  it('nothing is added without being asked for', async () => {
    const verdict = await verify(await signed(MAIL, {}), { trust });
    expect(verdict.headers).toBeUndefined();
    expect(latin1(verdict.content)).toBe(ENTITY);
  });

  const spoil = (from: string, to: string) => verify(replaced(clear, from, to), { trust });

  it.each([
    [
      'Subject replaced',
      'Subject: The',
      'Subject: Another',
      'Subject',
      ['The Jones contract'],
      ['Another Jones contract'],
    ],
    ['a Cc added', 'Subject:', 'Cc: mallory@example.org\r\nSubject:', 'Cc', [], ['mallory@example.org']],
    ['Keywords removed', 'Keywords: contract, urgent\r\n', '', 'Keywords', ['contract, urgent'], []],
    [
      'a second Date',
      'Date:',
      'Date: now\r\nDate:',
      'Date',
      ['Sat, 20 Feb 2021 10:09:02 -0500'],
      ['now', 'Sat, 20 Feb 2021 10:09:02 -0500'],
    ],
  ])('outside: %s', async (_, from, to, name, inner, outer) => {
    const verdict = await spoil(from, to);
    expect(codes(verdict)).toEqual([]);
    expect(found(verdict).differences).toEqual([{ name, protected: inner, outside: outer, intended: false }]);
  });

  it('what transport does to a header is no difference', async () => {
    const moved = replaced(clear, /^/, 'Received: x\r\nDKIM-Signature: y\r\nList-Id: <z>\r\n');
    const refolded = replaced(
      moved,
      'To: Bob <bob@example.org>,\r\n Carol',
      'to:\tBob\r\n <bob@example.org>, Carol',
    );
    expect(found(await verify(refolded, { trust })).differences).toEqual([]);
  });

  it('From address spoofing: the signed From counts, and another one outside is a problem', async () => {
    const verdict = await spoil('From: Alice Example <alice@example.org>', 'From: Boss <boss@example.org>');
    expect(codes(verdict)).toEqual(['FROM_MISMATCH']);
    expect(verdict).toMatchObject({ valid: false, senderVerified: true, from: ['alice@example.org'] });
    expect(found(verdict).fromMismatch).toBe(true);
    expect(verdict.problems[0]?.message).toContain('boss@example.org');
  });

  it.each([
    [
      'another display name',
      'From: Alice Example <alice@example.org>',
      'From: Bob <Alice@EXAMPLE.org>',
      false,
    ],
    ['a second From', 'From: Alice', 'From: eve@example.org\r\nFrom: Alice', true],
    ['no From', 'From: Alice Example <alice@example.org>\r\n', '', true],
    ['a From that can be read in two ways', 'From: Alice Example <', 'From: eve@example.org <', true],
  ])('From outside: %s', async (_, from, to, mismatch) => {
    const verdict = await spoil(from, to);
    expect(found(verdict).fromMismatch).toBe(mismatch);
    expect(codes(verdict)).toEqual(mismatch ? ['FROM_MISMATCH'] : []);
  });

  it('From address spoofing: a signed From that is not the signer’s, under the signer’s own outside', async () => {
    const forged = await signed(MAIL.replace('alice@', 'boss@'), { protectHeaders: 'clear' });
    expect(codes(await verify(forged, { trust }))).toEqual(['SENDER_MISMATCH']);
    const posed = await verify(replaced(forged, 'boss@', 'alice@'), { trust });
    expect(codes(posed)).toEqual(['SENDER_MISMATCH', 'FROM_MISMATCH']);
    expect(posed.senderVerified).toBe(false);
  });

  it('fields of a signature that is not valid are reported as unprotected', async () => {
    const verdict = await spoil('Hello Bob', 'Hello Eve');
    expect(verdict.valid).toBe(false);
    expect(new Set(Object.values(states(found(verdict))))).toEqual(new Set(['unprotected']));
  });

  it('a mailing list’s footer beside it: the header is not that of the whole mail', async () => {
    const at = latin1(clear).indexOf('MIME-Version');
    const list = `${latin1(clear).slice(0, at)}MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=l\r\n\r\n--l\r\n${latin1(clear).slice(at)}\r\n--l\r\n\r\nfooter\r\n--l--\r\n`;
    const verdict = await verify(bytes(list.replace('Subject: The', 'Subject: [list] The')), { trust });
    expect(codes(verdict)).toEqual(['PARTLY_SIGNED']);
    expect(verdict.headers).toBeUndefined();
    expect(verdict.senderVerified).toBe(false);
  });

  it.each([
    ['an HP-Outer outside', (mail: string) => mail.replace('Subject:', 'HP-Outer: Subject: x\r\nSubject:')],
    ['an HP-Outer inside', (mail: string) => mail.replace(/(hp="clear")/, '$1\r\nHP-Outer: Subject: x')],
  ])('%s of signed mail says nothing', async (_, edit) => {
    const verdict = await verify(
      await sign(bytes(edit(MAIL)), { signers: [alice], protectHeaders: 'clear' }),
      { trust },
    );
    expect(found(verdict)).toMatchObject({ outer: [], differences: [] });
  });
});

const OUTER: Record<HeaderPolicyName, Record<string, string[]>> = {
  baseline: {
    Subject: ['[...]'],
    Keywords: [],
    From: ['Alice Example <alice@example.org>'],
    Date: ['Sat, 20 Feb 2021 10:09:02 -0500'],
  },
  shy: {
    Subject: ['[...]'],
    Keywords: [],
    From: ['alice@example.org'],
    To: ['bob@example.org, carol@example.org'],
    Date: ['Sat, 20 Feb 2021 15:09:02 +0000'],
  },
  no_confidentiality: { Subject: ['The Jones contract'], Keywords: ['contract, urgent'] },
};

describe('encrypted mail, hp="cipher"', () => {
  const rows = Object.keys(OUTER).flatMap((policy) =>
    (['unsigned', 'clear-signed', 'opaque'] as const).map(
      (form) => [policy as HeaderPolicyName, form] as const,
    ),
  );

  it.each(rows)('policy %s, %s', async (policy, form) => {
    const outer = OUTER[policy];
    const inner =
      form === 'unsigned'
        ? bytes(MAIL)
        : await signed(MAIL, { protectHeaders: policy, detached: form === 'clear-signed' });
    const sealed = await encrypt(inner, {
      recipients,
      ...(form === 'unsigned' && { protectHeaders: policy }),
    });
    for (const [name, values] of Object.entries(outer)) expect(outside(sealed, name)).toEqual(values);
    expect(outside(sealed, 'Bcc')).toEqual(['hidden@example.org']);
    expect(outside(sealed, 'Received')).toHaveLength(1);

    const opened = await decrypt(sealed, { keys });
    const headers = found(opened);
    expect(headers).toMatchObject({ scheme: 'RFC 9788', intent: 'cipher', fromMismatch: false });
    const hidden = new Set(
      Object.entries(outer).flatMap(([name, [value]]) => (HEADER.includes(`: ${value}\r\n`) ? [] : [name])),
    );
    const wanted = (state: string, rest: string) =>
      Object.fromEntries(headers.fields.map(({ name }) => [name, hidden.has(name) ? state : rest]));
    expect(states(headers)).toEqual(wanted('encrypted-only', 'unprotected'));
    expect(new Set(headers.differences.map(({ name }) => name))).toEqual(hidden);
    expect(headers.differences.every(({ intended }) => intended)).toBe(true);

    // What is shown has the author's fields again.
    const shown = opened.message as Uint8Array;
    for (const { name, value } of headers.fields) expect(outside(shown, name)).toEqual([value]);
    expect(header(shown)).not.toContain('HP-Outer');
    if (form === 'unsigned') {
      expect(header(shown)).not.toContain('hp=');
      return;
    }
    const verdict = await verify(shown, { trust, decrypted: true });
    expect(verdict.problems).toEqual([]);
    expect(states(found(verdict))).toEqual(wanted('signed-and-encrypted', 'signed-only'));
    // Nothing tells verify that there was encryption, and hp="cipher" alone is not believed (RFC 9788 2.1.1).
    expect(states(found(await verify(shown, { trust })))).toEqual(wanted('signed-only', 'signed-only'));
  });

  it('a policy of the caller’s own', async () => {
    const calls: string[] = [];
    const policy: HeaderPolicy = (name, value) => {
      calls.push(name);
      return name === 'To' ? null : name === 'Subject' ? '=?utf-8?q?=2E?=' : value;
    };
    const sealed = await encrypt(bytes(MAIL), { recipients, protectHeaders: policy });
    expect(calls).toEqual(['Date', 'From', 'To', 'Subject', 'Keywords', 'Message-ID']);
    expect([outside(sealed, 'To'), outside(sealed, 'Subject')]).toEqual([[], ['=?utf-8?q?=2E?=']]);
    const headers = found(await decrypt(sealed, { keys }));
    expect(headers.outer.map(({ name, value }) => `${name}: ${value}`)).toEqual([
      'Date: Sat, 20 Feb 2021 10:09:02 -0500',
      'From: Alice Example <alice@example.org>',
      'Subject: =?utf-8?q?=2E?=',
      'Keywords: contract, urgent',
      'Message-ID: <1@example.org>',
    ]);
  });

  const open = (from: string | RegExp, to: string) => decrypt(replaced(sealed, from, to), { keys });

  it('misdirected replies: recipients that were added outside are not in what is shown', async () => {
    const opened = await open(
      'Subject:',
      'Cc: mallory@example.org\r\nReply-To: mallory@example.org\r\nX-Spam: no\r\nSubject:',
    );
    expect(header(opened.message as Uint8Array)).not.toContain('mallory');
    expect(header(opened.message as Uint8Array)).toContain('X-Spam: no');
    expect(found(opened).differences.filter(({ intended }) => !intended)).toEqual([
      { name: 'Cc', protected: [], outside: ['mallory@example.org'], intended: false },
      { name: 'Reply-To', protected: [], outside: ['mallory@example.org'], intended: false },
      { name: 'X-Spam', protected: [], outside: ['no'], intended: false },
    ]);
  });

  it('From address spoofing: without a signature, From of another address stays as transport had it', async () => {
    const opened = await open('From: Alice Example <alice@', 'From: Eve <eve@');
    expect(found(opened).fromMismatch).toBe(true);
    expect(outside(opened.message as Uint8Array, 'From')).toEqual(['Eve <eve@example.org>']);
    expect(outside(opened.message as Uint8Array, 'Subject')).toEqual(['The Jones contract']);
  });

  it('what was changed outside does not change what was meant to be confidential', async () => {
    const opened = await open('Subject: [...]', 'Subject: The Jones contract');
    expect(states(found(opened)).Subject).toBe('encrypted-only');
    expect(found(opened).differences.map(({ name }) => name)).toEqual(['Keywords']);
  });

  it('a CMS object that is no mail has protected fields, too', async () => {
    const der = Buffer.from(latin1(sealed).split('\r\n\r\n')[1] as string, 'base64');
    const opened = await decrypt(der, { keys });
    expect(opened.message).toBeUndefined();
    expect(found(opened)).toMatchObject({ differences: [], fromMismatch: false });
  });

  it('a header of 20 KB before hp hides nothing of an opaque mail from `headers`', async () => {
    const long = MAIL.replace('Keywords:', `Keywords: ${'word, '.repeat(3400)}`);
    const opaque = await signed(long.replaceAll(/(?:word, ){100}/g, '$&\r\n '), {
      protectHeaders: 'baseline',
      detached: false,
    });
    const opened = await decrypt(await encrypt(opaque, { recipients }), { keys });
    expect(found(opened).fields.map(({ name }) => name)).toContain('Subject');
  });

  it.each([
    ['a mail', MAIL],
    [
      'one whose fields only `headers` finds',
      MAIL.replace('Keywords:', `Keywords: ${'word,\r\n '.repeat(3400)}`),
    ],
  ])(
    'of %s, message and headers are the same whichever is asked for first, and made once',
    async (_, mail) => {
      const opaque = await signed(mail, { protectHeaders: 'baseline', detached: false });
      const sealed = await encrypt(opaque, { recipients });
      const [one, other] = [await decrypt(sealed, { keys }), await decrypt(sealed, { keys })];
      const { headers, message } = one; // headers first
      expect({ message: other.message, headers: other.headers }).toEqual({ message, headers });
      expect(headers).toBeDefined();
      expect([one.headers === headers, one.message === message]).toEqual([true, true]);
    },
  );

  it('HP-Outer is folded where its line would be too long, and read so', async () => {
    const long = MAIL.replace('Subject: The', `X-Long: ${'x'.repeat(985)}\r\nSubject: The`);
    const opened = await decrypt(await encrypt(bytes(long), { recipients, protectHeaders: 'baseline' }), {
      keys,
    });
    expect(latin1(opened.content)).toContain('HP-Outer:\r\n X-Long: xxx');
    expect(
      Math.max(
        ...latin1(opened.content)
          .split('\r\n')
          .map(({ length }) => length),
      ),
    ).toBeLessThanOrEqual(998);
    expect(states(found(opened))['X-Long']).toBe('unprotected');
  });

  it('a payload cut or changed anywhere gives protected fields or none, and no error but ours', () => {
    const payload = latin1(
      protectHeaders(
        {
          outer: bytes('From: a@b.example\r\nSubject: x\r\n'),
          entity: bytes('Content-Type: text/plain\r\n\r\nHi\r\n'),
        },
        { protectHeaders: 'baseline', legacyDisplay: true },
      ).entity,
    );
    const outer = parseEntity(bytes('From: a@b.example\r\nSubject: [...]\r\n\r\n')).headers;
    let read = 0;
    const attempt = (text: string) => {
      const result = protectedHeadersIn(bytes(text), outer);
      if (result !== undefined) read++;
      applyProtected(bytes('From: a@b.example\r\n'), bytes(text), result);
    };
    for (let i = 0; i <= payload.length; i++) {
      attempt(payload.slice(0, i));
      for (const octet of ['\r', '\n', '\0', '"', ';', ':', '\xff', ' ']) {
        attempt(payload.slice(0, i) + octet + payload.slice(i + 1));
      }
    }
    expect(read).toBeGreaterThan(payload.length);
  });

  it('header fields of any content, there and back', async () => {
    const line = fc.stringMatching(/^[!-~]([ -~]{0,60}[!-~])?$/);
    const field = fc.tuple(
      fc.stringMatching(/^[A-Z][A-Za-z-]{0,20}$/),
      fc.array(line, { minLength: 1, maxLength: 3 }),
    );
    const usable = (name: string) =>
      !/^(?:content-|mime-version|list-|arc-|hp-outer|bcc|resent-bcc|received|from|date|to|cc)/i.test(name);
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          field.filter(([name]) => usable(name)),
          { maxLength: 8 },
        ),
        async (fields) => {
          const text = fields.map(([name, lines]) => `${name}: ${lines.join('\r\n\t')}\r\n`).join('');
          const mail = await encrypt(bytes(`${text}Content-Type: text/plain\r\n\r\nx`), {
            recipients,
            protectHeaders: 'baseline',
          });
          const { headers } = await decrypt(mail, { keys });
          expect(headers?.fields.map(({ name, value }) => [name, value])).toEqual(
            fields.map(([name, lines]) => [name, lines.join('\t')]),
          );
          expect(headers?.differences.every(({ intended }) => intended)).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('policies (RFC 9788 3.2)', () => {
  it.each<[HeaderPolicyName, string, string, string | null]>([
    ['baseline', 'SUBJECT', 'x', '[...]'],
    ['baseline', 'Comments', 'x', null],
    ['baseline', 'Date', 'Sat, 20 Feb 2021 10:09:02 -0500', 'Sat, 20 Feb 2021 10:09:02 -0500'],
    ['shy', 'Subject', 'x', '[...]'],
    ['shy', 'Keywords', 'x', null],
    ['shy', 'From', '"Doe, Ann" <a@b.example>', 'a@b.example'],
    ['shy', 'From', 'a@B.example', 'a@B.example'],
    ['shy', 'Cc', 'a@b.example (Ann), =?utf-8?q?Bj=C3=B6rn?= <c@d.example>', 'a@b.example, c@d.example'],
    ['shy', 'To', 'undisclosed-recipients:;', 'undisclosed-recipients:;'],
    ['shy', 'To', 'not an address', 'not an address'],
    ['shy', 'To', 'Ä <ä@b.example>', 'Ä <ä@b.example>'],
    ['shy', 'Reply-To', 'Ann <a@b.example>', 'Ann <a@b.example>'],
    ['shy', 'Date', '20 Feb 2021 23:09 -0500 (EST)', 'Sun, 21 Feb 2021 04:09:00 +0000'],
    ['shy', 'Date', 'yesterday', 'yesterday'],
    ['shy', 'Date', '2021-02-20T10:09:02', '2021-02-20T10:09:02'],
    ['no_confidentiality', 'Subject', 'x', 'x'],
  ])('%s, %s: %s', (policy, name, value, expected) => {
    expect(HEADER_POLICIES[policy](name, value)).toBe(expected);
  });

  it.each<[string, () => Promise<unknown>, string]>([
    ['an unknown policy', () => signed(MAIL, { protectHeaders: 'timid' as never }), 'RangeError'],
    ['a value with a line end', () => signed(MAIL, { protectHeaders: () => 'a\r\nBcc: b' }), 'RangeError'],
    ['a value that is not ASCII', () => signed(MAIL, { protectHeaders: () => 'ä' }), 'RangeError'],
    [
      'a policy that returns nothing',
      () => signed(MAIL, { protectHeaders: (() => undefined) as never }),
      'RangeError',
    ],
    [
      'legacy display of signed mail',
      () => signed(MAIL, { protectHeaders: 'clear', legacyDisplay: true }),
      'RangeError',
    ],
    ['legacy display alone', () => encrypt(bytes(MAIL), { recipients, legacyDisplay: true }), 'RangeError'],
    [
      'a mail that is signed already',
      async () => encrypt(await signed(MAIL, {}), { recipients, protectHeaders: 'baseline' }),
      'USAGE',
    ],
    [
      'a mail that is encrypted already',
      async () =>
        sign(await encrypt(bytes(MAIL), { recipients }), { signers: [alice], protectHeaders: 'clear' }),
      'USAGE',
    ],
  ])('refused: %s', async (_, run, code) => {
    expect(await failure(run())).toBe(code);
  });
});

describe('Legacy Display Elements', () => {
  async function content(entity: string, subject = 'Dinner plans'): Promise<Decrypted> {
    const mail = utf8(`From: a@b.example\r\nSubject: ${subject}\r\nKeywords: x\r\n${entity}`);
    return decrypt(await encrypt(mail, { recipients, protectHeaders: 'baseline', legacyDisplay: true }), {
      keys,
    });
  }
  const shownText = ({ message }: Decrypted) => latin1(decodeBody(parseEntity(message as Uint8Array)));
  const type = ({ content }: Decrypted) => parseEntity(content).contentType;

  it.each([
    ['text/plain', 'Content-Type: text/plain\r\n\r\nHello\r\n', 'Subject: Dinner plans\r\n\r\nHello\r\n'],
    ['no type', '\r\nHello\r\n', 'Subject: Dinner plans\r\n\r\nHello\r\n'],
    [
      'base64',
      'Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8NCg==\r\n',
      'Subject: Dinner plans\r\n\r\nHello\r\n',
    ],
    [
      'quoted-printable, label first',
      'Content-Transfer-Encoding: quoted-printable\r\nContent-Type: text/plain\r\n\r\nHell=6F\r\n',
      'Subject: Dinner plans\r\n\r\nHello\r\n',
    ],
    [
      'HTML',
      'Content-Type: text/html\r\n\r\n<html><body class=x>\r\n<p>Hi</p></body></html>\r\n',
      '<html><body class=x><div class="header-protection-legacy-display">\r\n<pre>Subject: Dinner plans</pre></div>\r\n<p>Hi</p></body></html>\r\n',
    ],
    [
      'HTML without a body tag',
      'Content-Type: text/html\r\n\r\n<p>Hi</p>\r\n',
      '<div class="header-protection-legacy-display">\r\n<pre>Subject: Dinner plans</pre></div><p>Hi</p>\r\n',
    ],
  ])('%s', async (_, entity, expected) => {
    const opened = await content(entity);
    expect([type(opened).parameters.get('hp'), type(opened).parameters.get('hp-legacy-display')]).toEqual([
      'cipher',
      '1',
    ]);
    expect(latin1(decodeBody(parseEntity(opened.content)))).toBe(expected);
    const plain = latin1(decodeBody(parseEntity(bytes(entity))));
    expect(shownText(opened)).toBe(plain);
    expect(latin1(opened.message as Uint8Array)).not.toMatch(/hp-legacy-display|hp=/);
  });

  it('markup in a subject is text', async () => {
    const opened = await content('Content-Type: text/html\r\n\r\n<p>Hi</p>', '</pre><img src=x> & more');
    expect(latin1(opened.content)).toContain('<pre>Subject: &lt;/pre&gt;&lt;img src=x&gt; &amp; more</pre>');
  });

  it.each([
    ['us-ascii', 'Hello', 'Hello'],
    ['utf-8', 'Gr\xc3\xbc\xc3\x9fe', 'Grüße'],
    ['iso-8859-1', 'Gr\xfc\xdfe', 'Grüße'],
  ])('an encoded subject is shown decoded in %s', async (charset, body, expected) => {
    const mail = bytes(
      `From: a@b.example\r\nSubject: =?utf-8?q?Caf=C3=A9?=\r\nContent-Type: text/plain; charset=${charset}\r\n\r\n${body}\r\n`,
    );
    const sealed = await encrypt(mail, { recipients, protectHeaders: 'baseline', legacyDisplay: true });
    const part = parseEntity((await decrypt(sealed, { keys })).content);
    expect(part.contentType.parameters.get('charset')).toBe('utf-8');
    expect(Buffer.from(decodeBody(part)).toString('utf8')).toBe(`Subject: Café\r\n\r\n${expected}\r\n`);
  });

  it('only main body parts have one: no attachment, no second part of multipart/mixed', async () => {
    const text = (rest = '') => `Content-Type: text/plain${rest}\r\n\r\ntext\r\n`;
    const entity =
      'Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n' +
      `--a\r\n${text()}--a\r\nContent-Type: text/html\r\n\r\n<p>text\r\n--a--\r\n` +
      `--m\r\n${text()}--m\r\n${text('\r\nContent-Disposition: attachment')}--m--\r\n`;
    const opened = await content(entity);
    const marks = (bytes: Uint8Array) => latin1(bytes).match(/hp-legacy-display="1"/g)?.length ?? 0;
    const [alternative, ...others] = parseEntity(opened.content).multipart().parts;
    expect(alternative?.multipart().parts.map((part) => marks(part.bytes))).toEqual([1, 1]);
    expect(others.map((part) => marks(part.bytes))).toEqual([0, 0]);
    expect(marks(opened.message as Uint8Array)).toBe(0);
    expect(latin1(opened.message as Uint8Array)).not.toContain('Subject: Dinner plans\r\n\r\ntext');
    const attached = await content(text('\r\nContent-Disposition: attachment; filename=x'));
    expect(marks(attached.content)).toBe(0);
  });

  it('nothing hidden, nothing written', async () => {
    const mail = bytes('From: a@b.example\r\n\r\nHello\r\n');
    const sealed = await encrypt(mail, { recipients, protectHeaders: 'baseline', legacyDisplay: true });
    expect(latin1((await decrypt(sealed, { keys })).content)).not.toContain('legacy');
  });

  it('in a signed mail it stays, since it is signed, and is taken out when asked for', async () => {
    const mail = await signed(MAIL, { protectHeaders: 'baseline', legacyDisplay: true });
    const { message } = await decrypt(await encrypt(mail, { recipients }), { keys });
    const verdict = await verify(message as Uint8Array, { trust, decrypted: true });
    expect(verdict.problems).toEqual([]);
    expect(latin1(verdict.content)).toContain('\r\n\r\nSubject: The Jones contract\r\n\r\nHello Bob');
    expect(latin1(removeLegacyDisplay(verdict.content))).toMatch(/hp="cipher"\r\n\r\nHello Bob/);
  });

  it.each([
    ['text without a blank line', 'text/plain', 'Subject: x', 'Subject: x'],
    ['a blank line first', 'text/plain', '\r\nHello', 'Hello'],
    ['LF', 'text/plain', 'Subject: x\n\nHello', 'Hello'],
    [
      'a div within',
      'text/html',
      `<body><div id=1 class='a header-protection-legacy-display'><div>x</div>y</div><p>z`,
      '<body><p>z',
    ],
    [
      'two of them',
      'text/html',
      '<div class=header-protection-legacy-display>x</div>a<DIV CLASS="header-protection-legacy-display">y</DIV>b',
      'ab',
    ],
    ['one that is not closed', 'text/html', '<p>a<div class="header-protection-legacy-display">x', '<p>a'],
    ['another class', 'text/html', '<div class="x">a</div>', '<div class="x">a</div>'],
  ])('taken out: %s', (_, mime, body, expected) => {
    const entity = bytes(`Content-Type: ${mime}; hp=cipher; hp-legacy-display=1\r\n\r\n${body}`);
    expect(latin1(removeLegacyDisplay(entity))).toBe(`Content-Type: ${mime}; hp=cipher\r\n\r\n${expected}`);
  });

  it.each([
    ['an attachment', 'multipart/mixed', '\r\nContent-Disposition: attachment; filename=a.txt'],
    ['a second part', 'multipart/mixed', ''],
  ])('%s is not cut, whatever mark it has', (_, type, disposition) => {
    const entity = bytes(
      `Content-Type: ${type}; boundary=q; hp="cipher"\r\n\r\n--q\r\n\r\nhi\r\n--q\r\nContent-Type: text/plain; hp-legacy-display=1${disposition}\r\n\r\nfirst\r\n\r\nsecond\r\n--q--\r\n`,
    );
    expect(removeLegacyDisplay(entity)).toBe(entity);
  });

  it.each(['', '; hp="clear"', '; protected-headers="v1"'])('nor is text of a payload «%s»', (parameter) => {
    const entity = bytes(
      `Content-Type: text/plain${parameter}; hp-legacy-display=1\r\n\r\nfirst\r\n\r\nsecond`,
    );
    expect(removeLegacyDisplay(entity)).toBe(entity);
  });

  it.each([
    ['tags that are not closed', '<div class=x '],
    ['elements', '<div class=header-protection-legacy-display>x</div>'],
    ['elements within', '<div class=header-protection-legacy-display>'],
  ])('time to take out grows linearly: %s', (_, piece) => {
    const time = (n: number) => {
      const entity = bytes(
        `Content-Type: text/html; hp=cipher; hp-legacy-display=1\r\n\r\n${piece.repeat(n)}`,
      );
      const start = performance.now();
      removeLegacyDisplay(entity);
      return performance.now() - start;
    };
    time(1000);
    expect(time(50_000)).toBeLessThan(60 * Math.max(time(5000), 1));
  });
});

describe('time to show a decrypted mail grows linearly', () => {
  const names = (n: number) => Array.from({ length: n }, (_, i) => `a${i.toString(36)}:\r\n`).join('');
  it.each([
    ['a parameter without a value', (n: number) => `; ${'a'.repeat(n)}\r\n`],
    ['fields of many names', (n: number) => `\r\n${names(n)}`],
  ])('%s', (_, rest) => {
    const time = (n: number) => {
      const payload = bytes(`Content-Type: text/plain; hp="cipher"${rest(n)}\r\nHello\r\n`);
      const outer = bytes('From: a@b.example\r\n');
      const read = protectedHeadersIn(payload, undefined);
      expect(read).toBeDefined();
      const start = performance.now();
      applyProtected(outer, payload, read);
      return performance.now() - start;
    };
    time(1000);
    // 8 times the size: linear is 8 times the time, quadratic 64.
    const ratio = () => time(64_000) / Math.max(time(8000), 1);
    expect([ratio, ratio, ratio].some((measure) => measure() < 40)).toBe(true);
  });
});

describe('other schemes', () => {
  const inner = crlf('From: Alice <alice@example.org>', 'Subject: Inside', ENTITY);
  const outer = 'From: alice@example.org\r\nSubject: [...]\r\n';
  const openedEntity = async (entity: string) =>
    decrypt(await encrypt(bytes(outer + entity), { recipients }), { keys });
  const verified = async (entity: string) => verify(await signed(outer + entity, {}), { trust });

  it.each([
    ['', undefined],
    ['; forwarded=no', undefined],
  ])('RFC 8551: a wrapped message%s', async (parameter) => {
    const entity = `Content-Type: message/rfc822${parameter}\r\n\r\n${inner}`;
    const verdict = await verified(entity);
    expect(verdict).toMatchObject({
      problems: [],
      senderVerified: true,
      headers: { scheme: 'RFC 8551', intent: 'clear' },
    });
    expect(states(found(verdict))).toEqual({ From: 'signed-only', Subject: 'signed-only' });
    const opened = await openedEntity(entity);
    expect(found(opened)).toMatchObject({ scheme: 'RFC 8551', intent: 'cipher', fromMismatch: false });
    expect(states(found(opened))).toEqual({ From: 'encrypted-only', Subject: 'encrypted-only' });
    expect(outside(opened.message as Uint8Array, 'Subject')).toEqual(['Inside']);
    expect(latin1(decodeBody(parseEntity(opened.message as Uint8Array)))).toBe(
      'Hello Bob,\r\n\r\nyours, Alice\r\n',
    );
  });

  it('protected-headers="v1", as before RFC 9788', async () => {
    const entity = bytes(
      'From: alice@example.org\r\nSubject: Inside\r\nContent-Type: text/plain; protected-headers="v1"\r\n\r\nx\r\n',
    );
    const { pieces } = envelopedPieces(entity, { recipients });
    const mail = buildPkcs7Mime({ outer: bytes(outer), smimeType: 'enveloped-data', content: pieces });
    const opened = await decrypt(mail, { keys });
    expect(found(opened)).toMatchObject({
      scheme: 'protected-headers',
      intent: 'cipher',
      fromMismatch: false,
    });
    expect(states(found(opened))).toEqual({ From: 'unprotected', Subject: 'encrypted-only' });
    expect(outside(opened.message as Uint8Array, 'Subject')).toEqual(['Inside']);
    // In a signed mail, the outer header stays for verify, which reads off it what is confidential.
    const opaqueInside = buildPkcs7Mime({
      smimeType: 'signed-data',
      content: (await signedPieces(entity, { signers: [alice], detached: false })).pieces,
    });
    const both = await encrypt(concat([bytes(outer), opaqueInside]), { recipients });
    const { message } = await decrypt(both, { keys });
    expect(outside(message as Uint8Array, 'Subject')).toEqual(['[...]']);
    expect(states(found(await verify(message as Uint8Array, { trust, decrypted: true })))).toEqual({
      From: 'signed-only',
      Subject: 'signed-and-encrypted',
    });
    const signature = await signedPieces(entity, { signers: [alice], detached: false });
    const opaque = buildPkcs7Mime({
      outer: bytes(outer),
      smimeType: 'signed-data',
      content: signature.pieces,
    });
    const verdict = await verify(opaque, { trust });
    expect(verdict.problems).toEqual([]);
    expect(found(verdict)).toMatchObject({ scheme: 'protected-headers', intent: 'clear' });
  });

  it.each([
    ['forwarded=yes', `Content-Type: message/rfc822; forwarded=yes\r\n\r\n${inner}`],
    ['hp on the wrapper', `Content-Type: message/rfc822; hp=other\r\n\r\n${inner}`],
    [
      'hp on the wrapped message',
      `Content-Type: message/rfc822\r\n\r\n${inner.replace('us-ascii', 'us-ascii; hp=clear')}`,
    ],
    [
      'a wrapped message that is S/MIME',
      `Content-Type: message/rfc822\r\n\r\n${inner.replace('text/plain', 'application/pkcs7-mime')}`,
    ],
    ['hp of another value', 'Content-Type: text/plain; hp="other"\r\n\r\nx'],
    [
      'hp below the root',
      'Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nSubject: x\r\nContent-Type: text/plain; hp="clear"\r\n\r\nx\r\n--b--\r\n',
    ],
    ['hp in the text', 'Content-Type: text/plain\r\n\r\nhp="clear"'],
    ['a word like it in another field', 'Content-Description: hp\r\n\r\nx'],
  ])('no protected fields: %s', async (_, entity) => {
    expect((await verified(entity)).headers).toBeUndefined();
    expect((await openedEntity(entity)).headers).toBeUndefined();
  });

  it('hp outside, beside the signature and on a signed layer says nothing', async () => {
    const plain = await signed(MAIL, {});
    const marked = replaced(plain, 'multipart/signed;', 'multipart/signed; hp="clear";');
    expect((await verify(marked, { trust })).headers).toBeUndefined();
    const twice = await sign(marked, { signers: [alice] });
    expect((await verify(twice, { trust })).headers).toBeUndefined();
  });
});

describe('parameters of a field', () => {
  it.each([
    ['added', 'Content-Type: a/b\r\n', 'Content-Type: a/b;\r\n hp="clear"\r\n'],
    ['behind a semicolon', 'Content-Type: a/b; \r\n', 'Content-Type: a/b;\r\n hp="clear"\r\n'],
    ['replaced', 'Content-Type: a/b; HP=cipher; x=1\n', 'Content-Type: a/b; x=1;\r\n hp="clear"\r\n'],
    [
      'in sections',
      "Content-Type: a/b; hp*0*=us-ascii''ci; hp*1=pher\r\n",
      'Content-Type: a/b;\r\n hp="clear"\r\n',
    ],
    [
      'in a quoted string',
      'Content-Type: a/b; x="; hp=\\"1"\r\n',
      'Content-Type: a/b; x="; hp=\\"1";\r\n hp="clear"\r\n',
    ],
    [
      'in a comment',
      'Content-Type: a/b (; hp=1); x=1\r\n',
      'Content-Type: a/b (; hp=1); x=1;\r\n hp="clear"\r\n',
    ],
    [
      'of another name',
      'Content-Type: a/b;\r\n hp-legacy-display=1\r\n',
      'Content-Type: a/b;\r\n hp-legacy-display=1;\r\n hp="clear"\r\n',
    ],
  ])('%s', (_, field, expected) => {
    expect(setParameters(field, { hp: 'clear' })).toBe(expected);
    expect(setParameters(expected, { hp: 'clear' })).toBe(expected);
  });

  it('a protected mail that is signed anew has one hp', async () => {
    const again = await signed(MAIL.replace('us-ascii', 'us-ascii; hp="cipher"'), {
      protectHeaders: 'clear',
    });
    expect(latin1(again).match(/hp="?\w+/g)).toEqual(['hp="clear']);
  });
});

describe.skipIf(!hasOpenssl)('openssl', () => {
  it('verifies and opens what has protected fields', async () => {
    const folder = temporaryFolder();
    const mail = await signed(MAIL, { protectHeaders: 'clear' });
    const run = openssl(['cms', '-verify', '-noverify', '-out', `${folder}/content`], mail);
    expect([run.status, run.stderr]).toEqual([0, expect.stringContaining('successful')]);
  });
});
