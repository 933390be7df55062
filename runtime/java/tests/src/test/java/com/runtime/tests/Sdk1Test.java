package com.runtime.tests;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.runtime.tests.programs.Clients1;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** Clients of the AWS SDK v1: what reaches a server that records it. */
class Sdk1Test {
    /** Its farewell to the language's users is no matter of ours. */
    static Jvm quiet(Jvm jvm) {
        return jvm.option("-Daws.java.v1.disableDeprecationAnnouncement=true");
    }

    @Test
    void clientsReachThePlatformUnlessTheCallerNamesAnother() throws Exception {
        try (Server platform = new Server(); Server other = new Server()) {
            Jvm jvm = quiet(new Jvm()).env("OTHER", other.url()).env("S3_ENDPOINT", platform.url())
                    .env("DYNAMODB_ENDPOINT", platform.url()).env("GATEWAY_INTERNAL_URL", platform.url());
            Jvm.Said said = jvm.run(Clients1.class, "s3-own-endpoint", "dynamodb-async", "invoke", "invoke-async");
            assertEquals("", said.err);
            assertEquals(
                    "s3-own-endpoint: true\ndynamodb-async: null\ninvoke: 200\ninvoke-async: 200\n", said.out);
            assertEquals(List.of("HEAD /bucket/key"), lines(other));
            String invoke = "POST /2015-03-31/functions/other/invocations";
            assertEquals(List.of("POST /", invoke, invoke), lines(platform));
        }
    }

    private static List<String> lines(Server server) {
        return server.requests.stream().map(r -> r.method + " " + r.path).collect(Collectors.toList());
    }
}
