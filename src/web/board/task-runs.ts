// The executions of the open task, latest first, and the log of the one that is chosen. A new execution is chosen by
// itself, unless the person has chosen an older one.

import { listExecutions } from "../shared/api.ts";
import type { Envelope, Execution } from "../shared/api-types.ts";
import type { Connection } from "../shared/connection/connection.ts";
import { byId, el } from "../shared/dom.ts";
import { duration } from "../shared/times.ts";
import { toastProblem } from "../shared/toast.ts";
import { LogPanel } from "../log/log-panel.ts";
import { executionPill, isRunnable, runButton } from "./board-card.ts";
import type { BoardStore, BoardTask } from "./board-store.ts";
import { attemptWords, folded, isLive } from "./executions.ts";

const SHOWN_MAX = 100;

export interface RunActions {
  run(id: string): Promise<void>;
  stop(id: string): Promise<void>;
  /** A line of a log was chosen. */
  nameLine(run: Execution, line: number): void;
}

export class TaskRuns {
  #task: string | null = null;
  #turn = 0;
  readonly #runs = new Map<string, Execution>();
  /** The one that the person has chosen; null: the latest. */
  #chosen: string | null = null;
  #shown = "";
  /** What the address asks for: the execution by its number, and a line of its log. */
  #wanted: { run: number; line: number | null } | null = null;
  readonly log: LogPanel;

  constructor(readonly store: BoardStore, connection: Connection, readonly actions: RunActions) {
    this.log = new LogPanel(connection, (run, line) => actions.nameLine(run, line));
  }

  show(id: string): void {
    this.hide();
    this.#task = id;
    void this.reload();
  }

  /** Chooses an execution by its number, as soon as it is known. */
  want(run: number, line: number | null): void {
    this.#wanted = { run, line };
    this.refresh();
  }

  hide(): void {
    this.#turn += 1;
    this.#task = null;
    this.#chosen = null;
    this.#wanted = null;
    this.#shown = "";
    this.#runs.clear();
    this.log.hide();
  }

  /** Reads which there are. */
  async reload(): Promise<void> {
    const task = this.#task;
    if (!task) return;
    const turn = ++this.#turn;
    try {
      const runs = await listExecutions({ task_id: task, limit: SHOWN_MAX });
      if (turn !== this.#turn) return;
      for (const run of runs) {
        const next = folded(this.#runs.get(run.id), run);
        if (next) this.#runs.set(run.id, next);
        this.store.putExecution(run);
      }
      this.refresh();
    } catch (error) {
      if (turn === this.#turn) toastProblem(error);
    }
  }

  /** What an event tells is in the store already; an earlier attempt is only here. */
  apply({ event, data }: Envelope): void {
    if (event !== "execution_event" || data["task_id"] !== this.#task) return;
    this.refresh();
  }

  refresh(): void {
    const task = this.#task ? this.store.tasks.get(this.#task) : undefined;
    if (!task) return;
    const latest = this.store.executions.get(task.id);
    if (latest) this.#runs.set(latest.id, latest);
    const runs = [...this.#runs.values()].sort((a, b) => b.number - a.number);
    const wanted = this.#wanted && runs.find(({ number }) => number === this.#wanted?.run);
    if (wanted) this.#chosen = wanted.id;
    const chosen = this.#runs.get(this.#chosen ?? "") ?? runs[0];
    byId("drawer-execution-section").hidden = runs.length === 0 && !isRunnable(task);
    this.#drawButton(task, latest);
    byId("log-panel").hidden = !chosen;
    const shown = JSON.stringify([task.id, chosen?.id, runs, isRunnable(task)]);
    if (shown !== this.#shown) {
      this.#shown = shown; // keeps the focused button
      this.#drawList(task, runs, chosen);
    }
    if (!chosen || chosen.status === "queued") {
      if (this.log.runId) this.log.hide();
    } else if (this.log.runId !== chosen.id) {
      this.log.show(chosen);
    }
    if (!wanted) return;
    if (this.#wanted?.line) this.log.goToLine(this.#wanted.line);
    this.#wanted = null;
  }

  #drawButton(task: BoardTask, latest: Execution | undefined): void {
    const kind = isLive(latest) ? "stop" : isRunnable(task) ? "run" : null;
    const slot = byId("drawer-run-slot");
    if (slot.dataset["kind"] === `${task.id} ${kind}`) return;
    slot.dataset["kind"] = `${task.id} ${kind}`;
    const caption = kind === "stop" ? "Stop" : "Run";
    slot.replaceChildren(...(kind ? [runButton(kind, () => this.actions[kind](task.id), "button", caption)] : []));
  }

  #drawList(task: BoardTask, runs: Execution[], chosen: Execution | undefined): void {
    const list = byId("drawer-execution");
    if (runs.length === 0) {
      const words = task.script ? "Never run" : "Never run. Without a script, the hub's own command is run.";
      list.replaceChildren(el("li", { class: "muted", text: words }));
      return;
    }
    const focused = list.contains(document.activeElement);
    list.replaceChildren(...runs.map((run) => this.#row(run, run.id === chosen?.id)));
    if (focused) list.querySelector<HTMLElement>("[aria-current]")?.focus();
  }

  #row(run: Execution, isChosen: boolean): HTMLElement {
    const button = el("button", { class: "run-row", type: "button", data: { id: run.id } },
      executionPill(run, false), el("span", { class: "mono", text: run.session_name }),
      ...outcome(run).map((text) => el("span", { class: "muted", text })));
    if (isChosen) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => {
      this.#chosen = run.id;
      this.refresh();
    });
    return el("li", {}, button);
  }
}

/** What there is to say of an execution besides its status. */
function outcome(run: Execution): string[] {
  const told: string[] = [];
  const attempt = attemptWords(run);
  if (attempt) told.push(attempt);
  if (run.exit_code !== undefined && run.exit_code !== null) told.push(`exit code ${run.exit_code}`);
  const ms = Date.parse(run.ended_at ?? "") - Date.parse(run.started_at ?? "");
  if (Number.isFinite(ms)) told.push(duration(ms));
  if (run.status === "queued" && run.not_before) told.push(`not before ${new Date(run.not_before).toLocaleTimeString()}`);
  if (run.reason && !told.includes(run.reason)) told.push(run.reason);
  return told;
}
