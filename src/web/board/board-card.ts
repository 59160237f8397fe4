// One task as a card. A card is built once and then refreshed in place, so that focus,
// an open select and a running drag survive whatever else happens on the board.

import { ago, el, icon } from "/assets/dom.js";
import { marked } from "/assets/marks.js";
import { STATUSES, isLive } from "/assets/board-store.js";

const TAGS_SHOWN = 4;
const HUES = 8;

const EXECUTION_LABELS = {
  queued: "Queued", running: "Running", completed: "Completed", failed: "Failed",
  stopped: "Stopped", timed_out: "Timed out", lost: "Lost",
};

/** `actions` = {open, move, run, stop}; each takes the task's id. */
export function createCard(id, actions) {
  const parts = {
    title: el("a", { class: "card-title", href: `#${id}`, draggable: false }), // a button would not drag in Firefox
    priority: el("span", { class: "priority-slot" }),
    tags: el("ul", { class: "tags" }),
    facts: el("div", { class: "card-facts" }),
    foot: el("div", { class: "card-foot" }),
    key: el("span", { class: "card-key mono" }),
    time: el("time", { class: "card-time" }),
    move: statusSelect((status) => actions.move(id, status)),
    execute: el("div", { class: "card-execute" }),
  };
  parts.title.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab, please
    event.preventDefault();
    actions.open(id);
  });
  parts.move.classList.add("card-move");
  parts.foot.append(parts.facts, el("div", { class: "card-corner" }, el("span", { class: "card-stamp" }, parts.key, parts.time), parts.move), parts.execute);
  const node = el("li", { class: "card", draggable: true, data: { id } },
    el("div", { class: "card-head" }, parts.title, parts.priority), parts.foot);
  return { node, parts, actions, id };
}

export function refreshCard(card, task, execution) {
  const { node, parts } = card;
  node.dataset.status = task.status;
  parts.title.textContent = marked(task.title);
  parts.priority.replaceChildren(...(task.priority ? [priorityBadge(task.priority)] : []));

  parts.tags.hidden = task.tags.length === 0;
  parts.tags.replaceChildren(...task.tags.slice(0, TAGS_SHOWN).map(tagChip));
  if (task.tags.length > TAGS_SHOWN) parts.tags.append(tagChip(`+${task.tags.length - TAGS_SHOWN}`));

  const facts = [];
  if (task.assignee) facts.push(assigneeBadge(task.assignee));
  if (task.artifacts.length > 0) facts.push(artifactCount(task.artifacts.length));
  if (task.waiting_for.length > 0) facts.push(questionCount(task.waiting_for.length));
  if (execution) facts.push(executionPill(execution));
  parts.facts.replaceChildren(...facts);
  // Tags have a line of their own only when somebody else needs the last one.
  if (facts.length > 0) parts.foot.before(parts.tags);
  else parts.facts.append(parts.tags);
  node.classList.toggle("slim", facts.length === 0 && task.tags.length === 0);

  parts.key.textContent = task.key;
  parts.time.dateTime = task.updated_at;
  parts.time.title = `Changed ${new Date(task.updated_at).toLocaleString()}`;
  parts.time.textContent = ago(task.updated_at);
  parts.move.value = task.status;
  parts.move.setAttribute("aria-label", `Status of ${marked(task.title)}`);

  refreshExecute(card, task, execution);
}

function refreshExecute({ parts, actions, id }, task, execution) {
  const wanted = isLive(execution) ? "stop" : task.script ? "run" : "";
  parts.execute.hidden = !wanted;
  if (parts.execute.dataset.action === wanted) return; // keep the focused button
  parts.execute.dataset.action = wanted;
  const button = wanted && runButton(wanted, () => actions[wanted](id));
  parts.execute.replaceChildren(...(button ? [button] : []));
}

/** The run or stop button; locked while its request is under way. */
export function runButton(kind, act, className = "icon-button", caption = "") {
  const label = kind === "stop" ? "Stop" : "Run";
  const button = el("button", {
    class: `${className} ${kind}`, type: "button", title: `${label} the script`, data: { action: kind },
  }, icon(kind === "stop" ? "stop" : "play"), caption);
  if (!caption) button.setAttribute("aria-label", label);
  button.addEventListener("click", async () => {
    button.disabled = true;
    await act();
    button.disabled = false;
  });
  return button;
}

export function statusSelect(onChoice) {
  const select = el("select", { class: "select" },
    ...STATUSES.map((status) => el("option", { value: status.id, text: status.label })));
  select.addEventListener("change", () => onChoice(select.value));
  return select;
}

export function priorityBadge(priority) {
  return el("span", { class: "priority", data: { priority }, title: `Priority: ${priority}` },
    el("i", { "aria-hidden": "true" }), priority);
}

export const tagChip = (tag) => el("li", { class: "tag", text: tag });

export function assigneeBadge(name) {
  const hue = [...name].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) >>> 0, 7) % HUES;
  const initials = name.split(/[\s._@-]+/).filter(Boolean).slice(0, 2).map((word) => [...word][0]).join("");
  return el("span", { class: "assignee", title: `Assigned to ${name}` },
    el("span", { class: "avatar", "aria-hidden": "true", data: { hue: String(hue) }, text: initials.toUpperCase() }),
    el("span", { class: "assignee-name", text: name }));
}

export function executionPill(execution) {
  const stopping = execution.stop_requested && isLive(execution);
  const label = stopping ? "Stopping" : EXECUTION_LABELS[execution.status] ?? execution.status;
  const title = execution.reason ? `${label}: ${execution.reason}` : `${label} (${execution.session_name})`;
  return el("span", { class: "execution", data: { state: execution.status }, text: label, title });
}

function artifactCount(count) {
  const title = count === 1 ? "1 artifact" : `${count} artifacts`;
  return el("span", { class: "artifact-count", title }, icon("clip"), String(count),
    el("span", { class: "visually-hidden", text: " artifacts" }));
}

function questionCount(count) {
  const words = count === 1 ? "open question" : "open questions";
  return el("span", { class: "question-count", title: `${count} ${words}` }, icon("question"), String(count),
    el("span", { class: "visually-hidden", text: ` ${words}` }));
}
