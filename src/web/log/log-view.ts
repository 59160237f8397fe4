// Shows a log as a terminal does, with only the lines in the document that can be seen. A line that stays is never drawn
// anew, and one that is selected is kept: what a person has selected survives while the log grows.

import { el, setText } from "../shared/dom.ts";
import { TerminalLines, type Span } from "./terminal-lines.ts";

const LINE_PX = 18;
const OVERSCAN_LINES = 30;
const HEIGHT_PX_MAX = 15_000_000; // beyond this, browsers place elements wrongly

export class LogView {
  #lines = new TerminalLines();
  readonly #rows = new Map<number, HTMLElement>();
  /** What each row shows. */
  readonly #drawn = new WeakMap<HTMLElement, string>();
  readonly #sizer = el("div", { class: "log-lines" });
  readonly #note = el("p", { class: "log-note", hidden: true });
  #frame = 0;
  #follows = true;

  /** `count` says how many lines there are, and `follow` whether the view stays at the end. */
  constructor(readonly scroller: HTMLElement, readonly count: HTMLElement, readonly follow: HTMLButtonElement) {
    scroller.replaceChildren(this.#note, this.#sizer);
    scroller.addEventListener("scroll", () => {
      this.#setFollows(this.#isAtEnd());
      this.#draw();
    }, { passive: true });
    follow.addEventListener("click", () => {
      this.#setFollows(!this.#follows);
      this.#draw();
    });
    new ResizeObserver(() => this.#draw()).observe(scroller);
    this.clear();
  }

  clear(note = ""): void {
    this.#lines = new TerminalLines();
    for (const row of this.#rows.values()) row.remove();
    this.#rows.clear();
    this.#note.hidden = note === "";
    setText(this.#note, note);
    this.#setFollows(true);
    this.#draw();
  }

  append(text: string): void {
    this.#lines.feed(text);
    this.#draw();
  }

  /** The log without colours. */
  text(): string {
    return this.#lines.whole();
  }

  #setFollows(follows: boolean): void {
    this.#follows = follows;
    this.follow.setAttribute("aria-pressed", String(follows));
  }

  #isAtEnd(): boolean {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight < LINE_PX * 1.5;
  }

  #draw(): void {
    this.#frame ||= requestAnimationFrame(() => this.#render());
  }

  #render(): void {
    this.#frame = 0;
    const { length } = this.#lines;
    this.scroller.dataset["empty"] = String(length === 0);
    setText(this.count, length === 1 ? "1 line" : `${length.toLocaleString("en")} lines`);
    this.#sizer.style.setProperty("height", `${Math.min(length * LINE_PX, HEIGHT_PX_MAX)}px`);
    if (this.#follows) this.scroller.scrollTop = this.scroller.scrollHeight;
    const top = this.scroller.scrollTop - this.#sizer.offsetTop;
    // Very long logs are squeezed: each pixel of the scroll bar stands for more than one.
    const squeeze = Math.max(1, (length * LINE_PX) / HEIGHT_PX_MAX);
    const first = Math.max(0, Math.floor((top * squeeze) / LINE_PX) - OVERSCAN_LINES);
    const last = Math.min(length, Math.ceil((top * squeeze + this.scroller.clientHeight) / LINE_PX) + OVERSCAN_LINES);
    const shift = squeeze === 1 ? 0 : top * squeeze - top;
    this.#removeRows(first, last);
    for (let index = first; index < last; index += 1) this.#row(index, index * LINE_PX - shift);
  }

  #removeRows(first: number, last: number): void {
    const selection = document.getSelection();
    const isSelected = (row: HTMLElement) => selection !== null && !selection.isCollapsed && selection.containsNode(row, true);
    for (const [index, row] of this.#rows) {
      if ((index >= first && index < last) || isSelected(row)) continue;
      row.remove();
      this.#rows.delete(index);
    }
  }

  #row(index: number, top: number): void {
    const raw = this.#lines.raw(index);
    let row = this.#rows.get(index);
    if (!row) {
      row = el("div", { class: "log-line" });
      this.#rows.set(index, row);
      this.#sizer.insertBefore(row, this.#rows.get(index + 1) ?? this.#after(index));
    }
    row.style.setProperty("top", `${top}px`);
    if (this.#drawn.get(row) === raw) return;
    this.#drawn.set(row, raw);
    row.replaceChildren(el("span", { class: "log-number", "aria-hidden": "true", data: { line: String(index + 1) } }),
      ...this.#lines.spans(index).map(spanNode), "\n");
  }

  /** The row before which this line belongs: a selection goes by the order in the document. */
  #after(index: number): HTMLElement | null {
    let found: number | null = null;
    for (const other of this.#rows.keys()) if (other > index && (found === null || other < found)) found = other;
    return found === null ? null : this.#rows.get(found) ?? null;
  }
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
