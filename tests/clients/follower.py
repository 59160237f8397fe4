"""A follower: one client program and all that it has received. `programs/` are models of what its users write.

A program gets the address to follow and prints a line of JSON for each message:
`{"envelope": …}`, with `id` and `type` where its library shows them.
"""

import asyncio
import json
import os
import pathlib
import signal
import sys
import time
from dataclasses import dataclass, field, replace

PROGRAMS = pathlib.Path(__file__).resolve().parent / "programs"
LINE_BYTES_MAX = 1 << 25
END_SECONDS = 5
CONTROL = {"connected", "checkpoint", "snapshot", "reset", "goodbye"}


@dataclass
class Client:
    name: str
    command: list
    path: str = "/api/events/stream"
    format: str = "sse"  # as the hub calls it; None without a stream
    is_event_source: bool = False  # and so can say its readyState
    also_from_snapshot: bool = True  # of all, that would be more than two cores can do in time


CLIENTS = [
    Client("Chromium EventSource", ["node", "chromium.mjs"], is_event_source=True),
    Client("Chromium EventSource, named", ["node", "chromium.mjs"], "/api/events/stream?named=true", "named_sse", True),
    Client("Node eventsource", ["node", "node.mjs"], is_event_source=True),
    Client("Node undici", ["node", "undici.mjs"], is_event_source=True, also_from_snapshot=False),
    Client("Node event-source-polyfill", ["node", "polyfill.mjs"], is_event_source=True, also_from_snapshot=False),
    Client("Node fetch-event-source", ["node", "fetch_event_source.mjs"], also_from_snapshot=False),
    Client("Go r3labs sse", ["go/build/r3labs"], also_from_snapshot=False),
    Client("Go tmaxmax go-sse", ["go/build/tmaxmax"], also_from_snapshot=False),
    Client("Rust eventsource-client", ["rust/build/eventsource_client"], also_from_snapshot=False),
    Client("Rust reqwest-eventsource", ["rust/build/reqwest_eventsource"], also_from_snapshot=False),
    Client("Java OkHttp", ["java", "-Dstdout.encoding=UTF-8", "-cp", "okhttp/build:okhttp/build/*", "Program"], also_from_snapshot=False),
    Client("Python httpx-sse", [sys.executable, "httpx_sse_client.py"]),
    Client("Python aiohttp", [sys.executable, "aiohttp_client.py"]),
    Client("curl", ["bash", "curl.sh"]),
    Client("curl NDJSON", ["bash", "ndjson.sh"], format="ndjson"),
    Client("long poll", [sys.executable, "long_poll.py"], "/api/events", None),
]


def from_snapshot(client):
    path = client.path + ("&" if "?" in client.path else "?") + "snapshot=true"
    return replace(client, name=f"{client.name}, from a snapshot", path=path)


SNAPSHOT_CLIENTS = [from_snapshot(client) for client in CLIENTS if client.format and client.also_from_snapshot]


@dataclass
class Follower:
    client: Client
    url: str
    directory: pathlib.Path
    messages: list = field(default_factory=list)
    ready_state: int = None
    ended: str = None  # why it has ended by itself
    late: str = None  # what it did not reach in time

    async def __aenter__(self):
        program, *names = self.client.command
        self.stderr = self.directory / f"{self.client.name}.log"
        with open(self.stderr, "wb") as stderr:
            self.process = await asyncio.create_subprocess_exec(
                program, *names, self.url, cwd=PROGRAMS, limit=LINE_BYTES_MAX, start_new_session=True,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=stderr)
        self.news = asyncio.Event()
        self.stopping = False
        self.reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_):
        self.stopping = True
        if self.process.returncode is None:
            self.process.stdin.close()
            if not self.client.is_event_source:  # those end by themselves with their input, and their browser with them
                self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), END_SECONDS)
            except asyncio.TimeoutError:
                pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # and what it has started
        except ProcessLookupError:
            pass
        self.reader.cancel()
        await asyncio.gather(self.reader, self.process.wait(), return_exceptions=True)

    async def _read(self):
        try:
            async for line in self.process.stdout:
                message = json.loads(line)
                if "readyState" in message:
                    self.ready_state = message["readyState"]
                else:
                    self.messages.append(message)
                self.news.set()
        except ValueError as error:
            self.ended = f"it printed what is not a message: {error}"
        code = await self.process.wait()
        if not self.stopping:
            self.ended = self.ended or f"it ended with {code}: {self.stderr.read_text()[-1000:]}"
        self.news.set()

    async def until(self, seen, what, deadline):
        """Waits until a message is `seen`; gives up for good when it is late."""
        looked_at = 0
        while not self.late and not self.ended:
            self.news.clear()
            if any(seen(message["envelope"]) for message in self.messages[looked_at:]):
                return
            looked_at = len(self.messages)
            try:
                await asyncio.wait_for(self.news.wait(), max(0, deadline - time.monotonic()))
            except asyncio.TimeoutError:
                self.late = f"{what} did not arrive in time"

    async def say_state(self):
        """Asks an EventSource how it stands; it ends after that."""
        self.stopping = True
        self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), END_SECONDS)
            await self.reader
        except asyncio.TimeoutError:
            pass

    def events(self):
        """What it got from the log, without the words about the connection."""
        return [m["envelope"] for m in self.messages if m["envelope"]["event"] not in CONTROL]


async def catch_up(followers, seen, what, seconds):
    deadline = time.monotonic() + seconds
    await asyncio.gather(*(follower.until(seen, what, deadline) for follower in followers))
