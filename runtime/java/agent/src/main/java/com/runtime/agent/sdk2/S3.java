package com.runtime.agent.sdk2;

import com.runtime.agent.Platform;
import java.net.URI;
import software.amazon.awssdk.core.ServiceConfiguration;
import software.amazon.awssdk.core.client.builder.SdkDefaultClientBuilder;
import software.amazon.awssdk.core.client.config.SdkClientOption;
import software.amazon.awssdk.services.s3.S3BaseClientBuilder;
import software.amazon.awssdk.services.s3.S3Configuration;
import software.amazon.awssdk.services.s3.S3CrtAsyncClientBuilder;
import software.amazon.awssdk.services.s3.crt.S3CrtHttpConfiguration;
import software.amazon.awssdk.services.s3.endpoints.S3ClientContextParams;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;
import software.amazon.awssdk.utils.AttributeMap;

/** S3: path style, the native client, and presigned URLs. */
final class S3 {
    private S3() {}

    static void usePathStyle(SdkDefaultClientBuilder<?, ?> builder) {
        AttributeMap.Builder parameters = (AttributeMap.Builder) Clients.field(builder, "clientContextParams");
        if (parameters.get(S3ClientContextParams.FORCE_PATH_STYLE) != null) {
            return;
        }
        ServiceConfiguration service = Clients.option(builder, SdkClientOption.SERVICE_CONFIGURATION);
        boolean chosen =
                service instanceof S3Configuration
                        && ((S3Configuration) service).toBuilder().pathStyleAccessEnabled() != null;
        if (!chosen) {
            ((S3BaseClientBuilder<?, ?>) builder).forcePathStyle(true);
        }
    }

    static void prepareCrt(Object object) {
        S3CrtAsyncClientBuilder builder = (S3CrtAsyncClientBuilder) object;
        URI endpoint = Platform.endpoint("s3");
        if (endpoint == null || Clients.field(object, "endpointOverride") != null) {
            return;
        }
        builder.endpointOverride(endpoint);
        if (Clients.field(object, "forcePathStyle") == null) {
            builder.forcePathStyle(true);
        }
        // The native client takes no trust managers; this one talks to nothing but the endpoint.
        if (Platform.isPlatformTls(endpoint) && Clients.field(object, "httpConfiguration") == null) {
            builder.httpConfiguration(S3CrtHttpConfiguration.builder().trustAllCertificatesEnabled(true).build());
        }
    }

    static void preparePresigner(Object object) {
        S3Presigner.Builder builder = (S3Presigner.Builder) object;
        URI endpoint = Platform.presignEndpoint() == null ? Platform.endpoint("s3") : Platform.presignEndpoint();
        if (endpoint == null || Clients.field(object, "endpointOverride") != null) {
            return;
        }
        builder.endpointOverride(endpoint);
        S3Configuration given = (S3Configuration) Clients.field(object, "serviceConfiguration");
        if (given == null || given.toBuilder().pathStyleAccessEnabled() == null) {
            S3Configuration.Builder configuration = given == null ? S3Configuration.builder() : given.toBuilder();
            builder.serviceConfiguration(configuration.pathStyleAccessEnabled(true).build());
        }
    }
}
