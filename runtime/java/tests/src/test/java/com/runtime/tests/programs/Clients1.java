package com.runtime.tests.programs;

import com.amazonaws.AmazonServiceException;
import com.amazonaws.client.builder.AwsClientBuilder.EndpointConfiguration;
import com.amazonaws.services.dynamodbv2.AmazonDynamoDB;
import com.amazonaws.services.dynamodbv2.AmazonDynamoDBAsyncClientBuilder;
import com.amazonaws.services.dynamodbv2.AmazonDynamoDBClientBuilder;
import com.amazonaws.services.dynamodbv2.model.AttributeDefinition;
import com.amazonaws.services.dynamodbv2.model.AttributeValue;
import com.amazonaws.services.dynamodbv2.model.BillingMode;
import com.amazonaws.services.dynamodbv2.model.CreateTableRequest;
import com.amazonaws.services.dynamodbv2.model.KeySchemaElement;
import com.amazonaws.services.lambda.AWSLambdaAsyncClientBuilder;
import com.amazonaws.services.lambda.AWSLambdaClientBuilder;
import com.amazonaws.services.lambda.model.InvokeRequest;
import com.amazonaws.services.s3.AmazonS3;
import com.amazonaws.services.s3.AmazonS3ClientBuilder;
import java.util.Map;

/** What a function does with clients of the AWS SDK v1; each argument names one thing to do. */
public final class Clients1 {
    private Clients1() {}

    public static void main(String[] arguments) throws Exception {
        for (String argument : arguments) {
            System.out.println(argument + ": " + run(argument));
        }
        System.exit(0); // pools of clients that nobody closed
    }

    private static Object run(String what) throws Exception {
        switch (what) {
            case "s3":
                AmazonS3 s3 = AmazonS3ClientBuilder.defaultClient();
                s3.createBucket("first-bucket");
                s3.putObject("first-bucket", "a/b", "text");
                return s3.getObjectAsString("first-bucket", "a/b") + " "
                        + s3.listObjectsV2("first-bucket").getObjectSummaries().get(0).getKey();
            case "s3-own-endpoint":
                return AmazonS3ClientBuilder.standard()
                        .withEndpointConfiguration(new EndpointConfiguration(System.getenv("OTHER"), "eu-west-1"))
                        .withPathStyleAccessEnabled(true)
                        .build().doesObjectExist("bucket", "key");
            case "dynamodb":
                AmazonDynamoDB tables = AmazonDynamoDBClientBuilder.standard().withRegion("eu-west-1").build();
                tables.createTable(new CreateTableRequest()
                        .withTableName("first")
                        .withBillingMode(BillingMode.PAY_PER_REQUEST)
                        .withAttributeDefinitions(new AttributeDefinition("id", "S"))
                        .withKeySchema(new KeySchemaElement("id", "HASH")));
                tables.putItem("first", Map.of("id", new AttributeValue("1"), "v", new AttributeValue("y")));
                return tables.getItem("first", Map.of("id", new AttributeValue("1"))).getItem().get("v").getS();
            case "dynamodb-async":
                return AmazonDynamoDBAsyncClientBuilder.defaultClient().listTablesAsync().get().getTableNames();
            case "invoke":
                return AWSLambdaClientBuilder.defaultClient()
                        .invoke(new InvokeRequest().withFunctionName("other").withPayload("{}")).getStatusCode();
            case "invoke-async":
                return AWSLambdaAsyncClientBuilder.defaultClient()
                        .invokeAsync(new InvokeRequest().withFunctionName("other")).get().getStatusCode();
            case "missing":
                try {
                    return AmazonS3ClientBuilder.defaultClient().getObjectAsString("first-bucket", "none");
                } catch (AmazonServiceException error) {
                    return error.getErrorCode();
                }
            default:
                throw new IllegalArgumentException(what);
        }
    }
}
