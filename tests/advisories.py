"""Known faults of crates: which of Cargo.lock's have one, by the list in advisories.json.

The list holds what the RustSec database says of crates that this program uses. It is renewed by hand, from a checkout of
https://github.com/rustsec/advisory-db:

    python3 tests/advisories.py CHECKOUT
"""

import json
import pathlib
import re
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIST = ROOT / "tests/advisories.json"


def locked():
    """The versions of each crate in Cargo.lock."""
    versions = {}
    for package in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]:
        versions.setdefault(package["name"], set()).add(package["version"])
    return versions


def numbers(version):
    """As many numbers as there are; what comes after a hyphen or a plus counts for nothing."""
    return [int(part) for part in re.split(r"[-+]", version.strip())[0].split(".")]


def meets(version, requirement):
    """Whether a version meets every part of a requirement such as `>= 1.2, < 2.0`, as Cargo reads it."""
    def padded(parts):
        return tuple((parts + [0, 0, 0])[:3])

    def one(text):
        operator, asked = re.fullmatch(r"\s*(>=|<=|=|>|<|\^|)\s*(\S+)\s*", text).groups()
        asked, is_at = numbers(asked), padded(numbers(version))
        bound = padded(asked)
        if operator in ("^", ""):
            first = next((at for at, part in enumerate(asked) if part), len(asked) - 1)
            after = padded(asked[:first] + [asked[first] + 1])
            return bound <= is_at < after
        return {">=": is_at >= bound, "<=": is_at <= bound, "=": is_at == bound,
                ">": is_at > bound, "<": is_at < bound}[operator]

    return all(one(part) for part in requirement.split(","))


def faults():
    """What is wrong, in words."""
    listed = json.loads(LIST.read_text())
    versions, accepted, met = locked(), listed["accepted"], set()
    for known in listed["advisories"]:
        good = known["patched"] + known["unaffected"]
        for version in sorted(versions.get(known["crate"], ())):
            if "-" in version:
                yield f"{known['crate']} {version} is a pre-release, which {known['id']} may concern; use a release"
            if any(meets(version, requirement) for requirement in good):
                continue
            met.add(known["id"])
            if known["id"] not in accepted:
                yield f"{known['crate']} {version}: {known['id']}; update it, or say in advisories.json why it does no harm"
    for name in sorted(accepted.keys() - met):
        yield f"{name} concerns nothing here any more; take it out of `accepted` in advisories.json"


def renew(checkout):
    """Writes the list anew; what was accepted stays so."""
    def git(*arguments):
        return subprocess.run(["git", "-C", checkout, *arguments], check=True, capture_output=True, text=True).stdout

    versions, found = locked(), []
    for path in git("ls-tree", "-r", "--name-only", "HEAD", "crates").split():
        if path.split("/")[1] not in versions or not path.endswith(".md"):
            continue
        text = git("show", f"HEAD:{path}")
        read = tomllib.loads(re.search(r"```toml\n(.*?)```", text, re.S)[1])
        if not read["advisory"].get("withdrawn"):
            good = {kind: read["versions"].get(kind, []) for kind in ("patched", "unaffected")}
            found.append({"crate": read["advisory"]["package"], "id": read["advisory"]["id"], **good})
    accepted = json.loads(LIST.read_text())["accepted"] if LIST.exists() else {}
    date = git("log", "-1", "--format=%cs").strip()
    lines = ",\n".join("    " + json.dumps(it) for it in sorted(found, key=lambda it: (it["crate"], it["id"])))
    head = f'{{\n  "source": "RustSec advisory database", "date": "{date}",\n  "accepted": '
    LIST.write_text(head + json.dumps(accepted, indent=2).replace("\n", "\n  ") + f',\n  "advisories": [\n{lines}\n  ]\n}}\n')


if __name__ == "__main__":
    renew(sys.argv[1])
