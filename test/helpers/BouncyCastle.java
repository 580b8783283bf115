// Verifies every SignedData in a folder with Bouncy Castle, for test/helpers/peers.ts: one line for each file, its name
// and then `valid` or what is wrong for each signer and, behind a slash, each of its counter-signers.
import java.nio.file.*;
import java.security.Security;
import java.util.*;
import java.util.stream.*;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.util.Store;

public class BouncyCastle {
    static String check(SignerInformation signer, Store<X509CertificateHolder> certificates) {
        String result;
        try {
            @SuppressWarnings("unchecked")
            Collection<X509CertificateHolder> named = certificates.getMatches(signer.getSID());
            X509CertificateHolder certificate = named.iterator().next();
            result = signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(certificate))
                ? "valid" : "INVALID";
        } catch (Exception error) {
            result = String.valueOf(error.getMessage()).replaceAll("\\s+", "_");
        }
        for (SignerInformation counter : signer.getCounterSignatures()) {
            result += "/" + check(counter, certificates);
        }
        return result;
    }

    public static void main(String[] args) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        Path folder = Paths.get(args[0]);
        byte[] content = Files.readAllBytes(folder.resolve("content"));
        List<Path> files;
        try (Stream<Path> all = Files.list(folder)) {
            files = all.filter(path -> path.toString().matches(".*\\.p7[ms]")).sorted().toList();
        }
        for (Path file : files) {
            byte[] bytes = Files.readAllBytes(file);
            CMSSignedData signed = file.toString().endsWith("s")
                ? new CMSSignedData(new CMSProcessableByteArray(content), bytes)
                : new CMSSignedData(bytes);
            String results = signed.getSignerInfos().getSigners().stream()
                .map(signer -> check(signer, signed.getCertificates())).collect(Collectors.joining(" "));
            System.out.println(file.getFileName() + " " + results);
        }
    }
}
