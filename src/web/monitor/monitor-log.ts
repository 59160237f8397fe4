// The list of received messages: newest at the bottom, bounded, each row opening to its JSON.

import { byId, clockTime, el, icon } from "/assets/dom.js";

const ROWS_MAX = 1000; // keeps a monitor that runs for days small

export class MonitorLog {
  #waiting = [];
  #frame = 0;
  #scrollTop = 0;
  #counts = new Map();
  #total = 0;

  constructor() {
    this.list = byId("log");
    this.follow = byId("autoscroll");
    this.follow.addEventListener("change", () => this.#scroll());
    this.list.addEventListener("scroll", () => this.#pauseWhenScrolledUp());
    this.clear();
  }

  add(envelope, warning) {
    this.#total += 1;
    this.#counts.set(envelope.event, (this.#counts.get(envelope.event) ?? 0) + 1);
    this.#push({ envelope, warning });
  }

  /** A line of the page's own, such as "connection lost": not an event, not counted. */
  note(text, kind = "note") {
    this.#push({ note: text, kind });
  }

  clear() {
    this.#waiting = [];
    this.#counts.clear();
    this.#total = 0;
    this.list.replaceChildren();
    this.#showCounts();
  }

  #push(entry) {
    this.#waiting.push(entry);
    if (this.#waiting.length > ROWS_MAX) this.#waiting.shift(); // a hidden tab draws no frames
    this.#frame ||= requestAnimationFrame(() => this.#render());
  }

  #render() {
    this.#frame = 0;
    this.list.append(...this.#waiting.map((entry) => (entry.envelope ? eventRow(entry) : noteRow(entry))));
    this.#waiting = [];
    while (this.list.children.length > ROWS_MAX) this.list.firstChild.remove();
    this.#showCounts();
    this.#scroll();
  }

  #scroll() {
    if (this.follow.checked) this.list.scrollTop = this.list.scrollHeight;
  }

  /** A person who scrolls up, or opens a row, is reading: new rows must not carry that away. */
  #pauseWhenScrolledUp() {
    const { scrollTop, scrollHeight, clientHeight } = this.list;
    const atEnd = scrollHeight - scrollTop - clientHeight < 8;
    if (scrollTop < this.#scrollTop && !atEnd) this.follow.checked = false;
    this.#scrollTop = scrollTop;
  }

  #showCounts() {
    byId("count").textContent = String(this.#total);
    byId("empty").hidden = this.list.children.length > 0;
    const kinds = [...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1));
    byId("counters").replaceChildren(...kinds.map(([kind, count]) =>
      el("li", { class: "counter", data: { event: kind } },
        el("span", { class: "badge", data: { kind: badgeKind(kind) }, text: kind }), el("b", { text: String(count) }))));
  }
}

function eventRow({ envelope, warning }) {
  const json = el("pre", { class: "json", hidden: true, tabIndex: 0 });
  const head = el("button", { class: "event-head", type: "button", "aria-expanded": "false" },
    el("time", { class: "event-time", dateTime: envelope.timestamp, text: clockTime(envelope.timestamp) }),
    el("span", { class: "badge", data: { kind: badgeKind(envelope.event) }, text: envelope.event }),
    el("span", { class: "event-summary", text: summary(envelope) }),
    el("span", { class: "event-id", text: envelope.id }),
    icon("chevron"));
  head.addEventListener("click", () => {
    json.hidden = !json.hidden;
    head.setAttribute("aria-expanded", String(!json.hidden));
    if (!json.textContent) json.textContent = JSON.stringify(envelope, null, 2);
    if (json.hidden) return;
    byId("autoscroll").checked = false;
    row.scrollIntoView({ block: "nearest" });
  });
  const row = el("li", { class: "event-row", data: { event: envelope.event, id: envelope.id } });
  if (warning) row.append(el("p", { class: "row-warning" }, icon("alert"), warning));
  row.append(head, json);
  return row;
}

function noteRow({ note, kind }) {
  return el("li", { class: "note-row", data: { kind } }, el("span", { text: note }));
}

function badgeKind(event) {
  if (event.startsWith("task_")) return event;
  if (event === "execution_event" || event === "announcement") return event;
  if (event === "comment_added" || event.startsWith("question_")) return "announcement";
  return event === "reset" || event === "goodbye" ? "warning" : "control";
}

/** One line that says what happened, without opening the row. */
function summary({ event, data = {} }) {
  const words = {
    task_created: () => [data.title, data.status, data.priority, data.assignee],
    task_updated: () => [data.title, data.status, data.priority, data.assignee, changes(data.changed)],
    task_deleted: () => [data.title],
    execution_event: () => [data.session_name, data.execution_event, exit(data), data.reason],
    announcement: () => [data.level, data.message],
    comment_added: () => [data.author, data.text],
    question_asked: () => [data.text, data.options?.join(", ")],
    question_answered: () => [data.text, data.answer],
    question_expired: () => [data.text, data.answer ?? "without an answer"],
    connected: () => [data.resumed ? "resumed" : "from now on"],
    snapshot: () => [Array.isArray(data.tasks) ? `${data.tasks.length} tasks` : null],
    reset: () => [data.reason, "events before this are gone, reload your state"],
    goodbye: () => [data.reason ?? "the server is leaving"],
  };
  return (words[event]?.() ?? [data.task_id]).filter(Boolean).join("  ·  ");
}

const changes = (names) => (names?.length > 0 ? `changed: ${names.join(", ")}` : null);
const exit = (data) => (data.exit_code === undefined || data.exit_code === null ? null : `exit ${data.exit_code}`);
