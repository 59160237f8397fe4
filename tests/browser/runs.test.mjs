// Running tasks from the board, and their logs.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createTask, api, screenshot, uniqueTitle, until, useBrowser } from "./harness.mjs";
import { OwnHub } from "./hub.mjs";

const card = (page, id) => page.locator(`.card[data-id="${id}"]`);
const live = (page) => page.locator('#connection[data-state="connected"]').waitFor();

async function ended(id) {
  await until(async () => !["queued", "running"].includes((await api("GET", `/api/exec/${id}`)).status), "it ends");
}

describe("executions on the board", () => {
  const openPage = useBrowser();

  it("runs a task without a script on a hub that has a command for all", async (test) => {
    const hub = await OwnHub.start(test, "--exec-default", "sh -c 'echo an-agent-was-here'");
    const task = await hub.api("POST", "/api/tasks", { title: "For the agent" });
    const { page, expectClean } = await openPage(test, "/", { base: hub.base });
    await live(page);
    await card(page, task.id).locator("button[data-action=run]").click();
    await card(page, task.id).locator('.execution[data-state="completed"]').waitFor();
    await card(page, task.id).locator(".card-title").click();
    await page.locator("#drawer-log", { hasText: "an-agent-was-here" }).waitFor();
    expectClean();
  });

  it("has no run button where there is nothing to run", async (test) => {
    const task = await createTask({ title: uniqueTitle("nothing to run") });
    const { page } = await openPage(test, `/#${task.id}`);
    await live(page);
    await page.locator("#drawer-title", { hasText: task.title }).waitFor();
    assert.equal(await page.locator(`.card[data-id="${task.id}"] button[data-action=run], #drawer button[data-action=run]`).count(), 0);
  });

  it("shows every attempt with its log", async (test) => {
    const script = 'echo "attempt of $TASKHUB_SESSION"; exit 3';
    const task = await createTask({ title: uniqueTitle("attempts") });
    await api("POST", `/api/exec/${task.id}`, { script_content: script, retries: 2, retry_delay_seconds: 0 });
    const { page, expectClean } = await openPage(test, `/#${task.id}`);
    const rows = page.locator("#drawer-execution .run-row");
    await page.locator("#drawer-execution .run-row", { hasText: "attempt 3/3" }).locator('.execution[data-state="failed"]').waitFor();
    await until(async () => (await rows.count()) === 3, "each attempt has a row");
    assert.match(await rows.nth(2).textContent(), /Failed.*attempt 1\/3.*exit code 3/);
    const sessions = await rows.locator(".mono").allTextContents();
    for (const index of [0, 1, 2]) {
      await rows.nth(index).click();
      await page.locator("#drawer-log", { hasText: `attempt of ${sessions[index]}` }).waitFor();
    }
    await screenshot(page, "runs");
    expectClean();
  });

  it("shows a log whole, with its colours, from the stream", async (test) => {
    const script = 'for n in $(seq 1 400); do printf "\\033[3%dmline %d\\033[0m\\n" $((n % 7 + 1)) $n; done';
    const task = await createTask({ title: uniqueTitle("colours"), script });
    await api("POST", `/api/exec/${task.id}`, {});
    await ended(task.id);
    const { page, expectClean } = await openPage(test, `/#${task.id}`);
    await page.locator("#log-count", { hasText: "400 lines" }).waitFor();
    const log = page.locator("#drawer-log");
    await log.locator(".log-line", { hasText: /^line 400/ }).waitFor();
    await screenshot(page, "log-colours");
    await log.evaluate((node) => (node.scrollTop = 0));
    const first = log.locator(".log-line", { hasText: /^line 1\n$/ });
    await first.waitFor();
    assert.equal(await first.locator("[data-colour]").getAttribute("data-colour"), "2");
    assert.ok((await log.locator(".log-line").count()) < 150, "only what can be seen is in the document");
    expectClean();
  });

  it("keeps what is selected while the log grows, and asks for no page each second", async (test) => {
    const task = await createTask({ title: uniqueTitle("selected"), script: "for n in $(seq 1 140); do echo tick-$n; sleep 0.05; done" });
    const { page, expectClean } = await openPage(test, `/#${task.id}`);
    await live(page);
    let asked = 0;
    page.on("request", (request) => (asked += new URL(request.url()).pathname.endsWith("/logs") ? 1 : 0));
    await page.locator("#drawer-run-slot button").click();
    const line = page.locator("#drawer-log .log-line", { hasText: /^tick-5\n$/ });
    await line.waitFor();
    await line.evaluate((node) => getSelection().selectAllChildren(node));
    const before = asked;
    // Far enough for the line to leave what is drawn.
    await page.locator("#drawer-log .log-line", { hasText: /^tick-130\n$/ }).waitFor();
    assert.match(await page.evaluate(() => getSelection().toString()), /tick-5/);
    assert.ok(asked - before <= 1, `${asked - before} pages`);
    expectClean();
  });
});
