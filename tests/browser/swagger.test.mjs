// Swagger UI at /docs: embedded, so it works without the internet, and whatever it shows can be tried.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { axe } from "./axe.mjs";
import { api, createTask, screenshot, useBrowser } from "./harness.mjs";

const METHODS = ["get", "put", "post", "delete", "patch", "head", "options"];

/** Every operation of the specification. */
async function operations() {
  const spec = await api("GET", "/openapi.json");
  return Object.entries(spec.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({ method, path, ...item[method] })));
}

const isStream = (operation) => "text/event-stream" in (operation.responses["200"]?.content ?? {});

/** What makes an operation possible, and what it answers then if that is no success. */
const PREPARED = {
  deleteTask: { task: () => createTask({ title: "Try to delete" }) },
  startExecution: { task: () => createTask({ title: "Try to run" }) },
  getExecution: { task: () => running("true") },
  getExecutionLogs: { task: () => running("echo hello") },
  downloadExecutionLog: { task: () => running("echo hello") },
  stopExecution: { task: () => running("sleep 60") },
  // The sessions of this hub are plain processes.
  attachExecution: { task: () => running("true"), status: 409 },
  claimTask: { task: () => ready() },
  createProject: { task: () => withoutProject() },
};

const EXAMPLE_PROJECT = "web";

/** A task that the example of a claim gets. */
async function ready() {
  const projects = await api("GET", "/api/projects");
  if (!projects.some((it) => it.project === EXAMPLE_PROJECT)) await api("POST", "/api/projects", { project: EXAMPLE_PROJECT });
  return createTask({ title: "Try to claim", project: EXAMPLE_PROJECT });
}

/** Removes the project that the example of a new one would make again. */
async function withoutProject() {
  for (const task of await api("GET", `/api/tasks?project=${EXAMPLE_PROJECT}`)) await api("DELETE", `/api/tasks/${task.id}`);
  const projects = await api("GET", "/api/projects");
  if (projects.some((it) => it.project === EXAMPLE_PROJECT)) await api("DELETE", `/api/projects/${EXAMPLE_PROJECT}`);
  return createTask({ title: "Try it" });
}

/** The lease of a task that nobody else claims. */
async function leased() {
  const tag = crypto.randomUUID();
  await createTask({ title: "Try the lease", tags: [tag] });
  return (await api("POST", "/api/tasks/claim", { worker: tag, tag })).lease;
}

/** A project that nobody else uses. */
const unused = () => api("POST", "/api/projects", { project: `try-${crypto.randomUUID().slice(0, 8)}` });

/** A task whose execution has begun, and so has a log. */
async function running(script) {
  const task = await createTask({ title: "Try the log", script });
  await api("POST", `/api/exec/${task.id}`, {});
  while ((await api("GET", `/api/exec/${task.id}`)).status === "queued") await new Promise((go) => setTimeout(go, 20));
  return task;
}

/** Presses "Try it out" and "Execute" as somebody does who has changed nothing but the id; answers the status. */
async function execute(page, operation, task) {
  const block = page.locator(`[id="operations-${operation.tags[0]}-${operation.operationId}"]`);
  await block.locator(".opblock-summary-control").click();
  await block.locator(".try-out__btn").click();
  if (operation.path.includes("{task_id}")) {
    await block.locator("tr[data-param-name=task_id] input").fill(task.id);
  }
  if (operation.path.includes("{question_id}")) {
    const question = await api("POST", `/api/tasks/${task.id}/questions`, { text: "Deploy?", options: ["yes", "no"] });
    await block.locator("tr[data-param-name=question_id] input").fill(question.id);
  }
  if (operation.path.includes("{lease_id}")) {
    await block.locator("tr[data-param-name=lease_id] input").fill((await leased()).id);
  }
  if (operation.path.includes("{project}")) {
    await block.locator("tr[data-param-name=project] input").fill((await unused()).project);
  }
  await block.locator(".btn.execute").click();
  const status = block.locator(".live-responses-table tbody .response-col_status").first();
  const text = await status.textContent();
  await block.locator(".opblock-summary-control").click();
  return Number.parseInt(text, 10);
}

