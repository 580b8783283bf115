/**
 * Every CMS object in vectors/, held to what its index row says OpenSSL made of it. A table at the end says how many of
 * each source were read, and why each other was not. With MAILSEAL_CORPORA, the RFC 9216 objects as well.
 */
import { createHash } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { readOctets } from '../src/asn1/values.js';
import { fromHex, latin1, readPem } from '../src/bytes.js';
import { decompressData } from '../src/cms/compressed.js';
import { readContentInfo } from '../src/cms/content.js';
import { readDigestedData } from '../src/cms/digested.js';
import { decryptEncryptedData } from '../src/cms/encrypted.js';
import { AuthEnvelopedData, decryptEnvelopedData, EnvelopedData } from '../src/cms/enveloped.js';
import { keyRing } from '../src/cms/recipients.js';
import type { SharedSecrets } from '../src/cms/sharedkeys.js';
import { SignedData, verifySignedData } from '../src/cms/signed.js';
import { MailsealError } from '../src/errors.js';
import { classify, decodeBody, parseEntity } from '../src/smime/mime.js';
import { canonicalize } from '../src/smime/transfer.js';
import { Certificate } from '../src/x509/certificate.js';
import { PrivateKey } from '../src/x509/keys.js';
import { hasMlKem, isMlKem } from '../src/x509/mlkem.js';
import {
  type CmsRow,
  cmsRows,
  corporaMissing,
  corpusCms,
  fuzzCorpus,
  readCorpus,
  readReference,
  readVector,
} from './helpers/vectors.js';

/** What became of one object. */
interface Outcome {
  /** `verified`, `opened`, `parsed`: read; anything else is the reason why not. */
  result: string;
  /** Codes of the signers that are not valid, or of the error. */
  codes: string[];
  content?: Uint8Array;
}

const READ = ['verified', 'opened', 'parsed'];

interface Material {
  /** Detached content. */
  content?: Uint8Array | undefined;
  certificates: Certificate[];
  entries: { privateKey: PrivateKey; certificate?: Certificate }[];
  secrets: SharedSecrets & { contentKeys?: Uint8Array[] };
}

async function read(object: Uint8Array, material: Material): Promise<Outcome> {
  try {
    return await readObject(object, material);
  } catch (error) {
    if (!(error instanceof MailsealError)) throw error;
    return { result: `${error.code}: ${error.message}`, codes: [error.code] };
  }
}

async function readObject(
  object: Uint8Array,
  { content, certificates, entries, secrets }: Material,
): Promise<Outcome> {
  const info = readContentInfo(object);
  switch (info.contentType) {
    case OID.data:
      return { result: 'opened', codes: [], content: readOctets(info.content) };
    case OID.signedData: {
      const signed = SignedData.parse(info.content);
      if (signed.signerInfos.length === 0) return { result: 'parsed', codes: ['NOT_SIGNED'] };
      const results = verifySignedData(signed, { certificates, ...(content && { content }) });
      const errors = results.flatMap(({ error }) => (error === undefined ? [] : [error]));
      return {
        result:
          errors.length === 0
            ? 'verified'
            : errors.map(({ code, message }) => `${code}: ${message}`).join('; '),
        codes: errors.map(({ code }) => code),
        content: signed.content ?? (content as Uint8Array),
      };
    }
    case OID.envelopedData:
    case OID.authEnvelopedData: {
      const enveloped = (info.contentType === OID.envelopedData ? EnvelopedData : AuthEnvelopedData).parse(
        info.content,
      );
      const { sharedKeys = [], passwords = [] } = secrets;
      if (entries.length + sharedKeys.length + passwords.length === 0) return { result: 'parsed', codes: [] };
      const opened = await decryptEnvelopedData(enveloped, keyRing({ entries }), secrets);
      return { result: 'opened', codes: [], content: opened.content };
    }
    case OID.compressedData:
      return { result: 'opened', codes: [], content: decompressData(info.content).content };
    case OID.digestedData:
      return { result: 'verified', codes: [], content: readDigestedData(info.content).content };
    case OID.encryptedData: {
      const [key] = secrets.contentKeys ?? [];
      if (key === undefined) return { result: 'parsed', codes: [] };
      return { result: 'opened', codes: [], content: decryptEncryptedData(info.content, key).content };
    }
    default:
      throw new MailsealError('UNSUPPORTED_FEATURE', `content type ${info.contentType}`, {
        oid: info.contentType,
      });
  }
}

