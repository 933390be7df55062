package com.runtime.tests;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** A JVM with the agent, as a container starts one: its environment is what it is given. */
final class Jvm {
    private static final Path AGENT = Path.of(System.getProperty("agent.jar"));

    /** What a program said, and how it ended. */
    static final class Said {
        final String out;
        final String err;
        final int status;

        Said(String out, String err, int status) {
            this.out = out;
            this.err = err;
            this.status = status;
        }
    }

    private final Map<String, String> environment = new HashMap<>();
    private final List<String> options = new ArrayList<>();
    private boolean agent = true;

    Jvm() {
        env("AWS_REGION", "eu-west-1");
        env("AWS_ACCESS_KEY_ID", "key");
        env("AWS_SECRET_ACCESS_KEY", "secret");
        env("AWS_EC2_METADATA_DISABLED", "true");
        env("AWS_LAMBDA_FUNCTION_NAME", "fn");
        options.addAll(List.of("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dfile.encoding=UTF-8"));
    }

    Jvm env(String name, String value) {
        environment.put(name, value);
        return this;
    }

    Jvm option(String option) {
        options.add(option);
        return this;
    }

    Jvm withoutAgent() {
        agent = false;
        return this;
    }

    /** Runs a program of the package {@code programs} to its end. */
    Said run(Class<?> program, String... arguments) throws IOException, InterruptedException {
        return run(classPath(), program.getName(), arguments);
    }

    Said run(String classPath, String program, String... arguments) throws IOException, InterruptedException {
        Process process = start(classPath, program, arguments);
        // Its output ends with it.
        CompletableFuture.delayedExecutor(60, TimeUnit.SECONDS).execute(process::destroyForcibly);
        byte[][] err = new byte[1][];
        Thread reader = new Thread(() -> {
            try {
                err[0] = process.getErrorStream().readAllBytes();
            } catch (IOException error) {
                err[0] = error.toString().getBytes(StandardCharsets.UTF_8);
            }
        });
        reader.start();
        String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        reader.join();
        return new Said(out, new String(err[0], StandardCharsets.UTF_8), process.waitFor());
    }

    /** Starts a program. */
    Process start(String classPath, String program, String... arguments) throws IOException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        if (agent) {
            command.add("-javaagent:" + AGENT);
        }
        command.addAll(options);
        command.addAll(List.of("-cp", classPath, program));
        command.addAll(List.of(arguments));
        ProcessBuilder builder = new ProcessBuilder(command);
        builder.environment().clear();
        builder.environment().putAll(environment);
        return builder.start();
    }

    /** This suite's class path, without the agent: that comes as an agent. */
    static String classPath() {
        List<String> kept = new ArrayList<>();
        for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
            if (!entry.contains("lambda-java-agent") && !entry.contains(File.separator + "agent" + File.separator)) {
                kept.add(entry);
            }
        }
        return String.join(File.pathSeparator, kept);
    }
}
