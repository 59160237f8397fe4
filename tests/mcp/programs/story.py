"""What every client in Python does, whatever its version: the steps of story.mjs.

`client` hides the differences: `modern`, and the coroutines `list_tools`, `call`, `read_resource`, `list_templates`,
`list_prompts`, `get_prompt`, `complete` and `listen` (modern only, an asynchronous context with what changes).
All answer what was on the wire, as dictionaries.
"""

import json
import os
import re
import secrets
import sys
import traceback

import anyio
from jsonschema import Draft202012Validator

TOOLS = [
    "ask_person", "claim_task", "comment", "complete_task", "create_tasks", "fail_task", "get_task", "heartbeat",
    "list_tasks", "read_log", "run_task", "update_task", "wait_events",
]
TEXT_ONLY = {"get_task", "read_log"}
# Of its own, so that no claim meets the tasks of another program.
TAG = f"mcp-{secrets.token_hex(6)}"


class Place:
    """Where the hub is, as ../programs.py tells: a URL, or a command that speaks for it over stdio."""

    url = os.environ.get("TASKHUB_MCP_URL")
    command = json.loads(os.environ.get("TASKHUB_MCP_COMMAND", "null"))
    token = os.environ.get("TASKHUB_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    # Clients hand on only what they know of the environment.
    environment = {"TASKHUB_TOKEN": token} if token else {}


async def story(client):
    print("ok: connects", flush=True)
    tools = Tools(client)
    steps = {
        "lists the tools": tools.list,
        "works with every tool": lambda: use_every_tool(tools),
        "is told what was wrong": lambda: is_told_what_was_wrong(tools),
        "gets its task back after a timeout": lambda: reclaim(tools),
        "cancels a wait": lambda: cancel(tools),
        "sees the progress of a wait": lambda: progress(tools),
        "reads resources and prompts": lambda: read(tools),
    }
    if client.modern:
        steps["listens to a task"] = lambda: listen(tools)
    steps["has only got answers that match their schemas"] = tools.all_used
    failed = False
    # A step that fails does not keep the others from being tried.
    for name, act in steps.items():
        try:
            await act()
            print(f"ok: {name}", flush=True)
        except Exception as error:
            failed = True
            print(f"failed: {name}: {json.dumps(words_of(error))}", flush=True)
            traceback.print_exc()
    if failed:
        sys.exit(1)


def words_of(error):
    """Groups of errors say only how many there are."""
    return "; ".join(map(words_of, error.exceptions)) if isinstance(error, ExceptionGroup) else repr(error)


def is_equal(one, other, what=""):
    assert one == other, f"{what}: {one!r} is not {other!r}"


def contains(text, words):
    assert words in text, f"{words!r} is not in {text!r}"


class Tools:
    """The tools, with the schemas of their results."""

    def __init__(self, client):
        self.client = client
        self.validators = {}
        self.used = set()

    async def list(self):
        tools = (await self.client.list_tools())["tools"]
        is_equal(sorted(tool["name"] for tool in tools), TOOLS)
        for tool in tools:
            Draft202012Validator.check_schema(tool["inputSchema"])
            output = tool.get("outputSchema")
            is_equal(output is None, tool["name"] in TEXT_ONLY, tool["name"])
            if output:
                Draft202012Validator.check_schema(output)
                self.validators[tool["name"]] = Draft202012Validator(output)

    async def call(self, name, arguments, **options):
        """What the tool answers: its data, or its text."""
        result = await self.client.call(name, arguments, **options)
        text = text_of(result)
        assert not result.get("isError"), f"{name} was refused: {text}"
        self.used.add(name)
        data = result.get("structuredContent")
        if name not in self.validators:
            is_equal(data, None, f"{name} answers text alone")
            return text
        self.validators[name].validate(data)
        is_equal(json.loads(text), data, f"{name}: the text is the data")
        return data

    async def refusal(self, name, arguments):
        """The words of a refusal: `code: what went wrong; what to do next`."""
        result = await self.client.call(name, arguments)
        text = text_of(result)
        assert result.get("isError"), f"{name} was not refused: {text}"
        assert re.fullmatch(r"[a-z_]+: .+; .+", text, re.DOTALL), text
        return text

    async def create(self, *tasks):
        made = await self.call("create_tasks", {"tasks": [{"tags": [TAG], **task} for task in tasks]})
        return [task["key"] for task in made["tasks"]]

    async def all_used(self):
        is_equal(sorted(self.used), TOOLS)


def text_of(result):
    return "".join(block["text"] for block in result["content"])


async def use_every_tool(tools):
    """Two tasks, one after the other: the first is worked on to its end, the second is given back."""
    cursor = (await tools.call("wait_events", {"wait_seconds": 0}))["cursor"]
    request = {
        "request_id": f"{TAG}-first",
        "tasks": [
            {"name": "first", "title": "Say hello", "description": "Done when the log says hello.", "priority": "high",
             "tags": [TAG], "script": "echo 'hello from the script'"},
            {"name": "second", "title": "Say more", "tags": [TAG], "blocked_by": ["first"]},
        ],
    }
    made = await tools.call("create_tasks", request)
    first, second = (task["key"] for task in made["tasks"])
    is_equal(await tools.call("create_tasks", request), made, "a repetition makes nothing new")

    listed = (await tools.call("list_tasks", {"tag": TAG}))["tasks"]
    is_equal({task["key"] for task in listed}, {first, second})
    ready = (await tools.call("list_tasks", {"tag": TAG, "ready": True}))["tasks"]
    is_equal([task["key"] for task in ready], [first], "the second waits for the first")

    worker = f"{TAG}-worker"
    claimed = await tools.call("claim_task", {"worker": worker, "tag": TAG, "lease_seconds": 60})
    lease = claimed["lease"]
    is_equal(claimed["key"], first)
    contains(await tools.call("get_task", {"task": first}), "Done when the log says hello.")
    beat = await tools.call("heartbeat", {"lease": lease, "progress": "reads the task"})
    assert not beat.get("stop"), beat
    await tools.call("comment", {"task": first, "text": "It runs now.", "lease": lease})

    run = await tools.call("run_task", {"task": first, "wait_seconds": 30, "lease": lease})
    is_equal((run["status"], run["exit_code"]), ("completed", 0))
    contains(run["log_tail"], "hello from the script")
    contains(await tools.call("read_log", {"task": first, "grep": "hello"}), "hello from the script")

    seen = await tools.call("wait_events", {"cursor": cursor, "task": first, "wait_seconds": 5})
    assert seen["events"] and seen["cursor"] != cursor, "what happened to the first task"

    await tools.call("update_task", {"task": first, "title": "Say hello well", "lease": lease})
    contains(await tools.call("get_task", {"task": first}), "Say hello well")
    completed = {"lease": lease, "summary": "It says hello.", "proof": "The log says: hello from the script."}
    done = await tools.call("complete_task", completed)
    is_equal(done["status"], "done")
    is_equal(await tools.call("complete_task", completed), done, "a repetition changes nothing")

    following = await tools.call("claim_task", {"worker": worker, "tag": TAG, "wait_seconds": 5})
    lease = following["lease"]
    is_equal(following["key"], second)
    question = {"task": second, "text": "More of what?", "options": ["hello", "goodbye"], "lease": lease}
    await tools.call("ask_person", {**question, "wait_seconds": 0})
    await tools.call("fail_task", {"lease": lease, "reason": "Nobody says what.", "retry": False})
    is_equal((await tools.call("heartbeat", {"lease": lease}))["stop"], True, "the lease is over")
    contains(await tools.refusal("comment", {"task": second, "text": "Late.", "lease": lease}), "lease_lost")
    after = (await tools.call("list_tasks", {"tag": TAG}))["tasks"]
    assert any(task["key"] == second and task["status"] != "done" for task in after), after


async def is_told_what_was_wrong(tools):
    contains(await tools.refusal("get_task", {"task": "nosuch-1"}), "not_found")
    contains(await tools.refusal("claim_task", {"worker": TAG, "wait_seconds": "soon"}), "wait_seconds")
    contains(await tools.refusal("list_tasks", {"tag": TAG, "limit": "many"}), "limit")


class Waits:
    """A call in the background, which must succeed."""

    def __init__(self, tools, name, arguments):
        self.call = lambda: tools.call(name, arguments)
        self.answer = None

    async def run(self):
        self.answer = await self.call()


async def reclaim(tools):
    """A client gives up waiting, and waits anew. The task that comes then is its own, whichever wait gets it."""
    claim = {"worker": f"{TAG}-slow", "tag": f"{TAG}-slow", "wait_seconds": 20}
    try:
        await tools.client.call("claim_task", claim, timeout=1)
    except Exception as error:
        contains(str(error).lower(), "timed out")
    else:
        raise AssertionError("the claim did not time out")
    waits = Waits(tools, "claim_task", claim)
    async with anyio.create_task_group() as group:
        group.start_soon(waits.run)
        [key] = await tools.create({"title": "Comes late", "tags": [claim["tag"]]})
    is_equal(waits.answer["key"], key)
    back = await tools.call("claim_task", {**claim, "wait_seconds": 0})
    is_equal((back["key"], back["lease"]), (key, waits.answer["lease"]), "the same worker gets the same task")
    await tools.call("complete_task", {"lease": back["lease"], "summary": "It came.", "proof": "Seen twice."})


async def cancel(tools):
    """Since 2026-07-28 the hub learns that a client no longer waits, so that another one gets what comes."""
    claim = {"worker": f"{TAG}-cancels", "tag": f"{TAG}-cancels", "wait_seconds": 20}
    async with anyio.create_task_group() as group:
        group.start_soon(tools.client.call, "claim_task", claim)
        await tools.call("list_tasks", {"tag": TAG})
        group.cancel_scope.cancel()
    await tools.call("list_tasks", {"tag": TAG})
    waits = Waits(tools, "claim_task", {**claim, "worker": f"{TAG}-another" if tools.client.modern else claim["worker"]})
    async with anyio.create_task_group() as group:
        group.start_soon(waits.run)
        [key] = await tools.create({"title": "Comes after the cancel", "tags": [claim["tag"]]})
    is_equal(waits.answer["key"], key)
    await tools.call("complete_task", {"lease": waits.answer["lease"], "summary": "It came.", "proof": "Seen."})


async def progress(tools):
    seen = []

    async def note(now, _total, _message):
        seen.append(now)

    claim = {"worker": f"{TAG}-patient", "tag": f"{TAG}-nothing", "wait_seconds": 12}
    answer = await tools.call("claim_task", claim, progress=note)
    is_equal(answer, {}, "nothing came")
    assert seen, "progress while it waits"
    is_equal(seen, sorted(set(seen)), "progress grows")


async def read(tools):
    client = tools.client
    [key] = await tools.create({"title": "Read me", "description": "As a resource."})
    [content] = (await client.read_resource(f"taskhub://tasks/{key}"))["contents"]
    contains(content["text"], "Read me")
    templates = (await client.list_templates())["resourceTemplates"]
    is_equal(sorted(template["uriTemplate"] for template in templates),
             ["taskhub://board/{project}", "taskhub://tasks/{id}", "taskhub://tasks/{id}/log"])
    completed = await client.complete("taskhub://tasks/{id}", "id", key[:-1])
    assert completed["completion"]["values"], "a key is completed"
    prompts = (await client.list_prompts())["prompts"]
    is_equal(sorted(prompt["name"] for prompt in prompts), ["plan", "review", "work_loop"])
    prompt = await client.get_prompt("work_loop", {"worker": TAG})
    contains(prompt["messages"][0]["content"]["text"], "claim_task")


async def listen(tools):
    key, other = await tools.create({"title": "Changes"}, {"title": "Changes, too"})
    uri = f"taskhub://tasks/{key}"
    async with tools.client.listen(uri) as updates:
        await tools.call("update_task", {"task": other, "title": "Changed, too"})
        await tools.call("update_task", {"task": key, "title": "Changed"})
        with anyio.fail_after(5):
            is_equal(await updates.__anext__(), uri, "only what it listens to")
