"""httpx with httpx-sse, which leaves reconnecting to its user.

    python httpx_sse_client.py URL-OF-THE-STREAM
"""

import json
import sys
import time

import httpx
from httpx_sse import connect_sse


def main(url):
    last_id = ""
    retry_seconds = 1.0
    with httpx.Client(timeout=httpx.Timeout(5, read=75)) as client:
        while True:
            headers = {"Last-Event-ID": last_id} if last_id else {}
            try:
                with connect_sse(client, "GET", url, headers=headers) as source:
                    for message in source.iter_sse():
                        last_id = message.id
                        if message.retry is not None:
                            retry_seconds = message.retry / 1000
                        if message.data:  # it yields keepalives and `retry:`, too, without data
                            show(message)
            except httpx.TransportError:
                pass
            time.sleep(retry_seconds)


def show(message):
    print(json.dumps({"id": message.id, "type": message.event, "envelope": message.json()}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
