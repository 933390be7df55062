package com.runtime.tests.programs;

import java.util.Map;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.apache.logging.log4j.LogManager;
import org.slf4j.LoggerFactory;

/** A handler that says its event's name in every way, from its thread and another. */
public final class Says {
    static {
        System.out.println("init");
    }

    public String everything(Map<String, String> event) throws InterruptedException {
        String name = event.get("name");
        System.out.print(name);
        System.out.println(" line");
        System.err.println("ERROR: " + name + " error");
        System.out.println("{\"message\":\"" + name + " json\",\"level\":\"WARNING\",\"extra\":1}");
        LoggerFactory.getLogger("app.Logback").warn("{} logback", name);
        LogManager.getLogger("app.Log4j").error("{} log4j2", name, new IllegalStateException("why"));
        Logger.getLogger("app.Jul").log(Level.INFO, "{0} jul\nof two lines", name);
        Thread thread = new Thread(() -> System.out.println(name + " thread"));
        thread.start();
        thread.join();
        System.out.print(name + " begun");
        return "ok";
    }
}
