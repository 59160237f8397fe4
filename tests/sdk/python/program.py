"""openapi-generator's python: pydantic classes over urllib3. Of the stream it hands over the bytes, as NDJSON."""

import os
from collections.abc import Iterator
from uuid import UUID

import hub
from hub.exceptions import ApiException

TAG = os.environ["TASKHUB_TAG"]
client = hub.ApiClient(hub.Configuration(host=os.environ["TASKHUB_URL"]))
tasks = hub.TasksApi(client)

made = tasks.create_task_with_http_info(hub.TaskDraft(title="Write the report", tags=[TAG]))
task = made.data
for title in ["Read it", "Print it"]:
    tasks.create_task(hub.TaskDraft(title=title, tags=[TAG]))
assert made.headers and made.headers["location"] == f"/api/tasks/{task.id}"
print("ok: creates tasks")

listed: list[hub.Task] = []
cursor: str | None = None
while True:
    page = tasks.list_tasks_with_http_info(tag=[TAG], limit=2, cursor=cursor)
    listed += page.data
    cursor = page.headers.get("taskhub-next-page") if page.headers else None
    if cursor is None:
        break
assert [it.title for it in listed] == ["Write the report", "Read it", "Print it"]
print("ok: lists all pages")

got = tasks.get_task_with_http_info(task.id)
assert got.data == task
print("ok: gets a task")

etag = got.headers["etag"] if got.headers else None
patched = tasks.update_task(task.id, hub.TaskPatch(priority=hub.Priority.HIGH, assignee=None), if_match=etag)
assert (patched.priority, patched.assignee, patched.version) == (hub.Priority.HIGH, None, 2)
print("ok: merges a patch, if it matches")


def problem(error: ApiException) -> tuple[int | None, hub.Code]:
    """The status and the code that an error tells."""
    assert isinstance(error.data, hub.Problem)
    return error.status, error.data.code


try:
    tasks.update_task(task.id, hub.TaskPatch(priority=hub.Priority.LOW), if_match=etag)
    raise AssertionError("another version was changed")
except ApiException as error:
    assert problem(error) == (412, hub.Code.VERSION_MISMATCH)
print("ok: is told that the version differs")

try:
    tasks.get_task(UUID("0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e"))
    raise AssertionError("there is such a task")
except ApiException as error:
    assert problem(error) == (404, hub.Code.TASK_NOT_FOUND)
print("ok: is told that there is no such task")

guarded = hub.Configuration(host=os.environ["TASKHUB_GUARDED_URL"])
try:
    hub.TasksApi(hub.ApiClient(guarded)).list_tasks()
    raise AssertionError("a stranger is let in")
except ApiException as error:
    assert problem(error) == (401, hub.Code.TOKEN_MISSING)
print("ok: is refused without a token")

guarded.access_token = os.environ["TASKHUB_TOKEN"]
hub.TasksApi(hub.ApiClient(guarded)).list_tasks()
print("ok: is let in with a token")

reported = tasks.update_task_status(task.id, hub.StatusUpdate(new_status=hub.Status.INPROGRESS))
assert reported.status == hub.Status.INPROGRESS
print("ok: reports a status")

claimed = hub.LeasesApi(client).claim_task(hub.ClaimRequest(worker="alice", tag=TAG))
lease = claimed.lease
assert task.lease is None and lease and (lease.worker, claimed.status) == ("alice", hub.Status.INPROGRESS)
done = hub.StatusUpdate(new_status=hub.Status.DONE)
ended = tasks.update_task_status(claimed.id, done, taskhub_lease=lease.id)
assert (ended.status, ended.lease) == (hub.Status.DONE, None)
print("ok: claims a task, and reports under its lease")

request = hub.ExecutionRequest(script_content="echo hello")
execution = hub.ExecutionsApi(client).start_execution(task.id, execution_request=request)
assert execution.task_id == task.id
print("ok: starts an execution")


def follow(last_event_id: str | None = None) -> Iterator[object]:
    """The messages after `last_event_id`, one a line."""
    stream = hub.EventsApi(client).stream_events_without_preload_content(
        task_id=[task.id], last_event_id=last_event_id, since=None if last_event_id else "earliest",
        _request_timeout=(10.0, 60.0))
    for line in stream:
        if line.strip():
            event = hub.Event.from_json(line.decode())
            yield event and event.actual_instance


created = next(it for it in follow() if isinstance(it, hub.TaskCreatedEvent) and it.data.created_at == task.created_at)
updated = next(
    it for it in follow(created.id)
    if isinstance(it, hub.TaskUpdatedEvent) and it.data.changed == [hub.TaskField.PRIORITY])
next(
    it for it in follow(updated.id)
    if isinstance(it, hub.ExecutionLifecycleEvent) and it.data.execution_event == hub.ExecutionPhase.COMPLETED)
print("ok: receives events with their types")

stream = follow(created.id)
assert isinstance(next(stream), hub.ConnectedEvent)
assert next(stream) == updated
print("ok: resumes after the last event it has seen")
