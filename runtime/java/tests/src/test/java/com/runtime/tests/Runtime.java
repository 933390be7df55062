package com.runtime.tests;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** The Lambda runtime API, for the real runtime interface client. */
final class Runtime implements AutoCloseable {
    private static final String PATH = "/2018-06-01/runtime/";

    private final HttpServer server;
    private final BlockingQueue<String> events = new LinkedBlockingQueue<>();
    private final CountDownLatch all;
    private final String clientContext;
    private int number;
    /** The kind of each answer (`response`, `error`, `init/error`) and its body, in order. */
    final List<String> answers = Collections.synchronizedList(new ArrayList<>());

    Runtime(String clientContext, List<String> events) throws IOException {
        this.clientContext = clientContext;
        this.events.addAll(events);
        all = new CountDownLatch(events.size());
        server = HttpServer.create(new InetSocketAddress(InetAddress.getByName("127.0.0.1"), 0), 0);
        server.createContext("/", this::answer);
        server.setExecutor(Executors.newCachedThreadPool());
        server.start();
    }

    private void answer(HttpExchange exchange) throws IOException {
        try {
            String path = exchange.getRequestURI().getPath().substring(PATH.length());
            byte[] body = {};
            // The client's native part does not do without.
            exchange.getResponseHeaders().set("Content-Type", "application/json");
            if (path.equals("invocation/next")) {
                body = events.take().getBytes(StandardCharsets.UTF_8);
                exchange.getResponseHeaders().set("Lambda-Runtime-Aws-Request-Id", "request-" + ++number);
                exchange.getResponseHeaders().set("Lambda-Runtime-Deadline-Ms", "4102444800000");
                exchange.getResponseHeaders().set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:x");
                exchange.getResponseHeaders().set("Lambda-Runtime-Trace-Id", "Root=1-runtime");
                if (clientContext != null) {
                    exchange.getResponseHeaders().set("Lambda-Runtime-Client-Context", clientContext);
                }
                exchange.sendResponseHeaders(200, body.length == 0 ? -1 : body.length);
            } else {
                String said = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
                answers.add(path + " " + said);
                exchange.sendResponseHeaders(202, -1);
                all.countDown();
                if (path.equals("init/error")) {
                    while (all.getCount() > 0) {
                        all.countDown();
                    }
                }
            }
            exchange.getResponseBody().write(body);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        } finally {
            exchange.close();
        }
    }

    /** Runs a function until each event has its answer; gives the answers. */
    List<String> run(Jvm jvm, String handler) throws Exception {
        jvm.env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:" + server.getAddress().getPort());
        jvm.env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128").env("AWS_LAMBDA_FUNCTION_VERSION", "1");
        jvm.env("AWS_LAMBDA_LOG_GROUP_NAME", "group").env("AWS_LAMBDA_LOG_STREAM_NAME", "stream");
        Process process =
                jvm.start(Jvm.classPath(), "com.amazonaws.services.lambda.runtime.api.client.AWSLambda", handler);
        try {
            process.onExit().thenRun(() -> {
                while (all.getCount() > 0) {
                    all.countDown();
                }
            });
            if (!all.await(60, TimeUnit.SECONDS) || answers.isEmpty()) {
                byte[] said = process.getInputStream().readNBytes(process.getInputStream().available());
                throw new IllegalStateException(answers + new String(said, StandardCharsets.UTF_8));
            }
            Thread.sleep(300); // for records of what the runtime says of an error
        } finally {
            process.destroy();
            process.waitFor();
        }
        return answers;
    }

    @Override
    public void close() {
        events.add("");
        server.stop(0);
    }
}
