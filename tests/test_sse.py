#!/usr/bin/env python3
"""A small TaskHub client: follow the event stream, change a task, see the change arrive.

    pip install -r tests/requirements.txt
    python tests/test_sse.py [--url http://localhost:8000] [--task-id UUID] [--seconds 10]

Exits 0 when the expected `task_updated` event arrived, 1 with the reason otherwise.
Works with Python 3.9 and later.
"""

import argparse
import asyncio
import json
import sys

import aiohttp

CHANGE = {"new_status": "inprogress", "priority": "high"}
EXPECTED = {"status": "inprogress", "priority": "high"}

SILENCE_SECONDS = 75  # two and a half keepalives: after that the connection is dead
LINE_BYTES_MAX = 4 * 1024 * 1024  # aiohttp's own limit is smaller than a large task


class Failed(Exception):
    """What went wrong, in words for the person at the terminal."""


async def follow(session, url):
    """Yields every message of the stream, for ever.

    After a lost connection it resumes behind the last message it has seen, so nothing is
    missed and nothing comes twice. Only the very first connection may fail.
    """
    last_id = None
    retry_seconds = 1.0
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=SILENCE_SECONDS)
    while True:
        headers = {"Accept": "text/event-stream"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        try:
            async with session.get(url, headers=headers, timeout=timeout) as response:
                response.raise_for_status()
                async for line in response.content:
                    if not line.endswith(b"\n"):
                        break  # cut off in the middle: it comes again, whole
                    if line.startswith(b"retry: "):
                        retry_seconds = int(line[len(b"retry: "):]) / 1000
                    elif line.startswith(b"data: "):  # the rest: id, ": keepalive", blank
                        message = json.loads(line[len(b"data: "):])
                        last_id = message["id"]
                        yield message
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            if last_id is None:
                raise Failed(f"cannot read {url}: {error or 'timed out'}") from error
            print(f"-- connection lost ({error or 'silence'}), resuming after {last_id}")
        await asyncio.sleep(retry_seconds)


async def call(session, method, url, body=None):
    """One request; errors come as application/problem+json, whose `detail` is for people."""
    try:
        async with session.request(method, url, json=body) as response:
            answer = await response.json(content_type=None)
            if response.status >= 400:
                reason = answer.get("detail") or answer.get("title") or response.reason
                raise Failed(f"{method} {url} answered {response.status}: {reason}")
            return answer
    except ValueError as error:
        raise Failed(f"{method} {url} did not answer with JSON") from error
    except (aiohttp.ClientError, asyncio.TimeoutError) as error:
        raise Failed(f"{method} {url}: {error or 'timed out'}") from error


async def prepare(session, url, task_id):
    """A task for which CHANGE really changes something: a change of nothing has no event."""
    if task_id is None:
        task = await call(session, "POST", f"{url}/api/tasks", {"title": "Hello from test_sse.py"})
        print(f"-- created task {task['id']}")
        return task["id"]
    task = await call(session, "GET", f"{url}/api/tasks/{task_id}")
    if all(task.get(field) == value for field, value in EXPECTED.items()):
        print("-- the task is there already, moving it back to todo first")
        await call(session, "PUT", f"{url}/api/tasks/status/{task_id}", {"new_status": "todo"})
    return task_id


def show(message):
    data = json.dumps(message["data"], ensure_ascii=False)
    print(f"{message['timestamp']}  {message['event']:<16} {message['id']:<14} {data}", flush=True)


async def check(url, task_id):
    async with aiohttp.ClientSession(read_bufsize=LINE_BYTES_MAX) as session:
        stream = follow(session, f"{url}/api/events/stream")
        async for message in stream:
            show(message)
            if message["event"] == "connected":
                break

        # Connected, so nothing that happens from here on can be missed.
        task_id = await prepare(session, url, task_id)
        await call(session, "PUT", f"{url}/api/tasks/status/{task_id}", CHANGE)

        async for message in stream:
            show(message)
            data = message["data"]
            if message["event"] != "task_updated" or data["task_id"] != task_id:
                continue
            if all(data.get(field) == value for field, value in EXPECTED.items()):
                return


async def main(arguments):
    url = arguments.url.rstrip("/")
    try:
        await asyncio.wait_for(check(url, arguments.task_id), arguments.seconds)
    except asyncio.TimeoutError:
        expected = ", ".join(f"{field}={value}" for field, value in EXPECTED.items())
        print(f"FAILED: no task_updated with {expected} within {arguments.seconds:g} s", file=sys.stderr)
        return 1
    except Failed as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        return 1
    print("OK: the update arrived")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Follow TaskHub's event stream and check that an update arrives.")
    parser.add_argument("--url", default="http://localhost:8000", help="where TaskHub listens (%(default)s)")
    parser.add_argument("--task-id", help="change this task instead of a new one")
    parser.add_argument("--seconds", type=float, default=10, help="how long to wait (%(default)s)")
    try:
        sys.exit(asyncio.run(main(parser.parse_args())))
    except KeyboardInterrupt:
        sys.exit(130)
