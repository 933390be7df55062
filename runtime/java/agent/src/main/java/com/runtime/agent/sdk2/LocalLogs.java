package com.runtime.agent.sdk2;

import com.runtime.agent.Settings;
import com.runtime.agent.Trace;
import com.runtime.agent.logs.Records;
import com.runtime.agent.logs.Shipping;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.WeakHashMap;
import java.util.concurrent.CompletableFuture;
import software.amazon.awssdk.awscore.AwsResponseMetadata;
import software.amazon.awssdk.awscore.DefaultAwsResponseMetadata;
import software.amazon.awssdk.core.client.config.SdkClientConfiguration;
import software.amazon.awssdk.core.client.config.SdkClientOption;
import software.amazon.awssdk.core.interceptor.ExecutionInterceptor;
import software.amazon.awssdk.http.SdkHttpResponse;
import software.amazon.awssdk.services.cloudwatchlogs.CloudWatchLogsAsyncClient;
import software.amazon.awssdk.services.cloudwatchlogs.model.CloudWatchLogsResponse;
import software.amazon.awssdk.services.cloudwatchlogs.model.CloudWatchLogsResponseMetadata;
import software.amazon.awssdk.services.cloudwatchlogs.model.CreateLogGroupResponse;
import software.amazon.awssdk.services.cloudwatchlogs.model.CreateLogStreamResponse;
import software.amazon.awssdk.services.cloudwatchlogs.model.DeleteLogGroupResponse;
import software.amazon.awssdk.services.cloudwatchlogs.model.DeleteLogStreamResponse;
import software.amazon.awssdk.services.cloudwatchlogs.model.DescribeLogGroupsResponse;
import software.amazon.awssdk.services.cloudwatchlogs.model.DescribeLogStreamsResponse;
import software.amazon.awssdk.services.cloudwatchlogs.model.InputLogEvent;
import software.amazon.awssdk.services.cloudwatchlogs.model.PutLogEventsRequest;
import software.amazon.awssdk.services.cloudwatchlogs.model.PutLogEventsResponse;

/**
 * CloudWatch Logs, answered inside the process.
 *
 * <p>Owns the answers of the calls that functions use to write their logs, and the records that
 * PutLogEvents brings (docs/contracts/platform.md#aws-clients). Refuses every other operation, and clients
 * whose caller gave an endpoint.
 */
final class LocalLogs {
    /** Marks the clients that are answered here. */
    static final class Mark implements ExecutionInterceptor {}

    private static final Map<Object, Boolean> MARKED = Collections.synchronizedMap(new WeakHashMap<>());

    private LocalLogs() {}

    static Object answer(String operation, Object client, Object request) {
        if (!MARKED.computeIfAbsent(client, LocalLogs::isMarked)) {
            return null;
        }
        CloudWatchLogsResponse.Builder answer = response(operation);
        if (request instanceof PutLogEventsRequest) {
            ship((PutLogEventsRequest) request);
        }
        answer.sdkHttpResponse(SdkHttpResponse.builder().statusCode(200).statusText("OK").build());
        AwsResponseMetadata metadata =
                DefaultAwsResponseMetadata.create(Map.of("AWS_REQUEST_ID", UUID.randomUUID().toString()));
        answer.responseMetadata(CloudWatchLogsResponseMetadata.create(metadata));
        CloudWatchLogsResponse built = answer.build();
        return client instanceof CloudWatchLogsAsyncClient ? CompletableFuture.completedFuture(built) : built;
    }

    private static boolean isMarked(Object client) {
        SdkClientConfiguration configuration = (SdkClientConfiguration) Clients.field(client, "clientConfiguration");
        List<ExecutionInterceptor> interceptors = configuration.option(SdkClientOption.EXECUTION_INTERCEPTORS);
        return interceptors.stream().anyMatch(Mark.class::isInstance);
    }

    private static CloudWatchLogsResponse.Builder response(String operation) {
        switch (operation) {
            case "putLogEvents":
                return PutLogEventsResponse.builder().nextSequenceToken("mock-token");
            case "createLogGroup":
                return CreateLogGroupResponse.builder();
            case "createLogStream":
                return CreateLogStreamResponse.builder();
            case "deleteLogGroup":
                return DeleteLogGroupResponse.builder();
            case "deleteLogStream":
                return DeleteLogStreamResponse.builder();
            case "describeLogGroups":
                return DescribeLogGroupsResponse.builder().logGroups(List.of());
            case "describeLogStreams":
                return DescribeLogStreamsResponse.builder().logStreams(List.of());
            default:
                throw new IllegalArgumentException(operation);
        }
    }

    private static void ship(PutLogEventsRequest request) {
        if (!Shipping.enabled()) {
            return;
        }
        int lowest = Records.weight(Settings.first("LOG_LEVEL"));
        String name = Settings.first("AWS_LAMBDA_FUNCTION_NAME");
        Trace.Invocation invocation = Trace.current();
        for (InputLogEvent event : request.logEvents()) {
            String[] parts = Records.splitLevel(String.valueOf(event.message()));
            if (Records.weight(parts[0]) < lowest) {
                continue;
            }
            Map<String, Object> record = new LinkedHashMap<>();
            record.put("_time", Records.iso(event.timestamp() == null ? System.currentTimeMillis() : event.timestamp()));
            record.put("level", parts[0]);
            record.put("message", parts[1].isEmpty() ? "-" : parts[1]);
            record.put("container_name", name == null ? "UNKNOWN" : name);
            record.put("trace_id", invocation == null ? null : invocation.traceId);
            record.put("aws_request_id", invocation == null ? null : invocation.requestId);
            record.put("logger", Records.cloudWatchLogger());
            record.put("log_group", request.logGroupName());
            record.put("log_stream", request.logStreamName());
            Shipping.record(record, parts[1].length() + 512);
        }
    }
}
