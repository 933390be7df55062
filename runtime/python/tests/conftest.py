"""Fixtures of the hook suites.

Owns: interpreters that load our `sitecustomize`, and the servers they talk to. Refuses:
to load the hooks into the test process's own start.
"""

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SITE_PACKAGES = TESTS.parent / "extensions" / "sitecustomize" / "site-packages"
LAYER = TESTS.parent / "extensions" / "trace-bridge" / "layer"
for folder in (SITE_PACKAGES, LAYER, TESTS):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
sys.dont_write_bytecode = True
collect_ignore = []
if not os.environ.get("ESB_TEST_VICTORIA_LOGS"):
    collect_ignore.append("test_victorialogs.py")
if importlib.util.find_spec("aiobotocore") is None:
    collect_ignore.append("test_aiobotocore.py")

from servers import LogServer, RecordingServer, RuntimeApi  # noqa: E402

# How long one test may take on a machine that has other work to do.
TEST_SECONDS = 120


@pytest.fixture(autouse=True)
def limit():
    """Fails a test that hangs, where it hangs."""

    def too_long(*_):
        raise TimeoutError(f"the test takes longer than {TEST_SECONDS} s")

    former = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(TEST_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, former)


def hook_env(**extra):
    """An environment of its own for a child interpreter; `None` removes a variable."""
    env = {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": str(SITE_PACKAGES),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_LAMBDA_FUNCTION_NAME": "fn",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
        "LANG": "C.UTF-8",
        "PYTHONWARNINGS": "ignore:Boto3 will no longer support",
    }
    env.update(extra)
    return {name: value for name, value in env.items() if value is not None}


def run_python(code, *arguments, check=True, **extra):
    """Runs `code` in an interpreter with the hooks; the environment is `hook_env(**extra)`."""
    done = subprocess.run(
        [sys.executable, *arguments, "-c", code],
        env=hook_env(**extra),
        capture_output=True,
        text=True,
        timeout=60,
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def logs():
    """A log sink that takes everything."""
    with LogServer() as server:
        yield server


@pytest.fixture
def recorder():
    """A server that answers every request with an empty JSON object and keeps it."""
    with RecordingServer() as server:
        yield server


@pytest.fixture
def runtime_api():
    """A runtime API that hands out the events it was given."""
    with RuntimeApi() as server:
        yield server
