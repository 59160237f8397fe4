"""What docs/clients.md shows, word for word: generated, compiled, and followed across restarts.

Only `localhost:8000` becomes the address of a hub of our own, so that the port need not be free.
"""

import asyncio
import contextlib
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

from clients import ENVIRONMENT, HERE, ROOT
from command import end, run
from hub import Failed, Hub

BUILD_SECONDS = 180
CONNECT_SECONDS = 30
CATCH_UP_SECONDS = 20  # who comes back waits up to five seconds
KINDS = {"task_created", "task_updated", "task_deleted", "execution_event", "announcement"}
# A line begins with an event's id and its kind; curl prints the whole message.
PRINTED = re.compile(r'^(?:\{"id":)?"?([0-9a-f]{8}-\d{1,19})\W+(?:event\W+)?(\w+)(.*)')
TSC = (
    "tsc --noEmit --strict --noUncheckedIndexedAccess --noUnusedLocals --noUnusedParameters --target es2023 --types node "
    "--module preserve --moduleResolution bundler follow.ts"
)


@dataclass
class Snippet:
    name: str
    file: str
    command: str
    compile: str = "true"


SNIPPETS = [
    Snippet(
        "rust", "src/main.rs", str(ROOT / "target/sdk/debug/taskhub-follow"),
        "cargo clippy --quiet --locked -- -D warnings && cargo build --quiet --locked"),
    Snippet(
        "java", "Follow.java", "java -cp 'generated/target/classes:generated/target/dependency/*' Follow.java",
        "javac -Xlint:all -Werror -d checked -cp 'generated/target/classes:generated/target/dependency/*' Follow.java"),
    Snippet("go", "follow.go", "./follow", "go vet . && go build ."),
    Snippet("python", "follow.py", f"PYTHONPATH=generated {sys.executable} -W error follow.py"),
    Snippet("typescript", "follow.ts", "tsx follow.ts", TSC),
    Snippet("curl", "follow.sh", "sh follow.sh"),
]


def blocks(address):
    text = (ROOT / "docs/clients.md").read_text().replace("http://localhost:8000", address)
    return dict(re.findall(r"<!-- run: (\w+) -->\n```\w+\n(.*?)```", text, re.S))


async def prepare(snippet, folder, shown):
    """The folder as somebody has it who has done what the page says."""
    folder.mkdir()
    if snippet.name == "typescript":
        (folder / "node_modules").symlink_to(HERE / "node_modules")
        (folder / "package.json").write_text("{}")
    if snippet.name == "rust":
        for name in ("Cargo.toml", "Cargo.lock"):
            text = (HERE / "rust" / name).read_text()
            (folder / name).write_text(text.replace('name = "taskhub-program"', 'name = "taskhub-follow"'))
    file = folder / snippet.file
    file.parent.mkdir(exist_ok=True)
    file.write_text(shown[f"follow_{snippet.name}"])
    (folder / "generate.sh").write_text(shown.get(f"generate_{snippet.name}", ""))
    await run("sh -e generate.sh", folder, BUILD_SECONDS)
    await run(snippet.compile, folder, BUILD_SECONDS)


class Follower:
    """A running snippet, and the events that it has printed."""

    def __init__(self, snippet, folder):
        self.snippet, self.folder = snippet, folder
        self.printed = []  # id, kind and what else the line says

    async def __aenter__(self):
        self.errors = open(self.folder / "errors.log", "wb")
        self.process = await asyncio.create_subprocess_shell(
            self.snippet.command, cwd=self.folder, env=ENVIRONMENT, start_new_session=True, limit=1 << 20,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors)
        self.reading = asyncio.create_task(self.read())
        return self

    async def __aexit__(self, *_):
        end(self.process)
        await self.process.wait()
        await self.reading
        self.errors.close()

    async def read(self):
        async for line in self.process.stdout:
            if found := PRINTED.match(line.decode()):
                self.printed.append(found.groups())

    def events(self):
        return [event for event, kind, _ in self.printed if kind in KINDS]

    def has(self, event):
        return event in self.events()

    def is_connected(self):
        return any(kind == "connected" for _, kind, _ in self.printed)

    def problem(self, log, first):
        """None, or what it has missed, doubled or told in another order since the event `first`."""
        wanted = log[log.index(first):]
        got = self.events()
        got = got[got.index(first):] if first in got else got
        if got != wanted:
            return f"printed {got} and not {wanted}; {(self.folder / 'errors.log').read_text()[-1000:]}"
        return None if self.process.returncode is None else f"it has ended with {self.process.returncode}"


