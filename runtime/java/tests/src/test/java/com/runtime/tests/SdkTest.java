package com.runtime.tests;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.runtime.tests.programs.Clients;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Clients of the real AWS SDK, against a server that records what reaches it. */
class SdkTest {
    private static final String TRACE = "Root=1-67891233-abcdef012345678912345678;Sampled=1";

    private Server platform;
    private Server other;

    @BeforeEach
    void start() throws Exception {
        platform = new Server();
        other = new Server();
    }

    @AfterEach
    void stop() {
        platform.close();
        other.close();
    }

    private Jvm jvm() {
        return new Jvm()
                .env("S3_ENDPOINT", platform.url("localhost"))
                .env("DYNAMODB_ENDPOINT", platform.url())
                .env("GATEWAY_INTERNAL_URL", platform.url())
                .env("OTHER", other.url())
                .env("_X_AMZN_TRACE_ID", TRACE);
    }

    private String said(String... what) throws Exception {
        Jvm.Said said = jvm().run(Clients.class, what);
        assertEquals("", said.err);
        return said.out.strip();
    }

    private static List<String> lines(Server server) {
        return server.requests.stream().map(r -> r.method + " " + r.path).collect(Collectors.toList());
    }

    @Test
    void clientsTalkToThePlatformAndS3UsesThePathStyle() throws Exception {
        platform.body = "";
        said("s3", "s3-async", "s3-own-style");
        assertEquals(
                List.of("PUT /bucket", "PUT /bucket/a/b", "GET /bucket/a/b", "PUT /bucket/c", "HEAD /bucket"),
                lines(platform));
        platform.requests.clear();
        platform.body = "{}";
        assertEquals("dynamodb: []\ndynamodb-async: []", said("dynamodb", "dynamodb-async"));
        assertEquals(List.of("POST /", "POST /"), lines(platform));
    }

    @Test
    void theNativeS3ClientDoesToo() throws Exception {
        platform.body = "";
        assertEquals("s3-crt: done", said("s3-crt"));
        assertEquals(List.of("PUT /bucket/crt"), lines(platform));
    }

    @Test
    void theCallersEndpointWins() throws Exception {
        other.body = "<ListAllMyBucketsResult/>";
        said("s3-own-endpoint", "logs-own-endpoint");
        assertEquals(List.of("GET /", "POST /"), lines(other));
        assertEquals(List.of(), lines(platform));
    }

    @Test
    void presignedUrlsNameTheHostThatIsMeant() throws Exception {
        String url = said("presign");
        assertTrue(url.startsWith("presign: " + platform.url("localhost") + "/bucket/a?"), url);
        url = jvm().env("S3_PRESIGN_ENDPOINT", "https://files.example").run(Clients.class, "presign").out;
        assertTrue(url.startsWith("presign: https://files.example/bucket/a?"), url);
    }

    @Test
    void invocationsKeepWhatTheyAreAndCarryTheTraceId() throws Exception {
        platform.status = 202;
        assertEquals(
                "invoke: 202 null\ninvoke-async: 202\ninvoke-context: done", said("invoke", "invoke-async", "invoke-context"));
        Server.Request first = platform.requests.get(0);
        assertEquals("/2015-03-31/functions/other/invocations?Qualifier=live", first.path);
        assertEquals("Event", first.header("X-Amz-Invocation-Type"));
        assertEquals("{\"a\":1}", first.body);
        // The agent knows a trace id inside an invocation only; outside of one nothing is added.
        assertNull(first.header("X-Amz-Client-Context"));
        assertEquals("{\"custom\":{\"own\":\"x\"},\"client\":{\"n\":1.50}}", context(platform.requests.get(2)));
    }

    private static String context(Server.Request request) {
        byte[] bytes = Base64.getDecoder().decode(request.header("X-Amz-Client-Context"));
        return new String(bytes, StandardCharsets.UTF_8);
    }

    @Test
    void anInvocationThatMayHaveRunIsNotSentAgain() throws Exception {
        platform.status = 500;
        said("invoke", "invoke-async");
        assertEquals(2, platform.requests.size());
        platform.requests.clear();
        platform.status = 429;
        said("invoke");
        assertTrue(platform.requests.size() > 1, "throttled means that nothing ran");
        platform.requests.clear();
        platform.status = 500;
        said("invoke-retrying");
        assertEquals(2, platform.requests.size(), "the caller's own retries win");
        platform.requests.clear();
        platform.status = 200;
        platform.delay = 1000;
        said("invoke-slow");
        assertEquals(1, platform.requests.size());
    }

