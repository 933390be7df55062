"""Servers that the suites run their interpreters against.

Owns: a log sink with faults, the real log store, a recorder of requests, and the Lambda
runtime API.
Refuses: to judge what arrives; the tests do.
"""

import json
import os
import socket
import struct
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass  # clients that go away are part of the tests


class _Base:
    def __init__(self, port=0):
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def do_GET(self):
                length = int(self.headers.get("Content-Length") or 0)
                owner.handle(self, self.rfile.read(length))

            do_POST = do_PUT = do_DELETE = do_HEAD = do_GET

            def setup(self):
                super().setup()
                owner.connections += 1

            def answer(self, status, body=b"", headers=()):
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.connections = 0
        self._server = _Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


class LogServer(_Base):
    """A log sink. `fault` is None, "500", "400", "hang", "slow", "reset" or "huge"."""

    def __init__(self, fault=None, port=0):
        super().__init__(port)
        self.fault = fault
        self.requests = []
        self._lock = threading.Lock()

    def handle(self, request, body):
        with self._lock:
            self.requests.append((request.path, dict(request.headers), body))
        fault = self.fault
        if fault == "hang":
            time.sleep(30)
        elif fault == "slow":
            time.sleep(0.3)
        elif fault == "reset":
            request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            request.close_connection = True
            request.connection.close()
            return
        if fault in ("500", "400"):
            request.answer(int(fault), b"no")
        elif fault == "huge":
            request.answer(200, b"x" * (4 << 20))
        else:
            request.answer(200)

    @property
    def records(self):
        """Every record of every request so far."""
        with self._lock:
            bodies = [body for _, _, body in self.requests]
        return [json.loads(line) for body in bodies for line in body.splitlines()]

    def messages(self):
        return [record["message"] for record in self.records]

    def wait_for(self, count, seconds=10):
        """The records, as soon as there are `count`, or what there is after `seconds`."""
        end = time.monotonic() + seconds
        while len(self.records) < count and time.monotonic() < end:
            time.sleep(0.01)
        return self.records


class RecordingServer(_Base):
    """Keeps requests as (method, path, headers, body); `status` and `body` are its answer."""

    def __init__(self):
        super().__init__()
        self.status, self.body, self.delay = 200, b"{}", 0
        self.requests = []

    def handle(self, request, body):
        self.requests.append((request.command, request.path, dict(request.headers), body))
        time.sleep(self.delay)
        request.answer(self.status, self.body)


class RuntimeApi(_Base):
    """The runtime API of Lambda for one process.

    `events` are dicts with `id` and optionally `body`, `context` (client context) and
    `trace` (header). When they are used up, `next` answers 500, which ends the client.
    `at_result` is called with the id before a result is acknowledged.
    """

    def __init__(self):
        super().__init__()
        self.events = []
        self.results = {}
        self.errors = {}
        self.init_error = None
        self.wait_at_end = False
        self.waiting = threading.Event()
        self.at_result = lambda _id: None
        self.address = f"127.0.0.1:{self.port}"

    def handle(self, request, body):
        path = request.path.split("/2018-06-01/runtime/", 1)[-1]
        if path == "invocation/next":
            self._next(request)
        elif path == "init/error":
            self.init_error = json.loads(body)
            request.answer(202)
        else:
            _, invocation, kind = path.split("/")
            kept = self.results if kind == "response" else self.errors
            self.at_result(invocation)
            kept[invocation] = json.loads(body)
            request.answer(202)

    def _next(self, request):
        if not self.events:
            self.waiting.set()
            if self.wait_at_end:
                time.sleep(30)
            request.answer(500, b"{}")
            return
        event = self.events.pop(0)
        headers = [
            ("Lambda-Runtime-Aws-Request-Id", event["id"]),
            ("Lambda-Runtime-Deadline-Ms", str(int(time.time() * 1000) + 60000)),
            ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:fn"),
            ("Content-Type", "application/json"),
        ]
        if event.get("context") is not None:
            headers.append(("Lambda-Runtime-Client-Context", json.dumps(event["context"])))
        if event.get("trace"):
            headers.append(("Lambda-Runtime-Trace-Id", event["trace"]))
        request.answer(200, json.dumps(event.get("body", {})).encode(), headers)


class VictoriaLogs:
    """The real log store, of which `ESB_TEST_VICTORIA_LOGS` names the program."""

    def __init__(self, folder):
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.url = f"http://{self._address}"
        self.start()

    def start(self):
        self._process = subprocess.Popen(
            [
                os.environ["ESB_TEST_VICTORIA_LOGS"],
                f"-httpListenAddr={self._address}",
                f"-storageDataPath={self._folder}",
                "-retentionPeriod=100y",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + 20
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/health", timeout=5).close()
                return
            except OSError:
                assert time.monotonic() < end and self._process.poll() is None, "the store does not start"
                time.sleep(0.02)

    def stop(self):
        """Ends it as an operator would; what it took is on the disk then."""
        self._process.terminate()
        self._process.wait(timeout=20)

    def records(self, query, count=0, seconds=20):
        """What a LogsQL query finds, once that is `count` records, or after `seconds`."""
        form = urllib.parse.urlencode({"query": query, "limit": 100000}).encode()
        end = time.monotonic() + seconds
        while True:
            with urllib.request.urlopen(f"{self.url}/select/logsql/query", form, timeout=20) as answer:
                found = [json.loads(line) for line in answer.read().splitlines()]
            if len(found) >= count or time.monotonic() > end:
                return found
            time.sleep(0.1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
