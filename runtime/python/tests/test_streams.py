"""What is written to the standard streams of a process: first there, then as records."""

import pytest
from conftest import run_python


def shipped(logs, code, **env):
    done = run_python(code, VICTORIALOGS_URL=logs.url, **env)
    return done, logs.messages()


@pytest.mark.parametrize(
    ("code", "messages"),
    [
        ("print('a', 1)", ["a 1"]),
        ("print('a\\nb\\n\\nc')", ["a", "b", "c"]),
        ("print(1); print('[\"x\"]'); print('\"s\"'); print('{}'); print(None)", ["1", '["x"]', '"s"', "{}", "None"]),
        ("print('x', end='')", ["x"]),
        ("print('x', end=''); print('y')", ["xy"]),
        ("print('ä €')", ["ä €"]),
        ("import sys; sys.stderr.write('err\\n')", ["err"]),
        ("import sys; print('a', end=''); sys.stderr.write('b\\n'); print('c')", ["b", "ac"]),
        ("import sys; sys.stdout.buffer.write(b'raw\\n')", ["raw"]),
        ("import sys; sys.stdout.writelines(['a\\n', 'b\\n'])", ["a", "b"]),
        ("import sys; sys.stdout = sys.__stdout__; print('not ours')", []),
        ("import sys; sys.stdout.reconfigure(line_buffering=True); print('x')", ["x"]),
        ("import atexit; atexit.register(print, 'at exit')", ["at exit"]),
        ("print('\\r\\n   \\n'); print('z')", ["z"]),
    ],
)
def test_lines(logs, code, messages):
    plain = run_python(code, PYTHONPATH=None)
    done, arrived = shipped(logs, code)
    assert arrived == messages
    assert (done.stdout, done.stderr) == (plain.stdout, plain.stderr)


def test_long_lines_are_cut_and_nothing_is_lost(logs):
    _, messages = shipped(logs, "print('x' * 1_000_000); print('end')")
    assert "".join(messages[:-1]) == "x" * 1_000_000
    assert messages[-1] == "end"


def test_threads_keep_their_lines_whole(logs):
    code = (
        "import threading, time\n"
        "def work(n):\n"
        "    for i in range(50):\n"
        "        print('t', end=''); time.sleep(0.0001); print(n, i)\n"
        "threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]"
    )
    _, messages = shipped(logs, code)
    assert sorted(messages) == sorted(f"t{n} {i}" for n in range(4) for i in range(50))


def test_the_endpoint_and_its_query_are_the_contracts(logs):
    run_python("print('x')", VICTORIALOGS_URL=logs.url + "/", AWS_LAMBDA_FUNCTION_NAME="my fn")
    path, headers, _ = logs.requests[0]
    assert path == (
        "/insert/jsonline?_stream_fields=container_name,job&_msg_field=message&_time_field=_time"
        "&container_name=my%20fn&job=lambda"
    )
    assert headers["Content-Type"] == "application/json"
    assert logs.records[0]["container_name"] == "my fn"


def test_a_process_without_a_function_name_has_a_name(logs):
    run_python("print('x')", VICTORIALOGS_URL=logs.url, AWS_LAMBDA_FUNCTION_NAME=None)
    assert logs.records[0]["container_name"] == "lambda-unknown"


def test_the_stream_still_behaves_like_one(logs):
    code = (
        "import io, sys, os\n"
        "assert isinstance(sys.stdout, io.TextIOWrapper)\n"
        "assert sys.stdout.fileno() == 1 and sys.stdout.name == '<stdout>' and sys.stdout.mode == 'w'\n"
        "assert not sys.stdout.isatty() and sys.stdout.encoding.lower() == 'utf-8' and sys.stdout.writable()\n"
        "assert not sys.stdout.readable() and not sys.stdout.seekable()\n"
        "assert sys.stdout.buffer.raw is sys.__stdout__.buffer.raw\n"
        "print('kept in order'); sys.stdout.flush(); os.write(1, b'second\\n')\n"
        "sys.stdout.close(); sys.stdout = sys.__stdout__; print('third')\n"
    )
    done = run_python(code, VICTORIALOGS_URL=logs.url)
    assert done.stdout == "kept in order\nsecond\nthird\n"


