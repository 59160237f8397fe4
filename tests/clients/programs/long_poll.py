"""No stream at all: asks for what came after its cursor, and waits for the answer.

    python long_poll.py URL-OF-THE-EVENTS
"""

import json
import sys
import time

import httpx


def main(url):
    cursor = "earliest"
    with httpx.Client(timeout=75) as client:
        while True:
            try:
                answer = client.get(url, params={"since": cursor, "wait": 60})
                answer.raise_for_status()
            except httpx.TransportError:
                time.sleep(1)
                continue
            for envelope in answer.json():
                print(json.dumps({"envelope": envelope}), flush=True)
            cursor = answer.headers["Taskhub-Cursor"]


if __name__ == "__main__":
    main(sys.argv[1])
