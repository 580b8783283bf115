/**
 * Project Wycheproof through the CMS layer. Every signature vector is that of a SignedData without signed attributes, whose
 * content is what was signed; AES-GCM is the content of an AuthEnvelopedData, AES key wrap the recipient of one. OAEP and
 * ECDH: cms-oaep, cms-keyagreement. What is no message, or one that RFC 5084 does not allow, has its count too.
 */
import { createCipheriv } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { OID } from '../src/asn1/oids.js';
import { parseDer } from '../src/asn1/tape.js';
import { type DerWriter, writeDer } from '../src/asn1/write.js';
import { concat, fromHex, toHex, utf8 } from '../src/bytes.js';
import { decryptEnvelopedData } from '../src/cms/enveloped.js';
import { SignedData, verifySignedData } from '../src/cms/signed.js';
import { MailsealError } from '../src/errors.js';
import { Certificate } from '../src/x509/certificate.js';
import { type DigestName, digestOid } from '../src/x509/digests.js';
import { writeHashes } from '../src/x509/pss.js';
import { parseEnveloped } from './helpers/enveloped.js';
import { issueCertificate } from './helpers/pki.js';
import { readVector } from './helpers/vectors.js';

const groupsOf = <Group>(name: string) =>
  (
    JSON.parse(Buffer.from(readVector('wycheproof', `${name}_test.json`)).toString()) as {
      testGroups: Group[];
    }
  ).testGroups;

interface SignatureGroup {
  publicKeyDer: string;
  /** Not of EdDSA. */
  sha?: string;
  mgfSha?: string;
  sLen?: number;
  tests: { tcId: number; comment: string; msg: string; sig: string; result: string }[];
}

const model = Certificate.parse(issueCertificate({ subject: 'Wycheproof' }).certificate);

/** A certificate of a public key: what signed it counts for nothing here. */
function certificateOf(publicKey: Uint8Array): Certificate {
  const [tbs, ...rest] = parseDer(model.der).children;
  return Certificate.parse(
    writeDer((w) =>
      w.sequence((w) => {
        w.sequence((w) => {
          for (const [i, field] of (tbs?.children ?? []).entries()) w.raw(i === 6 ? publicKey : field.bytes);
        });
        for (const field of rest) w.raw(field.bytes);
      }),
    ),
  );
}

/** SignedData (RFC 5652 5.1) of one signer without attributes: the signature is over the content (5.4). */
function signedData(
  certificate: Certificate,
  digest: DigestName,
  algorithm: (w: DerWriter) => void,
  content: Uint8Array,
  signature: Uint8Array,
): SignedData {
  const message = writeDer((w) =>
    w.sequence((w) => {
      w.integer(1);
      w.set((w) => w.sequence((w) => w.oid(digestOid(digest))));
      w.sequence((w) => {
        w.oid(OID.data);
        w.explicit(0, (w) => w.octets(content));
      });
      w.set((w) =>
        w.sequence((w) => {
          w.integer(1);
          w.sequence((w) => {
            w.raw(certificate.issuer.der);
            w.raw(parseDer(certificate.der).children[0]?.children[1]?.bytes as Uint8Array);
          });
          w.sequence((w) => w.oid(digestOid(digest)));
          w.sequence(algorithm);
          w.octets(signature);
        }),
      );
    }),
  );
  return SignedData.parse(parseDer(message));
}

type Kind = 'rsa' | 'pss' | 'ecdsa' | 'ed25519';

