package com.runtime.agent;

import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.List;
import javax.net.ssl.HostnameVerifier;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLSession;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedTrustManager;
import javax.net.ssl.X509TrustManager;

/**
 * Trust in the platform's hosts, for the HTTP clients of the AWS SDK.
 *
 * <p>The platform's hosts are verified by the bundle of certificates that the environment names, or
 * accepted where it names none. Their names are not verified: the platform's certificates do not have
 * the addresses under which containers reach it. Refuses to change anything for other hosts: they are
 * verified as the JVM would.
 */
public final class PlatformTrust extends X509ExtendedTrustManager {
    private final X509ExtendedTrustManager usual;
    /** Null: the platform's hosts are accepted. */
    private final X509TrustManager bundle;
    private final List<String> hosts;

    private PlatformTrust(X509ExtendedTrustManager usual, X509TrustManager bundle, List<String> hosts) {
        this.usual = usual;
        this.bundle = bundle;
        this.hosts = hosts;
    }

    /** The trust managers to use instead of the JVM's, or null where the platform has no TLS. */
    public static TrustManager[] managers() {
        List<String> hosts = Platform.tlsHosts();
        if (hosts.isEmpty()) {
            return null;
        }
        try {
            String file = Platform.bundle();
            X509TrustManager bundle = file == null ? null : manager(store(Path.of(file)));
            return new TrustManager[] {new PlatformTrust(manager(null), bundle, hosts)};
        } catch (GeneralSecurityException | IOException error) {
            Report.complain("the platform's certificates cannot be used", error);
            return null;
        }
    }

    /** Verifies the names of all hosts but the platform's, for clients that do so after the handshake. */
    public static HostnameVerifier verifier(HostnameVerifier usual) {
        List<String> hosts = Platform.tlsHosts();
        if (hosts.isEmpty()) {
            return usual;
        }
        return (host, session) ->
                hosts.contains(Platform.key(host, session.getPeerPort())) || usual.verify(host, session);
    }

    private static KeyStore store(Path file) throws GeneralSecurityException, IOException {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (InputStream in = Files.newInputStream(file)) {
            int count = 0;
            for (Certificate certificate : CertificateFactory.getInstance("X.509").generateCertificates(in)) {
                store.setCertificateEntry("ca-" + count++, certificate);
            }
        }
        return store;
    }

    private static X509ExtendedTrustManager manager(KeyStore store) throws GeneralSecurityException {
        TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init(store);
        for (TrustManager manager : factory.getTrustManagers()) {
            if (manager instanceof X509ExtendedTrustManager) {
                return (X509ExtendedTrustManager) manager;
            }
        }
        throw new GeneralSecurityException("the JVM has no X.509 trust manager");
    }

    private boolean isPlatform(SSLSession session) {
        return session != null && hosts.contains(Platform.key(session.getPeerHost(), session.getPeerPort()));
    }

    private void checkPlatform(X509Certificate[] chain, String method) throws CertificateException {
        if (bundle != null) {
            bundle.checkServerTrusted(chain, method);
        }
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String method, Socket socket) throws CertificateException {
        if (socket instanceof SSLSocket && isPlatform(((SSLSocket) socket).getHandshakeSession())) {
            checkPlatform(chain, method);
        } else {
            usual.checkServerTrusted(chain, method, socket);
        }
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String method, SSLEngine engine) throws CertificateException {
        if (isPlatform(engine.getHandshakeSession())) {
            checkPlatform(chain, method);
        } else {
            usual.checkServerTrusted(chain, method, engine);
        }
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String method) throws CertificateException {
        usual.checkServerTrusted(chain, method);
    }

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String method) throws CertificateException {
        usual.checkClientTrusted(chain, method);
    }

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String method, Socket socket) throws CertificateException {
        usual.checkClientTrusted(chain, method, socket);
    }

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String method, SSLEngine engine) throws CertificateException {
        usual.checkClientTrusted(chain, method, engine);
    }

    @Override
    public X509Certificate[] getAcceptedIssuers() {
        return usual.getAcceptedIssuers();
    }
}