    @Test
    void cloudWatchLogsIsAnsweredInTheProcess() throws Exception {
        try (Server sink = new Server()) {
            Jvm.Said said =
                    jvm().env("VICTORIALOGS_URL", sink.url()).env("LOG_LEVEL", "INFO").run(Clients.class, "logs");
            assertEquals("logs: mock-token 0 true\n", said.out);
            assertEquals(1, sink.records("second").size());
            assertEquals("ERROR", sink.records("second").get(0).get("level"));
            assertEquals("group", sink.records("second").get(0).get("log_group"));
            assertEquals("2023-11-14T22:13:20.000+00:00", sink.records("third").get(0).get("_time"));
            assertEquals("cloudwatch.logs.java", sink.records("third").get(0).get("logger"));
            jvm().env("VICTORIALOGS_URL", sink.url()).env("ESB_CLOUDWATCH_LOGGERS", "old").run(Clients.class, "logs");
            assertEquals("aws.logs", sink.records("third").get(1).get("logger"));
            assertEquals(List.of(), sink.records("first"));
        }
        assertEquals(List.of(), lines(platform));
    }

    @Test
    void trustInThePlatformsHostIsNobodyElses() throws Exception {
        try (Server secure = new Server(Certificate.context());
                Server stranger = new Server(Certificate.context())) {
            Jvm jvm = jvm().env("GATEWAY_INTERNAL_URL", secure.url()).env("OTHER", stranger.url());
            String[] ours = {"invoke", "invoke-async", "invoke-url-connection", "invoke-crt"};
            Jvm.Said said = jvm.run(Clients.class, ours);
            assertEquals(
                    "invoke: 200 null\ninvoke-async: 200\ninvoke-url-connection: 200\ninvoke-crt: 200\n", said.out);
            said = jvm.run(Clients.class, "https-elsewhere", "https-jvm");
            assertEquals("https-elsewhere: SdkClientException\nhttps-jvm: SSLHandshakeException\n", said.out);
            // A bundle that does not have the certificate is believed.
            jvm.env("AWS_CA_BUNDLE", Certificate.strangersBundle().toString());
            assertEquals("invoke: SdkClientException\n", jvm.run(Clients.class, "invoke").out);
            jvm.env("AWS_CA_BUNDLE", Certificate.bundle().toString());
            assertEquals("invoke: 200 null\n", jvm.run(Clients.class, "invoke").out);
        }
    }

    /** The platform's certificates do not have the addresses under which containers reach it. */
    @Test
    void onlyThePlatformsHostsMayHaveCertificatesOfOtherNames() throws Exception {
        try (Server secure = new Server(Certificate.ofAnotherName());
                Server stranger = new Server(Certificate.ofAnotherName())) {
            Jvm jvm = jvm().env("GATEWAY_INTERNAL_URL", secure.url()).env("S3_ENDPOINT", secure.url())
                    .env("OTHER", stranger.url());
            String[] ours = {"invoke", "invoke-async", "invoke-url-connection", "invoke-crt", "s3-own-style"};
            String answers = "invoke: 200 null\ninvoke-async: 200\ninvoke-url-connection: 200\ninvoke-crt: 200\n"
                    + "s3-own-style: done\n";
            assertEquals(answers, jvm.run(Clients.class, ours).out);
            jvm.env("AWS_CA_BUNDLE", Certificate.bundleOfAnotherName().toString());
            assertEquals(answers, jvm.run(Clients.class, ours).out);
            // Its issuer is trusted by the JVM: the name alone is wrong.
            Certificate.trustOfAnotherName().forEach(jvm::option);
            Jvm.Said said = jvm.run(Clients.class, "https-elsewhere", "https-jvm");
            assertEquals("https-elsewhere: SdkClientException\nhttps-jvm: SSLHandshakeException\n", said.out);
        }
    }

    @Test
    void hooksCanBeTurnedOff() throws Exception {
        Jvm.Said said = jvm().env("ESB_HOOKS", "off").env("AWS_ENDPOINT_URL", other.url())
                .run(Clients.class, "dynamodb");
        assertEquals("dynamodb: []\n", said.out);
        assertEquals(List.of(), lines(platform));
    }
}
