// What every client in TypeScript does, whatever its version. `client` hides the differences:
//   modern                         whether it speaks 2026-07-28
//   listTools()                    the list
//   call(name, args, options)      the result of a tool; options: timeout, signal, onprogress
//   listen(uri, onUpdate)          a function that ends it (modern only)
//   readResource, listResources, listTemplates, listPrompts, getPrompt, complete
// Each step prints `ok: step`, or `failed: step: why`; ../programs.py knows their names.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import Ajv from "ajv";
import addFormats from "ajv-formats";

const TOOLS = [
  "ask_person", "claim_task", "comment", "complete_task", "create_tasks", "fail_task", "get_task", "heartbeat", "list_tasks",
  "read_log", "run_task", "update_task", "wait_events",
];
const TEXT_ONLY = ["get_task", "read_log"];
// Of its own, so that no claim meets the tasks of another program.
const tag = `mcp-${randomBytes(6).toString("hex")}`;

export async function story(client) {
  const tools = new Tools(client);
  await step("lists the tools", () => tools.list());
  await step("works with every tool", () => useEveryTool(client, tools));
  await step("is told what was wrong", () => isToldWhatWasWrong(tools));
  await step("gets its task back after a timeout", () => reclaim(tools));
  await step("cancels a wait", () => cancel(client, tools));
  await step("sees the progress of a wait", () => progress(tools));
  await step("reads resources and prompts", () => read(client, tools));
  if (client.modern) await step("listens to a task", () => listen(client, tools));
  await step("has only got answers that match their schemas", () => tools.allUsed());
}

// A step that fails does not keep the others from being tried.
async function step(name, act) {
  try {
    await act();
    console.log(`ok: ${name}`);
  } catch (error) {
    console.log(`failed: ${name}: ${JSON.stringify(error.message)}`);
    console.error(error);
    process.exitCode = 1;
  }
}

// The tools, with the schemas of their results.
class Tools {
  constructor(client) {
    this.client = client;
    this.validators = new Map();
    this.used = new Set();
  }

  async list() {
    const { tools } = await this.client.listTools();
    assert.deepEqual(tools.map((tool) => tool.name).sort(), TOOLS);
    const ajv = new Ajv({ strict: true, allErrors: true });
    addFormats(ajv);
    for (const tool of tools) {
      assert.equal(tool.inputSchema.type, "object", tool.name);
      assert.equal(tool.outputSchema === undefined, TEXT_ONLY.includes(tool.name), `${tool.name}: output schema`);
      ajv.compile(tool.inputSchema);
      if (tool.outputSchema) this.validators.set(tool.name, ajv.compile(tool.outputSchema));
    }
  }

  // What the tool answers: its data, or its text.
  async call(name, args, options) {
    const result = await this.client.call(name, args, options);
    const text = result.content.map((block) => block.text).join("");
    assert.ok(!result.isError, `${name} was refused: ${text}`);
    this.used.add(name);
    const valid = this.validators.get(name);
    if (!valid) {
      assert.equal(result.structuredContent, undefined, `${name} answers text alone`);
      return text;
    }
    assert.ok(valid(result.structuredContent), `${name}: ${JSON.stringify(valid.errors)} of ${JSON.stringify(result.structuredContent)}`);
    assert.deepEqual(JSON.parse(text), result.structuredContent, `${name}: the text is the data`);
    return result.structuredContent;
  }

  // The words of a refusal: `code: what went wrong; what to do next`. TypeScript 1.x checks the data of a refusal against the
  // schema of an answer, and throws the words away when they differ.
  async refusal(name, args) {
    const result = await this.client.call(name, args);
    const text = result.content.map((block) => block.text).join("");
    assert.equal(result.isError, true, `${name} was not refused: ${text}`);
    assert.match(text, /^[a-z_]+: .+; .+$/s);
    return text;
  }

  async create(...tasks) {
    const { tasks: made } = await this.call("create_tasks", { tasks: tasks.map((task) => ({ tags: [tag], ...task })) });
    return made.map((task) => task.key);
  }

