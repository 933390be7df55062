package com.runtime.lambda;

/** The ids of the invocation that the calling thread handles, for code that wants them. */
public final class TraceContext {
    private static final ThreadLocal<String[]> IDS = new InheritableThreadLocal<>();

    private TraceContext() {}

    /** The trace id as the caller sent it, or null. */
    public static String traceId() {
        String[] ids = IDS.get();
        return ids == null ? null : ids[0];
    }

    /** The request id, or null outside an invocation. */
    public static String requestId() {
        String[] ids = IDS.get();
        return ids == null ? null : ids[1];
    }

    /** Sets both ids for the calling thread and the threads that it starts from here on. */
    public static void set(String traceId, String requestId) {
        IDS.set(new String[] {traceId, requestId});
    }

    /** Forgets the ids. */
    public static void clear() {
        IDS.remove();
    }
}
