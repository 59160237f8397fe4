#!/usr/bin/env python3
"""Runs the programs of examples/ against a hub of their own, which is stopped and started again meanwhile.

    python3 tests/examples.py PATH_TO_TASKHUB
"""

import functools
import http.server
import json
import os
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
SECONDS = 30


class Hub:
    """A hub on a port of its own, which it keeps when it is started again."""

    def __init__(self, program, data, *options):
        self.command = [program, "--data-dir", data, "--log-format", "json", *options]
        self.address = "127.0.0.1:0"
        self.start()

    def start(self):
        self.process = subprocess.Popen([*self.command, "--listen", self.address], stderr=subprocess.PIPE, text=True)
        told = next(it for it in map(json.loads, self.process.stderr) if it["message"] == "TaskHub is ready")
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        self.address = told["listening"]
        self.url = f"http://{self.address}"

    def stop(self):
        self.process.terminate()
        self.process.wait(SECONDS)

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return json.load(answer)

    def create(self, title, **fields):
        return self.call("POST", "/api/tasks", {"title": title, **fields})["id"]

    def finish(self, task):
        self.call("PUT", f"/api/tasks/status/{task}", {"new_status": "done"})


class Lines:
    """What a program prints, line by line."""

    def __init__(self, command, **options):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True, **options)
        self.queue = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.queue.put(line.strip())

    def until(self, is_wanted):
        seen = []
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                seen.append(self.queue.get(timeout=max(0, deadline - time.monotonic())))
            except queue.Empty:
                raise AssertionError(f"not in time; it printed {seen}") from None
            if is_wanted(seen[-1]):
                return seen

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.killpg(self.process.pid, 9)
        self.process.wait()


def wait_for(what, is_there):
    deadline = time.monotonic() + SECONDS
    while not is_there():
        assert time.monotonic() < deadline, f"{what}: not in time"
        time.sleep(0.05)


def worker(hub, _):
    tasks = {hub.create(f"w{number}", priority=priority): priority for number, priority in enumerate(["low", "high", "medium"] * 4)}
    command = [sys.executable, str(EXAMPLES / "worker.py"), "--url", hub.url, "--once"]
    workers = [Lines([*command, "--name", name]) for name in ("ada", "bob")]
    for process in (it.process for it in workers):
        assert process.wait(SECONDS) == 0
    states = [hub.call("GET", f"/api/tasks/{task}") for task in tasks]
    assert all(it["status"] == "review" and it["artifacts"] == [f"results/{it['id']}.txt"] for it in states), states
    worked = [line for it in workers for line in list(it.queue.queue)]
    assert len(worked) == len(tasks), f"{len(tasks)} tasks were worked on {len(worked)} times"


def notify(hub, work):
    (first, second, third) = (hub.create(f"n{number}") for number in range(3))
    environment = {**os.environ, "TASKHUB_URL": hub.url, "CURSOR_FILE": f"{work}/cursor"}
    with Lines([str(EXAMPLES / "notify.sh"), "echo", "done:"], env=environment) as follower:
        wait_for("the cursor", lambda: os.path.exists(f"{work}/cursor"))
        hub.finish(first)
        follower.until(lambda line: line == "done: n0")
        hub.stop()
        hub.start()
        hub.finish(second)
        follower.until(lambda line: line == "done: n1")
        head = hub.call("GET", "/api/events/status")["head"]
        wait_for("the cursor", lambda: pathlib.Path(f"{work}/cursor").read_text().strip() == head)
    hub.finish(third)
    with Lines([str(EXAMPLES / "notify.sh"), "echo", "done:"], env=environment) as follower:
        assert follower.until(lambda line: line == "done: n2") == ["done: n2"], "told twice"


def rust_client(hub, _):
    task = hub.create("r0")
    subprocess.run(["cargo", "build", "--quiet", "--locked"], cwd=EXAMPLES / "rust-client", check=True)
    with Lines([str(EXAMPLES / "rust-client/target/debug/taskhub-rust-client"), hub.url]) as client:
        before = hub.call("GET", "/api/tasks?status=done&limit=500")
        client.until(lambda line: '"todo": 1' in line)
        hub.finish(task)
        client.until(lambda line: f'"done": {len(before) + 1}' in line and "todo" not in line)
        hub.stop()
        hub.start()
        hub.create("r1")
        client.until(lambda line: '"todo": 1' in line)


def dashboard(hub, _, page):
    command = ["node", str(ROOT / "tests/page_text.mjs"), f"{page}/dashboard.html?hub={hub.url}", "up to date"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60)
    for status in ("todo", "inprogress", "review", "done"):
        tasks = hub.call("GET", f"/api/tasks?status={status}&limit=500")
        assert f"{status}\t{len(tasks)}" in shown.stdout, shown


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def main():
    program = str(pathlib.Path(sys.argv[1]).resolve())
    passed = failed = 0
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=EXAMPLES))
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    page = f"http://127.0.0.1:{pages.server_port}"
    with tempfile.TemporaryDirectory() as work:
        hub = Hub(program, f"{work}/data", "--allow-origin", page)
        try:
            for example in (worker, notify, rust_client, functools.partial(dashboard, page=page)):
                name = getattr(example, "func", example).__name__
                try:
                    example(hub, work)
                    passed += 1
                    print(f"ok: {name}")
                except Exception as error:  # each is tried
                    failed += 1
                    print(f"FAILED: {name}: {type(error).__name__}: {error}")
        finally:
            hub.stop()
    print(f"{passed} passed, {failed} failed")
    return failed


sys.exit(min(main(), 1))
