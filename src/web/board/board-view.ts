// The four columns: which cards are where, keyboard and drag and drop. It shows what the
// store holds and reports what a person wants; it decides nothing.

import { ago, byId, el } from "/assets/dom.js";
import { STATUSES } from "/assets/board-store.js";
import { createCard, refreshCard } from "/assets/board-card.js";

const CARDS_STEP = 100; // a column shows this many and offers more: a full board stays quick

export class BoardView {
  #cards = new Map();
  #columns = new Map();
  #dirty = new Set();
  #frame = 0;
  #flash = new Set();
  query = "";

  constructor(store, actions) {
    this.store = store;
    this.actions = actions;
    for (const status of STATUSES) this.#buildColumn(status);
    this.#watchVisibleColumn();
    document.addEventListener("keydown", (event) => this.#onKey(event));
    setInterval(() => this.#refreshTimes(), 30_000);
  }

  /** Cards to look at again in the next frame. One frame serves a burst of events. */
  invalidate(ids, flash = false) {
    for (const id of ids) {
      this.#dirty.add(id);
      if (flash) this.#flash.add(id);
    }
    this.#frame ||= requestAnimationFrame(() => this.#render());
  }

  search(query) {
    this.query = query.trim();
    this.invalidate([]);
  }

  ready() {
    byId("board").removeAttribute("aria-busy");
    this.invalidate([]);
  }

  #render() {
    this.#frame = 0;
    const focused = document.activeElement;
    const shown = new Set();
    for (const [status, tasks] of this.store.columns(this.query)) this.#renderColumn(status, tasks, shown);
    for (const [id, card] of this.#cards) {
      if (shown.has(id)) continue;
      card.node.remove();
      this.#cards.delete(id);
    }
    this.#dirty.clear();
    this.#flash.clear();
    // Moving a node in the document takes its focus away.
    if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
  }

  #renderColumn(status, tasks, shown) {
    const column = this.#columns.get(status);
    column.count.textContent = tasks.length;
    column.tabCount.textContent = tasks.length;
    const visible = tasks.slice(0, column.limit);
    let place = column.list.firstElementChild;
    for (const task of visible) {
      const node = this.#card(task).node;
      shown.add(task.id);
      if (node === place) place = place.nextElementSibling;
      else column.list.insertBefore(node, place);
    }
    column.more.hidden = tasks.length <= visible.length;
    column.more.textContent = `Show ${Math.min(CARDS_STEP, tasks.length - visible.length)} more of ${tasks.length}`;
    column.empty.hidden = tasks.length > 0 || byId("board").hasAttribute("aria-busy");
    column.empty.textContent = this.#emptyText(status);
  }

  #emptyText(status) {
    if (this.query) return "No match";
    if (this.store.tasks.size === 0 && status === "todo") return "No tasks yet. Create the first one, or POST it to /api/tasks.";
    return "Nothing here";
  }

  #card(task) {
    let card = this.#cards.get(task.id);
    if (!card) {
      card = createCard(task.id, this.actions);
      this.#makeDraggable(card.node);
      this.#cards.set(task.id, card);
    } else if (!this.#dirty.has(task.id)) {
      return card;
    }
    refreshCard(card, task, this.store.executions.get(task.id));
    if (task.partial) this.actions.needDetails(task.id);
    if (this.#flash.has(task.id)) {
      card.node.classList.remove("changed");
      void card.node.offsetWidth; // restarts the animation
      card.node.classList.add("changed");
    }
    return card;
  }

  #buildColumn({ id, label }) {
    const column = {
      limit: CARDS_STEP,
      count: el("span", { class: "count", text: "0" }),
      tabCount: el("span", { class: "count", text: "0" }),
      list: el("ul", { class: "cards", "aria-label": label }),
      empty: el("p", { class: "empty", hidden: true }),
      more: el("button", { class: "button plain more", type: "button", hidden: true }),
    };
    column.more.addEventListener("click", () => {
      column.limit += CARDS_STEP;
      this.invalidate([]);
    });
    column.node = el("section", { class: "column", id: `column-${id}`, data: { status: id }, "aria-label": label },
      el("h2", { class: "column-head" }, el("i", { class: "dot", "aria-hidden": "true" }), label, column.count),
      el("div", { class: "column-body" }, column.list, column.empty, column.more));
    column.tab = el("button", { class: "tab", type: "button", data: { status: id } }, label, column.tabCount);
    column.tab.addEventListener("click", () =>
      column.node.scrollIntoView({ behavior: "smooth", inline: "start", block: "nearest" }));
    this.#makeDropTarget(column.node, id);
    this.#columns.set(id, column);
    byId("board").append(column.node);
    byId("tabs").append(column.tab);
  }

  #makeDraggable(node) {
    node.addEventListener("dragstart", (event) => {
      event.dataTransfer.setData("text/plain", node.dataset.id);
      event.dataTransfer.effectAllowed = "move";
      node.classList.add("dragged");
    });
    node.addEventListener("dragend", () => node.classList.remove("dragged"));
  }

  #makeDropTarget(node, status) {
    node.addEventListener("dragover", (event) => {
      event.preventDefault();
      event.dataTransfer.dropEffect = "move";
      node.classList.add("drop");
    });
    node.addEventListener("dragleave", (event) => {
      if (!node.contains(event.relatedTarget)) node.classList.remove("drop");
    });
    node.addEventListener("drop", (event) => {
      event.preventDefault();
      node.classList.remove("drop");
      const id = event.dataTransfer.getData("text/plain");
      if (this.store.tasks.has(id)) this.actions.move(id, status);
    });
  }

  /** Arrows walk over the cards; with Shift, left and right move the card. */
  #onKey(event) {
    const card = document.activeElement?.closest?.(".card");
    if (!card || !event.key.startsWith("Arrow") || document.activeElement.matches("select")) return;
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const statuses = STATUSES.map((status) => status.id);
    const here = statuses.indexOf(card.closest(".column").dataset.status);
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (step === 0) {
      const neighbour = event.key === "ArrowDown" ? card.nextElementSibling : card.previousElementSibling;
      neighbour?.querySelector(".card-title").focus();
    } else if (event.shiftKey) {
      if (statuses[here + step]) this.actions.move(card.dataset.id, statuses[here + step]);
    } else {
      this.#focusBeside(card, statuses, here, step);
    }
  }

  #focusBeside(card, statuses, here, step) {
    const row = [...card.parentNode.children].indexOf(card);
    for (let at = here + step; statuses[at]; at += step) {
      const cards = this.#columns.get(statuses[at]).list.children;
      if (cards.length === 0) continue;
      cards[Math.min(row, cards.length - 1)].querySelector(".card-title").focus();
      return;
    }
  }

  /** On a narrow screen one column fills the width; its tab is marked. */
  #watchVisibleColumn() {
    const watch = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        const { tab } = this.#columns.get(target.dataset.status);
        if (isIntersecting) tab.setAttribute("aria-current", "true");
        else tab.removeAttribute("aria-current");
      }
    }, { root: byId("board"), threshold: 0.6 });
    for (const column of this.#columns.values()) watch.observe(column.node);
  }

  #refreshTimes() {
    for (const card of this.#cards.values()) card.parts.time.textContent = ago(card.parts.time.dateTime);
  }
}
