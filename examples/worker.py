#!/usr/bin/env python3
"""A worker: claims the most pressing task, does it while it renews its lease, and reports it for review.

    python3 examples/worker.py [--url http://localhost:8000] [--name NAME] [--once]

Two workers never have the same task. A worker that dies loses its lease, and another one gets the task. The claim waits for
work, so the worker never polls.
"""

import argparse
import json
import os
import threading
import urllib.error
import urllib.request

LEASE_SECONDS = 30


class Hub:
    def __init__(self, url):
        self.url = url

    def call(self, method, path, body=None, headers=()):
        """Sends a request. Answers the JSON of the answer, or None when it has no body."""
        headers = {"Content-Type": "application/json", **dict(headers)}
        if token := os.environ.get("TASKHUB_TOKEN"):
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=90) as answer:
            return json.loads(answer.read() or "null")


def renew(hub, lease, done):
    """Renews a lease until the work is done. When the lease is lost, the report will be refused."""
    while not done.wait(LEASE_SECONDS / 3):
        try:
            hub.call("PUT", f"/api/leases/{lease}", {})
        except urllib.error.HTTPError:
            return
        except OSError:
            continue  # a hub that restarts gives the lease its full time again


def do(task):
    """The work itself. Answers paths of what came of it."""
    print(f"working on {task['key']}: {task['title']}", flush=True)
    return [f"results/{task['id']}.txt"]


def work_on(hub, task):
    lease, done = task["lease"]["id"], threading.Event()
    renewing = threading.Thread(target=renew, args=(hub, lease, done))
    renewing.start()
    try:
        report = {"new_status": "review", "artifacts": do(task), "comment": "Done; please look at the results."}
    finally:
        done.set()
        renewing.join()
    try:
        hub.call("PUT", f"/api/tasks/status/{task['id']}", report, {"Taskhub-Lease": lease})
    except urllib.error.HTTPError as error:
        if error.code != 409:  # lease_lost: somebody else has the task now
            raise
        print(f"{task['key']} was taken away", flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--url", default=os.environ.get("TASKHUB_URL", "http://localhost:8000"))
    arguments.add_argument("--name", default=f"worker-{os.getpid()}")
    arguments.add_argument("--once", action="store_true", help="end when there is nothing to do")
    options = arguments.parse_args()
    hub = Hub(options.url)
    claim = {"worker": options.name, "lease_seconds": LEASE_SECONDS, "wait_seconds": 0 if options.once else 60}
    while True:
        task = hub.call("POST", "/api/tasks/claim", claim)
        if task:
            work_on(hub, task)
        elif options.once:
            return


if __name__ == "__main__":
    main()
