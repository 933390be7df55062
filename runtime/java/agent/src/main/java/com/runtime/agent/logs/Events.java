package com.runtime.agent.logs;

import com.runtime.agent.Report;
import com.runtime.agent.Trace;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.reflect.Method;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.BiFunction;

/**
 * Records of logging libraries (logback, log4j2, {@code java.util.logging}), shipped once and
 * structured.
 *
 * <p>Owns what an event that an appender writes to a standard stream becomes. Refuses to ship events
 * that no appender writes out, to change what is written, and to fail an appender. Libraries are
 * asked through their public interfaces, by reflection: each function brings its own version.
 */
public final class Events {
    private static final int MAX_CAUSES = 16;

    /** The event that the thread shipped last, and the appender that wrote it. */
    private static final ThreadLocal<Object[]> LAST = new ThreadLocal<>();

    private Events() {}

    /**
     * Both ends of a write, for code that cannot see this class: (null, event), (state, event). A class
     * of its own, so that nothing else is loaded with it.
     */
    public static final class BothEnds implements BiFunction<Object, Object, Object> {
        @Override
        public Object apply(Object state, Object event) {
            if (state == null) {
                return begin();
            }
            end(state, null, event);
            return state;
        }
    }

    /** Before an appender writes an event; never null. */
    public static Object begin() {
        return Lines.beginCapture();
    }

    /** After it has; {@code appender} may be unknown where each event is an object of its own. */
    public static void end(Object state, Object appender, Object event) {
        try {
            String text = Lines.endCapture(state);
            if (text.isBlank()) {
                return;
            }
            Object key = key(event);
            Object writer = System.identityHashCode(appender);
            Object[] last = LAST.get();
            if (last != null && last[0].equals(key) && (appender == null || !last[1].equals(writer))) {
                return; // another appender wrote the same event
            }
            LAST.set(new Object[] {key, writer});
            Map<String, Object> record = Records.ofJson(text);
            if (record == null) {
                record = new LinkedHashMap<>();
                describe(event, record);
            } else {
                Map<String, Object> known = new LinkedHashMap<>();
                describe(event, known);
                if (record.containsKey("_time") || record.containsKey("timestamp")) {
                    known.remove("_time");
                }
                known.forEach(record::putIfAbsent);
            }
            Shipping.record(record, text.length() + 256);
        } catch (RuntimeException | ReflectiveOperationException | LinkageError error) {
            Report.complain("a logging event could not be shipped", error);
        }
    }

    /** After the runtime's own logger wrote a message: one record, whatever lines it has. */
    public static void endMessage(Object state, Object level) {
        String text = Lines.endCapture(state);
        if (!Lines.recapture(text)) {
            // After the handler, all that the runtime has to say is why it failed.
            ship(text, Trace.isPending() ? "ERROR" : String.valueOf(level));
        }
    }

    /** Ships a message of the runtime's own logger; a level that it does not have is guessed. */
    static void ship(String text, String level) {
        if (level.equals("UNDEFINED") || text.isBlank() || Records.ofJson(text) != null) {
            Shipping.line(text);
            return;
        }
        Map<String, Object> record = new LinkedHashMap<>();
        record.put("level", Records.level(level));
        record.put("message", text.strip());
        Shipping.record(record, text.length() + 256);
    }

    /** What tells an event from the next one in a reused object. */
    private static Object key(Object event) throws ReflectiveOperationException {
        Object millis = ask(event, "getTimeMillis", "getTimeStamp", "getMillis");
        Object message = ask(event, "getFormattedMessage", "getMessage");
        return System.identityHashCode(event) + "/" + millis + "/" + message;
    }

