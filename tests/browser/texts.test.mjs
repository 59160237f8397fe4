// Texts that somebody else has written: shown as they are meant, in time that grows with their length.

import assert from "node:assert/strict";
import test from "node:test";
import { api, useBrowser } from "./harness.mjs";

const openPage = useBrowser();

test("a log is shown as a terminal would, however it was written", async (t) => {
  const { page } = await openPage(t, "/");
  const shown = (texts) => page.evaluate(async (texts) => {
    const { readable } = await import("/assets/terminal-text.js");
    return texts.map(readable);
  }, texts);
  assert.deepEqual(
    await shown([
      "\x1b[31mred\x1b[0m and \x1b[38;5;9mmore\x1b[m\r\nnext",
      "10 %\r50 %\r100 %\ndone\r\r\n",
      "\x1b]0;a title\x07text \x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\",
      "x\x1b]never ends\nmore \x1b",
    ]),
    ["red and more\nnext", "100 %\ndone\n", "text link", "xnever ends\nmore "],
  );
  const hostile = ["x\x1b]".repeat(66_000), "\r".repeat(199_000), "\x1b[;".repeat(66_000), `\x1b]${"x".repeat(199_000)}`];
  const started = Date.now();
  await shown(hostile);
  // A pattern that begins anew at each character takes tens of seconds.
  assert.ok(Date.now() - started < 3000, `${Date.now() - started} ms`);
});

test("a title cannot turn the direction of what is read", async (t) => {
  const task = await api("POST", "/api/tasks", { title: "safe\u202egpj.exe" });
  const { page } = await openPage(t, "/");
  const card = page.locator(`.card[data-id="${task.id}"] .card-title`);
  await card.waitFor();
  assert.equal(await card.textContent(), "safe[U+202E]gpj.exe");
});

test("a tab too many says so, and is live when another one closes", async (t) => {
  const { page } = await openPage(t, "/");
  const tabs = [page];
  for (let count = 1; count < 6; count += 1) {
    const tab = await page.context().newPage();
    await tab.goto(page.url());
    tabs.push(tab);
  }
  const states = () => Promise.all(tabs.map((tab) => tab.locator("#connection").getAttribute("data-state")));
  const settled = async (live) => {
    for (let tries = 0; tries < 100; tries += 1) {
      const seen = await states();
      if (seen.filter((state) => state === "connected").length === live && !seen.includes("connecting")) return seen;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return states();
  };
  assert.deepEqual((await settled(5)).sort(), [...Array(5).fill("connected"), "waiting"]);
  const waiting = (await states()).indexOf("waiting");
  assert.match(await tabs[waiting].locator("#connection").textContent(), /five other tabs/);
  const [closed] = tabs.splice(waiting === 0 ? 1 : 0, 1);
  await closed.close();
  assert.deepEqual(await settled(5), Array(5).fill("connected"));
});
