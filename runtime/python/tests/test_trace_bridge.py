"""The decorator that functions may use."""

import asyncio
import os
from types import SimpleNamespace

import pytest
from trace_bridge import hydrate_trace_id

ENV = "_X_AMZN_TRACE_ID"


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    monkeypatch.delenv(ENV, raising=False)
    yield
    os.environ.pop(ENV, None)


def context(trace_id=None, custom=None):
    return SimpleNamespace(client_context=SimpleNamespace(custom={"trace_id": trace_id} if trace_id else custom))


def seen(event, context):
    return os.environ.get(ENV)


class Method:
    @hydrate_trace_id
    def handle(self, event, context):
        return os.environ.get(ENV)


@hydrate_trace_id
class Class:
    def __call__(self, event, context):
        return os.environ.get(ENV)


class Callable:
    def __call__(self, event, context):
        return os.environ.get(ENV)


class AsyncCallable:
    async def __call__(self, event, context):
        return os.environ.get(ENV)


async def coroutine(event, context):
    await asyncio.sleep(0)
    return os.environ.get(ENV)


@pytest.mark.parametrize(
    "handler",
    [
        hydrate_trace_id(seen),
        Method().handle,
        Class(),
        hydrate_trace_id(Callable()),
        hydrate_trace_id(coroutine),
        hydrate_trace_id(AsyncCallable()),
    ],
)
def test_every_kind_of_handler_sees_its_own_trace_id(handler):
    def call(given):
        result = handler({}, given)
        return asyncio.run(result) if asyncio.iscoroutine(result) else result

    assert call(context("Root=1")) == "Root=1"
    assert call(context("Root=2")) == "Root=2"
    assert call(context()) is None


def test_a_trace_id_that_is_set_stays(monkeypatch):
    monkeypatch.setenv(ENV, "Root=runtime")
    assert hydrate_trace_id(seen)({}, context("Root=1")) == "Root=runtime"


@pytest.mark.parametrize(
    "given",
    [None, object(), SimpleNamespace(client_context=None), context(custom="text"), context(custom={"trace_id": 5}),
     context("Root=1\n")],
)  # fmt: skip
def test_contexts_without_a_usable_trace_id(given):
    assert hydrate_trace_id(seen)({}, given) is None


def test_the_wrapper_keeps_the_handlers_name_and_takes_keywords():
    handler = hydrate_trace_id(seen)
    assert handler.__name__ == "seen"
    assert handler(event={}, context=context("Root=1")) == "Root=1"
    assert hydrate_trace_id(lambda: "no arguments")() == "no arguments"
