/**
 * Any cipher, any recipients, any size: whoever a message is for opens it and nobody else. What comes of damage:
 * damage.test.ts.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { equal, utf8 } from '../src/bytes.js';
import { ENCRYPTION_CIPHERS } from '../src/cms/ciphers.js';
import { type DecryptedContent, decryptEnvelopedData, encryptData } from '../src/cms/enveloped.js';
import { type KeyFinder, keyRing } from '../src/cms/recipients.js';
import type { SharedSecrets } from '../src/cms/sharedkeys.js';
import { MailsealError } from '../src/errors.js';
import { Certificate } from '../src/x509/certificate.js';
import { PrivateKey } from '../src/x509/keys.js';
import { hasMlKem } from '../src/x509/mlkem.js';
import { toBer } from './helpers/ber.js';
import { parseEnveloped } from './helpers/enveloped.js';
import { generateKey, issueCertificate, type KeyKind } from './helpers/pki.js';

async function decrypt(
  message: Uint8Array,
  keys: KeyFinder | undefined,
  secrets: SharedSecrets = {},
): Promise<DecryptedContent> {
  return decryptEnvelopedData(parseEnveloped(message), keys, secrets);
}

const ca = issueCertificate({ subject: 'CA', ca: true });
const KINDS: readonly KeyKind[] = [
  ...(['rsa', 'P-256', 'P-384', 'P-521', 'x25519', 'x448'] as const),
  ...(['brainpoolP256r1', 'brainpoolP384r1', 'brainpoolP512r1'] as const),
  ...(hasMlKem() ? (['ml-kem-512', 'ml-kem-768', 'ml-kem-1024'] as const) : []),
];
const keysOf = new Map(KINDS.map((kind) => [kind, generateKey(kind)]));

/** Two hundred people with few keys: what makes each a recipient of his own is the certificate. */
const people = Array.from({ length: 200 }, (_, i) => {
  const key = keysOf.get(KINDS[i % KINDS.length] as KeyKind) as Uint8Array;
  const { certificate } = issueCertificate({ subject: `User ${i}`, key, issuer: ca });
  return { certificate: Certificate.parse(certificate), privateKey: PrivateKey.parse(key) };
});
type Person = (typeof people)[number];
const keyIdentifier = utf8('shared');
const stranger = keyRing({ entries: [{ privateKey: PrivateKey.parse(generateKey('P-256')) }] });

/** A key without a certificate is on trial. One in 256 contents in CBC looks right under a wrong key, and is not it. */
async function neverOpens(message: Uint8Array, content: Uint8Array): Promise<void> {
  try {
    const opened = await decrypt(message, stranger);
    expect(opened.integrity).toBe('none');
    expect(equal(opened.content, content) && content.length > 2).toBe(false);
  } catch (error) {
    expect(error).toBeInstanceOf(MailsealError);
  }
}

describe('round trips', () => {
  const size = fc.oneof(
    fc.constantFrom(0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 65_535, 65_536, 65_537, 1 << 20),
    fc.integer({ min: 0, max: 5000 }),
  );
  const arbitrary = fc.record({
    cipher: fc.constantFrom(...ENCRYPTION_CIPHERS),
    size,
    first: fc.integer({ min: 0, max: people.length - 1 }),
    count: fc.oneof(
      { arbitrary: fc.integer({ min: 1, max: 6 }), weight: 5 },
      fc.integer({ min: 7, max: 199 }),
      fc.constant(200),
    ),
    reader: fc.nat(),
    recipientIdentifier: fc.constantFrom('issuerAndSerialNumber' as const, 'subjectKeyIdentifier' as const),
    keyTransport: fc.constantFrom('rsaes-pkcs1' as const, 'rsaes-oaep' as const),
    cekHkdf: fc.boolean(),
    shared: fc.option(fc.constantFrom(16, 24, 32), { nil: undefined }),
    contentType: fc.constantFrom(OID.data, OID.signedData),
    ber: fc.boolean(),
  });

  it('of every cipher, 1 to 200 recipients, 0 octets to 1 MB', async () => {
    await fc.assert(
      fc.asyncProperty(arbitrary, async (input) => {
        const { cipher, first, count, reader, shared, ber, ...options } = input;
        const content = new Uint8Array(input.size).map((_, i) => (i * 31 + reader) & 0xff);
        const all = Array.from({ length: count }, (_, i) => people[(first + i) % people.length] as Person);
        const sharedKeys =
          shared === undefined ? [] : [{ keyIdentifier, key: new Uint8Array(shared).fill(shared) }];
        const message = encryptData(content, {
          ...options,
          cipher,
          sharedKeys,
          recipients: all.map(({ certificate }) => certificate),
        });
        const encoded = ber && content.length < 5000 ? toBer(message, 700) : message;
        const one = all[reader % all.length] as Person;
        const opened = await decrypt(encoded, keyRing({ entries: [one] }));
        expect(equal(opened.content, content)).toBe(true);
        expect(opened).toMatchObject({ cipher, contentType: input.contentType });
        if (shared !== undefined) {
          expect(equal((await decrypt(encoded, undefined, { sharedKeys })).content, content)).toBe(true);
        }
        await neverOpens(encoded, content);
      }),
      { numRuns: 40 },
    );
  }, 300_000);
});
