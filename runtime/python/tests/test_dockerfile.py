"""The base image's Dockerfile, which a builder without processes interprets."""

from conftest import TESTS

ROOT = TESTS.parent
LINES = [
    line
    for line in (ROOT / "docker" / "Dockerfile").read_text().splitlines()
    if line.strip() and not line.startswith("#")
]


def test_only_instructions_that_need_no_process():
    assert {line.split()[0] for line in LINES} == {"ARG", "FROM", "COPY"}
    assert "syntax" not in (ROOT / "docker" / "Dockerfile").read_text().splitlines()[0]


def test_what_is_copied_exists():
    for line in LINES:
        if line.startswith("COPY"):
            *sources, target = line.split()[1:]
            assert all((ROOT / source).exists() for source in sources), line
            assert target.startswith("/")


def test_the_version_is_known_before_and_after_from():
    arguments = [index for index, line in enumerate(LINES) if line.startswith("ARG PYTHON_VERSION=")]
    start = next(index for index, line in enumerate(LINES) if line.startswith("FROM"))
    assert len(arguments) == 2 and arguments[0] < start < arguments[1]
    assert len({LINES[index] for index in arguments}) == 1
