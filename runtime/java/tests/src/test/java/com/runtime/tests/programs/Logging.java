package com.runtime.tests.programs;

import java.util.logging.Level;
import java.util.logging.Logger;
import org.apache.logging.log4j.LogManager;
import org.slf4j.LoggerFactory;

/** What a function writes; each argument names one way. */
public final class Logging {
    private Logging() {}

    public static void main(String[] arguments) throws Exception {
        for (String argument : arguments) {
            write(argument);
        }
    }

    private static void write(String how) throws Exception {
        switch (how) {
            case "print":
                System.out.print("a ");
                System.out.println(1);
                System.err.println("ERROR: to stderr");
                System.out.println("{\"message\":\"kept\",\"level\":\"WARN\",\"extra\":{\"n\":1.50}}");
                System.out.println("[\"x\"]");
                System.out.println("Grüße");
                System.out.print("no line feed");
                break;
            case "logback":
                org.slf4j.Logger logback = LoggerFactory.getLogger("app.Logback");
                logback.warn("from {}", "logback");
                logback.error("failed\ntwice", new IllegalStateException("why"));
                break;
            case "log4j2":
                org.apache.logging.log4j.Logger log4j = LogManager.getLogger("app.Log4j");
                log4j.info("from {}", "log4j2");
                log4j.info("from {}", "log4j2");
                log4j.error("failed", new IllegalStateException("why"));
                break;
            case "jul":
                Logger jul = Logger.getLogger("app.Jul");
                jul.log(Level.SEVERE, "from {0}", "jul");
                jul.log(Level.INFO, "failed", new IllegalStateException("why"));
                break;
            case "many":
                for (int i = 0; i < 5000; i++) {
                    System.out.println("line " + i);
                }
                break;
            case "ask":
                System.in.read();
                break;
            case "pause":
                Thread.sleep(400);
                break;
            case "killed":
                System.out.println("before the end");
                new ProcessBuilder("kill", "-TERM", String.valueOf(ProcessHandle.current().pid())).start();
                Thread.sleep(10_000);
                break;
            default:
                throw new IllegalArgumentException(how);
        }
    }
}
