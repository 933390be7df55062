package com.runtime.tests.programs;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.Map;
import java.util.stream.Collectors;
import software.amazon.awssdk.awscore.exception.AwsServiceException;
import software.amazon.awssdk.core.async.AsyncResponseTransformer;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.model.AttributeDefinition;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;
import software.amazon.awssdk.services.dynamodb.model.BillingMode;
import software.amazon.awssdk.services.dynamodb.model.ConditionalCheckFailedException;
import software.amazon.awssdk.services.dynamodb.model.KeySchemaElement;
import software.amazon.awssdk.services.dynamodb.model.KeyType;
import software.amazon.awssdk.services.dynamodb.model.ScalarAttributeType;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;

/** What a function does with services that behave; each argument names one thing to do. */
public final class Services {
    private Services() {}

    public static void main(String[] arguments) throws Exception {
        for (String argument : arguments) {
            System.out.println(argument + ": " + run(argument));
        }
        System.exit(0); // pools of clients that nobody closed
    }

    private static Object run(String what) throws Exception {
        switch (what) {
            case "s3":
                return s3();
            case "s3-async":
                // Without a body: moto's server says "continue" twice, which this client takes for its answer.
                S3AsyncClient async = S3AsyncClient.create();
                async.copyObject(c -> c.sourceBucket("bucket").sourceKey("a/b ü").destinationBucket("bucket")
                        .destinationKey("copy")).get();
                return async.getObject(g -> g.bucket("bucket").key("copy"), AsyncResponseTransformer.toBytes()).get()
                        .asUtf8String();
            case "presigned":
                URI url = S3Presigner.create()
                        .presignGetObject(p -> p.signatureDuration(Duration.ofMinutes(1))
                                .getObjectRequest(g -> g.bucket("bucket").key("a/b ü")))
                        .url().toURI();
                return HttpClient.newHttpClient().send(HttpRequest.newBuilder(url).build(), BodyHandlers.ofString()).body();
            case "dynamodb":
                return dynamodb();
            case "dynamodb-async":
                return DynamoDbAsyncClient.create().scan(b -> b.tableName("table")).get().items().size();
            default:
                throw new IllegalArgumentException(what);
        }
    }

    private static String s3() {
        S3Client s3 = S3Client.create();
        s3.createBucket(b -> b.bucket("bucket"));
        s3.putObject(b -> b.bucket("bucket").key("a/b ü").metadata(Map.of("own", "x")), RequestBody.fromString("text"));
        String text = s3.getObjectAsBytes(b -> b.bucket("bucket").key("a/b ü")).asUtf8String();
        String own = s3.headObject(b -> b.bucket("bucket").key("a/b ü")).metadata().get("own");
        String keys = s3.listObjectsV2Paginator(b -> b.bucket("bucket")).contents().stream()
                .map(object -> object.key()).collect(Collectors.joining(","));
        try {
            s3.getObject(b -> b.bucket("bucket").key("none"));
            return "found";
        } catch (AwsServiceException error) {
            return text + " " + own + " " + keys + " " + error.awsErrorDetails().errorCode();
        }
    }

    private static String dynamodb() {
        DynamoDbClient tables = DynamoDbClient.create();
        AttributeDefinition name =
                AttributeDefinition.builder().attributeName("id").attributeType(ScalarAttributeType.S).build();
        KeySchemaElement key = KeySchemaElement.builder().attributeName("id").keyType(KeyType.HASH).build();
        tables.createTable(b -> b.tableName("table").billingMode(BillingMode.PAY_PER_REQUEST)
                .attributeDefinitions(name).keySchema(key));
        Map<String, AttributeValue> id = Map.of("id", AttributeValue.fromS("1"));
        Map<String, AttributeValue> item = Map.of("id", AttributeValue.fromS("1"), "n", AttributeValue.fromN("41"));
        tables.putItem(b -> b.tableName("table").item(item));
        tables.updateItem(b -> b.tableName("table").key(id).updateExpression("ADD n :one")
                .expressionAttributeValues(Map.of(":one", AttributeValue.fromN("1"))));
        String n = tables.getItem(b -> b.tableName("table").key(id)).item().get("n").n();
        try {
            tables.putItem(b -> b.tableName("table").item(item).conditionExpression("attribute_not_exists(id)"));
            return "replaced";
        } catch (ConditionalCheckFailedException error) {
            return n + " kept";
        }
    }
}
