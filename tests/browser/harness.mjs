// A Chromium page against a running TaskHub, with the two things every test wants to know:
// did the page complain, and did it talk to anybody else.

import assert from "node:assert/strict";
import path from "node:path";
import { after, before } from "node:test";
import { chromium } from "playwright-core";

export const BASE = (process.env.TASKHUB_URL ?? "http://localhost:8000").replace(/\/$/, "");
export const WAIT_MS = 10_000;

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

/** One browser for a test file; `openPage` gives a fresh profile, on another hub if its options name one. */
export function useBrowser({ base: usual = BASE } = {}) {
  let browser;
  before(async () => {
    const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
    browser = await chromium.launch({ executablePath, headless: true, args: FLAGS });
  });
  after(() => browser?.close());

  return async function openPage(test, address, options = {}) {
    const { beforeLoad, base = usual, ...contextOptions } = options;
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...contextOptions });
    const page = await context.newPage();
    await beforeLoad?.(page);
    page.setDefaultTimeout(WAIT_MS);
    const complaints = [];
    const strangers = [];
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) complaints.push(`${message.text()} ${message.location().url}`);
    });
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (url.protocol !== "data:" && url.protocol !== "blob:" && url.origin !== new URL(base).origin) strangers.push(url.href);
    });
    test.after(() => context.close());
    const response = await page.goto(base + address);
    assert.equal(response.status(), 200, `${address} answers 200`);

    const expectClean = () => {
      assert.deepEqual(complaints, [], "the page has no errors in its console");
      assert.deepEqual(strangers, [], "no request leaves the origin");
    };
    return { page, complaints, expectClean };
  };
}

/** A call from outside the page. */
export async function api(method, address, body) {
  const response = await fetch(BASE + address, {
    method,
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${address} answered ${response.status}: ${text}`);
  return text ? JSON.parse(text) : null;
}

export const createTask = (fields) => api("POST", "/api/tasks", fields);
export const putStatus = (id, change) => api("PUT", `/api/tasks/status/${id}`, change);

/** Unlike any other title on the board, also when test files run side by side. */
export const uniqueTitle = (words) => `${words} ${crypto.randomUUID().slice(0, 8)}`;

/**
 * Lets the first stream of a page be these messages and then end; later ones are the server's. A test cannot come between
 * a SharedWorker and the hub, so the page gets none, and holds the connection itself.
 */
export async function fakeFirstStream(page, messages) {
  await withoutSharedWorker(page);
  const timestamp = "2025-06-22T10:00:00.000Z";
  const frames = messages.map((message) => `id: ${message.id}\ndata: ${JSON.stringify({ data: {}, timestamp, ...message })}\n\n`);
  await page.route("**/api/events/stream*", (route) => route.fulfill({
    status: 200, contentType: "text/event-stream", body: `retry: 100\n\n${frames.join("")}`,
  }), { times: 1 });
}

/** Filters the board: it draws only the cards that can be seen, and other tests fill it, too. */
export const only = (page, words) => page.fill("#search", words);

/** As in a browser that has none. */
export const withoutSharedWorker = (page) => page.addInitScript(() => delete window.SharedWorker);

/** Waits until `check` answers something true, and answers that. */
export async function until(check, words, wait_ms = WAIT_MS) {
  const deadline = Date.now() + wait_ms;
  for (;;) {
    const seen = await check();
    if (seen) return seen;
    assert.ok(Date.now() < deadline, words);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

export async function screenshot(page, name) {
  const directory = process.env.SCREENSHOT_DIR;
  if (directory) await page.screenshot({ path: path.join(directory, `${name}.png`) });
}
