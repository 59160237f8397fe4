"""openapi-python-client: attrs classes over httpx. Of the stream the program reads the lines itself."""

import json
import os
from collections.abc import Callable, Iterator
from uuid import UUID

import httpx

from generated.api.executions import start_execution
from generated.api.leases import claim_task
from generated.api.tasks import create_task, get_task, list_tasks, update_task, update_task_status
from generated.client import AuthenticatedClient
from generated.models import (
    ClaimRequest, Code, ConnectedEvent, Execution, ExecutionLifecycleEvent, ExecutionPhase, ExecutionRequest, Lease, Priority,
    Problem, Status, StatusUpdate, Task, TaskCreatedEvent, TaskDraft, TaskField, TaskPatch, TaskUpdatedEvent,
)
from generated.types import UNSET, Unset

TAG = os.environ["TASKHUB_TAG"]
# A hub that asks for no token passes over the one that is sent.
hub = AuthenticatedClient(base_url=os.environ["TASKHUB_URL"], token="none")

made = create_task.sync_detailed(client=hub, body=TaskDraft(title="Write the report", tags=[TAG]))
task = made.parsed
assert isinstance(task, Task)
task_id = task.id
for title in ["Read it", "Print it"]:
    assert isinstance(create_task.sync(client=hub, body=TaskDraft(title=title, tags=[TAG])), Task)
assert made.headers["Location"] == f"/api/tasks/{task.id}"
print("ok: creates tasks")

listed: list[Task] = []
cursor: str | Unset = UNSET
while True:
    page = list_tasks.sync_detailed(client=hub, tag=[TAG], limit=2, cursor=cursor)
    assert isinstance(page.parsed, list)
    listed += page.parsed
    if "Taskhub-Next-Page" not in page.headers:
        break
    cursor = page.headers["Taskhub-Next-Page"]
assert [it.title for it in listed] == ["Write the report", "Read it", "Print it"]
print("ok: lists all pages")

got = get_task.sync_detailed(task.id, client=hub)
assert got.parsed == task
print("ok: gets a task")

etag = got.headers["ETag"]
patched = update_task.sync(task.id, client=hub, if_match=etag, body=TaskPatch(priority=Priority.HIGH, assignee=None))
assert isinstance(patched, Task)
assert (patched.priority, patched.assignee, patched.version) == (Priority.HIGH, None, 2)
print("ok: merges a patch, if it matches")

late = update_task.sync(task.id, client=hub, if_match=etag, body=TaskPatch(priority=Priority.LOW))
assert isinstance(late, Problem) and (late.status, late.code) == (412, Code.VERSION_MISMATCH)
print("ok: is told that the version differs")

missing = get_task.sync(UUID("0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e"), client=hub)
assert isinstance(missing, Problem) and (missing.status, missing.code) == (404, Code.TASK_NOT_FOUND)
print("ok: is told that there is no such task")

guarded = AuthenticatedClient(base_url=os.environ["TASKHUB_GUARDED_URL"], token="wrong")
refused = list_tasks.sync(client=guarded)
assert isinstance(refused, Problem) and (refused.status, refused.code) == (401, Code.TOKEN_INVALID)
print("ok: is refused without a token")

known = AuthenticatedClient(base_url=os.environ["TASKHUB_GUARDED_URL"], token=os.environ["TASKHUB_TOKEN"])
assert isinstance(list_tasks.sync(client=known), list)
print("ok: is let in with a token")

reported = update_task_status.sync(task.id, client=hub, body=StatusUpdate(new_status=Status.INPROGRESS))
assert isinstance(reported, Task) and reported.status == Status.INPROGRESS
print("ok: reports a status")

claimed = claim_task.sync(client=hub, body=ClaimRequest(worker="alice", tag=TAG))
assert isinstance(claimed, Task) and isinstance(claimed.lease, Lease) and task.lease is None
assert (claimed.lease.worker, claimed.status) == ("alice", Status.INPROGRESS)
done = StatusUpdate(new_status=Status.DONE)
ended = update_task_status.sync(claimed.id, client=hub, taskhub_lease=str(claimed.lease.id), body=done)
assert isinstance(ended, Task) and (ended.status, ended.lease) == (Status.DONE, None)
print("ok: claims a task, and reports under its lease")

execution = start_execution.sync(task.id, client=hub, body=ExecutionRequest(script_content="echo hello"))
assert isinstance(execution, Execution) and execution.task_id == task.id
print("ok: starts an execution")

Event = TaskCreatedEvent | TaskUpdatedEvent | ExecutionLifecycleEvent | ConnectedEvent
KINDS: dict[str, Callable[[dict[str, object]], Event]] = {
    "task_created": TaskCreatedEvent.from_dict,
    "task_updated": TaskUpdatedEvent.from_dict,
    "execution_event": ExecutionLifecycleEvent.from_dict,
    "connected": ConnectedEvent.from_dict,
}


def follow(last_event_id: str | None = None) -> Iterator[Event]:
    """The messages after `last_event_id`."""
    params = {"task_id": str(task_id), **({"last_event_id": last_event_id} if last_event_id else {"since": "earliest"})}
    timeout = httpx.Timeout(10, read=60)
    with hub.get_httpx_client().stream("GET", "/api/events/stream", params=params, timeout=timeout) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                envelope = json.loads(line.removeprefix("data: "))
                if parse := KINDS.get(envelope["event"]):
                    yield parse(envelope)


created = next(it for it in follow() if isinstance(it, TaskCreatedEvent) and it.data.created_at == task.created_at)
updated = next(
    it for it in follow(created.id) if isinstance(it, TaskUpdatedEvent) and it.data.changed == [TaskField.PRIORITY])
next(
    it for it in follow(updated.id)
    if isinstance(it, ExecutionLifecycleEvent) and it.data.execution_event == ExecutionPhase.COMPLETED)
print("ok: receives events with their types")

stream = follow(created.id)
assert isinstance(next(stream), ConnectedEvent)
assert next(stream) == updated
print("ok: resumes after the last event it has seen")