/** The object of a row, out of PEM or out of a mail. */
function objectOf(row: CmsRow & { source: string }): { object: Uint8Array; content?: Uint8Array } {
  const bytes = readVector(row.source, row.path);
  if (row.form === 'PEM') return { object: readPem(bytes)[0]?.bytes as Uint8Array };
  if (row.form !== 'SMIME') return { object: bytes };
  // AS2 messages are HTTP requests: header fields behind a request line.
  const isHttp = latin1(bytes.subarray(0, 5)) === 'POST ';
  const entity = parseEntity(isHttp ? bytes.subarray(bytes.indexOf(0x0a) + 1) : bytes);
  const smime = classify(entity);
  if (smime.kind === 'multipart-signed') {
    return { object: decodeBody(smime.signature), content: canonicalize(smime.content.bytes) };
  }
  return { object: decodeBody(entity) };
}

function readCertificate(bytes: Uint8Array): Certificate {
  if (bytes[0] === 0x30) return Certificate.parse(bytes);
  const block = readPem(bytes).find(({ label }) => label === 'CERTIFICATE');
  if (block === undefined) throw new Error('no certificate');
  return Certificate.parse(block.bytes);
}

function readKey(bytes: Uint8Array): PrivateKey {
  if (bytes[0] === 0x30) return PrivateKey.parse(bytes);
  const block = readPem(bytes).find(({ label }) => label.endsWith('PRIVATE KEY'));
  if (block === undefined) throw new Error('no private key');
  if (block.label === 'RSA PRIVATE KEY') return PrivateKey.parsePkcs1(block.bytes);
  return block.label === 'EC PRIVATE KEY' ? PrivateKey.parseSec1(block.bytes) : PrivateKey.parse(block.bytes);
}

function materialOf(row: CmsRow & { source: string }, content: Uint8Array | undefined): Material {
  const reference = (path: string) => readReference(row.source, path);
  return {
    content: row.content === undefined ? content : reference(row.content),
    certificates: (row.signerCertificates ?? []).map((path) => readCertificate(reference(path))),
    entries: (row.openedBy ?? []).flatMap(({ key, certificate }) =>
      key === undefined
        ? []
        : [
            {
              privateKey: readKey(reference(key)),
              certificate: readCertificate(reference(certificate ?? key)),
            },
          ],
    ),
    secrets: {
      sharedKeys: (row.openedBy ?? []).flatMap(({ secretKey, keyIdentifier }) =>
        secretKey === undefined || keyIdentifier === undefined
          ? []
          : [{ key: fromHex(secretKey), keyIdentifier: fromHex(keyIdentifier) }],
      ),
      contentKeys: (row.openedBy ?? []).flatMap(({ secretKey, keyIdentifier }) =>
        secretKey === undefined || keyIdentifier !== undefined ? [] : [fromHex(secretKey)],
      ),
      passwords: (row.openedBy ?? []).flatMap(({ password }) => (password === undefined ? [] : [password])),
    },
  };
}

/** Rows by source: how many objects, how many read, and the reasons of the others. */
const table = new Map<string, { objects: number; read: number; reasons: Map<string, string[]> }>();

function record(source: string, path: string, { result }: Outcome): void {
  const line = table.get(source) ?? { objects: 0, read: 0, reasons: new Map() };
  table.set(source, line);
  line.objects++;
  if (READ.includes(result)) line.read++;
  else line.reasons.set(result, [...(line.reasons.get(result) ?? []), path.split('/').at(-1) as string]);
}

afterAll(() => {
  const lines = ['CMS objects read, by source'];
  for (const [source, { objects, read: count, reasons }] of table) {
    lines.push(`${source}: ${count} of ${objects}`);
    for (const [reason, paths] of reasons) lines.push(`    ${reason.slice(0, 140)}  [${paths.join(', ')}]`);
  }
  console.log(lines.join('\n'));
});

/**
 * OpenSSL does not read these; we do, and rightly: `authroot.stl` is PKCS#7, RFC 5652 5.1 has no one look into
 * digestAlgorithms, and MD5 in the AuthentiCode signature is for reading, and reported as weak.
 */
const BETTER = [
  'cms/authroot.stl',
  'smime-eml/pkcs7-empty-digest-set.eml',
  'pkix/cms/test/SignedMSPkcs7.sig',
];

/** Nor does Bouncy Castle look at signing certificates; this one names another than the signer's. */
const STRICTER = ['signing-certificate-of-another.p7m'];

