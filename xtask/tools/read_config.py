"""Reads configuration as the platform does and compares it with what was meant.

The document on the command line has the texts of the files, the environment of the Gateway, the
values that each file must give, and paths that route patterns must and must not match.
"""

import json
import re
import string
import sys

import yaml


def read(name, text, environment):
    if name == "functions.yml":
        text = string.Template(text).safe_substitute(environment)
    return yaml.safe_load(text)


def pattern(path):
    return re.compile("^" + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path) + "$")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        document = json.load(file)
    wrong = []
    for name, text in document["files"].items():
        if not name.endswith(".yml"):
            continue
        if read(name, text, document["environment"]) != document["expected"][name]:
            wrong.append(f"{name} is read as something else")
    for route in document["routes"]:
        compiled = pattern(route["path"])
        wrong += [f"{route['path']} misses {path}" for path in route["match"] if not compiled.match(path)]
        wrong += [f"{route['path']} takes {path}" for path in route["miss"] if compiled.match(path)]
    for line in wrong:
        print(line)
    if wrong:
        print(f"with the seed {document['seed']}")
    print(f"{len(document['files'])} files, {len(document['routes'])} routes")
    return 1 if wrong or not document["routes"] else 0


sys.exit(main())
