// The four columns: which cards are where, keyboard and drag and drop. It shows what the store holds and reports what a
// person wants; it decides nothing. A column draws only the cards that can be seen.

import type { Status } from "../shared/api-types.ts";
import { byId, el, setText } from "../shared/dom.ts";
import { refusal } from "../shared/gate.ts";
import { toast } from "../shared/toast.ts";
import { ago } from "../shared/times.ts";
import { createCard, refreshCard, type Card, type CardActions } from "./board-card.ts";
import { STATUSES, type BoardStore, type BoardTask } from "./board-store.ts";
import { VirtualList } from "./virtual-list.ts";

const TIMES_MS = 30_000;

export interface ViewActions extends CardActions {
  needDetails(id: string): void;
}

interface Column {
  status: Status;
  node: HTMLElement;
  list: HTMLUListElement;
  cards: VirtualList;
  ids: string[];
  count: HTMLElement;
  tabCount: HTMLElement;
  tab: HTMLButtonElement;
  empty: HTMLElement;
}

export class BoardView {
  readonly #cards = new Map<string, Card>();
  readonly #columns = new Map<Status, Column>();
  readonly #flash = new Set<string>();
  #frame = 0;
  query = "";

  constructor(readonly store: BoardStore, readonly actions: ViewActions) {
    for (const status of STATUSES) this.#buildColumn(status.id, status.label);
    this.#watchVisibleColumn();
    document.addEventListener("keydown", (event) => this.#onKey(event));
    setInterval(() => this.#refreshTimes(), TIMES_MS);
  }

  /** Draws in the next frame. One frame serves a burst of events. */
  invalidate(ids: Iterable<string> = [], flash = false): void {
    if (flash) for (const id of ids) this.#flash.add(id);
    this.#frame ||= requestAnimationFrame(() => this.#render());
  }

  /** What a card shows depends on more than its task. */
  redraw(): void {
    for (const card of this.#cards.values()) card.shown.task = null;
    this.invalidate();
  }

  search(query: string): void {
    this.query = query.trim();
    for (const column of this.#columns.values()) column.cards.scroller.scrollTop = 0;
    this.invalidate();
  }

  ready(): void {
    byId("board").removeAttribute("aria-busy");
    this.invalidate();
  }

  /** The task whose card has the focus. */
  get focused(): string | null {
    return document.activeElement?.closest<HTMLElement>(".card")?.dataset["id"] ?? null;
  }

  /** Moves the focus as the arrow `key` does; from outside, to the first card. */
  walk(key: string): void {
    if (this.focused) return this.#walk(key, false);
    const column = [...this.#columns.values()].find(({ ids }) => ids.length > 0);
    if (column) this.#focusAt(column, column.ids[0] as string);
  }

  /** Puts the focus on a card, if the board has it. */
  focus(id: string): void {
    const task = this.store.tasks.get(id);
    if (task) this.#focusAt(this.#column(this.store.statusOf(task)), id);
  }

  #column(status: Status): Column {
    const column = this.#columns.get(status);
    if (!column) throw new Error(`there is no column ${status}`);
    return column;
  }

  #render(): void {
    this.#frame = 0;
    const focused = document.activeElement;
    const shown = new Set<string>();
    for (const { cards } of this.#columns.values()) cards.read();
    for (const [status, tasks] of this.store.columns(this.query)) this.#renderColumn(this.#column(status), tasks, shown);
    const kept = focused?.closest<HTMLElement>(".card")?.dataset["id"];
    for (const [id, card] of this.#cards) {
      if (shown.has(id)) continue;
      if (id === kept && [...this.#columns.values()].some(({ ids }) => ids.includes(id))) {
        card.node.classList.add("offstage"); // out of sight, with the focus still on it
        continue;
      }
      card.node.remove();
      this.#cards.delete(id);
    }
    for (const column of this.#columns.values()) column.cards.measure(this.#drawn(column));
    this.#flash.clear();
    // Moving a node in the document takes its focus away.
    if (focused !== document.activeElement && focused instanceof HTMLElement && focused.isConnected) focused.focus({ preventScroll: true });
  }

  *#drawn(column: Column): Iterable<readonly [string, HTMLElement]> {
    for (const node of column.list.children) {
      const id = (node as HTMLElement).dataset["id"];
      if (id) yield [id, node as HTMLElement];
    }
  }

  #renderColumn(column: Column, tasks: readonly BoardTask[], shown: Set<string>): void {
    setText(column.count, String(tasks.length));
    setText(column.tabCount, String(tasks.length));
    column.ids = tasks.map((task) => task.id);
    const { from, to } = column.cards.slice(column.ids);
    let place = column.list.firstElementChild;
    for (let at = from; at < to; at += 1) {
      const task = tasks[at] as BoardTask;
      const { node } = this.#card(task);
      shown.add(task.id);
      node.classList.remove("offstage");
      node.setAttribute("aria-posinset", String(at + 1));
      node.setAttribute("aria-setsize", String(tasks.length));
      if (node === place) place = place.nextElementSibling;
      else column.list.insertBefore(node, place);
    }
    column.empty.hidden = tasks.length > 0 || byId("board").hasAttribute("aria-busy");
    setText(column.empty, this.query ? "No match" : "Nothing here");
  }

  #card(task: BoardTask): Card {
    let card = this.#cards.get(task.id);
    if (!card) {
      card = createCard(task.id, this.actions);
      this.#makeDraggable(card.node);
      this.#cards.set(task.id, card);
    }
    if (task.partial && card.shown.task !== task) this.actions.needDetails(task.id);
    refreshCard(card, task, this.store.executions.get(task.id), this.store.pending.get(task.id));
    if (this.#flash.has(task.id) && !card.node.classList.contains("changed")) {
      card.node.classList.add("changed");
      card.node.addEventListener("animationend", (event) => (event.currentTarget as HTMLElement).classList.remove("changed"), { once: true });
    }
    return card;
  }

  #buildColumn(status: Status, label: string): void {
    const count = el("span", { class: "count", text: "0" });
    const tabCount = el("span", { class: "count", text: "0" });
    const list = el("ul", { class: "cards", "aria-label": label });
    const empty = el("p", { class: "empty", hidden: true });
    const body = el("div", { class: "column-body" }, list, empty);
    const node = el("section", { class: "column", id: `column-${status}`, data: { status }, "aria-label": label },
      el("h2", { class: "column-head" }, el("i", { class: "dot", "aria-hidden": "true" }), label, count), body);
    const tab = el("button", { class: "tab", type: "button", data: { status } }, label, tabCount);
    tab.addEventListener("click", () => node.scrollIntoView({ behavior: "smooth", inline: "start", block: "nearest" }));
    const cards = new VirtualList(list, body, () => this.invalidate());
    this.#columns.set(status, { status, node, list, cards, ids: [], count, tabCount, tab, empty });
    this.#makeDropTarget(node, status);
    byId("board").append(node);
    byId("tabs").append(tab);
  }

  #makeDraggable(node: HTMLElement): void {
    node.addEventListener("dragstart", (event) => {
      const reason = refusal("write");
      if (reason) {
        event.preventDefault();
        toast("warning", reason);
        return;
      }
      event.dataTransfer?.setData("text/plain", node.dataset["id"] ?? "");
      if (event.dataTransfer) event.dataTransfer.effectAllowed = "move";
      node.classList.add("dragged");
    });
    node.addEventListener("dragend", () => node.classList.remove("dragged"));
  }

  #makeDropTarget(node: HTMLElement, status: Status): void {
    node.addEventListener("dragover", (event) => {
      event.preventDefault();
      if (event.dataTransfer) event.dataTransfer.dropEffect = "move";
      node.classList.add("drop");
    });
    node.addEventListener("dragleave", (event) => {
      if (!node.contains(event.relatedTarget as Node | null)) node.classList.remove("drop");
    });
    node.addEventListener("drop", (event) => {
      event.preventDefault();
      node.classList.remove("drop");
      const id = event.dataTransfer?.getData("text/plain") ?? "";
      if (this.store.tasks.has(id)) void this.actions.move(id, status);
    });
  }