async def wait_until(followers, holds, what, seconds):
    deadline = time.monotonic() + seconds
    while late := [it for it in followers if not holds(it)]:
        if time.monotonic() > deadline or any(it.process.returncode is not None for it in late):
            told = (f"{it.snippet.name} ({(it.folder / 'errors.log').read_text()[-1000:]})" for it in late)
            raise Failed(f"docs/clients.md: {what} did not come to {', '.join(told)}")
        await asyncio.sleep(0.05)


async def change(hub, title, **where):
    """A task that is made and reported on; the id of the second event."""
    task = await hub.call("POST", "/api/tasks", {"title": title}, **where)
    await hub.call("PUT", f"/api/tasks/status/{task['id']}", {"new_status": "done"}, **where)
    return (await hub.call("GET", f"/api/events?task_id={task['id']}", **where))[-1]["id"]


async def check(stack, binary, directory, turns, report):
    """Generates and compiles all, and has them follow a hub that is stopped, changed meanwhile, killed and started again."""
    (directory / "readme").mkdir()
    hub = await stack.enter_async_context(Hub(binary, directory / "readme"))
    await hub.start()
    shown = blocks(hub.url(""))
    ready = []

    async def make(snippet):
        async with turns:
            folder = directory / f"readme-{snippet.name}"
            try:
                await prepare(snippet, folder, shown)
                if snippet.name == "typescript":
                    await narrows(folder, shown, report)
                ready.append(Follower(snippet, folder))
                problem = None
            except (Failed, KeyError) as error:
                problem = repr(error)
            report.add(f"docs/clients.md, {snippet.name}: is generated and compiled", problem)

    await asyncio.gather(*map(make, SNIPPETS))
    report.note("what docs/clients.md shows is compiled")
    async with contextlib.AsyncExitStack() as running:
        followers = [await running.enter_async_context(it) for it in ready]
        await wait_until(followers, Follower.is_connected, "`connected`", CONNECT_SECONDS)
        first = await change(hub, "Live")
        await wait_until(followers, lambda it: it.has(first), "an event", CATCH_UP_SECONDS)
        for how in (signal.SIGTERM, signal.SIGKILL):
            await hub.stop(how)
            await hub.start(aside=True)
            await change(hub, "Missed", aside=True)
            await hub.stop(signal.SIGTERM)
            await hub.start()
            last = await change(hub, "Here again")
            await wait_until(followers, lambda it: it.has(last), f"what was missed at {how.name}", CATCH_UP_SECONDS)
        log = [event["id"] for event in await hub.events()]
        for follower in followers:
            name = f"docs/clients.md, {follower.snippet.name}"
            report.add(f"{name}: misses nothing over two restarts", follower.problem(log, first))
            told = any(kind == "task_updated" and "Here again" in rest for _, kind, rest in follower.printed)
            report.add(f"{name}: reads the data of an update", None if told else f"has printed {follower.printed}")


async def narrows(folder, shown, report):
    """`event.event === "task_updated"` gives `data` its type, and another kind gives it another."""
    wrong = shown["follow_typescript"].replace('=== "task_updated"', '=== "announcement"')
    (folder / "follow.ts").write_text(wrong)
    problem = "the data of an announcement has a title, too"
    try:
        await run(TSC, folder, BUILD_SECONDS)
    except Failed as error:
        if "Property 'title' does not exist on type 'AnnouncementEventData'" in str(error):
            problem = None
        else:
            problem = error
    (folder / "follow.ts").write_text(shown["follow_typescript"])
    report.add("docs/clients.md, typescript: knows the data of a kind by its name", problem)
