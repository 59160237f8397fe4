// Messages to everybody, on the board.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { api, screenshot, uniqueTitle, useBrowser } from "./harness.mjs";

const live = (page) => page.locator('#connection[data-state="connected"]').waitFor();
const announce = (level, message) => api("POST", "/api/events/announcements", { level, message });

describe("announcements", () => {
  const openPage = useBrowser();

  it("keeps a critical one until it is read, also over a reload, and lists it", async (test) => {
    const { page, expectClean } = await openPage(test, "/");
    await live(page);
    const message = uniqueTitle("the disk is full");
    await announce("critical", message);
    const banner = page.locator(".banner", { hasText: message });
    await banner.waitFor();
    await screenshot(page, "banner");
    await page.reload();
    await live(page);
    await banner.waitFor();
    const other = await page.context().newPage();
    await other.goto(page.url());
    await other.locator(".banner", { hasText: message }).waitFor();
    await banner.locator("button").click();
    await banner.waitFor({ state: "detached" });
    await other.locator(".banner", { hasText: message }).waitFor({ state: "detached" });
    await page.reload();
    await live(page);
    await page.click("#announcements");
    await page.locator("#announcement-list", { hasText: message }).waitFor();
    assert.equal(await banner.count(), 0, "once read, it stays read");
    expectClean();
  });

  it("is made by a form", async (test) => {
    const { page, expectClean } = await openPage(test, "/");
    await live(page);
    const message = uniqueTitle("lunch <b>now</b>");
    await page.click("#announcements");
    await page.fill("#announcement-form textarea", message);
    await page.selectOption("#announcement-form select", "warning");
    await page.locator("#announcement-form button[type=submit]").click();
    await page.locator('.announcement[data-level="warning"]', { hasText: message }).waitFor();
    assert.equal(await page.inputValue("#announcement-form textarea"), "");
    await screenshot(page, "announcements");
    const events = await api("GET", "/api/events?events=announcement");
    assert.ok(events.some(({ data }) => data.message === message && data.level === "warning"));
    expectClean();
  });
});
