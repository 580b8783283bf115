// Makes the files of this folder with Bouncy Castle: README.md says how it is run.
import java.io.File;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.security.*;
import java.security.cert.X509Certificate;
import java.security.spec.*;
import java.util.*;
import org.bouncycastle.asn1.*;
import org.bouncycastle.asn1.cms.*;
import org.bouncycastle.asn1.cms.Attribute;
import org.bouncycastle.asn1.ess.*;
import org.bouncycastle.asn1.nist.NISTObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.smime.*;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.*;
import org.bouncycastle.cert.*;
import org.bouncycastle.cert.jcajce.*;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.*;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.*;
import org.bouncycastle.operator.jcajce.*;

public class Make {
    static final byte[] CONTENT =
        "Content-Type: text/plain\r\n\r\nMade with Bouncy Castle.\r\n".getBytes(StandardCharsets.US_ASCII);
    static Path folder;
    static int serial = 100;

    record Person(String name, PrivateKey key, X509CertificateHolder certificate) {}

    static void write(String name, byte[] bytes) throws Exception {
        Files.write(folder.resolve(name), bytes);
    }

    static KeyPair generate(String kind) throws Exception {
        if (kind.startsWith("rsa")) {
            KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA", "BC");
            generator.initialize(2048);
            return generator.generateKeyPair();
        }
        if (kind.startsWith("ed")) return KeyPairGenerator.getInstance(kind, "BC").generateKeyPair();
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC", "BC");
        generator.initialize(new ECGenParameterSpec(kind));
        return generator.generateKeyPair();
    }

    /** A self-signed certificate, and the key beside it. */
    static Person person(String name, String kind, String algorithm) throws Exception {
        KeyPair pair = generate(kind);
        X500Name subject = new X500Name("CN=" + name);
        X509v3CertificateBuilder builder = new JcaX509v3CertificateBuilder(
            subject, BigInteger.valueOf(serial++), new Date(1577836800000L), new Date(2208988800000L), subject,
            pair.getPublic());
        builder.addExtension(Extension.subjectKeyIdentifier, false,
            new JcaX509ExtensionUtils().createSubjectKeyIdentifier(pair.getPublic()));
        builder.addExtension(Extension.keyUsage, true, new KeyUsage(KeyUsage.digitalSignature));
        ContentSigner signer = new JcaContentSignerBuilder(algorithm).setProvider("BC").build(pair.getPrivate());
        X509CertificateHolder certificate = builder.build(signer);
        write(name + ".crt", certificate.getEncoded());
        write(name + ".p8", pair.getPrivate().getEncoded());
        return new Person(name, pair.getPrivate(), certificate);
    }

    static SignerInfoGenerator signer(Person person, String algorithm, AlgorithmParameterSpec spec,
            Attribute[] attributes, boolean direct, boolean byKey) throws Exception {
        JcaContentSignerBuilder content = spec == null
            ? new JcaContentSignerBuilder(algorithm)
            : new JcaContentSignerBuilder(algorithm, spec);
        JcaSignerInfoGeneratorBuilder builder = new JcaSignerInfoGeneratorBuilder(
            new JcaDigestCalculatorProviderBuilder().setProvider("BC").build());
        builder.setDirectSignature(direct);
        if (attributes.length > 0) {
            Hashtable<ASN1ObjectIdentifier, Attribute> table = new Hashtable<>();
            for (Attribute attribute : attributes) table.put(attribute.getAttrType(), attribute);
            builder.setSignedAttributeGenerator(
                new DefaultSignedAttributeTableGenerator(new AttributeTable(table)));
        }
        ContentSigner built = content.setProvider("BC").build(person.key);
        if (byKey) {
            return builder.build(built, SubjectKeyIdentifier
                .fromExtensions(person.certificate.getExtensions()).getKeyIdentifier());
        }
        return builder.build(built, person.certificate);
    }

    static CMSSignedData sign(boolean attached, Person[] people, SignerInfoGenerator... signers) throws Exception {
        CMSSignedDataGenerator generator = new CMSSignedDataGenerator();
        for (SignerInfoGenerator one : signers) generator.addSignerInfoGenerator(one);
        for (Person one : people) generator.addCertificate(one.certificate);
        return generator.generate(new CMSProcessableByteArray(CONTENT), attached);
    }

