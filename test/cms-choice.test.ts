/** What a message is encrypted with (RFC 8551 2.5.2, 2.7): by what recipients say that they read, their keys, and the policy. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { parseDer } from '../src/asn1/tape.js';
import { writeDer } from '../src/asn1/write.js';
import { fromHex, utf8, writePem } from '../src/bytes.js';
import {
  type ChoiceOptions,
  chooseEncryption,
  type EncryptionChoice,
  type EncryptionPolicy,
  type Recipient,
} from '../src/cms/choice.js';
import { readContentInfo } from '../src/cms/content.js';
import {
  AuthEnvelopedData,
  decryptEnvelopedData,
  type EncryptOptions,
  EnvelopedData,
  encryptData,
} from '../src/cms/enveloped.js';
import { readKeyTransport } from '../src/cms/keytransport.js';
import { keyRing } from '../src/cms/recipients.js';
import { signData } from '../src/cms/signed.js';
import { encodeCapabilities, readCapabilities, type SmimeCapability } from '../src/cms/smimeattributes.js';
import { verify } from '../src/smime/verify.js';
import { Certificate } from '../src/x509/certificate.js';
import { PrivateKey } from '../src/x509/keys.js';
import { hasOpenssl, opensslOut, temporaryFolder } from './helpers/peers.js';
import { type CertificateInput, generateKey, issueCertificate, type KeyKind } from './helpers/pki.js';

const CONTENT = utf8('Content-Type: text/plain\r\n\r\nFor you.\r\n');
const NOW = new Date('2026-06-01T00:00:00Z');
const SAID = new Date('2026-01-02T03:04:05Z');

const keys = new Map<string, Uint8Array>();
function keyOf(kind: KeyKind): Uint8Array {
  const key = keys.get(kind) ?? generateKey(kind);
  keys.set(kind, key);
  return key;
}

const ca = issueCertificate({ subject: 'Test CA', ca: true });

function person(subject: string, kind: KeyKind = 'rsa', input: Partial<CertificateInput> = {}) {
  const pkcs8 = keyOf(kind);
  const issued = issueCertificate({ subject, key: pkcs8, issuer: ca, ...input });
  return {
    pkcs8,
    issued,
    privateKey: PrivateKey.parse(pkcs8),
    certificate: Certificate.parse(issued.certificate),
  };
}

const cap = (name: keyof typeof OID, parameters?: string): SmimeCapability => ({
  oid: OID[name],
  ...(parameters !== undefined && { parameters: fromHex(parameters) }),
});
/** RSAES-OAEP-params: SHA-256 with MGF1-SHA-256; SHA-512; SHA-256 with MGF1-SHA-1; the defaults, SHA-1; a label. */
const OAEP = {
  sha256:
    '302fa00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500',
  sha512:
    '302fa00f300d06096086480165030402030500a11c301a06092a864886f70d010108300d06096086480165030402030500',
  mixed: '3011a00f300d06096086480165030402010500',
  sha1: '3000',
  label: '3013a211300f06092a864886f70d01010904020102',
};
const GCM = [cap('aes256Gcm'), cap('aes256Cbc'), cap('aes128Cbc')];
const CBC = [cap('aes256Cbc'), cap('aes128Cbc'), cap('desEde3Cbc')];
const CBC128 = [cap('desEde3Cbc'), cap('aes128Cbc'), cap('rc2CBC', '02020080')];
const OLD = [cap('desEde3Cbc'), cap('rc2CBC', '02020080')];

const says = (subject: string, capabilities?: SmimeCapability[], kind: KeyKind = 'rsa'): Recipient => ({
  certificate: person(subject, kind).certificate,
  ...(capabilities && { capabilities: { capabilities, signingTime: SAID } }),
});

const certified = (capabilities: readonly SmimeCapability[] | Uint8Array): Partial<CertificateInput> => {
  const value = capabilities instanceof Uint8Array ? capabilities : encodeCapabilities(capabilities);
  return { extensions: [{ oid: OID.smimeCapabilities, value }] };
};

const choose = (recipients: Recipient[], options: Partial<ChoiceOptions> = {}): EncryptionChoice =>
  chooseEncryption(recipients, { secrets: 0, now: NOW, ...options });

