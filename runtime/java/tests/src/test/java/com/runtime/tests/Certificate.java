package com.runtime.tests;

import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.util.Base64;
import java.util.List;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;

/** A self-signed certificate of 127.0.0.1, made by the JDK's own tool. */
final class Certificate {
    private static final char[] PASSWORD = "changeit".toCharArray();

    private Certificate() {}

    private static KeyStore store(String name) throws Exception {
        Path folder = Path.of("target", "certificates");
        Files.createDirectories(folder);
        Path file = folder.resolve(name + ".p12");
        if (!Files.exists(file)) {
            List<String> command = List.of(
                    Path.of(System.getProperty("java.home"), "bin", "keytool").toString(), "-genkeypair", "-alias", "a",
                    "-keyalg", "EC", "-validity", "36500", "-dname", "CN=" + name, "-ext",
                    "SAN=ip:127.0.0.1,dns:localhost", "-storetype", "PKCS12", "-keystore", file.toString(),
                    "-storepass", new String(PASSWORD));
            int status = new ProcessBuilder(command).redirectErrorStream(true).start().waitFor();
            if (status != 0) {
                throw new IllegalStateException("keytool ended with " + status);
            }
        }
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (InputStream in = Files.newInputStream(file)) {
            store.load(in, PASSWORD);
        }
        return store;
    }

    static SSLContext context() throws Exception {
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(store("platform"), PASSWORD);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), null, null);
        return context;
    }

    static Path bundle() throws Exception {
        return pem("platform");
    }

    static Path strangersBundle() throws Exception {
        return pem("stranger");
    }

    private static Path pem(String name) throws Exception {
        byte[] certificate = store(name).getCertificate("a").getEncoded();
        Path file = Path.of("target", "certificates", name + ".pem").toAbsolutePath();
        Files.writeString(file, "-----BEGIN CERTIFICATE-----\n"
                + Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(certificate)
                + "\n-----END CERTIFICATE-----\n");
        return file;
    }
}
