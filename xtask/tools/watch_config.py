"""Reads a configuration folder as the Gateway does, and tells every state that it sees.

Polls the files and rereads one when its modification time in whole seconds grew. One JSON line for
each state on stdout; a line with "wrong" for what no reader may ever meet. Ends when a file named
`stop` appears in the folder given second, after one more look.
"""

import json
import os
import string
import sys
import time

import yaml

FOLDER, STOP = sys.argv[1], sys.argv[2]
INTERVAL = float(sys.argv[3]) if len(sys.argv) > 3 else 0.02


def tell(**line):
    print(json.dumps(line, sort_keys=True), flush=True)


def read(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        text = file.read()
    if name == "functions.yml":
        text = string.Template(text).safe_substitute(os.environ)
    return yaml.safe_load(text)


def functions(document):
    found = document["functions"]
    return {name: entry["image"] for name, entry in found.items()}


def routes(document):
    return {f"{route['method']} {route['path']}": route["function"] for route in document["routes"]}


def main():
    seen, state = {}, {}
    readers = {"functions.yml": functions, "routing.yml": routes}
    tell(started=True)
    while True:
        last = os.path.exists(os.path.join(STOP, "stop"))
        changed = False
        for name, take in readers.items():
            try:
                second = int(os.stat(os.path.join(FOLDER, name)).st_mtime)
                if second <= seen.get(name, -1):
                    continue
                state[name] = take(read(name))
                seen[name] = second
                changed = True
            except FileNotFoundError:
                if name in seen:
                    tell(wrong=f"{name} is missing")
            except Exception as error:
                tell(wrong=f"{name}: {error!r}")
        if changed:
            tell(functions=state.get("functions.yml", {}), routes=state.get("routing.yml", {}))
        if last:
            tell(ended=True)
            return
        time.sleep(INTERVAL)


main()
