"""Runs the official SAM translator on templates and tells the seconds of each run.

Loads once. For each line on stdin, the path of a template, it answers with one line: the seconds of
the translation alone, without the reading of the YAML, and the number of resources that came out.
"""

import logging
import sys
import time

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

PLACES = {"CodeUri", "ContentUri"}


def load(path):
    with open(path, encoding="utf-8") as file:
        template = yaml_parse(file.read())
    # As SAM CLI does before it validates: the translator takes uploaded code only.
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        for place in PLACES & properties.keys():
            properties[place] = "s3://bucket/key"
    defaults = template.get("Globals", {}).get("Function", {})
    for place in PLACES & defaults.keys():
        defaults[place] = "s3://bucket/key"
    return template


def main():
    logging.disable(logging.CRITICAL)
    session = boto3.session.Session(region_name="us-east-1")
    for line in sys.stdin:
        template = load(line.strip())
        start = time.perf_counter()
        result = Translator({}, Parser(), boto_session=session).translate(template, {})
        seconds = time.perf_counter() - start
        print(seconds, len(result["Resources"]), flush=True)


main()
