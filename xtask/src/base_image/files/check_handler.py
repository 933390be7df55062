"""What the check of a stand-in invokes: tells what a function sees."""

import os
import sys

import boto3


def handler(event, context):
    return {
        "event": event,
        "hook": os.environ.get("STAND_IN_HOOK"),
        "version": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "prefix": sys.prefix,
        "path": sys.path,
        "folder": os.getcwd(),
        "bucket": boto3.client("s3", "eu-west-1").meta.endpoint_url,
        "function": bool(context.aws_request_id),
    }
