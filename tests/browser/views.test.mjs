// The views beside the board, each at an address of its own: list, runs, hub, and a task as a page.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { axe } from "./axe.mjs";
import { screenshot, until, useBrowser } from "./harness.mjs";
import { OwnHub } from "./hub.mjs";

const live = (page) => page.locator('#connection[data-state="connected"]').waitFor();
const rows = (page, view) => page.locator(`#${view}-rows .rows-sizer > .row`);
const titles = (page, view) => rows(page, view).locator(".row-title").allTextContents();

/** The titles from top to bottom: the order in the document is not the order in sight. */
const inOrder = (page, view) => rows(page, view).evaluateAll((nodes) => nodes
  .sort((a, b) => Number(a.getAttribute("aria-rowindex")) - Number(b.getAttribute("aria-rowindex")))
  .map((node) => node.querySelector(".row-title").textContent));

async function filled(test, ...args) {
  const hub = await OwnHub.start(test, ...args);
  const tasks = [];
  for (const [title, priority, assignee] of [["Cherry", "low", "bob"], ["apple", "high", "carol"], ["Banana", "medium", "alice"], ["Date", undefined, undefined]]) {
    tasks.push(await hub.api("POST", "/api/tasks", { title, priority, assignee, tags: ["fruit"], script: "sleep 30" }));
  }
  return { hub, tasks };
}

describe("the list", () => {
  const openPage = useBrowser();

  it("is sorted by any column, follows what changes, and opens a task beside it", async (test) => {
    const { hub, tasks } = await filled(test);
    const { page, expectClean } = await openPage(test, "/list", { base: hub.base });
    await live(page);
    const sort = (column) => page.locator(`#list-head button[data-column=${column}]`).click();
    const expectOrder = (...order) => until(async () => String(await inOrder(page, "list")) === String(order), order.join());
    await expectOrder("Date", "Banana", "apple", "Cherry");
    await sort("title");
    await expectOrder("apple", "Banana", "Cherry", "Date");
    await sort("title");
    await expectOrder("Date", "Cherry", "Banana", "apple");
    assert.equal(await page.locator("#list-head [aria-sort]").getAttribute("aria-sort"), "descending");
    await sort("priority");
    await expectOrder("apple", "Banana", "Cherry", "Date");
    await hub.api("PATCH", `/api/tasks/${tasks[3].id}`, { priority: "high", title: "Elder" });
    await expectOrder("Elder", "apple", "Banana", "Cherry");
    await page.fill("#search", "alice");
    await expectOrder("Banana");
    await rows(page, "list").first().locator(".row-title").click();
    await page.locator("#drawer-title", { hasText: "Banana" }).waitFor();
    assert.equal(new URL(page.url()).pathname, "/list");
    await page.goBack();
    await page.locator("#drawer").waitFor({ state: "hidden" });
    await page.reload();
    await until(async () => (await titles(page, "list")).length === 4, "the address shows the list again");
    expectClean();
  });

  it("changes many at once, and says which were refused", async (test) => {
    const { hub, tasks } = await filled(test);
    const { page, expectClean } = await openPage(test, "/list", { base: hub.base });
    await live(page);
    const box = (title) => rows(page, "list").filter({ hasText: title }).locator("input");
    await box("apple").click();
    await box("Date").click({ modifiers: ["Shift"] }); // newest first: Date, Banana, apple
    assert.equal(await page.locator("#bulk-count").textContent(), "3 selected");
    await page.selectOption("#bulk-status", "review");
    const statuses = async () => Promise.all(tasks.map(async ({ id }) => (await hub.api("GET", `/api/tasks/${id}`)).status));
    await until(async () => String(await statuses()) === "todo,review,review,review", "three are in review");
    await page.fill("#bulk-assignee", "zoe");
    await page.keyboard.press("Enter");
    await until(async () => (await hub.api("GET", `/api/tasks/${tasks[2].id}`)).assignee === "zoe", "it is assigned");
    await page.selectOption("#bulk-priority", "none");
    await until(async () => (await hub.api("GET", `/api/tasks/${tasks[1].id}`)).priority === null, "it has no priority");

    // Deleted by another in the very moment: the others are changed all the same.
    await page.route("**/api/tasks/batch", async (route) => {
      await hub.api("DELETE", `/api/tasks/${tasks[3].id}`);
      await route.continue();
    }, { times: 1 });
    await page.selectOption("#bulk-status", "done");
    await page.locator(".toast", { hasText: "1 of 3 were refused" }).waitFor();
    assert.equal((await hub.api("GET", `/api/tasks/${tasks[1].id}`)).status, "done");

    await page.locator("#list-all").check();
    await page.locator("#bulk-delete").click();
    await page.locator("#bulk-delete-no").click();
    assert.equal((await hub.api("GET", "/api/tasks")).length, 3);
    await page.locator("#bulk-delete").click();
    await page.locator("#bulk-delete-yes").click();
    await until(async () => (await hub.api("GET", "/api/tasks")).length === 0, "all are gone");
    await page.locator("#list-empty", { hasText: "No tasks yet" }).waitFor();
    expectClean();
  });
});

