/**
 * Signatures, encryption and compression around each other in any order, as triple wrapping (RFC 2634) has them, around
 * content of any kind and size: layer by layer it comes out as it went in.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, equal, utf8 } from '../src/bytes.js';
import { ENCRYPTION_CIPHERS } from '../src/cms/ciphers.js';
import { keyRing } from '../src/cms/recipients.js';
import { compress, decompress } from '../src/smime/compress.js';
import { decrypt, encrypt, sign } from '../src/smime/message.js';
import { decodeBody, parseEntity } from '../src/smime/mime.js';
import { verify } from '../src/smime/verify.js';
import { type KeyKind, person } from './helpers/pki.js';

const ca = person({ subject: 'CA', ca: true });
const trust = [ca.certificate];
const issuer = ca.issued;
const emails = ['a@b.example'];
const people = (...kinds: KeyKind[]) => kinds.map((key) => person({ subject: key, emails, key, issuer }));
const signers = people('rsa', 'P-256', 'ed25519', 'P-521');
const recipients = people('rsa', 'P-384', 'x25519');
const keys = keyRing({ entries: recipients });

const layer = fc.oneof(
  fc.record({
    kind: fc.constant('signed' as const),
    detached: fc.boolean(),
    by: fc.subarray(signers, { minLength: 1, maxLength: 2 }),
  }),
  fc.record({
    kind: fc.constant('encrypted' as const),
    cipher: fc.constantFrom(...ENCRYPTION_CIPHERS),
    to: fc.subarray(recipients, { minLength: 1 }),
    cekHkdf: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('compressed' as const) }),
);
type Layer = typeof layer extends fc.Arbitrary<infer T> ? T : never;

/** What is wrapped, and its body as it has to come out: text in CRLF. */
interface Content {
  entity: Uint8Array;
  body: Uint8Array;
}

const sizes = fc.oneof(fc.constantFrom(0, 1, 15, 16, 17, 63, 64, 65, 1 << 20), fc.nat(3000));
const binary = fc.tuple(sizes, fc.nat(255)).map(([size, start]): Content => {
  const body = new Uint8Array(size).map((_, i) => (i * 37 + start) & 0xff);
  const header = 'Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n';
  return { entity: concat([utf8(header), body]), body };
});
const line = fc.oneof(
  fc.constantFrom('From here', '.', '--', ' ', 'trailing \t', '', 'Ünïcode', '='),
  fc.string(),
  fc.nat(1500).map((length) => 'x'.repeat(length)),
);
const text = fc
  .tuple(fc.array(line, { maxLength: 20 }), fc.constantFrom('\n', '\r\n'))
  .map(([lines, end]): Content => {
    const written = lines.map((one) => one.replace(/[\r\n]/g, '')).map((one) => `${one}\n`);
    const header = 'Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n';
    const inLf = header + written.join('');
    return {
      entity: utf8(inLf.replaceAll('\n', end)),
      body: utf8(written.join('').replaceAll('\n', '\r\n')),
    };
  });

function wrap(message: Uint8Array, one: Layer): Promise<Uint8Array> {
  switch (one.kind) {
    case 'signed':
      return sign(message, { signers: one.by, detached: one.detached });
    case 'encrypted':
      return encrypt(message, {
        recipients: one.to.map(({ certificate }) => certificate),
        cipher: one.cipher,
        cekHkdf: one.cekHkdf,
      });
    case 'compressed':
      return compress(message);
  }
}

async function unwrap(message: Uint8Array, one: Layer): Promise<Uint8Array> {
  switch (one.kind) {
    case 'signed': {
      const verdict = await verify(message, { trust });
      expect(verdict.problems).toEqual([]);
      expect(verdict.signers).toHaveLength(one.by.length);
      expect(verdict.detached).toBe(one.detached);
      return verdict.content;
    }
    case 'encrypted': {
      const opened = await decrypt(message, { keys });
      expect(opened.cipher).toBe(one.cipher);
      expect(opened.integrity).toBe(one.cipher.endsWith('-cbc') ? 'none' : 'tag');
      return opened.content;
    }
    case 'compressed':
      return (await decompress(message)).content;
  }
}

describe('layers in any order', () => {
  it('one to four of them', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(binary, text),
        fc.array(layer, { minLength: 1, maxLength: 4 }),
        async ({ entity, body }, layers) => {
          let message: Uint8Array = concat([utf8('From: a@b.example\r\nSubject: s\r\n'), entity]);
          for (const one of layers) message = await wrap(message, one);
          expect(Buffer.from(message.subarray(0, 17)).toString()).toBe('From: a@b.example');
          for (const one of layers.toReversed()) message = await unwrap(message, one);
          expect(equal(decodeBody(parseEntity(message)), body)).toBe(true);
        },
      ),
      { numRuns: 80 },
    );
  }, 60_000);
});
