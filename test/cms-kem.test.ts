/**
 * KEMRecipientInfo (RFC 9629) with ML-KEM (RFC 9936). Reading is tested on every Node.js, by key handles: each form that a
 * sender may write opens, and everything that is wrong is told without the key, or gives one error. On a Node.js without
 * ML-KEM: what needs it is refused by name. With it: what we encrypt we open, and so does Bouncy Castle, whose messages
 * are among those of cms-vectors.test.ts.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { parseDer } from '../src/asn1/tape.js';
import { fromHex, type PemBlock, readPem, toHex, utf8 } from '../src/bytes.js';
import type { EncryptionChoice } from '../src/cms/choice.js';
import { contentOfType, readContentInfo } from '../src/cms/content.js';
import { decryptEnvelopedData, type EncryptOptions, encryptData } from '../src/cms/enveloped.js';
import { describeRecipientInfo } from '../src/cms/recipientinfo.js';
import { keyRing } from '../src/cms/recipients.js';
import { SignedData, signData, verifySignedData } from '../src/cms/signed.js';
import { MailsealError } from '../src/errors.js';
import { decrypt, encrypt } from '../src/smime/message.js';
import { Certificate } from '../src/x509/certificate.js';
import { type AnyPrivateKey, type KeyHandle, PrivateKey } from '../src/x509/keys.js';
import { hasMlKem, ML_KEM, type MlKemAlgorithm } from '../src/x509/mlkem.js';
import { toBer } from './helpers/ber.js';
import { gcmEnvelope, parseEnveloped } from './helpers/enveloped.js';
import { failure } from './helpers/failures.js';
import { type KemriInput, kemri } from './helpers/kemri.js';
import { bouncyCastle, hasBouncyCastleKem, temporaryFolder } from './helpers/peers.js';
import { issueCertificate, person } from './helpers/pki.js';
import { corpora, readCorpus, readVector, vectorPath } from './helpers/vectors.js';

const CONTENT = utf8('Content-Type: text/plain\r\n\r\nSecret\r\n');
const SIZES = Object.keys(ML_KEM) as MlKemAlgorithm[];

/** The keys of RFC 9935, whose certificates share an issuer and a serial number. */
const pem = (name: MlKemAlgorithm, label: string) => {
  const blocks = readPem(readVector('bc-test-data', `pkix/cert/mlkem/${name.toUpperCase()}.pem`));
  return (blocks.find((one) => one.label === label) as PemBlock).bytes;
};
const certificates = new Map(SIZES.map((name) => [name, Certificate.parse(pem(name, 'CERTIFICATE'))]));
const certificateOf = (name: MlKemAlgorithm) => certificates.get(name) as Certificate;

const ring = (privateKey: AnyPrivateKey, certificate: Certificate) =>
  keyRing({ entries: [{ privateKey, certificate }] });

