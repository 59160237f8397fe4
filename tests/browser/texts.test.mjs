// Texts that somebody else has written: shown as they are meant, in time that grows with their length.

import assert from "node:assert/strict";
import test from "node:test";
import { api, only, useBrowser } from "./harness.mjs";
import { source } from "./source.mjs";

const openPage = useBrowser();

const shown = async (text) => {
  const { TerminalLines } = await source("log/terminal-lines.ts");
  const lines = new TerminalLines();
  lines.feed(text);
  return lines;
};

test("a log is shown as a terminal would, however it was written", async () => {
  const texts = [
    "\x1b[31mred\x1b[0m and \x1b[38;5;9mmore\x1b[m\r\nnext",
    "10 %\r50 %\r100 %\ndone\r\r\n",
    "\x1b]0;a title\x07text \x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "x\x1b]never ends\nmore \x1b",
  ];
  const whole = await Promise.all(texts.map(async (text) => (await shown(text)).whole()));
  assert.deepEqual(whole, ["red and more\nnext", "100 %\ndone\n", "text link", "xnever ends\nmore "]);
});

test("a log costs time that grows with its length", async () => {
  const hostile = ["x\x1b]".repeat(66_000), "\r".repeat(199_000), "\x1b[;".repeat(66_000), `\x1b]${"x".repeat(199_000)}`,
    "\x1b[31mx".repeat(66_000), "x".repeat(2_000_000)];
  const { TerminalLines } = await source("log/terminal-lines.ts");
  const started = Date.now();
  for (const text of hostile) {
    const lines = new TerminalLines();
    for (let at = 0; at < text.length; at += 1000) lines.feed(text.slice(at, at + 1000));
    lines.whole();
  }
  // A pattern that begins anew at each character takes tens of seconds.
  assert.ok(Date.now() - started < 3000, `${Date.now() - started} ms`);
});

test("a log keeps its colours, also over the end of a line and of a piece", async () => {
  const { TerminalLines } = await source("log/terminal-lines.ts");
  const lines = new TerminalLines();
  for (const piece of ["\x1b[1;3", "2mgreen\nstill\x1b[0", "m plain \x1b[38;2;255;0;10mred\x1b[48;5;196mon\x1b[7m!\n"]) lines.feed(piece);
  const spans = [0, 1].map((index) => lines.spans(index).map(({ text, style }) => [text, style.colour, style.background, style.bold]));
  assert.deepEqual(spans, [
    [["green", "2", null, true]],
    [["still", "2", null, true], [" plain ", null, null, false], ["red", "#ff000a", null, false], ["on", "#ff000a", "#ff0000", false], ["!", "#ff000a", "#ff0000", false]],
  ]);
  assert.equal(lines.length, 2);
});

test("a title cannot turn the direction of what is read", async (t) => {
  const task = await api("POST", "/api/tasks", { title: "safe\u202egpj.exe" });
  const { page } = await openPage(t, "/");
  await only(page, task.id);
  const card = page.locator(`.card[data-id="${task.id}"] .card-title`);
  await card.waitFor();
  assert.equal(await card.textContent(), "safe[U+202E]gpj.exe");
});

test("a monitor too many says so, and is live when another one closes", async (t) => {
  const { page } = await openPage(t, "/test_sse.html");
  const tabs = [page];
  for (let count = 1; count < 3; count += 1) {
    const tab = await page.context().newPage();
    await tab.goto(page.url());
    tabs.push(tab);
  }
  const states = () => Promise.all(tabs.map((tab) => tab.locator("#status").getAttribute("data-state")));
  const settled = async (live) => {
    for (let tries = 0; tries < 100; tries += 1) {
      const seen = await states();
      if (seen.filter((state) => state === "connected").length === live && !seen.includes("connecting")) return seen;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return states();
  };
  assert.deepEqual((await settled(2)).sort(), [...Array(2).fill("connected"), "waiting"]);
  const waiting = (await states()).indexOf("waiting");
  assert.match(await tabs[waiting].locator("#status").textContent(), /two other monitors/);
  const [closed] = tabs.splice(waiting === 0 ? 1 : 0, 1);
  await closed.close();
  assert.deepEqual(await settled(2), Array(2).fill("connected"));
});
