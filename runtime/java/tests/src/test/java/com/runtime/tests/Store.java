package com.runtime.tests;

import com.runtime.agent.logs.Json;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** The real log store, of which the property {@code logs.url} tells where it listens. */
final class Store {
    static final String URL = System.getProperty("logs.url");
    private static final HttpClient CLIENT = HttpClient.newHttpClient();

    private Store() {}

    /** Posts a form; gives the answer's text. */
    static String send(String url, String form) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url))
                .header("Content-Type", "application/x-www-form-urlencoded").POST(BodyPublishers.ofString(form)).build();
        HttpResponse<String> answer = CLIENT.send(request, BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new IllegalStateException(url + " answered " + answer.statusCode() + ": " + answer.body());
        }
        return answer.body();
    }

    /** What a LogsQL query finds, once that is {@code count} records, or after twenty seconds. */
    static List<Map<String, Object>> records(String query, int count) throws Exception {
        String form = "limit=100000&query=" + URLEncoder.encode(query, StandardCharsets.UTF_8);
        long end = System.nanoTime() + 20_000_000_000L;
        while (true) {
            List<Map<String, Object>> found = send(URL + "/select/logsql/query", form)
                    .lines().map(Json::object).collect(Collectors.toList());
            if (found.size() >= count || System.nanoTime() > end) {
                return found;
            }
            Thread.sleep(100);
        }
    }
}
