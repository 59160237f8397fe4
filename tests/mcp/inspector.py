"""The inspector of the protocol, `--strict`: it must have nothing to say."""

import json

from command import MODULES, NODE, run

INSPECTOR_SECONDS = 60
# What the inspector calls the revisions before and since 2026-07-28.
ERAS = ["legacy", "modern"]
# The method with its options, and what its result must have.
METHODS = {
    "tools/list": (["--strict"], "tools"),
    "resources/list": ([], "resources"),
    "resources/templates/list": ([], "resourceTemplates"),
    "prompts/list": ([], "prompts"),
    "tools/call": (["--tool-name", "list_tasks", "--tool-args-json", '{"limit":5}'], "structuredContent"),
}


def check(hubs, home, report):
    for name, hub in {"": hubs.open, " with a token": hubs.guarded}.items():
        target = [hub.url, "--transport", "http"]
        if hub.token:
            target += ["--header", f"Authorization: Bearer {hub.token}"]
        inspect(f"inspector{name}", target, home, report)


def check_bridge(hubs, home, report):
    hub = hubs.guarded
    inspect("inspector by the bridge", [*hub.bridge(), "-e", f"TASKHUB_TOKEN={hub.token}"], home, report)


def inspect(name, target, home, report):
    for era in ERAS:
        for method, (options, key) in METHODS.items():
            code, output, errors = run(
                [NODE, MODULES / ".bin/mcp-inspector", "--cli", *target, "--protocol-era", era, "--method", method, *options],
                home, INSPECTOR_SECONDS)
            problem = f"{code}, {errors}{output[:1000]}" if code or errors.strip() else None
            report.add(f"{name}, {era}: {method}", problem or lacks(output, key))


def lacks(output, key):
    """A result without what was asked for. Lists of the hub's own are never empty; a hub may have no fixed resources."""
    result = json.loads(output)
    empty = key not in ("resources", "structuredContent") and not result.get(key)
    return f"no {key} in {output[:1000]}" if key not in result or empty else None