def test_a_reader_that_goes_away_is_the_writers_to_see(logs):
    code = (
        "import os, sys\n"
        "r, w = os.pipe(); os.dup2(w, 1); os.close(r); os.close(w)\n"
        "try:\n    print('x'); sys.stdout.flush()\n"
        "except BrokenPipeError:\n    sys.stderr.write('broken\\n')\n"
        "os._exit(0)"
    )
    assert "broken\n" in run_python(code, VICTORIALOGS_URL=logs.url).stderr


def test_many_lines_travel_in_few_requests_and_all_arrive(logs):
    _, messages = shipped(logs, "for i in range(10_000): print('line', i)", ESB_LOG_EXIT_FLUSH_MS="20000")
    assert messages == [f"line {i}" for i in range(10_000)]
    assert len(logs.requests) < 100
    assert logs.connections == 1


class TestLogging:
    """Records of `logging`."""

    def test_a_plain_handler(self, logs):
        code = (
            "import logging\n"
            "logging.basicConfig(level='DEBUG', format='%(message)s')\n"
            "try:\n    1 / 0\n"
            "except ZeroDivisionError:\n    logging.getLogger('app').exception('failed %s', 1, extra={'order': 5})\n"
            "logging.debug('two\\nlines')"
        )
        done, _ = shipped(logs, code)
        first, second = logs.records
        assert first["message"] == "failed 1" and first["level"] == "ERROR" and first["logger"] == "app"
        assert first["exc_info"].startswith("Traceback") and first["order"] == 5
        assert first["location"] == "<string>:6"
        assert second["message"] == "two\nlines" and second["level"] == "DEBUG"
        assert done.stderr.startswith("failed 1\nTraceback") and done.stdout == ""

    def test_a_json_handler_keeps_its_own_fields(self, logs):
        code = (
            "import json, logging, sys\n"
            "class F(logging.Formatter):\n"
            "    def format(self, r): return json.dumps({'message': r.getMessage(), 'cold': True})\n"
            "h = logging.StreamHandler(sys.stdout); h.setFormatter(F())\n"
            "logging.getLogger().addHandler(h); logging.warning('w')"
        )
        shipped(logs, code)
        (record,) = logs.records
        assert record["message"] == "w" and record["cold"] is True and record["level"] == "WARNING"
        assert record["logger"] == "root"

    def test_one_record_through_two_handlers_is_one_record(self, logs):
        code = (
            "import logging, sys\n"
            "for s in (sys.stdout, sys.stderr): logging.getLogger().addHandler(logging.StreamHandler(s))\n"
            "logging.warning('once')"
        )
        done, messages = shipped(logs, code)
        assert messages == ["once"]
        assert done.stdout == done.stderr == "once\n"

    def test_what_no_handler_writes_out_is_not_shipped(self, logs):
        code = (
            "import logging, os\n"
            "logging.getLogger().addHandler(logging.StreamHandler(open(os.devnull, 'w')))\n"
            "logging.info('below'); logging.warning('elsewhere'); print('x')"
        )
        assert shipped(logs, code)[1] == ["x"]

    def test_a_queue_listener(self, logs):
        code = (
            "import logging, logging.handlers, queue\n"
            "q = queue.Queue(); listener = logging.handlers.QueueListener(q, logging.StreamHandler())\n"
            "logging.getLogger().addHandler(logging.handlers.QueueHandler(q)); listener.start()\n"
            "logging.warning('queued'); listener.stop()"
        )
        shipped(logs, code)
        assert [(r["message"], r["logger"]) for r in logs.records] == [("queued", "root")]

    def test_a_handler_that_fails_reports_as_ever(self, logs):
        code = "import logging; logging.basicConfig(); logging.warning('%d', 'x'); print('after')"
        done, messages = shipped(logs, code)
        assert "--- Logging error ---" in done.stderr
        assert messages[-1] == "after"
