// Makes the files of this folder with Bouncy Castle: README.md says how it is run.
import java.io.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.security.Security;
import java.security.cert.X509Certificate;
import org.bouncycastle.asn1.*;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.*;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.*;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.operator.OutputAEADEncryptor;

public class Make {
    static final byte[] CONTENT =
        "Content-Type: text/plain\r\n\r\nMade with Bouncy Castle.\r\n".getBytes(StandardCharsets.US_ASCII);
    static Path folder;
    static Path keys;

    static X509Certificate certificate(String size) throws Exception {
        try (PEMParser parser = new PEMParser(new FileReader(keys.resolve("ML-KEM-" + size + ".pem").toFile()))) {
            for (Object object; (object = parser.readObject()) != null; ) {
                if (object instanceof X509CertificateHolder holder) {
                    return new JcaX509CertificateConverter().setProvider("BC").getCertificate(holder);
                }
            }
        }
        throw new IllegalStateException(size);
    }

    static JceKEMRecipientInfoGenerator recipient(String size, ASN1ObjectIdentifier wrap, AlgorithmIdentifier kdf)
            throws Exception {
        return new JceKEMRecipientInfoGenerator(certificate(size), wrap)
            .setKDF(kdf).setProvider("BC");
    }

    /** By its subjectKeyIdentifier: the certificates of RFC 9935 share an issuer and a serial number. */
    static JceKEMRecipientInfoGenerator named(String size, ASN1ObjectIdentifier wrap) throws Exception {
        X509Certificate certificate = certificate(size);
        byte[] identifier = ASN1OctetString.getInstance(
            JcaX509ExtensionUtils.parseExtensionValue(certificate.getExtensionValue("2.5.29.14"))).getOctets();
        return new JceKEMRecipientInfoGenerator(identifier, certificate.getPublicKey(), wrap)
            .setKDF(CMSAlgorithm.SHA256_HKDF).setProvider("BC");
    }

    static void enveloped(String name, RecipientInfoGenerator... recipients) throws Exception {
        CMSEnvelopedDataGenerator generator = new CMSEnvelopedDataGenerator();
        for (RecipientInfoGenerator one : recipients) generator.addRecipientInfoGenerator(one);
        Files.write(folder.resolve(name), generator.generate(new CMSProcessableByteArray(CONTENT),
            new JceCMSContentEncryptorBuilder(CMSAlgorithm.AES256_CBC).setProvider("BC").build()).getEncoded());
    }

    public static void main(String[] args) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        folder = Path.of(args[0]);
        keys = Path.of(args[1]);
        Files.write(folder.resolve("content"), CONTENT);
        ASN1ObjectIdentifier aes128 = CMSAlgorithm.AES128_WRAP;
        ASN1ObjectIdentifier aes192 = CMSAlgorithm.AES192_WRAP;
        ASN1ObjectIdentifier aes256 = CMSAlgorithm.AES256_WRAP;
        enveloped("ml-kem-512.p7m", recipient("512", aes128, CMSAlgorithm.SHA256_HKDF));
        enveloped("ml-kem-768.p7m", recipient("768", aes256, CMSAlgorithm.SHA256_HKDF));
        enveloped("ml-kem-1024.p7m", recipient("1024", aes256, CMSAlgorithm.SHA256_HKDF));
        enveloped("ml-kem-768-aes192-sha384.p7m", recipient("768", aes192, CMSAlgorithm.SHA384_HKDF));
        enveloped("ml-kem-1024-sha512.p7m", recipient("1024", aes256, CMSAlgorithm.SHA512_HKDF));
        enveloped("ml-kem-768-ukm.p7m", recipient("768", aes256, CMSAlgorithm.SHA256_HKDF)
            .setUserKeyingMaterial("user keying material".getBytes(StandardCharsets.US_ASCII)));
        enveloped("ml-kem-three.p7m", named("512", aes128), named("768", aes256), named("1024", aes256));
        // kdf3 of X9.44, which Bouncy Castle takes if it is told nothing
        enveloped("ml-kem-768-kdf3.p7m",
            new JceKEMRecipientInfoGenerator(certificate("768"), aes256).setProvider("BC"));
        CMSAuthEnvelopedDataGenerator generator = new CMSAuthEnvelopedDataGenerator();
        generator.addRecipientInfoGenerator(recipient("768", aes256, CMSAlgorithm.SHA256_HKDF));
        Files.write(folder.resolve("ml-kem-768-gcm.p7m"), generator.generate(new CMSProcessableByteArray(CONTENT),
            (OutputAEADEncryptor) new JceCMSContentEncryptorBuilder(CMSAlgorithm.AES256_GCM).setProvider("BC").build())
            .getEncoded());
    }
}
