// One task as a card. A card is built once and then refreshed in place, so that focus, an open select and a running drag
// survive whatever else happens on the board.

import { whoAmI } from "../shared/access.ts";
import type { Execution, Priority, Status } from "../shared/api-types.ts";
import { el, icon, setText } from "../shared/dom.ts";
import { marked } from "../shared/marks.ts";
import { ago } from "../shared/times.ts";
import { STATUSES, type BoardTask, type Move } from "./board-store.ts";
import { EXECUTION_LABELS, attemptWords, isLive } from "./executions.ts";

const TAGS_SHOWN = 4;
const HUES = 8;

export interface CardActions {
  open(id: string): void;
  move(id: string, status: Status): Promise<void>;
  run(id: string): Promise<void>;
  stop(id: string): Promise<void>;
}

export interface Card {
  id: string;
  node: HTMLLIElement;
  /** What the card shows, to see whether anything has changed. */
  shown: { task: BoardTask | null; execution: Execution | undefined; move: Move | undefined };
  parts: ReturnType<typeof createParts>;
  actions: CardActions;
}

function createParts(id: string, actions: CardActions) {
  const parts = {
    title: el("a", { class: "card-title", href: `#${id}`, draggable: false }), // a button would not drag in Firefox
    priority: el("span", { class: "priority-slot" }),
    tags: el("ul", { class: "tags" }),
    facts: el("div", { class: "card-facts" }),
    foot: el("div", { class: "card-foot" }),
    key: el("span", { class: "card-key mono" }),
    time: el("time", { class: "card-time" }),
    move: statusSelect((status) => void actions.move(id, status)),
    execute: el("div", { class: "card-execute" }),
  };
  parts.title.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab, please
    event.preventDefault();
    actions.open(id);
  });
  parts.move.classList.add("card-move");
  return parts;
}

export function createCard(id: string, actions: CardActions): Card {
  const parts = createParts(id, actions);
  parts.foot.append(parts.facts, el("div", { class: "card-corner" },
    el("span", { class: "card-stamp" }, parts.key, parts.time), parts.move), parts.execute);
  const node = el("li", { class: "card", draggable: true, data: { id } },
    el("div", { class: "card-head" }, parts.title, parts.priority), parts.foot);
  return { node, parts, actions, id, shown: { task: null, execution: undefined, move: undefined } };
}

export function refreshCard(card: Card, task: BoardTask, execution: Execution | undefined, move: Move | undefined): void {
  const { node, parts, shown } = card;
  if (shown.task === task && shown.execution === execution && shown.move === move) return;
  card.shown = { task, execution, move };
  node.dataset["status"] = move?.status ?? task.status;
  node.dataset["run"] = execution ? execution.status : "";
  node.classList.toggle("pending", move !== undefined);
  node.title = move ? "The hub has not confirmed this move yet" : "";
  setText(parts.title, marked(task.title));
  parts.priority.replaceChildren(...(task.priority ? [priorityBadge(task.priority)] : []));

  parts.tags.hidden = task.tags.length === 0;
  parts.tags.replaceChildren(...task.tags.slice(0, TAGS_SHOWN).map(tagChip));
  if (task.tags.length > TAGS_SHOWN) parts.tags.append(tagChip(`+${task.tags.length - TAGS_SHOWN}`));

  const facts: HTMLElement[] = [];
  if (task.assignee) facts.push(assigneeBadge(task.assignee));
  if (task.artifacts.length > 0) facts.push(artifactCount(task.artifacts.length));
  if (task.waiting_for.length > 0) facts.push(questionCount(task.waiting_for.length));
  if (execution) facts.push(executionPill(execution));
  parts.facts.replaceChildren(...facts);
  // Tags have a line of their own only when somebody else needs the last one.
  if (facts.length > 0) parts.foot.before(parts.tags);
  else parts.facts.append(parts.tags);
  node.classList.toggle("slim", facts.length === 0 && task.tags.length === 0);

  setText(parts.key, task.key);
  parts.time.dateTime = task.updated_at;
  parts.time.title = `Changed ${new Date(task.updated_at).toLocaleString()}`;
  setText(parts.time, ago(task.updated_at));
  parts.move.value = move?.status ?? task.status;
  parts.move.setAttribute("aria-label", `Status of ${marked(task.title)}`);

  refreshExecute(card, task, execution);
}

