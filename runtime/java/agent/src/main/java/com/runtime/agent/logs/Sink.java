package com.runtime.agent.logs;

import com.runtime.agent.Report;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The bounded queue of records and the one thread that sends them.
 *
 * <p>Owns the queue and its bound, the sender thread, batches, retries, what was dropped, and
 * waiting with a deadline. Refuses to block a writer on the network, to send a batch twice that may
 * have arrived, and to wait for a sink that is known to be failing. All times are milliseconds.
 */
final class Sink {
    /** How long the sender waits for company for a first record, unless someone flushes. */
    private static final long LINGER = 100;

    /** Enough to be worth a request at once. */
    private static final int EAGER_BYTES = 256 * 1024;

    private static final int MAX_BATCH_BYTES = 1024 * 1024;
    private static final long FIRST_BACKOFF = 100;
    private static final long LAST_BACKOFF = 2000;

    /** How often a server may answer "not now" to one batch before the batch is given up. */
    private static final int MAX_REJECTIONS = 8;

    /** An entry that waits, and what it counts for. */
    private static final class Waiting {
        final Records.Entry entry;
        final int size;

        Waiting(Records.Entry entry, int size) {
            this.entry = entry;
            this.size = size;
        }
    }

    private final String name;
    private final int limit;
    private final int timeout;
    private final Http1 client;
    private final ArrayDeque<Waiting> queue = new ArrayDeque<>();
    private long queuedBytes;
    private long accepted;
    private long done;
    private long dropped;
    private long toldDropped;
    private Thread thread;
    private boolean healthy = true;
    private boolean urgent;
    private boolean closing;

    /** Sends records of {@code name} to {@code url}; {@code limit} bounds the queue in bytes. */
    Sink(String url, String name, int limit, int timeout) {
        this.name = name;
        this.limit = limit;
        this.timeout = timeout;
        Http1 made = null;
        try {
            String target =
                    "/insert/jsonline?_stream_fields=container_name,job&_msg_field=message&_time_field=_time"
                            + "&container_name="
                            + URLEncoder.encode(name, StandardCharsets.UTF_8)
                            + "&job="
                            + Records.JOB;
            made = new Http1(url, target, timeout);
        } catch (RuntimeException error) {
            Report.complain("VICTORIALOGS_URL cannot be used", error);
        }
        client = made;
    }

    /** Queues one record; never waits for the network. */
    synchronized void put(Records.Entry entry, int size) {
        if (client == null) {
            return;
        }
        queue.add(new Waiting(entry, size));
        queuedBytes += size;
        accepted++;
        while (queuedBytes > limit && queue.size() > 1) {
            queuedBytes -= queue.remove().size;
            done++;
            dropped++;
        }
        if (thread == null) {
            resume();
        } else if (queue.size() == 1 || queuedBytes >= EAGER_BYTES) {
            notifyAll();
        }
    }

    /** Waits until all that is queued now has been sent, at most {@code millis}. */
    synchronized boolean flush(long millis) {
        long target = accepted;
        if (done >= target) {
            return true;
        }
        if (!healthy || millis <= 0) {
            return false;
        }
        urgent = true;
        resume();
        notifyAll();
        long deadline = System.nanoTime() + millis * 1_000_000;
        while (done < target && healthy) {
            long left = left(deadline);
            if (left <= 0 || !pause(left)) {
                // Too slow to be waited for again before it has answered.
                healthy = false;
                break;
            }
        }
        return done >= target;
    }

    /** Like {@link #flush} for the last time: a failing sink gets one more try. */
    synchronized void finish(long millis) {
        if (client == null) {
            return;
        }
        if (dropped > toldDropped) {
            queue.add(new Waiting(droppedRecord(dropped - toldDropped), 0));
            accepted++;
            toldDropped = dropped;
        }
        if (done >= accepted) {
            return;
        }
        closing = true;
        urgent = true;
        resume();
        notifyAll();
        long deadline = System.nanoTime() + millis * 1_000_000;
        while (done < accepted && left(deadline) > 0 && pause(left(deadline))) {
            continue;
        }
    }

