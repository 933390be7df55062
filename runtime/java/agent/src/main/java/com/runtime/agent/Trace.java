package com.runtime.agent;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/**
 * Which invocation the running code belongs to.
 *
 * <p>Owns the ids of each invocation, for the handler's thread, the threads that it starts, and all
 * others. Refuses to report the ids of an invocation that has ended, whoever still holds them.
 */
public final class Trace {
    /** Where the SDK and X-Ray look for the trace id of an invocation. */
    private static final String PROPERTY = "com.amazonaws.xray.traceHeader";

    /** One invocation: its ids, each null when unknown, and whether it still runs. */
    public static final class Invocation {
        public final String traceId;
        public final String requestId;
        private volatile boolean active = true;
        private String replaced;
        private boolean wrote;

        Invocation(String traceId, String requestId) {
            this.traceId = traceId;
            this.requestId = requestId;
        }
    }

    private static final InheritableThreadLocal<Invocation> OWN = new InheritableThreadLocal<>();
    /** What runs in this process; threads that inherited none belong to the newest. */
    private static final List<Invocation> RUNNING = new CopyOnWriteArrayList<>();

    private static final ThreadLocal<Invocation> PENDING = new ThreadLocal<>();

    private Trace() {}

    /** Starts an invocation; without a trace id of the caller's the runtime's own is taken. */
    public static Invocation begin(String traceId, String requestId) {
        endPending();
        String header = System.getProperty(PROPERTY);
        boolean own = traceId != null && !traceId.isBlank();
        if (!own) {
            traceId = header != null && !header.isEmpty() ? header : Settings.first("_X_AMZN_TRACE_ID");
        }
        Invocation invocation = new Invocation(traceId, requestId);
        if (own && !traceId.equals(header)) {
            invocation.replaced = header;
            invocation.wrote = true;
            System.setProperty(PROPERTY, traceId);
        }
        OWN.set(invocation);
        RUNNING.add(invocation);
        return invocation;
    }

    /** Ends an invocation: from here on nothing carries its ids. */
    public static void end(Invocation invocation) {
        invocation.active = false;
        RUNNING.remove(invocation);
        OWN.remove();
        if (invocation.wrote && invocation.traceId.equals(System.getProperty(PROPERTY))) {
            if (invocation.replaced == null) {
                System.clearProperty(PROPERTY);
            } else {
                System.setProperty(PROPERTY, invocation.replaced);
            }
        }
    }

    /** Ends an invocation when {@link #endPending} or {@link #begin} is next called by this thread. */
    static void endLater(Invocation invocation) {
        endPending();
        PENDING.set(invocation);
    }

    /** Whether the calling thread's handler has returned, and what comes is the runtime's. */
    public static boolean isPending() {
        return PENDING.get() != null;
    }

    /** Ends what {@link #endLater} was called for. */
    static void endPending() {
        Invocation pending = PENDING.get();
        if (pending != null) {
            PENDING.remove();
            end(pending);
        }
    }

    /** The invocation that the caller belongs to, or null when none runs. */
    public static Invocation current() {
        Invocation own = OWN.get();
        if (own != null && own.active) {
            return own;
        }
        Invocation newest = null;
        for (Invocation invocation : RUNNING) {
            newest = invocation;
        }
        return newest;
    }

    /** The trace id to hand on to a called function, or null. */
    public static String outgoing() {
        Invocation invocation = current();
        return invocation == null ? null : invocation.traceId;
    }
}
