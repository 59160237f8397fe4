// All executions of the hub, newest first: which wait and for how many, which run and for how long, and how the others
// ended. Older ones are read as somebody scrolls down.

import { executionPage, listExecutions } from "../shared/api.ts";
import type { Envelope, Execution, ExecutionEventData, ExecutionStatus } from "../shared/api-types.ts";
import { byId, el, setText } from "../shared/dom.ts";
import { marked } from "../shared/marks.ts";
import { ago, duration, since } from "../shared/times.ts";
import { toastProblem } from "../shared/toast.ts";
import { taskPath } from "./address.ts";
import { executionPill, isRunnable, runButton } from "./board-card.ts";
import type { BoardStore } from "./board-store.ts";
import { folded, isLive, stepOf } from "./executions.ts";
import { RowList } from "./row-list.ts";

const ROW_PX = 45;
const TICK_MS = 1000;
const RANKS: Record<string, number> = { high: 0, medium: 1, low: 2 };

/** What can be chosen, and the statuses that it means. */
const FILTERS: readonly { label: string; statuses: readonly ExecutionStatus[] }[] = [
  { label: "All", statuses: [] },
  { label: "Queued", statuses: ["queued"] },
  { label: "Running", statuses: ["running"] },
  { label: "Failed", statuses: ["failed", "timed_out", "lost"] },
  { label: "Stopped", statuses: ["stopped"] },
  { label: "Completed", statuses: ["completed"] },
];

export interface RunsActions {
  run(id: string): Promise<void>;
  stop(id: string): Promise<void>;
  open(id: string): void;
  /** The title of a task that is not on the board. */
  needTask(id: string): void;
}

export class RunsView {
  #isShown = false;
  #filter = 0;
  #query = "";
  #turn = 0;
  #next: string | null = null;
  #isReading = false;
  readonly #runs = new Map<string, Execution>();
  /** The queue, oldest first: which executions wait before another. */
  readonly #queue = new Map<string, number>();
  #shown: Execution[] = [];
  #longest = 1;
  #frame = 0;
  readonly #rows: RowList;
  readonly #drawn = new WeakMap<HTMLElement, string>();