    static void one(String name, Person person, String algorithm, AlgorithmParameterSpec spec,
            Attribute... attributes) throws Exception {
        write(name + ".p7m", sign(true, new Person[] {person},
            signer(person, algorithm, spec, attributes, false, false)).getEncoded());
    }

    static void bare(String name, Person person, String algorithm) throws Exception {
        write(name + ".p7m", sign(true, new Person[] {person},
            signer(person, algorithm, null, new Attribute[0], true, false)).getEncoded());
    }

    static Attribute attribute(ASN1ObjectIdentifier type, ASN1Encodable value) {
        return new Attribute(type, new DERSet(value));
    }

    static PSSParameterSpec pss(String hash, String mask, int salt) {
        return new PSSParameterSpec(hash, "MGF1", new MGF1ParameterSpec(mask), salt, 1);
    }

    static ESSCertIDv2 certId(X509CertificateHolder certificate, String hash, AlgorithmIdentifier named)
            throws Exception {
        byte[] digest = MessageDigest.getInstance(hash).digest(certificate.getEncoded());
        IssuerSerial issuer = new IssuerSerial(
            new GeneralNames(new GeneralName(certificate.getIssuer())),
            new ASN1Integer(certificate.getSerialNumber()));
        return new ESSCertIDv2(named, digest, issuer);
    }

    static CMSSignedData counterSigned(CMSSignedData signed, SignerInfoGenerator counter) throws Exception {
        CMSSignedDataGenerator generator = new CMSSignedDataGenerator();
        generator.addSignerInfoGenerator(counter);
        List<SignerInformation> all = new ArrayList<>();
        for (SignerInformation one : signed.getSignerInfos()) {
            all.add(SignerInformation.addCounterSigners(one, generator.generateCounterSigners(one)));
        }
        return CMSSignedData.replaceSigners(signed, new SignerInformationStore(all));
    }

    public static void main(String[] args) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        folder = Paths.get(args[0]);
        write("content", CONTENT);
        Person rsa = person("rsa", "rsa", "SHA256withRSA");
        Person ed25519 = person("ed25519", "ed25519", "Ed25519");
        Person ed448 = person("ed448", "ed448", "Ed448");
        Person p256 = person("p256", "P-256", "SHA256withECDSA");

        one("ed25519", ed25519, "Ed25519", null);
        one("ed448", ed448, "Ed448", null);
        bare("ed25519-bare", ed25519, "Ed25519");
        bare("ed448-bare", ed448, "Ed448");
        write("ed448-detached.p7s", sign(false, new Person[] {ed448},
            signer(ed448, "Ed448", null, new Attribute[0], false, true)).getEncoded());

        String[] hashes = {"SHA-1", "SHA-224", "SHA-256", "SHA-384", "SHA-512", "SHA-512/224", "SHA-512/256",
            "SHA3-224", "SHA3-256", "SHA3-384", "SHA3-512"};
        for (String hash : hashes) {
            String plain = hash.startsWith("SHA-") ? hash.replaceFirst("-", "") : hash;
            String name = plain.toLowerCase().replace("/", "-");
            int length = MessageDigest.getInstance(hash, "BC").getDigestLength();
            one("rsa-" + name, rsa, plain.replace("/", "(").replaceFirst("(\\(.*)", "$1)") + "withRSA", null);
            if (hash.contains("/")) continue;
            one("pss-" + name, rsa, plain + "withRSAandMGF1", pss(hash, hash, length));
            one("p256-" + name, p256, plain + "withECDSA", null);
        }
        one("rsa-md5", rsa, "MD5withRSA", null);
        one("pss-sha256-salt-222", rsa, "SHA256withRSAandMGF1", pss("SHA-256", "SHA-256", 222));
        for (int bits : new int[] {256, 384, 512}) {
            for (String form : new String[] {"r1", "t1"}) {
                String curve = "brainpoolP" + bits + form;
                one(curve, person(curve, curve, "SHA" + bits + "withECDSA"), "SHA" + bits + "withECDSA", null);
            }
        }
        one("secp256k1", person("secp256k1", "secp256k1", "SHA256withECDSA"), "SHA256withECDSA", null);