describe('reading, by a key handle', () => {
  const contentKey = randomBytes(16);
  const secret = randomBytes(32);
  const handleOf = (name: MlKemAlgorithm, decapsulate: KeyHandle['decapsulate']): KeyHandle => ({
    publicKey: certificateOf(name).publicKey,
    ...(decapsulate && { decapsulate }),
  });
  const answering = (name: MlKemAlgorithm) => handleOf(name, async () => Uint8Array.from(secret));

  function message(name: MlKemAlgorithm, input: Partial<KemriInput> = {}): Uint8Array {
    const recipient = certificateOf(name);
    const ciphertext = new Uint8Array(ML_KEM[name].ciphertextSize).fill(7);
    return gcmEnvelope(contentKey, CONTENT, [kemri({ recipient, secret, ciphertext, contentKey, ...input })]);
  }
  const open = (bytes: Uint8Array, name: MlKemAlgorithm, handle = answering(name)) =>
    decryptEnvelopedData(parseEnveloped(bytes), ring(handle, certificateOf(name)));

  describe.each(SIZES)('%s', (name) => {
    it('every KDF with every key wrap', async () => {
      let opened = 0;
      for (const kdf of ['hkdf', 'kdf3'] as const) {
        for (const hash of ['sha256', 'sha384', 'sha512'] as const) {
          for (const wrap of [OID.aes128Wrap, OID.aes192Wrap, OID.aes256Wrap]) {
            const { content, keyEncryption, recipient } = await open(
              message(name, { kdf, hash, wrap }),
              name,
            );
            expect([toHex(content), keyEncryption]).toEqual([toHex(CONTENT), name]);
            expect(recipient?.type).toBe('issuerAndSerialNumber');
            opened++;
          }
        }
      }
      expect(opened).toBe(18);
    });

    it('the handle is asked once, with the ciphertext, and its answer is wiped', async () => {
      const asked: string[] = [];
      const answer = Uint8Array.from(secret);
      await open(
        message(name),
        name,
        handleOf(name, async (ciphertext) => {
          asked.push(toHex(ciphertext));
          ciphertext.fill(0); // its own copy
          return answer;
        }),
      );
      expect(asked).toEqual(['07'.repeat(ML_KEM[name].ciphertextSize)]);
      expect(toHex(answer)).toBe('00'.repeat(32));
    });
  });

  it.each<[string, Partial<KemriInput>]>([
    ['user keying material', { ukm: utf8('context') }],
    ['user keying material of no octets', { ukm: new Uint8Array() }],
    ['parameters of the key wrap that are NULL', { withNull: true }],
    [
      'parameters of HKDF that are NULL',
      {
        kdfAlgorithm: (w) => {
          w.oid(OID.hkdfWithSha256);
          w.null();
        },
      },
    ],
    ['another version', { version: 2 }],
  ])('%s', async (_, input) => {
    const bytes = message('ml-kem-768', input);
    for (const encoded of [bytes, toBer(bytes, 100)]) {
      expect(toHex((await open(encoded, 'ml-kem-768')).content)).toBe(toHex(CONTENT));
    }
  });

  it.each<[string, Partial<KemriInput>, string, string?]>([
    ['another KEM (RSA-KEM)', { kem: '1.0.18033.2.2.4' }, 'UNSUPPORTED_ALGORITHM', '1.0.18033.2.2.4'],
    ['another KDF', { kdfAlgorithm: (w) => w.oid('1.2.3') }, 'UNSUPPORTED_ALGORITHM', '1.2.3'],
    ['KDF3 without digest', { kdfAlgorithm: (w) => w.oid(OID.kdf3) }, 'UNSUPPORTED_ALGORITHM', OID.kdf3],
    [
      'KDF3 with SHA-1',
      {
        kdfAlgorithm: (w) => {
          w.oid(OID.kdf3);
          w.sequence((w) => w.oid(OID.sha1));
        },
      },
      'UNSUPPORTED_ALGORITHM',
      OID.sha1,
    ],
    [
      'HKDF with parameters',
      {
        kdfAlgorithm: (w) => {
          w.oid(OID.hkdfWithSha256);
          w.integer(1);
        },
      },
      'ASN1_UNEXPECTED',
    ],
    ['another key wrap', { wrap: OID.cmsRc2Wrap }, 'UNSUPPORTED_ALGORITHM', OID.cmsRc2Wrap],
    ['a kekLength that is not that of the key wrap', { kekLength: 16 }, 'CMS_MALFORMED'],
    ['a kekLength of nothing', { kekLength: 0 }, 'CMS_MALFORMED'],
    ['a ciphertext that is too short', { ciphertext: new Uint8Array(1087) }, 'CMS_MALFORMED'],
    ['a ciphertext that is too long', { ciphertext: new Uint8Array(1089) }, 'CMS_MALFORMED'],
    ['no ciphertext', { ciphertext: new Uint8Array() }, 'CMS_MALFORMED'],
  ])('%s is told without the key', async (_, input, code, oid) => {
    let asked = 0;
    const handle = handleOf('ml-kem-768', async () => {
      asked++;
      return Uint8Array.from(secret);
    });
    const error = await failure(() => open(message('ml-kem-768', input), 'ml-kem-768', handle));
    expect([error.code, error.oid, asked]).toEqual([code, oid, 0]);
  });

  it('implicit rejection: one error for another secret, another ukm, another wrapped key', async () => {
    const wrapped = message('ml-kem-768');
    const at = Buffer.from(wrapped).indexOf(Buffer.from(fromHex('060960864801650304012d0418'))) + 13;
    expect(at).toBeGreaterThan(13);
    const changedKey = Uint8Array.from(wrapped);
    changedKey[at] = (changedKey[at] as number) ^ 1;
    const ukm = utf8('context');
    const messages = [
      message('ml-kem-768', { secret: randomBytes(32) }),
      message('ml-kem-768', { secret: randomBytes(31) }),
      message('ml-kem-768', { ukm, writtenUkm: utf8('Context') }),
      message('ml-kem-768', { ukm, writtenUkm: null }),
      message('ml-kem-768', { writtenUkm: new Uint8Array() }),
      changedKey,
    ];
    for (const bytes of messages) {
      const error = await failure(() => open(bytes, 'ml-kem-768'));
      expect([error.code, error.message]).toEqual(['DECRYPTION_FAILED', 'the message does not decrypt']);
    }
  });

  it('cut at every octet it never opens', async () => {
    const bytes = message('ml-kem-512', { ukm: utf8('context'), wrap: OID.aes128Wrap });
    expect(toHex((await open(bytes, 'ml-kem-512')).content)).toBe(toHex(CONTENT));
    for (let length = 0; length < bytes.length; length++) {
      await failure(() => open(bytes.slice(0, length), 'ml-kem-512'));
    }
  });

  it('every octet around the ciphertext changed gives a coded error, or the content', async () => {
    const bytes = message('ml-kem-512', { ukm: utf8('context'), wrap: OID.aes128Wrap });
    const start = bytes.indexOf(7, bytes.indexOf(7) + 1);
    let failed = 0;
    let changes = 0;
    for (let at = 0; at < bytes.length; at++) {
      if (bytes[at] === 7 && at > start && at % 64 !== 0) continue;
      const changed = Uint8Array.from(bytes);
      changed[at] = (changed[at] as number) ^ 0x41;
      changes++;
      try {
        expect(toHex((await open(changed, 'ml-kem-512')).content)).toBe(toHex(CONTENT));
      } catch (error) {
        if (!(error instanceof MailsealError)) throw error;
        failed++;
      }
    }
    expect(failed / changes).toBeGreaterThan(0.8);
  });

  it('keys of another size under the same issuer and serial number are not asked', async () => {
    const asked: string[] = [];
    const entries = SIZES.map((name) => ({
      certificate: certificateOf(name),
      privateKey: handleOf(name, async () => {
        asked.push(name);
        return Uint8Array.from(secret);
      }),
    }));
    const { keyEncryption } = await decryptEnvelopedData(
      parseEnveloped(message('ml-kem-768')),
      keyRing({ entries }),
    );
    expect([keyEncryption, asked]).toEqual(['ml-kem-768', ['ml-kem-768']]);
  });

  it("a handle that fails, and one that can't do it, are told of", async () => {
    const cause = new Error('device removed');
    const own = new MailsealError('KEY_UNAVAILABLE', 'the token is locked');
    const rows: [KeyHandle['decapsulate'], object][] = [
      [() => Promise.reject(cause), { code: 'KEY_UNAVAILABLE', cause }],
      [() => Promise.reject(own), own],
      [async () => 'text' as unknown as Uint8Array, { code: 'KEY_UNAVAILABLE' }],
      [undefined, { code: 'KEY_UNSUITABLE', message: expect.stringContaining('no decapsulate') }],
    ];
    for (const [decapsulate, expected] of rows) {
      const error = await failure(() =>
        open(message('ml-kem-768'), 'ml-kem-768', handleOf('ml-kem-768', decapsulate)),
      );
      expect(error).toMatchObject(expected);
    }
  });

  it('whom such a message is for', () => {
    const [info] = parseEnveloped(message('ml-kem-768')).recipientInfos;
    expect(info?.type).toBe('keyEncapsulation');
    expect(info && describeRecipientInfo(info)).toEqual([
      'serial 159ffe6f22fd5cc42c524df6fd5e28d0de38f34f of CN=LAMPS WG,O=IETF',
    ]);
  });

  it('the drafts of RustCrypto, with another OID for ML-KEM-512, are read and refused by name', async () => {
    const draft = '1.3.6.1.4.1.22554.5.6.1';
    for (const what of ['kemri_auth', 'kemri_id-alg-hkdf-with-sha256', 'kemri_ukm']) {
      const bytes = readVector('rustcrypto-formats', `cms/${draft}_ML-KEM-512-ipd_${what}.der`);
      const keys = { find: async () => [{ recipient: 0, privateKey: answering('ml-kem-512'), reason: '' }] };
      const error = await failure(() => decryptEnvelopedData(parseEnveloped(bytes), keys));
      expect([error.code, error.oid]).toEqual(['UNSUPPORTED_ALGORITHM', draft]);
    }
  });

  it.skipIf(!corpora())('the example of RFC 9936, by the shared secret that it states', async () => {
    const folder = 'lamps-cms-kyber/example';
    const [cms] = readPem(readCorpus(`${folder}/ML-KEM-512.cms`));
    const [issued] = readPem(readCorpus(`${folder}/ML-KEM-512.pem`));
    const certificate = Certificate.parse((issued as PemBlock).bytes);
    const stated = (file: string) =>
      Buffer.from(readCorpus(`${folder}/${file}`))
        .toString()
        .trim();
    const handle: KeyHandle = {
      publicKey: certificate.publicKey,
      async decapsulate(ciphertext) {
        expect(toHex(ciphertext)).toBe(stated('ciphertext.txt').replace(/\s/g, '').toLowerCase());
        return fromHex(stated('shared_secret.txt'));
      },
    };
    const opened = await decryptEnvelopedData(
      parseEnveloped((cms as PemBlock).bytes),
      ring(handle, certificate),
    );
    expect(Buffer.from(opened.content).toString()).toBe(stated('plaintext.txt'));
    expect([opened.cipher, opened.keyEncryption]).toEqual(['aes128-gcm', 'ml-kem-512']);
  });

  it('beside another recipient', async () => {
    const alice = person({ subject: 'Alice' });
    const [kari] = parseEnveloped(
      encryptDataWith(contentKey, { recipients: [alice.certificate], cipher: 'aes128-gcm' }),
    ).recipientInfos;
    const recipient = certificateOf('ml-kem-768');
    const ciphertext = new Uint8Array(1088);
    const both = gcmEnvelope(contentKey, CONTENT, [
      kemri({ recipient, secret, ciphertext, contentKey }),
      kari?.node.bytes as Uint8Array,
    ]);
    for (const [key, certificate, keyEncryption] of [
      [alice.privateKey, alice.certificate, 'ecdh'],
      [answering('ml-kem-768'), recipient, 'ml-kem-768'],
    ] as const) {
      const opened = await decryptEnvelopedData(parseEnveloped(both), ring(key, certificate));
      expect([toHex(opened.content), opened.keyEncryption]).toEqual([toHex(CONTENT), keyEncryption]);
    }
    // Nobody's: both are named, whatever this Node.js has.
    const nobody = person({ subject: 'Nobody' });
    const error = await failure(() =>
      decryptEnvelopedData(parseEnveloped(both), ring(nobody.privateKey, nobody.certificate)),
    );
    expect(error.code).toBe('RECIPIENT_UNKNOWN');
    expect(error.message).toMatch(/CN=LAMPS WG,O=IETF; serial .* of CN=Alice/);
  });

  it.skipIf(hasMlKem())('on a Node.js without ML-KEM: by name, to encrypt as to decrypt', async () => {
    const alice = person({ subject: 'Alice' });
    const unsupported = expect.objectContaining({ code: 'UNSUPPORTED_ALGORITHM', oid: OID.mlKem768 });
    const recipients = [alice.certificate, certificateOf('ml-kem-768')];
    expect(() => encryptData(CONTENT, { recipients })).toThrow(unsupported);
    const data = parseEnveloped(message('ml-kem-768'));
    const keys = ring(alice.privateKey, alice.certificate);
    expect(await failure(() => decryptEnvelopedData(data, keys))).toEqual(unsupported);
    expect(await failure(() => decryptEnvelopedData(data, undefined))).toEqual(unsupported);
  });
});

