// The panel on the right: everything about one task, and the end of its log.

import { duration, el, byId } from "/assets/dom.js";
import { assigneeBadge, executionPill, runButton, statusSelect, tagChip } from "/assets/board-card.js";
import { isLive } from "/assets/board-store.js";
import { LogTail } from "/assets/log-tail.js";
import { marked } from "/assets/marks.js";
import { TaskHistory } from "/assets/task-history.js";

const SURE_MS = 4000;

export class TaskDrawer {
  #id = null;
  #opener = null;
  #shownExecution = null;

  /** `actions` = {move, setPriority, run, stop, edit, remove, onClose}. */
  constructor(store, actions) {
    this.store = store;
    this.actions = actions;
    this.panel = byId("drawer");
    this.tail = new LogTail(byId("drawer-log"));
    this.history = new TaskHistory();
    this.status = statusSelect((status) => actions.move(this.#id, status));
    this.status.id = "drawer-status";
    byId("drawer-status-slot").append(this.status);
    byId("drawer-priority").addEventListener("change", (event) =>
      actions.setPriority(this.#id, event.target.value || null));
    byId("drawer-close").addEventListener("click", () => this.close());
    byId("drawer-edit").addEventListener("click", () => actions.edit(this.#id));
    byId("drawer-copy").addEventListener("click", () => navigator.clipboard?.writeText(this.#id));
    this.panel.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
    });
    this.#askBeforeDelete(byId("drawer-delete"));
  }

  get taskId() {
    return this.#id;
  }

  open(id) {
    this.#opener = document.activeElement;
    if (id !== this.#id) this.tail.stop();
    this.#id = id;
    this.#shownExecution = null;
    this.panel.hidden = false;
    document.body.classList.add("drawer-open");
    this.refresh();
    this.history.show(id);
    byId("drawer-title").focus();
  }

  close() {
    if (!this.#id) return;
    const id = this.#id;
    this.#id = null;
    this.tail.stop();
    this.history.hide();
    this.panel.hidden = true;
    document.body.classList.remove("drawer-open");
    const opener = this.#opener?.isConnected
      ? this.#opener
      : document.querySelector(`.card[data-id="${CSS.escape(id)}"] .card-title`);
    opener?.focus();
    this.actions.onClose();
  }

  /** Shows the task as the store knows it now; closes when it is gone. */
  refresh() {
    if (!this.#id) return;
    const task = this.store.tasks.get(this.#id);
    if (!task) return this.close();
    byId("drawer-title").textContent = marked(task.title);
    this.status.value = task.status;
    this.status.setAttribute("aria-label", "Status");
    byId("drawer-priority").value = task.priority ?? "";
    this.#text("drawer-description", task.description);
    this.#text("drawer-script", task.script);
    this.#facts(task);
    this.#execution(task, this.store.executions.get(task.id));
  }

  #text(id, text) {
    byId(id).textContent = text ?? "";
    byId(`${id}-section`).hidden = !text;
  }

  #facts(task) {
    const when = (timestamp) => el("time", { dateTime: timestamp, text: new Date(timestamp).toLocaleString() });
    const rows = [
      ["Key", el("span", { class: "mono", text: task.key })],
      ["Assignee", task.assignee && assigneeBadge(task.assignee)],
      ["Progress", task.lease?.progress && el("span", { text: marked(task.lease.progress) })],
      ["Tags", task.tags.length > 0 && el("ul", { class: "tags" }, ...task.tags.map(tagChip))],
      ["Artifacts", task.artifacts.length > 0 &&
        el("ul", { class: "artifacts" }, ...task.artifacts.map((path) => el("li", { class: "mono", text: path })))],
      ["Created", when(task.created_at)],
      ["Changed", el("span", {}, when(task.updated_at), ` (version ${task.version})`)],
    ];
    byId("drawer-facts").replaceChildren(...rows.filter(([, value]) => value).map(([name, value]) =>
      el("div", {}, el("dt", { text: name }), el("dd", {}, value))));
    byId("drawer-id").textContent = task.id;
  }

  #execution(task, execution) {
    byId("drawer-execution-section").hidden = !execution && !task.script;
    byId("drawer-log").hidden = !execution;
    const state = JSON.stringify([task.id, Boolean(task.script), execution]);
    if (state === this.#shownExecution) return; // keep the focused button
    this.#shownExecution = state;

    const kind = isLive(execution) ? "stop" : task.script ? "run" : null;
    byId("drawer-run-slot").replaceChildren(
      ...(kind ? [runButton(kind, () => this.actions[kind](task.id), "button", kind === "stop" ? "Stop" : "Run")] : []));
    if (!execution) {
      byId("drawer-execution").replaceChildren(el("span", { class: "muted", text: "Never run" }));
      return this.tail.stop();
    }
    byId("drawer-execution").replaceChildren(executionPill(execution),
      el("span", { class: "mono", text: execution.session_name }),
      ...this.#outcome(execution).map((text) => el("span", { class: "muted", text })));
    if (execution.status === "queued") this.tail.stop();
    else this.tail.follow(execution);
  }

  #outcome(execution) {
    const told = [];
    if (execution.exit_code !== undefined && execution.exit_code !== null) told.push(`exit code ${execution.exit_code}`);
    const ms = execution.duration_ms ?? Date.parse(execution.ended_at) - Date.parse(execution.started_at);
    if (Number.isFinite(ms)) told.push(duration(ms));
    if (execution.reason) told.push(execution.reason);
    return told;
  }

  /** The first press arms the button, a second one within four seconds deletes. */
  #askBeforeDelete(button) {
    let timer = 0;
    const disarm = () => {
      clearTimeout(timer);
      timer = 0;
      button.textContent = "Delete";
    };
    button.addEventListener("click", () => {
      if (timer) {
        disarm();
        this.actions.remove(this.#id);
        return;
      }
      button.textContent = "Really delete?";
      timer = setTimeout(disarm, SURE_MS);
    });
    button.addEventListener("blur", disarm);
  }
}
