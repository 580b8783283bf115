// What Bouncy Castle (1.81 or later) opens of the messages in a folder, with the ML-KEM keys in PEM files of another: a line
// for each message, with the content in base64 of everyone who opens it, in the order of the recipients. Used by test/cms-kem.test.ts.
import java.io.FileReader;
import java.nio.file.*;
import java.security.*;
import java.util.*;
import java.util.stream.*;
import org.bouncycastle.asn1.cms.CMSObjectIdentifiers;
import org.bouncycastle.asn1.cms.ContentInfo;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.*;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.openssl.jcajce.JcaPEMKeyConverter;

public class BouncyCastleKem {
    record Person(PrivateKey key, X509CertificateHolder certificate) {}

    static Person person(Path path) throws Exception {
        PrivateKey key = null;
        X509CertificateHolder certificate = null;
        try (PEMParser parser = new PEMParser(new FileReader(path.toFile()))) {
            for (Object object; (object = parser.readObject()) != null; ) {
                if (object instanceof X509CertificateHolder holder) certificate = holder;
                if (object instanceof PrivateKeyInfo info) {
                    key = new JcaPEMKeyConverter().setProvider("BC").getPrivateKey(info);
                }
            }
        }
        return new Person(key, certificate);
    }

    static String algorithm(Person person) {
        return person.certificate.getSubjectPublicKeyInfo().getAlgorithm().getAlgorithm().getId();
    }

    static List<Path> files(String folder, String ending) throws Exception {
        try (Stream<Path> all = Files.list(Path.of(folder))) {
            return all.filter(path -> path.toString().endsWith(ending)).sorted().toList();
        }
    }

    public static void main(String[] args) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        List<Person> people = new ArrayList<>();
        for (Path path : files(args[1], ".pem")) people.add(person(path));
        for (Path file : files(args[0], ".p7m")) {
            ContentInfo info = ContentInfo.getInstance(Files.readAllBytes(file));
            RecipientInformationStore recipients = info.getContentType().equals(CMSObjectIdentifiers.authEnvelopedData)
                ? new CMSAuthEnvelopedData(info).getRecipientInfos()
                : new CMSEnvelopedData(info).getRecipientInfos();
            StringBuilder line = new StringBuilder(file.getFileName().toString());
            for (RecipientInformation recipient : recipients.getRecipients()) {
                for (Person person : people) {
                    // The certificates of RFC 9935 share an issuer and a serial number.
                    String kem = recipient.getKeyEncryptionAlgOID();
                    if (!recipient.getRID().match(person.certificate) || !kem.equals(algorithm(person))) continue;
                    Recipient opener = info.getContentType().equals(CMSObjectIdentifiers.authEnvelopedData)
                        ? new JceKEMAuthEnvelopedRecipient(person.key).setProvider("BC")
                        : new JceKEMEnvelopedRecipient(person.key).setProvider("BC");
                    line.append(' ').append(Base64.getEncoder().encodeToString(recipient.getContent(opener)));
                }
            }
            System.out.println(line);
        }
    }
}
