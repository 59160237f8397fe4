#!/usr/bin/env python3
"""The MCP endpoint with the clients that use it, and what the protocol's makers test servers with.

    python3 tests/mcp/run.py [--binary target/release/taskhub] [PART…]

Prints one line for each check and `N passed, M failed`. The hubs and all clients are this program's own.
"""

import argparse
import contextlib
import pathlib
import shutil
import signal
import sys
import tempfile
import typing

import agents
import conformance
import inspector
import programs
import tokens
from command import HERE, ROOT
from hub import Failed, Hub

sys.path.append(str(HERE.parent / "clients"))
from report import Report

PARTS = {
    "tokens": tokens.check,
    "conformance": conformance.check,
    "inspector": inspector.check,
    "inspector-bridge": inspector.check_bridge,
    "programs": programs.check,
    "programs-bridge": programs.check_bridge,
    "agents": agents.check,
}


class Hubs(typing.NamedTuple):
    """One that lets everybody in, and one that asks for a token."""

    open: Hub
    guarded: Hub


def main(binary, names):
    report = Report()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="taskhub-mcp-"))
    try:
        with contextlib.ExitStack() as stack:
            hubs = Hubs(*(stack.enter_context(Hub(binary, directory / name, name == "guarded")) for name in ("open", "guarded")))
            for name in names or PARTS:
                home = directory / f"home-{name}"
                home.mkdir()
                try:
                    PARTS[name](hubs, home, report)
                except Exception as error:  # a part that breaks must not hide the others
                    report.add(name, repr(error))
                report.note(f"{name} is through")
    except (Failed, OSError) as error:
        report.add("the hubs", error)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return report.end()


if __name__ == "__main__":
    # So that the hubs end with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(description="The MCP endpoint with the clients that use it.")
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "target/release/taskhub")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; without: all")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    sys.exit(main(arguments.binary.resolve(), arguments.parts))