describe('the content cipher', () => {
  const gcm = says('G', GCM);
  const cbc = says('C', CBC);
  const small = says('S', CBC128);
  const old = says('O', OLD);
  const silent = says('U');
  const later: EncryptionPolicy = { gcmFrom: new Date('2026-06-01T00:00:01Z') };
  const since: EncryptionPolicy = { gcmFrom: NOW };
  const rows: [string, Recipient[], Partial<ChoiceOptions>, string, RegExp][] = [
    ['one who names GCM', [gcm], {}, 'aes256-gcm', /the best that each recipient says/],
    ['two who name it', [gcm, says('H', [...GCM].reverse())], {}, 'aes256-gcm', /each recipient says/],
    ['one who names AES-256-CBC', [cbc], {}, 'aes256-cbc', /each recipient says/],
    ['one of two who names it', [gcm, cbc], {}, 'aes256-cbc', /not CN=C$/],
    ['one who names AES-128-CBC only', [small], {}, 'aes128-cbc', /each recipient says/],
    ['one among others who does', [gcm, small, silent], {}, 'aes128-cbc', /not CN=S$/],
    ['AES-128-GCM is not AES-256-GCM', [says('A', [cap('aes128Gcm'), ...CBC])], {}, 'aes256-cbc', /each/],
    ['never 3DES, never RC2', [old], {}, 'aes256-cbc', /each/],
    ['nor for one who names nothing', [says('N', [])], {}, 'aes256-cbc', /each/],
    ['one who says nothing', [silent], {}, 'aes256-cbc', /taken to read/],
    ['beside one who names GCM', [gcm, silent], {}, 'aes256-cbc', /not CN=U$/],
    ['before the date', [gcm, silent], { policy: later }, 'aes256-cbc', /not CN=U$/],
    ['from the date on', [gcm, silent], { policy: since }, 'aes256-gcm', /taken to read/],
    ['the date is not for those who say', [cbc, silent], { policy: since }, 'aes256-cbc', /not CN=C$/],
    [
      'a password beside it',
      [gcm],
      { secrets: 1 },
      'aes256-cbc',
      /not the holders of shared keys and passwords$/,
    ],
    ['a password from the date on', [gcm], { secrets: 1, policy: since }, 'aes256-gcm', /taken to read/],
    ['a password alone', [], { secrets: 1 }, 'aes256-cbc', /taken to read/],
    ['a minimum that all reach', [cbc], { policy: { minimum: 'aes256-cbc' } }, 'aes256-cbc', /each/],
    [
      'a minimum is sent to the silent',
      [silent],
      { policy: { minimum: 'aes256-gcm' } },
      'aes256-gcm',
      /taken/,
    ],
    [
      'a minimum that is not yet one',
      [small],
      { policy: { minimum: 'aes256-cbc', minimumFrom: new Date('2027-01-01') } },
      'aes128-cbc',
      /each/,
    ],
    ['the caller names one', [cbc], { cipher: 'aes128-ccm' }, 'aes128-ccm', /the caller/],
    [
      'whatever the minimum',
      [small],
      { cipher: 'aes256-gcm', policy: { minimum: 'aes256-cbc' } },
      'aes256-gcm',
      /the caller/,
    ],
    [
      'five who can not',
      'ABCDE'
        .split('')
        .map((name) => says(name))
        .concat(gcm),
      {},
      'aes256-cbc',
      /C; 2 more$/,
    ],
  ];
  it.each(rows)('%s', (_, recipients, options, cipher, reason) => {
    const choice = choose(recipients, options);
    expect(choice.cipher).toBe(cipher);
    expect(choice.reason).toMatch(reason);
    expect(choice.recipients.map(({ certificate }) => certificate)).toEqual(
      recipients.map(({ certificate }) => certificate),
    );
  });

  it.each([
    ['aes256-cbc', small],
    ['aes256-gcm', cbc],
    ['aes256-gcm', old],
  ] as const)(
    'a minimum of %s that somebody says not to read is an error that names them',
    (minimum, one) => {
      for (const minimumFrom of [undefined, NOW]) {
        const policy = { minimum, ...(minimumFrom && { minimumFrom }) };
        expect(() => choose([gcm, one], { policy })).toThrow(
          expect.objectContaining({
            code: 'RECIPIENT_INCAPABLE',
            message: expect.stringContaining(`${one.certificate.subject}`),
          }),
        );
      }
    },
  );

  it('says of each recipient what is known, since when, and why', () => {
    const { recipients } = choose([gcm, old, silent], {});
    expect(recipients.map(({ source, since, reads }) => ({ source, since, reads }))).toEqual([
      { source: 'message', since: SAID, reads: 'aes256-gcm' },
      { source: 'message', since: SAID, reads: 'aes256-cbc' },
      { source: 'unknown', since: undefined, reads: 'aes256-cbc' },
    ]);
    expect(recipients.map(({ reason }) => reason)).toEqual([
      'a signed message of 2026-01-02 names aes256-gcm; rsaes-pkcs1, as they do not name RSAES-OAEP',
      'a signed message of 2026-01-02 names none of aes128-cbc, aes256-cbc, aes256-gcm, but desEde3Cbc, rc2CBC: taken to read aes256-cbc, as all do; rsaes-pkcs1, as they do not name RSAES-OAEP',
      'what they read is not known: taken to read aes256-cbc, as all do; rsaes-pkcs1, which all read',
    ]);
  });

  it('a policy that is none is the mistake of the caller', () => {
    const wrong = (policy: object) => () => choose([gcm], { policy: policy as EncryptionPolicy });
    expect(wrong({ minimum: 'des-ede3-cbc' })).toThrow(RangeError);
    expect(wrong({ gcmFrom: '2026-01-01' })).toThrow(TypeError);
    expect(wrong({ minimumFrom: new Date('never') })).toThrow(TypeError);
    expect(wrong({ oaepFrom: 0 })).toThrow(TypeError);
    expect(() => choose([gcm], { keyTransport: 'oaep' as 'rsaes-oaep' })).toThrow(RangeError);
  });
});

