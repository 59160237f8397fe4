// Tasks in an order that holds while one after the other changes: a change moves one task, and sorts nothing anew.

export type Compare<T> = (a: T, b: T) => number;

export class Ordered<T> {
  constructor(readonly compare: Compare<T>, public items: T[] = []) {
    this.items.sort(compare);
  }

  /** Where `item` is, or belongs. */
  #place(item: T): number {
    let low = 0;
    let high = this.items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.compare(this.items[middle] as T, item) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  add(item: T): void {
    this.items.splice(this.#place(item), 0, item);
  }

  /** `compare` has to tell any two items apart, so that the same one is found. */
  remove(item: T): void {
    const at = this.#place(item);
    if (this.items[at] === item) this.items.splice(at, 1);
  }
}
