// Makes the picture of the board for README.md: starts a hub, fills it, and takes a screenshot.
//
//     cargo build --release && (cd tests && npm ci) && node tests/picture.mjs target/release/taskhub docs/board.png

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [program, picture] = process.argv.slice(2);
const TASKS = [
  { title: "Write the release notes", status: "todo", priority: "medium", assignee: "alice", tags: ["docs"] },
  { title: "Retry uploads after a timeout", status: "todo", priority: "high", tags: ["backend", "bug"] },
  { title: "Explain error 429 in the guide", status: "todo", priority: "low", tags: ["docs"] },
  { title: "Rotate the signing keys", status: "inprogress", priority: "high", assignee: "bob", tags: ["ops"] },
  { title: "Search by several tags", status: "review", priority: "medium", assignee: "agent-2", tags: ["frontend"] },
  { title: "Upgrade the database driver", status: "review", assignee: "agent-1", tags: ["backend"] },
  { title: "Dark theme", status: "done", priority: "low", assignee: "carol", tags: ["frontend"] },
  { title: "Nightly backup", status: "done", priority: "high", assignee: "bob", tags: ["ops"] },
];

const data = await mkdtemp(path.join(tmpdir(), "board-"));
const hub = spawn(program, ["--listen", "127.0.0.1:0", "--data-dir", data, "--log-format", "json"], { stdio: ["ignore", "ignore", "pipe"] });
let base;
for await (const line of createInterface(hub.stderr)) {
  base = JSON.parse(line).board;
  if (base) break;
}
hub.stderr.resume();

async function call(method, address, body) {
  const answer = await fetch(base + address, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

for (const { status, ...task } of TASKS) {
  const { id } = await call("POST", "/api/tasks", task);
  if (status !== "todo") await call("PUT", `/api/tasks/status/${id}`, { new_status: status });
}
const script = "for n in 1 2 3 4 5; do echo \"checked 20$n of 240 files\"; done; sleep 60";
const running = await call("POST", "/api/tasks", { title: "Run the integration tests", assignee: "agent-1", tags: ["ci"], script });
await call("POST", `/api/exec/${running.id}`, {});

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const page = await browser.newPage({ viewport: { width: 1200, height: 620 }, colorScheme: "light" });
await page.goto(base);
await page.getByText("Run the integration tests").first().waitFor();
await page.waitForTimeout(1000); // cards fade in
await page.screenshot({ path: picture });
await browser.close();
hub.kill();
await rm(data, { recursive: true, force: true, maxRetries: 10 });
