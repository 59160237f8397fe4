// The live board: lists once, then follows the stream from the cursor of that list. This file wires the parts together;
// state is in board-store.ts, the columns in board-view.ts.

import { onAccessChange, whoAmI } from "../shared/access.ts";
import { showAccount } from "../shared/account.ts";
import * as api from "../shared/api.ts";
import type { Execution, Priority, Status } from "../shared/api-types.ts";
import { token } from "../shared/access.ts";
import { Connection } from "../shared/connection/connection.ts";
import { byId, setText } from "../shared/dom.ts";
import { guardPage, refusal } from "../shared/gate.ts";
import { marked } from "../shared/marks.ts";
import { Problem } from "../shared/problem.ts";
import { Strip } from "../shared/strip.ts";
import { toast, toastProblem } from "../shared/toast.ts";
import { Address, taskPath, type Place } from "./address.ts";
import { Announcements } from "./announcements.ts";
import { BoardStore, STATUSES } from "./board-store.ts";
import { BoardView } from "./board-view.ts";
import { Details } from "./details.ts";
import { FirstMinute } from "./first-minute.ts";
import { HubView } from "./hub-view.ts";
import { Keys, type Key } from "./keys.ts";
import { ListView } from "./list-view.ts";
import { Palette } from "./palette.ts";
import { RunsView } from "./runs-view.ts";
import { TaskDialog } from "./task-dialog.ts";
import { TaskDrawer } from "./task-drawer.ts";
import { Deletions } from "./undo.ts";

const TASKS_MAX = 50_000;
const RELOAD_MS = 3000;
const TITLES = { board: "TaskHub board", list: "List · TaskHub", runs: "Runs · TaskHub", hub: "Hub · TaskHub", task: "TaskHub" };

