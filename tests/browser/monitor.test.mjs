// The wire as a browser sees it, and the event monitor at /test_sse.html.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { api, createTask, fakeFirstStream, putStatus, screenshot, uniqueTitle, useBrowser } from "./harness.mjs";
import { source } from "./source.mjs";

const MONITOR = "/test_sse.html";
const ENVELOPE_FIELDS = ["data", "event", "id", "timestamp"];
const TASK_FIELDS = [
  "actor", "artifacts", "assignee", "attempts", "attempts_max", "auto_start", "blocked_by", "changed", "created_at", "key",
  "lease", "priority", "project", "ready", "reason", "status", "tags", "task_id", "title", "version", "waiting_for",
];

const statusIs = (page, text) =>
  page.waitForFunction((wanted) => document.querySelector("#status").textContent === wanted, text);
const rowOf = (page, event, title) => page.locator(`.event-row[data-event="${event}"]`, { hasText: title });

describe("EventSource in Chromium", () => {
  const openPage = useBrowser();

  it("gets exactly one task_updated for a PUT, by onmessage, with the documented fields", async (test) => {
    const { page, expectClean } = await openPage(test, MONITOR);
    await page.evaluate(() => {
      window.received = [];
      window.source = new EventSource("/api/events/stream");
      window.source.onmessage = (message) =>
        window.received.push({ lastEventId: message.lastEventId, type: message.type, body: JSON.parse(message.data) });
    });
    await page.waitForFunction(() => window.received.some(({ body }) => body.event === "connected"));

    const task = await createTask({ title: uniqueTitle("wire"), assignee: "alice", tags: ["wire"] });
    await putStatus(task.id, { new_status: "inprogress", priority: "high", artifacts: ["file1.txt"] });
    await putStatus(task.id, { new_status: "review" }); // the mark behind which nothing more can come
    const about = await page
      .waitForFunction((id) => {
        const mine = window.received.filter(({ body }) => body.data.task_id === id);
        return mine.some(({ body }) => body.data.status === "review") && mine;
      }, task.id)
      .then((handle) => handle.jsonValue());

    assert.deepEqual(about.map(({ body }) => body.event), ["task_created", "task_updated", "task_updated"]);
    const [, { lastEventId, type, body }] = about;
    assert.equal(type, "message");
    assert.equal(lastEventId, body.id, "the SSE id is the envelope's id");
    assert.match(body.id, /^[0-9a-f]{8}-[1-9][0-9]*$/);
    assert.match(body.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.deepEqual(Object.keys(body).sort(), ENVELOPE_FIELDS);
    assert.deepEqual(Object.keys(body.data).sort(), TASK_FIELDS);
    const { version, changed, ...data } = body.data;
    assert.deepEqual(data, {
      task_id: task.id, title: task.title, status: "inprogress", priority: "high",
      assignee: "alice", tags: ["wire"], artifacts: ["file1.txt"],
      created_at: task.created_at, actor: null, project: "default", key: task.key, ready: false, reason: null,
      blocked_by: [], auto_start: false, lease: null, attempts: 0, attempts_max: 3, waiting_for: [],
    });
    assert.equal(version, task.version + 1);
    assert.deepEqual([...changed].sort(), ["artifacts", "priority", "status"]);

    const ids = await page.evaluate(() => window.received.map(({ body: { id } }) => id));
    const seqs = ids.map((id) => Number(id.split("-")[1]));
    assert.deepEqual(seqs, seqs.map((_, index) => seqs[0] + index), "gap-free from `connected` on");
    expectClean();
  });
});

describe("event monitor", () => {
  const openPage = useBrowser();

  it("connects by itself, disconnects, and connects again", async (test) => {
    const { page, expectClean } = await openPage(test, MONITOR);
    await statusIs(page, "connected");
    await page.click("#disconnect");
    await statusIs(page, "disconnected");

    const missed = uniqueTitle("while disconnected");
    await createTask({ title: missed });
    await page.click("#connect");
    await statusIs(page, "connected");
    const seen = uniqueTitle("while connected");
    await page.locator('.event-row[data-event="connected"]').nth(1).waitFor();
    await createTask({ title: seen });
    await rowOf(page, "task_created", seen).waitFor();
    assert.equal(await rowOf(page, "task_created", missed).count(), 0, "a plain connect starts at now");
    assert.equal(await page.locator("#gap-warning").isVisible(), false);
    expectClean();
  });

  it("triggers a test update and shows it without a gap", async (test) => {
    const { page, expectClean } = await openPage(test, MONITOR);
    await page.locator('.event-row[data-event="connected"]').waitFor();
    await page.click("#trigger");
    const row = rowOf(page, "task_updated", "Test update from the event monitor").first();
    await row.waitFor();
    await row.locator("button").click();
    const shown = JSON.parse(await row.locator("pre").textContent());
    assert.equal(shown.event, "task_updated");
    assert.equal(shown.data.status, "inprogress");
    assert.equal(shown.data.priority, "high");
    assert.equal(await row.getAttribute("data-id"), shown.id);
    assert.ok(Number(await page.locator("#count").textContent()) >= 2);
    assert.match(await page.locator("#sequence").textContent(), /^No gap in \d+ events$/);
    assert.equal(await page.locator("#gap-warning").isVisible(), false);
    await screenshot(page, "monitor-light");
    await page.emulateMedia({ colorScheme: "dark" });
    await screenshot(page, "monitor-dark");
    expectClean();
  });

  it("clears the log and goes on counting from zero", async (test) => {
    const { page, expectClean } = await openPage(test, MONITOR);
    await page.locator('.event-row[data-event="connected"]').waitFor();
    await page.click("#disconnect");
    await page.click("#clear");
    assert.equal(await page.locator("#count").textContent(), "0");
    assert.equal(await page.locator("#log > *").count(), 0);
    await page.click("#connect");
    await page.locator('.event-row[data-event="connected"]').waitFor();
    expectClean();
  });

  it("applies its filters and replays from a cursor", async (test) => {
    const { page, expectClean } = await openPage(test, MONITOR);
    await statusIs(page, "connected");
    await page.click("#disconnect");
    await page.click("#clear");
    const task = await createTask({ title: uniqueTitle("replayed") });
    await putStatus(task.id, { new_status: "done" });
    await page.fill("#events", "task_updated");
    await page.fill("#task_id", task.id);
    await page.fill("#since", "earliest");
    await page.click("#connect");
    await rowOf(page, "task_updated", task.title).waitFor();
    assert.equal(await page.locator('.event-row[data-event="task_created"]').count(), 0);
    assert.match(await page.locator("#sequence").textContent(), /filtered/);
    expectClean();
  });

  it("warns when a number is missing, and not after a reset", async () => {
    const { SequenceCheck } = await source("shared/sequence.ts");
    const check = new SequenceCheck();
    const verdicts = [
      ["connected", "aaaaaaaa-5"], ["task_created", "aaaaaaaa-6"], ["task_updated", "aaaaaaaa-8"],
      ["task_updated", "aaaaaaaa-8"], ["connected", "aaaaaaaa-8"], ["reset", "bbbbbbbb-90"],
      ["task_updated", "bbbbbbbb-91"], ["connected", "bbbbbbbb-93"], ["task_updated", "cccccccc-94"],
    ].map(([event, id]) => check.see({ event, id }) !== null);
    assert.deepEqual(verdicts, [false, false, true, true, false, false, false, true, true]);
  });

  it("shows the warning when a stream skips a number", async (test) => {
    const beforeLoad = (page) => fakeFirstStream(page, [
      { id: "aaaaaaaa-5", event: "connected" },
      { id: "aaaaaaaa-6", event: "task_deleted", data: { title: "there" } },
      { id: "aaaaaaaa-9", event: "task_deleted", data: { title: "here" } },
    ]);
    const { page, expectClean } = await openPage(test, MONITOR, { beforeLoad });
    await page.locator("#gap-warning", { hasText: "2 events are missing: aaaaaaaa-7 to aaaaaaaa-8." }).waitFor();
    await page.locator('.counter[data-event="reset"]').waitFor(); // the server's word on that foreign id
    await page.click("#clear");
    assert.equal(await page.locator("#gap-warning").isVisible(), false);
    expectClean();
  });

  it("keeps only the last thousand rows", async (test) => {
    const events = Array.from({ length: 2500 }, (_, index) => ({ id: `aaaaaaaa-${index + 1}`, event: "task_deleted", data: { title: "x" } }));
    const { page, expectClean } = await openPage(test, MONITOR, { beforeLoad: (page) => fakeFirstStream(page, events) });
    await page.waitForFunction(() => Number(document.querySelector("#count").textContent) >= 2500);
    assert.ok((await page.locator("#log > *").count()) <= 1000);
    expectClean();
  });

  it("takes its filters and its start from the address, writes them there, and counts no control message", async (test) => {
    const task = await createTask({ title: uniqueTitle("addressed") });
    await putStatus(task.id, { new_status: "review" });
    const { page, expectClean } = await openPage(test, `${MONITOR}?events=task_updated&since=earliest&task_id=${task.id}&priority=none`);
    await rowOf(page, "task_updated", task.title).waitFor();
    await page.locator('.event-row[data-event="connected"]').waitFor();
    assert.equal(await page.inputValue("#events"), "task_updated");
    assert.match(await page.inputValue("#endpoint"), /priority=none/);
    assert.equal(await page.locator("#count").textContent(), "1");
    await page.click("#disconnect");
    await page.fill("#events", "task_created");
    await page.click("#connect");
    await rowOf(page, "task_created", task.title).waitFor();
    const { searchParams } = new URL(page.url());
    assert.deepEqual([searchParams.get("events"), searchParams.get("since")], ["task_created", "earliest"]);
    expectClean();
  });

  it("counts itself as a connected client", async (test) => {
    const { page, expectClean } = await openPage(test, MONITOR);
    await statusIs(page, "connected");
    const status = await api("GET", "/api/events/status");
    assert.equal(status.status, "active");
    assert.ok(status.connected_clients >= 1);
    expectClean();
  });
});
