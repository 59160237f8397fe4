"""What the tools cost a model in tokens, and whether every model can read their schemas."""

import json
import secrets
import subprocess

import rpc
from command import HERE, NODE
from hub import Failed

LIST_TOKENS_MAX = 2500
LOOP_TOKENS_GOAL = 3000
# Of an execution; so that a hub that tells of no end does not keep the test for ever.
EVENTS_MAX = 10
# Claude Code cuts longer ones.
DESCRIPTION_CHARACTERS_MAX = 2048
# At the top of a schema they are refused by the interfaces of several models.
NOT_AT_THE_TOP = ("oneOf", "anyOf", "allOf")
NAME_CHARACTERS_MAX = 60 - len("mcp__taskhub__")

DESCRIPTION = 3 * """The page of a project shows at most 50 tasks.

Done when `make test` passes and the board shows 51 of 51.
"""


def check(hubs, _, report):
    listed = rpc.request(hubs.open, "tools/list")["tools"]
    report.add("tools: schemas that every model can read", [problem for tool in listed for problem in unreadable(tool)])
    try:
        loop = work(hubs.open)
    except (Failed, OSError, LookupError, TypeError) as error:
        report.add("tokens: the loop", repr(error))
        loop = []
    texts = [compact(tool) for tool in listed] + [compact(listed)] + [text for _, text in loop]
    counts = count(texts)
    each, whole, calls = counts[:len(listed)], counts[len(listed)], counts[len(listed) + 1:]
    for tool, tokens in zip(listed, each):
        report.note(f"{tokens:5d} tokens: {tool['name']}")
    problem = f"more than {LIST_TOKENS_MAX}" if whole > LIST_TOKENS_MAX else None
    report.add(f"tokens: {whole} for the list of {len(listed)} tools", problem)
    for (name, _), tokens in zip(loop, calls):
        report.note(f"{tokens:5d} tokens: {name}, arguments and answer")
    if loop:
        problem = f"more than {LOOP_TOKENS_GOAL}" if sum(calls) > LOOP_TOKENS_GOAL else None
        report.add(f"tokens: {sum(calls)} for claim, read, run, wait and complete", problem)


def work(hub):
    """Works on a task as an agent does, and keeps what its model reads and writes."""
    said = []

    def call(name, **arguments):
        result = rpc.request(hub, "tools/call", name=name, arguments=arguments)
        # A client shows either of them: they have the same in them.
        shown = result.get("structuredContent")
        text = "".join(block["text"] for block in result["content"])
        if result.get("isError"):
            raise Failed(f"{name}: {text}")
        said.append((name, compact({"name": name, "arguments": arguments}) + (compact(shown) if shown else text)))
        return shown or text

    tag = f"tokens-{secrets.token_hex(4)}"
    task = {"title": "Show every task of a project", "description": DESCRIPTION, "tags": [tag], "script": "seq 200; echo passed"}
    rpc.request(hub, "tools/call", name="create_tasks", arguments={"tasks": [task]})
    claimed = call("claim_task", worker="agent-1", tag=tag, wait_seconds=45)
    key, lease = claimed["key"], claimed["lease"]
    call("get_task", task=key)
    cursor = call("wait_events", wait_seconds=0)["cursor"]
    call("run_task", task=key, lease=lease, wait_seconds=0)
    for _ in range(EVENTS_MAX):
        happened = call("wait_events", cursor=cursor, task=key, events=["execution_event"], wait_seconds=45)
        cursor = happened["cursor"]
        if any(event["execution_event"] == "completed" for event in happened["events"]):
            break
    else:
        raise Failed("the execution did not end")
    call("read_log", task=key, tail_lines=20)
    call("heartbeat", lease=lease, progress="The tests pass.")
    proof = "make test: 214 passed. 51 of 51 shown."
    call("complete_task", lease=lease, summary="The page asks for more until it has all.", proof=proof)
    return said


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def count(texts):
    counted = subprocess.run(
        [NODE, HERE / "count_tokens.mjs"], input=json.dumps(texts), text=True, capture_output=True, timeout=60, check=True)
    return json.loads(counted.stdout)


def unreadable(tool):
    name = tool["name"]
    if len(name) > NAME_CHARACTERS_MAX:
        yield f"{name}: its name is too long"
    if len(tool["description"]) > DESCRIPTION_CHARACTERS_MAX:
        yield f"{name}: its description is too long"
    for which in ("inputSchema", "outputSchema"):
        if which in tool:
            schema = tool[which]
            if schema.get("type") != "object":
                yield f"{name}: {which} is not one of an object"
            for keyword in NOT_AT_THE_TOP:
                if keyword in schema:
                    yield f"{name}: {which} has {keyword} at its top"
            yield from (f"{name}: {which}{path}" for path in forbidden(schema, ""))


def forbidden(schema, path):
    """Where a schema has what some models do not read. A property may bear any name."""
    if isinstance(schema, list):
        for at, item in enumerate(schema):
            yield from forbidden(item, f"{path}/{at}")
    elif isinstance(schema, dict):
        if "$ref" in schema:
            yield f"{path}: $ref"
        if isinstance(schema.get("type"), list):
            yield f"{path}: a list of types"
        if str(schema.get("format", "")).startswith("uint"):
            yield f"{path}: format {schema['format']}"
        for keyword, inner in schema.items():
            named = keyword in ("properties", "$defs", "patternProperties") and isinstance(inner, dict)
            for name, value in inner.items() if named else [("", inner)]:
                yield from forbidden(value, f"{path}/{keyword}/{name}".rstrip("/"))
