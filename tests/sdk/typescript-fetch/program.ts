// openapi-generator's typescript-fetch: a class for each tag, and times as `Date`. Of the stream it hands over the bytes.

import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import {
  Code, Configuration, EventFromJSON, EventsApi, ExecutionPhase, ExecutionsApi, LeasesApi, Priority, ResponseError, Status,
  TaskField, TasksApi, type Event, type Problem, type Task,
} from "./generated/index.js";

const { TASKHUB_URL, TASKHUB_GUARDED_URL, TASKHUB_TOKEN, TASKHUB_TAG } = process.env;
const tag = TASKHUB_TAG!;
const hub = new Configuration({ basePath: TASKHUB_URL! });
const tasks = new TasksApi(hub);

const made = await tasks.createTaskRaw({ taskDraft: { title: "Write the report", tags: [tag] } });
const task: Task = await made.value();
const taskId = task.id;
for (const title of ["Read it", "Print it"]) await tasks.createTask({ taskDraft: { title, tags: [tag] } });
assert.equal(made.raw.headers.get("location"), `/api/tasks/${taskId}`);
console.log("ok: creates tasks");

const listed: Task[] = [];
let cursor: string | undefined;
do {
  const page = await tasks.listTasksRaw({ tag: [tag], limit: 2, cursor });
  listed.push(...(await page.value()));
  cursor = page.raw.headers.get("taskhub-next-page") ?? undefined;
} while (cursor);
assert.deepEqual(listed.map((it) => it.title), ["Write the report", "Read it", "Print it"]);
console.log("ok: lists all pages");

const got = await tasks.getTaskRaw({ taskId });
assert.deepEqual(await got.value(), task);
console.log("ok: gets a task");

const ifMatch = got.raw.headers.get("etag")!;
const patched = await tasks.updateTask({ taskId, ifMatch, taskPatch: { priority: Priority.High, assignee: null } });
assert.deepEqual([patched.priority, patched.assignee, patched.version], [Priority.High, null, 2]);
console.log("ok: merges a patch, if it matches");

/** The problem that a call ends with. */
async function problem(call: Promise<unknown>): Promise<Problem> {
  const error = await call.then(() => undefined, (error: unknown) => error);
  if (!(error instanceof ResponseError)) throw new Error("there is no problem", { cause: error });
  return (await error.response.json()) as Problem;
}

const late = await problem(tasks.updateTask({ taskId, ifMatch, taskPatch: { priority: Priority.Low } }));
assert.deepEqual([late.status, late.code], [412, Code.VersionMismatch]);
console.log("ok: is told that the version differs");

const missing = await problem(tasks.getTask({ taskId: "0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e" }));
assert.deepEqual([missing.status, missing.code], [404, Code.TaskNotFound]);
console.log("ok: is told that there is no such task");

const stranger = new TasksApi(new Configuration({ basePath: TASKHUB_GUARDED_URL! }));
const refused = await problem(stranger.listTasks());
assert.deepEqual([refused.status, refused.code], [401, Code.TokenMissing]);
console.log("ok: is refused without a token");

const known = new TasksApi(new Configuration({ basePath: TASKHUB_GUARDED_URL!, accessToken: TASKHUB_TOKEN! }));
await known.listTasks();
console.log("ok: is let in with a token");

const reported = await tasks.updateTaskStatus({ taskId, statusUpdate: { newStatus: Status.Inprogress } });
assert.equal(reported.status, Status.Inprogress);
console.log("ok: reports a status");

const claimed = await new LeasesApi(hub).claimTask({ claimRequest: { worker: "alice", tag } });
if (!claimed) throw new Error("no task is ready");
const lease = claimed.lease!;
assert.deepEqual([task.lease, lease.worker, claimed.status], [null, "alice", Status.Inprogress]);
const done = { newStatus: Status.Done };
const ended = await tasks.updateTaskStatus({ taskId: claimed.id, taskhubLease: lease.id, statusUpdate: done });
assert.deepEqual([ended.status, ended.lease], [Status.Done, null]);
console.log("ok: claims a task, and reports under its lease");

const executionRequest = { scriptContent: "echo hello" };
const execution = await new ExecutionsApi(hub).startExecution({ taskId, executionRequest });
assert.equal(execution.taskId, taskId);
console.log("ok: starts an execution");

/** The messages after `lastEventId`, one a line. */
async function* follow(lastEventId?: string): AsyncGenerator<Event> {
  const wanted = { taskId: [taskId], since: lastEventId ? undefined : "earliest", lastEventId };
  const { raw } = await new EventsApi(hub).streamEventsRaw(wanted, { headers: { Accept: "application/x-ndjson" } });
  for await (const line of createInterface(Readable.fromWeb(raw.body as ReadableStream))) {
    if (line) yield EventFromJSON(JSON.parse(line));
  }
}

/** The id of the first message after `lastEventId` that is as it should be. */
async function find(lastEventId: string | undefined, wanted: (event: Event) => boolean): Promise<string> {
  for await (const event of follow(lastEventId)) if (wanted(event)) return event.id;
  throw new Error("the stream has ended");
}

const created = await find(undefined, (event) => event.event === "task_created" && event.data.createdAt <= event.timestamp);
const updated = await find(created, (event) =>
  event.event === "task_updated" && event.data.changed[0] === TaskField.Priority);
await find(updated, (event) =>
  event.event === "execution_event" && event.data.executionEvent === ExecutionPhase.Completed);
console.log("ok: receives events with their types");

const next: Event[] = [];
await find(created, (event) => next.push(event) === 2);
assert.deepEqual(next.map((event) => event.event), ["connected", "task_updated"]);
assert.equal(next[1]!.id, updated);
console.log("ok: resumes after the last event it has seen");
process.exit();
