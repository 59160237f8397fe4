"""Requests of the revision 2026-07-28, one POST each, without an SDK."""

import itertools
import json
import urllib.request

from hub import Failed

REVISION = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": REVISION,
    "io.modelcontextprotocol/clientInfo": {"name": "tests", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
numbers = itertools.count(1)


def request(hub, method, **params):
    """The result of it."""
    body = {"jsonrpc": "2.0", "id": next(numbers), "method": method, "params": {**params, "_meta": META}}
    headers = {
        "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": REVISION, "Mcp-Method": method,
    }
    if "name" in params:
        headers["Mcp-Name"] = params["name"]
    if hub.token:
        headers["Authorization"] = f"Bearer {hub.token}"
    asked = urllib.request.Request(hub.url, json.dumps(body).encode(), headers)
    # Not by a proxy: the hub is on loopback.
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=60) as answer:
        said = json.load(answer)
    if "result" not in said:
        raise Failed(f"{method}: {said}")
    return said["result"]
