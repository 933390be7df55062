"""Clients of the AWS SDK, as user code makes them."""

import base64
import datetime
import json
import ssl

import pytest
from conftest import run_python
from servers import RecordingServer

# What a client would do, without sending it anywhere.
SHOW = (
    "import boto3, json\n"
    "from botocore.config import Config\n"
    "def show(c):\n"
    "    f = c.meta.config\n"
    "    print(json.dumps({'url': c.meta.endpoint_url, 'read': f.read_timeout, 'connect': f.connect_timeout,\n"
    "        'retries': f.retries, 's3': f.s3, 'sign': f.signature_version,\n"
    "        'verify': c._endpoint.http_session._verify}))\n"
)
PLATFORM = {
    "S3_ENDPOINT": "https://s3-storage:9000",
    "DYNAMODB_ENDPOINT": "https://database:8000",
    "GATEWAY_INTERNAL_URL": "https://gateway:8443",
}


def shown(code, **env):
    done = run_python(SHOW + code, **{**PLATFORM, **env})
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    "make",
    [
        "boto3.client('s3')",
        "boto3.Session().client('s3')",
        "boto3.resource('s3').meta.client",
        "boto3.client(service_name='s3')",
        "boto3.client('s3', 'eu-west-1')",
        "__import__('botocore.session').session.get_session().create_client('s3')",
        "boto3.client('s3', config=Config(region_name='eu-west-1'))",
    ],
)
def test_every_way_to_make_a_client_is_redirected(make):
    (client,) = shown(f"show({make})")
    assert client["url"] == PLATFORM["S3_ENDPOINT"]
    assert client["s3"]["addressing_style"] == "path" and client["sign"] == "s3v4"
    assert client["verify"] is False


def test_dynamodb_and_lambda():
    dynamodb, function = shown("show(boto3.client('dynamodb')); show(boto3.client('lambda'))")
    assert dynamodb["url"] == PLATFORM["DYNAMODB_ENDPOINT"] and function["url"] == PLATFORM["GATEWAY_INTERNAL_URL"]
    assert dynamodb["retries"] == {"mode": "standard", "total_max_attempts": 11}
    assert (dynamodb["read"], dynamodb["connect"]) == (5, 5)
    # A called function may take its time.
    assert (function["read"], function["connect"]) == (60, 5)


def test_other_services_and_an_empty_environment_are_left_alone():
    empty = dict.fromkeys(PLATFORM, "")
    clients = shown("[show(boto3.client(s)) for s in ('s3', 'dynamodb', 'lambda', 'logs', 'sqs')]", **empty)
    assert all(client["url"].endswith(".amazonaws.com") and client["verify"] is True for client in clients)
    (sqs,) = shown("show(boto3.client('sqs'))")
    assert sqs["url"] == "https://sqs.us-east-1.amazonaws.com" and sqs["verify"] is True


def test_what_the_caller_says_wins():
    clients = shown(
        "own = Config(read_timeout=60, retries={'max_attempts': 2}, connect_timeout=1)\n"
        "show(boto3.client('dynamodb', config=own))\n"
        "show(boto3.client('s3', endpoint_url='https://other'))\n"
        "show(boto3.client('s3', config=Config(s3={'payload_signing_enabled': False}, signature_version='s3')))\n"
        "show(boto3.client('s3', config=Config(s3={'addressing_style': 'virtual'})))\n"
        "show(boto3.client('s3', verify=True)); show(boto3.client('s3', verify='/ca.pem'))\n"
        "import botocore.session\n"
        "s = botocore.session.get_session(); s.set_default_client_config(Config(read_timeout=7))\n"
        "show(boto3.Session(botocore_session=s).client('dynamodb', config=Config(connect_timeout=3)))\n"
    )
    assert (clients[0]["read"], clients[0]["connect"]) == (60, 1)
    assert clients[0]["retries"]["total_max_attempts"] == 3
    assert clients[1]["url"] == "https://other" and clients[1]["verify"] is True
    assert clients[2]["s3"] == {"payload_signing_enabled": False, "addressing_style": "path"}
    assert clients[2]["sign"] == "s3"
    assert clients[3]["s3"]["addressing_style"] == "virtual"
    assert [client["verify"] for client in clients[4:6]] == [True, "/ca.pem"]
    assert (clients[6]["read"], clients[6]["connect"]) == (7, 3)


def test_retry_variables_are_the_callers_too():
    (client,) = shown("show(boto3.client('dynamodb'))", AWS_MAX_ATTEMPTS="2")
    assert client["retries"]["total_max_attempts"] == 2


@pytest.mark.parametrize(
    ("env", "verify"),
    [
        ({}, False),
        ({"AWS_CA_BUNDLE": "/a.pem"}, "/a.pem"),
        ({"REQUESTS_CA_BUNDLE": "/r.pem"}, "/r.pem"),
        ({"SSL_CERT_FILE": "/s.pem"}, "/s.pem"),
        ({"S3_ENDPOINT": None, "AWS_ENDPOINT_URL_S3": "https://elsewhere.example"}, True),
        ({"S3_ENDPOINT": None, "AWS_ENDPOINT_URL_S3": "https://gateway:8443"}, False),
        ({"S3_ENDPOINT": "https://s3.eu-west-1.amazonaws.com"}, True),
        ({"S3_ENDPOINT": "http://s3-storage:9000"}, True),
    ],
)
def test_verification_is_off_for_the_platforms_own_host_only(env, verify):
    (client,) = shown("show(boto3.client('s3'))", **env)
    assert client["verify"] == verify


