"""What the real VictoriaLogs has of a function's records, read back by LogsQL.

Collected only where `ESB_TEST_VICTORIA_LOGS` names the program.
"""

import time

import pytest
from servers import VictoriaLogs
from test_lambda import TRACE, event, invoke
from test_sink import make, put, wait_until


@pytest.fixture
def store(tmp_path):
    with VictoriaLogs(tmp_path / "store") as running:
        yield running


def test_each_record_is_stored_once_under_its_ids(runtime_api, store):
    invoke(
        runtime_api,
        "everything",
        event("one", TRACE),
        event("two"),
        event("three", "Root=3;Sampled=1"),
        VICTORIALOGS_URL=store.url + "/",
        LOG_LEVEL="DEBUG",
    )
    kinds = ["line", "json", "record", "caught", "thread", "task", "executor", "begun"]
    store.records('container_name:"fn" AND job:"lambda"', count=3 * len(kinds) + 3)
    for name, trace in (("one", TRACE), ("two", None), ("three", "Root=3;Sampled=1")):
        found = store.records(f'aws_request_id:"id-{name}"')
        told = sorted(record["_msg"] for record in found if "_sitecustomize" not in record)
        assert told == sorted(f"{name} {kind}" for kind in kinds)
        assert {record.get("trace_id") for record in found} == {trace}
        streams = {record["_stream"] for record in found}
        assert streams == {'{container_name="fn",job="lambda"}'}, "fields of the stream are in each line"
        levels = {record["_msg"]: record["level"] for record in found}
        assert levels[f"{name} json"] == "ERROR" and levels[f"{name} line"] == "INFO"
    assert [record["_msg"] for record in store.records('"init None"')] == ["init None"]
    # A trace is found by its bare id too, and hydration tells so at DEBUG.
    bare = TRACE.removeprefix("Root=").partition(";")[0]
    assert store.records(f'trace_id:"{bare}"') and store.records(f'trace_id:"{TRACE}" AND level:"DEBUG"')
    caught = store.records('"two caught"')
    assert caught[0]["exc_info"].endswith("ValueError: two")
    assert not store.records('container_name:"UNKNOWN"')


def test_log_events_are_stored_once_at_their_time(runtime_api, recorder, store):
    invoke(
        runtime_api,
        "calls",
        event("calls", TRACE),
        VICTORIALOGS_URL=store.url,
        LOG_LEVEL="DEBUG",
        GATEWAY_INTERNAL_URL=recorder.url,
    )
    found = store.records('logger:"cloudwatch.logs.python" AND log_group:"g" AND log_stream:"s"', count=4)
    told = sorted((record["level"], record["_msg"]) for record in found)
    assert told == [
        ("DEBUG", "DEBUG text"),
        ("ERROR", "ERROR text"),
        ("INFO", "INFO text"),
        ("INFO", "no prefix"),
    ]
    for record in found:
        assert record["_time"] == "2023-11-14T22:13:20.123Z" and record["container_name"] == "fn"
        assert (record["trace_id"], record["aws_request_id"]) == (TRACE, "id-calls")


def test_a_store_that_goes_and_comes_back_misses_only_what_is_counted(store):
    target = make(store.url, limit=20_000, timeout=5)
    put(target, *[f"before {n}" for n in range(200)])
    assert target.flush(10)
    store.stop()
    for n in range(2000):
        put(target, f"while it is away {n}")
    assert 0 < target.dropped < 2000
    store.start()
    put(target, *[f"after {n}" for n in range(200)])
    assert target.finish(20)
    shed = target.dropped
    wait_until(lambda: len(store.records("before")) == 200 and len(store.records("after")) == 200)
    assert len(store.records('"while it is away"')) == 2000 - shed
    assert sum(int(record["dropped"]) for record in store.records("dropped:*")) == shed


def test_ten_thousand_lines_all_arrive(store):
    target = make(store.url, limit=8 << 20, timeout=5)
    for n in range(10_000):
        target.put((time.time(), None, None, f"line {n} of many".encode()), 300)
    assert target.finish(20)
    assert target.dropped == 0
    found = store.records('"of many"', count=10_000)
    assert len({record["_msg"] for record in found}) == len(found) == 10_000
