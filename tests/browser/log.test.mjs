// A log that is as long as a script makes it: read whole, shown at once where it is looked at, and searched.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { useBrowser, screenshot, until } from "./harness.mjs";
import { OwnHub } from "./hub.mjs";
import { traceTasks } from "./tasks.mjs";

const LONG_BYTES = 100e6;
// The figures are printed. How quick the machine is nobody knows, so the bounds hold only what would be of another kind.
const LONG_TASK_MS_MAX = 300;
const SEARCH_MS_MAX = 10_000;

const line = (page, text) => page.locator("#drawer-log .log-line", { hasText: text });
const marked = (page) => page.locator("#drawer-log .log-line.marked");

/** Runs `script` and answers its task, when it has ended. */
async function ran(hub, script) {
  const task = await hub.api("POST", "/api/tasks", { title: "Writes a log", script });
  await hub.api("POST", `/api/exec/${task.id}`, {});
  await until(async () => (await hub.api("GET", `/api/exec/${task.id}`)).status === "completed", "it ends", 60_000);
  return task;
}

describe("a long log", () => {
  const openPage = useBrowser();

  it("of 100 MB in colours is scrolled through and searched without a pause", async (test) => {
    const hub = await OwnHub.start(test, "--log-bytes-max", "200000000");
    // 1.4 million lines. One of them has a needle, its letters in two colours.
    const script = `awk 'BEGIN {
      for (n = 1; n <= 1400000; n++) {
        if (n == 1000000) printf "\\033[31mnee\\033[32mDLE\\033[0m in the hay\\n";
        else printf "\\033[3%dmline %d\\033[0m of a build that writes a lot of output, as builds do\\n", n % 7 + 1, n;
      }
    }'`;
    const task = await ran(hub, script);
    const { page, expectClean } = await openPage(test, `/t/${task.key}`, { base: hub.base });
    const stop = await traceTasks(page);
    const started = Date.now();
    await page.locator("#log-count", { hasText: /^1,400,000 lines$/ }).waitFor({ timeout: 60_000 });
    const { size } = await hub.api("GET", `/api/exec/${task.id}/logs?tail=1`);
    assert.ok(size > LONG_BYTES, `${size} bytes`);
    console.log(`read in ${Date.now() - started} ms`);
    await line(page, /^line 1400000 /).waitFor();

    // Scrolled through, in steps of many lines and of few.
    await page.evaluate(async () => {
      const log = document.getElementById("drawer-log");
      const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
      for (let step = 0; step <= 100; step += 1) {
        log.scrollTop = (log.scrollHeight / 100) * step;
        await frame();
      }
      for (let step = 0; step < 100; step += 1) {
        log.scrollTop -= 90;
        await frame();
      }
    });
    assert.ok((await page.locator("#drawer-log .log-line").count()) < 200, "only what can be seen is in the document");

    const search_ms = await page.evaluate(async () => {
      const search = document.getElementById("log-search");
      const log = document.getElementById("drawer-log");
      const before = performance.now();
      search.value = "needle";
      search.dispatchEvent(new Event("input"));
      while (!log.querySelector(".log-line.marked")?.textContent.includes("hay")) await new Promise((resolve) => setTimeout(resolve, 5));
      return performance.now() - before;
    });
    assert.equal(await page.locator("#log-hits").textContent(), "1 of 1");
    assert.equal(await marked(page).locator(".log-number").getAttribute("data-line"), "1000000");
    const tasks = await stop();
    const longest_ms = tasks.at(-1);
    assert.ok(tasks.length > 100, "the tasks were noted");
    console.log(`found in ${Math.round(search_ms)} ms; ${tasks.length} tasks, the longest ${longest_ms.toFixed(1)} ms of CPU`);
    assert.ok(search_ms < SEARCH_MS_MAX, `${search_ms} ms`);
    assert.ok(longest_ms <= LONG_TASK_MS_MAX, `a task of ${longest_ms} ms`);
    await screenshot(page, "log-long");
    expectClean();
  });

  it("is followed while it grows, and stays where somebody reads", async (test) => {
    const hub = await OwnHub.start(test);
    const task = await hub.api("POST", "/api/tasks", { title: "Grows", script: "for n in $(seq 1 300); do echo line-$n; sleep 0.02; done" });
    await hub.api("POST", `/api/exec/${task.id}`, {});
    const { page, expectClean } = await openPage(test, `/t/${task.key}`, { base: hub.base });
    await line(page, /^line-80\n/).waitFor();
    assert.equal(await page.locator("#log-follow").getAttribute("aria-pressed"), "true");
    await page.locator("#drawer-log").evaluate((node) => (node.scrollTop = 0));
    await line(page, /^line-1\n/).waitFor();
    assert.equal(await page.locator("#log-follow").getAttribute("aria-pressed"), "false");
    await page.locator("#log-count", { hasText: "300 lines" }).waitFor();
    assert.ok(await line(page, /^line-1\n/).isVisible(), "the first line is still in sight");
    await page.locator("#log-follow").click();
    await line(page, /^line-300\n/).waitFor();
    expectClean();
  });

  it("has a link to each line, shows its first error, and wraps", async (test) => {
    const hub = await OwnHub.start(test);
    const script = `seq 1 5000; echo '0 errors so far'; printf '\\033[31merror\\033[0m: %s\\n' "$(head -c 3000 /dev/zero | tr '\\0' x)"; seq 5001 9000`;
    const task = await ran(hub, script);
    const { page, expectClean } = await openPage(test, `/t/${task.key}?run=1#L2500`, { base: hub.base });
    await marked(page).waitFor();
    assert.match(await marked(page).textContent(), /^2500\n$/);

    await page.locator("#log-error").click();
    await marked(page).filter({ hasText: /^error: x/ }).waitFor();
    await marked(page).locator(".log-number").click();
    assert.equal(new URL(page.url()).hash, "#L5002");

    const { height } = await marked(page).boundingBox();
    await page.locator("#log-wrap").click();
    await until(async () => (await marked(page).boundingBox())?.height > height * 5, "the line is wrapped");
    const box = await page.locator("#drawer-log").boundingBox();
    const at = await marked(page).boundingBox();
    assert.ok(at.y < box.y + box.height && at.y + at.height > box.y, "and still in sight");
    // The end of a wrapped log can be reached, and its start.
    await page.locator("#drawer-log").evaluate((node) => (node.scrollTop = node.scrollHeight));
    await line(page, /^9000\n$/).waitFor();
    await page.locator("#drawer-log").evaluate((node) => (node.scrollTop = 0));
    await line(page, /^1\n$/).waitFor();
    // It is remembered.
    await page.reload();
    await page.locator('#log-wrap[aria-pressed="true"]').waitFor();
    await page.locator("#log-download").click({ trial: true });
    const [download] = await Promise.all([page.waitForEvent("download"), page.locator("#log-download").click()]);
    assert.equal(download.suggestedFilename(), "taskhub-1.log");
    expectClean();
  });

  it("steps from match to match, and says when there is none", async (test) => {
    const hub = await OwnHub.start(test);
    const task = await ran(hub, "seq 1 3000");
    const { page, expectClean } = await openPage(test, `/t/${task.key}`, { base: hub.base });
    await page.locator("#log-count", { hasText: "3,000 lines" }).waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("999");
    const hits = page.locator("#log-hits");
    await hits.filter({ hasText: "1 of 3" }).waitFor();
    await marked(page).filter({ hasText: /^999\n/ }).waitFor();
    await page.keyboard.press("Enter");
    await marked(page).filter({ hasText: /^1999\n/ }).waitFor();
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.press("Shift+Enter");
    await marked(page).filter({ hasText: /^2999\n/ }).waitFor();
    assert.equal(await hits.textContent(), "3 of 3");
    assert.equal(await page.evaluate(() => [...CSS.highlights.get("log-hit")].map(String)[0]), "999");
    await page.fill("#log-search", "nowhere");
    await hits.filter({ hasText: "No match" }).waitFor();
    expectClean();
  });
});
