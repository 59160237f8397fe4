"""Running the command of another program, away from the home directory and the settings of its user."""

import os
import pathlib
import subprocess

from hub import Failed

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
MODULES = HERE / "node_modules"
# Node 22, which npm brings: the conformance suite and the inspector do not run on Node 20.
NODE = MODULES / ".bin/node"


def environment(home, **variables):
    """Proxies and settings of CI are left out: the programs must reach loopback directly, and look alike everywhere."""
    kept = {name: value for name, value in os.environ.items() if name in ("LANG", "LC_ALL", "TMPDIR")}
    path = os.pathsep.join([str(NODE.parent), os.environ["PATH"]])
    return {**kept, "PATH": path, "HOME": str(home), "NO_COLOR": "1", **variables}


def run(command, home, seconds, **variables):
    """Runs it to its end: exit code, stdout and stderr. `home` keeps what it writes."""
    try:
        ended = subprocess.run(
            [str(word) for word in command], cwd=home, timeout=seconds, stdin=subprocess.DEVNULL, text=True,
            capture_output=True, env=environment(home, **variables))
    except subprocess.TimeoutExpired as error:
        said = (error.stdout or b"").decode(errors="replace") + (error.stderr or b"").decode(errors="replace")
        raise Failed(f"{command[0]} was not over within {seconds} s: {said[-2000:]}") from None
    except OSError as error:
        raise Failed(f"{command[0]} did not start: {error}") from None
    return ended.returncode, ended.stdout, ended.stderr