describe('the certificate says it, too (RFC 4262)', () => {
  const from = (notBefore: string, capabilities: readonly SmimeCapability[] | Uint8Array) =>
    person('E', 'rsa', { ...certified(capabilities), notBefore: new Date(notBefore) }).certificate;
  const message = { capabilities: CBC128, signingTime: SAID };
  it.each([
    ['alone', from('2025-01-01', GCM), undefined, 'certificate', 'aes256-gcm'],
    ['a newer message counts', from('2025-01-01', GCM), message, 'message', 'aes128-cbc'],
    // An old message, sent again: the certificate was made since.
    ['an older message does not', from('2026-03-01', GCM), message, 'certificate', 'aes256-gcm'],
    [
      'one that can not be read says nothing',
      from('2025-01-01', utf8('?!')),
      undefined,
      'unknown',
      'aes256-cbc',
    ],
    ['nor one that is no list', from('2025-01-01', fromHex('020101')), message, 'message', 'aes128-cbc'],
  ] as const)('%s', (_, certificate, capabilities, source, reads) => {
    const [one] = choose([{ certificate, ...(capabilities && { capabilities }) }]).recipients;
    expect(one).toMatchObject({ source, reads });
  });
});

describe('the key', () => {
  const rows: [string, KeyKind, SmimeCapability[] | undefined, Partial<ChoiceOptions>, string, string?][] = [
    ['RSA, nothing known', 'rsa', undefined, {}, 'rsaes-pkcs1'],
    ['RSA, from a date on', 'rsa', undefined, { policy: { oaepFrom: NOW } }, 'rsaes-oaep', 'sha256'],
    ['RSA, the date is not for those who say', 'rsa', CBC, { policy: { oaepFrom: NOW } }, 'rsaes-pkcs1'],
    ['OAEP with SHA-256', 'rsa', [cap('rsaesOaep', OAEP.sha256)], {}, 'rsaes-oaep', 'sha256'],
    ['with SHA-512', 'rsa', [cap('rsaesOaep', OAEP.sha512)], {}, 'rsaes-oaep', 'sha512'],
    ['with SHA-1', 'rsa', [cap('rsaesOaep', OAEP.sha1)], {}, 'rsaes-oaep', 'sha1'],
    [
      'the best of several',
      'rsa',
      [cap('rsaesOaep', OAEP.sha1), cap('rsaesOaep', OAEP.sha256)],
      {},
      'rsaes-oaep',
      'sha256',
    ],
    ['with two hashes, which is not written', 'rsa', [cap('rsaesOaep', OAEP.mixed)], {}, 'rsaes-pkcs1'],
    ['with a label', 'rsa', [cap('rsaesOaep', OAEP.label)], {}, 'rsaes-pkcs1'],
    ['without parameters (RFC 3560: not allowed)', 'rsa', [cap('rsaesOaep')], {}, 'rsaes-pkcs1'],
    ['with parameters that are none', 'rsa', [cap('rsaesOaep', '0500')], {}, 'rsaes-pkcs1'],
    ['the caller wants OAEP', 'rsa', CBC, { keyTransport: 'rsaes-oaep' }, 'rsaes-oaep', 'sha256'],
    [
      'the caller wants none',
      'rsa',
      [cap('rsaesOaep', OAEP.sha256)],
      { keyTransport: 'rsaes-pkcs1' },
      'rsaes-pkcs1',
    ],
    ['P-256', 'P-256', undefined, {}, 'ecdh', 'sha256'],
    ['P-384', 'P-384', undefined, { keyTransport: 'rsaes-oaep' }, 'ecdh', 'sha384'],
    ['P-521', 'P-521', [cap('rsaesOaep', OAEP.sha256)], {}, 'ecdh', 'sha512'],
    ['P-384 whose owner names SHA-256', 'P-384', [cap('dhSinglePassStdDhSha256Kdf')], {}, 'ecdh', 'sha256'],
    [
      'P-256 whose owner names others, the strongest',
      'P-256',
      [cap('dhSinglePassStdDhSha384Kdf'), cap('dhSinglePassStdDhSha512Kdf')],
      {},
      'ecdh',
      'sha512',
    ],
    [
      'P-256 whose owner names its own, too',
      'P-256',
      [cap('dhSinglePassStdDhSha512Kdf'), cap('dhSinglePassStdDhSha256Kdf')],
      {},
      'ecdh',
      'sha256',
    ],
    ['P-256 whose owner names SHA-1', 'P-256', [cap('dhSinglePassStdDhSha1Kdf')], {}, 'ecdh', 'sha256'],
    ['P-256 whose owner names HKDF', 'P-256', [cap('dhSinglePassStdDhHkdfSha512')], {}, 'ecdh', 'sha256'],
    ['X25519', 'x25519', undefined, {}, 'x25519', 'sha256'],
    ['X25519 by HKDF-SHA-384', 'x25519', [cap('dhSinglePassStdDhHkdfSha384')], {}, 'x25519', 'sha384'],
    ['X448', 'x448', undefined, {}, 'x448', 'sha512'],
  ];
  it.each(rows)('%s', async (_, kind, capabilities, options, name, hash) => {
    const someone = person('K', kind);
    const recipient = {
      certificate: someone.certificate,
      ...(capabilities && { capabilities: { capabilities, signingTime: SAID } }),
    };
    let choice: EncryptionChoice | undefined;
    const message = encryptData(CONTENT, {
      recipients: [recipient],
      now: NOW,
      onChoice: (made) => {
        choice = made;
      },
      ...(options as Partial<EncryptOptions>),
    });
    const chosen = choice?.recipients[0]?.keyEncryption;
    expect({ hash: undefined, ...chosen }).toMatchObject({ name, hash });
    // What was told is what is in the message, and it opens.
    const data = EnvelopedData.parse(readContentInfo(message).content);
    const opened = await decryptEnvelopedData(data, keyRing({ entries: [someone] }));
    expect(opened).toMatchObject({ keyEncryption: name, cipher: choice?.cipher });
    expect(Buffer.from(opened.content)).toEqual(Buffer.from(CONTENT));
    const [info] = data.recipientInfos;
    if (info?.type === 'keyTransport' && hash !== undefined) {
      expect(readKeyTransport(info.algorithm)).toMatchObject({ name, hash, maskHash: hash });
    }
    if (info?.type === 'keyAgreement') {
      const scheme = kind.startsWith('x') ? 'dhSinglePassStdDhHkdfSha' : 'dhSinglePassStdDhSha';
      const oid = OID[`${scheme}${hash?.slice(3)}${kind.startsWith('x') ? '' : 'Kdf'}` as keyof typeof OID];
      expect(info.algorithm.oid).toBe(oid);
    }
  });

  it('a key that is too short for the hash that its owner names', () => {
    const { privateKey } = person('L');
    expect(privateKey.publicKey.modulusLength).toBe(2048);
    const bits = (size: number) => ({ modulusLength: size, algorithm: 'rsa' });
    const short = {
      certificate: { publicKey: bits(1024), extensions: new Map() } as unknown as Certificate,
      capabilities: { capabilities: [cap('rsaesOaep', OAEP.sha512)], signingTime: SAID },
    };
    expect(choose([short]).recipients[0]?.keyEncryption.name).toBe('rsaes-pkcs1');
  });
});

