/**
 * ML-DSA in certificates (RFC 9881) and SignedData (RFC 9882): Bouncy Castle's objects and the RFC's keys. On a Node.js
 * without ML-DSA: everything is read, and using it is refused by name.
 */
import { describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { type PemBlock, readPem, utf8 } from '../src/bytes.js';
import { contentOfType, readContentInfo } from '../src/cms/content.js';
import { SignedData, type SignerResult, signData, verifySignedData } from '../src/cms/signed.js';
import { verify } from '../src/smime/verify.js';
import { Certificate } from '../src/x509/certificate.js';
import { PrivateKey, PublicKey } from '../src/x509/keys.js';
import { hasMlDsa, ML_DSA, type MlDsaAlgorithm } from '../src/x509/mldsa.js';
import { verifySignature } from '../src/x509/signature.js';
import { CONTENT, type Forgery, forge } from './helpers/forge.js';
import { type Person, person } from './helpers/pki.js';
import { corpora, readCorpus, readVector } from './helpers/vectors.js';

const LEVELS: readonly [MlDsaAlgorithm, string][] = [
  ['ml-dsa-44', OID.mlDsa44],
  ['ml-dsa-65', OID.mlDsa65],
  ['ml-dsa-87', OID.mlDsa87],
];
const block = (path: string, label: string) =>
  (readPem(readVector('bc-test-data', path)).find((one) => one.label === label) as PemBlock).bytes;
const cert = (name: string) => `pkix/cert/mldsa/${name.toUpperCase()}.pem`;
const certificateOf = (name: string) => Certificate.parse(block(cert(name), 'CERTIFICATE'));
const message = (name: string) => block(`pkix/cms/mldsa/SignedData_${name.toUpperCase()}.pem`, 'CMS');
const parse = (bytes: Uint8Array) => SignedData.parse(contentOfType(readContentInfo(bytes), OID.signedData));
const outcome = ({ valid, error }: SignerResult) => (valid ? 'valid' : error?.code);

describe.each(LEVELS)('%s', (name, oid) => {
  it('public keys are read and compared', () => {
    const key = PublicKey.parse(block(cert(name), 'PUBLIC KEY'));
    const { publicKey } = certificateOf(name);
    expect([key.algorithm, key.algorithmOid, key.bits.length]).toEqual([name, oid, ML_DSA[name].size]);
    expect(key.equals(publicKey)).toBe(true);
    expect(key.equals(certificateOf(name === 'ml-dsa-44' ? 'ml-dsa-65' : 'ml-dsa-44').publicKey)).toBe(false);
  });
});

describe.skipIf(hasMlDsa()).each(LEVELS)('%s, which this Node.js does not have', (name, oid) => {
  const unsupported = expect.objectContaining({ code: 'UNSUPPORTED_ALGORITHM', oid });
  it('is refused by name: signature, public key, private key', () => {
    const certificate = certificateOf(name);
    const [result] = verifySignedData(parse(message(name)), { certificates: [certificate] });
    expect(result?.error).toEqual(unsupported);
    expect(result?.error?.message).toContain('needs Node.js 24');
    expect(result?.scheme?.kind).toBe(name);
    expect(() => certificate.publicKey.keyObject).toThrow(unsupported);
    expect(() => PrivateKey.parse(block(cert(name), 'PRIVATE KEY'))).toThrow(unsupported);
  });
});

describe.skipIf(!hasMlDsa())('with the ML-DSA of this Node.js', () => {
  if (!hasMlDsa()) return;
  const people = new Map<MlDsaAlgorithm, Person>(
    LEVELS.map(([key]) => [key, person({ subject: key, emails: ['a@example.org'], key })]),
  );
  const of = (name: MlDsaAlgorithm) => people.get(name) as Person;

  describe.each(LEVELS)('%s', (name, oid) => {
    it("Bouncy Castle's SignedData verifies, and no longer when it is changed", () => {
      const certificates = [certificateOf(name)];
      const [result] = verifySignedData(parse(message(name)), { certificates });
      expect([result?.valid, result?.scheme?.kind, result?.digest, result?.weak]).toEqual([
        true,
        name,
        'sha512',
        false,
      ]);
      const bytes = message(name);
      const signature = parse(bytes).signerInfos[0]?.signature as Uint8Array;
      const at = Buffer.from(bytes).indexOf(signature);
      for (const offset of [0, 100, signature.length - 1]) {
        const changed = Uint8Array.from(bytes);
        changed[at + offset] = (changed[at + offset] as number) ^ 1;
        const [bad] = verifySignedData(parse(changed), { certificates });
        expect(bad && outcome(bad)).toBe('SIGNATURE_INVALID');
      }
    });

    it('the certificate of RFC 9881 is signed by itself', () => {
      const { signatureScheme, publicKey, tbs, signatureValue, der } = certificateOf(name);
      expect(verifySignature(signatureScheme, publicKey, tbs, signatureValue)).toBe(true);
      expect(verifySignature(signatureScheme, publicKey, der, signatureValue)).toBe(false);
    });

    it("each form of RFC 9881's private key is that of its certificate, and signs", () => {
      const blocks = readPem(readVector('bc-test-data', cert(name)));
      const keys = blocks
        .filter(({ label }) => label === 'PRIVATE KEY')
        .map(({ bytes }) => PrivateKey.parse(bytes));
      expect(keys.length).toBeGreaterThan(0);
      const certificate = certificateOf(name);
      for (const key of keys) {
        expect(key.publicKey.equals(certificate.publicKey)).toBe(true);
        key.wipe();
        expect(() => key.keyObject).toThrow(expect.objectContaining({ code: 'KEY_UNSUITABLE' }));
      }
    });

    it('signs and verifies, attached and detached, beside other algorithms', async () => {
      const signers = [of(name), person({ subject: 'P-256', emails: ['a@example.org'] })];
      for (const detached of [false, true]) {
        const made = signData(CONTENT, { signers, detached });
        const trust = signers.map(({ certificate }) => certificate);
        const verdict = await verify(made, { trust, ...(detached && { content: CONTENT }) });
        expect(verdict.problems).toEqual([]);
        expect(verdict.signers.map(({ digest }) => digest).sort()).toEqual(['sha256', 'sha512']);
      }
    });

    it('takes digests that are as strong as the key (RFC 9882 section 4)', () => {
      for (const digest of ['sha256', 'sha384', 'sha512'] as const) {
        const strong = ML_DSA[name].digests.includes(digest);
        const run = () => signData(CONTENT, { signers: [{ ...of(name), digest }] });
        if (strong) expect(verifySignedData(parse(run())).map(outcome)).toEqual(['valid']);
        else expect(run).toThrow(expect.objectContaining({ code: 'KEY_UNSUITABLE' }));
        const forged = forge(of(name), {
          hash: null,
          digestHash: digest,
          digestOid: OID[digest],
          signatureAlgorithm: (w) => w.sequence((w) => w.oid(oid)),
        });
        expect(verifySignedData(parse(forged)).map(outcome)).toEqual([strong ? 'valid' : 'CMS_MALFORMED']);
      }
    });

    it('without signed attributes, and with a key of another level', () => {
      const signatureAlgorithm = (id: string): Forgery => ({
        hash: null,
        digestOid: OID.sha512,
        signatureAlgorithm: (w) => w.sequence((w) => w.oid(id)),
      });
      const bare = forge(of(name), { ...signatureAlgorithm(oid), attributes: null });
      expect(verifySignedData(parse(bare)).map(outcome)).toEqual(['valid']);
      const otherLevel = forge(
        of(name),
        signatureAlgorithm(name === 'ml-dsa-44' ? OID.mlDsa65 : OID.mlDsa44),
      );
      expect(verifySignedData(parse(otherLevel)).map(outcome)).toEqual(['KEY_UNSUITABLE']);
    });

    it.skipIf(!corpora())('the example of RFC 9882 verifies', () => {
      const path = `lamps-cms-ml-dsa/examples/${name.replaceAll('-', '')}-signed-attrs.pem`;
      const [object] = readPem(readCorpus(path));
      const results = verifySignedData(parse((object as PemBlock).bytes), {
        certificates: [certificateOf(name)],
      });
      expect(results.map(outcome)).toEqual(['valid']);
    });
  });

  it('a seed and an expanded key that contradict each other are refused', () => {
    const pkcs8 = of('ml-dsa-44').issued.privateKey.slice();
    pkcs8[pkcs8.length - 1] = (pkcs8[pkcs8.length - 1] as number) ^ 1;
    expect(() => PrivateKey.parse(pkcs8)).toThrow(expect.objectContaining({ code: 'KEY_MALFORMED' }));
  });

  it('mail: micalg says sha-512', async () => {
    const { sign } = await import('../src/smime/message.js');
    const mail = await sign(utf8('From: a@example.org\r\n\r\nHello\r\n'), { signers: [of('ml-dsa-65')] });
    expect(Buffer.from(mail).toString()).toContain('micalg="sha-512"');
    const verdict = await verify(mail, { trust: [of('ml-dsa-65').certificate] });
    expect(verdict).toMatchObject({ valid: true, problems: [] });
  });
});