  /** Arrows walk over the cards; with Shift, left and right move the card. */
  #onKey(event: KeyboardEvent): void {
    const card = document.activeElement?.closest<HTMLElement>(".card");
    if (!card || !event.key.startsWith("Arrow") || document.activeElement?.matches("select")) return;
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.#walk(event.key, event.shiftKey);
  }

  #walk(key: string, isMove: boolean): void {
    const card = document.activeElement?.closest<HTMLElement>(".card");
    if (!card) return;
    const id = card.dataset["id"] as string;
    const statuses = STATUSES.map((status) => status.id);
    const here = statuses.indexOf(card.closest<HTMLElement>(".column")?.dataset["status"] as Status);
    const step = key === "ArrowRight" ? 1 : key === "ArrowLeft" ? -1 : 0;
    const column = this.#column(statuses[here] as Status);
    const row = column.ids.indexOf(id);
    if (step === 0) {
      const next = column.ids[row + (key === "ArrowDown" ? 1 : -1)];
      if (next) this.#focusAt(column, next);
    } else if (isMove) {
      const target = statuses[here + step];
      const reason = refusal("write");
      if (target && reason) toast("warning", reason);
      else if (target) void this.actions.move(id, target);
    } else {
      for (let at = here + step; statuses[at]; at += step) {
        const beside = this.#column(statuses[at] as Status);
        const next = beside.ids[Math.min(row, beside.ids.length - 1)];
        if (next) return this.#focusAt(beside, next);
      }
    }
  }

  #focusAt(column: Column, id: string): void {
    const index = column.ids.indexOf(id);
    if (index < 0) return;
    if (!this.#cards.get(id)?.node.isConnected) {
      column.cards.reveal(index);
      cancelAnimationFrame(this.#frame);
      this.#render();
    }
    this.#cards.get(id)?.parts.title.focus();
  }

  /** On a narrow screen one column fills the width; its tab is marked. */
  #watchVisibleColumn(): void {
    const watch = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        const { tab } = this.#column((target as HTMLElement).dataset["status"] as Status);
        if (isIntersecting) tab.setAttribute("aria-current", "true");
        else tab.removeAttribute("aria-current");
      }
    }, { root: byId("board"), threshold: 0.6 });
    for (const column of this.#columns.values()) watch.observe(column.node);
  }

  #refreshTimes(): void {
    for (const { parts } of this.#cards.values()) setText(parts.time, ago(parts.time.dateTime));
  }
}
