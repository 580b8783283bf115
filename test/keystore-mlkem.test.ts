/** A key store with certificates for ML-KEM among its users': they are kept, and offered where this Node.js has ML-KEM. */
import { expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { readPem } from '../src/bytes.js';
import { generateSealKey, openKeyStore } from '../src/keystore/store.js';
import { Certificate } from '../src/x509/certificate.js';
import { hasMlKem } from '../src/x509/mlkem.js';
import { issueCertificate } from './helpers/pki.js';
import { readVector } from './helpers/vectors.js';

it('a newer certificate for ML-KEM keeps no mail from going to the other one', async () => {
  const now = new Date('2026-06-01T00:00:00Z');
  const issued = issueCertificate({
    subject: 'Dora',
    emails: ['dora@example.org'],
    notBefore: new Date('2019-01-01T00:00:00Z'),
  });
  const other = Certificate.parse(issued.certificate);
  const blocks = readPem(readVector('bc-test-data', 'pkix/cert/mlkem/ML-KEM-768.pem'));
  const certificate = Certificate.parse(
    blocks.find(({ label }) => label === 'CERTIFICATE')?.bytes as Uint8Array,
  );
  expect(certificate.notBefore > other.notBefore).toBe(true);
  const store = await openKeyStore('sqlite::memory:', { sealKey: generateSealKey() });
  try {
    await store.add({ certificate: other });
    await store.add({ certificate, user: 'dora@example.org' });
    const history = await store.history('dora@example.org');
    expect(history.map((one) => [one.certificate.publicKey.algorithmOid, one.mayEncrypt])).toEqual([
      [OID.mlKem768, true],
      [OID.ecPublicKey, true],
    ]);
    const offered = await store.encryptionCertificates('dora@example.org', now);
    const expected = hasMlKem() ? [certificate, other] : [other];
    expect(offered.map(({ subject }) => subject.toString())).toEqual(
      expected.map(({ subject }) => subject.toString()),
    );
  } finally {
    await store.close();
  }
});
