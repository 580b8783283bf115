/**
 * node-forge: all in JavaScript, on strings of one character an octet. Those strings are made outside the timing, the
 * buffers that it reads them through within. It has no MIME, and its PKCS#7 can't verify.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import forge from 'node-forge';

const { version } = createRequire(import.meta.url)('node-forge/package.json');
const { asn1, pki, pkcs7, pkcs12 } = forge;

const toBinary = (bytes) => Buffer.from(bytes).toString('latin1');
const readBinary = (file) => readFileSync(file, 'latin1');
const parse = (binary) => asn1.fromDer(forge.util.createBuffer(binary));
const fromBinary = (binary) => Buffer.from(binary, 'latin1');

export async function create(inputs) {
  const certificate = pki.certificateFromAsn1(parse(readBinary(inputs.certificate)));
  const key = pki.privateKeyFromAsn1(parse(readBinary(inputs.key)));
  return {
    version,
    form: 'DER',
    tape(der) {
      const binary = toBinary(der);
      return () => parse(binary);
    },
    certificate(file) {
      const binary = readBinary(file);
      return () => {
        const { subject, issuer, serialNumber, validity, publicKey } = pki.certificateFromAsn1(parse(binary));
        return {
          commonName: subject.getField('CN').value,
          issuer,
          serial: serialNumber,
          notAfter: validity.notAfter,
          modulusLength: publicKey.n.bitLength(),
        };
      };
    },
    pfx(_shape, bytes) {
      const binary = toBinary(bytes);
      const { certBag, pkcs8ShroudedKeyBag } = pki.oids;
      return () => {
        const opened = pkcs12.pkcs12FromAsn1(parse(binary), inputs.password);
        const keys = opened.getBags({ bagType: pkcs8ShroudedKeyBag })[pkcs8ShroudedKeyBag];
        const certificates = opened.getBags({ bagType: certBag })[certBag];
        return [keys.filter((bag) => bag.key).length, certificates.filter((bag) => bag.cert).length];
      };
    },
    sign({ plain }) {
      const binary = readBinary(plain);
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
    encrypt({ plain }) {
      const binary = readBinary(plain);
      return () => {
        const message = pkcs7.createEnvelopedData();
        message.addRecipient(certificate);
        message.content = forge.util.createBuffer(binary);
        message.encrypt();
        return fromBinary(asn1.toDer(message.toAsn1()).getBytes());
      };
    },
    decrypt({ encryptedDer }) {
      const binary = readBinary(encryptedDer);
      return () => {
        const message = pkcs7.messageFromAsn1(parse(binary));
        message.decrypt(message.findRecipient(certificate), key);
        return fromBinary(message.content.getBytes());
      };
    },
  };
}
