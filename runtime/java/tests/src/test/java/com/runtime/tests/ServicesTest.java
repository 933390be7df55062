package com.runtime.tests;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import com.runtime.tests.programs.Clients1;
import com.runtime.tests.programs.Services;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

/** Clients of both SDKs against moto's server, whose S3 and DynamoDB behave. */
@EnabledIfSystemProperty(named = "moto.url", matches = "http://.*")
class ServicesTest {
    private static final String URL = System.getProperty("moto.url");

    private static Jvm jvm() {
        // By name, so that path style is what makes it work.
        return new Jvm().env("S3_ENDPOINT", URL.replace("127.0.0.1", "localhost")).env("DYNAMODB_ENDPOINT", URL);
    }

    @BeforeAll
    static void forgetEarlierRuns() throws Exception {
        Store.send(URL + "/moto-api/reset", "");
    }

    @Test
    void theSdksClientsReallyWork() throws Exception {
        Jvm.Said said = jvm().run(Services.class, "s3", "s3-async", "presigned", "dynamodb", "dynamodb-async");
        assertEquals("", said.err);
        assertEquals(
                "s3: text x a/b ü NoSuchKey\ns3-async: text\n"
                        + "presigned: text\ndynamodb: 42 kept\ndynamodb-async: 1\n",
                said.out);
    }

    @Test
    void thoseOfTheSdkOfEarlierDoToo() throws Exception {
        Jvm.Said said = Sdk1Test.quiet(jvm()).env("AWS_REGION", "us-east-1").run(Clients1.class, "s3", "missing", "dynamodb");
        assertFalse(said.err.contains("esb hooks"), said.err);
        assertEquals("s3: text a/b\nmissing: NoSuchKey\ndynamodb: y\n", said.out);
    }
}
