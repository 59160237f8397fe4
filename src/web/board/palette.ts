// Ctrl K: tasks, views and actions, found by a few letters.

import { byId, el } from "../shared/dom.ts";
import { marked } from "../shared/marks.ts";
import type { BoardStore, BoardTask } from "./board-store.ts";

const SHOWN_MAX = 12;

export interface Command {
  words: string;
  /** The keys that do the same. */
  keys?: string;
  act: () => void;
}

interface Entry {
  kind: string;
  words: string;
  hint: string;
  act: () => void;
}

export class Palette {
  #entries: Entry[] = [];
  #at = 0;
  readonly #dialog = byId<HTMLDialogElement>("palette");
  readonly #input = byId<HTMLInputElement>("palette-input");

  constructor(readonly store: BoardStore, readonly commands: () => Command[], readonly open: (id: string) => void) {
    this.#input.addEventListener("input", () => this.#find());
    this.#input.addEventListener("keydown", (event) => this.#onKey(event));
    this.#dialog.addEventListener("click", (event) => {
      if (event.target === this.#dialog) this.#dialog.close(); // the backdrop itself
    });
  }

  show(): void {
    this.#input.value = "";
    this.#find();
    this.#dialog.showModal();
    this.#input.focus();
  }

  #find(): void {
    const words = this.#input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const isMatch = (text: string) => words.every((word) => text.toLowerCase().includes(word));
    const commands = this.commands().filter((command) => isMatch(command.words))
      .map(({ words: text, keys = "", act }): Entry => ({ kind: "action", words: text, hint: keys, act }));
    const tasks = latest(this.store.matching(words.join(" ")), SHOWN_MAX)
      .map((task): Entry => ({ kind: "task", words: marked(task.title), hint: task.key, act: () => this.open(task.id) }));
    const exact = this.store.find(this.#input.value.trim());
    if (exact) tasks.sort((a, b) => Number(b.hint === exact.key) - Number(a.hint === exact.key));
    this.#entries = (exact ? [...tasks, ...commands] : words.length === 0 ? [...commands, ...tasks] : [...commands.slice(0, 4), ...tasks]).slice(0, SHOWN_MAX);
    this.#at = 0;
    this.#draw();
  }

  #draw(): void {
    byId("palette-list").replaceChildren(...this.#entries.map((entry, at) => {
      const item = el("li", { id: `palette-${at}`, role: "option", "aria-selected": String(at === this.#at), data: { kind: entry.kind } },
        el("span", { class: "palette-words", text: entry.words }), el("span", { class: "palette-hint muted mono", text: entry.hint }));
      item.addEventListener("click", () => this.#take(at));
      return item;
    }));
    byId("palette-empty").hidden = this.#entries.length > 0;
    this.#input.setAttribute("aria-activedescendant", this.#entries.length > 0 ? `palette-${this.#at}` : "");
    byId("palette-list").children[this.#at]?.scrollIntoView({ block: "nearest" });
  }

  #onKey(event: KeyboardEvent): void {
    const count = this.#entries.length;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (count > 0) this.#at = (this.#at + (event.key === "ArrowDown" ? 1 : count - 1)) % count;
      this.#draw();
    } else if (event.key === "Enter") {
      this.#take(this.#at);
    } else return;
    event.preventDefault();
  }

  #take(at: number): void {
    const entry = this.#entries[at];
    if (!entry) return;
    this.#dialog.close();
    entry.act();
  }
}

/** The tasks that were changed last; there may be too many to sort them all. */
function latest(tasks: BoardTask[], max: number): BoardTask[] {
  const found: BoardTask[] = [];
  for (const task of tasks) {
    if (found.length === max && task.updated_at <= (found[max - 1] as BoardTask).updated_at) continue;
    const at = found.findIndex((other) => other.updated_at < task.updated_at);
    found.splice(at < 0 ? found.length : at, 0, task);
    if (found.length > max) found.pop();
  }
  return found;
}
