// All tasks as a table: sorted by any column, and many of them changed at once.

import { changeTasks } from "../shared/api.ts";
import type { BatchOperation, Priority, Status, Task } from "../shared/api-types.ts";
import { byId, el, setText } from "../shared/dom.ts";
import { marked } from "../shared/marks.ts";
import { ago } from "../shared/times.ts";
import { toast, toastProblem } from "../shared/toast.ts";
import { taskPath } from "./address.ts";
import { assigneeBadge, executionPill, priorityBadge, tagChip } from "./board-card.ts";
import { STATUSES, type BoardStore, type BoardTask } from "./board-store.ts";
import { RowList } from "./row-list.ts";
import { Ordered, type Compare } from "./task-order.ts";

const ROW_PX = 37;
/** As many as one request may have. */
const BATCH_MAX = 1000;
const RANKS: Record<string, number> = { high: 0, medium: 1, low: 2 };
const STATUS_RANKS = new Map(STATUSES.map(({ id }, index) => [id, index]));
const STATUS_LABELS = new Map(STATUSES.map(({ id, label }) => [id, label]));

type Column = "key" | "title" | "status" | "priority" | "assignee" | "changed";

const number = (key: string) => Number(/\d+$/.exec(key)?.[0] ?? 0);
const byText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

const COMPARE: Record<Column, Compare<BoardTask>> = {
  key: (a, b) => byText(a.project, b.project) || number(a.key) - number(b.key),
  title: (a, b) => byText(a.title.toLowerCase(), b.title.toLowerCase()),
  status: (a, b) => (STATUS_RANKS.get(a.status) ?? 0) - (STATUS_RANKS.get(b.status) ?? 0),
  priority: (a, b) => (RANKS[a.priority ?? ""] ?? 3) - (RANKS[b.priority ?? ""] ?? 3),
  assignee: (a, b) => byText(a.assignee ?? "\uffff", b.assignee ?? "\uffff"),
  changed: (a, b) => byText(b.updated_at, a.updated_at),
};

export interface ListActions {
  open(id: string): void;
  needDetails(id: string): void;
}

export class ListView {
  #isShown = false;
  #column: Column = "changed";
  #isReversed = false;
  #query = "";
  #revision = -1;
  #order = new Ordered<BoardTask>(COMPARE.changed);
  readonly #selected = new Set<string>();
  /** The last one that was selected: with Shift, all from there on. */
  #lastSelected = -1;
  readonly #rows: RowList;
  readonly #shown = new WeakMap<HTMLElement, { task: BoardTask; isSelected: boolean; run: unknown }>();

