// The event monitor: connects to a stream, shows every message as it comes, and says so when the stream breaks its
// promise of a gap-free sequence. Its address holds what it shows, so that it can be sent to somebody.

import { showAccount } from "../shared/account.ts";
import { token } from "../shared/access.ts";
import { createTask, learnIdentity, updateStatus } from "../shared/api.ts";
import type { Envelope } from "../shared/api-types.ts";
import { byId, setText } from "../shared/dom.ts";
import { guardPage } from "../shared/gate.ts";
import { Problem } from "../shared/problem.ts";
import { SequenceCheck } from "../shared/sequence.ts";
import { toastProblem } from "../shared/toast.ts";
import { MonitorFeed, type MonitorState } from "./monitor-feed.ts";
import { MonitorLog } from "./monitor-log.ts";

const STREAM = "/api/events/stream";
/** Query parameters that thin a stream out: then missing numbers mean nothing. */
const FILTERS = ["events", "task_id", "project", "key", "ready", "assignee", "status", "priority", "tag"];
/** Those that have a field; the others go into the address of the stream. */
const FIELDS = ["events", "task_id", "since"] as const;
const LABELS: Partial<Record<MonitorState, string>> = { waiting: "waiting: two other monitors are live" };

const log = new MonitorLog();
const sequence = new SequenceCheck();
let filtered = false;
let state: MonitorState = "disconnected";

const field = (name: string) => byId<HTMLInputElement>(name);
const feed = new MonitorFeed({ address: streamAddress, onState: showState, onMessage: receive });

function streamAddress(since: string | null): string {
  const url = new URL(field("endpoint").value.trim() || STREAM, location.origin);
  if (url.origin !== location.origin) throw new TypeError("The endpoint must be on this server.");
  for (const name of ["events", "task_id"]) {
    const value = field(name).value.replace(/\s+/g, "");
    if (value) url.searchParams.set(name, value);
  }
  if (since) url.searchParams.set("since", since);
  return url.pathname + url.search;
}

function receive(envelope: Envelope): void {
  const warning = filtered ? null : sequence.see(envelope);
  log.add(envelope, warning);
  if (warning) showGap(warning);
  showSequence();
}

// ---- what is shown ----

function showState(next: MonitorState, problem: Problem | null): void {
  if (next === "reconnecting" && state === "connected") log.note("Connection lost, the monitor reconnects");
  if (next === "disconnected" && state !== "disconnected") {
    log.note(problem ? `Refused: ${problem.detail}` : "Disconnected", problem ? "error" : "note");
  }
  state = next;
  if (problem) toastProblem(problem);
  const pill = byId("status");
  pill.dataset["state"] = state;
  setText(pill, LABELS[state] ?? state);
  byId<HTMLButtonElement>("connect").disabled = state !== "disconnected";
  byId<HTMLButtonElement>("disconnect").disabled = state === "disconnected";
  byId<HTMLFieldSetElement>("filters").disabled = state !== "disconnected";
}

function showGap(warning: string): void {
  setText(byId("gap-text"), sequence.gaps === 1 ? warning : `${warning} (${sequence.gaps} breaks so far)`);
  byId("gap-warning").hidden = false;
}

function showSequence(): void {
  const box = byId("sequence");
  box.dataset["state"] = filtered ? "off" : sequence.gaps > 0 ? "broken" : "whole";
  setText(box, filtered
    ? "Sequence not checked: the stream is filtered"
    : sequence.gaps > 0 ? `Sequence broken ${sequence.gaps}×` : `No gap in ${sequence.checked} events`);
}

// ---- the address of the page ----

/** Fills the fields from the address; a filter without a field goes into the address of the stream. */
function readAddress(): void {
  const query = new URLSearchParams(location.search);
  const stream = new URL(query.get("endpoint") ?? STREAM, location.origin);
  query.delete("endpoint");
  for (const [name, value] of query) {
    if ((FIELDS as readonly string[]).includes(name)) field(name).value = value;
    else stream.searchParams.append(name, value);
  }
  if (stream.origin === location.origin) field("endpoint").value = stream.pathname + stream.search;
}

function writeAddress(): void {
  const query = new URLSearchParams();
  const endpoint = field("endpoint").value.trim();
  if (endpoint && endpoint !== STREAM) query.set("endpoint", endpoint);
  for (const name of FIELDS) {
    const value = field(name).value.trim();
    if (value) query.set(name, value);
  }
  const text = query.toString();
  history.replaceState(null, "", location.pathname + (text ? `?${text}` : ""));
}

// ---- what a person can do ----

function connect(): void {
  try {
    const url = new URL(streamAddress(null), location.origin);
    filtered = FILTERS.some((name) => url.searchParams.has(name));
    sequence.restart();
    showSequence();
    void feed.open(field("since").value.trim() || null);
  } catch (error) {
    toastProblem(new Problem(0, "", "Cannot connect", error instanceof Error ? error.message : String(error)));
  }
}

function clear(): void {
  log.clear();
  sequence.checked = 0;
  sequence.gaps = 0;
  byId("gap-warning").hidden = true;
  showSequence();
}

async function trigger(): Promise<void> {
  const button = byId<HTMLButtonElement>("trigger");
  button.disabled = true;
  try {
    const task = await createTask({ title: "Test update from the event monitor", tags: ["monitor-test"] });
    await updateStatus(task.id, { new_status: "inprogress", priority: "high" });
  } catch (error) {
    toastProblem(error);
  } finally {
    button.disabled = false;
  }
}

byId("controls").addEventListener("submit", (event) => {
  event.preventDefault();
  if (state !== "disconnected") return;
  writeAddress();
  connect();
});
byId("disconnect").addEventListener("click", () => feed.close());
byId("clear").addEventListener("click", clear);
byId("trigger").addEventListener("click", () => void trigger());

guardPage();
showAccount();
readAddress();
connect();
if (token()) learnIdentity().catch(() => {}); // the stream asks for another one
