package com.runtime.agent;

import java.io.PrintStream;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Tells the operator that a hook failed: one line on the process's own stderr for each step, once.
 *
 * <p>Refuses to throw, and to write to stdout or to a stream that records are made of.
 */
public final class Report {
    private static final Set<String> TOLD = ConcurrentHashMap.newKeySet();
    private static volatile PrintStream stream = System.err;

    private Report() {}

    /** Remembers the process's own stderr, before anything replaces it. */
    static void use(PrintStream original) {
        stream = original;
    }

    /** Says once per process that {@code step} failed because of {@code error}. */
    public static void complain(String step, Throwable error) {
        if (TOLD.add(step)) {
            stream.println("esb hooks: " + step + ": " + error);
        }
    }
}
