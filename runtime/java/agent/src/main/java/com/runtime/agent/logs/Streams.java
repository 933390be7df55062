package com.runtime.agent.logs;

import com.runtime.agent.Settings;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.Charset;

/**
 * Standard output and error as a source of log lines.
 *
 * <p>Owns the replaced {@code System.out} and {@code System.err}, and the end of the process. What
 * is written reaches the real stream first and unchanged. Refuses to look at what is written.
 */
public final class Streams {
    private Streams() {}

    /** Replaces the process's standard streams for as long as it lives. */
    public static void install() {
        Charset encoding = encoding();
        Lines.use(encoding);
        System.setOut(new PrintStream(new Tee(System.out, 0), true, encoding));
        System.setErr(new PrintStream(new Tee(System.err, 1), true, encoding));
        // No lambda: the first of a JVM costs as much as all else here.
        Thread last =
                new Thread(null, null, "esb-log-exit", 0, false) {
                    @Override
                    public void run() {
                        Shipping.finish();
                    }
                };
        Runtime.getRuntime().addShutdownHook(last);
    }

    /** What ends an invocation: its begun lines and its records go out before its result does. */
    public static void endInvocation() {
        Lines.flushOwn();
        Shipping.flush();
    }

    /** Takes a message of the runtime's logger that goes to a file of its own. */
    public static void telemetry(byte[] message) {
        String text = new String(message, java.nio.charset.StandardCharsets.UTF_8);
        if (!Lines.recapture(text)) {
            Shipping.line(text);
        }
    }

    /** The encoding that the JVM chose for its streams. */
    private static Charset encoding() {
        for (String property : new String[] {"stdout.encoding", "sun.stdout.encoding"}) {
            String name = System.getProperty(property);
            if (name != null && Charset.isSupported(name)) {
                return Charset.forName(name);
            }
        }
        return Charset.defaultCharset();
    }

    /** Whether there is anything to install. */
    public static boolean wanted() {
        return Settings.first("VICTORIALOGS_URL") != null;
    }

    /** Hands each write on and shows it to {@link Lines}. */
    private static final class Tee extends OutputStream {
        private final PrintStream target;
        private final int channel;

        Tee(PrintStream target, int channel) {
            this.target = target;
            this.channel = channel;
        }

        @Override
        public void write(int b) {
            write(new byte[] {(byte) b}, 0, 1);
        }

        @Override
        public void write(byte[] data, int offset, int length) {
            target.write(data, offset, length);
            Lines.feed(channel, data, offset, length);
        }

        @Override
        public void flush() {
            target.flush();
        }
    }
}
