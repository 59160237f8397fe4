"""Commands as one types them, in a folder of a client."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys

from clients import ENVIRONMENT, HERE

# The hub is that of the other clients.
sys.path.append(str(HERE.parent / "clients"))
from hub import Failed


async def run(command, folder, seconds, **environment):
    """What it prints; it must succeed in time."""
    process = await asyncio.create_subprocess_shell(
        command, cwd=folder, env={**ENVIRONMENT, **environment}, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        output, _ = await asyncio.wait_for(process.communicate(), seconds)
    except asyncio.TimeoutError:
        raise Failed(f"`{command}` was not over within {seconds} s") from None
    finally:
        end(process)
    text = output.decode(errors="replace")
    if process.returncode:
        raise Failed(f"`{command}` ended with {process.returncode}:\n{text[-4000:]}")
    return text


def end(process):
    """Ends a command and whatever it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
