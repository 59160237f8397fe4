// openapi-typescript with openapi-fetch: types alone, and fetch behind them. Of the stream it hands over the bytes.

import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import createClient from "openapi-fetch";
import type { components, paths } from "./generated/hub.js";

type Event = components["schemas"]["Event"];
type Task = components["schemas"]["Task"];

const { TASKHUB_URL, TASKHUB_GUARDED_URL, TASKHUB_TOKEN, TASKHUB_TAG } = process.env;
const tag = TASKHUB_TAG!;
// Lists in a query are separated by commas.
const querySerializer = { array: { style: "form", explode: false } } as const;
const hub = createClient<paths>({ baseUrl: TASKHUB_URL!, querySerializer });

const made = await hub.POST("/api/tasks", { body: { title: "Write the report", tags: [tag] } });
const task: Task = made.data!;
const path = { task_id: task.id };
for (const title of ["Read it", "Print it"]) await hub.POST("/api/tasks", { body: { title, tags: [tag] } });
assert.equal(made.response.headers.get("location"), `/api/tasks/${task.id}`);
console.log("ok: creates tasks");

const listed: Task[] = [];
let cursor: string | undefined;
do {
  const page = await hub.GET("/api/tasks", { params: { query: { tag: [tag], limit: 2, cursor } } });
  listed.push(...page.data!);
  cursor = page.response.headers.get("taskhub-next-page") ?? undefined;
} while (cursor);
assert.deepEqual(listed.map((it) => it.title), ["Write the report", "Read it", "Print it"]);
console.log("ok: lists all pages");

const got = await hub.GET("/api/tasks/{task_id}", { params: { path } });
assert.deepEqual(got.data, task);
console.log("ok: gets a task");

const params = { path, header: { "If-Match": got.response.headers.get("etag")! } };
const patched = await hub.PATCH("/api/tasks/{task_id}", { params, body: { priority: "high", assignee: null } });
assert.deepEqual([patched.data?.priority, patched.data?.assignee, patched.data?.version], ["high", null, 2]);
console.log("ok: merges a patch, if it matches");

const late = await hub.PATCH("/api/tasks/{task_id}", { params, body: { priority: "low" } });
assert.deepEqual([late.response.status, late.error?.code], [412, "version_mismatch"]);
console.log("ok: is told that the version differs");

const nobody = { path: { task_id: "0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e" } };
const missing = await hub.GET("/api/tasks/{task_id}", { params: nobody });
assert.deepEqual([missing.response.status, missing.error?.code], [404, "task_not_found"]);
console.log("ok: is told that there is no such task");

const guarded = createClient<paths>({ baseUrl: TASKHUB_GUARDED_URL! });
const refused = await guarded.GET("/api/tasks");
assert.deepEqual([refused.response.status, refused.error?.code], [401, "token_missing"]);
console.log("ok: is refused without a token");

guarded.use({
  onRequest({ request }) {
    request.headers.set("Authorization", `Bearer ${TASKHUB_TOKEN}`);
  },
});
assert.equal((await guarded.GET("/api/tasks")).error, undefined);
console.log("ok: is let in with a token");

const reported = await hub.PUT("/api/tasks/status/{task_id}", { params: { path }, body: { new_status: "inprogress" } });
assert.equal(reported.data?.status, "inprogress");
console.log("ok: reports a status");

const claimed = await hub.POST("/api/tasks/claim", { body: { worker: "alice", tag } });
if (!claimed.data) throw new Error("no task is ready");
const lease = claimed.data.lease!;
assert.deepEqual([task.lease, lease.worker, claimed.data.status], [null, "alice", "inprogress"]);
const under = { path: { task_id: claimed.data.id }, header: { "Taskhub-Lease": lease.id } };
const ended = await hub.PUT("/api/tasks/status/{task_id}", { params: under, body: { new_status: "done" } });
assert.deepEqual([ended.data?.status, ended.data?.lease], ["done", null]);
console.log("ok: claims a task, and reports under its lease");

const body = { script_content: "echo hello" };
const execution = await hub.POST("/api/exec/{task_id}", { params: { path }, body });
assert.equal(execution.data?.task_id, task.id);
console.log("ok: starts an execution");

/** The messages after `last_event_id`, one a line. */
async function* follow(last_event_id?: string): AsyncGenerator<Event> {
  const since = last_event_id ? undefined : "earliest";
  const { data, response } = await hub.GET("/api/events/stream", {
    params: { query: { task_id: [task.id], since, last_event_id } },
    headers: { Accept: "application/x-ndjson" },
    parseAs: "stream",
  });
  if (!data) throw new Error(`the hub answers ${response.status}`);
  for await (const line of createInterface(Readable.fromWeb(data as ReadableStream))) {
    if (line) yield JSON.parse(line) as Event;
  }
}

/** The id of the first message after `last_event_id` that is as it should be. */
async function find(last_event_id: string | undefined, wanted: (event: Event) => boolean): Promise<string> {
  for await (const event of follow(last_event_id)) if (wanted(event)) return event.id;
  throw new Error("the stream has ended");
}

const created = await find(undefined, (event) => event.event === "task_created" && event.data.title === task.title);
const updated = await find(created, (event) => event.event === "task_updated" && event.data.changed[0] === "priority");
await find(updated, (event) => event.event === "execution_event" && event.data.execution_event === "completed");
console.log("ok: receives events with their types");

const next: Event[] = [];
await find(created, (event) => next.push(event) === 2);
assert.deepEqual(next.map((event) => event.event), ["connected", "task_updated"]);
assert.equal(next[1]!.id, updated);
console.log("ok: resumes after the last event it has seen");
process.exit();
