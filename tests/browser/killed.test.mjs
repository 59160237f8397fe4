// The board of a hub that is killed while a script waits for a person.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { useBrowser } from "./harness.mjs";
import { OwnHub } from "./hub.mjs";

const SCRIPT = 'answer=$(taskhub ask "Deploy?" --option yes --option no) && echo "the answer is $answer"';

describe("board of a hub that is killed", () => {
  const openPage = useBrowser();

  it("answers what a script has asked before, and shows that the script goes on", async (test) => {
    const hub = await OwnHub.start(test);
    const task = await hub.api("POST", "/api/tasks", { title: "Ship it", script: SCRIPT });
    const { page, complaints } = await openPage(test, "/", { base: hub.base });
    const connection = (state) => page.locator(`#connection[data-state="${state}"]`).waitFor();
    await connection("connected");
    const card = page.locator(`.card[data-id="${task.id}"]`);
    await card.locator("button[data-action=run]").click();
    await card.locator(".question-count", { hasText: /^1 / }).waitFor();
    const [asked] = await hub.api("GET", "/api/questions");

    await hub.kill();
    await page.locator('#connection:not([data-state="connected"])').waitFor();
    await hub.restart();
    await connection("connected");

    await card.locator(".card-title").click();
    const question = page.locator("#history .entry", { hasText: "Deploy?" });
    await question.locator("button", { hasText: "yes" }).click();
    await card.locator('.execution[data-state="completed"]').waitFor();
    await page.locator("#drawer-log", { hasText: "the answer is yes" }).waitFor();
    await card.locator(".question-count").waitFor({ state: "detached" });
    const questions = await hub.api("GET", "/api/questions");
    assert.deepEqual(questions.map(({ id, answer }) => [id, answer]), [[asked.id, "yes"]], "asked and answered once");
    const execution = await hub.api("GET", `/api/exec/${task.id}`);
    assert.deepEqual([execution.status, execution.exit_code], ["completed", 0]);
    const others = complaints.filter((words) => !/net::ERR_/.test(words));
    assert.deepEqual(others, [], "the page complains about the connection and nothing else");
  });
});
