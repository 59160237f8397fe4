// Rows of equal height, of which only those are in the document that can be seen. A row is drawn anew when what it shows
// has changed; the one with the focus stays.

import { el } from "../shared/dom.ts";

const OVERSCAN_ROWS = 8;
const HEIGHT_PX_MAX = 15_000_000; // beyond this, browsers place elements wrongly

export interface RowSource {
  count(): number;
  /** What names the row at this index, however the order changes. */
  keyOf(index: number): string;
  create(key: string): HTMLElement;
  refresh(node: HTMLElement, index: number): void;
}

export class RowList {
  readonly #rows = new Map<string, HTMLElement>();
  readonly #sizer = el("div", { class: "rows-sizer", role: "presentation" });
  #frame = 0;

  constructor(readonly scroller: HTMLElement, readonly rowPx: number, readonly source: RowSource) {
    scroller.append(this.#sizer);
    scroller.addEventListener("scroll", () => this.invalidate(), { passive: true });
    new ResizeObserver(() => this.invalidate()).observe(scroller);
  }

  invalidate(): void {
    this.#frame ||= requestAnimationFrame(() => this.render());
  }

  /** Shows the row at `index`, and puts the focus on it. */
  focus(index: number): void {
    const top = index * this.rowPx;
    const { scrollTop, clientHeight } = this.scroller;
    const head = this.#sizer.offsetTop;
    if (top < scrollTop) this.scroller.scrollTop = top;
    else if (top + this.rowPx + head > scrollTop + clientHeight) this.scroller.scrollTop = top + this.rowPx + head - clientHeight;
    this.render();
    this.#rows.get(this.source.keyOf(index))?.querySelector<HTMLElement>("a")?.focus({ preventScroll: true });
  }

  render(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (this.scroller.offsetParent === null) return;
    const count = this.source.count();
    const { scrollTop, clientHeight } = this.scroller;
    this.#sizer.style.setProperty("height", `${Math.min(count * this.rowPx, HEIGHT_PX_MAX)}px`);
    const first = Math.max(0, Math.floor(scrollTop / this.rowPx) - OVERSCAN_ROWS);
    const last = Math.min(count, Math.ceil((scrollTop + clientHeight) / this.rowPx) + OVERSCAN_ROWS);
    const shown = new Set<string>();
    const focused = document.activeElement;
    for (let index = first; index < last; index += 1) {
      const key = this.source.keyOf(index);
      shown.add(key);
      let node = this.#rows.get(key);
      if (!node) {
        node = this.source.create(key);
        this.#rows.set(key, node);
      }
      if (node.parentNode !== this.#sizer) this.#sizer.append(node);
      node.style.setProperty("top", `${index * this.rowPx}px`);
      node.setAttribute("aria-rowindex", String(index + 2)); // the head is the first
      this.source.refresh(node, index);
    }
    for (const [key, node] of this.#rows) {
      if (shown.has(key) || node.contains(focused)) continue;
      node.remove();
      this.#rows.delete(key);
    }
  }
}
