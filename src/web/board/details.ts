// The long texts of tasks, which events do not carry: asked for a few at a time, the latest wish first to be dropped when
// there are too many.

import { getTask } from "../shared/api.ts";
import type { BoardStore } from "./board-store.ts";

const AT_ONCE = 3;
const WAITING_MAX = 200; // beyond this the oldest wait until their panel opens

export class Details {
  readonly #waiting = new Set<string>();
  #fetching = 0;

  constructor(readonly store: BoardStore) {}

  need(id: string): void {
    this.#waiting.delete(id);
    this.#waiting.add(id);
    if (this.#waiting.size > WAITING_MAX) {
      const [oldest] = this.#waiting;
      if (oldest) this.#waiting.delete(oldest);
    }
    void this.#fetch();
  }

  async #fetch(): Promise<void> {
    const [id] = this.#waiting;
    if (this.#fetching >= AT_ONCE || !id) return;
    this.#waiting.delete(id);
    if (!this.store.tasks.get(id)?.partial) return this.#fetch();
    this.#fetching += 1;
    try {
      this.store.refreshTask(await getTask(id));
    } catch {
      // Deleted meanwhile, or the hub is away: the stream will tell.
    }
    this.#fetching -= 1;
    void this.#fetch();
  }
}