  allUsed() {
    assert.deepEqual([...this.used].sort(), TOOLS);
  }
}

// Two tasks, one after the other: the first is worked on to its end, the second is given back.
async function useEveryTool(client, tools) {
  const { cursor } = await tools.call("wait_events", { wait_seconds: 0 });
  const request = {
    request_id: `${tag}-first`,
    tasks: [
      { name: "first", title: "Say hello", description: "Done when the log says hello.", priority: "high", tags: [tag], script: "echo 'hello from the script'" },
      { name: "second", title: "Say more", tags: [tag], blocked_by: ["first"] },
    ],
  };
  const made = await tools.call("create_tasks", request);
  const [first, second] = made.tasks.map((task) => task.key);
  assert.deepEqual(await tools.call("create_tasks", request), made, "a repetition makes nothing new");

  const { tasks: listed } = await tools.call("list_tasks", { tag });
  assert.deepEqual(listed.map((task) => task.key).sort(), [first, second].sort());
  const { tasks: ready } = await tools.call("list_tasks", { tag, ready: true });
  assert.deepEqual(ready.map((task) => task.key), [first], "the second waits for the first");

  const worker = `${tag}-worker`;
  const { key, lease } = await tools.call("claim_task", { worker, tag, lease_seconds: 60 });
  assert.equal(key, first);
  assert.match(await tools.call("get_task", { task: first }), /Done when the log says hello\./);
  const { stop } = await tools.call("heartbeat", { lease, progress: "reads the task" });
  assert.equal(Boolean(stop), false);
  await tools.call("comment", { task: first, text: "It runs now.", lease });

  const run = await tools.call("run_task", { task: first, wait_seconds: 30, lease });
  assert.equal(run.status, "completed");
  assert.equal(run.exit_code, 0);
  assert.match(run.log_tail, /hello from the script/);
  assert.match(await tools.call("read_log", { task: first, grep: "hello" }), /hello from the script/);

  const seen = await tools.call("wait_events", { cursor, task: first, wait_seconds: 5 });
  assert.ok(seen.events.length > 0, "what happened to the first task");
  assert.notEqual(seen.cursor, cursor);

  await tools.call("update_task", { task: first, title: "Say hello well", lease });
  assert.match(await tools.call("get_task", { task: first }), /Say hello well/);
  const completed = { lease, summary: "It says hello.", proof: "The log says: hello from the script." };
  const done = await tools.call("complete_task", completed);
  assert.equal(done.status, "done");
  assert.deepEqual(await tools.call("complete_task", completed), done, "a repetition changes nothing");

  const next = await tools.call("claim_task", { worker, tag, wait_seconds: 5 });
  assert.equal(next.key, second);
  await tools.call("ask_person", { task: second, text: "More of what?", options: ["hello", "goodbye"], lease: next.lease, wait_seconds: 0 });
  await tools.call("fail_task", { lease: next.lease, reason: "Nobody says what.", retry: false });
  assert.equal((await tools.call("heartbeat", { lease: next.lease })).stop, true, "the lease is over");
  assert.match(await tools.refusal("comment", { task: second, text: "Late.", lease: next.lease }), /lease_lost/);
  const { tasks: after } = await tools.call("list_tasks", { tag });
  assert.notEqual(after.find((task) => task.key === second).status, "done");
}

async function isToldWhatWasWrong(tools) {
  assert.match(await tools.refusal("get_task", { task: "nosuch-1" }), /not_found/);
  assert.match(await tools.refusal("claim_task", { worker: tag, wait_seconds: "soon" }), /wait_seconds/);
  assert.match(await tools.refusal("list_tasks", { tag, limit: "many" }), /limit/);
}

