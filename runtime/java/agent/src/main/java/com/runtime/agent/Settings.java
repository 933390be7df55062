package com.runtime.agent;

/** The environment variables that the hooks read, trimmed; an empty one counts as unset. */
public final class Settings {
    private Settings() {}

    /** The first of the variables that is set, or null. */
    public static String first(String... variables) {
        for (String variable : variables) {
            String value = System.getenv(variable);
            if (value != null && !value.isBlank()) {
                return value.strip();
            }
        }
        return null;
    }

    /** A whole number within 0 and 2^30, or the default where the variable has none. */
    public static int number(String variable, int fallback) {
        String text = first(variable);
        if (text == null) {
            return fallback;
        }
        try {
            return (int) Math.max(0, Math.min(Long.parseLong(text), 1 << 30));
        } catch (NumberFormatException error) {
            Report.complain("`" + variable + "` is not a whole number", error);
            return fallback;
        }
    }

    /** Whether the hooks were turned off. */
    static boolean off() {
        String value = first("ESB_HOOKS");
        if (value == null) {
            return false;
        }
        switch (value.toLowerCase(java.util.Locale.ROOT)) {
            case "0":
            case "off":
            case "false":
            case "no":
                return true;
            default:
                return false;
        }
    }
}
