package com.runtime.agent.sdk2;

import com.runtime.agent.Platform;
import com.runtime.agent.PlatformTrust;
import com.runtime.agent.Sdk;
import java.lang.reflect.Field;
import java.net.URI;
import javax.net.ssl.TrustManager;
import software.amazon.awssdk.core.client.builder.SdkClientBuilder;
import software.amazon.awssdk.core.client.builder.SdkDefaultClientBuilder;
import software.amazon.awssdk.core.client.config.ClientOption;
import software.amazon.awssdk.core.client.config.ClientOverrideConfiguration;
import software.amazon.awssdk.core.client.config.SdkClientConfiguration;
import software.amazon.awssdk.core.client.config.SdkClientOption;
import software.amazon.awssdk.core.interceptor.ExecutionInterceptor;
import software.amazon.awssdk.http.SdkHttpConfigurationOption;
import software.amazon.awssdk.utils.AttributeMap;

/**
 * Clients of the AWS SDK for Java v2 that talk to the platform.
 *
 * <p>Owns the endpoint of S3, DynamoDB and Lambda clients and what their HTTP clients trust. Refuses
 * to override what the caller said. Classes that need a service's module are loaded with its first
 * builder.
 */
public final class Clients implements Sdk {
    private static final String SERVICES = "software.amazon.awssdk.services.";

    /** Whether the client that this thread builds talks to a host of the platform's through TLS. */
    private final ThreadLocal<Boolean> platformTls = new ThreadLocal<>();

    @Override
    public Runnable begin(Object object) {
        SdkDefaultClientBuilder<?, ?> builder = (SdkDefaultClientBuilder<?, ?>) object;
        String name = builder.getClass().getName();
        String service = name.startsWith(SERVICES) ? name.substring(SERVICES.length()) : "";
        service = service.substring(0, Math.max(0, service.indexOf('.')));
        boolean open = !isOverridden(builder);
        URI endpoint = open ? Platform.endpoint(service) : null;
        if (endpoint != null) {
            builder.endpointOverride(endpoint);
        }
        switch (service) {
            case "s3":
                if (endpoint != null) {
                    S3.usePathStyle(builder);
                }
                break;
            case "lambda":
                Invocations.prepare(builder, endpoint != null);
                break;
            case "cloudwatchlogs":
                if (open) {
                    intercept(builder, new LocalLogs.Mark());
                }
                break;
            default:
                break;
        }
        if (endpoint == null || !Platform.isPlatformTls(endpoint)) {
            return null;
        }
        platformTls.set(true);
        return platformTls::remove;
    }

    @Override
    public Object before(String hook, Object builder, Object argument) {
        switch (hook) {
            case "http":
                return trusting((AttributeMap) argument);
            case "crt-http":
                return trustingPlatform((AttributeMap) argument);
            case "crt":
                S3.prepareCrt(builder);
                return argument;
            case "presigner":
                S3.preparePresigner(builder);
                return argument;
            default:
                return argument;
        }
    }

    @Override
    public Object answer(String operation, Object client, Object request) {
        return LocalLogs.answer(operation, client, request);
    }

    /** Defaults of an HTTP client; what the caller set on its builder wins over them. */
    private static AttributeMap trusting(AttributeMap defaults) {
        if (defaults.containsKey(SdkHttpConfigurationOption.TLS_TRUST_MANAGERS_PROVIDER)) {
            return defaults;
        }
        TrustManager[] managers = PlatformTrust.managers();
        if (managers == null) {
            return defaults;
        }
        return defaults.toBuilder()
                .put(SdkHttpConfigurationOption.TLS_TRUST_MANAGERS_PROVIDER, () -> managers)
                .build();
    }

    /** The native HTTP client takes no trust managers: it is told only for a client of the platform. */
    private AttributeMap trustingPlatform(AttributeMap defaults) {
        if (platformTls.get() == null || defaults.containsKey(SdkHttpConfigurationOption.TRUST_ALL_CERTIFICATES)) {
            return defaults;
        }
        return defaults.toBuilder().put(SdkHttpConfigurationOption.TRUST_ALL_CERTIFICATES, true).build();
    }

    /** Adds an interceptor, unless the builder was used before and has it. */
    static void intercept(SdkClientBuilder<?, ?> builder, ExecutionInterceptor interceptor) {
        ClientOverrideConfiguration override = override(builder);
        boolean present =
                override.executionInterceptors().stream().anyMatch(i -> i.getClass() == interceptor.getClass());
        if (!present) {
            builder.overrideConfiguration(override.toBuilder().addExecutionInterceptor(interceptor).build());
        }
    }

    static ClientOverrideConfiguration override(SdkClientBuilder<?, ?> builder) {
        ClientOverrideConfiguration override = builder.overrideConfiguration();
        return override == null ? ClientOverrideConfiguration.builder().build() : override;
    }

    /** Whether the caller gave an endpoint. */
    @SuppressWarnings("deprecation") // older versions have only this option
    private static boolean isOverridden(SdkDefaultClientBuilder<?, ?> builder) {
        if (Boolean.TRUE.equals(option(builder, SdkClientOption.ENDPOINT_OVERRIDDEN))) {
            return true;
        }
        try {
            return option(builder, SdkClientOption.CLIENT_ENDPOINT_PROVIDER) != null;
        } catch (NoSuchFieldError older) {
            return false;
        }
    }

    /** What a builder was given for an option, or null. */
    static <T> T option(SdkDefaultClientBuilder<?, ?> builder, ClientOption<T> option) {
        return ((SdkClientConfiguration.Builder) field(builder, "clientConfiguration")).option(option);
    }

    /** A field of an object whose class, or one that it extends, has it. */
    static Object field(Object object, String name) {
        for (Class<?> type = object.getClass(); type != null; type = type.getSuperclass()) {
            try {
                Field field = type.getDeclaredField(name);
                field.setAccessible(true);
                return field.get(object);
            } catch (NoSuchFieldException above) {
                continue;
            } catch (IllegalAccessException error) {
                throw new IllegalStateException(error);
            }
        }
        throw new IllegalStateException("this version of the SDK has no field `" + name + "`");
    }
}
