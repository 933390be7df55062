import java.util.Arrays;

/**
 * Starts JVMs one after another, which end at once or print a line first; prints the median of their
 * milliseconds from start to end.
 */
public final class Start {
    private static final int RUNS = 15;

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("line")) {
            System.out.println("a line");
        } else if (arguments[0].equals("measure")) {
            double[] all = new double[RUNS];
            run(arguments[1]);
            for (int i = 0; i < RUNS; i++) {
                all[i] = run(arguments[1]);
            }
            Arrays.sort(all);
            System.out.println("milliseconds " + all[RUNS / 2]);
        }
    }

    private static double run(String program) throws Exception {
        String java = System.getProperty("java.home") + "/bin/java";
        ProcessBuilder builder =
                new ProcessBuilder(java, "-cp", System.getProperty("java.class.path"), "Start", program);
        builder.redirectErrorStream(true).redirectOutput(ProcessBuilder.Redirect.DISCARD);
        long start = System.nanoTime();
        int status = builder.start().waitFor();
        if (status != 0) {
            throw new IllegalStateException("the JVM ended with " + status);
        }
        return (System.nanoTime() - start) / 1e6;
    }
}
