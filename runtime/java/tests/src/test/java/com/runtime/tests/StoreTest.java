package com.runtime.tests;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.runtime.tests.programs.Clients;
import com.runtime.tests.programs.Logging;
import com.runtime.tests.programs.Says;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

/** What the real VictoriaLogs has of a function's records, read back by LogsQL. */
@EnabledIfSystemProperty(named = "logs.url", matches = "http://.*")
class StoreTest {
    private static final String WRAPPER = "com.runtime.lambda.HandlerWrapper::handleRequest";
    private static final String TRACE = "Root=1-67891233-abcdef012345678912345678;Sampled=1";

    /** Each test has records of a function of its own, in each run. */
    private final String function = "fn-" + System.nanoTime();

    private Jvm jvm() {
        return new Jvm().env("VICTORIALOGS_URL", Store.URL + "/").env("AWS_LAMBDA_FUNCTION_NAME", function)
                .env("ESB_LOG_EXIT_FLUSH_MS", "20000");
    }

    private static String text(Map<String, Object> record, String key) {
        return String.valueOf(record.get(key));
    }

    /** Three invocations; their trace id is that of the client context, else the runtime's. */
    private void everything(String context, String trace) throws Exception {
        List<String> names = List.of("one", "two", "three");
        List<String> events = names.stream().map(name -> "{\"name\":\"" + name + "\"}").collect(Collectors.toList());
        try (Runtime runtime = new Runtime(context, events)) {
            runtime.run(jvm().env("LAMBDA_ORIGINAL_HANDLER", Says.class.getName() + "::everything"), WRAPPER);
        }
        List<String> kinds = List.of(
                "INFO line null", "ERROR error null", "WARNING json null", "WARNING logback app.Logback",
                "ERROR log4j2 app.Log4j", "INFO jul\nof two lines app.Jul", "INFO thread null", "INFO begun null");
        String all = "container_name:\"" + function + "\" AND job:\"lambda\"";
        List<Map<String, Object>> records = Store.records(all, 3 * kinds.size() + 1);
        for (int i = 0; i < names.size(); i++) {
            String name = names.get(i);
            String request = "request-" + (i + 1);
            List<Map<String, Object>> own = records.stream()
                    .filter(r -> request.equals(r.get("aws_request_id"))).collect(Collectors.toList());
            Stream<String> told = own.stream().map(r -> text(r, "level")
                    + text(r, "_msg").replaceFirst("^(ERROR: )?" + name, "") + " " + text(r, "logger"));
            assertEquals(kinds.stream().sorted().collect(Collectors.toList()), told.sorted().collect(Collectors.toList()));
            for (Map<String, Object> record : own) {
                assertEquals(trace, record.get("trace_id"));
                assertEquals("{container_name=\"" + function + "\",job=\"lambda\"}", record.get("_stream"));
            }
            String trouble = own.stream().map(r -> text(r, "exc_info")).filter(t -> !t.equals("null"))
                    .collect(Collectors.joining());
            assertTrue(trouble.startsWith("java.lang.IllegalStateException: why\n\tat "), trouble);
        }
        List<Object> init = records.stream().filter(r -> "init".equals(r.get("_msg"))).map(r -> r.get("aws_request_id"))
                .collect(Collectors.toList());
        assertEquals(Collections.singletonList(null), init);
        assertEquals(3 * kinds.size() + 1, records.size(), records.toString());
    }

    @Test
    void everyWayToLogIsStoredOnceUnderItsIds() throws Exception {
        everything("{\"custom\":{\"trace_id\":\"" + TRACE + "\"}}", TRACE);
        // A trace is found by its bare id too.
        assertFalse(Store.records("container_name:\"" + function + "\" AND trace_id:\"1-67891233-abcdef012345678912345678\"", 1)
                .isEmpty());
    }

    @Test
    void withoutAClientContextTheIdsAreTheRuntimes() throws Exception {
        everything(null, "Root=1-runtime");
    }

    @Test
    void logEventsAreStoredOnceAtTheirTime() throws Exception {
        jvm().env("LOG_LEVEL", "DEBUG").run(Clients.class, "logs");
        List<Map<String, Object>> found =
                Store.records("container_name:\"" + function + "\" AND logger:\"cloudwatch.logs.java\"", 3);
        assertEquals(
                List.of("DEBUG first", "ERROR second", "INFO third"),
                found.stream().map(r -> text(r, "level") + " " + text(r, "_msg")).sorted().collect(Collectors.toList()));
        for (Map<String, Object> record : found) {
            assertEquals("2023-11-14T22:13:20Z", record.get("_time"));
            assertEquals("group/stream", text(record, "log_group") + "/" + text(record, "log_stream"));
        }
    }

    @Test
    void manyLinesAllArriveOnce() throws Exception {
        jvm().run(Logging.class, "many");
        List<Map<String, Object>> found = Store.records("container_name:\"" + function + "\"", 5000);
        assertEquals(5000, found.size());
        assertEquals(5000, found.stream().map(r -> text(r, "_msg")).collect(Collectors.toCollection(TreeSet::new)).size());
    }
}