    private static void describe(Object event, Map<String, Object> record)
            throws ReflectiveOperationException {
        Object millis = ask(event, "getTimeMillis", "getTimeStamp", "getMillis");
        if (millis instanceof Long) {
            record.put("_time", Records.iso((Long) millis));
        }
        record.put("level", Records.level(String.valueOf(ask(event, "getLevel"))));
        record.put("message", String.valueOf(message(event)));
        Object logger = ask(event, "getLoggerName");
        if (logger != null) {
            record.put("logger", logger.toString());
        }
        Object thread = ask(event, "getThreadName");
        if (thread != null) {
            record.put("thread", thread.toString());
        }
        String trouble = trouble(ask(event, "getThrown", "getThrowableProxy"));
        if (trouble != null) {
            record.put("exc_info", trouble);
        }
        Object context = ask(event, "getMDCPropertyMap", "getContextData");
        if (context != null && !(context instanceof Map)) {
            context = ask(context, "toMap");
        }
        if (context instanceof Map) {
            ((Map<?, ?>) context).forEach((name, value) -> record.putIfAbsent(String.valueOf(name), value));
        }
        // The runtime client's log4j2 appender puts the request id there under a name of its own.
        Object requestId = record.remove("AWSRequestId");
        if (requestId != null) {
            record.putIfAbsent("aws_request_id", requestId);
        }
    }

    private static Object message(Object event) throws ReflectiveOperationException {
        Object formatted = ask(event, "getFormattedMessage");
        if (formatted != null) {
            return formatted;
        }
        Object message = ask(event, "getMessage");
        Object parameters = ask(event, "getParameters");
        if (message instanceof String && parameters instanceof Object[]) {
            return julMessage(event, (String) message, (Object[]) parameters);
        }
        if (message == null || message instanceof String) {
            return message;
        }
        Object text = ask(message, "getFormattedMessage");
        return text == null ? message : text;
    }

    private static String julMessage(Object event, String message, Object[] parameters)
            throws ReflectiveOperationException {
        Object bundle = ask(event, "getResourceBundle");
        if (bundle instanceof java.util.ResourceBundle && ((java.util.ResourceBundle) bundle).containsKey(message)) {
            message = ((java.util.ResourceBundle) bundle).getString(message);
        }
        if (parameters.length == 0 || message.indexOf('{') < 0) {
            return message;
        }
        try {
            return java.text.MessageFormat.format(message, parameters);
        } catch (IllegalArgumentException error) {
            return message;
        }
    }

    private static String trouble(Object thrown) throws ReflectiveOperationException {
        Object throwable = thrown instanceof Throwable || thrown == null ? thrown : ask(thrown, "getThrowable");
        if (throwable instanceof Throwable) {
            StringWriter text = new StringWriter();
            ((Throwable) throwable).printStackTrace(new PrintWriter(text));
            return text.toString().strip();
        }
        // A proxy that has come through a serialisation: its class and message at each step.
        StringBuilder text = new StringBuilder();
        for (int i = 0; thrown != null && i < MAX_CAUSES; i++) {
            text.append(i == 0 ? "" : "\nCaused by: ");
            text.append(ask(thrown, "getClassName")).append(": ").append(ask(thrown, "getMessage"));
            thrown = ask(thrown, "getCause");
        }
        return text.length() == 0 ? null : text.toString();
    }

    /** What the first of the methods that the object has gives; null when it has none. */
    private static Object ask(Object object, String... methods) throws ReflectiveOperationException {
        for (String name : methods) {
            Method method = find(object.getClass(), name);
            if (method != null) {
                return method.invoke(object);
            }
        }
        return null;
    }

    private static final ClassValue<Map<String, Method[]>> METHODS =
            new ClassValue<>() {
                @Override
                protected Map<String, Method[]> computeValue(Class<?> type) {
                    return new java.util.concurrent.ConcurrentHashMap<>();
                }
            };

    private static Method find(Class<?> type, String name) {
        return METHODS.get(type).computeIfAbsent(name, key -> new Method[] {search(type, key)})[0];
    }

    /** A method of a public type: the class itself, what it extends, or what it implements. */
    private static Method search(Class<?> type, String name) {
        for (Class<?> current = type; current != null; current = current.getSuperclass()) {
            if (java.lang.reflect.Modifier.isPublic(current.getModifiers())) {
                try {
                    return current.getMethod(name);
                } catch (NoSuchMethodException absent) {
                    continue;
                }
            }
            for (Class<?> face : current.getInterfaces()) {
                Method found = search(face, name);
                if (found != null) {
                    return found;
                }
            }
        }
        return null;
    }
}
