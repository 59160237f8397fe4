// The pages of a hub that asks for tokens. Needs two more variables than the others: TASKHUB_GUARDED_URL, and a
// token of that hub with the scope `exec` in TASKHUB_GUARDED_TOKEN.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { uniqueTitle, useBrowser } from "./harness.mjs";

const URL_ = process.env.TASKHUB_GUARDED_URL;
const TOKEN = process.env.TASKHUB_GUARDED_TOKEN;

async function create(title) {
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${TOKEN}` };
  const response = await fetch(`${URL_}/api/tasks`, { method: "POST", headers, body: JSON.stringify({ title }) });
  assert.equal(response.status, 201);
  return response.json();
}

async function type(page, token) {
  const dialog = page.locator("#token-dialog");
  await dialog.locator("input").fill(token);
  await dialog.locator("button[type=submit]").click();
}

describe("pages of a hub with tokens", () => {
  const openPage = useBrowser({ base: URL_ });

  it("the board asks once, goes live, and keeps the token out of every address", async (test) => {
    const { page } = await openPage(test, "/");
    const addresses = [];
    page.on("request", (request) => addresses.push(request.url()));
    await type(page, "taskhub_wrong");
    await page.locator("#token-dialog", { hasText: "refused" }).waitFor();
    await type(page, TOKEN);
    await page.locator('#connection[data-state="connected"]').waitFor();
    const task = await create(uniqueTitle("guarded"));
    await page.locator(`.card[data-id="${task.id}"]`).waitFor();
    assert.ok(addresses.some((address) => address.includes("ticket=")), "the stream was opened with a ticket");
    assert.ok(!addresses.some((address) => address.includes(TOKEN)), "and no address held the token");

    await page.reload();
    await page.locator('#connection[data-state="connected"]').waitFor();
    assert.equal(await page.locator("#token-dialog").count(), 0, "it is kept for the tab");
    await page.goto(`${URL_}/docs`);
    await page.locator("#operations-Tasks-listTasks .opblock-summary-control").click();
    await page.locator("#operations-Tasks-listTasks .try-out__btn").click();
    await page.locator("#operations-Tasks-listTasks .execute").click();
    await page.locator("#operations-Tasks-listTasks .live-responses-table .response-col_status", { hasText: "200" }).waitFor();
  });

  it("the monitor asks, too, and goes on after its stream was cut", async (test) => {
    const { page } = await openPage(test, "/test_sse.html");
    await type(page, TOKEN);
    await page.locator('#status[data-state="connected"]').waitFor();
    await page.context().setOffline(true);
    await page.context().setOffline(false);
    const task = await create(uniqueTitle("guarded"));
    await page.locator("#log", { hasText: task.title }).waitFor();
  });

  it("whoever has none may look at the empty page", async (test) => {
    const { page } = await openPage(test, "/");
    await page.locator("#token-dialog button", { hasText: "Cancel" }).click();
    await page.waitForTimeout(100);
    assert.equal(await page.locator("#token-dialog").count(), 0);
    assert.equal(await page.locator(".card").count(), 0);
  });
});
