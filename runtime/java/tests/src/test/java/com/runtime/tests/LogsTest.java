package com.runtime.tests;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.runtime.tests.programs.Logging;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What reaches the log sink of what a JVM writes, by each logging library. */
class LogsTest {
    private Server sink;

    @BeforeEach
    void start() throws Exception {
        sink = new Server();
        sink.body = "";
    }

    @AfterEach
    void stop() {
        sink.close();
    }

    private Jvm jvm() {
        return new Jvm().env("VICTORIALOGS_URL", sink.url() + "/logs/").env("ESB_LOG_EXIT_FLUSH_MS", "20000");
    }

    private List<String> messages() {
        return sink.records().stream().map(r -> r.get("level") + " " + r.get("message")).collect(Collectors.toList());
    }

    /** Runs a program with and without the agent: what it writes is the same. */
    private void run(String... how) throws Exception {
        Jvm.Said plain = new Jvm().withoutAgent().run(Logging.class, how);
        Jvm.Said said = jvm().run(Logging.class, how);
        assertEquals(plain.out, said.out);
        assertEquals(withoutTime(plain.err), withoutTime(said.err));
        assertEquals(0, said.status);
    }

    private static String withoutTime(String text) {
        return text.replaceAll("(?m)^\\w+ \\d+, \\d{4}.* (AM|PM) ", "");
    }

    @Test
    void linesBecomeRecordsOnce() throws Exception {
        run("print");
        assertEquals(
                List.of("INFO a 1", "ERROR ERROR: to stderr", "WARN kept", "INFO [\"x\"]", "INFO Grüße", "INFO no line feed"),
                messages());
        Map<String, Object> kept = sink.records("kept").get(0);
        assertEquals("{\"n\":1.50}", com.runtime.agent.logs.Json.text(kept.get("extra")));
        assertEquals("fn", kept.get("container_name"));
        assertEquals("lambda", kept.get("job"));
        assertTrue(String.valueOf(kept.get("_time")).matches("\\d{4}-\\d\\d-\\d\\dT[\\d:.]{12}\\+00:00"));
        Server.Request request = sink.requests.get(0);
        assertEquals(
                "/logs/insert/jsonline?_stream_fields=container_name,job&_msg_field=message&_time_field=_time"
                        + "&container_name=fn&job=lambda",
                request.path);
        assertEquals("application/json", request.header("Content-Type"));
    }

    @Test
    void eventsOfLoggingLibrariesAreStructuredAndShippedOnce() throws Exception {
        run("logback", "log4j2", "jul");
        assertEquals(
                List.of(
                        "WARNING from logback", "ERROR failed\ntwice", "INFO from log4j2", "INFO from log4j2",
                        "ERROR failed", "ERROR from jul", "INFO failed"),
                messages());
        List<Map<String, Object>> records = sink.records();
        assertEquals("app.Logback", records.get(0).get("logger"));
        for (int i : new int[] {1, 4, 6}) {
            String trouble = String.valueOf(records.get(i).get("exc_info"));
            assertTrue(trouble.startsWith("java.lang.IllegalStateException: why\n\tat "), trouble);
        }
    }

    @Test
    void manyLinesAreFewRequests() throws Exception {
        run("many");
        assertEquals(5000, sink.records().size());
        assertTrue(sink.requests.size() < 20, sink.requests.size() + " requests");
    }

    @Test
    void aSinkThatFailsCostsNothingAndIsToldOnce() throws Exception {
        sink.status = 500;
        Jvm.Said said = jvm().run(Logging.class, "print", "pause", "print");
        assertEquals(0, said.status);
        assertEquals(1, said.err.lines().filter(line -> line.startsWith("esb hooks: the log sink refuses")).count());
        sink.close();
        said = jvm().run(Logging.class, "print", "pause");
        assertEquals(0, said.status);
        assertTrue(said.err.contains("esb hooks: the log sink cannot be reached"), said.err);
    }

    @Test
    void aFullQueueDropsTheOldestAndSaysSo() throws Exception {
        sink.delay = 300;
        jvm().env("ESB_LOG_QUEUE_BYTES", "65536").run(Logging.class, "many");
        List<Map<String, Object>> told =
                sink.records().stream().filter(r -> r.containsKey("dropped")).collect(Collectors.toList());
        long dropped = told.stream().mapToLong(r -> Long.parseLong(String.valueOf(r.get("dropped")))).sum();
        assertTrue(dropped > 0);
        assertEquals(5000, dropped + sink.records().size() - told.size());
        assertEquals(1, sink.records("line 4999").size());
    }

    @Test
    void aTerminatedProcessStillShips() throws Exception {
        jvm().run(Logging.class, "killed");
        assertEquals(1, sink.records("before the end").size());
    }

    /** As a snapshot of a JVM would, the process stands still while its connection ends, and goes on elsewhere. */
    @Test
    void aProcessThatStoodStillGoesOnWithANewConnection() throws Exception {
        Process process = jvm().start(Jvm.classPath(), Logging.class.getName(), "print", "ask", "print");
        for (int i = 0; i < 200 && sink.records("kept").isEmpty(); i++) {
            Thread.sleep(50);
        }
        assertEquals(1, sink.records("kept").size());
        Thread.sleep(300); // for the answer to arrive
        signal(process, "-STOP");
        int port = sink.port();
        sink.close();
        try (Server other = new Server(null, port)) {
            other.body = "";
            signal(process, "-CONT");
            process.getOutputStream().close();
            assertEquals(0, process.waitFor());
            assertEquals("", new String(process.getErrorStream().readAllBytes()).replace("ERROR: to stderr\n", ""));
            assertEquals(1, other.records("kept").size());
            assertEquals(1, other.requests.size());
        }
    }

    private static void signal(Process process, String which) throws Exception {
        new ProcessBuilder("kill", which, String.valueOf(process.pid())).start().waitFor();
    }
}
