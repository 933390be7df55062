"""What the hooks cost and do at interpreter start."""

import sys

import pytest
from conftest import SITE_PACKAGES, run_python

LOADED = "import sys; print(*sorted(sys.modules))"
HEAVY = {
    "asyncio", "boto3", "botocore", "datetime", "email", "http", "inspect", "json", "logging", "re",
    "signal", "socket", "ssl", "threading", "typing", "urllib", "urllib3",
}  # fmt: skip


@pytest.mark.parametrize("url", [None, "http://127.0.0.1:9"])
def test_start_imports_next_to_nothing(url):
    plain = set(run_python(LOADED, PYTHONPATH=None).stdout.split())
    hooked = set(run_python(LOADED, VICTORIALOGS_URL=url).stdout.split())
    added = {name for name in hooked - plain if not name.startswith("esb_hooks")}
    assert "esb_hooks.start" in hooked
    assert not added & HEAVY
    assert added <= {"atexit", "sitecustomize", "__future__"}, added


def test_nothing_is_started_without_a_sink():
    code = (
        "import logging, sys, threading\n"
        "print('out'); logging.warning('w')\n"
        "print(type(sys.stdout.buffer).__name__, threading.active_count(), 'esb_hooks.shipping' in sys.modules)"
    )
    done = run_python(code)
    assert done.stdout == "out\nBufferedWriter 1 False\n"
    assert done.stderr == "WARNING:root:w\n"


def test_the_hooks_can_be_switched_off():
    done = run_python(LOADED, ESB_HOOKS="off", VICTORIALOGS_URL="http://127.0.0.1:9")
    assert "esb_hooks" not in done.stdout


def test_a_broken_hook_leaves_python_working(tmp_path):
    (tmp_path / "sitecustomize.py").write_text((SITE_PACKAGES / "sitecustomize.py").read_text())
    (tmp_path / "esb_hooks").mkdir()
    (tmp_path / "esb_hooks" / "__init__.py").write_text("")
    (tmp_path / "esb_hooks" / "start.py").write_text("this is no python")
    done = run_python("print(1)", PYTHONPATH=str(tmp_path))
    assert done.stdout == "1\n"
    assert done.stderr.startswith("esb hooks: not loaded: SyntaxError")
    assert done.stderr.count("\n") == 1


def test_a_patch_that_fails_is_told_once_and_the_module_stays_usable(tmp_path):
    package = tmp_path / "botocore"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "session.py").write_text("value = 7\n")
    code = "import botocore.session as s, importlib; importlib.reload(s); print(s.value, s.__loader__.get_source)"
    done = run_python(code, PYTHONPATH=f"{SITE_PACKAGES}:{tmp_path}")
    assert done.stdout.startswith("7 <bound method")
    assert done.stderr.count("could not patch `botocore.session`") == 1


def test_an_imported_module_keeps_its_own_loader():
    code = (
        "import logging, importlib.util, inspect\n"
        "print(type(logging.__loader__).__name__, type(logging.__spec__.loader).__name__)\n"
        "print(inspect.getsource(logging.warning).startswith('def warning'))"
    )
    done = run_python(code, VICTORIALOGS_URL="http://127.0.0.1:9")
    assert done.stdout == "SourceFileLoader SourceFileLoader\nTrue\n"


def test_isolated_and_unbuffered_interpreters_start():
    for flag in ("-u", "-s", "-O"):
        assert run_python("print('x')", flag, VICTORIALOGS_URL="http://127.0.0.1:9").stdout == "x\n"
    assert sys.version_info >= (3, 9)
