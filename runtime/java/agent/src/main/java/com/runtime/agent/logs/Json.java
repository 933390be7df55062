package com.runtime.agent.logs;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The little JSON that log records and client contexts need.
 *
 * <p>Numbers are kept as they are spelled. Refuses to recurse deeper than {@link #MAX_DEPTH}.
 */
public final class Json {
    static final int MAX_DEPTH = 100;

    /** A number, as it was spelled. */
    static final class Literal {
        final String text;

        Literal(String text) {
            this.text = text;
        }

        @Override
        public String toString() {
            return text;
        }
    }

    private static final class Broken extends RuntimeException {
        Broken() {
            super("not JSON", null, false, false);
        }
    }

    private final String text;
    private int at;

    private Json(String text) {
        this.text = text;
    }

    /** The JSON object that {@code text} is, or null if it is something else. */
    public static Map<String, Object> object(String text) {
        Json json = new Json(text);
        try {
            json.space();
            if (!json.here('{')) {
                return null;
            }
            Map<String, Object> value = json.members(0);
            json.space();
            return json.at == text.length() ? value : null;
        } catch (Broken broken) {
            return null;
        }
    }

    /** The text of a value made of maps, lists, texts, numbers and booleans; others become text. */
    public static String text(Object value) {
        StringBuilder out = new StringBuilder(256);
        write(out, value, 0);
        return out.toString();
    }

    private Object value(int depth) {
        space();
        if (at >= text.length() || depth > MAX_DEPTH) {
            throw new Broken();
        }
        switch (text.charAt(at)) {
            case '{':
                return members(depth);
            case '[':
                return elements(depth);
            case '"':
                return string();
            case 't':
                return word("true", true);
            case 'f':
                return word("false", false);
            case 'n':
                return word("null", null);
            default:
                return number();
        }
    }

    private Map<String, Object> members(int depth) {
        Map<String, Object> members = new LinkedHashMap<>();
        expect('{');
        space();
        if (here('}')) {
            at++;
            return members;
        }
        while (true) {
            space();
            String name = string();
            space();
            expect(':');
            members.put(name, value(depth + 1));
            space();
            if (here(',')) {
                at++;
            } else {
                expect('}');
                return members;
            }
        }
    }

    private List<Object> elements(int depth) {
        List<Object> elements = new ArrayList<>();
        expect('[');
        space();
        if (here(']')) {
            at++;
            return elements;
        }
        while (true) {
            elements.add(value(depth + 1));
            space();
            if (here(',')) {
                at++;
            } else {
                expect(']');
                return elements;
            }
        }
    }

    private String string() {
        expect('"');
        StringBuilder out = new StringBuilder();
        while (at < text.length()) {
            char c = text.charAt(at++);
            if (c == '"') {
                return out.toString();
            } else if (c == '\\') {
                out.append(escaped());
            } else if (c < ' ') {
                throw new Broken();
            } else {
                out.append(c);
            }
        }
        throw new Broken();
    }

    private char escaped() {
        char c = at < text.length() ? text.charAt(at++) : 0;
        switch (c) {
            case '"':
            case '\\':
            case '/':
                return c;
            case 'b':
                return '\b';
            case 'f':
                return '\f';
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 't':
                return '\t';
            case 'u':
                int code = 0;
                for (int end = at + 4; at < end; at++) {
                    int digit = at < text.length() ? Character.digit(text.charAt(at), 16) : -1;
                    if (digit < 0) {
                        throw new Broken();
                    }
                    code = code * 16 + digit;
                }
                return (char) code;
            default:
                throw new Broken();
        }
    }

    private Object word(String word, Object value) {
        if (!text.startsWith(word, at)) {
            throw new Broken();
        }
        at += word.length();
        return value;
    }

    private Literal number() {
        int start = at;
        if (here('-')) {
            at++;
        }
        int whole = digits();
        if (whole == 0 || whole > 1 && text.charAt(at - whole) == '0') {
            throw new Broken();
        }
        if (here('.')) {
            at++;
            if (digits() == 0) {
                throw new Broken();
            }
        }
        if (here('e') || here('E')) {
            at++;
            if (here('+') || here('-')) {
                at++;
            }
            if (digits() == 0) {
                throw new Broken();
            }
        }
        return new Literal(text.substring(start, at));
    }

    private int digits() {
        int start = at;
        while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
            at++;
        }
        return at - start;
    }

    private void space() {
        while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
    }

    private boolean here(char c) {
        return at < text.length() && text.charAt(at) == c;
    }

    private void expect(char c) {
        if (!here(c)) {
            throw new Broken();
        }
        at++;
    }

    private static void write(StringBuilder out, Object value, int depth) {
        if (value == null || value instanceof Boolean || value instanceof Literal) {
            out.append(value);
        } else if (value instanceof Integer || value instanceof Long) {
            out.append(value);
        } else if (value instanceof Map && depth <= MAX_DEPTH) {
            char next = '{';
            for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
                out.append(next);
                quote(out, String.valueOf(entry.getKey()));
                out.append(':');
                write(out, entry.getValue(), depth + 1);
                next = ',';
            }
            out.append(next == '{' ? "{}" : "}");
        } else if (value instanceof List && depth <= MAX_DEPTH) {
            char next = '[';
            for (Object element : (List<?>) value) {
                out.append(next);
                write(out, element, depth + 1);
                next = ',';
            }
            out.append(next == '[' ? "[]" : "]");
        } else {
            quote(out, depth > MAX_DEPTH ? "(too deep)" : String.valueOf(value));
        }
    }

    private static void quote(StringBuilder out, String text) {
        out.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c == '\n') {
                out.append("\\n");
            } else if (c < ' ' || c == 0x7f) {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        out.append('"');
    }
}
