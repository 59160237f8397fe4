// Runs the JavaScript that docs/stream.md shows, word for word, on a page of the hub.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { BASE, createTask, uniqueTitle, useBrowser, WAIT_MS } from "./harness.mjs";

describe("docs/stream.md", () => {
  const openPage = useBrowser();

  it("shows JavaScript that prints every event", async (test) => {
    const text = await readFile(new URL("../../docs/stream.md", import.meta.url), "utf8");
    const [, shown] = text.match(/<!-- run: javascript -->\n```javascript\n(.*?)```/s);
    const { page } = await openPage(test, "/test_sse.html");
    const seen = [];
    page.on("console", async (message) => {
      seen.push(await Promise.all(message.args().map((value) => value.jsonValue())));
    });
    await page.evaluate(shown.replaceAll("http://localhost:8000", BASE));

    const title = uniqueTitle("readme");
    const deadline = Date.now() + WAIT_MS;
    while (!seen.some(([kind]) => kind === "connected")) {
      assert.ok(Date.now() < deadline, "the stream opens");
      await page.waitForTimeout(20);
    }
    await createTask({ title });
    while (!seen.some(([kind, data]) => kind === "task_created" && data.title === title)) {
      assert.ok(Date.now() < deadline, `the event arrives; seen: ${JSON.stringify(seen)}`);
      await page.waitForTimeout(20);
    }
  });
});
