package com.runtime.agent;

import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Where the platform's services are, by its environment variables.
 *
 * <p>Refuses to call AWS's own hosts the platform's.
 */
public final class Platform {
    private static final String[] OWN = {"S3_ENDPOINT", "DYNAMODB_ENDPOINT", "GATEWAY_INTERNAL_URL"};
    private static final String[] BUNDLES = {"AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"};

    private Platform() {}

    /** The endpoint of a service (`s3`, `dynamodb`, `lambda`), or null to leave it as it is. */
    public static URI endpoint(String service) {
        switch (service) {
            case "s3":
                return uri(Settings.first("S3_ENDPOINT", "AWS_ENDPOINT_URL_S3"));
            case "dynamodb":
                return uri(Settings.first("DYNAMODB_ENDPOINT", "AWS_ENDPOINT_URL_DYNAMODB"));
            case "lambda":
                return uri(Settings.first("GATEWAY_INTERNAL_URL"));
            default:
                return null;
        }
    }

    /** The host that presigned URLs are signed for, or null for S3's endpoint. */
    public static URI presignEndpoint() {
        return uri(Settings.first("S3_PRESIGN_ENDPOINT", "AWS_PRESIGN_ENDPOINT_URL_S3"));
    }

    /** The file of certificates that verify the platform's hosts, or null. */
    static String bundle() {
        return Settings.first(BUNDLES);
    }

    /** The platform's own hosts that are reached through TLS, as `host:port`, lower case. */
    public static List<String> tlsHosts() {
        List<String> hosts = new ArrayList<>();
        for (String variable : OWN) {
            URI address = uri(Settings.first(variable));
            if (address != null && isOwnTls(address)) {
                hosts.add(key(address.getHost(), address.getPort()));
            }
        }
        return hosts;
    }

    /** Whether an address is one of {@link #tlsHosts}. */
    public static boolean isPlatformTls(URI address) {
        return isOwnTls(address) && tlsHosts().contains(key(address.getHost(), address.getPort()));
    }

    static String key(String host, int port) {
        return String.valueOf(host).toLowerCase(Locale.ROOT) + ":" + (port < 0 ? 443 : port);
    }

    private static boolean isOwnTls(URI address) {
        String host = address.getHost();
        if (host == null || !"https".equalsIgnoreCase(address.getScheme())) {
            return false;
        }
        host = host.toLowerCase(Locale.ROOT);
        return !host.endsWith(".amazonaws.com") && !host.endsWith(".amazonaws.com.cn") && !host.endsWith(".api.aws");
    }

    private static URI uri(String text) {
        if (text == null) {
            return null;
        }
        try {
            URI address = URI.create(text);
            if (address.getScheme() != null && address.getHost() != null) {
                return address;
            }
            Report.complain("an endpoint is no URL", new IllegalArgumentException(text));
        } catch (IllegalArgumentException error) {
            Report.complain("an endpoint is no URL", error);
        }
        return null;
    }
}
