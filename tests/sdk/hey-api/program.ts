// @hey-api/openapi-ts: fetch, answers and errors with their types, and streams that resume by themselves.

import assert from "node:assert/strict";
import { createClient } from "./generated/client/index.js";
import { client } from "./generated/client.gen.js";
import {
  claimTask, createTask, getTask, listTasks, startExecution, streamEvents, updateTask, updateTaskStatus, type Event, type Task,
} from "./generated/index.js";

const { TASKHUB_URL, TASKHUB_GUARDED_URL, TASKHUB_TOKEN, TASKHUB_TAG } = process.env;
const tag = TASKHUB_TAG!;
client.setConfig({ baseUrl: TASKHUB_URL! });

const made = await createTask({ body: { title: "Write the report", tags: [tag] }, throwOnError: true });
const task = made.data;
const path = { task_id: task.id };
for (const title of ["Read it", "Print it"]) await createTask({ body: { title, tags: [tag] }, throwOnError: true });
assert.equal(made.response.headers.get("location"), `/api/tasks/${task.id}`);
console.log("ok: creates tasks");

const listed: Task[] = [];
let cursor: string | undefined;
do {
  const page = await listTasks({ query: { tag: [tag], limit: 2, cursor }, throwOnError: true });
  listed.push(...page.data);
  cursor = page.response.headers.get("taskhub-next-page") ?? undefined;
} while (cursor);
assert.deepEqual(listed.map((it) => it.title), ["Write the report", "Read it", "Print it"]);
console.log("ok: lists all pages");

const got = await getTask({ path, throwOnError: true });
assert.deepEqual(got.data, task);
console.log("ok: gets a task");

const match = { "If-Match": got.response.headers.get("etag")! };
const patched = await updateTask({ path, headers: match, body: { priority: "high", assignee: null }, throwOnError: true });
assert.deepEqual([patched.data.priority, patched.data.assignee, patched.data.version], ["high", null, 2]);
console.log("ok: merges a patch, if it matches");

const late = await updateTask({ path, headers: match, body: { priority: "low" } });
assert.deepEqual([late.response?.status, late.error?.code], [412, "version_mismatch"]);
console.log("ok: is told that the version differs");

const missing = await getTask({ path: { task_id: "0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e" } });
assert.deepEqual([missing.response?.status, missing.error?.code], [404, "task_not_found"]);
console.log("ok: is told that there is no such task");

const stranger = createClient({ baseUrl: TASKHUB_GUARDED_URL! });
const refused = await listTasks({ client: stranger });
assert.deepEqual([refused.response?.status, refused.error?.code], [401, "token_missing"]);
console.log("ok: is refused without a token");

const known = createClient({ baseUrl: TASKHUB_GUARDED_URL!, auth: () => TASKHUB_TOKEN });
await listTasks({ client: known, throwOnError: true });
console.log("ok: is let in with a token");

const reported = await updateTaskStatus({ path, body: { new_status: "inprogress" }, throwOnError: true });
assert.equal(reported.data.status, "inprogress");
console.log("ok: reports a status");

const claimed = await claimTask({ body: { worker: "alice", tag }, throwOnError: true });
if (!claimed.data) throw new Error("no task is ready");
const lease = claimed.data.lease!;
assert.deepEqual([task.lease, lease.worker, claimed.data.status], [null, "alice", "inprogress"]);
const ended = await updateTaskStatus({
  path: { task_id: claimed.data.id }, headers: { "Taskhub-Lease": lease.id }, body: { new_status: "done" }, throwOnError: true,
});
assert.deepEqual([ended.data.status, ended.data.lease], ["done", null]);
console.log("ok: claims a task, and reports under its lease");

const execution = await startExecution({ path, body: { script_content: "echo hello" }, throwOnError: true });
assert.equal(execution.data.task_id, task.id);
console.log("ok: starts an execution");

/** The first message after `last_event_id` that is as it should be, and its id. */
async function follow(last_event_id: string | undefined, wanted: (event: Event) => boolean): Promise<string> {
  const since = last_event_id ? undefined : "earliest";
  const stop = new AbortController();
  const { stream } = await streamEvents({ query: { task_id: [task.id], since, last_event_id }, signal: stop.signal });
  try {
    for await (const event of stream) if (wanted(event)) return event.id;
  } finally {
    stop.abort();
  }
  throw new Error("the stream has ended");
}

const created = await follow(undefined, (event) => event.event === "task_created" && event.data.title === task.title);
const updated = await follow(created, (event) => event.event === "task_updated" && event.data.changed[0] === "priority");
await follow(updated, (event) => event.event === "execution_event" && event.data.execution_event === "completed");
console.log("ok: receives events with their types");

const next: Event[] = [];
await follow(created, (event) => next.push(event) === 2);
assert.deepEqual(next.map((event) => event.event), ["connected", "task_updated"]);
assert.equal(next[1]!.id, updated);
console.log("ok: resumes after the last event it has seen");
process.exit();
