package com.runtime.agent.logs;

import com.runtime.agent.Settings;
import java.nio.charset.StandardCharsets;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What a log record looks like on the wire.
 *
 * <p>Owns the fields, the level rule and the time format (docs/contracts/platform.md#log-records).
 * Refuses to lose a record because of what it contains; what is no JSON object is text.
 */
public final class Records {
    static final String JOB = "lambda";
    /** VictoriaLogs refuses lines above 256 KiB. */
    static final int MAX_RECORD = 250 * 1024;

    static final int CUT_MESSAGE = 32 * 1024;

    private static final String[] KEPT = {
        "_time", "level", "container_name", "job", "trace_id", "aws_request_id", "logger"
    };
    /** Made when a text may need them: most do not. */
    private static final class Patterns {
        static final Pattern LEADING =
                Pattern.compile(
                        "\\s*(?:\\[\\s*(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRIT|CRITICAL|FATAL)\\s*\\]"
                                + "|(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRIT|CRITICAL|FATAL)\\s*:)",
                        Pattern.CASE_INSENSITIVE);
        static final Pattern TIME =
                Pattern.compile(
                        "(\\d{4})-(\\d\\d)-(\\d\\d)[T ](\\d\\d):(\\d\\d)(?::(\\d\\d)(?:[.,](\\d{1,9}))?)?"
                                + "\\s*(Z|z|[+-]\\d\\d(?::?\\d\\d)?)?");

        private Patterns() {}
    }

    private Records() {}

    /** One record that waits: when it arose, whose it is, and a line's text or a record's fields. */
    static final class Entry {
        final long millis;
        final String traceId;
        final String requestId;
        final String line;
        final Map<String, Object> fields;

        Entry(long millis, String traceId, String requestId, String line, Map<String, Object> fields) {
            this.millis = millis;
            this.traceId = traceId;
            this.requestId = requestId;
            this.line = line;
            this.fields = fields;
        }
    }

    /** The line for one entry, its line feed included. */
    static byte[] encode(Entry entry, String name) {
        Map<String, Object> record;
        if (entry.fields == null) {
            record = ofLine(entry.line, entry.millis);
        } else {
            record = new LinkedHashMap<>(entry.fields);
            complete(record, "", entry.millis);
        }
        fill(record, "container_name", name);
        fill(record, "job", JOB);
        if (entry.traceId != null && isNoTrace(record.get("trace_id"))) {
            record.remove("trace_id");
        }
        fill(record, "trace_id", entry.traceId);
        fill(record, "aws_request_id", entry.requestId);
        byte[] line = bytes(record);
        return line.length > MAX_RECORD ? bytes(cut(record, line.length)) : line;
    }

    /** The record of one written line: a JSON object kept and completed, or text. */
    static Map<String, Object> ofLine(String text, long millis) {
        text = withoutLineEnd(text);
        Map<String, Object> record = ofJson(text);
        if (record != null) {
            complete(record, text, millis);
            return record;
        }
        // The runtime's own error report separates its lines with carriage returns.
        text = text.replace('\r', '\n');
        record = new LinkedHashMap<>();
        record.put("_time", iso(millis));
        record.put("level", guess(text));
        record.put("message", text);
        return record;
    }

    /** The JSON object that {@code text} is, unless it is empty or something else. */
    static Map<String, Object> ofJson(String text) {
        if (!text.stripLeading().startsWith("{")) {
            return null;
        }
        Map<String, Object> value = Json.object(text);
        return value == null || value.isEmpty() ? null : value;
    }

    /** The level of a text: a leading `[LEVEL]` or `LEVEL:`, else INFO. */
    static String guess(String text) {
        if (text.indexOf(':') < 0 && text.indexOf(']') < 0) {
            return "INFO";
        }
        Matcher found = Patterns.LEADING.matcher(text);
        return found.lookingAt() ? level(found.group(1) == null ? found.group(2) : found.group(1)) : "INFO";
    }

    /** The level of a `[LEVEL]` prefix (else INFO) and the text without it. */
    public static String[] splitLevel(String text) {
        Matcher found = Patterns.LEADING.matcher(text);
        if (found.lookingAt() && found.group(1) != null) {
            return new String[] {level(found.group(1)), text.substring(found.end()).stripLeading()};
        }
        return new String[] {"INFO", text};
    }

    /** The contract's name of a level; INFO for those that it does not know. */
    static String level(String name) {
        switch (name == null ? "" : name.strip().toUpperCase(Locale.ROOT)) {
            case "TRACE":
            case "DEBUG":
            case "FINE":
            case "FINER":
            case "FINEST":
                return "DEBUG";
            case "WARN":
            case "WARNING":
                return "WARNING";
            case "ERROR":
            case "SEVERE":
                return "ERROR";
            case "CRIT":
            case "CRITICAL":
            case "FATAL":
                return "CRITICAL";
            default:
                return "INFO";
        }
    }

    /** The logger of records that came by CloudWatch's API; its earlier name by a setting. */
    public static String cloudWatchLogger() {
        return "old".equalsIgnoreCase(Settings.first("ESB_CLOUDWATCH_LOGGERS")) ? "aws.logs" : "cloudwatch.logs.java";
    }

    /** The weight of a level's name; unknown names weigh what INFO does. */
    public static int weight(String name) {
        return List.of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL").indexOf(level(name));
    }

    /** A time in UTC with milliseconds and `+00:00`. */
    public static String iso(long millis) {
        // Without a formatter, which is slow to load; the nanosecond brings all digits of the others.
        int nanos = (int) Math.floorMod(millis, 1000L) * 1_000_000 + 1;
        String text = LocalDateTime.ofEpochSecond(Math.floorDiv(millis, 1000L), nanos, ZoneOffset.UTC).toString();
        return text.substring(0, text.length() - 6) + "+00:00";
    }

    private static void complete(Map<String, Object> record, String text, long millis) {
        String stamp = readableTime(record.get("_time"));
        if (stamp == null && record.containsKey("timestamp")) {
            stamp = readableTime(record.get("timestamp"));
            if (stamp != null) {
                record.remove("timestamp");
            }
        }
        record.put("_time", stamp == null ? iso(millis) : stamp);
        Object message = record.get("message");
        if (isEmpty(message)) {
            Object other = record.get("msg");
            message = other instanceof String && !isEmpty(other) ? other : text.isEmpty() ? "-" : text;
        } else if (message instanceof Map || message instanceof List) {
            message = Json.text(message); // nested values would leave the record without a message
        }
        record.put("message", message);
        if (isEmpty(record.get("level"))) {
            Object other = isEmpty(record.get("levelname")) ? record.get("severity") : record.get("levelname");
            record.put("level", other instanceof String && !isEmpty(other) ? other : guess(message.toString()));
        }
    }

    private static void fill(Map<String, Object> record, String key, String value) {
        if (value != null && !value.isEmpty() && isEmpty(record.get(key))) {
            record.put(key, value);
        }
    }

    /** What libraries write where they know no trace id. */
    private static boolean isNoTrace(Object value) {
        return value instanceof String
                && (((String) value).isBlank() || ((String) value).strip().equalsIgnoreCase("not-found"));
    }

    private static boolean isEmpty(Object value) {
        return value == null || "".equals(value);
    }

    /** The value as a time that VictoriaLogs surely reads, which drops records of which it cannot. */
    private static String readableTime(Object value) {
        if (value instanceof Json.Literal || value instanceof Number) {
            double number = Double.parseDouble(value.toString());
            for (double unit : new double[] {1, 1e3, 1e6, 1e9}) {
                if (number / unit >= 1e8 && number / unit < 1e10) {
                    return iso((long) (number / unit * 1000));
                }
            }
            return null;
        }
        if (!(value instanceof String)) {
            return null;
        }
        Matcher found = Patterns.TIME.matcher(((String) value).strip());
        if (!found.matches()) {
            return null;
        }
        String second = found.group(6) == null ? "00" : found.group(6);
        boolean inRange =
                within(found.group(1), 1970, 2261)
                        && within(found.group(2), 1, 12)
                        && within(found.group(3), 1, 31)
                        && within(found.group(4), 0, 23)
                        && within(found.group(5), 0, 59)
                        && within(second, 0, 59);
        if (!inRange) {
            return null;
        }
        String zone = found.group(8);
        if (zone == null || zone.equalsIgnoreCase("z")) {
            zone = "Z";
        } else if (zone.length() < 6) {
            zone = zone.substring(0, 3) + ":" + (zone.length() > 3 ? zone.substring(3) : "00");
        }
        String fraction = found.group(7) == null ? "" : "." + found.group(7);
        return found.group(1) + "-" + found.group(2) + "-" + found.group(3) + "T" + found.group(4) + ":"
                + found.group(5) + ":" + second + fraction + zone;
    }

    private static boolean within(String digits, int least, int most) {
        int number = Integer.parseInt(digits);
        return number >= least && number <= most;
    }

    private static byte[] bytes(Map<String, Object> record) {
        return (Json.text(record) + "\n").getBytes(StandardCharsets.UTF_8);
    }

    /** A record small enough to be taken: the fields that matter, the message shortened. */
    private static Map<String, Object> cut(Map<String, Object> record, int length) {
        Map<String, Object> small = new LinkedHashMap<>();
        for (String key : KEPT) {
            if (record.get(key) != null) {
                small.put(key, shortened(record.get(key).toString(), 1024));
            }
        }
        small.put("message", shortened(String.valueOf(record.get("message")), CUT_MESSAGE));
        small.put("cut_from_bytes", length);
        return small;
    }

    private static String shortened(String text, int length) {
        return text.length() > length ? text.substring(0, length) : text;
    }

    private static String withoutLineEnd(String text) {
        int end = text.length();
        while (end > 0 && (text.charAt(end - 1) == '\n' || text.charAt(end - 1) == '\r')) {
            end--;
        }
        return text.substring(0, end);
    }
}
