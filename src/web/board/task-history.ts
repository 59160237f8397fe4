// What was said about the open task: its comments and questions, oldest first. An open question is answered here.
//
// It is filled by lists and folded forward by events, in any overlap: a question that has ended stays ended. Each entry
// is drawn anew only when it has changed, so that a half-written answer survives what others do.

import * as api from "/assets/api.js";
import { byId, el } from "/assets/dom.js";
import { toastProblem } from "/assets/toast.js";

const ENTRIES_MAX = 2000;
const ANSWER_CHARS_MAX = 16_384;

export class TaskHistory {
  #id = null;
  #turn = 0;
  #entries = new Map();
  #shown = new Map();

  constructor() {
    this.list = byId("history");
    this.form = byId("comment-form");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#comment(this.form.elements.text, this.form.querySelector("button"));
    });
  }

  /** Shows the history of a task. */
  show(id) {
    if (id === this.#id) return;
    this.hide();
    this.#id = id;
    this.reload();
  }

  hide() {
    this.#id = null;
    this.#turn += 1;
    this.#entries.clear();
    this.#shown.clear();
    this.list.replaceChildren();
    this.form.reset();
  }

  /** Reads what is there now. */
  async reload() {
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
      if (turn === this.#turn && error.status !== 404) toastProblem(error); // 404: deleted meanwhile
    }
  }

  /** Folds in a message of the stream. */
  apply({ event, data, timestamp }) {
    if (!this.#id || data.task_id !== this.#id) return;
    if (event === "comment_added") {
      this.#put({ kind: "comment", id: data.comment_id, author: data.author, text: data.text, created_at: timestamp });
    } else if (event === "question_asked" || event === "question_answered" || event === "question_expired") {
      this.#put({
        kind: "question", id: data.question_id, text: data.text, options: data.options, answer: data.answer,
        status: { question_asked: "open", question_answered: "answered", question_expired: "expired" }[event],
        deadline_at: data.deadline,
        ...(event === "question_asked"
          ? { asked_by: data.by, created_at: timestamp }
          : { answered_by: data.by, ended_at: timestamp }),
      });
    } else {
      return;
    }
    this.#draw();
  }

  #put(entry) {
    const known = this.#entries.get(entry.id);
    if (known?.status && known.status !== "open" && entry.status === "open") return;
    this.#entries.set(entry.id, { ...known, ...entry });
  }

  #draw() {
    const ids = [...this.#entries.keys()].sort(); // UUIDv7 sorts by time
    for (const [index, id] of ids.entries()) {
      const entry = this.#entries.get(id);
      const state = JSON.stringify(entry);
      const shown = this.#shown.get(id);
      if (shown?.state === state) continue;
      const node = entry.kind === "comment" ? commentItem(entry) : questionItem(entry, (text) => this.#answer(id, text));
      if (shown) shown.node.replaceWith(node);
      else this.list.insertBefore(node, this.list.children[index] ?? null);
      this.#shown.set(id, { state, node });
    }
  }

  async #comment(field, button) {
    if (!field.value.trim()) return;
    const id = this.#id;
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

  async #answer(id, text) {
    try {
      this.#put({ kind: "question", ...(await api.answerQuestion(id, text)) });
      this.#draw();
    } catch (error) {
      toastProblem(error);
      if (error.status === 409) this.reload(); // somebody was first
    }
  }
}

function commentItem(comment) {
  return el("li", { class: "entry", data: { kind: "comment" } },
    head(comment.author ?? "Somebody", comment.created_at), el("p", { class: "prose", text: comment.text }));
}

function questionItem(question, answer) {
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

function outcome({ status, answer, answered_by: by }) {
  if (status === "answered") return by ? `Answered by ${by}` : "Answered";
  return answer ? "Expired; the default holds" : "Expired without an answer";
}

/** A button for each option; all are locked while one is sent. */
function choices(question, answer) {
  const row = el("div", { class: "choices", role: "group", "aria-label": question.text });
  for (const option of question.options) {
    row.append(el("button", { class: "button", type: "button", text: option, on: { click: () => locked(row, () => answer(option)) } }));
  }
  return row;
}

function freeAnswer(question, answer) {
  const field = el("input", { class: "input", required: true, maxLength: ANSWER_CHARS_MAX, autocomplete: "off", "aria-label": question.text });
  const form = el("form", { class: "choices" }, field, el("button", { class: "button", type: "submit", text: "Answer" }));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (field.value.trim()) locked(form, () => answer(field.value));
  });
  return form;
}

async function locked(row, act) {
  const buttons = [...row.querySelectorAll("button")];
  for (const button of buttons) button.disabled = true;
  await act();
  for (const button of buttons) button.disabled = false;
}

function head(who, timestamp) {
  return el("div", { class: "entry-head" }, el("strong", { text: who }),
    el("time", { class: "muted", dateTime: timestamp, text: new Date(timestamp).toLocaleString() }));
}
