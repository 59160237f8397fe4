// The event monitor: connects to a stream, shows every message as it comes, and says so
// when the stream breaks its promise of a gap-free sequence.

import { createTask, updateStatus } from "/assets/api.js";
import { byId } from "/assets/dom.js";
import { MonitorLog } from "/assets/monitor-log.js";
import { SequenceCheck } from "/assets/sequence.js";
import { EventFeed } from "/assets/stream.js";
import { toastProblem } from "/assets/toast.js";

/** Query parameters that thin a stream out: then missing numbers mean nothing. */
const FILTERS = ["events", "task_id", "assignee", "status", "priority", "tag"];

const log = new MonitorLog();
const sequence = new SequenceCheck();
let filtered = false;
let state = "disconnected";

const feed = new EventFeed({
  address: (cursor) => streamAddress(cursor),
  onState: showState,
  onMessage: receive,
  retryRefused: false,
});

function streamAddress(since) {
  const url = new URL(byId("endpoint").value.trim() || "/api/events/stream", location.origin);
  if (url.origin !== location.origin) throw new TypeError("The endpoint must be on this server.");
  for (const name of ["events", "task_id"]) {
    const value = byId(name).value.replace(/\s+/g, "");
    if (value) url.searchParams.set(name, value);
  }
  if (since) url.searchParams.set("since", since);
  return url.pathname + url.search;
}

function receive(envelope) {
  const warning = filtered ? null : sequence.see(envelope);
  log.add(envelope, warning);
  if (warning) showGap(warning);
  showSequence();
}

// ---- what is shown ----

function showState(next, problem) {
  if (next === "reconnecting" && state === "connected") log.note("Connection lost, the browser reconnects");
  if (next === "disconnected" && state !== "disconnected") {
    log.note(problem ? `Refused: ${problem.detail}` : "Disconnected", problem ? "error" : "note");
  }
  state = next;
  if (problem) toastProblem(problem);
  const pill = byId("status");
  pill.dataset.state = state;
  pill.textContent = state;
  byId("connect").disabled = state !== "disconnected";
  byId("disconnect").disabled = state === "disconnected";
  byId("filters").disabled = state !== "disconnected";
}

function showGap(warning) {
  byId("gap-text").textContent = sequence.gaps === 1 ? warning : `${warning} (${sequence.gaps} breaks so far)`;
  byId("gap-warning").hidden = false;
}

function showSequence() {
  const box = byId("sequence");
  box.dataset.state = filtered ? "off" : sequence.gaps > 0 ? "broken" : "whole";
  box.textContent = filtered
    ? "Sequence not checked: the stream is filtered"
    : sequence.gaps > 0 ? `Sequence broken ${sequence.gaps}×` : `No gap in ${sequence.checked} events`;
}

// ---- what a person can do ----

function connect() {
  try {
    const url = new URL(streamAddress(null), location.origin);
    filtered = FILTERS.some((name) => url.searchParams.has(name));
    sequence.restart();
    showSequence();
    feed.open(byId("since").value.trim() || null);
  } catch (error) {
    toastProblem({ title: "Cannot connect", detail: error.message });
  }
}

function clear() {
  log.clear();
  sequence.checked = 0;
  sequence.gaps = 0;
  byId("gap-warning").hidden = true;
  showSequence();
}

async function trigger() {
  const button = byId("trigger");
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
  if (state === "disconnected") connect();
});
byId("disconnect").addEventListener("click", () => feed.close());
byId("clear").addEventListener("click", clear);
byId("trigger").addEventListener("click", trigger);

connect();
