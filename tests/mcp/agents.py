"""The programs of agents: `mcp add` as the documentation says, then what they say of the connection.

Each has a home directory of its own. No model is asked. A proxy that nobody serves keeps all of them on loopback.
"""

import json
import os
import re
import select
import subprocess
import time

from command import MODULES, environment, run
from hub import Failed

AGENT_SECONDS = 60
LOOPBACK_ONLY = {
    "HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1,localhost",
    "DISABLE_TELEMETRY": "1", "DISABLE_AUTOUPDATER": "1", "GEMINI_CLI_TRUST_WORKSPACE": "true",
}
HEADER = "Authorization: Bearer {token}"


def check(hubs, home, report):
    for name, agent in {"claude": claude, "codex": codex, "gemini": gemini}.items():
        at_home = home / name
        at_home.mkdir()
        try:
            connected = agent(at_home, hubs)
        except (Failed, OSError, ValueError) as error:
            connected = {"open": error, "guarded": error, "refused": None}
        report.add(f"{name} connects", connected["open"])
        report.add(f"{name} connects with a token", connected["guarded"])
        # Otherwise the two above would show nothing.
        refused = connected["refused"]
        report.add(f"{name} does not connect without its token", None if refused else "it does, or it was not asked")
        if name == "claude":
            # The others say only that they are not connected.
            said = "taskhub token create" in str(refused)
            report.add(f"{name} says how to make a token", None if said else f"it says: {refused}")


def claude(home, hubs):
    say = speaker("claude", home)
    add = ["mcp", "add", "--transport", "http"]
    say(*add, "open", hubs.open.url)
    say(*add, "guarded", hubs.guarded.url, "--header", HEADER.format(token=hubs.guarded.token))
    say(*add, "refused", hubs.guarded.url)
    return listed(say("mcp", "list"), "✔ Connected")


def gemini(home, hubs):
    say = speaker("gemini", home)
    # In the settings of the user: those of a project do not count in the home directory.
    add = ["mcp", "add", "--scope", "user", "--transport", "http"]
    say(*add, "open", hubs.open.url)
    say(*add, "guarded", hubs.guarded.url, "--header", HEADER.format(token=hubs.guarded.token))
    say(*add, "refused", hubs.guarded.url)
    return listed(say("mcp", "list"), " - Connected")


def codex(home, hubs):
    """`codex mcp list` does not connect. The server for its editors does, and lists the tools."""
    say = speaker("codex", home)
    say("mcp", "add", "open", "--url", hubs.open.url)
    say("mcp", "add", "guarded", "--url", hubs.guarded.url, "--bearer-token-env-var", "TASKHUB_TOKEN")
    say("mcp", "add", "refused", "--url", hubs.guarded.url)
    table = say("mcp", "list", TASKHUB_TOKEN=hubs.guarded.token)
    if not re.search(r"guarded .*enabled +Bearer token", table):
        raise Failed(f"codex mcp list: {table}")
    tools = codex_tools(home, hubs.guarded.token)
    return {name: None if "claim_task" in tools.get(name, ()) else f"it lists {tools}" for name in ("open", "guarded", "refused")}


def codex_tools(home, token):
    """The tools of each server, as `codex app-server` finds them."""
    requests = [
        {"id": 1, "method": "initialize", "params": {"clientInfo": {"name": "tests", "title": None, "version": "1"}}},
        {"method": "initialized"},
        {"id": 2, "method": "mcpServerStatus/list", "params": {}},
    ]
    process = subprocess.Popen(
        [MODULES / ".bin/codex", "app-server"], cwd=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, env=environment(home, TASKHUB_TOKEN=token, **LOOPBACK_ONLY))
    try:
        process.stdin.write(b"".join(json.dumps(request).encode() + b"\n" for request in requests))
        process.stdin.flush()
        answer = answer_to(2, process)
    finally:
        process.terminate()
        process.wait()
    return {server["name"]: sorted(server["tools"]) for server in answer["result"]["data"]}


def answer_to(number, process):
    deadline = time.monotonic() + AGENT_SECONDS
    buffer = b""
    while select.select([process.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
        read = os.read(process.stdout.fileno(), 1 << 16)
        if not read:
            break
        *lines, buffer = (buffer + read).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if message.get("id") == number:
                return message
    raise Failed(f"no answer within {AGENT_SECONDS} s")


def speaker(program, home):
    def say(*words, **variables):
        code, output, errors = run([MODULES / ".bin" / program, *words], home, AGENT_SECONDS, **variables, **LOOPBACK_ONLY)
        if code:
            raise Failed(f"{program} {words[0]} {words[1]}: {output}{errors}")
        return output + errors  # the list is on either of them
    return say


def listed(output, connected):
    """For each server None, or its line when it is not connected."""
    lines = {match[1]: match[0] for match in re.finditer(r"^\W*(\w+): http.*$", output, re.MULTILINE)}
    return {
        name: None if connected in lines.get(name, "") else lines.get(name, f"it is not listed: {output}")
        for name in ("open", "guarded", "refused")}
