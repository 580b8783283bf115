/**
 * pkijs on the engine of @peculiar/webcrypto, so OpenSSL does the cryptography. It has no MIME, opens no PFX with
 * the PKCS#12 ciphers, and decrypts key transport by RSAES-OAEP only, since Node 20 refuses RSAES-PKCS1-v1_5.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Crypto } from '@peculiar/webcrypto';
import * as asn1js from 'asn1js';
import * as pkijs from 'pkijs';

const { version } = createRequire(import.meta.url)('pkijs/package.json');

const OID = {
  data: '1.2.840.113549.1.7.1',
  signedData: '1.2.840.113549.1.7.2',
  envelopedData: '1.2.840.113549.1.7.3',
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
  signingTime: '1.2.840.113549.1.9.5',
  commonName: '2.5.4.3',
  encryptedData: '1.2.840.113549.1.7.6',
  certBag: '1.2.840.113549.1.12.10.1.3',
  shroudedKeyBag: '1.2.840.113549.1.12.10.1.2',
};

/** pkijs wants ArrayBuffers. */
const arrayBuffer = (bytes) => new Uint8Array(bytes).buffer;
const read = (file) => arrayBuffer(readFileSync(file));

const contentInfo = (contentType, content) => {
  const info = new pkijs.ContentInfo({ contentType, content });
  return new Uint8Array(info.toSchema().toBER());
};

export async function create(inputs) {
  const crypto = new Crypto();
  pkijs.setEngine('peculiar', new pkijs.CryptoEngine({ name: 'peculiar', crypto }));
  const certificate = pkijs.Certificate.fromBER(read(inputs.certificate));
  const ca = pkijs.Certificate.fromBER(read(inputs.ca));
  const importKey = (algorithm, usage) =>
    crypto.subtle.importKey('pkcs8', read(inputs.key), algorithm, true, [usage]);
  const signingKey = await importKey({ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }, 'sign');
  // `openssl cms -keyopt rsa_padding_mode:oaep` uses the default of RFC 8017, SHA-1.
  const decryptionKey = await importKey({ name: 'RSA-OAEP', hash: 'SHA-1' }, 'decrypt');

  const attribute = (type, value) => new pkijs.Attribute({ type, values: [value] });

  return {
    version,
    form: 'DER',
    certificate(file) {
      const der = read(file);
      return () => {
        const parsed = pkijs.Certificate.fromBER(der);
        const name = parsed.subject.typesAndValues.find(({ type }) => type === OID.commonName);
        return {
          commonName: name.value.valueBlock.value,
          issuer: parsed.issuer,
          serial: Buffer.from(parsed.serialNumber.valueBlock.valueHexView).toString('hex'),
          notAfter: parsed.notAfter.value,
          modulusLength: parsed.subjectPublicKeyInfo.parsedKey.modulus.valueBlock.valueHexView.length * 8,
        };
      };
    },
    pfx(shape, bytes) {
      if (shape !== 'pbes2') return undefined;
      const pfx = arrayBuffer(bytes);
      const password = arrayBuffer(Buffer.from(inputs.password));
      return async () => {
        const opened = pkijs.PFX.fromBER(pfx);
        await opened.parseInternalValues({ password, checkIntegrity: true });
        const { authenticatedSafe } = opened.parsedValue;
        const safes = authenticatedSafe.safeContents;
        await authenticatedSafe.parseInternalValues({
          safeContents: safes.map(({ contentType }) =>
            contentType === OID.encryptedData ? { password } : {},
          ),
        });
        let keys = 0;
        let certificates = 0;
        for (const { value: contents } of authenticatedSafe.parsedValue.safeContents) {
          for (const { bagId, bagValue } of contents.safeBags) {
            if (bagId === OID.shroudedKeyBag) {
              await bagValue.parseInternalValues({ password });
              if (bagValue.parsedValue.parsedKey) keys++;
            }
            if (bagId === OID.certBag && bagValue.parsedValue) certificates++;
          }
        }
        return [keys, certificates];
      };
    },
    sign({ plain }) {
      const data = read(plain);
      return async () => {
        const digest = await crypto.subtle.digest('SHA-256', data);
        const signed = new pkijs.SignedData({
          version: 1,
          encapContentInfo: new pkijs.EncapsulatedContentInfo({ eContentType: OID.data }),
          certificates: [certificate],
          signerInfos: [
            new pkijs.SignerInfo({
              version: 1,
              sid: new pkijs.IssuerAndSerialNumber({
                issuer: certificate.issuer,
                serialNumber: certificate.serialNumber,
              }),
              signedAttrs: new pkijs.SignedAndUnsignedAttributes({
                type: 0,
                attributes: [
                  attribute(OID.contentType, new asn1js.ObjectIdentifier({ value: OID.data })),
                  attribute(OID.signingTime, new asn1js.UTCTime({ valueDate: new Date() })),
                  attribute(OID.messageDigest, new asn1js.OctetString({ valueHex: digest })),
                ],
              }),
            }),
          ],
        });
        await signed.sign(signingKey, 0, 'SHA-256', data);
        return contentInfo(OID.signedData, signed.toSchema(true));
      };
    },
    verify({ plain, signedDer }) {
      const data = read(plain);
      const signature = read(signedDer);
      return () => {
        const signed = new pkijs.SignedData({ schema: pkijs.ContentInfo.fromBER(signature).content });
        return signed.verify({
          signer: 0,
          data,
          trustedCerts: [ca],
          checkChain: true,
          passedWhenNotRevValues: true,
        });
      };
    },
    encrypt({ plain }) {
      const data = read(plain);
      return async () => {
        const enveloped = new pkijs.EnvelopedData();
        enveloped.addRecipientByCertificate(certificate, { useOAEP: false });
        await enveloped.encrypt({ name: 'AES-CBC', length: 256 }, data);
        return contentInfo(OID.envelopedData, enveloped.toSchema());
      };
    },
    decrypt({ encryptedOaepDer }) {
      const encrypted = read(encryptedOaepDer);
      return async () => {
        const enveloped = new pkijs.EnvelopedData({ schema: pkijs.ContentInfo.fromBER(encrypted).content });
        return new Uint8Array(
          await enveloped.decrypt(0, {
            recipientCertificate: certificate,
            recipientPrivateKey: decryptionKey,
          }),
        );
      };
    },
  };
}
