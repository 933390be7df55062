package com.runtime.agent.sdk2;

import com.runtime.agent.Report;
import com.runtime.agent.Trace;
import com.runtime.agent.logs.Json;
import java.net.ConnectException;
import java.net.NoRouteToHostException;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import software.amazon.awssdk.awscore.retry.AwsRetryPolicy;
import software.amazon.awssdk.core.SdkRequest;
import software.amazon.awssdk.core.client.builder.SdkDefaultClientBuilder;
import software.amazon.awssdk.core.client.config.ClientOverrideConfiguration;
import software.amazon.awssdk.core.exception.SdkServiceException;
import software.amazon.awssdk.core.interceptor.Context;
import software.amazon.awssdk.core.interceptor.ExecutionAttributes;
import software.amazon.awssdk.core.interceptor.ExecutionInterceptor;
import software.amazon.awssdk.core.retry.RetryPolicy;
import software.amazon.awssdk.core.retry.RetryPolicyContext;
import software.amazon.awssdk.core.retry.conditions.RetryCondition;
import software.amazon.awssdk.services.lambda.model.InvokeRequest;
import software.amazon.awssdk.services.lambda.model.InvokeWithResponseStreamRequest;

/**
 * Invocations of other functions.
 *
 * <p>Owns that the trace id travels in the client context, and that an invocation is sent once.
 * Refuses to touch a client context that is not an object, or that has a trace id.
 */
@SuppressWarnings("deprecation") // retry policies: what every version of the SDK takes
final class Invocations implements ExecutionInterceptor {
    private static final int MAX_CAUSES = 16;

    static void prepare(SdkDefaultClientBuilder<?, ?> builder, boolean redirected) {
        Clients.intercept(builder, new Invocations());
        ClientOverrideConfiguration override = Clients.override(builder);
        if (redirected && !choosesRetries(override)) {
            builder.overrideConfiguration(override.toBuilder().retryPolicy(once()).build());
        }
    }

    private static boolean choosesRetries(ClientOverrideConfiguration override) {
        if (override.retryPolicy().isPresent()) {
            return true;
        }
        try {
            return override.retryStrategy().isPresent()
                    || override.retryMode().isPresent()
                    || override.retryStrategyConfigurator().isPresent();
        } catch (NoSuchMethodError older) {
            return false;
        }
    }

    /** The SDK's own retries, except that an invocation that may have run is not sent again. */
    private static RetryPolicy once() {
        RetryCondition usual = AwsRetryPolicy.defaultRetryCondition();
        return RetryPolicy.builder()
                .retryCondition(context -> isInvocation(context) ? neverRan(context) : usual.shouldRetry(context))
                .additionalRetryConditionsAllowed(false)
                .build();
    }

    private static boolean isInvocation(RetryPolicyContext context) {
        SdkRequest request = context.originalRequest();
        return request != null && request.getClass().getSimpleName().startsWith("Invoke");
    }

    private static boolean neverRan(RetryPolicyContext context) {
        Throwable error = context.exception();
        if (error instanceof SdkServiceException) {
            // Throttled is the one answer that says that nothing ran.
            return ((SdkServiceException) error).statusCode() == 429;
        }
        for (int i = 0; error != null && i < MAX_CAUSES; i++, error = error.getCause()) {
            String message = String.valueOf(error.getMessage()).toLowerCase(Locale.ROOT);
            if (error instanceof ConnectException
                    || error instanceof UnknownHostException
                    || error instanceof NoRouteToHostException
                    || error.getClass().getSimpleName().equals("ConnectTimeoutException")
                    || message.contains("connect timed out")) {
                return true;
            }
        }
        return false;
    }

    @Override
    public SdkRequest modifyRequest(Context.ModifyRequest context, ExecutionAttributes attributes) {
        SdkRequest request = context.request();
        try {
            if (request instanceof InvokeRequest) {
                String traced = traced(((InvokeRequest) request).clientContext());
                return traced == null ? request : ((InvokeRequest) request).toBuilder().clientContext(traced).build();
            }
            if (request instanceof InvokeWithResponseStreamRequest) {
                InvokeWithResponseStreamRequest streaming = (InvokeWithResponseStreamRequest) request;
                String traced = traced(streaming.clientContext());
                return traced == null ? request : streaming.toBuilder().clientContext(traced).build();
            }
        } catch (RuntimeException | LinkageError error) {
            Report.complain("the trace id could not be handed on", error);
        }
        return request;
    }

    /** The client context with the trace id in it, or null to leave it as it is. */
    private static String traced(String given) {
        String traceId = Trace.outgoing();
        if (traceId == null || traceId.isBlank()) {
            return null;
        }
        Map<String, Object> context = new LinkedHashMap<>();
        if (given != null && !given.isEmpty()) {
            context = Json.object(new String(Base64.getDecoder().decode(given), StandardCharsets.UTF_8));
            if (context == null) {
                return null;
            }
        }
        Object custom = context.get("custom");
        if (custom != null && !(custom instanceof Map)) {
            return null;
        }
        Map<Object, Object> members = new LinkedHashMap<>();
        if (custom != null) {
            members.putAll((Map<?, ?>) custom);
        }
        Object present = members.get("trace_id");
        if (present != null && !"".equals(present)) {
            return null;
        }
        members.put("trace_id", traceId);
        context.put("custom", members);
        return Base64.getEncoder().encodeToString(Json.text(context).getBytes(StandardCharsets.UTF_8));
    }
}
