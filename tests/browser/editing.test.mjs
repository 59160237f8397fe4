// Nothing that somebody has written is lost: by another one's change, by a key, by deleting. And the address and the
// panel are one.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { api, createTask, only, screenshot, uniqueTitle, until, useBrowser } from "./harness.mjs";
import { source } from "./source.mjs";

const card = (page, id) => page.locator(`.card[data-id="${id}"]`);
const live = (page) => page.locator('#connection[data-state="connected"]').waitFor();
const title = (page) => page.locator("#drawer-title").textContent();

describe("editing", () => {
  const openPage = useBrowser();

  it("joins what two people change in different fields", async (test) => {
    const task = await createTask({ title: uniqueTitle("joined"), description: "first" });
    const { page, expectClean } = await openPage(test, `/#${task.id}`);
    await page.click("#drawer-edit");
    await api("PATCH", `/api/tasks/${task.id}`, { description: "an agent's report" });
    await page.selectOption("#task-form [name=priority]", "high");
    await page.click("#task-save");
    await page.locator("#task-dialog").waitFor({ state: "hidden" });
    const saved = await api("GET", `/api/tasks/${task.id}`);
    assert.deepEqual([saved.description, saved.priority], ["an agent's report", "high"]);
    // The browser's own words on a 412.
    assert.ok(expectClean);
  });

  it("shows both texts of a field that two have changed, and sends nothing before one is chosen", async (test) => {
    const task = await createTask({ title: uniqueTitle("both"), description: "one\ntwo\nthree" });
    const { page } = await openPage(test, `/#${task.id}`);
    await page.click("#drawer-edit");
    await api("PATCH", `/api/tasks/${task.id}`, { description: "one\ntwo\nthree, by the agent" });
    await page.fill("#task-form [name=description]", "one, by me\ntwo\nthree");
    await page.click("#task-save");
    const conflict = page.locator("#conflicts .conflict[data-field=description]");
    await conflict.waitFor();
    assert.deepEqual(await conflict.locator("pre").allTextContents(), ["one\ntwo\nthree, by the agent", "one, by me\ntwo\nthree"]);
    assert.equal((await api("GET", `/api/tasks/${task.id}`)).description, "one\ntwo\nthree, by the agent");
    await screenshot(page, "conflict");
    await conflict.locator("[data-choice=both]").click();
    await page.click("#task-save");
    await page.locator("#task-dialog").waitFor({ state: "hidden" });
    assert.equal((await api("GET", `/api/tasks/${task.id}`)).description, "one, by me\ntwo\nthree, by the agent");
  });

  it("joins texts by line, and says when it cannot", async () => {
    const { merged } = await source("board/three-way-merge.ts");
    assert.equal(merged("a\nb\nc\nd", "A\nb\nc\nd", "a\nb\nc\nD"), "A\nb\nc\nD");
    assert.equal(merged("a\nb\nc", "a\nc", "a\nb\nc\nd"), "a\nc\nd");
    assert.equal(merged("a\nb", "x\na\nb", "a\nb\ny"), "x\na\nb\ny");
    assert.equal(merged("a", "a", "b"), "b");
    assert.equal(merged("a\nb", "a\nmine", "a\ntheirs"), null);
  });

  it("keeps a draft that was left, and throws it away when asked", async (test) => {
    const { page, expectClean } = await openPage(test, "/");
    await live(page);
    const words = uniqueTitle("a long thought");
    for (const leave of [() => page.keyboard.press("Escape"), () => page.click("#task-cancel"), () => page.click("#task-close"), () => page.reload()]) {
      await page.keyboard.press("n");
      await page.fill("#task-form [name=title]", words);
      await leave();
      await live(page);
      await page.locator("#task-dialog").waitFor({ state: "hidden" });
      await page.keyboard.press("n");
      assert.equal(await page.inputValue("#task-form [name=title]"), words);
      await page.locator("#draft-note").waitFor();
      await page.keyboard.press("Escape");
      await page.locator("#task-dialog").waitFor({ state: "hidden" });
    }
    await page.keyboard.press("n");
    await page.click("#draft-discard");
    assert.equal(await page.inputValue("#task-form [name=title]"), "");
    await page.fill("#task-form [name=title]", words);
    await page.click("#task-save");
    await page.locator("#task-dialog").waitFor({ state: "hidden" });
    await only(page, words);
    await page.locator(".card", { hasText: words }).waitFor();
    await page.click("#new-task");
    assert.equal(await page.inputValue("#task-form [name=title]"), "", "what was sent is no draft");
    expectClean();
  });

  it("opens and closes the panel by the address, and names the task in the title", async (test) => {
    const [a, b] = [await createTask({ title: uniqueTitle("A") }), await createTask({ title: uniqueTitle("B") })];
    const { page, expectClean } = await openPage(test, "/");
    await live(page);
    const board = await page.title();
    await only(page, a.id);
    await card(page, a.id).locator(".card-title").click();
    await page.locator("#drawer-title", { hasText: a.title }).waitFor();
    assert.equal(new URL(page.url()).hash, `#${a.key}`);
    assert.ok((await page.title()).startsWith(`${a.key} ${a.title}`));
    await page.evaluate((key) => (location.hash = key), b.key);
    await page.locator("#drawer-title", { hasText: b.title }).waitFor();
    await page.goBack();
    assert.equal(await title(page), a.title);
    await page.goBack();
    await page.locator("#drawer").waitFor({ state: "hidden" });
    assert.equal(await page.title(), board);
    assert.equal(new URL(page.url()).pathname, "/", "Back stays on the board");
    await page.goForward();
    await page.locator("#drawer-title", { hasText: a.title }).waitFor();
    await page.keyboard.press("Escape");
    await page.locator("#drawer").waitFor({ state: "hidden" });
    assert.equal(new URL(page.url()).hash, "");
    expectClean();
  });

  it("says that an address names no task", async (test) => {
    const { page } = await openPage(test, "/#web-999999");
    await page.locator(".toast", { hasText: "There is no task “web-999999”" }).waitFor();
    assert.equal(await page.locator("#drawer").isVisible(), false);
    await page.evaluate(() => (location.hash = crypto.randomUUID()));
    await page.locator(".toast", { hasText: "Unknown task" }).nth(1).waitFor();
  });

  it("deletes with a way back for ten seconds, also when the page goes away", async (test) => {
    const task = await createTask({ title: uniqueTitle("deleted") });
    const { page, expectClean } = await openPage(test, `/#${task.id}`);
    const exists = async () => (await fetch(`${process.env.TASKHUB_URL}/api/tasks/${task.id}`)).status === 200;
    await live(page);
    await only(page, task.id);
    await card(page, task.id).waitFor();
    await page.click("#drawer-delete");
    await card(page, task.id).waitFor({ state: "detached" });
    await page.locator("#drawer").waitFor({ state: "hidden" });
    assert.ok(await exists(), "not yet");
    await page.locator(".toast .button", { hasText: "Undo" }).click();
    await card(page, task.id).waitFor();
    await card(page, task.id).locator(".card-title").click();
    await page.click("#drawer-delete");
    await card(page, task.id).waitFor({ state: "detached" });
    await page.reload();
    await until(async () => !(await exists()), "the page has told the hub before it went");
    expectClean();
  });

  it("leaves a note where a task was that others have deleted", async (test) => {
    const task = await createTask({ title: uniqueTitle("gone") });
    const { page, expectClean } = await openPage(test, `/#${task.id}`);
    await page.locator("#drawer-title", { hasText: task.title }).waitFor();
    await live(page);
    await api("DELETE", `/api/tasks/${task.id}`);
    await page.locator("#drawer-gone", { hasText: /was deleted at/ }).waitFor();
    assert.equal(await title(page), task.title, "its last state can be read");
    await screenshot(page, "drawer-gone");
    expectClean();
  });

  it("says whether the id was copied", async (test) => {
    const task = await createTask({ title: uniqueTitle("copied") });
    const { page, expectClean } = await openPage(test, `/#${task.id}`, { permissions: ["clipboard-read", "clipboard-write"] });
    await page.click("#drawer-copy");
    await page.locator(".toast", { hasText: "The id is copied" }).waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), task.id);
    await page.evaluate(() => (navigator.clipboard.writeText = () => Promise.reject(new DOMException("no", "NotAllowedError"))));
    await page.click("#drawer-copy");
    await page.locator(".toast", { hasText: "refuses to copy" }).waitFor();
    assert.equal(await page.evaluate(() => getSelection().toString()), task.id, "ready for Ctrl+C");
    expectClean();
  });
});
