// A list that has only the elements that can be seen, however long it is. Elements differ in height: what was not drawn
// yet is taken to be as high as the average of what was.

const OVERSCAN_PX = 250;
const GAP_PX = 7;
const FIRST_GUESS_PX = 76;

export interface Slice {
  from: number;
  to: number;
}

export class VirtualList {
  readonly #heights = new Map<string, number>();
  #sum = 0;
  #ids: readonly string[] = [];
  #top = 0;
  #height = 0;
  #padding = "";

  /** `list` lies in `scroller`; `onScroll` is called when other elements may be needed. */
  constructor(readonly list: HTMLElement, readonly scroller: HTMLElement, onScroll: () => void) {
    scroller.addEventListener("scroll", onScroll, { passive: true });
    new ResizeObserver(onScroll).observe(scroller);
  }

  get #average(): number {
    return this.#heights.size > 0 ? this.#sum / this.#heights.size : FIRST_GUESS_PX;
  }

  #heightOf(id: string): number {
    return (this.#heights.get(id) ?? this.#average) + GAP_PX;
  }

  /**
   * Reads where the list is scrolled to. Of several lists, read all before any is drawn: reading after drawing makes the
   * browser lay out the page each time.
   */
  read(): void {
    this.#top = this.scroller.scrollTop;
    this.#height = this.scroller.clientHeight;
  }

  /** Which elements to draw. */
  slice(ids: readonly string[]): Slice {
    this.#ids = ids;
    const top = this.#top - OVERSCAN_PX;
    const bottom = this.#top + this.#height + OVERSCAN_PX;
    let at = 0;
    let from = 0;
    while (from < ids.length && at + this.#heightOf(ids[from] as string) < top) at += this.#heightOf(ids[from++] as string);
    const before = at;
    let to = from;
    while (to < ids.length && at < bottom) at += this.#heightOf(ids[to++] as string);
    let after = 0;
    for (let rest = to; rest < ids.length; rest += 1) after += this.#heightOf(ids[rest] as string);
    const padding = `${Math.round(before)}px 0 ${Math.round(after)}px`;
    if (padding !== this.#padding) this.list.style.setProperty("padding", padding);
    this.#padding = padding;
    return { from, to };
  }

  /** Learns the heights of the elements that were drawn. */
  measure(nodes: Iterable<readonly [string, HTMLElement]>): void {
    for (const [id, node] of nodes) {
      const height = node.offsetHeight;
      const known = this.#heights.get(id);
      if (height === 0 || known === height) continue;
      this.#sum += height - (known ?? 0);
      this.#heights.set(id, height);
    }
  }

  forget(id: string): void {
    const known = this.#heights.get(id);
    if (known === undefined) return;
    this.#sum -= known;
    this.#heights.delete(id);
  }

  /** Scrolls so that the element at `index` can be drawn. */
  reveal(index: number): void {
    let top = 0;
    for (let at = 0; at < index; at += 1) top += this.#heightOf(this.#ids[at] as string);
    const bottom = top + this.#heightOf(this.#ids[index] ?? "");
    if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
    else if (bottom > this.scroller.scrollTop + this.scroller.clientHeight) this.scroller.scrollTop = bottom - this.scroller.clientHeight;
  }
}
