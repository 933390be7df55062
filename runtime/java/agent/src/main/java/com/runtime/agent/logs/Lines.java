package com.runtime.agent.logs;

import com.runtime.agent.Report;
import java.io.ByteArrayOutputStream;
import java.nio.charset.Charset;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Whole lines out of what is written.
 *
 * <p>Owns cutting what each thread writes into lines, and holding back what the records of a logging
 * library stand for. Refuses to know what a record looks like or how it travels, and to let a
 * failure of its own reach the writer.
 */
final class Lines {
    /** VictoriaLogs refuses lines above 256 KiB; what is longer is cut. */
    private static final int MAX_LINE = 192 * 1024;

    private static final int MAX_PARTIALS = 256;

    /** Standard output and standard error. */
    private static final long CHANNELS = 2;

    /** Channel and thread, and the beginning of a line; a thread touches only its own entry. */
    private static final ConcurrentHashMap<Long, ByteArrayOutputStream> PARTIALS = new ConcurrentHashMap<>();

    private static final ThreadLocal<ByteArrayOutputStream> CAPTURE = new ThreadLocal<>();
    private static volatile Charset charset = Charset.defaultCharset();

    private Lines() {}

    /** Sets the encoding of the standard streams. */
    static void use(Charset encoding) {
        charset = encoding;
    }

    /** Takes bytes that the calling thread wrote to {@code channel} (below {@link #CHANNELS}). */
    static void feed(int channel, byte[] data, int offset, int length) {
        try {
            ByteArrayOutputStream capture = CAPTURE.get();
            if (capture != null) {
                capture.write(data, offset, length);
                return;
            }
            Long key = thread() * CHANNELS + channel;
            ByteArrayOutputStream partial = PARTIALS.get(key);
            int start = offset;
            int end = offset + length;
            for (int i = offset; i < end; i++) {
                int begun = partial == null ? 0 : partial.size();
                if (data[i] == '\n' || begun + i - start >= MAX_LINE) {
                    ship(partial, data, start, i - start);
                    partial = null;
                    start = data[i] == '\n' ? i + 1 : i;
                }
            }
            if (start == end) {
                if (partial == null) {
                    PARTIALS.remove(key);
                }
                return;
            }
            if (partial == null) {
                partial = new ByteArrayOutputStream(Math.max(64, end - start));
                PARTIALS.put(key, partial);
            }
            partial.write(data, start, end - start);
            if (PARTIALS.size() > MAX_PARTIALS) {
                flushPartials();
            }
        } catch (RuntimeException | OutOfMemoryError error) {
            Report.complain("a written line could not be taken", error);
        }
    }

    @SuppressWarnings("deprecation") // its successor is newer than Java 11
    private static long thread() {
        return Thread.currentThread().getId();
    }

    private static void ship(ByteArrayOutputStream begun, byte[] data, int start, int length) {
        if (begun == null) {
            Shipping.line(new String(data, start, length, charset));
        } else {
            begun.write(data, start, length);
            Shipping.line(begun.toString(charset));
        }
    }

    /** Ships the lines that the calling thread has begun. */
    static void flushOwn() {
        for (long channel = 0; channel < CHANNELS; channel++) {
            ByteArrayOutputStream partial = PARTIALS.remove(thread() * CHANNELS + channel);
            if (partial != null) {
                Shipping.line(partial.toString(charset));
            }
        }
    }

    /** Ships everybody's begun lines. */
    static void flushPartials() {
        for (Long key : PARTIALS.keySet()) {
            ByteArrayOutputStream partial = PARTIALS.remove(key);
            if (partial != null) {
                Shipping.line(partial.toString(charset));
            }
        }
    }

    /** Hands text on to a capture that is under way; whether there is one. */
    static boolean recapture(String text) {
        ByteArrayOutputStream capture = CAPTURE.get();
        if (capture != null) {
            capture.writeBytes(text.getBytes(charset));
        }
        return capture != null;
    }

    /** Collects what the calling thread writes instead of shipping it; returns the former state. */
    static Object beginCapture() {
        ByteArrayOutputStream former = CAPTURE.get();
        CAPTURE.set(new ByteArrayOutputStream(256));
        return former == null ? CAPTURE : former;
    }

    /** Ends a capture and returns the text that was written meanwhile. */
    static String endCapture(Object former) {
        ByteArrayOutputStream captured = CAPTURE.get();
        if (former == CAPTURE) {
            CAPTURE.remove();
        } else {
            CAPTURE.set((ByteArrayOutputStream) former);
        }
        return captured == null ? "" : captured.toString(charset);
    }
}
