// The keys of the board: what each one does is said once, for the help and for the hand.

import { byId, el } from "../shared/dom.ts";

export interface Key {
  /** As it is pressed: `n`, `g b`, `Ctrl K`. */
  keys: string[];
  words: string;
  group: string;
  act: () => void;
}

const SEQUENCE_MS = 1200;
const TYPING = "input:not([type=checkbox]), textarea, select, [contenteditable]";

export class Keys {
  #first = "";
  #firstAt = 0;

  constructor(readonly keys: readonly Key[]) {
    document.addEventListener("keydown", (event) => this.#onKey(event));
    byId("keys-close").addEventListener("click", () => byId<HTMLDialogElement>("keys-dialog").close());
  }

  /** Shows them all. */
  help(): void {
    const groups = new Map<string, Key[]>();
    for (const key of this.keys) groups.set(key.group, [...(groups.get(key.group) ?? []), key]);
    byId("keys-list").replaceChildren(...[...groups].map(([group, keys]) => el("section", {},
      el("h3", { text: group }),
      el("dl", {}, ...keys.map(({ keys: names, words }) => el("div", {}, el("dt", {}, ...names.flatMap(keyCaps)), el("dd", { text: words })))))));
    byId<HTMLDialogElement>("keys-dialog").showModal();
  }

  #onKey(event: KeyboardEvent): void {
    const isPalette = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k" && !event.altKey && !event.shiftKey;
    if (document.querySelector("dialog[open]") || event.defaultPrevented || event.isComposing) return;
    if (isPalette) return this.#press("Ctrl K", event);
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if ((event.target as Element).matches?.(TYPING)) return;
    const isSecond = this.#first !== "" && performance.now() - this.#firstAt < SEQUENCE_MS;
    const name = isSecond ? `${this.#first} ${event.key}` : event.key;
    this.#first = "";
    if (!isSecond && this.keys.some(({ keys }) => keys.some((key) => key.startsWith(`${event.key} `)))) {
      this.#first = event.key;
      this.#firstAt = performance.now();
      return;
    }
    this.#press(name, event);
  }

  #press(name: string, event: KeyboardEvent): void {
    const key = this.keys.find(({ keys }) => keys.includes(name));
    if (!key) return;
    event.preventDefault();
    key.act();
  }
}

const keyCaps = (name: string, at: number): (Node | string)[] =>
  [...(at > 0 ? [" or "] : []), ...name.split(" ").map((cap) => el("kbd", { text: cap }))];
