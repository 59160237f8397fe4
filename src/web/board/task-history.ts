// What was said about the open task: its comments and questions, oldest first. An open question is answered here.
//
// It is filled by lists and folded forward by events, in any overlap: a question that has ended stays ended. Each entry
// is drawn anew only when it has changed, so that a half-written answer survives what others do.

import * as api from "../shared/api.ts";
import type { Comment, Envelope, Question } from "../shared/api-types.ts";
import { byId, el } from "../shared/dom.ts";
import { Problem } from "../shared/problem.ts";
import { toastProblem } from "../shared/toast.ts";

const ENTRIES_MAX = 2000;
const ANSWER_CHARS_MAX = 16_384;

type CommentEntry = { kind: "comment" } & Partial<Comment> & Pick<Comment, "id" | "text">;
type QuestionEntry = { kind: "question" } & Partial<Question> & Pick<Question, "id" | "text" | "options" | "status">;
type Entry = CommentEntry | QuestionEntry;

export class TaskHistory {
  #id: string | null = null;
  #turn = 0;
  readonly #entries = new Map<string, Entry>();
  readonly #shown = new Map<string, { state: string; node: HTMLElement }>();
  readonly #list = byId("history");
  readonly #form = byId<HTMLFormElement>("comment-form");

  constructor() {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#comment();
    });
  }

  /** Shows the history of a task. */
  show(id: string): void {
    if (id === this.#id) return;
    this.hide();
    this.#id = id;
    void this.reload();
  }

  hide(): void {
    this.#id = null;
    this.#turn += 1;
    this.#entries.clear();
    this.#shown.clear();
    this.#list.replaceChildren();
    this.#form.reset();
  }

  /** Reads what is there now. */
  async reload(): Promise<void> {
    const id = this.#id;
    if (!id) return;
    const turn = ++this.#turn;
    try {
      const [comments, questions] = await Promise.all([
        api.listComments(id, ENTRIES_MAX), api.listQuestions(id, ENTRIES_MAX),
      ]);
      if (turn !== this.#turn) return; // another task is open
      for (const comment of comments) this.#put({ kind: "comment", ...comment });
      for (const question of questions) this.#put({ kind: "question", ...question });
      this.#draw();
    } catch (error) {
      if (turn === this.#turn && !(error instanceof Problem && error.status === 404)) toastProblem(error); // 404: deleted meanwhile
    }
  }

  /** Folds in a message of the stream. */
  apply({ event, data, timestamp }: Envelope): void {
    if (!this.#id || data["task_id"] !== this.#id) return;
    if (event === "comment_added") {
      this.#put({
        kind: "comment", id: String(data["comment_id"]), author: (data["author"] ?? null) as string | null,
        text: String(data["text"]), created_at: timestamp,
      });
    } else if (event === "question_asked" || event === "question_answered" || event === "question_expired") {
      const by = (data["by"] ?? null) as string | null;
      this.#put({
        kind: "question", id: String(data["question_id"]), text: String(data["text"]),
        options: (data["options"] ?? []) as string[], answer: (data["answer"] ?? null) as string | null,
        status: ({ question_asked: "open", question_answered: "answered", question_expired: "expired" } as const)[event],
        deadline_at: (data["deadline"] ?? null) as string | null,
        ...(event === "question_asked" ? { asked_by: by, created_at: timestamp } : { answered_by: by, ended_at: timestamp }),
      });
    } else {
      return;
    }
    this.#draw();
  }

  #put(entry: Entry): void {
    const known = this.#entries.get(entry.id);
    const hasEnded = known?.kind === "question" && known.status !== "open";
    if (hasEnded && entry.kind === "question" && entry.status === "open") return;
    this.#entries.set(entry.id, { ...known, ...entry } as Entry);
  }

  #draw(): void {
    const ids = [...this.#entries.keys()].sort(); // UUIDv7 sorts by time
    for (const [index, id] of ids.entries()) {
      const entry = this.#entries.get(id) as Entry;
      const state = JSON.stringify(entry);
      const shown = this.#shown.get(id);
      if (shown?.state === state) continue;
      const node = entry.kind === "comment" ? commentItem(entry) : questionItem(entry, (text) => this.#answer(id, text));
      if (shown) shown.node.replaceWith(node);
      else this.#list.insertBefore(node, this.#list.children[index] ?? null);
      this.#shown.set(id, { state, node });
    }
  }

  async #comment(): Promise<void> {
    const field = this.#form.elements.namedItem("text") as HTMLTextAreaElement;
    const button = this.#form.querySelector("button") as HTMLButtonElement;
    const id = this.#id;
    if (!id || !field.value.trim()) return;
    button.disabled = true;
    try {
      const comment = await api.addComment(id, field.value);
      if (id === this.#id) {
        field.value = "";
        this.#put({ kind: "comment", ...comment });
        this.#draw();
      }
    } catch (error) {
      toastProblem(error);
    }
    button.disabled = false;
  }

  async #answer(id: string, text: string): Promise<void> {
    try {
      this.#put({ kind: "question", ...(await api.answerQuestion(id, text)) });
      this.#draw();
    } catch (error) {
      toastProblem(error);
      if (error instanceof Problem && error.status === 409) void this.reload(); // somebody was first
    }
  }
}

