// The list of received messages: newest at the bottom, bounded, each row opening to its JSON.

import type { Envelope } from "../shared/api-types.ts";
import { byId, el, icon } from "../shared/dom.ts";
import { isControl } from "../shared/sequence.ts";
import { clockTime } from "../shared/times.ts";

const ROWS_MAX = 1000; // keeps a monitor that runs for days small

type Entry = { envelope: Envelope; warning: string | null } | { note: string; kind: string };

export class MonitorLog {
  #waiting: Entry[] = [];
  #frame = 0;
  #scrollTop = 0;
  readonly #counts = new Map<string, number>();
  #total = 0;
  readonly #list = byId("log");
  readonly #follow = byId<HTMLInputElement>("autoscroll");

  constructor() {
    this.#follow.addEventListener("change", () => this.#scroll());
    this.#list.addEventListener("scroll", () => this.#pauseWhenScrolledUp());
    this.clear();
  }

  add(envelope: Envelope, warning: string | null): void {
    // "Received" counts events of the log: what the hub says about the connection is shown, and not counted.
    if (!isControl(envelope.event)) this.#total += 1;
    this.#counts.set(envelope.event, (this.#counts.get(envelope.event) ?? 0) + 1);
    this.#push({ envelope, warning });
  }

  /** A line of the page's own, such as "connection lost": not an event, not counted. */
  note(text: string, kind = "note"): void {
    this.#push({ note: text, kind });
  }

  clear(): void {
    this.#waiting = [];
    this.#counts.clear();
    this.#total = 0;
    this.#list.replaceChildren();
    this.#showCounts();
  }

  #push(entry: Entry): void {
    this.#waiting.push(entry);
    if (this.#waiting.length > ROWS_MAX) this.#waiting.shift(); // a hidden tab draws no frames
    this.#frame ||= requestAnimationFrame(() => this.#render());
  }

  #render(): void {
    this.#frame = 0;
    this.#list.append(...this.#waiting.map((entry) => ("envelope" in entry ? eventRow(entry.envelope, entry.warning) : noteRow(entry.note, entry.kind))));
    this.#waiting = [];
    while (this.#list.children.length > ROWS_MAX) this.#list.firstChild?.remove();
    this.#showCounts();
    this.#scroll();
  }

  #scroll(): void {
    if (this.#follow.checked) this.#list.scrollTop = this.#list.scrollHeight;
  }

  /** A person who scrolls up, or opens a row, is reading: new rows must not carry that away. */
  #pauseWhenScrolledUp(): void {
    const { scrollTop, scrollHeight, clientHeight } = this.#list;
    const atEnd = scrollHeight - scrollTop - clientHeight < 8;
    if (scrollTop < this.#scrollTop && !atEnd) this.#follow.checked = false;
    this.#scrollTop = scrollTop;
  }

  #showCounts(): void {
    byId("count").textContent = String(this.#total);
    byId("empty").hidden = this.#list.children.length > 0;
    const kinds = [...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1));
    byId("counters").replaceChildren(...kinds.map(([kind, count]) =>
      el("li", { class: "counter", data: { event: kind } },
        el("span", { class: "badge", data: { kind: badgeKind(kind) }, text: kind }), el("b", { text: String(count) }))));
  }
}

function eventRow(envelope: Envelope, warning: string | null): HTMLElement {
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
    byId<HTMLInputElement>("autoscroll").checked = false;
    row.scrollIntoView({ block: "nearest" });
  });
  const row = el("li", { class: "event-row", data: { event: envelope.event, id: envelope.id } });
  if (warning) row.append(el("p", { class: "row-warning" }, icon("alert"), warning));
  row.append(head, json);
  return row;
}

function noteRow(note: string, kind: string): HTMLElement {
  return el("li", { class: "note-row", data: { kind } }, el("span", { text: note }));
}

function badgeKind(event: string): string {
  if (event.startsWith("task_")) return event;
  if (event === "execution_event" || event === "announcement") return event;
  if (event === "comment_added" || event.startsWith("question_")) return "announcement";
  return event === "reset" || event === "goodbye" ? "warning" : "control";
}

/** One line that says what happened, without opening the row. */
function summary({ event, data = {} }: Envelope): string {
  const list = (name: string) => (Array.isArray(data[name]) ? (data[name] as unknown[]) : []);
  const words: Record<string, () => unknown[]> = {
    task_created: () => [data["title"], data["status"], data["priority"], data["assignee"]],
    task_updated: () => [data["title"], data["status"], data["priority"], data["assignee"], changes(list("changed"))],
    task_deleted: () => [data["title"]],
    execution_event: () => [data["session_name"], data["execution_event"], exit(data["exit_code"]), data["reason"]],
    announcement: () => [data["level"], data["message"]],
    comment_added: () => [data["author"], data["text"]],
    question_asked: () => [data["text"], list("options").join(", ")],
    question_answered: () => [data["text"], data["answer"]],
    question_expired: () => [data["text"], data["answer"] ?? "without an answer"],
    connected: () => [data["resumed"] ? "resumed" : "from now on"],
    snapshot: () => [`${list("tasks").length} tasks`],
    reset: () => [data["reason"], "events before this are gone, reload your state"],
    goodbye: () => [data["reason"] ?? "the server is leaving"],
  };
  return (words[event]?.() ?? [data["task_id"]]).filter(Boolean).join("  ·  ");
}

const changes = (names: unknown[]) => (names.length > 0 ? `changed: ${names.join(", ")}` : null);
const exit = (code: unknown) => (code === undefined || code === null ? null : `exit ${String(code)}`);
