// Opens every AuthEnvelopedData in a folder with Bouncy Castle, and makes some, for test/helpers/peers.ts. The folder has the
// recipient as `key` (PKCS#8, RSA) and `certificate`, `content`, and `make`: a name and the OID of a cipher on each line. One
// line for each message, its name and then `opened`, `made`, or what is wrong.
import java.nio.file.*;
import java.security.*;
import java.security.cert.*;
import java.util.*;
import java.util.stream.*;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.*;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.OutputAEADEncryptor;

public class BouncyCastleEnvelopes {
    interface Step {
        String run() throws Exception;
    }

    static void line(String name, Step step) {
        String result;
        try {
            result = step.run();
        } catch (Exception error) {
            result = String.valueOf(error.getMessage()).replaceAll("\\s+", "_");
        }
        System.out.println(name + " " + result);
    }

    public static void main(String[] args) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        Path folder = Paths.get(args[0]);
        byte[] content = Files.readAllBytes(folder.resolve("content"));
        PrivateKey key = BouncyCastleProvider.getPrivateKey(
            PrivateKeyInfo.getInstance(Files.readAllBytes(folder.resolve("key"))));
        X509Certificate certificate;
        try (var in = Files.newInputStream(folder.resolve("certificate"))) {
            certificate = (X509Certificate) CertificateFactory.getInstance("X.509", "BC").generateCertificate(in);
        }
        List<Path> files;
        try (Stream<Path> all = Files.list(folder)) {
            files = all.filter(path -> path.toString().endsWith(".p7m")).sorted().toList();
        }
        for (Path file : files) {
            line(file.getFileName().toString(), () -> {
                CMSAuthEnvelopedData message = new CMSAuthEnvelopedData(Files.readAllBytes(file));
                RecipientInformation recipient = message.getRecipientInfos().iterator().next();
                byte[] opened = recipient.getContent(new JceKeyTransAuthEnvelopedRecipient(key).setProvider("BC"));
                return Arrays.equals(opened, content) ? "opened" : "OTHER";
            });
        }
        for (String asked : Files.readAllLines(folder.resolve("make"))) {
            String name = asked.split(" ")[0] + ".made";
            line(name, () -> {
                var encryptor = new JceCMSContentEncryptorBuilder(new ASN1ObjectIdentifier(asked.split(" ")[1]))
                    .setProvider("BC").build();
                CMSAuthEnvelopedDataGenerator generator = new CMSAuthEnvelopedDataGenerator();
                generator.addRecipientInfoGenerator(new JceKeyTransRecipientInfoGenerator(certificate).setProvider("BC"));
                var made = generator.generate(new CMSProcessableByteArray(content), (OutputAEADEncryptor) encryptor);
                Files.write(folder.resolve(name), made.getEncoded());
                return "made";
            });
        }
    }
}