function commentItem(comment: CommentEntry): HTMLElement {
  return el("li", { class: "entry", data: { kind: "comment" } },
    head(comment.author ?? "Somebody", comment.created_at), el("p", { class: "prose", text: comment.text }));
}

type Answer = (text: string) => Promise<void>;

function questionItem(question: QuestionEntry, answer: Answer): HTMLElement {
  const item = el("li", { class: "entry", data: { kind: "question", status: question.status } },
    head(question.asked_by ? `${question.asked_by} asks` : "Question", question.created_at),
    el("p", { class: "prose", text: question.text }));
  if (question.status !== "open") {
    item.append(el("p", { class: "muted", text: outcome(question) }));
    if (question.answer) item.append(el("p", { class: "prose answer", text: question.answer }));
    return item;
  }
  if (question.deadline_at) {
    item.append(el("p", { class: "muted", text: `Expires ${new Date(question.deadline_at).toLocaleString()}` }));
  }
  item.append(question.options.length > 0 ? choices(question, answer) : freeAnswer(question, answer));
  return item;
}

function outcome({ status, answer, answered_by: by }: QuestionEntry): string {
  if (status === "answered") return by ? `Answered by ${by}` : "Answered";
  return answer ? "Expired; the default holds" : "Expired without an answer";
}

/** A button for each option; all are locked while one is sent. */
function choices(question: QuestionEntry, answer: Answer): HTMLElement {
  const row = el("div", { class: "choices", role: "group", "aria-label": question.text });
  for (const option of question.options) {
    row.append(el("button", { class: "button", type: "button", text: option, data: { needs: "write" },
      on: { click: () => void locked(row, () => answer(option)) } }));
  }
  return row;
}

function freeAnswer(question: QuestionEntry, answer: Answer): HTMLElement {
  const field = el("input", { class: "input", required: true, maxLength: ANSWER_CHARS_MAX, autocomplete: "off", "aria-label": question.text });
  const form = el("form", { class: "choices" }, field, el("button", { class: "button", type: "submit", text: "Answer", data: { needs: "write" } }));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (field.value.trim()) void locked(form, () => answer(field.value));
  });
  return form;
}

async function locked(row: HTMLElement, act: () => Promise<void>): Promise<void> {
  const buttons = [...row.querySelectorAll("button")];
  for (const button of buttons) button.disabled = true;
  await act();
  for (const button of buttons) button.disabled = false;
}

function head(who: string, timestamp: string | undefined): HTMLElement {
  return el("div", { class: "entry-head" }, el("strong", { text: who }),
    timestamp && el("time", { class: "muted", dateTime: timestamp, text: new Date(timestamp).toLocaleString() }));
}
