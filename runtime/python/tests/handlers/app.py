"""Handlers that the runtime client runs in the suites."""

import asyncio
import logging
import os
import sys
import threading
import time

print("init", os.environ.get("_X_AMZN_TRACE_ID"))
logging.getLogger().setLevel("INFO")
logger = logging.getLogger("app")
late = []


def hello(event, context):
    print("a", 1)
    print("to stderr", file=sys.stderr)
    return {"id": context.aws_request_id, "trace": os.environ.get("_X_AMZN_TRACE_ID")}


def everything(event, context):
    name = event.get("name", "")
    print(f"{name} line")
    print(f'{{"message": "{name} json", "level": "ERROR"}}')
    logger.info(f"{name} record")
    try:
        raise ValueError(name)
    except ValueError:
        logger.exception(f"{name} caught")
    thread = threading.Thread(target=print, args=(f"{name} thread",))
    thread.start()
    thread.join()

    async def work():
        async def task():
            await asyncio.sleep(0)
            print(f"{name} task")

        await asyncio.gather(task(), asyncio.to_thread(print, f"{name} executor"))

    asyncio.run(work())
    print(f"{name} begun", end="")
    return "ok"


def fails(event, context):
    print("before")
    raise KeyError("missing")


def leaves_a_thread(event, context):
    """The thread of the first invocation speaks after it, in no invocation at all."""
    if not late:
        late.append(True)

        def speak():
            time.sleep(0.3)
            print("from the background")

        threading.Thread(target=speak, daemon=True).start()
    print("in", event.get("name"))


def keeps_a_task(event, context):
    """An event loop and a task that outlive the invocation that began them."""
    if not late:
        loop = asyncio.new_event_loop()

        async def begin():
            queue = asyncio.Queue()

            async def worker():
                while True:
                    print("worker", await queue.get())

            late.extend([loop, queue, asyncio.ensure_future(worker())])

        loop.run_until_complete(begin())

    async def ask():
        late[1].put_nowait(event["name"])
        await asyncio.sleep(0.01)

    late[0].run_until_complete(ask())


def waits(event, context):
    print("waiting", flush=True)
    time.sleep(20)


def calls(event, context):
    """Calls another function and writes to CloudWatch Logs."""
    import boto3

    boto3.client("lambda").invoke(FunctionName="other", Payload=b"{}")
    client = boto3.client("logs")
    client.create_log_group(logGroupName="g")
    stamp = 1700000000123
    answer = client.put_log_events(
        logGroupName="g",
        logStreamName="s",
        logEvents=[{"timestamp": stamp, "message": f"[{level}] {level} text"} for level in ("DEBUG", "INFO", "ERROR")]
        + [{"timestamp": stamp, "message": "no prefix"}],
    )
    return answer["nextSequenceToken"]
