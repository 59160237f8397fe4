#!/usr/bin/env python3
"""Holds the pages of the project to what a reader expects: links lead somewhere, and the first page is short.

    python3 tests/docs.py

Prints one line for each page and `N passed, M failed`. Links to other sites are not followed.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINES_MAX = {"README.md": 250, "ARCHITECTURE.md": 250}


def pages():
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split()]


def prose(page):
    """Its text without blocks of code, in which brackets are no links."""
    return re.sub(r"(?ms)^```.*?^```", "", page.read_text())


def anchors(page):
    """As GitHub makes them of headings: lower case, spaces as hyphens, and nothing else but letters, digits and these."""
    headings = re.findall(r"(?m)^#+ (.+)$", prose(page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def named_in_the_source():
    """Pages that the program names: in its help, and in its problems."""
    text = "".join(path.read_text() for path in (ROOT / "src").rglob("*.rs"))
    return sorted(set(re.findall(r"docs/\w+\.md(?:#[\w-]+)?", text)))


def problems(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        other = (page.parent / name).resolve() if name else page
        if not other.exists():
            yield f"{target} leads nowhere"
        elif anchor and anchor not in anchors(other):
            yield f"{target} names no heading"
    lines = len(page.read_text().splitlines())
    if lines > LINES_MAX.get(page.name if page.parent == ROOT else "", lines):
        yield f"it has {lines} lines"


def main():
    passed = failed = 0
    for page in pages():
        found = list(problems(page))
        name = page.relative_to(ROOT)
        print(f"FAILED: {name}: {'; '.join(found)}" if found else f"ok: {name}")
        passed, failed = passed + (not found), failed + bool(found)
    for named in named_in_the_source():
        name, _, anchor = named.partition("#")
        is_there = (ROOT / name).exists() and (not anchor or anchor in anchors(ROOT / name))
        print(f"ok: the program names {named}" if is_there else f"FAILED: the program names {named}, which is not there")
        passed, failed = passed + is_there, failed + (not is_there)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
