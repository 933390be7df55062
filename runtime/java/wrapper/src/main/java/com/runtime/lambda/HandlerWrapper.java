package com.runtime.lambda;

import com.amazonaws.services.lambda.runtime.ClientContext;
import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * The handler that images name; it runs the function's own, whose name is in
 * {@code LAMBDA_ORIGINAL_HANDLER}.
 *
 * <p>Owns the begin and the end of each invocation. The function's handler is found, made and called
 * by the runtime's own loader, once, so that it gets and gives exactly what it would without this
 * class. Refuses to look at events, results and errors.
 */
public final class HandlerWrapper implements RequestStreamHandler {
    private static final String VARIABLE = "LAMBDA_ORIGINAL_HANDLER";
    private static final String[] TRACE_KEYS = {"trace_id", "_X_AMZN_TRACE_ID"};

    private final RequestStreamHandler target;
    private final Hooks hooks = Hooks.find();

    /** Finds and makes the function's handler. */
    public HandlerWrapper() {
        String handler = System.getenv(VARIABLE);
        if (handler == null || handler.isBlank()) {
            throw new IllegalStateException(VARIABLE + " is not set");
        }
        target = OriginalHandler.load(handler.strip(), HandlerWrapper.class.getClassLoader());
    }

    @Override
    public void handleRequest(InputStream event, OutputStream result, Context context) throws IOException {
        String traceId = traceId(context);
        Object invocation = hooks.begin(traceId, context.getAwsRequestId());
        TraceContext.set(traceId == null ? System.getProperty("com.amazonaws.xray.traceHeader") : traceId,
                context.getAwsRequestId());
        try {
            target.handleRequest(event, result, context);
        } catch (Throwable error) {
            withoutWrapper(error);
            throw error;
        } finally {
            TraceContext.clear();
            hooks.end(invocation);
        }
    }

    private static String traceId(Context context) {
        ClientContext client = context.getClientContext();
        Map<String, String> custom = client == null ? null : client.getCustom();
        if (custom == null) {
            return null;
        }
        for (String key : TRACE_KEYS) {
            // The map may hold what JSON had there, whatever its type says.
            Object value = ((Map<?, ?>) custom).get(key);
            if (value instanceof String && isPrintable((String) value)) {
                return (String) value;
            }
        }
        return null;
    }

    private static boolean isPrintable(String text) {
        for (int i = 0; i < text.length(); i++) {
            if (Character.isISOControl(text.charAt(i))) {
                return false;
            }
        }
        return !text.isBlank();
    }

    /** Cuts this class's own frames, and the runtime's below them, off a stack trace. */
    private static void withoutWrapper(Throwable error) {
        List<StackTraceElement> kept = new ArrayList<>();
        for (StackTraceElement frame : error.getStackTrace()) {
            if (frame.getClassName().equals(HandlerWrapper.class.getName())) {
                error.setStackTrace(kept.toArray(new StackTraceElement[0]));
                return;
            }
            kept.add(frame);
        }
    }
}