function algorithmOf(kind: Kind, digest: DigestName, group: SignatureGroup): (w: DerWriter) => void {
  const named = { sha256: 'SHA256', sha384: 'SHA384', sha512: 'SHA512' }[digest as 'sha256'];
  switch (kind) {
    case 'ed25519':
      return (w) => w.oid(OID.Ed25519);
    case 'ecdsa':
      return (w) => w.oid(OID[`ecdsaWith${named}` as 'ecdsaWithSHA256']);
    case 'rsa':
      return (w) => {
        w.oid(OID[`${digest}WithRSAEncryption` as 'sha256WithRSAEncryption']);
        w.null();
      };
    case 'pss':
      return (w) => {
        w.oid(OID.rsassaPss);
        w.sequence((w) => {
          if (digest !== 'sha1') writeHashes(w, digest, nameOf(group.mgfSha));
          w.explicit(2, (w) => w.integer(group.sLen as number));
        });
      };
  }
}

const nameOf = (sha: string | undefined) => (sha ?? 'SHA-512').toLowerCase().replace('-', '') as DigestName;

describe('signatures, as those of a SignedData', () => {
  it.each<[name: string, kind: Kind, count: number]>([
    ['rsa_signature_2048_sha256', 'rsa', 259],
    ['rsa_signature_2048_sha512', 'rsa', 259],
    ['rsa_pss_2048_sha1_mgf1_20', 'pss', 88],
    ['rsa_pss_2048_sha256_mgf1_32', 'pss', 108],
    ['rsa_pss_3072_sha256_mgf1_32_params', 'pss', 108],
    ['rsa_pss_4096_sha512_mgf1_64', 'pss', 179],
    ['ecdsa_secp256r1_sha256', 'ecdsa', 484],
    ['ecdsa_secp384r1_sha384', 'ecdsa', 504],
    ['ecdsa_brainpoolP256r1_sha256', 'ecdsa', 485],
    ['ed25519', 'ed25519', 151],
  ])('%s', (name, kind, count) => {
    let seen = 0;
    let valid = 0;
    for (const group of groupsOf<SignatureGroup>(name)) {
      const certificate = certificateOf(fromHex(group.publicKeyDer));
      const digest = nameOf(group.sha);
      const algorithm = algorithmOf(kind, digest, group);
      for (const { tcId, comment, msg, sig, result } of group.tests) {
        const signed = signedData(certificate, digest, algorithm, fromHex(msg), fromHex(sig));
        const [signer] = verifySignedData(signed, { certificates: [certificate] });
        // `acceptable` is a DigestInfo without its NULL: not the exact one, and refused.
        expect(signer?.valid, `${tcId}: ${comment}`).toBe(result === 'valid');
        if (signer?.valid) valid++;
        else expect(signer?.error?.code, `${tcId}: ${comment}`).toBe('SIGNATURE_INVALID');
        seen++;
      }
    }
    expect(seen).toBe(count);
    expect(valid).toBeGreaterThan(5);
  });
});

const CONTENT = utf8('content');
const keyIdentifier = utf8('id');
const WRAPS: Readonly<Record<number, string>> = {
  16: OID.aes128Wrap,
  24: OID.aes192Wrap,
  32: OID.aes256Wrap,
};

/** KEKRecipientInfo (RFC 5652 6.2.3). */
function kekRecipient(kekLength: number, encryptedKey: Uint8Array): Uint8Array {
  return writeDer((w) =>
    w.implicitConstructed(2, (w) => {
      w.integer(4);
      w.sequence((w) => w.octets(keyIdentifier));
      w.sequence((w) => w.oid(WRAPS[kekLength] as string));
      w.octets(encryptedKey);
    }),
  );
}

async function outcomeOf(message: Uint8Array, key: Uint8Array): Promise<string> {
  try {
    const secrets = { sharedKeys: [{ keyIdentifier, key }] };
    return toHex((await decryptEnvelopedData(parseEnveloped(message), undefined, secrets)).content);
  } catch (error) {
    if (error instanceof MailsealError) return error.code;
    throw error;
  }
}