  constructor(readonly store: BoardStore, readonly actions: ListActions) {
    this.#rows = new RowList(byId("list-rows"), ROW_PX, {
      count: () => this.#order.items.length,
      keyOf: (index) => this.#order.items[index]?.id ?? "",
      create: (id) => this.#createRow(id),
      refresh: (node, index) => this.#refreshRow(node, this.#order.items[index] as BoardTask),
    });
    for (const head of byId("list-head").querySelectorAll<HTMLButtonElement>("button[data-column]")) {
      head.addEventListener("click", () => this.#sortBy(head.dataset["column"] as Column));
    }
    byId<HTMLInputElement>("list-all").addEventListener("change", (event) => this.#selectAll((event.target as HTMLInputElement).checked));
    byId("bulk-clear").addEventListener("click", () => this.#selectAll(false));
    byId<HTMLSelectElement>("bulk-status").addEventListener("change", (event) => {
      const value = this.#take(event);
      if (value) void this.#change((id) => ({ action: "report", task_id: id, report: { new_status: value as Status } }));
    });
    byId<HTMLSelectElement>("bulk-priority").addEventListener("change", (event) => {
      const value = this.#take(event);
      if (value) void this.#change((id) => ({ action: "update", task_id: id, patch: { priority: value === "none" ? null : value as Priority } }));
    });
    byId("bulk-assign-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const field = byId<HTMLInputElement>("bulk-assignee");
      const assignee = field.value.trim() || null;
      field.value = "";
      void this.#change((id) => ({ action: "update", task_id: id, patch: { assignee } }));
    });
    byId("bulk-delete").addEventListener("click", () => this.#askDelete());
    byId("bulk-delete-yes").addEventListener("click", () => {
      byId<HTMLDialogElement>("bulk-delete-dialog").close();
      void this.#change((id) => ({ action: "delete", task_id: id }));
    });
    byId("bulk-delete-no").addEventListener("click", () => byId<HTMLDialogElement>("bulk-delete-dialog").close());
    byId("list-rows").addEventListener("keydown", (event) => this.#onKey(event));
  }

  show(isShown: boolean): void {
    this.#isShown = isShown;
    byId("list-view").hidden = !isShown;
    if (isShown) this.invalidate();
  }

  search(query: string): void {
    this.#query = query;
    this.#revision = -1;
    this.invalidate();
  }

  /** Something has changed. */
  invalidate(): void {
    if (!this.#isShown) return;
    requestAnimationFrame(() => this.#render());
  }

  /** The task whose row has the focus. */
  get focused(): string | null {
    return document.activeElement?.closest<HTMLElement>("#list-rows [role=row]")?.dataset["id"] ?? null;
  }

  /** Moves the focus by so many rows; from outside, to the first one. */
  walk(step: number): void {
    const id = this.focused;
    const at = id === null ? -1 : this.#order.items.findIndex((task) => task.id === id);
    const next = Math.max(0, Math.min(this.#order.items.length - 1, id === null ? 0 : at + step));
    if (this.#order.items.length > 0) this.#rows.focus(next);
  }

  toggle(id: string): void {
    if (!this.#selected.delete(id)) this.#selected.add(id);
    this.#drawSelection();
  }

  #render(): void {
    if (!this.#isShown) return;
    if (this.#revision !== this.store.revision) {
      this.#revision = this.store.revision;
      const compare = COMPARE[this.#column];
      const sign = this.#isReversed ? -1 : 1;
      this.#order = new Ordered<BoardTask>((a, b) => sign * compare(a, b) || byText(b.id, a.id), this.store.matching(this.#query));
      for (const id of this.#selected) if (!this.store.tasks.has(id)) this.#selected.delete(id);
    }
    byId("list-table").setAttribute("aria-rowcount", String(this.#order.items.length + 1));
    byId("list-empty").hidden = this.#order.items.length > 0;
    setText(byId("list-empty"), this.#query ? "No match" : "No tasks yet");
    setText(byId("list-count"), `${this.#order.items.length.toLocaleString("en")} ${this.#order.items.length === 1 ? "task" : "tasks"}`);
    this.#rows.render();
    this.#drawSelection();
  }

  #sortBy(column: Column): void {
    this.#isReversed = column === this.#column && !this.#isReversed;
    this.#column = column;
    for (const head of byId("list-head").querySelectorAll<HTMLElement>("[role=columnheader]")) {
      const isSorted = head.querySelector<HTMLElement>("button")?.dataset["column"] === column;
      if (isSorted) head.setAttribute("aria-sort", this.#isReversed ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    this.#revision = -1;
    this.invalidate();
  }

  #createRow(id: string): HTMLElement {
    const box = el("input", { type: "checkbox" });
    box.addEventListener("click", (event) => this.#select(id, box.checked, event.shiftKey));
    const title = el("a", { class: "row-title" });
    title.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab, please
      event.preventDefault();
      this.actions.open(id);
    });
    const cell = (name: string, ...children: Node[]) => el("div", { role: "cell", class: `cell-${name}` }, ...children);
    return el("div", { role: "row", class: "row", data: { id } },
      cell("check", el("label", {}, box)), cell("key mono"), cell("title", title, el("ul", { class: "tags" })),
      cell("status"), cell("priority"), cell("assignee"), cell("changed"));
  }

  #refreshRow(node: HTMLElement, task: BoardTask): void {
    const isSelected = this.#selected.has(task.id);
    const run = this.store.executions.get(task.id);
    const known = this.#shown.get(node);
    if (known?.task === task && known.isSelected === isSelected && known.run === run) return;
    this.#shown.set(node, { task, isSelected, run });
    if (task.partial) this.actions.needDetails(task.id);
    const cell = (name: string) => node.querySelector<HTMLElement>(`.cell-${name}`) as HTMLElement;
    const box = node.querySelector("input") as HTMLInputElement;
    box.checked = isSelected;
    box.setAttribute("aria-label", `Select ${marked(task.title)}`);
    node.setAttribute("aria-selected", String(isSelected));
    setText(cell("key"), task.key);
    const title = node.querySelector("a") as HTMLAnchorElement;
    title.href = taskPath(task.key);
    title.title = marked(task.title);
    setText(title, marked(task.title));
    node.querySelector("ul")?.replaceChildren(...task.tags.slice(0, 3).map(tagChip));
    cell("status").replaceChildren(statusWord(task.status), ...(run && run.status !== "completed" ? [executionPill(run)] : []));
    cell("priority").replaceChildren(...(task.priority ? [priorityBadge(task.priority), el("span", { "aria-hidden": "true", text: task.priority })] : []));
    cell("assignee").replaceChildren(...(task.assignee ? [assigneeBadge(task.assignee)] : []));
    cell("changed").replaceChildren(el("time", { dateTime: task.updated_at, title: new Date(task.updated_at).toLocaleString(), text: ago(task.updated_at) }));
  }

  #select(id: string, isSelected: boolean, isRange: boolean): void {
    const at = this.#order.items.findIndex((task) => task.id === id);
    const from = isRange && this.#lastSelected >= 0 ? this.#lastSelected : at;
    for (let index = Math.min(from, at); index <= Math.max(from, at); index += 1) {
      const one = this.#order.items[index]?.id;
      if (one && isSelected) this.#selected.add(one);
      else if (one) this.#selected.delete(one);
    }
    this.#lastSelected = at;
    this.#drawSelection();
  }

  #selectAll(isSelected: boolean): void {
    this.#selected.clear();
    if (isSelected) for (const { id } of this.#order.items) this.#selected.add(id);
    this.#drawSelection();
  }

  #drawSelection(): void {
    const { size } = this.#selected;
    byId("bulk").hidden = size === 0;
    setText(byId("bulk-count"), `${size.toLocaleString("en")} selected`);
    const all = byId<HTMLInputElement>("list-all");
    all.checked = size > 0 && size >= this.#order.items.length;
    all.indeterminate = size > 0 && !all.checked;
    this.#rows.render();
  }

  #take(event: Event): string {
    const select = event.target as HTMLSelectElement;
    const { value } = select;
    select.value = "";
    return value;
  }

  #askDelete(): void {
    setText(byId("bulk-delete-words"), `Delete ${this.#selected.size === 1 ? "this task" : `these ${this.#selected.size} tasks`} for good? This cannot be taken back.`);
    byId<HTMLDialogElement>("bulk-delete-dialog").showModal();
  }

  async #change(operation: (id: string) => BatchOperation): Promise<void> {
    const ids = [...this.#selected];
    let done = 0;
    const refused: string[] = [];
    try {
      for (let from = 0; from < ids.length; from += BATCH_MAX) {
        const part = ids.slice(from, from + BATCH_MAX);
        const { results } = await changeTasks(part.map(operation));
        for (const [at, { task, problem }] of results.entries()) {
          if (problem) refused.push(problem.detail);
          else done += 1;
          if (task) this.store.putTask(task as Task);
          else if (!problem) this.store.removeTask(part[at] as string);
        }
      }
      if (refused.length > 0) toast("warning", refused[0] as string, { title: `${refused.length} of ${ids.length} were refused` });
      else toast("info", `${done} ${done === 1 ? "task" : "tasks"} changed`);
    } catch (error) {
      toastProblem(error);
    }
    this.invalidate();
  }

  #onKey(event: KeyboardEvent): void {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    this.walk(event.key === "ArrowDown" ? 1 : -1);
  }
}

export const statusWord = (status: Status): HTMLElement =>
  el("span", { class: "status-word", data: { status } }, el("i", { class: "dot", "aria-hidden": "true" }), STATUS_LABELS.get(status) ?? status);