describe('encrypting', () => {
  it('AuthEnvelopedData where all say to read AES-256-GCM, each key in its own way', async () => {
    const rsa = person('R');
    const ec = person('E', 'P-384');
    const said = (...more: SmimeCapability[]) => ({
      capabilities: [...GCM, ...more],
      signingTime: SAID,
    });
    const plainRsa = person('P', 'rsa');
    const message = encryptData(CONTENT, {
      now: NOW,
      recipients: [
        { certificate: rsa.certificate, capabilities: said(cap('rsaesOaep', OAEP.sha256)) },
        { certificate: ec.certificate, capabilities: said() },
        { certificate: plainRsa.certificate, capabilities: said() },
      ],
    });
    const data = AuthEnvelopedData.parse(readContentInfo(message).content);
    const ways: string[] = [];
    for (const someone of [rsa, ec, plainRsa]) {
      const opened = await decryptEnvelopedData(data, keyRing({ entries: [someone] }));
      expect(opened).toMatchObject({ cipher: 'aes256-gcm', integrity: 'tag' });
      ways.push(opened.keyEncryption);
    }
    expect(ways).toEqual(['rsaes-oaep', 'ecdh', 'rsaes-pkcs1']);
  });

  it('somebody who is named twice is known once', () => {
    const { certificate } = person('T');
    const capabilities = { capabilities: GCM, signingTime: SAID };
    let choice: EncryptionChoice | undefined;
    encryptData(CONTENT, {
      now: NOW,
      recipients: [certificate, { certificate, capabilities }, certificate],
      onChoice: (made) => {
        choice = made;
      },
    });
    expect(choice?.recipients).toHaveLength(1);
    expect(choice?.cipher).toBe('aes256-gcm');
  });

  it('nothing is encrypted where the choice is not accepted', () => {
    const onChoice = () => {
      throw new Error('no');
    };
    let asked = 0;
    const random = (size: number) => {
      asked++;
      return new Uint8Array(size);
    };
    expect(() => encryptData(CONTENT, { recipients: [person('N').certificate], onChoice, random })).toThrow(
      'no',
    );
    expect(asked).toBe(0);
  });

  it.each(['rsa', 'P-256', 'x25519'] as const)(
    'what we sign with %s is answered in AES-256-GCM',
    async (kind) => {
      const emails = ['s@example.org'];
      const signer = person('Signer', 'P-256', { emails });
      const encryptionCertificate = person('Signer', kind, { emails }).certificate;
      const signed = signData(CONTENT, {
        signers: [{ ...signer, encryptionCertificate }],
        signingTime: SAID,
      });
      const verdict = await verify(signed, { trust: [Certificate.parse(ca.certificate)] });
      const [{ capabilities, signingTime, encryptionCertificate: certificate }] = verdict.signers as [
        (typeof verdict.signers)[0],
      ];
      const recipient = {
        certificate: certificate as Certificate,
        capabilities: { capabilities: capabilities ?? [], signingTime: signingTime as Date },
      };
      const choice = choose([recipient]);
      expect(choice.cipher).toBe('aes256-gcm');
      const ways = { rsa: 'rsaes-oaep', 'P-256': 'ecdh', x25519: 'x25519' };
      expect(choice.recipients[0]?.keyEncryption.name).toBe(ways[kind]);
      expect(choice.recipients[0]?.reason).toContain('which they name');
    },
  );
});

