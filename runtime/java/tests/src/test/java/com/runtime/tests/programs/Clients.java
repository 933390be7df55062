package com.runtime.tests.programs;

import java.net.URI;
import java.time.Duration;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.http.crt.AwsCrtHttpClient;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.services.cloudwatchlogs.CloudWatchLogsAsyncClient;
import software.amazon.awssdk.services.cloudwatchlogs.CloudWatchLogsClient;
import software.amazon.awssdk.services.cloudwatchlogs.model.InputLogEvent;
import software.amazon.awssdk.services.cloudwatchlogs.model.PutLogEventsResponse;
import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.lambda.LambdaAsyncClient;
import software.amazon.awssdk.services.lambda.LambdaClient;
import software.amazon.awssdk.services.lambda.model.InvokeResponse;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;

/** What a function does with clients of the AWS SDK; each argument names one thing to do. */
public final class Clients {
    private Clients() {}

    public static void main(String[] arguments) throws Exception {
        for (String argument : arguments) {
            try {
                System.out.println(argument + ": " + run(argument));
            } catch (Exception error) {
                System.out.println(argument + ": " + error.getClass().getSimpleName());
                if (System.getenv("SHOW") != null) {
                    error.printStackTrace();
                }
            }
        }
        System.exit(0); // pools of clients that nobody closed
    }

    private static Object run(String what) throws Exception {
        switch (what) {
            case "s3":
                S3Client s3 = S3Client.create();
                s3.createBucket(b -> b.bucket("bucket"));
                s3.putObject(b -> b.bucket("bucket").key("a/b"), RequestBody.fromString("text"));
                return s3.getObjectAsBytes(b -> b.bucket("bucket").key("a/b")).asUtf8String();
            case "s3-async":
                S3AsyncClient async = S3AsyncClient.create();
                async.putObject(b -> b.bucket("bucket").key("c"), AsyncRequestBody.fromString("text")).get();
                return "done";
            case "s3-crt":
                S3AsyncClient crt = S3AsyncClient.crtCreate();
                crt.putObject(b -> b.bucket("bucket").key("crt"), AsyncRequestBody.fromString("text")).get();
                return "done";
            case "s3-own-endpoint":
                URI own = URI.create(System.getenv("OTHER"));
                S3Client.builder().endpointOverride(own).forcePathStyle(true).build().listBuckets();
                return "done";
            case "s3-own-style":
                S3Client.builder().serviceConfiguration(c -> c.pathStyleAccessEnabled(true)).build()
                        .headBucket(b -> b.bucket("bucket"));
                return "done";
            case "presign":
                return S3Presigner.create()
                        .presignGetObject(p -> p.signatureDuration(Duration.ofMinutes(1))
                                .getObjectRequest(g -> g.bucket("bucket").key("a")))
                        .url();
            case "dynamodb":
                return DynamoDbClient.create().listTables().tableNames();
            case "dynamodb-async":
                return DynamoDbAsyncClient.create().listTables().get().tableNames();
            case "invoke":
                InvokeResponse response = LambdaClient.create()
                        .invoke(b -> b.functionName("other").qualifier("live").invocationType("Event")
                                .payload(SdkBytes.fromUtf8String("{\"a\":1}")));
                return response.statusCode() + " " + response.functionError();
            case "invoke-async":
                return LambdaAsyncClient.create().invoke(b -> b.functionName("other")).get().statusCode();
            case "invoke-context":
                // {"custom":{"own":"x"},"client":{"n":1.50}}
                LambdaClient.create().invoke(b -> b.functionName("other").clientContext(
                        "eyJjdXN0b20iOnsib3duIjoieCJ9LCJjbGllbnQiOnsibiI6MS41MH19"));
                return "done";
            case "invoke-url-connection":
                return LambdaClient.builder().httpClient(UrlConnectionHttpClient.create()).build()
                        .invoke(b -> b.functionName("other")).statusCode();
            case "invoke-crt":
                return LambdaClient.builder().httpClientBuilder(AwsCrtHttpClient.builder()).build()
                        .invoke(b -> b.functionName("other")).statusCode();
            case "invoke-retrying":
                LambdaClient.builder().overrideConfiguration(o -> o.retryStrategy(
                                r -> r.maxAttempts(2).backoffStrategy(attempt -> Duration.ZERO)))
                        .build().invoke(b -> b.functionName("other"));
                return "done";
            case "invoke-slow":
                LambdaClient.builder()
                        .httpClientBuilder(UrlConnectionHttpClient.builder().socketTimeout(Duration.ofMillis(200)))
                        .build().invoke(b -> b.functionName("other"));
                return "done";
            case "https-elsewhere":
                URI elsewhere = URI.create(System.getenv("OTHER"));
                return LambdaClient.builder().endpointOverride(elsewhere)
                        .overrideConfiguration(o -> o.retryPolicy(r -> r.numRetries(0))).build()
                        .invoke(b -> b.functionName("other")).statusCode();
            case "https-jvm":
                return ((javax.net.ssl.HttpsURLConnection) new java.net.URL(System.getenv("GATEWAY_INTERNAL_URL"))
                        .openConnection()).getResponseCode();
            case "logs":
                return logs();
            case "logs-own-endpoint":
                CloudWatchLogsClient.builder().endpointOverride(URI.create(System.getenv("OTHER"))).build()
                        .createLogGroup(b -> b.logGroupName("group"));
                return "done";
            default:
                throw new IllegalArgumentException(what);
        }
    }

    private static String logs() throws Exception {
        CloudWatchLogsClient logs = CloudWatchLogsClient.create();
        logs.createLogGroup(b -> b.logGroupName("group"));
        logs.createLogStream(b -> b.logGroupName("group").logStreamName("stream"));
        InputLogEvent debug = event("[DEBUG] first");
        PutLogEventsResponse put = logs.putLogEvents(
                b -> b.logGroupName("group").logStreamName("stream").logEvents(debug, event("[ERROR] second")));
        CloudWatchLogsAsyncClient async = CloudWatchLogsAsyncClient.create();
        async.putLogEvents(b -> b.logGroupName("group").logStreamName("stream").logEvents(event("third"))).get();
        int found = logs.describeLogGroups().logGroups().size()
                + async.describeLogStreams(b -> b.logGroupName("group")).get().logStreams().size();
        logs.deleteLogStream(b -> b.logGroupName("group").logStreamName("stream"));
        logs.deleteLogGroup(b -> b.logGroupName("group"));
        boolean whole = put.sdkHttpResponse().isSuccessful() && !put.responseMetadata().requestId().isEmpty();
        return put.nextSequenceToken() + " " + found + " " + whole;
    }

    private static InputLogEvent event(String message) {
        return InputLogEvent.builder().timestamp(1_700_000_000_000L).message(message).build();
    }
}
