// The panel on the right: everything about one task. The address says which task it shows; this only draws.

import type { Envelope, Priority, Status } from "../shared/api-types.ts";
import { copyText } from "../shared/clipboard.ts";
import type { Connection } from "../shared/connection/connection.ts";
import { byId, el, setText } from "../shared/dom.ts";
import { marked } from "../shared/marks.ts";
import { clockMinute } from "../shared/times.ts";
import { taskPath } from "./address.ts";
import { assigneeBadge, statusSelect, tagChip } from "./board-card.ts";
import type { BoardStore, BoardTask } from "./board-store.ts";
import { TaskHistory } from "./task-history.ts";
import { TaskRuns, type RunActions } from "./task-runs.ts";

export interface DrawerActions extends RunActions {
  move(id: string, status: Status): Promise<void>;
  setPriority(id: string, priority: Priority | null): Promise<void>;
  edit(id: string): void;
  remove(id: string): void;
  /** Leads back to the board alone. */
  close(): void;
}

export class TaskDrawer {
  #id: string | null = null;
  #isGone = false;
  #isPage = false;
  readonly #panel = byId("drawer");
  readonly #status: HTMLSelectElement;
  readonly runs: TaskRuns;
  readonly #history = new TaskHistory();

  constructor(readonly store: BoardStore, connection: Connection, readonly actions: DrawerActions) {
    this.runs = new TaskRuns(store, connection, actions);
    this.#status = statusSelect((status) => this.#id && void actions.move(this.#id, status));
    this.#status.id = "drawer-status";
    this.#status.setAttribute("aria-label", "Status");
    byId("drawer-status-slot").append(this.#status);
    byId<HTMLSelectElement>("drawer-priority").addEventListener("change", (event) => {
      const { value } = event.target as HTMLSelectElement;
      if (this.#id) void actions.setPriority(this.#id, (value || null) as Priority | null);
    });
    byId("drawer-close").addEventListener("click", () => actions.close());
    byId("drawer-edit").addEventListener("click", () => this.#id && actions.edit(this.#id));
    byId("drawer-delete").addEventListener("click", () => this.#id && actions.remove(this.#id));
    byId("drawer-copy").addEventListener("click", () =>
      this.#id && void copyText(this.#id, "The id is copied", byId("drawer-id")));
    this.#panel.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || this.#isPage || event.defaultPrevented) return;
      event.preventDefault(); // nobody else takes it for theirs
      actions.close();
    });
  }

  get taskId(): string | null {
    return this.#id;
  }

  /** Fills the page instead of its side. */
  asPage(isPage: boolean): void {
    this.#isPage = isPage;
    this.#panel.setAttribute("role", isPage ? "main" : "dialog");
    byId("drawer-page").hidden = isPage;
    byId("drawer-close").title = isPage ? "Back to the board" : "Close";
  }

  /** Shows an execution by its number, and a line of its log. */
  showRun(run: number, line: number | null): void {
    this.runs.want(run, line);
  }

  open(id: string): void {
    if (id === this.#id) return;
    this.#id = id;
    this.#isGone = false;
    this.#panel.hidden = false;
    this.#panel.classList.remove("gone");
    byId("drawer-gone").hidden = true;
    document.body.classList.add("drawer-open");
    this.#history.show(id);
    this.runs.show(id);
    this.refresh();
    byId("drawer-title").focus();
  }

  close(): void {
    if (!this.#id) return;
    this.#id = null;
    this.runs.hide();
    this.#history.hide();
    this.#panel.hidden = true;
    document.body.classList.remove("drawer-open");
  }

  /** A message of the stream. The store knows it already. */
  apply(envelope: Envelope): void {
    if (envelope.event === "task_deleted" && envelope.data["task_id"] === this.#id) this.#showGone(envelope);
    this.#history.apply(envelope);
    this.runs.apply(envelope);
  }

  /** Reads anew what no event will bring. */
  reload(): void {
    if (!this.#id) return;
    if (!this.store.tasks.has(this.#id)) this.#showGone(null);
    void this.#history.reload();
    void this.runs.reload();
  }

  /** Shows the task as the store knows it now. */
  refresh(): void {
    const task = this.#id ? this.store.tasks.get(this.#id) : undefined;
    if (!task || this.#isGone) return;
    setText(byId("drawer-key"), task.key);
    byId<HTMLAnchorElement>("drawer-page").href = taskPath(task.key);
    setText(byId("drawer-title"), marked(task.title));
    this.#status.value = this.store.statusOf(task);
    byId<HTMLSelectElement>("drawer-priority").value = task.priority ?? "";
    showText("drawer-description", task.description);
    showText("drawer-script", task.script);
    this.#facts(task);
    this.runs.refresh();
  }

  /** Others have deleted the task: what was known stays to be read. */
  #showGone(envelope: Envelope | null): void {
    this.#isGone = true;
    this.#panel.classList.add("gone");
    const actor = envelope?.data["actor"];
    const by = typeof actor === "string" ? ` by ${marked(actor)}` : "";
    const at = envelope ? ` at ${clockMinute(Date.parse(envelope.timestamp))}` : "";
    setText(byId("drawer-gone-words"), `This task was deleted${by}${at}. What you see is its last state.`);
    byId("drawer-gone").hidden = false;
  }

  #facts(task: BoardTask): void {
    const when = (timestamp: string) => el("time", { dateTime: timestamp, text: new Date(timestamp).toLocaleString() });
    const rows: [string, HTMLElement | false | null | undefined | ""][] = [
      ["Assignee", task.assignee && assigneeBadge(task.assignee)],
      ["Progress", task.lease?.progress && el("span", { text: task.lease.progress })],
      ["Tags", task.tags.length > 0 && el("ul", { class: "tags" }, ...task.tags.map(tagChip))],
      ["Artifacts", task.artifacts.length > 0 &&
        el("ul", { class: "artifacts" }, ...task.artifacts.map((path) => el("li", { class: "mono", text: path })))],
      ["Created", when(task.created_at)],
      ["Changed", el("span", {}, when(task.updated_at), ` (version ${task.version})`)],
    ];
    byId("drawer-facts").replaceChildren(...rows.flatMap(([name, value]) =>
      value ? [el("div", {}, el("dt", { text: name }), el("dd", {}, value))] : []));
    setText(byId("drawer-id"), task.id);
  }
}

function showText(id: string, text: string | null | undefined): void {
  setText(byId(id), text ?? "");
  byId(`${id}-section`).hidden = !text;
}
