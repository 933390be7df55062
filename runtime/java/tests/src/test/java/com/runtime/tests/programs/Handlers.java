package com.runtime.tests.programs;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import com.amazonaws.services.lambda.runtime.events.APIGatewayProxyRequestEvent;
import com.amazonaws.services.lambda.runtime.events.APIGatewayProxyResponseEvent;
import com.amazonaws.services.lambda.runtime.events.SQSEvent;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.List;
import java.util.Map;
import software.amazon.awssdk.services.lambda.LambdaClient;

/** Handlers of every kind that Lambda knows. */
public final class Handlers {
    /** An event of the user's own. */
    public static final class Order {
        private String name;
        private int count;

        public String getName() {
            return name;
        }

        public void setName(String name) {
            this.name = name;
        }

        public int getCount() {
            return count;
        }

        public void setCount(int count) {
            this.count = count;
        }
    }

    /** Generic, so that the compiler makes a bridge method. */
    public static final class Typed implements RequestHandler<Order, Order> {
        private int calls;

        @Override
        public Order handleRequest(Order order, Context context) {
            order.setCount(order.getCount() + ++calls);
            System.out.println("typed " + context.getAwsRequestId());
            return order;
        }
    }

    /** An API's event and answer. */
    public static final class Api implements RequestHandler<APIGatewayProxyRequestEvent, APIGatewayProxyResponseEvent> {
        @Override
        public APIGatewayProxyResponseEvent handleRequest(APIGatewayProxyRequestEvent event, Context context) {
            return new APIGatewayProxyResponseEvent().withStatusCode(200).withBody(event.getPath() + event.getHeaders());
        }
    }

    /** Bytes in, bytes out. */
    public static final class Stream implements RequestStreamHandler {
        @Override
        public void handleRequest(InputStream in, OutputStream out, Context context) throws IOException {
            out.write(("<" + new String(in.readAllBytes()) + context.getRemainingTimeInMillis() / 1_000_000_000 + ">")
                    .getBytes());
        }
    }

    /** Its making fails. */
    public static final class Broken implements RequestHandler<Object, Object> {
        public Broken() {
            throw new IllegalStateException("cannot be made");
        }

        @Override
        public Object handleRequest(Object event, Context context) {
            return event;
        }
    }

    /** So does this one's, for a plain method. */
    public static final class BrokenToo {
        public BrokenToo() {
            throw new IllegalStateException("cannot be made");
        }

        public Object handle(Object event) {
            return event;
        }
    }

    private static int calls;

    public String text(String text) {
        return text + "!";
    }

    public Object nothing(Object event) {
        return null;
    }

    public void none() {
        calls++;
    }

    public List<Map<String, Integer>> generic(List<Map<String, Integer>> event, Context context) {
        return event;
    }

    public int count(SQSEvent event, Context context) {
        return event.getRecords().size() + calls;
    }

    public Object failing(Map<String, String> event) throws Exception {
        throw new IOException("no " + event, new IllegalArgumentException("inner"));
    }

    /** Logs, and invokes another function in a thread of its own. */
    public String ids(Object event, Context context) throws Exception {
        System.out.println("printed");
        System.out.println("{\"message\":\"blank\",\"trace_id\":\" \"}");
        System.out.println("{\"message\":\"not found\",\"trace_id\":\"not-found\"}");
        System.out.println("{\"message\":\"its own\",\"trace_id\":\"own\"}");
        Thread thread = new Thread(() -> {
            System.out.println("in a thread");
            LambdaClient.create().invoke(b -> b.functionName("other"));
        });
        thread.start();
        thread.join();
        return System.getProperty("com.amazonaws.xray.traceHeader") + " " + com.runtime.lambda.TraceContext.traceId()
                + " " + com.runtime.lambda.TraceContext.requestId();
    }
}
