package com.runtime.agent;

import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.net.URI;

/**
 * Endpoints for clients of the AWS SDK for Java v1, as far as their builders take them.
 *
 * <p>Owns endpoint and path style of S3, DynamoDB and Lambda, through the builders' public methods.
 * Refuses to override an endpoint of the caller's.
 */
final class Sdk1 {
    private Sdk1() {}

    static void building(Object builder) throws ReflectiveOperationException {
        String name = builder.getClass().getName();
        URI endpoint = Platform.endpoint(service(name));
        if (endpoint == null || call(builder, "getEndpoint") != null) {
            return;
        }
        Object region = call(builder, "getRegion");
        if (region == null) {
            region = Settings.first("AWS_REGION", "AWS_DEFAULT_REGION");
        }
        ClassLoader loader = builder.getClass().getClassLoader();
        String base = "com.amazonaws.client.builder.AwsClientBuilder";
        Class<?> type = Class.forName(base + "$EndpointConfiguration", true, loader);
        Constructor<?> constructor = type.getConstructor(String.class, String.class);
        Object configuration = constructor.newInstance(endpoint.toString(), region == null ? "us-east-1" : region);
        // A builder takes a region or an endpoint, and no method of its takes a region back.
        Field chosen = Class.forName(base, true, loader).getDeclaredField("region");
        chosen.setAccessible(true);
        chosen.set(builder, null);
        set(builder, "setEndpointConfiguration", type, configuration);
        if (name.startsWith("com.amazonaws.services.s3.") && call(builder, "isPathStyleAccessEnabled") == null) {
            set(builder, "setPathStyleAccessEnabled", Boolean.class, true);
        }
    }

    private static String service(String builder) {
        if (builder.startsWith("com.amazonaws.services.s3.AmazonS3")) {
            return "s3";
        } else if (builder.startsWith("com.amazonaws.services.dynamodbv2.AmazonDynamoDB")) {
            return "dynamodb";
        } else if (builder.startsWith("com.amazonaws.services.lambda.AWSLambda")) {
            return "lambda";
        }
        return "";
    }

    private static Object call(Object builder, String method) throws ReflectiveOperationException {
        return builder.getClass().getMethod(method).invoke(builder);
    }

    private static void set(Object builder, String name, Class<?> type, Object value)
            throws ReflectiveOperationException {
        Method method = builder.getClass().getMethod(name, type);
        method.invoke(builder, value);
    }
}
