"""Starts interpreters one after another; prints the medians of their milliseconds from start to
end, of the milliseconds that a processor worked for them, and of their largest resident memory in
MiB."""

import os
import statistics
import sys
import time

RUNS = 41
PROGRAMS = {
    "bare": "pass",
    "runtime": "import sys; sys.path.append('/var/runtime'); import awslambdaric.bootstrap",
}


def run(program):
    start = time.perf_counter()
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", program], os.environ)
    _, status, usage = os.wait4(pid, 0)
    if status:
        sys.exit(f"the interpreter ended with {status}")
    wall = time.perf_counter() - start
    return wall * 1000, (usage.ru_utime + usage.ru_stime) * 1000, usage.ru_maxrss / 1024


def main():
    program = PROGRAMS[sys.argv[1]]
    run(program)
    columns = zip(*(run(program) for _ in range(RUNS)))
    print(*map(statistics.median, columns))


main()
