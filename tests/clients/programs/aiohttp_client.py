"""aiohttp reading lines: what tests/test_sse.py shows to people who write a client.

    python aiohttp_client.py URL-OF-THE-STREAM
"""

import asyncio
import contextlib
import json
import pathlib
import sys

import aiohttp

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2]))
from test_sse import LINE_BYTES_MAX, follow  # noqa: E402


async def main(url):
    async with aiohttp.ClientSession(read_bufsize=LINE_BYTES_MAX) as session:
        with contextlib.redirect_stdout(sys.stderr):  # where its remarks belong here
            async for envelope in follow(session, url):
                print(json.dumps({"envelope": envelope}), file=sys.__stdout__, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