it('AES key wrap, as that of a shared key', async () => {
  interface Group {
    tests: { tcId: number; comment: string; key: string; msg: string; ct: string; result: string }[];
  }
  const counts = { opened: 0, refused: 0, otherLengths: 0 };
  for (const { tests } of groupsOf<Group>('aes_wrap')) {
    for (const { tcId, comment, key, msg, ct, result } of tests) {
      // What was wrapped is the content key. Of those that fail it is unknown: then any does.
      const contentKey = [32, 48, 64].includes(msg.length) ? fromHex(msg) : new Uint8Array(16);
      const kek = fromHex(key);
      const message = encrypted(contentKey, kekRecipient(kek.length, fromHex(ct)));
      const outcome = await outcomeOf(message, kek);
      if (result === 'valid' && msg.length === contentKey.length * 2) {
        expect(outcome, `${tcId}: ${comment}`).toBe(toHex(CONTENT));
        counts.opened++;
      } else {
        expect(outcome, `${tcId}: ${comment}`).toBe('DECRYPTION_FAILED');
        if (result === 'invalid') counts.refused++;
        else counts.otherLengths++;
      }
    }
  }
  expect(counts).toEqual({ opened: 33, refused: 126, otherLengths: 6 });
});

/** {@link CONTENT} under a content key of any length. */
function encrypted(key: Uint8Array, recipient: Uint8Array): Uint8Array {
  const nonce = key.subarray(0, 12);
  const engine = createCipheriv(`aes-${(key.length * 8) as 128}-gcm`, key, nonce);
  const octets = concat([engine.update(CONTENT), engine.final()]);
  return authEnveloped(key.length, recipient, nonce, octets, engine.getAuthTag());
}

function authEnveloped(
  keyLength: number,
  recipient: Uint8Array,
  nonce: Uint8Array,
  encrypted: Uint8Array,
  tag: Uint8Array,
): Uint8Array {
  return writeDer((w) =>
    w.sequence((w) => {
      w.oid(OID.authEnvelopedData);
      w.explicit(0, (w) =>
        w.sequence((w) => {
          w.integer(0);
          w.set((w) => w.raw(recipient));
          w.sequence((w) => {
            w.oid(OID.data);
            w.sequence((w) => {
              w.oid(OID[`aes${keyLength * 8}Gcm` as 'aes128Gcm']);
              w.sequence((w) => {
                w.octets(nonce);
                w.integer(tag.length);
              });
            });
            w.implicit(0, encrypted);
          });
          w.octets(tag);
        }),
      );
    }),
  );
}

it('AES-GCM, as the content of an AuthEnvelopedData without attributes', async () => {
  interface Group {
    ivSize: number;
    tests: Record<'comment' | 'key' | 'iv' | 'aad' | 'msg' | 'ct' | 'tag' | 'result', string>[];
  }
  const counts = { opened: 0, refused: 0, otherNonces: 0, noAttributes: 0 };
  const kek = new Uint8Array(16).fill(7);
  for (const { ivSize, tests } of groupsOf<Group>('aes_gcm')) {
    for (const { comment, key, iv, aad, msg, ct, tag, result } of tests) {
      if (aad !== '') {
        counts.noAttributes++; // octets that are no attributes: no message has them
        continue;
      }
      const wrap = createCipheriv('id-aes128-wrap', kek, new Uint8Array(8).fill(0xa6));
      const wrapped = concat([wrap.update(fromHex(key)), wrap.final()]);
      const recipient = kekRecipient(16, wrapped);
      const message = authEnveloped(key.length / 2, recipient, fromHex(iv), fromHex(ct), fromHex(tag));
      const outcome = await outcomeOf(message, kek);
      if (ivSize !== 96) {
        expect(outcome, comment).toBe('CMS_MALFORMED');
        counts.otherNonces++;
      } else if (result === 'valid') {
        expect(outcome, comment).toBe(msg);
        counts.opened++;
      } else {
        expect(outcome, comment).toBe('DECRYPTION_FAILED');
        counts.refused++;
      }
    }
  }
  expect(counts).toEqual({ opened: 64, refused: 81, otherNonces: 117, noAttributes: 54 });
});
