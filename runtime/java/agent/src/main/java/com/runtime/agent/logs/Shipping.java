package com.runtime.agent.logs;

import com.runtime.agent.Report;
import com.runtime.agent.Settings;
import com.runtime.agent.Trace;
import java.util.Map;

/**
 * The way of a record from where it arises to the sink.
 *
 * <p>Owns stamping each record with its time and the ids of its invocation, the one sink of the
 * process and its settings. Refuses to encode or transport records, and to do anything at all
 * without VICTORIALOGS_URL. Nothing here throws.
 */
public final class Shipping {
    /** What a queued record costs beside its text. */
    private static final int OVERHEAD = 256;

    private static final String URL = Settings.first("VICTORIALOGS_URL");
    private static volatile Sink sink;

    private Shipping() {}

    /** Whether this process ships records. */
    public static boolean enabled() {
        return URL != null;
    }

    /** Ships one line that was written to a standard stream. */
    static void line(String line) {
        if (!line.isBlank()) {
            put(line, null, line.length());
        }
    }

    /** Ships a record that was put together elsewhere; {@code size} estimates its bytes. */
    public static void record(Map<String, Object> fields, int size) {
        put(null, fields, size);
    }

    private static void put(String line, Map<String, Object> fields, int size) {
        if (URL == null) {
            return;
        }
        Trace.Invocation own = Trace.current();
        String traceId = own == null ? null : own.traceId;
        String requestId = own == null ? null : own.requestId;
        started().put(new Records.Entry(System.currentTimeMillis(), traceId, requestId, line, fields), size + OVERHEAD);
    }

    private static Sink started() {
        Sink started = sink;
        if (started == null) {
            synchronized (Shipping.class) {
                if (sink == null) {
                    String name = Settings.first("AWS_LAMBDA_FUNCTION_NAME");
                    int limit = Math.max(64 * 1024, Settings.number("ESB_LOG_QUEUE_BYTES", 8 * 1024 * 1024));
                    int timeout = Math.max(1, Settings.number("ESB_LOG_TIMEOUT_MS", 2000));
                    sink = new Sink(URL, name == null ? "lambda-unknown" : name, limit, timeout);
                }
                started = sink;
            }
        }
        return started;
    }

    /** Waits until what was shipped has arrived, at most ESB_LOG_FLUSH_MS. */
    public static void flush() {
        if (sink != null) {
            try {
                sink.flush(Settings.number("ESB_LOG_FLUSH_MS", 50));
            } catch (RuntimeException error) {
                Report.complain("log records could not be flushed", error);
            }
        }
    }

    /** The last flush of a process, at most ESB_LOG_EXIT_FLUSH_MS. */
    static void finish() {
        Lines.flushPartials();
        if (sink != null) {
            try {
                sink.finish(Settings.number("ESB_LOG_EXIT_FLUSH_MS", 500));
            } catch (RuntimeException error) {
                Report.complain("log records could not be flushed", error);
            }
        }
    }
}