/** Whether there is anything to run: a script, or the hub's own command for all tasks. */
export const isRunnable = (task: BoardTask): boolean => Boolean(task.script) || whoAmI()?.runs_without_script === true;

function refreshExecute({ parts, actions, id }: Card, task: BoardTask, execution: Execution | undefined): void {
  const wanted = isLive(execution) ? "stop" : isRunnable(task) ? "run" : "";
  parts.execute.hidden = !wanted;
  if (parts.execute.dataset["action"] === wanted) return; // keep the focused button
  parts.execute.dataset["action"] = wanted;
  parts.execute.replaceChildren(...(wanted ? [runButton(wanted, () => actions[wanted](id))] : []));
}

/** The run or stop button; locked while its request is under way. */
export function runButton(kind: "run" | "stop", act: () => Promise<void>, className = "icon-button", caption = ""): HTMLButtonElement {
  const label = kind === "stop" ? "Stop" : "Run";
  const button = el("button", {
    class: `${className} ${kind}`, type: "button", title: kind === "stop" ? "Stop the execution" : "Run this task",
    data: { action: kind, needs: "exec" },
  }, icon(kind === "stop" ? "stop" : "play"), caption);
  if (!caption) button.setAttribute("aria-label", label);
  button.addEventListener("click", async () => {
    button.disabled = true;
    await act();
    button.disabled = false;
  });
  return button;
}

export function statusSelect(onChoice: (status: Status) => void): HTMLSelectElement {
  const select = el("select", { class: "select", data: { needs: "write" } },
    ...STATUSES.map((status) => el("option", { value: status.id, text: status.label })));
  select.addEventListener("change", () => onChoice(select.value as Status));
  return select;
}

export function priorityBadge(priority: Priority): HTMLElement {
  return el("span", { class: "priority", data: { priority }, title: `Priority: ${priority}` },
    el("i", { "aria-hidden": "true" }), el("span", { class: "visually-hidden", text: priority }));
}

export const tagChip = (tag: string): HTMLLIElement => el("li", { class: "tag", text: tag });

export function assigneeBadge(name: string): HTMLElement {
  const hue = [...name].reduce((sum, letter) => (sum * 31 + (letter.codePointAt(0) ?? 0)) >>> 0, 7) % HUES;
  const initials = name.split(/[\s._@-]+/).filter(Boolean).slice(0, 2).map((word) => [...word][0]).join("");
  return el("span", { class: "assignee", title: `Assigned to ${name}` },
    el("span", { class: "avatar", "aria-hidden": "true", data: { hue: String(hue) }, text: initials.toUpperCase() }),
    el("span", { class: "assignee-name", text: name }));
}

export function executionPill(execution: Execution, withAttempt = true): HTMLElement {
  const stopping = execution.stop_requested && isLive(execution);
  const label = stopping ? "Stopping" : EXECUTION_LABELS[execution.status] ?? execution.status;
  const attempt = withAttempt && execution.attempts_max > 1 ? ` ${execution.attempt}/${execution.attempts_max}` : "";
  const words = [label, execution.reason, attemptWords(execution), execution.session_name].filter(Boolean).join(" · ");
  return el("span", { class: "execution", data: { state: execution.status }, text: `${label}${attempt}`, title: words });
}

function artifactCount(count: number): HTMLElement {
  const title = count === 1 ? "1 artifact" : `${count} artifacts`;
  return el("span", { class: "artifact-count", title }, icon("clip"), String(count),
    el("span", { class: "visually-hidden", text: " artifacts" }));
}

function questionCount(count: number): HTMLElement {
  const words = count === 1 ? "open question" : "open questions";
  return el("span", { class: "question-count", title: `${count} ${words}` }, icon("question"), String(count),
    el("span", { class: "visually-hidden", text: ` ${words}` }));
}
