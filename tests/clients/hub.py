"""A hub of our own: the release binary, on ports of our own and with data of its own."""

import asyncio
import functools
import json
import random
import signal
import socket
import time

import aiohttp

START_SECONDS = 10
STOP_SECONDS = 10


class Failed(Exception):
    """What went wrong, in words."""


class Interrupted(Exception):
    """The hub went away before it answered: nobody knows whether it has done what was asked."""


class Hub:
    def __init__(self, binary, directory):
        self.binary = binary
        self.directory = directory
        self.port, self.port_aside = free_ports(2)
        self.process = None
        self.session = None

    async def __aenter__(self):
        self.session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=20), json_serialize=functools.partial(json.dumps, ensure_ascii=False))
        return self

    async def __aexit__(self, *_):
        await self.session.close()
        if self.process and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    def url(self, path, aside=False):
        return f"http://127.0.0.1:{self.port_aside if aside else self.port}{path}"

    async def start(self, aside=False):
        """Starts it; `aside` on a port where no client looks for it."""
        listen = self.url("", aside).removeprefix("http://")
        with open(self.directory / "hub.log", "ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                # A keepalive every second, so that every client gets some.
                self.binary, "--listen", listen, "--data-dir", self.directory / "data", "--keepalive-seconds", "1",
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                await self.call("GET", "/ready", aside=aside)
                return
            except Interrupted:
                if self.process.returncode is not None or time.monotonic() > deadline:
                    raise Failed(f"the hub did not start:\n{self.log()}") from None
                await asyncio.sleep(0.02)

    async def stop(self, how):
        self.process.send_signal(how)
        try:
            code = await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
        except asyncio.TimeoutError:
            raise Failed(f"the hub did not end within {STOP_SECONDS} s of {how.name}") from None
        if how is signal.SIGTERM and code != 0:
            raise Failed(f"the hub ended with {code} after SIGTERM:\n{self.log()}")

    def log(self):
        return (self.directory / "hub.log").read_text()[-2000:]

    async def call(self, method, path, body=None, aside=False):
        """The answer to one request, which must succeed."""
        status, answer, _ = await self.ask(method, path, body, aside=aside)
        if status >= 400:
            raise Failed(f"{method} {path} answered {status}: {answer}")
        return answer

    async def ask(self, method, path, body=None, raw=None, aside=False):
        """One request: its status, its answer and the headers of that."""
        body = {"json": body} if raw is None else {"data": raw, "headers": {"Content-Type": "application/json"}}
        try:
            async with self.session.request(method, self.url(path, aside), **body) as answer:
                is_json = "json" in answer.content_type
                return answer.status, await (answer.json(content_type=None) if is_json else answer.text()), answer.headers
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            raise Interrupted(f"{method} {path}: {error!r}") from error

    async def events(self):
        """The whole log."""
        events, cursor = [], "earliest"
        while True:
            _, page, headers = await self.ask("GET", f"/api/events?since={cursor}&limit=1000")
            if not page:
                return events
            events += page
            cursor = headers["Taskhub-Cursor"]

    async def tasks(self):
        """All tasks, by their id."""
        tasks, path = {}, "/api/tasks?limit=100"
        while path:
            _, page, headers = await self.ask("GET", path)
            tasks.update((task["id"], task) for task in page)
            following = headers.get("Link", "")
            path = following[1:following.index(">")] if 'rel="next"' in following else None
        return tasks


def free_ports(count):
    """Ports below the range from which the kernel takes those of clients: nobody gets ours between two hubs."""
    found = []
    for port in random.sample(range(20000, 32000), 1000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(port)
        if len(found) == count:
            return found
    raise Failed("no free port")
