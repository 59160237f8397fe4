// EventSource in a real Chromium, on an empty page of the hub's origin. It reconnects by itself.
//
//   node chromium.mjs URL-OF-THE-STREAM
//
// Without `named=true` in the address all messages are of the type `message`; a message that arrives as
// another one tells on itself.

import { chromium } from "playwright-core";

const TYPES = [
  "task_created", "task_updated", "task_deleted", "execution_event", "announcement",
  "connected", "checkpoint", "snapshot", "reset", "goodbye", "message",
];
const stream = new URL(process.argv[2]);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"],
});
const page = await browser.newPage();
// Not `exposeFunction`, which answers each call: that takes longer than the stream does.
const session = await page.context().newCDPSession(page);
session.on("Runtime.bindingCalled", ({ payload }) => { process.stdout.write(`${payload}\n`); });
await session.send("Runtime.enable");
await session.send("Runtime.addBinding", { name: "print" });
// Not one of the hub's own pages: they draw, and open streams of their own.
const empty = new URL("/empty", stream).href;
await page.route(empty, (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html>" }));
await page.goto(empty);
await page.evaluate(({ address, types }) => {
  const source = new EventSource(address);
  const received = (message) => {
    const envelope = JSON.parse(message.data);
    window.print(JSON.stringify({ id: message.lastEventId, type: message.type, envelope }));
  };
  for (const type of types) source.addEventListener(type, received);
  window.source = source;
}, { address: stream.pathname + stream.search, types: TYPES });

// At the end of the input: how does it stand?
process.stdin.resume().on("end", async () => {
  const readyState = await page.evaluate(() => window.source.readyState);
  console.log(JSON.stringify({ readyState }));
  await browser.close();
});