  constructor(readonly store: BoardStore, readonly actions: RunsActions) {
    this.#rows = new RowList(byId("runs-rows"), ROW_PX, {
      count: () => this.#shown.length,
      keyOf: (index) => this.#shown[index]?.id ?? "",
      create: (id) => this.#createRow(id),
      refresh: (node, index) => this.#refreshRow(node, this.#shown[index] as Execution),
    });
    byId("runs-filters").replaceChildren(...FILTERS.map(({ label }, index) => {
      const chip = el("button", { class: "chip", type: "button", "aria-pressed": String(index === 0) }, label, el("span", { class: "count" }));
      chip.addEventListener("click", () => this.#choose(index));
      return chip;
    }));
    byId("runs-rows").addEventListener("scroll", () => this.#readMore(), { passive: true });
    setInterval(() => this.#isShown && this.invalidate(), TICK_MS);
  }

  show(isShown: boolean): void {
    const wasShown = this.#isShown;
    this.#isShown = isShown;
    byId("runs-view").hidden = !isShown;
    if (isShown && !wasShown) void this.reload();
  }

  search(query: string): void {
    this.#query = query.toLowerCase();
    this.invalidate();
  }

  async reload(): Promise<void> {
    if (!this.#isShown) return;
    const turn = ++this.#turn;
    const { statuses } = FILTERS[this.#filter] as (typeof FILTERS)[number];
    this.#runs.clear();
    await this.#read(`/api/executions?limit=100${statuses.length > 0 ? `&status=${statuses.join(",")}` : ""}`, turn);
    if (turn === this.#turn && this.#filter === 0) await this.#readLive(turn);
  }

  /** The ones that are queued or running may be older than the first page. */
  async #readLive(turn: number): Promise<void> {
    try {
      for (const run of await listExecutions({ status: "queued,running", limit: 500 })) if (turn === this.#turn) this.#put(run);
    } catch (error) {
      toastProblem(error);
    }
    this.invalidate();
  }

  apply({ event, data, timestamp }: Envelope): void {
    if (!this.#isShown || event !== "execution_event") return;
    const step = stepOf(data as unknown as ExecutionEventData, timestamp);
    const next = folded(this.#runs.get(step.id), step);
    // Of one that no page had, only its beginning tells enough.
    if (next?.created_at) this.#runs.set(next.id, next);
    this.invalidate();
  }

  invalidate(): void {
    if (this.#isShown) this.#frame ||= requestAnimationFrame(() => this.#render());
  }

  #put(run: Execution): void {
    const next = folded(this.#runs.get(run.id), run);
    if (next) this.#runs.set(run.id, next);
  }

  async #read(address: string, turn: number): Promise<void> {
    this.#isReading = true;
    try {
      const { executions, next } = await executionPage(address);
      if (turn !== this.#turn) return;
      for (const run of executions) this.#put(run);
      this.#next = next;
    } catch (error) {
      if (turn === this.#turn) toastProblem(error);
    } finally {
      this.#isReading = false;
      this.invalidate();
    }
  }

  #readMore(): void {
    const { scrollHeight, scrollTop, clientHeight } = byId("runs-rows");
    if (this.#next && !this.#isReading && scrollHeight - scrollTop - clientHeight < ROW_PX * 20) void this.#read(this.#next, this.#turn);
  }

  #choose(index: number): void {
    this.#filter = index;
    for (const [at, chip] of [...byId("runs-filters").children].entries()) chip.setAttribute("aria-pressed", String(at === index));
    byId("runs-rows").scrollTop = 0;
    void this.reload();
  }

  #render(): void {
    this.#frame = 0;
    if (!this.#isShown) return;
    const { statuses } = FILTERS[this.#filter] as (typeof FILTERS)[number];
    const isWanted = (run: Execution) => (statuses.length === 0 || statuses.includes(run.status)) && this.#matches(run);
    this.#shown = [...this.#runs.values()].filter(isWanted).sort((a, b) => b.number - a.number);
    this.#longest = Math.max(1000, ...this.#shown.map((run) => lengthMs(run) ?? 0));
    this.#queue.clear();
    // The hub starts them by the priority of their task, and then by age.
    const rank = ({ task_id: task }: Execution) => RANKS[this.store.tasks.get(task)?.priority ?? ""] ?? 3;
    const queued = [...this.#runs.values()].filter(({ status, not_before: start }) => status === "queued" && !(Date.parse(start ?? "") > Date.now()))
      .sort((a, b) => rank(a) - rank(b) || a.number - b.number);
    for (const [before, { id }] of queued.entries()) this.#queue.set(id, before);
    byId("runs-empty").hidden = this.#shown.length > 0 || this.#isReading;
    this.#drawCounts();
    this.#rows.render();
  }

  /** Of what is queued and running all are known; the others would have to be counted page by page. */
  #drawCounts(): void {
    for (const [index, { statuses }] of FILTERS.entries()) {
      const count = byId("runs-filters").children[index]?.querySelector<HTMLElement>(".count");
      const isLiveFilter = statuses.length === 1 && (statuses[0] === "queued" || statuses[0] === "running");
      const isKnown = this.#filter === 0 || this.#filter === index;
      const number = [...this.#runs.values()].filter(({ status }) => statuses.includes(status)).length;
      if (count) setText(count, isLiveFilter && isKnown && number > 0 ? String(number) : "");
    }
  }

  #matches(run: Execution): boolean {
    if (!this.#query) return true;
    const task = this.store.tasks.get(run.task_id);
    return [task?.title, task?.key, run.session_name, run.reason].join("\n").toLowerCase().includes(this.#query);
  }

  #createRow(id: string): HTMLElement {
    const title = el("a", { class: "row-title" });
    title.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      const run = this.#runs.get(id);
      if (!run || !this.store.tasks.has(run.task_id)) return;
      event.preventDefault();
      this.actions.open(run.task_id);
    });
    const cell = (name: string, ...children: Node[]) => el("div", { role: "cell", class: `cell-${name}` }, ...children);
    return el("div", { role: "row", class: "row", data: { id } },
      cell("state"), cell("run-title", title, el("span", { class: "run-facts muted" })),
      cell("bar", el("span", { class: "bar", "aria-hidden": "true" }, el("i", {})), el("span", { class: "bar-words" })),
      cell("when"), cell("actions"));
  }

  #refreshRow(node: HTMLElement, run: Execution): void {
    const task = this.store.tasks.get(run.task_id);
    if (!task) this.actions.needTask(run.task_id);
    const cell = (name: string) => node.querySelector<HTMLElement>(`.cell-${name}`) as HTMLElement;
    const before = this.#queue.get(run.id);
    const ms = lengthMs(run);
    const words = run.status === "queued" ? waitWords(before ?? 0, run) : ms === null ? "" : isLive(run) ? since(Date.now() - ms) : duration(ms);
    setText(node.querySelector(".bar-words") as HTMLElement, words);
    (node.querySelector(".bar i") as HTMLElement).style.setProperty("width", `${ms === null ? 0 : Math.max(1, (ms / this.#longest) * 100)}%`);
    cell("when").replaceChildren(el("time", { dateTime: run.created_at, title: new Date(run.created_at).toLocaleString(), text: ago(run.created_at) }));
    const shown = JSON.stringify([run, task?.title, task?.key]);
    if (this.#drawn.get(node) === shown) return; // keeps the focused button
    this.#drawn.set(node, shown);
    node.dataset["state"] = run.status;
    cell("state").replaceChildren(executionPill(run, false));
    const title = node.querySelector("a") as HTMLAnchorElement;
    title.href = `${taskPath(task?.key ?? run.task_id)}?run=${run.number}`;
    setText(title, task ? marked(task.title) : "A task that was deleted");
    setText(node.querySelector(".run-facts") as HTMLElement, factsOf(run, task?.key));
    const kind = isLive(run) ? "stop" : task && isRunnable(task) ? "run" : null;
    cell("actions").replaceChildren(...(kind ? [runButton(kind, () => this.actions[kind](run.task_id), "button small plain", kind === "run" ? "Run again" : "Stop")] : []));
  }
}

function factsOf(run: Execution, key: string | undefined): string {
  const facts = [key, run.session_name];
  if (run.attempts_max > 1) facts.push(`attempt ${run.attempt}/${run.attempts_max}`);
  if (run.exit_code) facts.push(`exit code ${run.exit_code}`);
  if (run.reason && !facts.includes(run.reason)) facts.push(run.reason);
  return facts.filter(Boolean).join(" · ");
}

function waitWords(before: number, run: Execution): string {
  const start = Date.parse(run.not_before ?? "");
  if (start > Date.now()) return `retried in ${duration(Math.ceil((start - Date.now()) / 1000) * 1000)}`;
  return before === 0 ? "next, waiting for a slot" : `waiting for a slot, ${before} before it`;
}

/** How long it has run. */
function lengthMs(run: Execution): number | null {
  const start = Date.parse(run.started_at ?? "");
  if (!Number.isFinite(start)) return null;
  const end = Date.parse(run.ended_at ?? "");
  return Math.max(0, (Number.isFinite(end) ? end : Date.now()) - start);
}
