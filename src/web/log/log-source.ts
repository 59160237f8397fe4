// The end of an execution's log, followed by byte offset while it grows.

import { readLog } from "/assets/api.js";
import { readable } from "/assets/terminal-text.js";
import { toastProblem } from "/assets/toast.js";

const POLL_MS = 1000;
const RETRY_MS = 4000;
const TAIL_LINES = 300;
const SHOWN_CHARS_MAX = 200_000; // a chatty script must not fill the browser's memory

export class LogTail {
  #timer = 0;
  #key = null;
  #offset = null;
  #text = "";

  constructor(output) {
    this.output = output;
  }

  /** Follows this execution; calling it again for the same one changes nothing. */
  follow(execution) {
    if (execution.id === this.#key) return;
    this.stop();
    this.#key = execution.id;
    this.#poll(execution.task_id, execution.id);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#key = null;
    this.#offset = null;
    this.#show("");
  }

  async #poll(taskId, key) {
    let page;
    try {
      page = await readLog(taskId, this.#offset === null ? { tail: TAIL_LINES } : { offset: this.#offset });
    } catch (error) {
      if (key !== this.#key) return;
      const passing = error.status === 0 || error.status === 429 || error.status >= 500;
      if (passing) this.#timer = setTimeout(() => this.#poll(taskId, key), RETRY_MS);
      else toastProblem(error);
      return;
    }
    if (key !== this.#key) return; // another execution was chosen meanwhile
    if (page.next_offset < (this.#offset ?? 0)) {
      this.#offset = null; // the file was cut: start again from its end
      this.#text = "";
    } else {
      this.#offset = page.next_offset;
      if (page.text) this.#show(this.#text + page.text);
    }
    const behind = page.next_offset < page.size;
    if (page.complete && !behind) return;
    this.#timer = setTimeout(() => this.#poll(taskId, key), behind ? 0 : POLL_MS);
  }

  #show(text) {
    this.#text = text.slice(-SHOWN_CHARS_MAX);
    const { output } = this;
    const atEnd = output.scrollHeight - output.scrollTop - output.clientHeight < 24;
    output.textContent = readable(this.#text);
    if (atEnd) output.scrollTop = output.scrollHeight;
  }
}