    private void resume() {
        if (thread != null || queue.isEmpty()) {
            return;
        }
        // No lambda: the first of a JVM costs as much as all else here.
        Thread sender =
                new Thread(null, null, "esb-log-sender", 0, false) {
                    @Override
                    public void run() {
                        send();
                    }
                };
        sender.setDaemon(true);
        sender.setContextClassLoader(null);
        thread = sender;
        try {
            sender.start();
        } catch (OutOfMemoryError error) {
            thread = null; // no thread can be had now; the next record tries again
        }
    }

    private void send() {
        try {
            while (true) {
                deliver(nextBatch());
            }
        } catch (InterruptedException | RuntimeException | Error error) {
            Report.complain("the log sender stopped", error);
        }
        synchronized (this) {
            thread = null;
            notifyAll();
        }
    }

    private synchronized List<Waiting> nextBatch() throws InterruptedException {
        while (queue.isEmpty()) {
            urgent = false;
            wait();
        }
        long deadline = System.nanoTime() + LINGER * 1_000_000;
        while (!urgent && queuedBytes < EAGER_BYTES && left(deadline) > 0) {
            wait(left(deadline));
        }
        List<Waiting> batch = new ArrayList<>();
        long size = 0;
        while (!queue.isEmpty() && size < MAX_BATCH_BYTES) {
            Waiting next = queue.remove();
            size += next.size;
            batch.add(next);
        }
        queuedBytes -= size;
        return batch;
    }

    private void deliver(List<Waiting> batch) throws InterruptedException {
        ByteArrayOutputStream body = new ByteArrayOutputStream(4096);
        long lost = 0;
        for (Waiting waiting : batch) {
            try {
                body.writeBytes(Records.encode(waiting.entry, name));
            } catch (RuntimeException | StackOverflowError error) {
                Report.complain("a log record could not be encoded", error);
                lost++;
            }
        }
        long telling;
        synchronized (this) {
            // Claimed before it is sent: `finish` may look while this batch is on its way.
            telling = dropped - toldDropped;
            toldDropped += telling;
        }
        if (telling > 0) {
            body.writeBytes(Records.encode(droppedRecord(telling), name));
        }
        boolean arrived = body.size() == 0 || post(body.toByteArray());
        synchronized (this) {
            healthy = arrived;
            done += batch.size();
            dropped += arrived ? lost : batch.size();
            if (!arrived) {
                toldDropped -= telling;
            }
            notifyAll();
        }
    }

    private boolean post(byte[] body) throws InterruptedException {
        long backoff = FIRST_BACKOFF;
        int rejections = 0;
        while (true) {
            boolean last;
            synchronized (this) {
                last = closing;
            }
            try {
                int status = client.post(body, timeout);
                if (status >= 200 && status < 300) {
                    return true;
                }
                Report.complain("the log sink refuses records", new IOException("HTTP status " + status));
                rejections++;
                if (rejections >= MAX_REJECTIONS || status < 500 && status != 429) {
                    return false;
                }
            } catch (Http1.NotDelivered error) {
                Report.complain("the log sink cannot be reached", error.getCause());
            } catch (Http1.Unconfirmed error) {
                Report.complain("the log sink does not answer", error.getCause());
                return false;
            }
            synchronized (this) {
                healthy = false;
                notifyAll();
                if (last) {
                    return false;
                }
                long deadline = System.nanoTime() + backoff * 1_000_000;
                while (!closing && left(deadline) > 0) {
                    wait(left(deadline));
                }
            }
            backoff = Math.min(backoff * 2, LAST_BACKOFF);
        }
    }

    /** Waits for a change; false when the caller's thread was interrupted, which it stays. */
    private boolean pause(long millis) {
        try {
            wait(millis);
            return true;
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    private static long left(long deadline) {
        return (deadline - System.nanoTime() + 999_999) / 1_000_000;
    }

    private static Records.Entry droppedRecord(long count) {
        Map<String, Object> record = new LinkedHashMap<>();
        record.put("level", "WARNING");
        record.put("message", count + " log records were dropped on their way to the log sink");
        record.put("logger", "esb.hooks");
        record.put("dropped", count);
        return new Records.Entry(System.currentTimeMillis(), null, null, null, record);
    }
}
