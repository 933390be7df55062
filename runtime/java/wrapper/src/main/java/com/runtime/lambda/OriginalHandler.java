package com.runtime.lambda;

import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import com.amazonaws.services.lambda.runtime.api.client.EventHandlerLoader;
import com.amazonaws.services.lambda.runtime.api.client.HandlerInfo;
import com.amazonaws.services.lambda.runtime.api.client.LambdaRequestHandler;
import com.amazonaws.services.lambda.runtime.api.client.UserFault;
import java.lang.reflect.Field;

/**
 * The function's own handler, loaded by the runtime interface client.
 *
 * <p>Owns the order of steps that the client takes for the handler that it is given, and the errors
 * that it makes of each.
 */
final class OriginalHandler {
    private OriginalHandler() {}

    static RequestStreamHandler load(String name, ClassLoader loader) {
        LambdaRequestHandler handler;
        try {
            handler = EventHandlerLoader.loadEventHandler(HandlerInfo.fromString(name, loader));
        } catch (HandlerInfo.InvalidHandlerException error) {
            handler = new LambdaRequestHandler.UserFaultHandler(
                    UserFault.makeUserFault("Invalid handler: `" + name + "'"));
        } catch (ClassNotFoundException error) {
            handler = LambdaRequestHandler.classNotFound(error, HandlerInfo.className(name));
        } catch (NoClassDefFoundError error) {
            handler = LambdaRequestHandler.initErrorHandler(error, HandlerInfo.className(name));
        } catch (UserFault fault) {
            return failing(fault);
        }
        return handler instanceof LambdaRequestHandler.UserFaultHandler
                ? failing(((LambdaRequestHandler.UserFaultHandler) handler).fault)
                : inner(handler);
    }

    /**
     * Reports a fault with the first invocation, as the client does with most. It ends the process
     * after one that is fatal; thrown while the wrapper is made, it would lose its words.
     */
    private static RequestStreamHandler failing(UserFault fault) {
        return (event, result, context) -> {
            throw fault;
        };
    }

    /**
     * The stream handler inside: to call it saves the way from the context back to a request, on
     * which some of it would be lost.
     */
    private static RequestStreamHandler inner(LambdaRequestHandler handler) {
        try {
            for (Field field : handler.getClass().getDeclaredFields()) {
                if (RequestStreamHandler.class.isAssignableFrom(field.getType())) {
                    field.setAccessible(true);
                    return (RequestStreamHandler) field.get(handler);
                }
            }
        } catch (IllegalAccessException error) {
            throw new IllegalStateException(error);
        }
        throw new IllegalStateException("this runtime interface client is not known: " + handler.getClass());
    }
}
