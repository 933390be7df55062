package com.runtime.agent;

import com.runtime.agent.logs.Streams;
import java.lang.instrument.Instrumentation;

/**
 * The agent's start.
 *
 * <p>Owns the decision which hooks this process needs, and the promise that no failure in here keeps
 * the JVM from starting. Refuses to load what the process may never need: bytecode is rewritten when
 * a class that is named in {@link Transformer} is first loaded, and threads start with the first
 * record.
 */
public final class AgentMain {
    private AgentMain() {}

    /** Called by the JVM before the application's main class is loaded. */
    public static void premain(String arguments, Instrumentation instrumentation) {
        try {
            Report.use(System.err);
            if (Settings.off()) {
                return;
            }
            if (Streams.wanted()) {
                Streams.install();
            }
            instrumentation.addTransformer(new Transformer());
        } catch (Throwable error) { // a JVM without hooks beats none
            Report.complain("not loaded", error);
        }
    }
}