it('capabilities are written as they were read', () => {
  const list = [...CBC128, cap('rsaesOaep', OAEP.sha256)];
  const encoded = encodeCapabilities(list);
  const read = readCapabilities(parseDer(encoded));
  expect(read.map(({ oid }) => oid)).toEqual(list.map(({ oid }) => oid));
  expect(Buffer.from(encodeCapabilities(read))).toEqual(Buffer.from(encoded));
  expect(readCapabilities(parseDer(writeDer((w) => w.sequence(() => undefined))))).toEqual([]);
});

describe.skipIf(!hasOpenssl)('openssl', () => {
  const folder = hasOpenssl ? temporaryFolder() : '';
  const file = (name: string) => join(folder, name);

  it.each(['rsa', 'P-256', 'P-384', 'P-521'] as const)('reads what is chosen for a silent %s', (kind) => {
    const { pkcs8, issued, certificate } = person(`Silent ${kind}`, kind);
    writeFileSync(file(`${kind}.key`), writePem('PRIVATE KEY', pkcs8));
    writeFileSync(file(`${kind}.crt`), writePem('CERTIFICATE', issued.certificate));
    writeFileSync(file('message'), encryptData(CONTENT, { recipients: [certificate], now: NOW }));
    const args = ['-in', file('message'), '-recip', file(`${kind}.crt`), '-inkey', file(`${kind}.key`)];
    const opened = opensslOut(['cms', '-decrypt', '-inform', 'DER', '-binary', ...args]);
    expect(Buffer.from(opened)).toEqual(Buffer.from(CONTENT));
  });

  it('its own capabilities are answered, and it reads the answer', async () => {
    const { pkcs8, issued } = person('Peer');
    writeFileSync(file('peer.key'), writePem('PRIVATE KEY', pkcs8));
    writeFileSync(file('peer.crt'), writePem('CERTIFICATE', issued.certificate));
    writeFileSync(file('content'), CONTENT);
    const signed = opensslOut([
      ...['cms', '-sign', '-binary', '-nodetach', '-outform', 'DER', '-in', file('content')],
      ...['-signer', file('peer.crt'), '-inkey', file('peer.key')],
    ]);
    const verdict = await verify(signed, { trust: [Certificate.parse(ca.certificate)] });
    const [signer] = verdict.signers;
    expect(signer?.valid).toBe(true);
    const said = { capabilities: signer?.capabilities ?? [], signingTime: signer?.signingTime as Date };
    const recipients = [{ certificate: signer?.certificate as Certificate, capabilities: said }];
    let choice: EncryptionChoice | undefined;
    const answer = encryptData(CONTENT, {
      recipients,
      onChoice: (made) => {
        choice = made;
      },
    });
    expect(choice).toMatchObject({ cipher: 'aes256-cbc', recipients: [{ source: 'message' }] });
    writeFileSync(file('answer'), answer);
    const args = ['-in', file('answer'), '-recip', file('peer.crt'), '-inkey', file('peer.key')];
    expect(Buffer.from(opensslOut(['cms', '-decrypt', '-inform', 'DER', '-binary', ...args]))).toEqual(
      Buffer.from(CONTENT),
    );
  });

  it.each(['sha1', 'sha512'] as const)('reads RSAES-OAEP with %s, where somebody names it', (hash) => {
    const { pkcs8, issued, certificate } = person('Oaep');
    writeFileSync(file('oaep.key'), writePem('PRIVATE KEY', pkcs8));
    writeFileSync(file('oaep.crt'), writePem('CERTIFICATE', issued.certificate));
    const capabilities = { capabilities: [...GCM, cap('rsaesOaep', OAEP[hash])], signingTime: SAID };
    writeFileSync(
      file('oaep'),
      encryptData(CONTENT, { recipients: [{ certificate, capabilities }], now: NOW }),
    );
    const args = ['-in', file('oaep'), '-recip', file('oaep.crt'), '-inkey', file('oaep.key')];
    expect(Buffer.from(opensslOut(['cms', '-decrypt', '-inform', 'DER', '-binary', ...args]))).toEqual(
      Buffer.from(CONTENT),
    );
  });
});
