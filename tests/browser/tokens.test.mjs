// The pages of a hub that asks for tokens. Needs more variables than the others: TASKHUB_GUARDED_URL, and two tokens of
// that hub: one with the scope `exec` in TASKHUB_GUARDED_TOKEN, and one with `read` in TASKHUB_GUARDED_READER.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { only, screenshot, uniqueTitle, useBrowser } from "./harness.mjs";

const URL_ = process.env.TASKHUB_GUARDED_URL;
const TOKEN = process.env.TASKHUB_GUARDED_TOKEN;
const READER = process.env.TASKHUB_GUARDED_READER;

async function create(title) {
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${TOKEN}` };
  const response = await fetch(`${URL_}/api/tasks`, { method: "POST", headers, body: JSON.stringify({ title }) });
  assert.equal(response.status, 201);
  return response.json();
}

async function type(page, token, { remember = false } = {}) {
  const dialog = page.locator("#token-dialog");
  await dialog.locator("[name=token]").fill(token);
  if (remember) await dialog.locator("[name=remember]").check();
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
    const title = uniqueTitle("guarded");
    await only(page, title);
    const task = await create(title);
    await page.locator(`.card[data-id="${task.id}"]`).waitFor();
    assert.ok(!addresses.some((address) => address.includes(TOKEN)), "no address held the token");

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

  it("whoever has none may look at the empty page, and has a way back", async (test) => {
    const { page } = await openPage(test, "/");
    await page.locator("#token-dialog button", { hasText: "Cancel" }).click();
    await page.locator("#strip", { hasText: "You are not signed in" }).waitFor();
    await screenshot(page, "signed-out");
    assert.equal(await page.locator("#token-dialog").count(), 0);
    assert.equal(await page.locator(".card").count(), 0);
    assert.equal(await page.locator("#connection").textContent(), "Signed out");
    await page.locator("#strip button", { hasText: "Sign in" }).click();
    await type(page, TOKEN);
    await page.locator('#connection[data-state="connected"]').waitFor();
    assert.equal(await page.locator("#strip").isVisible(), false);
  });

  it("remembers a token on this device if it is asked to, and forgets it when somebody signs out", async (test) => {
    const { page } = await openPage(test, "/");
    await screenshot(page, "sign-in");
    await type(page, TOKEN, { remember: true });
    await page.locator('#connection[data-state="connected"]').waitFor();
    const tab = await page.context().newPage();
    await tab.goto(`${URL_}/`);
    await tab.locator('#connection[data-state="connected"]').waitFor();
    assert.equal(await tab.locator("#token-dialog").count(), 0);
    await tab.locator("#account-button", { hasText: "browser" }).click();
    assert.equal(await tab.locator("#account-scope").textContent(), "exec");
    await tab.locator("#sign-out").click();
    await tab.locator("#token-dialog").waitFor();
    assert.equal(await tab.evaluate(() => localStorage.getItem("taskhub.token") ?? sessionStorage.getItem("taskhub.token")), null);
  });

  it("shows a reader every view and each log, and lets them change nothing", async (test) => {
    const task = await create(uniqueTitle("read only"));
    const headers = { "Content-Type": "application/json", Authorization: `Bearer ${TOKEN}` };
    const body = JSON.stringify({ script_content: "echo for-readers" });
    assert.equal((await fetch(`${URL_}/api/exec/${task.id}`, { method: "POST", headers, body })).status, 200);
    const { page } = await openPage(test, `/t/${task.key}`);
    await type(page, READER);
    await page.locator("#drawer-log", { hasText: "for-readers" }).waitFor();
    await page.keyboard.press("g");
    await page.keyboard.press("l");
    await page.fill("#search", task.key);
    const row = page.locator("#list-rows .rows-sizer > .row", { hasText: task.title });
    await row.locator("input").check();
    assert.equal(await page.locator("#bulk-status").isDisabled(), true);
    await page.locator("#bulk-delete").click({ force: true }); // greyed: it says why
    await page.locator(".toast", { hasText: "needs “write”" }).waitFor();
    assert.equal(await page.locator("#bulk-delete-dialog").isVisible(), false);
    await page.locator(".nav a", { hasText: "Runs" }).click();
    await page.locator("#runs-rows .row", { hasText: task.title }).waitFor();
    await page.locator(".nav a", { hasText: "Hub" }).click();
    await page.locator("#hub-clients tr").first().waitFor();
  });

  it("shows whose token it is, and disables what it does not allow, with the reason", async (test) => {
    const task = await create(uniqueTitle("only read"));
    const { page } = await openPage(test, `/#${task.id}`);
    await type(page, READER);
    await page.locator('#connection[data-state="connected"]').waitFor();
    await only(page, task.id);
    assert.match(await page.locator("#account-button").textContent(), /reader.*read/);
    const reason = "Your token “reader” allows “read”; this needs “write”.";
    for (const control of ["#new-task", "#drawer-edit", "#drawer-delete"]) {
      assert.equal(await page.locator(control).getAttribute("aria-disabled"), "true", control);
      assert.equal(await page.locator(control).getAttribute("title"), reason, control);
    }
    assert.equal(await page.locator("#drawer-status").isDisabled(), true);
    assert.equal(await page.locator(`.card[data-id="${task.id}"] select`).isDisabled(), true);
    await screenshot(page, "read-only");
    await page.click("#drawer-close");
    await page.locator("#drawer").waitFor({ state: "hidden" });
    await page.keyboard.press("n");
    await page.locator(".toast", { hasText: reason }).waitFor();
    assert.equal(await page.locator("#task-dialog").isVisible(), false);
  });
});
