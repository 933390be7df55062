package com.runtime.agent.weave;

/** What is done to the methods of one name in one class. */
public final class Rule {
    enum Kind {
        /** The hook runs first and may replace the last argument. */
        BEFORE,
        /** The hook may answer instead of the method. */
        ANSWER,
        /** The hook runs before and after, however the method ends. */
        AROUND
    }

    final Kind kind;
    /** Tells the hook what it is called for. */
    final String hook;
    final String method;
    final int parameters;

    private Rule(Kind kind, String hook, String method, int parameters) {
        this.kind = kind;
        this.hook = hook;
        this.method = method;
        this.parameters = parameters;
    }

    /**
     * {@code Hooks.before} runs before the methods of that name and number of parameters. In a
     * constructor ({@code <init>}) there is no object yet to give to it.
     */
    public static Rule before(String hook, String method, int parameters) {
        return new Rule(Kind.BEFORE, hook, method, parameters);
    }

    /** {@code Hooks.answer} is asked before methods of that name and one parameter. */
    public static Rule answer(String hook, String method) {
        return new Rule(Kind.ANSWER, hook, method, 1);
    }

    /** {@code Hooks.begin} and {@code Hooks.end} run around, and get the first parameter of, such methods. */
    public static Rule around(String hook, String method, int parameters) {
        return new Rule(Kind.AROUND, hook, method, parameters);
    }
}
