package com.runtime.lambda;

/**
 * The way to the agent, which may not be there.
 *
 * <p>Refuses to fail without it.
 */
class Hooks {
    private static final Hooks NONE = new Hooks();

    /** The agent's hooks, or ones that do nothing. */
    static Hooks find() {
        try {
            Class.forName("com.runtime.agent.Hooks", false, Hooks.class.getClassLoader());
            return new Agent();
        } catch (ClassNotFoundException absent) {
            return NONE;
        }
    }

    /** Begins an invocation; gives what {@link #end} takes. */
    Object begin(String traceId, String requestId) {
        return null;
    }

    /** Ends an invocation, before its result is posted. */
    void end(Object invocation) {}

    private static final class Agent extends Hooks {
        @Override
        Object begin(String traceId, String requestId) {
            return com.runtime.agent.Hooks.begin(traceId, requestId);
        }

        @Override
        void end(Object invocation) {
            com.runtime.agent.Hooks.end(invocation);
        }
    }
}
