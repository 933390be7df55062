"""The sink's faults, and the end of processes."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from conftest import hook_env, run_python
from esb_hooks import http1, sink
from servers import LogServer


def make(url, limit=1 << 20, timeout=0.3):
    return sink.Sink(url, "fn", limit=limit, timeout=timeout)


def put(target, *messages):
    for message in messages:
        target.put((time.time(), None, None, message.encode()), len(message))


def wait_until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(sink, "FIRST_BACKOFF", 0.02)
    monkeypatch.setattr(sink, "LAST_BACKOFF", 0.05)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_flush_waits_for_arrival(logs):
    target = make(logs.url)
    put(target, "a", "b")
    assert target.flush(5)
    assert logs.messages() == ["a", "b"]
    assert target.flush(0), "nothing is left to wait for"


def test_a_connection_is_kept_and_renewed(logs):
    target = make(logs.url)
    for message in ("a", "b", "c"):
        put(target, message)
        assert target.flush(5)
    assert logs.connections == 1
    # The server says goodbye between two requests.
    target._client._socket.shutdown(socket.SHUT_RDWR)
    put(target, "d")
    assert target.flush(5)
    assert logs.messages() == ["a", "b", "c", "d"]


def test_refused_records_wait_for_the_sink_and_arrive_once():
    port = free_port()
    target = make(f"http://127.0.0.1:{port}")
    put(target, "early")
    assert not target.flush(5), "a refusal ends the wait"
    put(target, "later")
    assert not target.flush(5)
    with LogServer(port=port) as logs:
        wait_until(lambda: len(logs.records) >= 2)
        put(target, "last")
        assert target.finish(5)
        assert logs.messages() == ["early", "later", "last"]
    assert target.dropped == 0


@pytest.mark.parametrize("fault", ["hang", "reset"])
def test_what_may_have_arrived_is_not_sent_again(fault):
    with LogServer(fault) as logs:
        target = make(logs.url)
        put(target, "a")
        target.flush(0.05)
        wait_until(lambda: target.dropped == 1)
        assert logs.messages() == ["a"], "once"
        logs.fault = None
        put(target, "b")
        assert target.finish(5)
        assert target.finish(5) and len(logs.records) == 3, "told once"
        # The server did keep "a"; of the client it is only known that nobody confirmed it.
        assert logs.messages()[:2] == ["a", "b"]
        assert logs.records[2]["dropped"] == 1


def test_a_hanging_sink_is_waited_for_once(monkeypatch):
    with LogServer("hang") as logs:
        target = make(logs.url, timeout=5)
        put(target, "a")
        waits = []
        monkeypatch.setattr(
            target._changed, "wait_for", lambda condition, seconds: waits.append(seconds) or condition()
        )
        for _ in range(3):
            assert not target.flush(0.05)
        assert waits.count(0.05) == 1


def test_500_is_tried_again_and_400_is_not():
    with LogServer("500") as logs:
        target = make(logs.url)
        put(target, "a")
        target.flush(1)
        wait_until(lambda: len(logs.requests) >= 2)
        logs.fault = None
        assert target.finish(5)
        assert logs.messages()[-1] == "a" and target.dropped == 0
    with LogServer("400") as logs:
        target = make(logs.url)
        put(target, "a")
        wait_until(lambda: target.dropped == 1)
        assert len(logs.requests) == 1
        logs.fault = None
        assert target.finish(5)
        assert logs.records[-1]["dropped"] == 1, "told even when nothing else is left to say"


def test_a_batch_that_is_always_rejected_is_given_up():
    with LogServer("500") as logs:
        target = make(logs.url)
        put(target, "a")
        wait_until(lambda: target.dropped == 1)
        assert len(logs.requests) == sink.MAX_REJECTIONS


@pytest.mark.parametrize("fault", ["slow", "huge"])
def test_slow_and_talkative_sinks_are_no_failure(fault):
    with LogServer(fault) as logs:
        target = make(logs.url, timeout=5)
        put(target, "a")
        assert target.flush(5)
        put(target, "b")
        assert target.flush(5)
        assert logs.messages() == ["a", "b"] and target.dropped == 0


def test_a_full_queue_drops_the_oldest_and_counts():
    port = free_port()
    target = make(f"http://127.0.0.1:{port}", limit=1000)
    put(target, "first")
    target.flush(1)  # is in the sender's hands now
    put(target, *[f"{n:0100}" for n in range(50)])
    assert target.dropped == 40
    assert target._queued_bytes <= 1000
    with LogServer(port=port) as logs:
        wait_until(lambda: len(logs.records) >= 11)
        assert target.finish(5)
        numbers = [int(m) for m in logs.messages() if m.isdigit()]
        assert numbers == list(range(40, 50))
        assert sum(r.get("dropped", 0) for r in logs.records) == 40


def test_what_was_dropped_is_told_once_though_the_end_comes_while_it_is_being_told():
    with LogServer("slow") as logs:
        target = make(logs.url, limit=1000, timeout=5)
        put(target, *[f"{n:0100}" for n in range(50)])
        assert target.dropped == 40
        wait_until(lambda: len(logs.requests) == 1)
        assert target.finish(5)
        assert sum(r.get("dropped", 0) for r in logs.records) == 40


@pytest.mark.parametrize("url", ["victorialogs:9428", "ftp://host", "http://", "http://h:port/", "http://a b/"])
def test_an_unusable_address_ships_nothing(url, capsys):
    target = make(url)
    put(target, "a")
    assert target.flush(0) and not target.finish(0)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://vl:9428/", ("vl", 9428, "", "")),
        ("http://vl/base/", ("vl", 80, "/base", "")),
        ("https://vl?x=1", ("vl?x=1", 443, "", "")),
        ("http://user:p%40ss@[::1]:9428", ("::1", 9428, "", "user:p%40ss")),
    ],
)
def test_addresses(url, expected):
    address = http1.Address(url)
    assert (address.host, address.port, address.path, address.credentials) == expected


@pytest.mark.parametrize(
    "answer",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 \r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"H" * (200 * 1024),
        b"",
    ],
)
def test_answers_that_are_none_are_unconfirmed(answer):
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = http1.Client(http1.Address(f"http://127.0.0.1:{server.getsockname()[1]}"), "/", "text/plain", 2)
        import threading

        def serve():
            connection, _ = server.accept()
            connection.recv(65536)
            connection.sendall(answer)
            connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(http1.Unconfirmed):
            client.post(b"x")
        thread.join()
        assert client._socket is None


def test_a_sink_that_is_down_leaves_the_process_alone():
    url = f"http://127.0.0.1:{free_port()}"
    done = run_python("print('a'); print('b')", VICTORIALOGS_URL=url)
    assert done.stdout == "a\nb\n"
    assert done.stderr.count("\n") == 1 and "cannot be reached" in done.stderr


class TestForkAndExit:
    """Processes that divide and end."""

    def test_fork(self, logs):
        code = (
            "import os, sys\n"
            "print('parent before'); print('begun ', end=''); sys.stdout.flush()\n"
            "pid = os.fork()\n"
            "if pid == 0:\n"
            "    print('child'); sys.stdout.flush(); os._exit(0)\n"
            "os.waitpid(pid, 0); print('parent after')"
        )
        # Python 3.12 and newer warn where a process that divides has threads that did not end in time.
        run_python(code, VICTORIALOGS_URL=logs.url, PYTHONWARNINGS="ignore")
        assert sorted(logs.messages()) == ["begun parent after", "child", "parent before"]

    def test_multiprocessing(self, logs):
        code = (
            "import multiprocessing as m\n"
            "def work(n): print('worker', n)\n"
            "if __name__ == '__main__':\n"
            "    c = m.get_context('fork')\n"
            "    print('first')\n"
            "    ps = [c.Process(target=work, args=(n,)) for n in range(3)]\n"
            "    [p.start() for p in ps]; [p.join() for p in ps]\n"
        )
        run_python(code, VICTORIALOGS_URL=logs.url)
        assert sorted(logs.messages()) == ["first", "worker 0", "worker 1", "worker 2"]

    def test_fork_while_threads_log(self, logs):
        code = (
            # The noise goes elsewhere: Python itself does not divide a stream that is being written.
            "import os, sys, threading, time\n"
            "stop = False\n"
            "def work():\n"
            "    while not stop: print('noise', file=sys.stderr); time.sleep(0.0001)\n"
            "t = threading.Thread(target=work); t.start()\n"
            "for n in range(20):\n"
            "    pid = os.fork()\n"
            "    if pid == 0:\n"
            "        print('child', n); os._exit(0)\n"
            "    assert os.waitpid(pid, 0)[1] == 0\n"
            "stop = True; t.join()"
        )
        done = run_python(code, VICTORIALOGS_URL=logs.url, ESB_LOG_EXIT_FLUSH_MS="20000", PYTHONWARNINGS="ignore")
        children = [m for m in logs.messages() if m.startswith("child")]
        assert sorted(children) == sorted(f"child {n}" for n in range(20)), done.stderr

    def test_fork_beside_the_first_record_of_another_thread(self, logs):
        code = (
            "import os, signal, sys, threading\n"
            "from esb_hooks import shipping\n"
            "before = shipping.before_fork\n"
            "def then_another_writes():\n"
            "    before()\n"
            "    t = threading.Thread(target=lambda: shipping._start_sink()._lock.acquire())\n"
            "    t.start(); t.join()\n"
            "shipping.before_fork = then_another_writes\n"
            "pid = os.fork()\n"
            "if pid == 0:\n"
            "    signal.alarm(10); print('child'); os._exit(0)\n"
            # The parent's sink stays locked by a thread that is gone: its own end would wait for it.
            "os.write(1, str(os.waitpid(pid, 0)[1]).encode()); os.kill(os.getpid(), signal.SIGKILL)"
        )
        done = run_python(code, VICTORIALOGS_URL=logs.url, PYTHONWARNINGS="ignore", check=False)
        assert done.stdout == "0", done.stderr
        assert logs.messages() == ["child"]

    def test_sys_exit_and_uncaught_exceptions(self, logs):
        run_python("print('x'); raise SystemExit(0)", VICTORIALOGS_URL=logs.url)
        run_python("def f(): raise KeyError('k')\nf()", VICTORIALOGS_URL=logs.url, check=False)
        assert logs.messages()[0] == "x"
        assert logs.messages()[1].startswith("Traceback")
        assert logs.messages()[-1] == "KeyError: 'k'"

    @pytest.mark.parametrize("own", [False, True])
    def test_sigterm(self, logs, own):
        code = (
            "import signal, sys, time\n"
            + ("signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n" if own else "")
            + "print('ready', flush=True); print('begun', end='')\n"
            "for _ in range(1000): time.sleep(0.01)"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code], env=hook_env(VICTORIALOGS_URL=logs.url), stdout=subprocess.PIPE
        )
        assert process.stdout.readline() == b"ready\n"
        logs.wait_for(1)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
        assert process.returncode == (7 if own else -signal.SIGTERM)
        assert out == b"begun"
        assert logs.messages() == ["ready", "begun"]

    def test_a_hanging_sink_does_not_keep_a_process_alive(self):
        with LogServer("hang") as logs:
            done = run_python("print('x')", VICTORIALOGS_URL=logs.url, ESB_LOG_EXIT_FLUSH_MS="10")
            assert done.stdout == "x\n"
            assert os.environ.get("VICTORIALOGS_URL") is None
