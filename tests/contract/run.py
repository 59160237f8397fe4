#!/usr/bin/env python3
"""Holds a running hub to its own specification with schemathesis: all checks, several seeds, no failure.

    run.py --url URL [--token TOKEN]

The copy of the specification that it works from differs in two ways, which are no claims of ours but forms that this
tool needs: OpenAPI 3.0 describes the JSON in `data:` of a stream, schemathesis wants the frame around it; and a hub that
asks for tokens does not leave them optional. Ends with `N passed, N failed`, a seed being one.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Fixed, so that a failure is a failure tomorrow.
SEEDS = (1, 20, 300)
# A run takes half a minute; one that hangs has failed.
RUN_SECONDS_MAX = 240
# As a header of every request it would also be in those that are to be refused without one.
WITH_TOKEN = """
[auth.openapi.token]
bearer = "${TASKHUB_TOKEN}"
"""
SSE, NDJSON = "text/event-stream", "application/x-ndjson"


def frame(payload):
    """A message of a stream, as schemathesis reads it."""
    return {
        "type": "object",
        "required": ["id", "data"],
        "properties": {
            "id": {"type": "string"},
            "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": payload},
        },
    }


def adapted(document, with_token):
    for operations in document["paths"].values():
        for operation in operations.values():
            for response in operation["responses"].values():
                content = response.get("content", {})
                if SSE in content:
                    content[SSE] = {"itemSchema": frame(content[SSE]["schema"])}
                    # Asked for by `Accept` alone, which schemathesis leaves out; tests/it reads it.
                    content.pop(NDJSON, None)
            if with_token and operation["security"]:
                operation["security"] = [{"token": []}]
    return document


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--token", default="")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    arguments = parser.parse_args()

    with urllib.request.urlopen(f"{arguments.url}/openapi.json") as answer:
        document = adapted(json.load(answer), bool(arguments.token))
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": str(HERE / "hooks.py"), "TASKHUB_TOKEN": arguments.token}
    failed = 0
    with tempfile.TemporaryDirectory() as work:
        specification = Path(work, "taskhub.json")
        specification.write_text(json.dumps(document))
        configuration = Path(work, "schemathesis.toml")
        configuration.write_text((HERE / configuration.name).read_text() + (WITH_TOKEN if arguments.token else ""))
        for seed in arguments.seeds:
            command = [
                Path(sys.executable).with_name("st"), "--config-file", configuration, "run", specification,
                "--url", arguments.url, "--checks", "all", "--seed", str(seed), "--no-color",
            ]
            print(f"seed {seed}", flush=True)
            try:
                # In the folder of the run: schemathesis leaves files where it works.
                code = subprocess.run(
                    command, cwd=work, env=environment, timeout=RUN_SECONDS_MAX, check=False
                ).returncode
            except subprocess.TimeoutExpired:
                print("took too long")
                code = 1
            failed += code != 0
    print(f"{len(arguments.seeds) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
