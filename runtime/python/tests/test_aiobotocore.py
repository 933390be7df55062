"""Clients of aiobotocore, which aioboto3 is built on.

Collected only where it is installed: it needs a botocore of its own.
"""

import base64
import json

import pytest
from conftest import run_python
from servers import RecordingServer

RUN = "import asyncio, aiobotocore.session\nfrom botocore.config import Config\ns = aiobotocore.session.get_session()\n"
PLATFORM = {"S3_ENDPOINT": "https://s3-storage:9000", "DYNAMODB_ENDPOINT": "https://database:8000"}


def run(body, **env):
    code = RUN + "async def main():\n" + "".join(f"    {line}\n" for line in body.splitlines()) + "asyncio.run(main())"
    done = run_python(code, **{**PLATFORM, **env})
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_clients_are_redirected_and_the_callers_choice_wins():
    out = run(
        "async with s.create_client('s3') as c:\n"
        "    print(c.meta.endpoint_url, c.meta.config.s3['addressing_style'], c.meta.config.signature_version)\n"
        "async with s.create_client('dynamodb', config=Config(read_timeout=7)) as c:\n"
        "    print(c.meta.endpoint_url, c.meta.config.read_timeout, c.meta.config.connect_timeout)\n"
        "async with s.create_client('s3', endpoint_url='http://own') as c: print(c.meta.endpoint_url)\n"
        "async with s.create_client('sqs') as c: print('amazonaws.com' in c.meta.endpoint_url)"
    )
    assert out == ["https://s3-storage:9000 path s3v4", "https://database:8000 7 5", "http://own", "True"]


def test_presigned_urls_are_signed_for_their_own_endpoint():
    (url,) = run(
        "async with s.create_client('s3') as c:\n"
        "    print(await c.generate_presigned_url('get_object', Params={'Bucket': 'b', 'Key': 'k'}))",
        S3_PRESIGN_ENDPOINT="https://public.example:9000",
    )
    assert url.startswith("https://public.example:9000/b/k?") and "X-Amz-Signature=" in url


@pytest.mark.parametrize(("status", "delay", "expected"), [(200, 0, "200"), (500, 0, "Clien"), (200, 1, "ReadT")])
def test_an_invocation_that_may_have_run_is_sent_once_with_the_trace(status, delay, expected):
    with RecordingServer() as server:
        server.status, server.delay = status, delay
        (out,) = run(
            "async with s.create_client('lambda', config=Config(read_timeout=.3)) as c:\n"
            "    try: print((await c.invoke(FunctionName='f'))['StatusCode'])\n"
            "    except Exception as e: print(type(e).__name__)",
            GATEWAY_INTERNAL_URL=server.url,
            _X_AMZN_TRACE_ID="Root=1",
        )
        assert out.startswith(expected) and len(server.requests) == 1
        context = server.requests[0][2]["X-Amz-Client-Context"]
        assert json.loads(base64.b64decode(context))["custom"]["trace_id"] == "Root=1"


def test_log_events_become_records(logs):
    (out,) = run(
        "async with s.create_client('logs') as c:\n"
        "    e = [{'timestamp': 1700000000123, 'message': '[ERROR] m'}]\n"
        "    print((await c.put_log_events(logGroupName='g', logStreamName='s', logEvents=e))['nextSequenceToken'])",
        VICTORIALOGS_URL=logs.url,
    )
    assert out == "mock-token"
    found = [(r["level"], r["message"], r["log_group"]) for r in logs.records if r.get("logger") == "cloudwatch.logs.python"]
    assert found == [("ERROR", "m", "g")]
