"""What a written line becomes."""

import json
import re

import pytest
from esb_hooks import records

NOW = 1700000000.123
STAMP = "2023-11-14T22:13:20.123+00:00"


def encode(payload, trace_id=None, request_id=None):
    line = records.encode((NOW, trace_id, request_id, payload), "fn")
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    return json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("hello", "INFO"),
        ("[ERROR] broken", "ERROR"),
        ("[WARN] careful", "WARNING"),
        ("[CRITICAL] dead", "CRITICAL"),
        ("[DEBUG]\t2024-01-01T00:00:00Z\tid\ttext", "DEBUG"),
        ("ERROR: with debug in it", "ERROR"),
        ("  WARNING:root:w", "WARNING"),
        ("error: small letters", "ERROR"),
        ("TRACE: x", "DEBUG"),
        ("Traceback (most recent call last):", "INFO"),
        ("TypeError: no", "INFO"),
        ("ERRORS: many", "INFO"),
        ("[ERRORS] many", "INFO"),
        ("INFORMATION: x", "INFO"),
        ("there was an ERROR: x", "INFO"),
    ],
)
def test_levels_of_text(text, level):
    assert encode(text.encode() + b"\n")["level"] == level


@pytest.mark.parametrize("text", ["1", "1.5", "true", "null", '"s"', '["x"]', "[1, 2]", "{}", "{broken", "{1:2}"])
def test_what_is_no_json_object_is_text(text):
    assert encode(text.encode()) == {
        "_time": STAMP,
        "level": "INFO",
        "message": text,
        "container_name": "fn",
        "job": "lambda",
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"message": "m", "a": 1}, {"message": "m", "a": 1, "level": "INFO", "_time": STAMP}),
        ({"message": "m", "level": "warn"}, {"level": "warn"}),
        ({"message": "[ERROR] m"}, {"level": "ERROR", "message": "[ERROR] m"}),
        ({"message": "m", "severity": "ERROR"}, {"level": "ERROR"}),
        ({"msg": "other"}, {"message": "other", "msg": "other"}),
        ({"a": 1}, {"message": '{"a": 1}', "a": 1}),
        ({"message": {"x": [1]}}, {"message": '{"x":[1]}'}),
        ({"message": 5}, {"message": 5}),
        ({"message": "m", "trace_id": "own", "aws_request_id": "own"}, {"trace_id": "own", "aws_request_id": "own"}),
        ({"message": "m", "trace_id": None, "aws_request_id": ""}, {"trace_id": "t", "aws_request_id": "r"}),
        ({"message": "m", "trace_id": " "}, {"trace_id": "t"}),
        ({"message": "m", "trace_id": "not-found"}, {"trace_id": "t"}),
        ({"message": "m", "trace_id": 0}, {"trace_id": 0}),
        ({"message": "m", "container_name": "other", "job": "j"}, {"container_name": "other", "job": "j"}),
    ],
)
def test_json_objects_are_kept_and_completed(given, expected):
    record = encode(json.dumps(given).encode(), "t", "r")
    assert {key: record.get(key) for key in expected} == expected


@pytest.mark.parametrize(
    ("fields", "time"),
    [
        ({"_time": "2024-05-06T07:08:09Z"}, "2024-05-06T07:08:09Z"),
        ({"timestamp": "2024-05-06T07:08:09.123456+02:00"}, "2024-05-06T07:08:09.123456+02:00"),
        ({"timestamp": "2024-05-06 07:08:09,123"}, "2024-05-06T07:08:09.123Z"),
        ({"timestamp": "2024-05-06T07:08:09+0200"}, "2024-05-06T07:08:09+02:00"),
        ({"_time": "2024-05-06T07:08:09Z", "timestamp": "2020-01-01T00:00:00Z"}, "2024-05-06T07:08:09Z"),
        ({"timestamp": 1700000000.5}, "2023-11-14T22:13:20.500+00:00"),
        ({"timestamp": 1700000000500}, "2023-11-14T22:13:20.500+00:00"),
        ({"timestamp": "yesterday"}, STAMP),
        ({"timestamp": "2024-13-06T07:08:09Z"}, STAMP),
        ({"_time": ""}, STAMP),
        ({"timestamp": True}, STAMP),
        ({"timestamp": 5}, STAMP),
    ],
)
def test_times(fields, time):
    record = encode(json.dumps({"message": "m", **fields}).encode())
    assert record["_time"] == time
    moved = time != STAMP and "_time" not in fields
    assert ("timestamp" in record) == ("timestamp" in fields and not moved)


def test_hostile_values_still_make_a_record():
    record = encode(b'{"message": "m", "n": NaN, "i": Infinity}')
    assert record["n"] == "nan" and record["message"] == "m"
    assert encode(b"\xff\xfe broken")["message"] == "\ufffd\ufffd broken"
    assert encode("\ud800".encode("utf-8", "surrogatepass"))["message"]
    assert encode(b'{"message": "\\ud800"}')["message"] == "?"
    assert encode(b"[" * 100000)["message"].startswith("[[")
    assert encode(b'{"a":' * 100000)["message"].startswith('{"a"')
    assert encode({"message": "m", "o": object()})["o"].startswith("<object")
    assert encode({"message": "m", ("k", 1): 2})["message"] == "m"


def test_the_runtimes_error_report_becomes_lines():
    assert (
        encode(b"[ERROR] KeyError: 'x'\rTraceback:\r  File\r\n")["message"]
        == "[ERROR] KeyError: 'x'\nTraceback:\n  File"
    )


def test_records_that_the_sink_would_refuse_are_cut():
    for payload in (b"\x01" * 100_000, json.dumps({"message": "m" * 300_000, "x": 1}).encode()):
        line = records.encode((NOW, "t", "r", payload), "fn")
        record = json.loads(line)
        assert len(line) < 256 * 1024
        assert record["cut_from_bytes"] > 256_000
        assert record["trace_id"] == "t" and record["message"]


def test_iso_time_has_milliseconds_and_an_offset():
    assert records.iso(NOW) == STAMP
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", records.iso(0))
