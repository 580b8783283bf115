/**
 * node-forge: all in JavaScript, on strings of one character an octet. Those strings are made outside the timing.
 * It has no MIME, and its PKCS#7 can't verify.
 */
import { createRequire } from 'node:module';
import forge from 'node-forge';

const { version } = createRequire(import.meta.url)('node-forge/package.json');
const { asn1, pki, pkcs7, pkcs12 } = forge;

const toBinary = (bytes) => Buffer.from(bytes).toString('latin1');
const fromBinary = (binary) => Buffer.from(binary, 'latin1');

export async function create(identity) {
  const certificate = pki.certificateFromAsn1(asn1.fromDer(toBinary(identity.certificate)));
  const key = pki.privateKeyFromAsn1(asn1.fromDer(toBinary(identity.key)));
  return {
    impl: 'node-forge',
    version,
    parse(der) {
      const binary = toBinary(der);
      return () => asn1.fromDer(binary);
    },
    certificate(der) {
      const binary = toBinary(der);
      return () => {
        const { subject, issuer, serialNumber, validity, publicKey } = pki.certificateFromAsn1(
          asn1.fromDer(binary),
        );
        return {
          commonName: subject.getField('CN').value,
          issuer,
          serial: serialNumber,
          notAfter: validity.notAfter,
          modulusLength: publicKey.n.bitLength(),
        };
      };
    },
    pfx(pfx, password) {
      const binary = toBinary(pfx);
      const { certBag, pkcs8ShroudedKeyBag } = pki.oids;
      return () => {
        const opened = pkcs12.pkcs12FromAsn1(asn1.fromDer(binary), password);
        const keys = opened.getBags({ bagType: pkcs8ShroudedKeyBag })[pkcs8ShroudedKeyBag];
        const certificates = opened.getBags({ bagType: certBag })[certBag];
        return [keys.filter((bag) => bag.key).length, certificates.filter((bag) => bag.cert).length];
      };
    },
    sign(content) {
      const binary = toBinary(content);
      return () => {
        const message = pkcs7.createSignedData();
        message.content = forge.util.createBuffer(binary);
        message.addCertificate(certificate);
        message.addSigner({
          key,
          certificate,
          digestAlgorithm: pki.oids.sha256,
          authenticatedAttributes: [
            { type: pki.oids.contentType, value: pki.oids.data },
            { type: pki.oids.messageDigest },
            { type: pki.oids.signingTime, value: new Date() },
          ],
        });
        message.sign({ detached: true });
        return fromBinary(asn1.toDer(message.toAsn1()).getBytes());
      };
    },
    encrypt(content) {
      const binary = toBinary(content);
      return () => {
        const message = pkcs7.createEnvelopedData();
        message.addRecipient(certificate);
        message.content = forge.util.createBuffer(binary);
        message.encrypt();
        return fromBinary(asn1.toDer(message.toAsn1()).getBytes());
      };
    },
    decrypt(encrypted) {
      const binary = toBinary(encrypted);
      return () => {
        const message = pkcs7.messageFromAsn1(asn1.fromDer(binary));
        message.decrypt(message.findRecipient(certificate), key);
        return fromBinary(message.content.getBytes());
      };
    },
  };
}
