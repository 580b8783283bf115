/**
 * Every SignedData of MANIFEST-cms.tsv, through `verify` as a caller would: mail, PEM or CMS. With MAILSEAL_CORPORA only. A
 * table at the end says for each source how many verify or are read, how many are refused as they should be, and why each
 * other is not covered.
 */
import { createHash } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { readPem } from '../src/bytes.js';
import { MailsealError } from '../src/errors.js';
import { readCertificates } from '../src/smime/certificates.js';
import { verify } from '../src/smime/verify.js';
import { Certificate } from '../src/x509/certificate.js';
import { hasMlDsa } from '../src/x509/mldsa.js';
import {
  type CmsRow,
  cmsRows,
  corpora,
  corporaMissing,
  corpusSigned,
  readCorpus,
  readReference,
  readVector,
} from './helpers/vectors.js';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const rows = new Map<string, CmsRow & { source: string }>(
  corpora() ? cmsRows().map((row) => [sha256(readVector(row.source, row.path)), row]) : [],
);

function readCertificate(bytes: Uint8Array): Certificate {
  if (bytes[0] === 0x30) return Certificate.parse(bytes);
  return Certificate.parse(readPem(bytes).find(({ label }) => label === 'CERTIFICATE')?.bytes as Uint8Array);
}

/** Certificates and detached content that an object does not bring: from the index, or beside the objects. */
async function materialOf(path: string, row: (CmsRow & { source: string }) | undefined) {
  if (row !== undefined) {
    const { source, signerCertificates = [], content } = row;
    return {
      certificates: signerCertificates.map((one) => readCertificate(readReference(source, one))),
      ...(content !== undefined && { content: readReference(source, content) }),
    };
  }
  const keys = 'examples-cms-rfc9216/certs-and-keys';
  const own = ['alice', 'carlos'].map((who) => readCertificate(readCorpus(`${keys}/lamps-${who}.crt`)));
  const level = /mldsa(\d\d)/.exec(path)?.[1];
  if (level !== undefined) {
    return {
      certificates: [readCertificate(readVector('bc-test-data', `pkix/cert/mldsa/ML-DSA-${level}.pem`))],
    };
  }
  if (!path.includes('Detached')) return { certificates: own };
  const attached = readCorpus('examples-cms-rfc9216/binary-files/signedByCarlosEd25519.p7m');
  const { content } = await verify(attached, { trust: [], certificates: own });
  return { certificates: own, content };
}

interface Tried {
  /** `verifies`, `reads` (no signer), or codes and messages. */
  result: string;
  codes: readonly string[];
}

async function attempt(path: string, row: (CmsRow & { source: string }) | undefined): Promise<Tried> {
  try {
    const bytes = readCorpus(path);
    if (row?.expect === 'parses' && row.signers?.length === 0) {
      expect(readCertificates(bytes)).toHaveLength(row.certificates ?? 0);
      return { result: 'reads', codes: [] };
    }
    const { signers, problems } = await verify(bytes, { trust: [], ...(await materialOf(path, row)) });
    if (signers.every(({ signatureValid }) => signatureValid)) return { result: 'verifies', codes: [] };
    const about = problems.filter(({ code }) => code !== 'NOT_TRUSTED' && code !== 'SENDER_MISMATCH');
    return {
      result: about.map(({ code, message }) => `${code}: ${message}`).join('; '),
      codes: about.map(({ code }) => code),
    };
  } catch (error) {
    if (!(error instanceof MailsealError)) throw error;
    return { result: `${error.code}: ${error.message}`, codes: [error.code] };
  }
}

/** What other implementations refuse too, and rightly: broken on purpose, or with a DigestInfo that is not the exact one. */
const REFUSED: Readonly<Record<string, string>> = {
  'bad_signtime_attr.cms': 'CMS_MALFORMED',
  'ct_multiple_attr.cms': 'CMS_MALFORMED',
  'no_ct_attr.cms': 'CMS_MALFORMED',
  'no_md_attr.cms': 'CMS_MALFORMED',
  'pkcs7-md4.pem': 'UNSUPPORTED_ALGORITHM',
  'rawsha256nonull.p7m': 'SIGNATURE_INVALID',
};

/** What we do not cover, and why. */
const NOT_COVERED: readonly [pattern: RegExp, why: string][] = [
  [/dsaWithSha1/, 'DSA, which RFC 8551 has given up'],
  [/mlDsa\d\d .* needs Node\.js 24/, 'ML-DSA, which this Node.js does not have'],
  [/CONTENT_MISSING/, 'detached, and nobody knows the content'],
];

describe.skipIf(!corpora())(
  `SignedData of the corpora${corporaMissing() ? `: ${corporaMissing()}` : ''}`,
  () => {
    type Line = { objects: number; read: number; refused: number; rest: Map<string, string[]> };
    const table = new Map<string, Line>();
    afterAll(() => {
      const lines = ['SignedData by source: verified or read, refused as expected, not covered'];
      for (const [source, { objects, read, refused, rest }] of table) {
        const left = [...rest.values()].reduce((sum, { length }) => sum + length, 0);
        lines.push(`${source}: ${read} + ${refused} + ${left} of ${objects}`);
        for (const [why, names] of rest) lines.push(`    ${why}  [${names.join(', ')}]`);
      }
      console.log(lines.join('\n'));
    });

    it.each(corpusSigned().map((path) => [path]))('%s', async (path) => {
      const row = rows.get(sha256(readCorpus(path)));
      const source = path.split('/', 1)[0] as string;
      const name = path.split('/').at(-1) as string;
      const line = table.get(source) ?? { objects: 0, read: 0, refused: 0, rest: new Map() };
      table.set(source, line);
      line.objects++;
      const { result, codes } = await attempt(path, row);
      const refused = REFUSED[name];
      if (refused !== undefined) {
        expect(codes).toEqual([refused]);
        line.refused++;
      } else if (result === 'verifies' || result === 'reads') line.read++;
      else {
        const why = NOT_COVERED.find(([pattern]) => pattern.test(result))?.[1];
        expect(why, result).toBeDefined();
        if (why?.startsWith('ML-DSA')) expect(hasMlDsa()).toBe(false);
        line.rest.set(why as string, [...(line.rest.get(why as string) ?? []), name]);
      }
    });
  },
);
