#!/usr/bin/env python3
"""A worker: takes the most pressing task that nobody has, does it, and reports it for review.

    python3 examples/worker.py [--url http://localhost:8000] [--name NAME] [--once]

Two workers never take the same task: the report carries the version that was read (`If-Match`), and the hub refuses the
second one with 412. The worker asks the hub's log for news instead of polling the list (`wait=`).
"""

import argparse
import json
import os
import urllib.error
import urllib.request


class Hub:
    def __init__(self, url):
        self.url = url

    def call(self, method, path, body=None, headers=()):
        """Sends a request. Answers the headers and the JSON of the answer."""
        headers = {"Content-Type": "application/json", **dict(headers)}
        if token := os.environ.get("TASKHUB_TOKEN"):
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=90) as answer:
            return answer.headers, json.load(answer)


def take(hub, name):
    """A task that is this worker's from now on, or None, and the place in the log at which the list was read."""
    headers, tasks = hub.call("GET", "/api/tasks?status=todo&assignee=none&sort=priority&order=desc&limit=10")
    for task in tasks:
        report = {"new_status": "inprogress", "assignee": name}
        try:
            condition = {"If-Match": f'"{task["version"]}"'}
            return hub.call("PUT", f"/api/tasks/status/{task['id']}", report, condition)[1], None
        except urllib.error.HTTPError as error:
            if error.code not in (404, 412):  # somebody was faster
                raise
    return None, headers["Taskhub-Cursor"]


def do(task):
    """The work itself. Answers paths of what came of it."""
    print(f"working on {task['title']}", flush=True)
    return [f"results/{task['id']}.txt"]


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--url", default=os.environ.get("TASKHUB_URL", "http://localhost:8000"))
    arguments.add_argument("--name", default=f"worker-{os.getpid()}")
    arguments.add_argument("--once", action="store_true", help="end when there is nothing to do")
    options = arguments.parse_args()
    hub = Hub(options.url)
    while True:
        task, cursor = take(hub, options.name)
        if task:
            hub.call("PUT", f"/api/tasks/status/{task['id']}", {"new_status": "review", "artifacts": do(task)})
        elif options.once:
            return
        else:  # until something happens to a task, or for a minute
            hub.call("GET", f"/api/events?since={cursor}&wait=60&limit=1&events=task_created,task_updated")


if __name__ == "__main__":
    main()
