/**
 * ML-KEM keys and certificates (RFC 9935): the RFC's, and new ones. On a Node.js without ML-KEM: public keys are read, and
 * using one, or reading a private one, is refused by name.
 */
import { describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { parseDer } from '../src/asn1/tape.js';
import { readOctets } from '../src/asn1/values.js';
import { writeDer } from '../src/asn1/write.js';
import { type PemBlock, readPem, toHex } from '../src/bytes.js';
import { readPfx } from '../src/pfx/read.js';
import { writePfx } from '../src/pfx/write.js';
import { Certificate } from '../src/x509/certificate.js';
import { PrivateKey, PublicKey } from '../src/x509/keys.js';
import { decapsulate, encapsulate, hasMlKem, ML_KEM, type MlKemAlgorithm } from '../src/x509/mlkem.js';
import { writeSpki } from '../src/x509/spki.js';
import { generateKey, issueCertificate, person } from './helpers/pki.js';
import { corpora, readCorpus, readVector } from './helpers/vectors.js';

const SIZES: readonly [MlKemAlgorithm, string][] = [
  ['ml-kem-512', OID.mlKem512],
  ['ml-kem-768', OID.mlKem768],
  ['ml-kem-1024', OID.mlKem1024],
];
const block = (name: string, label: string) => {
  const blocks = readPem(readVector('bc-test-data', `pkix/cert/mlkem/${name.toUpperCase()}.pem`));
  return (blocks.find((one) => one.label === label) as PemBlock).bytes;
};
const coded = (code: string) => expect.objectContaining({ code });

describe.each(SIZES)('%s', (name, oid) => {
  it('public keys are read and compared, and the certificate is for keyEncipherment alone', () => {
    const key = PublicKey.parse(block(name, 'PUBLIC KEY'));
    const { publicKey, keyUsage } = Certificate.parse(block(name, 'CERTIFICATE'));
    expect([key.algorithm, key.algorithmOid, key.bits.length]).toEqual([name, oid, ML_KEM[name].size]);
    expect(key.equals(publicKey)).toBe(true);
    const [other] = SIZES.find(([one]) => one !== name) as [MlKemAlgorithm, string];
    expect(key.equals(PublicKey.parse(block(other, 'PUBLIC KEY')))).toBe(false);
    expect(Object.entries(keyUsage ?? {}).filter(([, set]) => set)).toEqual([['keyEncipherment', true]]);
  });

  it('a public key of another size, or with parameters, is refused', () => {
    const { bits } = PublicKey.parse(block(name, 'PUBLIC KEY'));
    for (const wrong of [bits.subarray(1), new Uint8Array(bits.length + 1), new Uint8Array()]) {
      expect(() => PublicKey.parse(writeSpki(wrong, (w) => w.sequence((w) => w.oid(oid))))).toThrow(
        coded('KEY_MALFORMED'),
      );
    }
    const withNull = writeSpki(bits, (w) =>
      w.sequence((w) => {
        w.oid(oid);
        w.null();
      }),
    );
    expect(() => PublicKey.parse(withNull)).toThrow(coded('KEY_MALFORMED'));
  });
});

describe.skipIf(hasMlKem()).each(SIZES)('%s, which this Node.js does not have', (name, oid) => {
  it('is refused by name: public key, private key', () => {
    const unsupported = expect.objectContaining({
      code: 'UNSUPPORTED_ALGORITHM',
      oid,
      message: expect.stringContaining('needs Node.js 24'),
    });
    expect(() => PublicKey.parse(block(name, 'PUBLIC KEY')).keyObject).toThrow(unsupported);
    expect(() => PrivateKey.parse(block(name, 'PRIVATE KEY'))).toThrow(unsupported);
  });
});

describe.skipIf(!hasMlKem())('with the ML-KEM of this Node.js', () => {
  /** The other two forms of a seed (RFC 9935 section 6): node:crypto writes `both`, whose second part is the expanded key. */
  function formsOf(seed: Uint8Array): [string, Uint8Array][] {
    const both = Uint8Array.from(PrivateKey.parse(seed).keyObject.export({ format: 'der', type: 'pkcs8' }));
    const choice = parseDer(readOctets(parseDer(both).children.at(-1) as ReturnType<typeof parseDer>));
    const algorithm = parseDer(both).children[1]?.bytes as Uint8Array;
    const expanded = writeDer((w) =>
      w.sequence((w) => {
        w.integer(0);
        w.raw(algorithm);
        w.octets(choice.children[1]?.bytes as Uint8Array);
      }),
    );
    return [
      ['seed', seed],
      ['both', both],
      ['expanded key', expanded],
    ];
  }

  describe.each(SIZES)('%s', (name) => {
    it("each form of RFC 9935's private key is that of its certificate, and decapsulates", () => {
      const { publicKey } = Certificate.parse(block(name, 'CERTIFICATE'));
      const { sharedKey, ciphertext } = encapsulate(publicKey.keyObject);
      expect(ciphertext.length).toBe(ML_KEM[name].ciphertextSize);
      const lengths = new Set<number>();
      for (const [, pkcs8] of formsOf(block(name, 'PRIVATE KEY'))) {
        const key = PrivateKey.parse(pkcs8);
        expect(key.publicKey.equals(publicKey)).toBe(true);
        expect(toHex(decapsulate(key.keyObject, ciphertext))).toBe(toHex(sharedKey));
        expect(toHex(key.toPkcs8())).toBe(toHex(pkcs8));
        lengths.add(pkcs8.length);
        key.wipe();
        expect(() => key.keyObject).toThrow(coded('KEY_UNSUITABLE'));
      }
      expect(lengths.size).toBe(3);
    });

    it('a seed and an expanded key that contradict each other are refused, and an expanded key that does itself', () => {
      const forms = new Map(formsOf(block(name, 'PRIVATE KEY')));
      // The last octet is that of z, which only the seed tells; 40 octets before it is the digest of the public key.
      for (const [form, fromEnd] of [
        ['both', 1],
        ['both', 40],
        ['expanded key', 40],
      ] as const) {
        const changed = Uint8Array.from(forms.get(form) as Uint8Array);
        const at = changed.length - fromEnd;
        changed[at] = (changed[at] as number) ^ 1;
        expect(() => PrivateKey.parse(changed)).toThrow(coded('KEY_MALFORMED'));
      }
    });

    it('a private key that is cut is refused at every octet', () => {
      const seed = block(name, 'PRIVATE KEY');
      for (let length = 0; length < seed.length; length++) {
        expect(() => PrivateKey.parse(seed.slice(0, length))).toThrow(
          expect.objectContaining({ name: 'MailsealError' }),
        );
      }
    });

    it('a public key with a coefficient beyond the modulus is refused when it is used (FIPS 203 7.2)', () => {
      const spki = Uint8Array.from(block(name, 'PUBLIC KEY'));
      spki.fill(0xff, 40, 80);
      expect(() => PublicKey.parse(spki).keyObject).toThrow(coded('KEY_MALFORMED'));
    });

    it('a PFX takes such a key and its certificate, and gives them back', () => {
      const issuer = issueCertificate({ subject: 'CA', ca: true });
      const { privateKey, certificate } = person({ subject: name, key: name, issuer });
      const [entry] = readPfx(
        writePfx([{ privateKey, certificate }], 'secret', { profile: 'modern' }),
        'secret',
      ).entries;
      expect(toHex(entry?.privateKey.toPkcs8() as Uint8Array)).toBe(toHex(privateKey.toPkcs8()));
      expect(entry?.certificate?.equals(certificate)).toBe(true);
    });
  });

  it.skipIf(!corpora())('the example of RFC 9936 has one key in three forms', () => {
    const keys = ['seed', 'both', 'expanded'].map((form) => {
      const [pem] = readPem(readCorpus(`lamps-cms-kyber/example/ML-KEM-512-${form}.priv`));
      return PrivateKey.parse((pem as PemBlock).bytes);
    });
    const [pem] = readPem(readCorpus('lamps-cms-kyber/example/ML-KEM-512.pem'));
    const { publicKey } = Certificate.parse((pem as PemBlock).bytes);
    expect(keys.map((key) => key.publicKey.equals(publicKey))).toEqual([true, true, true]);
  });

  it('a certificate can have such a key, and not be signed by one', () => {
    const key = generateKey('ml-kem-512');
    expect(() => issueCertificate({ subject: 'self', key })).toThrow(RangeError);
  });
});
