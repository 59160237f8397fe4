// The board by the keyboard alone, its colours, and the first minute.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { axe } from "./axe.mjs";
import { screenshot, until, useBrowser } from "./harness.mjs";
import { OwnHub } from "./hub.mjs";

const live = (page) => page.locator('#connection[data-state="connected"]').waitFor();
const focused = (page) => page.evaluate(() => document.activeElement.textContent);

describe("the keyboard", () => {
  const openPage = useBrowser();

  it("does the everyday jobs", async (test) => {
    const hub = await OwnHub.start(test);
    for (const title of ["First", "Second", "Third"]) await hub.api("POST", "/api/tasks", { title, script: "echo hi" });
    const { page, expectClean } = await openPage(test, "/", { base: hub.base });
    await live(page);
    const press = (...keys) => keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve());
    const statusOf = async (title) => (await hub.api("GET", "/api/tasks")).find((task) => task.title === title).status;
    const view = (name) => page.locator(`body[data-view="${name}"]`).waitFor();

    // Walk over the cards, move one, and walk beside it.
    await press("j");
    assert.equal(await focused(page), "Third");
    await press("j", "j");
    assert.equal(await focused(page), "First");
    await press("k");
    assert.equal(await focused(page), "Second");
    await press("3");
    await until(async () => (await statusOf("Second")) === "review", "it is in review");
    await until(async () => (await focused(page)) === "Second", "the focus goes with it");
    await press("h");
    assert.notEqual(await focused(page), "Second");
    await press("l");
    assert.equal(await focused(page), "Second");

    // Open, edit, run, close.
    await press("Enter");
    await page.locator("#drawer-title", { hasText: "Second" }).waitFor();
    await press("e");
    await page.locator("#task-dialog[open]").waitFor();
    await page.keyboard.type("The ");
    await press("Escape", "Escape");
    await page.locator("#drawer").waitFor({ state: "hidden" });
    await press("r");
    await page.locator('.execution[data-state="completed"]').waitFor();
    await press("o");
    await view("task");

    // Views.
    await press("g", "l");
    await view("list");
    await press("j", "x");
    await page.locator("#bulk-count", { hasText: "1 selected" }).waitFor();
    await press("g", "r");
    await view("runs");
    await press("g", "h");
    await view("hub");
    await press("g", "b");
    await view("board");

    // New task, search, help.
    await press("c");
    await page.locator("#task-dialog[open]").waitFor();
    await page.keyboard.type("By key");
    await press("Enter");
    await page.locator(".card", { hasText: "By key" }).waitFor();
    await press("/");
    await page.keyboard.type("By key");
    await until(async () => (await page.locator(".card").count()) === 1, "one matches");
    await page.fill("#search", "");
    await page.locator("#search").evaluate((node) => node.blur());
    await press("?");
    await page.locator("#keys-dialog kbd", { hasText: "Ctrl" }).waitFor();
    await screenshot(page, "keys");
    assert.deepEqual(await axe(page), []);
    await press("Escape");
    expectClean();
  });

  it("finds tasks and actions by Ctrl K", async (test) => {
    const hub = await OwnHub.start(test);
    // Twelve: what is typed for the first one is also the beginning of later keys.
    const titles = ["Write the report", "Read the report", "Go to the bakery", ...Array.from({ length: 9 }, (_, at) => `Another ${at}`)];
    for (const title of titles) await hub.api("POST", "/api/tasks", { title });
    const { page, expectClean } = await openPage(test, "/", { base: hub.base });
    await live(page);
    await page.keyboard.press("Control+k");
    await page.keyboard.type("rep read");
    await page.locator('#palette-list li[aria-selected="true"]', { hasText: "Read the report" }).waitFor();
    await screenshot(page, "palette");
    assert.deepEqual(await axe(page), []);
    await page.keyboard.press("Enter");
    await page.locator("#drawer-title", { hasText: "Read the report" }).waitFor();
    await page.keyboard.press("Control+k");
    await page.keyboard.type("runs");
    await page.keyboard.press("Enter");
    await page.locator('body[data-view="runs"]').waitFor();
    await page.keyboard.press("Control+k");
    await page.keyboard.type("default-1");
    await page.locator('#palette-list li[aria-selected="true"]', { hasText: "Write the report" }).waitFor();
    await page.keyboard.press("Control+a");
    await page.keyboard.type("nothing at all");
    await page.locator("#palette-empty").waitFor();
    await page.keyboard.press("Escape");
    await page.locator("#palette").waitFor({ state: "hidden" });
    expectClean();
  });
});

describe("the page", () => {
  const openPage = useBrowser();

  it("has the colours that were chosen, on every page and from the first frame", async (test) => {
    const hub = await OwnHub.start(test);
    const { page, expectClean } = await openPage(test, "/", { base: hub.base, colorScheme: "light" });
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const [light, dark] = ["rgb(244, 245, 248)", "rgb(15, 18, 23)"];
    assert.equal(await background(), light);
    await page.locator("#theme").click(); // light
    await page.locator("#theme").click(); // dark
    assert.equal(await background(), dark);
    // What the page looks like when its body begins: nothing was drawn before.
    await page.addInitScript(() => new MutationObserver((_, observer) => {
      if (!document.body) return;
      window.themeAtFirst = document.documentElement.dataset.theme;
      observer.disconnect();
    }).observe(document, { childList: true, subtree: true }));
    for (const address of ["/test_sse.html", "/docs", "/list"]) {
      await page.goto(hub.base + address);
      assert.equal(await page.evaluate(() => window.themeAtFirst), "dark", address);
      assert.equal(await background(), dark, address);
    }
    await page.locator("#theme").click(); // as the system
    assert.equal(await background(), light);
    expectClean();
  });

  it("can be installed", async (test) => {
    const hub = await OwnHub.start(test);
    const { page, expectClean } = await openPage(test, "/", { base: hub.base });
    const manifest = await page.evaluate(async () => (await fetch(document.querySelector("link[rel=manifest]").href)).json());
    assert.equal(manifest.start_url, "/");
    const response = await page.evaluate(async (src) => (await fetch(src)).headers.get("content-type"), manifest.icons[0].src);
    assert.match(response, /svg/);
    expectClean();
  });

  it("has a first step for an empty board", async (test) => {
    const hub = await OwnHub.start(test);
    const { page, expectClean } = await openPage(test, "/", { base: hub.base });
    await page.locator("#first-minute").waitFor();
    assert.ok((await page.locator("#first-curl").textContent()).includes(hub.base));
    await screenshot(page, "first-minute");
    assert.deepEqual(await axe(page), []);
    await page.locator("#first-example").click();
    await page.locator('.card .execution[data-state="running"], .card .execution[data-state="completed"]').waitFor();
    assert.equal(await page.locator("#first-minute").isVisible(), false);
    expectClean();
  });
});