it('who gets answers to an ML-KEM certificate says so in SMIMECapabilities (RFC 9936 2.4)', () => {
  const alice = person({ subject: 'Alice' });
  const said = (encryptionCertificate: Certificate) => {
    const signed = signData(CONTENT, { signers: [{ ...alice, encryptionCertificate }] });
    const [result] = verifySignedData(
      SignedData.parse(contentOfType(readContentInfo(signed), OID.signedData)),
    );
    expect(result?.valid).toBe(true);
    const kems = (result?.signedAttributes?.capabilities ?? []).filter(({ name }) =>
      name?.startsWith('mlKem'),
    );
    return kems.map(({ oid, parameters }) => [oid, parameters]);
  };
  expect(said(certificateOf('ml-kem-768'))).toEqual([[OID.mlKem768, undefined]]);
  expect(said(certificateOf('ml-kem-1024'))).toEqual([[OID.mlKem1024, undefined]]);
  expect(said(alice.certificate)).toEqual([]);
});

/** With a content key that is given. */
function encryptDataWith(contentKey: Uint8Array, options: EncryptOptions): Uint8Array {
  const random = (size: number) =>
    size === contentKey.length ? Uint8Array.from(contentKey) : randomBytes(size);
  return encryptData(CONTENT, { ...options, random });
}