describe("/docs", () => {
  const openPage = useBrowser();

  it("lists every operation of the specification without leaving the origin", async (test) => {
    const { page, expectClean } = await openPage(test, "/docs");
    await page.locator(".opblock").first().waitFor();
    const expected = (await operations()).map(({ method, path }) => `${method.toUpperCase()} ${path}`);
    // A path is drawn with invisible places to break the line.
    const shown = await page.locator(".opblock-summary").evaluateAll((rows) => rows.map((row) =>
      `${row.querySelector(".opblock-summary-method").textContent} ${row.querySelector(".opblock-summary-path").dataset.path}`));
    assert.ok(expected.length > 0);
    assert.deepEqual(shown.sort(), expected.sort());
    await screenshot(page, "docs");
    expectClean();
  });

  it("runs every operation as it is shown, with the id of a task that there is", async (test) => {
    const { page } = await openPage(test, "/docs");
    await page.locator(".opblock").first().waitFor();
    const tried = (await operations()).filter((operation) => !isStream(operation));
    assert.ok(tried.length >= 20);
    for (const operation of tried) {
      const { task, status: expected } = PREPARED[operation.operationId] ?? {};
      const status = await execute(page, operation, await (task ?? (() => createTask({ title: "Try it" })))());
      const success = Object.keys(operation.responses).find((key) => key.startsWith("2"));
      assert.equal(status, expected ?? Number(success), operation.operationId);
      assert.ok(String(status) in operation.responses, `${operation.operationId} documents ${status}`);
    }
    await screenshot(page, "docs-tried");
  });

  it("has the pages' bar and its operations in sight, in the colours of the other pages", async (test) => {
    const { page, expectClean } = await openPage(test, "/docs", { colorScheme: "dark" });
    await page.locator(".opblock").first().waitFor();
    const { y } = await page.locator(".opblock").first().boundingBox();
    assert.ok(y < 500, `the first operation is ${y} px down`);
    const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(background, "rgb(15, 18, 23)");
    await screenshot(page, "docs-dark");
    await page.locator(".nav a", { hasText: "Board" }).click();
    await page.locator("#board").waitFor();
    expectClean();
  });

  it("has nothing that axe objects to, light and dark, also in an operation that is tried", async (test) => {
    const { page } = await openPage(test, "/docs");
    await page.locator(".opblock").first().waitFor();
    assert.deepEqual(await axe(page), []);
    const block = page.locator("#operations-Tasks-createTask");
    await block.locator(".opblock-summary-control").click();
    await block.locator(".try-out__btn").click();
    await block.locator(".btn.execute").click();
    await block.locator(".live-responses-table").waitFor();
    await screenshot(page, "docs-open");
    assert.deepEqual(await axe(page), []);
    await page.emulateMedia({ colorScheme: "dark" });
    await screenshot(page, "docs-open-dark");
    assert.deepEqual(await axe(page), []);
  });

  it("opens the stream in the monitor instead of executing it for ever", async (test) => {
    const { page } = await openPage(test, "/docs");
    const block = page.locator("#operations-Events-streamEvents");
    await block.locator(".opblock-summary-control").click();
    assert.equal(await block.locator(".try-out__btn").count(), 0);
    await block.locator(".open-monitor").click();
    await page.locator('#status[data-state="connected"]').waitFor();
  });

  it("says of a stream that it cannot be tried here, and how it can", async (test) => {
    const { page } = await openPage(test, "/docs");
    await page.locator(".opblock").first().waitFor();
    const streams = (await operations()).filter(isStream);
    assert.equal(streams.length, 2);
    for (const operation of streams) {
      const block = page.locator(`[id="operations-${operation.tags[0]}-${operation.operationId}"]`);
      await block.locator(".opblock-summary-control").click();
      const words = await block.locator(".opblock-description").textContent();
      assert.match(words, /Try it out/);
      assert.ok(words.includes(`curl -N http://localhost:8000${operation.path}`), operation.operationId);
    }
  });
});