        Person[] four = {rsa, p256, ed25519, ed448};
        SignerInfoGenerator[] signers = new SignerInfoGenerator[4];
        String[] algorithms = {"SHA384withRSA", "SHA256withECDSA", "Ed25519", "Ed448"};
        for (int i = 0; i < 4; i++) signers[i] = signer(four[i], algorithms[i], null, new Attribute[0], false, false);
        write("four-signers.p7m", sign(true, four, signers).getEncoded());

        SMIMECapabilityVector able = new SMIMECapabilityVector();
        able.addCapability(SMIMECapability.aES256_CBC);
        able.addCapability(SMIMECapability.dES_EDE3_CBC);
        able.addCapability(SMIMECapability.rC2_CBC, 128);
        Attribute capabilities = new SMIMECapabilitiesAttribute(able);
        IssuerAndSerialNumber issuer = new IssuerAndSerialNumber(p256.certificate.toASN1Structure());
        byte[] keyId = SubjectKeyIdentifier.fromExtensions(p256.certificate.getExtensions()).getKeyIdentifier();
        Person[] both = {rsa, p256};
        Attribute[] preferences = {
            new SMIMEEncryptionKeyPreferenceAttribute(issuer),
            new SMIMEEncryptionKeyPreferenceAttribute(new RecipientKeyIdentifier(keyId)),
            new SMIMEEncryptionKeyPreferenceAttribute(new DEROctetString(keyId)),
            attribute(new ASN1ObjectIdentifier("1.3.6.1.4.1.311.16.4"), issuer)};
        String[] forms = {"issuer", "recipient", "subject", "microsoft"};
        for (int i = 0; i < forms.length; i++) {
            Attribute[] attributes = {capabilities, preferences[i]};
            write("preference-" + forms[i] + ".p7m",
                sign(true, both, signer(rsa, "SHA256withRSA", null, attributes, false, false)).getEncoded());
        }

        byte[] sha1 = MessageDigest.getInstance("SHA-1").digest(rsa.certificate.getEncoded());
        one("signing-certificate", rsa, "SHA256withRSA", null, attribute(
            PKCSObjectIdentifiers.id_aa_signingCertificate, new SigningCertificate(new ESSCertID(sha1))));
        AlgorithmIdentifier sha512 = new AlgorithmIdentifier(NISTObjectIdentifiers.id_sha512);
        one("signing-certificate-v2", rsa, "SHA256withRSA", null, attribute(
            PKCSObjectIdentifiers.id_aa_signingCertificateV2,
            new SigningCertificateV2(certId(rsa.certificate, "SHA-256", null))));
        one("signing-certificate-v2-sha512", rsa, "SHA256withRSA", null, attribute(
            PKCSObjectIdentifiers.id_aa_signingCertificateV2,
            new SigningCertificateV2(certId(rsa.certificate, "SHA-512", sha512))));
        one("signing-certificate-of-another", rsa, "SHA256withRSA", null, attribute(
            PKCSObjectIdentifiers.id_aa_signingCertificateV2,
            new SigningCertificateV2(certId(p256.certificate, "SHA-256", null))));

        CMSSignedData plain = sign(true, new Person[] {rsa, ed25519, p256},
            signer(rsa, "SHA256withRSA", null, new Attribute[0], false, false));
        CMSSignedData counter =
            counterSigned(plain, signer(ed25519, "Ed25519", null, new Attribute[0], false, false));
        write("counter-signed.p7m", counter.getEncoded());
        write("counter-signed-twice.p7m", counterSigned(counter,
            signer(p256, "SHA384withECDSA", null, new Attribute[0], false, true)).getEncoded());

        CMSSignedDataGenerator certificates = new CMSSignedDataGenerator();
        for (Person one : four) certificates.addCertificate(one.certificate);
        write("certs-only.p7c", certificates.generate(new CMSAbsentContent()).getEncoded());
    }
}