def test_presigned_urls_are_for_the_presign_endpoint():
    code = (
        "import boto3\n"
        "c = boto3.client('s3'); args = ('get_object', {'Bucket': 'b', 'Key': 'k'})\n"
        "print(c.generate_presigned_url(*args)); print(c.generate_presigned_post('b', 'k')['url'])\n"
        "print(boto3.client('s3', endpoint_url='http://own').generate_presigned_url(*args))\n"
        "print(c.meta.endpoint_url)"
    )
    out = run_python(code, **PLATFORM, S3_PRESIGN_ENDPOINT="https://public.example:9000").stdout.split()
    assert out[0].startswith("https://public.example:9000/b/k?") and "X-Amz-Signature=" in out[0]
    assert out[1] == "https://public.example:9000/b"
    assert out[2].startswith("http://own/b/k?")
    assert out[3] == PLATFORM["S3_ENDPOINT"]
    (url,) = run_python(
        "import boto3; print(boto3.client('s3').generate_presigned_url('get_object', {'Bucket': 'b', 'Key': 'k'}))",
        **PLATFORM,
    ).stdout.split()
    assert url.startswith("https://s3-storage:9000/b/k?")


def test_s3_and_dynamodb_really_work():
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    code = (
        "import boto3\n"
        "s3 = boto3.client('s3'); s3.create_bucket(Bucket='bucket')\n"
        "s3.put_object(Bucket='bucket', Key='a/b', Body=b'x')\n"
        "print(boto3.resource('s3').Object('bucket', 'a/b').get()['Body'].read().decode())\n"
        "db = boto3.resource('dynamodb')\n"
        "t = db.create_table(TableName='t', KeySchema=[{'AttributeName': 'id', 'KeyType': 'HASH'}],\n"
        "    AttributeDefinitions=[{'AttributeName': 'id', 'AttributeType': 'S'}], BillingMode='PAY_PER_REQUEST')\n"
        "t.put_item(Item={'id': '1', 'v': 'y'}); print(t.get_item(Key={'id': '1'})['Item']['v'])"
    )
    url = f"http://{host if host != '0.0.0.0' else '127.0.0.1'}:{port}"
    try:
        done = run_python(code, AWS_ENDPOINT_URL_S3=url, AWS_ENDPOINT_URL_DYNAMODB=url)
    finally:
        server.stop()
    assert done.stdout.split() == ["x", "y"] and done.stderr == ""


@pytest.fixture
def secure(tmp_path):
    """A recorder behind a certificate that nobody has signed; returns it and the certificate's file."""
    pytest.importorskip("cryptography")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime(2020, 1, 1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now.replace(year=2050))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "server.pem"
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    file.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with RecordingServer() as server:
        server._server.socket = context.wrap_socket(server._server.socket, server_side=True)
        yield server, file


def test_the_gateways_certificate_is_taken_without_a_warning(secure):
    server, file = secure
    url = f"https://localhost:{server.port}"
    code = "import boto3; boto3.client('lambda').invoke(FunctionName='f'); print('done')"
    for env in ({}, {"AWS_CA_BUNDLE": str(file)}, {"SSL_CERT_FILE": str(file)}):
        done = run_python(code, "-W", "default", GATEWAY_INTERNAL_URL=url, **env)
        assert done.stdout == "done\n" and "Unverified" not in done.stderr
    done = run_python(code.replace("'lambda'", "'lambda', endpoint_url='" + url + "'"), check=False)
    assert "SSLError" in done.stderr, "an endpoint of the caller's is verified"