describe.skipIf(!hasMlKem())('with the ML-KEM of this Node.js', () => {
  if (!hasMlKem()) return;
  const ca = issueCertificate({ subject: 'CA', ca: true });
  const people = new Map(SIZES.map((key) => [key, person({ subject: key, key, issuer: ca })]));
  const of = (name: MlKemAlgorithm) => people.get(name) as ReturnType<typeof person>;
  const open = (bytes: Uint8Array, { privateKey, certificate }: ReturnType<typeof person>) =>
    decryptEnvelopedData(parseEnveloped(bytes), ring(privateKey, certificate));

  describe.each(SIZES)('%s', (name) => {
    it('what we encrypt we open, with every cipher and identifier', async () => {
      for (const cipher of ['aes128-cbc', 'aes192-cbc', 'aes256-cbc', 'aes256-gcm'] as const) {
        for (const recipientIdentifier of ['issuerAndSerialNumber', 'subjectKeyIdentifier'] as const) {
          const recipients = [of(name).certificate];
          const bytes = encryptData(CONTENT, { recipients, cipher, recipientIdentifier });
          parseDer(bytes, { strict: true });
          for (const encoded of [bytes, toBer(bytes, 100)]) {
            const opened = await open(encoded, of(name));
            expect(toHex(opened.content)).toBe(toHex(CONTENT));
            expect(opened).toMatchObject({ cipher, keyEncryption: name });
            expect(opened.recipient?.type).toBe(recipientIdentifier);
          }
          expect(parseEnveloped(bytes).version).toBe(cipher === 'aes256-gcm' ? 0 : 3);
        }
      }
    });

    it('HKDF with SHA-256 and the key wrap that RFC 9936 2.1 has for the size; told of before', () => {
      let choice: EncryptionChoice | undefined;
      const bytes = encryptData(CONTENT, {
        recipients: [of(name).certificate],
        onChoice: (made) => {
          choice = made;
        },
      });
      const [info] = parseEnveloped(bytes).recipientInfos;
      if (info?.type !== 'keyEncapsulation') throw new Error('no key encapsulation');
      const bits = name === 'ml-kem-512' ? 128 : 256;
      expect([info.algorithm.oid, info.keyDerivation.oid, info.kekLength, info.wrapAlgorithm.oid]).toEqual([
        ML_KEM[name].oid,
        OID.hkdfWithSha256,
        bits / 8,
        bits === 128 ? OID.aes128Wrap : OID.aes256Wrap,
      ]);
      expect([info.algorithm, info.keyDerivation, info.wrapAlgorithm].map((one) => one.parameters)).toEqual([
        undefined,
        undefined,
        undefined,
      ]);
      expect(info.ukm).toBeUndefined();
      const [told] = choice?.recipients ?? [];
      expect(told?.keyEncryption).toEqual({ type: 'encapsulation', name });
      expect(told?.reason).toContain(`; ${name} with HKDF-SHA-256 and AES-${bits} key wrap`);
    });

    it('implicit rejection: a changed ciphertext, and another key under the same name, give one error', async () => {
      const { certificate } = of(name);
      const bytes = encryptData(CONTENT, { recipients: [certificate], cipher: 'aes256-gcm' });
      const [info] = parseEnveloped(bytes).recipientInfos;
      if (info?.type !== 'keyEncapsulation') throw new Error('no key encapsulation');
      const at = Buffer.from(bytes).indexOf(info.ciphertext);
      const errors = [];
      for (let offset = 0; offset < info.ciphertext.length; offset += 97) {
        const changed = Uint8Array.from(bytes);
        changed[at + offset] = (changed[at + offset] as number) ^ 1;
        errors.push(await failure(() => open(changed, of(name))));
      }
      const other = person({ subject: 'other', key: name, issuer: ca });
      const keys = ring(other.privateKey, certificate);
      errors.push(await failure(() => decryptEnvelopedData(parseEnveloped(bytes), keys)));
      expect(errors.length).toBeGreaterThan(7);
      expect(new Set(errors.map(({ code, message }) => `${code}: ${message}`))).toEqual(
        new Set(['DECRYPTION_FAILED: the message does not decrypt']),
      );
    });

    it('a fresh encapsulation for each message', () => {
      const one = { recipients: [of(name).certificate] };
      const ciphertexts = [1, 2].map(() => {
        const [info] = parseEnveloped(encryptData(CONTENT, one)).recipientInfos;
        return info?.type === 'keyEncapsulation' ? toHex(info.ciphertext) : '';
      });
      expect(new Set(ciphertexts).size).toBe(2);
    });

    it('a key that is none, or was wiped, is told of', async () => {
      const { privateKey, certificate } = of(name);
      const der = Uint8Array.from(certificate.der);
      const at = Buffer.from(der).indexOf(certificate.publicKey.bits);
      der.fill(0xff, at, at + 30);
      expect(() => encryptData(CONTENT, { recipients: [Certificate.parse(der)] })).toThrow(
        expect.objectContaining({ code: 'KEY_UNSUITABLE' }),
      );
      const wiped = PrivateKey.parse(privateKey.toPkcs8());
      wiped.wipe();
      const bytes = encryptData(CONTENT, { recipients: [certificate] });
      const error = await failure(() =>
        decryptEnvelopedData(parseEnveloped(bytes), ring(wiped, certificate)),
      );
      expect(error.code).toBe('KEY_UNSUITABLE');
    });
  });

  it('many recipients: each opens it, with keys of every kind among them', async () => {
    const others = (['rsa', 'P-256', 'x25519'] as const).map((key) =>
      person({ subject: key, key, issuer: ca }),
    );
    const all = [...others, ...people.values()];
    const bytes = encryptData(CONTENT, {
      recipients: all.map(({ certificate }) => certificate),
      passwords: ['password'],
    });
    const used = [];
    for (const one of all) {
      const opened = await open(bytes, one);
      expect(toHex(opened.content)).toBe(toHex(CONTENT));
      used.push(opened.keyEncryption);
    }
    expect(used).toEqual(['rsaes-pkcs1', 'ecdh', 'x25519', ...SIZES]);
  });

  it('a certificate that is not for keyEncipherment is refused (RFC 9935)', () => {
    for (const keyUsage of [['keyAgreement'], ['digitalSignature']] as const) {
      const { certificate } = person({ subject: 'wrong', key: 'ml-kem-768', issuer: ca, keyUsage });
      expect(() => encryptData(CONTENT, { recipients: [certificate] })).toThrow(
        expect.objectContaining({
          code: 'KEY_UNSUITABLE',
          message: expect.stringContaining('keyEncipherment'),
        }),
      );
    }
    const { certificate } = person({ subject: 'any', key: 'ml-kem-768', issuer: ca, keyUsage: null });
    expect(encryptData(CONTENT, { recipients: [certificate] }).length).toBeGreaterThan(1088);
  });

  it('mail', async () => {
    const { privateKey, certificate } = of('ml-kem-768');
    const mail = utf8('From: a@example.org\r\nSubject: Hello\r\n\r\nHello\r\n');
    const sent = await encrypt(mail, { recipients: [certificate] });
    const { message, keyEncryption } = await decrypt(sent, { keys: ring(privateKey, certificate) });
    expect(Buffer.from(message as Uint8Array).toString()).toContain('Hello\r\n');
    expect(keyEncryption).toBe('ml-kem-768');
  });

  it("Bouncy Castle's message to three opens for each, by the keys of RFC 9935", async () => {
    const bytes = readVector('made-with-bouncycastle-kem', 'ml-kem-three.p7m');
    const content = readVector('made-with-bouncycastle-kem', 'content');
    for (const name of SIZES) {
      const privateKey = PrivateKey.parse(pem(name, 'PRIVATE KEY'));
      const opened = await decryptEnvelopedData(parseEnveloped(bytes), ring(privateKey, certificateOf(name)));
      expect([toHex(opened.content), opened.keyEncryption]).toEqual([toHex(content), name]);
    }
  });

  it.skipIf(!hasBouncyCastleKem())(
    'Bouncy Castle opens what we encrypt (MAILSEAL_BOUNCYCASTLE names the folder of one that has KEMRecipientInfo)',
    () => {
      const folder = join(temporaryFolder(), 'kem');
      mkdirSync(folder);
      const expected: string[] = [];
      const content = Buffer.from(CONTENT).toString('base64');
      const write = (
        file: string,
        names: readonly MlKemAlgorithm[],
        options: Omit<EncryptOptions, 'recipients'>,
      ) => {
        const bytes = encryptData(CONTENT, { recipients: names.map(certificateOf), ...options });
        writeFileSync(join(folder, `${file}.p7m`), bytes);
        expected.push([`${file}.p7m`, ...names.map(() => content)].join(' '));
      };
      for (const name of SIZES) {
        for (const cipher of ['aes128-cbc', 'aes256-cbc', 'aes256-gcm'] as const) {
          for (const recipientIdentifier of ['issuerAndSerialNumber', 'subjectKeyIdentifier'] as const) {
            write(`${name}-${cipher}-${recipientIdentifier}`, [name], { cipher, recipientIdentifier });
          }
        }
      }
      write('three', SIZES, { recipientIdentifier: 'subjectKeyIdentifier' });
      const said = bouncyCastle(folder, 'BouncyCastleKem', vectorPath('bc-test-data', 'pkix/cert/mlkem'));
      expect(said.sort()).toEqual(expected.sort());
    },
    60_000,
  );
});
