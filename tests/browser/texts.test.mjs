// Texts that somebody else has written: shown as they are meant, in time that grows with their length.

import assert from "node:assert/strict";
import test from "node:test";
import { api, only, useBrowser } from "./harness.mjs";
import { source } from "./source.mjs";

const openPage = useBrowser();

/** A log that was read in these pieces: its lines as a terminal shows them. */
async function read(...pieces) {
  const { LogIndex } = await source("log/log-index.ts");
  const { spansOf } = await source("log/terminal-spans.ts");
  const index = new LogIndex();
  const bytes = pieces.map((piece) => (typeof piece === "string" ? new TextEncoder().encode(piece) : piece));
  for (const piece of bytes) index.feed(piece);
  const whole = Buffer.concat(bytes);
  const spans = (at) => {
    const { start, length, style } = index.line(at);
    return spansOf(new TextDecoder().decode(whole.subarray(start, start + length)), style);
  };
  const text = (at) => spans(at).map((span) => span.text).join("");
  return { index, spans, lines: () => Array.from({ length: index.length }, (_, at) => text(at)) };
}

test("a log is shown as a terminal would, however it was written", async () => {
  const texts = [
    "\x1b[31mred\x1b[0m and \x1b[38;5;9mmore\x1b[m\r\nnext",
    "10 %\r50 %\r100 %\ndone\r\r\n",
    "\x1b]0;a title\x07text \x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "x\x1b]never ends\nmore \x1b",
    "Zeile mit ü und 日本\n\n\nEnde",
  ];
  const expected = [["red and more", "next"], ["100 %", "done"], ["text link"], ["xnever ends", "more "], ["Zeile mit ü und 日本", "", "", "Ende"]];
  for (const [at, text] of texts.entries()) {
    assert.deepEqual((await read(text)).lines(), expected[at]);
    // Also when it comes byte by byte.
    assert.deepEqual((await read(...[...new TextEncoder().encode(text)].map((byte) => Uint8Array.of(byte)))).lines(), expected[at]);
  }
});

test("a long line is cut between two characters", async () => {
  const { lines, index } = await read("日".repeat(25_000), "\nnext\n");
  assert.equal(lines().slice(0, -1).join(""), "日".repeat(25_000));
  assert.ok(lines().every((line) => line.length <= 6_667 && !line.includes("\ufffd")), "no character is cut");
  assert.equal(lines().at(-1), "next");
  assert.equal(index.size, 75_006);
});

test("a log costs time that grows with its length", async () => {
  const hostile = ["x\x1b]".repeat(66_000), "\r".repeat(199_000), "\x1b[;".repeat(66_000), `\x1b]${"x".repeat(199_000)}`,
    "\x1b[31mx".repeat(66_000), "x".repeat(2_000_000), "x\r".repeat(500_000)];
  const started = Date.now();
  for (const text of hostile) {
    const pieces = [];
    for (let at = 0; at < text.length; at += 1000) pieces.push(text.slice(at, at + 1000));
    (await read(...pieces)).lines();
  }
  // A pattern that begins anew at each character takes tens of seconds.
  assert.ok(Date.now() - started < 3000, `${Date.now() - started} ms`);
});

test("a log keeps its colours, also over the end of a line and of a piece", async () => {
  const { spans, index } = await read("\x1b[1;3", "2mgreen\nstill\x1b[0", "m plain \x1b[38;2;255;0;10mred\x1b[48;5;196mon\x1b[7m!\n");
  const shown = [0, 1].map((line) => spans(line).map(({ text, style }) => [text, style.colour, style.background, style.bold]));
  assert.deepEqual(shown, [
    [["green", "2", null, true]],
    [["still", "2", null, true], [" plain ", null, null, false], ["red", "#ff000a", null, false], ["on", "#ff000a", "#ff0000", false], ["!", "#ff000a", "#ff0000", false]],
  ]);
  assert.equal(index.length, 2);
});

test("a log is searched without its colours, in lower and upper case, and its first error is found", async () => {
  const { needleOf, searchBlock, firstErrorIn } = await source("log/log-search.ts");
  const noise = "an ordinary line of output\n".repeat(50_000); // more than one block
  const { index } = await read("no error, 0 failed\n", noise, "Fa\x1b[31mTal: Köln\n", "no error\nit was an ERROR\n10 %\rfatal\n");
  const find = (text) => {
    const hits = [];
    for (const block of index.blocks()) searchBlock(block, needleOf(text), hits);
    return hits;
  };
  assert.deepEqual(find("FATAL"), [50_001, 50_004]);
  assert.deepEqual(find("köln"), [50_001]);
  assert.deepEqual(find("10 %"), [], "what was written over is not there");
  assert.equal(find("ordinary").length, 50_000);
  const errors = [...index.blocks()].map((block) => firstErrorIn(block));
  assert.equal(errors.find((line) => line !== null), 50_001);
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
