package com.runtime.tests;

import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.util.Base64;
import java.util.List;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;

/** Self-signed certificates of 127.0.0.1, and one of another name, made by the JDK's own tool. */
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
                    "SAN=" + (name.equals("other-name") ? "dns:gateway" : "ip:127.0.0.1,dns:localhost"), "-storetype", "PKCS12", "-keystore", file.toString(),
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
        return context("platform");
    }

    /** For a server whose certificate does not name the address that it has. */
    static SSLContext ofAnotherName() throws Exception {
        return context("other-name");
    }

    private static SSLContext context(String name) throws Exception {
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(store(name), PASSWORD);
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

    static Path bundleOfAnotherName() throws Exception {
        return pem("other-name");
    }

    /** Options of a JVM that trusts the issuer of {@link #ofAnotherName}. */
    static List<String> trustOfAnotherName() throws Exception {
        KeyStore trusted = KeyStore.getInstance("PKCS12");
        trusted.load(null, null);
        trusted.setCertificateEntry("a", store("other-name").getCertificate("a"));
        Path file = Path.of("target", "certificates", "trusted.p12").toAbsolutePath();
        try (OutputStream out = Files.newOutputStream(file)) {
            trusted.store(out, PASSWORD);
        }
        return List.of(
                "-Djavax.net.ssl.trustStore=" + file, "-Djavax.net.ssl.trustStorePassword=" + new String(PASSWORD));
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