describe('CMS objects', () => {
  for (const row of cmsRows()) {
    it(`${row.source}/${row.path} ${row.expect}`, async () => {
      const outcome = await tryRow(row);
      record(row.source, row.path, outcome);
      const unsupported = outcome.codes.some((code) => code.startsWith('UNSUPPORTED_'));
      const expected = BETTER.includes(row.path) ? 'verifies' : row.expect;
      switch (STRICTER.includes(row.path) ? 'refused' : expected) {
        case 'verifies':
          // What needs an algorithm that is not built may say so, and nothing else.
          if (row.beyondCore === undefined) expect(outcome.result).toBe('verified');
          else expect(unsupported || outcome.result === 'verified').toBe(true);
          break;
        case 'opens':
          if (row.algorithms.some(isMlKem) && !hasMlKem()) expect(unsupported).toBe(true);
          else expect(outcome.result).toBe('opened');
          break;
        case 'parses':
          if (row.beyondCore === undefined) expect(outcome.result).toBe('parsed');
          else expect(unsupported || READ.includes(outcome.result)).toBe(true);
          break;
        case 'signature does not verify':
        case 'refused':
          expect(outcome.codes).not.toEqual([]);
      }
      if (outcome.content !== undefined && row.contentSha256 !== undefined && READ.includes(outcome.result)) {
        expect(createHash('sha256').update(outcome.content).digest('hex')).toBe(row.contentSha256);
      }
    });
  }
});

async function tryRow(row: CmsRow & { source: string }): Promise<Outcome> {
  try {
    const { object, content } = objectOf(row);
    return await read(object, materialOf(row, content));
  } catch (error) {
    if (!(error instanceof MailsealError)) throw error;
    return { result: `${error.code}: ${error.message}`, codes: [error.code] };
  }
}

describe('openssl-fuzz-corpora', () => {
  it('every CMS file gives a result or a coded error', async () => {
    const privateKey = readKey(readVector('bc-java-resources', 'mail/key.pem'));
    let files = 0;
    for (const { name, bytes } of fuzzCorpus()) {
      if (!name.startsWith('cms/')) continue;
      files++;
      const content = new Uint8Array(3);
      await read(bytes, { content, certificates: [], entries: [{ privateKey }], secrets: {} });
    }
    expect(files).toBeGreaterThan(100);
  });
});

describe('keys that OpenSSL does not accept', () => {
  it('content keys of another length than the cipher wants do not open (Bouncy Castle test128, test256)', async () => {
    const key = readKey(readVector('bc-java-resources', 'mail/key.pem'));
    const certificate = readCertificate(readVector('bc-java-resources', 'mail/cert.pem'));
    for (const path of ['mail/test128.message', 'mail/test256.message']) {
      const row = cmsRows().find((one) => one.path === path) as CmsRow & { source: string };
      const { object } = objectOf(row);
      const outcome = await read(object, {
        certificates: [],
        entries: [{ privateKey: key, certificate }],
        secrets: {},
      });
      expect(outcome.codes).toEqual(['DECRYPTION_FAILED']);
    }
  });
});

describe.skipIf(corporaMissing() !== undefined)(
  `RFC 9216 objects${corporaMissing() ? `: ${corporaMissing()}` : ''}`,
  () => {
    const folder = 'examples-cms-rfc9216/certs-and-keys';
    const expected: Readonly<Record<string, string>> = {
      signedByAliceRSA: 'verified',
      signedByAliceRSAPSS: 'verified',
      signedByCarlosEd25519: 'verified',
      signedByCarlosDetached: 'verified',
      signedByAliceAndCarlosNoCerts: 'verified',
      encryptedForBobRSAOaep: 'opened',
      encryptedForBobAndDana: 'opened',
      encryptedKekri: 'RECIPIENT_UNKNOWN',
      authEnvelopedForBobChaCha20Poly1305: 'opened',
      authEnvelopedForDanaX25519HKDF: 'opened',
    };
    for (const { path, form } of corpusCms()) {
      const name = (path.split('/').at(-1) as string).replace(/\.\w+$/, '');
      it(`${path} ${expected[name]}`, async () => {
        const bytes = readCorpus(path);
        const object = form === 'PEM' ? (readPem(bytes)[0]?.bytes as Uint8Array) : bytes;
        const certificates = ['alice', 'carlos'].map((who) =>
          readCertificate(readCorpus(`${folder}/lamps-${who}.crt`)),
        );
        const entries = ['bob', 'dana'].map((who) => ({
          privateKey: readKey(readCorpus(`${folder}/lamps-${who}.decrypt.p8.pem`)),
          certificate: readCertificate(readCorpus(`${folder}/lamps-${who}.encrypt.crt`)),
        }));
        const content = name.endsWith('Detached') ? await contentOf('signedByCarlosEd25519') : undefined;
        const outcome = await read(object, { content, certificates, entries, secrets: {} });
        record('examples-cms-rfc9216', path, outcome);
        expect(outcome.codes[0] ?? outcome.result).toBe(expected[name]);
      });
    }

    /** The detached signature is over the same content as the attached ones. */
    async function contentOf(name: string): Promise<Uint8Array> {
      const outcome = await read(readCorpus(`examples-cms-rfc9216/binary-files/${name}.p7m`), {
        certificates: [readCertificate(readCorpus(`${folder}/lamps-carlos.crt`))],
        entries: [],
        secrets: {},
      });
      return outcome.content as Uint8Array;
    }
  },
);
