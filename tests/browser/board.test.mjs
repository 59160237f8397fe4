// The live board at /.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { api, createTask, fakeFirstStream, only, putStatus, screenshot, uniqueTitle, useBrowser } from "./harness.mjs";

const column = (page, status) => page.locator(`.column[data-status="${status}"]`);
const cardIn = (page, status, id) => column(page, status).locator(`.card[data-id="${id}"]`);
const card = (page, id) => page.locator(`.card[data-id="${id}"]`);
const live = (page) => page.locator('#connection[data-state="connected"]').waitFor();

describe("board", () => {
  const openPage = useBrowser();

  it("shows a task that existed before, with its details", async (test) => {
    const task = await createTask({ title: uniqueTitle("existing"), priority: "high", assignee: "alice", tags: ["red", "blue"] });
    await putStatus(task.id, { new_status: "review", artifacts: ["a.txt", "b.txt"] });
    const { page, expectClean } = await openPage(test, "/");
    await only(page, task.id);
    const shown = cardIn(page, "review", task.id);
    await shown.waitFor();
    assert.equal(await shown.locator(".card-title").textContent(), task.title);
    assert.equal(await shown.locator(".priority").textContent(), "high");
    assert.equal(await shown.locator(".assignee-name").textContent(), "alice");
    assert.deepEqual(await shown.locator(".tag").allTextContents(), ["red", "blue"]);
    assert.match(await shown.locator(".artifact-count").textContent(), /^2 /);
    expectClean();
  });

  it("shows live what others create, move and delete", async (test) => {
    const { page, expectClean } = await openPage(test, "/");
    await live(page);
    const title = uniqueTitle("from outside");
    await only(page, title);
    const task = await createTask({ title });
    await cardIn(page, "todo", task.id).waitFor();
    await putStatus(task.id, { new_status: "inprogress", priority: "high" });
    const moved = cardIn(page, "inprogress", task.id);
    await moved.waitFor();
    assert.equal(await card(page, task.id).count(), 1, "moved, not copied");
    assert.equal(await moved.locator(".priority").textContent(), "high");
    await screenshot(page, "board-light");
    await page.emulateMedia({ colorScheme: "dark" });
    await screenshot(page, "board-dark");
    await api("DELETE", `/api/tasks/${task.id}`);
    await card(page, task.id).waitFor({ state: "detached" });
    expectClean();
  });

  it("creates a task by its dialog", async (test) => {
    const { page, expectClean } = await openPage(test, "/");
    await live(page);
    const title = uniqueTitle("by dialog");
    await only(page, title);
    await page.click("#new-task");
    await page.fill("#task-form [name=title]", title);
    await page.fill("#task-form [name=description]", "What it is about");
    await page.selectOption("#task-form [name=priority]", "medium");
    await page.fill("#task-form [name=tags]", "one, two, one");
    await page.click("#task-save");
    const shown = column(page, "todo").locator(".card", { hasText: title });
    await shown.waitFor();
    assert.equal(await page.locator("#task-dialog").isVisible(), false);
    const task = await api("GET", `/api/tasks/${await shown.getAttribute("data-id")}`);
    assert.equal(task.description, "What it is about");
    assert.equal(task.priority, "medium");
    assert.deepEqual(task.tags, ["one", "two"]);
    expectClean();
  });

  it("shows markup in a title as text", async (test) => {
    const title = `<b>bold</b><img src="/nowhere" onerror="window.pwned=1"> ${uniqueTitle("&amp;")}`;
    const task = await createTask({ title, assignee: "<i>x</i>", tags: ["<u>t</u>"], description: "<script>window.pwned=1</script>" });
    const { page, expectClean } = await openPage(test, "/");
    await only(page, task.id);
    const shown = card(page, task.id);
    await shown.waitFor();
    assert.equal(await shown.locator(".card-title").textContent(), title);
    await shown.locator(".card-title").click();
    await page.locator("#drawer").waitFor();
    assert.equal(await page.locator("#drawer-title").textContent(), title);
    assert.equal(await page.locator(".card b, .card img, .card u, #drawer h2 *, #drawer script").count(), 0);
    assert.equal(await page.evaluate(() => window.pwned), undefined);
    expectClean();
  });

  it("moves a card by its select, by keyboard and by drag and drop", async (test) => {
    const task = await createTask({ title: uniqueTitle("moving") });
    const { page, expectClean } = await openPage(test, "/");
    await live(page);
    await only(page, task.id);
    const isOnServer = async (status) => {
      await cardIn(page, status, task.id).waitFor();
      await page.waitForFunction(async ({ id, wanted }) => {
        const response = await fetch(`/api/tasks/${id}`);
        return (await response.json()).status === wanted;
      }, { id: task.id, wanted: status });
    };
    await card(page, task.id).locator("select").selectOption("review");
    await isOnServer("review");

    await card(page, task.id).locator(".card-title").focus();
    await page.keyboard.press("Shift+ArrowRight");
    await isOnServer("done");
    const focused = await page.evaluate(() => document.activeElement.closest(".card")?.dataset.id);
    assert.equal(focused, task.id, "the focus moves along");

    await card(page, task.id).dragTo(column(page, "inprogress"));
    await isOnServer("inprogress");
    expectClean();
  });

  it("runs a script, follows its log and its end", async (test) => {
    const task = await createTask({ title: uniqueTitle("script"), script: "echo from-the-script; sleep 1; echo the-end" });
    const { page, expectClean } = await openPage(test, "/");
    await live(page);
    await only(page, task.id);
    await card(page, task.id).locator("button[data-action=run]").click();
    await cardIn(page, "inprogress", task.id).waitFor();
    await card(page, task.id).locator(".card-title").click();
    await page.locator("#drawer-log", { hasText: "the-end" }).waitFor();
    await card(page, task.id).locator('.execution[data-state="completed"]').waitFor();
    assert.match(await page.locator("#drawer-execution").textContent(), /Completed.*taskhub-\d+.*exit code 0/);
    await screenshot(page, "drawer-light");
    expectClean();
  });

  it("stops a running script", async (test) => {
    const task = await createTask({ title: uniqueTitle("stopped"), script: "sleep 60\nsleep 60\nsleep 60" });
    const { page, expectClean } = await openPage(test, "/");
    await live(page);
    await only(page, task.id);
    await card(page, task.id).locator("button[data-action=run]").click();
    await card(page, task.id).locator('.execution[data-state="running"]').waitFor();
    await card(page, task.id).locator("button[data-action=stop]").click();
    await card(page, task.id).locator('.execution[data-state="stopped"]').waitFor();
    expectClean();
  });

  it("edits a task in its dialog", async (test) => {
    const task = await createTask({ title: uniqueTitle("before"), priority: "low" });
    const { page, expectClean } = await openPage(test, `/#${task.id}`);
    await page.locator("#drawer").waitFor();
    await page.click("#drawer-edit");
    const title = uniqueTitle("after");
    await page.fill("#task-form [name=title]", title);
    await page.selectOption("#task-form [name=priority]", "");
    await page.click("#task-save");
    await page.locator("#drawer-title", { hasText: title }).waitFor();
    const edited = await api("GET", `/api/tasks/${task.id}`);
    assert.equal(edited.title, title);
    assert.equal(edited.priority ?? null, null);
    expectClean();
  });

  it("shows comments and questions, and answers a question once", async (test) => {
    const task = await createTask({ title: uniqueTitle("asked") });
    await api("POST", `/api/tasks/${task.id}/comments`, { text: "<b>look</b>", author: "Ada" });
    const choice = await api("POST", `/api/tasks/${task.id}/questions`, { text: "Deploy?", options: ["yes", "no"] });
    const { page, expectClean } = await openPage(test, "/");
    await live(page);
    await only(page, task.id);
    assert.match(await card(page, task.id).locator(".question-count").textContent(), /^1 /);
    await card(page, task.id).locator(".card-title").click();
    const entries = page.locator("#history .entry");
    await entries.nth(1).waitFor();
    assert.equal(await entries.nth(0).locator(".prose").textContent(), "<b>look</b>");
    const free = await api("POST", `/api/tasks/${task.id}/questions`, { text: "Why?" });
    const field = entries.nth(2).locator("input");
    await field.fill("because <i>so</i>"); // half-written, while the other question ends
    await screenshot(page, "drawer-questions");
    await entries.nth(1).locator("button", { hasText: "yes" }).click();
    await page.locator('#history .entry[data-status="answered"]', { hasText: "yes" }).waitFor();
    await card(page, task.id).locator(".question-count", { hasText: /^1 / }).waitFor();
    await field.press("Enter");
    await card(page, task.id).locator(".question-count").waitFor({ state: "detached" });
    assert.equal(await page.locator("#history .entry input, #history .entry button, #history b, #history i").count(), 0);
    const answers = await Promise.all([choice, free].map(({ id }) => api("GET", `/api/questions/${id}`)));
    assert.deepEqual(answers.map(({ answer }) => answer), ["yes", "because <i>so</i>"]);

    await page.fill("#comment-form textarea", "thank you");
    await page.click("#comment-form button");
    await entries.nth(3).waitFor();
    const comments = await api("GET", `/api/tasks/${task.id}/comments`);
    assert.deepEqual(comments.map(({ text }) => text), ["<b>look</b>", "thank you"]);
    assert.equal(await entries.count(), 4, "what the answer and the stream both tell is there once");
    expectClean();
  });

  it("loads the list anew after a reset", async (test) => {
    let lists = 0;
    const beforeLoad = async (page) => {
      page.on("request", (request) => {
        const { pathname, searchParams } = new URL(request.url());
        if (pathname === "/api/tasks" && !searchParams.has("cursor")) lists += 1;
      });
      await fakeFirstStream(page, [{ id: "aaaaaaaa-5", event: "reset", data: { reason: "unknown_epoch" } }]);
    };
    const { page, expectClean } = await openPage(test, "/", { beforeLoad });
    await live(page);
    const title = uniqueTitle("after a reset");
    await only(page, title);
    const task = await createTask({ title });
    await cardIn(page, "todo", task.id).waitFor();
    // Once more when the browser came back with the same id, and the hub itself had to say that it knows none.
    assert.ok(lists >= 2, `${lists} lists`);
    expectClean();
  });

  it("shows a problem's detail in a toast and puts the card back", async (test) => {
    const task = await createTask({ title: uniqueTitle("refused") });
    const { page } = await openPage(test, "/");
    await live(page);
    await only(page, task.id);
    await page.route("**/api/tasks/status/*", (route) => route.fulfill({
      status: 422,
      contentType: "application/problem+json",
      body: JSON.stringify({ title: "Unprocessable", status: 422, code: "x", detail: "no <b>such</b> move" }),
    }));
    await card(page, task.id).locator("select").selectOption("done");
    await page.locator(".toast[data-kind=error]", { hasText: "no <b>such</b> move" }).waitFor();
    await cardIn(page, "todo", task.id).waitFor();
  });

  it("fits a phone: one column at a time, nothing wider than the screen", async (test) => {
    const task = await createTask({ title: uniqueTitle("on a phone"), priority: "high", assignee: "somebody-with-a-long-name", tags: ["a", "b"] });
    await putStatus(task.id, { new_status: "inprogress" });
    const { page, expectClean } = await openPage(test, "/", { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
    await live(page);
    await only(page, task.id);
    await page.locator('.tab[data-status="inprogress"]').click();
    await page.locator('.tab[data-status="inprogress"][aria-current]').waitFor();
    await card(page, task.id).scrollIntoViewIfNeeded();
    await screenshot(page, "board-phone");
    await card(page, task.id).locator(".card-title").click();
    await page.locator("#drawer-close").waitFor();
    const widest = await page.evaluate(() => Math.max(document.documentElement.scrollWidth,
      ...[...document.querySelectorAll("#drawer *")].map((node) => node.getBoundingClientRect().right)));
    assert.ok(widest <= 390, `the widest thing ends at ${widest}`);
    await screenshot(page, "drawer-phone");
    expectClean();
  });
});
