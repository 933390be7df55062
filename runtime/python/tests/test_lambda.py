"""The hooks inside the real runtime interface client."""

import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import LAYER, SITE_PACKAGES, TESTS, hook_env
from servers import LogServer

TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"


def start(runtime_api, handler, **env):
    paths = ":".join(str(path) for path in (SITE_PACKAGES, LAYER, TESTS / "handlers"))
    return subprocess.Popen(
        [sys.executable, "-m", "awslambdaric", f"app.{handler}"],
        env=hook_env(**{"PYTHONPATH": paths, "AWS_LAMBDA_RUNTIME_API": runtime_api.address, **env}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def invoke(runtime_api, handler, *events, **env):
    """Runs the client until the events are used up; returns its standard output and error."""
    runtime_api.events = list(events)
    # A machine that has other work to do needs longer than a function's last moment.
    process = start(runtime_api, handler, **{"ESB_LOG_EXIT_FLUSH_MS": "5000", **env})
    out, err = process.communicate(timeout=60)
    # The client leaves with the error that ends it.
    return out, err.partition("Traceback (most recent call last)")[0]


def event(name, trace=None, **more):
    context = {"custom": {"trace_id": trace}} if trace else None
    return {"id": f"id-{name}", "body": {"name": name}, "context": context, **more}


def ids(record):
    return record.get("trace_id"), record.get("aws_request_id")


@pytest.mark.parametrize("execution_env", [None, "AWS_Lambda_python3.13"])
def test_each_record_once_with_its_ids_over_three_invocations(runtime_api, logs, execution_env):
    def arrived(_id):
        # Nothing of an invocation may come after its result.
        at_result[_id] = [r["message"] for r in logs.records if r.get("aws_request_id") == _id]

    at_result = {}
    runtime_api.at_result = arrived
    invoke(
        runtime_api,
        "everything",
        event("one", "Root=1;Sampled=1"),
        event("two"),
        event("three", "Root=3;Sampled=1"),
        VICTORIALOGS_URL=logs.url,
        LOG_LEVEL="INFO",
        ESB_LOG_FLUSH_MS="5000",
        AWS_EXECUTION_ENV=execution_env,
    )
    assert runtime_api.results == {"id-one": "ok", "id-two": "ok", "id-three": "ok"}
    kinds = ["line", "json", "record", "caught", "thread", "task", "executor", "begun"]
    for name, trace in (("one", "Root=1;Sampled=1"), ("two", None), ("three", "Root=3;Sampled=1")):
        expected = [f"{name} {kind}" for kind in kinds]
        assert sorted(at_result[f"id-{name}"]) == sorted(expected)
        for record in logs.records:
            if str(record["message"]).startswith(f"{name} "):
                assert ids(record) == (trace, f"id-{name}"), record
    by_message = {record["message"]: record for record in logs.records}
    assert ids(by_message["init None"]) == (None, None)
    assert by_message["one json"]["level"] == "ERROR"
    caught = by_message["one caught"]
    assert caught["exc_info"].endswith("ValueError: one") and caught["logger"] == "app"
    assert caught["location"].rpartition("/")[2].startswith("app.py:")
    assert all(r["container_name"] == "fn" and r["job"] == "lambda" for r in logs.records)


def test_the_trace_id_reaches_the_environment_and_not_the_next_invocation(runtime_api):
    invoke(
        runtime_api,
        "hello",
        event("one", TRACE),
        event("two"),
        event("three", context=None) | {"trace": "Root=header"},
        {"id": "id-four", "context": {"custom": {"_X_AMZN_TRACE_ID": "Root=other"}}, "trace": "Root=header"},
        event("five"),
        {"id": "id-six", "context": {"custom": {"trace_id": 5}, "env": {}}},
        {"id": "id-seven", "context": ["no", "object"]},
    )
    seen = {key: value["trace"] for key, value in runtime_api.results.items()}
    assert seen.pop("id-seven", None) is None
    assert seen == {
        "id-one": TRACE,
        "id-two": None,
        "id-three": "Root=header",
        "id-four": "Root=other",
        "id-five": None,
        "id-six": None,
    }


def test_standard_output_is_the_users_alone(runtime_api, logs):
    out, err = invoke(runtime_api, "hello", event("one", TRACE), VICTORIALOGS_URL=logs.url, LOG_LEVEL="DEBUG")
    assert out == "init None\na 1\n"
    assert err == "to stderr\n"
    told = [r for r in logs.records if r.get("_sitecustomize")]
    assert [(r["level"], *ids(r)) for r in told] == [("DEBUG", TRACE, "id-one")]


def test_the_runtimes_own_handler_writes_one_json_line(runtime_api, logs):
    import json

    out, _ = invoke(runtime_api, "everything", event("one", TRACE), VICTORIALOGS_URL=logs.url)
    lines = [json.loads(line) for line in out.splitlines() if '"logger"' in line]
    assert [line["message"] for line in lines] == ["one record", "one caught"]
    assert set(lines[0]) == {"level", "message", "timestamp", "logger", "trace_id", "aws_request_id", "location"}
    assert ids(lines[0]) == (TRACE, "id-one")
    shipped = [r for r in logs.records if r["message"] == "one record"]
    assert shipped[0]["_time"] == lines[0]["timestamp"] and "timestamp" not in shipped[0]


@pytest.mark.parametrize("form", ["Text", "JSON"])
def test_a_log_format_that_the_user_chose_stays(runtime_api, logs, form):
    out, _ = invoke(runtime_api, "everything", event("one"), VICTORIALOGS_URL=logs.url, AWS_LAMBDA_LOG_FORMAT=form)
    line = next(line for line in out.splitlines() if "one record" in line)
    assert line.startswith("[INFO]\t" if form == "Text" else '{"timestamp"')
    (record,) = [r for r in logs.records if r["message"] == "one record"]
    assert record["level"] == "INFO" and record["logger"] == "app" and record["aws_request_id"] == "id-one"


def test_records_in_a_telemetry_file_are_shipped_too(runtime_api, logs, tmp_path):
    runtime_api.events = [event("one", TRACE), event("two")]
    code = (
        "import os, runpy, sys\n"
        f"fd = os.open({str(tmp_path / 'frames')!r}, os.O_CREAT | os.O_WRONLY)\n"
        "os.environ['_LAMBDA_TELEMETRY_LOG_FD'] = str(fd)\n"
        "sys.argv = ['awslambdaric', sys.argv[1]]\n"
        "runpy.run_module('awslambdaric', run_name='__main__')"
    )
    paths = f"{SITE_PACKAGES}:{TESTS / 'handlers'}"
    env = hook_env(PYTHONPATH=paths, AWS_LAMBDA_RUNTIME_API=runtime_api.address, VICTORIALOGS_URL=logs.url)
    for handler in ("everything", "fails"):
        runtime_api.events = [event(handler, TRACE)]
        subprocess.run([sys.executable, "-c", code, f"app.{handler}"], env=env, capture_output=True, timeout=60)
    messages = logs.messages()
    assert messages.count("everything record") == 1
    assert len([m for m in messages if str(m).startswith("[ERROR] KeyError: 'missing'")]) == 1
    assert (tmp_path / "frames").stat().st_size > 0


def test_a_handlers_error_is_one_record_before_the_result(runtime_api, logs):
    seen = []
    runtime_api.at_result = lambda _id: seen.extend(logs.messages())
    invoke(runtime_api, "fails", event("one", TRACE), VICTORIALOGS_URL=logs.url, ESB_LOG_FLUSH_MS="5000")
    assert runtime_api.errors["id-one"]["errorType"] == "KeyError"
    (error,) = [r for r in logs.records if "missing" in r["message"]]
    assert error["message"] in seen and "before" in seen
    assert error["level"] == "ERROR" and ids(error) == (TRACE, "id-one")
    assert error["message"].startswith("[ERROR] KeyError: 'missing'\nTraceback (most recent call last):\n")


def test_a_failing_import_is_shipped(runtime_api, logs):
    invoke(runtime_api, "absent", VICTORIALOGS_URL=logs.url)
    assert runtime_api.init_error["errorType"] == "Runtime.HandlerNotFound"
    assert any("Handler 'absent' missing" in message for message in logs.messages())


def test_a_background_thread_carries_no_ids_of_an_invocation_that_ended(runtime_api, logs):
    runtime_api.wait_at_end = True
    runtime_api.events = [event("one", TRACE)]
    process = start(runtime_api, "leaves_a_thread", VICTORIALOGS_URL=logs.url)
    try:
        logs.wait_for(3)
        by_message = {record["message"]: record for record in logs.records}
        assert ids(by_message["in one"]) == (TRACE, "id-one")
        assert ids(by_message["from the background"]) == (None, None)
    finally:
        process.kill()
        process.communicate()


def test_a_task_that_outlives_its_invocation_takes_the_ids_of_the_running_one(runtime_api, logs):
    invoke(runtime_api, "keeps_a_task", event("one", TRACE), event("two"), VICTORIALOGS_URL=logs.url)
    by_message = {record["message"]: record for record in logs.records}
    assert ids(by_message["worker one"]) == (TRACE, "id-one")
    assert ids(by_message["worker two"]) == (None, "id-two")


@pytest.mark.parametrize("fault", ["hang", "500", "reset", None])
def test_results_come_whatever_the_sink_does(runtime_api, fault):
    url = "http://127.0.0.1:9"
    with LogServer(fault) as logs:
        names = [str(n) for n in range(5)]
        invoke(
            runtime_api,
            "hello",
            *[event(name) for name in names],
            VICTORIALOGS_URL=logs.url if fault else url,
            ESB_LOG_EXIT_FLUSH_MS="0",
        )
        assert sorted(runtime_api.results) == [f"id-{name}" for name in names]


@pytest.mark.parametrize("execution_env", [None, "AWS_Lambda_python3.13"])
def test_sigterm_ends_a_waiting_runtime_at_once(runtime_api, logs, execution_env):
    runtime_api.wait_at_end = True
    runtime_api.events = [event("one", TRACE)]
    process = start(runtime_api, "hello", VICTORIALOGS_URL=logs.url, AWS_EXECUTION_ENV=execution_env)
    assert runtime_api.waiting.wait(20)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGTERM
    assert "a 1" in logs.messages()


def test_sigterm_in_a_handler_ships_what_it_said(runtime_api, logs):
    runtime_api.events = [event("one", TRACE)]
    process = start(runtime_api, "waits", VICTORIALOGS_URL=logs.url, ESB_LOG_EXIT_FLUSH_MS="5000")
    assert process.stdout.readline() == "init None\n"
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGTERM
    assert [ids(r) for r in logs.records if r["message"] == "waiting"] == [(TRACE, "id-one")]


@pytest.mark.parametrize(("level", "count"), [("DEBUG", 4), ("INFO", 3), (None, 3), ("ERROR", 1)])
def test_calls_from_a_handler(runtime_api, logs, recorder, level, count):
    import base64
    import json

    out, _ = invoke(
        runtime_api,
        "calls",
        event("one", TRACE),
        VICTORIALOGS_URL=logs.url,
        GATEWAY_INTERNAL_URL=recorder.url,
        LOG_LEVEL=level,
        AWS_ENDPOINT_URL_CLOUDWATCH_LOGS=logs.url,
    )
    assert runtime_api.results == {"id-one": "mock-token"}
    method, path, headers, _ = recorder.requests[0]
    assert (method, path) == ("POST", "/2015-03-31/functions/other/invocations")
    context = json.loads(base64.b64decode(headers["X-Amz-Client-Context"]))
    assert context == {"custom": {"trace_id": TRACE}}
    written = [r for r in logs.records if r.get("log_group")]
    assert len(written) == count
    for record in written:
        assert record["_time"] == "2023-11-14T22:13:20.123+00:00"
        assert record["message"] in (f"{record['level']} text", "no prefix")
        assert (record["log_group"], record["log_stream"], record["logger"]) == ("g", "s", "cloudwatch.logs.python")
        assert ids(record) == (TRACE, "id-one")
    assert all(path.startswith("/insert/jsonline?") for path, _, _ in logs.requests)


def test_a_function_that_uses_no_sdk_loads_none(runtime_api, logs, tmp_path):
    (tmp_path / "lean.py").write_text(
        "import sys\ndef handler(event, context):\n    print('x')\n    return sorted(sys.modules)\n"
    )
    runtime_api.events = [event("one", TRACE), event("two")]
    env = hook_env(
        PYTHONPATH=f"{SITE_PACKAGES}:{tmp_path}",
        AWS_LAMBDA_RUNTIME_API=runtime_api.address,
        VICTORIALOGS_URL=logs.url,
    )
    command = [sys.executable, "-m", "awslambdaric", "lean.handler"]
    subprocess.run(command, env=env, capture_output=True, timeout=60)
    loaded = set(runtime_api.results["id-two"])
    assert not loaded & {"boto3", "botocore", "urllib3", "http.client", "ssl", "email"}


def test_multi_concurrent_workers(runtime_api, logs):
    runtime_api.events = [event("one", TRACE), event("two")]
    process = start(
        runtime_api,
        "everything",
        VICTORIALOGS_URL=logs.url,
        AWS_LAMBDA_MAX_CONCURRENCY="2",
        ESB_LOG_FLUSH_MS="5000",
    )
    runtime_api.wait_at_end = True
    end = time.monotonic() + 20
    while len(runtime_api.results) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)  # the workers too
    process.communicate()
    by_message = {record["message"]: record for record in logs.records}
    assert ids(by_message["one task"]) == (TRACE, "id-one")
    assert ids(by_message["two task"]) == (None, "id-two")
