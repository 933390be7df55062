"""Lays out the module path as Lambda does, then serves the handler."""

import os
import sys


def main():
    if "PYTHONPATH" not in os.environ:
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        sys.path[0:0] = [f"/opt/python/lib/{version}/site-packages", "/opt/python"]
    # The function's own modules win over everything.
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])

    from awslambdaric.__main__ import main as serve

    serve([sys.executable, os.environ["_HANDLER"]])


if __name__ == "__main__":
    main()
