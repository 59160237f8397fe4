#!/usr/bin/env python3
"""Runs what README.md and docs/ show, word for word, against a running hub.

    python tests/readme.py http://localhost:PORT PATH_TO_TASKHUB

A block behind `<!-- run: NAME -->` is run as it stands; only `localhost:8000` becomes the hub's
own address, so that the port need not be free. The JavaScript block is run by tests/browser. For what
they say of TLS a hub of its own is started.
"""

import json
import os
import pathlib
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
SECONDS = 20


def blocks():
    text = "".join(page.read_text() for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    found = re.findall(r"<!-- run: (\w+) -->\n```\w+\n(.*?)```", text, re.S)
    return dict(found)


class Follower:
    """A client that prints the stream, and what it has printed so far."""

    def __init__(self, command, script):
        self.process = subprocess.Popen(command + [script], stdout=subprocess.PIPE, text=True)
        self.seen = ""
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line)

    def wait_for(self, *words):
        deadline = time.monotonic() + SECONDS
        for word in words:
            while word not in self.seen:
                try:
                    self.seen += self.lines.get(timeout=max(0, deadline - time.monotonic()))
                except queue.Empty:
                    raise AssertionError(f"{word!r} did not arrive; seen: {self.seen!r}") from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def shell(script, **options):
    # Some write files where they are run.
    with tempfile.TemporaryDirectory() as directory:
        options = {"cwd": directory, **options}
        done = subprocess.run(["sh", "-ec", script], capture_output=True, text=True, timeout=SECONDS, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def call(base, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(base + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        return json.load(answer)


def ask(shown, base, program):
    """Asks as a script does, answers, and gives back what the script has printed."""
    task = call(base, "POST", "/api/tasks", {"title": "Deploy"})["id"]
    own = {"TASKHUB_URL": base, "TASKHUB_TASK_ID": task}
    path = f"{pathlib.Path(program).resolve().parent}:{os.environ['PATH']}"
    options = {"stdout": subprocess.PIPE, "text": True, "env": {**os.environ, **own, "PATH": path}}
    with subprocess.Popen(["sh", "-ec", shown["ask"]], **options) as script:
        deadline = time.monotonic() + SECONDS
        while not call(base, "GET", "/api/questions?open=true"):
            assert time.monotonic() < deadline, "nobody asks"
            time.sleep(0.05)
        shell(shown["answer"])
        return script.communicate(timeout=SECONDS)[0]


def secure(shown, program):
    """Makes a certificate, starts a hub with it, and speaks with that."""
    with tempfile.TemporaryDirectory() as work:
        own = {"TASKHUB_LISTEN": "127.0.0.1:0", "TASKHUB_DATA_DIR": f"{work}/data", "TASKHUB_LOG_FORMAT": "json"}
        path = f"{pathlib.Path(program).resolve().parent}:{os.environ['PATH']}"
        options = {"cwd": work, "env": {**os.environ, **own, "PATH": path}}
        shell(shown["certificate"], **options)
        hub = subprocess.Popen(["sh", "-c", "exec " + shown["secure"]], stderr=subprocess.PIPE, text=True, **options)
        try:
            board = next(board for line in hub.stderr if (board := json.loads(line).get("board")))
            return shell(shown["trusting"].replace("https://localhost:8000", board), **options)
        finally:
            hub.terminate()
            hub.wait()


def main():
    base, program = sys.argv[1:]
    shown = {name: text.replace("http://localhost:8000", base) for name, text in blocks().items()}
    followers = {
        "curl": lambda: Follower(["sh", "-c"], "exec " + shown["curl"]),
        "python": lambda: Follower([sys.executable, "-c"], shown["python"]),
    }
    passed = 0
    for name, start in followers.items():
        with start() as follower:
            follower.wait_for("connected")
            shell(shown["change"])
            follower.wait_for("task_created", "task_updated", "inprogress", "high")
        print(f"ok: {name} follows while the first screen's commands run")
        passed += 1

    answer = shell(shown["everyday"])
    assert '"assignee":"alice"' in answer and '"task_created"' in answer, answer
    print("ok: the everyday requests")
    passed += 1

    answer = shell(shown["projects"])
    assert '"key":"shop-1"' in answer and '"archived":true' in answer, answer
    print("ok: projects and keys")
    passed += 1

    answer = shell(shown["ready"])
    assert '"summary":"it waits for ' in answer and '"met":true' in answer, answer
    print("ok: a task waits for another")
    passed += 1

    answer = shell(shown["claim"])
    assert '"worker":"bot-1"' in answer and '"status":"done"' in answer, answer
    print("ok: a worker claims a task, renews its lease and reports")
    passed += 1

    for name in ("mcp", "mcp_initialize"):
        answer = shell(shown[name])
        answers = [json.loads(line) for line in answer.replace("}{", "}\n{").splitlines()]
        assert answers and all("result" in it for it in answers), answer
        assert "tasks" in answers[-1]["result"]["structuredContent"], answer
    print("ok: a call of a tool in both eras of MCP")
    passed += 1

    answer = shell(shown["batch"])
    assert answer.count('"status":201') == 2, answer
    print("ok: a batch of lines")
    passed += 1

    answer = shell(shown["comments"])
    assert answer.count('"author":"alice"') == 2, answer
    print("ok: a comment is added and listed")
    passed += 1

    said = ask(shown, base, program)
    assert said == "deploying\n", said
    print("ok: a script asks, and goes on with the answer")
    passed += 1

    answer = shell(shown["exec"])
    log, end = json.JSONDecoder().raw_decode(answer, answer.index('{"log_file"'))
    assert log["text"].startswith("hello from taskhub-"), log
    assert '"event":"end"' in answer[end:].strip().splitlines()[-1], answer[end:]
    print("ok: exec prints its session's name")
    passed += 1

    task = call(base, "POST", "/api/tasks", {"title": "Report by itself"})["id"]
    call(base, "POST", f"/api/exec/{task}", {"script_content": shown["report"]})
    deadline = time.monotonic() + SECONDS
    while call(base, "GET", f"/api/tasks/{task}")["status"] != "done":
        assert time.monotonic() < deadline, call(base, "GET", f"/api/exec/{task}/logs")
        time.sleep(0.05)
    print("ok: a script reports that its task is done")
    passed += 1

    answer = secure(shown, program)
    assert '"status":"ok"' in answer and answer.endswith("hello\n"), answer
    print("ok: a hub with a certificate of its own")
    passed += 1

    print(f"{passed} passed, 0 failed")


if __name__ == "__main__":
    main()
