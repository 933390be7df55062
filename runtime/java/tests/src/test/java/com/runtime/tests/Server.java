package com.runtime.tests;

import com.runtime.agent.logs.Json;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import javax.net.ssl.SSLContext;

/** A server on loopback that keeps its requests and answers as it was told. */
final class Server implements AutoCloseable {
    /** One request that came. */
    static final class Request {
        final String method;
        final String path;
        final Map<String, List<String>> headers;
        final String body;

        Request(HttpExchange exchange) throws IOException {
            method = exchange.getRequestMethod();
            path = exchange.getRequestURI().toString();
            headers = exchange.getRequestHeaders();
            body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
        }

        String header(String name) {
            List<String> values = headers.get(name);
            return values == null ? null : values.get(0);
        }
    }

    private final HttpServer server;
    private final String scheme;
    final List<Request> requests = Collections.synchronizedList(new ArrayList<>());
    volatile int status = 200;
    volatile String body = "{}";
    volatile long delay;

    Server() throws IOException {
        this(null);
    }

    /** With TLS where a context is given. */
    Server(SSLContext context) throws IOException {
        this(context, 0);
    }

    /** On a port that is known. */
    Server(SSLContext context, int port) throws IOException {
        InetSocketAddress address = new InetSocketAddress(InetAddress.getByName("127.0.0.1"), port);
        if (context == null) {
            server = HttpServer.create(address, 0);
        } else {
            HttpsServer secure = HttpsServer.create(address, 0);
            secure.setHttpsConfigurator(new HttpsConfigurator(context));
            server = secure;
        }
        scheme = context == null ? "http" : "https";
        server.createContext("/", this::answer);
        server.setExecutor(Executors.newCachedThreadPool(work -> {
            Thread thread = new Thread(work);
            thread.setDaemon(true);
            return thread;
        }));
        server.start();
    }

    private void answer(HttpExchange exchange) throws IOException {
        try {
            requests.add(new Request(exchange));
            Thread.sleep(delay);
            byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
            exchange.getResponseHeaders().set("Content-Type", "application/json");
            exchange.sendResponseHeaders(status, bytes.length == 0 ? -1 : bytes.length);
            exchange.getResponseBody().write(bytes);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        } finally {
            exchange.close();
        }
    }

    int port() {
        return server.getAddress().getPort();
    }

    String url() {
        return scheme + "://127.0.0.1:" + port();
    }

    String url(String host) {
        return scheme + "://" + host + ":" + port();
    }

    /** Every log record of every request so far. */
    List<Map<String, Object>> records() {
        List<Map<String, Object>> records = new ArrayList<>();
        for (Request request : List.copyOf(requests)) {
            request.body.lines().map(Json::object).forEach(records::add);
        }
        return records;
    }

    /** The records whose message is the text. */
    List<Map<String, Object>> records(String message) {
        List<Map<String, Object>> found = new ArrayList<>(records());
        found.removeIf(record -> !message.equals(record.get("message")));
        return found;
    }

    @Override
    public void close() {
        server.stop(0);
    }
}