// A client gives up waiting, and waits anew. The task that comes then is its own, whichever wait gets it.
async function reclaim(tools) {
  const claim = { worker: `${tag}-slow`, tag: `${tag}-slow`, wait_seconds: 20 };
  await assert.rejects(tools.client.call("claim_task", claim, { timeout: 1000 }), /timed out/i);
  const again = inBackground(tools.call("claim_task", claim));
  const [key] = await tools.create({ title: "Comes late", tags: [claim.tag] });
  const claimed = await again;
  assert.equal(claimed.key, key);
  const back = await tools.call("claim_task", { ...claim, wait_seconds: 0 });
  assert.equal(back.key, key, "the same worker gets the same task");
  assert.equal(back.lease, claimed.lease);
  await tools.call("complete_task", { lease: back.lease, summary: "It came.", proof: "Seen twice." });
}

// Since 2026-07-28 the hub learns that a client no longer waits, so that another one gets what comes.
async function cancel(client, tools) {
  const claim = { worker: `${tag}-cancels`, tag: `${tag}-cancels`, wait_seconds: 20 };
  const gone = new AbortController();
  const refused = assert.rejects(client.call("claim_task", claim, { signal: gone.signal }));
  await tools.call("list_tasks", { tag });
  gone.abort(new Error("no longer"));
  await refused;
  await tools.call("list_tasks", { tag });
  const worker = client.modern ? `${tag}-another` : claim.worker;
  const waits = inBackground(tools.call("claim_task", { ...claim, worker }));
  const [key] = await tools.create({ title: "Comes after the cancel", tags: [claim.tag] });
  const claimed = await waits;
  assert.equal(claimed.key, key);
  await tools.call("complete_task", { lease: claimed.lease, summary: "It came.", proof: "Seen." });
}

async function progress(tools) {
  const seen = [];
  const claim = { worker: `${tag}-patient`, tag: `${tag}-nothing`, wait_seconds: 12 };
  const claimed = await tools.call("claim_task", claim, { onprogress: (now) => seen.push(now.progress) });
  assert.deepEqual(claimed, {}, "nothing came");
  assert.ok(seen.length > 0, "progress while it waits");
  assert.deepEqual(seen, [...new Set(seen)].sort((a, b) => a - b), "progress grows");
}

async function read(client, tools) {
  const [key] = await tools.create({ title: "Read me", description: "As a resource." });
  const uri = `taskhub://tasks/${key}`;
  const { contents } = await client.readResource(uri);
  assert.equal(contents[0].uri, uri);
  assert.match(contents[0].text, /Read me/);
  const { resourceTemplates } = await client.listTemplates();
  const templates = resourceTemplates.map((template) => template.uriTemplate);
  assert.deepEqual(templates.sort(), ["taskhub://board/{project}", "taskhub://tasks/{id}", "taskhub://tasks/{id}/log"]);
  await client.listResources();
  const completed = await client.complete("taskhub://tasks/{id}", "id", key.slice(0, -1));
  assert.ok(completed.completion.values.length > 0, "a key is completed");
  const { prompts } = await client.listPrompts();
  assert.deepEqual(prompts.map((prompt) => prompt.name).sort(), ["plan", "review", "work_loop"]);
  const prompt = await client.getPrompt("work_loop", { worker: tag });
  assert.ok(prompt.messages[0].content.text.includes("claim_task"));
}

async function listen(client, tools) {
  const [key, other] = await tools.create({ title: "Changes" }, { title: "Changes, too" });
  const uri = `taskhub://tasks/${key}`;
  let updated;
  const seen = [];
  const first = new Promise((resolve) => (updated = resolve));
  const end = await client.listen(uri, (changed) => {
    seen.push(changed);
    updated();
  });
  await tools.call("update_task", { task: other, title: "Changed, too" });
  await tools.call("update_task", { task: key, title: "Changed" });
  await within(5000, first);
  assert.deepEqual([...new Set(seen)], [uri], "only what it listens to");
  await end();
}

// What fails before it is waited for must not end the program.
function inBackground(promise) {
  promise.catch(() => {});
  return promise;
}

async function within(ms, promise) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(reject, ms, new Error(`nothing within ${ms} ms`))));
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
