"""Programs with the SDKs of the protocol, each against a hub that asks for a token, over HTTP and over the bridge."""

import concurrent.futures
import json
import re

from command import HERE, NODE, run
from hub import Failed

PROGRAM_SECONDS = 120
PROGRAMS_AT_A_TIME = 2  # they mostly wait

STEPS = [
    "connects",
    "lists the tools",
    "works with every tool",
    "is told what was wrong",
    "gets its task back after a timeout",
    "cancels a wait",
    "sees the progress of a wait",
    "reads resources and prompts",
    "has only got answers that match their schemas",
]
MODERN_STEPS = ["listens to a task"]  # since 2026-07-28
FOLDER = HERE / "programs"
PROGRAMS = {
    "TypeScript 1.x": ([NODE, FOLDER / "typescript_1.mjs"], STEPS),
    "TypeScript 2.x": ([NODE, FOLDER / "typescript_2.mjs"], STEPS + MODERN_STEPS),
    "Python 1.x": ([HERE / ".venv-1/bin/python", FOLDER / "python_1.py"], STEPS),
    "Python 2.x": ([HERE / ".venv-2/bin/python", FOLDER / "python_2.py"], STEPS + MODERN_STEPS),
}


def check(hubs, home, report):
    drive({"TASKHUB_MCP_URL": hubs.guarded.url}, "", hubs, home, report)


def check_bridge(hubs, home, report):
    drive({"TASKHUB_MCP_COMMAND": json.dumps(hubs.guarded.bridge())}, " by the bridge", hubs, home, report)


def drive(place, how, hubs, home, report):
    environment = {**place, **hubs.guarded.environment()}
    with concurrent.futures.ThreadPoolExecutor(PROGRAMS_AT_A_TIME) as pool:
        runs = {name: pool.submit(run_program, command, home, environment) for name, (command, _) in PROGRAMS.items()}
        for name, (_, steps) in PROGRAMS.items():
            done, failed, problem = runs[name].result()
            for step in steps:
                report.add(f"{name}{how}: {step}", None if step in done else failed.get(step, problem))
                if step not in done and step not in failed:
                    problem = "see above"
            report.note(f"{name}{how} is through")


def run_program(command, home, environment):
    """The steps that it has done, why others failed, and what it said at its end. What it does not say it has not done."""
    try:
        code, output, errors = run(command, home, PROGRAM_SECONDS, **environment)
    except Failed as error:
        code, output, errors = 1, str(error), ""
    done = re.findall(r"^ok: (.*)$", output, re.MULTILINE)
    failed = dict(re.findall(r"^failed: ([^:]+): (.*)$", output, re.MULTILINE))
    return done, failed, f"it ended with {code} and said:\n{output}{errors[-2000:]}"
