package com.runtime.tests;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.runtime.tests.programs.Handlers;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** The wrapper inside the real runtime interface client. */
class WrapperTest {
    private static final String WRAPPER = "com.runtime.lambda.HandlerWrapper::handleRequest";
    private static final String TRACE = "Root=1-67891233-abcdef012345678912345678;Sampled=1";

    private static String bare(String handler, String... events) throws Exception {
        try (Runtime runtime = new Runtime(null, List.of(events))) {
            return String.join("\n", runtime.run(new Jvm().withoutAgent(), handler));
        }
    }

    private static String wrapped(String handler, String... events) throws Exception {
        try (Runtime runtime = new Runtime(null, List.of(events))) {
            return String.join("\n", runtime.run(new Jvm().env("LAMBDA_ORIGINAL_HANDLER", handler), WRAPPER));
        }
    }

    /** The same answers with and without the wrapper, stack traces included. */
    private static void check(String expected, String handler, String... events) throws Exception {
        String name = Handlers.class.getName() + handler;
        String bare = bare(name, events);
        assertTrue(bare.contains(expected), bare);
        // A handler that cannot be made is told with the invocation instead of before it.
        assertEquals(bare.replace("init/error", "invocation/request-1/error"), wrapped(name, events));
    }

    @Test
    void handlerClasses() throws Exception {
        // One instance for all invocations; unknown fields are left out.
        check("{\"name\":\"b\",\"count\":4}", "$Typed", "{\"name\":\"a\",\"count\":1,\"unknown\":{}}", "{\"name\":\"b\",\"count\":2}");
        check("/p{a=b}", "$Api::handleRequest", "{\"path\":\"/p\",\"headers\":{\"a\":\"b\"}}");
        check("<[1]0>", "$Stream", "[1]");
    }

    @Test
    void plainMethods() throws Exception {
        check("\"a\\n!\"", "::text", "\"a\\n\"");
        check("response null", "::nothing", "{}");
        check("/response ", "::none", "{}");
        check("[{\"a\":1}]", "::generic", "[{\"a\":1}]");
        check("response 1", "::count", "{\"Records\":[{\"messageId\":\"m\",\"body\":\"b\"}]}");
    }

    @Test
    void errors() throws Exception {
        check("no {a=b}", "::failing", "{\"a\":\"b\"}");
        check("An error occurred during JSON parsing", "::generic", "\"x\"");
        check("cannot be made", "$Broken", "{}");
        check("cannot be made", "$BrokenToo::handle", "{}");
        check("ClassNotFoundException", "Missing", "{}");
        check("No public method named missing", "::missing", "{}");
    }

    @Test
    void idsGoWithEverythingOfAnInvocation() throws Exception {
        String context = "{\"custom\":{\"trace_id\":\"" + TRACE + "\"}}";
        String base64 = Base64.getEncoder().encodeToString(context.getBytes(StandardCharsets.UTF_8));
        try (Server sink = new Server(); Server platform = new Server();
                Runtime runtime = new Runtime(context, List.of("{}", "{}"))) {
            Jvm jvm = new Jvm()
                    .env("VICTORIALOGS_URL", sink.url())
                    .env("GATEWAY_INTERNAL_URL", platform.url())
                    .env("LOG_LEVEL", "DEBUG")
                    .env("LAMBDA_ORIGINAL_HANDLER", Handlers.class.getName() + "::ids");
            List<String> answers = runtime.run(jvm, WRAPPER);
            assertEquals("invocation/request-1/response \"" + TRACE + " " + TRACE + " request-1\"", answers.get(0));
            assertEquals(2, sink.records("trace context hydrated").size());
            for (String message : List.of("printed", "in a thread", "blank", "not found")) {
                List<Map<String, Object>> records = sink.records(message);
                assertEquals(List.of("request-1", "request-2"),
                        records.stream().map(r -> r.get("aws_request_id")).collect(Collectors.toList()));
                assertEquals(TRACE, records.get(0).get("trace_id"));
            }
            assertEquals("own", sink.records("its own").get(0).get("trace_id"));
            Server.Request invoke = platform.requests.get(0);
            assertEquals(base64, invoke.header("X-Amz-Client-Context"));
            assertEquals(TRACE, invoke.header("X-Amzn-Trace-Id"));
        }
    }

    @Test
    void recordsArriveBeforeTheResultAndErrorsWithTheirIds() throws Exception {
        try (Server sink = new Server(); Runtime runtime = new Runtime(null, List.of("{\"name\":\"a\"}"))) {
            Jvm jvm = new Jvm().env("VICTORIALOGS_URL", sink.url()).env("ESB_LOG_FLUSH_MS", "5000")
                    .env("LAMBDA_ORIGINAL_HANDLER", Handlers.class.getName() + "$Typed");
            runtime.run(jvm, WRAPPER);
            assertEquals(1, sink.records("typed request-1").size());
            assertEquals("Root=1-runtime", sink.records("typed request-1").get(0).get("trace_id"));
        }
        try (Server sink = new Server(); Runtime runtime = new Runtime(null, List.of("{}"))) {
            Jvm jvm = new Jvm().env("VICTORIALOGS_URL", sink.url()).env("ESB_LOG_EXIT_FLUSH_MS", "20000")
                    .env("LAMBDA_ORIGINAL_HANDLER", Handlers.class.getName() + "::failing");
            runtime.run(jvm, WRAPPER);
            List<Map<String, Object>> records = sink.records();
            assertEquals(1, records.size(), records.toString());
            assertTrue(String.valueOf(records.get(0).get("message")).contains("no {}"), records.toString());
            assertEquals("request-1", records.get(0).get("aws_request_id"));
            assertEquals("ERROR", records.get(0).get("level"));
        }
    }
}
