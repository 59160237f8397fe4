// The executions of the open task, latest first, and the log of the one that is chosen. A new execution is chosen by
// itself, unless the person has chosen an older one.

import { downloadLog, listExecutions } from "../shared/api.ts";
import type { Envelope, Execution } from "../shared/api-types.ts";
import { copyText } from "../shared/clipboard.ts";
import type { Connection } from "../shared/connection/connection.ts";
import { byId, el } from "../shared/dom.ts";
import { duration } from "../shared/times.ts";
import { toastProblem } from "../shared/toast.ts";
import { LogSource } from "../log/log-source.ts";
import { LogView } from "../log/log-view.ts";
import { executionPill, isRunnable, runButton } from "./board-card.ts";
import type { BoardStore, BoardTask } from "./board-store.ts";
import { attemptWords, folded, isLive } from "./executions.ts";

const SHOWN_MAX = 100;

export interface RunActions {
  run(id: string): Promise<void>;
  stop(id: string): Promise<void>;
}

export class TaskRuns {
  #task: string | null = null;
  #turn = 0;
  readonly #runs = new Map<string, Execution>();
  /** The one that the person has chosen; null: the latest. */
  #chosen: string | null = null;
  #shown = "";
  #source: LogSource | null = null;
  #sourceOf: string | null = null;
  readonly #view = new LogView(byId("drawer-log"), byId("log-count"), byId<HTMLButtonElement>("log-follow"));

  constructor(readonly store: BoardStore, readonly connection: Connection, readonly actions: RunActions) {
    byId("log-copy").addEventListener("click", () => void copyText(this.#view.text(), "The log is copied"));
    byId("log-download").addEventListener("click", () => void this.#download());
  }

  show(id: string): void {
    this.hide();
    this.#task = id;
    void this.reload();
  }

  hide(): void {
    this.#turn += 1;
    this.#task = null;
    this.#chosen = null;
    this.#shown = "";
    this.#runs.clear();
    this.#stopLog();
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
    const chosen = this.#runs.get(this.#chosen ?? "") ?? runs[0];
    byId("drawer-execution-section").hidden = runs.length === 0 && !isRunnable(task);
    this.#drawButton(task, latest);
    byId("log-panel").hidden = !chosen;
    const shown = JSON.stringify([task.id, chosen?.id, runs, isRunnable(task)]);
    if (shown !== this.#shown) {
      this.#shown = shown; // keeps the focused button
      this.#drawList(task, runs, chosen);
    }
    if (!chosen || chosen.status === "queued") this.#stopLog();
    else this.#follow(chosen);
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

  #follow(run: Execution): void {
    if (this.#sourceOf === run.id) return;
    this.#stopLog();
    this.#sourceOf = run.id;
    byId("drawer-log").setAttribute("aria-label", `Log of ${run.session_name}`);
    this.#source = new LogSource(this.connection, run, {
      onStart: (offset) => this.#view.clear(offset > 0
        ? `The last ${((8 << 20) / 1e6).toFixed(0)} MB; ${(offset / 1e6).toFixed(0)} MB before that are in the download.` : ""),
      onText: (text) => this.#view.append(text),
      onEnd: () => {},
      onProblem: (problem) => toastProblem(problem),
    });
  }

  #stopLog(): void {
    this.#source?.stop();
    this.#source = null;
    this.#sourceOf = null;
    this.#view.clear();
  }

  async #download(): Promise<void> {
    const run = this.#runs.get(this.#sourceOf ?? "");
    if (!run) return;
    try {
      const address = URL.createObjectURL(await downloadLog(run.task_id, run.id));
      el("a", { href: address, download: `${run.session_name}.log` }).click();
      setTimeout(() => URL.revokeObjectURL(address), 60_000);
    } catch (error) {
      toastProblem(error);
    }
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
