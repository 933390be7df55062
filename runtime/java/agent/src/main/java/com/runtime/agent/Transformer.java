package com.runtime.agent;

import com.runtime.agent.logs.Streams;
import com.runtime.agent.weave.Rule;
import com.runtime.agent.weave.Weaver;
import java.lang.instrument.ClassFileTransformer;
import java.security.ProtectionDomain;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The table of classes that are woven, by exact name, when they are first loaded.
 *
 * <p>Refuses classes that cannot see {@link Hooks}: they would fail where it is called.
 */
final class Transformer implements ClassFileTransformer {
    private static final String SDK = "software/amazon/awssdk/";
    private static final String SDK1 = "com/amazonaws/client/builder/";
    private static final String CLIENT = "com/amazonaws/services/lambda/runtime/api/client/";
    private static final String[] LOG_OPERATIONS = {
        "putLogEvents",
        "createLogGroup",
        "createLogStream",
        "deleteLogGroup",
        "deleteLogStream",
        "describeLogGroups",
        "describeLogStreams"
    };

    private final Map<String, List<Rule>> rules = new HashMap<>();

    Transformer() {
        add(SDK + "core/client/builder/SdkDefaultClientBuilder", Rule.around("client", "build", 0));
        add(SDK + "services/s3/internal/crt/DefaultS3CrtAsyncClient$DefaultS3CrtClientBuilder",
                Rule.before("crt", "build", 0));
        add(SDK + "services/s3/internal/signing/DefaultS3Presigner$Builder", Rule.before("presigner", "build", 0));
        for (String builder : new String[] {
            "http/apache/ApacheHttpClient$DefaultBuilder",
            "http/apache5/Apache5HttpClient$DefaultBuilder",
            "http/urlconnection/UrlConnectionHttpClient$DefaultBuilder",
            "http/nio/netty/NettyNioAsyncHttpClient$DefaultBuilder"
        }) {
            add(SDK + builder, Rule.before("http", "buildWithDefaults", 1));
        }
        for (String builder : new String[] {"AwsCrtHttpClient", "AwsCrtAsyncHttpClient"}) {
            add(SDK + "http/crt/" + builder + "$DefaultBuilder", Rule.before("crt-http", "buildWithDefaults", 1));
        }
        for (String client : new String[] {"apache", "apache5"}) {
            add(SDK + "http/" + client + "/internal/conn/SdkTlsSocketFactory", Rule.before("verifier", "<init>", 2));
        }
        Rule[] answers = new Rule[LOG_OPERATIONS.length];
        for (int i = 0; i < answers.length; i++) {
            answers[i] = Rule.answer("logs", LOG_OPERATIONS[i]);
        }
        add(SDK + "services/cloudwatchlogs/DefaultCloudWatchLogsClient", answers);
        add(SDK + "services/cloudwatchlogs/DefaultCloudWatchLogsAsyncClient", answers);
        add(SDK1 + "AwsSyncClientBuilder", Rule.before("sdk1", "build", 0));
        add(SDK1 + "AwsAsyncClientBuilder", Rule.before("sdk1", "build", 0));
        if (Streams.wanted()) {
            Rule append = Rule.around("log", "append", 1);
            add("ch/qos/logback/core/OutputStreamAppender", append);
            add("org/apache/logging/log4j/core/appender/AbstractOutputStreamAppender", append);
            add("com/amazonaws/services/lambda/runtime/log4j2/LambdaAppender", append);
            add("java/util/logging/ConsoleHandler", Rule.around("log", "publish", 1));
            System.getProperties().put(Weaver.CARRIER, new com.runtime.agent.logs.Events.BothEnds());
            add(CLIENT + "runtimeapi/LambdaRuntimeApiClientImpl",
                    Rule.before("flush", "reportInvocationSuccess", 2),
                    Rule.before("flush", "reportInvocationError", 2),
                    Rule.before("flush", "reportInitError", 1),
                    Rule.before("next", "nextInvocation", 0));
            add(CLIENT + "logging/StdOutLogSink", Rule.around("message", "log", 3));
            add(CLIENT + "logging/FramedTelemetryLogSink", Rule.before("telemetry", "writeFrame", 3));
        }
    }

    private void add(String type, Rule... woven) {
        rules.put(type, List.of(woven));
    }

    @Override
    public byte[] transform(
            ClassLoader loader, String name, Class<?> redefined, ProtectionDomain domain, byte[] bytes) {
        List<Rule> woven = name == null || redefined != null ? null : rules.get(name);
        if (woven == null) {
            return null;
        }
        try {
            if (loader != null && Class.forName(Hooks.class.getName(), false, loader) != Hooks.class) {
                return null;
            }
            return Weaver.weave(bytes, woven, loader == null);
        } catch (ClassNotFoundException unseen) {
            return null;
        } catch (RuntimeException | LinkageError error) {
            Report.complain("could not patch `" + name.replace('/', '.') + "`", error);
            return null;
        }
    }
}