class TestInvoke:
    """Calls of other functions."""

    CODE = (
        "import boto3, sys\n"
        "from botocore.config import Config\n"
        "c = boto3.client('lambda', config=Config({config}))\n"
        "try:\n    print(c.invoke(FunctionName='f'{more})['StatusCode'])\n"
        "except Exception as e:\n    print(type(e).__name__)\n"
    )

    def invoke(self, recorder, config="", more="", **env):
        code = self.CODE.format(config=config, more=more)
        return run_python(code, GATEWAY_INTERNAL_URL=recorder.url, **env).stdout.strip()

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_is_not_sent_again_after_it_may_have_run(self, recorder, status):
        recorder.status = status
        assert self.invoke(recorder) in ("ClientError", "ServiceException", "ServiceUnavailableException")
        assert len(recorder.requests) == 1

    def test_is_not_sent_again_after_a_time_out(self, recorder):
        recorder.delay = 1.5
        assert self.invoke(recorder, "read_timeout=0.3") == "ReadTimeoutError"
        assert len(recorder.requests) == 1

    def test_is_sent_again_when_it_was_throttled_or_the_caller_asks(self, recorder):
        recorder.status = 429
        self.invoke(recorder, AWS_MAX_ATTEMPTS="2")
        assert len(recorder.requests) == 2
        recorder.status = 500
        self.invoke(recorder, AWS_MAX_ATTEMPTS="2")
        assert len(recorder.requests) == 3
        self.invoke(recorder, "retries={'total_max_attempts': 2, 'mode': 'standard'}")
        assert len(recorder.requests) == 5

    def test_other_operations_are_retried(self, recorder):
        recorder.status = 500
        code = (
            "import boto3, time\n"
            "time.sleep = lambda s: None\n"
            "try: boto3.client('lambda').list_functions()\nexcept Exception: pass"
        )
        run_python(code, GATEWAY_INTERNAL_URL=recorder.url)
        assert len(recorder.requests) > 1

    @pytest.mark.parametrize(
        ("given", "sent"),
        [
            (None, {"custom": {"trace_id": "Root=1"}}),
            ({"client": {"a": 1}}, {"client": {"a": 1}, "custom": {"trace_id": "Root=1"}}),
            ({"custom": {"k": "v"}}, {"custom": {"k": "v", "trace_id": "Root=1"}}),
            ({"custom": {"trace_id": "own"}}, {"custom": {"trace_id": "own"}}),
            (["list"], ["list"]),
        ],
    )
    def test_carries_the_trace_id(self, recorder, given, sent):
        text = "" if given is None else base64.b64encode(json.dumps(given).encode()).decode()
        more = f", ClientContext={text!r}" if text else ""
        self.invoke(recorder, more=more, _X_AMZN_TRACE_ID="Root=1")
        _, _, headers, _ = recorder.requests[0]
        assert json.loads(base64.b64decode(headers["X-Amz-Client-Context"])) == sent

    def test_carries_nothing_without_a_trace(self, recorder):
        self.invoke(recorder)
        assert "X-Amz-Client-Context" not in recorder.requests[0][2]


class TestCloudWatchLogs:
    """Calls that are answered in the process."""

    CODE = (
        "import boto3, json\n"
        "c = boto3.client('logs'{more})\n"
        "for name, args in {calls!r}:\n"
        "    answer = getattr(c, name)(**args); meta = answer.pop('ResponseMetadata')\n"
        "    print(json.dumps(answer), meta['HTTPStatusCode'])\n"
    )
    GROUP = {"logGroupName": "g"}
    STREAM = {"logGroupName": "g", "logStreamName": "s"}

    def test_answers(self):
        event = {"timestamp": 1700000000000, "message": "m"}
        calls = [
            ("create_log_group", self.GROUP),
            ("create_log_stream", self.STREAM),
            ("put_log_events", {**self.STREAM, "logEvents": [event]}),
            ("describe_log_groups", {}),
            ("describe_log_streams", self.GROUP),
            ("delete_log_stream", self.STREAM),
            ("delete_log_group", self.GROUP),
        ]
        out = run_python(self.CODE.format(more="", calls=calls)).stdout.splitlines()
        assert out == [
            "{} 200",
            "{} 200",
            '{"nextSequenceToken": "mock-token"} 200',
            '{"logGroups": []} 200',
            '{"logStreams": []} 200',
            "{} 200",
            "{} 200",
        ]

    def test_a_callers_endpoint_and_other_operations_are_real(self, recorder):
        more = f", endpoint_url={recorder.url!r}"
        run_python(self.CODE.format(more=more, calls=[("create_log_group", self.GROUP)]))
        run_python(
            self.CODE.format(more="", calls=[("get_log_events", self.STREAM)]),
            AWS_ENDPOINT_URL_CLOUDWATCH_LOGS=recorder.url,
        )
        targets = [headers["X-Amz-Target"].partition(".")[2] for _, _, headers, _ in recorder.requests]
        assert targets == ["CreateLogGroup", "GetLogEvents"]

    def test_records_outside_an_invocation(self, logs):
        events = [{"timestamp": 1700000000123, "message": "[WARNING] w"}]
        calls = [("put_log_events", {**self.STREAM, "logEvents": events})]
        run_python(self.CODE.format(more="", calls=calls), VICTORIALOGS_URL=logs.url, AWS_LAMBDA_FUNCTION_NAME=None)
        (record,) = [r for r in logs.records if r.get("log_group")]
        assert record == {
            "_time": "2023-11-14T22:13:20.123+00:00",
            "level": "WARNING",
            "message": "w",
            "container_name": "UNKNOWN",
            "job": "lambda",
            "trace_id": None,
            "aws_request_id": None,
            "logger": "cloudwatch.logs.python",
            "log_group": "g",
            "log_stream": "s",
        }

    def test_the_loggers_earlier_name(self, logs):
        calls = [("put_log_events", {**self.STREAM, "logEvents": [{"timestamp": 1700000000123, "message": "w"}]})]
        run_python(self.CODE.format(more="", calls=calls), VICTORIALOGS_URL=logs.url, ESB_CLOUDWATCH_LOGGERS="old")
        assert [r["logger"] for r in logs.records if r.get("log_group")] == ["boto3.mock"]