describe("the runs", () => {
  const openPage = useBrowser();

  it("shows what waits and for how many, what runs, and how the others ended", async (test) => {
    const { hub, tasks } = await filled(test, "--executions-max", "1");
    const [cherry, apple, banana, date] = tasks;
    const run = (task, body = {}) => hub.api("POST", `/api/exec/${task.id}`, body);
    await run(date, { script_content: "exit 3" });
    await until(async () => (await hub.api("GET", `/api/exec/${date.id}`)).status === "failed", "it fails");
    await run(cherry);
    await until(async () => (await hub.api("GET", `/api/exec/${cherry.id}`)).status === "running", "it runs");
    await run(banana);
    await run(apple);

    const { page, expectClean } = await openPage(test, "/runs", { base: hub.base });
    const row = (title) => rows(page, "runs").filter({ hasText: title });
    // By priority, then by age: apple is asked for later, and goes first.
    await row("apple").locator(".bar-words", { hasText: "next, waiting for a slot" }).waitFor();
    await row("Banana").locator(".bar-words", { hasText: "1 before it" }).waitFor();
    await row("Cherry").locator('.execution[data-state="running"]').waitFor();
    await row("Date").locator(".run-facts", { hasText: "exit code 3" }).waitFor();
    assert.deepEqual(await inOrder(page, "runs"), ["apple", "Banana", "Cherry", "Date"]);
    assert.equal(await page.locator("#runs-filters .chip", { hasText: "Queued" }).locator(".count").textContent(), "2");

    await page.locator("#runs-filters .chip", { hasText: "Failed" }).click();
    await until(async () => String(await titles(page, "runs")) === "Date", "only what has failed");
    await page.locator("#runs-filters .chip", { hasText: "All" }).click();
    await row("Cherry").getByRole("button", { name: "Stop" }).click();
    await row("Cherry").locator('.execution[data-state="stopped"]').waitFor();
    await row("apple").locator('.execution[data-state="running"]').waitFor();
    await row("Banana").locator(".bar-words", { hasText: "next" }).waitFor();
    await row("Cherry").getByRole("button", { name: "Run again" }).click();
    await until(async () => (await row("Cherry").count()) === 2, "it has another row");
    // The title leads to the execution, also in a tab of its own.
    assert.match(await row("Date").locator("a").getAttribute("href"), /^\/t\/default-4\?run=1$/);
    expectClean();
  });
});

