// The live board: lists once, then follows the stream from the cursor of that list.
// This file wires the parts together; state is in board-store.js, the DOM in board-view.js.

import * as api from "/assets/api.js";
import { BoardStore } from "/assets/board-store.js";
import { BoardView } from "/assets/board-view.js";
import { byId } from "/assets/dom.js";
import { EventFeed } from "/assets/stream.js";
import { TaskDialog } from "/assets/task-dialog.js";
import { TaskDrawer } from "/assets/task-drawer.js";
import { toast, toastProblem } from "/assets/toast.js";

const TASKS_MAX = 5000;
const RELOAD_MS = 3000;
const DETAILS_AT_ONCE = 3;
const DETAILS_WAITING_MAX = 200; // beyond this the oldest wait until their drawer opens
const HIDDEN_MS = 60_000; // browsers allow six connections a host: a forgotten tab gives its one back

const STATE_LABELS = { connecting: "Connecting", waiting: "Waiting: five other tabs are live", connected: "Live", reconnecting: "Reconnecting", disconnected: "Paused" };

let loads = 0;
let loaded = false;
const store = new BoardStore((ids, single) => {
  view.invalidate(ids, single && loaded);
  for (const id of ids) if (id === drawer.taskId) drawer.refresh();
});

// ---- what a person can do ----

/** Runs one request; a problem becomes a toast and the answer undefined. */
async function attempt(request) {
  try {
    return await request();
  } catch (error) {
    toastProblem(error);
    return undefined;
  }
}

async function move(id, status) {
  const task = store.tasks.get(id);
  if (!task || task.status === status) return;
  const undo = store.moveForNow(id, status);
  const answer = await attempt(() => api.updateStatus(id, { new_status: status }));
  if (answer) store.putTask(answer);
  else undo();
}

async function changeTask(id, fields) {
  const answer = await attempt(() => api.updateTask(id, fields));
  if (answer) store.putTask(answer);
  else drawer.refresh(); // puts the control back
}

async function execute(request, id) {
  const execution = await attempt(() => request(id));
  if (execution) store.putExecution(execution);
}

async function remove(id) {
  const done = await attempt(async () => {
    await api.deleteTask(id);
    return true;
  });
  if (done) store.removeTask(id);
}

async function openTask(id) {
  drawer.open(id);
  history.replaceState(null, "", `#${id}`);
  const task = await attempt(() => api.getTask(id));
  if (task) store.refreshTask(task);
  if (!store.executions.has(id)) await loadExecutions({ task_id: id, limit: 1 });
}

const actions = {
  move,
  run: (id) => execute(api.startExecution, id),
  stop: (id) => execute(api.stopExecution, id),
  open: openTask,
  edit: (id) => dialog.edit(store.tasks.get(id)),
  remove,
  setPriority: (id, priority) => changeTask(id, { priority }),
  needDetails,
  onClose: () => history.replaceState(null, "", location.pathname),
};
const view = new BoardView(store, actions);
const drawer = new TaskDrawer(store, actions);
const dialog = new TaskDialog((task, created) => {
  store.putTask(task);
  if (!created) return;
  toast("info", task.title, "Task created");
});

// ---- details that events do not carry ----

const waiting = new Set();
let fetching = 0;

function needDetails(id) {
  waiting.delete(id);
  waiting.add(id);
  if (waiting.size > DETAILS_WAITING_MAX) waiting.delete(waiting.values().next().value);
  fetchDetails();
}

async function fetchDetails() {
  if (fetching >= DETAILS_AT_ONCE || waiting.size === 0) return;
  const id = waiting.values().next().value;
  waiting.delete(id);
  if (!store.tasks.get(id)?.partial) return fetchDetails();
  fetching += 1;
  try {
    store.refreshTask(await api.getTask(id));
  } catch {
    // Deleted meanwhile, or the hub is away: the stream will tell.
  }
  fetching -= 1;
  fetchDetails();
}

// ---- list, then stream ----

const feed = new EventFeed({
  address: (cursor) => `/api/events/stream${cursor ? `?since=${encodeURIComponent(cursor)}` : ""}`,
  onState: showConnection,
  onMessage(message) {
    if (message.event === "reset") {
      load();
      drawer.history.reload();
    } else if (message.event === "announcement") {
      announce(message.data);
    } else {
      store.apply(message);
      drawer.history.apply(message);
    }
  },
});

function showConnection(state) {
  const pill = byId("connection");
  pill.dataset.state = state;
  pill.textContent = STATE_LABELS[state];
}

function announce({ level, message }) {
  toast({ warning: "warning", critical: "error" }[level] ?? "info", message, "Announcement");
}

async function loadExecutions(query) {
  const executions = await attempt(() => api.listExecutions(query));
  for (const execution of executions ?? []) store.putExecution(execution);
}

async function load() {
  const turn = ++loads;
  try {
    const { tasks, cursor, truncated } = await api.listTasks(TASKS_MAX);
    if (turn !== loads) return; // a newer load is under way
    store.replaceTasks(tasks);
    if (truncated) toast("warning", `The board shows the newest ${tasks.length} tasks; there are more.`);
    feed.open(cursor);
    view.ready();
    await loadExecutions({ limit: 500 });
    if (!loaded) openFromAddress();
    loaded = true;
  } catch (error) {
    if (turn !== loads) return;
    if (turn === 1) toastProblem(error);
    showConnection("reconnecting");
    setTimeout(() => turn === loads && load(), RELOAD_MS);
  }
}

function openFromAddress() {
  const id = location.hash.slice(1);
  if (store.tasks.has(id)) openTask(id);
}

// ---- the page ----

byId("new-task").addEventListener("click", () => dialog.create());
byId("search").addEventListener("input", (event) => view.search(event.target.value));
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches?.("input, textarea, select") || document.querySelector("dialog[open]")) return;
  if (event.key === "n") dialog.create();
  else if (event.key === "/") byId("search").focus();
  else if (event.key === "Escape") drawer.close();
  else return;
  event.preventDefault();
});

let hiddenTimer = 0;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiddenTimer);
  if (document.hidden) hiddenTimer = setTimeout(() => feed.isOpen && feed.close(), HIDDEN_MS);
  else if (loaded && !feed.isOpen) feed.open(feed.cursor);
});

load();
