// Shows a log as a terminal does, with only the lines in the document that can be seen. A line that stays is never drawn
// anew, and one that is selected is kept: what a person has selected survives while the log grows.
//
// Where the scroll bar stands says which line is shown where: at a third of its way, the line at a third of the log is at
// a third of the window. So lines may be of any height, and a log may be longer than a browser can place elements.

import { el } from "../shared/dom.ts";
import type { LogDocument } from "./log-document.ts";
import { spansOf, type Span } from "./terminal-spans.ts";

const LINE_PX = 18;
const OVERSCAN_LINES = 8;
const HEIGHT_PX_MAX = 15_000_000; // beyond this, browsers place elements wrongly
const HIT = "log-hit";

export interface ViewListener {
  /** The view stays at the end while the log grows, or stays no more. */
  onFollow: (follows: boolean) => void;
  /** The number of a line was pressed. */
  onLine: (index: number) => void;
}

export class LogView {
  #log: LogDocument | null = null;
  readonly #rows = new Map<number, HTMLElement>();
  /** What each row shows. */
  readonly #drawn = new WeakMap<HTMLElement, string>();
  readonly #sizer = el("div", { class: "log-lines" });
  #frame = 0;
  #follows = true;
  #wraps = false;
  #rowPx = LINE_PX;
  #marked = -1;
  #needle = "";

