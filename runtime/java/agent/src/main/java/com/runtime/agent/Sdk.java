package com.runtime.agent;

import java.io.IOException;
import java.io.InputStream;
import java.util.Map;
import java.util.WeakHashMap;

/**
 * The way to the AWS SDK for Java v2 that a function brought along.
 *
 * <p>Owns one adapter for each class loader that has an SDK: the classes of the package {@code sdk2}
 * are defined once more below that loader, where they see its SDK. Refuses to know the SDK.
 */
public interface Sdk {
    /** Before a builder of clients, HTTP clients or presigners builds; gives what to build with. */
    Object before(String hook, Object builder, Object argument);

    /** Before a client is built; what it gives is run afterwards. */
    Runnable begin(Object builder);

    /** The answer to a call of a client, or null to let it go to its endpoint. */
    Object answer(String operation, Object client, Object request);

    /** The adapter for an object of the SDK's, or null when it has none. */
    static Sdk of(Object object) throws ReflectiveOperationException {
        return Adapters.of(object.getClass().getClassLoader());
    }

    /** The adapters so far. */
    final class Adapters {
        private static final Map<ClassLoader, Sdk> KNOWN = new WeakHashMap<>();

        private Adapters() {}

        static synchronized Sdk of(ClassLoader loader) throws ReflectiveOperationException {
            Sdk known = KNOWN.get(loader);
            if (known == null) {
                Class<?> type = new Loader(loader).loadClass("com.runtime.agent.sdk2.Clients");
                known = (Sdk) type.getDeclaredConstructor().newInstance();
                KNOWN.put(loader, known);
            }
            return known;
        }
    }

    /** Defines the adapter's classes itself and takes all others from the SDK's loader. */
    final class Loader extends ClassLoader {
        private static final String PREFIX = "com.runtime.agent.sdk2.";

        static {
            registerAsParallelCapable();
        }

        Loader(ClassLoader parent) {
            super("esb-sdk2", parent);
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            if (!name.startsWith(PREFIX)) {
                return super.loadClass(name, resolve);
            }
            synchronized (getClassLoadingLock(name)) {
                Class<?> loaded = findLoadedClass(name);
                return loaded == null ? define(name) : loaded;
            }
        }

        private Class<?> define(String name) throws ClassNotFoundException {
            String path = name.replace('.', '/') + ".class";
            try (InputStream in = Sdk.class.getClassLoader().getResourceAsStream(path)) {
                if (in == null) {
                    throw new ClassNotFoundException(name);
                }
                byte[] bytes = in.readAllBytes();
                return defineClass(name, bytes, 0, bytes.length);
            } catch (IOException error) {
                throw new ClassNotFoundException(name, error);
            }
        }
    }
}