describe("the hub", () => {
  const openPage = useBrowser();

  it("shows its clients, rates and queue", async (test) => {
    const { hub, tasks } = await filled(test);
    const { page, expectClean } = await openPage(test, "/hub", { base: hub.base });
    await live(page);
    await hub.api("POST", `/api/exec/${tasks[0].id}`, {});
    const fact = (name) => page.locator("#hub-facts > div").filter({ has: page.locator("dt", { hasText: name }) }).locator("dd");
    await fact(/^Running$/).filter({ hasText: /^1$/ }).waitFor();
    assert.equal(await fact(/^Tasks$/).textContent(), "4");
    assert.match(await fact(/^Version$/).textContent(), /^\d+\.\d+\.\d+/);
    await page.locator("#hub-clients tr", { hasText: "up to date" }).waitFor();
    assert.equal(await page.locator("#hub-clients tr").count(), 1);
    await page.locator("#hub-rates .rate", { hasText: "Requests" }).locator("strong", { hasText: "/s" }).waitFor();
    await page.locator("#hub-rates polyline").first().waitFor({ state: "attached" });
    expectClean();
  });
});

describe("all views", () => {
  const openPage = useBrowser();

  it("have an address, are one step of the history each, and share one stream", async (test) => {
    const { hub, tasks } = await filled(test);
    const { page, expectClean } = await openPage(test, `/t/${tasks[1].key}`, { base: hub.base });
    await page.locator("#drawer-title", { hasText: "apple" }).waitFor();
    assert.match(await page.title(), /apple/);
    for (const name of ["List", "Runs", "Hub", "Board"]) {
      await page.locator(".nav a", { hasText: name }).click();
      await page.locator('.nav a[aria-current="page"]', { hasText: name }).waitFor();
    }
    assert.equal((await hub.api("GET", "/api/events/status")).total_connections, 1);
    await page.goBack();
    await page.locator("#hub-view").waitFor();
    await page.goto(`${hub.base}/t/nothing-1`);
    await page.locator(".toast", { hasText: "There is no task" }).waitFor();
    await page.goto(`${hub.base}/#${tasks[1].key}`);
    await page.locator("#drawer-page").click();
    await page.locator('body[data-view="task"] #drawer-title', { hasText: "apple" }).waitFor();
    await page.locator("#drawer-close").click();
    await page.locator(".board").waitFor();
    for (const [address, name] of [["/test_sse.html", "Events"], ["/docs", "API"]]) {
      await page.goto(hub.base + address);
      assert.equal(await page.locator('.nav a[aria-current="page"]').textContent(), name);
      assert.equal(await page.locator(".nav a").count(), 6);
    }
    await page.locator(".nav a", { hasText: "Board" }).click();
    await page.locator(".board").waitFor();
    // An unknown task is said by the hub, too, with a 404 that the browser notes.
    assert.equal(await page.locator("#drawer").isVisible(), false);
  });

  it("have nothing that axe objects to, in any colours and on a phone", async (test) => {
    const { hub, tasks } = await filled(test, "--executions-max", "1");
    await hub.api("POST", `/api/exec/${tasks[0].id}`, { script_content: "echo hello; exit 1" });
    await hub.api("POST", `/api/exec/${tasks[1].id}`, {});
    await hub.api("POST", `/api/exec/${tasks[2].id}`, {});
    const { page, expectClean } = await openPage(test, "/", { base: hub.base });
    await live(page);
    for (const [width, height] of [[1400, 880], [820, 1000], [390, 800]]) {
      await page.setViewportSize({ width, height });
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
        for (const [name, address] of [["board", "/"], ["list", "/list"], ["runs", "/runs"], ["hub", "/hub"], ["task", `/t/${tasks[0].key}`]]) {
          await page.evaluate((address) => {
            history.pushState(null, "", address);
            dispatchEvent(new PopStateEvent("popstate"));
          }, address);
          await page.locator(`body[data-view="${name}"]`).waitFor();
          await until(() => page.evaluate((name) => name !== "hub" || document.querySelector("#hub-facts dd") !== null, name), "it is drawn");
          if (name === "list") await rows(page, "list").first().locator("input").check();
          if (name === "task") await page.locator("#drawer-log .log-line").first().waitFor();
          await screenshot(page, `${name}-${colorScheme}-${width}`);
          assert.deepEqual(await axe(page), [], `${name}, ${colorScheme}, ${width} px`);
          assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} is not wider than ${width} px`);
        }
      }
    }
    expectClean();
  });
});
