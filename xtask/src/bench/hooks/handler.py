"""What the benchmark of the hooks runs in a function's container."""

import os
import time
import urllib.request


def handler(event, context):
    count = event.get("lines", 0)
    start = time.perf_counter()
    if event.get("post"):
        # What a function without hooks would do: one request on a new connection for each line.
        url = os.environ["SINK"] + "/insert/jsonline?_msg_field=message&_time_field=_time"
        for number in range(count):
            body = b'{"_time":"0","message":"posted %d"}\n' % number
            request = urllib.request.Request(url, body, {"Content-Type": "application/stream+json"})
            urllib.request.urlopen(request).read()
    else:
        for number in range(count):
            print("printed", number)
    return {"seconds": time.perf_counter() - start}
