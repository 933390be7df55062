"""A decorator that keeps the trace id of an invocation in `_X_AMZN_TRACE_ID`.

Owns: `hydrate_trace_id`, for functions that want it without the interpreter's hooks.
Refuses: to replace a trace id that somebody else has set, and to fail an invocation.
"""

import functools
import inspect
import os

__all__ = ["hydrate_trace_id"]

_ENV = "_X_AMZN_TRACE_ID"
# What this module itself put there: a later invocation may replace or remove it.
_own = None


def hydrate_trace_id(handler):
    """Sets `_X_AMZN_TRACE_ID` from `context.client_context.custom["trace_id"]` if it is unset.

    For functions, coroutine functions, methods, classes whose instances are called, and
    callable objects; the context is the argument `context`, else the last positional one.
    """
    if isinstance(handler, type):
        handler.__call__ = hydrate_trace_id(handler.__call__)
        return handler
    called = handler if inspect.isroutine(handler) else getattr(handler, "__call__", handler)  # noqa: B004
    if inspect.iscoroutinefunction(called):

        @_wraps(handler)
        async def wrapper(*args, **kwargs):
            _hydrate(args, kwargs)
            return await handler(*args, **kwargs)

    else:

        @_wraps(handler)
        def wrapper(*args, **kwargs):
            _hydrate(args, kwargs)
            return handler(*args, **kwargs)

    return wrapper


def _wraps(handler):
    # The state of a callable object is not the wrapper's.
    return functools.wraps(handler, updated=("__dict__",) if inspect.isroutine(handler) else ())


def _hydrate(args, kwargs):
    global _own
    trace_id = _trace_id(kwargs.get("context", args[-1] if args else None))
    present = os.environ.get(_ENV)
    if present and present != _own:
        return
    if trace_id:
        os.environ[_ENV] = _own = trace_id
    elif present:
        del os.environ[_ENV]


def _trace_id(context):
    client_context = getattr(context, "client_context", None)
    custom = getattr(client_context, "custom", None)
    if isinstance(client_context, dict):
        custom = client_context.get("custom")
    value = custom.get("trace_id") if isinstance(custom, dict) else None
    return value if isinstance(value, str) and value.isprintable() else None
