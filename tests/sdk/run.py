#!/usr/bin/env python3
"""Generated clients, compiled and driven against a hub, and what docs/clients.md shows in their languages.

    tests/sdk/.venv/bin/python tests/sdk/run.py [--binary target/release/taskhub] [CLIENT…]

Prints one line for each check and `N passed, M failed`. The hubs and all clients are this program's own.
"""

import argparse
import asyncio
import contextlib
import pathlib
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile

from clients import CLIENTS, HERE, ROOT, STEPS
from command import run

sys.path.append(str(HERE.parent / "clients"))
import readme
from hub import Failed, Hub, Interrupted
from report import Report

BUILD_SECONDS = 420  # progenitor and all it is made of, on two busy cores
PROGRAM_SECONDS = 60
BUILDS_AT_A_TIME = 2


async def build(client, specification):
    """Generates a client afresh, so that nothing of an older specification is left, and compiles its program."""
    for folder in ("generated", "build"):
        shutil.rmtree(client.path / folder, ignore_errors=True)
    (client.path / "taskhub.json").write_text(client.adapt(specification))
    for command in client.build:
        await run(command, client.path, BUILD_SECONDS, **client.environment)


async def drive(client, hub, guarded, token, report):
    """Runs the program. What it does not say it has not done."""
    environment = {
        **client.environment,
        "TASKHUB_URL": hub.url(""),
        "TASKHUB_GUARDED_URL": guarded.url(""),
        "TASKHUB_TOKEN": token,
        "TASKHUB_TAG": f"{client.folder}-{secrets.token_hex(4)}",
    }
    problem = None
    try:
        output = await run(client.program, client.path, PROGRAM_SECONDS, **environment)
    except Failed as error:
        output, problem = str(error), error
    said = [line.removeprefix("ok: ") for line in output.splitlines() if line.startswith("ok: ")]
    for step in STEPS:
        report.add(f"{client.name}: {step}", None if step in said else problem or f"its program has only said {said}")
        if step not in said:
            problem = "see above"


async def build_and_drive(client, specification, turns, hub, guarded, token, report):
    async with turns:
        try:
            await build(client, specification)
        except (Failed, OSError) as error:
            report.add(f"{client.name}: is generated and compiled", error)
            return
        report.add(f"{client.name}: is generated and compiled", None)
        await drive(client, hub, guarded, token, report)
        report.note(f"{client.name} is through")


async def start_hubs(stack, binary, directory):
    """An open one, and one that asks for a token."""
    hubs = []
    for name in ("open", "guarded"):
        (directory / name).mkdir()
        hubs.append(await stack.enter_async_context(Hub(binary, directory / name)))
    hub, guarded = hubs
    data = guarded.directory / "data"
    token = await run(f"{binary} token create --name sdk --scope exec --data-dir {data} 2>&-", directory, 10)
    await hub.start()
    await guarded.start()
    return hub, guarded, token.strip()


async def main(binary, names):
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    report = Report()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="taskhub-sdk-"))
    wanted = [client for client in CLIENTS if not names or client.folder in names]
    specification = (ROOT / "openapi/taskhub.json").read_text()
    turns = asyncio.Semaphore(BUILDS_AT_A_TIME)
    try:
        async with contextlib.AsyncExitStack() as stack:
            hubs = await start_hubs(stack, binary, directory)
            clients = (build_and_drive(client, specification, turns, *hubs, report) for client in wanted)
            await asyncio.gather(*clients)
            if not names or "readme" in names:
                await readme.check(stack, binary, directory, turns, report)
    except (Failed, Interrupted, OSError) as error:
        report.add("the story", error)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return report.end()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Generated clients, compiled and driven against a hub.")
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "target/release/taskhub")
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help="folders, or readme; without: all")
    arguments = parser.parse_args()
    sys.exit(asyncio.run(main(arguments.binary.resolve(), arguments.clients)))
