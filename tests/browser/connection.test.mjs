// What the board says of its connection, and how many it needs.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { useBrowser, until, withoutSharedWorker, screenshot } from "./harness.mjs";
import { OwnHub } from "./hub.mjs";

const live = (page) => page.locator('#connection[data-state="connected"]').waitFor();
const streams = async (hub) => (await hub.api("GET", "/api/events/status")).connected_clients;

/** Opens `count` more tabs beside `page`. */
async function moreTabs(page, count) {
  const tabs = [page];
  for (let opened = 0; opened < count; opened += 1) {
    const tab = await page.context().newPage();
    tab.setDefaultTimeout(10_000);
    await tab.goto(page.url());
    tabs.push(tab);
  }
  return tabs;
}

describe("connection of the board", () => {
  const openPage = useBrowser();

  it("keeps twelve tabs live with one stream over HTTP/1.1", async (test) => {
    const hub = await OwnHub.start(test);
    const { page } = await openPage(test, "/", { base: hub.base });
    const tabs = await moreTabs(page, 11);
    await Promise.all(tabs.map(live));
    const task = await hub.api("POST", "/api/tasks", { title: "For all tabs" });
    const created = Date.now();
    await Promise.all(tabs.map((tab) => tab.locator(`.card[data-id="${task.id}"]`).waitFor()));
    assert.ok(Date.now() - created < 2000, `${Date.now() - created} ms`);
    assert.equal(await streams(hub), 1);
    // The tab that came first goes; the others go on, and one more can come.
    await tabs[0].close();
    const second = await hub.api("POST", "/api/tasks", { title: "For those that stay" });
    await Promise.all(tabs.slice(1).map((tab) => tab.locator(`.card[data-id="${second.id}"]`).waitFor()));
    assert.equal(await streams(hub), 1);
  });

  it("lets one tab hold the stream where there is no SharedWorker, and another one when that goes", async (test) => {
    const hub = await OwnHub.start(test);
    const { page } = await openPage(test, "/", { base: hub.base, beforeLoad: (page) => withoutSharedWorker(page.context()) });
    const tabs = await moreTabs(page, 7);
    await Promise.all(tabs.map(live));
    assert.equal(await streams(hub), 1);
    await page.close();
    const task = await hub.api("POST", "/api/tasks", { title: "Told by the next one" });
    await Promise.all(tabs.slice(1).map((tab) => tab.locator(`.card[data-id="${task.id}"]`).waitFor()));
    await until(async () => (await streams(hub)) === 1, "one stream is left");
  });

  it("says that a hub which hangs is lost, marks a move until it is confirmed, and greys what cannot be done", async (test) => {
    const hub = await OwnHub.start(test);
    const task = await hub.api("POST", "/api/tasks", { title: "Moved while the hub hangs" });
    const { page } = await openPage(test, "/", { base: hub.base });
    await live(page);
    const card = (status) => page.locator(`.column[data-status="${status}"] .card[data-id="${task.id}"]`);
    await card("todo").waitFor();
    hub.freeze();
    test.after(() => hub.thaw());
    await card("todo").locator("select").selectOption("review");
    await page.locator(`.column[data-status="review"] .card.pending[data-id="${task.id}"]`).waitFor();
    // Twice the keepalive of five seconds.
    await page.locator("#strip", { hasText: /Connection lost \d+ s ago, shown as of/ }).waitFor({ timeout: 14_000 });
    await page.locator('#connection:not([data-state="connected"])').waitFor();
    assert.equal(await page.locator("#new-task").getAttribute("aria-disabled"), "true");
    await screenshot(page, "board-lost");
    await page.locator("#new-task").click({ force: true });
    assert.equal(await page.locator("#task-dialog").isVisible(), false, "what cannot be done does not begin");
    // Without an answer the card goes back to where the hub last had it.
    await card("todo").waitFor({ timeout: 12_000 });
    assert.equal(await page.locator(".card.pending").count(), 0);
    hub.thaw();
    await live(page);
    await page.locator("#strip").waitFor({ state: "hidden" });
    // The hub may have taken the change after all: the board shows what it says.
    const { status } = await hub.api("GET", `/api/tasks/${task.id}`);
    await card(status).waitFor();
    assert.equal(await page.locator("#new-task").getAttribute("aria-disabled"), null);
  });

  it("comes back after kill -9 without a reload, and misses nothing", async (test) => {
    const hub = await OwnHub.start(test);
    const { page } = await openPage(test, "/", { base: hub.base });
    await live(page);
    await page.evaluate(() => (window.isSamePage = true));
    await hub.kill();
    await page.locator("#strip", { hasText: "Connection lost" }).waitFor();
    await hub.restart();
    await hub.api("POST", "/api/tasks", { title: "While it was away" });
    await live(page);
    await page.locator(".card", { hasText: "While it was away" }).waitFor();
    assert.equal(await page.evaluate(() => window.isSamePage), true);
    assert.equal(await page.locator("#strip").isVisible(), false);
  });
});
