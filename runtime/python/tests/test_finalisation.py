"""What is written while the interpreter goes down: no thread is started, and nothing waits for ever."""

import sys

import pytest
from conftest import run_python
from servers import LogServer

# Written when the last garbage is collected, after the exit handlers.
LATE = (
    "import io, sys\n"
    "def late(text):\n"
    "    wrapper = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8', write_through=False)\n"
    "    cycle = [wrapper]; cycle.append(cycle)\n"
    "    wrapper.write(text)\n"
)


def shipped(logs, code, **env):
    done = run_python(code, VICTORIALOGS_URL=logs.url, ESB_LOG_EXIT_FLUSH_MS="20000", **env)
    return done, logs.messages()


@pytest.mark.parametrize(
    ("code", "messages"),
    [
        (LATE + "late('first\\n')", ["first"]),
        (LATE + "late('two\\nlines\\n')", ["two", "lines"]),
        (LATE + "print('early')\nlate('late\\n')", ["early", "late"]),
        (LATE + "import logging; logging.basicConfig()\nlate('late\\n')", ["late"]),
        (
            "import atexit, threading\n"
            "def work():\n"
            "    try:\n"
            "        t = threading.Thread(target=print, args=('last',)); t.start(); t.join()\n"
            "    except RuntimeError: print('last')\n"
            "atexit.register(work)",
            ["last"],
        ),
        ("import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.1), print('after main'))).start()", ["after main"]),
        ("import atexit, logging, logging.handlers\n"
         "logging.getLogger().addHandler(logging.handlers.MemoryHandler(9, 99, logging.StreamHandler()))\n"
         "logging.warning('kept until shutdown')", ["kept until shutdown"]),
    ],
)  # fmt: skip
def test_records_of_the_end_arrive(logs, code, messages):
    _, arrived = shipped(logs, code)
    assert arrived == messages


@pytest.mark.parametrize("fault", ["hang", "reset", "500", None])
@pytest.mark.parametrize("early", ["", "print('early')\n"])
def test_no_sink_keeps_the_end_waiting(fault, early):
    with LogServer(fault) as logs:
        url = logs.url if fault else "http://127.0.0.1:9"
        code = early + (
            "import sys\n"
            "class Late:\n"
            "    def __init__(self): self.me, self.out = self, sys.stdout\n"
            "    def __del__(self):\n"
            "        for n in range(20): self.out.write(f'late {n}\\n')\n"
            "Late()"
        )
        # One request alone would last longer than the test may.
        env = {"VICTORIALOGS_URL": url, "ESB_LOG_TIMEOUT_MS": "600000", "ESB_LOG_EXIT_FLUSH_MS": "50"}
        done = run_python(code, **env)
    assert [line for line in done.stdout.splitlines() if line != "early"] == [f"late {n}" for n in range(20)]


def test_modules_that_are_taken_apart_do_not_show(logs):
    code = (
        "import io, logging, sys\n"
        "logging.basicConfig()\n"
        "class Late:\n"
        "    stream = sys.stdout\n"
        "    def __del__(self): print('printed'); logging.warning('logged'); self.stream.write('written\\n')\n"
        "out = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8'); out.write('dropped\\n')\n"
        "late = Late(); sys.late = Late()"
    )
    plain = run_python(code, PYTHONPATH=None)
    done, _ = shipped(logs, code)
    assert (done.stdout, done.stderr.count("Traceback")) == (plain.stdout, plain.stderr.count("Traceback"))


@pytest.mark.parametrize("threads", [1, 4])
def test_threads_that_stand_still_are_not_waited_for(logs, threads):
    code = (
        LATE + "import threading, time\n"
        "def work():\n"
        "    while True: print('noise', file=sys.stderr)\n"
        f"for _ in range({threads}): threading.Thread(target=work, daemon=True).start()\n"
        "time.sleep(0.1); late('late\\n')"
    )
    # Python itself aborts where such a thread holds the stream that it wants to flush.
    done = run_python(code, VICTORIALOGS_URL=logs.url, ESB_LOG_EXIT_FLUSH_MS="200", check=False)
    assert done.returncode == 0 or "_enter_buffered_busy" in done.stderr


def test_the_sender_holds_nothing_when_it_stands_still():
    # The sink fails just when the process ends, and the sender says so.
    for wait in ("0", "1", "2", "5", "10"):
        run_python("print('x')", VICTORIALOGS_URL="http://127.0.0.1:9", ESB_LOG_EXIT_FLUSH_MS=wait)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python does not divide any more then")
def test_a_process_that_divides_at_its_end(logs):
    code = (
        "import os, sys\n"
        "class Late:\n"
        "    def __init__(self): self.me, self.out = self, sys.stdout\n"
        "    def __del__(self):\n"
        "        self.out.write('one\\n'); pid = os.fork()\n"
        "        if pid == 0: self.out.write('child\\n'); self.out.flush(); os._exit(0)\n"
        "        os.waitpid(pid, 0); self.out.write('two\\n')\n"
        "Late()"
    )
    _, messages = shipped(logs, code)
    assert sorted(messages) == ["child", "one", "two"]


def test_sub_interpreters_end(logs):
    code = (
        "try: import _interpreters as i\n"
        "except ImportError: import _xxsubinterpreters as i\n"
        "print('main')\n"
        "n = i.create(); i.run_string(n, \"print('sub')\"); i.destroy(n)\n"
        "print('main again')"
    )
    _, messages = shipped(logs, code)
    assert sorted(messages) == ["main", "main again", "sub"]


def test_a_process_that_gets_no_thread_ships_with_its_results(logs):
    code = (
        "import threading\n"
        "def no(self): raise RuntimeError(\"can't start new thread\")\n"
        "threading.Thread.start = no\n"
        "from esb_hooks import shipping\n"
        "print('one'); shipping.flush(); print('two')"
    )
    _, messages = shipped(logs, code, ESB_LOG_FLUSH_MS="5000")
    assert messages == ["one", "two"]
