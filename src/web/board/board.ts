// The live board: lists once, then follows the stream from the cursor of that list. This file wires the parts together;
// state is in board-store.ts, the columns in board-view.ts.

import { onAccessChange, whoAmI } from "../shared/access.ts";
import { showAccount } from "../shared/account.ts";
import * as api from "../shared/api.ts";
import type { Execution, Status } from "../shared/api-types.ts";
import { token } from "../shared/access.ts";
import { Connection } from "../shared/connection/connection.ts";
import { byId } from "../shared/dom.ts";
import { guardPage } from "../shared/gate.ts";
import { marked } from "../shared/marks.ts";
import { Problem } from "../shared/problem.ts";
import { Strip } from "../shared/strip.ts";
import { toast, toastProblem } from "../shared/toast.ts";
import { Address } from "./address.ts";
import { Announcements } from "./announcements.ts";
import { BoardStore } from "./board-store.ts";
import { BoardView } from "./board-view.ts";
import { Details } from "./details.ts";
import { TaskDialog } from "./task-dialog.ts";
import { TaskDrawer } from "./task-drawer.ts";
import { Deletions } from "./undo.ts";

const TASKS_MAX = 5000;
const RELOAD_MS = 3000;
const PAGE_TITLE = document.title;

let loads = 0;
let loaded = false;
const store = new BoardStore((ids, single) => {
  view.invalidate(ids, single && loaded);
  for (const id of ids) if (id === drawer.taskId) drawer.refresh();
  showTitle();
});

// ---- what a person can do ----

/** Runs one request; a problem becomes a toast and the answer undefined. */
async function attempt<T>(request: () => Promise<T>): Promise<T | undefined> {
  try {
    return await request();
  } catch (error) {
    toastProblem(error);
    return undefined;
  }
}

async function move(id: string, status: Status): Promise<void> {
  const task = store.tasks.get(id);
  if (!task || store.statusOf(task) === status) return;
  const settle = store.moveForNow(id, status);
  const answer = await attempt(() => api.updateStatus(id, { new_status: status }));
  if (answer) store.putTask(answer);
  settle();
}

async function setPriority(id: string, priority: "high" | "medium" | "low" | null): Promise<void> {
  const answer = await attempt(() => api.updateTask(id, { priority }));
  if (answer) store.putTask(answer);
  else drawer.refresh(); // puts the control back
}

async function execute(request: (id: string) => Promise<Execution>, id: string): Promise<void> {
  const execution = await attempt(() => request(id));
  if (execution) store.putExecution(execution);
}

function remove(id: string): void {
  address.close();
  deletions.begin(id);
}

const actions = {
  move, setPriority, remove,
  run: (id: string) => execute(api.startExecution, id),
  stop: (id: string) => execute(api.stopExecution, id),
  open: (id: string) => address.open(store.tasks.get(id)?.key ?? id),
  edit: (id: string) => {
    const task = store.tasks.get(id);
    if (task) void dialog.edit(task);
  },
  close: () => address.close(),
  needDetails: (id: string) => details.need(id),
};

const connection = new Connection({
  onState: (state) => strip.show(state),
  onResync: () => void load(),
  onMessage(envelope) {
    if (envelope.event === "announcement") announcements.apply(envelope);
    else {
      if (envelope.event === "task_deleted" && envelope.data["task_id"] === drawer.taskId) drawer.apply(envelope);
      store.apply(envelope);
      if (envelope.event !== "task_deleted") drawer.apply(envelope);
    }
  },
});
const details = new Details(store);
const deletions = new Deletions(store);
const view = new BoardView(store, actions);
const drawer = new TaskDrawer(store, connection, actions);
const announcements = new Announcements();
const dialog = new TaskDialog((task, created) => {
  store.putTask(task);
  if (created) toast("info", task.title, { title: "Task created" });
});
const strip = new Strip({ retry: () => connection.retryNow(), restart: () => void load() });

// ---- the address says which task is open ----

const address = new Address((name) => void showTask(name));

async function showTask(name: string): Promise<void> {
  const known = name === "" ? undefined : store.find(name);
  if (name === "" || (!known && !loaded)) return closeDrawer();
  if (known) return openDrawer(known.id);
  closeDrawer();
  try {
    // Not among those that are listed, but it may be there.
    const task = await api.getTask(name);
    if (address.current !== name) return;
    store.putTask(task);
    openDrawer(task.id);
  } catch (error) {
    if (address.current !== name) return;
    const isUnknown = error instanceof Problem && (error.status === 404 || error.status === 400);
    if (isUnknown) toast("warning", `There is no task “${marked(name)}”. It may have been deleted.`, { title: "Unknown task" });
    else toastProblem(error);
  }
}

function openDrawer(id: string): void {
  drawer.open(id);
  showTitle();
  if (store.tasks.get(id)?.partial) details.need(id);
}

function closeDrawer(): void {
  const id = drawer.taskId;
  drawer.close();
  showTitle();
  if (id) view.focus(id);
}

/** The title of the page names the task that is open. */
function showTitle(): void {
  const task = drawer.taskId ? store.tasks.get(drawer.taskId) : undefined;
  const title = task ? `${task.key} ${marked(task.title)} · TaskHub` : PAGE_TITLE;
  if (document.title !== title) document.title = title;
}

// ---- list, then stream ----

async function load(): Promise<void> {
  const turn = ++loads;
  try {
    if (!whoAmI()) await api.learnIdentity();
    const { tasks, cursor, truncated } = await api.listTasks(TASKS_MAX);
    if (turn !== loads) return; // a newer load is under way
    store.replaceTasks(tasks);
    if (truncated) toast("warning", `The board shows the newest ${tasks.length} tasks; there are more.`);
    connection.follow(cursor, token());
    view.ready();
    const executions = await attempt(() => api.listExecutions({ limit: 500 }));
    for (const execution of (executions ?? []).reverse()) store.putExecution(execution);
    if (loaded) drawer.reload();
    else void announcements.load();
    loaded = true;
    if (!drawer.taskId) void showTask(address.current);
  } catch (error) {
    if (turn !== loads) return;
    if (error instanceof Problem && error.status === 401) return; // nobody is signed in
    if (turn === 1) toastProblem(error);
    strip.showUnreachable();
    setTimeout(() => turn === loads && void load(), RELOAD_MS);
  }
}

// ---- the page ----

byId("new-task").addEventListener("click", () => dialog.create());
byId("search").addEventListener("input", (event) => view.search((event.target as HTMLInputElement).value));
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.target as HTMLElement;
  if (target.matches?.("input, textarea, select") || document.querySelector("dialog[open]")) return;
  if (event.key === "n") dialog.create();
  else if (event.key === "/") byId("search").focus();
  else if (event.key === "Escape") address.close();
  else return;
  event.preventDefault();
});

// The panel begins below the bar, the strip and the banners.
new ResizeObserver(() => document.body.style.setProperty("--head-height", `${byId("page-head").offsetHeight}px`)).observe(byId("page-head"));

guardPage();
showAccount();
onAccessChange(() => view.redraw());
void load();
