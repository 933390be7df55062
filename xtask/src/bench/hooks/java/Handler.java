import java.util.Map;

/** What the benchmark of the hooks runs in a function's container. */
public final class Handler {
    public Map<String, Double> handle(Map<String, Object> event) {
        int count = ((Number) event.getOrDefault("lines", 0)).intValue();
        long start = System.nanoTime();
        for (int number = 0; number < count; number++) {
            System.out.println("printed " + number);
        }
        return Map.of("seconds", (System.nanoTime() - start) / 1e9);
    }
}
