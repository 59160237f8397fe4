"""The conformance suite of the protocol, for each revision that has one."""

import json

from command import HERE, MODULES, NODE, run

SUITE_SECONDS = 300
FOLDER = HERE / "conformance"
# Scenarios that a revision does not count yet, but that the hub passes: the headers are checked since 2026-07-28.
UNCOUNTED = {"2026-07-28": ["http-header-validation"]}


def check(hubs, home, report):
    for expected in sorted(FOLDER.glob("*.yml")):
        revision = expected.stem
        report.add(f"conformance {revision}: every expected failure has a reason", without_reason(expected))
        arguments = ["--requirements", revision, "--expected-failures", expected]
        suite(f"conformance {revision}", hubs, home, arguments, report)
        for scenario in UNCOUNTED.get(revision, []):
            arguments = ["--spec-version", revision, "--scenario", scenario]
            suite(f"conformance {revision}: {scenario}", hubs, home, arguments, report)


def suite(name, hubs, home, arguments, report):
    """Its exit code tells of failures and of warnings that nobody expects, and of expected ones that did not come."""
    results = home / name.replace(" ", "-").replace(":", "")
    code, output, errors = run(
        [NODE, MODULES / ".bin/conformance", "server", "--url", hubs.open.url, "-o", results, *arguments],
        home, SUITE_SECONDS)
    # What is not as expected comes last.
    report.add(name, None if code == 0 else f"{output[-1500:]}{errors[-1500:]}")
    checks = [check for path in results.glob("*/checks.json") for check in json.loads(path.read_text())]
    passed = sum(check["status"] == "SUCCESS" for check in checks)
    report.add(f"{name}: {passed} checks passed", None if passed else "none did")


def without_reason(path):
    """The entries that have no comment at the end of their line or above it."""
    missing, reason = [], False
    for line in path.read_text().splitlines():
        if line.lstrip().startswith("#"):
            reason = True
        elif line.lstrip().startswith("- "):
            if not reason and "#" not in line:
                missing.append(line)
        else:
            reason = False
    return missing
