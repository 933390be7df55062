package com.runtime.agent;

import com.runtime.agent.logs.Events;
import com.runtime.agent.logs.Shipping;
import com.runtime.agent.logs.Streams;
import java.util.LinkedHashMap;
import java.util.Map;
import javax.net.ssl.HostnameVerifier;

/**
 * What woven classes and the wrapper call.
 *
 * <p>Owns the way to the part that is meant. Refuses to throw: a hook that fails says so and leaves
 * the caller as it would have been without.
 */
public final class Hooks {
    private Hooks() {}

    /** At the entry of a method; gives its argument, or another in its place. */
    public static Object before(String hook, Object self, Object argument) {
        try {
            switch (hook) {
                case "flush":
                    Streams.endInvocation();
                    return argument;
                case "next":
                    Trace.endPending();
                    return argument;
                case "telemetry":
                    Streams.telemetry((byte[]) argument);
                    return argument;
                case "verifier":
                    return PlatformTrust.verifier((HostnameVerifier) argument);
                case "sdk1":
                    Sdk1.building(self);
                    return argument;
                default:
                    Sdk sdk = Sdk.of(self);
                    return sdk == null ? argument : sdk.before(hook, self, argument);
            }
        } catch (Throwable error) {
            Report.complain("hook `" + hook + "` failed", error);
            return argument;
        }
    }

    /** Before a method that {@link #end} follows; what it gives is handed on. */
    public static Object begin(String hook, Object self, Object argument) {
        try {
            if (hook.equals("log") || hook.equals("message")) {
                return Events.begin();
            }
            Sdk sdk = Sdk.of(self);
            return sdk == null ? null : sdk.begin(self);
        } catch (Throwable error) {
            Report.complain("hook `" + hook + "` failed", error);
            return null;
        }
    }

    /** After a method, however it ended. */
    public static void end(String hook, Object state, Object self, Object argument) {
        try {
            if (hook.equals("log")) {
                Events.end(state, self, argument);
            } else if (hook.equals("message")) {
                Events.endMessage(state, argument);
            } else if (state != null) {
                ((Runnable) state).run();
            }
        } catch (Throwable error) {
            Report.complain("hook `" + hook + "` failed", error);
        }
    }

    /** What a call of a client comes to without its service, or null. */
    public static Object answer(String operation, Object client, Object request) {
        try {
            Sdk sdk = Sdk.of(client);
            return sdk == null ? null : sdk.answer(operation, client, request);
        } catch (Throwable error) {
            Report.complain("`" + operation + "` could not be answered", error);
            return null;
        }
    }

    /** An invocation begins; the ids are null when unknown. The result is for {@link #end(Object)}. */
    public static Object begin(String traceId, String requestId) {
        Trace.Invocation invocation = Trace.begin(traceId, requestId);
        if (invocation.traceId != null && Shipping.enabled() && debug()) {
            Map<String, Object> record = new LinkedHashMap<>();
            record.put("level", "DEBUG");
            record.put("message", "trace context hydrated");
            record.put("logger", "esb.hooks");
            Shipping.record(record, 256);
        }
        return invocation;
    }

    /**
     * An invocation has ended, and its result is about to be posted. Its ids stay until the runtime
     * asks for the next one: it may have an error to log.
     */
    public static void end(Object invocation) {
        if (Shipping.enabled()) {
            Streams.endInvocation();
            Trace.endLater((Trace.Invocation) invocation);
        } else {
            Trace.end((Trace.Invocation) invocation);
        }
    }

    private static boolean debug() {
        String level = Settings.first("LOG_LEVEL");
        return "DEBUG".equalsIgnoreCase(level) || "TRACE".equalsIgnoreCase(level);
    }
}