let loads = 0;
/** A first page of tasks is there. */
let usable = false;
/** All tasks are there. */
let loaded = false;
const store = new BoardStore((ids, single) => {
  view.invalidate(ids, single && loaded);
  list.invalidate();
  runs.invalidate();
  firstMinute.show(loaded && store.tasks.size === 0);
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

async function setPriority(id: string, priority: Priority | null): Promise<void> {
  const answer = await attempt(() => api.updateTask(id, { priority }));
  if (answer) store.putTask(answer);
  else drawer.refresh(); // puts the control back
}

async function execute(request: (id: string) => Promise<Execution>, id: string): Promise<void> {
  const execution = await attempt(() => request(id));
  if (execution) store.putExecution(execution);
}

function remove(id: string): void {
  if (drawer.taskId === id) address.close();
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
  needTask: (id: string) => void needTask(id),
  nameLine: (run: Execution, line: number) => address.nameLine(store.tasks.get(run.task_id)?.key ?? run.task_id, run.number, line),
};

/** Tasks that an execution names and that no list had. Each is asked for once. */
const askedFor = new Set<string>();
async function needTask(id: string): Promise<void> {
  if (!loaded || askedFor.has(id) || askedFor.size > 500) return;
  askedFor.add(id);
  try {
    store.putTask(await api.getTask(id));
  } catch {
    // It was deleted: the list says so.
  }
}

const connection = new Connection({
  onState: (state) => strip.show(state),
  onResync: () => void load(),
  onMessage(envelope) {
    if (envelope.event === "announcement") announcements.apply(envelope);
    else {
      if (envelope.event === "task_deleted" && envelope.data["task_id"] === drawer.taskId) drawer.apply(envelope);
      store.apply(envelope);
      runs.apply(envelope);
      if (envelope.event !== "task_deleted") drawer.apply(envelope);
    }
  },
});
const details = new Details(store);
const deletions = new Deletions(store);
const view = new BoardView(store, actions);
const list = new ListView(store, actions);
const runs = new RunsView(store, actions);
const hub = new HubView(store);
const drawer = new TaskDrawer(store, connection, actions);
const announcements = new Announcements();
const dialog = new TaskDialog((task, created) => {
  store.putTask(task);
  if (created) toast("info", task.title, { title: "Task created" });
});
const strip = new Strip({ retry: () => connection.retryNow(), restart: () => void load() });

// ---- the address says which view is shown, and which task is open ----

const address = new Address((place) => showPlace(place));

function showPlace(place: Place): void {
  document.body.dataset["view"] = place.view;
  for (const link of document.querySelectorAll<HTMLElement>(".nav a[data-view]")) {
    if (link.dataset["view"] === place.view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  list.show(place.view === "list");
  runs.show(place.view === "runs");
  hub.show(place.view === "hub");
  drawer.asPage(place.view === "task");
  if (place.view === "board") view.invalidate();
  showTitle();
  void showTask(place);
}

async function showTask({ task: name, run, line }: Place): Promise<void> {
  const open = (id: string) => {
    openDrawer(id);
    if (run !== null) drawer.showRun(run, line);
  };
  const known = name === "" ? undefined : store.find(name);
  if (name === "" || (!known && !usable)) return closeDrawer();
  if (known) return open(known.id);
  closeDrawer();
  try {
    // Not among those that are listed, but it may be there.
    const task = await api.getTask(name);
    if (address.current.task !== name) return;
    store.putTask(task);
    open(task.id);
  } catch (error) {
    if (address.current.task !== name) return;
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
  const title = task ? `${task.key} ${marked(task.title)} · TaskHub` : TITLES[address.current.view];
  if (document.title !== title) document.title = title;
}

// ---- list, then stream ----

async function load(): Promise<void> {
  const turn = ++loads;
  try {
    if (!whoAmI()) await api.learnIdentity();
    const reading = store.beginList();
    let count = 0;
    let isWhole = false;
    for await (const { tasks, cursor, isLast } of api.taskPages()) {
      if (turn !== loads) return; // a newer load is under way
      reading.page(tasks);
      if (count === 0) void begin(cursor);
      count += tasks.length;
      showLoading(isLast ? 0 : count);
      isWhole = isLast;
      if (isLast || count >= TASKS_MAX) break;
    }
    if (isWhole) reading.end();
    showLoading(0);
    if (!isWhole) toast("warning", `The board shows the newest ${count.toLocaleString("en")} tasks; there are more.`);
    if (loaded && drawer.taskId) drawer.reload();
    loaded = true;
    firstMinute.show(store.tasks.size === 0);
  } catch (error) {
    if (turn !== loads) return;
    if (error instanceof Problem && error.status === 401) return; // nobody is signed in
    if (turn === 1) toastProblem(error);
    strip.showUnreachable();
    setTimeout(() => turn === loads && void load(), RELOAD_MS);
  }
}

/** The first page is there: it can be used at once, while the others are read. */
async function begin(cursor: string): Promise<void> {
  connection.follow(cursor, token());
  view.ready();
  if (!usable) void announcements.load();
  usable = true;
  if (!drawer.taskId) showPlace(address.current);
  const executions = await attempt(() => api.listExecutions({ limit: 500 }));
  for (const execution of (executions ?? []).reverse()) store.putExecution(execution);
  void runs.reload();
}

/** How many tasks were read of a list that is longer; 0: all. */
function showLoading(count: number): void {
  byId("loading").hidden = count === 0;
  setText(byId("loading"), `${count.toLocaleString("en")} tasks read, more to come`);
}

// ---- the page ----

const firstMinute = new FirstMinute({ create: () => dialog.create(), run: actions.run, putTask: (task) => store.putTask(task) });

/** The task that a key is about: the open one, or the one with the focus. */
const current = (): string | null => drawer.taskId ?? view.focused ?? list.focused;
const onCurrent = (act: (id: string) => void) => () => {
  const id = current();
  if (id) act(id);
};
const allowed = (need: "write" | "exec", act: () => void) => () => {
  const reason = refusal(need);
  if (reason) toast("warning", reason);
  else act();
};
const walk = (step: number, key: string) => () => (address.current.view === "list" ? list.walk(step) : view.walk(key));
const go = (path: string) => () => address.go(path);

const keyTable: Key[] = [
  { group: "Everywhere", keys: ["Ctrl K"], words: "Find a task or an action", act: () => palette.show() },
  { group: "Everywhere", keys: ["?"], words: "Show these keys", act: () => keys.help() },
  { group: "Everywhere", keys: ["c", "n"], words: "New task", act: () => dialog.create() },
  { group: "Everywhere", keys: ["/"], words: "Search", act: () => focusSearch() },
  { group: "Everywhere", keys: ["Escape"], words: "Close the panel", act: () => address.current.view !== "task" && address.close() },
  { group: "Go to", keys: ["g b"], words: "Board", act: go("/") },
  { group: "Go to", keys: ["g l"], words: "List", act: go("/list") },
  { group: "Go to", keys: ["g r"], words: "Runs", act: go("/runs") },
  { group: "Go to", keys: ["g h"], words: "Hub", act: go("/hub") },
  { group: "Go to", keys: ["g e"], words: "Events", act: () => location.assign("/test_sse.html") },
  { group: "Move", keys: ["j"], words: "Next task", act: walk(1, "ArrowDown") },
  { group: "Move", keys: ["k"], words: "Previous task", act: walk(-1, "ArrowUp") },
  { group: "Move", keys: ["h"], words: "Column to the left", act: walk(0, "ArrowLeft") },
  { group: "Move", keys: ["l"], words: "Column to the right", act: walk(0, "ArrowRight") },
  { group: "Move", keys: ["x"], words: "Select in the list", act: () => list.focused && list.toggle(list.focused) },
  ...STATUSES.map(({ id, label }, at): Key => ({
    group: "The task", keys: [String(at + 1)], words: label, act: allowed("write", onCurrent((task) => void move(task, id))),
  })),
  { group: "The task", keys: ["o"], words: "Open as a page", act: onCurrent((id) => address.go(taskPath(store.tasks.get(id)?.key ?? id))) },
  { group: "The task", keys: ["e"], words: "Edit", act: onCurrent(actions.edit) },
  { group: "The task", keys: ["r"], words: "Run, or stop", act: allowed("exec", onCurrent((id) => void (store.isRunning(id) ? actions.stop(id) : actions.run(id)))) },
];
const keys = new Keys(keyTable);
const palette = new Palette(store, () => [
  { words: "New task", keys: "c", act: () => dialog.create() },
  { words: "Go to the board", keys: "g b", act: go("/") },
  { words: "Go to the list", keys: "g l", act: go("/list") },
  { words: "Go to the runs", keys: "g r", act: go("/runs") },
  { words: "Go to the hub", keys: "g h", act: go("/hub") },
  { words: "Change the theme", act: () => byId("theme").click() },
  { words: "Announcements", act: () => byId("announcements").click() },
  { words: "Show the keys", keys: "?", act: () => keys.help() },
  { words: "API documentation", act: () => location.assign("/docs") },
], (id) => actions.open(id));

function focusSearch(): void {
  if (address.current.view === "task") drawer.runs.log.focusSearch();
  else byId("search").focus();
}

byId("new-task").addEventListener("click", () => dialog.create());
byId("search").addEventListener("input", (event) => {
  const { value } = event.target as HTMLInputElement;
  view.search(value);
  list.search(value);
  runs.search(value);
});

// The panel begins below the bar, the strip and the banners.
new ResizeObserver(() => document.body.style.setProperty("--head-height", `${byId("page-head").offsetHeight}px`)).observe(byId("page-head"));

guardPage();
showAccount();
onAccessChange(() => view.redraw());
showPlace(address.current);
void load();