  constructor(readonly scroller: HTMLElement, readonly listener: ViewListener) {
    scroller.replaceChildren(this.#sizer);
    scroller.addEventListener("scroll", () => {
      const isAtEnd = this.#scrollMax() - scroller.scrollTop < LINE_PX * 1.5;
      if (isAtEnd !== this.#follows) this.#setFollows(isAtEnd);
      this.draw();
    }, { passive: true });
    scroller.addEventListener("click", (event) => {
      const number = (event.target as HTMLElement).closest<HTMLElement>(".log-number");
      if (number) listener.onLine(Number(number.dataset["line"]) - 1);
    });
    new ResizeObserver(() => this.draw()).observe(scroller);
    this.show(null);
  }

  show(log: LogDocument | null): void {
    this.#log = log;
    for (const row of this.#rows.values()) row.remove();
    this.#rows.clear();
    this.#marked = -1;
    this.#needle = "";
    this.follow(true);
  }

  follow(follows: boolean): void {
    this.#setFollows(follows);
    this.draw();
  }

  wrap(wraps: boolean): void {
    this.#wraps = wraps;
    this.scroller.classList.toggle("wrapped", wraps);
    this.#setRowPx(LINE_PX);
  }

  /** Shows this line, marked. */
  goTo(index: number): void {
    if (!this.#log) return;
    this.#marked = index;
    this.#setFollows(false);
    this.#resize();
    this.scroller.scrollTop = ((index + 0.5) / Math.max(1, this.#log.length)) * this.#scrollMax();
    this.scroller.scrollLeft = 0;
    this.draw();
  }

  /** Marks this text wherever it is. */
  mark(text: string): void {
    this.#needle = text.toLowerCase();
    this.draw();
  }

  draw(): void {
    this.#frame ||= requestAnimationFrame(() => this.#render());
  }

  #setFollows(follows: boolean): void {
    this.#follows = follows;
    this.listener.onFollow(follows);
  }

  #scrollMax(): number {
    return Math.max(0, this.scroller.scrollHeight - this.scroller.clientHeight);
  }

  #resize(): void {
    const height = Math.min((this.#log?.length ?? 0) * this.#rowPx, HEIGHT_PX_MAX);
    this.#sizer.style.setProperty("height", `${Math.round(height)}px`);
  }

  #render(): void {
    this.#frame = 0;
    const length = this.#log?.length ?? 0;
    this.scroller.dataset["empty"] = String(length === 0 && this.#log?.isCaughtUp === true);
    this.#resize();
    const max = this.#scrollMax();
    if (this.#follows) this.scroller.scrollTop = max;
    const { scrollTop, clientHeight } = this.scroller;
    const part = max > 0 ? Math.min(1, scrollTop / max) : 0;
    const place = part * length;
    const anchor = Math.max(0, Math.min(length - 1, Math.floor(place)));
    const seen = Math.ceil(clientHeight / LINE_PX) + OVERSCAN_LINES;
    const first = Math.max(0, anchor - (this.#wraps ? seen : Math.ceil(seen * part) + OVERSCAN_LINES));
    const last = Math.min(length, anchor + (this.#wraps ? seen : Math.ceil(seen * (1 - part)) + OVERSCAN_LINES) + 1);
    this.#removeRows(first, last);
    const rows = Array.from({ length: Math.max(0, last - first) }, (_, at) => this.#row(first + at));
    const heights = this.#wraps ? rows.map((row) => row.offsetHeight) : rows.map(() => LINE_PX);
    const anchorTop = scrollTop + part * clientHeight - (place - anchor) * (heights[anchor - first] ?? 0);
    let top = anchorTop - heights.slice(0, anchor - first).reduce((sum, height) => sum + height, 0);
    // The whole log is drawn: it begins at the top.
    if (max === 0) top = 0;
    for (const [at, row] of rows.entries()) {
      row.style.setProperty("top", `${top}px`);
      top += heights[at] ?? 0;
    }
    if (this.#wraps) this.#learnHeight(heights, length);
    this.#highlight(rows);
  }

  /** The average height of a line says how long the scroll bar is. */
  #learnHeight(heights: number[], length: number): void {
    if (heights.length === 0) return;
    const average = heights.reduce((sum, height) => sum + height, 0) / heights.length;
    const isWhole = heights.length === length;
    if (average === this.#rowPx || (!isWhole && Math.abs(average / this.#rowPx - 1) < 0.2)) return;
    this.#setRowPx(average);
  }

  /** The scroll bar becomes longer or shorter, and stands at the same line. */
  #setRowPx(px: number): void {
    const max = this.#scrollMax();
    const part = max > 0 ? this.scroller.scrollTop / max : 0;
    this.#rowPx = px;
    this.#resize();
    this.scroller.scrollTop = part * this.#scrollMax();
    this.draw();
  }

  #removeRows(first: number, last: number): void {
    // Asked once: after each change of the document the answer would need a new layout.
    const selection = document.getSelection();
    const chosen = selection && !selection.isCollapsed ? selection : null;
    const isSelected = (row: HTMLElement) => chosen?.containsNode(row, true) ?? false;
    for (const [index, row] of this.#rows) {
      if ((index >= first && index < last) || isSelected(row)) continue;
      row.remove();
      this.#rows.delete(index);
    }
  }

  #row(index: number): HTMLElement {
    let row = this.#rows.get(index);
    if (!row) {
      row = el("div", { class: "log-line" });
      this.#rows.set(index, row);
      this.#sizer.insertBefore(row, this.#rows.get(index + 1) ?? this.#after(index));
    }
    row.classList.toggle("marked", index === this.#marked);
    const line = this.#log?.line(index);
    if (!line && this.#drawn.has(row)) return row; // as it was, until it was read anew
    const raw = line ? `${line.raw}\n` : "";
    if (this.#drawn.get(row) === raw) return row;
    if (line) this.#drawn.set(row, raw);
    row.replaceChildren(el("span", { class: "log-number", "aria-hidden": "true", data: { line: String(index + 1) } }),
      ...(line ? spansOf(line.raw, line.style).map(spanNode) : []), "\n");
    return row;
  }

  /** The row before which this line belongs: a selection goes by the order in the document. */
  #after(index: number): HTMLElement | null {
    let found: number | null = null;
    for (const other of this.#rows.keys()) if (other > index && (found === null || other < found)) found = other;
    return found === null ? null : this.#rows.get(found) ?? null;
  }

  /** Marks what is searched for without a change of the document: a change would end a selection. */
  #highlight(rows: HTMLElement[]): void {
    const highlights = (CSS as { highlights?: HighlightRegistry }).highlights;
    if (!highlights) return;
    highlights.delete(HIT);
    if (this.#needle === "") return;
    const ranges = rows.flatMap((row) => rangesIn(row, this.#needle));
    if (ranges.length > 0) highlights.set(HIT, new Highlight(...ranges));
  }
}

/** Where `needle` is in the texts of a row. */
function rangesIn(row: HTMLElement, needle: string): Range[] {
  const walker = document.createTreeWalker(row, NodeFilter.SHOW_TEXT);
  const nodes: { node: Text; start: number }[] = [];
  let text = "";
  for (let node = walker.nextNode() as Text | null; node; node = walker.nextNode() as Text | null) {
    nodes.push({ node, start: text.length });
    text += node.data;
  }
  const place = (at: number, isEnd: boolean) => {
    const found = nodes.findLast(({ start }) => (isEnd ? start < at : start <= at));
    return found ? [found.node, at - found.start] as const : null;
  };
  const ranges: Range[] = [];
  const lower = text.toLowerCase();
  if (lower.length !== text.length) return []; // letters that grow: the places would be others
  for (let at = lower.indexOf(needle); at !== -1; at = lower.indexOf(needle, at + needle.length)) {
    const [from, to] = [place(at, false), place(at + needle.length, true)];
    if (!from || !to) continue;
    const range = new Range();
    range.setStart(...from);
    range.setEnd(...to);
    ranges.push(range);
  }
  return ranges;
}

function spanNode({ text, style }: Span): HTMLElement {
  const classes = ["bold", "dim", "italic", "underline"].filter((name) => style[name as "bold"]);
  const [colour, background] = style.inverse ? [style.background ?? "bg", style.colour ?? "fg"] : [style.colour, style.background];
  const node = el("span", { class: classes.join(" ") });
  node.textContent = text; // as it was written; nothing here is markup
  paint(node, "colour", "color", colour);
  paint(node, "background", "background-color", background);
  return node;
}

/** A colour of the terminal goes by a class of the theme; any other one as it is. */
function paint(node: HTMLElement, name: string, property: string, colour: string | null): void {
  if (colour === null) return;
  if (colour.startsWith("#")) node.style.setProperty(property, colour);
  else node.dataset[name] = colour;
}
